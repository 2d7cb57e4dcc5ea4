/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_mend.c: what repair meets beside the damage: files of no log, strangers in quarantine, dead
 * segments, a writer, a newer version's records, a caller who has had enough. Most logs are made by
 * hand, so that each byte is where the test says.
 */
#include "encode.h"
#include "helpers.h"

#include <nori/sim.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_ID 0x0123456789abcdefu
#define SALT   0x1111111111111111u

static struct {
    char text[16384];   /* all messages and advice */
    size_t errors;      /* findings that are damage */
    size_t pieces;      /* of quarantine */
    size_t items;       /* so far */
    size_t stop_at;     /* report says so at this item; 0: never */
    bool was_told_more; /* after that */
    struct nori_log_item summary;
} heard;

static int hear(void *context, const struct nori_log_item *item)
{
    size_t len = strlen(heard.text);

    (void)context;
    (void)snprintf(heard.text + len, sizeof heard.text - len, "%s\n%s\n",
                   item->message ? item->message : "", item->advice ? item->advice : "");
    heard.errors += item->kind == NORI_LOG_FINDING && item->severity == NORI_SEVERITY_ERROR;
    heard.pieces += item->kind == NORI_LOG_FINDING && item->severity == NORI_SEVERITY_INFO &&
                    item->file && strncmp(item->file, "quarantine/", 11) == 0;
    if (item->kind == NORI_LOG_SUMMARY)
        heard.summary = *item;
    heard.was_told_more |= heard.stop_at > 0 && heard.items >= heard.stop_at;
    return ++heard.items == heard.stop_at ? 42 : 0;
}

static int repair_until(const char *dir, uint32_t flags, size_t stop_at)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    memset(&heard, 0, sizeof heard);
    heard.stop_at = stop_at;
    options.flags = flags;
    return nori_log_repair(dir, &options, hear, NULL, NULL);
}

static int repair(const char *dir, uint32_t flags)
{
    return repair_until(dir, flags, 0);
}

static void expect_said(const char *text)
{
    if (!strstr(heard.text, text))
        fail_msg("'%s' is not in:\n%s", text, heard.text);
}

static void expect_sound(const char *dir)
{
    assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
}

/* The values of the records that are there, each behind a space; a hole is a `!`. */
static void expect_values(const char *dir, const char *values)
{
    nori_reader *reader = open_reader(dir, OLDEST);
    struct nori_record record;
    char found[256] = "";
    int rc;

    while ((rc = nori_reader_next(reader, &record, NULL)) != NORI_END) {
        size_t len = strlen(found);

        assert_true(rc == NORI_OK || rc == NORI_E_CORRUPT);
        if (rc == NORI_OK)
            (void)snprintf(found + len, sizeof found - len, " %.*s", (int)record.value_len,
                           (const char *)record.value);
        else
            (void)snprintf(found + len, sizeof found - len, " !");
    }
    nori_reader_close(reader);
    assert_string_equal(found, values);
}

/* A header; end: where the segment before it ends, which begins the log. */
static void put_segment(struct bytes *file, uint64_t id, uint64_t salt, uint64_t sequence,
                        uint64_t end)
{
    struct raw_header header = {.segment_id = id,
                                .base_sequence = sequence,
                                .log_id = LOG_ID,
                                .salt = salt,
                                .start = end,
                                .durable_lsn = end,
                                .max_record = 65536,
                                .prev_id = end ? 0 : RAW_NO_SEGMENT,
                                .prev_salt = end ? SALT : 0,
                                .prev_end = end};

    put_header(file, &header);
}

static void store(const char *dir, uint64_t id, const struct bytes *file)
{
    store_file(dir, segment_name(id), file->data, file->len);
}

/* ---- dead segments ---- */

/* A segment, a dead one, and one behind it: damage is mended in those that live, and the dead one
 * is no part of what is kept. */
