/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* item.h: what the library reports about a log, printed. */
#ifndef CLI_ITEM_H
#define CLI_ITEM_H

#include <stdbool.h>

#include <nori/wal.h>

#include "output.h"

/* One JSON object and a newline. PROGRESS is not printed. */
void cli_item_json(struct cli_output *output, const struct nori_log_item *item);

/* A finding as sentences: what, where, and what to do. */
void cli_item_finding(struct cli_output *output, const struct nori_log_item *item, bool has_colour);

/* The same, with another word for what the advice is. */
void cli_item_finding_with(struct cli_output *output, const struct nori_log_item *item,
                           bool has_colour, const char *what);

/* A log's numbers as one JSON object and a newline. Rates are null where elapsed_ns is 0. */
void cli_item_json_stats(struct cli_output *output, const struct nori_wal_stats *stats);

/* "always", "batch" or "os". */
const char *cli_item_policy_name(uint32_t policy);

const char *cli_item_state_name(uint32_t state);

/* Colours, if standard output is a terminal and NO_COLOR is not set. */
bool cli_colour_is_wanted(void);

enum cli_colour {
    CLI_COLOUR_OFF,
    CLI_COLOUR_RED,
    CLI_COLOUR_GREEN,
    CLI_COLOUR_YELLOW
};
void cli_output_colour(struct cli_output *output, bool has_colour, enum cli_colour colour);

#endif
