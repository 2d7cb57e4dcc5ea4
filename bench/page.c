/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * page.c: all outcomes as one web page.
 *
 * What. Where it ran, what was found at a glance, what is NOT met; then every case with its plots,
 * its table and its requirements, as in the terminal. A number stands in a <data> element, whose
 * value is the one that --json prints.
 */
#include "page.h"

#include "base/crc32c.h"

#include <math.h>
#include <string.h>

/* ---- texts ---- */

void bench_page_text(FILE *file, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        case '\'':
            fputs("&#39;", file);
            break;
        default:
            putc(*text, file);
        }
}

void bench_page_cell(FILE *file, double value, enum bench_unit unit)
{
    struct bench_cell cell = bench_cell_of(value, unit);
    char *micro = unit == BENCH_UNIT_TIME ? strstr(cell.text, " us") : NULL;

    if (micro)
        *micro = '\0';
    bench_page_text(file, cell.text);
    if (micro)
        fputs(" µs", file);
}

static void put_data(FILE *file, double value, enum bench_unit unit)
{
    fprintf(file, "<data value=\"%.6g\">", value);
    bench_page_cell(file, value, unit);
    fprintf(file, "</data>");
}

/* A newline in text begins another paragraph. */
static void put_paragraphs(FILE *file, const char *text)
{
    fputs("<p>", file);
    for (; *text; text++) {
        char character[2] = {*text, '\0'};

        if (*text == '\n')
            fputs("</p>\n<p>", file);
        else
            bench_page_text(file, character);
    }
    fputs("</p>\n", file);
}

static unsigned count_missed(const struct bench_outcome *outcome)
{
    unsigned missed = 0;

    for (size_t i = 0; i < outcome->verdict_count; i++)
        missed += !outcome->verdicts[i].is_met;
    return missed;
}

/* "5 met", "2 of 7 NOT met", or nothing if nothing is demanded. */
static void put_badge(FILE *file, const struct bench_outcome *outcome)
{
    unsigned missed = count_missed(outcome);

    if (missed > 0)
        fprintf(file, "<span class=\"missed\">%u of %zu NOT met</span>", missed,
                outcome->verdict_count);
    else if (outcome->verdict_count > 0)
        fprintf(file, "<span class=\"met\">%zu met</span>", outcome->verdict_count);
}

