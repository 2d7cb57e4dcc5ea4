/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_judge.c: what facts and figures mean for a log, in sentences, and a configuration.
 *
 * What. Each function looks at one thing and says at most what matters for this log; together they
 * make the report. A warning is for what may cost records that should be durable, or keeps the log
 * from working; a note for what costs speed, or should be known. Nothing here proves that a device
 * keeps what it said: only a power cut does.
 *
 * Not here. Looking and measuring: doctor_machine.c, doctor_measure.c. Printing: doctor.c.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define MIB ((uint64_t)1 << 20)

/* A block that is written and synced faster than this reached no medium that is known: the fastest
 * take some ten microseconds for the block alone, and the kernel takes some for the calls. */
#define IMPLAUSIBLE_NS 8000
/* Half a turn of the fastest disk there was, at 15,000 a minute. */
#define HALF_TURN_NS 2000000

/* Zeros cost as many bytes once more: they have to pay clearly. */
#define ZERO_PAYS         1.5
#define SYNC_LEN          16.0  /* KiB that several threads bring to one sync */
#define ZEROS_AHEAD       128.0 /* KiB, as in the log under always (docs/performance.md) */

#define BUSY_REQUESTS     100 /* a second */

#define SEGMENT_DEFAULT   (128 * MIB)
#define BUFFER_DEFAULT    (4 * MIB)
#define BUFFER_MAX        (64 * MIB)
#define WINDOW_DEFAULT_US 5000
#define WINDOW_MAX_US     1000000
#define SEGMENTS_OF_SPACE 16 /* so many fit into what is free */

__attribute__((format(printf, 4, 5))) static void say(struct doctor_report *report,
                                                      const char *about, enum doctor_grade grade,
                                                      const char *format, ...)
{
    struct doctor_finding *finding;
    va_list arguments;

    if (report->finding_count == DOCTOR_FINDINGS_MAX)
        return;
    finding = &report->findings[report->finding_count++];
    finding->about = about;
    finding->grade = grade;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    report->warning_count += grade == DOCTOR_WARNING;
}

