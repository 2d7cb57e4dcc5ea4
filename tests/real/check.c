/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* check.c: is a log that a crash left what was promised? */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_LEN   700
#define BATCH_COUNT 3

static nori_wal *open_log(struct check *check, const struct oracle *oracle,
                          struct oracle_found *ret_found, size_t *ret_count)
{
    struct nori_wal_config config = story_config(check->story, check->dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position end, durable;
    nori_wal *wal = NULL;
    int rc;

    config.verify = check->is_tail ? NORI_VERIFY_TAIL : NORI_VERIFY_FULL;
    rc = nori_wal_open(&config, &wal, &info, &error);
    if (rc < 0) {
        (void)oracle_complain(check->why, "open gives %s: %.120s", nori_error_name(rc),
                              error.message);
        return NULL;
    }
    if (check->device && check->recovered_at == 0)
        check->recovered_at = check->device->tapes[check->device->tape].count;
    if (nori_wal_position(wal, &end) < 0 || nori_wal_durable_position(wal, &durable) < 0 ||
        end.segment_id != durable.segment_id || end.offset != durable.offset)
        (void)oracle_complain(check->why, "what was opened is not durable (D5)");
    else if (info.corruption_detected)
        (void)oracle_complain(check->why, "open tells of damage: %.120s", info.message);
    else if (story_read(wal, check->dir, oracle, ret_found, ret_count, check->why))
        return wal;
    (void)nori_wal_close(wal);
    return NULL;
}

static bool close_log(struct check *check, nori_wal *wal)
{
    int rc = nori_wal_close(wal);

    return rc == NORI_OK || oracle_complain(check->why, "close gives %s", nori_error_name(rc));
}

static bool append(struct check *check, nori_wal *wal, struct oracle *oracle, size_t count)
{
    struct nori_record records[ORACLE_BATCH_MAX];
    struct nori_position positions[ORACLE_BATCH_MAX];
    uint8_t *memory = malloc(oracle_fill_len(count, VALUE_LEN));
    int rc;

    if (!memory)
        abort();
    oracle_append_begin(oracle, count, VALUE_LEN);
    (void)oracle_fill(oracle, records, memory);
    rc = nori_wal_append_batch(wal, records, count, positions);
    oracle_append_end(oracle, rc, positions);
    free(memory);
    return rc == NORI_OK || oracle_complain(check->why, "append gives %s", nori_error_name(rc));
}

/* I4 and I5. */
static bool go_on(struct check *check, struct oracle *oracle)
{
    struct oracle_found found;
    size_t count;
    nori_wal *wal = open_log(check, oracle, &found, &count);
    int rc;

    if (!wal)
        return false;
    if (found.front != check->found.front || found.end != check->found.end)
        (void)oracle_complain(check->why,
                              "opened again it shows records %zu to %zu, not %zu to %zu",
                              found.front + 1, found.end, check->found.front + 1, check->found.end);
    else
        oracle_settle(oracle, &found, count);
    if (!check->why[0] && append(check, wal, oracle, 1) &&
        append(check, wal, oracle, BATCH_COUNT)) {
        rc = nori_wal_sync(wal);
        if (rc < 0)
            (void)oracle_complain(check->why, "sync gives %s", nori_error_name(rc));
        oracle_all_durable(oracle);
    }
    return close_log(check, wal) && !check->why[0];
}

static bool look_again(struct check *check, const struct oracle *oracle)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct oracle_found found;
    size_t count;
    nori_wal *wal = open_log(check, oracle, &found, &count);
    bool is_good;

    if (!wal)
        return false;
    is_good = oracle_expect(oracle, &found, ORACLE_PROCESS_CRASH, check->why);
    if (!close_log(check, wal) || !is_good)
        return false;
    if (nori_log_verify(check->dir, NULL, NULL, NULL, &error) < 0)
        return oracle_complain(check->why, "nori_log_verify: %.150s", error.message);
    return true;
}

bool check_log(struct check *check)
{
    struct oracle oracle;
    nori_wal *wal;
    size_t count;
    bool is_good = false;

    check->why[0] = '\0';
    check->recovered_at = 0;
    oracle_init(&oracle);
    story_promised(check->story, check->moment, &oracle);
    wal = open_log(check, &oracle, &check->found, &count);
    if (wal) {
        is_good = oracle_expect(&oracle, &check->found, ORACLE_POWER_CUT, check->why);
        is_good = close_log(check, wal) && is_good;
    }
    is_good = is_good && go_on(check, &oracle) && look_again(check, &oracle);
    oracle_done(&oracle);
    return is_good;
}
