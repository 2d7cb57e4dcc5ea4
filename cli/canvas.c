/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * canvas.c: lines of text with colours, cut at a width, and small pictures made of characters.
 *
 * What. A frame is put together line by line. On a screen each line erases what stood behind it, so
 * that nothing flickers; as text it is just lines. Where the locale is not UTF-8 the same pictures
 * are made of ASCII, and colours only repeat what the characters say.
 *
 * Failure. That of the output.
 *
 * Not here. The terminal: terminal.c. What stands on the screen: top_frame.c.
 */
#define _XOPEN_SOURCE 700 /* wcwidth */

#include "canvas.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "text.h"

#define EIGHTHS 8

bool cli_canvas_is_utf8(void)
{
    (void)setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void cli_canvas_ink(struct cli_canvas *canvas, enum cli_ink ink)
{
    static const char *const sequences[] = {
        [CLI_INK_PLAIN] = "\033[0m",      [CLI_INK_STRONG] = "\033[0;1m",
        [CLI_INK_FAINT] = "\033[0;2m",    [CLI_INK_GREEN] = "\033[0;32m",
        [CLI_INK_YELLOW] = "\033[0;33m",  [CLI_INK_CYAN] = "\033[0;36m",
        [CLI_INK_ALARM] = "\033[0;1;31m",
    };

    if (canvas->has_colour && canvas->rows > 0)
        cli_output_text(canvas->output, sequences[ink]);
}

/* One character, if there is room. */
static void put(struct cli_canvas *canvas, const char *bytes, size_t len, unsigned width)
{
    if (canvas->rows == 0 || canvas->columns - canvas->column < width)
        return;
    cli_output_bytes(canvas->output, bytes, len);
    canvas->column += width;
}

void cli_canvas_text(struct cli_canvas *canvas, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        size_t len = cli_utf8_char_len((const unsigned char *)text, left);

        len = len > 0 ? len : 1;
        put(canvas, text, len, 1);
        text += len;
        left -= len;
    }
}

void cli_canvas_format(struct cli_canvas *canvas, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_canvas_text(canvas, text);
}

/* The next character of a name: its length and how many columns it takes; 0: it cannot be shown. */
static size_t next_char(const char *name, unsigned *ret_width)
{
    mbstate_t state = {0};
    wchar_t character = 0;
    size_t len = mbrtowc(&character, name, strlen(name), &state);
    int width = len == (size_t)-1 || len == (size_t)-2 ? -1 : wcwidth(character);

    *ret_width = width < 0 ? 1 : (unsigned)width;
    return width < 0 ? 0 : len;
}

static unsigned width_of(const char *name)
{
    unsigned sum = 0;
    unsigned width;

    while (*name != '\0') {
        size_t len = next_char(name, &width);

        name += len > 0 ? len : 1;
        sum += width;
    }
    return sum;
}

void cli_canvas_name(struct cli_canvas *canvas, const char *name, unsigned columns_max)
{
    bool is_cut = width_of(name) > columns_max;
    unsigned width;

    if (is_cut && columns_max > 3) {
        cli_canvas_text(canvas, "...");
        columns_max -= 3;
    }
    while (*name != '\0') {
        bool is_shown = width_of(name) <= columns_max;
        size_t len = next_char(name, &width);

        if (is_shown)
            put(canvas, len > 0 ? name : "?", len > 0 ? len : 1, width);
        name += len > 0 ? len : 1;
    }
}

void cli_canvas_to(struct cli_canvas *canvas, unsigned column)
{
    while (canvas->rows > 0 && canvas->column < column && canvas->column < canvas->columns)
        put(canvas, " ", 1, 1);
}

void cli_canvas_right(struct cli_canvas *canvas, const char *text)
{
    unsigned width = width_of(text);

    if (canvas->column + width > canvas->columns)
        return;
    cli_canvas_to(canvas, canvas->columns - width);
    cli_canvas_text(canvas, text);
}

void cli_canvas_end_line(struct cli_canvas *canvas)
{
    if (canvas->rows == 0)
        return;
    cli_canvas_ink(canvas, CLI_INK_PLAIN);
    if (canvas->is_screen)
        cli_output_text(canvas->output, "\033[K");
    canvas->rows--;
    canvas->column = 0;
    if (canvas->rows > 0 || !canvas->is_screen) /* behind the last row a screen would scroll */
        cli_output_text(canvas->output, "\n");
}

void cli_canvas_chart(struct cli_canvas *canvas, const uint64_t *values, size_t count,
                      uint64_t most, unsigned height, unsigned row)
{
    static const char *const blocks[EIGHTHS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[EIGHTHS + 1] = {" ", ".", ".", ":", ":", "-", "=", "+", "#"};
    const char *const *glyphs = canvas->is_utf8 ? blocks : letters;

    for (size_t i = 0; i < count; i++) {
        double share = most > 0 && values[i] != UINT64_MAX ? (double)values[i] / (double)most : 0;
        unsigned eighths = (unsigned)((share < 1 ? share : 1) * EIGHTHS * height + 0.5);
        unsigned below = row * EIGHTHS;

        if (eighths == 0 && share > 0)
            eighths = 1;
        eighths = eighths > below ? eighths - below : 0;
        cli_canvas_text(canvas, glyphs[eighths < EIGHTHS ? eighths : EIGHTHS]);
    }
}

void cli_canvas_fill(struct cli_canvas *canvas, enum cli_fill fill, unsigned cells)
{
    static const char *const blocks[] = {" ", "·", "▒", "▓", "█"};
    static const char *const letters[] = {" ", ".", "-", "=", "#"};
    static const enum cli_ink inks[] = {CLI_INK_PLAIN, CLI_INK_FAINT, CLI_INK_CYAN, CLI_INK_YELLOW,
                                        CLI_INK_GREEN};

    cli_canvas_ink(canvas, inks[fill]);
    for (unsigned i = 0; i < cells && canvas->column < canvas->columns; i++)
        cli_canvas_text(canvas, canvas->is_utf8 ? blocks[fill] : letters[fill]);
    cli_canvas_ink(canvas, CLI_INK_PLAIN);
}

void cli_canvas_bar_begin(struct cli_canvas *canvas)
{
    cli_canvas_text(canvas, canvas->is_utf8 ? "▕" : "[");
}

void cli_canvas_bar_end(struct cli_canvas *canvas)
{
    cli_canvas_text(canvas, canvas->is_utf8 ? "▏" : "]");
}
