/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compress.h: values as the original writes them: LZ4 is a varint of the original length and one
 * raw block; Zstandard is one frame, level 3.
 */
#ifndef NW_COMPRESS_H
#define NW_COMPRESS_H

#include "base/memory.h"

#include <nori/wal.h>
#include <stdbool.h>

/* True if this build can do it. */
bool nw_compress_is_offered(uint32_t compression);

/* A compressor with its working memory; one thread at a time. NULL if there is no memory.
 * free(NULL) is a no-op. */
struct nw_compressor;
struct nw_compressor *nw_compressor_new(const struct nori_allocator *allocator);
void nw_compressor_free(struct nw_compressor *compressor);

/*
 * Compress value behind target->len, making room (target->data may move). On 0 *ret_len bytes stand
 * there; target->len is not changed. *ret_len = 0: it does not get smaller, store it as it is.
 * NORI_E_NOMEM, NORI_E_TOOBIG (target's limit), NORI_E_UNSUPPORTED.
 */
int nw_compress(struct nw_compressor *compressor, uint32_t compression, const void *value,
                size_t len, struct nw_buffer *target, size_t *ret_len);

/*
 * The original length of a stored value, checked against limit before anything is allocated.
 * NORI_E_CORRUPT: no such value; NORI_E_TOOBIG: over the limit; NORI_E_UNSUPPORTED. A Zstandard
 * frame that does not state its length is decoded up to the limit by nw_decompress; *ret_len is
 * then limit.
 */
int nw_decompressed_len(uint32_t compression, const void *stored, size_t stored_len, uint64_t limit,
                        size_t *ret_len);

/*
 * Decompress into target, which has room for what nw_decompressed_len said. *ret_len: bytes
 * written. NORI_E_CORRUPT, NORI_E_NOMEM, NORI_E_UNSUPPORTED; NORI_E_TOOBIG if target is too small
 * for a frame that does not state its length. target may be NULL if target_len is 0.
 */
int nw_decompress(struct nw_compressor *compressor, uint32_t compression, const void *stored,
                  size_t stored_len, void *target, size_t target_len, size_t *ret_len);

#endif
