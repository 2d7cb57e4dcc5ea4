/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * roll.c: beginning a segment, which ends the one before.
 *
 * What. The prepared file `spare` gets a header that states where its predecessor ends, and is the
 * current segment from then on. The header goes to the kernel here; the space thread, or a sync
 * that comes first, makes it durable, gives the file its name and syncs the folder, and nothing in
 * the file counts as durable before that. Records may be written meanwhile: after a process crash
 * recovery finds the header in `spare` and knows the file by it; after a power cut they were not
 * durable anyway.
 *
 * In format 1 there is no header: format1.c gives the file its name, durably, before any record is
 * written.
 *
 * Waiting. For `spare` to be prepared; for the current segment to have its name, since there is one
 * `spare`; while two ended segments are unsynced (D3); and the first segment of a life for its own
 * name (wait_for_name). No append waits for a sync otherwise.
 *
 * Failure. If the header cannot be written for want of space, all of it may stand in `spare`
 * nevertheless, and it states where the current segment ends. So nothing is appended there any
 * more (D1): the next append writes the very same header again, into the same file. If it fails
 * otherwise, the log has failed (D8).
 */
#include "base/plant.h"
#include "base/probe.h"
#include "format/header.h"
#include "format/names.h"
#include "wal/log.h"

#include <string.h>

NW_PROBE_HERE(rotate)

static size_t ended_unsynced(const struct nori_wal *wal)
{
    size_t count = 0;

    for (size_t i = wal->segment_count; i > 0 && !wal->segments[i - 1]->is_synced; i--)
        count += wal->segments[i - 1]->end != NW_OPEN_END;
    return count;
}

/* Wait until a segment may begin; then `spare` is ready. mutex held. */
static int wait_for_spare(struct nori_wal *wal, struct nori_error *error)
{
    for (;;) {
        int rc = nw_log_check(wal, error);

        if (rc < 0)
            return rc;
        if (wal->current && !wal->current->is_named) {
            (void)nw_sync_name(wal); /* fails with the log */
            continue;
        }
        if (ended_unsynced(wal) >= NW_ENDED_UNSYNCED_MAX && !NW_PLANT("any-number-unsynced")) {
            wal->is_sync_requested = true;
            wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
            (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
            continue;
        }
        if (wal->spare.is_ready)
            return NORI_OK;
        rc = nw_space_require_spare(wal, error);
        if (rc < 0)
            return rc;
    }
}

static int start_threads(struct nori_wal *wal, struct nori_error *error)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    int rc = NORI_OK;

    if (wal->has_threads)
        return NORI_OK;
    if (!wal->watch_thread)
        rc = vfs->thread_start(vfs->context, "nori-watch", nw_watch_run, wal, &wal->watch_thread);
    if (rc >= 0 && !wal->sync_thread)
        rc = vfs->thread_start(vfs->context, "nori-sync", nw_sync_run, wal, &wal->sync_thread);
    if (rc >= 0 && !wal->space_thread)
        rc = vfs->thread_start(vfs->context, "nori-space", nw_space_run, wal, &wal->space_thread);
    if (rc >= 0 && !wal->writer_thread && wal->has_shared_ring &&
        wal->config.fsync_policy != NORI_FSYNC_ALWAYS)
        rc = vfs->thread_start(vfs->context, "nori-write", nw_writer_run, wal, &wal->writer_thread);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "append: start a thread");
    wal->has_threads = true;
    return NORI_OK;
}

/* Room for one more, so that taking over cannot fail. mutex held. */
static int reserve_segment(struct nori_wal *wal)
{
    if (wal->segment_count == wal->segment_capacity) {
        size_t capacity = wal->segment_capacity ? wal->segment_capacity * 2 : 16;
        struct nw_segment **segments =
            nw_realloc(wal->env.allocator, wal->segments, capacity * sizeof(struct nw_segment *));

        if (!segments)
            return NORI_E_NOMEM;
        wal->segments = segments;
        wal->segment_capacity = capacity;
    }
    return NORI_OK;
}

static int random_salt(struct nori_wal *wal, uint64_t *ret_salt, struct nori_error *error)
{
    *ret_salt = 0;
    while (*ret_salt == 0) {
        int rc = wal->env.vfs->random(wal->env.vfs->context, ret_salt, sizeof *ret_salt);

        if (rc < 0)
            return nw_io_error(error, rc, NW_NOWHERE, "append: random bytes");
        if (NW_PLANT("same-salt"))
            *ret_salt = 1;
    }
    return NORI_OK;
}

