/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * top.c: nori top.
 *
 * What. Looks at a log every second through nori_log_live_stats and draws what happened since the
 * look before. A key quits, another holds the picture while looking goes on behind it. A writer
 * that goes away is told, and another one is followed.
 *
 * Failure. A log that is not there at the beginning ends the command; later it is waited for.
 *
 * Not here. The picture: top_frame.c. The terminal: terminal.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "item.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "terminal.h"
#include "text.h"
#include "top.h"

#define ONCE_COLUMNS 100 /* where there is no terminal to ask */
#define ONCE_ROWS    40

struct top {
    struct top_screen screen;
    struct cli_output output;
    bool has_colour;
    bool is_utf8;
    struct nori_error error;
    struct top_view behind; /* goes on */
    struct top_view shown;
};

static const char help[] =
    "usage: nori top [OPTIONS] DIR\n"
    "\n"
    "Watch the log in DIR while a program has it open: how much it does and how long that takes, "
    "what\n"
    "it waits for, and how far it is written and durable. It reads what the writer shares and the\n"
    "folder's listing; nobody is held up. Without a terminal one frame is printed as text.\n"
    "\n"
    "  q quit     p pause, and go on\n"
    "\n"
    "  --interval SECONDS       how often to look, 0.1 to 60 (default 1)\n"
    "  --once                   print one frame as text, of one interval\n"
    "  -h, --help               this text\n"
    "\n"
    "Times are those of what was done in the interval. encode: an append is put into the ring, one "
    "in\n"
    "256 is measured; wait: it waits for room, for space or for the next segment; write: into the\n"
    "kernel; sync: to the device; wake: until who waited for a sync goes on. busy: the share of "
    "the\n"
    "time in which it is being done.\n"
    "\n"
    "Exit status: 0 good; 1 there is no log; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori top events\n"
    "  nori top --once --interval 10 events\n";

enum option_id {
    OPTION_INTERVAL = 256,
    OPTION_ONCE
};

static const struct option known_options[] = {
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_options(struct top *top, int argc, char **argv)
{
    struct cli_options options = {"top", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        switch (id) {
        case OPTION_INTERVAL:
            if (cli_option_seconds(&options, 0.1, 60, &top->screen.interval_ns) != CLI_CONTINUE)
                return CLI_USAGE;
            break;
        case OPTION_ONCE:
            top->screen.is_once = true;
            break;
        case 'h':
            return cli_output_help("top", help);
        default:
            return CLI_USAGE;
        }
    }
    return cli_options_dir(&options, &top->screen.dir);
}

static void keep_for_charts(struct top_view *view)
{
    size_t at = view->looks++ % TOP_LOOKS;
    const struct nori_wal_stats *between = &view->between;
    bool is_at_work = view->state == TOP_LIVE && view->now.is_known;

    view->bytes_per_s[at] =
        is_at_work ? cli_per_second(between->appended_bytes, between->elapsed_ns) : UINT64_MAX;
    view->sync_p99_ns[at] = is_at_work ? between->sync.p99_ns : UINT64_MAX;
}

/* Returns what nori_log_live_stats did. */
static int look(struct top *top)
{
    struct top_view *view = &top->behind;
    struct nori_wal_stats before = view->now;
    bool was_live = view->state == TOP_LIVE;
    int rc;

    view->now = (struct nori_wal_stats)NORI_WAL_STATS_INIT;
    top->error = (struct nori_error)NORI_ERROR_INIT;
    rc = nori_log_live_stats(top->screen.dir, NULL, &view->now, &top->error);
    view->between = view->now;
    view->state = rc < 0 ? TOP_NO_LOG : view->now.is_writer_alive ? TOP_LIVE : TOP_NO_WRITER;
    snprintf(view->problem, sizeof view->problem, "%s", top->error.message);
    view->is_since_open = true;
    if (was_live && view->state == TOP_LIVE && before.opened_ms == view->now.opened_ms) {
        (void)nori_wal_stats_between(&before, &view->now, &view->between);
        view->is_since_open = false;
    }
    if (!view->is_since_open || view->state != TOP_LIVE)
        keep_for_charts(view);
    if (!top->screen.is_paused)
        top->shown = *view;
    return rc;
}

static void draw(struct top *top)
{
    struct cli_canvas canvas = {.output = &top->output,
                                .has_colour = top->has_colour,
                                .is_utf8 = top->is_utf8,
                                .is_screen = !top->screen.is_once};

    cli_terminal_size(&canvas.columns, &canvas.rows);
    if (top->screen.is_once) {
        canvas.rows = ONCE_ROWS;
        if (!isatty(STDOUT_FILENO))
            canvas.columns = ONCE_COLUMNS;
    } else {
        cli_output_text(&top->output, "\033[H");
    }
    top_draw(&canvas, &top->screen, &top->shown);
    if (canvas.is_screen)
        cli_output_text(&top->output, "\033[J");
    cli_output_flush(&top->output);
}

/* False: it is to quit. */
static bool heed(struct top *top, int key)
{
    if (key == 'q' || key == 'Q' || key == CLI_KEY_INTERRUPT)
        return false;
    if (key == 'p' || key == 'P' || key == ' ') {
        top->screen.is_paused = !top->screen.is_paused;
        if (!top->screen.is_paused)
            top->shown = top->behind;
    }
    return true;
}

static void watch(struct top *top)
{
    struct cli_terminal terminal;
    uint64_t next_ns = cli_now_ns() + top->screen.interval_ns;
    bool is_wanted = true;

    cli_terminal_begin(&terminal, &top->output);
    while (is_wanted && top->output.os_errno == 0) {
        int key;

        draw(top);
        key = cli_terminal_wait(&terminal, next_ns);
        if (key != CLI_KEY_TIME) {
            is_wanted = heed(top, key);
            continue;
        }
        (void)look(top);
        next_ns += top->screen.interval_ns;
        if (next_ns < cli_now_ns()) /* it was stopped: looks that were missed are not made up for */
            next_ns = cli_now_ns() + top->screen.interval_ns;
    }
    cli_terminal_end(&terminal);
}

static int run(struct top *top)
{
    int rc = look(top);

    if (rc < 0) {
        top->error.code = rc;
        return cli_fail("top", top->screen.dir, &top->error);
    }
    if (!top->screen.is_once) {
        watch(top);
        return CLI_GOOD;
    }
    if (top->behind.state == TOP_LIVE) {
        cli_sleep_ns(top->screen.interval_ns);
        (void)look(top);
    }
    draw(top);
    return CLI_GOOD;
}

int cli_top(int argc, char **argv)
{
    struct top top = {.screen.interval_ns = 1000000000};
    int status = read_options(&top, argc, argv);

    if (status != CLI_CONTINUE)
        return status;
    top.screen.is_once |= !cli_terminal_is_there();
    top.has_colour = cli_colour_is_wanted();
    top.is_utf8 = cli_canvas_is_utf8();
    status = cli_output_init(&top.output, "top");
    if (status != CLI_CONTINUE)
        return status;
    return cli_output_done(&top.output, run(&top));
}
