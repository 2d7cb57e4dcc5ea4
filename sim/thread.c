/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * thread.c: the threads, mutexes, conditions and words of nori/vfs.h on simulated threads.
 *
 * What. Only one thread runs at a time, so a mutex is a pointer to its owner, and a condition is
 * nothing but an address to wait for.
 *
 * Failure. What a real system would not forgive ends the run: a mutex locked twice by one thread,
 * unlocked by another, freed while it is held.
 */
#include "fiber.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_NS 20u /* that a look at the clock takes */

struct nori_mutex {
    struct nw_sim_fiber *owner;
};

struct nori_cond {
    char address;
};

static struct nw_sim_fiber *fiber_of(struct nori_thread *thread)
{
    return (struct nw_sim_fiber *)(void *)thread; /* the seam's name for the same thing */
}

static int thread_start(void *context, const char *name, void (*run)(void *argument),
                        void *argument, struct nori_thread **ret_thread)
{
    struct nori_sim *sim = context;
    int rc = nw_sim_begin_call(sim, NORI_SIM_THREAD);

    if (rc < 0)
        return rc;
    *ret_thread = (struct nori_thread *)(void *)nw_sim_fiber_new(sim, name, run, argument);
    nw_sim_fiber_maybe_yield(sim);
    return 0;
}

static void thread_join(void *context, struct nori_thread *thread)
{
    nw_sim_fiber_join(context, fiber_of(thread));
}

static uint64_t thread_id(void *context)
{
    return nw_sim_fiber_id(((struct nori_sim *)context)->running);
}

static int mutex_new(void *context, struct nori_mutex **ret_mutex)
{
    int rc = nw_sim_begin_call(context, NORI_SIM_THREAD);

    if (rc < 0)
        return rc;
    *ret_mutex = nw_sim_alloc(sizeof **ret_mutex);
    return 0;
}

static void mutex_lock(void *context, struct nori_mutex *mutex)
{
    struct nori_sim *sim = context;

    nw_sim_fiber_maybe_yield(sim);
    if (mutex->owner == sim->running)
        nw_sim_give_up(sim, "a thread locks a mutex that it holds");
    while (mutex->owner)
        (void)nw_sim_fiber_wait(sim, NW_SIM_MUTEX, mutex, UINT64_MAX);
    mutex->owner = sim->running;
}

static void release(struct nori_sim *sim, struct nori_mutex *mutex)
{
    if (mutex->owner != sim->running)
        nw_sim_give_up(sim, "a thread unlocks a mutex that it does not hold");
    mutex->owner = NULL;
    if (sim->fiber_count > 1)
        nw_sim_fiber_wake_all(sim, NW_SIM_MUTEX, mutex);
}

static void mutex_unlock(void *context, struct nori_mutex *mutex)
{
    release(context, mutex);
    nw_sim_fiber_maybe_yield(context);
}

static void mutex_free(void *context, struct nori_mutex *mutex)
{
    if (mutex && mutex->owner)
        nw_sim_give_up(context, "a mutex is freed while it is held");
    free(mutex);
}

static int cond_new(void *context, struct nori_cond **ret_cond)
{
    int rc = nw_sim_begin_call(context, NORI_SIM_THREAD);

    if (rc < 0)
        return rc;
    *ret_cond = nw_sim_alloc(sizeof **ret_cond);
    return 0;
}

static int cond_wait(void *context, struct nori_cond *cond, struct nori_mutex *mutex,
                     uint64_t deadline_ns)
{
    struct nori_sim *sim = context;
    bool is_woken;

    release(sim, mutex);
    is_woken = nw_sim_fiber_wait(sim, NW_SIM_COND, cond, deadline_ns);
    while (mutex->owner)
        (void)nw_sim_fiber_wait(sim, NW_SIM_MUTEX, mutex, UINT64_MAX);
    mutex->owner = sim->running;
    return is_woken ? 0 : NORI_E_TIMEOUT;
}

static void cond_wake_one(void *context, struct nori_cond *cond)
{
    nw_sim_fiber_wake_one(context, NW_SIM_COND, cond);
}

static void cond_wake_all(void *context, struct nori_cond *cond)
{
    nw_sim_fiber_wake_all(context, NW_SIM_COND, cond);
}

static void cond_free(void *context, struct nori_cond *cond)
{
    (void)context;
    free(cond);
}

static int word_wait(void *context, const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct nori_sim *sim = context;
    uint64_t deadline_ns;

    nw_sim_fiber_maybe_yield(sim);
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
        return 0;
    if (nw_add_overflow(sim->now_ns, timeout_ns, &deadline_ns))
        deadline_ns = UINT64_MAX;
    return nw_sim_fiber_wait(sim, NW_SIM_WORD, word, deadline_ns) ? 0 : NORI_E_TIMEOUT;
}

static void word_wake(void *context, const uint32_t *word)
{
    nw_sim_fiber_wake_all(context, NW_SIM_WORD, word);
    nw_sim_fiber_maybe_yield(context);
}

static uint64_t monotonic_ns(void *context)
{
    struct nori_sim *sim = context;

    return sim->now_ns += LOOK_NS;
}

static uint64_t realtime_ms(void *context)
{
    return NW_SIM_EPOCH_MS + monotonic_ns(context) / 1000000u;
}

static int fill_random(void *context, void *target, size_t len)
{
    struct nori_sim *sim = context;
    uint8_t *at = target;
    int rc = nw_sim_begin_call(sim, NORI_SIM_RANDOM);

    if (rc < 0)
        return rc;
    while (len > 0) {
        uint64_t value = nw_sim_random(&sim->random_state);
        size_t part = len < sizeof value ? len : sizeof value;

        memcpy(at, &value, part);
        at += part;
        len -= part;
    }
    return 0;
}

static uint64_t process_generation(void *context)
{
    (void)context;
    return 1;
}

static uint64_t process_id(void *context)
{
    (void)context;
    return 1;
}

void nori_sim_sleep(nori_sim *sim, uint64_t duration_ns)
{
    uint64_t deadline_ns;

    if (nw_add_overflow(sim->now_ns, duration_ns, &deadline_ns))
        deadline_ns = UINT64_MAX;
    (void)nw_sim_fiber_wait(sim, NW_SIM_TIME, NULL, deadline_ns);
}

void nw_sim_thread_install(struct nori_vfs *vfs)
{
    vfs->monotonic_ns = monotonic_ns;
    vfs->realtime_ms = realtime_ms;
    vfs->random = fill_random;
    vfs->thread_start = thread_start;
    vfs->thread_join = thread_join;
    vfs->thread_id = thread_id;
    vfs->mutex_new = mutex_new;
    vfs->mutex_lock = mutex_lock;
    vfs->mutex_unlock = mutex_unlock;
    vfs->mutex_free = mutex_free;
    vfs->cond_new = cond_new;
    vfs->cond_wait = cond_wait;
    vfs->cond_wake_one = cond_wake_one;
    vfs->cond_wake_all = cond_wake_all;
    vfs->cond_free = cond_free;
    vfs->word_wait = word_wait;
    vfs->word_wake = word_wake;
    vfs->process_generation = process_generation;
    vfs->process_id = process_id;
}
