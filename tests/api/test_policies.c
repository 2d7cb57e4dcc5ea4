/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_policies.c: when an append is durable (D3), and that a slow sync holds up nobody who did not
 * ask for one.
 *
 * All of it in the time of the simulated machine, whose syncs take as long as a test wants: so the
 * bounds are exact, and a minute takes a moment. A call that waits for nothing takes less than
 * SLACK.
 */
#include "../support/repeat.h"
#include "helpers.h"

#include <nori/sim.h>

#define US    ((uint64_t)1000)
#define MS    (1000 * US)
#define SLACK (50 * US) /* a call of the seam takes 100 ns of simulated time */

struct machine {
    nori_sim *sim;
    const struct nori_vfs *vfs;
    nori_wal *wal;
    uint64_t latency_ns;
};

static uint64_t now(const struct machine *machine)
{
    return machine->vfs->monotonic_ns(machine->vfs->context);
}

static void set_latency(struct machine *machine, uint64_t latency_ns)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_mask = NORI_SIM_SYNC; /* to be counted */
    options.sync_latency_ns = latency_ns;
    machine->latency_ns = latency_ns;
    nori_sim_set_options(machine->sim, &options);
}

static struct nori_wal_config machine_config(const struct machine *machine, uint32_t policy)
{
    struct nori_wal_config config = config_of("wal");

    config.vfs = machine->vfs;
    config.fsync_policy = policy;
    config.preallocate = NORI_PREALLOCATE_RESERVE;
    return config;
}

static void start(struct machine *machine, uint32_t policy, uint32_t window_us)
{
    struct nori_wal_config config;

    machine->sim = nori_sim_new(NULL);
    machine->vfs = nori_sim_vfs(machine->sim);
    config = machine_config(machine, policy);
    config.batch_window_us = window_us;
    machine->wal = open_log(&config);
}

static void stop(struct machine *machine)
{
    set_latency(machine, 0);
    close_log(machine->wal);
    nori_sim_free(machine->sim);
}

static void nap(const struct machine *machine, uint64_t ns)
{
    nori_sim_sleep(machine->sim, ns);
}

/* The log has its first segment, all of it durable and the next prepared: no append waits for
 * anything. */
static void warm_up(struct machine *machine)
{
    (void)append_numbered(machine->wal, 0, 10);
    assert_int_equal(nori_wal_sync(machine->wal), NORI_OK);
    nap(machine, 2000 * MS); /* more than any window: none runs */
    assert_true(is_same_position(durable_of(machine->wal), position_of(machine->wal)));
}

static uint64_t syncs(const struct machine *machine)
{
    return nori_sim_calls(machine->sim);
}

/* How long until everything up to here is durable, with no call but looking. */
static uint64_t time_until_durable(const struct machine *machine, uint64_t begun)
{
    struct nori_position end = position_of(machine->wal);

    while (compare_positions(durable_of(machine->wal), end) < 0) {
        assert_true(now(machine) - begun < 100000 * MS);
        nap(machine, 20 * US);
    }
    return now(machine) - begun;
}

/* What a power cut leaves that loses everything unsynced: all of the records 0 .. count - 1. */
static void expect_after_power_cut(const struct machine *machine, uint64_t count)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_sim *after = NULL;
    nori_reader *reader = NULL;

    assert_int_equal(nori_sim_power_cut(machine->sim, 0, &after), 0);
    config.vfs = nori_sim_vfs(after);
    assert_int_equal(nori_reader_open_with("wal", &config, OLDEST, &reader, NULL), NORI_OK);
    expect_range(reader, 0, count, 1);
    nori_reader_close(reader);
    nori_sim_free(after);
}

/* ---- batch ---- */

/* D3: whenever it comes, beside a sync or not, an append is durable one window and two syncs
 * later. */
