/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* peers.h: other stores, behind one interface, so that they meet the same cases as the log. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options;

#define BENCH_PEER_KEY_LEN 16

struct bench_pair {
    uint8_t key[BENCH_PEER_KEY_LEN];
    const void *value;
    size_t value_len;
};

struct bench_peer {
    const char *name;
    const char *os;     /* how it is set up where only the death of the process counts */
    const char *always; /* ... where each call must be durable */
    const char *beside; /* what it does beside logging */
    void *(*open)(const char *folder, bool must_sync);
    /* As one if there are several. Any thread. */
    void (*put)(void *store, const struct bench_pair *pairs, size_t count);
    uint64_t (*scan)(void *store); /* read every record; how many there are */
    void (*close)(void *store);
};

/* all.c or, without -Dpeers=enabled, none.c. The log itself is the first. */
extern const struct bench_peer *const bench_peers[];
extern const size_t bench_peer_count;

extern const struct bench_peer bench_peer_log;
extern const struct bench_peer bench_peer_rocksdb;
extern const struct bench_peer bench_peer_leveldb;
extern const struct bench_peer bench_peer_sqlite;
extern const struct bench_peer bench_peer_lmdb;

void bench_peer_cases(const struct bench_options *options);

#endif
