/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_kills.c: a writer killed with SIGKILL at random moments, thousands of times (D1, D2, D5).
 *
 * What. A life is a process that opens the log and appends from several threads as fast as they
 * can. What was begun and what returned it counts in shared memory. After a random time it is
 * killed: while its threads append, and the log's own write, sync, and begin segments; one in four
 * may still be recovering what the life before left. Behind a life come processes that only
 * recover, and are killed at a random moment of that: about half of all kills find `open` at work.
 * Then the log is opened here and read from its beginning: of every life that is over exactly what
 * was found before (D5), of the last one all that returned (D2), in each thread's order, and
 * nothing that was not begun (D1).
 *
 * Each life has a ring of another size, so the kills also meet a `control` that is being changed.
 * A story is what happens in one folder: it ends after LIVES_MAX lives, or when the log is long.
 * One process for each processor (NORI_JOBS says otherwise) goes through stories. What is drawn in
 * one follows from the seed and its number, and so does the policy.
 *
 * The kernel's timer kills, so that the moment does not wait until this process gets a processor.
 */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS, usleep */

#include "../api/helpers.h"
#include "../support/lives.h"
#include "../support/repeat.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS_SHARE  200  /* of each policy, by default; --count is for all three together */
#define VALUE_MAX    400  /* bytes */
#define RECORDS_MAX  8000 /* in one folder, before a new one is begun */
#define DELAY_MIN_US 400 /* a life's last moment is drawn below this, or below twice as much, ... */
#define DELAYS       5   /* so often doubled, at most, less one: mostly short lives, some long */
#define REOPEN_US    1000 /* an open takes so long until one was timed */
#define POLICIES     3    /* a story's is its number modulo this */
#define STORY_KILLS  75   /* about as many has a story */
#define JOBS_MAX     64

static struct torture_options options = {0, 1, 0, 0};

/* What the processes that go through stories share. */
struct tally {
    uint32_t step;         /* from one story's number to the next one's; constant */
    _Atomic uint64_t next; /* story */
    _Atomic bool must_stop;
    _Atomic uint64_t kills, recovering; /* killed, and while `open` was at work */
    _Atomic uint64_t appends;           /* that had returned */
};

/* One folder, in memory that its writers share. */
struct story {
    struct tally *tally;
    const char *dir;
    uint64_t seed;
    uint32_t policy;
    struct life *life;
    struct found found; /* so far */
    size_t ring_len;    /* of the present life */
    uint64_t delay_us;  /* until it is killed: from its first append on, or else from open on */
    bool is_appending;
    _Atomic bool is_open; /* its open has returned */
    uint64_t open_us;     /* the last open that returned here took so long */
};

static void *shared_new(size_t len)
{
    void *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(data != MAP_FAILED);
    return data;
}

/* ---- the writer ---- */

struct appender {
    const struct story *story;
    nori_wal *wal;
    uint32_t thread;
};

static struct nori_wal_config story_config(const struct story *story)
{
    struct nori_wal_config config = config_of(story->dir);

    config.fsync_policy = story->policy;
    config.batch_window_us = 500;
    config.buffer_size = story->ring_len;
    return config;
}

static void kill_me_later(const struct story *story)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value = {.tv_nsec = (long)(story->delay_us * 1000 + 1)}};
    timer_t timer;

    CHILD_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHILD_CHECK(timer_settime(timer, 0, &when, NULL) == 0);
}

static void *append_until_killed(void *argument)
{
    const struct appender *self = argument;

    for (uint64_t count = 1;; count++) {
        struct numbered memory;
        struct nori_record record =
            life_record(&memory, self->story->found.lives, self->thread, count, VALUE_MAX);

        life_append(self->story->life, self->wal, self->thread, &record);
        if (count == 1 && self->thread == 0 && self->story->is_appending)
            kill_me_later(self->story);
    }
    return NULL;
}

static nori_wal *open_to_be_killed(struct story *story)
{
    struct nori_wal_config config = story_config(story);
    nori_wal *wal = NULL;
    double begun;

    if (!story->is_appending)
        kill_me_later(story);
    begun = repeat_now();
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    story->open_us = (uint64_t)((repeat_now() - begun) * 1e6);
    atomic_store(&story->is_open, true);
    return wal;
}

static int live(void *context)
{
    struct story *story = context;
    nori_wal *wal = open_to_be_killed(story);
    struct appender appenders[LIFE_THREADS];

    for (uint32_t i = 0; i < LIFE_THREADS; i++) {
        pthread_t thread;

        appenders[i] = (struct appender){story, wal, i};
        CHILD_CHECK(pthread_create(&thread, NULL, append_until_killed, &appenders[i]) == 0);
    }
    while (pause() < 0)
        continue;
    return 0;
}

static int recover_only(void *context)
{
    (void)open_to_be_killed(context);
    while (pause() < 0)
        continue;
    return 0;
}

/* ---- lives and deaths ---- */

/* Run a process that is killed so long after it has begun, or after its first append. */
static void run_and_kill(struct story *story, int (*run)(void *context), bool is_appending,
                         uint64_t delay_us)
{
    int status;

    story->is_appending = is_appending;
    story->delay_us = delay_us;
    atomic_store(&story->is_open, false);
    status = end_of_child(start_child(run, story));
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the writer ended by itself, with status %x", (unsigned)status);
    atomic_fetch_add(&story->tally->kills, 1);
    if (!atomic_load(&story->is_open))
        atomic_fetch_add(&story->tally->recovering, 1);
}

static void fail_story(const struct story *story, const char *why)
{
    fail_msg("life %llu, ring %zu: %s", (unsigned long long)story->found.lives, story->ring_len,
             why);
}

