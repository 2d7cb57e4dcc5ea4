/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * maintenance.h: public calls that look at, open, mend or read a log, each on small logs of all
 * kinds, whole and damaged, in the simulated machine. What a call answers becomes text, so that two
 * answers can be compared.
 */
#ifndef TESTS_MAINTENANCE_H
#define TESTS_MAINTENANCE_H

#include "sample.h"

#define MAINTENANCE_TEXT_LEN ((size_t)24 << 10)

/* ---- the logs ---- */

enum {
    WHOLE,
    FLIPPED,  /* a byte of a file's first record */
    TORN,     /* a byte of the last record, which was not durable */
    HEADLESS, /* a byte of a header */
    MISSING,  /* a file */
    FOREIGN,  /* `control` is of another log */
    MENDED,   /* FLIPPED, then opened with salvage */
    NOTHING   /* no folder */
};

struct disk {
    const char *name;
    enum sample_kind kind;
    int damage;
    size_t file;
};

extern const struct disk disks[];
extern const size_t disk_count;

/* All of it durable. */
nori_sim *make_disk(const struct disk *disk);

/* ---- the calls ---- */

struct fault {
    uint32_t mask;
    uint32_t flags;
    int32_t os_errno;
    uint64_t nth; /* 0: nothing fails */
};

struct call;

struct stage {
    const struct call *call;
    const struct disk *disk;
    const struct sample *sample;
    struct fault fault;
    nori_sim *sim;
    nori_wal *wal;    /* of a call on an open log */
    int rc;           /* what it gave */
    bool has_ended;   /* an error of the fault ended it early */
    bool was_reached; /* the fault */
    bool has_changed; /* something in the folder */
    bool is_broken;
    char why[512];
    struct sample_found found; /* in the folder, then */
    size_t len;
    char text[MAINTENANCE_TEXT_LEN]; /* what it answered */
};

/* What a call does to the folder. */
enum effect {
    LOOKS,    /* nothing */
    ADDS,     /* it stores in `control` */
    RECOVERS, /* what its mode says */
    IS_OPEN   /* it is made on an open log, which goes on */
};

struct call {
    const char *name;
    void (*make)(struct stage *stage);
    enum effect effect;
    uint32_t mode; /* RECOVERS: enum nori_recovery_mode */
    uint32_t how;  /* flags, or whatever it needs */
};

extern const struct call calls[];
extern const size_t call_count;

/* The code that the seam has for an errno. */
int code_of(int32_t os_errno);

/* The configuration with which the call opens the log. */
struct nori_wal_config config_of(const struct stage *stage);

/* The stage is broken. The first sentence counts. */
__attribute__((format(printf, 2, 3))) void complain(struct stage *stage, const char *format, ...);

#endif
