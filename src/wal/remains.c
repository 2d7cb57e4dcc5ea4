/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * remains.c: what can be found out about a segment whose header is damaged, or whose file is gone.
 *
 * What. The header behind it, or in `spare`, says where it ended and which salt it had; its own
 * marks say which log it is of, and how many records came before them; the segment before says
 * where it must have begun. A header that is made anew is true, or there is none: where they do not
 * tell enough, or contradict each other, nothing is made up (D1).
 *
 * A file that a newer version wrote may have any header, so all are read through for such records
 * as they are and as they would be with the header that they may get (D12).
 *
 * The same reading finds what only the staging ring has of a segment that leaves the log. It is
 * written to the file first, for the ring is going to be used again (D7).
 *
 * Failure. Nothing else is changed here, and a file only gets what would have been written to it
 * next. What cannot be read is an error: to know less than could be known would cost records.
 *
 * Not here. What is done with it: repair.c.
 */
#include "wal/remains.h"

#include "base/plant.h"
#include "format/control_record.h"
#include "wal/scan.h"
#include "wal/staged.h"

#include <string.h>

#define CHUNK_LEN ((size_t)256 << 10)

int nw_remains_describe(const struct nw_repair *repair, int rc, uint64_t segment_id,
                        const char *what)
{
    char name[NW_NAME_MAX];

    if (NORI_VFS_ERRNO(rc) == 0 && rc != NORI_E_NOMEM)
        return rc;
    nw_name_format(name, segment_id);
    return nw_io_error(repair->error, rc, (struct nori_position){segment_id, 0}, "%s %s", what,
                       name);
}

static int read_header(struct nw_repair *repair, const struct nw_link *link,
                       struct nw_header *ret_header)
{
    struct nori_position position = {link->id, 0};
    uint8_t start[NW_HEADER_LEN_MAX]; /* one of a later version may be longer than ours */
    size_t len = sizeof start;
    uint64_t bytes;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = nw_env_read_start(repair->env, name, start, &len, &bytes, repair->error);
    if (rc < 0)
        return rc;
    rc = nw_header_decode(start, len, ret_header);
    if (rc == NORI_E_VERSION)
        return nw_error_set(repair->error, rc, 0, position,
                            "%s: written by a newer version of the format", name);
    if (rc == 0 && (ret_header->compat & ~NW_COMPAT_KNOWN))
        return nw_error_set(repair->error, NORI_E_VERSION, 0, position,
                            "%s: has features that this version can read but not write", name);
    if (rc == 0 && nw_header_check_room(ret_header, name, repair->error) < 0)
        return NORI_E_UNSUPPORTED;
    return rc;
}

int nw_remains_read_header(struct nw_repair *repair, uint64_t segment_id,
                           struct nw_header *ret_header)
{
    struct nw_link link = {.id = segment_id};

    return read_header(repair, &link, ret_header);
}

/* ---- a damaged header ---- */

/* What can be found out about a segment whose header is damaged. */
struct remains {
    uint64_t salt;
    uint64_t log_id;
    uint64_t base_sequence; /* 0: the records before the first mark are damaged, too */
    uint64_t least_start;   /* no mark knows more than what lies before it */
    bool is_missing;        /* there is no such file, and so no record of it that needs a number */
};

/* Where the segment must start at least. */
static int find_least_start(struct nw_repair *repair, struct nori_file *file,
                            struct remains *remains)
{
    struct nw_link link = {.format = 2, .begin = NW_HEADER_LEN, .end = NW_OPEN_END};
    uint64_t from = NW_HEADER_LEN;
    int rc;

    link.header.salt = remains->salt;
    for (;;) {
        struct nw_mark mark;
        uint64_t offset;

        rc = nw_scan_find_mark_behind(&link, remains->log_id, file, repair->env->allocator, from,
                                      &offset, &mark);
        if (rc != 1)
            return rc;
        if (mark.durable_lsn > offset)
            remains->least_start = nw_max_u64(remains->least_start, mark.durable_lsn - offset);
        from = offset + NW_MARK_LEN;
    }
}

/* Read the records before the first mark under its salt: how many there are tells the first
 * number. salt 0, log_id 0: of whatever segment or log the first mark is. */