static void begin_table(FILE *file, const char *label)
{
    fputs("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"", file);
    bench_page_text(file, label);
    fputs("\">\n<table>\n", file);
}

static void end_table(FILE *file)
{
    fputs("</tbody>\n</table>\n</div>\n", file);
}

/* ---- the head ---- */

static void put_fact(FILE *file, const char *name, const char *text)
{
    fprintf(file, "<dt>%s</dt><dd>", name);
    bench_page_text(file, text);
    fputs("</dd>\n", file);
}

static void put_facts(const struct bench_page *page)
{
    const struct bench_machine *machine = page->machine;
    FILE *file = page->file;
    unsigned seconds = (unsigned)((bench_now_ns() - machine->begun_ns) / 1000000000);
    char text[256];

    fputs("<dl>\n", file);
    put_fact(file, "version", nori_version());
    (void)snprintf(text, sizeof text, "%s, %ld cores", machine->cpu, machine->cores);
    put_fact(file, "machine", text);
    put_fact(file, "kernel", machine->kernel);
    put_fact(file, "file system", machine->file_system);
    put_fact(file, "CRC-32C", nw_crc32c_implementation());
    fputs("<dt>command</dt><dd><code>", file);
    bench_page_text(file, machine->command);
    fprintf(file, "</code></dd>\n<dt>date</dt><dd><time>%s</time>, took %u min %u s</dd>\n",
            machine->date, seconds / 60, seconds % 60);
    fprintf(file, "<dt>runs</dt><dd>%u of each%s</dd>\n</dl>\n", page->options->rounds,
            page->options->is_quick ? ", short ones (<code>--quick</code>): less exact" : "");
}

static void put_contents(const struct bench_page *page)
{
    unsigned number = 0;

    fputs("<nav aria-label=\"Contents\">\n<ul>\n<li><a href=\"#glance\">At a glance</a></li>\n"
          "<li><a href=\"#requirements\">Requirements</a></li>\n",
          page->file);
    for (const struct bench_outcome *at = page->outcomes->first; at; at = at->next) {
        if (!at->section_title)
            continue;
        fprintf(page->file, "<li><a href=\"#section-%u\">", ++number);
        bench_page_text(page->file, at->section_title);
        fputs("</a></li>\n", page->file);
    }
    fputs("<li><a href=\"#reading\">How to read this</a></li>\n</ul>\n</nav>\n", page->file);
}

static void put_head(const struct bench_page *page)
{
    fprintf(page->file,
            "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
            "<meta charset=\"utf-8\"/>\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<title>nori bench, %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n"
            "<h1>How fast is the log?</h1>\n"
            "<p>A report of <code>nori bench</code>: the log beside its floors, the least that "
            "anything with the same duty has to do, in the same run.</p>\n",
            page->machine->date, bench_page_style);
    put_facts(page);
    put_contents(page);
    fputs("</header>\n<main>\n", page->file);
}

/* ---- at a glance ---- */

static const enum bench_metric glance_columns[] = {BENCH_RATE, BENCH_COST, BENCH_P50,
                                                   BENCH_P99,  BENCH_P999, BENCH_METRIC_COUNT};

static void put_glance_row(FILE *file, const struct bench_outcome *outcome, unsigned number)
{
    const struct bench_row *log = &outcome->rows[0];

    fprintf(file, "<tr><th scope=\"row\"><a href=\"#case-%u\">", number);
    bench_page_text(file, outcome->name);
    fputs("</a></th><td class=\"left\">", file);
    bench_page_text(file, log->name);
    fputs("</td>", file);
    for (const enum bench_metric *at = glance_columns; *at != BENCH_METRIC_COUNT; at++) {
        fputs("<td>", file);
        if (!isnan(log->of[*at].median))
            put_data(file, log->of[*at].median, bench_metrics[*at].unit);
        fputs("</td>", file);
    }
    fputs("<td>", file);
    if (outcome->floor)
        put_data(file, log->over_floor.median, BENCH_UNIT_RATIO);
    fputs("</td><td class=\"left\">", file);
    put_badge(file, outcome);
    fputs("</td></tr>\n", file);
}

static void put_glance(const struct bench_page *page)
{
    const struct bench_outcomes *outcomes = page->outcomes;
    FILE *file = page->file;
    unsigned number = 0;

    fputs("<h2 id=\"glance\">At a glance</h2>\n", file);
    if (outcomes->demands > 0)
        fprintf(file,
                "<p>Of %u <a href=\"#requirements\">requirements</a> %u are met, %u are not.</p>\n",
                outcomes->demands, outcomes->demands - outcomes->missed, outcomes->missed);
    fputs("<div class=\"plots\">\n", file);
    bench_overview_floors(file, outcomes);
    bench_overview_peers(file, outcomes);
    fputs("</div>\n", file);
    begin_table(file, "All cases");
    fputs("<caption>The first line of each case</caption>\n<thead><tr><th "
          "scope=\"col\">case</th><th scope=\"col\" class=\"left\">line</th>",
          file);
    for (const enum bench_metric *at = glance_columns; *at != BENCH_METRIC_COUNT; at++)
        fprintf(file, "<th scope=\"col\">%s</th>", bench_metrics[*at].title);
    fputs("<th scope=\"col\">× floor</th><th scope=\"col\" class=\"left\">requirements</th></tr>"
          "</thead>\n<tbody>\n",
          file);
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        put_glance_row(file, at, ++number);
    end_table(file);
}

/* ---- requirements ---- */

static void put_verdict_head(FILE *file, bool has_case)
{
    fprintf(file,
            "<thead><tr>%s<th scope=\"col\" class=\"left\">verdict</th><th "
            "scope=\"col\">measured</th><td></td><th scope=\"col\">limit</th><th scope=\"col\" "
            "class=\"left\">of what</th></tr></thead>\n<tbody>\n",
            has_case ? "<th scope=\"col\">case</th>" : "");
}

static void put_verdict(FILE *file, const struct bench_verdict *verdict)
{
    fprintf(file, "<td class=\"left %s\">%s</td><td>", verdict->is_met ? "met" : "missed",
            verdict->is_met ? "met" : "NOT met");
    put_data(file, verdict->value, verdict->unit);
    fputs("</td><td>", file);
    bench_page_text(file, bench_relation(verdict));
    fputs("</td><td>", file);
    put_data(file, verdict->limit, verdict->unit);
    fputs("</td><td class=\"left\">", file);
    bench_page_text(file, verdict->text);
    fputs("</td></tr>\n", file);
}

static void put_missed(FILE *file, const struct bench_outcome *outcome, unsigned number)
{
    for (size_t i = 0; i < outcome->verdict_count; i++) {
        if (outcome->verdicts[i].is_met)
            continue;
        fprintf(file, "<tr><th scope=\"row\"><a href=\"#case-%u\">", number);
        bench_page_text(file, outcome->name);
        fputs("</a></th>", file);
        put_verdict(file, &outcome->verdicts[i]);
    }
}

static void put_requirements(const struct bench_page *page)
{
    const struct bench_outcomes *outcomes = page->outcomes;
    unsigned number = 0;

    fputs("<h2 id=\"requirements\">Requirements</h2>\n", page->file);
    if (outcomes->demands == 0) {
        fputs("<p>Nothing is demanded of these cases.</p>\n", page->file);
        return;
    }
    fprintf(page->file,
            "<p class=\"sum\">%u requirements: <span class=\"met\">%u met</span>, <span "
            "class=\"%s\">%u NOT met</span></p>\n",
            outcomes->demands, outcomes->demands - outcomes->missed,
            outcomes->missed ? "missed" : "met", outcomes->missed);
    if (outcomes->missed == 0)
        return;
    begin_table(page->file, "Requirements that are not met");
    put_verdict_head(page->file, true);
    for (const struct bench_outcome *at = outcomes->first; at; at = at->next)
        put_missed(page->file, at, ++number);
    end_table(page->file);
}

/* ---- a case ---- */

static void put_row(FILE *file, const struct bench_outcome *outcome, const struct bench_row *row)
{
    double noise = bench_noise(outcome, row);

    fputs("<tr><th scope=\"row\">", file);
    bench_page_text(file, row->name);
    fputs("<span class=\"duty\">", file);
    bench_page_text(file, row->duty);
    fputs("</span></th>", file);
    for (const enum bench_metric *at = outcome->columns; *at != BENCH_METRIC_COUNT; at++) {
        fputs("<td>", file);
        if (!isnan(row->of[*at].median))
            put_data(file, row->of[*at].median, bench_metrics[*at].unit);
        fputs("</td>", file);
    }
    if (outcome->rounds > 1)
        fprintf(file, isnan(noise) ? "<td></td>" : "<td>%.0f %%</td>", noise * 100);
    if (outcome->is_compared) {
        fputs("<td>", file);
        if (!isnan(row->log_over_this.median))
            put_data(file, row->log_over_this.median, BENCH_UNIT_RATIO);
        fputs("</td>", file);
    }
    if (outcome->floor) {
        fputs("<td>", file);
        put_data(file, row->over_floor.median, BENCH_UNIT_RATIO);
        fputs("</td>", file);
    }
    fputs("</tr>\n", file);
}

static void put_table(FILE *file, const struct bench_outcome *outcome)
{
    begin_table(file, outcome->name);
    fputs("<thead><tr><th scope=\"col\">line</th>", file);
    for (const enum bench_metric *at = outcome->columns; *at != BENCH_METRIC_COUNT; at++)
        fprintf(file, "<th scope=\"col\">%s</th>", bench_metrics[*at].title);
    if (outcome->rounds > 1)
        fputs("<th scope=\"col\">noise</th>", file);
    if (outcome->is_compared)
        fputs("<th scope=\"col\">log/this</th>", file);
    if (outcome->floor)
        fputs("<th scope=\"col\">× floor</th>", file);
    fputs("</tr></thead>\n<tbody>\n", file);
    for (size_t i = 0; i < outcome->row_count; i++)
        put_row(file, outcome, &outcome->rows[i]);
    end_table(file);
}

static void put_verdicts(FILE *file, const struct bench_outcome *outcome)
{
    begin_table(file, "Requirements");
    put_verdict_head(file, false);
    for (size_t i = 0; i < outcome->verdict_count; i++) {
        fputs("<tr>", file);
        put_verdict(file, &outcome->verdicts[i]);
    }
    end_table(file);
}

static void put_plots(FILE *file, const struct bench_outcome *outcome)
{
    fputs("<div class=\"plots\">\n", file);
    if (bench_plot_has_bars(outcome)) {
        fprintf(file, "<figure>\n<figcaption>Median of the runs%s</figcaption>\n",
                outcome->rounds > 1 ? "; the line shows least and most" : "");
        bench_plot_bars(file, outcome);
        fputs("</figure>\n", file);
    }
    if (bench_outcome_has_latencies(outcome)) {
        fputs("<figure>\n<figcaption>How the calls that were timed are spread, all runs together; "
              "pale: on a logarithmic scale, the lowest is one call; marks at p50, p99, "
              "p99.9</figcaption>\n",
              file);
        bench_plot_distribution(file, outcome);
        fputs("</figure>\n<figure>\n<figcaption>Percentiles of the same calls</figcaption>\n",
              file);
        bench_plot_percentiles(file, outcome);
        fputs("</figure>\n", file);
    }
    fputs("</div>\n", file);
}

static void put_cases(const struct bench_page *page)
{
    FILE *file = page->file;
    unsigned number = 0;
    unsigned section = 0;

    for (const struct bench_outcome *at = page->outcomes->first; at; at = at->next) {
        if (at->section_title) {
            fprintf(file, "<h2 id=\"section-%u\">", ++section);
            bench_page_text(file, at->section_title);
            fputs("</h2>\n", file);
            put_paragraphs(file, at->section_text);
        }
        fprintf(file, "<section aria-labelledby=\"case-%u\">\n<h3 id=\"case-%u\">", number + 1,
                number + 1);
        bench_page_text(file, at->name);
        fputs(" ", file);
        put_badge(file, at);
        fputs("</h3>\n", file);
        put_plots(file, at);
        put_table(file, at);
        if (at->verdict_count > 0)
            put_verdicts(file, at);
        fputs("</section>\n", file);
        number++;
    }
}

static void put_foot(const struct bench_page *page)
{
    fputs("<h2 id=\"reading\">How to read this</h2>\n", page->file);
    put_paragraphs(page->file, bench_explanation);
    put_paragraphs(
        page->file,
        "× floor: cost of a record, as so many of the floor's whose records cost most. What "
        "does all of the duty cannot be cheaper than that floor, but for noise. Percentiles in "
        "tables are medians "
        "of the runs; plots of latencies have the calls of all runs. Where calls are short not "
        "each one is timed, as the text of the section says, since a look at the clock takes some "
        "25 ns. A floor whose calls are not timed has no latencies. Some clocks go in steps of "
        "some nanoseconds: then there are gaps between the shortest ones.");
    fputs("</main>\n</body>\n</html>\n", page->file);
}

void bench_page_write(const struct bench_page *page)
{
    put_head(page);
    put_glance(page);
    put_requirements(page);
    put_cases(page);
    put_foot(page);
}
