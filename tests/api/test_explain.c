/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_explain.c: what nori_log_explain says about each kind of place in a log whose every byte is
 * known, made by hand: a person who repairs a log goes by it, so it may not tell what is not so,
 * and shows the bytes that are there.
 */
#include "encode.h"
#include "helpers.h"

#define LOG_ID  0x0123456789abcdefu
#define SALT    0x1111111111111111u
#define TIME_MS 1700000000000u

static struct {
    char text[16384]; /* all messages, a line each */
    uint8_t data[1024];
    size_t data_len; /* of the last item that had some */
} heard;

static int hear(void *context, const struct nori_log_item *item)
{
    (void)context;
    if (item->message) {
        size_t len = strlen(heard.text);

        (void)snprintf(heard.text + len, sizeof heard.text - len, "%s\n", item->message);
    }
    if (item->data_len > 0) {
        heard.data_len = item->data_len < sizeof heard.data ? item->data_len : sizeof heard.data;
        memcpy(heard.data, item->data, heard.data_len);
    }
    return 0;
}

static int explain(const char *dir, uint64_t segment_id, uint64_t offset)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.position = (struct nori_position){segment_id, offset};
    memset(&heard, 0, sizeof heard);
    return nori_log_explain(dir, &options, hear, NULL, NULL);
}

static void expect_said(const char *text)
{
    if (!strstr(heard.text, text))
        fail_msg("'%s' is not in:\n%s", text, heard.text);
}

/* The bytes that were shown are those of the file. */
static void expect_shown(const struct bytes *file, size_t from, size_t len)
{
    assert_int_equal(heard.data_len, len);
    assert_memory_equal(heard.data, file->data + from, len);
}

static void expect_explained(const char *dir, uint64_t segment_id, uint64_t offset,
                             const char *text)
{
    assert_int_equal(explain(dir, segment_id, offset), NORI_OK);
    expect_said(text);
}

static struct raw_header first_header(void)
{
    return (struct raw_header){.base_sequence = 1,
                               .log_id = LOG_ID,
                               .salt = SALT,
                               .created_ms = TIME_MS,
                               .max_record = 65536,
                               .node_id = 7,
                               .prev_id = RAW_NO_SEGMENT};
}

/* Begins a file with the header of a segment that follows the first one where that has `end`. */
static void put_successor(struct bytes *file, uint64_t id, uint64_t sequence, uint64_t salt,
                          uint64_t end)
{
    struct raw_header header = first_header();

    header.segment_id = id;
    header.base_sequence = sequence;
    header.salt = salt;
    header.start = end;
    header.prev_salt = SALT;
    header.prev_id = 0;
    header.prev_end = end;
    header.durable_lsn = end;
    put_header(file, &header);
}

static size_t put_short(struct bytes *file, const char *value, uint8_t flags)
{
    const struct raw_record record = {.key = "key",
                                      .key_len = 3,
                                      .value = value,
                                      .value_len = strlen(value),
                                      .flags = flags,
                                      .ttl_ms = 1500,
                                      .term = 3,
                                      .index = 9,
                                      .time_ms = TIME_MS};

    return put_record(file, &record, SALT);
}

static size_t put_control(struct bytes *file, uint8_t type, const void *value, size_t len)
{
    const struct raw_record record = {
        .key = &type, .key_len = 1, .value = value, .value_len = len, .flags = RAW_CONTROL};

    return put_record(file, &record, SALT);
}

