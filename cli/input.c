/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * input.c: standard input as lines.
 *
 * What. Bytes are read in large pieces into one buffer and lines are handed out where they lie,
 * without a copy. What lies behind the last whole line moves to the front before the next read; the
 * buffer grows only for a line, or a batch of them, that does not fit.
 *
 * Failure. A line over the limit, a failed read and a lack of memory are told apart; the lines
 * before are good.
 *
 * Not here. What a line means: append.c, json_record.c.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_FIRST ((size_t)256 * 1024)

bool cli_input_init(struct cli_input *input, size_t size_max)
{
    *input = (struct cli_input){.fd = STDIN_FILENO, .size = SIZE_FIRST, .size_max = size_max};
    if (input->size_max < SIZE_FIRST)
        input->size_max = SIZE_FIRST;
    input->bytes = malloc(input->size);
    return input->bytes != NULL;
}

void cli_input_done(struct cli_input *input)
{
    free(input->bytes);
    input->bytes = NULL;
}

bool cli_input_next(struct cli_input *input, char **ret_line, size_t *ret_len)
{
    const char *newline = NULL;
    size_t line_end;

    if (input->searched < input->end)
        newline = memchr(input->bytes + input->searched, '\n', input->end - input->searched);
    if (newline) {
        line_end = (size_t)(newline - input->bytes);
        input->searched = line_end + 1;
    } else {
        line_end = input->end;
        input->searched = input->end;
        if (!input->is_at_end || input->line_begin == input->end)
            return false;
    }
    *ret_line = input->bytes + input->line_begin;
    *ret_len = line_end - input->line_begin;
    input->line_begin = input->searched;
    return true;
}

static bool grow(struct cli_input *input)
{
    size_t size = input->size < input->size_max / 2 ? 2 * input->size : input->size_max;
    char *bytes = realloc(input->bytes, size);

    if (!bytes)
        return false;
    input->bytes = bytes;
    input->size = size;
    return true;
}

static void move_to_front(struct cli_input *input, size_t keep)
{
    if (keep == 0)
        return;
    memmove(input->bytes, input->bytes + keep, input->end - keep);
    input->line_begin -= keep;
    input->searched -= keep;
    input->end -= keep;
}

enum cli_input_result cli_input_fill(struct cli_input *input, size_t keep)
{
    ssize_t got;

    move_to_front(input, keep);
    if (input->end == input->size && input->size == input->size_max)
        return CLI_INPUT_LONG;
    if (input->end == input->size && !grow(input))
        return CLI_INPUT_NOMEM;
    do {
        got = read(input->fd, input->bytes + input->end, input->size - input->end);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return CLI_INPUT_ERROR;
    if (got == 0)
        input->is_at_end = true;
    input->end += (size_t)got;
    return CLI_INPUT_OK;
}
