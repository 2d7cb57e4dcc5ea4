/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * append.c: appending as fast as possible, one record a call.
 *
 * What. Under `os` and `batch` a run appends a number of bytes, and ends when all of them are in
 * the kernel. The floors are copy and bulk, whichever is the harder to reach for records of that
 * size, both by one thread: the log is one stream, however many threads append to it. Under
 * `always` a run lasts some time, and the floor is sync, by as many threads. Its file is full of
 * zeros, so the log that is compared with it has its files prepared the same way; the default,
 * which reserves space, stands beside it.
 *
 * Opening, the first record (the log begins its first segment with it, and prepares the next one)
 * and closing are not timed.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUN_BYTES       ((uint64_t)400000000)
#define QUICK_RUN_BYTES ((uint64_t)16000000)
#define STEPS_PER_LOOK  61 /* no part of any size in the log */

struct run {
    struct bench_load load;
    uint32_t policy;
    uint32_t preallocate; /* enum nori_preallocate */
};

/* ---- the log ---- */

static void flush(void *wal)
{
    bench_must(nori_wal_flush(wal), "flush", NULL);
}

/* Of the next log that is opened. */
static const struct run *current;
static const struct nori_meter *current_meter;

static void set_config(struct nori_wal_config *config)
{
    config->preallocate = current->preallocate;
    config->meter = current_meter;
}

static void append(const struct run *run, const struct nori_meter *meter,
                   struct bench_result *ret_result)
{
    struct timespec moment = {0, 50000000};
    nori_wal *wal;

    current = run;
    current_meter = meter;
    wal = bench_log_open(run->policy, set_config, NULL);
    bench_log_fill(wal, 1, 1, 1, NULL);
    bench_must(nori_wal_sync(wal), "sync", NULL);
    (void)nanosleep(&moment, NULL); /* the next segment is prepared; the floors' files are, too */
    (void)bench_run_threads(&run->load, wal, bench_log_append_one, flush, ret_result);
    bench_log_close(wal);
    bench_log_remove();
}

static void run_log(const void *run, struct bench_result *ret_result)
{
    append(run, NULL, ret_result);
}

static void run_metered(const void *about, struct bench_result *ret_result)
{
    const struct run *run = about;
    struct nori_meter interface;
    struct bench_meter *meter = bench_meter_new(&interface);
    double seconds;

    append(run, &interface, ret_result);
    seconds = (double)run->load.records / ret_result->of[BENCH_RATE] * run->load.threads;
    ret_result->of[BENCH_WAITED] = bench_meter_sum(meter, "wal_append_wait_seconds") / seconds;
    bench_meter_free(meter);
}

/* ---- what is demanded ---- */

enum {
    ONE,
    TWO,
    FOUR,
    ONE_METERED,
    FOUR_METERED,
    COPY,
    BULK,
    BULK_SYNCED,
    OS_SUBJECTS
};

static double cost_to_floors(const struct bench_result *results, size_t subject)
{
    double copy = 3 * results[COPY].of[BENCH_COST];
    double bulk = 1.25 * results[BULK].of[BENCH_COST];

    return results[subject].of[BENCH_COST] / (copy > bulk ? copy : bulk);
}

static double cost_of_meter(const struct bench_result *results, size_t subject)
{
    size_t plain = subject == ONE_METERED ? ONE : FOUR;

    return results[subject].of[BENCH_COST] / results[plain].of[BENCH_COST];
}

static double rate_to_one(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_RATE] / results[ONE].of[BENCH_RATE];
}

enum {
    ZEROS,
    RESERVED,
    SYNC,
    ALWAYS_SUBJECTS
};

static double rate_to_sync(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_RATE] / results[SYNC].of[BENCH_RATE];
}

/* clang-format off */
static const struct bench_demand os_demands[] = {
    {"cost a record, of the larger of 3 x copy and 1.25 x bulk", cost_to_floors, ONE, 1, false,
     BENCH_UNIT_RATIO},
    {"the same, 2 threads", cost_to_floors, TWO, 1, false, BENCH_UNIT_RATIO},
    {"the same, 4 threads", cost_to_floors, FOUR, 1, false, BENCH_UNIT_RATIO},
    {"rate of 2 threads, of that of one", rate_to_one, TWO, 0.9, true, BENCH_UNIT_RATIO},
    {"rate of 4 threads, of that of one", rate_to_one, FOUR, 0.9, true, BENCH_UNIT_RATIO},
    {"cost with a meter, of that without", cost_of_meter, ONE_METERED, 1.5, false,
     BENCH_UNIT_RATIO},
    {"the same, 4 threads", cost_of_meter, FOUR_METERED, 1.5, false, BENCH_UNIT_RATIO},
};
static const struct bench_demand always_demands[] = {
    {"rate on zeros, of that of the floor", rate_to_sync, ZEROS, 0.95, true, BENCH_UNIT_RATIO},
};
/* clang-format on */

/* ---- the cases ---- */

static const enum bench_metric os_columns[] = {BENCH_RATE,   BENCH_COST,        BENCH_CPU,
                                               BENCH_WAITED, BENCH_P50,         BENCH_P99,
                                               BENCH_P999,   BENCH_METRIC_COUNT};
