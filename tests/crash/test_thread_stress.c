/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_thread_stress.c: everything that threads may do with one log, at random and for as long as
 * one likes (D1-D4, D11). It is made for the thread sanitizer and for helgrind, which judge what
 * runs: the more orders of things they see, the better.
 *
 * What. A round has one folder and one policy, and a few lives in it: the log is opened with a
 * ring, a way to take space and a patience of its own, threads use it, and it is closed. Appenders
 * put single records and batches, of which some do not fit a small ring, ask for syncs, and read
 * back what they have put. Tenders sync, flush, look, and in half of the rounds drop segments, so
 * that new ones begin. Followers live through all of it. They opened their readers on the log or
 * on its folder, read, wait, fall behind, and now and then seek what they read before.
 *
 * In the end all that was appended was read, each record once and in order, but for what was
 * dropped; each append that was told to be durable was; a batch was never seen without its end.
 *
 * Threads share as little as they can among each other, besides the log: a lock of ours would hide
 * a race of the log's.
 *
 * Not here. The same in a fixed order, to be run in the edit loop: test_threads.c.
 */
#include "../api/helpers.h"
#include "../support/lives.h"
#include "../support/repeat.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS      6 /* by default */
#define POLICIES    3
#define APPENDERS   4
#define TENDERS     2
#define FOLLOWERS   4
#define LIVES       4
#define BATCH_MAX   4
#define APPENDS_MAX 600 /* calls of an appender in one life */
#define PLACES      8   /* that a follower remembers */

static struct torture_options options = {0, 1, 0, 0};
static double begun;
static double deadline; /* 0: none */

struct scene {
    /* Constant in a round. */
    const char *dir;
    uint32_t policy;
    bool is_dropping;

    nori_wal *wal;                /* of this life; of no use to followers */
    uint64_t appended[APPENDERS]; /* records; stored by its appender alone */
    atomic_uint appending;        /* appenders at work */
    atomic_bool is_over;          /* the last life has ended */
    atomic_bool has_failed;
    char why[300]; /* of the first who failed */
};

/* One of the threads. */
struct actor {
    struct scene *scene;
    uint64_t seed;
    uint32_t number; /* among those who do the same */
    pthread_t thread;
};

static void complain(struct scene *scene, const char *what, int line)
{
    if (!atomic_exchange(&scene->has_failed, true))
        (void)snprintf(scene->why, sizeof scene->why, "line %d: %s", line, what);
}

