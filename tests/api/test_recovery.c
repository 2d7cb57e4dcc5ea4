/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_recovery.c: what opening makes of what a killed process or a damaged disk left behind (D1,
 * D2, D5, D6).
 *
 * A log is made by a child that is killed, or that closes it; then its files are cut or changed,
 * one way after the other, each time from the same bytes. Files are put back in place, so that
 * `control` is believed unless a test is about that.
 */
#define _GNU_SOURCE 1

#include "helpers.h"

#include <nori/observe.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a log left by a killed process ---- */

#define SYNCED 20 /* records that were durable */
#define TAIL   6  /* appends behind them that were not: the third is a batch of three */
#define COUNT  (SYNCED + TAIL + 2)

/* What the child tells about its log before it dies. */
struct left {
    const char *dir;
    int pipe[2];
    bool is_flushed;                     /* all of it is in the segment */
    struct nori_position synced;         /* the end when it was made durable */
    struct nori_position ends[TAIL + 1]; /* after as many unsynced appends */
    uint64_t counts[TAIL + 1];           /* records by then */
};

static int append_and_die(void *context)
{
    struct left *left = context;
    struct nori_wal_config config = config_of(left->dir);
    nori_wal *wal = NULL;
    uint64_t number = 1;

    config.preallocate = NORI_PREALLOCATE_OFF; /* a small file to be copied often */
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint64_t i = 0; i < SYNCED + TAIL; i++) {
        struct numbered memories[3];
        struct nori_record records[3];
        size_t count = i == SYNCED + 2 ? 3 : 1;

        for (size_t j = 0; j < count; j++)
            records[j] = make_numbered(&memories[j], number++, 10 + i % 20);
        CHILD_CHECK(nori_wal_append_batch(wal, records, count, NULL) == NORI_OK);
        if (i == SYNCED - 1) {
            CHILD_CHECK(nori_wal_sync(wal) == NORI_OK);
            CHILD_CHECK(nori_wal_position(wal, &left->synced) == NORI_OK);
            left->ends[0] = left->synced;
            left->counts[0] = number - 1;
        } else if (i >= SYNCED) {
            CHILD_CHECK(nori_wal_position(wal, &left->ends[i - SYNCED + 1]) == NORI_OK);
            left->counts[i - SYNCED + 1] = number - 1;
        }
    }
    CHILD_CHECK(!left->is_flushed || nori_wal_flush(wal) == NORI_OK);
    CHILD_CHECK(write(left->pipe[1], left, sizeof *left) == sizeof *left);
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static void make_killed(const char *dir, bool is_flushed, struct left *left)
{
    int status;

    *left = (struct left){.dir = dir, .is_flushed = is_flushed};
    assert_int_equal(pipe(left->pipe), 0);
    status = run_child(append_and_die, left);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(left->pipe[0], left, sizeof *left), sizeof *left);
    (void)close(left->pipe[0]);
    (void)close(left->pipe[1]);
    assert_int_equal(left->counts[TAIL], COUNT);
    assert_int_equal(left->synced.segment_id, 0);
    assert_int_equal(left->ends[TAIL].segment_id, 0);
}

/* Its tail was written, but not synced, and only the segment has it. */
static void make_killed_log(const char *dir, struct left *left)
{
    make_killed(dir, true, left);
    clear_ring(dir);
}

/* ---- a meter that keeps what recovery says ---- */

struct told {
    struct nori_event truncated; /* kind 0: never */
    struct nori_event recovery;
    unsigned truncated_count;
};

static void keep_event(void *context, const struct nori_event *event)
{
    struct told *told = context;

    if (event->kind == NORI_EVENT_CORRUPTION_TRUNCATED) {
        told->truncated = *event;
        told->truncated_count++;
    }
    if (event->kind == NORI_EVENT_RECOVERY)
        told->recovery = *event;
}

static struct nori_meter meter_of(struct told *told)
{
    struct nori_meter meter = NORI_METER_INIT;

    memset(told, 0, sizeof *told);
    meter.context = told;
    meter.emit = keep_event;
    return meter;
}

