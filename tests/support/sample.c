/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sample.c: small logs whose every byte is known, and what damage may cost them. */
#include "sample.h"

#include "torture.h"

#include "../api/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_LEN    6
#define SMALL_LEN  20
#define LARGE_LEN  4100 /* so much must be durable before another mark is set */
#define HEADER_LEN 128u
#define MARK_LEN   48u
#define GAP_LEN    64 /* bytes; differences closer than that are one */
#define NEW_KEY    "appended later"

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "sample: %s\n", what);
    abort();
}

static uint64_t get_number(const uint8_t *at, size_t len)
{
    uint64_t number = 0;

    for (size_t i = len; i > 0; i--)
        number = number << 8 | at[i - 1];
    return number;
}

struct nori_wal_config sample_config(nori_sim *sim, uint32_t mode, uint32_t verify)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = SAMPLE_DIR;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = SAMPLE_RING_LEN;
    config.fsync_policy = NORI_FSYNC_OS;
    config.preallocate = NORI_PREALLOCATE_OFF;
    config.recovery_mode = mode;
    config.verify = verify;
    config.vfs = nori_sim_vfs(sim);
    return config;
}

size_t sample_load(nori_sim *sim, const char *path, uint8_t *target, size_t len)
{
    size_t got = 0;

    return nori_sim_file_read(sim, path, 0, target, len, &got) < 0 ? 0 : got;
}

/* ---- records ---- */

static void fill_key(size_t index, char key[KEY_LEN + 1])
{
    (void)snprintf(key, KEY_LEN + 1, "key-%02u", (unsigned)(index % 100));
}

/* No zeros: a byte of a record set to zero is always another. */
static void fill_value(size_t index, uint8_t *value, size_t len)
{
    uint32_t noise = (uint32_t)index * 2654435761u + 12345;

    for (size_t i = 0; i < len; i++) {
        noise = noise * 1664525u + 1013904223u;
        value[i] = (uint8_t)(noise >> 24) | 1;
    }
}

static bool is_tombstone(size_t index)
{
    return index % 7 == 5;
}

static bool is_record(const struct sample *sample, size_t index, const struct nori_record *record)
{
    static uint8_t value[LARGE_LEN];
    const struct sample_record *expected = &sample->records[index];
    bool has_more = index < expected->batch_last;
    char key[KEY_LEN + 1];

    fill_key(index, key);
    fill_value(index, value, expected->value_len);
    return record->key_len == KEY_LEN && memcmp(record->key, key, KEY_LEN) == 0 &&
           record->value_len == expected->value_len &&
           memcmp(record->value, value, expected->value_len) == 0 &&
           !!(record->flags & NORI_RECORD_TOMBSTONE) == is_tombstone(index) &&
           !!(record->flags & NORI_RECORD_BATCH_CONTINUES) == has_more;
}

static size_t add_record(struct sample *sample, size_t value_len)
{
    size_t index = sample->record_count++;

    if (index >= SAMPLE_RECORDS_MAX)
        give_up("too many records");
    sample->records[index].value_len = value_len;
    sample->records[index].batch_first = sample->records[index].batch_last = index;
    return index;
}

static void append(struct sample *sample, nori_wal *wal, size_t count, size_t value_len)
{
    static uint8_t values[3][LARGE_LEN];
    char keys[3][KEY_LEN + 1];
    struct nori_record records[3];
    struct nori_position positions[3];
    size_t first = sample->record_count;

    for (size_t i = 0; i < count; i++) {
        size_t index = add_record(sample, value_len);

        fill_key(index, keys[i]);
        fill_value(index, values[i], value_len);
        records[i] = nori_record_put(keys[i], KEY_LEN, values[i], value_len);
        records[i].flags |= is_tombstone(index) ? NORI_RECORD_TOMBSTONE : 0;
        sample->records[index].batch_first = first;
        sample->records[index].batch_last = first + count - 1;
    }
    if (nori_wal_append_batch(wal, records, count, positions) < 0)
        give_up("an append failed");
    for (size_t i = 0; i < count; i++)
        sample->records[first + i].position = positions[i];
}

int sample_append(nori_wal *wal)
{
    struct nori_record record = nori_record_put(NEW_KEY, sizeof NEW_KEY - 1, "value", 5);
    int rc = nori_wal_append(wal, &record, NULL);

    return rc < 0 ? rc : nori_wal_sync(wal);
}

