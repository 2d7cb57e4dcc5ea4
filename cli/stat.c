/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stat.c: nori stat.
 *
 * What. The library describes a log from its headers; this prints a line for each segment and the
 * totals. Of a log that a writer has open, what that does is told by its own numbers, since it
 * opened the log or over an interval.
 *
 * Failure. What was reported before an error is printed before the error is told.
 *
 * Not here. JSON and findings: item.c.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nori/wal.h>

#include "cli.h"
#include "clock.h"
#include "item.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "text.h"

#define STOPPED    1000         /* what the report returns when standard output fails */
#define SHOWN_ENDS ((size_t)10) /* how many segments are shown of each end of a long log */

enum column {
    COLUMN_FILE,
    COLUMN_FORMAT,
    COLUMN_STATE,
    COLUMN_RECORDS,
    COLUMN_FIRST,
    COLUMN_BYTES,
    COLUMN_ALLOCATED,
    COLUMN_CREATED,
    COLUMN_COUNT
};

struct row {
    char cells[COLUMN_COUNT][CLI_TEXT_SIZE];
};

struct overview {
    const char *dir;
    bool is_json;
    bool is_all;
    bool has_colour;
    struct cli_output output;

    /* The rows to print: all with --all, else of a long log the first and, in a circle, the last
     * ones. */
    struct row *rows;
    size_t row_count; /* kept */
    size_t row_size;  /* allocated */
    uint64_t seen;    /* all segments */

    uint64_t dead;
    uint64_t errors;                 /* findings that are damage */
    char oldest_file[CLI_TEXT_SIZE]; /* of the live ones */
    char oldest_created[CLI_TEXT_SIZE];
    bool is_table_printed;

    uint64_t interval_ns;        /* 0: since the log was opened */
    uint64_t open_ns;            /* how long the writer has had it open */
    struct nori_wal_stats stats; /* size 0: there are none */
};

static const char help[] =
    "usage: nori stat [OPTIONS] DIR\n"
    "\n"
    "Describe the log in DIR: its segments, how many records, how much space, how far it is "
    "durable,\n"
    "whether it was closed cleanly and whether a writer has it open. Nothing is changed, and "
    "records\n"
    "are not read: whether they are sound is what nori verify tells.\n"
    "Segments are live, newest, dead (left behind; the next append removes them) or bad.\n"
    "Beside a live writer: what it does, how often, and how long that takes.\n"
    "\n"
    "  --interval SECONDS       look twice, so far apart, and tell what happened between; else\n"
    "                           since the log was opened\n"
    "  --all                    show all segments, not only the first and last ten of a long log\n"
    "  --json                   an object a line: kind segment, finding, stats or summary\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 good; 1 the log is damaged, or there is none; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori stat --all events\n"
    "  nori stat --interval 10 events\n"
    "  nori stat --json events | jq 'select(.kind == \"summary\").records'\n";

enum option_id {
    OPTION_JSON = 256,
    OPTION_ALL,
    OPTION_INTERVAL
};

static const struct option known_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"all", no_argument, NULL, OPTION_ALL},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_options(struct overview *overview, int argc, char **argv)
{
    struct cli_options options = {"stat", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        switch (id) {
        case OPTION_JSON:
            overview->is_json = true;
            break;
        case OPTION_ALL:
            overview->is_all = true;
            break;
        case OPTION_INTERVAL:
            if (cli_option_seconds(&options, 0.1, 3600, &overview->interval_ns) != CLI_CONTINUE)
                return CLI_USAGE;
            break;
        case 'h':
            return cli_output_help("stat", help);
        default:
            return CLI_USAGE;
        }
    }
    return cli_options_dir(&options, &overview->dir);
}

/* The row to fill for the next segment; NULL: no memory. */
static struct row *next_row(struct overview *overview)
{
    size_t size;
    struct row *rows;

    if (!overview->is_all && overview->seen >= 2 * SHOWN_ENDS)
        return &overview->rows[SHOWN_ENDS + overview->seen % SHOWN_ENDS];
    if (overview->row_count == overview->row_size) {
        size = overview->row_size == 0 ? 2 * SHOWN_ENDS : 2 * overview->row_size;
        rows = realloc(overview->rows, size * sizeof *rows);
        if (!rows)
            return NULL;
        overview->rows = rows;
        overview->row_size = size;
    }
    return &overview->rows[overview->row_count++];
}

static const char *text_of_u64(uint64_t value, char target[CLI_TEXT_SIZE])
{
    snprintf(target, CLI_TEXT_SIZE, "%" PRIu64, value);
    return target;
}

