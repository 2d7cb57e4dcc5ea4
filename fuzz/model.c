/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* model.c: a log as its documentation describes it. */
#include "model.h"

#include <string.h>

#define VALUE_MAX ((size_t)1 << 20)

struct nori_record model_fill(uint32_t seed, uint32_t value_len, uint8_t *key, uint8_t *memory)
{
    struct nori_record record = nori_record_put(key, 4, memory, value_len);

    for (size_t i = 0; i < 4; i++)
        key[i] = (uint8_t)(seed >> 8 * i);
    memset(memory, (int)(seed % 5), value_len); /* some like space that was never written */
    for (size_t i = 0; i < value_len && seed % 5; i += 97)
        memory[i] = (uint8_t)(seed + i);
    if (seed % 7 == 3)
        record.flags |= NORI_RECORD_TOMBSTONE;
    if (seed % 4 == 1) {
        record.flags |= NORI_RECORD_VERSION | NORI_RECORD_TTL | NORI_RECORD_TIME;
        record.version_term = seed;
        record.version_index = UINT64_MAX - seed;
        record.ttl_ms = record.time_ms = (uint64_t)seed << 20;
    }
    return record;
}

void model_drop(struct model *model, struct nori_position position, bool is_end)
{
    for (size_t i = model->first; i < model->count; i++) {
        uint64_t segment = model->records[i].position.segment_id;
        bool is_last = i + 1 == model->count;

        if (segment >= position.segment_id && !is_end)
            return;
        if (is_last ? is_end : model->records[i + 1].position.segment_id != segment)
            model->first = i + 1;
    }
}

void model_check(const struct model *model, size_t index, const struct nori_record *record,
                 struct nori_position position)
{
    static uint8_t value[VALUE_MAX];
    const struct model_record *known = &model->records[index];
    uint8_t key[4];
    struct nori_record expected;

    fuzz_check(index < model->count, "record %zu was never appended", index + 1);
    fuzz_check(record->sequence == index + 1, "record %zu has number %llu", index + 1,
               (unsigned long long)record->sequence);
    fuzz_check(position.segment_id == known->position.segment_id &&
                   position.offset == known->position.offset,
               "record %zu lies at another place than append said", index + 1);
    expected = model_fill(known->seed, known->value_len, key, value);
    expected.flags |= known->ends_batch ? 0 : NORI_RECORD_BATCH_CONTINUES;
    fuzz_check(record->key_len == 4 && memcmp(record->key, key, 4) == 0 &&
                   record->value_len == expected.value_len &&
                   memcmp(record->value, value, record->value_len) == 0,
               "record %zu has other bytes", index + 1);
    fuzz_check(record->flags == expected.flags && record->version_term == expected.version_term &&
                   record->version_index == expected.version_index &&
                   record->ttl_ms == expected.ttl_ms && record->time_ms == expected.time_ms,
               "record %zu has other fields", index + 1);
}

void model_crash(struct model *model, size_t count, bool is_power_cut)
{
    size_t least = is_power_cut ? model->durable : model->count;

    fuzz_check(count >= least, "%zu records are there, %zu were promised", count, least);
    fuzz_check(count <= model->count, "%zu records are there, %zu were appended", count,
               model->count);
    fuzz_check(count == 0 || model->records[count - 1].ends_batch, "a batch is torn (D4)");
    model->count = model->durable = count;
    model->first = model->first < count ? model->first : count;
}
