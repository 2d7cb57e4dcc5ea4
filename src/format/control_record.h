/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* control_record.h: records that the log writes for itself, between batches. Their key is one byte,
 * the type. */
#ifndef NW_CONTROL_RECORD_H
#define NW_CONTROL_RECORD_H

#include "format/record.h"

/* Types. Readers skip those from NW_CONTROL_OPTIONAL on if they do not know them; others are then
 * NORI_E_VERSION. */
#define NW_CONTROL_MARK     1
#define NW_CONTROL_HOLE     3
#define NW_CONTROL_OPTIONAL 128

#define NW_MARK_VALUE_LEN   40
#define NW_MARK_LEN         48 /* the whole record: 3 + 1 + 40 + 4 */

/* In-band watermark, resync point, sparse index. */
struct nw_mark {
    uint64_t salt; /* of this segment */
    uint64_t log_id;
    uint64_t next_sequence; /* of the next application record */
    uint64_t durable_lsn;   /* known durable when this was written */
    uint64_t time_ms;       /* Unix time */
};

/* Encode a whole mark record for offset in the segment with mark->salt. */
void nw_mark_encode(uint8_t target[NW_MARK_LEN], const struct nw_mark *mark, uint64_t offset);

/*
 * A hole covers a stretch of damaged bytes exactly: len bytes, NW_HOLE_LEN_MIN to NW_HOLE_LEN_MAX.
 * hidden: how many application records it hides, or NW_HOLE_UNKNOWN. Encodes all of it at target.
 */
#define NW_HOLE_LEN_MIN 16
#define NW_HOLE_LEN_MAX ((size_t)1 << 20)
void nw_hole_encode(uint8_t *target, size_t len, uint64_t hidden, uint64_t salt, uint64_t offset);

/* How many records a hole hides; NW_HOLE_UNKNOWN: it does not say. */
#define NW_HOLE_UNKNOWN UINT64_MAX
uint64_t nw_hole_hidden(const struct nw_stored_record *record);

/* How many it may hide at most, if it does not say: as many as fit into it. */
uint64_t nw_hole_hidden_max(const struct nw_stored_record *record);

/* What a control record is. */
#define NW_CONTROL_IS_MARK 1 /* *ret_mark is filled */
#define NW_CONTROL_IS_HOLE 2
#define NW_CONTROL_IS_SKIP 4 /* type from NW_CONTROL_OPTIONAL on */
/* ... or NORI_E_VERSION (unknown type below 128), NORI_E_CORRUPT (a mark whose value is not one,
 * names another salt, or counts further than any log does) */
int nw_control_decode(const struct nw_stored_record *record, uint64_t salt,
                      struct nw_mark *ret_mark);

/* The sequence number of what follows a control record, if `sequence` is that of what follows what
 * is before it; 0: not known. A mark tells it; a hole hides some, or nobody knows how many. */
uint64_t nw_control_count(const struct nw_stored_record *record, uint64_t salt, uint64_t sequence);

/* May a mark stand at this LSN of this log? One of another log, or one that knows of more than lies
 * before it, was written by no writer: it is as bad as one whose checksum does not hold. */
bool nw_mark_is_credible(const struct nw_mark *mark, uint64_t log_id, uint64_t lsn);

/*
 * The first (backwards: the last) mark that lies wholly in data, which begins at `offset` of the
 * segment's file: its value begins with salt and log_id, and the record verifies in that place.
 * NULL if there is none; else its first byte, and *ret_mark.
 */
const uint8_t *nw_mark_find(const uint8_t *data, size_t len, uint64_t offset, uint64_t salt,
                            uint64_t log_id, struct nw_mark *ret_mark);
const uint8_t *nw_mark_find_last(const uint8_t *data, size_t len, uint64_t offset, uint64_t salt,
                                 uint64_t log_id, struct nw_mark *ret_mark);

/* The first mark of any segment and log that lies wholly in data and verifies in that place. */
const uint8_t *nw_mark_find_any(const uint8_t *data, size_t len, uint64_t offset,
                                struct nw_mark *ret_mark);

#endif