/* In a thread of the scene: remember that this does not hold, and give up. */
#define EXPECT(condition)                          \
    do {                                           \
        if (!(condition)) {                        \
            complain(scene, #condition, __LINE__); \
            return false;                          \
        }                                          \
    } while (0)

static bool is_late(void)
{
    return deadline > 0 && repeat_now() >= deadline;
}

static bool is_gone(const struct scene *scene, int rc)
{
    return scene->is_dropping && (rc == NORI_E_NOTFOUND || rc == NORI_E_TRUNCATED);
}

static size_t len_of(uint64_t number)
{
    uint64_t random = number;
    bool is_long = torture_random(&random, 2) == 0;

    return (size_t)torture_random(&random, is_long ? NUMBERED_VALUE_MAX : 300);
}

/* ---- those who append ---- */

/* A point read of what this appender has just put. */
static bool read_back(struct scene *scene, struct nori_position position, uint64_t number)
{
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t found = 0;
    bool is_right = true;
    int rc = nori_wal_read_from(scene->wal, position, &reader);

    EXPECT(rc == NORI_OK || is_gone(scene, rc));
    if (rc != NORI_OK)
        return true;
    rc = nori_reader_next(reader, &record, NULL);
    if (rc == NORI_OK)
        is_right = is_numbered(&record, &found) && found == number;
    nori_reader_close(reader);
    EXPECT(is_right);
    EXPECT(rc == NORI_OK || is_gone(scene, rc));
    return true;
}

/* D3: what is told to be durable is. */
static bool make_durable(struct scene *scene, struct nori_position position, bool waits)
{
    struct nori_position durable = {0, 0};
    int rc =
        waits ? nori_wal_wait_durable(scene->wal, position, PATIENT) : nori_wal_sync(scene->wal);

    EXPECT(rc == NORI_OK || (waits && is_gone(scene, rc)));
    EXPECT(nori_wal_durable_position(scene->wal, &durable) == NORI_OK);
    EXPECT(compare_positions(durable, position) > 0);
    return true;
}

static bool put_some(struct actor *self, struct nori_position *last)
{
    struct scene *scene = self->scene;
    struct numbered memories[BATCH_MAX];
    struct nori_record records[BATCH_MAX];
    struct nori_position positions[BATCH_MAX];
    size_t count = torture_random(&self->seed, 3) ? 1 : 2 + torture_random(&self->seed, 3);
    uint64_t first = (uint64_t)self->number << 32 | (scene->appended[self->number] + 1);
    size_t one = (size_t)torture_random(&self->seed, count);

    for (size_t i = 0; i < count; i++)
        records[i] = make_numbered(&memories[i], first + i, len_of(first + i));
    EXPECT((count == 1 ? nori_wal_append(scene->wal, records, positions)
                       : nori_wal_append_batch(scene->wal, records, count, positions)) == NORI_OK);
    EXPECT(compare_positions(*last, positions[0]) < 0);
    *last = positions[count - 1];
    scene->appended[self->number] += count;
    switch (torture_random(&self->seed, 30)) {
    case 0:
    case 1:
        return make_durable(scene, *last, torture_random(&self->seed, 2));
    case 2:
    case 3:
        return read_back(scene, positions[one], first + one);
    case 4:
        EXPECT(nori_wal_flush(scene->wal) == NORI_OK);
        return true;
    default:
        return true;
    }
}

static void *append(void *argument)
{
    struct actor *self = argument;
    uint64_t count = torture_random(&self->seed, APPENDS_MAX);
    struct nori_position last = {0, 0};

    for (uint64_t i = 0; i < count && !is_late(); i++)
        if (!put_some(self, &last))
            break;
    atomic_fetch_sub(&self->scene->appending, 1);
    return NULL;
}

/* ---- those who do what else there is to do ---- */

static bool look(struct scene *scene)
{
    struct nori_position durable = {0, 0};
    struct nori_position end = {0, 0};
    struct nori_position first = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    EXPECT(nori_wal_durable_position(scene->wal, &durable) == NORI_OK);
    EXPECT(nori_wal_position(scene->wal, &end) == NORI_OK);
    EXPECT(compare_positions(durable, end) <= 0);
    rc = nori_wal_first_position(scene->wal, &first);
    EXPECT(rc == NORI_OK || rc == NORI_E_NOTFOUND || is_gone(scene, rc));
    EXPECT(nori_wal_failure(scene->wal, &error) == NORI_END);
    return true;
}

static bool look_at_stats(struct scene *scene)
{
    struct nori_wal_stats before = NORI_WAL_STATS_INIT;
    struct nori_wal_stats after = NORI_WAL_STATS_INIT;

    EXPECT(nori_wal_stats(scene->wal, &before) == NORI_OK);
    EXPECT(nori_log_live_stats(scene->dir, NULL, &after, NULL) == NORI_OK);
    EXPECT(after.is_writer_alive && after.appends >= before.appends);
    EXPECT(nori_wal_stats_between(&before, &after, &after) == NORI_OK);
    return true;
}

static int ignore_item(void *context, const struct nori_log_item *item)
{
    (void)context;
    (void)item;
    return 0;
}

/* The offline operations, beside a live writer. */
static bool look_from_outside(struct scene *scene, bool is_thorough)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = is_thorough ? nori_log_verify(scene->dir, NULL, ignore_item, NULL, &error)
                         : nori_log_stat(scene->dir, NULL, ignore_item, NULL, &error);

    if (rc == NORI_OK || rc == NORI_E_NOTFOUND) /* before the first append there is no log */
        return true;
    complain(scene, error.message, __LINE__);
    return false;
}

