/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * quarantine.h: evidence is kept (D7). What a lenient recovery mode takes out of a log, and a
 * `control` of another log, goes to the folder `quarantine` in it, each piece beside a text file
 * that says what, from where, when, why.
 */
#ifndef NW_QUARANTINE_H
#define NW_QUARANTINE_H

#include "wal/chain.h"

#define NW_NAME_QUARANTINE "quarantine"

struct nw_quarantine {
    const struct nw_env *env;
    struct nori_folder *folder; /* NULL until something is set aside */
    uint32_t file_mode;
    uint64_t bytes;       /* set aside so far */
    bool is_name_used_up; /* with all numbers that it may have: then nothing was set aside */
};

void nw_quarantine_init(struct nw_quarantine *quarantine, const struct nw_env *env,
                        uint32_t file_mode);
void nw_quarantine_done(struct nw_quarantine *quarantine);

/* Copy what the file of a segment has of [from, to), durably. If that is there already, or a part
 * of it, no other copy is made. */
int nw_quarantine_copy(struct nw_quarantine *quarantine, const struct nw_link *link, uint64_t from,
                       uint64_t to, const char *why, struct nori_error *error);

/* All of another file. */
int nw_quarantine_copy_file(struct nw_quarantine *quarantine, const char *name, const char *why,
                            struct nori_error *error);

/* Move a whole segment file there, durably. */
int nw_quarantine_move(struct nw_quarantine *quarantine, const struct nw_link *link,
                       const char *why, struct nori_error *error);

/* Move any other file of the log there, likewise; position is for the error. */
int nw_quarantine_move_file(struct nw_quarantine *quarantine, const char *name,
                            struct nori_position position, const char *why,
                            struct nori_error *error);

/* The highest segment id in names there: 1, or 0 if there is none, or no such folder. */
int nw_quarantine_id_max(const struct nw_env *env, uint64_t *ret_id, struct nori_error *error);

#endif
