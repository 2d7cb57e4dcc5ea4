/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_crash_states.c: every state that a crash can leave of small histories, recovered and looked
 * at (D1-D6, D11).
 *
 * A history runs once. Before every operation of its last step (its earlier steps are the last ones
 * of shorter histories), and behind it, the machine is cloned: as kill -9 leaves it, and as a power
 * cut may leave it, every such disk if they are few, else some by seed. Each clone is read without
 * a writer, opened, read, crashed again right after open returned, and opened again; some are
 * crashed during recovery, too, and some are appended to.
 *
 * A failure prints a line that repeats it. NORI_SHARE=PERCENT does less or more than the default.
 * With arguments it is a part of `make torture` (support/torture.h): all histories of up to six
 * steps, and others by seed, for hours. With `nested` before them it crashes each recovery.
 */
#include "../support/jobs.h"
#include "../support/known.h"
#include "../support/outcomes.h"
#include "../support/repeat.h"
#include "../support/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NESTED_ALL    16
#define NESTED_RANDOM 3
#define GO_ON_EVERY   8 /* of so many states one is appended to */

#define STEPS_MAX     12

struct history {
    struct workload workload;
    uint32_t sim_flags;
    uint64_t order_seed; /* of the order of threads; 0: the workload's */
    char steps[STEPS_MAX + 1];
};

/* How much is tried. */
static struct effort {
    uint64_t outcomes_all;    /* all of a power cut's outcomes if there are no more */
    uint64_t outcomes_random; /* as many by seed, if there are */
    uint64_t nested_every;    /* of so many states one is crashed during recovery */
} effort = {512, 48, 60};

/* What all tests share. */
struct totals {
    struct job *job;    /* counts what is looked at */
    bool counts_nested; /* only what a crash during recovery left */
    uint64_t histories;
    uint64_t points;
    uint64_t kills;
    uint64_t nested;
    double seconds;
};
static struct totals totals;
static bool is_worker; /* it is a process of jobs.c */

/* One history being explored. */
struct explorer {
    const struct history *history;
    struct run run;
    struct expected expected; /* at this point */
    bool is_watching;
    bool is_broken;
    const char *only_outcome; /* when one is repeated; else NULL */
    uint64_t only_operation;
    uint64_t operation;
    char why[ORACLE_WHY_LEN];
};

/* ---- states ---- */

static void count_state(uint64_t digest, bool is_nested)
{
    atomic_fetch_add(&totals.job->looked, 1);
    if (is_nested == totals.counts_nested)
        sketch_add(&totals.job->sketch, digest);
}

static bool complain(struct explorer *explorer, const char *what, const char *why)
{
    return oracle_complain(explorer->why, "%.60s: %.130s", what, why);
}

static bool is_same(const struct oracle_found *a, const struct oracle_found *b)
{
    bool is_empty = a->front == a->end;

    return is_empty ? b->front == b->end : a->front == b->front && a->end == b->end;
}

/* Open a writer: it must work, and tell and show what is there. */
static bool open_and_read(struct explorer *explorer, nori_sim *sim, const struct oracle *oracle,
                          nori_wal **ret_wal, struct oracle_found *ret_found)
{
    struct nori_wal_config config = workload_config(&explorer->history->workload, sim);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position oldest = {0, 0};
    char why[ORACLE_WHY_LEN];
    nori_reader *reader = NULL;
    bool is_good;
    int rc = nori_wal_open(&config, ret_wal, &info, &error);

    if (rc < 0)
        return complain(explorer, "open refuses", error.message);
    rc = nori_wal_read_from(*ret_wal, oldest, &reader);
    if (rc < 0)
        return complain(explorer, "reading what was recovered", nori_error_name(rc));
    is_good = oracle_read(oracle, reader, ret_found, why);
    nori_reader_close(reader);
    if (!is_good)
        return complain(explorer, "recovered", why);
    if (info.corruption_detected)
        return complain(explorer, "recovery reports damage", info.message);
    if (info.valid_records != ret_found->end - ret_found->front)
        return oracle_complain(explorer->why, "recovery reports %llu records and shows %zu",
                               (unsigned long long)info.valid_records,
                               ret_found->end - ret_found->front);
    if (info.valid_records > 0 &&
        (info.last_valid_position.segment_id != ret_found->last.segment_id ||
         info.last_valid_position.offset != ret_found->last.offset))
        return complain(explorer, "recovery reports another last position", info.message);
    return true;
}