static int read_remains(struct nw_repair *repair, struct nori_file *file, uint64_t salt,
                        uint64_t log_id, struct remains *ret_remains)
{
    uint8_t *chunk = nw_alloc(repair->env->allocator, CHUNK_LEN);
    struct nw_cursor cursor;
    struct nw_mark mark = {0};
    uint64_t offset = NW_HEADER_LEN;
    uint64_t mark_offset = 0;
    uint64_t count = 0;
    int rc = chunk ? NORI_OK : NORI_E_NOMEM;

    while (rc >= 0 && mark_offset == 0) {
        const uint8_t *found;
        size_t got = 0;

        rc = file->ops->read(file, chunk, CHUNK_LEN, offset, &got);
        if (rc < 0 || got < NW_MARK_LEN)
            break;
        found = salt ? nw_mark_find(chunk, got, offset, salt, log_id, &mark)
                     : nw_mark_find_any(chunk, got, offset, &mark);
        if (found && (log_id == 0 || mark.log_id == log_id))
            mark_offset = offset + (uint64_t)(found - chunk);
        offset += got - (NW_MARK_LEN - 1);
    }
    nw_free(repair->env->allocator, chunk);
    if (rc < 0 || mark_offset == 0)
        return rc < 0 ? rc : 0;
    nw_cursor_begin(&cursor, repair->env->allocator, file, 2, mark.salt, NW_HEADER_LEN,
                    NW_RECORD_MAX, false);
    while (cursor.offset < mark_offset) {
        struct nw_stored_record record;

        rc = nw_cursor_next(&cursor, &record);
        if (rc != 0)
            break;
        count += !nw_record_is_control(&record);
    }
    if (rc < 0) {
        nw_cursor_done(&cursor);
        return rc; /* to know less than could be known would cost records */
    }
    *ret_remains = (struct remains){.salt = mark.salt, .log_id = mark.log_id};
    if (cursor.offset == mark_offset && mark.next_sequence > count)
        ret_remains->base_sequence = mark.next_sequence - count;
    nw_cursor_done(&cursor);
    rc = find_least_start(repair, file, ret_remains);
    return rc < 0 ? rc : 1;
}

/* The header of the i-th file of the list, if that lies behind this segment; of `spare` if i is
 * their count: it leaves the log, or is adopted, under the name that it states. 0, or 1: there is
 * none. */
static int read_heir(struct nw_repair *repair, size_t i, uint64_t segment_id,
                     struct nw_header *ret_header)
{
    const struct nw_chain *files = &repair->chain;
    struct nw_link spare = {.is_spare = true};
    int rc;

    if (i < files->count)
        return files->links[i].id > segment_id ? read_header(repair, &files->links[i], ret_header)
                                               : 1;
    rc = read_header(repair, &spare, ret_header);
    if (rc == NORI_E_NOTFOUND)
        return 1;
    return rc == 0 ? ret_header->segment_id <= segment_id ||
                         (files->has_ids && ret_header->segment_id <= files->id_max) ||
                         ret_header->segment_id > NW_ID_MAX
                   : rc;
}

/* What the header behind it says, the newest that names it as the one before. 1, or 0 if there is
 * none. */
static int ask_heir(struct nw_repair *repair, uint64_t segment_id, uint64_t log_id,
                    struct remains *ret_remains)
{
    int is_found = 0;
    int rc;

    if (log_id == 0)
        return 0; /* no header has that */
    rc = nw_chain_list(&repair->chain, repair->env, repair->error);
    for (size_t i = 0; rc >= 0 && i <= repair->chain.count; i++) {
        struct nw_header header;

        rc = read_heir(repair, i, segment_id, &header);
        if (rc != 0 || header.prev_id != segment_id || header.prev_salt == 0 ||
            header.log_id != log_id ||
            (i < repair->chain.count && header.segment_id != repair->chain.links[i].id))
            continue;
        *ret_remains = (struct remains){.salt = header.prev_salt, .log_id = header.log_id};
        is_found = 1;
    }
    return rc < 0 ? rc : is_found;
}

/* Is this the salt of another segment, by its own header or by that of the one behind it? Then its
 * marks are here because a piece of it is. 1 or 0. */
static int is_of_another(struct nw_repair *repair, uint64_t segment_id, uint64_t salt)
{
    int rc = nw_chain_list(&repair->chain, repair->env, repair->error);
    int is_found = 0;

    for (size_t i = 0; rc >= 0 && i < repair->chain.count; i++) {
        struct nw_header header;

        if (repair->chain.links[i].id == segment_id)
            continue;
        rc = read_header(repair, &repair->chain.links[i], &header);
        if (rc == 0)
            is_found |=
                header.salt == salt || (header.prev_salt == salt && header.prev_id != segment_id);
    }
    return rc < 0 ? rc : is_found;
}

