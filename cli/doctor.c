/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor.c: nori doctor.
 *
 * What. Look at the folder and what lies below it, measure, judge, and print: facts, figures, what
 * they mean, what configuration follows. What follows for space is kept with the log.
 *
 * Failure. Whatever ends it, its files are removed, and nothing is kept of a run that was not
 * finished.
 *
 * Not here. doctor_machine.c looks, doctor_measure.c measures, doctor_judge.c judges.
 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "item.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "text.h"

#define SECONDS_MIN     0.1
#define SECONDS_MAX     600
#define SECONDS_DEFAULT 10

#define WATCH_SHARE     0.05 /* of the time, to see how busy the disk is before */
#define WATCH_SECONDS   0.3  /* at most */

#define COLUMNS         80
#define FACT_INDENT     13
#define FINDING_WIDTH   9
#define REASON_INDENT   32

struct doctor {
    const char *dir;
    bool is_json;
    bool must_store;
    bool has_colour;
    double seconds;
    struct cli_output output;
    struct cli_progress progress;

    char folder[PATH_MAX]; /* that is measured: dir, or the one that it would be made in */
    bool is_missing;       /* dir is not there yet */
    bool is_of_another;    /* dir belongs to another user */
    struct doctor_machine machine;
    struct doctor_measured measured;
    struct doctor_report report;
    bool is_kept;
    char kept[600]; /* what became of the verdict, in a sentence */
};

static const char help[] =
    "usage: nori doctor [OPTIONS] DIR\n"
    "\n"
    "Measure the disk below DIR, the folder of a log or of one to be, in about ten seconds: what "
    "a\n"
    "sync costs in each way a file can be written, alone and beside other writing. Look at file\n"
    "system, device, space and limits, say in sentences what that means for a log there, and "
    "propose\n"
    "a configuration. A log in DIR may be in use; measuring slows it down meanwhile.\n"
    "\n"
    "What follows for the way space is taken is kept in DIR/control: with preallocate = auto, the\n"
    "default, the next open goes by it. The files that are written, an eighth of the free space "
    "at\n"
    "most and less than 80 MiB, are removed at the end, whatever ends it.\n"
    "\n"
    "  --seconds SECONDS        how long to measure, 0.1 to 600 (default 10)\n"
    "  --no-store               keep nothing in DIR/control\n"
    "  --json                   an object a line: kind machine, measurement, finding, proposal or\n"
    "                           summary\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 good; 1 there is a warning, such as that this disk may not keep what it was "
    "told\n"
    "to; 2 wrong usage; 3 I/O error.\n"
    "\n"
    "Examples\n"
    "  nori doctor /var/lib/app/wal\n"
    "  nori doctor --json --no-store wal | jq -r 'select(.kind == \"finding\").message'\n";

enum option_id {
    OPTION_SECONDS = 256,
    OPTION_NO_STORE,
    OPTION_JSON
};

static const struct option known_options[] = {
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"no-store", no_argument, NULL, OPTION_NO_STORE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_seconds(const struct cli_options *options, double *ret_seconds)
{
    char *end = NULL;
    double seconds = strtod(options->value, &end);

    if (end == options->value || *end != '\0' ||
        !(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX))
        return cli_usage(options->command, "--%s '%s': expected a number from 0.1 to 600",
                         options->name, options->value);
    *ret_seconds = seconds;
    return CLI_CONTINUE;
}

static int read_options(struct doctor *doctor, int argc, char **argv)
{
    struct cli_options options = {"doctor", argc, argv, known_options, NULL, NULL};
    int id;

    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        switch (id) {
        case OPTION_SECONDS:
            if (read_seconds(&options, &doctor->seconds) != CLI_CONTINUE)
                return CLI_USAGE;
            break;
        case OPTION_NO_STORE:
            doctor->must_store = false;
            break;
        case OPTION_JSON:
            doctor->is_json = true;
            break;
        case 'h':
            return cli_output_help("doctor", help);
        default:
            return CLI_USAGE;
        }
    }
    return cli_options_dir(&options, &doctor->dir);
}

