/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader.c: the records of a log, in order, beside a live writer or none (D11).
 *
 * What. A reader stands at a place in a segment of the chain it has loaded. It returns the records
 * there as long as they lie below its limit: the written (or durable) position that a live writer
 * publishes in `control`. Without a live writer it goes as far as recovery would: batch by batch as
 * long as they are whole. At a segment's stated end it goes on in the successor.
 *
 * Change. A writer raises `cut` whenever bytes that could have been read no longer count: at open,
 * at truncation, and when a failed write ended a segment. The reader loads the limit first and
 * `cut` second; if that has changed it walks the chain anew, and if its place is no longer on it,
 * it says so (NORI_E_TRUNCATED). Retention raises nothing: a reader keeps the file it is in, and
 * finds out when it cannot find the next.
 *
 * Bad bytes. Below the limit they are first looked at again with the chain as it is now: the
 * segment may have ended there, the page may have been mapped before it was there. Then, beside a
 * live writer, they are corrupt; beside none they are corrupt below the watermark and the end of
 * the log above it (D6).
 *
 * Threads. One at a time. Nothing is shared with the writer but `control`, the files, and their
 * locks: a shared lock on the open segment keeps the writer from trimming what is mapped.
 */
#include "base/plant.h"
#include "format/compress.h"
#include "format/control_record.h"
#include "wal/control.h"
#include "wal/log.h"
#include "wal/recovery.h"
#include "wal/scan.h"

#include <string.h>

#define POLL_NS  ((uint64_t)10000000)  /* between looks where nobody can wake us */
#define SLICE_NS ((uint64_t)500000000) /* a longest sleep: the writer may have died */

struct nori_reader {
    struct nw_env env;
    struct nori_reader_config config;
    uint64_t process_generation;
    struct nw_control *control; /* NULL: none is believed */
    struct nw_chain chain;
    uint32_t cut;         /* as of the chain */
    uint64_t durable_lsn; /* known to be so since `cut` was; for NORI_VISIBLE_DURABLE */

    bool is_truncated; /* our place is gone */
    bool has_place;
    struct nw_link here; /* a copy: it may have left the chain */
    struct nori_file *file;
    struct nw_cursor cursor;
    uint64_t sequence;  /* of the next record */
    uint64_t marks_lsn; /* what the marks of the last segment tell, if has_marks_lsn */
    bool has_marks_lsn;
    uint64_t end_lsn;          /* the log ends here, and nobody writes; UINT64_MAX: not known */
    uint64_t looked_from;      /* LSN of the bad bytes behind which marks were looked for */
    uint64_t looked_watermark; /* the highest that they told */
    bool is_in_batch;          /* the last record returned goes on in the next */

    bool has_next; /* looked ahead by wait: next_rc and, if that is 0, next and next_position */
    int next_rc;
    struct nori_record next;
    struct nori_position next_position;

    struct nw_compressor *compressor;
    struct nw_buffer value;
    struct nori_error error;
};

static struct nori_position place_of(const struct nori_reader *reader)
{
    return (struct nori_position){reader->here.id, reader->cursor.offset};
}

static uint64_t lsn_of(const struct nori_reader *reader)
{
    return reader->here.start + reader->cursor.offset;
}

/* ---- what the writer publishes ---- */

static bool is_writer_alive(const struct nori_reader *reader)
{
    return reader->env.folder->ops->is_locked(reader->env.folder) == 1;
}

static bool shows_durable_only(const struct nori_reader *reader)
{
    return reader->config.visibility == NORI_VISIBLE_DURABLE;
}

/* The published limit as an LSN; 0 if nobody publishes one. */
static uint64_t published_limit(const struct nori_reader *reader)
{
    const struct nw_control_words *words = reader->control ? reader->control->words : NULL;

    if (!words)
        return 0;
    return atomic_load(shows_durable_only(reader) ? &words->durable : &words->written);
}

static uint32_t current_cut(const struct nori_reader *reader)
{
    return reader->control ? atomic_load(&reader->control->words->cut) : 0;
}

/* ---- the chain ---- */

static void leave_file(struct nori_reader *reader)
{
    nw_cursor_restart(&reader->cursor, NULL, 2, 0, 0, 0);
    if (reader->file)
        reader->file->ops->close(reader->file);
    reader->file = NULL;
}

