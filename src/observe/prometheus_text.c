/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * prometheus_text.c: metrics as Prometheus reads them, text format 0.0.4.
 *
 * What. For each family its HELP (if it is one of the library's) and TYPE, then a line for each
 * series; for a histogram a line for each bucket, counting all that is at most its bound, then sum
 * and count.
 *
 * Threads. Rendering holds the registry's mutex, so lists stand still; counts go on meanwhile. Each
 * bucket is read once and the count is their sum, so a histogram's lines always agree.
 *
 * Failure. One that does not fit is counted to its end, and says how long it is.
 */
#include "observe/prometheus.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 32 /* characters of a number, with the zero */

/* ---- text ---- */

static void put(struct nw_text *text, const char *data, size_t len)
{
    if (text->len < text->size) {
        size_t room = text->size - text->len;

        memcpy(text->target + text->len, data, len < room ? len : room);
    }
    text->len += len;
}

static void put_string(struct nw_text *text, const char *string)
{
    put(text, string, strlen(string));
}

static void put_count(struct nw_text *text, uint64_t count)
{
    char number[NUMBER_MAX];

    (void)snprintf(number, sizeof number, "%" PRIu64, count);
    put_string(text, number);
}

static void put_double(struct nw_text *text, double value)
{
    char number[NUMBER_MAX];

    if (isnan(value)) {
        put_string(text, "NaN");
        return;
    }
    if (isinf(value)) {
        put_string(text, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the fewest that read back as the same */
        (void)snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            break;
    }
    put_string(text, number);
}

/* ---- names and labels ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Letters, digits but at the beginning, and `extra`. */
static bool is_word(const char *word, char extra)
{
    if (!*word)
        return false;
    for (const char *c = word; *c; c++)
        if (!is_letter(*c) && *c != extra && (c == word || *c < '0' || *c > '9'))
            return false;
    return true;
}

bool nw_text_is_name(const char *name)
{
    return name && is_word(name, ':');
}

bool nw_text_are_labels(const struct nori_label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = labels[i].name;

        if (!is_word(name, '_') || strncmp(name, "__", 2) == 0 || strcmp(name, "le") == 0)
            return false;
        if (i > 0 && strcmp(labels[i - 1].name, name) == 0)
            return false;
    }
    return true;
}

/* Bytes of the UTF-8 character at c, which is not a zero; 0: it is none. */
static size_t utf8_len(const unsigned char *c)
{
    size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

    if (c[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) /* stops at the zero at the end of the string */
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || /* long, surrogates */
        (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))   /* long, no such code */
        return 0;
    return len;
}

/* One value that is not UTF-8, a path for instance, would make Prometheus refuse the whole page. */
static void put_value(struct nw_text *text, const char *value)
{
    const unsigned char *c = (const unsigned char *)value;

    while (*c) {
        size_t len = utf8_len(c);
        char hex[8];

        if (*c == '\n') {
            put_string(text, "\\n");
        } else if (*c == '\\' || *c == '"') {
            put(text, "\\", 1);
            put(text, (const char *)c, 1);
        } else if (len > 0) {
            put(text, (const char *)c, len);
        } else {
            (void)snprintf(hex, sizeof hex, "\\\\x%02x", *c);
            put_string(text, hex);
        }
        c += len > 0 ? len : 1;
    }
}

void nw_text_labels(struct nw_text *text, const struct nori_label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_string(text, i > 0 ? "," : "");
        put_string(text, labels[i].name);
        put_string(text, "=\"");
        put_value(text, labels[i].value);
        put_string(text, "\"");
    }
}

void nw_text_help(struct nw_text *text, const char *help)
{
    for (const char *c = help; *c; c++) {
        if (*c == '\\')
            put_string(text, "\\\\");
        else if (*c == '\n')
            put_string(text, "\\n");
        else
            put(text, c, 1);
    }
}

/* ---- pages ---- */

/* Word number `word` of all stripes together. */
static uint64_t total_of(const struct nw_series *series, size_t word)
{
    uint64_t total = 0;

    for (size_t i = 0; i < series->stripe_count; i++)
        total +=
            atomic_load_explicit(&series->cells[i * series->stride + word], memory_order_relaxed);
    return total;
}

