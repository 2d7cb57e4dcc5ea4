/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * append.c: appending, one record a call, from some threads for some time.
 *
 * What. Each thread appends as fast as it can. The latency of a call is the time between two looks
 * at the clock, so a look is part of it, for the log and for the floors alike (some 25 ns).
 * Opening, the first record (the log begins its first segment with it) and closing are not timed.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool must_stop;
static pthread_barrier_t at_start;

static void *worker_main(void *argument)
{
    struct bench_worker *worker = argument;
    uint64_t before;

    (void)pthread_barrier_wait(&at_start);
    worker->begun_ns = before = bench_now_ns();
    while (!atomic_load_explicit(&must_stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < worker->steps_per_look; i++) {
            uint64_t number = worker->done++;

            memcpy(worker->key, &number, sizeof number);
            worker->step(worker);
        }
        if (worker->steps_per_look == 1) {
            uint64_t now = bench_now_ns();

            bench_histogram_add(worker->latencies, now - before);
            before = now;
        }
    }
    worker->ended_ns = bench_now_ns();
    return NULL;
}

static void init_worker(struct bench_worker *worker, const struct bench_append *about,
                        void *subject, unsigned index)
{
    uint64_t random = 0x9e3779b97f4a7c15u * (index + 1);

    worker->about = about;
    worker->subject = subject;
    worker->index = index;
    worker->latencies = bench_alloc(sizeof *worker->latencies);
    worker->value = bench_alloc(about->record_len);
    for (size_t i = 0; i < about->record_len; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        worker->value[i] = (uint8_t)(random >> 56);
    }
    memcpy(worker->key + 8, &random, sizeof random);
}

static void sum_up(const struct bench_append *about, const struct bench_worker *workers,
                   struct bench_result *ret_result)
{
    struct bench_histogram *all = bench_alloc(sizeof *all);
    uint64_t begun_ns = UINT64_MAX;
    uint64_t ended_ns = 0;
    uint64_t done = 0;

    for (unsigned i = 0; i < about->threads; i++) {
        begun_ns = workers[i].begun_ns < begun_ns ? workers[i].begun_ns : begun_ns;
        ended_ns = workers[i].ended_ns > ended_ns ? workers[i].ended_ns : ended_ns;
        done += workers[i].done;
        bench_histogram_merge(all, workers[i].latencies);
    }
    ret_result->records_per_s = (double)done * 1e9 / (double)(ended_ns - begun_ns);
    ret_result->bytes_per_s = ret_result->records_per_s * (double)about->record_len;
    if (all->total > 0) {
        ret_result->p50_ns = bench_histogram_at(all, 0.5);
        ret_result->p99_ns = bench_histogram_at(all, 0.99);
        ret_result->p999_ns = bench_histogram_at(all, 0.999);
    }
    free(all);
}

void bench_run_threads(const struct bench_append *about, void *subject,
                       void (*step)(struct bench_worker *worker), unsigned steps_per_look,
                       struct bench_result *ret_result)
{
    struct bench_worker *workers = bench_alloc(about->threads * sizeof *workers);
    pthread_t *threads = bench_alloc(about->threads * sizeof *threads);
    struct timespec time = {(time_t)about->run_s,
                            (long)((about->run_s - (double)(time_t)about->run_s) * 1e9)};

    atomic_store(&must_stop, false);
    (void)pthread_barrier_init(&at_start, NULL, about->threads + 1);
    for (unsigned i = 0; i < about->threads; i++) {
        init_worker(&workers[i], about, subject, i);
        workers[i].step = step;
        workers[i].steps_per_look = steps_per_look;
        if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
            bench_give_up("cannot start a thread");
    }
    (void)pthread_barrier_wait(&at_start);
    (void)nanosleep(&time, NULL);
    atomic_store(&must_stop, true);
    for (unsigned i = 0; i < about->threads; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&at_start);
    sum_up(about, workers, ret_result);
    for (unsigned i = 0; i < about->threads; i++) {
        free(workers[i].latencies);
        free(workers[i].value);
    }
    free(workers);
    free(threads);
}