/* Half of the log, or all of it. */
static bool drop(struct scene *scene, bool is_all)
{
    struct nori_position end = {0, 0};
    int rc;

    if (!scene->is_dropping)
        return true;
    EXPECT(nori_wal_position(scene->wal, &end) == NORI_OK);
    if (!is_all)
        end = (struct nori_position){end.segment_id / 2, 0};
    rc = nori_wal_delete_segments_before(scene->wal, end, NULL);
    EXPECT(rc == NORI_OK || rc == NORI_E_NOTFOUND);
    return true;
}

static bool tend_once(struct actor *self)
{
    struct scene *scene = self->scene;

    switch (torture_random(&self->seed, 10)) {
    case 0:
        EXPECT(nori_wal_sync(scene->wal) == NORI_OK);
        return true;
    case 1:
        EXPECT(nori_wal_flush(scene->wal) == NORI_OK);
        return true;
    case 2:
        return look(scene);
    case 3:
        return look_at_stats(scene);
    case 4:
        return drop(scene, torture_random(&self->seed, 3) == 0);
    case 5:
        return look_from_outside(scene, torture_random(&self->seed, 8) == 0);
    default:
        sleep_ms((unsigned)torture_random(&self->seed, 4));
        return true;
    }
}

static void *tend(void *argument)
{
    struct actor *self = argument;

    while (atomic_load(&self->scene->appending) > 0 && tend_once(self))
        continue;
    return NULL;
}

/* ---- those who read ---- */

struct place {
    struct nori_position position;
    uint64_t number; /* of the record there */
};

struct follower {
    struct actor actor;
    struct nori_reader_config config;
    nori_reader *reader;
    uint64_t seen[APPENDERS]; /* the last record of each appender */
    uint64_t sequence;        /* of the last record */
    uint64_t count;
    struct nori_position position;
    bool is_in_batch;
    /* A reader was opened anew at the oldest record: the next record may be any further one, and
     * so may the next one of each appender. */
    bool may_skip;
    bool may_jump[APPENDERS];
    struct place places[PLACES];
};

static void let_skip(struct follower *self)
{
    self->may_skip = true;
    for (size_t i = 0; i < APPENDERS; i++)
        self->may_jump[i] = true;
    self->is_in_batch = false;
}

/* Take in a record; false if it must not be there now. */
static bool take(struct follower *self, const struct nori_record *record,
                 struct nori_position position)
{
    struct scene *scene = self->actor.scene;
    uint64_t number = 0;
    uint32_t appender;

    EXPECT(is_numbered(record, &number));
    appender = (uint32_t)(number >> 32);
    EXPECT(appender < APPENDERS && record->value_len == len_of(number));
    number &= UINT32_MAX;
    EXPECT(self->may_jump[appender] ? number > self->seen[appender]
                                    : number == self->seen[appender] + 1);
    EXPECT(self->may_skip ? record->sequence > self->sequence
                          : record->sequence == self->sequence + 1);
    EXPECT(compare_positions(self->position, position) < 0);
    self->may_skip = false;
    self->may_jump[appender] = false;
    self->is_in_batch = (record->flags & NORI_RECORD_BATCH_CONTINUES) != 0;
    self->seen[appender] = number;
    self->sequence = record->sequence;
    self->position = position;
    self->places[self->count++ % PLACES] =
        (struct place){position, (uint64_t)appender << 32 | number};
    return true;
}

/* What was read before is still there, or was dropped. */
static bool seek(struct follower *self)
{
    struct scene *scene = self->actor.scene;
    const struct place *place = &self->places[torture_random(&self->actor.seed, PLACES)];
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t number = 0;
    bool is_right = true;
    int rc;

    if (self->count < PLACES)
        return true;
    rc = nori_reader_open_with(scene->dir, &self->config, place->position, &reader, NULL);
    EXPECT(rc == NORI_OK || is_gone(scene, rc));
    if (rc != NORI_OK)
        return true;
    rc = nori_reader_next(reader, &record, NULL);
    if (rc == NORI_OK)
        is_right = is_numbered(&record, &number) && number == place->number;
    nori_reader_close(reader);
    EXPECT(is_right);
    EXPECT(rc == NORI_OK || is_gone(scene, rc));
    return true;
}

