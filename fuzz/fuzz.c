/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz.c: what the fuzz targets share. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const uint8_t *fuzz_take(struct fuzz_input *input, size_t len, size_t *ret_len)
{
    const uint8_t *taken = input->at;

    *ret_len = len < input->left ? len : input->left;
    if (*ret_len > 0)
        input->at += *ret_len;
    input->left -= *ret_len;
    return taken;
}

uint64_t fuzz_number(struct fuzz_input *input, size_t len)
{
    size_t got;
    const uint8_t *bytes = fuzz_take(input, len, &got);
    uint64_t number = 0;

    for (size_t i = got; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

void fuzz_check(bool condition, const char *format, ...)
{
    va_list arguments;

    if (condition)
        return;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    abort();
}
