/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log_explain.c: nori_log_explain.
 *
 * What. The segment is walked from the last mark before the place to the record that covers it, or
 * to where nothing verifies any more; then it is said what that is, which watermarks cover it, and
 * which row of the table in verdict.c recovery would take.
 *
 * Failure. Damage is an answer. Only what cannot be read at all is an error.
 *
 * Not here. The overview without a place: log_overview.c.
 */
#include "wal/explain.h"

#include "base/crc32c.h"
#include "wal/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX   ((size_t)64 << 10)
#define GLIMPSE_LEN ((uint64_t)256)

int nw_explain_say(struct nw_explain *explain, const struct nw_link *link, uint64_t offset,
                   const char *format, ...)
{
    struct nori_log_item item = {.kind = NORI_LOG_EXPLANATION};
    char name[NW_NAME_MAX];
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (link) {
        nw_link_name(link, name);
        item.file = name;
        item.position = (struct nori_position){link->id, offset};
    }
    item.message = text;
    return nw_tell(&explain->teller, &item);
}

/* The place in question. */
struct place {
    struct nw_explain *explain;
    const struct nw_link *link;
    struct nori_file *file;
    uint64_t offset;    /* asked for */
    uint64_t sequence;  /* of the record at `begin`; 0: unknown */
    uint64_t begin;     /* of what covers it */
    uint64_t batch;     /* where its batch begins */
    uint64_t batch_no;  /* its number in the batch, from 1 */
    int stop;           /* NW_CURSOR_* if nothing verifies at `begin` */
    uint64_t shown_len; /* bytes from `begin` on to be shown at the end */
    const char *shown;  /* what they are */
};

static int say_bytes(struct place *place, uint64_t from, uint64_t len, const char *what)
{
    struct nori_log_item item = {.kind = NORI_LOG_EXPLANATION};
    const struct nori_allocator *allocator = place->explain->env.allocator;
    size_t want = (size_t)nw_min_u64(len, SHOWN_MAX);
    uint8_t *bytes = nw_alloc(allocator, want);
    char name[NW_NAME_MAX];
    char text[128];
    int rc = NORI_E_NOMEM;

    if (bytes)
        rc = place->file->ops->read(place->file, bytes, want, from, &item.data_len);
    if (rc < 0 || item.data_len == 0) {
        nw_free(allocator, bytes);
        return rc;
    }
    nw_link_name(place->link, name);
    (void)snprintf(text, sizeof text, "%s, %" PRIu64 " bytes from offset %" PRIu64, what, len,
                   from);
    item.file = name;
    item.position = (struct nori_position){place->link->id, from};
    item.bytes = len;
    item.message = text;
    item.data = bytes;
    (void)nw_tell(&place->explain->teller, &item);
    nw_free(allocator, bytes);
    return NORI_OK;
}

/* ---- header ---- */

static int explain_header(struct place *place)
{
    const struct nw_link *link = place->link;
    const struct nw_header *header = &link->header;
    struct nw_explain *explain = place->explain;

    if (header->header_len == 0) {
        (void)nw_explain_say(explain, link, place->offset,
                             "the place of the segment header, which is damaged; its own marks say "
                             "that the salt is %016" PRIx64 " and the log %016" PRIx64,
                             header->salt, header->log_id);
        return say_bytes(place, 0, NW_HEADER_LEN, "the damaged header");
    }
    (void)nw_explain_say(explain, link, place->offset,
                         "inside the segment header, whose checksum holds: segment %" PRIu64
                         ", log %016" PRIx64 ", salt %016" PRIx64 ", node %" PRIu32,
                         header->segment_id, header->log_id, header->salt, header->node_id);
    (void)nw_explain_say(explain, link, place->offset,
                         "its first record has sequence number %" PRIu64
                         ", its first byte LSN %" PRIu64 "; it was made %" PRIu64
                         " ms after 1970, when everything below LSN %" PRIu64
                         " was durable; records are up to %" PRIu64 " bytes",
                         header->base_sequence, header->start, header->created_ms,
                         header->durable_lsn, header->max_record);
    if (header->prev_id == NW_NO_SEGMENT)
        (void)nw_explain_say(explain, link, place->offset, "it begins the log");
    else
        (void)nw_explain_say(explain, link, place->offset,
                             "it follows segment %" PRIu64 " (salt %016" PRIx64
                             "), which ends at offset %" PRIu64,
                             header->prev_id, header->prev_salt, header->prev_end);
    return say_bytes(place, 0, header->header_len, "the header");
}

/* ---- what a record says ---- */

