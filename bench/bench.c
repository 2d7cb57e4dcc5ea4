/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench.c: how fast is the log, next to the least that has to be done? Only the public interface.
 *
 * What. bench.h tells what cases and subjects are. append.c has appends, floor.c their floors,
 * read.c reading and recovery, point.c reading here and there, report.c the turns and the output.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: bench [options]\n"
    "  --quick         fewer and shorter runs: about half a minute\n"
    "  --only TEXT     the cases whose name has TEXT in it, such as \"always, 4\" or \"read\"\n"
    "  --rounds N      runs of each subject (5)\n"
    "  --seconds S     length of one run of appends (0.3)\n"
    "  --dir DIR       make the data folder in there (the current folder); it is removed "
    "afterwards\n"
    "  --json          a JSON object a line: first the machine, then one for each subject\n"
    "  --help\n";

/* On SIGINT and SIGTERM: nothing stays behind. */
static void on_signal(int number)
{
    bench_remove_folder(bench_path("log").text);
    bench_remove_folder(bench_folder);
    _exit(128 + number);
}

static void refuse(const char *what)
{
    fprintf(stderr, "bench: %s\n%s", what, usage);
    exit(2);
}

static double must_parse(const char *text, double least, double most, const char *complaint)
{
    char *end = NULL;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= least && number <= most))
        refuse(complaint);
    return number;
}

static void parse(int argc, char **argv, struct bench_options *options)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'},        {"only", required_argument, NULL, 'o'},
        {"rounds", required_argument, NULL, 'r'}, {"seconds", required_argument, NULL, 's'},
        {"dir", required_argument, NULL, 'd'},    {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int option;

    *options = (struct bench_options){.parent = "."};
    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        switch (option) {
        case 'q':
            options->is_quick = true;
            break;
        case 'o':
            options->only = optarg;
            break;
        case 'r':
            options->rounds = (unsigned)must_parse(optarg, 1, BENCH_ROUNDS_MAX,
                                                   "--rounds wants a number from 1 to 99");
            break;
        case 's':
            options->run_s =
                must_parse(optarg, 0.01, 60, "--seconds wants a number from 0.01 to 60");
            break;
        case 'd':
            options->parent = optarg;
            break;
        case 'j':
            options->is_json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc)
        refuse("there are only options");
    if (options->rounds == 0)
        options->rounds = options->is_quick ? 3 : 5;
    if (options->run_s <= 0)
        options->run_s = options->is_quick ? 0.1 : 0.3;
}

int main(int argc, char **argv)
{
    static char folder[400];
    struct sigaction action;
    struct bench_options options;

    parse(argc, argv, &options);
    if (snprintf(folder, sizeof folder, "%s/nori-bench.XXXXXX", options.parent) >=
            (int)sizeof folder ||
        !mkdtemp(folder)) {
        fprintf(stderr, "bench: make a folder in %s: %s\n", options.parent, strerror(errno));
        return 2;
    }
    bench_folder = folder;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);

    bench_report_begin(&options, argc, argv);
    bench_append_cases(&options);
    bench_read_cases(&options);
    bench_point_cases(&options);

    bench_remove_folder(bench_path("log").text);
    bench_remove_folder(folder);
    return 0;
}
