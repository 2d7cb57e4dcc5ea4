/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * known.h: disks that were recovered and looked at before.
 *
 * Crashes at neighbouring points leave the same disks over and over. What a log shows follows from
 * the disk and its configuration alone, so such a disk need not be recovered again, if
 *   - what it showed was compared, byte by byte, with the very records that are expected now, at
 *     the very places that appends have returned by now, and
 *   - whoever asks judges what it shows by what is promised now (oracle_expect), which changes from
 *     point to point.
 * What does not fit is looked at again. A table of fixed size keeps the latest ones, each process
 * its own.
 */
#ifndef TESTS_KNOWN_H
#define TESTS_KNOWN_H

#include "workload.h"

#define KNOWN_RECORDS_MAX 128

/* What is expected at some point of a history: digests of what the first n records must be, and
 * where they must lie. */
struct expected {
    size_t begun;
    size_t returned; /* so many have a place */
    uint32_t contents[KNOWN_RECORDS_MAX + 1];
    uint32_t places[KNOWN_RECORDS_MAX + 1];
};
void expected_note(struct expected *expected, const struct workload *workload,
                   const struct oracle *oracle);

/* What was done with a disk. */
enum known_how {
    KNOWN_OPENED, /* it was opened, read and closed */
    KNOWN_LOOKED  /* all was done that the caller does with one */
};

/* Whether this disk is known, at least so well, and what it showed: `found`, and to readers before
 * recovery, as durable, `durable`. Of both only front and end are told; ret_durable may be NULL. */
bool known_find(const struct expected *expected, uint64_t digest, enum known_how how,
                struct oracle_found *ret_found, struct oracle_found *ret_durable);

/* It showed that. durable may be NULL. */
void known_add(const struct expected *expected, uint64_t digest, enum known_how how,
               const struct oracle_found *found, const struct oracle_found *durable);

/* What a kill leaves is more than a disk: what of it is durable counts, too, and what will be if it
 * is synced: all, but for what the kernel has given up. */
uint64_t known_kill_digest(nori_sim *sim);

#endif
