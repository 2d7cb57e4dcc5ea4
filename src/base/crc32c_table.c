/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crc32c_table.c: CRC-32C in portable C, eight bytes a step, for machines without ISA-L.
 *
 * What. slices[k][b] is what byte b has made of the checksum state once k more bytes have gone by.
 * Eight such tables, one for each place in eight bytes, turn eight dependent steps into eight
 * look-ups that run side by side (Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
 * High-Performance CRC Generation", 2008).
 *
 * The tables are constants, so there is nothing to set up and nothing to race for. A CRC is linear:
 * the entry of a byte is the XOR of the entries of its bits. The entries of single bits are all
 * there is to write down, and they are one chain: the first is the polynomial, each next one is the
 * one before it after one more bit of zero.
 */
#include "base/crc32c.h"

#include "base/bytes.h"

#include <string.h>

#define BIT(i, bit, entry) (((i) & (bit)) != 0 ? UINT32_C(entry) : 0)

/* The entry of byte i, from those of 0x80, 0x40, ... 0x01. */
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                       \
    (BIT(i, 0x80, a) ^ BIT(i, 0x40, b) ^ BIT(i, 0x20, c) ^ BIT(i, 0x10, d) ^ BIT(i, 0x08, e) ^ \
     BIT(i, 0x04, f) ^ BIT(i, 0x02, g) ^ BIT(i, 0x01, h))

#define ENTRIES_4(i, ...)                                                                  \
    ENTRY((i) + 0, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                            \
    ENTRIES_4((i) + 0, __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__), \
        ENTRIES_4((i) + 8, __VA_ARGS__), ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                               \
    ENTRIES_16((i) + 0, __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__), \
        ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define SLICE(...)                                                                             \
    {                                                                                          \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
            ENTRIES_64(192, __VA_ARGS__)                                                       \
    }

/* clang-format off */
static const uint32_t slices[8][256] = {
    SLICE(0x82f63b78, 0x417b1dbc, 0x20bd8ede, 0x105ec76f,
          0x8ad958cf, 0xc79a971f, 0xe13b70f7, 0xf26b8303),
    SLICE(0xfbc3faf9, 0xff17c604, 0x7f8be302, 0x3fc5f181,
          0x9d14c3b8, 0x4e8a61dc, 0x274530ee, 0x13a29877),
    SLICE(0x8b277743, 0xc76580d9, 0xe144fb14, 0x70a27d8a,
          0x38513ec5, 0x9edea41a, 0x4f6f520d, 0xa541927e),
    SLICE(0x52a0c93f, 0xaba65fe7, 0xd725148b, 0xe964b13d,
          0xf64463e6, 0x7b2231f3, 0xbf672381, 0xdd45aab8),
    SLICE(0x6ea2d55c, 0x37516aae, 0x1ba8b557, 0x8f2261d3,
          0xc5670b91, 0xe045beb0, 0x7022df58, 0x38116fac),
    SLICE(0x1c08b7d6, 0x0e045beb, 0x85f4168d, 0xc00c303e,
          0x6006181f, 0xb2f53777, 0xdb8ca0c3, 0xef306b19),
    SLICE(0xf56e0ef4, 0x7ab7077a, 0x3d5b83bd, 0x9c5bfaa6,
          0x4e2dfd53, 0xa5e0c5d1, 0xd0065990, 0x68032cc8),
    SLICE(0x34019664, 0x1a00cb32, 0x0d006599, 0x847609b4,
          0x423b04da, 0x211d826d, 0x9278fa4e, 0x493c7d27),
};
/* clang-format on */

uint32_t nw_crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint32_t state = ~crc;

    for (; len >= 8; len -= 8, at += 8) {
        uint32_t low = state ^ nw_get_u32(at);
        uint32_t high = nw_get_u32(at + 4);

        state = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^ slices[5][low >> 16 & 0xff] ^
                slices[4][low >> 24] ^ slices[3][high & 0xff] ^ slices[2][high >> 8 & 0xff] ^
                slices[1][high >> 16 & 0xff] ^ slices[0][high >> 24];
    }
    for (; len > 0; len--, at++)
        state = state >> 8 ^ slices[0][(state ^ *at) & 0xff];
    return ~state;
}

uint32_t nw_crc32c_copy(uint32_t crc, void *target, const void *source, size_t len)
{
    if (len > 0)
        memcpy(target, source, len);
    return nw_crc32c(crc, target, len);
}

const char *nw_crc32c_implementation(void)
{
    return "table";
}
