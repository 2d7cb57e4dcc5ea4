/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_bad_input.c: what callers, disks and strangers may hand to the library that it must refuse:
 * each with its code and a message that names the cause, with nothing changed in the folder. What
 * is about headers, chains and flags stands in test_formats.c; about files that are missing or out
 * of place in test_shuffled.c; about `control` in test_control.c.
 */
#define _GNU_SOURCE 1 /* mknod */

#include "encode.h"
#include "helpers.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define SALT   0x0123456789abcdefu
#define LOG_ID 0x1111222233334444u
#define LIVES  4
#define EACH   10

/* Four segments, ten records each. */
static void make_log(const char *dir)
{
    for (uint64_t life = 0; life < LIVES; life++) {
        nori_wal *wal = open_dir(dir);

        append_range(wal, 1 + life * EACH, EACH, 100);
        close_log(wal);
    }
}

static const char *path_in(char path[300], const char *dir, const char *name)
{
    (void)snprintf(path, 300, "%s/%s", dir, name);
    return path;
}

static void remove_entry(const char *dir, const char *name)
{
    char path[300];

    assert_int_equal(remove(path_in(path, dir, name)), 0);
}

/* ---- arguments ---- */

static void expect_named(const struct nori_error *error, int rc, int code, const char *cause)
{
    if (rc != code || error->code != code)
        fail_msg("%s instead of %s: %s", nori_error_name(rc), nori_error_name(code),
                 error->message);
    if (!strstr(error->message, cause))
        fail_msg("'%s' does not name '%s'", error->message, cause);
}

#define OPEN_NAMES(field, bad)                                   \
    do {                                                         \
        struct nori_wal_config wrong = config_of(dir_of(state)); \
        struct nori_error error;                                 \
        int rc;                                                  \
        wrong.field = (bad);                                     \
        rc = try_open(&wrong, NULL, &error);                     \
        expect_named(&error, rc, NORI_E_INVALID, #field);        \
        assert_false(has_file(wrong.dir, ""));                   \
    } while (0)

static void a_bad_field_of_the_configuration_is_named(void **state)
{
    OPEN_NAMES(size, 0);
    OPEN_NAMES(size, SIZE_MAX);
    OPEN_NAMES(max_segment_size, MIB - 1);
    OPEN_NAMES(max_segment_size, UINT64_MAX);
    OPEN_NAMES(fsync_policy, NORI_FSYNC_OS + 1);
    OPEN_NAMES(fsync_policy, UINT32_MAX);
    OPEN_NAMES(batch_window_us, 1000001);
    OPEN_NAMES(format, 3);
    OPEN_NAMES(preallocate, NORI_PREALLOCATE_ZERO + 1);
    OPEN_NAMES(recovery_mode, NORI_RECOVER_SALVAGE + 1);
    OPEN_NAMES(verify, NORI_VERIFY_TAIL + 1);
    OPEN_NAMES(flags, 0x80000000u);
    OPEN_NAMES(reserved, 1);
    OPEN_NAMES(file_mode, 010600);
    OPEN_NAMES(file_mode, 0400);
    OPEN_NAMES(max_record_size, ((uint64_t)1 << 30) + 1);
    OPEN_NAMES(stall_threshold_ms, 3600001);
    OPEN_NAMES(buffer_size, 1);
    OPEN_NAMES(buffer_size, SIZE_MAX);
}

/* A program that was compiled with a later header, and asks for what we do not know. */
static void fields_of_a_later_version_are_refused_if_set(void **state)
{
    struct later {
        union {
            struct nori_wal_config wal;
            struct nori_reader_config reader;
            struct nori_log_options log;
        } known;
        uint64_t unknown;
    } later;
    const char *dir = dir_of(state);
    nori_reader *reader = NULL;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    make_log(dir);
    for (uint64_t value = 0; value < 2; value++) {
        int code = value == 0 ? NORI_OK : NORI_E_INVALID;

        memset(&later, 0, sizeof later);
        later.unknown = value;
        later.known.wal = config_of(dir);
        later.known.wal.size = sizeof later;
        assert_int_equal(try_open(&later.known.wal, NULL, &error), code);
        memset(&later.known, 0, sizeof later.known);
        later.known.reader.size = sizeof later;
        rc = nori_reader_open_with(dir, &later.known.reader, OLDEST, &reader, &error);
        assert_int_equal(rc, code);
        if (rc == NORI_OK)
            nori_reader_close(reader);
        memset(&later.known, 0, sizeof later.known);
        later.known.log.size = sizeof later;
        assert_int_equal(nori_log_verify(dir, &later.known.log, NULL, NULL, &error), code);
    }
    expect_named(&error, NORI_E_INVALID, NORI_E_INVALID, "this version does not know");
}

static void a_bad_field_of_a_reader_or_of_options_is_named(void **state)
{
    static const char *const causes[] = {"size", "visibility", "flags", "max_record_size"};
    const char *dir = dir_of(state);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = open_dir(dir);
    nori_reader *reader = NULL;
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    (void)append_numbered(wal, 1, 10);
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        struct nori_reader_config config = NORI_READER_CONFIG_INIT;
        int rc;

        config.size = i == 0 ? SIZE_MAX : config.size;
        config.visibility = i == 1 ? NORI_VISIBLE_DURABLE + 1 : 0;
        config.flags = i == 2 ? 2 : 0;
        config.max_record_size = i == 3 ? UINT64_MAX : 0;
        rc = nori_reader_open_with(dir, &config, OLDEST, &reader, &error);
        expect_named(&error, rc, NORI_E_INVALID, causes[i]);
        rc = nori_wal_read_with(wal, &config, OLDEST, &reader);
        assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
        expect_named(&error, rc, NORI_E_INVALID, causes[i]);
        assert_null(reader);
    }
    close_log(wal);
    options.reserved = 1;
    expect_named(&error, nori_log_stat(dir, &options, NULL, NULL, &error), NORI_E_INVALID,
                 "reserved");
    options.reserved = 0;
    options.flags = 4;
    expect_named(&error, nori_log_repair(dir, &options, NULL, NULL, &error), NORI_E_INVALID,
                 "flags");
    options.flags = 0;
    options.size = 1;
    expect_named(&error, nori_log_explain(dir, &options, NULL, NULL, &error), NORI_E_INVALID,
                 "size");
}