/* The control words may appear after the reader; those of another log do not count. */
static int find_control(struct nori_reader *reader)
{
    if (!reader->control)
        return nw_control_open(&reader->env, false, &reader->control, &reader->error);
    return NORI_OK;
}

static void check_control(struct nori_reader *reader)
{
    if (!reader->control || reader->chain.log_id == 0 ||
        reader->control->words->log_id == reader->chain.log_id)
        return;
    nw_control_unref(reader->control);
    reader->control = NULL;
    reader->cut = 0;
}

/* A writer that is dropping or naming segments may change the folder under a listing: look again
 * before complaining. */
static int load_chain(struct nori_reader *reader)
{
    int rc = find_control(reader);

    if (rc < 0)
        return rc;

    for (int attempt = 0;; attempt++) {
        reader->cut = current_cut(reader);
        reader->durable_lsn = 0;
        reader->has_marks_lsn = false;
        reader->end_lsn = UINT64_MAX;
        rc = nw_chain_load(&reader->chain, &reader->env, false, &reader->error);
        if (rc != NORI_E_CORRUPT || attempt == 3)
            break;
    }
    if (rc < 0)
        return rc;
    check_control(reader);
    return nw_scan_measure_format1(&reader->env, &reader->chain, &reader->error);
}

static struct nw_link *find_link(struct nori_reader *reader, const struct nw_link *link)
{
    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++) {
        struct nw_link *other = &reader->chain.links[i];

        if (other->is_live && other->id == link->id && other->format == link->format &&
            (link->format == 1 || other->header.salt == link->header.salt))
            return other;
    }
    return NULL;
}

/* The live link that names `here` as its predecessor. */
static struct nw_link *find_successor(struct nori_reader *reader)
{
    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++) {
        struct nw_link *link = &reader->chain.links[i];

        if (!link->is_live || link->id <= reader->here.id)
            continue;
        if (link->format == 1)
            return reader->here.format == 1 ? link : NULL;
        if (reader->here.format == 1
                ? link->header.prev_salt == 0 && link->header.prev_id == reader->here.id
                : link->header.prev_salt == reader->here.header.salt)
            return link;
    }
    return NULL;
}

/* For good: whoever goes on must choose from where. */
static int truncated(struct nori_reader *reader)
{
    reader->is_truncated = true;
    return nw_error_set(&reader->error, NORI_E_TRUNCATED, 0, place_of(reader),
                        "what came next at %llu:%llu was removed by retention or truncation",
                        (unsigned long long)reader->here.id,
                        (unsigned long long)reader->cursor.offset);
}

/* Find our place in the chain as it is now. */
static int relocate(struct nori_reader *reader)
{
    const struct nw_link *link;
    int rc = load_chain(reader);

    if (rc < 0 || !reader->has_place)
        return rc;
    link = find_link(reader, &reader->here);
    if (link) {
        reader->here = *link;
    } else {
        link = find_successor(reader);
        if (!link)
            return truncated(reader);
        reader->here.end = link->format == 2 ? link->header.prev_end : reader->here.end;
    }
    if (reader->cursor.offset > reader->here.end)
        return truncated(reader);
    return NORI_OK;
}

/* Stand at the beginning of a link. */
static int enter_link(struct nori_reader *reader, const struct nw_link *link)
{
    struct nw_link copy = *link;
    struct nori_file *file = NULL;
    bool use_map = !(reader->config.flags & NORI_READER_PREAD);
    int rc = nw_link_open(&reader->env, &copy, 0, &file, &reader->error);

    if (rc == NORI_E_NOTFOUND && reader->has_place)
        return truncated(reader);
    if (rc < 0)
        return rc;
    if (use_map && file->ops->lock(file, NORI_LOCK_SHARED) < 0)
        use_map = false; /* the writer is trimming it: copy, then its length does not matter */
    leave_file(reader);
    reader->file = file;
    reader->here = copy;
    reader->has_place = true;
    reader->is_in_batch = false;
    reader->cursor.is_mapped = use_map;
    nw_cursor_restart(&reader->cursor, file, copy.format, copy.format == 2 ? copy.header.salt : 0,
                      copy.begin, nw_link_record_limit(&copy, reader->config.max_record_size));
    reader->sequence = copy.first_sequence;
    return NORI_OK;
}