static int find_remains(struct nw_repair *repair, uint64_t segment_id, struct nori_file *file,
                        uint64_t log_id, struct remains *ret_remains)
{
    struct remains heirs;
    int rc = ask_heir(repair, segment_id, log_id, &heirs);

    /* First: what damaged the header may be a piece of another segment, with marks in it. */
    if (rc == 0) {
        rc = read_remains(repair, file, 0, log_id, ret_remains);
        if (rc != 1)
            return rc;
        rc = is_of_another(repair, segment_id, ret_remains->salt);
        return rc < 0 ? rc : !rc;
    }
    if (rc < 0)
        return rc;
    rc = read_remains(repair, file, heirs.salt, heirs.log_id, ret_remains);
    if (rc != 0)
        return rc;
    *ret_remains = heirs;
    return 1;
}

/* The newest file that can be read below this id, as the head of a chain of its own, or NULL. */
static const struct nw_link *load_before(struct nw_repair *repair, uint64_t segment_id, int *ret_rc)
{
    *ret_rc = nw_chain_load_below(&repair->chain, repair->env, segment_id, repair->error);
    return *ret_rc < 0 ? NULL : nw_chain_last(&repair->chain);
}

/* The header of the file that names `salt` as its predecessor's: 1, or 0 if there is none. What
 * cannot be read is an error: to take it for missing would end the log here. */
static int find_heir(struct nw_repair *repair, uint64_t segment_id, uint64_t salt,
                     struct nw_header *ret_header)
{
    int rc = nw_chain_list(&repair->chain, repair->env, repair->error);
    int is_found = 0;

    for (size_t i = 0; rc >= 0 && i <= repair->chain.count; i++) {
        struct nw_header header;

        rc = read_heir(repair, i, segment_id, &header);
        if (rc != 0 || header.prev_salt != salt)
            continue;
        *ret_header = header; /* the highest one wins */
        is_found = 1;
    }
    return rc < 0 ? rc : is_found;
}

/* Where the segment before ends, by its own records, and which comes next: 1, or 0 if they do not
 * tell. */
static int find_end(struct nw_repair *repair, const struct nw_link *link, uint64_t *ret_end,
                    uint64_t *ret_sequence)
{
    struct nw_segment_scan scan = {.end = link->begin, .next_sequence = link->first_sequence};
    struct nw_cursor cursor;
    int rc;

    nw_cursor_begin(&cursor, repair->env->allocator, NULL, 2, 0, 0, 0, false);
    rc = nw_segment_scan(repair->env, &repair->chain, link, &cursor,
                         repair->config->max_record_size, &scan, NULL, NULL, repair->error);
    nw_cursor_done(&cursor);
    *ret_end = scan.end;
    *ret_sequence = scan.next_sequence + scan.doubt; /* no number is given twice */
    return rc < 0 ? rc : scan.stop == NW_STOP_CLEAN || scan.stop == NW_STOP_AT_END;
}

/* Where the segment starts, and which record is its first: its heir, the segment before, and its
 * own records tell. *before becomes NULL if it is no part of the log. 1, or 0 if nothing tells. */
static int find_start(struct nw_repair *repair, const struct nw_link **before,
                      const struct nw_header *heir, const struct remains *remains,
                      struct nw_header *header)
{
    uint64_t sequence = 1;
    uint64_t end = 0;
    int rc = 1;

    if (heir && heir->start < heir->prev_end)
        return 0;
    if (*before)
        rc = find_end(repair, *before, &end, &sequence);
    if (rc < 0)
        return rc;
    header->base_sequence = remains->base_sequence;
    header->start = heir      ? heir->start - heir->prev_end
                    : *before ? nw_max_u64((*before)->start + end, remains->least_start)
                              : remains->least_start;
    /* Files of format 1 without a record are not the beginning of a log that has lost its own. */
    if (*before && (*before)->format == 1 && sequence == 1 && rc == 1 &&
        (header->base_sequence > 1 || header->start > 0))
        *before = NULL;
    if (*before)
        header->prev_end = (*before)->format == 1 ? end : header->start - (*before)->start;
    /* Its heir says where it starts, and so where the one before ends: what lies behind is none of
     * it. */
    if (heir && *before && (*before)->format == 2 && end == header->prev_end)
        rc = 1;
    if (*before && (*before)->format == 1 && header->start < (*before)->start + end)
        return 0; /* it was not that one that came before */
    if (header->base_sequence != 0)
        return heir && !(*before && (*before)->format == 1) ? 1 : rc;
    /* The one before tells, if all of it is there; or this begins the log. */
    header->base_sequence = sequence;
    if (*before)
        return rc == 1 &&
               (end == header->prev_end || (remains->is_missing && end < header->prev_end));
    return rc == 1 && header->start == 0;
}

