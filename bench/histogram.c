/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histogram.c: latencies, counted in buckets.
 *
 * What. 64 buckets for each power of two; below 128 every number has its own. So counting is some
 * instructions and no memory, and what is told of a number is right to 1.6 %.
 *
 * Not here. Drawings of them: drawing.c.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < 64)
        return (size_t)ns;
    shift = 57u - (unsigned)__builtin_clzll(ns); /* so that 64 <= ns >> shift < 128 */
    return (size_t)((shift + 1) * 64 + ((ns >> shift) & 63));
}

void bench_histogram_bounds(size_t bucket, uint64_t *ret_least, uint64_t *ret_most)
{
    unsigned shift = bucket < 64 ? 0 : (unsigned)(bucket / 64 - 1);
    uint64_t least = bucket < 64 ? bucket : (uint64_t)(64 + bucket % 64) << shift;

    *ret_least = least;
    *ret_most = least + (((uint64_t)1 << shift) - 1);
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns)
{
    histogram->counts[bucket_of(ns)]++;
    histogram->total++;
    if (ns > histogram->most)
        histogram->most = ns;
}

void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other)
{
    for (size_t i = 0; i < BENCH_BUCKETS; i++)
        histogram->counts[i] += other->counts[i];
    histogram->total += other->total;
    if (other->most > histogram->most)
        histogram->most = other->most;
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->total * share);
    uint64_t seen = 0;
    uint64_t least, most;

    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > wanted) {
            bench_histogram_bounds(i, &least, &most);
            least += (most - least + 1) / 2;
            return least < histogram->most ? least : histogram->most;
        }
    }
    return 0;
}

void bench_histogram_bin(const struct bench_histogram *histogram, double low, double high,
                         uint64_t *ret_counts, size_t count)
{
    memset(ret_counts, 0, count * sizeof *ret_counts);
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        uint64_t least, most;
        double at;

        if (histogram->counts[i] == 0)
            continue;
        bench_histogram_bounds(i, &least, &most);
        at = (log10(fmax(1, ((double)least + (double)most) / 2)) - low) / (high - low) *
             (double)count;
        at = fmin(fmax(at, 0), (double)count - 1);
        ret_counts[(size_t)at] += histogram->counts[i];
    }
}

void bench_histogram_give(struct bench_histogram *histogram, struct bench_result *ret_result)
{
    free(ret_result->latencies);
    ret_result->latencies = NULL;
    if (histogram->total == 0) {
        free(histogram);
        return;
    }
    ret_result->latencies = histogram;
    ret_result->of[BENCH_P50] = (double)bench_histogram_at(histogram, 0.5);
    ret_result->of[BENCH_P95] = (double)bench_histogram_at(histogram, 0.95);
    ret_result->of[BENCH_P99] = (double)bench_histogram_at(histogram, 0.99);
    ret_result->of[BENCH_P999] = (double)bench_histogram_at(histogram, 0.999);
    ret_result->of[BENCH_P9999] = (double)bench_histogram_at(histogram, 0.9999);
    ret_result->of[BENCH_MAX] = (double)histogram->most;
}
