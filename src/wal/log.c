/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.c: entering and leaving an open log, its failure, and looking around in it.
 *
 * What. Every public call counts itself in, so that close can wait for those inside, and leaves its
 * error behind for nori_wal_last_error. A failure is for good (D8): the first cause is kept,
 * everybody who waits is woken, and every later call but reading is refused with it.
 *
 * Threads. Positions are atomics; the list of segments, the failure and the last errors belong to
 * wal->mutex.
 *
 * Fork. A child has the parent's memory but not its threads, and must not touch the shared mapping:
 * enter compares the process generation before anything else.
 */
#include "wal/log.h"

#include <stdio.h>
#include <string.h>

/* The last one out tells close, holding mutex: close frees the log once it has that, not before. */
static void leave(struct nori_wal *wal)
{
    if (atomic_fetch_sub(&wal->calls, 1) != (NW_CALLS_CLOSING | 1))
        return;
    nw_lock(wal, wal->mutex);
    wal->has_last_left = true;
    nw_log_wake(wal);
    nw_unlock(wal, wal->mutex);
}

int nw_log_enter(struct nori_wal *wal)
{
    if (!wal)
        return NORI_E_INVALID;
    if (wal->env.vfs->process_generation(wal->env.vfs->context) != wal->process_generation)
        return NORI_E_INVALID;
    if (!(atomic_fetch_add(&wal->calls, 1) & NW_CALLS_CLOSING))
        return NORI_OK;
    leave(wal);
    return NORI_E_CLOSED;
}

static void count_error(struct nori_wal *wal, int rc)
{
    struct nw_stats *stats = &wal->control->words->stats;

    if (rc == NORI_E_NOSPACE) {
        nw_stats_add(&stats->errors_nospace, 1);
        nw_metrics_add(&wal->metrics, wal->metrics.errors_nospace, 1);
    } else if (rc == NORI_E_IO || rc == NORI_E_FAILED) {
        nw_stats_add(&stats->errors_io, 1);
        nw_metrics_add(&wal->metrics, wal->metrics.errors_io, 1);
    } else {
        nw_stats_add(&stats->errors_refused, 1);
        nw_metrics_add(&wal->metrics, wal->metrics.errors_refused, 1);
    }
}

/* The slot of this thread, or the one that is forgotten next. mutex held. */
static struct nw_thread_error *error_slot(struct nori_wal *wal, bool must_exist)
{
    uint64_t thread = wal->env.vfs->thread_id(wal->env.vfs->context);
    struct nw_thread_error *slot;

    for (size_t i = 0; i < NW_LAST_ERRORS; i++)
        if (wal->last_errors[i].thread == thread)
            return &wal->last_errors[i];
    if (must_exist)
        return NULL;
    slot = &wal->last_errors[wal->last_error_next];
    wal->last_error_next = (wal->last_error_next + 1) % NW_LAST_ERRORS;
    slot->thread = thread;
    return slot;
}

int nw_log_leave(struct nori_wal *wal, int rc, const struct nori_error *error)
{
    if (rc < 0) {
        struct nw_thread_error *slot;

        if (rc != NORI_E_TIMEOUT && rc != NORI_E_CLOSED)
            count_error(wal, rc);
        nw_lock(wal, wal->mutex);
        slot = error_slot(wal, false);
        slot->error = *error;
        if (slot->error.code != rc) { /* refused before anything could be described */
            slot->error = (struct nori_error)NORI_ERROR_INIT;
            (void)nw_error_set(&slot->error, rc, 0, NW_NOWHERE, "%s", nori_strerror(rc));
        }
        nw_unlock(wal, wal->mutex);
    }
    leave(wal);
    return rc;
}

int nw_log_wait(struct nori_wal *wal, struct nori_cond *cond, uint64_t deadline_ns)
{
    return wal->env.vfs->cond_wait(wal->env.vfs->context, cond, wal->mutex, deadline_ns);
}

void nw_log_wake(struct nori_wal *wal)
{
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->changed);
}

