/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * harness.h: what the tests of real file systems have in common as programs: tests for each file
 * system, or for the one that is the first argument, which --count and its like need; without root
 * and devices they are skipped, and say why.
 */
#ifndef TESTS_REAL_HARNESS_H
#define TESTS_REAL_HARNESS_H

#include "../support/repeat.h"
#include "../support/torture.h"
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct harness {
    const char *program; /* as in "./test_NAME" */
    uint64_t share;      /* what `make check` does, of each file system */
    struct torture_options options;
    struct place place;
    double begun; /* of the present test */
};

/* A test of a file system, which it gets as its state. */
#define HARNESS_TEST(test, fs)                           \
    {                                                    \
#        test, test, NULL, NULL, (void *)(uintptr_t)(fs) \
    }

/* Run the tests, or the one that repeats a failure. Returns the program's status. */
int harness_main(struct harness *harness, int argc, char **argv, struct CMUnitTest *tests,
                 size_t count);
#define HARNESS_MAIN(harness, argc, argv, tests) \
    harness_main(harness, argc, argv, tests, sizeof(tests) / sizeof(tests)[0])

/* Skip the present test if the file system cannot be made here. */
void harness_need(const struct file_system *fs);

/* A test begins: how much it has to do. And whether there is time to go on. */
uint64_t harness_begin(struct harness *harness);
bool harness_has_time(const struct harness *harness);

/* What story number `number` is drawn from, and the line that lives it again. */
uint64_t harness_story(const struct harness *harness, uint64_t number);
void harness_repeat_with(const struct harness *harness, const struct file_system *fs,
                         uint64_t number, uint64_t count);

/* Fail the present test, for this reason; and print what repeats it. */
_Noreturn void harness_fail(const char *why);

#endif
