/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.c: reading a command's options.
 *
 * What. getopt_long finds them; this file turns values into numbers and says in words what is
 * wrong. Options may stand before or behind the folder.
 *
 * Failure. Every wrong option or value ends the command with CLI_USAGE, before anything was done.
 *
 * Not here. Which options a command has and what they mean: the command's own file.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "message.h"
#include "output.h"
#include "text.h"

#define OPTIONS_MAX   32
#define WINDOW_US_MAX 1000000u

static const char *name_of_id(const struct cli_options *options, int id)
{
    for (const struct option *known = options->known; known->name; known++) {
        if (known->val == id)
            return known->name;
    }
    return "";
}

static int complain_about_unknown(const struct cli_options *options, const char *word)
{
    const char *names[OPTIONS_MAX + 1] = {NULL};
    const char *nearest;
    char bare[64];
    size_t count = 0;

    for (const struct option *known = options->known; known->name && count < OPTIONS_MAX; known++)
        names[count++] = known->name;
    word += strspn(word, "-");
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    nearest = cli_nearest(bare, names);
    if (nearest)
        cli_usage(options->command, "unknown option '--%s'; did you mean --%s?", bare, nearest);
    else
        cli_usage(options->command, "unknown option '--%s'", bare);
    return CLI_OPTIONS_BAD;
}

/* Those whose id is a letter may be written so, too. */
static const char *letters(const struct cli_options *options, char text[2 * OPTIONS_MAX + 2])
{
    size_t len = 0;

    text[len++] = ':'; /* a missing value is told from an unknown option */
    for (const struct option *known = options->known; known->name && len < (size_t)2 * OPTIONS_MAX;
         known++) {
        if (known->val > UINT8_MAX)
            continue;
        text[len++] = (char)known->val;
        if (known->has_arg == required_argument)
            text[len++] = ':';
    }
    text[len] = '\0';
    return text;
}

int cli_options_next(struct cli_options *options)
{
    char text[2 * OPTIONS_MAX + 2];
    int id;

    opterr = 0;
    id = getopt_long(options->argc, options->argv, letters(options, text), options->known, NULL);
    if (id == -1)
        return CLI_OPTIONS_END;
    if (id == ':') {
        cli_usage(options->command, "--%s needs a value", name_of_id(options, optopt));
        return CLI_OPTIONS_BAD;
    }
    if (id == '?' && optopt == 0)
        return complain_about_unknown(options, options->argv[optind - 1]);
    if (id == '?' && name_of_id(options, optopt)[0] != '\0') {
        cli_usage(options->command, "--%s takes no value", name_of_id(options, optopt));
        return CLI_OPTIONS_BAD;
    }
    if (id == '?') {
        cli_usage(options->command, "unknown option '-%c'", optopt);
        return CLI_OPTIONS_BAD;
    }
    options->name = name_of_id(options, id);
    options->value = optarg;
    return id;
}

int cli_options_json(struct cli_options *options, const char *help, bool *ret_is_json)
{
    enum {
        OPTION_JSON = 256
    };
    static const struct option known[] = {
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int id;

    options->known = known;
    while ((id = cli_options_next(options)) != CLI_OPTIONS_END) {
        if (id == 'h')
            return cli_output_help(options->command, help);
        if (id != OPTION_JSON)
            return CLI_USAGE;
        *ret_is_json = true;
    }
    return CLI_CONTINUE;
}

int cli_options_dir(const struct cli_options *options, const char **ret_dir)
{
    int count = options->argc - optind;

    if (count == 0)
        return cli_usage(options->command, "which log? the folder is missing");
    if (count > 1)
        return cli_usage(options->command, "one folder only, but '%s' follows '%s'",
                         options->argv[optind + 1], options->argv[optind]);
    if (options->argv[optind][0] == '\0')
        return cli_usage(options->command, "which log? the folder's name is empty");
    *ret_dir = options->argv[optind];
    return CLI_CONTINUE;
}

int cli_options_two_dirs(const struct cli_options *options, const char **ret_source,
                         const char **ret_target)
{
    int count = options->argc - optind;

    if (count != 2)
        return cli_usage(options->command, "two folders, from where and to where: %d given", count);
    if (options->argv[optind][0] == '\0' || options->argv[optind + 1][0] == '\0')
        return cli_usage(options->command, "a folder's name is empty");
    *ret_source = options->argv[optind];
    *ret_target = options->argv[optind + 1];
    return CLI_CONTINUE;
}

static int complain(const struct cli_options *options, const char *expected)
{
    return cli_usage(options->command, "--%s '%s': expected %s", options->name, options->value,
                     expected);
}

static int check_range(const struct cli_options *options, uint64_t value, uint64_t min,
                       uint64_t max)
{
    if (value < min)
        return cli_usage(options->command, "--%s '%s': must be at least %llu", options->name,
                         options->value, (unsigned long long)min);
    if (value > max)
        return cli_usage(options->command, "--%s '%s': must be at most %llu", options->name,
                         options->value, (unsigned long long)max);
    return CLI_CONTINUE;
}

int cli_option_u64(const struct cli_options *options, uint64_t min, uint64_t max,
                   uint64_t *ret_value)
{
    uint64_t value;
    int rc;

    if (!cli_text_to_u64(options->value, &value))
        return complain(options, "a whole number");
    rc = check_range(options, value, min, max);
    if (rc == CLI_CONTINUE)
        *ret_value = value;
    return rc;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* A number with one of units (ended by NULL) behind it. */
static bool number_with_unit(const char *text, const struct unit *units, uint64_t *ret_value)
{
    uint64_t value;

    if (!cli_text_digits(&text, &value))
        return false;
    for (; units->suffix; units++) {
        if (strcmp(text, units->suffix) != 0)
            continue;
        if (value > UINT64_MAX / units->factor)
            return false;
        *ret_value = value * units->factor;
        return true;
    }
    return false;
}

int cli_option_size(const struct cli_options *options, uint64_t min, uint64_t max,
                    uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},           {"K", 1u << 10}, {"KiB", 1u << 10}, {"M", 1u << 20},
        {"MiB", 1u << 20}, {"G", 1u << 30}, {"GiB", 1u << 30}, {NULL, 0},
    };
    uint64_t bytes;
    int rc;

    if (!number_with_unit(options->value, units, &bytes))
        return complain(options, "a size such as 65536, 64KiB, 64MiB or 1GiB");
    rc = check_range(options, bytes, min, max);
    if (rc == CLI_CONTINUE)
        *ret_bytes = bytes;
    return rc;
}

