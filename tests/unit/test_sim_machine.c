/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sim_machine.c: the simulated machine around its disk: calls that fail, space and memory that
 * run out, threads whose order the seed decides, the clock that jumps, and how misuse ends.
 */
#define _GNU_SOURCE 1

#include "sim_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MILLISECOND 1000000u /* ns */

/* Faults. */

static void the_nth_call_fails_once_or_for_good(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_nth = 2;
    options.fail_mask = NORI_SIM_WRITE;
    options.fail_errno = EDQUOT;
    nori_sim_set_options(bench->sim, &options);
    assert_int_equal(bench_write_code(bench->file, 0, "a", 1), 0);
    bench_sync_file(bench->file);
    assert_int_equal(nori_sim_did_fail(bench->sim), 0);
    assert_int_equal(bench_write_code(bench->file, 0, "b", 1),
                     NORI_VFS_ERROR(NORI_E_NOSPACE, EDQUOT));
    assert_int_equal(nori_sim_did_fail(bench->sim), 1);
    assert_int_equal(bench_letter_at(bench->sim, "wal/a", 0), 'a'); /* and nothing happened */
    assert_int_equal(bench_write_code(bench->file, 0, "c", 1), 0);
    assert_true(nori_sim_calls(bench->sim) == 3);

    options.flags = NORI_SIM_FAIL_STICKY;
    options.fail_nth = 1;
    options.fail_code = NORI_E_READONLY;
    options.fail_errno = EROFS;
    nori_sim_set_options(bench->sim, &options);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bench_write_code(bench->file, 0, "d", 1),
                         NORI_VFS_ERROR(NORI_E_READONLY, EROFS));
    bench_sync_file(bench->file);
}

static void a_failed_write_may_have_done_a_part(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    bool saw_some = false;

    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t bytes = 0;

        options.seed = seed;
        options.fail_nth = 1;
        options.flags = NORI_SIM_FAIL_PARTLY;
        nori_sim_set_options(bench->sim, &options);
        assert_int_equal(bench_write_code(bench->file, 0, "0123456789", 10),
                         NORI_VFS_ERROR(NORI_E_IO, EIO));
        assert_int_equal(nori_sim_file_bytes(bench->sim, "wal/a", &bytes), 0);
        assert_true(bytes <= 10);
        saw_some = saw_some || (bytes > 0 && bytes < 10);
    }
    assert_true(saw_some);
}

static void a_failed_sync_leaves_phantoms(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *killed = NULL;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', 3 * NORI_SIM_SECTOR);
    options.fail_nth = 1;
    options.fail_mask = NORI_SIM_SYNC;
    options.flags = NORI_SIM_FAIL_PHANTOM;
    nori_sim_set_options(bench->sim, &options);
    assert_int_equal(bench->file->ops->sync(bench->file), NORI_VFS_ERROR(NORI_E_IO, EIO));

    assert_int_equal(bench_letter_at(bench->sim, "wal/a", 0), 'y'); /* reads serve it */
    bench_sync_file(bench->file); /* and the next sync is content */
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx");

    nori_sim_crash_kill(bench->sim, &killed); /* a new process sees no sign of it either */
    assert_int_equal(bench_letter_at(killed, "wal/a", 0), 'y');
    bench_assert_outcomes(killed, bench_describe_three_sectors, "xxx");
    nori_sim_free(killed);

    bench_write_letters(bench->file, NORI_SIM_SECTOR, 'y', NORI_SIM_SECTOR); /* rewriting repairs */
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx xyx");
    bench_sync_file(bench->file);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xyx");
}

/* A stale sector: read as it was written until the page cache is gone, then as before. */
static void a_lost_write_is_stale_after_a_power_cut(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    options.fail_nth = 2;
    options.fail_mask = NORI_SIM_WRITE;
    options.flags = NORI_SIM_FAIL_LOST;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'y', NORI_SIM_SECTOR);
    bench_write_letters(bench->file, NORI_SIM_SECTOR, 'y', NORI_SIM_SECTOR); /* this one */
    bench_write_letters(bench->file, (uint64_t)2 * NORI_SIM_SECTOR, 'y', NORI_SIM_SECTOR);
    assert_int_equal(nori_sim_did_fail(bench->sim), 1);
    assert_int_equal(bench_letter_at(bench->sim, "wal/a", NORI_SIM_SECTOR), 'y');
    bench_sync_file(bench->file);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "yxy");
}

