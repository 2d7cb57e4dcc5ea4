/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_short_io.c: a kernel that does less than it was asked, or is interrupted.
 *
 * The system calls below the POSIX seam are wrapped by the linker (-Wl,--wrap). As a seed says,
 * they are interrupted by a signal, do a part, or come to the end of the file. What is read and
 * written must be right byte for byte all the same; and a sync that failed is never tried again
 * (D8).
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <nori/vfs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_LEN ((size_t)200000)
#define ROUNDS   300

/* ---- the kernel ---- */

static struct {
    bool is_on;
    uint64_t noise;
    uint32_t interrupted, shortened, syncs;
    int fail_sync; /* errno */
    int fail_stat; /* likewise */
    bool writes_nothing;
} kernel;

static uint64_t draw(uint64_t limit)
{
    kernel.noise = kernel.noise * 6364136223846793005u + 1442695040888963407u;
    return (kernel.noise >> 33) % limit;
}

/* -1 and EINTR, one time in three. */
static bool is_interrupted(void)
{
    if (!kernel.is_on || draw(3) != 0)
        return false;
    kernel.interrupted++;
    errno = EINTR;
    return true;
}

/* As much as it does of what was asked: at least a byte. */
static size_t part_of(size_t len)
{
    if (!kernel.is_on || len < 2 || draw(2) == 0)
        return len;
    kernel.shortened++;
    return 1 + draw(draw(2) ? len : len < 16 ? len : 16);
}

/* With 64-bit offsets glibc calls them by other names. */
ssize_t __real_pread64(int fd, void *target, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *target, size_t len, off_t offset);
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fstat64(int fd, struct stat *found);
int __wrap_fstat64(int fd, struct stat *found);

ssize_t __wrap_pread64(int fd, void *target, size_t len, off_t offset)
{
    return is_interrupted() ? -1 : __real_pread64(fd, target, part_of(len), offset);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    if (kernel.writes_nothing)
        return 0;
    return is_interrupted() ? -1 : __real_pwrite64(fd, data, part_of(len), offset);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    size_t len = 0, done = 0;

    if (kernel.writes_nothing)
        return 0;
    if (is_interrupted())
        return -1;
    for (int i = 0; i < count; i++)
        len += pieces[i].iov_len;
    len = part_of(len);
    for (int i = 0; i < count && done < len; i++) {
        size_t want = pieces[i].iov_len < len - done ? pieces[i].iov_len : len - done;

        assert_int_equal(__real_pwrite64(fd, pieces[i].iov_base, want, offset + (off_t)done), want);
        done += want;
    }
    return (ssize_t)done;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return is_interrupted() ? -1 : __real_fallocate64(fd, mode, offset, len);
}

int __wrap_ftruncate64(int fd, off_t len)
{
    return is_interrupted() ? -1 : __real_ftruncate64(fd, len);
}

/* Once: what is asked again would be told that all is well. */
static int fail_sync_once(void)
{
    kernel.syncs++;
    if (kernel.fail_sync == 0)
        return 0;
    errno = kernel.fail_sync;
    kernel.fail_sync = 0;
    return -1;
}

int __wrap_fdatasync(int fd)
{
    return fail_sync_once() < 0 ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return fail_sync_once() < 0 ? -1 : __real_fsync(fd);
}

int __wrap_fstat64(int fd, struct stat *found)
{
    if (kernel.fail_stat == 0)
        return __real_fstat64(fd, found);
    errno = kernel.fail_stat;
    return -1;
}

/* ---- a file ---- */

struct place {
    char path[256];
    struct nori_folder *folder;
    struct nori_file *file;
};

static int setup(void **state)
{
    static struct place place;
    const struct nori_vfs *vfs = nori_vfs_posix();
    const char *base = getenv("TMPDIR");

    memset(&kernel, 0, sizeof kernel);
    (void)snprintf(place.path, sizeof place.path, "%s/nori-short-XXXXXX",
                   base && base[0] ? base : "/tmp");
    if (!mkdtemp(place.path) || vfs->open_folder(NULL, place.path, 0, 0, &place.folder) < 0 ||
        place.folder->ops->open_file(place.folder, "file", NORI_FILE_WRITE | NORI_FILE_CREATE, 0600,
                                     &place.file) < 0)
        return -1;
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    memset(&kernel, 0, sizeof kernel);
    place->file->ops->close(place->file);
    (void)place->folder->ops->remove(place->folder, "file");
    place->folder->ops->close(place->folder);
    return rmdir(place->path);
}

static uint8_t mirror[FILE_LEN], found[FILE_LEN + 1], source[FILE_LEN];

/* Some spans, some of them empty, to a place within the file. */
static void write_somewhere(struct nori_file *file)
{
    struct nori_span spans[40];
    size_t count = 1 + draw(40), len = 0;
    size_t offset = draw(FILE_LEN / 2);

    for (size_t i = 0; i < count; i++) {
        spans[i].len = draw(4) == 0 ? 0 : draw(i % 7 == 6 ? 9000 : 300);
        spans[i].data = source + len;
        for (size_t j = 0; j < spans[i].len; j++)
            source[len + j] = (uint8_t)draw(256);
        len += spans[i].len;
    }
    kernel.is_on = true;
    assert_int_equal(file->ops->write(file, spans, count, offset), 0);
    kernel.is_on = false;
    memcpy(mirror + offset, source, len);
}