/* Open, read, close. */
static bool recover(struct explorer *explorer, nori_sim *sim, const struct oracle *oracle,
                    struct oracle_found *ret_found)
{
    nori_wal *wal = NULL;
    bool is_good = open_and_read(explorer, sim, oracle, &wal, ret_found);

    if (nori_wal_close(wal) < 0 && is_good)
        return complain(explorer, "closing what was recovered", "it fails");
    return is_good;
}

/* ---- crashes during recovery ---- */

struct nested {
    struct explorer *explorer;
    const struct oracle_found *expected; /* NULL: whatever the oracle allows */
    enum oracle_event event;
    uint32_t depth;
};

static void crash_recovery(struct explorer *explorer, nori_sim *state,
                           const struct oracle_found *expected, enum oracle_event event,
                           uint32_t depth);

static bool judge_nested(const struct nested *nested, const struct oracle_found *found,
                         enum oracle_event event)
{
    struct explorer *explorer = nested->explorer;
    char why[ORACLE_WHY_LEN];

    if (nested->expected && !is_same(nested->expected, found))
        return oracle_complain(
            explorer->why, "after a crash in recovery [%zu, %zu) is there, not [%zu, %zu)",
            found->front, found->end, nested->expected->front, nested->expected->end);
    if (!oracle_expect(&explorer->run.oracle, found, event, why))
        return complain(explorer, "after a crash in recovery", why);
    return true;
}

/* Count it; true if its recovery shall be crashed, too. */
static bool count_nested(const struct nested *nested, uint64_t digest, enum oracle_event event)
{
    totals.nested++;
    count_state(digest ^ event, true);
    return nested->depth > 1 && totals.nested % effort.nested_every == 0;
}

static bool look_at_nested(const struct nested *nested, nori_sim *after, uint64_t digest,
                           enum oracle_event event, bool is_crashed)
{
    struct explorer *explorer = nested->explorer;
    struct oracle_found found;

    if (is_crashed)
        crash_recovery(explorer, after, nested->expected, event, nested->depth - 1);
    if (explorer->is_broken)
        return false;
    if (!known_find(&explorer->expected, digest, KNOWN_OPENED, &found, NULL)) {
        if (!recover(explorer, after, &explorer->run.oracle, &found))
            return false;
        known_add(&explorer->expected, digest, KNOWN_OPENED, &found, NULL);
    }
    return judge_nested(nested, &found, event);
}

static bool kill_nested(const struct nested *nested, nori_sim *sim)
{
    uint64_t digest = nori_sim_digest(sim);
    bool is_crashed = count_nested(nested, digest, nested->event);
    struct oracle_found found;
    nori_sim *after;
    bool is_good;

    /* Here only what it shows is looked at, not what of that is durable. */
    if (!is_crashed && known_find(&nested->explorer->expected, digest, KNOWN_OPENED, &found, NULL))
        return judge_nested(nested, &found, nested->event);
    nori_sim_crash_kill(sim, &after);
    is_good = look_at_nested(nested, after, digest, nested->event, is_crashed);
    nori_sim_free(after);
    return is_good;
}

static bool cut_nested(const struct nested *nested, const struct outcomes *outcomes, uint64_t i)
{
    uint64_t digest = outcomes_digest(outcomes, i);
    bool is_crashed = count_nested(nested, digest, ORACLE_POWER_CUT);
    struct oracle_found found;
    nori_sim *after;
    bool is_good;

    if (!is_crashed && known_find(&nested->explorer->expected, digest, KNOWN_OPENED, &found, NULL))
        return judge_nested(nested, &found, ORACLE_POWER_CUT);
    after = outcomes_make(outcomes, i);
    is_good = look_at_nested(nested, after, digest, ORACLE_POWER_CUT, is_crashed);
    nori_sim_free(after);
    return is_good;
}