static void a_misdirected_write_lands_elsewhere_in_the_file(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    options.fail_nth = 1;
    options.fail_mask = NORI_SIM_WRITE;
    options.flags = NORI_SIM_FAIL_MISDIRECTED;
    for (options.seed = 0; options.seed < 10; options.seed++) {
        char word[16] = "";
        int count = 0;

        nori_sim_set_options(bench->sim, &options);
        bench_write_letters(bench->file, 0, 'y', NORI_SIM_SECTOR);
        bench_sync_file(bench->file);
        bench_describe_three_sectors(bench->sim, word);
        for (const char *letter = word; *letter; letter++)
            count += *letter == 'y';
        assert_int_equal(word[0], 'x');
        assert_int_equal(count, 1);
        nori_sim_set_options(bench->sim, NULL);
        bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    }
}

/* What is in the buffer then is not to be used. */
static void a_failed_read_may_have_filled_a_part(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    bool saw_some = false;

    bench_write_letters(bench->file, 0, 'x', 100);
    for (options.seed = 0; options.seed < 20; options.seed++) {
        char letters[100] = "";
        size_t got = 17;

        options.fail_nth = 1;
        options.flags = NORI_SIM_FAIL_PARTLY;
        nori_sim_set_options(bench->sim, &options);
        assert_int_equal(bench->file->ops->read(bench->file, letters, sizeof letters, 0, &got),
                         NORI_VFS_ERROR(NORI_E_IO, EIO));
        assert_int_equal(got, 17);
        saw_some = saw_some || (letters[0] == 'x' && letters[99] != 'x');
    }
    assert_true(saw_some);
}

static void rot_flips_one_bit_that_the_seed_chooses(void **state)
{
    struct bench *bench = *state;
    uint64_t first = 0, again = 0;

    assert_int_equal(NORI_VFS_CODE(nori_sim_file_rot(bench->sim, "wal/b", 1, NULL)),
                     NORI_E_NOTFOUND);
    assert_int_equal(NORI_VFS_CODE(nori_sim_file_rot(bench->sim, "wal/a", 1, NULL)),
                     NORI_E_INVALID);
    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned flipped;

        assert_int_equal(nori_sim_file_rot(bench->sim, "wal/a", seed, &first), 0);
        flipped = (unsigned char)(bench_letter_at(bench->sim, "wal/a", first) ^ 'x');
        assert_true(flipped != 0 && (flipped & (flipped - 1)) == 0);
        assert_true(nori_sim_outcome_count(bench->sim) == 1); /* durable */
        assert_int_equal(nori_sim_file_rot(bench->sim, "wal/a", seed, &again), 0);
        assert_true(again == first);
        assert_int_equal(bench_letter_at(bench->sim, "wal/a", first), 'x');
    }
}

static void a_lying_machine_loses_what_it_synced(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_file *file;

    options.flags = NORI_SIM_LYING_SYNC | NORI_SIM_LYING_FOLDER_SYNC;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'x', 10);
    bench_sync_file(bench->file);
    bench_assert_outcomes(bench->sim, bench_describe_first, "- . x");
    file = bench_open_file(bench->folder, "b");
    file->ops->close(file);
    assert_int_equal(bench->folder->ops->sync(bench->folder), 0);
    assert_true(nori_sim_outcome_count(bench->sim) == 8);
    nori_sim_sync_all(bench->sim);
    assert_true(nori_sim_outcome_count(bench->sim) == 1);
}

static void a_full_disk_refuses_growth_until_there_is_room(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_file *other = bench_open_file(bench->folder, "b");
    const int expected = NORI_VFS_ERROR(NORI_E_NOSPACE, ENOSPC);
    uint64_t bytes = 0;

    options.capacity_bytes = 3 * 4096;
    nori_sim_set_options(bench->sim, &options);
    assert_int_equal(bench->file->ops->allocate(bench->file, 0, 2 * 4096), 0);
    assert_int_equal(other->ops->allocate(other, 0, 4097), expected);
    assert_int_equal(nori_sim_file_bytes(bench->sim, "wal/b", &bytes), 0);
    assert_true(bytes == 0);
    assert_int_equal(bench_write_code(other, 4096, "x", 1), expected);
    assert_int_equal(bench_write_code(other, 0, "x", 1), 0);
    assert_true(nori_sim_used_bytes(bench->sim) == 3 * 4096);
    bench_write_letters(bench->file, 0, 'x', 2 * 4096); /* what it owns it may fill */

    options.flags = NORI_SIM_COPY_ON_WRITE;
    nori_sim_set_options(bench->sim, &options);
    assert_int_equal(bench_write_code(bench->file, 0, "y", 1),
                     expected); /* but not overwrite here */

    options.flags = 0;
    nori_sim_set_options(bench->sim, &options);
    assert_int_equal(bench->folder->ops->remove(bench->folder, "b"), 0);
    assert_int_equal(bench->file->ops->allocate(bench->file, 0, 3 * 4096), expected); /* open yet */
    other->ops->close(other);
    assert_int_equal(bench->file->ops->allocate(bench->file, 0, 3 * 4096), 0);
}

