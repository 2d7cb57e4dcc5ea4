/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_posix.c: the operating system behind the seam: the contract, and what only a real system can
 * do to us: links, pipes and devices in the place of files, forks, resource limits.
 */
#define _GNU_SOURCE 1

#include "io/posix.h"
#include "vfs_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int remove_tree(const char *path)
{
    char command[600];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

struct temporary {
    struct vfs_world world;
    char top[256];
    char path[300];
};

static int setup(void **state)
{
    struct temporary *temporary = calloc(1, sizeof *temporary);
    const char *base = getenv("TMPDIR");

    if (!temporary)
        return -1;
    (void)snprintf(temporary->top, sizeof temporary->top, "%s/nori-posix-XXXXXX",
                   base && base[0] ? base : "/tmp");
    if (!mkdtemp(temporary->top)) {
        free(temporary);
        return -1;
    }
    (void)snprintf(temporary->path, sizeof temporary->path, "%s/wal", temporary->top);
    temporary->world.vfs = nori_vfs_posix();
    temporary->world.path = temporary->path;
    *state = &temporary->world;
    return 0;
}

static int teardown(void **state)
{
    struct temporary *temporary = *state;
    int rc = remove_tree(temporary->top);

    free(temporary);
    return rc;
}

static struct nori_folder *open_folder(void **state)
{
    struct vfs_world *world = *state;
    struct nori_folder *folder = NULL;

    assert_int_equal(world->vfs->open_folder(NULL, world->path, NORI_FOLDER_CREATE, 0700, &folder),
                     0);
    return folder;
}

static const char *inside(void **state, const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", ((struct vfs_world *)*state)->path, name);
    return path;
}

static int open_code(struct nori_folder *folder, const char *name, uint32_t flags)
{
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(folder, name, flags, 0600, &file);

    if (rc == 0)
        file->ops->close(file);
    return NORI_VFS_CODE(rc);
}

static struct nori_file *create_file(struct nori_folder *folder, const char *name)
{
    struct nori_file *file = NULL;

    assert_int_equal(folder->ops->open_file(folder, name,
                                            NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_MAPPED,
                                            0600, &file),
                     0);
    return file;
}

static int exit_code_of(pid_t child)
{
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void only_regular_files_are_opened(void **state)
{
    const uint32_t ways[] = {0, NORI_FILE_WRITE, NORI_FILE_WRITE | NORI_FILE_CREATE};
    struct nori_folder *folder = open_folder(state);

    assert_int_equal(open_code(folder, "real", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(symlink("real", inside(state, "link")), 0);
    assert_int_equal(symlink("nowhere", inside(state, "dangling")), 0);
    assert_int_equal(mkfifo(inside(state, "pipe"), 0600), 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(open_code(folder, "link", ways[i]), NORI_E_INVALID);
        assert_int_equal(open_code(folder, "dangling", ways[i]), NORI_E_INVALID);
        assert_int_equal(open_code(folder, "pipe", ways[i]), NORI_E_INVALID);
    }
    assert_int_equal(access(inside(state, "nowhere"), F_OK), -1); /* nor created through a link */
    folder->ops->close(folder);

    assert_int_equal(nori_vfs_posix()->open_folder(NULL, "/dev", 0, 0, &folder), 0);
    assert_int_equal(open_code(folder, "null", 0), NORI_E_INVALID);
    assert_int_equal(open_code(folder, "null", NORI_FILE_WRITE), NORI_E_INVALID);
    folder->ops->close(folder);
}

static void links_are_followed_to_the_log_but_not_within_it(void **state)
{
    struct vfs_world *world = *state;
    struct nori_folder *folder = open_folder(state), *inner = NULL;
    char link[400];

    (void)snprintf(link, sizeof link, "%s-link", world->path);
    assert_int_equal(symlink(world->path, link), 0);
    folder->ops->close(folder);
    assert_int_equal(world->vfs->open_folder(NULL, link, NORI_FOLDER_CREATE, 0700, &folder), 0);
    assert_int_equal(symlink("/tmp", inside(state, "quarantine")), 0);
    assert_int_equal(NORI_VFS_CODE(folder->ops->open_folder(folder, "quarantine",
                                                            NORI_FOLDER_CREATE, 0700, &inner)),
                     NORI_E_INVALID);
    folder->ops->close(folder);
}

static void modes_are_for_creation(void **state)
{
    struct nori_folder *folder = open_folder(state);
    struct nori_file *file = create_file(folder, "a");
    struct stat found;

    assert_int_equal(stat(inside(state, "."), &found), 0);
    assert_int_equal(found.st_mode & 07777, 0700);
    assert_int_equal(stat(inside(state, "a"), &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void a_forked_child_does_not_hold_the_lock(void **state)
{
    struct vfs_world *world = *state;
    struct nori_folder *folder = open_folder(state), *other = open_folder(state);
    uint64_t generation = world->vfs->process_generation(NULL);
    int tell[2], answer[2];
    char go = 0;
    pid_t child;

    assert_int_equal(folder->ops->lock(folder), 0);
    assert_int_equal(folder->ops->announce(folder), 0);
    assert_int_equal(pipe(tell), 0);
    assert_int_equal(pipe(answer), 0);
    child = fork();
    if (child == 0) {
        (void)close(tell[1]);
        if (world->vfs->process_generation(NULL) == generation)
            _exit(1);
        if (other->ops->is_announced(other) != 1) /* the parent still has it */
            _exit(2);
        if (NORI_VFS_CODE(other->ops->lock(other)) != NORI_E_LOCKED)
            _exit(3);
        folder->ops->close(folder);               /* a child that cleans up */
        if (other->ops->is_announced(other) != 1) /* does not unlock its parent */
            _exit(4);
        (void)!write(answer[1], "", 1);
        (void)!read(tell[0], &go, 1); /* lives until the parent has closed */
        _exit(0);
    }
    (void)close(tell[0]);
    (void)close(answer[1]);
    (void)!read(answer[0], &go, 1);
    (void)close(answer[0]);
    folder->ops->close(folder);
    assert_int_equal(other->ops->is_announced(other), 0);
    assert_int_equal(other->ops->lock(other), 0);
    assert_true(world->vfs->process_generation(NULL) == generation);
    (void)close(tell[1]);
    assert_int_equal(exit_code_of(child), 0);
    other->ops->close(other);
}

/* The parent dies without closing; its child lives on. */
static void a_child_that_outlives_its_parent_does_not_keep_the_lock(void **state)
{
    struct nori_folder *folder;
    int tell[2], ready[2];
    char here;
    pid_t parent;

    assert_int_equal(pipe(tell), 0);
    parent = fork();
    if (parent == 0) {
        (void)close(tell[1]);
        folder = open_folder(state);
        if (folder->ops->lock(folder) < 0 || folder->ops->announce(folder) < 0)
            _exit(1);
        if (pipe(ready) < 0)
            _exit(2);
        if (fork() == 0) {
            char go;

            (void)!write(ready[1], "", 1);
            (void)!read(tell[0], &go, 1);
            _exit(0);
        }
        (void)!read(ready[0], &here, 1); /* the child has let go of the lock before fork returned */
        (void)raise(SIGKILL);
    }
    (void)close(tell[0]);
    assert_int_equal(exit_code_of(parent), 1000 + SIGKILL);
    folder = open_folder(state);
    assert_int_equal(folder->ops->is_announced(folder), 0);
    assert_int_equal(folder->ops->lock(folder), 0);
    folder->ops->close(folder);
    (void)close(tell[1]);
}

static void a_closed_file_leaves_no_lock_with_a_child(void **state)
{
    struct nori_folder *folder = open_folder(state);
    struct nori_file *file = create_file(folder, "a"), *other = create_file(folder, "a");
    int tell[2];
    pid_t child;

    assert_int_equal(file->ops->lock(file, NORI_LOCK_EXCLUSIVE), 0);
    assert_int_equal(pipe(tell), 0);
    child = fork();
    if (child == 0) {
        char go;

        (void)close(tell[1]);
        (void)!read(tell[0], &go, 1);
        _exit(0);
    }
    (void)close(tell[0]);
    file->ops->close(file);
    assert_int_equal(other->ops->lock(other, NORI_LOCK_EXCLUSIVE), 0);
    other->ops->close(other);
    (void)close(tell[1]);
    assert_int_equal(exit_code_of(child), 0);
    folder->ops->close(folder);
}

/* Nor is who has the lock seen before it announces itself, where it can. */
static void asking_for_the_lock_takes_none(void **state)
{
    struct nori_folder *folder = open_folder(state), *asker = open_folder(state);
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool can_announce = nw_posix_system_announced(fd) >= 0;

    (void)close(fd);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(asker->ops->is_announced(asker), 0);
        assert_int_equal(folder->ops->lock(folder), 0);
        assert_int_equal(asker->ops->is_announced(asker), can_announce ? 0 : 1);
        assert_int_equal(folder->ops->announce(folder), 0);
        assert_int_equal(asker->ops->is_announced(asker), 1);
        folder->ops->close(folder);
        folder = open_folder(state);
    }
    folder->ops->close(folder);
    asker->ops->close(asker);
}

static void the_writers_lock_is_a_flock(void **state)
{
    struct nori_folder *folder = open_folder(state);
    int fd = open(inside(state, "."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(folder->ops->lock(folder), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    folder->ops->close(folder);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    folder = open_folder(state);
    assert_int_equal(NORI_VFS_CODE(folder->ops->lock(folder)), NORI_E_LOCKED);
    folder->ops->close(folder);
    (void)close(fd);
}

/* In a child of its own, for a limit once lowered stays. Signals keep their default: SIGXFSZ would
 * kill it. */
static int work_under_a_file_size_limit(void **state)
{
    const struct rlimit limit = {.rlim_cur = 10000, .rlim_max = RLIM_INFINITY};
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;
    struct nori_file_info info;
    char bytes[2000] = {0};
    struct nori_span span = {bytes, sizeof bytes};
    const int expected = NORI_VFS_ERROR(NORI_E_NOSPACE, EFBIG);

    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    if (nori_vfs_posix()->open_folder(NULL, ((struct vfs_world *)*state)->path, NORI_FOLDER_CREATE,
                                      0700, &folder) < 0 ||
        folder->ops->open_file(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE, 0600, &file) < 0)
        return 2;
    if (file->ops->write(file, &span, 1, 8000) != 0)
        return 3;
    if (file->ops->write(file, &span, 1, 8001) != expected)
        return 4;
    if (file->ops->allocate(file, 0, 10001) != expected)
        return 5;
    if (file->ops->truncate(file, 10001) != expected)
        return 6;
    if (file->ops->stat(file, &info) < 0 || info.bytes != 10000)
        return 7;
    if (file->ops->truncate(file, 100) < 0 || file->ops->allocate(file, 0, 10000) < 0)
        return 8;
    file->ops->close(file);
    folder->ops->close(folder);
    return 0;
}

static void the_file_size_limit_is_an_error_not_a_signal(void **state)
{
    pid_t child = fork();

    if (child == 0)
        _exit(work_under_a_file_size_limit(state));
    assert_int_equal(exit_code_of(child), 0);
}

static void a_word_is_woken_from_another_process(void **state)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_folder *folder = open_folder(state);
    struct nori_file *file = create_file(folder, "control");
    void *data = NULL;
    uint32_t *word;
    pid_t child;
    int rc;

    assert_int_equal(file->ops->allocate(file, 0, 4096), 0);
    rc = file->ops->map(file, 4096, &data);
    if (NORI_VFS_CODE(rc) == NORI_E_UNSUPPORTED) {
        file->ops->close(file);
        folder->ops->close(folder);
        skip(); /* this file system has no mapping that we trust */
    }
    assert_int_equal(rc, 0);
    child = fork();
    if (child == 0) {
        /* The parent's mapping is not here: a child maps for itself. */
        if (file->ops->map(file, 4096, &data) < 0)
            _exit(1);
        word = data;
        (void)usleep(20000);
        __atomic_store_n(word, 1, __ATOMIC_RELEASE);
        vfs->word_wake(NULL, word);
        _exit(0);
    }
    word = data;
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
        assert_int_equal(vfs->word_wait(NULL, word, 0, UINT64_MAX), 0);
    assert_int_equal(exit_code_of(child), 0);
    file->ops->unmap(file, data, 4096);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void mappings_are_not_inherited(void **state)
{
    struct nori_folder *folder = open_folder(state);
    struct nori_file *file = create_file(folder, "control");
    void *data = NULL;
    pid_t child;
    int rc;

    assert_int_equal(file->ops->allocate(file, 0, 4096), 0);
    rc = file->ops->map(file, 4096, &data);
    if (NORI_VFS_CODE(rc) == NORI_E_UNSUPPORTED) {
        file->ops->close(file);
        folder->ops->close(folder);
        skip();
    }
    assert_int_equal(rc, 0);
    child = fork();
    if (child == 0) {
        /* msync says ENOMEM where nothing is mapped. */
        _exit(msync(data, 4096, MS_ASYNC) < 0 && errno == ENOMEM ? 0 : 1);
    }
    assert_int_equal(exit_code_of(child), 0);
    file->ops->unmap(file, data, 4096);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void collect_mask(void *argument)
{
    (void)pthread_sigmask(SIG_BLOCK, NULL, argument);
}

static void threads_leave_signals_to_the_application(void **state)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_thread *thread = NULL;
    sigset_t mask;

    (void)state;
    (void)sigemptyset(&mask);
    assert_int_equal(vfs->thread_start(NULL, "nori", collect_mask, &mask, &thread), 0);
    vfs->thread_join(NULL, thread);
    assert_int_equal(sigismember(&mask, SIGTERM), 1);
    assert_int_equal(sigismember(&mask, SIGUSR1), 1);
    assert_int_equal(sigismember(&mask, SIGSEGV), 0);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0); /* the caller's are as before */
}

static void results_carry_code_and_errno(void **state)
{
    struct nori_folder *folder = open_folder(state);
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(folder, "absent", 0, 0, &file);

    assert_int_equal(NORI_VFS_CODE(rc), NORI_E_NOTFOUND);
    assert_int_equal(NORI_VFS_ERRNO(rc), ENOENT);
    assert_int_equal(NORI_VFS_CODE(0), 0);
    assert_int_equal(NORI_VFS_CODE(NORI_E_TIMEOUT), NORI_E_TIMEOUT);
    folder->ops->close(folder);
}

int main(void)
{
#define POSIX_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        POSIX_TEST(only_regular_files_are_opened),
        POSIX_TEST(links_are_followed_to_the_log_but_not_within_it),
        POSIX_TEST(modes_are_for_creation),
        POSIX_TEST(a_forked_child_does_not_hold_the_lock),
        POSIX_TEST(a_child_that_outlives_its_parent_does_not_keep_the_lock),
        POSIX_TEST(a_closed_file_leaves_no_lock_with_a_child),
        POSIX_TEST(asking_for_the_lock_takes_none),
        POSIX_TEST(the_writers_lock_is_a_flock),
        POSIX_TEST(the_file_size_limit_is_an_error_not_a_signal),
        POSIX_TEST(a_word_is_woken_from_another_process),
        POSIX_TEST(mappings_are_not_inherited),
        POSIX_TEST(threads_leave_signals_to_the_application),
        POSIX_TEST(results_carry_code_and_errno),
    };
#undef POSIX_TEST
    int failed = vfs_contract_run("vfs contract: posix", setup, teardown);

    failed += cmocka_run_group_tests_name("posix", tests, NULL, NULL);
    return failed ? 1 : 0;
}