static void every_field_of_a_record_is_told(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct bytes file = {0};
    size_t places[8];

    make_dir(dir);
    put_header(&file, &header);
    places[0] = put_short(&file, "value", 0);
    places[1] = put_short(&file, "", RAW_TOMBSTONE | RAW_TTL | RAW_VERSION | RAW_TIME);
    places[2] = put_short(&file, "a", RAW_CONTINUES);
    places[3] = put_short(&file, "b", RAW_CONTINUES);
    places[4] = put_short(&file, "c", 0);
    places[5] = put_mark(&file, SALT, LOG_ID, 6, 128);
    places[6] = put_control(&file, 200, "later", 5);
    places[7] = put_short(&file, "last", 0);
    store_file(dir, segment_name(0), file.data, file.len);

    expect_explained(dir, 0, 3, "it begins the log");
    expect_said("node 7");
    expect_shown(&file, 0, 128);
    expect_explained(dir, 0, places[0],
                     "inside a record of 15 bytes from offset 128, sequence "
                     "number 1; its checksum holds");
    expect_shown(&file, places[0], places[1] - places[0]);
    expect_explained(dir, 0, places[2] - 1, "inside a delete of ");
    expect_said("sequence number 2; its checksum holds");
    expect_said("it lives 1500 ms");
    expect_said("its time is 1700000000000 ms after 1970");
    expect_said("Raft term 3, index 9");
    expect_shown(&file, places[1], places[2] - places[1]);
    expect_explained(dir, 0, places[2], "it is number 1 of the atomic batch from offset ");
    expect_said(", which goes on");
    expect_explained(dir, 0, places[3], "it is number 2 of the atomic batch from offset ");
    expect_said(", which goes on");
    expect_explained(dir, 0, places[4], "it is number 3 of the atomic batch from offset ");
    expect_said(", and its last");
    expect_said("sequence number 5;");
    expect_explained(dir, 0, places[5] + 47,
                     "inside a mark: the next record is 6, everything below "
                     "LSN 128 was durable when it was written");
    expect_shown(&file, places[5], places[6] - places[5]);
    expect_explained(dir, 0, places[6],
                     "a control record of a type that this version does not know");
    expect_explained(dir, 0, places[7], "sequence number 6;");
    expect_explained(dir, 0, file.len, "behind the end of the file");
    free_bytes(&file);
}

/* A hole that counts is taken into account, and behind one that does not no number is claimed
 * before the next mark. */
static void numbers_behind_holes_are_those_of_the_records(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct bytes file = {0};
    struct bytes value = {0};
    size_t places[5];

    make_dir(dir);
    put_header(&file, &header);
    (void)put_short(&file, "value", 0);
    put_number(&value, 20, 8);
    put_zeros(&value, 100);
    places[0] = put_control(&file, 3, value.data, value.len);
    places[1] = put_short(&file, "value", 0);
    memset(value.data, 0xff, 8);
    places[2] = put_control(&file, 3, value.data, value.len);
    places[3] = put_short(&file, "value", 0);
    (void)put_mark(&file, SALT, LOG_ID, 50, 0);
    places[4] = put_short(&file, "value", 0);
    store_file(dir, segment_name(0), file.data, file.len);

    expect_explained(dir, 0, places[0] + 50,
                     "inside a hole: a repair set 116 damaged bytes aside "
                     "and hid 20 records");
    expect_shown(&file, places[0], 116);
    expect_explained(dir, 0, places[1], "sequence number 22;");
    expect_explained(dir, 0, places[2], "and hid an unknown number of records");
    expect_explained(dir, 0, places[3], "its sequence number is not known");
    expect_explained(dir, 0, places[4], "sequence number 50;");
    free_bytes(&file);
    free_bytes(&value);
}

static uint32_t checksum_at(const struct bytes *file, size_t from, size_t to)
{
    uint32_t mask = (uint32_t)slow_splitmix64(SALT + from);

    return slow_crc32c(file->data + from, to - from) ^ (mask == 0x6064a37a ? mask ^ 1 : mask);
}

