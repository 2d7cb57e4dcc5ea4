/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * print.c: records as dump and tail print them, which of them, and the options that say so.
 *
 * Failure. A wrong option is told at once. A failed write is remembered by the output.
 */
#include "print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "json_record.h"
#include "message.h"
#include "text.h"

static int take_form(struct cli_print *print, const char *command, enum cli_form form)
{
    if (print->has_form && print->form != form)
        return cli_usage(command, "only one of --json, --hex and --raw");
    print->form = form;
    print->has_form = true;
    return CLI_CONTINUE;
}

int cli_print_option(struct cli_print *print, const struct cli_options *options, int id)
{
    switch (id) {
    case CLI_OPTION_JSON:
        return take_form(print, options->command, CLI_FORM_JSON);
    case CLI_OPTION_HEX:
        return take_form(print, options->command, CLI_FORM_HEX);
    case CLI_OPTION_RAW:
        return take_form(print, options->command, CLI_FORM_RAW);
    case CLI_OPTION_FROM:
        print->has_from = true;
        return cli_option_position(options, &print->from);
    case CLI_OPTION_SEQUENCE:
        return cli_option_u64(options, 0, UINT64_MAX, &print->sequence_min);
    case CLI_OPTION_SINCE:
        return cli_option_time(options, &print->since_ms);
    case CLI_OPTION_KEY_PREFIX:
        print->key_prefix = options->value;
        print->key_prefix_len = strlen(options->value);
        return CLI_CONTINUE;
    case CLI_OPTION_LIMIT:
        return cli_option_u64(options, 0, UINT64_MAX, &print->limit);
    default:
        return CLI_USAGE;
    }
}

bool cli_print_is_wanted(const struct cli_print *print, const struct nori_record *record)
{
    if (record->sequence < print->sequence_min)
        return false;
    if ((record->flags & NORI_RECORD_TIME) && record->time_ms < print->since_ms)
        return false;
    if (print->key_prefix_len == 0)
        return true;
    return record->key_len >= print->key_prefix_len &&
           memcmp(record->key, print->key_prefix, print->key_prefix_len) == 0;
}

static const char *compression_name(const struct nori_record *record)
{
    switch (record->compression) {
    case NORI_COMPRESSION_LZ4:
    case NORI_COMPRESSION_ZSTD:
        return cli_compression_names[record->compression];
    default:
        return cli_compression_names[NORI_COMPRESSION_NONE];
    }
}

static void put_json_u64(struct cli_output *output, bool is_given, uint64_t value)
{
    if (is_given)
        cli_output_u64(output, value);
    else
        cli_output_text(output, "null");
}

/* The exact form is a contract: programs outside read it, and nori append --json. */
static void print_json(struct cli_output *output, const struct nori_record *record,
                       struct nori_position position)
{
    cli_output_text(output, "{\"segment\": ");
    cli_output_u64(output, position.segment_id);
    cli_output_text(output, ", \"offset\": ");
    cli_output_u64(output, position.offset);
    cli_output_text(output, ", \"sequence\": ");
    cli_output_u64(output, record->sequence);
    cli_output_text(output, ", \"key_hex\": \"");
    cli_output_hex(output, record->key, record->key_len);
    cli_output_text(output, "\", \"value_hex\": \"");
    cli_output_hex(output, record->value, record->value_len);
    cli_output_text(output, "\", \"tombstone\": ");
    cli_output_text(output, record->flags & NORI_RECORD_TOMBSTONE ? "true" : "false");
    cli_output_text(output, ", \"ttl_ms\": ");
    put_json_u64(output, record->flags & NORI_RECORD_TTL, record->ttl_ms);
    cli_output_text(output, ", \"time_ms\": ");
    put_json_u64(output, record->flags & NORI_RECORD_TIME, record->time_ms);
    cli_output_text(output, ", \"version\": ");
    if (record->flags & NORI_RECORD_VERSION) {
        cli_output_text(output, "{\"term\": ");
        cli_output_u64(output, record->version_term);
        cli_output_text(output, ", \"index\": ");
        cli_output_u64(output, record->version_index);
        cli_output_text(output, "}");
    } else {
        cli_output_text(output, "null");
    }
    cli_output_text(output, ", \"compression\": \"");
    cli_output_text(output, compression_name(record));
    cli_output_text(output, "\"");
    if (cli_utf8_is_valid(record->key, record->key_len)) {
        cli_output_text(output, ", \"key\": ");
        cli_output_json(output, record->key, record->key_len);
    }
    if (cli_utf8_is_valid(record->value, record->value_len)) {
        cli_output_text(output, ", \"value\": ");
        cli_output_json(output, record->value, record->value_len);
    }
    cli_output_text(output, "}\n");
}

