/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inode.h: the contents of one simulated file: what a program reads, what is durable, and all that
 * lies between. Pure data; knows no names, handles or machine.
 *
 * An inode is shared by clones until one of them changes it: own it first.
 */
#ifndef NW_SIM_INODE_H
#define NW_SIM_INODE_H

#include "store.h"

/* Far beyond any test, so that an offset gone wild is told, not served. */
#define NW_SIM_FILE_BYTES_MAX (UINT64_C(1) << 36)

/* A size that is not durable yet. */
struct nw_sim_size {
    uint64_t stamp;
    uint64_t bytes;
    bool is_cut; /* smaller than before: older contents behind it are gone */
};

/* A sector whose durable content may be another than what is read. */
struct nw_sim_dirty {
    uint64_t sector;
    uint32_t version_count;
    bool is_phantom;               /* read, but given up: nothing will write it back */
    struct nw_sim_block *durable;  /* NULL: zeros */
    struct nw_sim_version *newest; /* NULL: given up, or taken away by truncating */
};

struct nw_sim_inode {
    uint32_t refs;

    /* What is read. */
    uint64_t bytes;
    struct nw_sim_piece **pieces; /* NULL: zeros */
    size_t piece_count;

    bool is_in_place; /* overwriting it never takes space */

    /* How the medium differs from that. */
    uint64_t synced_stamp; /* of the latest sync */
    uint64_t durable_bytes;
    struct nw_sim_size *sizes; /* oldest first; the last is what is read */
    size_t size_count;
    size_t size_capacity;
    struct nw_sim_dirty *dirty;
    size_t dirty_count;
    size_t dirty_capacity;
    uint32_t *dirty_index; /* hash table: sector to place in dirty, plus one */
    size_t dirty_index_len;

    /* The digest of the sectors that are not dirty, and the end of the last of them. Noted when
     * somebody asks; owning the inode forgets it. */
    bool has_clean_digest;
    uint64_t clean_digest;
    uint64_t clean_end;
};

/* When something changes, and how many unsynced versions are kept. */
struct nw_sim_moment {
    uint64_t stamp;
    uint32_t versions_max;
};

/* Bytes to write. */
struct nw_sim_write {
    uint64_t offset;
    const uint8_t *data;
    size_t len;
};

/* Who decides at a power cut: ways possibilities, returns less than that. */
struct nw_sim_chooser {
    uint32_t (*choose)(struct nw_sim_chooser *chooser, uint32_t ways);
    bool may_tear;         /* sectors */
    uint64_t random_state; /* for tearing */
};

struct nw_sim_inode *nw_sim_inode_new(void);
struct nw_sim_inode *nw_sim_inode_ref(struct nw_sim_inode *inode);
void nw_sim_inode_unref(struct nw_sim_store *store, struct nw_sim_inode *inode);

/* An inode of one's own with the same content; takes over the reference. */
struct nw_sim_inode *nw_sim_inode_own(struct nw_sim_inode *inode);

/* The block that is read there now; NULL: zeros. */
struct nw_sim_block *nw_sim_inode_block(const struct nw_sim_inode *inode, uint64_t sector);

/* Returns how many bytes there were. */
size_t nw_sim_inode_read(const struct nw_sim_inode *inode, uint64_t offset, void *target,
                         size_t len);

/* Within NW_SIM_FILE_BYTES_MAX. Grows the file if need be. */
void nw_sim_inode_write(struct nw_sim_store *store, struct nw_sim_inode *inode,
                        const struct nw_sim_write *write, const struct nw_sim_moment *moment);
void nw_sim_inode_resize(struct nw_sim_store *store, struct nw_sim_inode *inode, uint64_t bytes,
                         const struct nw_sim_moment *moment);

/* Make durable what the inode was at the time of a stamp, which is what then says; it may be the
 * inode itself. */
void nw_sim_inode_sync(struct nw_sim_store *store, struct nw_sim_inode *inode,
                       const struct nw_sim_inode *then, uint64_t stamp);

/* Give up the unsynced data, as a kernel does after a failed write-back: all of it, or that of the
 * sectors of a write. */
void nw_sim_inode_drop_dirty(struct nw_sim_store *store, struct nw_sim_inode *inode);
void nw_sim_inode_drop_write(struct nw_sim_store *store, struct nw_sim_inode *inode,
                             uint64_t offset, uint64_t len);

/* Change the medium as well, past all that is pending for these sectors. */
void nw_sim_inode_poke(struct nw_sim_store *store, struct nw_sim_inode *inode,
                       const struct nw_sim_write *write);
void nw_sim_inode_resize_durably(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                 uint64_t bytes);

/* True if anything of it is not durable. */
bool nw_sim_inode_is_dirty(const struct nw_sim_inode *inode);

/* Overwritten parts of a range: sectors in it that have been written before. */
uint64_t nw_sim_inode_written_sectors(const struct nw_sim_inode *inode, uint64_t offset,
                                      uint64_t len);

/* The choices of a power cut, in the order in which nw_sim_inode_cut asks for them. */
struct nw_sim_atom {
    bool is_size;
    uint32_t ways;
    uint64_t sector;
};
size_t nw_sim_inode_atom_count(const struct nw_sim_inode *inode);

/* Fill ret_atoms, of which there are nw_sim_inode_atom_count. */
void nw_sim_inode_atoms(const struct nw_sim_inode *inode, struct nw_sim_atom *ret_atoms);

/* What a power cut leaves: a reference to an inode that is durable in all parts. */
struct nw_sim_inode *nw_sim_inode_cut(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                      struct nw_sim_chooser *chooser);

uint64_t nw_sim_inode_digest(struct nw_sim_store *store, struct nw_sim_inode *inode);

/* The digest of what nw_sim_inode_cut would leave. Asks for the same choices. */
uint64_t nw_sim_inode_cut_digest(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                 struct nw_sim_chooser *chooser);

#endif
