/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scan.c: reading a segment to the end of its last whole batch, and looking at what lies behind.
 *
 * What. Records are read one after the other; the end moves only where a batch is complete (D4).
 * Then the rest, up to the stated end or the end of the file, is looked through: is any byte of it
 * not zero, and does it hold marks? A mark behind a bad place tells how far the log was durable
 * when it was written, and so tells a torn tail from damage (D6).
 *
 * Failure. A read error is an error, never a torn tail.
 *
 * Not here. What the facts mean: verdict.c.
 */
#include "wal/scan.h"

#include "base/plant.h"
#include "wal/staged.h"

#include <string.h>

#define CHUNK_LEN      ((size_t)256 << 10)
#define PROGRESS_EVERY ((uint64_t)4 << 20)

static int take_hole(const struct nw_stored_record *record, struct nw_segment_scan *scan)
{
    uint64_t hidden = nw_hole_hidden(record);

    if (hidden == NW_HOLE_UNKNOWN) {
        scan->doubt += nw_hole_hidden_max(record);
        return 0;
    }
    if (hidden > NW_NUMBER_MAX || scan->next_sequence > NW_NUMBER_MAX - hidden)
        return NORI_E_CORRUPT; /* no version writes that */
    scan->next_sequence += hidden;
    scan->hidden += hidden;
    return 0;
}

/* A mark counts as the records do; where they are in doubt it alone knows, but never goes back. */
static void take_number(uint64_t next_sequence, struct nw_segment_scan *scan)
{
    if (scan->doubt > 0 && next_sequence >= scan->next_sequence) {
        scan->hidden += next_sequence - scan->next_sequence;
        scan->next_sequence = next_sequence;
        scan->doubt = 0;
    }
    if (next_sequence != scan->next_sequence)
        scan->is_sequence_wrong = true;
}

/* A control record, between batches: a mark raises the watermark. */
static int take_control(const struct nw_link *link, uint64_t log_id,
                        const struct nw_stored_record *record, uint64_t offset,
                        struct nw_segment_scan *scan)
{
    struct nw_mark mark;
    int rc = nw_control_decode(record, link->header.salt, &mark);

    if (rc < 0)
        return rc;
    if (rc == NW_CONTROL_IS_HOLE)
        return take_hole(record, scan);
    if (rc == NW_CONTROL_IS_MARK) {
        if (!nw_mark_is_credible(&mark, log_id, link->start + offset))
            return NORI_E_CORRUPT;
        scan->watermark_lsn = nw_max_u64(scan->watermark_lsn, mark.durable_lsn);
        take_number(mark.next_sequence, scan);
    }
    return 0;
}

/* Read batches until none is whole. The cursor's last result: NW_CURSOR_* or an error. */
static int read_batches(const struct nw_link *link, uint64_t log_id, struct nw_cursor *cursor,
                        struct nw_segment_scan *scan, nw_scan_progress progress, void *context)
{
    uint64_t batch_records = 0;
    uint64_t batch_last = 0;
    uint64_t told = scan->end;

    for (;;) {
        struct nw_stored_record record;
        uint64_t offset = cursor->offset;
        int rc = nw_cursor_next(cursor, &record);

        if (rc == NORI_E_VERSION && NW_PLANT("unknown-is-torn"))
            return NW_CURSOR_BAD;
        if (rc != 0)
            return rc;
        if (nw_record_is_control(&record)) {
            if (batch_records > 0)
                return NW_CURSOR_BAD; /* no writer puts one inside a batch */
            rc = take_control(link, log_id, &record, offset, scan);
            if (rc == NORI_E_CORRUPT || (rc == NORI_E_VERSION && NW_PLANT("unknown-is-torn")))
                return NW_CURSOR_BAD;
            if (rc < 0)
                return rc;
            scan->end = cursor->offset;
            continue;
        }
        batch_records++;
        batch_last = offset;
        if (nw_record_continues(&record) && !NW_PLANT("cut-inside-batch"))
            continue;
        scan->end = cursor->offset;
        scan->records += batch_records;
        scan->next_sequence += batch_records;
        scan->last_record = batch_last;
        batch_records = 0;
        if (progress && scan->end - told >= PROGRESS_EVERY) {
            rc = progress(context, scan->end - told);
            told = scan->end;
            if (rc != 0)
                return rc < 0 ? rc : -rc;
        }
    }
}

/* Look through what lies behind scan->end, in overlapping chunks so that no mark is cut in two. */
static int look_behind(const struct nw_link *link, uint64_t log_id, struct nw_cursor *cursor,
                       struct nw_segment_scan *scan)
{
    uint64_t offset = scan->end;
    uint8_t *chunk;

