/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log_repair.c: nori_log_repair.
 *
 * What. The log is walked as nori_log_verify does, and what the recovery mode makes of each finding
 * is told. Then, unless it is a dry run, the log is opened with that mode and closed again, and
 * what is new in quarantine is told: that is what was really done.
 *
 * Failure. Before the open nothing has changed. The open mends one damage after the other; what it
 * did until it failed stays, and is told.
 *
 * Not here. The repair itself: repair.c. The walk: damage.c.
 */
#include "wal/damage.h"
#include "wal/inspect.h"
#include "wal/judge.h"
#include "wal/quarantine.h"
#include "wal/remains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_NAME_MAX 96
#define PIECES_MAX     ((size_t)1 << 20)
#define PLAN_LEN       256

struct pieces {
    const struct nori_allocator *allocator;
    char (*names)[PIECE_NAME_MAX];
    size_t count;
    size_t capacity;
    bool is_short; /* of memory */
};

struct mending {
    struct nw_env env;
    struct nw_staged staged;
    struct nori_log_options options;
    struct nori_wal_config config; /* to open with, completed */
    struct nw_teller teller;
    struct nw_walk walk;
    struct pieces before;
    struct pieces after;
    struct nori_recovery_info info;
    struct nori_position end;
    struct nori_error *error;
    uint64_t bytes_done;
    bool is_rebuilt;         /* the last finding was a header that is made anew */
    bool is_cut;             /* the plan: the log ends before this finding */
    struct nw_damage damage; /* the first, as an open judges it */
};

/* ---- what is in quarantine ---- */

static int keep_name(void *context, const char *name)
{
    struct pieces *pieces = context;
    size_t len = strlen(name);
    void *names;

    if (len >= PIECE_NAME_MAX || (len > 4 && strcmp(name + len - 4, ".txt") == 0) ||
        strstr(name, ".txt."))
        return 0;
    names = nw_list_grow(pieces->allocator, pieces->names, sizeof *pieces->names, pieces->count,
                         PIECES_MAX, &pieces->capacity);
    pieces->is_short = !names;
    if (!names)
        return 1;
    pieces->names = names;
    memcpy(pieces->names[pieces->count++], name, len + 1);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list_pieces(const struct nw_env *env, struct pieces *pieces, struct nori_error *error)
{
    struct nori_folder *folder = NULL;
    int rc = env->folder->ops->open_folder(env->folder, NW_NAME_QUARANTINE, 0, 0, &folder);

    pieces->allocator = env->allocator;
    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND)
        return NORI_OK;
    if (rc >= 0) {
        rc = folder->ops->list(folder, keep_name, pieces);
        folder->ops->close(folder);
    }
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "list %s", NW_NAME_QUARANTINE);
    if (pieces->count > 1)
        qsort(pieces->names, pieces->count, sizeof *pieces->names, compare_names);
    return pieces->is_short ? nw_no_memory(error) : NORI_OK;
}

static bool has_piece(const struct pieces *pieces, const char *name)
{
    for (size_t i = 0; i < pieces->count; i++)
        if (strcmp(pieces->names[i], name) == 0)
            return true;
    return false;
}

static int size_of_piece(const struct mending *mending, const char *name, uint64_t *ret_bytes,
                         struct nori_error *error)
{
    struct nw_env env = mending->env;
    size_t none = 0;
    char nothing;
    int rc = mending->env.folder->ops->open_folder(mending->env.folder, NW_NAME_QUARANTINE, 0, 0,
                                                   &env.folder);

    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s", NW_NAME_QUARANTINE);
    rc = nw_env_read_start(&env, name, &nothing, &none, ret_bytes, error);
    env.folder->ops->close(env.folder);
    return rc;
}

static int tell_piece(struct mending *mending, const char *name, struct nori_error *error)
{
    struct nori_log_item item = {.kind = NORI_LOG_FINDING, .severity = NORI_SEVERITY_INFO};
    char file[PIECE_NAME_MAX + 16];
    char message[PLAN_LEN];
    char segment[NW_NAME_MAX] = "";
    const char *wal = strstr(name, ".wal");
    unsigned long long from = 0;
    unsigned long long to = 0;
    size_t len = wal ? (size_t)(wal - name) + 4 : 0;

    if (len > 0 && len < sizeof segment) {
        memcpy(segment, name, len);
        segment[len] = '\0';
        (void)nw_name_parse(segment, &item.position.segment_id);
    }
    if (wal && sscanf(wal, ".wal.%llu-%llu", &from, &to) == 2) {
        item.position.offset = from;
        item.bytes = to - from;
        (void)snprintf(message, sizeof message, "bytes %llu to %llu of %s were set aside", from, to,
                       segment);
    } else {
        int rc = size_of_piece(mending, name, &item.bytes, error);

        if (rc < 0)
            return rc;
        (void)snprintf(message, sizeof message, "the file %s was set aside",
                       segment[0] ? segment : name);
    }
    (void)snprintf(file, sizeof file, "%s/%s", NW_NAME_QUARANTINE, name);
    item.file = file;
    item.message = message;
    (void)nw_tell(&mending->teller, &item);
    return NORI_OK;
}

