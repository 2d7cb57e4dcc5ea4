/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_threads.c: everything at once on one log, for the thread sanitizer and for D11: appenders,
 * readers of every kind, a syncer, a waiter, one who drops segments and one who looks, over many
 * rotations; then everything is checked.
 */
#include "helpers.h"

#include <nori/observe.h>
#include <pthread.h>
#include <stdatomic.h>

#define APPENDERS 4
#define READERS   4
#define PER_MIB   700 /* records that fit a segment, about */

struct scene {
    nori_wal *wal;
    const char *dir;
    uint64_t per_appender; /* records that each appends */
    bool is_dropping;
    atomic_uint running; /* appenders */
    atomic_bool is_over;
    atomic_bool has_failed;
    char why[300]; /* of the first who failed */
    pthread_mutex_t mutex;
};

static void complain(struct scene *scene, const char *what, int line)
{
    (void)pthread_mutex_lock(&scene->mutex);
    if (!atomic_exchange(&scene->has_failed, true))
        (void)snprintf(scene->why, sizeof scene->why, "line %d: %s", line, what);
    (void)pthread_mutex_unlock(&scene->mutex);
}

/* In a thread of the scene: remember that this does not hold, and leave. */
#define EXPECT(condition)                          \
    do {                                           \
        if (!(condition)) {                        \
            complain(scene, #condition, __LINE__); \
            return NULL;                           \
        }                                          \
    } while (0)

static bool is_over(struct scene *scene)
{
    return atomic_load(&scene->running) == 0 || atomic_load(&scene->has_failed);
}

/* ---- those who append ---- */

struct appender {
    struct scene *scene;
    uint64_t id;
};

static size_t len_of(uint64_t count)
{
    return (size_t)(count * 131 % 2900);
}

static void *append(void *argument)
{
    struct appender *appender = argument;
    struct scene *scene = appender->scene;
    struct nori_position before = {0, 0};
    uint64_t count = 1;

    while (count <= scene->per_appender && !atomic_load(&scene->has_failed)) {
        struct numbered memories[3];
        struct nori_record records[3];
        struct nori_position positions[3];
        size_t batch = count % 5 == 0 && count + 2 <= scene->per_appender ? 3 : 1;

        for (size_t i = 0; i < batch; i++) {
            records[i] =
                make_numbered(&memories[i], appender->id << 32 | (count + i), len_of(count + i));
            if (count % 11 == 0)
                records[i].compression = NORI_COMPRESSION_LZ4;
        }
        if (nori_wal_append_batch(scene->wal, records, batch, positions) == NORI_E_UNSUPPORTED) {
            for (size_t i = 0; i < batch; i++)
                records[i].compression = NORI_COMPRESSION_NONE;
            EXPECT(nori_wal_append_batch(scene->wal, records, batch, positions) == NORI_OK);
        }
        EXPECT(compare_positions(before, positions[0]) < 0);
        before = positions[batch - 1];
        count += batch;
    }
    atomic_fetch_sub(&scene->running, 1);
    return NULL;
}

/* ---- those who read ---- */

struct follower {
    struct scene *scene;
    uint32_t flags;
    uint32_t visibility;
    bool is_foreign;          /* opened by the folder, not by the log */
    uint64_t seen[APPENDERS]; /* the last record of each appender */
    uint64_t sequence;        /* of the last record */
    uint64_t count;
    struct nori_position position;
    bool may_skip; /* the reader begins at the oldest record, and others were dropped before */
};

/* Take in a record; false if it must not be there now. */
static bool take(struct follower *follower, const struct nori_record *record,
                 struct nori_position position)
{
    uint64_t number = 0;
    uint64_t id;
    uint64_t count;

    if (!is_numbered(record, &number))
        return false;
    id = number >> 32;
    count = number & UINT32_MAX;
    if (id >= APPENDERS || record->value_len != len_of(count))
        return false;
    if (follower->may_skip ? record->sequence <= follower->sequence || count <= follower->seen[id]
                           : record->sequence != follower->sequence + 1)
        return false;
    /* After a skip each appender's first record may be any; then they come one by one. */
    if (!follower->scene->is_dropping && count != follower->seen[id] + 1)
        return false;
    if (compare_positions(follower->position, position) >= 0)
        return false;
    follower->may_skip = false;
    follower->seen[id] = count;
    follower->sequence = record->sequence;
    follower->position = position;
    follower->count++;
    return true;
}

static bool open_follower(struct follower *follower, nori_reader **ret_reader)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct scene *scene = follower->scene;
    int rc;

    config.flags = follower->flags;
    config.visibility = follower->visibility;
    rc = follower->is_foreign
             ? nori_reader_open_with(scene->dir, &config, OLDEST, ret_reader, &error)
             : nori_wal_read_with(scene->wal, &config, OLDEST, ret_reader);
    if (rc != NORI_OK && !follower->is_foreign)
        (void)nori_wal_last_error(scene->wal, &error);
    if (rc != NORI_OK)
        complain(scene, error.message, __LINE__);
    return rc == NORI_OK;
}

