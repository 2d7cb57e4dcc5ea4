/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_api.c: bytes as a sequence of calls on a log on a simulated machine, with a small ring and
 * segments of 1 MiB: appends, batches, syncs, readers, drops, crashes. After each call that tells
 * something, and after each open, the log is what the model says.
 *
 * Input: policy u8, preallocation and verification u8, switches of threads in percent u8, seed u8;
 * then calls, each a u8 and an argument u8.
 */
#include "model.h"

#include <nori/sim.h>
#include <string.h>

#define DIR       "wal"
#define CALLS_MAX 96
#define BATCH_MAX 4
#define VALUE_MAX ((size_t)300000)
#define SLEEP_NS  ((uint64_t)50000000) /* longer than the window of policy batch */

static const uint32_t value_lens[] = {0, 1, 20, 150, 364, 1004, 1100, 3000, 5000, 70000, VALUE_MAX};
#define VALUE_LENS (sizeof value_lens / sizeof value_lens[0])

struct run {
    struct nori_wal_config config;
    struct nori_sim_options options;
    nori_sim *sim;
    nori_wal *wal;
    struct model model;
    uint32_t next_seed;
    nori_reader *reader; /* one that stays open; NULL: none */
    size_t reader_at;    /* number of the record it gives next, from 0 */
    bool is_reader_new;  /* it was opened before there was a record, and gave none yet */
};

static void expect_ok(int rc, const char *call)
{
    fuzz_check(rc == NORI_OK, "%s gives %s", call, nori_error_name(rc));
}

/* ---- looking ---- */

/* Read to the end: records from `from` on. How far that was. */
static size_t read_on(struct run *run, nori_reader *reader, size_t from)
{
    for (;; from++) {
        struct nori_record record;
        struct nori_position position;
        int rc = nori_reader_next(reader, &record, &position);

        if (rc == NORI_END)
            return from;
        expect_ok(rc, "nori_reader_next");
        model_check(&run->model, from, &record, position);
    }
}

static size_t read_all(struct run *run, uint32_t visibility)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    nori_reader *reader = NULL;
    size_t end;

    config.visibility = visibility;
    config.vfs = run->config.vfs;
    config.allocator = run->config.allocator;
    expect_ok(nori_wal_read_with(run->wal, &config, oldest, &reader), "nori_wal_read_with");
    end = read_on(run, reader, run->model.first);
    nori_reader_close(reader);
    return end;
}

static void check_all(struct run *run)
{
    size_t end = read_all(run, NORI_VISIBLE_APPENDED);
    size_t durable = read_all(run, NORI_VISIBLE_DURABLE);

    fuzz_check(end == run->model.count, "%zu records are there, not %zu", end, run->model.count);
    fuzz_check(durable >= run->model.durable, "a reader shows %zu durable records of %zu", durable,
               run->model.durable);
    run->model.durable = durable;
}

/* One record by its place, and no record inside it. */
static void read_one(struct run *run, size_t argument)
{
    struct model *model = &run->model;
    struct nori_position position;
    nori_reader *reader = NULL;
    size_t index;
    int rc;

    if (model->count == 0)
        return;
    index = argument % model->count;
    position = model->records[index].position;
    rc = nori_wal_read_from(run->wal, position, &reader);
    fuzz_check((rc == NORI_OK) == (index >= model->first), "reading record %zu of %zu to %zu: %s",
               index, model->first, model->count, nori_error_name(rc));
    if (rc == NORI_OK)
        fuzz_check(read_on(run, reader, index) == model->count, "reading on from %zu ends early",
                   index);
    nori_reader_close(reader);
    reader = NULL;
    position.offset++;
    rc = nori_wal_read_from(run->wal, position, &reader);
    fuzz_check(rc == NORI_E_NOTFOUND, "inside record %zu: %s", index, nori_error_name(rc));
}