/* ---- making one ---- */

static void remember(struct sample *sample)
{
    nori_sim_crash_kill(sample->sim, &sample->past[sample->past_count++]);
    nori_sim_sync_all(sample->past[sample->past_count - 1]);
}

static nori_wal *open_sample(struct sample *sample)
{
    struct nori_wal_config config = sample_config(sample->sim, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    nori_wal *wal = NULL;

    if (nori_wal_open(&config, &wal, NULL, NULL) < 0)
        give_up("it cannot be opened");
    return wal;
}

/* A letter a step: a one small record, b a batch of three, l a large record, s sync, c close and
 * begin another life. */
static nori_wal *live(struct sample *sample, const char *steps)
{
    nori_wal *wal = open_sample(sample);

    for (; *steps; steps++) {
        if (*steps == 'a')
            append(sample, wal, 1, SMALL_LEN);
        else if (*steps == 'b')
            append(sample, wal, 3, SMALL_LEN);
        else if (*steps == 'l')
            append(sample, wal, 1, LARGE_LEN);
        else if (*steps == 's' && nori_wal_sync(wal) < 0)
            give_up("a sync failed");
        if (*steps == 'c') {
            if (nori_wal_close(wal) < 0)
                give_up("a close failed");
            remember(sample);
            wal = open_sample(sample);
        }
    }
    return wal;
}

/* A segment of format 1, as the Rust crate leaves it: zeros behind its records. */
static void put_format1(struct sample *sample, uint64_t id, size_t count)
{
    struct bytes file = {0};
    char path[SAMPLE_PATH_LEN];

    for (size_t i = 0; i < count; i++) {
        uint8_t value[SMALL_LEN];
        char key[KEY_LEN + 1];
        size_t index = add_record(sample, sizeof value);
        struct raw_record record = {
            .key = key, .key_len = KEY_LEN, .value = value, .value_len = sizeof value};

        fill_key(index, key);
        fill_value(index, value, sizeof value);
        record.flags = is_tombstone(index) ? RAW_TOMBSTONE : 0;
        sample->records[index].position = (struct nori_position){id, put_record(&file, &record, 0)};
    }
    put_zeros(&file, 200);
    (void)snprintf(path, sizeof path, SAMPLE_DIR "/%06llu.wal", (unsigned long long)id);
    if (nori_sim_file_poke(sample->sim, path, 0, file.data, file.len) < 0)
        give_up("a file cannot be made");
    free_bytes(&file);
    remember(sample);
}

static void make_folder(nori_sim *sim)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder;

    if (vfs->open_folder(vfs->context, SAMPLE_DIR, NORI_FOLDER_CREATE, 0700, &folder) < 0)
        give_up("the folder cannot be made");
    folder->ops->close(folder);
}

static void note_marks(struct sample_file *file)
{
    static const uint8_t head[] = {1, 40, 0x80, 1};

    for (uint64_t at = HEADER_LEN; file->format == 2 && at + MARK_LEN <= file->end; at++) {
        if (memcmp(file->bytes + at, head, sizeof head) != 0 ||
            memcmp(file->bytes + at + 4, file->bytes + 48, 8) != 0)
            continue;
        if (file->mark_count == SAMPLE_MARKS_MAX)
            give_up("too many marks");
        file->marks[file->mark_count++] =
            (struct sample_mark){at, get_number(file->bytes + at + 28, 8)};
    }
}

static void note_file(struct sample *sample, uint64_t id)
{
    struct sample_file *file = &sample->files[sample->file_count];
    size_t len;

    (void)snprintf(file->path, sizeof file->path, SAMPLE_DIR "/%06llu.wal", (unsigned long long)id);
    len = sample_load(sample->sim, file->path, file->bytes, sizeof file->bytes);
    if (len == 0)
        return;
    sample->file_count++;
    while (len > 0 && file->bytes[len - 1] == 0)
        len--;
    file->id = id;
    file->end = len;
    file->format = file->bytes[0] == 0xff ? 2 : 1;
    if (file->format == 2) {
        file->start = get_number(file->bytes + 64, 8);
        file->durable_lsn = get_number(file->bytes + 104, 8);
        /* its header states where the one before ends, which may be a zero byte */
        if (file > sample->files && get_number(file->bytes + 72, 8) != 0)
            file[-1].end = get_number(file->bytes + 96, 8);
    }
    note_marks(file);
}