static void before_nested_operation(void *context, nori_sim *sim, uint64_t operation)
{
    struct nested *nested = context;
    struct explorer *explorer = nested->explorer;
    struct outcomes outcomes;

    if (explorer->is_broken)
        return;
    explorer->is_broken = !kill_nested(nested, sim);
    outcomes_init(&outcomes, sim, NESTED_ALL, NESTED_RANDOM, operation * 1000);
    for (uint64_t i = 0; i < outcomes.count && !explorer->is_broken; i++)
        explorer->is_broken = !cut_nested(nested, &outcomes, i);
    outcomes_done(&outcomes);
}

/* Open a clone of `state`, and crash at every operation of that. */
static void crash_recovery(struct explorer *explorer, nori_sim *state,
                           const struct oracle_found *expected, enum oracle_event event,
                           uint32_t depth)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nested nested = {explorer, expected, event, depth};
    struct oracle_found found;
    nori_sim *clone;

    nori_sim_crash_kill(state, &clone);
    options.before_operation = before_nested_operation;
    options.context = &nested;
    nori_sim_set_options(clone, &options);
    if (!explorer->is_broken)
        explorer->is_broken = !recover(explorer, clone, &explorer->run.oracle, &found);
    options.before_operation = NULL;
    nori_sim_set_options(clone, &options);
    nori_sim_free(clone);
}

/* ---- one state ---- */

/* The log can be appended to (I5), by one writer only (D10). */
static bool go_on(struct explorer *explorer, nori_sim *sim, nori_wal *wal,
                  const struct oracle_found *found)
{
    struct nori_wal_config config = workload_config(&explorer->history->workload, sim);
    nori_wal *second = NULL;
    struct run run;
    nori_sim *after = NULL;
    struct oracle_found shown, later;
    char why[ORACLE_WHY_LEN];
    bool is_good;

    if (nori_wal_open(&config, &second, NULL, NULL) != NORI_E_LOCKED) {
        (void)nori_wal_close(second);
        return complain(explorer, "going on", "a second writer is not refused (D10)");
    }
    if (found->front == found->end)
        return true; /* how many there ever were is not known here */
    run_init(&run, &explorer->history->workload, sim);
    run.workload.policy = NORI_FSYNC_OS;
    oracle_copy(&run.oracle, &explorer->run.oracle);
    oracle_settle(&run.oracle, found, 0);
    run.oracle.next_identity += 1000;
    run.wal = wal;
    is_good = run_step(&run, 'b') && run_step(&run, 's');
    if (!is_good)
        (void)complain(explorer, "going on", run.why);
    if (is_good && run.oracle.durable != run.oracle.begun)
        is_good = complain(explorer, "going on", "append or sync failed");
    if (is_good) {
        (void)nori_sim_power_cut(sim, 0, &after);
        is_good =
            workload_read(&run.workload, after, &run.oracle, NORI_VISIBLE_APPENDED, &shown, why) ||
            complain(explorer, "going on, a reader before recovery", why);
        is_good = is_good && recover(explorer, after, &run.oracle, &later);
        if (is_good && !is_same(&shown, &later))
            is_good = oracle_complain(explorer->why,
                                      "going on, a reader shows [%zu, %zu), recovery [%zu, %zu)",
                                      shown.front, shown.end, later.front, later.end);
        if (is_good && !oracle_expect(&run.oracle, &later, ORACLE_POWER_CUT, why))
            is_good = complain(explorer, "going on", why);
        nori_sim_free(after);
    }
    run.wal = NULL; /* the caller's */
    run_done(&run);
    return is_good;
}

