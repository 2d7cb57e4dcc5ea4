/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_single_step.c: a process that dies between any two instructions of an append (D1, D2).
 *
 * What. A kill at random rarely falls between two given stores. So a child is traced: two threads
 * append into a ring so small that it wraps all the time, the log's own threads write behind them,
 * and of all of them one at a time is let go on by one instruction. A seed chooses which, sometimes
 * for many instructions in a row, sometimes holding a thread back for long: so the ring gets full,
 * and a thread may stand between any two instructions while the others go a lap around the ring.
 *
 * After each step. What a kill would leave now is what the kernel has: the mapping of `control` and
 * the files. If the step changed the mapping, or was a system call, the folder is copied, recovered
 * by the library, and read; else it is what it was at the last step, and so is what recovery makes
 * of it. Either way it is compared with what has returned and what was begun by now. The copied
 * `control` gets its new inode written into it, so that its words are believed, as they would be.
 *
 * Each life of the child has another policy than the one before. It ends with a real kill at some
 * step, and its own folder is recovered. The seed repeats the choices, but not how long the kernel
 * lets a thread sleep.
 */
#define _GNU_SOURCE 1 /* dladdr */

#include "../api/helpers.h"
#include "../support/lives.h"
#include "../support/repeat.h"

#if defined(__x86_64__) && defined(__linux__)

#    include <dlfcn.h>
#    include <errno.h>
#    include <fcntl.h>
#    include <pthread.h>
#    include <sched.h>
#    include <signal.h>
#    include <sys/mman.h>
#    include <sys/ptrace.h>
#    include <sys/stat.h>
#    include <sys/user.h>
#    include <sys/wait.h>
#    include <unistd.h>

#    define APPENDERS     2
#    define VALUE_MAX     900 /* so a lap around the ring is some nine appends */
#    define RING_LEN      4096
#    define CONTROL_LEN   (4096 + RING_LEN)
#    define IDENTITY_AT   24   /* in `control`: inode and time of creation */
#    define NUMBERS_AT    1024 /* in it: to be shown, never to go by */
#    define NUMBERS_END   2560
#    define LIFE_APPENDS  70    /* then a life ends */
#    define TRACEES_MAX   8     /* main, two that append, four of the log */
#    define BURST_MAX     64    /* steps of one thread in a row */
#    define PHASE_MAX     20000 /* steps until the threads are weighed anew */
#    define BURSTS_ASLEEP 16    /* in the mean, until a thread that woke may go on */
#    define CALLS_HELD    8     /* one call in so many is held back */
#    define CODE_SYSCALL  0x0f05u
#    define CODE_PAUSE    0xf390u /* said to the processor by who spins */
#    define APPENDS_SHARE 150     /* by default */

static struct torture_options options = {0, 1, 0, 0};

struct tracee {
    pid_t id;
    bool is_stopped; /* else it is in a system call */
    bool was_asleep; /* until it has stopped just now */
    unsigned weight; /* how often it is chosen in this phase */
};

struct walk {
    const struct temporary *temporary;
    struct life *life;
    struct tracee tracees[TRACEES_MAX];
    size_t count;
    pid_t process;
    uint64_t seed;
    uint64_t phase_left; /* steps */
    uint64_t steps, recoveries, kills;
    const uint8_t *control; /* the child's, as the kernel has it; NULL: none yet */
    ino_t control_inode;
    uint8_t seen[CONTROL_LEN]; /* at the last recovery */
    struct found found;        /* by it */
};

/* ---- the child ---- */

struct appender {
    struct life *life;
    nori_wal *wal;
    uint32_t thread;
    struct numbered memory[LIFE_APPENDS + 1]; /* made before the first step */
    struct nori_record records[LIFE_APPENDS + 1];
};

static void *append_for_ever(void *argument)
{
    struct appender *self = argument;

    for (size_t i = 0; i <= LIFE_APPENDS; i++)
        life_append(self->life, self->wal, self->thread, &self->records[i]);
    return NULL;
}

