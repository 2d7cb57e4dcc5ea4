/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shm.h: may logs lie in /dev/shm? In a container it often has 64 MiB, which one log may fill. */
#ifndef TESTS_SHM_H
#define TESTS_SHM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SHM_ROOM ((uint64_t)1 << 30)

static inline bool shm_has_room(void)
{
    struct statvfs found;

    return access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &found) == 0 &&
           (uint64_t)found.f_bavail * found.f_frsize >= SHM_ROOM;
}

#endif
