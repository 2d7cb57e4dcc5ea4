/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli.h: the commands of the tool and how they end. */
#ifndef CLI_H
#define CLI_H

/* What the tool exits with. */
enum cli_status {
    CLI_GOOD = 0,
    CLI_NEGATIVE = 1, /* damage, or the answer is no */
    CLI_USAGE = 2,    /* the command line or the input is wrong */
    CLI_IO = 3        /* the operating system refused */
};

/* What a step returns that wants the command to go on; anything else is an enum cli_status to exit
 * with. */
#define CLI_CONTINUE (-1)

/* A command. argv[0] is its name. Returns an enum cli_status. */
int cli_append(int argc, char **argv);
int cli_dump(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_stat(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_repair(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_doctor(int argc, char **argv);

#endif
