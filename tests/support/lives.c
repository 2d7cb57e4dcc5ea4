/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lives.c: counting what was appended, and comparing what is left with it. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS, getopt_long */

#include "lives.h"

#include "shm.h"

#include <getopt.h>
#include <sys/mman.h>

struct life *life_new(void)
{
    struct life *life =
        mmap(NULL, sizeof *life, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(life != MAP_FAILED);
    return life;
}

void life_free(struct life *life)
{
    (void)munmap(life, sizeof *life);
}

void life_clear(struct life *life)
{
    for (size_t i = 0; i < LIFE_THREADS; i++) {
        atomic_store(&life->threads[i].begun, 0);
        atomic_store(&life->threads[i].returned, 0);
    }
}

uint64_t life_returned(const struct life *life)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < LIFE_THREADS; i++)
        sum += atomic_load(&life->threads[i].returned);
    return sum;
}

static uint64_t number_of(uint64_t life, uint32_t thread, uint64_t count)
{
    return life << 40 | (uint64_t)thread << 32 | count;
}

static size_t value_len_of(uint64_t number, size_t value_max)
{
    return (size_t)((number * 0x9e3779b97f4a7c15u >> 32) % (value_max + 1));
}

struct nori_record life_record(struct numbered *memory, uint64_t number_of_life, uint32_t thread,
                               uint64_t count, size_t value_max)
{
    uint64_t number = number_of(number_of_life, thread, count);

    return make_numbered(memory, number, value_len_of(number, value_max));
}

void life_append(struct life *life, nori_wal *wal, uint32_t thread,
                 const struct nori_record *record)
{
    uint64_t count = atomic_load(&life->threads[thread].begun) + 1;

    atomic_store(&life->threads[thread].begun, count);
    CHILD_CHECK(nori_wal_append(wal, record, NULL) == NORI_OK);
    atomic_store(&life->threads[thread].returned, count);
}

bool found_read(struct found *found, nori_reader *reader, size_t value_max, char why[LIVES_WHY])
{
    struct nori_record record;
    uint64_t life = 0;
    int rc;

    memset(found->records, 0, sizeof found->records);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK) {
        uint64_t number = 0;
        uint32_t thread;
        uint64_t *count;

        if (!is_numbered(&record, &number) || number >> 40 > found->lives ||
            (number >> 32 & 0xff) >= LIFE_THREADS ||
            record.value_len != value_len_of(number, value_max)) {
            (void)snprintf(why, LIVES_WHY, "a record that nobody appended");
            return false;
        }
        thread = (uint32_t)(number >> 32 & 0xff);
        count = &found->records[number >> 40][thread];
        if (number >> 40 < life || (number & 0xffffffff) != *count + 1) {
            (void)snprintf(why, LIVES_WHY, "life %llu, thread %u: record %llu behind record %llu",
                           (unsigned long long)(number >> 40), thread,
                           (unsigned long long)(number & 0xffffffff), (unsigned long long)*count);
            return false;
        }
        life = number >> 40;
        ++*count;
    }
    (void)snprintf(why, LIVES_WHY, "reading ends with %s", nori_error_name(rc));
    return rc == NORI_END;
}

bool found_check(const struct found *now, const struct found *before, const struct life *life,
                 char why[LIVES_WHY])
{
    for (uint64_t i = 0; i <= now->lives; i++) {
        for (uint32_t thread = 0; thread < LIFE_THREADS; thread++) {
            bool is_last = i == now->lives;
            uint64_t least =
                is_last ? atomic_load(&life->threads[thread].returned) : before->records[i][thread];
            uint64_t most =
                is_last ? atomic_load(&life->threads[thread].begun) : before->records[i][thread];
            uint64_t count = now->records[i][thread];

            if (count >= least && count <= most)
                continue;
            (void)snprintf(why, LIVES_WHY, "life %llu, thread %u: %llu records, not %llu to %llu",
                           (unsigned long long)i, thread, (unsigned long long)count,
                           (unsigned long long)least, (unsigned long long)most);
            return false;
        }
    }
    return true;
}

static bool complain(char why[LIVES_WHY], const char *what)
{
    (void)snprintf(why, LIVES_WHY, "%s", what);
    return false;
}

static bool compare_and_close(nori_wal *wal, struct found *found, const struct life *life,
                              size_t value_max, char why[LIVES_WHY])
{
    struct found now = {.lives = found->lives};
    nori_reader *reader = NULL;
    int rc;

    if (!is_same_position(durable_of(wal), position_of(wal)))
        return complain(why, "what was recovered is not durable"); /* D5 */
    rc = nori_wal_read_from(wal, OLDEST, &reader);
    if (rc < 0 && rc != NORI_E_NOTFOUND) /* there is no record */
        return complain(why, nori_error_name(rc));
    if (reader && !found_read(&now, reader, value_max, why))
        return false;
    nori_reader_close(reader);
    if (!found_check(&now, found, life, why))
        return false;
    close_log(wal);
    *found = now;
    found->lives++;
    return true;
}

bool found_recover(struct found *found, const struct nori_wal_config *config,
                   const struct life *life, size_t value_max, char why[LIVES_WHY])
{
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    if (nori_wal_open(config, &wal, &info, &error) != NORI_OK)
        return complain(why, error.message);
    if (info.corruption_detected)
        return complain(why, info.message);
    return compare_and_close(wal, found, life, value_max, why);
}

uint64_t found_total(const struct found *found)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < found->lives; i++)
        for (size_t thread = 0; thread < LIFE_THREADS; thread++)
            sum += found->records[i][thread];
    return sum;
}

void lives_in_memory(void)
{
    if (shm_has_room())
        (void)setenv("TMPDIR", "/dev/shm", 0);
}