static void dead_segments_are_no_part_of_what_is_mended(void **state)
{
    static const char *const kept[2] = {" a", " a b c"};
    const char *dir = dir_of(state);

    for (int damaged = 0; damaged < 2; damaged++) { /* in the first or in the last */
        struct bytes files[3] = {{0}, {0}, {0}};
        size_t places[2];

        put_segment(&files[0], 0, SALT, 1, 0);
        put_plain(&files[0], "k", "a", SALT);
        places[0] = put_plain(&files[0], "k", "b", SALT);
        put_segment(&files[1], 1, 77, 3, files[0].len);
        put_plain(&files[1], "k", "dead", 77);
        put_segment(&files[2], 2, 88, 3, files[0].len);
        put_plain(&files[2], "k", "c", 88);
        places[1] = put_plain(&files[2], "k", "d", 88);
        put_mark(&files[2], 88, LOG_ID, 5, files[0].len + files[2].len);
        files[damaged ? 2 : 0].data[places[damaged] + 3] ^= 8;
        make_dir(dir);
        for (uint64_t id = 0; id < 3; id++)
            store(dir, id, &files[id]);
        assert_int_equal(repair(dir, 0), NORI_OK);
        assert_int_equal(heard.errors, 1);
        expect_values(dir, kept[damaged]);
        expect_sound(dir);
        assert_false(has_file(dir, segment_name(1)));
        for (size_t i = 0; i < 3; i++)
            free_bytes(&files[i]);
        remove_dir(dir);
    }
}

/* ---- holes ---- */

/* No hole is as short as the damage: it covers the record before, too, back to the mark there, and
 * says so. */
static void a_stretch_too_short_for_a_hole_grows_back_to_a_mark(void **state)
{
    const char *dir = dir_of(state);
    struct bytes file = {0};
    size_t place;

    put_segment(&file, 0, SALT, 1, 0);
    put_plain(&file, "k", "a", SALT);
    put_mark(&file, SALT, LOG_ID, 2, 128);
    put_plain(&file, "k", "b", SALT);
    place = put_plain(&file, "k", "c", SALT); /* nine bytes */
    put_mark(&file, SALT, LOG_ID, 4, file.len);
    put_plain(&file, "k", "d", SALT);
    file.data[place + 4] ^= 1;
    make_dir(dir);
    store(dir, 0, &file);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    expect_values(dir, " a ! d");
    expect_sound(dir);
    assert_int_equal(heard.summary.records_lost, 2);
    free_bytes(&file);
}

/* ---- strangers ---- */

/* D7: quarantine may be a place where a person keeps notes. They stay, and are told of nowhere. */
static void what_a_person_keeps_in_quarantine_stays(void **state)
{
    static const char *const strangers[] = {
        "x",
        ".txt",
        "a.txt",
        "000000.wal.txt.1",
        "notes.wal",
        "what.wal.1-2",
        ("a name of more than ninety-six bytes, which no piece that was set aside ever has, "
         "however "
         "long it may be"),
    };
    const char *dir = dir_of(state);
    char quarantine[300];
    nori_wal *wal = open_dir(dir);
    size_t len;

    append_range(wal, 1, 100, 1000);
    close_log(wal);
    (void)snprintf(quarantine, sizeof quarantine, "%s/quarantine", dir);
    make_dir(quarantine);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        store_file(quarantine, strangers[i], "mine", 4);
    flip_bit(dir, segment_name(0), 5000, 1);
    clear_ring(dir);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    assert_int_equal(heard.pieces, 1);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        uint8_t *mine = load_file(quarantine, strangers[i], &len);

        assert_int_equal(len, 4);
        assert_memory_equal(mine, "mine", 4);
        free(mine);
    }
    expect_sound(dir);
}

/* ---- a predecessor that was dropped ---- */

/* Segment 5, with a record, behind a segment 4 that is not there. */
static void store_orphan(const char *dir)
{
    const struct raw_header header = {.segment_id = 5,
                                      .base_sequence = 9,
                                      .log_id = LOG_ID,
                                      .salt = SALT,
                                      .start = 1000,
                                      .durable_lsn = 1000,
                                      .prev_id = 4,
                                      .prev_salt = 77,
                                      .prev_end = 500};
    struct bytes file = {0};

    put_header(&file, &header);
    put_plain(&file, "k", "a", SALT);
    put_mark(&file, SALT, LOG_ID, 10, 1000 + file.len);
    store(dir, 5, &file);
    free_bytes(&file);
}

/* A file without a record lies before a segment that says it had another predecessor: it alone is
 * set aside, and nothing is lost. A dry run says so. */
