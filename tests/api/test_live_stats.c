/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_live_stats.c: a log's numbers, by its own handle and by the name of its folder: they are
 * what was done, both ways tell the same, and a log that is dead, closed or not there says so.
 */
#define _GNU_SOURCE 1

#include "helpers.h"

#include <nori/sim.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct nori_wal_stats numbers_of(nori_wal *wal)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    assert_int_equal(nori_wal_stats(wal, &stats), NORI_OK);
    return stats;
}

static struct nori_wal_stats numbers_in(const char *dir)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_live_stats(dir, NULL, &stats, &error);

    if (rc != NORI_OK)
        fail_msg("nori_log_live_stats: %s", error.message);
    return stats;
}

/* What the clock, and nothing else, makes differ between two looks. */
static void clear_times(struct nori_wal_stats *stats)
{
    stats->sampled_ms = stats->sampled_ns = stats->elapsed_ns = 0;
}

/* Where in the struct they differ; its size if they do not. */
static size_t find_difference(nori_wal *wal, const char *dir)
{
    struct nori_wal_stats own = numbers_of(wal);
    struct nori_wal_stats outside = numbers_in(dir);
    size_t at = 0;

    clear_times(&own);
    clear_times(&outside);
    while (at < sizeof own && ((const char *)&own)[at] == ((const char *)&outside)[at])
        at++;
    return at;
}

/* Both ways tell the same, in every byte, once the threads of the library have come to rest. */
static void expect_both_agree(nori_wal *wal, const char *dir)
{
    uint64_t deadline = now_ms() + PATIENT;
    size_t at;

    do
        at = find_difference(wal, dir);
    while (at < sizeof(struct nori_wal_stats) && now_ms() < deadline);
    if (at < sizeof(struct nori_wal_stats))
        fail_msg("they differ at byte %zu", at);
}

/* ---- what they tell ---- */

static void numbers_are_what_was_done(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_record batch[3] = {nori_record_put("a", 1, "x", 1), nori_record_delete("a", 1),
                                   nori_record_delete("b", 1)};
    struct nori_position first = {0, 0};
    uint64_t deadline = now_ms() + PATIENT;
    struct nori_wal_stats stats;
    nori_wal *wal;

    config.fsync_policy = NORI_FSYNC_ALWAYS;
    config.batch_window_us = 700;
    wal = open_log(&config);
    append_range(wal, 1, 5, 100);
    assert_int_equal(nori_wal_append_batch(wal, batch, 3, NULL), NORI_OK);
    assert_int_equal(nori_wal_append_batch(wal, batch, 0, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_first_position(wal, &first), NORI_OK);

    do /* the thread that syncs counts when those who wait have been woken */
        stats = numbers_of(wal);
    while ((stats.syncs < 6 || stats.sync.count != stats.syncs) && now_ms() < deadline);
    assert_int_equal(stats.is_writer_alive, 1);
    assert_int_equal(stats.is_known, 1);
    assert_int_equal(stats.was_closed, 0);
    assert_int_equal(stats.has_failed, 0);
    assert_int_equal(stats.format, 2);
    assert_int_equal(stats.fsync_policy, NORI_FSYNC_ALWAYS);
    assert_int_equal(stats.batch_window_us, 700);
    assert_int_equal(stats.process_id, (uint64_t)getpid());
    assert_true(stats.opened_ms > 0 && stats.opened_ms <= stats.sampled_ms);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.segment_size_max, MIB);
    assert_int_equal(stats.appends, 6);
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.puts, 6);
    assert_int_equal(stats.deletes, 2);
    assert_int_equal(stats.errors_refused, 1);
    assert_int_equal(stats.errors_io + stats.errors_nospace, 0);
    assert_true(is_same_position(stats.oldest, first));
    assert_true(is_same_position(stats.appended, position_of(wal)));
    assert_true(is_same_position(stats.durable, stats.appended));
    assert_true(is_same_position(stats.written, stats.appended));
    assert_int_equal(stats.appended_lsn, stats.appended.offset);
    assert_int_equal(stats.bytes, stats.appended_lsn);
    assert_int_equal(stats.appended_bytes, stats.appended_lsn);
    assert_int_equal(stats.lag_bytes, 0);
    assert_int_equal(stats.ring_bytes, 4 * MIB);
    assert_int_equal(stats.ring_used, 0);
    assert_true(stats.bytes_ahead > 0);
    assert_in_range(stats.syncs, 6, 7); /* one more: the header's, by the thread */
    assert_int_equal(stats.sync.count, stats.syncs);
    assert_true(stats.sync.p50_ns > 0 && stats.sync.p50_ns <= stats.sync.p99_ns);
    assert_true(stats.sync.p99_ns <= stats.sync.p999_ns);
    assert_true(stats.sync.p999_ns <= stats.sync.max_ns);
    assert_true(stats.sync.max_ns <= stats.sync.sum_ns);
    assert_true(stats.write.count >= 6);
    close_log(wal);
}

