/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_repair_crashes.c: repairs that are interrupted.
 *
 * Small logs are damaged in the first, a middle or the newest segment, in a header, by a missing
 * file, or in several places. An open with mode prefix or salvage repairs them, and is killed, or
 * loses power, before every operation; or each of its calls fails once. Then it is opened in the
 * same mode again: that loses nothing more than the repair that was not interrupted, never shows a
 * wrong byte, and what is gone from the log is in quarantine (D7), be it that only the staging ring
 * had it.
 */
#include "../support/numbers.h"
#include "../support/only.h"
#include "../support/repeat.h"
#include "../support/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADER_LEN      128u
#define OUTCOMES_ALL    24
#define OUTCOMES_RANDOM 8
#define STATES_MAX      8192

/* How to damage: a letter a place, with the number of a file behind it, 9 being the newest.
 *   r  a byte of its first record    h  a byte of its header
 *   l  a byte of its last record     m  the file is missing
 *   z  its first sector is zeroed    e  it is all zero
 *   t  it is of format 1, and torn in its first record */
static const char *const damages[] = {"r0", "r1", "l1",     "r9",   "l9",   "h0",   "h1",  "h9",
                                      "m1", "z1", "r0r1h9", "h1l1", "l0m2", "z1r9", "t0e1"};

struct repair {
    const struct sample *sample;
    const char *how;
    uint32_t mode;
    nori_sim *damaged;
    nori_sim *evidence;        /* the same, but what only the ring has is in the newest file */
    struct sample_found whole; /* what the repair shows that nothing interrupts */
    bool is_torn;              /* only the newest records, which nobody was promised, are damaged */
    bool is_watching;
    bool is_broken;
    char why[ORACLE_WHY_LEN];
};

static struct {
    uint64_t repairs, points, states, failures;
    uint64_t seen[STATES_MAX]; /* digests of states, of one repair */
    double seconds;
} totals;

/* Neither has a record: they are no part of the log, and the rest of it is. */
static void replace(nori_sim *sim, const char *path, char how)
{
    static const char torn[] = "\3\xa0\5\0keyvalue, the most of which is missing";

    assert_true(nori_sim_file_resize(sim, path, 0) >= 0);
    if (how == 't')
        assert_true(nori_sim_file_poke(sim, path, 0, torn, sizeof torn) >= 0);
    assert_true(nori_sim_file_resize(sim, path, SAMPLE_BYTES_MAX) >= 0);
}

static void damage(const struct sample *sample, nori_sim *sim, const char *how)
{
    for (; how[0]; how += 2) {
        size_t i = how[1] == '9' ? sample->file_count - 1 : (size_t)(how[1] - '0');
        const struct sample_file *file = &sample->files[i];
        static const uint8_t zeros[NORI_SIM_SECTOR];
        uint64_t at = HEADER_LEN + 12;
        uint8_t byte;

        if (how[0] == 'm') {
            assert_true(nori_sim_file_unlink(sim, file->path) >= 0);
            continue;
        }
        if (how[0] == 'z') {
            assert_true(nori_sim_file_poke(sim, file->path, 0, zeros, sizeof zeros) >= 0);
            continue;
        }
        if (how[0] == 'e' || how[0] == 't') {
            replace(sim, file->path, how[0]);
            continue;
        }
        for (size_t r = 0; r < sample->record_count && how[0] == 'l'; r++)
            if (sample->records[r].file == i)
                at = sample->records[r].end - 6;
        at = how[0] == 'h' ? 50 : at;
        byte = file->bytes[at] ^ 0x55;
        assert_true(nori_sim_file_poke(sim, file->path, at, &byte, 1) >= 0);
    }
}

