/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_processes.c: one writer (D10), readers in other processes (D11), and what fork leaves of a
 * handle.
 *
 * Children of a test begin with one thread and no open log, unless the test is about that.
 */
#define _GNU_SOURCE 1

#include "helpers.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe by which one process tells another to go on. */
struct gate {
    int ends[2];
};

static void make_gate(struct gate *gate)
{
    assert_int_equal(pipe(gate->ends), 0);
}

static void open_gate(struct gate *gate)
{
    (void)!write(gate->ends[1], "x", 1);
}

/* False if nobody opens it in good time. */
static bool pass_gate(struct gate *gate)
{
    struct pollfd ready = {.fd = gate->ends[0], .events = POLLIN};
    char byte;

    return poll(&ready, 1, PATIENT / 2) == 1 && read(gate->ends[0], &byte, 1) == 1;
}

static void break_gate(struct gate *gate)
{
    (void)close(gate->ends[0]);
    (void)close(gate->ends[1]);
}

/* ---- D10: one writer ---- */

static int open_in_child(void *context)
{
    struct nori_wal_config config = config_of(context);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;
    int rc = nori_wal_open(&config, &wal, NULL, &error);

    CHILD_CHECK(rc == error.code);
    if (rc == NORI_OK)
        (void)nori_wal_close(wal);
    return -rc;
}

static int child_opens(const char *dir)
{
    int status = run_child(open_in_child, (void *)(uintptr_t)dir);

    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

/* D10 */
static void a_second_writer_is_refused_here_and_in_another_process(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = open_dir(dir);

    for (int appended = 0; appended < 2; appended++) {
        assert_int_equal(try_open(&config, NULL, &error), NORI_E_LOCKED);
        assert_true(strstr(error.message, "another writer") != NULL);
        assert_int_equal(child_opens(dir), NORI_E_LOCKED);
        (void)append_numbered(wal, 1 + (uint64_t)appended, 10);
    }
    close_log(wal);
    assert_int_equal(child_opens(dir), NORI_OK);
    wal = open_dir(dir);
    close_log(wal);
    expect_log(dir, 1, 2);
}

/* D10: however it is named. */
static void a_second_writer_by_another_path_is_refused(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config;
    char path[300];
    nori_wal *wal = open_dir(temporary->dir);

    (void)snprintf(path, sizeof path, "%s/../wal/.", temporary->dir);
    config = config_of(path);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_LOCKED);
    assert_int_equal(symlink(temporary->dir, temporary->other), 0);
    config = config_of(temporary->other);
    assert_true(try_open(&config, NULL, NULL) < 0);
    close_log(wal);
}

/* D10: readers need no lock and take none. */
static void readers_neither_wait_for_the_writer_nor_stop_it(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    nori_reader *readers[10];

    append_range(wal, 1, 10, 10);
    for (size_t i = 0; i < 10; i++)
        readers[i] = open_reader(dir, OLDEST);
    close_log(wal);
    wal = open_dir(dir);
    append_range(wal, 11, 10, 10);
    for (size_t i = 0; i < 10; i++) {
        expect_range(readers[i], 1, 20, 1);
        nori_reader_close(readers[i]);
    }
    close_log(wal);
}

/* ---- fork ---- */

struct inherited {
    nori_wal *wal;
    nori_reader *reader;
    const char *dir;
    struct gate gate; /* opened when the parent has closed the log */
    struct gate done;
};

/* Everything is refused, and nothing of the parent's is touched. */
static int use_inherited(void *context)
{
    struct inherited *inherited = context;
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position position;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = inherited->wal;
    nori_reader *reader = NULL;

    CHILD_CHECK(nori_wal_append(wal, &record, NULL) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_append_batch(wal, &record, 1, NULL) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_flush(wal) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_sync(wal) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_wait_durable(wal, OLDEST, -1) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_position(wal, &position) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_durable_position(wal, &position) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_first_position(wal, &position) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_read_from(wal, OLDEST, &reader) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_read_with(wal, &config, OLDEST, &reader) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_delete_segments_before(wal, OLDEST, NULL) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_last_error(wal, &error) == NORI_E_INVALID);
    CHILD_CHECK(nori_wal_failure(wal, &error) == NORI_E_INVALID);
    CHILD_CHECK(nori_reader_next(inherited->reader, &record, NULL) == NORI_E_INVALID);
    CHILD_CHECK(nori_reader_wait(inherited->reader, -1) == NORI_E_INVALID);
    CHILD_CHECK(nori_reader_last_error(inherited->reader, &error) == NORI_E_INVALID);
    nori_reader_close(inherited->reader);
    CHILD_CHECK(nori_wal_close(wal) == NORI_E_INVALID);
    return 0;
}

