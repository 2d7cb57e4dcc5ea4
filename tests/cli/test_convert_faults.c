/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_convert_faults.c: `nori convert` is killed before each of its calls, and each of them fails.
 *
 * The command's own sources are linked here, and the linker puts a counter (-Wl,--wrap) before
 * every call of the system and every allocation that they and the library make. A child runs the
 * command; at the nth call it ends by a signal, or the call fails, once or from then on; n counts
 * up until it is beyond the last. Whatever happens: the source is as it was, and the target is
 * there with all records of the source or not at all. A part of them is only where its name says
 * so, and is a prefix (D1, D4). What failed is told.
 */
#define _GNU_SOURCE 1

#include "../../cli/cli.h"
#include "../api/helpers.h"
#include "../support/repeat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the counter ---- */

enum way {
    FAILS_ONCE,
    FAILS_FOR_GOOD,
    DIES
};

static struct {
    enum way way;
    uint64_t nth; /* 0: nothing happens */
    int os_errno;
    int signal;
    atomic_bool is_on;
    atomic_uint_fast64_t calls;
} fault;

/* Is this the call that fails? */
static bool fails(void)
{
    uint64_t call;

    if (!atomic_load(&fault.is_on))
        return false;
    call = atomic_fetch_add(&fault.calls, 1) + 1;
    if (fault.nth == 0 || call < fault.nth || (call > fault.nth && fault.way != FAILS_FOR_GOOD))
        return false;
    if (fault.way == DIES) {
        sigset_t all;

        (void)sigfillset(&all); /* the library's threads take none */
        (void)pthread_sigmask(SIG_UNBLOCK, &all, NULL);
        (void)kill(getpid(), fault.signal);
        for (;;)
            (void)pause();
    }
    errno = fault.os_errno;
    return true;
}

/* A call with a fixed list of arguments: what it returns when it fails, and what it does else. */
#define STANDS_IN_FOR(type, name, failed, parameters, arguments) \
    type __real_##name parameters;                               \
    type __wrap_##name parameters;                               \
    type __wrap_##name parameters                                \
    {                                                            \
        return fails() ? (failed) : __real_##name arguments;     \
    }

STANDS_IN_FOR(void *, malloc, NULL, (size_t len), (len))
STANDS_IN_FOR(void *, calloc, NULL, (size_t count, size_t len), (count, len))
STANDS_IN_FOR(void *, realloc, NULL, (void *old, size_t len), (old, len))
STANDS_IN_FOR(char *, strdup, NULL, (const char *text), (text))
STANDS_IN_FOR(char *, realpath, NULL, (const char *path, char *target), (path, target))
STANDS_IN_FOR(int, open64, -1, (const char *path, int flags, mode_t mode), (path, flags, mode))
STANDS_IN_FOR(int, openat64, -1, (int folder, const char *path, int flags, mode_t mode),
              (folder, path, flags, mode))
STANDS_IN_FOR(int, mkdirat, -1, (int folder, const char *path, mode_t mode), (folder, path, mode))
STANDS_IN_FOR(int, unlinkat, -1, (int folder, const char *path, int flags), (folder, path, flags))
STANDS_IN_FOR(int, rename, -1, (const char *source, const char *target), (source, target))
STANDS_IN_FOR(int, renameat, -1, (int from, const char *source, int to, const char *target),
              (from, source, to, target))
STANDS_IN_FOR(int, renameat2, -1,
              (int from, const char *source, int to, const char *target, unsigned flags),
              (from, source, to, target, flags))
STANDS_IN_FOR(DIR *, opendir, NULL, (const char *path), (path))
STANDS_IN_FOR(DIR *, fdopendir, NULL, (int fd), (fd))
STANDS_IN_FOR(struct dirent *, readdir64, NULL, (DIR * dir), (dir))
STANDS_IN_FOR(int, stat64, -1, (const char *path, struct stat *found), (path, found))
STANDS_IN_FOR(int, fstat64, -1, (int fd, struct stat *found), (fd, found))
STANDS_IN_FOR(int, fstatat64, -1, (int folder, const char *path, struct stat *found, int flags),
              (folder, path, found, flags))
STANDS_IN_FOR(int, statx, -1,
              (int folder, const char *path, int flags, unsigned mask, struct statx *found),
              (folder, path, flags, mask, found))
