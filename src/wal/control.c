/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * control.c: what a writer shares with readers and leaves for the next recovery.
 *
 * What. A file of one page of words and the staging ring, allocated in full, written once, and
 * mapped shared. Stores reach other processes at once and outlive this one; they reach the disk
 * whenever the kernel likes, in any mix of old and new. So D2 rests on them, D1 and D3-D5 do not.
 *
 * Threads. All words are atomics. A reader that wants to sleep sets is_awaited and looks once more
 * before it waits; the writer publishes first and looks at is_awaited second. Both are sequentially
 * consistent, so one of them sees the other.
 *
 * Failure. Where there is no space for the ring, there is none: appends are then written before
 * they return. Where no such file can be had at all (no mapping, copy-on-write) the words live in
 * memory, too: readers in other processes judge by checksums alone, and recovery by the marks in
 * the log.
 *
 * Not here. What the words mean: recovery.c and reader.c. What goes through the ring: stage.c.
 */
#include "wal/control.h"

#include "format/names.h"

#include <string.h>

#define CONTROL_VERSION 2u /* 1 had no ring */
static const uint8_t control_magic[8] = {'n', 'o', 'r', 'i', '-', 'c', 't', 'l'};

static struct nw_control *new_control(const struct nw_env *env)
{
    struct nw_control *control = nw_alloc_zero(env->allocator, sizeof *control);

    if (!control)
        return NULL;
    control->vfs = env->vfs;
    control->allocator = env->allocator;
    atomic_store(&control->ref_count, 1);
    return control;
}

struct nw_control *nw_control_ref(struct nw_control *control)
{
    atomic_fetch_add(&control->ref_count, 1);
    return control;
}

void nw_control_unref(struct nw_control *control)
{
    if (!control || atomic_fetch_sub(&control->ref_count, 1) != 1)
        return;
    if (control->file) {
        if (control->words)
            control->file->ops->unmap(control->file, control->words,
                                      NW_CONTROL_LEN + control->ring_len);
        control->file->ops->close(control->file);
    } else {
        nw_free(control->allocator, control->words);
    }
    nw_free(control->allocator, control);
}

/* Map page and ring of an open file. */
static int map_file(struct nw_control *control, size_t ring_len)
{
    void *data = NULL;
    int rc;

    if (!control->file->ops->map)
        return NORI_E_UNSUPPORTED;
    rc = control->file->ops->map(control->file, NW_CONTROL_LEN + ring_len, &data);
    if (rc < 0)
        return rc;
    control->words = data;
    control->ring = ring_len > 0 ? (uint8_t *)data + NW_CONTROL_LEN : NULL;
    control->ring_len = ring_len;
    return NORI_OK;
}

static bool is_ring_len(uint64_t len)
{
    return len == 0 || (len >= NW_RING_LEN_MIN && len <= NW_RING_LEN_MAX && (len & (len - 1)) == 0);
}

bool nw_control_is_current(const struct nw_control *control)
{
    return !control->file || control->words->ring_len == control->ring_len;
}

/* Is it a whole page of this version, in a file that is as long as it says? */
static bool is_ours(const struct nw_control_words *page, size_t len, uint64_t file_bytes)
{
    return len == sizeof *page && memcmp(page->magic, control_magic, sizeof control_magic) == 0 &&
           page->version == CONTROL_VERSION && page->len == NW_CONTROL_LEN &&
           is_ring_len(page->ring_len) && file_bytes >= NW_CONTROL_LEN + page->ring_len;
}

static bool is_in_place(const struct nw_control_words *page, const struct nori_file_info *info)
{
    return page->identity == info->identity && page->birth_ns == info->birth_ns;
}

/* Map the file if its page is one of this version. Its length is checked first: touching what lies
 * behind the end of a file is a SIGBUS. */
static int map_if_ours(struct nw_control *control)
{
    struct nw_control_words page;
    struct nori_file_info info = {0};
    size_t got = 0;
    int rc = control->file->ops->stat(control->file, &info);

    if (rc >= 0)
        rc = control->file->ops->read(control->file, &page, sizeof page, 0, &got);
    if (rc < 0)
        return rc;
    if (!is_ours(&page, got, info.bytes))
        return NORI_E_NOTFOUND;
    control->is_in_place = is_in_place(&page, &info);
    control->has_unwritten =
        page.ring_len > 0 && atomic_load(&page.published) != atomic_load(&page.written);
    return map_file(control, (size_t)page.ring_len);
}

