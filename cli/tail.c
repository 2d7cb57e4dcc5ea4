/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tail.c: nori tail.
 *
 * What. Looks for the last records that were asked for, newest segment first, prints them as dump
 * does, and with -f goes on with what is appended, over rotations and other writers' lives, until
 * it is interrupted or nobody reads its output any more. Takes no lock and changes nothing.
 *
 * Waiting. The reader sleeps until a writer has news. It is looked up a few times a second whether
 * the output is still wanted.
 *
 * Failure. What was read before an error is printed before the error is told.
 *
 * Not here. How records are printed, and which: print.c.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "message.h"
#include "print.h"

#define COUNT_DEFAULT 10
#define COUNT_MAX     ((uint64_t)1 << 24) /* their places are kept in memory */
#define WAIT_MS       250                 /* between looks at the output */

struct tail {
    const char *dir;
    struct cli_print print;
    uint64_t count;
    bool has_count;
    bool is_following;

    uint64_t *segments; /* ids of the live ones, oldest first */
    size_t segment_count;
    size_t segment_capacity;
    struct nori_position *places; /* of the last `count` that are wanted: a ring */
    uint64_t found;               /* so many were put into it */
};

static volatile sig_atomic_t is_interrupted;

static const char help[] =
    "usage: nori tail [OPTIONS] DIR\n"
    "\n"
    "Print the last records of the log in DIR, 10 of them, oldest first. The log may be open for\n"
    "writing meanwhile. A line is what nori dump prints.\n"
    "\n"
    "  -f, --follow             go on with what is appended, until interrupted\n"
    "  -n, --count N            begin with the last N records; 0 with -f: only new ones\n"
    "\n"
    "Form\n"
    "  --json                   an object a line, for nori append --json and other programs\n"
    "  --hex                    keys and values as hexadecimal dumps\n"
    "  --raw                    values only, each with a newline behind it; no deletes\n"
    "\n"
    "Which records: the last of those that are left\n"
    "  --from SEGMENT[:OFFSET]  all from this position on instead, such as 3:128\n"
    "  --sequence N             none before this sequence number\n"
    "  --since TIME             leave out records known to be older: 2024-05-01T12:00:00Z,\n"
    "                           or Unix milliseconds\n"
    "  --key-prefix PREFIX      only records whose key begins like this\n"
    "  --limit N                print at most so many, then end\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 all printed, also if interrupted; 1 no log, damage (told, and what can be "
    "read\n"
    "behind it is printed), or what came next was removed; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori tail events\n"
    "  nori tail -f -n 0 --json --key-prefix user/ events | jq -r .value\n";

static const struct option known_options[] = {
    CLI_PRINT_OPTIONS,
    {"follow", no_argument, NULL, 'f'},
    {"count", required_argument, NULL, 'n'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_option(struct tail *tail, const struct cli_options *options, int id)
{
    switch (id) {
    case 'f':
        tail->is_following = true;
        return CLI_CONTINUE;
    case 'n':
        tail->has_count = true;
        return cli_option_u64(options, 0, COUNT_MAX, &tail->count);
    case 'h':
        return cli_output_help(options->command, help);
    default:
        return cli_print_option(&tail->print, options, id);
    }
}

static int read_options(struct tail *tail, int argc, char **argv)
{
    struct cli_options options = {"tail", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        int rc = take_option(tail, &options, id);

        if (rc != CLI_CONTINUE)
            return rc;
    }
    if (tail->has_count && tail->print.has_from)
        return cli_usage("tail", "only one of --count and --from");
    return cli_options_dir(&options, &tail->dir);
}

/* ---- where to begin ---- */

static int note_segment(void *context, const struct nori_log_item *item)
{
    struct tail *tail = context;

    if (item->kind != NORI_LOG_SEGMENT || item->state > NORI_LOG_STATE_NEWEST)
        return 0;
    if (tail->segment_count == tail->segment_capacity) {
        size_t capacity = tail->segment_capacity ? tail->segment_capacity * 2 : 64;
        uint64_t *segments = realloc(tail->segments, capacity * sizeof *segments);

        if (!segments)
            return NORI_E_NOMEM;
        tail->segments = segments;
        tail->segment_capacity = capacity;
    }
    tail->segments[tail->segment_count++] = item->position.segment_id;
    return 0;
}

static int open_at(const struct tail *tail, struct nori_position position, nori_reader **ret_reader,
                   struct nori_error *error)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;

    config.flags = NORI_READER_PREAD; /* a bad sector is told, it does not kill */
    return nori_reader_open_with(tail->dir, &config, position, ret_reader, error);
}

/* Read from a segment's beginning to the end of the log and keep the places of the last records
 * that are wanted. What ends it before is met again when they are printed. */
static int find_from(struct tail *tail, struct nori_position begin, struct nori_error *error)
{
    nori_reader *reader = NULL;
    struct nori_position place, damage = {UINT64_MAX, 0};
    struct nori_record record;
    int rc = open_at(tail, begin, &reader, error);

    if (rc < 0)
        return rc;
    tail->found = 0;
    for (;;) {
        struct nori_error here = NORI_ERROR_INIT;

        rc = nori_reader_next(reader, &record, &place);
        if (rc == NORI_OK && tail->count > 0 && cli_print_is_wanted(&tail->print, &record))
            tail->places[tail->found++ % tail->count] = place;
        if (rc == NORI_OK)
            continue;
        if (rc != NORI_E_CORRUPT || nori_reader_last_error(reader, &here) != NORI_OK ||
            (here.position.segment_id == damage.segment_id &&
             here.position.offset == damage.offset))
            break;
        damage = here.position; /* it may go on behind it */
    }
    nori_reader_close(reader);
    return NORI_OK;
}

/* The place of the record to begin with. In steps that double, since most of the log need not be
 * read. NORI_END: at the end of the log. */
static int find_begin(struct tail *tail, struct nori_position *ret_begin, struct nori_error *error)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    size_t step = 1;
    int rc;

    /* Whatever is wrong with the log is met when it is read. */
    (void)nori_log_stat(tail->dir, &options, note_segment, tail, NULL);
    for (size_t i = tail->segment_count;; step *= 2) {
        i = i > step ? i - step : 0;
        *ret_begin = (struct nori_position){i > 0 ? tail->segments[i] : 0, 0};
        rc = find_from(tail, *ret_begin, error);
        if (rc == NORI_E_NOTFOUND && i > 0)
            continue; /* it was dropped just now */
        if (rc < 0 || tail->found >= tail->count || i == 0)
            break;
    }
    if (rc >= 0 && tail->found > 0)
        *ret_begin = tail->places[tail->found < tail->count ? 0 : tail->found % tail->count];
    return rc;
}

