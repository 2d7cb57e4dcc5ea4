/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_repair.c: damage in all its places, what verify says about it, and what the recovery modes
 * prefix and salvage make of it (D1, D6, D7). Each log is damaged in known places; what is left is
 * compared with what was there.
 */
#include "helpers.h"

#include <unistd.h>

#define VALUE_LEN 1000
#define COUNT     3000 /* records of each log, in three segments of a megabyte */
#define LOST_MAX  400  /* more than what lies between two marks */

static struct nori_position positions[COUNT + 1];

/* COUNT numbered records, closed. */
static void make_log(const char *dir)
{
    nori_wal *wal = open_dir(dir);

    for (uint64_t i = 1; i <= COUNT; i++)
        positions[i] = append_numbered(wal, i, VALUE_LEN);
    close_log(wal);
}

/* Damage the record with this number. */
static void damage_record(const char *dir, uint64_t number)
{
    flip_bit(dir, segment_name(positions[number].segment_id), positions[number].offset + 50, 3);
}

/* ---- what is reported ---- */

struct heard {
    struct nori_log_item errors[16];
    struct nori_log_item pieces[16];
    size_t error_count;
    size_t piece_count;
    size_t warnings;
    size_t torn;
    struct nori_log_item summary;
    char text[65536];  /* all messages */
    char advice[4096]; /* all of it */
    size_t data_len;
};

static int hear(void *context, const struct nori_log_item *item)
{
    struct heard *heard = context;

    assert_int_equal(item->size, sizeof *item);
    if (item->message) {
        size_t len = strlen(heard->text);

        (void)snprintf(heard->text + len, sizeof heard->text - len, "%s\n", item->message);
    }
    if (item->kind == NORI_LOG_FINDING && item->severity == NORI_SEVERITY_ERROR) {
        size_t len = strlen(heard->advice);

        assert_non_null(item->advice);
        (void)snprintf(heard->advice + len, sizeof heard->advice - len, "%s\n", item->advice);
        assert_true(heard->error_count < 16);
        heard->errors[heard->error_count++] = *item;
    } else if (item->kind == NORI_LOG_FINDING && item->file &&
               strncmp(item->file, "quarantine/", 11) == 0) {
        assert_true(heard->piece_count < 16);
        heard->pieces[heard->piece_count++] = *item;
    } else if (item->kind == NORI_LOG_FINDING) {
        heard->warnings += item->severity == NORI_SEVERITY_WARNING;
        heard->torn += item->severity == NORI_SEVERITY_INFO;
    } else if (item->kind == NORI_LOG_SUMMARY) {
        heard->summary = *item;
    } else if (item->kind == NORI_LOG_EXPLANATION) {
        heard->data_len += item->data_len;
    }
    return 0;
}

static struct heard heard; /* of the last call */

static int verify(const char *dir)
{
    memset(&heard, 0, sizeof heard);
    return nori_log_verify(dir, NULL, hear, &heard, NULL);
}

static int repair(const char *dir, uint32_t flags)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.flags = flags;
    memset(&heard, 0, sizeof heard);
    return nori_log_repair(dir, &options, hear, &heard, NULL);
}

static int explain(const char *dir, uint64_t segment_id, uint64_t offset)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.position = (struct nori_position){segment_id, offset};
    memset(&heard, 0, sizeof heard);
    return nori_log_explain(dir, &options, hear, &heard, NULL);
}

static bool says(const char *text)
{
    return strstr(heard.text, text) != NULL;
}

/* Read all: true numbers only, each in its old place; how many. Each hole is told once. */
static uint64_t read_all(const char *dir, uint64_t *ret_holes)
{
    nori_reader *reader = open_reader(dir, OLDEST);
    uint64_t found = 0;
    uint64_t last = 0;

    *ret_holes = 0;
    for (;;) {
        struct nori_record record;
        struct nori_position position;
        uint64_t number = 0;
        int rc = nori_reader_next(reader, &record, &position);

        if (rc == NORI_END)
            break;
        if (rc == NORI_E_CORRUPT) {
            (*ret_holes)++;
            assert_true(*ret_holes < 100);
            continue;
        }
        assert_int_equal(rc, NORI_OK);
        assert_true(is_numbered(&record, &number) && number > last && number <= COUNT);
        assert_position(position, positions[number].segment_id, positions[number].offset);
        assert_int_equal(record.sequence, number);
        last = number;
        found++;
    }
    nori_reader_close(reader);
    return found;
}

