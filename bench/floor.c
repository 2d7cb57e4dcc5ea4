/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * floor.c: the least that anything with the duty of an append has to do.
 *
 * What. copy: key and value into a warm buffer, and a checksum over them there. bulk: as many bytes
 * handed to the kernel in large pieces, into a file that was reserved beforehand, as the log's are.
 * sync: a pwrite for each record into a file of zeros, and one fdatasync for all threads that wait.
 * Each run has a new file.
 *
 * Not here. A floor has no lengths, no segments and no recovery, and only copy has checksums.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_LEN ((size_t)8 << 20)
#define PIECE_LEN  ((size_t)256 << 10)
#define ZERO_BYTES ((uint64_t)64 << 20) /* of the file of zeros; a fast machine begins again */

/* ---- copy ---- */

struct copy {
    uint8_t *buffer;
    size_t at;
};

static void copy_one(struct bench_worker *worker)
{
    struct copy *copy = worker->subject;
    size_t value_len = worker->load->value_len;
    uint8_t *target = copy->buffer + copy->at;

    memcpy(target, worker->key, sizeof worker->key);
    memcpy(target + sizeof worker->key, worker->value, value_len);
    worker->sum += nw_crc32c(0, target, sizeof worker->key + value_len);
    copy->at += worker->load->record_len;
    if (copy->at + worker->load->record_len > BUFFER_LEN)
        copy->at = 0;
}

void bench_floor_copy(const void *about, struct bench_result *ret_result)
{
    struct bench_load load = *(const struct bench_load *)about;
    struct copy copy = {.buffer = bench_alloc(BUFFER_LEN)};

    load.threads = 1;
    load.steps_per_look = 0;
    memset(copy.buffer, 1, BUFFER_LEN);
    (void)bench_run_threads(&load, &copy, copy_one, NULL, ret_result);
    free(copy.buffer);
}

/* ---- bulk ---- */

static void must_write(int fd, const void *data, size_t len, uint64_t offset)
{
    if (pwrite(fd, data, len, (off_t)offset) != (ssize_t)len)
        bench_give_up("write: %s", strerror(errno));
}

void bench_floor_bulk(const void *about, struct bench_result *ret_result)
{
    const struct bench_load *load = about;
    uint64_t pieces = load->records * load->record_len / PIECE_LEN + 1;
    uint8_t *data = bench_alloc(PIECE_LEN);
    int fd = bench_reserved_file(pieces * PIECE_LEN);
    uint64_t cpu_ns, begun_ns;

    memset(data, 1, PIECE_LEN);
    cpu_ns = bench_cpu_ns();
    begun_ns = bench_now_ns();
    for (uint64_t i = 0; i < pieces; i++)
        must_write(fd, data, PIECE_LEN, i * PIECE_LEN);
    bench_give_rate(ret_result, pieces * PIECE_LEN / load->record_len, pieces * PIECE_LEN,
                    begun_ns);
    ret_result->of[BENCH_CPU] = (double)(bench_cpu_ns() - cpu_ns) / (double)load->records;
    (void)close(fd);
    free(data);
}

/* ---- sync ---- */

struct group {
    int fd;
    pthread_mutex_t mutex;
    pthread_cond_t synced;

    /* Guarded by mutex. */
    uint64_t written; /* all before it is in the kernel */
    uint64_t durable;
    bool is_syncing;
};

static void sync_file(int fd)
{
    if (fdatasync(fd) < 0)
        bench_give_up("fdatasync: %s", strerror(errno));
}

/* Write in order, then wait for a sync that began after that, or lead it. */
static void write_and_sync_one(struct bench_worker *worker)
{
    struct group *group = worker->subject;
    size_t len = worker->load->record_len;
    uint64_t mine;

    (void)pthread_mutex_lock(&group->mutex);
    must_write(group->fd, worker->value, len, group->written % (ZERO_BYTES - len));
    mine = group->written += len;
    while (group->durable < mine) {
        uint64_t target = group->written;

        if (group->is_syncing) {
            (void)pthread_cond_wait(&group->synced, &group->mutex);
            continue;
        }
        group->is_syncing = true;
        (void)pthread_mutex_unlock(&group->mutex);
        sync_file(group->fd);
        (void)pthread_mutex_lock(&group->mutex);
        group->is_syncing = false;
        group->durable = target;
        (void)pthread_cond_broadcast(&group->synced);
    }
    (void)pthread_mutex_unlock(&group->mutex);
}

void bench_floor_sync(const void *load, struct bench_result *ret_result)
{
    struct group group = {.fd = bench_reserved_file(ZERO_BYTES)};
    uint8_t *zeros = bench_alloc(PIECE_LEN);

    for (uint64_t at = 0; at < ZERO_BYTES; at += PIECE_LEN)
        must_write(group.fd, zeros, PIECE_LEN, at);
    sync_file(group.fd);
    free(zeros);
    (void)pthread_mutex_init(&group.mutex, NULL);
    (void)pthread_cond_init(&group.synced, NULL);
    (void)bench_run_threads(load, &group, write_and_sync_one, NULL, ret_result);
    (void)pthread_mutex_destroy(&group.mutex);
    (void)pthread_cond_destroy(&group.synced);
    (void)close(group.fd);
}
