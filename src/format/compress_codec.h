/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* compress_codec.h: what compress.c asks of a method of compression. Private to these files. */
#ifndef NW_COMPRESS_CODEC_H
#define NW_COMPRESS_CODEC_H

#include <stddef.h>
#include <stdint.h>

struct nori_allocator;

struct nw_codec {
    /* Working memory, made on first use. NULL if there is none. state_free(NULL) is a no-op. */
    void *(*state_new)(const struct nori_allocator *allocator);
    void (*state_free)(const struct nori_allocator *allocator, void *state);

    /* Compress into target_len bytes, fewer than the value has. *ret_len = 0: it does not fit. */
    int (*compress)(void *state, const void *value, size_t len, uint8_t *target, size_t target_len,
                    size_t *ret_len);

    /* As nw_decompressed_len and nw_decompress. target is never NULL. */
    int (*decompressed_len)(const void *stored, size_t stored_len, uint64_t limit, size_t *ret_len);
    int (*decompress)(void *state, const void *stored, size_t stored_len, void *target,
                      size_t target_len, size_t *ret_len);
};

/* Each in its own file, compiled if the build has the library. */
extern const struct nw_codec nw_codec_lz4;
extern const struct nw_codec nw_codec_zstd;

#endif
