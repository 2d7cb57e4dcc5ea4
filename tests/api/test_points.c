/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_points.c: reading one record here and one there, from the log's own handle. Such a reader
 * begins in memory that the handle lends. Nobody may notice, but for the time it takes.
 */
#include "helpers.h"

#include <nori/sim.h>

#define COUNT 3000

/* Record `number` of a log that holds them all from 1 on, read at its position. */
static void expect_point(nori_wal *wal, struct nori_position position, uint64_t number)
{
    struct nori_record record;
    struct nori_position actual;
    nori_reader *reader = NULL;
    uint64_t found = 0;

    assert_int_equal(nori_wal_read_from(wal, position, &reader), NORI_OK);
    assert_int_equal(nori_reader_next(reader, &record, &actual), NORI_OK);
    assert_true(is_numbered(&record, &found));
    assert_int_equal(found, number);
    assert_int_equal(record.sequence, number);
    assert_true(is_same_position(actual, position));
    nori_reader_close(reader);
}

static nori_wal *open_sim(nori_sim *sim)
{
    struct nori_wal_config config = config_on(sim);

    config.allocator = nori_sim_allocator(sim);
    return open_log(&config);
}

/* Its calls are counted, but for those for memory. */
static nori_sim *new_counting_sim(void)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_mask = NORI_SIM_ALL_CALLS & ~NORI_SIM_MEMORY;
    return nori_sim_new(&options);
}

/* A file-system call would cost as much as the whole read. */
static void a_record_that_was_read_is_read_again_without_a_call_of_the_seam(void **state)
{
    nori_sim *sim = new_counting_sim();
    nori_wal *wal = open_sim(sim);
    struct nori_position positions[COUNT + 1];
    uint64_t allocations;
    uint64_t calls;

    (void)state;
    for (uint64_t number = 1; number <= COUNT; number++)
        positions[number] = append_numbered(wal, number, 1000);
    assert_true(positions[COUNT].segment_id >= 2);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    for (uint64_t number = 1; number <= COUNT; number += 100)
        expect_point(wal, positions[number], number);
    calls = nori_sim_calls(sim);
    allocations = nori_sim_allocations(sim);
    for (uint64_t number = 1; number <= COUNT; number += 100)
        expect_point(wal, positions[number], number);
    assert_int_equal(nori_sim_calls(sim), calls);
    assert_int_equal(nori_sim_allocations(sim), allocations + COUNT / 100); /* the readers */
    close_log(wal);
    nori_sim_free(sim);
}

/* The log's own records among them are no reason to look for the chain: that reads all headers. */
static void a_scan_over_marks_makes_no_call_of_the_seam_either(void **state)
{
    nori_sim *sim = new_counting_sim();
    nori_wal *wal = open_sim(sim);
    nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position first;
    uint64_t calls;

    (void)state;
    first = append_numbered(wal, 1, 1000);
    append_range(wal, 2, 499, 1000); /* with a mark every 64 KiB */
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_point(wal, first, 1);
    calls = nori_sim_calls(sim);
    assert_int_equal(nori_wal_read_from(wal, first, &reader), NORI_OK);
    for (uint64_t number = 1; number <= 500; number++) {
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_int_equal(record.sequence, number);
    }
    nori_reader_close(reader);
    assert_int_equal(nori_sim_calls(sim), calls);
    close_log(wal);
    nori_sim_free(sim);
}

/* Where files cannot be detached only some are kept: the others come and go. */
static void more_segments_than_are_kept_are_read_as_well(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = open_sim(sim);
    struct nori_position positions[40];

    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        append_range(wal, i * 500 + 1, 499, 2100);
        positions[i] = append_numbered(wal, (i + 1) * 500, 2100);
    }
    assert_true(positions[39].segment_id >= 30);
    for (uint64_t round = 0; round < 200; round++)
        expect_point(wal, positions[round * 7 % 40], (round * 7 % 40 + 1) * 500);
    close_log(wal);
    nori_sim_free(sim); /* aborts if a mapping or a handle is left */
}

struct answer {
    int open_rc;
    int rc;
    uint64_t sequence;
    uint32_t flags;
    struct nori_position position;
};

/* Of the handle's reader, or (wal is NULL) of one that is opened by the folder. */
static struct answer answer_at(nori_wal *wal, const char *dir, struct nori_position position)
{
    nori_reader *reader = NULL;
    struct nori_record record;
    struct answer answer = {.open_rc = wal ? nori_wal_read_from(wal, position, &reader)
                                           : nori_reader_open(dir, position, &reader, NULL)};

