/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* story.c: what happens to a log on a real file system. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include "story.h"

#include "../support/torture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SMALL_LEN  150
#define MEDIUM_LEN 5000
#define LARGE_LEN  70000
#define FILL_LEN   ((size_t)1000000) /* of a segment of 1 MiB */
#define WINDOW_US  1000
#define SLEEP_NS   3000000
#define WAIT_MS    120000
#define STEPS_MIN  8
#define STEPS_MORE 24
#define LIFE_OVER  0
#define LIFE_WRONG 1

/* One process of it. */
struct life {
    struct story *story;
    struct device *device;
    const char *dir;
    nori_wal *wal;
    bool has_failed; /* this log: all that writes must be refused */
    uint8_t *memory;
};

struct story *story_new(void)
{
    struct story *story = mmap(NULL, sizeof *story, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return story == MAP_FAILED ? NULL : story;
}

void story_free(struct story *story)
{
    if (story)
        (void)munmap(story, sizeof *story);
}

/* ---- promises ---- */

void story_promise(struct story *story, struct device *device, const struct oracle *oracle)
{
    uint64_t moment = atomic_load(&device->moment) + 1;

    if (moment == STORY_MOMENTS_MAX)
        abort();
    story->promises[moment] = (struct story_promise){
        oracle->begun, oracle->returned, oracle->durable, oracle->dropped, oracle->dropping};
    atomic_store(&device->moment, moment);
}

void story_promised(const struct story *story, uint64_t moment, struct oracle *ret_oracle)
{
    const struct story_promise *promise = &story->promises[moment];

    oracle_copy(ret_oracle, &story->oracle);
    ret_oracle->begun = promise->begun;
    ret_oracle->returned = promise->returned;
    ret_oracle->durable = promise->durable;
    ret_oracle->dropped = promise->dropped;
    ret_oracle->dropping = promise->dropping;
}

static void promise_now(const struct life *life)
{
    if (life->story->oracle.begun + ORACLE_BATCH_MAX > STORY_RECORDS_MAX)
        abort();
    story_promise(life->story, life->device, &life->story->oracle);
}

/* ---- what calls may answer ---- */

static bool complain(const struct life *life, const char *call, int rc)
{
    return oracle_complain(life->story->why, "%s gave %s", call, nori_error_name(rc));
}

/* After every call: a log that has failed stays so, one that answers a failure has failed. */
static bool check_answer(struct life *life, const char *call, int rc)
{
    struct nori_error failure = NORI_ERROR_INIT;
    bool has_failed = nori_wal_failure(life->wal, &failure) == NORI_OK;

    if (life->has_failed && (!has_failed || rc == NORI_OK))
        return oracle_complain(life->story->why, "%s gave %s although the log has failed (D8)",
                               call, nori_error_name(rc));
    if (rc != NORI_OK && !has_failed && rc != NORI_E_NOSPACE && rc != NORI_E_IO &&
        rc != NORI_E_READONLY)
        return complain(life, call, rc);
    if (has_failed && atomic_load(&life->device->fault.fails) == 0)
        return oracle_complain(life->story->why, "the log failed, but not the device: %.100s",
                               failure.message);
    life->has_failed = has_failed;
    life->story->has_failed |= has_failed;
    return true;
}

/* Nothing becomes durable once the log has failed. */
static bool note_durable(struct life *life, bool had_failed)
{
    struct oracle *oracle = &life->story->oracle;
    struct nori_position position;
    size_t before = oracle->durable;
    int rc = nori_wal_durable_position(life->wal, &position);

    if (rc < 0)
        return complain(life, "nori_wal_durable_position", rc);
    oracle_durable_before(oracle, position);
    if (had_failed && oracle->durable > before)
        return oracle_complain(life->story->why,
                               "record %zu became durable after the log had failed (D8)",
                               oracle->durable);
    promise_now(life);
    return true;
}

/* ---- steps ---- */

/* A log that has failed, and one that has an append in doubt, takes none. */
static bool append_in_vain(struct life *life)
{
    struct nori_record record = nori_record_put("never", 5, "x", 1);

    return check_answer(life, "append", nori_wal_append(life->wal, &record, NULL));
}

static bool append(struct life *life, size_t count, size_t value_len)
{
    struct oracle *oracle = &life->story->oracle;
    struct nori_record records[ORACLE_BATCH_MAX];
    struct nori_position positions[ORACLE_BATCH_MAX] = {{0, 0}};
    int rc;

    if (life->has_failed)
        return append_in_vain(life);
    oracle_append_begin(oracle, count, value_len);
    promise_now(life);
    free(life->memory);
    life->memory = malloc(oracle_fill_len(count, value_len));
    if (!life->memory)
        abort();
    (void)oracle_fill(oracle, records, life->memory);
    rc = count == 1 ? nori_wal_append(life->wal, records, positions)
                    : nori_wal_append_batch(life->wal, records, count, positions);
    if (!check_answer(life, "append", rc))
        return false;
    if (rc < 0 && !life->has_failed)
        rc = NORI_E_NOSPACE; /* only preparation failed: the record is not there */
    oracle_append_end(oracle, rc, positions);
    if (rc == NORI_OK && life->story->policy == NORI_FSYNC_ALWAYS)
        oracle_all_durable(oracle);
    promise_now(life);
    return true;
}

static bool sync_log(struct life *life)
{
    int rc = nori_wal_sync(life->wal);

    if (rc == NORI_OK && !life->has_failed)
        oracle_all_durable(&life->story->oracle);
    return check_answer(life, "nori_wal_sync", rc);
}

static bool wait_for_last(struct life *life)
{
    struct oracle *oracle = &life->story->oracle;
    int rc;

    if (oracle->returned == oracle->dropping || oracle->returned == oracle->durable)
        return true;
    rc = nori_wal_wait_durable(life->wal, oracle->records[oracle->returned - 1].position, WAIT_MS);
    if (rc == NORI_OK && !life->has_failed)
        oracle_all_durable(oracle);
    return check_answer(life, "nori_wal_wait_durable", rc);
}

static bool drop(struct life *life, bool is_all)
{
    struct oracle *oracle = &life->story->oracle;
    struct nori_position position;
    int rc = nori_wal_position(life->wal, &position);

    if (rc < 0)
        return complain(life, "nori_wal_position", rc);
    if (life->has_failed || (!is_all && oracle->returned == oracle->dropping))
        return true;
    if (!is_all)
        position = oracle->records[oracle->returned - 1].position;
    oracle_drop_begin(oracle, position, is_all);
    promise_now(life);
    rc = nori_wal_delete_segments_before(life->wal, position, NULL);
    oracle_drop_end(oracle, rc);
    return check_answer(life, "nori_wal_delete_segments_before", rc);
}

/* ---- opening ---- */

struct nori_wal_config story_config(const struct story *story, const char *dir)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = dir;
    config.max_segment_size = (uint64_t)1 << 20;
    config.batch_window_us = WINDOW_US;
    config.fsync_policy = story->policy;
    config.preallocate = story->preallocate;
    config.buffer_size = story->ring_len;
    return config;
}

