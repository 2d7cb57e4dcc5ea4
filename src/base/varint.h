/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * varint.h: unsigned LEB128, written shortest, at most 10 bytes. Reading (any length up to 10) is
 * in scan.h.
 */
#ifndef NW_VARINT_H
#define NW_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define NW_VARINT_MAX 10

/* Bytes that value takes, 1 to 10. */
size_t nw_varint_len(uint64_t value);

/* Write value at target, which has room for nw_varint_len(value) bytes; returns the place
 * behind it. */
uint8_t *nw_varint_put(uint8_t *target, uint64_t value);

#endif
