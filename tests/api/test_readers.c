/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_readers.c: a reader returns each record once, in order, from wherever it begins (D11). */
#include "encode.h"
#include "helpers.h"

#include <nori/sim.h>
#include <pthread.h>
#include <unistd.h>

static nori_reader *reader_of(nori_wal *wal, struct nori_position position)
{
    nori_reader *reader = NULL;

    assert_int_equal(nori_wal_read_from(wal, position, &reader), NORI_OK);
    return reader;
}

/* The next records of a reader that has reached the end are those appended since. */
static void expect_more(nori_reader *reader, uint64_t first, uint64_t count)
{
    expect_range(reader, first, count, first);
}

/* D11 */
static void a_reader_at_the_end_goes_on_when_more_was_appended(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *readers[4];
    uint64_t number = 1;

    readers[0] = reader_of(wal, OLDEST);
    readers[1] = open_reader(dir_of(state), OLDEST);
    readers[2] = reader_with(wal, NORI_VISIBLE_APPENDED, NORI_READER_PREAD);
    readers[3] = reader_with(wal, NORI_VISIBLE_DURABLE, 0);
    for (size_t i = 0; i < 4; i++)
        expect_end(readers[i]);
    /* One to some records at a time, over the ends of some segments. */
    for (uint64_t count = 1; count < 100; count++) {
        append_range(wal, number, count, 1000);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        for (size_t i = 0; i < 4; i++)
            expect_more(readers[i], number, count);
        number += count;
    }
    assert_true(position_of(wal).segment_id >= 3);
    for (size_t i = 0; i < 4; i++)
        nori_reader_close(readers[i]);
    close_log(wal);
}

static void a_reader_may_be_opened_before_there_is_a_record(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *own = reader_of(wal, OLDEST);
    nori_reader *other = open_reader(dir_of(state), OLDEST);
    nori_reader *none = NULL;

    expect_end(own);
    expect_end(other);
    append_range(wal, 1, 5, 100);
    expect_more(own, 1, 5);
    expect_more(other, 1, 5);
    close_log(wal);
    expect_end(own);
    nori_reader_close(own);
    nori_reader_close(other);
    assert_int_equal(nori_reader_open("/nowhere", OLDEST, &none, NULL), NORI_E_NOTFOUND);
    assert_int_equal(nori_reader_open(((struct temporary *)*state)->top, OLDEST, &none, NULL),
                     NORI_E_NOTFOUND);
    assert_int_equal(nori_reader_open(NULL, OLDEST, &none, NULL), NORI_E_INVALID);
    assert_null(none);
}

/* D11: a new life of the writer leaves no gap and gives nothing twice. */
static void a_reader_survives_close_and_reopen_of_the_writer(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *mapping = open_reader(dir_of(state), OLDEST);
    nori_reader *copying = reader_with(wal, NORI_VISIBLE_APPENDED, NORI_READER_PREAD);
    uint64_t number = 1;

    for (int life = 0; life < 10; life++) {
        append_range(wal, number, 100, 1500);
        expect_more(mapping, number, 100);
        close_log(wal);
        expect_more(copying, number, 100);
        expect_end(mapping);
        wal = open_dir(dir_of(state));
        expect_end(mapping);
        number += 100;
    }
    close_log(wal);
    nori_reader_close(mapping);
    nori_reader_close(copying);
}

/* D11: half read when the writer goes. */
static void a_reader_in_the_middle_goes_on_in_the_next_life(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = open_reader(dir_of(state), OLDEST);
    struct nori_record record;

    append_range(wal, 1, 20, 200);
    for (uint64_t i = 1; i <= 10; i++)
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    close_log(wal);
    wal = open_dir(dir_of(state));
    append_range(wal, 21, 20, 200);
    expect_more(reader, 11, 30);
    nori_reader_close(reader);
    close_log(wal);
}

/* D11: the second life begins its segment behind the reader's last look, and nothing is left to
 * be noticed but the word in `control`. */
static void a_durable_reader_sees_a_life_that_began_and_ended_behind_its_back(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = NULL;
    struct nori_record record;

    config.visibility = NORI_VISIBLE_DURABLE;
    append_range(wal, 1, 10, 200);
    close_log(wal);
    assert_int_equal(nori_reader_open_with(dir_of(state), &config, OLDEST, &reader, NULL), NORI_OK);
    expect_more(reader, 1, 10);
    wal = open_dir(dir_of(state));
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
    append_range(wal, 11, 10, 200);
    close_log(wal);
    expect_more(reader, 11, 10);
    nori_reader_close(reader);
}