static void *follow(void *argument)
{
    struct follower *follower = argument;
    struct scene *scene = follower->scene;
    nori_reader *reader = NULL;
    bool is_last_look = false;

    if (!open_follower(follower, &reader))
        return NULL;
    for (;;) {
        struct nori_record record;
        struct nori_position position;
        int rc = nori_reader_next(reader, &record, &position);

        if (rc == NORI_OK) {
            /* Opened anew, it may give again what it gave before. */
            if (follower->may_skip && record.sequence <= follower->sequence)
                continue;
            EXPECT(take(follower, &record, position));
            continue;
        }
        if (rc == NORI_E_TRUNCATED && scene->is_dropping) {
            nori_reader_close(reader);
            if (!open_follower(follower, &reader))
                return NULL;
            follower->may_skip = true;
            continue;
        }
        EXPECT(rc == NORI_END);
        if (is_last_look)
            break;
        is_last_look = is_over(scene);
        rc = nori_reader_wait(reader, 5);
        EXPECT(rc == NORI_OK || rc == NORI_E_TIMEOUT);
    }
    nori_reader_close(reader);
    return NULL;
}

/* ---- everybody else ---- */

static void *sync_now_and_then(void *argument)
{
    struct scene *scene = argument;

    while (!is_over(scene)) {
        struct nori_position before = {0, 0};
        struct nori_position durable = {0, 0};

        EXPECT(nori_wal_position(scene->wal, &before) == NORI_OK);
        EXPECT(nori_wal_sync(scene->wal) == NORI_OK);
        EXPECT(nori_wal_durable_position(scene->wal, &durable) == NORI_OK);
        EXPECT(compare_positions(durable, before) >= 0);
        sleep_ms(2);
    }
    return NULL;
}

static void *wait_now_and_then(void *argument)
{
    struct scene *scene = argument;

    while (!is_over(scene)) {
        struct nori_position position = {0, 0};
        int rc;

        EXPECT(nori_wal_position(scene->wal, &position) == NORI_OK);
        rc = nori_wal_wait_durable(scene->wal, position, PATIENT);
        EXPECT(rc == NORI_OK || (rc == NORI_E_NOTFOUND && scene->is_dropping));
    }
    return NULL;
}

static void *drop_now_and_then(void *argument)
{
    struct scene *scene = argument;

    for (unsigned round = 0; scene->is_dropping && !is_over(scene); round++) {
        struct nori_position position = {0, 0};
        int rc;

        EXPECT(nori_wal_position(scene->wal, &position) == NORI_OK);
        if (round % 4 != 3) /* else everything */
            position =
                (struct nori_position){position.segment_id > 1 ? position.segment_id - 1 : 0, 0};
        rc = nori_wal_delete_segments_before(scene->wal, position, NULL);
        EXPECT(rc == NORI_OK || rc == NORI_E_NOTFOUND);
        sleep_ms(10);
    }
    return NULL;
}

static int ignore_item(void *context, const struct nori_log_item *item)
{
    (void)context;
    (void)item;
    return 0;
}

