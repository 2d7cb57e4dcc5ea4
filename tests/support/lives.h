/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lives.h: a log written by processes that die, one after the other.
 *
 * Each life is a process whose threads append numbered records. What every thread has begun and
 * what has returned stands in memory that is shared with the test and outlives the process, so
 * counting costs a store, and no call that would slow the appends down. After each death the log is
 * read and compared with all of it (D1, D2, D5).
 */
#ifndef TESTS_LIVES_H
#define TESTS_LIVES_H

#include "../api/helpers.h"
#include "torture.h"

#include <stdatomic.h>

#define LIFE_THREADS 4
#define LIVES_MAX    32
#define LIVES_WHY    ((size_t)256)

/* One life's counters; those of a thread are stored by it alone. */
struct life {
    struct {
        _Alignas(64) _Atomic uint64_t begun;
        _Atomic uint64_t returned;
    } threads[LIFE_THREADS];
};

/* How many records of each life and thread were found. */
struct found {
    uint64_t lives; /* as many are over */
    uint64_t records[LIVES_MAX + 1][LIFE_THREADS];
};

struct life *life_new(void); /* shared with children */
void life_free(struct life *life);
void life_clear(struct life *life);
uint64_t life_returned(const struct life *life); /* by all threads */

/* The record that this thread appends as number `count`, from 1 on. */
struct nori_record life_record(struct numbered *memory, uint64_t number_of_life, uint32_t thread,
                               uint64_t count, size_t value_max);

/* In the process that lives: append a thread's next record. Leaves the process if that fails. */
void life_append(struct life *life, nori_wal *wal, uint32_t thread,
                 const struct nori_record *record);

/* Read all that is there. False, and `why`: a record is not one that was appended, is there twice,
 * or one before it is missing. */
bool found_read(struct found *found, nori_reader *reader, size_t value_max, char why[LIVES_WHY]);

/* Is what was found now as it must be after `before`, and after what `life` counted? */
bool found_check(const struct found *now, const struct found *before, const struct life *life,
                 char why[LIVES_WHY]);

/* A life is over: open what it left, compare all of it with what was found before and with what
 * `life` counted, and close it. Then *found is what is there now, one life more. False, and `why`:
 * something is lost, damaged, or told to be durable although it is not (D1, D2, D5). */
bool found_recover(struct found *found, const struct nori_wal_config *config,
                   const struct life *life, size_t value_max, char why[LIVES_WHY]);

uint64_t found_total(const struct found *found); /* records */

/* Temporary folders in memory, where there is such a file system and TMPDIR does not say otherwise:
 * what a killed process leaves is the same everywhere, but here nothing waits for a disk. */
void lives_in_memory(void);

#endif
