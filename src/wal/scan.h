/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scan.h: reading a segment to the end of its last whole batch, and looking at what lies behind. */
#ifndef NW_SEGMENT_SCAN_H
#define NW_SEGMENT_SCAN_H

#include "format/control_record.h"
#include "wal/chain.h"
#include "wal/cursor.h"

/* How a scan ended. */
enum nw_scan_stop {
    NW_STOP_AT_END = 0, /* at the stated end, between two batches */
    NW_STOP_CLEAN = 1,  /* only zeros, or nothing, behind the last whole batch */
    /* a record or batch begins and is cut off by the file's or the stated end */
    NW_STOP_SHORT = 2,
    NW_STOP_BAD = 3 /* other bytes behind the last whole batch */
};
#define NW_SCAN_STOPS 4

struct nw_segment_scan {
    /* Where to begin: a batch boundary; and the sequence number of the record there. Kept up to
     * date. */
    uint64_t end; /* offset behind the last whole batch */
    uint64_t next_sequence;
    uint64_t doubt; /* by how much it may be more, behind holes that do not say what they hide */
    uint64_t known_end; /* if the scan stops exactly here, nothing lies behind; 0: not known */

    /* Found. */
    enum nw_scan_stop stop;
    uint64_t records;       /* application records in whole batches */
    uint64_t hidden;        /* application records that holes hide */
    uint64_t bytes;         /* read and verified */
    uint64_t last_record;   /* offset of the last application record; 0: none */
    uint64_t watermark_lsn; /* highest in a mark before `end` */
    uint64_t behind_lsn;    /* highest in a mark behind `end`, but before the stated end */
    uint64_t garbage_bytes; /* behind `end`: up to the last byte that is not zero */
    bool is_sequence_wrong; /* a mark disagrees with the count of records */
};

/*
 * Scan one link from scan->end (at least link->begin) on with this cursor's memory. What a mark
 * claims is believed only if it lies in the segment's own salt and place. Errors: NORI_E_IO,
 * NORI_E_VERSION, NORI_E_NOMEM in *error. progress (may be NULL) is called with bytes read now and
 * then; its non-zero result ends the scan and is returned.
 */
typedef int (*nw_scan_progress)(void *context, uint64_t bytes);

int nw_segment_scan(const struct nw_env *env, const struct nw_chain *chain,
                    const struct nw_link *link, struct nw_cursor *cursor, uint64_t record_limit,
                    struct nw_segment_scan *scan, nw_scan_progress progress, void *context,
                    struct nori_error *error);

/*
 * Give the live links of format 1 what only their records tell: ends (of all but the last), starts
 * and first sequence numbers that fit the first header behind them. Nothing to do without such
 * links. Stops quietly at damage: who reads there finds it; up to there the numbers are not known
 * (0) if they are counted back from a header.
 */
int nw_scan_measure_format1(const struct nw_env *env, struct nw_chain *chain,
                            struct nori_error *error);

/* Is all from here to the end of the file zero? Then a segment of format 1 that has a successor
 * ends here. */
bool nw_scan_is_zero_from(struct nori_file *file, uint64_t offset);

/*
 * The highest durable LSN that marks at or behind `offset` of a link, or in live links behind it,
 * tell; 0 if there are none. What is gone, or of a newer version, tells nothing; what cannot be
 * read is an error, for a watermark that is too low makes a torn tail of damage (D6).
 */
int nw_scan_watermark_behind(const struct nw_env *env, const struct nw_chain *chain,
                             const struct nw_link *link, uint64_t offset, uint64_t *ret_watermark,
                             struct nori_error *error);

/*
 * Look for the last mark that lies wholly before `offset`: its offset, or link->begin if there is
 * none, and the sequence number of the next application record there.
 */
int nw_scan_find_mark_before(const struct nw_link *link, uint64_t log_id, struct nori_file *file,
                             const struct nori_allocator *allocator, uint64_t offset,
                             uint64_t *ret_offset, uint64_t *ret_sequence);

/*
 * Look for the first mark of a link that lies wholly between `from` and link->end: 1, its offset
 * and what it says, or 0 if there is none. Errors are those of the seam, and NORI_E_NOMEM.
 */
int nw_scan_find_mark_behind(const struct nw_link *link, uint64_t log_id, struct nori_file *file,
                             const struct nori_allocator *allocator, uint64_t from,
                             uint64_t *ret_offset, struct nw_mark *ret_mark);

#endif