/* D5: what open reported is durable now. */
static bool check_durable(struct explorer *explorer, nori_sim *state,
                          const struct oracle_found *found)
{
    struct oracle_found again;
    nori_sim *after;
    uint64_t digest;
    bool is_good = true;

    (void)nori_sim_power_cut(state, 0, &after);
    digest = nori_sim_digest(after);
    if (!known_find(&explorer->expected, digest, KNOWN_OPENED, &again, NULL)) {
        is_good = recover(explorer, after, &explorer->run.oracle, &again);
        if (is_good)
            known_add(&explorer->expected, digest, KNOWN_OPENED, &again, NULL);
    }
    if (is_good && !is_same(&again, found))
        is_good = oracle_complain(explorer->why,
                                  "recovered [%zu, %zu), and after a power cut [%zu, %zu) (D5)",
                                  found->front, found->end, again.front, again.end);
    nori_sim_free(after);
    return is_good;
}

/* Recover `state` in all ways. event: what it is a crash of. */
static bool look_at(struct explorer *explorer, nori_sim *state, enum oracle_event event,
                    struct oracle_found *ret_found)
{
    const struct oracle *oracle = &explorer->run.oracle;
    static uint64_t looked_at;
    struct oracle_found before, found;
    char why[ORACLE_WHY_LEN];
    nori_wal *wal = NULL;
    bool is_good;

    looked_at++;
    if (!workload_read(&explorer->history->workload, state, oracle, NORI_VISIBLE_APPENDED, &before,
                       why))
        return complain(explorer, "a reader before recovery", why);
    if (looked_at % effort.nested_every == 0 || explorer->only_outcome)
        crash_recovery(explorer, state, event == ORACLE_POWER_CUT ? &before : NULL, event, 2);
    is_good = !explorer->is_broken && open_and_read(explorer, state, oracle, &wal, &found);
    if (is_good && !is_same(&before, &found))
        is_good = oracle_complain(explorer->why,
                                  "a reader before recovery shows [%zu, %zu), recovery [%zu, %zu)",
                                  before.front, before.end, found.front, found.end);
    is_good = is_good && check_durable(explorer, state, &found);
    if (is_good && (looked_at % GO_ON_EVERY == 0 || explorer->only_outcome))
        is_good = go_on(explorer, state, wal, &found);
    (void)nori_wal_close(wal);
    if (is_good)
        *ret_found = found;
    return is_good;
}

static bool expect(struct explorer *explorer, const struct oracle_found *found,
                   enum oracle_event event, const struct oracle_found *shown_durable)
{
    char why[ORACLE_WHY_LEN];

    if (found->end > explorer->run.oracle.begun)
        return oracle_complain(explorer->why, "%zu records are there, %zu were appended",
                               found->end, explorer->run.oracle.begun);
    if (!oracle_expect(&explorer->run.oracle, found, event, why))
        return complain(explorer, event == ORACLE_POWER_CUT ? "power cut" : "kill", why);
    if (shown_durable->end > shown_durable->front && found->end > found->front &&
        found->end < shown_durable->end)
        return oracle_complain(explorer->why,
                               "readers were shown %zu records as durable, %zu survived",
                               shown_durable->end, found->end);
    if (shown_durable->end > shown_durable->front && found->end == found->front &&
        shown_durable->end > explorer->run.oracle.dropping)
        return oracle_complain(explorer->why,
                               "readers were shown %zu records as durable, none survived",
                               shown_durable->end);
    return true;
}

/* ---- one crash point ---- */

static bool is_chosen(struct explorer *explorer, const char *outcome)
{
    const struct workload *workload = &explorer->history->workload;

    if (explorer->only_outcome && strcmp(explorer->only_outcome, outcome) != 0)
        return false;
    repeat_with("NORI_CRASH_REPEAT=%u.%u.%u.%u.%u.%u.%llu.%llu.%s:%llu:%s ./test_crash_states",
                workload->format, workload->policy, workload->preallocate, workload->verify,
                explorer->history->workload.switch_percent, explorer->history->sim_flags,
                (unsigned long long)workload->seed,
                (unsigned long long)explorer->history->order_seed, explorer->history->steps,
                (unsigned long long)explorer->operation, outcome);
    return true;
}

