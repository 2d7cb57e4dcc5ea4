/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * judge.c: what a log is after a crash, found out by reading only.
 *
 * What. The chain of headers, then the records of each live segment up to its stated end. Where
 * that stops, the facts are put to the table in verdict.c: the log ends there, or it is damaged.
 *
 * The watermark is the highest LSN known to have been durable: from headers and marks on the live
 * chain, and from `control` if the salt stored with it is on the live chain, and never beyond that
 * segment's stated end.
 *
 * Failure. No byte of the log has changed.
 *
 * Not here. What an open for writing does with it: recovery.c. Every damage and not just the first:
 * damage.c.
 */
#include "wal/judge.h"

#include "base/plant.h"
#include "wal/forget.h"
#include "wal/quarantine.h"
#include "wal/staged.h"

#include <stdio.h>
#include <string.h>

static bool is_stored_whole(const struct nw_control_durable *durable)
{
    return durable->check == nw_control_check(durable->lsn, durable->salt);
}

static uint64_t believe(const struct nw_chain *chain, const struct nw_control_durable *durable)
{
    const struct nw_link *link;
    uint64_t lsn = durable->lsn;

    if (!is_stored_whole(durable) && !NW_PLANT("believe-torn-watermark"))
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

static bool has_format2_behind(const struct nw_control_durable *durable, uint64_t end_lsn)
{
    return durable->lsn > end_lsn && durable->salt != 0 && is_stored_whole(durable) &&
           !NW_PLANT("lost-header-is-empty");
}

bool nw_control_has_format2_behind(const struct nw_control *control, uint64_t end_lsn)
{
    struct nw_control_durable durable;

    if (!control)
        return false;
    durable = nw_control_durable(control);
    return has_format2_behind(&durable, end_lsn);
}

uint64_t nw_judge_watermark(const struct nw_judge *judge)
{
    return nw_max_u64(judge->watermark, believe(&judge->recovered->chain, &judge->durable));
}

/* As they are now: beside a live writer they move on while the log is read. */
static void remember_control(struct nw_judge *judge)
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

static int corrupt_at(struct nw_judge *judge, const struct nw_link *link, uint64_t offset,
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
static uint64_t known_end(const struct nw_judge *judge, const struct nw_link *link)
{
    const struct nw_control *control = judge->recovered->control;

    if (!judge->is_tail || !control || link->format != 2 || link->end != NW_OPEN_END ||
        atomic_load(&control->words->clean_salt) != link->header.salt ||
        atomic_load(&control->words->clean) < link->start)
        return 0;
    return atomic_load(&control->words->clean) - link->start;
}

/* Scan link i from scan->end on, or take what the threads found. */
static int scan_link(struct nw_judge *judge, size_t i, struct nw_segment_scan *scan)
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
static int look_at_rest(struct nw_judge *judge, size_t i)
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

static uint64_t bytes_at_risk(const struct nw_judge *judge, const struct nw_link *link,
                              const struct nw_segment_scan *scan)
{
    uint64_t end_lsn = link->start + scan->end;
    uint64_t watermark = nw_judge_watermark(judge);

    return nw_max_u64(judge->recovered->torn_bytes, watermark > end_lsn ? watermark - end_lsn : 0);
}

static bool is_accepted(const struct nw_judge *judge, const struct nw_link *link,
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
static int decide(struct nw_judge *judge, size_t i, const struct nw_segment_scan *scan)
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
        link->start + scan->end < nw_judge_watermark(judge) && !NW_PLANT("ignore-watermark");
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
static int skip_durable(struct nw_judge *judge, size_t *ret_index, struct nw_segment_scan *scan)
{
    struct nw_chain *chain = &judge->recovered->chain;
    uint64_t watermarks[2] = {nw_judge_watermark(judge), judge->watermark};

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

static int check_sequence(struct nw_judge *judge, const struct nw_link *link,
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
static int take_scan(struct nw_judge *judge, size_t i, const struct nw_segment_scan *scan)
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

static int scan_live(struct nw_judge *judge)
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
static int find_last_in(struct nw_judge *judge, struct nw_link link, uint64_t high)
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
static int find_last_record(struct nw_judge *judge)
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

static int check_format(struct nw_judge *judge)
{
    const struct nw_link *last = nw_chain_last(&judge->recovered->chain);

    if (judge->for_writing && judge->config->format == 1 && last && last->format == 2)
        return refuse_format1(judge->error, last->id);
    return NORI_OK;
}

/* Where the chain is damaged: does any file have a header, or had one? */
static int has_header(const struct nw_judge *judge)
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
static int find_next_id(const struct nw_judge *judge, uint64_t *ret_next)
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
static int begin_staged(struct nw_judge *judge)
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
    staged->floor_lsn = nw_max_u64(nw_judge_watermark(judge), judge->floor_lsn);
    return rc;
}

/* Where it cannot be mapped for storing, it is only read: to open a log that has nothing in its
 * ring needs no space (D9), and what the ring has is taken from it. If it cannot be read either, a
 * writer waits, or what only its ring has is lost (D2). */
static int open_control(struct nw_judge *judge)
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
static int load(struct nw_judge *judge)
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
static int load_from_disk(struct nw_judge *judge)
{
    struct nw_recovered *recovered = judge->recovered;
    int rc = load(judge);

    if (rc < 0 || !judge->for_writing || judge->has_forgotten)
        return rc;
    judge->has_forgotten = true;
    rc = nw_forget_undurable(judge->env, &recovered->chain, recovered->control,
                             nw_judge_watermark(judge), judge->error);
    if (rc <= 0)
        return rc;
    nw_recovered_done(recovered);
    nw_chain_init(&recovered->chain, judge->env->allocator);
    return load(judge);
}

/* The newest file has no header, and no record of format 1: it looks as if it had just been begun.
 * If the watermark lay behind it, in a segment of format 2, such a header is what it has lost. */
static int check_lost_header(struct nw_judge *judge)
{
    const struct nw_recovered *recovered = judge->recovered;
    const struct nw_link *last = nw_chain_last(&recovered->chain);

    if (last->format != 1 || last->start != recovered->end_lsn || !recovered->control ||
        judge->is_shortened || recovered->was_cut ||
        !has_format2_behind(&judge->durable, recovered->end_lsn))
        return NORI_OK;
    return corrupt_at(judge, last, 0,
                      "the segment header is lost: durable records of format 2 were here",
                      judge->durable.lsn - recovered->end_lsn);
}

static int judge_all(struct nw_judge *judge)
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
        if (rc >= 0)
            rc = check_lost_header(judge);
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

int nw_judge_with(struct nw_judge *judge)
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

int nw_judge(const struct nw_env *env, const struct nori_wal_config *config,
             struct nw_recovered *ret_recovered, struct nori_recovery_info *info,
             nw_scan_progress progress, void *context, struct nori_error *error)
{
    struct nw_judge judge = {.env = env,
                             .config = config,
                             .recovered = ret_recovered,
                             .info = info,
                             .error = error,
                             .progress = progress,
                             .context = context,
                             .is_tail = config->verify == NORI_VERIFY_TAIL};

    return nw_judge_with(&judge);
}
