/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.c: turns, medians, demands, and how they are printed.
 *
 * What. Each round runs every subject of a case once, beginning with another one each time, so that
 * a disturbance hits all alike. A number is the median of the rounds. What compares two subjects is
 * computed within each round, of runs that were neighbours, and then the median of these is taken.
 *
 * A case is a table of at most 100 columns, and below it a line for each demand; with --json an
 * object a line for each subject and demand. nori.1 describes these objects.
 */
#define _GNU_SOURCE 1

#include "bench.h"

#include "base/crc32c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXT_LEN   160
#define LINE_LEN   100
#define MISSED_MAX 99

static const struct {
    const char *name; /* in JSON */
    const char *title;
    enum bench_unit unit;
} metrics[] = {
#define METRIC_TEXTS(id, name, title, unit) {name, title, BENCH_UNIT_##unit},
    BENCH_METRICS(METRIC_TEXTS)
#undef METRIC_TEXTS
};

/* What the summary tells at the end. */
static struct {
    unsigned cases;
    unsigned demands;
    unsigned missed;
    struct missed {
        char name[sizeof((struct bench_case *)NULL)->name];
        struct bench_demand demand;
        double value;
    } list[MISSED_MAX];
} totals;

/* Printed before the next case that runs; NULL: it was. */
static const char *section_title, *section_text;

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
    printf("\"%s\": \"", name);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    printf("\"");
}

/* Print text in lines of at most LINE_LEN. A newline in it begins another paragraph. */
static void print_wrapped(const char *text)
{
    size_t at = 0;

    while (*text) {
        size_t len = strcspn(text, " \n");

        if (at > 0 && at + 1 + len > LINE_LEN) {
            putchar('\n');
            at = 0;
        }
        at += (size_t)printf("%s%.*s", at > 0 ? " " : "", (int)len, text);
        text += len;
        if (*text == '\n') {
            putchar('\n');
            at = 0;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

struct machine {
    char cpu[TEXT_LEN];
    char kernel[TEXT_LEN];
    char file_system[TEXT_LEN];
    char command[TEXT_LEN];
    char date[64];
    long cores;
};

static void look_at_machine(const struct bench_options *options, struct machine *machine)
{
    struct utsname kernel;
    time_t now = time(NULL);
    struct tm parts;
    size_t at;

    look_up("/proc/cpuinfo", "model name", machine->cpu);
    find_file_system(machine->file_system);
    machine->cores = sysconf(_SC_NPROCESSORS_ONLN);
    (void)snprintf(machine->kernel, TEXT_LEN, "unknown");
    if (uname(&kernel) == 0)
        (void)snprintf(machine->kernel, TEXT_LEN, "%.40s %.60s %.40s", kernel.sysname,
                       kernel.release, kernel.machine);
    at = (size_t)snprintf(machine->command, TEXT_LEN, "nori");
    for (int i = 0; i < options->argc && at < TEXT_LEN; i++)
        at += (size_t)snprintf(machine->command + at, TEXT_LEN - at,
                               strchr(options->argv[i], ' ') ? " '%s'" : " %s", options->argv[i]);
    (void)strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%SZ",
                   gmtime_r(&now, &parts));
}

void bench_report_begin(const struct bench_options *options)
{
    struct machine machine;

    look_at_machine(options, &machine);
    if (options->is_json) {
        printf("{\"kind\": \"machine\", ");
        print_json_text("version", nori_version());
        printf(", ");
        print_json_text("cpu", machine.cpu);
        printf(", \"cores\": %ld, ", machine.cores);
        print_json_text("kernel", machine.kernel);
        printf(", ");
        print_json_text("file_system", machine.file_system);
        printf(", ");
        print_json_text("crc32c", nw_crc32c_implementation());
        printf(", ");
        print_json_text("command", machine.command);
        printf(", ");
        print_json_text("date", machine.date);
        printf(", \"rounds\": %u, \"is_quick\": %s}\n", options->rounds,
               options->is_quick ? "true" : "false");
        return;
    }
    printf("nori-wal %s\n  machine      %s, %ld cores, %s\n  file system  %s\n"
           "  CRC-32C      %s\n  command      %s\n  date         %s\n  runs         %u of each\n\n",
           nori_version(), machine.cpu, machine.cores, machine.kernel, machine.file_system,
           nw_crc32c_implementation(), machine.command, machine.date, options->rounds);
    print_wrapped(
        "Each number is the median of the runs of a case, which take turns, and so is what "
        "compares two of them. rate: records a second. noise: half the distance from the least to "
        "the greatest number in the first column. log/this: rate of the first line, as a part of "
        "this line's. MB: 1,000,000 bytes as they lie in the log. Keys have 16 bytes.");
}

void bench_section(const char *title, const char *text)
{
    section_title = title;
    section_text = text;
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

/* results of a case: [round][subject] */
typedef struct bench_result results_of_round[BENCH_SUBJECTS_MAX];

static struct spread spread_of_metric(const results_of_round *results, unsigned rounds,
                                      size_t subject, enum bench_metric metric)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = results[i][subject].of[metric];
    return isnan(values[0]) ? (struct spread){NAN, NAN, NAN} : spread_of(values, rounds);
}

/* How the first subject's rate compares with another one's. */
static struct spread spread_of_ratio(const results_of_round *results, unsigned rounds,
                                     size_t subject)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = results[i][0].of[BENCH_RATE] / results[i][subject].of[BENCH_RATE];
    return spread_of(values, rounds);
}

static struct spread spread_of_demand(const results_of_round *results, unsigned rounds,
                                      const struct bench_demand *demand)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = demand->measure(results[i], demand->subject);
    return spread_of(values, rounds);
}

