/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_crash_states.c: every state that a crash can leave of small histories, recovered and looked
 * at (D1-D6, D11).
 *
 * A history runs once, and at each operation of its last step (its earlier steps are the last ones
 * of shorter histories) what a crash can leave is looked at: support/explorer.h says how. Here are
 * the histories.
 *
 * A failure prints a line that repeats it. NORI_SHARE=PERCENT does less or more than the default.
 * With arguments it is a part of `make torture` (support/torture.h): all histories of up to six
 * steps, those of six in a scattered order, and others by seed, for hours. With `nested` before
 * them it crashes each recovery.
 */
#include "../support/explorer.h"
#include "../support/only.h"
#include "../support/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- sets of histories ---- */

/* Behind the steps there are, number `index` of all histories with `len` letters. */
static void spell(struct history *history, const char *letters, size_t len, uint64_t index)
{
    size_t base = strlen(letters);
    char *end = history->steps + strlen(history->steps);

    for (size_t i = len; i > 0; i--, index /= base)
        end[i - 1] = letters[index % base];
    end[len] = '\0';
}

/* Explore all histories of len letters under each policy, or as many as `limit` of them, spread
 * over all. */
static void explore_all(struct history history, const char *letters, size_t len, uint64_t limit)
{
    double begun = repeat_now();
    uint64_t all = 1;
    uint64_t step;

    for (size_t i = 0; i < len; i++)
        all *= strlen(letters);
    limit = limit > 0 ? limit : 1;
    step = limit < all * 3 ? (all * 3 + limit - 1) / limit : 1;
    while (step > 1 && step % 3 == 0)
        step++; /* so that all policies come */
    for (uint64_t i = 0; i < all * 3; i += step) {
        struct history next = history;

        next.workload.policy = (uint32_t)(i % 3);
        spell(&next, letters, len, i / 3);
        explorer_run(&next, NULL, 0);
    }
    explorer_totals.seconds += repeat_now() - begun;
}

static const struct history small_steps = {
    .workload = {.preallocate = NORI_PREALLOCATE_OFF, .verify = NORI_VERIFY_FULL, .seed = 1},
};

static void histories_of_up_to_three_steps(void **state)
{
    struct history history = small_steps;

    (void)state;
    for (size_t len = 1; len <= 3; len++) {
        history.workload.seed = len;
        explore_all(history, WORKLOAD_STEPS, len, repeat_share(3000));
    }
}

static void longer_histories(void **state)
{
    struct history history = small_steps;

    (void)state;
    for (size_t len = 4; len <= 6; len++) {
        history.workload.seed = len;
        explore_all(history, WORKLOAD_STEPS, len, repeat_share(1200));
    }
    explore_all(history, "ablsDc", 3, repeat_share(100)); /* records of over 64 KiB */
}

/* Segments that end while records are appended, unsynced ones among them. */
static void segments_that_roll(void **state)
{
    struct history history = small_steps;

    (void)state;
    memcpy(history.steps, "f", 2);
    explore_all(history, "abmszdDcf", 3, repeat_share(15));
    explore_all(history, "abmlszdDcf", 4, repeat_share(8));
}

/* A staging ring that is nearly full, then full, and goes around; what it had is in the segment, or
 * only there. */
static void rings_that_wrap(void **state)
{
    static const char *const fillings[] = {"pqqq", "aqqqb", "qqsqqp"};
    struct history history = small_steps;

    (void)state;
    for (size_t i = 0; i < sizeof fillings / sizeof fillings[0]; i++) {
        memcpy(history.steps, fillings[i], strlen(fillings[i]) + 1);
        explore_all(history, "apqszDc", 2, repeat_share(60));
        explore_all(history, "abpqmKXs", 4, repeat_share(150));
    }
}

/* Threads that are switched at any call, and disks with more to choose from. */
static void threads_in_any_order(void **state)
{
    struct history history = small_steps;

    (void)state;
    history.workload.switch_percent = 30;
    for (size_t len = 2; len <= 5; len++) {
        history.workload.seed = 100 + len;
        history.sim_flags = len % 2 ? NORI_SIM_TORN_SECTORS : 0;
        explore_all(history, WORKLOAD_STEPS, len, repeat_share(800));
    }
}

