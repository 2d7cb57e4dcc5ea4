/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench.h: what the parts of the benchmark share.
 *
 * A case is a situation, such as appending records of 100 bytes under `always` from 4 threads. Its
 * subjects take turns in it: the log itself, and the floors, which do the least that anything with
 * the same duty would have to do. What counts is the ratio of two subjects of one case, since they
 * met the same machine at the same time.
 */
#ifndef BENCH_H
#define BENCH_H

#include <nori/wal.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX   99
#define BENCH_SUBJECTS_MAX 5
#define BENCH_KEY_LEN      16

struct bench_options {
    const char *parent; /* folder to make the data folder in */
    const char *only;   /* NULL: all cases; else those whose name has this in it, at a word */
    unsigned rounds;
    double run_s; /* seconds of one run of appends */
    bool is_quick;
    bool is_json;
};

/* Where the data lies. Set once by main. */
extern const char *bench_folder;

/* ---- support.c ---- */

/* The machine or the log does not let the benchmark run: say why, clean up, exit with status 2. */
void bench_give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A call on the log that must work. */
void bench_must(int rc, const char *what, const struct nori_error *error);

uint64_t bench_now_ns(void);
void *bench_alloc(size_t bytes); /* zeroed */

/* bench_folder/name */
struct bench_path {
    char text[512];
};
struct bench_path bench_path(const char *name);
void bench_remove_folder(const char *path); /* and the files in it; none is fine */
void bench_settle(void);                    /* let what is still on its way reach the disk */

/* A new file of `bytes` that the file system has reserved. */
int bench_reserved_file(const char *path, uint64_t bytes);

/* Numbers of nanoseconds, kept to 1.6 % of their size. */
struct bench_histogram {
    uint32_t counts[59 * 64];
    uint64_t total;
};
void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns);
void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other);
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);

/* ---- report.c ---- */

/* What one run of one subject gave. */
struct bench_result {
    double records_per_s;
    double bytes_per_s;
    uint64_t p50_ns, p99_ns, p999_ns; /* of one call; 0: not measured */
};

struct bench_subject {
    const char *name;
    const char *duty; /* what it does, in half a sentence */
    void (*run)(const void *about, struct bench_result *ret_result);
};

struct bench_case {
    char name[64];
    const char *kind;   /* append, read, point read, recover */
    const char *policy; /* NULL: none */
    unsigned threads;
    size_t value_len;
    const void *about;                    /* handed to the subjects */
    const struct bench_subject *subjects; /* the log, then its floors */
    size_t subject_count;
};

void bench_report_begin(const struct bench_options *options, int argc, char **argv);

/* Does --only let this case run? */
bool bench_is_wanted(const struct bench_options *options, const char *name);

/* Let the subjects take turns, and print what came of it. */
void bench_run_case(const struct bench_options *options, const struct bench_case *about);

/* ---- append.c, floor.c, point.c, read.c ---- */

struct bench_append {
    uint32_t policy; /* enum nori_fsync_policy */
    unsigned threads;
    size_t value_len;
    size_t record_len; /* as it lies in the log */
    double run_s;
};

/* One thread of a run of appends. `done` counts records; one latency each, if they are wanted. */
struct bench_worker {
    const struct bench_append *about;
    void *subject; /* what all threads of the run share */
    unsigned index;
    uint8_t key[BENCH_KEY_LEN];
    uint8_t *value; /* about->record_len bytes, for floors that write whole records */
    void (*step)(struct bench_worker *worker);
    unsigned
        steps_per_look; /* 1: the latency of each is taken; more: of none, for a smaller cost */
    struct bench_histogram *latencies;
    uint64_t done;
    uint64_t begun_ns, ended_ns;
    uint64_t sum; /* of whatever must not be optimised away */
};

/* Run `step` in all threads for the time of a run. */
void bench_run_threads(const struct bench_append *about, void *subject,
                       void (*step)(struct bench_worker *worker), unsigned steps_per_look,
                       struct bench_result *ret_result);

void bench_floor_copy(const void *about, struct bench_result *ret_result);
void bench_floor_write(const void *about, struct bench_result *ret_result);
void bench_floor_window(const void *about, struct bench_result *ret_result);
void bench_floor_group(const void *about, struct bench_result *ret_result);

void bench_append_cases(const struct bench_options *options);
void bench_read_cases(const struct bench_options *options);
void bench_point_cases(const struct bench_options *options);

#endif
