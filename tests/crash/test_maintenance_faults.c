/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_maintenance_faults.c: every call of the world below fails while a log is looked at, opened
 * in any mode, mended or read (D6, D7, D11, I6).
 *
 * Each public call is made on small logs of all kinds, whole and damaged, first with nothing in its
 * way. Then again and again with the nth allocation, or the nth call of the seam, failing, once or
 * from then on, until n is beyond the last. It must give the very same answer, or an error that
 * names its cause, after items that are true. No memory, handle, lock or mapping is left. Who only
 * looks has changed nothing; who opens or mends can do it again, also after a power cut, loses
 * nothing more, and what is gone from the log is in quarantine.
 *
 * Appends, syncs and what crashes leave: test_faults.c.
 */
#include "../support/maintenance.h"
#include "../support/only.h"
#include "../support/repeat.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_LEN     ((size_t)24 << 10)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct {
    uint64_t runs, failures;
    double seconds;
} totals;

/* ---- one fault ---- */

static void set_fault(const struct stage *stage, nori_sim *sim, bool is_on)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    if (is_on) {
        options.fail_nth = stage->fault.nth;
        options.fail_mask = stage->fault.mask;
        options.fail_errno = stage->fault.os_errno;
        options.flags = stage->fault.flags;
    }
    nori_sim_set_options(sim, &options);
}

static void begin(struct stage *stage, const struct call *call, const struct disk *disk,
                  nori_sim *sim)
{
    memset(stage, 0, offsetof(struct stage, text));
    stage->text[0] = '\0';
    stage->call = call;
    stage->disk = disk;
    stage->sample = sample_shared(disk->kind);
    stage->sim = sim;
}

/* The log is opened, and goes on, where nothing fails. */
static bool open_before(struct stage *stage)
{
    struct nori_wal_config config = config_of(stage);
    struct nori_record record = nori_record_put("appended later", 14, "value", 5);

    config.allocator = nori_sim_allocator(stage->sim);
    if (nori_wal_open(&config, &stage->wal, NULL, NULL) < 0)
        return false;
    if (nori_wal_append(stage->wal, &record, NULL) < 0 || nori_wal_sync(stage->wal) < 0 ||
        nori_wal_append(stage->wal, &record, NULL) < 0)
        complain(stage, "the log cannot go on");
    return true;
}

/* Make it, with its fault. Then nothing fails any more, and all must have been given back. */
static void make_call(struct stage *stage)
{
    uint64_t blocks = nori_sim_memory_blocks(stage->sim);
    uint64_t digest;

    if (stage->call->effect == IS_OPEN && !open_before(stage))
        return;
    digest = nori_sim_digest(stage->sim);
    set_fault(stage, stage->sim, true);
    stage->call->make(stage);
    stage->was_reached = nori_sim_did_fail(stage->sim);
    totals.runs++;
    stage->has_changed =
        nori_sim_operations(stage->sim) > 0 || nori_sim_digest(stage->sim) != digest;
    if (stage->call->effect == LOOKS && stage->has_changed)
        complain(stage, "it has changed something in the folder");
    set_fault(stage, stage->sim, false);
    if (stage->call->effect == IS_OPEN && nori_wal_close(stage->wal) < 0)
        complain(stage, "the log cannot be closed");
    if (nori_sim_memory_blocks(stage->sim) != blocks)
        complain(stage, "%llu pieces of memory are lost",
                 (unsigned long long)(nori_sim_memory_blocks(stage->sim) - blocks));
}

/* Does a line tell of the fault? */
static bool tells_fault(const struct stage *stage, const char *line, size_t len)
{
    const char *const words[] = {
        strerror(stage->fault.os_errno),
        nori_strerror(stage->has_ended ? stage->rc : code_of(stage->fault.os_errno))};

    for (size_t i = 0; stage->was_reached && i < COUNT(words); i++) {
        const char *found = strstr(line, words[i]);

        if (found && found < line + len)
            return true;
    }
    return false;
}

/* The first line of `text` that is this one; NULL if there is none. */
static const char *find_line(const char *text, const char *line, size_t len)
{
    for (; *text; text += strcspn(text, "\n") + 1)
        if (strncmp(text, line, len) == 0)
            return text;
    return NULL;
}

/* What is added up over files, or known of them all: NORI_LOG_SEGMENT, _SUMMARY, watermarks. */
static bool is_sum(const char *line)
{
    return line[0] == '1' || line[0] == '4' || strstr(line, " watermarks: everything below");
}

