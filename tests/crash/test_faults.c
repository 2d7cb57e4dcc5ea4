/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_faults.c: every call of small histories fails, one after the other (D8, I6).
 *
 * Each history is run again and again: the nth call of the world below fails, once or from then on,
 * with every errno there may be, partly or wholly, until n is beyond the last call. Whatever fails,
 * the calls of the library say so, and afterwards, opened again directly, after kill -9, and after
 * a power cut, the log keeps what was promised.
 *
 * A failure prints a line that repeats it. NORI_SHARE=PERCENT does less or more than the default.
 * With arguments it is a part of `make torture` (support/torture.h): first all calls of all these
 * histories, then of others by seed. With `pairs` or `memory` before them: two calls, or memory.
 */
#include "../support/jobs.h"
#include "../support/known.h"
#include "../support/numbers.h"
#include "../support/only.h"
#include "../support/repeat.h"
#include "../support/workload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CUTS_RANDOM  3
#define STEPS_MAX    15

#define FIRST_FAULTS 40 /* of a history, to each of which second ones are tried */

/* How calls fail. */
struct fault {
    uint32_t mask;
    uint32_t flags;
    int32_t os_errno;
    uint64_t nth;
    uint64_t nth_too;
};

struct scene {
    struct workload workload;
    char steps[STEPS_MAX + 1];
    struct fault fault;
    struct run run;
    size_t first;    /* step that may fail */
    bool is_reached; /* the fault happened */
    bool is_whole;   /* the second one, too, if there is one */
    uint64_t calls;  /* that could fail, counted until the log was closed */
    char why[ORACLE_WHY_LEN];
};

static uint64_t runs;
static uint64_t calls; /* of the latest run */
static uint64_t reopened;
static double seconds;
static bool is_worker; /* it is a process of jobs.c */

static bool complain(struct scene *scene, const char *what, const char *why)
{
    return oracle_complain(scene->why, "%.60s: %.130s", what, why);
}

/* Open a log where nothing fails any more: the oracle must hold, and what is reported survives a
 * power cut (D5). */
static bool reopen(struct scene *scene, nori_sim *sim, enum oracle_event event, const char *what,
                   struct oracle_found *ret_found)
{
    struct workload workload = scene->workload;
    struct nori_wal_config config;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct oracle_found found = {0}, again;
    char why[ORACLE_WHY_LEN] = "";
    nori_wal *wal = NULL;
    nori_sim *after;
    bool is_good;

    reopened++;
    workload.is_memory_tracked = false;
    config = workload_config(&workload, sim);
    if (nori_wal_open(&config, &wal, &info, &error) < 0)
        return complain(scene, what, error.message);
    is_good =
        workload_read(&workload, sim, &scene->run.oracle, NORI_VISIBLE_APPENDED, &found, why) &&
        oracle_expect(&scene->run.oracle, &found, event, why);
    if (is_good && info.valid_records != found.end - found.front)
        is_good = oracle_complain(why, "open reports %llu records, %zu are there",
                                  (unsigned long long)info.valid_records, found.end - found.front);
    if (is_good) {
        (void)nori_sim_power_cut(sim, 0, &after);
        is_good =
            workload_read(&workload, after, &scene->run.oracle, NORI_VISIBLE_APPENDED, &again, why);
        if (is_good && again.end - again.front != found.end - found.front)
            is_good =
                oracle_complain(why, "recovered [%zu, %zu), and after a power cut [%zu, %zu) (D5)",
                                found.front, found.end, again.front, again.end);
        nori_sim_free(after);
    }
    if (nori_wal_close(wal) < 0 && is_good)
        is_good = oracle_complain(why, "close fails");
    *ret_found = found;
    return is_good || complain(scene, what, why);
}

/* Of such a disk it is known what it shows: is that what is promised now? */
static bool is_known_good(const struct scene *scene, const struct expected *expected,
                          uint64_t digest, enum oracle_event event)
{
    struct oracle_found found;
    char why[ORACLE_WHY_LEN];

    return known_find(expected, digest, KNOWN_LOOKED, &found, NULL) &&
           oracle_expect(&scene->run.oracle, &found, event, why);
}

/* Open what a crash left. Frees it. */
static bool reopen_after(struct scene *scene, nori_sim *after, const struct expected *expected,
                         uint64_t digest, enum oracle_event event)
{
    const char *what = event == ORACLE_POWER_CUT ? "power cut and opened" : "killed and opened";
    struct oracle_found found;
    bool is_good = reopen(scene, after, event, what, &found);

    nori_sim_free(after);
    if (is_good)
        known_add(expected, digest, KNOWN_LOOKED, &found, NULL);
    return is_good;
}

/* The power goes here. seed 0: all that is unsynced is lost. */
static bool cut(struct scene *scene, const struct expected *expected, uint64_t seed)
{
    nori_sim *sim = scene->run.sim;
    uint64_t digest = 0;
    nori_sim *after;

    if (seed > 0)
        digest = nori_sim_power_cut_random_digest(sim, seed);
    else
        (void)nori_sim_power_cut_digest(sim, 0, &digest);
    if (is_known_good(scene, expected, digest, ORACLE_POWER_CUT))
        return true;
    if (seed > 0)
        nori_sim_power_cut_random(sim, seed, &after);
    else
        (void)nori_sim_power_cut(sim, 0, &after);
    return reopen_after(scene, after, expected, digest, ORACLE_POWER_CUT);
}