/* The header that this segment must have had, as far as it matters. 1, or 0: not enough is
 * known. */
static int rebuild(struct nw_repair *repair, uint64_t segment_id, const struct remains *remains,
                   struct nw_header *header)
{
    const struct nw_link *before;
    struct nw_header heir;
    int has_heir = find_heir(repair, segment_id, remains->salt, &heir);
    int rc;

    memset(header, 0, sizeof *header);
    if (has_heir < 0)
        return has_heir;
    before = load_before(repair, segment_id, &rc);
    if (rc < 0)
        return rc == NORI_E_CORRUPT ? 0 : rc;
    if (before && before->format == 2 && before->header.log_id != remains->log_id)
        return 0;
    if (before && before->format == 1) {
        rc = nw_scan_measure_format1(repair->env, &repair->chain, repair->error);
        if (rc < 0)
            return rc;
    }
    rc = find_start(repair, &before, has_heir ? &heir : NULL, remains, header);
    if (rc != 1)
        return rc;
    if (header->start > NW_NUMBER_MAX || header->base_sequence > NW_NUMBER_MAX)
        return 0; /* what told it is damaged, too */
    header->segment_id = segment_id;
    header->log_id = remains->log_id;
    header->salt = remains->salt;
    header->created_ms = repair->env->vfs->realtime_ms(repair->env->vfs->context);
    header->max_record = has_heir ? heir.max_record : repair->config->max_record_size;
    header->node_id = repair->config->node_id;
    if (before) {
        header->prev_id = before->id;
        header->prev_salt = before->format == 2 ? before->header.salt : 0;
        return header->start >= before->start + before->begin;
    }
    /* Retention may have dropped what came before: then any salt that nobody has says so. */
    header->prev_id = header->base_sequence == 1 ? NW_NO_SEGMENT : segment_id - 1;
    header->prev_salt = header->base_sequence == 1 ? 0 : 1;
    return 1;
}

int nw_remains_find_header(struct nw_repair *repair, uint64_t segment_id, struct nori_file *file,
                           uint64_t log_id, struct nw_header *ret_header)
{
    struct remains remains;
    int rc = find_remains(repair, segment_id, file, log_id, &remains);

    rc = nw_remains_describe(repair, rc, segment_id, "read");
    return rc == 1 ? rebuild(repair, segment_id, &remains, ret_header) : rc;
}

int nw_remains_can_rebuild(const struct nw_env *env, const struct nori_wal_config *config,
                           uint64_t segment_id, struct nori_error *error)
{
    struct nw_repair repair = {.env = env, .config = config, .why = "", .error = error};
    struct nori_file *file = NULL;
    struct nw_header header;
    char name[NW_NAME_MAX];
    uint64_t log_id = 0;
    int rc;

    nw_chain_init(&repair.chain, env->allocator);
    rc = nw_chain_list(&repair.chain, env, error);
    rc = rc < 0 ? rc : nw_remains_survey(&repair, &log_id);
    rc = rc < 0 ? rc : nw_remains_read_header(&repair, segment_id, &header);
    if (rc == 0) { /* as salvage_headers */
        rc = nw_remains_has_wrong_header(&repair, segment_id, &header);
        log_id = 0;
    }
    nw_name_format(name, segment_id);
    rc = rc > 0 ? env->folder->ops->open_file(env->folder, name, 0, 0, &file) : rc;
    if (file) {
        rc = nw_remains_find_header(&repair, segment_id, file, log_id, &header);
        file->ops->close(file);
    }
    nw_chain_done(&repair.chain);
    return nw_remains_describe(&repair, rc, segment_id, "read");
}

int nw_remains_has_wrong_header(struct nw_repair *repair, uint64_t segment_id,
                                const struct nw_header *header)
{
    struct nori_file *file = NULL;
    struct remains remains;
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, segment_id);
    rc = repair->env->folder->ops->open_file(repair->env->folder, name, 0, 0, &file);
    if (rc >= 0) {
        rc = read_remains(repair, file, 0, 0, &remains);
        file->ops->close(file);
    }
    if (rc < 0)
        return nw_remains_describe(repair, rc, segment_id, "read");
    return rc == 1 && remains.salt != header->salt;
}