/* All that is new to the reader, in order; ret_next: the number that comes then. */
static void read_what_is_new(nori_reader *reader, uint64_t *next)
{
    struct nori_record record;
    uint64_t number;

    while (nori_reader_next(reader, &record, NULL) == NORI_OK) {
        assert_true(is_numbered(&record, &number));
        assert_int_equal(number, (*next)++);
    }
}

/* Nobody publishes what is durable where `control` is gone, or is another log's: marks tell. The
 * reader looked for them once, and waited for ever. */
static void a_durable_reader_without_control_goes_on_as_marks_are_written(void **state)
{
    const struct temporary *temporary = *state;

    for (int is_foreign = 0; is_foreign < 2; is_foreign++) {
        struct nori_reader_config config = NORI_READER_CONFIG_INIT;
        nori_reader *reader = NULL;
        nori_wal *wal = open_dir(temporary->dir);
        uint64_t next = 1, seen = 1;
        char control[300], other[300];

        config.visibility = NORI_VISIBLE_DURABLE;
        (void)snprintf(control, sizeof control, "%s/control", temporary->dir);
        (void)snprintf(other, sizeof other, "%s/control", temporary->other);
        append_range(wal, 1, 10, 1000);
        if (is_foreign) {
            nori_wal *another = open_dir(temporary->other);

            append_range(another, 1, 1, 10);
            close_log(another);
            assert_int_equal(rename(other, control), 0);
        } else {
            assert_int_equal(remove(control), 0);
        }
        assert_int_equal(nori_reader_open_with(temporary->dir, &config, OLDEST, &reader, NULL),
                         NORI_OK);
        for (uint64_t number = 11; number <= 3011; number += 100) { /* three segments */
            append_range(wal, number, 100, 1000);
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
            read_what_is_new(reader, &next);
            assert_true(next <= number + 100);
            assert_true(number < 300 || next > seen);
            seen = next;
        }
        close_log(wal);
        read_what_is_new(reader, &next);
        assert_true(next >= 3011);
        nori_reader_close(reader);
        remove_dir(temporary->dir);
    }
}

/* D11: `control` was gone when the reader was opened. What the next writer makes durable only the
 * one tells that it has made anew. */
static void a_durable_reader_finds_a_control_that_was_made_since(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_dir(dir_of(state));
    char path[300];
    nori_reader *reader = NULL;

    config.visibility = NORI_VISIBLE_DURABLE;
    append_range(wal, 1, 10, 200);
    close_log(wal);
    (void)snprintf(path, sizeof path, "%s/control", dir_of(state));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(nori_reader_open_with(dir_of(state), &config, OLDEST, &reader, NULL), NORI_OK);
    expect_more(reader, 1, 10);
    wal = open_dir(dir_of(state));
    append_range(wal, 11, 10, 200);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_more(reader, 11, 10);
    close_log(wal);
    nori_reader_close(reader);
}

/* ---- positions ---- */

struct place {
    struct nori_position position;
    uint64_t number;
};

/* Two lives, the second of two segments; plain records and batches, marks by syncs; every
 * record's place. */
static size_t make_small_log(const char *dir, struct place *places)
{
    size_t count = 0;

    for (int life = 0; life < 2; life++) {
        nori_wal *wal = open_dir(dir);

        for (int i = 0; i < 6; i++) {
            struct numbered memories[3];
            struct nori_record records[3];
            struct nori_position positions[3];
            size_t batch = i % 3 == 1 ? 3 : 1;

            for (size_t j = 0; j < batch; j++)
                records[j] = make_numbered(&memories[j], count + j + 1, i == 4 ? 4096 : 20);
            assert_int_equal(nori_wal_append_batch(wal, records, batch, positions), NORI_OK);
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
            for (size_t j = 0; j < batch; j++, count++)
                places[count] = (struct place){positions[j], count + 1};
        }
        close_log(wal);
    }
    return count;
}

/* What a reader should give when opened at an offset: the number of the record, or 0 for
 * NORI_E_NOTFOUND. */
