/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_lying_disks.c: a write that the disk answers with success, and loses, or puts in another
 * place of the file (D1, D6).
 *
 * Each write of some histories is lost, and put elsewhere, in turn; then the power goes. What is
 * shown then, whoever looks and in whichever mode, is true byte by byte. Where `control` is what it
 * was, its watermark tells that records are missing: that is damage, never a torn tail. A power cut
 * that takes `control`, too, leaves only marks to tell it, and there may be none behind the newest
 * records.
 */
#include "../support/repeat.h"
#include "../support/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLACES   5 /* tried for a write that goes elsewhere */
#define RUNS_MAX 2000

struct outcome {
    uint64_t told;    /* as damage */
    uint64_t torn;    /* a torn tail: the newest records */
    uint64_t nothing; /* was lost: it was written again */
};

static void expect_good(bool is_good, const struct run *run, const char *what)
{
    if (!is_good) {
        print_message("%s: %s\n", what, run->why);
        repeat_print();
        fail();
    }
}

static int open_in_mode(const struct run *run, nori_sim *sim, uint32_t mode, nori_wal **ret_wal)
{
    struct nori_wal_config config = workload_config(&run->workload, sim);

    config.recovery_mode = mode;
    return nori_wal_open(&config, ret_wal, NULL, NULL);
}

/* Prefix opens it always, and what it then shows is true. */
static void expect_true_prefix(struct run *run, nori_sim *damaged)
{
    struct oracle_found found;
    nori_wal *wal = NULL;
    nori_sim *sim;

    nori_sim_crash_kill(damaged, &sim);
    assert_int_equal(open_in_mode(run, sim, NORI_RECOVER_PREFIX, &wal), NORI_OK);
    expect_good(
        workload_read(&run->workload, sim, &run->oracle, NORI_VISIBLE_APPENDED, &found, run->why),
        run, "a reader behind prefix");
    assert_int_equal(nori_wal_close(wal), NORI_OK);
    nori_sim_free(sim);
}

/* Before anybody opens it: what a reader shows is true, and where it calls that the whole log,
 * nothing durable is missing. */
static void read_alone(struct run *run, nori_sim *sim, bool has_control, int verified)
{
    static const uint32_t visibilities[] = {NORI_VISIBLE_APPENDED, NORI_VISIBLE_DURABLE};

    for (size_t i = 0; i < sizeof visibilities / sizeof visibilities[0]; i++) {
        struct oracle_found found;

        if (!workload_read(&run->workload, sim, &run->oracle, visibilities[i], &found, run->why))
            expect_good(verified == NORI_E_CORRUPT && strstr(run->why, "NORI_E_CORRUPT"), run,
                        "a reader alone");
        else if (has_control)
            expect_good(oracle_expect(&run->oracle, &found, ORACLE_POWER_CUT, run->why), run,
                        "a reader alone takes it for the whole log");
    }
}

/* has_control: as it was. Then what is missing is told. */
static void look_at(struct run *run, nori_sim *sim, bool has_control, struct outcome *outcome)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct oracle_found found;
    nori_wal *wal = NULL;
    int verified, rc;

    options.vfs = nori_sim_vfs(sim);
    verified = nori_log_verify(WORKLOAD_DIR, &options, NULL, NULL, NULL);
    read_alone(run, sim, has_control, verified);
    expect_true_prefix(run, sim);
    rc = open_in_mode(run, sim, NORI_RECOVER_TAIL, &wal);
    assert_int_equal(rc == NORI_OK, verified == NORI_OK || verified == NORI_E_NOTFOUND);
    if (rc < 0) {
        assert_int_equal(rc, NORI_E_CORRUPT);
        outcome->told++;
        return;
    }
    expect_good(
        workload_read(&run->workload, sim, &run->oracle, NORI_VISIBLE_APPENDED, &found, run->why),
        run, "a reader");
    if (has_control)
        expect_good(oracle_expect(&run->oracle, &found, ORACLE_POWER_CUT, run->why), run,
                    "a write is lost, and nobody tells");
    if (found.end < run->oracle.durable)
        outcome->torn++;
    else
        outcome->nothing++;
    assert_int_equal(nori_wal_close(wal), NORI_OK);
}

/* Write number nth does not do what it says. False: there are not so many. */
static bool play(const struct workload *workload, const char *steps, uint32_t flag, uint64_t nth,
                 struct outcome *outcome)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct run run;
    nori_sim *after;
    bool did_fail;

    options.seed = workload->seed;
    options.fail_nth = nth;
    options.fail_mask = NORI_SIM_WRITE;
    options.flags = flag;
    run_init(&run, workload, nori_sim_new(&options));
    for (const char *step = steps; *step; step++)
        expect_good(run_step(&run, *step), &run, "running");
    did_fail = nori_sim_did_fail(run.sim);
    if (did_fail) {
        (void)nori_sim_power_cut(run.sim, 0, &after); /* only what was synced */
        look_at(&run, after, false, outcome);
        nori_sim_free(after);
        nori_sim_sync_all(run.sim);
        (void)nori_sim_power_cut(run.sim, 0, &after);
        look_at(&run, after, true, outcome);
        nori_sim_free(after);
    }
    after = run.sim;
    run_done(&run);
    nori_sim_free(after);
    return did_fail;
}

static struct outcome play_all(uint32_t flag, uint64_t places)
{
    static const char *const histories[] = {"asasasasasas", "bsmsasqsbsas", "fsasasbsasas",
                                            "asDasbsasasas"};
    struct outcome outcome = {0, 0, 0};

    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++)
        for (uint64_t seed = 1; seed <= places; seed++)
            for (uint64_t nth = 1;; nth++) {
                struct workload workload = {.policy = NORI_FSYNC_OS,
                                            .preallocate = NORI_PREALLOCATE_OFF,
                                            .verify = NORI_VERIFY_FULL,
                                            .seed = seed};

                repeat_with("write %llu of %s, seed %llu, fault %x", (unsigned long long)nth,
                            histories[i], (unsigned long long)seed, flag);
                if (!play(&workload, histories[i], flag, nth, &outcome))
                    break;
                assert_in_range(nth, 1, RUNS_MAX);
            }
    print_message("%llu told as damage, %llu torn tails, %llu written again\n",
                  (unsigned long long)outcome.told, (unsigned long long)outcome.torn,
                  (unsigned long long)outcome.nothing);
    return outcome;
}

static void a_write_that_is_lost_is_told_or_was_the_last(void **state)
{
    struct outcome outcome = play_all(NORI_SIM_FAIL_LOST, 1);

    (void)state;
    assert_true(outcome.told > 0 && outcome.torn > 0);
}

static void a_write_that_went_elsewhere_is_told_or_was_the_last(void **state)
{
    struct outcome outcome = play_all(NORI_SIM_FAIL_MISDIRECTED, repeat_share(PLACES));

    (void)state;
    assert_true(outcome.told > 0 && outcome.torn > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_is_lost_is_told_or_was_the_last),
        cmocka_unit_test(a_write_that_went_elsewhere_is_told_or_was_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
