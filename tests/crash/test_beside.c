/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_beside.c: readers beside a recovery (D2, D6, D11).
 *
 * A power cut leaves any mix of what was written since the last sync, and in `control` any mix of
 * the words of the life that ended. While the next open judges that, readers look at the same
 * files: they must not be shown what this open cuts off, nor be told that a torn tail is damage.
 * Machines are crashed at drawn moments of drawn histories; at each call that open makes of the
 * seam a reader that follows looks for more, and another one opens and reads all there is. Then the
 * other way around: at each call that a reader makes a whole open and a few appends go by.
 *
 * A failure prints a line that repeats it.
 */
#include "../api/helpers.h"
#include "../support/between.h"
#include "../support/repeat.h"

#include <nori/sim.h>

#define RING_LEN     ((size_t)64 << 10)
#define RING_COUNT   20
#define BATCH_LEN    3
#define DEPTH        3 /* recoveries, each of which the next crash ends */
#define NEW          4 /* records appended after the recovery */
#define FOLLOWERS    3
#define CALLS_MAX    100000
#define PUBLISHED_AT 64 /* in `control`: the words published and written (docs/architecture.md) */

static uint64_t states;
static uint64_t steps;
static bool is_running;

/* ---- drawing ---- */

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

static struct nori_wal_config config_over(const struct nori_vfs *vfs)
{
    struct nori_wal_config config = config_of("wal");

    config.vfs = vfs;
    config.buffer_size = RING_LEN;
    return config;
}

/* ---- readers ---- */

struct follower {
    nori_reader *reader; /* NULL: there is no log yet */
    uint64_t next;       /* number that it must show next */
    bool is_waiting;     /* it asks by nori_reader_wait */
    struct nori_reader_config config;
};

static struct follower follower_on(const struct nori_vfs *vfs, uint64_t kind)
{
    struct follower follower = {.next = 1, .is_waiting = kind == 1};

    follower.config = (struct nori_reader_config)NORI_READER_CONFIG_INIT;
    follower.config.vfs = vfs;
    follower.config.visibility = kind == 2 ? NORI_VISIBLE_DURABLE : NORI_VISIBLE_APPENDED;
    follower.config.flags = kind == 1 ? NORI_READER_PREAD : 0;
    return follower;
}

static void follower_open(struct follower *follower, struct nori_position position)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    if (follower->reader)
        return;
    rc = nori_reader_open_with("wal", &follower->config, position, &follower->reader, &error);
    if (rc != NORI_OK && (rc != NORI_E_NOTFOUND || follower->next > 1))
        fail_msg("a reader cannot be opened: %s: %s", nori_error_name(rc), error.message);
}

/* Read on to the end. Any other answer than a record, in order, or the end is wrong. */
static void follow(struct follower *follower)
{
    struct nori_record record;
    uint64_t number = 0;
    int rc = NORI_OK;

    while (follower->reader) {
        if (follower->is_waiting) {
            rc = nori_reader_wait(follower->reader, 0);
            if (rc == NORI_E_TIMEOUT)
                return;
        }
        rc = nori_reader_next(follower->reader, &record, NULL);
        if (rc == NORI_END)
            return;
        if (rc < 0)
            fail_msg("before record %llu a reader is told %s", (unsigned long long)follower->next,
                     nori_error_name(rc));
        assert_true(is_numbered(&record, &number));
        assert_int_equal(number, follower->next);
        follower->next++;
    }
}

static void follower_close(struct follower *follower)
{
    if (follower->reader)
        nori_reader_close(follower->reader);
    follower->reader = NULL;
}

static int hear_nothing(void *context, const struct nori_log_item *item)
{
    (void)context, (void)item;
    return 0;
}

/* There is no damage, so none may be told. */
static void verify_on(const struct nori_vfs *vfs)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    options.vfs = vfs;
    rc = nori_log_verify("wal", &options, hear_nothing, NULL, &error);
    if (rc != NORI_OK && rc != NORI_E_NOTFOUND)
        fail_msg("verify says %s: %s", nori_error_name(rc), error.message);
}

/* ---- a recovery, with readers at each of its calls ---- */