/* The header that continues `previous` (NULL: begins a log) where the log ends now. */
static void fill_header(struct nori_wal *wal, const struct nw_segment *previous,
                        uint64_t previous_end, struct nw_header *header)
{
    memset(header, 0, sizeof *header);
    header->node_id = wal->config.node_id;
    header->segment_id = wal->next_id;
    header->base_sequence = wal->next_sequence;
    header->log_id = wal->log_id;
    header->created_ms = wal->env.vfs->realtime_ms(wal->env.vfs->context);
    header->start = atomic_load(&wal->published_lsn);
    header->max_record = wal->config.max_record_size;
    header->prev_id = previous ? previous->id : NW_NO_SEGMENT;
    header->prev_salt = previous ? previous->salt : 0;
    header->prev_end = previous ? previous_end : 0;
    header->durable_lsn = atomic_load(&wal->durable_lsn);
    nw_assert(!previous || previous->start + previous_end == header->start);
    nw_assert(header->durable_lsn <= header->start);
}

static int write_header(struct nori_wal *wal, const struct nw_header *header,
                        struct nori_error *error)
{
    uint8_t bytes[NW_HEADER_LEN];
    struct nori_span span = {bytes, sizeof bytes};
    int rc;

    nw_header_encode(bytes, header);
    rc = wal->spare.file->ops->write(wal->spare.file, &span, 1, 0);
    if (rc >= 0)
        return NORI_OK;
    (void)nw_io_error(error, rc, (struct nori_position){header->segment_id, 0},
                      "append: write the header of segment %llu",
                      (unsigned long long)header->segment_id);
    if (error->code != NORI_E_NOSPACE)
        return nw_log_fail(wal, error);
    wal->must_roll = true;
    return NORI_E_NOSPACE;
}

/* In `spare`: a segment of format 2 that continues `previous`. */
static int begin_in_spare(struct nori_wal *wal, struct nw_segment *segment,
                          const struct nw_segment *previous, uint64_t previous_end,
                          struct nori_error *error)
{
    struct nw_header *header = &wal->spare.header;

    if (header->salt == 0) {
        uint64_t salt;
        int rc = random_salt(wal, &salt, error);

        if (rc < 0)
            return rc;
        fill_header(wal, previous, previous_end, header);
        header->salt = salt;
    }
    nw_assert(header->segment_id == wal->next_id);
    nw_assert(header->start == atomic_load(&wal->published_lsn));
    segment->id = header->segment_id;
    segment->salt = header->salt;
    segment->start = header->start;
    segment->begin = NW_HEADER_LEN;
    return write_header(wal, header, error);
}

/* A log that fills its segments gets the next one whole: while that is being named, and the disk is
 * busy, nobody takes more space for it. */
static uint64_t step_after(const struct nori_wal *wal, uint64_t previous_end)
{
    bool was_filled = previous_end >= wal->config.max_segment_size / 2;

    return was_filled && wal->config.preallocate == NORI_PREALLOCATE_RESERVE
               ? wal->config.max_segment_size
               : 0;
}

/* The file is what it is to be: it is the current segment. */
static void take_over(struct nori_wal *wal, struct nw_segment *segment, struct nw_segment *previous,
                      uint64_t previous_end)
{
    nw_lock(wal, wal->mutex);
    segment->file = wal->spare.file;
    segment->is_busy = wal->spare.is_busy; /* it may just be grown */
    atomic_store(&segment->owned, wal->spare.owned);
    memset(&wal->spare, 0, sizeof wal->spare);
    if (previous && previous->end == NW_OPEN_END) {
        previous->end = previous_end;
        previous->needs_trim = atomic_load(&previous->owned) > previous_end;
        wal->spare_step = step_after(wal, previous_end);
        previous->is_synced = segment->is_named; /* format 1: first, both durably */
    }
    wal->is_trim_wanted |= segment->is_named;
    nw_assert(wal->segment_count < wal->segment_capacity);
    wal->segments[wal->segment_count++] = segment;
    wal->current = segment;
    wal->offset = segment->begin;
    wal->mark_offset = segment->begin;
    wal->mark_durable_lsn = atomic_load(&wal->durable_lsn);
    wal->must_roll = false;
    wal->next_id++;
    atomic_store(&wal->is_extension_wanted, false);
    nw_unlock(wal, wal->mutex);
}

/* An ended segment is synced, a new one gets its name; or, if that is done, the next `spare` is
 * prepared. After publishing, or that sync would stop short of the new header. */
static void wake_threads(struct nori_wal *wal)
{
    nw_lock(wal, wal->mutex);
    wal->is_sync_requested |= !wal->current->is_named;
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->sync_wanted);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted);
    nw_unlock(wal, wal->mutex);
}