/* D7: a piece in quarantine is byte for byte what stood there, and has its note. */
static void check_piece(const char *dir, const char *name, const uint8_t *bytes, size_t len)
{
    char folder[300];
    char note[120];
    size_t piece_len = 0;
    size_t note_len = 0;
    uint8_t *piece;
    uint8_t *text;

    (void)snprintf(folder, sizeof folder, "%s/quarantine", dir);
    (void)snprintf(note, sizeof note, "%s.txt", name);
    piece = load_file(folder, name, &piece_len);
    assert_int_equal(piece_len, len);
    assert_memory_equal(piece, bytes, len);
    text = load_file(folder, note, &note_len);
    assert_true(note_len > 20 && memcmp(text, "what:  ", 7) == 0);
    free(piece);
    free(text);
}

/* ---- verify ---- */

static void verify_tells_every_damage_with_its_place_and_length(void **state)
{
    static const uint64_t damaged[] = {300, 700, 1500, 2800};
    const char *dir = dir_of(state);

    make_log(dir);
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(heard.summary.records, COUNT);
    for (size_t i = 0; i < 4; i++)
        damage_record(dir, damaged[i]);
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct nori_log_item *item = &heard.errors[i];
        struct nori_position place = positions[damaged[i]];

        assert_position(item->position, place.segment_id, place.offset);
        assert_in_range(item->bytes, VALUE_LEN, 70000);
        assert_in_range(item->records, 1, 70);
        assert_int_equal(item->code, NORI_E_CORRUPT);
    }
}

static void verify_goes_on_behind_damaged_headers(void **state)
{
    const char *dir = dir_of(state);

    make_log(dir);
    flip_bit(dir, segment_name(1), 50, 1);
    damage_record(dir, 10);
    damage_record(dir, 2900);
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 3);
    assert_position(heard.errors[0].position, 0, positions[10].offset);
    assert_position(heard.errors[1].position, 1, 0);
    assert_position(heard.errors[2].position, positions[2900].segment_id, positions[2900].offset);
    assert_in_range(heard.summary.records, COUNT - LOST_MAX, COUNT - 2);
}

static void a_torn_tail_is_no_damage_and_a_live_writer_none(void **state)
{
    const struct temporary *temporary = *state;
    nori_wal *wal = open_dir(temporary->dir);

    append_range(wal, 1, 2500, VALUE_LEN);
    assert_int_equal(verify(temporary->dir), NORI_OK);
    assert_int_equal(heard.error_count, 0);
    assert_int_equal(heard.torn, 0);
    assert_int_equal(repair(temporary->dir, 0), NORI_E_LOCKED);
    assert_int_equal(repair(temporary->dir, NORI_LOG_DRY_RUN), NORI_OK);
    assert_int_equal(explain(temporary->dir, 0, 0), NORI_OK);
    close_log(wal);
}

static void store_text(const char *dir, const char *name)
{
    store_file(dir, name, "mine", 4);
}

/* Files of somebody else stay, and what they are called matters to nobody who gives out ids. */
static void foreign_files_are_no_damage_and_stay(void **state)
{
    static const char *const names[] = {
        "a", "notes.txt", "x.wal", "a-name-that-is-longer-than-any-segment-could-have.wal",
        "quarantine/a-name-that-is-longer-than-any-segment-could-have.wal.1-2"};
    const char *dir = dir_of(state);
    char path[300];
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 10, VALUE_LEN);
    close_log(wal);
    (void)snprintf(path, sizeof path, "%s/quarantine", dir);
    make_dir(path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        store_text(dir, names[i]);
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(heard.error_count, 0);
    wal = open_dir(dir);
    append_range(wal, 11, 10, VALUE_LEN);
    assert_int_equal(position_of(wal).segment_id, 1);
    close_log(wal);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(file_len(dir, names[i]), 4);
    expect_log(dir, 1, 20);
}