/* ---- before the first change ---- */

int nw_remains_survey(struct nw_repair *repair, uint64_t *ret_log_id)
{
    struct nw_header header;
    int rc;

    *ret_log_id = 0;
    for (size_t i = 0; i < repair->chain.count; i++) {
        rc = nw_remains_read_header(repair, repair->chain.links[i].id, &header);
        if (rc < 0)
            return rc;
        if (rc == 0)
            *ret_log_id = header.log_id;
    }
    if (*ret_log_id != 0)
        return NORI_OK;
    rc = read_heir(repair, repair->chain.count, 0, &header); /* no other header is left */
    if (rc == 0)
        *ret_log_id = header.log_id;
    return rc < 0 ? rc : NORI_OK;
}

/* NORI_E_VERSION if a newer version wrote one of the records up to the first that does not
 * verify, to which the cursor comes. *ret_end: behind the last whole batch. */
static int read_records(struct nw_cursor *cursor, uint64_t *ret_end)
{
    struct nw_stored_record record;
    struct nw_mark mark;
    int rc;

    *ret_end = cursor->offset;
    while ((rc = nw_cursor_next(cursor, &record)) == 0) {
        if (nw_record_is_control(&record) &&
            nw_control_decode(&record, cursor->salt, &mark) == NORI_E_VERSION)
            return NORI_E_VERSION;
        if (!nw_record_continues(&record))
            *ret_end = cursor->offset;
    }
    return rc < 0 ? rc : NORI_OK;
}

/* The same for what the staging ring has from there on, which stays in stretches. */
static int read_ring(struct nw_repair *repair, const struct nw_link *link, struct nori_file *file,
                     uint64_t offset)
{
    struct nw_staged *staged = repair->env->staged;
    struct nw_staged_place place = {link->header.salt, link->start,         link->end,
                                    NW_RECORD_MAX,     link->header.log_id, file};
    int rc;

    nw_staged_forget(staged);
    do
        rc = nw_staged_extend(staged, &place, offset + nw_staged_bytes(staged));
    while (rc == 1);
    return rc;
}

/* Up to where `control` says that the log is durable. Where the chain is damaged nothing tells
 * whether it is right; but if it claims too much, then of records that were written long ago. */
static uint64_t claimed_durable(const struct nw_control *control)
{
    struct nw_control_durable durable = {0};

    if (control)
        durable = nw_control_durable(control);
    return durable.check == nw_control_check(durable.lsn, durable.salt) ? durable.lsn : 0;
}

/* The same for all records of a file with this header (NULL: of format 1) up to its end: behind
 * what does not verify salvage goes on at the next mark, and there may be more at the watermark. */
static int read_through(struct nw_repair *repair, struct nori_file *file, uint64_t segment_end,
                        const struct nw_header *header)
{
    const struct nori_allocator *allocator = repair->env->allocator;
    struct nw_link link = {.format = 1, .end = segment_end};
    uint64_t durable_lsn = claimed_durable(repair->env->staged->control);
    struct nw_cursor cursor;
    struct nw_mark mark;
    uint64_t end;
    int rc;

    if (header)
        link = (struct nw_link){.format = 2,
                                .begin = header->header_len,
                                .end = segment_end,
                                .start = header->start,
                                .header = *header};
    nw_cursor_begin(&cursor, allocator, file, link.format, link.header.salt, link.begin,
                    NW_RECORD_MAX, false);
    do {
        rc = read_records(&cursor, &end);
        if (rc == NORI_OK && header)
            rc = read_ring(repair, &link, file, end);
        if (rc == NORI_OK && header)
            rc = nw_scan_find_mark_behind(&link, header->log_id, file, allocator, cursor.offset + 1,
                                          &cursor.offset, &mark);
        if (rc == NORI_OK && header && durable_lsn > link.start + cursor.offset &&
            durable_lsn < nw_link_end_lsn(&link)) {
            cursor.offset = durable_lsn - link.start; /* between batches */
            rc = 1;
        }
        nw_cursor_refresh(&cursor);
    } while (rc == 1);
    nw_cursor_done(&cursor);
    return rc;
}

/* A file whose header is damaged, under the salt of its first mark, of whatever log: which log this
 * folder has may look otherwise when other files have been set aside. */
