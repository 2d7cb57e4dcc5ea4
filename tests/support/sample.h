/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sample.h: small logs whose every byte is known, and what damage may cost them.
 *
 * A sample is a log of several segments on a simulated machine, with a list of its records, the
 * bytes of its files and the marks in them. After somebody has damaged a clone of it, the functions
 * here tell from the difference alone what a log may have lost, and whether what it shows is true.
 *
 * Checks return true, or false with a sentence in `why`. They need little stack.
 */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include "oracle.h"

#include <nori/sim.h>

#define SAMPLE_DIR         "wal"
#define SAMPLE_RECORDS_MAX 48
#define SAMPLE_FILES_MAX   8
#define SAMPLE_MARKS_MAX   8
#define SAMPLE_BYTES_MAX   ((size_t)16 << 10) /* of a segment up to its end */
#define SAMPLE_RING_LEN    ((size_t)64 << 10)
#define SAMPLE_CONTROL_LEN (4096 + SAMPLE_RING_LEN)
#define SAMPLE_PATH_LEN    48

enum sample_kind {
    SAMPLE_CLOSED,     /* four lives of format 2, each closed */
    SAMPLE_KILLED,     /* the last of them killed with records that are not durable */
    SAMPLE_STAGED,     /* the same, and those are only in the staging ring */
    SAMPLE_NO_CONTROL, /* closed, but `control` is gone: only the log itself tells */
    SAMPLE_FORMAT1,    /* three segments of format 1 */
    SAMPLE_MIXED,      /* two of format 1, and two of format 2 behind them */
};
#define SAMPLE_KINDS 6

struct sample_record {
    struct nori_position position;
    size_t file;
    uint64_t end; /* offset */
    size_t value_len;
    size_t batch_first, batch_last; /* indexes of the batch it belongs to */
};

struct sample_mark {
    uint64_t offset;
    uint64_t durable_lsn;
};

/* A segment. */
struct sample_file {
    char path[SAMPLE_PATH_LEN];
    uint64_t id;
    uint32_t format;
    uint64_t start;       /* LSN of byte 0 */
    uint64_t durable_lsn; /* as its header says */
    uint64_t end;         /* offset behind its last byte that counts */
    uint8_t bytes[SAMPLE_BYTES_MAX];
    struct sample_mark marks[SAMPLE_MARKS_MAX];
    size_t mark_count;
};

struct sample {
    enum sample_kind kind;
    nori_sim *sim;                    /* at rest: nobody has it open */
    nori_sim *past[SAMPLE_FILES_MAX]; /* earlier moments of it */
    size_t past_count;
    struct sample_record records[SAMPLE_RECORDS_MAX]; /* sequence number n is records[n - 1] */
    size_t record_count;
    size_t staged_count; /* the last of them, which only the staging ring has */
    struct sample_file files[SAMPLE_FILES_MAX];
    size_t file_count;
    uint64_t control_lsn; /* what `control` says is durable */
    /* Records are known by their keys alone, wherever and however often they come: for changes that
     * format 1 cannot notice. */
    bool is_by_key;
    bool may_move; /* records may lie in another segment than they were appended to */
};

/* seed: of the machine, and so of salts and ids. */
void sample_make(struct sample *sample, enum sample_kind kind, uint64_t seed);
void sample_free(struct sample *sample);

/* One made with seed 1, when it is asked for first; never freed. */
struct sample *sample_shared(enum sample_kind kind);

struct nori_wal_config sample_config(nori_sim *sim, uint32_t mode, uint32_t verify);

/* Bytes of a file now, as many as fit; 0 if it is not there. */
size_t sample_load(nori_sim *sim, const char *path, uint8_t *target, size_t len);

/* Damage a clone: bytes of any length, at any place of a segment, are flipped, zeroed, noise, from
 * another place, or from another moment. */
void sample_damage(const struct sample *sample, nori_sim *sim, uint64_t *seed);

/* Likewise, as disks do it: two sectors change places, or a write is lost or goes elsewhere, so
 * that a sector is as it was at an earlier moment, and another one has what was meant for it. */
void sample_damage_sector(const struct sample *sample, nori_sim *sim, uint64_t *seed);

/* What was done to a clone, as far as it matters. */
#define SAMPLE_RANGES_MAX 8
struct sample_range {
    size_t file;
    uint64_t from, to; /* bytes that are not as they were */
};
struct sample_damage {
    struct sample_range ranges[SAMPLE_RANGES_MAX];         /* in the order of the log */
    bool is_mark_gone[SAMPLE_FILES_MAX][SAMPLE_MARKS_MAX]; /* ranges may reach over one */
    size_t range_count;
    bool is_gone[SAMPLE_FILES_MAX];       /* the file is not there */
    uint64_t watermark;                   /* the highest that is left */
    size_t safe;                          /* records before the first damage, in whole batches */
    bool may_be_lost[SAMPLE_RECORDS_MAX]; /* salvage may lose it */
    size_t ring_kept; /* every mode may lose what only the ring had from this record on */
};
/* has_control: `control` still says what it said, and has what it had. */
void sample_compare(const struct sample *sample, nori_sim *damaged, bool has_control,
                    struct sample_damage *ret_damage);

/* Is a byte of one of the first `count` files changed that are of format 1? Those behind their ends
 * count. */
bool sample_is_format1_touched(const struct sample *sample, nori_sim *damaged, size_t count);

/* It was several damages. One that takes a header is survived, for others say what it said; several
 * may leave too little to make it anew, and then salvage ends the log before that segment. Where no
 * header is damaged, each costs no more than it does alone. */
void sample_allow_giving_up(const struct sample *sample, struct sample_damage *damage);

/* What a log shows. */
struct sample_found {
    bool is_present[SAMPLE_RECORDS_MAX];
    size_t count;    /* of them */
    size_t first;    /* index */
    size_t prefix;   /* how many follow without a gap from the first */
    size_t holes;    /* reported as NORI_E_CORRUPT and gone past */
    size_t appended; /* records that sample_append made */
    int end;         /* NORI_END, or what reading ended with */
};
bool sample_read(const struct sample *sample, nori_sim *sim, uint32_t visibility, uint32_t flags,
                 struct sample_found *ret_found, char why[ORACLE_WHY_LEN]);

/* Append a record that no sample has, and make it durable. */
int sample_append(nori_wal *wal);

/* Every byte of `before` that counted is still where it was in `after`, or in quarantine (D7), or
 * it was damaged and is mended. */
bool sample_check_quarantine(const struct sample *sample, nori_sim *before, nori_sim *after,
                             char why[ORACLE_WHY_LEN]);

#endif