static void a_missing_segment_is_told_and_the_rest_walked(void **state)
{
    const char *dir = dir_of(state);
    char path[400];

    make_log(dir);
    (void)snprintf(path, sizeof path, "%s/%s", dir, segment_name(1));
    assert_int_equal(unlink(path), 0);
    damage_record(dir, 100);
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 2);
    assert_position(heard.errors[0].position, 0, positions[100].offset);
    assert_position(heard.errors[1].position, 2, 0);
}

/* ---- repair ---- */

/* D1, D7 */
static void prefix_keeps_all_before_the_first_damage(void **state)
{
    const char *dir = dir_of(state);
    uint64_t place;
    uint64_t holes;
    size_t len;
    size_t second_len;
    uint8_t *first;
    uint8_t *second;
    nori_wal *wal;

    make_log(dir);
    damage_record(dir, 500);
    damage_record(dir, 2000);
    place = positions[500].offset;
    first = load_file(dir, segment_name(0), &len);
    second = load_file(dir, segment_name(1), &second_len);
    assert_int_equal(repair(dir, 0), NORI_OK);
    assert_int_equal(heard.error_count, 2);
    assert_int_equal(heard.summary.records, 499);
    assert_int_equal(heard.summary.records_lost, COUNT - 499);
    assert_int_equal(heard.piece_count, 3);
    assert_int_equal(read_all(dir, &holes), 499);
    assert_int_equal(holes, 0);
    check_piece(dir, "000001.wal", second, second_len);
    {
        char name[64];
        uint64_t end = heard.pieces[0].position.offset + heard.pieces[0].bytes;

        assert_position(heard.pieces[0].position, 0, place);
        (void)snprintf(name, sizeof name, "000000.wal.%llu-%llu", (unsigned long long)place,
                       (unsigned long long)end);
        check_piece(dir, name, first + place, (size_t)(end - place));
    }
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(repair(dir, 0), NORI_OK);
    assert_int_equal(heard.piece_count, 0);
    wal = open_dir(dir);
    (void)append_numbered(wal, 500, VALUE_LEN);
    close_log(wal);
    expect_log(dir, 1, 500);
    free(first);
    free(second);
}

/* D7: only what lies between the marks around each damage is lost, and that is in quarantine. */
static void salvage_keeps_all_but_the_stretches(void **state)
{
    static const uint64_t damaged[] = {300, 1500, 2800};
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    uint64_t found;
    uint64_t holes;

    make_log(dir);
    for (size_t i = 0; i < 3; i++)
        damage_record(dir, damaged[i]);
    {
        uint8_t *bytes[3];
        size_t len;

        for (size_t i = 0; i < 3; i++)
            bytes[i] = load_file(dir, segment_name(i), &len);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        assert_int_equal(heard.error_count, 3);
        assert_int_equal(heard.piece_count, 3);
        for (size_t i = 0; i < 3; i++) {
            const struct nori_log_item *item = &heard.pieces[i];
            char name[64];

            assert_position(item->position, positions[damaged[i]].segment_id,
                            positions[damaged[i]].offset);
            (void)snprintf(name, sizeof name, "%06u.wal.%llu-%llu", (unsigned)i,
                           (unsigned long long)item->position.offset,
                           (unsigned long long)(item->position.offset + item->bytes));
            check_piece(dir, name, bytes[i] + item->position.offset, (size_t)item->bytes);
            free(bytes[i]);
        }
    }
    found = read_all(dir, &holes);
    assert_in_range(found, COUNT - 3 * 70, COUNT - 3);
    assert_int_equal(holes, 3);
    assert_int_equal(heard.summary.records, found);
    assert_int_equal(heard.summary.records_lost, COUNT - found);
    config.recovery_mode = NORI_RECOVER_TAIL;
    for (uint32_t how = NORI_VERIFY_FULL; how <= NORI_VERIFY_TAIL; how++) {
        config.verify = how;
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    }
    assert_int_equal(read_all(dir, &holes), found);
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(heard.warnings, 3);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.piece_count, 0);
}

