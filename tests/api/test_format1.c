/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_format1.c: format 1 written, for exchange with the Rust crate: the same bytes, and the
 * promises as far as its bytes can tell.
 */
#include "encode.h"
#include "helpers.h"

#include <unistd.h>

static struct nori_wal_config config1_of(const char *dir)
{
    struct nori_wal_config config = config_of(dir);

    config.format = 1;
    return config;
}

static nori_wal *open1(const char *dir)
{
    struct nori_wal_config config = config1_of(dir);

    return open_log(&config);
}

static void append(nori_wal *wal, struct nori_record record)
{
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
}

/* What the file begins with; all behind it is zero. */
static void expect_file(const char *dir, uint64_t id, const struct bytes *expected)
{
    size_t len = 0;
    uint8_t *data = load_file(dir, segment_name(id), &len);

    assert_true(len >= expected->len);
    assert_memory_equal(data, expected->data, expected->len);
    for (size_t i = expected->len; i < len; i++)
        assert_int_equal(data[i], 0);
    free(data);
}

/* ---- the bytes ---- */

/* Bytes that the Rust crate wrote, for the same records. */
static void the_bytes_are_those_that_rust_writes(void **state)
{
    static const uint8_t rust[] = {
        0x03, 0x05, 0x00, 'k', 'e',  'y',  'v',  'a',  'l',  'u',  'e',  0xa6, 0xed, 0xbc, 0x9a,
        0x03, 0x00, 0x01, 'k', 'e',  'y',  0xff, 0xcb, 0x13, 0x9e, 0x02, 0x02, 0x02, 0xdc, 0x0b,
        'k',  '3',  'v',  '3', 0xbc, 0x81, 0xa5, 0xff, 0x00, 0x00, 0x00, 0x7a, 0xa3, 0x64, 0x60};
    const char *dir = dir_of(state);
    nori_wal *wal = open1(dir);
    struct nori_record batch[3] = {nori_record_delete("key", 3),
                                   nori_record_put_with_ttl("k3", 2, "v3", 2, 1500),
                                   nori_record_put("", 0, "", 0)};
    struct nori_position positions[3];
    struct bytes file = {0};

    append(wal, nori_record_put("key", 3, "value", 5));
    assert_int_equal(nori_wal_append_batch(wal, batch, 3, positions), NORI_OK);
    assert_position(positions[0], 0, 15);
    assert_position(positions[1], 0, 25);
    assert_position(positions[2], 0, 38);
    assert_position(position_of(wal), 0, sizeof rust);
    put_bytes(&file, rust, sizeof rust);
    expect_file(dir, 0, &file);
    close_log(wal);
    expect_file(dir, 0, &file); /* and no mark behind it */
    free_bytes(&file);
}

/* Versions and compressed values, held against a second encoder and a reader. */
static void all_that_a_record_may_have_is_there(void **state)
{
    const char *dir = dir_of(state);
    uint8_t text[5000];
    struct nori_record version = nori_record_put("v", 1, "1", 1);
    struct bytes file = {0};
    struct nori_record record;
    nori_reader *reader;
    nori_wal *wal = open1(dir);

    memset(text, 'x', sizeof text);
    version.flags = NORI_RECORD_VERSION | NORI_RECORD_TTL;
    version.ttl_ms = 300;
    version.version_term = 7;
    version.version_index = 1u << 20;
    append(wal, version);
    (void)put_record(&file,
                     &(struct raw_record){.key = "v",
                                          .key_len = 1,
                                          .value = "1",
                                          .value_len = 1,
                                          .flags = RAW_VERSION | RAW_TTL,
                                          .ttl_ms = 300,
                                          .term = 7,
                                          .index = 1u << 20},
                     0);
    expect_file(dir, 0, &file);
    for (uint32_t kind = NORI_COMPRESSION_LZ4; kind <= NORI_COMPRESSION_ZSTD; kind++)
        if (nori_compression_is_offered((enum nori_compression)kind))
            append(wal, nori_record_with_compression(nori_record_put("c", 1, text, sizeof text),
                                                     (enum nori_compression)kind));
    assert_true(position_of(wal).offset < file.len + 2 * sizeof text);
    close_log(wal);
    reader = open_reader(dir, (struct nori_position){0, file.len});
    for (uint32_t kind = NORI_COMPRESSION_LZ4; kind <= NORI_COMPRESSION_ZSTD; kind++) {
        if (!nori_compression_is_offered((enum nori_compression)kind))
            continue;
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_int_equal(record.compression, kind);
        assert_int_equal(record.value_len, sizeof text);
        assert_memory_equal(record.value, text, sizeof text);
    }
    expect_end(reader);
    nori_reader_close(reader);
    free_bytes(&file);
}

