/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* known.c: disks that were recovered and looked at before. */
#include "known.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN_BITS 22

struct known {
    uint64_t digest; /* 0: free */
    uint32_t contents, places;
    uint8_t how;
    uint8_t front, end; /* at most KNOWN_RECORDS_MAX */
    uint8_t durable_front, durable_end;
};

static struct known *table;

static struct known *place_of(uint64_t digest)
{
    if (!table)
        table = calloc((size_t)1 << KNOWN_BITS, sizeof *table);
    if (!table)
        abort();
    return &table[digest >> (64 - KNOWN_BITS)];
}

static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u + b;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t add_place(uint32_t places, struct nori_position position)
{
    return (uint32_t)mixed(places, mixed(position.segment_id, position.offset));
}

/* The policy is not part of it: until the first append, threads and syncs do not go by it. */
void expected_note(struct expected *expected, const struct workload *workload,
                   const struct oracle *oracle)
{
    uint64_t digest = mixed(workload->format, mixed(workload->verify, workload->seed % 2));

    digest = mixed(digest, workload->preallocate);
    if (oracle->begun > KNOWN_RECORDS_MAX)
        abort();
    expected->begun = oracle->begun;
    expected->returned = oracle->returned;
    expected->contents[0] = (uint32_t)digest;
    expected->places[0] = 0;
    for (size_t i = 0; i < oracle->begun; i++) {
        const struct oracle_record *record = &oracle->records[i];

        digest = mixed(digest, mixed(record->identity, record->value_len));
        digest = mixed(digest, record->batch_left * 2 + record->is_batch_begin);
        expected->contents[i + 1] = (uint32_t)digest;
        if (i < oracle->returned)
            expected->places[i + 1] = add_place(expected->places[i], record->position);
    }
}

bool known_find(const struct expected *expected, uint64_t digest, enum known_how how,
                struct oracle_found *ret_found, struct oracle_found *ret_durable)
{
    const struct known *known = place_of(digest);

    if (digest == 0 || known->digest != digest || known->how < how ||
        known->end > expected->begun || known->contents != expected->contents[known->end])
        return false;
    /* One in doubt may lie anywhere; no later one has a place. */
    if (known->end <= expected->returned && known->places != expected->places[known->end])
        return false;
    memset(ret_found, 0, sizeof *ret_found);
    ret_found->front = known->front;
    ret_found->end = known->end;
    if (ret_durable) {
        memset(ret_durable, 0, sizeof *ret_durable);
        ret_durable->front = known->durable_front;
        ret_durable->end = known->durable_end;
    }
    return true;
}

void known_add(const struct expected *expected, uint64_t digest, enum known_how how,
               const struct oracle_found *found, const struct oracle_found *durable)
{
    size_t returned = found->end < expected->returned ? found->end : expected->returned;
    uint32_t places = expected->places[returned];

    for (size_t i = returned; i < found->end; i++)
        places = add_place(places, found->in_doubt[i - returned]);
    *place_of(digest) = (struct known){.digest = digest,
                                       .how = (uint8_t)how,
                                       .contents = expected->contents[found->end],
                                       .places = places,
                                       .front = (uint8_t)found->front,
                                       .end = (uint8_t)found->end,
                                       .durable_front = (uint8_t)(durable ? durable->front : 0),
                                       .durable_end = (uint8_t)(durable ? durable->end : 0)};
}

uint64_t known_kill_digest(nori_sim *sim)
{
    uint64_t durable = 0;
    uint64_t synced = 0;

    (void)nori_sim_power_cut_digest(sim, 0, &durable);
    (void)nori_sim_power_cut_digest(sim, nori_sim_outcome_count(sim) - 1, &synced);
    return mixed(nori_sim_digest(sim), mixed(durable, synced));
}
