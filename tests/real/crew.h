/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crew.h: numbers tried by several processes at once, each on a file system of its own.
 *
 * Each number is tried once, in order, and all below the least that anybody has in hand are done.
 * So a run that is interrupted loses only those that were in hand, and none counts twice.
 */
#ifndef TESTS_REAL_CREW_H
#define TESTS_REAL_CREW_H

#include "harness.h"

#define CREW_MAX    ((size_t)64)
#define CREW_COUNTS ((size_t)4)

/* What all of them see. */
struct crew_board {
    _Atomic uint64_t next;
    _Atomic bool must_stop;
    _Atomic uint64_t in_hand[CREW_MAX];
    _Atomic uint64_t counts[CREW_COUNTS]; /* the test's own */
    _Atomic size_t failed;                /* which process was the first to, from 1 on */
    char why[CREW_MAX][ORACLE_WHY_LEN + 100];
};

struct crew {
    /* Set by the test. */
    struct harness *harness;
    uint64_t from, end;
    size_t size;                     /* processes; NORI_JOBS says otherwise */
    bool (*work)(struct crew *crew); /* of one process, with harness->place its own */
    void (*repeat)(const struct crew *crew, uint64_t number); /* say what repeats it */

    struct crew_board *board;
    size_t own; /* of this process */
};

/* In a process of the crew: the next number, false if there is none. The one before is done. */
bool crew_take(struct crew *crew, uint64_t *ret_number);

/* Where to say what is wrong, before `work` gives false. */
char *crew_why(const struct crew *crew);

/* Let them work until all is done, or the time is up. Returns the least number that is not done.
 * Fails the test if one of them found something wrong. */
uint64_t crew_run(struct crew *crew);
void crew_done(struct crew *crew);

#endif
