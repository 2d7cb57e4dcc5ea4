/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* options.h: reading a command's options. What is wrong with one is told here. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nori/error.h>

#define CLI_OPTIONS_END (-1) /* all were read */
#define CLI_OPTIONS_BAD (-2) /* one is wrong; a message was printed: exit with CLI_USAGE */

struct cli_options {
    const char *command;
    int argc;
    char **argv;
    const struct option *
        known; /* for getopt_long; ended by zeros. Ids are letters or begin at 256; "help" is 'h' */
    const char *name;  /* of the option read last, without dashes */
    const char *value; /* its value */
};

/* The next option's id, or CLI_OPTIONS_END or CLI_OPTIONS_BAD. */
int cli_options_next(struct cli_options *options);

/* Of a command that has no option but --json and --help: reads all, and sets `known`. Returns
 * CLI_CONTINUE, or what to exit with after a message or the help. */
int cli_options_json(struct cli_options *options, const char *help, bool *ret_is_json);

/* After the last one: the folder, the one operand there must be. */
int cli_options_dir(const struct cli_options *options, const char **ret_dir);

/* After the last one: two folders, from where and to where. */
int cli_options_two_dirs(const struct cli_options *options, const char **ret_source,
                         const char **ret_target);

/* After the last one: the folder, and maybe a position, {0, 0} without one. The first place of all
 * is given as {0, 1}, another byte of the same header. */
int cli_options_dir_and_position(const struct cli_options *options, const char **ret_dir,
                                 struct nori_position *ret_position);

/* The value of the option read last. Each returns CLI_CONTINUE, or CLI_USAGE after a message. */
int cli_option_u64(const struct cli_options *options, uint64_t min, uint64_t max,
                   uint64_t *ret_value);
int cli_option_size(const struct cli_options *options, uint64_t min, uint64_t max,
                    uint64_t *ret_bytes);
int cli_option_window(const struct cli_options *options, uint32_t *ret_us);
int cli_option_seconds(const struct cli_options *options, double min, double max, uint64_t *ret_ns);
int cli_option_position(const struct cli_options *options, struct nori_position *ret_position);
int cli_option_time(const struct cli_options *options, uint64_t *ret_time_ms);

/* The place of the value among names (ended by NULL). */
int cli_option_choice(const struct cli_options *options, const char *const *names,
                      uint32_t *ret_index);

#endif