/* What is in quarantine now and was not before. */
static int tell_new_pieces(struct mending *mending, struct nori_error *error)
{
    int rc = list_pieces(&mending->env, &mending->after, error);

    for (size_t i = 0; rc >= 0 && i < mending->after.count; i++)
        if (!has_piece(&mending->before, mending->after.names[i]))
            rc = tell_piece(mending, mending->after.names[i], error);
    return rc;
}

/* ---- what is done about a finding ---- */

static void plan_cut_here(struct mending *mending, const struct nw_finding *finding,
                          char plan[PLAN_LEN])
{
    mending->is_cut = true;
    (void)snprintf(plan, PLAN_LEN,
                   "the log ends here: what follows in %s is set aside, and every later segment",
                   finding->file);
}

static void plan_cut(struct mending *mending, const struct nw_finding *finding, char plan[PLAN_LEN])
{
    mending->is_cut = true;
    if (finding->kind == NW_FINDING_RECORDS)
        plan_cut_here(mending, finding, plan);
    else
        (void)snprintf(plan, PLAN_LEN,
                       "the log ends before this segment: %s and every later one is set aside",
                       finding->file);
}

/* A file without a header is no part of the log if the segment behind it can do without. */
static int can_join(struct mending *mending, const struct nw_finding *finding)
{
    const struct nw_chain *chain = &mending->walk.chain;
    size_t i = 0;

    if (finding->kind == NW_FINDING_CHAIN)
        return nw_remains_can_join(&mending->env, &mending->config, finding->segment_id,
                                   mending->error);
    while (i < chain->count &&
           (chain->links[i].id <= finding->segment_id || !chain->links[i].is_live))
        i++;
    return i < chain->count ? nw_remains_can_join(&mending->env, &mending->config,
                                                  chain->links[i].id, mending->error)
                            : NW_JOIN_NOT;
}

/* A segment that does not follow the one before it. */
static int plan_join(struct mending *mending, const struct nw_finding *finding, char plan[PLAN_LEN])
{
    int join = can_join(mending, finding);

    if (join == NW_JOIN_BY_HOLES && finding->kind != NW_FINDING_CHAIN)
        join = NW_JOIN_NOT;
    if (join == NW_JOIN_BY_HOLES)
        (void)snprintf(plan, PLAN_LEN,
                       "a segment of holes takes the place of the missing one; everything else is "
                       "kept");
    else if (join == NW_JOIN_BEHIND_EMPTY)
        (void)snprintf(plan, PLAN_LEN,
                       "the older files hold no record: they are set aside; everything else is "
                       "kept");
    else if (join == NW_JOIN_NOT)
        plan_cut(mending, finding, plan);
    return join < 0 ? join : NORI_OK;
}

/* Prefix sets files aside from another one on, by their names: is this finding before them? */
static bool is_before_damage(const struct mending *mending, const struct nw_finding *finding)
{
    return mending->config.recovery_mode == NORI_RECOVER_PREFIX &&
           mending->damage.kind == NW_DAMAGE_CHAIN &&
           finding->segment_id < mending->damage.segment_id;
}

/* A header that verifies, in the wrong place. */
static bool is_stray(const struct mending *mending, const struct nw_finding *finding)
{
    struct nori_error ignored = NORI_ERROR_INIT;
    uint8_t start[NW_HEADER_LEN_MAX];
    struct nw_header header;
    size_t len = sizeof start;
    uint64_t bytes;

    return nw_env_read_start(&mending->env, finding->file, start, &len, &bytes, &ignored) >= 0 &&
           nw_header_decode(start, len, &header) == 0 &&
           (header.segment_id != finding->segment_id ||
            header.log_id != mending->walk.chain.log_id);
}