/* Each life has another policy. */
static struct nori_wal_config small_config(const struct walk *walk, const char *dir)
{
    static const uint32_t policies[] = {NORI_FSYNC_OS, NORI_FSYNC_BATCH, NORI_FSYNC_ALWAYS};
    struct nori_wal_config config = config_of(dir);

    config.fsync_policy = policies[walk->kills % 3];
    config.buffer_size = RING_LEN;
    config.preallocate = NORI_PREALLOCATE_OFF;
    return config;
}

static int be_traced(void *context)
{
    struct walk *walk = context;
    struct nori_wal_config config = small_config(walk, walk->temporary->dir);
    static struct appender appenders[APPENDERS];
    nori_wal *wal = NULL;

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return errno == EPERM || errno == ENOSYS ? 77 : 1;
    (void)raise(SIGSTOP);
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint32_t i = 0; i < APPENDERS; i++) {
        appenders[i].life = walk->life;
        appenders[i].wal = wal;
        appenders[i].thread = i;
        for (uint64_t count = 0; count <= LIFE_APPENDS; count++)
            appenders[i].records[count] =
                life_record(&appenders[i].memory[count], 0, i, count + 1, VALUE_MAX);
    }
    (void)raise(SIGSTOP); /* from here on step by step */
    for (uint32_t i = 0; i < APPENDERS; i++) {
        pthread_t thread;

        CHILD_CHECK(pthread_create(&thread, NULL, append_for_ever, &appenders[i]) == 0);
    }
    for (;;)
        (void)pause();
}

/* ---- what a kill would leave ---- */

/* All bytes of a file that are not a hole, and its length. */
static void copy_contents(const char *from, const char *to)
{
    static uint8_t bytes[64 << 10];
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t end = lseek(source, 0, SEEK_END);
    off_t at = 0;

    assert_true(source >= 0 && target >= 0 && end >= 0 && ftruncate(target, end) == 0);
    while ((at = lseek(source, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(source, at, SEEK_HOLE);

        while (at < hole) {
            size_t len = (size_t)(hole - at) < sizeof bytes ? (size_t)(hole - at) : sizeof bytes;
            ssize_t got = pread(source, bytes, len, at);

            assert_true(got > 0 && pwrite(target, bytes, (size_t)got, at) == got);
            at += got;
        }
    }
    (void)close(source);
    (void)close(target);
}

/* The words of a copied `control` count only if it says that it is in its place. */
static void settle_control(const char *dir, const char *path)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;
    struct nori_file_info info;
    uint64_t identity[2];
    int target = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(vfs->open_folder(vfs->context, dir, 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, "control", 0, 0, &file), 0);
    assert_int_equal(file->ops->stat(file, &info), 0);
    file->ops->close(file);
    folder->ops->close(folder);
    identity[0] = info.identity;
    identity[1] = info.birth_ns;
    assert_true(pwrite(target, identity, sizeof identity, IDENTITY_AT) == sizeof identity);
    (void)close(target);
}

static const char *const names[] = {"000000.wal", "000001.wal", "spare", "control"};

static void copy_log(const char *from, const char *to)
{
    assert_int_equal(mkdir(to, 0700), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char source[256], target[256];

        (void)snprintf(source, sizeof source, "%s/%s", from, names[i]);
        (void)snprintf(target, sizeof target, "%s/%s", to, names[i]);
        if (access(source, F_OK) != 0)
            continue;
        copy_contents(source, target);
        if (strcmp(names[i], "control") == 0)
            settle_control(to, target);
    }
}

static void remove_log(const char *dir)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];

        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(dir), 0); /* so there was nothing else to be copied */
}

static void stop_and_tell(const struct walk *walk, const char *why)
{
    for (size_t i = 0; i < walk->count; i++) {
        Dl_info where = {0};
        long at = ptrace(PTRACE_PEEKUSER, walk->tracees[i].id,
                         (void *)offsetof(struct user, regs.rip), NULL);

        if (!walk->tracees[i].is_stopped || !dladdr((void *)at, &where))
            continue;
        print_message("# thread %d stands in %s at 0x%lx\n", walk->tracees[i].id, where.dli_fname,
                      (unsigned long)at - (unsigned long)where.dli_fbase);
    }
    repeat_print();
    fail_msg("after %llu steps and %llu appends: %s", (unsigned long long)walk->steps,
             (unsigned long long)life_returned(walk->life), why);
}

