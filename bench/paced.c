/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * paced.c: the tail of appends that come at a steady rate.
 *
 * What. One thread has a call to make every 5 us, and looks at the clock until it is time. Two
 * latencies are taken: of the call, and from the time it was due, which also tells of calls that
 * came late because one before them was slow. The same loop with a call that does nothing runs
 * for a while before and after: what the machine itself does to a thread is in both, and
 * only the difference is the log's.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_LEN   100
#define INTERVAL_NS 5000
#define ROLLS       21 /* at least 20 */
#define SECONDS     60
#define QUICK       1

struct pace {
    uint64_t calls;
    uint64_t segment_bytes;
    struct bench_result from_due; /* of the log, taken in the run that gives the other */
    struct bench_result empty_from_due;
    struct bench_histogram *call, *due;
};

static void append(nori_wal *wal, const struct nori_record *record)
{
    bench_must(nori_wal_append(wal, record, NULL), "append", NULL);
}

static void append_nothing(nori_wal *wal, const struct nori_record *record)
{
    (void)wal;
    (void)record;
}

static void run_loop(struct pace *pace, uint64_t calls, nori_wal *wal,
                     void (*call)(nori_wal *wal, const struct nori_record *record))
{
    uint8_t key[BENCH_KEY_LEN] = {0};
    uint8_t value[VALUE_LEN] = {0};
    struct nori_record record = nori_record_put(key, sizeof key, value, sizeof value);
    uint64_t due_ns = bench_now_ns();

    for (uint64_t i = 0; i < calls; i++, due_ns += INTERVAL_NS) {
        uint64_t before, after;

        memcpy(key, &i, sizeof i);
        do {
            before = bench_now_ns();
        } while (before < due_ns);
        call(wal, &record);
        after = bench_now_ns();
        bench_histogram_add(pace->call, after - before);
        bench_histogram_add(pace->due, after - due_ns);
    }
}

/* ---- the log ---- */

static uint64_t chosen_segment_bytes;

static void set_segment_size(struct nori_wal_config *config)
{
    config->max_segment_size = chosen_segment_bytes;
}

static void begin(struct pace *pace)
{
    pace->call = bench_alloc(sizeof *pace->call);
    pace->due = bench_alloc(sizeof *pace->due);
}

static void end(struct pace *pace, struct bench_result *ret_call, struct bench_result *ret_due)
{
    bench_histogram_give(pace->call, ret_call);
    bench_histogram_give(pace->due, ret_due);
}

static void run_log(struct pace *pace, struct bench_result *ret_call)
{
    struct nori_position first, last;
    nori_wal *wal;

    chosen_segment_bytes = pace->segment_bytes;
    wal = bench_log_open(NORI_FSYNC_BATCH, set_segment_size, NULL);
    bench_log_fill(wal, 1, 1, 1, NULL);
    bench_must(nori_wal_sync(wal), "sync", NULL);
    bench_must(nori_wal_position(wal, &first), "position", NULL);
    begin(pace);
    run_loop(pace, pace->calls, wal, append);
    end(pace, ret_call, &pace->from_due);
    bench_must(nori_wal_position(wal, &last), "position", NULL);
    ret_call->of[BENCH_ROLLS] = (double)(last.segment_id - first.segment_id);
    bench_log_close(wal);
    bench_log_remove();
}

/* Both loops belong together, so the log's subject runs both. */
struct both {
    struct pace pace;
    struct bench_result empty;
};

static void run_both(const void *about, struct bench_result *ret_result)
{
    struct both *both = *(struct both *const *)about;
    struct pace empty = both->pace;

    begin(&empty);
    run_loop(&empty, both->pace.calls / 8, NULL, append_nothing);
    run_log(&both->pace, ret_result);
    bench_settle();
    run_loop(&empty, both->pace.calls / 8, NULL, append_nothing);
    end(&empty, &both->empty, &both->pace.empty_from_due);
}

/* Once: what has the result has its latencies. */
static void give_result(const void *result, struct bench_result *ret_result)
{
    *ret_result = *(const struct bench_result *)result;
}

/* ---- what is demanded ---- */

enum {
    LOG,
    LOG_DUE,
    EMPTY,
    EMPTY_DUE
};

static double more(const struct bench_result *results, enum bench_metric metric)
{
    return results[LOG].of[metric] - results[EMPTY].of[metric];
}

static double more_p50(const struct bench_result *results, size_t subject)
{
    (void)subject;
    return more(results, BENCH_P50);
}

static double more_p99(const struct bench_result *results, size_t subject)
{
    (void)subject;
    return more(results, BENCH_P99);
}

static double more_p999(const struct bench_result *results, size_t subject)
{
    (void)subject;
    return more(results, BENCH_P999);
}

static double rolls(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_ROLLS];
}

static const struct bench_demand demands[] = {
    {"more at p50 than a call that does nothing", more_p50, LOG, 200, false, BENCH_UNIT_TIME},
    {"more at p99", more_p99, LOG, 1000, false, BENCH_UNIT_TIME},
    {"more at p99.9", more_p999, LOG, 5000, false, BENCH_UNIT_TIME},
    {"rotations on the way", rolls, LOG, 20, true, BENCH_UNIT_COUNT},
};
static const enum bench_metric columns[] = {BENCH_P50, BENCH_P99,   BENCH_P999,        BENCH_P9999,
                                            BENCH_MAX, BENCH_ROLLS, BENCH_METRIC_COUNT};

static const char text[] =
    "200,000 appends a second of 100 B under batch (5 ms), by one thread that is never late by "
    "itself. The call: from its begin to its end. When due: from when it should have begun; a call "
    "that had to wait "
    "for the one before it counts that, too. The same loop without an append runs before and "
    "after. One run.";

void bench_paced_cases(const struct bench_options *options)
{
    struct bench_load load = bench_load(1, VALUE_LEN);
    struct both both = {.pace.calls = (options->is_quick ? QUICK : SECONDS) *
                                      (uint64_t)(1000000000 / INTERVAL_NS)};
    struct both *handle = &both; /* the subjects share what one of them measures */
    const struct bench_subject subjects[] = {
        [LOG] = {"log, the call", "nori_wal_append every 5 us", run_both, &handle, BENCH_LOG},
        [LOG_DUE] = {"log, when due", "the same calls", give_result, &both.pace.from_due,
                     BENCH_LOG},
        [EMPTY] = {"nothing, the call", "the loop without an append", give_result, &both.empty,
                   BENCH_FLOOR},
        [EMPTY_DUE] = {"nothing, when due", "the same calls", give_result,
                       &both.pace.empty_from_due, BENCH_FLOOR},
    };
    struct bench_case one = {.name = "paced 100 B, batch, 1 thread",
                             .subjects = subjects,
                             .subject_count = 4,
                             .columns = columns,
                             .demands = demands,
                             .demand_count = 4,
                             .rounds = 1};

    both.empty = both.pace.from_due = both.pace.empty_from_due = bench_nothing();
    both.pace.segment_bytes = both.pace.calls * load.record_len / (ROLLS + 1);
    if (both.pace.segment_bytes < (1 << 20))
        both.pace.segment_bytes = 1 << 20;
    bench_section("A steady rate", text);
    bench_run_case(options, &one);
}
