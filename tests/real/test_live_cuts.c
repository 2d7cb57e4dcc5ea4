/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_live_cuts.c: file systems cut off under writers at work (D1, D3, D5).
 *
 * What. Threads of a process append, and note in shared memory what they begin, and what has become
 * durable: when append returns under `always`, else when nori_wal_wait_durable does. At some moment
 * what is durable is read, and then the file system is shut down (FS_IOC_SHUTDOWN, ext4 and xfs):
 * from now on nothing reaches the disk, as after a power cut. In this order, because a sync that is
 * under way across the shutdown may still say that it went well. Writers are killed, the file
 * system is mounted again, the log opened, and all that was durable must be there, of the lives
 * before exactly what was found then. One file system goes through all of it, and gets old.
 *
 * It needs root and loop devices. btrfs has no such call.
 */
#define _GNU_SOURCE 1 /* usleep */

#include "../support/lives.h"
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define SHARE        20
#define VALUE_MAX    400
#define RECORDS_MAX  30000 /* in one folder, before a new one is begun */
#define DELAY_MAX_US 20000
#define SETTLE_EVERY 16 /* appends between two waits, at most */
#define EARLY_MAX    100

static struct harness harness = {.program = "live_cuts", .share = SHARE, .options = {.seed = 1}};

struct round {
    const struct file_system *fs;
    uint64_t number; /* of the cut */
    uint64_t first;  /* cut of this folder */
    uint64_t seed;
    uint32_t policy, preallocate;
    size_t ring_len;
    struct life *life; /* what is `returned` here is durable */
    struct found found;
    uint64_t cuts, durable;
};

/* ---- writers ---- */

struct appender {
    const struct round *round;
    nori_wal *wal;
    uint32_t thread;
};

static struct nori_wal_config config_of_round(const struct round *round)
{
    struct nori_wal_config config = config_of(harness.place.wal);

    config.fsync_policy = round->policy;
    config.preallocate = round->preallocate;
    config.batch_window_us = 500;
    config.buffer_size = round->ring_len;
    return config;
}

/* Errors are no news here: the disk may be gone. The test looks at what is left of it. */
static void *append_until_cut(void *argument)
{
    const struct appender *self = argument;
    const struct round *round = self->round;
    uint64_t seed = round->seed + self->thread;
    uint64_t settle_at = 1;

    for (uint64_t count = 1;; count++) {
        struct nori_position position;
        struct numbered memory;
        struct nori_record record =
            life_record(&memory, round->found.lives, self->thread, count, VALUE_MAX);

        atomic_store(&round->life->threads[self->thread].begun, count);
        if (nori_wal_append(self->wal, &record, &position) < 0)
            return NULL;
        if (round->policy != NORI_FSYNC_ALWAYS && count < settle_at)
            continue;
        if (round->policy != NORI_FSYNC_ALWAYS &&
            nori_wal_wait_durable(self->wal, position, -1) < 0)
            return NULL;
        settle_at = count + 1 + torture_random(&seed, SETTLE_EVERY);
        atomic_store(&round->life->threads[self->thread].returned, count);
    }
}

static int write_until_killed(void *context)
{
    const struct round *round = context;
    struct nori_wal_config config = config_of_round(round);
    struct appender appenders[LIFE_THREADS];
    nori_wal *wal = NULL;

    (void)signal(SIGBUS, SIG_DFL); /* a store into the ring, once there is no disk below it */
    if (nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK) {
        for (uint32_t i = 0; i < LIFE_THREADS; i++) {
            pthread_t thread;

            appenders[i] = (struct appender){round, wal, i};
            CHILD_CHECK(pthread_create(&thread, NULL, append_until_cut, &appenders[i]) == 0);
        }
    }
    while (pause() < 0)
        continue;
    return 0;
}

/* ---- cuts ---- */

_Noreturn static void fail_round(const struct round *round, const char *why)
{
    char line[300];

    (void)snprintf(line, sizeof line, "%s, cut %llu: %s", round->fs->name,
                   (unsigned long long)round->number, why);
    harness_fail(line);
}

static void mount_or_fail(const struct round *round)
{
    if (!place_mount_image(&harness.place, round->fs))
        fail_round(round, "the file system cannot be mounted");
}

