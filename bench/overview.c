/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * overview.c: all cases at a glance.
 *
 * What. A line for each case, and dots on a logarithmic axis: what a record costs the log, beside
 * the floor whose records cost most; how many times as fast as other stores it is.
 */
#include "page.h"

#include <math.h>
#include <string.h>

#define NAME_ROOM  204.0
#define ROW_HEIGHT 20.0
#define TOP        22.0

struct overview {
    FILE *file;
    struct bench_scale scale;
    double bottom;
};

/* Widen the scale until all that is to be drawn has a place, and 1 has one, too. */
static void widen(struct bench_scale *scale, double value)
{
    if (!(value > 0))
        return;
    scale->low = fmin(scale->low, value / 1.25);
    scale->high = fmax(scale->high, value * 1.25);
}

static void put_dot(const struct overview *overview, double y, double value, const char *class,
                    const char *name)
{
    fprintf(overview->file, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"><title>",
            class, bench_scale_at(&overview->scale, value), y);
    bench_page_text(overview->file, name);
    fprintf(overview->file, " %.2f</title></circle>\n", value);
}

/* The frame: where 1 is, what it means, and which side is better. */
static void put_frame(const struct overview *overview, const char *at_one, const char *axis)
{
    double x = bench_scale_at(&overview->scale, 1);

    bench_svg_axis_x(overview->file, &overview->scale, TOP, overview->bottom, BENCH_UNIT_RATIO);
    fprintf(overview->file, "<path class=\"one\" d=\"M%.1f %.1fV%.1f\"/>\n", x, TOP - 6,
            overview->bottom);
    bench_svg_text(overview->file, x, TOP - 10, "middle", "tick", at_one);
    bench_svg_text(overview->file, (overview->scale.from + overview->scale.to) / 2,
                   overview->bottom + 28, "middle", "axis", axis);
}

/* ---- floors ---- */

static bool has_floor(const struct bench_outcome *outcome)
{
    return outcome->floor != NULL;
}

static void put_floor_row(const struct overview *overview, const struct bench_outcome *outcome,
                          double y)
{
    char text[32];

    bench_svg_text(overview->file, 0, y + 4, "start", "name", outcome->name);
    for (size_t i = outcome->row_count; i-- > 0;)
        if (outcome->rows[i].kind == BENCH_LOG)
            put_dot(overview, y, outcome->rows[i].over_floor.median, i > 0 ? "other" : "c0",
                    outcome->rows[i].name);
    (void)snprintf(text, sizeof text, "%.2f", outcome->rows[0].over_floor.median);
    bench_svg_text(overview->file, BENCH_SVG_WIDTH, y + 4, "end", "value", text);
}

void bench_overview_floors(FILE *file, const struct bench_outcomes *outcomes)
{
    struct overview overview = {file, {0.8, 1.25, NAME_ROOM, BENCH_SVG_WIDTH - 38, true}, TOP};
    double y = TOP + ROW_HEIGHT / 2;

    for (const struct bench_outcome *at = outcomes->first; at; at = at->next) {
        if (!has_floor(at))
            continue;
        overview.bottom += ROW_HEIGHT;
        for (size_t i = 0; i < at->row_count; i++)
            if (at->rows[i].kind == BENCH_LOG)
                widen(&overview.scale, at->rows[i].over_floor.median);
    }
    if (overview.bottom <= TOP)
        return;
    fprintf(file, "<figure>\n<figcaption>What a record costs, beside the floor. Blue: the first "
                  "line of the case; grey: the log otherwise. Further left is better."
                  "</figcaption>\n");
    bench_svg_begin(file, overview.bottom + 34);
    fprintf(file, "Cost of a record in the log, as so many of the floor's:");
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        if (has_floor(at)) {
            fprintf(file, " ");
            bench_page_text(file, at->name);
            fprintf(file, " %.2f.", at->rows[0].over_floor.median);
        }
    bench_svg_described(file);
    put_frame(&overview, "floor", "cost of a record, × floor");
    bench_svg_text(file, BENCH_SVG_WIDTH, TOP - 10, "end", "tick", "× floor");
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        if (has_floor(at)) {
            put_floor_row(&overview, at, y);
            y += ROW_HEIGHT;
        }
    bench_svg_end(file);
    fprintf(file, "</figure>\n");
}

/* ---- other stores ---- */

static bool has_peers(const struct bench_outcome *outcome)
{
    return outcome->rows[outcome->row_count - 1].kind == BENCH_PEER;
}

static void put_peer_row(const struct overview *overview, const struct bench_outcome *outcome,
                         double y)
{
    const char *name = outcome->name;

    if (strncmp(name, "peers ", 6) == 0)
        name += 6;
    bench_svg_text(overview->file, 0, y + 4, "start", "name", name);
    for (size_t i = outcome->row_count; i-- > 1;)
        put_dot(overview, y, outcome->rows[i].log_over_this.median,
                bench_series_of(outcome, i).class, outcome->rows[i].name);
}

static void put_peer_legend(FILE *file, const struct bench_outcome *outcome, double y)
{
    double x = 0;

    for (size_t i = 1; i < outcome->row_count; i++) {
        fprintf(file, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>\n",
                bench_series_of(outcome, i).class, x + 5, y);
        bench_svg_text(file, x + 14, y + 4, "start", "name", outcome->rows[i].name);
        x += BENCH_SVG_WIDTH / (double)(outcome->row_count - 1);
    }
}

static void describe_peers(FILE *file, const struct bench_outcome *outcome)
{
    fprintf(file, " ");
    bench_page_text(file, outcome->name);
    for (size_t i = 1; i < outcome->row_count; i++) {
        fprintf(file, "%s ", i > 1 ? "," : ":");
        bench_page_text(file, outcome->rows[i].name);
        fprintf(file, " %.2f", outcome->rows[i].log_over_this.median);
    }
    fprintf(file, ".");
}

void bench_overview_peers(FILE *file, const struct bench_outcomes *outcomes)
{
    struct overview overview = {file, {0.8, 1.25, NAME_ROOM - 20, BENCH_SVG_WIDTH - 8, true}, TOP};
    const struct bench_outcome *last = NULL;
    double y = TOP + ROW_HEIGHT / 2;

    for (const struct bench_outcome *at = outcomes->first; at; at = at->next) {
        if (!has_peers(at))
            continue;
        last = at;
        overview.bottom += ROW_HEIGHT;
        for (size_t i = 1; i < at->row_count; i++)
            widen(&overview.scale, at->rows[i].log_over_this.median);
    }
    if (!last)
        return;
    fprintf(file, "<figure>\n<figcaption>How many times as fast as other stores the log is. A dot "
                  "right of 1: the log is faster.</figcaption>\n");
    bench_svg_begin(file, overview.bottom + 56);
    fprintf(file, "Rate of the log, as so many of the other store's.");
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        if (has_peers(at))
            describe_peers(file, at);
    bench_svg_described(file);
    put_frame(&overview, "as fast", "rate of the log, × that of the store");
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        if (has_peers(at)) {
            put_peer_row(&overview, at, y);
            y += ROW_HEIGHT;
        }
    put_peer_legend(file, last, overview.bottom + 46);
    bench_svg_end(file);
    fprintf(file, "</figure>\n");
}
