/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* corruption.c: one damaged log, and what everyone who looks at it must find. */
#include "corruption.h"

#include "repeat.h"
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER_LEN 128u

struct corruptions corruptions;

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
    return damage->range_count > 0 &&
           !sample_is_format1_touched(sample, corruption->sim, sample->file_count - 1);
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

/* tail_rc: what open says of it. */
static bool read_it(struct corruption *corruption, uint32_t visibility, uint32_t flags, int tail_rc)
{
    struct sample_found found;

    if (!sample_read(corruption->sample, corruption->sim, visibility, flags, &found,
                     corruption->why))
        return false;
    if (found.end != NORI_END && found.end != NORI_E_CORRUPT && found.end != NORI_E_VERSION)
        return complain(corruption, "reading ends with", found.end);
    if (found.end != NORI_END && !is_damaged(corruption))
        return complain(corruption, "nothing is damaged, but reading ends with", found.end);
    if (found.end != NORI_END || (visibility == NORI_VISIBLE_DURABLE && !corruption->has_control))
        return true; /* it may know of less */
    /* What is durable ends before the damage where only headers tell of it, and they are lost, and
     * where the oldest segments are of format 1. */
    if (tail_rc == NORI_E_CORRUPT &&
        (visibility == NORI_VISIBLE_APPENDED ||
         (corruption->sample->files[0].format == 2 && corruption->sample->control_lsn > 0)))
        return oracle_complain(corruption->why, "it takes for the whole log what open refuses");
    return check_prefix(corruption, &found);
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
    corruptions.refused += rc == NORI_E_CORRUPT;
    corruptions.version += rc == NORI_E_VERSION;
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
        corruptions.salvaged++;
    else if (was_damaged)
        corruptions.cut++;
    else if (found->count < corruption->sample->record_count)
        corruptions.torn++;
    else
        corruptions.whole++;
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
    if (*ret_rc < 0 && corruptions.only_number != 0)
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

/* Who looks. The first three always do. */
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
    {"a reader", READS, NORI_VISIBLE_APPENDED, 0},
    {"nori_log_verify", VERIFIES, 0, 0},
    {"prefix", OPENS, NORI_RECOVER_PREFIX, NORI_VERIFY_FULL},
    {"salvage", OPENS, NORI_RECOVER_SALVAGE, NORI_VERIFY_FULL},
    {"strict", OPENS, NORI_RECOVER_STRICT, NORI_VERIFY_FULL},
    {"a reader of what is durable", READS, NORI_VISIBLE_DURABLE, 0},
    {"a reader that copies", READS, NORI_VISIBLE_APPENDED, NORI_READER_PREAD},
    {"tail, verify = tail", OPENS, NORI_RECOVER_TAIL, NORI_VERIFY_TAIL},
    {"prefix, verify = tail", OPENS, NORI_RECOVER_PREFIX, NORI_VERIFY_TAIL},
    {"salvage, verify = tail", OPENS, NORI_RECOVER_SALVAGE, NORI_VERIFY_TAIL},
};
#define LOOKS  (sizeof looks / sizeof looks[0])
#define ALWAYS 3u
#define OTHERS (LOOKS - ALWAYS)

/* If a header is damaged that no other one names any more, a piece of another segment may lie
 * behind it, with a mark in it: nothing tells salvage that the mark is not its own. */
static bool may_move(const struct corruption *corruption, const struct look *look)
{
    const struct sample_damage *damage = &corruption->damage;

    for (size_t i = 0; corruption->is_compound && i < damage->range_count; i++)
        if (damage->ranges[i].from < HEADER_LEN)
            return look->kind == OPENS && look->a == NORI_RECOVER_SALVAGE;
    return false;
}

static bool look(struct corruption *corruption, const struct look *look, int tail_rc)
{
    uint64_t digest = nori_sim_digest(corruption->sim);
    int rc;

    corruptions.looks++;
    corruption->look = look->name;
    if (look->kind == READS) {
        if (!read_it(corruption, look->a, look->b, tail_rc))
            return false;
    } else {
        rc = verify_it(corruption);
        /* Behind what open stopped at, verify may find what a newer version wrote. */
        if (rc != tail_rc &&
            !(corruption->is_compound && tail_rc == NORI_E_CORRUPT && rc == NORI_E_VERSION))
            return complain(corruption, "it does not say what open says, but", rc);
    }
    return nori_sim_digest(corruption->sim) == digest ||
           oracle_complain(corruption->why, "the folder was changed");
}

/* By all, or by those who always look and one of the others, drawn: as many as NORI_SHARE says. */
static bool look_at(struct corruption *corruption, bool by_all)
{
    uint64_t seed = corruption->number;
    uint64_t drawn = torture_random(&seed, OTHERS);
    uint64_t others = by_all ? OTHERS : repeat_share(1);
    int tail_rc = NORI_OK; /* what the first one found */

    for (size_t i = 0; i < LOOKS; i++) {
        int rc;

        if (i >= ALWAYS && (i + drawn) % OTHERS >= others)
            continue;
        corruption->look = looks[i].name;
        corruption->sample->may_move = may_move(corruption, &looks[i]);
        if (looks[i].kind != OPENS) {
            if (!look(corruption, &looks[i], tail_rc))
                return false;
            continue;
        }
        corruptions.looks++;
        if (!open_clone(corruption, looks[i].a, looks[i].b, &rc))
            return false;
        if (i == 0)
            tail_rc = rc;
    }
    return true;
}

/* Is it the one to repeat, or in this run of a part of `make torture`, or in this test's share? */
static bool is_wanted(uint64_t number)
{
    if (corruptions.only_number)
        return number == corruptions.only_number;
    if (!corruptions.is_part)
        return number % 100 == 0 || number * 37 % 100 < repeat_share(100);
    if (corruptions.until > 0 && repeat_now() >= corruptions.until)
        return false;
    return corruptions.passed++ >= corruptions.from;
}

bool corruption_begin(struct corruption *corruption, struct sample *sample)
{
    uint64_t number = ++corruptions.next_number;

    memset(corruption, 0, sizeof *corruption);
    if (!is_wanted(number))
        return false;
    corruption->sample = sample;
    corruption->number = number;
    corruption->has_control = true;
    nori_sim_crash_kill(sample->sim, &corruption->sim);
    return true;
}

void corruption_finish(struct corruption *corruption, const char *format, ...)
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
                (unsigned long long)corruption->number, corruptions.drawn ? corruptions.drawn : "",
                what);
    nori_sim_sync_all(corruption->sim);
    sample_compare(sample, corruption->sim, corruption->has_control, &corruption->damage);
    is_last_gone = corruption->damage.is_gone[sample->file_count - 1];
    if (is_last_gone) /* the salt that `control` names is on no chain */
        sample_compare(sample, corruption->sim, false, &corruption->damage);
    if (corruption->is_compound)
        sample_allow_giving_up(sample, &corruption->damage);
    corruptions.tried++;
    sample->is_by_key = corruption->is_hidden;
    is_good = look_at(corruption, !corruption->is_byte || corruptions.is_by_all);
    sample->is_by_key = false;
    nori_sim_free(corruption->sim);
    if (is_good && corruptions.is_part)
        torture_progress(corruptions.passed, corruptions.passed - corruptions.from);
    if (is_good)
        return;
    print_message("sample %d, %s: %s: %s\n", (int)sample->kind, what, corruption->look,
                  corruption->why);
    repeat_print();
    if (corruptions.is_worker)
        _exit(1);
    fail();
}
