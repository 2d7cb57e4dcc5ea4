/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repair.c: what the recovery modes prefix and salvage do about damage.
 *
 * What. One damage at a time, the first one, in steps that each leave a log that can be judged
 * again. Prefix keeps everything before it: what is cut from the damaged segment is copied to
 * quarantine, later segments are moved there newest first, and the log then ends at the damage.
 * Salvage goes on behind it: the stretch up to the next mark, or to the segment's stated end, is
 * copied to quarantine and covered by holes, which tell readers how many records are missing; a
 * damaged header is made anew from what its neighbours and its own marks say; if its marks are
 * gone, too, or the whole file, from its neighbours alone. Where salvage finds nothing to go on
 * with, it does what prefix does.
 *
 * Order. Evidence is durable before the original changes (D7). The newest segment goes first, so
 * that after a crash the chain is the same one, shorter. Before the first change everything has
 * been looked through for what a newer version wrote (D12).
 *
 * Failure. The error says what could not be done; the log is damaged as before, or less.
 *
 * Not here. Finding the damage: judge.c. What a lost header must have said: remains.c. The header
 * that states the new end: roll.c.
 */
#include "wal/repair.h"

#include "format/control_record.h"
#include "wal/remains.h"
#include "wal/scan.h"

/* ---- a segment in `spare` ---- */

/* It gets its name, as recovery would give it. */
static int give_name(struct nw_repair *repair, uint64_t segment_id)
{
    struct nori_folder *folder = repair->env->folder;
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, segment_id);
    rc = folder->ops->open_file(folder, NW_NAME_SPARE, NORI_FILE_WRITE, 0, &file);
    if (rc >= 0) {
        rc = file->ops->sync(file);
        file->ops->close(file);
    }
    if (rc >= 0)
        rc = folder->ops->rename(folder, NW_NAME_SPARE, name);
    if (rc >= 0)
        rc = folder->ops->sync(folder);
    if (rc < 0)
        return nw_io_error(repair->error, rc, (struct nori_position){segment_id, 0}, "name %s",
                           name);
    return nw_chain_list(&repair->chain, repair->env, repair->error);
}

/* The damaged segment may still lie there. */
static int name_segment(struct nw_repair *repair, uint64_t segment_id)
{
    for (size_t i = 0; i < repair->chain.count; i++)
        if (repair->chain.links[i].id == segment_id)
            return NORI_OK;
    return give_name(repair, segment_id);
}

/* The newest may, and leaves the log with the others. */
static int name_newest(struct nw_repair *repair)
{
    uint8_t start[NW_HEADER_LEN_MAX];
    size_t len = sizeof start;
    struct nori_error problem = NORI_ERROR_INIT;
    struct nw_header header;
    uint64_t bytes, log_id;
    int rc = nw_env_read_start(repair->env, NW_NAME_SPARE, start, &len, &bytes, &problem);

    if (rc == NORI_E_NOTFOUND)
        return NORI_OK;
    if (rc >= 0)
        rc = nw_chain_list(&repair->chain, repair->env, &problem);
    if (rc < 0)
        nw_error_copy(repair->error, &problem);
    if (rc < 0 || nw_header_decode(start, len, &header) != 0 ||
        header.segment_id <= repair->chain.id_max || header.segment_id > NW_ID_MAX)
        return rc; /* in a name such an id would leave none for the log */
    rc = nw_remains_survey(repair, &log_id);
    if (rc >= 0 && (log_id == header.log_id || log_id == 0))
        rc = give_name(repair, header.segment_id);
    return rc;
}

/* ---- prefix ---- */

/* Move all segments from this id on, newest first. */
static int move_from(struct nw_repair *repair, uint64_t segment_id)
{
    struct nw_link first = {.id = segment_id, .end = NW_OPEN_END};
    uint64_t ignored;
    int rc = name_newest(repair);

    if (rc >= 0)
        rc = nw_remains_complete(repair, &first, UINT64_MAX, &ignored);
    if (rc == 1) /* then all that is in the ring */
        rc = nw_quarantine_copy_file(&repair->quarantine, NW_NAME_CONTROL, repair->why,
                                     repair->error);
    if (rc >= 0)
        rc = nw_chain_list(&repair->chain, repair->env, repair->error);
    for (size_t i = repair->chain.count; rc >= 0 && i > 0; i--) {
        if (repair->chain.links[i - 1].id < segment_id)
            break;
        rc = nw_quarantine_move(&repair->quarantine, &repair->chain.links[i - 1], repair->why,
                                repair->error);
    }
    return rc;
}