/* A refused append changes no byte of any file. */
static void a_bad_field_of_a_record_is_named(void **state)
{
    struct {
        const char *cause;
        int code;
        struct nori_record record;
    } wrong[] = {
        {"key", NORI_E_INVALID, nori_record_put(NULL, 1, "v", 1)},
        {"value", NORI_E_INVALID, nori_record_put("k", 1, NULL, 1)},
        {"flags", NORI_E_INVALID, nori_record_put("k", 1, "v", 1)},
        {"compression", NORI_E_INVALID, nori_record_put("k", 1, "v", 1)},
        {"reserved", NORI_E_INVALID, nori_record_put("k", 1, "v", 1)},
        {"max_record_size, 1000 bytes", NORI_E_TOOBIG, nori_record_put("k", 1, "v", 1)},
        {"max_record_size", NORI_E_TOOBIG, nori_record_put("k", SIZE_MAX, "v", SIZE_MAX)},
    };
    static uint8_t large[1000];
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_error error = NORI_ERROR_INIT;
    struct snapshot *before;
    nori_wal *wal;

    wrong[2].record.flags = 0x80000000u;
    wrong[3].record.compression = NORI_COMPRESSION_ZSTD + 1;
    wrong[4].record.reserved[3] = 1;
    wrong[5].record.value = large;
    wrong[5].record.value_len = sizeof large;
    config.max_record_size = 1000;
    wal = open_log(&config);
    (void)append_numbered(wal, 1, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    close_log(wal);
    wal = open_log(&config);
    before = take_snapshot(config.dir);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct nori_record batch[2] = {nori_record_put("k", 1, "v", 1), wrong[i].record};
        int rc = nori_wal_append(wal, &wrong[i].record, NULL);

        assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
        expect_named(&error, rc, wrong[i].code, wrong[i].cause);
        rc = nori_wal_append_batch(wal, batch, 2, NULL);
        assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
        expect_named(&error, rc, wrong[i].code, wrong[i].cause);
    }
    expect_unchanged(config.dir, before);
    close_log(wal);
    free_snapshot(before);
    expect_log(config.dir, 1, 1);
}

