/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* error.h: filling a struct nori_error. */
#ifndef NW_ERROR_H
#define NW_ERROR_H

#include <nori/error.h>

/* Describe a failure in *error (NULL is a no-op), cutting the message to fit. If os_errno is not 0,
 * ": " and the system's text for it are appended. Returns code. */
__attribute__((format(printf, 5, 6))) int nw_error_set(struct nori_error *error, int code,
                                                       int os_errno, struct nori_position position,
                                                       const char *format, ...);

/* Copy *source to *target, of which the caller's size says how much there is; NULL target is
 * a no-op. */
void nw_error_copy(struct nori_error *target, const struct nori_error *source);

/* An error that describes nothing yet: NORI_ERROR_INIT without its message, for hot paths. */
static inline void nw_error_begin(struct nori_error *error)
{
    error->size = sizeof *error;
    error->code = NORI_OK;
    error->message[0] = '\0';
}

#define NW_NOWHERE ((struct nori_position){0, 0})

#endif
