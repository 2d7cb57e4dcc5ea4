/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_machine.c: what the system tells about a folder: file system, device, space, limits,
 * kernel.
 *
 * Failure. What the system does not tell is unknown, and nothing is said about it.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>

/* The first line of folder/name; "" if there is none. */
static void read_line(const char *folder, const char *name, char *target, size_t size)
{
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (!file || !fgets(target, (int)size, file))
        target[0] = '\0';
    if (file)
        (void)fclose(file);
    target[strcspn(target, "\n")] = '\0';
    for (size_t len = strlen(target); len > 0 && isspace((unsigned char)target[len - 1]); len--)
        target[len - 1] = '\0';
}

static int read_number(const char *folder, const char *name)
{
    char line[32];

    read_line(folder, name, line, sizeof line);
    return isdigit((unsigned char)line[0]) ? (int)strtol(line, NULL, 10) : -1;
}

/* Of "none [mq-deadline] kyber" the one that is chosen. */
static void choose_scheduler(char *schedulers)
{
    char *begin = strchr(schedulers, '[');
    size_t len;

    if (!begin)
        return;
    len = strcspn(begin + 1, "]");
    memmove(schedulers, begin + 1, len);
    schedulers[len] = '\0';
}

/* Names and models by which virtual machines offer disks. */
static bool is_virtual(const struct doctor_machine *machine)
{
    static const char *const models[] = {"QEMU", "VBOX", "VMware", "Virtual", "Persistent"};

    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strstr(machine->model, models[i]))
            return true;
    return strncmp(machine->device, "vd", 2) == 0 || strncmp(machine->device, "xvd", 3) == 0;
}

/* The folder of a block device in /sys: of the whole disk if it is a partition. */
static bool find_device(unsigned major_number, unsigned minor_number, char target[PATH_MAX])
{
    char path[64], inside[PATH_MAX + 16];
    struct stat found;

    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major_number, minor_number);
    if (!realpath(path, target))
        return false;
    (void)snprintf(inside, sizeof inside, "%s/partition", target);
    if (stat(inside, &found) == 0)
        *strrchr(target, '/') = '\0';
    return true;
}

static void look_at_device(struct doctor_machine *machine)
{
    const struct cli_mount *mount = &machine->mount;
    unsigned major_number = mount->major, minor_number = mount->minor;
    char folder[PATH_MAX];
    struct stat source;

    /* btrfs and others have no device of their own; their source may be one of theirs. */
    if (major_number == 0 && mount->source[0] == '/' && stat(mount->source, &source) == 0 &&
        S_ISBLK(source.st_mode)) {
        major_number = major(source.st_rdev);
        minor_number = minor(source.st_rdev);
    }
    if (major_number == 0 || !find_device(major_number, minor_number, folder))
        return;
    (void)snprintf(machine->device, sizeof machine->device, "%.60s", strrchr(folder, '/') + 1);
    read_line(folder, "device/model", machine->model, sizeof machine->model);
    read_line(folder, "queue/write_cache", machine->write_cache, sizeof machine->write_cache);
    read_line(folder, "queue/scheduler", machine->scheduler, sizeof machine->scheduler);
    read_line(folder, "loop/backing_file", machine->backing_file, sizeof machine->backing_file);
    choose_scheduler(machine->scheduler);
    machine->has_fua = read_number(folder, "queue/fua");
    machine->is_rotational = read_number(folder, "queue/rotational");
    machine->is_virtual = is_virtual(machine);
    if (machine->backing_file[0] != '\0')
        machine->is_rotational = -1; /* that is asked of the disk below it */
}

/* Reads and writes that were done since the system began. False if it does not tell. */
static bool count_requests(const struct doctor_machine *machine, uint64_t *ret_count)
{
    unsigned long long reads, writes;
    char folder[128], line[256];

    (void)snprintf(folder, sizeof folder, "/sys/class/block/%s", machine->device);
    read_line(folder, "stat", line, sizeof line);
    if (machine->device[0] == '\0' || sscanf(line, "%llu %*u %*u %*u %llu", &reads, &writes) != 2)
        return false;
    *ret_count = reads + writes;
    return true;
}

void doctor_watch(struct doctor_machine *machine, double seconds)
{
    struct timespec moment = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    uint64_t before, after;

    if (count_requests(machine, &before) && nanosleep(&moment, NULL) == 0 &&
        count_requests(machine, &after))
        machine->requests_per_s = (double)(after - before) / seconds;
}

static void look_at_space(int fd, struct doctor_machine *machine)
{
    struct statvfs space;

    machine->inodes_free = DOCTOR_UNLIMITED;
    if (fstatvfs(fd, &space) < 0)
        return;
    machine->bytes_free = (uint64_t)space.f_bavail * space.f_frsize;
    if (space.f_files > 0)
        machine->inodes_free = space.f_favail;
}

static uint64_t limit_of(int resource)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return DOCTOR_UNLIMITED;
    return limit.rlim_cur;
}

void doctor_look(int fd, struct doctor_machine *ret_machine)
{
    struct doctor_machine machine = {.has_fua = -1, .is_rotational = -1, .requests_per_s = -1};
    struct utsname system;

    (void)cli_mount_of(fd, &machine.mount);
    look_at_device(&machine);
    look_at_space(fd, &machine);
    machine.file_bytes_max = limit_of(RLIMIT_FSIZE);
    machine.files_max = limit_of(RLIMIT_NOFILE);
    if (uname(&system) == 0) {
        (void)snprintf(machine.kernel, sizeof machine.kernel, "%.12s %.64s", system.sysname,
                       system.release);
        (void)sscanf(system.release, "%u.%u", &machine.kernel_major, &machine.kernel_minor);
    }
    *ret_machine = machine;
}
