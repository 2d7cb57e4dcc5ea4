/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * torture.h: a test that can go on for hours, as a part of tests/torture.txt. Run without arguments
 * it does its share of `make check`.
 */
#ifndef TESTS_TORTURE_H
#define TESTS_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

struct torture_options {
    uint64_t count; /* what to do, in the unit of the part; 0: the share of `make check` */
    uint64_t seed;
    uint64_t from;  /* the first number not tried yet */
    double seconds; /* it ends then, even if count is not reached; 0: no limit */
};

/* --count N, --seed N, --from N, --seconds N, behind the name of a part if there is one; others end
 * the program with a line that tells these. What is not given stays as it is. */
void torture_parse(int argc, char **argv, struct torture_options *options);

/* Tell tools/torture.sh how far it is, if arguments were given; again and again, and at the end.
 * next: what --from shall be in the next run. done: since the program began. */
void torture_progress(uint64_t next, uint64_t done);
void torture_end(uint64_t next, uint64_t done);

/* Likewise, that it cannot be run here: the program ends, if arguments were given. */
void torture_skip(const char *why);

/* splitmix64: below `limit`. */
uint64_t torture_random(uint64_t *seed, uint64_t limit);

#endif
