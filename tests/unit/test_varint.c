/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/bytes.h"
#include "base/scan.h"
#include "base/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void known_values_have_known_bytes(void **state)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t len;
    } rows[] = {
        {0, "\x00", 1},
        {1, "\x01", 1},
        {127, "\x7f", 1},
        {128, "\x80\x01", 2},
        {300, "\xac\x02", 2},
        {1500, "\xdc\x0b", 2},
        {16383, "\xff\x7f", 2},
        {16384, "\x80\x80\x01", 3},
        {UINT32_MAX, "\xff\xff\xff\xff\x0f", 5},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[NW_VARINT_MAX];

        assert_int_equal(nw_varint_len(rows[i].value), rows[i].len);
        assert_ptr_equal(nw_varint_put(bytes, rows[i].value), bytes + rows[i].len);
        assert_memory_equal(bytes, rows[i].bytes, rows[i].len);
    }
}

/* At both sides of every power of two, where the length may change. */
static void every_length_is_the_shortest(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;

        assert_int_equal(nw_varint_len(value), bit / 7 + 1);
        assert_int_equal(nw_varint_len(value - 1), bit == 0 ? 1 : (bit - 1) / 7 + 1);
    }
}

static void check_round_trip(uint64_t value)
{
    uint8_t bytes[NW_VARINT_MAX + 1];
    size_t len = nw_varint_len(value);
    struct nw_scan scan;

    memset(bytes, 0xa5, sizeof bytes);
    assert_ptr_equal(nw_varint_put(bytes, value), bytes + len);
    assert_int_equal(bytes[len], 0xa5); /* not a byte more was written */
    assert_true(bytes[len - 1] != 0 || len == 1);

    scan = nw_scan_over(bytes, len);
    assert_int_equal(nw_scan_varint(&scan), value);
    assert_false(scan.is_short || scan.is_bad);
    assert_ptr_equal(scan.at, bytes + len);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;

        check_round_trip(value - 1);
        check_round_trip(value);
        check_round_trip(value + 1);
    }
    for (uint64_t i = 0; i < 100000; i++)
        check_round_trip(nw_splitmix64(i) >> (i % 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_known_bytes),
        cmocka_unit_test(every_length_is_the_shortest),
        cmocka_unit_test(what_is_written_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