struct beside {
    nori_sim *sim;
    uint64_t seed;
    uint64_t must; /* records that a reader is to show at any time (D2) */
    uint64_t kept; /* records that the recovery kept; UINT64_MAX: it is under way */
    uint64_t shown;
    struct follower followers[FOLLOWERS];
    nori_sim *crashed;  /* at one of these calls; NULL: not yet */
    bool was_cut;       /* that was a power cut */
    uint64_t must_then; /* else: `must` of that */
};

/* What a crash of this very moment leaves, for the next one to recover. */
static void maybe_crash(struct beside *beside)
{
    if (beside->crashed || draw(&beside->seed, 40) != 0)
        return;
    beside->was_cut = draw(&beside->seed, 2) == 0;
    if (beside->was_cut)
        nori_sim_power_cut_random(beside->sim, beside->seed, &beside->crashed);
    else
        nori_sim_crash_kill(beside->sim, &beside->crashed);
    beside->must_then = beside->kept == UINT64_MAX ? beside->must : beside->kept;
}

static void look(void *context)
{
    struct beside *beside = context;
    struct follower anew = follower_on(nori_sim_vfs(beside->sim), draw(&beside->seed, FOLLOWERS));

    steps++;
    maybe_crash(beside);
    for (size_t i = 0; i < FOLLOWERS; i++) {
        follower_open(&beside->followers[i], OLDEST);
        follow(&beside->followers[i]);
        if (beside->followers[i].next - 1 > beside->shown)
            beside->shown = beside->followers[i].next - 1;
    }
    follower_open(&anew, OLDEST);
    follow(&anew);
    if (anew.next - 1 > beside->shown)
        beside->shown = anew.next - 1;
    if (anew.config.visibility == NORI_VISIBLE_APPENDED && anew.next - 1 < beside->must)
        fail_msg("a reader shows %llu records, and %llu were appended",
                 (unsigned long long)(anew.next - 1), (unsigned long long)beside->must);
    follower_close(&anew);
    if (draw(&beside->seed, 8) == 0)
        verify_on(nori_sim_vfs(beside->sim));
}

