/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* generated.c: comparing a block of a document with what the code says, or writing it. */
#include "generated.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must_alloc(void *memory)
{
    if (!memory) {
        fputs("generated: no memory\n", stderr);
        exit(99);
    }
    return memory;
}

/* Make room for len more bytes and a zero behind them. */
static void reserve(struct text *text, size_t len)
{
    if (text->capacity - text->len > len)
        return;
    text->capacity = (text->capacity + len + 1) * 2;
    text->data = must_alloc(realloc(text->data, text->capacity));
}

static void add_bytes(struct text *text, const char *bytes, size_t len)
{
    reserve(text, len);
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(text, (size_t)len);
    va_start(arguments, format);
    (void)vsnprintf(text->data + text->len, (size_t)len + 1, format, arguments);
    va_end(arguments);
    text->len += (size_t)len;
}

void text_free(struct text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

static int read_document(const char *path, struct text *document)
{
    char chunk[4096];
    size_t got;
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        return -1;
    }
    add_bytes(document, "", 0);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        add_bytes(document, chunk, got);
    (void)fclose(file);
    return 0;
}

static int write_document(const char *path, const struct text *document)
{
    FILE *file = fopen(path, "wb");
    int rc = 0;

    if (!file) {
        perror(path);
        return -1;
    }
    if (fwrite(document->data, 1, document->len, file) != document->len)
        rc = -1;
    if (fclose(file) != 0)
        rc = -1;
    if (rc < 0)
        perror(path);
    return rc;
}

/* Where the block's text begins and ends; -1 if a marker is missing. */
static int find_block(const struct text *document, const char *path, const char *name,
                      size_t *ret_begin, size_t *ret_end)
{
    char marker[128];
    const char *begin;
    const char *end;

    (void)snprintf(marker, sizeof marker, "<!-- generated: %s -->\n", name);
    begin = strstr(document->data, marker);
    if (begin) {
        begin += strlen(marker);
        (void)snprintf(marker, sizeof marker, "<!-- end of %s -->\n", name);
        end = strstr(begin, marker);
        if (end) {
            *ret_begin = (size_t)(begin - document->data);
            *ret_end = (size_t)(end - document->data);
            return 0;
        }
    }
    fprintf(stderr, "%s: the markers of block %s are missing\n", path, name);
    return -1;
}

static int compare(const char *path, const char *name, const char *have, size_t have_len,
                   const char *want)
{
    size_t at = 0;
    unsigned line = 1;

    if (have_len == strlen(want) && memcmp(have, want, have_len) == 0)
        return 0;
    for (size_t i = 0; i < have_len && want[i] != '\0' && have[i] == want[i]; i++) {
        if (have[i] == '\n') {
            at = i + 1;
            line++;
        }
    }
    fprintf(stderr, "%s: block %s differs from the code in its line %u\n", path, name, line);
    fprintf(stderr, "  there: %.*s\n", (int)strcspn(have + at, "\n"), have + at);
    fprintf(stderr, "  code:  %.*s\n", (int)strcspn(want + at, "\n"), want + at);
    fprintf(stderr, "  run this program with NORI_DOCS_REWRITE=1 to write the block anew\n");
    return -1;
}

int generated_block(const char *path, const char *name, const char *text)
{
    const char *root = getenv("NORI_SOURCE_ROOT");
    struct text full_path = {0};
    struct text document = {0};
    size_t begin;
    size_t end;
    int rc;

    text_add(&full_path, "%s/%s", root ? root : ".", path);
    rc = read_document(full_path.data, &document);
    if (rc == 0)
        rc = find_block(&document, full_path.data, name, &begin, &end);
    if (rc == 0 && !getenv("NORI_DOCS_REWRITE")) {
        rc = compare(full_path.data, name, document.data + begin, end - begin, text);
    } else if (rc == 0) {
        struct text renewed = {0};

        add_bytes(&renewed, document.data, begin);
        add_bytes(&renewed, text, strlen(text));
        add_bytes(&renewed, document.data + end, document.len - end);
        rc = write_document(full_path.data, &renewed);
        text_free(&renewed);
    }
    text_free(&document);
    text_free(&full_path);
    return rc;
}
