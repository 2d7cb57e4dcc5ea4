/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explorer.h: a history, and every state that a crash can leave of it, recovered and looked at.
 *
 * The history runs once. Before every operation of its last step, and behind it, the machine is
 * cloned: as kill -9 leaves it, and as a power cut may leave it, every such disk if they are few,
 * else some by seed. Each clone is read without a writer, opened, read, crashed again right after
 * open returned, and opened again; some are crashed during recovery, too, and some are appended to.
 *
 * What breaks a promise fails the test, and prints the line that repeats it.
 */
#ifndef TESTS_EXPLORER_H
#define TESTS_EXPLORER_H

#include "jobs.h"
#include "workload.h"

#define STEPS_MAX 12

struct history {
    struct workload workload;
    uint32_t sim_flags;
    /* of the order of threads, and of whether they wake without cause and syncs take time; 0: the
     * workload's, and neither */
    uint64_t order_seed;
    char steps[STEPS_MAX + 1];
};

/* How much is tried. */
extern struct explorer_effort {
    uint64_t outcomes_all;    /* all of a power cut's outcomes if there are no more */
    uint64_t outcomes_random; /* as many by seed, if there are */
    uint64_t nested_every;    /* of so many states one is crashed during recovery */
} explorer_effort;

/* What all histories share. */
extern struct explorer_totals {
    struct job *job;    /* counts what is looked at */
    bool counts_nested; /* only what a crash during recovery left */
    uint64_t histories;
    uint64_t points;
    uint64_t kills;
    uint64_t nested;
    double seconds;
    bool is_worker; /* it is a process of jobs.c */
} explorer_totals;

/* Explore all of the last step; or, if only_outcome is not NULL, what is left by that one crash. */
void explorer_run(const struct history *history, const char *only_outcome, uint64_t only_operation);

/* The same, but let the machine die in the middle of each write of the last step, and see that the
 * calls return. */
void explorer_run_partly(struct history history, const char *only_outcome, uint64_t only_operation);

/* Is there a state that breaks a promise? Nothing is printed, and no test fails. */
bool explorer_finds_fault(const struct history *history);

#endif
