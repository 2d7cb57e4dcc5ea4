/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * part.c: a folder that is there when it is complete, and not before.
 *
 * What. A log that ends early is a good log: nothing in it tells that a command was killed while it
 * filled it. So it is made under another name, and gets its own by one rename, which also replaces
 * an empty folder of that name.
 *
 * Failure. What was made stays under the name that says that it is not complete; nothing is removed
 * here. A folder of that name that holds something is not ours to fill.
 */
#define _XOPEN_SOURCE 700 /* realpath */

#include "part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "message.h"

#define SUFFIX ".incomplete"

static int fail(const struct cli_part *part, const char *what, const char *name)
{
    cli_message(part->command, "%s %s: %s", what, name, strerror(errno));
    return CLI_IO;
}

/* 1, or 0 with *ret_is_there; CLI_IO after a message. */
static int is_empty(const struct cli_part *part, const char *name, bool *ret_is_there)
{
    DIR *dir = opendir(name);
    const struct dirent *entry;
    int is_empty = 1;

    *ret_is_there = dir || errno != ENOENT;
    if (!dir)
        return *ret_is_there ? fail(part, "open", name) : 1;
    errno = 0;
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            is_empty = 0;
    if (errno != 0)
        is_empty = fail(part, "list", name);
    (void)closedir(dir);
    return is_empty;
}

/* The folder that the target lies in, by its one path that has no link in it. */
static int set_folder(struct cli_part *part)
{
    const char *slash = strrchr(part->target, '/');
    size_t len = slash ? (size_t)(slash - part->target) + 1 : 0;
    char *path = malloc(len + sizeof ".");

    if (!path)
        return fail(part, "name", part->target);
    memcpy(path, part->target, len);
    memcpy(path + len, ".", sizeof ".");
    part->folder = realpath(path, NULL);
    free(path);
    return part->folder ? CLI_CONTINUE : fail(part, "find the folder of", part->target);
}

/* All names, from one that the user gave. */
static int set_names(struct cli_part *part, const char *target, bool is_there)
{
    /* A rename goes to no link, and not to "." */
    part->target = is_there ? realpath(target, NULL) : strdup(target);
    if (!part->target)
        return fail(part, "open", target);
    for (size_t len = strlen(part->target); len > 1 && part->target[len - 1] == '/'; len--)
        part->target[len - 1] = '\0';
    part->name = malloc(strlen(part->target) + sizeof SUFFIX);
    if (!part->name)
        return fail(part, "name", target);
    memcpy(part->name, part->target, strlen(part->target));
    memcpy(part->name + strlen(part->target), SUFFIX, sizeof SUFFIX);
    return set_folder(part);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The target must not lie in the source, at any depth: that is only read, and what lies in its
 * quarantine/ is evidence. Compared are the folders themselves, whatever they are called. */
static int check_source(const struct cli_part *part, const char *source)
{
    struct stat from, above;
    char *path = strdup(part->folder);
    int rc = CLI_CONTINUE;

    if (!path || stat(source, &from) < 0)
        rc = fail(part, "look at", source);
    while (rc == CLI_CONTINUE) {
        char *slash = strrchr(path, '/');

        if (stat(path, &above) < 0)
            rc = fail(part, "look at", path);
        else if (is_same(&above, &from))
            rc = cli_usage(part->command, "%s would lie in %s, which is only read", part->target,
                           source);
        else if (slash[1] == '\0')
            break;                           /* the root */
        slash[slash == path ? 1 : 0] = '\0'; /* the root keeps its own */
    }
    free(path);
    return rc;
}

static int check_place(const struct cli_part *part, bool is_there)
{
    struct stat parent, target, current;

    if (stat(part->folder, &parent) < 0)
        return fail(part, "look at", part->folder);
    if (!is_there && lstat(part->target, &target) == 0)
        return cli_usage(part->command, "%s is a link that leads nowhere", part->target);
    if (!is_there)
        return CLI_CONTINUE;
    if (stat(part->target, &target) < 0)
        return fail(part, "look at", part->target);
    if (target.st_dev != parent.st_dev)
        return cli_usage(part->command, "%s is where a disk is mounted: name a folder in it",
                         part->target);
    if (stat(".", &current) == 0 && is_same(&target, &current))
        return cli_usage(part->command,
                         "%s is the current folder, which would be replaced: name a folder in it, "
                         "or go elsewhere first",
                         part->target);
    return CLI_CONTINUE;
}

/* A link would make it elsewhere, and then give the target's name to the link. */
static int check_name(const struct cli_part *part)
{
    struct stat left;
    bool is_left;
    int rc = is_empty(part, part->name, &is_left);

    if (rc == 1 && (lstat(part->name, &left) < 0 || S_ISDIR(left.st_mode)))
        return CLI_CONTINUE;
    if (rc != 0 && rc != 1)
        return rc;
    return cli_usage(part->command,
                     "%s is in the way: made by a run that goes on, or one that did not end; "
                     "then remove it",
                     part->name);
}

int cli_part_begin(struct cli_part *part, const char *command, const char *target,
                   const char *source)
{
    bool is_there;
    int rc;

    *part = (struct cli_part){.command = command};
    rc = is_empty(part, target, &is_there);
    if (rc == 0)
        return cli_usage(command, "%s is not empty: the log goes into a folder of its own", target);
    if (rc == 1)
        rc = set_names(part, target, is_there);
    if (rc == CLI_CONTINUE)
        rc = check_source(part, source);
    if (rc == CLI_CONTINUE)
        rc = check_place(part, is_there);
    return rc == CLI_CONTINUE ? check_name(part) : rc;
}

int cli_part_finish(const struct cli_part *part)
{
    int fd = open(part->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = CLI_GOOD;

    if (fd < 0)
        return fail(part, "open", part->folder);
    if (rename(part->name, part->target) < 0) {
        status = fail(part, "make", part->target);
        cli_message(part->command, "%s is complete, but for its name", part->name);
    } else if (fsync(fd) < 0) {
        status = fail(part, "sync", part->folder);
        cli_message(part->command, "%s is complete; a power cut may give it the name %s again",
                    part->target, part->name);
    }
    (void)close(fd);
    return status;
}

void cli_part_done(struct cli_part *part)
{
    free(part->target);
    free(part->name);
    free(part->folder);
}