/* The process dies here, or the power goes. */
static bool crash(struct scene *scene)
{
    uint64_t digest = known_kill_digest(scene->run.sim);
    struct expected expected;
    nori_sim *after;
    bool is_good = true;

    expected_note(&expected, &scene->workload, &scene->run.oracle);
    if (!is_known_good(scene, &expected, digest, ORACLE_PROCESS_CRASH)) {
        nori_sim_crash_kill(scene->run.sim, &after);
        is_good = reopen_after(scene, after, &expected, digest, ORACLE_PROCESS_CRASH);
    }
    is_good = is_good && cut(scene, &expected, 0);
    for (uint64_t i = 1; is_good && i <= CUTS_RANDOM; i++)
        is_good = cut(scene, &expected, i + 10 * scene->fault.nth);
    return is_good;
}

/* A log that has failed still reads (D8). */
static bool read_on(struct scene *scene)
{
    struct oracle_found found;
    char why[ORACLE_WHY_LEN];

    if (!scene->run.wal || (scene->fault.flags & NORI_SIM_FAIL_STICKY) ||
        !nori_sim_did_fail(scene->run.sim) || nori_sim_calls(scene->run.sim) < scene->fault.nth_too)
        return true;
    if (!workload_read(&scene->workload, scene->run.sim, &scene->run.oracle, NORI_VISIBLE_APPENDED,
                       &found, why) ||
        !oracle_expect(&scene->run.oracle, &found, ORACLE_PROCESS_CRASH, why))
        return complain(scene, "reading on", why);
    return true;
}

static void set_faults(const struct scene *scene, bool is_on, struct nori_sim_options *options)
{
    *options = (struct nori_sim_options)NORI_SIM_OPTIONS_INIT;
    options->seed = scene->workload.seed;
    options->switch_percent = scene->workload.switch_percent;
    if (!is_on)
        return;
    options->fail_nth = scene->fault.nth;
    options->fail_nth_too = scene->fault.nth_too;
    options->fail_mask = scene->fault.mask;
    options->fail_errno = scene->fault.os_errno;
    options->flags = scene->fault.flags;
}

static bool is_crash(char step)
{
    return step == 'K' || step == 'X';
}

/* K: kill -9. X: power cut. Before that nothing fails. */
static bool take_step(struct scene *scene, char step)
{
    struct nori_sim_options options;

    if (!is_crash(step))
        return run_step(&scene->run, step);
    if (!run_crash(&scene->run, step == 'K' ? ORACLE_PROCESS_CRASH : ORACLE_POWER_CUT,
                   scene->workload.seed))
        return false;
    set_faults(scene, true, &options);
    nori_sim_set_options(scene->run.sim, &options);
    return true;
}

/* All that happens with one fault. */
static bool play(struct scene *scene)
{
    struct nori_sim_options options;
    struct oracle_found found;
    bool is_good = true;

    for (size_t i = scene->first; is_good && scene->steps[i]; i++) {
        bool was_reached = scene->is_reached;

        is_good = take_step(scene, scene->steps[i]) || complain(scene, "running", scene->run.why);
        scene->is_reached = nori_sim_did_fail(scene->run.sim);
        if (is_good && scene->is_reached)
            is_good = read_on(scene) && (was_reached || crash(scene));
    }
    if (is_good && scene->is_reached)
        is_good = crash(scene);
    if (is_good && scene->run.wal)
        is_good = run_close(&scene->run) || complain(scene, "closing", scene->run.why);
    scene->is_reached = nori_sim_did_fail(scene->run.sim);
    scene->calls = nori_sim_calls(scene->run.sim);
    scene->is_whole = scene->is_reached && scene->calls >= scene->fault.nth_too;

    set_faults(scene, false, &options);
    options.flags = scene->fault.flags & NORI_SIM_TRACE;
    nori_sim_set_options(scene->run.sim, &options);
    if (is_good && scene->is_reached)
        is_good = reopen(scene, scene->run.sim, ORACLE_PROCESS_CRASH, "opened again", &found);
    if (is_good && (!run_step(&scene->run, 'b') || !run_step(&scene->run, 's')))
        is_good = complain(scene, "going on", scene->run.why);
    if (is_good && (!scene->run.wal || scene->run.oracle.durable != scene->run.oracle.begun))
        is_good = complain(scene, "going on", "append or sync failed");
    return is_good && crash(scene);
}

static _Noreturn void give_up(const char *why)
{
    print_message("%s\n", why);
    repeat_print();
    if (is_worker)
        _exit(1);
    fail();
    abort(); /* fail() does not come back */
}

static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t seed = a * 0x9e3779b97f4a7c15u + b;

    return torture_random(&seed, UINT64_MAX);
}