static void explain_hole(struct place *place, const struct nw_stored_record *record)
{
    uint64_t hidden = nw_hole_hidden(record);
    char number[32] = "an unknown number of";

    if (hidden != NW_HOLE_UNKNOWN)
        (void)snprintf(number, sizeof number, "%" PRIu64, hidden);
    (void)nw_explain_say(place->explain, place->link, place->begin,
                         "inside a hole: a repair set %zu damaged bytes aside and hid %s records; "
                         "readers report it once and go on behind it",
                         record->len, number);
}

static void explain_mark(struct place *place, const struct nw_stored_record *record)
{
    struct nw_explain *explain = place->explain;
    struct nw_mark mark;
    int rc = nw_control_decode(record, place->link->header.salt, &mark);

    if (rc == NW_CONTROL_IS_MARK)
        (void)nw_explain_say(explain, place->link, place->begin,
                             "inside a mark: the next record is %" PRIu64
                             ", everything below LSN %" PRIu64
                             " was durable when it was written, %" PRIu64 " ms after 1970",
                             mark.next_sequence, mark.durable_lsn, mark.time_ms);
    else if (rc == NW_CONTROL_IS_HOLE)
        explain_hole(place, record);
    else
        (void)nw_explain_say(explain, place->link, place->begin,
                             "inside a control record of a type that this version does not know");
}

static void explain_record(struct place *place, const struct nw_stored_record *record)
{
    static const char *const compressions[] = {"not compressed", "compressed with LZ4",
                                               "compressed with Zstandard", "compressed unknownly"};
    struct nw_explain *explain = place->explain;
    char number[48] = "its sequence number is not known";

    if (place->sequence)
        (void)snprintf(number, sizeof number, "sequence number %" PRIu64, place->sequence);
    (void)nw_explain_say(explain, place->link, place->begin,
                         "inside a %s of %zu bytes from offset %" PRIu64 ", %s; its checksum holds",
                         record->flags & NW_FLAG_TOMBSTONE ? "delete" : "record", record->len,
                         place->begin, number);
    (void)nw_explain_say(explain, place->link, place->begin,
                         "key %" PRIu64 " bytes, value %" PRIu64 " bytes, %s; flags %02x",
                         record->key_len, record->stored_len, compressions[record->compression & 3],
                         record->flags);
    if (record->flags & NW_FLAG_TTL)
        (void)nw_explain_say(explain, place->link, place->begin, "it lives %" PRIu64 " ms",
                             record->ttl_ms);
    if (record->flags & NW_FLAG_TIME)
        (void)nw_explain_say(explain, place->link, place->begin,
                             "its time is %" PRIu64 " ms after 1970", record->time_ms);
    if (record->flags & NW_FLAG_VERSION)
        (void)nw_explain_say(explain, place->link, place->begin,
                             "Raft term %" PRIu64 ", index %" PRIu64, record->version_term,
                             record->version_index);
    if (place->batch_no > 1 || nw_record_continues(record))
        (void)nw_explain_say(explain, place->link, place->begin,
                             "it is number %" PRIu64 " of the atomic batch from offset %" PRIu64
                             "%s",
                             place->batch_no, place->batch,
                             nw_record_continues(record) ? ", which goes on" : ", and its last");
}

/* ---- bytes that are no record ---- */

/* If the lengths there make sense, what the checksum should have been. */
static int explain_checksum(struct place *place)
{
    const struct nori_allocator *allocator = place->explain->env.allocator;
    struct nw_record_place where = {place->link->format, place->link->header.salt, place->begin};
    uint8_t *bytes = nw_alloc(allocator, SHOWN_MAX);
    struct nw_scan scan;
    uint64_t key_len;
    uint64_t value_len;
    uint8_t flags;
    size_t covered;
    size_t got = 0;
    int rc = NORI_E_NOMEM;

    if (bytes)
        rc = place->file->ops->read(place->file, bytes, SHOWN_MAX, place->begin, &got);
    if (rc < 0)
        goto out;
    scan = nw_scan_over(bytes, got);
    key_len = nw_scan_varint(&scan);
    value_len = nw_scan_varint(&scan);
    flags = nw_scan_u8(&scan);
    for (unsigned bit = NW_FLAG_TTL; bit <= NW_FLAG_TIME; bit <<= 1)
        if ((flags & bit) &&
            (bit == NW_FLAG_TTL || bit == NW_FLAG_TIME || bit == NW_FLAG_VERSION)) {
            (void)nw_scan_varint(&scan);
            if (bit == NW_FLAG_VERSION)
                (void)nw_scan_varint(&scan);
        }
    (void)nw_scan_bytes(&scan, key_len);
    (void)nw_scan_bytes(&scan, value_len);
    covered = (size_t)(scan.at - bytes);
    if (!scan.is_short && !scan.is_bad && covered + NW_RECORD_CRC_LEN <= got)
        (void)nw_explain_say(place->explain, place->link, place->begin,
                             "as a record: key %" PRIu64 " bytes, value %" PRIu64
                             " bytes, flags %02x; its checksum is %08" PRIx32
                             " and should be %08" PRIx32,
                             key_len, value_len, flags, nw_scan_u32(&scan),
                             nw_record_crc(&where, nw_crc32c(0, bytes, covered)));
    else
        (void)nw_explain_say(place->explain, place->link, place->begin,
                             "the lengths that stand there do not fit: no checksum can be tried");
out:
    nw_free(allocator, bytes);
    return rc;
}

