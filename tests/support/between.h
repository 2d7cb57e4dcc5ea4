/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * between.h: a seam on top of another one. A test stands between the log and its disk: it may hold
 * back a sync, and change what a read gives, as a disk would of which the page cache has forgotten
 * something; and it may do something else at each call.
 *
 * One at a time, and from between_begin on until all that was opened is closed.
 */
#ifndef TESTS_BETWEEN_H
#define TESTS_BETWEEN_H

#include <nori/vfs.h>

struct between {
    /* Each may be NULL. name: of the file as it is called now. before_call: of any of them, but for
     * unmap and close; what it calls itself goes to the seam below. */
    void (*before_call)(void *context);
    void (*before_sync)(void *context, const char *name);
    void (*after_read)(void *context, const char *name, uint64_t offset, void *data, size_t len);
    void *context;
};

/* What to give to the log; good until the next call. */
const struct nori_vfs *between_begin(const struct nori_vfs *under, const struct between *between);

#endif
