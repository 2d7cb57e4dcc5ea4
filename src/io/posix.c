/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix.c: the operating system as a nori_vfs.
 *
 * What. The table of functions, the clock, randomness, and the one translation from errno to
 * nori/vfs.h's codes. Files, folders and threads have a source file each.
 *
 * Threads. Everything here may be called by any thread. The fork handlers are registered once, by
 * the first call of nori_vfs_posix().
 *
 * Failure. Random bytes come from the system or not at all: there is no weaker source to fall back
 * to.
 *
 * Not here. What only Linux offers: posix_linux.c, posix_futex_linux.c.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "io/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t generation = 1;

int nw_posix_error(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NORI_VFS_ERROR(NORI_E_NOSPACE, os_errno);
    case ENOENT:
        return NORI_VFS_ERROR(NORI_E_NOTFOUND, os_errno);
    case EROFS:
    case EACCES:
    case EPERM:
        return NORI_VFS_ERROR(NORI_E_READONLY, os_errno);
    case EEXIST:
    case ELOOP: /* a symbolic link where none may be */
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
        return NORI_VFS_ERROR(NORI_E_INVALID, os_errno);
    case ENOMEM:
        return NORI_VFS_ERROR(NORI_E_NOMEM, os_errno);
    case ENOSYS:
    case ENOTSUP:
#if ENOTSUP != EOPNOTSUPP
    case EOPNOTSUPP:
#endif
        return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, os_errno);
    default:
        return NORI_VFS_ERROR(NORI_E_IO, os_errno);
    }
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now); /* cannot fail for the clocks we ask */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t realtime_ms(void *context)
{
    (void)context;
    return clock_ns(CLOCK_REALTIME) / 1000000u;
}

/* For kernels, containers and seccomp filters that do not offer the system call. */
static int random_from_device(uint8_t *target, size_t len)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int rc = 0;

    if (fd < 0)
        return nw_posix_error(errno);
    while (len > 0) {
        ssize_t got = read(fd, target, len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            rc = nw_posix_error(got < 0 ? errno : EIO);
            break;
        }
        target += got;
        len -= (size_t)got;
    }
    (void)close(fd);
    return rc;
}

static int fill_random(void *context, void *target, size_t len)
{
    (void)context;
    if (nw_posix_system_random(target, len) == 0)
        return 0;
    return random_from_device(target, len);
}

static void after_fork_in_child(void)
{
    (void)atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
    nw_posix_folders_in_child();
}

static void register_fork_handlers(void)
{
    /* It fails only for want of memory, then a child that goes on without exec keeps its parent's
     * lock. */
    (void)pthread_atfork(nw_posix_folders_before_fork, nw_posix_folders_after_fork,
                         after_fork_in_child);
}

static uint64_t process_generation(void *context)
{
    (void)context;
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

static uint64_t process_id(void *context)
{
    (void)context;
    return (uint64_t)getpid();
}

static const struct nori_vfs posix_vfs = {
    .size = sizeof(struct nori_vfs),
    .open_folder = nw_posix_folder_open,
    .monotonic_ns = monotonic_ns,
    .realtime_ms = realtime_ms,
    .random = fill_random,
    .thread_start = nw_posix_thread_start,
    .thread_join = nw_posix_thread_join,
    .thread_id = nw_posix_thread_id,
    .mutex_new = nw_posix_mutex_new,
    .mutex_lock = nw_posix_mutex_lock,
    .mutex_unlock = nw_posix_mutex_unlock,
    .mutex_free = nw_posix_mutex_free,
    .cond_new = nw_posix_cond_new,
    .cond_wait = nw_posix_cond_wait,
    .cond_wake_one = nw_posix_cond_wake_one,
    .cond_wake_all = nw_posix_cond_wake_all,
    .cond_free = nw_posix_cond_free,
    .word_wait = nw_posix_word_wait,
    .word_wake = nw_posix_word_wake,
    .process_generation = process_generation,
    .process_id = process_id,
};

const struct nori_vfs *nori_vfs_posix(void)
{
    (void)pthread_once(&fork_once, register_fork_handlers);
    return &posix_vfs;
}