static void *look_now_and_then(void *argument)
{
    struct scene *scene = argument;

    while (!is_over(scene)) {
        struct nori_position position = {0, 0};
        struct nori_position durable = {0, 0};
        struct nori_error error = NORI_ERROR_INIT;
        int rc;

        EXPECT(nori_wal_durable_position(scene->wal, &durable) == NORI_OK);
        EXPECT(nori_wal_position(scene->wal, &position) == NORI_OK);
        EXPECT(compare_positions(durable, position) <= 0);
        rc = nori_wal_first_position(scene->wal, &position);
        EXPECT(rc == NORI_OK || rc == NORI_E_NOTFOUND ||
               (rc == NORI_E_TRUNCATED && scene->is_dropping));
        EXPECT(nori_wal_failure(scene->wal, &error) == NORI_END);
        rc = nori_log_stat(scene->dir, NULL, ignore_item, NULL, &error);
        if (rc != NORI_OK && rc != NORI_E_NOTFOUND) {
            complain(scene, error.message, __LINE__);
            return NULL;
        }
        sleep_ms(5);
    }
    return NULL;
}

/* ---- all of them ---- */

static void nothing(void *handle, uint64_t amount)
{
    atomic_fetch_add((atomic_ullong *)handle, amount);
}

static void *one_for_all(void *context, const char *name, const struct nori_label *labels,
                         size_t count)
{
    (void)name;
    (void)labels;
    (void)count;
    return context;
}

static pthread_t run(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static void play(struct scene *scene, struct follower *followers)
{
    struct appender appenders[APPENDERS];
    pthread_t threads[APPENDERS + READERS + 4];
    size_t count = 0;

    atomic_store(&scene->running, APPENDERS);
    for (uint32_t i = 0; i < READERS; i++) {
        followers[i] =
            (struct follower){.scene = scene,
                              .flags = i & 1 ? NORI_READER_PREAD : 0,
                              .visibility = i & 2 ? NORI_VISIBLE_DURABLE : NORI_VISIBLE_APPENDED,
                              .is_foreign = i % 3 == 0,
                              .may_skip = scene->is_dropping};
        threads[count++] = run(follow, &followers[i]);
    }
    threads[count++] = run(sync_now_and_then, scene);
    threads[count++] = run(wait_now_and_then, scene);
    threads[count++] = run(drop_now_and_then, scene);
    threads[count++] = run(look_now_and_then, scene);
    for (uint64_t i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){scene, i};
        threads[count++] = run(append, &appenders[i]);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (atomic_load(&scene->has_failed))
        fail_msg("%s", scene->why);
}

/* What is left of the log when all is over is the end of what was appended, without a gap. */
static void check_rest(struct scene *scene, uint64_t total)
{
    struct follower follower = {.scene = scene, .is_foreign = true, .may_skip = true};
    nori_reader *reader = open_reader(scene->dir, OLDEST);
    struct nori_record record;
    struct nori_position position;
    uint64_t first = 0;
    int rc;

    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK) {
        first = first ? first : record.sequence;
        assert_true(take(&follower, &record, position));
    }
    assert_int_equal(rc, NORI_END);
    nori_reader_close(reader);
    assert_int_equal(follower.count, total + 1 - (first ? first : total + 1));
    if (!scene->is_dropping)
        assert_int_equal(follower.count, total);
}

static void play_under(void **state, uint32_t policy, bool is_dropping, uint64_t per_appender)
{
    static atomic_ullong counter;
    struct nori_meter meter = {sizeof meter, &counter, one_for_all, NULL, NULL,
                               nothing,      NULL,     NULL,        NULL};
    struct nori_wal_config config = config_of(dir_of(state));
    struct scene scene = {
        .dir = dir_of(state), .per_appender = per_appender, .is_dropping = is_dropping};
    struct follower followers[READERS];

    assert_int_equal(pthread_mutex_init(&scene.mutex, NULL), 0);
    config.fsync_policy = policy;
    config.batch_window_us = 1000;
    config.buffer_size = 64 << 10;
    config.preallocate = is_dropping ? NORI_PREALLOCATE_OFF : NORI_PREALLOCATE_RESERVE;
    config.meter = &meter;
    scene.wal = open_log(&config);
    play(&scene, followers);
    assert_int_equal(nori_wal_sync(scene.wal), NORI_OK);
    for (size_t i = 0; i < READERS; i++)
        if (!is_dropping && followers[i].visibility == NORI_VISIBLE_APPENDED)
            assert_int_equal(followers[i].count, APPENDERS * per_appender);
    check_rest(&scene, APPENDERS * per_appender);
    close_log(scene.wal);
    check_rest(&scene, APPENDERS * per_appender);
    assert_true(atomic_load(&counter) > 0);
    (void)pthread_mutex_destroy(&scene.mutex);
}

