/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_file.c: one regular file.
 *
 * What. Each operation is one system call, in a loop where the kernel may do less than was asked. A
 * file is opened without following a symbolic link and without waiting for a pipe or device, and
 * then must turn out to be regular.
 *
 * Threads. Any, at once: the kernel orders them. The few fields that change are atomic.
 *
 * Failure. A failed sync is never tried again: the kernel may have marked the pages clean, and the
 * second answer would be a lie (D8). A failed allocate puts the size back, for ext4 leaves the part
 * that it got. The process's file size limit is asked before we write, for going over it raises
 * SIGXFSZ, which ends the process.
 *
 * Not here. Calls that differ between systems: posix_linux.c, posix_portable.c.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "io/posix.h"

#include "base/bytes.h"
#include "base/plant.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE_COUNT_MAX 16         /* pieces that one system call writes */
#define PIECE_LEN_MAX   (1u << 26) /* bytes; sixteen of them fit a signed 32-bit length */

/* What the kernel keeps in memory as one, at most: of part of it nothing is dropped. */
#define FOLIO_LEN_MAX ((uint64_t)4 << 20)

struct posix_file {
    struct nori_file base;

    /* Set at open, then constant. */
    int fd; /* -1: detached */
    bool is_writable;
    uint64_t generation; /* of the process that opened it */

    /* Atomic. */
    _Atomic uint64_t bytes_max; /* the file size limit of the process as last seen */
    _Atomic bool has_locked;    /* a lock was taken at some time */
};

static struct posix_file *from_base(struct nori_file *file)
{
    return (struct posix_file *)file; /* the base is its first member */
}

static uint64_t current_generation(void)
{
    const struct nori_vfs *vfs = nori_vfs_posix();

    return vfs->process_generation(vfs->context);
}

/* Ask for the limit on file sizes and remember it, as asking before every write would double its
 * cost. */
static uint64_t refresh_bytes_max(struct posix_file *file)
{
    uint64_t bytes_max = INT64_MAX;
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        bytes_max = nw_min_u64(bytes_max, limit.rlim_cur);
    atomic_store_explicit(&file->bytes_max, bytes_max, memory_order_relaxed);
    return bytes_max;
}

