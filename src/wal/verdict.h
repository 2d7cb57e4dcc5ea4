/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* verdict.h: what the place where a scan stopped means, decided by a table. */
#ifndef NW_VERDICT_H
#define NW_VERDICT_H

#include "wal/scan.h"

enum nw_place {
    NW_PLACE_NEWEST = 0, /* the segment has no successor */
    NW_PLACE_ENDED = 1   /* its successor's header states where it ends */
};
#define NW_PLACES 2

struct nw_facts {
    uint32_t format; /* 1 or 2 */
    enum nw_place place;
    enum nw_scan_stop stop;
    bool is_below_watermark; /* the stop lies below an LSN that is known to have been durable */
    bool is_strict;          /* NORI_RECOVER_STRICT */
};

enum nw_decision {
    NW_DECIDE_SOUND = 0,  /* nothing is wrong; go on */
    NW_DECIDE_LEAVE = 1,  /* a torn tail: the log ends here, what follows is left behind */
    NW_DECIDE_REFUSE = 2, /* a torn tail, and the mode allows none */
    NW_DECIDE_CORRUPT = 3 /* damage */
};

struct nw_verdict {
    enum nw_decision decision;
    const char *why; /* a clause, such as "the machine stopped before it was durable" */
};

/* The first row of the table that matches. Never NULL. */
const struct nw_verdict *nw_verdict_of(const struct nw_facts *facts);

/* For the test that walks the table: how many rows there are, and which one matched last in
 * nw_verdict_of. */
size_t nw_verdict_count(void);
size_t nw_verdict_index(const struct nw_verdict *verdict);

#endif