static void recover_and_check(struct story *story)
{
    struct nori_wal_config config = story_config(story);
    char why[LIVES_WHY];

    config.verify = torture_random(&story->seed, 2) ? NORI_VERIFY_FULL : NORI_VERIFY_TAIL;
    if (!found_recover(&story->found, &config, story->life, VALUE_MAX, why))
        fail_story(story, why);
    atomic_fetch_add(&story->tally->appends, life_returned(story->life));
}

static void live_and_die(struct story *story)
{
    static const size_t rings[] = {4096, 4096, (size_t)64 << 10, MIB, 0};
    uint64_t *seed = &story->seed;
    uint64_t delay_max_us = (uint64_t)DELAY_MIN_US << torture_random(seed, DELAYS);
    bool is_appending = torture_random(seed, 4) > 0;

    life_clear(story->life);
    story->ring_len = rings[torture_random(seed, sizeof rings / sizeof rings[0])];
    run_and_kill(story, live, is_appending, torture_random(seed, delay_max_us));
    while (torture_random(seed, 7) < 4) /* some come too late */
        run_and_kill(story, recover_only, false, torture_random(seed, story->open_us + 1));
    recover_and_check(story);
}

/* ---- stories ---- */

static bool is_enough(const struct tally *tally, uint64_t wanted)
{
    return atomic_load(&tally->must_stop) || atomic_load(&tally->kills) >= wanted;
}

static void tell_story(struct tally *tally, uint64_t number, const char *top, uint64_t wanted)
{
    struct story *story = shared_new(sizeof *story);
    char dir[260];

    (void)snprintf(dir, sizeof dir, "%s-%llu", top, (unsigned long long)number);
    story->tally = tally;
    story->dir = dir;
    story->seed = options.seed + (number << 32);
    story->policy = (uint32_t)(number % POLICIES);
    story->life = life_new();
    story->open_us = REOPEN_US;
    repeat_with("tests/test_kills --seed %llu --from %llu --count %d",
                (unsigned long long)options.seed, (unsigned long long)number, STORY_KILLS);
    while (story->found.lives < LIVES_MAX && found_total(&story->found) <= RECORDS_MAX &&
           !is_enough(tally, wanted))
        live_and_die(story);
    remove_dir(dir);
    life_free(story->life);
    (void)munmap(story, sizeof *story);
}

/* In a process of its own, where a check that fails aborts. */
static int tell_stories(struct tally *tally, const char *top, uint64_t wanted)
{
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    while (!is_enough(tally, wanted))
        tell_story(tally, atomic_fetch_add(&tally->next, tally->step), top, wanted);
    return 0;
}

static size_t job_count(void)
{
    const char *text = getenv("NORI_JOBS");
    long count = text ? strtol(text, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : count > JOBS_MAX ? JOBS_MAX : (size_t)count;
}

/* Is all well? `top` begins the names of folders. */
static bool kill_many_times(struct tally *tally, const char *top, uint64_t wanted)
{
    size_t running = job_count();
    double begun = repeat_now();
    bool is_good = true;

    (void)fflush(NULL);
    for (size_t i = 0; i < running; i++)
        if (fork() == 0)
            _exit(tell_stories(tally, top, wanted));
    while (running > 0) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);

        running -= ended > 0;
        if (ended > 0 && status != 0)
            is_good = false;
        if (!is_good || (options.seconds > 0 && repeat_now() - begun >= options.seconds))
            atomic_store(&tally->must_stop, true);
        if (ended == 0)
            (void)usleep(20000);
        torture_progress(atomic_load(&tally->next), atomic_load(&tally->kills));
    }
    torture_end(atomic_load(&tally->next), atomic_load(&tally->kills));
    print_message("# %llu kills, %llu of them during recovery; %llu appends had returned, %s; "
                  "seed %llu, %.1f s\n",
                  (unsigned long long)atomic_load(&tally->kills),
                  (unsigned long long)atomic_load(&tally->recovering),
                  (unsigned long long)atomic_load(&tally->appends),
                  is_good ? "all found" : "NOT ALL AS IT MUST BE", (unsigned long long)options.seed,
                  repeat_now() - begun);
    return is_good;
}

static void kill_under(void **state, uint32_t policy)
{
    struct tally *tally = shared_new(sizeof *tally);

    tally->step = POLICIES; /* so that all have the same policy */
    atomic_store(&tally->next, policy);
    assert_true(kill_many_times(tally, dir_of(state), repeat_share(KILLS_SHARE)));
    assert_true(atomic_load(&tally->appends) > 0); /* else every kill came too early */
    (void)munmap(tally, sizeof *tally);
}

static void under_always_nothing_that_returned_is_lost(void **state)
{
    kill_under(state, NORI_FSYNC_ALWAYS);
}

static void under_batch_nothing_that_returned_is_lost(void **state)
{
    kill_under(state, NORI_FSYNC_BATCH);
}

static void under_os_nothing_that_returned_is_lost(void **state)
{
    kill_under(state, NORI_FSYNC_OS);
}

/* The policies in turn, as a part of `make torture`. */
static int torture(void)
{
    struct tally *tally = shared_new(sizeof *tally);
    void *state = NULL;
    bool is_good;

    assert_int_equal(temporary_setup(&state), 0);
    tally->step = 1;
    atomic_store(&tally->next, options.from);
    is_good = kill_many_times(tally, dir_of(&state), options.count);
    assert_int_equal(temporary_teardown(&state), 0);
    return is_good ? 0 : 1;
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
    if (options.count > 0)
        return torture();
    return cmocka_run_group_tests_name("kills", tests, NULL, NULL);
}