/* A history and how it is run. */
static uint64_t digest_of_history(const struct workload *workload, const char *steps)
{
    uint64_t digest = mixed(workload->policy, mixed(workload->verify, workload->format));

    digest = mixed(digest, mixed(workload->seed, workload->switch_percent));
    digest = mixed(digest, workload->preallocate);
    for (; *steps; steps++)
        digest = mixed(digest, (uint8_t)*steps);
    return digest;
}

/* Where the runs of a history begin: on a fresh machine, or behind its first crash. What comes
 * before is the same in all of them. */
static struct start {
    uint64_t history; /* its digest */
    size_t first;     /* step that may fail */
    nori_sim *sim;
    struct oracle oracle;
} start;

static void start_done(void)
{
    if (!start.sim)
        return;
    nori_sim_free(start.sim);
    oracle_done(&start.oracle);
    memset(&start, 0, sizeof start);
}

static void start_of(const struct workload *workload, const char *steps)
{
    struct scene scene = {.workload = *workload};
    struct nori_sim_options options;
    const char *first_crash = strpbrk(steps, "KX");
    size_t count = first_crash ? (size_t)(first_crash - steps) + 1 : 0;

    if (start.sim && start.history == digest_of_history(workload, steps))
        return;
    start_done();
    start.history = digest_of_history(workload, steps);
    set_faults(&scene, false, &options);
    run_init(&scene.run, workload, nori_sim_new(&options));
    scene.run.workload.is_memory_tracked = true;
    while (start.first < count)
        if (!take_step(&scene, steps[start.first++]))
            give_up(scene.run.why);
    start.sim = scene.run.sim;
    oracle_init(&start.oracle);
    oracle_copy(&start.oracle, &scene.run.oracle);
    run_done(&scene.run);
}

/* Returns whether the fault was reached, both of them if there are two. */
static bool try_fault(const struct workload *workload, const char *steps, const struct fault *fault)
{
    struct scene scene = {.workload = *workload, .fault = *fault};
    struct nori_sim_options options;
    nori_sim *sim;
    uint64_t blocks;
    bool is_good;

    repeat_with("NORI_FAULT_REPEAT=%u.%u.%u.%u.%u.%llu.%s:%x.%x.%d.%llu.%llu ./test_faults",
                workload->format, workload->policy, workload->preallocate, workload->verify,
                workload->switch_percent, (unsigned long long)workload->seed, steps, fault->mask,
                fault->flags, fault->os_errno, (unsigned long long)fault->nth,
                (unsigned long long)fault->nth_too);
    start_of(workload, steps);
    (void)snprintf(scene.steps, sizeof scene.steps, "%s", steps);
    scene.first = start.first;
    nori_sim_crash_kill(start.sim, &sim);
    set_faults(&scene, true, &options);
    nori_sim_set_options(sim, &options);
    run_init(&scene.run, workload, sim);
    oracle_copy(&scene.run.oracle, &start.oracle);
    scene.run.workload.is_memory_tracked = true;
    runs++;
    is_good = play(&scene);
    calls = scene.calls;
    run_done(&scene.run);
    blocks = nori_sim_memory_blocks(scene.run.sim);
    nori_sim_free(scene.run.sim);
    if (!is_good || blocks > 0)
        give_up(is_good ? "memory was not given back" : scene.why);
    return scene.is_whole;
}

/* How many calls of this kind there are if none fails. */
static uint64_t count_calls(const struct workload *workload, const char *steps, struct fault fault)
{
    fault.nth = UINT64_MAX;
    (void)try_fault(workload, steps, &fault);
    return calls;
}

#define NOT_MEMORY (NORI_SIM_ALL_CALLS & ~NORI_SIM_MEMORY)
#define SYNCS      (NORI_SIM_SYNC | NORI_SIM_FOLDER_SYNC)
#define FOR_SPACE                                                                           \
    (NORI_SIM_OPEN | NORI_SIM_WRITE | NORI_SIM_SYNC | NORI_SIM_ALLOCATE | NORI_SIM_RENAME | \
     NORI_SIM_FOLDER_SYNC)

static const struct fault faults[] = {
    {.mask = NOT_MEMORY, .os_errno = EIO},
    {.mask = NOT_MEMORY, .os_errno = EIO, .flags = NORI_SIM_FAIL_STICKY},
    {.mask = FOR_SPACE, .os_errno = ENOSPC},
    {.mask = FOR_SPACE, .os_errno = ENOSPC, .flags = NORI_SIM_FAIL_STICKY},
    {.mask = NORI_SIM_WRITE, .os_errno = EIO, .flags = NORI_SIM_FAIL_PARTLY},
    {.mask = NORI_SIM_WRITE, .os_errno = ENOSPC, .flags = NORI_SIM_FAIL_PARTLY},
    {.mask = SYNCS, .os_errno = EIO, .flags = NORI_SIM_FAIL_PHANTOM},
    {.mask = SYNCS, .os_errno = EIO, .flags = NORI_SIM_FAIL_PHANTOM | NORI_SIM_FAIL_STICKY},
    {.mask = SYNCS, .os_errno = ENOSPC, .flags = NORI_SIM_FAIL_PHANTOM},
};

