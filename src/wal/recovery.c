/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * recovery.c: from what a crash left to a log that can be appended to.
 *
 * What. First everything is judged, reading only: the chain of headers, then the records of each
 * live segment up to its stated end. Where that stops, the facts are put to the table in verdict.c.
 * Then what lies above the watermark is made durable (D5), a segment still called `spare` gets its
 * name, a `control` of another log goes to quarantine, and the control words are set. Where the log
 * ends is stated by the next append's new header; nothing else changes.
 *
 * The watermark is the highest LSN known to have been durable: from headers and marks on the live
 * chain, and from `control` if the salt stored with it is on the live chain, and never beyond that
 * segment's stated end.
 *
 * Failure. Before the first write nothing has changed. After it, a failure leaves what was there:
 * bytes are only replaced by themselves, and a name is given only to a file whose header is
 * durable.
 *
 * Not here. How bytes are made durable: forget.c, secure.c. The first header of the new life:
 * roll.c.
 */
#include "wal/recovery.h"

#include "base/plant.h"
#include "wal/ahead.h"
#include "wal/forget.h"
#include "wal/quarantine.h"
#include "wal/secure.h"
#include "wal/staged.h"

#include <stdio.h>
#include <string.h>

#define NW_ID_MAX (UINT64_MAX / 2)    /* a log never gets there: a strange name does */
#define MENDS_MAX ((uint64_t)1 << 20) /* damages mended in one open */

/* The judging in progress. */
struct judge {
    const struct nw_env *env;
    const struct nori_wal_config *config;
    struct nw_recovered *recovered;
    struct nori_recovery_info *info;
    struct nori_error *error;
    nw_scan_progress progress;
    void *context;
    bool for_writing;
    bool has_forgotten; /* what only memory may have */
    bool is_tail;       /* verify = tail */
    struct nw_cursor cursor;
    struct nw_ahead ahead;
    uint64_t watermark;                /* in-band only */
    struct nw_control_durable durable; /* what `control` claims */
    uint64_t hidden;                   /* records that holes hide */
    const struct nw_damage *accepted;  /* where a repair ends the log */
    uint64_t floor_lsn; /* the watermark before a repair, which may move away what told it */
    bool is_shortened;  /* a repair moved segments away: a torn tail counts as damage (D7) */
    struct nori_error read_only; /* why `control` can only be read; code 0: it can be stored to */
    uint64_t first_sequence;     /* of the oldest live link */
};

static uint64_t believe(const struct nw_chain *chain, const struct nw_control_durable *durable)
{
    const struct nw_link *link;
    uint64_t lsn = durable->lsn;

    if (durable->check != nw_control_check(durable->lsn, durable->salt) &&
        !NW_PLANT("believe-torn-watermark"))
        return 0;
    link = nw_chain_find_salt(chain, durable->salt);
    return link && lsn >= link->start ? nw_min_u64(lsn, nw_link_end_lsn(link)) : 0;
}

uint64_t nw_control_watermark(const struct nw_control *control, const struct nw_chain *chain)
{
    struct nw_control_durable durable;

    if (!control || control->words->log_id != chain->log_id)
        return 0;
    durable = nw_control_durable(control);
    return believe(chain, &durable);
}

static uint64_t watermark_of(const struct judge *judge)
{
    return nw_max_u64(judge->watermark, believe(&judge->recovered->chain, &judge->durable));
}

/* As they are now: beside a live writer they move on while the log is read. */
static void remember_control(struct judge *judge)
{
    struct nw_recovered *recovered = judge->recovered;

    if (recovered->control && recovered->chain.log_id != 0 &&
        recovered->control->words->log_id != recovered->chain.log_id) {
        nw_control_unref(recovered->control); /* of another log */
        recovered->control = NULL;
    }
    if (!recovered->control)
        return;
    judge->durable = nw_control_durable(recovered->control);
}

void nw_recovered_done(struct nw_recovered *recovered)
{
    nw_chain_done(&recovered->chain);
    nw_control_unref(recovered->control);
    recovered->control = NULL;
}

/* Segments of format 1 have no LSNs or sequence numbers of their own: they get those that fit
 * the first header. */
static void place_format1(struct nw_chain *chain, size_t next, uint64_t end_lsn)
{
    uint64_t lsn_shift = chain->links[next].start - end_lsn;

    for (size_t i = chain->first_live; i < next; i++)
        chain->links[i].start += lsn_shift;
}

static int corrupt_at(struct judge *judge, const struct nw_link *link, uint64_t offset,
                      const char *why, uint64_t bytes)
{
    char name[NW_NAME_MAX];

    nw_link_name(link, name);
    judge->info->corruption_detected = 1;
    if (judge->recovered->damage.kind == NW_DAMAGE_NONE)
        judge->recovered->damage = (struct nw_damage){NW_DAMAGE_CHAIN, link->id, offset, 0, 0};
    return nw_error_set(judge->error, NORI_E_CORRUPT, 0, (struct nori_position){link->id, offset},
                        "%s at %llu: %s (%llu bytes are at risk)", name, (unsigned long long)offset,
                        why, (unsigned long long)bytes);
}

