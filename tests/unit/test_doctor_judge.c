/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_doctor_judge.c: what `nori doctor` makes of facts and figures. A disk that it praises though
 * it forgets costs records; a warning without cause costs belief in the next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../cli/doctor.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

/* A plain server: ext4 on an SSD that stores before it answers. */
static struct doctor_machine make_machine(const char *type)
{
    struct doctor_machine machine = {.device = "nvme0n1",
                                     .write_cache = "write back",
                                     .scheduler = "none",
                                     .has_fua = 1,
                                     .is_rotational = 0,
                                     .requests_per_s = 3,
                                     .bytes_free = 500 * GIB,
                                     .inodes_free = 1000000,
                                     .kernel = "Linux 6.1.0",
                                     .kernel_major = 6,
                                     .kernel_minor = 1,
                                     .file_bytes_max = DOCTOR_UNLIMITED,
                                     .files_max = 1024};

    (void)snprintf(machine.mount.type, sizeof machine.mount.type, "%s", type);
    (void)snprintf(machine.mount.options, sizeof machine.mount.options, "rw,relatime");
    return machine;
}

static struct doctor_sample sample_of(uint64_t p50_ns)
{
    return (struct doctor_sample){1000, p50_ns, 3 * p50_ns, 10 * p50_ns};
}

static struct doctor_measured make_measured(uint64_t sync_ns)
{
    struct doctor_measured measured = {
        .bytes_per_s = 400e6, .write_stall_ns = 1000000, .can_reserve = true, .can_map = true};

    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++)
        measured.ways[i] = sample_of(sync_ns);
    return measured;
}

static const struct doctor_finding *find(const struct doctor_report *report, const char *about)
{
    for (size_t i = 0; i < report->finding_count; i++)
        if (strcmp(report->findings[i].about, about) == 0)
            return &report->findings[i];
    return NULL;
}

static bool is_warned(const struct doctor_report *report, const char *about)
{
    const struct doctor_finding *finding = find(report, about);

    return finding && finding->grade == DOCTOR_WARNING;
}

static const struct doctor_proposal *proposal_of(const struct doctor_report *report,
                                                 const char *field)
{
    for (size_t i = 0; i < report->proposal_count; i++)
        if (strcmp(report->proposals[i].field, field) == 0)
            return &report->proposals[i];
    fail_msg("nothing is proposed for %s", field);
    return NULL;
}

/* What is said of a disk whose syncs take so long, on that machine. */
static struct doctor_report judge(const struct doctor_machine *machine, uint64_t sync_ns)
{
    struct doctor_measured measured = make_measured(sync_ns);
    struct doctor_report report;

    doctor_judge(machine, &measured, &report);
    return report;
}

static void a_sound_disk_gets_no_warning(void **state)
{
    static const char *const types[] = {"ext4", "xfs", "btrfs", "ext3", "f2fs", "overlay", "zfs"};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct doctor_machine machine = make_machine(types[i]);
        struct doctor_report report = judge(&machine, 200000);

        assert_int_equal(report.warning_count, 0);
        assert_int_equal(find(&report, "sync")->grade, DOCTOR_GOOD);
    }
}

static void syncs_that_take_no_time_are_a_warning(void **state)
{
    struct doctor_machine machine = make_machine("ext4");
    struct doctor_report report = judge(&machine, 2000);

    (void)state;
    assert_true(is_warned(&report, "sync"));
    assert_non_null(strstr(find(&report, "sync")->text, "may not keep what it was told to"));
    assert_string_equal(proposal_of(&report, "preallocate")->choice, "reserve");
    report = judge(&machine, 12000); /* a device with power loss protection */
    assert_false(is_warned(&report, "sync"));
}

static void a_spinning_disk_cannot_be_faster_than_it_turns(void **state)
{
    struct doctor_machine machine = make_machine("ext4");
    struct doctor_report report;

    (void)state;
    machine.is_rotational = 1;
    report = judge(&machine, 300000);
    assert_true(is_warned(&report, "sync"));
    report = judge(&machine, 8000000);
    assert_int_equal(report.warning_count, 0);
    machine.is_virtual = true; /* those often say that they spin */
    report = judge(&machine, 300000);
    assert_int_equal(report.warning_count, 0);
}

static void what_forgets_by_its_nature_is_a_warning(void **state)
{
    static const char *const types[] = {"tmpfs", "ramfs",    "nfs4", "nfs",
                                        "cifs",  "virtiofs", "9p",   "fuse.sshfs"};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct doctor_machine machine = make_machine(types[i]);
        struct doctor_report report = judge(&machine, i < 2 ? 1000 : 300000);

        assert_true(is_warned(&report, "file_system"));
        assert_int_equal(report.warning_count, 1);
        if (i < 2)
            assert_non_null(strstr(find(&report, "file_system")->text, "survives a power cut"));
    }
}

