/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "format/header.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct nw_header sample = {
    .header_len = NW_HEADER_LEN,
    .incompat = 0,
    .compat = NW_COMPAT_RECYCLED,
    .node_id = 0x01020304,
    .segment_id = 7,
    .base_sequence = 1001,
    .log_id = UINT64_C(0x1122334455667788),
    .salt = UINT64_C(0x0123456789abcdef),
    .created_ms = UINT64_C(1700000000000),
    .start = 0x300000,
    .prev_salt = UINT64_C(0xfedcba9876543210),
    .max_record = 1 << 26,
    .prev_id = 6,
    .prev_end = 0x200000,
    .durable_lsn = 0x2f0000,
};

static const uint8_t golden[NW_HEADER_LEN] = {
    0xff, 0x4e, 0x4f, 0x52, 0x49, 0x57, 0x41, 0x4c, 0x02, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xe9, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
    0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
    0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x6a, 0x1e, 0xda, 0x35,
};

/* A fresh checksum for a header of this length. */
static void seal(uint8_t *bytes, size_t header_len)
{
    nw_put_u32(bytes + header_len - 4, nw_crc32c(0, bytes, header_len - 4));
}

static void check_same(const struct nw_header *a, const struct nw_header *b)
{
    assert_int_equal(a->header_len, b->header_len);
    assert_int_equal(a->incompat, b->incompat);
    assert_int_equal(a->compat, b->compat);
    assert_int_equal(a->node_id, b->node_id);
    assert_int_equal(a->segment_id, b->segment_id);
    assert_int_equal(a->base_sequence, b->base_sequence);
    assert_int_equal(a->log_id, b->log_id);
    assert_int_equal(a->salt, b->salt);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->start, b->start);
    assert_int_equal(a->prev_salt, b->prev_salt);
    assert_int_equal(a->max_record, b->max_record);
    assert_int_equal(a->prev_id, b->prev_id);
    assert_int_equal(a->prev_end, b->prev_end);
    assert_int_equal(a->durable_lsn, b->durable_lsn);
}

static void a_golden_header_is_written_byte_for_byte(void **state)
{
    uint8_t bytes[NW_HEADER_LEN];

    (void)state;
    memset(bytes, 0xa5, sizeof bytes); /* reserved bytes must be written, too */
    nw_header_encode(bytes, &sample);
    assert_memory_equal(bytes, golden, sizeof golden);
}

static void a_golden_header_is_read_back(void **state)
{
    struct nw_header header;

    (void)state;
    assert_int_equal(nw_header_decode(golden, sizeof golden, &header), NORI_OK);
    check_same(&header, &sample);
}

/* Each field alone, all ones: only its bytes change, and it alone comes back so. */
static void every_field_stands_where_the_format_says(void **state)
{
    static const struct {
        size_t field, offset, len;
    } rows[] = {
        {offsetof(struct nw_header, node_id), 20, 4},
        {offsetof(struct nw_header, segment_id), 24, 8},
        {offsetof(struct nw_header, base_sequence), 32, 8},
        {offsetof(struct nw_header, log_id), 40, 8},
        {offsetof(struct nw_header, salt), 48, 8},
        {offsetof(struct nw_header, created_ms), 56, 8},
        {offsetof(struct nw_header, start), 64, 8},
        {offsetof(struct nw_header, prev_salt), 72, 8},
        {offsetof(struct nw_header, max_record), 80, 8},
        {offsetof(struct nw_header, prev_id), 88, 8},
        {offsetof(struct nw_header, prev_end), 96, 8},
        {offsetof(struct nw_header, durable_lsn), 104, 8}, /* not above start: tried last */
    };
    struct nw_header plain = {
        .header_len = NW_HEADER_LEN, .base_sequence = 1, .salt = 1, .log_id = 1};
    uint8_t expected[NW_HEADER_LEN];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nw_header header, decoded;
        uint8_t bytes[NW_HEADER_LEN], changed[NW_HEADER_LEN];

        plain.start = rows[i].offset == 104 ? UINT64_MAX : 0;
        header = plain;
        nw_header_encode(expected, &plain);
        memset((uint8_t *)&header + rows[i].field, 0xff, rows[i].len);
        nw_header_encode(bytes, &header);
        memcpy(changed, expected, sizeof changed);
        memset(changed + rows[i].offset, 0xff, rows[i].len);
        seal(changed, sizeof changed);
        assert_memory_equal(bytes, changed, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &decoded), NORI_OK);
        check_same(&decoded, &header);
    }
}

static void the_fixed_fields_stand_where_the_format_says(void **state)
{
    (void)state;
    assert_memory_equal(golden, "\xffNORIWAL", 8);
    assert_int_equal(nw_get_u16(golden + 8), 2);
    assert_int_equal(nw_get_u16(golden + 10), 128);
    assert_int_equal(nw_get_u32(golden + 12), 0);
    assert_int_equal(nw_get_u32(golden + 16), 1);
    assert_int_equal(nw_get_u32(golden + 124), nw_crc32c(0, golden, 124));
}