    if (nw_buffer_reserve(&cursor->copy, CHUNK_LEN) < 0)
        return NORI_E_NOMEM;
    nw_cursor_refresh(cursor);
    chunk = cursor->copy.data;
    for (;;) {
        uint64_t left = link->end > offset ? link->end - offset : 0;
        size_t want = left < CHUNK_LEN ? (size_t)left : CHUNK_LEN;
        size_t nonzero;
        size_t got = 0;
        int rc = cursor->file->ops->read(cursor->file, chunk, want, offset, &got);

        if (rc < 0)
            return rc;
        nonzero = nw_nonzero_len(chunk, got);
        if (nonzero > 0)
            scan->garbage_bytes = nw_max_u64(scan->garbage_bytes, offset + nonzero - scan->end);
        for (size_t at = 0; nonzero > 0 && link->format == 2;) {
            struct nw_mark mark;
            const uint8_t *found =
                nw_mark_find(chunk + at, got - at, offset + at, link->header.salt, log_id, &mark);

            if (!found || NW_PLANT("cut-mid-log"))
                break;
            at = (size_t)(found - chunk);
            scan->behind_lsn = nw_max_u64(scan->behind_lsn,
                                          nw_min_u64(mark.durable_lsn, link->start + offset + at));
            at += NW_MARK_LEN;
        }
        if (got < CHUNK_LEN)
            return 0;
        offset += got - (NW_MARK_LEN - 1);
    }
}

static enum nw_scan_stop classify(const struct nw_link *link, bool has_successor, int cursor_rc,
                                  const struct nw_segment_scan *scan)
{
    if (link->end != NW_OPEN_END && scan->end == link->end)
        return NW_STOP_AT_END;
    /* Nothing states where a segment of format 1 ends before its successor of format 1: it ends
     * where its records do, and what it preallocated follows. */
    if (link->format == 1 && has_successor && link->end == NW_OPEN_END && scan->garbage_bytes == 0)
        return NW_STOP_AT_END;
    if (scan->garbage_bytes == 0)
        return NW_STOP_CLEAN;
    return cursor_rc == NW_CURSOR_SHORT ? NW_STOP_SHORT : NW_STOP_BAD;
}

static bool is_known_end(const struct nw_segment_scan *scan)
{
    return scan->known_end > 0 && scan->end == scan->known_end;
}

/* Read all batches, and look at what lies behind them. A live writer may have gone on between the
 * two: what was behind the end and holds a mark is read again, until that leads no further. */
static int read_to_end(const struct nw_link *link, uint64_t log_id, struct nw_cursor *cursor,
                       struct nw_segment_scan *scan, nw_scan_progress progress, void *context,
                       int *ret_stop)
{
    uint64_t begin;

    do {
        int rc;

        begin = scan->end;
        cursor->offset = begin;
        nw_cursor_refresh(cursor);
        rc = read_batches(link, log_id, cursor, scan, progress, context);
        if (rc < 0)
            return rc;
        *ret_stop = rc;
        scan->bytes += scan->end - begin;
        nw_assert(scan->end <= link->end);
        scan->garbage_bytes = 0;
        scan->behind_lsn = 0;
        if (scan->end != link->end && !is_known_end(scan))
            rc = look_behind(link, log_id, cursor, scan);
        if (rc < 0)
            return rc;
    } while (scan->behind_lsn > 0 && scan->end > begin);
    return 0;
}

/* The file has no more whole batches: does the ring? 1 if there is more to read. */
static int ask_ring(struct nw_staged *staged, const struct nw_link *link, uint64_t log_id,
                    struct nw_cursor *cursor, struct nori_file **file,
                    const struct nw_segment_scan *scan, uint64_t written_before)
{
    uint64_t lsn = link->start + scan->end;
    struct nw_staged_place place = {link->header.salt,    link->start, link->end,
                                    cursor->record_limit, log_id,      *file};
    bool is_wrapped = nw_staged_from(staged, place.salt) != UINT64_MAX;
    int rc;

    if (NW_PLANT("ring-for-newest-only") && link->end != NW_OPEN_END)
        return 0;
    if (link->format != 2 || scan->end == link->end || is_known_end(scan) ||
        lsn < nw_max_u64(scan->watermark_lsn, scan->behind_lsn))
        return 0;
    rc = nw_staged_extend(staged, &place, scan->end);
    if (rc == 0) /* a live writer has moved it to the file meanwhile */
        return written_before <= lsn && nw_staged_written(staged) > lsn;
    if (rc > 0 && !is_wrapped) {
        nw_cursor_refresh(cursor);
        rc = nw_staged_wrap(staged, place.salt, false, file);
        cursor->file = *file;
    }
    return rc < 0 ? rc : 1;
}

