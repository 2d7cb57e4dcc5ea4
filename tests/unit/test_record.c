/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "format/record.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SALT  UINT64_C(0x0123456789abcdef)
#define LIMIT 1000000 /* bytes of key and value */

/* splitmix64 of this number ends in 6064a37a, so that seven zero bytes would verify without the
 * rule against it. */
#define SALT_OF_ZEROS UINT64_C(0x298cd66d328f6e6b)

#define NOW_MS        UINT64_C(1700000000000)

static const struct nw_record_place in_format_1 = {.format = 1};

static struct nw_record_place place_at(uint64_t offset)
{
    return (struct nw_record_place){.format = 2, .salt = SALT, .offset = offset};
}

/* Write a whole record; its value is stored as it is given, whatever the compression. */
static size_t encode(uint8_t *target, const struct nw_record_place *place,
                     const struct nori_record *record, bool batch_continues)
{
    struct nw_record_head head;
    uint8_t *at = target;
    size_t covered;

    nw_record_head_encode(&head, record, record->value_len, record->compression, batch_continues);
    memcpy(at, head.bytes, head.len);
    at += head.len;
    if (record->key_len > 0)
        memcpy(at, record->key, record->key_len);
    at += record->key_len;
    if (record->value_len > 0)
        memcpy(at, record->value, record->value_len);
    at += record->value_len;
    covered = (size_t)(at - target);
    nw_put_u32(at, nw_record_crc(place, nw_crc32c(0, target, covered)));
    return covered + NW_RECORD_CRC_LEN;
}

static int decode(const uint8_t *bytes, size_t len, const struct nw_record_place *place,
                  uint64_t limit, struct nw_stored_record *ret_record)
{
    struct nw_scan scan = nw_scan_over(bytes, len);
    int rc = nw_record_decode(&scan, place, limit, ret_record);

    assert_ptr_equal(scan.end, len > 0 ? bytes + len : bytes);
    if (rc == NORI_OK) {
        assert_ptr_equal(scan.at, bytes + ret_record->len);
    } else {
        assert_ptr_equal(scan.at, bytes); /* it has not moved */
        assert_false(scan.is_short || scan.is_bad);
    }
    return rc;
}

/* Bytes with a fresh checksum behind them. */
static size_t seal(uint8_t *bytes, size_t len, const struct nw_record_place *place)
{
    nw_put_u32(bytes + len, nw_record_crc(place, nw_crc32c(0, bytes, len)));
    return len + NW_RECORD_CRC_LEN;
}

static void check_same(const struct nw_stored_record *stored, const struct nori_record *record,
                       bool batch_continues)
{
    assert_int_equal(stored->key_len, record->key_len);
    assert_int_equal(stored->stored_len, record->value_len);
    if (record->key_len > 0)
        assert_memory_equal(stored->key, record->key, record->key_len);
    if (record->value_len > 0)
        assert_memory_equal(stored->stored, record->value, record->value_len);
    assert_int_equal((stored->flags & NW_FLAG_TOMBSTONE) != 0,
                     (record->flags & NORI_RECORD_TOMBSTONE) != 0);
    assert_int_equal((stored->flags & NW_FLAG_TTL) != 0, (record->flags & NORI_RECORD_TTL) != 0);
    assert_int_equal((stored->flags & NW_FLAG_TIME) != 0, (record->flags & NORI_RECORD_TIME) != 0);
    assert_int_equal((stored->flags & NW_FLAG_VERSION) != 0,
                     (record->flags & NORI_RECORD_VERSION) != 0);
    assert_int_equal(stored->ttl_ms, record->flags & NORI_RECORD_TTL ? record->ttl_ms : 0);
    assert_int_equal(stored->time_ms, record->flags & NORI_RECORD_TIME ? record->time_ms : 0);
    assert_int_equal(stored->version_term,
                     record->flags & NORI_RECORD_VERSION ? record->version_term : 0);
    assert_int_equal(stored->version_index,
                     record->flags & NORI_RECORD_VERSION ? record->version_index : 0);
    assert_int_equal(stored->compression, record->compression);
    assert_int_equal(nw_record_continues(stored), batch_continues);
    assert_false(nw_record_is_control(stored));
}