/* To two digits: more would be a promise. */
static double rounded(double number)
{
    double unit = 1;

    while (number / unit >= 100)
        unit *= 10;
    return (double)(uint64_t)(number / unit + 0.5) * unit;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* ---- the file system ---- */

static bool is_memory(const struct doctor_machine *machine)
{
    static const char *const types[] = {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs", NULL};

    return is_one_of(machine->mount.type, types);
}

static bool is_remote(const struct doctor_machine *machine)
{
    static const char *const types[] = {
        "9p",   "afs",    "ceph", "cifs",  "glusterfs", "lustre",   "ncpfs",  "nfs",
        "nfs4", "prl_fs", "smb3", "smbfs", "vboxsf",    "virtiofs", "vmhgfs", NULL};
    const char *type = machine->mount.type;

    return is_one_of(type, types) || strcmp(type, "fuse") == 0 || strncmp(type, "fuse.", 5) == 0;
}

static void judge_file_system(const struct doctor_machine *machine, struct doctor_report *report)
{
    const char *type = machine->mount.type;
    static const char *const tested[] = {"ext4", "xfs", "btrfs", NULL};

    if (type[0] == '\0')
        say(report, "file_system", DOCTOR_NOTE,
            "The system does not tell what file system this is; nothing can be said about it.");
    else if (is_memory(machine))
        say(report, "file_system", DOCTOR_WARNING,
            "This is memory (%s): nothing that is kept here survives a power cut or a restart of "
            "the machine, whatever a sync says. A log here survives the death of its process only; "
            "that is good for tests.",
            type);
    else if (is_remote(machine))
        say(report, "file_system", DOCTOR_WARNING,
            "The files are kept by somebody else (%s): a server, the host of a virtual machine, or "
            "another program. Whether a sync reaches a medium there, and whether locks and renames "
            "are what they should be, nobody has tested with this log. Better take a local disk.",
            type);
    else if (strcmp(type, "overlay") == 0)
        say(report, "file_system", DOCTOR_NOTE,
            "This is an overlay, as containers have: the log goes when its upper layer does, which "
            "may be when the container is removed. Better take a volume.");
    else if (strcmp(type, "btrfs") == 0)
        say(report, "file_system", DOCTOR_NOTE,
            "btrfs copies on write. The log makes its files without that, but a snapshot undoes it "
            "for the blocks it shares: after an unclean stop on a full disk, open may then need "
            "space (NORI_E_NOSPACE).");
    else if (is_one_of(type, tested))
        say(report, "file_system", DOCTOR_GOOD,
            "%s suits this log. After a write to the disk failed it goes on showing the lost bytes "
            "from memory, so after a crash the log believes no bytes above its watermark but "
            "writes them again.",
            type);
    else
        say(report, "file_system", DOCTOR_NOTE,
            "%s needs to sync files and folders, to rename within a folder atomically, and to have "
            "flock; ext4, xfs and btrfs are known to do so.",
            type);
}

static void judge_options(const struct doctor_machine *machine, struct doctor_report *report)
{
    const char *options = machine->mount.options;

    if (cli_mount_has_option(options, "nobarrier") || cli_mount_has_option(options, "barrier=0"))
        say(report, "mount_options", DOCTOR_WARNING,
            "It is mounted with nobarrier: a sync does not make the device empty its cache. Unless "
            "that cache survives a power cut, what was durable is lost in one, and the order of "
            "things with it. Mount it without.");
    if (cli_mount_has_option(options, "volatile"))
        say(report, "mount_options", DOCTOR_WARNING,
            "The overlay is mounted volatile: its syncs do nothing.");
    if (cli_mount_has_option(options, "sync"))
        say(report, "mount_options", DOCTOR_NOTE,
            "It is mounted with sync: each write waits for the device, so the policies batch and "
            "os are as slow as always.");
    if (cli_mount_has_option(options, "data=journal"))
        say(report, "mount_options", DOCTOR_NOTE,
            "It is mounted with data=journal: each byte is written twice, to the journal first. "
            "This log does not need that.");
    if (cli_mount_has_option(options, "data=writeback"))
        say(report, "mount_options", DOCTOR_NOTE,
            "It is mounted with data=writeback: after a power cut an unsynced tail may hold older "
            "bytes. The log takes no record whose checksum does not hold, so that is harmless.");
}

static void judge_mapping(const struct doctor_measured *measured, struct doctor_report *report)
{
    if (!measured->can_map)
        say(report, "staging_ring", DOCTOR_NOTE,
            "The log cannot map its staging ring here: each append is written before it returns, "
            "which takes longer. The promises are the same.");
    if (!measured->can_reserve)
        say(report, "space", DOCTOR_NOTE,
            "This file system reserves no space; the log writes zeros instead, all bytes twice.");
}

/* ---- the device ---- */

static uint64_t fastest_sync(const struct doctor_measured *measured)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = DOCTOR_GROWING; i <= DOCTOR_ZEROED; i++)
        if (measured->ways[i].count > 0 && measured->ways[i].p50_ns < least)
            least = measured->ways[i].p50_ns;
    return least;
}

static void judge_syncs(const struct doctor_machine *machine,
                        const struct doctor_measured *measured, struct doctor_report *report)
{
    const struct doctor_sample *sample = &measured->ways[DOCTOR_RESERVED];
    uint64_t fastest = fastest_sync(measured);
    char time[CLI_TEXT_SIZE], slow[CLI_TEXT_SIZE];

    if (fastest == UINT64_MAX || is_memory(machine))
        return;
    (void)cli_text_of_ns(fastest, time);
    if (fastest < IMPLAUSIBLE_NS)
        say(report, "sync", DOCTOR_WARNING,
            "Syncs take no time: %s for a block of 4 KiB and its sync. No device is known that "
            "stores it so fast, so something may answer before it is stored: the device, the host "
            "of a virtual machine, or a library such as eatmydata. This device may not keep what "
            "it was told to. Do not rely on it before a real power cut has shown that it does.",
            time);
    else if (machine->is_rotational == 1 && !machine->is_virtual && fastest < HALF_TURN_NS)
        say(report, "sync", DOCTOR_WARNING,
            "%s says that it is a spinning disk, but a sync takes %s, less than half a turn of the "
            "fastest there is. Either a controller with a battery keeps it, or it is no such disk, "
            "or it answers before the block is stored: then it may lose what was durable. Find out "
            "which; a power cut shows it.",
            machine->device, time);
    else if (sample->count > 0)
        say(report, "sync", DOCTOR_GOOD,
            "A sync takes %s, one in a hundred %s or more: long enough for a device that stores "
            "before it answers. That is no proof; only a power cut is.",
            cli_text_of_ns(sample->p50_ns, time), cli_text_of_ns(sample->p99_ns, slow));
}

