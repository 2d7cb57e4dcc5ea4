/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_reader_faults.c: every call that a reader makes fails, one after the other (D11).
 *
 * A small log is read on a simulated machine, by its own handle and from its folder, beside a
 * writer and without one, while the nth call of the reader fails, once or from then on, until n is
 * beyond its last call. A reader may say that it cannot read. It may not skip a record, show one
 * twice, or say that it has reached the end when it has not; and once nothing fails any more the
 * same reader goes on where it stood.
 *
 * A failure prints a line that repeats it.
 */
#include "../api/helpers.h"
#include "../support/only.h"
#include "../support/repeat.h"

#include <errno.h>
#include <nori/sim.h>

#define RECORDS_MAX 200
#define RING_LEN    ((size_t)64 << 10)
#define SINGLE      NORI_SIM_ALL_CALLS
#define STICKY      NORI_SIM_FAIL_STICKY
#define TRIES       3 /* before the fault is mended */

/*
 * What happens, a letter a step. The reader's steps are those in which calls fail.
 *   a  append a few records, of which the last two are a batch
 *   s  sync
 *   z  sleep: the threads of the log do what there is to do
 *   c  close the log and open it again    C  with a smaller staging ring
 *   F  writes fail, and so the log does (D8)
 *   L  what the staging ring has is lost
 *   x  close it
 *   K  kill the process: what the log has not written is only in the staging ring
 *   d  drop the segments before the last record
 *   r  open a reader on the log's handle    R  on its folder
 *   m  likewise, in the middle              M
 *   q  likewise, at the last record         Q
 *   1  read one record                      n  read to the end
 *   w  wait until there is one
 *   e  close the reader                     f  ask for the first position
 */
struct story {
    const char *steps;
    uint32_t visibility;
    uint32_t flags;
    uint32_t format;  /* 0: 2 */
    bool may_lose;    /* segments are dropped under the reader: NORI_E_TRUNCATED is an answer */
    bool has_no_maps; /* the file system has no shared mappings */
};

struct fault {
    uint32_t mask;
    uint32_t flags;
    int32_t os_errno;
    uint64_t nth;
};

struct scene {
    const struct story *story;
    struct fault fault;
    uint64_t calls; /* of the reader, before this step */
    bool is_mended;
    nori_sim *sim;
    nori_wal *wal;
    nori_reader *reader;
    struct nori_position positions[RECORDS_MAX];
    uint64_t count; /* records are numbered from 1 */
    size_t ring;
    bool is_ring_lost;
    uint64_t next; /* number that the reader must show next; 0: it was told that it lost some */
};

static uint64_t runs;
static bool is_running; /* one that has not ended well yet */

/* ---- faults, in the reader's steps ---- */

static void faults_on(struct scene *scene)
{
    const struct fault *fault = &scene->fault;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.flags = scene->story->has_no_maps ? NORI_SIM_NO_MAP : 0;
    if (!scene->is_mended) {
        bool is_over = scene->calls >= fault->nth; /* it came in an earlier step */

        options.fail_mask = fault->mask;
        options.fail_errno = fault->os_errno;
        options.flags |= fault->flags;
        options.fail_nth = !is_over                              ? fault->nth - scene->calls
                           : fault->flags & NORI_SIM_FAIL_STICKY ? 1
                                                                 : 0;
    }
    nori_sim_set_options(scene->sim, &options);
}

static void faults_off(struct scene *scene)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    scene->calls += nori_sim_calls(scene->sim);
    options.flags = scene->story->has_no_maps ? NORI_SIM_NO_MAP : 0;
    nori_sim_set_options(scene->sim, &options);
}

/* The call failed: only because of the fault, and not for ever once that is mended. */
static void expect_excused(struct scene *scene, int rc, int tries, const char *what)
{
    static const int answers[] = {NORI_E_IO,     NORI_E_NOMEM,    NORI_E_READONLY,
                                  NORI_E_LOCKED, NORI_E_NOTFOUND, NORI_E_UNSUPPORTED};
    bool is_answer = false;

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        is_answer |= rc == answers[i];
    if (!is_answer || scene->is_mended)
        fail_msg("%s gives %s", what, nori_error_name(rc));
    if (tries < TRIES)
        return;
    faults_off(scene);
    scene->is_mended = true;
    faults_on(scene);
}

