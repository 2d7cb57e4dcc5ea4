/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* print.h: records as dump and tail print them, which of them, and the options that say so. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <stdbool.h>

#include <nori/wal.h>

#include "options.h"
#include "output.h"

enum cli_form {
    CLI_FORM_TEXT,
    CLI_FORM_JSON,
    CLI_FORM_HEX,
    CLI_FORM_RAW
};

struct cli_print {
    /* From the command line. */
    enum cli_form form;
    bool has_form;
    bool has_from;
    struct nori_position from;
    uint64_t sequence_min;
    uint64_t since_ms;
    uint64_t limit;
    const char *key_prefix;
    size_t key_prefix_len;

    struct cli_output output;
    uint64_t now_ms;  /* Unix time at the start: what has expired by then is marked */
    uint64_t printed; /* records */
    bool is_damaged;  /* damage was told, at `damage` last */
    struct nori_position damage;
};

/* Ids of the options; a command's own begin at CLI_OPTION_OWN. */
enum cli_print_option {
    CLI_OPTION_JSON = 256,
    CLI_OPTION_HEX,
    CLI_OPTION_RAW,
    CLI_OPTION_FROM,
    CLI_OPTION_SEQUENCE,
    CLI_OPTION_SINCE,
    CLI_OPTION_KEY_PREFIX,
    CLI_OPTION_LIMIT,
    CLI_OPTION_OWN
};

/* For a table of struct option. */
#define CLI_PRINT_OPTIONS                                                                     \
    {"json", no_argument, NULL, CLI_OPTION_JSON}, {"hex", no_argument, NULL, CLI_OPTION_HEX}, \
        {"raw", no_argument, NULL, CLI_OPTION_RAW},                                           \
        {"from", required_argument, NULL, CLI_OPTION_FROM},                                   \
        {"sequence", required_argument, NULL, CLI_OPTION_SEQUENCE},                           \
        {"since", required_argument, NULL, CLI_OPTION_SINCE},                                 \
        {"key-prefix", required_argument, NULL, CLI_OPTION_KEY_PREFIX},                       \
    {                                                                                         \
        "limit", required_argument, NULL, CLI_OPTION_LIMIT                                    \
    }

/* Take one of these: CLI_CONTINUE, or CLI_USAGE. */
int cli_print_option(struct cli_print *print, const struct cli_options *options, int id);

bool cli_print_is_wanted(const struct cli_print *print, const struct nori_record *record);
void cli_print_record(struct cli_print *print, const struct nori_record *record,
                      struct nori_position position);

/* nori_reader_next, but damage behind which reading goes on is told, once for each place. */
int cli_print_next(struct cli_print *print, nori_reader *reader, const char *dir,
                   struct nori_record *ret_record, struct nori_position *ret_position);

/* What to exit with if rc ended reading; it is told if it is a failure. */
int cli_print_end(struct cli_print *print, nori_reader *reader, const char *dir, int rc);

uint64_t cli_unix_time_ms(void);

#endif