static int file_read(struct nori_file *base, void *target, size_t len, uint64_t offset,
                     size_t *ret_len)
{
    struct posix_file *file = from_base(base);
    size_t done = 0;

    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    while (done < len) {
        ssize_t got = pread(file->fd, (uint8_t *)target + done,
                            (size_t)nw_min_u64(len - done, PIECE_LEN_MAX), (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return nw_posix_error(errno);
        if (got == 0)
            break; /* the end of the file */
        done += (size_t)got;
    }
    *ret_len = done;
    return 0;
}

/* A place in a list of spans. */
struct span_cursor {
    const struct nori_span *spans;
    size_t count;
    size_t index;
    size_t skip; /* bytes of spans[index] that are done */
};

/* Move over len bytes, and over the empty spans behind them. */
static void advance(struct span_cursor *cursor, size_t len)
{
    while (cursor->index < cursor->count) {
        size_t left = cursor->spans[cursor->index].len - cursor->skip;

        if (len < left) {
            cursor->skip += len;
            return;
        }
        len -= left;
        cursor->index++;
        cursor->skip = 0;
    }
}

/* The next pieces as the kernel wants them; returns how many. */
static int gather(const struct span_cursor *cursor, struct iovec *pieces)
{
    size_t skip = cursor->skip;
    int count = 0;

    for (size_t i = cursor->index; i < cursor->count && count < PIECE_COUNT_MAX; i++) {
        const struct nori_span *span = &cursor->spans[i];
        size_t left = span->len - skip;
        union {
            const void *given;
            void *wanted;
        } data = {.given = (const uint8_t *)span->data + skip}; /* writev only reads */

        skip = 0;
        if (left == 0)
            continue;
        pieces[count].iov_base = data.wanted;
        pieces[count].iov_len = (size_t)nw_min_u64(left, PIECE_LEN_MAX);
        count++;
        if (left > PIECE_LEN_MAX)
            break; /* the rest of this span comes first, next time */
    }
    return count;
}

/* The place behind the spans, or UINT64_MAX if no number holds it. */
static uint64_t end_of(const struct nori_span *spans, size_t count, uint64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (nw_add_overflow(offset, spans[i].len, &offset))
            return UINT64_MAX;
    return offset;
}

static int file_write(struct nori_file *base, const struct nori_span *spans, size_t count,
                      uint64_t offset)
{
    struct posix_file *file = from_base(base);
    struct span_cursor cursor = {.spans = spans, .count = count};
    uint64_t bytes_max = atomic_load_explicit(&file->bytes_max, memory_order_relaxed);

    if (end_of(spans, count, offset) > bytes_max)
        return NORI_VFS_ERROR(NORI_E_NOSPACE, EFBIG);
    advance(&cursor, 0); /* to the first span that is not empty */
    while (cursor.index < cursor.count) {
        struct iovec pieces[PIECE_COUNT_MAX];
        int piece_count = gather(&cursor, pieces);
        ssize_t done;

        if (piece_count == 1) /* nearly always, and a tenth faster for small records */
            done = pwrite(file->fd, pieces[0].iov_base, pieces[0].iov_len, (off_t)offset);
        else
            done = pwritev(file->fd, pieces, piece_count, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return nw_posix_error(errno);
        if (done == 0)
            return nw_posix_error(EIO); /* never seen; better than writing nothing for ever */
        if (NW_PLANT("short-write-is-whole"))
            break;
        advance(&cursor, (size_t)done);
        offset += (uint64_t)done;
    }
    return 0;
}

static int file_sync(struct nori_file *base)
{
    /* Whatever this answers is final, EINTR (which is NORI_E_IO) too: nobody knows what was written
     * back before the signal, and the error that a second call would report may be used up. */
    return nw_posix_system_sync(from_base(base)->fd) < 0 ? nw_posix_error(errno) : 0;
}

int nw_posix_write_zeros(int fd, uint64_t offset, uint64_t len)
{
    struct iovec pieces[PIECE_COUNT_MAX];

    while (len > 0) {
        struct nori_span spans[PIECE_COUNT_MAX];
        struct span_cursor cursor = {.spans = spans, .count = PIECE_COUNT_MAX};
        uint64_t left = len;
        ssize_t done;

        for (size_t i = 0; i < PIECE_COUNT_MAX; i++) {
            spans[i].data = nw_zeros;
            spans[i].len = (size_t)nw_min_u64(left, NW_ZEROS_LEN);
            left -= spans[i].len;
        }
        done = pwritev(fd, pieces, gather(&cursor, pieces), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        if (done == 0) {
            errno = EIO;
            return -1;
        }
        offset += (uint64_t)done;
        len -= (uint64_t)done;
    }
    return 0;
}

/* Where the file system cannot reserve: write zeros, but only behind what is there, for others may
 * be writing that; and not at all if there is no room for them, rather than fill the disk first. */
static int allocate_by_writing(int fd, uint64_t bytes, uint64_t offset, uint64_t end)
{
    uint64_t from = nw_max_u64(bytes, offset);
    struct statvfs system;

    if (from >= end)
        return 0;
    if (fstatvfs(fd, &system) == 0 && (end - from) / system.f_frsize >= system.f_bavail) {
        errno = ENOSPC;
        return -1;
    }
    return nw_posix_write_zeros(fd, from, end - from);
}

static int file_allocate(struct nori_file *base, uint64_t offset, uint64_t len)
{
    struct posix_file *file = from_base(base);
    struct stat before, after;
    uint64_t end;
    int failure;

    if (nw_add_overflow(offset, len, &end) || end > refresh_bytes_max(file))
        return NORI_VFS_ERROR(NORI_E_NOSPACE, EFBIG);
    if (len == 0)
        return 0;
    if (fstat(file->fd, &before) < 0)
        return nw_posix_error(errno);
    if (nw_posix_system_allocate(file->fd, offset, len) == 0)
        return 0;
    if (errno == EOPNOTSUPP &&
        allocate_by_writing(file->fd, (uint64_t)before.st_size, offset, end) == 0)
        return 0;

    failure = errno;
    if (fstat(file->fd, &after) == 0 && after.st_size > before.st_size)
        (void)!ftruncate(file->fd, before.st_size); /* the first failure is the one that counts */
    return nw_posix_error(failure);
}

static int file_truncate(struct nori_file *base, uint64_t bytes)
{
    struct posix_file *file = from_base(base);
    struct stat before;

    if (bytes > INT64_MAX)
        return NORI_VFS_ERROR(NORI_E_NOSPACE, EFBIG);
    if (bytes > refresh_bytes_max(file)) { /* shrinking is always allowed */
        if (fstat(file->fd, &before) < 0)
            return nw_posix_error(errno);
        if (bytes > (uint64_t)before.st_size)
            return NORI_VFS_ERROR(NORI_E_NOSPACE, EFBIG);
    }
    while (ftruncate(file->fd, (off_t)bytes) < 0)
        if (errno != EINTR)
            return nw_posix_error(errno);
    return 0;
}

static int file_stat(struct nori_file *base, struct nori_file_info *ret_info)
{
    struct posix_file *file = from_base(base);
    struct stat found;

    if (fstat(file->fd, &found) < 0)
        return nw_posix_error(errno);
    ret_info->bytes = (uint64_t)found.st_size;
    ret_info->identity = found.st_ino;
    ret_info->birth_ns = nw_posix_system_birth_ns(file->fd);
    ret_info->link_count = found.st_nlink;
    ret_info->device = (uint64_t)found.st_dev;
    return 0;
}

static int file_lock(struct nori_file *base, uint32_t kind)
{
    struct posix_file *file = from_base(base);
    int operation = LOCK_UN;

    if (kind > NORI_LOCK_EXCLUSIVE)
        return NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    if (kind != NORI_LOCK_NONE) {
        operation = (kind == NORI_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB;
        atomic_store_explicit(&file->has_locked, true, memory_order_relaxed);
    }
    while (flock(file->fd, operation) < 0) {
        if (errno == EWOULDBLOCK)
            return NORI_VFS_ERROR(NORI_E_LOCKED, errno);
        if (errno != EINTR)
            return nw_posix_error(errno);
    }
    return 0;
}

static int file_map(struct nori_file *base, size_t len, void **ret_data)
{
    struct posix_file *file = from_base(base);
    int failure;
    void *data;

    if (file->is_writable && !nw_posix_system_is_in_place(file->fd))
        return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, ENOTSUP);
    data =
        mmap(NULL, len, PROT_READ | (file->is_writable ? PROT_WRITE : 0), MAP_SHARED, file->fd, 0);
    if (data == MAP_FAILED)
        return errno == ENODEV ? NORI_VFS_ERROR(NORI_E_UNSUPPORTED, errno) : nw_posix_error(errno);
    if (nw_posix_system_keep_from_child(data, len) < 0) {
        failure = errno;
        (void)munmap(data, len);
        return nw_posix_error(failure);
    }
    *ret_data = data;
    return 0;
}

static void file_unmap(struct nori_file *base, void *data, size_t len)
{
    (void)base;
    (void)munmap(data, len);
}

static void close_descriptor(const struct posix_file *file)
{
    if (file->fd < 0)
        return;
    /* A forked child may share the descriptor, and with it the lock: closing alone would not end
     * it. A child, in turn, must not end its parent's. */
    if (atomic_load_explicit(&file->has_locked, memory_order_relaxed) &&
        file->generation == current_generation())
        (void)flock(file->fd, LOCK_UN);
    (void)close(file->fd); /* whoever needs the bytes on the medium has synced before */
}

static void file_close(struct nori_file *base)
{
    struct posix_file *file = from_base(base);

    close_descriptor(file);
    free(file);
}

static void file_detach(struct nori_file *base)
{
    struct posix_file *file = from_base(base);

    close_descriptor(file);
    file->fd = -1;
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
    .detach = file_detach,
};

/* Open without following, without waiting and without gaining a terminal. */
static int open_descriptor(int folder_fd, const char *name, uint32_t flags, uint32_t mode,
                           int *ret_fd)
{
    /* O_NONBLOCK is for the pipe that somebody put there; on a regular file it means nothing. */
    int how = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd;

    how |=
        flags & NORI_FILE_WRITE ? O_RDWR : O_RDONLY; /* a shared mapping for writing needs both */
    how |= flags & NORI_FILE_CREATE ? O_CREAT : 0;
    how |= flags & NORI_FILE_EXCLUSIVE ? O_EXCL : 0;
    do
        fd = openat(folder_fd, name, how, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && (errno == ENXIO || errno == ENODEV)) /* a socket, or a device without a driver */
        return NORI_VFS_ERROR(NORI_E_INVALID, errno);
    if (fd < 0)
        return nw_posix_error(errno);
    *ret_fd = fd;
    return 0;
}

int nw_posix_file_open(int folder_fd, const char *name, uint32_t flags, uint32_t mode,
                       struct nori_file **ret_file)
{
    struct posix_file *file = NULL;
    struct stat found;
    int fd = -1;
    int rc;

    rc = open_descriptor(folder_fd, name, flags, mode, &fd);
    if (rc < 0)
        return rc;
    if (fstat(fd, &found) < 0) { /* whatever it is: not to be taken for no file of ours */
        rc = nw_posix_error(errno);
        goto out;
    }
    rc = NORI_VFS_ERROR(NORI_E_INVALID, EINVAL);
    if (!S_ISREG(found.st_mode))
        goto out;
    rc = NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    file = calloc(1, sizeof *file);
    if (!file)
        goto out;
    if ((flags & NORI_FILE_MAPPED) && (flags & NORI_FILE_CREATE) && found.st_size == 0)
        nw_posix_system_make_in_place(fd);

    file->base.ops = &file_ops;
    file->fd = fd;
    file->is_writable = flags & NORI_FILE_WRITE;
    file->generation = current_generation();
    (void)refresh_bytes_max(file);
    *ret_file = &file->base;
    return 0;
out:
    (void)close(fd);
    return rc;
}

int nw_posix_file_forget(int folder_fd, const char *name, uint64_t offset)
{
    int fd = -1;
    int rc = open_descriptor(folder_fd, name, NORI_FILE_WRITE, 0, &fd);

    if (rc < 0)
        return rc;
    if (nw_posix_system_sync_again(fd) < 0)
        rc = nw_posix_error(errno);
    else if (!NW_PLANT("believe-page-cache"))
        (void)posix_fadvise(fd, (off_t)(offset / FOLIO_LEN_MAX * FOLIO_LEN_MAX), 0,
                            POSIX_FADV_DONTNEED); /* to the end, and only advice */
    (void)close(fd);
    return rc;
}