static uint64_t end_of_record(const struct sample *sample, size_t index, size_t file)
{
    const struct sample_record *record = &sample->records[index];
    uint64_t end = sample->files[file].end;

    if (index + 1 < sample->record_count &&
        sample->records[index + 1].position.segment_id == record->position.segment_id)
        end = sample->records[index + 1].position.offset;
    for (size_t i = 0; i < sample->files[file].mark_count; i++) {
        uint64_t mark = sample->files[file].marks[i].offset;

        if (mark > record->position.offset && mark < end)
            end = mark;
    }
    return end;
}

static void look_around(struct sample *sample)
{
    uint8_t control[256];

    for (uint64_t id = 0; id < 24; id++)
        note_file(sample, id);
    /* Segments of format 1 lie before the first header. */
    for (size_t i = sample->file_count; i > 0; i--)
        if (sample->files[i - 1].format == 1 && i < sample->file_count)
            sample->files[i - 1].start = sample->files[i].start - sample->files[i - 1].end;
    for (size_t i = 0; i < sample->record_count; i++) {
        struct sample_record *record = &sample->records[i];

        while (sample->files[record->file].id != record->position.segment_id)
            record->file++;
        record->end = end_of_record(sample, i, record->file);
        if (record->position.offset >= sample->files[record->file].end) {
            record->end = record->position.offset + 1;
            sample->staged_count++;
        }
    }
    if (sample_load(sample->sim, SAMPLE_DIR "/control", control, sizeof control) == sizeof control)
        sample->control_lsn = get_number(control + 128, 8);
}

/* A large record where two marks are wanted in a segment. */
static const char *steps_of(enum sample_kind kind)
{
    switch (kind) {
    case SAMPLE_KILLED:
    case SAMPLE_STAGED:
        return "aacbacaslsaaba";
    case SAMPLE_NO_CONTROL:
        return "aacbacblsaa";
    case SAMPLE_MIXED:
        return "abca";
    case SAMPLE_CLOSED:
    case SAMPLE_FORMAT1:
        break;
    }
    return "aacaalsabcbacaa";
}

/* Else it has true bytes for those that are going to be damaged. */
static void clear_ring(nori_sim *sim)
{
    static const uint8_t zeros[SAMPLE_RING_LEN];
    uint64_t bytes;

    if (nori_sim_file_bytes(sim, SAMPLE_DIR "/control", &bytes) >= 0)
        (void)nori_sim_file_poke(sim, SAMPLE_DIR "/control", SAMPLE_CONTROL_LEN - SAMPLE_RING_LEN,
                                 zeros, sizeof zeros);
}

void sample_make(struct sample *sample, enum sample_kind kind, uint64_t seed)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_wal *wal = NULL;
    nori_sim *killed = NULL;

    memset(sample, 0, sizeof *sample);
    sample->kind = kind;
    options.seed = seed;
    sample->sim = nori_sim_new(&options);
    make_folder(sample->sim);
    if (kind == SAMPLE_FORMAT1 || kind == SAMPLE_MIXED) {
        put_format1(sample, 0, 5);
        put_format1(sample, 1, 4);
    }
    if (kind == SAMPLE_FORMAT1)
        put_format1(sample, 2, 6);
    else
        wal = live(sample, steps_of(kind));
    if (kind == SAMPLE_KILLED && nori_wal_flush(wal) < 0)
        give_up("a flush failed");
    if (kind == SAMPLE_KILLED || kind == SAMPLE_STAGED)
        nori_sim_crash_kill(sample->sim, &killed);
    if (nori_wal_close(wal) < 0)
        give_up("a close failed");
    if (killed) {
        nori_sim_free(sample->sim);
        sample->sim = killed;
    }
    if (kind != SAMPLE_STAGED)
        clear_ring(sample->sim);
    if (kind == SAMPLE_NO_CONTROL)
        (void)nori_sim_file_unlink(sample->sim, SAMPLE_DIR "/control");
    nori_sim_sync_all(sample->sim);
    look_around(sample);
}

void sample_free(struct sample *sample)
{
    for (size_t i = 0; i < sample->past_count; i++)
        nori_sim_free(sample->past[i]);
    nori_sim_free(sample->sim);
}

/* ---- what was done ---- */