/* Files that were dead already are no evidence of this damage. */
static int remove_dead(struct nw_repair *repair)
{
    struct nori_folder *folder = repair->env->folder;
    int rc = NORI_OK;

    for (size_t i = repair->chain.count; rc >= 0 && i > 0; i--) {
        char name[NW_NAME_MAX];

        if (repair->chain.links[i - 1].is_live)
            continue;
        nw_link_name(&repair->chain.links[i - 1], name);
        rc = folder->ops->remove(folder, name);
        if (rc >= 0)
            rc = folder->ops->sync(folder);
        if (rc < 0)
            return nw_io_error(repair->error, rc, NW_NOWHERE, "remove %s", name);
    }
    return rc;
}

/* End the log at the damage. */
static int cut(struct nw_repair *repair, const struct nw_link *link, const struct nw_damage *damage,
               struct nw_damage *accepted)
{
    uint64_t id = link->id;
    bool is_spare = link->is_spare;
    uint64_t end;
    int rc = nw_remains_complete(repair, link, id, &end);

    end = nw_max_u64(end, damage->end);
    if (rc >= 0 && end > damage->offset)
        rc = nw_quarantine_copy(&repair->quarantine, link, damage->offset, end, repair->why,
                                repair->error);
    if (rc >= 0)
        rc = remove_dead(repair);
    if (rc >= 0 && !is_spare)
        rc = move_from(repair, id + 1);
    if (rc >= 0)
        *accepted = *damage;
    return rc;
}

/* ---- salvage ---- */

/* Cover [from, to) with holes, all of the hidden records in the first, and make that durable. */
static int write_holes(const struct nw_repair *repair, const struct nw_link *link,
                       struct nori_file *file, uint64_t from, uint64_t to, uint64_t hidden)
{
    uint64_t pieces = (to - from + NW_HOLE_LEN_MAX - 1) / NW_HOLE_LEN_MAX;
    uint8_t *hole = nw_alloc(repair->env->allocator, NW_HOLE_LEN_MAX);
    int rc = hole ? NORI_OK : NORI_E_NOMEM;

    for (; rc >= 0 && from < to; pieces--, hidden = 0) {
        size_t len = (size_t)((to - from) / pieces);
        struct nori_span span = {hole, len};

        nw_hole_encode(hole, len, hidden, link->header.salt, from);
        rc = file->ops->write(file, &span, 1, from);
        from += len;
    }
    if (rc >= 0)
        rc = file->ops->sync(file);
    nw_free(repair->env->allocator, hole);
    return rc;
}

/* A stretch to cover. */
struct stretch {
    uint64_t from;
    uint64_t to;
    uint64_t sequence;       /* of the first record in it */
    uint64_t sequence_after; /* of the first one behind it */
};

/* A stretch too short for a hole grows back to the mark before it. */
static int grow(const struct nw_repair *repair, const struct nw_link *link, struct nori_file *file,
                struct stretch *stretch)
{
    uint64_t mark;
    int rc;

    if (stretch->to - stretch->from >= NW_HOLE_LEN_MIN)
        return NORI_OK;
    rc = nw_scan_find_mark_before(link, repair->chain.log_id, file, repair->env->allocator,
                                  stretch->from, &mark, &stretch->sequence);
    stretch->from = mark > link->begin ? mark + NW_MARK_LEN : link->begin;
    return rc;
}

/* The stretch from the damage to where the log can be trusted again: 1, or 0 if it never can. */
static int find_stretch(const struct nw_repair *repair, const struct nw_link *link,
                        const struct nw_link *next, struct nori_file *file,
                        const struct nw_damage *damage, struct stretch *ret_stretch)
{
    struct stretch stretch = {.from = damage->offset, .sequence = damage->next_sequence};
    struct nw_mark mark;
    int rc = nw_scan_find_mark_behind(link, repair->chain.log_id, file, repair->env->allocator,
                                      damage->offset + 1, &stretch.to, &mark);

    if (rc < 0)
        return rc;
    if (rc == 1) {
        stretch.sequence_after = mark.next_sequence;
    } else if (next && nw_remains_is_likely_end(repair, link->end)) {
        stretch.to = link->end;
        stretch.sequence_after = next->header.base_sequence;
    } else {
        return 0;
    }
    rc = grow(repair, link, file, &stretch);
    if (rc < 0)
        return rc;
    *ret_stretch = stretch;
    return stretch.to - stretch.from >= NW_HOLE_LEN_MIN &&
           stretch.sequence_after >= stretch.sequence;
}