static int read_through_as_marked(struct nw_repair *repair, const struct nw_link *link,
                                  struct nori_file *file)
{
    struct nw_header header = {.header_len = NW_HEADER_LEN};
    struct remains remains;
    int rc = read_remains(repair, file, 0, 0, &remains);

    if (rc != 1)
        return rc;
    header.salt = remains.salt;
    header.log_id = remains.log_id;
    return read_through(repair, file, link->end, &header);
}

/* A file as it is, and as it would be with the header that salvage may give it. 1: its header is
 * damaged, and nothing tells what the ring may have of it. */
static int read_through_both(struct nw_repair *repair, const struct nw_link *link,
                             struct nori_file *file, uint64_t log_id)
{
    struct nw_header header, other;
    struct remains remains;
    int is_bad = read_header(repair, link, &header);
    int is_known;
    int rc = is_bad;

    if (rc >= 0)
        rc = read_through(repair, file, link->end, is_bad ? NULL : &header);
    if (rc < 0 || (link->is_spare && is_bad))
        return rc; /* that gets no name */
    rc = is_bad ? read_through_as_marked(repair, link, file) : NORI_OK;
    if (rc < 0)
        return rc;
    /* Of a good header no heir is asked: that reads all later headers. */
    rc = is_bad ? find_remains(repair, link->id, file, log_id, &remains)
                : read_remains(repair, file, 0, 0, &remains);
    if (rc < 0 || (!is_bad && (rc == 0 || remains.salt == header.salt)))
        return rc < 0 ? rc : NORI_OK;
    if (rc == 0)
        return 1;
    is_known = rebuild(repair, link->is_spare ? header.segment_id : link->id, &remains, &other);
    if (is_known < 0)
        return is_known;
    if (!is_known)
        other.start = 0; /* not known yet: in the ring nothing verifies there */
    other.header_len = NW_HEADER_LEN;
    other.salt = remains.salt;
    other.log_id = remains.log_id;
    rc = read_through(repair, file, link->end, &other);
    return rc < 0 ? rc : !is_known;
}

static int refuse_newer_file(struct nw_repair *repair, const struct nw_link *link, uint64_t log_id)
{
    struct nori_folder *folder = repair->env->folder;
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = folder->ops->open_file(folder, name, 0, 0, &file);
    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND && link->is_spare)
        return NORI_OK;
    if (rc >= 0) {
        rc = read_through_both(repair, link, file, log_id);
        file->ops->close(file);
    }
    if (NORI_VFS_CODE(rc) == NORI_E_VERSION)
        return nw_error_set(repair->error, NORI_E_VERSION, 0, (struct nori_position){link->id, 0},
                            "%s: a record of a newer version of the format", name);
    return rc < 0 ? nw_remains_describe(repair, rc, link->id, "read") : NORI_OK;
}

/* All files, as those of this log. */
static int refuse_newer_of(struct nw_repair *repair, uint64_t log_id)
{
    struct nw_link spare = {.is_spare = true, .end = NW_OPEN_END};
    struct nw_chain files;
    int rc;

    nw_chain_init(&files, repair->env->allocator);
    rc = nw_chain_list(&files, repair->env, repair->error);
    for (size_t i = 0; rc >= 0 && i < files.count; i++)
        rc = refuse_newer_file(repair, &files.links[i], log_id);
    if (rc >= 0)
        rc = refuse_newer_file(repair, &spare, log_id);
    nw_chain_done(&files);
    return rc;
}

/* What the headers tell of which log it is, and what `control` tells, by which it is asked what its
 * ring has of files that leave the log. */
static int refuse_newer(struct nw_repair *repair)
{
    const struct nw_control *control = repair->env->staged->control;
    uint64_t log_id;
    int rc = nw_chain_list(&repair->chain, repair->env, repair->error);

    if (rc >= 0)
        rc = nw_remains_survey(repair, &log_id);
    if (rc >= 0)
        rc = refuse_newer_of(repair, log_id);
    if (rc >= 0 && control && control->words->log_id != log_id)
        rc = refuse_newer_of(repair, control->words->log_id);
    return rc;
}

int nw_remains_refuse_newer(const struct nw_env *env, const struct nori_wal_config *config,
                            struct nori_error *error)
{
    struct nw_staged ring;
    struct nw_env with_ring = *env;
    struct nw_repair repair = {.env = &with_ring, .config = config, .why = "", .error = error};
    int rc = nw_staged_begin(&ring, env, NULL, error);

