/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dump.c: nori dump.
 *
 * What. Reads a log from a position on, passes over the records that were not asked for, and prints
 * the others in one of four forms. Takes no lock and changes nothing; beside a live writer it ends
 * where the log ends at that moment.
 *
 * Failure. What was read before an error is printed before the error is told.
 *
 * Not here. How bytes are printed: output.c.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nori/wal.h>

#include "cli.h"
#include "json_record.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "text.h"

#define PROGRESS_RECORDS 1024 /* power of two */

enum form {
    FORM_TEXT,
    FORM_JSON,
    FORM_HEX,
    FORM_RAW
};

struct dump {
    /* From the command line. */
    const char *dir;
    enum form form;
    bool has_form;
    struct nori_position from;
    uint64_t sequence_min;
    uint64_t since_ms;
    uint64_t limit;
    const char *key_prefix;
    size_t key_prefix_len;

    struct cli_output output;
    struct cli_progress progress;
    uint64_t now_ms;  /* Unix time at the start: what has expired by then is marked */
    uint64_t read;    /* records */
    uint64_t bytes;   /* of their keys and values */
    uint64_t printed; /* records */
};

static const char help[] =
    "usage: nori dump [OPTIONS] DIR\n"
    "\n"
    "Print the records of the log in DIR, oldest first. The log may be open for writing "
    "meanwhile.\n"
    "A line holds, separated by tabs: position (SEGMENT:OFFSET), sequence number, put or delete,\n"
    "key, value, and what else the record has (ttl_ms, time, expired, version, compression;\n"
    "batch: the next record belongs to the same atomic batch). Keys and values stand in quotes,\n"
    "with \\\", \\\\, \\n, \\r, \\t and \\xNN for what cannot be printed.\n"
    "\n"
    "Form\n"
    "  --json                   an object a line, for nori append --json and other programs\n"
    "  --hex                    keys and values as hexadecimal dumps\n"
    "  --raw                    values only, each with a newline behind it; no deletes\n"
    "\n"
    "Which records\n"
    "  --from SEGMENT[:OFFSET]  begin at this position, such as 3:128\n"
    "  --sequence N             begin at this sequence number\n"
    "  --since TIME             leave out records known to be older: 2024-05-01T12:00:00Z,\n"
    "                           or Unix milliseconds\n"
    "  --key-prefix PREFIX      only records whose key begins like this\n"
    "  --limit N                at most so many\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 all printed; 1 no log, or damage behind the last record printed; 2 wrong "
    "usage;\n"
    "3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori dump --limit 10 --key-prefix user/ events\n"
    "  nori dump --json events | jq -r .value\n";

enum option_id {
    OPTION_JSON = 256,
    OPTION_HEX,
    OPTION_RAW,
    OPTION_FROM,
    OPTION_SEQUENCE,
    OPTION_SINCE,
    OPTION_KEY_PREFIX,
    OPTION_LIMIT
};

static const struct option known_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"hex", no_argument, NULL, OPTION_HEX},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"from", required_argument, NULL, OPTION_FROM},
    {"sequence", required_argument, NULL, OPTION_SEQUENCE},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"key-prefix", required_argument, NULL, OPTION_KEY_PREFIX},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_form(struct dump *dump, enum form form)
{
    if (dump->has_form && dump->form != form)
        return cli_usage("dump", "only one of --json, --hex and --raw");
    dump->form = form;
    dump->has_form = true;
    return CLI_CONTINUE;
}

static int take_option(struct dump *dump, const struct cli_options *options, int id)
{
    switch (id) {
    case OPTION_JSON:
        return take_form(dump, FORM_JSON);
    case OPTION_HEX:
        return take_form(dump, FORM_HEX);
    case OPTION_RAW:
        return take_form(dump, FORM_RAW);
    case OPTION_FROM:
        return cli_option_position(options, &dump->from);
    case OPTION_SEQUENCE:
        return cli_option_u64(options, 0, UINT64_MAX, &dump->sequence_min);
    case OPTION_SINCE:
        return cli_option_time(options, &dump->since_ms);
    case OPTION_KEY_PREFIX:
        dump->key_prefix = options->value;
        dump->key_prefix_len = strlen(options->value);
        return CLI_CONTINUE;
    case OPTION_LIMIT:
        return cli_option_u64(options, 0, UINT64_MAX, &dump->limit);
    case 'h':
        return cli_output_help(options->command, help);
    default:
        return CLI_USAGE;
    }
}

