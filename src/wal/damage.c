/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * damage.c: every damage of a log.
 *
 * What. Each live segment is read from its header to its stated end. Where a batch does not verify
 * that is noted, and the walk goes on at the next mark of that segment, or in the next segment.
 * What verifies is checked against itself: the numbers in marks and headers against the records
 * counted, headers against their neighbours, and watermarks against their own place.
 *
 * Torn or damaged. That is decided at the end, when every watermark has been seen: what lies above
 * all of them is a torn tail, and no damage (D6).
 *
 * Failure. What cannot be read is a finding, too, and the walk goes on behind it. Beside a live
 * writer a file may vanish; it was dropped then, and is left out.
 *
 * Not here. A chain that is broken: pieces.c. What open makes of damage: recovery.c, repair.c.
 */
#include "wal/damage.h"

#include "wal/control.h"
#include "wal/judge.h"
#include "wal/staged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_LEN      ((size_t)256 << 10)
#define PROGRESS_EVERY ((uint64_t)4 << 20)
#define FINDINGS_MAX   ((size_t)1 << 20)
#define AT_RISK_LEN    64

static const char advice_damage[] =
    "copy the folder away as it is; then restore the log from a replica or backup, or have "
    "nori repair --dry-run say what can be kept without one";
static const char advice_version[] = "read it with the newer version of nori that wrote it";
static const char advice_device[] =
    "see to the device, its permissions and its cables, then try again";

void nw_walk_init(struct nw_walk *walk, const struct nw_env *env)
{
    *walk = (struct nw_walk){.env = env, .end_lsn = UINT64_MAX};
    nw_chain_init(&walk->chain, env->allocator);
    nw_cursor_begin(&walk->cursor, env->allocator, NULL, 2, 0, 0, 0, false);
}

void nw_walk_done(struct nw_walk *walk)
{
    nw_cursor_done(&walk->cursor);
    nw_chain_done(&walk->chain);
    nw_free(walk->env->allocator, walk->findings);
    walk->findings = NULL;
    walk->count = walk->capacity = 0;
}

struct nw_finding *nw_walk_note(struct nw_walk *walk, enum nw_finding_kind kind,
                                const struct nw_link *link, uint64_t offset, const char *message)
{
    struct nw_finding *finding;
    struct nw_finding *findings =
        nw_list_grow(walk->env->allocator, walk->findings, sizeof *findings, walk->count,
                     FINDINGS_MAX, &walk->capacity);

    if (!findings)
        return NULL;
    walk->findings = findings;
    finding = &walk->findings[walk->count++];
    *finding = (struct nw_finding){.kind = kind,
                                   .severity = NORI_SEVERITY_ERROR,
                                   .code = NORI_E_CORRUPT,
                                   .segment_id = link->id,
                                   .offset = offset,
                                   .records = NW_RECORDS_UNKNOWN,
                                   .lsn = UINT64_MAX,
                                   .advice = advice_damage};
    nw_link_name(link, finding->file);
    (void)snprintf(finding->message, sizeof finding->message, "%s", message);
    return finding;
}

/* ---- sequence numbers ---- */

struct tally {
    uint64_t sequence; /* of the next record; 0: unknown */
    uint64_t doubt;    /* by how much it may be more, behind holes that do not say what they hide */
};

static int count_hole(struct nw_walk *walk, struct tally *tally,
                      const struct nw_stored_record *record)
{
    uint64_t hidden = nw_hole_hidden(record);

    if (hidden == NW_HOLE_UNKNOWN) {
        tally->doubt += nw_hole_hidden_max(record);
        return NORI_OK;
    }
    if (hidden > NW_NUMBER_MAX || tally->sequence > NW_NUMBER_MAX - hidden)
        return NORI_E_CORRUPT; /* no version writes that */
    if (tally->sequence)
        tally->sequence += hidden;
    walk->hidden += hidden;
    return NORI_OK;
}

/* A mark or header says which record comes next: from here on that counts. False if it cannot be,
 * by the records before. */
static bool take_number(struct nw_walk *walk, struct tally *tally, uint64_t said)
{
    struct tally before = *tally;

    *tally = (struct tally){.sequence = said};
    if (before.sequence == 0 || said == before.sequence)
        return true;
    if (before.doubt == 0 || said < before.sequence)
        return false;
    walk->hidden += said - before.sequence;
    return true;
}