/* What else a kernel may say: of these one call in some is tried in `make check`. */
#define WHATEVER(errno_)                                                        \
    {.mask = NOT_MEMORY, .os_errno = (errno_)},                                 \
    {                                                                           \
        .mask = NOT_MEMORY, .os_errno = (errno_), .flags = NORI_SIM_FAIL_STICKY \
    }
static const struct fault other_faults[] = {
    WHATEVER(EDQUOT),
    WHATEVER(EINTR),
    WHATEVER(EMFILE),
    WHATEVER(EROFS),
    WHATEVER(EFBIG),
    WHATEVER(ENOSPC),
    {.mask = NORI_SIM_READ, .os_errno = EIO, .flags = NORI_SIM_FAIL_PARTLY},
    {.mask = NORI_SIM_READ, .os_errno = EIO, .flags = NORI_SIM_FAIL_PARTLY | NORI_SIM_FAIL_STICKY},
    {.mask = NORI_SIM_WRITE, .os_errno = EDQUOT, .flags = NORI_SIM_FAIL_PARTLY},
    {.mask = NORI_SIM_WRITE, .os_errno = EIO, .flags = NORI_SIM_FAIL_PARTLY | NORI_SIM_FAIL_STICKY},
    {.mask = NORI_SIM_WRITE,
     .os_errno = ENOSPC,
     .flags = NORI_SIM_FAIL_PARTLY | NORI_SIM_FAIL_STICKY},
};

static const struct fault memory_faults[] = {
    {.mask = NORI_SIM_MEMORY, .os_errno = ENOMEM},
    {.mask = NORI_SIM_MEMORY, .os_errno = ENOMEM, .flags = NORI_SIM_FAIL_STICKY},
};

static const char *const histories[] = {
    "aabsmzDac", "bscabDaz", "aacmsdas", "lamDb", "aDbcDac", "wawbDw", "fmmaazDa",
};
static const char *const crashed_histories[] = {
    "abmXaDa", "bmKbsDc", "lbXlsa", "abcaDKac", "abcmXbDc", "fmbXmDa",
};

static uint64_t stride_of_all = 1;

/* Fail the nth call, for every n there is; every `stride`th where time is short. */
static void fail_each(const char *steps, const struct workload *about, const struct fault *all,
                      size_t count)
{
    uint64_t share = repeat_share(100);
    uint64_t stride = stride_of_all * (share < 100 ? 100 / share : 1);

    for (size_t i = 0; i < count; i++) {
        struct workload workload = *about;
        struct fault fault = all[i];

        workload.seed += i;
        fault.nth = 1 + (i + workload.policy) % stride;
        while (try_fault(&workload, steps, &fault))
            fault.nth += stride;
    }
}

static void fail_all(const char *const *steps, size_t steps_count, const struct fault *all,
                     size_t count)
{
    double begun = repeat_now();

    for (size_t i = 0; i < steps_count; i++) {
        for (uint32_t policy = 0; policy < 3; policy++) {
            struct workload workload = {
                .policy = policy, .preallocate = NORI_PREALLOCATE_OFF, .seed = 1 + 10 * i};

            workload.switch_percent = (i + policy) % 2 ? 20 : 0;
            workload.verify = (i + policy) % 3 == 0 ? NORI_VERIFY_TAIL : NORI_VERIFY_FULL;
            fail_each(steps[i], &workload, all, count);
        }
    }
    seconds += repeat_now() - begun;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void whatever_call_fails_the_log_keeps_its_word(void **state)
{
    (void)state;
    fail_all(histories, COUNT(histories), faults, COUNT(faults));
}

static void whatever_call_fails_after_a_crash_the_log_keeps_its_word(void **state)
{
    (void)state;
    fail_all(crashed_histories, COUNT(crashed_histories), faults, COUNT(faults));
}

static void whatever_the_kernel_says_the_log_keeps_its_word(void **state)
{
    (void)state;
    stride_of_all = 19;
    fail_all(histories, COUNT(histories), other_faults, COUNT(other_faults));
    fail_all(crashed_histories, COUNT(crashed_histories), other_faults, COUNT(other_faults));
    stride_of_all = 1;
}

static void whatever_memory_is_missing_the_log_keeps_its_word(void **state)
{
    (void)state;
    fail_all(histories, COUNT(histories), memory_faults, COUNT(memory_faults));
    fail_all(crashed_histories, COUNT(crashed_histories), memory_faults, COUNT(memory_faults));
}

#define KINDS      (COUNT(faults) * 3 * (COUNT(histories) + COUNT(crashed_histories)))
#define PAIRS_EACH 3

/* A history, a policy and a kind of fault: KINDS in all, each once, in a mixed order. */
static const char *number_to_pair(uint64_t number, struct workload *workload, struct fault *fault)
{
    uint64_t rest = number * 101 % KINDS; /* neighbours differ in everything */

    *fault = faults[rest % COUNT(faults)];
    fault->flags &= ~NORI_SIM_FAIL_STICKY;
    rest /= COUNT(faults);
    *workload = (struct workload){.policy = (uint32_t)(rest % 3),
                                  .preallocate = NORI_PREALLOCATE_OFF,
                                  .seed = number,
                                  .switch_percent = number % 2 ? 30 : 0};
    rest /= 3;
    return rest < COUNT(histories) ? histories[rest] : crashed_histories[rest - COUNT(histories)];
}

/* Two calls fail of about `count`, the second soon after the first. */
static bool try_pair(const struct workload *workload, const char *steps, struct fault fault,
                     uint64_t count, uint64_t *seed)
{
    fault.nth = 1 + torture_random(seed, count);
    fault.nth_too = fault.nth + 1 + torture_random(seed, 17);
    if (try_fault(workload, steps, &fault))
        return true;
    if (calls <= fault.nth) /* the first was the last one of all */
        return false;
    fault.nth_too = fault.nth + 1 + torture_random(seed, calls - fault.nth);
    return try_fault(workload, steps, &fault);
}

/* Two faults, the second one while the log deals with the first. */
static void whatever_two_calls_fail_the_log_keeps_its_word(void **state)
{
    uint64_t count = repeat_share(KINDS);
    uint64_t seed = 1;
    uint64_t reached = 0;
    double begun = repeat_now();

    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        struct workload workload;
        struct fault fault;
        const char *steps = number_to_pair(i, &workload, &fault);
        uint64_t call_count = count_calls(&workload, steps, fault);

        for (int j = 0; call_count > 0 && j < PAIRS_EACH; j++)
            reached += try_pair(&workload, steps, fault, call_count, &seed);
    }
    seconds += repeat_now() - begun;
    assert_true(reached >= count); /* of some kinds there is only one call */
}

