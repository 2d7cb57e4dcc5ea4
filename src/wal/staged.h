/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * staged.h: records that the staging ring has and their segment does not, or not yet.
 *
 * Where the records of a segment file come to an end, the ring is asked for those that follow. What
 * it gives is a stretch: whole batches, each record verified at its place. A file of that segment
 * which is opened through nw_link_open() afterwards reads as if the stretch were in it, so whoever
 * scans, reads or rewrites segments need not know.
 */
#ifndef NW_STAGED_H
#define NW_STAGED_H

#include "wal/control.h"

/* Bytes of a segment that came from the ring. */
struct nw_stretch {
    uint64_t salt;
    uint64_t from, to; /* offsets in the segment */
    struct nw_buffer bytes;
};

struct nw_staged {
    const struct nori_allocator *allocator;
    struct nw_control *control; /* NULL: there is no ring */
    bool is_live;               /* a writer may go on with it meanwhile */
    uint64_t floor_lsn;         /* the ring is not asked below it */
    struct nw_stretch *stretches;
    size_t count;
    size_t capacity; /* of stretches; behind count their memory waits to be used again */
};

/*
 * Begin with the ring of a control (a reference is taken), or, if that is NULL, with the ring in a
 * control file that was copied here, if there is one. is_live and floor_lsn, the watermark, are the
 * caller's to set.
 */
int nw_staged_begin(struct nw_staged *staged, const struct nw_env *env, struct nw_control *control,
                    struct nori_error *error);
void nw_staged_done(struct nw_staged *staged);

/* No stretches any more; their memory is kept for the next. */
void nw_staged_forget(struct nw_staged *staged);

/* Where a segment of format 2 lies. */
struct nw_staged_place {
    uint64_t salt;
    uint64_t start; /* LSN of its byte 0 */
    uint64_t end;   /* offset behind which it has no records */
    uint64_t record_limit;
    uint64_t log_id;
    struct nori_file *file;
};

/* 1: the ring had whole batches from this offset (between two batches) on, and they are a stretch
 * now. 0: it has none. NORI_E_VERSION: a newer version wrote the next. NORI_E_NOMEM, or what the
 * file says when asked for its size. */
int nw_staged_extend(struct nw_staged *staged, const struct nw_staged_place *place,
                     uint64_t offset);

/* Up to which LSN a live writer has filled the segments; 0 if there is none. */
uint64_t nw_staged_written(const struct nw_staged *staged);

/* The offset where the first stretch of this segment begins; UINT64_MAX if it has none. */
uint64_t nw_staged_from(const struct nw_staged *staged, uint64_t salt);

/* Bytes of all stretches. */
uint64_t nw_staged_bytes(const struct nw_staged *staged);

/* Write the stretches of this segment to its file. */
int nw_staged_write_back(const struct nw_staged *staged, uint64_t salt, struct nori_file *file);

/* If the segment has stretches, *file becomes one that reads as if they were in it and passes
 * everything else on. It cannot be mapped. Closing it closes the other, unless that is_borrowed.
 * NORI_E_NOMEM. */
int nw_staged_wrap(struct nw_staged *staged, uint64_t salt, bool is_borrowed,
                   struct nori_file **file);

#endif