/* Open the log there, and read it. */
static void recover(struct walk *walk, const char *dir)
{
    struct nori_wal_config config = small_config(walk, dir);
    struct nori_recovery_info info;
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    nori_wal *wal = NULL;
    char why[LIVES_WHY];

    info.size = sizeof info;
    walk->recoveries++;
    if (nori_wal_open(&config, &wal, &info, &error) != NORI_OK)
        stop_and_tell(walk, error.message);
    if (info.corruption_detected)
        stop_and_tell(walk, info.message);
    if (nori_wal_read_from(wal, OLDEST, &reader) != NORI_OK)
        stop_and_tell(walk, "what was recovered cannot be read");
    if (!found_read(&walk->found, reader, VALUE_MAX, why))
        stop_and_tell(walk, why);
    nori_reader_close(reader);
    close_log(wal);
    remove_log(dir);
}

/* Look at the child's `control`, which the log may have made anew. */
static void map_control(struct walk *walk)
{
    char path[256];
    struct stat now = {0};
    void *data;
    int file;

    (void)snprintf(path, sizeof path, "%s/control", walk->temporary->dir);
    if (stat(path, &now) < 0 || now.st_size < CONTROL_LEN ||
        (walk->control && now.st_ino == walk->control_inode))
        return;
    if (walk->control)
        (void)munmap((void *)(uintptr_t)walk->control, CONTROL_LEN);
    file = open(path, O_RDONLY | O_CLOEXEC);
    data = mmap(NULL, CONTROL_LEN, PROT_READ, MAP_SHARED, file, 0);
    assert_true(file >= 0 && data != MAP_FAILED);
    (void)close(file);
    walk->control = data;
    walk->control_inode = now.st_ino;
}

/* Is the mapping another than when it was looked at last? But for the numbers in it, which no
 * recovery reads. */
static bool has_changed(const struct walk *walk)
{
    return memcmp(walk->seen, walk->control, NUMBERS_AT) != 0 ||
           memcmp(walk->seen + NUMBERS_END, walk->control + NUMBERS_END,
                  CONTROL_LEN - NUMBERS_END) != 0;
}

static void check(struct walk *walk, bool was_call)
{
    static const struct found none;
    bool is_changed = was_call;
    char why[LIVES_WHY];

    if (was_call)
        map_control(walk);
    if (walk->control && has_changed(walk)) {
        memcpy(walk->seen, walk->control, CONTROL_LEN);
        is_changed = true;
    }
    if (is_changed) {
        copy_log(walk->temporary->dir, walk->temporary->other);
        recover(walk, walk->temporary->other);
    }
    if (!found_check(&walk->found, &none, walk->life, why))
        stop_and_tell(walk, why);
}

/* ---- steps ---- */

static struct tracee *tracee_of(struct walk *walk, pid_t id)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->tracees[i].id == id)
            return &walk->tracees[i];
    assert_true(walk->count < TRACEES_MAX);
    walk->tracees[walk->count] = (struct tracee){.id = id, .weight = 1};
    return &walk->tracees[walk->count++];
}

/* A thread has stopped: after its step, or because it has just begun. */
static void note_stop(struct walk *walk, pid_t id, int status)
{
    if (!WIFSTOPPED(status) || (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP)) {
        repeat_print();
        fail_msg("thread %d: unexpected status %x", (int)id, (unsigned)status);
    }
    tracee_of(walk, id)->is_stopped = true;
}

/* Is it asleep in the kernel? Then it does nothing to files until somebody wakes it, and nothing
 * after that but stop. */
static bool is_asleep(const struct walk *walk, pid_t id)
{
    char path[64], text[256];
    const char *state;
    ssize_t len;
    int file;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)walk->process, (int)id);
    file = open(path, O_RDONLY | O_CLOEXEC);
    len = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        (void)close(file);
    if (len <= 0)
        return false;
    text[len] = '\0';
    state = strrchr(text, ')');
    return state && state[1] == ' ' && state[2] == 'S';
}

