/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * assert.h: three words for what we believe.
 *   nw_assert        proven; always on, in release too: stopping beats writing a wrong byte
 *   nw_debug_assert  proven, but costly; on with NW_DEBUG
 *   nw_never         believed false, only a flipped bit could make it true: stops with NW_DEBUG,
 *                    handled in release
 * Arguments of callers and bytes from disk are never asserted: they are checked.
 */
#ifndef NW_ASSERT_H
#define NW_ASSERT_H

#include <stdbool.h>

/* Prints the place to standard error and aborts. */
_Noreturn void nw_assert_failed(const char *condition, const char *file, int line);

#define nw_assert(condition) \
    ((condition) ? (void)0 : nw_assert_failed(#condition, __FILE__, __LINE__))

#ifdef NW_DEBUG
#    define nw_debug_assert(condition) nw_assert(condition)
#    define nw_never(condition) \
        ((condition) ? (nw_assert_failed("never: " #condition, __FILE__, __LINE__), true) : false)
#else
#    define nw_debug_assert(condition) ((void)0)
#    define nw_never(condition)        (condition)
#endif

#define NW_STATIC_ASSERT(condition, message) _Static_assert(condition, message)

#endif
