/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* engine.h: the benchmark, for the tool that offers it as a command. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <stdbool.h>

#define BENCH_ROUNDS_MAX 99

struct bench_options {
    /* Where the data is made. A new folder, removed at the end, or an empty one, emptied again. */
    const char *dir;
    const char *only; /* NULL: all cases; else those whose name has this in it, at a word */
    unsigned rounds;  /* 0: 5, or 3 if is_quick */
    double seconds;   /* of one run that is limited by time; 0: 0.5, or 0.1 if is_quick */
    bool is_quick;
    bool is_json;
    const char *report;  /* NULL: none; else the file that gets a web page */
    bool has_histograms; /* draw latencies below each table */
    bool has_peers;      /* also other stores, if bench_has_peers() */
    int argc;            /* the command, for the report */
    char **argv;
};

/* Was this program built with -Dpeers=enabled? */
bool bench_has_peers(void);

/* Run all cases, print to standard output, remove the data. 0: done; 2: dir is not empty, or `only`
 * names no case; 3: the system or the log refused. The last two after a message. SIGINT, SIGTERM
 * and SIGHUP end the process, and the data with it. */
int bench_run(const struct bench_options *options);

#endif
