/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_poor_seam.c: a seam that offers no more than it must, or refuses what it offers.
 *
 * What nori/vfs.h calls optional may be NULL, or lie beyond the size of a table. A reader may be of
 * another user, who must not write. The log is slower then, not worse (D1, D2, D3, D11); or it is
 * refused, and nothing has changed.
 */
#include "../api/helpers.h"
#include "../support/between.h"

#include <errno.h>
#include <nori/sim.h>

#define DIR "wal"

/* ---- the seam ---- */

enum lack {
    LACKS_NOTHING,
    IS_NULL,   /* what is optional */
    IS_BEYOND, /* the size of its table */
};

static struct {
    const struct nori_vfs *under;
    const struct nori_folder_ops *folder_ops; /* of the seam below */
    const struct nori_file_ops *file_ops;
    enum lack lack;
    const char *unreadable; /* a folder that may not be looked into, or NULL */
    const char *unwritable; /* a file that may be read only, or NULL */
    bool maps_to_read;      /* `control` cannot be mapped where it is open for writing */
    int write_rc;           /* nor written then, if it is below 0 */
    int remove_rc;          /* of what the folder has: below 0, nothing can be removed */
    int refusal;            /* what opening it for writing gives */
    bool is_unreadable;     /* and opening it at all */
    int forget_rc;
    uint64_t generation;  /* of the process */
    uint64_t opens_until; /* then a file is not there, once; 0: all are */
    bool is_rename;       /* only `spare` may be gone for a moment */
} seam;

static struct nori_vfs vfs;
static struct nori_folder_ops folder_ops;
static struct nori_file_ops file_ops;
static struct nori_file_ops unmapped_ops;

static int refuse_map(struct nori_file *file, size_t len, void **ret_data)
{
    (void)file;
    (void)len;
    (void)ret_data;
    return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, 95);
}

static int refuse_write(struct nori_file *file, const struct nori_span *spans, size_t count,
                        uint64_t offset)
{
    (void)file;
    (void)spans;
    (void)count;
    (void)offset;
    return seam.write_rc;
}

static int remove_name(struct nori_folder *folder, const char *name)
{
    return seam.remove_rc < 0 ? seam.remove_rc : seam.folder_ops->remove(folder, name);
}

static int open_file(struct nori_folder *folder, const char *name, uint32_t flags, uint32_t mode,
                     struct nori_file **ret_file)
{
    int rc;

    if (seam.unwritable && strcmp(name, seam.unwritable) == 0 &&
        (seam.is_unreadable || (flags & NORI_FILE_WRITE)))
        return seam.refusal;
    if (seam.opens_until > 0 && !(flags & NORI_FILE_WRITE) &&
        (!seam.is_rename || strcmp(name, "spare") == 0) && --seam.opens_until == 0)
        return NORI_VFS_ERROR(NORI_E_NOTFOUND, 2);
    rc = seam.folder_ops->open_file(folder, name, flags, mode, ret_file);
    if (rc < 0)
        return rc;
    seam.file_ops = (*ret_file)->ops;
    file_ops = *seam.file_ops;
    if (seam.lack != LACKS_NOTHING)
        file_ops.map = NULL;
    if (seam.lack == IS_NULL)
        file_ops.detach = NULL;
    if (seam.lack == IS_BEYOND)
        file_ops.size = offsetof(struct nori_file_ops, detach);
    unmapped_ops = file_ops;
    unmapped_ops.map = refuse_map;
    if (seam.write_rc < 0)
        unmapped_ops.write = refuse_write;
    (*ret_file)->ops = &file_ops;
    if (seam.maps_to_read && strcmp(name, "control") == 0 && (flags & NORI_FILE_WRITE))
        (*ret_file)->ops = &unmapped_ops;
    return 0;
}

static int forget(struct nori_folder *folder, const char *name, uint64_t offset)
{
    (void)folder;
    (void)name;
    (void)offset;
    return seam.forget_rc;
}

static int take_folder(int rc, struct nori_folder *folder)
{
    if (rc < 0)
        return rc;
    if (folder->ops != &folder_ops)
        seam.folder_ops = folder->ops;
    folder->ops = &folder_ops;
    return rc;
}

