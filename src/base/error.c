/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * error.c: names and sentences for result codes, and descriptions of failures.
 *
 * What. One table gives each code its name and its text. A description is made whole in our own
 * struct nori_error and then copied, as much of it as the caller's size says there is room for: a
 * program built with an older, smaller struct stays safe, and the arguments of a message may come
 * from the very struct that is being filled.
 */
#include "base/error.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef NORI_VERSION_STRING
#    define NORI_VERSION_STRING "0.1.0"
#endif

/* clang-format off */
#define RESULTS(X)                                                                                 \
    X(NORI_OK,            "success")                                                               \
    X(NORI_END,           "the end of the log is reached, for now")                                \
    X(NORI_E_INVALID,     "an argument is not allowed")                                            \
    X(NORI_E_NOMEM,       "no memory is left")                                                     \
    X(NORI_E_IO,          "the operating system reported an error")                                \
    X(NORI_E_NOSPACE,     "no space is left")                                                      \
    X(NORI_E_CORRUPT,     "the log is damaged")                                                    \
    X(NORI_E_VERSION,     "the log was written by a newer version")                                \
    X(NORI_E_LOCKED,      "another writer has the log open")                                       \
    X(NORI_E_NOTFOUND,    "no log, no segment or no record is there")                              \
    X(NORI_E_TOOBIG,      "the record is larger than allowed")                                     \
    X(NORI_E_CLOSED,      "the log was closed")                                                    \
    X(NORI_E_FAILED,      "the log failed earlier and must be reopened")                           \
    X(NORI_E_UNSUPPORTED, "this log, format or build does not offer that")                         \
    X(NORI_E_TIMEOUT,     "the time given is over")                                                \
    X(NORI_E_READONLY,    "the folder cannot be written")                                          \
    X(NORI_E_TRUNCATED,   "the records to read were removed meanwhile")
/* clang-format on */

#define TEXT_CASE(name, text) \
    case name:                \
        return text;
#define NAME_CASE(name, text) \
    case name:                \
        return #name;

const char *nori_strerror(int code)
{
    switch (code) {
        RESULTS(TEXT_CASE)
    default:
        return "unknown result";
    }
}

const char *nori_error_name(int code)
{
    switch (code) {
        RESULTS(NAME_CASE)
    default:
        return "NORI_E_UNKNOWN";
    }
}

const char *nori_version(void)
{
    return NORI_VERSION_STRING;
}

/* Append ": " and the system's text for os_errno to a message, cutting it to fit. */
static void append_os_text(char *message, size_t message_size, int os_errno)
{
    char text[128] = "";
    size_t len = strlen(message);

    nw_assert(len < message_size);
    if (strerror_r(os_errno, text, sizeof text) != 0 || text[0] == '\0')
        (void)snprintf(text, sizeof text, "error %d", os_errno);
    (void)snprintf(message + len, message_size - len, ": %s", text);
}

int nw_error_set(struct nori_error *error, int code, int os_errno, struct nori_position position,
                 const char *format, ...)
{
    struct nori_error full = {
        .size = sizeof full, .code = code, .os_errno = os_errno, .position = position};
    va_list arguments;

    if (!error)
        return code;
    va_start(arguments, format);
    if (vsnprintf(full.message, sizeof full.message, format, arguments) < 0)
        full.message[0] = '\0'; /* a message that cannot be written must not hide the code */
    va_end(arguments);
    if (os_errno != 0)
        append_os_text(full.message, sizeof full.message, os_errno);
    nw_error_copy(error, &full);
    return code;
}

void nw_error_copy(struct nori_error *target, const struct nori_error *source)
{
    const size_t first = offsetof(struct nori_error, code); /* size before it stays the caller's */
    const size_t message = offsetof(struct nori_error, message);
    size_t size;
    char *bytes = (char *)target;

    if (!target || target == source || target->size <= first)
        return;
    size = (size_t)nw_min_u64(target->size, sizeof *source);
    memcpy(bytes + first, (const char *)source + first, size - first);
    if (size > message)
        bytes[size - 1] = '\0'; /* cut, but still a string */
    if (target->size > size)
        memset(bytes + size, 0, target->size - size); /* fields that we do not know */
}