static void a_forked_child_can_use_no_handle_of_its_parent(void **state)
{
    struct inherited inherited = {.dir = dir_of(state)};
    nori_wal *wal = open_dir(inherited.dir);

    append_range(wal, 1, 10, 10);
    inherited.wal = wal;
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &inherited.reader), NORI_OK);
    assert_int_equal(run_child(use_inherited, &inherited), 0);
    /* The parent's handles are as before. */
    append_range(wal, 11, 10, 10);
    expect_range(inherited.reader, 1, 20, 1);
    nori_reader_close(inherited.reader);
    close_log(wal);
    expect_log(inherited.dir, 1, 20);
}

static int linger(void *context)
{
    struct inherited *inherited = context;
    nori_wal *wal = NULL;
    struct nori_wal_config config = config_of(inherited->dir);
    struct nori_record record = nori_record_put("child", 5, "v", 1);

    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_E_LOCKED);
    open_gate(&inherited->done);
    CHILD_CHECK(
        pass_gate(&inherited->gate)); /* the parent has gone on with a new handle, and closed it */
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    CHILD_CHECK(nori_wal_append(wal, &record, NULL) == NORI_OK);
    CHILD_CHECK(nori_wal_close(wal) == NORI_OK);
    return 0;
}

/* D10: while a child that was forked under an open log lives on, the parent can close and open
 * again; and the child may open anew. */
static void a_forked_child_does_not_hold_the_lock_and_may_open_anew(void **state)
{
    struct inherited inherited = {.dir = dir_of(state)};
    nori_wal *wal = open_dir(inherited.dir);
    struct nori_record record;
    nori_reader *reader;
    int child;

    append_range(wal, 1, 10, 10);
    make_gate(&inherited.gate);
    make_gate(&inherited.done);
    child = start_child(linger, &inherited);
    assert_true(pass_gate(&inherited.done));
    close_log(wal);
    wal = open_dir(inherited.dir);
    append_range(wal, 11, 10, 10);
    close_log(wal);
    open_gate(&inherited.gate);
    assert_int_equal(end_of_child(child), 0);
    reader = open_reader(inherited.dir, OLDEST);
    for (int i = 0; i < 21; i++)
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_memory_equal(record.key, "child", 5);
    assert_int_equal(record.sequence, 21);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
    nori_reader_close(reader);
    break_gate(&inherited.gate);
    break_gate(&inherited.done);
}

/* ---- D11: readers in other processes ---- */

struct tail {
    const char *dir;
    struct gate opened;
    struct gate go;
    uint64_t count;
    uint32_t flags;
    uint32_t visibility;
};

/* Follow the log to the record numbered count, each once and in order. */
static int follow(void *context)
{
    struct tail *tail = context;
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;
    uint64_t number = 0;

    config.flags = tail->flags;
    config.visibility = tail->visibility;
    CHILD_CHECK(nori_reader_open_with(tail->dir, &config, OLDEST, &reader, NULL) == NORI_OK);
    open_gate(&tail->opened);
    while (number < tail->count) {
        struct nori_record record;
        uint64_t found = 0;
        int rc = nori_reader_next(reader, &record, NULL);

        if (rc == NORI_END) {
            CHILD_CHECK(nori_reader_wait(reader, PATIENT) == NORI_OK);
            continue;
        }
        CHILD_CHECK(rc == NORI_OK);
        CHILD_CHECK(is_numbered(&record, &found));
        number++;
        CHILD_CHECK(found == number);
        CHILD_CHECK(record.sequence == number);
    }
    nori_reader_close(reader);
    return 0;
}