static int open_folder(struct nori_folder *folder, const char *name, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder)
{
    int rc;

    if (seam.unreadable && strcmp(name, seam.unreadable) == 0)
        return NORI_VFS_ERROR(NORI_E_READONLY, 13);
    rc = seam.folder_ops->open_folder(folder, name, flags, mode, ret_folder);
    return take_folder(rc, rc < 0 ? NULL : *ret_folder);
}

static int open_path(void *context, const char *path, uint32_t flags, uint32_t mode,
                     struct nori_folder **ret_folder)
{
    int rc = seam.under->open_folder(context, path, flags, mode, ret_folder);

    if (rc < 0)
        return rc;
    folder_ops = *(*ret_folder)->ops;
    folder_ops.open_file = open_file;
    folder_ops.open_folder = open_folder;
    folder_ops.remove = remove_name;
    folder_ops.size = sizeof folder_ops;
    folder_ops.forget = forget;
    if (seam.lack == IS_NULL)
        folder_ops.forget = NULL;
    if (seam.lack == IS_BEYOND)
        folder_ops.size = offsetof(struct nori_folder_ops, forget);
    return take_folder(rc, *ret_folder);
}

static uint64_t process_generation(void *context)
{
    return seam.under->process_generation(context) + seam.generation;
}

static const struct nori_vfs *seam_over(nori_sim *sim, enum lack lack)
{
    memset(&seam, 0, sizeof seam);
    seam.under = nori_sim_vfs(sim);
    seam.lack = lack;
    vfs = *seam.under;
    vfs.open_folder = open_path;
    vfs.process_generation = process_generation;
    if (lack == IS_NULL)
        vfs.process_id = NULL;
    if (lack == IS_BEYOND)
        vfs.size = offsetof(struct nori_vfs, process_id);
    return &vfs;
}

static struct nori_wal_config config_over(nori_sim *sim, enum lack lack)
{
    struct nori_wal_config config = config_on(sim);

    config.vfs = seam_over(sim, lack);
    config.allocator = nori_sim_allocator(sim);
    return config;
}

static nori_reader *reader_on(nori_sim *sim)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;

    config.vfs = &vfs;
    config.allocator = nori_sim_allocator(sim);
    assert_int_equal(nori_reader_open_with(DIR, &config, OLDEST, &reader, NULL), NORI_OK);
    return reader;
}

/* What a machine shows whose seam lacks nothing. */
static void expect_records(nori_sim *sim, uint64_t count)
{
    nori_reader *reader;

    (void)seam_over(sim, LACKS_NOTHING);
    reader = reader_on(sim);
    expect_range(reader, 1, count, 1);
    nori_reader_close(reader);
}

/* ---- what is optional ---- */

#define COUNT     3000 /* some segments of 1 MiB */
#define VALUE_LEN 1000

static void live_without(enum lack lack)
{
    nori_sim *sim = nori_sim_new(NULL), *killed, *cut;
    struct nori_wal_config config = config_over(sim, lack);
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    nori_wal *wal = open_log(&config);
    nori_reader *inside = NULL, *outside;

    append_range(wal, 1, COUNT, VALUE_LEN);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &inside), NORI_OK);
    outside = reader_on(sim);
    expect_range(inside, 1, COUNT, 1);
    expect_range(outside, 1, COUNT, 1);
    assert_int_equal(nori_reader_wait(outside, 20), NORI_E_TIMEOUT);
    append_range(wal, COUNT + 1, 5, VALUE_LEN);
    assert_int_equal(nori_reader_wait(outside, 20), NORI_OK);
    expect_range(inside, COUNT + 1, 5, COUNT + 1);
    assert_int_equal(nori_wal_stats(wal, &stats), NORI_OK);
    assert_int_equal(stats.process_id, 0); /* nobody tells it */
    assert_int_equal(stats.appends, COUNT + 5);
    nori_sim_crash_kill(sim, &killed);
    assert_int_equal(nori_sim_power_cut(sim, 0, &cut), 0);
    nori_reader_close(inside);
    nori_reader_close(outside);
    close_log(wal);
    expect_records(killed, COUNT + 5); /* D2 */
    expect_records(cut, COUNT);        /* D3 */
    config = config_over(killed, lack);
    wal = open_log(&config);
    append_range(wal, COUNT + 6, 1, VALUE_LEN);
    close_log(wal);
    expect_records(killed, COUNT + 6);
    nori_sim_free(cut);
    nori_sim_free(killed);
    nori_sim_free(sim);
}