static void add_range(struct sample_damage *damage, size_t file, uint64_t from, uint64_t to)
{
    struct sample_range *last =
        damage->range_count > 0 ? &damage->ranges[damage->range_count - 1] : NULL;

    if (last && last->file == file &&
        (from < last->to + GAP_LEN || damage->range_count == SAMPLE_RANGES_MAX))
        last->to = to;
    else if (damage->range_count == SAMPLE_RANGES_MAX)
        give_up("too much damage");
    else
        damage->ranges[damage->range_count++] = (struct sample_range){file, from, to};
}

static void compare_file(const struct sample *sample, nori_sim *damaged, size_t i,
                         struct sample_damage *damage)
{
    static uint8_t bytes[SAMPLE_BYTES_MAX];
    const struct sample_file *file = &sample->files[i];
    uint64_t unused;
    size_t len = sample_load(damaged, file->path, bytes, (size_t)file->end);

    damage->is_gone[i] = nori_sim_file_bytes(damaged, file->path, &unused) < 0;
    for (size_t m = 0; m < file->mark_count; m++) {
        uint64_t at = file->marks[m].offset;

        damage->is_mark_gone[i][m] =
            at + MARK_LEN > len || memcmp(bytes + at, file->bytes + at, MARK_LEN) != 0;
    }
    if (len == file->end && memcmp(bytes, file->bytes, len) == 0)
        return;
    for (size_t at = 0; at < len; at++)
        if (bytes[at] != file->bytes[at])
            add_range(damage, i, at, at + 1);
    if (len < file->end)
        add_range(damage, i, len, file->end);
}

static bool is_touched(const struct sample_damage *damage, size_t file, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < damage->range_count; i++)
        if (damage->ranges[i].file == file && damage->ranges[i].from < to &&
            from < damage->ranges[i].to)
            return true;
    return false;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The highest that headers and marks tell which are left. */
static uint64_t inband_watermark(const struct sample *sample, const struct sample_damage *damage)
{
    uint64_t watermark = 0;

    for (size_t i = 0; i < sample->file_count; i++) {
        const struct sample_file *file = &sample->files[i];

        if (file->format != 2 || is_touched(damage, i, 0, HEADER_LEN))
            continue;
        watermark = max_of(watermark, file->durable_lsn);
        for (size_t m = 0; m < file->mark_count; m++)
            if (!damage->is_mark_gone[i][m])
                watermark = max_of(watermark, file->marks[m].durable_lsn);
    }
    return watermark;
}

/* What salvage may lose around a range: up to the marks on both sides that are left. */
static void allow_loss(const struct sample *sample, struct sample_damage *damage,
                       const struct sample_range *range)
{
    const struct sample_file *file = &sample->files[range->file];
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;
    bool is_last = range->file + 1 == sample->file_count;
    size_t left = 0;

    for (size_t m = 0; m < file->mark_count; m++) {
        uint64_t at = file->marks[m].offset;

        if (damage->is_mark_gone[range->file][m])
            continue;
        left++;
        if (at + MARK_LEN <= range->from)
            from = at + MARK_LEN;
        else if (at >= range->to && to == UINT64_MAX)
            to = at;
    }
    if (file->format == 1 || (range->from < HEADER_LEN && left == 0))
        is_last = true; /* nothing tells how to go on: the log ends here */
    for (size_t i = 0; i < sample->record_count; i++) {
        const struct sample_record *record = &sample->records[i];

        if ((record->file == range->file && record->position.offset < to && record->end > from) ||
            (record->file > range->file && is_last && to == UINT64_MAX))
            for (size_t b = record->batch_first; b <= record->batch_last; b++)
                damage->may_be_lost[b] = true;
    }
}

/* What only the ring has is lost with it, or where it no longer fits the end of the segment, and
 * what of it lies beyond the segment's file. */
static void look_at_ring(const struct sample *sample, nori_sim *damaged, bool has_control,
                         struct sample_damage *damage)
{
    size_t last = sample->file_count - 1;
    size_t first = sample->record_count - sample->staged_count;
    uint64_t bytes = 0;

