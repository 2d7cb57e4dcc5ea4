/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * secure.c: making durable what recovery found (D5).
 *
 * What. Reading bytes back is no proof that the disk has them: after a failed write-back the page
 * cache serves what the disk lost, and a new sync succeeds. So every byte above the watermark is
 * verified once more and written again, in place, from the very buffer that was verified, and
 * synced; a segment that still lies in `spare` gets its name. What the staging ring has comes to
 * its segment on that way. A torn tail is synced as it is, even if nothing is to be written again:
 * one that was taken back after its write had failed may be whole on the medium still.
 *
 * Failure. Bytes are only replaced by themselves, and a name is given only to a file whose header
 * is durable: a failure leaves what was there.
 *
 * Not here. Which bytes: recovery.c. Why they are read from the disk: forget.c.
 */
#include "wal/secure.h"

#include "base/plant.h"
#include "wal/staged.h"

#define CHUNK_LEN ((size_t)1 << 20)

/* How many bytes at the start of `data`, which lies at `offset` of the link's file, are a header
 * or whole records. */
static int verified_len(const struct nw_link *link, const struct nori_wal_config *config,
                        const uint8_t *data, size_t len, uint64_t offset, size_t *ret_len)
{
    size_t at = 0;

    *ret_len = 0;
    if (offset < link->begin) {
        struct nw_header header;

        nw_assert(offset == 0);
        if (len < link->begin)
            return NORI_OK;
        if (nw_header_decode(data, len, &header) != 0 || header.salt != link->header.salt)
            return NORI_E_CORRUPT;
        at = (size_t)link->begin;
    }
    while (at < len) {
        struct nw_record_place place = {link->format, link->header.salt, offset + at};
        struct nw_scan scan = nw_scan_over(data + at, len - at);
        struct nw_stored_record record;
        int rc = nw_record_decode(&scan, &place,
                                  nw_link_record_limit(link, config->max_record_size), &record);

        if (rc == NW_DECODE_SHORT)
            break;
        if (rc != 0)
            return NORI_E_CORRUPT;
        at += record.len;
    }
    *ret_len = at;
    return NORI_OK;
}

/* Write [from, to) of a segment again, each piece from the buffer that has just been verified. */
static int rewrite(const struct nori_wal_config *config, const struct nw_link *link,
                   struct nori_file *file, struct nw_buffer *buffer, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t want = (size_t)nw_min_u64(to - from, buffer->capacity);
        struct nori_span span;
        size_t good = 0;
        size_t got = 0;
        int rc = file->ops->read(file, buffer->data, want, from, &got);

        if (rc < 0)
            return rc;
        rc = verified_len(link, config, buffer->data, got, from, &good);
        if (rc < 0)
            return rc;
        if (good == 0 && got == want && want < to - from) {
            /* a record that is larger: doubles */
            rc = nw_buffer_reserve(buffer, buffer->capacity + 1);
            if (rc < 0)
                return rc;
            continue;
        }
        if (good == 0)
            return NORI_E_CORRUPT; /* it was whole a moment ago */
        if (NW_PLANT("rewrite-what-is-read-again"))
            (void)file->ops->read(file, buffer->data, good, from, &got);
        span = (struct nori_span){buffer->data, good};
        rc = file->ops->write(file, &span, 1, from);
        if (rc < 0)
            return rc;
        from += good;
    }
    return NORI_OK;
}

/* Make one live link durable from `from` on, and give it its name. */
static int secure_link(const struct nw_env *env, const struct nori_wal_config *config,
                       struct nw_link *link, struct nw_buffer *buffer, uint64_t from, uint64_t to,
                       struct nori_error *error)
{
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int rc = nw_link_open(env, link, NORI_FILE_WRITE, &file, error);

    if (rc < 0)
        return rc;
    rc = rewrite(config, link, file, buffer, from, to);
    if (rc >= 0 && !NW_PLANT("rewrite-without-sync"))
        rc = file->ops->sync(file);
    file->ops->close(file);
    nw_name_format(name, link->id);
    if (rc >= 0 && link->is_spare) {
        rc = env->folder->ops->rename(env->folder, NW_NAME_SPARE, name);
        if (rc >= 0)
            rc = env->folder->ops->sync(env->folder);
        link->is_spare = rc < 0;
    }
    if (rc < 0)
        return nw_io_error(error, rc, (struct nori_position){link->id, from},
                           "open: make what was recovered durable in segment %llu",
                           (unsigned long long)link->id);
    return NORI_OK;
}

/* Where rewriting begins: at the watermark if a record begins there, else at the beginning of
 * the segment. */
static uint64_t rewrite_from(const struct nw_link *link, uint64_t watermark,
                             struct nw_cursor *cursor)
{
    struct nw_stored_record record;

    if (watermark <= link->start || watermark - link->start < link->begin)
        return 0;
    cursor->offset = watermark - link->start;
    return nw_cursor_next(cursor, &record) == 0 ? watermark - link->start : 0;
}

/* The LSN where link i ends: by its own end, where the next one starts, or where the log ends. */
static uint64_t end_within(const struct nw_recovered *recovered, size_t i)
{
    uint64_t end_lsn = nw_min_u64(nw_link_end_lsn(&recovered->chain.links[i]), recovered->end_lsn);
    const struct nw_link *next = nw_chain_next_live(&recovered->chain, i, &i);

    return next ? nw_min_u64(end_lsn, next->start) : end_lsn;
}

int nw_secure(const struct nw_env *env, const struct nori_wal_config *config,
              struct nw_recovered *recovered, uint64_t watermark, struct nori_recovery_info *info,
              struct nori_error *error)
{
    struct nw_chain *chain = &recovered->chain;
    struct nw_buffer buffer;
    int rc;

    nw_buffer_init(&buffer, env->allocator, (size_t)2 * NW_RECORD_MAX + CHUNK_LEN);
    rc = nw_buffer_reserve(&buffer, CHUNK_LEN);
    for (size_t i = chain->first_live; rc >= 0 && i < chain->count; i++) {
        struct nw_link *link = &chain->links[i];
        uint64_t end = end_within(recovered, i) - link->start;
        uint64_t staged_from = nw_staged_from(env->staged, link->header.salt);
        bool is_durable = link->start + end <= watermark && !link->is_spare && staged_from >= end;
        bool is_torn = recovered->torn_bytes > 0 && link->id == recovered->torn_at.segment_id;
        struct nori_file *file = NULL;
        struct nw_cursor cursor;
        uint64_t from;

        if (!link->is_live || (is_durable && !is_torn))
            continue;
        rc = nw_link_open(env, link, 0, &file, error);
        if (rc < 0)
            break;
        nw_cursor_begin(&cursor, env->allocator, file, link->format, link->header.salt, 0,
                        nw_link_record_limit(link, config->max_record_size), false);
        from = link->is_spare ? 0 : is_durable ? end : rewrite_from(link, watermark, &cursor);
        from = nw_min_u64(from, staged_from);
        nw_cursor_done(&cursor);
        file->ops->close(file);
        info->bytes_rewritten += end - from;
        rc = secure_link(env, config, link, &buffer, from, end, error);
    }
    nw_buffer_done(&buffer);
    return rc == NORI_E_NOMEM ? nw_no_memory(error) : rc;
}