/* What a person needs to tell a flipped bit from bytes of somewhere else. */
static void a_damaged_record_is_shown_with_the_checksum_it_should_have(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct bytes file = {0};
    char text[128];
    size_t places[3];
    uint32_t stored;

    make_dir(dir);
    put_header(&file, &header);
    places[0] = put_short(&file, "value", 0);
    places[1] = put_short(&file, "value", RAW_TTL | RAW_VERSION | RAW_TIME);
    places[2] = put_mark(&file, SALT, LOG_ID, 3, file.len);
    file.data[places[2] - 6] ^= 4; /* in its value */
    store_file(dir, segment_name(0), file.data, file.len);

    expect_explained(dir, 0, places[1] + 3, "that do not verify");
    memcpy(&stored, file.data + places[2] - 4, 4);
    (void)snprintf(text, sizeof text,
                   "as a record: key 3 bytes, value 5 bytes, flags 32; its checksum is %08x and "
                   "should be %08x",
                   stored, checksum_at(&file, places[1], places[2] - 4));
    expect_said(text);
    expect_said("durable once and are damaged now");

    memset(file.data + places[1], 0xff, 3); /* no length */
    store_file(dir, segment_name(0), file.data, file.len);
    expect_explained(dir, 0, places[1], "the lengths that stand there do not fit");

    file.len = places[2] - 2; /* torn within its checksum, behind the last one */
    file.data[places[1]] = 3;
    file.data[places[1] + 1] = 5;
    file.data[places[1] + 2] = RAW_TTL | RAW_VERSION | RAW_TIME;
    cut_file(dir, segment_name(0), file.len);
    store_file(dir, segment_name(0), file.data, file.len);
    expect_explained(dir, 0, places[1], "the lengths that stand there do not fit");
    expect_said("recovery: a torn");
    free_bytes(&file);
}

/* Nobody may take what stands there for a part of the log. */
static void what_is_no_part_of_the_log_is_said_to_be_none(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header header = first_header();
    struct bytes first = {0};
    struct bytes dead = {0};
    struct bytes second = {0};
    size_t end;

    make_dir(dir);
    put_header(&first, &header);
    (void)put_short(&first, "kept", 0);
    end = put_short(&first, "left behind", 0);
    put_successor(&dead, 1, 3, 77, first.len);
    put_plain(&dead, "key", "dead", 77);
    put_successor(&second, 2, 2, 88, end);
    put_plain(&second, "key", "alive", 88);
    store_file(dir, segment_name(0), first.data, first.len);
    store_file(dir, segment_name(1), dead.data, dead.len);
    store_file(dir, segment_name(2), second.data, second.len);

    expect_explained(dir, 0, end, "behind the end of the segment, which its successor's header");
    expect_shown(&first, end, first.len - end);
    expect_explained(dir, 1, 130, "in a file that is no part of the log now");
    expect_explained(dir, 2, 130, "sequence number 2;");
    assert_int_equal(explain(dir, 3, 5), NORI_E_NOTFOUND);
    free_bytes(&first);
    free_bytes(&dead);
    free_bytes(&second);
}

static void the_overview_tells_what_was_measured_and_whether_it_is_believed(void **state)
{
    static const uint32_t ways[] = {NORI_PREALLOCATE_ZERO, NORI_PREALLOCATE_RESERVE};
    static const char *const words[] = {"auto means zero", "auto means reserve"};
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 3, 100);
    close_log(wal);
    for (size_t i = 0; i < 2; i++) {
        struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;

        advice.preallocate = ways[i];
        assert_int_equal(nori_log_advise(dir, NULL, &advice, NULL), NORI_OK);
        expect_explained(dir, 0, 0, words[i]);
    }
    flip_bit(dir, "control", 512 + 16, 1);
    expect_explained(dir, 0, 0, "what was measured is not believed");
}

static int stop_at_once(void *context, const struct nori_log_item *item)
{
    (void)item;
    ++*(int *)context;
    return 42;
}

/* `nori explain | head` ends, and asks for no more. */
static void who_has_heard_enough_is_told_nothing_more(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    int calls = 0;

    append_range(wal, 1, 3, 100);
    close_log(wal);
    assert_int_equal(nori_log_explain(dir, &options, stop_at_once, &calls, NULL), 42);
    options.position = (struct nori_position){0, 130};
    assert_int_equal(nori_log_explain(dir, &options, stop_at_once, &calls, NULL), 42);
    assert_int_equal(calls, 2);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_field_of_a_record_is_told),
        IN_FOLDER(numbers_behind_holes_are_those_of_the_records),
        IN_FOLDER(a_damaged_record_is_shown_with_the_checksum_it_should_have),
        IN_FOLDER(what_is_no_part_of_the_log_is_said_to_be_none),
        IN_FOLDER(the_overview_tells_what_was_measured_and_whether_it_is_believed),
        IN_FOLDER(who_has_heard_enough_is_told_nothing_more),
    };

    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
