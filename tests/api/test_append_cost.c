/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_append_cost.c: what an append asks of others: no memory, and hardly ever the kernel.
 *
 * A child appends 64 MiB of log in small records, and is traced meanwhile, so that every system
 * call of the appending thread stops it and is counted; calls that the C library answers without
 * the kernel, such as reading the clock, do not. Its allocator counts what that thread asks for.
 * Under `always`, where every append waits for a sync, the same counting shows that it counts; and
 * the file is looked at, for what a sync costs the file system.
 */
#define _GNU_SOURCE 1

#include "../support/lives.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)

#    include <sys/ptrace.h>

#    define VALUE_LEN   88             /* of a record of 100 bytes */
#    define WARM_UP     ((size_t)2000) /* records before anything is counted */
#    define LOG_BYTES   (64 * MIB)
#    define FEW_BYTES   ((size_t)100 << 10)
#    define CALL_EVERY  ((size_t)64 << 10) /* bytes of log for each call, at least */
#    define NOT_ALLOWED 77

/* In memory that child and parent share. */
struct cost {
    char dir[220];
    uint32_t policy;
    size_t bytes; /* to be appended while it is counted */
    _Atomic uint64_t appends;
    _Atomic uint64_t allocations; /* by the appending thread */
    _Atomic uint64_t before;      /* by then, since the log was opened */
};

static _Thread_local struct cost *appender; /* of the thread that appends */

static void *count_alloc(void *context, size_t len)
{
    const struct nori_allocator *inner = context;

    if (appender)
        atomic_fetch_add(&appender->allocations, 1);
    return inner->alloc(inner->context, len);
}

static void *count_realloc(void *context, void *memory, size_t len)
{
    const struct nori_allocator *inner = context;

    if (appender)
        atomic_fetch_add(&appender->allocations, 1);
    return inner->realloc(inner->context, memory, len);
}

static void plain_free(void *context, void *memory)
{
    const struct nori_allocator *inner = context;

    inner->free(inner->context, memory);
}

static int append_and_be_counted(void *context)
{
    union {
        const struct nori_allocator *given;
        void *context;
    } inner = {.given = nori_allocator_malloc()};
    struct nori_allocator counting = {sizeof counting, inner.context, count_alloc, count_realloc,
                                      plain_free};
    struct cost *cost = context;
    struct nori_wal_config config = config_of(cost->dir);
    struct numbered memory;
    struct nori_record record = make_numbered(&memory, 1, VALUE_LEN);
    struct nori_position first, at;
    nori_wal *wal = NULL;

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return NOT_ALLOWED;
    (void)raise(SIGSTOP);
    appender = cost;
    config.max_segment_size = 0; /* the default, as is the ring */
    config.fsync_policy = cost->policy;
    config.allocator = &counting;
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (size_t i = 0; i < WARM_UP; i++)
        CHILD_CHECK(nori_wal_append(wal, &record, &first) == NORI_OK);
    at = first;
    atomic_store(&cost->before, atomic_exchange(&cost->allocations, 0));
    (void)raise(SIGUSR1); /* from here on it is counted */
    while (at.offset - first.offset < cost->bytes) {
        CHILD_CHECK(nori_wal_append(wal, &record, &at) == NORI_OK);
        atomic_fetch_add(&cost->appends, 1);
    }
    (void)raise(SIGUSR1);
    CHILD_CHECK(at.segment_id == first.segment_id); /* a roll may allocate */
    appender = NULL;
    CHILD_CHECK(nori_wal_close(wal) == NORI_OK);
    return 0;
}

/* Let the child go on until its next stop, which is not a system call if `is_counting` is not set.
 * The status. */
static int go_on(pid_t child, bool is_counting)
{
    int status = 0;

    assert_int_equal(ptrace(is_counting ? PTRACE_SYSCALL : PTRACE_CONT, child, NULL, NULL), 0);
    assert_int_equal(waitpid(child, &status, __WALL), child);
    return status;
}

static bool is_stop(int status, int signal_number)
{
    return WIFSTOPPED(status) && WSTOPSIG(status) == signal_number;
}

