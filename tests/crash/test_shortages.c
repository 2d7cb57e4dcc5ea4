/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_shortages.c: a machine that has no memory, no threads, or no mappings at one moment.
 *
 * Each allocation, start of a thread or mapping that an operation makes fails, once or for good.
 * The operation does without, or is refused and changes nothing; no record is lost (D1, D2).
 */
#include "../api/helpers.h"

#include <nori/sim.h>

static struct nori_wal_config sim_config(nori_sim *sim, size_t buffer_size)
{
    struct nori_wal_config config = config_on(sim);

    config.allocator = nori_sim_allocator(sim);
    config.buffer_size = buffer_size;
    return config;
}

/* Whatever can fail of these kinds fails, beginning with the nth. */
static void fail_from(nori_sim *sim, uint32_t kinds, uint64_t nth, uint32_t flags, int code)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_mask = kinds;
    options.fail_nth = nth;
    options.fail_code = code;
    options.flags = flags;
    nori_sim_set_options(sim, &options);
}

static void expect_records(nori_sim *sim, uint64_t count)
{
    struct nori_wal_config config = sim_config(sim, 4096);
    struct nori_recovery_info info;

    nori_sim_set_options(sim, NULL);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, count);
}

/* ---- memory ---- */

#define VALUE_LEN 3000

static int append_compressed(nori_wal *wal, uint32_t count)
{
    static char value[VALUE_LEN];
    struct nori_record records[3];

    memset(value, 'x', sizeof value);
    for (uint32_t i = 0; i < count; i++)
        records[i] =
            nori_record_with_compression(nori_record_put("key", 3, value, sizeof value),
                                         i % 2 ? NORI_COMPRESSION_LZ4 : NORI_COMPRESSION_ZSTD);
    return nori_wal_append_batch(wal, records, count, NULL);
}

/* D4: a batch of compressed values is there as a whole, or not at all. */
static void without_memory_to_compress_an_append_changes_nothing(void **state)
{
    uint64_t refused = 0;

    (void)state;
    if (!nori_compression_is_offered(NORI_COMPRESSION_LZ4) ||
        !nori_compression_is_offered(NORI_COMPRESSION_ZSTD))
        skip();
    for (uint64_t nth = 1;; nth++) {
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = sim_config(sim, 4096);
        nori_wal *wal = open_log(&config);
        struct nori_position before, after;
        bool did_fail;
        int rc;

        append_range(wal, 1, 1, 10);
        before = position_of(wal);
        fail_from(sim, NORI_SIM_MEMORY, nth, 0, 0);
        rc = append_compressed(wal, 3);
        did_fail = nori_sim_did_fail(sim);
        nori_sim_set_options(sim, NULL);
        after = position_of(wal);
        if (rc < 0) {
            assert_int_equal(rc, NORI_E_NOMEM);
            assert_true(is_same_position(before, after));
            refused++;
        }
        assert_int_equal(append_compressed(wal, 2), NORI_OK);
        close_log(wal);
        expect_records(sim, rc < 0 ? 3 : 6);
        nori_sim_free(sim);
        if (!did_fail)
            break;
    }
    assert_true(refused > 2);
}

/* D11: without memory to decompress a reader says so, and stays where it is. */
static void without_memory_a_reader_waits_at_its_place(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 65536);
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_log(&config);
    bool did_fail = true;
    uint64_t refused = 0;

    (void)state;
    if (!nori_compression_is_offered(NORI_COMPRESSION_LZ4) ||
        !nori_compression_is_offered(NORI_COMPRESSION_ZSTD)) {
        close_log(wal);
        nori_sim_free(sim);
        skip();
    }
    assert_int_equal(append_compressed(wal, 3), NORI_OK);
    reading.vfs = nori_sim_vfs(sim);
    reading.allocator = nori_sim_allocator(sim);
    for (uint64_t nth = 1; did_fail; nth++) {
        nori_reader *reader = NULL;
        struct nori_record record;

        assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL), NORI_OK);
        fail_from(sim, NORI_SIM_MEMORY, nth, 0, 0);
        for (int i = 0; i < 3; i++) {
            int rc = nori_reader_next(reader, &record, NULL);

            if (rc != NORI_OK) {
                assert_int_equal(rc, NORI_E_NOMEM);
                refused++;
                rc = nori_reader_next(reader, &record, NULL);
            }
            assert_int_equal(rc, NORI_OK);
            assert_int_equal(record.sequence, i + 1);
            assert_int_equal(record.value_len, VALUE_LEN);
            assert_int_equal(((const uint8_t *)record.value)[VALUE_LEN - 1], 'x');
        }
        did_fail = nori_sim_did_fail(sim);
        nori_sim_set_options(sim, NULL);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
        nori_reader_close(reader);
    }
    assert_true(refused > 1);
    close_log(wal);
    nori_sim_free(sim);
}

/* ---- threads that scan ahead ---- */

#define LARGE_RECORD  ((size_t)3 << 20)
#define LARGE_RECORDS 12 /* more than 32 MiB: worth threads */

static nori_sim *make_large_log(void)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 4096);
    uint8_t *value = calloc(1, LARGE_RECORD);
    nori_wal *wal = open_log(&config);

    assert_non_null(value);
    for (int i = 0; i < LARGE_RECORDS; i++) {
        struct nori_record record = nori_record_put("key", 3, value, LARGE_RECORD);

        assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    }
    close_log(wal);
    free(value);
    return sim;
}

