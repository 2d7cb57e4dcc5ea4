/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync.c: making the log durable (D3), and giving new segments their names.
 *
 * What. One caller at a time leads a sync: under `always` the first append that waits, under
 * `batch` and `os` the sync thread, else whoever called nori_wal_sync. It writes what the staging
 * ring has, and covers all that was appended when it began; those who come meanwhile wait for it
 * and share the next one (group commit, no timer). The sync thread's window counts from the oldest
 * append that is not durable and holds although nobody calls anything.
 *
 * Order. Segments are synced oldest first. A segment that still lies in `spare` is synced, renamed,
 * and the folder is synced, before anything in it counts as durable. Only then does the durable
 * position move past it. Whoever comes first does that: mostly the space thread, which needs the
 * name `spare` for the next segment.
 *
 * Threads. is_syncing and the states of segments belong to mutex, which is not held across a sync:
 * appends go on. undurable_since_ns: the leader clears it before it reads what was written; an
 * append publishes before it looks at it. Both are sequentially consistent, so either the sync
 * covers the append or the append starts a new window.
 *
 * Failure. Any failure here is final (D8): after a failed sync the kernel may have dropped the
 * pages, and a second sync would lie. Nobody is told anything is durable any more. ENOSPC is no
 * exception.
 */
#include "base/probe.h"
#include "format/names.h"
#include "wal/log.h"

NW_PROBE_HERE(sync)

static int sync_failed(struct nori_wal *wal, int rc, const struct nw_segment *segment,
                       const char *what)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)nw_io_error(&error, rc, (struct nori_position){segment->id, 0}, "%s segment %llu", what,
                      (unsigned long long)segment->id);
    return nw_log_fail(wal, &error);
}

/* Give a segment its name, once its header is durable in `spare`. No mutex held. */
static int name_segment(struct nori_wal *wal, struct nw_segment *segment)
{
    struct nori_folder *folder = wal->env.folder;
    char name[NW_NAME_MAX];
    int rc = NW_PLANT("name-before-header") ? 0 : segment->file->ops->sync(segment->file);

    if (rc < 0 && !NW_PLANT("ignore-early-sync"))
        return sync_failed(wal, rc, segment, "sync");
    nw_name_format(name, segment->id);
    rc = folder->ops->rename(folder, NW_NAME_SPARE, name);
    if (rc >= 0 && !NW_PLANT("no-folder-sync"))
        rc = folder->ops->sync(folder); /* the name must survive, not just the bytes */
    return rc < 0 ? sync_failed(wal, rc, segment, "name") : NORI_OK;
}

/* The newest segment, if it has no name yet. mutex held. */
static struct nw_segment *unnamed(const struct nori_wal *wal)
{
    struct nw_segment *newest;

    nw_assert(wal->segment_count > 0);
    newest = wal->segments[wal->segment_count - 1];
    return newest->is_named ? NULL : newest;
}

int nw_sync_name(struct nori_wal *wal)
{
    struct nw_segment *segment;
    int rc = NORI_OK;

    while ((segment = unnamed(wal)) != NULL && wal->is_naming)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    if (!segment)
        return NORI_OK;
    if (atomic_load(&wal->has_failed))
        return NORI_E_FAILED;
    wal->is_naming = true;
    nw_unlock(wal, wal->mutex);
    rc = name_segment(wal, segment);
    nw_lock(wal, wal->mutex);
    wal->is_naming = false;
    segment->is_named = rc >= 0;
    wal->is_trim_wanted = true;
    nw_log_wake(wal); /* `spare` is free again: the next segment may be prepared, and begin */
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted);
    return rc;
}

/* The oldest segment that is not wholly durable and begins below lsn. mutex held. */
static struct nw_segment *oldest_unsynced(struct nori_wal *wal, uint64_t lsn)
{
    struct nw_segment *oldest = NULL;

    for (size_t i = wal->segment_count; i > 0 && !wal->segments[i - 1]->is_synced; i--) {
        if (wal->segments[i - 1]->start < lsn)
            oldest = wal->segments[i - 1];
        if (oldest && NW_PLANT("newest-first"))
            break;
    }
    return oldest;
}

