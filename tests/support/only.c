/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * only.c: run some tests of a program. NORI_ONLY=NAME runs one, whichever program that is; NAME may
 * hold * and ?. Linked with every test program, so that whoever has one test in mind, as
 * tools/planted.sh, does not wait for all others.
 */
#include "only.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose_tests(void)
{
    const char *name = getenv("NORI_ONLY");

    if (name)
        cmocka_set_test_filter(name);
}

void only_matching(int argc, char **argv, const struct CMUnitTest *tests, size_t count,
                   const char *parts)
{
    if (argc <= 1)
        return;
    for (size_t i = 0; i < count; i++) {
        if (fnmatch(argv[1], tests[i].name, 0) != 0)
            continue;
        cmocka_set_test_filter(argv[1]);
        return;
    }
    (void)fprintf(stderr, "usage: %s [TEST%s]; there is no test %s\n", argv[0], parts, argv[1]);
    exit(2);
}