static void under_batch_every_append_is_durable_after_its_window(void **state)
{
    static const uint32_t windows_us[] = {0, 100, 1000, 50000};
    static const uint64_t latencies_us[] = {0, 200, 5000, 60000};

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        uint64_t window = (windows_us[i % 4] ? windows_us[i % 4] : 5000) * US;
        uint64_t latency = latencies_us[i / 4] * US;
        struct machine machine;
        uint64_t number = 1;

        start(&machine, NORI_FSYNC_BATCH, windows_us[i % 4]);
        warm_up(&machine);
        set_latency(&machine, latency);
        for (uint64_t phase = 0; phase < 10; phase++) {
            uint64_t begun;

            (void)append_numbered(machine.wal, number++, 100);
            nap(&machine, (window + 2 * latency) * phase / 8 + 1);
            begun = now(&machine);
            (void)append_numbered(machine.wal, number++, 100);
            assert_in_range(now(&machine) - begun, 0, SLACK); /* it waits for no sync itself */
            assert_in_range(time_until_durable(&machine, begun), 0, window + 2 * latency + SLACK);
        }
        expect_after_power_cut(&machine, number);
        stop(&machine);
    }
}

/* D3: a rotation adds at most three syncs. */
static void under_batch_a_rotation_adds_three_syncs_at_most(void **state)
{
    struct machine machine;
    uint64_t number = 1;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 2000);
    warm_up(&machine);
    set_latency(&machine, 3 * MS);
    for (int segment = 0; segment < 5; segment++) {
        uint64_t id = position_of(machine.wal).segment_id;
        uint64_t begun = 0;

        while (position_of(machine.wal).segment_id == id) {
            begun = now(&machine);
            (void)append_numbered(machine.wal, number++, 4000);
        }
        assert_in_range(time_until_durable(&machine, begun), 0, 2 * MS + 5 * 3 * MS + SLACK);
        nap(&machine, 100 * MS);
    }
    expect_after_power_cut(&machine, number);
    stop(&machine);
}

/* The first append of all makes the folder's first file. */
static void under_batch_the_first_append_is_durable_soon_without_a_call(void **state)
{
    struct machine machine;
    uint64_t begun;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 1000);
    set_latency(&machine, 2 * MS);
    begun = now(&machine);
    (void)append_numbered(machine.wal, 0, 100);
    assert_in_range(time_until_durable(&machine, begun), 0, MS + 6 * 2 * MS + SLACK);
    expect_after_power_cut(&machine, 1);
    stop(&machine);
}

static void under_batch_appends_share_the_sync_of_their_window(void **state)
{
    struct machine machine;
    uint64_t before;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 10000);
    warm_up(&machine);
    set_latency(&machine, MS);
    before = syncs(&machine);
    for (uint64_t number = 1; number <= 1000; number++) {
        (void)append_numbered(machine.wal, number, 10);
        nap(&machine, 100 * US);
    }
    nap(&machine, 100 * MS);
    assert_in_range(syncs(&machine) - before, 8, 12); /* 100 ms in windows of 10 ms */
    before = syncs(&machine);
    nap(&machine, 10000 * MS);
    assert_int_equal(syncs(&machine), before); /* idle, it syncs nothing */
    stop(&machine);
}

/* ---- always ---- */

/* D3 */
static void under_always_an_append_is_durable_when_it_returns(void **state)
{
    struct machine machine;

    (void)state;
    start(&machine, NORI_FSYNC_ALWAYS, 0);
    for (uint64_t number = 0; number < 300; number++) {
        (void)append_numbered(machine.wal, number, 4000);
        assert_true(is_same_position(durable_of(machine.wal), position_of(machine.wal)));
        if (number % 20 == 0 || number > 250)
            expect_after_power_cut(&machine, number + 1);
    }
    assert_int_equal(position_of(machine.wal).segment_id, 1);
    stop(&machine);
}

#define GROUP_THREADS 16
#define GROUP_APPENDS 20

struct member {
    struct machine *machine;
    uint64_t number; /* of the first */
    bool was_always_durable;
    int rc;
};

static void append_group(void *argument)
{
    struct member *member = argument;
    nori_wal *wal = member->machine->wal;

    member->was_always_durable = true;
    for (uint64_t i = 0; i < GROUP_APPENDS && member->rc == NORI_OK; i++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, member->number + i, 100);
        struct nori_position position = {0, 0};
        struct nori_position durable = {0, 0};

        member->rc = nori_wal_append(wal, &record, &position);
        if (nori_wal_durable_position(wal, &durable) != NORI_OK ||
            compare_positions(durable, position) <= 0)
            member->was_always_durable = false;
    }
}

