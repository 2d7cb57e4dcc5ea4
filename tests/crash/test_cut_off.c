/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_cut_off.c: readers at records that a recovery cuts off (D1, D11).
 *
 * A power cut may keep records behind the place where the log ends now, whole and in their place.
 * They stay on the disk while the next life gives their positions to records of its own. A reader
 * that stands at one of them may not be told so at once; but when the next life has got that far
 * it must not be shown what is not part of the log.
 */
#include "../api/helpers.h"
#include "../support/between.h"

#include <nori/sim.h>

#define RECORD_LEN ((size_t)4000)
#define LONG_NS    ((uint64_t)100000000000)
#define NEW        100000 /* number of the first record of the next life */
#define NEW_COUNT  300    /* of them: further than what was cut off */

struct image {
    nori_sim *sim;
    struct nori_position kept; /* of a record behind the end */
};

static void sync_of_named_takes_long(void *context, const char *name)
{
    if (strcmp(name, "spare") != 0)
        nori_sim_sleep(context, LONG_NS);
}

/* A power cut that keeps all that was written, but for bytes [from, to) of one file, and the newest
 * words of `control`. */
static nori_sim *power_cut_that_loses(nori_sim *sim, const char *name, uint64_t from, uint64_t to)
{
    size_t count = nori_sim_unsynced_count(sim);
    uint32_t *ways = calloc(count, sizeof *ways);
    nori_sim *after = NULL;

    assert_non_null(ways);
    for (size_t i = 0; i < count; i++) {
        struct nori_sim_unsynced unsynced;

        assert_int_equal(nori_sim_unsynced(sim, i, &unsynced), NORI_OK);
        ways[i] = unsynced.ways - 1;
        if (unsynced.kind == NORI_SIM_UNSYNCED_SECTOR &&
            (strcmp(unsynced.name, "control") == 0 ||
             (strcmp(unsynced.name, name) == 0 && unsynced.offset >= from && unsynced.offset < to)))
            ways[i] = 0;
    }
    assert_int_equal(nori_sim_power_cut_choose(sim, ways, count, &after), NORI_OK);
    free(ways);
    return after;
}

/* A log that was closed with ten records, and then another life, the syncs of which did not come to
 * their end. */
static nori_wal *second_life(nori_sim *sim)
{
    struct between between = {.before_sync = sync_of_named_takes_long, .context = sim};
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, 10, RECORD_LEN);
    close_log(wal);
    nori_sim_sync_all(sim);
    config.vfs = between_begin(nori_sim_vfs(sim), &between);
    return open_log(&config);
}

/* The log ends in the middle of its newest segment. */
static struct image torn_in_the_newest(void)
{
    struct image image = {NULL, {0, 0}};
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = second_life(sim);

    (void)append_numbered(wal, 11, RECORD_LEN);
    nori_sim_sleep(sim, LONG_NS / 10); /* the segment has its name */
    for (uint64_t number = 12; number < 80; number++) {
        struct nori_position position = append_numbered(wal, number, RECORD_LEN);

        if (number == 50)
            image.kept = position;
    }
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    image.sim = power_cut_that_loses(sim, segment_name(1), 20480, 24576);
    close_log(wal);
    nori_sim_free(sim);
    return image;
}

/* The log ends in a segment that has a successor: that one is dead, with records in it. */
static struct image torn_before_the_newest(void)
{
    struct image image = {NULL, {0, 0}};
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = second_life(sim);
    uint64_t number = 11;

    do {
        image.kept = append_numbered(wal, number++, RECORD_LEN);
        if (image.kept.offset < 5000)
            nori_sim_sleep(sim, LONG_NS / 10);
    } while (image.kept.segment_id < 2 || image.kept.offset < 20000);
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    nori_sim_sleep(sim, LONG_NS / 10);
    image.sim = power_cut_that_loses(sim, segment_name(1), 100000, MIB);
    close_log(wal);
    nori_sim_free(sim);
    image.kept.offset = 0; /* wherever in that segment */
    return image;
}

static nori_reader *reader_at(const struct image *image)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;

    config.vfs = nori_sim_vfs(image->sim);
    (void)nori_reader_open_with("wal", &config, image->kept, &reader, NULL);
    return reader;
}

/* The next life gets further than the reader, which is told so and shown nothing. */
static void expect_truncated(nori_wal *wal, nori_reader *reader)
{
    struct nori_record record;
    int rc = nori_reader_next(reader, &record, NULL);

    if (rc == NORI_END) {
        append_range(wal, NEW, NEW_COUNT, RECORD_LEN);
        rc = nori_reader_next(reader, &record, NULL);
    }
    assert_int_equal(rc, NORI_E_TRUNCATED);
    nori_reader_close(reader);
}

/* Its place was in the log as far as it could tell before anybody had opened that. */
static void look_before_the_recovery(struct image image)
{
    struct nori_wal_config config = config_on(image.sim);
    nori_reader *reader = reader_at(&image);
    struct nori_record record;
    nori_wal *wal;

    assert_non_null(reader);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    wal = open_log(&config);
    expect_truncated(wal, reader);
    close_log(wal);
    nori_sim_free(image.sim);
}

/* Nor is one that comes when the log is open, before or behind the first append. */
static void look_behind_the_recovery(struct image image)
{
    struct nori_wal_config config = config_on(image.sim);
    nori_wal *wal = open_log(&config);
    nori_reader *foreign = reader_at(&image);
    nori_reader *own = NULL;

    (void)nori_wal_read_from(wal, image.kept, &own);
    if (foreign)
        expect_truncated(wal, foreign);
    if (own)
        expect_truncated(wal, own);
    (void)append_numbered(wal, NEW, RECORD_LEN);
    assert_null(reader_at(&image));
    close_log(wal);
    nori_sim_free(image.sim);
}

static void what_is_cut_off_in_the_newest_segment_is_not_shown_again(void **state)
{
    (void)state;
    look_before_the_recovery(torn_in_the_newest());
    look_behind_the_recovery(torn_in_the_newest());
}

static void what_lies_in_a_dead_segment_is_not_shown_again(void **state)
{
    (void)state;
    look_before_the_recovery(torn_before_the_newest());
    look_behind_the_recovery(torn_before_the_newest());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_off_in_the_newest_segment_is_not_shown_again),
        cmocka_unit_test(what_lies_in_a_dead_segment_is_not_shown_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