/* The bytes end exactly where their memory ends, so that a sanitizer sees a read beyond. */
static void a_header_cut_anywhere_is_never_good(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof golden; cut++) {
        uint8_t *bytes = malloc(cut > 0 ? cut : 1);
        struct nw_header header;

        assert_non_null(bytes);
        memcpy(bytes, golden, cut);
        assert_int_equal(nw_header_decode(bytes, cut, &header),
                         cut < 8 ? NW_HEADER_NONE : NW_HEADER_BAD);
        free(bytes);
    }
}

static void a_header_with_any_bit_flipped_is_never_good(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof golden; bit++) {
        uint8_t bytes[NW_HEADER_LEN_MAX] = {0};
        struct nw_header header;
        int expected = NW_HEADER_BAD;

        memcpy(bytes, golden, sizeof golden);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit < 64)
            expected = NW_HEADER_NONE;  /* the magic */
        else if (bit < 80 && bit != 65) /* which makes it version 0 */
            expected = NORI_E_VERSION;
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), expected);
        assert_int_equal(nw_header_decode(bytes, sizeof golden, &header), expected);
    }
}

static void other_bytes_are_no_header(void **state)
{
    static const uint8_t zeros[NW_HEADER_LEN];
    struct nw_header header;

    (void)state;
    assert_int_equal(nw_header_decode(NULL, 0, &header), NW_HEADER_NONE);
    assert_int_equal(nw_header_decode(zeros, sizeof zeros, &header), NW_HEADER_NONE);
    assert_int_equal(
        nw_header_decode((const uint8_t *)"\x03\x05\x00keyvalue\xa6\xed\xbc\x9a", 15, &header),
        NW_HEADER_NONE);
}

/* Even if the bytes behind the magic were those of a record: its flags "R" have a bit that format 1
 * does not know. */
static void a_header_is_never_a_record_of_format_1(void **state)
{
    enum {
        HEAD_LEN = 7,
        KEY_LEN = 0x7f | 0x4e << 7,
        VALUE_LEN = 0x4f
    }; /* as the magic says */
    const struct nw_record_place place = {.format = 1};
    static uint8_t bytes[HEAD_LEN + KEY_LEN + VALUE_LEN + NW_RECORD_CRC_LEN];
    struct nw_stored_record stored;
    struct nw_scan scan;

    (void)state;
    memcpy(bytes, golden, sizeof golden);
    scan = nw_scan_over(bytes, sizeof bytes);
    assert_int_equal(nw_record_decode(&scan, &place, sizeof bytes, &stored), NW_DECODE_BAD);
    seal(bytes, sizeof bytes);
    assert_int_equal(nw_record_decode(&scan, &place, sizeof bytes, &stored), NORI_E_VERSION);
}

/* D12: also without a checksum that holds, since a newer version may keep it elsewhere. */
static void another_version_is_told_before_anything_is_judged(void **state)
{
    static const uint16_t versions[] = {1, 3, 0x0102, 0x0200, UINT16_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        uint8_t bytes[NW_HEADER_LEN];
        struct nw_header header;

        memcpy(bytes, golden, sizeof bytes);
        nw_put_u16(bytes + 8, versions[i]);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_E_VERSION);
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_E_VERSION);
        assert_int_equal(nw_header_decode(bytes, 12, &header), NORI_E_VERSION);
    }
}

/* A crash may leave the magic and nothing behind it: that is no other version. */
static void a_header_cut_off_behind_its_magic_is_bad(void **state)
{
    (void)state;
    for (size_t cut = 8; cut < sizeof golden; cut++) {
        uint8_t bytes[NW_HEADER_LEN] = {0};
        struct nw_header header;

        memcpy(bytes, golden, cut);
        if (memcmp(bytes, golden, sizeof bytes) != 0)
            assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
    }
}

/* D6: whatever happened to the magic, the rest proves what it was. */
static void a_header_whose_magic_alone_is_damaged_is_known(void **state)
{
    uint8_t bytes[sizeof golden];

    (void)state;
    for (size_t bit = 0; bit < sizeof golden * 8; bit++) {
        memcpy(bytes, golden, sizeof bytes);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(nw_header_lacks_only_magic(bytes, sizeof bytes), bit < 64);
        assert_false(nw_header_lacks_only_magic(bytes, sizeof bytes - 1));
    }
    memset(bytes, 0, 8);
    memcpy(bytes + 8, golden + 8, sizeof bytes - 8);
    assert_true(nw_header_lacks_only_magic(bytes, sizeof bytes));
    memset(bytes, 0, sizeof bytes);
    assert_false(nw_header_lacks_only_magic(bytes, sizeof bytes));
}

static void an_unknown_incompat_bit_is_a_newer_version(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        uint8_t bytes[NW_HEADER_LEN];
        struct nw_header header;

        memcpy(bytes, golden, sizeof bytes);
        nw_put_u32(bytes + 12, UINT32_C(1) << bit);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_E_VERSION);
        bytes[115] = 1; /* what it means may lie in the bytes that we call reserved */
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_E_VERSION);
    }
}

