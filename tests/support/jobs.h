/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * jobs.h: numbered cases tried by several processes, one for each processor (NORI_JOBS says
 * otherwise), for hours, as a part of `make torture`.
 */
#ifndef TESTS_JOBS_H
#define TESTS_JOBS_H

#include "sketch.h"
#include "torture.h"

/* What one process counts, in memory that all of them see. */
struct job {
    struct sketch sketch;    /* of what the part counts */
    _Atomic uint64_t looked; /* how many were looked at, the same ones again included */
    _Atomic uint64_t current;
};

/* Try cases options->from and above until as many different things as options->count were counted,
 * the time is up, or `try_case` gives false: then there is no such case, nor one above it. It runs
 * in a process of its own, which ends with a status other than 0 if it finds a violation. Tells how
 * far it is. Returns whether there was no violation. What was counted is kept in the folder
 * NORI_TORTURE_KEEP, under this name; if less than NORI_TORTURE_REACHED is there, nothing is tried.
 */
bool jobs_run(const struct torture_options *options, const char *name,
              bool (*try_case)(struct job *job, uint64_t number));

#endif
