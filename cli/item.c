/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * item.c: what the library reports about a log, printed.
 *
 * What. verify and stat get the same items from the library; here they become JSON, which is a
 * contract, and findings become sentences.
 *
 * Failure. None of its own.
 *
 * Not here. The table of segments: stat.c. The verdict: verify.c.
 */
#include "item.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "text.h"

const char *cli_item_state_name(uint32_t state)
{
    static const char *const names[] = {
        [NORI_LOG_STATE_LIVE] = "live",
        [NORI_LOG_STATE_NEWEST] = "newest",
        [NORI_LOG_STATE_DEAD] = "dead",
        [NORI_LOG_STATE_BAD] = "bad",
    };

    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static const char *severity_name(uint32_t severity)
{
    static const char *const names[] = {
        [NORI_SEVERITY_INFO] = "info",
        [NORI_SEVERITY_WARNING] = "warning",
        [NORI_SEVERITY_ERROR] = "error",
    };

    return severity < sizeof names / sizeof *names ? names[severity] : "unknown";
}

static void put_name(struct cli_output *output, const char *name)
{
    cli_output_text(output, ", \"");
    cli_output_text(output, name);
    cli_output_text(output, "\": ");
}

static void put_u64(struct cli_output *output, const char *name, uint64_t value)
{
    put_name(output, name);
    cli_output_u64(output, value);
}

/* Where 0 stands for "unknown" it is null. */
static void put_known(struct cli_output *output, const char *name, uint64_t value)
{
    put_name(output, name);
    if (value == 0)
        cli_output_text(output, "null");
    else
        cli_output_u64(output, value);
}

static void put_bool(struct cli_output *output, const char *name, bool value)
{
    put_name(output, name);
    cli_output_text(output, value ? "true" : "false");
}

static void put_string(struct cli_output *output, const char *name, const char *value)
{
    put_name(output, name);
    if (!value)
        cli_output_text(output, "null");
    else if (cli_utf8_is_valid((const unsigned char *)value, strlen(value)))
        cli_output_json(output, value, strlen(value));
    else
        cli_output_text(output, "\"?\"");
}

static void put_code(struct cli_output *output, int32_t code)
{
    put_string(output, "code", code == NORI_OK ? "NORI_OK" : nori_error_name(code));
}

static void put_segment(struct cli_output *output, const struct nori_log_item *item)
{
    cli_output_text(output, "{\"kind\": \"segment\"");
    put_string(output, "file", item->file);
    put_u64(output, "segment", item->position.segment_id);
    put_u64(output, "length", item->position.offset);
    put_string(output, "state", cli_item_state_name(item->state));
    put_u64(output, "format", item->format);
    put_u64(output, "node_id", item->node_id);
    put_u64(output, "records", item->records);
    put_known(output, "first_sequence", item->first_sequence);
    put_u64(output, "bytes", item->bytes);
    put_u64(output, "bytes_allocated", item->bytes_total);
    put_known(output, "created_ms", item->created_ms);
    put_u64(output, "start_lsn", item->start_lsn);
    put_u64(output, "end_lsn", item->end_lsn);
}

static void put_finding(struct cli_output *output, const struct nori_log_item *item)
{
    cli_output_text(output, "{\"kind\": \"finding\"");
    put_string(output, "severity", severity_name(item->severity));
    put_code(output, item->code);
    put_string(output, "file", item->file);
    put_u64(output, "segment", item->position.segment_id);
    put_u64(output, "offset", item->position.offset);
    put_u64(output, "bytes", item->bytes);
    put_u64(output, "records", item->records);
    put_string(output, "message", item->message);
    put_string(output, "advice", item->advice);
}

static void put_explanation(struct cli_output *output, const struct nori_log_item *item)
{
    cli_output_text(output, "{\"kind\": \"explanation\"");
    put_string(output, "file", item->file);
    put_u64(output, "segment", item->position.segment_id);
    put_u64(output, "offset", item->position.offset);
    put_string(output, "message", item->message);
    put_name(output, "data_hex");
    if (item->data) {
        cli_output_text(output, "\"");
        cli_output_hex(output, item->data, item->data_len);
        cli_output_text(output, "\"");
    } else {
        cli_output_text(output, "null");
    }
}

static void put_summary(struct cli_output *output, const struct nori_log_item *item)
{
    char log_id[CLI_TEXT_SIZE];

    snprintf(log_id, sizeof log_id, "%016" PRIx64, item->log_id);
    cli_output_text(output, "{\"kind\": \"summary\"");
    put_string(output, "severity", severity_name(item->severity));
    put_code(output, item->code);
    put_string(output, "log_id", item->log_id == 0 ? NULL : log_id);
    put_known(output, "format", item->format);
    put_u64(output, "segments", item->segments);
    put_u64(output, "records", item->records);
    put_known(output, "first_sequence", item->first_sequence);
    put_u64(output, "bytes", item->bytes);
    put_u64(output, "bytes_allocated", item->bytes_total);
    put_u64(output, "end_segment", item->position.segment_id);
    put_u64(output, "end_offset", item->position.offset);
    put_u64(output, "start_lsn", item->start_lsn);
    put_u64(output, "end_lsn", item->end_lsn);
    put_u64(output, "durable_lsn", item->durable_lsn);
    put_bool(output, "was_clean", item->was_clean != 0);
    put_bool(output, "is_writer_alive", item->is_writer_alive != 0);
    put_u64(output, "records_lost", item->records_lost);
    put_u64(output, "bytes_quarantined", item->bytes_quarantined);
    put_string(output, "message", item->message);
}

void cli_item_json(struct cli_output *output, const struct nori_log_item *item)
{
    switch (item->kind) {
    case NORI_LOG_SEGMENT:
        put_segment(output, item);
        break;
    case NORI_LOG_FINDING:
        put_finding(output, item);
        break;
    case NORI_LOG_SUMMARY:
        put_summary(output, item);
        break;
    case NORI_LOG_EXPLANATION:
        put_explanation(output, item);
        break;
    default:
        return; /* progress, and kinds of a later library */
    }
    cli_output_text(output, "}\n");
}

void cli_item_finding(struct cli_output *output, const struct nori_log_item *item, bool has_colour)
{
    cli_item_finding_with(output, item, has_colour, "what to do");
}

void cli_item_finding_with(struct cli_output *output, const struct nori_log_item *item,
                           bool has_colour, const char *what)
{
    enum cli_colour colour = item->severity >= NORI_SEVERITY_ERROR     ? CLI_COLOUR_RED
                             : item->severity == NORI_SEVERITY_WARNING ? CLI_COLOUR_YELLOW
                                                                       : CLI_COLOUR_OFF;

    cli_output_colour(output, has_colour, colour);
    cli_output_text(output, severity_name(item->severity));
    cli_output_colour(output, has_colour, CLI_COLOUR_OFF);
    cli_output_text(output, ": ");
    cli_output_text(output, item->message ? item->message : nori_strerror(item->code));
    cli_output_text(output, "\n");
    if (item->file) {
        cli_output_text(output, "  where: ");
        cli_output_text(output, item->file);
        cli_output_text(output, ", offset ");
        cli_output_u64(output, item->position.offset);
        cli_output_text(output, ", ");
        cli_output_u64(output, item->bytes);
        cli_output_text(output, item->bytes == 1 ? " byte\n" : " bytes\n");
    }
    if (item->advice) {
        cli_output_format(output, "  %s: ", what);
        cli_output_text(output, item->advice);
        cli_output_text(output, "\n");
    }
}

bool cli_colour_is_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color && no_color[0] != '\0')
        return false;
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void cli_output_colour(struct cli_output *output, bool has_colour, enum cli_colour colour)
{
    static const char *const sequences[] = {
        [CLI_COLOUR_OFF] = "\033[0m",
        [CLI_COLOUR_RED] = "\033[1;31m",
        [CLI_COLOUR_GREEN] = "\033[1;32m",
        [CLI_COLOUR_YELLOW] = "\033[1;33m",
    };

    if (has_colour)
        cli_output_text(output, sequences[colour]);
}
