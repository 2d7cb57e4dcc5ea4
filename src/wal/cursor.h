/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cursor.h: the records of one segment file, one after the other.
 *
 * A cursor reads by copying (a window of the file that moves and grows to the largest record) or
 * from a shared mapping. It knows bytes and checksums, nothing of chains, batches or policies.
 */
#ifndef NW_CURSOR_H
#define NW_CURSOR_H

#include "format/record.h"
#include "wal/env.h"

struct nw_cursor {
    /* Set by nw_cursor_begin, then constant. */
    const struct nori_allocator *allocator;
    struct nori_file *file; /* borrowed; NULL: bytes are lent, or there is nothing to read */
    uint32_t format;
    uint64_t salt;
    uint64_t record_limit; /* bytes of key and stored value together */
    bool is_mapped;

    /* The owner may move these. */
    uint64_t offset; /* of the next record */
    uint64_t stop;   /* nothing at or behind this offset is read */

    /* Private. What is at hand: data_len bytes of the file from data_offset on. */
    const uint8_t *data;
    uint64_t data_offset;
    size_t data_len;
    bool is_at_file_end; /* data reaches the end of the file or stop */
    struct nw_buffer copy;
    void *map;
    size_t map_len;
};

/* Begin at `offset`. The copying window starts with `window` bytes. No memory is taken before
 * the first record. */
void nw_cursor_begin(struct nw_cursor *cursor, const struct nori_allocator *allocator,
                     struct nori_file *file, uint32_t format, uint64_t salt, uint64_t offset,
                     uint64_t record_limit, bool use_map);
void nw_cursor_done(struct nw_cursor *cursor);

/* Go on in another file (or life) with the same window memory. */
void nw_cursor_restart(struct nw_cursor *cursor, struct nori_file *file, uint32_t format,
                       uint64_t salt, uint64_t offset, uint64_t record_limit);

/* Read from these bytes, which begin the file and are lent until the next restart. There is nothing
 * behind them: the cursor needs no file. */
void nw_cursor_lend(struct nw_cursor *cursor, const uint8_t *data, size_t len);

/* Forget what is at hand: the file may have changed. */
void nw_cursor_refresh(struct nw_cursor *cursor);

#define NW_CURSOR_SHORT 2 /* the file or stop comes before the record's end; offset is unchanged */
#define NW_CURSOR_BAD   3 /* these bytes are no record; offset is unchanged */

/*
 * The record at cursor->offset, which moves behind it. What it points to is good until the next
 * call. 0, NW_CURSOR_*, or a seam result or NORI_E_NOMEM, NORI_E_VERSION (negative, NORI_VFS_CODE
 * takes it apart).
 */
int nw_cursor_next(struct nw_cursor *cursor, struct nw_stored_record *ret_record);

#endif
