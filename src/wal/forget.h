/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* forget.h: let go of what the system remembers of files whose end is not durable. */
#ifndef NW_FORGET_H
#define NW_FORGET_H

#include "wal/recovery.h"

/* Sync a file and drop what is cached of it, where that is offered. One that is not there, or may
 * not be written, is left alone. A negative result of the seam. */
int nw_forget_file(struct nori_folder *folder, const char *name);

/* That, for all segments of the log in env->folder that are not durable as a whole. Before anything
 * is judged: what was read earlier may be what the disk does not have. */
int nw_forget_undurable(const struct nw_env *env, struct nori_error *error);

#endif
