/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store.h: the memory that a simulated machine and its clones share: sectors, their versions,
 * pieces of files, stacks, images of mapped files. What is freed is kept for the next one, for
 * machines are made a hundred thousand times a second. All counts of references are plain numbers:
 * one thread uses them.
 */
#ifndef NW_SIM_STORE_H
#define NW_SIM_STORE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NW_SIM_SECTOR      512u
#define NW_SIM_PIECE_COUNT 64u /* sectors of a piece */
#define NW_SIM_STACK_LEN   ((size_t)256 * 1024)

/* The content of a sector; NULL stands for zeros. Never changed once anybody else refers to it. */
struct nw_sim_block {
    uint32_t refs;
    bool has_hash;
    uint64_t hash;
    uint8_t bytes[NW_SIM_SECTOR];
};

/* An unsynced write of a sector, and those before it. Never changed. */
struct nw_sim_version {
    uint32_t refs;
    uint64_t stamp; /* when it was written */
    struct nw_sim_block *block;
    struct nw_sim_version *older;
};

/* A run of sectors of a file. Changed only by who holds the one reference. */
struct nw_sim_piece {
    uint32_t refs;
    struct nw_sim_block *blocks[NW_SIM_PIECE_COUNT];
};

/* Memory of a freed thing. */
struct nw_sim_free_item {
    struct nw_sim_free_item *next;
    size_t len;
    void *memory;
};

struct nw_sim_store {
    uint32_t refs; /* machines */
    struct nw_sim_free_item *blocks;
    struct nw_sim_free_item *versions;
    struct nw_sim_free_item *pieces;
    struct nw_sim_free_item *stacks;
    struct nw_sim_free_item *images; /* all zeros */
};

/* Never NULL: without memory a test cannot go on, so it aborts. calloc's zeros; realloc's not. */
void *nw_sim_alloc(size_t len);
void *nw_sim_realloc(void *memory, size_t len);

/* Room for one more in an array, growing by doubling: returns the array. */
void *nw_sim_grow(void *array, size_t count, size_t *capacity, size_t item_len);

struct nw_sim_store *nw_sim_store_new(void);
struct nw_sim_store *nw_sim_store_ref(struct nw_sim_store *store);
void nw_sim_store_unref(struct nw_sim_store *store);

struct nw_sim_block *nw_sim_block_new(struct nw_sim_store *store); /* not filled */
void nw_sim_block_unref(struct nw_sim_store *store, struct nw_sim_block *block);
uint64_t nw_sim_block_hash(struct nw_sim_block *block); /* of zeros it is 0 */

/* Takes over the reference to block. */
struct nw_sim_version *nw_sim_version_new(struct nw_sim_store *store, struct nw_sim_block *block,
                                          uint64_t stamp, struct nw_sim_version *older);
void nw_sim_version_unref(struct nw_sim_store *store, struct nw_sim_version *version);

struct nw_sim_piece *nw_sim_piece_new(struct nw_sim_store *store);
void nw_sim_piece_unref(struct nw_sim_store *store, struct nw_sim_piece *piece);

/* A piece of one's own with the same content; takes over the reference. */
struct nw_sim_piece *nw_sim_piece_own(struct nw_sim_store *store, struct nw_sim_piece *piece);

void *nw_sim_stack_new(struct nw_sim_store *store); /* NW_SIM_STACK_LEN bytes, a guard page below */
void nw_sim_stack_free(struct nw_sim_store *store, void *stack);

/* zeros */
uint8_t *nw_sim_image_memory_new(struct nw_sim_store *store, size_t len);
void nw_sim_image_memory_free(struct nw_sim_store *store, uint8_t *memory, size_t len); /* zeros */

/* Copy a sector: piece by piece, since compilers make one slow instruction of it all. */
static inline void nw_sim_copy_sector(uint8_t *target, const uint8_t *source)
{
    for (size_t i = 0; i < NW_SIM_SECTOR; i += 64)
        memcpy(target + i, source + i, 64);
}

static inline struct nw_sim_block *nw_sim_block_ref(struct nw_sim_block *block)
{
    if (block)
        block->refs++;
    return block;
}

static inline struct nw_sim_version *nw_sim_version_ref(struct nw_sim_version *version)
{
    if (version)
        version->refs++;
    return version;
}

static inline uint64_t nw_sim_random(uint64_t *state)
{
    uint64_t value = nw_splitmix64(*state);

    *state += 0x9E3779B97F4A7C15u;
    return value;
}

/* Spread a number over all bits. */
static inline uint64_t nw_sim_mix(uint64_t a, uint64_t b)
{
    return nw_splitmix64(a ^ nw_splitmix64(b));
}

#endif