/* Format 1 has no place for it, and dropping it silently would change what expires when. */
static void a_time_is_refused(void **state)
{
    nori_wal *wal = open1(dir_of(state));
    struct nori_record record = nori_record_put_with_ttl("k", 1, "v", 1, 5);
    struct nori_error error = NORI_ERROR_INIT;

    record.flags |= NORI_RECORD_TIME;
    record.time_ms = 1000;
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_UNSUPPORTED);
    assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
    assert_non_null(strstr(error.message, "format 1"));
    append_range(wal, 1, 1, 10);
    close_log(wal);
    expect_log(dir_of(state), 1, 1);
}

/* ---- lives and segments ---- */

/* Once the log goes on, ended segments give back what they own behind their end. */
static void expect_trimmed(const struct nori_wal_config *config, uint64_t ended)
{
    nori_wal *wal = open_log(config);
    uint64_t begun = now_ms();

    append_range(wal, 1, 1, 10);
    for (uint64_t id = 0; id < ended; id++)
        while (file_len(config->dir, segment_name(id)) >= MIB) {
            assert_true(now_ms() - begun < PATIENT);
            sleep_ms(1);
        }
    close_log(wal);
}

/* D1, D2, D3: several segments and lives under every policy, each life beginning a segment. */
static void a_log_of_several_lives_is_whole_under_every_policy(void **state)
{
    struct temporary *temporary = *state;

    for (uint32_t policy = NORI_FSYNC_BATCH; policy <= NORI_FSYNC_OS; policy++) {
        char dir[240];
        struct nori_wal_config config;
        struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;

        (void)snprintf(dir, sizeof dir, "%s/%u", temporary->top, policy);
        config = config1_of(dir);
        config.fsync_policy = policy;
        for (uint64_t life = 0; life < 3; life++) {
            nori_wal *wal = NULL;

            assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
            assert_int_equal(info.valid_records, life * 700);
            assert_int_equal(info.was_clean, 1);
            append_range(wal, 1 + life * 700, 700, 2000);
            assert_int_equal(position_of(wal).segment_id, life * 2 + 1);
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
            assert_true(is_same_position(position_of(wal), durable_of(wal)));
            close_log(wal);
        }
        expect_log(dir, 1, 2100);
        expect_trimmed(&config, 6);
        remove_dir(dir);
    }
}

/* Records may be larger than a segment, and follow each other without a byte between. */
static void a_record_larger_than_a_segment_has_one_of_its_own(void **state)
{
    const char *dir = dir_of(state);
    uint8_t *value = calloc(1, 3 * MIB);
    nori_wal *wal = open1(dir);
    nori_reader *reader = open_reader(dir, OLDEST);
    struct nori_record record;

    assert_non_null(value);
    append(wal, nori_record_put("a", 1, "1", 1));
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    append(wal, nori_record_put("b", 1, value, 3 * MIB));
    append(wal, nori_record_put("c", 1, "3", 1));
    assert_position(position_of(wal), 2, 9);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.value_len, 3 * MIB);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_memory_equal(record.key, "c", 1);
    expect_end(reader);
    nori_reader_close(reader);
    close_log(wal);
    free(value);
}

