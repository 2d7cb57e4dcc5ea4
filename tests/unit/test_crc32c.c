/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The portable version is compiled here a second time under other names. So it is held against the
 * one in the library, and both against the definition, on every machine.
 */
#include "base/bytes.h"
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t table_crc32c(uint32_t crc, const void *data, size_t len);
uint32_t table_crc32c_copy(uint32_t crc, void *target, const void *source, size_t len);
const char *table_crc32c_implementation(void);

#define nw_crc32c                table_crc32c
#define nw_crc32c_copy           table_crc32c_copy
#define nw_crc32c_implementation table_crc32c_implementation
#include "base/crc32c_table.c"
#undef nw_crc32c
#undef nw_crc32c_copy
#undef nw_crc32c_implementation

typedef uint32_t (*crc32c_function)(uint32_t crc, const void *data, size_t len);

static const crc32c_function functions[] = {nw_crc32c, table_crc32c};

#define FUNCTION_COUNT (sizeof functions / sizeof *functions)

/* CRC-32C as it is defined, one bit at a time. */
static uint32_t defined_crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void fill_random(uint8_t *target, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        target[i] = (uint8_t)nw_splitmix64(seed + i);
}

/* The check value, and the examples of RFC 3720, B.4. */
static void published_values_hold(void **state)
{
    uint8_t zeros[32], ones[32], up[32], down[32];

    (void)state;
    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        assert_int_equal(functions[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(functions[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(functions[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(functions[i](0, up, 32), 0x46dd794e);
        assert_int_equal(functions[i](0, down, 32), 0x113fdb5c);
        assert_int_equal(functions[i](0, zeros, 3), 0x6064a37a);
    }
}

static void nothing_added_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        assert_int_equal(functions[i](0, NULL, 0), 0);
        assert_int_equal(functions[i](0xe3069283, "x", 0), 0xe3069283);
    }
}

static void every_length_and_alignment_agrees_with_the_definition(void **state)
{
    enum {
        LEN_MAX = 300
    };
    uint8_t memory[16 + LEN_MAX];

    (void)state;
    fill_random(memory, sizeof memory, 1);
    for (size_t shift = 0; shift < 16; shift++) {
        for (size_t len = 0; len <= LEN_MAX; len++) {
            uint32_t expected = defined_crc32c(0, memory + shift, len);

            for (size_t i = 0; i < FUNCTION_COUNT; i++)
                assert_int_equal(functions[i](0, memory + shift, len), expected);
        }
    }
}

static void long_random_pieces_agree(void **state)
{
    const size_t len_max = (size_t)256 * 1024;
    uint8_t *memory = malloc(len_max);

    (void)state;
    assert_non_null(memory);
    fill_random(memory, len_max, 2);
    for (uint64_t i = 0; i < 500; i++) {
        size_t start = (size_t)(nw_splitmix64(3 * i) % len_max);
        size_t len = (size_t)(nw_splitmix64(3 * i + 1) % (len_max - start));
        uint32_t crc = (uint32_t)nw_splitmix64(3 * i + 2);

        assert_int_equal(nw_crc32c(crc, memory + start, len),
                         table_crc32c(crc, memory + start, len));
    }
    free(memory);
}

static void a_checksum_is_the_same_in_two_pieces_cut_anywhere(void **state)
{
    uint8_t bytes[150];

    (void)state;
    fill_random(bytes, sizeof bytes, 4);
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        uint32_t whole = functions[i](0, bytes, sizeof bytes);

        for (size_t cut = 0; cut <= sizeof bytes; cut++) {
            uint32_t first = functions[i](0, bytes, cut);

            assert_int_equal(functions[i](first, bytes + cut, sizeof bytes - cut), whole);
        }
    }
}

/* ISA-L counts in an int. Here the pieces are small and chained, in the library they are large. */
static void more_bytes_than_32_bits_count_are_all_read(void **state)
{
    const uint64_t wanted = (UINT64_C(1) << 32) + 5;
    const size_t len = (size_t)wanted, piece_len = (size_t)1 << 24;
    uint32_t chained = 0;
    uint8_t *bytes;

    (void)state;
    if (len != wanted || strcmp(nw_crc32c_implementation(), "isa-l") != 0)
        skip();
    bytes = calloc(1, len); /* only zeros: costs next to no memory */
    if (!bytes)
        skip();
    bytes[0] = 'a';
    bytes[len - 1] = 'z';
    for (size_t at = 0; at < len; at += piece_len)
        chained = nw_crc32c(chained, bytes + at, len - at < piece_len ? len - at : piece_len);
    assert_int_equal(nw_crc32c(0, bytes, len), chained);
    free(bytes);
}

static void each_version_tells_its_name(void **state)
{
    const char *name = nw_crc32c_implementation();

    (void)state;
    assert_true(strcmp(name, "isa-l") == 0 || strcmp(name, "table") == 0);
    assert_string_equal(table_crc32c_implementation(), "table");
}

/* A record whose copy and checksum do not agree would be lost when the log is opened again. */
static void a_copy_is_summed_as_it_lies(void **state)
{
    uint8_t source[300 + 16], target[300 + 16 + 1];

    (void)state;
    fill_random(source, sizeof source, 7);
    for (size_t len = 0; len <= 300; len++) {
        for (size_t shift = 0; shift < 16; shift++) {
            const uint8_t *from = source + shift;
            uint8_t *to = target + 15 - shift;
            uint32_t expected = defined_crc32c(9, from, len);

            memset(target, 0xaa, sizeof target);
            assert_int_equal(nw_crc32c_copy(9, to, from, len), expected);
            assert_memory_equal(to, from, len);
            assert_int_equal(to[len], 0xaa);
            memset(target, 0xaa, sizeof target);
            assert_int_equal(table_crc32c_copy(9, to, from, len), expected);
            assert_memory_equal(to, from, len);
            assert_int_equal(to[len], 0xaa);
        }
    }
    assert_int_equal(nw_crc32c_copy(9, NULL, NULL, 0), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_hold),
        cmocka_unit_test(a_copy_is_summed_as_it_lies),
        cmocka_unit_test(nothing_added_changes_nothing),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(long_random_pieces_agree),
        cmocka_unit_test(a_checksum_is_the_same_in_two_pieces_cut_anywhere),
        cmocka_unit_test(more_bytes_than_32_bits_count_are_all_read),
        cmocka_unit_test(each_version_tells_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
