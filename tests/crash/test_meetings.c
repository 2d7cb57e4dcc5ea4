/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_meetings.c: two things that go on at once and concern one segment: it is dropped while space
 * is taken for it, while another thread drops, too, or while dead files go. On a simulated machine,
 * at each moment of one beside the other, by slow calls and by seeds.
 */
#include "../api/helpers.h"
#include "../support/between.h"

#include <errno.h>
#include <nori/sim.h>

#define RECORD_LEN  ((size_t)4000)
#define LONG_NS     ((uint64_t)1000000000)
#define SLACK_NS    ((uint64_t)1000000)
#define RECORDS_MAX 2000

static struct nori_position positions[RECORDS_MAX + 1];

static void append_to(nori_wal *wal, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++)
        positions[number] = append_numbered(wal, number, RECORD_LEN);
}

/* The log shows the records first .. last; whoever drops may leave some before. */
static void expect_last(nori_wal *wal, uint64_t first, uint64_t last)
{
    nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position position;
    uint64_t number = 0;
    uint64_t before = 0;
    int rc;

    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK) {
        assert_true(is_numbered(&record, &number));
        assert_true(before == 0 ? number <= first : number == before + 1);
        assert_true(is_same_position(position, positions[number]));
        before = number;
    }
    assert_int_equal(rc, NORI_END);
    assert_int_equal(before, last);
    nori_reader_close(reader);
}

/* ---- taking space ---- */

/*
 * Taking space takes long. After each number of records all is dropped, which begins a segment:
 * space may just be taken for the one that goes, or for the one that begins. What is then appended
 * has its space (D9), and is there after a crash (D2).
 */
static void a_segment_may_go_or_begin_while_space_is_taken_for_it(void **state)
{
    (void)state;
    for (uint64_t count = 40; count < RECORDS_MAX - 400; count += 20) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_on(sim);
        nori_sim *after = NULL;
        uint64_t deleted = 0;
        nori_wal *wal;

        config.preallocate = NORI_PREALLOCATE_RESERVE;
        config.max_segment_size = 4 * MIB;
        wal = open_log(&config);
        options.delay_ns = LONG_NS;
        options.delay_mask = NORI_SIM_ALLOCATE;
        nori_sim_set_options(sim, &options);
        append_to(wal, 1, count);
        assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
        assert_true(deleted > 0);
        append_to(wal, count + 1, count + 300);
        expect_last(wal, count + 1, count + 300);
        nori_sim_crash_kill(sim, &after);
        close_log(wal);
        nori_sim_free(sim);
        config.vfs = nori_sim_vfs(after);
        wal = open_log(&config);
        expect_last(wal, count + 1, count + 300);
        close_log(wal);
        nori_sim_free(after);
    }
}

/* Append one record of this length, and tell how long that took. */
static uint64_t append_for(nori_sim *sim, nori_wal *wal, size_t len)
{
    static const uint8_t bytes[3 * MIB];
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_record record = {.key = "k", .key_len = 1, .value = bytes, .value_len = len};
    uint64_t begun_ns = vfs->monotonic_ns(vfs->context);

    assert_true(len <= sizeof bytes);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    return vfs->monotonic_ns(vfs->context) - begun_ns;
}

/* Taking space takes long; appends come faster. One that has caught up waits for the space that it
 * needs: not for what is prepared for the next segment, or an earlier attempt besides. A large
 * record may need more than one that is under way brings: it waits for that one, and its own. */