/* The lag is what a power cut may take now (D3). */
static void what_is_not_durable_is_the_lag(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir); /* policy os */
    struct nori_wal_stats stats;

    append_range(wal, 1, 10, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 11, 10, 100);
    stats = numbers_of(wal);
    assert_true(is_same_position(stats.durable, durable_of(wal)));
    assert_true(is_same_position(stats.appended, position_of(wal)));
    assert_int_equal(stats.lag_bytes, stats.appended.offset - stats.durable.offset);
    assert_true(stats.lag_bytes > 1000);
    assert_int_equal(stats.ring_used, stats.appended_lsn - stats.written_lsn);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(numbers_of(wal).lag_bytes, 0);
    close_log(wal);
}

/* Positions, too, in a log of many segments whose oldest are dropped, in either format. */
static void inside_and_outside_tell_the_same(void **state)
{
    const struct temporary *temporary = *state;

    for (uint32_t format = 1; format <= 2; format++) {
        const char *dir = format == 1 ? temporary->other : temporary->dir;
        struct nori_wal_config config = config_of(dir);
        nori_wal *wal;

        config.format = format;
        wal = open_log(&config);
        expect_both_agree(wal, dir);
        for (uint64_t i = 0; i < 20; i++) {
            append_range(wal, 1 + i * 400, 400, 1000);
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
            if (i % 7 == 6)
                assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL),
                                 NORI_OK);
            append_range(wal, 8001 + i, 1, 100);
            assert_int_equal(nori_wal_flush(wal), NORI_OK);
            expect_both_agree(wal, dir);
        }
        assert_true(numbers_in(dir).rolls >= 7);
        assert_true(numbers_in(dir).drops >= 5);
        close_log(wal);
    }
}

/* ---- who is alive ---- */

static int write_until_killed(void *context)
{
    nori_wal *wal = NULL;
    struct nori_wal_config config = config_of(context);
    struct nori_record record = nori_record_put("key", 3, "value", 5);

    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (int i = 0; i < 100; i++)
        CHILD_CHECK(nori_wal_append(wal, &record, NULL) == NORI_OK);
    (void)pause();
    return 1;
}

static void a_writer_in_another_process_is_seen_alive_and_dead(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    uint64_t deadline = now_ms() + PATIENT;
    int child = start_child(write_until_killed, (void *)(uintptr_t)dir);

    while (stats.appends < 100 && now_ms() < deadline)
        (void)nori_log_live_stats(dir, NULL, &stats, NULL);
    assert_int_equal(stats.appends, 100);
    assert_int_equal(stats.is_writer_alive, 1);
    assert_int_equal(stats.process_id, (uint64_t)child);
    assert_true(stats.elapsed_ns < (uint64_t)PATIENT * 1000000);

    assert_int_equal(kill(child, SIGKILL), 0);
    (void)end_of_child(child);
    stats = numbers_in(dir);
    assert_int_equal(stats.is_writer_alive, 0);
    assert_int_equal(stats.was_closed, 0);
    assert_int_equal(stats.is_known, 1);
    assert_int_equal(stats.appends, 100);
    assert_int_equal(stats.elapsed_ns, 0);
}