/* The segment's stated end is reached: 1 if the reader went on in the successor. */
static int enter_successor(struct nori_reader *reader)
{
    const struct nw_link *next = find_successor(reader);
    uint64_t sequence = reader->sequence;
    int rc;

    if (!next) {
        rc = load_chain(reader);
        if (rc < 0)
            return rc;
        next = find_successor(reader);
    }
    if (!next && find_link(reader, &reader->here))
        return NORI_OK;
    if (!next)
        return truncated(reader);
    rc = enter_link(reader, next);
    if (rc < 0)
        return rc;
    if (reader->sequence == 0)
        reader->sequence = sequence;
    return 1;
}

static int enter_first(struct nori_reader *reader)
{
    int rc = load_chain(reader);

    if (rc < 0 || reader->chain.first_live == reader->chain.count)
        return rc;
    rc = enter_link(reader, &reader->chain.links[reader->chain.first_live]);
    return rc < 0 ? rc : 1;
}

/* ---- reading ---- */

static uint64_t header_watermark(const struct nori_reader *reader)
{
    uint64_t watermark = 0;

    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++) {
        const struct nw_link *link = &reader->chain.links[i];

        if (link->is_live && link->format == 2)
            watermark = nw_max_u64(watermark, nw_min_u64(link->header.durable_lsn, link->start));
    }
    return watermark;
}

/* What is known to be durable when nobody writes: from `control` if it is believed, else from the
 * headers and the last segment's marks, which are read once for each chain. */
static uint64_t watermark_without_writer(struct nori_reader *reader)
{
    const struct nw_link *last = nw_chain_last(&reader->chain);
    uint64_t watermark = nw_control_watermark(reader->control, &reader->chain);

    if (watermark > 0 || !last)
        return watermark;
    if (!reader->has_marks_lsn)
        reader->marks_lsn =
            nw_scan_watermark_behind(&reader->env, &reader->chain, last, last->begin);
    reader->has_marks_lsn = true;
    return nw_max_u64(header_watermark(reader), reader->marks_lsn);
}

/* How far this call may go: an LSN, and whether records below it are known to be whole. */
struct limit {
    uint64_t lsn;
    bool is_known;
};

static struct limit find_limit(struct nori_reader *reader)
{
    uint64_t lsn = published_limit(reader);
    struct limit known = {lsn, true};
    struct limit open = {UINT64_MAX, false};

    if (shows_durable_only(reader)) {
        /* What was durable stays so unless something is cut off: no system call for each record. */
        if (reader->has_place && lsn_of(reader) < reader->durable_lsn &&
            current_cut(reader) == reader->cut)
            return (struct limit){reader->durable_lsn, true};
        if (!reader->control || !is_writer_alive(reader))
            known.lsn = watermark_without_writer(reader);
        reader->durable_lsn = known.lsn;
        return known;
    }
    if (NW_PLANT("reader-ignores-limit"))
        return open;
    if (reader->control && (!reader->has_place || lsn_of(reader) < lsn || is_writer_alive(reader)))
        return known;
    return open;
}

/* At bad bytes: has the segment ended here meanwhile? 1 if the chain now says where it ends. */
static int has_end_now(struct nori_reader *reader)
{
    uint64_t end = reader->here.end;
    int rc;

    if (end == NW_OPEN_END && nw_chain_extend(&reader->chain, &reader->env)) {
        const struct nw_link *link = find_link(reader, &reader->here);

        reader->here.end = link ? link->end : end;
        return reader->here.end != end;
    }
    rc = relocate(reader);
    if (rc < 0)
        return rc;
    return reader->here.end != end;
}

/* Is all from here to the end of the file zero? Then a segment of format 1 that has a successor
 * ends here. */
static bool ends_in_zeros(struct nori_reader *reader)
{
    uint8_t chunk[4096];
    uint64_t offset = reader->cursor.offset;

    for (;;) {
        size_t got = 0;

        if (reader->file->ops->read(reader->file, chunk, sizeof chunk, offset, &got) < 0 ||
            nw_nonzero_len(chunk, got) > 0)
            return false;
        if (got < sizeof chunk)
            return true;
        offset += got;
    }
}

/* The highest LSN known to have been durable, as recovery would find it: marks behind the bad bytes
 * count, too (D6). Reading them all takes time, so what was found is kept for as long as the reader
 * stands here. */
