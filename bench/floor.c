/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * floor.c: the least that anything with the duty of an append has to do.
 *
 * What. Copying and checksumming the bytes; handing as many bytes to the kernel; and for the
 * policies, having fdatasync cover them: every 5 ms by another thread (batch), or before the call
 * returns, one sync for all that wait (always). The files are reserved beforehand, so that no floor
 * takes space while it is timed, and each run has a new one, as each run of the log has.
 *
 * Not here. A floor has no checksums (but for the first), no lengths, no segments, no recovery.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES  ((uint64_t)512 << 20)
#define BUFFER_LEN  ((size_t)1 << 20)
#define COPIES      64 /* between two looks at the clock */
#define WINDOW_NS   5000000L
#define THREADS_MAX 64

/* ---- copy and checksum ---- */

struct copy {
    uint8_t *buffers[THREADS_MAX];
    size_t at[THREADS_MAX];
};

static void copy_one(struct bench_worker *worker)
{
    struct copy *copy = worker->subject;
    size_t value_len = worker->about->value_len;
    uint8_t *target = copy->buffers[worker->index] + copy->at[worker->index];

    memcpy(target, worker->key, sizeof worker->key);
    memcpy(target + sizeof worker->key, worker->value, value_len);
    worker->sum += nw_crc32c(0, target, sizeof worker->key + value_len);
    copy->at[worker->index] += sizeof worker->key + value_len;
    if (copy->at[worker->index] + sizeof worker->key + value_len > BUFFER_LEN)
        copy->at[worker->index] = 0;
}

void bench_floor_copy(const void *about_run, struct bench_result *ret_result)
{
    const struct bench_append *about = about_run;
    struct bench_append shorter = *about;
    struct copy *copy = bench_alloc(sizeof *copy);

    shorter.run_s /= 2; /* it hardly varies */
    for (unsigned i = 0; i < about->threads; i++) {
        copy->buffers[i] = bench_alloc(BUFFER_LEN);
        memset(copy->buffers[i], 1, BUFFER_LEN);
    }
    bench_run_threads(&shorter, copy, copy_one, COPIES, ret_result);
    for (unsigned i = 0; i < about->threads; i++)
        free(copy->buffers[i]);
    free(copy);
}

/* ---- pwrite ---- */

struct floor {
    int fd;
    _Atomic uint64_t offset;

    /* The window: another thread. */
    pthread_t syncer;
    atomic_bool must_stop;

    /* The group: guarded by mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t synced;
    uint64_t written; /* all before it is in the kernel */
    uint64_t durable;
    bool is_syncing;
};

static void begin_floor(struct floor *floor)
{
    struct bench_path path = bench_path("floor");

    memset(floor, 0, sizeof *floor);
    floor->fd = bench_reserved_file(path.text, FILE_BYTES);
    (void)unlink(path.text);
    (void)pthread_mutex_init(&floor->mutex, NULL);
    (void)pthread_cond_init(&floor->synced, NULL);
}

static void end_floor(struct floor *floor)
{
    (void)pthread_mutex_destroy(&floor->mutex);
    (void)pthread_cond_destroy(&floor->synced);
    (void)close(floor->fd);
}

static void write_at(const struct floor *floor, const struct bench_worker *worker, uint64_t offset)
{
    size_t len = worker->about->record_len;

    /* A very fast machine begins again from the front. */
    offset %= FILE_BYTES - len;
    if (pwrite(floor->fd, worker->value, len, (off_t)offset) != (ssize_t)len)
        bench_give_up("write: %s", strerror(errno));
}

static void sync_file(const struct floor *floor)
{
    if (fdatasync(floor->fd) < 0)
        bench_give_up("fdatasync: %s", strerror(errno));
}

static void write_one(struct bench_worker *worker)
{
    struct floor *floor = worker->subject;

    write_at(floor, worker, atomic_fetch_add(&floor->offset, worker->about->record_len));
}

void bench_floor_write(const void *about, struct bench_result *ret_result)
{
    struct floor floor;

    begin_floor(&floor);
    bench_run_threads(about, &floor, write_one, 1, ret_result);
    end_floor(&floor);
}

static void *sync_now_and_then(void *argument)
{
    struct floor *floor = argument;
    struct timespec window = {0, WINDOW_NS};

    while (!atomic_load(&floor->must_stop)) {
        (void)nanosleep(&window, NULL);
        sync_file(floor);
    }
    return NULL;
}

void bench_floor_window(const void *about, struct bench_result *ret_result)
{
    struct floor floor;

    begin_floor(&floor);
    if (pthread_create(&floor.syncer, NULL, sync_now_and_then, &floor) != 0)
        bench_give_up("cannot start a thread");
    bench_run_threads(about, &floor, write_one, 1, ret_result);
    atomic_store(&floor.must_stop, true);
    (void)pthread_join(floor.syncer, NULL);
    end_floor(&floor);
}

/* Write in order, then wait for a sync that began after that, or lead it. */
static void write_and_sync_one(struct bench_worker *worker)
{
    struct floor *floor = worker->subject;
    uint64_t mine;

    (void)pthread_mutex_lock(&floor->mutex);
    write_at(floor, worker, floor->written);
    mine = floor->written += worker->about->record_len;
    while (floor->durable < mine) {
        uint64_t target = floor->written;

        if (floor->is_syncing) {
            (void)pthread_cond_wait(&floor->synced, &floor->mutex);
            continue;
        }
        floor->is_syncing = true;
        (void)pthread_mutex_unlock(&floor->mutex);
        sync_file(floor);
        (void)pthread_mutex_lock(&floor->mutex);
        floor->is_syncing = false;
        floor->durable = target;
        (void)pthread_cond_broadcast(&floor->synced);
    }
    (void)pthread_mutex_unlock(&floor->mutex);
}

void bench_floor_group(const void *about, struct bench_result *ret_result)
{
    struct floor floor;

    begin_floor(&floor);
    bench_run_threads(about, &floor, write_and_sync_one, 1, ret_result);
    end_floor(&floor);
}