struct bench_result bench_nothing(void)
{
    struct bench_result result;

    for (size_t i = 0; i < BENCH_METRIC_COUNT; i++)
        result.of[i] = NAN;
    return result;
}

double bench_measure_p95(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_P95];
}

/* ---- tables ---- */

struct cell {
    char text[24];
};

/* A number with one of units behind it, the one that leaves three digits or four. */
static struct cell scaled(double value, double step, const char *const *units)
{
    struct cell cell;

    while (units[1] && fabs(value) >= step) {
        value /= step;
        units++;
    }
    (void)snprintf(cell.text, sizeof cell.text, "%.*f%s",
                   fabs(value) >= 100 || value == floor(value) ? 0
                   : fabs(value) >= 10                         ? 1
                                                               : 2,
                   value, *units);
    return cell;
}

static struct cell cell_of(double value, enum bench_unit unit)
{
    static const char *const counts[] = {"", " k", " M", " G", NULL};
    static const char *const times[] = {" ns", " us", " ms", " s", NULL};
    static const char *const sizes[] = {" B", " KiB", " MiB", " GiB", NULL};
    struct cell cell = {""};

    if (isnan(value))
        return cell;
    switch (unit) {
    case BENCH_UNIT_COUNT:
        return scaled(value, 1000, counts);
    case BENCH_UNIT_TIME:
        return scaled(value, 1000, times);
    case BENCH_UNIT_BYTES:
        return scaled(value, 1024, sizes);
    case BENCH_UNIT_MEGA:
        (void)snprintf(cell.text, sizeof cell.text, "%.*f", value < 1e7 ? 1 : 0, value / 1e6);
        break;
    case BENCH_UNIT_SHARE:
        (void)snprintf(cell.text, sizeof cell.text, "%.*f %%", value < 0.1 ? 2 : 0, value * 100);
        break;
    case BENCH_UNIT_RATIO:
        (void)snprintf(cell.text, sizeof cell.text, "%.2f", value);
        break;
    }
    return cell;
}

/* 22 columns for the name, 9 for each metric, 6 for noise and 9 for the comparison: 100 at most. */
static void print_heading(const struct bench_case *about, unsigned rounds)
{
    printf("\n%s\n%22s", about->name, "");
    for (const enum bench_metric *column = about->columns; *column != BENCH_METRIC_COUNT; column++)
        printf("%9s", metrics[*column].title);
    printf("%s%s\n", rounds > 1 ? " noise" : "", about->is_compared ? " log/this" : "");
}

static void print_row(const struct bench_case *about, const results_of_round *results,
                      unsigned rounds, size_t subject)
{
    struct spread first = spread_of_metric(results, rounds, subject, *about->columns);

    printf("  %-20s", about->subjects[subject].name);
    for (const enum bench_metric *column = about->columns; *column != BENCH_METRIC_COUNT;
         column++) {
        struct spread spread = spread_of_metric(results, rounds, subject, *column);

        printf("%9s", cell_of(spread.median, metrics[*column].unit).text);
    }
    if (rounds > 1 && first.median > 0)
        printf("%4.0f %%", (first.most - first.least) / 2 / first.median * 100);
    if (about->is_compared && subject > 0)
        printf("%9.2f", spread_of_ratio(results, rounds, subject).median);
    printf("\n");
}

static bool is_met(const struct bench_demand *demand, double value)
{
    return demand->is_least ? value >= demand->limit : value <= demand->limit;
}

static void print_demand(const struct bench_demand *demand, double value)
{
    bool is = is_met(demand, value);

    printf("  %-8s%9s %s %-9s %s\n", is ? "met" : "NOT met", cell_of(value, demand->unit).text,
           demand->is_least ? (is ? ">=" : "< ") : (is ? "<=" : "> "),
           cell_of(demand->limit, demand->unit).text, demand->text);
}