static void report_roll(struct nori_wal *wal, const struct nw_segment *previous,
                        uint64_t ended_bytes, uint64_t begun_ns)
{
    uint64_t ns = nw_now_ns(wal) - begun_ns;
    size_t segment_count;

    NW_PROBE(rotate, wal->name, wal->current->id, ended_bytes, ns);
    nw_lock(wal, wal->mutex);
    segment_count = wal->segment_count;
    nw_unlock(wal, wal->mutex);
    nw_stats_set(&wal->control->words->stats.segment_count, segment_count);
    nw_metrics_add(&wal->metrics, wal->metrics.append_bytes, wal->current->begin);
    nw_metrics_set(&wal->metrics, wal->metrics.segments, segment_count);
    nw_metrics_set(&wal->metrics, wal->metrics.appended_lsn, atomic_load(&wal->published_lsn));
    if (ended_bytes == 0)
        return; /* the first segment of this life ends none */
    nw_stats_add(&wal->control->words->stats.rolls, 1);
    nw_metrics_add(&wal->metrics, wal->metrics.rolls, 1);
    nw_metrics_observe(&wal->metrics, wal->metrics.roll_seconds, (double)ns / 1e9);
    nw_metrics_emit(&wal->metrics, (struct nori_event){.kind = NORI_EVENT_SEGMENT_ROLL,
                                                       .segment_id = previous->id,
                                                       .bytes = ended_bytes});
}

/* No record gets a position in a segment of which a power cut could take back all: the next life
 * would give the id again. Of the names behind it as many may be lost as recovery skips. */
static int wait_for_name(struct nori_wal *wal, struct nori_error *error)
{
    int rc;

    nw_lock(wal, wal->mutex);
    rc = nw_sync_name(wal);
    nw_unlock(wal, wal->mutex);
    if (rc < 0) {
        nw_error_copy(error, &wal->failure);
        rc = wal->failure.code; /* whoever met it */
    }
    return rc;
}

static int roll(struct nori_wal *wal, uint64_t begun_ns, struct nori_error *error)
{
    struct nw_segment *segment = NULL;
    struct nw_segment *previous;
    uint64_t previous_end = 0;
    uint64_t ended_bytes = wal->current ? wal->offset : 0;
    /* Readers may stand behind the end: where a failed write left something, or an earlier life
     * something that recovery cut off. */
    bool has_bytes_behind = wal->must_roll || (!wal->current && !NW_PLANT("first-segment-untold"));
    bool is_first = !wal->current;
    int rc;

    nw_lock(wal, wal->mutex);
    rc = start_threads(wal, error);
    if (rc >= 0)
        rc = wait_for_spare(wal, error);
    previous = wal->segment_count > 0 ? wal->segments[wal->segment_count - 1] : NULL;
    nw_unlock(wal, wal->mutex);
    if (rc < 0)
        return rc;
    if (previous)
        previous_end = previous->end == NW_OPEN_END ? wal->offset : previous->end;

    segment = nw_alloc_zero(wal->env.allocator, sizeof *segment);
    if (!segment)
        return nw_no_memory(error);
    segment->end = NW_OPEN_END;
    nw_lock(wal, wal->mutex);
    rc = reserve_segment(wal);
    nw_unlock(wal, wal->mutex);
    if (rc < 0) {
        rc = nw_no_memory(error);
        goto out;
    }
    rc = wal->config.format == 1 ? nw_format1_begin(wal, segment, previous, previous_end, error)
                                 : begin_in_spare(wal, segment, previous, previous_end, error);
    if (rc < 0)
        goto out;

    atomic_store(&wal->control->words->clean, 0);
    atomic_store(&wal->control->words->clean_salt, 0);
    take_over(wal, segment, previous, previous_end);
    segment = NULL;       /* handed over */
    if (has_bytes_behind) /* they must learn the end before anything is published there */
        atomic_fetch_add(&wal->control->words->cut, 1);
    nw_stage_step_over_header(wal);
    wake_threads(wal);
    report_roll(wal, previous, ended_bytes, begun_ns);
    if (is_first && !NW_PLANT("first-name-not-awaited"))
        rc = wait_for_name(wal, error);
out:
    nw_free(wal->env.allocator, segment);
    return rc;
}

int nw_roll(struct nori_wal *wal, struct nori_error *error)
{
    uint64_t begun_ns = nw_now_ns(wal);
    bool is_watched = nw_watch_begin(wal, NW_STALL_SEGMENT, begun_ns);
    int rc = roll(wal, begun_ns, error);

    nw_watch_end(wal, NW_STALL_SEGMENT, is_watched);
    return rc;
}

/* In format 1 the length of a file and the name of the next say durably where the log ends, and no
 * sync follows that would tell `control`. What that said before must not come back (D6). */
static int lower_durable(struct nori_wal *wal, struct nori_error *error)
{
    int rc;

    nw_lock(wal, wal->mutex);
    nw_control_set_durable(wal->control, atomic_load(&wal->durable_lsn), 0);
    nw_unlock(wal, wal->mutex);
    rc = nw_control_sync(wal->control);
    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "sync %s", NW_NAME_CONTROL) : NORI_OK;
}

int nw_roll_durably(struct nori_wal *wal, struct nori_error *error)
{
    int rc = NORI_OK;

    nw_append_lock(wal);
    if (!wal->current)
        rc = nw_roll(wal, error);
    nw_append_unlock(wal);
    if (rc >= 0 && wal->config.format == 1)
        return lower_durable(wal, error);
    return rc < 0 ? rc : nw_sync_to(wal, atomic_load(&wal->published_lsn), error);
}
