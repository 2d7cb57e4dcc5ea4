/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * plot.c: the plots of a case.
 *
 * What. Bars: rates, with least and most of the runs, beside the floors. The distribution: a
 * histogram for each subject, over one logarithmic axis; its height is a share of the calls, and
 * pale behind it stands the logarithm of that, so that a single slow call is to be seen.
 * Percentiles: how long all but one call in ten, in a hundred, in a thousand took at most. Colours
 * say which subject; floors are grey and dashed.
 */
#include "page.h"

#include <math.h>
#include <string.h>

#define NAME_ROOM  122.0 /* left of the bars */
#define ROW_HEIGHT 22.0
#define COLOURS    8

/* ---- what belongs to a subject ---- */

struct bench_series bench_series_of(const struct bench_outcome *outcome, size_t row)
{
    bool is_floor = outcome->rows[row].kind == BENCH_FLOOR;
    struct bench_series series;
    size_t before = 0;

    for (size_t i = 0; i < row; i++)
        before += (outcome->rows[i].kind == BENCH_FLOOR) == is_floor;
    if (is_floor)
        (void)snprintf(series.class, sizeof series.class, "f d%zu", 1 + before % 3);
    else
        (void)snprintf(series.class, sizeof series.class, "c%zu d%zu", before % COLOURS,
                       before / COLOURS);
    return series;
}

/* ---- bars ---- */

static enum bench_metric metric_of_bars(const struct bench_outcome *outcome)
{
    return outcome->is_compared ? BENCH_RATE : *outcome->columns;
}

static bool is_latency(enum bench_metric metric)
{
    return metric >= BENCH_P50 && metric <= BENCH_AVERAGE;
}

bool bench_plot_has_bars(const struct bench_outcome *outcome)
{
    return !is_latency(metric_of_bars(outcome));
}

static void put_spread(FILE *file, const struct bench_scale *scale, double y,
                       const struct bench_spread *spread)
{
    double least = bench_scale_at(scale, spread->least);
    double most = bench_scale_at(scale, spread->most);

    if (most - least < 2)
        return;
    fprintf(file, "<path class=\"spread\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6\"/>\n", least,
            y, most, least, y - 3, most, y - 3);
}

/* How the line compares: its cost with the floor's or, without one, the log's rate with its own. */
static double factor_of(const struct bench_outcome *outcome, const struct bench_row *row)
{
    return outcome->floor ? row->over_floor.median : row->log_over_this.median;
}

static void put_bar(FILE *file, const struct bench_outcome *outcome, size_t i, double y,
                    const struct bench_scale *scale)
{
    enum bench_metric metric = metric_of_bars(outcome);
    const struct bench_row *row = &outcome->rows[i];
    const struct bench_spread *spread = &row->of[metric];
    double width = bench_scale_at(scale, spread->median) - scale->from;

    bench_svg_text(file, 0, y + 4, "start", "name", row->name);
    fprintf(file, "<rect class=\"bar %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\"/>\n",
            bench_series_of(outcome, i).class, scale->from, y - 6, fmax(width, 1));
    put_spread(file, scale, y, spread);
    fprintf(file, "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\" class=\"value\">",
            BENCH_SVG_WIDTH - (outcome->is_compared ? 54 : 0), y + 4);
    bench_page_cell(file, spread->median, bench_metrics[metric].unit);
    fprintf(file, "</text>\n");
    if (!isnan(factor_of(outcome, row)))
        fprintf(file,
                "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\" class=\"value\">%.2f ×</text>\n",
                BENCH_SVG_WIDTH, y + 4, factor_of(outcome, row));
}

