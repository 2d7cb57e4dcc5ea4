/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log_overview.c: nori_log_explain, and its answer when no place is asked for.
 *
 * What. The log is walked once, as verify does, for its chain, its watermarks and its damage; then
 * either a place is explained, or the log as a whole: is `control` believed, which files there are
 * and how they hang together, how far the log was durable, and what lies in `spare` and quarantine.
 *
 * Failure. Nothing is changed, so there is nothing to undo. Damage is an answer.
 *
 * Not here. One place: log_explain.c.
 */
#include "wal/advice.h"
#include "wal/explain.h"
#include "wal/judge.h"
#include "wal/quarantine.h"

#include <inttypes.h>
#include <string.h>

/* NULL: it cannot be read, and the error says why. */
static const char *control_in_words(const struct nw_explain *explain,
                                    const struct nw_control *control)
{
    uint64_t bytes = 0;
    size_t none = 0;
    char nothing;
    int rc;

    if (control && control->words->log_id != explain->walk.chain.log_id)
        return "control: not believed: it is of another log";
    if (control && explain->control_lsn == 0)
        return "control: of this log, but its watermark is in no segment that is part of it";
    if (control)
        return "control: believed: it is of this log and in its place";
    rc = nw_env_read_start(&explain->env, NW_NAME_CONTROL, &nothing, &none, &bytes, explain->error);
    if (rc == NORI_E_NOTFOUND)
        return "control: there is none; marks and headers tell how far the log was durable";
    return rc < 0 && rc != NORI_E_INVALID
               ? NULL
               : "control: not believed: a copy, of another version, or not whole";
}

static void overview_advice(struct nw_explain *explain, const struct nw_control *control)
{
    struct nori_log_advice advice;

    if (!control || atomic_load(&control->words->advice.check) == 0)
        return; /* nobody measured */
    if (nw_advice_load(control, &advice))
        (void)nw_explain_say(explain, NULL, 0,
                             "disk: measured; under the policy always, preallocate = auto means %s",
                             advice.preallocate == NORI_PREALLOCATE_ZERO ? "zero" : "reserve");
    else
        (void)nw_explain_say(explain, NULL, 0,
                             "disk: what was measured is not believed: of another device, or not "
                             "whole");
}

static int overview_control(struct nw_explain *explain, const struct nw_control *control)
{
    const char *words = control_in_words(explain, control);

    if (!words)
        return explain->error->code;
    (void)nw_explain_say(explain, NULL, 0, "%s", words);
    overview_advice(explain, control);
    (void)nw_explain_say(explain, NULL, 0,
                         "watermarks: everything below LSN %" PRIu64
                         " was durable (control says %" PRIu64 ")",
                         explain->walk.watermark, explain->control_lsn);
    if (nw_staged_bytes(&explain->staged) > 0)
        (void)nw_explain_say(explain, NULL, 0,
                             "staging ring: %" PRIu64
                             " bytes of records are only there; an open brings them to their "
                             "segments",
                             nw_staged_bytes(&explain->staged));
    return NORI_OK;
}

static void overview_link(struct nw_explain *explain, const struct nw_link *link)
{
    if (!link->is_live) {
        (void)nw_explain_say(explain, link, 0, "no part of the log: dead, or damaged");
    } else if (link->end == NW_OPEN_END) {
        (void)nw_explain_say(
            explain, link, 0,
            "format %" PRIu32 ", begins at LSN %" PRIu64 " with record %" PRIu64
            "; nothing states its end; %" PRIu64 " bytes%s",
            link->format, link->start, link->first_sequence, link->file_bytes,
            link->format == 2 && link->header.header_len == 0 ? "; its header is damaged" : "");
    } else {
        (void)nw_explain_say(
            explain, link, 0,
            "format %" PRIu32 ", LSN %" PRIu64 " to %" PRIu64 ", first record %" PRIu64
            ", ends at offset %" PRIu64 "%s",
            link->format, link->start, link->start + link->end, link->first_sequence, link->end,
            link->format == 2 && link->header.header_len == 0 ? "; its header is damaged" : "");
    }
}

