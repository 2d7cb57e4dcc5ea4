/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_questions.c: questions about a log on a disk of which any call fails.
 *
 * nori_log_verify, nori_log_stat, nori_log_explain, nori_log_live_stats, nori_log_advice and a dry
 * run of nori_log_repair are asked about small logs, sound and damaged ones, and each of their
 * calls of the seam, and each allocation, fails once. Whoever asks then gets an error, or an answer
 * that is as good as without it: what cannot be read is never called damage (D6), a damaged log
 * never sound, and no record is missing from what is counted. Nothing in the folder changes, and
 * no memory is left.
 */
#include "../support/only.h"
#include "../support/repeat.h"
#include "../support/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEADER_LEN 128u
#define PLACES     6

enum question {
    VERIFY,
    STAT,
    REPAIR, /* a dry run */
    LIVE_STATS,
    ADVICE,
    OVERVIEW,
    EXPLAIN, /* and PLACES - 1 behind it: other places */
};
#define QUESTIONS (EXPLAIN + PLACES)

struct answer {
    int rc;
    bool is_stopped; /* by its report */
    bool is_corrupt; /* some item says so, or the result */
    uint64_t items, records, end_lsn;
    uint64_t calls;
};

struct listener {
    struct answer answer;
    uint64_t stop_at; /* the item that ends the operation; 0: none */
};

#define STOPPED 77

static int listen(void *context, const struct nori_log_item *item)
{
    struct listener *listener = context;
    struct answer *answer = &listener->answer;

    if (answer->is_stopped)
        fail_msg("told something after it had said stop");
    answer->items++;
    if (item->kind == NORI_LOG_SUMMARY) {
        answer->records = item->records;
        answer->end_lsn = item->end_lsn;
    }
    if (item->kind == NORI_LOG_FINDING && item->severity >= NORI_SEVERITY_ERROR &&
        item->code == NORI_E_CORRUPT)
        answer->is_corrupt = true;
    answer->is_stopped = answer->items == listener->stop_at;
    return answer->is_stopped ? STOPPED : 0;
}

static struct nori_position place_of(const struct sample *sample, int number)
{
    const struct sample_record *record = &sample->records[sample->record_count / 2];
    const struct sample_file *file = &sample->files[record->file];
    const struct sample_record *last = &sample->records[sample->record_count - 1];

    switch (number) {
    case 0:
        return (struct nori_position){file->id, 1};
    case 1:
        return record->position;
    case 2:
        return (struct nori_position){file->id, file->mark_count ? file->marks[0].offset : 2};
    case 3:
        return (struct nori_position){file->id, file->end + 1};
    case 4:
        return last->position;
    default:
        return (struct nori_position){sample->files[0].id, HEADER_LEN + 3};
    }
}

static struct answer ask(const struct sample *sample, nori_sim *sim, int question, uint64_t stop_at)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct listener listener = {.stop_at = stop_at};
    struct answer *answer = &listener.answer;

    options.vfs = nori_sim_vfs(sim);
    options.allocator = nori_sim_allocator(sim);
    if (question == VERIFY) {
        answer->rc = nori_log_verify(SAMPLE_DIR, &options, listen, &listener, &error);
    } else if (question == STAT) {
        answer->rc = nori_log_stat(SAMPLE_DIR, &options, listen, &listener, &error);
    } else if (question == REPAIR) {
        options.flags = NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE;
        answer->rc = nori_log_repair(SAMPLE_DIR, &options, listen, &listener, &error);
    } else if (question == LIVE_STATS) {
        answer->rc = nori_log_live_stats(SAMPLE_DIR, &options, &stats, &error);
        answer->end_lsn = stats.written_lsn;
    } else if (question == ADVICE) {
        answer->rc = nori_log_advice(SAMPLE_DIR, &options, &advice, &error);
    } else {
        if (question >= EXPLAIN)
            options.position = place_of(sample, question - EXPLAIN);
        answer->rc = nori_log_explain(SAMPLE_DIR, &options, listen, &listener, &error);
    }
    answer->calls = nori_sim_calls(sim);
    answer->is_corrupt |= answer->rc == NORI_E_CORRUPT;
    if (answer->rc < 0)
        assert_int_equal(error.code, answer->rc);
    return *answer;
}