/* ---- the folder ---- */

/* The folder that a name lies in. */
static void name_of_parent(const char *name, char target[PATH_MAX])
{
    size_t len = strlen(name);

    while (len > 1 && name[len - 1] == '/')
        len--;
    while (len > 0 && name[len - 1] != '/')
        len--;
    while (len > 1 && name[len - 1] == '/')
        len--;
    if (len == 0)
        (void)snprintf(target, PATH_MAX, ".");
    else
        (void)snprintf(target, PATH_MAX, "%.*s", (int)len, name);
}

static int complain_about_folder(const struct doctor *doctor)
{
    struct nori_error error = NORI_ERROR_INIT;

    error.os_errno = errno;
    error.code = errno == ENOENT                                               ? NORI_E_NOTFOUND
                 : errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG ? NORI_E_INVALID
                 : errno == EACCES || errno == EROFS                           ? NORI_E_READONLY
                                                                               : NORI_E_IO;
    if (doctor->is_missing)
        (void)snprintf(error.message, sizeof error.message, "%.100s is not there, and %.100s: %s",
                       doctor->dir, doctor->folder, strerror(error.os_errno));
    else
        (void)snprintf(error.message, sizeof error.message, "%.180s: %s", doctor->folder,
                       strerror(error.os_errno));
    return cli_fail("doctor", doctor->folder, &error);
}

static int find_folder(struct doctor *doctor)
{
    const int how = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    struct stat about;
    int fd;

    if (strlen(doctor->dir) >= PATH_MAX - 64)
        return cli_usage("doctor", "the folder's name is too long");
    (void)snprintf(doctor->folder, sizeof doctor->folder, "%s", doctor->dir);
    fd = open(doctor->folder, how);
    if (fd < 0 && errno == ENOENT) {
        doctor->is_missing = true;
        name_of_parent(doctor->dir, doctor->folder);
        fd = open(doctor->folder, how);
    }
    if (fd < 0)
        return complain_about_folder(doctor);
    doctor->is_of_another = fstat(fd, &about) == 0 && about.st_uid != geteuid();
    doctor_look(fd, &doctor->machine);
    (void)close(fd);
    return CLI_CONTINUE;
}

/* ---- keeping the verdict ---- */

static bool has_control(const struct doctor *doctor)
{
    char path[PATH_MAX];
    struct stat about;

    return snprintf(path, sizeof path, "%s/control", doctor->dir) < (int)sizeof path &&
           lstat(path, &about) == 0;
}

/* A folder for a log to come, not one that has other things in it, such as the top of a disk. */
static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool is = folder != NULL;

    while (is && (entry = readdir(folder)) != NULL)
        is = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder)
        (void)closedir(folder);
    return is;
}

static void keep(struct doctor *doctor)
{
    struct nori_error error = NORI_ERROR_INIT;
    const char *why = error.message;

    if (!doctor->must_store)
        why = "as you asked";
    else if (doctor->is_missing)
        why = "the folder is not there yet; run this again when it is";
    else if (!has_control(doctor) && !is_empty(doctor->dir))
        why = "no log was opened in the folder yet, and it is not empty; run this again when one "
              "was";
    else if (!has_control(doctor) && doctor->is_of_another)
        why = "the folder belongs to another user, whose log could not use it; run this as that "
              "user";
    else if (doctor->report.advice.preallocate == 0)
        why = "too little was measured";
    else
        doctor->is_kept =
            nori_log_advise(doctor->dir, NULL, &doctor->report.advice, &error) == NORI_OK;
    if (doctor->is_kept)
        (void)snprintf(doctor->kept, sizeof doctor->kept,
                       "Kept in %.400s/control: preallocate = auto, the default, means %s under "
                       "always from the next open on.",
                       doctor->dir, doctor->report.proposals[0].choice);
    else
        (void)snprintf(doctor->kept, sizeof doctor->kept, "Not kept with the log: %s.", why);
}

