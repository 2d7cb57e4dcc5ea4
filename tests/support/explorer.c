/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* explorer.c: a history, and every state that a crash can leave of it, recovered and looked at. */
#include "explorer.h"

#include "known.h"
#include "outcomes.h"
#include "repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NESTED_ALL    16
#define NESTED_RANDOM 3
#define GO_ON_EVERY   8 /* of so many states one is appended to */

/* Of some machines. */
#define SPURIOUS_PERCENT 20
#define SYNC_NS          ((uint64_t)1000000)

struct explorer_effort explorer_effort = {512, 48, 60};
struct explorer_totals explorer_totals;

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
    atomic_fetch_add(&explorer_totals.job->looked, 1);
    if (is_nested == explorer_totals.counts_nested)
        sketch_add(&explorer_totals.job->sketch, digest);
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
    explorer_totals.nested++;
    count_state(digest ^ event, true);
    return nested->depth > 1 && explorer_totals.nested % explorer_effort.nested_every == 0;
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
    if (looked_at % explorer_effort.nested_every == 0 || explorer->only_outcome)
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
        explorer_totals.kills++;
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
    explorer_totals.points++;
    explorer->operation = operation;
    expected_note(&explorer->expected, &explorer->history->workload, &explorer->run.oracle);
    explorer->is_broken = !kill_here(explorer, sim, &shown_durable);
    outcomes_init(&outcomes, sim, explorer_effort.outcomes_all, explorer_effort.outcomes_random,
                  operation * 1000);
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
    if (history->order_seed % 4 == 1)
        options->spurious_percent = SPURIOUS_PERCENT;
    if (history->order_seed % 8 >= 6)
        options->sync_latency_ns = SYNC_NS;
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
    set_machine(explorer, 0, &options);
    if (!run_crash(&explorer->run, step == 'K' ? ORACLE_PROCESS_CRASH : ORACLE_POWER_CUT,
                   options.seed))
        return false;
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
        if (explorer_totals.is_worker)
            _exit(1);
        fail();
    }
}

/* Run all steps, and explore every point of the last. */
static void explore_last_step(struct explorer *explorer)
{
    explorer_totals.histories++;
    (void)is_chosen(explorer, "run"); /* should it fail before a crash is looked at */
    begin(explorer, 0);
    (void)take_steps(explorer, true);
    explore_point(explorer, explorer->run.sim, nori_sim_operations(explorer->run.sim) + 1);
}

void explorer_run(const struct history *history, const char *only_outcome, uint64_t only_operation)
{
    struct explorer explorer = {
        .history = history, .only_outcome = only_outcome, .only_operation = only_operation};

    explore_last_step(&explorer);
    end(&explorer);
}

bool explorer_finds_fault(const struct history *history)
{
    struct explorer explorer = {.history = history};

    explore_last_step(&explorer);
    finish(&explorer);
    return explorer.is_broken;
}

void explorer_run_partly(struct history history, const char *only_outcome, uint64_t only_operation)
{
    struct explorer whole = {.history = &history};
    uint64_t first, last;

    history.sim_flags |= NORI_SIM_CRASH_PARTLY;
    begin(&whole, 0);
    first = take_steps(&whole, false) + 1;
    last = nori_sim_operations(whole.run.sim);
    end(&whole);
    explorer_totals.histories++;
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