/* Look at what a kill leaves, and before at what readers are shown as durable. */
static bool look_at_kill(struct explorer *explorer, nori_sim *after, bool is_wanted,
                         struct oracle_found *ret_found, struct oracle_found *ret_durable)
{
    uint64_t digest = known_kill_digest(after);
    char why[ORACLE_WHY_LEN];

    if (!explorer->only_outcome &&
        known_find(&explorer->expected, digest, KNOWN_LOOKED, ret_found, ret_durable))
        return true;
    if (!workload_read(&explorer->history->workload, after, &explorer->run.oracle,
                       NORI_VISIBLE_DURABLE, ret_durable, why))
        return complain(explorer, "a reader of what is durable", why);
    if (!is_wanted)
        return true;
    if (!look_at(explorer, after, ORACLE_PROCESS_CRASH, ret_found))
        return false;
    known_add(&explorer->expected, digest, KNOWN_LOOKED, ret_found, ret_durable);
    return true;
}

static bool kill_here(struct explorer *explorer, nori_sim *sim, struct oracle_found *ret_durable)
{
    bool is_wanted = is_chosen(explorer, "kill");
    struct oracle_found found;
    nori_sim *after;
    bool is_good;

    nori_sim_crash_kill(sim, &after);
    if (is_wanted) {
        totals.kills++;
        count_state(nori_sim_digest(after) ^ ORACLE_PROCESS_CRASH, false);
    }
    is_good = look_at_kill(explorer, after, is_wanted, &found, ret_durable);
    if (is_good && is_wanted)
        is_good = expect(explorer, &found, ORACLE_PROCESS_CRASH, ret_durable);
    nori_sim_free(after);
    return is_good;
}

static bool cut_here(struct explorer *explorer, const struct outcomes *outcomes, uint64_t i,
                     const struct oracle_found *shown_durable)
{
    uint64_t digest = outcomes_digest(outcomes, i);
    struct oracle_found found;
    nori_sim *after;
    char name[32];
    bool is_good;

    count_state(digest ^ ORACLE_POWER_CUT, false);
    if (!explorer->only_outcome &&
        known_find(&explorer->expected, digest, KNOWN_LOOKED, &found, NULL) &&
        expect(explorer, &found, ORACLE_POWER_CUT, shown_durable))
        return true;
    outcomes_name(outcomes, i, name);
    if (!is_chosen(explorer, name))
        return true;
    after = outcomes_make(outcomes, i);
    is_good = look_at(explorer, after, ORACLE_POWER_CUT, &found);
    nori_sim_free(after);
    if (is_good)
        known_add(&explorer->expected, digest, KNOWN_LOOKED, &found, NULL);
    return is_good && expect(explorer, &found, ORACLE_POWER_CUT, shown_durable);
}

/* Try what a crash can leave right now. */
static void explore_point(struct explorer *explorer, nori_sim *sim, uint64_t operation)
{
    struct oracle_found shown_durable;
    struct outcomes outcomes;

    if (explorer->is_broken || (explorer->only_outcome && operation != explorer->only_operation))
        return;
    totals.points++;
    explorer->operation = operation;
    expected_note(&explorer->expected, &explorer->history->workload, &explorer->run.oracle);
    explorer->is_broken = !kill_here(explorer, sim, &shown_durable);
    outcomes_init(&outcomes, sim, effort.outcomes_all, effort.outcomes_random, operation * 1000);
    for (uint64_t i = 0; i < outcomes.count && !explorer->is_broken; i++)
        explorer->is_broken = !cut_here(explorer, &outcomes, i, &shown_durable);
    outcomes_done(&outcomes);
}

static void before_operation(void *context, nori_sim *sim, uint64_t operation)
{
    struct explorer *explorer = context;

    if (explorer->is_watching)
        explore_point(explorer, sim, operation);
}

/* ---- one history ---- */

static void set_machine(struct explorer *explorer, uint64_t crash_at,
                        struct nori_sim_options *options)
{
    const struct history *history = explorer->history;

