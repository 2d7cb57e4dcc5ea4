/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * page.h: the parts of the report that is a web page.
 *
 * page.c writes text and tables, plot.c the plots of a case, overview.c those of all cases, both
 * with what svg.c draws. page_file.c has the file. The page is HTML that is XML as well. It has no
 * script and loads nothing; style.c has its colours, as variables, so that there is a dark one.
 */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include "report.h"

#include <stdio.h>

/* ---- page.c ---- */

struct bench_page {
    FILE *file;
    const struct bench_options *options;
    const struct bench_machine *machine;
    const struct bench_outcomes *outcomes;
};
void bench_page_write(const struct bench_page *page);

/* As text of the page, or in an attribute. text: UTF-8 without control characters. */
void bench_page_text(FILE *file, const char *text);

/* A number with its unit. */
void bench_page_cell(FILE *file, double value, enum bench_unit unit);

/* ---- page_file.c ---- */

/* Can the report be written there in the end? Returns 0; or 2, or 3, after a message. */
int bench_page_prepare(const char *path);

/* Write the page that is made by `write` to where it was prepared, whole or not at all. Ends the
 * process, after a message, if that fails. */
void bench_page_save(const struct bench_page *page, void (*write)(const struct bench_page *page));

/* What is half written goes; any thread. */
void bench_page_discard(void);

/* Where the page lies, when it was saved. */
const char *bench_page_path(void);

/* ---- style.c ---- */

extern const char bench_page_style[];

/* ---- svg.c ---- */

#define BENCH_SVG_WIDTH 380.0

/* Where values lie in a drawing. */
struct bench_scale {
    double low, high; /* of values */
    double from, to;  /* of places */
    bool is_log;
};
double bench_scale_at(const struct bench_scale *scale, double value);

#define BENCH_TICKS_MAX 64
/* Round numbers on the scale, rising: some of one, two or more digits. */
size_t bench_scale_ticks(const struct bench_scale *scale, double *ret_values);

/* Between the two: what is to be read to those who do not see the drawing. */
void bench_svg_begin(FILE *file, double height);
void bench_svg_described(FILE *file);
void bench_svg_end(FILE *file);

/* Grid lines of an axis from one end of the other one to its other end, with numbers. */
void bench_svg_axis_x(FILE *file, const struct bench_scale *scale, double top, double bottom,
                      enum bench_unit unit);
void bench_svg_axis_y(FILE *file, const struct bench_scale *scale, double left, double right,
                      enum bench_unit unit);

/* class: of style.c; anchor: start, middle or end. */
void bench_svg_text(FILE *file, double x, double y, const char *anchor, const char *class,
                    const char *text);

/* ---- plot.c ---- */

/* Rates, or whatever the case's first column is. */
void bench_plot_bars(FILE *file, const struct bench_outcome *outcome);
bool bench_plot_has_bars(const struct bench_outcome *outcome);

/* Of cases that have latencies. */
void bench_plot_distribution(FILE *file, const struct bench_outcome *outcome);
void bench_plot_percentiles(FILE *file, const struct bench_outcome *outcome);

/* The class that gives a subject its colour, the same in all plots of a case. */
struct bench_series {
    char class[48];
};
struct bench_series bench_series_of(const struct bench_outcome *outcome, size_t row);

/* ---- overview.c ---- */

/* Cost of a record beside the floors; rate beside other stores. Nothing if no case has such. */
void bench_overview_floors(FILE *file, const struct bench_outcomes *outcomes);
void bench_overview_peers(FILE *file, const struct bench_outcomes *outcomes);

#endif