/* ---- golden bytes ---- */

struct golden {
    const char *name;
    struct nw_record_place place;
    struct nori_record record; /* value as stored */
    bool batch_continues;
    size_t len;
    const char *bytes;
};

#define FORMAT_1    \
    {               \
        .format = 1 \
    }
#define AT(offset)      \
    {                   \
        2, SALT, offset \
    }

/* clang-format off */
static const struct golden goldens[] = {
    /* What the Rust crate wrote. */
    {"put", FORMAT_1, {.key = "key", .key_len = 3, .value = "value", .value_len = 5}, false, 15,
     "\x03\x05\x00\x6b\x65\x79\x76\x61\x6c\x75\x65\xa6\xed\xbc\x9a"},
    {"delete", FORMAT_1, {.key = "key", .key_len = 3, .flags = NORI_RECORD_TOMBSTONE}, false, 10,
     "\x03\x00\x01\x6b\x65\x79\xff\xcb\x13\x9e"},
    {"put with TTL", FORMAT_1,
     {.key = "k3", .key_len = 2, .value = "v3", .value_len = 2, .ttl_ms = 1500,
      .flags = NORI_RECORD_TTL}, false, 13,
     "\x02\x02\x02\xdc\x0b\x6b\x33\x76\x33\xbc\x81\xa5\xff"},
    {"empty", FORMAT_1, {.key = NULL}, false, 7,
     "\x00\x00\x00\x7a\xa3\x64\x60"},
    {"LZ4", FORMAT_1,
     {.key = "l1", .key_len = 2, .value = "\x01\x10\x74", .value_len = 3,
      .compression = NORI_COMPRESSION_LZ4}, false, 12,
     "\x02\x03\x04\x6c\x31\x01\x10\x74\xd0\xcf\xf9\xd2"},
    {"Zstandard", FORMAT_1,
     {.key = "z1", .key_len = 2, .value = "\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00\x74",
      .value_len = 10, .compression = NORI_COMPRESSION_ZSTD}, false, 19,
     "\x02\x0a\x08\x7a\x31\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00\x74\x89\xaf\xa4\x7d"},

    /* Format 2. */
    {"put", AT(96), {.key = "k", .key_len = 1, .value = "v", .value_len = 1}, false, 9,
     "\x01\x01\x00\x6b\x76\x7c\xe2\x39\x9e"},
    {"every field", AT(128),
     {.key = "k3", .key_len = 2, .value = "v3", .value_len = 2, .ttl_ms = 1500, .version_term = 7,
      .version_index = 300, .time_ms = NOW_MS,
      .flags = NORI_RECORD_TTL | NORI_RECORD_VERSION | NORI_RECORD_TIME}, true, 22,
     "\x02\x02\x72\xdc\x0b\x07\xac\x02\x80\xd0\x95\xff\xbc\x31\x6b\x33\x76\x33\x29\xac\x39\x53"},
    {"delete in a batch", AT(200),
     {.key = "key", .key_len = 3, .time_ms = NOW_MS,
      .flags = NORI_RECORD_TOMBSTONE | NORI_RECORD_TIME}, true, 16,
     "\x03\x00\x61\x80\xd0\x95\xff\xbc\x31\x6b\x65\x79\x3c\x80\x49\xa2"},
    {"empty", AT(300), {.key = NULL}, false, 7,
     "\x00\x00\x00\x58\xbf\xf3\x4a"},
    {"empty, where zeros would verify", {2, SALT_OF_ZEROS - 128, 128}, {.key = NULL}, false, 7,
     "\x00\x00\x00\x01\x00\x00\x00"},
};
/* clang-format on */

#define GOLDEN_COUNT (sizeof goldens / sizeof *goldens)

static void golden_records_are_written_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct golden *golden = &goldens[i];
        uint8_t bytes[100];
        size_t len = encode(bytes, &golden->place, &golden->record, golden->batch_continues);

        assert_int_equal(len, golden->len);
        assert_memory_equal(bytes, golden->bytes, len);
    }
}

