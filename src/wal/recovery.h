/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* recovery.h: from what a crash left to a log that can be appended to. */
#ifndef NW_RECOVERY_H
#define NW_RECOVERY_H

#include "wal/judge.h"

/*
 * Recover the log in env->folder, which the caller has locked. Everything is judged before the
 * first byte changes (D12); on success everything recovered is durable (D5), and the control words
 * tell so. *info is filled as far as it got, also on failure.
 */
int nw_recover(const struct nw_env *env, const struct nori_wal_config *config,
               struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
               struct nori_error *error);

#endif
