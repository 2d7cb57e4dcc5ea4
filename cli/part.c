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

/* Both names, from one that the user gave. */
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
    return CLI_CONTINUE;
}

/* The folder that the target lies in; -1 after a message. */
static int open_parent(const struct cli_part *part)
{
    const char *slash = strrchr(part->target, '/');
    size_t len = slash ? (size_t)(slash - part->target) + 1 : 1;
    char *parent = malloc(len + 1);
    int fd = -1;

    if (parent) {
        memcpy(parent, slash ? part->target : ".", len);
        parent[len] = '\0';
        fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        (void)fail(part, "open", parent ? parent : part->target);
    free(parent);
    return fd;
}

static int check_place(const struct cli_part *part, const char *source, bool is_there)
{
    struct stat parent, from, target;
    int fd = open_parent(part);
    int rc;

    if (fd < 0)
        return CLI_IO;
    rc = fstat(fd, &parent);
    (void)close(fd);
    if (rc < 0 || stat(source, &from) < 0)
        return fail(part, "look at", rc < 0 ? part->target : source);
    if (parent.st_dev == from.st_dev && parent.st_ino == from.st_ino)
        return cli_usage(part->command, "%s would lie in %s, which is only read", part->target,
                         source);
    if (!is_there && lstat(part->target, &target) == 0)
        return cli_usage(part->command, "%s is a link that leads nowhere", part->target);
    if (is_there && stat(part->target, &target) == 0 && target.st_dev != parent.st_dev)
        return cli_usage(part->command, "%s is where a disk is mounted: name a folder in it",
                         part->target);
    return CLI_CONTINUE;
}

int cli_part_begin(struct cli_part *part, const char *command, const char *target,
                   const char *source)
{
    bool is_there, is_left;
    int rc;

    *part = (struct cli_part){.command = command};
    rc = is_empty(part, target, &is_there);
    if (rc == 0)
        return cli_usage(command, "%s is not empty: the log goes into a folder of its own", target);
    if (rc == 1)
        rc = set_names(part, target, is_there);
    if (rc == CLI_CONTINUE)
        rc = check_place(part, source, is_there);
    if (rc != CLI_CONTINUE)
        return rc;
    rc = is_empty(part, part->name, &is_left);
    if (rc == 0)
        return cli_usage(command,
                         "%s is in the way: made by a run that goes on, or one that did not end; "
                         "then remove it",
                         part->name);
    return rc == 1 ? CLI_CONTINUE : rc;
}

int cli_part_finish(const struct cli_part *part)
{
    int fd = open_parent(part);
    int status = CLI_GOOD;

    if (fd < 0)
        return CLI_IO;
    if (rename(part->name, part->target) < 0) {
        status = fail(part, "make", part->target);
        cli_message(part->command, "%s is complete, but for its name", part->name);
    } else if (fsync(fd) < 0) {
        status = fail(part, "sync the folder of", part->target);
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
}