    if (has_control && !damage->is_gone[last] && !is_touched(damage, last, 0, UINT64_MAX) &&
        nori_sim_file_bytes(damaged, sample->files[last].path, &bytes) >= 0)
        while (first < sample->record_count &&
               sample->records[sample->records[first].batch_last].end <= bytes)
            first++;
    damage->ring_kept = first;
    for (size_t i = first; i < sample->record_count; i++)
        damage->may_be_lost[i] = true;
    damage->safe = damage->safe < first ? damage->safe : first;
}

void sample_compare(const struct sample *sample, nori_sim *damaged, bool has_control,
                    struct sample_damage *ret_damage)
{
    struct sample_damage *damage = ret_damage;

    memset(damage, 0, sizeof *damage);
    for (size_t i = 0; i < sample->file_count; i++)
        compare_file(sample, damaged, i, damage);
    damage->watermark = inband_watermark(sample, damage);
    if (has_control)
        damage->watermark = max_of(damage->watermark, sample->control_lsn);
    damage->safe = sample->record_count;
    if (damage->range_count > 0) {
        const struct sample_range *first = &damage->ranges[0];

        damage->safe = 0;
        while (damage->safe < sample->record_count) {
            const struct sample_record *record = &sample->records[damage->safe];

            if (record->file > first->file ||
                (record->file == first->file && record->end > first->from))
                break;
            damage->safe++;
        }
        if (damage->safe < sample->record_count)
            damage->safe = sample->records[damage->safe].batch_first;
    }
    for (size_t i = 0; i < damage->range_count; i++)
        allow_loss(sample, damage, &damage->ranges[i]);
    look_at_ring(sample, damaged, has_control, damage);
}

bool sample_is_format1_touched(const struct sample *sample, nori_sim *damaged, size_t count)
{
    static uint8_t is[SAMPLE_BYTES_MAX];

    for (size_t i = 0; i < count; i++) {
        const struct sample_file *file = &sample->files[i];

        memset(is, 0, sizeof is);
        (void)sample_load(damaged, file->path, is, sizeof is);
        if (file->format == 1 && memcmp(is, file->bytes, sizeof is) != 0)
            return true;
    }
    return false;
}

void sample_allow_giving_up(const struct sample *sample, struct sample_damage *damage)
{
    size_t first = sample->file_count; /* of those whose header is damaged */

    for (size_t i = damage->range_count; i > 0; i--)
        if (damage->ranges[i - 1].from < HEADER_LEN)
            first = damage->ranges[i - 1].file;
    for (size_t i = 0; i < sample->record_count; i++)
        damage->may_be_lost[i] |= sample->records[i].file >= first;
}

/* ---- what is shown ---- */

static size_t number_in(const uint8_t key[KEY_LEN])
{
    return (size_t)(key[KEY_LEN - 2] - '0') * 10 + (size_t)(key[KEY_LEN - 1] - '0');
}

static bool take_record(const struct sample *sample, const struct nori_record *record,
                        struct nori_position position, struct sample_found *found, size_t *next,
                        char why[ORACLE_WHY_LEN])
{
    const struct sample_record *expected;
    size_t index = (size_t)record->sequence - 1;

    if (record->key_len == sizeof NEW_KEY - 1 &&
        memcmp(record->key, NEW_KEY, record->key_len) == 0) {
        found->appended++;
        return true;
    }
    if (found->appended > 0)
        return oracle_complain(why, "record %llu comes behind a later one",
                               (unsigned long long)record->sequence);
    if ((sample->is_by_key || record->sequence == 0) && record->key_len == KEY_LEN)
        index = number_in(record->key); /* 0: the number is not known any more */
    if (index >= sample->record_count)
        return oracle_complain(why, "record %llu was never appended",
                               (unsigned long long)record->sequence);
    if (index < *next && !sample->is_by_key)
        return oracle_complain(why, "record %zu comes again, or out of order", index + 1);
    expected = &sample->records[index];
    if (!sample->is_by_key && !sample->may_move &&
        (position.segment_id != expected->position.segment_id ||
         position.offset != expected->position.offset))
        return oracle_complain(why, "record %zu lies at %llu:%llu", index + 1,
                               (unsigned long long)position.segment_id,
                               (unsigned long long)position.offset);
    if (!is_record(sample, index, record))
        return oracle_complain(why, "record %zu has other bytes", index + 1);
    if (index != expected->batch_first && !found->is_present[index - 1])
        return oracle_complain(why, "record %zu comes without the batch it is in", index + 1);
    if (found->count == 0)
        found->first = found->prefix = index;
    found->prefix += found->prefix == index;
    found->is_present[index] = true;
    found->count++;
    *next = index + 1 > *next ? index + 1 : *next;
    return true;
}

