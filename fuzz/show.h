/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* show.h: what a log shows, each record held against the bytes that the disk has. */
#ifndef FUZZ_SHOW_H
#define FUZZ_SHOW_H

#include "folder.h"

#include <nori/wal.h>

struct shown {
    uint64_t records;
    uint64_t digest; /* of all records and their places */
    struct nori_position last;
    uint64_t holes;
    bool goes_back; /* a sequence number does not follow the one before */
    int end;        /* NORI_END, or what reading ended with */
};

/*
 * Read all with a reader of its own. Places only grow, and each record verifies where it is said
 * to lie: in its file, in `spare`, or in the staging ring (D11).
 */
void show(nori_sim *sim, uint32_t visibility, uint32_t flags, struct shown *ret_shown);

#endif