/* The reader that stays open: a few records more. */
static void follow(struct run *run, size_t argument)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};

    config.vfs = run->config.vfs;
    config.allocator = run->config.allocator;
    if (!run->reader &&
        nori_reader_open_with(DIR, &config, oldest, &run->reader, NULL) == NORI_OK) {
        run->reader_at = run->model.first;
        run->is_reader_new = run->model.count == 0;
    }
    for (size_t i = 0; run->reader && i <= argument % 8; i++) {
        struct nori_record record;
        struct nori_position position;
        int rc = nori_reader_next(run->reader, &record, &position);

        if (rc == NORI_END) {
            fuzz_check(run->is_reader_new || run->reader_at == run->model.count,
                       "a reader ends at %zu of %zu", run->reader_at, run->model.count);
            return;
        }
        if (rc == NORI_E_TRUNCATED && (run->is_reader_new || run->reader_at < run->model.first)) {
            nori_reader_close(run->reader);
            run->reader = NULL;
            return;
        }
        expect_ok(rc, "nori_reader_next");
        if (run->is_reader_new)
            run->reader_at = (size_t)record.sequence - 1;
        run->is_reader_new = false;
        model_check(&run->model, run->reader_at++, &record, position);
    }
}

/* ---- opening, and what crashes leave ---- */

static int note_segment(void *context, const struct nori_log_item *item)
{
    size_t *count = context;

    if (item->kind == NORI_LOG_SEGMENT && item->state <= NORI_LOG_STATE_NEWEST &&
        item->first_sequence > 0)
        *count = (size_t)(item->first_sequence - 1 + item->records);
    return 0;
}

static void open_log(struct run *run, bool is_power_cut)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    size_t count = 0;

    run->config.vfs = options.vfs = nori_sim_vfs(run->sim);
    run->config.allocator = options.allocator = nori_sim_allocator(run->sim);
    expect_ok(nori_wal_open(&run->config, &run->wal, NULL, NULL), "nori_wal_open");
    (void)nori_log_stat(DIR, &options, note_segment, &count, NULL);
    model_crash(&run->model, count, is_power_cut);
    check_all(run);
}

static void close_log(struct run *run)
{
    expect_ok(nori_wal_close(run->wal), "nori_wal_close");
    run->wal = NULL;
    run->model.durable = run->model.count;
}

/* Go on on the machine that a crash leaves. */
static void move_to(struct run *run, nori_sim *after, bool is_power_cut)
{
    nori_reader_close(run->reader);
    run->reader = NULL;
    (void)nori_wal_close(run->wal); /* on the machine that is gone */
    fuzz_check(nori_sim_memory_blocks(run->sim) == 0, "memory leaks");
    nori_sim_free(run->sim);
    run->sim = after;
    run->options.seed++;
    nori_sim_set_options(run->sim, &run->options);
    open_log(run, is_power_cut);
}

static void kill_process(struct run *run)
{
    nori_sim *after;

    nori_sim_crash_kill(run->sim, &after);
    move_to(run, after, false);
}

static void cut_power(struct run *run, size_t argument)
{
    nori_sim *after;

    if (argument == 0) /* nothing unsynced is left */
        expect_ok(nori_sim_power_cut(run->sim, 0, &after), "nori_sim_power_cut");
    else
        nori_sim_power_cut_random(run->sim, argument, &after);
    move_to(run, after, true);
}

/* ---- changing ---- */

static void append(struct run *run, size_t count, size_t argument)
{
    static uint8_t values[BATCH_MAX][VALUE_MAX];
    struct model *model = &run->model;
    uint8_t keys[BATCH_MAX][4];
    struct nori_record records[BATCH_MAX];
    struct nori_position positions[BATCH_MAX];
    uint32_t value_len = value_lens[argument % VALUE_LENS];
    uint32_t compression = (uint32_t)(argument / VALUE_LENS % 3);

    if (model->count + count > MODEL_RECORDS_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        uint32_t seed = run->next_seed++;

        records[i] = model_fill(seed, value_len, keys[i], values[i]);
        if (nori_compression_is_offered(compression))
            records[i].compression = compression;
        model->records[model->count + i] = (struct model_record){
            .seed = seed, .value_len = value_len, .ends_batch = i + 1 == count};
    }
    expect_ok(count == 1 ? nori_wal_append(run->wal, records, positions)
                         : nori_wal_append_batch(run->wal, records, count, positions),
              "nori_wal_append");
    for (size_t i = 0; i < count; i++)
        model->records[model->count + i].position = positions[i];
    model->count += count;
    if (run->config.fsync_policy == NORI_FSYNC_ALWAYS)
        model->durable = model->count;
}

