/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * meter.c: a meter as one for Prometheus would be, to see what metrics cost and to read them.
 *
 * What. A handle is one series. A histogram counts each observation in one bucket and adds it to a
 * sum; a scrape would add the buckets up.
 *
 * Threads. Series are made while the log opens; everything after that is an atomic.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIES_MAX  64
#define BUCKETS_MAX 32

struct series {
    char name[64];
    _Atomic int64_t value;
    _Atomic double sum;
    size_t bucket_count;
    double bounds[BUCKETS_MAX];
    _Atomic uint64_t buckets[BUCKETS_MAX + 1];
};

struct bench_meter {
    size_t count;
    struct series series[SERIES_MAX];
};

static void *make_series(void *context, const char *name, const struct nori_label *labels,
                         size_t label_count)
{
    struct bench_meter *meter = context;
    struct series *series;

    (void)labels;
    (void)label_count;
    if (meter->count == SERIES_MAX)
        bench_give_up("the log has more than %d metrics", SERIES_MAX);
    series = &meter->series[meter->count++];
    (void)snprintf(series->name, sizeof series->name, "%s", name);
    return series;
}

static void *make_histogram(void *context, const char *name, const double *buckets,
                            size_t bucket_count, const struct nori_label *labels,
                            size_t label_count)
{
    struct series *series = make_series(context, name, labels, label_count);

    if (bucket_count > BUCKETS_MAX)
        bench_give_up("%s has more than %d buckets", name, BUCKETS_MAX);
    series->bucket_count = bucket_count;
    memcpy(series->bounds, buckets, bucket_count * sizeof *buckets);
    return series;
}

static void add(void *counter, uint64_t amount)
{
    struct series *series = counter;

    atomic_fetch_add_explicit(&series->value, (int64_t)amount, memory_order_relaxed);
}

static void set(void *gauge, int64_t value)
{
    struct series *series = gauge;

    atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

static void observe(void *histogram, double value)
{
    struct series *series = histogram;
    double sum = atomic_load_explicit(&series->sum, memory_order_relaxed);
    size_t i = 0;

    while (i < series->bucket_count && value > series->bounds[i])
        i++;
    atomic_fetch_add_explicit(&series->buckets[i], 1, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&series->sum, &sum, sum + value,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

struct bench_meter *bench_meter_new(struct nori_meter *ret_meter)
{
    struct bench_meter *meter = bench_alloc(sizeof *meter);
    struct nori_meter functions = NORI_METER_INIT;

    functions.context = meter;
    functions.counter = make_series;
    functions.gauge = make_series;
    functions.histogram = make_histogram;
    functions.counter_add = add;
    functions.gauge_set = set;
    functions.histogram_observe = observe;
    *ret_meter = functions;
    return meter;
}

void bench_meter_free(struct bench_meter *meter)
{
    free(meter);
}

double bench_meter_sum(const struct bench_meter *meter, const char *name)
{
    double sum = 0;
    bool is_there = false;

    for (size_t i = 0; i < meter->count; i++) {
        const struct series *series = &meter->series[i];

        if (strcmp(series->name, name) != 0)
            continue;
        is_there = true;
        sum += atomic_load(&series->sum) + (double)atomic_load(&series->value);
    }
    if (!is_there)
        bench_give_up("the log has no metric %s", name);
    return sum;
}
