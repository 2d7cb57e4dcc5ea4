/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oracle.c: what a program was promised about its log, and whether a log keeps it. */
#include "oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_LEN 12
#define NOISE_SHIFT \
    ((size_t)24) /* bytes; two values that begin at different places differ everywhere */
#define NOISE_SHIFTS ((size_t)997)
#define NOISE_LEN    (ORACLE_VALUE_MAX + NOISE_SHIFTS * NOISE_SHIFT)
#define NOISE_SEED   0x9e3779b97f4a7c15u

bool oracle_complain(char why[ORACLE_WHY_LEN], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, ORACLE_WHY_LEN, format, arguments);
    va_end(arguments);
    return false;
}

void oracle_init(struct oracle *oracle)
{
    memset(oracle, 0, sizeof *oracle);
}

void oracle_done(struct oracle *oracle)
{
    free(oracle->records);
    oracle_init(oracle);
}

static void reserve(struct oracle *oracle, size_t count)
{
    size_t capacity = oracle->capacity ? oracle->capacity : 32;

    while (capacity < count)
        capacity *= 2;
    if (capacity == oracle->capacity)
        return;
    oracle->records = realloc(oracle->records, capacity * sizeof *oracle->records);
    if (!oracle->records)
        abort();
    oracle->capacity = capacity;
}

void oracle_copy(struct oracle *target, const struct oracle *source)
{
    struct oracle copy = *source;

    reserve(target, source->begun);
    copy.records = target->records;
    copy.capacity = target->capacity;
    if (source->begun > 0)
        memcpy(copy.records, source->records, source->begun * sizeof *copy.records);
    *target = copy;
}

bool oracle_is_in_doubt(const struct oracle *oracle)
{
    return oracle->begun > oracle->returned;
}

/* ---- what is appended ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Some values are all zeros: they look like space that was never written. */
static bool is_zero_value(uint64_t identity)
{
    return identity % 5 == 3;
}

static bool is_tombstone(uint64_t identity)
{
    return identity % 7 == 6;
}

static void fill_key(uint64_t identity, uint8_t key[KEY_LEN])
{
    uint64_t number = mix(identity + 1);

    memcpy(key, "key-", 4);
    memcpy(key + 4, &number, sizeof number);
}

/* All values are pieces of one page of noise, or of zeros: comparing them must be cheap. */
static const uint8_t *value_of(uint64_t identity)
{
    static uint8_t noise[NOISE_LEN];
    static const uint8_t zeros[ORACLE_VALUE_MAX];

    for (size_t at = 0; noise[0] == 0 && at < sizeof noise; at += sizeof(uint64_t)) {
        uint64_t word = mix(at + NOISE_SEED) | 1;

        memcpy(noise + sizeof noise - sizeof word - at, &word, sizeof word);
    }
    return is_zero_value(identity) ? zeros : noise + mix(identity) % NOISE_SHIFTS * NOISE_SHIFT;
}

/* mix, backwards. */
static uint64_t unmix(uint64_t x)
{
    x = (x ^ x >> 31 ^ x >> 62) * 0x319642b2d24d8ec3u;
    x = (x ^ x >> 27 ^ x >> 54) * 0x96de1b173f119089u;
    return x ^ x >> 30 ^ x >> 60;
}

bool oracle_is_noise(const void *eight)
{
    uint64_t word, at, other;

    memcpy(&word, eight, sizeof word);
    if (!(word & 1))
        return false;
    at = unmix(word) - NOISE_SEED;
    other = unmix(word ^ 1) - NOISE_SEED;
    return (at < NOISE_LEN && at % sizeof word == 0) ||
           (other < NOISE_LEN && other % sizeof word == 0);
}

void oracle_append_begin(struct oracle *oracle, size_t count, size_t value_len)
{
    size_t first = oracle->begun;

    if (count == 0 || count > ORACLE_BATCH_MAX || value_len > ORACLE_VALUE_MAX ||
        oracle->begun != oracle->returned)
        abort();
    reserve(oracle, first + count);
    for (size_t i = 0; i < count; i++)
        oracle->records[first + i] = (struct oracle_record){.identity = oracle->next_identity++,
                                                            .value_len = value_len,
                                                            .batch_left = (uint32_t)(count - 1 - i),
                                                            .is_batch_begin = i == 0};
    for (size_t i = 0; i < count && oracle->is_format1; i++) { /* each stands for itself */
        oracle->records[first + i].batch_left = 0;
        oracle->records[first + i].is_batch_begin = true;
    }
    oracle->begun += count;
}

