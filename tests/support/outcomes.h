/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * outcomes.h: what a power cut may leave of a simulated machine: every outcome if they are few,
 * else some by seed. Each has a digest before it is made. In `control` there are no numbers
 * (numbers.h).
 */
#ifndef TESTS_OUTCOMES_H
#define TESTS_OUTCOMES_H

#include <nori/sim.h>
#include <stdbool.h>

struct outcomes {
    nori_sim *still; /* the machine as it was */
    bool are_drawn;
    uint64_t count;
    uint64_t seed;
};

/* All if there are no more than all_max; else drawn_count of them. */
void outcomes_init(struct outcomes *outcomes, nori_sim *sim, uint64_t all_max, uint64_t drawn_count,
                   uint64_t seed);
void outcomes_done(struct outcomes *outcomes);

/* Of outcome number i, below the count: nori_sim_digest, its name, itself. */
uint64_t outcomes_digest(const struct outcomes *outcomes, uint64_t i);
void outcomes_name(const struct outcomes *outcomes, uint64_t i, char target[32]);
nori_sim *outcomes_make(const struct outcomes *outcomes, uint64_t i);

#endif