/* D2: without any cut every append that returned is there. */
static void all_appends_of_a_killed_process_are_there(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info;
    struct left left;

    make_killed(dir, false, &left);
    expect_log(dir, 1, COUNT);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, COUNT);
    assert_int_equal(info.bytes_truncated, 0);
    assert_int_equal(info.corruption_detected, 0);
    assert_int_equal(info.was_clean, 0);
    assert_int_equal(info.segments_scanned, 1);
    assert_int_equal(info.bytes_scanned, left.ends[TAIL].offset - 128);
    assert_true(info.bytes_rewritten >= left.ends[TAIL].offset - left.synced.offset); /* D5 */
    assert_true(info.message[0] != '\0');
    expect_log(dir, 1, COUNT);
    /* Now it was closed. */
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, COUNT);
}

/* How many appends end at or before this offset of the only segment. */
static size_t whole_appends(const struct left *left, uint64_t offset)
{
    size_t count = 0;

    while (count < TAIL && left->ends[count + 1].offset <= offset)
        count++;
    return count;
}

/* D1, D4: cut anywhere behind the watermark the log is the longest prefix of whole appends, and
 * says what is left behind; strict refuses that, and changes nothing. */
static void a_tail_cut_anywhere_leaves_the_longest_whole_prefix(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    struct left left;
    size_t len = 0;
    uint8_t *data;
    struct told told;
    struct nori_meter meter = meter_of(&told);

    make_killed_log(dir, &left);
    before = take_snapshot(dir);
    data = load_file(dir, segment_name(0), &len);
    config.meter = &meter;
    for (size_t cut = left.synced.offset; cut <= left.ends[TAIL].offset; cut++) {
        size_t whole = whole_appends(&left, cut);
        uint64_t end = left.ends[whole].offset;
        size_t torn = cut - (size_t)end;
        struct nori_recovery_info info;
        nori_wal *wal = NULL;

        while (torn > 0 && data[end + torn - 1] == 0)
            torn--; /* zeros may as well be space taken ahead */
        put_snapshot_back(dir, before);
        cut_file(dir, segment_name(0), cut);
        config.recovery_mode = NORI_RECOVER_STRICT;
        if (torn > 0) {
            struct snapshot *torn_log = take_snapshot(dir);

            assert_int_equal(try_open(&config, &info, NULL), NORI_E_CORRUPT);
            assert_int_equal(info.bytes_truncated, torn);
            assert_int_equal(info.corruption_detected, 0);
            expect_unchanged(dir, torn_log);
            free_snapshot(torn_log);
            config.recovery_mode = NORI_RECOVER_TAIL;
        }
        expect_log(dir, 1, left.counts[whole]); /* a reader shows what recovery will */
        meter = meter_of(&told);
        info = (struct nori_recovery_info)NORI_RECOVERY_INFO_INIT;
        assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, left.counts[whole]);
        assert_int_equal(info.bytes_truncated, torn);
        assert_int_equal(info.corruption_detected, 0);
        assert_position(position_of(wal), 0, end);
        assert_int_equal(told.truncated_count, torn > 0);
        if (torn > 0) {
            assert_int_equal(told.truncated.segment_id, 0);
            assert_int_equal(told.truncated.offset, end);
            assert_int_equal(told.truncated.bytes, torn);
            assert_non_null(told.truncated.message);
        }
        (void)append_numbered(wal, left.counts[whole] + 1, 10);
        close_log(wal);
        expect_log(dir, 1, left.counts[whole] + 1);
    }
    free(data);
    free_snapshot(before);
}

/* D6: what was durable is missing: damage, and nothing is touched. */
static void a_file_cut_below_the_watermark_is_refused(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    struct left left;

    make_killed_log(dir, &left);
    before = take_snapshot(dir);
    for (size_t cut = 128; cut < left.synced.offset; cut++) {
        struct nori_recovery_info info;
        struct nori_error error;
        struct snapshot *damaged;

        put_snapshot_back(dir, before);
        cut_file(dir, segment_name(0), cut);
        damaged = take_snapshot(dir);
        assert_int_equal(try_open(&config, &info, &error), NORI_E_CORRUPT);
        assert_int_equal(info.corruption_detected, 1);
        assert_int_equal(error.position.segment_id, 0);
        assert_in_range(error.position.offset, 128, cut);
        assert_true(strstr(error.message, "000000.wal") != NULL);
        expect_unchanged(dir, damaged);
        free_snapshot(damaged);
    }
    free_snapshot(before);
}

