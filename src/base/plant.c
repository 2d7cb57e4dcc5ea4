/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* plant.c: which planted bug this run commits. Built with -Dplants=true only. */
#include "base/plant.h"

#include <stdlib.h>
#include <string.h>

static const char *planted;

/* Once, before any thread: some tests count instructions, and most ask millions of times. */
__attribute__((constructor)) static void read_plant(void)
{
    planted = getenv("NORI_PLANT");
}

bool nw_plant_is(const char *name)
{
    return planted && strcmp(planted, name) == 0;
}