/* Where test_append.c does not pass it already. */
static void null_is_refused_where_it_is_not_allowed(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    nori_reader *reader = NULL;
    struct nori_error error = NORI_ERROR_INIT;

    (void)append_numbered(wal, 1, 10);
    assert_int_equal(nori_wal_read_with(NULL, NULL, OLDEST, &reader), NORI_E_INVALID);
    assert_int_equal(nori_wal_read_with(wal, NULL, OLDEST, NULL), NORI_E_INVALID);
    close_log(wal);
    expect_named(&error, nori_reader_open(NULL, OLDEST, &reader, &error), NORI_E_INVALID, "NULL");
    expect_named(&error, nori_reader_open(dir_of(state), OLDEST, NULL, &error), NORI_E_INVALID,
                 "NULL");
    expect_named(&error, nori_reader_open_with(NULL, NULL, OLDEST, &reader, &error), NORI_E_INVALID,
                 "NULL");
    assert_null(reader);
    expect_named(&error, nori_log_verify(NULL, NULL, NULL, NULL, &error), NORI_E_INVALID, "NULL");
    expect_named(&error, nori_log_stat(NULL, NULL, NULL, NULL, &error), NORI_E_INVALID, "NULL");
    expect_named(&error, nori_log_explain(NULL, NULL, NULL, NULL, &error), NORI_E_INVALID, "NULL");
    expect_named(&error, nori_log_repair(NULL, NULL, NULL, NULL, &error), NORI_E_INVALID, "NULL");
    assert_int_equal(nori_record_is_expired(NULL, 1), 0);
    assert_int_equal(nori_compression_is_offered(UINT32_MAX), 0);
    assert_string_equal(nori_error_name(77), "NORI_E_UNKNOWN");
    assert_non_null(nori_strerror(77));
}

/* ---- the folder ---- */

/* What everybody says who looks at the log; to be told with the same cause. Returns what open
 * said. */
static void expect_everywhere(const char *dir, int code, const char *cause)
{
    struct snapshot *before = take_snapshot(dir);
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_wal_config config = config_of(dir);
    nori_reader *reader = NULL;
    int rc;

    for (uint32_t mode = 0; mode <= NORI_RECOVER_SALVAGE; mode++) {
        config.recovery_mode = mode;
        rc = try_open(&config, NULL, &error);
        expect_named(&error, rc, code, cause);
    }
    rc = nori_reader_open(dir, OLDEST, &reader, &error);
    expect_named(&error, rc, code, cause);
    rc = nori_log_verify(dir, NULL, NULL, NULL, &error);
    expect_named(&error, rc, code, cause);
    rc = nori_log_stat(dir, NULL, NULL, NULL, &error);
    expect_named(&error, rc, code, cause);
    rc = nori_log_explain(dir, NULL, NULL, NULL, &error);
    expect_named(&error, rc, code, cause);
    for (uint32_t flags = 0; flags < 4; flags++) {
        options.flags = flags;
        rc = nori_log_repair(dir, &options, NULL, NULL, &error);
        expect_named(&error, rc, code, cause);
    }
    expect_unchanged(dir, before);
    free_snapshot(before);
}

enum stranger {
    LINK,
    DANGLING_LINK,
    PIPE,
    DEVICE,
    FOLDER,
    STRANGERS
};

/* False if we may not make such a thing. */
static bool put_stranger(const char *dir, const char *name, enum stranger kind)
{
    char path[300];

    (void)path_in(path, dir, name);
    (void)remove(path);
    switch (kind) {
    case LINK:
        return symlink("/dev/zero", path) == 0;
    case DANGLING_LINK:
        return symlink("nowhere", path) == 0;
    case PIPE:
        return mkfifo(path, 0600) == 0;
    case DEVICE:
        return mknod(path, S_IFCHR | 0600, makedev(1, 5)) == 0;
    case FOLDER:
    case STRANGERS:
    default:
        return mkdir(path, 0700) == 0;
    }
}

