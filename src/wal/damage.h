/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * damage.h: every damage of a log, found by a walk of its own that shares neither the reader's nor
 * recovery's shortcuts: where bytes do not verify it notes so, and goes on where it can.
 */
#ifndef NW_DAMAGE_H
#define NW_DAMAGE_H

#include "wal/scan.h"

enum nw_finding_kind {
    NW_FINDING_NOTE = 0,    /* nothing to mend: a torn tail, a hole, a strange name */
    NW_FINDING_RECORDS = 1, /* a stretch of a segment that does not verify */
    NW_FINDING_HEADER = 2,  /* a segment's header is damaged */
    NW_FINDING_CHAIN = 3    /* what verifies contradicts itself, or something is missing */
};

#define NW_RECORDS_UNKNOWN UINT64_MAX

struct nw_finding {
    enum nw_finding_kind kind;
    uint32_t severity; /* enum nori_severity */
    int code;          /* NORI_OK for a note, else NORI_E_* */
    int os_errno;      /* of what cannot be read; its text is in the message */
    uint64_t segment_id;
    uint64_t offset;
    uint64_t bytes;          /* up to where the log can be trusted again */
    uint64_t records;        /* in them, or NW_RECORDS_UNKNOWN */
    uint64_t lsn;            /* of offset; UINT64_MAX: unknown */
    uint64_t sequence_after; /* RECORDS: of the first record behind it; 0: nothing tells */
    bool can_go_on; /* something behind it tells where and with which record the log goes on */
    bool is_hole;
    bool is_zero;           /* HEADER: and all of the file */
    char file[NW_NAME_MAX]; /* "" for none */
    char message[256];
    const char *advice;
};

struct nw_walk {
    /* Set by the owner. */
    const struct nw_env *env;
    nw_scan_progress progress; /* may be NULL */
    void *context;
    uint64_t end_lsn; /* where recovery would end the log; UINT64_MAX: it would refuse it */
    bool is_alive;    /* a writer has the log open: files may vanish */

    /* Found. */
    struct nw_chain chain;       /* live links: what could be walked */
    struct nw_finding *findings; /* by segment, then by offset */
    size_t count;
    size_t capacity;
    size_t errors;          /* how many of them are damage */
    uint64_t watermark;     /* the highest LSN known to have been durable */
    uint64_t records;       /* application records that verify */
    uint64_t hidden;        /* application records that holes hide */
    uint64_t next_sequence; /* the highest that was seen; 0: none */
    struct nw_cursor cursor;
};

void nw_walk_init(struct nw_walk *walk, const struct nw_env *env);
void nw_walk_done(struct nw_walk *walk);

/*
 * Walk the whole log. Damage, read errors and what a newer version wrote become findings; what is
 * returned is NORI_OK, NORI_E_NOMEM, a failure of the folder itself (*error), or what progress
 * returned.
 */
int nw_walk_run(struct nw_walk *walk, struct nori_error *error);

/* A finding as the error of an operation; returns its code. */
int nw_finding_error(const struct nw_finding *finding, struct nori_error *error);

/* Beside a live writer: keep only the damage that an earlier walk found in the same place. */
void nw_walk_confirm(struct nw_walk *walk, const struct nw_walk *before);

/* Add a finding in segment_id at offset; NULL if there is no memory (told by nw_walk_run). */
struct nw_finding *nw_walk_note(struct nw_walk *walk, enum nw_finding_kind kind,
                                const struct nw_link *link, uint64_t offset, const char *message);

/*
 * pieces.c: the chain of a log whose headers do not make one: each header that verifies is linked
 * to the neighbours that fit, a segment that lost its header is known by its own marks (its
 * header_len is 0 then), and everything wrong becomes a finding.
 */
int nw_pieces_gather(struct nw_walk *walk, struct nori_error *error);

#endif
