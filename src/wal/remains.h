/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* remains.h: what can be found out about a segment whose header is damaged, or whose file is gone.
 * Nothing is changed here but by nw_remains_complete. */
#ifndef NW_REMAINS_H
#define NW_REMAINS_H

#include "wal/chain.h"
#include "wal/quarantine.h"

/* A repair in progress, or one that is only asked about. */
struct nw_repair {
    const struct nw_env *env;
    const struct nori_wal_config *config;
    const char *why;
    struct nw_quarantine quarantine;
    struct nw_chain chain; /* as the last question left it */
    struct nori_error *error;
};

/*
 * Would salvage make the damaged header of this segment anew? 1 or 0, or an error in *error.
 * Nothing is changed.
 */
int nw_remains_can_rebuild(const struct nw_env *env, const struct nori_wal_config *config,
                           uint64_t segment_id, struct nori_error *error);

/* What would salvage do about a segment whose predecessor is missing, although older files exist?
 * Or an error in *error. Nothing is changed. */
enum nw_remains_join {
    NW_JOIN_NOT = 0,         /* what prefix does */
    NW_JOIN_BY_HOLES = 1,    /* a header and holes take the place of the missing file */
    NW_JOIN_BEHIND_EMPTY = 2 /* the older files hold nothing: they are set aside */
};
int nw_remains_can_join(const struct nw_env *env, const struct nori_wal_config *config,
                        uint64_t segment_id, struct nori_error *error);

/* NORI_E_VERSION if a newer version wrote anything that a repair might come to, in whatever mode
 * and step: a header or a record, in any file of the log or in the ring (D12). Nothing is
 * changed. */
int nw_remains_refuse_newer(const struct nw_env *env, const struct nori_wal_config *config,
                            struct nori_error *error);

/* ---- the same, step by step, for a repair ---- */

/* What the seam gave still has its errno, and becomes an error that says so; all else was described
 * where it was met. */
int nw_remains_describe(const struct nw_repair *repair, int rc, uint64_t segment_id,
                        const char *what);

/* The header of a listed file: as nw_header_decode, or an error. */
int nw_remains_read_header(struct nw_repair *repair, uint64_t segment_id,
                           struct nw_header *ret_header);

/* Look at the header of every listed file for the log's id (0: there is none), and for what a newer
 * version wrote. */
int nw_remains_survey(struct nw_repair *repair, uint64_t *ret_log_id);

/* Do the records in a file tell that it had another header? That one is good, but not its own. */
int nw_remains_has_wrong_header(struct nw_repair *repair, uint64_t segment_id,
                                const struct nw_header *header);

/* The header that this segment must have had, as far as it matters, from what is left of its file
 * and what others say of it. 1, or 0: not enough is known. */
int nw_remains_find_header(struct nw_repair *repair, uint64_t segment_id, struct nori_file *file,
                           uint64_t log_id, struct nw_header *ret_header);

/*
 * Files are about to leave the log, with ids from first's (of which no more than up to its end
 * counts) to last_id: behind their last records they get, durably, what only the ring has of them
 * (D7). *ret_end: behind what it had of the first; 0 if it had nothing. 1: there is a segment of
 * which nothing tells what that is.
 */
int nw_remains_complete(const struct nw_repair *repair, const struct nw_link *first,
                        uint64_t last_id, uint64_t *ret_end);

/* Does a segment of this log end there, for all one knows? A forged header may state any end, and
 * holes up to it would fill the disk. */
bool nw_remains_is_likely_end(const struct nw_repair *repair, uint64_t end);

/* A segment whose file is gone. */
struct nw_gap {
    struct nw_link link; /* what it was, as far as it matters */
    uint64_t end;
    uint64_t hidden; /* records that are gone with it, and with others before it */
};

/* How this segment can follow older files although its predecessor is missing. Behind empty ones
 * those are the chain then; by holes they fill *ret_gap. */
int nw_remains_find_join(struct nw_repair *repair, uint64_t segment_id, struct nw_gap *ret_gap);

#endif
