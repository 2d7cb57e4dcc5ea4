/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * floor.c: the least that anything with the duty of an append has to do.
 *
 * What. copy: key and value into a warm buffer, and a checksum over them there. bulk: as many bytes
 * handed to the kernel in large pieces, into new files that were reserved beforehand and are as
 * long as the log's. bulk, synced: the same, and another thread syncs each file that has ended, so
 * that there are never more unsynced than the log allows itself. sync: a pwrite for each record
 * into a file of zeros, and one fdatasync for all threads that wait. Each run has new files.
 *
 * Not here. A floor has no lengths, no segments and no recovery, and only copy has checksums.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_LEN     ((size_t)8 << 20)
#define PIECE_LEN      ((size_t)256 << 10)
#define ZERO_BYTES     ((uint64_t)64 << 20)  /* of the file of zeros; a fast machine begins again */
#define BULK_FILE_LEN  ((uint64_t)128 << 20) /* as long as the log's segments are by default */
#define BULK_FILES_MAX 8
#define UNSYNCED_MAX   2 /* ended files, as the log's segments (D3) */

/* ---- copy ---- */

struct copy {
    uint8_t *buffer;
    size_t at;
};

static void copy_one(struct bench_worker *worker)
{
    struct copy *copy = worker->subject;
    size_t value_len = worker->load->value_len;
    uint8_t *target = copy->buffer + copy->at;

    memcpy(target, worker->key, sizeof worker->key);
    memcpy(target + sizeof worker->key, worker->value, value_len);
    worker->sum += nw_crc32c(0, target, sizeof worker->key + value_len);
    copy->at += worker->load->record_len;
    if (copy->at + worker->load->record_len > BUFFER_LEN)
        copy->at = 0;
}

void bench_floor_copy(const void *about, struct bench_result *ret_result)
{
    struct bench_load load = *(const struct bench_load *)about;
    struct copy copy = {.buffer = bench_alloc(BUFFER_LEN)};

    load.threads = 1;
    load.steps_per_look = 0;
    memset(copy.buffer, 1, BUFFER_LEN);
    (void)bench_run_threads(&load, &copy, copy_one, NULL, ret_result);
    free(copy.buffer);
}

/* ---- bulk ---- */

static void must_write(int fd, const void *data, size_t len, uint64_t offset)
{
    if (pwrite(fd, data, len, (off_t)offset) != (ssize_t)len)
        bench_give_up("write: %s", strerror(errno));
}

static void sync_file(int fd)
{
    if (fdatasync(fd) < 0)
        bench_give_up("fdatasync: %s", strerror(errno));
}

/* The bytes of a run lie in files as long as the log's segments are. */
struct bulk {
    int files[BULK_FILES_MAX];
    unsigned count;
    pthread_mutex_t mutex;
    pthread_cond_t changed;

    /* Guarded by mutex. */
    unsigned ended;
    unsigned synced;
};

static void make_bulk_files(struct bulk *bulk, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += BULK_FILE_LEN) {
        uint64_t left = bytes - at;

        if (bulk->count == BULK_FILES_MAX)
            bench_give_up("%llu bytes are too many for a run", (unsigned long long)bytes);
        bulk->files[bulk->count++] =
            bench_reserved_file(left < BULK_FILE_LEN ? left : BULK_FILE_LEN);
    }
}