/* Nobody waits for a pipe, reads a device, follows a link, or takes it away. */
static void what_is_no_file_in_place_of_a_segment_is_refused(void **state)
{
    static const char *const names[] = {"000000.wal", "000002.wal", "000003.wal", "000009.wal",
                                        "spare"};
    const char *dir = dir_of(state);

    make_log(dir);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = 0;
        uint8_t *kept = has_file(dir, names[i]) ? load_file(dir, names[i], &len) : NULL;
        char cause[64];

        (void)snprintf(cause, sizeof cause, "%s: not a regular file", names[i]);
        for (enum stranger kind = LINK; kind < STRANGERS; kind++)
            if (put_stranger(dir, names[i], kind))
                expect_everywhere(dir, NORI_E_INVALID, cause);
        remove_entry(dir, names[i]);
        if (kept)
            store_file(dir, names[i], kept, len);
        free(kept);
    }
    expect_log(dir, 1, (uint64_t)LIVES * EACH);
}

static int note_finding(void *context, const struct nori_log_item *item)
{
    char *file = context;

    if (item->kind == NORI_LOG_FINDING)
        (void)snprintf(file, 32, "%s", item->file ? item->file : "none");
    return 0;
}

/* A finding that is about no segment does not accuse the first. */
static void findings_name_the_file_that_they_are_about(void **state)
{
    const char *dir = dir_of(state);
    char file[32] = "";

    make_log(dir);
    assert_true(put_stranger(dir, "spare", PIPE));
    assert_int_equal(nori_log_verify(dir, NULL, note_finding, file, NULL), NORI_E_INVALID);
    assert_string_equal(file, "none");
    remove_entry(dir, "spare");
    assert_true(put_stranger(dir, segment_name(2), PIPE));
    assert_int_equal(nori_log_verify(dir, NULL, note_finding, file, NULL), NORI_E_INVALID);
    assert_string_equal(file, segment_name(2));
}

/* D7: without a place for the evidence nothing is taken out. */
static void a_repair_without_a_quarantine_changes_nothing(void **state)
{
    const char *dir = dir_of(state);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    make_log(dir);
    flip_bit(dir, segment_name(1), 300, 1);
    for (enum stranger kind = LINK; kind < FOLDER; kind++) {
        struct snapshot *before;

        if (!put_stranger(dir, "quarantine", kind))
            continue;
        before = take_snapshot(dir);
        for (uint32_t flags = 0; flags <= NORI_LOG_SALVAGE; flags += NORI_LOG_SALVAGE) {
            struct nori_error error = NORI_ERROR_INIT;

            options.flags = flags;
            expect_named(&error, nori_log_repair(dir, &options, NULL, NULL, &error), NORI_E_INVALID,
                         "quarantine");
        }
        expect_unchanged(dir, before);
        free_snapshot(before);
        remove_entry(dir, "quarantine");
    }
    options.flags = NORI_LOG_SALVAGE;
    assert_int_equal(nori_log_repair(dir, &options, NULL, NULL, NULL), NORI_OK);
}

static void a_dry_run_names_the_first_damage(void **state)
{
    const char *dir = dir_of(state);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    make_log(dir);
    flip_bit(dir, segment_name(1), 300, 1);
    options.flags = NORI_LOG_DRY_RUN;
    rc = nori_log_repair(dir, &options, NULL, NULL, &error);
    expect_named(&error, rc, NORI_E_CORRUPT, "000001.wal at ");
    assert_int_equal(error.position.segment_id, 1);
    assert_true(error.position.offset > 0 && error.position.offset <= 300);
}

struct totals {
    uint64_t segments;
    uint64_t records_max;
};

static int note_segment(void *context, const struct nori_log_item *item)
{
    struct totals *totals = context;

    if (item->kind != NORI_LOG_SEGMENT)
        return 0;
    totals->segments++;
    totals->records_max = item->records > totals->records_max ? item->records : totals->records_max;
    return 0;
}

