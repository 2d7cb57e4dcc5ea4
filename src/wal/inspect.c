/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inspect.c: looking at a log without opening it: nori_log_verify and nori_log_stat.
 *
 * What. Both judge the folder as an open would, reading only what lies above the watermark. Verify
 * then walks the whole log once more on its own (damage.c) and tells every damage. Neither takes
 * the writer's lock.
 *
 * Beside a live writer the log moves on while it is read. Damage stays where it is, so it is
 * believed only if it is found in the same place again.
 */
#include "wal/inspect.h"

#include "wal/damage.h"
#include "wal/judge.h"

#include <stdio.h>
#include <string.h>

#define LOOKS_BESIDE_WRITER 4

struct inspection {
    struct nw_env env;
    struct nw_staged staged;
    struct nw_teller teller;
    bool is_walk; /* verify: every byte */
    struct nori_wal_config config;
    struct nw_walk walk;
    struct nw_chain chain;         /* as listed; kept if the judging fails */
    struct nw_recovered recovered; /* if it did not */
    struct nori_recovery_info info;
    struct nori_error error; /* the judgement */
    int rc;                  /* likewise */
    bool is_alive;
    uint64_t bytes_done;
    uint64_t bytes_total;
};

int nw_tell(struct nw_teller *teller, struct nori_log_item *item)
{
    if (teller->stopped == 0 && teller->report) {
        item->size = sizeof *item;
        teller->stopped = teller->report(teller->context, item);
    }
    return teller->stopped;
}

static int tell_progress(void *context, uint64_t bytes)
{
    struct inspection *inspection = context;
    struct nori_log_item item = {.kind = NORI_LOG_PROGRESS};

    inspection->bytes_done += bytes;
    item.bytes = inspection->bytes_done;
    item.bytes_total = inspection->bytes_total;
    return nw_tell(&inspection->teller, &item) == 0 ? 0 : NORI_E_CLOSED;
}

void nw_item_of_finding(struct nori_log_item *item, const struct nw_finding *finding)
{
    *item = (struct nori_log_item){.kind = NORI_LOG_FINDING,
                                   .severity = finding->severity,
                                   .code = finding->code,
                                   .file = finding->file,
                                   .position = {finding->segment_id, finding->offset},
                                   .bytes = finding->bytes,
                                   .message = finding->message,
                                   .advice = finding->advice};
    if (finding->records != NW_RECORDS_UNKNOWN)
        item->records = finding->records;
}

static bool is_same_place(const struct nori_error *a, const struct nori_error *b)
{
    return a->code == b->code && a->position.segment_id == b->position.segment_id &&
           a->position.offset == b->position.offset;
}

static int judge_once(struct inspection *inspection)
{
    inspection->info = (struct nori_recovery_info)NORI_RECOVERY_INFO_INIT;
    inspection->error = (struct nori_error)NORI_ERROR_INIT;
    inspection->bytes_done = 0;
    return nw_judge(&inspection->env, &inspection->config, &inspection->recovered,
                    &inspection->info, inspection->is_walk ? NULL : tell_progress, inspection,
                    &inspection->error);
}

static void judge(struct inspection *inspection)
{
    struct nori_error before = NORI_ERROR_INIT;

    for (int look = 0; look < LOOKS_BESIDE_WRITER; look++) {
        inspection->rc = nw_env_ask_writer(&inspection->env, &inspection->error);
        if (inspection->rc < 0)
            break;
        inspection->is_alive = inspection->rc == 1;
        inspection->staged.is_live = inspection->is_alive;
        inspection->rc = judge_once(inspection);
        if (inspection->rc != NORI_E_CORRUPT || !inspection->is_alive ||
            (look > 0 && is_same_place(&inspection->error, &before)))
            break;
        before = inspection->error;
    }
}

static int walk_once(struct inspection *inspection, struct nw_walk *walk)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    nw_walk_init(walk, &inspection->env);
    walk->progress = tell_progress;
    walk->context = inspection;
    walk->is_alive = inspection->is_alive;
    walk->end_lsn = inspection->rc < 0 ? UINT64_MAX : inspection->recovered.end_lsn;
    inspection->bytes_done = 0;
    rc = nw_walk_run(walk, &error);
    if (rc < 0)
        nw_error_copy(&inspection->error, &error);
    return rc;
}

