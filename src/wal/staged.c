/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * staged.c: records that the staging ring has and their segment does not, or not yet.
 *
 * What. The ring is copied from the wanted LSN on, once around; then records are decoded from the
 * copy as long as whole batches hold. Their checksums bind the segment's salt and their offset, so
 * a ring that is stale, torn, copied from elsewhere or of another log adds nothing, and one that is
 * right adds only true records at their true place.
 *
 * Below the watermark the ring is not asked: what the file lacks there is damage, and must be told
 * (D6). Above it the ring is always asked, whatever the words beside it say: a recovery that left a
 * record there would be contradicted by the next one, which finds it.
 *
 * Nor is it asked for what lies beyond the file. Appends go only into space that is taken, so if
 * the process alone had died the file would reach that far. The machine has gone down since, and
 * with it the space: on a full disk somebody else may have it, and open is to need none (D9). What
 * lay there was not synced, or the file's size would have been, too. Recovery wipes what it has not
 * asked for from where the next header comes (recovery.c): beside the live writer that follows the
 * file's end bounds nothing any more, and a reader that stands there would be given it.
 *
 * Threads. Beside a live writer the bytes may be overwritten while they are copied. A byte is only
 * overwritten after `written` has passed it, so `written` is looked at when the copy is made.
 *
 * Failure. Too little memory is reported, a file that does not tell its size, and a record of a
 * newer version; everything else means that the ring has nothing to give.
 */
#include "wal/staged.h"

#include "base/plant.h"
#include "format/control_record.h"
#include "format/record.h"

#include <string.h>

/* A file and the stretches that it reads as if it had them. */
struct patched_file {
    struct nori_file base;
    struct nori_file *inner;
    struct nw_staged *staged; /* borrowed: it outlives the file */
    uint64_t salt;
    bool is_borrowed; /* inner stays open */
};

int nw_staged_begin(struct nw_staged *staged, const struct nw_env *env, struct nw_control *control,
                    struct nori_error *error)
{
    int rc = NORI_OK;

    *staged = (struct nw_staged){.allocator = env->allocator};
    if (control)
        staged->control = nw_control_ref(control);
    else
        rc = nw_control_open_anywhere(env, false, &staged->control, error);
    return rc;
}

void nw_staged_forget(struct nw_staged *staged)
{
    staged->count = 0;
}

void nw_staged_done(struct nw_staged *staged)
{
    for (size_t i = 0; i < staged->capacity; i++)
        nw_buffer_done(&staged->stretches[i].bytes);
    nw_free(staged->allocator, staged->stretches);
    nw_control_unref(staged->control);
    *staged = (struct nw_staged){.allocator = staged->allocator};
}

uint64_t nw_staged_written(const struct nw_staged *staged)
{
    return staged->control && staged->is_live ? atomic_load(&staged->control->words->written) : 0;
}

/* A record that is whole and in its place: 0 if a writer can have put it there. Of the log's own
 * records this version sends only marks through the ring, and a newer one what may be skipped.
 * NORI_E_VERSION or NORI_E_CORRUPT. */
static int check_writer(const struct nw_staged_place *place, uint64_t offset,
                        const struct nw_stored_record *record)
{
    struct nw_mark mark;
    int rc;

    if (!nw_record_is_control(record))
        return 0;
    rc = nw_control_decode(record, place->salt, &mark);
    if (rc == NW_CONTROL_IS_SKIP)
        return 0;
    if (rc != NW_CONTROL_IS_MARK)
        return rc == NORI_E_VERSION ? rc : NORI_E_CORRUPT;
    return nw_mark_is_credible(&mark, place->log_id, place->start + offset) ? 0 : NORI_E_CORRUPT;
}

/* How many bytes at `bytes` are whole batches. *ret_is_newer: what follows is not, since a newer
 * version wrote it. */
static uint64_t whole_batches_len(const struct nw_staged_place *place, const uint8_t *bytes,
                                  uint64_t len, uint64_t offset, bool *ret_is_newer)
{
    uint64_t whole = 0;
    uint64_t at = 0;
    bool is_in_batch = false;
    int rc = 0;

    while (at < len) {
        struct nw_record_place here = {2, place->salt, offset + at};
        struct nw_scan scan = nw_scan_over(bytes + at, (size_t)(len - at));
        struct nw_stored_record record;

        rc = nw_record_decode(&scan, &here, place->record_limit, &record);
        if (rc == 0)
            rc = is_in_batch && nw_record_is_control(&record)
                     ? NORI_E_CORRUPT
                     : check_writer(place, offset + at, &record);
        if (rc != 0)
            break;
        at += record.len;
        is_in_batch = nw_record_continues(&record);
        if (!is_in_batch)
            whole = at;
    }
    *ret_is_newer = rc == NORI_E_VERSION;
    return whole;
}

