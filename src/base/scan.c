/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scan.c: reading bytes that nobody vouches for.
 *
 * What. Each function takes what it wants from the front of the bytes that are left, or fails.
 *
 * Failure. It is sticky: the first one sets is_short or is_bad, never both, and puts `at` on `end`.
 * So nothing is left, every later call fails too, and a caller that looks only once, after the last
 * call, still learns what went wrong first.
 */
#include "base/scan.h"

#include "base/varint.h"

void nw_scan_fail_short(struct nw_scan *scan)
{
    if (!scan->is_bad)
        scan->is_short = true;
    scan->at = scan->end;
}

static void fail_bad(struct nw_scan *scan)
{
    nw_assert(!scan->is_short); /* else there was nothing left to be bad */
    scan->is_bad = true;
    scan->at = scan->end;
}

uint64_t nw_scan_varint(struct nw_scan *scan)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < NW_VARINT_MAX && scan->at < scan->end; i++) {
        uint8_t byte = *scan->at++;

        if (i == NW_VARINT_MAX - 1 && byte > 1) { /* nine bytes hold 63 bits: room for one more */
            fail_bad(scan);
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return value;
    }
    nw_scan_fail_short(scan);
    return 0;
}