static void an_append_waits_for_one_allocation_only(void **state)
{
    static const uint32_t ways[] = {NORI_PREALLOCATE_OFF, NORI_PREALLOCATE_RESERVE,
                                    NORI_PREALLOCATE_ZERO};
    uint64_t waits = 0;

    (void)state;
    for (uint64_t run = 0; run < 3 * 4; run++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim;
        struct nori_wal_config config;
        nori_wal *wal;

        options.delay_ns = LONG_NS;
        options.delay_mask = NORI_SIM_ALLOCATE;
        options.seed = run;
        options.switch_percent = run < 6 ? 0 : 5;
        sim = nori_sim_new(&options);
        config = config_on(sim);
        config.preallocate = ways[run % 3];
        config.max_segment_size = 4 * MIB;
        config.format = run < 3 ? 1 : 2;
        wal = open_log(&config);
        for (size_t i = 0; i < RECORDS_MAX; i++) {
            uint64_t ns = append_for(sim, wal, RECORD_LEN);

            assert_in_range(ns, 0, LONG_NS + SLACK_NS);
            waits += ns >= LONG_NS / 2;
        }
        assert_in_range(append_for(sim, wal, 3 * MIB), 0, 2 * LONG_NS + SLACK_NS);
        nori_sim_sleep(sim, 10 * LONG_NS); /* nothing is under way any more */
        assert_in_range(append_for(sim, wal, 3 * MIB), 0, LONG_NS + SLACK_NS);
        close_log(wal);
        nori_sim_free(sim);
    }
    assert_true(waits >= 100);
}

/* ---- two who drop ---- */

struct dropper {
    nori_wal *wal;
    struct nori_position position;
    uint64_t deleted;
    int rc;
};

static void drop(void *argument)
{
    struct dropper *dropper = argument;

    dropper->rc =
        nori_wal_delete_segments_before(dropper->wal, dropper->position, &dropper->deleted);
}

/* Each segment is dropped once, and nothing behind what either asked for. */
static void two_may_drop_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim;
        const struct nori_vfs *vfs;
        struct nori_wal_config config;
        struct dropper droppers[2];
        struct nori_thread *thread = NULL;

        options.seed = seed;
        options.switch_percent = 50;
        sim = nori_sim_new(&options);
        vfs = nori_sim_vfs(sim);
        config = config_on(sim);
        droppers[0].wal = open_log(&config);
        append_to(droppers[0].wal, 1, 1200); /* over four segments */
        droppers[1].wal = droppers[0].wal;
        droppers[0].position = positions[seed % 2 ? 600 : 1100];
        droppers[1].position = positions[seed % 2 ? 1100 : 600];
        assert_int_equal(vfs->thread_start(vfs->context, "drop", drop, &droppers[0], &thread), 0);
        drop(&droppers[1]);
        vfs->thread_join(vfs->context, thread);
        assert_int_equal(droppers[0].rc, NORI_OK);
        assert_int_equal(droppers[1].rc, NORI_OK);
        assert_int_equal(droppers[0].deleted + droppers[1].deleted, positions[1100].segment_id);
        expect_last(droppers[0].wal, 1100, 1200);
        close_log(droppers[0].wal);
        nori_sim_free(sim);
    }
}

/* ---- a reader that is opened while all is dropped ---- */

struct opening {
    nori_wal *wal;
    uint64_t nth; /* of the reader's calls, counted down; 0: it has come */
};

static void drop_at_nth(void *context)
{
    struct opening *opening = context;
    uint64_t deleted = 0;

    if (opening->nth == 0 || --opening->nth > 0)
        return;
    assert_int_equal(
        nori_wal_delete_segments_before(opening->wal, position_of(opening->wal), &deleted),
        NORI_OK);
    assert_int_equal(deleted, 1);
    append_to(opening->wal, 11, 20);
}

/* D11: it begins with the oldest record that is left, before or after; or is told so by its first
 * read. False if it does not make as many calls. */
static bool open_while_all_is_dropped(uint64_t nth)
{
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    struct opening opening = {.nth = nth};
    struct between between = {.before_call = drop_at_nth, .context = &opening};
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_reader *reader = NULL;
    struct nori_record record;
    uint64_t number = 0;
    int rc;

    opening.wal = open_log(&config);
    append_to(opening.wal, 1, 10);
    assert_int_equal(nori_wal_sync(opening.wal), NORI_OK);
    reading.vfs = between_begin(nori_sim_vfs(sim), &between);
    assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL), NORI_OK);
    rc = nori_reader_next(reader, &record, NULL);
    if (rc != NORI_E_TRUNCATED) {
        assert_int_equal(rc, NORI_OK);
        assert_true(is_numbered(&record, &number) && (number == 1 || number == 11));
    }
    nori_reader_close(reader);
    close_log(opening.wal);
    nori_sim_free(sim);
    return opening.nth == 0;
}

