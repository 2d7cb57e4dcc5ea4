/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check.h: is a log that a crash left what was promised? By the public interface only, in a mounted
 * file system.
 *
 * All that was acknowledged as durable is there (I1), it is a prefix (I2), true byte by byte (I3);
 * what open gave is durable by its own word (D5); opened again it shows the same (I4); it takes
 * records, syncs, and shows them when it is opened once more (I5); nori_log_verify finds no damage
 * (I8).
 */
#ifndef TESTS_REAL_CHECK_H
#define TESTS_REAL_CHECK_H

#include "story.h"

struct check {
    const struct story *story;
    const struct device *device; /* NULL: none records */
    const char *dir;
    uint64_t moment; /* when it was cut */
    bool is_tail;    /* NORI_VERIFY_TAIL */

    struct oracle_found found;
    size_t recovered_at; /* ops on the device's tape when open returned */
    char why[ORACLE_WHY_LEN];
};

bool check_log(struct check *check);

#endif