static void salvage_makes_a_damaged_header_anew(void **state)
{
    const char *dir = dir_of(state);
    uint64_t holes;

    for (uint64_t id = 0; id < 3; id++) {
        uint8_t header[128];
        size_t len;
        uint8_t *bytes;

        make_log(dir);
        flip_bit(dir, segment_name(id), 50, 1);
        bytes = load_file(dir, segment_name(id), &len);
        memcpy(header, bytes, sizeof header);
        free(bytes);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE | NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        assert_int_equal(heard.piece_count, 1);
        assert_int_equal(heard.summary.records_lost, 0);
        (void)snprintf((char *)heard.text, sizeof heard.text, "%s.0-128", segment_name(id));
        check_piece(dir, heard.text, header, sizeof header);
        assert_int_equal(read_all(dir, &holes), COUNT);
        assert_int_equal(holes, 0);
        assert_int_equal(verify(dir), NORI_OK);
        remove_dir(dir);
    }
}

/* What lies behind the end of a segment is no part of the log. Where its successor has lost its
 * header, and its first record with it, the one behind that says where both meet: so garbage there
 * costs no more than if it was not there. */
static void garbage_behind_an_end_does_not_keep_salvage_from_the_next_header(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = temporary->dir;
    uint64_t shown[2];
    char control[300];

    make_log(temporary->other); /* one: where marks lie depends on the clock */
    (void)snprintf(control, sizeof control, "%s/control", temporary->other);
    assert_int_equal(unlink(control), 0); /* its ring may have what the damage hits */
    for (int has_garbage = 0; has_garbage < 2; has_garbage++) {
        const size_t garbage_len = 200;
        size_t len;
        uint8_t *bytes;
        uint64_t holes;

        copy_dir(temporary->other, dir);
        bytes = load_file(dir, segment_name(1), &len);
        memset(bytes + 100, 0x5a, 200);
        store_file(dir, segment_name(1), bytes, len);
        free(bytes);
        bytes = load_file(dir, segment_name(0), &len);
        bytes = realloc(bytes, len + garbage_len);
        assert_non_null(bytes);
        memset(bytes + len, 0x5a, garbage_len);
        store_file(dir, segment_name(0), bytes, len + (has_garbage ? garbage_len : 0));
        free(bytes);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        shown[has_garbage] = read_all(dir, &holes);
        assert_true(holes > 0 && shown[has_garbage] > COUNT - LOST_MAX);
        assert_int_equal(verify(dir), NORI_OK);
        remove_dir(dir);
    }
    assert_int_equal(shown[0], shown[1]);
}

/* Where a segment ends, as the next one's header says: its file may be longer for a while. */
static size_t stated_end(const char *dir, uint64_t id)
{
    size_t len = 0;
    uint8_t *header = load_file(dir, segment_name(id + 1), &len);
    size_t end = 0;

    for (size_t i = 0; i < 4; i++)
        end |= (size_t)header[96 + i] << (8 * i);
    free(header);
    return end;
}

/* Its header and all its marks are gone, and with them its records: the segments around it say
 * where it begins and ends, so that those behind it stay where they are. */
/* D1: a header and what follows, written over by the same place of the next segment, a mark and
 * all: no record of that one may show here. */
static void a_piece_of_another_segment_is_not_taken_for_the_beginning(void **state)
{
    const char *dir = dir_of(state);
    const size_t from = 60, to = (size_t)70 << 10; /* the first mark lies at 64 KiB */
    uint8_t *bytes, *others;
    uint64_t holes;
    size_t len, others_len;

    make_log(dir);
    bytes = load_file(dir, segment_name(0), &len);
    others = load_file(dir, segment_name(1), &others_len);
    assert_true(len > to && others_len > to);
    memcpy(bytes + from, others + from, to - from);
    store_file(dir, segment_name(0), bytes, len);
    free(bytes);
    free(others);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_in_range(read_all(dir, &holes), COUNT - LOST_MAX, COUNT - 1);
    assert_int_equal(holes, 1);
    assert_int_equal(verify(dir), NORI_OK);
    remove_dir(dir);
}