/* With verify = tail: where the last writer closed the log. What it had reserved behind that may be
 * much, and nobody wrote to it. */
static uint64_t known_end(const struct judge *judge, const struct nw_link *link)
{
    const struct nw_control *control = judge->recovered->control;

    if (!judge->is_tail || !control || link->format != 2 || link->end != NW_OPEN_END ||
        atomic_load(&control->words->clean_salt) != link->header.salt ||
        atomic_load(&control->words->clean) < link->start)
        return 0;
    return atomic_load(&control->words->clean) - link->start;
}

/* Scan link i from scan->end on, or take what the threads found. */
static int scan_link(struct judge *judge, size_t i, struct nw_segment_scan *scan)
{
    const struct nw_chain *chain = &judge->recovered->chain;

    if (scan->end == chain->links[i].begin && nw_ahead_take(&judge->ahead, i, scan) &&
        (scan->stop == NW_STOP_AT_END || !judge->env->staged))
        return NORI_OK; /* else the ring may know how it goes on */
    scan->known_end = known_end(judge, &chain->links[i]);
    return nw_segment_scan(judge->env, chain, &chain->links[i], &judge->cursor,
                           judge->config->max_record_size, scan, judge->progress, judge->context,
                           judge->error);
}

/* The log ends before the end of the chain: what marks say there still counts, and what is there
 * is left behind. */
static int look_at_rest(struct judge *judge, size_t i)
{
    struct nw_chain *chain = &judge->recovered->chain;

    while (nw_chain_next_live(chain, i, &i)) {
        struct nw_link *link = &chain->links[i];
        struct nw_segment_scan scan = {.end = link->begin};
        int rc;

        if (link->format == 2)
            scan.next_sequence = link->header.base_sequence;
        rc = scan_link(judge, i, &scan);
        if (rc < 0)
            return rc;
        judge->watermark =
            nw_max_u64(judge->watermark, nw_max_u64(scan.watermark_lsn, scan.behind_lsn));
        judge->recovered->torn_bytes += scan.end - link->begin + scan.garbage_bytes;
    }
    return NORI_OK;
}

static uint64_t bytes_at_risk(const struct judge *judge, const struct nw_link *link,
                              const struct nw_segment_scan *scan)
{
    uint64_t end_lsn = link->start + scan->end;
    uint64_t watermark = watermark_of(judge);

    return nw_max_u64(judge->recovered->torn_bytes, watermark > end_lsn ? watermark - end_lsn : 0);
}

static bool is_accepted(const struct judge *judge, const struct nw_link *link,
                        const struct nw_segment_scan *scan)
{
    const struct nw_damage *accepted = judge->accepted;

    return accepted && accepted->kind == NW_DAMAGE_RECORDS && accepted->segment_id == link->id &&
           accepted->offset == scan->end;
}

/* Behind the last byte of a damaged segment that may be evidence. */
static uint64_t damage_end(const struct nw_link *link, const struct nw_segment_scan *scan)
{
    return link->end == NW_OPEN_END ? scan->end + scan->garbage_bytes : link->end;
}

/* Link i's scan stopped: the end of the log, or damage. */
static int decide(struct judge *judge, size_t i, const struct nw_segment_scan *scan)
{
    struct nw_chain *chain = &judge->recovered->chain;
    struct nw_link *link = &chain->links[i];
    struct nw_facts facts = {.format = link->format, .stop = scan->stop};
    const struct nw_verdict *verdict;
    size_t ignored;
    int rc;

    judge->recovered->torn_bytes = scan->garbage_bytes;
    judge->watermark = nw_max_u64(judge->watermark, scan->behind_lsn);
    rc = look_at_rest(judge, i);
    if (rc < 0)
        return rc;
    facts.place = nw_chain_next_live(chain, i, &ignored) ? NW_PLACE_ENDED : NW_PLACE_NEWEST;
    facts.is_below_watermark =
        link->start + scan->end < watermark_of(judge) && !NW_PLANT("ignore-watermark");
    facts.is_strict = judge->config->recovery_mode == NORI_RECOVER_STRICT;
    verdict = nw_verdict_of(&facts);

    judge->info->bytes_truncated = judge->recovered->torn_bytes;
    judge->recovered->torn_at = (struct nori_position){link->id, scan->end};
    if (is_accepted(judge, link, scan)) {
        judge->recovered->was_cut = true;
        judge->info->corruption_detected = 1;
    } else if (verdict->decision == NW_DECIDE_CORRUPT ||
               (judge->is_shortened && judge->recovered->torn_bytes > 0)) {
        judge->recovered->damage = (struct nw_damage){NW_DAMAGE_RECORDS, link->id, scan->end,
                                                      damage_end(link, scan), scan->next_sequence};
        return corrupt_at(judge, link, scan->end, verdict->why, bytes_at_risk(judge, link, scan));
    } else if (verdict->decision == NW_DECIDE_REFUSE) {
        return nw_error_set(judge->error, NORI_E_CORRUPT, 0, judge->recovered->torn_at,
                            "segment %llu at %llu: %s", (unsigned long long)link->id,
                            (unsigned long long)scan->end, verdict->why);
    }
    judge->recovered->end_lsn = link->start + scan->end;
    judge->recovered->next_sequence = scan->next_sequence + scan->doubt; /* none is given twice */
    judge->hidden += scan->doubt;
    for (size_t later = i; nw_chain_next_live(chain, later, &later);)
        chain->links[later].is_live = false;
    (void)snprintf(judge->info->message, sizeof judge->info->message, "%s", verdict->why);
    return NORI_OK;
}

