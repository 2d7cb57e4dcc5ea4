/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_stalls.c: whoever is on call learns what a log waits for while it waits, and why; and hears
 * nothing while all is well.
 *
 * Mostly on the simulated machine, where a kind of call can be made to take as long as one likes,
 * and where "while it waits" is a time on the clock.
 */
#include "helpers.h"

#include <nori/observe.h>
#include <nori/sim.h>
#include <stdatomic.h>

#define SECOND    ((uint64_t)1000000000)
#define RING_LEN  ((size_t)64 << 10)
#define CAUSE_END (NORI_STALL_LOCK + 1)

/* What was told of one cause. */
struct told {
    uint64_t begins;
    uint64_t ends;
    uint64_t begin_ns; /* of the last: when it was told */
    struct nori_event begin;
    struct nori_event end;
    char message[300]; /* of the last that was not over */
    char end_message[300];
};

static struct told told[CAUSE_END];
static _Atomic uint64_t counted[CAUSE_END];
static const struct nori_vfs *clock_vfs; /* NULL: no look at the clock */

static void *ask_for_counter(void *context, const char *name, const struct nori_label *labels,
                             size_t count)
{
    (void)context;
    if (strcmp(name, "wal_stalls_total") != 0)
        return NULL;
    assert_int_equal(count, 2);
    assert_string_equal(labels[1].name, "cause");
    for (uint32_t cause = NORI_STALL_RING; cause < CAUSE_END; cause++)
        if (strcmp(nori_stall_name(cause), labels[1].value) == 0)
            return &counted[cause];
    fail_msg("no cause is called %s", labels[1].value);
    return NULL;
}

static void count(void *counter, uint64_t amount)
{
    atomic_fetch_add((_Atomic uint64_t *)counter, amount);
}

static void keep(void *context, const struct nori_event *event)
{
    struct told *kept = &told[event->cause < CAUSE_END ? event->cause : 0];

    (void)context;
    if (event->kind != NORI_EVENT_STALL)
        return;
    if (event->is_over) {
        kept->ends++;
        kept->end = *event;
        (void)snprintf(kept->end_message, sizeof kept->end_message, "%s", event->message);
        return;
    }
    kept->begins++;
    kept->begin = *event;
    kept->begin_ns = clock_vfs->monotonic_ns(clock_vfs->context);
    (void)snprintf(kept->message, sizeof kept->message, "%s", event->message);
}

static const struct nori_meter meter = {
    .size = sizeof meter, .counter = ask_for_counter, .counter_add = count, .emit = keep};

/* ---- a log on a simulated machine ---- */

struct machine {
    nori_sim *sim;
    const struct nori_vfs *vfs;
    struct nori_sim_options options;
    nori_wal *wal;
    uint64_t next; /* number of the next record */
};

static struct machine *slow_machine;
static uintptr_t slow_stack; /* of the thread that is to be held up; 0: none is */

/* The thread that was told to wait for the lock is held up when it looks at the clock: it has the
 * lock by now, and has noted that its wait is over, but has not told so. */
static uint64_t slow_clock(void *context)
{
    uint64_t now_ns = clock_vfs->monotonic_ns(context);
    uintptr_t here = (uintptr_t)&now_ns;

    if (slow_stack && told[NORI_STALL_LOCK].begins == 1 && here > slow_stack - 65536 &&
        here < slow_stack + 65536) {
        slow_stack = 0;
        nori_sim_sleep(slow_machine->sim, 5 * SECOND);
    }
    return now_ns;
}