/* Zeros in the place of the last bytes, as a power cut leaves them: sectors that did not make
 * it. */
static void a_tail_zeroed_anywhere_leaves_a_whole_prefix(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    struct left left;
    size_t len = 0;
    uint8_t *data;

    make_killed_log(dir, &left);
    before = take_snapshot(dir);
    data = load_file(dir, segment_name(0), &len);
    for (size_t from = left.synced.offset; from < left.ends[TAIL].offset; from++) {
        size_t whole = whole_appends(&left, from);
        struct nori_recovery_info info;
        uint8_t *copy = malloc(len);

        assert_non_null(copy);
        memcpy(copy, data, len);
        memset(copy + from, 0, 5);
        /* The last byte of a record may have been zero before. */
        while (whole < TAIL &&
               memcmp(copy + from, data + from, left.ends[whole + 1].offset - from) == 0)
            whole++;
        put_snapshot_back(dir, before);
        store_file(dir, segment_name(0), copy, len);
        free(copy);
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, left.counts[whole]);
        expect_log(dir, 1, left.counts[whole]);
    }
    free(data);
    free_snapshot(before);
}

/* ---- damage ---- */

/* D6: after a clean close every byte of the log was durable. */
static void any_flipped_bit_of_a_closed_log_is_refused_with_its_place(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info;
    struct nori_error error;
    uint64_t ends[2];

    config.preallocate = NORI_PREALLOCATE_OFF; /* small files to be compared often */
    for (uint64_t i = 0; i < 2; i++) {
        nori_wal *wal = open_log(&config);

        append_range(wal, 1 + i * 6, 6, 15);
        close_log(wal);
    }
    for (uint64_t id = 0; id < 2; id++) {
        size_t len = 0;
        uint8_t *data = load_file(dir, segment_name(id), &len);

        while (data[len - 1] == 0)
            len--;
        ends[id] = len;
        free(data);
    }
    for (uint64_t id = 0; id < 2; id++)
        for (size_t offset = 0; offset < ends[id]; offset++) {
            struct snapshot *damaged;
            int rc;

            flip_bit(dir, segment_name(id), offset, offset % 8);
            damaged = take_snapshot(dir);
            rc = try_open(&config, &info, &error);
            if (rc == NORI_E_VERSION && (offset == 8 || offset == 9))
                rc = NORI_E_CORRUPT; /* another version, as far as one can tell */
            if (rc != NORI_E_CORRUPT)
                fail_msg("%s at %zu: %s", segment_name(id), offset, nori_error_name(rc));
            assert_true(strstr(error.message, segment_name(id)) != NULL);
            assert_int_equal(error.position.segment_id, id);
            assert_in_range(error.position.offset, 0, offset);
            if (offset >= 128) {
                assert_int_equal(info.corruption_detected, 1);
                assert_in_range(offset - error.position.offset, 0, 60);
            }
            expect_unchanged(dir, damaged);
            free_snapshot(damaged);
            flip_bit(dir, segment_name(id), offset, offset % 8);
        }
    expect_log(dir, 1, 12);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
}

/* D6: marks tell how far the log was durable when nothing else does. */
static void marks_tell_damage_from_a_torn_tail_without_control(void **state)
{
    const struct temporary *temporary = *state;
    const char *copy = temporary->other;
    struct nori_wal_config config = config_of(copy);
    struct nori_position positions[200];
    nori_wal *wal = open_dir(temporary->dir);

    for (size_t i = 0; i < 200; i++)
        positions[i] = append_numbered(wal, i + 1, 100);
    close_log(wal);
    for (size_t i = 0; i < 200; i += 7) {
        struct nori_error error;

        remove_dir(copy);
        copy_dir(temporary->dir, copy);
        clear_ring(copy); /* it has all of them, whole */
        flip_bit(copy, segment_name(0), positions[i].offset + 20, 1);
        assert_int_equal(try_open(&config, NULL, &error), NORI_E_CORRUPT);
        assert_position(error.position, 0, positions[i].offset);
    }
}

