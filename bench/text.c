/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* text.c: numbers with their units, and texts of unknown origin. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct bench_metric_info bench_metrics[] = {
#define METRIC_INFO(id, name, title, unit, axis) {name, title, BENCH_UNIT_##unit, axis},
    BENCH_METRICS(METRIC_INFO)
#undef METRIC_INFO
};

/* ---- numbers ---- */

/* A number with one of units behind it, the one that leaves three digits or four. */
static struct bench_cell scaled(double value, double step, const char *const *units)
{
    struct bench_cell cell;

    while (units[1] && fabs(value) >= step) {
        value /= step;
        units++;
    }
    (void)snprintf(cell.text, sizeof cell.text, "%.*f%s",
                   fabs(value) >= 100 || value == floor(value) ? 0
                   : fabs(value) >= 10                         ? 1
                                                               : 2,
                   value, *units);
    return cell;
}

struct bench_cell bench_cell_of(double value, enum bench_unit unit)
{
    static const char *const counts[] = {"", " k", " M", " G", NULL};
    static const char *const times[] = {" ns", " us", " ms", " s", NULL};
    static const char *const sizes[] = {" B", " KiB", " MiB", " GiB", NULL};
    struct bench_cell cell = {""};

    if (isnan(value))
        return cell;
    switch (unit) {
    case BENCH_UNIT_COUNT:
        return scaled(value, 1000, counts);
    case BENCH_UNIT_TIME:
        return scaled(value, 1000, times);
    case BENCH_UNIT_BYTES:
        return scaled(value, 1024, sizes);
    case BENCH_UNIT_MEGA:
        (void)snprintf(cell.text, sizeof cell.text, "%.*f", value < 1e7 ? 1 : 0, value / 1e6);
        break;
    case BENCH_UNIT_SHARE:
        (void)snprintf(cell.text, sizeof cell.text, "%.*f %%",
                       value >= 0.1     ? 0
                       : value >= 0.001 ? 2
                                        : 3,
                       value * 100);
        break;
    case BENCH_UNIT_RATIO:
        (void)snprintf(cell.text, sizeof cell.text, "%.2f", value);
        break;
    }
    return cell;
}

/* ---- texts ---- */

char *bench_copy(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(bench_alloc(size), text, size);
}

size_t bench_utf8_len(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t len = bytes[0] < 0x80   ? bytes[0] != '\0'
                 : bytes[0] < 0xc2 ? 0
                 : bytes[0] < 0xe0 ? 2
                 : bytes[0] < 0xf0 ? 3
                 : bytes[0] < 0xf5 ? 4
                                   : 0;

    for (size_t i = 1; i < len; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than needed, surrogates, and beyond the last character. */
    if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f) ||
        (bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return len;
}

/* No control of a terminal, and allowed in XML. */
static bool is_harmless(const char *character, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)character;

    if (len == 1)
        return bytes[0] >= ' ' && bytes[0] != 0x7f;
    if (len == 2 && bytes[0] == 0xc2)
        return bytes[1] >= 0xa0;
    return len > 0 && !(bytes[0] == 0xef && bytes[1] == 0xbf && bytes[2] >= 0xbe);
}

void bench_clean(char *text)
{
    while (*text) {
        size_t len = bench_utf8_len(text);

        if (!is_harmless(text, len)) {
            memset(text, '?', len > 0 ? len : 1);
        }
        text += len > 0 ? len : 1;
    }
}