static int read_file_and_ring(const struct nw_env *env, const struct nw_link *link, uint64_t log_id,
                              struct nw_cursor *cursor, struct nori_file **file,
                              struct nw_segment_scan *scan, nw_scan_progress progress,
                              void *context, int *ret_stop)
{
    uint64_t asked_at = UINT64_MAX;

    for (;;) {
        uint64_t written = env->staged ? nw_staged_written(env->staged) : 0;
        int rc = read_to_end(link, log_id, cursor, scan, progress, context, ret_stop);

        /* What a hostile ring gives may verify and still be nothing that a log may hold. */
        if (rc < 0 || !env->staged || scan->end == asked_at)
            return rc;
        asked_at = scan->end;
        rc = ask_ring(env->staged, link, log_id, cursor, file, scan, written);
        if (rc <= 0)
            return rc;
    }
}

int nw_segment_scan(const struct nw_env *env, const struct nw_chain *chain,
                    const struct nw_link *link, struct nw_cursor *cursor, uint64_t record_limit,
                    struct nw_segment_scan *scan, nw_scan_progress progress, void *context,
                    struct nori_error *error)
{
    struct nori_file *file = NULL;
    uint64_t begin = scan->end;
    int stop = 0;
    int rc;

    nw_assert(link->is_live && begin >= link->begin);
    rc = nw_link_open(env, link, 0, &file, error);
    if (rc < 0)
        return rc;
    nw_cursor_restart(cursor, file, link->format, link->format == 2 ? link->header.salt : 0, begin,
                      nw_link_record_limit(link, record_limit));
    cursor->stop = link->end;
    rc =
        read_file_and_ring(env, link, chain->log_id, cursor, &file, scan, progress, context, &stop);
    if (rc >= 0)
        scan->stop = classify(link, link != nw_chain_last(chain), stop, scan);
    if (rc < 0 && NORI_VFS_CODE(rc) == NORI_E_VERSION)
        rc =
            nw_error_set(error, NORI_E_VERSION, 0, (struct nori_position){link->id, cursor->offset},
                         "segment %llu at %llu: a record of a newer version of the format",
                         (unsigned long long)link->id, (unsigned long long)cursor->offset);
    else if (rc < 0)
        rc = nw_io_error(error, rc, (struct nori_position){link->id, cursor->offset},
                         "read segment %llu at %llu", (unsigned long long)link->id,
                         (unsigned long long)cursor->offset);
    nw_cursor_restart(cursor, NULL, 2, 0, 0, 0);
    file->ops->close(file);
    return rc;
}

int nw_scan_find_mark_before(const struct nw_link *link, uint64_t log_id, struct nori_file *file,
                             const struct nori_allocator *allocator, uint64_t offset,
                             uint64_t *ret_offset, uint64_t *ret_sequence)
{
    struct nori_file_info info;
    uint8_t *chunk = NULL;
    uint64_t high;
    int rc = 0;

    *ret_offset = link->begin;
    *ret_sequence = link->format == 2 ? link->header.base_sequence : 1;
    if (link->format != 2 || offset <= link->begin + NW_MARK_LEN)
        return 0;
    rc = file->ops->stat(file, &info);
    if (rc < 0)
        return rc;
    high = nw_min_u64(offset, info.bytes); /* a hostile `control` may name a place far behind it */
    chunk = nw_alloc(allocator, CHUNK_LEN);
    if (!chunk)
        return NORI_E_NOMEM;
    while (high > link->begin) {
        uint64_t low = high > link->begin + CHUNK_LEN ? high - CHUNK_LEN : link->begin;
        struct nw_mark mark;
        const uint8_t *found;
        size_t got = 0;

        rc = file->ops->read(file, chunk, (size_t)(high - low), low, &got);
        if (rc < 0)
            break;
        found = nw_mark_find_last(chunk, got, low, link->header.salt, log_id, &mark);
        if (found) {
            *ret_offset = low + (uint64_t)(found - chunk);
            *ret_sequence = mark.next_sequence;
            break;
        }
        if (low == link->begin)
            break;
        high = low + (NW_MARK_LEN - 1);
    }
    nw_free(allocator, chunk);
    return rc;
}