/* Nothing says what stood in the place of a file of format 1. */
static bool was_format1(const struct mending *mending, const struct nw_finding *finding)
{
    for (size_t i = 0; i < mending->walk.chain.count; i++) {
        const struct nw_link *link = &mending->walk.chain.links[i];

        if (link->is_live && link->format == 2 && link->header.header_len != 0 &&
            link->header.prev_salt == 0 && link->header.prev_id == finding->segment_id)
            return true;
    }
    return false;
}

/* Salvage, where no mark or header tells how the records go on. */
static int plan_header(struct mending *mending, const struct nw_finding *finding,
                       char plan[PLAN_LEN])
{
    int can = finding->kind != NW_FINDING_HEADER
                  ? 0
                  : nw_remains_can_rebuild(&mending->env, &mending->config, finding->segment_id,
                                           mending->error);

    if (can < 0)
        return can;
    mending->is_rebuilt = can;
    if (can) {
        (void)snprintf(plan, PLAN_LEN, "the damaged header is set aside and made anew; %s",
                       finding->can_go_on ? "its records are kept"
                                          : "what else is damaged becomes holes");
    } else if (is_stray(mending, finding) && !was_format1(mending, finding)) {
        (void)snprintf(plan, PLAN_LEN,
                       "all of %s is set aside: it is no part of the log; holes take its place if "
                       "its neighbours tell what stood there",
                       finding->file);
        mending->is_rebuilt = true;
    } else {
        return plan_join(mending, finding, plan);
    }
    return NORI_OK;
}

static int plan_for(struct mending *mending, const struct nw_finding *finding, char plan[PLAN_LEN])
{
    bool is_salvage = mending->config.recovery_mode == NORI_RECOVER_SALVAGE;
    bool is_records = finding->kind == NW_FINDING_RECORDS;
    bool is_behind_rebuilt = mending->is_rebuilt; /* of this segment, or the one before */
    bool is_before = is_before_damage(mending, finding);
    /* Where a header behind it is lost nobody knows what was durable; and a file without one, and
     * nothing but that before it, is one of format 1 whose first record is damaged. */
    bool is_next = is_before && (finding->severity == NORI_SEVERITY_INFO ||
                                 (finding->kind == NW_FINDING_HEADER && !finding->is_zero));
    /* A header made anew says which record is the first. */
    bool can = finding->can_go_on || (is_behind_rebuilt && finding->sequence_after != 0);

    mending->is_rebuilt &= is_records;
    if (mending->is_cut) {
        (void)snprintf(plan, PLAN_LEN, "it is set aside with what follows the damage before it");
    } else if (is_next) {
        plan_cut_here(mending, finding, plan);
    } else if (finding->severity < NORI_SEVERITY_ERROR || (is_before && !is_records)) {
        (void)snprintf(plan, PLAN_LEN, "nothing: it is kept as it is");
    } else if (finding->code != NORI_E_CORRUPT) {
        (void)snprintf(plan, PLAN_LEN, "nothing can be done until this can be read");
    } else if (is_behind_rebuilt && finding->kind == NW_FINDING_CHAIN) {
        (void)snprintf(plan, PLAN_LEN, "nothing: what is done before it mends this, too");
    } else if (is_salvage && is_records && can) {
        (void)snprintf(plan, PLAN_LEN,
                       "bytes %llu to %llu are set aside and covered by a hole; everything else in "
                       "the segment is kept",
                       (unsigned long long)finding->offset,
                       (unsigned long long)(finding->offset + finding->bytes));
    } else if (is_salvage && !is_records) {
        return plan_header(mending, finding, plan);
    } else {
        plan_cut(mending, finding, plan);
    }
    return NORI_OK;
}

static int tell_findings(struct mending *mending)
{
    for (size_t i = 0; i < mending->walk.count; i++) {
        struct nori_log_item item;
        char plan[PLAN_LEN];
        int rc = plan_for(mending, &mending->walk.findings[i], plan);

        if (rc < 0)
            return rc;
        nw_item_of_finding(&item, &mending->walk.findings[i]);
        item.advice = plan;
        if (nw_tell(&mending->teller, &item) != 0)
            break;
    }
    return NORI_OK;
}

/* ---- the steps ---- */

static int tell_progress(void *context, uint64_t bytes)
{
    struct mending *mending = context;
    struct nori_log_item item = {.kind = NORI_LOG_PROGRESS};

    mending->bytes_done += bytes;
    item.bytes = mending->bytes_done;
    return nw_tell(&mending->teller, &item) == 0 ? 0 : NORI_E_CLOSED;
}

