/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support.c: files, processors and the clock. */
#define _GNU_SOURCE 1 /* syncfs, sched_setaffinity, nftw */

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void *bench_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory)
        bench_give_up("no memory for %zu bytes", bytes);
    return memory;
}

uint64_t bench_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 24;
}

/* ---- files ---- */

struct bench_path bench_path(const char *name)
{
    struct bench_path path;
    int len = snprintf(path.text, sizeof path.text, "%s/%s", bench_folder, name);

    if (len < 0 || (size_t)len >= sizeof path.text)
        bench_give_up("the name of the data folder is too long");
    return path;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    if (where->level > 0)
        (void)remove(path);
    return 0;
}

bool bench_remove(const char *path, bool with_itself)
{
    struct stat about;
    bool is_gone;

    if (lstat(path, &about) < 0)
        return errno == ENOENT;
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    is_gone = rmdir(path) == 0;
    if (is_gone && !with_itself)
        is_gone = mkdir(path, about.st_mode & 07777) == 0;
    return is_gone;
}

void bench_settle(void)
{
    int fd = open(bench_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        bench_give_up("sync the file system of %s: %s", bench_folder, strerror(errno));
    (void)close(fd);
}

int bench_reserved_file(uint64_t bytes)
{
    struct bench_path path = bench_path("floor");
    int fd = open(path.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failure;

    if (fd < 0)
        bench_give_up("create %s: %s", path.text, strerror(errno));
    (void)unlink(path.text);
    failure = posix_fallocate(fd, 0, (off_t)bytes);
    if (failure)
        bench_give_up("reserve %llu bytes for %s: %s", (unsigned long long)bytes, path.text,
                      strerror(failure));
    if (fsync(fd) < 0)
        bench_give_up("sync %s: %s", path.text, strerror(errno));
    return fd;
}

/* ---- processors ---- */

/* Those that the process had when it began. */
static const cpu_set_t *all_processors(void)
{
    static cpu_set_t all;
    static bool is_known;

    if (!is_known && sched_getaffinity(0, sizeof all, &all) < 0)
        bench_give_up("ask for the processors: %s", strerror(errno));
    is_known = true;
    return &all;
}

unsigned bench_processors(void)
{
    return (unsigned)CPU_COUNT(all_processors());
}

void bench_use_processors(unsigned count)
{
    const cpu_set_t *all = all_processors();
    cpu_set_t some;

    CPU_ZERO(&some);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, all) && (count == 0 || (unsigned)CPU_COUNT(&some) < count))
            CPU_SET(i, &some);
    if (sched_setaffinity(0, sizeof some, &some) < 0)
        bench_give_up("choose processors: %s", strerror(errno));
}