static int cover(struct nw_repair *repair, const struct nw_link *link, struct nori_file *file,
                 const struct stretch *stretch)
{
    int rc = nw_quarantine_copy(&repair->quarantine, link, stretch->from, stretch->to, repair->why,
                                repair->error);

    if (rc < 0)
        return rc;
    rc = write_holes(repair, link, file, stretch->from, stretch->to,
                     stretch->sequence_after - stretch->sequence);
    if (rc < 0)
        return nw_io_error(repair->error, rc, (struct nori_position){link->id, stretch->from},
                           "cover the damage in segment %llu at %llu", (unsigned long long)link->id,
                           (unsigned long long)stretch->from);
    return NORI_OK;
}

/* 1 if the damage is covered; 0 if there is nothing to go on with behind it. */
static int salvage_records(struct nw_repair *repair, size_t index, const struct nw_damage *damage)
{
    const struct nw_link *link = &repair->chain.links[index];
    const struct nw_link *next = nw_chain_next_live(&repair->chain, index, &index);
    struct nori_file *file = NULL;
    struct stretch stretch;
    uint64_t ignored;
    int rc;

    if (link->format != 2)
        return 0; /* no marks, and no way to say that something is missing */
    rc = nw_remains_complete(repair, link, link->id, &ignored);
    if (rc < 0)
        return rc;
    rc = nw_link_open(repair->env, link, NORI_FILE_WRITE, &file, repair->error);
    if (rc < 0)
        return rc;
    rc = find_stretch(repair, link, next, file, damage, &stretch);
    if (rc < 0)
        rc = nw_io_error(repair->error, rc, (struct nori_position){link->id, damage->offset},
                         "read segment %llu", (unsigned long long)link->id);
    else if (rc == 1)
        rc = cover(repair, link, file, &stretch) < 0 ? repair->error->code : 1;
    file->ops->close(file);
    return rc;
}

/* ---- a damaged header made anew ---- */

/* 1 if the header was made anew; 0 if it could not be. */
static int salvage_header(struct nw_repair *repair, uint64_t segment_id, uint64_t log_id)
{
    struct nw_link link = {.id = segment_id};
    struct nori_file *file = NULL;
    uint8_t bytes[NW_HEADER_LEN];
    struct nori_span span = {bytes, sizeof bytes};
    struct nw_header header;
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, segment_id);
    rc = repair->env->folder->ops->open_file(repair->env->folder, name, NORI_FILE_WRITE, 0, &file);
    if (rc < 0)
        return nw_io_error(repair->error, rc, (struct nori_position){segment_id, 0}, "open %s",
                           name);
    rc = nw_remains_find_header(repair, segment_id, file, log_id, &header);
    if (rc == 1) {
        rc = nw_quarantine_copy(&repair->quarantine, &link, 0, NW_HEADER_LEN, repair->why,
                                repair->error);
        nw_header_encode(bytes, &header);
        if (rc >= 0)
            rc = file->ops->write(file, &span, 1, 0);
        if (rc >= 0)
            rc = file->ops->sync(file);
        rc = rc < 0 ? nw_remains_describe(repair, rc, segment_id, "make a new header for") : 1;
    }
    file->ops->close(file);
    return rc;
}

/* Make the oldest damaged header anew for which enough is known: 1, or 0 if there is none. */
static int salvage_headers(struct nw_repair *repair, uint64_t log_id)
{
    struct nw_chain files;
    int rc;

    nw_chain_init(&files, repair->env->allocator);
    rc = nw_chain_list(&files, repair->env, repair->error);
    for (size_t i = 0; rc == 0 && i < files.count; i++) {
        struct nw_header header;
        uint64_t id = files.links[i].id;

        rc = nw_remains_read_header(repair, id, &header);
        if (rc > 0) {
            rc = salvage_header(repair, id, log_id);
        } else if (rc == 0) {
            rc = nw_remains_has_wrong_header(repair, id, &header);
            rc = rc == 1 ? salvage_header(repair, id, 0) : rc;
        }
    }
    nw_chain_done(&files);
    return rc;
}

/* ---- a predecessor that is missing ---- */

/* Move them, newest first. 1. */
static int move_empty(struct nw_repair *repair)
{
    for (size_t i = repair->chain.count; i > 0; i--) {
        int rc = nw_quarantine_move(&repair->quarantine, &repair->chain.links[i - 1], repair->why,
                                    repair->error);

        if (rc < 0)
            return rc;
    }
    return 1;
}

/* Make it anew: a header and holes. Its header is written last: whoever finds half of it finds a
 * damaged header, and makes that anew. 1. */