/* ---- one failing call ---- */

static void expect_as_good(int question, const struct answer *whole, const struct answer *got)
{
    if (got->rc == whole->rc) {
        if (question == VERIFY || question == REPAIR)
            assert_true(got->rc < 0 || got->items >= whole->items);
        if (!whole->is_corrupt && (question == VERIFY || question == STAT)) {
            assert_true(got->records >= whole->records);
            assert_true(got->end_lsn >= whole->end_lsn);
        }
    } else {
        assert_true(got->rc == NORI_E_IO || got->rc == NORI_E_NOMEM);
    }
    if (!whole->is_corrupt)
        assert_false(got->is_corrupt);
}

static nori_sim *clone_of(nori_sim *disk, uint64_t fail_nth, uint32_t flags)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim;

    nori_sim_crash_kill(disk, &sim);
    options.fail_nth = fail_nth;
    options.flags = flags;
    nori_sim_set_options(sim, &options);
    return sim;
}

static void fail_each_call(const struct sample *sample, nori_sim *disk, int question,
                           uint32_t flags)
{
    nori_sim *sim = clone_of(disk, 0, flags & ~NORI_SIM_FAIL_STICKY);
    uint64_t digest = nori_sim_digest(sim), blocks = nori_sim_memory_blocks(sim);
    struct answer whole = ask(sample, sim, question, 0);

    assert_true(nori_sim_digest(sim) == digest);
    nori_sim_free(sim);
    for (uint64_t nth = 1; nth <= whole.calls; nth++) {
        struct answer got;

        repeat_with("sample %d, question %d, call %llu fails, flags %#x", (int)sample->kind,
                    question, (unsigned long long)nth, flags);
        sim = clone_of(disk, nth, flags);
        got = ask(sample, sim, question, 0);
        expect_as_good(question, &whole, &got);
        assert_true(nori_sim_digest(sim) == digest);
        assert_true(nori_sim_memory_blocks(sim) == blocks);
        nori_sim_free(sim);
    }
}

/* ---- the logs ---- */

/* A byte of the first record, of a header, a file that is missing; of file n. */
static void damage(const struct sample *sample, nori_sim *sim, char what, size_t n)
{
    const struct sample_file *file = &sample->files[n];
    uint64_t at = what == 'h' ? 50 : HEADER_LEN + 12;
    uint8_t byte = file->bytes[at] ^ 0x55;

    if (what == 'm')
        assert_int_equal(nori_sim_file_unlink(sim, file->path), 0);
    else
        assert_int_equal(nori_sim_file_poke(sim, file->path, at, &byte, 1), 0);
}

static void fail_each_call_of_each_question(enum sample_kind kind, char what, size_t n,
                                            uint32_t flags)
{
    static struct sample sample;
    nori_sim *disk;

    sample_make(&sample, kind, 3);
    nori_sim_crash_kill(sample.sim, &disk);
    if (what)
        damage(&sample, disk, what, n);
    for (int question = 0; question < QUESTIONS; question++)
        fail_each_call(&sample, disk, question, flags);
    nori_sim_free(disk);
    sample_free(&sample);
}

/* D6, D11 */
static void what_cannot_be_read_is_neither_damage_nor_missing(void **state)
{
    (void)state;
    for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
        fail_each_call_of_each_question((enum sample_kind)kind, 0, 0, 0);
        fail_each_call_of_each_question((enum sample_kind)kind, 0, 0, NORI_SIM_FAIL_STICKY);
        fail_each_call_of_each_question((enum sample_kind)kind, 0, 0, NORI_SIM_NO_MAP);
    }
}

/* D6 */
static void a_damaged_log_is_never_called_sound(void **state)
{
    (void)state;
    for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
        fail_each_call_of_each_question((enum sample_kind)kind, 'r', 0, 0);
        fail_each_call_of_each_question((enum sample_kind)kind, 'h', 1, 0);
        fail_each_call_of_each_question((enum sample_kind)kind, 'm', 1, 0);
    }
}

