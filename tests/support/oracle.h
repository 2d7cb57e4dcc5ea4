/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * oracle.h: what a program was promised about its log, and whether a log keeps it.
 *
 * A program tells the oracle what it appends, what came back, what it was told is durable and what
 * it dropped. Whatever happens then, a log that is opened again must show a prefix of that: nothing
 * lost that was promised, nothing invented, every byte as it was. The oracle knows records by their
 * sequence number, which counts those that are in the log.
 *
 * Checks return true, or false with a sentence in `why`. They neither print nor jump, so that they
 * can be used on the small stacks of simulated threads.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <nori/wal.h>
#include <stdbool.h>

#define ORACLE_WHY_LEN   200
#define ORACLE_BATCH_MAX 8
#define ORACLE_VALUE_MAX ((size_t)1 << 20)

/* A record that the program appended. Its bytes follow from identity and value_len. */
struct oracle_record {
    uint64_t identity; /* no two have the same */
    size_t value_len;
    uint32_t batch_left; /* records of its batch behind it */
    bool is_batch_begin;
    struct nori_position position; /* once the append returned */
};

struct oracle {
    struct oracle_record *records; /* record with sequence number n is records[n - 1] */
    size_t capacity;
    size_t begun;    /* records whose append began */
    size_t returned; /* records whose append returned; those between may or may not be there */
    size_t durable;  /* records known to be durable */
    size_t dropped;  /* records that must be gone */
    size_t dropping; /* records that may be gone */
    size_t asked;    /* records that the latest drop is to take away */
    uint64_t next_identity;
    /* No record says that a batch goes on, and the oldest one there is has number 1. */
    bool is_format1;
};

/* What a log shows: records [front, end). */
struct oracle_found {
    size_t front;
    size_t end; /* front == end: no record, and both say nothing */
    struct nori_position last;
    struct nori_position
        in_doubt[ORACLE_BATCH_MAX]; /* of those found whose append did not return */
};

void oracle_init(struct oracle *oracle);
void oracle_done(struct oracle *oracle);
void oracle_copy(struct oracle *target, const struct oracle *source); /* into an initialised one */

/* True while an append is in doubt: none may begin before the log is opened again and the oracle is
 * settled. */
bool oracle_is_in_doubt(const struct oracle *oracle);

/* Begin to append `count` records with values of value_len bytes, as one batch. Give
 * nori_wal_append* the records that oracle_fill makes. */
void oracle_append_begin(struct oracle *oracle, size_t count, size_t value_len);

/* The bytes of the records of the append that has begun; memory for `count` values is needed. */
size_t oracle_fill(const struct oracle *oracle, struct nori_record *records, uint8_t *memory);
size_t oracle_fill_len(size_t count, size_t value_len);

/* Do these eight bytes look like a piece of a value that is not zeros? By chance once in 10^14
 * times. */
bool oracle_is_noise(const void *eight);

/* The append returned rc: the records are there, are not there, or are in doubt. */
void oracle_append_end(struct oracle *oracle, int rc, const struct nori_position *positions);

/* All that returned is durable, or all before a position is. */
void oracle_all_durable(struct oracle *oracle);
void oracle_durable_before(struct oracle *oracle, struct nori_position position);

/* nori_wal_delete_segments_before(position) begins; it returned rc. is_end: position is the end of
 * the log. */
void oracle_drop_begin(struct oracle *oracle, struct nori_position position, bool is_end);
void oracle_drop_end(struct oracle *oracle, int rc);

/* Read everything: in order, without gap or duplicate, byte for byte, batches whole, each where
 * append said (D1, D4). */
bool oracle_read(const struct oracle *oracle, nori_reader *reader, struct oracle_found *ret_found,
                 char why[ORACLE_WHY_LEN]);

enum oracle_event {
    ORACLE_PROCESS_CRASH, /* D2: all that returned is there */
    ORACLE_POWER_CUT      /* D3: all that is known to be durable is there */
};

/* Is that enough, and not too much? */
bool oracle_expect(const struct oracle *oracle, const struct oracle_found *found,
                   enum oracle_event event, char why[ORACLE_WHY_LEN]);

/* The log was opened again and showed this; records_before: how many records it ever had. What is
 * not there is lost, and what is there is durable (D5). */
void oracle_settle(struct oracle *oracle, const struct oracle_found *found, size_t records_before);

/* A sentence for `why`. Always false. */
__attribute__((format(printf, 2, 3))) bool oracle_complain(char why[ORACLE_WHY_LEN],
                                                           const char *format, ...);

#endif
