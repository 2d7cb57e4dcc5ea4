/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_bench.h: what the tests of the simulated machine share: one with a file, letters to write,
 * and the set of disks that a power cut may leave, as words to compare.
 */
#ifndef NW_TEST_SIM_BENCH_H
#define NW_TEST_SIM_BENCH_H

#include <nori/sim.h>

/* A machine with an open folder "wal" and an open file "a" in it, both durable. */
struct bench {
    nori_sim *sim;
    struct nori_folder *folder;
    struct nori_file *file;
};

/* Fixtures: a struct bench in *state. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* The folder "wal", and a file in it, created if absent. */
struct nori_folder *bench_open_folder(nori_sim *sim);
struct nori_file *bench_open_file(struct nori_folder *folder, const char *name);

/* Write, and return what write said. */
int bench_write_code(struct nori_file *file, uint64_t offset, const void *data, size_t len);

/* Fill len bytes with one letter. */
void bench_write_letters(struct nori_file *file, uint64_t offset, char letter, size_t len);

void bench_sync_file(struct nori_file *file);

/* The byte that is read at an offset; '.' for zero, '-' behind the end, '!' if there is no such
 * file. */
char bench_letter_at(nori_sim *sim, const char *path, uint64_t offset);

/* Words for a disk, of at most 15 letters: the first byte of "wal/a"; of its first three
 * sectors; of "wal/a", "wal/b" and "wal/c". */
void bench_describe_first(nori_sim *after, char *target);
void bench_describe_three_sectors(nori_sim *after, char *target);
void bench_describe_names(nori_sim *after, char *target);

/* A power cut now may leave these disks and no others: words in order, separated by blanks. */
void bench_assert_outcomes(nori_sim *sim, void (*describe)(nori_sim *after, char *target),
                           const char *expected);

#endif