STANDS_IN_FOR(int, fstatfs64, -1, (int fd, struct statfs *found), (fd, found))
STANDS_IN_FOR(int, fstatvfs64, -1, (int fd, struct statvfs *found), (fd, found))
STANDS_IN_FOR(int, fcntl64, -1, (int fd, int command, void *lock), (fd, command, lock))
STANDS_IN_FOR(int, ioctl, -1, (int fd, unsigned long request, void *argument),
              (fd, request, argument))
STANDS_IN_FOR(int, flock, -1, (int fd, int operation), (fd, operation))
STANDS_IN_FOR(void *, mmap64, MAP_FAILED,
              (void *at, size_t len, int protection, int flags, int fd, off_t offset),
              (at, len, protection, flags, fd, offset))
STANDS_IN_FOR(int, madvise, -1, (void *at, size_t len, int advice), (at, len, advice))
STANDS_IN_FOR(ssize_t, pread64, -1, (int fd, void *target, size_t len, off_t offset),
              (fd, target, len, offset))
STANDS_IN_FOR(ssize_t, read, -1, (int fd, void *target, size_t len), (fd, target, len))
STANDS_IN_FOR(ssize_t, write, -1, (int fd, const void *data, size_t len), (fd, data, len))
STANDS_IN_FOR(ssize_t, pwrite64, -1, (int fd, const void *data, size_t len, off_t offset),
              (fd, data, len, offset))
STANDS_IN_FOR(ssize_t, pwritev64, -1, (int fd, const struct iovec *pieces, int count, off_t offset),
              (fd, pieces, count, offset))
STANDS_IN_FOR(int, fallocate64, -1, (int fd, int mode, off_t offset, off_t len),
              (fd, mode, offset, len))
STANDS_IN_FOR(int, ftruncate64, -1, (int fd, off_t len), (fd, len))
STANDS_IN_FOR(int, fdatasync, -1, (int fd), (fd))
STANDS_IN_FOR(int, fsync, -1, (int fd), (fd))
STANDS_IN_FOR(int, syncfs, -1, (int fd), (fd))
STANDS_IN_FOR(int, posix_fadvise64, EIO, (int fd, off_t offset, off_t len, int advice),
              (fd, offset, len, advice))
STANDS_IN_FOR(ssize_t, getrandom, -1, (void *target, size_t len, unsigned flags),
              (target, len, flags))
STANDS_IN_FOR(int, pthread_create, EAGAIN,
              (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *), void *context),
              (thread, how, run, context))

/* ---- the command ---- */

struct run {
    const char *test;
    const char *format;
    uint64_t records;
    char source[300], target[300], part[300], told[300];
};

static int convert(void *context)
{
    const struct run *run = context;
    char name[] = "convert", option[] = "--format", size[] = "--segment-size", mib[] = "1MiB";
    char format[2] = {run->format[0], '\0'};
    char source[300], target[300];
    char *argv[] = {name, option, format, size, mib, source, target, NULL};
    int out = open("/dev/null", O_WRONLY);
    int told = open(run->told, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int status;

    memcpy(source, run->source, sizeof source);
    memcpy(target, run->target, sizeof target);
    CHILD_CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(told, STDERR_FILENO) >= 0);
    CHILD_CHECK(signal(SIGINT, SIG_DFL) != SIG_ERR); /* whatever started the tests */
    atomic_store(&fault.is_on, true);
    status = cli_convert(7, argv);
    atomic_store(&fault.is_on, false);
    /* 100: the call that was to fail was never made. */
    return status == CLI_GOOD && atomic_load(&fault.calls) < fault.nth ? 100 : status;
}

/* ---- what is to be copied: batches of three, and single records, in some small segments and a
 * large one ---- */

#define SMALL     10
#define LARGE     130
#define VALUE_LEN 3900 /* so a large one takes two segments */

static void make_source(const char *dir, bool is_large)
{
    struct nori_wal_config config = config_of(dir);
    uint64_t number = 0;

    config.buffer_size = 64 << 10; /* little to compare after each run */
    config.preallocate = NORI_PREALLOCATE_OFF;
    for (int life = 0; life < 3; life++) {
        nori_wal *wal = open_log(&config);
        int count = life == 2 && is_large ? LARGE : SMALL;

        for (int i = 0; i < count; i++) {
            struct numbered memory[3];
            struct nori_record records[3];

            for (size_t k = 0; k < 3; k++)
                records[k] = make_numbered(&memory[k], number + k, VALUE_LEN);
            assert_int_equal(nori_wal_append_batch(wal, records, i % 2 ? 3 : 1, NULL), NORI_OK);
            number += i % 2 ? 3 : 1;
        }
        close_log(wal);
    }
}