static int keep_segment(struct overview *overview, const struct nori_log_item *item)
{
    struct row *row = next_row(overview);

    if (!row)
        return NORI_E_NOMEM;
    overview->seen++;
    snprintf(row->cells[COLUMN_FILE], CLI_TEXT_SIZE, "%s", item->file ? item->file : "-");
    text_of_u64(item->format, row->cells[COLUMN_FORMAT]);
    snprintf(row->cells[COLUMN_STATE], CLI_TEXT_SIZE, "%s", cli_item_state_name(item->state));
    text_of_u64(item->records, row->cells[COLUMN_RECORDS]);
    if (item->first_sequence > 0)
        text_of_u64(item->first_sequence, row->cells[COLUMN_FIRST]);
    else
        snprintf(row->cells[COLUMN_FIRST], CLI_TEXT_SIZE, "-");
    cli_text_of_bytes(item->bytes, row->cells[COLUMN_BYTES]);
    cli_text_of_bytes(item->bytes_total, row->cells[COLUMN_ALLOCATED]);
    if (item->created_ms > 0)
        cli_text_of_time(item->created_ms, false, row->cells[COLUMN_CREATED]);
    else
        snprintf(row->cells[COLUMN_CREATED], CLI_TEXT_SIZE, "-");

    if (item->state == NORI_LOG_STATE_DEAD)
        overview->dead++;
    else if (overview->oldest_file[0] == '\0') {
        memcpy(overview->oldest_file, row->cells[COLUMN_FILE], CLI_TEXT_SIZE);
        memcpy(overview->oldest_created, row->cells[COLUMN_CREATED], CLI_TEXT_SIZE);
    }
    return 0;
}

static void print_row(struct overview *overview, const struct row *row,
                      const int widths[COLUMN_COUNT])
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        bool is_left = i == COLUMN_FILE || i == COLUMN_STATE || i == COLUMN_CREATED;

        if (i + 1 == COLUMN_COUNT)
            cli_output_format(&overview->output, "%s\n", row->cells[i]);
        else if (is_left)
            cli_output_format(&overview->output, "%-*s  ", widths[i], row->cells[i]);
        else
            cli_output_format(&overview->output, "%*s  ", widths[i], row->cells[i]);
    }
}

