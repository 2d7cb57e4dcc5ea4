/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* torture.c: a test that can go on for hours. */
#include "torture.h"

#include "repeat.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define TELL_EVERY     1.0 /* seconds */
#define STATUS_SKIPPED 77  /* as Meson and automake understand it */

static bool is_told;

void torture_parse(int argc, char **argv, struct torture_options *options)
{
    static const struct option known[] = {{"count", required_argument, NULL, 'c'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    const char *part = argc > 1 && argv[1][0] != '-' ? argv[1] : ""; /* getopt may move it */
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        char *end = NULL;
        unsigned long long number = optarg ? strtoull(optarg, &end, 10) : 0;

        if (letter == '?' || !end || end == optarg || *end) {
            (void)fprintf(stderr, "usage: %s%s%s [--count N] [--seed N] [--from N] [--seconds N]\n",
                          argv[0], part[0] ? " " : "", part);
            exit(2);
        }
        if (letter == 'c')
            options->count = number;
        else if (letter == 's')
            options->seed = number;
        else if (letter == 'f')
            options->from = number;
        else
            options->seconds = (double)number;
        is_told = true;
    }
}

void torture_progress(uint64_t next, uint64_t done)
{
    static double last;
    double now = repeat_now();

    if (!is_told || now - last < TELL_EVERY)
        return;
    last = now;
    torture_end(next, done);
}

void torture_end(uint64_t next, uint64_t done)
{
    if (!is_told)
        return;
    (void)printf("torture: next=%llu done=%llu\n", (unsigned long long)next,
                 (unsigned long long)done);
    (void)fflush(stdout);
}

void torture_skip(const char *why)
{
    if (!is_told)
        return;
    (void)printf("torture: skipped %s\n", why);
    (void)fflush(stdout);
    exit(STATUS_SKIPPED);
}

uint64_t torture_random(uint64_t *seed, uint64_t limit)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % limit;
}