static void describe_bars(FILE *file, const struct bench_outcome *outcome)
{
    enum bench_metric metric = metric_of_bars(outcome);

    bench_page_text(file, outcome->name);
    fprintf(file, ", %s:", bench_metrics[metric].axis);
    for (size_t i = 0; i < outcome->row_count; i++) {
        fprintf(file, "%s ", i > 0 ? ";" : "");
        bench_page_text(file, outcome->rows[i].name);
        fprintf(file, " ");
        bench_page_cell(file, outcome->rows[i].of[metric].median, bench_metrics[metric].unit);
    }
}

void bench_plot_bars(FILE *file, const struct bench_outcome *outcome)
{
    enum bench_metric metric = metric_of_bars(outcome);
    double top = outcome->is_compared ? 20 : 4;
    double bottom = top + ROW_HEIGHT * (double)outcome->row_count;
    struct bench_scale scale = {.from = NAME_ROOM,
                                .to = BENCH_SVG_WIDTH - (outcome->is_compared ? 112 : 58)};

    for (size_t i = 0; i < outcome->row_count; i++)
        scale.high = fmax(scale.high, outcome->rows[i].of[metric].most);
    if (!(scale.high > 0))
        scale.high = 1; /* nothing was used at all, of something idle */
    bench_svg_begin(file, bottom + 34);
    describe_bars(file, outcome);
    bench_svg_described(file);
    bench_svg_axis_x(file, &scale, top, bottom, bench_metrics[metric].unit);
    if (outcome->is_compared)
        bench_svg_text(file, BENCH_SVG_WIDTH, 11, "end", "tick",
                       outcome->floor ? "cost, × floor" : "the log is as fast");
    for (size_t i = 0; i < outcome->row_count; i++)
        put_bar(file, outcome, i, top + ROW_HEIGHT * ((double)i + 0.5), &scale);
    bench_svg_text(file, (scale.from + scale.to) / 2, bottom + 29, "middle", "axis",
                   bench_metrics[metric].axis);
    bench_svg_end(file);
}

/* ---- distribution ---- */

#define BINS         95
#define LABEL_HEIGHT 15.0
#define HILL_HEIGHT  24.0
#define LEAST_HEIGHT 2.5 /* of a single call */

/* Pale and on a logarithmic scale, so that each call is to be seen; over it the shares as they
 * are. */
static void put_hill(FILE *file, const struct bench_row *row, const struct bench_scale *scale,
                     struct bench_heights heights, double bottom)
{
    double width = (scale->to - scale->from) / BINS;
    uint64_t total = row->latencies->total;
    uint64_t counts[BINS];

    bench_histogram_bin(row->latencies, log10(scale->low), log10(scale->high), counts, BINS);
    for (int is_pale = 1; is_pale >= 0; is_pale--) {
        fprintf(file, "<path class=\"hill%s\" d=\"", is_pale ? " pale" : "");
        for (size_t i = 0; i < BINS; i++) {
            double share = (double)counts[i] / (double)total;
            double height = HILL_HEIGHT * share / heights.most;

            if (counts[i] == 0)
                continue;
            if (is_pale)
                height = LEAST_HEIGHT +
                         (HILL_HEIGHT - LEAST_HEIGHT) * bench_height_of(counts[i], total, heights);
            fprintf(file, "M%.1f %.1fh%.2fv%.2fh-%.2fz", scale->from + width * (double)i, bottom,
                    width, -height, width);
        }
        fprintf(file, "\"/>\n");
    }
}

static void put_marks(FILE *file, const struct bench_row *row, const struct bench_scale *scale,
                      double bottom)
{
    static const double shares[] = {0.5, 0.99, 0.999};

    fprintf(file, "<path class=\"mark\" d=\"");
    for (size_t i = 0; i < 3; i++)
        if ((double)row->latencies->total * (1 - shares[i]) >= 1)
            fprintf(file, "M%.1f %.1fl-3 5h6z",
                    bench_scale_at(scale, (double)bench_histogram_at(row->latencies, shares[i])),
                    bottom + 1);
    fprintf(file, "\"/>\n");
}

