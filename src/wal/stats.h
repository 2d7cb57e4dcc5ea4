/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stats.h: numbers that a log always keeps, in the page of `control`, so that any process may look
 * at a live log; and the one place where a duration goes once it was measured.
 *
 * They are there to be shown, never to go by: nothing in this library decides by them, and whoever
 * reads them in another process must expect anything. Whether a writer is alive the lock on the
 * folder tells, not this. Bytes are not counted here: `published`, `written` and `durable` grow by
 * them, from opened_lsn on.
 */
#ifndef NW_STATS_H
#define NW_STATS_H

#include "base/assert.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define NW_STATS_LAYOUT 1 /* another number: another order of the words below */

/* Where the time of an append or a sync goes. */
enum nw_stage {
    NW_STAGE_ENCODE, /* plan, compress, copy with its checksum; of one append in NW_STATS_SAMPLE */
    NW_STAGE_WAIT,   /* an append waits for room in the ring, for space, or for the next segment */
    NW_STAGE_WRITE,  /* one piece of the ring, or of a large append, to the kernel */
    NW_STAGE_SYNC,   /* all that a sync covers, from when it is written */
    NW_STAGE_WAKE,   /* from the end of a sync until one that waited for it goes on */
    NW_STAGE_COUNT
};

/* Why an append or a sync takes long. */
enum nw_stall {
    NW_STALL_RING,    /* no room in the ring: writing does not keep up */
    NW_STALL_WRITE,   /* the kernel does not take a write */
    NW_STALL_SYNC,    /* the device does not finish a sync */
    NW_STALL_SEGMENT, /* the next segment is not prepared, or may not begin yet */
    NW_STALL_SPACE,   /* the space that an append needs is still being taken */
    NW_STALL_LOCK,    /* another thread holds the append lock */
    NW_STALL_COUNT
};

/* Two looks at the clock and more for each append would cost what it costs. A power of two. */
#define NW_STATS_SAMPLE 256

/* Bucket i counts what took less than 128 << i ns and was not counted before; the last one, from
 * 8.6 s on, all the rest. */
#define NW_STATS_BUCKETS      28
#define NW_STATS_BUCKET_SHIFT 7

/* All words are stored and loaded relaxed, and each is true on its own. All zero: no writer. */
struct nw_stats {
    /* At open, then constant but for is_failed. */
    _Atomic uint64_t layout; /* NW_STATS_LAYOUT; stored last */
    _Atomic uint64_t process_id;
    _Atomic uint64_t opened_ms; /* Unix time */
    _Atomic uint64_t opened_lsn;
    _Atomic uint64_t opened_sequence; /* what next_sequence was */
    _Atomic uint64_t format_policy;   /* format << 32 | enum nori_fsync_policy */
    _Atomic uint64_t window_us;
    _Atomic uint64_t ring_len; /* also where the ring is not shared */
    _Atomic uint64_t segment_size_max;
    _Atomic uint64_t is_failed;

    /* By whoever holds the append lock. */
    _Atomic uint64_t next_sequence; /* records appended: what it has grown */
    _Atomic uint64_t appends;       /* calls; a batch is one */
    _Atomic uint64_t deletes;       /* records */
    _Atomic uint64_t batches;       /* appends of several records */

    /* By anyone. */
    _Atomic uint64_t segment_count;
    _Atomic uint64_t rolls;
    _Atomic uint64_t drops;
    _Atomic uint64_t syncs;
    _Atomic uint64_t room_waits;  /* for room in the ring */
    _Atomic uint64_t space_waits; /* for space, or for `spare` */
    _Atomic uint64_t errors_io;   /* calls that failed */
    _Atomic uint64_t errors_nospace;
    _Atomic uint64_t errors_refused;

    /* What takes too long just now: since when, Unix time in ms; 0: nothing. And how often such
     * was the case. */
    _Atomic uint64_t stalled_since_ms[NW_STALL_COUNT];
    _Atomic uint64_t stalls[NW_STALL_COUNT];

    _Atomic uint64_t stage_ns[NW_STAGE_COUNT];     /* in all */
    _Atomic uint64_t stage_max_ns[NW_STAGE_COUNT]; /* the longest one */
    _Atomic uint64_t stages[NW_STAGE_COUNT][NW_STATS_BUCKETS];
};
NW_STATIC_ASSERT(sizeof(struct nw_stats) <= 1536, "room in control");

/* Only where nobody else counts the same, such as under the append lock: no locked instruction. */
static inline void nw_stats_count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static inline void nw_stats_add(_Atomic uint64_t *counter, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static inline void nw_stats_set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint64_t nw_stats_get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void nw_stats_raise(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t seen = nw_stats_get(word);

    while (seen < value && !atomic_compare_exchange_weak_explicit(
                               word, &seen, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

struct nori_wal;

/* Begin anew: a writer has opened the log. Nobody else is inside. */
void nw_stats_begin(struct nori_wal *wal);

/* A stage has taken so long: for the meter, and for whoever looks. Any thread. */
void nw_stats_stage(struct nori_wal *wal, enum nw_stage stage, uint64_t ns);

/* An append has waited since then; `counter` tells for what. */
void nw_stats_waited(struct nori_wal *wal, _Atomic uint64_t *counter, uint64_t begun_ns);

#endif