/* ---- one segment ---- */

struct step {
    struct nw_walk *walk;
    const struct nw_link *link;
    const struct nw_link *next; /* the live link behind it that names it, or NULL */
    struct nori_file *file;
    uint64_t end;    /* walk up to here; NW_OPEN_END: nothing states where it ends */
    uint64_t offset; /* behind the last whole batch */
    struct tally tally;
    bool knows_start; /* link->start counts */
};

static struct nw_finding *note_here(struct step *step, enum nw_finding_kind kind, uint64_t offset,
                                    const char *message)
{
    struct nw_finding *finding = nw_walk_note(step->walk, kind, step->link, offset, message);

    if (finding && step->knows_start)
        finding->lsn = step->link->start + offset;
    return finding;
}

/* A hole hides what an earlier repair set aside; pieces that lie side by side are one. */
static int walk_hole(struct step *step, const struct nw_stored_record *record, uint64_t offset)
{
    struct nw_walk *walk = step->walk;
    uint64_t hidden = nw_hole_hidden(record);
    struct nw_finding *last = walk->count > 0 ? &walk->findings[walk->count - 1] : NULL;
    int rc = count_hole(walk, &step->tally, record);

    if (rc < 0)
        return rc;
    if (!last || !last->is_hole || last->segment_id != step->link->id ||
        last->offset + last->bytes != offset) {
        last = note_here(step, NW_FINDING_NOTE, offset, "");
        if (!last)
            return NORI_E_NOMEM;
        last->severity = NORI_SEVERITY_WARNING;
        last->code = NORI_OK;
        last->is_hole = true;
        last->records = 0;
        last->advice = "nothing: readers report this place once and go on behind it; what was "
                       "left of the bytes that stood here is in quarantine";
    }
    last->bytes += record->len;
    if (hidden == NW_HOLE_UNKNOWN || last->records == NW_RECORDS_UNKNOWN)
        last->records = NW_RECORDS_UNKNOWN;
    else
        last->records += hidden;
    if (last->records == NW_RECORDS_UNKNOWN)
        (void)snprintf(last->message, sizeof last->message,
                       "an earlier repair set damaged bytes aside here; how many records they held "
                       "is not known");
    else if (last->records == 0)
        (void)snprintf(last->message, sizeof last->message,
                       "an earlier repair set damaged bytes aside here");
    else
        (void)snprintf(last->message, sizeof last->message,
                       "%llu records are missing here: an earlier repair set the damaged bytes "
                       "aside",
                       (unsigned long long)last->records);
    return NORI_OK;
}

static int walk_mark(struct step *step, const struct nw_mark *mark, uint64_t offset)
{
    struct nw_walk *walk = step->walk;
    uint64_t counted = step->tally.sequence;
    struct nw_finding *finding;
    char text[256];

    if (!nw_mark_is_credible(mark, walk->chain.log_id,
                             step->knows_start ? step->link->start + offset : UINT64_MAX))
        return NORI_E_CORRUPT;
    if (take_number(walk, &step->tally, mark->next_sequence)) {
        walk->watermark = nw_max_u64(walk->watermark, mark->durable_lsn);
        return NORI_OK;
    }
    (void)snprintf(text, sizeof text,
                   "a mark says that record %llu comes next, but by the records before it that is "
                   "%llu",
                   (unsigned long long)mark->next_sequence, (unsigned long long)counted);
    finding = note_here(step, NW_FINDING_CHAIN, offset, text);
    if (!finding)
        return NORI_E_NOMEM;
    finding->bytes = NW_MARK_LEN;
    finding->records = 0;
    return NORI_OK;
}

static int walk_control(struct step *step, const struct nw_stored_record *record, uint64_t offset)
{
    struct nw_mark mark;
    int rc = nw_control_decode(record, step->link->header.salt, &mark);

    if (rc == NW_CONTROL_IS_MARK)
        return walk_mark(step, &mark, offset);
    if (rc == NW_CONTROL_IS_HOLE)
        return walk_hole(step, record, offset);
    return rc < 0 ? rc : NORI_OK;
}