/* More to tell than there was room for at first. */
static void what_is_told_of_many_files_is_told_whole_or_not_at_all(void **state)
{
    static struct sample sample;
    nori_sim *disk;

    (void)state;
    sample_make(&sample, SAMPLE_CLOSED, 3);
    nori_sim_crash_kill(sample.sim, &disk);
    for (char name[] = SAMPLE_DIR "/a.wal"; name[sizeof SAMPLE_DIR] <= 'z';
         name[sizeof SAMPLE_DIR]++)
        assert_int_equal(nori_sim_file_poke(disk, name, 0, "x", 1), 0);
    assert_in_range(ask(&sample, disk, VERIFY, 0).items, 26, 40);
    fail_each_call(&sample, disk, VERIFY, 0);
    fail_each_call(&sample, disk, REPAIR, 0);
    nori_sim_free(disk);
    sample_free(&sample);
}

/* Who says stop is not told more, and gets back what was said. */
static void an_answer_ends_at_any_item(void **state)
{
    static struct sample sample;
    nori_sim *disk;

    (void)state;
    sample_make(&sample, SAMPLE_KILLED, 3);
    nori_sim_crash_kill(sample.sim, &disk);
    damage(&sample, disk, 'r', 0);
    for (int question = 0; question < QUESTIONS; question++) {
        uint64_t items = ask(&sample, disk, question, 0).items;

        for (uint64_t stop_at = 1; stop_at <= items; stop_at++) {
            struct answer got = ask(&sample, disk, question, stop_at);

            assert_int_equal(got.rc, STOPPED);
            assert_int_equal(got.items, stop_at);
        }
    }
    nori_sim_free(disk);
    sample_free(&sample);
}

/* ---- beside a live writer ---- */

#define BIG_RECORD   ((size_t)256 << 10)
#define BIG_RECORDS  40
#define BIG_SEGMENT  ((size_t)8 << 20) /* so long that progress is told within one */
#define IN_A_RECORD  (HEADER_LEN + 100)
#define IN_ITS_CHAIN 50 /* a byte of its header */

struct beside {
    nori_sim *sim;
    nori_wal *wal;
    const char *path;  /* of an ended segment */
    uint64_t heals_at; /* a byte that is as it was from the first progress on; 0: none */
    bool must_stop;
    uint64_t progress, damages;
};

static void flip_at(nori_sim *sim, const char *path, uint64_t at)
{
    uint8_t byte;
    size_t got;

    assert_int_equal(nori_sim_file_read(sim, path, at, &byte, 1, &got), 0);
    byte ^= 0x55;
    assert_int_equal(nori_sim_file_poke(sim, path, at, &byte, 1), 0);
}

static int listen_beside(void *context, const struct nori_log_item *item)
{
    struct beside *beside = context;

    if (item->kind == NORI_LOG_FINDING)
        beside->damages += item->severity >= NORI_SEVERITY_ERROR && item->code == NORI_E_CORRUPT;
    if (item->kind != NORI_LOG_PROGRESS)
        return 0;
    if (item->bytes_total > 0)
        assert_true(item->bytes <= item->bytes_total);
    if (beside->progress++ == 0 && beside->heals_at > 0)
        flip_at(beside->sim, beside->path, beside->heals_at);
    return beside->must_stop ? STOPPED : 0;
}

static void begin_beside(struct beside *beside)
{
    static uint8_t value[BIG_RECORD];
    struct nori_wal_config config;

    *beside = (struct beside){.sim = nori_sim_new(NULL), .path = SAMPLE_DIR "/000000.wal"};
    config = sample_config(beside->sim, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    config.max_segment_size = BIG_SEGMENT;
    memset(value, 'x', sizeof value);
    assert_int_equal(nori_wal_open(&config, &beside->wal, NULL, NULL), NORI_OK);
    for (int i = 0; i < BIG_RECORDS; i++) {
        struct nori_record record = nori_record_put("key", 3, value, sizeof value);

        assert_int_equal(nori_wal_append(beside->wal, &record, NULL), NORI_OK);
    }
    assert_int_equal(nori_wal_sync(beside->wal), NORI_OK);
}

static int verify_beside(struct beside *beside)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(beside->sim);
    return nori_log_verify(SAMPLE_DIR, &options, listen_beside, beside, NULL);
}

