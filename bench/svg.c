/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * svg.c: scales, axes and texts of plots.
 *
 * What. All plots are as wide, 380 units, so that a text of 11 units is to be read on a telephone,
 * where that is about the width there is, and elsewhere two or three of them stand side by side.
 */
#include "page.h"

#include <math.h>
#include <string.h>

#define LABEL_ROOM 44.0 /* of a number on the horizontal axis */

/* ---- scales ---- */

double bench_scale_at(const struct bench_scale *scale, double value)
{
    double low = scale->is_log ? log10(scale->low) : scale->low;
    double high = scale->is_log ? log10(scale->high) : scale->high;
    double at = scale->is_log ? log10(fmax(value, 1e-12)) : value;

    at = fmin(fmax((at - low) / (high - low), 0), 1);
    return scale->from + at * (scale->to - scale->from);
}

/* Steps within a power of ten, for scales that are more and more narrow. */
static const struct steps {
    size_t count;
    double values[18];
} steps[] = {
    {1, {1}},
    {3, {1, 2, 5}},
    {9, {1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {18, {1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5}},
};

static size_t put_log_ticks(const struct bench_scale *scale, const struct steps *in,
                            double *ret_values)
{
    size_t count = 0;

    for (double power = floor(log10(scale->low)); power <= log10(scale->high); power++)
        for (size_t i = 0; i < in->count; i++) {
            double value = in->values[i] * pow(10, power);

            if (value >= scale->low && value <= scale->high && count < BENCH_TICKS_MAX)
                ret_values[count++] = value;
        }
    return count;
}

size_t bench_scale_ticks(const struct bench_scale *scale, double *ret_values)
{
    double step = pow(10, floor(log10((scale->high - scale->low) / 3)));
    size_t count = 0;

    if (scale->is_log) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps && count < 3; i++)
            count = put_log_ticks(scale, &steps[i], ret_values);
        return count;
    }
    while ((scale->high - scale->low) / step > 4)
        step *= (scale->high - scale->low) / step > 8 ? 5 : 2;
    for (double at = ceil(scale->low / step); at * step <= scale->high * 1.0001; at++)
        ret_values[count++] = at * step;
    return count;
}

/* ---- drawings ---- */

void bench_svg_begin(FILE *file, double height)
{
    fprintf(file, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", BENCH_SVG_WIDTH, height);
}

void bench_svg_described(FILE *file)
{
    fprintf(file, "\">\n");
}

void bench_svg_end(FILE *file)
{
    fprintf(file, "</svg>\n");
}

void bench_svg_text(FILE *file, double x, double y, const char *anchor, const char *class,
                    const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
            class);
    bench_page_text(file, text);
    fprintf(file, "</text>\n");
}

static void put_number(FILE *file, double x, double y, const char *anchor, double value,
                       enum bench_unit unit)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"tick\">", x, y, anchor);
    if (unit == BENCH_UNIT_RATIO || value == 0)
        fprintf(file, "%g", value);
    else if (unit == BENCH_UNIT_SHARE)
        fprintf(file, "%g %%", value * 100);
    else
        bench_page_cell(file, value, unit);
    fprintf(file, "</text>\n");
}

static void put_line(FILE *file, double x1, double y1, double x2, double y2)
{
    fprintf(file, "<path class=\"grid\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x1, y1, x2, y2);
}

void bench_svg_axis_x(FILE *file, const struct bench_scale *scale, double top, double bottom,
                      enum bench_unit unit)
{
    double values[BENCH_TICKS_MAX];
    size_t count = bench_scale_ticks(scale, values);
    double free_from = 0;

    for (size_t i = 0; i < count; i++) {
        double x = bench_scale_at(scale, values[i]);
        double half = LABEL_ROOM / 2;

        put_line(file, x, top, x, bottom);
        if (x < free_from)
            continue;
        free_from = x + LABEL_ROOM;
        /* None must stand out of the drawing. */
        if (x + half > BENCH_SVG_WIDTH)
            put_number(file, BENCH_SVG_WIDTH, bottom + 13, "end", values[i], unit);
        else if (x < half)
            put_number(file, 0, bottom + 13, "start", values[i], unit);
        else
            put_number(file, x, bottom + 13, "middle", values[i], unit);
    }
}

void bench_svg_axis_y(FILE *file, const struct bench_scale *scale, double left, double right,
                      enum bench_unit unit)
{
    double values[BENCH_TICKS_MAX];
    size_t count = bench_scale_ticks(scale, values);

    for (size_t i = 0; i < count; i++) {
        double y = bench_scale_at(scale, values[i]);

        put_line(file, left, y, right, y);
        put_number(file, left - 5, y + 4, "end", values[i], unit);
    }
}
