/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mounts.h: what Linux tells about a mounted file system. Parsing is pure. */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* A line of /proc/self/mountinfo. What is longer than its room is cut. */
struct cli_mount {
    uint64_t id;
    unsigned major, minor; /* of the device; major 0: none of its own */
    char point[256];
    char type[64];     /* "ext4", "fuse.sshfs" */
    char source[256];  /* "/dev/vda1", "server:/export" */
    char options[512]; /* of this mount, then of the file system, separated by commas */
};

/* False, and nothing is filled, if the line is not of that form. */
bool cli_mount_parse(const char *line, struct cli_mount *ret_mount);

/* Does the list have this option, alone or as option=value? */
bool cli_mount_has_option(const char *options, const char *option);

/* The file system that an open file or folder lies on. */
bool cli_mount_of(int fd, struct cli_mount *ret_mount);

#endif
