/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* assert.c: the end of a process that would otherwise go on with something false. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void nw_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "nori-wal: %s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
