/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * append.c: nori append.
 *
 * What. Lines of standard input become records. They are appended in groups: those that are in the
 * input buffer anyway go into the log in one call, which makes a million small records a second
 * possible; a reader of the input cannot tell. With --batch the user says what belongs together,
 * with --ack every record stands for itself.
 *
 * Failure. A line that is no record ends the command: what stands before it is appended, it and
 * what follows is not (of an unfinished --batch nothing is). Whatever ends the command early, it
 * says how many records are in the log.
 *
 * Not here. Lines: input.c. JSON: json_record.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nori/wal.h>

#include "cli.h"
#include "input.h"
#include "json_record.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"

#define GROUP_RECORDS       512
#define GROUP_BYTES         ((size_t)256 * 1024)
#define ACK_RECORDS         8192 /* how many wait together for being durable */
#define BATCH_RECORDS_MAX   1000000
#define RECORD_SIZE_DEFAULT ((uint64_t)64 * 1024 * 1024) /* the library's */
#define RECORD_SIZE_MAX     ((uint64_t)1024 * 1024 * 1024)
#define SEGMENT_SIZE_MIN    ((uint64_t)1024 * 1024)
#define NO_SEPARATOR        (-1)

/* How records are put together before they are appended. */
enum grouping {
    GROUP_AS_READ,   /* what one read of the input brought */
    GROUP_BATCH,     /* exactly --batch records, the last batch may be smaller */
    GROUP_ONE_BY_ONE /* each for itself */
};

/* Where a record came from. Offsets count from the first line of its group: the input buffer may
 * move meanwhile. */
struct source {
    uint64_t line; /* its number, from 1 */
    size_t key_begin;
    size_t value_begin;
};

struct append {
    /* From the command line. */
    struct nori_wal_config config;
    const char *dir;
    bool is_json;
    bool has_ack;
    int separator; /* between key and value; NO_SEPARATOR: the line is the value */
    uint32_t compression;
    uint64_t batch_records; /* 0: not given */

    nori_wal *wal;
    struct cli_input input;
    struct cli_output output; /* what --ack prints */
    struct cli_progress progress;
    uint64_t input_bytes_total; /* 0: unknown */

    /* The group that is being collected. Its bytes lie in the input buffer. */
    enum grouping grouping;
    struct nori_record *records;
    struct nori_position *positions;
    struct source *sources;
    size_t count;
    size_t count_max;
    size_t bytes; /* of its lines, never fewer than of its records */
    size_t bytes_max;
    size_t input_begin; /* of its first line in the input buffer */

    uint64_t line;        /* the number of the last line read, from 1 */
    uint64_t input_bytes; /* of all lines read */
    uint64_t appended;    /* records */
};

static const char help[] =
    "usage: nori append [OPTIONS] DIR\n"
    "\n"
    "Append records, read from standard input, to the log in DIR, which is created if there is "
    "none.\n"
    "By default each line is a value with an empty key.\n"
    "\n"
    "What is read\n"
    "  --key-separator CHAR     a line is KEY CHAR VALUE; CHAR is one character or \\t\n"
    "  --json                   a line is an object such as nori dump --json prints:\n"
    "                             {\"key\": \"k\", \"value\": \"v\", \"ttl_ms\": 1500}\n"
    "                           with key or key_hex, value or value_hex, tombstone, ttl_ms, "
    "time_ms,\n"
    "                           version {term, index}, compression. Bytes that are not UTF-8 go "
    "into\n"
    "                           key_hex and value_hex, which win. Other members are ignored.\n"
    "\n"
    "How it is stored\n"
    "  --policy always|batch|os when records survive a power cut: before the append returns; "
    "within\n"
    "                           the window (default); when a segment ends and at the end\n"
    "  --window TIME            for --policy batch: 500us, 5ms (default), up to 1s\n"
    "  --compression none|lz4|zstd\n"
    "                           for records that do not say; default none\n"
    "  --segment-size SIZE      of segment files; default 128MiB, at least 1MiB\n"
    "  --max-record-size SIZE   of key and value, or of a whole batch; default 64MiB, up to 1GiB\n"
    "  --format 1|2             of segments; default 2; 1 is the one of the Rust crate, and\n"
    "                           goes on only in a log that has none of format 2\n"
    "  --preallocate auto|off|reserve|zero\n"
    "                           how space is taken ahead of need\n"
    "  --node-id N              stored in segment headers\n"
    "\n"
    "How it is appended\n"
    "  --batch N                N records at a time as one atomic batch: after a crash all or "
    "none\n"
    "                           of them are there. The last batch may be smaller.\n"
    "  --ack                    print the position of each record, SEGMENT:OFFSET, once it is "
    "durable\n"
    "                           (with --json an object)\n"
    "  -h, --help               this text\n"
    "\n"
    "Without --batch and --ack records that arrive together are appended in groups of up to 512;\n"
    "a crash keeps or loses a group as a whole. --batch 1 turns that off and is slower.\n"
    "At the end everything is durable. A line that cannot be understood ends the command with "
    "status 2;\n"
    "the lines before it are in the log.\n"
    "\n"
    "Exit status: 0 all appended; 1 the log is damaged or locked; 2 wrong usage or input; 3 I/O "
    "error.\n"
    "\n"
    "Examples\n"
    "  journalctl -f -o cat | nori append --policy batch --window 20ms events\n"
    "  nori dump --json old | nori append --json --segment-size 16MiB new\n";

