/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.c: the allocator of the targets, which keeps large pieces. */
#include "memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_include
#    if __has_include(<sanitizer/asan_interface.h>)
#        include <sanitizer/asan_interface.h>
#    endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#    define ASAN_POISON_MEMORY_REGION(at, len)   ((void)(at), (void)(len))
#    define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define KEPT_MAX  16
#define LARGE_LEN ((size_t)64 << 10)

/* Stands before each piece, poisoned while that is lent. */
struct head {
    _Alignas(max_align_t) size_t len;
};

static struct head *kept[KEPT_MAX];
static size_t kept_len[KEPT_MAX];
static uint64_t blocks;

static void *lend(void *context, size_t len)
{
    struct head *head = NULL;

    (void)context;
    for (size_t i = 0; i < KEPT_MAX && !head && len >= LARGE_LEN; i++) {
        if (kept[i] && kept_len[i] == len) {
            head = kept[i];
            kept[i] = NULL;
            ASAN_UNPOISON_MEMORY_REGION(head, sizeof *head + len);
        }
    }
    if (!head)
        head = malloc(sizeof *head + len);
    if (!head)
        return NULL;
    head->len = len;
    ASAN_POISON_MEMORY_REGION(head, sizeof *head);
    blocks++;
    return head + 1;
}

static void take_back(void *context, void *memory)
{
    struct head *head;
    bool is_kept = false;

    (void)context;
    if (!memory)
        return;
    head = (struct head *)memory - 1;
    blocks--;
    ASAN_UNPOISON_MEMORY_REGION(head, sizeof *head);
    for (size_t i = 0; i < KEPT_MAX && !is_kept && head->len >= LARGE_LEN; i++) {
        if (kept[i])
            continue;
        is_kept = true;
        kept[i] = head;
        kept_len[i] = head->len;
    }
    if (is_kept)
        ASAN_POISON_MEMORY_REGION(head, sizeof *head + head->len);
    else
        free(head);
}

static void *resize(void *context, void *memory, size_t len)
{
    void *other = lend(context, len);
    struct head *head;
    size_t old_len;

    if (!memory || !other)
        return other;
    head = (struct head *)memory - 1;
    ASAN_UNPOISON_MEMORY_REGION(head, sizeof *head);
    old_len = head->len;
    memcpy(other, memory, old_len < len ? old_len : len);
    take_back(context, memory);
    return other;
}

const struct nori_allocator *memory_allocator(void)
{
    static const struct nori_allocator allocator = {
        .size = sizeof allocator, .alloc = lend, .realloc = resize, .free = take_back};

    return &allocator;
}

uint64_t memory_blocks(void)
{
    return blocks;
}
