/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compress_zstd.c: Zstandard values: one frame, level 3.
 *
 * What. We state the original length in the frame. The Rust original does not, so frames without it
 * are read as well, up to the room there is.
 *
 * Trust. The library would also take several frames in a row, frames to be skipped, and formats
 * from before version 1.0. A value is exactly one ordinary frame; anything else is corrupt.
 */
#include "format/compress_codec.h"

#ifdef NW_HAVE_ZSTD

#    include "base/bytes.h"
#    include "base/memory.h"

#    include <nori/error.h>
#    include <zstd.h>
#    include <zstd_errors.h>

#    define LEVEL 3

/* Made by the library; its memory does not come from the log's allocator. */
struct zstd_state {
    ZSTD_CCtx *writer;
    ZSTD_DCtx *reader;
};

static void state_free(const struct nori_allocator *allocator, void *state)
{
    struct zstd_state *zstd = state;

    if (!zstd)
        return;
    (void)ZSTD_freeCCtx(zstd->writer); /* NULL is a no-op, also below */
    (void)ZSTD_freeDCtx(zstd->reader);
    nw_free(allocator, zstd);
}

static void *state_new(const struct nori_allocator *allocator)
{
    struct zstd_state *zstd = nw_alloc_zero(allocator, sizeof *zstd);

    if (!zstd)
        return NULL;
    zstd->writer = ZSTD_createCCtx();
    zstd->reader = ZSTD_createDCtx();
    if (zstd->writer && zstd->reader)
        return zstd;
    state_free(allocator, zstd);
    return NULL;
}

static bool is_out_of_memory(size_t result)
{
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation;
}

static int compress(void *state, const void *value, size_t len, uint8_t *target, size_t target_len,
                    size_t *ret_len)
{
    struct zstd_state *zstd = state;
    size_t frame_len = ZSTD_compressCCtx(zstd->writer, target, target_len, value, len, LEVEL);

    *ret_len = ZSTD_isError(frame_len) ? 0 : frame_len; /* no room: it does not get smaller */
    return is_out_of_memory(frame_len) ? NORI_E_NOMEM : NORI_OK;
}

/* True if stored is one ordinary frame and nothing else, as far as its structure tells. */
static bool is_one_frame(const void *stored, size_t stored_len)
{
    if (stored_len < 4 || nw_get_u32(stored) != ZSTD_MAGICNUMBER)
        return false;
    return ZSTD_findFrameCompressedSize(stored, stored_len) == stored_len;
}

static int decompressed_len(const void *stored, size_t stored_len, uint64_t limit, size_t *ret_len)
{
    unsigned long long len = ZSTD_getFrameContentSize(stored, stored_len);

    if (len == ZSTD_CONTENTSIZE_ERROR || !is_one_frame(stored, stored_len))
        return NORI_E_CORRUPT;
    if (len == ZSTD_CONTENTSIZE_UNKNOWN)
        len = limit;
    if (len > limit)
        return NORI_E_TOOBIG;
    *ret_len = (size_t)len;
    return NORI_OK;
}

/* True if decoding failed for want of room, where nobody could know how much the frame needs. */
static bool is_over_limit(size_t result, const void *stored, size_t stored_len)
{
    return ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall &&
           ZSTD_getFrameContentSize(stored, stored_len) == ZSTD_CONTENTSIZE_UNKNOWN;
}

static int decompress(void *state, const void *stored, size_t stored_len, void *target,
                      size_t target_len, size_t *ret_len)
{
    struct zstd_state *zstd = state;
    size_t len;

    if (!is_one_frame(stored, stored_len))
        return NORI_E_CORRUPT;
    len = ZSTD_decompressDCtx(zstd->reader, target, target_len, stored, stored_len);
    if (is_over_limit(len, stored, stored_len))
        return NORI_E_TOOBIG;
    if (ZSTD_isError(len))
        return is_out_of_memory(len) ? NORI_E_NOMEM : NORI_E_CORRUPT;
    *ret_len = len;
    return NORI_OK;
}

const struct nw_codec nw_codec_zstd = {
    .state_new = state_new,
    .state_free = state_free,
    .compress = compress,
    .decompressed_len = decompressed_len,
    .decompress = decompress,
};

#endif
