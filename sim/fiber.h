/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fiber.h: simulated threads, of which one runs at a time, and the clock.
 */
#ifndef NW_SIM_FIBER_H
#define NW_SIM_FIBER_H

#include "machine.h"

enum nw_sim_wait {
    NW_SIM_RUNS,
    NW_SIM_MUTEX,
    NW_SIM_COND,
    NW_SIM_WORD,
    NW_SIM_THREAD_END,
    NW_SIM_TIME
};

void nw_sim_fibers_init(struct nori_sim *sim);
void nw_sim_fibers_done(struct nori_sim *sim);

/* The fiber runs when another one waits or yields. */
struct nw_sim_fiber *nw_sim_fiber_new(struct nori_sim *sim, const char *name,
                                      void (*run)(void *argument), void *argument);

/* Wait for its end, then free it. */
void nw_sim_fiber_join(struct nori_sim *sim, struct nw_sim_fiber *fiber);

uint64_t nw_sim_fiber_id(const struct nw_sim_fiber *fiber);

/* Let another one run, if there is one and chance will have it. */
void nw_sim_fiber_maybe_yield(struct nori_sim *sim);

/* Let another one run, if there is one. */
void nw_sim_fiber_yield(struct nori_sim *sim);

/* Wait until woken or, then it returns false, the clock reaches deadline_ns (UINT64_MAX: never). */
bool nw_sim_fiber_wait(struct nori_sim *sim, enum nw_sim_wait reason, const void *object,
                       uint64_t deadline_ns);

/* Wake those who wait for this: one, by chance, or all. */
void nw_sim_fiber_wake_one(struct nori_sim *sim, enum nw_sim_wait reason, const void *object);
void nw_sim_fiber_wake_all(struct nori_sim *sim, enum nw_sim_wait reason, const void *object);

/* Print what each of them does to standard error. */
void nw_sim_fiber_dump(struct nori_sim *sim);

/* Fill in the threads' part of the vfs; thread.c. */
void nw_sim_thread_install(struct nori_vfs *vfs);

#endif
