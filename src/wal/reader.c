/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader.c: the records of a log, in order, beside a live writer or none (D11).
 *
 * What. A reader stands at a place in a segment of the chain it has loaded. It returns the records
 * there as long as they lie below its limit: the written (or durable) position that a live writer
 * publishes in `control`. Without a live writer it goes as far as recovery would: batch by batch as
 * long as they are whole. Nor is there one beside a recovery: a writer announces itself when its
 * words in `control` are its own. At a segment's stated end it goes on in the successor.
 *
 * Change. A writer raises `cut` whenever bytes that could have been read no longer count: at open,
 * when its first header says where the log of before ends, at truncation, and when a failed write
 * ended a segment. The reader loads the limit first and `cut` second; if that has changed it walks
 * the chain anew, and if its place is no longer on it, it says so (NORI_E_TRUNCATED). Retention
 * raises nothing: a reader keeps the file it is in, and finds out when it cannot find the next.
 *
 * Bad bytes. Below the limit they are first looked at again with the chain as it is now: the
 * segment may have ended there, the page may have been mapped before it was there. Then, beside a
 * live writer, they are corrupt; beside none they are corrupt below the watermark and the end of
 * the log above it (D6).
 *
 * Loan. A reader that a log's own handle opened begins in a map of the handle, without a call of
 * the seam (maps.c). It reads there what is known to be whole; whatever else comes up, the end of
 * what is lent, bad bytes, another segment, it meets as any reader, with the chain and the file.
 *
 * Threads. One at a time. Nothing is shared with the writer but `control`, the files, and their
 * locks: a shared lock on the open segment keeps the writer from trimming what is mapped. What is
 * lent needs none.
 *
 * Not here. Opening at a position: reader_open.c. Going from one segment to the next:
 * reader_place.c.
 */
#include "wal/reader.h"

#include "base/plant.h"
#include "format/control_record.h"
#include "wal/judge.h"
#include "wal/scan.h"

#include <string.h>

#define POLL_NS  ((uint64_t)10000000)  /* between looks where nobody can wake us */
#define SLICE_NS ((uint64_t)500000000) /* a longest sleep: the writer may have died */

/* ---- what is known ---- */

/* The published limit as an LSN; 0 if nobody publishes one. */
static uint64_t published_limit(const struct nori_reader *reader)
{
    const struct nw_control_words *words = reader->control ? reader->control->words : NULL;

    if (!words)
        return 0;
    return atomic_load(nw_reader_shows_durable_only(reader) ? &words->durable : &words->published);
}

/* What is known to be durable when nobody writes: from `control` if it is believed, else from the
 * headers and the last segment's marks, which are read once for each chain, and again where they
 * end (has_more_marks). */
static int watermark_without_writer(struct nori_reader *reader, uint64_t *ret_lsn)
{
    const struct nw_link *last = nw_chain_last(&reader->chain);
    int rc;

    *ret_lsn = nw_control_watermark(reader->control, &reader->chain);
    if (*ret_lsn > 0 || !last)
        return NORI_OK;
    if (!reader->has_marks_lsn) {
        rc = nw_scan_watermark_behind(&reader->env, &reader->chain, last, last->begin,
                                      &reader->marks_lsn, &reader->error);
        if (rc < 0)
            return rc; /* the end of what is durable would be a guess */
    }
    reader->has_marks_lsn = true;
    *ret_lsn = nw_max_u64(nw_chain_watermark(&reader->chain), reader->marks_lsn);
    return NORI_OK;
}

static int find_durable_limit(struct nori_reader *reader, struct nw_reader_limit *ret_limit)
{
    uint64_t lsn = published_limit(reader);
    int rc = NORI_OK;

    /* What was durable stays so unless something is cut off: no system call for each record. */
    if (reader->has_place && nw_reader_lsn(reader) < reader->durable_lsn &&
        nw_reader_current_cut(reader) == reader->cut) {
        lsn = reader->durable_lsn;
    } else {
        rc = reader->control ? nw_reader_ask_writer(reader) : 0;
        if (rc == 0)
            rc = watermark_without_writer(reader, &lsn);
    }
    if (rc < 0)
        return rc;
    reader->durable_lsn = lsn;
    *ret_limit = (struct nw_reader_limit){lsn, true};
    return NORI_OK;
}