/* D6, D12: bytes at rest that the log does not reach are not looked at. */
static void bytes_behind_a_stated_end_do_not_matter(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    nori_wal *wal = open_dir(dir);
    size_t len;
    uint8_t *data;

    append_range(wal, 1, 5, 10);
    close_log(wal);
    wal = open_dir(dir);
    append_range(wal, 6, 5, 10);
    close_log(wal);
    data = load_file(dir, segment_name(0), &len);
    data = realloc(data, len + 1000);
    assert_non_null(data);
    memset(data + len, 'g', 1000);
    store_file(dir, segment_name(0), data, len + 1000);
    free(data);
    expect_log(dir, 1, 10);
    config.recovery_mode = NORI_RECOVER_STRICT;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    expect_log(dir, 1, 10);
}

/* ---- verify ---- */

static void fill_log(const char *dir, uint64_t first, uint64_t count)
{
    nori_wal *wal = open_dir(dir);

    append_range(wal, first, count, 1000);
    close_log(wal);
}

/* The result of verify = tail is that of full, and its cost does not grow with the log. */
static void verifying_the_tail_gives_the_same_at_a_constant_cost(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    uint64_t costs[4];

    for (uint64_t i = 0; i < 4; i++) {
        struct nori_recovery_info full, tail;

        fill_log(dir, 1 + i * 3000, 3000);
        config.verify = NORI_VERIFY_FULL;
        assert_int_equal(try_open(&config, &full, NULL), NORI_OK);
        config.verify = NORI_VERIFY_TAIL;
        assert_int_equal(try_open(&config, &tail, NULL), NORI_OK);
        assert_int_equal(full.valid_records, 3000 * (i + 1));
        assert_int_equal(tail.valid_records, full.valid_records);
        assert_true(is_same_position(tail.last_valid_position, full.last_valid_position));
        assert_int_equal(tail.bytes_truncated, full.bytes_truncated);
        assert_int_equal(tail.was_clean, full.was_clean);
        assert_true(full.bytes_scanned > 3000000 * (i + 1));
        costs[i] = tail.bytes_scanned;
        assert_in_range(costs[i], 0, 200000);
    }
    expect_log(dir, 1, 12000);
}

/* D6: what lies above the watermark is verified, and a torn tail is found, in both ways. */
static void verifying_the_tail_finds_a_torn_tail_and_damage_there(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    struct left left;
    struct nori_recovery_info full, tail;

    make_killed_log(dir, &left);
    before = take_snapshot(dir);
    for (size_t cut = left.synced.offset; cut <= left.ends[TAIL].offset; cut += 3) {
        put_snapshot_back(dir, before);
        cut_file(dir, segment_name(0), cut);
        config.verify = NORI_VERIFY_TAIL;
        assert_int_equal(try_open(&config, &tail, NULL), NORI_OK);
        put_snapshot_back(dir, before);
        cut_file(dir, segment_name(0), cut);
        config.verify = NORI_VERIFY_FULL;
        assert_int_equal(try_open(&config, &full, NULL), NORI_OK);
        assert_int_equal(tail.valid_records, full.valid_records);
        assert_int_equal(tail.bytes_truncated, full.bytes_truncated);
        assert_true(is_same_position(tail.last_valid_position, full.last_valid_position));
    }
    put_snapshot_back(dir, before);
    cut_file(dir, segment_name(0), left.synced.offset - 1);
    config.verify = NORI_VERIFY_TAIL;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_CORRUPT);
    free_snapshot(before);
}

/* ---- control ---- */

static void spoil_control(const char *dir, int way)
{
    uint8_t page[4096];
    char path[300];
    size_t len = 0;
    uint8_t *data;

    (void)snprintf(path, sizeof path, "%s/control", dir);
    switch (way) {
    case 0:
        assert_int_equal(remove(path), 0);
        break;
    case 1:
        cut_file(dir, "control", 0);
        break;
    case 2:
        cut_file(dir, "control", 100);
        break;
    case 3:
        memset(page, 0, sizeof page);
        store_file(dir, "control", page, sizeof page);
        break;
    case 4:
        memset(page, 0xff, sizeof page);
        store_file(dir, "control", page, sizeof page);
        break;
    case 5: /* a newer version of it */
        flip_bit(dir, "control", 8, 4);
        break;
    case 6: /* its words claim far too much */
        data = load_file(dir, "control", &len);
        memset(data + 64, 0x7f, 256);
        store_file(dir, "control", data, len);
        free(data);
        break;
    case 7: /* another log's id */
        flip_bit(dir, "control", 16, 0);
        break;
    default: /* replaced by a copy */
        data = load_file(dir, "control", &len);
        assert_int_equal(rename(path, "control.moved"), 0);
        store_file(dir, "control", data, len);
        assert_int_equal(remove("control.moved"), 0);
        free(data);
        break;
    }
}

