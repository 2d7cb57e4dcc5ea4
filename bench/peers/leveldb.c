/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* leveldb.c: a LevelDB whose memtable is so large that what is measured is its log. */
#include "bench.h"
#include "peers/peers.h"

#include <leveldb/c.h>
#include <stdlib.h>

#define MEMTABLE_BYTES ((size_t)1 << 30)

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_writeoptions_t *write_options;
};

static void must(const char *failure, const char *what)
{
    if (failure)
        bench_give_up("LevelDB: %s: %s", what, failure);
}

static void *open_store(const char *folder, bool must_sync)
{
    struct store *store = bench_alloc(sizeof *store);
    char *failure = NULL;

    store->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_write_buffer_size(store->options, MEMTABLE_BYTES);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    store->write_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->write_options, must_sync);
    store->db = leveldb_open(store->options, folder, &failure);
    must(failure, "open");
    return store;
}

static void put(void *handle, const struct bench_pair *pairs, size_t count)
{
    const struct store *store = handle;
    leveldb_writebatch_t *batch;
    char *failure = NULL;

    if (count == 1) {
        leveldb_put(store->db, store->write_options, (const char *)pairs->key, sizeof pairs->key,
                    pairs->value, pairs->value_len, &failure);
        must(failure, "put");
        return;
    }
    batch = leveldb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        leveldb_writebatch_put(batch, (const char *)pairs[i].key, sizeof pairs[i].key,
                               pairs[i].value, pairs[i].value_len);
    leveldb_write(store->db, store->write_options, batch, &failure);
    must(failure, "write");
    leveldb_writebatch_destroy(batch);
}

static uint64_t scan(void *handle)
{
    const struct store *store = handle;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *at;
    char *failure = NULL;
    uint64_t count = 0;

    leveldb_readoptions_set_verify_checksums(options, 1); /* as the others that have them do */
    at = leveldb_create_iterator(store->db, options);
    for (leveldb_iter_seek_to_first(at); leveldb_iter_valid(at); leveldb_iter_next(at)) {
        size_t len;

        count += leveldb_iter_value(at, &len) != NULL;
    }
    leveldb_iter_get_error(at, &failure);
    must(failure, "read");
    leveldb_iter_destroy(at);
    leveldb_readoptions_destroy(options);
    return count;
}

static void close_store(void *handle)
{
    struct store *store = handle;

    leveldb_close(store->db);
    leveldb_writeoptions_destroy(store->write_options);
    leveldb_options_destroy(store->options);
    free(store);
}

const struct bench_peer bench_peer_leveldb = {
    .name = "LevelDB",
    .os = "sync = false, its log written by each put",
    .always = "sync = true, group commit",
    .beside =
        "It also puts each record into a sorted table in memory, here of 1 GiB, so that it is "
        "never written out meanwhile; opening replays its log into one",
    .open = open_store,
    .put = put,
    .scan = scan,
    .close = close_store,
};
