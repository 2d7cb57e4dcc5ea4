/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * names.h: the names in one simulated folder: those there are, those that are durable, and the
 * changes between. Pure data; a name stands for the number of a node (machine.h).
 *
 * Shared by clones until one of them changes it: own it first.
 */
#ifndef NW_SIM_NAMES_H
#define NW_SIM_NAMES_H

#include "inode.h"

#define NW_SIM_NAME_LEN 64 /* with its end */

/* Fill all of a name's room; what is too long is cut. */
void nw_sim_name_set(char *target, const char *text);

enum nw_sim_change_kind {
    NW_SIM_CREATE,
    NW_SIM_RENAME,
    NW_SIM_REMOVE
};

struct nw_sim_name {
    char text[NW_SIM_NAME_LEN];
    uint32_t node;
};

struct nw_sim_name_list {
    struct nw_sim_name *items;
    size_t count;
    size_t capacity;
};

/* A change that is not durable. */
struct nw_sim_change {
    enum nw_sim_change_kind kind;
    uint32_t node;
    uint64_t stamp;
    char text[NW_SIM_NAME_LEN];   /* the name created, removed, or renamed */
    char target[NW_SIM_NAME_LEN]; /* what it is renamed to */
};

struct nw_sim_names {
    uint32_t refs;
    struct nw_sim_name_list now;
    struct nw_sim_name_list durable;
    struct nw_sim_change *changes; /* oldest first */
    size_t change_count;
    size_t change_capacity;
};

struct nw_sim_names *nw_sim_names_new(void);
struct nw_sim_names *nw_sim_names_ref(struct nw_sim_names *names);
void nw_sim_names_unref(struct nw_sim_names *names);

/* Names of one's own with the same content; takes over the reference. */
struct nw_sim_names *nw_sim_names_own(struct nw_sim_names *names);

/* NULL if there is none. */
const struct nw_sim_name *nw_sim_names_find(const struct nw_sim_names *names, const char *text);

/* The first name of a node; NULL if there is none. */
const struct nw_sim_name *nw_sim_names_find_node(const struct nw_sim_names *names, uint32_t node);

/* Make a change, that is possible, at once, and durable when it is synced. */
void nw_sim_names_change(struct nw_sim_names *names, const struct nw_sim_change *change);

/* Make a change on the medium as well; a removal takes away all that is pending for the node. */
void nw_sim_names_change_durably(struct nw_sim_names *names, const struct nw_sim_change *change);

/* Make durable what has a stamp up to this one. */
void nw_sim_names_sync(struct nw_sim_names *names, uint64_t stamp);

/* What a power cut leaves: a reference to names that are all durable. Asks for each change, in
 * order. */
struct nw_sim_names *nw_sim_names_cut(struct nw_sim_names *names, struct nw_sim_chooser *chooser);

#endif