/* What was torn must be gone before a successor says that the segment was complete. */
static void a_torn_tail_is_cut_before_the_log_goes_on(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config1_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    uint8_t garbage[3000];

    memset(garbage, 0x5a, sizeof garbage);
    for (uint64_t life = 0; life < 4; life++) {
        nori_wal *wal = NULL;
        struct nori_position end;
        nori_reader *mapping = NULL;
        size_t len = 0;
        uint8_t *data;

        assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
        assert_int_equal(info.bytes_truncated, life > 0 ? sizeof garbage : 0);
        assert_int_equal(info.corruption_detected, 0);
        if (life % 2 == 0 && life > 0) { /* it maps what is to be cut */
            struct nori_record record;

            mapping = open_reader(dir, OLDEST);
            for (uint64_t i = 0; i < life * 10; i++)
                assert_int_equal(nori_reader_next(mapping, &record, NULL), NORI_OK);
        }
        append_range(wal, 1 + life * 10, 10, 100);
        if (mapping) {
            expect_range(mapping, 1 + life * 10, 10, 1 + life * 10);
            nori_reader_close(mapping);
        }
        end = position_of(wal);
        close_log(wal);
        data = load_file(dir, segment_name(end.segment_id), &len);
        assert_true(end.offset + sizeof garbage <= len);
        memcpy(data + end.offset, garbage, sizeof garbage);
        store_file(dir, segment_name(end.segment_id), data, len);
        free(data);
    }
    expect_log(dir, 1, 40);
    config.recovery_mode = NORI_RECOVER_STRICT; /* only the newest has a torn tail */
    assert_int_equal(try_open(&config, &info, NULL), NORI_E_CORRUPT);
}

/* A backup that is a hard link keeps its length; its garbage is overwritten, which costs it nothing
 * that was ever in the log. */
static void a_backup_of_hard_links_stays_readable(void **state)
{
    struct temporary *temporary = *state;
    const char *dir = dir_of(state);
    char from[300];
    char to[300];
    size_t before;
    nori_wal *wal = open1(dir);

    append_range(wal, 1, 10, 100);
    close_log(wal);
    make_dir(temporary->other);
    (void)snprintf(from, sizeof from, "%s/%s", dir, segment_name(0));
    (void)snprintf(to, sizeof to, "%s/%s", temporary->other, segment_name(0));
    assert_int_equal(link(from, to), 0);
    before = file_len(temporary->other, segment_name(0));
    flip_bit(dir, segment_name(0), before - 1, 3); /* garbage at its very end */
    wal = open1(dir);
    append_range(wal, 11, 10, 100);
    close_log(wal);
    assert_int_equal(file_len(temporary->other, segment_name(0)), before);
    expect_log(temporary->other, 1, 10);
    expect_log(dir, 1, 20);
}

/* ---- readers, retention ---- */

/* D11 */
static void readers_follow_a_live_writer_over_ends_of_segments(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open1(dir);
    nori_reader *readers[4];
    uint64_t number = 1;

    readers[0] = reader_with(wal, NORI_VISIBLE_APPENDED, 0);
    readers[1] = open_reader(dir, OLDEST);
    readers[2] = reader_with(wal, NORI_VISIBLE_APPENDED, NORI_READER_PREAD);
    readers[3] = reader_with(wal, NORI_VISIBLE_DURABLE, 0);
    for (uint64_t count = 1; count < 100; count++) {
        append_range(wal, number, count, 1000);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        for (size_t i = 0; i < 4; i++)
            expect_range(readers[i], number, count, number);
        number += count;
        for (size_t i = 0; i < 4; i++)
            expect_end(readers[i]);
    }
    assert_true(position_of(wal).segment_id >= 3);
    close_log(wal);
    wal = open1(dir);
    append_range(wal, number, 10, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    for (size_t i = 0; i < 4; i++) {
        expect_range(readers[i], number, 10, number);
        expect_end(readers[i]);
        nori_reader_close(readers[i]);
    }
    close_log(wal);
}

/* D11: the writer counts from segments that are gone. */
static void a_reader_agrees_with_a_writer_that_dropped_segments(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open1(dir);
    uint64_t number = 1;

    for (int round = 0; round < 5; round++) {
        struct nori_position first;
        uint64_t deleted = 0;
        nori_reader *reader;
        nori_reader *durable;

        append_range(wal, number, 1100, 1000);
        number += 1100;
        assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
        assert_true(deleted > 0);
        reader = open_reader(dir, OLDEST);
        durable = reader_with(wal, NORI_VISIBLE_DURABLE, 0);
        expect_end(reader);
        append_range(wal, number, 1100, 1000);
        expect_range(reader, number, 1100, 1);
        expect_end(reader);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        expect_range(durable, number, 1100, 1);
        expect_end(durable);
        assert_int_equal(nori_wal_first_position(wal, &first), NORI_OK);
        assert_int_equal(first.offset, 0);
        number += 1100;
        nori_reader_close(reader);
        nori_reader_close(durable);
    }
    close_log(wal);
}

/* D11: nothing in a segment of format 1 says what came before it. */
static void a_reader_is_told_what_retention_removed(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open1(dir);
    nori_reader *reader = open_reader(dir, OLDEST);
    struct nori_record record;
    uint64_t number = 0;
    uint64_t read = 0;
    int rc;

    append_range(wal, 1, 10, 1000);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    append_range(wal, 11, 4000, 1000);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    append_range(wal, 4011, 10, 1000);
    for (read = 2; (rc = nori_reader_next(reader, &record, NULL)) == NORI_OK; read++) {
        assert_true(is_numbered(&record, &number));
        assert_int_equal(number, read); /* the file that it had open, to its end */
    }
    assert_int_equal(rc, NORI_E_TRUNCATED);
    assert_true(read > 500 && read < 2000);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_TRUNCATED);
    nori_reader_close(reader);
    close_log(wal);
}