/* What a log takes beforehand: space, and zeros, which are writes of the background. */
static void whatever_call_fails_a_log_that_takes_space_keeps_its_word(void **state)
{
    static const char *const some[] = {"aabmzDac", "fmbXmDa"};
    static const uint32_t ways[] = {NORI_PREALLOCATE_AUTO, NORI_PREALLOCATE_ZERO};
    double begun = repeat_now();

    (void)state;
    stride_of_all = 7;
    for (size_t i = 0; i < COUNT(some) * COUNT(ways); i++) {
        struct workload workload = {.policy = (uint32_t)(i % 3),
                                    .preallocate = ways[i / COUNT(some)],
                                    .seed = 1 + i,
                                    .switch_percent = i % 2 ? 20 : 0};

        fail_each(some[i % COUNT(some)], &workload, faults, COUNT(faults));
    }
    stride_of_all = 1;
    seconds += repeat_now() - begun;
}

/* What fails while a segment without a header begins: the sync of the one before, the cut of its
 * tail, the name, the folder. */
static void whatever_call_fails_a_log_of_format_1_keeps_its_word(void **state)
{
    static const char *const some[] = {"abmcDac", "fmbXmDa", "aLa"};
    double begun = repeat_now();

    (void)state;
    for (size_t i = 0; i < COUNT(some); i++) {
        struct workload workload = {.policy = (uint32_t)i,
                                    .preallocate = NORI_PREALLOCATE_OFF,
                                    .format = 1,
                                    .seed = 1 + i,
                                    .switch_percent = i % 2 ? 20 : 0};

        fail_each(some[i], &workload, faults, COUNT(faults));
        fail_each(some[i], &workload, memory_faults, COUNT(memory_faults));
    }
    seconds += repeat_now() - begun;
}

/*
 * A write that fails for want of space may have left whole records of a batch, which the next
 * records overwrite one by one. If the power goes then, old and new sectors stand side by side:
 * together they must never look like a batch. All records here begin and end with a sector.
 */
static void what_a_failed_write_left_is_never_part_of_a_record(void **state)
{
    uint64_t count = repeat_share(100);

    (void)state;
    for (uint64_t seed = 1; seed <= 2 * count; seed += 2) { /* the batch is larger than a ring */
        struct scene scene = {.workload = {.policy = NORI_FSYNC_OS,
                                           .preallocate = NORI_PREALLOCATE_OFF,
                                           .seed = seed},
                              .fault = {NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, ENOSPC, 1, 0}};
        struct nori_sim_options options;
        struct oracle_found found;
        nori_sim *still;
        bool is_good;

        repeat_with("NORI_SHARE=100 ./test_faults (seed %llu)", (unsigned long long)seed);
        set_faults(&scene, false, &options);
        run_init(&scene.run, &scene.workload, nori_sim_new(&options));
        is_good = run_step(&scene.run, 'p') && run_step(&scene.run, 's');
        set_faults(&scene, true, &options);
        nori_sim_set_options(scene.run.sim, &options);
        is_good = is_good && run_step(&scene.run, 'Q') && scene.run.nospace_count == 1;
        set_faults(&scene, false, &options);
        nori_sim_set_options(scene.run.sim, &options);
        is_good = is_good && run_step(&scene.run, 'q') && run_step(&scene.run, 's') &&
                  run_step(&scene.run, 'q') && run_step(&scene.run, 'q') &&
                  nori_wal_flush(scene.run.wal) == NORI_OK; /* from the ring to where that is */
        (void)complain(&scene, "running", scene.run.why);
        numbers_crash_kill(scene.run.sim, &still);
        for (uint64_t outcome = 0, outcomes = nori_sim_outcome_count(still);
             is_good && outcome < outcomes; outcome += outcomes / 256 | 1) {
            nori_sim *after;

            (void)nori_sim_power_cut(still, outcome, &after);
            is_good = reopen(&scene, after, ORACLE_POWER_CUT, "power cut and opened", &found);
            nori_sim_free(after);
        }
        nori_sim_free(still);
        run_done(&scene.run);
        nori_sim_free(scene.run.sim);
        if (!is_good) {
            print_message("%s\n", scene.why);
            repeat_print();
            fail();
        }
    }
}

