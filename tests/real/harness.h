/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * harness.h: what the tests of real file systems have in common as programs: one test for each file
 * system, each a third of the count; without root and devices they are skipped, and say why.
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
    uint64_t parts; /* among which count and seconds are divided */
    uint64_t next;  /* number to go on with */
    uint64_t done;  /* by the parts that are over */
    double begun;   /* of the present part */
};

/* Run the tests, or the one that repeats a failure. Returns the program's status. */
int harness_main(struct harness *harness, int argc, char **argv, const struct CMUnitTest *tests,
                 size_t count);
#define HARNESS_MAIN(harness, argc, argv, tests) \
    harness_main(harness, argc, argv, tests, sizeof(tests) / sizeof(tests)[0])

/* Skip the present test if the file system cannot be made here. */
void harness_need(const struct file_system *fs);

/* A part begins, goes on, ends. */
uint64_t harness_begin(struct harness *harness); /* how much to do */
bool harness_has_time(const struct harness *harness);
void harness_progress(struct harness *harness, uint64_t next, uint64_t done);
void harness_end(struct harness *harness, uint64_t next, uint64_t done);

/* What story number `number` is drawn from, and the line that lives it again. */
uint64_t harness_story(const struct harness *harness, uint64_t number);
void harness_repeat_with(const struct harness *harness, uint64_t number, uint64_t count);

/* Fail the present test, for this reason; and print what repeats it. */
_Noreturn void harness_fail(const char *why);

#endif
