/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* inspect.h: what the offline operations on a log's folder share. */
#ifndef NW_INSPECT_H
#define NW_INSPECT_H

#include "wal/staged.h"

struct nw_finding;

/* The caller of an offline operation. */
struct nw_teller {
    nori_log_report report; /* may be NULL */
    void *context;
    int stopped; /* what report returned to end the operation */
};

/* Report an item; what report returned, also before. */
int nw_tell(struct nw_teller *teller, struct nori_log_item *item);

/* Fill an item from a finding, which it borrows from. */
void nw_item_of_finding(struct nori_log_item *item, const struct nw_finding *finding);

/*
 * The door of every offline operation: check and complete the options, and open the folder. *env,
 * which asks the staging ring through *staged, and *ret_options are filled on success; the caller
 * ends with nw_inspect_end.
 */
int nw_inspect_begin(const char *dir, const struct nori_log_options *options, uint32_t flags_known,
                     struct nw_env *env, struct nw_staged *staged,
                     struct nori_log_options *ret_options, struct nori_error *ret_error);
void nw_inspect_end(struct nw_env *env);

#endif
