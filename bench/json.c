/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* json.c: outcomes for programs, an object a line. nori.1 describes them: a stable contract. */
#include "report.h"

#include "base/crc32c.h"

#include <math.h>
#include <stdio.h>

/* text: UTF-8 without control characters. */
static void print_text(const char *name, const char *text)
{
    printf("\"%s\": \"", name);
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\"");
}

void bench_json_begin(const struct bench_options *options, const struct bench_machine *machine)
{
    printf("{\"kind\": \"machine\", ");
    print_text("version", nori_version());
    printf(", ");
    print_text("cpu", machine->cpu);
    printf(", \"cores\": %ld, ", machine->cores);
    print_text("kernel", machine->kernel);
    printf(", ");
    print_text("file_system", machine->file_system);
    printf(", ");
    print_text("crc32c", nw_crc32c_implementation());
    printf(", ");
    print_text("command", machine->command);
    printf(", ");
    print_text("date", machine->date);
    printf(", \"rounds\": %u, \"is_quick\": %s}\n", options->rounds,
           options->is_quick ? "true" : "false");
}

static void print_spread(const char *name, const struct bench_spread *spread)
{
    if (!isnan(spread->median))
        printf(", \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", name, spread->median,
               spread->least, spread->most);
}

static void print_row(const struct bench_outcome *outcome, const struct bench_row *row)
{
    printf("{\"kind\": \"result\", ");
    print_text("case", outcome->name);
    printf(", ");
    print_text("subject", row->name);
    printf(", ");
    print_text("duty", row->duty);
    for (enum bench_metric i = 0; i < BENCH_METRIC_COUNT; i++)
        print_spread(bench_metrics[i].name, &row->of[i]);
    print_spread("log_over_this", &row->log_over_this);
    printf("}\n");
}

/* The histogram: what was counted from one number to another, both included. */
static void print_latencies(const struct bench_outcome *outcome, const struct bench_row *row)
{
    const char *between = "";

    printf("{\"kind\": \"latencies\", ");
    print_text("case", outcome->name);
    printf(", ");
    print_text("subject", row->name);
    printf(", \"count\": %llu, \"buckets_ns\": [", (unsigned long long)row->latencies->total);
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        unsigned long long count = row->latencies->counts[i];
        uint64_t least, most;

        if (count == 0)
            continue;
        bench_histogram_bounds(i, &least, &most);
        printf("%s[%llu, %llu, %llu]", between, (unsigned long long)least, (unsigned long long)most,
               count);
        between = ", ";
    }
    printf("]}\n");
}

static void print_verdict(const struct bench_outcome *outcome, const struct bench_verdict *verdict)
{
    printf("{\"kind\": \"requirement\", ");
    print_text("case", outcome->name);
    printf(", ");
    print_text("what", verdict->text);
    printf(", \"value\": %.6g, \"limit\": %.6g, \"is_least\": %s, \"is_met\": %s}\n",
           verdict->value, verdict->limit, verdict->is_least ? "true" : "false",
           verdict->is_met ? "true" : "false");
}

void bench_json_add(const struct bench_outcome *outcome)
{
    for (size_t i = 0; i < outcome->row_count; i++)
        print_row(outcome, &outcome->rows[i]);
    for (size_t i = 0; i < outcome->row_count; i++)
        if (outcome->rows[i].latencies)
            print_latencies(outcome, &outcome->rows[i]);
    for (size_t i = 0; i < outcome->verdict_count; i++)
        print_verdict(outcome, &outcome->verdicts[i]);
}

void bench_json_end(const struct bench_outcomes *outcomes)
{
    printf("{\"kind\": \"summary\", \"requirements\": %u, \"missed\": %u}\n", outcomes->demands,
           outcomes->missed);
}
