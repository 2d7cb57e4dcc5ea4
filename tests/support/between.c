/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * between.c: a seam on top of another one. Everything is handed on; files and folders are wrapped,
 * and of a file its name is known, also after it was renamed.
 */
#include "between.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LEN 64

struct file {
    struct nori_file base; /* first member */
    struct nori_file *under;
    struct file *next; /* of all that are open */
    char name[NAME_LEN];
};

struct folder {
    struct nori_folder base; /* first member */
    struct nori_folder *under;
};

static struct nori_vfs vfs;
static const struct nori_vfs *vfs_under;
static struct between hooks;
static struct file *open_files;

static void before_call(void)
{
    if (hooks.before_call)
        hooks.before_call(hooks.context);
}

/* ---- files ---- */

static struct file *file_of(struct nori_file *base)
{
    return (struct file *)base;
}

static int file_read(struct nori_file *base, void *target, size_t len, uint64_t offset,
                     size_t *ret_len)
{
    struct file *file = file_of(base);
    int rc;

    before_call();
    rc = file->under->ops->read(file->under, target, len, offset, ret_len);
    if (rc >= 0 && hooks.after_read)
        hooks.after_read(hooks.context, file->name, offset, target, *ret_len);
    return rc;
}

static int file_write(struct nori_file *base, const struct nori_span *spans, size_t count,
                      uint64_t offset)
{
    struct file *file = file_of(base);

    before_call();
    return file->under->ops->write(file->under, spans, count, offset);
}

static int file_sync(struct nori_file *base)
{
    struct file *file = file_of(base);

    before_call();
    if (hooks.before_sync)
        hooks.before_sync(hooks.context, file->name);
    return file->under->ops->sync(file->under);
}

static int file_allocate(struct nori_file *base, uint64_t offset, uint64_t len)
{
    before_call();
    return file_of(base)->under->ops->allocate(file_of(base)->under, offset, len);
}

static int file_truncate(struct nori_file *base, uint64_t bytes)
{
    before_call();
    return file_of(base)->under->ops->truncate(file_of(base)->under, bytes);
}

static int file_stat(struct nori_file *base, struct nori_file_info *ret_info)
{
    before_call();
    return file_of(base)->under->ops->stat(file_of(base)->under, ret_info);
}

static int file_lock(struct nori_file *base, uint32_t kind)
{
    before_call();
    return file_of(base)->under->ops->lock(file_of(base)->under, kind);
}

static int file_map(struct nori_file *base, size_t len, void **ret_data)
{
    before_call();
    if (!file_of(base)->under->ops->map)
        return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, 0);
    return file_of(base)->under->ops->map(file_of(base)->under, len, ret_data);
}

static void file_unmap(struct nori_file *base, void *data, size_t len)
{
    file_of(base)->under->ops->unmap(file_of(base)->under, data, len);
}

static void file_close(struct nori_file *base)
{
    struct file **at = &open_files;

    while (*at != file_of(base))
        at = &(*at)->next;
    *at = file_of(base)->next;
    file_of(base)->under->ops->close(file_of(base)->under);
    free(base);
}

static const struct nori_file_ops file_ops = {
    .size = sizeof(struct nori_file_ops),
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .allocate = file_allocate,
    .truncate = file_truncate,
    .stat = file_stat,
    .lock = file_lock,
    .map = file_map,
    .unmap = file_unmap,
    .close = file_close,
};

/* ---- folders ---- */

static struct nori_folder *under_of(struct nori_folder *base)
{
    return ((struct folder *)base)->under;
}

static int wrap_folder(int rc, struct nori_folder *under, struct nori_folder **ret_folder);

static int folder_open_file(struct nori_folder *base, const char *name, uint32_t flags,
                            uint32_t mode, struct nori_file **ret_file)
{
    struct nori_file *under = NULL;
    int rc;
    struct file *file;

    before_call();
    rc = under_of(base)->ops->open_file(under_of(base), name, flags, mode, &under);
    if (rc < 0)
        return rc;
    file = calloc(1, sizeof *file);
    if (!file)
        abort();
    *file = (struct file){.base = {&file_ops}, .under = under, .next = open_files};
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    open_files = file;
    *ret_file = &file->base;
    return rc;
}

static int folder_list(struct nori_folder *base, int (*entry)(void *context, const char *name),
                       void *context)
{
    before_call();
    return under_of(base)->ops->list(under_of(base), entry, context);
}

static int folder_rename(struct nori_folder *base, const char *source, const char *target)
{
    int rc;

    before_call();
    rc = under_of(base)->ops->rename(under_of(base), source, target);
    for (struct file *file = open_files; rc >= 0 && file; file = file->next)
        if (strcmp(file->name, source) == 0)
            (void)snprintf(file->name, sizeof file->name, "%s", target);
    return rc;
}

static int folder_remove(struct nori_folder *base, const char *name)
{
    before_call();
    return under_of(base)->ops->remove(under_of(base), name);
}

static int folder_sync(struct nori_folder *base)
{
    before_call();
    return under_of(base)->ops->sync(under_of(base));
}

static int folder_lock(struct nori_folder *base)
{
    before_call();
    return under_of(base)->ops->lock(under_of(base));
}

static int folder_announce(struct nori_folder *base)
{
    before_call();
    return under_of(base)->ops->announce(under_of(base));
}

static int folder_is_announced(struct nori_folder *base)
{
    before_call();
    return under_of(base)->ops->is_announced(under_of(base));
}

static int folder_open_folder(struct nori_folder *base, const char *name, uint32_t flags,
                              uint32_t mode, struct nori_folder **ret_folder)
{
    struct nori_folder *under = NULL;
    int rc;

    before_call();
    rc = under_of(base)->ops->open_folder(under_of(base), name, flags, mode, &under);
    return wrap_folder(rc, under, ret_folder);
}

static void folder_close(struct nori_folder *base)
{
    under_of(base)->ops->close(under_of(base));
    free(base);
}

static int folder_move(struct nori_folder *base, const char *name, struct nori_folder *target,
                       const char *target_name)
{
    before_call();
    return under_of(base)->ops->move(under_of(base), name, under_of(target), target_name);
}

static const struct nori_folder_ops folder_ops = {
    .size = sizeof(struct nori_folder_ops),
    .open_file = folder_open_file,
    .list = folder_list,
    .rename = folder_rename,
    .remove = folder_remove,
    .sync = folder_sync,
    .lock = folder_lock,
    .announce = folder_announce,
    .is_announced = folder_is_announced,
    .open_folder = folder_open_folder,
    .close = folder_close,
    .move = folder_move,
};

static int wrap_folder(int rc, struct nori_folder *under, struct nori_folder **ret_folder)
{
    struct folder *folder;

    if (rc < 0)
        return rc;
    folder = calloc(1, sizeof *folder);
    if (!folder)
        abort();
    *folder = (struct folder){{&folder_ops}, under};
    *ret_folder = &folder->base;
    return rc;
}

static int open_folder(void *context, const char *path, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder)
{
    struct nori_folder *under = NULL;
    int rc;

    before_call();
    rc = vfs_under->open_folder(context, path, flags, mode, &under);
    return wrap_folder(rc, under, ret_folder);
}

const struct nori_vfs *between_begin(const struct nori_vfs *under, const struct between *between)
{
    vfs_under = under;
    vfs = *under; /* its context, too: it gets its own calls */
    vfs.open_folder = open_folder;
    hooks = *between;
    return &vfs;
}