/* Threads that come while a sync is under way share the next one. */
static void under_always_threads_share_syncs(void **state)
{
    struct member members[GROUP_THREADS];
    struct nori_thread *threads[GROUP_THREADS];
    struct machine machine;
    uint64_t before;
    uint64_t begun;

    (void)state;
    start(&machine, NORI_FSYNC_ALWAYS, 0);
    warm_up(&machine);
    set_latency(&machine, MS);
    before = syncs(&machine);
    begun = now(&machine);
    for (size_t i = 0; i < GROUP_THREADS; i++) {
        members[i] = (struct member){&machine, 1 + i * GROUP_APPENDS, false, NORI_OK};
        assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "member", append_group,
                                                   &members[i], &threads[i]),
                         0);
    }
    for (size_t i = 0; i < GROUP_THREADS; i++)
        machine.vfs->thread_join(machine.vfs->context, threads[i]);
    for (size_t i = 0; i < GROUP_THREADS; i++) {
        assert_int_equal(members[i].rc, NORI_OK);
        assert_true(members[i].was_always_durable);
    }
    /* 320 appends: a sync each would be 320 ms. */
    assert_in_range(syncs(&machine) - before, GROUP_APPENDS, 3 * GROUP_APPENDS);
    assert_in_range(now(&machine) - begun, GROUP_APPENDS * MS, 3 * GROUP_APPENDS * MS);
    stop(&machine);
}

/* ---- os ---- */

/* D3: after a sync, and not before. */
static void under_os_only_a_sync_makes_durable(void **state)
{
    struct machine machine;
    struct nori_position before;
    uint64_t count;

    (void)state;
    start(&machine, NORI_FSYNC_OS, 0);
    warm_up(&machine);
    before = durable_of(machine.wal);
    set_latency(&machine, MS);
    count = syncs(&machine);
    append_range(machine.wal, 1, 100, 1000);
    nap(&machine, 60000 * MS);
    assert_int_equal(syncs(&machine), count);
    assert_true(is_same_position(durable_of(machine.wal), before));
    assert_int_equal(nori_wal_sync(machine.wal), NORI_OK);
    assert_true(is_same_position(durable_of(machine.wal), position_of(machine.wal)));
    assert_int_equal(syncs(&machine), count + 1);
    expect_after_power_cut(&machine, 101);
    assert_int_equal(nori_wal_sync(machine.wal), NORI_OK);
    assert_int_equal(syncs(&machine), count + 1); /* there was nothing to do */
    stop(&machine);
}

/* D3: an ended segment is synced without a call, and never are more than two unsynced. */
static void under_os_ended_segments_are_synced_and_at_most_two_wait(void **state)
{
    struct machine machine;
    uint64_t number = 1;
    uint64_t most = 0;

    (void)state;
    start(&machine, NORI_FSYNC_OS, 0);
    warm_up(&machine);
    set_latency(&machine, 500 * MS);
    while (position_of(machine.wal).segment_id < 8) {
        uint64_t waiting;

        (void)append_numbered(machine.wal, number++, 4000);
        waiting = position_of(machine.wal).segment_id - durable_of(machine.wal).segment_id;
        most = waiting > most ? waiting : most;
    }
    assert_in_range(most, 1, 2);
    nap(&machine, 10000 * MS);
    assert_true(durable_of(machine.wal).segment_id >= 7); /* the end of 7, or in 8 */
    assert_true(durable_of(machine.wal).segment_id == 8 ||
                durable_of(machine.wal).offset > MIB / 2);
    stop(&machine);
}

/* ---- a slow sync ---- */

static void call_sync(void *argument)
{
    (void)nori_wal_sync(argument);
}

/* While a sync of 200 ms is under way, a thousand appends that fill the segment and begin the
 * next take no time. */