static void a_closed_log_says_so_and_keeps_its_last_numbers(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_wal_stats stats;

    append_range(wal, 1, 10, 100);
    close_log(wal);
    stats = numbers_in(dir);
    assert_int_equal(stats.is_writer_alive, 0);
    assert_int_equal(stats.was_closed, 1);
    assert_int_equal(stats.appends, 10);
    assert_int_equal(stats.lag_bytes, 0);
    wal = open_dir(dir);
    stats = numbers_in(dir);
    assert_int_equal(stats.is_writer_alive, 1);
    assert_int_equal(stats.was_closed, 0);
    assert_int_equal(stats.appends, 0);
    close_log(wal);
}

static void looking_changes_nothing(void **state)
{
    const char *dir = dir_of(state);
    struct snapshot *snapshot;
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 10, 100);
    close_log(wal);
    snapshot = take_snapshot(dir);
    (void)numbers_in(dir);
    expect_unchanged(dir, snapshot);
    free_snapshot(snapshot);
}

static void where_there_is_no_log_it_is_said(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    assert_int_equal(nori_log_live_stats(temporary->dir, NULL, &stats, &error), NORI_E_NOTFOUND);
    make_dir(temporary->dir);
    assert_int_equal(nori_log_live_stats(temporary->dir, NULL, &stats, &error), NORI_E_NOTFOUND);
    assert_non_null(strstr(error.message, "there is no log"));
    assert_int_equal(nori_log_live_stats(NULL, NULL, &stats, &error), NORI_E_INVALID);
    assert_int_equal(nori_log_live_stats(temporary->dir, NULL, NULL, &error), NORI_E_INVALID);
    options.flags = NORI_LOG_DRY_RUN;
    assert_int_equal(nori_log_live_stats(temporary->dir, &options, &stats, &error), NORI_E_INVALID);
    assert_int_equal(stats.size, sizeof stats);
}

/* What somebody left in the folder under a name of ours is none of the log. */
static void what_is_no_segment_of_this_log_does_not_count(void **state)
{
    const struct temporary *temporary = *state;
    nori_wal *wal = open_dir(temporary->dir);
    struct nori_wal_stats before, stats;
    char path[300];
    uint8_t *bytes;
    size_t len;

    append_range(wal, 1, 10, 100);
    close_log(wal);
    before = numbers_in(temporary->dir);
    wal = open_dir(temporary->other);
    append_range(wal, 1, 10, 100);
    close_log(wal);
    bytes = load_file(temporary->other, segment_name(0), &len);
    store_file(temporary->dir, segment_name(8), bytes, len);
    (void)snprintf(path, sizeof path, "%s/%s", temporary->dir, segment_name(9));
    make_dir(path);
    stats = numbers_in(temporary->dir);
    assert_true(is_same_position(stats.appended, before.appended));
    assert_true(is_same_position(stats.durable, before.durable));
    free(bytes);
}

/* As a backup's: the page would tell of another folder. */
static void a_copied_control_is_not_believed(void **state)
{
    const struct temporary *temporary = *state;
    nori_wal *wal = open_dir(temporary->dir);
    struct nori_wal_stats stats;

    append_range(wal, 1, 3000, 1000);
    close_log(wal);
    copy_dir(temporary->dir, temporary->other);
    stats = numbers_in(temporary->other);
    assert_int_equal(stats.is_known, 0);
    assert_int_equal(stats.is_writer_alive, 0);
    assert_int_equal(stats.segments, count_files(temporary->other, ".wal"));
    assert_int_equal(stats.appends, 0);
}

