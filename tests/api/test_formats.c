/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_formats.c: logs made by hand: of format 1, golden ones of format 2, and those of a newer
 * version (D12). None of them is changed unless it is sound.
 */
#include "encode.h"
#include "helpers.h"

static void store(const char *dir, uint64_t id, struct bytes *file)
{
    store_file(dir, segment_name(id), file->data, file->len);
    free_bytes(file);
}

static void expect_record(nori_reader *reader, const char *key, const char *value,
                          uint64_t sequence)
{
    struct nori_record record;

    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.key_len, strlen(key));
    assert_memory_equal(record.key, key, record.key_len);
    assert_int_equal(record.value_len, strlen(value));
    if (record.value_len > 0)
        assert_memory_equal(record.value, value, record.value_len);
    assert_int_equal(record.sequence, sequence);
}

static void append_plain(nori_wal *wal, const char *key, const char *value)
{
    struct nori_record record = nori_record_put(key, strlen(key), value, strlen(value));

    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
}

/* ---- format 1 ---- */

static const uint8_t rust_put[] = {0x03, 0x05, 0x00, 'k',  'e',  'y',  'v', 'a',
                                   'l',  'u',  'e',  0xa6, 0xed, 0xbc, 0x9a};
static const uint8_t rust_delete[] = {0x03, 0x00, 0x01, 'k', 'e', 'y', 0xff, 0xcb, 0x13, 0x9e};
static const uint8_t rust_ttl[] = {0x02, 0x02, 0x02, 0xdc, 0x0b, 'k', '3',
                                   'v',  '3',  0xbc, 0x81, 0xa5, 0xff};
static const uint8_t rust_empty[] = {0x00, 0x00, 0x00, 0x7a, 0xa3, 0x64, 0x60};
static const uint8_t rust_lz4[] = {0x02, 0x03, 0x04, 'l',  '1',  0x01,
                                   0x10, 't',  0xd0, 0xcf, 0xf9, 0xd2};
static const uint8_t rust_zstd[] = {0x02, 0x0a, 0x08, 'z',  '1', 0x28, 0xb5, 0x2f, 0xfd, 0x00,
                                    0x58, 0x09, 0x00, 0x00, 't', 0x89, 0xaf, 0xa4, 0x7d};

static void expect_rust_records(nori_reader *reader, uint64_t sequence)
{
    struct nori_record record;

    expect_record(reader, "key", "value", sequence);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.flags, NORI_RECORD_TOMBSTONE);
    assert_memory_equal(record.key, "key", 3);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.flags, NORI_RECORD_TTL);
    assert_int_equal(record.ttl_ms, 1500);
    assert_memory_equal(record.value, "v3", 2);
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 0); /* it has no time */
    expect_record(reader, "", "", sequence + 3);
}

static void put_rust_records(struct bytes *file)
{
    put_bytes(file, rust_put, sizeof rust_put);
    put_bytes(file, rust_delete, sizeof rust_delete);
    put_bytes(file, rust_ttl, sizeof rust_ttl);
    put_bytes(file, rust_empty, sizeof rust_empty);
}

static void the_bytes_that_rust_wrote_are_read(void **state)
{
    const char *dir = dir_of(state);
    struct bytes file = {0};
    nori_reader *reader;

    make_dir(dir);
    put_rust_records(&file);
    store(dir, 0, &file);
    reader = open_reader(dir, OLDEST);
    expect_rust_records(reader, 1);
    expect_end(reader);
    nori_reader_close(reader);
    reader = open_reader(dir, (struct nori_position){0, sizeof rust_put + sizeof rust_delete});
    assert_int_equal(nori_reader_next(reader, &(struct nori_record){0}, NULL), NORI_OK);
    expect_record(reader, "", "", 4);
    nori_reader_close(reader);
    assert_int_equal(nori_reader_open(dir, (struct nori_position){0, 1}, &reader, NULL),
                     NORI_E_NOTFOUND);
}

