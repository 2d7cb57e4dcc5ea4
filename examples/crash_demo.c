/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crash_demo.c: kill a writer again and again, and show that nothing is lost.
 *
 * What. Each line of the input is a record: the key is what stands before the first `;`, the value
 * what stands behind it. A writer process appends them from four threads. Whenever append has
 * returned, the thread sends an acknowledgement through a pipe to this process, which at a random
 * moment kills the writer with SIGKILL, opens the log again, and compares every record with the
 * input. The next writer goes on with the lines that are not in the log yet. After the last kill
 * one more writer finishes the load, and the log is read back completely. So for each policy.
 *
 * What must hold. Every acknowledged record is there, at the position that append returned, with
 * the bytes of the input (D2); a record that was found once is there for ever (D5); nothing is
 * there twice, and nothing that was not appended (D1). What may be there beyond the acknowledged:
 * from each thread the one record that it was just appending.
 *
 * The moment. A kill has to come after ACKS_MIN acknowledgements and before the last line, on slow
 * machines, too. The pipe is small: a writer can be ahead of what this process has read by no more
 * than the pipe holds, and is then held up. The target is chosen so that there is always room for
 * that.
 */
#define _GNU_SOURCE 1 /* F_SETPIPE_SZ */

#include <nori/wal.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS          4
#define KILLS_DEFAULT    5
#define ACKS_MIN         1000            /* acknowledgements before each kill */
#define DELAY_MAX_US     2000            /* the kill comes up to so much later than its target */
#define DELAY_ACKS_MAX   500             /* acknowledgements taken in during that time, at most */
#define PIPE_BYTES       (16 * 1024)     /* a request: the system may round it up */
#define SEGMENT_BYTES    (1024u * 1024u) /* the smallest there is */
#define PATIENCE_MS      60000           /* a writer that does nothing for so long is stuck */
#define COMPLAINTS_MAX   5               /* how many details of one kind are printed */
#define NOWHERE          ((struct nori_position){UINT64_MAX, UINT64_MAX})
#define MESSAGE_OF_SYNCS UINT64_MAX

/* ---- Small helpers ---- */