static void golden_records_are_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct golden *golden = &goldens[i];
        const uint8_t *bytes = (const uint8_t *)golden->bytes;
        struct nw_stored_record stored;

        assert_int_equal(decode(bytes, golden->len, &golden->place, LIMIT, &stored), NORI_OK);
        assert_int_equal(stored.len, golden->len);
        check_same(&stored, &golden->record, golden->batch_continues);
    }
}

static void the_checksum_of_the_worked_example_is_masked_as_stated(void **state)
{
    struct nw_record_place place = place_at(96);

    (void)state;
    assert_int_equal(nw_crc32c(0, "\x01\x01\x00\x6b\x76", 5), 0xde704ee3);
    assert_int_equal(nw_record_crc(&place, 0), 0x4049ac9f);
    assert_int_equal(nw_record_crc(&place, 0xde704ee3), 0x9e39e27c);
    assert_int_equal(nw_record_crc(&in_format_1, 0xde704ee3), 0xde704ee3);
}

static void the_mask_is_never_the_checksum_of_zeros(void **state)
{
    struct nw_record_place place = {.format = 2, .salt = SALT_OF_ZEROS, .offset = 0};

    (void)state;
    assert_int_equal((uint32_t)nw_splitmix64(SALT_OF_ZEROS), 0x6064a37a);
    assert_int_equal(nw_record_crc(&place, 0), 0x6064a37b);
    place.salt -= 4096; /* only the sum counts, also where it overflows */
    place.offset = 4096;
    assert_int_equal(nw_record_crc(&place, 0), 0x6064a37b);
    place.offset = UINT64_MAX;
    place.salt = SALT_OF_ZEROS + 1;
    assert_int_equal(nw_record_crc(&place, 0), 0x6064a37b);
}

/* ---- damage ---- */

/* The bytes end exactly where their memory ends, so that a sanitizer sees a read beyond. */
static void a_record_cut_anywhere_is_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        for (size_t cut = 0; cut < goldens[i].len; cut++) {
            uint8_t *bytes = malloc(cut > 0 ? cut : 1);
            struct nw_stored_record stored;

            assert_non_null(bytes);
            memcpy(bytes, goldens[i].bytes, cut);
            assert_int_equal(decode(bytes, cut, &goldens[i].place, LIMIT, &stored),
                             NW_DECODE_SHORT);
            free(bytes);
        }
    }
}

/* With and without bytes behind it, which a longer length would then take in. */
static void a_record_with_any_bit_flipped_is_never_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        for (size_t bit = 0; bit < 8 * goldens[i].len; bit++) {
            uint8_t bytes[400];
            struct nw_stored_record stored;
            int rc;

            memset(bytes, 0x5a, sizeof bytes);
            memcpy(bytes, goldens[i].bytes, goldens[i].len);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rc = decode(bytes, sizeof bytes, &goldens[i].place, LIMIT, &stored);
            assert_true(rc == NW_DECODE_BAD || rc == NW_DECODE_SHORT);
            rc = decode(bytes, goldens[i].len, &goldens[i].place, LIMIT, &stored);
            assert_true(rc == NW_DECODE_BAD || rc == NW_DECODE_SHORT);
        }
    }
}

static void a_record_in_another_place_is_no_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const uint8_t *bytes = (const uint8_t *)goldens[i].bytes;
        struct nw_record_place place = goldens[i].place;
        struct nw_stored_record stored;

        if (place.format == 1)
            continue; /* has no place */
        for (uint64_t offset = 0; offset < 1000; offset++) {
            place.offset = offset;
            assert_int_equal(decode(bytes, goldens[i].len, &place, LIMIT, &stored),
                             offset == goldens[i].place.offset ? NORI_OK : NW_DECODE_BAD);
        }
        place = goldens[i].place;
        for (unsigned bit = 0; bit < 64; bit++) {
            place.salt = goldens[i].place.salt ^ UINT64_C(1) << bit;
            assert_int_equal(decode(bytes, goldens[i].len, &place, LIMIT, &stored), NW_DECODE_BAD);
        }
        place = in_format_1;
        assert_int_equal(decode(bytes, goldens[i].len, &place, LIMIT, &stored), NW_DECODE_BAD);
    }
}