static void print_table(struct overview *overview)
{
    static const struct row titles = {
        {"FILE", "FORMAT", "STATE", "RECORDS", "FIRST", "BYTES", "ALLOCATED", "CREATED"}};
    int widths[COLUMN_COUNT];
    uint64_t hidden = overview->seen - overview->row_count;

    overview->is_table_printed = true;
    if (overview->row_count == 0)
        return;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        widths[i] = (int)strlen(titles.cells[i]);
        for (size_t j = 0; j < overview->row_count; j++) {
            int width = (int)strlen(overview->rows[j].cells[i]);

            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    print_row(overview, &titles, widths);
    for (size_t j = 0; j < overview->row_count; j++) {
        size_t place = j;

        if (hidden > 0 && j == SHOWN_ENDS)
            cli_output_format(&overview->output, "... %" PRIu64 " more, shown with --all ...\n",
                              hidden);
        if (hidden > 0 && j >= SHOWN_ENDS) /* the circle begins at the oldest that it holds */
            place = SHOWN_ENDS + (size_t)((j + overview->seen) % SHOWN_ENDS);
        print_row(overview, &overview->rows[place], widths);
    }
    cli_output_text(&overview->output, "\n");
}

static void print_writer(struct overview *overview)
{
    const struct nori_wal_stats *stats = &overview->stats;
    char since[CLI_TEXT_SIZE], age[CLI_TEXT_SIZE];

    cli_output_text(&overview->output, "has it open");
    if (stats->size > 0 && stats->is_known && stats->is_writer_alive) {
        cli_output_format(&overview->output, ": process %" PRIu64 ", since %s (%s)",
                          stats->process_id, cli_text_of_time(stats->opened_ms, false, since),
                          cli_text_of_ns(overview->open_ns, age));
        cli_output_format(&overview->output, "\npolicy     %s",
                          cli_item_policy_name(stats->fsync_policy));
        if (stats->fsync_policy == NORI_FSYNC_BATCH)
            cli_output_format(&overview->output, ", %s",
                              cli_text_of_ns((uint64_t)stats->batch_window_us * 1000, age));
    }
    cli_output_text(&overview->output, "\n");
}

/* What is known only of a log that is whole. */
static void print_state(struct overview *overview, const struct nori_log_item *item)
{
    struct cli_output *output = &overview->output;

    cli_output_format(output, "end        %" PRIu64 ":%" PRIu64 "\n", item->position.segment_id,
                      item->position.offset);
    if (item->durable_lsn >= item->end_lsn)
        cli_output_text(output, "durable    all\n");
    else
        cli_output_format(output,
                          "durable    all but the last %" PRIu64 " bytes, as far as is known\n",
                          item->end_lsn - item->durable_lsn);
    cli_output_text(output, "writer     ");
    if (item->is_writer_alive)
        print_writer(overview);
    else if (item->was_clean)
        cli_output_text(output, "none; the last one closed it\n");
    else
        cli_output_text(output, "none; the last one did not close it\n");
}

static void print_latency(struct overview *overview, const char *name,
                          const struct nori_latency *latency)
{
    char count[CLI_TEXT_SIZE], p50[CLI_TEXT_SIZE], p99[CLI_TEXT_SIZE], p999[CLI_TEXT_SIZE],
        max[CLI_TEXT_SIZE];

    if (latency->count == 0)
        return;
    cli_output_format(&overview->output, "%-10s  %9s  %9s  %9s  %9s  %9s\n", name,
                      cli_text_of_count(latency->count, count),
                      cli_text_of_ns(latency->p50_ns, p50), cli_text_of_ns(latency->p99_ns, p99),
                      cli_text_of_ns(latency->p999_ns, p999), cli_text_of_ns(latency->max_ns, max));
}

static void print_rate(struct overview *overview, const char *name, uint64_t count)
{
    double seconds = (double)overview->stats.elapsed_ns / 1e9;
    char all[CLI_TEXT_SIZE], rate[CLI_TEXT_SIZE];

    cli_output_format(&overview->output, "%-10s  %9s  %9s\n", name, cli_text_of_count(count, all),
                      seconds > 0 ? cli_text_of_rate((double)count / seconds, rate) : "-");
}

static void print_rates(struct overview *overview)
{
    const struct nori_wal_stats *stats = &overview->stats;
    double seconds = (double)stats->elapsed_ns / 1e9;
    char all[CLI_TEXT_SIZE], rate[CLI_TEXT_SIZE];

    cli_output_format(&overview->output, "\n%-10s  %9s  %9s\n",
                      overview->interval_ns > 0 ? "INTERVAL" : "SINCE OPEN", "COUNT", "PER S");
    print_rate(overview, "appends", stats->appends);
    print_rate(overview, "records", stats->puts + stats->deletes);
    cli_output_format(
        &overview->output, "%-10s  %9s  %9s\n", "bytes",
        cli_text_of_bytes(stats->appended_bytes, all),
        seconds > 0
            ? cli_text_of_bytes(cli_per_second(stats->appended_bytes, stats->elapsed_ns), rate)
            : "-");
    print_rate(overview, "syncs", stats->syncs);
    print_rate(overview, "waits", stats->room_waits + stats->space_waits);
    print_rate(overview, "segments", stats->rolls);
    print_rate(overview, "errors",
               stats->errors_io + stats->errors_nospace + stats->errors_refused);
}

static void print_stalls(struct overview *overview)
{
    const struct nori_wal_stats *stats = &overview->stats;
    char age[CLI_TEXT_SIZE];

    for (uint32_t i = NORI_STALL_RING; i <= NORI_STALL_LOCK; i++) {
        uint64_t since_ms = stats->stalled_since_ms[i];

        if (since_ms > 0 && since_ms <= stats->sampled_ms)
            cli_output_format(&overview->output, "stalled    %s, for %s\n", nori_stall_name(i),
                              cli_text_of_ns((stats->sampled_ms - since_ms) * 1000000, age));
    }
}

/* Beside a live writer that shares its numbers. */
static void print_activity(struct overview *overview)
{
    const struct nori_wal_stats *stats = &overview->stats;
    char ring[CLI_TEXT_SIZE], used[CLI_TEXT_SIZE], ahead[CLI_TEXT_SIZE], spare[CLI_TEXT_SIZE];

    if (stats->size == 0 || !stats->is_writer_alive || !stats->is_known)
        return;
    if (stats->has_failed)
        cli_output_text(&overview->output,
                        "failed     yes: nothing is acknowledged until the log is opened again\n");
    cli_output_format(&overview->output, "ring       %s, of which %s are not written yet\n",
                      cli_text_of_bytes(stats->ring_bytes, ring),
                      cli_text_of_bytes(stats->ring_used, used));
    cli_output_format(&overview->output, "ahead      %s in the newest segment, %s in spare\n",
                      cli_text_of_bytes(stats->bytes_ahead, ahead),
                      cli_text_of_bytes(stats->spare_bytes, spare));
    print_stalls(overview);
    print_rates(overview);
    cli_output_format(&overview->output, "\n%-10s  %9s  %9s  %9s  %9s  %9s\n", "TIME OF", "COUNT",
                      "P50", "P99", "P99.9", "MAX");
    print_latency(overview, "encode", &stats->encode);
    print_latency(overview, "wait", &stats->wait);
    print_latency(overview, "write", &stats->write);
    print_latency(overview, "sync", &stats->sync);
    print_latency(overview, "wake", &stats->wake);
}

static void print_totals(struct overview *overview, const struct nori_log_item *item)
{
    struct cli_output *output = &overview->output;
    char bytes[CLI_TEXT_SIZE], allocated[CLI_TEXT_SIZE];

    cli_output_text(output, "log        ");
    cli_output_text(output, overview->dir);
    cli_output_format(output, "\nsegments   %" PRIu64, item->segments);
    if (overview->dead > 0)
        cli_output_format(output, ", and %" PRIu64 " dead", overview->dead);
    cli_output_format(output, "\nrecords    %" PRIu64, item->records);
    if (item->first_sequence > 0)
        cli_output_format(output, ", from sequence number %" PRIu64, item->first_sequence);
    cli_output_format(output, "\nbytes      %" PRIu64 " (%s), %s allocated\n", item->bytes,
                      cli_text_of_bytes(item->bytes, bytes),
                      cli_text_of_bytes(item->bytes_total, allocated));
    if (overview->oldest_file[0] != '\0')
        cli_output_format(output, "oldest     %s, created %s\n", overview->oldest_file,
                          overview->oldest_created);
    if (item->code == NORI_OK) {
        print_state(overview, item);
        print_activity(overview);
    }
}

static int report(void *context, const struct nori_log_item *item)
{
    struct overview *overview = context;
    int rc = 0;

    if (item->kind == NORI_LOG_FINDING && item->severity >= NORI_SEVERITY_ERROR)
        overview->errors++;
    if (overview->is_json) {
        if (item->kind == NORI_LOG_SUMMARY && overview->stats.size > 0)
            cli_item_json_stats(&overview->output, &overview->stats);
        cli_item_json(&overview->output, item);
    } else if (item->kind == NORI_LOG_SEGMENT) {
        rc = keep_segment(overview, item);
    } else if (item->kind == NORI_LOG_FINDING) {
        cli_item_finding(&overview->output, item, overview->has_colour);
    } else if (item->kind == NORI_LOG_SUMMARY) {
        print_table(overview);
        print_totals(overview, item);
    }
    return rc == 0 && overview->output.os_errno != 0 ? STOPPED : rc;
}

/* What goes wrong here goes wrong for nori_log_stat, too, which tells it. */
static void take_numbers(struct overview *overview)
{
    struct nori_wal_stats first = NORI_WAL_STATS_INIT;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    if (overview->interval_ns > 0) {
        if (nori_log_live_stats(overview->dir, NULL, &first, NULL) != NORI_OK)
            return;
        cli_sleep_ns(overview->interval_ns);
    }
    if (nori_log_live_stats(overview->dir, NULL, &stats, NULL) != NORI_OK)
        return;
    overview->open_ns = stats.elapsed_ns;
    if (overview->interval_ns > 0)
        (void)nori_wal_stats_between(&first, &stats, &stats);
    overview->stats = stats;
}

static int describe_log(struct overview *overview)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    take_numbers(overview);
    rc = nori_log_stat(overview->dir, NULL, report, overview, &error);

    if (rc == NORI_OK || rc == STOPPED)
        return CLI_GOOD;
    if (rc == NORI_E_CORRUPT && overview->errors > 0)
        return CLI_NEGATIVE; /* the findings said it */
    if (!overview->is_table_printed && !overview->is_json)
        print_table(overview);
    cli_output_flush(&overview->output);
    error.code = rc;
    return cli_fail("stat", overview->dir, &error);
}

int cli_stat(int argc, char **argv)
{
    struct overview overview = {.has_colour = cli_colour_is_wanted()};
    int status;

    status = read_options(&overview, argc, argv);
    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&overview.output, "stat");
    if (status != CLI_CONTINUE)
        return status;
    status = describe_log(&overview);
    status = cli_output_done(&overview.output, status);
    free(overview.rows);
    return status;
}
