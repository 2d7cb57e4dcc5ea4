/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * all.c: the log beside other stores.
 *
 * What. Every store is set up so that it gives the same promise as the log in that case: that a
 * call survives the death of the process, or that it is durable when it returns. Keys rise, which
 * suits all of them. After each run the store is opened again and its records are counted: one that
 * did not write has no figures.
 *
 * Not here. What each store needs to be set up so: its own file.
 */
#include "bench.h"
#include "peers/peers.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOADED       1000000
#define QUICK_LOADED 100000
#define BATCH        1000

const struct bench_peer *const bench_peers[] = {&bench_peer_log, &bench_peer_rocksdb,
                                                &bench_peer_leveldb, &bench_peer_sqlite,
                                                &bench_peer_lmdb};
const size_t bench_peer_count = sizeof bench_peers / sizeof *bench_peers;

#define PEER_COUNT (sizeof bench_peers / sizeof *bench_peers)

static enum bench_kind kind_of(const struct bench_peer *peer)
{
    return peer == &bench_peer_log ? BENCH_LOG : BENCH_PEER;
}

static struct bench_path new_folder(void)
{
    struct bench_path path = bench_path("peer");

    if (mkdir(path.text, 0700) < 0)
        bench_give_up("make the folder %s", path.text);
    return path;
}

static void count_again(const struct bench_peer *peer, void *store, uint64_t expected)
{
    uint64_t found = peer->scan(store);

    if (found != expected)
        bench_give_up("%s has %llu records, not %llu", peer->name, (unsigned long long)found,
                      (unsigned long long)expected);
}

static void make_key(uint64_t number, struct bench_pair *pair)
{
    memset(pair->key, 0, sizeof pair->key);
    for (size_t i = 0; i < 8; i++)
        pair->key[i] = (uint8_t)(number >> (56 - 8 * i)); /* they compare as the numbers do */
}

/* ---- putting ---- */

struct put_run {
    const struct bench_peer *peer;
    struct bench_load load;
    bool must_sync;
};

struct put_store {
    const struct bench_peer *peer;
    void *store;
    _Atomic uint64_t next;
};

static void put_one(struct bench_worker *worker)
{
    struct put_store *to = worker->subject;
    struct bench_pair pair = {.value = worker->value, .value_len = worker->load->value_len};

    make_key(atomic_fetch_add(&to->next, 1), &pair);
    to->peer->put(to->store, &pair, 1);
}

static void run_put(const void *about, struct bench_result *ret_result)
{
    const struct put_run *run = about;
    struct bench_path path = new_folder();
    struct put_store to = {.peer = run->peer};
    uint64_t done;

    to.store = run->peer->open(path.text, run->must_sync);
    done = bench_run_threads(&run->load, &to, put_one, NULL, ret_result);
    run->peer->close(to.store);
    to.store = run->peer->open(path.text, run->must_sync);
    count_again(run->peer, to.store, done);
    run->peer->close(to.store);
    (void)bench_remove(path.text, true);
}

static void run_put_case(const struct bench_options *options, bool must_sync, unsigned threads,
                         size_t value_len)
{
    static const enum bench_metric columns[] = {
        BENCH_RATE, BENCH_COST, BENCH_CPU, BENCH_P50, BENCH_P99, BENCH_P999, BENCH_METRIC_COUNT};
    struct put_run runs[PEER_COUNT];
    struct bench_subject subjects[PEER_COUNT];
    struct bench_case one = {
        .subjects = subjects, .subject_count = PEER_COUNT, .columns = columns, .is_compared = true};

    for (size_t i = 0; i < PEER_COUNT; i++) {
        const struct bench_peer *peer = bench_peers[i];

        runs[i] = (struct put_run){peer, bench_load(threads, value_len), must_sync};
        runs[i].load.seconds = options->seconds;
        runs[i].load.steps_per_look = must_sync ? 1 : 7;
        subjects[i] = (struct bench_subject){peer->name, must_sync ? peer->always : peer->os,
                                             run_put, &runs[i], kind_of(peer)};
    }
    (void)snprintf(one.name, sizeof one.name, "peers %zu B, %s, %u thread%s", value_len,
                   must_sync ? "always" : "os", threads, threads == 1 ? "" : "s");
    bench_run_case(options, &one);
}

