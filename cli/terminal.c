/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * terminal.c: the terminal as a screen to draw on, and the way back from there.
 *
 * What. Eight escape sequences that every terminal of the last decades knows, the size, and keys
 * without echo. Ctrl-C and its like stay signals.
 *
 * Threads. One. The signals that end, stop or resize are blocked but for the time that is spent
 * waiting, so they never come between a look at their flags and the wait.
 *
 * Failure. A terminal that went away gives CLI_KEY_INTERRUPT. Whatever ends the program, also a
 * signal, comes through cli_terminal_end first: nobody is left with a terminal that does not echo.
 *
 * Not here. What is drawn: canvas.c.
 */
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "clock.h"

#define NS_PER_S     UINT64_C(1000000000)

#define OTHER_SCREEN "\033[?1049h\033[?25l\033[H\033[2J"
#define USUAL_SCREEN "\033[0m\033[?25h\033[?1049l"

/* What handlers leave behind; a handler can reach nothing else. */
static volatile sig_atomic_t ending_signal; /* 0: none came */
static volatile sig_atomic_t is_stop_wanted;
static volatile sig_atomic_t is_redraw_wanted;

static void note_signal(int signal_number)
{
    if (signal_number == SIGTSTP)
        is_stop_wanted = 1;
    else if (signal_number == SIGWINCH || signal_number == SIGCONT)
        is_redraw_wanted = 1;
    else
        ending_signal = signal_number;
}

static const int noted_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT};

#define NOTED_COUNT (sizeof noted_signals / sizeof *noted_signals)

bool cli_terminal_is_there(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void cli_terminal_size(unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size = {0};

    *ret_columns = 80;
    *ret_rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    if (size.ws_col > 0)
        *ret_columns = size.ws_col;
    if (size.ws_row > 0)
        *ret_rows = size.ws_row;
}

static void turn_to_screen(const struct cli_terminal *terminal)
{
    struct termios keys = terminal->before;

    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    if (terminal->has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &keys);
    cli_output_text(terminal->output, OTHER_SCREEN);
    cli_output_flush(terminal->output);
}

static void turn_back(const struct cli_terminal *terminal)
{
    cli_output_text(terminal->output, USUAL_SCREEN);
    cli_output_flush(terminal->output);
    if (terminal->has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal->before);
}

static void handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

void cli_terminal_begin(struct cli_terminal *terminal, struct cli_output *output)
{
    sigset_t noted;

    *terminal = (struct cli_terminal){.output = output};
    terminal->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &terminal->before) == 0;
    (void)sigemptyset(&noted);
    for (size_t i = 0; i < NOTED_COUNT; i++)
        (void)sigaddset(&noted, noted_signals[i]);
    (void)sigprocmask(SIG_BLOCK, &noted, &terminal->blocked_before);
    for (size_t i = 0; i < NOTED_COUNT; i++)
        handle(noted_signals[i], note_signal);
    turn_to_screen(terminal);
}

/* Have it happen as it would have without us. */
static void raise_unblocked(int signal_number)
{
    sigset_t set;

    handle(signal_number, SIG_DFL);
    (void)raise(signal_number);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal_number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Ctrl-Z: the shell gets its terminal as it was, and we ours when we go on. */
static void stop(struct cli_terminal *terminal)
{
    sigset_t set;

    is_stop_wanted = 0;
    turn_back(terminal);
    raise_unblocked(SIGTSTP);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    handle(SIGTSTP, note_signal);
    turn_to_screen(terminal);
    is_redraw_wanted = 1;
}

static int read_key(struct cli_terminal *terminal)
{
    unsigned char key = 0;
    ssize_t got = read(STDIN_FILENO, &key, 1);

    if (got == 1)
        return key;
    if (got < 0 && errno == EINTR)
        return CLI_KEY_TIME;
    terminal->has_keys = false;
    return CLI_KEY_INTERRUPT;
}

int cli_terminal_wait(struct cli_terminal *terminal, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = cli_now_ns();
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        struct timespec left = {(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
        fd_set keys;
        int rc;

        if (is_stop_wanted)
            stop(terminal);
        if (ending_signal != 0)
            return CLI_KEY_INTERRUPT;
        if (is_redraw_wanted) {
            is_redraw_wanted = 0;
            return CLI_KEY_REDRAW;
        }
        if (left_ns == 0)
            return CLI_KEY_TIME;
        FD_ZERO(&keys);
        if (terminal->has_keys)
            FD_SET(STDIN_FILENO, &keys);
        rc = pselect(STDIN_FILENO + 1, &keys, NULL, NULL, &left, &terminal->blocked_before);
        if (rc > 0)
            return read_key(terminal);
    }
}

void cli_terminal_end(struct cli_terminal *terminal)
{
    turn_back(terminal);
    if (ending_signal != 0)
        raise_unblocked(ending_signal);
    for (size_t i = 0; i < NOTED_COUNT; i++)
        handle(noted_signals[i], SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &terminal->blocked_before, NULL);
}