/* There is no such file, or it is not for us. Any other failure must be told: to go on without
 * records that only the ring has, and to find them there later, would be worse than to wait. A
 * writer that may not touch the file would even make it anew (D2). */
static bool is_none(int rc, bool for_writing)
{
    int code = NORI_VFS_CODE(rc);

    return code == NORI_E_NOTFOUND || code == NORI_E_INVALID || code == NORI_E_UNSUPPORTED ||
           (code == NORI_E_READONLY && !for_writing);
}

int nw_control_copy(const struct nw_env *env, struct nw_control_words *ret_words,
                    struct nori_error *error)
{
    struct nori_file *file = NULL;
    struct nori_file_info info = {0};
    size_t got = 0;
    int rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, 0, 0, &file);

    if (is_none(rc, false))
        return 0;
    if (rc >= 0) {
        rc = file->ops->stat(file, &info);
        if (rc >= 0)
            rc = file->ops->read(file, ret_words, sizeof *ret_words, 0, &got);
        file->ops->close(file);
    }
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "look at %s", NW_NAME_CONTROL);
    return is_ours(ret_words, got, info.bytes) && is_in_place(ret_words, &info) &&
           atomic_load(&ret_words->stats.layout) == NW_STATS_LAYOUT;
}

/* Write what is there once more, and sync it. A file that shares its blocks with a copy (reflink)
 * cannot be stored to where there is no space for its own; now there is, or an error says so. */
static int make_own(const struct nw_env *env, struct nori_file *file)
{
    const size_t chunk_len = (size_t)64 << 10;
    uint8_t *chunk = nw_alloc(env->allocator, chunk_len);
    uint64_t offset = 0;
    size_t got = chunk_len;
    int rc = chunk ? NORI_OK : NORI_E_NOMEM;

    while (rc >= 0 && got == chunk_len && offset < NW_CONTROL_LEN + NW_RING_LEN_MAX) {
        struct nori_span span = {chunk, 0};

        rc = file->ops->read(file, chunk, chunk_len, offset, &got);
        span.len = got;
        if (rc >= 0 && got > 0)
            rc = file->ops->write(file, &span, 1, offset);
        offset += got;
    }
    nw_free(env->allocator, chunk);
    return rc < 0 ? rc : file->ops->sync(file);
}

/* It is of this version, but cannot be mapped for writing. */
static int map_otherwise(struct nw_control *control, const struct nw_env *env, bool for_writing)
{
    int rc;

    if (!control->is_writable || !control->file->ops->map)
        return NORI_E_UNSUPPORTED;
    if (for_writing) {
        rc = make_own(env, control->file);
        return rc < 0 ? rc : map_if_ours(control);
    }
    control->file->ops->close(control->file);
    control->file = NULL;
    control->is_writable = false;
    rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, 0, 0, &control->file);
    return rc < 0 ? rc : map_if_ours(control);
}

int nw_control_open_anywhere(const struct nw_env *env, bool for_writing,
                             struct nw_control **ret_control, struct nori_error *error)
{
    struct nw_control *control = new_control(env);
    bool is_refused, is_needed;
    int rc;

    *ret_control = NULL;
    if (!control)
        return nw_no_memory(error);
    control->is_writable = true;
    rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, NORI_FILE_WRITE, 0,
                                     &control->file);
    is_refused = NORI_VFS_CODE(rc) == NORI_E_READONLY || NORI_VFS_CODE(rc) == NORI_E_UNSUPPORTED;
    if (is_refused && !for_writing) {
        control->is_writable = false;
        rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, 0, 0, &control->file);
    }
    if (rc >= 0)
        rc = map_if_ours(control);
    if (control->file && NORI_VFS_CODE(rc) == NORI_E_UNSUPPORTED)
        rc = map_otherwise(control, env, for_writing);
    if (rc >= 0) {
        *ret_control = control;
        return NORI_OK;
    }
    /* It was mapped here once, or may have been: a writer is told, or what only its ring has
     * is lost (D2). */
    is_needed = for_writing && (is_refused || (control->is_in_place && control->has_unwritten));
    nw_control_unref(control);
    return is_none(rc, for_writing) && !is_needed
               ? NORI_OK
               : nw_io_error(error, rc, NW_NOWHERE, "look at %s", NW_NAME_CONTROL);
}

