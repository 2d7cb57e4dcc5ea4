/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * open.c: from a configuration to an open log, and back.
 *
 * What. The folder is opened and locked (D10), the log is recovered (D5), and the handle takes over
 * what was found. Nothing but `control` is created, and no thread is started, before the first
 * append needs a segment. Close syncs, sets a last mark and says in `control` that it did.
 *
 * Failure. An open that fails leaves no handle and, but for what recovery had to make durable,
 * nothing changed. A close always gives everything back; its result says whether all is durable.
 */
#include "base/probe.h"
#include "wal/advice.h"
#include "wal/log.h"

#include <string.h>

NW_PROBE_HERE(recover)

static const struct nori_wal_config *config_of(struct nori_wal *wal)
{
    return &wal->config;
}

static void free_segments(struct nori_wal *wal)
{
    for (size_t i = 0; i < wal->segment_count; i++) {
        if (wal->segments[i]->file)
            wal->segments[i]->file->ops->close(wal->segments[i]->file);
        nw_free(wal->env.allocator, wal->segments[i]);
    }
    nw_free(wal->env.allocator, wal->segments);
    nw_free(wal->env.allocator, wal->dead_ids);
    if (wal->spare.file)
        wal->spare.file->ops->close(wal->spare.file);
}

static void free_scratches(struct nori_wal *wal)
{
    while (wal->scratches) {
        struct nw_scratch *scratch = wal->scratches;

        wal->scratches = scratch->next;
        nw_compressor_free(scratch->compressor);
        nw_buffer_done(&scratch->values);
        nw_free(wal->env.allocator, scratch);
    }
}

static void free_wal(struct nori_wal *wal)
{
    const struct nori_vfs *vfs = wal->env.vfs;

    nw_maps_done(wal);
    nw_shared_folder_unref(wal->read_folder);
    free_segments(wal);
    free_scratches(wal);
    if (wal->is_ring_ours)
        nw_free(wal->env.allocator, wal->ring);
    nw_control_unref(wal->control);
    if (wal->env.folder)
        wal->env.folder->ops->close(wal->env.folder); /* and with it the lock */
    vfs->cond_free(vfs->context, wal->space_wanted);
    vfs->cond_free(vfs->context, wal->sync_wanted);
    vfs->cond_free(vfs->context, wal->changed);
    vfs->mutex_free(vfs->context, wal->mutex);
    vfs->mutex_free(vfs->context, wal->write_mutex);
    nw_free(wal->env.allocator, wal->dir);
    nw_free(wal->env.allocator, wal->name);
    nw_free(wal->env.allocator, wal);
}

static int make_locks(struct nori_wal *wal, struct nori_error *error)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    int rc = vfs->mutex_new(vfs->context, &wal->write_mutex);

    if (rc >= 0)
        rc = vfs->mutex_new(vfs->context, &wal->mutex);
    if (rc >= 0)
        rc = vfs->cond_new(vfs->context, &wal->changed);
    if (rc >= 0)
        rc = vfs->cond_new(vfs->context, &wal->sync_wanted);
    if (rc >= 0)
        rc = vfs->cond_new(vfs->context, &wal->space_wanted);
    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "open: make a lock") : NORI_OK;
}

static int new_wal(const struct nori_wal_config *config, struct nori_wal **ret_wal,
                   struct nori_error *error)
{
    struct nori_wal *wal = nw_alloc_zero(config->allocator, sizeof *wal);
    int rc;

    if (!wal)
        return nw_no_memory(error);
    wal->config = *config;
    wal->env.vfs = config->vfs;
    wal->env.allocator = config->allocator;
    wal->spare.problem = (struct nori_error)NORI_ERROR_INIT;
    wal->failure = (struct nori_error)NORI_ERROR_INIT;
    wal->process_generation = config->vfs->process_generation(config->vfs->context);
    wal->dir = nw_strdup(config->allocator, config->dir);
    wal->name = nw_strdup(config->allocator, config->name);
    rc = wal->dir && wal->name ? make_locks(wal, error) : nw_no_memory(error);
    if (rc < 0) {
        free_wal(wal);
        return rc;
    }
    wal->config.dir = wal->dir; /* the caller's memory was borrowed */
    wal->config.name = wal->name;
    nw_metrics_init(&wal->metrics, config->meter, wal->name, config->node_id);
    wal->config.meter = NULL;
    *ret_wal = wal;
    return NORI_OK;
}

