/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_corruption.c: small logs of several segments, damaged in every way that a byte, a sector or
 * a file can be.
 *
 * Every bit is flipped, every byte set to 00 and FF, every sector zeroed, exchanged and replaced by
 * an older one, every file cut to every length, missing, doubled, renamed and exchanged, and
 * `control` is taken from anywhere. Then each recovery mode, both ways to verify, readers and
 * nori_log_verify look at it. No wrong byte is ever returned. What lies below a watermark is never
 * called torn (D6). A refusal changes nothing. prefix keeps all before the damage, salvage all but
 * what lies between the marks around it, and what they remove is in quarantine (D7).
 *
 * NORI_CORRUPTION=KIND.NUMBER repeats one. With arguments it is a part of `make torture`
 * (support/torture.h): one to four such damages at once, of any length, by seed, for hours.
 */
#include "../support/jobs.h"
#include "../support/repeat.h"
#include "../support/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER_LEN 128u

/* One way to damage a sample. */
struct corruption {
    struct sample *sample;
    nori_sim *sim; /* damaged; nobody has it open */
    uint64_t number;
    bool is_byte;     /* one of very many */
    bool has_control; /* it is as it was */
    bool are_names_changed;
    bool is_hidden; /* nothing in the log can tell: only bytes are checked */
    /* Segments begin with the header, records and mark of others: all of them may be lost. */
    bool are_heads_exchanged;
    bool is_compound; /* several damages */
    struct sample_damage damage;
    const char *look; /* who is looking */
    char why[ORACLE_WHY_LEN];
};

static struct {
    uint64_t tried;
    uint64_t looks;
    uint64_t whole, torn, refused, version, cut, salvaged;
    double seconds;
} totals;

static bool is_drawn;  /* by seed */
static bool is_worker; /* it is a process of jobs.c */

/* To repeat one. */
static uint64_t only_number, next_number;

static bool complain(struct corruption *corruption, const char *what, int rc)
{
    return oracle_complain(corruption->why, "%s: %s", what, nori_error_name(rc));
}

static uint64_t lsn_of(const struct sample *sample, size_t index)
{
    const struct sample_record *record = &sample->records[index];

    return sample->files[record->file].start + record->position.offset;
}

/* Is all the damage where nothing is known to be durable, and no header touched? */
static bool is_all_above(const struct corruption *corruption)
{
    const struct sample *sample = corruption->sample;
    const struct sample_damage *damage = &corruption->damage;

    for (size_t i = 0; i < damage->range_count; i++) {
        const struct sample_range *range = &damage->ranges[i];

        if (range->file + 1 < sample->file_count || range->from < HEADER_LEN ||
            sample->files[range->file].start + range->from < damage->watermark)
            return false;
    }
    return damage->range_count > 0;
}

/* What is shown is the log's beginning, all of it that was durable. */
static bool check_prefix(struct corruption *corruption, const struct sample_found *found)
{
    const struct sample *sample = corruption->sample;

    if (found->count == sample->record_count || corruption->is_hidden)
        return true;
    if (found->count > 0 && found->first > 0 && !corruption->damage.is_gone[0])
        return oracle_complain(corruption->why, "it begins with record %zu", found->first + 1);
    if (found->count > 0 && found->count != found->prefix - found->first)
        return oracle_complain(corruption->why, "record %zu is missing in the middle",
                               found->prefix + 1);
    if (found->prefix < sample->record_count &&
        lsn_of(sample, found->prefix) < corruption->damage.watermark)
        return oracle_complain(corruption->why,
                               "record %zu was durable and is dropped silently (D6)",
                               found->prefix + 1);
    return true;
}

/* ---- looking without changing ---- */

static bool is_damaged(const struct corruption *corruption)
{
    return corruption->damage.range_count > 0 || corruption->are_names_changed ||
           corruption->is_hidden;
}

static bool read_it(struct corruption *corruption, uint32_t visibility, uint32_t flags)
{
    struct sample_found found;

    if (!sample_read(corruption->sample, corruption->sim, visibility, flags, &found,
                     corruption->why))
        return false;
    if (found.end != NORI_END && found.end != NORI_E_CORRUPT && found.end != NORI_E_VERSION)
        return complain(corruption, "reading ends with", found.end);
    if (found.end != NORI_END && !is_damaged(corruption))
        return complain(corruption, "nothing is damaged, but reading ends with", found.end);
    if (visibility == NORI_VISIBLE_DURABLE && !corruption->has_control)
        return true; /* it may know of less */
    return found.end != NORI_END || check_prefix(corruption, &found);
}

static int verify_it(struct corruption *corruption)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(corruption->sim);
    return nori_log_verify(SAMPLE_DIR, &options, NULL, NULL, NULL);
}

