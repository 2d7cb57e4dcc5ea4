/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_cursor.c: the records of one file, copied or mapped, whatever their sizes and wherever
 * the file ends. */
#include "wal/cursor.h"

#include "../api/encode.h"
#include "../api/helpers.h"

#include <nori/sim.h>

#define SALT 0x0123456789abcdefu

struct fixture {
    struct nori_folder *folder;
    struct nori_file *file;
    struct nw_cursor cursor;
};

static void open_file(struct fixture *fixture, const char *dir, struct bytes *bytes,
                      uint32_t format, uint64_t limit, bool use_map)
{
    const struct nori_vfs *vfs = nori_vfs_posix();

    store_file(dir, "records", bytes->data, bytes->len);
    assert_int_equal(vfs->open_folder(vfs->context, dir, 0, 0, &fixture->folder), 0);
    assert_int_equal(
        fixture->folder->ops->open_file(fixture->folder, "records", 0, 0, &fixture->file), 0);
    nw_cursor_begin(&fixture->cursor, nori_allocator_malloc(), fixture->file, format,
                    format == 2 ? SALT : 0, 0, limit, use_map);
}

static void close_file(struct fixture *fixture)
{
    nw_cursor_done(&fixture->cursor);
    fixture->file->ops->close(fixture->file);
    fixture->folder->ops->close(fixture->folder);
}

static size_t put_sized(struct bytes *bytes, size_t len, uint64_t salt)
{
    uint8_t *value = malloc(len + 1);
    size_t offset;

    assert_non_null(value);
    memset(value, (int)(len % 251 + 1), len);
    offset = put_record(
        bytes, &(struct raw_record){.key = "k", .key_len = 1, .value = value, .value_len = len},
        salt);
    free(value);
    return offset;
}

/* Around the window's size and far beyond, both formats, copied and mapped. */
static void records_of_all_sizes_are_given_whole(void **state)
{
    static const size_t lens[] = {0,       1, 100, 262120, 262130,  262144, 262150,    524288,
                                  1 << 20, 1, 3,   0,      5000000, 7,      262144 * 3};
    enum {
        COUNT = sizeof lens / sizeof lens[0]
    };
    const char *dir = dir_of(state);

    make_dir(dir);
    for (int way = 0; way < 4; way++) {
        uint64_t salt = way & 1 ? SALT : 0;
        struct bytes bytes = {0};
        struct fixture fixture;
        struct nw_stored_record record;

        for (size_t i = 0; i < COUNT; i++)
            (void)put_sized(&bytes, lens[i], salt);
        open_file(&fixture, dir, &bytes, way & 1 ? 2 : 1, 10000000, way & 2);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
            assert_int_equal(record.stored_len, lens[i]);
            for (size_t at = 0; at < lens[i]; at += 997)
                assert_int_equal(record.stored[at], lens[i] % 251 + 1);
        }
        assert_int_equal(fixture.cursor.offset, bytes.len);
        assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_SHORT);
        close_file(&fixture);
        free_bytes(&bytes);
    }
}

/* The file or `stop` comes too early: nothing moves, and once there is more the same call
 * succeeds. */
static void a_record_cut_anywhere_is_short_and_can_be_tried_again(void **state)
{
    const char *dir = dir_of(state);
    struct bytes bytes = {0};
    size_t second;

    make_dir(dir);
    (void)put_sized(&bytes, 30, SALT);
    second = put_sized(&bytes, 40, SALT);
    for (int use_map = 0; use_map < 2; use_map++)
        for (size_t cut = second; cut < bytes.len; cut++) {
            struct bytes head = {bytes.data, cut, cut};
            struct fixture fixture;
            struct nw_stored_record record;

            open_file(&fixture, dir, &head, 2, 1000, use_map);
            assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
            for (int again = 0; again < 2; again++) {
                assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_SHORT);
                assert_int_equal(fixture.cursor.offset, second);
            }
            store_file(dir, "records", bytes.data, bytes.len);
            fixture.cursor.stop = cut;
            assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_SHORT);
            fixture.cursor.stop = UINT64_MAX;
            assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
            assert_int_equal(record.stored_len, 40);
            close_file(&fixture);
        }
    free_bytes(&bytes);
}

/* Behind `stop` the file may be written any moment: what was there before must not be seen
 * later. */
static void bytes_behind_the_stop_are_not_kept(void **state)
{
    const char *dir = dir_of(state);
    struct bytes bytes = {0};
    size_t second;

    make_dir(dir);
    (void)put_sized(&bytes, 30, SALT);
    second = put_sized(&bytes, 40, SALT);
    for (int use_map = 0; use_map < 2; use_map++) {
        struct bytes before = {0};
        struct fixture fixture;
        struct nw_stored_record record;

        put_bytes(&before, bytes.data, second);
        put_zeros(&before, 10000);
        open_file(&fixture, dir, &before, 2, 1000, use_map);
        fixture.cursor.stop = second;
        assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
        assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_SHORT);
        memcpy(before.data + second, bytes.data + second, bytes.len - second);
        store_file(dir, "records", before.data, before.len);
        fixture.cursor.stop = bytes.len;
        assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
        close_file(&fixture);
        free_bytes(&before);
    }
    free_bytes(&bytes);
}