/* Open in the repair's mode and read: is it as much as it must be? */
static bool open_again(struct repair *repair, nori_sim *sim, const char *after)
{
    struct nori_wal_config config = sample_config(sim, repair->mode, NORI_VERIFY_FULL);
    struct nori_error error = NORI_ERROR_INIT;
    struct sample_found found;
    nori_wal *wal = NULL;
    int rc = nori_wal_open(&config, &wal, NULL, &error);
    bool is_good;

    if (rc < 0)
        return oracle_complain(repair->why, "after %s open gives %s: %.90s", after,
                               nori_error_name(rc), error.message);
    is_good = sample_read(repair->sample, sim, NORI_VISIBLE_APPENDED, 0, &found, repair->why);
    for (size_t i = 0; is_good && i < repair->sample->record_count; i++)
        if (repair->whole.is_present[i] && !found.is_present[i])
            is_good = oracle_complain(repair->why, "after %s record %zu is lost", after, i + 1);
    if (is_good && found.end != NORI_END)
        is_good = oracle_complain(repair->why, "after %s reading ends with %s", after,
                                  nori_error_name(found.end));
    rc = is_good ? sample_append(wal) : NORI_OK;
    if (nori_wal_close(wal) < 0 || rc < 0)
        return is_good ? oracle_complain(repair->why, "after %s appending fails", after) : false;
    return is_good && sample_check_quarantine(repair->sample, repair->evidence, sim, repair->why);
}

/* Open a clone as if there were nothing to repair. */
static int open_as_sound(nori_sim *sim, struct nori_recovery_info *info)
{
    struct nori_wal_config config;
    nori_wal *wal = NULL;
    nori_sim *clone;
    int rc;

    nori_sim_crash_kill(sim, &clone);
    config = sample_config(clone, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    rc = nori_wal_open(&config, &wal, info, NULL);
    (void)nori_wal_close(wal);
    nori_sim_free(clone);
    return rc;
}

/* D6: an ordinary open tells of the damage, or finds the end that a header states. */
static bool expect_told(struct repair *repair, nori_sim *sim, const char *after)
{
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    int rc = repair->is_torn ? NORI_E_CORRUPT : open_as_sound(sim, &info);

    if (rc < 0 && rc != NORI_E_CORRUPT)
        return oracle_complain(repair->why, "after %s an ordinary open gives %s", after,
                               nori_error_name(rc));
    return rc < 0 || info.bytes_truncated == 0 ||
           oracle_complain(repair->why, "after %s damage passes for a torn tail of %llu bytes",
                           after, (unsigned long long)info.bytes_truncated);
}

/* Readers beside nobody, at any time: nothing but the truth. */
static bool look_and_open(struct repair *repair, nori_sim *sim, const char *after)
{
    struct sample_found found;

    return sample_read(repair->sample, sim, NORI_VISIBLE_APPENDED, 0, &found, repair->why) &&
           expect_told(repair, sim, after) && open_again(repair, sim, after);
}

/* ---- crashes ---- */

static bool is_new(uint64_t digest)
{
    uint64_t at = digest % STATES_MAX;

    for (size_t tries = 0; tries < 64; tries++, at = (at + 1) % STATES_MAX) {
        if (totals.seen[at] == digest)
            return false;
        if (totals.seen[at] == 0) {
            totals.seen[at] = digest;
            return true;
        }
    }
    return true;
}

static void try_state(struct repair *repair, nori_sim *after, const char *what)
{
    if (!repair->is_broken && is_new(nori_sim_digest(after) + (what[0] == 'k'))) {
        totals.states++;
        repair->is_broken = !look_and_open(repair, after, what);
    }
    nori_sim_free(after);
}

static void before_operation(void *context, nori_sim *sim, uint64_t operation)
{
    struct repair *repair = context;
    uint64_t count, tries;
    bool is_all;
    nori_sim *still, *after;

    if (!repair->is_watching || repair->is_broken)
        return;
    totals.points++;
    repeat_with("repair %s in mode %u, operation %llu", repair->how, repair->mode,
                (unsigned long long)operation);
    nori_sim_crash_kill(sim, &after);
    try_state(repair, after, "kill -9");
    numbers_crash_kill(sim, &still);
    count = nori_sim_outcome_count(still);
    is_all = count <= OUTCOMES_ALL;
    tries = is_all ? count : OUTCOMES_RANDOM;
    for (uint64_t i = 0; i < tries; i++) {
        if (is_all)
            (void)nori_sim_power_cut(still, i, &after);
        else
            nori_sim_power_cut_random(still, operation * 100 + i, &after);
        try_state(repair, after, "a power cut");
    }
    nori_sim_free(still);
}

static nori_sim *clone_with(struct repair *repair, uint64_t fail_nth)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim;

    nori_sim_crash_kill(repair->damaged, &sim);
    options.seed = 5;
    options.fail_nth = fail_nth;
    options.before_operation = before_operation;
    options.context = repair;
    nori_sim_set_options(sim, &options);
    return sim;
}