/* Everybody has fallen asleep, the watcher too, when this returns. */
static void begin(struct machine *machine, uint32_t policy, uint64_t segment_size,
                  uint64_t threshold_ms)
{
    static struct nori_vfs vfs;
    struct nori_wal_config config = config_of("wal");

    memset(told, 0, sizeof told);
    for (size_t i = 0; i < CAUSE_END; i++)
        atomic_store(&counted[i], 0);
    *machine = (struct machine){.options = NORI_SIM_OPTIONS_INIT, .next = 1};
    machine->sim = nori_sim_new(&machine->options);
    clock_vfs = nori_sim_vfs(machine->sim);
    vfs = *clock_vfs;
    vfs.monotonic_ns = slow_clock;
    machine->vfs = &vfs;
    slow_machine = machine;
    config.vfs = machine->vfs;
    config.allocator = nori_sim_allocator(machine->sim);
    config.meter = &meter;
    config.fsync_policy = policy;
    config.max_segment_size = segment_size;
    config.buffer_size = RING_LEN;
    config.stall_threshold_ms = threshold_ms;
    machine->wal = open_log(&config);
    (void)append_numbered(machine->wal, machine->next++, 100);
    nori_sim_sleep(machine->sim, 10 * SECOND);
}

/* From now on each call of these kinds takes so long. */
static void slow_down(struct machine *machine, uint32_t calls, uint64_t delay_ns)
{
    machine->options.delay_mask = calls;
    machine->options.delay_ns = delay_ns;
    nori_sim_set_options(machine->sim, &machine->options);
}

static void end(struct machine *machine)
{
    slow_down(machine, 0, 0);
    close_log(machine->wal);
    nori_sim_free(machine->sim);
}

static uint64_t now_ns(const struct machine *machine)
{
    return machine->vfs->monotonic_ns(machine->vfs->context);
}

static void append_bytes(struct machine *machine, size_t bytes)
{
    for (size_t sum = 0; sum < bytes; sum += 1015)
        (void)append_numbered(machine->wal, machine->next++, 1000);
}

static void append_large(struct machine *machine, size_t bytes)
{
    void *value = calloc(bytes, 1);
    struct nori_record record = nori_record_put("k", 1, value, bytes);

    assert_non_null(value);
    assert_int_equal(nori_wal_append(machine->wal, &record, NULL), NORI_OK);
    free(value);
}

/* Of this cause one stall was told and counted, and its end; it began at about that time and took
 * at least so long. */
static void expect_stall(uint32_t cause, uint64_t begun_ns, uint64_t threshold_ns, uint64_t least)
{
    const struct told *kept = &told[cause];

    assert_int_equal(kept->begins, 1);
    assert_int_equal(kept->ends, 1);
    assert_int_equal(atomic_load(&counted[cause]), 1);
    assert_true(kept->begin_ns >= begun_ns + threshold_ns);
    assert_true(kept->begin_ns < begun_ns + threshold_ns + SECOND / 5); /* while it lasts */
    assert_true(kept->begin.duration_us >= threshold_ns / 1000);
    assert_int_equal(kept->begin.severity, NORI_SEVERITY_WARNING);
    assert_int_equal(kept->end.severity, NORI_SEVERITY_INFO);
    assert_true(kept->end.duration_us >= least / 1000);
    assert_true(kept->end.duration_us < (least + least / 5) / 1000);
    assert_non_null(strstr(kept->end_message, "is over"));
}

/* Nothing else was told. `cause`: of what it may have been, if any. */
static void expect_nothing_but(uint32_t cause, uint32_t other)
{
    for (uint32_t i = 0; i < CAUSE_END; i++)
        if (i != cause && i != other && (told[i].begins > 0 || told[i].ends > 0))
            fail_msg("told, too: %s", told[i].message);
}

/* ---- each cause ---- */

static void a_sync_that_takes_long_is_told_while_it_does(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_ALWAYS, MIB, 0);
    slow_down(&machine, NORI_SIM_SYNC, 3 * SECOND);
    begun_ns = now_ns(&machine);
    (void)append_numbered(machine.wal, machine.next++, 100);
    expect_stall(NORI_STALL_SYNC, begun_ns, SECOND, 3 * SECOND);
    expect_nothing_but(NORI_STALL_SYNC, 0);
    assert_string_equal(told[NORI_STALL_SYNC].message,
                        "has waited 1.0 s so far for a sync to return");
    assert_string_equal(told[NORI_STALL_SYNC].end_message,
                        "waited 3.0 s for a sync to return; it is over");
    assert_int_equal(told[NORI_STALL_SYNC].begin.segment_id, 0);
    assert_true(told[NORI_STALL_SYNC].begin.offset > 0);
    end(&machine);
}

