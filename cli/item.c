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

const char *cli_item_policy_name(uint32_t policy)
{
    static const char *const names[] = {
        [NORI_FSYNC_BATCH] = "batch",
        [NORI_FSYNC_ALWAYS] = "always",
        [NORI_FSYNC_OS] = "os",
    };

    return policy < sizeof names / sizeof *names ? names[policy] : "unknown";
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

static void put_rate(struct cli_output *output, const char *name, uint64_t count,
                     uint64_t elapsed_ns)
{
    put_name(output, name);
    if (elapsed_ns == 0)
        cli_output_text(output, "null");
    else
        cli_output_format(output, "%.3f", (double)count / ((double)elapsed_ns / 1e9));
}

/* {0, 0} is no place. */
static void put_place(struct cli_output *output, const char *name, struct nori_position position,
                      uint64_t lsn)
{
    put_name(output, name);
    if (position.segment_id == 0 && position.offset == 0)
        cli_output_text(output, "{\"segment\": null, \"offset\": null");
    else
        cli_output_format(output, "{\"segment\": %" PRIu64 ", \"offset\": %" PRIu64,
                          position.segment_id, position.offset);
    put_u64(output, "lsn", lsn);
    cli_output_text(output, "}");
}

static void put_latency(struct cli_output *output, const char *name,
                        const struct nori_latency *latency)
{
    put_name(output, name);
    cli_output_format(output, "{\"count\": %" PRIu64, latency->count);
    put_u64(output, "sum_ns", latency->sum_ns);
    put_u64(output, "p50_ns", latency->p50_ns);
    put_u64(output, "p99_ns", latency->p99_ns);
    put_u64(output, "p999_ns", latency->p999_ns);
    put_u64(output, "max_ns", latency->max_ns);
    cli_output_text(output, "}");
}

static void put_stalls(struct cli_output *output, const struct nori_wal_stats *stats)
{
    put_name(output, "stalls");
    for (uint32_t i = NORI_STALL_RING; i <= NORI_STALL_LOCK; i++) {
        cli_output_format(output, "%s\"%s\": {\"count\": %" PRIu64,
                          i == NORI_STALL_RING ? "{" : ", ", nori_stall_name(i), stats->stalls[i]);
        put_known(output, "since_ms", stats->stalled_since_ms[i]);
        cli_output_text(output, "}");
    }
    cli_output_text(output, "}");
}

static void put_counts(struct cli_output *output, const struct nori_wal_stats *stats)
{
    put_known(output, "elapsed_ns", stats->elapsed_ns);
    put_u64(output, "appends", stats->appends);
    put_u64(output, "batches", stats->batches);
    put_u64(output, "puts", stats->puts);
    put_u64(output, "deletes", stats->deletes);
    put_u64(output, "appended_bytes", stats->appended_bytes);
    put_u64(output, "room_waits", stats->room_waits);
    put_u64(output, "space_waits", stats->space_waits);
    put_u64(output, "syncs", stats->syncs);
    put_u64(output, "rolls", stats->rolls);
    put_u64(output, "drops", stats->drops);
    put_u64(output, "errors_io", stats->errors_io);
    put_u64(output, "errors_nospace", stats->errors_nospace);
    put_u64(output, "errors_refused", stats->errors_refused);
    put_rate(output, "appends_per_s", stats->appends, stats->elapsed_ns);
    put_rate(output, "records_per_s", stats->puts + stats->deletes, stats->elapsed_ns);
    put_rate(output, "bytes_per_s", stats->appended_bytes, stats->elapsed_ns);
    put_rate(output, "syncs_per_s", stats->syncs, stats->elapsed_ns);
}

void cli_item_json_stats(struct cli_output *output, const struct nori_wal_stats *stats)
{
    cli_output_text(output, "{\"kind\": \"stats\"");
    put_bool(output, "is_writer_alive", stats->is_writer_alive != 0);
    put_bool(output, "is_known", stats->is_known != 0);
    put_bool(output, "was_closed", stats->was_closed != 0);
    put_bool(output, "has_failed", stats->has_failed != 0);
    put_known(output, "format", stats->format);
    put_string(output, "policy",
               stats->is_known ? cli_item_policy_name(stats->fsync_policy) : NULL);
    put_known(output, "batch_window_us", stats->batch_window_us);
    put_known(output, "process_id", stats->process_id);
    put_known(output, "opened_ms", stats->opened_ms);
    put_u64(output, "sampled_ms", stats->sampled_ms);
    put_u64(output, "segments", stats->segments);
    put_u64(output, "bytes", stats->bytes);
    put_u64(output, "bytes_ahead", stats->bytes_ahead);
    put_u64(output, "spare_bytes", stats->spare_bytes);
    put_known(output, "segment_size_max", stats->segment_size_max);
    put_place(output, "oldest", stats->oldest, stats->oldest_lsn);
    put_place(output, "durable", stats->durable, stats->durable_lsn);
    put_place(output, "written", stats->written, stats->written_lsn);
    put_place(output, "appended", stats->appended, stats->appended_lsn);
    put_u64(output, "lag_bytes", stats->lag_bytes);
    put_u64(output, "ring_bytes", stats->ring_bytes);
    put_u64(output, "ring_used", stats->ring_used);
    put_counts(output, stats);
    put_latency(output, "encode", &stats->encode);
    put_latency(output, "wait", &stats->wait);
    put_latency(output, "write", &stats->write);
    put_latency(output, "sync", &stats->sync);
    put_latency(output, "wake", &stats->wake);
    put_stalls(output, stats);
    cli_output_text(output, "}\n");
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