int nw_log_check(struct nori_wal *wal, struct nori_error *error)
{
    if (atomic_load(&wal->has_failed)) {
        /* failure was filled before has_failed was set, and never changes again */
        if (error)
            (void)nw_error_set(error, NORI_E_FAILED, wal->failure.os_errno, wal->failure.position,
                               "the log has failed: %.200s", wal->failure.message);
        return NORI_E_FAILED;
    }
    if ((atomic_load(&wal->calls) & NW_CALLS_CLOSING))
        return nw_error_set(error, NORI_E_CLOSED, 0, NW_NOWHERE, "%s",
                            nori_strerror(NORI_E_CLOSED));
    return NORI_OK;
}

int nw_log_fail(struct nori_wal *wal, struct nori_error *error)
{
    bool is_first;

    error->code = NORI_E_IO;
    nw_lock(wal, wal->mutex);
    is_first = !atomic_load(&wal->has_failed);
    if (is_first) {
        wal->failure = *error;
        atomic_store(&wal->has_failed, true);
    }
    nw_log_wake(wal);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted);
    nw_unlock(wal, wal->mutex);
    if (is_first) {
        nw_stats_set(&wal->control->words->stats.is_failed, 1);
        nw_metrics_set(&wal->metrics, wal->metrics.failed, 1);
        nw_metrics_emit(&wal->metrics, (struct nori_event){.kind = NORI_EVENT_FAILED,
                                                           .severity = NORI_SEVERITY_ERROR,
                                                           .code = error->code,
                                                           .segment_id = error->position.segment_id,
                                                           .offset = error->position.offset,
                                                           .message = error->message});
    }
    return NORI_E_IO;
}

struct nw_segment *nw_log_segment_at(struct nori_wal *wal, uint64_t lsn)
{
    size_t low = 0;
    size_t high = wal->segment_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (wal->segments[middle]->start <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? wal->segments[low - 1] : NULL;
}

struct nori_position nw_log_position_of(struct nori_wal *wal, const _Atomic uint64_t *lsn)
{
    struct nori_position position = {0, 0};
    struct nw_segment *segment;
    uint64_t now;

    nw_lock(wal, wal->mutex);
    now = atomic_load(lsn); /* under mutex: its segment cannot be dropped before it is found */
    segment = nw_log_segment_at(wal, now);
    if (segment)
        position = (struct nori_position){segment->id, now - segment->start};
    nw_unlock(wal, wal->mutex);
    return position;
}

/* One of the published positions. */
static int tell_position(struct nori_wal *wal, const _Atomic uint64_t *lsn,
                         struct nori_position *ret_position)
{
    struct nori_error error = NORI_ERROR_INIT;

    if (!ret_position)
        return nw_log_leave(wal, NORI_E_INVALID, &error);
    *ret_position = nw_log_position_of(wal, lsn);
    return nw_log_leave(wal, NORI_OK, &error);
}

int nori_wal_position(nori_wal *wal, struct nori_position *ret_position)
{
    int rc = nw_log_enter(wal);

    return rc < 0 ? rc : tell_position(wal, &wal->published_lsn, ret_position);
}

int nori_wal_durable_position(nori_wal *wal, struct nori_position *ret_position)
{
    int rc = nw_log_enter(wal);

    return rc < 0 ? rc : tell_position(wal, &wal->durable_lsn, ret_position);
}

int nori_wal_last_error(nori_wal *wal, struct nori_error *ret_error)
{
    const struct nw_thread_error *slot;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (!ret_error) {
        leave(wal);
        return NORI_E_INVALID;
    }
    nw_lock(wal, wal->mutex);
    slot = error_slot(wal, true);
    if (slot)
        nw_error_copy(ret_error, &slot->error);
    nw_unlock(wal, wal->mutex);
    leave(wal);
    return slot ? NORI_OK : NORI_END;
}

int nori_wal_failure(nori_wal *wal, struct nori_error *ret_error)
{
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (!ret_error)
        rc = NORI_E_INVALID;
    else if (!atomic_load(&wal->has_failed))
        rc = NORI_END;
    else
        nw_error_copy(ret_error, &wal->failure);
    leave(wal);
    return rc;
}