/* With verify = tail: begin at the last mark before the watermark, if the records from there
 * lead exactly to it. */
static int skip_durable(struct judge *judge, size_t *ret_index, struct nw_segment_scan *scan)
{
    struct nw_chain *chain = &judge->recovered->chain;
    uint64_t watermarks[2] = {watermark_of(judge), judge->watermark};

    /* Only their records tell where segments of format 1 end: they are read whole. */
    if (chain->links[chain->first_live].format == 1)
        return NORI_OK;
    for (size_t attempt = 0; attempt < 2; attempt++) {
        uint64_t watermark = watermarks[attempt];
        size_t i = chain->count;
        struct nori_file *file = NULL;
        struct nw_link link;
        int rc;

        while (i > chain->first_live &&
               !(chain->links[i - 1].is_live && chain->links[i - 1].format == 2 &&
                 chain->links[i - 1].start + chain->links[i - 1].begin <= watermark))
            i--;
        if (i == chain->first_live)
            return NORI_OK;
        link = chain->links[i - 1];
        rc = nw_link_open(judge->env, &link, 0, &file, judge->error);
        if (rc < 0)
            return rc;
        rc = nw_scan_find_mark_before(&link, chain->log_id, file, judge->env->allocator,
                                      watermark - link.start, &scan->end, &scan->next_sequence);
        file->ops->close(file);
        if (rc < 0)
            return nw_io_error(judge->error, rc, (struct nori_position){link.id, 0},
                               "read segment");
        link.end = watermark - link.start;
        if (nw_min_u64(link.end, chain->links[i - 1].end) != link.end)
            continue;
        rc = nw_segment_scan(judge->env, chain, &link, &judge->cursor,
                             judge->config->max_record_size, scan, NULL, NULL, judge->error);
        if (rc < 0)
            return rc;
        if (scan->stop == NW_STOP_AT_END) {
            *ret_index = i - 1;
            /* Nothing but its records tells where a segment of format 1 ends. */
            return nw_scan_measure_format1(judge->env, chain, judge->error);
        }
        memset(scan, 0, sizeof *scan); /* not a place between batches: it proves nothing */
    }
    return NORI_OK;
}

static int check_sequence(struct judge *judge, const struct nw_link *link,
                          const struct nw_segment_scan *before, uint32_t previous_format)
{
    uint64_t base = link->header.base_sequence;
    /* A first header behind format 1 may count more than are left of those. */
    bool is_exact = previous_format == 2 && before->doubt == 0;

    if (link->format != 2)
        return NORI_OK;
    if (is_exact ? base != before->next_sequence : base < before->next_sequence)
        return corrupt_at(judge, link, 0,
                          "its first sequence number does not follow the segment before", 0);
    if (before->doubt > 0)
        judge->hidden += base - before->next_sequence;
    return NORI_OK;
}

/* Take in what a scan found; 1 if the log goes on in the next link. */
static int take_scan(struct judge *judge, size_t i, const struct nw_segment_scan *scan)
{
    struct nw_chain *chain = &judge->recovered->chain;
    struct nw_link *link = &chain->links[i];
    size_t next;

    judge->info->segments_scanned++;
    judge->info->bytes_scanned += scan->bytes;
    judge->hidden += scan->hidden;
    judge->watermark = nw_max_u64(judge->watermark, scan->watermark_lsn);
    if (scan->last_record)
        judge->info->last_valid_position = (struct nori_position){link->id, scan->last_record};
    else if (scan->records > 0)
        /* format 1 begins at 0 */
        judge->info->last_valid_position = (struct nori_position){link->id, 0};
    if (scan->is_sequence_wrong)
        return corrupt_at(judge, link, scan->end,
                          "a mark disagrees with the number of records before it", 0);
    if (scan->stop != NW_STOP_AT_END || !nw_chain_next_live(chain, i, &next))
        return decide(judge, i, scan);
    if (link->end == NW_OPEN_END) {
        nw_assert(link->format == 1);
        link->end = scan->end;
    }
    if (link->format == 1 && chain->links[next].format == 2 &&
        chain->links[next].start < link->start + link->end)
        return corrupt_at(judge, &chain->links[next], 0,
                          "it starts before the segments of format 1 before it end", 0);
    if (link->format == 1 && chain->links[next].format == 2)
        place_format1(chain, next, link->start + link->end);
    else if (link->format == 1)
        chain->links[next].start = link->start + link->end;
    return 1;
}