/* Judge, then look at every byte. */
static int judge_and_walk(struct inspection *inspection)
{
    int rc;

    judge(inspection);
    if (!inspection->is_walk || (inspection->rc < 0 && inspection->rc != NORI_E_CORRUPT))
        return NORI_OK;
    rc = walk_once(inspection, &inspection->walk);
    for (int look = 1; rc >= 0 && inspection->walk.errors > 0 && look < LOOKS_BESIDE_WRITER;
         look++) {
        struct nw_walk before = inspection->walk;

        rc = nw_env_ask_writer(&inspection->env, &inspection->error);
        if (rc != 1)
            break;
        if (inspection->rc >= 0)
            nw_recovered_done(&inspection->recovered);
        judge(inspection);
        rc = walk_once(inspection, &inspection->walk);
        if (rc >= 0)
            nw_walk_confirm(&inspection->walk, &before);
        nw_walk_done(&before);
        if (inspection->walk.errors > 0)
            break;
    }
    return rc;
}

/* The judgement and the walk together: the first damage names the error. */
static int result_of(struct inspection *inspection)
{
    if (inspection->rc < 0)
        return inspection->rc;
    for (size_t i = 0; i < inspection->walk.count; i++) {
        const struct nw_finding *finding = &inspection->walk.findings[i];

        if (finding->severity >= NORI_SEVERITY_ERROR)
            return nw_finding_error(finding, &inspection->error);
    }
    return NORI_OK;
}

static bool is_bad(const struct inspection *inspection, const struct nw_link *link)
{
    for (size_t i = 0; i < inspection->walk.count; i++)
        if (inspection->walk.findings[i].segment_id == link->id &&
            inspection->walk.findings[i].severity >= NORI_SEVERITY_ERROR)
            return true;
    return inspection->rc == NORI_E_CORRUPT && inspection->error.position.segment_id == link->id;
}

/* Up to where the log goes in this link. */
static uint64_t end_of(const struct inspection *inspection, const struct nw_link *link)
{
    if (link->end != NW_OPEN_END)
        return inspection->rc < 0 || !link->is_live
                   ? link->end
                   : nw_min_u64(link->end, inspection->recovered.end_lsn - link->start);
    if (inspection->rc < 0 || !link->is_live)
        return link->file_bytes;
    return inspection->recovered.end_lsn - link->start;
}

static uint64_t records_in(const struct inspection *inspection, const struct nw_chain *chain,
                           size_t i)
{
    size_t next;
    const struct nw_link *after = nw_chain_next_live(chain, i, &next);

    uint64_t first = chain->links[i].first_sequence;
    uint64_t behind = after                ? after->first_sequence
                      : inspection->rc < 0 ? 0
                                           : inspection->recovered.next_sequence;

    /* 0 is unknown; and headers that are damaged may say anything. */
    return chain->links[i].is_live && first != 0 && behind > first ? behind - first : 0;
}

static void tell_segments(struct inspection *inspection, const struct nw_chain *chain,
                          struct nori_log_item *summary)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];
        char name[NW_NAME_MAX];
        struct nori_log_item item = {.kind = NORI_LOG_SEGMENT, .file = name};

        nw_link_name(link, name);
        item.state = !link->is_live                 ? NORI_LOG_STATE_DEAD
                     : link == nw_chain_last(chain) ? NORI_LOG_STATE_NEWEST
                                                    : NORI_LOG_STATE_LIVE;
        if (is_bad(inspection, link))
            item.state = NORI_LOG_STATE_BAD;
        item.format = link->format;
        item.node_id = link->header.node_id;
        item.position = (struct nori_position){link->id, end_of(inspection, link)};
        item.bytes = item.position.offset;
        item.bytes_total = link->file_bytes;
        item.records = records_in(inspection, chain, i);
        item.first_sequence = link->first_sequence;
        item.created_ms = link->header.created_ms;
        item.start_lsn = link->start;
        item.end_lsn = link->start + item.bytes;
        summary->bytes_total += item.bytes_total;
        if (link->is_live) {
            summary->segments++;
            summary->bytes += item.bytes;
            summary->records += item.records;
            summary->format = link->format;
            summary->position = item.position;
            summary->end_lsn = item.end_lsn;
        }
        (void)nw_tell(&inspection->teller, &item);
    }
}

static const char *advice_for(int rc)
{
    if (rc == NORI_E_CORRUPT)
        return "keep the folder as it is, copy it away first, and restore the log from a replica "
               "or backup; "
               "an open refuses it so that nothing is lost silently";
    if (rc == NORI_E_INVALID)
        return "move it out of the folder, and put the file back that had this name";
    if (rc == NORI_E_VERSION)
        return "read it with the newer version of nori that wrote it";
    return "see to the device, its permissions and its cables, then try again";
}