/* Between a roll and the end of the next sync the newest segment lies in `spare`. */
static void a_segment_that_has_no_name_yet_counts(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    char named[300], unnamed[300];
    struct nori_wal_stats before, after;

    append_range(wal, 1, 2500, 1000);
    close_log(wal);
    before = numbers_in(dir);
    assert_true(before.appended.segment_id >= 2);
    (void)snprintf(named, sizeof named, "%s/%s", dir, segment_name(before.appended.segment_id));
    (void)snprintf(unnamed, sizeof unnamed, "%s/spare", dir);
    assert_int_equal(rename(named, unnamed), 0);
    after = numbers_in(dir);
    assert_true(is_same_position(after.appended, before.appended));
    assert_true(is_same_position(after.durable, before.durable));
    assert_int_equal(after.segments, before.segments);
    assert_int_equal(after.bytes_ahead, before.bytes_ahead);
    assert_int_equal(after.spare_bytes, 0);
}

/* Only the oldest and the newest headers are looked at, however many segments there are. */
static void positions_are_right_among_many_segments(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_wal_stats inside, outside;

    append_range(wal, 1, 15000, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    inside = numbers_of(wal);
    outside = numbers_in(dir);
    assert_true(inside.segments > 10);
    assert_int_equal(outside.segments, inside.segments);
    assert_true(is_same_position(outside.oldest, inside.oldest));
    assert_true(is_same_position(outside.durable, inside.durable));
    assert_true(is_same_position(outside.appended, inside.appended));
    close_log(wal);
    assert_true(is_same_position(numbers_in(dir).oldest, inside.oldest));
}

/* ---- failures ---- */

/* D8 */
static void a_failed_log_still_tells_its_numbers(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(&options);
    struct nori_wal_config config = config_of("wal");
    struct nori_log_options look = NORI_LOG_OPTIONS_INIT;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    nori_wal *wal;

    (void)state;
    config.vfs = look.vfs = nori_sim_vfs(sim);
    wal = open_log(&config);
    append_range(wal, 1, 10, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 11, 10, 100);
    options.fail_mask = NORI_SIM_SYNC;
    options.fail_nth = 1;
    nori_sim_set_options(sim, &options);
    assert_true(nori_wal_sync(wal) < 0);
    stats = numbers_of(wal);
    assert_int_equal(stats.has_failed, 1);
    assert_int_equal(stats.errors_io, 1);
    assert_true(stats.lag_bytes > 0);
    assert_int_equal(nori_log_live_stats("wal", &look, &stats, NULL), NORI_OK);
    assert_int_equal(stats.has_failed, 1);
    assert_int_equal(stats.appends, 20);
    (void)nori_wal_close(wal);
    nori_sim_free(sim);
}

static int ask_in_child(void *context)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    return nori_wal_stats(context, &stats) == NORI_E_INVALID ? 0 : 1;
}

static void a_forked_child_is_refused(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    int status = run_child(ask_in_child, wal);

    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close_log(wal);
}