int nw_reader_find_limit(struct nori_reader *reader, struct nw_reader_limit *ret_limit)
{
    uint64_t lsn = published_limit(reader);
    int is_limited;

    if (nw_reader_shows_durable_only(reader))
        return find_durable_limit(reader, ret_limit);
    *ret_limit = (struct nw_reader_limit){UINT64_MAX, false};
    if (NW_PLANT("reader-ignores-limit"))
        return NORI_OK;
    if (!reader->control)
        return NORI_OK;
    is_limited =
        !reader->has_place || nw_reader_lsn(reader) < lsn ? 1 : nw_reader_ask_writer(reader);
    if (is_limited == 1)
        *ret_limit = (struct nw_reader_limit){lsn, true};
    return is_limited < 0 ? is_limited : NORI_OK;
}

/*
 * At the durable limit, and nobody writes: did a writer begin segments since the chain was loaded,
 * and close? That raises no `cut`, and beside no writer there are no bad bytes to be met below the
 * limit, which knows only what is on the chain. Once for each segment that `control` names. 1 or 0,
 * or why that cannot be told.
 */
static int is_chain_old(struct nori_reader *reader, const struct nw_reader_limit *limit)
{
    uint64_t salt;
    int rc;

    if (!nw_reader_shows_durable_only(reader) || !reader->control ||
        nw_reader_lsn(reader) < limit->lsn)
        return 0;
    salt = atomic_load(&reader->control->words->durable_salt);
    if (salt == reader->salt_asked_for || nw_chain_find_salt(&reader->chain, salt))
        return 0;
    rc = nw_reader_ask_writer(reader);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    reader->salt_asked_for = salt;
    return 1;
}

/* At bad bytes: has the segment ended here meanwhile? 1 if the chain now says where it ends, or the
 * reader stands in another. */
static int has_end_now(struct nori_reader *reader)
{
    uint64_t end = reader->here.end;
    uint64_t id = reader->here.id;
    int rc;

    /* A successor of format 1 says only that there is an end. */
    if (end == NW_OPEN_END && reader->here.format == 1 &&
        (nw_reader_find_successor(reader) || (nw_reader_find_link(reader, &reader->here) &&
                                              nw_chain_extend(&reader->chain, &reader->env))))
        return 0;
    if (end == NW_OPEN_END && nw_chain_extend(&reader->chain, &reader->env)) {
        const struct nw_link *link = nw_reader_find_link(reader, &reader->here);

        if (link) { /* else it was dropped: then our place tells */
            reader->here.end = link->end;
            return reader->here.end != end;
        }
    }
    rc = nw_reader_relocate(reader);
    if (rc < 0)
        return rc;
    return reader->here.id != id || reader->here.end != end;
}

/* The highest LSN known to have been durable, as recovery would find it: marks behind the bad bytes
 * count, too (D6). Reading them all takes time, so what was found is kept for as long as the reader
 * stands here. */
static int believed_watermark(struct nori_reader *reader, uint64_t *ret_lsn)
{
    uint64_t watermark = nw_control_watermark(reader->control, &reader->chain);
    int rc;

    if (reader->looked_from != nw_reader_lsn(reader)) {
        rc = nw_scan_watermark_behind(&reader->env, &reader->chain, &reader->here,
                                      reader->cursor.offset, &reader->looked_watermark,
                                      &reader->error);
        if (rc < 0 && !NW_PLANT("unread-is-torn"))
            return rc; /* damage must not pass for the end of the log */
        reader->looked_from = nw_reader_lsn(reader);
    }
    watermark = nw_max_u64(watermark, reader->looked_watermark);
    *ret_lsn = nw_max_u64(watermark, nw_chain_watermark(&reader->chain));
    return NORI_OK;
}

static int corrupt(struct nori_reader *reader)
{
    return nw_error_set(&reader->error, NORI_E_CORRUPT, 0, nw_reader_place(reader),
                        "segment %llu at %llu: these bytes are damaged",
                        (unsigned long long)reader->here.id,
                        (unsigned long long)reader->cursor.offset);
}

/* At the end, or at bad bytes: does our control tell of the writer? One that could not store to it
 * has made another, and stores nothing here any more. Then the chain is loaded with that (D11).
 * What the log's own handle maps is the writer's. */
bool nw_reader_has_lost_control(struct nori_reader *reader)
{
    struct nori_file *file = reader->control ? reader->control->file : NULL;
    struct nori_file_info info = {0};

    if (!file || reader->shared || file->ops->stat(file, &info) < 0 || info.link_count > 0)
        return false;
    nw_control_unref(reader->control);
    reader->control = NULL;
    reader->is_lost = true;
    return true;
}

