/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * targets.c: what the original set itself as targets: 95 of 100 PUTs within 20 ms under each
 * policy, from 1 to 64 threads, and 95 of 100 GETs within 10 ms, whether cached or not.
 *
 * What. A GET is a point read: a reader opened at a record's position, the record, the reader
 * closed. For one that is not cached the files are dropped from the page cache before each read, so
 * what is read also of headers comes from the disk.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_LEN  1024
#define PUT_LIMIT  20e6
#define GET_LIMIT  10e6
#define CASE_COUNT 12

struct put {
    struct bench_load load;
    uint32_t policy;
    char name[32];
};

static void run_puts(const void *about, struct bench_result *ret_result)
{
    const struct put *put = about;
    nori_wal *wal = bench_log_open(put->policy, NULL, NULL);

    (void)bench_run_threads(&put->load, wal, bench_log_append_one, NULL, ret_result);
    bench_log_close(wal);
    bench_log_remove();
}

static void run_put_case(const struct bench_options *options)
{
    static const char *const names[] = {"batch", "always", "os"}; /* enum nori_fsync_policy */
    static const enum bench_metric columns[] = {BENCH_P50,  BENCH_P95, BENCH_P99,
                                                BENCH_P999, BENCH_MAX, BENCH_METRIC_COUNT};
    struct put puts[CASE_COUNT];
    struct bench_subject subjects[CASE_COUNT];
    struct bench_demand demands[CASE_COUNT];
    const struct bench_case one = {"put 1024 B", subjects, CASE_COUNT, columns,
                                   false,        demands,  CASE_COUNT, 0};

    for (unsigned i = 0; i < CASE_COUNT; i++) {
        unsigned threads = 1u << (i % 4 * 2); /* 1, 4, 16, 64 */

        puts[i] = (struct put){.load = bench_load(threads, VALUE_LEN), .policy = i / 4};
        puts[i].load.seconds = options->seconds / 2;
        (void)snprintf(puts[i].name, sizeof puts[i].name, "%s, %u thread%s", names[i / 4], threads,
                       threads == 1 ? "" : "s");
        subjects[i] =
            (struct bench_subject){puts[i].name, "nori_wal_append", run_puts, &puts[i], BENCH_LOG};
        demands[i] = (struct bench_demand){puts[i].name, bench_measure_p95, i, PUT_LIMIT,
                                           false,        BENCH_UNIT_TIME};
    }
    bench_run_case(options, &one);
}

/* ---- GET ---- */

struct get {
    nori_wal *wal;
    const struct bench_files *files;
    const struct nori_position *positions;
    uint64_t position_count;
    uint64_t reads;
    bool is_cold;
};

static void get_one(const struct get *get, struct nori_position position)
{
    nori_reader *reader = NULL;
    struct nori_record record;

    bench_must(nori_wal_read_from(get->wal, position, &reader), "read a record", NULL);
    if (nori_reader_next(reader, &record, NULL) != NORI_OK || record.value_len != VALUE_LEN)
        bench_give_up("a record is not where it was appended");
    nori_reader_close(reader);
}

static void run_gets(const void *about, struct bench_result *ret_result)
{
    const struct get *get = about;
    struct bench_histogram *latencies = bench_alloc(sizeof *latencies);
    uint64_t random = 7;
    uint64_t all_ns = 0;

    for (uint64_t i = 0; i < get->reads; i++) {
        struct nori_position position = get->positions[bench_random(&random) % get->position_count];
        uint64_t begun_ns, took_ns;

        if (get->is_cold)
            bench_files_drop(get->files);
        begun_ns = bench_now_ns();
        get_one(get, position);
        took_ns = bench_now_ns() - begun_ns;
        bench_histogram_add(latencies, took_ns);
        all_ns += took_ns;
    }
    bench_histogram_give(latencies, ret_result);
    ret_result->of[BENCH_AVERAGE] = (double)all_ns / (double)get->reads;
}

static void run_get_case(const struct bench_options *options)
{
    static const enum bench_metric columns[] = {BENCH_AVERAGE, BENCH_P50,  BENCH_P95,
                                                BENCH_P99,     BENCH_P999, BENCH_METRIC_COUNT};
    static const struct bench_demand demands[] = {
        {"cached: p95", bench_measure_p95, 0, GET_LIMIT, false, BENCH_UNIT_TIME},
        {"not cached: p95", bench_measure_p95, 1, GET_LIMIT, false, BENCH_UNIT_TIME}};
    const uint64_t step = 16;
    uint64_t count = (options->is_quick ? (uint64_t)32 : (uint64_t)512) << 10;
    struct nori_position *positions = bench_alloc(count / step * sizeof *positions);
    struct bench_files files;
    struct get cached = {NULL, &files, positions, count / step, 1000, false};
    struct get cold = {NULL, &files, positions, count / step, 100, true};
    const struct bench_subject subjects[] = {
        {"cached", "nori_wal_read_from, next, close", run_gets, &cached, BENCH_LOG},
        {"not cached", "the same, nothing in the page cache", run_gets, &cold, BENCH_LOG}};
    const struct bench_case one = {"get 1024 B", subjects, 2, columns, false, demands, 2, 0};

    if (bench_is_wanted(options, one.name)) {
        nori_wal *wal = bench_log_open(NORI_FSYNC_OS, NULL, NULL);

        bench_log_fill(wal, VALUE_LEN, count, step, positions);
        bench_log_close(wal);
        bench_files_list(&files);
        cached.wal = cold.wal = bench_log_open(NORI_FSYNC_OS, NULL, NULL);
        bench_run_case(options, &one);
        bench_log_close(cached.wal);
        bench_files_done(&files);
        bench_log_remove();
    }
    free(positions);
}

void bench_target_cases(const struct bench_options *options)
{
    bench_section("The targets of the original",
                  "A put is an append, a get a reader opened at a record's position, the record, "
                  "and the reader closed. Not cached: the files are dropped from the page cache "
                  "before each get. The third target, writing, stands above.");
    run_put_case(options);
    run_get_case(options);
}