static void memory_is_counted_and_can_fail(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    const struct nori_allocator *allocator = nori_sim_allocator(bench->sim);
    void *first, *second;

    options.fail_nth = 2;
    options.fail_mask = NORI_SIM_MEMORY;
    nori_sim_set_options(bench->sim, &options);
    first = allocator->alloc(allocator->context, 10);
    assert_non_null(first);
    assert_null(allocator->alloc(allocator->context, 10));
    second = allocator->realloc(allocator->context, NULL, 0);
    assert_non_null(second);
    first = allocator->realloc(allocator->context, first, 100);
    assert_non_null(first);
    assert_true(nori_sim_memory_blocks(bench->sim) == 2);
    assert_true(nori_sim_allocations(bench->sim) == 3);
    allocator->free(allocator->context, first);
    allocator->free(allocator->context, second);
    allocator->free(allocator->context, NULL);
    assert_true(nori_sim_memory_blocks(bench->sim) == 0);
}

static void bit_rot_is_durable_at_once(void **state)
{
    struct bench *bench = *state;
    uint64_t bytes = 0;

    bench_write_letters(bench->file, 0, 'x', 1000);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', 1000);
    assert_int_equal(nori_sim_file_poke(bench->sim, "wal/a", 3, "!", 1), 0);
    bench_assert_outcomes(bench->sim, bench_describe_first, "y"); /* its sector is settled */
    assert_true(nori_sim_outcome_count(bench->sim) == 2);
    assert_int_equal(nori_sim_file_resize(bench->sim, "wal/a", 2), 0);
    assert_true(nori_sim_outcome_count(bench->sim) == 1);
    assert_int_equal(nori_sim_file_poke(bench->sim, "wal/new", 10, "n", 1), 0);
    assert_int_equal(nori_sim_file_bytes(bench->sim, "wal/new", &bytes), 0);
    assert_true(bytes == 11);
    assert_int_equal(nori_sim_file_unlink(bench->sim, "wal/new"), 0);
    assert_true(nori_sim_outcome_count(bench->sim) == 1);
    assert_int_equal(NORI_VFS_CODE(nori_sim_file_poke(bench->sim, "no/new", 0, "n", 1)),
                     NORI_E_NOTFOUND);
}

/* Threads and time. */

struct crowd {
    nori_sim *sim;
    const struct nori_vfs *vfs;
    struct nori_file *file;
    struct nori_mutex *mutex;
    struct nori_cond *cond;
    char order[64];
    bool is_open;
    bool has_failed;
};

struct member {
    struct crowd *crowd;
    char letter;
};

static void write_some(void *argument)
{
    struct member *member = argument;
    struct crowd *crowd = member->crowd;

    for (int i = 0; i < 4; i++) {
        char letter[2] = {member->letter, '\0'};

        if (bench_write_code(crowd->file, strlen(crowd->order), letter, 1) < 0)
            crowd->has_failed = true;
        (void)strcat(crowd->order, letter);
    }
}

/* Three threads write, in an order that the seed decides. */
static void run_crowd(uint64_t seed, uint32_t switch_percent, struct crowd *crowd)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_thread *threads[3];
    struct member members[3];
    struct nori_folder *folder;

    options.seed = seed;
    options.switch_percent = switch_percent;
    memset(crowd, 0, sizeof *crowd);
    crowd->sim = nori_sim_new(&options);
    crowd->vfs = nori_sim_vfs(crowd->sim);
    folder = bench_open_folder(crowd->sim);
    crowd->file = bench_open_file(folder, "a");
    for (int i = 0; i < 3; i++) {
        members[i] = (struct member){crowd, (char)('a' + i)};
        assert_int_equal(crowd->vfs->thread_start(crowd->vfs->context, "writer", write_some,
                                                  &members[i], &threads[i]),
                         0);
    }
    for (int i = 0; i < 3; i++)
        crowd->vfs->thread_join(crowd->vfs->context, threads[i]);
    assert_false(crowd->has_failed);
    crowd->file->ops->close(crowd->file);
    folder->ops->close(folder);
    nori_sim_free(crowd->sim);
}

