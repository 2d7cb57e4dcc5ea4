/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.h: memory from a log's own allocator, and buffers born with their limit. */
#ifndef NW_MEMORY_H
#define NW_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct nori_allocator;

void *nw_alloc(const struct nori_allocator *allocator, size_t len); /* NULL if there is none */
void *nw_alloc_zero(const struct nori_allocator *allocator, size_t len);
void *nw_realloc(const struct nori_allocator *allocator, void *memory, size_t len);
void nw_free(const struct nori_allocator *allocator, void *memory); /* NULL is a no-op */
/* A list with room for `count` items of item_len bytes and one more: `items` itself, or moved and
 * then twice as large. NULL: no memory, or more than count_max; the list is then as before. */
void *nw_list_grow(const struct nori_allocator *allocator, void *items, size_t item_len,
                   size_t count, size_t count_max, size_t *capacity);

char *nw_strdup(const struct nori_allocator *allocator, const char *text);

/* A growable buffer. All its memory is data[0..capacity). */
struct nw_buffer {
    const struct nori_allocator *allocator;
    uint8_t *data;
    size_t len; /* used by the owner as it likes */
    size_t capacity;
    size_t limit; /* never grows beyond */
};

void nw_buffer_init(struct nw_buffer *buffer, const struct nori_allocator *allocator, size_t limit);
void nw_buffer_done(struct nw_buffer *buffer);

/* Make capacity at least len, keeping the contents; grows by doubling. NORI_E_TOOBIG over the
 * limit, NORI_E_NOMEM; the buffer is then as before. */
int nw_buffer_reserve(struct nw_buffer *buffer, size_t len);

#endif
