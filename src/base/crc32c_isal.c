/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* crc32c_isal.c: CRC-32C by ISA-L, which picks the processor's best instructions at run time. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#define PIECE_LEN ((size_t)1 << 30) /* ISA-L counts bytes in an int */

uint32_t nw_crc32c(uint32_t crc, const void *data, size_t len)
{
    /* ISA-L only reads, but its parameter is not const. */
    unsigned char *at = (unsigned char *)(uintptr_t)data;
    uint32_t state = ~crc; /* it neither presets nor inverts: both are ours to do */

    for (; len > PIECE_LEN; len -= PIECE_LEN, at += PIECE_LEN)
        state = crc32_iscsi(at, (int)PIECE_LEN, state);
    return ~crc32_iscsi(at, (int)len, state);
}

const char *nw_crc32c_implementation(void)
{
    return "isa-l";
}
