/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repeat.h: the line that repeats a failure. Tests that try thousands of cases say before each what
 * would repeat it; the line is printed when a check fails, and also when the library or the
 * simulated machine aborts.
 */
#ifndef TESTS_REPEAT_H
#define TESTS_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

/* "repeat: " and the rest, when it comes to it. */
__attribute__((format(printf, 1, 2))) void repeat_with(const char *format, ...);
void repeat_print(void);

/* Print it at every signal that ends a program for its own faults, where cmocka does not look. */
void repeat_catch(void);

/* How many of `count` cases to try: NORI_SHARE percent of them, by default all, or a few where a
 * sanitizer slows down everything. At least one. */
uint64_t repeat_share(uint64_t count);

/* Seconds on a clock that never goes back. */
double repeat_now(void);

/* Seconds of processors that this process, or its children that have ended, have used. */
double repeat_cpu(void);
double repeat_children_cpu(void);

#endif
