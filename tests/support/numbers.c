/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* numbers.c: crashes of a simulated machine in which `control` keeps no numbers. */
#include "numbers.h"

#define CONTROL      "wal/control"
#define NUMBERS      1024 /* docs/architecture.md, "The control file" */
#define NUMBERS_LEN  1536
#define CONTROL_PAGE 4096

void numbers_crash_kill(nori_sim *sim, nori_sim **ret_sim)
{
    static const char zeros[NUMBERS_LEN];
    uint64_t bytes = 0;

    nori_sim_crash_kill(sim, ret_sim);
    if (nori_sim_file_bytes(*ret_sim, CONTROL, &bytes) == 0 && bytes >= CONTROL_PAGE)
        (void)nori_sim_file_poke(*ret_sim, CONTROL, NUMBERS, zeros, sizeof zeros);
}