/*
 * Bad bytes below a limit that a writer has published, and there is one: corrupt, if it is that
 * writer's limit. It may have come since the limit was loaded, and have found its end right here.
 * It raises `cut` before and behind its words, and announces itself last; the limit was loaded
 * first, `cut` second, and whether it has announced itself was asked last. So if `cut` is still the
 * same, the limit is of its life.
 */
static bool is_limit_of_before(struct nori_reader *reader, uint32_t cut, uint32_t history)
{
    return nw_reader_current_cut(reader) != cut || nw_reader_current_history(reader) != history ||
           nw_reader_has_lost_control(reader);
}

/* No record could be read at our place, below the limit. NORI_OK: try again. */
static int at_bad_bytes(struct nori_reader *reader, const struct nw_reader_limit *limit,
                        bool *has_looked_again)
{
    uint32_t cut = reader->cut; /* as the limit was loaded; the chain may come with another */
    uint32_t history = reader->history;
    struct nw_link *next;
    bool is_asked_first;
    uint64_t watermark;
    int rc = *has_looked_again ? 0 : nw_reader_ask_ring(reader);

    if (rc == 0)
        rc = has_end_now(reader);

    if (rc < 0)
        return rc;
    if (rc > 0)
        return NORI_OK;
    if (!*has_looked_again) {
        *has_looked_again = true;
        nw_cursor_refresh(&reader->cursor);
        return NORI_OK;
    }
    next = reader->here.format == 1 ? nw_reader_find_successor(reader) : NULL;
    if (next) {
        if (reader->here.end != NW_OPEN_END ||
            !nw_scan_is_zero_from(reader->file, reader->cursor.offset))
            return corrupt(reader); /* it was complete once */
        reader->here.end = reader->cursor.offset;
        if (next->format == 1) {
            next->start = nw_reader_lsn(reader);
            next->first_sequence = reader->sequence;
        }
        return NORI_OK;
    }
    rc = limit->is_known ? nw_reader_ask_writer(reader) : 0;
    if (rc == 1 && !NW_PLANT("believe-limit-of-before") &&
        is_limit_of_before(reader, cut, history)) {
        *has_looked_again = false;
        return NORI_OK;
    }
    if (rc != 0)
        return rc < 0 ? rc : corrupt(reader);
    is_asked_first = reader->looked_from != nw_reader_lsn(reader);
    rc = believed_watermark(reader, &watermark);
    if (rc < 0)
        return rc;
    if (nw_reader_lsn(reader) < watermark) {
        if (!is_asked_first)
            return corrupt(reader);
        /* Nobody publishes a limit, so the bytes may have been in the middle of being written when
         * they were looked at, and durable when the marks were. From here on they must be whole. */
        nw_cursor_refresh(&reader->cursor);
        return NORI_OK;
    }
    if (reader->control) /* nothing comes here before a writer raises `cut` */
        reader->end_lsn = nw_reader_lsn(reader);
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

static int tell_hole(struct nori_reader *reader, const struct nw_stored_record *record,
                     uint64_t offset)
{
    return nw_error_set(
        &reader->error, NORI_E_CORRUPT, 0, (struct nori_position){reader->here.id, offset},
        "segment %llu at %llu: %llu bytes were damaged and set aside; reading goes on behind "
        "them",
        (unsigned long long)reader->here.id, (unsigned long long)offset,
        (unsigned long long)record->len);
}

/* A control record that verifies may still be one that no writer puts there. */
static bool is_bad_control(const struct nori_reader *reader, const struct nw_stored_record *record,
                           uint64_t offset)
{
    struct nw_mark mark;
    int rc = nw_control_decode(record, reader->here.header.salt, &mark);

    if (rc == NW_CONTROL_IS_HOLE && nw_hole_hidden(record) == NW_HOLE_UNKNOWN)
        return false;
    if (rc == NW_CONTROL_IS_HOLE)
        return nw_hole_hidden(record) > NW_NUMBER_MAX ||
               reader->sequence > NW_NUMBER_MAX - nw_hole_hidden(record);
    return rc == NORI_E_CORRUPT ||
           (rc == NW_CONTROL_IS_MARK &&
            !nw_mark_is_credible(&mark, reader->here.header.log_id, reader->here.start + offset));
}

/* 0: skipped. */
static int take_control(struct nori_reader *reader, const struct nw_stored_record *record,
                        uint64_t offset)
{
    struct nw_mark mark;
    int rc = nw_control_decode(record, reader->here.header.salt, &mark);

    reader->sequence = nw_control_count(record, reader->here.header.salt, reader->sequence);
    if (rc == NW_CONTROL_IS_HOLE)
        return tell_hole(reader, record, offset);
    if (rc == NORI_E_VERSION)
        return nw_error_set(&reader->error, rc, 0, (struct nori_position){reader->here.id, offset},
                            "segment %llu at %llu: a record of a newer version of the format",
                            (unsigned long long)reader->here.id, (unsigned long long)offset);
    return NORI_OK;
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
        return nw_error_set(
            &reader->error, rc, 0,
            (struct nori_position){reader->here.id, reader->cursor.offset - record->len},
            "segment %llu at %llu: decompress a value: %s", (unsigned long long)reader->here.id,
            (unsigned long long)(reader->cursor.offset - record->len), nori_strerror(rc));
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
    if (rc == 0 && nw_record_is_control(ret_record) && is_bad_control(reader, ret_record, begin))
        rc = NW_CURSOR_BAD;
    return rc;
}

/* The stored record at our place, below the limit. NORI_OK with ret_record->len = 0: look again. */
static int read_stored(struct nori_reader *reader, const struct nw_reader_limit *limit,
                       bool *has_looked_again, struct nw_stored_record *ret_record)
{
    uint64_t begin = reader->cursor.offset;
    uint64_t file_end;
    int rc;

    ret_record->len = 0;
    if (begin > reader->here.end) /* the chain says so only now: what was read last is cut off */
        return nw_reader_truncated(reader);
    if (begin == reader->here.end) {
        rc = nw_reader_enter_successor(reader);
        *has_looked_again = false;
        return rc == 1 ? NORI_OK : rc == 0 ? NORI_END : rc;
    }
    if (!reader->file && begin >= reader->lent_end)
        return nw_reader_take_file(reader);
    if (nw_reader_lsn(reader) >= limit->lsn ||
        (!limit->is_known && nw_reader_lsn(reader) == reader->end_lsn))
        return NORI_END;
    file_end = nw_reader_file_end(reader);
    if (reader->file && nw_reader_lsn(reader) >= file_end) {
        rc = nw_reader_ask_ring(reader);
        if (rc < 0)
            return rc;
        file_end = nw_reader_file_end(reader); /* it has moved, or bad bytes follow */
    }
    if (nw_reader_lsn(reader) >= file_end)
        file_end = UINT64_MAX;
    rc = read_whole(reader, begin, nw_min_u64(limit->lsn, file_end), ret_record);
    /* A position that no writer stands behind may be one of an earlier life, inside a record. */
    if (rc == NW_CURSOR_SHORT && reader->file &&
        (file_end < limit->lsn || !nw_reader_shows_durable_only(reader))) {
        int is_alive = nw_reader_ask_writer(reader);

        if (is_alive < 0)
            return is_alive;
        if (!is_alive)
            rc = read_whole(reader, begin,
                            nw_reader_shows_durable_only(reader) ? limit->lsn : UINT64_MAX,
                            ret_record);
    }
    if (rc == 0)
        return NORI_OK;
    reader->cursor.offset = begin;
    ret_record->len = 0;
    if ((rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD) && !reader->file)
        return nw_reader_take_file(reader); /* which is looked at with all that is known */
    if (rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD)
        return at_bad_bytes(reader, limit, has_looked_again);
    return nw_io_error(&reader->error, rc, nw_reader_place(reader), "read segment %llu at %llu",
                       (unsigned long long)reader->here.id, (unsigned long long)begin);
}

/* At the durable limit, and nobody publishes one: `control` is missing, or of another log. Marks
 * and headers may tell more by now, in segments that are new, too. 1 or 0, or why that cannot be
 * told. */
static int has_more_marks(struct nori_reader *reader, const struct nw_reader_limit *limit)
{
    int rc;

    if (!nw_reader_shows_durable_only(reader) || reader->control)
        return 0;
    rc = nw_reader_relocate(reader);
    if (rc >= 0)
        rc = nw_scan_watermark_behind(&reader->env, &reader->chain, &reader->here,
                                      reader->cursor.offset, &reader->marks_lsn, &reader->error);
    if (rc < 0)
        return rc;
    reader->has_marks_lsn = true;
    return reader->control || reader->marks_lsn > limit->lsn ||
           nw_chain_watermark(&reader->chain) > limit->lsn;
}

/* At the end of a log whose newest file holds nothing: has that lost its header, as recovery would
 * find (D6)? A writer may just have put one there: it raises `cut` before its words tell of it.
 * NORI_OK: look again. */
static int check_lost_header(struct nori_reader *reader)
{
    const struct nw_link *last = nw_chain_last(&reader->chain);
    int rc;

    if (!last || last->format != 1 || last->start != nw_reader_lsn(reader) ||
        !nw_control_has_format2_behind(reader->control, last->start))
        return NORI_END;
    rc = nw_reader_ask_writer(reader);
    if (rc != 0)
        return rc < 0 ? rc : NORI_END;
    if (nw_reader_current_cut(reader) != reader->cut)
        return NORI_OK;
    return nw_error_set(
        &reader->error, NORI_E_CORRUPT, 0, nw_reader_place(reader),
        "segment %llu at 0: its header is lost: durable records of format 2 were here",
        (unsigned long long)reader->here.id);
}

/* Nothing is left to read, it seems. NORI_OK: look again. */
static int at_end(struct nori_reader *reader, const struct nw_reader_limit *limit)
{
    int rc;

    if (nw_reader_has_lost_control(reader))
        return NORI_OK;
    rc = has_more_marks(reader, limit);
    if (rc != 0)
        return rc < 0 ? rc : NORI_OK;
    return check_lost_header(reader);
}

int nw_reader_read(struct nori_reader *reader, struct nori_record *ret_record,
                   struct nori_position *ret_position)
{
    bool has_looked_again = false;

    if (reader->is_truncated)
        return nw_reader_truncated(reader);
    for (;;) {
        struct nw_reader_limit limit;
        struct nw_stored_record record;
        uint64_t offset;
        int rc = NORI_OK;

        if (reader->is_lost && reader->has_place)
            rc = nw_reader_relocate(reader);
        if (rc >= 0)
            rc = nw_reader_find_limit(reader, &limit); /* first */
        if (rc >= 0 && reader->has_place)              /* second */
            rc = nw_reader_current_cut(reader) != reader->cut ? 1 : is_chain_old(reader, &limit);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            rc = nw_reader_relocate(reader);
            if (rc < 0)
                return rc;
            continue; /* the limit is one of the life before */
        }
        if (!reader->has_place) {
            rc = nw_reader_enter_first(reader);
            if (rc != 1)
                return rc < 0 ? rc : NORI_END;
            continue;
        }
        rc = read_stored(reader, &limit, &has_looked_again, &record);
        if (rc == NORI_END) {
            record.len = 0;
            rc = at_end(reader, &limit);
        }
        if (rc != NORI_OK)
            return rc;
        if (record.len == 0)
            continue;
        offset = reader->cursor.offset - record.len;
        if (nw_record_is_control(&record)) {
            rc = take_control(reader, &record, offset);
            if (rc < 0)
                return rc;
            has_looked_again = false;
            continue;
        }
        rc = give_record(reader, &record, ret_record);
        if (rc < 0 && rc != NORI_E_CORRUPT) {
            reader->cursor.offset = offset;
            return rc;
        }
        reader->is_in_batch = nw_record_continues(&record);
        reader->sequence += reader->sequence != 0;
        if (rc < 0)
            return rc; /* its value is bad; but where it ends its checksum vouches for */
        *ret_position = (struct nori_position){reader->here.id, offset};
        return NORI_OK;
    }
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
        rc = nw_reader_read(reader, &record, &position);
        if (rc == NORI_OK)
            *ret_record = record;
    }
    if (rc == NORI_OK && ret_position)
        *ret_position = position;
    return rc;
}

