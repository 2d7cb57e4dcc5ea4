/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes.c: the helpers of bytes.h that are too large to stand in a header. */
#include "base/bytes.h"

#include <string.h>

#define BLOCK_LEN 64 /* bytes looked at in one step, as a few vector instructions */

const uint8_t nw_zeros[NW_ZEROS_LEN];

static bool is_zero_block(const uint8_t *data)
{
    uint64_t words[BLOCK_LEN / sizeof(uint64_t)];
    uint64_t any = 0;

    memcpy(words, data, sizeof words); /* data may stand at any alignment */
    for (size_t i = 0; i < BLOCK_LEN / sizeof(uint64_t); i++)
        any |= words[i];
    return any == 0;
}

size_t nw_nonzero_len(const uint8_t *data, size_t len)
{
    while (len >= BLOCK_LEN && is_zero_block(data + len - BLOCK_LEN))
        len -= BLOCK_LEN;
    while (len > 0 && data[len - 1] == 0)
        len--;
    return len;
}

uint64_t nw_splitmix64(uint64_t x)
{
    uint64_t z = x + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
