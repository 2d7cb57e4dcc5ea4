/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * metrics.c: the handles that a log got from its meter at open.
 *
 * What. One table in metrics.h names every metric once: handle, name, label and help. Without a
 * meter is_on is false and each call is one branch that is always predicted.
 */
#include "observe/metrics.h"

#include <string.h>

static const double buckets_seconds[] = {1e-6, 1e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3,
                                         1e-2, 2e-2, 5e-2, 1e-1, 0.25, 0.5,  1,    2.5,  10};
static const double buckets_stage[] = {1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5,
                                       1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2,
                                       0.1,  0.25,   0.5,  1,    2.5,    5,    10};
static const double buckets_ms[] = {0.05, 0.1, 0.2, 0.5, 1,   2,    5,   10,
                                    20,   50,  100, 250, 500, 1000, 2500};
static const double buckets_bytes[] = {256,     1024,    4096,     16384,    65536,    262144,
                                       1048576, 4194304, 16777216, 67108864, 268435456};
static const double buckets_records[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A histogram's name, or the unit at its end, chooses its buckets. */
static const double *choose_buckets(const char *name, size_t *ret_count)
{
    if (strstr(name, "_stage_")) { /* from a copy in memory to a device that hangs */
        *ret_count = COUNT(buckets_stage);
        return buckets_stage;
    }
    if (strstr(name, "_ms")) {
        *ret_count = COUNT(buckets_ms);
        return buckets_ms;
    }
    if (strstr(name, "_bytes")) {
        *ret_count = COUNT(buckets_bytes);
        return buckets_bytes;
    }
    if (strstr(name, "_records")) {
        *ret_count = COUNT(buckets_records);
        return buckets_records;
    }
    *ret_count = COUNT(buckets_seconds);
    return buckets_seconds;
}

enum metric_kind {
    COUNTER,
    GAUGE,
    HISTOGRAM
};

static void *ask(const struct nori_meter *meter, enum metric_kind kind, const char *name,
                 const struct nori_label *labels, size_t label_count)
{
    const double *buckets;
    size_t bucket_count;

    switch (kind) {
    case COUNTER:
        return meter->counter ? meter->counter(meter->context, name, labels, label_count) : NULL;
    case GAUGE:
        return meter->gauge ? meter->gauge(meter->context, name, labels, label_count) : NULL;
    case HISTOGRAM:
        if (!meter->histogram)
            return NULL;
        buckets = choose_buckets(name, &bucket_count);
        return meter->histogram(meter->context, name, buckets, bucket_count, labels, label_count);
    }
    return NULL;
}

void nw_metrics_init(struct nw_metrics *metrics, const struct nori_meter *meter,
                     const char *log_name, uint32_t node_id)
{
    memset(metrics, 0, sizeof *metrics);
    metrics->node_id = node_id;
    if (!meter)
        return;
    memcpy(&metrics->meter, meter,
           meter->size < sizeof metrics->meter ? meter->size : sizeof metrics->meter);
    metrics->is_on = true;
#define ASK(kind, handle, metric, label_name, label_value, help)                              \
    do {                                                                                      \
        const struct nori_label labels[2] = {{"log", log_name}, {label_name, label_value}};   \
        metrics->handle = ask(&metrics->meter, kind, metric, labels, labels[1].name ? 2 : 1); \
    } while (0);
    NW_METRICS(ASK)
#undef ASK
}

void nw_metrics_add(const struct nw_metrics *metrics, void *counter, uint64_t amount)
{
    if (metrics->is_on && counter && metrics->meter.counter_add)
        metrics->meter.counter_add(counter, amount);
}

void nw_metrics_set(const struct nw_metrics *metrics, void *gauge, uint64_t value)
{
    if (metrics->is_on && gauge && metrics->meter.gauge_set)
        metrics->meter.gauge_set(gauge, (int64_t)value);
}

void nw_metrics_observe(const struct nw_metrics *metrics, void *histogram, double value)
{
    if (metrics->is_on && histogram && metrics->meter.histogram_observe)
        metrics->meter.histogram_observe(histogram, value);
}

void nw_metrics_emit(const struct nw_metrics *metrics, struct nori_event event)
{
    if (!metrics->is_on || !metrics->meter.emit)
        return;
    event.size = sizeof event;
    event.node_id = metrics->node_id;
    metrics->meter.emit(metrics->meter.context, &event);
}

const char *nori_stall_name(uint32_t cause)
{
    static const char *const names[] = {
        [NORI_STALL_RING] = "ring",       [NORI_STALL_WRITE] = "write", [NORI_STALL_SYNC] = "sync",
        [NORI_STALL_SEGMENT] = "segment", [NORI_STALL_SPACE] = "space", [NORI_STALL_LOCK] = "lock",
    };

    return cause < COUNT(names) ? names[cause] : NULL;
}

const char *nori_metric_help(const char *name)
{
    static const struct {
        const char *name;
        const char *help;
    } texts[] = {
#define HELP(kind, handle, metric_name, label, value, text) {metric_name, text},
        NW_METRICS(HELP)
#undef HELP
    };

    for (size_t i = 0; name && i < COUNT(texts); i++)
        if (strcmp(texts[i].name, name) == 0)
            return texts[i].help;
    return NULL;
}