static void a_seam_without_what_is_optional_costs_no_record(void **state)
{
    (void)state;
    live_without(IS_NULL);
    live_without(IS_BEYOND);
}

struct meeting {
    nori_wal *wal;
    uint64_t calls, nth; /* of the reader; nth 0: nothing happens */
};

static void append_at_nth(void *context)
{
    struct meeting *meeting = context;

    if (++meeting->calls != meeting->nth)
        return;
    append_range(meeting->wal, 21, 20, VALUE_LEN);
    assert_int_equal(nori_wal_sync(meeting->wal), NORI_OK);
    append_range(meeting->wal, 41, 1, VALUE_LEN); /* behind a mark */
    assert_int_equal(nori_wal_sync(meeting->wal), NORI_OK);
}

/* Read 20 records, and look for more; at the nth call of that look there are. False: it makes fewer
 * calls. */
static bool meet_at(uint64_t nth)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, IS_NULL);
    struct meeting meeting = {.wal = open_log(&config)};
    const struct between between = {.before_call = append_at_nth, .context = &meeting};
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    int rc;

    append_range(meeting.wal, 1, 20, 100);
    reading.vfs = between_begin(&vfs, &between);
    reading.allocator = nori_sim_allocator(sim);
    assert_int_equal(nori_reader_open_with(DIR, &reading, OLDEST, &reader, NULL), NORI_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    meeting.calls = 0;
    meeting.nth = nth;
    rc = nori_reader_next(reader, &record, NULL);
    meeting.nth = 0;
    if (rc == NORI_OK)
        assert_int_equal(record.sequence, 21);
    else
        assert_int_equal(rc, NORI_END);
    if (meeting.calls >= nth)
        expect_range(reader, rc == NORI_OK ? 22 : 21, rc == NORI_OK ? 20 : 21,
                     rc == NORI_OK ? 22 : 21);
    nori_reader_close(reader);
    close_log(meeting.wal);
    nori_sim_free(sim);
    return meeting.calls >= nth;
}

/* D11: nothing tells how far the writer is. What was not there when the bytes were looked at may be
 * durable when the marks behind them are. */
static void records_that_come_while_a_reader_looks_for_them_are_no_damage(void **state)
{
    uint64_t nth = 1;

    (void)state;
    while (meet_at(nth))
        nth++;
    assert_true(nth > 3);
}

/* D11: a folder in which there is nothing but a writer. */
static void without_mappings_a_reader_may_come_before_the_first_record(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, IS_NULL);
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_log(&config);
    nori_reader *reader, *none = NULL;

    (void)state;
    reader = reader_on(sim);
    expect_range(reader, 0, 0, 0);
    append_range(wal, 1, 20, 100);
    expect_range(reader, 1, 20, 1);
    nori_reader_close(reader);
    close_log(wal);
    nori_sim_free(sim);
    sim = nori_sim_new(NULL);
    config = config_over(sim, IS_NULL);
    wal = open_log(&config);
    close_log(wal);
    reading.vfs = &vfs;
    assert_int_equal(nori_reader_open_with(DIR, &reading, OLDEST, &none, NULL), NORI_E_NOTFOUND);
    nori_sim_free(sim);
}

static uint64_t records_on(nori_sim *sim)
{
    nori_reader *reader;
    struct nori_record record;
    uint64_t count = 0;
    int rc;

    (void)seam_over(sim, LACKS_NOTHING);
    reader = reader_on(sim);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK)
        count++;
    assert_int_equal(rc, NORI_END);
    nori_reader_close(reader);
    return count;
}

/* Small and large records, the latter several times the ring, one write of which fails: how many
 * were taken, and at most how many are there. Returns whether the failure was reached. */