static uint64_t believed_watermark(struct nori_reader *reader)
{
    uint64_t watermark = nw_control_watermark(reader->control, &reader->chain);

    if (reader->looked_from != lsn_of(reader)) {
        reader->looked_from = lsn_of(reader);
        reader->looked_watermark = nw_scan_watermark_behind(&reader->env, &reader->chain,
                                                            &reader->here, reader->cursor.offset);
    }
    watermark = nw_max_u64(watermark, reader->looked_watermark);
    return nw_max_u64(watermark, header_watermark(reader));
}

static int corrupt(struct nori_reader *reader)
{
    return nw_error_set(&reader->error, NORI_E_CORRUPT, 0, place_of(reader),
                        "segment %llu at %llu: these bytes are damaged",
                        (unsigned long long)reader->here.id,
                        (unsigned long long)reader->cursor.offset);
}

/* No record could be read at our place, below the limit. NORI_OK: try again. */
static int at_bad_bytes(struct nori_reader *reader, const struct limit *limit,
                        bool *has_looked_again)
{
    int rc = has_end_now(reader);

    if (rc < 0)
        return rc;
    if (rc > 0)
        return NORI_OK;
    if (!*has_looked_again) {
        *has_looked_again = true;
        nw_cursor_refresh(&reader->cursor);
        return NORI_OK;
    }
    if (reader->here.format == 1 && find_successor(reader)) {
        if (reader->here.end != NW_OPEN_END || !ends_in_zeros(reader))
            return corrupt(reader); /* it was complete once */
        reader->here.end = reader->cursor.offset;
        return NORI_OK;
    }
    if (limit->is_known && is_writer_alive(reader))
        return corrupt(reader);
    if (lsn_of(reader) < believed_watermark(reader))
        return corrupt(reader);
    if (reader->control) /* nothing comes here before a writer raises `cut` */
        reader->end_lsn = lsn_of(reader);
    return NORI_END;
}

/* D4: a batch is shown only if all of it is there and whole; the published limit may be older
 * than a power cut, and even durable bytes may be damaged. The cursor stands behind its first
 * record. */
static int check_batch(struct nori_reader *reader, uint64_t begin, struct nw_stored_record *record)
{
    int rc = 0;

    while (rc == 0 && nw_record_continues(record)) {
        rc = nw_cursor_next(&reader->cursor, record);
        if (rc == 0 && nw_record_is_control(record))
            rc = NW_CURSOR_BAD;
    }
    reader->cursor.offset = begin;
    return rc == 0 ? nw_cursor_next(&reader->cursor, record) : rc;
}

static int take_hole(struct nori_reader *reader, const struct nw_stored_record *record,
                     uint64_t offset)
{
    uint64_t hidden = record->stored_len >= 8 ? nw_get_u64(record->stored) : UINT64_MAX;

    reader->sequence = hidden == UINT64_MAX ? 0 : reader->sequence + hidden;
    return nw_error_set(
        &reader->error, NORI_E_CORRUPT, 0, (struct nori_position){reader->here.id, offset},
        "segment %llu at %llu: %llu bytes were damaged and set aside; reading goes on behind "
        "them",
        (unsigned long long)reader->here.id, (unsigned long long)offset,
        (unsigned long long)record->len);
}

/* 0: skipped. */
static int take_control(struct nori_reader *reader, const struct nw_stored_record *record,
                        uint64_t offset)
{
    struct nw_mark mark;
    int rc = nw_control_decode(record, reader->here.header.salt, &mark);

    if (rc == NW_CONTROL_IS_HOLE)
        return take_hole(reader, record, offset);
    if (rc == NORI_E_VERSION)
        return nw_error_set(&reader->error, rc, 0, (struct nori_position){reader->here.id, offset},
                            "segment %llu at %llu: a record of a newer version of the format",
                            (unsigned long long)reader->here.id, (unsigned long long)offset);
    if (rc == NW_CONTROL_IS_MARK && (reader->sequence == 0 || reader->is_in_batch))
        reader->sequence = mark.next_sequence;
    return rc < 0 ? corrupt(reader) : 0;
}

static int give_value(struct nori_reader *reader, const struct nw_stored_record *record,
                      struct nori_record *ret_record)
{
    uint64_t limit = nw_link_record_limit(&reader->here, reader->config.max_record_size);
    size_t len = 0;
    int rc;

