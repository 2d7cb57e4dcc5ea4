/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch.c: telling what an append or a sync waits for, while it still waits.
 *
 * What. Whoever begins something that may take long says so, and says when it is over: two stores
 * each. A thread looks when the oldest of it could become a stall, and tells each stall once, with
 * its cause, as an event, a count, and a word in `control`; whoever ends one that was told tells
 * that it is over. When nothing goes on for a while the thread falls asleep, so an idle log uses no
 * processor.
 *
 * A thread of its own: on a device that hangs, the threads that write, sync and prepare hang all at
 * once, and callers may not be waiting yet. This one makes no call that reads, writes or syncs.
 *
 * Threads. What goes on is told by `since_ns`; the append lock, write_mutex and is_syncing see to
 * it that one thread at most does the same thing. Many may wait for the append lock: whoever comes
 * first is watched. The thread says that it sleeps and looks once more; who begins stores since_ns
 * and looks at the word second. Likewise the thread says which stall it told and looks at since_ns
 * once more; who ends it clears since_ns and looks second whether it was told. All are sequentially
 * consistent, so one of them sees the other, and whoever takes back told_ns tells the end. Who
 * ended one may be held up before that, and the next one be told meanwhile: then the thread tells
 * the end of the older one first, and who was held up finds another stall in told_ns, and leaves
 * it alone.
 *
 * Not here. How long things take that are no stalls: stats.c.
 */
#include "wal/log.h"

#include <stdio.h>
#include <string.h>

/* What watch.word says. */
enum {
    AWAKE = 0,
    ASLEEP = 1,
    STOPPED = 2
};

NW_STATIC_ASSERT((int)NW_STALL_RING + 1 == (int)NORI_STALL_RING &&
                     (int)NW_STALL_COUNT == (int)NORI_STALL_LOCK,
                 "enum nw_stall counts from 0, enum nori_stall_cause from 1, else the same");

#define IDLE_LOOKS 2 /* that find nothing going on: then it falls asleep */

#define TEXT_MAX   256 /* bytes of a message */

static const char *const waited_for[NW_STALL_COUNT] = {
    [NW_STALL_RING] = "room in the staging ring",
    [NW_STALL_WRITE] = "a write to return",
    [NW_STALL_SYNC] = "a sync to return",
    [NW_STALL_SEGMENT] = "the next segment to be ready",
    [NW_STALL_SPACE] = "space to be taken",
    [NW_STALL_LOCK] = "the append lock, which another thread holds",
};

static uint64_t threshold_ns(const struct nori_wal *wal)
{
    return wal->config.stall_threshold_ms * 1000000;
}

static void *counter_of(const struct nw_metrics *metrics, enum nw_stall stall)
{
    void *const counters[NW_STALL_COUNT] = {
        [NW_STALL_RING] = metrics->stalls_ring,   [NW_STALL_WRITE] = metrics->stalls_write,
        [NW_STALL_SYNC] = metrics->stalls_sync,   [NW_STALL_SEGMENT] = metrics->stalls_segment,
        [NW_STALL_SPACE] = metrics->stalls_space, [NW_STALL_LOCK] = metrics->stalls_lock,
    };

    return counters[stall];
}

