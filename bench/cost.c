/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cost.c: what a log costs beside time: processor time while nothing happens, and writing.
 *
 * What. log: how long the log has become, headers and marks included, by the bytes of keys and
 * values. written: what the kernel counts as written for this process (write_bytes of
 * /proc/self/io, that is, whole pages, once each time they become dirty). A sync for each small
 * record writes its page again and again; that is the page's size, not the log's doing, so only the
 * first has a limit.
 *
 * Not here. Processor time a record: every case of append.c has it.
 */
#include "bench.h"

#include <stdio.h>
#include <time.h>

#define VALUE_LEN  100
#define IDLE_MS    3000
#define QUICK_MS   300
#define IDLE_LIMIT 0.001
#define LIMIT      12 /* what the original promised */

struct run {
    struct bench_load load;
    uint32_t policy;
    unsigned idle_ms;
};

static void stay_idle(const void *about, struct bench_result *ret_result)
{
    const struct run *run = about;
    struct timespec time = {run->idle_ms / 1000, run->idle_ms % 1000 * 1000000};
    struct timespec moment = {0, 200000000};
    nori_wal *wal = bench_log_open(run->policy, NULL, NULL);
    uint64_t cpu_ns;

    bench_log_fill(wal, VALUE_LEN, 10, 1, NULL);
    (void)nanosleep(&moment, NULL); /* what these left to do */
    cpu_ns = bench_cpu_ns();
    (void)nanosleep(&time, NULL);
    ret_result->of[BENCH_IDLE] = (double)(bench_cpu_ns() - cpu_ns) / (run->idle_ms * 1e6);
    bench_log_close(wal);
    bench_log_remove();
}

static uint64_t bytes_written(void)
{
    FILE *counts = fopen("/proc/self/io", "r");
    unsigned long long bytes = 0;
    char line[128];

    while (counts && fgets(line, sizeof line, counts))
        if (sscanf(line, "write_bytes: %llu", &bytes) == 1)
            break;
    if (counts)
        (void)fclose(counts);
    return bytes;
}

static void measure_writing(const void *about, struct bench_result *ret_result)
{
    const struct run *run = about;
    nori_wal *wal = bench_log_open(run->policy, NULL, NULL);
    uint64_t before = bytes_written();
    struct bench_files files;
    double bytes;

    bytes = (double)(bench_run_threads(&run->load, wal, bench_log_append_one, NULL, ret_result) *
                     (BENCH_KEY_LEN + VALUE_LEN));
    bench_log_close(wal);
    bench_files_list(&files);
    ret_result->of[BENCH_LENGTH] = (double)files.bytes / bytes;
    ret_result->of[BENCH_PAGES] = (double)(bytes_written() - before) / bytes;
    bench_files_done(&files);
    bench_log_remove();
}

static double idle(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_IDLE];
}

static double length(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_LENGTH];
}

void bench_cost_cases(const struct bench_options *options)
{
    static const enum bench_metric idle_columns[] = {BENCH_IDLE, BENCH_METRIC_COUNT};
    static const enum bench_metric columns[] = {BENCH_LENGTH, BENCH_PAGES, BENCH_RATE,
                                                BENCH_METRIC_COUNT};
    static const struct bench_demand idle_demands[] = {
        {"os: of one processor, while nothing is appended", idle, 0, IDLE_LIMIT, false,
         BENCH_UNIT_SHARE},
        {"batch", idle, 1, IDLE_LIMIT, false, BENCH_UNIT_SHARE},
        {"always", idle, 2, IDLE_LIMIT, false, BENCH_UNIT_SHARE},
    };
    static const struct bench_demand demands[] = {
        {"os: bytes of the log for each of keys and values", length, 0, LIMIT, false,
         BENCH_UNIT_RATIO},
        {"batch", length, 1, LIMIT, false, BENCH_UNIT_RATIO},
        {"always, 1 thread", length, 2, LIMIT, false, BENCH_UNIT_RATIO},
        {"always, 16 threads", length, 3, LIMIT, false, BENCH_UNIT_RATIO},
    };
    struct bench_load load = bench_load(1, VALUE_LEN);
    struct bench_load crowd = bench_load(16, VALUE_LEN);
    unsigned idle_ms = options->is_quick ? QUICK_MS : IDLE_MS;
    const struct run runs[] = {{load, NORI_FSYNC_OS, idle_ms},
                               {load, NORI_FSYNC_BATCH, idle_ms},
                               {load, NORI_FSYNC_ALWAYS, idle_ms},
                               {crowd, NORI_FSYNC_ALWAYS, idle_ms}};
    const struct bench_subject idle_subjects[] = {
        {"log, os", "open, and nothing to do", stay_idle, &runs[0], BENCH_LOG},
        {"log, batch", "the same", stay_idle, &runs[1], BENCH_LOG},
        {"log, always", "the same", stay_idle, &runs[2], BENCH_LOG}};
    const struct bench_subject subjects[] = {
        {"log, os", "nori_wal_append", measure_writing, &runs[0], BENCH_LOG},
        {"log, batch", "the same", measure_writing, &runs[1], BENCH_LOG},
        {"log, always", "the same", measure_writing, &runs[2], BENCH_LOG},
        {"log, always, 16 thr.", "the same", measure_writing, &runs[3], BENCH_LOG}};
    const struct bench_case cases[] = {
        {"idle", idle_subjects, 3, idle_columns, false, idle_demands, 3, 1},
        {"writing 100 B", subjects, 4, columns, false, demands, 4, 0}};

    bench_section("What else it costs",
                  "idle: processor time of a process whose log is open and has nothing to do. "
                  "writing: bytes for each byte of keys and values. log: how long the log becomes. "
                  "written: whole pages, as the kernel counts them; a sync for each small record "
                  "writes its page again each time.");
    bench_run_case(options, &cases[0]);
    bench_run_case(options, &cases[1]);
}