static int scan_live(struct judge *judge)
{
    struct nw_chain *chain = &judge->recovered->chain;
    size_t i = chain->first_live;
    struct nw_segment_scan scan = {0};
    uint32_t previous_format = 0;
    int rc = NORI_OK;

    judge->first_sequence = chain->links[i].format == 2 ? chain->links[i].header.base_sequence : 1;
    if (judge->is_tail)
        rc = skip_durable(judge, &i, &scan);
    else
        nw_ahead_scan(&judge->ahead, judge->env, chain, i, judge->config->max_record_size);
    if (rc < 0)
        return rc;
    for (bool is_first = true;; is_first = false) {
        struct nw_link *link = &chain->links[i];
        struct nw_segment_scan before = scan;

        if (!is_first || scan.end == 0) {
            scan = (struct nw_segment_scan){.end = link->begin};
            scan.next_sequence = link->format == 2 ? link->header.base_sequence
                                 : is_first        ? 1
                                                   : before.next_sequence;
        }
        if (!is_first)
            rc = check_sequence(judge, link, &before, previous_format);
        if (!is_first && previous_format == 1 && link->format == 2)
            judge->first_sequence += link->header.base_sequence - before.next_sequence;
        previous_format = link->format;
        if (rc < 0)
            return rc;
        rc = scan_link(judge, i, &scan);
        if (rc < 0)
            return rc;
        rc = take_scan(judge, i, &scan);
        if (rc != 1)
            return rc;
        (void)nw_chain_next_live(chain, i, &i);
    }
}

/* The last record of one link before `high`, looked for backwards from mark to mark. */
static int find_last_in(struct judge *judge, struct nw_link link, uint64_t high)
{
    while (high > link.begin) {
        struct nw_segment_scan scan = {0};
        struct nori_file *file = NULL;
        uint64_t low;
        int rc = nw_link_open(judge->env, &link, 0, &file, judge->error);

        if (rc < 0)
            return rc;
        rc = nw_scan_find_mark_before(&link, judge->recovered->chain.log_id, file,
                                      judge->env->allocator, high, &scan.end, &scan.next_sequence);
        file->ops->close(file);
        if (rc < 0)
            return nw_io_error(judge->error, rc, (struct nori_position){link.id, 0},
                               "read segment");
        low = scan.end;
        link.end = high;
        rc = nw_segment_scan(judge->env, &judge->recovered->chain, &link, &judge->cursor,
                             judge->config->max_record_size, &scan, NULL, NULL, judge->error);
        if (rc < 0)
            return rc;
        if (scan.records > 0) {
            judge->info->last_valid_position = (struct nori_position){link.id, scan.last_record};
            return 1;
        }
        high = low;
    }
    return NORI_OK;
}

/* With verify = tail: what was scanned may hold no record, only marks. The last one lies before
 * it then. */
static int find_last_record(struct judge *judge)
{
    struct nw_chain *chain = &judge->recovered->chain;
    const struct nori_position *last = &judge->info->last_valid_position;
    int rc = NORI_OK;

    if (last->segment_id != 0 || last->offset != 0 ||
        judge->recovered->next_sequence == judge->first_sequence)
        return NORI_OK;
    for (size_t i = chain->count; i > chain->first_live && rc == NORI_OK; i--) {
        const struct nw_link *link = &chain->links[i - 1];

        if (link->is_live)
            rc = find_last_in(judge, *link,
                              nw_min_u64(nw_link_end_lsn(link), judge->recovered->end_lsn) -
                                  link->start);
    }
    return rc < 0 ? rc : NORI_OK;
}

/* An empty folder, or one whose records are all gone. */
static bool is_clean(const struct nw_recovered *recovered)
{
    const struct nw_control_words *words = recovered->control ? recovered->control->words : NULL;
    const struct nw_link *last = nw_chain_last(&recovered->chain);

    if (!last)
        return !words || (!recovered->chain.has_ids && atomic_load(&words->published) == 0);
    if (last->format == 1 && recovered->end_lsn == 0)
        return false; /* a word that was cleared would say the same */
    return words && atomic_load(&words->clean) == recovered->end_lsn &&
           atomic_load(&words->clean_salt) == (last->format == 2 ? last->header.salt : 0);
}

static void describe(struct nw_recovered *recovered, struct nori_recovery_info *info)
{
    if (recovered->is_new)
        (void)snprintf(info->message, sizeof info->message, "a new log");
    else if (recovered->was_clean)
        (void)snprintf(info->message, sizeof info->message, "the log was closed cleanly");
}

/* Format 1 cannot go on where format 2 began: the Rust crate would not read those segments. */
static int refuse_format1(struct nori_error *error, uint64_t segment_id)
{
    return nw_error_set(error, NORI_E_UNSUPPORTED, 0, (struct nori_position){segment_id, 0},
                        "open with format 1: the log has segments of format 2, such as %llu, and "
                        "goes on in that; convert it into another folder",
                        (unsigned long long)segment_id);
}

