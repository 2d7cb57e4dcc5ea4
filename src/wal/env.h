/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* env.h: what every part of a log needs of the world: the seam, memory, and the folder it lives
 * in. */
#ifndef NW_ENV_H
#define NW_ENV_H

#include "base/assert.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

#include <nori/vfs.h>
#include <nori/wal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct nw_staged;

struct nw_env {
    const struct nori_vfs *vfs;
    const struct nori_allocator *allocator;
    struct nori_folder *folder;
    struct nw_staged *staged; /* NULL: nobody asks the staging ring (staged.h) */
};

/* A handle on a folder that several own; the last one closes it. */
struct nw_shared_folder {
    const struct nori_allocator *allocator;
    struct nori_folder *folder;
    _Atomic uint32_t ref_count;
};
struct nw_shared_folder *nw_shared_folder_new(const struct nori_allocator *allocator,
                                              struct nori_folder *folder); /* NULL: no memory */
struct nw_shared_folder *nw_shared_folder_ref(struct nw_shared_folder *shared);
void nw_shared_folder_unref(struct nw_shared_folder *shared); /* NULL is a no-op */

#define NW_RECORD_MAX_DEFAULT ((uint64_t)64 << 20)
#define NW_RECORD_MAX         ((uint64_t)1 << 30)

/* Describe a failed call of the seam; returns its NORI_E_* code. */
__attribute__((format(printf, 4, 5))) int nw_io_error(struct nori_error *error, int rc,
                                                      struct nori_position position,
                                                      const char *format, ...);

/* Describe that there is no memory. */
int nw_no_memory(struct nori_error *error);

/* Open, read and close without a handle of one's own: the first *len bytes of a file; *len
 * becomes what was there. */
int nw_env_read_start(const struct nw_env *env, const char *name, void *target, size_t *len,
                      uint64_t *ret_file_bytes, struct nori_error *error);

/* Of a growable struct that a caller filled: is all zero that lies behind the fields we know, and
 * its size a size? */
bool nw_env_knows_all(const void *given, size_t size, size_t known);

/* 1 if a writer has the log open, else 0; or why that cannot be told. No answer may be taken for
 * "nobody": beside a writer what looks torn or damaged may be in the making, and what lies behind
 * the published position is not to be shown. */
int nw_env_ask_writer(const struct nw_env *env, struct nori_error *error);

/* Of a growable result, as much as the caller's size has room for; the rest of theirs is zero. It
 * begins with its size, which stays. */
void nw_env_give(void *target, size_t size, const void *known, size_t known_len);

/* The configuration with every default filled in and every limit checked. NORI_E_INVALID,
 * NORI_E_UNSUPPORTED. */
int nw_config_normalise(const struct nori_wal_config *config, struct nori_wal_config *ret_config,
                        struct nori_error *error);

/* True if the caller's size of a growable struct reaches beyond this member. */
#define NW_HAS_MEMBER(pointer, member) \
    ((pointer)->size >= offsetof(__typeof__(*(pointer)), member) + sizeof((pointer)->member))

#endif