static void mount_options_that_undo_syncs_are_a_warning(void **state)
{
    static const struct {
        const char *options;
        bool is_bad;
    } cases[] = {{"rw,nobarrier", true},       {"rw,barrier=0", true},
                 {"rw,volatile", true},        {"rw,barrier=1", false},
                 {"rw,sync", false},           {"rw,data=journal", false},
                 {"rw,data=writeback", false}, {"rw,data=ordered", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct doctor_machine machine = make_machine("ext4");
        struct doctor_report report;

        (void)snprintf(machine.mount.options, sizeof machine.mount.options, "%s", cases[i].options);
        report = judge(&machine, 200000);
        assert_int_equal(is_warned(&report, "mount_options"), cases[i].is_bad);
        assert_int_equal(report.warning_count, cases[i].is_bad);
    }
}

static void old_kernels_and_tight_limits_are_a_warning(void **state)
{
    struct doctor_machine machine = make_machine("ext4");
    struct doctor_report report;

    (void)state;
    machine.kernel_major = 4;
    machine.kernel_minor = 12;
    report = judge(&machine, 200000);
    assert_true(is_warned(&report, "kernel"));
    machine.kernel_minor = 13;
    report = judge(&machine, 200000);
    assert_false(is_warned(&report, "kernel"));
    machine.files_max = 30;
    report = judge(&machine, 200000);
    assert_true(is_warned(&report, "limits"));
    machine.files_max = 1024;
    machine.file_bytes_max = MIB / 2;
    report = judge(&machine, 200000);
    assert_true(is_warned(&report, "limits"));
    machine.file_bytes_max = DOCTOR_UNLIMITED;
    machine.inodes_free = 3;
    report = judge(&machine, 200000);
    assert_true(is_warned(&report, "space"));
}

/* Zeros are written besides everything else: they have to pay, alone and beside load. */
static void zeros_are_proposed_only_where_they_pay(void **state)
{
    static const struct {
        const char *type;
        uint64_t reserved_us, zeroed_us, reserved_load_us, zeroed_load_us;
        uint64_t count;
        uint32_t wanted;
    } cases[] = {
        {"ext4", 1100, 200, 2900, 800, 100, NORI_PREALLOCATE_ZERO},
        {"ext4", 1100, 200, 900, 900, 100, NORI_PREALLOCATE_ZERO},
        {"ext4", 1099, 200, 2900, 800, 100, NORI_PREALLOCATE_RESERVE},
        {"ext4", 300, 200, 900, 800, 100, NORI_PREALLOCATE_RESERVE},
        {"ext4", 200, 1100, 900, 800, 100, NORI_PREALLOCATE_RESERVE},
        {"ext4", 1100, 200, 800, 900, 100, NORI_PREALLOCATE_RESERVE},
        {"ext4", 1100, 200, 900, 800, 15, 0},
        {"ext4", 1100, 200, 900, 800, 0, 0},
        {"tmpfs", 1100, 200, 900, 800, 100, NORI_PREALLOCATE_RESERVE},
        {"ext4", 7, 1, 9, 8, 100, NORI_PREALLOCATE_RESERVE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct doctor_machine machine = make_machine(cases[i].type);
        struct doctor_measured measured = make_measured(400000);
        struct doctor_report report;
        bool is_zero = cases[i].wanted == NORI_PREALLOCATE_ZERO;

        measured.ways[DOCTOR_RESERVED] = sample_of(cases[i].reserved_us * 1000);
        measured.ways[DOCTOR_ZEROED] = sample_of(cases[i].zeroed_us * 1000);
        measured.ways[DOCTOR_RESERVED_LOAD] = sample_of(cases[i].reserved_load_us * 1000);
        measured.ways[DOCTOR_ZEROED_LOAD] = sample_of(cases[i].zeroed_load_us * 1000);
        measured.ways[DOCTOR_ZEROED].count = cases[i].count;
        doctor_judge(&machine, &measured, &report);
        assert_int_equal(report.advice.preallocate, cases[i].wanted);
        assert_string_equal(proposal_of(&report, "preallocate")->choice,
                            is_zero ? "zero" : "reserve");
        if (cases[i].wanted != 0) {
            assert_int_equal(report.advice.size, sizeof report.advice);
            assert_int_equal(report.advice.reserved_ns, cases[i].reserved_us * 1000);
            assert_int_equal(report.advice.zeroed_ns, cases[i].zeroed_us * 1000);
        }
    }
}

static void the_configuration_goes_with_the_disk(void **state)
{
    struct doctor_machine machine = make_machine("ext4");
    struct doctor_measured measured = make_measured(200000);
    struct doctor_report report;

    (void)state;
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "buffer_size")->number, 4 * MIB);
    assert_int_equal(proposal_of(&report, "max_segment_size")->number, 128 * MIB);
    assert_int_equal(proposal_of(&report, "batch_window_us")->number, 5000);

    report = judge(&machine, 9000000); /* a spinning disk: 36 ms would be a fifth of the time */
    assert_int_equal(proposal_of(&report, "batch_window_us")->number, 50000);
    report = judge(&machine, 900000000);
    assert_int_equal(proposal_of(&report, "batch_window_us")->number, 1000000);

    measured.write_stall_ns = 50000000; /* 20 MB at 400 MB/s */
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "buffer_size")->number, 32 * MIB);
    measured.write_stall_ns = 5000000000;
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "buffer_size")->number, 64 * MIB);

    machine.bytes_free = GIB;
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "max_segment_size")->number, 64 * MIB);
    machine.bytes_free = 0;
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "max_segment_size")->number, MIB);
    machine.bytes_free = 500 * GIB;
    machine.file_bytes_max = 100 * MIB;
    doctor_judge(&machine, &measured, &report);
    assert_int_equal(proposal_of(&report, "max_segment_size")->number, 64 * MIB);
    assert_non_null(strstr(proposal_of(&report, "max_segment_size")->reason, "ulimit -f"));
}

