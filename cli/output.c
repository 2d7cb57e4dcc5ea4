/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * output.c: standard output, buffered.
 *
 * What. Everything the tool prints on standard output is collected in one buffer and written in
 * large pieces. Numbers, hexadecimal and strings are put there without printf, so that dumping a
 * million small records takes well under a second.
 *
 * Failure. The first write that fails is remembered and all later output is dropped;
 * cli_output_done() tells. If the reader of a pipe went away there is nothing wrong and nothing to
 * tell.
 *
 * Not here. What bytes look like: text.c. Standard error: message.c, progress.c.
 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "message.h"
#include "text.h"

#define HEX_PIECE     ((size_t)4096) /* bytes converted at a time */
#define HEXDUMP_WIDTH 16

int cli_output_init(struct cli_output *output, const char *command)
{
    *output = (struct cli_output){.command = command, .fd = STDOUT_FILENO};
    output->bytes = malloc(CLI_OUTPUT_SIZE);
    if (!output->bytes) {
        cli_message(command, "no memory for the output buffer");
        return CLI_IO;
    }
    return CLI_CONTINUE;
}

bool cli_output_flush(struct cli_output *output)
{
    size_t done = 0;

    while (done < output->used && output->os_errno == 0) {
        ssize_t written = write(output->fd, output->bytes + done, output->used - done);

        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            output->os_errno = errno;
    }
    output->used = 0;
    return output->os_errno == 0;
}

int cli_output_done(struct cli_output *output, int status)
{
    if (output->bytes)
        cli_output_flush(output);
    free(output->bytes);
    output->bytes = NULL;
    if (output->os_errno == 0 || output->os_errno == EPIPE || status != CLI_GOOD)
        return status;
    cli_message(output->command, "writing standard output: %s", strerror(output->os_errno));
    fputs("hint: what was printed is incomplete; run it again when there is room for it\n", stderr);
    return CLI_IO;
}

void cli_output_bytes_slowly(struct cli_output *output, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t room = CLI_OUTPUT_SIZE - output->used;
        size_t piece = len < room ? len : room;

        memcpy(output->bytes + output->used, bytes, piece);
        output->used += piece;
        bytes += piece;
        len -= piece;
        if (output->used == CLI_OUTPUT_SIZE && !cli_output_flush(output))
            return;
    }
}

/* Make room for len bytes, far fewer than the buffer holds, and return where they go. The caller
 * advances used. */
static char *make_room(struct cli_output *output, size_t len)
{
    if (len > CLI_OUTPUT_SIZE - output->used)
        cli_output_flush(output);
    return output->bytes + output->used;
}

void cli_output_u64(struct cli_output *output, uint64_t value)
{
    char digits[20];
    char *at = digits + sizeof digits;

    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    cli_output_bytes(output, at, (size_t)(digits + sizeof digits - at));
}

static const char hex[] = "0123456789abcdef";

void cli_output_hex(struct cli_output *output, const void *bytes, size_t len)
{
    const unsigned char *source = bytes;

    while (len > 0) {
        size_t piece = len < HEX_PIECE ? len : HEX_PIECE;
        char *target = make_room(output, 2 * piece);

        for (size_t i = 0; i < piece; i++) {
            target[2 * i] = hex[source[i] >> 4];
            target[2 * i + 1] = hex[source[i] & 15];
        }
        output->used += 2 * piece;
        source += piece;
        len -= piece;
    }
}

/* The letter behind the backslash for a character that has one in C and in JSON; else 0. */
static char escape_letter(unsigned char byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return (char)byte;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void put_escaped(struct cli_output *output, unsigned char byte, const char *hex_escape)
{
    char letter = escape_letter(byte);

    if (letter) {
        cli_output_bytes(output, (char[]){'\\', letter}, 2);
    } else {
        cli_output_text(output, hex_escape);
        cli_output_hex(output, &byte, 1);
    }
}

void cli_output_json(struct cli_output *output, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + len;

    cli_output_text(output, "\"");
    while (at < end) {
        size_t plain_len = cli_text_plain_len(at, (size_t)(end - at));

        cli_output_bytes(output, at, plain_len);
        at += plain_len;
        if (at == end)
            break;
        if (*at < 0x20 || *at == '"' || *at == '\\')
            put_escaped(output, *at, "\\u00");
        else
            cli_output_bytes(output, at, 1); /* a byte of a longer character, or DEL */
        at++;
    }
    cli_output_text(output, "\"");
}

/* The length of a character that is safe to print on a terminal; 0 if it is not. */
static size_t printable_len(const unsigned char *bytes, size_t len)
{
    size_t char_len = bytes[0] < 0x80 ? 0 : cli_utf8_char_len(bytes, len);

    if (char_len == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
        return 0; /* U+0080 to U+009F: controls, too */
    return char_len;
}

void cli_output_quoted(struct cli_output *output, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + len;

    cli_output_text(output, "\"");
    while (at < end) {
        size_t char_len = cli_text_plain_len(at, (size_t)(end - at));

        if (char_len == 0)
            char_len = printable_len(at, (size_t)(end - at));
        cli_output_bytes(output, at, char_len);
        if (char_len == 0)
            put_escaped(output, *at++, "\\x");
        at += char_len;
    }
    cli_output_text(output, "\"");
}

void cli_output_hexdump(struct cli_output *output, const void *bytes, size_t len)
{
    const unsigned char *source = bytes;

    for (size_t offset = 0; offset < len; offset += HEXDUMP_WIDTH) {
        size_t width = len - offset < HEXDUMP_WIDTH ? len - offset : HEXDUMP_WIDTH;
        char printable[HEXDUMP_WIDTH];

        cli_output_format(output, "  %08zx ", offset);
        for (size_t i = 0; i < HEXDUMP_WIDTH; i++) {
            unsigned char byte = i < width ? source[offset + i] : 0;

            printable[i] = (char)(byte >= 0x20 && byte < 0x7f ? byte : '.');
            cli_output_text(output, i == HEXDUMP_WIDTH / 2 ? "  " : " ");
            if (i < width)
                cli_output_hex(output, &byte, 1);
            else
                cli_output_text(output, "  ");
        }
        cli_output_text(output, "  |");
        cli_output_bytes(output, printable, width);
        cli_output_text(output, "|\n");
    }
}

void cli_output_format(struct cli_output *output, const char *format, ...)
{
    char line[1024]; /* longer than any line that is formatted */
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len > 0)
        cli_output_bytes(output, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

int cli_output_help(const char *command, const char *text)
{
    struct cli_output output;
    int rc = cli_output_init(&output, command);

    if (rc != CLI_CONTINUE)
        return rc;
    cli_output_text(&output, text);
    return cli_output_done(&output, CLI_GOOD);
}
