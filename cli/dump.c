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
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "message.h"
#include "print.h"
#include "progress.h"

#define PROGRESS_RECORDS 1024 /* power of two */

struct dump {
    const char *dir;
    struct cli_print print;
    struct cli_progress progress;
    uint64_t read;  /* records */
    uint64_t bytes; /* of their keys and values */
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
    "Exit status: 0 all printed; 1 no log, or damage: told, and what can be read behind it\n"
    "is printed; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori dump --limit 10 --key-prefix user/ events\n"
    "  nori dump --json events | jq -r .value\n";

static const struct option known_options[] = {
    CLI_PRINT_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_options(struct dump *dump, int argc, char **argv)
{
    struct cli_options options = {"dump", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        int rc = id == 'h' ? cli_output_help(options.command, help)
                           : cli_print_option(&dump->print, &options, id);

        if (rc != CLI_CONTINUE)
            return rc;
    }
    return cli_options_dir(&options, &dump->dir);
}

/* Print what is wanted. Returns what ended it: NORI_OK (enough), NORI_END or an error. */
static int print_records(struct dump *dump, nori_reader *reader)
{
    struct cli_print *print = &dump->print;
    struct nori_position position;
    struct nori_record record;

    while (print->printed < print->limit && print->output.os_errno == 0) {
        int rc = cli_print_next(print, reader, dump->dir, &record, &position);

        if (rc != NORI_OK)
            return rc;
        dump->read++;
        dump->bytes += record.key_len + record.value_len;
        if (cli_print_is_wanted(print, &record))
            cli_print_record(print, &record, position);
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
    rc = nori_reader_open_with(dump->dir, &config, dump->print.from, &reader, &error);
    if (rc < 0)
        return cli_fail("dump", dump->dir, &error);
    rc = print_records(dump, reader);
    cli_progress_clear(&dump->progress);
    rc = cli_print_end(&dump->print, reader, dump->dir, rc);
    nori_reader_close(reader);
    return rc;
}

int cli_dump(int argc, char **argv)
{
    struct dump dump = {.print = {.limit = UINT64_MAX, .now_ms = cli_unix_time_ms()}};
    int status;

    status = read_options(&dump, argc, argv);
    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&dump.print.output, "dump");
    if (status != CLI_CONTINUE)
        return status;
    cli_progress_init(&dump.progress, "dump", !isatty(STDOUT_FILENO));
    status = dump_log(&dump);
    return cli_output_done(&dump.print.output, status);
}