/* The reader stands at the end, or what it was about to read was dropped. */
static bool wait_or_open_anew(struct follower *self, int rc)
{
    struct scene *scene = self->actor.scene;

    if (rc == NORI_E_TRUNCATED && scene->is_dropping) {
        nori_reader_close(self->reader);
        self->reader = NULL;
        EXPECT(nori_reader_open_with(scene->dir, &self->config, OLDEST, &self->reader, NULL) ==
               NORI_OK);
        let_skip(self);
        return true;
    }
    EXPECT(rc == NORI_END);
    EXPECT(!self->is_in_batch); /* D4 */
    if (torture_random(&self->actor.seed, 4) == 0) {
        sleep_ms((unsigned)torture_random(&self->actor.seed, 10));
        return true;
    }
    rc = nori_reader_wait(self->reader, (int64_t)torture_random(&self->actor.seed, 10));
    EXPECT(rc == NORI_OK || rc == NORI_E_TIMEOUT);
    return true;
}

/* One record, or a wait for one. False: that was all, or it failed. */
static bool follow_once(struct follower *self)
{
    struct scene *scene = self->actor.scene;
    bool was_over = atomic_load(&scene->is_over);
    struct nori_record record;
    struct nori_position position;
    int rc = nori_reader_next(self->reader, &record, &position);

    if (rc == NORI_END && was_over)
        return false;
    if (rc != NORI_OK)
        return wait_or_open_anew(self, rc);
    if (self->may_skip && record.sequence <= self->sequence)
        return true; /* opened anew, it may give again what it gave before */
    if (!take(self, &record, position))
        return false;
    return torture_random(&self->actor.seed, 100) > 0 || seek(self);
}

static void *follow(void *argument)
{
    struct follower *self = argument;

    while (!atomic_load(&self->actor.scene->has_failed) && follow_once(self))
        continue;
    nori_reader_close(self->reader);
    return NULL;
}

/* ---- lives and rounds ---- */

static void start(struct actor *actor, struct scene *scene, uint32_t number, uint64_t *seed,
                  void *(*run)(void *argument))
{
    actor->scene = scene;
    actor->number = number;
    actor->seed = torture_random(seed, UINT64_MAX);
    assert_int_equal(pthread_create(&actor->thread, NULL, run, actor), 0);
}

static void join(const struct actor *actor)
{
    assert_int_equal(pthread_join(actor->thread, NULL), 0);
}

static struct nori_wal_config draw_config(const struct scene *scene, uint64_t *seed)
{
    static const size_t rings[] = {4096, (size_t)16 << 10, (size_t)64 << 10, MIB};
    static const uint32_t ways[] = {NORI_PREALLOCATE_AUTO, NORI_PREALLOCATE_OFF,
                                    NORI_PREALLOCATE_RESERVE, NORI_PREALLOCATE_ZERO};
    struct nori_wal_config config = config_of(scene->dir);

    config.fsync_policy = scene->policy;
    config.batch_window_us = 1000;
    config.buffer_size = rings[torture_random(seed, sizeof rings / sizeof rings[0])];
    config.preallocate = ways[torture_random(seed, sizeof ways / sizeof ways[0])];
    config.stall_threshold_ms = 1 + torture_random(seed, 20);
    return config;
}

static void start_followers(struct scene *scene, struct follower *followers, uint64_t *seed)
{
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        struct follower *self = &followers[i];

        *self = (struct follower){.config = NORI_READER_CONFIG_INIT};
        if (scene->is_dropping) /* the oldest record may be gone before it is read */
            let_skip(self);
        self->config.flags = torture_random(seed, 2) ? NORI_READER_PREAD : 0;
        self->config.visibility =
            torture_random(seed, 3) ? NORI_VISIBLE_APPENDED : NORI_VISIBLE_DURABLE;
        assert_int_equal(
            i % 2 ? nori_reader_open_with(scene->dir, &self->config, OLDEST, &self->reader, NULL)
                  : nori_wal_read_with(scene->wal, &self->config, OLDEST, &self->reader),
            NORI_OK);
        start(&self->actor, scene, i, seed, follow);
    }
}