#ifdef NW_COPY_UNSEEN /* helgrind knows no race that is meant: tests/support/helgrind_atomics.h */
#    define copy_beside_writer NW_COPY_UNSEEN
#else

#    if defined(__clang__)
#        define MAY_RACE __attribute__((no_sanitize("thread")))
#    elif defined(__SANITIZE_THREAD__)
#        define MAY_RACE __attribute__((no_sanitize_thread))
#    else
#        define MAY_RACE
#    endif

/* What a writer overwrites meanwhile is found out and thrown away, so this race is meant. Volatile:
 * no call of memcpy is made of it, which the thread sanitizer would look into. */
MAY_RACE static void copy_beside_writer(uint8_t *target, const uint8_t *source, size_t len)
{
    size_t at = 0;

    for (; at < len && ((uintptr_t)(source + at) & 7) != 0; at++)
        target[at] = *(const volatile uint8_t *)(source + at);
    for (; at + 8 <= len; at += 8) {
        uint64_t word = *(const volatile uint64_t *)(const volatile void *)(source + at);

        memcpy(target + at, &word, sizeof word);
    }
    for (; at < len; at++)
        target[at] = *(const volatile uint8_t *)(source + at);
}

#endif

/* The ring from this LSN on, once around, or at most len bytes. */
static void copy_ring(const struct nw_control *control, uint64_t lsn, uint8_t *target, size_t len)
{
    size_t at = (size_t)(lsn & (control->ring_len - 1));
    size_t first = (size_t)nw_min_u64(len, control->ring_len - at);

    copy_beside_writer(target, control->ring + at, first);
    copy_beside_writer(target + first, control->ring, len - first);
}

/* The next stretch, with room for len bytes; it does not count yet. NULL: no memory. */
static struct nw_stretch *next_stretch(struct nw_staged *staged, uint64_t len)
{
    if (staged->count == staged->capacity) {
        struct nw_stretch *stretches = nw_realloc(staged->allocator, staged->stretches,
                                                  (staged->capacity + 1) * sizeof *stretches);

        if (!stretches)
            return NULL;
        staged->stretches = stretches;
        nw_buffer_init(&stretches[staged->capacity++].bytes, staged->allocator, NW_RING_LEN_MAX);
    }
    if (nw_buffer_reserve(&staged->stretches[staged->count].bytes, (size_t)len) < 0)
        return NULL;
    return &staged->stretches[staged->count];
}

/* How many bytes the ring may have from this LSN on. */
static uint64_t len_from(const struct nw_staged *staged, uint64_t lsn)
{
    const struct nw_control *control = staged->control;
    uint64_t published;

    if (!control || !control->ring || lsn < staged->floor_lsn || NW_PLANT("forget-ring"))
        return 0;
    if (!staged->is_live)
        return control->ring_len;
    published = atomic_load(&control->words->published);
    return published > lsn ? nw_min_u64(published - lsn, control->ring_len) : 0;
}

/* The offset behind which the segment has no records. A live writer has owned space for all that it
 * has published, wherever the file ended when somebody looked. */
static int end_of(const struct nw_staged *staged, const struct nw_staged_place *place,
                  uint64_t *ret_end)
{
    struct nori_file_info info = {0};
    int rc = 0;

    *ret_end = place->end;
    if (!staged->is_live)
        rc = place->file->ops->stat(place->file, &info);
    if (rc >= 0 && !staged->is_live && !NW_PLANT("take-space-in-recovery"))
        *ret_end = nw_min_u64(place->end, info.bytes);
    return rc;
}

int nw_staged_extend(struct nw_staged *staged, const struct nw_staged_place *place, uint64_t offset)
{
    uint64_t lsn = place->start + offset;
    uint64_t len = len_from(staged, lsn);
    struct nw_stretch *stretch;
    bool is_newer;
    uint64_t end;
    int rc;

    if (offset >= place->end || len == 0)
        return 0;
    rc = end_of(staged, place, &end);
    if (rc < 0 || offset >= end)
        return rc;
    len = nw_min_u64(len, end - offset);
    stretch = next_stretch(staged, len);
    if (!stretch)
        return NW_PLANT("no-memory-is-no-ring") ? 0 : NORI_E_NOMEM;
    copy_ring(staged->control, lsn, stretch->bytes.data, (size_t)len);
    atomic_thread_fence(memory_order_seq_cst); /* the copy is made before `written` is looked at */
    if (nw_staged_written(staged) > lsn)
        return 0;
    len = whole_batches_len(place, stretch->bytes.data, len, offset, &is_newer);
    if (len == 0 && is_newer)
        return NORI_E_VERSION; /* D12: to end the log here would lose it */
    stretch->salt = place->salt;
    stretch->from = offset;
    stretch->to = offset + len;
    staged->count += len > 0;
    return len > 0;
}

