/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pieces.c: the chain of a log whose headers do not make one.
 *
 * What. If chain.c finds the chain whole it is taken as it is. Otherwise every file is looked at by
 * itself: a header that verifies, or marks that tell the salt of a segment that lost its header, or
 * records of format 1. From the newest back, each is linked to the one that its successor names;
 * where that one is missing the next older file begins a piece of its own, whose end is not stated.
 *
 * Failure. Everything wrong is a finding. What a newer version wrote is an error: nothing can be
 * said about such a log.
 *
 * Not here. The chain as the log itself believes it: chain.c. The records: damage.c.
 */
#include "wal/damage.h"

#include <string.h>

#define CHUNK_LEN ((size_t)64 << 10)

/* What a file holds besides a header. */
struct remains {
    bool is_zero;
    bool has_mark;
    struct nw_mark mark; /* the first one */
};

static int look_for_remains(struct nw_walk *walk, const struct nw_link *link,
                            struct remains *ret_remains)
{
    struct nori_folder *folder = walk->env->folder;
    struct nori_file *file = NULL;
    uint8_t *chunk = nw_alloc(walk->env->allocator, CHUNK_LEN);
    char name[NW_NAME_MAX];
    uint64_t offset = 0;
    size_t got = CHUNK_LEN;
    int rc = NORI_E_NOMEM;

    *ret_remains = (struct remains){.is_zero = true};
    nw_link_name(link, name);
    if (chunk)
        rc = folder->ops->open_file(folder, name, 0, 0, &file);
    while (rc >= 0 && got == CHUNK_LEN && !ret_remains->has_mark) {
        rc = file->ops->read(file, chunk, CHUNK_LEN, offset, &got);
        if (rc < 0)
            break;
        ret_remains->is_zero &= nw_nonzero_len(chunk, got) == 0;
        ret_remains->has_mark = nw_mark_find_any(chunk, got, offset, &ret_remains->mark) != NULL;
        offset += got - (got == CHUNK_LEN ? NW_MARK_LEN - 1 : 0);
    }
    if (file)
        file->ops->close(file);
    nw_free(walk->env->allocator, chunk);
    return rc;
}

static int note_header(struct nw_walk *walk, const struct nw_link *link, const char *message,
                       bool can_go_on)
{
    struct nw_finding *finding = nw_walk_note(walk, NW_FINDING_HEADER, link, 0, message);

    if (!finding)
        return NORI_E_NOMEM;
    finding->bytes = NW_HEADER_LEN;
    finding->can_go_on = can_go_on;
    return NORI_OK;
}

static int note_zeros(struct nw_walk *walk, const struct nw_link *link)
{
    int rc = note_header(walk, link, "the segment has no header", false);

    if (rc >= 0)
        walk->findings[walk->count - 1].is_zero = true;
    return rc;
}

/* A file whose header does not verify: its own marks may tell what it is. */
static int take_remains(struct nw_walk *walk, struct nw_link *link, bool has_magic,
                        struct nori_error *error)
{
    struct remains remains;
    int rc = look_for_remains(walk, link, &remains);

    if (rc < 0)
        return nw_io_error(error, rc, (struct nori_position){link->id, 0}, "read what is left");
    if (remains.has_mark) {
        link->format = 2;
        link->begin = NW_HEADER_LEN;
        link->header = (struct nw_header){
            .segment_id = link->id, .salt = remains.mark.salt, .log_id = remains.mark.log_id};
        return note_header(
            walk, link, "the segment header is damaged; the records behind it can be read", true);
    }
    if (remains.is_zero && !has_magic)
        return NORI_OK; /* what it means depends on its neighbours */
    return note_header(walk, link,
                       has_magic ? "the segment header is damaged; no mark tells what follows it"
                                 : "neither a segment header nor a record of format 1",
                       false);
}

/* What begins as a record of format 1 does may be one, however long, or what is left of a header: 1
 * if it verifies. */