/* ---- printing ---- */

/* Print what there is: NORI_OK (enough), NORI_END or an error. */
static int print_on(struct tail *tail, nori_reader *reader, uint64_t limit)
{
    struct cli_print *print = &tail->print;
    struct nori_position position;
    struct nori_record record;

    while (print->printed < limit && print->output.os_errno == 0 && !is_interrupted) {
        int rc = cli_print_next(print, reader, tail->dir, &record, &position);

        if (rc != NORI_OK)
            return rc;
        if (cli_print_is_wanted(print, &record))
            cli_print_record(print, &record, position);
    }
    return NORI_OK;
}

/* Has whoever read the output gone? A pipe tells before anything is written to it. */
static bool is_unread(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLNVAL));
}

static int follow(struct tail *tail, nori_reader *reader)
{
    for (;;) {
        int rc = print_on(tail, reader, tail->print.limit);

        if (rc != NORI_END || !cli_output_flush(&tail->print.output))
            return rc == NORI_END ? NORI_OK : rc;
        do {
            if (is_interrupted || is_unread())
                return NORI_OK;
            rc = nori_reader_wait(reader, WAIT_MS);
        } while (rc == NORI_E_TIMEOUT);
    }
}

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* Pass over what is there already. */
static int skip_all(struct tail *tail, nori_reader *reader)
{
    struct nori_position position;
    struct nori_record record;
    int rc;

    do
        rc = cli_print_next(&tail->print, reader, tail->dir, &record, &position);
    while (rc == NORI_OK);
    return rc;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int tail_log(struct tail *tail)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position begin = tail->print.from;
    uint64_t limit = tail->print.limit;
    nori_reader *reader = NULL;
    int rc = NORI_OK;

    if (!tail->print.has_from)
        rc = find_begin(tail, &begin, &error);
    if (rc >= 0)
        rc = open_at(tail, begin, &reader, &error);
    if (rc < 0)
        return cli_fail("tail", tail->dir, &error);
    if (tail->is_following) {
        catch_interrupts();
        if (!tail->print.has_from && tail->count == 0)
            rc = skip_all(tail, reader);
        if (rc >= 0)
            rc = follow(tail, reader);
    } else {
        /* What was appended meanwhile is not among the last that were looked for. */
        if (!tail->print.has_from)
            limit = least(limit, least(tail->count, tail->found));
        rc = print_on(tail, reader, limit);
    }
    rc = cli_print_end(&tail->print, reader, tail->dir, rc);
    nori_reader_close(reader);
    return rc;
}

static int no_memory(void)
{
    cli_message("tail", "no memory for the places of so many records");
    return CLI_IO;
}

int cli_tail(int argc, char **argv)
{
    struct tail tail = {.print = {.limit = UINT64_MAX, .now_ms = cli_unix_time_ms()},
                        .count = COUNT_DEFAULT};
    int status = read_options(&tail, argc, argv);

    if (status != CLI_CONTINUE)
        return status;
    tail.places = calloc(tail.count > 0 ? (size_t)tail.count : 1, sizeof *tail.places);
    status = cli_output_init(&tail.print.output, "tail");
    if (status == CLI_CONTINUE && !tail.places)
        status = no_memory();
    if (status == CLI_CONTINUE)
        status = tail_log(&tail);
    free(tail.places);
    free(tail.segments);
    return cli_output_done(&tail.print.output, status);
}
