/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * progress.c: one line on the terminal that tells how far a command is.
 *
 * What. Drawn at most ten times a second, over itself, and only where a person looks: if standard
 * error is a terminal. Commands call cli_progress_update() every thousand records or so; it costs a
 * look at the clock.
 *
 * Failure. A line that cannot be drawn is nobody's loss.
 *
 * Not here. Messages: message.c.
 */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define NS_PER_S    UINT64_C(1000000000)
#define INTERVAL_NS (NS_PER_S / 10)
#define BAR_WIDTH   30u

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void cli_progress_init(struct cli_progress *progress, const char *command, bool is_wanted)
{
    *progress = (struct cli_progress){.command = command};
    progress->is_wanted = is_wanted && is_terminal();
    progress->begin_ns = now_ns();
    progress->next_ns = progress->begin_ns + INTERVAL_NS; /* what is done at once needs no bar */
}

static void draw_bar(double share)
{
    char bar[BAR_WIDTH + 1];
    size_t full_len = (size_t)(share * BAR_WIDTH);

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', full_len);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, " [%s] %3.0f %%", bar, 100 * share);
}

/* Begin the line anew, if it is time to. */
static bool begin_line(struct cli_progress *progress)
{
    uint64_t now = progress->is_wanted ? now_ns() : 0;

    if (!progress->is_wanted || now < progress->next_ns)
        return false;
    progress->next_ns = now + INTERVAL_NS;
    progress->is_shown = true;
    fprintf(stderr, "\r\033[Knori %s:", progress->command);
    return true;
}

void cli_progress_share(struct cli_progress *progress, double share)
{
    if (begin_line(progress))
        draw_bar(share < 1 ? share : 1);
}

void cli_progress_update(struct cli_progress *progress, uint64_t records, uint64_t bytes,
                         uint64_t bytes_total)
{
    char done[CLI_TEXT_SIZE], total[CLI_TEXT_SIZE], rate[CLI_TEXT_SIZE];
    double seconds;

    if (!begin_line(progress))
        return;
    seconds = (double)(now_ns() - progress->begin_ns) / (double)NS_PER_S;
    if (bytes_total > 0)
        draw_bar(bytes < bytes_total ? (double)bytes / (double)bytes_total : 1);
    if (records != UINT64_MAX)
        fprintf(stderr, " %llu records,", (unsigned long long)records);
    fprintf(stderr, " %s", cli_text_of_bytes(bytes, done));
    if (bytes_total > 0)
        fprintf(stderr, " of %s", cli_text_of_bytes(bytes_total, total));
    fprintf(stderr, ", %s/s", cli_text_of_bytes((uint64_t)((double)bytes / seconds), rate));
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}
