/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/error.h: result codes, positions and error descriptions.
 *
 * Every function of the library returns NORI_OK (0), a positive answer where that is documented, or
 * one of the negative NORI_E_* codes below. Codes are only ever added, never renumbered. Each
 * stands for a different thing that the caller can do about it.
 */
#ifndef NORI_ERROR_H
#define NORI_ERROR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports; everything else is hidden. */
#if defined(__GNUC__)
#    define NORI_API __attribute__((visibility("default")))
#else
#    define NORI_API
#endif

#define NORI_OK  0
#define NORI_END 1 /* a reader is at the end of the log, for now */

enum {
    NORI_E_INVALID = -1, /* an argument is not allowed; nothing changed */
    NORI_E_NOMEM = -2,   /* no memory; nothing changed */
    NORI_E_IO = -3,      /* the operating system reported an error: see os_errno */
    /* no space, quota or file size limit; nothing changed; works again once there is room */
    NORI_E_NOSPACE = -4,
    NORI_E_CORRUPT = -5,      /* bytes that were durable are damaged or missing */
    NORI_E_VERSION = -6,      /* written by a newer version: upgrade to read it; not damage */
    NORI_E_LOCKED = -7,       /* another writer has this log open */
    NORI_E_NOTFOUND = -8,     /* no log, no segment or no record there */
    NORI_E_TOOBIG = -9,       /* over max_record_size; nothing changed */
    NORI_E_CLOSED = -10,      /* the log was closed while the call waited */
    NORI_E_FAILED = -11,      /* an earlier sync or write failed: reopen the log to recover */
    NORI_E_UNSUPPORTED = -12, /* this log, format or build does not offer that; nothing changed */
    NORI_E_TIMEOUT = -13,     /* the time given is over */
    NORI_E_READONLY = -14,    /* the folder or file system cannot be written */
    /* retention or truncation removed what the reader was about to read */
    NORI_E_TRUNCATED = -15
};

/* A sentence for a code, such as "no space is left". Never NULL; static memory. Any thread. */
NORI_API const char *nori_strerror(int code);

/* The name of a code, such as "NORI_E_IO"; "NORI_E_UNKNOWN" for anything else. Never NULL;
 * static memory. */
NORI_API const char *nori_error_name(int code);

/* The version of the library, such as "0.1.0". Static memory. */
NORI_API const char *nori_version(void);

/*
 * A place in the log: a segment and the offset in bytes from the beginning of its file. Ordered by
 * segment_id, then offset; stable for ever. {0, 0} as an argument means the oldest record there is.
 */
struct nori_position {
    uint64_t segment_id;
    uint64_t offset; /* bytes */
};

/* What went wrong, where and why. The caller sets it up with NORI_ERROR_INIT; functions write it
 * on failure only. */
struct nori_error {
    size_t size;                   /* sizeof(struct nori_error), set by NORI_ERROR_INIT */
    int32_t code;                  /* NORI_E_* */
    int32_t os_errno;              /* the operating system's errno; 0 if it had no part in it */
    struct nori_position position; /* where, if it is about a place; else {0, 0} */
    char message[256];             /* "append: write 000007.wal at 4096: No space left on device" */
};
#define NORI_ERROR_INIT                          \
    {                                            \
        sizeof(struct nori_error), 0, 0, {0, 0}, \
        {                                        \
            0                                    \
        }                                        \
    }

#ifdef __cplusplus
}
#endif

#endif