/* Permissions to enter the folder for whoever may read the files. */
static uint32_t folder_mode(uint32_t file_mode)
{
    return file_mode | ((file_mode & 0444u) >> 2);
}

/*
 * Readers elsewhere ask whether there is a writer, and then go by the words in `control`: so only
 * now, when recovery has stored them. Until then they are of an earlier life, and after a power cut
 * any mix of what they ever were; beside a recovery readers judge by what is there, as beside
 * nobody (D6, D11).
 */
static int announce(struct nori_wal *wal, struct nori_error *error)
{
    int rc = wal->env.folder->ops->announce(wal->env.folder);

    if (rc >= 0 || NW_PLANT("no-lock"))
        return NORI_OK;
    return nw_io_error(error, rc, NW_NOWHERE, "open %s: announce the writer", wal->config.dir);
}

static int open_folder(struct nori_wal *wal, struct nori_error *error)
{
    const struct nori_wal_config *config = config_of(wal);
    uint32_t flags = (config->flags & NORI_OPEN_MUST_EXIST) ? 0 : NORI_FOLDER_CREATE;
    int rc = config->vfs->open_folder(config->vfs->context, config->dir, flags,
                                      folder_mode(config->file_mode), &wal->env.folder);

    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s", config->dir);
    rc = NW_PLANT("no-lock") ? 0 : wal->env.folder->ops->lock(wal->env.folder);
    if (rc < 0 && NORI_VFS_CODE(rc) == NORI_E_LOCKED)
        return nw_error_set(error, NORI_E_LOCKED, 0, NW_NOWHERE,
                            "open %s: another writer has this log open", config->dir);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s: take the writer's lock", config->dir);
    return NW_PLANT("announce-before-words") ? announce(wal, error) : NORI_OK;
}

static int take_link(struct nori_wal *wal, const struct nw_link *link, uint64_t end_lsn)
{
    struct nw_segment *segment;

    if (!link->is_live) {
        if (NW_PLANT("dead-before-header")) {
            char name[NW_NAME_MAX];

            nw_name_format(name, link->id);
            (void)wal->env.folder->ops->remove(wal->env.folder, name);
        }
        wal->dead_ids[wal->dead_count++] = link->id;
        return NORI_OK;
    }
    segment = nw_alloc_zero(wal->env.allocator, sizeof *segment);
    if (!segment)
        return NORI_E_NOMEM;
    segment->id = link->id;
    segment->salt = link->format == 2 ? link->header.salt : 0;
    segment->start = link->start;
    segment->begin = link->begin;
    segment->end = link->end == NW_OPEN_END ? end_lsn - link->start
                                            : nw_min_u64(link->end, end_lsn - link->start);
    segment->is_named = true;
    segment->is_synced = true;
    /* The Rust crate's files are left alone unless we go on in its place. */
    segment->needs_trim =
        (link->format == 2 || wal->config.format == 1) && link->file_bytes > segment->end;
    nw_assert(wal->segment_count == 0 ||
              segment->start >= wal->segments[wal->segment_count - 1]->start);
    wal->segments[wal->segment_count++] = segment;
    return NORI_OK;
}

/* Where appends are staged: the ring that outlives the process, or memory that does not. Format 1
 * has no salt that would bind what a ring holds to its place. */
static int take_ring(struct nori_wal *wal)
{
    wal->has_shared_ring = wal->control->ring && wal->config.format == 2;
    wal->is_ring_ours = !wal->has_shared_ring || NW_PLANT("ring-not-shared");
    wal->ring_len = wal->has_shared_ring ? wal->control->ring_len : wal->config.buffer_size;
    wal->ring =
        wal->is_ring_ours ? nw_alloc(wal->env.allocator, wal->ring_len) : wal->control->ring;
    return wal->ring ? NORI_OK : NORI_E_NOMEM;
}