static int note_segment(void *context, const struct nori_log_item *item)
{
    size_t *count = context;

    if (item->kind == NORI_LOG_SEGMENT && item->state <= NORI_LOG_STATE_NEWEST &&
        item->first_sequence > 0)
        *count = (size_t)(item->first_sequence - 1 + item->records);
    return 0;
}

bool story_read(nori_wal *wal, const char *dir, const struct oracle *oracle,
                struct oracle_found *ret_found, size_t *ret_count, char why[ORACLE_WHY_LEN])
{
    struct nori_position oldest = {0, 0};
    nori_reader *reader = NULL;
    bool is_good;
    int rc = nori_wal_read_from(wal, oldest, &reader);

    memset(ret_found, 0, sizeof *ret_found);
    *ret_count = 0;
    (void)nori_log_stat(dir, NULL, note_segment, ret_count, NULL);
    if (rc == NORI_E_NOTFOUND)
        return true; /* there is no record */
    if (rc < 0)
        return oracle_complain(why, "nori_wal_read_from gave %s", nori_error_name(rc));
    is_good = oracle_read(oracle, reader, ret_found, why);
    nori_reader_close(reader);
    return is_good;
}

/* D2 holds as long as the disk reports no error. What is opened is durable (D5). */
static bool open_and_settle(struct life *life)
{
    struct story *story = life->story;
    struct nori_wal_config config = story_config(story, life->dir);
    struct nori_error error = NORI_ERROR_INIT;
    struct oracle_found found;
    size_t count;
    int rc = nori_wal_open(&config, &life->wal, NULL, &error);
    bool is_faulty = atomic_load(&life->device->fault.fails) > 0;
    enum oracle_event event = is_faulty ? ORACLE_POWER_CUT : ORACLE_PROCESS_CRASH;

    story->is_refused = is_faulty && (rc == NORI_E_IO || rc == NORI_E_READONLY);
    if (story->is_refused)
        return true;
    if (rc < 0)
        return oracle_complain(story->why, "nori_wal_open gave %s: %.100s", nori_error_name(rc),
                               error.message);
    life->has_failed = false;
    if (!story_read(life->wal, life->dir, &story->oracle, &found, &count, story->why)) {
        story->is_refused = is_faulty && strstr(story->why, "NORI_E_IO") != NULL;
        return story->is_refused;
    }
    if (!oracle_expect(&story->oracle, &found, event, story->why))
        return false;
    oracle_settle(&story->oracle, &found, count);
    promise_now(life);
    if (story->has_failed)
        story->settled_at = atomic_load(&life->device->moment);
    return true;
}

