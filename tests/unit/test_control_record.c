/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "format/control_record.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SALT   UINT64_C(0x0123456789abcdef)
#define LOG_ID UINT64_C(0x1122334455667788)

static const struct nw_mark sample = {
    .salt = SALT,
    .log_id = LOG_ID,
    .next_sequence = 42,
    .durable_lsn = 65536,
    .time_ms = UINT64_C(1700000000000),
};

/* The sample at offset 65664. */
static const uint8_t golden[NW_MARK_LEN] = {
    0x01, 0x28, 0x80, 0x01, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x88, 0x77, 0x66, 0x55,
    0x44, 0x33, 0x22, 0x11, 0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00, 0x6d, 0xce, 0xf2, 0x33,
};

#define GOLDEN_OFFSET 65664

static void check_same(const struct nw_mark *a, const struct nw_mark *b)
{
    assert_int_equal(a->salt, b->salt);
    assert_int_equal(a->log_id, b->log_id);
    assert_int_equal(a->next_sequence, b->next_sequence);
    assert_int_equal(a->durable_lsn, b->durable_lsn);
    assert_int_equal(a->time_ms, b->time_ms);
}

static int decode(const uint8_t *bytes, size_t len, uint64_t salt, uint64_t offset,
                  struct nw_stored_record *ret_record)
{
    const struct nw_record_place place = {.format = 2, .salt = salt, .offset = offset};
    struct nw_scan scan = nw_scan_over(bytes, len);

    return nw_record_decode(&scan, &place, 1000, ret_record);
}

/* ---- one record ---- */

static void a_golden_mark_is_written_byte_for_byte(void **state)
{
    uint8_t bytes[NW_MARK_LEN];

    (void)state;
    memset(bytes, 0xa5, sizeof bytes);
    nw_mark_encode(bytes, &sample, GOLDEN_OFFSET);
    assert_memory_equal(bytes, golden, sizeof golden);
}

static void a_golden_mark_is_read_back(void **state)
{
    struct nw_stored_record record;
    struct nw_mark mark;

    (void)state;
    assert_int_equal(decode(golden, sizeof golden, SALT, GOLDEN_OFFSET, &record), NORI_OK);
    assert_int_equal(record.len, NW_MARK_LEN);
    assert_int_equal(nw_control_decode(&record, SALT, &mark), NW_CONTROL_IS_MARK);
    check_same(&mark, &sample);
}

static void every_field_of_a_mark_comes_back(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        struct nw_mark mark = {.salt = nw_splitmix64(6 * i) | 1,
                               .log_id = nw_splitmix64(6 * i + 1),
                               .next_sequence = nw_splitmix64(6 * i + 2) >> 3,
                               .durable_lsn = nw_splitmix64(6 * i + 3),
                               .time_ms = nw_splitmix64(6 * i + 4)};
        uint64_t offset = nw_splitmix64(6 * i + 5);
        uint8_t bytes[NW_MARK_LEN];
        struct nw_stored_record record;
        struct nw_mark decoded;

        nw_mark_encode(bytes, &mark, offset);
        assert_int_equal(decode(bytes, sizeof bytes, mark.salt, offset, &record), NORI_OK);
        assert_int_equal(nw_control_decode(&record, mark.salt, &decoded), NW_CONTROL_IS_MARK);
        check_same(&decoded, &mark);
    }
}

static void a_mark_that_names_another_salt_is_corrupt(void **state)
{
    struct nw_stored_record record;
    struct nw_mark mark;

    (void)state;
    assert_int_equal(decode(golden, sizeof golden, SALT, GOLDEN_OFFSET, &record), NORI_OK);
    for (unsigned bit = 0; bit < 64; bit++)
        assert_int_equal(nw_control_decode(&record, SALT ^ UINT64_C(1) << bit, &mark),
                         NORI_E_CORRUPT);
}