static void salvage_goes_on_behind_a_segment_of_which_nothing_is_left(void **state)
{
    const char *dir = dir_of(state);

    for (int way = 0; way < 4; way++) {
        uint64_t id = way % 2 == 0 ? 1 : 0;
        uint64_t first = 0; /* of those lost */
        uint64_t lost = 0;
        struct nori_wal_config config = config_of(dir);
        struct nori_record record;
        nori_reader *reader;
        uint64_t holes;
        uint8_t *bytes;
        size_t len;

        make_log(dir);
        for (uint64_t i = COUNT; i > 0; i--) {
            lost += positions[i].segment_id == id;
            first = positions[i].segment_id == id ? i : first;
        }
        bytes = load_file(dir, segment_name(id), &len);
        len = stated_end(dir, id);
        memset(bytes, way < 2 ? 0 : 0xa5, len);
        store_file(dir, segment_name(id), bytes, len);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE | NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
        assert_non_null(strstr(heard.advice, "made anew; what else is damaged becomes holes"));
        assert_null(strstr(heard.advice, "the log ends"));
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        assert_int_equal(heard.summary.records, COUNT - lost);
        /* What the oldest held is told by no header that can be read. */
        assert_int_equal(heard.summary.records_lost, id == 0 ? 0 : lost);
        (void)snprintf(heard.text, sizeof heard.text, "%s.0-128", segment_name(id));
        check_piece(dir, heard.text, bytes, 128);
        (void)snprintf(heard.text, sizeof heard.text, "%s.128-%zu", segment_name(id), len);
        check_piece(dir, heard.text, bytes, len - 128);
        free(bytes);
        assert_int_equal(read_all(dir, &holes), COUNT - lost);
        assert_true(holes > 0);
        assert_int_equal(verify(dir), NORI_OK);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        reader = open_reader(dir, positions[first + lost]);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_int_equal(record.sequence, first + lost);
        nori_reader_close(reader);
        remove_dir(dir);
    }
}

/* A file that somebody removed: holes take its place, and all that is in the other files stays
 * where it is, with its numbers. */
static void salvage_puts_holes_in_the_place_of_a_missing_segment(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_record record;
    uint64_t lost = 0;
    uint64_t first = 0; /* of those lost */
    nori_reader *reader;
    uint64_t holes;
    char path[256];

    make_log(dir);
    for (uint64_t i = COUNT; i > 0; i--) {
        lost += positions[i].segment_id == 1;
        first = positions[i].segment_id == 1 ? i : first;
    }
    (void)snprintf(path, sizeof path, "%s/%s", dir, segment_name(1));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE | NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
    assert_non_null(strstr(heard.advice, "takes the place of the missing one"));
    assert_false(has_file(dir, segment_name(1)));
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.summary.records, COUNT - lost);
    assert_int_equal(heard.summary.records_lost, lost);
    assert_int_equal(heard.piece_count, 0); /* there was nothing to set aside */
    assert_int_equal(read_all(dir, &holes), COUNT - lost);
    assert_true(holes > 0);
    assert_int_equal(verify(dir), NORI_OK);
    config.recovery_mode = NORI_RECOVER_STRICT;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    reader = open_reader(dir, positions[first + lost]);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.sequence, first + lost);
    nori_reader_close(reader);
}

/* So do those of several that lay side by side. What the oldest two of four held is known only
 * together. */
static void salvage_goes_on_behind_several_missing_segments(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_record record;
    nori_reader *reader;
    uint64_t lost = 0;
    uint64_t holes = 0;
    uint64_t count = 0;
    char path[256];
    int rc;

    for (uint64_t i = 1; i <= COUNT + 1000; i++) {
        uint64_t id = append_numbered(wal, i, VALUE_LEN).segment_id;

        lost += id == 1 || id == 2;
    }
    close_log(wal);
    assert_true(has_file(dir, segment_name(3)));
    for (uint64_t id = 1; id <= 2; id++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, segment_name(id));
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.summary.records, COUNT + 1000 - lost);
    assert_int_equal(heard.summary.records_lost, lost);
    assert_int_equal(verify(dir), NORI_OK);
    reader = open_reader(dir, OLDEST);
    while ((rc = nori_reader_next(reader, &record, NULL)) != NORI_END) {
        assert_true(rc == NORI_OK || (rc == NORI_E_CORRUPT && holes < 10));
        holes += rc == NORI_E_CORRUPT;
        count += rc == NORI_OK;
    }
    assert_int_equal(count, COUNT + 1000 - lost);
    assert_int_equal(record.sequence, COUNT + 1000);
    nori_reader_close(reader);
}

/* D7: with the segments that are moved away goes what tells that damage before them was durable;
 * the evidence is kept nevertheless. */