static void drop(struct run *run, size_t argument, bool is_end)
{
    struct model *model = &run->model;
    struct nori_position position;

    expect_ok(nori_wal_position(run->wal, &position), "nori_wal_position");
    if (!is_end && model->count == model->first)
        return;
    if (!is_end)
        position = model->records[model->first + argument % (model->count - model->first)].position;
    expect_ok(nori_wal_delete_segments_before(run->wal, position, NULL),
              "nori_wal_delete_segments_before");
    model_drop(model, position, is_end);
}

static void sync_log(struct run *run)
{
    expect_ok(nori_wal_sync(run->wal), "nori_wal_sync");
    run->model.durable = run->model.count;
}

static void wait_durable(struct run *run, size_t argument)
{
    struct model *model = &run->model;
    size_t index;

    if (model->count == model->first)
        return;
    index = model->first + argument % (model->count - model->first);
    expect_ok(nori_wal_wait_durable(run->wal, model->records[index].position, -1),
              "nori_wal_wait_durable");
    while (!model->records[index].ends_batch)
        index++;
    model->durable = model->durable > index + 1 ? model->durable : index + 1;
}

static void sleep_a_while(struct run *run)
{
    nori_sim_sleep(run->sim, SLEEP_NS);
    if (run->config.fsync_policy == NORI_FSYNC_BATCH)
        run->model.durable = run->model.count;
}

static void call(struct run *run, uint64_t choice, size_t argument)
{
    switch (choice % 16) {
    case 0:
        sync_log(run);
        break;
    case 1:
        expect_ok(nori_wal_flush(run->wal), "nori_wal_flush");
        break;
    case 2:
        wait_durable(run, argument);
        break;
    case 3:
        close_log(run);
        open_log(run, false);
        break;
    case 4:
        kill_process(run);
        break;
    case 5:
    case 6:
        cut_power(run, argument);
        break;
    case 7:
        drop(run, argument, false);
        break;
    case 8:
        drop(run, argument, true);
        break;
    case 9:
        read_one(run, argument);
        break;
    case 10:
        follow(run, argument);
        break;
    case 11:
        sleep_a_while(run);
        break;
    case 12:
        check_all(run);
        break;
    default:
        append(run, choice % 16 == 15 ? 2 + argument % (BATCH_MAX - 1) : 1, argument);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct run run;
    struct fuzz_input input = {data, len};
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    memset(&run, 0, sizeof run);
    config.dir = DIR;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = 4096;
    config.fsync_policy = (uint32_t)fuzz_number(&input, 1) % 3;
    config.preallocate = (uint32_t)fuzz_number(&input, 1);
    config.verify = config.preallocate / 4 % 2;
    config.preallocate %= 4;
    options.switch_percent = (uint32_t)fuzz_number(&input, 1) % 100;
    options.seed = fuzz_number(&input, 1);
    run.config = config;
    run.options = options;
    run.sim = nori_sim_new(&options);
    open_log(&run, false);
    for (int i = 0; i < CALLS_MAX && input.left > 0; i++) {
        uint64_t choice = fuzz_number(&input, 1);

        call(&run, choice, (size_t)fuzz_number(&input, 1));
    }
    check_all(&run);
    nori_reader_close(run.reader);
    close_log(&run);
    fuzz_check(nori_sim_memory_blocks(run.sim) == 0, "memory leaks");
    nori_sim_free(run.sim);
    return 0;
}
