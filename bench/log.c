/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.c: the log of a run, and its files.
 *
 * Not here. Appending as fast as possible: append.c.
 */
#define _GNU_SOURCE 1

#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

nori_wal *bench_log_open(uint32_t policy, void (*change)(struct nori_wal_config *config),
                         struct nori_recovery_info *ret_info)
{
    struct bench_path path = bench_path("log");
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    config.dir = path.text;
    config.fsync_policy = policy;
    if (change)
        change(&config);
    bench_must(nori_wal_open(&config, &wal, ret_info, &error), "open the log", &error);
    return wal;
}

void bench_log_close(nori_wal *wal)
{
    bench_must(nori_wal_close(wal), "close", NULL);
}

void bench_log_remove(void)
{
    (void)bench_remove(bench_path("log").text, true);
}

void bench_log_fill(nori_wal *wal, size_t value_len, uint64_t count, uint64_t step,
                    struct nori_position *ret_positions)
{
    uint8_t key[BENCH_KEY_LEN] = {0};
    uint8_t *value = bench_alloc(value_len);
    uint64_t random = 1;

    for (size_t i = 0; i < value_len; i++)
        value[i] = (uint8_t)bench_random(&random);
    for (uint64_t i = 0; i < count; i++) {
        struct nori_record record = nori_record_put(key, sizeof key, value, value_len);
        bool is_wanted = ret_positions && i % step == 0;

        memcpy(key, &i, sizeof i);
        bench_must(nori_wal_append(wal, &record, is_wanted ? &ret_positions[i / step] : NULL),
                   "append", NULL);
    }
    free(value);
}

void bench_log_append_one(struct bench_worker *worker)
{
    struct nori_record record =
        nori_record_put(worker->key, sizeof worker->key, worker->value, worker->load->value_len);

    bench_must(nori_wal_append(worker->subject, &record, NULL), "append", NULL);
}

void bench_give_rate(struct bench_result *ret_result, uint64_t records, uint64_t bytes,
                     uint64_t begun_ns)
{
    double ns = (double)(bench_now_ns() - begun_ns);

    ret_result->of[BENCH_RATE] = (double)records * 1e9 / ns;
    ret_result->of[BENCH_COST] = ns / (double)records;
    ret_result->of[BENCH_BYTES] = (double)bytes * 1e9 / ns;
}

/* ---- the files ---- */

static int take_item(void *context, const struct nori_log_item *item)
{
    struct bench_files *files = context;
    struct bench_path folder = bench_path("log");
    struct bench_file *file;

    if (item->kind == NORI_LOG_SUMMARY) {
        files->records = item->records;
        files->bytes = item->bytes;
    }
    if (item->kind != NORI_LOG_SEGMENT || item->state > NORI_LOG_STATE_NEWEST)
        return 0;
    files->files = realloc(files->files, (files->count + 1) * sizeof *files->files);
    if (!files->files)
        bench_give_up("no memory");
    file = &files->files[files->count++];
    (void)snprintf(file->path, sizeof file->path, "%s/%s", folder.text, item->file);
    file->bytes = (size_t)item->bytes;
    return 0;
}

void bench_files_list(struct bench_files *ret_files)
{
    struct nori_error error = NORI_ERROR_INIT;

    memset(ret_files, 0, sizeof *ret_files);
    bench_must(nori_log_stat(bench_path("log").text, NULL, take_item, ret_files, &error), "stat",
               &error);
}

void bench_files_done(struct bench_files *files)
{
    free(files->files);
    memset(files, 0, sizeof *files);
}

void bench_files_drop(const struct bench_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        int fd = open(files->files[i].path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
            bench_give_up("drop %s from the page cache", files->files[i].path);
        (void)close(fd);
    }
}

/* ---- the floor of reading ---- */

struct scan {
    const struct bench_files *files;
    size_t piece_len;
    _Atomic size_t next;
    _Atomic uint32_t sum; /* so that it is not optimised away */
};

static void scan_file(struct scan *scan, const struct bench_file *file)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    uint32_t sum = 0;
    uint8_t *data;

    data = fd < 0 ? MAP_FAILED : mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        bench_give_up("map %s: %s", file->path, strerror(errno));
    for (size_t at = 0; at < file->bytes; at += scan->piece_len) {
        size_t left = file->bytes - at;

        sum ^= nw_crc32c(0, data + at, left < scan->piece_len ? left : scan->piece_len);
    }
    (void)munmap(data, file->bytes);
    (void)close(fd);
    atomic_fetch_xor(&scan->sum, sum);
}

static void *scan_some(void *argument)
{
    struct scan *scan = argument;
    size_t i;

    while ((i = atomic_fetch_add(&scan->next, 1)) < scan->files->count)
        scan_file(scan, &scan->files->files[i]);
    return NULL;
}

void bench_files_scan(const struct bench_files *files, unsigned threads, size_t piece_len,
                      struct bench_result *ret_result)
{
    struct scan scan = {.files = files, .piece_len = piece_len};
    pthread_t others[BENCH_THREADS_MAX];
    uint64_t begun_ns = bench_now_ns();

    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&others[i], NULL, scan_some, &scan) != 0)
            bench_give_up("cannot start a thread");
    (void)scan_some(&scan);
    for (unsigned i = 1; i < threads; i++)
        (void)pthread_join(others[i], NULL);
    bench_give_rate(ret_result, files->records, files->bytes, begun_ns);
}
