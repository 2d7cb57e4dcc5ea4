/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * space.c: taking space ahead of need, so that what an append is given room for is never refused
 * later (D9).
 *
 * What. A thread keeps the current segment's owned space ahead of its end, in steps, and the next
 * segment's file `spare` prepared: created, empty, its first step taken, and all that durable. It
 * also gives back what ended segments own behind their end, once nobody maps it. An append looks
 * only at what is owned; it asks early, so a slow file system never stops an append that has room.
 *
 * Waiting. An append that has caught up takes the space, or prepares `spare`, itself: it waits for
 * what it needs and for nothing else that the thread may be at. Only if the thread is at that very
 * file (is_busy) it waits until that is done, and takes what is still missing. Nobody else may take
 * space for a busy file, or close it. So an attempt that began before an append came may serve it,
 * but never refuses it; a full disk costs one attempt an append.
 *
 * Dead files. On a full disk they may hold all there is, and they go only once a new header kills
 * them. So for want of space they are cut down to their own headers, which tell all that counts.
 *
 * Failure. Want of space (or any other failure to prepare) is told to the append that tried, with
 * its cause, and the log stays as it is. A failed sync is final (D8), here as anywhere: it may have
 * eaten the error of a write. But for one: an older `spare` is synced only to drop what is cached
 * of it (forget.h). No record was ever in it, and that it was synced is not believed: if that
 * fails, the next attempt drops the same pages and looks at what the medium has. A byte that is not
 * zero there has the file removed. What it is used with is synced again, and that is final.
 */
#include "base/plant.h"
#include "format/names.h"
#include "wal/forget.h"
#include "wal/log.h"

#include <string.h>

#define STEP_SMALL  ((uint64_t)64 << 10)
#define STEP_ZERO   ((uint64_t)4 << 20)
#define STEP_FIRST  ((uint64_t)1 << 20)
#define STALE_SPARE 1                    /* `spare` holds something */
#define SPARE_KEPT  ((uint64_t)16 << 20) /* so much of `spare` is kept over a close */
#define BLOCK       ((uint64_t)4096)
#define OPEN_TRIMS  ((size_t)16) /* files kept open because a reader still maps them */