static uint64_t expected_at(const struct place *places, size_t count, struct nori_position position)
{
    for (size_t i = 0; i < count; i++)
        if (is_same_position(places[i].position, position))
            return places[i].number;
    return 0;
}

static bool is_begun_by_mark(const uint8_t *data, size_t len, size_t offset)
{
    /* A mark: key of one byte, 1; value of 40 bytes; flags of a control record. */
    static const uint8_t head[] = {1, 40, 0x80, 1};

    return offset + 48 <= len && memcmp(data + offset, head, sizeof head) == 0;
}

/* The last thing in a closed log is a mark. */
static size_t end_of_log(const uint8_t *data, size_t len)
{
    size_t offset = len;

    while (!is_begun_by_mark(data, len, offset)) {
        assert_true(offset > 0);
        offset--;
    }
    return offset + 48;
}

static uint64_t first_behind(const struct place *places, size_t count,
                             struct nori_position position)
{
    for (size_t i = 0; i < count; i++)
        if (compare_positions(places[i].position, position) >= 0)
            return places[i].number;
    return count + 1;
}

/* Open at a position; the number of the first record, count + 1 at the end, 0 if it was refused. */
static uint64_t open_at(const char *dir, struct nori_position position, uint64_t end_number)
{
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    struct nori_record record;
    uint64_t number = 0;
    int rc = nori_reader_open(dir, position, &reader, &error);

    if (rc != NORI_OK) {
        assert_int_equal(rc, NORI_E_NOTFOUND);
        assert_int_equal(error.code, NORI_E_NOTFOUND);
        assert_null(reader);
        return 0;
    }
    rc = nori_reader_next(reader, &record, NULL);
    if (rc == NORI_END) {
        number = end_number;
    } else {
        assert_int_equal(rc, NORI_OK);
        assert_true(is_numbered(&record, &number));
        assert_int_equal(record.sequence, number);
    }
    nori_reader_close(reader);
    return number;
}

/* D11: every offset of a small log is the place of a record, leads to the next one, or is
 * refused. */
static void every_offset_is_a_record_or_leads_to_one_or_is_refused(void **state)
{
    struct place places[64];
    const char *dir = dir_of(state);
    size_t count = make_small_log(dir, places);
    bool has_mark = false;

    for (uint64_t id = 0; id < 2; id++) {
        size_t len = 0;
        uint8_t *data = load_file(dir, segment_name(id), &len);
        size_t end = end_of_log(data, len);

        for (size_t offset = 0; offset < end + 200; offset++) {
            struct nori_position position = {id, offset};
            uint64_t expected = expected_at(places, count, position);
            uint64_t actual;

            if (id == 0 && offset == 0)
                continue; /* means the oldest */
            if (offset < 128 || offset == end || is_begun_by_mark(data, len, offset))
                expected = first_behind(places, count, position);
            has_mark |= offset < end && is_begun_by_mark(data, len, offset);
            actual = open_at(dir, position, count + 1);
            if (actual != expected)
                fail_msg("%llu:%zu gives %llu instead of %llu", (unsigned long long)id, offset,
                         (unsigned long long)actual, (unsigned long long)expected);
        }
        free(data);
    }
    assert_true(has_mark);
    assert_int_equal(open_at(dir, OLDEST, 0), 1);
    assert_int_equal(open_at(dir, (struct nori_position){2, 0}, 0), 0);
    assert_int_equal(open_at(dir, (struct nori_position){UINT64_MAX, UINT64_MAX}, 0), 0);
    assert_int_equal(open_at(dir, (struct nori_position){0, UINT64_MAX}, 0), 0);
}

/* The same beside a live writer, whose space is taken ahead. */
static void beside_a_writer_a_position_behind_the_end_is_refused(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    struct nori_position end;
    nori_reader *reader = NULL;

    append_range(wal, 1, 10, 50);
    end = position_of(wal);
    reader = reader_of(wal, end);
    expect_end(reader);
    append_range(wal, 11, 1, 50);
    expect_range(reader, 11, 1, 11);
    nori_reader_close(reader);
    end = position_of(wal);
    for (uint64_t beyond = 1; beyond < 100; beyond++) {
        struct nori_position position = {end.segment_id, end.offset + beyond};

        assert_int_equal(nori_wal_read_from(wal, position, &reader), NORI_E_NOTFOUND);
    }
    assert_int_equal(nori_wal_read_from(wal, (struct nori_position){1, 0}, &reader),
                     NORI_E_NOTFOUND);
    close_log(wal);
}