static void live(struct scene *scene, struct follower *followers, uint64_t *seed, bool is_first)
{
    struct nori_wal_config config = draw_config(scene, seed);
    struct actor appenders[APPENDERS];
    struct actor tenders[TENDERS];
    uint32_t appending = 1 + (uint32_t)torture_random(seed, APPENDERS);

    scene->wal = open_log(&config);
    if (is_first)
        start_followers(scene, followers, seed);
    atomic_store(&scene->appending, appending);
    for (uint32_t i = 0; i < TENDERS; i++)
        start(&tenders[i], scene, i, seed, tend);
    for (uint32_t i = 0; i < appending; i++)
        start(&appenders[i], scene, i, seed, append);
    for (uint32_t i = 0; i < appending; i++)
        join(&appenders[i]);
    for (uint32_t i = 0; i < TENDERS; i++)
        join(&tenders[i]);
    close_log(scene->wal);
}

/* D1: what is left is the end of what was appended, without a gap. */
static void check_rest(struct scene *scene, uint64_t total)
{
    struct follower last = {.actor = {.scene = scene}};
    nori_reader *reader = open_reader(scene->dir, OLDEST);
    struct nori_record record;
    struct nori_position position;
    int rc;

    let_skip(&last);
    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK)
        if (!take(&last, &record, position))
            break;
    nori_reader_close(reader);
    assert_string_equal(scene->why, "");
    assert_int_equal(rc, NORI_END);
    if (last.count > 0)
        assert_int_equal(last.sequence, total);
    if (!scene->is_dropping)
        assert_int_equal(last.count, total);
}

static void tell_time(uint64_t next)
{
    torture_progress(next, (uint64_t)(repeat_now() - begun));
}

static void play_round(const char *dir, uint64_t number)
{
    struct scene scene = {.dir = dir,
                          .policy = (uint32_t)(number % POLICIES),
                          .is_dropping = (number / POLICIES) % 2};
    struct follower followers[FOLLOWERS];
    uint64_t seed = options.seed + (number << 32);
    uint64_t lives = 1 + torture_random(&seed, LIVES);
    uint64_t total = 0;

    for (uint64_t i = 0; i < lives && !atomic_load(&scene.has_failed); i++) {
        live(&scene, followers, &seed, i == 0);
        tell_time(number);
    }
    atomic_store(&scene.is_over, true);
    for (size_t i = 0; i < FOLLOWERS; i++)
        join(&followers[i].actor);
    assert_string_equal(scene.why, "");
    for (size_t i = 0; i < APPENDERS; i++)
        total += scene.appended[i];
    for (size_t i = 0; i < FOLLOWERS && !scene.is_dropping; i++)
        assert_int_equal(followers[i].count, total);
    check_rest(&scene, total);
    remove_dir(dir);
}

static void many_threads_do_anything_and_nothing_is_lost_or_mixed_up(void **state)
{
    uint64_t number = options.from;
    uint64_t seconds = options.count;

    begun = repeat_now();
    if (options.seconds > 0 && (seconds == 0 || options.seconds < (double)seconds))
        seconds = (uint64_t)options.seconds;
    if (seconds > 0)
        deadline = begun + (double)seconds;
    for (; seconds > 0 ? !is_late() : number < ROUNDS; number++) {
        repeat_with("tests/test_thread_stress --seed %llu --from %llu --seconds 10",
                    (unsigned long long)options.seed, (unsigned long long)number);
        play_round(dir_of(state), number);
        tell_time(number + 1);
    }
    torture_end(number, (uint64_t)(repeat_now() - begun));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(many_threads_do_anything_and_nothing_is_lost_or_mixed_up),
    };

    torture_parse(argc, argv, &options);
    lives_in_memory();
    return cmocka_run_group_tests_name("thread_stress", tests, NULL, NULL);
}
