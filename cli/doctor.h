/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor.h: what the parts of `nori doctor` share: facts, figures, and what follows from them. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nori/wal.h>

#include "mounts.h"
#include "progress.h"

#define DOCTOR_BLOCK    ((size_t)4096) /* what is written and synced at a time */
#define DOCTOR_PART_MAX ((uint64_t)8 << 20)
#define DOCTOR_PART_MIN ((uint64_t)256 << 10)
#define DOCTOR_PARTS    9 /* so many of these are taken in all */
/* so much is free, to begin at all */
#define DOCTOR_FREE_MIN      ((uint64_t)8 * DOCTOR_PARTS * DOCTOR_PART_MIN)
#define DOCTOR_UNLIMITED     UINT64_MAX
#define DOCTOR_SAMPLES_LEAST 16 /* of fewer, nothing follows */

/* ---- doctor_machine.c: what the system tells ---- */

struct doctor_machine {
    struct cli_mount mount; /* type "": unknown */

    /* Of the block device; "", -1: unknown. */
    char device[64];
    char model[64];
    char write_cache[32]; /* "write back", "write through" */
    char scheduler[32];
    char backing_file[256]; /* of a loop device */
    int has_fua;
    int is_rotational;
    bool is_virtual;
    double requests_per_s; /* that others made of it, before anything was measured; -1: unknown */

    uint64_t bytes_free;  /* for this user */
    uint64_t inodes_free; /* DOCTOR_UNLIMITED: they are made as needed */

    char kernel[80]; /* "Linux 6.1.0-13-amd64" */
    unsigned kernel_major, kernel_minor;
    uint64_t file_bytes_max;
    uint64_t files_max; /* open at a time */
};

/* fd: the folder that is looked at. */
void doctor_look(int fd, struct doctor_machine *ret_machine);

/* Watch for so long how busy the device is. */
void doctor_watch(struct doctor_machine *machine, double seconds);

/* ---- doctor_measure.c: what the disk does ---- */

/* Ways to write a block and have it durable: id, name in JSON, in the table. */
/* clang-format off */
#define DOCTOR_WAYS(X) \
    X(GROWING,        "growing",         "at the end of a growing file, fdatasync") \
    X(RESERVED,       "reserved",        "into reserved space, fdatasync") \
    X(ZEROED,         "zeroed",          "over zeros, fdatasync") \
    X(DSYNC,          "zeroed_dsync",    "over zeros, O_DSYNC") \
    X(DIRECT,         "direct",          "over zeros, O_DIRECT and fdatasync") \
    X(DIRECT_DSYNC,   "direct_dsync",    "over zeros, O_DIRECT and O_DSYNC") \
    X(RESERVED_LOAD,  "reserved_loaded", "into reserved space, fdatasync") \
    X(ZEROED_LOAD,    "zeroed_loaded",   "over zeros, fdatasync")
/* clang-format on */

enum doctor_way {
#define DOCTOR_WAY_ID(id, name, title) DOCTOR_##id,
    DOCTOR_WAYS(DOCTOR_WAY_ID)
#undef DOCTOR_WAY_ID
    DOCTOR_WAY_COUNT
};

struct doctor_sample {
    uint64_t count; /* 0: not offered here, or no time for it */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

struct doctor_measured {
    struct doctor_sample ways[DOCTOR_WAY_COUNT];
    double bytes_per_s;      /* written in large pieces and synced; 0: not measured */
    uint64_t write_stall_ns; /* the longest write, without its sync, beside load */
    bool can_reserve;        /* the file system has fallocate */
    bool can_map;            /* the log can have its staging ring here */
    bool is_busy;            /* another doctor is at work in the folder; nothing was measured */
    bool is_full;            /* there was no space after all; what was not measured has count 0 */
    int signal_number;       /* that ended it early; 0: none */
};

/* Measure in `folder` for so long, in files that are removed again. bytes_free: an eighth of it at
 * most is taken. NORI_OK also if is_busy, is_full or signal_number tell why there is nothing; else
 * *ret_error says what failed. */
int doctor_measure(const char *folder, double seconds, uint64_t bytes_free,
                   struct cli_progress *progress, struct doctor_measured *ret_measured,
                   struct nori_error *ret_error);

/* ---- doctor_judge.c: what it means; pure ---- */

enum doctor_grade {
    DOCTOR_GOOD,
    DOCTOR_NOTE,
    DOCTOR_WARNING /* records that should be durable may not be, or the log cannot work */
};

struct doctor_finding {
    const char *about; /* a word, in JSON */
    enum doctor_grade grade;
    char text[500];
};

struct doctor_proposal {
    const char *field;  /* of struct nori_wal_config */
    const char *choice; /* a word, or NULL: number counts */
    uint64_t number;
    bool is_bytes;
    char reason[400];
};

#define DOCTOR_FINDINGS_MAX 24

struct doctor_report {
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    size_t finding_count;
    size_t warning_count;
    struct doctor_proposal proposals[4];
    size_t proposal_count;
    struct nori_log_advice advice; /* preallocate 0: too little was measured for one */
};

void doctor_judge(const struct doctor_machine *machine, const struct doctor_measured *measured,
                  struct doctor_report *ret_report);

#endif
