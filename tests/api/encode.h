/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * encode.h: both formats written down a second time, from the tables in docs/format.md alone, so
 * that a mistake in the library cannot hide in its own tests.
 */
#ifndef NW_TEST_ENCODE_H
#define NW_TEST_ENCODE_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

void put_bytes(struct bytes *bytes, const void *data, size_t len);
void put_zeros(struct bytes *bytes, size_t len);
void put_number(struct bytes *bytes, uint64_t number, size_t len); /* little-endian */
void free_bytes(struct bytes *bytes);

uint32_t slow_crc32c(const void *data, size_t len);
uint64_t slow_splitmix64(uint64_t x);

#define RAW_TOMBSTONE 0x01u
#define RAW_TTL       0x02u
#define RAW_LZ4       0x04u
#define RAW_ZSTD      0x08u
#define RAW_VERSION   0x10u
#define RAW_TIME      0x20u
#define RAW_CONTINUES 0x40u
#define RAW_CONTROL   0x80u

struct raw_record {
    const void *key;
    size_t key_len;
    const void *value; /* as stored */
    size_t value_len;
    uint8_t flags;
    uint64_t ttl_ms, term, index, time_ms;
};

/* At the end of a file that is begun; salt 0: format 1. Returns the record's offset. */
size_t put_record(struct bytes *file, const struct raw_record *record, uint64_t salt);
size_t put_plain(struct bytes *file, const char *key, const char *value, uint64_t salt);

struct raw_header {
    uint16_t version, header_len; /* 0: 2, 128 */
    uint32_t incompat, compat, node_id;
    uint64_t segment_id, base_sequence, log_id, salt, created_ms, start, prev_salt, max_record;
    uint64_t prev_id, prev_end, durable_lsn;
};

#define RAW_NO_SEGMENT UINT64_MAX

void put_header(struct bytes *file, const struct raw_header *header);
size_t put_mark(struct bytes *file, uint64_t salt, uint64_t log_id, uint64_t next_sequence,
                uint64_t durable_lsn);

#endif