/* Whose first number nobody knows has no number of records that is a difference. */
static void a_segment_of_unknown_numbers_is_not_given_wrong_ones(void **state)
{
    const char *dir = dir_of(state);

    make_log(dir);
    for (uint64_t id = 0; id < LIVES; id++) {
        struct totals totals = {0, 0};

        flip_bit(dir, segment_name(id), 40, 5);
        assert_int_equal(nori_log_verify(dir, NULL, note_segment, &totals, NULL), NORI_E_CORRUPT);
        assert_int_equal(totals.segments, LIVES);
        assert_true(totals.records_max <= (uint64_t)LIVES * EACH);
        flip_bit(dir, segment_name(id), 40, 5);
    }
}

static void a_file_in_place_of_the_folder_is_named(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->dir);
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;

    store_file(temporary->top, "wal", "mine", 4);
    expect_named(&error, try_open(&config, NULL, &error), NORI_E_INVALID, temporary->dir);
    expect_named(&error, nori_reader_open(temporary->dir, OLDEST, &reader, &error), NORI_E_INVALID,
                 temporary->dir);
    expect_named(&error, nori_log_verify(temporary->dir, NULL, NULL, NULL, &error), NORI_E_INVALID,
                 temporary->dir);
    expect_named(&error, nori_log_repair(temporary->dir, NULL, NULL, NULL, &error), NORI_E_INVALID,
                 temporary->dir);
    assert_int_equal(file_len(temporary->top, "wal"), 4);
}

/* D10 */
static void a_locked_log_is_named_and_unharmed(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_error error = NORI_ERROR_INIT;
    struct snapshot *before;
    nori_wal *wal;

    make_log(dir);
    flip_bit(dir, "control", 300, 0);
    wal = open_dir(dir);
    before = take_snapshot(dir);
    expect_named(&error, try_open(&config, NULL, &error), NORI_E_LOCKED, dir);
    expect_named(&error, nori_log_repair(dir, NULL, NULL, NULL, &error), NORI_E_LOCKED, dir);
    expect_unchanged(dir, before);
    free_snapshot(before);
    close_log(wal);
}

static int look_at_readonly(void *context)
{
    const char *dir = context;
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    nori_wal *wal = NULL;
    nori_reader *reader = NULL;
    int rc;

    if (geteuid() == 0)
        CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    config.dir = dir;
    rc = nori_wal_open(&config, &wal, NULL, &error);
    if (rc == NORI_OK) {
        rc = nori_wal_append(wal, &record, NULL);
        CHILD_CHECK(nori_wal_last_error(wal, &error) == NORI_OK);
        CHILD_CHECK(nori_wal_close(wal) == NORI_OK);
    }
    CHILD_CHECK(rc == NORI_E_READONLY);
    CHILD_CHECK(error.message[0] != '\0');
    CHILD_CHECK(nori_reader_open(dir, OLDEST, &reader, &error) == NORI_OK);
    for (int i = 0; i < LIVES * EACH; i++)
        CHILD_CHECK(nori_reader_next(reader, &record, NULL) == NORI_OK);
    CHILD_CHECK(nori_reader_next(reader, &record, NULL) == NORI_END);
    nori_reader_close(reader);
    CHILD_CHECK(nori_log_verify(dir, NULL, NULL, NULL, &error) == NORI_OK);
    CHILD_CHECK(nori_log_stat(dir, NULL, NULL, NULL, &error) == NORI_OK);
    return 0;
}

static void a_folder_that_may_not_be_written_is_only_read(void **state)
{
    const struct temporary *temporary = *state;
    struct snapshot *before;
    char path[300];
    int status;

    make_log(temporary->dir);
    before = take_snapshot(temporary->dir);
    for (uint64_t id = 0; id < LIVES; id++)
        assert_int_equal(chmod(path_in(path, temporary->dir, segment_name(id)), 0444), 0);
    assert_int_equal(chmod(path_in(path, temporary->dir, "control"), 0444), 0);
    (void)chmod(path_in(path, temporary->dir, "spare"), 0444); /* if it was made before the close */
    assert_int_equal(chmod(temporary->dir, 0555), 0);
    assert_int_equal(chmod(temporary->top, 0755), 0);
    status = run_child(look_at_readonly, (void *)(uintptr_t)temporary->dir);
    assert_int_equal(chmod(temporary->dir, 0700), 0);
    for (uint64_t id = 0; id < LIVES; id++)
        assert_int_equal(chmod(path_in(path, temporary->dir, segment_name(id)), 0600), 0);
    assert_int_equal(chmod(path_in(path, temporary->dir, "control"), 0600), 0);
    (void)chmod(path_in(path, temporary->dir, "spare"), 0600);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_unchanged(temporary->dir, before);
    free_snapshot(before);
}