static void judge_cache(const struct doctor_machine *machine, struct doctor_report *report)
{
    if (machine->device[0] == '\0')
        return;
    if (strcmp(machine->write_cache, "write back") == 0)
        say(report, "write_cache", DOCTOR_GOOD,
            "%s has a cache that a power cut empties (write back); each sync brings it to the "
            "medium, and that is what a sync costs.",
            machine->device);
    else if (strcmp(machine->write_cache, "write through") == 0)
        say(report, "write_cache", DOCTOR_NOTE,
            "%s says that it has no cache that a power cut empties (write through), so the kernel "
            "never asks it to store what is there. If that is not true, nothing helps.",
            machine->device);
    if (machine->is_virtual)
        say(report, "device", DOCTOR_NOTE,
            "%s is a virtual disk: what a sync means is decided on its host, which can be told to "
            "ignore syncs (QEMU: cache=unsafe).",
            machine->device);
    if (machine->backing_file[0] != '\0')
        say(report, "device", DOCTOR_NOTE,
            "%s is a loop device on the file %.200s; look at the disk below that, too.",
            machine->device, machine->backing_file);
}

static void judge_others(const struct doctor_machine *machine, struct doctor_report *report)
{
    if (machine->requests_per_s >= BUSY_REQUESTS)
        say(report, "others", DOCTOR_NOTE,
            "%s was busy before this began: %.0f requests a second. The figures are those of a "
            "busy disk; what it can do shows when it is quiet.",
            machine->device, rounded(machine->requests_per_s));
}

static void judge_load(const struct doctor_measured *measured, struct doctor_report *report)
{
    const struct doctor_sample *alone = &measured->ways[DOCTOR_RESERVED];
    const struct doctor_sample *loaded = &measured->ways[DOCTOR_RESERVED_LOAD];
    char time[CLI_TEXT_SIZE], slow[CLI_TEXT_SIZE];

    if (alone->count < DOCTOR_SAMPLES_LEAST || loaded->count < DOCTOR_SAMPLES_LEAST ||
        loaded->p99_ns < 4 * alone->p99_ns || loaded->p99_ns < 10000000)
        return;
    say(report, "load", DOCTOR_NOTE,
        "Beside something that writes as fast as it can, a sync takes %s, one in a hundred %s or "
        "more: so long an append under always may wait then. Under batch and os none waits.",
        cli_text_of_ns(loaded->p50_ns, time), cli_text_of_ns(loaded->p99_ns, slow));
}

/* The log uses fdatasync. Would O_DIRECT or O_DSYNC be better here? */
static void judge_other_ways(const struct doctor_measured *measured, struct doctor_report *report)
{
    static const struct {
        enum doctor_way way;
        const char *name;
    } others[] = {{DOCTOR_DSYNC, "O_DSYNC"},
                  {DOCTOR_DIRECT, "O_DIRECT"},
                  {DOCTOR_DIRECT_DSYNC, "O_DIRECT with O_DSYNC"}};
    const struct doctor_sample *ours = &measured->ways[DOCTOR_ZEROED];
    const char *best = NULL;
    uint64_t best_ns = UINT64_MAX;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct doctor_sample *sample = &measured->ways[others[i].way];

        if (sample->count >= DOCTOR_SAMPLES_LEAST && sample->p50_ns < best_ns) {
            best_ns = sample->p50_ns;
            best = others[i].name;
        }
    }
    if (!best || ours->count < DOCTOR_SAMPLES_LEAST)
        return;
    if ((double)ours->p50_ns >= ZERO_PAYS * (double)best_ns)
        say(report, "other_ways", DOCTOR_NOTE,
            "%s would be %.1f times as fast as the fdatasync that the log uses; there is no "
            "setting for that.",
            best, (double)ours->p50_ns / (double)best_ns);
    else
        say(report, "other_ways", DOCTOR_GOOD,
            "fdatasync, which the log uses, is about as good here as O_DIRECT and O_DSYNC.");
}