static bool write_and_fail(uint64_t nth, int code)
{
    static uint8_t value[200000];
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(NULL), *killed;
    struct nori_wal_config config = config_over(sim, IS_NULL);
    uint64_t taken = 0, at_most = 0;
    bool was_reached;
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, 1, 100); /* so that there is a segment */
    options.fail_mask = NORI_SIM_WRITE | NORI_SIM_SYNC;
    options.fail_nth = nth;
    options.fail_code = code;
    nori_sim_set_options(sim, &options);
    for (size_t i = 0; i < 12; i++) {
        struct nori_record record = nori_record_put(value, i % 4 == 2 ? sizeof value / 2 : 10,
                                                    value, i % 3 == 2 ? sizeof value : 500);
        int rc = nori_wal_append(wal, &record, NULL);

        taken += rc == NORI_OK;
        at_most += rc != NORI_E_NOSPACE;
    }
    if (nori_wal_close(wal) == NORI_OK)
        assert_int_equal(at_most, taken);
    was_reached = nori_sim_did_fail(sim);
    nori_sim_crash_kill(sim, &killed);
    assert_in_range(records_on(killed), 1 + taken, 1 + at_most);
    nori_sim_free(killed);
    nori_sim_free(sim);
    return was_reached;
}

/* D2, D9: an append that returned is there; one that was refused for want of space is not. */
static void without_mappings_a_write_that_fails_costs_only_what_was_refused(void **state)
{
    (void)state;
    for (uint64_t nth = 1; write_and_fail(nth, NORI_E_NOSPACE); nth++)
        ;
    for (uint64_t nth = 1; write_and_fail(nth, NORI_E_IO); nth++)
        ;
}

/* Advice is kept in `control`, which is mapped: where that cannot be there is none to go by, and
 * who gives some is told. */
static void without_mappings_there_is_no_advice_and_a_log_all_the_same(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, IS_NULL);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal;

    (void)state;
    options.vfs = &vfs;
    advice.preallocate = NORI_PREALLOCATE_ZERO;
    config.preallocate = NORI_PREALLOCATE_AUTO;
    config.fsync_policy = NORI_FSYNC_ALWAYS;
    close_log(open_log(&config)); /* then there is a folder */
    assert_int_equal(nori_log_advise(DIR, &options, &advice, &error), NORI_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "control"));
    wal = open_log(&config);
    append_range(wal, 1, 20, 100);
    close_log(wal);
    assert_int_equal(nori_log_advise(DIR, &options, &advice, &error), NORI_E_NOTFOUND);
    expect_records(sim, 20);
    nori_sim_free(sim);
}

/* D2: records that only the ring has are not given up because it cannot be mapped now. */
static void a_ring_is_not_given_up_where_nothing_can_be_mapped(void **state)
{
    nori_sim *staged = make_staged_log(20);
    struct nori_wal_config config = config_over(staged, IS_NULL);

    (void)state;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_UNSUPPORTED);
    expect_records(staged, 20);
    nori_sim_free(staged);
}

/* D2: mapped to be read, it gives what it has to the segments, and a control in memory follows it:
 * a log is not refused for ever because it lies on another file system now. */
static void a_ring_that_can_only_be_read_is_emptied_and_given_up(void **state)
{
    nori_sim *staged = make_staged_log(20);
    struct nori_wal_config config = config_over(staged, LACKS_NOTHING);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    nori_wal *wal = NULL;

    (void)state;
    seam.maps_to_read = true;
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 20);
    assert_true(info.bytes_from_staging > 0);
    append_range(wal, 21, 1, 100);
    close_log(wal);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 21);
    assert_int_equal(info.bytes_from_staging, 0);
    expect_records(staged, 21);
    nori_sim_free(staged);
}

/* ---- files that must not be written ---- */

/* A user who may not, and a file system that cannot. */
static const int refusals[] = {NORI_VFS_ERROR(NORI_E_READONLY, EACCES),
                               NORI_VFS_ERROR(NORI_E_UNSUPPORTED, EOPNOTSUPP)};
#define REFUSALS            (sizeof refusals / sizeof refusals[0])
#define UNSUPPORTED_CONTROL 2 /* the second of them, for the first of the two files */