/* Found by pairs of faults: close said NORI_E_READONLY, which promises that nothing was tried. */
static void a_file_system_that_turns_read_only_fails_like_any_other(void **state)
{
    struct scene scene = {.workload = {.policy = NORI_FSYNC_OS, .seed = 1},
                          .fault = {NORI_SIM_WRITE, NORI_SIM_FAIL_STICKY, EROFS, 1, 0}};
    struct nori_error failure = NORI_ERROR_INIT;
    struct nori_sim_options options;

    (void)state;
    set_faults(&scene, false, &options);
    run_init(&scene.run, &scene.workload, nori_sim_new(&options));
    assert_true(run_step(&scene.run, 'a') && run_step(&scene.run, 's'));
    set_faults(&scene, true, &options);
    nori_sim_set_options(scene.run.sim, &options);
    assert_true(run_step(&scene.run, 'a'));
    assert_int_equal(nori_wal_sync(scene.run.wal), NORI_E_IO);
    assert_int_equal(nori_wal_failure(scene.run.wal, &failure), NORI_OK);
    assert_int_equal(failure.code, NORI_E_IO);
    assert_int_equal(failure.os_errno, EROFS);
    assert_int_equal(nori_wal_close(scene.run.wal), NORI_E_FAILED);
    scene.run.wal = NULL;
    run_done(&scene.run);
    nori_sim_free(scene.run.sim);
}

/* Found by pairs of faults: a writer that was not allowed to look at `control` made it anew, and
 * what only its ring had was gone (D2). */
static void a_ring_that_may_not_be_read_is_not_forgotten(void **state)
{
    const struct workload workload = {
        .policy = NORI_FSYNC_BATCH, .preallocate = NORI_PREALLOCATE_OFF, .seed = 1};
    struct fault fault = {NORI_SIM_OPEN | NORI_SIM_STAT | NORI_SIM_READ, 0, EACCES, 0, 0};
    uint64_t reached = 0;

    (void)state;
    for (fault.nth = 1; fault.nth < 30; fault.nth++)
        for (fault.nth_too = fault.nth + 1; fault.nth_too < fault.nth + 6; fault.nth_too++)
            reached += try_fault(&workload, "pDaaKq", &fault);
    assert_true(reached >= 8);
}

/* Found by singles: the header of a new segment was refused, and stood in `spare` all the same. It
 * stated where the old one ends, while appends went on there: readers called the log corrupt, and a
 * power cut took what had been durable (D1). */
static void a_refused_header_ends_the_segment_all_the_same(void **state)
{
    struct workload workload = {.policy = NORI_FSYNC_OS, .preallocate = NORI_PREALLOCATE_OFF};
    struct fault fault = {NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, ENOSPC, 0, 0};

    (void)state;
    for (workload.seed = 1; workload.seed <= 200; workload.seed++)
        for (fault.nth = 3; fault.nth < 6; fault.nth++)
            assert_true(try_fault(&workload, "aDas", &fault));
}

/* Found by singles: what a refused append had left was overwritten, but nothing was synced, so that
 * a power cut brought it back (D9). In format 1 it is a whole record whenever a batch is cut. */
static void what_was_refused_does_not_come_back_with_a_power_cut(void **state)
{
    struct workload workload = {
        .policy = NORI_FSYNC_OS, .preallocate = NORI_PREALLOCATE_OFF, .format = 1};
    struct fault fault = {NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, ENOSPC, 0, 0};

    (void)state;
    for (workload.seed = 1; workload.seed <= 20; workload.seed++)
        for (fault.nth = 2; fault.nth < 4; fault.nth++)
            assert_true(try_fault(&workload, "aQ", &fault));
}

/* Found by pairs: the sync failed of a cut that took garbage away. The next life saw a file that
 * ended well, and began another behind it; a power cut brought the garbage back, which nothing but
 * the newest file may have: the log could not be opened any more (D3). */
static void a_cut_that_was_never_synced_is_made_again(void **state)
{
    struct workload workload = {
        .policy = NORI_FSYNC_BATCH, .preallocate = NORI_PREALLOCATE_OFF, .format = 1};
    struct fault fault = {NORI_SIM_WRITE | NORI_SIM_SYNC, NORI_SIM_FAIL_PARTLY, ENOSPC, 0, 0};
    uint64_t reached = 0;

    (void)state;
    for (workload.seed = 1; workload.seed <= 10; workload.seed++)
        for (fault.nth = 2; fault.nth < 6; fault.nth++)
            for (fault.nth_too = fault.nth + 1; fault.nth_too < fault.nth + 8; fault.nth_too++)
                reached += try_fault(&workload, "bb", &fault);
    assert_true(reached >= 100);
}

