/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory.h: the allocator of targets that do one thing at a time. Under AddressSanitizer large
 * pieces are mapped and unmapped one by one, which takes half of all time; this one keeps them,
 * poisoned, for the next.
 */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <nori/vfs.h>

const struct nori_allocator *memory_allocator(void);

/* Pieces not yet freed. */
uint64_t memory_blocks(void);

#endif