/* ---- space, limits, kernel ---- */

static void judge_space(const struct doctor_machine *machine,
                        const struct doctor_measured *measured, struct doctor_report *report)
{
    char bytes[CLI_TEXT_SIZE];

    (void)cli_text_of_bytes(machine->bytes_free, bytes);
    if (measured->is_full)
        say(report, "space", DOCTOR_WARNING,
            "There is too little space to measure in: %s%s. What was accepted is never lost to a "
            "full disk, but appends will return NORI_E_NOSPACE until there is room.",
            machine->bytes_free < DOCTOR_FREE_MIN ? bytes : "a limit on the length of files ",
            machine->bytes_free < DOCTOR_FREE_MIN ? " free" : "(ulimit -f), or a quota");
    else if (machine->bytes_free < 2 * SEGMENT_DEFAULT)
        say(report, "space", DOCTOR_NOTE, "There is little space: %s.", bytes);
    if (machine->inodes_free < 1000)
        say(report, "space", DOCTOR_WARNING,
            "Only %llu more files can be made here (inodes); each segment is one.",
            (unsigned long long)machine->inodes_free);
}

static void judge_limits(const struct doctor_machine *machine, struct doctor_report *report)
{
    char bytes[CLI_TEXT_SIZE];

    if (machine->file_bytes_max < MIB)
        say(report, "limits", DOCTOR_WARNING,
            "Files may be %s long at most (ulimit -f); the log needs 4 MiB for its staging ring, "
            "and 1 MiB for a segment.",
            cli_text_of_bytes(machine->file_bytes_max, bytes));
    if (machine->files_max < 64)
        say(report, "limits", DOCTOR_WARNING,
            "Only %llu files may be open at a time (ulimit -n); a log has up to 20 open, and each "
            "reader some more.",
            (unsigned long long)machine->files_max);
}

static void judge_kernel(const struct doctor_machine *machine, struct doctor_report *report)
{
    unsigned version = machine->kernel_major * 1000 + machine->kernel_minor;

    if (version == 0)
        return;
    if (version < 4013)
        say(report, "kernel", DOCTOR_WARNING,
            "%s may tell nobody that a write to the disk failed: that is mended in Linux 4.13. "
            "Then a log would acknowledge what the disk does not have.",
            machine->kernel);
    else
        say(report, "kernel", DOCTOR_GOOD,
            "%s tells the log once if a write to the disk failed. The log then stops for good "
            "(D8), since a second sync would say that all is well.",
            machine->kernel);
}

/* ---- the configuration ---- */

static struct doctor_proposal *propose(struct doctor_report *report, const char *field)
{
    struct doctor_proposal *proposal = &report->proposals[report->proposal_count++];

    proposal->field = field;
    return proposal;
}

/* How many times as long a sync of the log takes in reserved space: mostly it overwrites zeros
 * there, too, since under always the log writes some ahead, and one sync in a few brings new ones.
 */
static double gain_of_zeros(uint64_t reserved_ns, uint64_t zeroed_ns)
{
    double ratio = (double)reserved_ns / (double)zeroed_ns;

    return 1 + (ratio - 1) * SYNC_LEN / (SYNC_LEN + ZEROS_AHEAD);
}

