/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sketch.h: how many different things were there? Counted in 64 KiB, whatever the number, so that
 * hundreds of millions of states can be counted once each, over several processes and runs
 * (HyperLogLog; the error is about 0.4 percent, and a repeat never counts).
 */
#ifndef TESTS_SKETCH_H
#define TESTS_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#define SKETCH_LEN 65536u

struct sketch {
    uint8_t ranks[SKETCH_LEN];
};

/* number: any that is the same for the same thing. */
void sketch_add(struct sketch *sketch, uint64_t number);
void sketch_merge(struct sketch *target, const struct sketch *source);
uint64_t sketch_count(const struct sketch *sketch);

/* Keep it in a file. If there is none yet the sketch is empty. false: it is no sketch, or cannot be
 * read. */
bool sketch_load(struct sketch *sketch, const char *path);

/* false, and errno: what the file had it has still. */
bool sketch_save(const struct sketch *sketch, const char *path);

#endif
