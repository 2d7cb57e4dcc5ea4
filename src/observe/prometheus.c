/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * prometheus.c: a meter that keeps its metrics for Prometheus.
 *
 * What. A registry is a list of families (one name), each a list of series (its labels). A series
 * is the handle that the meter gives out. Names and labels are checked and put into their final
 * text when a series is made; equal text is the same series, so a page never has one twice.
 *
 * Threads. Counting is one relaxed atomic addition to the calling thread's stripe of the series, a
 * histogram two; a gauge is one store. Nothing else is touched, and nothing is ever freed before
 * the registry. Making a series and rendering a page take the mutex.
 *
 * Failure. A series for which there is no memory is not made: the meter has no other way to say so
 * than NULL, so the registry remembers it and render tells.
 *
 * Not here. What a page looks like: prometheus_text.c. The server: prometheus_http.c.
 */
#include "observe/prometheus.h"

#include <math.h>
#include <string.h>

#define CACHE_LINE 64
#define LINE_WORDS (CACHE_LINE / sizeof(uint64_t))

static void *take(const nori_prometheus *registry, size_t len)
{
    void *memory = registry->allocator->alloc(registry->allocator->context, len);

    if (memory)
        memset(memory, 0, len);
    return memory;
}

static void give_back(const nori_prometheus *registry, void *memory)
{
    registry->allocator->free(registry->allocator->context, memory);
}

void nw_prometheus_lock(nori_prometheus *registry)
{
    registry->vfs->mutex_lock(registry->vfs->context, registry->mutex);
}

void nw_prometheus_unlock(nori_prometheus *registry)
{
    registry->vfs->mutex_unlock(registry->vfs->context, registry->mutex);
}

/* ---- counting: hot paths ---- */

/* The calling thread's stripe. Threads get theirs in turn when they first count; that two share one
 * costs time, never a count. */
static size_t my_stripe(void)
{
    static atomic_uint threads;
    static _Thread_local unsigned mine; /* plus one; 0: none yet */

    if (mine == 0)
        mine = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % NW_STRIPES;
    return mine - 1;
}

static void add(void *counter, uint64_t amount)
{
    struct nw_series *series = counter;

    atomic_fetch_add_explicit(&series->cells[my_stripe() * series->stride], amount,
                              memory_order_relaxed);
}

static void set(void *gauge, int64_t value)
{
    struct nw_series *series = gauge;

    atomic_store_explicit(&series->cells[0], (uint64_t)value, memory_order_relaxed);
}

