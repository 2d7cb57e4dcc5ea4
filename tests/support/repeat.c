/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* repeat.c: the line that repeats a failure. */
#include "repeat.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SHARE_SANITIZED 5 /* percent */

#if defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SHARE_DEFAULT SHARE_SANITIZED
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SHARE_DEFAULT SHARE_SANITIZED
#endif
#ifndef SHARE_DEFAULT
#    define SHARE_DEFAULT 100
#endif

static char line[256];

static void on_abort(int number)
{
    ssize_t ignored = write(STDERR_FILENO, "\n", 1); /* cmocka's last line has no end */

    (void)ignored;
    repeat_print();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

void repeat_with(const char *format, ...)
{
    static const char begin[] = "repeat: ";
    va_list arguments;
    size_t len;

    if (line[0] == '\0')
        (void)signal(SIGABRT, on_abort);
    memcpy(line, begin, sizeof begin);
    va_start(arguments, format);
    (void)vsnprintf(line + sizeof begin - 1, sizeof line - sizeof begin - 1, format, arguments);
    va_end(arguments);
    len = strlen(line);
    memcpy(line + len, "\n", 2);
}

void repeat_catch(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)signal(numbers[i], on_abort);
}

void repeat_print(void)
{
    ssize_t ignored = write(STDERR_FILENO, line, strlen(line));

    (void)ignored;
}

uint64_t repeat_share(uint64_t count)
{
    const char *text = getenv("NORI_SHARE");
    uint64_t percent = text ? strtoull(text, NULL, 10) : SHARE_DEFAULT;

    return count * percent / 100 > 0 ? count * percent / 100 : 1;
}

double repeat_now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_of(int who)
{
    struct rusage usage;

    (void)getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double repeat_cpu(void)
{
    return cpu_of(RUSAGE_SELF);
}

double repeat_children_cpu(void)
{
    return cpu_of(RUSAGE_CHILDREN);
}