static void compressed_values_that_rust_wrote_are_read(void **state)
{
    const char *dir = dir_of(state);
    const char *keys[] = {"l1", "z1"};
    struct bytes file = {0};

    make_dir(dir);
    for (uint64_t i = 0; i < 2; i++) {
        nori_reader *reader;
        struct nori_record record;
        int rc;

        put_bytes(&file, i == 0 ? rust_lz4 : rust_zstd,
                  i == 0 ? sizeof rust_lz4 : sizeof rust_zstd);
        store(dir, 0, &file);
        reader = open_reader(dir, OLDEST);
        rc = nori_reader_next(reader, &record, NULL);
        if (rc != NORI_E_UNSUPPORTED) { /* of a build without it */
            assert_int_equal(rc, NORI_OK);
            assert_memory_equal(record.key, keys[i], 2);
            assert_int_equal(record.value_len, 1);
            assert_memory_equal(record.value, "t", 1);
            assert_int_equal(record.compression, i + 1);
        }
        nori_reader_close(reader);
    }
}

/* Segments as Rust leaves them: ended and trimmed; ended with its preallocated zeros; empty;
 * torn. 4 + 2 + 0 + 2 records. Returns the offset at which the last whole record of the newest
 * ends. */
static size_t make_format1(const char *dir)
{
    struct bytes file = {0};
    size_t end;

    make_dir(dir);
    put_rust_records(&file);
    store(dir, 3, &file);
    (void)put_plain(&file, "a5", "five", 0);
    (void)put_plain(&file, "a6", "six", 0);
    put_zeros(&file, 300000);
    store(dir, 4, &file);
    put_zeros(&file, 5000);
    store(dir, 6, &file);
    (void)put_plain(&file, "a7", "seven", 0);
    (void)put_plain(&file, "a8", "eight", 0);
    end = file.len;
    put_bytes(&file, rust_put, sizeof rust_put - 2);
    put_zeros(&file, 10000);
    store(dir, 7, &file);
    return end;
}

static void expect_format1(nori_reader *reader)
{
    expect_rust_records(reader, 1);
    expect_record(reader, "a5", "five", 5);
    expect_record(reader, "a6", "six", 6);
    expect_record(reader, "a7", "seven", 7);
    expect_record(reader, "a8", "eight", 8);
}

/* D1 */
static void a_log_of_format_1_is_read_in_order_to_its_torn_tail(void **state)
{
    const char *dir = dir_of(state);
    struct snapshot *before;
    nori_reader *reader;

    (void)make_format1(dir);
    before = take_snapshot(dir);
    reader = open_reader(dir, OLDEST);
    expect_format1(reader);
    expect_end(reader);
    expect_end(reader);
    nori_reader_close(reader);
    reader = open_reader(dir, (struct nori_position){4, 0});
    expect_record(reader, "a5", "five", 5);
    nori_reader_close(reader);
    expect_unchanged(dir, before);
    free_snapshot(before);
}

static void a_log_of_format_1_goes_on_in_format_2(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    size_t end = make_format1(dir);
    nori_wal *wal = NULL;
    nori_reader *reader;

    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 8);
    assert_int_equal(info.bytes_truncated, sizeof rust_put - 2);
    assert_int_equal(info.corruption_detected, 0);
    assert_position(info.last_valid_position, 7, end - 14);
    assert_position(position_of(wal), 7, end);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    expect_format1(reader);
    expect_end(reader);
    append_plain(wal, "a9", "nine");
    expect_record(reader, "a9", "nine", 9);
    nori_reader_close(reader);
    close_log(wal);
    assert_true(count_files(dir, ".wal") == 5);

    for (int life = 0; life < 3; life++) {
        reader = open_reader(dir, OLDEST);
        expect_format1(reader);
        expect_record(reader, "a9", "nine", 9);
        for (uint64_t i = 0; i < (uint64_t)life; i++)
            expect_record(reader, "more", "of it", 10 + i);
        expect_end(reader);
        nori_reader_close(reader);
        config.recovery_mode = NORI_RECOVER_STRICT; /* what was torn is behind a stated end now */
        wal = open_log(&config);
        append_plain(wal, "more", "of it");
        close_log(wal);
    }
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 12);
    assert_int_equal(info.was_clean, 1);
}

static void opening_a_log_of_format_1_changes_nothing_before_the_first_append(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;

    (void)make_format1(dir);
    before = take_snapshot(dir);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(count_files(dir, ""), 5);
    remove_file(dir, "control");
    expect_unchanged(dir, before);
    free_snapshot(before);
}

