/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lmdb.c: an LMDB to which records are put in the order of their keys. */
#include "bench.h"
#include "peers/peers.h"

#include <lmdb.h>
#include <stdlib.h>

#define MAP_BYTES ((size_t)16 << 30) /* of address space */

struct store {
    MDB_env *environment;
    MDB_dbi table;
};

static void must(int rc, const char *what)
{
    if (rc != 0)
        bench_give_up("LMDB: %s: %s", what, mdb_strerror(rc));
}

static MDB_txn *begin(const struct store *store, unsigned flags)
{
    MDB_txn *transaction = NULL;

    must(mdb_txn_begin(store->environment, NULL, flags, &transaction), "begin");
    return transaction;
}

static void *open_store(const char *folder, bool must_sync)
{
    struct store *store = bench_alloc(sizeof *store);
    MDB_txn *transaction;

    must(mdb_env_create(&store->environment), "create");
    must(mdb_env_set_mapsize(store->environment, MAP_BYTES), "set the map's size");
    must(mdb_env_open(store->environment, folder, must_sync ? 0 : MDB_NOSYNC, 0600), "open");
    transaction = begin(store, 0);
    must(mdb_dbi_open(transaction, NULL, 0, &store->table), "open the table");
    must(mdb_txn_commit(transaction), "commit");
    return store;
}

/* LMDB does not change what it stores, but its interface does not say so. */
static MDB_val value_of(const void *data, size_t len)
{
    union {
        const void *given;
        void *wanted;
    } pointer = {.given = data};

    return (MDB_val){len, pointer.wanted};
}

static void put(void *handle, const struct bench_pair *pairs, size_t count)
{
    const struct store *store = handle;
    MDB_txn *transaction = begin(store, 0);

    for (size_t i = 0; i < count; i++) {
        MDB_val key = value_of(pairs[i].key, sizeof pairs[i].key);
        MDB_val value = value_of(pairs[i].value, pairs[i].value_len);

        must(mdb_put(transaction, store->table, &key, &value, 0), "put");
    }
    must(mdb_txn_commit(transaction), "commit");
}

static uint64_t scan(void *handle)
{
    const struct store *store = handle;
    MDB_txn *transaction = begin(store, MDB_RDONLY);
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    uint64_t count = 0;
    int rc;

    must(mdb_cursor_open(transaction, store->table, &cursor), "open a cursor");
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        count++;
    if (rc != MDB_NOTFOUND)
        must(rc, "read");
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
    return count;
}

static void close_store(void *handle)
{
    struct store *store = handle;

    mdb_env_close(store->environment);
    free(store);
}

const struct bench_peer bench_peer_lmdb = {
    .name = "LMDB",
    .os = "MDB_NOSYNC, a transaction each",
    .always = "a transaction each, synced",
    .beside = "A B-tree without a log: a transaction writes every page from the record up to the "
              "root; one writer at a time, no group commit, no checksums, nothing to recover",
    .open = open_store,
    .put = put,
    .scan = scan,
    .close = close_store,
};