static void a_mark_of_another_length_is_corrupt(void **state)
{
    static const uint8_t key[] = {NW_CONTROL_MARK, 0};
    uint8_t value[100] = {0};

    (void)state;
    nw_put_u64(value, SALT);
    for (uint64_t len = 0; len <= sizeof value; len++) {
        struct nw_stored_record record = {
            .flags = NW_FLAG_CONTROL, .key = key, .key_len = 1, .stored = value, .stored_len = len};
        struct nw_mark mark;

        assert_int_equal(nw_control_decode(&record, SALT, &mark),
                         len == NW_MARK_VALUE_LEN ? NW_CONTROL_IS_MARK : NORI_E_CORRUPT);
        record.key_len = 2;
        assert_int_equal(nw_control_decode(&record, SALT, &mark), NORI_E_CORRUPT);
    }
}

/* D12: a type that we do not know is not damage. */
static void every_type_is_known_skipped_or_of_a_newer_version(void **state)
{
    uint8_t value[NW_MARK_VALUE_LEN] = {0};

    (void)state;
    nw_put_u64(value, SALT);
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        uint8_t key[] = {(uint8_t)type, 0, 0};
        struct nw_stored_record record = {.flags = NW_FLAG_CONTROL,
                                          .key = key,
                                          .key_len = 1,
                                          .stored = value,
                                          .stored_len = sizeof value};
        struct nw_mark mark;
        int expected = NORI_E_VERSION;

        if (type == 1)
            expected = NW_CONTROL_IS_MARK;
        else if (type == 3)
            expected = NW_CONTROL_IS_HOLE;
        else if (type >= 128)
            expected = NW_CONTROL_IS_SKIP;
        assert_int_equal(nw_control_decode(&record, SALT, &mark), expected);
        record.key_len = 3;
        assert_int_equal(nw_control_decode(&record, SALT, &mark),
                         type == 1 ? NORI_E_CORRUPT : expected);
    }
}

static void a_control_record_without_a_type_is_corrupt(void **state)
{
    const struct nw_stored_record record = {.flags = NW_FLAG_CONTROL};
    struct nw_mark mark;

    (void)state;
    assert_int_equal(nw_control_decode(&record, SALT, &mark), NORI_E_CORRUPT);
}

/* ---- searching ---- */

static void check_found(const uint8_t *data, size_t len, uint64_t offset, size_t first, size_t last)
{
    struct nw_mark mark;

    assert_ptr_equal(nw_mark_find(data, len, offset, SALT, LOG_ID, &mark), data + first);
    assert_int_equal(mark.next_sequence, offset + first);
    assert_ptr_equal(nw_mark_find_any(data, len, offset, &mark), data + first);
    assert_ptr_equal(nw_mark_find_last(data, len, offset, SALT, LOG_ID, &mark), data + last);
    assert_int_equal(mark.next_sequence, offset + last);
}

static void check_none(const uint8_t *data, size_t len, uint64_t offset)
{
    struct nw_mark mark;

    assert_null(nw_mark_find(data, len, offset, SALT, LOG_ID, &mark));
    assert_null(nw_mark_find_last(data, len, offset, SALT, LOG_ID, &mark));
    assert_null(nw_mark_find_any(data, len, offset, &mark));
}

/* A mark whose next_sequence tells where it stands. */
static void put_mark(uint8_t *data, size_t at, uint64_t offset)
{
    struct nw_mark mark = sample;

    mark.next_sequence = offset + at;
    nw_mark_encode(data + at, &mark, offset + at);
}

/* In memory of exactly that size, so that a sanitizer sees a look beyond. */
static void a_mark_is_found_wherever_it_stands(void **state)
{
    const size_t len = 150;
    uint8_t *data = malloc(len);

    (void)state;
    assert_non_null(data);
    for (int filling = 0; filling <= UINT8_MAX; filling += 0x11) { /* 0xef and 0x88 are in it */
        for (size_t at = 0; at + NW_MARK_LEN <= len; at++) {
            memset(data, filling, len);
            put_mark(data, at, 1000);
            check_found(data, len, 1000, at, at);
            check_found(data, at + NW_MARK_LEN, 1000, at, at);
            check_none(data, at + NW_MARK_LEN - 1, 1000); /* not wholly in the data */
            check_none(data + at + 1, len - at - 1, 1000 + at + 1);
        }
    }
    free(data);
}