/* ---- opening and scanning ---- */

struct scan_run {
    const struct bench_peer *peer;
    uint64_t records;
};

/* Another process fills the store and dies. */
static void load_and_die(const struct scan_run *run, const char *folder)
{
    static struct bench_pair pairs[BATCH];
    static const uint8_t value[100] = "value";
    pid_t child = bench_fork();
    int status;

    if (child == 0) {
        void *store = run->peer->open(folder, false);

        for (uint64_t i = 0; i < run->records; i++) {
            pairs[i % BATCH].value = value;
            pairs[i % BATCH].value_len = sizeof value;
            make_key(i, &pairs[i % BATCH]);
            if (i % BATCH == BATCH - 1)
                run->peer->put(store, pairs, BATCH);
        }
        (void)raise(SIGKILL);
    }
    status = bench_wait(child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        bench_give_up("%s: the process that fills it did not die as it should", run->peer->name);
}

static void run_scan(const void *about, struct bench_result *ret_result)
{
    const struct scan_run *run = about;
    struct bench_path path = new_folder();
    uint64_t begun_ns;
    void *store;

    load_and_die(run, path.text);
    begun_ns = bench_now_ns();
    store = run->peer->open(path.text, false);
    ret_result->of[BENCH_OPENING] = (double)(bench_now_ns() - begun_ns);
    begun_ns = bench_now_ns();
    count_again(run->peer, store, run->records);
    bench_give_rate(ret_result, run->records, run->records * (BENCH_PEER_KEY_LEN + 100), begun_ns);
    run->peer->close(store);
    (void)bench_remove(path.text, true);
}

static void run_scan_case(const struct bench_options *options)
{
    static const enum bench_metric columns[] = {BENCH_RATE, BENCH_COST, BENCH_OPENING,
                                                BENCH_METRIC_COUNT};
    struct scan_run runs[PEER_COUNT];
    struct bench_subject subjects[PEER_COUNT];
    struct bench_case one = {.name = "peers 100 B, open and scan",
                             .subjects = subjects,
                             .subject_count = PEER_COUNT,
                             .columns = columns,
                             .is_compared = true};

    for (size_t i = 0; i < PEER_COUNT; i++) {
        runs[i] = (struct scan_run){bench_peers[i], options->is_quick ? QUICK_LOADED : LOADED};
        subjects[i] = (struct bench_subject){bench_peers[i]->name, bench_peers[i]->os, run_scan,
                                             &runs[i], kind_of(bench_peers[i])};
    }
    bench_run_case(options, &one);
}

/* ---- the cases ---- */

/* What stands above the tables: how each is set up, and what else it does. */
static const char *describe(void)
{
    static char text[4000];
    size_t at;

    at = (size_t)snprintf(
        text, sizeof text,
        "os: a call survives the death of the process. always: a call is durable "
        "when it returns. After each run the store is opened again and its "
        "records are counted. open and scan: 1 M records (--quick: 100 k), "
        "opened after the process that wrote them was killed. Latencies are of each "
        "call, under os of one in 7.");
    for (size_t i = 0; i < PEER_COUNT; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "\n- %s. os: %s. always: %s. %s.",
                               bench_peers[i]->name, bench_peers[i]->os, bench_peers[i]->always,
                               bench_peers[i]->beside);
    return text;
}

void bench_peer_cases(const struct bench_options *options)
{
    static const size_t value_lens[] = {100, 1024};

    bench_section("Beside other stores", describe());
    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= 4; threads *= 4)
            run_put_case(options, false, threads, value_lens[i]);
    for (size_t i = 0; i < 2; i++)
        for (unsigned threads = 1; threads <= 64; threads *= threads == 1 ? 16 : 4)
            run_put_case(options, true, threads, value_lens[i]);
    run_scan_case(options);
}