static void an_empty_file_before_a_segment_is_set_aside_and_that_is_kept(void **state)
{
    const char *dir = dir_of(state);
    const char *const plan = "the older files hold no record: they are set aside; everything else";

    for (uint64_t id = 3; id < 5; id++) { /* another one, or of the name that was dropped */
        make_dir(dir);
        store_orphan(dir);
        store_file(dir, segment_name(id), "", 0);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE | NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
        expect_said(plan);
        assert_null(strstr(heard.text, "the log ends"));
        assert_null(strstr(heard.text, "set aside with what follows"));
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        assert_int_equal(heard.pieces, 1);
        assert_int_equal(heard.summary.records_lost, 0);
        assert_true(has_file(dir, id == 3 ? "quarantine/000003.wal" : "quarantine/000004.wal"));
        expect_values(dir, " a");
        expect_sound(dir);
        remove_dir(dir);
    }
}

/* D7: one of two files without a record was moved when the power went. The other, which ends in a
 * torn record, holds none either; but the next salvage set aside the segment behind it, too. */
static void a_salvage_done_again_keeps_the_segment_behind_a_torn_file(void **state)
{
    static const char torn[200] = "\3\xa0\5\0keyvalue, the most of which is missing";
    const char *dir = dir_of(state);

    for (int is_again = 0; is_again < 2; is_again++) {
        make_dir(dir);
        store_orphan(dir);
        store_file(dir, segment_name(3), torn, sizeof torn);
        if (!is_again)
            store_file(dir, segment_name(4), "", 0);
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE | NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
        expect_said("the older files hold no record: they are set aside; everything else");
        assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
        assert_int_equal(heard.summary.records_lost, 0);
        assert_true(has_file(dir, "quarantine/000003.wal"));
        expect_values(dir, " a");
        expect_sound(dir);
        remove_dir(dir);
    }
}

/* ---- who else is there ---- */

/* D12: what a newer version wrote is not mended, for that would destroy it. */
static void a_record_of_a_newer_version_keeps_repair_from_all_changes(void **state)
{
    const struct raw_record newer = {
        .key = "\11", .key_len = 1, .value = "?", .value_len = 1, .flags = RAW_CONTROL};
    const char *dir = dir_of(state);

    for (uint32_t flags = 0; flags <= NORI_LOG_SALVAGE; flags += NORI_LOG_SALVAGE) {
        struct bytes files[2] = {{0}, {0}};
        struct snapshot *before;
        size_t place;

        put_segment(&files[0], 0, SALT, 1, 0);
        place = put_plain(&files[0], "k", "a", SALT);
        put_plain(&files[0], "k", "b", SALT);
        put_segment(&files[1], 1, 88, 3, files[0].len);
        put_plain(&files[1], "k", "c", 88);
        put_record(&files[1], &newer, 88);
        put_plain(&files[1], "k", "d", 88);
        files[0].data[place + 4] ^= 1;
        make_dir(dir);
        store(dir, 0, &files[0]);
        store(dir, 1, &files[1]);
        before = take_snapshot(dir);
        assert_int_equal(repair(dir, flags), NORI_E_VERSION);
        expect_unchanged(dir, before);
        free_snapshot(before);
        free_bytes(&files[0]);
        free_bytes(&files[1]);
        remove_dir(dir);
    }
}

/* D12: also where only the mended log would come to it: behind the mark at which salvage goes on,
 * and in `spare`, which no segment leads to as long as a header is damaged. */
