/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_mounted.c: what a power cut may leave on real file systems (D1, D3, D4, D5, D6).
 *
 * What. ext4, xfs and btrfs run on a block device that records each write and each flush
 * (device.h). A log is written there, by processes of which some are killed, under every policy
 * and way to take space (story.h). Then crash states are made of the record (states.h), mounted,
 * so that the file system replays its own log, and opened (check.h); of some also the states that a
 * second cut leaves while they are mounted and opened.
 *
 * Each state counts once, by its bytes. It needs root, loop devices and FUSE.
 */
#include "harness.h"

#define SHARE       30
#define PER_STORY   10  /* states, and half as many nested ones; some stories have fewer */
#define SHARE_STORY 3   /* of the share, so that it has each policy and way to take space */
#define FLUSH_US    300 /* a real disk takes its time, too; appends go on meanwhile */

static struct harness harness = {.program = "mounted", .share = SHARE, .options = {.seed = 1}};

static bool one_story(struct scene *scene, uint64_t number)
{
    const struct device_fault slow = {.flush_us = number % 2 ? FLUSH_US : 0};
    uint64_t count = harness.options.count > 0 ? PER_STORY : SHARE_STORY;
    size_t end;

    harness_repeat_with(&harness, scene->fs, number, PER_STORY);
    return scene_live(scene, harness_story(&harness, number), STORY_GO_ON, &slow, &end) &&
           scene_check(scene, end, 0, count, true);
}

static void try_states(const struct file_system *fs)
{
    uint64_t wanted = harness_begin(&harness);
    uint64_t number = harness.options.from;
    struct scene scene;
    char why[sizeof scene.why] = "the recording device cannot be made";
    bool is_good;

    harness_need(fs);
    is_good = scene_begin(&scene, &harness.place, fs, harness.program);
    while (is_good && scene.states + scene.nested < wanted && harness_has_time(&harness)) {
        is_good = one_story(&scene, number++);
        torture_progress(number, scene.states + scene.nested);
        memcpy(why, scene.why, sizeof why);
    }
    torture_end(number, scene.states + scene.nested);
    print_message("# %s: %llu states and %llu nested ones of %llu stories, %llu not mountable, "
                  "%.1f s\n",
                  fs->name, (unsigned long long)scene.states, (unsigned long long)scene.nested,
                  (unsigned long long)scene.stories, (unsigned long long)scene.unmountable,
                  repeat_now() - harness.begun);
    scene_end(&scene);
    if (!is_good)
        harness_fail(why);
}

static void on_ext4_what_was_promised_is_there(void **state)
{
    try_states(*state);
}

static void on_xfs_what_was_promised_is_there(void **state)
{
    try_states(*state);
}

static void on_btrfs_what_was_promised_is_there(void **state)
{
    try_states(*state);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        HARNESS_TEST(on_ext4_what_was_promised_is_there, &place_ext4),
        HARNESS_TEST(on_xfs_what_was_promised_is_there, &place_xfs),
        HARNESS_TEST(on_btrfs_what_was_promised_is_there, &place_btrfs),
    };

    return HARNESS_MAIN(&harness, argc, argv, tests);
}
