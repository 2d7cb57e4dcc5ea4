/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_futex_poll.c: waiting on a word in shared memory where there is no futex: by looking at it
 * every millisecond.
 */
#define _GNU_SOURCE 1

#include "io/posix.h"

#include <time.h>

#define PAUSE_NS 1000000u

int nw_posix_word_wait(void *context, const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    const struct nori_vfs *vfs = nori_vfs_posix();
    uint64_t start_ns = vfs->monotonic_ns(vfs->context);

    (void)context;
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == expected) {
        if (vfs->monotonic_ns(vfs->context) - start_ns >= timeout_ns)
            return NORI_E_TIMEOUT;
        (void)nanosleep(&pause, NULL); /* cut short by a signal: looks once more, no harm */
    }
    return 0;
}

void nw_posix_word_wake(void *context, const uint32_t *word)
{
    (void)context, (void)word; /* who waits looks by itself */
}