/* ---- opening ---- */

static bool check_refusal(struct corruption *corruption, nori_sim *sim, uint32_t mode, int rc)
{
    bool is_lenient = mode == NORI_RECOVER_PREFIX || mode == NORI_RECOVER_SALVAGE;

    if (rc != NORI_E_VERSION && (rc != NORI_E_CORRUPT || is_lenient))
        return complain(corruption, "open gives", rc);
    if (nori_sim_digest(sim) != nori_sim_digest(corruption->sim))
        return complain(corruption, "the folder is not as it was, but open gave", rc);
    if (!is_damaged(corruption) && mode != NORI_RECOVER_STRICT)
        return complain(corruption, "nothing is damaged, but open gives", rc);
    if (mode == NORI_RECOVER_TAIL && is_all_above(corruption) && !corruption->are_names_changed)
        return complain(corruption, "a torn tail is called damage: open gives", rc);
    totals.refused += rc == NORI_E_CORRUPT;
    totals.version += rc == NORI_E_VERSION;
    return true;
}

static bool check_salvaged(struct corruption *corruption, const struct sample_found *found)
{
    const struct sample *sample = corruption->sample;
    size_t last = sample->record_count;

    while (last > 0 && !found->is_present[last - 1])
        last--;
    for (size_t i = 0; i < sample->record_count; i++) {
        if (found->is_present[i] || corruption->is_hidden)
            continue;
        if (!corruption->damage.may_be_lost[i] && !corruption->are_heads_exchanged)
            return oracle_complain(corruption->why, "salvage lost record %zu", i + 1);
        if (i < last && i > found->first && found->holes == 0)
            return oracle_complain(corruption->why, "no hole tells that record %zu is missing",
                                   i + 1);
    }
    return true;
}

/* What only the staging ring had is there if that is, and with it nothing else is lost. */
static bool check_ring(struct corruption *corruption, const struct sample_found *found)
{
    const struct sample *sample = corruption->sample;

    if (sample->staged_count == 0 || corruption->damage.range_count > 0 ||
        corruption->are_names_changed || found->prefix >= corruption->damage.ring_kept)
        return true;
    return oracle_complain(corruption->why, "record %zu is lost, which the ring or the segment has",
                           found->prefix + 1);
}

/* It is open: is what it shows right? */
static bool check_shown(struct corruption *corruption, uint32_t mode, bool was_damaged,
                        const struct sample_found *found)
{
    size_t all = corruption->sample->record_count;

    if (found->end != NORI_END)
        return complain(corruption, "it is open, but reading ends with", found->end);
    if (mode == NORI_RECOVER_SALVAGE && was_damaged)
        return check_salvaged(corruption, found);
    if (found->holes > 0)
        return oracle_complain(corruption->why, "there is a hole");
    if (mode == NORI_RECOVER_PREFIX && was_damaged) {
        if (!corruption->is_hidden && found->prefix < corruption->damage.safe)
            return oracle_complain(corruption->why, "prefix lost record %zu before the damage",
                                   found->prefix + 1);
        return found->count == 0 || corruption->is_hidden || corruption->damage.is_gone[0] ||
               (found->first == 0 && found->count == found->prefix) ||
               oracle_complain(corruption->why, "prefix left a gap");
    }
    if (!check_ring(corruption, found))
        return false;
    if (mode == NORI_RECOVER_STRICT && found->count < all && !corruption->is_hidden &&
        corruption->damage.ring_kept == all) {
        const struct sample_range *last =
            corruption->damage.range_count > 0
                ? &corruption->damage.ranges[corruption->damage.range_count - 1]
                : NULL;

        if (!last || last->to < corruption->sample->files[last->file].end)
            return oracle_complain(corruption->why, "strict dropped record %zu silently",
                                   found->prefix + 1);
    }
    return check_prefix(corruption, found);
}

static void count_outcome(const struct corruption *corruption, uint32_t mode, bool was_damaged,
                          const struct sample_found *found)
{
    if (was_damaged && mode == NORI_RECOVER_SALVAGE && found->holes > 0)
        totals.salvaged++;
    else if (was_damaged)
        totals.cut++;
    else if (found->count < corruption->sample->record_count)
        totals.torn++;
    else
        totals.whole++;
}