static void a_write_that_takes_long_is_told_though_nobody_waits_for_it(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    slow_down(&machine, NORI_SIM_WRITE, 3 * SECOND);
    begun_ns = now_ns(&machine);
    (void)append_numbered(machine.wal, machine.next++, 100);
    assert_true(now_ns(&machine) <
                begun_ns + SECOND / 1000); /* D2 by the ring: it is not held up */
    nori_sim_sleep(machine.sim, 10 * SECOND);
    expect_stall(NORI_STALL_WRITE, begun_ns, SECOND, 3 * SECOND);
    expect_nothing_but(NORI_STALL_WRITE, 0);
    end(&machine);
}

/* No write takes long; all that must be written before an append has room do together. */
static void an_append_that_waits_for_room_is_told_with_its_cause(void **state)
{
    struct machine machine;
    uint64_t begun_ns, took_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    slow_down(&machine, NORI_SIM_WRITE, SECOND * 8 / 10);
    append_bytes(&machine, RING_LEN * 3 / 4);
    begun_ns = now_ns(&machine);
    append_large(&machine, RING_LEN / 2);
    took_ns = now_ns(&machine) - begun_ns;
    expect_stall(NORI_STALL_RING, begun_ns, SECOND, told[NORI_STALL_RING].end.duration_us * 1000);
    assert_true(told[NORI_STALL_RING].end.duration_us * 1000 < took_ns);
    expect_nothing_but(NORI_STALL_RING, 0);
    assert_string_equal(told[NORI_STALL_RING].message,
                        "has waited 1.0 s so far for room in the staging ring");
    end(&machine);
}

/* Two facts, and the one tells of the other. */
static void room_that_lacks_because_a_write_hangs_is_told_so(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    slow_down(&machine, NORI_SIM_WRITE, 5 * SECOND);
    begun_ns = now_ns(&machine);
    append_bytes(&machine, RING_LEN * 5 / 4);
    assert_true(told[NORI_STALL_WRITE].begins >= 1);
    assert_true(told[NORI_STALL_RING].begins >= 1);
    assert_true(told[NORI_STALL_RING].begin_ns >= begun_ns + SECOND);
    assert_string_equal(told[NORI_STALL_RING].message,
                        "has waited 1.0 s so far for room in the staging ring; and 1.0 s for a "
                        "write to return");
    expect_nothing_but(NORI_STALL_RING, NORI_STALL_WRITE);
    end(&machine);
}

static void a_segment_that_is_not_ready_is_told(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    append_bytes(&machine, MIB - 100000);
    slow_down(&machine, NORI_SIM_OPEN, 3 * SECOND);
    append_bytes(&machine, MIB); /* into the segment that was ready: now the next one is made */
    begun_ns = now_ns(&machine);
    append_bytes(&machine, 200000);
    expect_stall(NORI_STALL_SEGMENT, begun_ns, SECOND, SECOND * 29 / 10);
    expect_nothing_but(NORI_STALL_SEGMENT, 0);
    end(&machine);
}

static void space_that_is_not_there_yet_is_told(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, 64 * MIB, 0);
    slow_down(&machine, NORI_SIM_ALLOCATE, 3 * SECOND);
    begun_ns = now_ns(&machine);
    append_bytes(&machine, 3 * MIB / 2);
    expect_stall(NORI_STALL_SPACE, begun_ns, SECOND, SECOND * 29 / 10);
    expect_nothing_but(NORI_STALL_SPACE, 0);
    end(&machine);
}

static void append_in_a_thread(void *context)
{
    append_large(context, RING_LEN);
}