    if (answer.open_rc != NORI_OK)
        return answer;
    answer.rc = nori_reader_next(reader, &record, &answer.position);
    if (answer.rc == NORI_OK) {
        answer.sequence = record.sequence;
        answer.flags = record.flags;
    }
    nori_reader_close(reader);
    return answer;
}

/* Both say the same, once and once more. */
static void compare_at(nori_wal *wal, const char *dir, struct nori_position position)
{
    struct answer other = answer_at(NULL, dir, position);

    for (int round = 0; round < 2; round++) {
        struct answer own = answer_at(wal, dir, position);

        if (own.open_rc != other.open_rc || own.rc != other.rc || own.flags != other.flags ||
            own.sequence != other.sequence || !is_same_position(own.position, other.position))
            fail_msg("%llu:%llu: opened by the handle %d, %d, by the folder %d, %d",
                     (unsigned long long)position.segment_id, (unsigned long long)position.offset,
                     own.open_rc, own.rc, other.open_rc, other.rc);
    }
}

/* Records alone and in batches, with a mark after each. */
static void append_mixed(nori_wal *wal, uint64_t *number)
{
    for (int i = 0; i < 9; i++) {
        struct numbered memories[3];
        struct nori_record records[3];
        size_t count = i % 2 ? 3 : 1;

        for (size_t j = 0; j < count; j++)
            records[j] = make_numbered(&memories[j], ++*number, i == 4 ? 4096 : 20);
        assert_int_equal(nori_wal_append_batch(wal, records, count, NULL), NORI_OK);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
    }
}

/* D11: a position inside a record is refused here, too, and one inside a batch is not. */
static void every_offset_gives_what_it_gives_to_any_reader(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_position end;
    uint64_t number = 0;

    append_mixed(wal, &number);
    close_log(wal);
    wal = open_dir(dir);
    append_mixed(wal, &number);
    end = position_of(wal);
    assert_int_equal(end.segment_id, 1);
    for (uint64_t id = 0; id < 2; id++)
        for (uint64_t offset = 0; offset < end.offset + 200; offset++)
            compare_at(wal, dir, (struct nori_position){id, offset});
    close_log(wal);
}

/* D6, D11: damage is told, whether it was there before the segment was lent or came later; and what
 * a repair left is counted in the same way. */
static void damage_in_what_is_lent_is_told_as_ever(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_position positions[301];
    nori_wal *wal = open_dir(dir);
    size_t damaged = 0;

    for (uint64_t number = 1; number <= 300; number++)
        positions[number] = append_numbered(wal, number, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_point(wal, positions[150], 150);
    flip_bit(dir, segment_name(0), (size_t)positions[150].offset + 500, 3);
    flip_bit(dir, segment_name(0), (size_t)positions[200].offset + 500, 3);
    for (uint64_t number = 140; number <= 210; number++) {
        compare_at(wal, dir, positions[number]);
        damaged += number == 150 || number == 200;
    }
    assert_int_equal(damaged, 2);
    close_log(wal);

    config.recovery_mode = NORI_RECOVER_SALVAGE;
    wal = open_log(&config);
    append_range(wal, 301, 1, 1000);
    for (uint64_t number = 1; number <= 300; number++)
        compare_at(wal, dir, positions[number]);
    expect_point(wal, positions[100], 100);
    expect_point(wal, positions[290], 290); /* behind the mark that follows the damage */
    close_log(wal);
}

static void a_borrowing_reader_outlives_its_log(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_position first = append_numbered(wal, 1, 1000);
    nori_reader *early = NULL;
    nori_reader *late = NULL;

    append_range(wal, 2, COUNT - 1, 1000);
    assert_int_equal(nori_wal_read_from(wal, first, &early), NORI_OK);
    assert_int_equal(nori_wal_read_from(wal, position_of(wal), &late), NORI_OK);
    close_log(wal);
    expect_range(early, 1, COUNT, 1);
    wal = open_dir(dir);
    append_range(wal, COUNT + 1, 10, 1000);
    expect_range(early, COUNT + 1, 10, COUNT + 1);
    expect_range(late, COUNT + 1, 10, COUNT + 1);
    nori_reader_close(early);
    nori_reader_close(late);
    close_log(wal);
}

/* D11: retention raises nothing, a reader keeps the segment it is in, also what was appended to it
 * after it was lent. */
static void what_was_lent_is_read_to_the_segments_end_although_it_was_dropped(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_position first = append_numbered(wal, 1, 1000);
    nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position position;
    uint64_t number = 0;

    append_range(wal, 2, 99, 1000);
    expect_point(wal, first, 1);
    assert_int_equal(nori_wal_read_from(wal, first, &reader), NORI_OK);
    append_range(wal, 101, COUNT - 100, 1000);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    while (nori_reader_next(reader, &record, &position) == NORI_OK) {
        number++;
        assert_int_equal(record.sequence, number);
        assert_int_equal(position.segment_id, 0);
    }
    assert_true(number > 900);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_TRUNCATED);
    nori_reader_close(reader);
    assert_int_equal(nori_wal_read_from(wal, first, &reader), NORI_E_NOTFOUND);
    close_log(wal);
}