    *options = (struct nori_sim_options)NORI_SIM_OPTIONS_INIT;
    options->seed = history->order_seed ? history->order_seed : history->workload.seed;
    options->switch_percent = history->workload.switch_percent;
    options->flags = history->sim_flags | (explorer->only_outcome ? NORI_SIM_TRACE : 0);
    options->crash_at = crash_at;
    options->before_operation = before_operation;
    options->context = explorer;
}

static void begin(struct explorer *explorer, uint64_t crash_at)
{
    struct nori_sim_options options;

    set_machine(explorer, crash_at, &options);
    options.seed = explorer->history->workload.seed; /* random bytes do not differ with the order */
    run_init(&explorer->run, &explorer->history->workload, nori_sim_new(&options));
    set_machine(explorer, crash_at, &options);
    nori_sim_set_options(explorer->run.sim, &options);
}

/* K: kill -9. X: power cut. Operations are counted anew then. */
static bool take_step(struct explorer *explorer, char step)
{
    struct nori_sim_options options;

    if (step != 'K' && step != 'X')
        return run_step(&explorer->run, step);
    if (!run_crash(&explorer->run, step == 'K' ? ORACLE_PROCESS_CRASH : ORACLE_POWER_CUT,
                   explorer->history->workload.seed))
        return false;
    set_machine(explorer, 0, &options);
    nori_sim_set_options(explorer->run.sim, &options);
    return true;
}

/* Take all steps. Returns the number of operations before the last. */
static uint64_t take_steps(struct explorer *explorer, bool is_watched)
{
    const char *steps = explorer->history->steps;
    size_t count = strlen(steps);
    uint64_t before_last = 0;

    for (size_t i = 0; i < count && !explorer->is_broken; i++) {
        bool is_good;

        explorer->is_watching = is_watched && i + 1 == count;
        before_last = nori_sim_operations(explorer->run.sim);
        is_good = take_step(explorer, steps[i]);
        if (!is_good && !explorer->is_broken)
            explorer->is_broken = !complain(explorer, "running", explorer->run.why);
    }
    return before_last;
}

static void finish(struct explorer *explorer)
{
    nori_sim *sim = explorer->run.sim;

    explorer->is_watching = false;
    run_done(&explorer->run);
    nori_sim_free(sim);
}

static void end(struct explorer *explorer)
{
    finish(explorer);
    if (explorer->is_broken) {
        print_message("%s\n", explorer->why);
        repeat_print();
        if (is_worker)
            _exit(1);
        fail();
    }
}

/* Run all steps, and explore every point of the last. */
static void explore_last_step(struct explorer *explorer)
{
    totals.histories++;
    (void)is_chosen(explorer, "run"); /* should it fail before a crash is looked at */
    begin(explorer, 0);
    (void)take_steps(explorer, true);
    explore_point(explorer, explorer->run.sim, nori_sim_operations(explorer->run.sim) + 1);
}

static void explore(const struct history *history, const char *only_outcome,
                    uint64_t only_operation)
{
    struct explorer explorer = {
        .history = history, .only_outcome = only_outcome, .only_operation = only_operation};

    explore_last_step(&explorer);
    end(&explorer);
}

/* Let the machine die in the middle of each write of the last step, and see that the calls return.
 */
