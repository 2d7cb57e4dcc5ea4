/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader_place.c: where a reader stands: in which segment of which chain.
 *
 * What. A reader keeps a copy of the link it is in, for that may leave the chain while it is read.
 * It goes on in the link that names this one as its predecessor, and loads the chain anew when it
 * knows none.
 *
 * Failure. A segment that is gone, or an end before our place, is NORI_E_TRUNCATED, and stays so.
 * After any other failure the reader stands where it stood.
 */
#include "wal/reader.h"

#include "wal/judge.h"
#include "wal/scan.h"

#define LSN_MAX ((uint64_t)1 << 62) /* a log never gets there: torn or strange words do */

/* So often the chain is looked at again, and beside a live writer, which may be fast. */
#define LOADS      3
#define LOADS_LIVE 31

void nw_reader_leave(struct nori_reader *reader)
{
    nw_cursor_restart(&reader->cursor, NULL, 2, 0, 0, 0);
    if (reader->file && !(reader->map && reader->file == reader->map->file))
        reader->file->ops->close(reader->file);
    nw_map_unref(reader->map);
    reader->file = NULL;
    reader->map = NULL;
    nw_staged_forget(&reader->staged); /* the file read from it */
    reader->staged_lsn = 0;
    reader->is_patched = false;
}

uint64_t nw_reader_file_end(const struct nori_reader *reader)
{
    if (!reader->control)
        return UINT64_MAX;
    return nw_max_u64(atomic_load(&reader->control->words->written), reader->staged_lsn);
}

/* From now on `file` has the stretch. */
static int patch_file(struct nori_reader *reader)
{
    bool is_lent = reader->map && reader->file == reader->map->file;
    int rc = NORI_OK;

    nw_cursor_refresh(&reader->cursor);
    if (!reader->is_patched)
        rc = nw_staged_wrap(&reader->staged, reader->here.header.salt, is_lent, &reader->file);
    if (rc < 0)
        return nw_no_memory(&reader->error);
    reader->is_patched = true;
    reader->cursor.file = reader->file;
    reader->cursor.is_mapped = false;
    reader->staged_lsn = reader->here.start + reader->staged.stretches[0].to;
    return 1;
}

int nw_reader_ask_ring(struct nori_reader *reader)
{
    struct nw_staged_place place = {reader->here.header.salt,   reader->here.start,
                                    reader->here.end,           reader->cursor.record_limit,
                                    reader->here.header.log_id, reader->file};
    int rc;

    if (reader->here.format != 2 || !reader->file)
        return 0;
    nw_staged_forget(&reader->staged); /* what it gave before has been read */
    if (!reader->staged.control || reader->staged.control != reader->control) {
        nw_staged_done(&reader->staged);
        rc = nw_staged_begin(&reader->staged, &reader->env, reader->control, &reader->error);
        if (rc < 0)
            return rc;
    }
    rc = nw_reader_ask_writer(reader);
    if (rc < 0)
        return rc;
    reader->staged.is_live = rc == 1;
    reader->staged.floor_lsn =
        reader->staged.is_live ? 0
                               : nw_max_u64(nw_control_watermark(reader->control, &reader->chain),
                                            nw_chain_watermark(&reader->chain));
    rc = nw_staged_extend(&reader->staged, &place, reader->cursor.offset);
    if (rc < 0)
        return nw_io_error(&reader->error, rc, nw_reader_place(reader), "read segment %llu",
                           (unsigned long long)reader->here.id);
    return rc > 0 ? patch_file(reader) : 0;
}