/* The machine or the arguments do not let the demo run: says nothing about the log. */
static void give_up(const char *what)
{
    fprintf(stderr, "crash_demo: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void *must_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        give_up("calloc");
    return memory;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* splitmix64: the same seed gives the same targets and delays. */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0 to max, both included. */
static uint64_t random_up_to(uint64_t *seed, uint64_t max)
{
    return random_next(seed) % (max + 1);
}

static bool is_same_place(struct nori_position a, struct nori_position b)
{
    return a.segment_id == b.segment_id && a.offset == b.offset;
}

static bool is_before(struct nori_position a, struct nori_position b)
{
    return a.segment_id < b.segment_id || (a.segment_id == b.segment_id && a.offset < b.offset);
}

/* ---- The input ---- */

struct line {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

struct input {
    const char *path;
    char *text;
    size_t text_len;
    struct line *lines; /* in the order of the file */
    size_t *by_key;     /* indices of lines, sorted by key */
    size_t count;
};

static struct input *sorted_input; /* for compare_lines: qsort passes nothing along */

static int compare_keys(const void *key_a, size_t len_a, const void *key_b, size_t len_b)
{
    int order = memcmp(key_a, key_b, len_a < len_b ? len_a : len_b);

    return order ? order : (len_a > len_b) - (len_a < len_b);
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *line_a = &sorted_input->lines[*(const size_t *)a];
    const struct line *line_b = &sorted_input->lines[*(const size_t *)b];

    return compare_keys(line_a->key, line_a->key_len, line_b->key, line_b->key_len);
}

static void read_file(struct input *input)
{
    struct stat about;
    FILE *file = fopen(input->path, "rb");

    if (!file || fstat(fileno(file), &about) < 0)
        give_up(input->path);
    input->text_len = (size_t)about.st_size;
    input->text = must_alloc(input->text_len + 1, 1);
    if (fread(input->text, 1, input->text_len, file) != input->text_len)
        give_up(input->path);
    fclose(file);
}

static struct line split_line(const char *start, const char *end)
{
    const char *semicolon = memchr(start, ';', (size_t)(end - start));
    struct line line = {start, (size_t)(end - start), end, 0};

    if (semicolon) {
        line.key_len = (size_t)(semicolon - start);
        line.value = semicolon + 1;
        line.value_len = (size_t)(end - line.value);
    }
    return line;
}

static void split_lines(struct input *input)
{
    const char *end = input->text + input->text_len;
    size_t room = 0;

    for (const char *at = input->text; at < end; at++)
        room += *at == '\n';
    input->lines = must_alloc(room + 1, sizeof *input->lines);
    for (const char *start = input->text; start < end;) {
        const char *newline = memchr(start, '\n', (size_t)(end - start));
        const char *stop = newline ? newline : end;

        input->lines[input->count++] = split_line(start, stop);
        start = stop + 1;
    }
}

static void sort_keys(struct input *input)
{
    input->by_key = must_alloc(input->count, sizeof *input->by_key);
    for (size_t i = 0; i < input->count; i++)
        input->by_key[i] = i;
    sorted_input = input;
    qsort(input->by_key, input->count, sizeof *input->by_key, compare_lines);
    for (size_t i = 1; i < input->count; i++) {
        if (compare_lines(&input->by_key[i - 1], &input->by_key[i]) == 0) {
            fprintf(stderr, "crash_demo: %s: a key stands there twice\n", input->path);
            exit(2);
        }
    }
}

static void load_input(struct input *input)
{
    read_file(input);
    split_lines(input);
    sort_keys(input);
}

/* The index of the line with that key; input->count if there is none. */
static size_t find_line(const struct input *input, const void *key, size_t key_len)
{
    size_t low = 0;
    size_t high = input->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct line *line = &input->lines[input->by_key[middle]];
        int order = compare_keys(line->key, line->key_len, key, key_len);

        if (order == 0)
            return input->by_key[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return input->count;
}

/* ---- What one policy's load knows ---- */

struct load {
    const struct input *input;
    const char *policy_name;
    uint32_t policy;
    char dir[4096];
    uint64_t seed;
    struct nori_position *places; /* of each line: as acknowledged or found; NOWHERE if neither */
    size_t place_count;

    /* Of the present writer. Thread t appends todo[t], todo[t + THREADS], … in this order. */
    size_t *todo;
    size_t todo_count;
    pid_t writer;
    int pipe;                 /* the end to read from, non-blocking */
    size_t pipe_acks_max;     /* so many fit into the pipe */
    size_t acked;             /* by all threads */
    size_t acked_by[THREADS]; /* by each */
    struct nori_position last_place[THREADS];
    uint64_t syncs; /* by a writer that finished */
};

/* The result of comparing the log with the input. */
struct comparison {
    uint64_t recovered; /* records in the log */
    uint64_t extra;     /* of these, not acknowledged: in flight */
    uint64_t missing;   /* acknowledged or found before, not there now */
    uint64_t wrong;     /* damaged, moved, twice, out of nowhere */
};

static void complain(const struct load *load, size_t line, const char *what)
{
    static int complaints;

    if (complaints++ >= COMPLAINTS_MAX)
        return;
    fprintf(stderr, "crash_demo: %s, %s: %s", load->policy_name, load->dir, what);
    if (line < load->input->count)
        fprintf(stderr, ": key %.*s", (int)load->input->lines[line].key_len,
                load->input->lines[line].key);
    fprintf(stderr, "\n");
}

/* ---- The writer process ---- */

/* What goes through the pipe: one for each record, after append has returned. Written at once. */
struct ack {
    uint64_t thread; /* 0 to THREADS - 1, or MESSAGE_OF_SYNCS: line is then their number */
    uint64_t line;
    struct nori_position position;
};

struct writer_thread {
    const struct load *load;
    nori_wal *wal;
    int pipe;
    size_t index; /* 0 to THREADS - 1 */
    pthread_t thread;
};

static void send_ack(int pipe, struct ack ack)
{
    ssize_t written;

    do
        written = write(pipe, &ack, sizeof ack); /* whole: it is smaller than PIPE_BUF */
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)sizeof ack)
        _exit(3); /* nobody reads any more */
}

static void *append_lines(void *argument)
{
    struct writer_thread *self = argument;
    const struct load *load = self->load;

    for (size_t i = self->index; i < load->todo_count; i += THREADS) {
        const struct line *line = &load->input->lines[load->todo[i]];
        struct nori_record record =
            nori_record_put(line->key, line->key_len, line->value, line->value_len);
        struct ack ack = {self->index, load->todo[i], NOWHERE};
        int rc = nori_wal_append(self->wal, &record, &ack.position);

        if (rc < 0) {
            struct nori_error error = NORI_ERROR_INIT;

            nori_wal_last_error(self->wal, &error);
            fprintf(stderr, "crash_demo: append: %s: %s\n", nori_error_name(rc), error.message);
            _exit(3);
        }
        send_ack(self->pipe, ack);
    }
    return NULL;
}

static void count_sync(void *context, const struct nori_event *event)
{
    if (event->kind == NORI_EVENT_FSYNC)
        atomic_fetch_add((atomic_ullong *)context, 1);
}

static nori_wal *open_log(const struct load *load, const struct nori_meter *meter,
                          struct nori_recovery_info *ret_info)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;
    int rc;

    config.dir = load->dir;
    config.fsync_policy = load->policy;
    config.max_segment_size = SEGMENT_BYTES;
    config.meter = meter;
    rc = nori_wal_open(&config, &wal, ret_info, &error);
    if (rc < 0) {
        fprintf(stderr, "crash_demo: open: %s: %s\n", nori_error_name(rc), error.message);
        return NULL;
    }
    return wal;
}

/* All of the writer's life. It ends here, unless it is killed before. */
static _Noreturn void write_and_exit(const struct load *load, int pipe)
{
    static atomic_ullong syncs;
    struct writer_thread threads[THREADS];
    struct nori_meter meter = NORI_METER_INIT;
    nori_wal *wal;

    meter.context = &syncs;
    meter.emit = count_sync;
    wal = open_log(load, &meter, NULL);
    if (!wal)
        _exit(3);
    for (size_t t = 0; t < THREADS; t++) {
        threads[t] = (struct writer_thread){.load = load, .wal = wal, .pipe = pipe, .index = t};
        if (pthread_create(&threads[t].thread, NULL, append_lines, &threads[t]) != 0)
            _exit(3);
    }
    for (size_t t = 0; t < THREADS; t++)
        pthread_join(threads[t].thread, NULL);
    send_ack(pipe, (struct ack){MESSAGE_OF_SYNCS, atomic_load(&syncs), {0, 0}});
    _exit(nori_wal_close(wal) < 0 ? 3 : 0);
}

/* Start a writer for all lines that are not in the log. */
static void start_writer(struct load *load)
{
    int ends[2];
    int pipe_bytes;

    load->todo_count = 0;
    for (size_t line = 0; line < load->input->count; line++)
        if (is_same_place(load->places[line], NOWHERE))
            load->todo[load->todo_count++] = line;
    load->acked = 0;
    memset(load->acked_by, 0, sizeof load->acked_by);
    memset(load->last_place, 0, sizeof load->last_place);

    if (pipe(ends) < 0)
        give_up("pipe");
    pipe_bytes = fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (pipe_bytes < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        give_up("fcntl");
    load->pipe_acks_max = (size_t)pipe_bytes / sizeof(struct ack);
    fflush(NULL); /* or the child would print it once more */
    load->writer = fork();
    if (load->writer < 0)
        give_up("fork");
    if (load->writer == 0) {
        close(ends[0]);
        write_and_exit(load, ends[1]);
    }
    close(ends[1]);
    load->pipe = ends[0];
}

/* ---- Taking in acknowledgements ---- */

/* The line that thread t is appending, as far as we know; input->count if it is done. */
static size_t line_in_flight(const struct load *load, size_t t)
{
    size_t i = t + load->acked_by[t] * THREADS;

    return i < load->todo_count ? load->todo[i] : load->input->count;
}

/* False if it is not what the thread had to append next, or lies before what it appended last. */
static bool take_ack(struct load *load, const struct ack *ack)
{
    size_t t = (size_t)ack->thread;

    if (ack->thread == MESSAGE_OF_SYNCS) {
        load->syncs = ack->line;
        return true;
    }
    if (t >= THREADS || ack->line != line_in_flight(load, t))
        return false;
    if (load->acked_by[t] > 0 && !is_before(load->last_place[t], ack->position))
        return false;
    load->last_place[t] = ack->position;
    load->places[ack->line] = ack->position;
    load->place_count++;
    load->acked_by[t]++;
    load->acked++;
    return true;
}

enum taking {
    TAKING_NONE_NOW,
    TAKING_SOME,
    TAKING_END,
    TAKING_WRONG
};

/* Take in what is in the pipe, at most acks_max. */
static enum taking take_acks(struct load *load, size_t acks_max)
{
    struct ack acks[256];
    size_t want = acks_max < 256 ? acks_max : 256;
    ssize_t got;

    do
        got = read(load->pipe, acks, want * sizeof *acks);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return TAKING_NONE_NOW;
    if (got < 0 || (size_t)got % sizeof *acks != 0)
        give_up("read");
    if (got == 0)
        return TAKING_END;
    for (size_t i = 0; i < (size_t)got / sizeof *acks; i++) {
        if (!take_ack(load, &acks[i])) {
            complain(load, acks[i].line, "an acknowledgement at the wrong place");
            return TAKING_WRONG;
        }
    }
    return TAKING_SOME;
}

/* Wait for more acknowledgements or the end of the writer. False if nothing comes. */
static bool wait_for_acks(const struct load *load, int timeout_ms)
{
    struct pollfd entry = {.fd = load->pipe, .events = POLLIN};
    int rc;

    do
        rc = poll(&entry, 1, timeout_ms);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

/* Take in acknowledgements until there are target of them. False: the writer ended or is stuck. */
static bool take_acks_until(struct load *load, size_t target)
{
    while (load->acked < target) {
        enum taking taking = take_acks(load, target - load->acked);

        if (taking == TAKING_END || taking == TAKING_WRONG)
            return false;
        if (taking == TAKING_NONE_NOW && !wait_for_acks(load, PATIENCE_MS)) {
            complain(load, SIZE_MAX, "the writer stands still");
            return false;
        }
    }
    return true;
}

/* Some random time more, during which the threads must not be held up by a full pipe. */
static void linger(struct load *load)
{
    uint64_t end_us = now_us() + random_up_to(&load->seed, DELAY_MAX_US);
    size_t acks_end = load->acked + DELAY_ACKS_MAX;

    while (now_us() < end_us && load->acked < acks_end)
        if (take_acks(load, acks_end - load->acked) >= TAKING_END)
            return;
}

/* After the writer's end: what it had sent. False if that is wrong. */
static bool take_last_acks(struct load *load)
{
    enum taking taking;

    do
        taking = take_acks(load, SIZE_MAX);
    while (taking == TAKING_SOME);
    close(load->pipe);
    return taking == TAKING_END;
}

/* The exit status as waitpid gives it. */
static int reap_writer(struct load *load)
{
    int status;

    while (waitpid(load->writer, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    return status;
}

/* ---- Comparing the log with the input ---- */

/* One record of the log. seen: for each line, whether it was in the log already. */
static void compare_record(struct load *load, const struct nori_record *record,
                           struct nori_position position, bool *seen, struct comparison *result)
{
    size_t index = find_line(load->input, record->key, record->key_len);
    const struct line *line = &load->input->lines[index];
    const char *wrong = NULL;

    result->recovered++;
    if (index == load->input->count) {
        wrong = "a record that was never appended";
    } else if (record->flags != 0 || record->value_len != line->value_len ||
               memcmp(record->value, line->value, line->value_len) != 0) {
        wrong = "a record with other bytes than the input";
    } else if (seen[index]) {
        wrong = "a record that is there twice";
    } else if (!is_same_place(load->places[index], NOWHERE)) {
        if (!is_same_place(load->places[index], position))
            wrong = "a record that is not where append said";
    } else {
        bool is_in_flight = false;

        for (size_t t = 0; t < THREADS; t++)
            is_in_flight = is_in_flight || line_in_flight(load, t) == index;
        if (!is_in_flight)
            wrong = "a record that no thread was appending";
        result->extra++;
        load->places[index] = position; /* from now on it has to stay */
        load->place_count++;
    }
    if (wrong) {
        complain(load, index, wrong);
        result->wrong++;
    }
    if (index < load->input->count)
        seen[index] = true;
}

/* All records that reader gives, each against the input, and the input against them. */
static bool compare_all(struct load *load, nori_reader *reader, struct comparison *ret_result)
{
    struct comparison result = {0, 0, 0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position position;
    struct nori_record record;
    bool *seen = must_alloc(load->input->count, sizeof *seen);
    int rc;

    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK)
        compare_record(load, &record, position, seen, &result);
    if (rc < 0) {
        nori_reader_last_error(reader, &error);
        fprintf(stderr, "crash_demo: next: %s: %s\n", nori_error_name(rc), error.message);
        result.wrong++;
    }
    for (size_t line = 0; line < load->input->count; line++) {
        if (seen[line] || is_same_place(load->places[line], NOWHERE))
            continue;
        complain(load, line, "MISSING an acknowledged record");
        result.missing++;
    }
    free(seen);
    *ret_result = result;
    return result.missing == 0 && result.wrong == 0;
}

/* Recover the log, and read it through the handle. */
static bool recover_and_compare(struct load *load, struct comparison *ret_result,
                                struct nori_recovery_info *ret_info)
{
    struct nori_position oldest = {0, 0};
    nori_reader *reader = NULL;
    nori_wal *wal = open_log(load, NULL, ret_info);
    bool is_good = wal && nori_wal_read_from(wal, oldest, &reader) == NORI_OK;

    if (is_good)
        is_good = compare_all(load, reader, ret_result);
    if (is_good && ret_info->valid_records != ret_result->recovered) {
        complain(load, SIZE_MAX, "recovery counted other records than were read");
        ret_result->wrong++;
        is_good = false;
    }
    nori_reader_close(reader);
    if (wal && nori_wal_close(wal) < 0)
        is_good = false;
    return is_good;
}

/* Read the closed log, as any other process would. */
static bool read_and_compare(struct load *load, struct comparison *ret_result)
{
    struct nori_position oldest = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    bool is_good;

    if (nori_reader_open(load->dir, oldest, &reader, &error) < 0) {
        fprintf(stderr, "crash_demo: reader: %s\n", error.message);
        return false;
    }
    is_good = compare_all(load, reader, ret_result);
    nori_reader_close(reader);
    return is_good && ret_result->recovered == load->input->count;
}

/* ---- The rounds ---- */

struct totals {
    uint64_t kills;
    uint64_t acked;
    uint64_t extra;
    uint64_t missing;
    uint64_t wrong;
};

/* So many acknowledgements a writer can be beyond its target at most when it is killed. */
static size_t overrun_max(const struct load *load)
{
    return DELAY_ACKS_MAX + load->pipe_acks_max + 2 * THREADS;
}

/* A target that leaves enough lines for the kills to come. 0 if there are too few lines. */
static size_t choose_target(struct load *load, unsigned kills_left)
{
    size_t least = ACKS_MIN + overrun_max(load);
    size_t share = (load->todo_count - 1) / kills_left;

    if (share <= least)
        return 0;
    return ACKS_MIN + (size_t)random_up_to(&load->seed, share - least);
}

static void print_row(const struct load *load, const char *kill, const struct comparison *result,
                      size_t place_count_before, const char *took, double took_ms)
{
    printf("%-7s %-7s %12zu %10lld %18llu %8llu %11llu  %s %.1f ms\n", load->policy_name, kill,
           load->acked, (long long)result->recovered - (long long)place_count_before,
           (unsigned long long)result->extra, (unsigned long long)result->missing,
           (unsigned long long)result->recovered, took, took_ms);
    fflush(stdout);
}

/* Start a writer, kill it, recover, compare. */
static bool kill_once(struct load *load, unsigned number, unsigned kills_left,
                      struct totals *totals)
{
    size_t place_count_before = load->place_count;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct comparison result = {0, 0, 0, 0};
    char kill_name[16];
    size_t target;
    int status;
    bool is_good;

    start_writer(load);
    target = choose_target(load, kills_left);
    is_good = target > 0 && take_acks_until(load, target);
    if (is_good)
        linger(load);
    kill(load->writer, SIGKILL);
    status = reap_writer(load);
    if (target == 0) {
        fprintf(stderr, "crash_demo: %s has too few lines for so many kills\n", load->input->path);
        exit(2);
    }
    is_good = take_last_acks(load) && is_good;
    if (!WIFSIGNALED(status) || load->acked >= load->todo_count) {
        complain(load, SIZE_MAX, "the writer ended before it could be killed");
        is_good = false;
    }

    is_good = recover_and_compare(load, &result, &info) && is_good;
    snprintf(kill_name, sizeof kill_name, "%u", number);
    print_row(load, kill_name, &result, place_count_before, "recovered in",
              (double)info.elapsed_us / 1e3);
    totals->kills++;
    totals->acked += load->acked;
    totals->extra += result.extra;
    totals->missing += result.missing;
    totals->wrong += result.wrong;
    return is_good;
}

/* Append the rest, undisturbed, and read all of it back. */
static bool finish(struct load *load, struct totals *totals)
{
    size_t place_count_before = load->place_count;
    struct comparison result = {0, 0, 0, 0};
    uint64_t start_us;
    bool is_good;
    int status;

    start_writer(load);
    is_good = take_acks_until(load, load->todo_count);
    if (!is_good)
        kill(load->writer, SIGKILL);
    while (is_good && take_acks(load, SIZE_MAX) < TAKING_END)
        is_good = wait_for_acks(load, PATIENCE_MS);
    status = reap_writer(load);
    close(load->pipe);
    start_us = now_us();
    is_good = read_and_compare(load, &result) && is_good && status == 0;
    print_row(load, "finish", &result, place_count_before, "read in",
              (double)(now_us() - start_us) / 1e3);
    totals->acked += load->acked;
    totals->missing += result.missing;
    totals->wrong += result.wrong;
    return is_good;
}

static bool run_policy(const struct input *input, const char *folder, uint32_t policy,
                       const char *name, unsigned kills, uint64_t seed, struct totals *totals)
{
    struct load load = {.input = input, .policy_name = name, .policy = policy, .seed = seed};
    bool is_good = true;

    snprintf(load.dir, sizeof load.dir, "%s/%s", folder, name);
    load.todo = must_alloc(input->count, sizeof *load.todo);
    load.places = must_alloc(input->count, sizeof *load.places);
    for (size_t line = 0; line < input->count; line++)
        load.places[line] = NOWHERE;

    for (unsigned k = 0; k < kills && is_good; k++)
        is_good = kill_once(&load, k + 1, kills - k, totals);
    if (is_good)
        is_good = finish(&load, totals);
    if (is_good && policy == NORI_FSYNC_ALWAYS)
        printf(
            "        (the last %zu appends, each durable before it returned, shared %llu syncs)\n",
            load.acked, (unsigned long long)load.syncs);
    free(load.todo);
    free(load.places);
    return is_good;
}

/* ---- The whole ---- */

struct options {
    const char *input;
    const char *folder;
    uint64_t seed;
    unsigned kills;
};

static uint64_t parse_number(const char *text, const char *name)
{
    char *end = NULL;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 0);
    if (errno || end == text || *end) {
        fprintf(stderr, "crash_demo: --%s: not a number: %s\n", name, text);
        exit(2);
    }
    return number;
}

static void parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"input", required_argument, NULL, 'i'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"kills", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == 'i')
            options->input = optarg;
        else if (letter == 'd')
            options->folder = optarg;
        else if (letter == 's')
            options->seed = parse_number(optarg, "seed");
        else if (letter == 'k')
            options->kills = (unsigned)parse_number(optarg, "kills");
        else
            exit(2);
    }
    if (!options->input || !options->folder || optind != argc) {
        fprintf(stderr,
                "usage: crash_demo --input FILE --dir EMPTY_FOLDER [--seed N] [--kills N]\n");
        exit(2);
    }
}

static void print_introduction(const struct input *input, const struct options *options)
{
    printf(
        "Input: %s, %zu lines. Each is a record: the first field is the key.\n"
        "A writer process appends them from %d threads, in segments of 1 MiB. Each time append\n"
        "has returned, it sends an acknowledgement. At a random moment it is killed with SIGKILL;\n"
        "then the log is opened again, and every record is compared with the input.\n"
        "Seed %llu.\n\n",
        input->path, input->count, THREADS, (unsigned long long)options->seed);
    printf("%-7s %-7s %12s %10s %18s %8s %11s\n", "policy", "kill", "acknowledged", "recovered",
           "extra (in flight)", "missing", "in the log");
}

static void print_verdict(bool is_good, const struct totals *totals, const struct options *options,
                          uint64_t elapsed_us)
{
    printf("\n%llu kills, %llu acknowledged records, %llu more that were in flight, missing: %llu, "
           "wrong: %llu. %.1f s.\n",
           (unsigned long long)totals->kills, (unsigned long long)totals->acked,
           (unsigned long long)totals->extra, (unsigned long long)totals->missing,
           (unsigned long long)totals->wrong, (double)elapsed_us / 1e6);
    if (is_good)
        printf("Nothing acknowledged is missing, and every record is as it was in the input.\n");
    else
        printf("FAILED: see the messages. To choose the same moments again: --seed %llu\n",
               (unsigned long long)options->seed);
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t policy;
        const char *name;
    } policies[] = {
        {NORI_FSYNC_ALWAYS, "always"}, {NORI_FSYNC_BATCH, "batch"}, {NORI_FSYNC_OS, "os"}};
    struct options options = {NULL, NULL, 0, KILLS_DEFAULT};
    struct input input = {0};
    struct totals totals = {0};
    uint64_t start_us = now_us();
    uint64_t seed;
    bool is_good = true;

    options.seed = (now_us() ^ (uint64_t)getpid() << 8) % 1000000; /* short, to be typed again */
    parse_options(argc, argv, &options);
    input.path = options.input;
    load_input(&input);
    print_introduction(&input, &options);
    seed = options.seed;
    for (size_t i = 0; i < sizeof policies / sizeof *policies && is_good; i++)
        is_good = run_policy(&input, options.folder, policies[i].policy, policies[i].name,
                             options.kills, random_next(&seed), &totals);
    print_verdict(is_good, &totals, &options, now_us() - start_us);
    free(input.text);
    free(input.lines);
    free(input.by_key);
    return is_good ? 0 : 1;
}
