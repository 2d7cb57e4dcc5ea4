/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* varint.c: writing LEB128, seven bits a byte, lowest first, the top bit set while more follow. */
#include "base/varint.h"

size_t nw_varint_len(uint64_t value)
{
    size_t len = 1;

    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

uint8_t *nw_varint_put(uint8_t *target, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *target++ = (uint8_t)(value | 0x80);
    *target++ = (uint8_t)value;
    return target;
}