#define PAGE_WORDS ((size_t)512) /* of 8 bytes, in `control` */
#define PAGES      ((size_t)6)

/* All records from a position on, numbers `first` to `last`, or up to any before that. */
static void expect_numbers(const char *dir, struct nori_position from, uint32_t visibility,
                           uint64_t first, uint64_t last)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    struct nori_record record;
    uint64_t next = first;
    uint64_t number = 0;
    int rc;

    config.visibility = visibility;
    assert_int_equal(nori_reader_open_with(dir, &config, from, &reader, NULL), NORI_OK);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK) {
        assert_true(is_numbered(&record, &number));
        assert_int_equal(number, next);
        next++;
    }
    if (rc < 0 && nori_reader_last_error(reader, &error) == NORI_OK)
        fail_msg("%s: %s", nori_error_name(rc), error.message);
    if (visibility == NORI_VISIBLE_APPENDED)
        assert_int_equal(next, last + 1);
    nori_reader_close(reader);
}

/* A log of two lives, with segments that were dropped and a torn tail, and `control` as it was at
 * several moments. Returns a place of number 1500; the log has 1101 to 2700. */
static struct nori_position make_two_lives(const char *dir, uint64_t (*pages)[PAGE_WORDS])
{
    struct nori_position middle = {0, 0};
    struct nori_position end;
    nori_wal *wal = open1(dir);
    uint8_t *data;
    size_t len;

    for (size_t i = 0; i < PAGES; i++) {
        if (i == 1)
            append_range(wal, 1, 1100, 1000);
        if (i == 2)
            assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), 0);
        if (i == 3) {
            append_range(wal, 1101, 399, 1000);
            middle = append_numbered(wal, 1500, 1000);
            append_range(wal, 1501, 700, 1000);
        }
        if (i == 4) {
            close_log(wal);
            wal = open1(dir);
        }
        if (i == 5)
            append_range(wal, 2201, 500, 1000);
        data = load_file(dir, "control", &len);
        memcpy(pages[i], data, sizeof pages[i]);
        free(data);
    }
    end = position_of(wal);
    close_log(wal);
    data = load_file(dir, segment_name(end.segment_id), &len);
    memcpy(data + end.offset, data, 500); /* half a record */
    store_file(dir, segment_name(end.segment_id), data, len);
    free(data);
    return middle;
}

/* D11: a power cut leaves any mix of what stood in `control` at any time, torn anywhere; a bad
 * disk leaves anything. It is no reason to call bytes damaged, or to show less than the next open
 * will. */
static void no_mix_of_words_in_control_is_damage(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config1_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    static uint64_t pages[PAGES][PAGE_WORDS];
    struct nori_position middle = make_two_lives(dir, pages);
    uint64_t random = 1;
    size_t len;
    uint8_t *control = load_file(dir, "control", &len);

    for (int mix = 0; mix < 100; mix++) {
        for (size_t word = 8, page = 0; word < PAGE_WORDS; word++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 33) % 3 == 0)
                page = (size_t)(random >> 40) % (PAGES + 2);
            if (page < PAGES)
                memcpy(control + word * 8, &pages[page][word], 8);
            else if (page == PAGES)
                memset(control + word * 8, 0, 8);
            else
                memcpy(control + word * 8, &random, 8);
        }
        if (mix % 10 == 9) { /* a place that leads around zero */
            const uint64_t place[3] = {2, middle.segment_id, UINT64_MAX - (uint64_t)mix * 10000};

            memcpy(control + 88, place, sizeof place);
        }
        store_file(dir, "control", control, len);
        expect_numbers(dir, OLDEST, NORI_VISIBLE_APPENDED, 1101, 2700);
        expect_numbers(dir, middle, NORI_VISIBLE_APPENDED, 1500, 2700);
        expect_numbers(dir, OLDEST, NORI_VISIBLE_DURABLE, 1101, 2700);
    }
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.corruption_detected, 0);
    assert_int_equal(info.valid_records, 1600);
    free(control);
}

