/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * vfs_contract.h: what nori/vfs.h says, as tests that any implementation must pass. The
 * implementation's own test program calls vfs_contract_run with a setup that makes a fresh world.
 */
#ifndef NW_TEST_VFS_CONTRACT_H
#define NW_TEST_VFS_CONTRACT_H

#include <nori/vfs.h>

/* What setup puts into *state, and teardown takes away. */
struct vfs_world {
    const struct nori_vfs *vfs;
    const char *path; /* of a folder that may be created; its parent exists */
    void *context;    /* for setup and teardown */
};

/* Runs all tests, each between setup and teardown, under this name; returns how many failed. */
int vfs_contract_run(const char *name, int (*setup)(void **state), int (*teardown)(void **state));

#endif