/* The calls between the two signals. Raising the second takes some itself, which are counted. */
static uint64_t count_calls(pid_t child)
{
    uint64_t stops = 0;
    int status = go_on(child, false);

    assert_true(is_stop(status, SIGUSR1));
    while (is_stop(status = go_on(child, true), SIGTRAP | 0x80))
        stops++;
    assert_true(is_stop(status, SIGUSR1));
    return stops / 2; /* each stops where it begins and where it ends */
}

static void expect_cost(void **state, uint32_t policy, size_t bytes, uint64_t *ret_calls,
                        uint64_t *ret_appends)
{
    struct cost *cost =
        mmap(NULL, sizeof *cost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    pid_t child;

    assert_true(cost != MAP_FAILED);
    (void)snprintf(cost->dir, sizeof cost->dir, "%s", dir_of(state));
    cost->policy = policy;
    cost->bytes = bytes;
    child = start_child(append_and_be_counted, cost);
    assert_int_equal(waitpid(child, &status, __WALL), child);
    if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, child, NULL,
                                      (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0) {
        print_message("# skipped: this process may not trace its child\n");
        (void)kill(child, SIGKILL);
        skip();
    }
    *ret_calls = count_calls(child);
    *ret_appends = atomic_load(&cost->appends);
    assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
    assert_int_equal(end_of_child(child), 0);
    print_message("# %llu appends, %zu KiB of log: %llu system calls, %llu allocations\n",
                  (unsigned long long)*ret_appends, bytes >> 10, (unsigned long long)*ret_calls,
                  (unsigned long long)atomic_load(&cost->allocations));
    assert_true(atomic_load(&cost->before) > 0); /* opening did, so it counts */
    assert_int_equal(atomic_load(&cost->allocations), 0);
    (void)munmap(cost, sizeof *cost);
}

static void expect_few_calls(void **state, uint32_t policy)
{
    uint64_t calls, appends;

    expect_cost(state, policy, LOG_BYTES, &calls, &appends);
    assert_in_range(calls, 0, LOG_BYTES / CALL_EVERY);
}

static void under_os_an_append_takes_no_memory_and_hardly_a_call(void **state)
{
    expect_few_calls(state, NORI_FSYNC_OS);
}

static void under_batch_an_append_takes_no_memory_and_hardly_a_call(void **state)
{
    expect_few_calls(state, NORI_FSYNC_BATCH);
}

/* Who leads a sync writes and syncs: two calls. */
static void under_always_calls_are_counted_and_no_memory_is_taken(void **state)
{
    uint64_t calls, appends;

    expect_cost(state, NORI_FSYNC_ALWAYS, FEW_BYTES, &calls, &appends);
    assert_true(calls >= 2 * appends);
}

/* Where the first hole of the only segment begins after one append: reserved space that was never
 * written is one. */
static uint64_t written_after_one_append(struct temporary *temporary, uint32_t policy)
{
    struct nori_wal_config config = config_of(temporary->dir);
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    char path[300];
    nori_wal *wal;
    off_t hole;
    int fd;

    config.fsync_policy = policy;
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    (void)snprintf(path, sizeof path, "%s/000000.wal", temporary->dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    hole = lseek(fd, 0, SEEK_HOLE);
    assert_true(hole > 0);
    (void)close(fd);
    assert_int_equal(nori_wal_close(wal), NORI_OK);
    remove_dir(temporary->dir);
    return (uint64_t)hole;
}

/* Else every sync would wait for the file system's journal, too. */
static void under_always_most_syncs_overwrite(void **state)
{
    if (written_after_one_append(*state, NORI_FSYNC_OS) >= MIB) {
        print_message("# skipped: this file system does not tell reserved space from written\n");
        skip();
    }
    assert_in_range(written_after_one_append(*state, NORI_FSYNC_ALWAYS), 128 << 10, 256 << 10);
}

#    define IN_FOLDER(test) \
        cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(under_os_an_append_takes_no_memory_and_hardly_a_call),
        IN_FOLDER(under_batch_an_append_takes_no_memory_and_hardly_a_call),
        IN_FOLDER(under_always_calls_are_counted_and_no_memory_is_taken),
        IN_FOLDER(under_always_most_syncs_overwrite),
    };

    lives_in_memory();
    return cmocka_run_group_tests_name("append cost", tests, NULL, NULL);
}

#else

static void calls_are_counted_on_linux_only(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_are_counted_on_linux_only)};

    return cmocka_run_group_tests_name("append cost", tests, NULL, NULL);
}

#endif