static void segments_of_format_1_can_be_dropped(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal;
    nori_reader *reader;
    uint64_t deleted = 0;
    struct nori_position first;

    (void)make_format1(dir);
    wal = open_dir(dir);
    assert_int_equal(nori_wal_delete_segments_before(wal, (struct nori_position){4, 0}, &deleted),
                     NORI_OK);
    assert_int_equal(deleted, 1);
    assert_int_equal(nori_wal_first_position(wal, &first), NORI_OK);
    assert_position(first, 4, 0);
    append_plain(wal, "a9", "nine");
    assert_int_equal(nori_wal_delete_segments_before(wal, (struct nori_position){7, 0}, &deleted),
                     NORI_OK);
    close_log(wal);
    wal = open_dir(dir);
    append_plain(wal, "a10", "ten");
    close_log(wal);
    /* Numbers are kept although the segments that they counted are gone. */
    reader = open_reader(dir, OLDEST);
    expect_record(reader, "a7", "seven", 7);
    expect_record(reader, "a8", "eight", 8);
    expect_record(reader, "a9", "nine", 9);
    expect_record(reader, "a10", "ten", 10);
    expect_end(reader);
    nori_reader_close(reader);
}

/* The original cannot read those itself. */
static void records_of_format_1_larger_than_its_buffer_are_read(void **state)
{
    const char *dir = dir_of(state);
    size_t len = 3 * MIB;
    char *value = malloc(len);
    struct bytes file = {0};
    struct nori_record record;
    nori_reader *reader;
    nori_wal *wal;

    assert_non_null(value);
    memset(value, 'v', len);
    make_dir(dir);
    (void)put_record(
        &file, &(struct raw_record){.key = "k", .key_len = 1, .value = value, .value_len = len}, 0);
    (void)put_plain(&file, "after", "it", 0);
    store(dir, 0, &file);
    wal = open_dir(dir);
    append_plain(wal, "third", "");
    close_log(wal);
    reader = open_reader(dir, OLDEST);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.value_len, len);
    assert_memory_equal(record.value, value, len);
    expect_record(reader, "after", "it", 2);
    expect_record(reader, "third", "", 3);
    nori_reader_close(reader);
    free(value);
}

/* D6: what has a successor was complete once, in format 1, too. */
static void a_flipped_bit_in_an_ended_segment_of_format_1_is_damage(void **state)
{
    const char *dir = dir_of(state);
    nori_reader *reader;
    struct nori_record record;
    size_t len = sizeof rust_put + sizeof rust_delete + sizeof rust_ttl + sizeof rust_empty;

    (void)make_format1(dir);
    for (size_t offset = 0; offset < len; offset++) {
        int rc = NORI_OK;

        flip_bit(dir, segment_name(3), offset, offset % 8);
        expect_log_refused(dir, NORI_E_CORRUPT, "000003.wal");
        if (nori_reader_open(dir, OLDEST, &reader, NULL) == NORI_OK) {
            while (rc == NORI_OK)
                rc = nori_reader_next(reader, &record, NULL);
            assert_int_equal(rc, NORI_E_CORRUPT);
            nori_reader_close(reader);
        }
        flip_bit(dir, segment_name(3), offset, offset % 8);
    }
    flip_bit(dir, segment_name(4), 100000, 3); /* in its zeros */
    expect_log_refused(dir, NORI_E_CORRUPT, "000004.wal");
}

/* ---- format 2 ---- */

#define LOG_ID 0x1122334455667788u
#define SALT_A 0x0123456789abcdefu
#define SALT_B 0xfedcba9876543210u

static struct raw_header first_header(void)
{
    return (struct raw_header){.segment_id = 0,
                               .base_sequence = 1,
                               .log_id = LOG_ID,
                               .salt = SALT_A,
                               .created_ms = 1700000000000,
                               .max_record = 65536,
                               .node_id = 7,
                               .prev_id = RAW_NO_SEGMENT};
}

/* A segment with records of every field; ends with a mark. */
static size_t make_golden(struct bytes *file, const struct raw_header *header)
{
    put_header(file, header);
    (void)put_plain(file, "one", "1", header->salt);
    (void)put_record(file, &(struct raw_record){.key = "two", .key_len = 3, .flags = RAW_TOMBSTONE},
                     header->salt);
    (void)put_record(file,
                     &(struct raw_record){.key = "three",
                                          .key_len = 5,
                                          .value = "3",
                                          .value_len = 1,
                                          .flags = RAW_TTL | RAW_TIME | RAW_VERSION,
                                          .ttl_ms = 1500,
                                          .time_ms = 1700000000123,
                                          .term = 300,
                                          .index = UINT64_MAX},
                     header->salt);
    (void)put_mark(file, header->salt, header->log_id, header->base_sequence + 3,
                   header->start + file->len);
    (void)put_record(file,
                     &(struct raw_record){.key = "four", .key_len = 4, .flags = RAW_CONTINUES},
                     header->salt);
    (void)put_plain(file, "five", "", header->salt);
    (void)put_mark(file, header->salt, header->log_id, header->base_sequence + 5,
                   header->start + file->len);
    return file->len;
}