static void tell_findings(struct inspection *inspection)
{
    struct nori_log_item item = {.kind = NORI_LOG_FINDING};
    char name[NW_NAME_MAX];

    for (size_t i = 0; i < inspection->walk.count; i++) {
        nw_item_of_finding(&item, &inspection->walk.findings[i]);
        (void)nw_tell(&inspection->teller, &item);
    }
    item = (struct nori_log_item){.kind = NORI_LOG_FINDING};
    if (inspection->rc < 0 && inspection->walk.errors == 0) {
        nw_name_format(name, inspection->error.position.segment_id);
        /* What is about no segment has the place {0, 0}, too. */
        item.file = strstr(inspection->error.message, name) ? name : NULL;
        item.severity = NORI_SEVERITY_ERROR;
        item.code = inspection->rc;
        item.position = inspection->error.position;
        item.bytes = inspection->info.bytes_truncated;
        item.message = inspection->error.message;
        item.advice = advice_for(inspection->rc);
        (void)nw_tell(&inspection->teller, &item);
    } else if (inspection->rc >= 0 && inspection->info.bytes_truncated > 0 &&
               !inspection->is_alive) {
        nw_name_format(name, inspection->recovered.torn_at.segment_id);
        item.file = name;
        item.severity = NORI_SEVERITY_INFO;
        item.position = inspection->recovered.torn_at;
        item.bytes = inspection->info.bytes_truncated;
        item.message = inspection->info.message;
        item.advice =
            "nothing: the next open leaves these bytes behind; no append of them was promised";
        (void)nw_tell(&inspection->teller, &item);
    }
}

/* stat does not read what is known to be durable, and does not say that it is sound. */
static const char *sound_message(const struct inspection *inspection)
{
    if (!inspection->is_walk)
        return inspection->is_alive ? "a writer has the log open"
                                    : "no damage was met; verify reads every record";
    if (inspection->is_alive)
        return "the log is sound; a writer has it open";
    if (inspection->walk.hidden > 0)
        return "the log is sound but for what an earlier repair set aside";
    return inspection->info.bytes_truncated > 0
               ? "the log is sound up to a torn tail, as a crash leaves it"
               : "the log is sound";
}

static void tell_summary(struct inspection *inspection, struct nori_log_item *summary, int rc)
{
    summary->kind = NORI_LOG_SUMMARY;
    summary->code = rc;
    summary->severity = rc < 0 ? NORI_SEVERITY_ERROR : NORI_SEVERITY_INFO;
    summary->is_writer_alive = inspection->is_alive;
    if (inspection->is_walk)
        summary->records = inspection->walk.records; /* the others cannot be read */
    if (inspection->rc >= 0) {
        const struct nw_chain *chain = &inspection->recovered.chain;

        summary->was_clean = inspection->recovered.was_clean && !inspection->is_alive;
        summary->durable_lsn = nw_control_watermark(inspection->recovered.control, chain);
        if (chain->first_live < chain->count) {
            summary->first_sequence = chain->links[chain->first_live].first_sequence;
            summary->start_lsn = chain->links[chain->first_live].start;
        }
        summary->log_id = inspection->recovered.log_id;
    }
    summary->message = rc >= 0                ? sound_message(inspection)
                       : rc == NORI_E_CORRUPT ? "the log is damaged"
                                              : nori_strerror(rc);
    (void)nw_tell(&inspection->teller, summary);
}

