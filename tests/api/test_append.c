/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_append.c: records of every kind and size go in and come back as they were. */
#include "helpers.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static uint64_t unix_ms(void)
{
    return nori_vfs_posix()->realtime_ms(nori_vfs_posix()->context);
}

/* The two records hold the same, but for what the reader adds. */
static void expect_same(const struct nori_record *actual, const struct nori_record *expected)
{
    assert_int_equal(actual->key_len, expected->key_len);
    assert_int_equal(actual->value_len, expected->value_len);
    if (expected->key_len > 0)
        assert_memory_equal(actual->key, expected->key, expected->key_len);
    if (expected->value_len > 0)
        assert_memory_equal(actual->value, expected->value, expected->value_len);
    assert_int_equal(actual->ttl_ms, expected->ttl_ms);
    assert_int_equal(actual->version_term, expected->version_term);
    assert_int_equal(actual->version_index, expected->version_index);
    if (expected->flags & NORI_RECORD_TIME)
        assert_int_equal(actual->time_ms, expected->time_ms);
}

static struct nori_record with_version(struct nori_record record, uint64_t term, uint64_t index)
{
    record.flags |= NORI_RECORD_VERSION;
    record.version_term = term;
    record.version_index = index;
    return record;
}

static struct nori_record with_time(struct nori_record record, uint64_t time_ms)
{
    record.flags |= NORI_RECORD_TIME;
    record.time_ms = time_ms;
    return record;
}

static size_t make_all_kinds(struct nori_record *records)
{
    static const char zeros[300];
    size_t count = 0;

    records[count++] = nori_record_put("key", 3, "value", 5);
    records[count++] = nori_record_put(NULL, 0, "value", 5);
    records[count++] = nori_record_put("key", 3, NULL, 0);
    records[count++] = nori_record_put(NULL, 0, NULL, 0);
    records[count++] = nori_record_put(zeros, 1, zeros, 2);
    records[count++] = nori_record_put(zeros, 300, zeros, 300);
    records[count++] = nori_record_delete("gone", 4);
    records[count++] = nori_record_delete(NULL, 0);
    records[count++] = nori_record_put_with_ttl("t", 1, "v", 1, 0);
    records[count++] = nori_record_put_with_ttl("t", 1, "v", 1, UINT64_MAX);
    records[count++] = with_time(nori_record_put_with_ttl("t", 1, "v", 1, 1500), 1234567890123);
    records[count++] = with_time(nori_record_put("t", 1, "v", 1), UINT64_MAX);
    records[count++] = with_version(nori_record_put("r", 1, "v", 1), 0, 0);
    records[count++] = with_version(nori_record_delete("r", 1), UINT64_MAX, UINT64_MAX);
    records[count++] = with_version(
        with_time(nori_record_put_with_ttl("all", 3, "of it", 5, 127), 128), 16383, 16384);
    return count;
}

/* D1 */
static void every_kind_of_record_comes_back_as_it_was(void **state)
{
    struct nori_position positions[32];
    struct nori_record records[32];
    size_t count = make_all_kinds(records);
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;

    for (size_t i = 0; i < count; i++)
        assert_int_equal(nori_wal_append(wal, &records[i], &positions[i]), NORI_OK);
    close_log(wal);

    reader = open_reader(dir_of(state), OLDEST);
    for (size_t i = 0; i < count; i++) {
        struct nori_position position;
        struct nori_record record;
        uint32_t flags = records[i].flags;

        assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
        assert_true(is_same_position(position, positions[i]));
        if (flags & NORI_RECORD_TTL)
            flags |= NORI_RECORD_TIME;
        assert_int_equal(record.flags, flags);
        assert_int_equal(record.sequence, i + 1);
        assert_int_equal(record.compression, NORI_COMPRESSION_NONE);
        expect_same(&record, &records[i]);
    }
    assert_int_equal(nori_reader_next(reader, &(struct nori_record){0}, NULL), NORI_END);
    nori_reader_close(reader);
}

