/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * story.h: what happens to a log on a real file system, told as a word, a letter a step.
 *
 *   a  append a small record                s  sync
 *   b  append a batch of three              w  wait until the last record is durable
 *   m  append a record of several sectors   z  sleep longer than the window of policy batch
 *   l  append a record of over 64 KiB       d  drop the segments before the last record
 *   f  fill the segment                     D  drop everything, which begins a segment
 *   c  close, and open again                k  kill -9; the next life goes on
 *
 * What. Lives are processes, one after the other. What the log has promised stands in shared
 * memory, the story, and outlives them: an oracle, and at each moment how far it was. The device
 * notes the moment of each write, so that for each of its crash states it is known what was
 * promised by then.
 *
 * Failure. When the log fails (D8) the life goes on with calls that must all be refused, or ends,
 * as on_failure says. A promise that is broken stands in `why`.
 */
#ifndef TESTS_REAL_STORY_H
#define TESTS_REAL_STORY_H

#include "../support/oracle.h"
#include "device.h"

#define STORY_STEPS_MAX   ((size_t)64)
#define STORY_RECORDS_MAX ((size_t)4096)
#define STORY_MOMENTS_MAX ((size_t)1 << 15)

enum story_on_failure {
    STORY_GO_ON = 0,   /* the same process: what is refused stays refused; it closes and opens */
    STORY_RESTART = 1, /* the process dies, the next one sees what the page cache shows */
    STORY_CUT = 2      /* the story ends, as by a power cut */
};

/* How far an oracle is at a moment. */
struct story_promise {
    size_t begun, returned, durable, dropped, dropping;
};

/* Shared with the processes that live it. */
struct story {
    /* Set before it begins. */
    uint32_t policy;      /* enum nori_fsync_policy */
    uint32_t preallocate; /* enum nori_preallocate */
    uint32_t on_failure;  /* enum story_on_failure */
    size_t ring_len;
    char steps[STORY_STEPS_MAX];

    struct oracle oracle; /* its records are those below */
    struct oracle_record records[STORY_RECORDS_MAX];
    struct story_promise promises[STORY_MOMENTS_MAX]; /* at each moment */
    size_t at;                                        /* the step that is next */
    size_t settled_at; /* the moment when the log was last opened after a failure */
    bool has_failed;   /* some log has */
    bool is_refused;   /* the log could not be opened: the story ends */
    char why[ORACLE_WHY_LEN];
};

struct story *story_new(void);
void story_free(struct story *story);

/* Forget what was, and draw policy, space, ring and steps. */
void story_begin(struct story *story, struct device *device, uint64_t seed);

/* Live it, in the folder dir of a mounted file system. false: a promise is broken. */
bool story_live(struct story *story, struct device *device, const char *dir);

/* The configuration of its log. */
struct nori_wal_config story_config(const struct story *story, const char *dir);

/* What was promised at a moment, into an initialised oracle; and the other way: the promise is now
 * what this oracle says. */
void story_promised(const struct story *story, uint64_t moment, struct oracle *ret_oracle);
void story_promise(struct story *story, struct device *device, const struct oracle *oracle);

/* All records that a log shows to a reader of its own, and how many it ever had. */
bool story_read(nori_wal *wal, const char *dir, const struct oracle *oracle,
                struct oracle_found *ret_found, size_t *ret_count, char why[ORACLE_WHY_LEN]);

#endif
