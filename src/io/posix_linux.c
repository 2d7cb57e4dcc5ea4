/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_linux.c: what Linux offers beyond POSIX.
 *
 * What. One small function for each thing that differs between systems; posix_portable.c answers
 * the same questions with POSIX alone. They return 0 or more, or -1 and errno.
 *
 * Threads. Any.
 *
 * Failure. An old kernel or a strange file system that lacks a call is told by errno (ENOTSUP,
 * EOPNOTSUPP), and the caller does without.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "io/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Newer than the headers of some systems that we build on. */
#ifndef XFS_SUPER_MAGIC
#    define XFS_SUPER_MAGIC 0x58465342
#endif

int nw_posix_system_allocate(int fd, uint64_t offset, uint64_t len)
{
    int rc;

    do
        rc = fallocate(fd, 0, (off_t)offset, (off_t)len);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno == ENOSYS)
        errno = EOPNOTSUPP;
    return rc;
}

int nw_posix_system_sync(int fd)
{
    return fdatasync(fd);
}

static bool is_on_btrfs(int fd)
{
    struct statfs system;

    return fstatfs(fd, &system) == 0 && (unsigned long)system.f_type == BTRFS_SUPER_MAGIC;
}

/* btrfs (seen with Linux 6.18) writes to reserved space, and only the sync that waits for it notes
 * that the space has content now. If that sync fails for another reason, and a later write to the
 * same place fails, it forgets that this is still to be noted: the place can be read and written
 * again, that is synced, and after a power cut it is empty. A commit notes everything. */
int nw_posix_system_sync_again(int fd)
{
    uint64_t transaction = 0;

    if (fdatasync(fd) < 0)
        return -1;
    if (!is_on_btrfs(fd))
        return 0;
    if (ioctl(fd, BTRFS_IOC_START_SYNC, &transaction) == 0 &&
        ioctl(fd, BTRFS_IOC_WAIT_SYNC, &transaction) == 0)
        return 0;
    return syncfs(fd); /* where that is not allowed, and if it fails */
}

int nw_posix_system_rename(int source_fd, const char *source, int target_fd, const char *target)
{
    struct stat found;

    if (renameat2(source_fd, source, target_fd, target, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != ENOSYS && errno != EINVAL)
        return -1;
    /* A kernel or file system without it: look first. Only the holder of the folder's lock renames.
     * */
    if (fstatat(target_fd, target, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(source_fd, source, target_fd, target) : -1;
}

uint64_t nw_posix_system_birth_ns(int fd)
{
    struct statx found;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &found) < 0 || !(found.stx_mask & STATX_BTIME) ||
        found.stx_btime.tv_sec < 0)
        return 0;
    return (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
}

int nw_posix_system_random(void *target, size_t len)
{
    uint8_t *at = target;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        at += got;
        len -= (size_t)got;
    }
    return 0;
}

/* Locks of the open file description: they leave with it, and F_OFD_GETLK asks for them without
 * taking any. */
static int ofd_lock(int fd, int command, short kind, short *ret_kind)
{
    struct flock lock;

    memset(&lock, 0, sizeof lock); /* l_pid must be 0; from the beginning, for ever */
    lock.l_type = kind;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd, command, &lock) < 0) {
        if (errno == EINVAL) /* before Linux 3.15 */
            errno = ENOTSUP;
        return -1;
    }
    *ret_kind = lock.l_type;
    return 0;
}

int nw_posix_system_announce(int fd)
{
    short kind;

    return ofd_lock(fd, F_OFD_SETLK, F_RDLCK, &kind);
}

int nw_posix_system_conceal(int fd)
{
    short kind;

    return ofd_lock(fd, F_OFD_SETLK, F_UNLCK, &kind);
}

int nw_posix_system_announced(int fd)
{
    short kind;

    /* Could I have it for writing? Only asked: a folder cannot be opened for writing, nor locked
     * so. */
    if (ofd_lock(fd, F_OFD_GETLK, F_WRLCK, &kind) < 0)
        return -1;
    return kind == F_UNLCK ? 0 : 1;
}

void nw_posix_system_make_in_place(int fd)
{
    int flags = 0;

    /* Only while it is empty. Where it cannot be done, nw_posix_system_is_in_place will say so. */
    if (!is_on_btrfs(fd))
        return;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return;
    flags |= FS_NOCOW_FL;
    (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* True if part of the file is also part of another (reflink, snapshot): the first store there needs
 * new space. */
static bool has_shared_extents(int fd)
{
    enum {
        AT_ONCE = 32
    };
    union {
        struct fiemap map;
        uint8_t room[sizeof(struct fiemap) + AT_ONCE * sizeof(struct fiemap_extent)];
    } answer;
    uint64_t from = 0;

    for (;;) {
        const struct fiemap_extent *extent = NULL;

        memset(&answer, 0, sizeof answer);
        answer.map.fm_start = from;
        answer.map.fm_length = UINT64_MAX - from;
        answer.map.fm_extent_count = AT_ONCE;
        if (ioctl(fd, FS_IOC_FIEMAP, &answer.map) < 0)
            return true; /* nobody knows */
        for (uint32_t i = 0; i < answer.map.fm_mapped_extents; i++) {
            extent = &answer.map.fm_extents[i];
            if (extent->fe_flags & FIEMAP_EXTENT_SHARED)
                return true;
        }
        if (!extent || (extent->fe_flags & FIEMAP_EXTENT_LAST))
            return false;
        from = extent->fe_logical + extent->fe_length;
    }
}

bool nw_posix_system_is_in_place(int fd)
{
    struct statfs system;
    int flags = 0;

    if (fstatfs(fd, &system) < 0)
        return false;
    switch ((unsigned long)system.f_type) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3 have the same number */
    case TMPFS_MAGIC:
    case F2FS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: /* what is open for writing lies in the upper layer: one of these */
        return true;
    case XFS_SUPER_MAGIC:
        return !has_shared_extents(fd);
    case BTRFS_SUPER_MAGIC:
        return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL) &&
               !has_shared_extents(fd);
    default:
        return false;
    }
}

int nw_posix_system_keep_from_child(void *data, size_t len)
{
    return madvise(data, len, MADV_DONTFORK);
}

void nw_posix_system_name_thread(const char *name)
{
    char fitting[16]; /* the kernel's limit, with the end */

    (void)snprintf(fitting, sizeof fitting, "%s", name);
    (void)pthread_setname_np(pthread_self(), fitting);
}
