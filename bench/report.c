/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.c: turns, medians, demands.
 *
 * What. Each round runs every subject of a case once, beginning with another one each time, so that
 * a disturbance hits all alike. A number is the median of the rounds. What compares two subjects is
 * computed within each round, of runs that were neighbours, and then the median of these is taken.
 * Latencies of all rounds are put together for drawings.
 *
 * Not here. How it is shown: table.c, drawing.c, json.c and page.c.
 */
#define _GNU_SOURCE 1

#include "page.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char bench_explanation[] =
    "Each number is the median of the runs of a case, which take turns, and so is what "
    "compares two of them. rate: records a second. noise: half the distance from the least to "
    "the greatest number in the first column. log/this: rate of the first line, as a part of "
    "this line's. MB: 1,000,000 bytes as they lie in the log. Keys have 16 bytes.";

static struct bench_machine machine;
static struct bench_outcomes outcomes;

/* Of the next case that runs; NULL: it has the one of the case before it. */
static const char *section_title, *section_text;

void bench_report_begin(const struct bench_options *options)
{
    outcomes.end = &outcomes.first;
    bench_machine_look(options, &machine);
}

void bench_section(const char *title, const char *text)
{
    section_title = title;
    section_text = text;
}

/* ---- the numbers ---- */

/* results of a case: [round][subject] */
typedef struct bench_result results_of_round[BENCH_SUBJECTS_MAX];

static int compare(const void *left, const void *right)
{
    double l = *(const double *)left;
    double r = *(const double *)right;

    return (l > r) - (l < r);
}

static struct bench_spread spread_of(const double *values, unsigned count)
{
    double sorted[BENCH_ROUNDS_MAX];

    if (count == 0 || isnan(values[0]))
        return (struct bench_spread){NAN, NAN, NAN};
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return (struct bench_spread){count % 2 ? sorted[count / 2]
                                           : (sorted[count / 2 - 1] + sorted[count / 2]) / 2,
                                 sorted[0], sorted[count - 1]};
}

static struct bench_spread spread_of_metric(const results_of_round *results, unsigned rounds,
                                            size_t subject, enum bench_metric metric)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = results[i][subject].of[metric];
    return spread_of(values, rounds);
}

/* A metric of one subject, as a part of another's. */
static struct bench_spread spread_of_ratio(const results_of_round *results, unsigned rounds,
                                           enum bench_metric metric, size_t subject, size_t other)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = results[i][subject].of[metric] / results[i][other].of[metric];
    return spread_of(values, rounds);
}

static struct bench_spread spread_of_demand(const results_of_round *results, unsigned rounds,
                                            const struct bench_demand *demand)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = demand->measure(results[i], demand->subject);
    return spread_of(values, rounds);
}

struct bench_result bench_nothing(void)
{
    struct bench_result result = {.latencies = NULL};

    for (size_t i = 0; i < BENCH_METRIC_COUNT; i++)
        result.of[i] = NAN;
    return result;
}

double bench_measure_p95(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_P95];
}

/* ---- outcomes ---- */

static struct bench_outcome *new_outcome(const struct bench_case *about, unsigned rounds)
{
    struct bench_outcome *outcome = bench_alloc(sizeof *outcome);

    outcome->section_title = section_title;
    outcome->section_text = section_text;
    section_title = section_text = NULL;
    memcpy(outcome->name, about->name, sizeof outcome->name);
    outcome->columns = about->columns;
    outcome->rounds = rounds;
    outcome->is_compared = about->is_compared;
    outcome->row_count = about->subject_count;
    outcome->verdict_count = about->demand_count;
    for (size_t i = 0; i < about->subject_count; i++) {
        outcome->rows[i].name = bench_copy(about->subjects[i].name);
        outcome->rows[i].duty = bench_copy(about->subjects[i].duty);
        outcome->rows[i].kind = about->subjects[i].kind;
    }
    return outcome;
}

static void free_outcome(struct bench_outcome *outcome)
{
    for (size_t i = 0; i < outcome->row_count; i++) {
        free(outcome->rows[i].name);
        free(outcome->rows[i].duty);
        free(outcome->rows[i].latencies);
    }
    for (size_t i = 0; i < outcome->verdict_count; i++)
        free(outcome->verdicts[i].text);
    free(outcome);
}