/* ---- for people ---- */

/* Up to the next blank; a number stays with its unit. */
static size_t word_len(const char *text)
{
    static const char *const units[] = {"ns", "us", "ms", "s", "B", "KiB", "MiB", "GiB", "TiB"};
    size_t len = strcspn(text, " ");
    const char *next = text + len + (text[len] == ' ');
    size_t unit_len = strspn(next, "BGKMTimnsu");

    for (size_t i = 0; text[0] >= '0' && text[0] <= '9' && i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i]) == unit_len && strncmp(next, units[i], unit_len) == 0)
            return len + 1 + strcspn(next, " ");
    return len;
}

/* Text that begins at column `indent` and goes on there in lines to come. */
static void put_wrapped(struct cli_output *output, const char *text, size_t indent)
{
    size_t column = indent;

    while (*text) {
        size_t len = word_len(text);

        if (column > indent && column + 1 + len > COLUMNS) {
            cli_output_format(output, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            cli_output_text(output, " ");
            column++;
        }
        cli_output_bytes(output, text, len);
        column += len;
        text += len + (text[len] == ' ');
    }
    cli_output_text(output, "\n");
}

/* What the system told is not to move the cursor about. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

__attribute__((format(printf, 3, 4))) static void put_fact(struct doctor *doctor, const char *name,
                                                           const char *format, ...)
{
    char text[1200];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    cli_output_format(&doctor->output, "%-*s", FACT_INDENT, name);
    put_wrapped(&doctor->output, text, FACT_INDENT);
}

static void put_device(struct doctor *doctor)
{
    const struct doctor_machine *machine = &doctor->machine;
    const char *kind = machine->is_virtual           ? "virtual"
                       : machine->backing_file[0]    ? "a loop device"
                       : machine->is_rotational == 1 ? "spinning"
                       : machine->is_rotational == 0 ? "not spinning"
                                                     : "of unknown kind";

    if (machine->device[0] == '\0')
        return;
    put_fact(doctor, "device", "%s%s%s, %s%s%s%s%s%s", machine->device,
             machine->model[0] ? " " : "", machine->model, kind,
             machine->write_cache[0] ? "; cache: " : "", machine->write_cache,
             machine->has_fua == 1   ? ", with FUA"
             : machine->has_fua == 0 ? ", no FUA"
                                     : "",
             machine->scheduler[0] ? "; scheduler: " : "", machine->scheduler);
}

static void put_facts(struct doctor *doctor)
{
    const struct doctor_machine *machine = &doctor->machine;
    char bytes[CLI_TEXT_SIZE], files[CLI_TEXT_SIZE] = "";

    put_fact(doctor, "folder", "%s%s", doctor->dir,
             doctor->is_missing ? ", which is not there yet" : "");
    if (doctor->is_missing)
        put_fact(doctor, "measured in", "%s, where it would be made", doctor->folder);
    if (machine->mount.type[0] != '\0') {
        put_fact(doctor, "file system", "%s on %s, mounted at %s", machine->mount.type,
                 machine->mount.source, machine->mount.point);
        put_fact(doctor, "options", "%s", machine->mount.options);
    }
    put_device(doctor);
    if (machine->inodes_free != DOCTOR_UNLIMITED)
        (void)snprintf(files, sizeof files, ", and for %" PRIu64 " more files",
                       machine->inodes_free);
    put_fact(doctor, "space", "%s free%s", cli_text_of_bytes(machine->bytes_free, bytes), files);
    if (machine->file_bytes_max == DOCTOR_UNLIMITED)
        (void)snprintf(bytes, sizeof bytes, "files of any length");
    else
        (void)cli_text_of_bytes(machine->file_bytes_max, bytes);
    put_fact(doctor, "limits", "%s%s, %" PRIu64 " open at a time",
             machine->file_bytes_max == DOCTOR_UNLIMITED ? "" : "files of up to ", bytes,
             machine->files_max);
    put_fact(doctor, "kernel", "%s", machine->kernel);
    cli_output_text(&doctor->output, "\n");
    cli_output_flush(&doctor->output);
}

static void put_sample(struct cli_output *output, const struct doctor_sample *sample)
{
    char p50[CLI_TEXT_SIZE], p99[CLI_TEXT_SIZE];

    if (sample->count > 0)
        cli_output_format(output, "%9s%9s", cli_text_of_ns(sample->p50_ns, p50),
                          cli_text_of_ns(sample->p99_ns, p99));
    else
        cli_output_format(output, "%9s%9s", "-", "-");
}

static void put_figures(struct doctor *doctor)
{
    static const char *const titles[] = {
#define DOCTOR_WAY_TITLE(id, name, title) title,
        DOCTOR_WAYS(DOCTOR_WAY_TITLE)
#undef DOCTOR_WAY_TITLE
    };
    struct cli_output *output = &doctor->output;
    const struct doctor_sample *ways = doctor->measured.ways;
    char rate[CLI_TEXT_SIZE];

    cli_output_format(output, "%-40s%18s%18s\n", "A BLOCK OF 4 KiB", "ALONE", "BESIDE LOAD");
    cli_output_format(output, "%-40s%9s%9s%9s%9s\n", "WRITTEN UNTIL IT IS DURABLE", "p50", "p99",
                      "p50", "p99");
    for (size_t i = 0; i < DOCTOR_RESERVED_LOAD; i++) {
        cli_output_format(output, "%-40s", titles[i]);
        put_sample(output, &ways[i]);
        if (i == DOCTOR_RESERVED)
            put_sample(output, &ways[DOCTOR_RESERVED_LOAD]);
        else if (i == DOCTOR_ZEROED)
            put_sample(output, &ways[DOCTOR_ZEROED_LOAD]);
        cli_output_text(output, "\n");
    }
    if (doctor->measured.bytes_per_s > 0)
        cli_output_format(output, "%-40s%16s/s\n", "pieces of 1 MiB, fdatasync every 8 MiB",
                          cli_text_of_bytes((uint64_t)doctor->measured.bytes_per_s, rate));
    cli_output_text(output, "\n");
}

static void put_findings(struct doctor *doctor)
{
    static const struct {
        const char *name;
        enum cli_colour colour;
    } grades[] = {[DOCTOR_GOOD] = {"good", CLI_COLOUR_GREEN},
                  [DOCTOR_NOTE] = {"note", CLI_COLOUR_YELLOW},
                  [DOCTOR_WARNING] = {"warning", CLI_COLOUR_RED}};
    const struct doctor_report *report = &doctor->report;
    struct cli_output *output = &doctor->output;

    for (int grade = DOCTOR_WARNING; grade >= DOCTOR_GOOD; grade--)
        for (size_t i = 0; i < report->finding_count; i++) {
            if ((int)report->findings[i].grade != grade)
                continue;
            cli_output_colour(output, doctor->has_colour, grades[grade].colour);
            cli_output_text(output, grades[grade].name);
            cli_output_colour(output, doctor->has_colour, CLI_COLOUR_OFF);
            cli_output_format(output, "%*s", (int)(FINDING_WIDTH - strlen(grades[grade].name)), "");
            put_wrapped(output, report->findings[i].text, FINDING_WIDTH);
        }
    cli_output_text(output, "\n");
}

static void put_proposals(struct doctor *doctor)
{
    struct cli_output *output = &doctor->output;

    cli_output_text(output, "PROPOSED CONFIGURATION\n");
    for (size_t i = 0; i < doctor->report.proposal_count; i++) {
        const struct doctor_proposal *proposal = &doctor->report.proposals[i];
        char value[CLI_TEXT_SIZE];

        if (proposal->choice)
            (void)snprintf(value, sizeof value, "%s", proposal->choice);
        else if (proposal->is_bytes)
            (void)snprintf(value, sizeof value, "%" PRIu64 " MiB", proposal->number >> 20);
        else
            (void)snprintf(value, sizeof value, "%" PRIu64, proposal->number);
        cli_output_format(output, "  %-18s%-*s", proposal->field, REASON_INDENT - 20, value);
        put_wrapped(output, proposal->reason, REASON_INDENT);
    }
    cli_output_text(output, "\n");
    put_wrapped(output, doctor->kept, 0);
}

/* ---- for programs ---- */

/* A member of an object; NULL: null. Bytes that are not UTF-8 are question marks. */
static void put_text(struct cli_output *output, const char *name, const char *text)
{
    char copy[PATH_MAX];
    size_t at = 0;

    cli_output_format(output, ", \"%s\": ", name);
    if (!text || text[0] == '\0') {
        cli_output_text(output, "null");
        return;
    }
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (size_t len = strlen(copy); at < len;) {
        size_t char_len = cli_utf8_char_len((const unsigned char *)copy + at, len - at);

        if (char_len == 0)
            copy[at] = '?';
        at += char_len > 0 ? char_len : 1;
    }
    cli_output_json(output, copy, at);
}

static void put_number(struct cli_output *output, const char *name, uint64_t value, bool is_known)
{
    if (is_known)
        cli_output_format(output, ", \"%s\": %" PRIu64, name, value);
    else
        cli_output_format(output, ", \"%s\": null", name);
}

static void put_flag(struct cli_output *output, const char *name, int value)
{
    cli_output_format(output, ", \"%s\": %s", name,
                      value < 0    ? "null"
                      : value == 0 ? "false"
                                   : "true");
}

static void put_machine_json(struct doctor *doctor)
{
    const struct doctor_machine *machine = &doctor->machine;
    struct cli_output *output = &doctor->output;

    cli_output_text(output, "{\"kind\": \"machine\"");
    put_text(output, "folder", doctor->dir);
    put_text(output, "measured_in", doctor->folder);
    put_text(output, "file_system", machine->mount.type);
    put_text(output, "source", machine->mount.source);
    put_text(output, "mount_point", machine->mount.point);
    put_text(output, "mount_options", machine->mount.options);
    put_text(output, "device", machine->device);
    put_text(output, "model", machine->model);
    put_text(output, "write_cache", machine->write_cache);
    put_text(output, "scheduler", machine->scheduler);
    put_flag(output, "has_fua", machine->has_fua);
    put_flag(output, "is_rotational", machine->is_rotational);
    put_flag(output, "is_virtual", machine->is_virtual);
    put_number(output, "bytes_free", machine->bytes_free, true);
    put_number(output, "inodes_free", machine->inodes_free,
               machine->inodes_free != DOCTOR_UNLIMITED);
    put_number(output, "file_bytes_max", machine->file_bytes_max,
               machine->file_bytes_max != DOCTOR_UNLIMITED);
    put_number(output, "open_files_max", machine->files_max,
               machine->files_max != DOCTOR_UNLIMITED);
    put_text(output, "kernel", machine->kernel);
    cli_output_text(output, "}\n");
    cli_output_flush(output);
}

static void put_figures_json(struct doctor *doctor)
{
    static const char *const names[] = {
#define DOCTOR_WAY_NAME(id, name, title) name,
        DOCTOR_WAYS(DOCTOR_WAY_NAME)
#undef DOCTOR_WAY_NAME
    };
    struct cli_output *output = &doctor->output;

    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++) {
        const struct doctor_sample *sample = &doctor->measured.ways[i];

        if (sample->count == 0)
            continue;
        cli_output_text(output, "{\"kind\": \"measurement\"");
        put_text(output, "what", names[i]);
        put_number(output, "count", sample->count, true);
        put_number(output, "p50_ns", sample->p50_ns, true);
        put_number(output, "p99_ns", sample->p99_ns, true);
        put_number(output, "max_ns", sample->max_ns, true);
        cli_output_text(output, "}\n");
    }
    if (doctor->measured.bytes_per_s > 0) {
        cli_output_text(output, "{\"kind\": \"measurement\", \"what\": \"sequential\"");
        put_number(output, "bytes_per_s", (uint64_t)doctor->measured.bytes_per_s, true);
        cli_output_text(output, "}\n");
    }
}