static void a_ttl_is_given_the_time_of_its_append_and_expires(void **state)
{
    struct nori_record put = nori_record_put_with_ttl("k", 1, "v", 1, 1000);
    nori_wal *wal = open_dir(dir_of(state));
    uint64_t before = unix_ms();
    struct nori_record record;
    nori_reader *reader;
    uint64_t after;

    assert_int_equal(nori_wal_append(wal, &put, NULL), NORI_OK);
    after = unix_ms();
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_in_range(record.time_ms, before, after);
    assert_int_equal(record.ttl_ms, 1000);
    assert_int_equal(nori_record_is_expired(&record, record.time_ms + 999), 0);
    assert_int_equal(nori_record_is_expired(&record, record.time_ms + 1000), 1);
    record.ttl_ms = UINT64_MAX;
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX - 1), 0);
    record.flags = NORI_RECORD_TTL; /* of format 1: nobody can tell */
    assert_int_equal(nori_record_is_expired(&record, UINT64_MAX), 0);
    nori_reader_close(reader);
    close_log(wal);
}

static void fill_text(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = "the same words again and again, "[i % 32];
}

static bool is_offered(nori_wal *wal, uint32_t compression)
{
    struct nori_record record = nori_record_put("probe", 5, "probe", 5);

    record = nori_record_with_compression(record, compression);
    return nori_wal_append(wal, &record, NULL) != NORI_E_UNSUPPORTED;
}

/* D1: what does not get smaller is stored as it is. */
static void compressed_values_come_back_as_they_were(void **state)
{
    static const size_t lens[] = {0, 1, 2, 15, 64, 1000, 4096, 100000, 3000000};
    char *text = malloc(3000000);
    nori_wal *wal = open_dir(dir_of(state));

    assert_non_null(text);
    fill_text(text, 3000000);
    for (uint32_t compression = NORI_COMPRESSION_LZ4; compression <= NORI_COMPRESSION_ZSTD;
         compression++) {
        struct nori_position begin = {0, 0};
        struct nori_record record;
        nori_reader *reader;

        if (!is_offered(wal, compression))
            continue;
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            struct nori_position position;

            record = nori_record_put("text", 4, text, lens[i]);
            record = nori_record_with_compression(record, compression);
            assert_int_equal(nori_wal_append(wal, &record, &position), NORI_OK);
            begin = i == 0 ? position : begin;
        }
        assert_int_equal(nori_wal_read_from(wal, begin, &reader), NORI_OK);
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
            assert_int_equal(record.value_len, lens[i]);
            if (lens[i] > 0)
                assert_memory_equal(record.value, text, lens[i]);
            if (lens[i] >= 1000)
                assert_int_equal(record.compression, compression);
            if (lens[i] <= 2)
                assert_int_equal(record.compression, NORI_COMPRESSION_NONE);
        }
        nori_reader_close(reader);
    }
    /* 3 MB of text lie in far less. */
    assert_true(position_of(wal).segment_id == 0 && position_of(wal).offset < 200000);
    close_log(wal);
    free(text);
}

static void incompressible_values_are_stored_as_they_are(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));

    for (uint32_t compression = NORI_COMPRESSION_LZ4; compression <= NORI_COMPRESSION_ZSTD;
         compression++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, compression, 4096);
        struct nori_position position;
        nori_reader *reader;
        uint64_t number;

        if (!is_offered(wal, compression))
            continue;
        record = nori_record_with_compression(record, compression);
        assert_int_equal(nori_wal_append(wal, &record, &position), NORI_OK);
        assert_int_equal(nori_wal_read_from(wal, position, &reader), NORI_OK);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_true(is_numbered(&record, &number));
        assert_int_equal(record.compression, NORI_COMPRESSION_NONE);
        nori_reader_close(reader);
    }
    close_log(wal);
}

/* A batch may mix plain and compressed values of any size. */
static void a_batch_mixes_compressed_and_plain_values(void **state)
{
    static char text[5000];
    struct nori_record records[6];
    struct nori_record record;
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;

    fill_text(text, sizeof text);
    for (size_t i = 0; i < 6; i++) {
        records[i] = nori_record_put(&text[i], i, text, sizeof text - i * 900);
        if (i % 3 > 0 && is_offered(wal, (uint32_t)(i % 3)))
            records[i].compression = (uint32_t)(i % 3);
    }
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    assert_int_equal(nori_wal_append_batch(wal, records, 6, NULL), NORI_OK);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        expect_same(&record, &records[i]);
    }
    nori_reader_close(reader);
    close_log(wal);
}

/* The lengths around every power of two up to some segments, and so around every buffer and
 * window inside. */