bool nw_watch_begin(struct nori_wal *wal, enum nw_stall stall, uint64_t now_ns)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    uint64_t nobody = 0;
    uint32_t asleep = ASLEEP;

    nw_assert(stall < NW_STALL_COUNT);
    if (!atomic_compare_exchange_strong(&wal->watch.since_ns[stall], &nobody, now_ns | 1))
        return false;
    if (__atomic_load_n(&wal->watch.word, __ATOMIC_SEQ_CST) != ASLEEP || NW_PLANT("stall-unseen"))
        return true;
    if (__atomic_compare_exchange_n(&wal->watch.word, &asleep, AWAKE, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        vfs->word_wake(vfs->context, &wal->watch.word);
    return true;
}

/* Where an append or sync stands that waits for this. */
static struct nori_position position_of(struct nori_wal *wal, enum nw_stall stall)
{
    if (stall == NW_STALL_WRITE)
        return nw_log_position_of(wal, &wal->written_lsn);
    if (stall == NW_STALL_SYNC)
        return nw_log_position_of(wal, &wal->durable_lsn);
    return nw_log_position_of(wal, &wal->published_lsn);
}

static void tell(struct nori_wal *wal, enum nw_stall stall, uint64_t ns, bool is_over,
                 const char *message)
{
    struct nori_position position = position_of(wal, stall);

    nw_metrics_emit(&wal->metrics, (struct nori_event){.kind = NORI_EVENT_STALL,
                                                       .severity = is_over ? NORI_SEVERITY_INFO
                                                                           : NORI_SEVERITY_WARNING,
                                                       .segment_id = position.segment_id,
                                                       .offset = position.offset,
                                                       .duration_us = ns / 1000,
                                                       .cause = (uint32_t)stall + 1,
                                                       .is_over = is_over,
                                                       .message = message});
}

/* Tell that the stall that began then is over, if it was told and its end was not. */
static void tell_end(struct nori_wal *wal, enum nw_stall stall, uint64_t since_ns, uint64_t now_ns)
{
    _Atomic uint64_t *word = &wal->control->words->stats.stalled_since_ms[stall];
    uint64_t shown_ms = nw_stats_get(word); /* first: it may be the next one's afterwards */
    uint64_t ns = now_ns - since_ns;
    char message[TEXT_MAX];

    if (!atomic_compare_exchange_strong(&wal->watch.told_ns[stall], &since_ns, 0))
        return;
    (void)atomic_compare_exchange_strong(word, &shown_ms, 0);
    (void)snprintf(message, sizeof message, "waited %.1f s for %s; it is over", (double)ns / 1e9,
                   waited_for[stall]);
    tell(wal, stall, ns, true, message);
}

void nw_watch_end(struct nori_wal *wal, enum nw_stall stall, bool is_watched)
{
    uint64_t since_ns;

    if (!is_watched)
        return;
    since_ns = atomic_exchange(&wal->watch.since_ns[stall], 0);
    if (atomic_load(&wal->watch.told_ns[stall]) == since_ns)
        tell_end(wal, stall, since_ns, nw_now_ns(wal));
}

/* What else takes too long, behind what a message says already. */
static void add_others(struct nori_wal *wal, enum nw_stall stall, uint64_t now_ns,
                       char text[TEXT_MAX])
{
    for (size_t other = 0; other < NW_STALL_COUNT; other++) {
        uint64_t since_ns = atomic_load(&wal->watch.since_ns[other]);
        size_t len = strlen(text);

        if (other != stall && since_ns != 0 && now_ns > since_ns &&
            now_ns - since_ns >= threshold_ns(wal))
            (void)snprintf(text + len, TEXT_MAX - len, "; and %.1f s for %s",
                           (double)(now_ns - since_ns) / 1e9, waited_for[other]);
    }
}

static void report(struct nori_wal *wal, enum nw_stall stall, uint64_t since_ns, uint64_t now_ns)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    struct nw_stats *stats = &wal->control->words->stats;
    uint64_t ns = now_ns - since_ns;
    uint64_t before_ns = atomic_load(&wal->watch.told_ns[stall]);
    char message[TEXT_MAX];

    if (before_ns != 0)
        tell_end(wal, stall, before_ns, now_ns);
    nw_stats_add(&stats->stalls[stall], 1);
    nw_metrics_add(&wal->metrics, counter_of(&wal->metrics, stall), 1);
    (void)snprintf(message, sizeof message, "has waited %.1f s so far for %s", (double)ns / 1e9,
                   waited_for[stall]);
    add_others(wal, stall, now_ns, message);
    tell(wal, stall, ns, false, message);
    nw_stats_set(&stats->stalled_since_ms[stall], vfs->realtime_ms(vfs->context) - ns / 1000000);
    atomic_store(&wal->watch.told_ns[stall], since_ns);
    if (atomic_load(&wal->watch.since_ns[stall]) != since_ns) /* it ended before we said so */
        tell_end(wal, stall, since_ns, now_ns);
}

/* Tell what has become a stall. When the next one can: UINT64_MAX if nothing goes on but what was
 * told. */
static uint64_t look(struct nori_wal *wal, uint64_t told[NW_STALL_COUNT])
{
    uint64_t least_ns = threshold_ns(wal);
    uint64_t now_ns = nw_now_ns(wal);
    uint64_t next_ns = UINT64_MAX;

    for (size_t stall = 0; stall < NW_STALL_COUNT; stall++) {
        uint64_t since_ns = atomic_load(&wal->watch.since_ns[stall]);

        if (since_ns == 0 || since_ns == told[stall])
            continue;
        if (now_ns < since_ns + least_ns) {
            next_ns = nw_min_u64(next_ns, since_ns + least_ns);
            continue;
        }
        report(wal, (enum nw_stall)stall, since_ns, now_ns);
        told[stall] = since_ns;
    }
    return next_ns;
}

static bool is_anything_new(const struct nori_wal *wal, const uint64_t told[NW_STALL_COUNT])
{
    for (size_t stall = 0; stall < NW_STALL_COUNT; stall++) {
        uint64_t since_ns = atomic_load(&wal->watch.since_ns[stall]);

        if (since_ns != 0 && since_ns != told[stall])
            return true;
    }
    return false;
}

/* Sleep until somebody begins something. */
static void fall_asleep(struct nori_wal *wal, const uint64_t told[NW_STALL_COUNT])
{
    const struct nori_vfs *vfs = wal->env.vfs;
    uint32_t found = AWAKE;

    if (!__atomic_compare_exchange_n(&wal->watch.word, &found, ASLEEP, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return;
    if (!is_anything_new(wal, told))
        (void)vfs->word_wait(vfs->context, &wal->watch.word, ASLEEP, UINT64_MAX);
    found = ASLEEP;
    (void)__atomic_compare_exchange_n(&wal->watch.word, &found, AWAKE, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
}

void nw_watch_run(void *argument)
{
    struct nori_wal *wal = argument;
    const struct nori_vfs *vfs = wal->env.vfs;
    uint64_t told[NW_STALL_COUNT] = {0};
    unsigned idle_looks = 0;

    while (__atomic_load_n(&wal->watch.word, __ATOMIC_SEQ_CST) != STOPPED) {
        uint64_t next_ns = look(wal, told);
        uint64_t now_ns = nw_now_ns(wal);
        uint64_t nap_ns = threshold_ns(wal);

        idle_looks = next_ns == UINT64_MAX ? idle_looks + 1 : 0;
        if (idle_looks >= IDLE_LOOKS) {
            fall_asleep(wal, told);
            continue;
        }
        if (next_ns != UINT64_MAX)
            nap_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        (void)vfs->word_wait(vfs->context, &wal->watch.word, AWAKE, nap_ns);
    }
}

void nw_watch_stop(struct nori_wal *wal)
{
    __atomic_store_n(&wal->watch.word, STOPPED, __ATOMIC_SEQ_CST);
    wal->env.vfs->word_wake(wal->env.vfs->context, &wal->watch.word);
}
