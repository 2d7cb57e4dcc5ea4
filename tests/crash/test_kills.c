/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_kills.c: a writer killed with SIGKILL at random moments, thousands of times (D1, D2, D5).
 *
 * What. A life is a process that opens the log and appends from several threads as fast as they
 * can. What was begun and what returned it counts in shared memory. After a random time it is
 * killed: while its threads append, and the log's own write, sync, and begin segments; one in four
 * may still be recovering what the life before left. Some lives are followed by one that is killed
 * in its recovery, before it appends anything. Then the log is opened here and read from its
 * beginning: of every life that is over exactly what was found before (D5), of the last one all
 * that returned (D2), in each thread's order, and nothing that was not begun (D1).
 *
 * Each life has a ring of another size, so the kills also meet a `control` that is being changed.
 * After LIVES_MAX lives, or when the log is long, a new folder is begun.
 */
#define _GNU_SOURCE 1 /* usleep */

#include "../api/helpers.h"
#include "../support/lives.h"
#include "../support/repeat.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_SHARE  100   /* of each policy, by default; --count is for all three together */
#define VALUE_MAX    400   /* bytes */
#define RECORDS_MAX  20000 /* in one folder, before a new one is begun */
#define DELAY_MAX_US 6000  /* a kill comes so long after the beginning, at most */
#define REOPEN_US    1500  /* likewise, if it only recovers */

static struct torture_options options = {0, 1, 0, 0};
static uint64_t kills; /* under all policies */

struct round {
    const char *dir;
    uint32_t policy;
    uint64_t seed;
    struct life *life;
    size_t ring_len;    /* of the present life */
    struct found found; /* so far */
    uint64_t kills, appends;
};

/* ---- the writer ---- */

struct appender {
    const struct round *round;
    nori_wal *wal;
    uint32_t thread;
};

static struct nori_wal_config round_config(const struct round *round)
{
    struct nori_wal_config config = config_of(round->dir);

    config.fsync_policy = round->policy;
    config.batch_window_us = 500;
    config.buffer_size = round->ring_len;
    return config;
}

static void *append_until_killed(void *argument)
{
    const struct appender *self = argument;

    for (uint64_t count = 1;; count++) {
        struct numbered memory;
        struct nori_record record =
            life_record(&memory, self->round->found.lives, self->thread, count, VALUE_MAX);

        life_append(self->round->life, self->wal, self->thread, &record);
    }
    return NULL;
}

static int live(void *context)
{
    const struct round *round = context;
    struct nori_wal_config config = round_config(round);
    struct appender appenders[LIFE_THREADS];
    nori_wal *wal = NULL;

    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint32_t i = 0; i < LIFE_THREADS; i++) {
        pthread_t thread;

        appenders[i] = (struct appender){round, wal, i};
        CHILD_CHECK(pthread_create(&thread, NULL, append_until_killed, &appenders[i]) == 0);
    }
    while (pause() < 0)
        continue;
    return 0;
}

static int recover_only(void *context)
{
    struct nori_wal_config config = round_config(context);
    nori_wal *wal = NULL;

    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    while (pause() < 0)
        continue;
    return 0;
}

/* ---- lives and deaths ---- */