static void a_slow_sync_stops_no_append_under_batch_and_os(void **state)
{
    (void)state;
    for (uint32_t policy = NORI_FSYNC_BATCH; policy <= NORI_FSYNC_OS; policy++) {
        struct nori_thread *thread = NULL;
        struct machine machine;
        struct nori_position durable;
        uint64_t begun;

        if (policy == NORI_FSYNC_ALWAYS)
            continue;
        start(&machine, policy, 1000);
        warm_up(&machine);
        durable = durable_of(machine.wal);
        set_latency(&machine, 200 * MS);
        (void)append_numbered(machine.wal, 1, 1000);
        if (policy == NORI_FSYNC_OS)
            assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "syncer", call_sync,
                                                       machine.wal, &thread),
                             0);
        nap(&machine, 10 * MS); /* now it is under way */
        begun = now(&machine);
        for (uint64_t number = 2; number < 1300; number++) {
            uint64_t before = now(&machine);

            (void)append_numbered(machine.wal, number, 1000);
            assert_in_range(now(&machine) - before, 0, SLACK);
        }
        assert_int_equal(position_of(machine.wal).segment_id, 1);
        assert_in_range(now(&machine) - begun, 0, 20 * MS);
        assert_true(is_same_position(durable_of(machine.wal), durable)); /* it still is */
        if (thread)
            machine.vfs->thread_join(machine.vfs->context, thread);
        stop(&machine);
    }
}

/* The positions, readers and everything else that looks go on, too. */
static void a_slow_sync_stops_nobody_who_looks(void **state)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_thread *thread = NULL;
    struct machine machine;
    struct nori_position position;
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t begun;

    (void)state;
    start(&machine, NORI_FSYNC_OS, 0);
    warm_up(&machine);
    set_latency(&machine, 200 * MS);
    append_range(machine.wal, 1, 10, 10);
    assert_int_equal(
        machine.vfs->thread_start(machine.vfs->context, "syncer", call_sync, machine.wal, &thread),
        0);
    nap(&machine, 10 * MS);
    begun = now(&machine);
    config.vfs = machine.vfs;
    assert_int_equal(nori_reader_open_with("wal", &config, OLDEST, &reader, NULL), NORI_OK);
    for (int i = 0; i < 11; i++)
        assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_OK);
    nori_reader_close(reader);
    assert_int_equal(nori_wal_first_position(machine.wal, &position), NORI_OK);
    assert_int_equal(nori_wal_position(machine.wal, &position), NORI_OK);
    assert_int_equal(nori_wal_flush(machine.wal), NORI_OK);
    assert_int_equal(nori_wal_wait_durable(machine.wal, OLDEST, 0), NORI_OK);
    assert_in_range(now(&machine) - begun, 0, SLACK);
    machine.vfs->thread_join(machine.vfs->context, thread);
    stop(&machine);
}

/* ---- preparing the next segment ---- */

/* D9: in the background, with no call and before it is needed; it survives close. */
static void the_next_segment_is_prepared_in_the_background(void **state)
{
    struct machine machine;
    struct nori_wal_config config;
    uint64_t bytes = 0;
    uint64_t number = 1;

    (void)state;
    start(&machine, NORI_FSYNC_OS, 0);
    nap(&machine, 1000 * MS);
    assert_true(nori_sim_file_bytes(machine.sim, "wal/spare", &bytes) < 0);
    warm_up(&machine);
    for (int segment = 0; segment < 4; segment++) {
        uint64_t id = position_of(machine.wal).segment_id;

        assert_int_equal(nori_sim_file_bytes(machine.sim, "wal/spare", &bytes), 0);
        assert_int_equal(bytes, MIB);
        while (position_of(machine.wal).segment_id == id)
            (void)append_numbered(machine.wal, number++, 4000);
        nap(&machine, 1000 * MS);
    }
    close_log(machine.wal);
    assert_int_equal(nori_sim_file_bytes(machine.sim, "wal/spare", &bytes), 0);
    config = machine_config(&machine, NORI_FSYNC_OS);
    machine.wal = open_log(&config);
    stop(&machine);
}

/* ---- waiting ---- */

