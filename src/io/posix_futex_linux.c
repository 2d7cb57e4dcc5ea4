/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_futex_linux.c: waiting on a word in shared memory, by futex.
 *
 * What. The shared kind of futex: waiter and waker may be different processes that map the same
 * file, each at its own address and, the waiter, for reading only.
 *
 * Not here. Systems without futex: posix_futex_poll.c.
 */
#define _GNU_SOURCE 1

#include "io/posix.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MAX 1000000u /* fits every time_t; waking early without cause is allowed */

/* 32-bit systems have two calls, for two sizes of time_t. */
#ifdef SYS_futex_time64
static long futex_number(void)
{
    return sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
}
#else
static long futex_number(void)
{
    return SYS_futex;
}
#endif

int nw_posix_word_wait(void *context, const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout;
    uint64_t seconds = timeout_ns / 1000000000u;
    bool is_cut = seconds > SECONDS_MAX;

    (void)context;
    timeout.tv_sec = (time_t)(is_cut ? SECONDS_MAX : seconds);
    timeout.tv_nsec = (long)(timeout_ns % 1000000000u);
    if (syscall(futex_number(), word, FUTEX_WAIT, expected, &timeout, NULL, 0) == 0)
        return 0;
    if (errno == ETIMEDOUT)
        return is_cut ? 0 : NORI_E_TIMEOUT;
    if (errno == EAGAIN || errno == EINTR)
        return 0; /* the word is another one already, or a signal came */
    return nw_posix_error(errno);
}

void nw_posix_word_wake(void *context, const uint32_t *word)
{
    (void)context;
    (void)syscall(futex_number(), word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