/* Marks of all kinds: every 64 KiB, after syncs, at close. From every record on, the numbers are
 * right. */
static void sequence_numbers_are_right_from_every_record_on(void **state)
{
    enum {
        COUNT = 3000
    };
    static struct nori_position positions[COUNT + 1];
    nori_wal *wal = open_dir(dir_of(state));

    for (uint64_t number = 1; number <= COUNT; number++) {
        positions[number] = append_numbered(wal, number, number * 37 % 1400);
        if (number % 50 == 0)
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
        if (number % 1100 == 0) {
            close_log(wal);
            wal = open_dir(dir_of(state));
        }
    }
    for (uint64_t number = 1; number <= COUNT; number++) {
        struct nori_record record;
        struct nori_position position;
        nori_reader *reader = reader_of(wal, positions[number]);
        uint64_t found = 0;

        for (uint64_t i = number; i <= number + 1 && i <= COUNT; i++) {
            assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
            assert_true(is_numbered(&record, &found) && found == i);
            assert_int_equal(record.sequence, i);
            assert_true(is_same_position(position, positions[i]));
        }
        nori_reader_close(reader);
    }
    close_log(wal);
}

/* D11: a segment is found while the sync thread gives it its name, however the threads are
 * interleaved. */
static void a_segment_is_found_while_it_is_given_its_name(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config = config_of("wal");
        nori_sim *sim;
        nori_wal *wal;

        options.seed = seed;
        options.switch_percent = 30;
        sim = nori_sim_new(&options);
        config.vfs = nori_sim_vfs(sim);
        config.preallocate = NORI_PREALLOCATE_OFF;
        for (uint64_t life = 1; life <= 3; life++) {
            struct nori_position position;
            nori_reader *reader;

            wal = open_log(&config);
            position = append_numbered(wal, life, 100);
            for (int again = 0; again < 3; again++) {
                reader = reader_of(wal, again ? position : OLDEST);
                expect_range(reader, again ? life : 1, again ? 1 : life, again ? life : 1);
                nori_reader_close(reader);
            }
            close_log(wal);
        }
        nori_sim_free(sim);
    }
}

#define BUSY_WRITERS 6

struct busy_writer {
    nori_wal *wal;
    struct nori_thread *thread;
    uint64_t count;
    int rc;
};

static void append_and_sync(void *argument)
{
    struct busy_writer *writer = argument;

    for (uint64_t number = 1; number <= writer->count && writer->rc == NORI_OK; number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, 4096);

        writer->rc = nori_wal_append(writer->wal, &record, NULL);
    }
}

static int expect_no_finding(void *context, const struct nori_log_item *item)
{
    (void)context;
    assert_int_not_equal(item->kind, NORI_LOG_FINDING);
    return 0;
}

static void look_often(nori_sim *sim, uint64_t seed)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(sim);
    for (int look = 0; look < 10; look++) {
        struct nori_error error = NORI_ERROR_INIT;
        int rc = look % 2 ? nori_log_stat("wal", &options, expect_no_finding, NULL, &error)
                          : nori_log_verify("wal", &options, expect_no_finding, NULL, &error);

        if (rc != NORI_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
    }
}

/* D6: what is written while the log is looked at is no damage, however threads are interleaved. */
static void verifying_beside_a_writer_finds_no_damage(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config = config_of("wal");
        struct busy_writer writers[BUSY_WRITERS];
        nori_sim *sim;
        nori_wal *wal;

        options.seed = seed;
        options.switch_percent = 60;
        sim = nori_sim_new(&options);
        config.vfs = nori_sim_vfs(sim);
        config.fsync_policy = NORI_FSYNC_ALWAYS; /* many marks */
        wal = open_log(&config);
        append_range(wal, 0, 1, 10);
        for (size_t i = 0; i < BUSY_WRITERS; i++) {
            writers[i] = (struct busy_writer){wal, NULL, 20 + seed, NORI_OK};
            assert_int_equal(config.vfs->thread_start(config.vfs->context, "writer",
                                                      append_and_sync, &writers[i],
                                                      &writers[i].thread),
                             0);
        }
        look_often(sim, seed);
        for (size_t i = 0; i < BUSY_WRITERS; i++) {
            config.vfs->thread_join(config.vfs->context, writers[i].thread);
            assert_int_equal(writers[i].rc, NORI_OK);
        }
        close_log(wal);
        nori_sim_free(sim);
    }
}

