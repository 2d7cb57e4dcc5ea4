/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_control.c: a `control` that is not this log's own. One of another log is evidence and goes
 * to quarantine (D7), whatever happens meanwhile; one that is no regular file is left alone; none
 * costs a record.
 */
#include "helpers.h"

#include <fcntl.h>
#include <nori/sim.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT       20
#define VALUE_LEN   1000
#define RING_LEN    4096
#define CONTROL_LEN (4096 + RING_LEN)

static struct nori_wal_config small_config(const char *dir)
{
    struct nori_wal_config config = config_of(dir);

    config.buffer_size = RING_LEN;
    return config;
}

static void make_log(const char *dir)
{
    struct nori_wal_config config = small_config(dir);
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, COUNT, VALUE_LEN);
    close_log(wal);
}

/* A log, and in it the `control` of another. Returns the bytes of that; to be freed. */
static uint8_t *make_mixed(const struct temporary *temporary)
{
    size_t len = 0;
    uint8_t *foreign;

    make_log(temporary->dir);
    make_log(temporary->other);
    foreign = load_file(temporary->other, "control", &len);
    assert_int_equal(len, CONTROL_LEN);
    remove_file(temporary->dir, "control");
    store_file(temporary->dir, "control", foreign, len);
    return foreign;
}

static void expect_bytes(const char *dir, const char *name, const uint8_t *bytes)
{
    size_t len = 0;
    uint8_t *data = load_file(dir, name, &len);

    assert_int_equal(len, CONTROL_LEN);
    assert_memory_equal(data, bytes, len);
    free(data);
}

/* D7: with what, from where, when and why beside it; once, and no older piece is overwritten. */
static void a_control_of_another_log_goes_to_quarantine(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = small_config(temporary->dir);
    uint8_t *foreign = make_mixed(temporary);
    struct nori_recovery_info info;
    size_t len = 0;
    char *note;

    expect_log(temporary->dir, 1, COUNT);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, COUNT);
    assert_int_equal(info.bytes_quarantined, CONTROL_LEN);
    assert_int_equal(info.corruption_detected, 0);
    assert_non_null(strstr(info.message, "control was set aside"));
    expect_bytes(temporary->dir, "quarantine/control", foreign);
    note = (char *)load_file(temporary->dir, "quarantine/control.txt", &len);
    note[len] = '\0';
    assert_non_null(strstr(note, "what:  control, the whole file"));
    assert_non_null(strstr(note, "from:  the log's folder"));
    assert_non_null(strstr(note, "when:  "));
    assert_non_null(strstr(note, "why:   it does not belong to the log"));
    free(note);
    expect_log(temporary->dir, 1, COUNT);

    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.bytes_quarantined, 0);
    foreign[CONTROL_LEN - 1] ^= 1;
    store_file(temporary->dir, "control", foreign, CONTROL_LEN); /* in place: the same inode */
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    expect_bytes(temporary->dir, "quarantine/control.1", foreign);
    assert_int_equal(count_files(temporary->dir, ".wal"), 1);
    assert_true(has_file(temporary->dir, "quarantine/control.1.txt"));
    expect_log(temporary->dir, 1, COUNT);
    free(foreign);
}

/* It is this log's, though its place is not believed: nothing to keep. */
static void a_control_copied_from_elsewhere_is_made_anew(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->other);
    struct nori_recovery_info info;

    make_log(temporary->dir);
    copy_dir(temporary->dir, temporary->other);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.bytes_quarantined, 0);
    assert_false(has_file(temporary->other, "quarantine"));
    expect_log(temporary->other, 1, COUNT);
}

/* All is judged before the first byte changes (D12). */
static void an_open_that_refuses_leaves_it_where_it_is(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->dir);
    uint8_t *foreign = make_mixed(temporary);
    struct snapshot *before;

    flip_bit(temporary->dir, segment_name(0), 200, 3);
    before = take_snapshot(temporary->dir);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_CORRUPT);
    expect_unchanged(temporary->dir, before);
    config.flags = NORI_OPEN_MUST_CREATE;
    flip_bit(temporary->dir, segment_name(0), 200, 3);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_INVALID);
    expect_bytes(temporary->dir, "control", foreign);
    assert_false(has_file(temporary->dir, "quarantine"));
    free_snapshot(before);
    free(foreign);
}

