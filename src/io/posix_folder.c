/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_folder.c: one folder, its names and its lock.
 *
 * What. A folder is an open descriptor; every name is looked up relative to it, so renaming the
 * folder changes nothing. The writer's lock is a flock on that descriptor. Beside it the holder
 * announces itself, when it is ready to be seen, by another kind of lock (posix_linux.c): others
 * can ask whether there is a writer without taking the lock for a moment and so refusing a real
 * one.
 *
 * Threads. Any, at once. The list of locked folders belongs to list_mutex, which is also held
 * across fork.
 *
 * Failure. A descriptor is shared with a forked child, and its locks with it: a child that lives on
 * would keep the log locked after its parent's death. So the child closes the locked descriptors at
 * once, and the parent unlocks in so many words when it closes.
 *
 * Not here. Whether a handle may be used in this process: its owner compares process_generation.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "io/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct posix_folder {
    struct nori_folder base;

    /* Guarded by list_mutex. */
    int fd; /* -1 in a forked child, if the folder was locked */
    bool is_locked;
    bool is_announced;
    struct posix_folder *next_locked;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct posix_folder *locked_folders;

static const struct nori_folder_ops folder_ops;

static struct posix_folder *from_base(struct nori_folder *folder)
{
    return (struct posix_folder *)folder; /* the base is its first member */
}

void nw_posix_folders_before_fork(void)
{
    (void)pthread_mutex_lock(&list_mutex);
}

void nw_posix_folders_after_fork(void)
{
    (void)pthread_mutex_unlock(&list_mutex);
}

void nw_posix_folders_in_child(void)
{
    for (struct posix_folder *folder = locked_folders; folder; folder = folder->next_locked) {
        (void)close(folder->fd); /* the parent has its own; the lock stays with that */
        folder->fd = -1;
        folder->is_locked = false;
        folder->is_announced = false;
    }
    locked_folders = NULL;
    (void)pthread_mutex_unlock(&list_mutex);
}

/* One name within a folder, not a path. */
static bool is_name(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int sync_descriptor(int fd)
{
    return fsync(fd) < 0 ? nw_posix_error(errno == EINTR ? EIO : errno) : 0;
}

/*
 * Make the folder's own name durable. Also when it was there before: whoever created it may have
 * died before this. If it was, a parent that we may not read (a service's folder below one of
 * root's) is no reason to fail.
 */
static int sync_parent(int fd, bool is_new)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (parent < 0)
        return !is_new && errno == EACCES ? 0 : nw_posix_error(errno);
    rc = sync_descriptor(parent);
    (void)close(parent);
    return rc;
}

/* Open, and if allowed create, the folder that path names below folder_fd; how adds to the flags of
 * open. */
