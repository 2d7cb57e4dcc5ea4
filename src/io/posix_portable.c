/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_portable.c: posix_linux.c for any other POSIX system: slower, and without shared mappings,
 * same promises.
 *
 * What. Answers ENOTSUP or EOPNOTSUPP to what POSIX does not offer, so that the callers take their
 * other way.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "io/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int nw_posix_system_allocate(int fd, uint64_t offset, uint64_t len)
{
    (void)fd, (void)offset, (void)len;
    errno = EOPNOTSUPP;
    return -1;
}

/* Some systems' fsync stops at the drive's own cache, and have another call that does not. */
#ifdef F_FULLFSYNC
int nw_posix_system_sync(int fd)
{
    return fcntl(fd, F_FULLFSYNC) < 0 ? -1 : 0;
}
#else
int nw_posix_system_sync(int fd)
{
    return fsync(fd);
}
#endif

int nw_posix_system_sync_again(int fd)
{
    return nw_posix_system_sync(fd);
}

int nw_posix_system_rename(int source_fd, const char *source, int target_fd, const char *target)
{
    struct stat found;

    if (fstatat(target_fd, target, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(source_fd, source, target_fd, target) : -1;
}

uint64_t nw_posix_system_birth_ns(int fd)
{
    (void)fd;
    return 0;
}

int nw_posix_system_random(void *target, size_t len)
{
    (void)target, (void)len;
    errno = ENOTSUP;
    return -1;
}

int nw_posix_system_announce(int fd)
{
    (void)fd;
    errno = ENOTSUP;
    return -1;
}

int nw_posix_system_conceal(int fd)
{
    (void)fd;
    return 0;
}

int nw_posix_system_announced(int fd)
{
    (void)fd;
    errno = ENOTSUP;
    return -1;
}

void nw_posix_system_make_in_place(int fd)
{
    (void)fd;
}

bool nw_posix_system_is_in_place(int fd)
{
    (void)fd;
    return false;
}

int nw_posix_system_keep_from_child(void *data, size_t len)
{
    (void)data, (void)len;
    errno = ENOTSUP;
    return -1;
}

void nw_posix_system_name_thread(const char *name)
{
    (void)name;
}