/* Crashes of a log that a crash left: what an earlier life wrote must not come back. */
static void second_lives(void **state)
{
    static const char *const first_lives[] = {"abK", "abX",   "bbX",   "lbX", "mbX",
                                              "fbX", "sbXbK", "DbXbX", "bcbX"};
    uint64_t count = repeat_share(120);

    (void)state;
    for (size_t i = 0; i < sizeof first_lives / sizeof first_lives[0]; i++) {
        struct history history = small_steps;
        bool is_large = strchr(first_lives[i], 'f') != NULL;

        history.workload.seed = 20 + i;
        history.workload.verify = i % 2 ? NORI_VERIFY_TAIL : NORI_VERIFY_FULL;
        (void)snprintf(history.steps, sizeof history.steps, "%s", first_lives[i]);
        explore_all(history, WORKLOAD_STEPS, 1, is_large ? 10 : 30);
        explore_all(history, WORKLOAD_STEPS, 2, is_large ? count / 10 : count);
        history.workload.seed += 20;
        explore_all(history, "ablsXKD", 3, is_large ? count / 10 : count);
    }
}

/* A power cut may cost the end of a segment that has a successor. That one is dead then: what is
 * appended next begins another, and is there after a kill before that has its name, too (D2). Of
 * these first lives one in ten ends so; the order in which the threads run decides. */
static void lives_behind_dead_segments(void **state)
{
    struct history history = small_steps;
    uint64_t count = repeat_share(12);

    (void)state;
    history.workload.switch_percent = 30;
    memcpy(history.steps, "FlX", 4);
    for (uint64_t i = 0; i < count; i++) {
        history.workload.seed = 1 + i;
        explore_all(history, "abmc", 1, 3);
        explore_all(history, "abmKXsD", 2, 3);
    }
}

static void writes_that_are_cut_short(void **state)
{
    uint64_t count = repeat_share(300);
    uint64_t all = 9 * 9 * 9 * 9;
    double begun = repeat_now();

    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        struct history history = small_steps;

        history.workload.policy = (uint32_t)(i % 3);
        history.workload.seed = i + 1;
        spell(&history, "abmlszdDc", 4, i * all / count);
        explorer_run_partly(history, NULL, 0);
    }
    explorer_totals.seconds += repeat_now() - begun;
}

static void every_way_to_take_space(void **state)
{
    struct history history = small_steps;

    (void)state;
    history.workload.verify = NORI_VERIFY_TAIL;
    history.workload.preallocate = NORI_PREALLOCATE_RESERVE;
    explore_all(history, WORKLOAD_STEPS, 3, repeat_share(100));
    history.workload.preallocate = NORI_PREALLOCATE_ZERO;
    explore_all(history, WORKLOAD_STEPS, 3, repeat_share(20));
}

/* Format 1 written: D1, D2, D3 and D5, without the help of salts, headers and marks. Of a batch any
 * beginning may be there (D4 needs what format 1 cannot say). */
static void logs_of_format_1(void **state)
{
    static const char *const first_lives[] = {"abX", "fbX", "DbXbK"};
    struct history history = small_steps;

    (void)state;
    history.workload.format = 1;
    explore_all(history, WORKLOAD_STEPS, 2, repeat_share(200));
    explore_all(history, WORKLOAD_STEPS, 4, repeat_share(200));
    for (size_t i = 0; i < sizeof first_lives / sizeof first_lives[0]; i++) {
        history.workload.seed = 60 + i;
        (void)snprintf(history.steps, sizeof history.steps, "%s", first_lives[i]);
        explore_all(history, "abmsXKDc", 3, repeat_share(i == 1 ? 5 : 40));
    }
    memcpy(history.steps, "f", 2);
    explore_all(history, "abmszdDcf", 3, repeat_share(12));
    history.steps[0] = '\0';
    history.workload.switch_percent = 30;
    explore_all(history, WORKLOAD_STEPS, 4, repeat_share(60));
}

/* What is checked here can fail: machines that break their word are found out. */
static void a_machine_that_lies_is_noticed(void **state)
{
    static const uint32_t lies[] = {NORI_SIM_LYING_SYNC, NORI_SIM_LYING_FOLDER_SYNC};

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct history history = small_steps;

        history.sim_flags = lies[i];
        memcpy(history.steps, "as", 3);
        assert_true(explorer_finds_fault(&history));
    }
}