static bool close_log(struct life *life)
{
    int rc = nori_wal_close(life->wal);

    life->wal = NULL;
    if (rc == NORI_OK && life->has_failed)
        return oracle_complain(life->story->why, "nori_wal_close gave NORI_OK after a failure");
    if (rc < 0 && atomic_load(&life->device->fault.fails) == 0)
        return complain(life, "nori_wal_close", rc);
    life->story->has_failed |= rc < 0;
    if (rc == NORI_OK)
        oracle_all_durable(&life->story->oracle);
    promise_now(life);
    return true;
}

static bool take_step(struct life *life, char step)
{
    static const struct timespec a_while = {0, SLEEP_NS};

    switch (step) {
    case 'a':
        return append(life, 1, SMALL_LEN);
    case 'b':
        return append(life, 3, SMALL_LEN);
    case 'm':
        return append(life, 1, MEDIUM_LEN);
    case 'l':
        return append(life, 1, LARGE_LEN);
    case 'f':
        return append(life, 1, FILL_LEN);
    case 's':
        return sync_log(life);
    case 'w':
        return wait_for_last(life);
    case 'z':
        return nanosleep(&a_while, NULL) == 0;
    case 'd':
        return drop(life, false);
    case 'D':
        return drop(life, true);
    case 'c':
        return close_log(life) && open_and_settle(life);
    default:
        (void)raise(SIGKILL); /* k */
        return false;
    }
}

/* ---- lives ---- */

_Noreturn static void live(struct life *life)
{
    struct story *story = life->story;

    if (!open_and_settle(life))
        _exit(LIFE_WRONG);
    while (story->steps[story->at] && !story->is_refused) {
        bool had_failed = life->has_failed;

        if (!take_step(life, story->steps[story->at++]))
            _exit(LIFE_WRONG);
        if (life->wal && !note_durable(life, had_failed))
            _exit(LIFE_WRONG);
        if (life->has_failed && story->on_failure != STORY_GO_ON)
            (void)raise(SIGKILL);
    }
    if (life->wal && !close_log(life))
        _exit(LIFE_WRONG);
    _exit(LIFE_OVER);
}

bool story_live(struct story *story, struct device *device, const char *dir)
{
    struct life life = {.story = story, .device = device, .dir = dir};

    for (;;) {
        bool had_failed = story->has_failed;
        pid_t child = fork();
        int status = 0;

        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            live(&life);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            return oracle_complain(story->why, "no process can be made");
        if (WIFEXITED(status))
            return WEXITSTATUS(status) == LIFE_OVER;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            return oracle_complain(story->why, "the writer died with status %x", (unsigned)status);
        if (story->has_failed && !had_failed && story->on_failure == STORY_CUT)
            return true;
    }
}

static void draw_steps(struct story *story, uint64_t *seed)
{
    static const char letters[] = "aaaabbbmmmlfsswwzdDckk";
    size_t count = STEPS_MIN + (size_t)torture_random(seed, STEPS_MORE);

    for (size_t i = 0; i < count; i++)
        story->steps[i] = letters[torture_random(seed, sizeof letters - 1)];
    story->steps[0] = 'a';
    story->steps[count] = '\0';
}

void story_begin(struct story *story, struct device *device, uint64_t seed)
{
    static const size_t rings[] = {4096, (size_t)64 << 10, 0};

    memset(story, 0, offsetof(struct story, records));
    story->at = story->settled_at = 0;
    story->has_failed = story->is_refused = false;
    story->why[0] = '\0';
    story->promises[0] = (struct story_promise){0};
    atomic_store(&device->moment, 0);
    oracle_init(&story->oracle);
    story->oracle.records = story->records;
    story->oracle.capacity = STORY_RECORDS_MAX; /* so that it never takes other memory */
    story->policy = (uint32_t)(seed % 3);
    story->preallocate = (uint32_t)(NORI_PREALLOCATE_OFF + seed / 3 % 3);
    story->ring_len = rings[seed / 9 % 3];
    draw_steps(story, &seed);
}
