/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuse.h: the recording device as a file, so that a loop device can carry it.
 *
 * A file system of one file, by the kernel's own protocol (linux/fuse.h), served by a process of
 * its own: were it a thread of the test, a test that dies while it waits for the disk could not
 * end.
 * The server dies with the test; the kernel then answers whoever still uses the file with errors.
 */
#ifndef TESTS_REAL_FUSE_H
#define TESTS_REAL_FUSE_H

#include "device.h"

#include <sys/types.h>

/* Mount it over the regular file at path, and serve it from now on. 0: it cannot be, see errno.
 * Unmounting path ends the server. */
pid_t fuse_serve(struct device *device, const char *path);

#endif