/* A link, a pipe, a folder: not waited for, not followed, not removed, and no record is lost. */
static void what_is_no_file_is_left_alone(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = temporary->dir;
    char path[300];

    make_log(dir);
    (void)snprintf(path, sizeof path, "%s/control", dir);
    for (int kind = 0; kind < 3; kind++) {
        struct stat before;
        struct stat after;
        nori_wal *wal;

        assert_int_equal(remove(path), 0);
        assert_int_equal(kind == 0   ? symlink("/dev/zero", path)
                         : kind == 1 ? mkfifo(path, 0600)
                                     : mkdir(path, 0700),
                         0);
        assert_int_equal(lstat(path, &before), 0);
        expect_log(dir, 1, COUNT + (uint64_t)kind);
        wal = open_dir(dir);
        (void)append_numbered(wal, COUNT + (uint64_t)kind + 1, VALUE_LEN);
        expect_log(dir, 1, COUNT + (uint64_t)kind + 1);
        close_log(wal);
        expect_log(dir, 1, COUNT + (uint64_t)kind + 1);
        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(nori_log_stat(dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(lstat(path, &after), 0);
        assert_true(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
    }
}

/* Where no folder `quarantine` can be had, it stays; the log works all the same. */
static void without_a_quarantine_it_stays_where_it_is(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = temporary->dir;
    uint8_t *foreign = make_mixed(temporary);
    nori_wal *wal;

    store_file(dir, "quarantine", "mine", 4);
    for (uint64_t life = 1; life <= 2; life++) {
        wal = open_dir(dir);
        (void)append_numbered(wal, COUNT + life, VALUE_LEN);
        expect_log(dir, 1, COUNT + life);
        close_log(wal);
        expect_bytes(dir, "control", foreign);
        assert_int_equal(file_len(dir, "quarantine"), 4);
    }
    remove_file(dir, "quarantine");
    close_log(open_dir(dir));
    expect_bytes(dir, "quarantine/control", foreign);
    expect_log(dir, 1, COUNT + 2);
    free(foreign);
}

/* ---- on a simulated disk ---- */

static uint8_t foreign_bytes[CONTROL_LEN];

static struct nori_wal_config sim_config(nori_sim *sim, const char *dir)
{
    struct nori_wal_config config = small_config(dir);

    config.vfs = nori_sim_vfs(sim);
    config.allocator = nori_sim_allocator(sim);
    config.preallocate = NORI_PREALLOCATE_OFF;
    return config;
}

static void make_sim_log(nori_sim *sim, const char *dir)
{
    struct nori_wal_config config = sim_config(sim, dir);
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, COUNT, VALUE_LEN);
    close_log(wal);
}

static nori_sim *make_sim_mixed(void)
{
    nori_sim *sim = nori_sim_new(NULL);
    size_t len = 0;

    make_sim_log(sim, "wal");
    make_sim_log(sim, "other");
    nori_sim_sync_all(sim);
    assert_int_equal(nori_sim_file_read(sim, "other/control", 0, foreign_bytes, CONTROL_LEN, &len),
                     0);
    assert_int_equal(len, CONTROL_LEN);
    assert_int_equal(nori_sim_file_poke(sim, "wal/control", 0, foreign_bytes, CONTROL_LEN), 0);
    return sim;
}

static bool is_foreign(nori_sim *sim, const char *path)
{
    uint8_t bytes[CONTROL_LEN];
    size_t len = 0;

    return nori_sim_file_read(sim, path, 0, bytes, CONTROL_LEN, &len) >= 0 && len == CONTROL_LEN &&
           memcmp(bytes, foreign_bytes, len) == 0;
}

static bool is_kept(nori_sim *sim)
{
    return is_foreign(sim, "wal/control") || is_foreign(sim, "wal/quarantine/control");
}

/* All records are there, and what was set aside, or was not, is kept. */
static void check_after(nori_sim *after)
{
    struct nori_wal_config config = sim_config(after, "wal");
    struct nori_recovery_info info;

    assert_true(is_kept(after));
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, COUNT);
    assert_true(is_foreign(after, "wal/quarantine/control"));
}

static void crash_before(void *context, nori_sim *sim, uint64_t operation)
{
    uint64_t *points = context;

    for (uint64_t i = 0; i < 9; i++) {
        nori_sim *after;

        if (i == 0)
            nori_sim_crash_kill(sim, &after);
        else
            nori_sim_power_cut_random(sim, operation * 10 + i, &after);
        check_after(after);
        nori_sim_free(after);
    }
    ++*points;
}

/* D7: killed or without power at any point, the file is in one place or the other, whole. */
static void a_crash_at_any_point_keeps_it(void **state)
{
    nori_sim *sim = make_sim_mixed();
    struct nori_wal_config config = sim_config(sim, "wal");
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    uint64_t points = 0;

    (void)state;
    options.before_operation = crash_before;
    options.context = &points;
    nori_sim_set_options(sim, &options);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_true(points > 5);
    check_after(sim);
    nori_sim_free(sim);
}

/* Whatever call fails: opened or not, nothing is lost, and the next open has all. */
static void whatever_call_fails_it_is_kept(void **state)
{
    bool did_fail = true;

    (void)state;
    for (uint64_t nth = 1; did_fail; nth++) {
        nori_sim *sim = make_sim_mixed();
        struct nori_wal_config config = sim_config(sim, "wal");
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

        options.fail_nth = nth;
        nori_sim_set_options(sim, &options);
        (void)try_open(&config, NULL, NULL);
        did_fail = nori_sim_did_fail(sim);
        nori_sim_set_options(sim, NULL);
        check_after(sim);
        nori_sim_free(sim);
    }
}

/* D9: a full disk is no reason not to open. It stays; with room again it is set aside. */
static void a_full_disk_is_no_reason_not_to_open(void **state)
{
    (void)state;
    for (uint64_t pages = 0; pages <= 3; pages++) {
        nori_sim *sim = make_sim_mixed();
        struct nori_wal_config config = sim_config(sim, "wal");
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_recovery_info info;

        options.capacity_bytes = nori_sim_used_bytes(sim) + pages * 4096;
        nori_sim_set_options(sim, &options);
        for (int life = 0; life < 2; life++) {
            assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
            assert_int_equal(info.valid_records, COUNT);
            assert_true(is_kept(sim));
        }
        nori_sim_set_options(sim, NULL);
        check_after(sim);
        nori_sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_control_of_another_log_goes_to_quarantine,
                                        temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(a_control_copied_from_elsewhere_is_made_anew,
                                        temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(an_open_that_refuses_leaves_it_where_it_is, temporary_setup,
                                        temporary_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_left_alone, temporary_setup,
                                        temporary_teardown),
        cmocka_unit_test_setup_teardown(without_a_quarantine_it_stays_where_it_is, temporary_setup,
                                        temporary_teardown),
        cmocka_unit_test(a_crash_at_any_point_keeps_it),
        cmocka_unit_test(whatever_call_fails_it_is_kept),
        cmocka_unit_test(a_full_disk_is_no_reason_not_to_open),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
