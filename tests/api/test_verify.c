/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_verify.c: what nori_log_verify says of a log whose checksums are all right and which
 * contradicts itself, as no writer leaves it.
 */
#include "encode.h"
#include "helpers.h"

#define LOG_ID 7u
#define SALT   1000u

/* What is written where the log goes wrong, behind one record. */
enum oddity {
    NOTHING,
    MARK_OF_ANOTHER_LOG,
    MARK_OF_ANOTHER_RECORD,
    MARK_OF_WHAT_IS_NOT_THERE,
    MARK_WITHIN_A_BATCH,
    HOLE_WITHOUT_A_NUMBER,
    HOLE_BEYOND_ALL_NUMBERS,
    TWO_HOLES,
    OPTIONAL_RECORD,
    NEWER_RECORD,
    FILE_BESIDE,
    SUCCESSOR_OF_ANOTHER_RECORD,
    SUCCESSOR_OF_ANOTHER_END,
    ODDITIES,
};

struct told {
    int rc;
    uint64_t errors, warnings;
    uint64_t offset, segment_id; /* of the last of them */
};

static int listen(void *context, const struct nori_log_item *item)
{
    struct told *told = context;

    if (item->kind != NORI_LOG_FINDING)
        return 0;
    told->errors += item->severity >= NORI_SEVERITY_ERROR;
    told->warnings += item->severity == NORI_SEVERITY_WARNING;
    told->offset = item->position.offset;
    told->segment_id = item->position.segment_id;
    assert_non_null(item->message);
    return 0;
}

static void put_control(struct bytes *file, uint8_t type, uint64_t number)
{
    struct raw_record record = {
        .key = &type, .key_len = 1, .value = &number, .value_len = 8, .flags = RAW_CONTROL};

    (void)put_record(file, &record, SALT);
}

static uint64_t put_oddity(struct bytes *file, enum oddity oddity)
{
    struct raw_record half = {.key = "h", .key_len = 1, .flags = RAW_CONTINUES};
    uint64_t next = 2;

    switch ((int)oddity) { /* what is not there is put elsewhere */
    case MARK_OF_ANOTHER_LOG:
        (void)put_mark(file, SALT, LOG_ID + 1, next, 0);
        break;
    case MARK_OF_ANOTHER_RECORD:
        (void)put_mark(file, SALT, LOG_ID, next + 3, 0);
        next += 3;
        break;
    case MARK_OF_WHAT_IS_NOT_THERE:
        (void)put_mark(file, SALT, LOG_ID, next, file->len + 1);
        break;
    case MARK_WITHIN_A_BATCH:
        (void)put_record(file, &half, SALT);
        (void)put_mark(file, SALT, LOG_ID, next, 0);
        break;
    case HOLE_WITHOUT_A_NUMBER:
        put_control(file, 3, UINT64_MAX);
        break;
    case HOLE_BEYOND_ALL_NUMBERS:
        put_control(file, 3, UINT64_MAX - 1);
        break;
    case TWO_HOLES:
        put_control(file, 3, 4);
        put_control(file, 3, 5);
        next += 9;
        break;
    case OPTIONAL_RECORD:
        put_control(file, 200, 0);
        break;
    case NEWER_RECORD:
        put_control(file, 100, 0);
        break;
    default:
        break;
    }
    return next;
}

/* Two segments; all of the first is durable by its last mark. Where the oddity is. */
static struct nori_position make_odd(const char *dir, enum oddity oddity)
{
    struct raw_header first = {.log_id = LOG_ID,
                               .salt = SALT,
                               .base_sequence = 1,
                               .max_record = 65536,
                               .prev_id = RAW_NO_SEGMENT};
    struct raw_header second = {.segment_id = 1,
                                .log_id = LOG_ID,
                                .salt = SALT + 1,
                                .max_record = 65536,
                                .prev_salt = SALT};
    struct nori_position place = {0, 0};
    struct bytes file = {0};
    uint64_t next;

    make_dir(dir);
    put_header(&file, &first);
    (void)put_plain(&file, "a", "1", SALT);
    place.offset = file.len;
    next = put_oddity(&file, oddity);
    (void)put_plain(&file, "b", "2", SALT);
    (void)put_mark(&file, SALT, LOG_ID, next + 1, file.len);
    store_file(dir, segment_name(0), file.data, file.len);

    second.base_sequence = next + 1 + (oddity == SUCCESSOR_OF_ANOTHER_RECORD);
    second.start = second.prev_end = second.durable_lsn = file.len;
    second.start += oddity == SUCCESSOR_OF_ANOTHER_END;
    free_bytes(&file);
    put_header(&file, &second);
    (void)put_plain(&file, "c", "3", SALT + 1);
    store_file(dir, segment_name(1), file.data, file.len);
    free_bytes(&file);
    if (oddity == SUCCESSOR_OF_ANOTHER_RECORD || oddity == SUCCESSOR_OF_ANOTHER_END)
        place = (struct nori_position){1, 0};
    if (oddity == FILE_BESIDE)
        store_file(dir, "1.wal", "x", 1);
    return place;
}

static void expect_told(const char *dir, enum oddity oddity, int rc, uint64_t errors,
                        uint64_t warnings)
{
    struct nori_position place = make_odd(dir, oddity);
    struct nori_error error = NORI_ERROR_INIT;
    struct told told = {0};

    told.rc = nori_log_verify(dir, NULL, listen, &told, &error);
    assert_int_equal(told.rc, rc);
    assert_int_equal(told.errors, errors);
    assert_int_equal(told.warnings, warnings);
    if (errors + warnings > 0 && oddity != FILE_BESIDE) {
        assert_int_equal(told.segment_id, place.segment_id);
        assert_int_equal(told.offset, place.offset);
    }
    remove_dir(dir);
}

/* D6 */
static void what_contradicts_itself_is_damage_with_its_place(void **state)
{
    static const enum oddity damages[] = {
        MARK_OF_ANOTHER_LOG, MARK_OF_ANOTHER_RECORD,  MARK_OF_WHAT_IS_NOT_THERE,
        MARK_WITHIN_A_BATCH, HOLE_BEYOND_ALL_NUMBERS, SUCCESSOR_OF_ANOTHER_RECORD,
    };
    const char *dir = dir_of(state);

    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        expect_told(dir, damages[i], NORI_E_CORRUPT, 1, 0);
    expect_told(dir, SUCCESSOR_OF_ANOTHER_END, NORI_E_CORRUPT, 2, 0); /* the other ends nowhere */
}

/* D12 */
static void what_is_odd_but_no_damage_is_told_as_what_it_is(void **state)
{
    const char *dir = dir_of(state);

    expect_told(dir, NOTHING, NORI_OK, 0, 0);
    expect_told(dir, OPTIONAL_RECORD, NORI_OK, 0, 0);
    expect_told(dir, TWO_HOLES, NORI_OK, 0, 1);
    expect_told(dir, HOLE_WITHOUT_A_NUMBER, NORI_OK, 0, 1);
    expect_told(dir, FILE_BESIDE, NORI_OK, 0, 1);
    expect_told(dir, NEWER_RECORD, NORI_E_VERSION, 1, 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_contradicts_itself_is_damage_with_its_place),
        IN_FOLDER(what_is_odd_but_no_damage_is_told_as_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