static double sum_of(const struct nw_series *series)
{
    double total = 0;

    for (size_t i = 0; i < series->stripe_count; i++) {
        uint64_t bits =
            atomic_load_explicit(&series->cells[i * series->stride], memory_order_relaxed);
        double sum;

        memcpy(&sum, &bits, sizeof sum);
        total += sum;
    }
    return total;
}

/* NAME{LABELS}, and a blank: what stands before each number. suffix may be empty. */
static void put_head(struct nw_text *text, const struct nw_family *family, const char *suffix,
                     const struct nw_series *series)
{
    put_string(text, family->name);
    put_string(text, suffix);
    if (*series->labels) {
        put(text, "{", 1);
        put_string(text, series->labels);
        put(text, "}", 1);
    }
    put(text, " ", 1);
}

static void put_bucket(struct nw_text *text, const struct nw_family *family,
                       const struct nw_series *series, double bound, uint64_t count)
{
    put_string(text, family->name);
    put_string(text, "_bucket{");
    put_string(text, series->labels);
    put_string(text, *series->labels ? ",le=\"" : "le=\"");
    put_double(text, bound);
    put_string(text, "\"} ");
    put_count(text, count);
    put(text, "\n", 1);
}

static void put_histogram(struct nw_text *text, const struct nw_family *family,
                          const struct nw_series *series)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= family->bound_count; i++) {
        count += total_of(series, 1 + i);
        put_bucket(text, family, series, i < family->bound_count ? family->bounds[i] : INFINITY,
                   count);
    }
    put_head(text, family, "_sum", series);
    put_double(text, sum_of(series));
    put(text, "\n", 1);
    put_head(text, family, "_count", series);
    put_count(text, count);
    put(text, "\n", 1);
}

static void put_gauge(struct nw_text *text, int64_t value)
{
    char number[NUMBER_MAX];

    (void)snprintf(number, sizeof number, "%" PRId64, value);
    put_string(text, number);
}

static void put_series(struct nw_text *text, const struct nw_family *family,
                       const struct nw_series *series)
{
    if (family->kind == NW_HISTOGRAM) {
        put_histogram(text, family, series);
        return;
    }
    put_head(text, family, "", series);
    if (family->kind == NW_COUNTER)
        put_count(text, total_of(series, 0));
    else
        put_gauge(text, (int64_t)total_of(series, 0));
    put(text, "\n", 1);
}

static void put_family(struct nw_text *text, const struct nw_family *family)
{
    static const char *const kinds[] = {
        [NW_COUNTER] = "counter",
        [NW_GAUGE] = "gauge",
        [NW_HISTOGRAM] = "histogram",
    };
    const char *help = nori_metric_help(family->name);

    if (help) {
        put_string(text, "# HELP ");
        put_string(text, family->name);
        put(text, " ", 1);
        nw_text_help(text, help);
        put(text, "\n", 1);
    }
    put_string(text, "# TYPE ");
    put_string(text, family->name);
    put(text, " ", 1);
    put_string(text, kinds[family->kind]);
    put(text, "\n", 1);
    for (const struct nw_series *series = family->series; series; series = series->next)
        put_series(text, family, series);
}

int nori_prometheus_render(nori_prometheus *registry, char *buffer, size_t size, size_t *ret_len)
{
    struct nw_text text = {buffer, size, 0};
    bool is_incomplete;
    locale_t before;

    if (!registry || (!buffer && size > 0))
        return NORI_E_INVALID;
    before = uselocale(registry->c_locale);
    nw_prometheus_lock(registry);
    is_incomplete = registry->is_incomplete;
    for (const struct nw_family *family = registry->families; family; family = family->next)
        put_family(&text, family);
    nw_prometheus_unlock(registry);
    (void)uselocale(before);

    if (is_incomplete)
        return NORI_E_NOMEM;
    if (ret_len)
        *ret_len = text.len;
    if (text.len >= size)
        return NORI_E_TOOBIG;
    buffer[text.len] = '\0';
    return NORI_OK;
}
