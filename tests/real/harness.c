/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* harness.c: what the tests of real file systems have in common as programs. */
#include "harness.h"

#include <getopt.h>

void harness_need(const struct file_system *fs)
{
    const char *lack = place_lacks(fs);

    if (!lack)
        return;
    print_message("# skipped: %s\n", lack);
    skip();
}

_Noreturn void harness_fail(const char *why)
{
    print_message("# %s\n", why);
    repeat_print();
    fail();
    abort(); /* fail does not return */
}

uint64_t harness_begin(struct harness *harness)
{
    harness->begun = repeat_now();
    return harness->options.count > 0 ? harness->options.count : repeat_share(harness->share);
}

bool harness_has_time(const struct harness *harness)
{
    double seconds = harness->options.seconds;

    return seconds <= 0 || repeat_now() - harness->begun < seconds;
}

uint64_t harness_story(const struct harness *harness, uint64_t number)
{
    return harness->options.seed * 1000003 + number;
}

void harness_repeat_with(const struct harness *harness, const struct file_system *fs,
                         uint64_t number, uint64_t count)
{
    repeat_with("./test_%s %s --seed %llu --from %llu --count %llu", harness->program, fs->name,
                (unsigned long long)harness->options.seed, (unsigned long long)number,
                (unsigned long long)count);
}

static void cannot_run_here(void **state)
{
    (void)state;
    skip();
}

static void a_state_that_was_kept(void **state)
{
    const char *path = getenv("NORI_REAL_STATE");
    const struct harness *harness = *state;
    const struct file_system *fs = scene_file_system(path);
    struct scene scene;
    char why[sizeof scene.why] = "";

    if (!fs)
        fail_msg("%s is no state that a failure kept", path);
    harness_need(fs);
    if (scene_begin(&scene, &harness->place, fs, harness->program)) {
        if (!scene_repeat(&scene, path))
            memcpy(why, scene.why, sizeof why);
    } else {
        memcpy(why, "it cannot be mounted here", 26);
    }
    scene_end(&scene);
    if (why[0])
        harness_fail(why);
}

/* Keep the tests of the file system that is named. Returns why they cannot run, or NULL. */
static const char *choose(struct CMUnitTest *tests, size_t *count, const char *name)
{
    const struct file_system *fs = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        const struct file_system *own = tests[i].initial_state;

        if (strcmp(own->name, name) != 0)
            continue;
        fs = own;
        tests[kept++] = tests[i];
    }
    *count = kept;
    return fs ? place_lacks(fs) : NULL;
}

int harness_main(struct harness *harness, int argc, char **argv, struct CMUnitTest *tests,
                 size_t count)
{
    const char *why = NULL;
    int failed;

    torture_parse(argc, argv, &harness->options);
    if (argc > 1)
        why = choose(tests, &count, optind < argc ? argv[optind] : "");
    if (count == 0) {
        (void)fprintf(stderr, "%s: the first argument is ext4, xfs or btrfs\n", argv[0]);
        return 2;
    }
    if (!why)
        why = place_enter(&harness->place);
    if (why) {
        const struct CMUnitTest none[] = {cmocka_unit_test(cannot_run_here)};

        torture_skip(why);
        print_message("# skipped: %s\n", why);
        return cmocka_run_group_tests_name(harness->program, none, NULL, NULL);
    }
    if (getenv("NORI_REAL_STATE")) {
        const struct CMUnitTest kept[] = {
            cmocka_unit_test_prestate(a_state_that_was_kept, harness)};

        failed = cmocka_run_group_tests_name(harness->program, kept, NULL, NULL);
    } else {
        failed = _cmocka_run_group_tests(harness->program, tests, count, NULL, NULL);
    }
    place_leave(&harness->place);
    return failed;
}
