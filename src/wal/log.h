/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h: an open log, as its parts share it.
 *
 * Lock order: the append lock, write_mutex, mutex. mutex is never held across a call of the seam
 * that reads, writes or syncs.
 */
#ifndef NW_LOG_H
#define NW_LOG_H

#include "base/plant.h"
#include "format/compress.h"
#include "observe/metrics.h"
#include "wal/control.h"
#include "wal/maps.h"
#include "wal/recovery.h"

#include <stdatomic.h>

/* A bit of `calls`: close has begun, nobody comes in any more. */
#define NW_CALLS_CLOSING 0x80000000u

/* D3: more ended segments than this are never unsynced. */
#define NW_ENDED_UNSYNCED_MAX 2

/* The staging ring's slots, each of which remembers where a batch ended in it (stage.c). */
#define NW_RING_SLOTS 64

/* Threads whose last failure is remembered; the oldest is forgotten. */
#define NW_LAST_ERRORS 32

/* A live segment. */
struct nw_segment {
    /* Set when it is made, then constant. */
    uint64_t id;
    uint64_t salt; /* 0: format 1 */
    uint64_t start;
    uint64_t begin; /* offset of the first record */

    _Atomic uint64_t owned; /* offset up to which space is taken (D9); grows */
    uint64_t zeroed;        /* offset up to which zeros were written ahead; of write_mutex */

    /* Guarded by wal->mutex. */
    uint64_t end;           /* NW_OPEN_END while it is the current one */
    struct nori_file *file; /* open while it is written, synced or trimmed; else NULL */
    bool is_named;          /* it has its own name, durably; else it lies in `spare` */
    bool is_synced;         /* ended, and all of it is durable */
    bool is_busy;       /* somebody takes space for it: not to be freed, file not to be closed */
    bool needs_trim;    /* its file is longer than its end */
    struct nw_map *map; /* to be lent to readers; NULL: none, so far */
};

/* The file `spare`: the next segment, prepared in the background. */
struct nw_spare {
    struct nori_file *file;
    uint64_t owned;
    bool is_ready;
    bool is_busy;              /* somebody prepares it, or takes more space for it */
    bool is_grown;             /* it was tried to make it as large as a segment may be */
    struct nw_header header;   /* of append lock: what may stand in it already; salt 0: nothing */
    struct nori_error problem; /* why the last preparation failed; code 0: it did not */
};

/* A compressor and memory for its results, lent to one append at a time. */
struct nw_scratch {
    struct nw_scratch *next;
    struct nw_compressor *compressor;
    struct nw_buffer values;
};

/* What goes on just now that may take long (watch.c). */
struct nw_watch {
    uint32_t word; /* plain for the seam; only __atomic calls touch it */
    _Atomic uint64_t since_ns[NW_STALL_COUNT]; /* 0: nobody is at it */
    _Atomic uint64_t told_ns[NW_STALL_COUNT];  /* since_ns of what was told and is not over; or 0 */
};

struct nw_thread_error {
    uint64_t thread;
    struct nori_error error;
};

struct nori_wal {
    /* Set at open, then constant. */
    struct nori_wal_config config;
    char *dir;
    char *name;
    struct nw_env env;
    struct nw_metrics metrics;
    struct nw_control *control;
    uint64_t process_generation;
    uint64_t log_id;
    uint64_t step_bytes; /* space is taken in steps of this */
    uint8_t *ring;       /* control's, or private memory */
    size_t ring_len;
    bool has_shared_ring;
    bool is_ring_ours;              /* to free */
    struct nori_mutex *write_mutex; /* whoever writes what is in the ring */
    struct nori_mutex *mutex;
    struct nori_cond *changed;      /* positions, states, spare, failure: everybody waits here */
    struct nori_cond *sync_wanted;  /* the sync thread waits here */
    struct nori_cond *space_wanted; /* the space thread waits here */

    /* Any thread. */
    _Atomic uint64_t published_lsn; /* all that was appended lies before it */
    _Atomic uint64_t written_lsn; /* in the kernel; grows under write_mutex, or in direct appends */
    _Atomic uint64_t durable_lsn;
    /* plain for the seam; only __atomic calls touch them */
    uint32_t append_word;                /* the append lock: 0 or 1 */
    uint32_t writer_word;                /* writer.c */
    uint32_t room_word;                  /* counts: who waits for room in the ring sleeps on it */
    _Atomic uint64_t room_wanted_lsn;    /* 0: nobody waits; else until this is written */
    _Atomic uint64_t handed_over_ns;     /* when the append lock was last waited for */
    uint64_t batch_ends[NW_RING_SLOTS];  /* stage.c; __atomic calls only */
    _Atomic uint64_t undurable_since_ns; /* 0: nothing waits for a sync of policy batch */
    _Atomic bool is_extension_wanted;
    _Atomic bool has_failed;
    _Atomic uint32_t calls; /* inside the log right now, and NW_CALLS_CLOSING */

