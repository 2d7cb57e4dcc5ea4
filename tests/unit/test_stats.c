/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_stats.c: the numbers in the page of `control`, as another process sees them. */
#include "../api/helpers.h"

#include "wal/log.h"

#include <unistd.h>

/* The folder's control as a viewer opens it: nothing of the writer's handle is used. */
struct viewer {
    struct nw_env env;
    struct nw_control *control;
    const struct nw_stats *stats;
};

static void begin_viewing(struct viewer *viewer, const char *dir)
{
    struct nori_error error = NORI_ERROR_INIT;

    *viewer =
        (struct viewer){.env = {.vfs = nori_vfs_posix(), .allocator = nori_allocator_malloc()}};
    assert_int_equal(viewer->env.vfs->open_folder(NULL, dir, 0, 0, &viewer->env.folder), 0);
    assert_int_equal(nw_control_open(&viewer->env, false, &viewer->control, &error), NORI_OK);
    assert_non_null(viewer->control);
    viewer->stats = &viewer->control->words->stats;
}

static void end_viewing(struct viewer *viewer)
{
    nw_control_unref(viewer->control);
    viewer->env.folder->ops->close(viewer->env.folder);
}

static uint64_t observations(const struct nw_stats *stats, enum nw_stage stage)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < NW_STATS_BUCKETS; i++)
        sum += atomic_load(&stats->stages[stage][i]);
    return sum;
}

static void a_viewer_sees_what_a_live_log_does(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_record batch[3];
    struct viewer viewer;
    nori_wal *wal;

    config.fsync_policy = NORI_FSYNC_ALWAYS;
    config.batch_window_us = 700;
    wal = open_log(&config);
    begin_viewing(&viewer, dir_of(state));
    assert_int_equal(atomic_load(&viewer.stats->layout), NW_STATS_LAYOUT);
    assert_int_equal(atomic_load(&viewer.stats->appends), 0);
    append_range(wal, 0, 5, 100);
    batch[0] = nori_record_put("a", 1, "x", 1);
    batch[1] = nori_record_delete("a", 1);
    batch[2] = nori_record_delete("b", 1);
    assert_int_equal(nori_wal_append_batch(wal, batch, 3, NULL), NORI_OK);
    assert_int_equal(nori_wal_append_batch(wal, batch, 0, NULL), NORI_E_INVALID);

    assert_int_equal(atomic_load(&viewer.stats->process_id), (uint64_t)getpid());
    assert_true(atomic_load(&viewer.stats->opened_ms) > 1600000000000u);
    assert_int_equal(atomic_load(&viewer.stats->format_policy),
                     (uint64_t)2 << 32 | NORI_FSYNC_ALWAYS);
    assert_int_equal(atomic_load(&viewer.stats->window_us), 700);
    assert_int_equal(atomic_load(&viewer.stats->ring_len), 4 * MIB);
    assert_int_equal(atomic_load(&viewer.stats->segment_size_max), MIB);
    assert_int_equal(atomic_load(&viewer.stats->segment_count), 1);
    assert_int_equal(atomic_load(&viewer.stats->is_failed), 0);
    assert_int_equal(atomic_load(&viewer.stats->opened_sequence), 1);
    assert_int_equal(atomic_load(&viewer.stats->next_sequence), 9);
    assert_int_equal(atomic_load(&viewer.stats->appends), 6);
    assert_int_equal(atomic_load(&viewer.stats->batches), 1);
    assert_int_equal(atomic_load(&viewer.stats->deletes), 2);
    /* one more: the header's, by the thread */
    assert_in_range(atomic_load(&viewer.stats->syncs), 6, 7);
    assert_int_equal(atomic_load(&viewer.stats->errors_refused), 1);
    assert_int_equal(observations(viewer.stats, NW_STAGE_ENCODE), 1);
    assert_true(observations(viewer.stats, NW_STAGE_WRITE) >= 6);
    assert_int_equal(observations(viewer.stats, NW_STAGE_SYNC), atomic_load(&viewer.stats->syncs));
    assert_true(atomic_load(&viewer.stats->stage_ns[NW_STAGE_SYNC]) > 0);
    close_log(wal);
    end_viewing(&viewer);
}

static void each_life_begins_with_zeros_and_leaves_its_last_numbers(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct viewer viewer;
    nori_wal *wal = open_log(&config);
    struct nori_position end;

    append_range(wal, 0, 3000, 1000); /* two segments and more */
    end = position_of(wal);
    assert_int_equal(nori_wal_delete_segments_before(wal, end, NULL), NORI_OK);
    close_log(wal);

    begin_viewing(&viewer, dir_of(state));
    assert_int_equal(atomic_load(&viewer.stats->appends), 3000);
    assert_int_equal(atomic_load(&viewer.stats->rolls), 3);
    assert_int_equal(atomic_load(&viewer.stats->drops), 3);
    assert_int_equal(atomic_load(&viewer.stats->segment_count), 1);
    wal = open_log(&config);
    assert_int_equal(atomic_load(&viewer.stats->layout), NW_STATS_LAYOUT);
    assert_int_equal(atomic_load(&viewer.stats->appends), 0);
    assert_int_equal(atomic_load(&viewer.stats->rolls), 0);
    assert_int_equal(atomic_load(&viewer.stats->opened_sequence), 3001);
    assert_int_equal(atomic_load(&viewer.stats->opened_lsn),
                     atomic_load(&viewer.control->words->published));
    close_log(wal);
    end_viewing(&viewer);
}

/* 128 ns and its doubles are where the next bucket begins. */
static void a_duration_goes_to_the_bucket_that_holds_it(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal = open_log(&config);
    const struct nw_stats *stats = &wal->control->words->stats;
    const uint64_t second = 1000000000;

    nw_stats_stage(wal, NW_STAGE_WAKE, 0);
    nw_stats_stage(wal, NW_STAGE_WAKE, 127);
    assert_int_equal(atomic_load(&stats->stages[NW_STAGE_WAKE][0]), 2);
    for (unsigned i = 1; i < NW_STATS_BUCKETS - 1; i++) {
        nw_stats_stage(wal, NW_STAGE_WAKE, (uint64_t)64 << i);
        nw_stats_stage(wal, NW_STAGE_WAKE, ((uint64_t)128 << i) - 1);
        assert_int_equal(atomic_load(&stats->stages[NW_STAGE_WAKE][i]), 2);
    }
    nw_stats_stage(wal, NW_STAGE_WAKE, 9 * second);
    nw_stats_stage(wal, NW_STAGE_WAKE, UINT64_MAX / 2);
    assert_int_equal(atomic_load(&stats->stages[NW_STAGE_WAKE][NW_STATS_BUCKETS - 1]), 2);
    assert_int_equal(observations(stats, NW_STAGE_WAKE), 2 * NW_STATS_BUCKETS);
    close_log(wal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_viewer_sees_what_a_live_log_does),
        IN_FOLDER(each_life_begins_with_zeros_and_leaves_its_last_numbers),
        IN_FOLDER(a_duration_goes_to_the_bucket_that_holds_it),
    };

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