static int check_format(struct judge *judge)
{
    const struct nw_link *last = nw_chain_last(&judge->recovered->chain);

    if (judge->for_writing && judge->config->format == 1 && last && last->format == 2)
        return refuse_format1(judge->error, last->id);
    return NORI_OK;
}

/* Where the chain is damaged: does any file have a header, or had one? */
static int has_header(const struct judge *judge)
{
    const struct nw_env *env = judge->env;
    struct nori_error problem = NORI_ERROR_INIT;
    int is_found = 0;
    struct nw_chain chain;
    int rc;

    nw_chain_init(&chain, env->allocator);
    rc = nw_chain_list(&chain, env, &problem);
    for (size_t i = 0; i < chain.count && rc >= 0 && !is_found; i++) {
        uint8_t start[NW_HEADER_LEN];
        size_t len = sizeof start;
        struct nw_header header;
        uint64_t bytes;
        char name[NW_NAME_MAX];

        nw_name_format(name, chain.links[i].id);
        rc = nw_env_read_start(env, name, start, &len, &bytes, &problem);
        is_found = rc >= 0 && (nw_header_decode(start, len, &header) != NW_HEADER_NONE ||
                               nw_header_lacks_only_magic(start, len));
    }
    nw_chain_done(&chain);
    if (rc < 0)
        nw_error_copy(judge->error, &problem); /* else it keeps the place of the damage */
    return rc < 0 ? rc : is_found;
}

/* Ids are never used twice, and never come to an end: *ret_next is behind all that were. */
static int find_next_id(const struct judge *judge, uint64_t *ret_next)
{
    const struct nw_chain *chain = &judge->recovered->chain;
    struct nori_error problem = NORI_ERROR_INIT;
    uint64_t set_aside = 0;
    uint64_t used;
    int rc = nw_quarantine_id_max(judge->env, &set_aside, &problem);

    /* Who writes may not use an id again that it cannot see; who reads uses none. */
    if (rc < 0 && judge->for_writing) {
        nw_error_copy(judge->error, &problem);
        return rc;
    }
    used = nw_max_u64(chain->has_ids ? chain->id_max : 0, set_aside);
    *ret_next = rc == 1 || chain->has_ids ? used + 1 : 0;
    if (used <= NW_ID_MAX || !judge->for_writing)
        return NORI_OK;
    return nw_error_set(judge->error, NORI_E_UNSUPPORTED, 0, (struct nori_position){used, 0},
                        "open: no segment id is left above %llu", (unsigned long long)used);
}

/* From now on the segments read as if what only the ring has were in them. */
static int begin_staged(struct judge *judge)
{
    struct nw_staged *staged = judge->env->staged;
    bool is_live;
    int rc;

    if (!staged)
        return NORI_OK;
    is_live = staged->is_live;
    nw_staged_done(staged);
    rc = nw_staged_begin(staged, judge->env, judge->recovered->control, judge->error);
    staged->is_live = is_live;
    staged->floor_lsn = nw_max_u64(watermark_of(judge), judge->floor_lsn);
    return rc;
}

/* Where it cannot be mapped for storing, it is only read: to open a log that has nothing in its
 * ring needs no space (D9), and what the ring has is taken from it. If it cannot be read either, a
 * writer waits, or what only its ring has is lost (D2). */
static int open_control(struct judge *judge)
{
    struct nw_control **control = &judge->recovered->control;
    int rc;

    judge->read_only = (struct nori_error)NORI_ERROR_INIT;
    rc = nw_control_open(judge->env, judge->for_writing, control, &judge->read_only);
    if (rc == NORI_E_NOSPACE || rc == NORI_E_UNSUPPORTED) {
        rc = nw_control_open(judge->env, false, control, judge->error);
        if (rc < 0 || *control || judge->read_only.code == NORI_E_NOSPACE)
            return rc;
        rc = judge->read_only.code;
    }
    if (rc < 0)
        nw_error_copy(judge->error, &judge->read_only);
    return rc;
}

/* Headers, control words, and the watermark. */
static int load(struct judge *judge)
{
    struct nw_recovered *recovered = judge->recovered;
    struct nw_chain *chain = &recovered->chain;
    int rc = nw_chain_load(chain, judge->env, judge->for_writing, judge->error);
    int other = NORI_OK;

    if (rc >= 0 || rc == NORI_E_CORRUPT)
        other = find_next_id(judge, &recovered->next_id);
    if (other >= 0 && rc == NORI_E_CORRUPT && judge->for_writing && judge->config->format == 1)
        other = has_header(judge);
    if (other == 1)
        return refuse_format1(judge->error, judge->error->position.segment_id);
    if (other < 0)
        return other;
    if (rc < 0) {
        judge->info->corruption_detected = rc == NORI_E_CORRUPT;
        if (rc == NORI_E_CORRUPT)
            judge->recovered->damage =
                (struct nw_damage){NW_DAMAGE_CHAIN, judge->error->position.segment_id, 0, 0, 0};
        return rc;
    }
    rc = check_format(judge);
    if (rc >= 0)
        rc = open_control(judge);
    if (rc < 0)
        return rc;
    remember_control(judge);
    judge->watermark = nw_chain_watermark(chain);
    return NORI_OK;
}