/* The control words may appear after the reader; those of another log do not count. */
static int find_control(struct nori_reader *reader)
{
    if (reader->control && !nw_control_is_current(reader->control)) {
        nw_control_unref(reader->control);
        reader->control = NULL;
    }
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

/* Segments of format 1 were counted from the oldest there is; a writer that dropped some counts
 * from an older one. 1: done, or there is nothing to do; 0: the segment that it tells about was
 * dropped just now. */
static int count_as_writer(struct nori_reader *reader)
{
    struct nw_chain *chain = &reader->chain;
    const struct nw_link *last = nw_chain_last(chain);
    uint64_t id = 0;
    uint64_t start = 0;

    if (!reader->control || !last || last->format != 1 ||
        !nw_control_place(reader->control, &id, &start))
        return 1;
    for (size_t i = chain->first_live; i < chain->count; i++) {
        uint64_t shift = start - chain->links[i].start;

        if (chain->links[i].id != id)
            continue;
        /* A power cut may have torn them, and nobody has stored them anew. No writer counts less
         * than what is there, and no LSN goes around. */
        if (start < chain->links[i].start || start > LSN_MAX)
            return 1;
        for (size_t j = chain->first_live; j < chain->count; j++)
            chain->links[j].start += shift;
        return 1;
    }
    return 0;
}

static bool may_look_again(struct nori_reader *reader, int attempt)
{
    return attempt < LOADS || (attempt < LOADS_LIVE && nw_reader_ask_writer(reader) == 1);
}

/* A writer that is dropping or naming segments may change the folder under a listing: look again
 * before complaining. */
static int load_chain(struct nori_reader *reader)
{
    int rc = find_control(reader);

    if (rc < 0)
        return rc;
    for (int attempt = 0;; attempt++) {
        reader->cut = nw_reader_current_cut(reader);
        reader->history = nw_reader_current_history(reader);
        reader->durable_lsn = 0;
        reader->has_marks_lsn = false;
        reader->end_lsn = UINT64_MAX;
        rc = nw_chain_load(&reader->chain, &reader->env, false, &reader->error);
        if (rc >= 0) {
            check_control(reader);
            rc = nw_scan_measure_format1(&reader->env, &reader->chain, &reader->error);
        }
        if (rc >= 0 ? count_as_writer(reader) : rc != NORI_E_CORRUPT && rc != NORI_E_NOTFOUND)
            return rc;
        if (!may_look_again(reader, attempt))
            return rc;
    }
}

int nw_reader_load_chain(struct nori_reader *reader)
{
    int rc = load_chain(reader);

    reader->is_lost |= rc < 0;
    return rc;
}

struct nw_link *nw_reader_find_link(struct nori_reader *reader, const struct nw_link *link)
{
    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++) {
        struct nw_link *other = &reader->chain.links[i];

        /* Those of format 1 have the salt 0. */
        if (other->is_live && other->id == link->id && other->header.salt == link->header.salt)
            return other;
    }
    return NULL;
}

/* The live link that names `here` as its predecessor. */
struct nw_link *nw_reader_find_successor(struct nori_reader *reader)
{
    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++) {
        struct nw_link *link = &reader->chain.links[i];

        if (!link->is_live || link->id <= reader->here.id)
            continue;
        if (link->header.prev_salt == reader->here.header.salt &&
            (reader->here.format == 2 || link->format == 1 ||
             link->header.prev_id == reader->here.id))
            return link;
    }
    return NULL;
}

/* For good: whoever goes on must choose from where. */
int nw_reader_truncated(struct nori_reader *reader)
{
    reader->is_truncated = true;
    return nw_error_set(&reader->error, NORI_E_TRUNCATED, 0, nw_reader_place(reader),
                        "what came next at %llu:%llu was removed by retention or truncation",
                        (unsigned long long)reader->here.id,
                        (unsigned long long)reader->cursor.offset);
}

/*
 * Our place was dropped, and what came behind it. If the oldest segment left begins with the
 * record that we would read next, there was no record in what is gone: only headers and marks. That
 * holds only as long as nothing was cut off since: sequence numbers are used again then (D11).
 */
static const struct nw_link *find_next_left(const struct nori_reader *reader)
{
    const struct nw_chain *chain = &reader->chain;
    const struct nw_link *oldest =
        chain->first_live < chain->count ? &chain->links[chain->first_live] : NULL;

    if (!reader->control || reader->history != reader->history_here || reader->is_in_batch ||
        reader->sequence == 0 || !oldest || oldest->format != 2 || reader->here.format != 2)
        return NULL;
    return oldest->id > reader->here.id && oldest->first_sequence == reader->sequence &&
                   oldest->header.log_id == reader->here.header.log_id
               ? oldest
               : NULL;
}