/* Append, close, and look again with an ordinary open. */
static bool go_on(struct corruption *corruption, nori_sim *sim, nori_wal *wal,
                  const struct sample_found *before)
{
    struct nori_wal_config config = sample_config(sim, NORI_RECOVER_TAIL, NORI_VERIFY_FULL);
    struct sample_found found;
    int rc = sample_append(wal);
    int closed = nori_wal_close(wal);

    if (rc < 0 || closed < 0)
        return complain(corruption, "appending gives", rc < 0 ? rc : closed);
    rc = nori_wal_open(&config, &wal, NULL, NULL);
    if (rc < 0)
        return complain(corruption, "opening it again gives", rc);
    rc = sample_read(corruption->sample, sim, NORI_VISIBLE_APPENDED, 0, &found, corruption->why)
             ? NORI_OK
             : NORI_E_CORRUPT;
    closed = nori_wal_close(wal);
    if (rc < 0 || closed < 0)
        return rc < 0 ? false : complain(corruption, "closing gives", closed);
    if (found.end != NORI_END || found.appended != 1 || found.count != before->count)
        return oracle_complain(corruption->why,
                               "behind a new record %zu are there, %zu were; reading ends with %s",
                               found.count, before->count, nori_error_name(found.end));
    return true;
}

static bool open_it(struct corruption *corruption, nori_sim *sim, uint32_t mode, uint32_t verify,
                    int *ret_rc)
{
    struct nori_wal_config config = sample_config(sim, mode, verify);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct sample_found found;
    nori_wal *wal = NULL;

    *ret_rc = nori_wal_open(&config, &wal, &info, &error);
    if (*ret_rc < 0 && only_number != 0)
        print_message("%s: %s\n", corruption->look, error.message);
    if (*ret_rc < 0)
        return check_refusal(corruption, sim, mode, *ret_rc);
    if (!sample_read(corruption->sample, sim, NORI_VISIBLE_APPENDED, 0, &found, corruption->why)) {
        (void)nori_wal_close(wal);
        return false;
    }
    if (verify == NORI_VERIFY_TAIL && found.end == NORI_E_CORRUPT)
        return nori_wal_close(wal) == NORI_OK; /* not met by open, but by who reads it */
    if (!check_shown(corruption, mode, info.corruption_detected, &found)) {
        (void)nori_wal_close(wal);
        return false;
    }
    count_outcome(corruption, mode, info.corruption_detected, &found);
    if (!go_on(corruption, sim, wal, &found))
        return false;
    return !info.corruption_detected ||
           sample_check_quarantine(corruption->sample, corruption->sim, sim, corruption->why);
}

static bool open_clone(struct corruption *corruption, uint32_t mode, uint32_t verify, int *ret_rc)
{
    nori_sim *clone;
    bool is_good;

    nori_sim_crash_kill(corruption->sim, &clone);
    nori_sim_sync_all(clone);
    is_good = open_it(corruption, clone, mode, verify, ret_rc);
    nori_sim_free(clone);
    return is_good;
}

/* ---- one corruption ---- */

/* Who looks. The first one always does. */
static const struct look {
    const char *name;
    enum {
        OPENS,
        READS,
        VERIFIES
    } kind;
    uint32_t a; /* mode; visibility */
    uint32_t b; /* verify; flags */
} looks[] = {
    {"tail", OPENS, NORI_RECOVER_TAIL, NORI_VERIFY_FULL},
    {"prefix", OPENS, NORI_RECOVER_PREFIX, NORI_VERIFY_FULL},
    {"salvage", OPENS, NORI_RECOVER_SALVAGE, NORI_VERIFY_FULL},
    {"strict", OPENS, NORI_RECOVER_STRICT, NORI_VERIFY_FULL},
    {"a reader", READS, NORI_VISIBLE_APPENDED, 0},
    {"a reader of what is durable", READS, NORI_VISIBLE_DURABLE, 0},
    {"a reader that copies", READS, NORI_VISIBLE_APPENDED, NORI_READER_PREAD},
    {"nori_log_verify", VERIFIES, 0, 0},
    {"tail, verify = tail", OPENS, NORI_RECOVER_TAIL, NORI_VERIFY_TAIL},
    {"prefix, verify = tail", OPENS, NORI_RECOVER_PREFIX, NORI_VERIFY_TAIL},
    {"salvage, verify = tail", OPENS, NORI_RECOVER_SALVAGE, NORI_VERIFY_TAIL},
};
#define LOOKS (sizeof looks / sizeof looks[0])

static bool look(struct corruption *corruption, const struct look *look, int tail_rc)
{
    uint64_t digest = nori_sim_digest(corruption->sim);
    int rc;

    totals.looks++;
    corruption->look = look->name;
    if (look->kind == READS) {
        if (!read_it(corruption, look->a, look->b))
            return false;
    } else {
        rc = verify_it(corruption);
        /* Behind what open stopped at, verify may find what a newer version wrote. */
        if (tail_rc <= 0 && rc != tail_rc &&
            !(corruption->is_compound && tail_rc == NORI_E_CORRUPT && rc == NORI_E_VERSION))
            return complain(corruption, "it does not say what open says, but", rc);
    }
    return nori_sim_digest(corruption->sim) == digest ||
           oracle_complain(corruption->why, "the folder was changed");
}

