/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store.c: memory of simulated machines, reused.
 *
 * What. A list of free memory for each kind of thing, shared by a machine and its clones, given
 * back with the last.
 *
 * Failure. Without memory a test cannot go on: it aborts and says so.
 */
#define _GNU_SOURCE 1

#include "store.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_LEN ((size_t)4096)

static _Noreturn void no_memory(void)
{
    (void)fputs("nori_sim: no memory\n", stderr);
    abort();
}

void *nw_sim_alloc(size_t len)
{
    void *memory = calloc(1, len);

    if (!memory)
        no_memory();
    return memory;
}

void *nw_sim_realloc(void *memory, size_t len)
{
    memory = realloc(memory, len);
    if (!memory)
        no_memory();
    return memory;
}

void *nw_sim_grow(void *array, size_t count, size_t *capacity, size_t item_len)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 8;
    return nw_sim_realloc(array, *capacity * item_len);
}

/* Take memory from a list, or NULL. */
static void *pop(struct nw_sim_free_item **list)
{
    struct nw_sim_free_item *item = *list;

    if (item)
        *list = item->next;
    return item;
}

/* A list of freed memory that is itself the list's item. */
static void push(struct nw_sim_free_item **list, void *memory)
{
    struct nw_sim_free_item *item = memory;

    item->next = *list;
    *list = item;
}

/* The same for memory that may not be written to: the item is another one. */
static void push_apart(struct nw_sim_free_item **list, void *memory, size_t len)
{
    struct nw_sim_free_item *item = nw_sim_alloc(sizeof *item);

    item->memory = memory;
    item->len = len;
    item->next = *list;
    *list = item;
}

struct nw_sim_store *nw_sim_store_new(void)
{
    struct nw_sim_store *store = nw_sim_alloc(sizeof *store);

    store->refs = 1;
    return store;
}

struct nw_sim_store *nw_sim_store_ref(struct nw_sim_store *store)
{
    store->refs++;
    return store;
}

static void free_all(struct nw_sim_free_item *list)
{
    while (list)
        free(pop(&list));
}

void nw_sim_store_unref(struct nw_sim_store *store)
{
    struct nw_sim_free_item *item;

    if (--store->refs > 0)
        return;
    free_all(store->blocks);
    free_all(store->versions);
    free_all(store->pieces);
    while ((item = pop(&store->stacks)) != NULL) {
        (void)munmap((uint8_t *)item->memory - PAGE_LEN, item->len + PAGE_LEN);
        free(item);
    }
    while ((item = pop(&store->images)) != NULL) {
        free(item->memory);
        free(item);
    }
    free(store);
}

struct nw_sim_block *nw_sim_block_new(struct nw_sim_store *store)
{
    struct nw_sim_block *block = pop(&store->blocks);

    if (!block)
        block = nw_sim_realloc(NULL, sizeof *block);
    block->refs = 1;
    block->has_hash = false;
    return block;
}

void nw_sim_block_unref(struct nw_sim_store *store, struct nw_sim_block *block)
{
    if (block && --block->refs == 0)
        push(&store->blocks, block);
}

uint64_t nw_sim_block_hash(struct nw_sim_block *block)
{
    uint64_t lanes[4] = {1, 2, 3, 4}; /* that a processor can work at side by side */
    uint64_t words[4];
    uint64_t all = 0;

    if (block->has_hash)
        return block->hash;
    for (size_t i = 0; i < NW_SIM_SECTOR; i += sizeof words) {
        memcpy(words, block->bytes + i, sizeof words);
        for (size_t lane = 0; lane < 4; lane++) {
            lanes[lane] = nw_splitmix64(lanes[lane] ^ words[lane]);
            all |= words[lane];
        }
    }
    block->hash =
        all ? nw_sim_mix(nw_sim_mix(lanes[0], lanes[1]), nw_sim_mix(lanes[2], lanes[3])) : 0;
    block->has_hash = true;
    return block->hash;
}

struct nw_sim_version *nw_sim_version_new(struct nw_sim_store *store, struct nw_sim_block *block,
                                          uint64_t stamp, struct nw_sim_version *older)
{
    struct nw_sim_version *version = pop(&store->versions);

    if (!version)
        version = nw_sim_realloc(NULL, sizeof *version);
    version->refs = 1;
    version->stamp = stamp;
    version->block = block;
    version->older = older;
    return version;
}

void nw_sim_version_unref(struct nw_sim_store *store, struct nw_sim_version *version)
{
    while (version && --version->refs == 0) {
        struct nw_sim_version *older = version->older;

        nw_sim_block_unref(store, version->block);
        push(&store->versions, version);
        version = older;
    }
}

struct nw_sim_piece *nw_sim_piece_new(struct nw_sim_store *store)
{
    struct nw_sim_piece *piece = pop(&store->pieces);

    if (!piece)
        piece = nw_sim_realloc(NULL, sizeof *piece);
    memset(piece, 0, sizeof *piece);
    piece->refs = 1;
    return piece;
}

void nw_sim_piece_unref(struct nw_sim_store *store, struct nw_sim_piece *piece)
{
    if (!piece || --piece->refs > 0)
        return;
    for (size_t i = 0; i < NW_SIM_PIECE_COUNT; i++)
        nw_sim_block_unref(store, piece->blocks[i]);
    push(&store->pieces, piece);
}

struct nw_sim_piece *nw_sim_piece_own(struct nw_sim_store *store, struct nw_sim_piece *piece)
{
    struct nw_sim_piece *own;

    if (piece->refs == 1)
        return piece;
    own = nw_sim_piece_new(store);
    for (size_t i = 0; i < NW_SIM_PIECE_COUNT; i++)
        own->blocks[i] = nw_sim_block_ref(piece->blocks[i]);
    piece->refs--; /* not the last */
    return own;
}

void *nw_sim_stack_new(struct nw_sim_store *store)
{
    struct nw_sim_free_item *item = pop(&store->stacks);
    uint8_t *memory;

    if (item) {
        memory = item->memory;
        free(item);
        return memory;
    }
    memory = mmap(NULL, NW_SIM_STACK_LEN + PAGE_LEN, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        no_memory();
    nw_assert(mprotect(memory, PAGE_LEN, PROT_NONE) ==
              0); /* stacks grow down, and then no further */
    return memory + PAGE_LEN;
}

void nw_sim_stack_free(struct nw_sim_store *store, void *stack)
{
    push_apart(&store->stacks, stack, NW_SIM_STACK_LEN);
}

uint8_t *nw_sim_image_memory_new(struct nw_sim_store *store, size_t len)
{
    void *memory;

    nw_assert(len > 0 && len % PAGE_LEN == 0);
    for (struct nw_sim_free_item **link = &store->images; *link; link = &(*link)->next) {
        struct nw_sim_free_item *item = *link;

        if (item->len != len)
            continue;
        *link = item->next;
        memory = item->memory;
        free(item);
        return memory;
    }
    memory = aligned_alloc(PAGE_LEN, len);
    if (!memory)
        no_memory();
    memset(memory, 0, len);
    return memory;
}

void nw_sim_image_memory_free(struct nw_sim_store *store, uint8_t *memory, size_t len)
{
    push_apart(&store->images, memory, len);
}