static void records_larger_than_buffer_and_segment_come_back(void **state)
{
    static const size_t lens[] = {64 << 10, 128 << 10, 256 << 10, 1 << 20, 2 << 20, 5 << 20};
    struct nori_wal_config config = config_of(dir_of(state));
    uint8_t *value = malloc(6 * MIB);
    struct nori_position positions[64];
    struct nori_record record;
    size_t count = 0;
    nori_reader *reader;
    nori_wal *wal;

    assert_non_null(value);
    for (size_t i = 0; i < 6 * MIB; i++)
        value[i] = (uint8_t)(i * 31 + (i >> 11));
    config.buffer_size = 64 << 10;
    wal = open_log(&config);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
        for (size_t around = 0; around < 5; around++, count++) {
            record = nori_record_put("large", 5, value, lens[i] - 20 + around * 8);
            assert_int_equal(nori_wal_append(wal, &record, &positions[count]), NORI_OK);
            (void)append_numbered(wal, count, 10);
        }
    close_log(wal);

    reader = open_reader(dir_of(state), OLDEST);
    for (size_t i = 0; i < count; i++) {
        struct nori_position position;
        uint64_t number;

        assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
        assert_true(is_same_position(position, positions[i]));
        assert_int_equal(record.value_len, lens[i / 5] - 20 + i % 5 * 8);
        assert_memory_equal(record.value, value, record.value_len);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_true(is_numbered(&record, &number) && number == i);
    }
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
    nori_reader_close(reader);
    free(value);
}

/* D4: it lies in one segment, even if it is larger than one. */
static void a_batch_larger_than_a_segment_lies_in_one(void **state)
{
    enum {
        COUNT = 1000,
        LEN = 3000
    };
    static struct numbered memories[COUNT];
    static struct nori_record records[COUNT];
    static struct nori_position positions[COUNT];
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal;
    nori_reader *reader;

    config.buffer_size = 64 << 10;
    wal = open_log(&config);
    append_range(wal, 1, 10, 100);
    for (size_t i = 0; i < COUNT; i++)
        records[i] = make_numbered(&memories[i], 11 + i, LEN);
    assert_int_equal(nori_wal_append_batch(wal, records, COUNT, positions), NORI_OK);
    append_range(wal, 11 + COUNT, 10, 100);
    for (size_t i = 1; i < COUNT; i++) {
        assert_int_equal(positions[i].segment_id, positions[0].segment_id);
        assert_true(positions[i].offset > positions[i - 1].offset + LEN);
    }
    close_log(wal);
    expect_log(dir_of(state), 1, 20 + COUNT);

    reader = open_reader(dir_of(state), positions[0]);
    for (size_t i = 0; i < COUNT; i++) {
        struct nori_record record;
        struct nori_position position;

        assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
        assert_true(is_same_position(position, positions[i]));
        assert_int_equal(record.flags, i + 1 < COUNT ? NORI_RECORD_BATCH_CONTINUES : 0);
    }
    nori_reader_close(reader);
}

static void positions_are_ordered_and_stable(void **state)
{
    static struct nori_position positions[3000];
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;

    assert_position(position_of(wal), 0, 0);
    for (size_t i = 0; i < 3000; i++) {
        if (i % 1000 == 999) {
            close_log(wal);
            wal = open_dir(dir_of(state));
        }
        positions[i] = append_numbered(wal, i, 1000);
        assert_true(i == 0 || compare_positions(positions[i - 1], positions[i]) < 0);
        assert_true(compare_positions(positions[i], position_of(wal)) < 0);
    }
    assert_true(positions[2999].segment_id >= 3);
    close_log(wal);
    wal = open_dir(dir_of(state));
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    for (size_t i = 0; i < 3000; i++) {
        struct nori_record record;
        struct nori_position position;

        assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
        assert_true(is_same_position(position, positions[i]));
    }
    nori_reader_close(reader);
    close_log(wal);
}

/* ---- what is refused ---- */

static void expect_append(nori_wal *wal, const struct nori_record *record, int expected)
{
    struct nori_position before = position_of(wal);
    struct nori_position position = {77, 77};
    struct nori_error error = NORI_ERROR_INIT;

    assert_int_equal(nori_wal_append(wal, record, &position), expected);
    assert_position(position, 77, 77);
    assert_true(is_same_position(position_of(wal), before));
    assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
    assert_int_equal(error.code, expected);
    assert_true(error.message[0] != '\0');
}