/* Whoever holds the lock waits for a write; the other one does not know. */
static void the_lock_that_another_thread_holds_is_told_and_why(void **state)
{
    struct machine machine;
    struct nori_thread *thread = NULL;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    slow_down(&machine, NORI_SIM_WRITE, 3 * SECOND);
    assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "other", append_in_a_thread,
                                               &machine, &thread),
                     0);
    nori_sim_sleep(machine.sim, SECOND / 10);
    begun_ns = now_ns(&machine);
    (void)append_numbered(machine.wal, machine.next++, 100);
    machine.vfs->thread_join(machine.vfs->context, thread);
    expect_stall(NORI_STALL_LOCK, begun_ns, SECOND, told[NORI_STALL_LOCK].end.duration_us * 1000);
    assert_true(told[NORI_STALL_WRITE].begins >= 1);
    expect_nothing_but(NORI_STALL_LOCK, NORI_STALL_WRITE);
    assert_string_equal(told[NORI_STALL_LOCK].message,
                        "has waited 1.0 s so far for the append lock, which another thread holds; "
                        "and 1.1 s for a write to return");
    end(&machine);
}

#define WAITING 4

static void append_soon(void *context)
{
    struct machine *machine = context;

    nori_sim_sleep(machine->sim, SECOND / 5);
    (void)append_numbered(machine->wal, machine->next++, 100);
}

/* A stall is over, and before that can be told the next one is: each is told to be over, and what
 * others are shown of the second is not taken back with the first. */
static void the_end_of_a_stall_is_not_taken_for_that_of_the_next(void **state)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct nori_thread *holding = NULL;
    struct nori_thread *waiting[WAITING] = {NULL};
    struct machine machine;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    slow_down(&machine, NORI_SIM_WRITE, 3 * SECOND);
    assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "holding", append_in_a_thread,
                                               &machine, &holding),
                     0);
    for (size_t i = 0; i < WAITING; i++)
        assert_int_equal(machine.vfs->thread_start(machine.vfs->context, "waiting", append_soon,
                                                   &machine, &waiting[i]),
                         0);
    nori_sim_sleep(machine.sim, SECOND / 10);
    slow_stack = (uintptr_t)&machine;
    (void)append_numbered(machine.wal, machine.next++, 100);
    assert_int_equal(slow_stack, 0); /* it was held up */
    machine.vfs->thread_join(machine.vfs->context, holding);
    for (size_t i = 0; i < WAITING; i++)
        machine.vfs->thread_join(machine.vfs->context, waiting[i]);
    assert_true(told[NORI_STALL_LOCK].begins >= 2);
    assert_int_equal(told[NORI_STALL_LOCK].ends, told[NORI_STALL_LOCK].begins);
    assert_int_equal(nori_wal_stats(machine.wal, &stats), NORI_OK);
    assert_int_equal(stats.stalled_since_ms[NORI_STALL_LOCK], 0);
    end(&machine);
}

/* ---- when, and how often ---- */

static void a_stall_is_told_once_however_long_it_lasts_and_each_anew(void **state)
{
    struct machine machine;

    (void)state;
    begin(&machine, NORI_FSYNC_ALWAYS, MIB, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        slow_down(&machine, NORI_SIM_SYNC, 3600 * SECOND);
        (void)append_numbered(machine.wal, machine.next++, 100);
        assert_int_equal(told[NORI_STALL_SYNC].begins, i);
        assert_int_equal(told[NORI_STALL_SYNC].ends, i);
        assert_int_equal(atomic_load(&counted[NORI_STALL_SYNC]), i);
        assert_int_equal(told[NORI_STALL_SYNC].end.duration_us / 1000000, 3600);
    }
    expect_nothing_but(NORI_STALL_SYNC, 0);
    end(&machine);
}

static void the_threshold_is_what_the_program_says(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_ALWAYS, MIB, 50);
    slow_down(&machine, NORI_SIM_SYNC, SECOND / 10);
    begun_ns = now_ns(&machine);
    (void)append_numbered(machine.wal, machine.next++, 100);
    expect_stall(NORI_STALL_SYNC, begun_ns, SECOND / 20, SECOND / 10);
    end(&machine);
    begin(&machine, NORI_FSYNC_ALWAYS, MIB, 200);
    slow_down(&machine, NORI_SIM_SYNC, SECOND / 10);
    for (int i = 0; i < 20; i++)
        (void)append_numbered(machine.wal, machine.next++, 100);
    expect_nothing_but(0, 0);
    end(&machine);
}

