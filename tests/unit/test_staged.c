/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_staged.c: what the staging ring may add to a segment: whole batches that verify at their
 * place, and nothing that only looks like them (D1, D4); and the file that reads as if it had them.
 */
#include "../api/encode.h"
#include "base/memory.h"
#include "wal/staged.h"

#include <nori/sim.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SALT        0x1111111111111111u
#define LOG_ID      7
#define RING_LEN    ((size_t)4096)
#define BEGIN       ((size_t)128)
#define BATCHED_LEN (3 + 3 + 5 + 4) /* of a record that put_flagged makes */

static uint8_t ring[RING_LEN];
static struct nw_control_words words;

/* Segment 0 as the ring has it, from the end of its header on. */
static void put_ring(const struct bytes *file)
{
    memset(ring, 0, sizeof ring);
    memcpy(ring + BEGIN, file->data + BEGIN, file->len - BEGIN);
}

static void begin_file(struct bytes *file)
{
    memset(file, 0, sizeof *file);
    put_zeros(file, BEGIN);
}

static size_t put_flagged(struct bytes *file, uint8_t flags)
{
    const struct raw_record record = {
        .key = "key", .key_len = 3, .value = "value", .value_len = 5, .flags = flags};

    return put_record(file, &record, SALT);
}

static struct nw_control control_of_ring(void)
{
    struct nw_control control = {.words = &words, .ring = ring, .ring_len = RING_LEN};

    atomic_store(&control.ref_count, 10); /* it is never freed */
    return control;
}

/* A file that the ring does not reach beyond. */
static int stat_long(struct nori_file *file, struct nori_file_info *ret_info)
{
    (void)file;
    ret_info->bytes = RING_LEN;
    return 0;
}

/* How many bytes of this segment the ring adds behind its header, up to `end`, or an error. */
static int64_t try_adding(const struct bytes *file, uint64_t end)
{
    struct nw_control control = control_of_ring();
    struct nw_staged staged = {.allocator = nori_allocator_malloc(), .control = &control};
    const struct nori_file_ops ops = {.size = sizeof ops, .stat = stat_long};
    struct nori_file segment = {&ops};
    const struct nw_staged_place place = {SALT, 0, end, 65536, LOG_ID, &segment};
    int64_t bytes;
    int rc;

    put_ring(file);
    rc = nw_staged_extend(&staged, &place, BEGIN);
    bytes = (int64_t)nw_staged_bytes(&staged);
    assert_int_equal(rc > 0, bytes > 0);
    assert_int_equal(nw_staged_from(&staged, SALT), bytes > 0 ? BEGIN : UINT64_MAX);
    assert_int_equal(nw_staged_from(&staged, SALT + 1), UINT64_MAX);
    nw_staged_done(&staged);
    return rc < 0 ? rc : bytes;
}

static uint64_t added(const struct bytes *file, uint64_t end)
{
    int64_t bytes = try_adding(file, end);

    assert_true(bytes >= 0);
    return (uint64_t)bytes;
}

/* D1, D4 */
static void only_whole_batches_that_a_writer_makes_are_taken(void **state)
{
    struct bytes file;
    size_t end;

    (void)state;
    begin_file(&file);
    put_flagged(&file, 0);
    put_mark(&file, SALT, LOG_ID, 2, 128);
    put_flagged(&file, RAW_CONTINUES);
    put_flagged(&file, 0);
    end = file.len;
    assert_int_equal(added(&file, UINT64_MAX), end - BEGIN);
    put_flagged(&file, RAW_CONTINUES); /* a batch that is not all there */
    assert_int_equal(added(&file, UINT64_MAX), end - BEGIN);
    put_mark(&file, SALT, LOG_ID, 3, 128); /* a mark within it: no writer does that */
    put_flagged(&file, 0);
    assert_int_equal(added(&file, UINT64_MAX), end - BEGIN);
    file.len = end;
    put_mark(&file, SALT, LOG_ID, 4, end + 1); /* that knows what lies behind it */
    put_flagged(&file, 0);
    assert_int_equal(added(&file, UINT64_MAX), end - BEGIN);
    assert_int_equal(added(&file, end - 1), end - BEGIN - 2 * BATCHED_LEN); /* the batch is cut */
    assert_int_equal(added(&file, BEGIN), 0);
    free_bytes(&file);
}

/* D12: what a newer version has appended is not cut off: the whole batches before it are given, and
 * then it is told; but for what may be skipped. */
static void a_record_of_a_newer_version_is_told(void **state)
{
    const struct raw_record control = {.key = "\11", .key_len = 1, .flags = RAW_CONTROL};
    const struct raw_record optional = {.key = "\200", .key_len = 1, .flags = RAW_CONTROL};
    struct bytes file;
    size_t end;

    (void)state;
    begin_file(&file);
    put_flagged(&file, RAW_LZ4 | RAW_ZSTD);
    assert_int_equal(try_adding(&file, UINT64_MAX), NORI_E_VERSION);
    file.len = BEGIN;
    put_record(&file, &control, SALT);
    assert_int_equal(try_adding(&file, UINT64_MAX), NORI_E_VERSION);
    file.len = BEGIN;
    put_flagged(&file, RAW_CONTINUES);
    put_flagged(&file, RAW_LZ4 | RAW_ZSTD);
    assert_int_equal(try_adding(&file, UINT64_MAX), NORI_E_VERSION);
    file.len = BEGIN;
    put_record(&file, &optional, SALT);
    put_flagged(&file, 0);
    end = file.len;
    put_flagged(&file, RAW_LZ4 | RAW_ZSTD);
    assert_int_equal(try_adding(&file, UINT64_MAX), (int64_t)(end - BEGIN));
    free_bytes(&file);
}

