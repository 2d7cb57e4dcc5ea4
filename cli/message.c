/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message.c: what the tool says on standard error.
 *
 * What. Every failure is told in two lines: what happened, then what to do next. What to do depends
 * on the library's code alone and stands in one table, beside the exit status.
 *
 * Failure. Messages that cannot be written are lost: there is no better place to tell.
 *
 * Not here. Progress lines: progress.c. Findings about a log: item.c.
 */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct failure {
    int code;
    int os_errno; /* 0: any */
    int status;
    const char *hint;
    const char *hint_tail; /* if not NULL the folder's name stands between hint and it */
};

/* The first row that fits counts. */
/* clang-format off */
static const struct failure failures[] = {
    { NORI_E_INVALID,     0,   CLI_USAGE,    "check the folder's name, what is in it, and the "
                                             "options", NULL },
    { NORI_E_NOMEM,       0,   CLI_IO,       "free memory, or raise the limit: ulimit -v", NULL },
    { NORI_E_IO,          EIO, CLI_IO,       "the device failed, see the kernel's log (dmesg); "
                                             "what can be read is told by: nori verify ", "" },
    { NORI_E_IO,          0,   CLI_IO,       "check the folder: ls -ld ", "" },
    { NORI_E_NOSPACE,     0,   CLI_IO,       "the log is unharmed; make room, or raise the quota "
                                             "or file size limit, where it lies: df ", "" },
    { NORI_E_CORRUPT,     0,   CLI_NEGATIVE, "nothing was changed; see what is damaged with: "
                                             "nori verify ", "" },
    { NORI_E_VERSION,     0,   CLI_NEGATIVE, "a newer nori wrote this log and it is not damaged; "
                                             "upgrade nori to use it", NULL },
    { NORI_E_LOCKED,      0,   CLI_NEGATIVE, "only one writer at a time (others can read beside "
                                             "it); see which it is: fuser -v ", "" },
    { NORI_E_NOTFOUND,    0,   CLI_NEGATIVE, "check the name, and the position if you gave one; "
                                             "a new log is made by: nori append ", "" },
    { NORI_E_TOOBIG,      0,   CLI_USAGE,    "raise the limit with --max-record-size", NULL },
    { NORI_E_CLOSED,      0,   CLI_IO,       "try again", NULL },
    { NORI_E_FAILED,      0,   CLI_IO,       "what was not yet durable may be lost; check the "
                                             "device, then: nori verify ", "" },
    { NORI_E_UNSUPPORTED, 0,   CLI_NEGATIVE, "this log's format or this build of nori does "
                                             "not offer that; see: nori --version, and "
                                             "nori convert --help", NULL },
    { NORI_E_TIMEOUT,     0,   CLI_NEGATIVE, "try again", NULL },
    { NORI_E_READONLY,    0,   CLI_IO,       "check permissions and mount options: ls -ld ", "" },
    { NORI_E_TRUNCATED,   0,   CLI_NEGATIVE, "the writer removed these records meanwhile; "
                                             "begin again with: nori dump ", "" },
};
/* clang-format on */

static const struct failure *find_failure(const struct nori_error *error)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const struct failure *failure = &failures[i];

        if (failure->code == error->code &&
            (failure->os_errno == 0 || failure->os_errno == error->os_errno))
            return failure;
    }
    return NULL;
}

__attribute__((format(printf, 2, 0))) static void print_message(const char *command,
                                                                const char *format, va_list args)
{
    if (command)
        fprintf(stderr, "nori %s: ", command);
    else
        fputs("nori: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void cli_message(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_message(command, format, args);
    va_end(args);
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_message(command, format, args);
    va_end(args);
    if (command)
        fprintf(stderr, "try: nori %s --help\n", command);
    else
        fputs("try: nori --help\n", stderr);
    return CLI_USAGE;
}

int cli_hint(const char *dir, const struct nori_error *error)
{
    const struct failure *failure = find_failure(error);

    if (!failure)
        return CLI_IO;
    if (failure->hint_tail)
        fprintf(stderr, "hint: %s%s%s\n", failure->hint, dir, failure->hint_tail);
    else
        fprintf(stderr, "hint: %s\n", failure->hint);
    return failure->status;
}

int cli_fail(const char *command, const char *dir, const struct nori_error *error)
{
    cli_message(command, "%s", error->message[0] ? error->message : nori_strerror(error->code));
    return cli_hint(dir, error);
}

#define WORD_MAX 32 /* longer than any name of ours */

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be added, dropped or replaced to make b of a (Levenshtein). Both shorter
 * than WORD_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = min_of(replaced, min_of(row[j], diagonal) + 1);
        }
    }
    return row[b_len];
}

const char *cli_nearest(const char *word, const char *const *names)
{
    const char *nearest = NULL;
    size_t least = 3; /* farther than two letters is another word */

    if (strlen(word) >= WORD_MAX)
        return NULL;
    for (; *names; names++) {
        size_t steps = distance(word, *names);

        if (steps < least && steps < strlen(*names) / 2 + 1) {
            least = steps;
            nearest = *names;
        }
    }
    return nearest;
}