    if (reader->here.format == 1) /* no header states one */
        limit = nw_max_u64(limit, NW_RECORD_MAX_DEFAULT);
    ret_record->value = record->stored;
    ret_record->value_len = (size_t)record->stored_len;
    if (record->compression == NORI_COMPRESSION_NONE)
        return NORI_OK;
    if (!reader->compressor)
        reader->compressor = nw_compressor_new(reader->env.allocator);
    if (!reader->compressor)
        return nw_no_memory(&reader->error);
    rc = nw_decompressed_len(record->compression, record->stored, (size_t)record->stored_len, limit,
                             &len);
    if (rc >= 0)
        rc = nw_buffer_reserve(&reader->value, len > 0 ? len : 1);
    if (rc >= 0)
        rc = nw_decompress(reader->compressor, record->compression, record->stored,
                           (size_t)record->stored_len, reader->value.data, len, &len);
    if (rc < 0)
        return nw_error_set(&reader->error, rc, 0, place_of(reader),
                            "segment %llu: decompress a value: %s",
                            (unsigned long long)reader->here.id, nori_strerror(rc));
    ret_record->value = reader->value.data;
    ret_record->value_len = len;
    return NORI_OK;
}

static int give_record(struct nori_reader *reader, const struct nw_stored_record *record,
                       struct nori_record *ret_record)
{
    memset(ret_record, 0, sizeof *ret_record);
    ret_record->key = record->key;
    ret_record->key_len = (size_t)record->key_len;
    ret_record->ttl_ms = record->ttl_ms;
    ret_record->time_ms = record->time_ms;
    ret_record->version_term = record->version_term;
    ret_record->version_index = record->version_index;
    ret_record->compression = record->compression;
    ret_record->sequence = reader->sequence;
    if (record->flags & NW_FLAG_TOMBSTONE)
        ret_record->flags |= NORI_RECORD_TOMBSTONE;
    if (record->flags & NW_FLAG_TTL)
        ret_record->flags |= NORI_RECORD_TTL;
    if (record->flags & NW_FLAG_TIME)
        ret_record->flags |= NORI_RECORD_TIME;
    if (record->flags & NW_FLAG_VERSION)
        ret_record->flags |= NORI_RECORD_VERSION;
    if (nw_record_continues(record))
        ret_record->flags |= NORI_RECORD_BATCH_CONTINUES;
    return give_value(reader, record, ret_record);
}

/* The record at `begin`, and the batch that it begins. */
static int read_whole(struct nori_reader *reader, uint64_t begin, uint64_t limit_lsn,
                      struct nw_stored_record *ret_record)
{
    int rc;

    reader->cursor.offset = begin;
    reader->cursor.stop = nw_min_u64(reader->here.end, limit_lsn - reader->here.start);
    rc = nw_cursor_next(&reader->cursor, ret_record);
    if (rc == 0 && !reader->is_in_batch && nw_record_continues(ret_record))
        rc = check_batch(reader, begin, ret_record);
    return rc;
}

/* The stored record at our place, below the limit. NORI_OK with ret_record->len = 0: look again. */
static int read_stored(struct nori_reader *reader, const struct limit *limit,
                       bool *has_looked_again, struct nw_stored_record *ret_record)
{
    uint64_t begin = reader->cursor.offset;
    int rc;

    ret_record->len = 0;
    if (begin >= reader->here.end) {
        rc = enter_successor(reader);
        *has_looked_again = false;
        return rc == 1 ? NORI_OK : rc == 0 ? NORI_END : rc;
    }
    if (lsn_of(reader) >= limit->lsn || (!limit->is_known && lsn_of(reader) == reader->end_lsn))
        return NORI_END;
    rc = read_whole(reader, begin, limit->lsn, ret_record);
    /* A limit that no writer stands behind may be one of an earlier life, inside a record. */
    if (rc == NW_CURSOR_SHORT && !shows_durable_only(reader) && !is_writer_alive(reader))
        rc = read_whole(reader, begin, UINT64_MAX, ret_record);
    if (rc == 0)
        return NORI_OK;
    reader->cursor.offset = begin;
    ret_record->len = 0;
    if (rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD)
        return at_bad_bytes(reader, limit, has_looked_again);
    return nw_io_error(&reader->error, rc, place_of(reader), "read segment %llu at %llu",
                       (unsigned long long)reader->here.id, (unsigned long long)begin);
}

static int read_next(struct nori_reader *reader, struct nori_record *ret_record,
                     struct nori_position *ret_position)
{
    bool has_looked_again = false;

