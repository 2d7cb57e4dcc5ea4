/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.c: turns, medians and ratios.
 *
 * What. Each round runs every subject of a case once, beginning with another one each time, so that
 * a disturbance hits all alike. A number is the median of the rounds. A ratio is taken within each
 * round, of two runs that were neighbours, and then the median of these.
 */
#define _GNU_SOURCE 1

#include "bench.h"

#include "base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXT_LEN 160

/* ---- the machine ---- */

/* What stands behind the first `name` and a colon in a file of such lines; "unknown" if nothing. */
static void look_up(const char *file, const char *name, char *ret_text)
{
    char line[512];
    FILE *lines = fopen(file, "r");
    size_t name_len = strlen(name);

    (void)snprintf(ret_text, TEXT_LEN, "unknown");
    while (lines && fgets(line, sizeof line, lines)) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, name, name_len) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(ret_text, TEXT_LEN, "%.150s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    if (lines)
        (void)fclose(lines);
}

/* Type, device and options of the file system that holds the data: of the longest mount point that
 * its name begins with. */
static void find_file_system(char *ret_text)
{
    char place[400], device[200], point[400], type[64], options[400], line[2048];
    char *real = realpath(bench_folder, NULL);
    FILE *mounts = fopen("/proc/self/mounts", "r");
    size_t best = 0;

    (void)snprintf(ret_text, TEXT_LEN, "unknown");
    (void)snprintf(place, sizeof place, "%.390s/", real ? real : "");
    free(real);
    while (mounts && fgets(line, sizeof line, mounts)) {
        size_t len;

        if (sscanf(line, "%199s %399s %63s %399s", device, point, type, options) != 4)
            continue;
        len = strlen(point);
        if (len < best || strncmp(place, point, len) != 0 || (len > 1 && place[len] != '/'))
            continue;
        best = len;
        (void)snprintf(ret_text, TEXT_LEN, "%.20s on %.40s (%.60s)", type, device, options);
    }
    if (mounts)
        (void)fclose(mounts);
}

static void print_json_text(const char *name, const char *text)
{
    printf("\"%s\":\"", name);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    printf("\"");
}

static void print_legend(const struct bench_options *options)
{
    printf(
        "\nEach row: the median of %u runs, and the slowest and fastest of them as a part of it. "
        "The runs of a case\ntake turns. Latencies are of one call. MB: 1,000,000 bytes as they "
        "lie in the log.\n"
        "log/floor: records per second of the log, as a part of that floor's, taken in each round "
        "and then the\nmedian. 1.00: the log is as fast as doing only that.\n",
        options->rounds);
}

void bench_report_begin(const struct bench_options *options, int argc, char **argv)
{
    char cpu[TEXT_LEN], system_name[TEXT_LEN], command[TEXT_LEN], date[64];
    char file_system[TEXT_LEN];
    struct utsname kernel;
    time_t now = time(NULL);
    struct tm parts;
    size_t at = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    look_up("/proc/cpuinfo", "model name", cpu);
    find_file_system(file_system);
    (void)snprintf(system_name, sizeof system_name, "unknown");
    if (uname(&kernel) == 0)
        (void)snprintf(system_name, sizeof system_name, "%.40s %.60s %.40s", kernel.sysname,
                       kernel.release, kernel.machine);
    command[0] = '\0';
    for (int i = 0; i < argc && at < sizeof command; i++)
        at += (size_t)snprintf(command + at, sizeof command - at, i ? " %s" : "%s", argv[i]);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));

    if (!options->is_json) {
        printf("nori-wal %s\n  machine      %s, %ld cores, %s\n  file system  %s\n"
               "  CRC-32C      %s\n  command      %s\n  date         %s\n",
               nori_version(), cpu, cores, system_name, file_system, nw_crc32c_implementation(),
               command, date);
        print_legend(options);
        (void)fflush(stdout);
        return;
    }
    printf("{");
    print_json_text("version", nori_version());
    printf(",");
    print_json_text("cpu", cpu);
    printf(",\"cores\":%ld,", cores);
    print_json_text("kernel", system_name);
    printf(",");
    print_json_text("file_system", file_system);
    printf(",");
    print_json_text("crc32c", nw_crc32c_implementation());
    printf(",");
    print_json_text("command", command);
    printf(",");
    print_json_text("date", date);
    printf(",\"rounds\":%u}\n", options->rounds);
    (void)fflush(stdout);
}

/* ---- the numbers ---- */