static void expect_golden(nori_reader *reader, uint64_t sequence)
{
    struct nori_record record;

    expect_record(reader, "one", "1", sequence);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.flags, NORI_RECORD_TOMBSTONE);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.flags, NORI_RECORD_TTL | NORI_RECORD_TIME | NORI_RECORD_VERSION);
    assert_int_equal(record.ttl_ms, 1500);
    assert_int_equal(record.time_ms, 1700000000123);
    assert_int_equal(record.version_term, 300);
    assert_int_equal(record.version_index, UINT64_MAX);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.flags, NORI_RECORD_BATCH_CONTINUES);
    expect_record(reader, "five", "", sequence + 4);
}

static void the_worked_example_of_the_format_is_right(void **state)
{
    static const uint8_t expected[] = {0x01, 0x01, 0x00, 0x6b, 0x76, 0x7c, 0xe2, 0x39, 0x9e};
    struct bytes file = {0};

    (void)state;
    assert_int_equal(slow_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(slow_splitmix64(0), 0xe220a8397b1dcdaf);
    put_zeros(&file, 96);
    (void)put_plain(&file, "k", "v", SALT_A);
    assert_memory_equal(file.data + 96, expected, sizeof expected);
    free_bytes(&file);
}

static void a_golden_file_is_read_and_continued(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct raw_header header = first_header();
    struct bytes file = {0};
    nori_reader *reader;
    nori_wal *wal = NULL;
    size_t end;

    make_dir(dir);
    end = make_golden(&file, &header);
    put_zeros(&file, 100000); /* space taken ahead */
    store(dir, 0, &file);
    reader = open_reader(dir, OLDEST);
    expect_golden(reader, 1);
    expect_end(reader);
    nori_reader_close(reader);
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 5);
    assert_int_equal(info.bytes_truncated, 0);
    assert_position(position_of(wal), 0, end);
    append_plain(wal, "six", "6");
    close_log(wal);
    reader = open_reader(dir, OLDEST);
    expect_golden(reader, 1);
    expect_record(reader, "six", "6", 6);
    nori_reader_close(reader);
}

/* Two segments; the oldest of what retention left. Ids skip. */
static void make_pair(const char *dir, struct raw_header *headers)
{
    struct bytes file = {0};
    size_t end;

    make_dir(dir);
    headers[0] = first_header();
    headers[0].segment_id = 5;
    headers[0].base_sequence = 101;
    headers[0].start = 1000000;
    headers[0].prev_salt = 0x5a17;
    headers[0].prev_id = 4;
    headers[0].prev_end = 5000;
    end = make_golden(&file, &headers[0]);
    put_zeros(&file, 500);
    store(dir, 5, &file);
    headers[1] = headers[0];
    headers[1].segment_id = 10;
    headers[1].base_sequence = 106;
    headers[1].salt = SALT_B;
    headers[1].start = 1000000 + end;
    headers[1].prev_salt = SALT_A;
    headers[1].prev_id = 5;
    headers[1].prev_end = end;
    headers[1].durable_lsn = 1000000 + end;
    (void)make_golden(&file, &headers[1]);
    store(dir, 10, &file);
}

static void expect_pair(const char *dir)
{
    nori_reader *reader = open_reader(dir, OLDEST);

    expect_golden(reader, 101);
    expect_golden(reader, 106);
    expect_end(reader);
    nori_reader_close(reader);
}

static void a_golden_pair_is_read_and_continued(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header headers[2];
    nori_wal *wal;
    nori_reader *reader;

    make_pair(dir, headers);
    expect_pair(dir);
    wal = open_dir(dir);
    append_plain(wal, "eleven", "");
    close_log(wal);
    assert_int_equal(count_files(dir, ".wal"), 3);
    reader = open_reader(dir, OLDEST);
    expect_golden(reader, 101);
    expect_golden(reader, 106);
    expect_record(reader, "eleven", "", 111);
    nori_reader_close(reader);
}

