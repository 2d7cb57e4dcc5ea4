/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* generated.h: blocks of the documentation that tests write and compare, so that they cannot drift
 * from the code. */
#ifndef GENERATED_H
#define GENERATED_H

#include <stddef.h>

/* Text that grows. Running out of memory ends the program. */
struct text {
    char *data; /* ends in a zero; NULL: nothing so far */
    size_t len;
    size_t capacity;
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format, ...);
void text_free(struct text *text);

/*
 * Does the block `name` of the document at `path` (from the root of the source, which the
 * environment variable NORI_SOURCE_ROOT names; "." if it is not set) hold this text? In the
 * document it stands between a line `<!-- generated: NAME -->` and a line `<!-- end of NAME -->`.
 * With NORI_DOCS_REWRITE in the environment the block is written instead of compared.
 *
 * 0: it does now. Else it prints the first line that differs, and how to rewrite the block.
 */
int generated_block(const char *path, const char *name, const char *text);

#endif