static int fill_gap(struct nw_repair *repair, const struct nw_gap *gap)
{
    struct nori_folder *folder = repair->env->folder;
    uint8_t bytes[NW_HEADER_LEN];
    struct nori_span span = {bytes, sizeof bytes};
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, gap->link.id);
    nw_header_encode(bytes, &gap->link.header);
    rc = folder->ops->open_file(folder, name,
                                NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE,
                                repair->config->file_mode, &file);
    if (rc >= 0)
        rc = write_holes(repair, &gap->link, file, NW_HEADER_LEN, gap->end, gap->hidden);
    if (rc >= 0)
        rc = file->ops->write(file, &span, 1, 0);
    if (rc >= 0)
        rc = file->ops->sync(file);
    if (file)
        file->ops->close(file);
    if (rc >= 0)
        rc = folder->ops->sync(folder);
    return rc < 0 ? nw_io_error(repair->error, rc, (struct nori_position){gap->link.id, 0},
                                "put holes in the place of %s", name)
                  : 1;
}

/* 1, or 0: nothing is missing, or it cannot be put right without losing what follows. */
static int salvage_predecessor(struct nw_repair *repair, uint64_t segment_id)
{
    struct nw_gap gap = {.link = {.format = 2}};
    int join = nw_remains_find_join(repair, segment_id, &gap);

    if (join == NW_JOIN_BEHIND_EMPTY)
        return move_empty(repair);
    return join == NW_JOIN_BY_HOLES ? fill_gap(repair, &gap) : join;
}

/* ---- the two kinds of damage ---- */

/* A whole segment of another place or another log is no part of this one: it alone is moved. 1, or
 * 0 if it is none. Prefix does not if it is the oldest: what is behind it may lack a beginning. */
static int move_stray(struct nw_repair *repair, uint64_t segment_id, uint64_t log_id)
{
    struct nw_link link = {.id = segment_id, .end = NW_OPEN_END};
    struct nw_header header;
    uint64_t ignored;
    int rc = nw_remains_read_header(repair, segment_id, &header);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (header.segment_id == segment_id && header.log_id == log_id)
        return 0;
    if (repair->config->recovery_mode == NORI_RECOVER_PREFIX &&
        repair->chain.links[0].id == segment_id)
        return 0;
    rc = nw_remains_complete(repair, &link, segment_id, &ignored);
    if (rc >= 0)
        rc = nw_quarantine_move(&repair->quarantine, &link, repair->why, repair->error);
    return rc < 0 ? rc : 1;
}

static int repair_chain(struct nw_repair *repair, const struct nw_damage *damage)
{
    bool is_salvage = repair->config->recovery_mode == NORI_RECOVER_SALVAGE;
    uint64_t log_id;
    int rc = nw_chain_list(&repair->chain, repair->env, repair->error);

    if (rc >= 0)
        rc = nw_remains_survey(repair, &log_id);
    if (rc >= 0)
        rc = name_segment(repair, damage->segment_id);
    if (rc >= 0 && is_salvage)
        rc = salvage_headers(repair, log_id);
    if (rc == 0)
        rc = move_stray(repair, damage->segment_id, log_id);
    if (rc == 0 && is_salvage)
        rc = salvage_predecessor(repair, damage->segment_id);
    if (rc == 1)
        return NORI_OK;
    if (rc >= 0)
        rc = move_from(repair, damage->segment_id);
    return rc < 0 ? rc : 1;
}

static int repair_records(struct nw_repair *repair, const struct nw_damage *damage,
                          struct nw_damage *accepted)
{
    int rc = nw_chain_load(&repair->chain, repair->env, true, repair->error);

    if (rc < 0)
        return rc;
    for (size_t i = repair->chain.first_live; i < repair->chain.count; i++) {
        const struct nw_link *link = &repair->chain.links[i];

        if (!link->is_live || link->id != damage->segment_id)
            continue;
        if (repair->config->recovery_mode == NORI_RECOVER_SALVAGE)
            rc = salvage_records(repair, i, damage);
        return rc == 0 ? cut(repair, link, damage, accepted) : rc < 0 ? rc : NORI_OK;
    }
    return nw_error_set(repair->error, NORI_E_CORRUPT, 0, NW_NOWHERE,
                        "repair: the damaged segment is gone");
}

int nw_repair(const struct nw_env *env, const struct nori_wal_config *config,
              const struct nw_damage *damage, const char *why, struct nw_damage *accepted,
              uint64_t *quarantined_bytes, struct nori_error *error)
{
    struct nw_repair repair = {.env = env, .config = config, .why = why, .error = error};
    int rc;

    nw_quarantine_init(&repair.quarantine, env, config->file_mode);
    nw_chain_init(&repair.chain, env->allocator);
    rc = damage->kind == NW_DAMAGE_CHAIN ? repair_chain(&repair, damage)
                                         : repair_records(&repair, damage, accepted);
    *quarantined_bytes += repair.quarantine.bytes;
    nw_chain_done(&repair.chain);
    nw_quarantine_done(&repair.quarantine);
    return rc;
}
