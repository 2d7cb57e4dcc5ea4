/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ahead.h: scanning the segments of a large log by several threads at once. */
#ifndef NW_AHEAD_H
#define NW_AHEAD_H

#include "wal/scan.h"

/* What the threads found: one entry for each link of the chain. */
struct nw_ahead {
    const struct nori_allocator *allocator;
    struct nw_segment_scan *scans;
    bool *is_done; /* scanned whole, without an error */
    size_t count;  /* 0: the log is too small for threads */
};

/*
 * Scan all live links of format 2 from index `first` on, each from its beginning. A log that one
 * thread reads soon enough is left alone. A link that met an error is just not done: who scans it
 * again is told why.
 */
void nw_ahead_scan(struct nw_ahead *ahead, const struct nw_env *env, const struct nw_chain *chain,
                   size_t first, uint64_t record_limit);
void nw_ahead_done(struct nw_ahead *ahead);

/* True, and the result, if link i was scanned. */
bool nw_ahead_take(const struct nw_ahead *ahead, size_t i, struct nw_segment_scan *ret_scan);

#endif
