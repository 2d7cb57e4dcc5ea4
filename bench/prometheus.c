/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * prometheus.c: what counting in libnori-prometheus costs; `meson test --benchmark` runs it.
 *
 * What. One, two and four threads add to one and the same counter, set one gauge, and observe in
 * one histogram with the buckets of wal_fsync_seconds. Beside it the floor: a bare atomic addition
 * to one word by as many threads. The best of some rounds counts, since others use the processor,
 * too. The exit status is 1 if one thread needs more than the library is held to.
 */
#include <nori/prometheus.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 4
#define STEPS       4000000u
#define ROUNDS      5
#define COUNTER_NS  20.0
#define OBSERVE_NS  40.0

static const double buckets[] = {1e-6, 1e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3,
                                 1e-2, 2e-2, 5e-2, 1e-1, 0.25, 0.5,  1,    2.5,  10};
static const struct nori_meter *meter;
static void *handle;
static _Atomic uint64_t word;

static void *add_to_word(void *unused)
{
    for (unsigned i = 0; i < STEPS; i++)
        atomic_fetch_add_explicit(&word, 1, memory_order_relaxed);
    return unused;
}

static void *add_to_counter(void *unused)
{
    for (unsigned i = 0; i < STEPS; i++)
        meter->counter_add(handle, 1);
    return unused;
}

static void *set_gauge(void *unused)
{
    for (unsigned i = 0; i < STEPS; i++)
        meter->gauge_set(handle, (int64_t)i);
    return unused;
}

/* Syncs of 100 us to 1 ms: seven buckets are looked at, or less. */
static void *observe_syncs(void *unused)
{
    for (unsigned i = 0; i < STEPS; i++)
        meter->histogram_observe(handle, 1e-4 * (double)(1 + i % 10));
    return unused;
}

/* Of the processor, not the clock: other programs must not count. */
static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Nanoseconds of processor time that all threads took together. */
static double run_once(void *(*run)(void *), int threads)
{
    pthread_t thread[THREADS_MAX];
    double begun = now();

    for (int i = 0; i < threads; i++) {
        if (pthread_create(&thread[i], NULL, run, NULL) != 0) {
            fprintf(stderr, "no thread\n");
            exit(2);
        }
    }
    for (int i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    return now() - begun;
}

/* Prints the nanoseconds of a call; returns those of one thread alone. */
static double measure(const char *name, void *(*run)(void *))
{
    double alone = 0;

    printf("%-20s", name);
    for (int threads = 1; threads <= THREADS_MAX; threads *= 2) {
        double best = run_once(run, threads);

        for (int round = 1; round < ROUNDS; round++) {
            double took = run_once(run, threads);

            best = took < best ? took : best;
        }
        best /= (double)threads * STEPS;
        alone = threads == 1 ? best : alone;
        printf("%10.1f", best);
    }
    printf("\n");
    return alone;
}

int main(void)
{
    nori_prometheus *registry = NULL;
    double counter_ns;
    double observe_ns;

    if (nori_prometheus_new(&registry) < 0)
        return 2;
    meter = nori_prometheus_meter(registry);
    printf("ns a call, threads: %9d%10d%10d\n", 1, 2, 4);
    (void)measure("bare atomic word", add_to_word);
    handle = meter->counter(meter->context, "bench_total", NULL, 0);
    counter_ns = measure("counter_add", add_to_counter);
    handle = meter->gauge(meter->context, "bench", NULL, 0);
    (void)measure("gauge_set", set_gauge);
    handle = meter->histogram(meter->context, "bench_seconds", buckets,
                              sizeof buckets / sizeof buckets[0], NULL, 0);
    observe_ns = measure("histogram_observe", observe_syncs);
    nori_prometheus_free(registry);
    return counter_ns <= COUNTER_NS && observe_ns <= OBSERVE_NS ? 0 : 1;
}
