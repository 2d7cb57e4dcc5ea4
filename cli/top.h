/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* top.h: what nori top knows of a log, and drawing it. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nori/wal.h>

#include "canvas.h"

#define TOP_LOOKS 60 /* kept for the charts: a minute, with a look a second */

enum top_state {
    TOP_LIVE,      /* a writer has the log open */
    TOP_NO_WRITER, /* there is a log */
    TOP_NO_LOG     /* or it cannot be looked at: problem says why */
};

/* One moment, complete: while the display is paused another one goes on. */
struct top_view {
    enum top_state state;
    char problem[256];

    struct nori_wal_stats now;     /* since the log was opened */
    struct nori_wal_stats between; /* since the look before, or since the log was opened */
    bool is_since_open;            /* which of the two */

    /* A circle, the newest at [(look_count - 1) % TOP_LOOKS]; UINT64_MAX: nobody was at work. */
    uint64_t looks;
    uint64_t bytes_per_s[TOP_LOOKS];
    uint64_t sync_p99_ns[TOP_LOOKS];
};

struct top_screen {
    const char *dir;
    uint64_t interval_ns;
    bool is_paused;
    bool is_once; /* a frame as text, of one look: no charts and no keys */
};

/* Draw a frame of at most canvas->rows lines. */
void top_draw(struct cli_canvas *canvas, const struct top_screen *screen,
              const struct top_view *view);

#endif
