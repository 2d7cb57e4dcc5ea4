/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* terminal.h: the terminal as a screen to draw on, and the way back from there. One at a time. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "output.h"

/* What cli_terminal_wait gives besides the keys themselves, 1 to 255. */
enum cli_key {
    CLI_KEY_TIME = 0,       /* the deadline has come */
    CLI_KEY_REDRAW = 256,   /* the size changed, or the program was stopped and goes on */
    CLI_KEY_INTERRUPT = 257 /* a signal ends the program, or the terminal went away */
};

struct cli_terminal {
    struct cli_output *output;
    bool has_keys; /* standard input is a terminal, too */
    struct termios before;
    sigset_t blocked_before;
};

/* Is standard output a terminal that can be drawn on? */
bool cli_terminal_is_there(void);

/* Columns and rows of it; 80 and 24 where nobody knows. */
void cli_terminal_size(unsigned *ret_columns, unsigned *ret_rows);

/* Turn to an empty screen without a cursor, and take keys as they are pressed. */
void cli_terminal_begin(struct cli_terminal *terminal, struct cli_output *output);

/* A key, or an enum cli_key, until a deadline of cli_now_ns. Signals come in here only. */
int cli_terminal_wait(struct cli_terminal *terminal, uint64_t deadline_ns);

/* Turn back. If a signal ended the program, it is raised anew and ends it here. */
void cli_terminal_end(struct cli_terminal *terminal);

#endif
