/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench.h: what the parts of the benchmark share.
 *
 * A case is a situation, such as appending records of 100 bytes under `always` from 4 threads. Its
 * subjects take turns in it: the log itself, and the floors, which do the least that anything with
 * the same duty would have to do. What counts is how two subjects of one case compare, since they
 * met the same machine at the same time. A demand says what must come of that.
 */
#ifndef BENCH_H
#define BENCH_H

#include <nori/wal.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine.h"

#define BENCH_SUBJECTS_MAX 16
#define BENCH_DEMANDS_MAX  16
#define BENCH_THREADS_MAX  64
#define BENCH_KEY_LEN      16

/* What can be measured: id, name in JSON, title of its column, unit, what it is in words. */
/* clang-format off */
#define BENCH_METRICS(X) \
    X(RATE,     "records_per_s",          "rate",     COUNT, "records a second") \
    X(COST,     "ns_per_record",          "a record", TIME,  "time of a record") \
    X(CPU,      "cpu_ns_per_record",      "CPU",      TIME,  "processor time of a record") \
    X(BYTES,    "bytes_per_s",            "MB/s",     MEGA,  "MB a second") \
    X(WAITED,   "wait_share",             "waited",   SHARE, "share of time spent waiting") \
    X(P50,      "p50_ns",                 "p50",      TIME,  "p50 of latencies") \
    X(P95,      "p95_ns",                 "p95",      TIME,  "p95 of latencies") \
    X(P99,      "p99_ns",                 "p99",      TIME,  "p99 of latencies") \
    X(P999,     "p999_ns",                "p99.9",    TIME,  "p99.9 of latencies") \
    X(P9999,    "p9999_ns",               "p99.99",   TIME,  "p99.99 of latencies") \
    X(MAX,      "max_ns",                 "max",      TIME,  "longest call") \
    X(AVERAGE,  "average_ns",             "average",  TIME,  "average latency") \
    X(OPENING,  "open_ns",                "open",     TIME,  "time to open") \
    X(MEMORY,   "peak_memory_bytes",      "peak",     BYTES, "peak of memory") \
    X(IDLE,     "cpu_share",              "CPU",      SHARE, "share of a processor") \
    X(LENGTH,   "log_bytes_per_byte",     "log",      RATIO, "bytes of log, a byte of data") \
    X(PAGES,    "written_bytes_per_byte", "written",  RATIO, "bytes written, a byte of data") \
    X(ROLLS,    "segment_rolls",          "rotated",  COUNT, "rotations")
/* clang-format on */

enum bench_metric {
#define BENCH_METRIC_ID(id, name, title, unit, axis) BENCH_##id,
    BENCH_METRICS(BENCH_METRIC_ID)
#undef BENCH_METRIC_ID
    BENCH_METRIC_COUNT /* also the end of a list of columns */
};

enum bench_unit {
    BENCH_UNIT_COUNT,
    BENCH_UNIT_TIME, /* nanoseconds */
    BENCH_UNIT_MEGA, /* bytes a second */
    BENCH_UNIT_SHARE,
    BENCH_UNIT_BYTES,
    BENCH_UNIT_RATIO
};

/* What one run of one subject gave; NAN: not measured. */
struct bench_result {
    double of[BENCH_METRIC_COUNT];
    struct bench_histogram *latencies; /* of whoever has the result; NULL: none */
};

enum bench_kind {
    BENCH_LOG,
    BENCH_FLOOR,
    BENCH_PEER
};

struct bench_subject {
    const char *name;
    const char *duty; /* what it does, in half a sentence */
    void (*run)(const void *about, struct bench_result *ret_result);
    const void *about;
    enum bench_kind kind;
};

/* What is demanded of the median, over the rounds, of something measured in each round. */
struct bench_demand {
    const char *text;
    /* results: of one round, by subject */
    double (*measure)(const struct bench_result *results, size_t subject);
    size_t subject; /* handed to measure */
    double limit;
    bool is_least;        /* at least the limit; else at most */
    enum bench_unit unit; /* of the limit */
};

