/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * threads.c: the same step again and again, from some threads.
 *
 * What. A run ends after a number of records, or after some time. Looking at the clock costs some
 * 25 ns, so the latency of only one call in `steps_per_look` is taken where calls are short.
 * Processor time is that of the whole process: the threads of a log are part of what it costs.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool must_stop;
static pthread_barrier_t at_start;

struct bench_load bench_load(unsigned threads, size_t value_len)
{
    size_t len_of_len = value_len < 128 ? 1 : value_len < 16384 ? 2 : 3;

    return (struct bench_load){.threads = threads,
                               .value_len = value_len,
                               .record_len = 1 + len_of_len + 1 + BENCH_KEY_LEN + value_len + 4,
                               .seconds = 0.5,
                               .steps_per_look = 1};
}

static void step(struct bench_worker *worker)
{
    uint64_t number = worker->done++;

    memcpy(worker->key, &number, sizeof number);
    worker->step(worker);
}

static void *worker_main(void *argument)
{
    struct bench_worker *worker = argument;
    const struct bench_load *load = worker->load;
    uint64_t last = load->records ? load->records / load->threads : UINT64_MAX;
    unsigned until_look = load->steps_per_look;
    uint64_t before;

    (void)pthread_barrier_wait(&at_start);
    worker->begun_ns = bench_now_ns();
    do {
        if (until_look != 1) {
            until_look -= until_look > 0;
            step(worker);
            continue;
        }
        until_look = load->steps_per_look;
        before = bench_now_ns();
        step(worker);
        bench_histogram_add(worker->latencies, bench_now_ns() - before);
    } while (worker->done < last && !atomic_load_explicit(&must_stop, memory_order_relaxed));
    return NULL;
}

static void init_worker(struct bench_worker *worker, const struct bench_load *load, void *subject,
                        unsigned index)
{
    uint64_t random = 0x9e3779b97f4a7c15u * (index + 1);

    worker->load = load;
    worker->subject = subject;
    worker->index = index;
    worker->latencies = bench_alloc(sizeof *worker->latencies);
    worker->value = bench_alloc(load->record_len);
    for (size_t i = 0; i < load->record_len; i++)
        worker->value[i] = (uint8_t)bench_random(&random);
    memcpy(worker->key + 8, &index, sizeof index);
}

static uint64_t sum_up(const struct bench_load *load, const struct bench_worker *workers,
                       struct bench_result *ret_result)
{
    struct bench_histogram *all = bench_alloc(sizeof *all);
    uint64_t first = UINT64_MAX;
    uint64_t done = 0;

    for (unsigned i = 0; i < load->threads; i++) {
        done += workers[i].done;
        first = workers[i].begun_ns < first ? workers[i].begun_ns : first;
    }
    bench_give_rate(ret_result, done, done * load->record_len, first);
    for (unsigned i = 0; i < load->threads; i++)
        bench_histogram_merge(all, workers[i].latencies);
    bench_histogram_give(all, ret_result);
    return done;
}

static void free_workers(const struct bench_load *load, struct bench_worker *workers)
{
    for (unsigned i = 0; i < load->threads; i++) {
        free(workers[i].latencies);
        free(workers[i].value);
    }
    free(workers);
}

uint64_t bench_run_threads(const struct bench_load *load, void *subject,
                           void (*run_step)(struct bench_worker *worker),
                           void (*finish)(void *subject), struct bench_result *ret_result)
{
    struct bench_worker *workers = bench_alloc(load->threads * sizeof *workers);
    pthread_t threads[BENCH_THREADS_MAX];
    time_t whole = (time_t)load->seconds;
    struct timespec time = {whole, (long)((load->seconds - (double)whole) * 1e9)};
    uint64_t cpu_ns, done;

    atomic_store(&must_stop, false);
    (void)pthread_barrier_init(&at_start, NULL, load->threads + 1);
    for (unsigned i = 0; i < load->threads; i++) {
        init_worker(&workers[i], load, subject, i);
        workers[i].step = run_step;
        if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
            bench_give_up("cannot start a thread");
    }
    cpu_ns = bench_cpu_ns();
    (void)pthread_barrier_wait(&at_start);
    if (load->records == 0) {
        (void)nanosleep(&time, NULL);
        atomic_store(&must_stop, true);
    }
    for (unsigned i = 0; i < load->threads; i++)
        (void)pthread_join(threads[i], NULL);
    if (finish)
        finish(subject);
    done = sum_up(load, workers, ret_result);
    ret_result->of[BENCH_CPU] = (double)(bench_cpu_ns() - cpu_ns) / (double)done;
    (void)pthread_barrier_destroy(&at_start);
    free_workers(load, workers);
    return done;
}