/* Change the second header of a pair, and say what a writer and a reader think of it. */
static void try_header(void **state, struct raw_header change, int writer, int reader_rc)
{
    const char *dir = dir_of(state);
    struct raw_header headers[2];
    struct nori_wal_config config = config_of(dir);
    nori_reader *reader = NULL;
    struct bytes file = {0};

    remove_dir(dir);
    make_pair(dir, headers);
    headers[1].version = change.version;
    headers[1].header_len = change.header_len;
    headers[1].incompat = change.incompat;
    headers[1].compat = change.compat;
    (void)make_golden(&file, &headers[1]);
    store(dir, 10, &file);
    if (writer != NORI_OK)
        expect_log_refused(dir, writer, "000010.wal");
    assert_int_equal(nori_reader_open(dir, OLDEST, &reader, NULL), reader_rc);
    if (reader_rc == NORI_OK) {
        expect_golden(reader, 101);
        expect_golden(reader, 106);
        nori_reader_close(reader);
    }
    if (writer == NORI_OK)
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
}

/* D12 */
static void a_newer_version_is_told_and_is_not_damage(void **state)
{
    try_header(state, (struct raw_header){.version = 2}, NORI_OK, NORI_OK);
    try_header(state, (struct raw_header){.version = 3}, NORI_E_VERSION, NORI_E_VERSION);
    try_header(state, (struct raw_header){.version = 65535}, NORI_E_VERSION, NORI_E_VERSION);
    try_header(state, (struct raw_header){.version = 3, .header_len = 4096}, NORI_E_VERSION,
               NORI_E_VERSION);
    try_header(state, (struct raw_header){.header_len = 256}, NORI_OK, NORI_OK);
    try_header(state, (struct raw_header){.header_len = 4096}, NORI_OK, NORI_OK);
    for (unsigned bit = 0; bit < 32; bit++)
        try_header(state, (struct raw_header){.incompat = 1u << bit}, NORI_E_VERSION,
                   NORI_E_VERSION);
}

/* D12: readers go on, writers do not. */
static void unknown_compatible_features_stop_writers_only(void **state)
{
    try_header(state, (struct raw_header){.compat = 1}, NORI_OK, NORI_OK);
    for (unsigned bit = 1; bit < 32; bit++)
        try_header(state, (struct raw_header){.compat = 1u << bit}, NORI_E_VERSION, NORI_OK);
}

/* What writer and reader think of a segment that ends with this record. */
static void try_record(void **state, struct raw_record record, int writer, int reader_rc)
{
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct nori_wal_config config = config_of(dir);
    struct nori_record ignored;
    struct bytes file = {0};
    nori_reader *reader;

    remove_dir(dir);
    make_dir(dir);
    (void)make_golden(&file, &header);
    (void)put_record(&file, &record, SALT_A);
    (void)put_plain(&file, "after", "it", SALT_A);
    store(dir, 0, &file);
    if (writer != NORI_OK)
        expect_log_refused(dir, writer, "0");
    reader = open_reader(dir, OLDEST);
    expect_golden(reader, 1);
    if (reader_rc == NORI_OK)
        expect_record(reader, "after", "it", 6);
    else
        assert_int_equal(nori_reader_next(reader, &ignored, NULL), reader_rc);
    nori_reader_close(reader);
    if (writer == NORI_OK)
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
}

/* D12: types below 128 must be known; others are skipped. Type 3 is a hole, told as damage by a
 * reader that meets it. */
static void unknown_control_records_are_refused_or_skipped_by_their_type(void **state)
{
    for (unsigned type = 0; type < 256; type++) {
        uint8_t key = (uint8_t)type;
        struct raw_record record = {.key = &key,
                                    .key_len = 1,
                                    .value = "whatever it is",
                                    .value_len = 14,
                                    .flags = RAW_CONTROL};

        if (type == 1 || type == 3)
            continue;
        if (type < 128)
            try_record(state, record, NORI_E_VERSION, NORI_E_VERSION);
        else
            try_record(state, record, NORI_OK, NORI_OK);
    }
}