struct bench_case {
    char name[64];
    const struct bench_subject *subjects; /* the log first */
    size_t subject_count;
    const enum bench_metric *columns; /* ended by BENCH_METRIC_COUNT */
    bool is_compared;                 /* a column with the log's rate, as a part of each other's */
    const struct bench_demand *demands;
    size_t demand_count;
    unsigned rounds; /* 0: as many as the options say */
};

/* ---- engine.c ---- */

/* Where the data lies. */
extern const char *bench_folder;

/* The machine or the log does not let the benchmark run: say why, clean up, exit. */
void bench_give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A call on the log that must work. error may be NULL. */
void bench_must(int rc, const char *what, const struct nori_error *error);

/* A child process that goes with this one. bench_wait gives its status, as waitpid does. */
pid_t bench_fork(void);
int bench_wait(pid_t child);

/* The end of the run, if nobody reads what is printed any more, or it cannot be written. */
void bench_check_output(void);

/* ---- support.c ---- */

uint64_t bench_now_ns(void);
uint64_t bench_cpu_ns(void);            /* used by this process so far */
void *bench_alloc(size_t bytes);        /* zeroed */
uint64_t bench_random(uint64_t *state); /* the same row of numbers in every run */

/* bench_folder/name */
struct bench_path {
    char text[512];
};
struct bench_path bench_path(const char *name);
bool bench_remove(const char *path,
                  bool with_itself); /* with all that is in it; true: it is gone */
void bench_settle(void);             /* let what is still on its way reach the disk */

/* A new file of `bytes` that the file system has reserved. Its name is gone again. */
int bench_reserved_file(uint64_t bytes);

/* From now on this thread, and those it starts, run on so many processors; 0: on all. */
void bench_use_processors(unsigned count);
unsigned bench_processors(void);

/* ---- histogram.c ---- */

#define BENCH_BUCKETS (59 * 64)

/* Numbers of nanoseconds, kept to 1.6 % of their size. */
struct bench_histogram {
    uint64_t counts[BENCH_BUCKETS];
    uint64_t total;
    uint64_t most;
};
void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns);
void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other);

/* Where the bucket begins and ends, both within it. */
void bench_histogram_bounds(size_t bucket, uint64_t *ret_least, uint64_t *ret_most);

/* So many of the numbers, 0 <= share < 1, are less than this: the middle of a bucket, and
 * no more than the greatest number. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);

/* How many lie in each of `count` bins, of equal width on a logarithmic scale, from 10 to the power
 * of low to 10 to the power of high. What lies outside counts in the first and last one. */
void bench_histogram_bin(const struct bench_histogram *histogram, double low, double high,
                         uint64_t *ret_counts, size_t count);

/* P50 to MAX. The histogram, allocated, is the result's from now on. */
void bench_histogram_give(struct bench_histogram *histogram, struct bench_result *ret_result);

/* ---- threads.c ---- */

struct bench_load {
    unsigned threads;
    size_t value_len;
    size_t record_len; /* as it lies in the log */
    uint64_t records;  /* of all threads together; 0: for so many seconds */
    double seconds;
    unsigned steps_per_look; /* the latency of one in so many is taken; 0: of none */
};

/* What is appended from `threads` threads, records 0: `seconds` long. */
struct bench_load bench_load(unsigned threads, size_t value_len);

/* One thread of a run. */
struct bench_worker {
    const struct bench_load *load;
    void *subject; /* what all threads of the run share */
    unsigned index;
    uint8_t key[BENCH_KEY_LEN]; /* another one for each step */
    uint8_t *value;             /* load->record_len bytes, for floors that write whole records */
    void (*step)(struct bench_worker *worker);
    struct bench_histogram *latencies;
    uint64_t done;
    uint64_t begun_ns;
    uint64_t sum; /* of whatever must not be optimised away */
};

