/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inspect.c: looking at a log without opening it: nori_log_verify and nori_log_stat.
 *
 * What. Both judge the folder as an open would, reading only, and report what they found: verify
 * reads every record, stat only what lies above the watermark. Neither takes the writer's lock.
 *
 * Beside a live writer the log moves on while it is read. Damage stays where it is, so it is
 * believed only if it is found in the same place again.
 */
#include "wal/recovery.h"

#include <stdio.h>
#include <string.h>

#define LOOKS_BESIDE_WRITER 4

struct inspection {
    struct nw_env env;
    nori_log_report report;
    void *context;
    struct nori_wal_config config;
    struct nw_chain chain;         /* as listed; kept if the judging fails */
    struct nw_recovered recovered; /* if it did not */
    struct nori_recovery_info info;
    struct nori_error error; /* the judgement */
    int rc;                  /* likewise */
    bool is_alive;
    uint64_t bytes_done;
    uint64_t bytes_total;
    int stopped; /* what report returned to end it */
};

static int tell(struct inspection *inspection, struct nori_log_item *item)
{
    if (inspection->stopped == 0 && inspection->report) {
        item->size = sizeof *item;
        inspection->stopped = inspection->report(inspection->context, item);
    }
    return inspection->stopped;
}

static int tell_progress(void *context, uint64_t bytes)
{
    struct inspection *inspection = context;
    struct nori_log_item item = {.kind = NORI_LOG_PROGRESS};

    inspection->bytes_done += bytes;
    item.bytes = inspection->bytes_done;
    item.bytes_total = inspection->bytes_total;
    return tell(inspection, &item) == 0 ? 0 : NORI_E_CLOSED;
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
    return nw_recovery_judge(&inspection->env, &inspection->config, &inspection->recovered,
                             &inspection->info, tell_progress, inspection, &inspection->error);
}

static void judge(struct inspection *inspection)
{
    struct nori_error before = NORI_ERROR_INIT;

    for (int look = 0; look < LOOKS_BESIDE_WRITER; look++) {
        inspection->is_alive = inspection->env.folder->ops->is_locked(inspection->env.folder) == 1;
        inspection->rc = judge_once(inspection);
        if (inspection->rc != NORI_E_CORRUPT || !inspection->is_alive ||
            (look > 0 && is_same_place(&inspection->error, &before)))
            break;
        before = inspection->error;
    }
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

    if (!chain->links[i].is_live)
        return 0;
    if (after)
        return after->first_sequence - chain->links[i].first_sequence;
    return inspection->rc < 0
               ? 0
               : inspection->recovered.next_sequence - chain->links[i].first_sequence;
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
        if (inspection->rc == NORI_E_CORRUPT && inspection->error.position.segment_id == link->id)
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
        (void)tell(inspection, &item);
    }
}

static const char *advice_for(int rc)
{
    if (rc == NORI_E_CORRUPT)
        return "keep the folder as it is, copy it away first, and restore the log from a replica "
               "or backup; "
               "an open refuses it so that nothing is lost silently";
    if (rc == NORI_E_VERSION)
        return "read it with the newer version of nori that wrote it";
    return "see to the device, its permissions and its cables, then try again";
}

static void tell_findings(struct inspection *inspection)
{
    struct nori_log_item item = {.kind = NORI_LOG_FINDING};
    char name[NW_NAME_MAX];

    if (inspection->rc < 0) {
        nw_name_format(name, inspection->error.position.segment_id);
        item.file = name;
        item.severity = NORI_SEVERITY_ERROR;
        item.code = inspection->rc;
        item.position = inspection->error.position;
        item.bytes = inspection->info.bytes_truncated;
        item.message = inspection->error.message;
        item.advice = advice_for(inspection->rc);
        (void)tell(inspection, &item);
    } else if (inspection->info.bytes_truncated > 0 && !inspection->is_alive) {
        nw_name_format(name, inspection->recovered.torn_at.segment_id);
        item.file = name;
        item.severity = NORI_SEVERITY_INFO;
        item.position = inspection->recovered.torn_at;
        item.bytes = inspection->info.bytes_truncated;
        item.message = inspection->info.message;
        item.advice =
            "nothing: the next open leaves these bytes behind; no append of them was promised";
        (void)tell(inspection, &item);
    }
}

