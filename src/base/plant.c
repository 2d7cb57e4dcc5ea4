/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* plant.c: which planted bug this run commits. Built with -Dplants=true only. */
#include "base/plant.h"

#include <stdlib.h>
#include <string.h>

bool nw_plant_is(const char *name)
{
    const char *planted = getenv("NORI_PLANT");

    return planted && strcmp(planted, name) == 0;
}