/* By all, or by one of them and often by the first. */
static bool look_at(struct corruption *corruption, bool by_all)
{
    int tail_rc = 1; /* not tried */

    for (size_t i = 0; i < LOOKS; i++) {
        int rc;

        if (!by_all && i != corruption->number % LOOKS && (i != 0 || corruption->number % 3))
            continue;
        corruption->look = looks[i].name;
        if (looks[i].kind != OPENS) {
            if (!look(corruption, &looks[i], tail_rc))
                return false;
            continue;
        }
        totals.looks++;
        if (!open_clone(corruption, looks[i].a, looks[i].b, &rc))
            return false;
        if (i == 0)
            tail_rc = rc;
    }
    return true;
}

/* A clone to damage; false: this one is not to be tried. */
static bool begin(struct corruption *corruption, struct sample *sample)
{
    uint64_t number = ++next_number;

    memset(corruption, 0, sizeof *corruption);
    if (only_number ? number != only_number
                    : number % 100 != 0 && repeat_share(100) <= number * 37 % 100)
        return false;
    corruption->sample = sample;
    corruption->number = number;
    corruption->has_control = true;
    nori_sim_crash_kill(sample->sim, &corruption->sim);
    return true;
}

__attribute__((format(printf, 2, 3))) static void finish(struct corruption *corruption,
                                                         const char *format, ...)
{
    struct sample *sample = corruption->sample;
    bool is_last_gone;
    char what[100];
    va_list arguments;
    bool is_good;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    repeat_with("NORI_CORRUPTION=%d.%llu%s ./test_corruption (%s)", (int)sample->kind,
                (unsigned long long)corruption->number, is_drawn ? ".drawn" : "", what);
    nori_sim_sync_all(corruption->sim);
    sample_compare(sample, corruption->sim, corruption->has_control, &corruption->damage);
    is_last_gone = corruption->damage.is_gone[sample->file_count - 1];
    if (is_last_gone) /* the salt that `control` names is on no chain */
        sample_compare(sample, corruption->sim, false, &corruption->damage);
    if (corruption->is_compound)
        sample_allow_giving_up(sample, &corruption->damage);
    totals.tried++;
    sample->is_by_key = corruption->is_hidden;
    is_good = look_at(corruption, !corruption->is_byte || only_number != 0);
    sample->is_by_key = false;
    nori_sim_free(corruption->sim);
    if (is_good)
        return;
    print_message("sample %d, %s: %s: %s\n", (int)sample->kind, what, corruption->look,
                  corruption->why);
    repeat_print();
    if (is_worker)
        _exit(1);
    fail();
}

/* ---- every byte ---- */

/* Nothing states where a segment of format 1 ends, unless one of format 2 follows. */
static bool is_end_unknown(const struct sample *sample, size_t file)
{
    return sample->files[file].format == 1 && file + 1 < sample->file_count &&
           sample->files[file + 1].format == 1;
}

static uint64_t size_of(const struct sample *sample, size_t file)
{
    uint64_t bytes = 0;

    (void)nori_sim_file_bytes(sample->sim, sample->files[file].path, &bytes);
    return bytes;
}

static void poke(const struct corruption *corruption, const char *path, uint64_t offset,
                 const void *data, size_t len)
{
    assert_true(nori_sim_file_poke(corruption->sim, path, offset, data, len) >= 0);
}

static void bytes_of_files(struct sample *sample)
{
    /* One bit of each byte is enough where another sample has most of the same bytes. */
    bool is_like_another = sample->kind == SAMPLE_KILLED || sample->kind == SAMPLE_STAGED ||
                           sample->kind == SAMPLE_NO_CONTROL;
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        const struct sample_file *file = &sample->files[i];
        uint64_t len = size_of(sample, i) < file->end + 40 ? size_of(sample, i) : file->end + 40;

        for (uint64_t at = 0; at < len; at++) {
            uint8_t was = file->bytes[at];

            for (unsigned change = 0; change < 10; change++) {
                uint8_t byte = (uint8_t)(change < 8    ? was ^ 1u << change
                                         : change == 8 ? 0u
                                                       : 0xffu);

                if (byte == was || (is_like_another && change < 8 && change != at % 8) ||
                    !begin(&corruption, sample))
                    continue;
                corruption.is_byte = true;
                /* Behind records of format 1 there are zeros, or more records. */
                corruption.is_hidden = at >= file->end && is_end_unknown(sample, i);
                poke(&corruption, file->path, at, &byte, 1);
                finish(&corruption, "byte %llu of %s from %02x to %02x", (unsigned long long)at,
                       file->path, was, byte);
            }
        }
    }
}

