/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * model.h: a log as its documentation describes it: an array of records, how many of them are
 * durable, and which were dropped.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "fuzz.h"

#include <nori/wal.h>

#define MODEL_RECORDS_MAX 256

struct model_record {
    struct nori_position position;
    uint32_t seed; /* all of its bytes follow from it and value_len */
    uint32_t value_len;
    bool ends_batch;
};

/* The record with sequence number n is records[n - 1]. */
struct model {
    struct model_record records[MODEL_RECORDS_MAX];
    size_t count;
    size_t durable;
    size_t first; /* those before it were dropped */
};

/* The record that a seed stands for. memory: room for value_len bytes; key: for 4. */
struct nori_record model_fill(uint32_t seed, uint32_t value_len, uint8_t *key, uint8_t *memory);

/* A segment that ends before `position` is gone; is_end: so is the last one. */
void model_drop(struct model *model, struct nori_position position, bool is_end);

/* A record of the model, by its number from 0, is what was read. */
void model_check(const struct model *model, size_t index, const struct nori_record *record,
                 struct nori_position position);

/* After a crash records from `count` on are not there. Nothing that was promised may be missing,
 * and no batch be torn. What is there is durable now (D5). */
void model_crash(struct model *model, size_t count, bool is_power_cut);

#endif