/* ---- the file that has them ---- */

struct fixture {
    nori_sim *sim;
    struct nori_folder *folder;
    struct nori_file *file; /* 10 bytes of 'f' */
    struct nw_staged staged;
};

static void add_stretch(struct fixture *fixture, uint64_t salt, uint64_t from, uint64_t to,
                        uint8_t byte)
{
    struct nw_staged *staged = &fixture->staged;
    struct nw_stretch *stretch = &staged->stretches[staged->count++];

    *stretch = (struct nw_stretch){.salt = salt, .from = from, .to = to};
    nw_buffer_init(&stretch->bytes, staged->allocator, 100);
    assert_int_equal(nw_buffer_reserve(&stretch->bytes, (size_t)(to - from)), 0);
    memset(stretch->bytes.data, byte, (size_t)(to - from));
}

/* The segment's own stretches lie at 4 and at 20, and another's at 6. */
static void begin(struct fixture *fixture)
{
    const struct nori_span span = {"ffffffffff", 10};
    const struct nori_vfs *vfs;

    memset(fixture, 0, sizeof *fixture);
    fixture->sim = nori_sim_new(NULL);
    vfs = nori_sim_vfs(fixture->sim);
    assert_int_equal(
        vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &fixture->folder), 0);
    assert_int_equal(fixture->folder->ops->open_file(fixture->folder, "000000.wal",
                                                     NORI_FILE_WRITE | NORI_FILE_CREATE, 0600,
                                                     &fixture->file),
                     0);
    assert_int_equal(fixture->file->ops->write(fixture->file, &span, 1, 0), 0);
    fixture->staged.allocator = nori_allocator_malloc();
    fixture->staged.stretches =
        nw_alloc_zero(fixture->staged.allocator, 4 * sizeof *fixture->staged.stretches);
    fixture->staged.capacity = 4;
    add_stretch(fixture, SALT, 4, 6, 'a');
    add_stretch(fixture, SALT + 1, 6, 30, 'x');
    add_stretch(fixture, SALT, 20, 25, 'b');
}

static void end(struct fixture *fixture)
{
    fixture->file->ops->close(fixture->file);
    nw_staged_done(&fixture->staged);
    fixture->folder->ops->close(fixture->folder);
    nori_sim_free(fixture->sim);
}

static const char patched[] = "ffffaaffff\0\0\0\0\0\0\0\0\0\0bbbbb";
#define PATCHED_LEN (sizeof patched - 1)

/* From every place, in pieces of every length: its own stretches, zeros where nothing is, and
 * nothing of another segment. */
static void a_patched_file_reads_as_if_it_had_its_stretches(void **state)
{
    struct nori_file_info info;
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    assert_int_equal(nw_staged_wrap(&fixture.staged, SALT, false, &fixture.file), 0);
    assert_int_equal(fixture.file->ops->stat(fixture.file, &info), 0);
    assert_int_equal(info.bytes, PATCHED_LEN);
    for (size_t from = 0; from <= PATCHED_LEN; from++) {
        for (size_t len = 1; len <= PATCHED_LEN + 1; len++) {
            size_t want = len < PATCHED_LEN - from ? len : PATCHED_LEN - from;
            char found[PATCHED_LEN + 1];
            size_t got = 0;

            assert_int_equal(fixture.file->ops->read(fixture.file, found, len, from, &got), 0);
            assert_true(got <= want);
            assert_memory_equal(found, patched + from, got);
            if (from + len >= PATCHED_LEN)
                assert_int_equal(got, want);
        }
    }
    end(&fixture);
}

/* D2: what recovery writes back is the segment's own, where it belongs. */
static void what_is_written_back_is_the_segments_own(void **state)
{
    struct fixture fixture;
    char found[64];
    size_t got = 0;

    (void)state;
    begin(&fixture);
    assert_int_equal(nw_staged_write_back(&fixture.staged, SALT, fixture.file), 0);
    assert_int_equal(nori_sim_file_read(fixture.sim, "wal/000000.wal", 0, found, 64, &got), 0);
    assert_int_equal(got, PATCHED_LEN);
    assert_memory_equal(found, patched, PATCHED_LEN);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_batches_that_a_writer_makes_are_taken),
        cmocka_unit_test(a_record_of_a_newer_version_is_told),
        cmocka_unit_test(a_patched_file_reads_as_if_it_had_its_stretches),
        cmocka_unit_test(what_is_written_back_is_the_segments_own),
    };

    return cmocka_run_group_tests_name("staged", tests, NULL, NULL);
}