static void a_reader_can_be_opened_while_all_is_dropped(void **state)
{
    uint64_t nth = 1;

    (void)state;
    while (open_while_all_is_dropped(nth))
        nth++;
    assert_true(nth > 10);
}

/* ---- files that somebody else removed ---- */

/* It is gone, which is what was asked for; the rest goes, and the log goes on. */
static void a_file_that_is_gone_already_is_as_good_as_dropped(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    uint64_t deleted = 0;

    (void)state;
    append_to(wal, 1, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(nori_sim_file_unlink(sim, "wal/000001.wal"), 0);
    assert_int_equal(nori_wal_delete_segments_before(wal, positions[1000], &deleted), NORI_OK);
    assert_int_equal(deleted, positions[1000].segment_id);
    append_to(wal, 1001, 1010);
    expect_last(wal, 1000, 1010);
    close_log(wal);
    nori_sim_free(sim);
}

/* The file is still there, so it is still a part of the log: the error says why, and once it can be
 * removed it is. */
static void a_file_that_cannot_be_removed_stays_a_part_of_the_log(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    struct nori_error error = NORI_ERROR_INIT;
    uint64_t deleted = 0;

    (void)state;
    append_to(wal, 1, 1000);
    options.fail_nth = 1;
    options.fail_mask = NORI_SIM_REMOVE;
    options.fail_errno = EACCES;
    nori_sim_set_options(sim, &options);
    assert_int_equal(nori_wal_delete_segments_before(wal, positions[1000], &deleted),
                     NORI_E_READONLY);
    assert_int_equal(deleted, 0);
    assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
    assert_non_null(strstr(error.message, "remove 000000.wal"));
    assert_int_equal(nori_wal_failure(wal, &error), NORI_END); /* it has not failed */
    expect_last(wal, 1, 1000);
    assert_int_equal(nori_wal_delete_segments_before(wal, positions[1000], &deleted), NORI_OK);
    assert_int_equal(deleted, positions[1000].segment_id);
    expect_last(wal, 1000, 1000);
    close_log(wal);
    nori_sim_free(sim);
}

/* ---- places that are none ---- */

/* Who waits for a place where no record can be would wait for ever. */
static void a_place_that_is_none_is_refused_at_once(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    struct nori_position end;
    uint64_t deleted = 77;

    (void)state;
    append_to(wal, 1, 600); /* over two segments */
    end = position_of(wal);
    for (uint64_t id = 0; id <= end.segment_id + 1; id++) {
        struct nori_position none = {id, UINT64_MAX};

        assert_int_equal(nori_wal_wait_durable(wal, none, -1), NORI_E_NOTFOUND);
        none.offset = 8 * MIB;
        assert_int_equal(nori_wal_wait_durable(wal, none, -1), NORI_E_NOTFOUND);
    }
    end.offset++;
    assert_int_equal(nori_wal_wait_durable(wal, end, -1), NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_delete_segments_before(wal, end, &deleted), NORI_E_NOTFOUND);
    end.offset--;
    assert_int_equal(nori_wal_wait_durable(wal, end, INT64_MAX), NORI_OK);
    assert_true(is_same_position(durable_of(wal), end));
    close_log(wal);
    nori_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_may_go_or_begin_while_space_is_taken_for_it),
        cmocka_unit_test(an_append_waits_for_one_allocation_only),
        cmocka_unit_test(two_may_drop_at_once),
        cmocka_unit_test(a_reader_can_be_opened_while_all_is_dropped),
        cmocka_unit_test(a_file_that_is_gone_already_is_as_good_as_dropped),
        cmocka_unit_test(a_file_that_cannot_be_removed_stays_a_part_of_the_log),
        cmocka_unit_test(a_place_that_is_none_is_refused_at_once),
    };

    return cmocka_run_group_tests_name("meetings", tests, NULL, NULL);
}
