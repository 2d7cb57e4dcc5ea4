/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* message.h: what the tool says on standard error. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <nori/error.h>

/* "nori COMMAND: ...". command may be NULL: "nori: ...". */
__attribute__((format(printf, 2, 3))) void cli_message(const char *command, const char *format,
                                                       ...);

/* "nori COMMAND: ..." and where to find help. Returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *command, const char *format, ...);

/* What the library said about dir, and what to do about it. Returns the exit status that goes with
 * it. */
int cli_fail(const char *command, const char *dir, const struct nori_error *error);

/* What to do about it alone, for a command that told more about the failure itself. */
int cli_hint(const char *dir, const struct nori_error *error);

/* The one of names (ended by NULL) that is most likely meant by word, or NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *names);

#endif
