/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support.c: files, the clock, and latencies. */
#define _GNU_SOURCE 1 /* syncfs */

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *bench_folder;

void bench_give_up(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (bench_folder) {
        bench_remove_folder(bench_path("log").text);
        bench_remove_folder(bench_folder);
    }
    _exit(2); /* other threads may be at work: no handlers */
}

void bench_must(int rc, const char *what, const struct nori_error *error)
{
    if (rc < 0)
        bench_give_up("%s: %s", what,
                      error && error->message[0] ? error->message : nori_strerror(rc));
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *bench_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory)
        bench_give_up("no memory for %zu bytes", bytes);
    return memory;
}

struct bench_path bench_path(const char *name)
{
    struct bench_path path;
    int len = snprintf(path.text, sizeof path.text, "%s/%s", bench_folder, name);

    if (len < 0 || (size_t)len >= sizeof path.text)
        bench_give_up("the name of the data folder is too long");
    return path;
}

void bench_remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    if (!folder)
        return;
    while ((entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(path);
}

void bench_settle(void)
{
    int fd = open(bench_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        bench_give_up("sync the file system of %s: %s", bench_folder, strerror(errno));
    (void)close(fd);
}

int bench_reserved_file(const char *path, uint64_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failure;

    if (fd < 0)
        bench_give_up("create %s: %s", path, strerror(errno));
    failure = posix_fallocate(fd, 0, (off_t)bytes);
    if (failure)
        bench_give_up("reserve %llu bytes for %s: %s", (unsigned long long)bytes, path,
                      strerror(failure));
    if (fsync(fd) < 0)
        bench_give_up("sync %s: %s", path, strerror(errno));
    return fd;
}

/* ---- latencies ---- */

/* 64 buckets for each power of two; below 64 every number has its own. */
static size_t bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < 64)
        return (size_t)ns;
    shift = 57u - (unsigned)__builtin_clzll(ns); /* so that 64 <= ns >> shift < 128 */
    return (size_t)((shift + 1) * 64 + ((ns >> shift) & 63));
}

static uint64_t middle_of(size_t bucket)
{
    uint64_t shift = bucket / 64;

    if (shift <= 1)
        return bucket;
    shift--;
    return ((uint64_t)(64 + bucket % 64) << shift) + ((uint64_t)1 << (shift - 1));
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns)
{
    histogram->counts[bucket_of(ns)]++;
    histogram->total++;
}

void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other)
{
    for (size_t i = 0; i < sizeof histogram->counts / sizeof histogram->counts[0]; i++)
        histogram->counts[i] += other->counts[i];
    histogram->total += other->total;
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->total * share);
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof histogram->counts / sizeof histogram->counts[0]; i++) {
        seen += histogram->counts[i];
        if (seen > wanted)
            return middle_of(i);
    }
    return 0;
}