/* The first two bytes of the instruction that comes next. The child was forked, so its code lies
 * where ours does. */
static unsigned next_code(const struct tracee *tracee)
{
    long at = ptrace(PTRACE_PEEKUSER, tracee->id, (void *)offsetof(struct user, regs.rip), NULL);
    const uint8_t *code = (const uint8_t *)at;

    return (unsigned)code[0] << 8 | code[1];
}

/* One instruction; a call that sleeps is left behind. */
static void step(struct walk *walk, struct tracee *tracee, bool is_call)
{
    pid_t id = tracee->id;
    int status = 0;
    pid_t got = 0;

    tracee->is_stopped = tracee->was_asleep = false;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, id, NULL, NULL), 0);
    walk->steps++;
    while ((got = waitpid(id, &status, __WALL | (is_call ? WNOHANG : 0))) == 0) {
        if (is_asleep(walk, id))
            return;
        (void)sched_yield();
    }
    assert_int_equal(got, id);
    note_stop(walk, id, status);
}

/* Those who woke meanwhile. May sleep until there is one. If it was interrupted, as by the freezer
 * of a container, its call begins again with its next step, wherever it seems to stand. */
static void collect(struct walk *walk, bool may_sleep)
{
    int status;
    pid_t id;

    while ((id = waitpid(-1, &status, __WALL | (may_sleep ? 0 : WNOHANG))) > 0) {
        note_stop(walk, id, status);
        tracee_of(walk, id)->was_asleep = true;
        may_sleep = false;
    }
}

static void weigh(struct walk *walk)
{
    static const unsigned weights[] = {0, 0, 1, 1, 4, 16};

    if (walk->phase_left > 0)
        return;
    walk->phase_left = 1 + torture_random(&walk->seed, PHASE_MAX);
    for (size_t i = 0; i < walk->count; i++)
        walk->tracees[i].weight =
            weights[torture_random(&walk->seed, sizeof weights / sizeof weights[0])];
}

/* Any of those that can go on, by weight; those without weight only if there is no other. */
static struct tracee *choose(struct walk *walk)
{
    for (unsigned least = 0; least < 2; least++) {
        uint64_t sum = 0;
        uint64_t random;

        for (size_t i = 0; i < walk->count; i++)
            if (walk->tracees[i].is_stopped)
                sum += walk->tracees[i].weight + least;
        if (sum == 0)
            continue;
        random = torture_random(&walk->seed, sum);
        for (size_t i = 0; i < walk->count; i++) {
            uint64_t weight = walk->tracees[i].weight + least;

            if (!walk->tracees[i].is_stopped)
                continue;
            if (random < weight)
                return &walk->tracees[i];
            random -= weight;
        }
    }
    return NULL;
}

/* Long enough for a lap of the others, let this thread stand where it is: what it stored before is
 * seen, what its next call does is not. */
static void hold(struct walk *walk, struct tracee *held)
{
    for (size_t i = 0; i < walk->count; i++)
        walk->tracees[i].weight = 1;
    held->weight = 0;
    walk->phase_left = PHASE_MAX;
}

/* Some steps of one thread. One that spins waits for another, so it is another's turn. One that is
 * about to call the kernel may be held. Sleep is over when this process takes notice: time is to
 * pass slowly while others are stepped, but who is woken by a call may go on at once. */
static void step_and_check(struct walk *walk)
{
    uint64_t left = 1 + torture_random(&walk->seed, BURST_MAX);
    struct tracee *tracee;
    unsigned code = 0;

    if (torture_random(&walk->seed, BURSTS_ASLEEP) == 0)
        collect(walk, false);
    weigh(walk);
    while (!(tracee = choose(walk)))
        collect(walk, true);
    for (; left > 0 && tracee->is_stopped && code != CODE_PAUSE; left--) {
        bool is_call;

        code = next_code(tracee);
        is_call = code == CODE_SYSCALL;
        if (is_call && torture_random(&walk->seed, CALLS_HELD) == 0) {
            hold(walk, tracee);
            return;
        }
        step(walk, tracee, is_call || tracee->was_asleep);
        check(walk, is_call);
        if (is_call && torture_random(&walk->seed, 2) == 0)
            collect(walk, false);
        walk->phase_left -= walk->phase_left > 0;
    }
}

