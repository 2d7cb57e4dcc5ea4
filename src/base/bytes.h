/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bytes.h: little-endian numbers in memory, sums that cannot overflow unseen, and a few pure
 * helpers.
 */
#ifndef NW_BYTES_H
#define NW_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void nw_put_u16(uint8_t *target, uint16_t v)
{
    target[0] = (uint8_t)v;
    target[1] = (uint8_t)(v >> 8);
}

static inline void nw_put_u32(uint8_t *target, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        target[i] = (uint8_t)(v >> (8 * i));
}

static inline void nw_put_u64(uint8_t *target, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        target[i] = (uint8_t)(v >> (8 * i));
}

static inline uint16_t nw_get_u16(const uint8_t *source)
{
    return (uint16_t)(source[0] | source[1] << 8);
}

static inline uint32_t nw_get_u32(const uint8_t *source)
{
    return (uint32_t)source[0] | (uint32_t)source[1] << 8 | (uint32_t)source[2] << 16 |
           (uint32_t)source[3] << 24;
}

static inline uint64_t nw_get_u64(const uint8_t *source)
{
    return (uint64_t)nw_get_u32(source) | (uint64_t)nw_get_u32(source + 4) << 32;
}

/* Zeros to write from. */
#define NW_ZEROS_LEN ((size_t)64 << 10)
extern const uint8_t nw_zeros[NW_ZEROS_LEN];

/* True if the sum does not fit; *ret_sum is then unspecified. */
static inline bool nw_add_overflow(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
    return __builtin_add_overflow(a, b, ret_sum);
}

static inline uint64_t nw_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t nw_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Length of data up to and including its last non-zero byte; 0 if all are zero. Fast over long
 * zero runs. */
size_t nw_nonzero_len(const uint8_t *data, size_t len);

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
 * nw_splitmix64(0) = e220a8397b1dcdaf. */
uint64_t nw_splitmix64(uint64_t x);

#endif