/* ---- steps ---- */

static struct nori_wal_config config_of_scene(const struct scene *scene)
{
    struct nori_wal_config config = config_on(scene->sim);

    config.allocator = nori_sim_allocator(scene->sim);
    config.buffer_size = scene->ring;
    config.format = scene->story->format;
    return config;
}

static void append_some(struct scene *scene)
{
    struct numbered memory[4];
    struct nori_record records[4];
    size_t batch = scene->story->format == 1 ? 1 : 2;

    for (size_t i = 0; i < 4; i++)
        records[i] = make_numbered(&memory[i], scene->count + i + 1, i == 1 ? 3000 : 20);
    assert_true(scene->count + 4 < RECORDS_MAX);
    for (size_t i = 0; i < 4;) {
        size_t count = i < 2 ? 1 : batch;

        assert_int_equal(nori_wal_append_batch(scene->wal, records + i, count,
                                               scene->positions + scene->count + 1),
                         NORI_OK);
        scene->count += count;
        i += count;
    }
}

static void kill_it(struct scene *scene)
{
    nori_sim *after = NULL;

    nori_sim_crash_kill(scene->sim, &after);
    close_log(scene->wal);
    nori_sim_free(scene->sim);
    scene->sim = after;
    scene->wal = NULL;
}

/* It is opened again, and has what recovery found. */
static void open_log_again(struct scene *scene)
{
    struct nori_wal_config config = config_of_scene(scene);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;

    assert_int_equal(nori_wal_open(&config, &scene->wal, &info, NULL), NORI_OK);
    if (!scene->story->may_lose)
        assert_int_equal(info.valid_records, scene->count);
    if (scene->is_ring_lost)
        scene->count = info.valid_records;
    scene->is_ring_lost = false;
}

static void fail_log(struct scene *scene)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_nth = 1;
    options.fail_mask = NORI_SIM_WRITE;
    options.flags = STICKY;
    nori_sim_set_options(scene->sim, &options);
    assert_true(nori_wal_flush(scene->wal) < 0);
    nori_sim_set_options(scene->sim, NULL);
}

static void lose_ring(struct scene *scene)
{
    uint8_t *zeros = calloc(1, RING_LEN);

    assert_int_equal(nori_sim_file_poke(scene->sim, "wal/control", 4096, zeros, RING_LEN), 0);
    free(zeros);
    scene->is_ring_lost = true;
}

/* where: 'r' at the oldest, 'm' in the middle, 'q' at the last record. */
static void open_it(struct scene *scene, bool is_own, char where)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    uint64_t first = where == 'm' ? scene->count / 2 : where == 'q' ? scene->count : 1;
    struct nori_position position = where == 'r' ? OLDEST : scene->positions[first];

    config.visibility = scene->story->visibility;
    config.flags = scene->story->flags;
    config.vfs = nori_sim_vfs(scene->sim);
    config.allocator = nori_sim_allocator(scene->sim);
    for (int tries = 1;; tries++) {
        struct nori_error error = NORI_ERROR_INIT;
        int rc = is_own ? nori_wal_read_with(scene->wal, &config, position, &scene->reader)
                        : nori_reader_open_with("wal", &config, position, &scene->reader, &error);

        if (rc == NORI_OK)
            break;
        assert_null(scene->reader);
        expect_excused(scene, rc, tries, error.message);
    }
    scene->next = first;
}

static void read_some(struct scene *scene, uint64_t most)
{
    for (int tries = 0; most > 0 && scene->next != 0;) {
        struct nori_record record;
        struct nori_position position;
        uint64_t number = 0;
        int rc = nori_reader_next(scene->reader, &record, &position);

        if (rc == NORI_END) {
            if (scene->next != scene->count + 1)
                fail_msg("the end is told before record %llu of %llu",
                         (unsigned long long)scene->next, (unsigned long long)scene->count);
            return;
        }
        if (rc == NORI_E_TRUNCATED && scene->story->may_lose) {
            scene->next = 0;
            return;
        }
        if (rc < 0) {
            struct nori_error error = NORI_ERROR_INIT;

            (void)nori_reader_last_error(scene->reader, &error);
            expect_excused(scene, rc, ++tries, error.message);
            continue;
        }
        assert_true(is_numbered(&record, &number));
        if (number != scene->next)
            fail_msg("record %llu comes where %llu is due", (unsigned long long)number,
                     (unsigned long long)scene->next);
        assert_int_equal(record.sequence, number);
        assert_true(is_same_position(position, scene->positions[number]));
        scene->next++;
        most--;
    }
}

