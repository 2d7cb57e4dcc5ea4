/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repair.c: nori repair.
 *
 * What. The library mends the log and reports what it found, what it did about it and where the
 * evidence is; this prints it.
 *
 * Failure. What was done until then is printed before the error is told.
 *
 * Not here. How a finding looks: item.c.
 */
#include <stdbool.h>
#include <stdio.h>

#include <nori/wal.h>

#include "cli.h"
#include "item.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "text.h"

#define STOPPED 1000 /* what the report returns when standard output fails */

struct repair {
    const char *dir;
    bool is_json;
    bool has_colour;
    struct nori_log_options options;
    struct cli_output output;
    struct cli_progress progress;
};

static const char help[] =
    "usage: nori repair [OPTIONS] DIR\n"
    "\n"
    "Mend the damaged log in DIR. Without an option everything before the first damage is kept, "
    "and\n"
    "the log ends there. What is taken out of the log is never deleted: it lies in "
    "DIR/quarantine,\n"
    "each piece beside a text file that says what it is. A sound log is left as it is, and so is "
    "one\n"
    "that a writer has open. Copy the folder away first, if you can.\n"
    "\n"
    "  --dry-run                say what would be done, and change nothing\n"
    "  --salvage                keep what lies behind damage, too: only the damaged stretches go\n"
    "  --json                   an object a line: kind finding or summary\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 repaired, or nothing to do; 1 --dry-run found damage, or a writer has the log\n"
    "open, or there is none; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori repair --dry-run --salvage events\n"
    "  nori repair --salvage events && nori verify events\n";

enum option_id {
    OPTION_JSON = 256,
    OPTION_DRY_RUN,
    OPTION_SALVAGE
};

static const struct option known_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"salvage", no_argument, NULL, OPTION_SALVAGE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_options(struct repair *repair, int argc, char **argv)
{
    struct cli_options options = {"repair", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        switch (id) {
        case OPTION_JSON:
            repair->is_json = true;
            break;
        case OPTION_DRY_RUN:
            repair->options.flags |= NORI_LOG_DRY_RUN;
            break;
        case OPTION_SALVAGE:
            repair->options.flags |= NORI_LOG_SALVAGE;
            break;
        case 'h':
            return cli_output_help("repair", help);
        default:
            return CLI_USAGE;
        }
    }
    return cli_options_dir(&options, &repair->dir);
}

static void print_summary(struct repair *repair, const struct nori_log_item *item)
{
    struct cli_output *output = &repair->output;
    bool is_dry = (repair->options.flags & NORI_LOG_DRY_RUN) != 0;
    char bytes[CLI_TEXT_SIZE];

    cli_output_colour(output, repair->has_colour,
                      item->code == NORI_OK ? CLI_COLOUR_GREEN : CLI_COLOUR_RED);
    cli_output_text(output, item->message ? item->message : "done");
    cli_output_colour(output, repair->has_colour, CLI_COLOUR_OFF);
    cli_output_format(output, ": %llu records %s", (unsigned long long)item->records,
                      is_dry ? "can be read" : "are in it");
    if (item->records_lost > 0)
        cli_output_format(output, ", %llu %s", (unsigned long long)item->records_lost,
                          is_dry ? "are damaged" : "are lost to it");
    if (item->bytes_quarantined > 0)
        cli_output_format(output, "; %s of evidence in %s/quarantine",
                          cli_text_of_bytes(item->bytes_quarantined, bytes), repair->dir);
    cli_output_text(output, "\n");
}

static int report(void *context, const struct nori_log_item *item)
{
    struct repair *repair = context;
    bool is_dry = (repair->options.flags & NORI_LOG_DRY_RUN) != 0;

    if (item->kind == NORI_LOG_PROGRESS) {
        cli_progress_update(&repair->progress, UINT64_MAX, item->bytes, item->bytes_total);
        return 0;
    }
    cli_progress_clear(&repair->progress);
    if (repair->is_json)
        cli_item_json(&repair->output, item);
    else if (item->kind == NORI_LOG_FINDING)
        cli_item_finding_with(&repair->output, item, repair->has_colour,
                              is_dry ? "would be done" : "done");
    else if (item->kind == NORI_LOG_SUMMARY)
        print_summary(repair, item);
    /* A repair that has begun goes on, whoever listens. */
    return is_dry && repair->output.os_errno != 0 ? STOPPED : 0;
}

static int repair_log(struct repair *repair)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_repair(repair->dir, &repair->options, report, repair, &error);

    cli_progress_clear(&repair->progress);
    if (rc == NORI_OK || rc == STOPPED)
        return CLI_GOOD;
    if (rc == NORI_E_CORRUPT && (repair->options.flags & NORI_LOG_DRY_RUN))
        return CLI_NEGATIVE; /* the findings said it */
    cli_output_flush(&repair->output);
    error.code = rc;
    return cli_fail("repair", repair->dir, &error);
}

int cli_repair(int argc, char **argv)
{
    struct repair repair = {.has_colour = cli_colour_is_wanted(), .options = NORI_LOG_OPTIONS_INIT};
    int status = read_options(&repair, argc, argv);

    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&repair.output, "repair");
    if (status != CLI_CONTINUE)
        return status;
    cli_progress_init(&repair.progress, "repair", true);
    status = repair_log(&repair);
    return cli_output_done(&repair.output, status);
}