/* An open for writing judges what the disk has, not what a write that failed in the background has
 * left in the page cache: that is let go of first, and what was loaded is loaded again. */
static int load_from_disk(struct judge *judge)
{
    struct nw_recovered *recovered = judge->recovered;
    int rc = load(judge);

    if (rc < 0 || !judge->for_writing || judge->has_forgotten)
        return rc;
    judge->has_forgotten = true;
    rc = nw_forget_undurable(judge->env, &recovered->chain, recovered->control, watermark_of(judge),
                             judge->error);
    if (rc <= 0)
        return rc;
    nw_recovered_done(recovered);
    nw_chain_init(&recovered->chain, judge->env->allocator);
    return load(judge);
}

static int judge_all(struct judge *judge)
{
    struct nw_recovered *recovered = judge->recovered;
    struct nw_chain *chain = &recovered->chain;
    int rc = load_from_disk(judge);

    if (rc >= 0)
        rc = begin_staged(judge);
    if (rc < 0)
        return rc;
    recovered->next_sequence = 1;
    judge->first_sequence = 1;
    recovered->is_new = !nw_chain_last(chain);
    if (!recovered->is_new) {
        rc = scan_live(judge);
        if (rc >= 0 && judge->is_tail)
            rc = find_last_record(judge);
        if (rc < 0)
            return rc;
    }
    recovered->was_clean = is_clean(recovered);
    recovered->log_id = chain->log_id        ? chain->log_id
                        : recovered->control ? recovered->control->words->log_id
                                             : 0;
    if (!recovered->was_clean)
        recovered->next_id += 4; /* names of so many may have been lost */
    judge->info->valid_records = recovered->next_sequence - judge->first_sequence - judge->hidden;
    judge->info->was_clean = recovered->was_clean;
    describe(recovered, judge->info);
    return NORI_OK;
}

static int judge_with(struct judge *judge)
{
    int rc;

    memset(judge->recovered, 0, sizeof *judge->recovered);
    nw_chain_init(&judge->recovered->chain, judge->env->allocator);
    nw_cursor_begin(&judge->cursor, judge->env->allocator, NULL, 2, 0, 0, 0, false);
    judge->ahead = (struct nw_ahead){.allocator = judge->env->allocator};
    rc = judge_all(judge);
    nw_ahead_done(&judge->ahead);
    nw_cursor_done(&judge->cursor);
    if (rc < 0)
        nw_recovered_done(judge->recovered);
    return rc;
}

int nw_recovery_judge(const struct nw_env *env, const struct nori_wal_config *config,
                      struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
                      nw_scan_progress progress, void *context, struct nori_error *error)
{
    struct judge judge = {.env = env,
                          .config = config,
                          .recovered = ret_recovered,
                          .info = info,
                          .error = error,
                          .progress = progress,
                          .context = context,
                          .is_tail = config->verify == NORI_VERIFY_TAIL};

    return judge_with(&judge);
}

/* The last life may have died between a change of names and its sync: what recovery saw in the
 * folder must stay so. A removed file that came back later, when others are gone, would look
 * like the oldest of the log. */
static int sync_folder(const struct nw_env *env, struct nori_error *error)
{
    int rc = env->folder->ops->sync(env->folder);

    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "open: sync the folder") : NORI_OK;
}

static bool has_unnamed(const struct nw_chain *chain)
{
    const struct nw_link *last = nw_chain_last(chain);

    return last && last->is_spare;
}

/* From now on readers see this life. */
static void set_words(struct nw_recovered *recovered)
{
    struct nw_control_words *words = recovered->control->words;
    const struct nw_link *last = nw_chain_last(&recovered->chain);
    uint32_t is_shorter = atomic_load(&words->published) > recovered->end_lsn;

    atomic_fetch_add(&words->history, is_shorter);
    atomic_fetch_add(&words->cut, 1);
    if (last && last->format == 1)
        nw_control_set_place(recovered->control, last->id, last->start);
    atomic_store(&words->oldest,
                 last ? recovered->chain.links[recovered->chain.first_live].start : 0);
    nw_control_set_durable(recovered->control, recovered->end_lsn,
                           last && last->format == 2 ? last->header.salt : 0);
    atomic_store(&words->written, recovered->end_lsn);
    atomic_store(&words->published, recovered->end_lsn);
    /* Who looked meanwhile compared with what was there; in format 1 LSNs are others, too. */
    atomic_fetch_add(&words->history, is_shorter);
    if (is_shorter || (last && last->format == 1))
        atomic_fetch_add(&words->cut, 1);
    nw_control_announce(recovered->control);
    nw_control_wake(recovered->control);
}

