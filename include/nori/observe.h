/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/observe.h: what the log tells about itself, as metrics and events.
 *
 * A program that wants them fills a struct nori_meter and names it in struct nori_wal_config. The
 * library asks it for handles once, at open, and uses them from hot paths ever after: the functions
 * must not block, allocate, or call back into the log, and must work from several threads at once.
 * Keys and values never stand in labels or events. Any function may be NULL; a handle may be NULL
 * and is passed back as such never: the library skips it. The meter and what its context points to
 * must live until nori_wal_close() has returned.
 */
#ifndef NORI_OBSERVE_H
#define NORI_OBSERVE_H

#include <nori/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nori_label {
    const char *name;
    const char *value;
};

enum nori_event_kind {
    NORI_EVENT_SEGMENT_ROLL = 1, /* a segment ended: segment_id, bytes = its length */
    /* a sync succeeded or failed (code): segment_id, bytes made durable, duration_us */
    NORI_EVENT_FSYNC = 2,
    /* recovery left bytes behind: segment_id, offset, bytes, message */
    NORI_EVENT_CORRUPTION_TRUNCATED = 3,
    NORI_EVENT_SEGMENT_GC = 4, /* a segment was dropped: segment_id, bytes = its length */
    NORI_EVENT_MESSAGE = 5,    /* a sentence for a person: severity, message */
    /* open finished: segment_id and offset of the end, bytes scanned, duration_us, message */
    NORI_EVENT_RECOVERY = 6,
    /* the log failed for good: code, segment_id, offset, message */
    NORI_EVENT_FAILED = 7,
    /* an append or a sync waits longer than stall_threshold_ms, and still does: cause, duration_us
     * so far, segment_id and offset where it stands, message. Told once each, and once more with
     * is_over = 1 when it is over: duration_us is then all of it */
    NORI_EVENT_STALL = 8
};

/* What an append or a sync waits for. Several may hold at once: a sync that takes long while
 * appends have filled the ring is two stalls. */
enum nori_stall_cause {
    NORI_STALL_RING = 1,    /* room in the staging ring: writing does not keep up */
    NORI_STALL_WRITE = 2,   /* a write to return: the page cache is full, or the device hangs */
    NORI_STALL_SYNC = 3,    /* a sync to return: the device */
    NORI_STALL_SEGMENT = 4, /* the next segment: preparing or naming it takes long, or syncing the
                               ones that ended */
    NORI_STALL_SPACE = 5,   /* space for the current segment: allocating takes long */
    NORI_STALL_LOCK = 6     /* the append lock: another thread holds it; the message tells why, if
                               that is a stall, too */
};

enum nori_severity {
    NORI_SEVERITY_INFO = 0,
    NORI_SEVERITY_WARNING = 1,
    NORI_SEVERITY_ERROR = 2
};

struct nori_event {
    size_t size;
    uint32_t kind;    /* enum nori_event_kind */
    uint32_t node_id; /* of the configuration */
    uint64_t segment_id;
    uint64_t offset; /* bytes */
    uint64_t bytes;
    uint64_t duration_us;
    int32_t code;        /* NORI_OK or NORI_E_* */
    uint32_t severity;   /* enum nori_severity */
    const char *message; /* NULL if none; good until emit returns */
    uint32_t cause;      /* enum nori_stall_cause, else 0 */
    uint32_t is_over;    /* 1: this stall is over */
};

struct nori_meter {
    size_t size;
    void *context;
    /* Called at open. Names and labels are good until the call returns; NULL: not interested in
     * that one. buckets are upper bounds, ascending, without the infinite one. */
    void *(*counter)(void *context, const char *name, const struct nori_label *labels,
                     size_t label_count);
    void *(*gauge)(void *context, const char *name, const struct nori_label *labels,
                   size_t label_count);
    void *(*histogram)(void *context, const char *name, const double *buckets, size_t bucket_count,
                       const struct nori_label *labels, size_t label_count);
    /* Called any time by any thread. */
    void (*counter_add)(void *counter, uint64_t amount);
    void (*gauge_set)(void *gauge, int64_t value);
    void (*histogram_observe)(void *histogram, double value);
    void (*emit)(void *context, const struct nori_event *event);
};
#define NORI_METER_INIT                                   \
    {                                                     \
        sizeof(struct nori_meter), 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* One sentence for each metric of this library; NULL for any other name. Static memory, any
 * thread. */
NORI_API const char *nori_metric_help(const char *name);

/* What is waited for, in a word: the label `cause` of wal_stalls_total, such as "sync". NULL for
 * what is no enum nori_stall_cause. Static memory, any thread. */
NORI_API const char *nori_stall_name(uint32_t cause);

#ifdef __cplusplus
}
#endif

#endif
