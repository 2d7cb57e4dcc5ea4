/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * place.h: where real file systems are made, mounted and removed again.
 *
 * What. A folder in $TMPDIR, and a mount namespace of the test's own. Everything is tied to the
 * test's life by the kernel: mounts end with the namespace, a loop device with its last user, the
 * device's server and writers with their parent. So a test that is killed leaves nothing but the
 * folder, which the next one removes: its lock says that nobody uses it. No device is touched that
 * was not made here.
 *
 * Threads. One.
 */
#ifndef TESTS_REAL_PLACE_H
#define TESTS_REAL_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_PATH_LEN ((size_t)300)

struct file_system {
    const char *name;
    const char *const *make; /* the command, to which a path is added; ends with NULL */
    const char *options;     /* of mount */
    size_t bytes;            /* of the device */
    bool has_shutdown;       /* FS_IOC_SHUTDOWN */
};

/* For crash states; and as small as they can be, to be filled. */
extern const struct file_system place_ext4, place_xfs, place_btrfs;
extern const struct file_system place_ext4_tiny, place_xfs_tiny, place_btrfs_tiny;

struct place {
    char top[PLACE_PATH_LEN];     /* the folder */
    char image[PLACE_PATH_LEN];   /* a file in it */
    char device[PLACE_PATH_LEN];  /* an empty file in it */
    char mounted[PLACE_PATH_LEN]; /* a folder in it */
    char wal[PLACE_PATH_LEN];     /* mounted/wal */
    int lock;
};

/* Why it cannot be done here (no root, no FUSE, no loop devices), or NULL. Call it once. */
const char *place_enter(struct place *place);
void place_leave(struct place *place);

/* Likewise for one file system. */
const char *place_lacks(const struct file_system *fs);

/* Make a file system in place->image. Its earlier content is lost. */
bool place_make(const struct place *place, const struct file_system *fs);

/* A loop device over a file. Returns a descriptor for it, with which it goes; -1 and errno. */
int place_attach(const char *file, char ret_loop[32]);

bool place_mount(const struct place *place, const struct file_system *fs, const char *loop);
/* The same from place->image, by a loop device that goes with the mount, and with all that the
 * kernel has cached of it: behind a shutdown that is not what the disk has. */
bool place_mount_image(const struct place *place, const struct file_system *fs);

bool place_unmount(const struct place *place);

/* Forget what the kernel has read of the device behind a descriptor of place_attach. */
void place_forget(int loop);

/* Cut off everything that is not on the disk yet; is_log_kept: but for the file system's own log.
 */
bool place_shut_down(const struct place *place, bool is_log_kept);

#endif
