/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_forget.c: what is written again behind a failed sync, on real file systems (D5).
 *
 * What. Recovery relies on three calls: `forget`, to see what the disk has; a write of the same;
 * a sync. Here they follow the shortest sequences of failures that made file systems of Linux 6.18
 * lose what those three said was durable, on a device that fails the writes that hold values:
 *
 *   - the first write to reserved space fails. ext4 takes the space for written from then on: what
 *     is written again without `forget` reads as zeros behind the next mount.
 *   - one of two writes fails, so their sync does, and then a second write to where the first one
 *     went. btrfs forgets that it has not noted yet what the first one did: the place is empty
 *     behind a power cut, unless it commits, as `forget` has it do.
 *
 * It needs root, loop devices and FUSE.
 */
#include "harness.h"

#include <nori/vfs.h>

#define PAGE      ((size_t)4096)
#define RESERVED  ((size_t)1 << 20)
#define ELSEWHERE (5 * PAGE)

static struct harness harness = {.program = "forget", .share = 1, .options = {.seed = 1}};

struct attempt {
    struct scene scene;
    struct nori_folder *folder;
    struct nori_file *file;
    uint8_t header[PAGE];     /* no value: the device takes it */
    uint8_t values[2 * PAGE]; /* a record's, of which one page is written */
};

static int write_page(struct attempt *attempt, const uint8_t *page, uint64_t offset)
{
    struct nori_span span = {page, PAGE};

    return attempt->file->ops->write(attempt->file, &span, 1, offset);
}

static void open_file(struct attempt *attempt, uint32_t flags)
{
    assert_int_equal(
        attempt->folder->ops->open_file(attempt->folder, "spare", flags, 0600, &attempt->file), 0);
}

/* A file as the log makes them: reserved, and durably so. */
static void make_file(struct attempt *attempt)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_record records[ORACLE_BATCH_MAX];
    struct oracle *oracle = &attempt->scene.story->oracle;

    story_begin(attempt->scene.story, attempt->scene.device, 0);
    oracle_append_begin(oracle, 1, PAGE);
    memset(attempt->header, 'h', PAGE);
    (void)oracle_fill(oracle, records, attempt->values);
    assert_int_equal(vfs->open_folder(vfs->context, harness.place.wal, NORI_FOLDER_CREATE, 0700,
                                      &attempt->folder),
                     0);
    open_file(attempt, NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_MAPPED);
    assert_int_equal(attempt->file->ops->allocate(attempt->file, 0, RESERVED), 0);
    assert_int_equal(attempt->file->ops->sync(attempt->file), 0);
    assert_int_equal(attempt->folder->ops->sync(attempt->folder), 0);
}

/* What an open of the log does: see what the disk has, write it again, sync. Returns whether the
 * header was there. */
static bool recover(struct attempt *attempt)
{
    uint8_t page[PAGE] = {0};
    size_t got = 0;

    attempt->scene.device->fault.first = 0;
    attempt->file->ops->close(attempt->file);
    assert_int_equal(attempt->folder->ops->forget(attempt->folder, "spare", 0), 0);
    open_file(attempt, NORI_FILE_WRITE);
    assert_int_equal(attempt->file->ops->read(attempt->file, page, PAGE, 0, &got), 0);
    assert_int_equal(got, PAGE);
    assert_int_equal(write_page(attempt, page[0] ? page : attempt->header, 0), 0);
    assert_int_equal(attempt->file->ops->sync(attempt->file), 0);
    return page[0] != 0;
}

/* The power goes: all that the device had been told by then is there, and nothing after it. */
static void cut(struct attempt *attempt, size_t end)
{
    struct device *device = attempt->scene.device;

    attempt->file->ops->close(attempt->file);
    attempt->folder->ops->close(attempt->folder);
    assert_true(place_unmount(&harness.place));
    place_forget(attempt->scene.loop);
    device_seek(device, 0, device->tapes[0].count, end);
    device->tape = 1;
    assert_true(place_mount(&harness.place, attempt->scene.fs, attempt->scene.loop_name));
}

static void expect_header(const struct attempt *attempt)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    uint8_t page[PAGE] = {0};
    struct nori_folder *folder;
    struct nori_file *file;
    size_t got = 0;

    assert_int_equal(vfs->open_folder(vfs->context, harness.place.wal, 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, "spare", 0, 0, &file), 0);
    assert_int_equal(file->ops->read(file, page, PAGE, 0, &got), 0);
    file->ops->close(file);
    folder->ops->close(folder);
    assert_memory_equal(page, attempt->header, PAGE);
}

static void end_attempt(struct attempt *attempt)
{
    struct device *device = attempt->scene.device;

    assert_true(place_unmount(&harness.place));
    place_forget(attempt->scene.loop);
    device_rewind(device);
    device->tape = 0;
    scene_end(&attempt->scene);
    free(attempt);
}

static struct attempt *begin_attempt(const struct file_system *fs)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);

    assert_non_null(attempt);
    harness_need(fs);
    assert_true(scene_begin(&attempt->scene, &harness.place, fs, harness.program));
    assert_true(place_mount(&harness.place, fs, attempt->scene.loop_name));
    make_file(attempt);
    attempt->scene.device->fault =
        (struct device_fault){.first = 1, .count = 1000, .is_data = true};
    return attempt;
}

static void recover_and_cut(struct attempt *attempt, bool has_header)
{
    assert_int_equal(recover(attempt), has_header);
    cut(attempt, attempt->scene.device->tapes[0].count);
    expect_header(attempt);
    end_attempt(attempt);
}

static void what_failed_at_first_is_durable_the_second_time(void **state)
{
    struct attempt *attempt = begin_attempt(*state);

    assert_int_equal(write_page(attempt, attempt->values, 0), 0);
    assert_true(attempt->file->ops->sync(attempt->file) < 0);
    recover_and_cut(attempt, false);
}

static void what_a_failed_sync_wrote_is_durable_the_second_time(void **state)
{
    struct attempt *attempt = begin_attempt(*state);

    assert_int_equal(write_page(attempt, attempt->header, 0), 0);
    assert_int_equal(write_page(attempt, attempt->values, ELSEWHERE), 0);
    assert_true(attempt->file->ops->sync(attempt->file) < 0);
    assert_int_equal(write_page(attempt, attempt->values, 0), 0);
    assert_true(attempt->file->ops->sync(attempt->file) < 0);
    recover_and_cut(attempt, true);
}

#define ON(fs, test)                                                               \
    {                                                                              \
#        test "_on_" #        fs, test, NULL, NULL, (void *)(uintptr_t)&place_##fs \
    }

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        ON(ext4, what_failed_at_first_is_durable_the_second_time),
        ON(xfs, what_failed_at_first_is_durable_the_second_time),
        ON(btrfs, what_failed_at_first_is_durable_the_second_time),
        ON(ext4, what_a_failed_sync_wrote_is_durable_the_second_time),
        ON(xfs, what_a_failed_sync_wrote_is_durable_the_second_time),
        ON(btrfs, what_a_failed_sync_wrote_is_durable_the_second_time),
    };

    return HARNESS_MAIN(&harness, argc, argv, tests);
}