/* D8: these errors promise that the record is not in the log. */
static void invalid_records_are_refused_and_change_nothing(void **state)
{
    struct nori_record good = nori_record_put("k", 1, "v", 1);
    struct nori_record bad;
    nori_wal *wal = open_dir(dir_of(state));

    assert_int_equal(nori_wal_last_error(wal, &(struct nori_error)NORI_ERROR_INIT), NORI_END);
    (void)append_numbered(wal, 1, 10);
    expect_append(wal, NULL, NORI_E_INVALID);
    bad = nori_record_put(NULL, 1, "v", 1);
    expect_append(wal, &bad, NORI_E_INVALID);
    bad = nori_record_put("k", 1, NULL, 1);
    expect_append(wal, &bad, NORI_E_INVALID);
    bad = good;
    bad.compression = 3;
    expect_append(wal, &bad, NORI_E_INVALID);
    for (unsigned bit = 5; bit < 32; bit++) {
        bad = good;
        bad.flags = 1u << bit;
        expect_append(wal, &bad, NORI_E_INVALID);
    }
    for (size_t i = 0; i < 4; i++) {
        bad = good;
        bad.reserved[i] = 1;
        expect_append(wal, &bad, NORI_E_INVALID);
    }
    bad = nori_record_put("k", SIZE_MAX, "v", SIZE_MAX);
    expect_append(wal, &bad, NORI_E_TOOBIG);
    assert_int_equal(nori_wal_append_batch(wal, &good, 0, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_append_batch(wal, NULL, 1, NULL), NORI_E_INVALID);
    (void)append_numbered(wal, 2, 10);
    close_log(wal);
    expect_log(dir_of(state), 1, 2);
}

/* D4: one bad record in a batch, and none of it is there. */
static void a_batch_with_one_bad_record_is_refused_whole(void **state)
{
    struct numbered memories[3];
    struct nori_record records[3];
    nori_wal *wal = open_dir(dir_of(state));

    for (size_t bad = 0; bad < 3; bad++) {
        for (size_t i = 0; i < 3; i++)
            records[i] = make_numbered(&memories[i], 1 + i, 10);
        records[bad].compression = 9;
        assert_int_equal(nori_wal_append_batch(wal, records, 3, NULL), NORI_E_INVALID);
    }
    assert_position(position_of(wal), 0, 0);
    records[2].compression = 0;
    assert_int_equal(nori_wal_append_batch(wal, records, 3, NULL), NORI_OK);
    close_log(wal);
    expect_log(dir_of(state), 1, 3);
}

/* Without a configuration it is the folder `wal` where the program runs. */
static void a_log_needs_no_configuration(void **state)
{
    const struct temporary *temporary = *state;
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    nori_wal *wal = NULL;

    assert_true(before >= 0);
    assert_int_equal(chdir(temporary->top), 0);
    assert_int_equal(nori_wal_open(NULL, &wal, NULL, NULL), NORI_OK);
    append_range(wal, 1, 10, 100);
    close_log(wal);
    assert_int_equal(fchdir(before), 0);
    (void)close(before);
    expect_log(temporary->dir, 1, 10);
}

static void null_handles_and_results_are_invalid(void **state)
{
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    struct nori_position position;
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    nori_wal *wal;

    assert_int_equal(nori_wal_open(NULL, NULL, NULL, &error), NORI_E_INVALID);
    assert_int_equal(error.code, NORI_E_INVALID);
    assert_int_equal(nori_wal_append(NULL, &record, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_append_batch(NULL, &record, 1, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_flush(NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_sync(NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_wait_durable(NULL, OLDEST, 0), NORI_E_INVALID);
    assert_int_equal(nori_wal_position(NULL, &position), NORI_E_INVALID);
    assert_int_equal(nori_wal_durable_position(NULL, &position), NORI_E_INVALID);
    assert_int_equal(nori_wal_first_position(NULL, &position), NORI_E_INVALID);
    assert_int_equal(nori_wal_read_from(NULL, OLDEST, &reader), NORI_E_INVALID);
    assert_int_equal(nori_wal_delete_segments_before(NULL, OLDEST, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_last_error(NULL, &error), NORI_E_INVALID);
    assert_int_equal(nori_wal_failure(NULL, &error), NORI_E_INVALID);
    assert_int_equal(nori_wal_close(NULL), NORI_OK);
    assert_int_equal(nori_reader_next(NULL, &record, NULL), NORI_E_INVALID);
    assert_int_equal(nori_reader_wait(NULL, 0), NORI_E_INVALID);
    assert_int_equal(nori_reader_last_error(NULL, &error), NORI_E_INVALID);
    nori_reader_close(NULL);

    wal = open_dir(dir_of(state));
    assert_int_equal(nori_wal_position(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_durable_position(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_first_position(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_last_error(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_failure(wal, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_failure(wal, &error), NORI_END);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    assert_int_equal(nori_reader_next(reader, NULL, NULL), NORI_E_INVALID);
    assert_int_equal(nori_reader_wait(reader, -2), NORI_E_INVALID);
    assert_int_equal(nori_reader_last_error(reader, NULL), NORI_E_INVALID);
    assert_int_equal(nori_reader_last_error(reader, &error), NORI_END);
    nori_reader_close(reader);
    close_log(wal);
}

static void max_record_size_counts_keys_and_values_of_a_batch(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_record records[2];
    static char bytes[2000];
    nori_wal *wal;

    config.max_record_size = 1000;
    wal = open_log(&config);
    records[0] = nori_record_put(bytes, 400, bytes, 601);
    expect_append(wal, &records[0], NORI_E_TOOBIG);
    records[0] = nori_record_put(bytes, 1001, NULL, 0);
    expect_append(wal, &records[0], NORI_E_TOOBIG);
    records[0] = nori_record_put(bytes, 400, bytes, 600);
    assert_int_equal(nori_wal_append(wal, &records[0], NULL), NORI_OK);
    records[0] = nori_record_put(bytes, 400, bytes, 100);
    records[1] = nori_record_put(bytes, 400, bytes, 101);
    assert_int_equal(nori_wal_append_batch(wal, records, 2, NULL), NORI_E_TOOBIG);
    records[1] = nori_record_put(bytes, 400, bytes, 100);
    assert_int_equal(nori_wal_append_batch(wal, records, 2, NULL), NORI_OK);
    close_log(wal);

    /* What the log holds already is read under a smaller limit, too. */
    config.max_record_size = 10;
    wal = open_log(&config);
    expect_append(wal, &records[0], NORI_E_TOOBIG);
    close_log(wal);
}

/* ---- opening ---- */

static void expect_refused(struct nori_wal_config config, int expected, int line)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = try_open(&config, NULL, &error);

    if (rc != expected)
        fail_msg("line %d: %s instead of %s", line, nori_error_name(rc), nori_error_name(expected));
    assert_int_equal(error.code, expected);
    assert_true(error.message[0] != '\0');
    assert_false(has_file(config.dir, ""));
}

/* Sets one field wrongly and expects it to be refused before anything is created. */
#define EXPECT_REFUSED(field, bad, code)                         \
    do {                                                         \
        struct nori_wal_config wrong = config_of(dir_of(state)); \
        wrong.field = (bad);                                     \
        expect_refused(wrong, code, __LINE__);                   \
    } while (0)

static void fields_out_of_range_are_refused_at_open(void **state)
{
    EXPECT_REFUSED(size, 0, NORI_E_INVALID);
    EXPECT_REFUSED(size, 8, NORI_E_INVALID);
    EXPECT_REFUSED(max_segment_size, MIB - 1, NORI_E_INVALID);
    EXPECT_REFUSED(max_segment_size, UINT64_MAX, NORI_E_INVALID);
    EXPECT_REFUSED(fsync_policy, 3, NORI_E_INVALID);
    EXPECT_REFUSED(batch_window_us, 1000001, NORI_E_INVALID);
    EXPECT_REFUSED(format, 3, NORI_E_INVALID);
    EXPECT_REFUSED(preallocate, 4, NORI_E_INVALID);
    EXPECT_REFUSED(recovery_mode, 4, NORI_E_INVALID);
    EXPECT_REFUSED(verify, 2, NORI_E_INVALID);
    EXPECT_REFUSED(flags, 4, NORI_E_INVALID);
    EXPECT_REFUSED(flags, NORI_OPEN_MUST_EXIST | NORI_OPEN_MUST_CREATE, NORI_E_INVALID);
    EXPECT_REFUSED(file_mode, 01600, NORI_E_INVALID);
    EXPECT_REFUSED(reserved, 1, NORI_E_INVALID);
    EXPECT_REFUSED(max_record_size, ((uint64_t)1 << 30) + 1, NORI_E_INVALID);
    EXPECT_REFUSED(buffer_size, 4095, NORI_E_INVALID);
    EXPECT_REFUSED(buffer_size, ((size_t)1 << 30) + 1, NORI_E_INVALID);
    EXPECT_REFUSED(flags, NORI_OPEN_MUST_EXIST, NORI_E_NOTFOUND);
}

static void the_largest_and_smallest_fields_are_taken(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));

    config.fsync_policy = NORI_FSYNC_BATCH;
    config.batch_window_us = 1000000;
    config.max_record_size = (uint64_t)1 << 30;
    config.buffer_size = 4096;
    config.node_id = UINT32_MAX;
    config.format = 2;
    for (uint32_t preallocate = 0; preallocate <= NORI_PREALLOCATE_ZERO; preallocate++) {
        nori_wal *wal;

        config.preallocate = preallocate;
        wal = open_log(&config);
        append_range(wal, 1 + preallocate * 1000, 1000, 2000);
        close_log(wal);
    }
    expect_log(dir_of(state), 1, 4000);
}

/* The ring in `control` is a power of two, at least as long as asked for. */
static void a_buffer_size_is_rounded_up_to_a_power_of_two(void **state)
{
    static const struct {
        size_t asked, made;
    } sizes[] = {{0, 4 * MIB}, {4096, 4096},  {4097, 8192},   {5000, 8192},      {8191, 8192},
                 {8192, 8192}, {8193, 16384}, {MIB - 1, MIB}, {3 * MIB, 4 * MIB}};
    struct nori_wal_config config = config_of(dir_of(state));

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        nori_wal *wal;

        config.buffer_size = sizes[i].asked;
        wal = open_log(&config);
        append_range(wal, 1, 100, 700); /* around the smaller rings */
        assert_int_equal(file_len(dir_of(state), "control"), 4096 + sizes[i].made);
        close_log(wal);
        expect_log(dir_of(state), 1, 100);
        remove_dir(dir_of(state));
    }
}

/* A program compiled when the struct had fewer fields. */
static void an_older_callers_config_gives_defaults_for_the_rest(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal;

    memset((char *)&config + offsetof(struct nori_wal_config, fsync_policy), 0xee,
           sizeof config - offsetof(struct nori_wal_config, fsync_policy));
    config.size = offsetof(struct nori_wal_config, fsync_policy);
    wal = open_log(&config);
    append_range(wal, 1, 3, 10);
    close_log(wal);
    expect_log(dir_of(state), 1, 3);
}

static void an_older_callers_results_are_not_overrun(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct {
        struct nori_recovery_info info;
        uint8_t beyond[64];
    } larger;
    struct nori_recovery_info smaller;
    nori_wal *wal = open_dir(dir_of(state));

    append_range(wal, 1, 3, 10);
    close_log(wal);
    memset(&smaller, 0xee, sizeof smaller);
    smaller.size = offsetof(struct nori_recovery_info, segments_scanned);
    assert_int_equal(nori_wal_open(&config, &wal, &smaller, NULL), NORI_OK);
    close_log(wal);
    assert_int_equal(smaller.valid_records, 3);
    assert_int_equal(smaller.segments_scanned, 0xeeeeeeeeeeeeeeee);

    /* A newer caller's further fields are zeroed. */
    memset(&larger, 0xee, sizeof larger);
    larger.info.size = sizeof larger;
    assert_int_equal(nori_wal_open(&config, &wal, &larger.info, NULL), NORI_OK);
    close_log(wal);
    assert_int_equal(larger.info.size, sizeof larger);
    assert_int_equal(larger.info.valid_records, 3);
    for (size_t i = 0; i < sizeof larger.beyond; i++)
        assert_int_equal(larger.beyond[i], 0);
}

static void must_exist_and_must_create_are_kept(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal;

    config.flags = NORI_OPEN_MUST_EXIST;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_NOTFOUND);
    assert_false(has_file(config.dir, ""));
    config.flags = NORI_OPEN_MUST_CREATE;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK); /* nothing was ever appended */
    config.flags = NORI_OPEN_MUST_EXIST;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_NOTFOUND);
    wal = open_dir(config.dir);
    (void)append_numbered(wal, 1, 10);
    close_log(wal);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    config.flags = NORI_OPEN_MUST_CREATE;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_INVALID);
    expect_log(config.dir, 1, 1);
}

static void a_missing_parent_and_a_file_in_place_of_the_folder_are_told(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_error error = NORI_ERROR_INIT;
    char deeper[300];

    (void)snprintf(deeper, sizeof deeper, "%s/not/there", temporary->top);
    config.dir = deeper;
    assert_int_equal(try_open(&config, NULL, &error), NORI_E_NOTFOUND);
    store_file(temporary->top, "wal", "x", 1);
    config.dir = temporary->dir;
    assert_int_equal(try_open(&config, NULL, &error), NORI_E_INVALID);
    assert_true(error.message[0] != '\0');
}

static void opening_and_closing_creates_nothing_but_control(void **state)
{
    nori_wal *wal;

    for (int i = 0; i < 3; i++) {
        wal = open_dir(dir_of(state));
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        assert_int_equal(nori_wal_flush(wal), NORI_OK);
        close_log(wal);
        assert_int_equal(count_files(dir_of(state), ""), 1);
        assert_true(has_file(dir_of(state), "control"));
    }
    wal = open_dir(dir_of(state));
    (void)append_numbered(wal, 1, 10);
    close_log(wal);
    assert_int_equal(count_files(dir_of(state), ".wal"), 1);
    for (int i = 0; i < 3; i++) {
        wal = open_dir(dir_of(state));
        close_log(wal);
        assert_int_equal(count_files(dir_of(state), ".wal"), 1);
    }
    expect_log(dir_of(state), 1, 1);
}

/* ---- memory ---- */

struct counting {
    atomic_ulong taken; /* calls that gave memory */
    atomic_long held;   /* pieces not yet given back */
};

static void *counting_alloc(void *context, size_t len)
{
    struct counting *counting = context;

    atomic_fetch_add(&counting->taken, 1);
    atomic_fetch_add(&counting->held, 1);
    return malloc(len);
}

static void *counting_realloc(void *context, void *memory, size_t len)
{
    struct counting *counting = context;

    atomic_fetch_add(&counting->taken, 1);
    if (!memory)
        atomic_fetch_add(&counting->held, 1);
    return realloc(memory, len);
}

static void counting_free(void *context, void *memory)
{
    struct counting *counting = context;

    if (memory)
        atomic_fetch_sub(&counting->held, 1);
    free(memory);
}

struct mix {
    nori_wal *wal;
    nori_reader *reader;
    const char *text;
    bool has_lz4, has_zstd;
};

/* One round of everything that a steady program does. */
static void do_round(struct mix *mix, uint64_t number)
{
    struct nori_record records[4];
    struct nori_record record;

    records[0] = nori_record_put_with_ttl("ttl", 3, "value", 5, 1000);
    records[1] = nori_record_put("lz4", 3, mix->text, 1000 + number % 1000);
    records[2] = nori_record_put("zstd", 4, mix->text, 1000 + number % 1000);
    records[3] = nori_record_delete("key", 3);
    records[1].compression = mix->has_lz4 ? NORI_COMPRESSION_LZ4 : 0;
    records[2].compression = mix->has_zstd ? NORI_COMPRESSION_ZSTD : 0;
    assert_int_equal(nori_wal_append_batch(mix->wal, records, 4, NULL), NORI_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(nori_wal_append(mix->wal, &records[i], NULL), NORI_OK);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(nori_reader_next(mix->reader, &record, NULL), NORI_OK);
        expect_same(&record, &records[i % 4]);
    }
    assert_int_equal(nori_reader_next(mix->reader, &record, NULL), NORI_END);
    if (number % 10 == 0)
        assert_int_equal(nori_wal_sync(mix->wal), NORI_OK);
}

/* Between two rotations neither append nor next takes memory, whichever of them copies or maps. */
static void appending_and_reading_take_no_memory_once_warm(void **state)
{
    struct counting counting = {0, 0};
    struct nori_allocator allocator = {sizeof allocator, &counting, counting_alloc,
                                       counting_realloc, counting_free};
    struct nori_wal_config config = config_of(dir_of(state));
    static char text[2000];

    fill_text(text, sizeof text);
    config.allocator = &allocator;
    config.max_segment_size = 64 * MIB;
    for (uint32_t flags = 0; flags <= NORI_READER_PREAD; flags++) {
        struct nori_reader_config reader_config = NORI_READER_CONFIG_INIT;
        struct mix mix = {.text = text};
        unsigned long before;

        mix.wal = open_log(&config);
        mix.has_lz4 = is_offered(mix.wal, NORI_COMPRESSION_LZ4);
        mix.has_zstd = is_offered(mix.wal, NORI_COMPRESSION_ZSTD);
        reader_config.flags = flags;
        assert_int_equal(
            nori_wal_read_with(mix.wal, &reader_config, position_of(mix.wal), &mix.reader),
            NORI_OK);
        for (uint64_t number = 0; number < 1000; number++)
            do_round(&mix, number);
        before = atomic_load(&counting.taken);
        for (uint64_t number = 1000; number < 3000; number++)
            do_round(&mix, number);
        assert_int_equal(atomic_load(&counting.taken), before);
        nori_reader_close(mix.reader);
        close_log(mix.wal);
        assert_int_equal(atomic_load(&counting.held), 0);
    }
    assert_true(atomic_load(&counting.taken) > 0);
}

/* ---- many segments ---- */

static void every_open_that_appends_begins_a_segment(void **state)
{
    enum {
        SEGMENTS = 300
    };
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_recovery_info info;
    uint64_t deleted = 0;
    nori_wal *wal;

    config.preallocate = NORI_PREALLOCATE_OFF;
    config.verify = NORI_VERIFY_TAIL; /* else each open would read all the others */
    for (uint64_t number = 1; number <= SEGMENTS; number++) {
        wal = open_log(&config);
        (void)append_numbered(wal, number, 50);
        close_log(wal);
    }
    assert_int_equal(count_files(config.dir, ".wal"), SEGMENTS);
    config.verify = NORI_VERIFY_FULL;
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, SEGMENTS);
    assert_int_equal(info.segments_scanned, SEGMENTS);
    expect_log(config.dir, 1, SEGMENTS);
    wal = open_log(&config);
    assert_int_equal(
        nori_wal_delete_segments_before(wal, (struct nori_position){SEGMENTS - 1, 0}, &deleted),
        NORI_OK);
    assert_int_equal(deleted, SEGMENTS - 1);
    close_log(wal);
    assert_int_equal(count_files(config.dir, ".wal"), 1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_kind_of_record_comes_back_as_it_was),
        IN_FOLDER(a_ttl_is_given_the_time_of_its_append_and_expires),
        IN_FOLDER(compressed_values_come_back_as_they_were),
        IN_FOLDER(incompressible_values_are_stored_as_they_are),
        IN_FOLDER(a_batch_mixes_compressed_and_plain_values),
        IN_FOLDER(records_larger_than_buffer_and_segment_come_back),
        IN_FOLDER(a_batch_larger_than_a_segment_lies_in_one),
        IN_FOLDER(positions_are_ordered_and_stable),
        IN_FOLDER(invalid_records_are_refused_and_change_nothing),
        IN_FOLDER(a_batch_with_one_bad_record_is_refused_whole),
        IN_FOLDER(a_log_needs_no_configuration),
        IN_FOLDER(null_handles_and_results_are_invalid),
        IN_FOLDER(max_record_size_counts_keys_and_values_of_a_batch),
        IN_FOLDER(fields_out_of_range_are_refused_at_open),
        IN_FOLDER(the_largest_and_smallest_fields_are_taken),
        IN_FOLDER(a_buffer_size_is_rounded_up_to_a_power_of_two),
        IN_FOLDER(an_older_callers_config_gives_defaults_for_the_rest),
        IN_FOLDER(an_older_callers_results_are_not_overrun),
        IN_FOLDER(must_exist_and_must_create_are_kept),
        IN_FOLDER(a_missing_parent_and_a_file_in_place_of_the_folder_are_told),
        IN_FOLDER(opening_and_closing_creates_nothing_but_control),
        IN_FOLDER(appending_and_reading_take_no_memory_once_warm),
        IN_FOLDER(every_open_that_appends_begins_a_segment),
    };

    return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
