/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compress.c: values made smaller, and back.
 *
 * What. A table of the methods this build has, and the rules that hold for all of them: a value
 * that does not get smaller is stored as it is, and a length that a stored value claims for itself
 * is checked before anything is allocated.
 *
 * Memory. A compressor makes the working memory of a method when it is first used and keeps it, so
 * that appending and reading do not allocate in the long run.
 */
#include "format/compress.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "format/compress_codec.h"

#include <string.h>

#define METHOD_COUNT 3 /* none, LZ4, Zstandard */

NW_STATIC_ASSERT(NORI_COMPRESSION_ZSTD == METHOD_COUNT - 1, "the last method there is");

/* NULL: not in this build. */
static const struct nw_codec *const codecs[METHOD_COUNT] = {
#ifdef NW_HAVE_LZ4
    [NORI_COMPRESSION_LZ4] = &nw_codec_lz4,
#endif
#ifdef NW_HAVE_ZSTD
    [NORI_COMPRESSION_ZSTD] = &nw_codec_zstd,
#endif
};

struct nw_compressor {
    const struct nori_allocator *allocator;
    void *states[METHOD_COUNT]; /* working memory; NULL: not used so far */
};

static const struct nw_codec *codec_of(uint32_t compression)
{
    return compression < METHOD_COUNT ? codecs[compression] : NULL;
}

bool nw_compress_is_offered(uint32_t compression)
{
    return compression == NORI_COMPRESSION_NONE || codec_of(compression);
}

struct nw_compressor *nw_compressor_new(const struct nori_allocator *allocator)
{
    struct nw_compressor *compressor = nw_alloc_zero(allocator, sizeof *compressor);

    if (compressor)
        compressor->allocator = allocator;
    return compressor;
}

void nw_compressor_free(struct nw_compressor *compressor)
{
    if (!compressor)
        return;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (codecs[i])
            codecs[i]->state_free(compressor->allocator, compressor->states[i]);
    }
    nw_free(compressor->allocator, compressor);
}

/* The working memory of a method that this build has. NULL if there is no memory. */
static void *state_of(struct nw_compressor *compressor, uint32_t compression)
{
    void **state = &compressor->states[compression];

    nw_assert(codec_of(compression));
    if (!*state)
        *state = codecs[compression]->state_new(compressor->allocator);
    return *state;
}

int nw_compress(struct nw_compressor *compressor, uint32_t compression, const void *value,
                size_t len, struct nw_buffer *target, size_t *ret_len)
{
    const struct nw_codec *codec = codec_of(compression);
    uint64_t end;
    size_t ret = 0;
    void *state;
    int rc;

    if (!nw_compress_is_offered(compression))
        return NORI_E_UNSUPPORTED;
    if (!codec || len < 2) { /* none, or nothing that could get smaller and still be there */
        *ret_len = 0;
        return NORI_OK;
    }

    nw_assert(target->len <= target->capacity);
    if (nw_add_overflow(target->len, len - 1, &end) || end > target->limit)
        return NORI_E_TOOBIG;
    rc = nw_buffer_reserve(target, (size_t)end);
    if (rc < 0)
        return rc;
    state = state_of(compressor, compression);
    if (!state)
        return NORI_E_NOMEM;
    rc = codec->compress(state, value, len, target->data + target->len, len - 1, &ret);
    nw_assert(ret < len);
    if (rc == NORI_OK)
        *ret_len = ret;
    return rc;
}

int nw_decompressed_len(uint32_t compression, const void *stored, size_t stored_len, uint64_t limit,
                        size_t *ret_len)
{
    const struct nw_codec *codec = codec_of(compression);
    uint64_t reachable = nw_min_u64(limit, SIZE_MAX);

    if (codec)
        return codec->decompressed_len(stored, stored_len, reachable, ret_len);
    if (!nw_compress_is_offered(compression))
        return NORI_E_UNSUPPORTED;
    if (stored_len > limit)
        return NORI_E_TOOBIG;
    *ret_len = stored_len;
    return NORI_OK;
}

/* A value without compression: only its bytes are moved. */
static int copy_value(const void *stored, size_t stored_len, void *target, size_t target_len,
                      size_t *ret_len)
{
    if (stored_len > target_len)
        return NORI_E_CORRUPT;
    if (stored_len > 0)
        memcpy(target, stored, stored_len);
    *ret_len = stored_len;
    return NORI_OK;
}

int nw_decompress(struct nw_compressor *compressor, uint32_t compression, const void *stored,
                  size_t stored_len, void *target, size_t target_len, size_t *ret_len)
{
    const struct nw_codec *codec = codec_of(compression);
    uint8_t nothing; /* a place for a value of no bytes */
    size_t ret = 0;
    void *state;
    int rc;

    if (!nw_compress_is_offered(compression))
        return NORI_E_UNSUPPORTED;
    if (!codec)
        return copy_value(stored, stored_len, target, target_len, ret_len);
    state = state_of(compressor, compression);
    if (!state)
        return NORI_E_NOMEM;
    rc = codec->decompress(state, stored, stored_len, target_len > 0 ? target : &nothing,
                           target_len, &ret);
    nw_assert(ret <= target_len);
    if (rc == NORI_OK)
        *ret_len = ret;
    return rc;
}

int nori_compression_is_offered(uint32_t compression)
{
    return nw_compress_is_offered(compression);
}