/* Nothing that is left names it, so it looks like an older copy: all before it is there, the stop
 * is told to be not clean, and its id is not given again. */
static void without_its_newest_segment_a_log_is_as_it_was_before(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info;
    nori_wal *wal;

    make_log(dir);
    remove_entry(dir, segment_name(LIVES - 1));
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.was_clean, 0);
    assert_int_equal(info.valid_records, (LIVES - 1) * EACH);
    wal = open_dir(dir);
    (void)append_numbered(wal, (LIVES - 1) * EACH + 1, 100);
    assert_true(position_of(wal).segment_id >= LIVES);
    close_log(wal);
    expect_log(dir, 1, (LIVES - 1) * EACH + 1);
}

static void names_that_are_not_ours_are_left_alone(void **state)
{
    static const char *const files[] = {"foo~",
                                        "000001.wal~",
                                        ".000001.wal.swp",
                                        ".swp",
                                        "+00001.wal",
                                        "1.wal",
                                        "0000001.wal",
                                        "000001.WAL",
                                        " 00001.wal",
                                        "00001.wal",
                                        "000001.wal.gz",
                                        "spare~",
                                        "18446744073709551616.wal"};
    const char *dir = dir_of(state);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    nori_wal *wal;

    make_log(dir);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        store_file(dir, files[i], "mine", 4);
    assert_true(put_stranger(dir, "lost+found", FOLDER));
    assert_true(put_stranger(dir, "pipe", PIPE));
    expect_log(dir, 1, (uint64_t)LIVES * EACH);
    assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
    wal = open_dir(dir);
    append_range(wal, 41, 2000, 1000);
    assert_int_equal(nori_wal_delete_segments_before(wal, (struct nori_position){3, 0}, NULL),
                     NORI_OK);
    close_log(wal);
    flip_bit(dir, segment_name(3), 300, 1);
    assert_int_equal(nori_log_repair(dir, &options, NULL, NULL, NULL), NORI_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t len = 0;
        uint8_t *data = load_file(dir, files[i], &len);

        assert_int_equal(len, 4);
        assert_memory_equal(data, "mine", 4);
        free(data);
    }
    assert_true(has_file(dir, "lost+found") && has_file(dir, "pipe"));
}

/* ---- bytes ---- */

static void begin_segment(struct bytes *file)
{
    put_header(file, &(struct raw_header){.base_sequence = 1,
                                          .log_id = LOG_ID,
                                          .salt = SALT,
                                          .max_record = 65536,
                                          .prev_id = RAW_NO_SEGMENT});
    (void)put_plain(file, "one", "1", SALT);
}

static void store_segment(const char *dir, struct bytes *file)
{
    remove_dir(dir);
    make_dir(dir);
    store_file(dir, segment_name(0), file->data, file->len);
    free_bytes(file);
}

/* Lengths that no memory holds, and whose sums come round: no record, whoever reads it. Behind them
 * a mark says that they were durable: damage (D6), told at its place. */