/* Go on from what recovery found. */
static int take_over(struct nori_wal *wal, struct nw_recovered *recovered, struct nori_error *error)
{
    const struct nw_chain *chain = &recovered->chain;

    wal->segment_capacity = chain->count + 16;
    wal->segments =
        nw_alloc(wal->env.allocator, wal->segment_capacity * sizeof(struct nw_segment *));
    wal->dead_ids = nw_alloc(wal->env.allocator, (chain->count + 1) * sizeof *wal->dead_ids);
    if (!wal->segments || !wal->dead_ids)
        return nw_no_memory(error);
    for (size_t i = 0; i < chain->count; i++)
        if (!(chain->links[i].is_spare && !chain->links[i].is_live) &&
            take_link(wal, &chain->links[i], recovered->end_lsn) < 0)
            return nw_no_memory(error);
    wal->control = recovered->control;
    recovered->control = NULL;
    if (wal->config.preallocate == NORI_PREALLOCATE_AUTO)
        wal->config.preallocate = nw_advice_preallocate(wal->control, wal->config.fsync_policy);
    wal->step_bytes = nw_space_step(&wal->config);
    wal->log_id = recovered->log_id;
    wal->next_id = recovered->next_id;
    wal->next_sequence = recovered->next_sequence;
    atomic_store(&wal->published_lsn, recovered->end_lsn);
    atomic_store(&wal->written_lsn, recovered->end_lsn);
    atomic_store(&wal->durable_lsn, recovered->end_lsn);
    if (take_ring(wal) < 0)
        return nw_no_memory(error);
    nw_stats_begin(wal);
    return NORI_OK;
}

static void report_recovery(struct nori_wal *wal, const struct nw_recovered *recovered,
                            const struct nori_recovery_info *info, int rc, const char *message)
{
    const struct nw_metrics *metrics = &wal->metrics;

    NW_PROBE(recover, wal->name, info->valid_records, info->bytes_truncated, info->elapsed_us, rc);
    nw_metrics_observe(metrics, metrics->recovery_seconds, (double)info->elapsed_us / 1e6);
    nw_metrics_set(metrics, metrics->recovery_records, info->valid_records);
    nw_metrics_set(metrics, metrics->recovery_torn_bytes, info->bytes_truncated);
    nw_metrics_set(metrics, metrics->segments, wal->segment_count);
    nw_metrics_set(metrics, metrics->durable_lsn, atomic_load(&wal->durable_lsn));
    nw_metrics_set(metrics, metrics->appended_lsn, atomic_load(&wal->published_lsn));
    nw_metrics_set(metrics, metrics->failed, 0);
    if (rc >= 0 && info->bytes_truncated > 0) {
        nw_metrics_add(metrics, metrics->corruption_truncated, 1);
        nw_metrics_emit(metrics, (struct nori_event){.kind = NORI_EVENT_CORRUPTION_TRUNCATED,
                                                     .severity = NORI_SEVERITY_WARNING,
                                                     .segment_id = recovered->torn_at.segment_id,
                                                     .offset = recovered->torn_at.offset,
                                                     .bytes = info->bytes_truncated,
                                                     .message = message});
    }
    nw_metrics_emit(
        metrics, (struct nori_event){.kind = NORI_EVENT_RECOVERY,
                                     .severity = rc < 0 ? NORI_SEVERITY_ERROR : NORI_SEVERITY_INFO,
                                     .code = rc,
                                     .segment_id = info->last_valid_position.segment_id,
                                     .offset = info->last_valid_position.offset,
                                     .bytes = info->bytes_scanned,
                                     .duration_us = info->elapsed_us,
                                     .message = message});
}

static int recover(struct nori_wal *wal, struct nori_recovery_info *info, struct nori_error *error)
{
    struct nw_recovered recovered;
    uint64_t begun_ns = nw_now_ns(wal);
    int rc = nw_recover(&wal->env, &wal->config, &recovered, info, error);

    info->elapsed_us = (nw_now_ns(wal) - begun_ns) / 1000;
    if (rc < 0) {
        report_recovery(wal, &recovered, info, rc, error->message);
        return rc;
    }
    rc = take_over(wal, &recovered, error);
    if (rc >= 0 && recovered.was_cut)
        rc = nw_roll_durably(wal, error); /* a header must say so before anybody relies on it */
    if (rc >= 0)
        rc = announce(wal, error);
    if (rc >= 0)
        report_recovery(wal, &recovered, info, rc, info->message);
    nw_recovered_done(&recovered);
    return rc;
}