    if (reader->is_truncated)
        return truncated(reader);
    for (;;) {
        struct limit limit = find_limit(reader); /* first */
        struct nw_stored_record record;
        uint64_t offset;
        int rc;

        if (current_cut(reader) != reader->cut && reader->has_place) { /* second */
            rc = relocate(reader);
            if (rc < 0)
                return rc;
            continue; /* the limit is one of the life before */
        }
        if (!reader->has_place) {
            rc = enter_first(reader);
            if (rc != 1)
                return rc < 0 ? rc : NORI_END;
            continue;
        }
        rc = read_stored(reader, &limit, &has_looked_again, &record);
        if (rc != NORI_OK)
            return rc;
        if (record.len == 0)
            continue;
        offset = reader->cursor.offset - record.len;
        if (nw_record_is_control(&record)) {
            rc = take_control(reader, &record, offset);
            if (rc < 0)
                return rc;
            continue;
        }
        rc = give_record(reader, &record, ret_record);
        if (rc < 0) {
            reader->cursor.offset = offset;
            return rc;
        }
        reader->is_in_batch = nw_record_continues(&record);
        reader->sequence += reader->sequence != 0;
        *ret_position = (struct nori_position){reader->here.id, offset};
        return NORI_OK;
    }
}

/* ---- opening at a position ---- */

static int no_such_place(struct nori_reader *reader, struct nori_position position, const char *why)
{
    return nw_error_set(
        &reader->error, NORI_E_NOTFOUND, 0, position, "no record begins at %llu:%llu: %s",
        (unsigned long long)position.segment_id, (unsigned long long)position.offset, why);
}

/* Count records from a place that is one to `offset`. */
static int walk_to(struct nori_reader *reader, struct nori_position position)
{
    while (reader->cursor.offset < position.offset) {
        struct nw_stored_record record;
        int rc = nw_cursor_next(&reader->cursor, &record);

        if (rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD)
            return no_such_place(reader, position, "it lies behind the end, or in damaged bytes");
        if (rc < 0)
            return nw_io_error(&reader->error, rc, position, "read segment %llu",
                               (unsigned long long)position.segment_id);
        if (nw_record_is_control(&record))
            continue;
        reader->sequence += reader->sequence != 0;
        reader->is_in_batch = nw_record_continues(&record);
    }
    if (reader->cursor.offset > position.offset)
        return no_such_place(reader, position, "it lies inside a record");
    return NORI_OK;
}

static int go_to(struct nori_reader *reader, struct nori_position position)
{
    struct nw_link *link = NULL;
    struct limit limit;
    uint64_t offset;
    uint64_t sequence;
    int rc;

    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++)
        if (reader->chain.links[i].is_live && reader->chain.links[i].id == position.segment_id)
            link = &reader->chain.links[i];
    if (!link)
        return no_such_place(reader, position, "there is no such segment");
    rc = enter_link(reader, link);
    if (rc < 0)
        return rc;
    limit = find_limit(reader);
    if (position.offset > reader->here.end ||
        (limit.is_known && !shows_durable_only(reader) && position.offset > reader->here.begin &&
         reader->here.start + position.offset > limit.lsn))
        return no_such_place(reader, position, "it lies behind the end");
    if (position.offset <= reader->here.begin)
        return NORI_OK;
    rc = nw_scan_find_mark_before(&reader->here, reader->chain.log_id, reader->file,
                                  reader->env.allocator, position.offset, &offset, &sequence);
    if (rc < 0)
        return nw_io_error(&reader->error, rc, position, "read segment %llu",
                           (unsigned long long)position.segment_id);
    reader->cursor.offset = offset;
    reader->sequence = reader->here.format == 1 ? reader->here.first_sequence : sequence;
    return walk_to(reader, position);
}

static int find_start(struct nori_reader *reader, struct nori_position position)
{
    int rc = load_chain(reader);

    if (rc < 0)
        return rc;
    if (position.segment_id != 0 || position.offset != 0)
        return go_to(reader, position);
    rc = enter_first(reader);
    if (rc == 0 && !reader->control && !reader->chain.has_ids)
        return nw_error_set(&reader->error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                            "there is no log in this folder");
    return rc < 0 ? rc : NORI_OK;
}

static int normalise(const struct nori_reader_config *config, struct nori_reader_config *ret_config,
                     struct nori_error *error)
{
    struct nori_reader_config full = NORI_READER_CONFIG_INIT;