static void end_beside(struct beside *beside)
{
    (void)nori_wal_close(beside->wal);
    nori_sim_free(beside->sim);
}

/* What is seen once may have been in the making. */
static void beside_a_writer_damage_is_told_only_if_it_is_found_twice(void **state)
{
    static const uint64_t places[] = {IN_A_RECORD, IN_ITS_CHAIN};
    struct beside beside;

    (void)state;
    begin_beside(&beside);
    assert_int_equal(verify_beside(&beside), NORI_OK);
    assert_true(beside.progress > 0);
    flip_at(beside.sim, beside.path, IN_A_RECORD);
    beside.progress = 0;
    beside.heals_at = IN_A_RECORD;
    assert_int_equal(verify_beside(&beside), NORI_OK);
    assert_int_equal(beside.damages, 0);
    beside.heals_at = 0;
    for (size_t i = 0; i < 2; i++) {
        flip_at(beside.sim, beside.path, places[i]);
        beside.damages = 0;
        assert_int_equal(verify_beside(&beside), NORI_E_CORRUPT);
        assert_int_equal(beside.damages, 1);
        flip_at(beside.sim, beside.path, places[i]);
    }
    assert_int_equal(verify_beside(&beside), NORI_OK);
    end_beside(&beside);
}

/* The nth attempt to ask for a lock, or whether there is one, fails. */
static void fail_lock(nori_sim *sim, uint64_t nth)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_mask = NORI_SIM_LOCK;
    options.fail_nth = nth;
    nori_sim_set_options(sim, &options);
}

/* Whoever cannot learn whether a writer is alive does not take that for "no": what is in the making
 * would be damage (D6). */
static void who_cannot_ask_for_a_writer_calls_nothing_damage(void **state)
{
    uint64_t failures = 0;
    bool did_fail = true;

    (void)state;
    for (uint64_t nth = 1; did_fail; nth++) {
        struct beside beside;
        int rc;

        begin_beside(&beside);
        flip_at(beside.sim, beside.path, IN_A_RECORD);
        beside.heals_at = IN_A_RECORD;
        fail_lock(beside.sim, nth);
        rc = verify_beside(&beside);
        did_fail = nori_sim_did_fail(beside.sim);
        assert_int_equal(rc, did_fail ? NORI_E_IO : NORI_OK);
        assert_int_equal(beside.damages, 0);
        failures += did_fail;
        end_beside(&beside);
    }
    assert_true(failures >= 3); /* at the door, before the judgement, before the second look */
}

/* D10: a repair never goes on beside a live writer, whatever it could learn of it, and changes
 * nothing. */
static void no_repair_goes_on_beside_a_writer_that_it_cannot_ask_for(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= NORI_LOG_SALVAGE; flags += NORI_LOG_SALVAGE) {
        bool did_fail = true;

        for (uint64_t nth = 1; did_fail; nth++) {
            struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
            struct beside beside;
            uint64_t before;
            int rc;

            begin_beside(&beside);
            flip_at(beside.sim, beside.path, IN_A_RECORD);
            before = nori_sim_digest(beside.sim);
            options.vfs = nori_sim_vfs(beside.sim);
            options.flags = flags;
            fail_lock(beside.sim, nth);
            rc = nori_log_repair(SAMPLE_DIR, &options, listen_beside, &beside, NULL);
            did_fail = nori_sim_did_fail(beside.sim);
            assert_int_equal(rc, did_fail ? NORI_E_IO : NORI_E_LOCKED);
            assert_int_equal(beside.damages, 0);
            assert_true(nori_sim_digest(beside.sim) == before);
            fail_lock(beside.sim, 0);
            end_beside(&beside);
        }
    }
}

