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

/*
 * Would salvage make the damaged header of this segment anew? 1 or 0, or an error in *error.
 * Nothing is changed.
 */
int nw_repair_can_rebuild(const struct nw_env *env, const struct nori_wal_config *config,
                          uint64_t segment_id, struct nori_error *error);

/* What would salvage do about a segment whose predecessor is missing, although older files exist?
 * Or an error in *error. Nothing is changed. */
enum nw_repair_join {
    NW_JOIN_NOT = 0,         /* what prefix does */
    NW_JOIN_BY_HOLES = 1,    /* a header and holes take the place of the missing file */
    NW_JOIN_BEHIND_EMPTY = 2 /* the older files hold nothing: they are set aside */
};
int nw_repair_can_join(const struct nw_env *env, const struct nori_wal_config *config,
                       uint64_t segment_id, struct nori_error *error);

#endif
