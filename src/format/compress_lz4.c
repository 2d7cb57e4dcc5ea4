/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compress_lz4.c: LZ4 values: a varint of the original length, then one raw block.
 *
 * Trust. A raw block carries neither its length nor a checksum of its own. The record's checksum
 * vouches for the bytes, so what does not decode to exactly the stated length was written wrong,
 * and is corrupt.
 */
#include "format/compress_codec.h"

#ifdef NW_HAVE_LZ4

#    include "base/assert.h"
#    include "base/bytes.h"
#    include "base/memory.h"
#    include "base/scan.h"
#    include "base/varint.h"

#    include <limits.h>
#    include <lz4.h>
#    include <nori/error.h>

#    define ACCELERATION  1   /* LZ4's default */
#    define EXPANSION_MAX 255 /* no byte of a block can stand for more */

static void *state_new(const struct nori_allocator *allocator)
{
    return nw_alloc(allocator, (size_t)LZ4_sizeofState());
}

static void state_free(const struct nori_allocator *allocator, void *state)
{
    nw_free(allocator, state);
}

static int compress(void *state, const void *value, size_t len, uint8_t *target, size_t target_len,
                    size_t *ret_len)
{
    size_t prefix_len = nw_varint_len(len);
    int block_len;

    if (len > LZ4_MAX_INPUT_SIZE || target_len <= prefix_len) {
        *ret_len = 0;
        return NORI_OK;
    }
    nw_assert(target_len <= INT_MAX); /* it is shorter than the value */
    nw_varint_put(target, len);
    block_len = LZ4_compress_fast_extState(state, value, (char *)(target + prefix_len), (int)len,
                                           (int)(target_len - prefix_len), ACCELERATION);
    *ret_len = block_len > 0 ? prefix_len + (size_t)block_len : 0;
    return NORI_OK;
}

static int decompressed_len(const void *stored, size_t stored_len, uint64_t limit, size_t *ret_len)
{
    struct nw_scan scan = nw_scan_over(stored, stored_len);
    uint64_t len = nw_scan_varint(&scan);
    size_t block_len = (size_t)(scan.end - scan.at);

    if (scan.is_short || scan.is_bad)
        return NORI_E_CORRUPT;
    if (len > limit)
        return NORI_E_TOOBIG;
    if (len > LZ4_MAX_INPUT_SIZE || len / EXPANSION_MAX > block_len)
        return NORI_E_CORRUPT;
    *ret_len = (size_t)len;
    return NORI_OK;
}

static int decompress(void *state, const void *stored, size_t stored_len, void *target,
                      size_t target_len, size_t *ret_len)
{
    struct nw_scan scan = nw_scan_over(stored, stored_len);
    uint64_t len = nw_scan_varint(&scan);
    size_t block_len = (size_t)(scan.end - scan.at);

    (void)state; /* only compressing needs it */
    if (scan.is_short || scan.is_bad || len > target_len)
        return NORI_E_CORRUPT;
    if (len > LZ4_MAX_INPUT_SIZE || block_len > INT_MAX) /* LZ4 counts in an int */
        return NORI_E_CORRUPT;
    if (LZ4_decompress_safe((const char *)scan.at, target, (int)block_len, (int)len) != (int)len)
        return NORI_E_CORRUPT;
    *ret_len = (size_t)len;
    return NORI_OK;
}

const struct nw_codec nw_codec_lz4 = {
    .state_new = state_new,
    .state_free = state_free,
    .compress = compress,
    .decompressed_len = decompressed_len,
    .decompress = decompress,
};

#endif