struct waiting {
    nori_reader *reader;
    nori_wal *wal;
};

static void append_later(void *context)
{
    struct waiting *waiting = context;

    vfs.word_wait(vfs.context, &(uint32_t){0}, 0, 50000000);
    append_range(waiting->wal, 21, 1, 100);
}

/* D11: who may not write to `control` cannot tell the writer that it waits, and sees all the same
 * what comes. */
static void wait_where_writing_is_refused(int refusal)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, LACKS_NOTHING);
    struct waiting waiting = {.wal = open_log(&config)};
    struct nori_thread *thread = NULL;

    append_range(waiting.wal, 1, 20, 100);
    seam.unwritable = "control";
    seam.refusal = refusal;
    waiting.reader = reader_on(sim);
    expect_range(waiting.reader, 1, 20, 1);
    assert_int_equal(nori_reader_wait(waiting.reader, 20), NORI_E_TIMEOUT);
    assert_true(vfs.thread_start(vfs.context, "later", append_later, &waiting, &thread) >= 0);
    assert_int_equal(nori_reader_wait(waiting.reader, -1), NORI_OK);
    vfs.thread_join(vfs.context, thread);
    expect_range(waiting.reader, 21, 1, 21);
    append_range(waiting.wal, 22, 1, 100);
    assert_int_equal(nori_reader_wait(waiting.reader, INT64_MAX), NORI_OK);
    expect_range(waiting.reader, 22, 1, 22);
    nori_reader_close(waiting.reader);
    close_log(waiting.wal);
    nori_sim_free(sim);
}

static void a_reader_that_must_not_write_waits_and_sees_what_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFUSALS; i++)
        wait_where_writing_is_refused(refusals[i]);
}

/* Twenty records, and a seam over them that lacks nothing yet. */
static nori_sim *make_closed_log(struct nori_wal_config *ret_config)
{
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal;

    *ret_config = config_over(sim, LACKS_NOTHING);
    wal = open_log(ret_config);
    append_range(wal, 1, 20, 100);
    close_log(wal);
    return sim;
}

/* D11: what the segments have is shown without it. */
static void a_reader_that_cannot_open_control_goes_by_the_segments(void **state)
{
    struct nori_wal_config config;
    nori_sim *sim = make_closed_log(&config);

    (void)state;
    for (size_t i = 0; i < REFUSALS; i++) {
        nori_reader *reader;

        seam.unwritable = "control";
        seam.refusal = refusals[i];
        seam.is_unreadable = true;
        reader = reader_on(sim);
        expect_range(reader, 1, 20, 1);
        nori_reader_close(reader);
    }
    nori_sim_free(sim);
}

/* A machine whose writer was killed when its newest segment had no name yet, but lay in `spare`. */
static nori_sim *make_log_in_spare(uint64_t *ret_count)
{
    nori_sim *sim = nori_sim_new(NULL), *killed;
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);

    *ret_count = 0;
    while (append_numbered(wal, ++*ret_count, NUMBERED_VALUE_MAX).segment_id == 0)
        continue;
    nori_sim_crash_kill(sim, &killed);
    close_log(wal);
    nori_sim_free(sim);
    return killed;
}

/* D2: a writer that may not touch `control` would make it anew, and what only that has is lost. */
static void a_writer_that_must_not_write_is_refused_and_loses_nothing(void **state)
{
    static const char *const names[] = {"control", "spare"};

    (void)state;
    for (size_t i = 0; i < 2 * REFUSALS; i++) {
        uint64_t count = 20;
        nori_sim *staged = i % 2 ? make_log_in_spare(&count) : make_staged_log(count);
        struct nori_wal_config config = config_over(staged, LACKS_NOTHING);
        struct nori_error error = NORI_ERROR_INIT;

        seam.unwritable = names[i % 2];
        seam.refusal = refusals[i / 2];
        if (i == UNSUPPORTED_CONTROL) {
            /* What its ring has can be read, and goes to the segments. */
            assert_int_equal(try_open(&config, NULL, &error), NORI_OK);
        } else {
            assert_int_equal(try_open(&config, NULL, &error), NORI_VFS_CODE(seam.refusal));
            assert_int_equal(error.os_errno, NORI_VFS_ERRNO(seam.refusal));
        }
        expect_records(staged, count);
        nori_sim_free(staged);
    }
}

