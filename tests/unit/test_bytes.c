/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GAMMA UINT64_C(0x9e3779b97f4a7c15) /* the step of the generator */

static void numbers_stand_lowest_byte_first(void **state)
{
    uint8_t bytes[8];

    (void)state;
    nw_put_u16(bytes, 0x0102);
    assert_memory_equal(bytes, "\x02\x01", 2);
    nw_put_u32(bytes, 0xf1020304);
    assert_memory_equal(bytes, "\x04\x03\x02\xf1", 4);
    nw_put_u64(bytes, UINT64_C(0xf102030405060708));
    assert_memory_equal(bytes, "\x08\x07\x06\x05\x04\x03\x02\xf1", 8);
}

static void numbers_come_back_with_every_bit(void **state)
{
    uint8_t bytes[8];

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = UINT64_C(1) << bit;

        nw_put_u16(bytes, (uint16_t)v);
        assert_int_equal(nw_get_u16(bytes), (uint16_t)v);
        nw_put_u32(bytes, (uint32_t)v);
        assert_int_equal(nw_get_u32(bytes), (uint32_t)v);
        nw_put_u64(bytes, v);
        assert_int_equal(nw_get_u64(bytes), v);
        nw_put_u64(bytes, ~v);
        assert_int_equal(nw_get_u64(bytes), ~v);
    }
}

static void a_sum_that_does_not_fit_is_told(void **state)
{
    uint64_t sum = 0;

    (void)state;
    assert_false(nw_add_overflow(UINT64_MAX - 5, 5, &sum));
    assert_int_equal(sum, UINT64_MAX);
    assert_true(nw_add_overflow(UINT64_MAX - 5, 6, &sum));
    assert_true(nw_add_overflow(UINT64_MAX, UINT64_MAX, &sum));
}

static void the_smaller_and_the_larger_are_found(void **state)
{
    (void)state;
    assert_int_equal(nw_min_u64(1, UINT64_MAX), 1);
    assert_int_equal(nw_min_u64(UINT64_MAX, 1), 1);
    assert_int_equal(nw_max_u64(1, UINT64_MAX), UINT64_MAX);
    assert_int_equal(nw_max_u64(UINT64_MAX, 1), UINT64_MAX);
}

/* One non-zero byte at every place of every length up to a few blocks, at every alignment. */
static void the_last_non_zero_byte_is_found_wherever_it_is(void **state)
{
    enum {
        LEN_MAX = 200
    };

    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t len = 0; len <= LEN_MAX; len++) {
            uint8_t *memory = calloc(1, shift + len + 1);
            uint8_t *data = memory + shift;

            assert_non_null(memory);
            data[len] = 0xff; /* beyond: must not be looked at */
            assert_int_equal(nw_nonzero_len(data, len), 0);
            for (size_t at = 0; at < len; at++) {
                data[at] = 0x80; /* and everything before it stays so */
                assert_int_equal(nw_nonzero_len(data, len), at + 1);
            }
            free(memory);
        }
    }
}

static void a_long_run_of_zeros_ends_at_its_first_byte(void **state)
{
    const size_t len = (size_t)1 << 20;
    uint8_t *data = calloc(1, len);

    (void)state;
    assert_non_null(data);
    assert_int_equal(nw_nonzero_len(data, len), 0);
    data[12345] = 1;
    assert_int_equal(nw_nonzero_len(data, len), 12346);
    free(data);
}

/* The published sequence for the seed 0. */
static void splitmix64_gives_the_published_numbers(void **state)
{
    (void)state;
    assert_int_equal(nw_splitmix64(0), UINT64_C(0xe220a8397b1dcdaf));
    assert_int_equal(nw_splitmix64(GAMMA), UINT64_C(0x6e789e6aa1b965f4));
    assert_int_equal(nw_splitmix64(2 * GAMMA), UINT64_C(0x06c45d188009454f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_lowest_byte_first),
        cmocka_unit_test(numbers_come_back_with_every_bit),
        cmocka_unit_test(a_sum_that_does_not_fit_is_told),
        cmocka_unit_test(the_smaller_and_the_larger_are_found),
        cmocka_unit_test(the_last_non_zero_byte_is_found_wherever_it_is),
        cmocka_unit_test(a_long_run_of_zeros_ends_at_its_first_byte),
        cmocka_unit_test(splitmix64_gives_the_published_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