static void zeros_are_never_a_record(void **state)
{
    static const uint8_t zeros[200];
    struct nw_record_place places[] = {
        FORMAT_1, AT(0), AT(128), {2, SALT_OF_ZEROS, 0}, {2, SALT_OF_ZEROS - 128, 128}};
    struct nw_stored_record stored;

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t len = 0; len <= sizeof zeros; len++)
            assert_int_equal(decode(zeros, len, &places[i], LIMIT, &stored),
                             len < NW_RECORD_LEN_MIN ? NW_DECODE_SHORT : NW_DECODE_BAD);
    }
    for (uint64_t offset = 0; offset < 100000; offset++) {
        struct nw_record_place place = place_at(offset);

        assert_int_equal(decode(zeros, sizeof zeros, &place, LIMIT, &stored), NW_DECODE_BAD);
    }
}

static void random_bytes_are_never_a_record(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        struct nw_record_place place = {.format = 1 + i % 2, .salt = SALT, .offset = i};
        struct nw_stored_record stored;
        uint8_t bytes[48];
        size_t len = (size_t)(nw_splitmix64(seed++) % (sizeof bytes + 1));
        int rc;

        for (size_t at = 0; at < sizeof bytes; at += 8)
            nw_put_u64(bytes + at, nw_splitmix64(seed++));
        bytes[0] &= 0x0f; /* lengths that often fit */
        bytes[1] &= 0x0f;
        rc = decode(bytes, len, &place, LIMIT, &stored);
        assert_true(rc == NW_DECODE_BAD || rc == NW_DECODE_SHORT);
    }
}

static void a_failed_decode_leaves_the_result_alone(void **state)
{
    struct nw_stored_record stored, before;
    uint8_t bytes[9];
    struct nw_record_place place = place_at(96);

    (void)state;
    memset(&stored, 0xa5, sizeof stored);
    memcpy(&before, &stored, sizeof stored);
    memcpy(bytes, "\x01\x01\x00\x6b\x76\x7c\xe2\x39\x9f", sizeof bytes);
    assert_int_equal(decode(bytes, sizeof bytes, &place, LIMIT, &stored), NW_DECODE_BAD);
    assert_int_equal(decode(bytes, 5, &place, LIMIT, &stored), NW_DECODE_SHORT);
    assert_memory_equal(&stored, &before, sizeof stored);
}