enum option_id {
    OPTION_KEY_SEPARATOR = 256,
    OPTION_JSON,
    OPTION_POLICY,
    OPTION_WINDOW,
    OPTION_COMPRESSION,
    OPTION_SEGMENT_SIZE,
    OPTION_MAX_RECORD_SIZE,
    OPTION_FORMAT,
    OPTION_PREALLOCATE,
    OPTION_NODE_ID,
    OPTION_BATCH,
    OPTION_ACK
};

static const struct option known_options[] = {
    {"key-separator", required_argument, NULL, OPTION_KEY_SEPARATOR},
    {"json", no_argument, NULL, OPTION_JSON},
    {"policy", required_argument, NULL, OPTION_POLICY},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"compression", required_argument, NULL, OPTION_COMPRESSION},
    {"segment-size", required_argument, NULL, OPTION_SEGMENT_SIZE},
    {"max-record-size", required_argument, NULL, OPTION_MAX_RECORD_SIZE},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"preallocate", required_argument, NULL, OPTION_PREALLOCATE},
    {"node-id", required_argument, NULL, OPTION_NODE_ID},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"ack", no_argument, NULL, OPTION_ACK},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* In the order of enum nori_fsync_policy and enum nori_preallocate. */
static const char *const policy_names[] = {"batch", "always", "os", NULL};
static const char *const preallocate_names[] = {"auto", "off", "reserve", "zero", NULL};

static int take_u32(const struct cli_options *options, uint32_t min, uint32_t max,
                    uint32_t *ret_value)
{
    uint64_t value;
    int rc = cli_option_u64(options, min, max, &value);

    if (rc == CLI_CONTINUE)
        *ret_value = (uint32_t)value;
    return rc;
}

static int take_separator(const struct cli_options *options, int *ret_separator)
{
    const char *value = options->value;

    if (strcmp(value, "\\t") == 0) {
        *ret_separator = '\t';
        return CLI_CONTINUE;
    }
    if (value[0] == '\0' || value[1] != '\0' || value[0] == '\n')
        return cli_usage(options->command, "--key-separator '%s': expected one character, or \\t",
                         value);
    *ret_separator = (unsigned char)value[0];
    return CLI_CONTINUE;
}

static int take_option(struct append *append, const struct cli_options *options, int id)
{
    struct nori_wal_config *config = &append->config;

    switch (id) {
    case OPTION_KEY_SEPARATOR:
        return take_separator(options, &append->separator);
    case OPTION_JSON:
        append->is_json = true;
        return CLI_CONTINUE;
    case OPTION_POLICY:
        return cli_option_choice(options, policy_names, &config->fsync_policy);
    case OPTION_WINDOW:
        return cli_option_window(options, &config->batch_window_us);
    case OPTION_COMPRESSION:
        return cli_option_choice(options, cli_compression_names, &append->compression);
    case OPTION_SEGMENT_SIZE:
        return cli_option_size(options, SEGMENT_SIZE_MIN, UINT64_MAX, &config->max_segment_size);
    case OPTION_MAX_RECORD_SIZE:
        return cli_option_size(options, 1, RECORD_SIZE_MAX, &config->max_record_size);
    case OPTION_FORMAT:
        return take_u32(options, 1, 2, &config->format);
    case OPTION_PREALLOCATE:
        return cli_option_choice(options, preallocate_names, &config->preallocate);
    case OPTION_NODE_ID:
        return take_u32(options, 0, UINT32_MAX, &config->node_id);
    case OPTION_BATCH:
        return cli_option_u64(options, 1, BATCH_RECORDS_MAX, &append->batch_records);
    case OPTION_ACK:
        append->has_ack = true;
        return CLI_CONTINUE;
    case 'h':
        return cli_output_help(options->command, help);
    default:
        return CLI_USAGE;
    }
}

