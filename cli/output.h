/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* output.h: standard output, buffered. A failed write is remembered and asked for once, at the end.
 * */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CLI_OUTPUT_SIZE ((size_t)256 * 1024)

struct cli_output {
    const char *command; /* for messages */
    int fd;
    int os_errno; /* of the first write that failed; everything after it is dropped */
    size_t used;
    char *bytes; /* CLI_OUTPUT_SIZE */
};

/* Set up for standard output. Returns CLI_CONTINUE, or CLI_IO after a message. */
int cli_output_init(struct cli_output *output, const char *command);

/* Write what is buffered and free the buffer. Returns status, or CLI_IO after a message if a write
 * failed and status is CLI_GOOD. A reader that went away, as head(1) does, is no failure. */
int cli_output_done(struct cli_output *output, int status);

/* Write what is buffered. False if this or an earlier write failed: nothing more needs to be
 * produced. */
bool cli_output_flush(struct cli_output *output);

void cli_output_bytes_slowly(struct cli_output *output, const char *bytes, size_t len);

static inline void cli_output_bytes(struct cli_output *output, const void *bytes, size_t len)
{
    if (len > CLI_OUTPUT_SIZE - output->used) {
        cli_output_bytes_slowly(output, bytes, len);
    } else if (len > 0) {
        memcpy(output->bytes + output->used, bytes, len);
        output->used += len;
    }
}

static inline void cli_output_text(struct cli_output *output, const char *text)
{
    cli_output_bytes(output, text, strlen(text));
}

void cli_output_u64(struct cli_output *output, uint64_t value);

/* Two lower-case digits a byte. */
void cli_output_hex(struct cli_output *output, const void *bytes, size_t len);

/* A JSON string in quotes, of bytes that are UTF-8. */
void cli_output_json(struct cli_output *output, const void *bytes, size_t len);

/* In quotes, for people and terminals: characters that can be printed as they are, \" \\ \n \r \t,
 * and \xNN for every other byte. */
void cli_output_quoted(struct cli_output *output, const void *bytes, size_t len);

/* Lines of 16 bytes: offset, hexadecimal, printable. */
void cli_output_hexdump(struct cli_output *output, const void *bytes, size_t len);

__attribute__((format(printf, 2, 3))) void cli_output_format(struct cli_output *output,
                                                             const char *format, ...);

/* Print a command's help. Returns the exit status. */
int cli_output_help(const char *command, const char *text);

#endif