/* `control` may cost speed, and never a record: missing, cut, garbage, hostile or copied. */
static void a_bad_control_costs_nothing_but_speed(void **state)
{
    const struct temporary *temporary = *state;
    const char *dir = temporary->dir;
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before;
    struct left left;

    assert_int_equal(chdir(temporary->top), 0);
    make_killed_log(dir, &left);
    before = take_snapshot(dir);
    for (int way = 0; way <= 8; way++) {
        struct nori_recovery_info info;
        struct nori_error error;

        for (uint32_t verify = NORI_VERIFY_FULL; verify <= NORI_VERIFY_TAIL; verify++) {
            int rc;

            put_snapshot_back(dir, before);
            spoil_control(dir, way);
            expect_log(dir, 1, COUNT);
            config.verify = verify;
            rc = try_open(&config, &info, &error);
            if (rc != NORI_OK)
                fail_msg("way %d: %s", way, error.message);
            assert_int_equal(info.valid_records, COUNT);
            expect_log(dir, 1, COUNT);
        }
    }
    assert_int_equal(chdir("/"), 0);
    free_snapshot(before);
}

/* A copy made while the log was open, put elsewhere: the records that it holds are all tried. */
static void a_copied_log_opens_with_all_it_holds(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->other);
    struct nori_recovery_info info;
    nori_wal *wal = open_dir(temporary->dir);

    append_range(wal, 1, 2990, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK); /* no file is renamed while it is copied */
    append_range(wal, 2991, 10, 1000);
    copy_dir(temporary->dir, temporary->other);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 3000);
    expect_log(temporary->other, 1, 3000);
    append_range(wal, 3001, 10, 10);
    close_log(wal);
    expect_log(temporary->dir, 1, 3010);
}

/* ---- killed at random ---- */

#define KILL_THREADS 4

struct victim {
    const char *dir;
    int pipe[2];
    uint32_t policy;
    uint64_t life; /* in the upper bits of numbers */
    pid_t parent;
};

struct ack {
    uint32_t thread;
    uint32_t count; /* as many of its appends have returned */
};

struct worker {
    const struct victim *victim;
    nori_wal *wal;
    uint32_t thread;
};

static uint64_t number_of(uint64_t life, uint32_t thread, uint64_t count)
{
    return life << 40 | (uint64_t)thread << 32 | count;
}

static void append_until_killed(void *argument)
{
    const struct worker *worker = argument;

    for (uint32_t count = 1;; count++) {
        struct numbered memory;
        uint64_t number = number_of(worker->victim->life, worker->thread, count);
        struct nori_record record = make_numbered(&memory, number, number * 7 % 900);
        struct ack ack = {worker->thread, count};

        CHILD_CHECK(nori_wal_append(worker->wal, &record, NULL) == NORI_OK);
        CHILD_CHECK(write(worker->victim->pipe[1], &ack, sizeof ack) == sizeof ack);
    }
}

static int be_victim(void *context)
{
    const struct victim *victim = context;
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_wal_config config = config_of(victim->dir);
    struct worker workers[KILL_THREADS];
    nori_wal *wal = NULL;

    config.fsync_policy = victim->policy;
    config.batch_window_us = 1000;
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint32_t i = 0; i < KILL_THREADS; i++) {
        struct nori_thread *thread;

        workers[i] = (struct worker){victim, wal, i};
        CHILD_CHECK(vfs->thread_start(vfs->context, "worker", append_until_killed, &workers[i],
                                      &thread) == 0);
    }
    while (getppid() == victim->parent)
        sleep_ms(1000);
    return 0;
}

