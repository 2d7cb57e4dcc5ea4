/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sqlite.c: a table of SQLite that is only appended to, in WAL mode.
 *
 * SQLite has one writer at a time, and connections that wait for each other sleep. So all threads
 * share one connection and a mutex, which is the faster way.
 */
#include "bench.h"
#include "peers/peers.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct store {
    sqlite3 *db;
    pthread_mutex_t mutex;
    sqlite3_stmt *insert; /* guarded by mutex */
};

static void must(const struct store *store, bool is_good, const char *what)
{
    if (!is_good)
        bench_give_up("SQLite: %s: %s", what, sqlite3_errmsg(store->db));
}

static void execute(const struct store *store, const char *statement)
{
    must(store, sqlite3_exec(store->db, statement, NULL, NULL, NULL) == SQLITE_OK, statement);
}

static sqlite3_stmt *prepare(const struct store *store, const char *text)
{
    sqlite3_stmt *statement = NULL;

    must(store, sqlite3_prepare_v2(store->db, text, -1, &statement, NULL) == SQLITE_OK, text);
    return statement;
}

static void *open_store(const char *folder, bool must_sync)
{
    struct store *store = bench_alloc(sizeof *store);
    char path[600];

    (void)snprintf(path, sizeof path, "%s/log.db", folder);
    (void)pthread_mutex_init(&store->mutex, NULL);
    must(store, sqlite3_open(path, &store->db) == SQLITE_OK, "open");
    execute(store, "PRAGMA journal_mode = WAL");
    execute(store, must_sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
    execute(store, "CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, key BLOB, value BLOB)");
    execute(store, "SELECT id FROM log LIMIT 1"); /* recovers */
    store->insert = prepare(store, "INSERT INTO log(key, value) VALUES(?, ?)");
    return store;
}

static void put(void *handle, const struct bench_pair *pairs, size_t count)
{
    struct store *store = handle;

    (void)pthread_mutex_lock(&store->mutex);
    if (count > 1)
        execute(store, "BEGIN");
    for (size_t i = 0; i < count; i++) {
        (void)sqlite3_bind_blob(store->insert, 1, pairs[i].key, sizeof pairs[i].key, SQLITE_STATIC);
        (void)sqlite3_bind_blob(store->insert, 2, pairs[i].value, (int)pairs[i].value_len,
                                SQLITE_STATIC);
        must(store, sqlite3_step(store->insert) == SQLITE_DONE, "insert");
        (void)sqlite3_reset(store->insert);
    }
    if (count > 1)
        execute(store, "COMMIT");
    (void)pthread_mutex_unlock(&store->mutex);
}

static uint64_t scan(void *handle)
{
    const struct store *store = handle;
    sqlite3_stmt *select = prepare(store, "SELECT key, value FROM log ORDER BY id");
    uint64_t count = 0;
    int rc;

    while ((rc = sqlite3_step(select)) == SQLITE_ROW)
        count += sqlite3_column_blob(select, 1) != NULL;
    must(store, rc == SQLITE_DONE, "select");
    (void)sqlite3_finalize(select);
    return count;
}

static void close_store(void *handle)
{
    struct store *store = handle;

    (void)sqlite3_finalize(store->insert);
    must(store, sqlite3_close(store->db) == SQLITE_OK, "close");
    (void)pthread_mutex_destroy(&store->mutex);
    free(store);
}

const struct bench_peer bench_peer_sqlite = {
    .name = "SQLite",
    .os = "WAL mode, synchronous = OFF",
    .always = "WAL mode, synchronous = FULL, a transaction each",
    .beside = "A B-tree: a transaction writes whole pages to its log, and every 1000 pages they "
              "are copied into the table; one writer at a time, no group commit",
    .open = open_store,
    .put = put,
    .scan = scan,
    .close = close_store,
};