static void unknown_compat_bits_are_handed_on(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        uint8_t bytes[NW_HEADER_LEN];
        struct nw_header header;

        memcpy(bytes, golden, sizeof bytes);
        nw_put_u32(bytes + 16, UINT32_C(1) << bit);
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_OK);
        assert_int_equal(header.compat, UINT32_C(1) << bit);
    }
}

static void reserved_bytes_that_are_not_zero_are_bad(void **state)
{
    (void)state;
    for (size_t at = 112; at < 124; at++) {
        uint8_t bytes[NW_HEADER_LEN];
        struct nw_header header;

        memcpy(bytes, golden, sizeof bytes);
        bytes[at] = 1;
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
    }
}

/* A log with no id of its own would get another one at its next segment. */
/* D11: numbers count from 1, and 0 is unknown to all who count on. */
static void a_number_salt_or_log_id_of_zero_is_bad(void **state)
{
    (void)state;
    for (size_t at = 32; at <= 48; at += 8) {
        uint8_t bytes[NW_HEADER_LEN];
        struct nw_header header;

        memcpy(bytes, golden, sizeof bytes);
        nw_put_u64(bytes + at, 0);
        seal(bytes, sizeof bytes);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
    }
}

static void a_header_that_knows_more_than_lies_before_it_is_bad(void **state)
{
    uint8_t bytes[NW_HEADER_LEN];
    struct nw_header header;

    (void)state;
    memcpy(bytes, golden, sizeof bytes);
    nw_put_u64(bytes + 104, sample.start);
    seal(bytes, sizeof bytes);
    assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NORI_OK);
    nw_put_u64(bytes + 104, sample.start + 1);
    seal(bytes, sizeof bytes);
    assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
}

/* Every length there can be, each with a checksum at its end that holds. */
static void a_longer_header_is_read_up_to_the_longest_allowed(void **state)
{
    static uint8_t bytes[UINT16_MAX + 1];

    (void)state;
    for (size_t header_len = 0; header_len <= UINT16_MAX; header_len++) {
        bool is_allowed = header_len >= NW_HEADER_LEN && header_len <= NW_HEADER_LEN_MAX;
        struct nw_header header;

        if (!is_allowed && header_len > NW_HEADER_LEN_MAX + 100 && header_len < UINT16_MAX - 100)
            continue;
        memset(bytes, 0x77, sizeof bytes); /* what a newer version has more to say */
        memcpy(bytes, golden, 124);
        nw_put_u16(bytes + 10, (uint16_t)header_len);
        if (header_len >= 16)
            seal(bytes, header_len);
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header),
                         is_allowed ? NORI_OK : NW_HEADER_BAD);
        if (!is_allowed)
            continue;
        assert_int_equal(header.header_len, header_len);
        assert_int_equal(header.durable_lsn, sample.durable_lsn);
        assert_int_equal(nw_header_decode(bytes, header_len, &header), NORI_OK);
        assert_int_equal(nw_header_decode(bytes, header_len - 1, &header), NW_HEADER_BAD);
        bytes[header_len - 1] ^= 1;
        assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
    }
}

static void a_failed_decode_leaves_the_result_alone(void **state)
{
    struct nw_header header, before;
    uint8_t bytes[NW_HEADER_LEN];

    (void)state;
    memset(&header, 0xa5, sizeof header);
    memcpy(&before, &header, sizeof header);
    memcpy(bytes, golden, sizeof bytes);
    bytes[120] = 1;
    seal(bytes, sizeof bytes);
    assert_int_equal(nw_header_decode(bytes, sizeof bytes, &header), NW_HEADER_BAD);
    assert_memory_equal(&header, &before, sizeof header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_header_is_written_byte_for_byte),
        cmocka_unit_test(a_golden_header_is_read_back),
        cmocka_unit_test(every_field_stands_where_the_format_says),
        cmocka_unit_test(the_fixed_fields_stand_where_the_format_says),
        cmocka_unit_test(a_header_cut_anywhere_is_never_good),
        cmocka_unit_test(a_header_with_any_bit_flipped_is_never_good),
        cmocka_unit_test(other_bytes_are_no_header),
        cmocka_unit_test(a_header_is_never_a_record_of_format_1),
        cmocka_unit_test(another_version_is_told_before_anything_is_judged),
        cmocka_unit_test(a_header_cut_off_behind_its_magic_is_bad),
        cmocka_unit_test(a_header_whose_magic_alone_is_damaged_is_known),
        cmocka_unit_test(an_unknown_incompat_bit_is_a_newer_version),
        cmocka_unit_test(unknown_compat_bits_are_handed_on),
        cmocka_unit_test(reserved_bytes_that_are_not_zero_are_bad),
        cmocka_unit_test(a_number_salt_or_log_id_of_zero_is_bad),
        cmocka_unit_test(a_header_that_knows_more_than_lies_before_it_is_bad),
        cmocka_unit_test(a_longer_header_is_read_up_to_the_longest_allowed),
        cmocka_unit_test(a_failed_decode_leaves_the_result_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
