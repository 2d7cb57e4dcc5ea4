/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* only.h: run some tests of a program, not all. */
#ifndef TESTS_ONLY_H
#define TESTS_ONLY_H

#include <stddef.h>

struct CMUnitTest;

/* If there is an argument: run only tests of that name, in which * and ? stand for anything, such
 * as '*roll*'. If there is none, end the program with status 2 and a line that tells what the
 * argument may be: a name, or one of `parts`, in words, "" if there are none. */
void only_matching(int argc, char **argv, const struct CMUnitTest *tests, size_t count,
                   const char *parts);
#define ONLY_MATCHING(argc, argv, tests, parts) \
    only_matching(argc, argv, tests, sizeof(tests) / sizeof(tests)[0], parts)

#endif