static void the_first_and_the_last_of_several_are_found(void **state)
{
    uint8_t data[500];

    (void)state;
    memset(data, 0xef, sizeof data); /* the first byte of the salt everywhere */
    for (size_t second = 60; second + 2 * NW_MARK_LEN <= sizeof data; second++) {
        memset(data, 0xef, sizeof data);
        put_mark(data, 3, 77);
        put_mark(data, second, 77);
        put_mark(data, second + NW_MARK_LEN, 77);
        check_found(data, sizeof data, 77, 3, second + NW_MARK_LEN);
        check_found(data, second + NW_MARK_LEN, 77, 3, second);
        check_found(data + 4, sizeof data - 4, 81, second - 4, second + NW_MARK_LEN - 4);
    }
}

/* Long enough for several windows of the backward search, with marks on and around their
 * borders. */
static void marks_are_found_in_long_data(void **state)
{
    const size_t len = (size_t)300 * 1024;
    const size_t border = len - NW_MARK_LEN + 1 - (size_t)64 * 1024; /* of the last window */
    uint8_t *data = calloc(1, len);

    (void)state;
    assert_non_null(data);
    check_none(data, len, 128);
    for (size_t at = border - 100; at < border + 100; at++) {
        put_mark(data, at, 128);
        check_found(data, len, 128, at, at);
        put_mark(data, 5, 128);
        check_found(data, len, 128, 5, at);
        memset(data + at, 0, NW_MARK_LEN);
        check_found(data, len, 128, 5, 5);
        memset(data + 5, 0, NW_MARK_LEN);
    }
    free(data);
}

static void a_search_in_too_few_bytes_finds_nothing(void **state)
{
    (void)state;
    check_none(NULL, 0, 0);
    for (size_t len = 0; len < NW_MARK_LEN; len++)
        check_none(golden, len, GOLDEN_OFFSET);
}

/* The sixteen bytes alone, as an application may have written them, and a mark that was moved. */
static void what_only_looks_like_a_mark_is_passed_over(void **state)
{
    uint8_t data[400] = {0};

    (void)state;
    memcpy(data + 50, golden + 4, 16);
    memcpy(data + 100, golden, sizeof golden); /* of another offset */
    check_none(data, sizeof data, 1000);
    put_mark(data, 200, 1000);
    memcpy(data + 300, golden, sizeof golden);
    memcpy(data + 352, golden, sizeof golden);
    check_found(data, sizeof data, 1000, 200, 200);
}

static void a_mark_with_any_bit_flipped_is_not_found(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof golden; bit++) {
        uint8_t data[sizeof golden];

        memcpy(data, golden, sizeof data);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_none(data, sizeof data, GOLDEN_OFFSET);
    }
}

/* A record of the application, or a control record of another type, that carries the very value and
 * verifies. */
static void a_record_that_is_not_a_mark_is_not_found(void **state)
{
    static const struct {
        uint8_t flags, key;
    } rows[] = {{0, NW_CONTROL_MARK}, {NW_FLAG_CONTROL, NW_CONTROL_HOLE}, {NW_FLAG_CONTROL, 200}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct nw_record_place place = {.format = 2, .salt = SALT, .offset = 1000};
        struct nw_stored_record record;
        uint8_t data[NW_MARK_LEN];

        memcpy(data, golden, sizeof data);
        data[2] = rows[i].flags;
        data[3] = rows[i].key;
        nw_put_u32(data + 44, nw_record_crc(&place, nw_crc32c(0, data, 44)));
        assert_int_equal(decode(data, sizeof data, SALT, 1000, &record), NORI_OK);
        check_none(data, sizeof data, 1000);
    }
}

static void a_mark_of_another_log_or_segment_is_not_found(void **state)
{
    struct nw_mark mark;

    (void)state;
    assert_ptr_equal(nw_mark_find(golden, sizeof golden, GOLDEN_OFFSET, SALT, LOG_ID, &mark),
                     golden);
    assert_null(nw_mark_find(golden, sizeof golden, GOLDEN_OFFSET, SALT, LOG_ID + 1, &mark));
    assert_null(nw_mark_find(golden, sizeof golden, GOLDEN_OFFSET, SALT + 1, LOG_ID, &mark));
    assert_null(nw_mark_find(golden, sizeof golden, GOLDEN_OFFSET + 1, SALT, LOG_ID, &mark));
    assert_null(nw_mark_find_last(golden, sizeof golden, GOLDEN_OFFSET, SALT, LOG_ID + 1, &mark));
}

