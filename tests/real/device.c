/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* device.c: a block device in memory that records each write and each flush. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include "device.h"

#include "../support/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static size_t mapped_len(size_t bytes)
{
    return sizeof(struct device) + bytes;
}

struct device *device_new(size_t bytes)
{
    struct device *device = mmap(NULL, mapped_len(bytes), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (device == MAP_FAILED)
        return NULL;
    device->bytes = bytes;
    return device;
}

void device_free(struct device *device)
{
    if (device)
        (void)munmap(device, mapped_len(device->bytes));
}

bool device_load(struct device *device, const char *path)
{
    static const uint8_t zeros[4096];
    uint8_t block[sizeof zeros];
    FILE *file = fopen(path, "rb");
    size_t at = 0;
    size_t len;

    if (!file)
        return false;
    while (at < device->bytes && (len = fread(block, 1, sizeof block, file)) > 0) {
        if (memcmp(block, zeros, len) != 0) /* a page that is not touched takes no memory */
            memcpy(device->image + at, block, len);
        at += len;
    }
    return fclose(file) == 0 && at > 0;
}

/* ---- ops ---- */

static struct device_op *add_op(struct device *device, enum device_op_kind kind, uint64_t offset,
                                size_t len)
{
    struct device_tape *tape = &device->tapes[device->tape];
    struct device_op *op = &tape->ops[tape->count];

    if (tape->count == DEVICE_OPS_MAX || tape->used + 2 * len > DEVICE_ROOM)
        abort();
    *op = (struct device_op){.kind = kind,
                             .len = (uint32_t)len,
                             .offset = offset,
                             .at = tape->used,
                             .moment = atomic_load(&device->moment)};
    tape->used += 2 * len;
    tape->count++;
    return op;
}

bool device_has_values(const uint8_t *data, size_t len)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= len; at++)
        if (oracle_is_noise(data + at))
            return true;
    return false;
}

static bool must_fail(struct device *device, const void *data, size_t len)
{
    struct device_fault *fault = &device->fault;
    uint64_t number;

    if (fault->first == 0 || (fault->is_data && !device_has_values(data, len)))
        return false;
    number = atomic_fetch_add(&fault->seen, 1) + 1;
    if (number < fault->first || number >= fault->first + fault->count)
        return false;
    (void)atomic_fetch_add(&fault->fails, 1);
    return true;
}

bool device_write(struct device *device, uint64_t offset, const void *data, size_t len)
{
    struct device_tape *tape = &device->tapes[device->tape];
    struct device_op *op;

    if (offset > device->bytes || len > device->bytes - offset)
        return false;
    if (must_fail(device, data, len)) {
        (void)add_op(device, DEVICE_FAILED, offset, 0);
        return false;
    }
    op = add_op(device, DEVICE_WRITE, offset, len);
    memcpy(tape->room + op->at, data, len);
    memcpy(tape->room + op->at + len, device->image + offset, len);
    memcpy(device->image + offset, data, len);
    return true;
}

void device_flush(struct device *device)
{
    struct timespec time = {0, (long)device->fault.flush_us * 1000};

    (void)add_op(device, DEVICE_FLUSH, 0, 0);
    if (time.tv_nsec > 0)
        (void)nanosleep(&time, NULL);
}

void device_seek(struct device *device, size_t tape, size_t from, size_t to)
{
    struct device_tape *moved = &device->tapes[tape];

    for (; from < to; from++) {
        const struct device_op *op = &moved->ops[from];

        memcpy(device->image + op->offset, moved->room + op->at, op->len);
    }
    for (; from > to; from--) {
        const struct device_op *op = &moved->ops[from - 1];

        memcpy(device->image + op->offset, moved->room + op->at + op->len, op->len);
    }
}

void device_rewind(struct device *device)
{
    struct device_tape *tape = &device->tapes[device->tape];

    device_seek(device, device->tape, tape->count, 0);
    tape->count = tape->used = 0;
}

const uint8_t *device_new_bytes(const struct device *device, size_t tape,
                                const struct device_op *op)
{
    return device->tapes[tape].room + op->at;
}

static uint64_t hash_of_sector(uint64_t number, const uint8_t *data)
{
    uint64_t hash = number;

    for (size_t at = 0; at < DEVICE_SECTOR; at += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, data + at, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* A sum over sectors, so that the order of what changed them does not count. */
uint64_t device_difference(const struct device *device, size_t tape, const struct device_op *op)
{
    const uint8_t *bytes = device_new_bytes(device, tape, op);
    uint64_t sum = 0;

    for (size_t at = 0; at < op->len; at += DEVICE_SECTOR) {
        uint64_t number = (op->offset + at) / DEVICE_SECTOR;

        sum += hash_of_sector(number, bytes + at) - hash_of_sector(number, bytes + op->len + at);
    }
    return sum;
}