/* ---- visibility, flags, errors ---- */

static void a_durable_reader_shows_nothing_before_its_sync(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *durable = reader_with(wal, NORI_VISIBLE_DURABLE, 0);
    nori_reader *all = reader_with(wal, NORI_VISIBLE_APPENDED, 0);
    nori_reader *other = NULL;

    append_range(wal, 1, 10, 100); /* the first append has its segment synced, and named */
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_more(durable, 1, 10);
    append_range(wal, 11, 10, 100);
    expect_end(durable);
    expect_more(all, 1, 20);
    config.visibility = NORI_VISIBLE_DURABLE;
    assert_int_equal(nori_reader_open_with(dir_of(state), &config, OLDEST, &other, NULL), NORI_OK);
    expect_more(other, 1, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_more(durable, 11, 10);
    expect_more(other, 11, 10);
    append_range(wal, 21, 10, 100);
    expect_end(durable);
    close_log(wal);
    expect_more(durable, 21, 10);
    expect_more(other, 21, 10);
    nori_reader_close(durable);
    nori_reader_close(other);
    nori_reader_close(all);
}

static void copying_and_mapping_readers_give_the_same(void **state)
{
    enum {
        COUNT = 2500
    };
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *readers[2];
    nori_wal *wal = open_dir(dir_of(state));

    for (uint64_t number = 1; number <= COUNT; number++)
        (void)append_numbered(wal, number, number % 3000);
    close_log(wal);
    for (uint32_t i = 0; i < 2; i++) {
        config.flags = i == 0 ? 0 : NORI_READER_PREAD;
        assert_int_equal(nori_reader_open_with(dir_of(state), &config, OLDEST, &readers[i], NULL),
                         NORI_OK);
    }
    for (uint64_t number = 1; number <= COUNT; number++) {
        struct nori_position positions[2];
        struct nori_record records[2];

        for (size_t i = 0; i < 2; i++)
            assert_int_equal(nori_reader_next(readers[i], &records[i], &positions[i]), NORI_OK);
        assert_true(is_same_position(positions[0], positions[1]));
        assert_int_equal(records[0].value_len, records[1].value_len);
        assert_memory_equal(records[0].value, records[1].value, records[0].value_len);
    }
    for (size_t i = 0; i < 2; i++) {
        expect_end(readers[i]);
        nori_reader_close(readers[i]);
    }
}

static void reader_configs_out_of_range_are_refused(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    const char *dir = dir_of(state);
    nori_reader *reader = NULL;
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 1, 10);
    config.visibility = 2;
    assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_E_INVALID);
    config.visibility = 0;
    config.flags = 2;
    assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_read_with(wal, &config, OLDEST, &reader), NORI_E_INVALID);
    config.flags = 0;
    config.size = 0;
    assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_E_INVALID);
    memset(&config, 0xee, sizeof config);
    config.size = offsetof(struct nori_reader_config, visibility);
    assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_OK);
    expect_range(reader, 1, 1, 1);
    nori_reader_close(reader);
    close_log(wal);
}

/* D4, D6, D11: damage is told with its place, again and again, and not skipped. What lies before
 * it is given; of a batch that is damaged nothing is. */
static void damage_below_the_end_is_told_and_never_skipped(void **state)
{
    struct place places[64];
    const char *dir = dir_of(state);
    size_t count = make_small_log(dir, places);
    struct nori_position bad = places[3].position; /* the last of a batch of three */
    nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_error error = NORI_ERROR_INIT;

    assert_true(count > 4);
    for (uint32_t flags = 0; flags <= NORI_READER_PREAD; flags++) {
        struct nori_reader_config config = NORI_READER_CONFIG_INIT;

        config.flags = flags;
        flip_bit(dir, segment_name(bad.segment_id), bad.offset + 5, 0);
        assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_OK);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        for (int again = 0; again < 3; again++)
            assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_CORRUPT);
        assert_int_equal(nori_reader_last_error(reader, &error), NORI_OK);
        assert_int_equal(error.code, NORI_E_CORRUPT);
        assert_int_equal(error.position.segment_id, bad.segment_id);
        assert_in_range(error.position.offset, places[1].position.offset, bad.offset);
        /* Put right, the same reader goes on. */
        flip_bit(dir, segment_name(bad.segment_id), bad.offset + 5, 0);
        expect_range(reader, 2, count - 1, 2);
        nori_reader_close(reader);
    }
}

