/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.c: memory from an allocator, malloc as an allocator, and buffers that know their limit. */
#include "base/memory.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <nori/vfs.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_CAPACITY_MIN 64 /* bytes; the first step of a growing buffer */
#define LIST_CAPACITY_MIN   16 /* items; likewise */

static void *malloc_alloc(void *context, size_t len)
{
    (void)context;
    return malloc(len);
}

static void *malloc_realloc(void *context, void *memory, size_t len)
{
    (void)context;
    return realloc(memory, len);
}

static void malloc_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

const struct nori_allocator *nori_allocator_malloc(void)
{
    static const struct nori_allocator allocator = {
        .size = sizeof allocator,
        .alloc = malloc_alloc,
        .realloc = malloc_realloc,
        .free = malloc_free,
    };

    return &allocator;
}

/* An allocator may answer NULL for 0 bytes, which would read as "no memory". */
static size_t at_least_one(size_t len)
{
    return len > 0 ? len : 1;
}

void *nw_alloc(const struct nori_allocator *allocator, size_t len)
{
    return allocator->alloc(allocator->context, at_least_one(len));
}

void *nw_alloc_zero(const struct nori_allocator *allocator, size_t len)
{
    void *memory = nw_alloc(allocator, len);

    if (memory)
        memset(memory, 0, len);
    return memory;
}

void *nw_realloc(const struct nori_allocator *allocator, void *memory, size_t len)
{
    if (!memory) /* the contract of realloc does not speak of NULL */
        return nw_alloc(allocator, len);
    return allocator->realloc(allocator->context, memory, at_least_one(len));
}

void nw_free(const struct nori_allocator *allocator, void *memory)
{
    if (memory)
        allocator->free(allocator->context, memory);
}

void *nw_list_grow(const struct nori_allocator *allocator, void *items, size_t item_len,
                   size_t count, size_t count_max, size_t *capacity)
{
    size_t grown = *capacity ? *capacity * 2 : LIST_CAPACITY_MIN;
    void *moved;

    nw_assert(count <= *capacity);
    if (count < *capacity)
        return items;
    if (grown > count_max || grown > SIZE_MAX / item_len)
        return NULL;
    moved = nw_realloc(allocator, items, grown * item_len);
    if (moved)
        *capacity = grown;
    return moved;
}

char *nw_strdup(const struct nori_allocator *allocator, const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = nw_alloc(allocator, len);

    if (copy)
        memcpy(copy, text, len);
    return copy;
}

void nw_buffer_init(struct nw_buffer *buffer, const struct nori_allocator *allocator, size_t limit)
{
    *buffer = (struct nw_buffer){.allocator = allocator, .limit = limit};
}

void nw_buffer_done(struct nw_buffer *buffer)
{
    if (!buffer)
        return;
    nw_free(buffer->allocator, buffer->data);
    buffer->data = NULL;
    buffer->len = 0;
    buffer->capacity = 0;
}

/* The capacity to grow to: doubled until it holds len, but within the limit. */
static size_t grown_capacity(const struct nw_buffer *buffer, size_t len)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_CAPACITY_MIN;

    while (capacity < len && capacity <= buffer->limit / 2)
        capacity *= 2;
    if (capacity < len || capacity > buffer->limit)
        capacity = buffer->limit;
    return capacity;
}

int nw_buffer_reserve(struct nw_buffer *buffer, size_t len)
{
    size_t capacity;
    uint8_t *data;

    nw_assert(buffer->capacity <= buffer->limit);
    if (len <= buffer->capacity)
        return NORI_OK;
    if (len > buffer->limit)
        return NORI_E_TOOBIG;

    capacity = grown_capacity(buffer, len);
    nw_assert(capacity >= len && capacity <= buffer->limit);
    data = nw_realloc(buffer->allocator, buffer->data, capacity);
    if (!data)
        return NORI_E_NOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return NORI_OK;
}
