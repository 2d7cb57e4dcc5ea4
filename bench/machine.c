/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* machine.c: where and when the benchmark ran, and how it was called. */
#define _GNU_SOURCE 1

#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXT_LEN sizeof((struct bench_machine *)NULL)->cpu

/* What stands behind the first `name` and a colon in a file of such lines; "unknown" if nothing. */
static void look_up(const char *file, const char *name, char *ret_text)
{
    char line[512];
    FILE *lines = fopen(file, "r");
    size_t name_len = strlen(name);

    (void)snprintf(ret_text, TEXT_LEN, "unknown");
    while (lines && fgets(line, sizeof line, lines)) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, name, name_len) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(ret_text, TEXT_LEN, "%.150s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    if (lines)
        (void)fclose(lines);
}

/* Type, device and options of the file system that holds the data: of the longest mount point that
 * its name begins with. */
static void find_file_system(char *ret_text)
{
    char place[400], device[200], point[400], type[64], options[400], line[2048];
    char *real = realpath(bench_folder, NULL);
    FILE *mounts = fopen("/proc/self/mounts", "r");
    size_t best = 0;

    (void)snprintf(ret_text, TEXT_LEN, "unknown");
    (void)snprintf(place, sizeof place, "%.390s/", real ? real : "");
    free(real);
    while (mounts && fgets(line, sizeof line, mounts)) {
        size_t len;

        if (sscanf(line, "%199s %399s %63s %399s", device, point, type, options) != 4)
            continue;
        len = strlen(point);
        if (len < best || strncmp(place, point, len) != 0 || (len > 1 && place[len] != '/'))
            continue;
        best = len;
        (void)snprintf(ret_text, TEXT_LEN, "%.20s on %.40s (%.60s)", type, device, options);
    }
    if (mounts)
        (void)fclose(mounts);
}

/* As a shell understands it; returns what follows it. A byte takes four at most, and two more for
 * the word. */
static char *quote(const char *word, char *target)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=,+@%";
    bool is_plain = *word && word[strspn(word, plain)] == '\0';

    if (!is_plain)
        *target++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') {
            memcpy(target, "'\\'", 3);
            target += 3;
        }
        *target++ = *word;
    }
    if (!is_plain)
        *target++ = '\'';
    return target;
}

static char *command_of(const struct bench_options *options)
{
    static const char program[] = "nori";
    size_t size = sizeof program;
    char *command, *at;

    for (int i = 0; i < options->argc; i++)
        size += 4 * strlen(options->argv[i]) + 3;
    command = bench_alloc(size);
    at = command + sizeof program - 1;
    memcpy(command, program, sizeof program - 1);
    for (int i = 0; i < options->argc; i++) {
        *at++ = ' ';
        at = quote(options->argv[i], at);
    }
    return command;
}

void bench_machine_look(const struct bench_options *options, struct bench_machine *ret_machine)
{
    struct utsname kernel;
    time_t now = time(NULL);
    struct tm parts;

    ret_machine->begun_ns = bench_now_ns();
    look_up("/proc/cpuinfo", "model name", ret_machine->cpu);
    find_file_system(ret_machine->file_system);
    ret_machine->cores = sysconf(_SC_NPROCESSORS_ONLN);
    (void)snprintf(ret_machine->kernel, TEXT_LEN, "unknown");
    if (uname(&kernel) == 0)
        (void)snprintf(ret_machine->kernel, TEXT_LEN, "%.40s %.60s %.40s", kernel.sysname,
                       kernel.release, kernel.machine);
    ret_machine->command = command_of(options);
    (void)strftime(ret_machine->date, sizeof ret_machine->date, "%Y-%m-%dT%H:%M:%SZ",
                   gmtime_r(&now, &parts));
    bench_clean(ret_machine->cpu);
    bench_clean(ret_machine->file_system);
    bench_clean(ret_machine->kernel);
    bench_clean(ret_machine->command);
}
