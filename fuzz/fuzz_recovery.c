/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_recovery.c: bytes as a whole folder, whatever lies in it. All who only look change nothing
 * and agree; each recovery mode opens it or refuses with a documented code and no change (D6). What
 * is open reads to its end, verifies, takes another record, and shows the same when it is opened
 * again.
 *
 * In a forged folder, one that says with right checksums what no writer says, a value may claim to
 * be too large; readers alone find that out.
 *
 * Input: a position to explain (segment u8, offset u16), and a folder, as folder.h has it.
 */
#include "show.h"

#include <stdio.h>

static struct nori_log_options look_options(nori_sim *sim)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(sim);
    options.allocator = memory_allocator();
    return options;
}

static bool is_forged; /* then a value may claim to be too large */
static char why[320];  /* what verify or open found last */

static int verify(nori_sim *sim)
{
    struct nori_log_options options = look_options(sim);
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_verify(FOLDER_DIR, &options, NULL, NULL, &error);

    (void)snprintf(why, sizeof why, "%s: %s", nori_error_name(rc), error.message);
    return rc;
}

static nori_wal *open_log(nori_sim *sim, uint32_t mode, int *ret_rc)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    config.dir = FOLDER_DIR;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = FOLDER_RING_LEN;
    config.fsync_policy = NORI_FSYNC_OS;
    config.preallocate = NORI_PREALLOCATE_OFF;
    config.recovery_mode = mode;
    config.vfs = nori_sim_vfs(sim);
    config.allocator = memory_allocator();
    *ret_rc = nori_wal_open(&config, &wal, NULL, &error);
    (void)snprintf(why, sizeof why, "%s: %s", nori_error_name(*ret_rc), error.message);
    fuzz_check((*ret_rc == NORI_OK) == (wal != NULL), "open gives %d and a handle or none",
               *ret_rc);
    return wal;
}

/* Who only looks. What a reader showed, and what verify says. */
static int look(nori_sim *sim, struct nori_position position, struct shown *ret_shown)
{
    struct nori_log_options options = look_options(sim);
    uint64_t digest = nori_sim_digest(sim);
    struct shown copied, durable;
    int rc = verify(sim);

    (void)nori_log_stat(FOLDER_DIR, &options, NULL, NULL, NULL);
    (void)nori_log_explain(FOLDER_DIR, &options, NULL, NULL, NULL);
    options.position = position;
    (void)nori_log_explain(FOLDER_DIR, &options, NULL, NULL, NULL);
    show(sim, NORI_VISIBLE_APPENDED, 0, ret_shown);
    show(sim, NORI_VISIBLE_APPENDED, NORI_READER_PREAD, &copied);
    show(sim, NORI_VISIBLE_DURABLE, 0, &durable);
    fuzz_check(copied.digest == ret_shown->digest && copied.end == ret_shown->end,
               "a reader that copies shows %llu records, one that maps %llu",
               (unsigned long long)copied.records, (unsigned long long)ret_shown->records);
    fuzz_check(durable.records <= ret_shown->records, "more is durable than there is");
    /* A header may say so. Open and verify refuse it; a reader goes on. */
    fuzz_check(!ret_shown->goes_back || (rc != NORI_OK && rc != NORI_E_NOTFOUND),
               "verify calls a log sound whose sequence numbers go back");
    fuzz_check(nori_sim_digest(sim) == digest, "looking changed the folder");
    return rc;
}

/* A forged header or hole may say that the log has come to the last number there is: then it can be
 * opened once, and not again. */
static bool is_out_of_numbers(int rc)
{
    return is_forged && rc == NORI_E_UNSUPPORTED;
}

/* Append, and look at it once more: what was there, and one record. */
static void go_on(nori_sim *sim, nori_wal *wal, const struct shown *shown)
{
    struct nori_record record = nori_record_put("key", 3, "value", 5);
    struct nori_position position;
    struct shown again;
    int rc = nori_wal_append(wal, &record, &position);

    fuzz_check(rc == NORI_OK, "an append gives %d", rc);
    rc = nori_wal_close(wal);
    fuzz_check(rc == NORI_OK, "closing gives %d", rc);
    wal = open_log(sim, NORI_RECOVER_TAIL, &rc);
    if (is_out_of_numbers(rc))
        return;
    fuzz_check(rc == NORI_OK, "behind an append, opening gives %s", why);
    show(sim, NORI_VISIBLE_APPENDED, 0, &again);
    fuzz_check(again.end == NORI_END && again.records == shown->records + 1 &&
                   again.last.segment_id == position.segment_id &&
                   again.last.offset == position.offset,
               "behind an append to %llu records, %llu are there",
               (unsigned long long)shown->records, (unsigned long long)again.records);
    rc = nori_wal_close(wal);
    fuzz_check(rc == NORI_OK, "closing gives %d", rc);
    rc = verify(sim);
    fuzz_check(rc == NORI_OK, "behind an append, verify gives %s", why);
}