/* ---- waiting ---- */

struct delayed {
    nori_wal *wal;
    uint64_t number;
    unsigned delay_ms;
    int rc;
};

static void *append_later(void *argument)
{
    struct delayed *delayed = argument;
    struct numbered memory;
    struct nori_record record = make_numbered(&memory, delayed->number, 100);

    sleep_ms(delayed->delay_ms);
    delayed->rc = nori_wal_append(delayed->wal, &record, NULL);
    return NULL;
}

static void waiting_ends_with_the_next_append(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *readers[3];
    struct nori_position end;

    readers[0] = reader_of(wal, OLDEST);
    append_range(wal, 1, 3, 10);
    expect_more(readers[0], 1, 3);
    end = position_of(wal);
    readers[1] = open_reader(dir_of(state), end);
    readers[2] = reader_with(wal, NORI_VISIBLE_APPENDED, NORI_READER_PREAD);
    expect_more(readers[2], 1, 3);
    for (size_t i = 0; i < 3; i++) {
        struct delayed delayed = {wal, 4 + i, 30, 0};
        uint64_t begun = now_ms();
        pthread_t thread;

        assert_int_equal(nori_reader_wait(readers[i], 0), NORI_E_TIMEOUT);
        assert_int_equal(pthread_create(&thread, NULL, append_later, &delayed), 0);
        assert_int_equal(nori_reader_wait(readers[i], i == 0 ? -1 : PATIENT), NORI_OK);
        assert_in_range(now_ms() - begun, 25, PATIENT / 2);
        assert_int_equal(nori_reader_wait(readers[i], 0), NORI_OK); /* it is still there */
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(delayed.rc, NORI_OK);
        for (size_t j = 0; j < 3; j++)
            expect_more(readers[j], 4 + i, 1);
    }
    for (size_t i = 0; i < 3; i++)
        nori_reader_close(readers[i]);
    close_log(wal);
}

/* A sleeping reader is woken: most waits end long before the sleep, of half a second, would have
 * ended by itself. Not all, on a machine that has other things to do. */
static void waking_takes_no_polling(void **state)
{
    enum {
        ROUNDS = 200
    };
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;
    uint64_t woken = 0;

    append_range(wal, 1, 1, 10);
    reader = open_reader(dir_of(state), OLDEST);
    expect_more(reader, 1, 1);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct delayed delayed = {wal, 2 + round, 1, 0};
        pthread_t thread;
        uint64_t begun;

        assert_int_equal(pthread_create(&thread, NULL, append_later, &delayed), 0);
        begun = now_ms();
        assert_int_equal(nori_reader_wait(reader, PATIENT), NORI_OK);
        woken += now_ms() - begun < SLEEP_MS / 2;
        assert_int_equal(pthread_join(thread, NULL), 0);
        expect_more(reader, 2 + round, 1);
    }
    assert_in_range(woken, ROUNDS / 2, ROUNDS);
    nori_reader_close(reader);
    close_log(wal);
}

static void waiting_ends_with_its_timeout(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = reader_of(wal, OLDEST);

    for (int beside_writer = 1; beside_writer >= 0; beside_writer--) {
        uint64_t begun = now_ms();

        assert_int_equal(nori_reader_wait(reader, 60), NORI_E_TIMEOUT);
        assert_in_range(now_ms() - begun, 59, PATIENT);
        if (beside_writer)
            close_log(wal);
    }
    nori_reader_close(reader);
}