/* FORMAT.POLICY.PREALLOCATE.VERIFY.SWITCH.FLAGS.SEED.ORDER.STEPS:OPERATION:OUTCOME */
static void one_that_failed(void **state)
{
    struct history history = small_steps;
    struct workload *workload = &history.workload;
    unsigned long long seed, order, operation;
    char outcome[32];

    (void)state;
    if (sscanf(getenv("NORI_CRASH_REPEAT"), "%u.%u.%u.%u.%u.%u.%llu.%llu.%12[a-zA-Z]:%llu:%31s",
               &workload->format, &workload->policy, &workload->preallocate, &workload->verify,
               &history.workload.switch_percent, &history.sim_flags, &seed, &order, history.steps,
               &operation, outcome) != 11)
        fail_msg("NORI_CRASH_REPEAT is not understood");
    history.workload.seed = seed;
    history.order_seed = order;
    explorer_effort.outcomes_all = strncmp(outcome, "cut", 3) == 0 ? UINT64_MAX : 0;
    explorer_effort.outcomes_random = 1000; /* more than anybody tries */
    if (history.sim_flags & NORI_SIM_CRASH_PARTLY)
        explorer_run_partly(history, outcome, operation);
    else
        explorer_run(&history, outcome, operation);
}

static void print_totals(void)
{
    uint64_t states = sketch_count(&explorer_totals.job->sketch);

    print_message(
        "crash states: about %llu different ones in %.1f s (%.0f a second of one "
        "processor), of %llu histories at %llu points; %llu kills, %llu crashes during "
        "recovery\n",
        (unsigned long long)states, explorer_totals.seconds, (double)states / repeat_cpu(),
        (unsigned long long)explorer_totals.histories, (unsigned long long)explorer_totals.points,
        (unsigned long long)explorer_totals.kills, (unsigned long long)explorer_totals.nested);
}

/* ---- hours of it ---- */

static struct torture_options options = {0, 1, 0, 0};

#define LETTERS              (sizeof WORKLOAD_STEPS - 1)
#define LONGEST              6             /* steps of the histories of which all are tried */
#define NEIGHBOURS           (3 * LETTERS) /* those that differ by policy and last step only */
#define HISTORIES_OF_LONGEST ((size_t)3 * 9 * 9 * 9 * 9 * 9 * 9)
#define SCATTER              36493 /* coprime to 9^5; 0.618 of it, so what comes next lies apart */

/* Of the longest histories there are so many that a run may end early: it shall have seen all kinds
 * of beginnings by then. Neighbours stay together, since they leave many of the same disks. */
static uint64_t scattered(uint64_t number, uint64_t all)
{
    return number / NEIGHBOURS * SCATTER % (all / NEIGHBOURS) * NEIGHBOURS + number % NEIGHBOURS;
}

/* All histories of one step under each policy, then all of two steps, and so on up to six. False:
 * there are no more. The longer they are, the more of them there are, and the fewer outcomes are
 * tried of each: all if they are at most these powers of two, else 64 by seed. */
static bool number_to_history(uint64_t number, struct history *history)
{
    static const uint32_t bits[LONGEST] = {16, 16, 16, 12, 9, 8};
    uint64_t all = 3;

    for (size_t len = 1; len <= LONGEST; len++) {
        all *= LETTERS;
        if (number < all) {
            if (len == LONGEST)
                number = scattered(number, all);
            history->workload.policy = (uint32_t)(number % 3);
            spell(history, WORKLOAD_STEPS, len, number / 3);
            explorer_effort.outcomes_all = UINT64_C(1) << bits[len - 1];
            return true;
        }
        number -= all;
    }
    return false;
}

/* Which of all histories of its length it is, by the alphabet. */
static size_t index_of(const struct history *history)
{
    size_t index = 0;

    for (const char *step = history->steps; *step; step++)
        index = index * LETTERS + (size_t)(strchr(WORKLOAD_STEPS, *step) - WORKLOAD_STEPS);
    return index * 3 + history->workload.policy;
}

/* What hours of it promise: none is left out, none comes twice; and after a hundredth of the
 * longest ones, those with any first two steps have come. */
static void the_longest_histories_come_scattered_and_each_once(void **state)
{
    static bool has_come[LONGEST + 1][HISTORIES_OF_LONGEST];
    bool has_begun[LETTERS * LETTERS] = {false};
    struct explorer_effort effort = explorer_effort;
    struct history history = small_steps;
    uint64_t number = 0, longest = 0, beginnings = 0;

    (void)state;
    for (; number_to_history(number, &history); number++) {
        size_t len = strlen(history.steps);
        size_t index = index_of(&history);
        size_t beginning = index / (HISTORIES_OF_LONGEST / (LETTERS * LETTERS));

        assert_false(has_come[len][index]);
        has_come[len][index] = true;
        history.steps[0] = '\0';
        if (len < LONGEST || longest++ >= HISTORIES_OF_LONGEST / 100)
            continue;
        beginnings += !has_begun[beginning];
        has_begun[beginning] = true;
    }
    explorer_effort = effort;
    assert_int_equal(longest, HISTORIES_OF_LONGEST);
    assert_int_equal(number, (HISTORIES_OF_LONGEST - 3) / (LETTERS - 1) * LETTERS);
    assert_int_equal(beginnings, LETTERS * LETTERS);
}

