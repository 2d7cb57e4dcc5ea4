/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * writer.c: the thread that writes what the staging ring holds to the segments, behind the appends.
 *
 * What. It writes all there is, naps for a millisecond, and looks again; when a few naps have
 * brought nothing it falls asleep. So appends make no system call as long as they come often, or
 * one for every piece of the ring if they come faster than it naps, and an idle log uses no
 * processor. Under policy `batch` it also starts the window of the sync thread: counted from when
 * it looked before, since the oldest append it finds may be as old as that.
 *
 * Under `os` it asks for a sync now and then: the disk works while appends go on, and an ended
 * segment, of which few may be unsynced (D3), has little left to sync.
 *
 * There is no such thread under `always`, where whoever leads a sync writes, nor without a ring.
 *
 * Threads. `writer_word` tells what it does. It says that it will rest and looks at `published`
 * once more; an append publishes and looks at the word second. Both are sequentially consistent, so
 * one of them sees the other.
 *
 * Failure. What cannot be written fails the log (stage.c); then it sleeps until close.
 */
#include "wal/log.h"

#define NAP_NS        ((uint64_t)1000000)
#define NAPS_TO_SLEEP 16
#define SYNC_EVERY    ((uint64_t)32 << 20)

/* What writer_word says. */
enum {
    RUNNING = 0,
    NAPPING = 1, /* for a while */
    ASLEEP = 2,  /* until woken */
    STOPPED = 3  /* it shall end */
};

/* So much in the ring is reason to end a nap. */
static uint64_t worth_waking(const struct nori_wal *wal)
{
    return wal->ring_len / 8;
}

static bool change(struct nori_wal *wal, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&wal->writer_word, &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void wake(struct nori_wal *wal, uint32_t found)
{
    if (change(wal, found, RUNNING))
        wal->env.vfs->word_wake(wal->env.vfs->context, &wal->writer_word);
}

void nw_writer_check(struct nori_wal *wal)
{
    uint32_t found = __atomic_load_n(&wal->writer_word, __ATOMIC_SEQ_CST);

    if (found == ASLEEP)
        wake(wal, found);
    else if (found == NAPPING && atomic_load_explicit(&wal->published_lsn, memory_order_relaxed) -
                                         atomic_load(&wal->written_lsn) >=
                                     worth_waking(wal))
        wake(wal, found);
}

void nw_writer_stop(struct nori_wal *wal)
{
    __atomic_store_n(&wal->writer_word, STOPPED, __ATOMIC_SEQ_CST);
    wal->env.vfs->word_wake(wal->env.vfs->context, &wal->writer_word);
}

/* Nap or sleep; `seen` is what was published when there was nothing left to do. False: end. */
static bool rest(struct nori_wal *wal, uint32_t how, uint64_t nap_ns, uint64_t seen)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    uint64_t published;
    bool is_due;

    if (!change(wal, RUNNING, how))
        return false;
    published = atomic_load(&wal->published_lsn);
    is_due = how == ASLEEP ? published != seen
                           : published - atomic_load(&wal->written_lsn) >= worth_waking(wal);
    if (!is_due || atomic_load(&wal->has_failed))
        (void)vfs->word_wait(vfs->context, &wal->writer_word, how,
                             how == ASLEEP ? UINT64_MAX : nap_ns);
    (void)change(wal, how, RUNNING);
    return __atomic_load_n(&wal->writer_word, __ATOMIC_SEQ_CST) != STOPPED;
}

void nw_writer_run(void *argument)
{
    struct nori_wal *wal = argument;
    uint64_t window_ns = (uint64_t)wal->config.batch_window_us * 1000;
    uint64_t nap_ns = nw_min_u64(NAP_NS, window_ns / 4 + 1);
    uint64_t looked_ns = nw_now_ns(wal); /* what is new was appended after that */
    uint64_t seen = 0;
    uint32_t how = NAPPING;
    unsigned idle_naps = 0;

    do {
        uint64_t now_ns = nw_now_ns(wal);
        uint64_t published = atomic_load(&wal->published_lsn);

        if (how == ASLEEP) /* the first append has woken us, just now */
            looked_ns = now_ns;
        if (published != seen) {
            nw_sync_note_append(wal, looked_ns);
            if (published - atomic_load(&wal->durable_lsn) >= SYNC_EVERY)
                nw_sync_request(wal);
            (void)nw_stage_write_to(wal, published, NULL);
            idle_naps = 0;
        }
        seen = published;
        looked_ns = now_ns;
        how = idle_naps < NAPS_TO_SLEEP ? NAPPING : ASLEEP;
        idle_naps++;
    } while (rest(wal, how, nap_ns, seen));
}