static void keep_latencies(struct bench_result *result, struct bench_row *row)
{
    if (!row->latencies) {
        row->latencies = result->latencies;
    } else if (result->latencies) {
        bench_histogram_merge(row->latencies, result->latencies);
        free(result->latencies);
    }
    result->latencies = NULL;
}

/* The floor whose records cost most: nothing with all the duties is faster. */
static void find_floor(struct bench_outcome *outcome)
{
    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_row *row = &outcome->rows[i];

        if (row->kind != BENCH_FLOOR || isnan(row->of[BENCH_COST].median))
            continue;
        if (!outcome->floor || row->of[BENCH_COST].median > outcome->floor->of[BENCH_COST].median)
            outcome->floor = row;
    }
}

static void sum_up(const results_of_round *results, struct bench_outcome *outcome)
{
    const struct bench_spread none = {NAN, NAN, NAN};
    unsigned rounds = outcome->rounds;

    for (size_t i = 0; i < outcome->row_count; i++)
        for (enum bench_metric metric = 0; metric < BENCH_METRIC_COUNT; metric++)
            outcome->rows[i].of[metric] = spread_of_metric(results, rounds, i, metric);
    find_floor(outcome);
    for (size_t i = 0; i < outcome->row_count; i++) {
        struct bench_row *row = &outcome->rows[i];

        row->log_over_this = row->over_floor = none;
        if (outcome->is_compared && i > 0)
            row->log_over_this = spread_of_ratio(results, rounds, BENCH_RATE, 0, i);
        if (outcome->floor)
            row->over_floor = spread_of_ratio(results, rounds, BENCH_COST, i,
                                              (size_t)(outcome->floor - outcome->rows));
    }
}

static void judge(const struct bench_case *about, const results_of_round *results,
                  struct bench_outcome *outcome)
{
    for (size_t i = 0; i < about->demand_count; i++) {
        const struct bench_demand *demand = &about->demands[i];
        double value = spread_of_demand(results, outcome->rounds, demand).median;
        bool is_met = demand->is_least ? value >= demand->limit : value <= demand->limit;

        outcome->verdicts[i] = (struct bench_verdict){.text = bench_copy(demand->text),
                                                      .value = value,
                                                      .limit = demand->limit,
                                                      .is_least = demand->is_least,
                                                      .is_met = is_met,
                                                      .unit = demand->unit};
        outcomes.demands++;
        outcomes.missed += !is_met;
    }
}

double bench_noise(const struct bench_outcome *outcome, const struct bench_row *row)
{
    const struct bench_spread *first = &row->of[*outcome->columns];

    if (outcome->rounds == 1 || !(first->median > 0))
        return NAN;
    return (first->most - first->least) / 2 / first->median;
}

const char *bench_relation(const struct bench_verdict *verdict)
{
    if (verdict->is_least)
        return verdict->is_met ? ">=" : "<";
    return verdict->is_met ? "<=" : ">";
}

bool bench_outcome_has_latencies(const struct bench_outcome *outcome)
{
    bool is_about_them = false;
    bool has_some = false;

    for (const enum bench_metric *at = outcome->columns; *at != BENCH_METRIC_COUNT; at++)
        is_about_them |= *at == BENCH_P50;
    for (size_t i = 0; i < outcome->row_count; i++)
        has_some |= outcome->rows[i].latencies != NULL;
    return is_about_them && has_some;
}

struct bench_decades bench_outcome_decades(const struct bench_outcome *outcome)
{
    struct bench_decades decades = {INFINITY, 0};

    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_histogram *latencies = outcome->rows[i].latencies;
        double least, most;

        if (!latencies)
            continue;
        least = log10(fmax(1, (double)bench_histogram_at(latencies, 0)));
        most = log10(fmax(1, (double)latencies->most));
        decades.low = fmin(decades.low, least - 0.05);
        decades.high = fmax(decades.high, most + 0.05);
    }
    return decades;
}

struct bench_heights bench_outcome_heights(const struct bench_outcome *outcome,
                                           struct bench_decades decades, size_t bins)
{
    struct bench_heights heights = {1, 0};
    uint64_t counts[BENCH_BINS_MAX];

