/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * recovery.c: from what a crash left to a log that can be appended to.
 *
 * What. First everything is judged, reading only (judge.c), and damage is mended if the mode says
 * so (repair.c). Then what lies above the watermark is made durable (D5), a segment still called
 * `spare` gets its name, a `control` of another log goes to quarantine, and the control words are
 * set. Where the log ends is stated by the next append's new header; nothing else changes.
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
#include "wal/quarantine.h"
#include "wal/remains.h"
#include "wal/repair.h"
#include "wal/secure.h"
#include "wal/staged.h"

#include <stdio.h>
#include <string.h>

#define MENDS_MAX ((uint64_t)1 << 20) /* damages mended in one open */

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
    /* What was cut off stays damage until the disk says where the log ends now (D6), which is
     * nw_roll_durably's. */
    if (!recovered->was_cut || NW_PLANT("forget-damage-at-once"))
        nw_control_set_durable(recovered->control, recovered->end_lsn,
                               last && last->format == 2 ? last->header.salt : 0);
    atomic_store(&words->written, recovered->end_lsn);
    atomic_store(&words->published, recovered->end_lsn);
    /* Who looked meanwhile compared with what was there. */
    atomic_fetch_add(&words->history, is_shorter);
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

/* Damage is going to be mended: what the judge took from the ring is in the files before they
 * change. What else it has of those that leave the log: nw_remains_complete(). */
static int write_staged_back(struct nw_judge *judge)
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
static int judge_and_mend(struct nw_judge *judge, struct nw_damage *accepted)
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
        rc = nw_judge_with(judge);
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
        rc = nw_remains_refuse_newer(judge->env, judge->config, judge->error);
        if (rc >= 0)
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
    if (rc >= 0 && judge->is_shortened && !judge->recovered->is_new)
        judge->recovered->was_cut = true;
    if (rc >= 0 && was_damaged)
        (void)snprintf(judge->info->message, sizeof judge->info->message,
                       "damage was %s; %llu bytes of evidence are in quarantine",
                       judge->is_shortened || judge->recovered->was_cut
                           ? "cut off, and the log ends there"
                           : "mended",
                       (unsigned long long)quarantined);
    return rc;
}

/* A log of which all was set aside was there. */
static int check_existence(const struct nori_wal_config *config,
                           const struct nw_recovered *recovered,
                           const struct nori_recovery_info *info, struct nori_error *error)
{
    if ((config->flags & NORI_OPEN_MUST_EXIST) && recovered->is_new && !info->corruption_detected)
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
static int check_space(struct nw_judge *judge)
{
    if (judge->read_only.code != NORI_E_NOSPACE || judge->env->staged->count == 0)
        return NORI_OK;
    nw_error_copy(judge->error, &judge->read_only);
    return judge->read_only.code;
}

/* One that cannot be stored to is made anew, at worst in memory: by now the segments have what its
 * ring had. Its name goes first: that tells readers who map it to look for another (D11). */
static int give_up_control(struct nw_judge *judge)
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
    struct nw_judge judge = {.env = env,
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
    rc = check_existence(config, ret_recovered, info, error);
    if (rc >= 0)
        rc = check_space(&judge);
    watermark = nw_min_u64(nw_judge_watermark(&judge), ret_recovered->end_lsn);
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