/* A recovery has cut off what we have read last, and what comes in its place has not begun a
 * segment yet (D11). */
static bool is_behind_recovered_end(const struct nori_reader *reader)
{
    return reader->control && reader->history != reader->history_here &&
           reader->here.end == NW_OPEN_END &&
           nw_reader_lsn(reader) > atomic_load(&reader->control->words->published);
}

/* Find our place in the chain that was loaded; or go on at the oldest, if nothing was missed. */
static int find_place(struct nori_reader *reader)
{
    const struct nw_link *link = nw_reader_find_link(reader, &reader->here);
    const struct nw_link *left;

    if (link) {
        reader->here = *link;
    } else {
        link = nw_reader_find_successor(reader);
        left = link ? NULL : find_next_left(reader);
        if (left)
            return nw_reader_enter(reader, left);
        /* One of format 1 does not tell what came before it. */
        if (!link || link->format == 1)
            return nw_reader_truncated(reader);
        reader->here.end = link->header.prev_end;
    }
    if (reader->cursor.offset > reader->here.end || is_behind_recovered_end(reader))
        return nw_reader_truncated(reader);
    reader->history_here = reader->history;
    reader->lent_end = nw_min_u64(reader->lent_end, reader->here.end);
    return NORI_OK;
}

/* Only its file bounds a record of format 1, and beside a writer that grows. */
static uint64_t cursor_limit(const struct nori_reader *reader, const struct nw_link *link)
{
    return link->format == 1 ? NW_RECORD_MAX
                             : nw_link_record_limit(link, reader->config.max_record_size);
}

int nw_reader_relocate(struct nori_reader *reader)
{
    int rc = nw_reader_load_chain(reader);

    nw_assert(reader->has_place);
    if (rc >= 0)
        rc = find_place(reader);
    reader->is_lost = rc < 0;
    return rc;
}

/* Open a link's file; *ret_use_map: it may be mapped. */
static int open_file(struct nori_reader *reader, const struct nw_link *link,
                     struct nori_file **ret_file, bool *ret_use_map)
{
    bool use_map = !(reader->config.flags & NORI_READER_PREAD);
    int rc = nw_link_open(&reader->env, link, 0, ret_file, &reader->error);

    if (rc < 0)
        return rc;
    if (use_map && (*ret_file)->ops->lock(*ret_file, NORI_LOCK_SHARED) < 0)
        use_map = false; /* the writer is trimming it: copy, then its length does not matter */
    *ret_use_map = use_map;
    return NORI_OK;
}

/* Have the cursor read `here` from an offset on. */
static void restart_cursor(struct nori_reader *reader, uint64_t offset, bool use_map)
{
    const struct nw_link *here = &reader->here;

    reader->cursor.is_mapped = use_map;
    nw_cursor_restart(&reader->cursor, reader->file, here->format,
                      here->format == 2 ? here->header.salt : 0, offset,
                      cursor_limit(reader, here));
}

static void stand_at_begin(struct nori_reader *reader, const struct nw_link *link)
{
    reader->here = *link;
    reader->has_place = true;
    reader->is_lost = false;
    reader->history_here = reader->history;
    reader->is_in_batch = false;
    reader->sequence = link->first_sequence;
}

/* A file that is not there any more was dropped. */
static int tell_dropped(struct nori_reader *reader, int rc)
{
    return rc == NORI_E_NOTFOUND && reader->has_place ? nw_reader_truncated(reader) : rc;
}

