/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * workload.h: small histories of a log on a simulated machine, told as a word, a letter a step.
 *
 *   a  append a small record               s  sync
 *   b  append a batch of three             w  wait until the last record is durable
 *   m  append a record of several sectors  z  sleep longer than the window of policy batch
 *   l  append a record of over 64 KiB      d  drop the segments before the last record
 *   f  fill the segment and sync           D  drop everything, which begins a segment
 *   F  fill the segment                    c  close, and open again
 *   p  append what ends with a sector      L  append a batch of two records, each larger than the
 *   q  append a record of two sectors         staging buffer
 *                                          Q  append a batch of three records of two sectors
 *
 * Each step tells the oracle, and checks what a call may answer: only documented codes, and after a
 * failure the first cause, again and again (D8).
 */
#ifndef TESTS_WORKLOAD_H
#define TESTS_WORKLOAD_H

#include "oracle.h"

#include <nori/sim.h>

#define WORKLOAD_STEPS "abmswzdDc" /* the cheap ones, which tests combine */
#define WORKLOAD_DIR   "wal"

struct workload {
    uint32_t policy;      /* enum nori_fsync_policy */
    uint32_t preallocate; /* enum nori_preallocate */
    uint32_t verify;      /* enum nori_verify */
    uint32_t format;      /* 0: 2. In format 1 a batch may be torn */
    /* of the machine it runs on. Odd: with a staging ring of 4 KiB, so that it wraps, is full, and
     * is passed by larger appends; even: of 64 KiB */
    uint64_t seed;
    uint32_t switch_percent; /* likewise */
    bool is_memory_tracked;  /* use the simulation's allocator: it can fail, and shows leaks */
};

/* One run of it. */
struct run {
    struct workload workload;
    nori_sim *sim;
    struct oracle oracle;
    nori_wal *wal; /* NULL: not open */
    uint8_t *memory;
    struct nori_error failure; /* the first cause, once the log has failed; code 0: it has not */
    uint64_t nospace_count;    /* appends refused for want of space */
    char why[ORACLE_WHY_LEN];  /* what a call did that it must not; empty: nothing */
};

/* The configuration that a workload's log has. */
struct nori_wal_config workload_config(const struct workload *workload, nori_sim *sim);

void run_init(struct run *run, const struct workload *workload, nori_sim *sim);
void run_done(struct run *run); /* closes the log if it is open */

/*
 * What the calls give is checked, not returned: false means that a promise is broken, as run->why
 * tells. An open that fails leaves run->wal NULL, and the next step opens again. What an open shows
 * is what the oracle goes on from.
 */
bool run_open(struct run *run);
bool run_step(struct run *run, char step);
bool run_close(struct run *run);

/* Kill the process or cut the power (a random outcome), and go on on the machine that this leaves.
 */
bool run_crash(struct run *run, enum oracle_event event, uint64_t seed);

/* Read all that a reader on the folder shows. */
bool workload_read(const struct workload *workload, nori_sim *sim, const struct oracle *oracle,
                   uint32_t visibility, struct oracle_found *ret_found, char why[ORACLE_WHY_LEN]);

#endif