/* The search looks for a byte of the salt that is not zero: here it is the first, a later, the last
 * one. */
static void a_salt_with_zero_bytes_is_found_too(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 8; byte++) {
        struct nw_mark mark = {.salt = UINT64_C(0x5a) << 8 * byte, .next_sequence = 9};
        struct nw_mark found;
        uint8_t data[200] = {0};

        nw_mark_encode(data + 61, &mark, 61);
        assert_ptr_equal(nw_mark_find(data, sizeof data, 0, mark.salt, 0, &found), data + 61);
        check_same(&found, &mark);
        assert_ptr_equal(nw_mark_find_last(data, sizeof data, 0, mark.salt, 0, &found), data + 61);
    }
}

/* One byte too few or too many would make damage of what stands behind it. */
static void a_hole_covers_any_length_exactly(void **state)
{
    static uint8_t data[NW_HOLE_LEN_MAX];
    const size_t step = 4099; /* all lengths are tried where a varint grows, and every so many */

    (void)state;
    for (size_t len = NW_HOLE_LEN_MIN; len <= NW_HOLE_LEN_MAX; len += len < 17000 ? 1 : step) {
        struct nw_record_place place = {2, SALT, 512};
        struct nw_scan scan = nw_scan_over(data, len);
        struct nw_stored_record record;
        struct nw_mark mark;

        nw_hole_encode(data, len, 7, SALT, 512);
        assert_int_equal(nw_record_decode(&scan, &place, sizeof data, &record), 0);
        assert_int_equal(record.len, len);
        assert_int_equal(nw_control_decode(&record, SALT, &mark), NW_CONTROL_IS_HOLE);
        assert_int_equal(nw_hole_hidden(&record), 7);
    }
}

/* The number behind a hole is right, or 0: not known. */
static void a_hole_counts_on_or_tells_no_number(void **state)
{
    static const struct {
        uint64_t before, hidden, behind;
    } holes[] = {{5, 7, 12}, {5, NW_HOLE_UNKNOWN, 0}, {0, 7, 0}, {5, UINT64_MAX - 1, 0}};
    static uint8_t data[NW_HOLE_LEN_MIN];

    (void)state;
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++) {
        struct nw_record_place place = {2, SALT, 512};
        struct nw_scan scan = nw_scan_over(data, sizeof data);
        struct nw_stored_record record;

        nw_hole_encode(data, sizeof data, holes[i].hidden, SALT, 512);
        assert_int_equal(nw_record_decode(&scan, &place, sizeof data, &record), 0);
        assert_int_equal(nw_control_count(&record, SALT, holes[i].before), holes[i].behind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_mark_is_written_byte_for_byte),
        cmocka_unit_test(a_golden_mark_is_read_back),
        cmocka_unit_test(every_field_of_a_mark_comes_back),
        cmocka_unit_test(a_mark_that_names_another_salt_is_corrupt),
        cmocka_unit_test(a_mark_of_another_length_is_corrupt),
        cmocka_unit_test(every_type_is_known_skipped_or_of_a_newer_version),
        cmocka_unit_test(a_control_record_without_a_type_is_corrupt),
        cmocka_unit_test(a_mark_is_found_wherever_it_stands),
        cmocka_unit_test(the_first_and_the_last_of_several_are_found),
        cmocka_unit_test(marks_are_found_in_long_data),
        cmocka_unit_test(a_search_in_too_few_bytes_finds_nothing),
        cmocka_unit_test(what_only_looks_like_a_mark_is_passed_over),
        cmocka_unit_test(a_mark_with_any_bit_flipped_is_not_found),
        cmocka_unit_test(a_record_that_is_not_a_mark_is_not_found),
        cmocka_unit_test(a_mark_of_another_log_or_segment_is_not_found),
        cmocka_unit_test(a_salt_with_zero_bytes_is_found_too),
        cmocka_unit_test(a_hole_covers_any_length_exactly),
        cmocka_unit_test(a_hole_counts_on_or_tells_no_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