    with_ring.staged = &ring;
    nw_chain_init(&repair.chain, env->allocator);
    if (rc >= 0)
        rc = refuse_newer(&repair);
    nw_chain_done(&repair.chain);
    nw_staged_done(&ring);
    return rc;
}

/* ---- before a file leaves the log ---- */

/* Does the file end below the floor? Then it need not be read. */
static bool is_below(struct nori_file *file, uint64_t floor_lsn)
{
    uint8_t start[NW_HEADER_LEN_MAX];
    struct nori_file_info info = {0};
    struct nw_header header;
    size_t len = 0;

    return file->ops->stat(file, &info) >= 0 &&
           file->ops->read(file, start, sizeof start, 0, &len) >= 0 &&
           nw_header_decode(start, len, &header) == 0 &&
           nw_min_u64(header.start, floor_lsn) + info.bytes <= floor_lsn;
}

/* The ring has nothing of those. */
static bool is_format1(struct nori_file *file)
{
    uint8_t start[NW_HEADER_LEN];
    struct nw_header header;
    size_t len = 0;

    return file->ops->read(file, start, sizeof start, 0, &len) >= 0 &&
           nw_header_decode(start, len, &header) == NW_HEADER_NONE &&
           nw_chain_begins_with_format1(start, len);
}

static int write_ring_back(const struct nw_staged *ring, struct nori_folder *folder,
                           const char *name)
{
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(folder, name, NORI_FILE_WRITE, 0, &file);

    if (rc < 0)
        return rc;
    rc = nw_staged_write_back(ring, ring->stretches[0].salt, file);
    file->ops->close(file);
    return rc;
}

/* *ret_end: behind what the ring had of it, if anything. 1: nothing tells that. */
static int complete_file(struct nw_repair *repair, const struct nw_link *link, uint64_t *ret_end)
{
    struct nori_folder *folder = repair->env->folder;
    struct nw_staged *ring = repair->env->staged;
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int is_unknown = 0;
    int rc;

    nw_link_name(link, name);
    nw_staged_forget(ring);
    rc = folder->ops->open_file(folder, name, 0, 0, &file);
    if (rc >= 0) {
        if (!is_below(file, ring->floor_lsn))
            rc = read_through_both(repair, link, file, ring->control->words->log_id);
        is_unknown = rc == 1 && !is_format1(file);
        file->ops->close(file);
    }
    if (rc >= 0 && ring->count > 0 && !NW_PLANT("ring-not-set-aside")) {
        *ret_end = ring->stretches[ring->count - 1].to;
        rc = write_ring_back(ring, folder, name);
    }
    rc = nw_remains_describe(repair, rc, link->id, "write what the staging ring has to");
    return rc < 0 ? rc : is_unknown;
}

static int complete_files(struct nw_repair *repair, const struct nw_link *first, uint64_t last_id,
                          uint64_t *ret_end)
{
    struct nw_chain files;
    int is_unknown = 0;
    int rc = NORI_OK;

    nw_chain_init(&files, repair->env->allocator);
    if (first->is_spare)
        rc = complete_file(repair, first, ret_end);
    if (rc >= 0)
        rc = nw_chain_list(&files, repair->env, repair->error);
    for (size_t i = 0; rc >= 0 && i < files.count; i++) {
        const struct nw_link *link = &files.links[i];
        uint64_t ignored;

        if (link->id == first->id)
            rc = complete_file(repair, first, ret_end);
        else if (link->id > first->id && link->id <= last_id)
            rc = complete_file(repair, link, &ignored);
        is_unknown |= rc == 1;
    }
    nw_chain_done(&files);
    return rc < 0 ? rc : is_unknown;
}

/* Then its ring has nothing that is not in the files. */
static bool was_closed(const struct nw_control *control)
{
    return atomic_load(&control->words->clean) == atomic_load(&control->words->published);
}

int nw_remains_complete(const struct nw_repair *repair, const struct nw_link *first,
                        uint64_t last_id, uint64_t *ret_end)
{
    const struct nw_env *env = repair->env;
    struct nw_env with_ring = *env;
    struct nw_repair asking = {
        .env = &with_ring, .config = repair->config, .why = "", .error = repair->error};
    struct nw_staged ring;
    int rc = nw_staged_begin(&ring, env, NULL, repair->error);

    *ret_end = 0;
    with_ring.staged = &ring;
    nw_chain_init(&asking.chain, env->allocator);
    if (rc >= 0 && ring.control) {
        ring.floor_lsn = nw_max_u64(claimed_durable(ring.control), env->staged->floor_lsn);
        rc = complete_files(&asking, first, last_id, ret_end);
        rc = rc < 0 ? rc : rc == 1 && !was_closed(ring.control);
    }
    nw_chain_done(&asking.chain);
    nw_staged_done(&ring);
    return rc;
}