/* Take in acknowledgements until there are that many, or the pipe is empty for good. */
static void take_acks(int from, uint32_t *counts, uint64_t wanted)
{
    struct ack ack;
    uint64_t total = 0;

    while (total < wanted && read(from, &ack, sizeof ack) == sizeof ack) {
        assert_true(ack.thread < KILL_THREADS && ack.count == counts[ack.thread] + 1);
        counts[ack.thread] = ack.count;
        total++;
    }
}

/* D1, D2: each thread's appends are there in order, without a gap, all that returned and at most
 * one more. */
static void check_life(nori_reader *reader, uint64_t life, const uint32_t *acked)
{
    uint64_t found[KILL_THREADS] = {0};
    struct nori_record record;
    int rc;

    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK) {
        uint64_t number = 0;
        uint32_t thread;

        assert_true(is_numbered(&record, &number));
        thread = (uint32_t)(number >> 32 & 0xff);
        assert_true(thread < KILL_THREADS);
        assert_int_equal(number, number_of(life, thread, found[thread] + 1));
        found[thread]++;
    }
    assert_int_equal(rc, NORI_END);
    for (size_t i = 0; i < KILL_THREADS; i++)
        assert_in_range(found[i], acked[i], acked[i] + 1u);
}

static void kill_and_recover(const char *dir, uint32_t policy, uint64_t life, uint64_t acks,
                             unsigned delay_us)
{
    struct victim victim = {.dir = dir, .policy = policy, .life = life, .parent = getpid()};
    struct nori_wal_config config = config_of(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    uint32_t acked[KILL_THREADS] = {0};
    struct nori_position before;
    nori_reader *reader = NULL;
    nori_wal *wal = open_log(&config);
    int child;

    before = position_of(wal);
    close_log(wal);
    assert_int_equal(pipe(victim.pipe), 0);
    child = start_child(be_victim, &victim);
    (void)close(victim.pipe[1]);
    take_acks(victim.pipe[0], acked, acks);
    (void)usleep(delay_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(WTERMSIG(end_of_child(child)), SIGKILL);
    take_acks(victim.pipe[0], acked, UINT64_MAX);
    (void)close(victim.pipe[0]);

    reader = open_reader(dir, before); /* what a reader shows is what recovery finds */
    check_life(reader, life, acked);
    nori_reader_close(reader);
    config.verify = life % 2 ? NORI_VERIFY_FULL : NORI_VERIFY_TAIL;
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.corruption_detected, 0);
    assert_true(is_same_position(durable_of(wal), position_of(wal))); /* D5 */
    assert_int_equal(nori_wal_read_from(wal, before, &reader), NORI_OK);
    check_life(reader, life, acked);
    nori_reader_close(reader);
    close_log(wal);
}

/* D2: at a random moment, under each policy, one life after the other in the same folder. */
static void a_writer_killed_at_any_moment_loses_nothing_that_returned(void **state)
{
    uint64_t random = 88172645463325252u;

    for (uint32_t policy = NORI_FSYNC_BATCH; policy <= NORI_FSYNC_OS; policy++) {
        for (uint64_t life = 1; life <= 20; life++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            kill_and_recover(dir_of(state), policy, life,
                             policy == NORI_FSYNC_ALWAYS ? random % 50 : random % 3000,
                             (unsigned)(random >> 40) % 2000);
        }
        remove_dir(dir_of(state));
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(all_appends_of_a_killed_process_are_there),
        IN_FOLDER(a_tail_cut_anywhere_leaves_the_longest_whole_prefix),
        IN_FOLDER(a_file_cut_below_the_watermark_is_refused),
        IN_FOLDER(a_tail_zeroed_anywhere_leaves_a_whole_prefix),
        IN_FOLDER(any_flipped_bit_of_a_closed_log_is_refused_with_its_place),
        IN_FOLDER(marks_tell_damage_from_a_torn_tail_without_control),
        IN_FOLDER(bytes_behind_a_stated_end_do_not_matter),
        IN_FOLDER(verifying_the_tail_gives_the_same_at_a_constant_cost),
        IN_FOLDER(verifying_the_tail_finds_a_torn_tail_and_damage_there),
        IN_FOLDER(a_bad_control_costs_nothing_but_speed),
        IN_FOLDER(a_copied_log_opens_with_all_it_holds),
        IN_FOLDER(a_writer_killed_at_any_moment_loses_nothing_that_returned),
    };

    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