static const enum bench_metric always_columns[] = {
    BENCH_RATE, BENCH_COST, BENCH_CPU, BENCH_P50, BENCH_P99, BENCH_P999, BENCH_METRIC_COUNT};

static struct run os_run(const struct bench_options *options, uint32_t policy, unsigned threads,
                         size_t value_len)
{
    struct run run = {.load = bench_load(threads, value_len), .policy = policy};

    run.load.records = (options->is_quick ? QUICK_RUN_BYTES : RUN_BYTES) / run.load.record_len;
    run.load.records -= run.load.records % 4; /* as many from each thread */
    run.load.steps_per_look = STEPS_PER_LOOK;
    return run;
}

static void run_os_case(const struct bench_options *options, uint32_t policy, const char *name,
                        size_t value_len)
{
    const struct run one = os_run(options, policy, 1, value_len);
    const struct run two = os_run(options, policy, 2, value_len);
    const struct run four = os_run(options, policy, 4, value_len);
    const struct bench_subject subjects[OS_SUBJECTS] = {
        [ONE] = {"log, 1 thread", "nori_wal_append", run_log, &one, BENCH_LOG},
        [TWO] = {"log, 2 threads", "the same", run_log, &two, BENCH_LOG},
        [FOUR] = {"log, 4 threads", "the same", run_log, &four, BENCH_LOG},
        [ONE_METERED] = {"1 thread, metered", "the same with metrics", run_metered, &one,
                         BENCH_LOG},
        [FOUR_METERED] = {"4 threads, metered", "the same with metrics", run_metered, &four,
                          BENCH_LOG},
        [COPY] = {"floor: copy", "copy and CRC-32C into a warm buffer", bench_floor_copy, &one.load,
                  BENCH_FLOOR},
        [BULK] = {"floor: bulk", "pwrite of 256 KiB each", bench_floor_bulk, &one.load,
                  BENCH_FLOOR},
        [BULK_SYNCED] = {"floor: bulk, synced", "the same, at most two ended files unsynced",
                         bench_floor_bulk_synced, &one.load, BENCH_FLOOR},
    };
    struct bench_case about = {.subjects = subjects,
                               .subject_count = OS_SUBJECTS,
                               .columns = os_columns,
                               .is_compared = true,
                               .demands = os_demands,
                               .demand_count = sizeof os_demands / sizeof *os_demands};

    (void)snprintf(about.name, sizeof about.name, "append %zu B, %s", value_len, name);
    bench_run_case(options, &about);
}

static void run_always_case(const struct bench_options *options, unsigned threads, size_t value_len)
{
    struct run zeros = {bench_load(threads, value_len), NORI_FSYNC_ALWAYS, NORI_PREALLOCATE_ZERO};
    struct run reserved = {zeros.load, NORI_FSYNC_ALWAYS, NORI_PREALLOCATE_RESERVE};
    const struct bench_subject subjects[ALWAYS_SUBJECTS] = {
        [ZEROS] = {"log, on zeros", "nori_wal_append, NORI_PREALLOCATE_ZERO", run_log, &zeros,
                   BENCH_LOG},
        [RESERVED] = {"log, on reserved", "the same, NORI_PREALLOCATE_RESERVE", run_log, &reserved,
                      BENCH_LOG},
        [SYNC] = {"floor: sync", "pwrite, and a shared fdatasync", bench_floor_sync, &zeros.load,
                  BENCH_FLOOR},
    };
    struct bench_case about = {.subjects = subjects,
                               .subject_count = ALWAYS_SUBJECTS,
                               .columns = always_columns,
                               .is_compared = true,
                               .demands = always_demands,
                               .demand_count = 1};

    zeros.load.seconds = reserved.load.seconds = options->seconds;
    (void)snprintf(about.name, sizeof about.name, "append %zu B, always, %u thread%s", value_len,
                   threads, threads == 1 ? "" : "s");
    bench_run_case(options, &about);
}

void bench_append_cases(const struct bench_options *options)
{
    static const size_t value_lens[] = {100, 1024, 10240};

    bench_section(
        "Appending under os and batch",
        "One record a call, until all is in the kernel. copy: the same records into a "
        "warm buffer of 8 MiB, with a CRC-32C. bulk: the same bytes in pieces of 256 KiB "
        "into reserved files of 128 MiB. Both by one thread: a log is one stream, however many "
        "threads append. bulk, synced: a thread syncs the files that have ended, of which at "
        "most two are ever unsynced, as the log promises; nothing is demanded of that. waited: "
        "share of the threads' time spent waiting for space. "
        "Latencies are of one call in 61. CPU is that of all threads.");
    for (size_t i = 0; i < 3; i++)
        run_os_case(options, NORI_FSYNC_OS, "os", value_lens[i]);
    for (size_t i = 0; i < 3; i++)
        run_os_case(options, NORI_FSYNC_BATCH, "batch", value_lens[i]);
    bench_section(
        "Appending under always",
        "Each call returns when its record is durable. sync: as many threads, a pwrite "
        "each into a file of zeros and one fdatasync for all that wait, no checksums. The "
        "log has files of zeros, too, or, as by default, space that is only reserved, "
        "where it writes zeros 128 KiB ahead.");
    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= 64; threads *= 4)
            run_always_case(options, threads, value_lens[i]);
}