/* ---- a predecessor that is missing ---- */

/* Are all files before this one of format 1 and without a record? The segment's predecessor was
 * dropped then, and they are no part of the log. */
static int has_only_empty_before(struct nw_repair *repair, uint64_t segment_id)
{
    const struct nw_link *before;
    struct nw_header header;
    uint64_t sequence, end;
    int rc = nw_remains_read_header(repair, segment_id, &header);

    if (rc != 0 || header.prev_salt == 0)
        return rc < 0 ? rc : 0;
    before = load_before(repair, segment_id, &rc);
    if (!before || before->format != 1)
        return rc < 0 && rc != NORI_E_CORRUPT ? rc : 0;
    rc = nw_scan_measure_format1(repair->env, &repair->chain, repair->error);
    if (rc >= 0)
        rc = find_end(repair, before, &end, &sequence);
    return rc < 0 ? rc : sequence == 1; /* a torn record is none either */
}

bool nw_remains_is_likely_end(const struct nw_repair *repair, uint64_t end)
{
    uint64_t longest = repair->config->max_segment_size;

    for (size_t i = 0; i < repair->chain.count; i++)
        longest = nw_max_u64(longest, repair->chain.links[i].file_bytes);
    return end <= longest;
}

/* The segment that this one names as its predecessor, if no file has its name and the segments
 * around it say what it was. 1 or 0. */
static int find_gap(struct nw_repair *repair, uint64_t segment_id, struct nw_gap *ret_gap)
{
    struct nw_header heir;
    struct nw_header *header = &ret_gap->link.header;
    struct remains remains;
    int rc = nw_remains_read_header(repair, segment_id, &heir);

    if (rc != 0 || heir.prev_salt == 0 || heir.segment_id != segment_id)
        return rc < 0 ? rc : 0;
    rc = nw_chain_list(&repair->chain, repair->env, repair->error);
    for (size_t i = 0; rc >= 0 && i < repair->chain.count; i++)
        if (repair->chain.links[i].id == heir.prev_id)
            return 0;
    if (rc < 0 || heir.prev_id >= segment_id)
        return rc < 0 ? rc : 0;
    remains = (struct remains){.salt = heir.prev_salt, .log_id = heir.log_id, .is_missing = true};
    rc = rebuild(repair, heir.prev_id, &remains, header);
    if (rc != 1)
        return rc;
    /* No crash takes a file away: all before it was there once, and is not a torn tail. */
    header->durable_lsn = header->start;
    ret_gap->link.id = heir.prev_id;
    ret_gap->end = heir.prev_end;
    ret_gap->hidden = heir.base_sequence - header->base_sequence;
    /* Something comes before it; and a hole is as long as it must be, or there is none. */
    return header->prev_id != NW_NO_SEGMENT && header->start + heir.prev_end == heir.start &&
           heir.base_sequence >= header->base_sequence &&
           nw_remains_is_likely_end(repair, heir.prev_end) &&
           (heir.prev_end >= NW_HEADER_LEN + NW_HOLE_LEN_MIN ||
            (heir.prev_end == NW_HEADER_LEN && ret_gap->hidden == 0));
}

int nw_remains_find_join(struct nw_repair *repair, uint64_t segment_id, struct nw_gap *ret_gap)
{
    int rc = has_only_empty_before(repair, segment_id);

    if (rc == 1)
        return NW_JOIN_BEHIND_EMPTY;
    if (rc == 0)
        rc = find_gap(repair, segment_id, ret_gap);
    return rc == 1 ? NW_JOIN_BY_HOLES : rc;
}

int nw_remains_can_join(const struct nw_env *env, const struct nori_wal_config *config,
                        uint64_t segment_id, struct nori_error *error)
{
    struct nw_repair repair = {.env = env, .config = config, .why = "", .error = error};
    struct nw_gap gap;
    int rc;

    nw_chain_init(&repair.chain, env->allocator);
    rc = nw_remains_find_join(&repair, segment_id, &gap);
    nw_chain_done(&repair.chain);
    return rc;
}