/* D11: so it is if the reader was opened when the segment had ended, and stands before a mark when
 * it goes. */
static void an_ended_segment_that_was_lent_is_read_to_its_end_although_it_was_dropped(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_position first = append_numbered(wal, 1, 1000);
    nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position position = first;
    uint64_t last = 1; /* in the first segment */
    uint64_t number = 1;

    while ((position = append_numbered(wal, last + 1, 1000)).segment_id == 0)
        last++;
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(nori_wal_read_from(wal, first, &reader), NORI_OK);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(nori_wal_delete_segments_before(wal, position, NULL), NORI_OK);
    while (nori_reader_next(reader, &record, &position) == NORI_OK && number < last) {
        number++;
        assert_int_equal(record.sequence, number);
        assert_int_equal(position.segment_id, 0);
    }
    assert_int_equal(number, last);
    nori_reader_close(reader);
    close_log(wal);
}

/* What is kept mapped has its inode kept: the disk would fill although segments are dropped. */
static void dropped_segments_give_their_space_back_although_they_were_read(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = open_sim(sim);
    struct nori_position positions[COUNT + 1];

    (void)state;
    for (uint64_t number = 1; number <= COUNT; number++)
        positions[number] = append_numbered(wal, number, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    for (uint64_t number = 1; number <= COUNT; number += 100)
        expect_point(wal, positions[number], number);
    assert_true(nori_sim_used_bytes(sim) > 3000000);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    assert_true(nori_sim_used_bytes(sim) < 1000000);
    close_log(wal);
    nori_sim_free(sim);
}

/* The handle's own map must not keep what it reserved ahead of need for ever. */
static void an_ended_segment_is_trimmed_although_it_was_read(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    uint64_t deadline;
    size_t reserved;
    nori_wal *wal;
    struct nori_position first;

    config.max_segment_size = 4 * MIB;
    wal = open_log(&config);
    first = append_numbered(wal, 1, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK); /* it has its name */
    expect_point(wal, first, 1);
    reserved = file_len(dir, segment_name(0));
    assert_true(reserved >= MIB);
    close_log(wal);
    wal = open_log(&config);
    expect_point(wal, first, 1); /* the last segment, still */
    append_range(wal, 2, 10, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    for (deadline = now_ms() + PATIENT; file_len(dir, segment_name(0)) >= reserved; sleep_ms(5))
        assert_true(now_ms() < deadline);
    expect_point(wal, first, 1);
    close_log(wal);
}

/* A durable reader shows no more because it borrows. */
static void a_durable_reader_borrows_only_what_is_durable(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_position first = append_numbered(wal, 1, 100);
    struct nori_record record;
    nori_reader *reader = NULL;

    config.visibility = NORI_VISIBLE_DURABLE;
    append_range(wal, 2, 9, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 11, 10, 100);
    assert_int_equal(nori_wal_read_with(wal, &config, first, &reader), NORI_OK);
    expect_range(reader, 1, 10, 1);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_range(reader, 11, 10, 11);
    nori_reader_close(reader);
    close_log(wal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_was_read_is_read_again_without_a_call_of_the_seam),
        cmocka_unit_test(a_scan_over_marks_makes_no_call_of_the_seam_either),
        cmocka_unit_test(more_segments_than_are_kept_are_read_as_well),
        IN_FOLDER(every_offset_gives_what_it_gives_to_any_reader),
        IN_FOLDER(damage_in_what_is_lent_is_told_as_ever),
        IN_FOLDER(a_borrowing_reader_outlives_its_log),
        IN_FOLDER(what_was_lent_is_read_to_the_segments_end_although_it_was_dropped),
        IN_FOLDER(an_ended_segment_that_was_lent_is_read_to_its_end_although_it_was_dropped),
        cmocka_unit_test(dropped_segments_give_their_space_back_although_they_were_read),
        IN_FOLDER(an_ended_segment_is_trimmed_although_it_was_read),
        IN_FOLDER(a_durable_reader_borrows_only_what_is_durable),
    };

    return cmocka_run_group_tests_name("points", tests, NULL, NULL);
}
