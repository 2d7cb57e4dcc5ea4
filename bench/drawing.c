/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * drawing.c: latencies in a terminal, a line for each subject.
 *
 * What. All lines of a case have the same axes, both logarithmic: a single slow call is to be
 * seen, since it is what one looks for. Blocks where the locale has UTF-8, else ASCII.
 */
#define _GNU_SOURCE 1

#include "report.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH  67
#define LEVELS 8

static bool is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool is = locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;

    if (locale)
        freelocale(locale);
    return is;
}

/* 0: no call, 1 to LEVELS: more and more. */
static size_t level_of(uint64_t count, uint64_t total, struct bench_heights heights)
{
    return count == 0 ? 0
                      : 1 + (size_t)round((LEVELS - 1) * bench_height_of(count, total, heights));
}

static void print_row(const struct bench_row *row, struct bench_decades decades,
                      struct bench_heights heights)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    const char *const *levels = is_utf8() ? blocks : letters;
    uint64_t counts[WIDTH];

    bench_histogram_bin(row->latencies, decades.low, decades.high, counts, WIDTH);
    printf("  %-21s", row->name);
    for (size_t i = 0; i < WIDTH; i++)
        printf("%s", levels[level_of(counts[i], row->latencies->total, heights)]);
    printf("%10llu\n", (unsigned long long)row->latencies->total);
}

/* A mark and a number where there is room for them. */
static void put_tick(char *axis, size_t at, double ns)
{
    struct bench_cell cell = bench_cell_of(ns, BENCH_UNIT_TIME);
    size_t len = strlen(cell.text);

    if (at + 1 + len > WIDTH || (at > 0 && axis[at - 1] != ' '))
        return;
    for (size_t i = at; i <= at + len; i++)
        if (axis[i] != ' ')
            return;
    axis[at] = '|';
    memcpy(axis + at + 1, cell.text, len);
}

static void print_axis(struct bench_decades decades)
{
    static const double steps[] = {1, 2, 5};
    char axis[WIDTH + 1];

    memset(axis, ' ', WIDTH);
    axis[WIDTH] = '\0';
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) /* powers of ten have precedence */
        for (double power = floor(decades.low); power <= decades.high; power++) {
            double ns = steps[i] * pow(10, power);
            double at = (log10(ns) - decades.low) / (decades.high - decades.low) * WIDTH;

            if (at >= 0 && at < WIDTH)
                put_tick(axis, (size_t)at, ns);
        }
    printf("\n  %-21s%s%10s\n", "latency, all runs", axis, "timed");
}

void bench_drawing_add(const struct bench_outcome *outcome)
{
    struct bench_decades decades = bench_outcome_decades(outcome);
    struct bench_heights heights = bench_outcome_heights(outcome, decades, WIDTH);

    print_axis(decades);
    for (size_t i = 0; i < outcome->row_count; i++)
        if (outcome->rows[i].latencies)
            print_row(&outcome->rows[i], decades, heights);
}
