/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rocksdb.c: a RocksDB whose memtable is so large that what is measured is its log. */
#include "bench.h"
#include "peers/peers.h"

#include <rocksdb/c.h>
#include <stdlib.h>

#define MEMTABLE_BYTES ((size_t)1 << 30)

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write_options;
};

static void must(const char *failure, const char *what)
{
    if (failure)
        bench_give_up("RocksDB: %s: %s", what, failure);
}

static void *open_store(const char *folder, bool must_sync)
{
    struct store *store = bench_alloc(sizeof *store);
    char *failure = NULL;

    store->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_write_buffer_size(store->options, MEMTABLE_BYTES);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_set_disable_auto_compactions(store->options, 1);
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write_options, must_sync);
    store->db = rocksdb_open(store->options, folder, &failure);
    must(failure, "open");
    return store;
}

static void put(void *handle, const struct bench_pair *pairs, size_t count)
{
    const struct store *store = handle;
    rocksdb_writebatch_t *batch;
    char *failure = NULL;

    if (count == 1) {
        rocksdb_put(store->db, store->write_options, (const char *)pairs->key, sizeof pairs->key,
                    pairs->value, pairs->value_len, &failure);
        must(failure, "put");
        return;
    }
    batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch, (const char *)pairs[i].key, sizeof pairs[i].key,
                               pairs[i].value, pairs[i].value_len);
    rocksdb_write(store->db, store->write_options, batch, &failure);
    must(failure, "write");
    rocksdb_writebatch_destroy(batch);
}

static uint64_t scan(void *handle)
{
    const struct store *store = handle;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *at = rocksdb_create_iterator(store->db, options);
    char *failure = NULL;
    uint64_t count = 0;

    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        size_t len;

        count += rocksdb_iter_value(at, &len) != NULL;
    }
    rocksdb_iter_get_error(at, &failure);
    must(failure, "read");
    rocksdb_iter_destroy(at);
    rocksdb_readoptions_destroy(options);
    return count;
}

static void close_store(void *handle)
{
    struct store *store = handle;

    rocksdb_close(store->db);
    rocksdb_writeoptions_destroy(store->write_options);
    rocksdb_options_destroy(store->options);
    free(store);
}

const struct bench_peer bench_peer_rocksdb = {
    .name = "RocksDB",
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
