/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secure.h: making durable what recovery found (D5). */
#ifndef NW_SECURE_H
#define NW_SECURE_H

#include "wal/judge.h"

/*
 * Write again, and sync, what lies above the watermark or only in the staging ring, oldest first;
 * give a segment in `spare` its name. Counts info->bytes_rewritten.
 */
int nw_secure(const struct nw_env *env, const struct nori_wal_config *config,
              struct nw_recovered *recovered, uint64_t watermark, struct nori_recovery_info *info,
              struct nori_error *error);

#endif