/* A durable reader waits for the sync, not for the append. */
static void waiting_for_durable_records_ends_with_their_sync(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = reader_with(wal, NORI_VISIBLE_DURABLE, 0);

    append_range(wal, 1, 1, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    expect_more(reader, 1, 1);
    append_range(wal, 2, 1, 10);
    assert_int_equal(nori_reader_wait(reader, 30), NORI_E_TIMEOUT);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(nori_reader_wait(reader, 0), NORI_OK);
    expect_more(reader, 2, 1);
    nori_reader_close(reader);
    close_log(wal);
}

/* ---- retention under a reader ---- */

static uint64_t drop_before(nori_wal *wal, struct nori_position position)
{
    uint64_t deleted = UINT64_MAX;

    assert_int_equal(nori_wal_delete_segments_before(wal, position, &deleted), NORI_OK);
    return deleted;
}

/* D11: it finishes the segment it is in, and then says that the next is gone. */
static void a_reader_whose_next_segment_was_dropped_says_so(void **state)
{
    struct nori_position positions[5000];
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;
    struct nori_record record;
    struct nori_position position;
    struct nori_error error = NORI_ERROR_INIT;
    uint64_t number = 1;
    int rc;

    for (size_t i = 0; i < 5000; i++)
        positions[i] = append_numbered(wal, i, 1000);
    reader = open_reader(dir_of(state), OLDEST);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_true(positions[4999].segment_id == 4);
    assert_int_equal(drop_before(wal, (struct nori_position){3, 0}), 3);
    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK) {
        assert_true(is_same_position(position, positions[number]));
        number++;
    }
    assert_int_equal(positions[number].segment_id, 1); /* all of segment 0, and no more */
    assert_int_equal(rc, NORI_E_TRUNCATED);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_TRUNCATED);
    assert_int_equal(nori_reader_wait(reader, PATIENT), NORI_OK); /* there is an error to be had */
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_TRUNCATED);
    assert_int_equal(nori_reader_last_error(reader, &error), NORI_OK);
    assert_int_equal(error.code, NORI_E_TRUNCATED);
    nori_reader_close(reader);
    assert_int_equal(nori_reader_open(dir_of(state), positions[0], &reader, NULL), NORI_E_NOTFOUND);
    close_log(wal);
}

/* D11: a segment that it has left may go. */
static void a_reader_whose_own_segment_was_dropped_goes_on(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader;
    struct nori_record record;

    append_range(wal, 1, 5000, 1000);
    reader = open_reader(dir_of(state), OLDEST);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(drop_before(wal, (struct nori_position){1, 0}), 1);
    expect_more(reader, 2, 4999);
    nori_reader_close(reader);
    close_log(wal);
}

/* D11: nothing was lost if all that went had been read. */
static void a_reader_at_the_end_does_not_mind_that_all_is_dropped(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = open_reader(dir_of(state), OLDEST);
    uint64_t number = 1;

    for (int round = 0; round < 5; round++, number += 100) {
        append_range(wal, number, 100, 100);
        expect_more(reader, number, 100);
        assert_int_equal(drop_before(wal, position_of(wal)), 1);
        expect_end(reader);
    }
    nori_reader_close(reader);
    close_log(wal);
}

/* ---- damage under an open log ---- */

/* D11: an ended segment's header is damaged, it is another log's, or it is shorter than it was. The
 * handle that has the log open notices, and is not killed by a map that has no file behind it. */
static void what_happens_to_a_segment_under_its_writer_is_told(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = temporary->dir;
    const char *name = segment_name(0);
    nori_wal *wal = open_dir(temporary->other);
    size_t len = 0;
    uint8_t *others;

    append_range(wal, 1, 2000, 1000);
    close_log(wal);
    others = load_file(temporary->other, name, &len);
    for (int way = 0; way < 3; way++) {
        struct nori_record record;
        nori_reader *reader = NULL;
        uint64_t count = 0;
        int rc;

        wal = open_dir(dir);
        append_range(wal, 1, 2000, 1000); /* over two segments */
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        if (way == 0)
            flip_bit(dir, name, 50, 1);
        else if (way == 1)
            store_file(dir, name, others, len);
        else
            cut_file(dir, name, len / 2);
        rc = nori_wal_read_from(wal, OLDEST, &reader);
        while (rc == NORI_OK && (rc = nori_reader_next(reader, &record, NULL)) == NORI_OK)
            assert_int_equal(record.sequence, ++count);
        assert_int_equal(rc, NORI_E_CORRUPT);
        assert_in_range(count, way < 2 ? 0 : 1, way < 2 ? 0 : 1000);
        nori_reader_close(reader);
        close_log(wal);
        remove_dir(dir);
    }
    free(others);
}

/* ---- holes ---- */

/* Records with the sequence numbers in `numbers`, the last one behind a mark, and between them
 * holes that hide as many as `hidden` says. */
#define HOLED 5
static const uint64_t numbers[HOLED] = {1, 22, 0, 0, 50};
static const uint64_t hidden[HOLED - 2] = {20, UINT64_MAX, 7};