/* Kill a process some time after it has begun, or after its first append has returned. */
static void kill_after(struct round *round, int (*run)(void *context), bool must_append,
                       uint64_t delay_us)
{
    int child = start_child(run, round);
    uint64_t deadline_ms = now_ms() + PATIENT;
    int status;

    while (must_append && life_returned(round->life) == 0 && now_ms() < deadline_ms)
        (void)usleep(100);
    (void)usleep((unsigned)delay_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    status = end_of_child(child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        repeat_print();
        fail_msg("the writer ended by itself, with status %x", (unsigned)status);
    }
    round->kills++;
}

static void fail_round(const struct round *round, const char *why)
{
    repeat_print();
    fail_msg("kill %llu, ring %zu: %s", (unsigned long long)round->kills, round->ring_len, why);
}

/* Open what is left, and compare it with what it was and what returned. */
static void recover_and_check(struct round *round)
{
    struct nori_wal_config config = round_config(round);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct found now = {.lives = round->found.lives};
    nori_reader *reader = NULL;
    nori_wal *wal = NULL;
    char why[128];

    config.verify = torture_random(&round->seed, 2) ? NORI_VERIFY_FULL : NORI_VERIFY_TAIL;
    if (nori_wal_open(&config, &wal, &info, &error) != NORI_OK)
        fail_round(round, error.message);
    if (info.corruption_detected)
        fail_round(round, info.message);
    if (!is_same_position(durable_of(wal), position_of(wal)))
        fail_round(round, "what was recovered is not durable"); /* D5 */
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    if (!found_read(&now, reader, VALUE_MAX, why) ||
        !found_check(&now, &round->found, round->life, why))
        fail_round(round, why);
    nori_reader_close(reader);
    close_log(wal);
    round->appends += life_returned(round->life);
    round->found = now;
    round->found.lives++;
}

static uint64_t found_total(const struct found *found)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < found->lives; i++)
        for (size_t thread = 0; thread < LIFE_THREADS; thread++)
            sum += found->records[i][thread];
    return sum;
}

static void live_and_die(struct round *round)
{
    static const size_t rings[] = {4096, 4096, (size_t)64 << 10, MIB, 0};

    life_clear(round->life);
    round->ring_len = rings[torture_random(&round->seed, sizeof rings / sizeof rings[0])];
    kill_after(round, live, torture_random(&round->seed, 4) > 0,
               torture_random(&round->seed, DELAY_MAX_US));
    while (torture_random(&round->seed, 4) == 0)
        kill_after(round, recover_only, false, torture_random(&round->seed, REOPEN_US));
    recover_and_check(round);
    if (round->found.lives == LIVES_MAX || found_total(&round->found) > RECORDS_MAX) {
        remove_dir(round->dir);
        memset(&round->found, 0, sizeof round->found);
    }
}

static void kill_many_times(void **state, uint32_t policy, const char *name)
{
    uint64_t wanted = options.count > 0 ? (options.count + 2) / 3 : repeat_share(KILLS_SHARE);
    uint64_t seed = options.seed + options.from;
    struct round *round = calloc(1, sizeof *round);
    double begun = repeat_now();

    assert_non_null(round);
    round->dir = dir_of(state);
    round->policy = policy;
    round->seed = seed;
    round->life = life_new();
    repeat_with("tests/test_kills --count %llu --seed %llu", (unsigned long long)wanted * 3,
                (unsigned long long)seed);
    while (round->kills < wanted &&
           (options.seconds <= 0 || repeat_now() - begun < options.seconds / 3)) {
        live_and_die(round);
        torture_progress(options.from + 1, kills + round->kills);
    }
    kills += round->kills;
    torture_end(options.from + 1, kills);
    print_message("# %s: %llu kills, %llu appends returned, all found, seed %llu, %.1f s\n", name,
                  (unsigned long long)round->kills, (unsigned long long)round->appends,
                  (unsigned long long)seed, repeat_now() - begun);
    assert_true(round->appends > 0); /* else every kill came too early to show anything */
    life_free(round->life);
    free(round);
}

static void under_always_nothing_that_returned_is_lost(void **state)
{
    kill_many_times(state, NORI_FSYNC_ALWAYS, "always");
}

static void under_batch_nothing_that_returned_is_lost(void **state)
{
    kill_many_times(state, NORI_FSYNC_BATCH, "batch");
}

static void under_os_nothing_that_returned_is_lost(void **state)
{
    kill_many_times(state, NORI_FSYNC_OS, "os");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(under_always_nothing_that_returned_is_lost),
        IN_FOLDER(under_batch_nothing_that_returned_is_lost),
        IN_FOLDER(under_os_nothing_that_returned_is_lost),
    };

    torture_parse(argc, argv, &options);
    lives_in_memory();
    return cmocka_run_group_tests_name("kills", tests, NULL, NULL);
}
