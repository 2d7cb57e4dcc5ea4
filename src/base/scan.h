/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scan.h: a sticky reader over bytes that are not trusted. It never leaves its bounds. Once it ran
 * out (is_short) or met a varint of more than 10 bytes or 64 bits (is_bad), everything it returns
 * is zero or NULL: check once, at the end.
 */
#ifndef NW_SCAN_H
#define NW_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nw_scan {
    const uint8_t *at;
    const uint8_t *end;
    bool is_short; /* wanted bytes beyond the end */
    bool is_bad;   /* a varint that no writer writes */
};

struct nw_scan nw_scan_over(const void *data, size_t len);
uint8_t nw_scan_u8(struct nw_scan *scan);
uint32_t nw_scan_u32(struct nw_scan *scan);
uint64_t nw_scan_u64(struct nw_scan *scan);
uint64_t nw_scan_varint(struct nw_scan *scan); /* longer than shortest is accepted */
const uint8_t *nw_scan_bytes(struct nw_scan *scan, uint64_t len);

#endif