/* Sleep until the writer has news, or a while has gone by. told: the control that knows that
 * somebody waits, and what its news was before. */
static void sleep_for_news(struct nori_reader *reader, const struct nw_control *told, uint32_t news,
                           uint64_t left_ns)
{
    static const uint32_t never_changes = 0;

    /* If that cannot be told: as if nobody could wake us. */
    if (told && told == reader->control &&
        reader->env.folder->ops->is_announced(reader->env.folder) == 1)
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
        struct nw_control *told = NULL; /* kept, for reading may find another at its address */
        uint32_t news = 0;
        uint64_t now_ns;

        if (reader->control) {
            told = nw_control_ref(reader->control);
            news = __atomic_load_n(&reader->control->words->news, __ATOMIC_SEQ_CST);
            if (reader->control->is_writable)
                atomic_store(&reader->control->words->is_awaited, 1); /* then look once more */
        }
        reader->next_rc = nw_reader_read(reader, &reader->next, &reader->next_position);
        reader->has_next = reader->next_rc != NORI_END;
        now_ns = vfs->monotonic_ns(vfs->context);
        if (!reader->has_next && now_ns < deadline_ns)
            sleep_for_news(reader, told, news, deadline_ns - now_ns);
        nw_control_unref(told);
        if (!reader->has_next && now_ns >= deadline_ns)
            return NORI_E_TIMEOUT;
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
        nw_reader_free(reader);
}