static void what_is_written_in_parts_is_whole(void **state)
{
    struct place *place = *state;
    size_t got = 0;

    kernel.noise = 1;
    memset(mirror, 0, sizeof mirror);
    assert_int_equal(place->file->ops->truncate(place->file, FILE_LEN), 0);
    for (int i = 0; i < ROUNDS; i++)
        write_somewhere(place->file);
    assert_int_equal(place->file->ops->read(place->file, found, FILE_LEN, 0, &got), 0);
    assert_int_equal(got, FILE_LEN);
    assert_memory_equal(found, mirror, FILE_LEN);
    assert_true(kernel.interrupted > ROUNDS && kernel.shortened > ROUNDS);
}

/* And it ends where the file does, not where the kernel stopped. */
static void what_is_read_in_parts_is_whole(void **state)
{
    struct place *place = *state;
    struct nori_span span = {mirror, FILE_LEN};

    kernel.noise = 2;
    for (size_t i = 0; i < FILE_LEN; i++)
        mirror[i] = (uint8_t)draw(256);
    assert_int_equal(place->file->ops->write(place->file, &span, 1, 0), 0);
    for (int i = 0; i < ROUNDS; i++) {
        size_t offset = draw(FILE_LEN + 100), len = draw(FILE_LEN), got = 0;
        size_t there = offset > FILE_LEN ? 0 : FILE_LEN - offset;

        kernel.is_on = true;
        assert_int_equal(place->file->ops->read(place->file, found, len, offset, &got), 0);
        kernel.is_on = false;
        assert_int_equal(got, len < there ? len : there);
        assert_memory_equal(found, mirror + (got ? offset : 0), got);
    }
    assert_true(kernel.interrupted > ROUNDS && kernel.shortened > ROUNDS);
}

static void taking_space_goes_on_after_a_signal(void **state)
{
    struct place *place = *state;
    struct nori_file_info info;

    kernel.noise = 3;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        kernel.is_on = true;
        assert_int_equal(place->file->ops->allocate(place->file, 0, i * 4096), 0);
        assert_int_equal(place->file->ops->truncate(place->file, i * 4096 + 7), 0);
        kernel.is_on = false;
        assert_int_equal(place->file->ops->stat(place->file, &info), 0);
        assert_int_equal(info.bytes, i * 4096 + 7);
    }
    assert_true(kernel.interrupted > ROUNDS / 4);
}

/* A kernel that writes nothing, and says so without an error, would be asked for ever. */
static void writing_nothing_is_an_error(void **state)
{
    struct place *place = *state;
    struct nori_span spans[2] = {{"one", 3}, {"two", 3}};

    kernel.writes_nothing = true;
    assert_int_equal(NORI_VFS_CODE(place->file->ops->write(place->file, spans, 1, 0)), NORI_E_IO);
    assert_int_equal(NORI_VFS_CODE(place->file->ops->write(place->file, spans, 2, 0)), NORI_E_IO);
}

/* D8: the second answer would be 0, and what the first one was about would be lost. EINTR, too:
 * nobody knows what was written back before the signal. */
static void a_sync_that_failed_is_never_tried_again(void **state)
{
    static const int errnos[] = {EIO, EINTR, ENOSPC, EDQUOT};
    struct place *place = *state;
    int rc;

    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        int code = errnos[i] == ENOSPC || errnos[i] == EDQUOT ? NORI_E_NOSPACE : NORI_E_IO;

        kernel.syncs = 0;
        kernel.fail_sync = errnos[i];
        rc = place->file->ops->sync(place->file);
        assert_int_equal(NORI_VFS_CODE(rc), code);
        assert_int_equal(kernel.syncs, 1);
        kernel.fail_sync = errnos[i];
        rc = place->folder->ops->sync(place->folder);
        assert_int_equal(NORI_VFS_CODE(rc), code);
        assert_int_equal(kernel.syncs, 2);
    }
}

/* `control` that is no regular file is left alone: one that cannot be asked about must not be taken
 * for that, for its ring may have what no segment has (D2). */
static void a_file_that_cannot_be_asked_about_is_not_called_something_else(void **state)
{
    const int errnos[] = {EIO, ENOMEM, EOVERFLOW};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        struct nori_file *file = NULL;
        int rc;

        kernel.fail_stat = errnos[i];
        rc = place->folder->ops->open_file(place->folder, "file", NORI_FILE_WRITE, 0, &file);
        assert_int_equal(NORI_VFS_CODE(rc), errnos[i] == ENOMEM ? NORI_E_NOMEM : NORI_E_IO);
        assert_int_equal(NORI_VFS_ERRNO(rc), errnos[i]);
        assert_null(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_in_parts_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_read_in_parts_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(taking_space_goes_on_after_a_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_nothing_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sync_that_failed_is_never_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_file_that_cannot_be_asked_about_is_not_called_something_else, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