/* stat does not read what is known to be durable, and does not say that it is sound. */
static const char *sound_message(const struct inspection *inspection)
{
    if (inspection->config.verify == NORI_VERIFY_TAIL)
        return inspection->is_alive ? "a writer has the log open"
                                    : "no damage was met; verify reads every record";
    if (inspection->is_alive)
        return "the log is sound; a writer has it open";
    return inspection->info.bytes_truncated > 0
               ? "the log is sound up to a torn tail, as a crash leaves it"
               : "the log is sound";
}

static void tell_summary(struct inspection *inspection, struct nori_log_item *summary)
{
    summary->kind = NORI_LOG_SUMMARY;
    summary->code = inspection->rc;
    summary->severity = inspection->rc < 0 ? NORI_SEVERITY_ERROR : NORI_SEVERITY_INFO;
    summary->is_writer_alive = inspection->is_alive;
    if (inspection->rc >= 0) {
        const struct nw_chain *chain = &inspection->recovered.chain;

        summary->was_clean = inspection->recovered.was_clean && !inspection->is_alive;
        summary->durable_lsn = nw_control_watermark(inspection->recovered.control, chain);
        if (chain->first_live < chain->count) {
            summary->first_sequence = chain->links[chain->first_live].first_sequence;
            summary->start_lsn = chain->links[chain->first_live].start;
        }
        summary->log_id = inspection->recovered.log_id;
        summary->message = sound_message(inspection);
    } else {
        summary->message =
            inspection->rc == NORI_E_CORRUPT ? "the log is damaged" : nori_strerror(inspection->rc);
    }
    (void)tell(inspection, summary);
}

static int run(struct inspection *inspection, const char *dir)
{
    struct nori_log_item summary = {0};
    const struct nw_chain *chain = &inspection->chain;
    int rc = nw_chain_load(&inspection->chain, &inspection->env, false, &inspection->error);

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
    judge(inspection);
    if (inspection->rc >= 0) {
        chain = &inspection->recovered.chain;
        rc = nw_scan_measure_format1(&inspection->env, &inspection->recovered.chain,
                                     &inspection->error);
        if (rc < 0)
            inspection->rc = rc;
    }
    if (inspection->stopped == 0) {
        tell_segments(inspection, chain, &summary);
        tell_findings(inspection);
        tell_summary(inspection, &summary);
    }
    rc = inspection->rc < 0 ? inspection->rc : NORI_OK;
    if (inspection->rc >= 0)
        nw_recovered_done(&inspection->recovered);
    return inspection->stopped != 0 ? inspection->stopped : rc;
}

static int inspect(const char *dir, const struct nori_log_options *options, uint32_t verify,
                   nori_log_report report, void *context, struct nori_error *ret_error)
{
    struct inspection inspection = {.report = report, .context = context};
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    int rc;

    if (!dir || (options && options->size < sizeof *options) ||
        (options && (options->flags || options->reserved)))
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "dir is NULL, or the options are not made by NORI_LOG_OPTIONS_INIT");
    config.verify = verify;
    rc = nw_config_normalise(&config, &inspection.config, ret_error);
    nw_assert(rc >= 0);
    inspection.env.vfs = options && options->vfs ? options->vfs : nori_vfs_posix();
    inspection.env.allocator =
        options && options->allocator ? options->allocator : nori_allocator_malloc();
    inspection.error = (struct nori_error)NORI_ERROR_INIT;
    nw_chain_init(&inspection.chain, inspection.env.allocator);
    rc = inspection.env.vfs->open_folder(inspection.env.vfs->context, dir, 0, 0,
                                         &inspection.env.folder);
    if (rc < 0)
        return nw_io_error(ret_error, rc, NW_NOWHERE, "open %s", dir);
    rc = run(&inspection, dir);
    if (rc < 0)
        nw_error_copy(ret_error, &inspection.error);
    nw_chain_done(&inspection.chain);
    inspection.env.folder->ops->close(inspection.env.folder);
    return rc;
}

int nori_log_verify(const char *dir, const struct nori_log_options *options, nori_log_report report,
                    void *context, struct nori_error *ret_error)
{
    return inspect(dir, options, NORI_VERIFY_FULL, report, context, ret_error);
}

int nori_log_stat(const char *dir, const struct nori_log_options *options, nori_log_report report,
                  void *context, struct nori_error *ret_error)
{
    return inspect(dir, options, NORI_VERIFY_TAIL, report, context, ret_error);
}