static int has_format1(struct nw_walk *walk, const struct nw_link *link)
{
    struct nori_folder *folder = walk->env->folder;
    struct nw_stored_record record;
    struct nori_file *file = NULL;
    struct nw_cursor cursor;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = folder->ops->open_file(folder, name, 0, 0, &file);
    if (rc < 0)
        return rc;
    nw_cursor_begin(&cursor, walk->env->allocator, file, 1, 0, 0, NW_RECORD_MAX, false);
    rc = nw_cursor_next(&cursor, &record);
    nw_cursor_done(&cursor);
    file->ops->close(file);
    return rc < 0 && NORI_VFS_CODE(rc) != NORI_E_VERSION ? rc : rc <= 0;
}

/* Fill a listed link from its file. */
static int read_piece(struct nw_walk *walk, struct nw_link *link, struct nori_error *error)
{
    uint8_t start[NW_HEADER_LEN_MAX];
    size_t len = sizeof start;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = nw_env_read_start(walk->env, name, start, &len, &link->file_bytes, error);
    if (rc < 0)
        return rc;
    rc = nw_header_decode(start, len, &link->header);
    if (rc == NORI_E_VERSION)
        return nw_error_set(error, rc, 0, (struct nori_position){link->id, 0},
                            "%s: written by a newer version of the format", name);
    if (rc == 0 && link->header.segment_id != link->id)
        return note_header(walk, link, "the segment header has another id than the name", false);
    if (rc == 0) {
        link->format = 2;
        link->begin = link->header.header_len;
        link->start = link->header.start;
        link->first_sequence = link->header.base_sequence;
        return NORI_OK;
    }
    if (rc == NW_HEADER_BAD || nw_header_lacks_only_magic(start, len))
        return take_remains(walk, link, true, error);
    if (nw_chain_begins_with_format1(start, len)) {
        rc = has_format1(walk, link);
        link->format = rc == 1 ? 1 : 0;
        if (rc != 0)
            return rc < 0 ? rc : NORI_OK;
    }
    return take_remains(walk, link, false, error);
}

/* The log's id: the one that most headers have. */
static uint64_t vote_log_id(const struct nw_chain *chain)
{
    uint64_t log_id = 0;
    size_t most = 0;

    for (size_t i = 0; i < chain->count; i++) {
        size_t votes = 0;

        for (size_t j = 0; chain->links[i].format == 2 && j < chain->count; j++)
            votes += chain->links[j].format == 2 &&
                     chain->links[j].header.log_id == chain->links[i].header.log_id;
        if (votes > most) {
            most = votes;
            log_id = chain->links[i].header.log_id;
        }
    }
    return log_id;
}

static bool has_id_below(const struct nw_chain *chain, size_t below, uint64_t id)
{
    for (size_t i = 0; i < below; i++)
        if (chain->links[i].id == id)
            return true;
    return false;
}

/* How an older link stands to a newer one that is live. */
enum relation {
    IS_PREDECESSOR,
    IS_DEAD,  /* the newer one has another predecessor, which is there */
    IS_PIECE, /* the newer one's predecessor cannot be had */
};

static enum relation relate(const struct nw_chain *chain, size_t older, const struct nw_link *newer)
{
    const struct nw_link *link = &chain->links[older];
    const struct nw_header *header = &newer->header;

    if (newer->format == 1)
        return link->format == 1 ? IS_PREDECESSOR : IS_PIECE;
    if (header->header_len == 0)
        return IS_PIECE; /* it lost its header: nothing says what came before */
    if (link->format == 2 && header->prev_salt != 0 && link->header.salt == header->prev_salt)
        return IS_PREDECESSOR;
    if (link->format == 1 && header->prev_salt == 0 && header->prev_id == link->id)
        return IS_PREDECESSOR;
    if (header->prev_id != link->id && has_id_below(chain, older, header->prev_id))
        return IS_DEAD;
    return IS_PIECE;
}

static void join(struct nw_link *older, const struct nw_link *newer)
{
    if (newer->format == 1)
        return;
    older->end = newer->header.prev_end;
    if (older->format == 2 && older->header.header_len == 0)
        older->start = newer->header.start - newer->header.prev_end;
}

static int note_missing(struct nw_walk *walk, const struct nw_link *newer)
{
    const struct nw_header *header = &newer->header;
    bool begins = header->prev_salt == 0 && header->prev_id == NW_NO_SEGMENT;
    struct nw_finding *finding;

    if (newer->format == 1 || header->header_len == 0)
        return NORI_OK; /* that its header is lost is told already */
    finding = nw_walk_note(walk, NW_FINDING_CHAIN, newer, 0,
                           begins ? "the segment begins a log, although older files exist"
                                  : "its predecessor is missing, although older files exist");
    if (!finding)
        return NORI_E_NOMEM;
    finding->bytes = header->header_len;
    return NORI_OK;
}

