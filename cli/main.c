/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * main.c: the nori tool.
 *
 * What. One table of commands; each is a file of its own. The tool uses the public headers only:
 * what it can do, any program can.
 *
 * Failure. Exit status 0 good, 1 damage or a negative answer, 2 wrong usage, 3 I/O error.
 *
 * Not here. What commands share: options.c, output.c, message.c, progress.c, text.c.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <nori/wal.h>

#include "cli.h"
#include "message.h"
#include "output.h"

#ifndef NORI_VERSION_STRING /* the build sets it */
#    define NORI_VERSION_STRING nori_version()
#endif

struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"append", "append records read from standard input", cli_append},
    {"dump", "print the records of a log", cli_dump},
    {"tail", "print the last records, and follow what is appended", cli_tail},
    {"verify", "check every byte of a log", cli_verify},
    {"stat", "describe a log: segments, records, space, state", cli_stat},
    {"top", "watch a log while a program has it open", cli_top},
    {"repair", "mend a damaged log, keeping what is taken out of it", cli_repair},
    {"explain", "say what lies at a place of a log, or how it hangs together", cli_explain},
    {"convert", "copy a log into another folder, in either format", cli_convert},
    {"bench", "measure how fast a log is, beside the least that has to be done", cli_bench},
    {"doctor", "measure the disk below a log, and say what to make of it", cli_doctor},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int complain_about_command(const char *name)
{
    const char *names[COMMAND_COUNT + 2] = {NULL};
    const char *nearest;

    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    names[COMMAND_COUNT] = "help";
    nearest = cli_nearest(name, names);
    if (nearest)
        return cli_usage(NULL, "unknown command '%s'; did you mean %s?", name, nearest);
    return cli_usage(NULL, "unknown command '%s'", name);
}

static int print_help(void)
{
    struct cli_output output;
    int rc = cli_output_init(&output, NULL);

    if (rc != CLI_CONTINUE)
        return rc;
    cli_output_text(&output, "usage: nori COMMAND [OPTIONS] DIR\n"
                             "\n"
                             "Work with the write-ahead log in the folder DIR.\n"
                             "\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        cli_output_format(&output, "  %-10s %s\n", commands[i].name, commands[i].help);
    cli_output_text(&output, "\n"
                             "  nori help COMMAND, nori COMMAND --help   about one command\n"
                             "  nori --version                           version and formats\n"
                             "\n"
                             "Only append and repair change a log; convert and bench make one;\n"
                             "doctor measures, and keeps with the log what follows.\n"
                             "Exit status: 0 good; 1 damage or a negative answer; 2 wrong usage;\n"
                             "3 I/O error.\n"
                             "\n"
                             "Examples\n"
                             "  printf 'one\\ntwo\\n' | nori append wal\n"
                             "  nori dump --json wal\n"
                             "  nori tail -f wal\n");
    return cli_output_done(&output, CLI_GOOD);
}

static int print_version(void)
{
    struct cli_output output;
    int rc = cli_output_init(&output, NULL);

    if (rc != CLI_CONTINUE)
        return rc;
    cli_output_format(&output, "nori %s\nlibrary: libnori-wal %s\n", NORI_VERSION_STRING,
                      nori_version());
    cli_output_text(&output, "formats: reads 1 and 2, writes 1 and 2\ncompression: none");
    if (nori_compression_is_offered(NORI_COMPRESSION_LZ4))
        cli_output_text(&output, ", lz4");
    if (nori_compression_is_offered(NORI_COMPRESSION_ZSTD))
        cli_output_text(&output, ", zstd");
    cli_output_text(&output, "\npolicies: always, batch, os\n");
    return cli_output_done(&output, CLI_GOOD);
}

/* nori help [COMMAND] */
static int run_help(int argc, char **argv)
{
    static char help_option[] = "--help";
    const struct command *command;

    if (argc < 2 || strcmp(argv[1], "help") == 0)
        return print_help();
    command = find_command(argv[1]);
    if (!command)
        return complain_about_command(argv[1]);
    return command->run(2, (char *[]){argv[1], help_option, NULL});
}

int main(int argc, char **argv)
{
    const struct command *command;
    const char *name = argc < 2 ? "" : argv[1];

    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is seen by the write */
    if (argc < 2)
        return cli_usage(NULL, "which command? one of append, dump, tail, verify, stat, top, "
                               "repair, explain, convert, bench, doctor");
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print_help();
    if (strcmp(name, "--version") == 0)
        return print_version();
    if (strcmp(name, "help") == 0)
        return run_help(argc - 1, argv + 1);
    if (name[0] == '-')
        return cli_usage(NULL, "unknown option '%s'; the command comes first", name);
    command = find_command(name);
    if (!command)
        return complain_about_command(name);
    return command->run(argc - 1, argv + 1);
}
