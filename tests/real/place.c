/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* place.c: where real file systems are made, mounted and removed again. */
#define _GNU_SOURCE 1

#include "place.h"

#include "../support/shm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB          ((size_t)1 << 20)
#define PREFIX       "nori-real-"
#define ATTACH_MAX   100 /* others look for free loop devices, too */
#define FOLDER_TRIES 20
#define UNMOUNT_MAX  12000 /* times to try, a hundredth of a second apart */

/* The same for ext4 and xfs; younger than the headers of some systems. */
#define SHUT_DOWN         _IOR('X', 125, uint32_t)
#define SHUT_DOWN_LOG     1u /* write the file system's log, not the data */
#define SHUT_DOWN_NOTHING 2u

static const char *const make_ext4[] = {"mkfs.ext4", "-q", "-F", "-J", "size=4", NULL};
static const char *const make_ext4_tiny[] = {"mkfs.ext4", "-q", "-F", "-m", "0", NULL};
static const char *const make_xfs[] = {"mkfs.xfs", "-q", "-f", "-K", NULL};
static const char *const make_btrfs[] = {"mkfs.btrfs", "-q", "-f", "-K", NULL};

const struct file_system place_ext4 = {"ext4", make_ext4, "", 48 * MIB, true};
const struct file_system place_xfs = {"xfs", make_xfs, "", 304 * MIB, true};
const struct file_system place_btrfs = {"btrfs", make_btrfs, "nodiscard", 192 * MIB, false};
const struct file_system place_ext4_tiny = {"ext4", make_ext4_tiny, "", 4 * MIB, true};
const struct file_system place_xfs_tiny = {"xfs", make_xfs, "", 304 * MIB, true};
const struct file_system place_btrfs_tiny = {"btrfs", make_btrfs, "nodiscard", 112 * MIB, false};

/* ---- the folder ---- */

static void join(char target[PLACE_PATH_LEN], const char *folder, const char *name)
{
    int len = snprintf(target, PLACE_PATH_LEN, "%s/%s", folder, name);

    if (len < 0 || (size_t)len >= PLACE_PATH_LEN)
        target[0] = '\0'; /* names nothing: whoever opens it is told */
}

static void set_paths(struct place *place)
{
    join(place->image, place->top, "image");
    join(place->device, place->top, "device");
    join(place->mounted, place->top, "mounted");
    join(place->wal, place->mounted, "wal");
}

static void remove_folder(const struct place *place)
{
    (void)unlink(place->image);
    (void)unlink(place->device);
    (void)rmdir(place->mounted);
    (void)rmdir(place->top);
}

/* Remove what tests that were killed have left: folders of ours that nobody has locked. */
static void sweep(const char *base)
{
    DIR *folder = opendir(base);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)) != NULL) {
        struct place old;
        int lock;

        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        join(old.top, base, entry->d_name);
        set_paths(&old);
        lock = open(old.top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
            remove_folder(&old);
        if (lock >= 0)
            (void)close(lock);
    }
    if (folder)
        (void)closedir(folder);
}