/* Batches, until one is not whole. NW_CURSOR_*, or an error. */
static int walk_batches(struct step *step)
{
    struct nw_walk *walk = step->walk;
    uint64_t told = step->offset;
    uint64_t batch = 0;

    for (;;) {
        struct nw_stored_record record;
        uint64_t offset = walk->cursor.offset;
        int rc = nw_cursor_next(&walk->cursor, &record);

        if (rc != 0)
            return rc;
        if (nw_record_is_control(&record)) {
            if (batch > 0)
                return NW_CURSOR_BAD; /* no writer puts one inside a batch */
            rc = walk_control(step, &record, offset);
            if (rc == NORI_E_CORRUPT)
                return NW_CURSOR_BAD;
            if (rc < 0)
                return rc;
        } else {
            batch++;
            if (nw_record_continues(&record))
                continue;
            walk->records += batch;
            step->tally.sequence += step->tally.sequence ? batch : 0;
            batch = 0;
        }
        step->offset = walk->cursor.offset;
        if (walk->progress && step->offset - told >= PROGRESS_EVERY) {
            rc = walk->progress(walk->context, step->offset - told);
            told = step->offset;
            if (rc != 0)
                return rc < 0 ? rc : -rc;
        }
    }
}

/* How many bytes of the file behind `from` there are up to the last one that is not zero. */
static int measure(struct step *step, uint64_t from, uint64_t *ret_len)
{
    const struct nori_allocator *allocator = step->walk->env->allocator;
    uint8_t *chunk = nw_alloc(allocator, CHUNK_LEN);
    uint64_t offset = from;
    size_t got = CHUNK_LEN;
    int rc = chunk ? NORI_OK : NORI_E_NOMEM;

    *ret_len = 0;
    while (rc >= 0 && got == CHUNK_LEN) {
        size_t nonzero;

        rc = step->file->ops->read(step->file, chunk, CHUNK_LEN, offset, &got);
        nonzero = rc < 0 ? 0 : nw_nonzero_len(chunk, got);
        if (nonzero > 0)
            *ret_len = offset + nonzero - from;
        offset += got;
    }
    nw_free(allocator, chunk);
    return rc;
}

static void describe_stretch(struct nw_finding *finding)
{
    char at_risk[AT_RISK_LEN] = "how many records they held is not known";
    const char *what = "these bytes were durable once and are damaged now";

    if (finding->records != NW_RECORDS_UNKNOWN)
        (void)snprintf(at_risk, sizeof at_risk, "%llu %s at risk",
                       (unsigned long long)finding->records,
                       finding->records == 1 ? "record is" : "records are");
    if (finding->bytes == 0)
        what = "durable records are missing from here on: a device that lied about a sync, an "
               "older copy of the log, or a copy made while it was written";
    (void)snprintf(finding->message, sizeof finding->message, "%s; %s", what, at_risk);
}

/* Something does not verify at step->offset. 1: go on at step->offset, which moved; 0: no more of
 * this segment. */
static int walk_over(struct step *step)
{
    struct nw_link link = *step->link;
    struct nw_mark mark;
    uint64_t from = step->offset;
    uint64_t resume = step->end;
    uint64_t sequence_after = 0;
    const struct tally before = step->tally;
    struct nw_finding *finding;
    int is_marked = 0;
    int rc = NORI_OK;

    step->walk->next_sequence = nw_max_u64(step->walk->next_sequence, before.sequence);
    link.end = step->end;
    if (link.format == 2)
        is_marked = nw_scan_find_mark_behind(&link, step->walk->chain.log_id, step->file,
                                             step->walk->env->allocator, from + 1, &resume, &mark);
    if (is_marked < 0)
        return is_marked;
    if (is_marked)
        sequence_after = mark.next_sequence;
    else if (step->end == step->link->end && step->next)
        sequence_after = step->next->header.base_sequence;
    if (resume == NW_OPEN_END) {
        rc = measure(step, from, &resume);
        resume += from;
    }
    if (rc < 0)
        return rc;
    finding = note_here(step, NW_FINDING_RECORDS, from, "");
    if (!finding)
        return NORI_E_NOMEM;
    finding->bytes = resume - from;
    finding->sequence_after = sequence_after;
    finding->can_go_on = link.format == 2 && before.sequence && sequence_after >= before.sequence;
    if (before.sequence && sequence_after >= before.sequence && before.doubt == 0)
        finding->records = sequence_after - before.sequence;
    describe_stretch(finding);
    step->offset = resume;
    step->tally = (struct tally){.sequence = sequence_after};
    return is_marked;
}

