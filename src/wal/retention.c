/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * retention.c: dropping segments, oldest first, and removing the dead files that a recovery left
 * behind.
 *
 * Order. A segment is dropped only when its successor is durable under its name and the durable
 * position has reached the successor's start; the folder is synced after each, so that what remains
 * is always one chain. Dead files go once the header that killed them is durable under its name,
 * and before any live segment does from then on: else a crash could leave a dead file that looks
 * like the oldest of the log. Those whose header is still to come lie behind the newest live
 * segment, which is not dropped before. So dropping needs no room (D9), but for the new segment
 * that is begun if all is to go.
 *
 * Threads. is_dropping: one caller at a time; the space thread does not wait for it, so that nobody
 * waits for space behind a long deletion. Readers that have a dropped file open go on reading it.
 *
 * Failure. What was dropped is gone; the error says what could not be. Nothing else changes. A
 * failed sync of the folder is final, as any (D8).
 */
#include "base/probe.h"
#include "format/names.h"
#include "wal/log.h"

#include <string.h>

NW_PROBE_HERE(drop)

/* Remove one file and make that durable. A file that is gone already is as good. */
static int remove_durably(struct nori_wal *wal, uint64_t id, struct nori_error *error)
{
    struct nori_folder *folder = wal->env.folder;
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, id);
    rc = folder->ops->remove(folder, name);
    if (rc < 0 && NORI_VFS_CODE(rc) != NORI_E_NOTFOUND)
        return nw_io_error(error, rc, (struct nori_position){id, 0}, "remove %s", name);
    rc = NW_PLANT("drop-with-one-sync") ? 0 : folder->ops->sync(folder);
    if (rc >= 0)
        return NORI_OK;
    (void)nw_io_error(error, rc, (struct nori_position){id, 0},
                      "sync the folder after %s was removed", name);
    return nw_log_fail(wal, error); /* D8: whichever sync it was */
}

/* How many of the dead files may go: the oldest ones, up to the newest segment that is durable
 * under its name; its header killed them, or one before it. mutex held. */
static size_t removable_dead(const struct nori_wal *wal)
{
    size_t named = wal->segment_count;
    size_t count = 0;

    while (named > 0 && !wal->segments[named - 1]->is_named)
        named--;
    while (named > 0 && count < wal->dead_count &&
           wal->dead_ids[count] < wal->segments[named - 1]->id)
        count++;
    return count;
}

/* At most so many, newest first; is_dropping is ours. */
static int remove_dead(struct nori_wal *wal, size_t count_max, struct nori_error *error)
{
    size_t count;
    int rc = NORI_OK;

    nw_lock(wal, wal->mutex);
    while (rc >= 0 && count_max-- > 0 && (count = removable_dead(wal)) > 0) {
        uint64_t id = wal->dead_ids[count - 1];

        nw_unlock(wal, wal->mutex);
        rc = remove_durably(wal, id, error);
        nw_lock(wal, wal->mutex);
        if (rc < 0)
            break;
        memmove(wal->dead_ids + count - 1, wal->dead_ids + count,
                (wal->dead_count - count) * sizeof *wal->dead_ids);
        wal->dead_count--;
    }
    nw_unlock(wal, wal->mutex);
    return rc;
}

/* One caller at a time; without waiting: false if somebody is at it. */
static bool begin_drop(struct nori_wal *wal, bool may_wait)
{
    bool is_mine;

    nw_lock(wal, wal->mutex);
    while (wal->is_dropping && may_wait)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    is_mine = !wal->is_dropping;
    wal->is_dropping = true;
    nw_unlock(wal, wal->mutex);
    return is_mine;
}

static void end_drop(struct nori_wal *wal)
{
    nw_lock(wal, wal->mutex);
    wal->is_dropping = false;
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted); /* to remove the dead */
    nw_log_wake(wal);
    nw_unlock(wal, wal->mutex);
}

int nw_retention_remove_dead(struct nori_wal *wal, size_t count_max, struct nori_error *error)
{
    int rc;

    if (!begin_drop(wal, false))
        return NORI_OK; /* whoever drops removes them first */
    rc = remove_dead(wal, count_max, error);
    end_drop(wal);
    return rc;
}

/* The oldest segment, if all of it lies before lsn and it may go. *ret_next: its successor. */
static struct nw_segment *oldest_to_drop(struct nori_wal *wal, uint64_t lsn,
                                         const struct nw_segment **ret_next)
{
    struct nw_segment *oldest = NULL;

    nw_lock(wal, wal->mutex);
    if (wal->segment_count >= 2 && wal->segments[1]->start <= lsn) {
        oldest = wal->segments[0];
        *ret_next = wal->segments[1];
    }
    nw_unlock(wal, wal->mutex);
    return oldest;
}