static void the_seed_decides_who_runs(void **state)
{
    struct crowd crowd, again;
    char seen[10][64];
    int different = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        run_crowd(seed, 50, &crowd);
        run_crowd(seed, 50, &again);
        assert_int_equal(strlen(crowd.order), 12);
        assert_string_equal(crowd.order, again.order);
        (void)strcpy(seen[seed], crowd.order);
        different += seed > 0 && strcmp(seen[seed], seen[seed - 1]) != 0;
    }
    assert_true(different >= 8);
    run_crowd(3, 0, &crowd); /* without switching, each runs to its end */
    for (int i = 0; i < 12; i++)
        assert_int_equal(crowd.order[i], crowd.order[i / 4 * 4]);
}

static void sleep_for_a_day(void *argument)
{
    struct crowd *crowd = argument;

    nori_sim_sleep(crowd->sim, UINT64_C(86400) * 1000 * MILLISECOND);
    crowd->is_open = true;
    crowd->vfs->mutex_lock(crowd->vfs->context, crowd->mutex);
    crowd->vfs->cond_wake_all(crowd->vfs->context, crowd->cond);
    crowd->vfs->mutex_unlock(crowd->vfs->context, crowd->mutex);
}

static void the_clock_jumps_when_all_wait(void **state)
{
    struct bench *bench = *state;
    struct crowd crowd = {.sim = bench->sim, .vfs = nori_sim_vfs(bench->sim)};
    const struct nori_vfs *vfs = crowd.vfs;
    struct nori_thread *thread = NULL;
    uint64_t start, hours = 0;

    assert_int_equal(vfs->mutex_new(vfs->context, &crowd.mutex), 0);
    assert_int_equal(vfs->cond_new(vfs->context, &crowd.cond), 0);
    assert_int_equal(vfs->thread_start(vfs->context, "sleeper", sleep_for_a_day, &crowd, &thread),
                     0);
    start = vfs->monotonic_ns(vfs->context);
    vfs->mutex_lock(vfs->context, crowd.mutex);
    while (!crowd.is_open) {
        uint64_t deadline = vfs->monotonic_ns(vfs->context) + UINT64_C(3600) * 1000 * MILLISECOND;

        if (vfs->cond_wait(vfs->context, crowd.cond, crowd.mutex, deadline) == NORI_E_TIMEOUT)
            hours++;
    }
    vfs->mutex_unlock(vfs->context, crowd.mutex);
    assert_true(hours == 23);
    assert_true(vfs->monotonic_ns(vfs->context) - start >= UINT64_C(86400) * 1000 * MILLISECOND);
    vfs->thread_join(vfs->context, thread);
    vfs->cond_free(vfs->context, crowd.cond);
    vfs->mutex_free(vfs->context, crowd.mutex);
}

static void sync_in_the_background(void *argument)
{
    struct crowd *crowd = argument;

    if (crowd->file->ops->sync(crowd->file) < 0)
        crowd->has_failed = true;
}

static void a_slow_sync_covers_what_was_there_at_its_begin(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    const struct nori_vfs *vfs = nori_sim_vfs(bench->sim);
    struct crowd crowd = {.sim = bench->sim, .file = bench->file, .vfs = vfs};
    struct nori_thread *thread = NULL;
    uint64_t start;

    options.sync_latency_ns = 5 * MILLISECOND;
    options.versions_max = 1;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'x', 10);
    assert_int_equal(
        vfs->thread_start(vfs->context, "sync", sync_in_the_background, &crowd, &thread), 0);
    start = vfs->monotonic_ns(vfs->context);
    nori_sim_sleep(bench->sim, MILLISECOND);
    bench_write_letters(bench->file, 0, 'y', 10);
    bench_write_letters(bench->file, 0, 'z', 10);
    assert_int_equal(bench->file->ops->truncate(bench->file, 600), 0);
    bench_assert_outcomes(bench->sim, bench_describe_first,
                          "- . z"); /* not done yet; y was over the limit */
    vfs->thread_join(vfs->context, thread);
    assert_false(crowd.has_failed);
    assert_true(vfs->monotonic_ns(vfs->context) - start >= 4 * MILLISECOND);
    bench_assert_outcomes(bench->sim, bench_describe_first, "x z"); /* x was there when it began */
}