static const struct nw_finding *finding_at(const struct place *place)
{
    const struct nw_walk *walk = &place->explain->walk;

    for (size_t i = 0; i < walk->count; i++) {
        const struct nw_finding *finding = &walk->findings[i];

        if (finding->segment_id == place->link->id && finding->offset <= place->offset &&
            place->offset - finding->offset < nw_max_u64(finding->bytes, 1) &&
            (finding->kind == NW_FINDING_RECORDS || finding->kind == NW_FINDING_NOTE))
            return finding;
    }
    return NULL;
}

static int explain_stop(struct place *place)
{
    const struct nw_finding *finding = finding_at(place);
    struct nw_explain *explain = place->explain;
    uint64_t left =
        place->link->file_bytes > place->begin ? place->link->file_bytes - place->begin : 0;

    if (finding && finding->bytes > 0) {
        (void)nw_explain_say(explain, place->link, place->begin,
                             "inside %" PRIu64 " bytes from offset %" PRIu64
                             " that do not verify: %s",
                             finding->bytes, finding->offset, finding->message);
        place->shown_len = nw_min_u64(finding->bytes, GLIMPSE_LEN);
        place->shown = "the first of them";
        return explain_checksum(place);
    }
    if (left == 0)
        (void)nw_explain_say(explain, place->link, place->begin,
                             "behind the end of the file, which has %" PRIu64 " bytes",
                             place->link->file_bytes);
    else
        (void)nw_explain_say(explain, place->link, place->begin,
                             "unused space: the last record ends at offset %" PRIu64
                             ", and the file has %" PRIu64 " bytes",
                             place->begin, place->link->file_bytes);
    return NORI_OK;
}

static int explain_beyond(struct place *place)
{
    (void)nw_explain_say(
        place->explain, place->link, place->offset,
        "behind the end of the segment, which its successor's header states: %" PRIu64
        "; what stands here is of an earlier life, or was never durable, and is "
        "never read",
        place->link->end);
    return say_bytes(place, place->offset, 64, "the bytes there");
}

/* ---- watermarks and the verdict ---- */

static int explain_cover(struct place *place)
{
    struct nw_explain *explain = place->explain;
    const struct nw_chain *chain = &explain->walk.chain;
    uint64_t lsn = place->link->start + place->begin;
    uint64_t control = explain->control_lsn;
    uint64_t marks = 0;
    uint64_t headers = 0;
    bool is_below;
    int rc = nw_scan_watermark_behind(&explain->env, chain, place->link, place->begin, &marks,
                                      explain->error);

    if (rc < 0)
        return rc;
    for (size_t i = chain->first_live; i < chain->count; i++)
        if (chain->links[i].is_live && chain->links[i].format == 2)
            headers = nw_max_u64(headers, chain->links[i].header.durable_lsn);
    is_below = lsn < nw_max_u64(control, nw_max_u64(marks, headers));
    (void)nw_explain_say(explain, place->link, place->begin,
                         "its LSN is %" PRIu64
                         ": %s (marks behind it say that everything below %" PRIu64
                         " was durable, headers %" PRIu64 ", control %" PRIu64 ")",
                         lsn, is_below ? "known to have been durable" : "not known to be durable",
                         marks, headers, control);
    if (place->stop == 0) {
        (void)nw_explain_say(explain, place->link, place->begin,
                             "recovery: these bytes verify, and it reads on behind them");
    } else {
        const struct nw_finding *finding = finding_at(place);
        size_t ignored = (size_t)(place->link - chain->links);
        struct nw_facts facts = {.format = place->link->format,
                                 .stop = finding && finding->bytes ? NW_STOP_BAD : NW_STOP_CLEAN,
                                 .is_below_watermark = is_below};

        facts.place =
            nw_chain_next_live(chain, ignored, &ignored) ? NW_PLACE_ENDED : NW_PLACE_NEWEST;
        (void)nw_explain_say(explain, place->link, place->begin, "recovery: %s",
                             nw_verdict_of(&facts)->why);
    }
    return NORI_OK;
}