    if (config && config->size < sizeof full.size)
        return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "reader: config.size is not set: use NORI_READER_CONFIG_INIT");
    if (config)
        memcpy(&full, config, config->size < sizeof full ? config->size : sizeof full);
    if (full.visibility > NORI_VISIBLE_DURABLE || (full.flags & ~NORI_READER_PREAD) ||
        full.max_record_size > NW_RECORD_MAX)
        return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "reader: a field is out of range");
    full.vfs = full.vfs ? full.vfs : nori_vfs_posix();
    full.allocator = full.allocator ? full.allocator : nori_allocator_malloc();
    *ret_config = full;
    return NORI_OK;
}

static struct nori_reader *new_reader(const struct nori_reader_config *config,
                                      struct nori_folder *folder)
{
    struct nori_reader *reader = nw_alloc_zero(config->allocator, sizeof *reader);

    if (!reader)
        return NULL;
    reader->config = *config;
    reader->env = (struct nw_env){config->vfs, config->allocator, folder};
    reader->process_generation = config->vfs->process_generation(config->vfs->context);
    reader->error = (struct nori_error)NORI_ERROR_INIT;
    nw_chain_init(&reader->chain, config->allocator);
    nw_buffer_init(&reader->value, config->allocator, (size_t)NW_RECORD_MAX + 1);
    nw_cursor_begin(&reader->cursor, config->allocator, NULL, 2, 0, 0, 0, false);
    return reader;
}

static void free_reader(struct nori_reader *reader)
{
    leave_file(reader);
    nw_cursor_done(&reader->cursor);
    nw_chain_done(&reader->chain);
    nw_compressor_free(reader->compressor);
    nw_buffer_done(&reader->value);
    nw_control_unref(reader->control);
    reader->env.folder->ops->close(reader->env.folder);
    nw_free(reader->env.allocator, reader);
}

/* Takes over folder and control, also on failure. */
static int open_reader(const struct nori_reader_config *config, struct nori_folder *folder,
                       struct nw_control *control, struct nori_position position,
                       struct nori_reader **ret_reader, struct nori_error *error)
{
    struct nori_reader *reader = new_reader(config, folder);
    int rc;

    if (!reader) {
        folder->ops->close(folder);
        nw_control_unref(control);
        return nw_no_memory(error);
    }
    reader->control = control;
    rc = find_start(reader, position);
    if (rc < 0) {
        nw_error_copy(error, &reader->error);
        free_reader(reader);
        return rc;
    }
    *ret_reader = reader;
    return NORI_OK;
}

int nori_reader_open_with(const char *dir, const struct nori_reader_config *config,
                          struct nori_position position, nori_reader **ret_reader,
                          struct nori_error *ret_error)
{
    struct nori_reader_config full;
    struct nori_folder *folder = NULL;
    int rc;

    if (!dir || !ret_reader)
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "reader: dir or ret_reader is NULL");
    rc = normalise(config, &full, ret_error);
    if (rc < 0)
        return rc;
    rc = full.vfs->open_folder(full.vfs->context, dir, 0, 0, &folder);
    if (rc < 0)
        return nw_io_error(ret_error, rc, NW_NOWHERE, "open %s", dir);
    return open_reader(&full, folder, NULL, position, ret_reader, ret_error);
}

int nori_reader_open(const char *dir, struct nori_position position, nori_reader **ret_reader,
                     struct nori_error *ret_error)
{
    return nori_reader_open_with(dir, NULL, position, ret_reader, ret_error);
}

int nori_wal_read_with(nori_wal *wal, const struct nori_reader_config *config,
                       struct nori_position position, nori_reader **ret_reader)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_reader_config full;
    struct nori_folder *folder = NULL;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (!ret_reader)
        return nw_log_leave(wal, NORI_E_INVALID, &error);
    rc = normalise(config, &full, &error);
    if (rc >= 0) {
        if (!config || !NW_HAS_MEMBER(config, vfs) || !config->vfs)
            full.vfs = wal->env.vfs;
        if (!config || !NW_HAS_MEMBER(config, allocator) || !config->allocator)
            full.allocator = wal->env.allocator;
        full.max_record_size = nw_max_u64(full.max_record_size, wal->config.max_record_size);
        /* By handle, not by path: the process may have gone to another folder since. */
        rc = wal->env.folder->ops->open_folder(wal->env.folder, ".", 0, 0, &folder);
        if (rc < 0)
            rc = nw_io_error(&error, rc, NW_NOWHERE, "read %s", wal->config.dir);
    }
    if (rc >= 0)
        rc = open_reader(&full, folder, nw_control_ref(wal->control), position, ret_reader, &error);
    return nw_log_leave(wal, rc, &error);
}