size_t oracle_fill_len(size_t count, size_t value_len)
{
    return count * (KEY_LEN + value_len);
}

size_t oracle_fill(const struct oracle *oracle, struct nori_record *records, uint8_t *memory)
{
    size_t count = oracle->begun - oracle->returned;

    for (size_t i = 0; i < count; i++) {
        const struct oracle_record *record = &oracle->records[oracle->returned + i];
        uint8_t *key = memory;

        fill_key(record->identity, key);
        memcpy(memory + KEY_LEN, value_of(record->identity), record->value_len);
        records[i] = nori_record_put(key, KEY_LEN, memory + KEY_LEN, record->value_len);
        if (is_tombstone(record->identity))
            records[i].flags |= NORI_RECORD_TOMBSTONE;
        memory += KEY_LEN + record->value_len;
    }
    return count;
}

static bool is_refusal(int rc)
{
    return rc == NORI_E_INVALID || rc == NORI_E_TOOBIG || rc == NORI_E_NOSPACE ||
           rc == NORI_E_UNSUPPORTED || rc == NORI_E_NOMEM;
}

void oracle_append_end(struct oracle *oracle, int rc, const struct nori_position *positions)
{
    if (rc == NORI_OK) {
        for (size_t i = oracle->returned; i < oracle->begun; i++)
            oracle->records[i].position = positions[i - oracle->returned];
        oracle->returned = oracle->begun;
    } else if (is_refusal(rc)) {
        oracle->begun = oracle->returned;
    } /* else they are in doubt */
}

void oracle_all_durable(struct oracle *oracle)
{
    oracle->durable = oracle->returned;
}

static bool is_before(struct nori_position a, struct nori_position b)
{
    return a.segment_id < b.segment_id || (a.segment_id == b.segment_id && a.offset < b.offset);
}

void oracle_durable_before(struct oracle *oracle, struct nori_position position)
{
    while (oracle->durable < oracle->returned &&
           is_before(oracle->records[oracle->durable].position, position))
        oracle->durable++;
}

/* Does a segment begin with the record at index i? */
static bool begins_segment(const struct oracle *oracle, size_t i)
{
    return i == 0 || i == oracle->returned ||
           oracle->records[i - 1].position.segment_id != oracle->records[i].position.segment_id;
}

void oracle_drop_begin(struct oracle *oracle, struct nori_position position, bool is_end)
{
    oracle->asked = oracle->dropped;
    for (size_t i = oracle->dropped + 1; i <= oracle->returned; i++) {
        if (!is_before(oracle->records[i - 1].position, position))
            break;
        if (begins_segment(oracle, i) && (is_end || i < oracle->returned))
            oracle->asked = i;
    }
    if (oracle->dropping < oracle->asked)
        oracle->dropping = oracle->asked;
}

void oracle_drop_end(struct oracle *oracle, int rc)
{
    if (rc == NORI_OK)
        oracle->dropped = oracle->asked;
}

/* ---- what is found ---- */

/* In format 1 sequence numbers count from the oldest record: which one is it? */
static size_t find_oldest(const struct oracle *oracle, const struct nori_record *record)
{
    uint8_t key[KEY_LEN];

    for (size_t i = 0; i < oracle->begun && oracle->is_format1; i++) {
        fill_key(oracle->records[i].identity, key);
        if (record->key_len == KEY_LEN && memcmp(record->key, key, KEY_LEN) == 0)
            return i;
    }
    return 0;
}