/* Any history: longer ones, larger records, crashes before, threads in any order, other ways to
 * take space, format 1. */
static void draw_history(uint64_t seed, struct history *history)
{
    static const char letters[] = "aabbmpqqsswzdDcKX";
    size_t len = 3 + torture_random(&seed, 7);

    history->workload.policy = (uint32_t)torture_random(&seed, 3);
    history->workload.verify = (uint32_t)torture_random(&seed, 2);
    history->workload.format = torture_random(&seed, 8) == 0;
    history->workload.preallocate =
        torture_random(&seed, 16) == 0 ? NORI_PREALLOCATE_RESERVE : NORI_PREALLOCATE_OFF;
    history->workload.switch_percent = torture_random(&seed, 2) ? 30 : 0;
    history->workload.seed = torture_random(&seed, 16) == 0 ? 2 : 1; /* 2: a larger ring */
    history->order_seed = 1 + torture_random(&seed, UINT32_MAX);
    history->sim_flags = torture_random(&seed, 4) == 0 ? NORI_SIM_TORN_SECTORS : 0;
    for (size_t i = 0; i < len; i++)
        history->steps[i] = letters[torture_random(&seed, sizeof letters - 1)];
    if (torture_random(&seed, 64) == 0)
        history->steps[0] = "fl"[torture_random(&seed, 2)];
    if (torture_random(&seed, 128) == 0) { /* dead segments, maybe, and up to two steps */
        memcpy(history->steps, "FlX", 3);
        history->steps[4 + len % 2] = '\0';
        history->workload.switch_percent = 30;
    }
    explorer_effort.outcomes_all = UINT64_C(1) << 10;
}

/* One of them all and one that is drawn, in turn. */
static bool try_case(struct job *job, uint64_t number)
{
    struct history history = small_steps;

    explorer_totals.is_worker = true;
    explorer_totals.job = job;
    explorer_effort.outcomes_random = 64;
    if (number % 2 != 0 || !number_to_history(number / 2, &history))
        draw_history(options.seed + number, &history);
    explorer_run(&history, NULL, 0);
    return true;
}

static bool try_case_nested(struct job *job, uint64_t number)
{
    explorer_totals.counts_nested = true;
    explorer_effort.nested_every = 1 + number % 7;
    return try_case(job, number);
}

static void torture(void **state)
{
    (void)state;
    assert_true(explorer_totals.counts_nested ? jobs_run(&options, "nested", try_case_nested)
                                              : jobs_run(&options, "states", try_case));
}

int main(int argc, char **argv)
{
    static struct job own; /* without other processes */
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tortures[] = {cmocka_unit_test(torture)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_of_up_to_three_steps),
        cmocka_unit_test(longer_histories),
        cmocka_unit_test(segments_that_roll),
        cmocka_unit_test(rings_that_wrap),
        cmocka_unit_test(threads_in_any_order),
        cmocka_unit_test(second_lives),
        cmocka_unit_test(lives_behind_dead_segments),
        cmocka_unit_test(writes_that_are_cut_short),
        cmocka_unit_test(every_way_to_take_space),
        cmocka_unit_test(logs_of_format_1),
        cmocka_unit_test(a_machine_that_lies_is_noticed),
        cmocka_unit_test(the_longest_histories_come_scattered_and_each_once),
    };
    int failed;

    explorer_totals.job = &own;
    if (getenv("NORI_CRASH_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    explorer_totals.counts_nested = argc > 1 && strcmp(argv[1], "nested") == 0;
    if (explorer_totals.counts_nested || (argc > 1 && strncmp(argv[1], "--", 2) == 0)) {
        torture_parse(argc, argv, &options);
        return cmocka_run_group_tests(tortures, NULL, NULL);
    }
    ONLY_MATCHING(argc, argv, tests, " | [nested] --count N ...");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (explorer_totals.seconds > 0)
        print_totals();
    return failed;
}
