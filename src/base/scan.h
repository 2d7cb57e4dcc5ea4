/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scan.h: a sticky reader over bytes that are not trusted. It never leaves its bounds. Once it ran
 * out (is_short) or met a varint of more than 10 bytes or 64 bits (is_bad), everything it returns
 * is zero or NULL: check once, at the end.
 */
#ifndef NW_SCAN_H
#define NW_SCAN_H

#include "base/assert.h"
#include "base/bytes.h"

struct nw_scan {
    const uint8_t *at;
    const uint8_t *end;
    bool is_short; /* wanted bytes beyond the end */
    bool is_bad;   /* a varint that no writer writes */
};

static inline struct nw_scan nw_scan_over(const void *data, size_t len)
{
    const uint8_t *start = (const uint8_t *)data;

    /* An empty scan may have no memory at all, and C knows no sum of NULL and 0. */
    return (struct nw_scan){.at = start, .end = len > 0 ? start + len : start};
}

/* Set is_short: what was wanted is not there. */
void nw_scan_fail_short(struct nw_scan *scan);

/* In line, since reading small records is mostly calling these. */
static inline const uint8_t *nw_scan_bytes(struct nw_scan *scan, uint64_t len)
{
    const uint8_t *bytes = scan->at;

    nw_assert(scan->at <= scan->end);
    if (scan->is_short || scan->is_bad)
        return NULL;
    if (len > (uint64_t)(scan->end - scan->at)) {
        nw_scan_fail_short(scan);
        return NULL;
    }
    if (len > 0)
        scan->at += (size_t)len;
    return bytes;
}

static inline uint8_t nw_scan_u8(struct nw_scan *scan)
{
    const uint8_t *bytes = nw_scan_bytes(scan, 1);

    return bytes ? bytes[0] : 0;
}

static inline uint32_t nw_scan_u32(struct nw_scan *scan)
{
    const uint8_t *bytes = nw_scan_bytes(scan, 4);

    return bytes ? nw_get_u32(bytes) : 0;
}

static inline uint64_t nw_scan_u64(struct nw_scan *scan)
{
    const uint8_t *bytes = nw_scan_bytes(scan, 8);

    return bytes ? nw_get_u64(bytes) : 0;
}

uint64_t nw_scan_varint(struct nw_scan *scan); /* longer than shortest is accepted */

#endif