static int overview_spare(struct nw_explain *explain)
{
    const struct nw_link *last = nw_chain_last(&explain->walk.chain);
    uint8_t start[NW_HEADER_LEN];
    size_t len = sizeof start;
    uint64_t bytes = 0;
    int rc = nw_env_read_start(&explain->env, NW_NAME_SPARE, start, &len, &bytes, explain->error);

    if (rc < 0 && rc != NORI_E_NOTFOUND)
        return rc;
    if (rc < 0)
        (void)nw_explain_say(explain, NULL, 0, "spare: there is none");
    else if (last && last->is_spare)
        (void)nw_explain_say(explain, NULL, 0,
                             "spare: it is the newest segment; the next open gives it its name");
    else if (nw_nonzero_len(start, len) == 0)
        (void)nw_explain_say(explain, NULL, 0,
                             "spare: %" PRIu64 " bytes, prepared to be the next segment", bytes);
    else
        (void)nw_explain_say(
            explain, NULL, 0,
            "spare: %" PRIu64 " bytes with a header that does not continue the log", bytes);
    return NORI_OK;
}

static int say_piece(void *context, const char *name)
{
    return nw_explain_say(context, NULL, 0, "%s/%s", NW_NAME_QUARANTINE, name);
}

static int overview_quarantine(struct nw_explain *explain)
{
    struct nori_folder *folder = explain->env.folder;
    struct nori_folder *quarantine = NULL;
    int rc = folder->ops->open_folder(folder, NW_NAME_QUARANTINE, 0, 0, &quarantine);

    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND) {
        (void)nw_explain_say(explain, NULL, 0, "quarantine: there is none");
        return NORI_OK;
    }
    if (rc >= 0) {
        rc = quarantine->ops->list(quarantine, say_piece, explain);
        quarantine->ops->close(quarantine);
    }
    if (rc < 0 && explain->teller.stopped == 0)
        return nw_io_error(explain->error, rc, NW_NOWHERE, "list %s", NW_NAME_QUARANTINE);
    return NORI_OK;
}

static int overview(struct nw_explain *explain, const struct nw_control *control)
{
    const struct nw_walk *walk = &explain->walk;
    int rc = overview_control(explain, control);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < walk->chain.count; i++)
        overview_link(explain, &walk->chain.links[i]);
    for (size_t i = 0; i < walk->count; i++) {
        const struct nw_finding *finding = &walk->findings[i];

        (void)nw_explain_say(explain, NULL, 0, "%s at %" PRIu64 ": %s", finding->file,
                             finding->offset, finding->message);
    }
    rc = overview_spare(explain);
    return rc < 0 ? rc : overview_quarantine(explain);
}

/* The whole log, up to where recovery would end it. */
static int walk(struct nw_explain *explain)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_wal_config full;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_recovered recovered;
    int rc;

    config.verify = NORI_VERIFY_TAIL;
    rc = nw_config_normalise(&config, &full, explain->error);
    nw_assert(rc >= 0);
    rc = nw_env_ask_writer(&explain->env, explain->error);
    if (rc < 0)
        return rc;
    explain->walk.is_alive = rc == 1;
    rc = nw_judge(&explain->env, &full, &recovered, &info, NULL, NULL, &error);
    if (rc >= 0) {
        if (explain->walk.is_alive)
            explain->walk.end_lsn = recovered.end_lsn;
        nw_recovered_done(&recovered);
    } else if (rc != NORI_E_CORRUPT) {
        nw_error_copy(explain->error, &error);
        return rc;
    }
    rc = nw_walk_run(&explain->walk, explain->error);
    if (rc >= 0 && explain->walk.chain.count == 0)
        rc = nw_error_set(explain->error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "there is no log");
    return rc;
}

int nori_log_explain(const char *dir, const struct nori_log_options *options,
                     nori_log_report report, void *context, struct nori_error *ret_error)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_explain explain = {.teller = {report, context, 0}, .error = &error};
    struct nw_control *control = NULL;
    struct nori_log_options full;
    int rc = nw_inspect_begin(dir, options, 0, &explain.env, &explain.staged, &full, ret_error);

    if (rc < 0)
        return rc;
    nw_walk_init(&explain.walk, &explain.env);
    rc = walk(&explain);
    if (rc >= 0)
        rc = nw_control_open(&explain.env, false, &control, &error);
    explain.control_lsn = nw_control_watermark(control, &explain.walk.chain);
    if (rc >= 0 && full.position.segment_id == 0 && full.position.offset == 0)
        rc = overview(&explain, control);
    else if (rc >= 0)
        rc = nw_explain_place(&explain, full.position);
    nw_control_unref(control);
    nw_walk_done(&explain.walk);
    nw_inspect_end(&explain.env);
    if (rc < 0)
        nw_error_copy(ret_error, &error);
    return explain.teller.stopped != 0 ? explain.teller.stopped : rc;
}