/* False: it may be that another test, which sweeps, was faster than our lock. */
static bool make_one(struct place *place, const char *base)
{
    int file = -1;
    bool is_good;

    join(place->top, base, PREFIX "XXXXXX");
    if (!mkdtemp(place->top))
        return false;
    set_paths(place);
    place->lock = open(place->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    is_good = place->lock >= 0 && flock(place->lock, LOCK_EX | LOCK_NB) == 0;
    if (is_good)
        file = open(place->device, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    is_good = file >= 0 && mkdir(place->mounted, 0700) == 0;
    if (file >= 0)
        (void)close(file);
    if (!is_good)
        place_leave(place);
    return is_good;
}

static const char *make_folder(struct place *place)
{
    const char *base = getenv("TMPDIR");

    if (!base || !base[0])
        base = shm_has_room() ? "/dev/shm" : "/tmp";
    sweep(base);
    for (int i = 0; i < FOLDER_TRIES; i++)
        if (make_one(place, base))
            return NULL;
    return "no folder can be made in TMPDIR";
}

/* The kernel may offer them where a container has no nodes for them, or must not use them. */
static const char *try_to_attach(const struct place *place)
{
    static char why[80];
    char loop_name[32];
    int loop = place_attach(place->device, loop_name);

    if (loop >= 0) {
        (void)close(loop);
        return NULL;
    }
    (void)snprintf(why, sizeof why, "no loop device can be had: %s", strerror(errno));
    return why;
}

const char *place_enter(struct place *place)
{
    const char *why;

    memset(place, 0, sizeof *place);
    place->lock = -1;
    if (geteuid() != 0)
        return "it needs root";
    if (access("/dev/loop-control", R_OK | W_OK) < 0)
        return "it needs loop devices";
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        return "it needs FUSE";
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return "it needs to mount";
    why = make_folder(place);
    if (why)
        return why;
    why = try_to_attach(place);
    if (why)
        place_leave(place);
    return why;
}

void place_leave(struct place *place)
{
    if (place->top[0])
        remove_folder(place);
    if (place->lock >= 0)
        (void)close(place->lock);
    place->lock = -1;
    place->top[0] = '\0';
}

/* ---- file systems ---- */

static bool is_listed(const char *path, const char *word)
{
    char line[128];
    bool is_found = false;
    FILE *file = fopen(path, "r");

    while (file && !is_found && fgets(line, sizeof line, file)) {
        const char *name = strrchr(line, '\t');

        line[strcspn(line, "\n")] = '\0';
        is_found = name && strcmp(name + 1, word) == 0;
    }
    if (file)
        (void)fclose(file);
    return is_found;
}

const char *place_lacks(const struct file_system *fs)
{
    static char why[80];
    char path[PLACE_PATH_LEN];

    join(path, "/sbin", fs->make[0]);
    if (!is_listed("/proc/filesystems", fs->name))
        (void)snprintf(why, sizeof why, "the kernel has no %s", fs->name);
    else if (access(path, X_OK) < 0)
        (void)snprintf(why, sizeof why, "it needs %s", fs->make[0]);
    else
        return NULL;
    return why;
}

static bool run(const char *const *command, const char *path)
{
    char *arguments[16];
    size_t count = 0;
    int status;
    pid_t child;

    for (; command[count]; count++)
        arguments[count] = (char *)(uintptr_t)command[count];
    arguments[count++] = (char *)(uintptr_t)path;
    arguments[count] = NULL;
    child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(nothing, STDOUT_FILENO);
        (void)execvp(arguments[0], arguments);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool place_make(const struct place *place, const struct file_system *fs)
{
    int file = open(place->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_sized = file >= 0 && ftruncate(file, (off_t)fs->bytes) == 0;

    if (file >= 0)
        (void)close(file);
    return is_sized && run(fs->make, place->image);
}

static int attach_to(int control, int file, char ret_loop[32])
{
    struct loop_config config;
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    int loop;

    if (number < 0)
        return -1;
    (void)snprintf(ret_loop, 32, "/dev/loop%d", number);
    loop = open(ret_loop, O_RDWR | O_CLOEXEC);
    if (loop < 0)
        return -1;
    memset(&config, 0, sizeof config);
    config.fd = (uint32_t)file;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
        return loop;
    (void)close(loop);
    return -1;
}

int place_attach(const char *path, char ret_loop[32])
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(path, O_RDWR | O_CLOEXEC);
    int loop = -1;
    int why;

    for (int i = 0; loop < 0 && control >= 0 && file >= 0 && i < ATTACH_MAX; i++) {
        loop = attach_to(control, file, ret_loop);
        if (loop < 0 && errno != EBUSY && errno != ENOENT && errno != ENXIO)
            break;
    }
    why = errno;
    if (file >= 0)
        (void)close(file);
    if (control >= 0)
        (void)close(control);
    errno = why;
    return loop;
}

bool place_mount(const struct place *place, const struct file_system *fs, const char *loop)
{
    return mount(loop, place->mounted, fs->name, MS_NOATIME, fs->options) == 0;
}

bool place_mount_image(const struct place *place, const struct file_system *fs)
{
    char loop_name[32];
    int loop = place_attach(place->image, loop_name);
    bool is_good = loop >= 0 && place_mount(place, fs, loop_name);

    if (loop >= 0)
        (void)close(loop);
    return is_good;
}

/* Threads of the kernel may hold a file system for a moment after a shutdown. */
bool place_unmount(const struct place *place)
{
    for (int i = 0; i < UNMOUNT_MAX; i++) {
        if (umount2(place->mounted, 0) == 0)
            return true;
        if (errno != EBUSY)
            return false;
        (void)usleep(10000);
    }
    return false;
}

void place_forget(int loop)
{
    (void)ioctl(loop, BLKFLSBUF, 0);
}

bool place_shut_down(const struct place *place, bool is_log_kept)
{
    uint32_t how = is_log_kept ? SHUT_DOWN_LOG : SHUT_DOWN_NOTHING;
    int root = open(place->mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = root >= 0 && ioctl(root, SHUT_DOWN, &how) == 0;

    if (root >= 0)
        (void)close(root);
    return is_done;
}
