/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h: an open log, as its parts share it.
 *
 * Lock order: append_mutex, mutex. mutex is never held across a call of the seam that
 * reads, writes or syncs.
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

    /* Guarded by wal->mutex. */
    uint64_t end;           /* NW_OPEN_END while it is the current one */
    struct nori_file *file; /* open while it is written, synced or trimmed; else NULL */
    bool is_named;          /* it has its own name, durably; else it lies in `spare` */
    bool is_synced;         /* ended, and all of it is durable */
    bool needs_trim;        /* its file is longer than its end */
    struct nw_map *map;     /* to be lent to readers; NULL: none, so far */
};

/* The file `spare`: the next segment, prepared in the background. */
struct nw_spare {
    struct nori_file *file;
    uint64_t owned;
    bool is_ready;
    struct nori_error problem; /* why the last preparation failed; code 0: it did not */
};

/* A compressor and memory for its results, lent to one append at a time. */
struct nw_scratch {
    struct nw_scratch *next;
    struct nw_compressor *compressor;
    struct nw_buffer values;
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
    struct nori_mutex *append_mutex;
    struct nori_mutex *mutex;
    struct nori_cond *changed;      /* positions, states, spare, failure: everybody waits here */
    struct nori_cond *sync_wanted;  /* the sync thread waits here */
    struct nori_cond *space_wanted; /* the space thread waits here */

    /* Any thread. */
    _Atomic uint64_t written_lsn;
    _Atomic uint64_t durable_lsn;
    _Atomic uint64_t undurable_since_ns; /* 0: nothing waits for a sync of policy batch */
    _Atomic bool is_extension_wanted;
    _Atomic bool has_failed;
    _Atomic uint32_t calls; /* inside the log right now, and NW_CALLS_CLOSING */

    /* Guarded by append_mutex. */
    struct nw_segment *current; /* NULL until the first append */
    uint64_t offset;            /* where the next record goes in it */
    uint64_t next_sequence;
    uint64_t mark_offset;      /* where the last mark (or the first record) of it lies */
    uint64_t mark_durable_lsn; /* what the last mark told */
    bool must_roll;            /* a failed write left bytes behind `offset` */
    struct nw_buffer stage;    /* stage.c */
    size_t stage_len;
    size_t stage_summed_len; /* so much of it is in stage_sum */
    uint32_t stage_sum;
    uint64_t next_id;

    /* Guarded by mutex. */
    struct nw_segment **segments; /* live, oldest first */
    size_t segment_count;
    size_t segment_capacity;
    bool is_syncing; /* somebody leads a sync */
    bool is_sync_requested;
    bool is_dropping; /* somebody drops segments or removes dead files */
    struct nw_spare spare;
    uint64_t space_requests;            /* counted by those who wait for space */
    uint64_t space_answers;             /* up to this request the space thread has tried */
    uint64_t space_need;                /* the offset that the current segment must own at least */
    struct nori_error space_problem;    /* why the last extension failed; code 0: it did not */
    const struct nw_segment *extending; /* the space thread is at work on it: not to be freed */
    bool is_trim_wanted;
    uint64_t *dead_ids; /* files to remove once a new header is durable under its name */
    size_t dead_count;
    bool is_dead_stuck; /* one of them could not be removed; space thread only */
    bool has_last_left; /* nobody is inside since close began */
    bool has_threads;
    bool must_stop;
    struct nori_thread *sync_thread;
    struct nori_thread *space_thread;
    struct nw_scratch *scratches;
    struct nw_maps maps;
    struct nw_shared_folder *read_folder; /* of readers; NULL before the first */
    struct nori_error failure;
    struct nw_thread_error last_errors[NW_LAST_ERRORS];
    size_t last_error_next;
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

/* D8: the log has failed for good. Only the first cause counts. Takes mutex. Returns
 * error->code. */
int nw_log_fail(struct nori_wal *wal, const struct nori_error *error);

/* The live segment that holds this LSN, or the last one that starts at or before it; NULL if
 * none. mutex held. */
struct nw_segment *nw_log_segment_at(struct nori_wal *wal, uint64_t lsn);
struct nori_position nw_log_position_of(struct nori_wal *wal, uint64_t lsn); /* takes mutex */

/* ---- stage.c: the way of the bytes into the kernel (D2) ---- */
int nw_stage_put(struct nori_wal *wal, const void *data, size_t len, struct nori_error *error);
void nw_stage_begin_sum(struct nori_wal *wal);
uint32_t nw_stage_sum(struct nori_wal *wal); /* CRC-32C of all that was put since it was begun */
int nw_stage_flush(struct nori_wal *wal, struct nori_error *error);
void nw_stage_publish(struct nori_wal *wal);
int nw_stage_spoil(struct nori_wal *wal); /* what a refused append left at the end is no record */

/* ---- append.c ---- */
/* append_mutex held; into space owned */
int nw_append_mark(struct nori_wal *wal, struct nori_error *error);

/* ---- roll.c: beginning a segment. append_mutex held. ---- */
int nw_roll(struct nori_wal *wal, struct nori_error *error);
/* A segment of this life, durable under its name: begin one if there is none. No lock held. */
int nw_roll_durably(struct nori_wal *wal, struct nori_error *error);

/* ---- format1.c: beginning a segment that has no header. append_mutex held. ---- */
/* `spare` becomes this segment's file, under its name, durably. previous may be NULL. */
int nw_format1_begin(struct nori_wal *wal, struct nw_segment *segment,
                     const struct nw_segment *previous, uint64_t previous_end,
                     struct nori_error *error);

/* ---- space.c: taking space ahead of need (D9) ---- */
void nw_space_run(void *wal);
/* after an append: ask early */
void nw_space_check(struct nori_wal *wal);
/* wait until owned */
int nw_space_require(struct nori_wal *wal, uint64_t offset, struct nori_error *error);
int nw_space_require_spare(struct nori_wal *wal, struct nori_error *error); /* mutex held */
uint64_t nw_space_step(const struct nori_wal_config *config);

/* ---- sync.c: making it durable (D3) ---- */
void nw_sync_run(void *wal);
int nw_sync_to(struct nori_wal *wal, uint64_t lsn, struct nori_error *error);
void nw_sync_note_append(struct nori_wal *wal); /* after an append: start the window */

/* ---- retention.c ---- */
int nw_retention_remove_dead(struct nori_wal *wal, size_t count_max, struct nori_error *error);

#endif