/* Past holes; damage stays where it is. */
static int next_or_behind_hole(nori_reader *reader, struct nori_record *record,
                               struct nori_position *position, size_t *holes)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position last = {UINT64_MAX, 0};
    int rc;

    for (;;) {
        rc = nori_reader_next(reader, record, position);
        if (rc != NORI_E_CORRUPT || nori_reader_last_error(reader, &error) != NORI_OK ||
            (error.position.segment_id == last.segment_id && error.position.offset == last.offset))
            return rc;
        last = error.position;
        *holes += strstr(error.message, "set aside") != NULL;
    }
}

bool sample_read(const struct sample *sample, nori_sim *sim, uint32_t visibility, uint32_t flags,
                 struct sample_found *ret_found, char why[ORACLE_WHY_LEN])
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    nori_reader *reader = NULL;
    size_t next = 0;
    bool is_good = true;

    memset(ret_found, 0, sizeof *ret_found);
    config.visibility = visibility;
    config.flags = flags;
    config.vfs = nori_sim_vfs(sim);
    ret_found->end = nori_reader_open_with(SAMPLE_DIR, &config, oldest, &reader, NULL);
    if (ret_found->end < 0)
        return true;
    while (is_good) {
        struct nori_record record;
        struct nori_position position;

        ret_found->end = next_or_behind_hole(reader, &record, &position, &ret_found->holes);
        if (ret_found->end != NORI_OK)
            break;
        is_good = take_record(sample, &record, position, ret_found, &next, why);
    }
    nori_reader_close(reader);
    if (is_good && ret_found->count > 0) {
        size_t last = next - 1;

        if (sample->records[last].batch_last != last)
            return oracle_complain(why, "the log ends with record %zu, inside a batch", last + 1);
    }
    return is_good;
}

/* ---- evidence ---- */

#define PIECES_MAX 64

struct piece {
    char path[80];
    unsigned long long id, from;
    size_t len;
    uint8_t bytes[SAMPLE_BYTES_MAX];
};

struct pieces {
    nori_sim *sim;
    size_t count;
    struct piece piece[PIECES_MAX];
    uint8_t control[SAMPLE_CONTROL_LEN];
    size_t control_len; /* of a copy of it, 0 if there is none */
};

static int note_piece(void *context, const char *name)
{
    struct pieces *pieces = context;
    struct piece *piece = &pieces->piece[pieces->count];
    unsigned long long to;

    if (strstr(name, ".txt") || pieces->count == PIECES_MAX)
        return 0;
    if (strncmp(name, "control.0-", 10) == 0) {
        (void)snprintf(piece->path, sizeof piece->path, SAMPLE_DIR "/quarantine/%.40s", name);
        pieces->control_len =
            sample_load(pieces->sim, piece->path, pieces->control, sizeof pieces->control);
        return 0;
    }
    piece->from = 0;
    if (sscanf(name, "%llu.wal.%llu-%llu", &piece->id, &piece->from, &to) != 3) {
        piece->from = 0;
        if (sscanf(name, "%llu.wal", &piece->id) != 1)
            return 0;
    }
    (void)snprintf(piece->path, sizeof piece->path, SAMPLE_DIR "/quarantine/%.40s", name);
    piece->len = sample_load(pieces->sim, piece->path, piece->bytes, sizeof piece->bytes);
    pieces->count++;
    return 0;
}

static bool is_kept(const struct pieces *pieces, const struct sample_file *file, uint64_t offset,
                    uint8_t byte)
{
    const uint8_t *ring = pieces->control + (SAMPLE_CONTROL_LEN - SAMPLE_RING_LEN);
    uint64_t id = file->id;

    for (size_t i = 0; i < pieces->count; i++) {
        const struct piece *piece = &pieces->piece[i];

        if (piece->id == id && offset >= piece->from && offset - piece->from < piece->len &&
            piece->bytes[offset - piece->from] == byte)
            return true;
    }
    return pieces->control_len == SAMPLE_CONTROL_LEN &&
           ring[(file->start + offset) % SAMPLE_RING_LEN] == byte;
}

