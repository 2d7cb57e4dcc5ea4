/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * page_file.c: the file that gets the page.
 *
 * What. Whether it can be written is found out before anything is measured, by making and removing
 * a file beside it. In the end the page is written to such a file, which takes its name when all of
 * it is on the disk. So there is a whole page or none, and an older one stays until then.
 *
 * Failure. What cannot be written ends the benchmark with a message; a signal removes what is half
 * written.
 */
#define _GNU_SOURCE 1

#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_INPUT  2
#define STATUS_SYSTEM 3

/* Set by bench_page_prepare, then constant. */
static char *target, *temporary;

static atomic_bool has_temporary;

static int complain(const char *path, const char *why, int status)
{
    fprintf(stderr, "nori bench: the report %s: %s\n", path, why);
    return status;
}

/* The folder that it lies in, as the kernel names it; NULL with errno set if there is none. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder, *real;

    if (!slash)
        return realpath(".", NULL);
    folder = bench_copy(path);
    folder[slash == path ? 1 : slash - path] = '\0';
    real = realpath(folder, NULL);
    free(folder);
    return real;
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + 1 + strlen(name) + 1;
    char *path = bench_alloc(size);

    (void)snprintf(path, size, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    return path;
}

static bool lies_in(const char *folder, const char *other)
{
    char *real = realpath(other, NULL);
    size_t len = real ? strlen(real) : 0;
    bool lies =
        real && strncmp(folder, real, len) == 0 && (folder[len] == '/' || folder[len] == '\0');

    free(real);
    return lies;
}

/* Of a link it is what the link leads to that is replaced. */
static int find_target(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    struct stat about;
    char *folder;

    target = realpath(path, NULL);
    if (target && stat(target, &about) == 0 && !S_ISREG(about.st_mode))
        return complain(path, S_ISDIR(about.st_mode) ? "is a folder" : "is not a file",
                        STATUS_SYSTEM);
    if (target && access(target, W_OK) < 0)
        return complain(path, strerror(errno), STATUS_SYSTEM);
    if (target)
        return 0;
    if (*name == '\0')
        return complain(path, "has no file name", STATUS_INPUT);
    folder = folder_of(path);
    if (!folder)
        return complain(path, strerror(errno), STATUS_SYSTEM);
    target = join(folder, name);
    free(folder);
    return 0;
}

static int open_temporary(void)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd >= 0)
        atomic_store(&has_temporary, true);
    return fd;
}

void bench_page_discard(void)
{
    if (atomic_exchange(&has_temporary, false))
        (void)unlink(temporary);
}

int bench_page_prepare(const char *path)
{
    char name[64];
    char *folder;
    int fd;
    int status = find_target(path);

    if (status != 0)
        return status;
    folder = folder_of(target);
    if (!folder)
        return complain(path, strerror(errno), STATUS_SYSTEM);
    (void)snprintf(name, sizeof name, "nori-bench-%ld.tmp", (long)getpid());
    temporary = join(folder, name);
    status = lies_in(folder, bench_folder) ? STATUS_INPUT : 0;
    free(folder);
    if (status != 0)
        return complain(path, "lies in the folder of the data, which is emptied in the end",
                        status);
    fd = open_temporary();
    if (fd < 0)
        return complain(path, strerror(errno), STATUS_SYSTEM);
    (void)close(fd);
    bench_page_discard();
    return 0;
}

void bench_page_save(const struct bench_page *page, void (*write)(const struct bench_page *page))
{
    struct bench_page written = *page;
    int fd = open_temporary();
    bool is_good;

    written.file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!written.file)
        bench_give_up("the report %s: %s", target, strerror(errno));
    write(&written);
    is_good = fflush(written.file) == 0 && !ferror(written.file) && fsync(fd) == 0;
    if (!is_good || rename(temporary, target) < 0)
        bench_give_up("the report %s: %s", target, strerror(errno));
    atomic_store(&has_temporary, false);
    (void)fclose(written.file);
}

const char *bench_page_path(void)
{
    return target;
}
