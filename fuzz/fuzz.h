/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz.h: what the fuzz targets share: taking an input apart, and saying that a promise is broken.
 *
 * A target is LLVMFuzzerTestOneInput in a file fuzz_NAME.c. It decides by its input alone: the same
 * bytes give the same run.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* An input that is taken from the front. Once it is used up, numbers are 0 and pieces empty. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

const uint8_t *fuzz_take(struct fuzz_input *input, size_t len, size_t *ret_len); /* at most len */
uint64_t fuzz_number(struct fuzz_input *input, size_t len); /* little-endian, of len bytes */

/* Print a sentence and abort, which a fuzzer takes for a finding, unless the condition holds. */
__attribute__((format(printf, 2, 3))) void fuzz_check(bool condition, const char *format, ...);

#endif