static void a_scan_that_failed_before_gives_no_record(void **state)
{
    struct nw_record_place place = place_at(96);
    struct nw_stored_record stored;
    struct nw_scan scan = nw_scan_over("\x01\x01\x00\x6b\x76\x7c\xe2\x39\x9e", 9);

    (void)state;
    (void)nw_scan_bytes(&scan, 10);
    assert_int_equal(nw_record_decode(&scan, &place, LIMIT, &stored), NW_DECODE_SHORT);
    scan = nw_scan_over("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
    (void)nw_scan_varint(&scan);
    assert_int_equal(nw_record_decode(&scan, &place, LIMIT, &stored), NW_DECODE_BAD);
}

/* ---- lengths ---- */

/* A head with these lengths and zeros behind it. */
static size_t put_lengths(uint8_t *target, size_t size, uint64_t key_len, uint64_t value_len)
{
    uint8_t *at = nw_varint_put(target, key_len);

    memset(target + (at - target), 0, size - (size_t)(at - target));
    at = nw_varint_put(at, value_len);
    return (size_t)(at - target) + 1; /* the flags */
}

static void lengths_are_held_against_the_limit_before_anything_else(void **state)
{
    static const struct {
        uint64_t key_len, value_len, limit;
        int expected;
    } rows[] = {
        {10, 10, 20, NW_DECODE_SHORT},
        {10, 11, 20, NW_DECODE_BAD},
        {11, 10, 20, NW_DECODE_BAD},
        {21, 0, 20, NW_DECODE_BAD},
        {0, 21, 20, NW_DECODE_BAD},
        {20, 0, 20, NW_DECODE_SHORT},
        {0, 20, 20, NW_DECODE_SHORT},
        {1, 0, 0, NW_DECODE_BAD},
        {0, 1, 0, NW_DECODE_BAD},
        {UINT64_MAX, UINT64_MAX, 20, NW_DECODE_BAD},
        {UINT64_MAX, 21, 20, NW_DECODE_BAD}, /* the sum would overflow to 20 */
        {1, UINT64_MAX, 20, NW_DECODE_BAD},
        {UINT64_MAX, 1, UINT64_MAX, NW_DECODE_BAD},
        {UINT64_MAX, 0, UINT64_MAX, NW_DECODE_SHORT},
        {0, UINT64_MAX, UINT64_MAX, NW_DECODE_SHORT},
        {UINT64_MAX / 2, UINT64_MAX / 2, UINT64_MAX, NW_DECODE_SHORT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nw_record_place place = place_at(0);
        struct nw_stored_record stored;
        uint8_t bytes[30];
        size_t head_len = put_lengths(bytes, sizeof bytes, rows[i].key_len, rows[i].value_len);

        /* The head alone says it: where the bytes end makes no difference. */
        for (size_t len = head_len; len < head_len + 5; len++)
            assert_int_equal(decode(bytes, len, &place, rows[i].limit, &stored), rows[i].expected);
        assert_int_equal(decode(bytes, head_len, &in_format_1, rows[i].limit, &stored),
                         rows[i].expected);
    }
}

static void a_key_over_the_limit_is_bad_before_the_next_length_is_there(void **state)
{
    struct nw_record_place place = place_at(0);
    struct nw_stored_record stored;

    (void)state;
    assert_int_equal(decode((const uint8_t *)"\x15", 1, &place, 20, &stored), NW_DECODE_BAD);
    assert_int_equal(decode((const uint8_t *)"\x14", 1, &place, 20, &stored), NW_DECODE_SHORT);
}

static void a_record_of_exactly_the_limit_is_good(void **state)
{
    struct nw_record_place place = place_at(5);
    struct nori_record record = nori_record_put("0123456789", 10, "0123456789", 10);
    struct nw_stored_record stored;
    uint8_t bytes[64];
    size_t len = encode(bytes, &place, &record, false);

    (void)state;
    assert_int_equal(decode(bytes, len, &place, 20, &stored), NORI_OK);
    assert_int_equal(decode(bytes, len, &place, UINT64_MAX, &stored), NORI_OK);
    assert_int_equal(decode(bytes, len, &place, 19, &stored), NW_DECODE_BAD);
    assert_int_equal(decode(bytes, len, &place, 0, &stored), NW_DECODE_BAD);
}

/* In the place of each varint of a record with all of them: one of eleven bytes, and one over 64
 * bits. */
static void a_hostile_varint_anywhere_is_bad(void **state)
{
    enum {
        VARINT_COUNT = 6
    };
    static const uint8_t hostile[2][11] = {
        {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00},
    };

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned bad = 0; bad < VARINT_COUNT; bad++) {
            struct nw_record_place place = place_at(0);
            struct nw_stored_record stored;
            uint8_t bytes[40] = {0};
            uint8_t *at = bytes;

            for (unsigned i = 0; i < VARINT_COUNT; i++) {
                if (i == 2)
                    *at++ = NW_FLAG_TTL | NW_FLAG_VERSION | NW_FLAG_TIME;
                if (i == bad)
                    memcpy(at, hostile[kind], sizeof hostile[kind]);
                at += i == bad ? sizeof hostile[kind] : 1;
            }
            (void)seal(bytes, (size_t)(at - bytes), &place);
            assert_int_equal(decode(bytes, sizeof bytes, &place, UINT64_MAX, &stored),
                             NW_DECODE_BAD);
        }
    }
}

/* A scan that failed answers zero for everything, also for the checksum: here zero is right. */
static void a_hostile_varint_is_bad_even_if_the_checksum_of_all_is_zero(void **state)
{
    static const uint8_t bytes[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                    0x80, 0x80, 0x00, 0xa9, 0xfb, 0x9a, 0x9b};
    struct nw_stored_record stored;

    (void)state;
    assert_int_equal(nw_crc32c(0, bytes, sizeof bytes), 0);
    assert_int_equal(decode(bytes, sizeof bytes, &in_format_1, LIMIT, &stored), NW_DECODE_BAD);
}

