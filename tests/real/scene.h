/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scene.h: a story on a recorded file system, and the states that a power cut may leave of it.
 *
 * What. A scene is a recording device with a file system, made once; each story begins with it
 * fresh. A state is mounted, recovered by the file system and by the log, and checked.
 *
 * Failure. A state that breaks a promise is kept in a file, story and all, and the line that is
 * printed repeats the check of just that state. A story that goes wrong while it is lived is
 * repeated by its number; the kernel need not do the same again.
 */
#ifndef TESTS_REAL_SCENE_H
#define TESTS_REAL_SCENE_H

#include "check.h"
#include "place.h"
#include "states.h"
#include "story.h"

#include <sys/types.h>

struct scene {
    const struct place *place;
    const struct file_system *fs;
    const char *program; /* for the line that repeats */
    struct device *device;
    struct story *story;
    struct states_seen seen;  /* of each story for itself: what was checked */
    struct states_seen disks; /* of all: what counts */
    uint64_t number;          /* of the story */
    int loop;
    char loop_name[32];
    pid_t server;

    /* So far: states that were mounted and opened, different ones only. */
    uint64_t stories, states, nested;
    uint64_t unmountable; /* states that the file system itself refuses; they are no states */
    char why[ORACLE_WHY_LEN + 100];
};

bool scene_begin(struct scene *scene, const struct place *place, const struct file_system *fs,
                 const char *program);
void scene_end(struct scene *scene);

/* Draw a story and live it; fault: what the device does meanwhile, or NULL. The tape's length when
 * it was over stands in *ret_end; what is behind is from unmounting. */
bool scene_live(struct scene *scene, uint64_t number, uint32_t on_failure,
                const struct device_fault *fault, size_t *ret_end);

/* Check up to `count` states of it, all of moments from `least_moment` on. is_nested: of some also
 * states of their recovery. */
bool scene_check(struct scene *scene, size_t end, uint64_t least_moment, uint64_t count,
                 bool is_nested);

/* Check the state that a failure kept in a file. */
bool scene_repeat(struct scene *scene, const char *path);

/* The file system of such a file, or NULL. */
const struct file_system *scene_file_system(const char *path);

#endif
