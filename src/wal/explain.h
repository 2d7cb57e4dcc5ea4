/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* explain.h: the two halves of nori_log_explain: a place, and the log as a whole. */
#ifndef NW_EXPLAIN_H
#define NW_EXPLAIN_H

#include "wal/damage.h"
#include "wal/inspect.h"

struct nw_explain {
    struct nw_env env;
    struct nw_staged staged;
    struct nw_teller teller;
    struct nw_walk walk;  /* has run: chain and findings */
    uint64_t control_lsn; /* the watermark in `control`, as far as it is believed; 0: none */
    struct nori_error *error;
};

/* Report a sentence, about a place in a link if that is not NULL. What report returned. */
__attribute__((format(printf, 4, 5))) int nw_explain_say(struct nw_explain *explain,
                                                         const struct nw_link *link,
                                                         uint64_t offset, const char *format, ...);

/* Explain one place. NORI_E_NOTFOUND: there is no such segment. */
int nw_explain_place(struct nw_explain *explain, struct nori_position position);

#endif