/* Slower, not worse. */
static void a_large_log_is_recovered_with_as_many_threads_as_there_are(void **state)
{
    nori_sim *large = make_large_log();
    uint64_t opened = 0;
    bool did_fail = true;

    (void)state;
    for (uint64_t nth = 1; did_fail; nth++) {
        struct nori_wal_config config;
        struct nori_recovery_info info;
        nori_sim *sim;
        int rc;

        nori_sim_crash_kill(large, &sim);
        config = sim_config(sim, 4096);
        config.verify = NORI_VERIFY_FULL;
        fail_from(sim, NORI_SIM_THREAD | NORI_SIM_MEMORY | NORI_SIM_READ, nth, 0, 0);
        rc = try_open(&config, &info, NULL);
        did_fail = nori_sim_did_fail(sim);
        assert_true(rc == NORI_OK || rc == NORI_E_NOMEM || rc == NORI_E_IO);
        if (rc == NORI_OK)
            assert_int_equal(info.valid_records, LARGE_RECORDS);
        opened += rc == NORI_OK && did_fail;
        expect_records(sim, LARGE_RECORDS);
        nori_sim_free(sim);
    }
    assert_true(opened >= 3); /* each of the threads, at least, was done without */
    nori_sim_free(large);
}

/* ---- mappings ---- */

#define STAGED 20

static void open_without_mapping(nori_sim *staged, uint32_t flags)
{
    bool did_fail = true;

    for (uint64_t nth = 1; did_fail; nth++) {
        struct nori_wal_config config;
        struct nori_recovery_info info;
        nori_sim *sim;
        int rc;

        nori_sim_crash_kill(staged, &sim);
        config = sim_config(sim, 65536);
        fail_from(sim, NORI_SIM_MAP, nth, flags, NORI_E_UNSUPPORTED);
        rc = try_open(&config, &info, NULL);
        did_fail = nori_sim_did_fail(sim);
        assert_true(rc == NORI_OK || rc == NORI_E_UNSUPPORTED);
        if (rc == NORI_OK)
            assert_int_equal(info.valid_records, STAGED);
        expect_records(sim, STAGED);
        nori_sim_free(sim);
    }
}

/* D2: one that shares its blocks with a copy cannot be mapped until it was written once more. Where
 * mapping remains impossible, open waits for better days. */
static void a_ring_that_cannot_be_mapped_loses_nothing(void **state)
{
    nori_sim *staged = make_staged_log(STAGED);

    (void)state;
    open_without_mapping(staged, 0);
    open_without_mapping(staged, NORI_SIM_FAIL_STICKY);
    nori_sim_free(staged);
}

/* While it is written once more any other call may fail, too. */
static void whatever_fails_while_a_ring_is_made_mappable_loses_nothing(void **state)
{
    nori_sim *staged = make_staged_log(STAGED);

    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config;
        struct nori_recovery_info info;
        nori_sim *sim;
        bool did_fail;

        nori_sim_crash_kill(staged, &sim);
        config = sim_config(sim, 65536);
        options.fail_mask =
            NORI_SIM_MAP | NORI_SIM_READ | NORI_SIM_WRITE | NORI_SIM_SYNC | NORI_SIM_MEMORY;
        options.fail_nth = nth;
        options.fail_nth_too = nth + 1;
        options.fail_code = NORI_E_UNSUPPORTED;
        nori_sim_set_options(sim, &options);
        if (try_open(&config, &info, NULL) == NORI_OK)
            assert_int_equal(info.valid_records, STAGED);
        did_fail = nori_sim_did_fail(sim);
        expect_records(sim, STAGED);
        nori_sim_free(sim);
        if (!did_fail)
            break;
    }
    nori_sim_free(staged);
}

/* D1, D3: without `control` in a file the words are in memory; without that, too, there is no log
 * to open, and what was there stays. */
static void without_a_file_and_memory_for_the_words_no_record_is_lost(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = sim_config(sim, 65536);
        nori_wal *wal = open_log(&config);
        struct nori_recovery_info info;
        bool did_fail;
        int rc;

        append_range(wal, 1, STAGED, 100);
        close_log(wal);
        assert_true(nori_sim_file_unlink(sim, "wal/control") >= 0);
        options.fail_mask = NORI_SIM_MAP | NORI_SIM_MEMORY;
        options.fail_nth = nth;
        options.fail_nth_too = nth + 1;
        options.fail_code = NORI_E_NOMEM;
        nori_sim_set_options(sim, &options);
        rc = try_open(&config, &info, NULL);
        did_fail = nori_sim_did_fail(sim);
        assert_true(rc == NORI_OK || rc == NORI_E_NOMEM);
        if (rc == NORI_OK)
            assert_int_equal(info.valid_records, STAGED);
        expect_records(sim, STAGED);
        nori_sim_free(sim);
        if (!did_fail)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_to_compress_an_append_changes_nothing),
        cmocka_unit_test(without_memory_a_reader_waits_at_its_place),
        cmocka_unit_test(a_large_log_is_recovered_with_as_many_threads_as_there_are),
        cmocka_unit_test(a_ring_that_cannot_be_mapped_loses_nothing),
        cmocka_unit_test(whatever_fails_while_a_ring_is_made_mappable_loses_nothing),
        cmocka_unit_test(without_a_file_and_memory_for_the_words_no_record_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
