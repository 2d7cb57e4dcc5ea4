/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* prometheus.h: what the parts of libnori-prometheus share: the registry, and text that is built.
 */
#ifndef NW_PROMETHEUS_H
#define NW_PROMETHEUS_H

#include <locale.h>
#include <nori/prometheus.h>
#include <nori/vfs.h>
#include <stdatomic.h>
#include <stdbool.h>

#define NW_LABELS_MAX  16
#define NW_BUCKETS_MAX 64

/* Threads count in so many copies of a metric, so that they do not fight for one cache line; the
 * scrape adds them up. */
#define NW_STRIPES 8

enum nw_family_kind {
    NW_COUNTER,
    NW_GAUGE,
    NW_HISTOGRAM
};

/* A metric with its labels. It is the handle that the meter gives out. */
struct nw_series {
    /* Set when it is made, then constant. */
    struct nw_series *next; /* but for this: guarded by mutex */
    char *labels;           /* log="orders",op="put": as it stands on the page */
    const double *bounds;   /* of the family, ascending */
    size_t bound_count;
    size_t stripe_count;
    size_t stride; /* words from one stripe to the next: whole cache lines */
    /* Any thread, atomically. Word 0 of a stripe: the counter, the gauge, or the bits of the sum
     * of a histogram, whose buckets follow, the infinite one last. */
    _Atomic uint64_t *cells;
};

/* All series of one name. */
struct nw_family {
    struct nw_family *next;
    struct nw_series *series;
    struct nw_series **series_end;
    enum nw_family_kind kind;
    size_t bound_count;
    double bounds[NW_BUCKETS_MAX];
    char name[];
};

struct nori_prometheus {
    /* Set when it is made, then constant. */
    struct nori_meter meter;
    const struct nori_vfs *vfs;
    const struct nori_allocator *allocator;
    locale_t c_locale; /* a page has decimal points whatever the program's locale */
    struct nori_mutex *mutex;
    /* Guarded by mutex. */
    struct nw_family *families;
    struct nw_family **families_end;
    bool is_incomplete; /* there was no memory for a series */
    void *server;       /* of prometheus_http.c; NULL: none */
};

/* ---- prometheus.c ---- */

/* A registry in another world, for tests. */
int nw_prometheus_new(const struct nori_vfs *vfs, const struct nori_allocator *allocator,
                      nori_prometheus **ret_registry);
void nw_prometheus_lock(nori_prometheus *registry);
void nw_prometheus_unlock(nori_prometheus *registry);

/* ---- prometheus_text.c ---- */

/* Text that is written as far as it fits; len goes on counting, so that a second try can have
 * enough room. */
struct nw_text {
    char *target; /* may be NULL if size is 0 */
    size_t size;
    size_t len;
};

/* Would Prometheus take it? */
bool nw_text_is_name(const char *name);
bool nw_text_are_labels(const struct nori_label *labels, size_t count); /* sorted by name */

void nw_text_labels(struct nw_text *text, const struct nori_label *labels, size_t count);
void nw_text_help(struct nw_text *text, const char *help); /* escaped */

/* ---- prometheus_http.c ---- */

void nw_http_stop(void *server); /* NULL is a no-op */

#endif
