/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_full_disk.c: a full disk is an ordinary day (D9).
 *
 * Disks of every size, from a few pages to enough: a log is filled until it refuses, and then it
 * must still read, sync, drop, close and open; what it accepted is there, what it refused is not;
 * it goes on once there is room. It is also crashed while the disk is full.
 *
 * A failure prints a line that repeats it. NORI_SHARE=PERCENT does less or more than the default.
 */
#include "../support/only.h"
#include "../support/repeat.h"
#include "../support/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE        4096u
#define PAGES_MAX   110 /* more than two steps of space and what else there is */
#define APPENDS_MAX 400
#define LARGER      (PAGE * 1024u)
#define NO_ROOM     1u /* behind a power cut: others were faster */

struct scene {
    struct workload workload;
    uint64_t capacity;
    uint32_t flags;    /* of the machine */
    const char *steps; /* appended in turn */
    bool is_crashed;   /* kill -9 and power cut at every operation */
    nori_sim *sim;
    struct run run;
    bool is_broken;
    char why[ORACLE_WHY_LEN];
};

static uint64_t disks;
static uint64_t refusals;
static uint64_t crashes;

static bool complain(struct scene *scene, const char *what, const char *why)
{
    return oracle_complain(scene->why, "%.60s: %.130s", what, why);
}

static void set_capacity(nori_sim *sim, const struct scene *scene, uint64_t capacity)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.capacity_bytes = capacity;
    options.flags = scene->flags;
    nori_sim_set_options(sim, &options);
}

/* ---- crashes ---- */

static bool recover_full(struct scene *scene, nori_sim *after, enum oracle_event event)
{
    struct nori_wal_config config = workload_config(&scene->workload, after);
    struct nori_error error = NORI_ERROR_INIT;
    struct oracle_found found;
    char why[ORACLE_WHY_LEN];
    nori_wal *wal = NULL;
    bool is_good;
    int rc;

    crashes++;
    set_capacity(after, scene, event == ORACLE_POWER_CUT ? NO_ROOM : scene->capacity);
    rc = nori_wal_open(&config, &wal, NULL, &error);
    if (rc == NORI_E_NOSPACE &&
        (scene->flags & NORI_SIM_COPY_ON_WRITE)) { /* the one exception of D9 */
        set_capacity(after, scene, LARGER);
        rc = nori_wal_open(&config, &wal, NULL, &error);
    }
    if (rc < 0)
        return complain(scene, "open on a full disk", error.message);
    is_good = workload_read(&scene->workload, after, &scene->run.oracle, NORI_VISIBLE_APPENDED,
                            &found, why) &&
              oracle_expect(&scene->run.oracle, &found, event, why);
    if (nori_wal_close(wal) < 0 && is_good)
        is_good = oracle_complain(why, "close fails");
    return is_good || complain(scene, "opened on a full disk", why);
}

static bool crash_here(struct scene *scene, nori_sim *sim, uint64_t operation)
{
    bool is_good = true;

    for (uint64_t i = 0; is_good && i < 4; i++) {
        nori_sim *after;

        if (i == 0)
            nori_sim_crash_kill(sim, &after);
        else if (i == 1)
            (void)nori_sim_power_cut(sim, 0, &after);
        else
            nori_sim_power_cut_random(sim, operation * 10 + i, &after);
        is_good = recover_full(scene, after, i == 0 ? ORACLE_PROCESS_CRASH : ORACLE_POWER_CUT);
        nori_sim_free(after);
    }
    return is_good;
}

static void before_operation(void *context, nori_sim *sim, uint64_t operation)
{
    struct scene *scene = context;

    if (!scene->is_broken && operation % 7 == scene->capacity / PAGE % 7)
        scene->is_broken = !crash_here(scene, sim, operation);
}

/* ---- one disk ---- */

static bool step(struct scene *scene, char letter, const char *what)
{
    if (scene->is_broken)
        return false;
    if (!run_step(&scene->run, letter))
        return complain(scene, what, scene->run.why);
    if (!scene->run.wal)
        return complain(scene, what, "open refuses on a full disk");
    if (scene->run.failure.code != 0)
        return complain(scene, what, scene->run.failure.message);
    return !scene->is_broken;
}

