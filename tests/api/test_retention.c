/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_retention.c: dropping segments: which go, which stay, and what the log is afterwards. */
#include "helpers.h"

#include <nori/sim.h>

static uint64_t drop_before(nori_wal *wal, struct nori_position position)
{
    uint64_t deleted = UINT64_MAX;

    assert_int_equal(nori_wal_delete_segments_before(wal, position, &deleted), NORI_OK);
    return deleted;
}

static void expect_from(const char *dir, uint64_t first, uint64_t count)
{
    nori_reader *reader = open_reader(dir, OLDEST);

    expect_range(reader, first, count, first);
    nori_reader_close(reader);
}

/* Only segments all of whose records lie before the position go. */
static void whole_segments_before_the_position_go(void **state)
{
    static struct nori_position positions[4001];
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_position first;
    uint64_t number = 1;
    uint64_t gone = 0;

    for (uint64_t i = 1; i <= 4000; i++)
        positions[i] = append_numbered(wal, i, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK); /* then the newest has its name */
    assert_int_equal(drop_before(wal, OLDEST), 0);
    for (uint64_t i = 1; i <= 4000; i += 7) {
        uint64_t deleted = drop_before(wal, positions[i]);

        gone += deleted;
        assert_int_equal(gone, positions[i].segment_id);
        assert_int_equal(nori_wal_first_position(wal, &first), NORI_OK);
        while (positions[number].segment_id < gone)
            number++;
        assert_true(is_same_position(first, positions[number]));
        assert_int_equal(count_files(dir, ".wal"), 4 - gone);
    }
    assert_int_equal(gone, 3);
    expect_from(dir, number, 4000 - number + 1);
    close_log(wal);
    expect_from(dir, number, 4000 - number + 1);
    wal = open_dir(dir);
    (void)append_numbered(wal, 4001, 1000);
    close_log(wal);
    expect_from(dir, number, 4001 - number + 1);
}

/* At the current position everything goes, however it is reached; the log and its numbers go on. */
static void at_the_current_position_everything_goes(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_position before = {0, 0};
    struct nori_position first;
    uint64_t number = 1;

    for (int round = 0; round < 6; round++) {
        append_range(wal, number, 500, 1000);
        number += 500;
        if (round % 3 == 1) {
            close_log(wal);
            wal = open_dir(dir);
        }
        before = position_of(wal);
        assert_in_range(drop_before(wal, before), 1, 2);
        assert_int_equal(nori_wal_first_position(wal, &first), NORI_E_NOTFOUND);
        assert_int_equal(count_files(dir, ".wal"), 1); /* an empty one, of which the log goes on */
        assert_true(compare_positions(before, position_of(wal)) < 0);
        assert_int_equal(drop_before(wal, position_of(wal)), 0);
        if (round % 3 == 2) {
            close_log(wal);
            wal = open_dir(dir);
            assert_int_equal(nori_wal_first_position(wal, &first), NORI_E_NOTFOUND);
        }
    }
    append_range(wal, number, 10, 10);
    close_log(wal);
    expect_from(dir, number, 10);
}

/* Somebody has removed it by hand: what is gone need not be removed. */
static void a_segment_that_is_gone_already_is_dropped(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    char path[300];

    append_range(wal, 1, 2500, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    (void)snprintf(path, sizeof path, "%s/%s", dir, segment_name(0));
    assert_int_equal(remove(path), 0);
    assert_int_equal(drop_before(wal, position_of(wal)), 3);
    append_range(wal, 2501, 10, 1000);
    close_log(wal);
    expect_from(dir, 2501, 10);
}

static void nothing_to_drop_is_no_error(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));

    assert_int_equal(drop_before(wal, OLDEST), 0);
    assert_int_equal(drop_before(wal, position_of(wal)), 0);
    assert_int_equal(count_files(dir_of(state), ""), 1);
    append_range(wal, 1, 1, 10);
    assert_int_equal(drop_before(wal, (struct nori_position){0, 128}), 0);
    assert_int_equal(nori_wal_delete_segments_before(wal, OLDEST, NULL), NORI_OK);
    close_log(wal);
    expect_from(dir_of(state), 1, 1);
}

static void a_position_behind_the_end_is_refused(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_position end;
    uint64_t deleted = 77;

    append_range(wal, 1, 2000, 1000);
    end = position_of(wal);
    end.offset++;
    assert_int_equal(nori_wal_delete_segments_before(wal, end, &deleted), NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_delete_segments_before(wal, (struct nori_position){2, 0}, &deleted),
                     NORI_E_NOTFOUND);
    assert_int_equal(
        nori_wal_delete_segments_before(wal, (struct nori_position){1, UINT64_MAX}, &deleted),
        NORI_E_NOTFOUND);
    assert_int_equal(
        nori_wal_delete_segments_before(wal, (struct nori_position){UINT64_MAX, 0}, &deleted),
        NORI_E_NOTFOUND);
    assert_int_equal(deleted, 77);
    close_log(wal);
    expect_from(dir_of(state), 1, 2000);
}

