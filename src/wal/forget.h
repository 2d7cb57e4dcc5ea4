/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* forget.h: let go of what the system remembers of files whose end is not durable. */
#ifndef NW_FORGET_H
#define NW_FORGET_H

#include "wal/chain.h"
#include "wal/control.h"

/* Sync a file and drop what is cached of it from `offset` on, where that is offered. One that is
 * not there, or may not be written, is left alone. A negative result of the seam. */
int nw_forget_file(struct nori_folder *folder, const char *name, uint64_t offset);

/*
 * That, for all that is not known to be durable of a log that was loaded; control may be NULL.
 * Before anything is judged: what was loaded may be what the disk does not have. 1: load it again;
 * 0: nothing was let go of.
 */
int nw_forget_undurable(const struct nw_env *env, const struct nw_chain *chain,
                        const struct nw_control *control, uint64_t watermark,
                        struct nori_error *error);

#endif
