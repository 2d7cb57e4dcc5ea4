/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* progress.h: one line on the terminal that tells how far a command is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    const char *command;
    bool is_wanted; /* standard error is a terminal, and nothing else is printed there meanwhile */
    bool is_shown;  /* the line stands on the terminal now */
    uint64_t begin_ns; /* when the command began */
    uint64_t next_ns;  /* not before that it is drawn again */
};

/* is_wanted: what the command itself knows; the terminal is asked here. */
void cli_progress_init(struct cli_progress *progress, const char *command, bool is_wanted);

/* Draw it if it is time to. records: UINT64_MAX if they are not counted; bytes_total: 0 if unknown.
 * */
void cli_progress_update(struct cli_progress *progress, uint64_t records, uint64_t bytes,
                         uint64_t bytes_total);

/* Draw it if it is time to, for what is measured by nothing but time: the share that is done. */
void cli_progress_share(struct cli_progress *progress, double share);

/* Take it off the terminal, before anything else is printed there and at the end. */
void cli_progress_clear(struct cli_progress *progress);

#endif