/* ---- with format 2 ---- */

static void a_log_of_format_1_goes_on_in_format_2_and_never_back(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config1_of(dir);
    struct nori_error error;
    struct snapshot *before;
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, 10, 100);
    close_log(wal);
    wal = open_dir(dir);
    append_range(wal, 11, 10, 100);
    close_log(wal);
    expect_log(dir, 1, 20);
    before = take_snapshot(dir);
    for (uint32_t mode = NORI_RECOVER_TAIL; mode <= NORI_RECOVER_SALVAGE; mode++) {
        config.recovery_mode = mode;
        assert_int_equal(try_open(&config, NULL, &error), NORI_E_UNSUPPORTED);
        assert_non_null(strstr(error.message, "format 2"));
        expect_unchanged(dir, before);
    }
    free_snapshot(before);
}

static uint64_t first_number(const char *dir)
{
    nori_reader *reader = open_reader(dir, OLDEST);
    struct nori_record record;

    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    nori_reader_close(reader);
    return record.sequence;
}

/* D11: a file that is dead is going to be removed; nothing may be counted by it. */
static void a_dead_file_of_format_1_changes_no_sequence_number(void **state)
{
    static const char record[] = "\3\5\0keyvalue\xa6\xed\xbc\x9a";
    const struct raw_header header = {.segment_id = 2,
                                      .base_sequence = 8, /* six were dropped */
                                      .log_id = 1,
                                      .salt = 77,
                                      .start = 500,
                                      .durable_lsn = 500,
                                      .prev_id = 0,
                                      .prev_end = sizeof record - 1};
    const char *dir = dir_of(state);
    struct bytes file = {0};

    put_header(&file, &header);
    make_dir(dir);
    store_file(dir, segment_name(0), record, sizeof record - 1);
    store_file(dir, segment_name(1), record, sizeof record - 1);
    store_file(dir, segment_name(2), file.data, file.len);
    assert_int_equal(first_number(dir), 7);
    remove_file(dir, segment_name(1));
    assert_int_equal(first_number(dir), 7);
    free_bytes(&file);
}

/* D6: without its header the newest segment looks like one of format 1 that was just begun; what
 * was durable in it must not pass for space. Mended it stays so, also if a power cut brings back
 * the `control` of before (D7). */
static void a_lost_header_behind_format_1_is_told_until_it_is_mended(void **state)
{
    static const uint8_t zeros[512];
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_log_options dry = NORI_LOG_OPTIONS_INIT;
    nori_wal *wal = open1(dir);
    uint64_t id;
    size_t control_len;
    uint8_t *control;
    nori_reader *reader;
    struct nori_record record;

    dry.flags = NORI_LOG_DRY_RUN;
    append_range(wal, 1, 3, 10);
    close_log(wal);
    wal = open_log(&config);
    append_range(wal, 4, 5, 10);
    id = position_of(wal).segment_id;
    close_log(wal);
    store_file(dir, segment_name(id), zeros, sizeof zeros);
    control = load_file(dir, "control", &control_len);

    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_CORRUPT);
    assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_E_CORRUPT);
    assert_int_equal(nori_log_repair(dir, &dry, NULL, NULL, NULL), NORI_E_CORRUPT);
    reader = open_reader(dir, OLDEST);
    for (int i = 0; i < 4; i++)
        assert_int_equal(nori_reader_next(reader, &record, NULL), i < 3 ? NORI_OK : NORI_E_CORRUPT);
    nori_reader_close(reader);
    config.recovery_mode = NORI_RECOVER_PREFIX;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(count_files(dir, ".wal"), 2); /* the header that says where the log ends */
    store_file(dir, "control", control, control_len);
    config.recovery_mode = NORI_RECOVER_TAIL;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    expect_log(dir, 1, 3);
    free(control);
}

/* D6, D11: mended in format 1 no header says where the log ends; `control` must not go on telling
 * of what was cut off, neither to the next open nor to readers of what is durable. */