/*
 * The same answer as with nothing in its way; or the beginning of it, if it ended with the error.
 * Beside it there may be lines that tell the fault. What could not be read may be missing then, and
 * in sums, too; but nothing else is said to be damaged.
 */
static void compare(struct stage *stage, const struct stage *plain)
{
    const char *expected = plain->text;
    bool has_told = false;

    for (const char *line = stage->text; *line; line += strcspn(line, "\n") + 1)
        has_told |= tells_fault(stage, line, strcspn(line, "\n"));
    for (const char *line = stage->text; *line; line += strcspn(line, "\n") + 1) {
        size_t len = strcspn(line, "\n") + 1;

        if (strncmp(line, expected, len) == 0)
            expected += len;
        else if (!tells_fault(stage, line, len) &&
                 !(has_told && (find_line(plain->text, line, len) || is_sum(line))))
            complain(stage, "it says\n  %.*s instead of\n  %.*s", (int)len - 1, line,
                     (int)strcspn(expected, "\n"), expected);
    }
    if (*expected && !stage->has_ended && !has_told)
        complain(stage, "it does not say\n  %.*s", (int)strcspn(expected, "\n"), expected);
}

/* What the log shows, and whether all that is gone from it is kept. */
static bool read_sample(const struct stage *stage, nori_sim *sim, struct sample_found *found,
                        char why[ORACLE_WHY_LEN])
{
    memset(found, 0, sizeof *found);
    return stage->disk->damage == NOTHING ||
           sample_read(stage->sample, sim, NORI_VISIBLE_APPENDED, 0, found, why);
}

/* It is made again on what it left, or on what a power cut left of that: it answers as one that
 * nothing disturbed, and nothing more is lost. */
static void make_again(struct stage *stage, const struct stage *plain, nori_sim *at_rest,
                       nori_sim *sim, const char *after)
{
    static struct stage again;
    char why[ORACLE_WHY_LEN] = "";
    struct sample_found found;
    bool is_good;

    begin(&again, stage->call, stage->disk, sim);
    make_call(&again);
    if (again.is_broken)
        complain(stage, "made again after %s: %.300s", after, again.why);
    if (again.rc != plain->rc && !(stage->call->effect == RECOVERS && again.rc >= 0))
        complain(stage, "made again after %s it gives %s: %.300s", after, nori_error_name(again.rc),
                 again.text);
    if (stage->call->effect == LOOKS || stage->call->effect == ADDS)
        compare(&again, plain);
    if (again.is_broken)
        complain(stage, "made again after %s %.300s", after, again.why);
    is_good = read_sample(stage, sim, &found, why);
    for (size_t i = 0; is_good && i < stage->sample->record_count; i++)
        if (plain->found.is_present[i] && !found.is_present[i])
            is_good = oracle_complain(why, "record %zu is lost", i + 1);
    if (is_good && stage->disk->damage != NOTHING)
        is_good = sample_check_quarantine(stage->sample, at_rest, sim, why);
    if (!is_good)
        complain(stage, "made again after %s: %s", after, why);
}

static void look_after(struct stage *stage, const struct stage *plain, nori_sim *at_rest)
{
    nori_sim *cut;

    if (stage->call->effect == IS_OPEN || !stage->has_changed)
        return;
    for (uint64_t i = 0; i < 2; i++) {
        if (i == 0)
            (void)nori_sim_power_cut(stage->sim, 0, &cut);
        else
            nori_sim_power_cut_random(stage->sim, stage->fault.nth, &cut);
        make_again(stage, plain, at_rest, cut, "a power cut");
        nori_sim_free(cut);
    }
    make_again(stage, plain, at_rest, stage->sim, "it");
}

static void report(const struct stage *stage)
{
    if (!stage->is_broken)
        return;
    print_message("%s of a log %s, call %llu: %s\n", stage->call->name, stage->disk->name,
                  (unsigned long long)stage->fault.nth, stage->why);
    repeat_print();
    fail();
}

/* Returns whether the fault was reached. */
static bool try_fault(const struct stage *plain, nori_sim *disk, const struct fault *fault)
{
    static struct stage stage;
    nori_sim *sim;

    repeat_with("NORI_FAULT_REPEAT=%s.%s.%x.%x.%d.%llu ./test_maintenance_faults",
                plain->call->name, plain->disk->name, fault->mask, fault->flags, fault->os_errno,
                (unsigned long long)fault->nth);
    nori_sim_crash_kill(disk, &sim);
    begin(&stage, plain->call, plain->disk, sim);
    stage.fault = *fault;
    make_call(&stage);
    compare(&stage, plain);
    if (stage.was_reached)
        look_after(&stage, plain, disk);
    nori_sim_free(sim);
    report(&stage);
    totals.failures += stage.was_reached;
    return stage.was_reached;
}