/* A hole behind record 1 that does not say how many it hides, and two records. `said`: what a mark,
 * or with in_header the next header, says the second of them is; 0: nothing tells. Returns the
 * hole's length. */
static size_t make_uncounted(const char *dir, uint64_t said, bool in_header)
{
    uint8_t value[208] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct raw_record hole = {
        .key = "\3", .key_len = 1, .flags = RAW_CONTROL, .value = value, .value_len = 208};
    struct raw_header header = first_header();
    uint64_t salt = SALT_A;
    struct bytes file = {0};
    size_t hole_len;

    remove_dir(dir);
    make_dir(dir);
    put_header(&file, &header);
    (void)put_plain(&file, "a", "1", salt);
    hole_len = file.len;
    (void)put_record(&file, &hole, salt);
    hole_len = file.len - hole_len;
    (void)put_plain(&file, "b", "2", salt);
    if (in_header) {
        header = (struct raw_header){.segment_id = 1, .base_sequence = said, .prev_salt = salt};
        header.log_id = first_header().log_id;
        header.start = header.prev_end = header.durable_lsn = file.len;
        header.salt = ++salt;
        store(dir, 0, &file);
        file = (struct bytes){0};
        put_header(&file, &header);
    } else if (said) {
        (void)put_mark(&file, salt, header.log_id, said, header.start + file.len);
    }
    (void)put_plain(&file, "c", "3", salt);
    store(dir, in_header, &file);
    return hole_len;
}

/* Its number is told as unknown up to a mark or header; and no record gets one that was in use. */
static void a_hole_of_unknown_size_is_read_and_no_number_given_twice(void **state)
{
    const char *dir = dir_of(state);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_record record;
    nori_reader *reader;

    for (int told = 0; told < 3; told++) { /* by nothing, a mark, a header */
        size_t hole_len = make_uncounted(dir, told ? 50 : 0, told == 2);
        uint64_t next = told ? 51 : 4 + hole_len / 7; /* no record is shorter */
        struct nori_wal_config config = config_of(dir);
        nori_wal *wal;

        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, 3);
        append_plain(wal, "d", "4");
        close_log(wal);
        reader = open_reader(dir, OLDEST);
        expect_record(reader, "a", "1", 1);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_CORRUPT); /* once */
        expect_record(reader, "b", "2", 0);
        expect_record(reader, "c", "3", told ? 50 : 0);
        expect_record(reader, "d", "4", next);
        expect_end(reader);
        nori_reader_close(reader);
        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, 4);
    }
    for (int in_header = 0; in_header < 2; in_header++) {
        (void)make_uncounted(dir, 2, in_header); /* the record before has that one at least */
        expect_log_refused(dir, NORI_E_CORRUPT, in_header ? "000001" : "000000");
        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_E_CORRUPT);
    }
}

/* D12: the checksum holds, so somebody meant these flags. */
static void unknown_flags_of_a_record_are_a_newer_version(void **state)
{
    struct raw_record record = {.key = "k", .key_len = 1, .value = "v", .value_len = 1};

    record.flags = RAW_LZ4 | RAW_ZSTD;
    try_record(state, record, NORI_E_VERSION, NORI_E_VERSION);
    record.flags = RAW_CONTROL | RAW_TOMBSTONE;
    try_record(state, record, NORI_E_VERSION, NORI_E_VERSION);
    record.flags = RAW_CONTROL | RAW_CONTINUES;
    try_record(state, record, NORI_E_VERSION, NORI_E_VERSION);
}

/* D6, D12: no bit of any header may change unnoticed, whichever segment it is of. */
static void every_bit_of_every_header_counts(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header headers[2];

    make_pair(dir, headers);
    for (uint64_t id = 5; id <= 10; id += 5)
        for (size_t bit = 0; bit < 128 * 8; bit += 3) {
            struct nori_wal_config config = config_of(dir);
            struct snapshot *before;
            struct nori_error error;
            int rc;

            flip_bit(dir, segment_name(id), bit / 8, bit % 8);
            before = take_snapshot(dir);
            rc = try_open(&config, NULL, &error);
            if (rc != NORI_E_CORRUPT && rc != NORI_E_VERSION)
                fail_msg("bit %zu of %s: %s", bit, segment_name(id), nori_error_name(rc));
            if (rc == NORI_E_VERSION && bit / 8 != 8 && bit / 8 != 9)
                fail_msg("bit %zu of %s: taken for a version", bit, segment_name(id));
            if (!strstr(error.message, segment_name(id)))
                fail_msg("bit %zu of %s: %s", bit, segment_name(id), error.message);
            expect_unchanged(dir, before);
            free_snapshot(before);
            flip_bit(dir, segment_name(id), bit / 8, bit % 8);
        }
    expect_pair(dir);
}

