/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * control.c: the words that a writer shares with readers and leaves for the next recovery.
 *
 * What. A file of one page, allocated in full and mapped shared. Stores reach other processes at
 * once and outlive this one; they reach the disk whenever the kernel likes, in any mix of old and
 * new, so nothing here is needed for D1-D5.
 *
 * Threads. All words are atomics. A reader that wants to sleep sets is_awaited and looks once more
 * before it waits; the writer publishes first and looks at is_awaited second. Both are sequentially
 * consistent, so one of them sees the other.
 *
 * Failure. Where no page can be had (no space, no mapping) the words live in memory: readers in
 * other processes then judge by checksums alone, and recovery by the marks in the log.
 *
 * Not here. What the words mean: recovery.c and reader.c.
 */
#include "wal/control.h"

#include "format/names.h"

#include <string.h>

#define CONTROL_VERSION 1u
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
            control->file->ops->unmap(control->file, control->words, NW_CONTROL_LEN);
        control->file->ops->close(control->file);
    } else {
        nw_free(control->allocator, control->words);
    }
    nw_free(control->allocator, control);
}

/* Map the page of an open file. */
static int map_words(struct nw_control *control)
{
    void *data = NULL;
    int rc;

    if (!control->file->ops->map)
        return NORI_E_UNSUPPORTED;
    rc = control->file->ops->map(control->file, NW_CONTROL_LEN, &data);
    if (rc < 0)
        return rc;
    control->words = data;
    return NORI_OK;
}

/* These are the words of this version, in the file they were made for. */
static bool are_words_ours(const struct nw_control_words *words, const struct nori_file_info *info)
{
    return memcmp(words->magic, control_magic, sizeof control_magic) == 0 &&
           words->version == CONTROL_VERSION && words->len == NW_CONTROL_LEN &&
           words->identity == info->identity && words->birth_ns == info->birth_ns;
}

int nw_control_open(const struct nw_env *env, bool for_writing, struct nw_control **ret_control,
                    struct nori_error *error)
{
    struct nw_control *control = new_control(env);
    struct nori_file_info info = {0};
    int rc;

    *ret_control = NULL;
    if (!control)
        return nw_no_memory(error);
    control->is_writable = true;
    rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, NORI_FILE_WRITE, 0,
                                     &control->file);
    if (rc < 0 && !for_writing) {
        control->is_writable = false;
        rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, 0, 0, &control->file);
    }
    if (rc >= 0)
        rc = control->file->ops->stat(control->file, &info);
    /* A shorter file must not be mapped: touching what lies behind its end is a SIGBUS. */
    if (rc >= 0 && info.bytes < NW_CONTROL_LEN)
        rc = NORI_E_NOTFOUND;
    if (rc >= 0)
        rc = map_words(control);
    if (rc >= 0 && are_words_ours(control->words, &info)) {
        *ret_control = control;
        return NORI_OK;
    }
    nw_control_unref(control);
    return rc == NORI_E_NOMEM ? nw_no_memory(error) : NORI_OK;
}

/* Make the file's page anew. On any failure the words will live in memory. */
static int create_file(struct nw_control *control, const struct nw_env *env, uint32_t file_mode,
                       struct nori_file_info *ret_info)
{
    uint8_t zero[NW_CONTROL_LEN] = {0};
    struct nori_span span = {zero, sizeof zero};
    int rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL,
                                         NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_MAPPED,
                                         file_mode, &control->file);

    if (rc < 0)
        return rc;
    rc = control->file->ops->allocate(control->file, 0, NW_CONTROL_LEN);
    /* Written once, too: a store into a page that was only allocated may need space on some file
     * systems. */
    if (rc >= 0)
        rc = control->file->ops->write(control->file, &span, 1, 0);
    if (rc >= 0)
        rc = control->file->ops->stat(control->file, ret_info);
    if (rc >= 0)
        rc = map_words(control);
    if (rc < 0) {
        control->file->ops->close(control->file);
        control->file = NULL;
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
                      bool must_keep_file, struct nw_control **ret_control,
                      struct nori_error *error)
{
    struct nw_control *control = new_control(env);
    struct nori_file_info info = {0};
    int rc = NORI_E_INVALID;

    if (!control)
        return nw_no_memory(error);
    control->is_writable = true;
    if (!must_keep_file)
        rc = create_file(control, env, file_mode, &info);
    if (rc < 0) {
        /* An older one would tell readers of an earlier life for as long as this one lasts. What
         * is no file (NORI_E_INVALID) tells them nothing, and is left alone. */
        if (NORI_VFS_CODE(rc) != NORI_E_INVALID)
            (void)env->folder->ops->remove(env->folder, NW_NAME_CONTROL);
        control->words = nw_alloc_zero(env->allocator, sizeof *control->words);
        if (!control->words) {
            nw_control_unref(control);
            return nw_no_memory(error);
        }
    }
    control->words->version = CONTROL_VERSION;
    nw_control_set_durable(control, 0, 0);
    control->words->len = NW_CONTROL_LEN;
    control->words->log_id = log_id;
    control->words->identity = info.identity;
    control->words->birth_ns = info.birth_ns;
    memcpy(control->words->magic, control_magic, sizeof control_magic); /* last: now they count */
    *ret_control = control;
    return NORI_OK;
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
    } while (atomic_load(&words->place_count) != count);
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