static void varints_longer_than_shortest_are_read(void **state)
{
    /* Both lengths 1 and the TTL 5, each with zeros on top. */
    static const uint8_t head[] = {0x81, 0x00, 0x81, 0x80, 0x00, 0x02, 0x85, 0x80, 0x80,
                                   0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 'k',  'v'};
    struct nw_record_place place = place_at(77);
    struct nw_stored_record stored;
    uint8_t bytes[sizeof head + NW_RECORD_CRC_LEN];

    (void)state;
    memcpy(bytes, head, sizeof head);
    (void)seal(bytes, sizeof head, &place);
    assert_int_equal(decode(bytes, sizeof bytes, &place, LIMIT, &stored), NORI_OK);
    assert_int_equal(stored.len, sizeof bytes);
    assert_int_equal(stored.key_len, 1);
    assert_int_equal(stored.key[0], 'k');
    assert_int_equal(stored.stored[0], 'v');
    assert_int_equal(stored.ttl_ms, 5);
}

static void the_longest_head_fits(void **state)
{
    struct nori_record record = {.key_len = SIZE_MAX,
                                 .ttl_ms = UINT64_MAX,
                                 .version_term = UINT64_MAX,
                                 .version_index = UINT64_MAX,
                                 .time_ms = UINT64_MAX,
                                 .flags = NORI_RECORD_TTL | NORI_RECORD_VERSION | NORI_RECORD_TIME};
    struct nw_record_head head;

    (void)state;
    nw_record_head_encode(&head, &record, UINT64_MAX, NORI_COMPRESSION_ZSTD, true);
    assert_int_equal(head.len, 51 + nw_varint_len(SIZE_MAX));
    assert_true(head.len <= NW_RECORD_HEAD_MAX);
}

/* ---- flags ---- */

/* D12: flags from a newer version, under a checksum that holds, are not damage. */
static void every_value_of_the_flags_is_known_or_of_a_newer_version(void **state)
{
    (void)state;
    for (unsigned format = 1; format <= 2; format++) {
        for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
            struct nw_record_place place = {.format = format, .salt = SALT, .offset = 3};
            struct nw_stored_record stored;
            uint8_t bytes[16] = {0, 0, (uint8_t)flags};
            bool is_known = (flags >> 2 & 3) != 3 && flags < (format == 1 ? 0x20 : 0x80);
            size_t len = 3;
            int rc;

            if (flags == 0x80 && format == 2)
                is_known = true;
            len += flags & 0x02 ? 1 : 0;
            len += flags & 0x10 ? 2 : 0;
            len += flags & 0x20 && format == 2 ? 1 : 0;
            len = seal(bytes, len, &place);
            rc = decode(bytes, len, &place, LIMIT, &stored);
            assert_int_equal(rc, is_known ? NORI_OK : NORI_E_VERSION);
            if (rc == NORI_OK)
                assert_int_equal(stored.flags, flags);
            bytes[len - 1] ^= 1; /* without a checksum that holds they say nothing */
            assert_int_equal(decode(bytes, len, &place, LIMIT, &stored), NW_DECODE_BAD);
        }
    }
}

static void a_control_record_is_told_apart(void **state)
{
    struct nw_record_place place = place_at(3);
    struct nw_stored_record stored;
    uint8_t bytes[16] = {1, 0, 0x80, 200};
    size_t len = seal(bytes, 4, &place);

    (void)state;
    assert_int_equal(decode(bytes, len, &place, LIMIT, &stored), NORI_OK);
    assert_true(nw_record_is_control(&stored));
    assert_false(nw_record_continues(&stored));
}

static void marks_set_by_readers_are_not_written(void **state)
{
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    struct nw_record_head head;

    (void)state;
    record.flags = NORI_RECORD_BATCH_CONTINUES;
    record.sequence = 9;
    nw_record_head_encode(&head, &record, 1, NORI_COMPRESSION_NONE, false);
    assert_int_equal(head.len, 3);
    assert_memory_equal(head.bytes, "\x01\x01\x00", 3);
}

