/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verify.c: nori verify.
 *
 * What. The library checks every byte of a log and reports; this prints findings as sentences and a
 * verdict at the end.
 *
 * Failure. Damage is an answer, told by findings, the verdict and exit status 1. What kept the
 * check itself from finishing is told on standard error.
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

struct verify {
    const char *dir;
    bool is_json;
    bool has_colour;
    struct cli_output output;
    struct cli_progress progress;
    uint64_t errors; /* findings that are damage */
};

static const char help[] =
    "usage: nori verify [OPTIONS] DIR\n"
    "\n"
    "Check every byte of the log in DIR and say what is wrong, where, and what to do about it.\n"
    "Nothing is changed. The log may be open for writing meanwhile.\n"
    "A torn tail, which a crash may leave, is no damage: the next nori append goes on before it.\n"
    "\n"
    "  --json                   an object a line: kind segment, finding or summary\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 the log is sound; 1 it is damaged, or there is none; 2 wrong usage; 3 I/O "
    "error.\n"
    "\n"
    "Examples\n"
    "  nori verify events && rsync -a events/ backup/\n"
    "  nori verify --json events | jq 'select(.kind == \"finding\")'\n";

static int read_options(struct verify *verify, int argc, char **argv)
{
    struct cli_options options = {.command = "verify", .argc = argc, .argv = argv};
    int rc = cli_options_json(&options, help, &verify->is_json);

    if (rc != CLI_CONTINUE)
        return rc;
    return cli_options_dir(&options, &verify->dir);
}

static void print_verdict(struct verify *verify, const struct nori_log_item *item)
{
    struct cli_output *output = &verify->output;
    bool is_sound = item->code == NORI_OK && verify->errors == 0;
    char bytes[CLI_TEXT_SIZE];

    cli_output_colour(output, verify->has_colour, is_sound ? CLI_COLOUR_GREEN : CLI_COLOUR_RED);
    cli_output_text(output, item->message ? item->message : is_sound ? "sound" : "not sound");
    cli_output_colour(output, verify->has_colour, CLI_COLOUR_OFF);
    cli_output_text(output, ": ");
    cli_output_u64(output, item->records);
    cli_output_text(output, item->records == 1 ? " record in " : " records in ");
    cli_output_u64(output, item->segments);
    cli_output_text(output, item->segments == 1 ? " segment, " : " segments, ");
    cli_output_text(output, cli_text_of_bytes(item->bytes, bytes));
    cli_output_text(output, "\n");
}

static int report(void *context, const struct nori_log_item *item)
{
    struct verify *verify = context;

    if (item->kind == NORI_LOG_PROGRESS) {
        cli_progress_update(&verify->progress, UINT64_MAX, item->bytes, item->bytes_total);
        return 0;
    }
    if (item->kind == NORI_LOG_FINDING && item->severity >= NORI_SEVERITY_ERROR)
        verify->errors++;
    if (verify->is_json) {
        cli_item_json(&verify->output, item);
    } else if (item->kind == NORI_LOG_FINDING) {
        cli_progress_clear(&verify->progress);
        cli_item_finding(&verify->output, item, verify->has_colour);
        cli_output_flush(&verify->output); /* a long check tells at once */
    } else if (item->kind == NORI_LOG_SUMMARY) {
        print_verdict(verify, item);
    }
    return verify->output.os_errno != 0 ? STOPPED : 0;
}

static int verify_log(struct verify *verify)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_verify(verify->dir, NULL, report, verify, &error);

    cli_progress_clear(&verify->progress);
    if (rc == NORI_OK)
        return verify->errors > 0 ? CLI_NEGATIVE : CLI_GOOD;
    if (rc == STOPPED)
        return CLI_GOOD; /* cli_output_done() says why */
    if (rc == NORI_E_CORRUPT && verify->errors > 0)
        return CLI_NEGATIVE; /* the findings said it */
    cli_output_flush(&verify->output);
    error.code = rc;
    return cli_fail("verify", verify->dir, &error);
}

int cli_verify(int argc, char **argv)
{
    struct verify verify = {.has_colour = cli_colour_is_wanted()};
    int status;

    status = read_options(&verify, argc, argv);
    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&verify.output, "verify");
    if (status != CLI_CONTINUE)
        return status;
    cli_progress_init(&verify.progress, "verify", true);
    status = verify_log(&verify);
    return cli_output_done(&verify.output, status);
}
