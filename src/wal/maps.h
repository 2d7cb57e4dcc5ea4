/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * maps.h: segments that a handle keeps mapped, and lends to the readers that it opens.
 */
#ifndef NW_MAPS_H
#define NW_MAPS_H

#include "wal/chain.h"

#include <stdatomic.h>

struct nw_segment;

/* A segment mapped once for all readers of a handle. */
struct nw_map {
    /* Set when it is made, then constant. */
    const struct nori_allocator *allocator;
    struct nori_file *file;
    bool has_file; /* with a shared lock, for who goes on behind the loan; else it is detached */
    uint8_t *data;
    size_t len;
    struct nw_link link; /* as its header describes it; `end` is not stated */

    /* Any thread. */
    _Atomic uint32_t ref_count;

    /* Guarded by wal->mutex: while a segment has it. */
    struct nw_segment *owner;
    bool was_used; /* since it was last looked at to be given up */
    struct nw_map *newer;
    struct nw_map *older;

    /* Any thread: one for each stretch of the file, 0 while it is not known. */
    _Atomic uint64_t waypoints[];
};

/* The maps of a handle, guarded by wal->mutex. */
struct nw_maps {
    struct nw_map *newest;
    struct nw_map *oldest; /* the next to be given up, unless it was used */
    size_t count;
    uint64_t bytes;
};

/* What a reader may read without a call of the seam. */
struct nw_loan {
    struct nw_map *map;   /* a reference */
    uint64_t end;         /* offset: all before it is written (or durable) and stays */
    uint64_t segment_end; /* as the successor's header states it, or NW_OPEN_END */
    uint64_t durable_lsn; /* as of now */
    uint32_t cut;         /* the same */
    uint32_t history;     /* the same */
};

/*
 * Borrow the segment that holds a position ({0, 0}: the oldest), which lies before loan->end. 1;
 * or 0: it cannot be had this way, or there is nothing. Inside a call on the log; no lock held.
 */
int nw_maps_lend(struct nori_wal *wal, struct nori_position position, bool durable_only,
                 struct nw_loan *ret_loan);

void nw_map_unref(struct nw_map *map); /* NULL is a no-op */

void nw_maps_done(struct nori_wal *wal); /* give all back; nobody is inside the log */

/* Its file is to be trimmed or was dropped: take the map from the segment. mutex held; who gets it
 * (maybe NULL) ends the reference without. */
struct nw_map *nw_maps_take(struct nori_wal *wal, struct nw_segment *segment);

/* A place between two records, and what is known there. */
struct nw_waypoint {
    uint64_t offset;
    uint64_t sequence; /* of the next application record */
    bool is_in_batch;  /* the record before it continues */
};

/* The nearest known place at or before an offset: one that was noted, a mark, or the beginning. */
struct nw_waypoint nw_map_waypoint_before(const struct nw_map *map, uint64_t offset);

/* Note a place that was reached by reading all records before it, up to another one. */
void nw_map_note(struct nw_map *map, const struct nw_waypoint *waypoint);

#endif