bool sample_check_quarantine(const struct sample *sample, nori_sim *before, nori_sim *after,
                             char why[ORACLE_WHY_LEN])
{
    static struct pieces pieces;
    static uint8_t was[SAMPLE_BYTES_MAX], is[SAMPLE_BYTES_MAX];

    pieces.sim = after;
    pieces.count = 0;
    pieces.control_len = 0;
    (void)nori_sim_list(after, SAMPLE_DIR "/quarantine", note_piece, &pieces);
    for (size_t i = 0; i < sample->file_count; i++) {
        const struct sample_file *file = &sample->files[i];
        size_t was_len = sample_load(before, file->path, was, (size_t)file->end);
        size_t is_len = sample_load(after, file->path, is, sizeof is);

        for (size_t at = 0; at < was_len; at++)
            if (was[at] != 0 &&
                !(at < is_len && (is[at] == was[at] || is[at] == file->bytes[at])) &&
                !is_kept(&pieces, file, at, was[at]) &&
                !is_kept(&pieces, file, at, file->bytes[at])) /* mended, by the ring */
                return oracle_complain(why, "byte %zu of %s is neither there nor in quarantine", at,
                                       file->path);
    }
    return true;
}

/* ---- damage by seed ---- */

void sample_damage(const struct sample *sample, nori_sim *sim, uint64_t *seed)
{
    const struct sample_file *file = &sample->files[torture_random(seed, sample->file_count)];
    const struct sample_file *from = &sample->files[torture_random(seed, sample->file_count)];
    uint8_t bytes[600] = {0};
    uint64_t at = torture_random(seed, file->end + 40);
    size_t len = 1 + torture_random(seed, torture_random(seed, 2) ? 16 : sizeof bytes);
    size_t got = 0;

    switch (torture_random(seed, 5)) {
    case 0:
        (void)nori_sim_file_read(sim, file->path, at, bytes, len = 1, &got);
        bytes[0] ^= (uint8_t)(1 + torture_random(seed, 255));
        break;
    case 1:
        break;
    case 2:
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)torture_random(seed, 256);
        break;
    case 3:
        (void)nori_sim_file_read(sample->sim, from->path, torture_random(seed, from->end), bytes,
                                 len, &got);
        break;
    default:
        (void)nori_sim_file_read(sample->past[torture_random(seed, sample->past_count)], file->path,
                                 at, bytes, len, &got);
    }
    (void)nori_sim_file_poke(sim, file->path, at, bytes, len);
}

struct sector {
    const char *path;
    uint64_t offset;
    uint8_t bytes[NORI_SIM_SECTOR];
    size_t len; /* less at the end of a file */
};

static struct sector draw_sector(const struct sample *sample, uint64_t *seed)
{
    const struct sample_file *file = &sample->files[torture_random(seed, sample->file_count)];
    uint64_t count = (file->end + NORI_SIM_SECTOR - 1) / NORI_SIM_SECTOR;
    struct sector sector = {.path = file->path};

    sector.offset = torture_random(seed, count) * NORI_SIM_SECTOR;
    (void)nori_sim_file_read(sample->sim, sector.path, sector.offset, sector.bytes,
                             sizeof sector.bytes, &sector.len);
    return sector;
}

static void put_in_place_of(nori_sim *sim, const struct sector *target, const uint8_t *bytes)
{
    (void)nori_sim_file_poke(sim, target->path, target->offset, bytes, target->len);
}

void sample_damage_sector(const struct sample *sample, nori_sim *sim, uint64_t *seed)
{
    struct sector a = draw_sector(sample, seed);
    struct sector b = draw_sector(sample, seed);
    nori_sim *before = sample->past[torture_random(seed, sample->past_count)];
    uint8_t stale[NORI_SIM_SECTOR] = {0};
    size_t got = 0;
    uint64_t way = torture_random(seed, 3);

    (void)nori_sim_file_read(before, a.path, a.offset, stale, a.len, &got);
    put_in_place_of(sim, &a, way == 0 ? b.bytes : stale);
    if (way < 2)
        put_in_place_of(sim, &b, a.bytes);
}

struct sample *sample_shared(enum sample_kind kind)
{
    static struct sample *samples[SAMPLE_KINDS];

    if (!samples[kind]) {
        samples[kind] = calloc(1, sizeof *samples[kind]);
        if (!samples[kind])
            abort();
        sample_make(samples[kind], kind, 1);
    }
    return samples[kind];
}