static void a_busy_disk_is_told(void **state)
{
    struct doctor_machine machine = make_machine("ext4");
    struct doctor_report report = judge(&machine, 200000);

    (void)state;
    assert_null(find(&report, "others"));
    machine.requests_per_s = 4567;
    report = judge(&machine, 200000);
    assert_int_equal(find(&report, "others")->grade, DOCTOR_NOTE);
    assert_non_null(strstr(find(&report, "others")->text, " 4600 requests"));
    machine.requests_per_s = -1; /* unknown */
    report = judge(&machine, 200000);
    assert_null(find(&report, "others"));
}

/* Whole sentences, not cut off, without a figure that is none. */
static void check_texts(const struct doctor_report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        const char *text = report->findings[i].text;
        size_t len = strlen(text);

        assert_true(len > 10 && len < sizeof report->findings[i].text - 1);
        assert_int_equal(text[len - 1], '.');
        assert_null(strstr(text, "  "));
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf "));
    }
    assert_int_equal(report->proposal_count, 4);
    for (size_t i = 0; i < report->proposal_count; i++) {
        const char *reason = report->proposals[i].reason;
        size_t len = strlen(reason);

        assert_true(len > 5 && len < sizeof report->proposals[i].reason - 1);
        assert_int_not_equal(reason[len - 1], '.');
        assert_null(strstr(reason, "nan"));
    }
}

/* The worst of everything, and nothing at all: all findings have room, and each is whole. */
static void every_text_is_whole(void **state)
{
    struct doctor_machine machine = make_machine("btrfs");
    struct doctor_measured measured = make_measured(200000);
    struct doctor_report report;

    (void)state;
    doctor_judge(&machine, &measured, &report);
    check_texts(&report);
    for (size_t full = 0; full < 2; full++) {
        machine = make_machine(full ? "overlay" : "fuse.a-rather-long-name-of-some-file-system");
        measured = make_measured(UINT64_MAX / 16);
        measured.ways[DOCTOR_RESERVED_LOAD].p99_ns = UINT64_MAX;
        measured.ways[DOCTOR_DSYNC].p50_ns = 1;
        measured.bytes_per_s = 1e12;
        measured.write_stall_ns = UINT64_MAX;
        measured.can_reserve = measured.can_map = false;
        measured.is_full = full == 1;
        memset(machine.backing_file, 'b', sizeof machine.backing_file - 1);
        memset(machine.device, 'd', sizeof machine.device - 1);
        memset(machine.kernel, 'k', sizeof machine.kernel - 1);
        (void)snprintf(machine.mount.options, sizeof machine.mount.options,
                       "rw,sync,nobarrier,volatile,data=journal,data=writeback");
        machine.is_virtual = true;
        machine.requests_per_s = 1e12;
        machine.inodes_free = machine.files_max = machine.file_bytes_max = 1;
        machine.bytes_free = 1;
        doctor_judge(&machine, &measured, &report);
        assert_true(report.finding_count < DOCTOR_FINDINGS_MAX);
        check_texts(&report);
    }
    machine = (struct doctor_machine){.has_fua = -1, .is_rotational = -1};
    measured = (struct doctor_measured){.is_full = true};
    doctor_judge(&machine, &measured, &report);
    check_texts(&report);
    assert_true(is_warned(&report, "space"));
    assert_int_equal(report.advice.preallocate, 0);
    measured.is_full = false;
    doctor_judge(&machine, &measured, &report);
    check_texts(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_disk_gets_no_warning),
        cmocka_unit_test(syncs_that_take_no_time_are_a_warning),
        cmocka_unit_test(a_spinning_disk_cannot_be_faster_than_it_turns),
        cmocka_unit_test(what_forgets_by_its_nature_is_a_warning),
        cmocka_unit_test(mount_options_that_undo_syncs_are_a_warning),
        cmocka_unit_test(old_kernels_and_tight_limits_are_a_warning),
        cmocka_unit_test(zeros_are_proposed_only_where_they_pay),
        cmocka_unit_test(the_configuration_goes_with_the_disk),
        cmocka_unit_test(a_busy_disk_is_told),
        cmocka_unit_test(every_text_is_whole),
    };

    return cmocka_run_group_tests_name("doctor_judge", tests, NULL, NULL);
}