static int run(struct inspection *inspection, const char *dir)
{
    struct nori_log_item summary = {0};
    const struct nw_chain *chain = &inspection->chain;
    struct nori_error problem;
    int rc = nw_chain_load(&inspection->chain, &inspection->env, false, &inspection->error);
    int loaded = rc;

    problem = inspection->error;
    for (size_t i = 0; i < chain->count; i++)
        inspection->bytes_total +=
            chain->links[i].end == NW_OPEN_END ? chain->links[i].file_bytes : chain->links[i].end;
    if (rc >= 0 && chain->count == 0)
        return nw_error_set(&inspection->error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                            "%s: there is no log", dir);
    if (rc >= 0)
        rc = nw_scan_measure_format1(&inspection->env, &inspection->chain, &inspection->error);
    if (rc == NORI_E_NOMEM)
        return rc;
    rc = judge_and_walk(inspection);
    if (inspection->rc == NORI_E_NOMEM)
        rc = inspection->rc; /* what could be told is not what the log is like */
    if (loaded < 0 && loaded != NORI_E_CORRUPT && inspection->rc == NORI_E_CORRUPT &&
        !inspection->is_walk) {
        nw_error_copy(&inspection->error, &problem); /* a moment ago; no chain to tell about */
        rc = loaded;
    }
    if (rc < 0 && inspection->teller.stopped == 0)
        goto out;
    if (inspection->rc >= 0) {
        chain = &inspection->recovered.chain;
        rc = nw_scan_measure_format1(&inspection->env, &inspection->recovered.chain,
                                     &inspection->error);
    } else if (inspection->rc == NORI_E_CORRUPT && inspection->is_walk) {
        chain = &inspection->walk.chain;
        rc = NORI_OK;
    }
    if (rc == NORI_E_NOMEM)
        goto out;
    rc = rc < 0 && inspection->rc >= 0 ? rc : result_of(inspection);
    if (inspection->teller.stopped == 0) {
        tell_segments(inspection, chain, &summary);
        tell_findings(inspection);
        tell_summary(inspection, &summary, rc);
    }
out:
    if (inspection->rc >= 0)
        nw_recovered_done(&inspection->recovered);
    if (inspection->teller.stopped != 0)
        return inspection->teller.stopped;
    return rc < 0 ? rc : NORI_OK;
}

int nw_inspect_begin(const char *dir, const struct nori_log_options *options, uint32_t flags_known,
                     struct nw_env *env, struct nw_staged *staged,
                     struct nori_log_options *ret_options, struct nori_error *ret_error)
{
    struct nori_log_options full = NORI_LOG_OPTIONS_INIT;
    const char *problem = dir ? NULL : "dir is NULL";
    int rc;

    if (options && options->size >= offsetof(struct nori_log_options, position))
        memcpy(&full, options, options->size < sizeof full ? options->size : sizeof full);
    else if (options)
        problem = "options.size is not set: use NORI_LOG_OPTIONS_INIT";
    if (options && !nw_env_knows_all(options, options->size, sizeof full))
        problem =
            "options.size is beyond reason, or fields are set that this version does not know";
    full.size = sizeof full;
    if (full.flags & ~flags_known)
        problem = "unknown bits in flags";
    if (full.reserved != 0)
        problem = "reserved is not zero";
    if (problem)
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE, "%s", problem);
    env->vfs = full.vfs ? full.vfs : nori_vfs_posix();
    env->allocator = full.allocator ? full.allocator : nori_allocator_malloc();
    rc = env->vfs->open_folder(env->vfs->context, dir, 0, 0, &env->folder);
    if (rc < 0)
        return nw_io_error(ret_error, rc, NW_NOWHERE, "open %s", dir);
    rc = nw_env_ask_writer(env, ret_error);
    if (rc < 0) {
        env->folder->ops->close(env->folder);
        return rc;
    }
    *staged = (struct nw_staged){.allocator = env->allocator, .is_live = rc == 1};
    env->staged = staged;
    *ret_options = full;
    return NORI_OK;
}

void nw_inspect_end(struct nw_env *env)
{
    nw_staged_done(env->staged);
    env->folder->ops->close(env->folder);
}

static int inspect(const char *dir, const struct nori_log_options *options, bool is_walk,
                   nori_log_report report, void *context, struct nori_error *ret_error)
{
    struct inspection inspection = {.teller = {report, context, 0}, .is_walk = is_walk};
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_log_options full;
    int rc =
        nw_inspect_begin(dir, options, 0, &inspection.env, &inspection.staged, &full, ret_error);

    if (rc < 0)
        return rc;
    config.verify = NORI_VERIFY_TAIL;
    rc = nw_config_normalise(&config, &inspection.config, ret_error);
    nw_assert(rc >= 0);
    inspection.error = (struct nori_error)NORI_ERROR_INIT;
    nw_chain_init(&inspection.chain, inspection.env.allocator);
    nw_walk_init(&inspection.walk, &inspection.env);
    rc = run(&inspection, dir);
    if (rc < 0)
        nw_error_copy(ret_error, &inspection.error);
    nw_chain_done(&inspection.chain);
    nw_walk_done(&inspection.walk);
    nw_inspect_end(&inspection.env);
    return rc;
}

int nori_log_verify(const char *dir, const struct nori_log_options *options, nori_log_report report,
                    void *context, struct nori_error *ret_error)
{
    return inspect(dir, options, true, report, context, ret_error);
}

int nori_log_stat(const char *dir, const struct nori_log_options *options, nori_log_report report,
                  void *context, struct nori_error *ret_error)
{
    return inspect(dir, options, false, report, context, ret_error);
}