static int begin_walk(struct mending *mending)
{
    int rc = nw_env_ask_writer(&mending->env, mending->error);

    nw_walk_init(&mending->walk, &mending->env);
    mending->walk.progress = tell_progress;
    mending->walk.context = mending;
    mending->walk.is_alive = rc == 1;
    return rc < 0 ? rc : NORI_OK;
}

/* Where recovery ends the log if it finds it sound. */
static int judge(struct mending *mending)
{
    struct nori_wal_config config = mending->config;
    struct nw_recovered recovered;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    config.recovery_mode = NORI_RECOVER_TAIL;
    config.verify = NORI_VERIFY_TAIL;
    rc = nw_judge(&mending->env, &config, &recovered, &mending->info, NULL, NULL, &error);
    if (rc >= 0) {
        const struct nw_link *last = nw_chain_last(&recovered.chain);

        mending->walk.end_lsn = recovered.end_lsn;
        if (last)
            mending->end = (struct nori_position){last->id, recovered.end_lsn - last->start};
        if (recovered.is_new)
            rc = nw_error_set(mending->error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "there is no log");
        nw_recovered_done(&recovered);
        return rc;
    }
    if (rc == NORI_E_CORRUPT)
        return NORI_OK;
    nw_error_copy(mending->error, &error);
    return rc;
}

/* When all files from the damage on are gone those before it are judged again, and so on. */
static int find_lowest_damage(struct mending *mending)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_chain chain;
    int rc;

    nw_chain_init(&chain, mending->env.allocator);
    do {
        rc = nw_chain_load_below(&chain, &mending->env, mending->damage.segment_id, &error);
        if (rc == NORI_E_CORRUPT)
            mending->damage.segment_id = error.position.segment_id;
    } while (rc == NORI_E_CORRUPT);
    nw_chain_done(&chain);
    if (rc < 0)
        nw_error_copy(mending->error, &error);
    return rc;
}

/* The walk finds more than an open does, which stops at the first damage and mends that. */
static int find_first_damage(struct mending *mending)
{
    struct nw_recovered recovered;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc = mending->walk.errors == 0
                 ? NORI_OK
                 : nw_judge(&mending->env, &mending->config, &recovered, &info, NULL, NULL, &error);

    if (rc == NORI_E_CORRUPT) {
        mending->damage = recovered.damage;
        return mending->damage.kind == NW_DAMAGE_CHAIN ? find_lowest_damage(mending) : NORI_OK;
    }
    if (rc < 0)
        nw_error_copy(mending->error, &error);
    else if (mending->walk.errors > 0)
        nw_recovered_done(&recovered);
    return rc;
}

/* A log that cannot be read through, or that a newer version wrote, is left alone (D12). */
static int refuse_unreadable(struct mending *mending)
{
    for (size_t i = 0; i < mending->walk.count; i++) {
        const struct nw_finding *finding = &mending->walk.findings[i];

        if (finding->severity >= NORI_SEVERITY_ERROR && finding->code != NORI_E_CORRUPT)
            return nw_finding_error(finding, mending->error);
    }
    return NORI_OK;
}

static int open_and_close(struct mending *mending)
{
    nori_wal *wal = NULL;
    int rc = nori_wal_open(&mending->config, &wal, &mending->info, mending->error);
    int close_rc;

    if (rc < 0)
        return rc;
    (void)nori_wal_position(wal, &mending->end);
    close_rc = nori_wal_close(wal);
    return close_rc < 0 ? nw_error_set(mending->error, close_rc, 0, NW_NOWHERE, "close: %s",
                                       nori_strerror(close_rc))
                        : NORI_OK;
}

static void tell_summary(struct mending *mending, int rc)
{
    const struct nw_walk *walk = &mending->walk;
    bool is_dry = (mending->options.flags & NORI_LOG_DRY_RUN) != 0;
    struct nori_log_item item = {.kind = NORI_LOG_SUMMARY,
                                 .severity = rc < 0 ? NORI_SEVERITY_ERROR : NORI_SEVERITY_INFO,
                                 .code = rc,
                                 .position = mending->end,
                                 .bytes_quarantined = is_dry ? 0 : mending->info.bytes_quarantined};
    uint64_t first = walk->chain.first_live < walk->chain.count
                         ? walk->chain.links[walk->chain.first_live].first_sequence
                         : 0;
    uint64_t before = first && walk->next_sequence > first + walk->hidden
                          ? walk->next_sequence - first - walk->hidden
                          : walk->records;

    item.records = is_dry || rc < 0 ? walk->records : mending->info.valid_records;
    for (size_t i = 0; i < walk->chain.count; i++)
        item.segments += walk->chain.links[i].is_live;
    if (before > item.records)
        item.records_lost = before - item.records;
    item.message = is_dry && walk->errors > 0 ? "the log is damaged; nothing was changed"
                   : rc < 0                   ? nori_strerror(rc)
                   : walk->errors == 0        ? "there was nothing to repair"
                                              : "the log is repaired";
    (void)nw_tell(&mending->teller, &item);
}

