/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ahead.c: scanning the segments of a large log by several threads at once.
 *
 * What. Each segment can be scanned on its own: its header tells the salt and the first sequence
 * number, its successor's header where it ends. So threads take one link after the other, and the
 * caller's thread is one of them. Judging goes through the results in order, as if it had scanned
 * itself; what lies behind damage was then read for nothing, or counts as evidence of a watermark.
 *
 * Threads. `next`, an atomic, hands out links. Each entry of the results is written by the thread
 * that took its link, and read after all have been joined.
 * Memory is one window a thread, whatever the size of the log.
 *
 * Failure. Threads that cannot be started are done without. An error is not kept.
 */
#include "wal/ahead.h"

#include <stdatomic.h>
#include <string.h>

#define THREADS_MAX    4                    /* the caller's included */
#define WORTH_IT_BYTES ((uint64_t)32 << 20) /* a smaller log is read before threads have started */

/* What the threads share. */
struct crew {
    const struct nw_env *env;
    const struct nw_chain *chain;
    struct nw_ahead *ahead;
    uint64_t record_limit;
    _Atomic size_t next;
};

static void scan_links(void *argument)
{
    struct crew *crew = argument;
    struct nw_cursor cursor;
    size_t i;

    nw_cursor_begin(&cursor, crew->env->allocator, NULL, 2, 0, 0, 0, false);
    while ((i = atomic_fetch_add(&crew->next, 1)) < crew->chain->count) {
        const struct nw_link *link = &crew->chain->links[i];
        struct nori_error ignored = NORI_ERROR_INIT;
        struct nw_segment_scan scan = {.end = link->begin,
                                       .next_sequence = link->header.base_sequence};

        if (!link->is_live || link->format != 2)
            continue;
        if (nw_segment_scan(crew->env, crew->chain, link, &cursor, crew->record_limit, &scan, NULL,
                            NULL, &ignored) < 0)
            continue;
        crew->ahead->scans[i] = scan;
        crew->ahead->is_done[i] = true;
    }
    nw_cursor_done(&cursor);
}

static void run_crew(struct crew *crew)
{
    const struct nori_vfs *vfs = crew->env->vfs;
    struct nori_thread *threads[THREADS_MAX - 1];
    size_t count = 0;

    while (count < THREADS_MAX - 1 &&
           vfs->thread_start(vfs->context, "nori-scan", scan_links, crew, &threads[count]) >= 0)
        count++;
    scan_links(crew);
    while (count > 0)
        vfs->thread_join(vfs->context, threads[--count]);
}

/* At least two links, and enough bytes in them. */
static bool is_worth_it(const struct nw_chain *chain, size_t first)
{
    uint64_t bytes = 0;
    size_t links = 0;

    for (size_t i = first; i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];

        if (!link->is_live || link->format != 2)
            continue;
        links++;
        bytes += nw_min_u64(link->end, link->file_bytes);
    }
    return links >= 2 && bytes >= WORTH_IT_BYTES;
}

void nw_ahead_scan(struct nw_ahead *ahead, const struct nw_env *env, const struct nw_chain *chain,
                   size_t first, uint64_t record_limit)
{
    struct nw_env files_only = *env; /* the ring is asked by one thread, where a file ends */
    struct crew crew = {
        .env = &files_only, .chain = chain, .ahead = ahead, .record_limit = record_limit};

    files_only.staged = NULL;
    *ahead = (struct nw_ahead){.allocator = env->allocator};
    if (!is_worth_it(chain, first))
        return;
    ahead->scans = nw_alloc_zero(env->allocator, chain->count * sizeof *ahead->scans);
    ahead->is_done = nw_alloc_zero(env->allocator, chain->count * sizeof *ahead->is_done);
    if (!ahead->scans || !ahead->is_done) {
        nw_ahead_done(ahead); /* slower, not worse */
        return;
    }
    ahead->count = chain->count;
    atomic_store(&crew.next, first);
    run_crew(&crew);
}

void nw_ahead_done(struct nw_ahead *ahead)
{
    nw_free(ahead->allocator, ahead->scans);
    nw_free(ahead->allocator, ahead->is_done);
    *ahead = (struct nw_ahead){.allocator = ahead->allocator};
}

bool nw_ahead_take(const struct nw_ahead *ahead, size_t i, struct nw_segment_scan *ret_scan)
{
    if (i >= ahead->count || !ahead->is_done[i])
        return false;
    *ret_scan = ahead->scans[i];
    return true;
}