/* Rolls, waits for room and for segments, syncs, large records, under every policy. */
static void nothing_is_told_while_all_is_well(void **state)
{
    (void)state;
    for (uint32_t policy = NORI_FSYNC_BATCH; policy <= NORI_FSYNC_OS; policy++) {
        struct machine machine;

        begin(&machine, policy, MIB, 0);
        slow_down(&machine, NORI_SIM_SYNC | NORI_SIM_FOLDER_SYNC, SECOND / 50);
        for (int i = 0; i < 5; i++) {
            append_bytes(&machine, policy == NORI_FSYNC_ALWAYS ? 100000 : MIB);
            append_large(&machine, RING_LEN * 2);
            assert_int_equal(nori_wal_sync(machine.wal), NORI_OK);
            nori_sim_sleep(machine.sim, 7 * SECOND);
        }
        expect_nothing_but(0, 0);
        end(&machine);
    }
}

/* A full disk is an answer, not a wait (D9). */
static void a_full_disk_refuses_and_is_no_stall(void **state)
{
    struct nori_record record;
    struct numbered memory;
    struct machine machine;
    int rc = NORI_OK;

    (void)state;
    begin(&machine, NORI_FSYNC_OS, MIB, 0);
    machine.options.capacity_bytes = nori_sim_used_bytes(machine.sim);
    nori_sim_set_options(machine.sim, &machine.options);
    record = make_numbered(&memory, 1, 1000);
    for (int i = 0; i < 10000 && rc == NORI_OK; i++)
        rc = nori_wal_append(machine.wal, &record, NULL);
    assert_int_equal(rc, NORI_E_NOSPACE);
    nori_sim_sleep(machine.sim, 10 * SECOND);
    expect_nothing_but(0, 0);
    end(&machine);
}

/* On the simulated machine each look at the clock takes 20 ns: a thread that went on looking would
 * show. */
static void an_idle_log_is_not_watched(void **state)
{
    struct machine machine;
    uint64_t begun_ns;

    (void)state;
    begin(&machine, NORI_FSYNC_BATCH, MIB, 0);
    begun_ns = now_ns(&machine);
    nori_sim_sleep(machine.sim, 3600 * SECOND);
    assert_true(now_ns(&machine) - begun_ns - 3600 * SECOND < 1000);
    end(&machine);
}

static void causes_have_names(void **state)
{
    static const char *const names[] = {NULL,      "ring",  "write", "sync",
                                        "segment", "space", "lock",  NULL};

    (void)state;
    for (uint32_t cause = 0; cause < sizeof names / sizeof names[0]; cause++) {
        if (!names[cause])
            assert_null(nori_stall_name(cause));
        else
            assert_string_equal(nori_stall_name(cause), names[cause]);
    }
    assert_null(nori_stall_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_that_takes_long_is_told_while_it_does),
        cmocka_unit_test(a_write_that_takes_long_is_told_though_nobody_waits_for_it),
        cmocka_unit_test(an_append_that_waits_for_room_is_told_with_its_cause),
        cmocka_unit_test(room_that_lacks_because_a_write_hangs_is_told_so),
        cmocka_unit_test(a_segment_that_is_not_ready_is_told),
        cmocka_unit_test(space_that_is_not_there_yet_is_told),
        cmocka_unit_test(the_lock_that_another_thread_holds_is_told_and_why),
        cmocka_unit_test(the_end_of_a_stall_is_not_taken_for_that_of_the_next),
        cmocka_unit_test(a_stall_is_told_once_however_long_it_lasts_and_each_anew),
        cmocka_unit_test(the_threshold_is_what_the_program_says),
        cmocka_unit_test(nothing_is_told_while_all_is_well),
        cmocka_unit_test(a_full_disk_refuses_and_is_no_stall),
        cmocka_unit_test(an_idle_log_is_not_watched),
        cmocka_unit_test(causes_have_names),
    };

    return cmocka_run_group_tests_name("stalls", tests, NULL, NULL);
}