/* Append until it is refused twice, or there is more room than needed. */
static bool fill(struct scene *scene)
{
    uint64_t before = scene->run.nospace_count;
    size_t len = strlen(scene->steps);

    for (size_t i = 0; i < APPENDS_MAX && scene->run.nospace_count < before + 2; i++) {
        struct nori_position was = {0, 0}, is = {0, 0};
        uint64_t refused = scene->run.nospace_count;

        if (scene->run.wal)
            (void)nori_wal_position(scene->run.wal, &was);
        if (!step(scene, scene->steps[i % len], "filling"))
            return false;
        (void)nori_wal_position(scene->run.wal, &is);
        /* It may have begun a segment, but never leaves anything in the one there is. */
        if (scene->run.nospace_count > refused && was.offset > 0 &&
            was.segment_id == is.segment_id && was.offset != is.offset)
            return complain(scene, "filling", "a refused append moved the end");
    }
    refusals += scene->run.nospace_count - before;
    return true;
}

/* Everything that needs no space, works: what is there is read, synced, and all there after close
 * and open. */
static bool use_full(struct scene *scene)
{
    struct oracle_found found;
    char why[ORACLE_WHY_LEN];
    size_t all = scene->run.oracle.returned;

    if (!step(scene, 's', "syncing a full disk"))
        return false;
    if (!workload_read(&scene->workload, scene->sim, &scene->run.oracle, NORI_VISIBLE_APPENDED,
                       &found, why) ||
        !oracle_expect(&scene->run.oracle, &found, ORACLE_PROCESS_CRASH, why))
        return complain(scene, "reading a full disk", why);
    if (scene->run.oracle.durable != all)
        return complain(scene, "syncing a full disk", "not all is durable");
    if (!step(scene, 'd', "dropping on a full disk") || !step(scene, 'c', "opening a full disk"))
        return false;
    if (scene->run.oracle.returned != all)
        return complain(scene, "opening a full disk", "another number of records");
    return true;
}

/* Drop all. If that worked, there is room for a small record; at the latest when the disk is
 * larger. */
static bool go_on(struct scene *scene)
{
    struct nori_position end;
    uint64_t deleted = 0;
    uint64_t refused;
    int rc;

    rc = nori_wal_position(scene->run.wal, &end);
    if (rc < 0)
        return complain(scene, "position", nori_error_name(rc));
    oracle_drop_begin(&scene->run.oracle, end, true);
    rc = nori_wal_delete_segments_before(scene->run.wal, end, &deleted);
    if (rc < 0 && rc != NORI_E_NOSPACE)
        return complain(scene, "dropping all on a full disk", nori_error_name(rc));
    oracle_drop_end(&scene->run.oracle, rc);
    refused = scene->run.nospace_count;
    if (!step(scene, 'a', "going on after dropping"))
        return false;
    if (rc == NORI_OK && deleted > 0 && scene->run.nospace_count > refused)
        return complain(scene, "going on after dropping", "there must be room for a small record");
    if (!fill(scene))
        return false;
    /* The same life goes on, too. */
    if (scene->capacity / PAGE % 3 != 0 && !step(scene, 'c', "opening again"))
        return false;

    set_capacity(scene->sim, scene, LARGER);
    refused = scene->run.nospace_count;
    if (!step(scene, 'b', "going on with more room") ||
        !step(scene, 'm', "going on with more room") ||
        !step(scene, 's', "going on with more room"))
        return false;
    if (scene->run.nospace_count > refused)
        return complain(scene, "going on with more room", "it is refused");
    return crash_here(scene, scene->sim, 0);
}

