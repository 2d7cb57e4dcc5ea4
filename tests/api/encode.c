/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* encode.c: both formats, from their tables. Slow and plain. */
#include "encode.h"

#include <stdlib.h>
#include <string.h>

void put_bytes(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes->capacity - bytes->len < len) {
        bytes->capacity = (bytes->len + len) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data)
            abort();
    }
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

void put_zeros(struct bytes *bytes, size_t len)
{
    static const uint8_t zeros[4096];

    for (; len > sizeof zeros; len -= sizeof zeros)
        put_bytes(bytes, zeros, sizeof zeros);
    put_bytes(bytes, zeros, len);
}

void put_number(struct bytes *bytes, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));

        put_bytes(bytes, &byte, 1);
    }
}

void free_bytes(struct bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

uint32_t slow_crc32c(const void *data, size_t len)
{
    const uint8_t *at = data;
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

uint64_t slow_splitmix64(uint64_t x)
{
    uint64_t z = x + 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void put_varint(struct bytes *bytes, uint64_t number)
{
    while (number >= 0x80) {
        put_number(bytes, (number & 0x7f) | 0x80, 1);
        number >>= 7;
    }
    put_number(bytes, number, 1);
}

size_t put_record(struct bytes *file, const struct raw_record *record, uint64_t salt)
{
    size_t offset = file->len;
    uint32_t crc;

    put_varint(file, record->key_len);
    put_varint(file, record->value_len);
    put_number(file, record->flags, 1);
    if (record->flags & RAW_TTL)
        put_varint(file, record->ttl_ms);
    if (record->flags & RAW_VERSION) {
        put_varint(file, record->term);
        put_varint(file, record->index);
    }
    if (salt != 0 && (record->flags & RAW_TIME))
        put_varint(file, record->time_ms);
    put_bytes(file, record->key, record->key_len);
    put_bytes(file, record->value, record->value_len);
    crc = slow_crc32c(file->data + offset, file->len - offset);
    if (salt != 0) {
        uint32_t mask = (uint32_t)slow_splitmix64(salt + offset);

        crc ^= mask == 0x6064a37a ? mask ^ 1 : mask;
    }
    put_number(file, crc, 4);
    return offset;
}

size_t put_plain(struct bytes *file, const char *key, const char *value, uint64_t salt)
{
    return put_record(
        file,
        &(struct raw_record){
            .key = key, .key_len = strlen(key), .value = value, .value_len = strlen(value)},
        salt);
}

void put_header(struct bytes *file, const struct raw_header *header)
{
    static const uint8_t magic[8] = {0xFF, 0x4E, 0x4F, 0x52, 0x49, 0x57, 0x41, 0x4C};
    size_t begin = file->len;
    size_t len = header->header_len ? header->header_len : 128;

    put_bytes(file, magic, 8);
    put_number(file, header->version ? header->version : 2, 2);
    put_number(file, len, 2);
    put_number(file, header->incompat, 4);
    put_number(file, header->compat, 4);
    put_number(file, header->node_id, 4);
    put_number(file, header->segment_id, 8);
    put_number(file, header->base_sequence, 8);
    put_number(file, header->log_id, 8);
    put_number(file, header->salt, 8);
    put_number(file, header->created_ms, 8);
    put_number(file, header->start, 8);
    put_number(file, header->prev_salt, 8);
    put_number(file, header->max_record, 8);
    put_number(file, header->prev_id, 8);
    put_number(file, header->prev_end, 8);
    put_number(file, header->durable_lsn, 8);
    put_zeros(file, len - 4 - (file->len - begin));
    put_number(file, slow_crc32c(file->data + begin, file->len - begin), 4);
}

size_t put_mark(struct bytes *file, uint64_t salt, uint64_t log_id, uint64_t next_sequence,
                uint64_t durable_lsn)
{
    struct bytes value = {0};
    size_t offset;

    put_number(&value, salt, 8);
    put_number(&value, log_id, 8);
    put_number(&value, next_sequence, 8);
    put_number(&value, durable_lsn, 8);
    put_number(&value, 1700000000000, 8);
    offset = put_record(file,
                        &(struct raw_record){.key = "\1",
                                             .key_len = 1,
                                             .value = value.data,
                                             .value_len = value.len,
                                             .flags = RAW_CONTROL},
                        salt);
    free_bytes(&value);
    return offset;
}