/* ---- every sector ---- */

#define SECTORS_MAX 64

struct sector {
    const char *path;
    bool is_format1; /* it may be all there is of a segment that nothing tells about */
    uint64_t offset;
    size_t len;
    uint8_t bytes[NORI_SIM_SECTOR];
};

static size_t sectors_of(const struct sample *sample, struct sector *sectors)
{
    size_t count = 0;

    for (size_t i = 0; i < sample->file_count; i++)
        for (uint64_t at = 0; at < sample->files[i].end; at += NORI_SIM_SECTOR) {
            struct sector *sector = &sectors[count++];

            assert_true(count < SECTORS_MAX);
            sector->path = sample->files[i].path;
            sector->is_format1 = sample->files[i].format == 1;
            sector->offset = at;
            (void)nori_sim_file_read(sample->sim, sector->path, at, sector->bytes,
                                     sizeof sector->bytes, &sector->len);
        }
    return count;
}

static void sectors_of_files(struct sample *sample)
{
    static struct sector sectors[SECTORS_MAX];
    static const uint8_t zeros[NORI_SIM_SECTOR];
    size_t count = sectors_of(sample, sectors);
    struct corruption corruption;

    for (size_t i = 0; i < count; i++) {
        if (begin(&corruption, sample)) {
            corruption.is_hidden = sectors[i].is_format1;
            poke(&corruption, sectors[i].path, sectors[i].offset, zeros, sectors[i].len);
            finish(&corruption, "sector at %llu of %s zeroed",
                   (unsigned long long)sectors[i].offset, sectors[i].path);
        }
        for (size_t j = i + 1; j < count; j++) {
            size_t len = sectors[i].len < sectors[j].len ? sectors[i].len : sectors[j].len;

            if (!begin(&corruption, sample))
                continue;
            corruption.is_hidden = sectors[i].is_format1 || sectors[j].is_format1;
            corruption.are_heads_exchanged = sectors[i].offset == 0 && sectors[j].offset == 0;
            poke(&corruption, sectors[i].path, sectors[i].offset, sectors[j].bytes, len);
            poke(&corruption, sectors[j].path, sectors[j].offset, sectors[i].bytes, len);
            finish(&corruption, "sectors at %llu of %s and %llu of %s exchanged",
                   (unsigned long long)sectors[i].offset, sectors[i].path,
                   (unsigned long long)sectors[j].offset, sectors[j].path);
        }
    }
}

/* From every earlier moment, and from another log. */
static void stale_sectors(struct sample *sample, struct sample *other)
{
    static struct sector sectors[SECTORS_MAX];
    size_t count = sectors_of(sample, sectors);
    struct corruption corruption;

    for (size_t i = 0; i < count; i++) {
        for (size_t past = 0; past <= sample->past_count; past++) {
            nori_sim *source = past < sample->past_count ? sample->past[past] : other->sim;
            uint8_t bytes[NORI_SIM_SECTOR] = {0};
            size_t got = 0;

            (void)nori_sim_file_read(source, sectors[i].path, sectors[i].offset, bytes,
                                     sectors[i].len, &got);
            if (memcmp(bytes, sectors[i].bytes, sectors[i].len) == 0 || !begin(&corruption, sample))
                continue;
            corruption.is_hidden = sectors[i].is_format1;
            poke(&corruption, sectors[i].path, sectors[i].offset, bytes, sectors[i].len);
            finish(&corruption, "sector at %llu of %s as it was at moment %zu",
                   (unsigned long long)sectors[i].offset, sectors[i].path, past);
        }
    }
}

/* ---- every length ---- */

static void lengths_of_files(struct sample *sample)
{
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        uint64_t end = sample->files[i].end;
        uint64_t bytes = size_of(sample, i);

        for (uint64_t len = 0; len < bytes; len += len <= end + 10 ? 1 : 1021) {
            if (!begin(&corruption, sample))
                continue;
            assert_true(nori_sim_file_resize(corruption.sim, sample->files[i].path, len) >= 0);
            corruption.is_hidden = is_end_unknown(sample, i) && len < end;
            finish(&corruption, "%s cut to %llu", sample->files[i].path, (unsigned long long)len);
        }
    }
}

/* ---- every file ---- */

static void copy_to(const struct corruption *corruption, const struct sample_file *file,
                    const char *path)
{
    (void)nori_sim_file_unlink(corruption->sim, path);
    poke(corruption, path, 0, file->bytes, (size_t)file->end);
}