static void try_disk(const struct scene *about)
{
    struct scene scene = *about;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    bool is_good;

    repeat_with("NORI_FULL_REPEAT=%u.%u.%u.%llu.%x.%d.%s ./test_full_disk", scene.workload.format,
                scene.workload.policy, scene.workload.preallocate,
                (unsigned long long)scene.capacity, scene.flags, scene.is_crashed, scene.steps);
    disks++;
    options.capacity_bytes = scene.capacity;
    options.flags = scene.flags;
    options.before_operation = scene.is_crashed ? before_operation : NULL;
    options.context = &scene;
    scene.sim = nori_sim_new(&options);
    run_init(&scene.run, &scene.workload, scene.sim);
    is_good = fill(&scene) && use_full(&scene) && go_on(&scene);
    options.before_operation = NULL;
    nori_sim_set_options(scene.sim, &options);
    run_done(&scene.run);
    nori_sim_free(scene.sim);
    if (!is_good) {
        print_message("%s\n", scene.why);
        repeat_print();
        fail();
    }
}

static void every_size(struct scene scene)
{
    uint64_t step_pages = repeat_share(100) < 100 ? 100 / repeat_share(100) : 1;

    for (uint64_t pages = 1; pages <= PAGES_MAX; pages += step_pages) {
        scene.capacity = pages * PAGE;
        scene.is_crashed = pages % 2 == 0;
        for (uint32_t policy = 0; policy < 3; policy++) {
            scene.workload.policy = policy;
            try_disk(&scene);
        }
    }
}

static void a_full_disk_is_an_ordinary_day(void **state)
{
    struct scene scene = {.workload = {.preallocate = NORI_PREALLOCATE_OFF, .seed = 1}};

    (void)state;
    scene.steps = "abam";
    every_size(scene);
    scene.steps = "mmmb";
    every_size(scene);
    scene.steps = "amalb";
    every_size(scene);
}

static void whatever_way_space_is_taken(void **state)
{
    struct scene scene = {.workload = {.seed = 1}, .steps = "amb"};

    (void)state;
    scene.workload.preallocate = NORI_PREALLOCATE_RESERVE;
    every_size(scene);
    scene.workload.preallocate = NORI_PREALLOCATE_ZERO;
    every_size(scene);
}

static void also_where_overwriting_takes_space(void **state)
{
    struct scene scene = {.workload = {.preallocate = NORI_PREALLOCATE_OFF, .seed = 1},
                          .flags = NORI_SIM_COPY_ON_WRITE,
                          .steps = "abm"};

    (void)state;
    every_size(scene);
}

static void a_log_of_format_1_on_a_full_disk(void **state)
{
    struct scene scene = {
        .workload = {.preallocate = NORI_PREALLOCATE_OFF, .format = 1, .seed = 1}};

    (void)state;
    scene.steps = "amalb";
    every_size(scene);
}

/* FORMAT.POLICY.PREALLOCATE.CAPACITY.FLAGS.CRASHED.STEPS */
static void one_that_failed(void **state)
{
    struct scene scene = {.workload = {.seed = 1}};
    unsigned long long capacity;
    int is_crashed;
    char steps[16];

    (void)state;
    if (sscanf(getenv("NORI_FULL_REPEAT"), "%u.%u.%u.%llu.%x.%d.%15[a-zA-Z]",
               &scene.workload.format, &scene.workload.policy, &scene.workload.preallocate,
               &capacity, &scene.flags, &is_crashed, steps) != 7)
        fail_msg("NORI_FULL_REPEAT is not understood");
    scene.capacity = capacity;
    scene.flags |= NORI_SIM_TRACE;
    scene.is_crashed = is_crashed != 0;
    scene.steps = steps;
    try_disk(&scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_an_ordinary_day),
        cmocka_unit_test(whatever_way_space_is_taken),
        cmocka_unit_test(also_where_overwriting_takes_space),
        cmocka_unit_test(a_log_of_format_1_on_a_full_disk),
    };
    double begun = repeat_now();
    int failed;

    ONLY_MATCHING(argc, argv, tests, "");
    if (getenv("NORI_FULL_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("full disks: %llu, %llu appends refused, %llu crashes, in %.1f s\n",
                  (unsigned long long)disks, (unsigned long long)refusals,
                  (unsigned long long)crashes, repeat_now() - begun);
    return failed;
}