static void make_holed_log(const char *dir, uint64_t offsets[HOLED])
{
    const uint64_t salt = 0x1111111111111111u;
    const struct raw_header header = {.base_sequence = 1,
                                      .log_id = 5,
                                      .salt = salt,
                                      .max_record = 65536,
                                      .prev_id = RAW_NO_SEGMENT};
    struct bytes file = {0};

    make_dir(dir);
    put_header(&file, &header);
    for (size_t i = 0; i < HOLED; i++) {
        struct bytes value = {0};
        struct raw_record hole = {.key = "\3", .key_len = 1, .flags = RAW_CONTROL};

        if (i == HOLED - 1)
            (void)put_mark(&file, salt, 5, numbers[i], 0);
        offsets[i] = put_plain(&file, "key", "value", salt);
        if (i >= HOLED - 2)
            continue;
        put_number(&value, hidden[i], 8);
        put_zeros(&value, 200);
        hole.value = value.data;
        hole.value_len = value.len;
        (void)put_record(&file, &hole, salt);
        free_bytes(&value);
    }
    store_file(dir, segment_name(0), file.data, file.len);
    free_bytes(&file);
}

/* D11: a number that is told is that of the record; where nobody counted what a hole hides, none is
 * told before the next mark. */
static void a_number_behind_a_hole_is_right_or_not_told(void **state)
{
    const char *dir = dir_of(state);
    uint64_t offsets[HOLED];

    make_holed_log(dir, offsets);
    for (size_t first = 0; first < HOLED; first++) {
        nori_reader *reader = open_reader(dir, (struct nori_position){0, offsets[first]});

        for (size_t i = first; i < HOLED; i++) {
            struct nori_record record;
            struct nori_position position;
            int rc = nori_reader_next(reader, &record, &position);

            if (i > first && i < HOLED - 1) {
                assert_int_equal(rc, NORI_E_CORRUPT); /* once */
                rc = nori_reader_next(reader, &record, &position);
            }
            assert_int_equal(rc, NORI_OK);
            assert_int_equal(position.offset, offsets[i]);
            assert_int_equal(record.sequence, numbers[i]);
        }
        expect_end(reader);
        nori_reader_close(reader);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_reader_at_the_end_goes_on_when_more_was_appended),
        IN_FOLDER(a_reader_may_be_opened_before_there_is_a_record),
        IN_FOLDER(a_reader_survives_close_and_reopen_of_the_writer),
        IN_FOLDER(a_reader_in_the_middle_goes_on_in_the_next_life),
        IN_FOLDER(a_durable_reader_sees_a_life_that_began_and_ended_behind_its_back),
        IN_FOLDER(a_durable_reader_without_control_goes_on_as_marks_are_written),
        IN_FOLDER(a_durable_reader_finds_a_control_that_was_made_since),
        IN_FOLDER(every_offset_is_a_record_or_leads_to_one_or_is_refused),
        IN_FOLDER(beside_a_writer_a_position_behind_the_end_is_refused),
        IN_FOLDER(sequence_numbers_are_right_from_every_record_on),
        cmocka_unit_test(a_segment_is_found_while_it_is_given_its_name),
        cmocka_unit_test(verifying_beside_a_writer_finds_no_damage),
        IN_FOLDER(a_durable_reader_shows_nothing_before_its_sync),
        IN_FOLDER(copying_and_mapping_readers_give_the_same),
        IN_FOLDER(reader_configs_out_of_range_are_refused),
        IN_FOLDER(damage_below_the_end_is_told_and_never_skipped),
        IN_FOLDER(waiting_ends_with_the_next_append),
        IN_FOLDER(waking_takes_no_polling),
        IN_FOLDER(waiting_ends_with_its_timeout),
        IN_FOLDER(waiting_for_durable_records_ends_with_their_sync),
        IN_FOLDER(a_reader_whose_next_segment_was_dropped_says_so),
        IN_FOLDER(a_reader_whose_own_segment_was_dropped_goes_on),
        IN_FOLDER(a_reader_at_the_end_does_not_mind_that_all_is_dropped),
        IN_FOLDER(what_happens_to_a_segment_under_its_writer_is_told),
        IN_FOLDER(a_number_behind_a_hole_is_right_or_not_told),
    };

    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