/* D1, D11 */
static void every_reader_sees_each_record_once_and_in_order(void **state)
{
    play_under(state, NORI_FSYNC_BATCH, false, 4 * PER_MIB);
}

static void under_os_likewise(void **state)
{
    play_under(state, NORI_FSYNC_OS, false, 4 * PER_MIB);
}

static void under_always_likewise(void **state)
{
    play_under(state, NORI_FSYNC_ALWAYS, false, PER_MIB);
}

/* D11: segments that go while they are read are told, and nothing is skipped silently. */
static void with_segments_dropped_all_the_time_nothing_is_skipped(void **state)
{
    play_under(state, NORI_FSYNC_BATCH, true, 5 * PER_MIB);
}

static void under_os_with_segments_dropped_likewise(void **state)
{
    play_under(state, NORI_FSYNC_OS, true, 5 * PER_MIB);
}

/* ---- point reads ---- */

#define POINTS       (6 * PER_MIB)
#define POINTS_FIRST (PER_MIB / 4)
#define SEEKERS      3

struct points {
    struct scene scene;
    struct nori_position positions[POINTS];
    atomic_uint count;   /* appended */
    atomic_uint seeking; /* those who read and have found none yet */
};

/* Some threads begin late: till then there is only what was appended first, and nobody drops it. */
static void wait_for_seekers(struct points *points)
{
    while (atomic_load(&points->seeking) > 0 && !atomic_load(&points->scene.has_failed))
        sleep_ms(1);
}

static void *append_points(void *argument)
{
    struct points *points = argument;
    struct scene *scene = &points->scene;

    for (uint64_t number = 0; number < POINTS && !atomic_load(&scene->has_failed); number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, len_of(number));

        if (number == POINTS_FIRST)
            wait_for_seekers(points);
        EXPECT(nori_wal_append(scene->wal, &record, &points->positions[number]) == NORI_OK);
        atomic_store(&points->count, (unsigned)number + 1);
    }
    atomic_fetch_sub(&scene->running, 1);
    return NULL;
}

/* The right record, or none because its segment was dropped: never another, never damage. */
static void *read_points(void *argument)
{
    struct points *points = argument;
    struct scene *scene = &points->scene;
    uint64_t random = (uint64_t)(uintptr_t)&random; /* each thread another order */
    uint64_t found_count = 0;

    while (!is_over(scene)) {
        uint64_t count = atomic_load(&points->count);
        uint64_t found = 0;
        uint64_t number;
        struct nori_record record;
        struct nori_position position;
        nori_reader *reader = NULL;
        int rc;

        random = random * 6364136223846793005u + 1442695040888963407u;
        if (count == 0)
            continue;
        number = (random >> 33) % count;
        if (random >> 63) /* those that are still there, mostly */
            number = count - 1 - number % (count < PER_MIB ? count : PER_MIB);
        rc = nori_wal_read_from(scene->wal, points->positions[number], &reader);
        EXPECT(rc == NORI_OK || rc == NORI_E_NOTFOUND || rc == NORI_E_TRUNCATED);
        if (rc != NORI_OK)
            continue;
        rc = nori_reader_next(reader, &record, &position);
        EXPECT(rc == NORI_OK || rc == NORI_E_TRUNCATED);
        if (rc == NORI_OK) {
            EXPECT(is_numbered(&record, &found) && found == number);
            EXPECT(record.sequence == number + 1 && record.value_len == len_of(number));
            EXPECT(compare_positions(position, points->positions[number]) == 0);
            if (found_count++ == 0)
                atomic_fetch_sub(&points->seeking, 1);
        }
        nori_reader_close(reader);
    }
    EXPECT(found_count > 0);
    return NULL;
}