static void put_thousands(uint64_t number, char target[32])
{
    char digits[32];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            target[at++] = ',';
        target[at++] = digits[i];
    }
    target[at] = '\0';
}

static void put_label(FILE *file, const struct bench_row *row, double y)
{
    char number[32];
    char text[64];

    put_thousands(row->latencies->total, number);
    (void)snprintf(text, sizeof text, "%s timed", number);
    fprintf(file, "<rect class=\"key\" x=\"0\" y=\"%.1f\" width=\"9\" height=\"9\"/>\n", y - 9);
    bench_svg_text(file, 14, y, "start", "name", row->name);
    bench_svg_text(file, BENCH_SVG_WIDTH, y, "end", "tick", text);
}

static void describe_latencies(FILE *file, const struct bench_outcome *outcome)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {{"half within", 0.5}, {"99 % within", 0.99}, {"99.9 % within", 0.999}};

    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_histogram *latencies = outcome->rows[i].latencies;

        if (!latencies)
            continue;
        fprintf(file, " ");
        bench_page_text(file, outcome->rows[i].name);
        fprintf(file, ":");
        for (size_t at = 0; at < 3; at++) {
            fprintf(file, " %s ", points[at].name);
            bench_page_cell(file, (double)bench_histogram_at(latencies, points[at].share),
                            BENCH_UNIT_TIME);
            fprintf(file, at < 2 ? "," : ".");
        }
    }
}

static size_t count_timed(const struct bench_outcome *outcome)
{
    size_t count = 0;

    for (size_t i = 0; i < outcome->row_count; i++)
        count += outcome->rows[i].latencies != NULL;
    return count;
}

void bench_plot_distribution(FILE *file, const struct bench_outcome *outcome)
{
    struct bench_decades decades = bench_outcome_decades(outcome);
    struct bench_heights heights = bench_outcome_heights(outcome, decades, BINS);
    struct bench_scale scale = {.low = pow(10, decades.low),
                                .high = pow(10, decades.high),
                                .from = 4,
                                .to = BENCH_SVG_WIDTH - 4,
                                .is_log = true};
    const double pitch = LABEL_HEIGHT + HILL_HEIGHT + 9;
    double bottom = pitch * (double)count_timed(outcome);
    double y = 0;

    bench_svg_begin(file, bottom + 32);
    fprintf(file, "How latencies are spread, ");
    bench_page_text(file, outcome->name);
    fprintf(file, ".");
    describe_latencies(file, outcome);
    bench_svg_described(file);
    bench_svg_axis_x(file, &scale, 0, bottom, BENCH_UNIT_TIME);
    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_row *row = &outcome->rows[i];

        if (!row->latencies)
            continue;
        fprintf(file, "<g class=\"%s\">\n", bench_series_of(outcome, i).class);
        put_label(file, row, y + 11);
        put_hill(file, row, &scale, heights, y + LABEL_HEIGHT + HILL_HEIGHT);
        put_marks(file, row, &scale, y + LABEL_HEIGHT + HILL_HEIGHT);
        fprintf(file, "</g>\n");
        y += pitch;
    }
    bench_svg_text(file, (scale.from + scale.to) / 2, bottom + 28, "middle", "axis",
                   "latency of a call");
    bench_svg_end(file);
}

/* ---- percentiles ---- */

#define NINES_MAX  4.0 /* 99.99 % */
#define CURVE_STEP 0.04

/* Of so many calls one in ten to the power of this can be told. */
static double nines_of(const struct bench_histogram *latencies)
{
    return fmin(NINES_MAX, log10((double)latencies->total));
}

static double value_at_nines(const struct bench_histogram *latencies, double nines)
{
    return fmax(1, (double)bench_histogram_at(latencies, 1 - pow(10, -nines)));
}

static void find_ranges(const struct bench_outcome *outcome, struct bench_scale *x,
                        struct bench_scale *y)
{
    x->high = 1;
    y->low = INFINITY;
    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_histogram *latencies = outcome->rows[i].latencies;