/* Format 1 has a write for each record: few are enough. */
static void begin(struct run *run, const struct temporary *temporary, const char *format)
{
    const char *top = temporary->top;
    bool is_large = format[0] == '2';

    run->format = format;
    run->records = 2 * (SMALL + SMALL + (is_large ? LARGE : SMALL));
    (void)snprintf(run->source, sizeof run->source, "%s", temporary->dir);
    (void)snprintf(run->target, sizeof run->target, "%s/copy", top);
    (void)snprintf(run->part, sizeof run->part, "%s/copy.incomplete", top);
    (void)snprintf(run->told, sizeof run->told, "%s/told", top);
    make_source(run->source, is_large);
}

/* How many records there are, in order and whole; UINT64_MAX if there is anything else. */
static uint64_t count_records(const char *dir, bool has_batches)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;
    struct nori_record record;
    uint64_t count = 0, number;
    bool goes_on = false;
    int rc = nori_reader_open_with(dir, &config, OLDEST, &reader, NULL);

    if (rc == NORI_E_NOTFOUND)
        return 0;
    if (rc < 0)
        return UINT64_MAX;
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK) {
        if (!is_numbered(&record, &number) || number != count)
            break;
        count++;
        goes_on = (record.flags & NORI_RECORD_BATCH_CONTINUES) != 0;
        /* records 1, 2, 3 of every four are a batch */
        if (has_batches && goes_on != (number % 4 == 1 || number % 4 == 2))
            break;
    }
    nori_reader_close(reader);
    return rc == NORI_END && !goes_on ? count : UINT64_MAX;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* NULL, or what is wrong with what a run left. */
static const char *problem_of(const struct run *run, int status)
{
    bool has_batches = run->format[0] == '2';
    struct stat told;

    if (is_there(run->target) && count_records(run->target, has_batches) != run->records)
        return "the target has its name, and not all records";
    if (is_there(run->part) && count_records(run->part, has_batches) > run->records)
        return "what is left is no prefix of the source";
    if (is_there(run->part) && is_there(run->target))
        return "there are two of them";
    if (WIFEXITED(status) && WEXITSTATUS(status) == CLI_GOOD && !is_there(run->target))
        return "it says that all is well, and there is no target";
    if (WIFEXITED(status) && WEXITSTATUS(status) != CLI_GOOD &&
        (stat(run->told, &told) < 0 || told.st_size == 0))
        return "it has failed and does not say why";
    return NULL;
}

static void remove_both(const struct run *run)
{
    const char *const paths[] = {run->target, run->part};

    for (size_t i = 0; i < 2; i++) {
        DIR *dir = opendir(paths[i]);

        for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
            assert_true(closedir(dir) == 0 && rmdir(paths[i]) == 0);
    }
}

/* ---- the tests ---- */

struct totals {
    uint64_t runs, failed, finished, parts;
};

/* One run. False: it made fewer calls than that. */
static bool try_one(struct run *run, const struct snapshot *source, struct totals *totals)
{
    const char *problem;
    int status;

    repeat_with("NORI_ONLY=%s NORI_CONVERT_CALL=%llu ./test_convert_faults", run->test,
                (unsigned long long)fault.nth);
    status = run_child(convert, run);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 100) {
        status = 0;
        fault.nth = 0;
    } else {
        totals->runs++;
        totals->failed += WIFEXITED(status) && WEXITSTATUS(status) != CLI_GOOD;
        totals->finished += is_there(run->target);
        totals->parts += is_there(run->part) && count_records(run->part, false) > 0;
    }
    problem = problem_of(run, status);
    if (!problem && WIFSIGNALED(status) && fault.way != DIES)
        problem = "it crashed";
    if (!problem && WIFEXITED(status) && WEXITSTATUS(status) != CLI_GOOD &&
        WEXITSTATUS(status) != CLI_IO)
        problem = "it says that the log is damaged, or the command line wrong";
    if (problem) {
        repeat_print();
        fail_msg("exit status %d, signal %d: %s", WEXITSTATUS(status), WTERMSIG(status), problem);
    }
    expect_unchanged(run->source, source);
    remove_both(run);
    return fault.nth > 0;
}