static void ask_first(struct scene *scene)
{
    struct nori_position position;
    int rc;

    for (int tries = 1; (rc = nori_wal_first_position(scene->wal, &position)) != NORI_OK; tries++)
        expect_excused(scene, rc, tries, "nori_wal_first_position");
    assert_true(is_same_position(position, scene->positions[1]));
}

static void wait_for_it(struct scene *scene)
{
    int rc;

    for (int tries = 1;; tries++) {
        rc = nori_reader_wait(scene->reader, 1000);
        if (rc == NORI_OK || rc == NORI_E_TIMEOUT)
            break;
        expect_excused(scene, rc, tries, "nori_reader_wait");
    }
    if (scene->next <= scene->count || !nori_sim_did_fail(scene->sim)) /* else an error is due */
        assert_int_equal(rc, scene->next <= scene->count ? NORI_OK : NORI_E_TIMEOUT);
}

static void close_it(struct scene *scene)
{
    nori_reader_close(scene->reader);
    scene->reader = NULL;
}

static void take_reader_step(struct scene *scene, char step)
{
    faults_on(scene);
    if (strchr("rmq", step))
        open_it(scene, true, step);
    else if (strchr("RMQ", step))
        open_it(scene, false, (char)(step - 'R' + 'r'));
    else if (step == 'w')
        wait_for_it(scene);
    else if (step == 'f')
        ask_first(scene);
    else
        read_some(scene, step == '1' ? 1 : UINT64_MAX);
    faults_off(scene);
}

static void take_step(struct scene *scene, char step)
{
    uint64_t dropped;

    if (strchr("rRmMqQ1nwf", step)) {
        take_reader_step(scene, step);
    } else if (step == 'a') {
        append_some(scene);
    } else if (step == 's') {
        assert_int_equal(nori_wal_sync(scene->wal), NORI_OK);
    } else if (step == 'z') {
        nori_sim_sleep(scene->sim, 50000000);
    } else if (step == 'd') {
        assert_int_equal(
            nori_wal_delete_segments_before(scene->wal, scene->positions[scene->count], &dropped),
            NORI_OK);
    } else if (step == 'e') {
        close_it(scene);
    } else if (step == 'K') {
        kill_it(scene);
    } else if (step == 'F') {
        fail_log(scene);
    } else if (step == 'L') {
        lose_ring(scene);
    } else {
        if (scene->wal)
            (void)nori_wal_close(scene->wal); /* it may have failed */
        scene->wal = NULL;
        scene->ring /= step == 'C' ? 2 : 1;
        if (step != 'x')
            open_log_again(scene);
    }
}

/* Whether the fault was reached. */
static bool run(const struct story *story, const struct fault *fault)
{
    struct scene scene = {.story = story, .fault = *fault, .ring = RING_LEN};
    struct nori_wal_config config;

    repeat_with("test_reader_faults %s visibility %u flags %u format %u: call %llu of kinds %x "
                "fails with %d, flags %x",
                story->steps, story->visibility, story->flags, story->format,
                (unsigned long long)fault->nth, fault->mask, fault->os_errno, fault->flags);
    runs++;
    is_running = true;
    scene.sim = nori_sim_new(NULL);
    faults_off(&scene);
    config = config_of_scene(&scene);
    scene.wal = open_log(&config);
    for (const char *step = story->steps; *step; step++)
        take_step(&scene, *step);
    close_it(&scene);
    if (scene.wal)
        (void)nori_wal_close(scene.wal); /* what a reader had written may have failed */
    assert_int_equal(nori_sim_memory_blocks(scene.sim), 0);
    nori_sim_free(scene.sim);
    is_running = false;
    return scene.calls >= fault->nth;
}

static const struct fault faults[] = {
    {SINGLE & ~NORI_SIM_MEMORY, 0, EIO, 0},
    {SINGLE & ~NORI_SIM_MEMORY, STICKY, EIO, 0},
    {NORI_SIM_READ, NORI_SIM_FAIL_PARTLY, EIO, 0},
    {NORI_SIM_OPEN | NORI_SIM_MAP, 0, EMFILE, 0},
    {NORI_SIM_MAP, STICKY, ENOMEM, 0},
    {NORI_SIM_MEMORY, 0, ENOMEM, 0},
    {NORI_SIM_MEMORY, STICKY, ENOMEM, 0},
};