/* Found by pairs: what a failed append had left could not be taken back, only in memory. The next
 * open saw it as a torn tail and did not sync it, having nothing else to make durable; after a
 * power cut the record was there that it had told was not (D5). */
static void a_torn_tail_stays_as_open_has_seen_it(void **state)
{
    struct workload workload = {
        .policy = NORI_FSYNC_OS, .preallocate = NORI_PREALLOCATE_OFF, .format = 1};
    struct fault fault = {NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, ENOSPC, 3, 4};

    (void)state;
    for (workload.seed = 2; workload.seed <= 100; workload.seed += 2)
        assert_true(try_fault(&workload, "bcs", &fault));
}

/* Append records to a segment that owns less than it may, until it has got more. Returns whether
 * the fault was reached. */
static bool extend_with(const struct fault *fault, struct nori_error *ret_failure)
{
    static const uint8_t bytes[400000];
    struct nori_record record = {.key = "k", .key_len = 1, .value = bytes};
    struct scene scene = {
        .workload = {.policy = NORI_FSYNC_OS, .preallocate = NORI_PREALLOCATE_ZERO},
        .fault = *fault};
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = workload_config(&scene.workload, sim);
    struct nori_sim_options options;
    nori_wal *wal = NULL;
    bool is_reached;

    config.max_segment_size = (uint64_t)4 << 20;
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    record.value_len = sizeof bytes;
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    nori_sim_sleep(sim, 1000000000); /* `spare` is ready, too */
    set_faults(&scene, true, &options);
    nori_sim_set_options(sim, &options);
    record.value_len = 50000;
    for (int i = 0; i < 4; i++) {
        (void)nori_wal_append(wal, &record, NULL);
        nori_sim_sleep(sim, 100000000);
    }
    is_reached = nori_sim_did_fail(sim);
    assert_int_equal(nori_wal_failure(wal, ret_failure), is_reached ? NORI_OK : NORI_END);
    (void)nori_wal_close(wal);
    nori_sim_free(sim);
    return is_reached;
}

/* D8: what a write of zeros behind the records says may be about the records: the kernel tells of a
 * lost page once. A log that goes on then calls durable what is gone. */
static void zeros_that_cannot_be_written_fail_the_log(void **state)
{
    struct fault fault = {NORI_SIM_WRITE, 0, EIO, 1, 0};
    struct nori_error failure = NORI_ERROR_INIT;
    uint64_t zeros = 0;

    (void)state;
    for (; extend_with(&fault, &failure); fault.nth++)
        zeros += strstr(failure.message, "take space") != NULL;
    assert_int_equal(zeros, 16); /* 1 MiB in pieces of 64 KiB */
}

/* FORMAT.POLICY.PREALLOCATE.VERIFY.SWITCH.SEED.STEPS:MASK.FLAGS.ERRNO.NTH.NTH_TOO */
static void one_that_failed(void **state)
{
    struct workload workload = {0};
    struct fault fault = {0};
    unsigned long long seed, nth, nth_too;
    char steps[STEPS_MAX + 1];

    (void)state;
    if (sscanf(getenv("NORI_FAULT_REPEAT"), "%u.%u.%u.%u.%u.%llu.%15[a-zA-Z]:%x.%x.%d.%llu.%llu",
               &workload.format, &workload.policy, &workload.preallocate, &workload.verify,
               &workload.switch_percent, &seed, steps, &fault.mask, &fault.flags, &fault.os_errno,
               &nth, &nth_too) != 12)
        fail_msg("NORI_FAULT_REPEAT is not understood");
    workload.seed = seed;
    fault.nth = nth;
    fault.nth_too = nth_too;
    fault.flags |= NORI_SIM_TRACE;
    (void)try_fault(&workload, steps, &fault);
}

/* ---- hours of it ---- */

static struct torture_options options = {0, 1, 0, 0};
static enum {
    SINGLES,
    PAIRS,
    MEMORY
} torture_kind;

/* A history and how it is run: first each of those above under each policy, then others, drawn. */
static void number_to_history(uint64_t number, struct workload *workload, char steps[STEPS_MAX + 1])
{
    static const char letters[] = "aabbmlpqQsswzdDcKX";
    uint64_t fixed = 3 * (COUNT(histories) + COUNT(crashed_histories));
    uint64_t seed = options.seed + number;
    size_t len;

    *workload = (struct workload){.policy = (uint32_t)(number % 3),
                                  .preallocate = NORI_PREALLOCATE_OFF,
                                  .verify = (uint32_t)(number / 3 % 2),
                                  .seed = 1,
                                  .switch_percent = number / 6 % 2 ? 20 : 0};
    if (number < fixed) {
        const char *chosen = number / 3 < COUNT(histories)
                                 ? histories[number / 3]
                                 : crashed_histories[number / 3 - COUNT(histories)];

        (void)snprintf(steps, STEPS_MAX + 1, "%s", chosen);
        return;
    }
    len = 3 + torture_random(&seed, 7);
    memset(steps, 0, STEPS_MAX + 1);
    for (size_t i = 0; i < len; i++)
        steps[i] = letters[torture_random(&seed, sizeof letters - 1)];
    if (strpbrk(steps, "KX") && !strpbrk(steps + 1, "KX"))
        steps[0] = 'a';
    workload->seed = 1 + torture_random(&seed, 1000);
    workload->format = torture_random(&seed, 8) == 0;
}