static int read_described(struct nw_walk *walk, struct nw_link *link, struct nori_error *error)
{
    char name[NW_NAME_MAX];
    int rc = read_piece(walk, link, error);

    if (NORI_VFS_ERRNO(rc) == 0)
        return rc;
    nw_link_name(link, name);
    return nw_io_error(error, rc, (struct nori_position){link->id, 0}, "read %s", name);
}

/* Link what fits together, from the newest file back. */
static int join_pieces(struct nw_walk *walk)
{
    struct nw_chain *chain = &walk->chain;
    struct nw_link *newer = NULL;
    int rc = NORI_OK;

    chain->log_id = vote_log_id(chain);
    chain->first_live = chain->count;
    for (size_t i = chain->count; rc >= 0 && i > 0; i--) {
        struct nw_link *link = &chain->links[i - 1];
        enum relation relation = newer ? relate(chain, i - 1, newer) : IS_PREDECESSOR;
        bool is_known = newer && newer->header.prev_id == link->id;

        if (link->format == 2 && link->header.log_id != chain->log_id) {
            if (!nw_walk_note(walk, NW_FINDING_CHAIN, link, 0,
                              "the segment belongs to another log"))
                rc = NORI_E_NOMEM;
            continue;
        }
        if (relation == IS_DEAD)
            continue;
        if (relation == IS_PIECE && !is_known && link->format != 0)
            rc = note_missing(walk, newer);
        if (link->format == 0) {
            /* Its header is gone, and no mark tells what it was: what is older is a piece. */
            newer = is_known || !newer ? link : newer;
            continue;
        }
        if (newer && newer->format != 0 && relation == IS_PREDECESSOR)
            join(link, newer);
        link->is_live = true;
        chain->first_live = i - 1;
        newer = link;
    }
    return rc;
}

/* Files of zeros: where format 2 is, a named file has its header. */
static int judge_zeros(struct nw_walk *walk)
{
    struct nw_chain *chain = &walk->chain;
    bool has_format2 = false;
    size_t noted = walk->count;
    int rc = NORI_OK;

    for (size_t i = 0; i < chain->count; i++)
        has_format2 |= chain->links[i].format == 2;
    for (size_t i = 0; rc >= 0 && i < chain->count; i++) {
        bool is_told = false;

        for (size_t j = 0; j < noted; j++)
            is_told |= walk->findings[j].segment_id == chain->links[i].id;
        if (chain->links[i].format != 0 || is_told)
            continue;
        if (!has_format2)
            chain->links[i].format = 1;
        else
            rc = note_zeros(walk, &chain->links[i]);
    }
    return rc;
}

static bool knows(const struct nw_walk *walk, uint64_t segment_id)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->findings[i].segment_id == segment_id)
            return true;
    return false;
}

int nw_pieces_gather(struct nw_walk *walk, struct nori_error *error)
{
    struct nori_error problem = NORI_ERROR_INIT;
    struct nw_chain *chain = &walk->chain;
    struct nw_link link = {0};
    int rc = nw_chain_load(chain, walk->env, false, &problem);

    if (rc >= 0)
        return rc;
    if (rc == NORI_E_CORRUPT)
        rc = nw_chain_list(chain, walk->env, &problem);
    for (size_t i = 0; rc >= 0 && i < chain->count; i++)
        rc = read_described(walk, &chain->links[i], &problem);
    if (rc >= 0)
        rc = judge_zeros(walk);
    if (rc >= 0)
        rc = join_pieces(walk);
    /* Whatever the log itself complains about is told in any case. */
    link.id = problem.position.segment_id;
    if (rc >= 0 && !knows(walk, link.id) &&
        !nw_walk_note(walk, NW_FINDING_CHAIN, &link, 0, problem.message))
        rc = NORI_E_NOMEM;
    if (rc < 0)
        nw_error_copy(error, &problem);
    return rc == NORI_E_NOMEM ? nw_no_memory(error) : rc;
}