/* Sync each file that has ended, and the last one not at all. */
static void *sync_ended(void *argument)
{
    struct bulk *bulk = argument;

    (void)pthread_mutex_lock(&bulk->mutex);
    while (bulk->synced + 1 < bulk->count) {
        if (bulk->synced == bulk->ended) {
            (void)pthread_cond_wait(&bulk->changed, &bulk->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&bulk->mutex);
        sync_file(bulk->files[bulk->synced]); /* only this thread changes it */
        (void)pthread_mutex_lock(&bulk->mutex);
        bulk->synced++;
        (void)pthread_cond_broadcast(&bulk->changed);
    }
    (void)pthread_mutex_unlock(&bulk->mutex);
    return NULL;
}

/* A file has ended; wait until few enough of them are unsynced. */
static void end_bulk_file(struct bulk *bulk)
{
    (void)pthread_mutex_lock(&bulk->mutex);
    bulk->ended++;
    (void)pthread_cond_broadcast(&bulk->changed);
    while (bulk->ended - bulk->synced > UNSYNCED_MAX)
        (void)pthread_cond_wait(&bulk->changed, &bulk->mutex);
    (void)pthread_mutex_unlock(&bulk->mutex);
}

static void write_bulk(struct bulk *bulk, const uint8_t *data, uint64_t pieces, bool is_synced)
{
    const uint64_t pieces_in_file = BULK_FILE_LEN / PIECE_LEN;

    for (uint64_t i = 0; i < pieces; i++) {
        if (is_synced && i > 0 && i % pieces_in_file == 0)
            end_bulk_file(bulk);
        must_write(bulk->files[i / pieces_in_file], data, PIECE_LEN,
                   i % pieces_in_file * PIECE_LEN);
    }
}

static void run_bulk(const struct bench_load *load, bool is_synced, struct bench_result *ret_result)
{
    uint64_t pieces = load->records * load->record_len / PIECE_LEN + 1;
    uint8_t *data = bench_alloc(PIECE_LEN);
    struct bulk bulk = {.count = 0};
    uint64_t cpu_ns, begun_ns;
    pthread_t syncer;

    memset(data, 1, PIECE_LEN);
    make_bulk_files(&bulk, pieces * PIECE_LEN);
    (void)pthread_mutex_init(&bulk.mutex, NULL);
    (void)pthread_cond_init(&bulk.changed, NULL);
    if (is_synced && pthread_create(&syncer, NULL, sync_ended, &bulk) != 0)
        bench_give_up("cannot start a thread");
    cpu_ns = bench_cpu_ns();
    begun_ns = bench_now_ns();
    write_bulk(&bulk, data, pieces, is_synced);
    bench_give_rate(ret_result, pieces * PIECE_LEN / load->record_len, pieces * PIECE_LEN,
                    begun_ns);
    ret_result->of[BENCH_CPU] = (double)(bench_cpu_ns() - cpu_ns) / (double)load->records;
    if (is_synced)
        (void)pthread_join(syncer, NULL);
    (void)pthread_cond_destroy(&bulk.changed);
    (void)pthread_mutex_destroy(&bulk.mutex);
    for (unsigned i = 0; i < bulk.count; i++)
        (void)close(bulk.files[i]);
    free(data);
}

void bench_floor_bulk(const void *load, struct bench_result *ret_result)
{
    run_bulk(load, false, ret_result);
}

void bench_floor_bulk_synced(const void *load, struct bench_result *ret_result)
{
    run_bulk(load, true, ret_result);
}

/* ---- sync ---- */

struct group {
    int fd;
    pthread_mutex_t mutex;
    pthread_cond_t synced;

    /* Guarded by mutex. */
    uint64_t written; /* all before it is in the kernel */
    uint64_t durable;
    bool is_syncing;
};

/* Write in order, then wait for a sync that began after that, or lead it. */
static void write_and_sync_one(struct bench_worker *worker)
{
    struct group *group = worker->subject;
    size_t len = worker->load->record_len;
    uint64_t mine;

    (void)pthread_mutex_lock(&group->mutex);
    must_write(group->fd, worker->value, len, group->written % (ZERO_BYTES - len));
    mine = group->written += len;
    while (group->durable < mine) {
        uint64_t target = group->written;

        if (group->is_syncing) {
            (void)pthread_cond_wait(&group->synced, &group->mutex);
            continue;
        }
        group->is_syncing = true;
        (void)pthread_mutex_unlock(&group->mutex);
        sync_file(group->fd);
        (void)pthread_mutex_lock(&group->mutex);
        group->is_syncing = false;
        group->durable = target;
        (void)pthread_cond_broadcast(&group->synced);
    }
    (void)pthread_mutex_unlock(&group->mutex);
}

void bench_floor_sync(const void *load, struct bench_result *ret_result)
{
    struct group group = {.fd = bench_reserved_file(ZERO_BYTES)};
    uint8_t *zeros = bench_alloc(PIECE_LEN);

    for (uint64_t at = 0; at < ZERO_BYTES; at += PIECE_LEN)
        must_write(group.fd, zeros, PIECE_LEN, at);
    sync_file(group.fd);
    free(zeros);
    (void)pthread_mutex_init(&group.mutex, NULL);
    (void)pthread_cond_init(&group.synced, NULL);
    (void)bench_run_threads(load, &group, write_and_sync_one, NULL, ret_result);
    (void)pthread_mutex_destroy(&group.mutex);
    (void)pthread_cond_destroy(&group.synced);
    (void)close(group.fd);
}