static void what_was_cut_off_in_format_1_is_forgotten(void **state)
{
    nori_sim *sim = nori_sim_new(NULL), *after;
    struct nori_wal_config config = config_on(sim);
    nori_reader *reader;
    nori_wal *wal;
    uint8_t zeros[512] = {0};
    uint64_t bytes;

    (void)state;
    config.format = 1;
    config.fsync_policy = NORI_FSYNC_OS;
    wal = open_log(&config);
    append_range(wal, 1, 3, 100);
    close_log(wal);
    config.format = 2;
    wal = open_log(&config);
    append_range(wal, 4, 5, 100);
    close_log(wal);
    assert_int_equal(nori_sim_file_bytes(sim, "wal/000001.wal", &bytes), 0);
    assert_int_equal(nori_sim_file_poke(sim, "wal/000001.wal", 0, zeros, sizeof zeros), 0);
    nori_sim_sync_all(sim);
    config.format = 1;
    config.recovery_mode = NORI_RECOVER_PREFIX;
    wal = open_log(&config);
    append_range(wal, 4, 1, 100);
    reader = reader_with(wal, NORI_VISIBLE_DURABLE, 0);
    for (uint64_t number = 1; number <= 3; number++) {
        struct nori_record record;

        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    }
    expect_end(reader);
    nori_reader_close(reader);
    (void)nori_sim_power_cut(sim, 0, &after); /* only what was synced */
    close_log(wal);
    nori_sim_free(sim);
    config.vfs = nori_sim_vfs(after);
    config.recovery_mode = NORI_RECOVER_TAIL;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    nori_sim_free(after);
}

/* D12: also where the header that tells is the one that is damaged. */
static void a_damaged_log_of_format_2_is_not_mended_for_format_1(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config1_of(dir);
    struct snapshot *before;
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 10, 100);
    close_log(wal);
    flip_bit(dir, segment_name(0), 40, 0);
    before = take_snapshot(dir);
    for (uint32_t mode = NORI_RECOVER_TAIL; mode <= NORI_RECOVER_SALVAGE; mode++) {
        config.recovery_mode = mode;
        assert_int_equal(try_open(&config, NULL, NULL), NORI_E_UNSUPPORTED);
        expect_unchanged(dir, before);
    }
    free_snapshot(before);
}

/* D7: the end of what was kept is made with the tools of format 1. */
static void damage_is_mended_in_format_1(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config1_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, 2500, 1000);
    close_log(wal);
    flip_bit(dir, segment_name(1), 5000, 1);
    assert_int_equal(try_open(&config, &info, NULL), NORI_E_CORRUPT);
    config.recovery_mode = NORI_RECOVER_PREFIX;
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.corruption_detected, 1);
    assert_true(info.valid_records > 1000 && info.valid_records < 1100);
    append_range(wal, info.valid_records + 1, 10, 1000);
    close_log(wal);
    expect_log(dir, 1, info.valid_records + 10);
    config.recovery_mode = NORI_RECOVER_STRICT;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_true(has_file(dir, "quarantine"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_bytes_are_those_that_rust_writes),
        IN_FOLDER(all_that_a_record_may_have_is_there),
        IN_FOLDER(a_time_is_refused),
        IN_FOLDER(a_log_of_several_lives_is_whole_under_every_policy),
        IN_FOLDER(a_record_larger_than_a_segment_has_one_of_its_own),
        IN_FOLDER(a_torn_tail_is_cut_before_the_log_goes_on),
        IN_FOLDER(a_backup_of_hard_links_stays_readable),
        IN_FOLDER(readers_follow_a_live_writer_over_ends_of_segments),
        IN_FOLDER(a_reader_agrees_with_a_writer_that_dropped_segments),
        IN_FOLDER(a_reader_is_told_what_retention_removed),
        IN_FOLDER(no_mix_of_words_in_control_is_damage),
        IN_FOLDER(a_log_of_format_1_goes_on_in_format_2_and_never_back),
        IN_FOLDER(a_dead_file_of_format_1_changes_no_sequence_number),
        IN_FOLDER(a_lost_header_behind_format_1_is_told_until_it_is_mended),
        cmocka_unit_test(what_was_cut_off_in_format_1_is_forgotten),
        IN_FOLDER(a_damaged_log_of_format_2_is_not_mended_for_format_1),
        IN_FOLDER(damage_is_mended_in_format_1),
    };

    return cmocka_run_group_tests_name("format1", tests, NULL, NULL);
}
