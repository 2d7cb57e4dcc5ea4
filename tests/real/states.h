/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * states.h: what a power cut may leave on the recording device.
 *
 * What. Everything that was written before some flush is there; of what was written between it and
 * the next one, any part: writes that are lost, kept in spite of later ones that are lost, torn. A
 * write is torn between sectors of 512 bytes where it holds records, else between blocks of 4 KiB:
 * file systems rely on that for what is their own. The promise that a state must keep is the
 * strongest for its bytes: that of the moment when the next flush came.
 *
 * Each state is made once of all that have the same `base`: states with the same bytes are one,
 * whatever led to them.
 *
 * Threads. One, while the device is not in use.
 */
#ifndef TESTS_REAL_STATES_H
#define TESTS_REAL_STATES_H

#include "device.h"

/* Numbers that were seen. */
struct states_seen {
    uint64_t *slots; /* 0: free */
    size_t capacity, count;
};

/* Is it new? */
bool states_note(struct states_seen *seen, uint64_t number);
void states_forget(struct states_seen *seen);

/* The states of what is on a tape, between two ops. */
struct states {
    struct device *device;
    struct states_seen *seen;
    size_t tape;
    size_t from, to;
    size_t at;             /* the image is as after so many ops */
    uint64_t least_moment; /* earlier ones are not wanted */
    uint64_t *sums;        /* differences of the first n ops from op `from` on */
    uint64_t seed;
    uint64_t base;   /* the difference of the image before op `from` */
    uint64_t moment; /* of the present state: what was promised then must be there */
    uint64_t difference;
};

void states_begin(struct states *states);
void states_end(struct states *states); /* the image is again as after all ops of the tape */

/* Make a state that was not made yet, and record on the tape above what happens to it. false: it
 * seems that there is none. */
bool states_make(struct states *states);
void states_unmake(struct states *states);

#endif