int nw_control_open(const struct nw_env *env, bool for_writing, struct nw_control **ret_control,
                    struct nori_error *error)
{
    int rc = nw_control_open_anywhere(env, for_writing, ret_control, error);

    if (*ret_control && !(*ret_control)->is_in_place) {
        nw_control_unref(*ret_control);
        *ret_control = NULL;
    }
    return rc;
}

/* Written once: a store into a page that was only allocated may need space on some file systems,
 * and where there is none it kills the process. */
static int write_zeros(struct nori_file *file, uint64_t from, uint64_t to)
{
    int rc = file->ops->allocate(file, from, to - from);

    while (rc >= 0 && from < to) {
        struct nori_span span = {nw_zeros, (size_t)nw_min_u64(to - from, NW_ZEROS_LEN)};

        rc = file->ops->write(file, &span, 1, from);
        from += span.len;
    }
    return rc;
}

/* Make the file anew. */
static int create_file(struct nw_control *control, const struct nw_env *env, uint32_t file_mode,
                       size_t ring_len, struct nori_file_info *ret_info)
{
    int rc = env->folder->ops->remove(env->folder, NW_NAME_CONTROL);

    if (rc < 0 && NORI_VFS_CODE(rc) != NORI_E_NOTFOUND)
        return rc;
    rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL,
                                     NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE |
                                         NORI_FILE_MAPPED,
                                     file_mode, &control->file);
    if (rc < 0)
        return rc;
    rc = write_zeros(control->file, 0, NW_CONTROL_LEN + (uint64_t)ring_len);
    if (rc >= 0)
        rc = control->file->ops->stat(control->file, ret_info);
    if (rc >= 0)
        rc = map_file(control, ring_len);
    if (rc < 0) {
        control->file->ops->close(control->file);
        control->file = NULL;
        (void)env->folder->ops->remove(env->folder, NW_NAME_CONTROL);
    }
    return rc;
}

bool nw_control_is_foreign(const struct nw_env *env, uint64_t log_id)
{
    struct nori_error ignored = NORI_ERROR_INIT;
    struct nw_control_words words = {.log_id = 0};
    size_t len = offsetof(struct nw_control_words, identity); /* the same in every version */
    uint64_t bytes;
    int rc = nw_env_read_start(env, NW_NAME_CONTROL, &words, &len, &bytes, &ignored);

    if (rc < 0)
        return rc != NORI_E_NOTFOUND; /* who knows */
    return memcmp(words.magic, control_magic, sizeof control_magic) == 0 && words.log_id != 0 &&
           words.log_id != log_id;
}

int nw_control_create(const struct nw_env *env, uint32_t file_mode, uint64_t log_id,
                      size_t ring_len, bool must_keep_file, struct nw_control **ret_control,
                      struct nori_error *error)
{
    struct nw_control *control = new_control(env);
    struct nori_file_info info = {0};
    int rc = NORI_E_INVALID;

    if (!control)
        return nw_no_memory(error);
    control->is_writable = true;
    control->is_in_place = true;
    if (!must_keep_file)
        rc = create_file(control, env, file_mode, ring_len, &info);
    if (NORI_VFS_CODE(rc) == NORI_E_NOSPACE) /* readers and the next recovery want the words */
        rc = create_file(control, env, file_mode, 0, &info);
    if (rc < 0) {
        control->words = nw_alloc_zero(env->allocator, sizeof *control->words);
        if (!control->words) {
            nw_control_unref(control);
            return nw_no_memory(error);
        }
    }
    control->words->version = CONTROL_VERSION;
    nw_control_set_durable(control, 0, 0);
    control->words->len = NW_CONTROL_LEN;
    control->words->ring_len = control->ring_len;
    control->words->log_id = log_id;
    control->words->identity = info.identity;
    control->words->birth_ns = info.birth_ns;
    atomic_store(&control->words->history,
                 (uint32_t)nw_splitmix64(info.identity ^ nw_splitmix64(info.birth_ns)));
    *ret_control = control;
    return NORI_OK;
}