/* ---- all of them ---- */

/* One call in so many fails, in `make check`; which ones differs from call to call and fault to
 * fault. */
#define STRIDE        5
#define STRIDE_OTHERS 41

#define OF_CHANGES                                                                              \
    (NORI_SIM_WRITE | NORI_SIM_SYNC | NORI_SIM_ALLOCATE | NORI_SIM_TRUNCATE | NORI_SIM_RENAME | \
     NORI_SIM_REMOVE | NORI_SIM_FOLDER_SYNC)
#define NOT_MEMORY (NORI_SIM_ALL_CALLS & ~NORI_SIM_MEMORY)

static const struct fault memory_faults[] = {
    {NORI_SIM_MEMORY, 0, ENOMEM, 0},
    {NORI_SIM_MEMORY, NORI_SIM_FAIL_STICKY, ENOMEM, 0},
};

#define WHATEVER(errno_)                              \
    {NOT_MEMORY, 0, (errno_), 0},                     \
    {                                                 \
        NOT_MEMORY, NORI_SIM_FAIL_STICKY, (errno_), 0 \
    }
static const struct fault faults[] = {
    WHATEVER(EIO),
    WHATEVER(ENOSPC),
    WHATEVER(EDQUOT),
    WHATEVER(EINTR),
    WHATEVER(EMFILE),
    WHATEVER(EFBIG),
    WHATEVER(ENOMEM),
    {NORI_SIM_READ | NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, EIO, 0},
    {NORI_SIM_READ | NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY | NORI_SIM_FAIL_STICKY, EIO, 0},
    {NORI_SIM_WRITE, NORI_SIM_FAIL_PARTLY, ENOSPC, 0},
    {OF_CHANGES, 0, EROFS, 0},
    {OF_CHANGES, NORI_SIM_FAIL_STICKY, EROFS, 0},
};

static bool is_possible(const struct call *call, const struct disk *disk)
{
    return disk->damage != NOTHING || call->effect != IS_OPEN;
}

static void fail_call(const struct call *call, const struct disk *disk, const struct fault *all,
                      size_t count, uint64_t stride)
{
    static struct stage plain;
    char why[ORACLE_WHY_LEN] = "";
    nori_sim *at_rest = make_disk(disk), *sim;

    repeat_with("NORI_FAULT_REPEAT=%s.%s.0.0.0.0 ./test_maintenance_faults", call->name,
                disk->name);
    nori_sim_crash_kill(at_rest, &sim);
    begin(&plain, call, disk, sim);
    make_call(&plain);
    if (!read_sample(&plain, sim, &plain.found, why))
        complain(&plain, "%s", why);
    nori_sim_free(sim);
    report(&plain);
    for (size_t i = 0; i < count; i++) {
        struct fault fault = all[i];

        fault.nth = fault.nth
                        ? fault.nth
                        : 1 + (i + (uint64_t)(call - calls) + (uint64_t)(disk - disks)) % stride;
        while (try_fault(&plain, at_rest, &fault))
            fault.nth += stride;
    }
    nori_sim_free(at_rest);
}

/* Where a sanitizer makes it slow, or less was asked for: each call on one log, all the same with
 * each fault; and who mends, on all of them with EIO. */
static bool is_part_of(size_t call, size_t disk, uint64_t stride)
{
    return disk == call % (disk_count - 1) ||
           (stride == STRIDE && strcmp(calls[call].name, "repair-salvage") == 0);
}

/* Each call on each log. */
static void fail_all(const struct fault *all, size_t count, uint64_t stride)
{
    double begun = repeat_now();
    bool is_part = repeat_share(100) < 100;

    for (size_t i = 0; i < call_count; i++)
        for (size_t j = 0; j < disk_count; j++)
            if (is_possible(&calls[i], &disks[j]) && (!is_part || is_part_of(i, j, stride)))
                fail_call(&calls[i], &disks[j], all, count, stride);
    totals.seconds += repeat_now() - begun;
}

static void whatever_memory_is_missing_each_call_says_so_and_costs_nothing(void **state)
{
    (void)state;
    fail_all(memory_faults, COUNT(memory_faults), 1);
}

static void whatever_call_fails_each_call_says_so_and_costs_nothing(void **state)
{
    (void)state;
    fail_all(faults, 2, STRIDE);
}