        if (!latencies)
            continue;
        x->high = fmax(x->high, nines_of(latencies));
        y->low = fmin(y->low, value_at_nines(latencies, 0) * 0.9);
        y->high = fmax(y->high, value_at_nines(latencies, nines_of(latencies)) * 1.2);
    }
}

static void put_axis_of_nines(FILE *file, const struct bench_scale *x, double top, double bottom)
{
    static const struct {
        const char *name;
        double nines;
    } ticks[] = {{"least", 0}, {"50 %", 0.30103}, {"90 %", 1},
                 {"99 %", 2},  {"99.9 %", 3},     {"99.99 %", 4}};

    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++) {
        double at = bench_scale_at(x, ticks[i].nines);

        if (ticks[i].nines > x->high + 0.001)
            break;
        fprintf(file, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", at, top, bottom);
        if (ticks[i].nines > 0)
            bench_svg_text(file, at, bottom + 13, at > BENCH_SVG_WIDTH - 20 ? "end" : "middle",
                           "tick", ticks[i].name);
    }
}

static void put_curve(FILE *file, const struct bench_outcome *outcome, size_t i,
                      const struct bench_scale *x, const struct bench_scale *y)
{
    const struct bench_histogram *latencies = outcome->rows[i].latencies;
    double last = nines_of(latencies);

    fprintf(file, "<path class=\"curve %s\" d=\"", bench_series_of(outcome, i).class);
    for (double at = 0; at < last + CURVE_STEP; at += CURVE_STEP)
        fprintf(file, "%c%.1f %.1f", at > 0 ? 'L' : 'M', bench_scale_at(x, fmin(at, last)),
                bench_scale_at(y, value_at_nines(latencies, fmin(at, last))));
    fprintf(file, "\"><title>");
    bench_page_text(file, outcome->rows[i].name);
    fprintf(file, "</title></path>\n");
}

/* Which line is whose, in two columns. */
static void put_legend(FILE *file, const struct bench_outcome *outcome, double top)
{
    size_t at = 0;

    for (size_t i = 0; i < outcome->row_count; i++) {
        double x = at % 2 ? BENCH_SVG_WIDTH / 2 : 0;
        double y = top + 16 * (double)(at / 2);

        if (!outcome->rows[i].latencies)
            continue;
        fprintf(file, "<path class=\"curve %s\" d=\"M%.1f %.1fh24\"/>\n",
                bench_series_of(outcome, i).class, x, y);
        bench_svg_text(file, x + 30, y + 4, "start", "name", outcome->rows[i].name);
        at++;
    }
}

void bench_plot_percentiles(FILE *file, const struct bench_outcome *outcome)
{
    const double top = 6, bottom = 196;
    struct bench_scale x = {.from = 50, .to = BENCH_SVG_WIDTH - 12};
    struct bench_scale y = {.from = bottom, .to = top, .is_log = true};
    double legend = bottom + 46;

    find_ranges(outcome, &x, &y);
    bench_svg_begin(file, legend + 16 * ceil((double)count_timed(outcome) / 2));
    fprintf(file, "Percentiles of latencies, ");
    bench_page_text(file, outcome->name);
    fprintf(file, ".");
    describe_latencies(file, outcome);
    bench_svg_described(file);
    bench_svg_axis_y(file, &y, x.from, x.to, BENCH_UNIT_TIME);
    put_axis_of_nines(file, &x, top, bottom);
    for (size_t i = outcome->row_count; i-- > 0;) /* the log on top */
        if (outcome->rows[i].latencies)
            put_curve(file, outcome, i, &x, &y);
    bench_svg_text(file, (x.from + x.to) / 2, bottom + 28, "middle", "axis",
                   "share of the calls that took no longer");
    put_legend(file, outcome, legend);
    bench_svg_end(file);
}