/* ---- finding the place ---- */

/* Read on from the last mark before the place to what covers it. */
static int seek(struct place *place)
{
    struct nw_explain *explain = place->explain;
    const struct nw_link *link = place->link;
    struct nw_stored_record record = {0};
    struct nw_cursor cursor;
    uint64_t next;
    int rc = nw_scan_find_mark_before(link, explain->walk.chain.log_id, place->file,
                                      explain->env.allocator, place->offset + 1, &next,
                                      &place->sequence);

    if (rc < 0)
        return rc;
    if (link->format != 2)
        place->sequence = link->first_sequence;
    if (next == link->begin && link->format == 2)
        place->sequence = link->header.base_sequence;
    nw_cursor_begin(&cursor, explain->env.allocator, place->file, link->format,
                    link->format == 2 ? link->header.salt : 0, next,
                    nw_link_record_limit(link, NW_RECORD_MAX_DEFAULT), false);
    cursor.stop = link->end;
    place->batch = next;
    place->batch_no = 1;
    for (;;) {
        place->begin = cursor.offset;
        rc = nw_cursor_next(&cursor, &record);
        if (rc != 0 || cursor.offset > place->offset)
            break;
        if (nw_record_is_control(&record)) {
            place->sequence = nw_control_count(&record, link->header.salt, place->sequence);
        } else {
            place->sequence += place->sequence != 0;
        }
        if (nw_record_continues(&record)) {
            place->batch_no++;
        } else {
            place->batch = cursor.offset;
            place->batch_no = 1;
        }
    }
    place->stop = rc > 0 ? rc : 0;
    if (rc == 0 && nw_record_is_control(&record))
        explain_mark(place, &record);
    else if (rc == 0)
        explain_record(place, &record);
    if (rc == 0) {
        bool is_hole = nw_record_is_control(&record) && record.len > NW_MARK_LEN;

        place->shown_len = is_hole ? nw_min_u64(record.len, GLIMPSE_LEN) : record.len;
        place->shown = is_hole ? "its beginning" : "all of it";
    } else if (rc > 0) {
        rc = explain_stop(place);
    }
    nw_cursor_done(&cursor);
    return rc;
}

/* Inside the live part of a segment. An error is described by now. */
static int explain_inside(struct place *place, const char *name)
{
    struct nori_position position = {place->link->id, place->offset};
    int rc = seek(place);

    if (rc >= 0) {
        rc = explain_cover(place);
        if (rc < 0)
            return rc;
    }
    if (rc >= 0 && place->shown_len > 0)
        rc = say_bytes(place, place->begin, place->shown_len, place->shown);
    return rc < 0 ? nw_io_error(place->explain->error, rc, position, "read %s", name) : NORI_OK;
}

int nw_explain_place(struct nw_explain *explain, struct nori_position position)
{
    struct place place = {.explain = explain, .offset = position.offset};
    struct nw_chain *chain = &explain->walk.chain;
    char name[NW_NAME_MAX];
    int rc;

    for (size_t i = 0; i < chain->count; i++)
        if (chain->links[i].id == position.segment_id)
            place.link = &chain->links[i];
    if (!place.link)
        return nw_error_set(explain->error, NORI_E_NOTFOUND, 0, position,
                            "there is no segment %" PRIu64, position.segment_id);
    nw_link_name(place.link, name);
    rc = explain->env.folder->ops->open_file(explain->env.folder, name, 0, 0, &place.file);
    if (rc >= 0) {
        rc = nw_staged_wrap(&explain->staged, place.link->header.salt, false, &place.file);
        if (rc < 0)
            place.file->ops->close(place.file);
    }
    if (rc < 0)
        return nw_io_error(explain->error, rc, position, "open %s", name);
    place.begin = position.offset;
    if (!place.link->is_live) {
        (void)nw_explain_say(explain, place.link, position.offset,
                             "in a file that is no part of the log now: left behind by an earlier "
                             "recovery, or what it was cannot be told");
        rc = say_bytes(&place, position.offset, 64, "the bytes there");
    } else if (place.link->format == 2 && position.offset < place.link->begin) {
        rc = explain_header(&place);
    } else if (position.offset >= place.link->end) {
        rc = explain_beyond(&place);
    } else {
        rc = explain_inside(&place, name);
        place.file->ops->close(place.file);
        return rc;
    }
    place.file->ops->close(place.file);
    return rc < 0 ? nw_io_error(explain->error, rc, position, "read %s", name) : NORI_OK;
}