/* D7: the ids of evidence are not used twice, so who cannot see them does not write; and is told
 * what to do, for it was a repair by another user that made the folder. */
static void a_quarantine_that_must_not_be_read_says_what_to_do(void **state)
{
    nori_sim *staged = make_staged_log(20);
    struct nori_wal_config config = config_over(staged, LACKS_NOTHING);
    struct nori_error error = NORI_ERROR_INIT;

    (void)state;
    seam.unreadable = "quarantine";
    assert_int_equal(try_open(&config, NULL, &error), NORI_E_READONLY);
    assert_int_equal(error.os_errno, 13);
    assert_non_null(strstr(error.message, "quarantine"));
    assert_non_null(strstr(error.message, "let this user read"));
    expect_records(staged, 20);
    nori_sim_free(staged);
}

/* D11: no writer stores to a control that was replaced. Who maps it looks for the other. */
static void follow_where_control_is_given_up(int write_rc)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, LACKS_NOTHING);
    nori_wal *wal = open_log(&config);
    nori_reader *reader;

    append_range(wal, 1, 20, 100);
    reader = reader_on(sim);
    expect_range(reader, 1, 20, 1);
    close_log(wal);
    seam.maps_to_read = true;
    seam.write_rc = write_rc;
    wal = open_log(&config);
    append_range(wal, 21, 1, 100);
    assert_int_equal(nori_reader_wait(reader, 10000), NORI_OK);
    expect_range(reader, 21, 1, 21);
    append_range(wal, 22, 1, 100);
    expect_range(reader, 22, 1, 22);
    nori_reader_close(reader);
    close_log(wal);
    expect_records(sim, 22);
    nori_sim_free(sim);
}

static void a_follower_sees_what_comes_when_its_control_is_given_up(void **state)
{
    (void)state;
    follow_where_control_is_given_up(0);
    follow_where_control_is_given_up(NORI_VFS_ERROR(NORI_E_NOSPACE, 28));
}

/* D11: as long as it has its name readers go by it. */
static void a_control_that_can_be_neither_stored_to_nor_removed_is_waited_for(void **state)
{
    struct nori_wal_config config;
    nori_sim *sim = make_closed_log(&config);

    (void)state;
    seam.maps_to_read = true;
    seam.write_rc = NORI_VFS_ERROR(NORI_E_NOSPACE, 28);
    seam.remove_rc = NORI_VFS_ERROR(NORI_E_READONLY, 13);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_NOSPACE);
    seam.remove_rc = 0;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    expect_records(sim, 20);
    nori_sim_free(sim);
}

/* ---- letting go of what only memory has (D5) ---- */

static void open_where_forget_gives(int rc, int expected)
{
    nori_sim *sim = nori_sim_new(NULL), *killed;
    struct nori_wal_config config = config_over(sim, LACKS_NOTHING);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, 2000, VALUE_LEN);
    nori_sim_crash_kill(sim, &killed);
    close_log(wal);
    config = config_over(killed, LACKS_NOTHING);
    seam.forget_rc = rc;
    assert_int_equal(try_open(&config, NULL, &error), expected);
    if (expected < 0)
        assert_non_null(strstr(error.message, ".wal"));
    expect_records(killed, 2000);
    nori_sim_free(killed);
    nori_sim_free(sim);
}

/* What cannot be opened is told by who reads it. What cannot be synced ends the open: the next one
 * finds out what is there. */
static void a_tail_that_cannot_be_let_go_of_is_told_and_kept(void **state)
{
    (void)state;
    open_where_forget_gives(0, NORI_OK);
    open_where_forget_gives(NORI_VFS_ERROR(NORI_E_NOTFOUND, 2), NORI_OK);
    open_where_forget_gives(NORI_VFS_ERROR(NORI_E_READONLY, 13), NORI_OK);
    open_where_forget_gives(NORI_VFS_ERROR(NORI_E_INVALID, 40), NORI_OK);
    open_where_forget_gives(NORI_VFS_ERROR(NORI_E_IO, 5), NORI_E_IO);
}

