/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_faults.c: every call of small histories fails, one after the other (D8, I6).
 *
 * Each history is run again and again: the nth call of the world below fails, once or from then on,
 * with EIO or ENOSPC, partly or wholly, until n is beyond the last call. Whatever fails, the calls
 * of the library say so, and afterwards, opened again directly, after kill -9, and after a power
 * cut, the log keeps what was promised.
 *
 * A failure prints a line that repeats it. NORI_SHARE=PERCENT does less or more than the default.
 */
#include "../support/repeat.h"
#include "../support/workload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CUTS_RANDOM 3

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
    char steps[16];
    struct fault fault;
    struct run run;
    bool is_reached; /* the fault happened */
    char why[ORACLE_WHY_LEN];
};

static uint64_t runs;
static uint64_t reopened;
static double seconds;

static bool complain(struct scene *scene, const char *what, const char *why)
{
    return oracle_complain(scene->why, "%.60s: %.130s", what, why);
}

/* Open a log where nothing fails any more: the oracle must hold, and what is reported survives a
 * power cut (D5). */
static bool reopen(struct scene *scene, nori_sim *sim, enum oracle_event event, const char *what)
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
    return is_good || complain(scene, what, why);
}

/* The process dies here, or the power goes. */
static bool crash(struct scene *scene)
{
    nori_sim *after;
    bool is_good;

    nori_sim_crash_kill(scene->run.sim, &after);
    is_good = reopen(scene, after, ORACLE_PROCESS_CRASH, "killed and opened");
    nori_sim_free(after);
    for (uint64_t i = 0; is_good && i <= CUTS_RANDOM; i++) {
        if (i == 0)
            (void)nori_sim_power_cut(scene->run.sim, 0, &after);
        else
            nori_sim_power_cut_random(scene->run.sim, i + 10 * scene->fault.nth, &after);
        is_good = reopen(scene, after, ORACLE_POWER_CUT, "power cut and opened");
        nori_sim_free(after);
    }
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
    bool is_good = true;

    for (size_t i = 0; is_good && scene->steps[i]; i++) {
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

    set_faults(scene, false, &options);
    options.flags = scene->fault.flags & NORI_SIM_TRACE;
    nori_sim_set_options(scene->run.sim, &options);
    if (is_good && scene->is_reached)
        is_good = reopen(scene, scene->run.sim, ORACLE_PROCESS_CRASH, "opened again");
    if (is_good && (!run_step(&scene->run, 'b') || !run_step(&scene->run, 's')))
        is_good = complain(scene, "going on", scene->run.why);
    if (is_good && (!scene->run.wal || scene->run.oracle.durable != scene->run.oracle.begun))
        is_good = complain(scene, "going on", "append or sync failed");
    return is_good && crash(scene);
}

/* Returns whether the fault was reached. */
static bool try_fault(const struct workload *workload, const char *steps, const struct fault *fault)
{
    struct scene scene = {.workload = *workload, .fault = *fault};
    struct nori_sim_options options;
    uint64_t blocks;
    bool is_good;

    repeat_with("NORI_FAULT_REPEAT=%u.%u.%u.%u.%u.%llu.%s:%x.%x.%d.%llu.%llu ./test_faults",
                workload->format, workload->policy, workload->preallocate, workload->verify,
                workload->switch_percent, (unsigned long long)workload->seed, steps, fault->mask,
                fault->flags, fault->os_errno, (unsigned long long)fault->nth,
                (unsigned long long)fault->nth_too);
    (void)snprintf(scene.steps, sizeof scene.steps, "%s", steps);
    set_faults(&scene, !strpbrk(steps, "KX"), &options);
    run_init(&scene.run, workload, nori_sim_new(&options));
    scene.run.workload.is_memory_tracked = true;
    runs++;
    is_good = play(&scene);
    run_done(&scene.run);
    blocks = nori_sim_memory_blocks(scene.run.sim);
    nori_sim_free(scene.run.sim);
    if (!is_good || blocks > 0) {
        print_message("%s\n", is_good ? "memory was not given back" : scene.why);
        repeat_print();
        fail();
    }
    return scene.is_reached;
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

/* Fail the nth call, for every n there is; every `stride`th where time is short. */
static void fail_each(const char *steps, const struct workload *about, const struct fault *all,
                      size_t count)
{
    uint64_t share = repeat_share(100);
    uint64_t stride = share < 100 ? 100 / share : 1;

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

static void whatever_memory_is_missing_the_log_keeps_its_word(void **state)
{
    (void)state;
    fail_all(histories, COUNT(histories), memory_faults, COUNT(memory_faults));
    fail_all(crashed_histories, COUNT(crashed_histories), memory_faults, COUNT(memory_faults));
}

/* Two faults, the second one while the log deals with the first. */
static void whatever_two_calls_fail_the_log_keeps_its_word(void **state)
{
    uint64_t count = repeat_share(2000);
    double begun = repeat_now();

    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        struct workload workload = {.policy = (uint32_t)(i % 3),
                                    .preallocate = NORI_PREALLOCATE_OFF,
                                    .seed = i,
                                    .switch_percent = i % 2 ? 30 : 0};
        struct fault fault = faults[i % COUNT(faults)];
        bool is_crashed = i / 3 % 2;
        const char *steps = is_crashed ? crashed_histories[i / 6 % COUNT(crashed_histories)]
                                       : histories[i / 6 % COUNT(histories)];

        fault.flags &= ~NORI_SIM_FAIL_STICKY;
        fault.nth = 1 + i * 37 % 101;
        fault.nth_too = fault.nth + 1 + i * 11 % 17;
        (void)try_fault(&workload, steps, &fault);
    }
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
        for (uint64_t outcome = 0, outcomes = nori_sim_outcome_count(scene.run.sim);
             is_good && outcome < outcomes; outcome += outcomes / 256 | 1) {
            nori_sim *after;

            (void)nori_sim_power_cut(scene.run.sim, outcome, &after);
            is_good = reopen(&scene, after, ORACLE_POWER_CUT, "power cut and opened");
            nori_sim_free(after);
        }
        run_done(&scene.run);
        nori_sim_free(scene.run.sim);
        if (!is_good) {
            print_message("%s\n", scene.why);
            repeat_print();
            fail();
        }
    }
}

/* FORMAT.POLICY.PREALLOCATE.VERIFY.SWITCH.SEED.STEPS:MASK.FLAGS.ERRNO.NTH.NTH_TOO */
static void one_that_failed(void **state)
{
    struct workload workload = {0};
    struct fault fault = {0};
    unsigned long long seed, nth, nth_too;
    char steps[16];

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

int main(int argc, char **argv)
{
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_the_log_keeps_its_word),
        cmocka_unit_test(whatever_call_fails_after_a_crash_the_log_keeps_its_word),
        cmocka_unit_test(whatever_two_calls_fail_the_log_keeps_its_word),
        cmocka_unit_test(whatever_memory_is_missing_the_log_keeps_its_word),
        cmocka_unit_test(whatever_call_fails_a_log_of_format_1_keeps_its_word),
        cmocka_unit_test(what_a_failed_write_left_is_never_part_of_a_record),
    };
    int failed;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* such as '*roll*' */
    if (getenv("NORI_FAULT_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (seconds > 0)
        print_message("faults: %llu runs in %.1f s, the log opened again %llu times (%.0f/s)\n",
                      (unsigned long long)runs, seconds, (unsigned long long)reopened,
                      (double)reopened / seconds);
    return failed;
}
