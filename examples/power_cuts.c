/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * power_cuts.c: a program tortured by the simulated machine of nori/sim.h, and a bug that it finds.
 *
 * The program keeps a balance. Each payment is a record of a log. After some payments it writes the
 * balance to a file of its own, a snapshot, and drops the log's segments that lie before it. When
 * it starts it takes the newest snapshot and adds the payments behind it.
 *
 * The bug: the snapshot's bytes are not synced before the segments are dropped. On a real disk that
 * goes well nearly always. Here the power is cut before every operation of the disk, in every way
 * that a disk may be left behind, and after each the program starts again and must know at least
 * what it had promised.
 *
 * Run it: power_cuts. It shows the bug, then that the program without it survives all of that.
 */
#include <nori/sim.h>
#include <nori/wal.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PAYMENTS 6
#define SNAPSHOT "snapshot-%llu" /* its number is that of the last payment in it */

/* ---- the program ---- */

struct snapshot {
    uint64_t payments; /* that are in it */
    uint64_t balance;
    uint64_t check; /* the sum of both, and one: zeros are no snapshot */
};

struct account {
    const struct nori_vfs *vfs;
    nori_wal *wal;
    uint64_t payments;
    uint64_t balance;
    bool has_bug;
};

static int write_snapshot(const struct account *account)
{
    struct snapshot snapshot = {account->payments, account->balance,
                                account->payments + account->balance + 1};
    struct nori_span span = {&snapshot, sizeof snapshot};
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;
    char name[32];
    int rc =
        account->vfs->open_folder(account->vfs->context, "own", NORI_FOLDER_CREATE, 0700, &folder);

    if (rc < 0)
        return rc;
    (void)snprintf(name, sizeof name, SNAPSHOT, (unsigned long long)account->payments);
    rc = folder->ops->open_file(folder, name, NORI_FILE_WRITE | NORI_FILE_CREATE, 0600, &file);
    if (rc >= 0)
        rc = file->ops->write(file, &span, 1, 0);
    if (rc >= 0 && !account->has_bug)
        rc = file->ops->sync(file); /* without this: a name without bytes, and no payments either */
    if (rc >= 0)
        rc = folder->ops->sync(folder);
    if (file)
        file->ops->close(file);
    folder->ops->close(folder);
    return rc;
}

/* Take a payment. It is promised when this returns. */
static int pay(struct account *account, uint64_t amount)
{
    struct nori_record record = nori_record_put("pay", 3, &amount, sizeof amount);
    struct nori_position end;
    int rc = nori_wal_append(account->wal, &record, NULL);

    if (rc < 0)
        return rc;
    account->payments++;
    account->balance += amount;
    if (account->payments % 3 != 0)
        return NORI_OK;
    rc = write_snapshot(account);
    if (rc >= 0)
        rc = nori_wal_position(account->wal, &end);
    if (rc >= 0)
        rc = nori_wal_delete_segments_before(account->wal, end, NULL);
    return rc;
}

static void read_snapshots(struct account *account)
{
    struct nori_folder *folder = NULL;

    if (account->vfs->open_folder(account->vfs->context, "own", 0, 0, &folder) < 0)
        return;
    for (uint64_t number = 1; number <= PAYMENTS; number++) {
        struct snapshot snapshot = {0, 0, 0};
        struct nori_file *file = NULL;
        char name[32];
        size_t got = 0;

        (void)snprintf(name, sizeof name, SNAPSHOT, (unsigned long long)number);
        if (folder->ops->open_file(folder, name, 0, 0, &file) < 0)
            continue;
        if (file->ops->read(file, &snapshot, sizeof snapshot, 0, &got) >= 0 &&
            got == sizeof snapshot && snapshot.check == snapshot.payments + snapshot.balance + 1) {
            account->payments = snapshot.payments;
            account->balance = snapshot.balance;
        }
        file->ops->close(file);
    }
    folder->ops->close(folder);
}

static int start(struct account *account)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    struct nori_record record;
    nori_reader *reader = NULL;
    int rc;

    account->payments = account->balance = 0;
    config.vfs = account->vfs;
    config.fsync_policy = NORI_FSYNC_ALWAYS;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = 4096; /* little memory, so that machines are cloned fast */
    config.preallocate = NORI_PREALLOCATE_OFF;
    rc = nori_wal_open(&config, &account->wal, NULL, NULL);
    if (rc < 0)
        return rc;
    read_snapshots(account);
    rc = nori_wal_read_from(account->wal, oldest, &reader);
    while (rc >= 0 && (rc = nori_reader_next(reader, &record, NULL)) == NORI_OK) {
        uint64_t amount;

        if (record.sequence <= account->payments)
            continue; /* it is in the snapshot */
        (void)memcpy(&amount, record.value, sizeof amount);
        account->payments = record.sequence;
        account->balance += amount;
    }
    nori_reader_close(reader);
    return rc < 0 ? rc : NORI_OK;
}

/* ---- the torture ---- */

struct torture {
    struct account account;
    bool is_over; /* a violation was found */
    uint64_t disks;
};

/* Start the program on what a power cut left: it may not know less than it had promised. */
static void check(struct torture *torture, nori_sim *after, uint64_t operation, uint64_t outcome)
{
    struct account account = {.vfs = nori_sim_vfs(after)};
    int rc = start(&account);

    torture->disks++;
    if (rc < 0 || account.balance < torture->account.balance) {
        torture->is_over = true;
        printf("  power cut before operation %llu, outcome %llu: balance %llu, promised %llu%s%s\n",
               (unsigned long long)operation, (unsigned long long)outcome,
               (unsigned long long)account.balance, (unsigned long long)torture->account.balance,
               rc < 0 ? ", " : "", rc < 0 ? nori_error_name(rc) : "");
    }
    (void)nori_wal_close(account.wal);
}

/* The hook: called by the simulation before every operation that changes its disk. */
static void cut_power(void *context, nori_sim *sim, uint64_t operation)
{
    struct torture *torture = context;
    uint64_t count = nori_sim_outcome_count(sim);
    nori_sim *after = NULL;

    for (uint64_t i = 0; i < count && i < 256 && !torture->is_over; i++) {
        if (count <= 256)
            (void)nori_sim_power_cut(sim, i, &after);
        else /* too many to try all: by seed */
            nori_sim_power_cut_random(sim, i, &after);
        check(torture, after, operation, i);
        nori_sim_free(after);
    }
}

/* Returns whether it survived. */
static bool survives(bool has_bug)
{
    struct torture torture = {.account = {.has_bug = has_bug}};
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim;

    options.before_operation = cut_power;
    options.context = &torture;
    sim = nori_sim_new(&options);
    torture.account.vfs = nori_sim_vfs(sim);
    if (start(&torture.account) != NORI_OK)
        torture.is_over = true;
    for (uint64_t i = 1; i <= PAYMENTS && !torture.is_over; i++)
        torture.is_over = pay(&torture.account, i * 100) != NORI_OK || torture.is_over;
    (void)nori_wal_close(torture.account.wal);
    nori_sim_free(sim);
    printf("  %llu disks tried\n", (unsigned long long)torture.disks);
    return !torture.is_over;
}

int main(void)
{
    bool is_bug_found, is_good;

    printf("With the bug:\n");
    is_bug_found = !survives(true);
    printf("Without it:\n");
    is_good = survives(false);
    printf("%s\n", is_bug_found && is_good ? "The bug was found, and the rest holds."
                                           : "That is not what should have happened.");
    return is_bug_found && is_good ? 0 : 1;
}