/* D11: from before the first record on, over many ends of segments, and two lives of the writer. */
static void readers_in_other_processes_follow_a_live_writer(void **state)
{
    enum {
        COUNT = 20000
    };
    struct tail tails[4];
    int children[4];
    nori_wal *wal;

    wal = open_dir(dir_of(state));
    close_log(wal); /* there is a folder */
    for (uint32_t i = 0; i < 4; i++) {
        tails[i] = (struct tail){
            .dir = dir_of(state), .count = COUNT, .flags = i & 1, .visibility = i >> 1};
        make_gate(&tails[i].opened);
        children[i] = start_child(follow, &tails[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_true(pass_gate(&tails[i].opened));
        break_gate(&tails[i].opened);
    }
    wal = open_dir(dir_of(state));
    append_range(wal, 1, COUNT / 2, 500);
    close_log(wal);
    wal = open_dir(dir_of(state));
    append_range(wal, COUNT / 2 + 1, COUNT / 2, 500);
    assert_true(position_of(wal).segment_id >= 8);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(end_of_child(children[i]), 0);
    close_log(wal);
}

/* Append one by one, each when told to, then live on until told to end. */
static int append_when_told(void *context)
{
    struct tail *tail = context;
    struct nori_wal_config config = config_of(tail->dir);
    nori_wal *wal = NULL;

    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    open_gate(&tail->opened);
    for (uint64_t number = 1; number <= tail->count; number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, 50);

        CHILD_CHECK(pass_gate(&tail->go));
        sleep_ms(2); /* the other one sleeps by now */
        CHILD_CHECK(nori_wal_append(wal, &record, NULL) == NORI_OK);
    }
    CHILD_CHECK(pass_gate(&tail->go));
    (void)kill(getpid(), SIGKILL);
    return 0;
}

/* D11: the other process is woken by each append, without polls: most waits end long before the
 * sleep would have ended by itself; and it goes on beside a writer that died. */
static void a_waiting_reader_is_woken_by_a_writer_in_another_process(void **state)
{
    enum {
        COUNT = 100
    };
    struct tail tail = {.dir = dir_of(state), .count = COUNT};
    nori_reader *reader;
    uint64_t woken = 0;
    int child;

    make_gate(&tail.opened);
    make_gate(&tail.go);
    child = start_child(append_when_told, &tail);
    assert_true(pass_gate(&tail.opened));
    reader = open_reader(tail.dir, OLDEST);
    assert_int_equal(nori_reader_wait(reader, 20), NORI_E_TIMEOUT);
    for (uint64_t number = 1; number <= COUNT; number++) {
        uint64_t begun = now_ms();

        open_gate(&tail.go);
        assert_int_equal(nori_reader_wait(reader, PATIENT), NORI_OK);
        woken += now_ms() - begun < SLEEP_MS / 2;
        expect_range(reader, number, 1, number);
    }
    assert_in_range(woken, COUNT / 2, COUNT);
    open_gate(&tail.go);
    assert_int_equal(WTERMSIG(end_of_child(child)), SIGKILL);
    expect_range(reader, 0, 0, 0);
    assert_int_equal(nori_reader_wait(reader, 20), NORI_E_TIMEOUT);
    nori_reader_close(reader);
    expect_log(tail.dir, 1, COUNT);
    break_gate(&tail.opened);
    break_gate(&tail.go);
}

/* ---- files ---- */

static unsigned mode_of(const char *dir, const char *name)
{
    char path[500];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void files_have_the_mode_asked_for_less_the_umask(void **state)
{
    static const unsigned modes[][4] = {/* asked for, umask, of the folder, of files */
                                        {0, 0, 0700, 0600},
                                        {0600, 0, 0700, 0600},
                                        {0640, 0, 0750, 0640},
                                        {0666, 0, 0777, 0666},
                                        {0666, 027, 0750, 0640}};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        const char *dir = dir_of(state);
        struct nori_wal_config config = config_of(dir);
        mode_t umask_before = umask(modes[i][1]);
        nori_wal *wal;

        config.file_mode = modes[i][0];
        wal = open_log(&config);
        append_range(wal, 1, 1200, 1000);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        close_log(wal);
        (void)umask(umask_before);
        assert_int_equal(mode_of(dir, ""), modes[i][2]);
        assert_int_equal(mode_of(dir, "control"), modes[i][3]);
        assert_int_equal(mode_of(dir, "000000.wal"), modes[i][3]);
        assert_int_equal(mode_of(dir, "000001.wal"), modes[i][3]);
        remove_dir(dir);
    }
}

static void files_that_are_not_ours_are_left_alone(void **state)
{
    static const char *names[] = {"1.wal", "0000001.wal", "000001.WAL", "000001.wal.bak",
                                  "notes", "00000a.wal",  "-00001.wal", ".hidden"};
    const char *dir = dir_of(state);
    nori_wal *wal;

    make_dir(dir);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        store_file(dir, names[i], "something else", 14);
    wal = open_dir(dir);
    append_range(wal, 1, 2500, 1000);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    append_range(wal, 2501, 1, 1000);
    close_log(wal);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len;
        uint8_t *data = load_file(dir, names[i], &len);

        assert_int_equal(len, 14);
        assert_memory_equal(data, "something else", 14);
        free(data);
    }
}

static void a_symbolic_link_in_place_of_a_file_is_refused(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->dir);
    nori_wal *wal = open_dir(temporary->dir);
    char path[300];

    append_range(wal, 1, 10, 10);
    close_log(wal);
    copy_dir(temporary->dir, temporary->other);
    (void)snprintf(path, sizeof path, "%s/000000.wal", temporary->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("../other/000000.wal", path), 0);
    assert_true(try_open(&config, NULL, NULL) < 0);
    expect_log(temporary->other, 1, 10);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_second_writer_is_refused_here_and_in_another_process),
        IN_FOLDER(a_second_writer_by_another_path_is_refused),
        IN_FOLDER(readers_neither_wait_for_the_writer_nor_stop_it),
        IN_FOLDER(a_forked_child_can_use_no_handle_of_its_parent),
        IN_FOLDER(a_forked_child_does_not_hold_the_lock_and_may_open_anew),
        IN_FOLDER(readers_in_other_processes_follow_a_live_writer),
        IN_FOLDER(a_waiting_reader_is_woken_by_a_writer_in_another_process),
        IN_FOLDER(files_have_the_mode_asked_for_less_the_umask),
        IN_FOLDER(files_that_are_not_ours_are_left_alone),
        IN_FOLDER(a_symbolic_link_in_place_of_a_file_is_refused),
    };

    return cmocka_run_group_tests_name("processes", tests, NULL, NULL);
}