/*
 * What this recovery has cut off may still be in the ring, from the end on. The header of the next
 * segment comes there, which is no part of the ring and so overwrites nothing; but once it is
 * published a reader at the end of the segment before looks there, and must not find them (D1,
 * D11). What lies behind is overwritten before it is published.
 */
static void wipe_cut_off(const struct nw_recovered *recovered)
{
    const struct nw_control *control = recovered->control;
    size_t at, first;

    if (control->ring_len == 0 || NW_PLANT("ring-not-wiped"))
        return;
    at = (size_t)(recovered->end_lsn & (control->ring_len - 1));
    first = (size_t)nw_min_u64(NW_HEADER_LEN, control->ring_len - at);
    memset(control->ring + at, 0, first);
    memset(control->ring, 0, NW_HEADER_LEN - first);
}

static int choose_log_id(const struct nw_env *env, struct nw_recovered *recovered,
                         struct nori_error *error)
{
    while (recovered->log_id == 0) {
        int rc = env->vfs->random(env->vfs->context, &recovered->log_id, sizeof recovered->log_id);

        if (rc < 0)
            return nw_io_error(error, rc, NW_NOWHERE, "open: random bytes");
    }
    return NORI_OK;
}

/* Damage is going to be mended, and segments may be moved away: what only the ring has of them goes
 * with them (D7). */
static int write_staged_back(struct judge *judge)
{
    struct nw_staged *staged = judge->env->staged;
    struct nw_chain chain;
    int rc = NORI_OK;

    nw_chain_init(&chain, judge->env->allocator);
    if (staged->count > 0)
        rc = nw_chain_load(&chain, judge->env, true, judge->error);
    for (size_t i = 0; rc >= 0 && i < chain.count; i++) {
        struct nori_file *file = NULL;

        if (nw_staged_from(staged, chain.links[i].header.salt) == UINT64_MAX)
            continue;
        rc = nw_link_open(judge->env, &chain.links[i], NORI_FILE_WRITE, &file, judge->error);
        if (rc < 0)
            break;
        rc = nw_staged_write_back(staged, chain.links[i].header.salt, file);
        file->ops->close(file);
        if (rc < 0)
            rc = nw_io_error(judge->error, rc, (struct nori_position){chain.links[i].id, 0},
                             "open: write what the staging ring has to segment %llu",
                             (unsigned long long)chain.links[i].id);
    }
    nw_chain_done(&chain);
    nw_staged_forget(staged); /* the files have them */
    return rc;
}

/* Modes prefix and salvage: as long as there is damage, mend the first of it and judge again. */
static int judge_and_mend(struct judge *judge, struct nw_damage *accepted)
{
    uint32_t mode = judge->config->recovery_mode;
    bool is_lenient = mode == NORI_RECOVER_PREFIX || mode == NORI_RECOVER_SALVAGE;
    uint64_t quarantined = 0;
    bool was_damaged = false;
    int rc;

    for (uint64_t round = 0;; round++) {
        struct nw_damage damage;
        char why[sizeof judge->error->message];

        *judge->info = (struct nori_recovery_info)NORI_RECOVERY_INFO_INIT;
        judge->watermark = judge->hidden = 0;
        rc = judge_with(judge);
        damage = judge->recovered->damage;
        if (rc != NORI_E_CORRUPT || !is_lenient || round == MENDS_MAX)
            break;
        if (judge->config->flags & NORI_OPEN_MUST_CREATE)
            break; /* there is a log already: nothing is mended */
        if (judge->read_only.code == NORI_E_NOSPACE) { /* nothing has changed yet */
            nw_error_copy(judge->error, &judge->read_only);
            rc = judge->read_only.code; /* what there is may not be enough */
            break;
        }
        was_damaged = true;
        memcpy(why, judge->error->message, sizeof why);
        judge->floor_lsn = nw_max_u64(judge->floor_lsn, judge->env->staged->floor_lsn);
        rc = write_staged_back(judge);
        if (rc < 0)
            break;
        rc = nw_repair(judge->env, judge->config, &damage, why, accepted, &quarantined,
                       judge->error);
        if (rc < 0)
            break;
        judge->is_shortened |= rc == 1;
        /* Behind a header that was made anew may be anything, as when a repair was interrupted. */
        judge->is_tail = judge->is_tail && mode == NORI_RECOVER_PREFIX;
    }
    judge->info->bytes_quarantined = quarantined;
    judge->info->corruption_detected |= was_damaged;
    if (rc >= 0 && was_damaged)
        (void)snprintf(judge->info->message, sizeof judge->info->message,
                       "damage was %s; %llu bytes of evidence are in quarantine",
                       judge->recovered->was_cut ? "cut off, and the log ends there" : "mended",
                       (unsigned long long)quarantined);
    return rc;
}

static int check_existence(const struct nori_wal_config *config,
                           const struct nw_recovered *recovered, struct nori_error *error)
{
    if ((config->flags & NORI_OPEN_MUST_EXIST) && recovered->is_new)
        return nw_error_set(error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "open %s: there is no log",
                            config->dir);
    if ((config->flags & NORI_OPEN_MUST_CREATE) && !recovered->is_new)
        return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE, "open %s: there is a log already",
                            config->dir);
    return NORI_OK;
}