/* ---- round trips ---- */

static uint64_t random_number(uint64_t *seed)
{
    uint64_t bits = nw_splitmix64((*seed)++) % 65;
    uint64_t number = nw_splitmix64((*seed)++);

    return bits == 0 ? 0 : number >> (64 - bits); /* all magnitudes alike */
}

static void check_random_round_trip(uint64_t *seed, uint32_t flags, uint32_t compression,
                                    bool batch_continues)
{
    static uint8_t contents[700], bytes[sizeof contents + 100];
    struct nw_record_place place = place_at(random_number(seed));
    struct nori_record record = {.key = contents, .flags = flags, .compression = compression};
    struct nw_stored_record stored;
    size_t len;

    for (size_t i = 0; i < sizeof contents; i++)
        contents[i] = (uint8_t)nw_splitmix64(*seed + i);
    record.key_len = (size_t)(random_number(seed) % 300);
    record.value = contents + record.key_len;
    record.value_len = (size_t)(random_number(seed) % 400);
    record.ttl_ms = random_number(seed);
    record.time_ms = random_number(seed);
    record.version_term = random_number(seed);
    record.version_index = random_number(seed);

    len = encode(bytes, &place, &record, batch_continues);
    memset(bytes + len, 0xff, sizeof bytes - len);
    assert_int_equal(decode(bytes, sizeof bytes, &place, 700, &stored), NORI_OK);
    assert_int_equal(stored.len, len);
    check_same(&stored, &record, batch_continues);
    assert_int_equal(decode(bytes, len - 1, &place, 700, &stored), NW_DECODE_SHORT);
}

static void every_combination_of_flags_comes_back(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        for (uint32_t flags = 0; flags < 16; flags++) {
            for (uint32_t compression = 0; compression <= NORI_COMPRESSION_ZSTD; compression++) {
                check_random_round_trip(&seed, flags, compression, false);
                check_random_round_trip(&seed, flags, compression, true);
            }
        }
    }
}

static void records_in_a_row_are_read_one_by_one(void **state)
{
    static const char *const keys[] = {"a", "", "ccc"};
    struct nw_record_place place = place_at(128);
    struct nw_stored_record stored;
    struct nw_scan scan;
    uint8_t bytes[100];
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct nori_record record = nori_record_put(keys[i], strlen(keys[i]), "v", 1);

        place.offset = 128 + len;
        len += encode(bytes + len, &place, &record, false);
    }
    scan = nw_scan_over(bytes, len);
    for (size_t i = 0; i < 3; i++) {
        place.offset = 128 + (size_t)(scan.at - bytes);
        assert_int_equal(nw_record_decode(&scan, &place, LIMIT, &stored), NORI_OK);
        assert_int_equal(stored.key_len, strlen(keys[i]));
        assert_memory_equal(stored.key, keys[i], strlen(keys[i]));
    }
    assert_int_equal(nw_record_decode(&scan, &place, LIMIT, &stored), NW_DECODE_SHORT);
}

/* ---- records as the application makes them ---- */

static void a_put_borrows_key_and_value(void **state)
{
    static const char key[] = "key", value[] = "value";
    static const struct nori_record nothing;
    struct nori_record record = nori_record_put(key, 3, value, 5);

    (void)state;
    assert_ptr_equal(record.key, key);
    assert_int_equal(record.key_len, 3);
    assert_ptr_equal(record.value, value);
    assert_int_equal(record.value_len, 5);
    assert_int_equal(record.flags, 0);
    assert_int_equal(record.compression, NORI_COMPRESSION_NONE);
    assert_int_equal(record.ttl_ms, 0);
    assert_memory_equal(record.reserved, nothing.reserved, sizeof nothing.reserved);
}

static void a_put_may_have_a_ttl(void **state)
{
    struct nori_record record = nori_record_put_with_ttl("key", 3, "value", 5, 1500);

    (void)state;
    assert_int_equal(record.flags, NORI_RECORD_TTL);
    assert_int_equal(record.ttl_ms, 1500);
    assert_int_equal(record.value_len, 5);
    record = nori_record_put_with_ttl("key", 3, "value", 5, 0);
    assert_int_equal(record.flags, NORI_RECORD_TTL); /* a TTL of nothing is one, too */
}