/* It cannot be read on. */
static int note_failure(struct step *step, int rc)
{
    int code = NORI_VFS_CODE(rc);
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_finding *finding;

    (void)nw_io_error(&error, rc, NW_NOWHERE, "it cannot be read on from here");
    if (code == NORI_E_VERSION)
        (void)snprintf(error.message, sizeof error.message,
                       "a record of a newer version of the format");
    finding = note_here(step, NW_FINDING_CHAIN, step->offset, error.message);
    if (!finding)
        return NORI_E_NOMEM;
    finding->code = code;
    finding->os_errno = NORI_VFS_ERRNO(rc);
    finding->advice = code == NORI_E_VERSION ? advice_version : advice_device;
    return NORI_OK;
}

/* The file, whatever its header says by now. A live writer may give `spare` its name. */
static int open_file(const struct nw_walk *walk, const struct nw_link *link,
                     struct nori_file **ret_file)
{
    struct nori_folder *folder = walk->env->folder;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = folder->ops->open_file(folder, name, 0, 0, ret_file);
    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND && link->is_spare) {
        nw_name_format(name, link->id);
        rc = folder->ops->open_file(folder, name, 0, 0, ret_file);
    }
    if (rc < 0 || !walk->env->staged)
        return rc;
    rc = nw_staged_wrap(walk->env->staged, link->header.salt, false, ret_file);
    if (rc < 0)
        (*ret_file)->ops->close(*ret_file);
    return rc;
}

static int walk_file(struct step *step)
{
    struct nw_cursor *cursor = &step->walk->cursor;
    int rc = 1;

    while (rc == 1) {
        nw_cursor_restart(cursor, step->file, step->link->format,
                          step->link->format == 2 ? step->link->header.salt : 0, step->offset,
                          nw_link_record_limit(step->link, NW_RECORD_MAX_DEFAULT));
        cursor->stop = step->end;
        rc = walk_batches(step);
        if (rc >= 0)
            rc = step->offset == step->end ? 0 : walk_over(step);
    }
    nw_cursor_restart(cursor, NULL, 2, 0, 0, 0);
    return rc;
}

/* ---- neighbours ---- */

static int check_header(struct step *step, const struct nw_link *previous, struct tally counted)
{
    struct nw_walk *walk = step->walk;
    const struct nw_header *header = &step->link->header;
    const uint64_t expected = counted.sequence;
    const char *problem = NULL;
    char text[256];
    uint64_t end;

    walk->watermark = nw_max_u64(walk->watermark, header->durable_lsn);
    if (previous && previous->format == 2 && previous->header.salt == header->prev_salt &&
        previous->header.header_len != 0) {
        if (nw_add_overflow(previous->start, header->prev_end, &end) || end != header->start ||
            header->prev_end < previous->begin || header->prev_id != previous->id)
            problem = "the header contradicts the segment before it";
        if (!problem && !take_number(walk, &counted, header->base_sequence)) {
            (void)snprintf(text, sizeof text,
                           "the header says that its first record is %llu, but by the segment "
                           "before it that is %llu",
                           (unsigned long long)header->base_sequence, (unsigned long long)expected);
            problem = text;
        }
    }
    /* What format 1 counts is counted back from here. */
    if (previous && previous->format == 1 &&
        walk->chain.links[walk->chain.first_live].start > header->start)
        problem = "the header says that it starts before the segments before it end";
    if (problem) {
        struct nw_finding *finding = note_here(step, NW_FINDING_CHAIN, 0, problem);

        if (!finding)
            return NORI_E_NOMEM;
        finding->bytes = header->header_len;
        finding->records = 0;
    }
    return NORI_OK;
}

/* ---- all segments ---- */

static int walk_link(struct nw_walk *walk, size_t i, const struct nw_link *previous,
                     struct tally *counted)
{
    const struct nw_link *link = &walk->chain.links[i];
    const struct nw_link *next = nw_chain_next_live(&walk->chain, i, &i);
    bool is_lost = link->format == 2 && link->header.header_len == 0;
    struct step step = {.walk = walk,
                        .link = link,
                        .end = link->end,
                        .offset = link->begin,
                        .tally = {link->format == 2 ? link->header.base_sequence : 0, 0},
                        .knows_start = !is_lost || link->end != NW_OPEN_END};
    int rc = NORI_OK;