/* It has ended, and all of it is in its file. mutex held. */
static bool is_complete(const struct nori_wal *wal, const struct nw_segment *segment)
{
    return segment->end != NW_OPEN_END &&
           (segment->start + segment->end <= atomic_load(&wal->written_lsn) ||
            NW_PLANT("ended-is-written"));
}

/* Sync one segment; mutex held, released meanwhile. */
static int sync_segment(struct nori_wal *wal, struct nw_segment *segment)
{
    bool was_complete = is_complete(wal, segment);
    int rc = segment->is_named ? 0 : nw_sync_name(wal);

    if (rc < 0)
        return rc;
    nw_unlock(wal, wal->mutex);
    if (!NW_PLANT("no-sync"))
        rc = segment->file->ops->sync(segment->file);
    if (rc < 0 && NW_PLANT("retry-sync"))
        rc = segment->file->ops->sync(segment->file);
    rc = rc < 0 ? sync_failed(wal, rc, segment, "sync") : NORI_OK;
    nw_lock(wal, wal->mutex);
    if (rc < 0)
        return rc;
    if (NW_PLANT("complete-after-sync"))
        was_complete = is_complete(wal, segment);
    segment->is_synced = was_complete;
    if (was_complete) {
        wal->is_trim_wanted = true;
        nw_log_wake(wal); /* another segment may end */
        wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted);
    }
    return NORI_OK;
}

/* mutex held */
static void set_durable(struct nori_wal *wal, uint64_t lsn)
{
    /* Where one ends and its successor starts it is the one that ends: the other may have no
     * name yet. */
    const struct nw_segment *segment = lsn > 0 ? nw_log_segment_at(wal, lsn - 1) : NULL;

    nw_assert(lsn >= atomic_load(&wal->durable_lsn));
    nw_assert(!segment || segment->is_named);
    atomic_store(&wal->durable_lsn, lsn);
    /* first: with the older salt it is cut off at that segment's end */
    nw_control_set_durable(wal->control, lsn, segment ? segment->salt : 0);
    nw_control_wake(wal->control);
}

static void report_sync(struct nori_wal *wal, uint64_t segment_id, uint64_t bytes, uint64_t ns,
                        int rc)
{
    NW_PROBE(sync, wal->name, segment_id, bytes, ns, rc);
    nw_stats_add(&wal->control->words->stats.syncs, 1);
    nw_metrics_observe(&wal->metrics, wal->metrics.fsync_ms, (double)ns / 1e6);
    nw_metrics_observe(&wal->metrics, wal->metrics.fsync_seconds, (double)ns / 1e9);
    nw_metrics_observe(&wal->metrics, wal->metrics.sync_bytes, (double)bytes);
    nw_metrics_set(&wal->metrics, wal->metrics.durable_lsn, atomic_load(&wal->durable_lsn));
    nw_metrics_set(&wal->metrics, wal->metrics.appended_lsn, atomic_load(&wal->published_lsn));
    nw_metrics_set(&wal->metrics, wal->metrics.durable_lag_bytes,
                   atomic_load(&wal->published_lsn) - atomic_load(&wal->durable_lsn));
    nw_metrics_emit(&wal->metrics, (struct nori_event){.kind = NORI_EVENT_FSYNC,
                                                       .segment_id = segment_id,
                                                       .bytes = bytes,
                                                       .duration_us = ns / 1000,
                                                       .code = rc});
}

