/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * machine.h: the simulated machine as its parts see it. Each part has its functions here, under its
 * file's name.
 */
#ifndef NW_SIM_MACHINE_H
#define NW_SIM_MACHINE_H

#include "names.h"

#include <nori/sim.h>

#define NW_SIM_ROOT 0u /* the node of the root folder */
#define NW_SIM_EPOCH_MS \
    UINT64_C(1704364800000) /* 4 January 2024, 10:40 UTC: when the machine starts */

/* The memory behind the mappings of one file. */
struct nw_sim_image {
    struct nw_sim_image *next;
    uint8_t *bytes;
    size_t len;        /* bytes; a multiple of a page */
    size_t filled_len; /* no byte behind this was ever filled in */
    uint32_t map_count;
    bool is_writable; /* at least one mapping was made for writing */
};

/* A file or a folder; neither: free for reuse. Clones share contents and names, the rest is each
 * machine's own. */
struct nw_sim_node {
    struct nw_sim_inode *inode; /* of a file */
    struct nw_sim_names *names; /* of a folder */
    uint64_t identity;
    uint64_t birth_ns;
    uint64_t charged_bytes; /* part of used_bytes */
    uint32_t link_count;
    uint32_t handle_count;

    /* Locks of a file, or in has_writer of a folder. */
    uint32_t shared_count;
    bool has_exclusive;
    bool has_writer;
    bool is_announced; /* that there is a writer */

    struct nw_sim_image *images;
};

struct nw_sim_fiber;

struct nori_sim {
    struct nori_vfs vfs;
    struct nori_allocator allocator;
    struct nori_sim_options options;
    struct nw_sim_store *store;

    /* Disk. */
    struct nw_sim_node *nodes;
    size_t node_count;
    size_t node_capacity;
    uint64_t stamp; /* of the latest change */
    uint64_t next_identity;
    uint64_t used_bytes;
    uint32_t writable_image_count;
    uint32_t image_count;
    uint32_t handle_count;

    /* Counts, and what the options made of them. */
    uint64_t operation_count;
    uint64_t call_count;
    uint64_t allocation_count;
    uint64_t memory_block_count;
    bool did_fail;
    bool did_crash;
    bool must_do_part; /* the write that failed or crashed shall have done a part */
    bool must_lie;     /* the write shall say that it was done as it should be */

    /* Clock, choices, threads. */
    uint64_t now_ns;
    uint64_t choice_state;
    uint64_t random_state;
    uint64_t next_thread_id;
    struct nw_sim_fiber *main_fiber;
    struct nw_sim_fiber *running;
    struct nw_sim_fiber *previous; /* who ran before */
    struct nw_sim_fiber **fibers;  /* all, the main one first */
    size_t fiber_count;
    size_t fiber_capacity;
};

/* machine.c */

int nw_sim_error(int os_errno);
uint64_t nw_sim_choice(struct nori_sim *sim, uint64_t count); /* less than count */
_Noreturn void nw_sim_give_up(struct nori_sim *sim, const char *why);

/* A machine with no nodes, that shares the store. */
struct nori_sim *nw_sim_bare(struct nw_sim_store *store);

/* Count a call; true if it is its turn to fail. */
bool nw_sim_must_fail(struct nori_sim *sim, uint32_t kind);

/* Begin a call: let others run, let time pass, fail if it is its turn. */
int nw_sim_begin_call(struct nori_sim *sim, uint32_t kind);

/* Begin an operation within a call: count it, call the hook, crash if it is its turn. */
int nw_sim_begin_operation(struct nori_sim *sim);

/* End a call, with a line for the trace. Returns rc. */
__attribute__((format(printf, 3, 4))) int nw_sim_end_call(struct nori_sim *sim, int rc,
                                                          const char *format, ...);

/* node.c */

uint32_t nw_sim_node_new(struct nori_sim *sim, bool is_folder);
struct nw_sim_inode *nw_sim_node_own_inode(struct nori_sim *sim, uint32_t node);
struct nw_sim_names *nw_sim_node_own_names(struct nori_sim *sim, uint32_t node);
void nw_sim_node_link(struct nori_sim *sim, uint32_t folder, const char *name, uint32_t node);
/* Into another folder. There it is durable at once, as in a journal that holds both halves; only
 * that the name here is gone may be lost. */
void nw_sim_node_move(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found,
                      uint32_t target_folder, const char *target);
void nw_sim_node_rename(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found,
                        const char *target);
void nw_sim_node_unlink(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found);
void nw_sim_node_open(struct nori_sim *sim, uint32_t node);
void nw_sim_node_close(struct nori_sim *sim, uint32_t node);

/* Walk a path from the root: the node, or NORI_E_NOTFOUND, NORI_E_INVALID. The folder of its
 * last name, and that name, if that much of it is there; of the root itself it is the empty
 * name. */
struct nw_sim_place {
    uint32_t node;
    uint32_t folder;
    bool has_folder;
    char name[NW_SIM_NAME_LEN];
};
int nw_sim_node_walk(struct nori_sim *sim, const char *path, struct nw_sim_place *ret_place);

/* One name, not a path, and not too long: 0, else an error. */
int nw_sim_node_check_name(const char *name);

/* Mark all nodes that can be reached by names there are now, or (if may_return) that a power cut
 * might bring back. The marks, one a node, are the caller's to free. */
uint8_t *nw_sim_node_reachable(struct nori_sim *sim, bool may_return);

/* Forget what is neither reachable nor open. */
void nw_sim_node_sweep(struct nori_sim *sim);

/* Account for a file's new size; false, and nothing done, if the disk has no room. */
bool nw_sim_node_charge(struct nori_sim *sim, uint32_t node, uint64_t bytes);

/* Count links and used space anew, from the names there are. */
void nw_sim_node_recount(struct nori_sim *sim);

/* image.c */

int nw_sim_image_map(struct nori_sim *sim, uint32_t node, size_t len, bool is_writable,
                     void **ret_data);
void nw_sim_image_unmap(struct nori_sim *sim, uint32_t node, const void *data);

/* Copy into the images what was written to the file. */
void nw_sim_image_update(struct nori_sim *sim, uint32_t node, const struct nw_sim_write *write);

/* Zero the images behind the end of the file. */
void nw_sim_image_clip(struct nori_sim *sim, uint32_t node, uint64_t bytes);

/* Take over into the file what was stored into its images; of all files. */
void nw_sim_image_absorb(struct nori_sim *sim, uint32_t node);
void nw_sim_image_absorb_all(struct nori_sim *sim);

/* file.c */

struct nori_file *nw_sim_file_new(struct nori_sim *sim, uint32_t node, bool is_writable,
                                  const char *name);

/* folder.c */

int nw_sim_folder_open(void *context, const char *path, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder);

/* look.c */

/* The digest of the names there are, which lead to files with these contents, one a node. */
uint64_t nw_sim_digest_of_names(struct nori_sim *sim, const uint64_t *contents);

/* The other files: cut.c has nori_sim_power_cut and its sisters, look.c nori_sim_file_read,
 * nori_sim_dump and the like, fiber.c and thread.c what is in fiber.h. */

#endif
