/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * table.c: outcomes for people, in a terminal.
 *
 * What. A case is a table of at most 100 columns, and below it a line for each demand.
 */
#include "report.h"

#include "base/crc32c.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LINE_LEN 100

/* Print text in lines of at most LINE_LEN. A newline in it begins another paragraph. */
static void print_wrapped(const char *text)
{
    size_t at = 0;

    while (*text) {
        size_t len = strcspn(text, " \n");

        if (at > 0 && at + 1 + len > LINE_LEN) {
            putchar('\n');
            at = 0;
        }
        at += (size_t)printf("%s%.*s", at > 0 ? " " : "", (int)len, text);
        text += len;
        if (*text == '\n') {
            putchar('\n');
            at = 0;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

void bench_table_begin(const struct bench_options *options, const struct bench_machine *machine)
{
    printf("nori-wal %s\n  machine      %s, %ld cores, %s\n  file system  %s\n"
           "  CRC-32C      %s\n  command      %s\n  date         %s\n  runs         %u of each\n\n",
           nori_version(), machine->cpu, machine->cores, machine->kernel, machine->file_system,
           nw_crc32c_implementation(), machine->command, machine->date, options->rounds);
    print_wrapped(bench_explanation);
    if (options->has_histograms)
        print_wrapped("Below the tables: how the calls that were timed spread over latencies, all "
                      "runs together. Both axes are logarithmic; the lowest mark is one call.");
}

void bench_table_section(const struct bench_outcome *outcome)
{
    if (!outcome->section_title)
        return;
    printf("\n%s\n", outcome->section_title);
    for (size_t i = strlen(outcome->section_title); i > 0; i--)
        putchar('-');
    putchar('\n');
    print_wrapped(outcome->section_text);
}

/* 22 columns for the name, 9 for each metric, 6 for noise and 9 for the comparison: 100 at most. */
static void print_heading(const struct bench_outcome *outcome)
{
    printf("\n%s\n%22s", outcome->name, "");
    for (const enum bench_metric *column = outcome->columns; *column != BENCH_METRIC_COUNT;
         column++)
        printf("%9s", bench_metrics[*column].title);
    printf("%s%s\n", outcome->rounds > 1 ? " noise" : "", outcome->is_compared ? " log/this" : "");
}

static void print_row(const struct bench_outcome *outcome, const struct bench_row *row)
{
    double noise = bench_noise(outcome, row);

    printf("  %-20s", row->name);
    for (const enum bench_metric *column = outcome->columns; *column != BENCH_METRIC_COUNT;
         column++)
        printf("%9s", bench_cell_of(row->of[*column].median, bench_metrics[*column].unit).text);
    if (!isnan(noise))
        printf("%4.0f %%", noise * 100);
    if (!isnan(row->log_over_this.median))
        printf("%9.2f", row->log_over_this.median);
    printf("\n");
}

static void print_verdict(const struct bench_verdict *verdict)
{
    printf("  %-8s%9s %-2s %-9s %s\n", verdict->is_met ? "met" : "NOT met",
           bench_cell_of(verdict->value, verdict->unit).text, bench_relation(verdict),
           bench_cell_of(verdict->limit, verdict->unit).text, verdict->text);
}

void bench_table_add(const struct bench_outcome *outcome)
{
    print_heading(outcome);
    for (size_t i = 0; i < outcome->row_count; i++)
        print_row(outcome, &outcome->rows[i]);
    for (size_t i = 0; i < outcome->verdict_count; i++)
        print_verdict(&outcome->verdicts[i]);
}

static void print_missed(const struct bench_outcome *outcome)
{
    bool is_named = false;

    for (size_t i = 0; i < outcome->verdict_count; i++) {
        if (outcome->verdicts[i].is_met)
            continue;
        if (!is_named)
            printf("%s\n", outcome->name);
        is_named = true;
        print_verdict(&outcome->verdicts[i]);
    }
}

void bench_table_end(const struct bench_outcomes *outcomes)
{
    if (outcomes->demands == 0)
        return;
    printf("\n%u requirements: %u met, %u NOT met%s\n", outcomes->demands,
           outcomes->demands - outcomes->missed, outcomes->missed, outcomes->missed ? ":" : "");
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        print_missed(at);
}