    for (size_t i = 0; i < outcome->row_count; i++) {
        const struct bench_histogram *latencies = outcome->rows[i].latencies;

        if (!latencies)
            continue;
        heights.least = fmin(heights.least, 1 / (double)latencies->total);
        bench_histogram_bin(latencies, decades.low, decades.high, counts, bins);
        for (size_t at = 0; at < bins; at++)
            heights.most = fmax(heights.most, (double)counts[at] / (double)latencies->total);
    }
    return heights;
}

double bench_height_of(uint64_t count, uint64_t total, struct bench_heights heights)
{
    double share = (double)count / (double)total;

    if (heights.most <= heights.least)
        return 1;
    return log(share / heights.least) / log(heights.most / heights.least);
}

/* ---- progress ---- */

static atomic_bool is_progress_shown;

static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void show_progress(const struct bench_case *about, unsigned round, unsigned rounds,
                          const struct bench_subject *subject)
{
    if (!is_terminal())
        return;
    atomic_store(&is_progress_shown, true);
    fprintf(stderr, "\r\033[K%s: round %u of %u, %s", about->name, round + 1, rounds,
            subject->name);
}

void bench_progress_clear(void)
{
    if (atomic_exchange(&is_progress_shown, false))
        fprintf(stderr, "\r\033[K");
}

/* ---- a case ---- */

bool bench_is_wanted(const struct bench_options *options, const char *name)
{
    if (!options->only)
        return true;
    for (const char *at = name; (at = strstr(at, options->only)) != NULL; at++)
        if (at == name || at[-1] == ' ') /* else "read" would be in "4 threads" */
            return true;
    return false;
}

static void take_turns(const struct bench_case *about, results_of_round *results,
                       struct bench_outcome *outcome)
{
    for (unsigned round = 0; round < outcome->rounds; round++)
        for (size_t i = 0; i < about->subject_count; i++) {
            size_t which = (round + i) % about->subject_count;
            const struct bench_subject *subject = &about->subjects[which];
            struct bench_result *result = &results[round][which];

            show_progress(about, round, outcome->rounds, subject);
            bench_settle();
            *result = bench_nothing();
            subject->run(subject->about, result);
            keep_latencies(result, &outcome->rows[which]);
        }
    bench_progress_clear();
}

/* What stands above the first case, and above the first one of a section. */
static void show_begin(const struct bench_options *options, const struct bench_outcome *outcome)
{
    bool is_first = outcomes.cases == 0;

    if (is_first && options->is_json)
        bench_json_begin(options, &machine);
    else if (is_first)
        bench_table_begin(options, &machine);
    if (!options->is_json)
        bench_table_section(outcome);
}

void bench_run_case(const struct bench_options *options, const struct bench_case *about)
{
    static results_of_round results[BENCH_ROUNDS_MAX];
    struct bench_outcome *outcome;

    if (!bench_is_wanted(options, about->name))
        return;
    outcome = new_outcome(about, about->rounds ? about->rounds : options->rounds);
    show_begin(options, outcome);
    take_turns(about, results, outcome);
    sum_up(results, outcome);
    judge(about, results, outcome);
    if (options->is_json)
        bench_json_add(outcome);
    else
        bench_table_add(outcome);
    if (!options->is_json && options->has_histograms && bench_outcome_has_latencies(outcome))
        bench_drawing_add(outcome);
    bench_check_output();
    *outcomes.end = outcome;
    outcomes.end = &outcome->next;
    outcomes.cases++;
}

/* ---- the end ---- */

static void show_end(const struct bench_options *options)
{
    const struct bench_page page = {NULL, options, &machine, &outcomes};

    if (options->report)
        bench_page_save(&page, bench_page_write);
    if (options->is_json)
        bench_json_end(&outcomes);
    else
        bench_table_end(&outcomes);
    if (options->report && !options->is_json)
        printf("\nThe report is %s\n", bench_page_path());
    bench_check_output();
}

unsigned bench_report_end(const struct bench_options *options)
{
    struct bench_outcome *next;

    if (outcomes.cases > 0)
        show_end(options);
    free(machine.command);
    for (struct bench_outcome *at = outcomes.first; at; at = next) {
        next = at->next;
        free_outcome(at);
    }
    return outcomes.cases;
}