static void damage_before_a_damaged_header_is_kept_as_evidence(void **state)
{
    const char *dir = dir_of(state);
    size_t len;
    uint8_t *bytes;
    uint64_t holes;

    make_log(dir);
    clear_ring(dir); /* it would bring the record back */
    damage_record(dir, 900);
    flip_bit(dir, segment_name(1), 50, 1);
    bytes = load_file(dir, segment_name(0), &len);
    assert_int_equal(repair(dir, 0), NORI_OK);
    assert_int_equal(heard.piece_count, 3);
    assert_position(heard.pieces[0].position, 0, positions[900].offset);
    (void)snprintf(heard.text, sizeof heard.text, "000000.wal.%llu-%llu",
                   (unsigned long long)positions[900].offset,
                   (unsigned long long)(positions[900].offset + heard.pieces[0].bytes));
    check_piece(dir, heard.text, bytes + positions[900].offset, (size_t)heard.pieces[0].bytes);
    free(bytes);
    assert_int_equal(read_all(dir, &holes), 899);
}

/* Everything was moved to quarantine, and then the answer was that there is no such log. */
static void a_log_of_which_nothing_can_be_kept_is_empty_then_and_goes_on(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal;

    make_log(dir);
    flip_bit(dir, segment_name(0), 60, 1);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
    assert_non_null(strstr(heard.advice, "the log ends before this segment: 000000.wal"));
    assert_int_equal(repair(dir, 0), NORI_OK);
    assert_int_equal(heard.piece_count, 3);
    assert_int_equal(heard.summary.records, 0);
    assert_int_equal(heard.summary.records_lost, COUNT);
    wal = open_dir(dir);
    append_range(wal, 1, 3, VALUE_LEN);
    close_log(wal);
    expect_log(dir, 1, 3);
}

/* D7: what is called like evidence would be taken for it: no id that quarantine has is used again,
 * in whichever order its files are listed. */
static void ids_in_quarantine_are_not_used_again(void **state)
{
    static const char *const names[] = {"000003.wal", "000008.wal", "000001.wal"};
    const char *dir = dir_of(state);
    char folder[256];
    nori_wal *wal;

    (void)snprintf(folder, sizeof folder, "%s/quarantine", dir);
    close_log(open_dir(dir));
    make_dir(folder);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        store_file(folder, names[i], "evidence", 8);
    wal = open_dir(dir);
    assert_int_equal(append_numbered(wal, 1, VALUE_LEN).segment_id, 9);
    close_log(wal);
}

#define LOOKED_AT_ONCE ((size_t)256 << 10) /* of what lies behind damage */
#define MARK_LEN       48

/* Three records, of which the last comes behind a mark; that lies `distance` behind the first. */
static void make_marked_log(const char *dir, size_t distance)
{
    static uint8_t bytes[LOOKED_AT_ONCE];
    struct nori_wal_config config = config_of(dir);
    struct nori_record record = {.key = "k", .key_len = 1, .value = bytes};
    nori_wal *wal;

    config.fsync_policy = NORI_FSYNC_OS;
    record.value_len = distance - 2000;
    for (int i = 0; i < 2; i++) {
        struct nori_position first;
        struct nori_position last;
        struct nori_position end;

        remove_dir(dir);
        wal = open_log(&config);
        first = append_numbered(wal, 1, VALUE_LEN);
        assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        last = append_numbered(wal, 3, VALUE_LEN);
        end = position_of(wal);
        close_log(wal);
        cut_file(dir, segment_name(0), end.offset); /* close may have set another */
        record.value_len += first.offset + distance - (last.offset - MARK_LEN);
    }
}

/* D6, D7: the one mark behind damage tells of it, and what can be kept, also where it is read in
 * two halves. */
static void a_mark_is_found_wherever_it_lies(void **state)
{
    const char *dir = dir_of(state);

    make_marked_log(dir, LOOKED_AT_ONCE - MARK_LEN / 2);
    flip_bit(dir, segment_name(0), 300, 3);
    remove_file(dir, "control");
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.summary.records, 1);
    assert_int_equal(heard.summary.records_lost, 2);

    make_marked_log(dir, LOOKED_AT_ONCE - MARK_LEN / 2);
    flip_bit(dir, segment_name(0), 50, 1); /* of the header */
    remove_file(dir, "control");
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.summary.records, 3);
}