static void a_newer_record_that_only_the_mended_log_has_keeps_it_from_all_changes(void **state)
{
    const struct raw_record newer = {.key = "k", .key_len = 1, .flags = RAW_LZ4 | RAW_ZSTD};
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);

    for (int in_spare = 0; in_spare < 2; in_spare++) {
        struct bytes files[2] = {{0}, {0}};
        size_t place;

        put_segment(&files[0], 0, SALT, 1, 0);
        place = put_plain(&files[0], "k", "a", SALT);
        put_mark(&files[0], SALT, LOG_ID, 2, files[0].len);
        if (!in_spare)
            put_record(&files[0], &newer, SALT);
        put_segment(&files[1], 1, 88, 2, files[0].len);
        put_record(&files[1], &newer, 88);
        files[0].data[in_spare ? 50 : place + 4] ^= 1;
        make_dir(dir);
        store(dir, 0, &files[0]);
        if (in_spare)
            store_file(dir, "spare", files[1].data, files[1].len);
        for (config.recovery_mode = NORI_RECOVER_PREFIX;
             config.recovery_mode <= NORI_RECOVER_SALVAGE; config.recovery_mode++) {
            struct snapshot *before = take_snapshot(dir);

            assert_int_equal(try_open(&config, NULL, NULL), NORI_E_VERSION);
            expect_unchanged(dir, before);
            free_snapshot(before);
        }
        assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_E_VERSION); /* it says so */
        assert_int_equal(repair(dir, NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE), NORI_E_VERSION);
        free_bytes(&files[0]);
        free_bytes(&files[1]);
        remove_dir(dir);
    }
}

/* D7: what lies in `spare` leaves the log with the segments, under its name; but one with a number
 * that no log reaches would leave no numbers, and the log could never be opened again. */
static void a_spare_with_a_number_that_no_log_reaches_gets_no_name(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);

    config.recovery_mode = NORI_RECOVER_PREFIX;
    for (int is_strange = 0; is_strange < 2; is_strange++) {
        struct bytes files[2] = {{0}, {0}};

        put_segment(&files[0], 0, SALT, 1, 0);
        put_plain(&files[0], "k", "a", SALT);
        put_segment(&files[1], is_strange ? UINT64_MAX - 9 : 1, 88, 2, files[0].len);
        put_plain(&files[1], "k", "b", 88);
        files[0].data[50] ^= 1;
        make_dir(dir);
        store(dir, 0, &files[0]);
        store_file(dir, "spare", files[1].data, files[1].len);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_true(has_file(dir, "quarantine/000000.wal"));
        assert_true(has_file(dir, "quarantine/000001.wal") == !is_strange);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        free_bytes(&files[0]);
        free_bytes(&files[1]);
        remove_dir(dir);
    }
}

/* D1: a file that lost its header, and got a piece of another segment, mark and all, is not that
 * segment once more. */
static void a_piece_of_another_segment_does_not_make_a_header(void **state)
{
    const char *dir = dir_of(state);
    struct bytes files[3] = {{0}, {0}, {0}};

    put_segment(&files[0], 0, SALT, 1, 0);
    put_plain(&files[0], "k", "a", SALT);
    put_plain(&files[0], "k", "b", SALT);
    put_mark(&files[0], SALT, LOG_ID, 3, files[0].len);
    put_segment(&files[1], 1, 88, 3, files[0].len);
    put_segment(&files[2], 2, 99, 3, files[0].len);
    for (int i = 0; i < 20; i++)
        put_plain(&files[2], "k", "c", 99);
    memset(files[2].data, 0, 128);
    memcpy(files[2].data + 128, files[0].data + 128, files[0].len - 128);
    files[0].data[50] ^= 1; /* its heir tells */
    make_dir(dir);
    for (uint64_t id = 0; id < 3; id++)
        store(dir, id, &files[id]);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    expect_values(dir, " a b");
    assert_true(has_file(dir, "quarantine/000002.wal"));
    expect_sound(dir);
    for (uint64_t id = 0; id < 3; id++)
        free_bytes(&files[id]);
}

/* D7: who names a segment as the one before knows its salt and its end, also in `spare`. */
static void a_spare_tells_the_damaged_header_of_the_segment_before(void **state)
{
    const char *dir = dir_of(state);
    struct bytes files[2] = {{0}, {0}};

    put_segment(&files[0], 0, SALT, 1, 0);
    put_plain(&files[0], "k", "a", SALT);
    put_plain(&files[0], "k", "b", SALT);
    put_segment(&files[1], 1, 88, 3, files[0].len);
    put_plain(&files[1], "k", "c", 88);
    files[0].data[50] ^= 1;
    make_dir(dir);
    store(dir, 0, &files[0]);
    store_file(dir, "spare", files[1].data, files[1].len);
    assert_int_equal(repair(dir, NORI_LOG_SALVAGE), NORI_OK);
    expect_values(dir, " a b c");
    expect_sound(dir);
    free_bytes(&files[0]);
    free_bytes(&files[1]);
}

