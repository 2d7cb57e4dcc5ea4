/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* record_make.c: records as the application makes and asks them. They borrow its key and value. */
#include "base/bytes.h"

#include <nori/wal.h>

struct nori_record nori_record_put(const void *key, size_t key_len, const void *value,
                                   size_t value_len)
{
    return (struct nori_record){
        .key = key, .key_len = key_len, .value = value, .value_len = value_len};
}

struct nori_record nori_record_put_with_ttl(const void *key, size_t key_len, const void *value,
                                            size_t value_len, uint64_t ttl_ms)
{
    struct nori_record record = nori_record_put(key, key_len, value, value_len);

    record.flags = NORI_RECORD_TTL;
    record.ttl_ms = ttl_ms;
    return record;
}

struct nori_record nori_record_delete(const void *key, size_t key_len)
{
    struct nori_record record = nori_record_put(key, key_len, NULL, 0);

    record.flags = NORI_RECORD_TOMBSTONE;
    return record;
}

struct nori_record nori_record_with_compression(struct nori_record record,
                                                enum nori_compression compression)
{
    record.compression = (uint32_t)compression;
    return record;
}

int nori_record_is_expired(const struct nori_record *record, uint64_t now_ms)
{
    const uint32_t needed = NORI_RECORD_TTL | NORI_RECORD_TIME;
    uint64_t expires_ms;

    if (!record || (record->flags & needed) != needed)
        return 0;
    if (nw_add_overflow(record->time_ms, record->ttl_ms, &expires_ms))
        return 0; /* later than any time there is */
    return expires_ms <= now_ms;
}