/* A `control` of another log is not ours to overwrite: it goes to quarantine. Where that fails, as
 * on a full disk (D9), it stays, and ours is in memory for as long as this life. */
static int make_control(const struct nw_env *env, const struct nori_wal_config *config,
                        struct nw_recovered *recovered, struct nori_recovery_info *info,
                        struct nori_error *error)
{
    const char *why = "it does not belong to the log in this folder, or cannot be read";
    struct nori_error problem = NORI_ERROR_INIT;
    struct nw_quarantine quarantine;
    int rc = NORI_OK;

    nw_quarantine_init(&quarantine, env, config->file_mode);
    if (recovered->chain.log_id != 0 && nw_control_is_foreign(env, recovered->chain.log_id))
        rc = nw_quarantine_move_file(&quarantine, NW_NAME_CONTROL, NW_NOWHERE, why, &problem);
    nw_quarantine_done(&quarantine);
    if (rc == NORI_E_IO || rc == NORI_E_NOMEM) {
        nw_error_copy(error, &problem);
        return rc;
    }
    if (quarantine.bytes > 0 && !info->corruption_detected && info->bytes_truncated == 0)
        (void)snprintf(info->message, sizeof info->message, "%s was set aside: %s", NW_NAME_CONTROL,
                       why);
    info->bytes_quarantined += quarantine.bytes;
    return nw_control_create(env, config->file_mode, recovered->log_id, config->buffer_size, rc < 0,
                             &recovered->control, error);
}

/* Where there is no space for what only its ring has, nothing changes (D2). */
static int check_space(struct judge *judge)
{
    if (judge->read_only.code != NORI_E_NOSPACE || judge->env->staged->count == 0)
        return NORI_OK;
    nw_error_copy(judge->error, &judge->read_only);
    return judge->read_only.code;
}

/* One that cannot be stored to is made anew, at worst in memory: by now the segments have what its
 * ring had. Its name goes first: that tells readers who map it to look for another (D11). */
static int give_up_control(struct judge *judge)
{
    const struct nw_env *env = judge->env;
    int rc;

    if (judge->read_only.code == 0)
        return NORI_OK;
    nw_control_unref(judge->recovered->control);
    judge->recovered->control = NULL;
    rc = env->folder->ops->remove(env->folder, NW_NAME_CONTROL);
    if (rc >= 0 || NORI_VFS_CODE(rc) == NORI_E_NOTFOUND)
        return NORI_OK;
    nw_error_copy(judge->error, &judge->read_only);
    return judge->read_only.code;
}

static int recover(const struct nw_env *env, const struct nori_wal_config *config,
                   struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
                   struct nori_error *error)
{
    struct nw_damage accepted = {NW_DAMAGE_NONE, 0, 0, 0, 0};
    struct judge judge = {.env = env,
                          .config = config,
                          .recovered = ret_recovered,
                          .info = info,
                          .error = error,
                          .for_writing = true,
                          .accepted = &accepted,
                          .is_tail = config->verify == NORI_VERIFY_TAIL};
    uint64_t watermark;
    int rc = judge_and_mend(&judge, &accepted);

    if (rc < 0)
        return rc;
    rc = check_existence(config, ret_recovered, error);
    if (rc >= 0)
        rc = check_space(&judge);
    watermark = nw_min_u64(watermark_of(&judge), ret_recovered->end_lsn);
    if (rc >= 0)
        rc = sync_folder(env, error);
    if (rc >= 0 && !NW_PLANT("no-rewrite") &&
        (ret_recovered->end_lsn > watermark || has_unnamed(&ret_recovered->chain) ||
         env->staged->count > 0 || ret_recovered->torn_bytes > 0))
        rc = nw_secure(env, config, ret_recovered, watermark, info, error);
    info->bytes_from_staging = nw_staged_bytes(env->staged);
    if (rc >= 0)
        rc = give_up_control(&judge);
    if (rc >= 0)
        rc = choose_log_id(env, ret_recovered, error);
    if (rc >= 0 && !ret_recovered->control)
        rc = make_control(env, config, ret_recovered, info, error);
    if (rc < 0) {
        nw_recovered_done(ret_recovered);
        return rc;
    }
    set_words(ret_recovered);
    /* after the words: now nobody looks for anything in the ring */
    wipe_cut_off(ret_recovered);
    if (nw_control_resize(ret_recovered->control, config->buffer_size))
        atomic_fetch_add(&ret_recovered->control->words->cut, 1);
    return NORI_OK;
}

int nw_recover(const struct nw_env *env, const struct nori_wal_config *config,
               struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
               struct nori_error *error)
{
    struct nw_staged staged = {.allocator = env->allocator};
    struct nw_env with_ring = *env;
    int rc;

    with_ring.staged = &staged;
    rc = recover(&with_ring, config, ret_recovered, info, error);
    nw_staged_done(&staged);
    return rc;
}