/* Make all that is appended now durable. mutex held and nobody leads; released meanwhile. */
static int lead(struct nori_wal *wal)
{
    struct nw_segment *segment;
    uint64_t begun_ns = nw_now_ns(wal);
    uint64_t written_ns, done_ns;
    bool is_watched;
    uint64_t before = atomic_load(&wal->durable_lsn);
    uint64_t segment_id = 0;
    uint64_t target;
    int rc = nw_log_check(wal, NULL);

    if (rc == NORI_E_FAILED)
        return rc;
    rc = NORI_OK;
    wal->is_syncing = true;
    wal->is_sync_requested = false;
    if (!NW_PLANT("window-cleared-late"))
        atomic_store(&wal->undurable_since_ns, 0);
    target = atomic_load(&wal->published_lsn);
    if (NW_PLANT("ack-before-sync"))
        set_durable(wal, target);
    nw_unlock(wal, wal->mutex);
    rc = nw_stage_write_to(wal, target, NULL);
    written_ns = nw_now_ns(wal);
    is_watched = nw_watch_begin(wal, NW_STALL_SYNC, written_ns);
    nw_lock(wal, wal->mutex);
    while (rc >= 0 && target > before && (segment = oldest_unsynced(wal, target)) != NULL) {
        segment_id = segment->id;
        rc = sync_segment(wal, segment);
        if (segment->end == NW_OPEN_END || segment->start + segment->end > target)
            break; /* the last one below target */
    }
    nw_unlock(wal, wal->mutex);
    done_ns = nw_now_ns(wal);
    nw_watch_end(wal, NW_STALL_SYNC, is_watched);
    nw_lock(wal, wal->mutex);
    if (rc >= 0 && (!atomic_load(&wal->has_failed) ||
                    NW_PLANT("ack-after-failure"))) /* D8: nothing more, whoever met the failure */
        set_durable(wal, target);
    atomic_store(&wal->synced_ns, done_ns);
    if (NW_PLANT("window-cleared-late"))
        atomic_store(&wal->undurable_since_ns, 0);
    wal->is_syncing = false;
    if (!NW_PLANT("leader-wakes-nobody"))
        nw_log_wake(wal);
    nw_unlock(wal, wal->mutex);
    if (target > before || rc < 0) {
        nw_stats_stage(wal, NW_STAGE_SYNC, done_ns - written_ns);
        report_sync(wal, segment_id, target - before, done_ns - begun_ns, rc);
    }
    nw_lock(wal, wal->mutex);
    return rc;
}

/* A wait for the end of a sync is over. */
static void note_wake(struct nori_wal *wal)
{
    nw_stats_stage(wal, NW_STAGE_WAKE, nw_now_ns(wal) - atomic_load(&wal->synced_ns));
}

int nw_sync_to(struct nori_wal *wal, uint64_t lsn, struct nori_error *error)
{
    bool has_waited = false;
    int rc = NORI_OK;

    if (atomic_load(&wal->durable_lsn) >= lsn)
        return NORI_OK;
    nw_lock(wal, wal->mutex);
    while (atomic_load(&wal->durable_lsn) < lsn) {
        if (atomic_load(&wal->has_failed)) {
            rc = nw_log_check(wal, error);
            break;
        }
        has_waited = wal->is_syncing;
        if (has_waited) {
            (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
            continue;
        }
        rc = lead(wal);
        if (rc < 0) {
            nw_error_copy(error, &wal->failure);
            rc = wal->failure.code; /* whoever met it */
            break;
        }
    }
    nw_unlock(wal, wal->mutex);
    if (has_waited && rc >= 0)
        note_wake(wal);
    return rc;
}

void nw_sync_note_append(struct nori_wal *wal, uint64_t since_ns)
{
    uint64_t unset = 0;
    bool is_first;

    if (wal->config.fsync_policy != NORI_FSYNC_BATCH || atomic_load(&wal->undurable_since_ns) != 0)
        return;
    is_first = atomic_compare_exchange_strong(&wal->undurable_since_ns, &unset, since_ns | 1);
    if (!is_first) /* GCOVR_EXCL_BR_LINE: a race of two instructions */
        return;
    nw_lock(wal, wal->mutex);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
    nw_unlock(wal, wal->mutex);
}

void nw_sync_request(struct nori_wal *wal)
{
    nw_lock(wal, wal->mutex);
    if (!wal->is_syncing && !wal->is_sync_requested) {
        wal->is_sync_requested = true;
        wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
    }
    nw_unlock(wal, wal->mutex);
}

/* When the sync thread has to act, in monotonic time: 0 now, UINT64_MAX not until it is woken.
 * mutex held. */
static uint64_t next_deadline(struct nori_wal *wal)
{
    uint64_t since = atomic_load(&wal->undurable_since_ns);

    if (atomic_load(&wal->has_failed) || wal->is_syncing)
        return UINT64_MAX;
    if (wal->is_sync_requested)
        return 0;
    if (since == 0 || NW_PLANT("batch-without-timer"))
        return UINT64_MAX;
    return since + (uint64_t)wal->config.batch_window_us * 1000;
}

void nw_sync_run(void *argument)
{
    struct nori_wal *wal = argument;

    nw_lock(wal, wal->mutex);
    while (!wal->must_stop) {
        uint64_t deadline_ns = next_deadline(wal);

        if (deadline_ns > nw_now_ns(wal)) {
            /* While another leads, its end is what matters. */
            (void)nw_log_wait(wal, wal->is_syncing ? wal->changed : wal->sync_wanted, deadline_ns);
            continue;
        }
        (void)lead(wal);
    }
    nw_unlock(wal, wal->mutex);
}

int nori_wal_sync(nori_wal *wal)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    rc = nw_log_check(wal, &error);
    if (rc >= 0)
        rc = nw_sync_to(wal, atomic_load(&wal->published_lsn), &error);
    return nw_log_leave(wal, rc, &error);
}