/* ---- lives ---- */

/* False: tracing is not permitted here. */
static bool begin_life(struct walk *walk)
{
    int status = 0;

    life_clear(walk->life);
    memset(&walk->found, 0, sizeof walk->found);
    memset(walk->seen, 0, sizeof walk->seen);
    walk->count = 0;
    walk->phase_left = 0;
    walk->process = start_child(be_traced, walk);
    assert_int_equal(waitpid(walk->process, &status, 0), walk->process);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return false;
    assert_true(WIFSTOPPED(status));
    if (ptrace(PTRACE_SETOPTIONS, walk->process, NULL,
               (void *)(PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)) < 0) {
        (void)kill(walk->process, SIGKILL);
        (void)end_of_child(walk->process);
        return false;
    }
    assert_int_equal(ptrace(PTRACE_CONT, walk->process, NULL, NULL), 0);
    assert_int_equal(waitpid(walk->process, &status, 0), walk->process);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    note_stop(walk, walk->process, status);
    check(walk, true);
    return true;
}

static void end_life(struct walk *walk)
{
    static const struct found none;
    char why[LIVES_WHY];

    assert_int_equal(kill(walk->process, SIGKILL), 0);
    while (waitpid(-1, NULL, __WALL) > 0)
        continue;
    walk->count = 0;
    if (walk->control)
        (void)munmap((void *)(uintptr_t)walk->control, CONTROL_LEN);
    walk->control = NULL;
    recover(walk, walk->temporary->dir);
    if (!found_check(&walk->found, &none, walk->life, why))
        stop_and_tell(walk, why);
    walk->kills++;
}

/* Child and parent take turns, so two processors would only be waiting for each other. */
static void stay_on_one_processor(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)sched_getcpu(), &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* A life takes long, so time may end it, too. */
static bool has_time(double begun)
{
    return options.seconds <= 0 || repeat_now() - begun < options.seconds;
}

static void after_each_instruction_all_that_returned_is_there(void **state)
{
    uint64_t wanted = options.count > 0 ? options.count : repeat_share(APPENDS_SHARE);
    struct walk *walk = calloc(1, sizeof *walk);
    double begun = repeat_now();
    uint64_t appends = 0;

    assert_non_null(walk);
    stay_on_one_processor();
    walk->temporary = *state;
    walk->life = life_new();
    walk->seed = options.seed + options.from;
    repeat_with("tests/test_single_step --count %llu --seed %llu", (unsigned long long)wanted,
                (unsigned long long)walk->seed);
    while (appends < wanted && has_time(begun)) {
        uint64_t life_appends = wanted - appends < LIFE_APPENDS ? wanted - appends : LIFE_APPENDS;

        if (!begin_life(walk)) {
            print_message("# skipped: this process may not trace its child\n");
            torture_skip("this process may not trace its child");
            skip();
        }
        while (life_returned(walk->life) < life_appends && has_time(begun))
            step_and_check(walk);
        end_life(walk);
        appends += life_returned(walk->life);
        torture_progress(options.from + 1, appends);
    }
    torture_end(options.from + 1, appends);
    print_message("# %llu appends, %llu steps, %llu recoveries, %llu kills, 0 violations, seed "
                  "%llu, %.1f s\n",
                  (unsigned long long)appends, (unsigned long long)walk->steps,
                  (unsigned long long)walk->recoveries, (unsigned long long)walk->kills,
                  (unsigned long long)(options.seed + options.from), repeat_now() - begun);
    life_free(walk->life);
    free(walk);
}

#else

static struct torture_options options;

static void after_each_instruction_all_that_returned_is_there(void **state)
{
    (void)state;
    print_message("# skipped: it steps through threads on Linux on x86-64 only\n");
    torture_skip("it steps through threads on Linux on x86-64 only");
    skip();
}

#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_each_instruction_all_that_returned_is_there,
                                        temporary_setup, temporary_teardown),
    };

    torture_parse(argc, argv, &options);
    lives_in_memory();
    return cmocka_run_group_tests_name("single step", tests, NULL, NULL);
}