/* Ends that are sudden: run in a child, whose words are not for the log. */
static void assert_aborts(void (*run)(void))
{
    const struct rlimit no_core = {0};
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void wait_for_ever(void)
{
    const struct nori_vfs *vfs = nori_sim_vfs(nori_sim_new(NULL));
    struct nori_mutex *mutex = NULL;
    struct nori_cond *cond = NULL;

    if (vfs->mutex_new(vfs->context, &mutex) < 0 || vfs->cond_new(vfs->context, &cond) < 0)
        return;
    vfs->mutex_lock(vfs->context, mutex);
    (void)vfs->cond_wait(vfs->context, cond, mutex, UINT64_MAX);
}

static void lock_twice(void)
{
    const struct nori_vfs *vfs = nori_sim_vfs(nori_sim_new(NULL));
    struct nori_mutex *mutex = NULL;

    if (vfs->mutex_new(vfs->context, &mutex) < 0)
        return;
    vfs->mutex_lock(vfs->context, mutex);
    vfs->mutex_lock(vfs->context, mutex);
}

static void free_too_early(void)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_folder *folder = NULL;
    const struct nori_vfs *vfs = nori_sim_vfs(sim);

    (void)vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &folder);
    nori_sim_free(sim);
}

static void deadlock_and_misuse_end_the_run(void **state)
{
    (void)state;
    assert_aborts(wait_for_ever);
    assert_aborts(lock_twice);
    assert_aborts(free_too_early);
}

static void random_bytes_go_on_in_clones(void **state)
{
    struct bench *bench = *state;
    const struct nori_vfs *vfs = nori_sim_vfs(bench->sim), *clone_vfs;
    uint64_t before = 0, after = 0, later = 0;
    nori_sim *clone = NULL;

    assert_int_equal(vfs->random(vfs->context, &before, sizeof before), 0);
    nori_sim_crash_kill(bench->sim, &clone);
    nori_sim_set_options(clone, NULL);
    clone_vfs = nori_sim_vfs(clone);
    assert_int_equal(clone_vfs->random(clone_vfs->context, &after, sizeof after), 0);
    assert_int_equal(clone_vfs->random(clone_vfs->context, &later, sizeof later), 0);
    assert_true(before != after); /* else a recovered log would use a salt twice */
    assert_true(after != later);
    nori_sim_free(clone);
}

static void many_files_come_and_go(void **state)
{
    struct bench *bench = *state;
    char name[32];

    for (int i = 0; i < 500; i++) {
        struct nori_file *file;

        (void)snprintf(name, sizeof name, "%06d.wal", i);
        file = bench_open_file(bench->folder, name);
        bench_write_letters(file, 0, 'x', 600);
        file->ops->close(file);
        if (i < 5)
            continue;
        (void)snprintf(name, sizeof name, "%06d.wal", i - 5);
        assert_int_equal(bench->folder->ops->remove(bench->folder, name), 0);
        assert_int_equal(bench->folder->ops->sync(bench->folder), 0);
        assert_true(nori_sim_used_bytes(bench->sim) == 5 * 4096);
    }
    assert_int_equal(bench_letter_at(bench->sim, "wal/000499.wal", 599), 'x');
}

int main(void)
{
#define SIM_TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        SIM_TEST(the_nth_call_fails_once_or_for_good),
        SIM_TEST(a_failed_write_may_have_done_a_part),
        SIM_TEST(a_failed_sync_leaves_phantoms),
        SIM_TEST(a_lost_write_is_stale_after_a_power_cut),
        SIM_TEST(a_misdirected_write_lands_elsewhere_in_the_file),
        SIM_TEST(a_failed_read_may_have_filled_a_part),
        SIM_TEST(rot_flips_one_bit_that_the_seed_chooses),
        SIM_TEST(a_lying_machine_loses_what_it_synced),
        SIM_TEST(a_full_disk_refuses_growth_until_there_is_room),
        SIM_TEST(memory_is_counted_and_can_fail),
        SIM_TEST(bit_rot_is_durable_at_once),
        SIM_TEST(the_seed_decides_who_runs),
        SIM_TEST(the_clock_jumps_when_all_wait),
        SIM_TEST(a_slow_sync_covers_what_was_there_at_its_begin),
        SIM_TEST(deadlock_and_misuse_end_the_run),
        SIM_TEST(random_bytes_go_on_in_clones),
        SIM_TEST(many_files_come_and_go),
    };
#undef SIM_TEST

    return cmocka_run_group_tests_name("simulated machine", tests, NULL, NULL) ? 1 : 0;
}