int nori_wal_flush(nori_wal *wal)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    rc = nw_log_check(wal, &error);
    if (rc >= 0)
        rc = nw_stage_write_to(wal, atomic_load(&wal->published_lsn), &error);
    return nw_log_leave(wal, rc, &error);
}

/* The LSN that must be durable for the record at position to be; 0 if there is no such place.
 * mutex held. */
static int find_target(struct nori_wal *wal, struct nori_position position, uint64_t *ret_lsn)
{
    uint64_t published = atomic_load(&wal->published_lsn);
    uint64_t lsn;

    if (position.segment_id == 0 && position.offset == 0) { /* the oldest record there is */
        lsn = wal->segment_count > 0 ? wal->segments[0]->start + wal->segments[0]->begin : 0;
        *ret_lsn = lsn < published ? lsn + 1 : published; /* none yet: the current end */
        return NORI_OK;
    }
    for (size_t i = wal->segment_count; i > 0; i--) {
        const struct nw_segment *segment = wal->segments[i - 1];

        if (segment->id != position.segment_id)
            continue;
        if (nw_add_overflow(segment->start, position.offset, &lsn) || lsn > published ||
            position.offset > segment->end)
            return NORI_E_NOTFOUND;
        *ret_lsn = lsn < published ? lsn + 1 : lsn; /* durable positions stand between batches */
        return NORI_OK;
    }
    return NORI_E_NOTFOUND;
}

int nori_wal_wait_durable(nori_wal *wal, struct nori_position position, int64_t timeout_ms)
{
    struct nori_error error = NORI_ERROR_INIT;
    uint64_t deadline_ns = UINT64_MAX;
    uint64_t lsn = 0;
    bool has_waited = false;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (timeout_ms < -1)
        return nw_log_leave(wal, NORI_E_INVALID, &error);
    if (timeout_ms >= 0 && timeout_ms < INT64_MAX / 2000000)
        deadline_ns = nw_now_ns(wal) + (uint64_t)timeout_ms * 1000000;
    nw_lock(wal, wal->mutex);
    rc = find_target(wal, position, &lsn);
    while (rc >= 0 && atomic_load(&wal->durable_lsn) < lsn) {
        rc = nw_log_check(wal, &error);
        if (rc < 0)
            break;
        /* Under `os` nobody else starts one; under `batch` nobody does if nothing was appended
         * since the last, as when only a segment was begun, or the writer thread naps. */
        if (atomic_load(&wal->undurable_since_ns) == 0 && !wal->is_syncing &&
            !wal->is_sync_requested) {
            if (wal->config.fsync_policy == NORI_FSYNC_BATCH)
                atomic_store(&wal->undurable_since_ns, nw_now_ns(wal) | 1);
            else
                wal->is_sync_requested = true;
            wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
        }
        has_waited = true;
        rc = nw_log_wait(wal, wal->changed, deadline_ns);
        if (rc < 0 && atomic_load(&wal->durable_lsn) >= lsn)
            rc = NORI_OK;
    }
    nw_unlock(wal, wal->mutex);
    if (has_waited && rc >= 0)
        note_wake(wal);
    return nw_log_leave(wal, rc, &error);
}