uint64_t nw_space_step(const struct nori_wal_config *config)
{
    uint64_t step = config->max_segment_size;

    if (config->preallocate == NORI_PREALLOCATE_OFF) /* what is to be small in memory is on disk */
        step = nw_min_u64(STEP_SMALL, (uint64_t)config->buffer_size * 4);
    else if (config->preallocate == NORI_PREALLOCATE_ZERO)
        step = STEP_ZERO;
    return nw_min_u64(step, config->max_segment_size);
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

/* Take [from, to) of a file, and write it with zeros if the configuration says so. */
static int take(struct nori_wal *wal, struct nori_file *file, uint64_t from, uint64_t to)
{
    int rc = file->ops->allocate(file, from, to - from);

    if (rc < 0 || wal->config.preallocate != NORI_PREALLOCATE_ZERO)
        return rc;
    while (from < to && rc >= 0) {
        struct nori_span span = {nw_zeros, (size_t)nw_min_u64(to - from, NW_ZEROS_LEN)};

        rc = file->ops->write(file, &span, 1, from);
        from += span.len;
    }
    return rc;
}

/* Steps double from 1 MiB on, so that a small log stays small on disk, and one that grows fast is
 * not stopped: while a sync keeps the file system's journal busy, taking space may take as long. */
static uint64_t next_step(const struct nori_wal *wal, uint64_t owned)
{
    return nw_min_u64(wal->step_bytes, nw_max_u64(owned, STEP_FIRST));
}

/* Take up to a step behind `owned`, less if there is no more, but at least up to `need`.
 * *ret_owned may equal owned. */
static int take_step(struct nori_wal *wal, struct nori_file *file, uint64_t owned, uint64_t step,
                     uint64_t need, uint64_t *ret_owned)
{
    uint64_t target = nw_min_u64(owned + step, wal->config.max_segment_size);
    uint64_t least = round_up(nw_max_u64(need, owned));
    int rc = NORI_OK;

    target = nw_max_u64(target, least);
    while (target > owned) {
        rc = take(wal, file, owned, target);
        if (rc >= 0) {
            *ret_owned = target;
            return rc;
        }
        if (NORI_VFS_CODE(rc) != NORI_E_NOSPACE || target <= least)
            return rc;
        target = nw_max_u64(least, owned + (target - owned) / 2 / BLOCK * BLOCK);
    }
    *ret_owned = owned;
    return rc;
}

static bool is_file_zero(struct nori_file *file, uint64_t bytes, uint8_t *chunk, size_t chunk_len)
{
    for (uint64_t offset = 0; offset < bytes; offset += chunk_len) {
        size_t got = 0;

        if (file->ops->read(file, chunk, chunk_len, offset, &got) < 0 ||
            nw_nonzero_len(chunk, got) > 0)
            return false;
    }
    return true;
}

/* An older `spare` is used as it is if it is all zero; STALE_SPARE if it is not. */
static int clean_spare(struct nori_file *file, uint64_t *ret_bytes)
{
    struct nori_file_info info = {0};
    uint8_t chunk[BLOCK];
    int rc = file->ops->stat(file, &info);

    if (rc < 0)
        return rc;
    if (info.bytes <= SPARE_KEPT && is_file_zero(file, info.bytes, chunk, sizeof chunk)) {
        *ret_bytes = info.bytes;
        return NORI_OK;
    }
    *ret_bytes = 0;
    return STALE_SPARE;
}

static int open_spare(struct nori_wal *wal, struct nw_spare *spare, uint64_t *ret_bytes)
{
    struct nori_folder *folder = wal->env.folder;
    int rc = nw_forget_file(folder, NW_NAME_SPARE, 0);

    /* Like a file that is mapped, it is overwritten in place where the file system can do that:
     * what an append was given must not need space once more when it is written (D9). */
    if (rc >= 0)
        rc = folder->ops->open_file(folder, NW_NAME_SPARE,
                                    NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_MAPPED,
                                    wal->config.file_mode, &spare->file);
    return rc < 0 ? rc : clean_spare(spare->file, ret_bytes);
}

/* Make `spare`: all zero, owned, and durably so: no byte of an earlier life may come back behind
 * a new header. */
static int make_spare(struct nori_wal *wal, struct nw_spare *spare, uint64_t step,
                      bool *ret_sync_failed)
{
    const struct nori_folder_ops *ops = wal->env.folder->ops;
    uint64_t bytes = 0;
    uint64_t least = BLOCK;
    int rc = open_spare(wal, spare, &bytes);

    if (rc == STALE_SPARE) {
        /* Not emptied: a reader may map it still. */
        spare->file->ops->close(spare->file);
        spare->file = NULL;
        rc = ops->remove(wal->env.folder, NW_NAME_SPARE);
        if (rc >= 0)
            rc = open_spare(wal, spare, &bytes);
    }
    if (rc >= 0 && bytes >= least)
        rc = take(wal, spare->file, 0, bytes); /* what is there may be a hole */
    if (rc >= 0 && bytes < step) {
        int more = take_step(wal, spare->file, bytes, step, least, &bytes);

        rc = bytes >= least ? NORI_OK : more; /* an older spare serves on a full disk */
    }
    if (rc >= 0) {
        rc = spare->file->ops->sync(spare->file);
        *ret_sync_failed = rc < 0;
    }
    spare->owned = bytes;
    return rc;
}

/* Give back what a segment that has ended, or is dead, owns behind `end`; true if that is done, or
 * cannot be. No mutex held. */
static bool trim(struct nori_wal *wal, uint64_t id, struct nori_file **file, uint64_t end)
{
    struct nori_file_info info = {0};
    char name[NW_NAME_MAX];
    int rc;

    nw_name_format(name, id);
    if (!*file &&
        wal->env.folder->ops->open_file(wal->env.folder, name, NORI_FILE_WRITE, 0, file) < 0)
        return true; /* it stays as long as it is */
    rc = (*file)->ops->lock(*file, NORI_LOCK_EXCLUSIVE);
    if (rc < 0 && !NW_PLANT("trim-under-reader")) /* a reader maps it; or who knows */
        return NORI_VFS_CODE(rc) != NORI_E_LOCKED;
    if ((*file)->ops->stat(*file, &info) >= 0 && info.link_count == 1 && info.bytes > end)
        (void)(*file)->ops->truncate(*file, end);
    (void)(*file)->ops->lock(*file, NORI_LOCK_NONE);
    return true;
}

/* Cut the dead files down to their headers, once; those that somebody reads are tried again. True
 * if there were any. One may be missed while others are removed, which make room themselves. No
 * mutex held. */
static bool shrink_dead(struct nori_wal *wal)
{
    bool are_all_small = true;
    size_t at = 0;

    nw_lock(wal, wal->mutex);
    for (; !wal->is_dead_small && at < wal->dead_count; at++) {
        uint64_t id = wal->dead_ids[at];
        struct nori_file *file = NULL;

        nw_unlock(wal, wal->mutex);
        are_all_small &= trim(wal, id, &file, BLOCK);
        if (file)
            file->ops->close(file);
        nw_lock(wal, wal->mutex);
    }
    wal->is_dead_small = are_all_small;
    nw_unlock(wal, wal->mutex);
    return at > 0;
}

/* Nobody is at it. mutex held; released meanwhile. */
static void prepare_spare(struct nori_wal *wal)
{
    struct nw_spare spare = {.problem = NORI_ERROR_INIT};
    bool is_sync_failure = false;
    uint64_t step;
    int rc;

    nw_assert(!wal->spare.file && !wal->spare.is_busy);
    if (wal->spare.problem.code < 0 && NW_PLANT("full-for-ever"))
        return;
    wal->spare.is_busy = true;
    step = nw_max_u64(wal->spare_step, next_step(wal, 0));
    nw_unlock(wal, wal->mutex);
    rc = make_spare(wal, &spare, step, &is_sync_failure);
    if (NORI_VFS_CODE(rc) == NORI_E_NOSPACE && !is_sync_failure && shrink_dead(wal)) {
        if (spare.file)
            spare.file->ops->close(spare.file);
        spare.file = NULL;
        rc = make_spare(wal, &spare, step, &is_sync_failure);
    }
    if (rc < 0) {
        (void)nw_io_error(&spare.problem, rc, NW_NOWHERE, "prepare the next segment");
        if (spare.file)
            spare.file->ops->close(spare.file);
        spare.file = NULL;
        if (is_sync_failure)
            (void)nw_log_fail(wal, &spare.problem);
    }
    nw_lock(wal, wal->mutex);
    spare.is_ready = rc >= 0;
    wal->spare = spare;
    nw_log_wake(wal);
}

void nw_space_shrink_spare(struct nori_wal *wal)
{
    if (wal->spare.is_ready && wal->spare.owned > SPARE_KEPT)
        (void)wal->spare.file->ops->truncate(wal->spare.file, SPARE_KEPT);
}

/* Take a step for the current segment, but at least up to `need`. Nobody is at it. mutex held;
 * released meanwhile. */
static int extend(struct nori_wal *wal, struct nw_segment *segment, uint64_t need,
                  struct nori_error *error)
{
    uint64_t owned = atomic_load(&segment->owned);
    int rc;

    nw_assert(!segment->is_busy);
    segment->is_busy = true;
    nw_unlock(wal, wal->mutex);
    rc = take_step(wal, segment->file, owned, next_step(wal, owned), need, &owned);
    if (rc < 0)
        rc = nw_io_error(error, rc, (struct nori_position){segment->id, owned},
                         "take space for %06llu.wal at %llu", (unsigned long long)segment->id,
                         (unsigned long long)owned);
    /* D8: zeros are written, too; the file may lack what was written before. */
    if (rc < 0 && rc != NORI_E_NOSPACE && wal->config.preallocate == NORI_PREALLOCATE_ZERO)
        rc = nw_log_fail(wal, error);
    nw_lock(wal, wal->mutex);
    segment->is_busy = false;
    atomic_store(&segment->owned, owned);
    atomic_store(&wal->is_extension_wanted, false);
    nw_log_wake(wal);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted); /* `spare` may grow */
    return rc;
}