static void hostile_lengths_are_damage_and_nothing_more(void **state)
{
    static const struct {
        uint8_t bytes[24];
        size_t len;
    } heads[] = {
#define ONES 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
        {{ONES, 0x01, 0x01, 0x00}, 12},            /* key 2^64 - 1, value 1 */
        {{0x01, ONES, 0x01, 0x00}, 12},            /* key 1, value 2^64 - 1 */
        {{ONES, 0x01, ONES, 0x01, 0x00}, 21},      /* both: together 2^64 - 2 */
        {{0xf0, ONES, 0x01, 0x20, 0x00}, 13},      /* more than 64 bits */
        {{ONES, ONES}, 18},                        /* no end */
        {{0x80, 0x80, 0x80, 0x80, 0x04, 0, 0}, 7}, /* key 1 GiB */
        {{0x01, 0xff, 0xff, 0xff, 0x1f, 0x00}, 6}, /* value 64 MiB - 1, of a short file */
    };
    const char *dir = dir_of(state);

    make_dir(dir);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct nori_wal_config config = config_of(dir);
        struct nori_error error = NORI_ERROR_INIT;
        struct nori_record record;
        struct snapshot *before;
        nori_reader *reader;
        struct bytes file = {0};
        size_t offset;
        char cause[64];
        int rc;

        begin_segment(&file);
        offset = file.len;
        put_bytes(&file, heads[i].bytes, heads[i].len);
        put_bytes(&file, "key and value, if they were any", 31);
        (void)put_mark(&file, SALT, LOG_ID, 3, file.len);
        store_segment(dir, &file);
        before = take_snapshot(dir);
        (void)snprintf(cause, sizeof cause, "000000.wal at %zu", offset);
        rc = try_open(&config, NULL, &error);
        expect_named(&error, rc, NORI_E_CORRUPT, cause);
        assert_position(error.position, 0, offset);
        rc = nori_log_verify(dir, NULL, NULL, NULL, &error);
        expect_named(&error, rc, NORI_E_CORRUPT, cause);
        reader = open_reader(dir, OLDEST);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_CORRUPT);
        assert_int_equal(nori_reader_last_error(reader, &error), NORI_OK);
        assert_position(error.position, 0, offset);
        nori_reader_close(reader);
        expect_unchanged(dir, before);
        free_snapshot(before);
    }
}

/* Not written so by anybody, but what they say is clear. */
static void lengths_written_longer_than_needed_are_read(void **state)
{
    const char *dir = dir_of(state);
    struct nori_record record;
    nori_reader *reader;
    struct bytes file = {0};

    make_dir(dir);
    put_bytes(&file,
              "\x81\x80\x00\x82\x00\x00"
              "kvv",
              9); /* key 1, value 2 */
    put_number(&file, slow_crc32c(file.data, file.len), 4);
    store_segment(dir, &file);
    reader = open_reader(dir, OLDEST);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    assert_int_equal(record.key_len, 1);
    assert_int_equal(record.value_len, 2);
    assert_memory_equal(record.value, "vv", 2);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
    nori_reader_close(reader);
    assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
}

/* Values that claim to be larger than any may be, or than they are, under good checksums. The log
 * is sound; who asks for the value is told, with the place. D11: what is behind a value that is no
 * value is read on; one that is too large is told again. */
static void a_decompression_bomb_is_refused_by_its_claim(void **state)
{
    /* clang-format off */
    static const struct {
        uint8_t flags;
        int code;
        uint8_t value[24];
        size_t len;
    } bombs[] = {
        {RAW_LZ4, NORI_E_TOOBIG, {0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x10, 't'}, 8},
        {RAW_LZ4, NORI_E_CORRUPT, {0x05, 0x10, 't'}, 3},
        {RAW_LZ4, NORI_E_TOOBIG, {ONES, 0x01, 0x10, 't'}, 12},
        {RAW_ZSTD, NORI_E_TOOBIG, {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0,
                                   0x09, 0, 0, 't'}, 17},
        {RAW_ZSTD, NORI_E_CORRUPT, {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x09, 0, 0, 't'}, 10},
    };
    /* clang-format on */
    const char *dir = dir_of(state);

    make_dir(dir);
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct nori_error error = NORI_ERROR_INIT;
        struct nori_record record;
        struct bytes file = {0};
        nori_reader *reader;
        size_t offset;
        int rc;

        begin_segment(&file);
        offset = put_record(&file,
                            &(struct raw_record){.key = "bomb",
                                                 .key_len = 4,
                                                 .value = bombs[i].value,
                                                 .value_len = bombs[i].len,
                                                 .flags = bombs[i].flags},
                            SALT);
        (void)put_plain(&file, "behind", "it", SALT);
        store_segment(dir, &file);
        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
        close_log(open_dir(dir));
        reader = open_reader(dir, OLDEST);
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
        for (int again = 0; again < 2; again++) {
            rc = nori_reader_next(reader, &record, NULL);
            if (again && bombs[i].code == NORI_E_CORRUPT && rc != NORI_E_UNSUPPORTED) {
                assert_int_equal(rc, NORI_OK);
                assert_memory_equal(record.key, "behind", 6);
                assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
                continue;
            }
            assert_int_equal(nori_reader_last_error(reader, &error), NORI_OK);
            if (rc == NORI_E_UNSUPPORTED) /* a build without it */
                continue;
            expect_named(&error, rc, bombs[i].code, "segment 0 at ");
            assert_position(error.position, 0, offset);
        }
        nori_reader_close(reader);
    }
}

