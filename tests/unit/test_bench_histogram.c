/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Latencies as `nori bench` counts them: what it prints and draws is what was measured. */
#include "report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every number, more or less: small ones, and around each power of two. */
static size_t samples(uint64_t *values)
{
    size_t count = 0;

    for (uint64_t i = 0; i < 300; i++)
        values[count++] = i;
    for (unsigned shift = 8; shift < 64; shift++)
        for (uint64_t i = 0; i < 5; i++)
            values[count++] = ((uint64_t)1 << shift) - 2 + i;
    values[count++] = UINT64_MAX;
    return count;
}

static struct bench_histogram *histogram_of(const uint64_t *values, size_t count)
{
    struct bench_histogram *histogram = calloc(1, sizeof *histogram);

    assert_non_null(histogram);
    for (size_t i = 0; i < count; i++)
        bench_histogram_add(histogram, values[i]);
    return histogram;
}

static void buckets_follow_each_other_without_a_gap(void **state)
{
    uint64_t least, most;
    uint64_t next = 0;

    (void)state;
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        bench_histogram_bounds(i, &least, &most);
        assert_int_equal(least, next);
        assert_true(most >= least);
        assert_true(most - least <= least / 64);
        next = most + 1;
    }
    assert_int_equal(next, 0); /* the last one ends with the last number there is */
}

static void a_number_is_counted_in_its_bucket(void **state)
{
    uint64_t values[1000];
    size_t count = samples(values);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct bench_histogram *histogram = histogram_of(&values[i], 1);
        uint64_t least = 1, most = 0;

        for (size_t bucket = 0; bucket < BENCH_BUCKETS; bucket++)
            if (histogram->counts[bucket] > 0)
                bench_histogram_bounds(bucket, &least, &most);
        assert_true(least <= values[i] && values[i] <= most);
        assert_int_equal(histogram->most, values[i]);
        free(histogram);
    }
}

static void percentiles_are_those_of_the_sorted_numbers(void **state)
{
    static const double shares[] = {0, 0.5, 0.95, 0.99, 0.999, 0.9999};
    uint64_t values[20000];
    struct bench_histogram *histogram;

    (void)state;
    for (uint64_t i = 0; i < 20000; i++)
        values[(i * 7919) % 20000] = 40 + i * i; /* sorted: 40 + i * i */
    histogram = histogram_of(values, 20000);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        uint64_t place = (uint64_t)(shares[i] * 20000);
        double wanted = (double)(40 + place * place);
        double found = (double)bench_histogram_at(histogram, shares[i]);

        assert_true(found >= wanted * 0.992 - 1 && found <= wanted * 1.008 + 1);
    }
    free(histogram);
}

static void no_percentile_is_more_than_the_greatest_number(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 100000; value += 97) {
        struct bench_histogram *histogram = histogram_of(&value, 1);

        assert_true(bench_histogram_at(histogram, 0.999) <= value);
        free(histogram);
    }
}

static void a_drawing_leaves_no_call_out(void **state)
{
    uint64_t values[1000];
    size_t count = samples(values);
    struct bench_histogram *histogram = histogram_of(values, count);

    (void)state;
    for (size_t bins = 1; bins <= 100; bins += 33)
        for (double high = 2; high < 20; high += 5) {
            uint64_t counts[100];
            uint64_t sum = 0;

            bench_histogram_bin(histogram, 1, high, counts, bins);
            for (size_t i = 0; i < bins; i++)
                sum += counts[i];
            assert_int_equal(sum, count);
        }
    free(histogram);
}

static void bins_are_decades_if_they_are_to_be(void **state)
{
    static const uint64_t values[] = {1, 9, 11, 95, 105, 999, 1005, 9900};
    struct bench_histogram *histogram = histogram_of(values, 8);
    uint64_t counts[4];

    (void)state;
    bench_histogram_bin(histogram, 0, 4, counts, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(counts[i], 2);
    free(histogram);
}

static void merged_they_are_as_if_counted_together(void **state)
{
    uint64_t values[1000];
    size_t count = samples(values);
    struct bench_histogram *all = histogram_of(values, count);
    struct bench_histogram *some = histogram_of(values, count / 3);
    struct bench_histogram *rest = histogram_of(values + count / 3, count - count / 3);

    (void)state;
    bench_histogram_merge(some, rest);
    assert_memory_equal(some, all, sizeof *all);
    free(all);
    free(some);
    free(rest);
}

static void texts_become_harmless(void **state)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"plain <&>\"' text", "plain <&>\"' text"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\x1b[31mred\x7f\n\t", "?[31mred???"},
        {"\xff \xc3 \x80", "? ? ?"},
        {"cut \xe2\x82", "cut ??"},
        {"\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80", "?? ??? ????"},
        {"\xc2\x9b[31m \xef\xbf\xbf", "??[31m ???"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64] = {0};

        memcpy(text, rows[i].text, strlen(rows[i].text));
        bench_clean(text);
        assert_string_equal(text, rows[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_each_other_without_a_gap),
        cmocka_unit_test(a_number_is_counted_in_its_bucket),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_numbers),
        cmocka_unit_test(no_percentile_is_more_than_the_greatest_number),
        cmocka_unit_test(a_drawing_leaves_no_call_out),
        cmocka_unit_test(bins_are_decades_if_they_are_to_be),
        cmocka_unit_test(merged_they_are_as_if_counted_together),
        cmocka_unit_test(texts_become_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