static void any_flipped_bit_makes_a_record_bad_or_short(void **state)
{
    const char *dir = dir_of(state);
    struct bytes bytes = {0};

    make_dir(dir);
    (void)put_sized(&bytes, 10, SALT);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        struct fixture fixture;
        struct nw_stored_record record;
        int rc;

        bytes.data[bit / 8] = (uint8_t)(bytes.data[bit / 8] ^ (1u << (bit % 8)));
        open_file(&fixture, dir, &bytes, 2, 1000, false);
        rc = nw_cursor_next(&fixture.cursor, &record);
        assert_true(rc == NW_CURSOR_BAD || rc == NW_CURSOR_SHORT);
        assert_int_equal(fixture.cursor.offset, 0);
        close_file(&fixture);
        bytes.data[bit / 8] = (uint8_t)(bytes.data[bit / 8] ^ (1u << (bit % 8)));
    }
    free_bytes(&bytes);
}

/* D12, and the limit of memory: a hostile length costs nothing. */
static void a_record_over_the_limit_is_bad_at_once(void **state)
{
    const char *dir = dir_of(state);
    struct bytes bytes = {0};
    struct fixture fixture;
    struct nw_stored_record record;

    make_dir(dir);
    (void)put_sized(&bytes, 5000, SALT);
    open_file(&fixture, dir, &bytes, 2, 4999, false);
    assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_BAD);
    close_file(&fixture);
    open_file(&fixture, dir, &bytes, 2, 5001, false);
    assert_int_equal(nw_cursor_next(&fixture.cursor, &record), 0);
    close_file(&fixture);
    free_bytes(&bytes);
}

/* A record that lies elsewhere, or in another segment's life, is none. */
static void a_record_counts_only_in_its_place(void **state)
{
    const char *dir = dir_of(state);
    struct bytes bytes = {0};
    struct fixture fixture;
    struct nw_stored_record record;

    make_dir(dir);
    put_zeros(&bytes, 1);
    (void)put_sized(&bytes, 10, SALT);
    bytes.data++;
    bytes.len--;
    open_file(&fixture, dir, &bytes, 2, 1000, false);
    assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_BAD);
    close_file(&fixture);
    bytes.data--;
    bytes.len = 0;
    (void)put_sized(&bytes, 10, SALT + 1);
    open_file(&fixture, dir, &bytes, 2, 1000, false);
    assert_int_equal(nw_cursor_next(&fixture.cursor, &record), NW_CURSOR_BAD);
    close_file(&fixture);
    free_bytes(&bytes);
}

/* ---- failing calls, and a file system that cannot map ---- */

#define COUNT 40

/* Read all records of `wal/records`, and try one that fails once more. Did anything fail? */
static bool read_all(nori_sim *sim, const struct bytes *bytes, bool use_map)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;
    struct nori_sim_options none = NORI_SIM_OPTIONS_INIT;
    struct nw_stored_record record;
    struct nw_cursor cursor;
    uint64_t failures = 0;
    int count = 0;

    if (vfs->open_folder(vfs->context, "wal", 0, 0, &folder) < 0)
        return true;
    if (folder->ops->open_file(folder, "records", 0, 0, &file) >= 0) {
        nw_cursor_begin(&cursor, nori_sim_allocator(sim), file, 2, SALT, 0, 1 << 20, use_map);
        for (;;) {
            uint64_t offset = cursor.offset;
            int rc = nw_cursor_next(&cursor, &record);

            if (rc == 0) {
                assert_memory_equal(record.key, "k", 1);
                assert_int_equal(cursor.offset, offset + record.len);
                count++;
                continue;
            }
            if (rc == NW_CURSOR_SHORT)
                break;
            assert_true(rc == NORI_E_NOMEM || NORI_VFS_CODE(rc) == NORI_E_IO);
            assert_int_equal(cursor.offset, offset);
            assert_true(++failures <= 1);
            nori_sim_set_options(sim, &none);
        }
        assert_int_equal(cursor.offset, bytes->len);
        assert_int_equal(count, COUNT);
        nw_cursor_done(&cursor);
        file->ops->close(file);
    }
    folder->ops->close(folder);
    return failures > 0 || nori_sim_did_fail(sim);
}

/* D11: an error is none of the ends, and what comes behind it can be had later. */
static void a_record_that_could_not_be_read_is_read_later(void **state)
{
    struct bytes bytes = {0};

    (void)state;
    for (int i = 0; i < COUNT; i++)
        (void)put_sized(&bytes, 9000, SALT); /* several windows, and records over their ends */
    for (int way = 0; way < 3; way++) {
        bool did_fail = true;

        for (uint64_t nth = 1; did_fail; nth++) {
            struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
            nori_sim *sim = nori_sim_new(NULL);
            const struct nori_vfs *vfs = nori_sim_vfs(sim);
            struct nori_folder *folder = NULL;

            assert_int_equal(
                vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &folder), 0);
            folder->ops->close(folder);
            assert_int_equal(nori_sim_file_poke(sim, "wal/records", 0, bytes.data, bytes.len), 0);
            options.fail_nth = nth;
            options.flags = way == 2 ? NORI_SIM_NO_MAP : 0;
            nori_sim_set_options(sim, &options);
            did_fail = read_all(sim, &bytes, way > 0);
            assert_int_equal(nori_sim_memory_blocks(sim), 0);
            nori_sim_free(sim);
        }
    }
    free_bytes(&bytes);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(records_of_all_sizes_are_given_whole),
        IN_FOLDER(a_record_cut_anywhere_is_short_and_can_be_tried_again),
        IN_FOLDER(bytes_behind_the_stop_are_not_kept),
        IN_FOLDER(any_flipped_bit_makes_a_record_bad_or_short),
        IN_FOLDER(a_record_over_the_limit_is_bad_at_once),
        IN_FOLDER(a_record_counts_only_in_its_place),
        cmocka_unit_test(a_record_that_could_not_be_read_is_read_later),
    };

    return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