static void stop_threads(struct nori_wal *wal)
{
    const struct nori_vfs *vfs = wal->env.vfs;

    nw_lock(wal, wal->mutex);
    wal->must_stop = true;
    nw_log_wake(wal);
    vfs->cond_wake_all(vfs->context, wal->sync_wanted);
    vfs->cond_wake_all(vfs->context, wal->space_wanted);
    nw_unlock(wal, wal->mutex);
    if (wal->writer_thread) {
        nw_writer_stop(wal);
        vfs->thread_join(vfs->context, wal->writer_thread);
    }
    if (wal->sync_thread)
        vfs->thread_join(vfs->context, wal->sync_thread);
    if (wal->space_thread)
        vfs->thread_join(vfs->context, wal->space_thread);
    if (wal->watch_thread) { /* last: the others may be stuck */
        nw_watch_stop(wal);
        vfs->thread_join(vfs->context, wal->watch_thread);
    }
}

int nori_wal_open(const struct nori_wal_config *config, nori_wal **ret_wal,
                  struct nori_recovery_info *ret_info, struct nori_error *ret_error)
{
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_wal_config full;
    struct nori_wal *wal = NULL;
    int rc = NORI_E_INVALID;

    if (!ret_wal)
        (void)nw_error_set(&error, rc, 0, NW_NOWHERE, "open: ret_wal is NULL");
    else
        rc = nw_config_normalise(config, &full, &error);
    if (rc >= 0)
        rc = new_wal(&full, &wal, &error);
    if (rc >= 0)
        rc = open_folder(wal, &error);
    if (rc >= 0)
        rc = recover(wal, &info, &error);
    if (rc >= 0 || rc == NORI_E_CORRUPT)
        nw_env_give(ret_info, ret_info ? ret_info->size : 0, &info, sizeof info);
    if (rc >= 0) {
        *ret_wal = wal;
        return NORI_OK;
    }
    nw_error_copy(ret_error, &error);
    if (wal) {
        stop_threads(wal);
        free_wal(wal);
    }
    return rc;
}

/* Nobody is inside any more, and nobody comes in. */
static void wait_for_callers(struct nori_wal *wal)
{
    nw_lock(wal, wal->mutex);
    if (atomic_fetch_or(&wal->calls, NW_CALLS_CLOSING) == 0)
        wal->has_last_left = true;
    nw_log_wake(wal);
    while (!wal->has_last_left)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    nw_unlock(wal, wal->mutex);
}

/* The end as the next recovery will count it: format 1 from the oldest segment. */
static uint64_t clean_lsn(struct nori_wal *wal)
{
    uint64_t base;

    nw_lock(wal, wal->mutex);
    base = wal->config.format == 1 ? wal->segments[0]->start : 0;
    nw_unlock(wal, wal->mutex);
    return atomic_load(&wal->published_lsn) - base;
}

/* Everything durable, a last mark that says so, and that durable, too. */
static int settle(struct nori_wal *wal, struct nori_error *error)
{
    struct nw_control_words *words = wal->control->words;
    int rc;

    if (atomic_load(&wal->has_failed))
        return nw_log_check(wal, error);
    if (!wal->current)
        return NORI_OK;
    rc = nw_sync_to(wal, atomic_load(&wal->published_lsn), error);
    if (rc >= 0 && wal->offset > wal->mark_offset)
        rc = nw_append_mark(wal, error);
    if (rc >= 0)
        rc = nw_sync_to(wal, atomic_load(&wal->published_lsn), error);
    if (rc >= 0)
        (void)nw_retention_remove_dead(wal, SIZE_MAX, error); /* else the next life does */
    if (rc >= 0) {
        atomic_store(&words->clean, clean_lsn(wal));
        atomic_store(&words->clean_salt, wal->current->salt);
    }
    return rc;
}

int nori_wal_close(nori_wal *wal)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    if (!wal)
        return NORI_OK;
    if (wal->env.vfs->process_generation(wal->env.vfs->context) != wal->process_generation)
        return NORI_E_INVALID;
    wait_for_callers(wal);
    rc = settle(wal, &error);
    stop_threads(wal);
    nw_space_shrink_spare(wal);
    nw_control_wake(wal->control); /* readers learn that nobody writes any more */
    free_wal(wal);
    return rc;
}
