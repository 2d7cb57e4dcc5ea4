/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * append_lock.c: the lock that appends take one after the other.
 *
 * What. It is held for some fifty nanoseconds, so that a mutex which puts waiters to sleep, and
 * calls the kernel to wake them, would cost many times what it guards. Taking it free costs one
 * instruction, giving it back a plain store. Whoever finds it taken looks again for a microsecond
 * or two, and then naps; nobody is ever woken.
 *
 * Saturation. Where threads append without a pause, each change of hands costs the caches of both
 * processors as much as several appends. So a thread that finds the lock taken just after it has
 * changed hands naps at once, and the one that has it goes on for a while. Not under `always`:
 * there whoever naps misses the next sync.
 *
 * Fairness. None is promised; a nap is short, and after some of them a thread does not yield again.
 */
#include "wal/log.h"

#define LOOKS        64
#define NAP_NS       ((uint64_t)50000)
#define NAP_MAX_NS   ((uint64_t)1000000)
#define SETTLED_NS   ((uint64_t)20000) /* so long after a change of hands it may change again */
#define PATIENT_NAPS 8

static bool try(struct nori_wal *wal)
{
    uint32_t free = 0;

    return __atomic_load_n(&wal->append_word, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&wal->append_word, &free, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

#if defined(__x86_64__) || defined(__i386__)
static void relax(void)
{
    __builtin_ia32_pause();
}
#else
static void relax(void)
{
    __asm__ volatile("" ::: "memory");
}
#endif

static bool look_for_a_while(struct nori_wal *wal)
{
    for (unsigned look = 0; look < LOOKS; look++) {
        if (try(wal))
            return true;
        relax();
    }
    return false;
}

void nw_append_wait(struct nori_wal *wal)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    bool may_yield = wal->config.fsync_policy != NORI_FSYNC_ALWAYS;
    uint64_t begun_ns = nw_now_ns(wal);
    uint64_t nap_ns = NAP_NS;
    bool is_watched = false;

    for (unsigned naps = 0;; naps++) {
        bool yields =
            may_yield && naps < PATIENT_NAPS &&
            nw_now_ns(wal) - atomic_load_explicit(&wal->handed_over_ns, memory_order_relaxed) <
                SETTLED_NS;

        if (!yields && look_for_a_while(wal))
            break;
        (void)vfs->word_wait(vfs->context, &wal->append_word, 1, nap_ns);
        nap_ns = nw_min_u64(nap_ns * 2, NAP_MAX_NS);
        if (naps >= PATIENT_NAPS && !is_watched)
            is_watched = nw_watch_begin(wal, NW_STALL_LOCK, begun_ns);
    }
    nw_watch_end(wal, NW_STALL_LOCK, is_watched);
    atomic_store_explicit(&wal->handed_over_ns, nw_now_ns(wal), memory_order_relaxed);
}