/* The header of a segment in `spare` that names segment 0 of this header as the one before. */
static void put_spare(nori_sim *sim, const uint8_t header[128], uint64_t salt, uint64_t end)
{
    struct raw_header next = {.segment_id = 1,
                              .base_sequence = 9,
                              .salt = 88,
                              .start = end,
                              .durable_lsn = end,
                              .prev_salt = salt,
                              .prev_end = end};
    struct bytes spare = {0};

    for (size_t i = 0; i < 8; i++)
        next.log_id |= (uint64_t)header[40 + i] << 8 * i;
    put_header(&spare, &next);
    assert_int_equal(nori_sim_file_poke(sim, "wal/spare", 0, spare.data, spare.len), 0);
    free_bytes(&spare);
}

/* D2, D12: the same in the staging ring of a process that was killed, whether the segment that it
 * belongs to is sound or has to be mended first; also if only `spare` says which segment it is. */
static void a_newer_record_that_only_the_ring_has_is_not_cut_off(void **state)
{
    const struct raw_record newer = {.key = "k", .key_len = 1, .flags = RAW_LZ4 | RAW_ZSTD};
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    struct nori_position place;
    struct bytes ring = {0};
    uint8_t header[128];
    uint64_t salt = 0;
    nori_sim *killed;
    size_t got;

    (void)state;
    append_range(wal, 1, 5, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    (void)append_numbered(wal, 6, 10); /* behind a mark, by which the segment can be mended */
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    nori_sim_sleep(sim, 1000000000); /* until it has its name */
    place = append_numbered(wal, 7, 10);
    nori_sim_crash_kill(sim, &killed);
    close_log(wal);
    nori_sim_free(sim);
    assert_int_equal(nori_sim_file_read(killed, "wal/000000.wal", 0, header, 128, &got), 0);
    for (size_t i = 0; i < 8; i++)
        salt |= (uint64_t)header[48 + i] << 8 * i;
    put_zeros(&ring, (size_t)place.offset);
    put_record(&ring, &newer, salt);
    assert_int_equal(nori_sim_file_poke(killed, "wal/control", 4096 + place.offset,
                                        ring.data + place.offset, ring.len - place.offset),
                     0);
    config.vfs = nori_sim_vfs(killed);
    for (int damages = 0; damages < 3; damages++) {
        for (config.recovery_mode = NORI_RECOVER_TAIL; config.recovery_mode <= NORI_RECOVER_SALVAGE;
             config.recovery_mode++) {
            bool is_refused = damages > 0 && config.recovery_mode < NORI_RECOVER_PREFIX;
            uint64_t before = nori_sim_digest(killed);

            assert_int_equal(try_open(&config, NULL, NULL),
                             is_refused ? NORI_E_CORRUPT : NORI_E_VERSION);
            assert_true(nori_sim_digest(killed) == before);
        }
        if (damages == 1) {
            assert_int_equal(nori_sim_file_poke(killed, "wal/000000.wal", 128, ring.data,
                                                (size_t)place.offset - 128),
                             0);
            put_spare(killed, header, salt, place.offset);
            continue;
        }
        header[56] ^= 1;
        assert_int_equal(nori_sim_file_poke(killed, "wal/000000.wal", 0, header, 128), 0);
    }
    free_bytes(&ring);
    nori_sim_free(killed);
}

/* Beside a writer a finding counts only if it is found twice; damage is, and once only told. */
static void damage_beside_a_writer_is_told_once(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    struct nori_position place = append_numbered(wal, 1, 1000);

    append_range(wal, 2, 2500, 1000); /* over two segments */
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    flip_bit(dir, segment_name(0), place.offset + 50, 2);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_E_CORRUPT);
    assert_int_equal(heard.errors, 1);
    flip_bit(dir, segment_name(0), place.offset + 50, 2);
    assert_int_equal(repair(dir, NORI_LOG_DRY_RUN), NORI_OK);
    assert_int_equal(heard.errors, 0);
    close_log(wal);
}

