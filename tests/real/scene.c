/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scene.c: a story on a recorded file system, and the states that a power cut may leave of it. */
#define _GNU_SOURCE 1

#include "scene.h"

#include "../support/repeat.h"
#include "fuse.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define NESTED_EVERY    4 /* states */
#define NESTED_COUNT    2 /* of these each */

#define UNMOUNTABLE_MAX 10 /* and not more than there are others */

static bool complain(struct scene *scene, const char *what, const char *why)
{
    (void)snprintf(scene->why, sizeof scene->why, "%s, story %llu (%s): %s: %s", scene->fs->name,
                   (unsigned long long)scene->number, scene->story->steps, what, why);
    return false;
}

/* ---- the device ---- */

bool scene_begin(struct scene *scene, const struct place *place, const struct file_system *fs,
                 const char *program)
{
    *scene = (struct scene){.place = place, .fs = fs, .program = program, .loop = -1};
    scene->device = device_new(fs->bytes);
    scene->story = story_new();
    if (!scene->device || !scene->story || !place_make(place, fs) ||
        !device_load(scene->device, place->image))
        return false;
    (void)unlink(place->image);
    scene->server = fuse_serve(scene->device, place->device);
    if (scene->server > 0)
        scene->loop = place_attach(place->device, scene->loop_name);
    return scene->loop >= 0;
}

void scene_end(struct scene *scene)
{
    (void)umount2(scene->place->mounted, MNT_DETACH); /* only if a check failed */
    if (scene->loop >= 0)
        (void)close(scene->loop);
    if (scene->server > 0) {
        (void)umount2(scene->place->device, MNT_DETACH);
        (void)waitpid(scene->server, NULL, 0);
    }
    states_forget(&scene->seen);
    states_forget(&scene->disks);
    story_free(scene->story);
    device_free(scene->device);
}

static bool unmount(struct scene *scene)
{
    bool is_good = place_unmount(scene->place);

    place_forget(scene->loop);
    return is_good || complain(scene, "unmounting", "it is busy");
}

bool scene_live(struct scene *scene, uint64_t number, uint32_t on_failure,
                const struct device_fault *fault, size_t *ret_end)
{
    static const struct device_fault none;
    struct device *device = scene->device;
    bool is_good;

    device_rewind(device);
    device->fault = none;
    scene->number = number;
    story_begin(scene->story, device, number);
    scene->story->on_failure = on_failure;
    if (!place_mount(scene->place, scene->fs, scene->loop_name))
        return complain(scene, "mounting", "it cannot be");
    if (fault)
        device->fault = *fault;
    is_good = story_live(scene->story, device, scene->place->wal);
    *ret_end = device->tapes[0].count;
    if (!is_good)
        (void)complain(scene, "while it was lived", scene->story->why);
    if (!unmount(scene))
        return false;
    device->fault.first = 0;
    scene->stories += is_good;
    return is_good;
}

/* ---- failures are kept ---- */

/* The file: this, the story, the image. */
struct kept {
    char magic[16];
    char fs[16];
    uint64_t number, moment;
    uint32_t is_tail;
};

static const char magic[16] = "nori-real-state";

static bool write_sparsely(int file, const uint8_t *data, size_t len, off_t offset)
{
    static const uint8_t zeros[4096];

    for (size_t at = 0; at < len;) {
        size_t piece = len - at < sizeof zeros ? len - at : sizeof zeros;

        if (memcmp(data + at, zeros, piece) != 0 &&
            pwrite(file, data + at, piece, offset + (off_t)at) != (ssize_t)piece)
            return false;
        at += piece;
    }
    return ftruncate(file, offset + (off_t)len) == 0;
}

/* The image is as it was mounted. Not of a planted bug: that is no news. */
static void keep(struct scene *scene, const struct check *check)
{
    struct kept kept = {
        .number = scene->number, .moment = check->moment, .is_tail = check->is_tail};
    char path[PLACE_PATH_LEN + 64];
    int file;
    bool is_good;

    if (getenv("NORI_PLANT"))
        return;
    memcpy(kept.magic, magic, sizeof magic);
    (void)snprintf(kept.fs, sizeof kept.fs, "%s", scene->fs->name);
    (void)snprintf(path, sizeof path, "%.*s/nori-failed-%s-%llu",
                   (int)(strrchr(scene->place->top, '/') - scene->place->top), scene->place->top,
                   scene->fs->name, (unsigned long long)scene->number);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    is_good = file >= 0 && pwrite(file, &kept, sizeof kept, 0) == (ssize_t)sizeof kept &&
              write_sparsely(file, (const uint8_t *)scene->story, sizeof *scene->story,
                             (off_t)sizeof kept) &&
              write_sparsely(file, scene->device->image, scene->device->bytes,
                             (off_t)(sizeof kept + sizeof *scene->story));
    if (file >= 0)
        (void)close(file);
    if (is_good)
        repeat_with("NORI_REAL_STATE=%s ./test_%s", path, scene->program);
}

/* ---- states ---- */

