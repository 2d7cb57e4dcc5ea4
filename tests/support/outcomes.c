/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* outcomes.c: what a power cut may leave of a simulated machine. */
#include "outcomes.h"

#include "numbers.h"

#include <stdio.h>

void outcomes_init(struct outcomes *outcomes, nori_sim *sim, uint64_t all_max, uint64_t drawn_count,
                   uint64_t seed)
{
    uint64_t all;

    numbers_crash_kill(sim, &outcomes->still);
    all = nori_sim_outcome_count(outcomes->still);
    outcomes->are_drawn = all > all_max;
    outcomes->count = outcomes->are_drawn ? drawn_count : all;
    outcomes->seed = seed;
}

void outcomes_done(struct outcomes *outcomes)
{
    nori_sim_free(outcomes->still);
}

uint64_t outcomes_digest(const struct outcomes *outcomes, uint64_t i)
{
    uint64_t digest = 0;

    if (outcomes->are_drawn)
        return nori_sim_power_cut_random_digest(outcomes->still, outcomes->seed + i);
    (void)nori_sim_power_cut_digest(outcomes->still, i, &digest);
    return digest;
}

void outcomes_name(const struct outcomes *outcomes, uint64_t i, char target[32])
{
    (void)snprintf(target, 32, "%s%llu", outcomes->are_drawn ? "random" : "cut",
                   (unsigned long long)i);
}

nori_sim *outcomes_make(const struct outcomes *outcomes, uint64_t i)
{
    nori_sim *after = NULL;

    if (outcomes->are_drawn)
        nori_sim_power_cut_random(outcomes->still, outcomes->seed + i, &after);
    else
        (void)nori_sim_power_cut(outcomes->still, i, &after);
    return after;
}
