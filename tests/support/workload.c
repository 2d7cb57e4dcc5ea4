/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* workload.c: small histories of a log on a simulated machine. */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_LEN  150
#define MEDIUM_LEN 5000
#define LARGE_LEN  70000
#define PAD_LEN    364               /* header, this and what is around it are one sector */
#define ALIGN_LEN  1004              /* this and what is around it are two sectors */
#define FILL_LEN   ((size_t)1040000) /* of a segment of 1 MiB */
#define SLEEP_NS   ((uint64_t)50000000)

struct nori_wal_config workload_config(const struct workload *workload, nori_sim *sim)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = WORKLOAD_DIR;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = workload->seed % 2 ? 4096 : (size_t)64 << 10;
    config.fsync_policy = workload->policy;
    config.preallocate = workload->preallocate;
    config.verify = workload->verify;
    config.format = workload->format;
    config.vfs = nori_sim_vfs(sim);
    if (workload->is_memory_tracked)
        config.allocator = nori_sim_allocator(sim);
    return config;
}

void run_init(struct run *run, const struct workload *workload, nori_sim *sim)
{
    memset(run, 0, sizeof *run);
    run->workload = *workload;
    run->sim = sim;
    oracle_init(&run->oracle);
    run->oracle.is_format1 = workload->format == 1;
}

void run_done(struct run *run)
{
    (void)nori_wal_close(run->wal);
    run->wal = NULL;
    oracle_done(&run->oracle);
    free(run->memory);
    run->memory = NULL;
}

/* ---- what calls may answer ---- */

static bool is_among(int rc, const int *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rc == codes[i])
            return true;
    return false;
}

static bool complain(struct run *run, const char *call, int rc)
{
    return oracle_complain(run->why, "%s gave %s", call, nori_error_name(rc));
}

/* After every call. must_fail: it is one that a failed log refuses. */
static bool check_failure(struct run *run, const char *call, int rc, bool must_fail)
{
    struct nori_error failure = NORI_ERROR_INIT;
    int failed = nori_wal_failure(run->wal, &failure);

    if (failed != NORI_OK && failed != NORI_END)
        return complain(run, "nori_wal_failure", failed);
    if (run->failure.code != 0 &&
        (failed == NORI_END || strcmp(failure.message, run->failure.message) != 0))
        return oracle_complain(run->why, "%s changed the first cause of the failure", call);
    if (must_fail && run->failure.code != 0 && rc != NORI_E_FAILED)
        return oracle_complain(run->why, "%s gave %s although the log has failed", call,
                               nori_error_name(rc));
    if ((rc == NORI_E_IO || rc == NORI_E_FAILED) && failed == NORI_END && must_fail)
        return oracle_complain(run->why, "%s gave %s, but the log has not failed", call,
                               nori_error_name(rc));
    if (failed == NORI_OK)
        run->failure = failure;
    return true;
}

/* Preparations may fail for another reason than want of space: then the record is not there, and
 * the log goes on. */
static bool is_refused(struct run *run, int rc)
{
    struct nori_error failure = NORI_ERROR_INIT;

    return (rc == NORI_E_IO || rc == NORI_E_READONLY) &&
           nori_wal_failure(run->wal, &failure) == NORI_END;
}

/* What the log says is durable, is. had_failed: before this step; then nothing more may be (D8). */
static bool check_durable(struct run *run, bool had_failed)
{
    struct nori_position position;
    size_t before = run->oracle.durable;
    int rc = nori_wal_durable_position(run->wal, &position);

    if (rc < 0)
        return complain(run, "nori_wal_durable_position", rc);
    oracle_durable_before(&run->oracle, position);
    if (had_failed && run->oracle.durable > before)
        return oracle_complain(run->why, "record %zu was acknowledged after the log had failed",
                               run->oracle.durable);
    return true;
}

/* ---- steps ---- */