static int read_options(struct dump *dump, int argc, char **argv)
{
    struct cli_options options = {"dump", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        int rc = take_option(dump, &options, id);

        if (rc != CLI_CONTINUE)
            return rc;
    }
    return cli_options_dir(&options, &dump->dir);
}

static bool is_wanted(const struct dump *dump, const struct nori_record *record)
{
    if (record->sequence < dump->sequence_min)
        return false;
    if ((record->flags & NORI_RECORD_TIME) && record->time_ms < dump->since_ms)
        return false;
    if (dump->key_prefix_len == 0)
        return true;
    return record->key_len >= dump->key_prefix_len &&
           memcmp(record->key, dump->key_prefix, dump->key_prefix_len) == 0;
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

static void print_text(const struct dump *dump, struct cli_output *output,
                       const struct nori_record *record, struct nori_position position)
{
    print_head(output, record, position);
    cli_output_text(output, "\t");
    cli_output_quoted(output, record->key, record->key_len);
    cli_output_text(output, "\t");
    cli_output_quoted(output, record->value, record->value_len);
    print_extras(output, record, dump->now_ms);
    cli_output_text(output, "\n");
}

static void print_hex(const struct dump *dump, struct cli_output *output,
                      const struct nori_record *record, struct nori_position position)
{
    print_head(output, record, position);
    print_extras(output, record, dump->now_ms);
    cli_output_format(output, "\n key, %zu bytes\n", record->key_len);
    cli_output_hexdump(output, record->key, record->key_len);
    cli_output_format(output, " value, %zu bytes\n", record->value_len);
    cli_output_hexdump(output, record->value, record->value_len);
}

static void print_record(struct dump *dump, const struct nori_record *record,
                         struct nori_position position)
{
    struct cli_output *output = &dump->output;

    switch (dump->form) {
    case FORM_TEXT:
        print_text(dump, output, record, position);
        break;
    case FORM_JSON:
        print_json(output, record, position);
        break;
    case FORM_HEX:
        print_hex(dump, output, record, position);
        break;
    case FORM_RAW:
        if (record->flags & NORI_RECORD_TOMBSTONE)
            return; /* it has no value */
        cli_output_bytes(output, record->value, record->value_len);
        cli_output_text(output, "\n");
        break;
    }
    dump->printed++;
}

/* Print what is wanted. Returns what ended it: NORI_OK (enough), NORI_END or an error. */
static int print_records(struct dump *dump, nori_reader *reader)
{
    struct nori_position position;
    struct nori_record record;

    while (dump->printed < dump->limit && dump->output.os_errno == 0) {
        int rc = nori_reader_next(reader, &record, &position);

        if (rc != NORI_OK)
            return rc;
        dump->read++;
        dump->bytes += record.key_len + record.value_len;
        if (is_wanted(dump, &record))
            print_record(dump, &record, position);
        if (dump->read % PROGRESS_RECORDS == 0)
            cli_progress_update(&dump->progress, dump->read, dump->bytes, 0);
    }
    return NORI_OK;
}

static int dump_log(struct dump *dump)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    int rc;

    config.flags = NORI_READER_PREAD; /* a bad sector is told, it does not kill */
    rc = nori_reader_open_with(dump->dir, &config, dump->from, &reader, &error);
    if (rc < 0)
        return cli_fail("dump", dump->dir, &error);
    rc = print_records(dump, reader);
    cli_progress_clear(&dump->progress);
    if (rc < 0) {
        cli_output_flush(&dump->output); /* the error is told behind what could be read */
        if (nori_reader_last_error(reader, &error) != NORI_OK || error.code != rc)
            error = (struct nori_error)NORI_ERROR_INIT;
        error.code = rc;
        rc = cli_fail("dump", dump->dir, &error);
    } else {
        rc = CLI_GOOD;
    }
    nori_reader_close(reader);
    return rc;
}

static uint64_t unix_time_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int cli_dump(int argc, char **argv)
{
    struct dump dump = {.limit = UINT64_MAX, .now_ms = unix_time_ms()};
    int status;

    status = read_options(&dump, argc, argv);
    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&dump.output, "dump");
    if (status != CLI_CONTINUE)
        return status;
    cli_progress_init(&dump.progress, "dump", !isatty(STDOUT_FILENO));
    status = dump_log(&dump);
    return cli_output_done(&dump.output, status);
}