/* Callers built with an older or a newer header. */
static void a_shorter_struct_gets_as_much_as_it_holds_and_a_longer_one_zeros(void **state)
{
    struct {
        struct nori_wal_stats stats;
        uint64_t later[4];
    } longer;
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_wal_stats full;
    size_t cut = offsetof(struct nori_wal_stats, segments);

    append_range(wal, 1, 10, 100);
    memset(&longer, 0xaa, sizeof longer);
    longer.stats.size = sizeof longer;
    assert_int_equal(nori_wal_stats(wal, &longer.stats), NORI_OK);
    assert_int_equal(longer.stats.size, sizeof longer);
    assert_int_equal(longer.stats.appends, 10);
    assert_int_equal(longer.later[0] | longer.later[3], 0);

    memset(&full, 0xaa, sizeof full);
    full.size = cut;
    assert_int_equal(nori_wal_stats(wal, &full), NORI_OK);
    assert_int_equal(full.is_known, 1);
    assert_true(full.segments == UINT64_C(0xaaaaaaaaaaaaaaaa));
    full.size = 0;
    assert_int_equal(nori_wal_stats(wal, &full), NORI_E_INVALID);
    assert_int_equal(nori_wal_stats(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_stats(NULL, &full), NORI_E_INVALID);
    close_log(wal);
}

/* ---- between two looks ---- */

static void between_two_looks_only_what_happened_then_counts(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_wal_stats before, after;
    struct nori_wal_stats between = NORI_WAL_STATS_INIT;

    append_range(wal, 1, 10, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    before = numbers_of(wal);
    append_range(wal, 11, 7, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    after = numbers_of(wal);
    assert_int_equal(nori_wal_stats_between(&before, &after, &between), NORI_OK);
    assert_int_equal(between.appends, 7);
    assert_int_equal(between.puts, 7);
    assert_int_equal(between.appended_bytes, after.appended_lsn - before.appended_lsn);
    assert_int_equal(between.elapsed_ns, after.sampled_ns - before.sampled_ns);
    assert_int_equal(between.syncs, after.syncs - before.syncs);
    assert_int_equal(between.sync.count, after.sync.count - before.sync.count);
    assert_true(between.sync.count > 0 && between.sync.max_ns <= after.sync.max_ns);
    assert_true(between.sync.p50_ns <= between.sync.max_ns);
    assert_true(is_same_position(between.appended, after.appended));
    assert_int_equal(nori_wal_stats_between(&before, &before, &between), NORI_OK);
    assert_int_equal(between.appends, 0);
    assert_int_equal(between.sync.count, 0);
    assert_int_equal(between.sync.max_ns, 0);
    assert_int_equal(between.elapsed_ns, 0);
    assert_int_equal(nori_wal_stats_between(&before, &after, &after), NORI_OK);
    assert_int_equal(after.appends, 7);
    assert_int_equal(nori_wal_stats_between(NULL, &after, &between), NORI_E_INVALID);
    assert_int_equal(nori_wal_stats_between(&before, NULL, &between), NORI_E_INVALID);
    assert_int_equal(nori_wal_stats_between(&before, &after, NULL), NORI_E_INVALID);
    between.size = (size_t)1 << 20; /* what stood in memory */
    assert_int_equal(nori_wal_stats_between(&before, &after, &between), NORI_E_INVALID);
    close_log(wal);
}

/* A longest time without anything that took so long, as a look while it was stored may have. */
static void a_longest_time_belongs_to_something_that_happened(void **state)
{
    struct nori_wal_stats before = NORI_WAL_STATS_INIT, after, between = NORI_WAL_STATS_INIT;

    (void)state;
    before.is_known = 1;
    before.process_id = 7;
    before.sync.buckets[3] = 5;
    after = before;
    after.sync.max_ns = 1000000;
    assert_int_equal(nori_wal_stats_between(&before, &after, &between), NORI_OK);
    assert_int_equal(between.sync.count, 0);
    assert_int_equal(between.sync.max_ns, 0);
}

/* Two processes may open a log in the same millisecond. */
static void of_another_process_all_it_did_counts(void **state)
{
    struct nori_wal_stats before = NORI_WAL_STATS_INIT, after, between = NORI_WAL_STATS_INIT;

    (void)state;
    before.is_known = 1;
    before.opened_ms = 1700000000000;
    before.process_id = 7;
    before.appends = 10;
    after = before;
    after.process_id = 8;
    after.appends = 12;
    assert_int_equal(nori_wal_stats_between(&before, &after, &between), NORI_OK);
    assert_int_equal(between.appends, 12);
    after.process_id = 7;
    assert_int_equal(nori_wal_stats_between(&before, &after, &between), NORI_OK);
    assert_int_equal(between.appends, 2);
}

static void of_a_new_writer_all_it_did_counts(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_wal_stats before, after;

    append_range(wal, 1, 10, 100);
    before = numbers_of(wal);
    close_log(wal);
    sleep_ms(2); /* a writer is known by when it opened the log */
    wal = open_dir(dir);
    append_range(wal, 11, 20, 100);
    after = numbers_of(wal);
    assert_int_equal(nori_wal_stats_between(&before, &after, &after), NORI_OK);
    assert_int_equal(after.appends, 20);
    close_log(wal);
}

/* ---- while others are at it ---- */

struct crowd {
    nori_wal *wal;
    const char *dir;
    atomic_bool is_over;
    atomic_uint wrong;
};

static void check_order(struct crowd *crowd, const struct nori_wal_stats *stats)
{
    if (stats->oldest_lsn > stats->durable_lsn || stats->durable_lsn > stats->written_lsn ||
        stats->written_lsn > stats->appended_lsn || stats->ring_used > stats->ring_bytes ||
        stats->appended.segment_id < stats->durable.segment_id)
        atomic_fetch_add(&crowd->wrong, 1);
}

static void *look_all_the_time(void *argument)
{
    struct crowd *crowd = argument;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    while (!atomic_load(&crowd->is_over)) {
        if (nori_wal_stats(crowd->wal, &stats) != NORI_OK)
            atomic_fetch_add(&crowd->wrong, 1);
        check_order(crowd, &stats);
        if (nori_log_live_stats(crowd->dir, NULL, &stats, NULL) != NORI_OK || stats.is_known == 0)
            atomic_fetch_add(&crowd->wrong, 1);
        check_order(crowd, &stats);
    }
    return NULL;
}

static void positions_stand_in_order_while_the_log_rolls(void **state)
{
    struct crowd crowd = {.dir = dir_of(state)};
    pthread_t threads[2];

    crowd.wal = open_dir(crowd.dir);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_all_the_time, &crowd), 0);
    for (uint64_t i = 0; i < 20; i++) {
        append_range(crowd.wal, 1 + i * 500, 500, 1000);
        if (i % 5 == 4)
            assert_int_equal(
                nori_wal_delete_segments_before(crowd.wal, durable_of(crowd.wal), NULL), NORI_OK);
    }
    atomic_store(&crowd.is_over, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.wrong), 0);
    close_log(crowd.wal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(numbers_are_what_was_done),
        IN_FOLDER(what_is_not_durable_is_the_lag),
        IN_FOLDER(inside_and_outside_tell_the_same),
        IN_FOLDER(a_writer_in_another_process_is_seen_alive_and_dead),
        IN_FOLDER(a_closed_log_says_so_and_keeps_its_last_numbers),
        IN_FOLDER(looking_changes_nothing),
        IN_FOLDER(where_there_is_no_log_it_is_said),
        IN_FOLDER(what_is_no_segment_of_this_log_does_not_count),
        IN_FOLDER(a_copied_control_is_not_believed),
        IN_FOLDER(a_segment_that_has_no_name_yet_counts),
        IN_FOLDER(positions_are_right_among_many_segments),
        cmocka_unit_test(a_failed_log_still_tells_its_numbers),
        IN_FOLDER(a_forked_child_is_refused),
        IN_FOLDER(a_shorter_struct_gets_as_much_as_it_holds_and_a_longer_one_zeros),
        IN_FOLDER(between_two_looks_only_what_happened_then_counts),
        cmocka_unit_test(a_longest_time_belongs_to_something_that_happened),
        cmocka_unit_test(of_another_process_all_it_did_counts),
        IN_FOLDER(of_a_new_writer_all_it_did_counts),
        IN_FOLDER(positions_stand_in_order_while_the_log_rolls),
    };

    return cmocka_run_group_tests_name("live_stats", tests, NULL, NULL);
}