/* The dry run named the empty file, and the repair left that alone and moved those behind it. */
static void a_dry_run_names_the_file_from_which_on_files_are_set_aside(void **state)
{
    const char *dir = dir_of(state);

    make_log(dir);
    cut_file(dir, segment_name(0), 0);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
    assert_non_null(strstr(heard.advice, "nothing: it is kept as it is"));
    assert_non_null(strstr(heard.advice, "the log ends before this segment: 000001.wal"));
    assert_int_equal(repair(dir, 0), NORI_OK);
    assert_int_equal(heard.piece_count, 2);
    assert_true(has_file(dir, segment_name(0)));
    assert_false(has_file(dir, segment_name(1)));
}

static void a_dry_run_changes_no_byte(void **state)
{
    const char *dir = dir_of(state);
    struct snapshot *before;

    make_log(dir);
    damage_record(dir, 300);
    flip_bit(dir, segment_name(2), 70, 1);
    before = take_snapshot(dir);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 2);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 2);
    assert_int_equal(heard.summary.bytes_quarantined, 0);
    assert_int_equal(explain(dir, 0, 0), NORI_OK);
    expect_unchanged(dir, before);
    free_snapshot(before);
}

static void bad_options_are_refused_and_older_ones_taken(void **state)
{
    const char *dir = dir_of(state);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    make_log(dir);
    options.flags = 4;
    assert_int_equal(nori_log_repair(dir, &options, NULL, NULL, NULL), NORI_E_INVALID);
    options.flags = NORI_LOG_DRY_RUN;
    assert_int_equal(nori_log_verify(dir, &options, NULL, NULL, NULL), NORI_E_INVALID);
    assert_int_equal(nori_log_explain(dir, &options, NULL, NULL, NULL), NORI_E_INVALID);
    options.flags = 0;
    options.size = offsetof(struct nori_log_options, position); /* of an older caller */
    assert_int_equal(nori_log_verify(dir, &options, NULL, NULL, NULL), NORI_OK);
    options.size--;
    assert_int_equal(nori_log_verify(dir, &options, NULL, NULL, NULL), NORI_E_INVALID);
    assert_int_equal(nori_log_repair(NULL, NULL, NULL, NULL, NULL), NORI_E_INVALID);
    assert_int_equal(nori_log_repair("/nowhere/at/all", NULL, NULL, NULL, NULL), NORI_E_NOTFOUND);
    assert_int_equal(nori_log_explain("/nowhere/at/all", NULL, NULL, NULL, NULL), NORI_E_NOTFOUND);
}

/* Two segments as the Rust crate writes them, the first of them damaged: it was complete once. */
static void damage_of_format_1_is_told_and_cut_off(void **state)
{
    static const uint8_t put[] = {3,   5,   0,   'k',  'e',  'y',  'v', 'a',
                                  'l', 'u', 'e', 0xa6, 0xed, 0xbc, 0x9a};
    const char *dir = dir_of(state);
    uint8_t bytes[10 * sizeof put];

    for (size_t i = 0; i < 10; i++)
        memcpy(bytes + i * sizeof put, put, sizeof put);
    make_dir(dir);
    store_file(dir, segment_name(0), bytes, sizeof bytes);
    store_file(dir, segment_name(1), bytes, sizeof bytes);
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(heard.summary.records, 20);
    flip_bit(dir, segment_name(0), 4 * sizeof put + 5, 0);
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 1);
    assert_position(heard.errors[0].position, 0, 4 * sizeof put);
    assert_int_equal(heard.summary.records, 14);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.piece_count, 2);
    check_piece(dir, "000001.wal", bytes, sizeof bytes);
    assert_int_equal(verify(dir), NORI_OK);
    assert_int_equal(heard.summary.records, 4);
}

/* What tells a file of format 1 looked at more of it here than where logs are opened, and took
 * one whose first record is long for garbage: verify said so, and a dry run that nothing can be
 * kept. */
