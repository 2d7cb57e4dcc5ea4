/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* repair.h: what the recovery modes prefix and salvage do about damage. */
#ifndef NW_REPAIR_H
#define NW_REPAIR_H

#include "wal/judge.h"

/*
 * Mend the first damage of the log in env->folder, so that judging it again finds none there. What
 * is taken out of the log is in quarantine, durably, before it is (D7). If the log is to end at the
 * damage, *accepted says so: the caller judges again with it and has a new header state the end
 * before anything else. Crashing anywhere in here and repairing again loses nothing more.
 *
 * 1: segments were moved away because of a header. What they and the watermark in `control` told
 * about those before is gone with them, so a tail that looks torn now may have been durable.
 * NORI_E_VERSION: something behind the damage is of a newer version; nothing was changed (D12).
 */
int nw_repair(const struct nw_env *env, const struct nori_wal_config *config,
              const struct nw_damage *damage, const char *why, struct nw_damage *accepted,
              uint64_t *quarantined_bytes, struct nori_error *error);

#endif