/* Is it worth writing everything twice? */
static void choose_preallocate(const struct doctor_machine *machine,
                               const struct doctor_measured *measured, struct doctor_report *report)
{
    const struct doctor_sample *reserved = &measured->ways[DOCTOR_RESERVED];
    const struct doctor_sample *zeroed = &measured->ways[DOCTOR_ZEROED];
    const struct doctor_sample *reserved_load = &measured->ways[DOCTOR_RESERVED_LOAD];
    const struct doctor_sample *zeroed_load = &measured->ways[DOCTOR_ZEROED_LOAD];
    struct doctor_proposal *proposal = propose(report, "preallocate");
    bool is_worse_loaded = reserved_load->count > 0 && zeroed_load->count > 0 &&
                           zeroed_load->p50_ns > reserved_load->p50_ns;
    char over_zeros[CLI_TEXT_SIZE], into_reserved[CLI_TEXT_SIZE];
    double gain;

    proposal->choice = "reserve";
    if (reserved->count < DOCTOR_SAMPLES_LEAST || zeroed->count < DOCTOR_SAMPLES_LEAST) {
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "too little could be measured to say anything else");
        return;
    }
    report->advice.preallocate = NORI_PREALLOCATE_RESERVE;
    report->advice.growing_ns = measured->ways[DOCTOR_GROWING].p50_ns;
    report->advice.reserved_ns = reserved->p50_ns;
    report->advice.zeroed_ns = zeroed->p50_ns;
    gain = gain_of_zeros(reserved->p50_ns, zeroed->p50_ns);
    (void)cli_text_of_ns(zeroed->p50_ns, over_zeros);
    (void)cli_text_of_ns(reserved->p50_ns, into_reserved);
    if (is_memory(machine) || fastest_sync(measured) < IMPLAUSIBLE_NS) {
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "where a sync does nothing, nothing makes it cheaper");
    } else if (gain < ZERO_PAYS) {
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "a sync over zeros takes %s, into reserved space %s; but there the log, "
                       "under always, writes zeros 128 KiB ahead, so that its syncs take about "
                       "%.1f times as long: too little for writing everything twice",
                       over_zeros, into_reserved, gain);
    } else if (is_worse_loaded) {
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "alone a sync over zeros is faster (%s, not %s), but not beside load",
                       over_zeros, into_reserved);
    } else {
        proposal->choice = "zero";
        report->advice.preallocate = NORI_PREALLOCATE_ZERO;
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "under always: a sync over zeros takes %s, into reserved space %s, so that "
                       "the log's, though it writes zeros 128 KiB ahead there, take about %.1f "
                       "times as long; the price is that everything is written twice. Under "
                       "batch and os: reserve, since no append waits for a sync",
                       over_zeros, into_reserved, gain);
    }
}

static uint64_t power_of_two_above(uint64_t least, uint64_t from)
{
    while (from < least)
        from *= 2;
    return from;
}

static double least_of(double a, double b)
{
    return a < b ? a : b;
}

static void choose_buffer(const struct doctor_measured *measured, struct doctor_report *report)
{
    struct doctor_proposal *proposal = propose(report, "buffer_size");
    double stalled = least_of(measured->bytes_per_s * (double)measured->write_stall_ns / 1e9, 1e15);
    char time[CLI_TEXT_SIZE], bytes[CLI_TEXT_SIZE];

    proposal->is_bytes = true;
    proposal->number = BUFFER_DEFAULT;
    (void)cli_text_of_ns(measured->write_stall_ns, time);
    (void)cli_text_of_bytes((uint64_t)stalled, bytes);
    if (measured->write_stall_ns == 0 || measured->bytes_per_s <= 0)
        (void)snprintf(proposal->reason, sizeof proposal->reason, "the default");
    else if (stalled <= (double)BUFFER_DEFAULT)
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "the default: the longest write beside load took %s, and meanwhile the "
                       "disk's rate brings %s",
                       time, bytes);
    else {
        proposal->number = power_of_two_above((uint64_t)stalled, BUFFER_DEFAULT);
        if (proposal->number > BUFFER_MAX)
            proposal->number = BUFFER_MAX;
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "the longest write beside load took %s; so much (%s at the disk's rate) "
                       "can be appended meanwhile without waiting",
                       time, bytes);
    }
}

static void choose_segment_size(const struct doctor_machine *machine,
                                const struct doctor_measured *measured,
                                struct doctor_report *report)
{
    struct doctor_proposal *proposal = propose(report, "max_segment_size");
    uint64_t most = SEGMENT_DEFAULT;
    char bytes[CLI_TEXT_SIZE], rate[CLI_TEXT_SIZE], time[CLI_TEXT_SIZE];

