/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_live.c: what a look from outside makes of a page of `control` that says anything: it must
 * end, stay within its memory, and give numbers that a program can draw.
 */
#include "../api/helpers.h"

#include "wal/control.h"

#define SEEDS 600

/* In native byte order, as the page is. */
static void put_word(uint8_t *target, uint64_t word)
{
    memcpy(target, &word, sizeof word);
}

/* A closed log whose page can be overwritten, with the smallest ring behind it. */
static uint8_t *make_page(const char *dir, size_t *ret_len)
{
    struct nori_wal_config config = config_of(dir);
    nori_wal *wal;

    config.buffer_size = 4096;
    wal = open_log(&config);

    append_range(wal, 1, 2500, 1000);
    close_log(wal);
    return load_file(dir, "control", ret_len);
}

static bool is_in_order(const struct nori_latency *latency)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < NORI_LATENCY_BUCKETS; i++)
        sum += latency->buckets[i];
    return sum == latency->count && latency->p50_ns <= latency->p99_ns &&
           latency->p99_ns <= latency->p999_ns && latency->p999_ns <= latency->max_ns;
}

static void expect_sense(const struct nori_wal_stats *stats)
{
    assert_true(stats->oldest_lsn <= stats->appended_lsn);
    assert_true(stats->durable_lsn <= stats->written_lsn);
    assert_true(stats->written_lsn <= stats->appended_lsn);
    assert_true(stats->ring_used <= stats->ring_bytes);
    assert_true(stats->lag_bytes <= stats->appended_lsn);
    assert_true(is_in_order(&stats->encode) && is_in_order(&stats->wait));
    assert_true(is_in_order(&stats->write) && is_in_order(&stats->sync));
    assert_true(is_in_order(&stats->wake));
}

static void expect_good_look(const char *dir, struct nori_wal_stats *ret_stats)
{
    struct nori_wal_stats before = *ret_stats;
    struct nori_wal_stats between = NORI_WAL_STATS_INIT;

    assert_int_equal(nori_log_live_stats(dir, NULL, ret_stats, NULL), NORI_OK);
    expect_sense(ret_stats);
    assert_int_equal(ret_stats->segments, count_files(dir, ".wal"));
    assert_int_equal(nori_wal_stats_between(&before, ret_stats, &between), NORI_OK);
    expect_sense(&between);
}

/* Every word but those by which the file is known. */
static void any_page_gives_numbers_that_make_sense(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    size_t len = 0;
    uint8_t *good = make_page(dir, &len);
    uint8_t *page = malloc(len);
    const size_t known = offsetof(struct nw_control_words, published);
    const size_t layout = offsetof(struct nw_control_words, stats.layout);
    uint64_t random = 1;

    assert_non_null(page);
    expect_good_look(dir, &stats);
    assert_int_equal(stats.is_known, 1);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        memcpy(page, good, len);
        for (size_t at = known; at < NW_CONTROL_LEN; at += 8) {
            static const uint64_t extremes[] = {0, 1, UINT64_MAX, UINT64_MAX / 2 + 1, 4096};

            random = nw_splitmix64(random);
            if (seed % 3 == 0)
                put_word(page + at, random);
            else if (seed % 3 == 1)
                put_word(page + at, extremes[random % 5]);
            else if (random % 64 == 0)
                put_word(page + at, extremes[random / 64 % 5]);
        }
        memcpy(page + layout, good + layout, 8);
        store_file(dir, "control", page, len);
        expect_good_look(dir, &stats);
        assert_int_equal(stats.is_known, 1);
    }
    free(page);
    free(good);
}

static void a_page_that_is_not_ours_is_not_shown(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    size_t len = 0;
    uint8_t *good = make_page(dir, &len);
    static const size_t places[] = {offsetof(struct nw_control_words, magic),
                                    offsetof(struct nw_control_words, version),
                                    offsetof(struct nw_control_words, len),
                                    offsetof(struct nw_control_words, identity),
                                    offsetof(struct nw_control_words, ring_len),
                                    offsetof(struct nw_control_words, stats.layout)};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip_bit(dir, "control", places[i], 0);
        expect_good_look(dir, &stats);
        assert_int_equal(stats.is_known, 0);
        assert_int_equal(stats.appends, 0);
        flip_bit(dir, "control", places[i], 0);
    }
    expect_good_look(dir, &stats);
    assert_int_equal(stats.is_known, 1);
    for (size_t cut = 0; cut <= NW_CONTROL_LEN; cut += 512) { /* the ring is missing, too */
        cut_file(dir, "control", cut);
        expect_good_look(dir, &stats);
        assert_int_equal(stats.is_known, 0);
        store_file(dir, "control", good, len);
    }
    free(good);
}

/* ---- percentiles ---- */

static void put_bucket(uint8_t *page, enum nw_stage stage, size_t bucket, uint64_t count)
{
    put_word(page + offsetof(struct nw_control_words, stats.stages) +
                 8 * (NW_STATS_BUCKETS * (size_t)stage + bucket),
             count);
}

static void percentiles_lie_in_the_bucket_that_holds_them(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    size_t len = 0;
    uint8_t *page = make_page(dir, &len);
    const size_t max_at = offsetof(struct nw_control_words, stats.stage_max_ns);

    for (size_t i = 0; i < NW_STATS_BUCKETS; i++)
        put_bucket(page, NW_STAGE_SYNC, i, 0);
    put_bucket(page, NW_STAGE_SYNC, 10, 980); /* 64 to 128 us */
    put_bucket(page, NW_STAGE_SYNC, 13, 15);  /* 512 us to 1 ms */
    put_bucket(page, NW_STAGE_SYNC, 27, 5);   /* 8.6 s and more */
    put_word(page + max_at + 8 * NW_STAGE_SYNC, UINT64_C(20000000000));
    store_file(dir, "control", page, len);
    expect_good_look(dir, &stats);
    assert_int_equal(stats.sync.count, 1000);
    assert_in_range(stats.sync.p50_ns, 65536, 131071);
    assert_in_range(stats.sync.p50_ns, 98000, 99500); /* about in the middle */
    assert_in_range(stats.sync.p99_ns, 524288, 1048575);
    assert_in_range(stats.sync.p999_ns, UINT64_C(8589934592), UINT64_C(20000000000));
    assert_int_equal(stats.sync.max_ns, UINT64_C(20000000000));
    free(page);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(any_page_gives_numbers_that_make_sense),
        IN_FOLDER(a_page_that_is_not_ours_is_not_shown),
        IN_FOLDER(percentiles_lie_in_the_bucket_that_holds_them),
    };

    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
