/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* recovery.h: from what a crash left to a log that can be appended to. */
#ifndef NW_RECOVERY_H
#define NW_RECOVERY_H

#include "wal/chain.h"
#include "wal/control.h"
#include "wal/repair.h"
#include "wal/verdict.h"

/* What the writer goes on from. */
struct nw_recovered {
    struct nw_chain chain; /* live links: the log; others: dead files to remove */
    uint64_t end_lsn;
    uint64_t next_sequence;
    uint64_t next_id;
    uint64_t log_id;
    struct nw_control *control;
    bool was_clean;
    bool is_new; /* there was no log */
    /* What was left behind, for the event. */
    struct nori_position torn_at;
    uint64_t torn_bytes;
    struct nw_damage damage; /* with NORI_E_CORRUPT: the first one */
    bool was_cut; /* damage was cut off: a new header must state the end before any other use */
};

/*
 * Recover the log in env->folder, which the caller has locked. Everything is judged before the
 * first byte changes (D12); on success everything recovered is durable (D5), and the control words
 * tell so. *info is filled as far as it got, also on failure.
 */
int nw_recover(const struct nw_env *env, const struct nori_wal_config *config,
               struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
               struct nori_error *error);
void nw_recovered_done(struct nw_recovered *recovered);

/*
 * Judge without changing anything: what open would find. Fills ret_recovered (control: what is
 * there, or NULL) and info. progress may be NULL.
 */
int nw_recovery_judge(const struct nw_env *env, const struct nori_wal_config *config,
                      struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
                      nw_scan_progress progress, void *context, struct nori_error *error);

/* The control's watermark, as far as it is believed on this chain; else 0. */
uint64_t nw_control_watermark(const struct nw_control *control, const struct nw_chain *chain);

#endif