    while (most > MIB &&
           (most > machine->bytes_free / SEGMENTS_OF_SPACE || most > machine->file_bytes_max))
        most /= 2;
    proposal->is_bytes = true;
    proposal->number = most;
    (void)cli_text_of_bytes(machine->bytes_free, bytes);
    if (most < SEGMENT_DEFAULT && machine->file_bytes_max / 2 < most)
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "files may be no longer (ulimit -f)");
    else if (most < SEGMENT_DEFAULT)
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "%s are free, and only whole segments can be dropped", bytes);
    else if (measured->bytes_per_s > 0)
        (void)snprintf(
            proposal->reason, sizeof proposal->reason,
            "the default: at the disk's rate (%s/s) one lasts %s",
            cli_text_of_bytes((uint64_t)measured->bytes_per_s, rate),
            cli_text_of_ns((uint64_t)((double)most / measured->bytes_per_s * 1e9), time));
    else
        (void)snprintf(proposal->reason, sizeof proposal->reason, "the default");
}

static void choose_window(const struct doctor_measured *measured, struct doctor_report *report)
{
    static const uint32_t windows_us[] = {
        WINDOW_DEFAULT_US, 10000, 20000, 50000, 100000, 200000, 500000, WINDOW_MAX_US};
    const struct doctor_sample *sample = &measured->ways[DOCTOR_RESERVED];
    struct doctor_proposal *proposal = propose(report, "batch_window_us");
    uint64_t least_us = 4 * sample->p50_ns / 1000; /* at most a fifth of the time is syncs */
    char time[CLI_TEXT_SIZE];
    size_t i = 0;

    while (windows_us[i] < WINDOW_MAX_US && windows_us[i] < least_us)
        i++;
    proposal->number = windows_us[i];
    (void)cli_text_of_ns(sample->p50_ns, time);
    if (sample->count == 0)
        (void)snprintf(proposal->reason, sizeof proposal->reason, "the default");
    else if (i == 0)
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "the default: a sync takes %s, so the disk is busy with syncs for less "
                       "than a fifth of the time",
                       time);
    else
        (void)snprintf(proposal->reason, sizeof proposal->reason,
                       "a sync takes %s: with a shorter window the disk would be busy with syncs "
                       "for more than a fifth of the time",
                       time);
}

/* The choice is the user's; what each costs here can be told. */
static void judge_policies(const struct doctor_measured *measured, struct doctor_report *report)
{
    /* however space is taken: under always most syncs overwrite */
    const struct doctor_sample *sample = &measured->ways[DOCTOR_ZEROED];
    uint64_t window_ns = report->proposals[report->proposal_count - 1].number * 1000;
    char time[CLI_TEXT_SIZE], slow[CLI_TEXT_SIZE], rate[CLI_TEXT_SIZE];

    if (sample->count == 0 || sample->p50_ns == 0)
        return;
    say(report, "policies", DOCTOR_GOOD,
        "The policy is yours to choose. Under always one thread appends about %.0f records a "
        "second here, and threads that wait together share syncs. Under batch an append is durable "
        "after about %s, the window and two syncs, mostly within %s. Under any policy the disk "
        "limits what the log takes for long; it took %s/s for a moment.",
        rounded(1e9 / (double)sample->p50_ns),
        cli_text_of_ns(window_ns + 2 * measured->ways[DOCTOR_RESERVED].p50_ns, time),
        cli_text_of_ns(window_ns + 2 * measured->ways[DOCTOR_RESERVED].p99_ns, slow),
        cli_text_of_bytes((uint64_t)measured->bytes_per_s, rate));
}

void doctor_judge(const struct doctor_machine *machine, const struct doctor_measured *measured,
                  struct doctor_report *ret_report)
{
    struct doctor_report *report = ret_report;

    memset(report, 0, sizeof *report);
    report->advice.size = sizeof report->advice;
    judge_file_system(machine, report);
    judge_options(machine, report);
    judge_syncs(machine, measured, report);
    judge_cache(machine, report);
    if (!is_memory(machine))
        judge_kernel(machine, report);
    judge_space(machine, measured, report);
    judge_limits(machine, report);
    choose_preallocate(machine, measured, report);
    choose_buffer(measured, report);
    choose_segment_size(machine, measured, report);
    choose_window(measured, report);
    if (measured->is_full || is_memory(machine))
        return;
    judge_others(machine, report);
    judge_mapping(measured, report);
    judge_load(measured, report);
    judge_other_ways(measured, report);
    judge_policies(measured, report);
}