/* Open, append, sync, close, looking on at each call. */
static void recover_beside_readers(struct beside *beside)
{
    struct between between = {.before_call = look, .context = beside};
    struct nori_wal_config config = config_over(between_begin(nori_sim_vfs(beside->sim), &between));
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    for (size_t i = 0; i < FOLLOWERS; i++)
        beside->followers[i] = follower_on(nori_sim_vfs(beside->sim), i);
    if (nori_wal_open(&config, &wal, &info, &error) < 0)
        fail_msg("it does not open: %s", error.message);
    if (beside->shown > info.valid_records)
        fail_msg("readers were shown %llu records, of which recovery kept %llu",
                 (unsigned long long)beside->shown, (unsigned long long)info.valid_records);
    assert_true(info.valid_records >= beside->must);
    beside->kept = info.valid_records;
    look(beside);
    for (size_t i = 0; i < FOLLOWERS; i++)
        assert_int_equal(beside->followers[i].next, info.valid_records + 1);
    append_range(wal, info.valid_records + 1, NEW, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    look(beside);
    close_log(wal);
    for (size_t i = 0; i < FOLLOWERS; i++) {
        assert_int_equal(beside->followers[i].next, info.valid_records + NEW + 1);
        follower_close(&beside->followers[i]);
    }
}

/* What a crash left is recovered; so is what a crash of that leaves, and so on. */
static void check_state(nori_sim *sim, uint64_t seed, uint64_t must)
{
    for (int depth = 0; sim && depth < DEPTH; depth++) {
        struct beside beside = {.sim = sim, .seed = seed + (uint64_t)depth, .must = must};

        states++;
        beside.kept = UINT64_MAX;
        recover_beside_readers(&beside);
        nori_sim_free(sim);
        sim = beside.crashed;
        must = beside.was_cut ? 0 : beside.must_then;
    }
    if (sim)
        nori_sim_free(sim);
}

/* ---- histories ---- */

struct history {
    nori_sim *sim;
    nori_wal *wal;
    uint64_t seed;
    uint64_t count;    /* records appended */
    uint64_t one_of;   /* operations, which is crashed */
    bool is_by_kill;   /* else by a power cut */
    bool is_other_way; /* the open goes by at each call of a reader */
};

static void check_other_way(nori_sim *sim, uint64_t seed);

static void crash_now_and_then(void *context, nori_sim *sim, uint64_t operation)
{
    struct history *history = context;
    nori_sim *after = NULL;

    (void)operation;
    if (draw(&history->seed, history->one_of) != 0)
        return;
    if (history->is_by_kill)
        nori_sim_crash_kill(sim, &after);
    else
        nori_sim_power_cut_random(sim, history->seed, &after);
    if (history->is_other_way)
        check_other_way(after, history->seed);
    else
        check_state(after, history->seed, history->is_by_kill ? history->count : 0);
}

static void append_batch(struct history *history, size_t value_len)
{
    struct numbered memory[BATCH_LEN];
    struct nori_record records[BATCH_LEN];

    for (size_t i = 0; i < BATCH_LEN; i++)
        records[i] = make_numbered(&memory[i], history->count + 1 + i, value_len);
    assert_int_equal(nori_wal_append_batch(history->wal, records, BATCH_LEN, NULL), NORI_OK);
    history->count += BATCH_LEN;
}

/* Long records fill segments and the ring. */
static void append_some(struct history *history, uint64_t count, bool is_long)
{
    for (uint64_t i = 0; i < count; i++) {
        size_t len = is_long ? NUMBERED_VALUE_MAX - 100 : draw(&history->seed, 600);

        if (draw(&history->seed, 4) == 0) {
            append_batch(history, len);
            continue;
        }
        (void)append_numbered(history->wal, history->count + 1, len);
        history->count++;
    }
}

/* Kill the process; another one opens the log. */
static void live_again(struct history *history, struct nori_wal_config *config,
                       const struct nori_sim_options *options)
{
    nori_sim *after = NULL;
    nori_sim *before = history->sim;
    struct nori_sim_options none = NORI_SIM_OPTIONS_INIT;

    nori_sim_set_options(before, &none);
    nori_sim_crash_kill(before, &after);
    close_log(history->wal);
    nori_sim_free(before);
    history->sim = after;
    nori_sim_set_options(after, options);
    config->vfs = nori_sim_vfs(after);
    history->wal = open_log(config);
}

static void run_history(struct history *history)
{
    static const uint32_t policies[] = {NORI_FSYNC_OS, NORI_FSYNC_BATCH, NORI_FSYNC_ALWAYS};
    static const uint32_t ways[] = {NORI_PREALLOCATE_OFF, NORI_PREALLOCATE_RESERVE,
                                    NORI_PREALLOCATE_ZERO};
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    bool is_long = draw(&history->seed, 5) == 0 && !history->is_other_way;
    struct nori_wal_config config;

    history->one_of = is_long ? 500 : 15;
    options.seed = history->seed;
    options.mapped_versions_max = 4; /* the words in `control` are of any age */
    options.before_operation = crash_now_and_then;
    options.context = history;
    history->sim = nori_sim_new(&options);
    config = config_over(nori_sim_vfs(history->sim));
    config.fsync_policy = policies[draw(&history->seed, 3)];
    config.preallocate = ways[draw(&history->seed, 3)];
    history->wal = open_log(&config);
    for (uint64_t life = 0; life < 3; life++) {
        for (uint64_t round = 0; round < 3; round++) {
            append_some(history, is_long ? 40 : 1 + draw(&history->seed, 6), is_long);
            if (draw(&history->seed, 3) == 0)
                assert_int_equal(nori_wal_sync(history->wal), NORI_OK);
            if (draw(&history->seed, 2) == 0)
                nori_sim_sleep(history->sim, 10000000); /* it is written */
        }
        if (life < 2)
            live_again(history, &config, &options);
    }
    nori_sim_set_options(history->sim, &(struct nori_sim_options)NORI_SIM_OPTIONS_INIT);
    close_log(history->wal);
    nori_sim_free(history->sim);
}

static void run_histories(const char *test, uint64_t count, bool is_by_kill, bool is_other_way)
{
    states = steps = 0;
    for (uint64_t seed = 0; seed < repeat_share(count); seed++) {
        struct history history = {.seed = seed};

        history.is_by_kill = is_by_kill;
        history.is_other_way = is_other_way;
        repeat_with("test_beside, %s, history %llu", test, (unsigned long long)seed);
        is_running = true;
        run_history(&history);
        is_running = false;
    }
    print_message("# %s: %llu crashes, %llu calls\n", test, (unsigned long long)states,
                  (unsigned long long)steps);
    assert_true(states > 0 && steps > states);
}

/* D6, D11: what is shown stays, and a torn tail is the end. */
static void no_reader_beside_a_recovery_is_shown_what_it_cuts_off(void **state)
{
    (void)state;
    run_histories(__func__, 24, false, false);
}

/* D2: and what a killed process had appended is shown all the time. */
static void readers_beside_a_recovery_miss_nothing_that_a_killed_process_appended(void **state)
{
    (void)state;
    run_histories(__func__, 16, true, false);
}

static void shorten_segment(nori_sim *sim, uint64_t bytes)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;

    assert_int_equal(vfs->open_folder(vfs->context, "wal", 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, "000000.wal", NORI_FILE_WRITE, 0, &file), 0);
    assert_int_equal(file->ops->truncate(file, bytes), 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

/* D9, D11: a power cut may leave records in the ring and take back the space that their segment had
 * for them. Recovery leaves those behind, whatever the words beside them say. */
static void what_recovery_leaves_in_the_ring_is_not_shown_beside_it(void **state)
{
    (void)state;
    for (uint64_t reached = 2; reached <= RING_COUNT; reached++) {
        struct nori_position positions[RING_COUNT + 1];
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_over(nori_sim_vfs(sim));
        nori_wal *wal = open_log(&config);
        nori_sim *after = NULL;

        positions[1] = append_numbered(wal, 1, 100);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        for (uint64_t number = 2; number <= RING_COUNT; number++)
            positions[number] = append_numbered(wal, number, 100);
        nori_sim_crash_kill(sim, &after);
        close_log(wal);
        nori_sim_free(sim);
        shorten_segment(after, positions[reached].offset);
        check_state(after, reached, 0);
    }
}

/* ---- who waits ---- */

struct waiter {
    const struct nori_vfs *vfs;
    nori_reader *reader;
    int rc;
    uint64_t woken_ns;
};

static void wait_for_a_record(void *argument)
{
    struct waiter *waiter = argument;

    waiter->rc = nori_reader_wait(waiter->reader, -1);
    waiter->woken_ns = waiter->vfs->monotonic_ns(waiter->vfs->context);
}

/* D11: it has waited since before the recovery, which takes its time; and is woken by what is
 * appended after it, soon, and by nothing else. */
static void a_reader_that_waits_across_a_recovery_is_woken_by_the_first_append(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_over(nori_sim_vfs(sim));
    nori_wal *wal = open_log(&config);
    nori_sim *after = NULL;
    struct nori_thread *thread = NULL;
    struct waiter waiter;
    struct follower follower;
    uint64_t appended_ns;

    (void)state;
    append_range(wal, 1, RING_COUNT, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, RING_COUNT + 1, RING_COUNT, 100);
    (void)nori_sim_power_cut(sim, 0, &after);
    close_log(wal);
    nori_sim_free(sim);
    options.delay_ns = 1000000;
    options.delay_mask = NORI_SIM_ALL_CALLS;
    nori_sim_set_options(after, &options);
    waiter.vfs = config.vfs = nori_sim_vfs(after);
    follower = follower_on(waiter.vfs, 0);
    follower_open(&follower, OLDEST);
    follow(&follower);
    assert_int_equal(follower.next, RING_COUNT + 1);
    waiter.reader = follower.reader;
    assert_int_equal(
        waiter.vfs->thread_start(waiter.vfs->context, "wait", wait_for_a_record, &waiter, &thread),
        0);
    wal = open_log(&config);
    appended_ns = waiter.vfs->monotonic_ns(waiter.vfs->context);
    (void)append_numbered(wal, follower.next, 100);
    waiter.vfs->thread_join(waiter.vfs->context, thread);
    assert_int_equal(waiter.rc, NORI_OK);
    assert_in_range(waiter.woken_ns, appended_ns, appended_ns + 100000000);
    follow(&follower);
    assert_int_equal(follower.next, RING_COUNT + 2);
    follower_close(&follower);
    close_log(wal);
    nori_sim_free(after);
}

/* ---- words that nobody stores any more ---- */

/* D6, D11: the next writer could not map `control` and has made another, in memory. The words that
 * this reader has mapped are still those of the life that a power cut ended. */
static void a_reader_whose_control_was_given_up_goes_on_behind_a_torn_tail(void **state)
{
    (void)state;
    for (uint64_t reached = 2; reached <= RING_COUNT; reached++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_position positions[RING_COUNT + 1];
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_over(nori_sim_vfs(sim));
        nori_wal *wal = open_log(&config);
        nori_sim *after = NULL;
        struct follower follower;

        for (uint64_t number = 1; number <= RING_COUNT; number++) {
            positions[number] = append_numbered(wal, number, 100);
            assert_int_equal(number == 1 ? nori_wal_sync(wal) : nori_wal_flush(wal), NORI_OK);
        }
        nori_sim_crash_kill(sim, &after);
        close_log(wal);
        nori_sim_free(sim);
        shorten_segment(after, positions[reached].offset);
        config.vfs = nori_sim_vfs(after);
        follower = follower_on(config.vfs, 0);
        follower_open(&follower, OLDEST);
        follow(&follower);
        options.flags = NORI_SIM_NO_MAP;
        nori_sim_set_options(after, &options);
        wal = open_log(&config);
        follow(&follower);
        assert_int_equal(follower.next, reached);
        append_range(wal, reached, NEW, 100);
        follow(&follower);
        assert_int_equal(follower.next, reached + NEW);
        follower_close(&follower);
        close_log(wal);
        nori_sim_free(after);
    }
}

/* ---- an open at each call of a reader ---- */

struct meeting {
    nori_sim *sim;
    uint64_t nth; /* of the calls, counted down; 0: it has come */
    nori_wal *wal;
    uint64_t kept;
};

static void open_at_nth(void *context)
{
    struct meeting *meeting = context;
    struct nori_wal_config config = config_over(nori_sim_vfs(meeting->sim));
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;

    if (meeting->nth == 0 || --meeting->nth > 0)
        return;
    steps++;
    if (nori_wal_open(&config, &meeting->wal, &info, &error) < 0)
        fail_msg("it does not open: %s", error.message);
    append_range(meeting->wal, info.valid_records + 1, NEW, 100);
    meeting->kept = info.valid_records;
}

/* Where the last record is that a reader shows now, and its number; the beginning, if there is
 * none. */
static struct nori_position last_record(nori_sim *sim, uint64_t *ret_number)
{
    struct follower follower = follower_on(nori_sim_vfs(sim), 0);
    struct nori_position position = OLDEST;
    struct nori_record record;
    int rc = NORI_OK;

    follower_open(&follower, OLDEST);
    while (follower.reader && rc == NORI_OK) {
        rc = nori_reader_next(follower.reader, &record, &position);
        if (rc == NORI_OK)
            assert_true(is_numbered(&record, ret_number));
    }
    follower_close(&follower);
    return position;
}

static void read_and_meet(struct meeting *meeting, const struct nori_vfs *vfs, uint64_t kind)
{
    struct follower follower = follower_on(vfs, kind % FOLLOWERS);
    struct nori_position begin = OLDEST;

    if (kind >= FOLLOWERS)
        begin = last_record(meeting->sim, &follower.next);
    for (int i = 0; i < 2; i++) {
        follower_open(&follower, begin);
        follow(&follower);
    }
    if (meeting->wal) {
        assert_int_equal(nori_wal_sync(meeting->wal), NORI_OK);
        follower_open(&follower, begin);
        follow(&follower);
        assert_int_equal(follower.next, meeting->kept + NEW + 1);
    }
    follower_close(&follower);
}

/* A reader makes its calls, and at the nth the open goes by: false if it does not make as many. */
static bool meet(nori_sim *crashed, uint64_t nth, uint64_t kind)
{
    struct meeting meeting = {.nth = nth};
    struct between between = {.before_call = open_at_nth, .context = &meeting};
    const struct nori_vfs *vfs;

    nori_sim_crash_kill(crashed, &meeting.sim); /* a copy */
    vfs = between_begin(nori_sim_vfs(meeting.sim), &between);
    if (kind == 2 * FOLLOWERS)
        verify_on(vfs);
    else
        read_and_meet(&meeting, vfs, kind);
    if (meeting.wal)
        close_log(meeting.wal);
    nori_sim_free(meeting.sim);
    return meeting.wal;
}

static void check_other_way(nori_sim *sim, uint64_t seed)
{
    states++;
    for (uint64_t nth = 1; nth < CALLS_MAX; nth++)
        if (!meet(sim, nth, seed % (2 * FOLLOWERS + 1)))
            break;
    nori_sim_free(sim);
}

/* D6, D11: a reader may have asked just before whether anybody writes. */
static void an_open_at_any_call_of_a_reader_does_not_mislead_it(void **state)
{
    (void)state;
    run_histories(__func__, 40, false, true);
}

/* A writer that can map nothing makes a control of its own, and takes the name from the old one. */
static void open_with_another_control(void *context)
{
    struct meeting *meeting = context;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    if (meeting->nth != 1) {
        meeting->nth -= meeting->nth > 0;
        return;
    }
    options.flags = NORI_SIM_NO_MAP;
    nori_sim_set_options(meeting->sim, &options);
    open_at_nth(meeting);
    nori_sim_set_options(meeting->sim, NULL);
}

/* Let `control` say that so much is published and written: a power cut may leave it older than the
 * segments. */
static void age_control(nori_sim *sim, uint64_t lsn)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    uint64_t words[2] = {lsn, lsn};
    struct nori_span span = {words, sizeof words};
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;

    assert_int_equal(vfs->open_folder(vfs->context, "wal", 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, "control", NORI_FILE_WRITE, 0, &file), 0);
    assert_int_equal(file->ops->write(file, &span, 1, PUBLISHED_AT), 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

/* D11: the words that a reader goes by may be in a control that nobody stores to any more. A
 * position behind them is not behind the end. */
static void a_control_made_anew_hides_no_position(void **state)
{
    uint64_t nth = 1;
    bool has_met = true;

    (void)state;
    for (; has_met; nth++) {
        struct meeting meeting = {.nth = nth};
        struct between between = {.before_call = open_with_another_control, .context = &meeting};
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_over(nori_sim_vfs(sim));
        nori_wal *wal = open_log(&config);
        struct nori_position position;
        struct follower follower;

        append_range(wal, 1, RING_COUNT - 1, 100);
        position = append_numbered(wal, RING_COUNT, 100);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        nori_sim_crash_kill(sim, &meeting.sim);
        close_log(wal);
        nori_sim_free(sim);
        age_control(meeting.sim, position.offset / 2);
        follower = follower_on(between_begin(nori_sim_vfs(meeting.sim), &between), 0);
        follower.next = RING_COUNT;
        follower_open(&follower, position);
        follow(&follower);
        has_met = meeting.wal;
        assert_int_equal(follower.next, RING_COUNT + 1 + (has_met ? NEW : 0));
        follower_close(&follower);
        if (has_met)
            close_log(meeting.wal);
        nori_sim_free(meeting.sim);
    }
    assert_true(nth > 10);
}

static int end_of_test(void **state)
{
    (void)state;
    if (is_running)
        repeat_print();
    is_running = false;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_reader_beside_a_recovery_is_shown_what_it_cuts_off,
                                  end_of_test),
        cmocka_unit_test_teardown(
            readers_beside_a_recovery_miss_nothing_that_a_killed_process_appended, end_of_test),
        cmocka_unit_test(what_recovery_leaves_in_the_ring_is_not_shown_beside_it),
        cmocka_unit_test(a_reader_that_waits_across_a_recovery_is_woken_by_the_first_append),
        cmocka_unit_test(a_reader_whose_control_was_given_up_goes_on_behind_a_torn_tail),
        cmocka_unit_test_teardown(an_open_at_any_call_of_a_reader_does_not_mislead_it, end_of_test),
        cmocka_unit_test(a_control_made_anew_hides_no_position),
    };

    repeat_catch();
    return cmocka_run_group_tests_name("beside", tests, NULL, NULL);
}