int nori_wal_read_from(nori_wal *wal, struct nori_position position, nori_reader **ret_reader)
{
    return nori_wal_read_with(wal, NULL, position, ret_reader);
}

int nori_wal_first_position(nori_wal *wal, struct nori_position *ret_position)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position position;
    int rc = ret_position ? NORI_OK : NORI_E_INVALID;

    if (rc >= 0)
        rc = nori_wal_read_from(wal, (struct nori_position){0, 0}, &reader);
    if (rc < 0)
        return rc;
    rc = read_next(reader, &record, &position);
    if (rc == NORI_OK)
        *ret_position = position;
    if (rc == NORI_END)
        rc = nw_error_set(&error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "the log holds no record");
    else if (rc < 0)
        nw_error_copy(&error, &reader->error);
    free_reader(reader);
    if (rc < 0 && nw_log_enter(wal) == NORI_OK)
        (void)nw_log_leave(wal, rc, &error);
    return rc;
}

/* ---- the public calls on a reader ---- */

static bool is_usable(const struct nori_reader *reader)
{
    return reader && reader->env.vfs->process_generation(reader->env.vfs->context) ==
                         reader->process_generation;
}

int nori_reader_next(nori_reader *reader, struct nori_record *ret_record,
                     struct nori_position *ret_position)
{
    struct nori_record record;
    struct nori_position position;
    int rc;

    if (!is_usable(reader) || !ret_record)
        return NORI_E_INVALID;
    if (reader->has_next) {
        reader->has_next = false;
        rc = reader->next_rc;
        *ret_record = rc == NORI_OK ? reader->next : *ret_record;
        position = reader->next_position;
    } else {
        rc = read_next(reader, &record, &position);
        if (rc == NORI_OK)
            *ret_record = record;
    }
    if (rc == NORI_OK && ret_position)
        *ret_position = position;
    return rc;
}

/* Sleep until the writer has news, or a while has gone by. */
static void sleep_for_news(struct nori_reader *reader, uint32_t news, uint64_t left_ns)
{
    static const uint32_t never_changes = 0;

    if (reader->control && is_writer_alive(reader))
        nw_control_wait(reader->control, news, nw_min_u64(left_ns, SLICE_NS));
    else
        (void)reader->env.vfs->word_wait(reader->env.vfs->context, &never_changes, 0,
                                         nw_min_u64(left_ns, POLL_NS));
}

int nori_reader_wait(nori_reader *reader, int64_t timeout_ms)
{
    const struct nori_vfs *vfs;
    uint64_t deadline_ns = UINT64_MAX;

    if (!is_usable(reader) || timeout_ms < -1)
        return NORI_E_INVALID;
    vfs = reader->env.vfs;
    if (timeout_ms >= 0 && timeout_ms < INT64_MAX / 2000000)
        deadline_ns = vfs->monotonic_ns(vfs->context) + (uint64_t)timeout_ms * 1000000;
    while (!reader->has_next) {
        uint32_t news = 0;
        uint64_t now_ns;

        if (reader->control) {
            news = __atomic_load_n(&reader->control->words->news, __ATOMIC_SEQ_CST);
            if (reader->control->is_writable)
                atomic_store(&reader->control->words->is_awaited, 1); /* then look once more */
        }
        reader->next_rc = read_next(reader, &reader->next, &reader->next_position);
        reader->has_next = reader->next_rc != NORI_END;
        now_ns = vfs->monotonic_ns(vfs->context);
        if (!reader->has_next && now_ns >= deadline_ns)
            return NORI_E_TIMEOUT;
        if (!reader->has_next)
            sleep_for_news(reader, news, deadline_ns - now_ns);
    }
    return NORI_OK;
}

int nori_reader_last_error(nori_reader *reader, struct nori_error *ret_error)
{
    if (!is_usable(reader) || !ret_error)
        return NORI_E_INVALID;
    if (reader->error.code == 0)
        return NORI_END;
    nw_error_copy(ret_error, &reader->error);
    return NORI_OK;
}

void nori_reader_close(nori_reader *reader)
{
    if (is_usable(reader))
        free_reader(reader);
}
