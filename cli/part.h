/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * part.h: a folder that is there when it is complete, and not before. It is made beside the place
 * where it belongs, as "TARGET.incomplete", and gets its name when all in it is durable.
 */
#ifndef CLI_PART_H
#define CLI_PART_H

struct cli_part {
    const char *command; /* for messages */
    char *target;        /* no link, and no slash at its end */
    char *name;          /* what it is called until it is complete */
    char *folder;        /* that both lie in */
};

/* May `target` be made? It must not be there, or be empty and not the current folder, and must not
 * lie in `source`, at any depth. Changes nothing. Returns CLI_CONTINUE, or what to exit with after
 * a message. cli_part_done() in either case. */
int cli_part_begin(struct cli_part *part, const char *command, const char *target,
                   const char *source);

/* All in it is durable: give it its name, durably. Returns CLI_GOOD, or CLI_IO after a message. */
int cli_part_finish(const struct cli_part *part);

void cli_part_done(struct cli_part *part);

#endif