/* Ids are never used twice. */
static void ids_only_grow(void **state)
{
    const char *dir = dir_of(state);
    uint64_t last = 0;

    for (int life = 0; life < 20; life++) {
        nori_wal *wal = open_dir(dir);
        struct nori_position position = append_numbered(wal, 1, 10);

        assert_true(life == 0 || position.segment_id > last);
        last = position.segment_id;
        if (life % 2)
            (void)drop_before(wal, position_of(wal));
        last = position_of(wal).segment_id;
        close_log(wal);
    }
    assert_true(last >= 29);
}

struct dropper {
    nori_sim *sim;
    const struct nori_vfs *vfs;
    nori_wal *wal;
    struct nori_thread *thread;
    int rc;
};

static void append_and_drop(void *argument)
{
    struct dropper *dropper = argument;

    for (uint64_t number = 1; number <= 10 && dropper->rc == NORI_OK; number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, 10);
        struct nori_position end = {0, 0};

        dropper->rc = nori_wal_append(dropper->wal, &record, NULL);
        if (dropper->rc == NORI_OK)
            dropper->rc = nori_wal_position(dropper->wal, &end);
        if (dropper->rc == NORI_OK)
            dropper->rc = nori_wal_delete_segments_before(dropper->wal, end, NULL);
    }
}

/* A log on a machine whose threads take turns by seed, one of which appends and drops. */
static void begin_dropping(struct dropper *dropper, uint64_t seed)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_wal_config config = config_of("wal");

    options.seed = seed;
    options.switch_percent = 60;
    *dropper = (struct dropper){.sim = nori_sim_new(&options), .rc = NORI_OK};
    dropper->vfs = config.vfs = nori_sim_vfs(dropper->sim);
    dropper->wal = open_log(&config);
    append_range(dropper->wal, 0, 1, 10);
    assert_int_equal(dropper->vfs->thread_start(dropper->vfs->context, "dropper", append_and_drop,
                                                dropper, &dropper->thread),
                     0);
}

static void end_dropping(struct dropper *dropper)
{
    dropper->vfs->thread_join(dropper->vfs->context, dropper->thread);
    assert_int_equal(dropper->rc, NORI_OK);
    close_log(dropper->wal);
    nori_sim_free(dropper->sim);
}

/* However threads are interleaved, a position that is asked for is not that of an empty log. */
static void positions_never_go_back_while_everything_is_dropped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct nori_position appended = {0, 0};
        struct nori_position durable = {0, 0};
        struct dropper dropper;

        begin_dropping(&dropper, seed);
        for (int look = 0; look < 200; look++) {
            assert_true(compare_positions(appended, position_of(dropper.wal)) <= 0);
            assert_true(compare_positions(durable, durable_of(dropper.wal)) <= 0);
            appended = position_of(dropper.wal);
            durable = durable_of(dropper.wal);
        }
        end_dropping(&dropper);
    }
}

/* Open a reader at the oldest record, of the log's own or by the folder's name, and read one. */
static void look_at_oldest(nori_wal *wal, const struct nori_vfs *vfs, bool is_own)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    int rc;

    config.vfs = vfs;
    rc = is_own ? nori_wal_read_with(wal, &config, OLDEST, &reader)
                : nori_reader_open_with("wal", &config, OLDEST, &reader, &error);
    if (rc != NORI_OK)
        fail_msg("%s: %s", nori_error_name(rc), error.message);
    rc = nori_reader_next(reader, &record, NULL);
    assert_true(rc == NORI_OK || rc == NORI_END || rc == NORI_E_TRUNCATED);
    nori_reader_close(reader);
}

/* D11: whoever asks for the oldest record is given one that is left, if the first that was found is
 * dropped before it is opened. */
static void the_oldest_is_found_while_segments_are_dropped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct dropper dropper;

        begin_dropping(&dropper, seed);
        for (int look = 0; look < 20; look++)
            look_at_oldest(dropper.wal, dropper.vfs, look % 2);
        end_dropping(&dropper);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(whole_segments_before_the_position_go),
        IN_FOLDER(at_the_current_position_everything_goes),
        IN_FOLDER(a_segment_that_is_gone_already_is_dropped),
        IN_FOLDER(nothing_to_drop_is_no_error),
        IN_FOLDER(a_position_behind_the_end_is_refused),
        IN_FOLDER(ids_only_grow),
        cmocka_unit_test(positions_never_go_back_while_everything_is_dropped),
        cmocka_unit_test(the_oldest_is_found_while_segments_are_dropped),
    };

    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
