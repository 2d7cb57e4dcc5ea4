/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * plant.h: planted bugs. A build with -Dplants=true carries every deliberate bug of docs/testing.md
 * and commits the one that the environment variable NORI_PLANT names; each must make a test fail.
 * Everywhere else NW_PLANT is constant false.
 */
#ifndef NW_PLANT_H
#define NW_PLANT_H

#include <stdbool.h>

#ifdef NW_PLANTS
bool nw_plant_is(const char *name);
#    define NW_PLANT(name) nw_plant_is(name)
#else
#    define NW_PLANT(name) false
#endif

#endif
