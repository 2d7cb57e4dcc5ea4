/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mounts.c: what Linux tells about a mounted file system.
 *
 * What. /proc/self/fdinfo has the number of the mount that a descriptor lies on, which no name can
 * be mistaken about; /proc/self/mountinfo has a line for each. A blank stands between two fields;
 * before "-" stand any number of tags. Blanks, tabs, newlines and backslashes within a field are
 * written as \ooo.
 *
 * Failure. Where there is no /proc, or it says what is not understood, nothing is known.
 */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next field, not ended by NUL and maybe empty; NULL if there is none. *at stands behind the
 * one before. */
static const char *next_field(const char **at, size_t *ret_len)
{
    const char *field = *at + 1;

    if (**at != ' ')
        return NULL;
    *ret_len = strcspn(field, " \n");
    *at = field + *ret_len;
    return field;
}

static bool is_octal(char digit)
{
    return digit >= '0' && digit <= '7';
}

/* Copy a field, with \ooo as the byte it stands for. */
static void copy_field(char *target, size_t size, const char *field, size_t len)
{
    size_t used = 0;

    for (size_t i = 0; i < len && used + 1 < size; i++) {
        char byte = field[i];

        if (byte == '\\' && len - i > 3 && field[i + 1] <= '3' && is_octal(field[i + 1]) &&
            is_octal(field[i + 2]) && is_octal(field[i + 3])) {
            byte =
                (char)((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
            i += 3;
        }
        target[used++] = byte;
    }
    target[used] = '\0';
}

/* A file system's own "rw" or "ro" tells nothing if its mount says the same, or is stricter. */
static void drop_access(const char *mount_options, const char **field, size_t *len)
{
    bool is_known =
        *len >= 2 && (strncmp(*field, "rw", 2) == 0 ||
                      (strncmp(*field, "ro", 2) == 0 && cli_mount_has_option(mount_options, "ro")));

    if (is_known && (*len == 2 || (*field)[2] == ',')) {
        size_t dropped = *len > 2 ? 3 : 2;

        *field += dropped;
        *len -= dropped;
    }
}

/* Behind the tags and "-". False if there is no "-". */
static bool skip_tags(const char **at)
{
    const char *field;
    size_t len;

    while ((field = next_field(at, &len)) != NULL)
        if (len == 1 && field[0] == '-')
            return true;
    return false;
}

bool cli_mount_parse(const char *line, struct cli_mount *ret_mount)
{
    struct cli_mount mount = {0};
    unsigned long long id;
    const char *at = line;
    const char *fields[6]; /* root, point, options, type, source, the file system's options */
    size_t lens[6];
    int consumed = 0;
    size_t used;

    if (sscanf(line, "%llu %*u %u:%u%n", &id, &mount.major, &mount.minor, &consumed) != 3 ||
        consumed == 0)
        return false;
    at += consumed;
    for (size_t i = 0; i < 6; i++) {
        if (i == 3 && !skip_tags(&at))
            return false;
        fields[i] = next_field(&at, &lens[i]);
        if (!fields[i])
            return false;
    }
    mount.id = id;
    copy_field(mount.point, sizeof mount.point, fields[1], lens[1]);
    copy_field(mount.type, sizeof mount.type, fields[3], lens[3]);
    copy_field(mount.source, sizeof mount.source, fields[4], lens[4]);
    copy_field(mount.options, sizeof mount.options, fields[2], lens[2]);
    used = strlen(mount.options);
    drop_access(mount.options, &fields[5], &lens[5]);
    if (lens[5] > 0 && used + 2 < sizeof mount.options) {
        mount.options[used++] = ',';
        copy_field(mount.options + used, sizeof mount.options - used, fields[5], lens[5]);
    }
    *ret_mount = mount;
    return true;
}

bool cli_mount_has_option(const char *options, const char *option)
{
    size_t len = strlen(option);

    while (*options) {
        size_t here = strcspn(options, ",");

        if (here >= len && strncmp(options, option, len) == 0 &&
            (here == len || options[len] == '='))
            return true;
        options += here + (options[here] == ',');
    }
    return false;
}

static bool find_mount_id(int fd, uint64_t *ret_id)
{
    char path[64], line[256];
    unsigned long long id;
    bool is_found = false;
    FILE *lines;

    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    lines = fopen(path, "re");
    while (lines && !is_found && fgets(line, sizeof line, lines))
        is_found = sscanf(line, "mnt_id: %llu", &id) == 1;
    if (lines)
        (void)fclose(lines);
    if (is_found)
        *ret_id = id;
    return is_found;
}

bool cli_mount_of(int fd, struct cli_mount *ret_mount)
{
    struct cli_mount mount;
    char *line = NULL;
    size_t size = 0;
    bool is_found = false;
    uint64_t id;
    FILE *lines = find_mount_id(fd, &id) ? fopen("/proc/self/mountinfo", "re") : NULL;

    while (lines && !is_found && getline(&line, &size, lines) > 0)
        is_found = cli_mount_parse(line, &mount) && mount.id == id;
    free(line);
    if (lines)
        (void)fclose(lines);
    if (is_found)
        *ret_mount = mount;
    return is_found;
}