/* Run `step` in all threads, then `finish` (NULL: nothing), which is part of what is timed. Returns
 * how many records there were. */
uint64_t bench_run_threads(const struct bench_load *load, void *subject,
                           void (*step)(struct bench_worker *worker), void (*finish)(void *subject),
                           struct bench_result *ret_result);

/* ---- meter.c ---- */

/* A meter as one for Prometheus would be: atomic counters and histograms. */
struct bench_meter;
struct bench_meter *bench_meter_new(struct nori_meter *ret_meter);
void bench_meter_free(struct bench_meter *meter);
double bench_meter_sum(const struct bench_meter *meter, const char *name); /* over all labels */

/* ---- log.c ---- */

/* Open the log in bench_folder/log. change (may be NULL) may fill in more. */
nori_wal *bench_log_open(uint32_t policy, void (*change)(struct nori_wal_config *config),
                         struct nori_recovery_info *ret_info);
void bench_log_close(nori_wal *wal);
void bench_log_remove(void);

/* A step of bench_run_threads whose subject is a log. */
void bench_log_append_one(struct bench_worker *worker);

/* Append `count` records with a 16-byte key. ret_positions (may be NULL): of each one in
 * `step`. */
void bench_log_fill(nori_wal *wal, size_t value_len, uint64_t count, uint64_t step,
                    struct nori_position *ret_positions);

/* The segment files of a log that is closed. */
struct bench_files {
    struct bench_file {
        char path[600];
        size_t bytes; /* up to its end */
    } * files;
    size_t count;
    uint64_t records;
    uint64_t bytes;
};
void bench_files_list(struct bench_files *ret_files);
void bench_files_done(struct bench_files *files);
void bench_files_drop(const struct bench_files *files); /* from the page cache */

/* Checksum the files, mapped anew, by as many threads: the floor of all reading. piece_len bytes a
 * call. */
void bench_files_scan(const struct bench_files *files, unsigned threads, size_t piece_len,
                      struct bench_result *ret_result);

/* RATE, COST and BYTES of what was begun at begun_ns and is done now. */
void bench_give_rate(struct bench_result *ret_result, uint64_t records, uint64_t bytes,
                     uint64_t begun_ns);

/* ---- floor.c ---- */

/* about: a struct bench_load */
void bench_floor_copy(const void *load, struct bench_result *ret_result);
void bench_floor_bulk(const void *load, struct bench_result *ret_result);
void bench_floor_bulk_synced(const void *load, struct bench_result *ret_result);
void bench_floor_sync(const void *load, struct bench_result *ret_result);

/* ---- report.c ---- */

void bench_report_begin(const struct bench_options *options);
unsigned bench_report_end(const struct bench_options *options); /* how many cases were run */

/* A heading and what the cases below it do; printed before the first of them that is wanted. */
void bench_section(const char *title, const char *text);

/* A result with nothing measured yet. */
struct bench_result bench_nothing(void);

/* Does --only let this case run? */
bool bench_is_wanted(const struct bench_options *options, const char *name);

/* Let the subjects take turns, and print what came of it. */
void bench_run_case(const struct bench_options *options, const struct bench_case *about);

/* Remove the line that tells how far a case is, before something else is printed. Any thread. */
void bench_progress_clear(void);

/* Measures of demands: the metric of that subject. */
double bench_measure_p95(const struct bench_result *results, size_t subject);

/* ---- the cases ---- */

void bench_append_cases(const struct bench_options *options);
void bench_paced_cases(const struct bench_options *options);
void bench_read_cases(const struct bench_options *options);
void bench_point_cases(const struct bench_options *options);
void bench_recover_cases(const struct bench_options *options);
void bench_cost_cases(const struct bench_options *options);
void bench_target_cases(const struct bench_options *options);

#endif