int nw_scan_find_mark_behind(const struct nw_link *link, uint64_t log_id, struct nori_file *file,
                             const struct nori_allocator *allocator, uint64_t from,
                             uint64_t *ret_offset, struct nw_mark *ret_mark)
{
    uint8_t *chunk = nw_alloc(allocator, CHUNK_LEN);
    int rc = chunk ? 0 : NORI_E_NOMEM;

    while (rc == 0 && from < link->end) {
        size_t want = (size_t)nw_min_u64(link->end - from, CHUNK_LEN);
        const uint8_t *found;
        size_t got = 0;

        rc = file->ops->read(file, chunk, want, from, &got);
        if (rc < 0)
            break;
        found = nw_mark_find(chunk, got, from, link->header.salt, log_id, ret_mark);
        if (found) {
            *ret_offset = from + (uint64_t)(found - chunk);
            rc = 1;
        } else if (got < CHUNK_LEN) {
            break;
        }
        from += got - (NW_MARK_LEN - 1);
    }
    nw_free(allocator, chunk);
    return rc;
}

bool nw_scan_is_zero_from(struct nori_file *file, uint64_t offset)
{
    uint8_t chunk[4096];

    for (;;) {
        size_t got = 0;

        if (file->ops->read(file, chunk, sizeof chunk, offset, &got) < 0 ||
            nw_nonzero_len(chunk, got) > 0)
            return false;
        if (got < sizeof chunk)
            return true;
        offset += got;
    }
}

int nw_scan_measure_format1(const struct nw_env *env, struct nw_chain *chain,
                            struct nori_error *error)
{
    size_t next = chain->first_live; /* the first live one of format 2 */
    size_t unknown = next; /* before it are damaged ones, and those that are counted from there */
    uint64_t sequence = 1;
    uint64_t lsn = 0;
    struct nw_cursor cursor;
    int rc = NORI_OK;

    nw_cursor_begin(&cursor, env->allocator, NULL, 1, 0, 0, 0, false);
    for (; rc >= 0 && next < chain->count; next++) {
        struct nw_link *link = &chain->links[next];
        struct nw_segment_scan scan = {.next_sequence = sequence};

        if (!link->is_live)
            continue;
        if (link->format != 1)
            break;
        rc = nw_segment_scan(env, chain, link, &cursor, 0, &scan, NULL, NULL, error);
        link->start = lsn;
        link->first_sequence = sequence;
        lsn += scan.end;
        sequence = scan.next_sequence;
        if (rc >= 0 && scan.stop == NW_STOP_AT_END && link->end == NW_OPEN_END)
            link->end = scan.end;
        if (rc >= 0 && scan.stop != NW_STOP_AT_END)
            unknown = next + 1;
    }
    nw_cursor_done(&cursor);
    if (rc >= 0 && next < chain->count) {
        uint64_t lsn_shift = chain->links[next].start - lsn;
        uint64_t sequence_shift = chain->links[next].first_sequence - sequence;

        for (size_t i = chain->first_live; i < next; i++) {
            if (!chain->links[i].is_live)
                continue;
            chain->links[i].start += lsn_shift;
            chain->links[i].first_sequence += sequence_shift;
            if (i < unknown || chain->links[next].first_sequence < sequence)
                chain->links[i].first_sequence = 0;
        }
    }
    return rc;
}

int nw_scan_watermark_behind(const struct nw_env *env, const struct nw_chain *chain,
                             const struct nw_link *link, uint64_t offset, uint64_t *ret_watermark,
                             struct nori_error *error)
{
    uint64_t watermark = 0;
    struct nw_cursor cursor;
    int rc = NORI_OK;

    nw_cursor_begin(&cursor, env->allocator, NULL, 2, 0, 0, 0, false);
    for (size_t i = chain->first_live; rc >= 0 && i < chain->count; i++) {
        const struct nw_link *other = &chain->links[i];
        struct nw_segment_scan scan = {.end = other->begin};

        if (!other->is_live || other->id < link->id)
            continue;
        if (other->id == link->id)
            scan.end = nw_max_u64(offset, other->begin);
        if (scan.end >= other->end)
            continue;
        rc = nw_segment_scan(env, chain, other, &cursor, 0, &scan, NULL, NULL, error);
        if (rc >= 0)
            watermark = nw_max_u64(watermark, nw_max_u64(scan.watermark_lsn, scan.behind_lsn));
        else if (rc == NORI_E_NOTFOUND || rc == NORI_E_VERSION)
            rc = NORI_OK; /* dropped meanwhile; or it tells nothing that we understand */
    }
    nw_cursor_done(&cursor);
    *ret_watermark = watermark;
    return rc;
}