static bool append(struct run *run, size_t count, size_t value_len)
{
    static const int answers[] = {NORI_OK,   NORI_E_NOSPACE,  NORI_E_NOMEM,
                                  NORI_E_IO, NORI_E_READONLY, NORI_E_FAILED};
    struct nori_record records[ORACLE_BATCH_MAX];
    struct nori_position positions[ORACLE_BATCH_MAX] = {{0, 0}};
    bool is_in_doubt = oracle_is_in_doubt(&run->oracle);
    int rc;

    free(run->memory);
    run->memory = malloc(oracle_fill_len(count, value_len));
    if (!run->memory)
        abort();
    if (is_in_doubt) { /* the log has failed: this one must not be there */
        memset(records, 0, sizeof records);
        memset(run->memory, 'x', oracle_fill_len(count, value_len));
        for (size_t i = 0; i < count; i++)
            records[i] = nori_record_put("never", 5, run->memory, value_len);
    } else {
        oracle_append_begin(&run->oracle, count, value_len);
        (void)oracle_fill(&run->oracle, records, run->memory);
    }
    rc = count == 1 ? nori_wal_append(run->wal, records, positions)
                    : nori_wal_append_batch(run->wal, records, count, positions);
    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return complain(run, "append", rc);
    if (is_in_doubt && rc != NORI_E_FAILED)
        return oracle_complain(run->why, "append gave %s behind one in doubt", nori_error_name(rc));
    run->nospace_count += rc == NORI_E_NOSPACE;
    if (!is_in_doubt)
        oracle_append_end(&run->oracle, is_refused(run, rc) ? NORI_E_NOSPACE : rc, positions);
    if (rc == NORI_OK && run->workload.policy == NORI_FSYNC_ALWAYS)
        oracle_all_durable(&run->oracle);
    return check_failure(run, "append", rc, !is_refused(run, rc));
}

static bool sync_log(struct run *run)
{
    static const int answers[] = {NORI_OK, NORI_E_IO, NORI_E_FAILED};
    int rc = nori_wal_sync(run->wal);

    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return complain(run, "nori_wal_sync", rc);
    if (rc == NORI_OK)
        oracle_all_durable(&run->oracle);
    return check_failure(run, "nori_wal_sync", rc, true);
}

static bool wait_for_last(struct run *run)
{
    static const int answers[] = {NORI_OK, NORI_E_IO, NORI_E_FAILED};
    const struct oracle *oracle = &run->oracle;
    int rc;

    if (oracle->returned == oracle->dropping)
        return true;
    rc = nori_wal_wait_durable(run->wal, oracle->records[oracle->returned - 1].position, 10000);
    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return complain(run, "nori_wal_wait_durable", rc);
    if (rc == NORI_OK)
        oracle_all_durable(&run->oracle);
    return check_failure(run, "nori_wal_wait_durable", rc, false);
}

static bool sleep_a_while(struct run *run)
{
    size_t must_be_durable = run->oracle.returned;
    bool had_failed = run->failure.code != 0;

    nori_sim_sleep(run->sim, SLEEP_NS);
    if (!check_failure(run, "sleeping", NORI_OK, false) || !check_durable(run, had_failed))
        return false;
    if (run->workload.policy == NORI_FSYNC_BATCH && run->failure.code == 0 &&
        run->oracle.durable < must_be_durable)
        return oracle_complain(run->why,
                               "long after the window only %zu of %zu records are durable (D3)",
                               run->oracle.durable, must_be_durable);
    return true;
}

static bool drop(struct run *run, bool is_all)
{
    static const int answers[] = {NORI_OK,   NORI_E_NOSPACE,  NORI_E_NOMEM,
                                  NORI_E_IO, NORI_E_READONLY, NORI_E_FAILED};
    struct oracle *oracle = &run->oracle;
    struct nori_position position;
    int rc = nori_wal_position(run->wal, &position);

    if (rc < 0)
        return complain(run, "nori_wal_position", rc);
    if (!is_all && oracle->returned == oracle->dropping)
        return true;
    if (!is_all)
        position = oracle->records[oracle->returned - 1].position;
    oracle_drop_begin(oracle, position, is_all);
    rc = nori_wal_delete_segments_before(run->wal, position, NULL);
    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return complain(run, "nori_wal_delete_segments_before", rc);
    oracle_drop_end(oracle, rc);
    return check_failure(run, "nori_wal_delete_segments_before", rc, false);
}

bool run_close(struct run *run)
{
    static const int answers[] = {NORI_OK, NORI_E_IO, NORI_E_FAILED};
    bool had_failed = run->failure.code != 0;
    int rc = nori_wal_close(run->wal);

    run->wal = NULL;
    memset(&run->failure, 0, sizeof run->failure);
    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return complain(run, "nori_wal_close", rc);
    if (had_failed && rc == NORI_OK)
        return oracle_complain(run->why, "nori_wal_close gave NORI_OK although the log has failed");
    if (rc == NORI_OK)
        oracle_all_durable(&run->oracle);
    return true;
}

static int note_segment(void *context, const struct nori_log_item *item)
{
    size_t *count = context;

    if (item->kind == NORI_LOG_SEGMENT && item->state <= NORI_LOG_STATE_NEWEST &&
        item->first_sequence > 0)
        *count = (size_t)(item->first_sequence - 1 + item->records);
    return 0;
}