static int open_descriptor(int folder_fd, const char *path, int how, const uint32_t *create_mode,
                           int *ret_fd)
{
    bool is_new = false;
    int rc = 0;
    int fd;

    how |= O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    if (create_mode) {
        is_new = mkdirat(folder_fd, path, (mode_t)*create_mode) == 0;
        if (!is_new && errno != EEXIST && errno != EROFS && errno != EACCES)
            return nw_posix_error(errno); /* read only or not ours: it may be there already */
    }
    do
        fd = openat(folder_fd, path, how);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return nw_posix_error(errno);
    if (create_mode)
        rc = sync_parent(fd, is_new);
    if (rc < 0) {
        (void)close(fd);
        if (is_new)
            (void)unlinkat(folder_fd, path, AT_REMOVEDIR);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int open_folder_at(int folder_fd, const char *path, int how, const uint32_t *create_mode,
                          struct nori_folder **ret_folder)
{
    struct posix_folder *folder = calloc(1, sizeof *folder);
    int rc;

    if (!folder)
        return NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    rc = open_descriptor(folder_fd, path, how, create_mode, &folder->fd);
    if (rc < 0) {
        free(folder);
        return rc;
    }
    folder->base.ops = &folder_ops;
    *ret_folder = &folder->base;
    return 0;
}

int nw_posix_folder_open(void *context, const char *path, uint32_t flags, uint32_t mode,
                         struct nori_folder **ret_folder)
{
    (void)context;
    /* The path is the user's own choice, so a symbolic link in it is followed. */
    return open_folder_at(AT_FDCWD, path, 0, flags & NORI_FOLDER_CREATE ? &mode : NULL, ret_folder);
}

static int folder_open_folder(struct nori_folder *base, const char *name, uint32_t flags,
                              uint32_t mode, struct nori_folder **ret_folder)
{
    if (!is_name(name) && strcmp(name, ".") != 0)
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    return open_folder_at(from_base(base)->fd, name, O_NOFOLLOW,
                          flags & NORI_FOLDER_CREATE ? &mode : NULL, ret_folder);
}

static int folder_open_file(struct nori_folder *base, const char *name, uint32_t flags,
                            uint32_t mode, struct nori_file **ret_file)
{
    if (!is_name(name))
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    return nw_posix_file_open(from_base(base)->fd, name, flags, mode, ret_file);
}

static int list_stream(DIR *stream, int (*entry)(void *context, const char *name), void *context)
{
    for (;;) {
        const struct dirent *found;
        int rc;

        errno = 0;
        found = readdir(stream);
        if (!found)
            return errno ? nw_posix_error(errno) : 0;
        if (!is_name(found->d_name))
            continue;
        rc = entry(context, found->d_name);
        if (rc != 0)
            return rc;
    }
}

static int folder_list(struct nori_folder *base, int (*entry)(void *context, const char *name),
                       void *context)
{
    /* A descriptor of its own, as it carries the place in the list; and the one we hold would be
     * closed with it. */
    int fd = openat(from_base(base)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream;
    int rc;

    if (fd < 0)
        return nw_posix_error(errno);
    stream = fdopendir(fd);
    if (!stream) {
        rc = nw_posix_error(errno);
        (void)close(fd);
        return rc;
    }
    rc = list_stream(stream, entry, context);
    (void)closedir(stream);
    return rc;
}

static int folder_rename(struct nori_folder *base, const char *source, const char *target)
{
    if (!is_name(source) || !is_name(target))
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    if (nw_posix_system_rename(from_base(base)->fd, source, from_base(base)->fd, target) < 0)
        return nw_posix_error(errno);
    return 0;
}

static int folder_move(struct nori_folder *base, const char *name, struct nori_folder *target_base,
                       const char *target)
{
    if (!is_name(name) || !is_name(target))
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    if (nw_posix_system_rename(from_base(base)->fd, name, from_base(target_base)->fd, target) < 0)
        return nw_posix_error(errno);
    return 0;
}

static int folder_remove(struct nori_folder *base, const char *name)
{
    if (!is_name(name))
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    return unlinkat(from_base(base)->fd, name, 0) < 0 ? nw_posix_error(errno) : 0;
}

static int folder_forget(struct nori_folder *base, const char *name, uint64_t offset)
{
    if (!is_name(name))
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    return nw_posix_file_forget(from_base(base)->fd, name, offset);
}

static int folder_sync(struct nori_folder *base)
{
    return sync_descriptor(from_base(base)->fd);
}

/* With list_mutex held: a fork in the middle would give the child a lock that nobody knows of. */
static int take_lock(struct posix_folder *folder)
{
    while (flock(folder->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return NORI_VFS_ERROR(NORI_E_LOCKED, errno);
        if (errno != EINTR)
            return nw_posix_error(errno);
    }
    folder->is_locked = true;
    folder->next_locked = locked_folders;
    locked_folders = folder;
    return 0;
}

static int folder_lock(struct nori_folder *base)
{
    struct posix_folder *folder = from_base(base);
    int rc = 0;

    (void)pthread_mutex_lock(&list_mutex);
    if (!folder->is_locked)
        rc = take_lock(folder);
    (void)pthread_mutex_unlock(&list_mutex);
    return rc;
}

static int folder_announce(struct nori_folder *base)
{
    struct posix_folder *folder = from_base(base);
    int rc = 0;

    (void)pthread_mutex_lock(&list_mutex);
    if (!folder->is_locked)
        rc = NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    else if (nw_posix_system_announce(folder->fd) < 0 && errno != ENOTSUP)
        rc = nw_posix_error(errno);
    folder->is_announced = rc == 0;
    (void)pthread_mutex_unlock(&list_mutex);
    return rc;
}

/* Where nothing can be announced: try a shared lock for a moment, on a descriptor of its own. */
static int is_locked_by_trying(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    if (fd < 0)
        return nw_posix_error(errno);
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? 1 : nw_posix_error(errno);
    (void)close(fd); /* releases it */
    return rc;
}

static int folder_is_announced(struct nori_folder *base)
{
    struct posix_folder *folder = from_base(base);
    bool is_announced_here;
    int rc;

    (void)pthread_mutex_lock(&list_mutex);
    is_announced_here = folder->is_announced;
    (void)pthread_mutex_unlock(&list_mutex);
    if (is_announced_here)
        return 1; /* nobody sees the locks of the own descriptor */
    rc = nw_posix_system_announced(folder->fd);
    if (rc >= 0)
        return rc;
    return errno == ENOTSUP ? is_locked_by_trying(folder->fd) : nw_posix_error(errno);
}

static void unlock(struct posix_folder *folder)
{
    struct posix_folder **link = &locked_folders;

    while (*link && *link != folder)
        link = &(*link)->next_locked;
    if (*link)
        *link = folder->next_locked;
    /* In so many words, as a child between fork and exec may still share the descriptor. */
    (void)nw_posix_system_conceal(folder->fd);
    (void)flock(folder->fd, LOCK_UN);
}

static void folder_close(struct nori_folder *base)
{
    struct posix_folder *folder = from_base(base);

    (void)pthread_mutex_lock(&list_mutex);
    if (folder->is_locked)
        unlock(folder);
    if (folder->fd >= 0)
        (void)close(folder->fd);
    (void)pthread_mutex_unlock(&list_mutex);
    free(folder);
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
    .forget = folder_forget,
};