void nw_control_announce(struct nw_control *control)
{
    atomic_thread_fence(memory_order_release);
    memcpy(control->words->magic, control_magic, sizeof control_magic);
}

bool nw_control_resize(struct nw_control *control, size_t ring_len)
{
    struct nori_file_info info = {0};
    struct nw_control other = *control;
    uint64_t len = NW_CONTROL_LEN + (uint64_t)ring_len;
    int rc;

    nw_assert(ring_len > 0);
    if (!control->file || control->ring_len == ring_len)
        return false;
    rc = control->file->ops->stat(control->file, &info);
    if (rc >= 0 && info.bytes < len)
        rc = write_zeros(control->file, info.bytes, len);
    if (rc >= 0)
        rc = map_file(&other, ring_len);
    if (rc < 0)
        return false;
    control->file->ops->unmap(control->file, control->words, NW_CONTROL_LEN + control->ring_len);
    control->words = other.words;
    control->ring = other.ring;
    control->ring_len = ring_len;
    memset(control->ring, 0, ring_len); /* else the next recovery finds records of before */
    control->words->ring_len = ring_len;
    return true;
}

uint64_t nw_control_check(uint64_t lsn, uint64_t salt)
{
    return nw_splitmix64(lsn ^ nw_splitmix64(salt));
}

struct nw_control_durable nw_control_durable(const struct nw_control *control)
{
    const struct nw_control_words *words = control->words;

    return (struct nw_control_durable){.lsn = atomic_load(&words->durable),
                                       .salt = atomic_load(&words->durable_salt),
                                       .check = atomic_load(&words->durable_check)};
}

/* LSN first, salt second: with the older salt it is cut off at that segment's end. */
void nw_control_set_durable(struct nw_control *control, uint64_t lsn, uint64_t salt)
{
    struct nw_control_words *words = control->words;

    atomic_store(&words->durable, lsn);
    atomic_store(&words->durable_salt, salt);
    atomic_store(&words->durable_check, nw_control_check(lsn, salt));
}

int nw_control_sync(const struct nw_control *control)
{
    return control->file ? control->file->ops->sync(control->file) : NORI_OK;
}

void nw_control_set_place(struct nw_control *control, uint64_t id, uint64_t start)
{
    struct nw_control_words *words = control->words;
    uint64_t next = atomic_load(&words->place_count) + 1;

    atomic_store(&words->places[next % 2].id, id);
    atomic_store(&words->places[next % 2].start, start);
    atomic_store(&words->place_count, next);
}

/* What is read is whole if the writer did not count meanwhile; it never has to be waited for. */
bool nw_control_place(const struct nw_control *control, uint64_t *ret_id, uint64_t *ret_start)
{
    const struct nw_control_words *words = control->words;
    uint64_t count;

    do {
        count = atomic_load(&words->place_count);
        *ret_id = atomic_load(&words->places[count % 2].id);
        *ret_start = atomic_load(&words->places[count % 2].start);
    } while (atomic_load(&words->place_count) != count); /* GCOVR_EXCL_BR_LINE: a race */
    return count > 0;
}

void nw_control_wake(struct nw_control *control)
{
    struct nw_control_words *words = control->words;

    if (atomic_load(&words->is_awaited) == 0)
        return;
    atomic_store(&words->is_awaited, 0);
    __atomic_fetch_add(&words->news, 1, __ATOMIC_SEQ_CST);
    control->vfs->word_wake(control->vfs->context, &words->news);
}

void nw_control_wait(struct nw_control *control, uint32_t news, uint64_t timeout_ns)
{
    /* Words that cannot be written cannot tell the writer that somebody waits, so their readers
     * look again and again. */
    const uint64_t poll_ns = 5000000;
    uint64_t limit_ns = control->is_writable ? timeout_ns : nw_min_u64(timeout_ns, poll_ns);

    (void)control->vfs->word_wait(control->vfs->context, &control->words->news, news, limit_ns);
}