    /* Guarded by the append lock. */
    struct nw_segment *current; /* NULL until the first append */
    uint64_t offset;            /* where the next record goes in it */
    uint64_t next_sequence;
    uint64_t mark_offset;      /* where the last mark (or the first record) of it lies */
    uint64_t mark_durable_lsn; /* what the last mark told */
    bool must_roll;            /* a failed write left bytes behind `offset`, or a header */
    uint64_t free_until;       /* the ring is free up to this LSN, or further */
    bool is_direct;            /* the append under way is written before it returns */
    uint64_t flushed_lsn;      /* then: written so far */
    uint32_t sum;              /* of what was put of a record */
    uint64_t next_id;

    /* Guarded by mutex. */
    struct nw_segment **segments; /* live, oldest first */
    size_t segment_count;
    size_t segment_capacity;
    bool is_syncing; /* somebody leads a sync */
    bool is_naming;  /* somebody gives the newest segment its name */
    bool is_sync_requested;
    bool is_dropping; /* somebody drops segments or removes dead files */
    struct nw_spare spare;
    uint64_t spare_step; /* so much space it takes at first */
    bool is_trim_wanted;
    uint64_t *dead_ids; /* files to remove once a new header is durable under its name */
    size_t dead_count;
    bool is_dead_small; /* for want of space they were cut down to their headers */
    bool is_dead_stuck; /* one of them could not be removed; space thread only */
    bool has_last_left; /* nobody is inside since close began */
    bool has_threads;
    bool must_stop;
    struct nori_thread *sync_thread;
    struct nori_thread *space_thread;
    struct nori_thread *writer_thread;
    struct nw_scratch *scratches;
    struct nw_maps maps;
    struct nw_shared_folder *read_folder; /* of readers; NULL before the first */
    struct nori_error failure;
    struct nw_thread_error last_errors[NW_LAST_ERRORS];
    size_t last_error_next;

    /* Any thread; behind all that an append needs. */
    _Atomic uint64_t synced_ns; /* when the last sync ended */
    struct nw_watch watch;
    struct nori_thread *watch_thread; /* guarded by mutex */
};

/* ---- log.c: entering and leaving, failing, looking around ---- */

static inline void nw_lock(struct nori_wal *wal, struct nori_mutex *mutex)
{
    wal->env.vfs->mutex_lock(wal->env.vfs->context, mutex);
}

static inline void nw_unlock(struct nori_wal *wal, struct nori_mutex *mutex)
{
    wal->env.vfs->mutex_unlock(wal->env.vfs->context, mutex);
}

static inline uint64_t nw_now_ns(const struct nori_wal *wal)
{
    return wal->env.vfs->monotonic_ns(wal->env.vfs->context);
}

/* Every public call begins with enter and, if that gave 0, ends with leave, which remembers the
 * error and returns rc. */
int nw_log_enter(struct nori_wal *wal);
int nw_log_leave(struct nori_wal *wal, int rc, const struct nori_error *error);

/* Wait on a condition with mutex held. 0 or NORI_E_TIMEOUT. */
int nw_log_wait(struct nori_wal *wal, struct nori_cond *cond, uint64_t deadline_ns);
void nw_log_wake(struct nori_wal *wal); /* everybody who waits on `changed` */

/* NORI_OK, NORI_E_FAILED (with the first cause) or NORI_E_CLOSED in *error. */
int nw_log_check(struct nori_wal *wal, struct nori_error *error);

/* D8: the log has failed for good. Only the first cause counts. Takes mutex. Returns NORI_E_IO,
 * which error says from now on, whatever it was: NORI_E_NOSPACE would promise that nothing is
 * there, NORI_E_READONLY that nothing was tried. */
int nw_log_fail(struct nori_wal *wal, struct nori_error *error);

/* The live segment that holds this LSN, or the last one that starts at or before it; NULL if
 * none. mutex held. */
struct nw_segment *nw_log_segment_at(struct nori_wal *wal, uint64_t lsn);
/* One of the log's positions, as it is now. Takes mutex. */
struct nori_position nw_log_position_of(struct nori_wal *wal, const _Atomic uint64_t *lsn);

/* ---- stage.c: the way of the bytes into the ring and from there to the kernel (D2) ---- */
/* append lock held: begin an append of so many bytes at `offset`, put its pieces, and end it. */
int nw_stage_begin(struct nori_wal *wal, uint64_t bytes, struct nori_error *error);
int nw_stage_put(struct nori_wal *wal, const void *data, size_t len, struct nori_error *error);
void nw_stage_begin_sum(struct nori_wal *wal);
uint32_t nw_stage_sum(const struct nori_wal *wal); /* CRC-32C of what was put since */
int nw_stage_end(struct nori_wal *wal, struct nori_error *error);
/* append lock held, or nobody else inside: `offset` stands behind a header that is in its file */
void nw_stage_step_over_header(struct nori_wal *wal);
/* Write what is published up to this LSN, or see that it is written. Neither mutex held. */
int nw_stage_write_to(struct nori_wal *wal, uint64_t target, struct nori_error *error);