/* How many records the log on this machine ever had, told by its headers. */
static size_t count_records(nori_sim *sim)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    size_t count = 0;

    options.vfs = nori_sim_vfs(sim);
    (void)nori_log_stat(WORKLOAD_DIR, &options, note_segment, &count, NULL);
    return count;
}

/* What the log shows now is what it goes on from, and durable (D5). Looked at in a clone, where
 * nothing fails. */
static bool settle(struct run *run, enum oracle_event event)
{
    struct workload workload = run->workload;
    struct oracle_found found;
    nori_sim *look;
    bool is_good;

    workload.is_memory_tracked = false;
    nori_sim_crash_kill(run->sim, &look);
    is_good =
        workload_read(&workload, look, &run->oracle, NORI_VISIBLE_APPENDED, &found, run->why) &&
        oracle_expect(&run->oracle, &found, event, run->why);
    if (is_good)
        oracle_settle(&run->oracle, &found, count_records(look));
    nori_sim_free(look);
    return is_good;
}

bool run_open(struct run *run)
{
    static const int answers[] = {NORI_OK, NORI_E_NOSPACE, NORI_E_NOMEM, NORI_E_IO,
                                  NORI_E_READONLY};
    struct nori_wal_config config = workload_config(&run->workload, run->sim);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_wal_open(&config, &run->wal, &info, &error);

    if (!is_among(rc, answers, sizeof answers / sizeof answers[0]))
        return oracle_complain(run->why, "nori_wal_open gave %s: %.100s", nori_error_name(rc),
                               error.message);
    if (rc < 0 && run->wal)
        return oracle_complain(run->why, "nori_wal_open failed and gave a handle");
    return !run->wal || settle(run, ORACLE_PROCESS_CRASH);
}

bool run_crash(struct run *run, enum oracle_event event, uint64_t seed)
{
    nori_sim *after;

    if (event == ORACLE_PROCESS_CRASH)
        nori_sim_crash_kill(run->sim, &after);
    else
        nori_sim_power_cut_random(run->sim, seed, &after);
    (void)nori_wal_close(run->wal); /* on the machine that is gone */
    run->wal = NULL;
    memset(&run->failure, 0, sizeof run->failure);
    nori_sim_free(run->sim);
    run->sim = after;
    return event == ORACLE_PROCESS_CRASH || settle(run, event);
}

static bool take_step(struct run *run, char step)
{
    switch (step) {
    case 'a':
        return append(run, 1, SMALL_LEN);
    case 'b':
        return append(run, 3, SMALL_LEN);
    case 'm':
        return append(run, 1, MEDIUM_LEN);
    case 'l':
        return append(run, 1, LARGE_LEN);
    case 'L':
        return append(run, 2, LARGE_LEN);
    case 'f':
        return append(run, 1, FILL_LEN) && sync_log(run);
    case 'F':
        return append(run, 1, FILL_LEN);
    case 'p':
        return append(run, 1, PAD_LEN);
    case 'q':
        return append(run, 1, ALIGN_LEN);
    case 'Q':
        return append(run, 3, ALIGN_LEN);
    case 's':
        return sync_log(run);
    case 'w':
        return wait_for_last(run);
    case 'z':
        return sleep_a_while(run);
    case 'd':
        return drop(run, false);
    case 'D':
        return drop(run, true);
    case 'c':
        return run_close(run) && run_open(run);
    default:
        abort();
    }
}

bool run_step(struct run *run, char step)
{
    bool had_failed = run->failure.code != 0;

    if (!run->wal && !run_open(run))
        return false;
    if (!run->wal)
        return true; /* it could not be opened, for a good reason */
    if (!take_step(run, step))
        return false;
    return !run->wal || check_durable(run, had_failed && step != 'c');
}

/* ---- looking ---- */

bool workload_read(const struct workload *workload, nori_sim *sim, const struct oracle *oracle,
                   uint32_t visibility, struct oracle_found *ret_found, char why[ORACLE_WHY_LEN])
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    bool is_good;
    int rc;

    config.visibility = visibility;
    config.vfs = nori_sim_vfs(sim);
    if (workload->is_memory_tracked)
        config.allocator = nori_sim_allocator(sim);
    rc = nori_reader_open_with(WORKLOAD_DIR, &config, oldest, &reader, &error);
    if (rc == NORI_E_NOTFOUND) { /* there is no log yet */
        memset(ret_found, 0, sizeof *ret_found);
        return true;
    }
    if (rc < 0)
        return oracle_complain(why, "opening a reader gives %s: %.100s", nori_error_name(rc),
                               error.message);
    is_good = oracle_read(oracle, reader, ret_found, why);
    nori_reader_close(reader);
    return is_good;
}
