/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_shuffled.c: logs whose files somebody removed, renamed, doubled, or took from another log
 * (D6). Who moves files by hand is told so before anything is changed.
 */
#include "helpers.h"

static void rename_file(const char *dir, uint64_t from, uint64_t to)
{
    char source[300];
    char target[300];

    (void)snprintf(source, sizeof source, "%s/%s", dir, segment_name(from));
    (void)snprintf(target, sizeof target, "%s/%s", dir, segment_name(to));
    assert_int_equal(rename(source, target), 0);
}

static void copy_file(const char *from, uint64_t id, const char *to, uint64_t as)
{
    size_t len = 0;
    uint8_t *data = load_file(from, segment_name(id), &len);

    store_file(to, segment_name(as), data, len);
    free(data);
}

static void make_log(const char *dir, int segments)
{
    for (int i = 0; i < segments; i++) {
        nori_wal *wal = open_dir(dir);

        append_range(wal, 1 + (uint64_t)i * 10, 10, 100);
        close_log(wal);
    }
}

/* D6, D12 */
static void a_segment_under_another_name_is_refused(void **state)
{
    const char *dir = dir_of(state);

    make_log(dir, 4);
    for (uint64_t id = 0; id < 4; id++) {
        rename_file(dir, id, 9);
        expect_log_refused(dir, NORI_E_CORRUPT, "000009.wal");
        rename_file(dir, 9, id);
        copy_file(dir, id, dir, 20);
        expect_log_refused(dir, NORI_E_CORRUPT, "000020.wal");
        remove_file(dir, segment_name(20));
    }
    expect_log(dir, 1, 40);
}

/* D6 */
static void a_missing_segment_in_the_middle_is_refused(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = dir_of(state);

    make_log(dir, 4);
    for (uint64_t id = 1; id < 3; id++) {
        remove_dir(temporary->other);
        copy_dir(dir, temporary->other);
        remove_file(temporary->other, segment_name(id));
        expect_log_refused(temporary->other, NORI_E_CORRUPT, segment_name(id + 1));
    }
    expect_log(dir, 1, 40);
}

/* D6: the records of other segments' lives do not count here, either. */
static void a_segment_of_another_log_is_refused(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = dir_of(state);
    struct snapshot *good;

    make_log(dir, 4);
    make_log(temporary->other, 4);
    good = take_snapshot(dir);
    for (uint64_t id = 0; id < 4; id++) {
        copy_file(temporary->other, id, dir, id);
        expect_log_refused(dir, NORI_E_CORRUPT, ".wal");
        put_snapshot_back(dir, good);
    }
    for (int i = 0; i < 3; i++) {
        nori_wal *wal = open_dir(temporary->other);

        (void)append_numbered(wal, 1, 1);
        close_log(wal);
    }
    copy_file(temporary->other, 6, dir, 6);
    expect_log_refused(dir, NORI_E_CORRUPT, ".wal");
    free_snapshot(good);
}

/* D6: a file with a name of ours that is no segment. */
static void a_file_without_a_header_is_refused(void **state)
{
    const char *dir = dir_of(state);
    uint8_t garbage[1000];

    make_log(dir, 2);
    memset(garbage, 'g', sizeof garbage);
    store_file(dir, segment_name(7), garbage, sizeof garbage);
    expect_log_refused(dir, NORI_E_CORRUPT, "000007.wal");
    store_file(dir, segment_name(7), garbage, 0);
    expect_log_refused(dir, NORI_E_CORRUPT, "000007.wal");
    remove_file(dir, segment_name(7));
    store_file(dir, segment_name(1), garbage, sizeof garbage);
    expect_log_refused(dir, NORI_E_CORRUPT, "000001.wal");
    cut_file(dir, segment_name(1), 100);
    expect_log_refused(dir, NORI_E_CORRUPT, "000001.wal");
}

/* The oldest segments may be missing: retention drops those. */
static void missing_oldest_segments_are_as_if_dropped(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal;
    nori_reader *reader;

    make_log(dir, 4);
    remove_file(dir, segment_name(0));
    remove_file(dir, segment_name(1));
    reader = open_reader(dir, OLDEST);
    expect_range(reader, 21, 20, 21);
    nori_reader_close(reader);
    wal = open_dir(dir);
    append_range(wal, 41, 10, 10);
    close_log(wal);
    reader = open_reader(dir, OLDEST);
    expect_range(reader, 21, 30, 21);
    nori_reader_close(reader);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_segment_under_another_name_is_refused),
        IN_FOLDER(a_missing_segment_in_the_middle_is_refused),
        IN_FOLDER(a_segment_of_another_log_is_refused),
        IN_FOLDER(a_file_without_a_header_is_refused),
        IN_FOLDER(missing_oldest_segments_are_as_if_dropped),
    };

    return cmocka_run_group_tests_name("shuffled", tests, NULL, NULL);
}
