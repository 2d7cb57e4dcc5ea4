/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* input.h: standard input as lines, in a buffer that the caller may point into and change. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_input {
    int fd;
    bool is_at_end;    /* nothing more will come */
    size_t size_max;   /* the buffer grows up to this */
    size_t size;       /* of the buffer */
    size_t line_begin; /* the first byte that was not handed out */
    size_t searched;   /* no newline before this */
    size_t end;        /* of what was read */
    char *bytes;
};

/* What cli_input_fill() returns. */
enum cli_input_result {
    CLI_INPUT_OK,    /* there is more, or is_at_end is set */
    CLI_INPUT_LONG,  /* the buffer is full and may not grow */
    CLI_INPUT_NOMEM, /* the buffer is full and cannot grow */
    CLI_INPUT_ERROR  /* read failed: see errno */
};

/* Set up for standard input. False: no memory. */
bool cli_input_init(struct cli_input *input, size_t size_max);
void cli_input_done(struct cli_input *input);

/* The next line in the buffer, without its newline; at the end of the input the last one need not
 * have one. False if there is none: fill. */
bool cli_input_next(struct cli_input *input, char **ret_line, size_t *ret_len);

/*
 * Read once. Bytes from keep on (an index; at most line_begin) stay, at the beginning of the
 * buffer, which may have moved to another place; everything handed out before keep is gone.
 */
enum cli_input_result cli_input_fill(struct cli_input *input, size_t keep);

#endif