static void waiting_for_durability_ends_when_it_is_there(void **state)
{
    struct machine machine;
    struct nori_position position;
    struct nori_position next;
    uint64_t begun;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 10000);
    assert_int_equal(nori_wal_wait_durable(machine.wal, OLDEST, -1), NORI_OK); /* the current end */
    warm_up(&machine);
    set_latency(&machine, 5 * MS);
    begun = now(&machine);
    position = append_numbered(machine.wal, 1, 100);
    assert_int_equal(nori_wal_wait_durable(machine.wal, position, 0), NORI_E_TIMEOUT);
    assert_int_equal(nori_wal_wait_durable(machine.wal, position, 7), NORI_E_TIMEOUT);
    assert_in_range(now(&machine) - begun, 7 * MS, 7 * MS + SLACK);
    assert_int_equal(nori_wal_wait_durable(machine.wal, position, -1), NORI_OK);
    assert_in_range(now(&machine) - begun, 15 * MS, 15 * MS + SLACK);
    assert_true(compare_positions(durable_of(machine.wal), position) > 0);
    next = position_of(machine.wal);
    assert_int_equal(nori_wal_wait_durable(machine.wal, next, 0),
                     NORI_OK); /* the end: all before it */
    (void)append_numbered(machine.wal, 2, 100);
    assert_int_equal(nori_wal_wait_durable(machine.wal, next, 0),
                     NORI_E_TIMEOUT); /* now a record's */
    assert_int_equal(nori_wal_wait_durable(machine.wal, next, 1000), NORI_OK);
    stop(&machine);
}

static void waiting_under_os_starts_a_sync(void **state)
{
    struct machine machine;
    struct nori_position position;
    uint64_t begun;

    (void)state;
    start(&machine, NORI_FSYNC_OS, 0);
    warm_up(&machine);
    set_latency(&machine, 5 * MS);
    position = append_numbered(machine.wal, 1, 100);
    begun = now(&machine);
    assert_int_equal(nori_wal_wait_durable(machine.wal, position, 1000), NORI_OK);
    assert_in_range(now(&machine) - begun, 0, 5 * MS + SLACK);
    stop(&machine);
}

static void waiting_for_places_that_are_not_there_is_refused(void **state)
{
    struct machine machine;
    struct nori_position end;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 1000);
    assert_int_equal(nori_wal_wait_durable(machine.wal, (struct nori_position){0, 1}, -1),
                     NORI_E_NOTFOUND);
    warm_up(&machine);
    end = position_of(machine.wal);
    assert_int_equal(nori_wal_wait_durable(machine.wal, end, -2), NORI_E_INVALID);
    end.offset++;
    assert_int_equal(nori_wal_wait_durable(machine.wal, end, -1), NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_wait_durable(machine.wal, (struct nori_position){1, 0}, -1),
                     NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_wait_durable(machine.wal, (struct nori_position){0, UINT64_MAX}, -1),
                     NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_delete_segments_before(machine.wal, position_of(machine.wal), NULL),
                     NORI_OK);
    assert_int_equal(nori_wal_wait_durable(machine.wal, (struct nori_position){0, 128}, -1),
                     NORI_E_NOTFOUND);
    stop(&machine);
}

struct waiter {
    nori_wal *wal;
    struct nori_position position;
    int rc;
};

static void wait_for_ever(void *argument)
{
    struct waiter *waiter = argument;

    waiter->rc = nori_wal_wait_durable(waiter->wal, waiter->position, -1);
}

/* The call that waits ends when the log is closed; close waits for it. */
static void closing_ends_those_who_wait(void **state)
{
    struct waiter waiter = {NULL, {0, 0}, 1};
    struct nori_thread *thread = NULL;
    struct machine machine;

    (void)state;
    start(&machine, NORI_FSYNC_BATCH, 1000000);
    warm_up(&machine);
    waiter.wal = machine.wal;
    waiter.position = append_numbered(machine.wal, 1, 100);
    assert_int_equal(
        machine.vfs->thread_start(machine.vfs->context, "waiter", wait_for_ever, &waiter, &thread),
        0);
    nap(&machine, 10 * MS);
    close_log(machine.wal);
    machine.vfs->thread_join(machine.vfs->context, thread);
    assert_int_equal(waiter.rc, NORI_E_CLOSED);
    expect_after_power_cut(&machine, 2); /* D3: close syncs */
    nori_sim_free(machine.sim);
}

/* D3: whatever the policy. */
static void what_was_closed_survives_a_power_cut(void **state)
{
    (void)state;
    for (uint32_t policy = NORI_FSYNC_BATCH; policy <= NORI_FSYNC_OS; policy++) {
        struct machine machine;

        start(&machine, policy, 1000000);
        append_range(machine.wal, 0, 1500, 1000);
        close_log(machine.wal);
        expect_after_power_cut(&machine, 1500);
        nori_sim_free(machine.sim);
    }
}