static int read_options(struct append *append, int argc, char **argv)
{
    struct cli_options options = {"append", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        int rc = take_option(append, &options, id);

        if (rc != CLI_CONTINUE)
            return rc;
    }
    if (append->is_json && append->separator != NO_SEPARATOR)
        return cli_usage("append", "--key-separator makes no sense with --json");
    if (append->config.batch_window_us != 0 && append->config.fsync_policy != NORI_FSYNC_BATCH)
        return cli_usage("append", "--window makes no sense with --policy %s",
                         policy_names[append->config.fsync_policy]);
    return cli_options_dir(&options, &append->dir);
}

/* How large the input buffer may grow: for the largest record, written in the longest way, or the
 * largest batch. */
static size_t input_size_max(const struct append *append)
{
    uint64_t record_size = append->config.max_record_size;
    uint64_t text_per_byte = append->is_json ? 8 : 1; /* "\u0000", and hexadecimal beside it */
    uint64_t text_per_record =
        append->is_json ? 4096 : 2; /* the names of the members; separator and newline */

    if (record_size == 0)
        record_size = RECORD_SIZE_DEFAULT;
    record_size = record_size * text_per_byte + append->count_max * text_per_record;
    return record_size < SIZE_MAX / 2 ? (size_t)record_size : SIZE_MAX / 2;
}

/* What belongs into one call of the library, and how much of it at most. */
static void choose_grouping(struct append *append)
{
    uint64_t record_size = append->config.max_record_size;

    append->grouping = GROUP_AS_READ;
    append->count_max = GROUP_RECORDS;
    append->bytes_max = GROUP_BYTES;
    if (record_size > 0 && record_size < GROUP_BYTES)
        append->bytes_max = (size_t)record_size; /* it limits what is appended together, too */
    if (append->batch_records > 1) {
        append->grouping = GROUP_BATCH;
        append->count_max = (size_t)append->batch_records;
        append->bytes_max = SIZE_MAX; /* the library decides */
    } else if (append->batch_records == 1 || append->has_ack) {
        append->grouping = GROUP_ONE_BY_ONE;
        append->count_max = ACK_RECORDS;
    }
}

static int prepare(struct append *append)
{
    struct stat about_input;

    choose_grouping(append);
    append->records = calloc(append->count_max, sizeof *append->records);
    append->positions = calloc(append->count_max, sizeof *append->positions);
    append->sources = calloc(append->count_max, sizeof *append->sources);
    if (!append->records || !append->positions || !append->sources ||
        !cli_input_init(&append->input, input_size_max(append))) {
        cli_message("append", "no memory for the input buffer");
        return CLI_IO;
    }
    if (fstat(STDIN_FILENO, &about_input) == 0 && S_ISREG(about_input.st_mode))
        append->input_bytes_total = (uint64_t)about_input.st_size;
    cli_progress_init(&append->progress, "append",
                      !isatty(STDIN_FILENO) && !(append->has_ack && isatty(STDOUT_FILENO)));
    return cli_output_init(&append->output, "append");
}

static int open_log(struct append *append)
{
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    append->config.dir = append->dir;
    rc = nori_wal_open(&append->config, &append->wal, &info, &error);
    if (rc < 0)
        return cli_fail("append", append->dir, &error);
    if (info.bytes_truncated > 0)
        cli_message("append", "note: %s", info.message);
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        cli_message("append", "one record a line; end with Ctrl-D");
    return CLI_CONTINUE;
}

/* What this thread's last call on the log failed with. */
static struct nori_error last_error(nori_wal *wal, int code)
{
    struct nori_error error = NORI_ERROR_INIT;

    if (code == NORI_E_FAILED && nori_wal_failure(wal, &error) == NORI_OK)
        return error;
    error = (struct nori_error)NORI_ERROR_INIT;
    if (nori_wal_last_error(wal, &error) != NORI_OK || error.code != code) {
        error = (struct nori_error)NORI_ERROR_INIT;
        error.code = code;
    }
    return error;
}