static void a_delete_has_no_value(void **state)
{
    struct nori_record record = nori_record_delete("key", 3);

    (void)state;
    assert_int_equal(record.flags, NORI_RECORD_TOMBSTONE);
    assert_int_equal(record.key_len, 3);
    assert_null(record.value);
    assert_int_equal(record.value_len, 0);
}

static void compression_is_added_to_a_record(void **state)
{
    struct nori_record record = nori_record_put_with_ttl("key", 3, "value", 5, 9);

    (void)state;
    record = nori_record_with_compression(record, NORI_COMPRESSION_LZ4);
    assert_int_equal(record.compression, NORI_COMPRESSION_LZ4);
    assert_int_equal(record.ttl_ms, 9);
    assert_int_equal(record.value_len, 5);
}

static void a_record_expires_when_its_time_and_ttl_have_come(void **state)
{
    struct nori_record record = nori_record_put_with_ttl("key", 3, "value", 5, 100);

    (void)state;
    record.time_ms = 1000;
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 0); /* nobody knows when */
    record.flags |= NORI_RECORD_TIME;
    assert_int_equal(nori_record_is_expired(&record, 0), 0);
    assert_int_equal(nori_record_is_expired(&record, 1099), 0);
    assert_int_equal(nori_record_is_expired(&record, 1100), 1);
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 1);
    record.flags = NORI_RECORD_TIME;
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 0);
}

static void a_record_that_lives_for_ever_does_not_expire(void **state)
{
    struct nori_record record = nori_record_put_with_ttl("key", 3, "value", 5, UINT64_MAX);

    (void)state;
    record.flags |= NORI_RECORD_TIME;
    record.time_ms = 1000;
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 0);
    assert_int_equal(nori_record_is_expired(NULL, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_records_are_written_byte_for_byte),
        cmocka_unit_test(golden_records_are_read_back),
        cmocka_unit_test(the_checksum_of_the_worked_example_is_masked_as_stated),
        cmocka_unit_test(the_mask_is_never_the_checksum_of_zeros),
        cmocka_unit_test(a_record_cut_anywhere_is_short),
        cmocka_unit_test(a_record_with_any_bit_flipped_is_never_good),
        cmocka_unit_test(a_record_in_another_place_is_no_record),
        cmocka_unit_test(zeros_are_never_a_record),
        cmocka_unit_test(random_bytes_are_never_a_record),
        cmocka_unit_test(a_failed_decode_leaves_the_result_alone),
        cmocka_unit_test(a_scan_that_failed_before_gives_no_record),
        cmocka_unit_test(lengths_are_held_against_the_limit_before_anything_else),
        cmocka_unit_test(a_key_over_the_limit_is_bad_before_the_next_length_is_there),
        cmocka_unit_test(a_record_of_exactly_the_limit_is_good),
        cmocka_unit_test(a_hostile_varint_anywhere_is_bad),
        cmocka_unit_test(a_hostile_varint_is_bad_even_if_the_checksum_of_all_is_zero),
        cmocka_unit_test(varints_longer_than_shortest_are_read),
        cmocka_unit_test(the_longest_head_fits),
        cmocka_unit_test(every_value_of_the_flags_is_known_or_of_a_newer_version),
        cmocka_unit_test(a_control_record_is_told_apart),
        cmocka_unit_test(marks_set_by_readers_are_not_written),
        cmocka_unit_test(every_combination_of_flags_comes_back),
        cmocka_unit_test(records_in_a_row_are_read_one_by_one),
        cmocka_unit_test(a_put_borrows_key_and_value),
        cmocka_unit_test(a_put_may_have_a_ttl),
        cmocka_unit_test(a_delete_has_no_value),
        cmocka_unit_test(compression_is_added_to_a_record),
        cmocka_unit_test(a_record_expires_when_its_time_and_ttl_have_come),
        cmocka_unit_test(a_record_that_lives_for_ever_does_not_expire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