/* ---- a segment that ends beside a sync ---- */

/* Fill the current segment, but for less than `left` bytes; returns the next number. */
static uint64_t fill_segment(const struct machine *machine, uint64_t number, uint64_t left)
{
    while (position_of(machine->wal).offset + left + 1100 < MIB)
        (void)append_numbered(machine->wal, number++, 1000);
    return number;
}

static uint64_t end_segment(const struct machine *machine, uint64_t number)
{
    uint64_t id = position_of(machine->wal).segment_id;

    while (position_of(machine->wal).segment_id == id)
        (void)append_numbered(machine->wal, number++, 500);
    return number;
}

static void expect_all_after_sync(const struct machine *machine, uint64_t count)
{
    assert_int_equal(nori_wal_sync(machine->wal), NORI_OK);
    expect_after_power_cut(machine, count);
}

/* D3: what came into a segment while it was being synced, until it ended, is lost with the power
 * unless it is synced once more. */
static void a_segment_that_ends_beside_a_sync_is_synced_to_its_end(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        struct nori_thread *thread = NULL;
        struct machine machine;
        uint64_t number;

        start(&machine, i % 2 ? NORI_FSYNC_BATCH : NORI_FSYNC_OS, 50000);
        warm_up(&machine);
        set_latency(&machine, 5 * MS);
        number = fill_segment(&machine, 1, 3000);
        assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "syncer", call_sync,
                                                   machine.wal, &thread),
                         0);
        nap(&machine, (1 + i) * 500 * US); /* the sync takes longer */
        number = end_segment(&machine, number);
        machine.vfs->thread_join(machine.vfs->context, thread);
        expect_all_after_sync(&machine, number);
        stop(&machine);
    }
}

/* D3: whatever the order of the threads, what the ring still has when its segment ends is written
 * and synced, too. */
static void what_the_ring_has_when_its_segment_ends_is_synced(void **state)
{
    uint64_t count = repeat_share(100);

    (void)state;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_thread *thread = NULL;
        struct machine machine;
        uint64_t number;

        start(&machine, seed % 2 ? NORI_FSYNC_BATCH : NORI_FSYNC_OS, 50000);
        warm_up(&machine);
        number = fill_segment(&machine, 1, 3000);
        nap(&machine, 100 * MS);
        (void)append_numbered(machine.wal, number++, 500);
        options.seed = seed;
        options.switch_percent = 10 + (uint32_t)(seed % 9) * 10;
        nori_sim_set_options(machine.sim, &options);
        assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "syncer", call_sync,
                                                   machine.wal, &thread),
                         0);
        number = end_segment(&machine, number);
        machine.vfs->thread_join(machine.vfs->context, thread);
        expect_all_after_sync(&machine, number);
        stop(&machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_batch_every_append_is_durable_after_its_window),
        cmocka_unit_test(under_batch_a_rotation_adds_three_syncs_at_most),
        cmocka_unit_test(under_batch_the_first_append_is_durable_soon_without_a_call),
        cmocka_unit_test(under_batch_appends_share_the_sync_of_their_window),
        cmocka_unit_test(under_always_an_append_is_durable_when_it_returns),
        cmocka_unit_test(under_always_threads_share_syncs),
        cmocka_unit_test(under_os_only_a_sync_makes_durable),
        cmocka_unit_test(under_os_ended_segments_are_synced_and_at_most_two_wait),
        cmocka_unit_test(a_slow_sync_stops_no_append_under_batch_and_os),
        cmocka_unit_test(a_slow_sync_stops_nobody_who_looks),
        cmocka_unit_test(the_next_segment_is_prepared_in_the_background),
        cmocka_unit_test(waiting_for_durability_ends_when_it_is_there),
        cmocka_unit_test(waiting_under_os_starts_a_sync),
        cmocka_unit_test(waiting_for_places_that_are_not_there_is_refused),
        cmocka_unit_test(closing_ends_those_who_wait),
        cmocka_unit_test(what_was_closed_survives_a_power_cut),
        cmocka_unit_test(a_segment_that_ends_beside_a_sync_is_synced_to_its_end),
        cmocka_unit_test(what_the_ring_has_when_its_segment_ends_is_synced),
    };

    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