/* D11 */
static void point_reads_beside_rotation_and_retention_are_right_or_refused(void **state)
{
    struct points *points = calloc(1, sizeof *points);
    struct nori_wal_config config = config_of(dir_of(state));
    struct scene *scene;
    pthread_t threads[SEEKERS + 2];

    assert_non_null(points);
    scene = &points->scene;
    scene->dir = dir_of(state);
    scene->is_dropping = true;
    assert_int_equal(pthread_mutex_init(&scene->mutex, NULL), 0);
    config.preallocate = NORI_PREALLOCATE_OFF;
    scene->wal = open_log(&config);
    atomic_store(&scene->running, 1);
    atomic_store(&points->seeking, SEEKERS);
    for (size_t i = 0; i < SEEKERS; i++)
        threads[i] = run(read_points, points);
    threads[SEEKERS] = run(append_points, points);
    wait_for_seekers(points);
    threads[SEEKERS + 1] = run(drop_now_and_then, scene);
    for (size_t i = 0; i < SEEKERS + 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_string_equal(scene->why, "");
    close_log(scene->wal);
    (void)pthread_mutex_destroy(&scene->mutex);
    free(points);
}

/* Ten lives, each with threads of its own. */
static void *append_until_told(void *argument)
{
    struct scene *scene = argument;
    bool is_counted = false;

    for (uint64_t number = 0; !atomic_load(&scene->is_over) || !is_counted; number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, 100);

        EXPECT(nori_wal_append(scene->wal, &record, NULL) == NORI_OK);
        if (number == 20) {
            atomic_fetch_sub(&scene->running, 1);
            is_counted = true;
        }
    }
    return NULL;
}

static void threads_come_and_go_between_open_and_close(void **state)
{
    for (int life = 0; life < 10; life++) {
        struct scene scene = {.dir = dir_of(state)};
        pthread_t threads[APPENDERS];

        assert_int_equal(pthread_mutex_init(&scene.mutex, NULL), 0);
        scene.wal = open_dir(scene.dir);
        atomic_store(&scene.running, APPENDERS);
        for (size_t i = 0; i < APPENDERS; i++)
            threads[i] = run(append_until_told, &scene);
        while (!is_over(&scene))
            sleep_ms(1);
        atomic_store(&scene.is_over, true);
        for (size_t i = 0; i < APPENDERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(scene.why, "");
        close_log(scene.wal);
        (void)pthread_mutex_destroy(&scene.mutex);
    }
}

/* ---- stalls ---- */

struct stalls {
    nori_wal *wal;
    atomic_uint begins;
    atomic_uint ends;
};

static void count_stalls(void *context, const struct nori_event *event)
{
    struct stalls *stalls = context;

    if (event->kind == NORI_EVENT_STALL)
        atomic_fetch_add(event->is_over ? &stalls->ends : &stalls->begins, 1);
}

static void *append_large_ones(void *context)
{
    const size_t len = 24 * MIB;
    struct stalls *stalls = context;
    void *value = calloc(len, 1);
    struct nori_record record = nori_record_put("k", 1, value, len);
    bool is_good = value != NULL;

    for (int i = 0; is_good && (i < 3 || (i < 20 && atomic_load(&stalls->ends) == 0)); i++)
        is_good = nori_wal_append(stalls->wal, &record, NULL) == NORI_OK;
    free(value);
    return is_good ? context : NULL;
}

/* Large records are written under the append lock, so the threads wait for each other longer than
 * they have patience here: a millisecond. They go on until the thread that tells has noticed. */
static void stalls_of_many_threads_are_told_and_their_ends(void **state)
{
    struct stalls stalls = {0};
    const struct nori_meter meter = {
        .size = sizeof meter, .context = &stalls, .emit = count_stalls};
    struct nori_wal_config config = config_of(dir_of(state));
    pthread_t threads[APPENDERS];

    config.fsync_policy = NORI_FSYNC_ALWAYS;
    config.stall_threshold_ms = 1;
    config.meter = &meter;
    stalls.wal = open_log(&config);
    for (size_t i = 0; i < APPENDERS; i++)
        threads[i] = run(append_large_ones, &stalls);
    for (size_t i = 0; i < APPENDERS; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &stalls);
    }
    close_log(stalls.wal);
    assert_true(atomic_load(&stalls.begins) > 0);
    assert_true(atomic_load(&stalls.ends) > 0);
    assert_true(atomic_load(&stalls.ends) <= atomic_load(&stalls.begins));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_reader_sees_each_record_once_and_in_order),
        IN_FOLDER(under_os_likewise),
        IN_FOLDER(under_always_likewise),
        IN_FOLDER(with_segments_dropped_all_the_time_nothing_is_skipped),
        IN_FOLDER(under_os_with_segments_dropped_likewise),
        IN_FOLDER(point_reads_beside_rotation_and_retention_are_right_or_refused),
        IN_FOLDER(threads_come_and_go_between_open_and_close),
        IN_FOLDER(stalls_of_many_threads_are_told_and_their_ends),
    };

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