static void put_report_json(struct doctor *doctor)
{
    static const char *const grades[] = {"good", "note", "warning"};
    const struct doctor_report *report = &doctor->report;
    struct cli_output *output = &doctor->output;

    for (size_t i = 0; i < report->finding_count; i++) {
        cli_output_text(output, "{\"kind\": \"finding\"");
        put_text(output, "about", report->findings[i].about);
        put_text(output, "grade", grades[report->findings[i].grade]);
        put_text(output, "message", report->findings[i].text);
        cli_output_text(output, "}\n");
    }
    for (size_t i = 0; i < report->proposal_count; i++) {
        const struct doctor_proposal *proposal = &report->proposals[i];

        cli_output_text(output, "{\"kind\": \"proposal\"");
        put_text(output, "field", proposal->field);
        if (proposal->choice)
            put_text(output, "value", proposal->choice);
        else
            put_number(output, "value", proposal->number, true);
        put_text(output, "reason", proposal->reason);
        cli_output_text(output, "}\n");
    }
    cli_output_text(output, "{\"kind\": \"summary\"");
    put_number(output, "warnings", report->warning_count, true);
    put_flag(output, "is_kept", doctor->is_kept);
    put_text(output, "message", doctor->kept);
    cli_output_text(output, "}\n");
}