static void end_repair(struct repair *repair)
{
    if (!repair->is_broken)
        return;
    repeat_print();
    fail_msg("repair %s of sample %d in mode %u: %s", repair->how, (int)repair->sample->kind,
             repair->mode, repair->why);
}

/* D5: what was mended is durable when open returns: behind a power cut that takes all that was not
 * synced, an ordinary open finds nothing to mend, and all that the repair has shown. */
static bool expect_mended(struct repair *repair, nori_sim *sim)
{
    uint32_t mode = repair->mode;
    nori_sim *after = NULL;
    bool is_good;

    (void)nori_sim_power_cut(sim, 0, &after);
    repair->mode = NORI_RECOVER_TAIL;
    is_good = open_again(repair, after, "open has mended it and a power cut");
    repair->mode = mode;
    nori_sim_free(after);
    return is_good;
}

static void crash_everywhere(struct repair *repair)
{
    nori_sim *sim = clone_with(repair, 0);
    struct nori_wal_config config = sample_config(sim, repair->mode, NORI_VERIFY_FULL);
    nori_wal *wal = NULL;
    int rc;

    memset(totals.seen, 0, sizeof totals.seen);
    repair->is_watching = true;
    rc = nori_wal_open(&config, &wal, NULL, NULL);
    repair->is_watching = false;
    if (rc < 0)
        repair->is_broken = !oracle_complain(repair->why, "open gives %s", nori_error_name(rc));
    else
        repair->is_broken = repair->is_broken || !expect_mended(repair, sim);
    (void)nori_wal_close(wal);
    nori_sim_free(sim);
    end_repair(repair);
}

/* ---- failing calls ---- */

static bool fail_once(struct repair *repair, uint64_t nth, bool *ret_did_fail)
{
    static const struct nori_sim_options none = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = clone_with(repair, nth);
    struct nori_wal_config config = sample_config(sim, repair->mode, NORI_VERIFY_FULL);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;
    int rc = nori_wal_open(&config, &wal, NULL, &error);
    bool is_good = true;

    *ret_did_fail = nori_sim_did_fail(sim);
    (void)nori_wal_close(wal);
    if (rc < 0 && rc != NORI_E_IO && rc != NORI_E_NOMEM && rc != NORI_E_FAILED)
        is_good = oracle_complain(repair->why, "call %llu fails: open gives %s: %.80s",
                                  (unsigned long long)nth, nori_error_name(rc), error.message);
    nori_sim_set_options(sim, &none);
    is_good = is_good && look_and_open(repair, sim, "a call that failed");
    nori_sim_free(sim);
    return is_good;
}

static void fail_everywhere(struct repair *repair)
{
    bool did_fail = true;

    for (uint64_t nth = 1; did_fail && !repair->is_broken; nth++) {
        repeat_with("repair %s in mode %u, call %llu fails", repair->how, repair->mode,
                    (unsigned long long)nth);
        repair->is_broken = !fail_once(repair, nth, &did_fail);
        totals.failures += did_fail;
    }
    end_repair(repair);
}

/* ---- the tests ---- */