/* Take the oldest segment out of the list; its file is removed already. */
static void forget_oldest(struct nori_wal *wal)
{
    struct nw_segment *oldest;
    struct nw_map *map;
    size_t left;
    uint64_t bytes;

    nw_lock(wal, wal->mutex);
    oldest = wal->segments[0];
    while (oldest->is_busy)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    memmove(wal->segments, wal->segments + 1,
            (wal->segment_count - 1) * sizeof(struct nw_segment *));
    left = --wal->segment_count;
    map = nw_maps_take(wal, oldest);
    nw_unlock(wal, wal->mutex);
    nw_map_unref(map); /* else the file's space would not be given back */
    if (oldest->file)
        oldest->file->ops->close(oldest->file);
    bytes = oldest->end;
    NW_PROBE(drop, wal->name, oldest->id, bytes);
    nw_stats_add(&wal->control->words->stats.drops, 1);
    nw_stats_set(&wal->control->words->stats.segment_count, left);
    nw_metrics_add(&wal->metrics, wal->metrics.drops, 1);
    nw_metrics_set(&wal->metrics, wal->metrics.segments, left);
    nw_metrics_emit(&wal->metrics, (struct nori_event){.kind = NORI_EVENT_SEGMENT_GC,
                                                       .segment_id = oldest->id,
                                                       .bytes = bytes});
    nw_free(wal->env.allocator, oldest);
}

/* is_dropping is ours */
static int drop_before(struct nori_wal *wal, uint64_t lsn, uint64_t *deleted,
                       struct nori_error *error)
{
    const struct nw_segment *oldest;
    const struct nw_segment *next = NULL;
    int rc = NORI_OK;

    while (rc >= 0 && (oldest = oldest_to_drop(wal, lsn, &next)) != NULL) {
        if (!NW_PLANT("drop-before-durable"))
            /* its successor's header is durable, and named; without one (format 1) it always is */
            rc = nw_sync_to(wal, next->start + (next->begin > 0), error);
        if (rc >= 0 && !NW_PLANT("drop-before-dead"))
            rc = remove_dead(wal, SIZE_MAX, error); /* that header may have killed them */
        if (rc < 0)
            break;
        atomic_store(&wal->control->words->oldest, next->start);
        rc = remove_durably(wal, oldest->id, error);
        if (rc < 0)
            break;
        forget_oldest(wal);
        (*deleted)++;
    }
    if (rc >= 0 && NW_PLANT("drop-with-one-sync"))
        rc = wal->env.folder->ops->sync(wal->env.folder);
    return rc;
}

/* The LSN of a position, wherever in the log it is; before the oldest segment: its start. */
static int lsn_of(struct nori_wal *wal, struct nori_position position, uint64_t *ret_lsn,
                  struct nori_error *error)
{
    uint64_t published = atomic_load(&wal->published_lsn);
    int rc = NORI_OK;

    nw_lock(wal, wal->mutex);
    *ret_lsn = wal->segment_count > 0 ? wal->segments[0]->start : 0;
    for (size_t i = 0; i < wal->segment_count; i++) {
        const struct nw_segment *segment = wal->segments[i];

        if (segment->id <= position.segment_id)
            *ret_lsn = segment->start;
        if (segment->id != position.segment_id)
            continue;
        if (segment->end != NW_OPEN_END) /* what lies behind an end is no place in the next one */
            *ret_lsn += nw_min_u64(position.offset, segment->end);
        else if (nw_add_overflow(segment->start, position.offset, ret_lsn) || *ret_lsn > published)
            rc = NORI_E_NOTFOUND;
    }
    if (wal->segment_count > 0 && position.segment_id > wal->segments[wal->segment_count - 1]->id)
        rc = NORI_E_NOTFOUND;
    nw_unlock(wal, wal->mutex);
    if (rc < 0)
        return nw_error_set(error, rc, 0, position,
                            "delete segments: the position is behind the end");
    return rc;
}

/* Everything is to go: begin a segment that holds nothing, so that the others may. */
static int roll_if_at_end(struct nori_wal *wal, uint64_t lsn, struct nori_error *error)
{
    bool has_records;
    int rc = NORI_OK;

    nw_append_lock(wal);
    if (lsn == atomic_load(&wal->published_lsn)) {
        nw_lock(wal, wal->mutex);
        has_records = wal->current ? wal->offset > wal->current->begin : wal->segment_count > 0;
        nw_unlock(wal, wal->mutex);
        if (has_records)
            rc = nw_roll(wal, error);
    }
    nw_append_unlock(wal);
    return rc;
}

int nori_wal_delete_segments_before(nori_wal *wal, struct nori_position position,
                                    uint64_t *ret_deleted)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_error drop_error = NORI_ERROR_INIT;
    uint64_t deleted = 0;
    uint64_t lsn = 0;
    int drop_rc;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    rc = nw_log_check(wal, &error);
    if (rc < 0)
        return nw_log_leave(wal, rc, &error);
    (void)begin_drop(wal, true);
    rc = lsn_of(wal, position, &lsn, &error);
    if (rc >= 0) {
        rc = roll_if_at_end(wal, lsn, &error);
        drop_rc = drop_before(wal, lsn, &deleted, &drop_error);
        if (rc >= 0 && drop_rc < 0) {
            rc = drop_rc;
            error = drop_error;
        }
        if (ret_deleted)
            *ret_deleted = deleted; /* also when not all could go */
    }
    end_drop(wal);
    return nw_log_leave(wal, rc, &error);
}
