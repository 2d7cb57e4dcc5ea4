/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* numbers.h: crashes of a simulated machine in which `control` keeps no numbers. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include <nori/sim.h>

/*
 * As nori_sim_crash_kill, but with durable zeros where the control of the log in `wal` has numbers
 * to be shown. No recovery looks at them; but each of their sectors would double the outcomes of a
 * power cut, and each number would make two states of one.
 */
void numbers_crash_kill(nori_sim *sim, nori_sim **ret_sim);

#endif