static void remember_missed(const struct bench_case *about, const struct bench_demand *demand,
                            double value)
{
    if (totals.missed < MISSED_MAX) {
        struct missed *missed = &totals.list[totals.missed];

        (void)snprintf(missed->name, sizeof missed->name, "%s", about->name);
        missed->demand = *demand;
        missed->value = value;
    }
    totals.missed++;
}

/* ---- JSON ---- */

static void print_json_spread(const char *name, const struct spread *spread)
{
    printf(", \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", name, spread->median,
           spread->least, spread->most);
}

static void print_json_row(const struct bench_case *about, const results_of_round *results,
                           unsigned rounds, size_t subject)
{
    struct spread spread;

    printf("{\"kind\": \"result\", ");
    print_json_text("case", about->name);
    printf(", ");
    print_json_text("subject", about->subjects[subject].name);
    printf(", ");
    print_json_text("duty", about->subjects[subject].duty);
    for (enum bench_metric i = 0; i < BENCH_METRIC_COUNT; i++) {
        spread = spread_of_metric(results, rounds, subject, i);
        if (!isnan(spread.median))
            print_json_spread(metrics[i].name, &spread);
    }
    if (about->is_compared && subject > 0) {
        spread = spread_of_ratio(results, rounds, subject);
        print_json_spread("log_over_this", &spread);
    }
    printf("}\n");
}

static void print_json_demand(const struct bench_case *about, const struct bench_demand *demand,
                              double value)
{
    printf("{\"kind\": \"requirement\", ");
    print_json_text("case", about->name);
    printf(", ");
    print_json_text("what", demand->text);
    printf(", \"value\": %.6g, \"limit\": %.6g, \"is_least\": %s, \"is_met\": %s}\n", value,
           demand->limit, demand->is_least ? "true" : "false",
           is_met(demand, value) ? "true" : "false");
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

static void begin_section(const struct bench_options *options)
{
    if (!options->is_json && section_title) {
        printf("\n%s\n", section_title);
        for (size_t i = strlen(section_title); i > 0; i--)
            putchar('-');
        putchar('\n');
        print_wrapped(section_text);
    }
    section_title = NULL;
}

static void take_turns(const struct bench_case *about, unsigned rounds, results_of_round *results)
{
    bool shows_progress = isatty(STDERR_FILENO);

    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < about->subject_count; i++) {
            size_t which = (round + i) % about->subject_count;
            const struct bench_subject *subject = &about->subjects[which];

            if (shows_progress)
                fprintf(stderr, "\r\033[K%s: round %u of %u, %s", about->name, round + 1, rounds,
                        subject->name);
            bench_settle();
            results[round][which] = bench_nothing();
            subject->run(subject->about, &results[round][which]);
        }
    if (shows_progress)
        fprintf(stderr, "\r\033[K");
}

void bench_run_case(const struct bench_options *options, const struct bench_case *about)
{
    static results_of_round results[BENCH_ROUNDS_MAX];
    unsigned rounds = about->rounds ? about->rounds : options->rounds;

    if (!bench_is_wanted(options, about->name))
        return;
    totals.cases++;
    begin_section(options);
    take_turns(about, rounds, results);
    if (!options->is_json)
        print_heading(about, rounds);
    for (size_t i = 0; i < about->subject_count; i++) {
        if (options->is_json)
            print_json_row(about, results, rounds, i);
        else
            print_row(about, results, rounds, i);
    }
    for (size_t i = 0; i < about->demand_count; i++) {
        const struct bench_demand *demand = &about->demands[i];
        double value = spread_of_demand(results, rounds, demand).median;

        if (options->is_json)
            print_json_demand(about, demand, value);
        else
            print_demand(demand, value);
        totals.demands++;
        if (!is_met(demand, value))
            remember_missed(about, demand, value);
    }
    bench_check_output();
}

/* ---- the end ---- */

static void print_missed(void)
{
    const char *last = "";

    for (unsigned i = 0; i < totals.missed && i < MISSED_MAX; i++) {
        const struct missed *missed = &totals.list[i];

        if (strcmp(missed->name, last) != 0)
            printf("%s\n", missed->name);
        print_demand(&missed->demand, missed->value);
        last = missed->name;
    }
}

unsigned bench_report_end(const struct bench_options *options)
{
    if (options->is_json) {
        printf("{\"kind\": \"summary\", \"requirements\": %u, \"missed\": %u}\n", totals.demands,
               totals.missed);
    } else {
        printf("\n%u requirements: %u met, %u NOT met%s\n", totals.demands,
               totals.demands - totals.missed, totals.missed, totals.missed ? ":" : "");
        print_missed();
    }
    bench_check_output();
    return totals.cases;
}