/* Once the current segment owns all that it may, the next one gets as much: when it begins, this
 * thread is busy with its name. mutex held. */
static bool should_grow_spare(const struct nori_wal *wal)
{
    const struct nw_segment *current =
        wal->segment_count > 0 ? wal->segments[wal->segment_count - 1] : NULL;

    return wal->spare.is_ready && !wal->spare.is_grown && current && current->is_named &&
           atomic_load(&current->owned) >= wal->config.max_segment_size &&
           wal->config.preallocate == NORI_PREALLOCATE_RESERVE;
}

/* `spare` has grown, and may have become a segment meanwhile. mutex held. */
static void note_grown(struct nori_wal *wal, const struct nori_file *file, uint64_t owned)
{
    if (wal->spare.file == file) {
        wal->spare.owned = owned;
        wal->spare.is_busy = false;
    }
    for (size_t i = wal->segment_count; i > 0 && wal->spare.file != file; i--) {
        if (wal->segments[i - 1]->file != file)
            continue;
        atomic_store(&wal->segments[i - 1]->owned, owned);
        wal->segments[i - 1]->is_busy = false;
    }
    nw_log_wake(wal);
}

/* If there is no space for that, it stays as it is. mutex held; released meanwhile. */
static void grow_spare(struct nori_wal *wal)
{
    struct nori_file *file = wal->spare.file;
    uint64_t owned = wal->spare.owned;
    uint64_t more = wal->config.max_segment_size;

    wal->spare.is_grown = true;
    if (owned >= more)
        return;
    wal->spare.is_busy = true;
    nw_unlock(wal, wal->mutex);
    (void)take_step(wal, file, owned, more, 0, &owned);
    nw_lock(wal, wal->mutex);
    note_grown(wal, file, owned);
}

