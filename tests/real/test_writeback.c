/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_writeback.c: real file systems whose disk fails to write (D8, D5).
 *
 * What. As in test_mounted.c a log is written on a device that records; and the device refuses a
 * write, or a few, or all from one on. Most often one that holds records, so that what fails is
 * their write-back. The kernel says so once, and from then on its page cache shows what the disk
 * does not have. Then, in turn: the process goes on with its log, closes and opens it; or it dies,
 * and another one opens the log; or the power goes. What comes behind is mounted as a power cut may
 * leave it, and must have all that was ever called durable: by the log that failed, and by the one
 * that was opened after it.
 *
 * A story counts once, if its fault came to pass. It needs root, loop devices and FUSE.
 */
#include "harness.h"

#define SHARE      6
#define PER_STORY  3 /* states */
#define CASES      3
#define WRITES_MAX 40
#define DATA_MAX   12 /* writes with records: there are fewer of them */

static struct harness harness = {.program = "writeback", .share = SHARE, .options = {.seed = 1}};

static struct device_fault draw_fault(uint64_t seed)
{
    static const uint64_t counts[] = {1, 1, 1, 3, UINT32_MAX};
    struct device_fault fault = {.is_data = torture_random(&seed, 4) > 0};

    fault.first = 1 + torture_random(&seed, fault.is_data ? DATA_MAX : WRITES_MAX);
    fault.count = counts[torture_random(&seed, sizeof counts / sizeof counts[0])];
    return fault;
}

static const uint32_t cases[CASES] = {STORY_GO_ON, STORY_RESTART, STORY_CUT};

/* Each case meets each policy and way to take space. */
static size_t case_of(uint64_t number)
{
    return (size_t)((number + number / 27) % CASES);
}

/* *ret_counts: 1 if the fault came to pass. */
static bool one_story(struct scene *scene, uint64_t number, uint64_t *ret_counts)
{
    uint64_t story = harness_story(&harness, number);
    struct device_fault fault = draw_fault(story);
    size_t end;

    harness_repeat_with(&harness, scene->fs, number, 1);
    if (!scene_live(scene, story, cases[case_of(number)], &fault, &end))
        return false;
    *ret_counts = atomic_load(&scene->device->fault.fails) > 0;
    return *ret_counts == 0 || scene_check(scene, end, scene->story->settled_at, PER_STORY, false);
}

static void try_faults(const struct file_system *fs)
{
    uint64_t wanted = harness_begin(&harness);
    uint64_t number = harness.options.from;
    uint64_t of_case[CASES] = {0};
    uint64_t faults = 0, failures = 0;
    struct scene scene;
    char why[sizeof scene.why] = "the recording device cannot be made";
    bool is_good;

    harness_need(fs);
    is_good = scene_begin(&scene, &harness.place, fs, harness.program);
    for (; is_good && faults < wanted && harness_has_time(&harness); number++) {
        uint64_t counts = 0;

        if (of_case[case_of(number)] * CASES >= wanted)
            continue; /* a third is of each case */
        is_good = one_story(&scene, number, &counts);
        of_case[case_of(number)] += counts;
        faults += counts;
        failures += counts > 0 && scene.story->has_failed;
        torture_progress(number + 1, faults);
        memcpy(why, scene.why, sizeof why);
    }
    torture_end(number, faults);
    print_message("# %s: %llu faults, the log failed in %llu of them, %llu states, %llu not "
                  "mountable, %.1f s\n",
                  fs->name, (unsigned long long)faults, (unsigned long long)failures,
                  (unsigned long long)scene.states, (unsigned long long)scene.unmountable,
                  repeat_now() - harness.begun);
    scene_end(&scene);
    if (!is_good)
        harness_fail(why);
}

static void on_ext4_nothing_lost_was_called_durable(void **state)
{
    try_faults(*state);
}

static void on_xfs_nothing_lost_was_called_durable(void **state)
{
    try_faults(*state);
}

static void on_btrfs_nothing_lost_was_called_durable(void **state)
{
    try_faults(*state);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        HARNESS_TEST(on_ext4_nothing_lost_was_called_durable, &place_ext4),
        HARNESS_TEST(on_xfs_nothing_lost_was_called_durable, &place_xfs),
        HARNESS_TEST(on_btrfs_nothing_lost_was_called_durable, &place_btrfs),
    };

    return HARNESS_MAIN(&harness, argc, argv, tests);
}