/* Count what was tried; false: the fault was not reached. */
static bool try_and_count(struct job *job, const struct workload *workload, const char *steps,
                          const struct fault *fault)
{
    uint64_t row = mixed(fault->mask, mixed(fault->flags, (uint64_t)fault->os_errno));
    bool is_reached = try_fault(workload, steps, fault);

    atomic_fetch_add(&job->looked, 1);
    if (is_reached)
        sketch_add(&job->sketch, mixed(mixed(digest_of_history(workload, steps), row),
                                       mixed(fault->nth, fault->nth_too)));
    return is_reached;
}

static struct fault number_to_fault(uint64_t number)
{
    if (torture_kind == MEMORY)
        return memory_faults[number % COUNT(memory_faults)];
    number %= COUNT(faults) + COUNT(other_faults);
    return number < COUNT(faults) ? faults[number] : other_faults[number - COUNT(faults)];
}

/* One history with one kind of fault at each call. */
static bool try_single(struct job *job, uint64_t number)
{
    uint64_t kinds =
        torture_kind == MEMORY ? COUNT(memory_faults) : COUNT(faults) + COUNT(other_faults);
    struct fault fault = number_to_fault(number);
    struct workload workload;
    char steps[STEPS_MAX + 1];

    is_worker = true;
    number_to_history(number / kinds, &workload, steps);
    do
        fault.nth++;
    while (try_and_count(job, &workload, steps, &fault));
    return true;
}

/* One history with two faults: some call fails, and then each of those that follow, the far ones
 * now and then. */
static bool try_pairs(struct job *job, uint64_t number)
{
    uint64_t seed = mixed(options.seed, number);
    struct workload workload;
    char steps[STEPS_MAX + 1];

    is_worker = true;
    number_to_history(number, &workload, steps);
    for (int i = 0; i < FIRST_FAULTS; i++) {
        struct fault fault = number_to_fault(torture_random(&seed, UINT32_MAX));
        uint64_t count = count_calls(&workload, steps, fault);

        if (count == 0)
            continue;
        fault.flags &= ~NORI_SIM_FAIL_STICKY;
        fault.nth = 1 + torture_random(&seed, count);
        fault.nth_too = fault.nth + 1;
        while (fault.nth_too < fault.nth + 50 && try_and_count(job, &workload, steps, &fault))
            fault.nth_too += fault.nth_too < fault.nth + 16 ? 1 : 1 + torture_random(&seed, 8);
    }
    return true;
}

static void torture(void **state)
{
    static const char *const names[] = {"faults", "pairs", "memory"};

    (void)state;
    assert_true(
        jobs_run(&options, names[torture_kind], torture_kind == PAIRS ? try_pairs : try_single));
}

/* `pairs` or `memory`, or options only. */
static bool is_torture(const char *word)
{
    torture_kind = strcmp(word, "pairs") == 0    ? PAIRS
                   : strcmp(word, "memory") == 0 ? MEMORY
                                                 : SINGLES;
    return torture_kind != SINGLES || strncmp(word, "--", 2) == 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tortures[] = {cmocka_unit_test(torture)};
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_the_log_keeps_its_word),
        cmocka_unit_test(whatever_call_fails_after_a_crash_the_log_keeps_its_word),
        cmocka_unit_test(whatever_two_calls_fail_the_log_keeps_its_word),
        cmocka_unit_test(whatever_the_kernel_says_the_log_keeps_its_word),
        cmocka_unit_test(whatever_memory_is_missing_the_log_keeps_its_word),
        cmocka_unit_test(whatever_call_fails_a_log_that_takes_space_keeps_its_word),
        cmocka_unit_test(whatever_call_fails_a_log_of_format_1_keeps_its_word),
        cmocka_unit_test(what_a_failed_write_left_is_never_part_of_a_record),
        cmocka_unit_test(a_file_system_that_turns_read_only_fails_like_any_other),
        cmocka_unit_test(a_ring_that_may_not_be_read_is_not_forgotten),
        cmocka_unit_test(a_refused_header_ends_the_segment_all_the_same),
        cmocka_unit_test(what_was_refused_does_not_come_back_with_a_power_cut),
        cmocka_unit_test(a_cut_that_was_never_synced_is_made_again),
        cmocka_unit_test(a_torn_tail_stays_as_open_has_seen_it),
        cmocka_unit_test(zeros_that_cannot_be_written_fail_the_log),
    };
    int failed;

    if (getenv("NORI_FAULT_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    if (argc > 1 && is_torture(argv[1])) {
        torture_parse(argc, argv, &options);
        return cmocka_run_group_tests(tortures, NULL, NULL);
    }
    ONLY_MATCHING(argc, argv, tests, " | [pairs | memory] --count N ...");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    start_done();
    if (seconds > 0)
        print_message("faults: %llu runs in %.1f s, the log opened again %llu times (%.0f/s)\n",
                      (unsigned long long)runs, seconds, (unsigned long long)reopened,
                      (double)reopened / seconds);
    return failed;
}