int cli_option_window(const struct cli_options *options, uint32_t *ret_us)
{
    static const struct unit units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {NULL, 0}};
    uint64_t us;

    if (!number_with_unit(options->value, units, &us) || us == 0 || us > WINDOW_US_MAX)
        return complain(options, "a time such as 500us, 5ms or 1s, at most one second");
    *ret_us = (uint32_t)us;
    return CLI_CONTINUE;
}

int cli_option_seconds(const struct cli_options *options, double min, double max, uint64_t *ret_ns)
{
    char *end = NULL;
    double seconds = strtod(options->value, &end);

    if (end == options->value || *end != '\0' || !(seconds >= min && seconds <= max)) {
        char expected[64];

        snprintf(expected, sizeof expected, "seconds from %g to %g", min, max);
        return complain(options, expected);
    }
    *ret_ns = (uint64_t)(seconds * 1e9);
    return CLI_CONTINUE;
}

static bool position_of(const char *text, struct nori_position *ret_position)
{
    struct nori_position position = {0, 0};
    const char *at = text;
    bool is_good = cli_text_digits(&at, &position.segment_id);

    if (is_good && *at == ':') {
        at++;
        is_good = cli_text_digits(&at, &position.offset);
    }
    *ret_position = position;
    return is_good && *at == '\0';
}

int cli_option_position(const struct cli_options *options, struct nori_position *ret_position)
{
    struct nori_position position;

    if (!position_of(options->value, &position))
        return complain(options, "a position such as 3:128, segment and offset");
    *ret_position = position;
    return CLI_CONTINUE;
}

int cli_options_dir_and_position(const struct cli_options *options, const char **ret_dir,
                                 struct nori_position *ret_position)
{
    struct cli_options first = *options;
    const char *text;

    *ret_position = (struct nori_position){0, 0};
    if (options->argc - optind != 2)
        return cli_options_dir(options, ret_dir);
    text = options->argv[optind + 1];
    if (!position_of(text, ret_position))
        return cli_usage(options->command,
                         "'%s': expected a position such as 3:128, segment and offset", text);
    if (ret_position->segment_id == 0 && ret_position->offset == 0)
        ret_position->offset = 1;
    first.argc--;
    return cli_options_dir(&first, ret_dir);
}

int cli_option_time(const struct cli_options *options, uint64_t *ret_time_ms)
{
    if (!cli_text_to_time(options->value, ret_time_ms))
        return complain(options, "a time such as 2024-05-01T12:00:00Z, or Unix milliseconds");
    return CLI_CONTINUE;
}

int cli_option_choice(const struct cli_options *options, const char *const *names,
                      uint32_t *ret_index)
{
    char list[128] = "";
    size_t len = 0;

    for (uint32_t i = 0; names[i]; i++) {
        const char *before = i == 0 ? "" : names[i + 1] ? ", " : " or ";

        if (strcmp(options->value, names[i]) == 0) {
            *ret_index = i;
            return CLI_CONTINUE;
        }
        snprintf(list + len, sizeof list - len, "%s%s", before, names[i]);
        len = strlen(list);
    }
    return complain(options, list);
}