/* ---- control ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* In its place and under its magic, the rest random: all of it, all but what says whose it is, or a
 * few words. No record is lost for it, none is invented. */
static void garbage_in_control_costs_no_record(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    uint64_t seed = 88172645463325252u;

    make_log(dir);
    before = take_snapshot(dir);
    for (int round = 0; round < 150; round++) {
        struct nori_recovery_info info;
        size_t len = 0;
        uint8_t *data;

        put_snapshot_back(dir, before);
        data = load_file(dir, "control", &len);
        for (size_t at = round % 3 == 0 ? 8 : 40; at < len; at += round % 3 == 2 ? 97 : 1)
            data[at] = (uint8_t)next_random(&seed);
        store_file(dir, "control", data, len);
        free(data);
        expect_log(dir, 1, (uint64_t)LIVES * EACH);
        assert_int_equal(nori_log_verify(dir, NULL, NULL, NULL, NULL), NORI_OK);
        config.verify = (uint32_t)round % 2;
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, LIVES * EACH);
        expect_log(dir, 1, (uint64_t)LIVES * EACH);
    }
    free_snapshot(before);
}

static void a_control_of_an_older_moment_costs_no_record(void **state)
{
    const char *dir = dir_of(state);
    uint8_t *moments[LIVES];
    size_t len = 0;

    for (uint64_t life = 0; life < LIVES; life++) {
        nori_wal *wal = open_dir(dir);

        append_range(wal, 1 + life * EACH, EACH, 100);
        moments[life] = load_file(dir, "control", &len); /* of an open log */
        close_log(wal);
    }
    for (uint64_t life = 0; life < LIVES; life++) {
        store_file(dir, "control", moments[life], len);
        expect_log(dir, 1, (uint64_t)LIVES * EACH);
        close_log(open_dir(dir));
        expect_log(dir, 1, (uint64_t)LIVES * EACH);
        assert_false(has_file(dir, "quarantine"));
        free(moments[life]);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_bad_field_of_the_configuration_is_named),
        IN_FOLDER(fields_of_a_later_version_are_refused_if_set),
        IN_FOLDER(a_bad_field_of_a_reader_or_of_options_is_named),
        IN_FOLDER(a_bad_field_of_a_record_is_named),
        IN_FOLDER(null_is_refused_where_it_is_not_allowed),
        IN_FOLDER(what_is_no_file_in_place_of_a_segment_is_refused),
        IN_FOLDER(findings_name_the_file_that_they_are_about),
        IN_FOLDER(a_repair_without_a_quarantine_changes_nothing),
        IN_FOLDER(a_dry_run_names_the_first_damage),
        IN_FOLDER(a_segment_of_unknown_numbers_is_not_given_wrong_ones),
        IN_FOLDER(a_file_in_place_of_the_folder_is_named),
        IN_FOLDER(a_locked_log_is_named_and_unharmed),
        IN_FOLDER(a_folder_that_may_not_be_written_is_only_read),
        IN_FOLDER(without_its_newest_segment_a_log_is_as_it_was_before),
        IN_FOLDER(names_that_are_not_ours_are_left_alone),
        IN_FOLDER(hostile_lengths_are_damage_and_nothing_more),
        IN_FOLDER(lengths_written_longer_than_needed_are_read),
        IN_FOLDER(a_decompression_bomb_is_refused_by_its_claim),
        IN_FOLDER(garbage_in_control_costs_no_record),
        IN_FOLDER(a_control_of_an_older_moment_costs_no_record),
    };

    return cmocka_run_group_tests_name("bad_input", tests, NULL, NULL);
}