/* Judge and walk; beside a live writer twice, and only what is found again counts. */
static int look(struct mending *mending)
{
    struct nw_walk before;
    int rc = judge(mending);

    if (rc >= 0)
        rc = nw_walk_run(&mending->walk, mending->error);
    if (rc < 0 || mending->walk.errors == 0)
        return rc;
    if (!mending->walk.is_alive) /* it may have come since */
        rc = nw_env_ask_writer(&mending->env, mending->error);
    if (rc < 0 || (!mending->walk.is_alive && rc == 0))
        return rc;
    before = mending->walk;
    rc = begin_walk(mending);
    if (rc >= 0)
        rc = judge(mending);
    if (rc >= 0)
        rc = nw_walk_run(&mending->walk, mending->error);
    nw_walk_confirm(&mending->walk, &before);
    nw_walk_done(&before);
    return rc;
}

/* What a dry run of a damaged log returns: the first damage names the error. */
static int first_damage(const struct mending *mending)
{
    const struct nw_walk *walk = &mending->walk;

    for (size_t i = 0; i < walk->count; i++) {
        const struct nw_finding *finding = &walk->findings[i];

        if (finding->severity >= NORI_SEVERITY_ERROR)
            return nw_finding_error(finding, mending->error);
    }
    return NORI_OK;
}

static int mend(struct mending *mending)
{
    bool is_dry = (mending->options.flags & NORI_LOG_DRY_RUN) != 0;
    struct nori_error problem = NORI_ERROR_INIT;
    int rc = look(mending);
    int told;

    if (rc >= 0)
        rc = find_first_damage(mending);
    if (rc >= 0)
        rc = tell_findings(mending);
    if (rc >= 0)
        rc = refuse_unreadable(mending);
    /* As the repair does before it mends anything. */
    if (rc >= 0 && is_dry && mending->walk.errors > 0)
        rc = nw_remains_refuse_newer(&mending->env, &mending->config, mending->error);
    if (rc < 0 || mending->teller.stopped != 0)
        return rc;
    if (is_dry) {
        rc = first_damage(mending);
    } else {
        rc = list_pieces(&mending->env, &mending->before, mending->error);
        if (rc < 0)
            return rc;
        rc = open_and_close(mending);
        told = tell_new_pieces(mending, &problem);
        if (rc >= 0 && told < 0) {
            nw_error_copy(mending->error, &problem);
            rc = told;
        }
    }
    tell_summary(mending, rc);
    return rc;
}

int nori_log_repair(const char *dir, const struct nori_log_options *options, nori_log_report report,
                    void *context, struct nori_error *ret_error)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct mending mending = {.teller = {report, context, 0}, .error = &error};
    int rc = nw_inspect_begin(dir, options, NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE, &mending.env,
                              &mending.staged, &mending.options, ret_error);

    if (rc < 0)
        return rc;
    config.dir = dir;
    config.vfs = mending.env.vfs;
    config.allocator = mending.env.allocator;
    config.flags = NORI_OPEN_MUST_EXIST;
    config.recovery_mode =
        mending.options.flags & NORI_LOG_SALVAGE ? NORI_RECOVER_SALVAGE : NORI_RECOVER_PREFIX;
    rc = nw_config_normalise(&config, &mending.config, &error);
    nw_assert(rc >= 0);
    mending.info = (struct nori_recovery_info)NORI_RECOVERY_INFO_INIT;
    rc = begin_walk(&mending);
    if (rc >= 0 && mending.walk.is_alive && !(mending.options.flags & NORI_LOG_DRY_RUN))
        rc = nw_error_set(&error, NORI_E_LOCKED, 0, NW_NOWHERE,
                          "repair %s: a writer has the log open", dir);
    else if (rc >= 0)
        rc = mend(&mending);
    if (rc == NORI_E_NOMEM)
        (void)nw_no_memory(&error);
    nw_walk_done(&mending.walk);
    nw_free(mending.env.allocator, mending.before.names);
    nw_free(mending.env.allocator, mending.after.names);
    nw_inspect_end(&mending.env);
    if (rc < 0)
        nw_error_copy(ret_error, &error);
    return mending.teller.stopped != 0 ? mending.teller.stopped : rc;
}