static void a_long_first_record_of_format_1_is_no_damage(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    nori_wal *wal;

    config.format = 1;
    wal = open_log(&config);
    (void)append_numbered(wal, 1, NUMBERED_VALUE_MAX);
    close_log(wal);
    for (uint64_t life = 0; life < 2; life++) {
        wal = open_dir(dir);
        append_range(wal, 2 + life * 10, 10, VALUE_LEN);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        close_log(wal);
    }
    assert_int_equal(verify(dir), NORI_OK);
    flip_bit(dir, segment_name(1), 60, 1);
    assert_int_equal(verify(dir), NORI_E_CORRUPT);
    assert_int_equal(heard.error_count, 1);
    assert_int_equal(heard.errors[0].position.segment_id, 1);
    assert_int_equal(heard.summary.records, 21);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE), NORI_E_CORRUPT);
    assert_non_null(strstr(heard.advice, "made anew; its records are kept"));
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    expect_log(dir, 1, 21);
}

/* ---- explain ---- */

static void explain_says_what_lies_at_each_kind_of_place(void **state)
{
    const char *dir = dir_of(state);
    struct nori_position damaged = {0, 0};

    make_log(dir);
    assert_int_equal(explain(dir, 0, 0), NORI_OK);
    assert_true(says("control: believed") && says("quarantine: there is none"));
    assert_int_equal(explain(dir, 1, 5), NORI_OK);
    assert_true(says("inside the segment header, whose checksum holds: segment 1"));
    assert_true(says("it follows segment 0"));
    assert_int_equal(heard.data_len, 128);
    assert_int_equal(explain(dir, positions[700].segment_id, positions[700].offset + 9), NORI_OK);
    assert_true(says("sequence number 700; its checksum holds") && says("known to have been"));
    assert_int_equal(explain(dir, 2, file_len(dir, segment_name(2)) - 1), NORI_OK);
    assert_true(says("unused space") && says("recovery: a clean tail"));
    assert_int_equal(explain(dir, 77, 1), NORI_E_NOTFOUND);
    damaged = positions[700];
    damage_record(dir, 700);
    assert_int_equal(explain(dir, damaged.segment_id, damaged.offset + 9), NORI_OK);
    assert_true(says("that do not verify") && says("and should be"));
    assert_true(says("recovery: these bytes were durable once and are damaged now"));
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(explain(dir, damaged.segment_id, damaged.offset + 9), NORI_OK);
    assert_true(says("inside a hole"));
    flip_bit(dir, segment_name(1), 50, 1);
    assert_int_equal(explain(dir, 1, 5), NORI_OK);
    assert_true(says("the place of the segment header, which is damaged"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(verify_tells_every_damage_with_its_place_and_length),
        IN_FOLDER(verify_goes_on_behind_damaged_headers),
        IN_FOLDER(a_torn_tail_is_no_damage_and_a_live_writer_none),
        IN_FOLDER(foreign_files_are_no_damage_and_stay),
        IN_FOLDER(a_missing_segment_is_told_and_the_rest_walked),
        IN_FOLDER(prefix_keeps_all_before_the_first_damage),
        IN_FOLDER(salvage_keeps_all_but_the_stretches),
        IN_FOLDER(salvage_makes_a_damaged_header_anew),
        IN_FOLDER(garbage_behind_an_end_does_not_keep_salvage_from_the_next_header),
        IN_FOLDER(a_piece_of_another_segment_is_not_taken_for_the_beginning),
        IN_FOLDER(salvage_goes_on_behind_a_segment_of_which_nothing_is_left),
        IN_FOLDER(salvage_puts_holes_in_the_place_of_a_missing_segment),
        IN_FOLDER(salvage_goes_on_behind_several_missing_segments),
        IN_FOLDER(damage_before_a_damaged_header_is_kept_as_evidence),
        IN_FOLDER(a_log_of_which_nothing_can_be_kept_is_empty_then_and_goes_on),
        IN_FOLDER(ids_in_quarantine_are_not_used_again),
        IN_FOLDER(a_mark_is_found_wherever_it_lies),
        IN_FOLDER(a_dry_run_names_the_file_from_which_on_files_are_set_aside),
        IN_FOLDER(a_dry_run_changes_no_byte),
        IN_FOLDER(bad_options_are_refused_and_older_ones_taken),
        IN_FOLDER(damage_of_format_1_is_told_and_cut_off),
        IN_FOLDER(a_long_first_record_of_format_1_is_no_damage),
        IN_FOLDER(explain_says_what_lies_at_each_kind_of_place),
    };

    return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