/* What a record has besides key and value, each with a tab before it. */
static void print_extras(struct cli_output *output, const struct nori_record *record,
                         uint64_t now_ms)
{
    char time[CLI_TEXT_SIZE];

    if (record->flags & NORI_RECORD_TTL) {
        cli_output_text(output, "\tttl_ms=");
        cli_output_u64(output, record->ttl_ms);
    }
    if (record->flags & NORI_RECORD_TIME) {
        cli_output_text(output, "\ttime=");
        cli_output_text(output, cli_text_of_time(record->time_ms, true, time));
    }
    if ((record->flags & NORI_RECORD_TTL) && nori_record_is_expired(record, now_ms))
        cli_output_text(output, "\texpired");
    if (record->flags & NORI_RECORD_VERSION) {
        cli_output_text(output, "\tversion=");
        cli_output_u64(output, record->version_term);
        cli_output_text(output, ":");
        cli_output_u64(output, record->version_index);
    }
    if (record->compression != NORI_COMPRESSION_NONE) {
        cli_output_text(output, "\tcompression=");
        cli_output_text(output, compression_name(record));
    }
    if (record->flags & NORI_RECORD_BATCH_CONTINUES)
        cli_output_text(output, "\tbatch");
}

/* Position, sequence number and what it does, with tabs between. */
static void print_head(struct cli_output *output, const struct nori_record *record,
                       struct nori_position position)
{
    cli_output_u64(output, position.segment_id);
    cli_output_text(output, ":");
    cli_output_u64(output, position.offset);
    cli_output_text(output, "\t");
    cli_output_u64(output, record->sequence);
    cli_output_text(output, record->flags & NORI_RECORD_TOMBSTONE ? "\tdelete" : "\tput");
}

static void print_text(const struct cli_print *print, struct cli_output *output,
                       const struct nori_record *record, struct nori_position position)
{
    print_head(output, record, position);
    cli_output_text(output, "\t");
    cli_output_quoted(output, record->key, record->key_len);
    cli_output_text(output, "\t");
    cli_output_quoted(output, record->value, record->value_len);
    print_extras(output, record, print->now_ms);
    cli_output_text(output, "\n");
}

static void print_hex(const struct cli_print *print, struct cli_output *output,
                      const struct nori_record *record, struct nori_position position)
{
    print_head(output, record, position);
    print_extras(output, record, print->now_ms);
    cli_output_format(output, "\n key, %zu bytes\n", record->key_len);
    cli_output_hexdump(output, record->key, record->key_len);
    cli_output_format(output, " value, %zu bytes\n", record->value_len);
    cli_output_hexdump(output, record->value, record->value_len);
}

void cli_print_record(struct cli_print *print, const struct nori_record *record,
                      struct nori_position position)
{
    struct cli_output *output = &print->output;

    switch (print->form) {
    case CLI_FORM_TEXT:
        print_text(print, output, record, position);
        break;
    case CLI_FORM_JSON:
        print_json(output, record, position);
        break;
    case CLI_FORM_HEX:
        print_hex(print, output, record, position);
        break;
    case CLI_FORM_RAW:
        if (record->flags & NORI_RECORD_TOMBSTONE)
            return; /* it has no value */
        cli_output_bytes(output, record->value, record->value_len);
        cli_output_text(output, "\n");
        break;
    }
    print->printed++;
}

/* The place of the error that ended a read, if it is one behind which reading goes on: a hole, or a
 * value that does not decompress. It is told then. */
static bool goes_on(struct cli_print *print, nori_reader *reader, const char *dir)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position before = print->damage;

    if (nori_reader_last_error(reader, &error) != NORI_OK || error.code != NORI_E_CORRUPT)
        return false;
    print->damage = error.position;
    if (print->is_damaged && error.position.segment_id == before.segment_id &&
        error.position.offset == before.offset)
        return false; /* it was told already */
    print->is_damaged = true;
    cli_output_flush(&print->output); /* it is told behind what could be read */
    (void)cli_fail(print->output.command, dir, &error);
    return true;
}

int cli_print_next(struct cli_print *print, nori_reader *reader, const char *dir,
                   struct nori_record *ret_record, struct nori_position *ret_position)
{
    int rc;

    do
        rc = nori_reader_next(reader, ret_record, ret_position);
    while (rc == NORI_E_CORRUPT && goes_on(print, reader, dir));
    return rc;
}

int cli_print_end(struct cli_print *print, nori_reader *reader, const char *dir, int rc)
{
    struct nori_error error = NORI_ERROR_INIT;

    if (rc >= 0 || (rc == NORI_E_CORRUPT && print->is_damaged))
        return print->is_damaged ? CLI_NEGATIVE : CLI_GOOD;
    cli_output_flush(&print->output); /* the error is told behind what could be read */
    if (nori_reader_last_error(reader, &error) != NORI_OK || error.code != rc)
        error = (struct nori_error)NORI_ERROR_INIT;
    error.code = rc;
    return cli_fail(print->output.command, dir, &error);
}

uint64_t cli_unix_time_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