static void add_double(_Atomic uint64_t *cell, double amount)
{
    uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);
    uint64_t after;
    double sum;

    do {
        memcpy(&sum, &before, sizeof sum);
        sum += amount;
        memcpy(&after, &sum, sizeof after);
    } while (!atomic_compare_exchange_weak_explicit(cell, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static void observe(void *histogram, double value)
{
    struct nw_series *series = histogram;
    _Atomic uint64_t *cells = &series->cells[my_stripe() * series->stride];
    size_t bucket = 0;

    while (bucket < series->bound_count && !(value <= series->bounds[bucket])) /* NaN: the last */
        bucket++;
    atomic_fetch_add_explicit(&cells[1 + bucket], 1, memory_order_relaxed);
    add_double(&cells[0], value);
}

/* ---- making series ---- */

static struct nw_family *find_family(const nori_prometheus *registry, const char *name)
{
    for (struct nw_family *family = registry->families; family; family = family->next)
        if (strcmp(family->name, name) == 0)
            return family;
    return NULL;
}

static struct nw_family *make_family(nori_prometheus *registry, enum nw_family_kind kind,
                                     const char *name, const double *bounds, size_t bound_count)
{
    size_t name_size = strlen(name) + 1;
    struct nw_family *family = take(registry, sizeof *family + name_size);

    if (!family)
        return NULL;
    family->series_end = &family->series;
    family->kind = kind;
    family->bound_count = bound_count;
    if (bound_count > 0)
        memcpy(family->bounds, bounds, bound_count * sizeof *bounds);
    memcpy(family->name, name, name_size);
    *registry->families_end = family;
    registry->families_end = &family->next;
    return family;
}

static struct nw_series *find_series(const struct nw_family *family, const char *labels)
{
    for (struct nw_series *series = family->series; series; series = series->next)
        if (strcmp(series->labels, labels) == 0)
            return series;
    return NULL;
}

/* Takes labels over. The cells stand behind the struct, from the next cache line on. */
static struct nw_series *make_series(nori_prometheus *registry, struct nw_family *family,
                                     char *labels)
{
    size_t words = family->kind == NW_HISTOGRAM ? 1 + family->bound_count + 1 : 1;
    size_t stride = (words + LINE_WORDS - 1) / LINE_WORDS * LINE_WORDS;
    size_t stripe_count = family->kind == NW_GAUGE ? 1 : NW_STRIPES;
    size_t cells_size = stripe_count * stride * sizeof(uint64_t);
    struct nw_series *series = take(registry, sizeof *series + CACHE_LINE + cells_size);
    unsigned char *behind;

    if (!series)
        return NULL;
    behind = (unsigned char *)(series + 1);
    behind += (CACHE_LINE - (uintptr_t)behind % CACHE_LINE) % CACHE_LINE;
    series->cells = (_Atomic uint64_t *)(void *)behind;
    series->stripe_count = stripe_count;
    series->stride = stride;
    series->labels = labels;
    series->bounds = family->bounds;
    series->bound_count = family->bound_count;
    *family->series_end = series;
    family->series_end = &series->next;
    return series;
}

/* The labels as they stand on the page; NULL if there is no memory. */
static char *make_labels(const nori_prometheus *registry, const struct nori_label *labels,
                         size_t count)
{
    struct nw_text text = {NULL, 0, 0};

    nw_text_labels(&text, labels, count);
    text.size = text.len + 1;
    text.len = 0;
    text.target = take(registry, text.size);
    if (text.target)
        nw_text_labels(&text, labels, count);
    return text.target;
}

/* The series with these labels, made if it is new. Sets is_incomplete if there is no memory. */
static struct nw_series *enter(nori_prometheus *registry, struct nw_family *family,
                               const struct nori_label *labels, size_t count)
{
    char *text = make_labels(registry, labels, count);
    struct nw_series *series = text ? find_series(family, text) : NULL;

    if (text && !series) {
        series = make_series(registry, family, text);
        if (series)
            text = NULL; /* handed over */
    }
    registry->is_incomplete = registry->is_incomplete || !series;
    give_back(registry, text);
    return series;
}

/* Labels in the order of their names, since Prometheus sees no order, and without those that have
 * an empty value, since to Prometheus they are not there. False: too many, or incomplete. */
static bool sort_labels(const struct nori_label *labels, size_t count,
                        struct nori_label sorted[NW_LABELS_MAX], size_t *ret_count)
{
    size_t sorted_count = 0;

    if (count > NW_LABELS_MAX || (count > 0 && !labels))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t place = sorted_count;

        if (!labels[i].name || !labels[i].value)
            return false;
        if (!*labels[i].value)
            continue;
        for (; place > 0 && strcmp(sorted[place - 1].name, labels[i].name) > 0; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = labels[i];
        sorted_count++;
    }
    *ret_count = sorted_count;
    return true;
}

static void *ask(nori_prometheus *registry, enum nw_family_kind kind, const char *name,
                 const double *bounds, size_t bound_count, const struct nori_label *labels,
                 size_t label_count)
{
    struct nori_label sorted[NW_LABELS_MAX];
    struct nw_family *family;
    struct nw_series *series = NULL;
    size_t sorted_count;

    if (!nw_text_is_name(name) || !sort_labels(labels, label_count, sorted, &sorted_count) ||
        !nw_text_are_labels(sorted, sorted_count))
        return NULL;

    nw_prometheus_lock(registry);
    family = find_family(registry, name);
    if (!family) {
        family = make_family(registry, kind, name, bounds, bound_count);
        registry->is_incomplete = registry->is_incomplete || !family;
    }
    if (family && family->kind == kind)
        series = enter(registry, family, sorted, sorted_count);
    nw_prometheus_unlock(registry);
    return series;
}

static void *counter(void *context, const char *name, const struct nori_label *labels,
                     size_t label_count)
{
    return ask(context, NW_COUNTER, name, NULL, 0, labels, label_count);
}

static void *gauge(void *context, const char *name, const struct nori_label *labels,
                   size_t label_count)
{
    return ask(context, NW_GAUGE, name, NULL, 0, labels, label_count);
}

static void *histogram(void *context, const char *name, const double *buckets, size_t bucket_count,
                       const struct nori_label *labels, size_t label_count)
{
    if (bucket_count > NW_BUCKETS_MAX || (bucket_count > 0 && !buckets))
        return NULL;
    for (size_t i = 0; i < bucket_count; i++)
        if (!isfinite(buckets[i]) || (i > 0 && buckets[i] <= buckets[i - 1]))
            return NULL;
    return ask(context, NW_HISTOGRAM, name, buckets, bucket_count, labels, label_count);
}

/* ---- the registry ---- */

int nw_prometheus_new(const struct nori_vfs *vfs, const struct nori_allocator *allocator,
                      nori_prometheus **ret_registry)
{
    nori_prometheus *registry = allocator->alloc(allocator->context, sizeof *registry);
    int rc;

    if (!registry)
        return NORI_E_NOMEM;
    *registry = (nori_prometheus){.vfs = vfs, .allocator = allocator};
    registry->families_end = &registry->families;
    registry->meter = (struct nori_meter){
        .size = sizeof registry->meter,
        .context = registry,
        .counter = counter,
        .gauge = gauge,
        .histogram = histogram,
        .counter_add = add,
        .gauge_set = set,
        .histogram_observe = observe,
    };
    registry->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    rc = registry->c_locale ? vfs->mutex_new(vfs->context, &registry->mutex) : NORI_E_NOMEM;
    if (rc < 0) {
        nori_prometheus_free(registry);
        return rc;
    }
    *ret_registry = registry;
    return NORI_OK;
}

int nori_prometheus_new(nori_prometheus **ret_registry)
{
    if (!ret_registry)
        return NORI_E_INVALID;
    return nw_prometheus_new(nori_vfs_posix(), nori_allocator_malloc(), ret_registry);
}

const struct nori_meter *nori_prometheus_meter(nori_prometheus *registry)
{
    return registry ? &registry->meter : NULL;
}

static void free_family(const nori_prometheus *registry, struct nw_family *family)
{
    while (family->series) {
        struct nw_series *series = family->series;

        family->series = series->next;
        give_back(registry, series->labels);
        give_back(registry, series);
    }
    give_back(registry, family);
}

void nori_prometheus_free(nori_prometheus *registry)
{
    if (!registry)
        return;
    nw_http_stop(registry->server);
    while (registry->families) {
        struct nw_family *family = registry->families;

        registry->families = family->next;
        free_family(registry, family);
    }
    registry->vfs->mutex_free(registry->vfs->context, registry->mutex);
    if (registry->c_locale)
        freelocale(registry->c_locale);
    give_back(registry, registry);
}