/* What only the ring has, byte for byte, becomes known as the end of the newest file. */
static uint64_t note_staged(struct sample *sample)
{
    struct sample_file *newest = &sample->files[sample->file_count - 1];
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_wal_config config;
    nori_wal *wal = NULL;
    nori_sim *sim;
    size_t got;

    if (sample->staged_count == 0)
        return 0;
    nori_sim_crash_kill(sample->sim, &sim);
    config = sample_config(sim, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_in_range(info.bytes_from_staging, 1, SAMPLE_BYTES_MAX - newest->end);
    assert_int_equal(nori_sim_file_read(sim, newest->path, newest->end, newest->bytes + newest->end,
                                        (size_t)info.bytes_from_staging, &got),
                     0);
    newest->end += got;
    (void)nori_wal_close(wal);
    nori_sim_free(sim);
    return got;
}

static void interrupt(struct sample *sample, uint64_t staged, const char *how, uint32_t mode,
                      void (*how_often)(struct repair *repair))
{
    struct repair repair = {.sample = sample, .how = how, .mode = mode};
    const struct sample_file *newest = &sample->files[sample->file_count - 1];
    nori_sim *sim;
    uint64_t bytes;

    nori_sim_crash_kill(sample->sim, &repair.damaged);
    damage(sample, repair.damaged, how);
    nori_sim_sync_all(repair.damaged);
    nori_sim_crash_kill(repair.damaged, &repair.evidence);
    /* Of a file that is gone nothing was set aside. */
    if (staged > 0 && nori_sim_file_bytes(repair.damaged, newest->path, &bytes) >= 0)
        (void)nori_sim_file_poke(repair.evidence, newest->path, newest->end - staged,
                                 newest->bytes + (newest->end - staged), (size_t)staged);
    /* A record that was never whole is left behind as a torn tail by whoever does not repair. */
    repair.is_torn = strchr(how, 't') ||
                     open_as_sound(repair.damaged,
                                   &(struct nori_recovery_info)NORI_RECOVERY_INFO_INIT) == NORI_OK;
    nori_sim_crash_kill(repair.damaged, &sim);
    repair.is_broken = !open_again(&repair, sim, "nothing");
    if (!repair.is_broken)
        repair.is_broken =
            !sample_read(sample, sim, NORI_VISIBLE_APPENDED, 0, &repair.whole, repair.why);
    nori_sim_free(sim);
    end_repair(&repair);
    totals.repairs++;
    how_often(&repair);
    nori_sim_free(repair.evidence);
    nori_sim_free(repair.damaged);
}

static void interrupt_all(enum sample_kind kind, void (*how_often)(struct repair *repair))
{
    static struct sample sample;
    double begun = repeat_now();
    size_t count = sizeof damages / sizeof damages[0];
    uint64_t share = repeat_share(count * 2);
    uint64_t staged;

    sample_make(&sample, kind, 3);
    staged = note_staged(&sample);
    for (uint64_t i = 0; i < share; i++) {
        uint64_t which = i * (count * 2) / share;

        interrupt(&sample, staged, damages[which / 2],
                  which % 2 ? NORI_RECOVER_SALVAGE : NORI_RECOVER_PREFIX, how_often);
    }
    sample_free(&sample);
    totals.seconds += repeat_now() - begun;
}

static void a_crash_at_any_point_of_a_repair_loses_nothing_more(void **state)
{
    (void)state;
    interrupt_all(SAMPLE_CLOSED, crash_everywhere);
    interrupt_all(SAMPLE_KILLED, crash_everywhere);
    interrupt_all(SAMPLE_STAGED, crash_everywhere);
    interrupt_all(SAMPLE_NO_CONTROL, crash_everywhere);
}

static void a_repair_whose_calls_fail_can_be_done_again(void **state)
{
    (void)state;
    interrupt_all(SAMPLE_CLOSED, fail_everywhere);
    interrupt_all(SAMPLE_KILLED, fail_everywhere);
    interrupt_all(SAMPLE_STAGED, fail_everywhere);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_point_of_a_repair_loses_nothing_more),
        cmocka_unit_test(a_repair_whose_calls_fail_can_be_done_again),
    };
    int failed;

    ONLY_MATCHING(argc, argv, tests, "");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("interrupted repairs: %llu, at %llu points %llu states of the disk, and %llu "
                  "failing calls, in %.1f s\n",
                  (unsigned long long)totals.repairs, (unsigned long long)totals.points,
                  (unsigned long long)totals.states, (unsigned long long)totals.failures,
                  totals.seconds);
    return failed;
}