    if (next && next->format == 2 && next->header.header_len != 0 && link->format == 2 &&
        next->header.prev_salt == link->header.salt)
        step.next = next;
    if (walk->end_lsn != UINT64_MAX) {
        if (walk->end_lsn <= link->start)
            return NORI_OK; /* behind a torn tail: no part of the log, whatever it says */
        step.end = nw_min_u64(step.end, walk->end_lsn - link->start);
    }
    if (link->format == 2 && !is_lost)
        rc = check_header(&step, previous, *counted);
    if (rc >= 0)
        rc = open_file(walk, link, &step.file);
    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND && walk->is_alive)
        return NORI_OK; /* dropped meanwhile */
    if (rc >= 0) {
        rc = walk_file(&step);
        step.file->ops->close(step.file);
    }
    *counted = step.tally;
    walk->next_sequence = nw_max_u64(walk->next_sequence, counted->sequence);
    if (rc >= 0 || rc == NORI_E_NOMEM || NORI_VFS_CODE(rc) == NORI_E_CLOSED)
        return rc;
    *counted = (struct tally){0};
    return note_failure(&step, rc);
}

/* ---- what it means ---- */

static int compare_findings(const void *a, const void *b)
{
    const struct nw_finding *left = a;
    const struct nw_finding *right = b;

    if (left->segment_id != right->segment_id)
        return left->segment_id < right->segment_id ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static const struct nw_link *link_of(const struct nw_walk *walk, const struct nw_finding *finding)
{
    for (size_t i = 0; i < walk->chain.count; i++)
        if (walk->chain.links[i].is_live && walk->chain.links[i].id == finding->segment_id)
            return &walk->chain.links[i];
    return NULL;
}

/* Above every watermark the log ends at the first stop: a torn tail, not damage. Where something
 * could not be read nobody knows every watermark, and neither is told. */
static void settle(struct nw_walk *walk)
{
    size_t kept = 0;
    bool is_over = false;
    bool is_unread = false;

    if (walk->count > 1)
        qsort(walk->findings, walk->count, sizeof *walk->findings, compare_findings);
    for (size_t i = 0; i < walk->count; i++)
        is_unread |= walk->findings[i].os_errno != 0;
    for (size_t i = 0; i < walk->count; i++) {
        struct nw_finding finding = walk->findings[i];
        const struct nw_link *link = link_of(walk, &finding);
        bool is_last = link == nw_chain_last(&walk->chain);
        bool is_stop = finding.kind == NW_FINDING_RECORDS;
        bool is_torn = is_stop && walk->end_lsn == UINT64_MAX && finding.lsn >= walk->watermark &&
                       finding.lsn != UINT64_MAX && (is_last || (link && link->format == 2));

        /* A clean end, as far as one can tell where nothing states it. */
        if (is_stop && finding.bytes == 0 && (is_torn || !is_last || finding.lsn == UINT64_MAX))
            continue;
        if (is_torn && (is_over || walk->is_alive || is_unread))
            continue;
        if (is_torn) {
            is_over = true;
            finding.kind = NW_FINDING_NOTE;
            finding.severity = NORI_SEVERITY_INFO;
            finding.code = NORI_OK;
            finding.advice =
                "nothing: the next open leaves these bytes behind; no append of them was promised";
            (void)snprintf(finding.message, sizeof finding.message,
                           "a torn tail: the process or machine stopped before these bytes were "
                           "durable");
        }
        walk->errors += finding.severity >= NORI_SEVERITY_ERROR;
        walk->findings[kept++] = finding;
    }
    walk->count = kept;
}

/* What `control` knows, if it is of this log and in its place. */
static int ask_control(struct nw_walk *walk, struct nori_error *error)
{
    struct nw_control *control = NULL;
    int rc = nw_control_open(walk->env, false, &control, error);

    if (rc >= 0)
        walk->watermark = nw_max_u64(walk->watermark, nw_control_watermark(control, &walk->chain));
    nw_control_unref(control);
    return rc;
}

/* The newest file looks like one of format 1 that has just been begun: `control` may know better.
 * before: how many records the others have. */
static int check_lost_header(struct nw_walk *walk, uint64_t before, struct nori_error *error)
{
    const struct nw_link *newest = nw_chain_last(&walk->chain);
    struct nw_control *control = NULL;
    struct nw_finding *finding;
    int rc;

    if (!newest || newest->format != 1 || walk->records > before || walk->end_lsn != UINT64_MAX)
        return NORI_OK;
    rc = nw_control_open(walk->env, false, &control, error);
    if (rc >= 0 && nw_control_has_format2_behind(control, newest->start)) {
        while (walk->count > 0 && walk->findings[walk->count - 1].segment_id == newest->id)
            walk->count--; /* that records do not verify there */
        finding = nw_walk_note(walk, NW_FINDING_HEADER, newest, 0,
                               "the segment header is lost: durable records of format 2 were here");
        if (finding)
            finding->bytes = NW_HEADER_LEN;
        rc = finding ? NORI_OK : NORI_E_NOMEM;
    }
    nw_control_unref(control);
    return rc;
}

struct names {
    struct nw_walk *walk;
    int rc;
};

/* Names that look like a segment's and are not are left alone; a person should know. */
static int note_strange(void *context, const char *name)
{
    struct names *names = context;
    struct nw_link link = {0};
    struct nw_finding *finding;
    size_t len = strlen(name);
    uint64_t id;

    if (len < 4 || len >= NW_NAME_MAX || strcmp(name + len - 4, ".wal") != 0 ||
        nw_name_parse(name, &id))
        return 0;
    finding = nw_walk_note(names->walk, NW_FINDING_NOTE, &link, 0,
                           "not a name that the log gives a segment: the file is no part of it");
    if (!finding) {
        names->rc = NORI_E_NOMEM;
        return 1;
    }
    finding->severity = NORI_SEVERITY_WARNING;
    finding->code = NORI_OK;
    finding->records = 0;
    finding->advice = "if it belongs to the log give it back its name, six digits and .wal; else "
                      "move it elsewhere";
    memcpy(finding->file, name, len + 1);
    return 0;
}

int nw_walk_run(struct nw_walk *walk, struct nori_error *error)
{
    struct names names = {walk, NORI_OK};
    const struct nw_link *previous = NULL;
    struct tally counted = {0};
    uint64_t before = 0;
    int rc = nw_pieces_gather(walk, error);

    if (rc >= 0)
        rc = nw_scan_measure_format1(walk->env, &walk->chain, error);
    if (rc == NORI_E_NOTFOUND && walk->is_alive)
        rc = NORI_OK; /* dropped meanwhile */
    if (rc >= 0)
        rc = ask_control(walk, error);
    for (size_t i = walk->chain.first_live; rc >= 0 && i < walk->chain.count; i++) {
        if (!walk->chain.links[i].is_live)
            continue;
        before = walk->records;
        rc = walk_link(walk, i, previous, &counted);
        previous = &walk->chain.links[i];
    }
    if (rc >= 0)
        rc = check_lost_header(walk, before, error);
    walk->hidden += counted.doubt; /* the next record gets a number that none of them can have */
    walk->next_sequence += counted.doubt;
    if (rc >= 0) {
        rc = walk->env->folder->ops->list(walk->env->folder, note_strange, &names);
        rc = rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "list the folder") : names.rc;
    }
    settle(walk);
    return rc == NORI_E_NOMEM ? nw_no_memory(error) : rc;
}

int nw_finding_error(const struct nw_finding *finding, struct nori_error *error)
{
    (void)nw_error_set(
        error, finding->code, 0, (struct nori_position){finding->segment_id, finding->offset},
        "%s at %llu: %s", finding->file, (unsigned long long)finding->offset, finding->message);
    error->os_errno = finding->os_errno;
    return finding->code;
}

void nw_walk_confirm(struct nw_walk *walk, const struct nw_walk *before)
{
    size_t kept = 0;

    walk->errors = 0;
    for (size_t i = 0; i < walk->count; i++) {
        const struct nw_finding *finding = &walk->findings[i];
        bool is_believed = finding->severity < NORI_SEVERITY_ERROR;

        for (size_t j = 0; j < before->count; j++)
            is_believed |= before->findings[j].segment_id == finding->segment_id &&
                           before->findings[j].offset == finding->offset;
        if (!is_believed)
            continue;
        walk->errors += finding->severity >= NORI_SEVERITY_ERROR;
        walk->findings[kept++] = *finding;
    }
    walk->count = kept;
}
