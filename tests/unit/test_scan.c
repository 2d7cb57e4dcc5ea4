/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* After a failure nothing is left, and every call gives zero or NULL and changes nothing. */
static void check_failed_for_good(struct nw_scan *scan)
{
    struct nw_scan before = *scan;

    assert_true(scan->is_short != scan->is_bad);
    assert_ptr_equal(scan->at, scan->end);
    assert_int_equal(nw_scan_u8(scan), 0);
    assert_int_equal(nw_scan_u32(scan), 0);
    assert_int_equal(nw_scan_u64(scan), 0);
    assert_int_equal(nw_scan_varint(scan), 0);
    assert_null(nw_scan_bytes(scan, 0));
    assert_null(nw_scan_bytes(scan, 1));
    assert_ptr_equal(scan->at, before.at);
    assert_int_equal(scan->is_short, before.is_short);
    assert_int_equal(scan->is_bad, before.is_bad);
}

static void values_are_taken_from_the_front_in_order(void **state)
{
    static const uint8_t bytes[] = {7,    0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14,
                                    0x15, 0x16, 0x17, 0x18, 0xac, 0x02, 'a',  'b',  'c'};
    struct nw_scan scan = nw_scan_over(bytes, sizeof bytes);
    const uint8_t *text;

    (void)state;
    assert_int_equal(nw_scan_u8(&scan), 7);
    assert_int_equal(nw_scan_u32(&scan), 0x04030201);
    assert_int_equal(nw_scan_u64(&scan), UINT64_C(0x1817161514131211));
    assert_int_equal(nw_scan_varint(&scan), 300);
    text = nw_scan_bytes(&scan, 3);
    assert_ptr_equal(text, bytes + 15);
    assert_ptr_equal(scan.at, scan.end);
    assert_false(scan.is_short || scan.is_bad);
}

static void an_empty_scan_is_no_failure_until_something_is_wanted(void **state)
{
    struct nw_scan scan = nw_scan_over(NULL, 0);

    (void)state;
    assert_false(scan.is_short || scan.is_bad);
    (void)nw_scan_bytes(&scan, 0);
    assert_false(scan.is_short || scan.is_bad);
    assert_int_equal(nw_scan_u8(&scan), 0);
    assert_true(scan.is_short);
    check_failed_for_good(&scan);
}

/* The bytes stand at the very end of their memory, so that a sanitizer sees a read beyond. */
static void every_value_cut_short_is_short(void **state)
{
    (void)state;
    for (size_t len = 0; len < 10; len++) {
        uint8_t *bytes = malloc(len > 0 ? len : 1);
        struct nw_scan scan;

        assert_non_null(bytes);
        memset(bytes, 0xff, len);

        scan = nw_scan_over(bytes, len);
        assert_int_equal(nw_scan_u32(&scan), len < 4 ? 0 : UINT32_MAX);
        assert_int_equal(scan.is_short, len < 4);
        if (len < 4)
            check_failed_for_good(&scan);

        scan = nw_scan_over(bytes, len);
        assert_int_equal(nw_scan_u64(&scan), len < 8 ? 0 : UINT64_MAX);
        assert_int_equal(scan.is_short, len < 8);

        scan = nw_scan_over(bytes, len);
        assert_int_equal(nw_scan_varint(&scan), 0);
        assert_true(scan.is_short); /* nine bytes may still become a varint */
        check_failed_for_good(&scan);
        free(bytes);
    }
}

static void no_length_is_too_large_to_be_refused(void **state)
{
    static const uint64_t lens[] = {4, 5, SIZE_MAX - 1, SIZE_MAX, UINT64_MAX - 1, UINT64_MAX};
    static const uint8_t bytes[3] = {1, 2, 3};

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct nw_scan scan = nw_scan_over(bytes, sizeof bytes);

        assert_null(nw_scan_bytes(&scan, lens[i]));
        assert_true(scan.is_short);
        check_failed_for_good(&scan);
    }
}

static void a_varint_longer_than_shortest_is_accepted(void **state)
{
    static const uint8_t bytes[] = {0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};

    (void)state;
    for (size_t len = 2; len <= sizeof bytes; len++) {
        uint8_t padded[sizeof bytes];
        struct nw_scan scan;

        memcpy(padded, bytes, len);
        padded[len - 1] = 0; /* 5, and zeros on top of it */
        scan = nw_scan_over(padded, len);
        assert_int_equal(nw_scan_varint(&scan), 5);
        assert_false(scan.is_short || scan.is_bad);
        assert_ptr_equal(scan.at, padded + len);
    }
}

/* The tenth byte has room for one bit, and nothing may follow it. */
static void a_varint_over_64_bits_is_bad(void **state)
{
    uint8_t bytes[12];

    (void)state;
    memset(bytes, 0x80, sizeof bytes);
    for (unsigned last = 0; last <= UINT8_MAX; last++) {
        struct nw_scan scan = nw_scan_over(bytes, sizeof bytes);
        uint64_t value;

        bytes[9] = (uint8_t)last;
        value = nw_scan_varint(&scan);
        assert_int_equal(scan.is_bad, last > 1);
        assert_false(scan.is_short);
        assert_int_equal(value, last == 1 ? UINT64_C(1) << 63 : 0);
        if (last > 1)
            check_failed_for_good(&scan);
        else
            assert_ptr_equal(scan.at, bytes + 10);
    }
}

static void a_varint_of_eleven_bytes_is_bad(void **state)
{
    static const uint8_t bytes[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                    0x80, 0x80, 0x80, 0x80, 0x00};
    struct nw_scan scan = nw_scan_over(bytes, sizeof bytes);

    (void)state;
    assert_int_equal(nw_scan_varint(&scan), 0);
    assert_true(scan.is_bad);
    check_failed_for_good(&scan);
}

static void a_bad_varint_is_bad_also_where_the_bytes_end(void **state)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct nw_scan scan = nw_scan_over(bytes, sizeof bytes);

    (void)state;
    assert_int_equal(nw_scan_varint(&scan), 0);
    assert_true(scan.is_bad);
    assert_false(scan.is_short);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_from_the_front_in_order),
        cmocka_unit_test(an_empty_scan_is_no_failure_until_something_is_wanted),
        cmocka_unit_test(every_value_cut_short_is_short),
        cmocka_unit_test(no_length_is_too_large_to_be_refused),
        cmocka_unit_test(a_varint_longer_than_shortest_is_accepted),
        cmocka_unit_test(a_varint_over_64_bits_is_bad),
        cmocka_unit_test(a_varint_of_eleven_bytes_is_bad),
        cmocka_unit_test(a_bad_varint_is_bad_also_where_the_bytes_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
