/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * only.c: NORI_ONLY=NAME runs one test of a program, whichever that is; NAME may hold * and ?.
 * Linked with every test program, so that whoever has one test in mind, as tools/planted.sh, does
 * not wait for all others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose_tests(void)
{
    const char *name = getenv("NORI_ONLY");

    if (name)
        cmocka_set_test_filter(name);
}