static bool check_record(const struct oracle *oracle, const struct nori_record *record,
                         unsigned long long n, struct nori_position position,
                         char why[ORACLE_WHY_LEN])
{
    const struct oracle_record *expected = &oracle->records[n - 1];
    uint32_t flags = is_tombstone(expected->identity) ? NORI_RECORD_TOMBSTONE : 0;
    uint8_t key[KEY_LEN];

    if (expected->batch_left > 0)
        flags |= NORI_RECORD_BATCH_CONTINUES;
    fill_key(expected->identity, key);
    if (record->key_len != KEY_LEN || memcmp(record->key, key, KEY_LEN) != 0)
        return oracle_complain(why, "record %llu is not the one that was appended: another key", n);
    if (record->value_len != expected->value_len ||
        memcmp(record->value, value_of(expected->identity), record->value_len) != 0)
        return oracle_complain(why, "record %llu has another value", n);
    if (record->flags != flags)
        return oracle_complain(why, "record %llu has flags %x, not %x", n, record->flags, flags);
    if (n <= oracle->returned && (position.segment_id != expected->position.segment_id ||
                                  position.offset != expected->position.offset))
        return oracle_complain(why, "record %llu was appended at %llu:%llu and lies at %llu:%llu",
                               n, (unsigned long long)expected->position.segment_id,
                               (unsigned long long)expected->position.offset,
                               (unsigned long long)position.segment_id,
                               (unsigned long long)position.offset);
    return true;
}

bool oracle_read(const struct oracle *oracle, nori_reader *reader, struct oracle_found *ret_found,
                 char why[ORACLE_WHY_LEN])
{
    struct oracle_found found = {0};
    size_t uncounted = 0; /* records before the one with number 1 */

    for (bool is_first = true;; is_first = false) {
        struct nori_record record;
        struct nori_position position;
        unsigned long long n;
        int rc = nori_reader_next(reader, &record, &position);

        if (rc == NORI_END)
            break;
        if (rc < 0) {
            struct nori_error error = NORI_ERROR_INIT;

            (void)nori_reader_last_error(reader, &error);
            return oracle_complain(why, "reading gives %s: %.100s", nori_error_name(rc),
                                   error.message);
        }
        if (is_first)
            uncounted = find_oldest(oracle, &record);
        n = record.sequence + uncounted;
        if (record.sequence == 0 || n > oracle->begun)
            return oracle_complain(why, "record %llu was never appended, only %zu were", n,
                                   oracle->begun);
        if (is_first)
            found.front = found.end = (size_t)n - 1;
        if (n != found.end + 1)
            return oracle_complain(why, "record %llu follows record %zu", n, found.end);
        if (!check_record(oracle, &record, n, position, why))
            return false;
        if (found.end >= oracle->returned)
            found.in_doubt[found.end - oracle->returned] = position;
        found.end++;
        found.last = position;
    }
    if (found.end > found.front && !oracle->records[found.front].is_batch_begin)
        return oracle_complain(why, "the first record, %zu, lies inside a batch", found.front + 1);
    if (found.end > found.front && oracle->records[found.end - 1].batch_left > 0)
        return oracle_complain(why, "the last record, %zu, lies inside a batch", found.end);
    *ret_found = found;
    return true;
}

bool oracle_expect(const struct oracle *oracle, const struct oracle_found *found,
                   enum oracle_event event, char why[ORACLE_WHY_LEN])
{
    size_t least = event == ORACLE_PROCESS_CRASH ? oracle->returned : oracle->durable;

    if (found->front == found->end) {
        if (least > oracle->dropping)
            return oracle_complain(why, "the log is empty, records %zu to %zu are missing",
                                   oracle->dropping + 1, least);
        return true;
    }
    if (found->end < least)
        return oracle_complain(why, "the log ends with record %zu, %zu were promised", found->end,
                               least);
    if (found->front < oracle->dropped)
        return oracle_complain(why, "the log begins with record %zu, %zu were dropped",
                               found->front + 1, oracle->dropped);
    if (found->front > oracle->dropping)
        return oracle_complain(why, "the log begins with record %zu, only %zu were to be dropped",
                               found->front + 1, oracle->dropping);
    if (!begins_segment(oracle, found->front))
        return oracle_complain(why, "the log begins with record %zu, inside a segment",
                               found->front + 1);
    return true;
}

void oracle_settle(struct oracle *oracle, const struct oracle_found *found, size_t records_before)
{
    bool is_empty = found->front == found->end;

    if (records_before > oracle->begun)
        abort();
    for (size_t i = oracle->returned; !is_empty && i < found->end; i++)
        oracle->records[i].position = found->in_doubt[i - oracle->returned];
    oracle->begun = is_empty ? records_before : found->end;
    oracle->returned = oracle->begun;
    oracle->durable = oracle->begun;
    oracle->dropped = is_empty ? oracle->begun : found->front;
    oracle->dropping = oracle->dropped;
}