/* Readers borrowed it while it was the current one. */
static bool has_locked_map(const struct nw_segment *segment)
{
    return segment->map && segment->map->has_file;
}

/* The next ended segment that is durable, as is its successor's name, from index *at on. mutex
 * held. */
static struct nw_segment *next_to_trim(struct nori_wal *wal, size_t *at)
{
    for (; *at + 1 < wal->segment_count; (*at)++) {
        struct nw_segment *segment = wal->segments[*at];

        if (segment->is_synced && wal->segments[*at + 1]->is_named &&
            (segment->needs_trim || segment->file || has_locked_map(segment)))
            return segment;
    }
    return NULL;
}

/* Only this thread closes files of ended segments. mutex held; released meanwhile. */
static void trim_ended(struct nori_wal *wal)
{
    size_t kept_open = 0;
    struct nw_segment *segment;

    for (size_t at = 0; (segment = next_to_trim(wal, &at)) != NULL;) {
        struct nori_file *file = segment->file;
        uint64_t id = segment->id;
        uint64_t end = segment->end;
        bool must_trim = segment->needs_trim;
        bool is_done = true;
        struct nw_map *map = NULL;

        segment->file = NULL; /* ours now: retention may drop the segment meanwhile */
        if (has_locked_map(segment))
            map = nw_maps_take(wal, segment);
        if (must_trim || map) {
            nw_unlock(wal, wal->mutex);
            nw_map_unref(map);
            if (must_trim)
                is_done = trim(wal, id, &file, end);
            nw_lock(wal, wal->mutex);
        }
        at = 0;
        while (at < wal->segment_count && wal->segments[at]->id < id)
            at++;
        segment = at < wal->segment_count && wal->segments[at]->id == id ? wal->segments[at] : NULL;
        if (segment && !is_done && kept_open < OPEN_TRIMS) {
            segment->file = file;
            file = NULL;
            kept_open++;
        } else if (segment) {
            segment->needs_trim = false;
        }
        at += segment != NULL;
        if (file)
            file->ops->close(file);
    }
}

/* mutex held */
static bool has_unnamed(const struct nori_wal *wal)
{
    return wal->segment_count > 0 && !wal->segments[wal->segment_count - 1]->is_named;
}

/* Dead files go one a round, so that nobody waits for space behind them. mutex held. */
static bool can_remove_dead(const struct nori_wal *wal)
{
    return wal->dead_count > 0 && !wal->is_dead_stuck && !wal->is_dropping &&
           wal->segment_count > 0 && wal->segments[wal->segment_count - 1]->end == NW_OPEN_END &&
           !has_unnamed(wal);
}

/* The current segment, if more space is wanted for it and nobody takes any. mutex held. */
static struct nw_segment *find_to_extend(struct nori_wal *wal)
{
    struct nw_segment *newest =
        wal->segment_count > 0 ? wal->segments[wal->segment_count - 1] : NULL;