static void explore_partly(struct history history, const char *only_outcome,
                           uint64_t only_operation)
{
    struct explorer whole = {.history = &history};
    uint64_t first, last;

    history.sim_flags |= NORI_SIM_CRASH_PARTLY;
    begin(&whole, 0);
    first = take_steps(&whole, false) + 1;
    last = nori_sim_operations(whole.run.sim);
    end(&whole);
    totals.histories++;
    for (uint64_t operation = first; operation <= last; operation++) {
        struct explorer explorer = {
            .history = &history, .only_outcome = only_outcome, .only_operation = operation};

        if (only_outcome && operation != only_operation)
            continue;
        explorer.operation = operation;
        (void)is_chosen(&explorer, "dying");
        explorer.only_outcome = only_outcome;
        begin(&explorer, operation);
        (void)take_steps(&explorer, false);
        explore_point(&explorer, explorer.run.sim, operation);
        end(&explorer);
    }
}

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
        explore(&next, NULL, 0);
    }
    totals.seconds += repeat_now() - begun;
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
        explore_partly(history, NULL, 0);
    }
    totals.seconds += repeat_now() - begun;
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
        struct explorer explorer = {.history = &history};

        history.sim_flags = lies[i];
        memcpy(history.steps, "as", 3);
        explore_last_step(&explorer);
        finish(&explorer);
        assert_true(explorer.is_broken);
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
    effort.outcomes_all = strncmp(outcome, "cut", 3) == 0 ? UINT64_MAX : 0;
    effort.outcomes_random = 1000; /* more than anybody tries */
    if (history.sim_flags & NORI_SIM_CRASH_PARTLY)
        explore_partly(history, outcome, operation);
    else
        explore(&history, outcome, operation);
}

static void print_totals(void)
{
    uint64_t states = sketch_count(&totals.job->sketch);

    print_message("crash states: about %llu different ones in %.1f s (%.0f a second of one "
                  "processor), of %llu histories at %llu points; %llu kills, %llu crashes during "
                  "recovery\n",
                  (unsigned long long)states, totals.seconds, (double)states / repeat_cpu(),
                  (unsigned long long)totals.histories, (unsigned long long)totals.points,
                  (unsigned long long)totals.kills, (unsigned long long)totals.nested);
}

/* ---- hours of it ---- */

static struct torture_options options = {0, 1, 0, 0};

/* All histories of one step under each policy, then all of two steps, and so on up to six. False:
 * there are no more. The longer they are, the more of them there are, and the fewer outcomes are
 * tried of each: all if they are at most these powers of two, else 64 by seed. */
static bool number_to_history(uint64_t number, struct history *history)
{
    static const uint32_t bits[] = {16, 16, 16, 12, 9, 8};
    uint64_t all = 3;

    for (size_t len = 1; len <= sizeof bits / sizeof bits[0]; len++) {
        all *= strlen(WORKLOAD_STEPS);
        if (number < all) {
            history->workload.policy = (uint32_t)(number % 3);
            spell(history, WORKLOAD_STEPS, len, number / 3);
            effort.outcomes_all = UINT64_C(1) << bits[len - 1];
            return true;
        }
        number -= all;
    }
    return false;
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
    effort.outcomes_all = UINT64_C(1) << 10;
}

/* One of them all and one that is drawn, in turn. */
static bool try_case(struct job *job, uint64_t number)
{
    struct history history = small_steps;

    is_worker = true;
    totals.job = job;
    effort.outcomes_random = 64;
    if (number % 2 != 0 || !number_to_history(number / 2, &history))
        draw_history(options.seed + number, &history);
    explore(&history, NULL, 0);
    return true;
}

static bool try_case_nested(struct job *job, uint64_t number)
{
    totals.counts_nested = true;
    effort.nested_every = 1 + number % 7;
    return try_case(job, number);
}

static void torture(void **state)
{
    (void)state;
    assert_true(totals.counts_nested ? jobs_run(&options, "nested", try_case_nested)
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
        cmocka_unit_test(writes_that_are_cut_short),
        cmocka_unit_test(every_way_to_take_space),
        cmocka_unit_test(logs_of_format_1),
        cmocka_unit_test(a_machine_that_lies_is_noticed),
    };
    int failed;

    totals.job = &own;
    if (getenv("NORI_CRASH_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    if (argc > 1 && strcmp(argv[1], "nested") == 0) {
        totals.counts_nested = true;
        argc--;
        argv++;
    }
    if (totals.counts_nested || (argc > 1 && strncmp(argv[1], "--", 2) == 0)) {
        torture_parse(argc, argv, &options);
        return cmocka_run_group_tests(tortures, NULL, NULL);
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* such as '*roll*' */
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (totals.seconds > 0)
        print_totals();
    return failed;
}