/* D6: the only segment of a log, too, although without its magic it has no header at all. */
static void a_log_of_one_segment_without_its_magic_is_damaged(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 100, 100);
    close_log(wal);
    for (size_t bit = 0; bit < 64; bit++) {
        flip_bit(dir, segment_name(0), bit / 8, bit % 8);
        expect_log_refused(dir, NORI_E_CORRUPT, "000000.wal");
        flip_bit(dir, segment_name(0), bit / 8, bit % 8);
    }
    expect_log(dir, 1, 100);
}

/* D6: its first sector is gone, but its marks tell what it was. */
static void a_log_of_one_segment_without_its_header_is_damaged(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    size_t len = 0;
    uint8_t *data;

    append_range(wal, 1, 300, 300);
    close_log(wal);
    data = load_file(dir, segment_name(0), &len);
    for (size_t gone = 128; gone <= 65536; gone *= 8) {
        memset(data, 0, gone);
        store_file(dir, segment_name(0), data, len);
        expect_log_refused(dir, NORI_E_CORRUPT, "000000.wal");
    }
    free(data);
}

static void a_log_of_thousands_of_segments_is_read_and_dropped(void **state)
{
    enum {
        SEGMENTS = 3000
    };
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info;
    uint64_t deleted = 0;
    nori_wal *wal;

    make_dir(dir);
    for (uint64_t id = 0; id < SEGMENTS; id++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, id + 1, 20);
        struct raw_record raw = {.key = record.key,
                                 .key_len = record.key_len,
                                 .value = record.value,
                                 .value_len = record.value_len};
        struct bytes file = {0};

        put_header(&file, &header);
        (void)put_record(&file, &raw, header.salt);
        header.prev_salt = header.salt;
        header.prev_id = id;
        header.prev_end = file.len;
        header.start += file.len;
        header.durable_lsn = header.start;
        header.salt += 77;
        header.segment_id++;
        header.base_sequence++;
        store(dir, id, &file);
    }
    expect_log(dir, 1, SEGMENTS);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, SEGMENTS);
    assert_int_equal(info.segments_scanned, SEGMENTS);
    wal = open_dir(dir);
    (void)append_numbered(wal, SEGMENTS + 1, 20);
    expect_log(dir, 1, SEGMENTS + 1);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
    assert_int_equal(deleted, SEGMENTS + 1);
    close_log(wal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_bytes_that_rust_wrote_are_read),
        IN_FOLDER(compressed_values_that_rust_wrote_are_read),
        IN_FOLDER(a_log_of_format_1_is_read_in_order_to_its_torn_tail),
        IN_FOLDER(a_log_of_format_1_goes_on_in_format_2),
        IN_FOLDER(opening_a_log_of_format_1_changes_nothing_before_the_first_append),
        IN_FOLDER(segments_of_format_1_can_be_dropped),
        IN_FOLDER(records_of_format_1_larger_than_its_buffer_are_read),
        IN_FOLDER(a_flipped_bit_in_an_ended_segment_of_format_1_is_damage),
        IN_FOLDER(the_worked_example_of_the_format_is_right),
        IN_FOLDER(a_golden_file_is_read_and_continued),
        IN_FOLDER(a_golden_pair_is_read_and_continued),
        IN_FOLDER(a_newer_version_is_told_and_is_not_damage),
        IN_FOLDER(unknown_compatible_features_stop_writers_only),
        IN_FOLDER(unknown_control_records_are_refused_or_skipped_by_their_type),
        IN_FOLDER(a_hole_of_unknown_size_is_read_and_no_number_given_twice),
        IN_FOLDER(unknown_flags_of_a_record_are_a_newer_version),
        IN_FOLDER(every_bit_of_every_header_counts),
        IN_FOLDER(a_log_of_one_segment_without_its_magic_is_damaged),
        IN_FOLDER(a_log_of_one_segment_without_its_header_is_damaged),
        IN_FOLDER(a_log_of_thousands_of_segments_is_read_and_dropped),
    };

    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
