/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_tool.c: bytes as the input of nori append --json. Lines come out of the buffer as they went
 * in, however they lie in it, and the fast parser takes no line that the full one understands
 * otherwise.
 *
 * Input: the buffer's first size u8, then the lines.
 */
#include "fuzz.h"

#include "input.h"
#include "json_record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)32 << 10) /* fits a pipe */

static bool is_same_piece(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool is_same(const struct nori_record *a, const struct nori_record *b)
{
    return is_same_piece(a->key, a->key_len, b->key, b->key_len) &&
           is_same_piece(a->value, a->value_len, b->value, b->value_len) && a->flags == b->flags &&
           a->compression == b->compression &&
           (!(a->flags & NORI_RECORD_TTL) || a->ttl_ms == b->ttl_ms) &&
           (!(a->flags & NORI_RECORD_TIME) || a->time_ms == b->time_ms) &&
           (!(a->flags & NORI_RECORD_VERSION) ||
            (a->version_term == b->version_term && a->version_index == b->version_index));
}

/* Is a member a number of 2^64 or more? Digits behind a name, as a plain line has them. */
static bool has_number_out_of_range(const char *line, size_t len)
{
    static const char max[] = "18446744073709551615";

    for (size_t i = 0; i + 2 < len; i++) {
        size_t begin = i + 2;
        size_t end = begin;

        if (memcmp(line + i, "\":", 2) != 0)
            continue;
        while (end < len && line[end] >= '0' && line[end] <= '9')
            end++;
        if (end - begin > sizeof max - 1 ||
            (end - begin == sizeof max - 1 && memcmp(line + begin, max, sizeof max - 1) > 0))
            return true;
    }
    return false;
}

/* Both ways to read a line agree. A newline before it keeps it from the fast one. */
static void check_line(const char *line, size_t len)
{
    char problem[CLI_JSON_PROBLEM_SIZE] = "";
    char *plain = malloc(len + 1);
    char *full = malloc(len + 1);
    struct nori_record fast = {0};
    struct nori_record slow = {0};
    bool is_plain, is_good;

    memcpy(plain, line, len);
    memcpy(full + 1, line, len);
    full[0] = '\n';
    is_plain = cli_json_scan(plain, len, &fast);
    fuzz_check(is_plain || memcmp(plain, line, len) == 0, "a line was refused, but changed");
    is_good = cli_json_record(full, len + 1, &slow, problem);
    fuzz_check(is_good || problem[0] != '\0', "a line is refused without a reason");
    if (is_plain && !is_good) /* the one known difference: numbers from 2^63 on, below 2^64 */
        fuzz_check(strstr(problem, "too big") && !has_number_out_of_range(line, len),
                   "a plain line is refused: %s", problem);
    if (is_plain && is_good)
        fuzz_check(is_same(&fast, &slow), "a plain line means two records");
    free(plain);
    free(full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input source = {data, len};
    struct cli_input input = {.size = 1 + (size_t)fuzz_number(&source, 1), .size_max = INPUT_MAX};
    size_t given = source.left < INPUT_MAX ? source.left : INPUT_MAX;
    size_t at = 0;
    int ends[2];
    char *line;
    size_t line_len;

    fuzz_check(pipe(ends) == 0 && write(ends[1], source.at, given) == (ssize_t)given, "no pipe");
    (void)close(ends[1]);
    input.fd = ends[0];
    input.bytes = malloc(input.size);
    do {
        while (cli_input_next(&input, &line, &line_len)) {
            fuzz_check(at + line_len <= given && memcmp(line, source.at + at, line_len) == 0,
                       "a line came out otherwise than it went in");
            check_line(line, line_len);
            at += line_len + 1;
        }
    } while (!input.is_at_end && cli_input_fill(&input, input.line_begin) == CLI_INPUT_OK);
    fuzz_check(at >= given || !input.is_at_end, "%zu of %zu bytes came out", at, given);
    cli_input_done(&input);
    (void)close(ends[0]);
    return 0;
}
