/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names.c: "000007.wal" and back. What does not come back as the very same name is not ours and is
 * left alone. */
#include "format/names.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

NW_STATIC_ASSERT(sizeof "18446744073709551615.wal" <= NW_NAME_MAX, "the longest name fits");

void nw_name_format(char target[NW_NAME_MAX], uint64_t segment_id)
{
    int len = snprintf(target, NW_NAME_MAX, "%06" PRIu64 ".wal", segment_id);

    nw_assert(len > 0 && len < NW_NAME_MAX);
}

bool nw_name_parse(const char *name, uint64_t *ret_segment_id)
{
    char same[NW_NAME_MAX];
    uint64_t id = 0;

    for (const char *at = name; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (id > (UINT64_MAX - 1 - digit) / 10)
            return false; /* UINT64_MAX and above: never an id */
        id = id * 10 + digit;
    }
    nw_name_format(same, id);
    if (strcmp(name, same) != 0)
        return false;
    *ret_segment_id = id;
    return true;
}
