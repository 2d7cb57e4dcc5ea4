/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* canvas.h: lines of text with colours, cut at a width, and small pictures made of characters. */
#ifndef CLI_CANVAS_H
#define CLI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"

enum cli_ink {
    CLI_INK_PLAIN,
    CLI_INK_STRONG,
    CLI_INK_FAINT,
    CLI_INK_GREEN,
    CLI_INK_YELLOW,
    CLI_INK_CYAN,
    CLI_INK_ALARM
};

struct cli_canvas {
    struct cli_output *output;
    unsigned columns; /* what is put beyond them is left out */
    unsigned rows;    /* so many more lines; later ones are left out */
    unsigned column;  /* in the line under way */
    bool has_colour;
    bool is_utf8;   /* else pictures are made of ASCII */
    bool is_screen; /* lines replace those of a screen; else they are mere text */
};

/* Does the locale, which this sets from the environment, show UTF-8? */
bool cli_canvas_is_utf8(void);

void cli_canvas_ink(struct cli_canvas *canvas, enum cli_ink ink);

/* Text of our own: every character takes one column. */
void cli_canvas_text(struct cli_canvas *canvas, const char *text);
__attribute__((format(printf, 2, 3))) void cli_canvas_format(struct cli_canvas *canvas,
                                                             const char *format, ...);

/* Text from outside, such as a folder's name: what cannot be shown is a question mark. It takes at
 * most so many columns; its end is what tells, so it is the beginning that is left out. */
void cli_canvas_name(struct cli_canvas *canvas, const char *name, unsigned columns_max);

/* Blanks up to this column. */
void cli_canvas_to(struct cli_canvas *canvas, unsigned column);

/* Text that ends in the last column, if there is room for it. */
void cli_canvas_right(struct cli_canvas *canvas, const char *text);

void cli_canvas_end_line(struct cli_canvas *canvas);

/*
 * One row of a chart that is `height` rows high, row 0 at its foot: a column for each value, of
 * which `most` fills the chart. A value above zero is always seen; UINT64_MAX is a gap.
 */
void cli_canvas_chart(struct cli_canvas *canvas, const uint64_t *values, size_t count,
                      uint64_t most, unsigned height, unsigned row);

/* What a cell of a bar stands for. */
enum cli_fill {
    CLI_FILL_NONE,
    CLI_FILL_TAKEN, /* space that is there, and nothing in it */
    CLI_FILL_APPENDED,
    CLI_FILL_WRITTEN,
    CLI_FILL_DURABLE
};
void cli_canvas_fill(struct cli_canvas *canvas, enum cli_fill fill, unsigned cells);

/* The glyph of a fill, and what stands at the ends of a bar. */
void cli_canvas_bar_begin(struct cli_canvas *canvas);
void cli_canvas_bar_end(struct cli_canvas *canvas);

#endif