static void one_file(struct sample *sample, size_t i)
{
    static const uint64_t other_ids[] = {1, 3, 5, 7, 9, 30, 999999};
    const struct sample_file *file = &sample->files[i];
    bool is_blind = file->format == 1;
    struct corruption corruption;

    if (begin(&corruption, sample)) {
        assert_true(nori_sim_file_unlink(corruption.sim, file->path) >= 0);
        corruption.is_hidden = is_blind;
        corruption.are_names_changed = true;
        finish(&corruption, "%s missing", file->path);
    }
    for (size_t n = 0; n < 2 * sizeof other_ids / sizeof other_ids[0]; n++) {
        char path[SAMPLE_PATH_LEN];

        (void)snprintf(path, sizeof path, SAMPLE_DIR "/%06llu.wal",
                       (unsigned long long)other_ids[n / 2]);
        if (strcmp(path, file->path) == 0 || !begin(&corruption, sample))
            continue;
        copy_to(&corruption, file, path);
        if (n % 2 == 1)
            (void)nori_sim_file_unlink(corruption.sim, file->path);
        corruption.is_hidden = is_blind;
        corruption.are_names_changed = true;
        finish(&corruption, "%s %s %s", file->path, n % 2 ? "renamed to" : "also as", path);
    }
}

static void names_of_files(struct sample *sample, struct sample *other)
{
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        one_file(sample, i);
        for (size_t j = i + 1; j < sample->file_count; j++) {
            const struct sample_file *a = &sample->files[i];
            const struct sample_file *b = &sample->files[j];

            if (!begin(&corruption, sample))
                continue;
            copy_to(&corruption, a, b->path);
            copy_to(&corruption, b, a->path);
            corruption.is_hidden = a->format == 1 || b->format == 1;
            corruption.are_names_changed = true;
            finish(&corruption, "%s and %s exchanged", a->path, b->path);
        }
        if (i < other->file_count && begin(&corruption, sample)) {
            copy_to(&corruption, &other->files[i], sample->files[i].path);
            corruption.is_hidden = other->files[i].format == 1;
            corruption.are_names_changed = true;
            finish(&corruption, "%s from another log", sample->files[i].path);
        }
    }
}

/* ---- control and spare ---- */

#define CONTROL_LEN SAMPLE_CONTROL_LEN
#define PAGE_LEN    (SAMPLE_CONTROL_LEN - SAMPLE_RING_LEN)
#define CONTROL     SAMPLE_DIR "/control"

/* These bytes in place of control, in the same file. keep: as many of its own stay. */
static void try_control(struct sample *sample, const uint8_t *bytes, size_t keep, const char *what)
{
    struct corruption corruption;

    if (!begin(&corruption, sample))
        return;
    poke(&corruption, CONTROL, keep, bytes + keep, CONTROL_LEN - keep);
    corruption.has_control = false;
    finish(&corruption, "control %s, but for %zu bytes", what, keep);
}

static void control_from_anywhere(struct sample *sample, struct sample *other)
{
    static uint8_t bytes[CONTROL_LEN], was[CONTROL_LEN];
    struct corruption corruption;

    if (sample_load(sample->sim, CONTROL, was, sizeof was) != sizeof was)
        return;
    if (begin(&corruption, sample)) {
        assert_true(nori_sim_file_unlink(corruption.sim, CONTROL) >= 0);
        corruption.has_control = false;
        finish(&corruption, "control missing");
    }
    for (uint64_t len = 0; len < CONTROL_LEN; len += len <= PAGE_LEN ? 61 : 4093) {
        if (!begin(&corruption, sample))
            continue;
        assert_true(nori_sim_file_resize(corruption.sim, CONTROL, len) >= 0);
        corruption.has_control = false;
        finish(&corruption, "control cut to %llu", (unsigned long long)len);
    }
    for (size_t past = 0; past < sample->past_count; past++)
        if (sample_load(sample->past[past], CONTROL, bytes, sizeof bytes) == sizeof bytes)
            try_control(sample, bytes, 0, "of an earlier moment");
    if (sample_load(other->sim, CONTROL, bytes, sizeof bytes) == sizeof bytes)
        for (size_t keep = 0; keep <= 64; keep += 8)
            try_control(sample, bytes, keep, "of another log");
    for (unsigned n = 0; n < 40; n++) {
        uint32_t noise = n * 2654435761u + 1;

        for (size_t i = 0; i < sizeof bytes; i++) {
            noise = noise * 1664525u + 1013904223u;
            bytes[i] = n == 0 ? 0xff : n == 1 ? 0 : (uint8_t)(noise >> 24);
        }
        try_control(sample, bytes, n % 2 ? 64 : 0, "full of garbage");
    }
}