/* Where the next len bytes of the append under way go, if that is one piece of memory; else NULL:
 * they are put. Whoever fills it moves `offset`. */
static inline uint8_t *nw_stage_place(struct nori_wal *wal, size_t len)
{
    uint64_t at = (wal->current->start + wal->offset) & (wal->ring_len - 1);

    return !wal->is_direct && at + len <= wal->ring_len ? wal->ring + at : NULL;
}

/* How far ahead of an append, and how many of them at most, nw_stage_expect asks for bytes. */
#define NW_EXPECT_AHEAD 1024
#define NW_EXPECT_MAX   512

/* Have the cache lines fetched that the next small records will go to: the writer thread has read
 * them last, and a locked instruction would wait until this processor owns them again. */
static inline void nw_stage_expect(const struct nori_wal *wal, size_t len)
{
    uint64_t ahead = wal->current->start + wal->offset + NW_EXPECT_AHEAD;

    for (size_t at = 0; at < len && at < NW_EXPECT_MAX; at += 64)
        __builtin_prefetch(wal->ring + ((ahead + at) & (wal->ring_len - 1)), 1);
}

/* ---- writer.c: doing so in the background ---- */
void nw_writer_run(void *wal);
void nw_writer_check(struct nori_wal *wal); /* after publishing: wake it if need be */
void nw_writer_stop(struct nori_wal *wal);

/* ---- watch.c: what takes too long, and why ---- */
void nw_watch_run(void *wal);
void nw_watch_stop(struct nori_wal *wal);
/* Something begins that may take long. True: it is watched until nw_watch_end; false: another
 * thread does the same already. mutex not held. */
bool nw_watch_begin(struct nori_wal *wal, enum nw_stall stall, uint64_t now_ns);
/* is_watched: what nw_watch_begin said. */
void nw_watch_end(struct nori_wal *wal, enum nw_stall stall, bool is_watched);

/* ---- append_lock.c ---- */
void nw_append_wait(struct nori_wal *wal);

static inline void nw_append_lock(struct nori_wal *wal)
{
    uint32_t free = 0;

    if (!__atomic_compare_exchange_n(&wal->append_word, &free, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        nw_append_wait(wal);
}

static inline void nw_append_unlock(struct nori_wal *wal)
{
    __atomic_store_n(&wal->append_word, 0, __ATOMIC_RELEASE);
}

/* ---- append.c ---- */
/* append lock held, or nobody else inside, as at close; into space owned */
int nw_append_mark(struct nori_wal *wal, struct nori_error *error);

/* ---- roll.c: beginning a segment. append lock held. ---- */
int nw_roll(struct nori_wal *wal, struct nori_error *error);
/* A segment of this life, durable under its name: begin one if there is none. No lock held. */
int nw_roll_durably(struct nori_wal *wal, struct nori_error *error);

/* ---- format1.c: beginning a segment that has no header. append lock held. ---- */
/* `spare` becomes this segment's file, under its name, durably. previous may be NULL. */
int nw_format1_begin(struct nori_wal *wal, struct nw_segment *segment,
                     const struct nw_segment *previous, uint64_t previous_end,
                     struct nori_error *error);

/* ---- space.c: taking space ahead of need (D9) ---- */
void nw_space_run(void *wal);
/* after an append: ask early */
void nw_space_check(struct nori_wal *wal);
/* append lock held: have it owned; have `spare` ready, with mutex held, released meanwhile */
int nw_space_require(struct nori_wal *wal, uint64_t offset, struct nori_error *error);
int nw_space_require_spare(struct nori_wal *wal, struct nori_error *error);
/* At close, all threads gone: a closed log does not keep a whole segment ahead. */
void nw_space_shrink_spare(struct nori_wal *wal);
uint64_t nw_space_step(const struct nori_wal_config *config);

/* ---- sync.c: making it durable (D3) ---- */
void nw_sync_run(void *wal);
int nw_sync_to(struct nori_wal *wal, uint64_t lsn, struct nori_error *error);
/* Something was appended since then: start the window if none runs. */
void nw_sync_note_append(struct nori_wal *wal, uint64_t since_ns);
/* Have the sync thread make durable what there is, unless somebody is at it. */
void nw_sync_request(struct nori_wal *wal);
/* Give the newest segment its name, if it has none yet. mutex held; released meanwhile. */
int nw_sync_name(struct nori_wal *wal);

/* ---- retention.c ---- */
int nw_retention_remove_dead(struct nori_wal *wal, size_t count_max, struct nori_error *error);

#endif
