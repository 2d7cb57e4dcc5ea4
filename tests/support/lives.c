/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lives.c: counting what was appended, and comparing what is left with it. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS, getopt_long */

#include "lives.h"

#include <getopt.h>
#include <sys/mman.h>
#include <unistd.h>

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

bool found_read(struct found *found, nori_reader *reader, size_t value_max, char why[128])
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
            (void)snprintf(why, 128, "a record that nobody appended");
            return false;
        }
        thread = (uint32_t)(number >> 32 & 0xff);
        count = &found->records[number >> 40][thread];
        if (number >> 40 < life || (number & 0xffffffff) != *count + 1) {
            (void)snprintf(why, 128, "life %llu, thread %u: record %llu behind record %llu",
                           (unsigned long long)(number >> 40), thread,
                           (unsigned long long)(number & 0xffffffff), (unsigned long long)*count);
            return false;
        }
        life = number >> 40;
        ++*count;
    }
    (void)snprintf(why, 128, "reading ends with %s", nori_error_name(rc));
    return rc == NORI_END;
}

bool found_check(const struct found *now, const struct found *before, const struct life *life,
                 char why[128])
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
            (void)snprintf(why, 128, "life %llu, thread %u: %llu records, not %llu to %llu",
                           (unsigned long long)i, thread, (unsigned long long)count,
                           (unsigned long long)least, (unsigned long long)most);
            return false;
        }
    }
    return true;
}

void lives_in_memory(void)
{
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}