static bool check_mounted(struct scene *scene, struct check *check, size_t made)
{
    struct device *device = scene->device;
    bool is_good;

    if (!place_mount(scene->place, scene->fs, scene->loop_name)) {
        place_forget(scene->loop);
        scene->unmountable++;
        return scene->unmountable < UNMOUNTABLE_MAX + scene->states ||
               complain(scene, "mounting", "most states cannot be");
    }
    is_good = check_log(check);
    if (!unmount(scene))
        return false;
    if (is_good)
        return true;
    (void)complain(scene, "after a power cut", check->why);
    device_seek(device, device->tape, device->tapes[device->tape].count, made);
    keep(scene, check);
    device_seek(device, device->tape, made, device->tapes[device->tape].count);
    return false;
}

static struct check check_of(struct scene *scene, uint64_t moment)
{
    return (struct check){.story = scene->story,
                          .device = scene->device,
                          .dir = scene->place->wal,
                          .moment = moment,
                          .is_tail = scene->states % 2 == 1};
}

/* A disk that two stories lead to is checked for each, by what that one has promised. */
static uint64_t salt_of(const struct scene *scene)
{
    return scene->number * 0x9e3779b97f4a7c15u;
}

/* But it counts once, and not if the file system refuses it. */
static bool counts(struct scene *scene, const struct states *states, uint64_t refused_before)
{
    return scene->unmountable == refused_before &&
           states_note(&scene->disks, states->difference - salt_of(scene));
}

/* Cuts while the state was mounted and the log opened; what was there then must be there again. A
 * cut that leaves the state as it was is none: differences go on from the state's. */
static bool check_nested(struct scene *scene, const struct states *state, const struct check *first,
                         size_t made)
{
    struct states states = {.device = scene->device,
                            .seen = &scene->seen,
                            .tape = scene->device->tape,
                            .from = made,
                            .to = first->recovered_at,
                            .seed = scene->states,
                            .base = state->difference};
    bool is_good = true;

    states_begin(&states);
    for (int i = 0; is_good && i < NESTED_COUNT && states_make(&states); i++) {
        struct check check = check_of(scene, first->moment);
        uint64_t refused = scene->unmountable;

        is_good = check_mounted(scene, &check, scene->device->tapes[states.tape + 1].count);
        if (is_good && check.recovered_at > 0 &&
            (check.found.front != first->found.front || check.found.end != first->found.end)) {
            (void)oracle_complain(check.why,
                                  "after a cut in recovery records %zu to %zu are "
                                  "there, not %zu to %zu",
                                  check.found.front + 1, check.found.end, first->found.front + 1,
                                  first->found.end);
            is_good = complain(scene, "two deep", check.why);
        }
        scene->nested += counts(scene, &states, refused);
        states_unmake(&states);
    }
    states_end(&states);
    return is_good;
}

static bool check_one(struct scene *scene, const struct states *states, bool is_nested)
{
    struct check check = check_of(scene, states->moment);
    size_t made = scene->device->tapes[states->tape + 1].count;
    uint64_t refused = scene->unmountable;

    if (!check_mounted(scene, &check, made))
        return false;
    scene->states += counts(scene, states, refused);
    if (!is_nested || check.recovered_at == 0 || scene->states % NESTED_EVERY != 0)
        return true;
    return check_nested(scene, states, &check, made);
}

bool scene_check(struct scene *scene, size_t end, uint64_t least_moment, uint64_t count,
                 bool is_nested)
{
    struct states states = {.device = scene->device,
                            .seen = &scene->seen,
                            .to = end,
                            .least_moment = least_moment,
                            .seed = scene->number,
                            .base = salt_of(scene)};
    bool is_good = true;

    states_begin(&states);
    while (is_good && count-- > 0 && states_make(&states)) {
        is_good = check_one(scene, &states, is_nested);
        states_unmake(&states);
    }
    states_end(&states);
    return is_good;
}

/* ---- repeating ---- */

static bool read_kept(int file, struct kept *kept)
{
    return file >= 0 && pread(file, kept, sizeof *kept, 0) == (ssize_t)sizeof *kept &&
           memcmp(kept->magic, magic, sizeof magic) == 0;
}

const struct file_system *scene_file_system(const char *path)
{
    static const struct file_system *const all[] = {&place_ext4, &place_xfs, &place_btrfs};
    const struct file_system *fs = NULL;
    struct kept kept;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    for (size_t i = 0; read_kept(file, &kept) && i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i]->name, kept.fs) == 0)
            fs = all[i];
    if (file >= 0)
        (void)close(file);
    return fs;
}

bool scene_repeat(struct scene *scene, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    off_t image_at = (off_t)(sizeof(struct kept) + sizeof *scene->story);
    struct kept kept;
    struct check check;
    bool is_read = read_kept(file, &kept);

    is_read = is_read && pread(file, scene->story, sizeof *scene->story, (off_t)sizeof kept) ==
                             (ssize_t)sizeof *scene->story;
    is_read = is_read && pread(file, scene->device->image, scene->device->bytes, image_at) ==
                             (ssize_t)scene->device->bytes;
    if (file >= 0)
        (void)close(file);
    if (!is_read)
        return complain(scene, "repeating", "the file cannot be read");
    scene->story->oracle.records = scene->story->records;
    scene->number = kept.number;
    check = check_of(scene, kept.moment);
    check.is_tail = kept.is_tail;
    return check_mounted(scene, &check, 0);
}