/* What a reader gives on a log of which one lock, or question for one, fails: its records, up to
 * where it says otherwise. An error of that call may come in between. */
static int read_beside(nori_sim *sim, uint64_t nth, uint64_t *ret_records, uint64_t *ret_errors)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    int rc;

    config.vfs = nori_sim_vfs(sim);
    *ret_records = 0;
    *ret_errors = 0;
    fail_lock(sim, nth);
    do {
        rc = reader ? nori_reader_next(reader, &record, NULL)
                    : nori_reader_open_with(SAMPLE_DIR, &config, (struct nori_position){0, 0},
                                            &reader, NULL);
        *ret_records += reader && rc == NORI_OK;
        *ret_errors += rc == NORI_E_IO;
    } while (rc == NORI_OK || (rc == NORI_E_IO && *ret_errors < 3));
    nori_reader_close(reader);
    return rc;
}

/* D6, D11: beside a live writer bytes that were published and do not verify are damage, durable or
 * not. A reader that could not learn of the writer would call them the end. */
static void a_reader_that_cannot_ask_for_a_writer_says_so(void **state)
{
    static uint8_t value[BIG_RECORD];
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sample_config(sim, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    struct nori_record record = nori_record_put("key", 3, value, sizeof value);
    nori_wal *wal = NULL;
    uint64_t records, all, errors;
    uint64_t told = 0;
    bool did_fail = true;

    (void)state;
    config.max_segment_size = BIG_SEGMENT;
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
        if (i == 0)
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
        nori_sim_sleep(sim, 1000000000);
    }
    assert_int_equal(read_beside(sim, 0, &all, &errors), NORI_END);
    flip_at(sim, SAMPLE_DIR "/000000.wal", HEADER_LEN + 5 * BIG_RECORD);
    assert_int_equal(read_beside(sim, 0, &all, &errors), NORI_E_CORRUPT);
    assert_in_range(all, 3, 7);
    for (uint64_t nth = 1; did_fail; nth++) {
        assert_int_equal(read_beside(sim, nth, &records, &errors), NORI_E_CORRUPT);
        did_fail = nori_sim_did_fail(sim);
        assert_int_equal(records, all);
        told += errors;
    }
    assert_true(told > 0);
    fail_lock(sim, 0);
    (void)nori_wal_close(wal);
    nori_sim_free(sim);
}

/* However long the log is, one need not wait for its end. */
static void an_answer_ends_within_a_long_segment(void **state)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct beside beside;
    nori_sim *after;

    (void)state;
    begin_beside(&beside);
    beside.must_stop = true;
    assert_int_equal(verify_beside(&beside), STOPPED);
    assert_int_equal(beside.progress, 1);
    nori_sim_crash_kill(beside.sim, &after);
    assert_int_equal(nori_sim_file_unlink(after, SAMPLE_DIR "/control"), 0);
    options.vfs = nori_sim_vfs(after);
    beside.progress = 0;
    assert_int_equal(nori_log_stat(SAMPLE_DIR, &options, listen_beside, &beside, NULL), STOPPED);
    assert_int_equal(beside.progress, 1);
    nori_sim_free(after);
    end_beside(&beside);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_is_neither_damage_nor_missing),
        cmocka_unit_test(a_damaged_log_is_never_called_sound),
        cmocka_unit_test(what_is_told_of_many_files_is_told_whole_or_not_at_all),
        cmocka_unit_test(an_answer_ends_at_any_item),
        cmocka_unit_test(beside_a_writer_damage_is_told_only_if_it_is_found_twice),
        cmocka_unit_test(who_cannot_ask_for_a_writer_calls_nothing_damage),
        cmocka_unit_test(no_repair_goes_on_beside_a_writer_that_it_cannot_ask_for),
        cmocka_unit_test(a_reader_that_cannot_ask_for_a_writer_says_so),
        cmocka_unit_test(an_answer_ends_within_a_long_segment),
    };

    ONLY_MATCHING(argc, argv, tests, "");
    repeat_catch();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