static void whatever_the_kernel_says_each_call_says_so_and_costs_nothing(void **state)
{
    (void)state;
    fail_all(faults + 2, COUNT(faults) - 2, STRIDE_OTHERS);
}

/* ---- what they found ---- */

static void fail_named(const char *call, const char *disk)
{
    for (size_t i = 0; i < call_count; i++)
        for (size_t j = 0; j < disk_count; j++)
            if (strcmp(calls[i].name, call) == 0 && strcmp(disks[j].name, disk) == 0) {
                fail_call(&calls[i], &disks[j], memory_faults, COUNT(memory_faults), 1);
                fail_call(&calls[i], &disks[j], faults, 2, repeat_share(100) < 100 ? 20 : 1);
            }
}

/* What tells how far the log was durable could not be read: then damage was a torn tail (D6). */
static void no_reader_takes_damage_for_the_end(void **state)
{
    (void)state;
    fail_named("read", "damaged-end");
    fail_named("read-durable", "damaged");
}

/* The same without `control`: the end came before the first record (D11). */
static void no_reader_of_durable_records_ends_too_early(void **state)
{
    (void)state;
    fail_named("read-durable", "no-control");
}

/* The file was there, and empty: its new header hid what else was missing. */
static void a_segment_of_holes_is_begun_again(void **state)
{
    (void)state;
    fail_named("open-salvage-tail", "missing");
}

/* The quarantine could not be listed: ids that are in use there were given to new segments. */
static void no_id_is_used_again_because_nobody_could_look(void **state)
{
    (void)state;
    fail_named("repair-prefix", "damaged-ring");
}

/* It said that there is no segment, or another plan than what a repair would do. */
static void a_dry_run_tells_nothing_that_it_does_not_know(void **state)
{
    (void)state;
    fail_named("dry-run-prefix", "closed");
    fail_named("dry-run-prefix", "damaged-end");
    fail_named("dry-run-salvage", "missing");
}

/* "there is no log", and "control is of another log". */
static void explain_tells_nothing_that_it_does_not_know(void **state)
{
    (void)state;
    fail_named("explain-all", "closed");
    fail_named("explain-record", "killed");
}

/* Positions in the wrong segment. */
static void live_stats_tell_nothing_that_they_do_not_know(void **state)
{
    (void)state;
    fail_named("live-stats", "closed");
}

/* An old one was told to be new. */
static void a_repair_tells_only_new_pieces(void **state)
{
    (void)state;
    fail_named("repair-salvage", "mended");
}

/* CALL.DISK.MASK.FLAGS.ERRNO.NTH */
static void one_that_failed(void **state)
{
    char call[32], disk[32];
    unsigned long long nth;
    struct fault fault = {0};

    (void)state;
    if (sscanf(getenv("NORI_FAULT_REPEAT"), "%31[^.].%31[^.].%x.%x.%d.%llu", call, disk,
               &fault.mask, &fault.flags, &fault.os_errno, &nth) != 6)
        fail_msg("NORI_FAULT_REPEAT is not understood");
    fault.flags |= NORI_SIM_TRACE;
    fault.nth = nth;
    for (size_t i = 0; i < call_count; i++)
        for (size_t j = 0; j < disk_count; j++)
            if (strcmp(calls[i].name, call) == 0 && strcmp(disks[j].name, disk) == 0)
                fail_call(&calls[i], &disks[j], &fault, 1, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_memory_is_missing_each_call_says_so_and_costs_nothing),
        cmocka_unit_test(whatever_call_fails_each_call_says_so_and_costs_nothing),
        cmocka_unit_test(whatever_the_kernel_says_each_call_says_so_and_costs_nothing),
        cmocka_unit_test(no_reader_takes_damage_for_the_end),
        cmocka_unit_test(no_reader_of_durable_records_ends_too_early),
        cmocka_unit_test(a_segment_of_holes_is_begun_again),
        cmocka_unit_test(no_id_is_used_again_because_nobody_could_look),
        cmocka_unit_test(a_dry_run_tells_nothing_that_it_does_not_know),
        cmocka_unit_test(explain_tells_nothing_that_it_does_not_know),
        cmocka_unit_test(live_stats_tell_nothing_that_they_do_not_know),
        cmocka_unit_test(a_repair_tells_only_new_pieces),
    };
    int failed;

    if (getenv("NORI_FAULT_REPEAT"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    ONLY_MATCHING(argc, argv, tests, "");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("maintenance: %llu calls, %llu of them with a fault, in %.1f s\n",
                  (unsigned long long)totals.runs, (unsigned long long)totals.failures,
                  totals.seconds);
    return failed;
}