static void fail_each_of(const struct story *stories, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof faults / sizeof faults[0]; j++) {
            struct fault fault = faults[j];

            do
                fault.nth++;
            while (run(&stories[i], &fault));
        }
    }
}

#define FAIL_EACH_OF(stories) fail_each_of(stories, sizeof(stories) / sizeof(stories)[0])

/* D11 */
static void whatever_fails_a_reader_beside_a_writer_skips_nothing(void **state)
{
    static const struct story stories[] = {
        {.steps = "asrn"},
        {.steps = "acacasRnacan"},
        {.steps = "acasr1canan"},
        {.steps = "acasm1acazn"},
        {.steps = "aszcaMn"},
        {.steps = "acasRnan", .flags = NORI_READER_PREAD},
        {.steps = "acasrnasn", .visibility = NORI_VISIBLE_DURABLE},
        {.steps = "acasf"},
        {.steps = "RnanCan"},
        {.steps = "rwawCawn"},
        {.steps = "acaszaqn"},
        {.steps = "asacasr1casn", .visibility = NORI_VISIBLE_DURABLE},
        {.steps = "asacasMcasn", .visibility = NORI_VISIBLE_DURABLE},
        {.steps = "asRnasn", .has_no_maps = true},
        {.steps = "arnan", .has_no_maps = true},
    };

    (void)state;
    FAIL_EACH_OF(stories);
}

/* D11: there is nobody to ask how far the log goes; what the process that was killed left in the
 * staging ring is read, too (D2). */
static void whatever_fails_a_reader_without_a_writer_skips_nothing(void **state)
{
    static const struct story stories[] = {
        {.steps = "acasKRn"},
        {.steps = "acasaKMn"},
        {.steps = "aszaKQn"},
        {.steps = "acaKcacamneqn"}, /* ids were left out */
        {.steps = "acaKRn", .flags = NORI_READER_PREAD},
        {.steps = "acasxRn", .visibility = NORI_VISIBLE_DURABLE},
    };

    (void)state;
    FAIL_EACH_OF(stories);
}

/* D11: what was dropped under a reader is told, or was read before. */
static void whatever_fails_a_reader_is_told_what_was_dropped(void **state)
{
    static const struct story stories[] = {
        {.steps = "acacar1dacan", .may_lose = true},
        {.steps = "acacaR1dacan", .may_lose = true},
        {.steps = "acacaRnacadn", .may_lose = true},
        {.steps = "aR111cacadn", .may_lose = true},
        {.steps = "aR1cacadn", .may_lose = true, .has_no_maps = true},
        {.steps = "aszRanFxLcn", .may_lose = true},
        {.steps = "aszRanFxLcan", .may_lose = true},
    };

    (void)state;
    FAIL_EACH_OF(stories);
}

/* D11 */
static void whatever_fails_a_reader_of_format_1_skips_nothing(void **state)
{
    static const struct story stories[] = {
        {.steps = "acacarnan", .format = 1},
        {.steps = "acacaRnan", .format = 1},
        {.steps = "acasxMn", .format = 1},
        {.steps = "acacaR1dacan", .format = 1, .may_lose = true},
    };

    (void)state;
    FAIL_EACH_OF(stories);
}

static int tell_failure(void **state)
{
    (void)state;
    if (is_running)
        repeat_print();
    is_running = false;
    return 0;
}

#define TOLD(test) cmocka_unit_test_teardown(test, tell_failure)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TOLD(whatever_fails_a_reader_beside_a_writer_skips_nothing),
        TOLD(whatever_fails_a_reader_without_a_writer_skips_nothing),
        TOLD(whatever_fails_a_reader_is_told_what_was_dropped),
        TOLD(whatever_fails_a_reader_of_format_1_skips_nothing),
    };
    int failed;

    ONLY_MATCHING(argc, argv, tests, "");
    failed = cmocka_run_group_tests_name("reader_faults", tests, NULL, NULL);
    print_message("reader faults: %llu runs\n", (unsigned long long)runs);
    return failed;
}
