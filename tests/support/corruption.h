/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * corruption.h: one damaged log, and what everyone who looks at it must find.
 *
 * Each recovery mode, both ways to verify, readers and nori_log_verify look at it. No wrong byte is
 * ever returned. What lies below a watermark is never called torn (D6). A refusal changes nothing.
 * prefix keeps all before the damage, salvage all but what lies between the marks around it, and
 * what they remove is in quarantine (D7).
 */
#ifndef TESTS_CORRUPTION_H
#define TESTS_CORRUPTION_H

#include "sample.h"

/* One way to damage a sample. */
struct corruption {
    struct sample *sample;
    nori_sim *sim; /* damaged; nobody has it open */
    uint64_t number;
    bool is_byte;     /* one of very many: not all look, unless is_by_all */
    bool has_control; /* it is as it was */
    bool are_names_changed;
    bool is_hidden; /* nothing in the log can tell: only bytes are checked */
    /* Segments begin with the header, records and mark of others: all of them may be lost. */
    bool are_heads_exchanged;
    bool is_compound; /* several damages */
    struct sample_damage damage;
    const char *look; /* who is looking */
    char why[ORACLE_WHY_LEN];
};

/* What is tried, and what came of it. */
extern struct corruptions {
    uint64_t only_number; /* to repeat one */
    uint64_t next_number;
    const char *drawn; /* by seed: what tells the line that repeats it how */
    bool is_by_all;    /* all look at everything */
    bool is_worker;    /* it is a process of jobs.c */
    bool is_part;      /* of `make torture`, in one process: */
    uint64_t from;     /* so many of all samples are done already */
    uint64_t passed;   /* so many are done, or in hand */
    double until;      /* by repeat_now; 0: no limit */
    uint64_t tried;
    uint64_t looks;
    uint64_t whole, torn, refused, version, cut, salvaged;
    double seconds;
} corruptions;

/* A clone to damage; false: this one is not to be tried. */
bool corruption_begin(struct corruption *corruption, struct sample *sample);

/* It is damaged, in words: all look at it. What is not as it must be fails the test, and prints the
 * line that repeats it. */
__attribute__((format(printf, 2, 3))) void corruption_finish(struct corruption *corruption,
                                                             const char *format, ...);

#endif
