/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* judge.h: what a log is after a crash, found out by reading only. */
#ifndef NW_JUDGE_H
#define NW_JUDGE_H

#include "wal/ahead.h"
#include "wal/chain.h"
#include "wal/control.h"
#include "wal/verdict.h"

enum nw_damage_kind {
    NW_DAMAGE_NONE = 0,
    NW_DAMAGE_CHAIN = 1,  /* a header, or how segments hang together: from segment_id on */
    NW_DAMAGE_RECORDS = 2 /* the bytes of a segment, from offset on */
};

/* The first damage of a log, as judged. */
struct nw_damage {
    enum nw_damage_kind kind;
    uint64_t segment_id;
    uint64_t offset;        /* behind the last whole batch before it */
    uint64_t end;           /* behind the last byte that may count */
    uint64_t next_sequence; /* of the first record that may be lost */
};

/* What the writer goes on from. */
struct nw_recovered {
    struct nw_chain chain; /* live links: the log; others: dead files to remove */
    uint64_t end_lsn;
    uint64_t next_sequence;
    uint64_t next_id;
    uint64_t log_id;
    struct nw_control *control;
    bool was_clean;
    bool is_new; /* there was no log */
    /* What was left behind, for the event. */
    struct nori_position torn_at;
    uint64_t torn_bytes;
    struct nw_damage damage; /* with NORI_E_CORRUPT: the first one */
    bool was_cut; /* damage was cut off: a new header must state the end before any other use */
};

void nw_recovered_done(struct nw_recovered *recovered);

/* The judging in progress; the caller sets what it is to be like. */
struct nw_judge {
    const struct nw_env *env;
    const struct nori_wal_config *config;
    struct nw_recovered *recovered;
    struct nori_recovery_info *info;
    struct nori_error *error;
    nw_scan_progress progress;
    void *context;
    bool for_writing;
    bool has_forgotten; /* what only memory may have */
    bool is_tail;       /* verify = tail */
    struct nw_cursor cursor;
    struct nw_ahead ahead;
    uint64_t watermark;                /* in-band only */
    struct nw_control_durable durable; /* what `control` claims */
    uint64_t hidden;                   /* records that holes hide */
    const struct nw_damage *accepted;  /* where a repair ends the log */
    uint64_t floor_lsn; /* the watermark before a repair, which may move away what told it */
    bool is_shortened;  /* a repair moved segments away: a torn tail counts as damage (D7) */
    struct nori_error read_only; /* why `control` can only be read; code 0: it can be stored to */
    uint64_t first_sequence;     /* of the oldest live link */
};

/*
 * Judge without changing anything: what open would find. Fills ret_recovered (control: what is
 * there, or NULL) and info. progress may be NULL.
 */
int nw_judge(const struct nw_env *env, const struct nori_wal_config *config,
             struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
             nw_scan_progress progress, void *context, struct nori_error *error);

/* The same for an open for writing, which mends what is found and then judges again. */
int nw_judge_with(struct nw_judge *judge);

/* The highest LSN known to have been durable, after it. */
uint64_t nw_judge_watermark(const struct nw_judge *judge);

/* The control's watermark, as far as it is believed on this chain; else 0. */
uint64_t nw_control_watermark(const struct nw_control *control, const struct nw_chain *chain);

/* Does it tell of durable records of format 2 behind this LSN? */
bool nw_control_has_format2_behind(const struct nw_control *control, uint64_t end_lsn);

#endif