struct spread {
    double median, least, most;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct spread spread_of(const double *values, unsigned count)
{
    double sorted[BENCH_ROUNDS_MAX];

    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return (struct spread){count % 2 ? sorted[count / 2]
                                     : (sorted[count / 2 - 1] + sorted[count / 2]) / 2,
                           sorted[0], sorted[count - 1]};
}

struct summary {
    struct spread records, bytes, p50, p99, p999, ratio;
};

/* Of the rounds of one subject, and of the log's in the same rounds. */
static struct summary summarise(const struct bench_result *results, const struct bench_result *log,
                                unsigned rounds)
{
    double values[6][BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        values[0][i] = results[i].records_per_s;
        values[1][i] = results[i].bytes_per_s;
        values[2][i] = (double)results[i].p50_ns;
        values[3][i] = (double)results[i].p99_ns;
        values[4][i] = (double)results[i].p999_ns;
        values[5][i] = log[i].records_per_s / results[i].records_per_s;
    }
    return (struct summary){spread_of(values[0], rounds), spread_of(values[1], rounds),
                            spread_of(values[2], rounds), spread_of(values[3], rounds),
                            spread_of(values[4], rounds), spread_of(values[5], rounds)};
}

/* 12 characters. */
static void print_duration(double ns)
{
    if (ns <= 0)
        printf("%12s", "");
    else if (ns < 1000)
        printf("%9.0f ns", ns);
    else if (ns < 1e6)
        printf("%9.2f us", ns / 1e3);
    else
        printf("%9.2f ms", ns / 1e6);
}

static void print_heading(const char *name)
{
    printf("\n%-32s%12s%13s%12s%10s%12s%12s%12s%11s\n", name, "records/s", "min-max", "a record",
           "MB/s", "p50", "p99", "p99.9", "log/floor");
}

static void print_row(const struct bench_subject *subject, const struct summary *of, bool is_log)
{
    char range[32];

    (void)snprintf(range, sizeof range, "%.2f-%.2f", of->records.least / of->records.median,
                   of->records.most / of->records.median);
    printf("  %-30s%12.0f%13s", subject->name, of->records.median, range);
    print_duration(1e9 / of->records.median);
    printf("%10.0f", of->bytes.median / 1e6);
    print_duration(of->p50.median);
    print_duration(of->p99.median);
    print_duration(of->p999.median);
    if (!is_log)
        printf("%11.2f", of->ratio.median);
    printf("\n");
}

static void print_json_spread(const char *name, const struct spread *spread, const char *format)
{
    const double values[] = {spread->median, spread->least, spread->most};
    const char *const names[] = {"median", "min", "max"};

    printf(",\"%s\":{", name);
    for (unsigned i = 0; i < 3; i++) {
        printf("%s\"%s\":", i ? "," : "", names[i]);
        printf(strcmp(format, "ratio") == 0 ? "%.4f" : "%.0f", values[i]);
    }
    printf("}");
}

static void print_json_row(const struct bench_case *about, const struct bench_subject *subject,
                           const struct summary *of, bool is_log)
{
    printf("{");
    print_json_text("case", about->name);
    printf(",\"kind\":\"%s\"", about->kind);
    if (about->policy)
        printf(",\"policy\":\"%s\"", about->policy);
    printf(",\"threads\":%u,\"value_bytes\":%zu,", about->threads, about->value_len);
    print_json_text("subject", subject->name);
    printf(",");
    print_json_text("duty", subject->duty);
    printf(",\"is_floor\":%s", is_log ? "false" : "true");
    print_json_spread("records_per_s", &of->records, "count");
    print_json_spread("bytes_per_s", &of->bytes, "count");
    printf(",\"ns_per_record\":%.1f", 1e9 / of->records.median);
    if (of->p50.median > 0) {
        print_json_spread("p50_ns", &of->p50, "count");
        print_json_spread("p99_ns", &of->p99, "count");
        print_json_spread("p999_ns", &of->p999, "count");
    }
    if (!is_log)
        print_json_spread("log_over_floor", &of->ratio, "ratio");
    printf("}\n");
}

/* ---- a case ---- */

bool bench_is_wanted(const struct bench_options *options, const char *name)
{
    if (!options->only)
        return true;
    for (const char *at = name; (at = strstr(at, options->only)) != NULL; at++)
        if (at == name || at[-1] == ' ') /* else "read" would be in "4 threads" */
            return true;
    return false;
}

static void take_turns(const struct bench_options *options, const struct bench_case *about,
                       struct bench_result results[][BENCH_ROUNDS_MAX])
{
    bool shows_progress = isatty(STDERR_FILENO);

    for (unsigned round = 0; round < options->rounds; round++)
        for (size_t i = 0; i < about->subject_count; i++) {
            size_t which = (round + i) % about->subject_count;

            if (shows_progress)
                fprintf(stderr, "\r\033[K%s: round %u of %u, %s", about->name, round + 1,
                        options->rounds, about->subjects[which].name);
            bench_settle();
            about->subjects[which].run(about->about, &results[which][round]);
        }
    if (shows_progress)
        fprintf(stderr, "\r\033[K");
}

void bench_run_case(const struct bench_options *options, const struct bench_case *about)
{
    static struct bench_result results[BENCH_SUBJECTS_MAX][BENCH_ROUNDS_MAX];

    if (!bench_is_wanted(options, about->name))
        return;
    memset(results, 0, sizeof results);
    take_turns(options, about, results);
    if (!options->is_json)
        print_heading(about->name);
    for (size_t i = 0; i < about->subject_count; i++) {
        bool is_log = i == 0;
        struct summary summary = summarise(results[i], results[0], options->rounds);

        if (options->is_json)
            print_json_row(about, &about->subjects[i], &summary, is_log);
        else
            print_row(&about->subjects[i], &summary, is_log);
    }
    (void)fflush(stdout);
}