/* ---- the log ---- */

static void append_one(struct bench_worker *worker)
{
    struct nori_record record =
        nori_record_put(worker->key, sizeof worker->key, worker->value, worker->about->value_len);

    bench_must(nori_wal_append(worker->subject, &record, NULL), "append", NULL);
}

static void run_log(const void *about_run, struct bench_result *ret_result)
{
    const struct bench_append *about = about_run;
    struct bench_path path = bench_path("log");
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record first = nori_record_put("first", 5, NULL, 0);
    nori_wal *wal = NULL;

    config.dir = path.text;
    config.fsync_policy = about->policy;
    bench_must(nori_wal_open(&config, &wal, NULL, &error), "open a new log", &error);
    bench_must(nori_wal_append(wal, &first, NULL), "append", NULL);
    bench_must(nori_wal_sync(wal), "sync", NULL);
    bench_run_threads(about, wal, append_one, 1, ret_result);
    bench_must(nori_wal_close(wal), "close", NULL);
    bench_remove_folder(path.text);
}

/* ---- the cases ---- */

static const char pwrite_duty[] = "as many threads, a pwrite a record into one reserved file";
static const char copy_duty[] = "copy key and value into a warm buffer, CRC-32C over them";

/* clang-format off */
static const struct bench_subject os_subjects[] = {
    {"log", "nori_wal_append", run_log},
    {"floor: pwrite", pwrite_duty, bench_floor_write},
    {"floor: copy + CRC", copy_duty, bench_floor_copy},
};
static const struct bench_subject batch_subjects[] = {
    {"log", "nori_wal_append", run_log},
    {"floor: pwrite, window", "pwrite as below, another thread calls fdatasync every 5 ms",
     bench_floor_window},
    {"floor: pwrite", pwrite_duty, bench_floor_write},
    {"floor: copy + CRC", copy_duty, bench_floor_copy},
};
static const struct bench_subject always_subjects[] = {
    {"log", "nori_wal_append", run_log},
    {"floor: pwrite, group", "pwrite, then fdatasync by one thread for all that wait",
     bench_floor_group},
    {"floor: copy + CRC", copy_duty, bench_floor_copy},
};
/* clang-format on */

static void run_append_case(const struct bench_options *options, uint32_t policy, const char *name,
                            unsigned threads, size_t value_len)
{
    size_t len_of_len = value_len < 128 ? 1 : 2;
    struct bench_append about = {
        .policy = policy, .threads = threads, .value_len = value_len, .run_s = options->run_s};
    struct bench_case one = {.kind = "append",
                             .policy = name,
                             .threads = threads,
                             .value_len = value_len,
                             .about = &about};

    about.record_len = 1 + len_of_len + 1 + BENCH_KEY_LEN + value_len + 4;
    one.subjects = policy == NORI_FSYNC_OS      ? os_subjects
                   : policy == NORI_FSYNC_BATCH ? batch_subjects
                                                : always_subjects;
    one.subject_count = policy == NORI_FSYNC_BATCH ? 4 : 3;
    (void)snprintf(one.name, sizeof one.name, "append %zu B, %s, %u thread%s", value_len, name,
                   threads, threads == 1 ? "" : "s");
    bench_run_case(options, &one);
}

void bench_append_cases(const struct bench_options *options)
{
    static const size_t value_lens[] = {100, 1024};

    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= 4; threads *= 4)
            run_append_case(options, NORI_FSYNC_OS, "os", threads, value_lens[i]);
    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= 4; threads *= 4)
            run_append_case(options, NORI_FSYNC_BATCH, "batch", threads, value_lens[i]);
    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= (i == 0 ? 64u : 4u); threads *= 4)
            run_append_case(options, NORI_FSYNC_ALWAYS, "always", threads, value_lens[i]);
}