    return newest && newest->end == NW_OPEN_END && !newest->is_busy &&
                   atomic_load(&wal->is_extension_wanted)
               ? newest
               : NULL;
}

/* One round of all there is to do. mutex held; released meanwhile. */
static void work(struct nori_wal *wal)
{
    struct nw_segment *current = find_to_extend(wal);
    struct nori_error ignored = NORI_ERROR_INIT; /* who needs it tries again, and is told why */

    if (current)
        (void)extend(wal, current, 0, &ignored);
    if (has_unnamed(wal))
        (void)nw_sync_name(wal); /* fails with the log */
    if (!wal->spare.is_ready && !wal->spare.is_busy && !has_unnamed(wal))
        prepare_spare(wal);
    else if (should_grow_spare(wal))
        grow_spare(wal);
    if (wal->is_trim_wanted) {
        wal->is_trim_wanted = false;
        trim_ended(wal);
    }
    if (can_remove_dead(wal)) {
        nw_unlock(wal, wal->mutex);
        wal->is_dead_stuck = nw_retention_remove_dead(wal, 1, &ignored) < 0;
        nw_lock(wal, wal->mutex);
    }
}

void nw_space_run(void *argument)
{
    struct nori_wal *wal = argument;

    nw_lock(wal, wal->mutex);
    while (!wal->must_stop) {
        bool must_work =
            wal->is_trim_wanted || can_remove_dead(wal) || find_to_extend(wal) ||
            has_unnamed(wal) || should_grow_spare(wal) ||
            (!wal->spare.is_ready && !wal->spare.is_busy && wal->spare.problem.code == 0);

        if (must_work && !atomic_load(&wal->has_failed))
            work(wal);
        else
            (void)nw_log_wait(wal, wal->space_wanted, UINT64_MAX);
    }
    nw_unlock(wal, wal->mutex);
}

int nw_space_require_spare(struct nori_wal *wal, struct nori_error *error)
{
    uint64_t begun_ns = nw_now_ns(wal);
    int rc;

    nw_assert(!has_unnamed(wal));
    while (wal->spare.is_busy)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    rc = nw_log_check(wal, error);
    if (rc >= 0 && !wal->spare.is_ready) {
        prepare_spare(wal);
        rc = wal->spare.problem.code;
        if (rc < 0)
            nw_error_copy(error, &wal->spare.problem);
    }
    nw_stats_waited(wal, &wal->control->words->stats.space_waits, begun_ns);
    return rc;
}

/* Out of the way of an append that need not wait. */
__attribute__((noinline)) static int wait_for_space(struct nori_wal *wal, uint64_t offset,
                                                    struct nori_error *error)
{
    struct nw_segment *segment = wal->current;
    uint64_t begun_ns = nw_now_ns(wal);
    bool is_watched = nw_watch_begin(wal, NW_STALL_SPACE, begun_ns);
    int rc;

    nw_lock(wal, wal->mutex);
    while (segment->is_busy)
        (void)nw_log_wait(wal, wal->changed, UINT64_MAX);
    rc = nw_log_check(wal, error);
    if (rc >= 0 && offset > atomic_load(&segment->owned))
        rc = extend(wal, segment, offset, error);
    nw_stats_waited(wal, &wal->control->words->stats.space_waits, begun_ns);
    nw_unlock(wal, wal->mutex);
    nw_watch_end(wal, NW_STALL_SPACE, is_watched);
    nw_assert(rc < 0 || offset <= atomic_load(&segment->owned));
    return rc;
}

int nw_space_require(struct nori_wal *wal, uint64_t offset, struct nori_error *error)
{
    return offset <= atomic_load(&wal->current->owned) ? NORI_OK
                                                       : wait_for_space(wal, offset, error);
}

void nw_space_check(struct nori_wal *wal)
{
    uint64_t owned = atomic_load(&wal->current->owned);

    if (owned - wal->offset >= next_step(wal, owned) / 2 || owned >= wal->config.max_segment_size ||
        atomic_load(&wal->is_extension_wanted))
        return;
    atomic_store(&wal->is_extension_wanted, true);
    nw_lock(wal, wal->mutex);
    wal->env.vfs->cond_wake_all(wal->env.vfs->context, wal->space_wanted);
    nw_unlock(wal, wal->mutex);
}
