/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * env.c: failures of the seam in words, and the configuration turned into its newest, complete form
 * at the door, so that nothing inside looks at a caller's `size` again.
 */
#include "wal/env.h"

#include "wal/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int nw_io_error(struct nori_error *error, int rc, struct nori_position position, const char *format,
                ...)
{
    char text[200];
    va_list arguments;
    int code = NORI_VFS_CODE(rc);

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (NORI_VFS_ERRNO(rc) != 0)
        return nw_error_set(error, code, NORI_VFS_ERRNO(rc), position, "%s", text);
    return nw_error_set(error, code, 0, position, "%s: %s", text, nori_strerror(code));
}

int nw_env_ask_writer(const struct nw_env *env, struct nori_error *error)
{
    int rc = env->folder->ops->is_announced(env->folder);

    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "ask whether a writer has the log open")
                  : rc;
}

int nw_no_memory(struct nori_error *error)
{
    return nw_error_set(error, NORI_E_NOMEM, 0, NW_NOWHERE, "%s", nori_strerror(NORI_E_NOMEM));
}

int nw_env_read_start(const struct nw_env *env, const char *name, void *target, size_t *len,
                      uint64_t *ret_file_bytes, struct nori_error *error)
{
    struct nori_file *file = NULL;
    struct nori_file_info info = {0};
    size_t got = 0;
    int rc = env->folder->ops->open_file(env->folder, name, 0, 0, &file);

    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s", name);
    rc = file->ops->stat(file, &info);
    if (rc >= 0)
        rc = file->ops->read(file, target, *len, 0, &got);
    file->ops->close(file);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "read %s", name);
    *len = got;
    *ret_file_bytes = info.bytes;
    return NORI_OK;
}

bool nw_env_knows_all(const void *given, size_t size, size_t known)
{
    const size_t size_max = (size_t)1 << 16; /* more is no size, but what stood in memory */

    if (size > size_max)
        return false;
    return size <= known || nw_nonzero_len((const uint8_t *)given + known, size - known) == 0;
}

void nw_env_give(void *target, size_t size, const void *known, size_t known_len)
{
    if (size < sizeof size)
        return;
    memset((uint8_t *)target + sizeof size, 0, size - sizeof size);
    memcpy((uint8_t *)target + sizeof size, (const uint8_t *)known + sizeof size,
           (size < known_len ? size : known_len) - sizeof size);
}

struct nw_shared_folder *nw_shared_folder_new(const struct nori_allocator *allocator,
                                              struct nori_folder *folder)
{
    struct nw_shared_folder *shared = nw_alloc_zero(allocator, sizeof *shared);

    if (!shared)
        return NULL;
    shared->allocator = allocator;
    shared->folder = folder;
    atomic_store(&shared->ref_count, 1);
    return shared;
}

struct nw_shared_folder *nw_shared_folder_ref(struct nw_shared_folder *shared)
{
    atomic_fetch_add(&shared->ref_count, 1);
    return shared;
}

void nw_shared_folder_unref(struct nw_shared_folder *shared)
{
    if (!shared || atomic_fetch_sub(&shared->ref_count, 1) != 1)
        return;
    shared->folder->ops->close(shared->folder);
    nw_free(shared->allocator, shared);
}

static int refuse(struct nori_error *error, const char *what)
{
    return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE, "open: %s", what);
}

static int check_enums(const struct nori_wal_config *config, struct nori_error *error)
{
    if (config->fsync_policy > NORI_FSYNC_OS)
        return refuse(error, "fsync_policy is none of NORI_FSYNC_*");
    if (config->preallocate > NORI_PREALLOCATE_ZERO)
        return refuse(error, "preallocate is none of NORI_PREALLOCATE_*");
    if (config->recovery_mode > NORI_RECOVER_SALVAGE)
        return refuse(error, "recovery_mode is none of NORI_RECOVER_*");
    if (config->verify > NORI_VERIFY_TAIL)
        return refuse(error, "verify is none of NORI_VERIFY_*");
    if (config->flags & ~(NORI_OPEN_MUST_EXIST | NORI_OPEN_MUST_CREATE))
        return refuse(error, "unknown bits in flags");
    if ((config->flags & NORI_OPEN_MUST_EXIST) && (config->flags & NORI_OPEN_MUST_CREATE))
        return refuse(error, "MUST_EXIST and MUST_CREATE exclude each other");
    if (config->format > 2)
        return refuse(error, "format is none of 0, 1, 2");
    if (config->reserved != 0)
        return refuse(error, "reserved is not zero");
    if (config->file_mode & ~0777u)
        return refuse(error, "file_mode has bits beyond 0777");
    if ((config->file_mode & 0600u) != 0600u)
        return refuse(error, "file_mode does not let the owner read and write");
    return NORI_OK;
}

static int check_limits(const struct nori_wal_config *config, struct nori_error *error)
{
    if (config->max_segment_size < (uint64_t)1 << 20)
        return refuse(error, "max_segment_size is under 1 MiB");
    if (config->max_segment_size > (uint64_t)1 << 40)
        return refuse(error, "max_segment_size is over 1 TiB");
    if (config->batch_window_us > 1000000)
        return refuse(error, "batch_window_us is over 1 s");
    if (config->max_record_size > NW_RECORD_MAX)
        return refuse(error, "max_record_size is over 1 GiB");
    if (config->buffer_size < NW_RING_LEN_MIN || config->buffer_size > NW_RING_LEN_MAX)
        return refuse(error, "buffer_size is not within 4 KiB and 1 GiB");
    if (config->stall_threshold_ms > 3600000)
        return refuse(error, "stall_threshold_ms is over an hour");
    return NORI_OK;
}

int nw_config_normalise(const struct nori_wal_config *config, struct nori_wal_config *ret_config,
                        struct nori_error *error)
{
    struct nori_wal_config full = NORI_WAL_CONFIG_INIT;
    int rc;

    if (config) {
        if (config->size < offsetof(struct nori_wal_config, max_segment_size))
            return refuse(error, "config.size is not set: use NORI_WAL_CONFIG_INIT");
        if (!nw_env_knows_all(config, config->size, sizeof full))
            return refuse(error,
                          "config.size is beyond reason, or fields are set that this version "
                          "does not know");
        memcpy(&full, config, config->size < sizeof full ? config->size : sizeof full);
        full.size = sizeof full;
    }
    full.dir = full.dir ? full.dir : "wal";
    full.name = full.name ? full.name : full.dir;
    full.max_segment_size = full.max_segment_size ? full.max_segment_size : (uint64_t)128 << 20;
    full.batch_window_us = full.batch_window_us ? full.batch_window_us : 5000;
    full.format = full.format ? full.format : 2;
    full.file_mode = full.file_mode ? full.file_mode : 0600;
    full.max_record_size = full.max_record_size ? full.max_record_size : NW_RECORD_MAX_DEFAULT;
    full.buffer_size = full.buffer_size ? full.buffer_size : (size_t)4 << 20;
    full.stall_threshold_ms = full.stall_threshold_ms ? full.stall_threshold_ms : 1000;
    full.vfs = full.vfs ? full.vfs : nori_vfs_posix();
    full.allocator = full.allocator ? full.allocator : nori_allocator_malloc();

    rc = check_enums(&full, error);
    if (rc < 0)
        return rc;
    rc = check_limits(&full, error);
    if (rc < 0)
        return rc;
    while (full.buffer_size & (full.buffer_size - 1)) /* up to a power of two */
        full.buffer_size += full.buffer_size & -full.buffer_size;
    *ret_config = full;
    return NORI_OK;
}