/* ---- all of it ---- */

/* No file may be longer than the limit, and the longest takes four parts. */
static uint64_t room_of(const struct doctor_machine *machine)
{
    uint64_t limit = machine->file_bytes_max / 4;
    uint64_t parts = machine->bytes_free / 8 / DOCTOR_PARTS;

    return (parts < limit ? parts : limit) * 8 * DOCTOR_PARTS;
}

static int examine(struct doctor *doctor)
{
    struct nori_error error = NORI_ERROR_INIT;
    double watched = doctor->seconds * WATCH_SHARE;
    int rc;

    watched = watched < WATCH_SECONDS ? watched : WATCH_SECONDS;
    doctor_watch(&doctor->machine, watched);
    rc = doctor_measure(doctor->folder, doctor->seconds - watched, room_of(&doctor->machine),
                        &doctor->progress, &doctor->measured, &error);
    if (doctor->measured.signal_number != 0) {
        cli_message("doctor", "interrupted: its files are removed, and nothing is kept");
        return 128 + doctor->measured.signal_number;
    }
    if (rc < 0)
        return cli_fail("doctor", doctor->folder, &error);
    if (doctor->measured.is_busy) {
        cli_message("doctor", "another nori doctor is at work in %s", doctor->folder);
        fputs("hint: one would disturb the other; wait until it is done\n", stderr);
        return CLI_NEGATIVE;
    }
    doctor_judge(&doctor->machine, &doctor->measured, &doctor->report);
    keep(doctor);
    if (doctor->is_json) {
        put_figures_json(doctor);
        put_report_json(doctor);
    } else {
        if (!doctor->measured.is_full)
            put_figures(doctor);
        put_findings(doctor);
        put_proposals(doctor);
    }
    return doctor->report.warning_count > 0 ? CLI_NEGATIVE : CLI_GOOD;
}

int cli_doctor(int argc, char **argv)
{
    struct doctor doctor = {
        .has_colour = cli_colour_is_wanted(), .must_store = true, .seconds = SECONDS_DEFAULT};
    int status = read_options(&doctor, argc, argv);

    if (status == CLI_CONTINUE)
        status = find_folder(&doctor);
    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&doctor.output, "doctor");
    if (status != CLI_CONTINUE)
        return status;
    if (doctor.is_json)
        put_machine_json(&doctor);
    else
        put_facts(&doctor);
    cli_progress_init(&doctor.progress, "doctor", true);
    status = examine(&doctor);
    return cli_output_done(&doctor.output, status);
}
