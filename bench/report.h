/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.h: what came of the cases, for those who show it.
 *
 * report.c lets the subjects take turns and makes an outcome of each case. table.c and drawing.c
 * print it for people, json.c for programs, page.c as a web page (page.h).
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench.h"

/* ---- outcomes ---- */

/* Over the rounds. median NAN: not measured. */
struct bench_spread {
    double median, least, most;
};

/* Of one subject. */
struct bench_row {
    char *name;
    char *duty;
    enum bench_kind kind;
    struct bench_spread of[BENCH_METRIC_COUNT];
    struct bench_spread over_floor;    /* the cost of a record, as so many of the floor's */
    struct bench_spread log_over_this; /* the first subject's rate, as a part of this one's */
    struct bench_histogram *latencies; /* of all rounds; NULL: none */
};

/* Of one demand. */
struct bench_verdict {
    char *text;
    double value;
    double limit;
    bool is_least;
    bool is_met;
    enum bench_unit unit;
};

struct bench_outcome {
    struct bench_outcome *next;
    const char *section_title, *section_text; /* if it is the first of a section; else NULL */
    char name[sizeof((struct bench_case *)NULL)->name];
    const enum bench_metric *columns; /* ended by BENCH_METRIC_COUNT */
    unsigned rounds;
    bool is_compared;
    const struct bench_row *floor; /* of all floors the one whose records cost most; NULL: none */
    size_t row_count;
    size_t verdict_count;
    struct bench_row rows[BENCH_SUBJECTS_MAX];
    struct bench_verdict verdicts[BENCH_DEMANDS_MAX];
};

/* All of a run. */
struct bench_outcomes {
    struct bench_outcome *first;
    struct bench_outcome **end;
    unsigned cases;
    unsigned demands;
    unsigned missed;
};

/* Half the distance from least to most of the first column, as a part of its median; NAN: none. */
double bench_noise(const struct bench_outcome *outcome, const struct bench_row *row);

/* ">=", "<", "<=" or ">": how the value compares with the limit. */
const char *bench_relation(const struct bench_verdict *verdict);

/* Are latencies of calls what the case is about, and were some taken? */
bool bench_outcome_has_latencies(const struct bench_outcome *outcome);

/* From 10 to the power of low to that of high nanoseconds lie all latencies of the case. */
struct bench_decades {
    double low, high;
};
struct bench_decades bench_outcome_decades(const struct bench_outcome *outcome);

/* For a drawing in so many bins: what share of its row's calls the least of bins has, which is one
 * call, and what share the greatest. */
#define BENCH_BINS_MAX 128
struct bench_heights {
    double least, most;
};
struct bench_heights bench_outcome_heights(const struct bench_outcome *outcome,
                                           struct bench_decades decades, size_t bins);

/* Of a bin that is not empty, on a logarithmic scale: 0 the least to 1 the greatest. */
double bench_height_of(uint64_t count, uint64_t total, struct bench_heights heights);

/* What the tables of a case say. */
extern const char bench_explanation[];

/* ---- machine.c ---- */

/* Texts are UTF-8 without control characters, whatever the machine says. */
struct bench_machine {
    char cpu[160];
    char kernel[160];
    char file_system[160];
    char date[64];
    char *command;
    long cores;
    uint64_t begun_ns;
};
void bench_machine_look(const struct bench_options *options, struct bench_machine *ret_machine);

/* ---- text.c ---- */

struct bench_metric_info {
    const char *name; /* in JSON */
    const char *title;
    enum bench_unit unit;
    const char *axis; /* what an axis is of */
};
extern const struct bench_metric_info bench_metrics[];

/* A number with its unit, three digits or four. */
struct bench_cell {
    char text[24];
};
struct bench_cell bench_cell_of(double value, enum bench_unit unit); /* NAN: "" */

char *bench_copy(const char *text);

/* The bytes of the UTF-8 character there; 0 if there is none. */
size_t bench_utf8_len(const char *text);

/* Make UTF-8 without control characters of it: what is neither becomes a question mark. */
void bench_clean(char *text);

/* ---- table.c ---- */

void bench_table_begin(const struct bench_options *options, const struct bench_machine *machine);
void bench_table_section(const struct bench_outcome *outcome); /* before the first of it runs */
void bench_table_add(const struct bench_outcome *outcome);
void bench_table_end(const struct bench_outcomes *outcomes);

/* ---- drawing.c ---- */

/* Of a case that has latencies. */
void bench_drawing_add(const struct bench_outcome *outcome);

/* ---- json.c ---- */

void bench_json_begin(const struct bench_options *options, const struct bench_machine *machine);
void bench_json_add(const struct bench_outcome *outcome);
void bench_json_end(const struct bench_outcomes *outcomes);

#endif