/* The log refused. first to last: the records in question, if it is about them. */
static int complain_about_log(struct append *append, int code, size_t first, size_t last)
{
    struct nori_error error = last_error(append->wal, code);
    const char *message = error.message[0] ? error.message : nori_strerror(code);
    bool is_about_record =
        code == NORI_E_TOOBIG || code == NORI_E_INVALID || code == NORI_E_UNSUPPORTED;

    cli_progress_clear(&append->progress);
    if (!is_about_record)
        cli_message("append", "%s", message);
    else if (first == last)
        cli_message("append", "line %llu: %s", (unsigned long long)append->sources[first].line,
                    message);
    else
        cli_message("append", "lines %llu to %llu: %s",
                    (unsigned long long)append->sources[first].line,
                    (unsigned long long)append->sources[last].line, message);
    return cli_hint(append->dir, &error);
}

static void print_positions(struct append *append)
{
    for (size_t i = 0; i < append->count; i++) {
        const struct nori_position *position = &append->positions[i];

        cli_output_text(&append->output, append->is_json ? "{\"segment\": " : "");
        cli_output_u64(&append->output, position->segment_id);
        cli_output_text(&append->output, append->is_json ? ", \"offset\": " : ":");
        cli_output_u64(&append->output, position->offset);
        cli_output_text(&append->output, append->is_json ? "}\n" : "\n");
    }
    cli_output_flush(&append->output);
}

static int append_records(struct append *append)
{
    const char *base = append->input.bytes + append->input_begin;
    int rc;

    for (size_t i = 0; i < append->count; i++) {
        append->records[i].key = base + append->sources[i].key_begin;
        append->records[i].value = base + append->sources[i].value_begin;
    }
    if (append->grouping != GROUP_ONE_BY_ONE) {
        rc = nori_wal_append_batch(append->wal, append->records, append->count, append->positions);
        if (rc < 0)
            return complain_about_log(append, rc, 0, append->count - 1);
        append->appended += append->count;
        return CLI_CONTINUE;
    }
    for (size_t i = 0; i < append->count; i++) {
        rc = nori_wal_append(append->wal, &append->records[i], &append->positions[i]);
        if (rc < 0) {
            append->count = i; /* those before are in the log and are acknowledged */
            return complain_about_log(append, rc, i, i);
        }
        append->appended++;
    }
    return CLI_CONTINUE;
}

/* Append what was collected, and with --ack wait and tell. */
static int append_group(struct append *append)
{
    int status = CLI_CONTINUE;
    int rc;

    if (append->count == 0)
        return CLI_CONTINUE;
    status = append_records(append);
    if (append->has_ack && append->count > 0 &&
        (status == CLI_CONTINUE || append->grouping == GROUP_ONE_BY_ONE)) {
        rc = nori_wal_wait_durable(append->wal, append->positions[append->count - 1], -1);
        if (rc < 0)
            return status == CLI_CONTINUE ? complain_about_log(append, rc, 0, 0) : status;
        print_positions(append);
    }
    append->count = 0;
    append->bytes = 0;
    cli_progress_update(&append->progress, append->appended, append->input_bytes,
                        append->input_bytes_total);
    return status;
}

static int complain_about_line(struct append *append, const char *problem)
{
    int rc = CLI_CONTINUE;

    if (append->grouping != GROUP_BATCH)
        rc = append_group(append);
    cli_progress_clear(&append->progress);
    if (rc != CLI_CONTINUE)
        return rc;
    cli_message("append", "line %llu: %s", (unsigned long long)append->line, problem);
    fputs("hint: correct the line, then append it and those after it; see: nori append --help\n",
          stderr);
    return CLI_USAGE;
}

static bool is_blank(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    }
    return true;
}

/* Make a record from a line of text. False: there is no separator in it. */
static bool split_line(const struct append *append, const char *line, size_t len,
                       struct nori_record *record)
{
    const char *separator;

    record->key = line;
    record->value = line;
    record->value_len = len;
    if (append->separator == NO_SEPARATOR)
        return true;
    separator = len > 0 ? memchr(line, append->separator, len) : NULL;
    if (!separator)
        return false;
    record->key_len = (size_t)(separator - line);
    record->value = separator + 1;
    record->value_len = len - record->key_len - 1;
    return true;
}

