/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * read.c: reading a log from its beginning to its end, from the page cache.
 *
 * What. A log is written once and then read again and again. The floor is the checksum over the
 * same bytes, mapped anew each time, as a reader maps them: in one go, and record by record.
 */
#include "bench.h"

#include <stdio.h>

#define LOG_BYTES       ((uint64_t)400000000)
#define QUICK_LOG_BYTES ((uint64_t)100000000)
#define PIECE_LEN       ((size_t)256 << 10)

struct stored {
    struct bench_files files;
    size_t record_len;
};

static void read_all(const struct stored *stored, uint32_t flags, struct bench_result *ret_result)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t begun_ns = bench_now_ns();
    uint64_t cpu_ns = bench_cpu_ns();
    uint64_t count = 0;
    int rc;

    config.flags = flags;
    bench_must(nori_reader_open_with(bench_path("log").text, &config, oldest, &reader, &error),
               "open a reader", &error);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK)
        count++;
    bench_must(rc, "read", NULL);
    nori_reader_close(reader);
    if (count != stored->files.records)
        bench_give_up("the reader saw %llu records of %llu", (unsigned long long)count,
                      (unsigned long long)stored->files.records);
    bench_give_rate(ret_result, count, stored->files.bytes, begun_ns);
    ret_result->of[BENCH_CPU] = (double)(bench_cpu_ns() - cpu_ns) / (double)count;
}

static void read_mapped(const void *stored, struct bench_result *ret_result)
{
    read_all(stored, 0, ret_result);
}

static void read_copied(const void *stored, struct bench_result *ret_result)
{
    read_all(stored, NORI_READER_PREAD, ret_result);
}

static void scan(const void *about, struct bench_result *ret_result)
{
    const struct stored *stored = about;

    bench_files_scan(&stored->files, 1, PIECE_LEN, ret_result);
}

static void scan_by_record(const void *about, struct bench_result *ret_result)
{
    const struct stored *stored = about;

    bench_files_scan(&stored->files, 1, stored->record_len, ret_result);
}

/* ---- what is demanded ---- */

enum {
    LOG,
    LOG_COPIED,
    SCAN,
    SCAN_BY_RECORD,
    SUBJECTS
};

static double rate(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_RATE];
}

static double rate_to_scan(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_RATE] / results[SCAN].of[BENCH_RATE];
}

static const struct bench_demand small_demand = {"records a second", rate, LOG, 15e6, true,
                                                 BENCH_UNIT_COUNT};
static const struct bench_demand large_demand = {
    "rate, of that of scan", rate_to_scan, LOG, 0.6, true, BENCH_UNIT_RATIO};

/* ---- the cases ---- */

static void run_size(const struct bench_options *options, size_t value_len,
                     const struct bench_demand *demand)
{
    static const enum bench_metric columns[] = {BENCH_RATE, BENCH_COST, BENCH_CPU, BENCH_BYTES,
                                                BENCH_METRIC_COUNT};
    struct stored stored = {.record_len = bench_load(1, value_len).record_len};
    const struct bench_subject subjects[SUBJECTS] = {
        [LOG] = {"log", "nori_reader_next from the first record to the last", read_mapped, &stored,
                 BENCH_LOG},
        [LOG_COPIED] = {"log, copied", "the same with NORI_READER_PREAD", read_copied, &stored,
                        BENCH_LOG},
        [SCAN] = {"floor: scan", "map the files, CRC-32C over all bytes", scan, &stored,
                  BENCH_FLOOR},
        [SCAN_BY_RECORD] = {"floor: by record", "the same, a call a record", scan_by_record,
                            &stored, BENCH_FLOOR},
    };
    struct bench_case one = {.subjects = subjects,
                             .subject_count = SUBJECTS,
                             .columns = columns,
                             .is_compared = true,
                             .demands = demand,
                             .demand_count = 1};
    nori_wal *wal;

    (void)snprintf(one.name, sizeof one.name, "read %zu B", value_len);
    if (!bench_is_wanted(options, one.name))
        return;
    wal = bench_log_open(NORI_FSYNC_OS, NULL, NULL);
    bench_log_fill(wal, value_len,
                   (options->is_quick ? QUICK_LOG_BYTES : LOG_BYTES) / stored.record_len, 1, NULL);
    bench_log_close(wal);
    bench_files_list(&stored.files);
    bench_run_case(options, &one);
    bench_files_done(&stored.files);
    bench_log_remove();
}

void bench_read_cases(const struct bench_options *options)
{
    bench_section("Reading in order",
                  "By one thread, all from the page cache. scan: the same bytes, mapped anew, with "
                  "a CRC-32C over 256 KiB at a time, or over as many bytes as a record has.");
    run_size(options, 100, &small_demand);
    run_size(options, 1024, &large_demand);
}