/* Open, close, open again: the same. tail: what mode tail showed, which is all there is to see
 * then, or NULL if it refused. */
static void recover(nori_sim *sim, uint32_t mode, const struct shown *tail, struct shown *ret_shown,
                    int *ret_rc)
{
    uint64_t digest = nori_sim_digest(sim);
    nori_wal *wal = open_log(sim, mode, ret_rc);
    struct shown again;
    int rc;

    if (!wal) {
        bool is_damage = *ret_rc == NORI_E_CORRUPT && mode <= NORI_RECOVER_STRICT;

        /* unsupported: no segment id is left */
        fuzz_check(is_damage || *ret_rc == NORI_E_VERSION || *ret_rc == NORI_E_UNSUPPORTED,
                   "mode %u refuses with %s", mode, why);
        fuzz_check(nori_sim_digest(sim) == digest,
                   "mode %u refused with %s, but changed the folder (D6)", mode, why);
        return;
    }
    show(sim, NORI_VISIBLE_APPENDED, 0, ret_shown);
    if (is_forged && ret_shown->end == NORI_E_TOOBIG) {
        (void)nori_wal_close(wal); /* a value that claims to be larger: only readers look */
        return;
    }
    fuzz_check(ret_shown->end == NORI_END, "mode %u opens it, but reading ends with %d", mode,
               ret_shown->end);
    fuzz_check(!ret_shown->goes_back, "mode %u opens it, but sequence numbers go back", mode);
    rc = nori_wal_close(wal);
    fuzz_check(rc == NORI_OK, "closing gives %d", rc);
    if (tail) {
        fuzz_check(ret_shown->digest == tail->digest,
                   "nothing is damaged, but mode %u shows %llu records, tail %llu", mode,
                   (unsigned long long)ret_shown->records, (unsigned long long)tail->records);
        return;
    }
    rc = verify(sim);
    fuzz_check(rc == NORI_OK || rc == NORI_E_NOTFOUND, "after mode %u verify gives %s", mode, why);
    wal = open_log(sim, NORI_RECOVER_TAIL, &rc);
    if (is_out_of_numbers(rc))
        return;
    fuzz_check(rc == NORI_OK, "after mode %u opening it again gives %s", mode, why);
    show(sim, NORI_VISIBLE_APPENDED, 0, &again);
    fuzz_check(again.digest == ret_shown->digest && again.end == NORI_END,
               "mode %u shows %llu records, opened again %llu", mode,
               (unsigned long long)ret_shown->records, (unsigned long long)again.records);
    go_on(sim, wal, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input input = {data, len};
    struct nori_position position = {fuzz_number(&input, 1), fuzz_number(&input, 2)};
    nori_sim *sim = folder_new(&input, &is_forged);
    struct shown before, tail;
    int verified = look(sim, position, &before);
    bool is_sound = false;

    for (uint32_t mode = NORI_RECOVER_TAIL; mode <= NORI_RECOVER_SALVAGE; mode++) {
        struct shown shown;
        nori_sim *clone;
        int rc;

        nori_sim_crash_kill(sim, &clone);
        recover(clone, mode, is_sound ? &tail : NULL, &shown, &rc);
        if (mode == NORI_RECOVER_TAIL) {
            bool is_verified = verified == NORI_OK || verified == NORI_E_NOTFOUND;

            is_sound = rc == NORI_OK;
            /* What is known to be newer, or has no ids left, may still be read, but not written. */
            fuzz_check(is_verified == is_sound || rc == NORI_E_VERSION || rc == NORI_E_UNSUPPORTED,
                       "verify gives %d, opening %d", verified, rc);
            fuzz_check(!is_sound || shown.digest == before.digest,
                       "a reader showed %llu records, opening %llu",
                       (unsigned long long)before.records, (unsigned long long)shown.records);
            tail = is_sound ? shown : before;
        }
        fuzz_check(memory_blocks() == 0, "memory leaks");
        nori_sim_free(clone);
    }
    fuzz_check(memory_blocks() == 0, "memory leaks");
    nori_sim_free(sim);
    return 0;
}