/* Words that name the very segments, with wild LSNs, prove nothing that is not there. */
static void bytes_of_control(struct sample *sample)
{
    struct corruption corruption;
    uint8_t was[320];

    if (sample_load(sample->sim, CONTROL, was, sizeof was) != sizeof was)
        return;
    for (size_t at = 0; at < sizeof was; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t byte = (uint8_t)(was[at] ^ 1u << bit);

            if (!begin(&corruption, sample))
                continue;
            poke(&corruption, CONTROL, at, &byte, 1);
            corruption.has_control = false;
            /* It may now claim that more was durable than there is. */
            corruption.are_names_changed = at >= 128 && at < 136;
            finish(&corruption, "bit %u of byte %zu of control", bit, at);
        }
}

/* Each byte of the ring from where it alone has records: those before it are there. */
static void bytes_of_ring(struct sample *sample)
{
    const struct sample_file *last = &sample->files[sample->file_count - 1];
    uint64_t from = last->start + last->end;
    struct corruption corruption;

    for (uint64_t lsn = from; sample->staged_count > 0 && lsn < from + 400; lsn++) {
        uint64_t at = PAGE_LEN + lsn % SAMPLE_RING_LEN;
        uint8_t byte = 0;
        size_t got = 0;

        (void)nori_sim_file_read(sample->sim, CONTROL, at, &byte, 1, &got);
        byte ^= (uint8_t)(1u << lsn % 8);
        if (!begin(&corruption, sample))
            continue;
        poke(&corruption, CONTROL, at, &byte, 1);
        corruption.has_control = false;
        finish(&corruption, "byte %llu of control", (unsigned long long)at);
    }
}

static void bytes_of_spare(struct sample *sample)
{
    struct corruption corruption;
    uint8_t bytes[1024] = {0};
    uint8_t ones = 0xff;

    for (size_t at = 0; at < 300; at += 3) {
        if (!begin(&corruption, sample))
            continue;
        poke(&corruption, SAMPLE_DIR "/spare", at, &ones, 1);
        finish(&corruption, "byte %zu of spare set", at);
    }
    for (size_t i = 0; i < sample->file_count; i++) {
        if (!begin(&corruption, sample))
            continue;
        memcpy(bytes, sample->files[i].bytes, sizeof bytes);
        poke(&corruption, SAMPLE_DIR "/spare", 0, bytes, sizeof bytes);
        finish(&corruption, "spare begins as %s", sample->files[i].path);
    }
}

/* ---- the tests ---- */

static void damage_everything(enum sample_kind kind)
{
    static struct sample sample, other;
    double begun = repeat_now();

    sample_make(&sample, kind, 1);
    sample_make(&other, kind, 77);
    assert_int_equal(sample.staged_count, kind == SAMPLE_STAGED ? 6 : 0);
    next_number = 0;
    sectors_of_files(&sample);
    stale_sectors(&sample, &other);
    lengths_of_files(&sample);
    names_of_files(&sample, &other);
    control_from_anywhere(&sample, &other);
    bytes_of_control(&sample);
    bytes_of_ring(&sample);
    bytes_of_spare(&sample);
    bytes_of_files(&sample);
    sample_free(&sample);
    sample_free(&other);
    totals.seconds += repeat_now() - begun;
}

static void a_closed_log(void **state)
{
    (void)state;
    damage_everything(SAMPLE_CLOSED);
}

static void a_log_with_an_undurable_tail(void **state)
{
    (void)state;
    damage_everything(SAMPLE_KILLED);
}

/* D2: damage to `control` costs what only its ring had, and nothing else. */
static void a_log_whose_tail_is_only_in_the_ring(void **state)
{
    (void)state;
    damage_everything(SAMPLE_STAGED);
}

static void a_log_without_control(void **state)
{
    (void)state;
    damage_everything(SAMPLE_NO_CONTROL);
}

static void a_log_of_format_1(void **state)
{
    (void)state;
    damage_everything(SAMPLE_FORMAT1);
}

static void a_log_of_both_formats(void **state)
{
    (void)state;
    damage_everything(SAMPLE_MIXED);
}

/* ---- what was found ---- */

static struct sample *only_one(enum sample_kind kind)
{
    static struct sample sample;

    sample_make(&sample, kind, 1);
    next_number = 99; /* the next one is among the share */
    return &sample;
}

/* Looking for a mark before it took for ever. */
static void a_watermark_far_behind_the_end_costs_no_time(void **state)
{
    struct sample *sample = only_one(SAMPLE_KILLED);
    struct corruption corruption;
    uint8_t byte = 0x40;

    (void)state;
    assert_true(begin(&corruption, sample));
    poke(&corruption, CONTROL, 135, &byte, 1);
    corruption.has_control = false;
    corruption.are_names_changed = true;
    finish(&corruption, "the durable position set far behind the end");
    sample_free(sample);
}