/* Make the next record of the group from a line. */
static int collect_line(struct append *append, char *line, size_t len)
{
    struct nori_record *record = &append->records[append->count];
    const char *base = append->input.bytes + append->input_begin;
    char problem[CLI_JSON_PROBLEM_SIZE] = "";

    *record = (struct nori_record){.compression = append->compression};
    if (append->is_json && is_blank(line, len))
        return CLI_CONTINUE;
    if (append->is_json && !cli_json_record(line, len, record, problem))
        return complain_about_line(append, problem);
    if (!append->is_json && !split_line(append, line, len, record))
        return complain_about_line(append, "there is no key separator in it");

    append->sources[append->count] = (struct source){
        .line = append->line,
        .key_begin = record->key ? (size_t)((const char *)record->key - base) : 0,
        .value_begin = record->value ? (size_t)((const char *)record->value - base) : 0,
    };
    append->count++;
    append->bytes += len;
    return CLI_CONTINUE;
}

/* Append all lines that are in the input buffer, except those of a --batch that is not full. */
static int append_lines(struct append *append)
{
    size_t len;
    char *line;

    while (cli_input_next(&append->input, &line, &len)) {
        bool is_full = append->count == append->count_max ||
                       (append->count > 0 && append->bytes + len > append->bytes_max);
        int rc = is_full ? append_group(append) : CLI_CONTINUE;

        if (rc != CLI_CONTINUE)
            return rc;
        if (append->count == 0)
            append->input_begin = (size_t)(line - append->input.bytes);
        append->line++;
        append->input_bytes += len + 1;
        rc = collect_line(append, line, len);
        if (rc != CLI_CONTINUE)
            return rc;
    }
    if (append->grouping == GROUP_BATCH && append->count < append->count_max &&
        !append->input.is_at_end)
        return CLI_CONTINUE;
    return append_group(append);
}

static int complain_about_input(struct append *append, enum cli_input_result result)
{
    struct nori_error error = NORI_ERROR_INIT;
    int os_errno = errno;

    cli_progress_clear(&append->progress);
    if (result == CLI_INPUT_ERROR) {
        cli_message("append", "reading standard input: %s", strerror(os_errno));
        return CLI_IO;
    }
    error.code = result == CLI_INPUT_NOMEM ? NORI_E_NOMEM : NORI_E_TOOBIG;
    cli_message("append", "line %llu: %s too long%s", (unsigned long long)append->line + 1,
                append->count > 0 ? "it and those of its batch before it are" : "it is",
                result == CLI_INPUT_NOMEM ? " for the memory there is" : "");
    return cli_hint(append->dir, &error);
}

static int fill_input(struct append *append)
{
    size_t keep = append->count > 0 ? append->input_begin : append->input.line_begin;
    enum cli_input_result result = cli_input_fill(&append->input, keep);

    append->input_begin = 0;
    return result == CLI_INPUT_OK ? CLI_CONTINUE : complain_about_input(append, result);
}

static int append_input(struct append *append)
{
    int rc;

    for (;;) {
        rc = append_lines(append);
        if (rc != CLI_CONTINUE)
            return rc;
        if (append->input.is_at_end)
            return CLI_GOOD;
        rc = fill_input(append);
        if (rc != CLI_CONTINUE)
            return rc;
    }
}

/* Everything is durable, or it is told what went wrong. */
static int close_log(struct append *append, int status)
{
    int rc = nori_wal_sync(append->wal);

    cli_progress_clear(&append->progress);
    if (rc < 0 && status == CLI_GOOD)
        status = complain_about_log(append, rc, 0, 0);
    rc = nori_wal_close(append->wal);
    if (rc < 0 && status == CLI_GOOD) {
        struct nori_error error = NORI_ERROR_INIT;

        error.code = rc;
        status = cli_fail("append", append->dir, &error);
    }
    if (status != CLI_GOOD)
        cli_message("append", "%llu %s appended before that", (unsigned long long)append->appended,
                    append->appended == 1 ? "record was" : "records were");
    return status;
}

int cli_append(int argc, char **argv)
{
    struct append append = {.config = NORI_WAL_CONFIG_INIT, .separator = NO_SEPARATOR};
    int status;

    status = read_options(&append, argc, argv);
    if (status != CLI_CONTINUE)
        return status;
    status = prepare(&append);
    if (status == CLI_CONTINUE)
        status = open_log(&append);
    if (status == CLI_CONTINUE) {
        status = append_input(&append);
        status = close_log(&append, status);
    }
    status = cli_output_done(&append.output, status);
    cli_input_done(&append.input);
    free(append.sources);
    free(append.positions);
    free(append.records);
    return status;
}