/* What was durable before the cut is what must be there after it. */
static void cut(struct round *round, struct life *promised)
{
    bool is_log_kept = torture_random(&round->seed, 4) == 0;
    int child = start_child(write_until_killed, round);
    uint64_t deadline_ms = now_ms() + PATIENT;

    while (torture_random(&round->seed, 8) > 0 && life_returned(round->life) == 0 &&
           now_ms() < deadline_ms)
        (void)usleep(100);
    (void)usleep((unsigned)torture_random(&round->seed, DELAY_MAX_US));
    for (size_t i = 0; i < LIFE_THREADS; i++)
        atomic_store(&promised->threads[i].returned,
                     atomic_load(&round->life->threads[i].returned));
    if (!place_shut_down(&harness.place, is_log_kept))
        fail_round(round, "the file system cannot be shut down");
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)end_of_child(child);
    for (size_t i = 0; i < LIFE_THREADS; i++)
        atomic_store(&promised->threads[i].begun, atomic_load(&round->life->threads[i].begun));
    if (!place_unmount(&harness.place))
        fail_round(round, "the file system cannot be unmounted");
}

static void recover_and_check(struct round *round, const struct life *promised)
{
    struct nori_wal_config config = config_of_round(round);
    char why[LIVES_WHY];

    config.verify = torture_random(&round->seed, 2) ? NORI_VERIFY_FULL : NORI_VERIFY_TAIL;
    if (!found_recover(&round->found, &config, promised, VALUE_MAX, why))
        fail_round(round, why);
    round->durable += life_returned(promised);
}

/* An empty folder. Mounted anew, or the next cut may take the removal back. */
static void begin_folder(struct round *round)
{
    remove_dir(harness.place.wal);
    if (!place_unmount(&harness.place))
        fail_round(round, "the file system cannot be unmounted");
    mount_or_fail(round);
    memset(&round->found, 0, sizeof round->found);
    round->first = round->number + 1;
}

static void live_and_be_cut(struct round *round, struct life *promised)
{
    static const size_t rings[] = {4096, (size_t)64 << 10, 0};

    harness_repeat_with(&harness, round->fs, round->first, round->number - round->first + 1);
    round->seed = harness_story(&harness, round->number) * 4099;
    round->policy = (uint32_t)(round->number % 3);
    round->preallocate = (uint32_t)(NORI_PREALLOCATE_OFF + round->number / 3 % 3);
    round->ring_len = rings[torture_random(&round->seed, sizeof rings / sizeof rings[0])];
    life_clear(round->life);
    cut(round, promised);
    mount_or_fail(round);
    recover_and_check(round, promised);
    round->cuts++;
    if (round->found.lives == LIVES_MAX || found_total(&round->found) > RECORDS_MAX)
        begin_folder(round);
}

/* A few cuts may all come too early to show anything: then it goes on for some more. */
static bool is_done(const struct round *round, uint64_t wanted)
{
    return round->cuts >= wanted && (round->durable > 0 || round->cuts >= wanted + EARLY_MAX);
}

static void cut_many_times(const struct file_system *fs)
{
    uint64_t wanted = harness_begin(&harness);
    struct round *round = calloc(1, sizeof *round);
    struct life *promised = life_new();

    assert_non_null(round);
    harness_need(fs);
    round->fs = fs;
    round->number = round->first = harness.options.from;
    round->life = life_new();
    if (!place_make(&harness.place, fs))
        fail_round(round, "no file system can be made");
    mount_or_fail(round);
    while (!is_done(round, wanted) && harness_has_time(&harness)) {
        live_and_be_cut(round, promised);
        round->number++;
        torture_progress(round->number, round->cuts);
    }
    torture_end(round->number, round->cuts);
    print_message("# %s: %llu cuts, %llu appends were durable before them, %.1f s\n", fs->name,
                  (unsigned long long)round->cuts, (unsigned long long)round->durable,
                  repeat_now() - harness.begun);
    assert_true(round->durable > 0);
    (void)place_unmount(&harness.place);
    life_free(promised);
    life_free(round->life);
    free(round);
}

static void on_ext4_what_was_durable_is_there(void **state)
{
    cut_many_times(*state);
}

static void on_xfs_what_was_durable_is_there(void **state)
{
    cut_many_times(*state);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        HARNESS_TEST(on_ext4_what_was_durable_is_there, &place_ext4),
        HARNESS_TEST(on_xfs_what_was_durable_is_there, &place_xfs),
    };

    return HARNESS_MAIN(&harness, argc, argv, tests);
}