/* ---- files that are renamed while somebody looks ---- */

static int note_damage(void *context, const struct nori_log_item *item)
{
    unsigned *damages = context;

    *damages += item->kind == NORI_LOG_FINDING && item->severity >= NORI_SEVERITY_ERROR;
    return 0;
}

/* D6, D11: beside a live writer a file may be gone between a look at the folder and its open: it
 * was dropped, or `spare` has got its name. That is no damage, and no end of the log. */
static void a_file_that_is_gone_for_a_moment_is_no_damage(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, LACKS_NOTHING);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    nori_wal *wal = open_log(&config);
    bool was_reached = true;

    (void)state;
    append_range(wal, 1, COUNT, VALUE_LEN);
    options.vfs = &vfs;
    options.allocator = nori_sim_allocator(sim);
    for (uint64_t nth = 1; was_reached; nth++) {
        unsigned damages = 0;
        nori_reader *reader;

        seam.opens_until = nth;
        assert_int_equal(nori_log_verify(DIR, &options, note_damage, &damages, NULL), NORI_OK);
        assert_int_equal(damages, 0);
        was_reached = seam.opens_until == 0;
        seam.opens_until = nth;
        assert_int_equal(nori_log_stat(DIR, &options, note_damage, &damages, NULL), NORI_OK);
        assert_int_equal(damages, 0);
        seam.opens_until = nth;
        seam.is_rename = true;
        reader = reader_on(sim);
        expect_range(reader, 1, COUNT, 1);
        nori_reader_close(reader);
        seam.is_rename = false;
    }
    seam.opens_until = 0;
    close_log(wal);
    nori_sim_free(sim);
}

/* ---- fork ---- */

/* D10: two processes would append with one handle, each over what the other has. */
static void a_child_can_use_nothing_and_its_parent_goes_on(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(sim, LACKS_NOTHING);
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    struct nori_position position;
    nori_wal *wal = open_log(&config);
    nori_reader *reader = reader_on(sim);

    (void)state;
    append_range(wal, 1, 5, 100);
    seam.generation++;
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_sync(wal), NORI_E_INVALID);
    assert_int_equal(nori_wal_position(wal, &position), NORI_E_INVALID);
    assert_int_equal(nori_wal_close(wal), NORI_E_INVALID);
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_E_INVALID);
    assert_int_equal(nori_reader_wait(reader, 0), NORI_E_INVALID);
    nori_reader_close(reader); /* no more than that */
    seam.generation--;
    append_range(wal, 6, 5, 100);
    expect_range(reader, 1, 10, 1);
    nori_reader_close(reader);
    close_log(wal);
    nori_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seam_without_what_is_optional_costs_no_record),
        cmocka_unit_test(records_that_come_while_a_reader_looks_for_them_are_no_damage),
        cmocka_unit_test(without_mappings_a_reader_may_come_before_the_first_record),
        cmocka_unit_test(without_mappings_there_is_no_advice_and_a_log_all_the_same),
        cmocka_unit_test(without_mappings_a_write_that_fails_costs_only_what_was_refused),
        cmocka_unit_test(a_ring_is_not_given_up_where_nothing_can_be_mapped),
        cmocka_unit_test(a_ring_that_can_only_be_read_is_emptied_and_given_up),
        cmocka_unit_test(a_reader_that_must_not_write_waits_and_sees_what_comes),
        cmocka_unit_test(a_reader_that_cannot_open_control_goes_by_the_segments),
        cmocka_unit_test(a_writer_that_must_not_write_is_refused_and_loses_nothing),
        cmocka_unit_test(a_quarantine_that_must_not_be_read_says_what_to_do),
        cmocka_unit_test(a_follower_sees_what_comes_when_its_control_is_given_up),
        cmocka_unit_test(a_control_that_can_be_neither_stored_to_nor_removed_is_waited_for),
        cmocka_unit_test(a_tail_that_cannot_be_let_go_of_is_told_and_kept),
        cmocka_unit_test(a_file_that_is_gone_for_a_moment_is_no_damage),
        cmocka_unit_test(a_child_can_use_nothing_and_its_parent_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