uint64_t nw_staged_from(const struct nw_staged *staged, uint64_t salt)
{
    uint64_t from = UINT64_MAX;

    for (size_t i = 0; i < staged->count; i++)
        if (staged->stretches[i].salt == salt)
            from = nw_min_u64(from, staged->stretches[i].from);
    return from;
}

uint64_t nw_staged_bytes(const struct nw_staged *staged)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < staged->count; i++)
        bytes += staged->stretches[i].to - staged->stretches[i].from;
    return bytes;
}

int nw_staged_write_back(const struct nw_staged *staged, uint64_t salt, struct nori_file *file)
{
    int rc = NORI_OK;

    for (size_t i = 0; rc >= 0 && i < staged->count; i++) {
        const struct nw_stretch *stretch = &staged->stretches[i];
        struct nori_span span = {stretch->bytes.data, (size_t)(stretch->to - stretch->from)};

        if (stretch->salt == salt)
            rc = file->ops->write(file, &span, 1, stretch->from);
    }
    return rc;
}

/* ---- the file that has them ---- */

static struct patched_file *from_base(struct nori_file *base)
{
    return (struct patched_file *)base;
}

static int patched_read(struct nori_file *base, void *target, size_t len, uint64_t offset,
                        size_t *ret_len)
{
    struct patched_file *file = from_base(base);
    size_t got = 0;
    int rc = file->inner->ops->read(file->inner, target, len, offset, &got);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < file->staged->count; i++) {
        const struct nw_stretch *stretch = &file->staged->stretches[i];
        uint64_t from = nw_max_u64(stretch->from, offset);
        uint64_t to = nw_min_u64(stretch->to, offset + len);

        if (stretch->salt != file->salt || from >= to)
            continue;
        if (from - offset > got) /* the file is shorter than where the stretch begins */
            memset((uint8_t *)target + got, 0, (size_t)(from - offset) - got);
        memcpy((uint8_t *)target + (from - offset), stretch->bytes.data + (from - stretch->from),
               (size_t)(to - from));
        got = (size_t)nw_max_u64(got, to - offset);
    }
    *ret_len = got;
    return 0;
}

static int patched_write(struct nori_file *base, const struct nori_span *spans, size_t count,
                         uint64_t offset)
{
    struct nori_file *inner = from_base(base)->inner;

    return inner->ops->write(inner, spans, count, offset);
}

static int patched_sync(struct nori_file *base)
{
    struct nori_file *inner = from_base(base)->inner;

    return inner->ops->sync(inner);
}

static int patched_allocate(struct nori_file *base, uint64_t offset, uint64_t len)
{
    struct nori_file *inner = from_base(base)->inner;

    return inner->ops->allocate(inner, offset, len);
}

static int patched_truncate(struct nori_file *base, uint64_t bytes)
{
    struct nori_file *inner = from_base(base)->inner;

    return inner->ops->truncate(inner, bytes);
}

static int patched_stat(struct nori_file *base, struct nori_file_info *ret_info)
{
    const struct patched_file *file = from_base(base);
    int rc = file->inner->ops->stat(file->inner, ret_info);

    for (size_t i = 0; rc >= 0 && i < file->staged->count; i++)
        if (file->staged->stretches[i].salt == file->salt)
            ret_info->bytes = nw_max_u64(ret_info->bytes, file->staged->stretches[i].to);
    return rc;
}

static int patched_lock(struct nori_file *base, uint32_t kind)
{
    struct nori_file *inner = from_base(base)->inner;

    return inner->ops->lock(inner, kind);
}

static void patched_close(struct nori_file *base)
{
    struct patched_file *file = from_base(base);

    if (!file->is_borrowed)
        file->inner->ops->close(file->inner);
    nw_free(file->staged->allocator, file);
}

static const struct nori_file_ops patched_ops = {
    .size = sizeof(struct nori_file_ops),
    .read = patched_read,
    .write = patched_write,
    .sync = patched_sync,
    .allocate = patched_allocate,
    .truncate = patched_truncate,
    .stat = patched_stat,
    .lock = patched_lock,
    .close = patched_close,
};

int nw_staged_wrap(struct nw_staged *staged, uint64_t salt, bool is_borrowed,
                   struct nori_file **file)
{
    struct patched_file *patched;

    if (nw_staged_from(staged, salt) == UINT64_MAX)
        return NORI_OK;
    patched = nw_alloc_zero(staged->allocator, sizeof *patched);
    if (!patched)
        return NORI_E_NOMEM;
    patched->base.ops = &patched_ops;
    patched->inner = *file;
    patched->staged = staged;
    patched->salt = salt;
    patched->is_borrowed = is_borrowed;
    *file = &patched->base;
    return NORI_OK;
}