/* All calls, in this way; or the one that is wanted. */
static void try_all(void **state, const char *test, const char *format, enum way way)
{
    const char *only = getenv("NORI_CONVERT_CALL");
    static const int signals[] = {SIGKILL, SIGINT, SIGTERM};
    static const int errnos[] = {EIO, ENOSPC};
    struct totals totals = {0};
    uint64_t step = 100 / repeat_share(100);
    uint64_t nth = only ? strtoull(only, NULL, 10) : 1;
    struct snapshot *source;
    struct run run = {.test = test};

    begin(&run, *state, format);
    source = take_snapshot(run.source);
    do {
        fault.way = way;
        fault.os_errno = errnos[nth % 2];
        fault.signal = signals[nth % 3];
        fault.nth = nth;
        nth += step;
    } while (try_one(&run, source, &totals) && !only);
    free_snapshot(source);
    print_message("%llu runs: %llu failed, %llu left the target, %llu a part of it\n",
                  (unsigned long long)totals.runs, (unsigned long long)totals.failed,
                  (unsigned long long)totals.finished, (unsigned long long)totals.parts);
    if (only)
        return;
    assert_true(totals.runs >= 200 / step);
    assert_true(totals.parts > 0); /* else it is over before there is anything to lose */
    if (way != DIES)
        assert_true(totals.failed > 0);
}

static void a_conversion_that_is_killed_leaves_all_or_a_part_that_says_so(void **state)
{
    try_all(state, __func__, "2", DIES);
}

static void a_conversion_to_format_1_that_is_killed_leaves_all_or_a_part_that_says_so(void **state)
{
    try_all(state, __func__, "1", DIES);
}

static void a_call_that_fails_once_costs_no_record_silently(void **state)
{
    try_all(state, __func__, "2", FAILS_ONCE);
}

static void a_call_that_fails_once_costs_no_record_of_format_1_silently(void **state)
{
    try_all(state, __func__, "1", FAILS_ONCE);
}

static void calls_that_fail_for_good_cost_no_record_silently(void **state)
{
    try_all(state, __func__, "2", FAILS_FOR_GOOD);
}

static void what_an_earlier_run_left_is_in_the_way_until_it_is_removed(void **state)
{
    struct run run;
    struct snapshot *part;
    int status;

    begin(&run, *state, "2");
    fault.way = DIES;
    fault.signal = SIGKILL;
    for (fault.nth = 100; count_records(run.part, true) == 0; fault.nth += 10) {
        remove_both(&run);
        status = run_child(convert, &run);
        assert_true(WIFSIGNALED(status) && !is_there(run.target));
    }
    fault.nth = 0;
    part = take_snapshot(run.part);
    status = run_child(convert, &run);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CLI_USAGE);
    assert_false(is_there(run.target));
    expect_unchanged(run.part, part);
    free_snapshot(part);
    remove_dir(run.part);
    status = run_child(convert, &run);
    assert_int_equal(status, 0);
    assert_null(problem_of(&run, status));
}

/* What is the end of a log that holds nothing any more, and begins behind what was dropped? */
static void a_log_of_which_all_was_dropped_is_copied(void **state)
{
    struct run run;
    nori_wal *wal;

    begin(&run, *state, "2");
    fault.nth = 0;
    wal = open_dir(run.source);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    close_log(wal);
    assert_int_equal(run_child(convert, &run), 0);
    assert_true(is_there(run.target) && !is_there(run.part));
    assert_int_equal(count_records(run.target, true), 0);
}

/* The checks above can fail. */
static void a_part_under_the_name_of_the_whole_would_be_noticed(void **state)
{
    struct run run;

    begin(&run, *state, "2");
    fault.nth = 0;
    assert_non_null(problem_of(&run, 0)); /* neither target nor message */
    assert_int_equal(run_child(convert, &run), 0);
    assert_null(problem_of(&run, 0));
    (void)unlink(run.told);
    assert_non_null(problem_of(&run, CLI_IO << 8));
    copy_dir(run.target, run.part);
    assert_non_null(problem_of(&run, 0));
    remove_dir(run.part);
    cut_file(run.target, "000000.wal", 500000);
    assert_non_null(problem_of(&run, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_part_under_the_name_of_the_whole_would_be_noticed),
        TEST(what_an_earlier_run_left_is_in_the_way_until_it_is_removed),
        TEST(a_log_of_which_all_was_dropped_is_copied),
        TEST(a_conversion_that_is_killed_leaves_all_or_a_part_that_says_so),
        TEST(a_conversion_to_format_1_that_is_killed_leaves_all_or_a_part_that_says_so),
        TEST(a_call_that_fails_once_costs_no_record_silently),
        TEST(a_call_that_fails_once_costs_no_record_of_format_1_silently),
        TEST(calls_that_fail_for_good_cost_no_record_silently),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