/* Segments of format 1 that verify = tail had skipped were written again to a wrong end. */
static void both_formats_open_by_their_tail_without_control(void **state)
{
    struct sample *sample = only_one(SAMPLE_MIXED);
    struct corruption corruption;

    (void)state;
    assert_true(begin(&corruption, sample));
    assert_true(nori_sim_file_unlink(corruption.sim, CONTROL) >= 0);
    corruption.has_control = false;
    finish(&corruption, "control missing");
    sample_free(sample);
}

/* A copy under a smaller id took the whole log with it into quarantine. */
static void a_stray_copy_goes_alone(void **state)
{
    struct sample *sample = only_one(SAMPLE_MIXED);
    struct corruption corruption;

    (void)state;
    assert_true(begin(&corruption, sample));
    copy_to(&corruption, &sample->files[sample->file_count - 1], SAMPLE_DIR "/000005.wal");
    corruption.are_names_changed = true;
    finish(&corruption, "the newest segment also as 5");
    sample_free(sample);
}

/* ---- hours of it ---- */

static struct torture_options options = {0, 1, 0, 0};

static void try_drawn(struct job *job, enum sample_kind kind, uint64_t number)
{
    struct corruption corruption = {
        .sample = sample_shared(kind), .number = number, .has_control = true, .is_byte = true};
    uint64_t seed = number;
    size_t count;

    is_drawn = true;
    nori_sim_crash_kill(corruption.sample->sim, &corruption.sim);
    count = 1 + torture_random(&seed, 4);
    corruption.is_compound = count > 1;
    for (size_t i = 0; i < count; i++)
        sample_damage(corruption.sample, corruption.sim, &seed);
    if (job) {
        atomic_fetch_add(&job->looked, 1);
        sketch_add(&job->sketch, nori_sim_digest(corruption.sim));
    }
    finish(&corruption, "%zu damages by seed", count);
}

/* A hundred of them. Where nothing but a record's own checksum tells (format 1), chance decides
 * what is noticed: those are damaged byte by byte above. */
static bool try_case(struct job *job, uint64_t number)
{
    static const enum sample_kind kinds[] = {SAMPLE_CLOSED, SAMPLE_KILLED, SAMPLE_STAGED,
                                             SAMPLE_NO_CONTROL};
    uint64_t seed = options.seed + number;

    is_worker = true;
    for (int i = 0; i < 100; i++)
        try_drawn(job, kinds[number % 4], torture_random(&seed, UINT64_MAX));
    return true;
}

static void torture(void **state)
{
    (void)state;
    assert_true(jobs_run(&options, "damage", try_case));
}

static void one_that_failed(void **state)
{
    unsigned long long number;
    int kind;

    (void)state;
    if (sscanf(getenv("NORI_CORRUPTION"), "%d.%llu", &kind, &number) != 2 || kind < 0 ||
        kind >= SAMPLE_KINDS)
        fail_msg("NORI_CORRUPTION is not understood");
    if (strstr(getenv("NORI_CORRUPTION"), ".drawn")) {
        try_drawn(NULL, (enum sample_kind)kind, number);
        return;
    }
    only_number = number;
    damage_everything((enum sample_kind)kind);
}

static void print_totals(void)
{
    print_message("corruptions: %llu tried in %.1f s, %llu looks; opens: %llu whole, %llu torn, "
                  "%llu refused, %llu of a newer version, %llu cut, %llu with holes\n",
                  (unsigned long long)totals.tried, totals.seconds,
                  (unsigned long long)totals.looks, (unsigned long long)totals.whole,
                  (unsigned long long)totals.torn, (unsigned long long)totals.refused,
                  (unsigned long long)totals.version, (unsigned long long)totals.cut,
                  (unsigned long long)totals.salvaged);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_log),
        cmocka_unit_test(a_log_with_an_undurable_tail),
        cmocka_unit_test(a_log_whose_tail_is_only_in_the_ring),
        cmocka_unit_test(a_log_without_control),
        cmocka_unit_test(a_log_of_format_1),
        cmocka_unit_test(a_log_of_both_formats),
        cmocka_unit_test(a_watermark_far_behind_the_end_costs_no_time),
        cmocka_unit_test(both_formats_open_by_their_tail_without_control),
        cmocka_unit_test(a_stray_copy_goes_alone),
    };
    const struct CMUnitTest tortures[] = {cmocka_unit_test(torture)};
    int failed;

    if (getenv("NORI_CORRUPTION"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    if (argc > 1 && strncmp(argv[1], "--", 2) == 0) {
        torture_parse(argc, argv, &options);
        return cmocka_run_group_tests(tortures, NULL, NULL);
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_totals();
    return failed;
}
