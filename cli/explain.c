/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explain.c: nori explain.
 *
 * What. The library says in sentences what lies at a place of a log; this prints them, and the
 * bytes.
 *
 * Failure. What was reported before an error is printed before the error is told.
 *
 * Not here. JSON: item.c. How bytes look: output.c.
 */
#include <stdbool.h>
#include <stdio.h>

#include <nori/wal.h>

#include "cli.h"
#include "item.h"
#include "message.h"
#include "options.h"
#include "output.h"

#define STOPPED   1000 /* what the report returns when standard output fails */
#define SHOWN_MAX ((size_t)1024)

struct explain {
    const char *dir;
    bool is_json;
    struct nori_log_options options;
    struct cli_output output;
};

static const char help[] =
    "usage: nori explain [OPTIONS] DIR [POSITION]\n"
    "\n"
    "Say what lies at POSITION, segment:offset: header, record, mark, hole, damage or unused "
    "space;\n"
    "which watermarks cover it, and how recovery judges it; and show its bytes. Without a "
    "position:\n"
    "how the log hangs together. Nothing is changed. The log may be open for writing meanwhile.\n"
    "\n"
    "  --json                   an object a line: kind explanation\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 good; 1 there is no such log or segment; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori explain events\n"
    "  nori explain events 3:65536\n";

static int read_options(struct explain *explain, int argc, char **argv)
{
    struct cli_options options = {.command = "explain", .argc = argc, .argv = argv};
    int rc = cli_options_json(&options, help, &explain->is_json);

    if (rc != CLI_CONTINUE)
        return rc;
    return cli_options_dir_and_position(&options, &explain->dir, &explain->options.position);
}

static int report(void *context, const struct nori_log_item *item)
{
    struct explain *explain = context;
    struct cli_output *output = &explain->output;

    if (explain->is_json) {
        cli_item_json(output, item);
    } else if (item->kind == NORI_LOG_EXPLANATION) {
        if (item->file && explain->options.position.segment_id == 0 &&
            explain->options.position.offset == 0)
            cli_output_format(output, "%s: ", item->file);
        cli_output_text(output, item->message);
        cli_output_text(output, item->data ? ":\n" : "\n");
        if (item->data)
            cli_output_hexdump(output, item->data,
                               item->data_len < SHOWN_MAX ? item->data_len : SHOWN_MAX);
        if (item->data_len > SHOWN_MAX)
            cli_output_text(output, "  ...\n");
    }
    return output->os_errno != 0 ? STOPPED : 0;
}

static int explain_log(struct explain *explain)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_explain(explain->dir, &explain->options, report, explain, &error);

    if (rc == NORI_OK || rc == STOPPED)
        return CLI_GOOD;
    cli_output_flush(&explain->output);
    error.code = rc;
    return cli_fail("explain", explain->dir, &error);
}

int cli_explain(int argc, char **argv)
{
    struct explain explain = {.options = NORI_LOG_OPTIONS_INIT};
    int status = read_options(&explain, argc, argv);

    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&explain.output, "explain");
    if (status != CLI_CONTINUE)
        return status;
    status = explain_log(&explain);
    return cli_output_done(&explain.output, status);
}