static int try_entering(struct nori_reader *reader, const struct nw_link *link)
{
    struct nw_link copy = *link; /* leaving may free it */
    struct nori_file *file = NULL;
    bool use_map = false;
    int rc = open_file(reader, &copy, &file, &use_map);

    if (rc < 0)
        return rc;
    nw_reader_leave(reader);
    reader->file = file;
    stand_at_begin(reader, &copy);
    restart_cursor(reader, copy.begin, use_map);
    return NORI_OK;
}

int nw_reader_enter(struct nori_reader *reader, const struct nw_link *link)
{
    return tell_dropped(reader, try_entering(reader, link));
}

void nw_reader_enter_lent(struct nori_reader *reader, const struct nw_loan *loan)
{
    nw_assert(!reader->file && !reader->map);
    nw_assert(loan->end <= loan->map->len && loan->end <= loan->segment_end);
    reader->map = loan->map;
    reader->lent_end = loan->end;
    reader->cut = loan->cut;
    reader->history = loan->history;
    reader->durable_lsn = loan->durable_lsn;
    stand_at_begin(reader, &loan->map->link);
    reader->here.end = loan->segment_end;
    restart_cursor(reader, reader->here.begin, true);
    nw_cursor_lend(&reader->cursor, loan->map->data, (size_t)loan->end);
}

int nw_reader_take_file(struct nori_reader *reader)
{
    uint64_t offset = reader->cursor.offset;
    uint32_t cut = reader->cut;
    struct nori_file *file = NULL;
    bool use_map = true;
    int rc = nw_reader_load_chain(reader);

    /* A segment that was dropped, no more, is read to its end by who has the file. */
    if (rc >= 0 && (!reader->map->has_file || reader->cut != cut ||
                    nw_reader_find_link(reader, &reader->here)))
        rc = find_place(reader);
    if (rc < 0 || reader->file) /* it stands in another segment */
        return rc;
    if (reader->map->has_file) {
        reader->file = reader->map->file;
    } else {
        rc = tell_dropped(reader, open_file(reader, &reader->here, &file, &use_map));
        if (rc < 0)
            return rc;
        nw_reader_leave(reader);
        reader->file = file;
    }
    restart_cursor(reader, offset, use_map);
    return NORI_OK;
}

/* One that has begun since the chain was loaded. 1, or 0 if there is none yet. */
static int enter_new_successor(struct nori_reader *reader)
{
    int rc = nw_reader_load_chain(reader);
    const struct nw_link *next;

    if (rc < 0)
        return rc;
    next = nw_reader_find_successor(reader);
    if (!next && nw_reader_find_link(reader, &reader->here))
        return NORI_OK;
    if (!next)
        next = find_next_left(reader);
    if (!next)
        return nw_reader_truncated(reader);
    rc = nw_reader_enter(reader, next);
    return rc < 0 ? rc : 1;
}

/* The segment's stated end is reached: 1 if the reader went on in the successor. */
int nw_reader_enter_successor(struct nori_reader *reader)
{
    const struct nw_link *next = nw_reader_find_successor(reader);
    uint64_t sequence = reader->sequence;
    uint64_t id = reader->here.id;
    int rc = next ? try_entering(reader, next) : NORI_OK;

    /* Dropped since the chain was loaded; it may have held no record. */
    if (rc == NORI_E_NOTFOUND) {
        rc = nw_reader_relocate(reader);
        next = NULL;
    }
    if (rc < 0)
        return rc;
    if (!next && reader->here.id == id) {
        rc = enter_new_successor(reader);
        if (rc != 1)
            return rc;
    }
    if (reader->sequence == 0)
        reader->sequence = sequence;
    return 1;
}

/* A writer that drops segments may take the oldest one before it is opened. */
int nw_reader_enter_first(struct nori_reader *reader)
{
    for (int attempt = 0;; attempt++) {
        int rc = nw_reader_load_chain(reader);

        if (rc < 0 || reader->chain.first_live == reader->chain.count)
            return rc;
        rc = nw_reader_enter(reader, &reader->chain.links[reader->chain.first_live]);
        if (rc != NORI_E_NOTFOUND || !may_look_again(reader, attempt))
            return rc < 0 ? rc : 1;
    }
}