/* Whoever ends a repair at whatever item finds the log as it was, or mended; he is told no more. */
static void a_repair_may_be_ended_at_each_item(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config making = config_of(temporary->dir);
    bool was_ended = true;
    size_t unchanged = 0;
    nori_wal *wal;

    making.max_segment_size = 8 * MIB;
    wal = open_log(&making);
    append_range(wal, 1, 6000, 1000); /* so that there is progress to be told */
    close_log(wal);
    flip_bit(temporary->dir, segment_name(0), 5000, 1);
    for (size_t stop_at = 1; was_ended; stop_at++) {
        struct nori_wal_config config = config_of(temporary->other);
        struct snapshot *before;
        int rc;

        copy_dir(temporary->dir, temporary->other);
        before = take_snapshot(temporary->other);
        rc = repair_until(temporary->other, NORI_LOG_SALVAGE, stop_at);
        was_ended = heard.items >= stop_at;
        assert_int_equal(rc, was_ended ? 42 : NORI_OK);
        assert_false(heard.was_told_more);
        if (nori_log_verify(temporary->other, NULL, NULL, NULL, NULL) != NORI_OK) {
            expect_unchanged(temporary->other, before);
            unchanged++;
        } else {
            assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        }
        free_snapshot(before);
        remove_dir(temporary->other);
    }
    assert_in_range(unchanged, 2, 100); /* at some progress and at the finding */
}

/* How often files are opened to mend a log of so many segments, a header of which is damaged. */
static uint64_t opens_to_mend(uint64_t segments)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_log_options repairing = NORI_LOG_OPTIONS_INIT;
    struct nori_wal_config config = config_of("wal");
    nori_sim *sim = nori_sim_new(NULL);
    char path[64];
    uint64_t opens;

    config.vfs = repairing.vfs = nori_sim_vfs(sim);
    config.preallocate = NORI_PREALLOCATE_OFF;
    for (uint64_t i = 0; i < segments; i++) {
        nori_wal *wal = open_log(&config);

        (void)append_numbered(wal, i + 1, 100);
        close_log(wal); /* with a mark */
    }
    (void)snprintf(path, sizeof path, "wal/%s", segment_name(segments / 2));
    assert_int_equal(nori_sim_file_poke(sim, path, 20, "damaged", 7), 0);
    options.fail_mask = NORI_SIM_OPEN; /* those that are counted */
    nori_sim_set_options(sim, &options);
    assert_int_equal(nori_log_repair("wal", &repairing, NULL, NULL, NULL), NORI_OK);
    opens = nori_sim_calls(sim);
    assert_int_equal(nori_log_verify("wal", &repairing, NULL, NULL, NULL), NORI_OK);
    nori_sim_free(sim);
    return opens;
}

/* Whoever waits for a log of thousands of segments waits for each file, not for each pair. */
static void a_repair_opens_each_file_a_few_times_however_many_there_are(void **state)
{
    (void)state;
    assert_in_range(opens_to_mend(40), 40, 20 * 40);
    assert_in_range(opens_to_mend(80), 80, 20 * 80);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(dead_segments_are_no_part_of_what_is_mended),
        IN_FOLDER(a_stretch_too_short_for_a_hole_grows_back_to_a_mark),
        IN_FOLDER(what_a_person_keeps_in_quarantine_stays),
        IN_FOLDER(an_empty_file_before_a_segment_is_set_aside_and_that_is_kept),
        IN_FOLDER(a_salvage_done_again_keeps_the_segment_behind_a_torn_file),
        IN_FOLDER(a_record_of_a_newer_version_keeps_repair_from_all_changes),
        IN_FOLDER(a_piece_of_another_segment_does_not_make_a_header),
        IN_FOLDER(a_spare_tells_the_damaged_header_of_the_segment_before),
        IN_FOLDER(a_spare_with_a_number_that_no_log_reaches_gets_no_name),
        IN_FOLDER(a_newer_record_that_only_the_mended_log_has_keeps_it_from_all_changes),
        cmocka_unit_test(a_newer_record_that_only_the_ring_has_is_not_cut_off),
        IN_FOLDER(damage_beside_a_writer_is_told_once),
        IN_FOLDER(a_repair_may_be_ended_at_each_item),
        cmocka_unit_test(a_repair_opens_each_file_a_few_times_however_many_there_are),
    };

    return cmocka_run_group_tests_name("mend", tests, NULL, NULL);
}
