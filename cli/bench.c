/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench.c: nori bench.
 *
 * What. Reads the options and hands them to the engine, which measures and prints.
 *
 * Not here. The engine: bench/ beside this folder.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "engine.h"
#include "message.h"
#include "options.h"
#include "output.h"

#define SECONDS_MIN 0.01
#define SECONDS_MAX 60

static const char help[] =
    "usage: nori bench [OPTIONS] DIR\n"
    "\n"
    "Measure how fast a log in DIR is, beside its floors: the least that anything with the same\n"
    "duty has to do, in the same run. DIR is a new or empty folder on the disk in question, with\n"
    "4 GiB to spare; what is made in it is removed. It takes some ten minutes.\n"
    "\n"
    "  --quick                  shorter runs, and fewer: less than a minute, and less exact\n"
    "  --only TEXT              the cases whose name has TEXT in it, such as 'always, 4' or read\n"
    "  --rounds NUMBER          how often each is run, 1 to 99 (default 5)\n"
    "  --seconds SECONDS        length of runs that are limited by time (default 0.5)\n"
    "  --peers                  also beside other stores, if this tool was built with them\n"
    "  --histograms             draw how the latencies of calls are spread below each table\n"
    "  --report FILE            also write a web page with plots, in one file\n"
    "  --json                   an object a line: kind machine, result, latencies, requirement or\n"
    "                           summary\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 all was measured, whether or not each requirement is met; 2 wrong usage, or\n"
    "DIR is not empty; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori bench --quick /mnt/disk/bench\n"
    "  nori bench --only 'append 100 B, always' --json bench | jq '.p99_ns.median // empty'\n";

enum option_id {
    OPTION_QUICK = 256,
    OPTION_ONLY,
    OPTION_ROUNDS,
    OPTION_SECONDS,
    OPTION_PEERS,
    OPTION_HISTOGRAMS,
    OPTION_JSON,
    OPTION_REPORT,
    OPTION_HELP = 'h'
};

static const struct option known_options[] = {
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"peers", no_argument, NULL, OPTION_PEERS},
    {"histograms", no_argument, NULL, OPTION_HISTOGRAMS},
    {"report", required_argument, NULL, OPTION_REPORT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int option_seconds(const struct cli_options *options, double *ret_seconds)
{
    char *end = NULL;
    double seconds = strtod(options->value, &end);

    if (end == options->value || *end != '\0' ||
        !(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX))
        return cli_usage(options->command, "--%s '%s': expected a number from 0.01 to 60",
                         options->name, options->value);
    *ret_seconds = seconds;
    return CLI_CONTINUE;
}

static int read_option(const struct cli_options *options, int id, struct bench_options *bench)
{
    uint64_t rounds;
    int rc;

    switch (id) {
    case OPTION_QUICK:
        bench->is_quick = true;
        break;
    case OPTION_ONLY:
        bench->only = options->value;
        break;
    case OPTION_ROUNDS:
        rc = cli_option_u64(options, 1, BENCH_ROUNDS_MAX, &rounds);
        if (rc != CLI_CONTINUE)
            return rc;
        bench->rounds = (unsigned)rounds;
        break;
    case OPTION_SECONDS:
        return option_seconds(options, &bench->seconds);
    case OPTION_PEERS:
        if (!bench_has_peers())
            return cli_usage(options->command,
                             "this tool was built without other stores; see make bench PEERS=1");
        bench->has_peers = true;
        break;
    case OPTION_HISTOGRAMS:
        bench->has_histograms = true;
        break;
    case OPTION_REPORT:
        bench->report = options->value;
        break;
    case OPTION_JSON:
        bench->is_json = true;
        break;
    default: /* OPTION_HELP */
        return cli_output_help("bench", help);
    }
    return CLI_CONTINUE;
}

int cli_bench(int argc, char **argv)
{
    struct bench_options bench = {.argc = argc, .argv = argv};
    struct cli_options options = {
        .command = "bench", .argc = argc, .argv = argv, .known = known_options};
    int id, rc;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        if (id == CLI_OPTIONS_BAD)
            return CLI_USAGE;
        rc = read_option(&options, id, &bench);
        if (rc != CLI_CONTINUE)
            return rc;
    }
    rc = cli_options_dir(&options, &bench.dir);
    if (rc != CLI_CONTINUE)
        return rc;
    return bench_run(&bench); /* its numbers are those of enum cli_status */
}
