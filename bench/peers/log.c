/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* log.c: the log itself, as the peers are. */
#include "bench.h"
#include "peers/peers.h"

#include <stdio.h>
#include <stdlib.h>

#define PAIRS_MAX 1000

struct store {
    nori_wal *wal;
    char folder[512];
};

static void *open_store(const char *folder, bool must_sync)
{
    struct store *store = bench_alloc(sizeof *store);
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;

    (void)snprintf(store->folder, sizeof store->folder, "%s", folder);
    config.dir = folder;
    config.fsync_policy = must_sync ? NORI_FSYNC_ALWAYS : NORI_FSYNC_OS;
    bench_must(nori_wal_open(&config, &store->wal, NULL, &error), "open the log", &error);
    return store;
}

static void put(void *handle, const struct bench_pair *pairs, size_t count)
{
    const struct store *store = handle;
    struct nori_record records[PAIRS_MAX];

    if (count > PAIRS_MAX)
        bench_give_up("a batch is too large");
    for (size_t i = 0; i < count; i++)
        records[i] =
            nori_record_put(pairs[i].key, sizeof pairs[i].key, pairs[i].value, pairs[i].value_len);
    if (count == 1)
        bench_must(nori_wal_append(store->wal, records, NULL), "append", NULL);
    else
        bench_must(nori_wal_append_batch(store->wal, records, count, NULL), "append", NULL);
}

static uint64_t scan(void *handle)
{
    const struct store *store = handle;
    struct nori_position oldest = {0, 0};
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t count = 0;
    int rc;

    bench_must(nori_wal_read_from(store->wal, oldest, &reader), "open a reader", NULL);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK)
        count++;
    bench_must(rc, "read", NULL);
    nori_reader_close(reader);
    return count;
}

static void close_store(void *handle)
{
    struct store *store = handle;

    bench_must(nori_wal_close(store->wal), "close", NULL);
    free(store);
}

const struct bench_peer bench_peer_log = {
    .name = "nori-wal",
    .os = "NORI_FSYNC_OS",
    .always = "NORI_FSYNC_ALWAYS",
    .beside = "A log and nothing else",
    .open = open_store,
    .put = put,
    .scan = scan,
    .close = close_store,
};
