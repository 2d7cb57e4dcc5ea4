/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim_bench.c: see sim_bench.h. */
#include "sim_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct nori_folder *bench_open_folder(nori_sim *sim)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder = NULL;

    assert_int_equal(vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &folder), 0);
    return folder;
}

struct nori_file *bench_open_file(struct nori_folder *folder, const char *name)
{
    struct nori_file *file = NULL;

    assert_int_equal(
        folder->ops->open_file(folder, name, NORI_FILE_WRITE | NORI_FILE_CREATE, 0600, &file), 0);
    return file;
}

int bench_setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    if (!bench)
        return -1;
    bench->sim = nori_sim_new(NULL);
    bench->folder = bench_open_folder(bench->sim);
    bench->file = bench_open_file(bench->folder, "a");
    if (bench->folder->ops->sync(bench->folder) < 0)
        return -1;
    *state = bench;
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;

    bench->file->ops->close(bench->file);
    bench->folder->ops->close(bench->folder);
    nori_sim_free(bench->sim);
    free(bench);
    return 0;
}

int bench_write_code(struct nori_file *file, uint64_t offset, const void *data, size_t len)
{
    struct nori_span span = {data, len};

    return file->ops->write(file, &span, 1, offset);
}

void bench_write_letters(struct nori_file *file, uint64_t offset, char letter, size_t len)
{
    char *data = malloc(len);

    assert_non_null(data);
    memset(data, letter, len);
    assert_int_equal(bench_write_code(file, offset, data, len), 0);
    free(data);
}

void bench_sync_file(struct nori_file *file)
{
    assert_int_equal(file->ops->sync(file), 0);
}

char bench_letter_at(nori_sim *sim, const char *path, uint64_t offset)
{
    size_t len = 0;
    char letter = '-';

    if (nori_sim_file_read(sim, path, offset, &letter, 1, &len) < 0)
        return '!';
    if (len == 0)
        return '-';
    return letter ? letter : '.';
}

/* All words that a power cut may leave, each given by describe, sorted, separated by blanks. */
static void outcomes(nori_sim *sim, void (*describe)(nori_sim *after, char *target), char *target)
{
    char words[64][16];
    size_t count = 0;
    uint64_t outcome_count = nori_sim_outcome_count(sim);

    for (uint64_t outcome = 0; outcome < outcome_count; outcome++) {
        nori_sim *after = NULL;
        char word[16] = "";
        size_t place = 0;

        assert_int_equal(nori_sim_power_cut(sim, outcome, &after), 0);
        describe(after, word);
        assert_true(nori_sim_outcome_count(after) == 1); /* what a cut leaves is durable */
        nori_sim_free(after);
        while (place < count && strcmp(words[place], word) < 0)
            place++;
        if (place < count && strcmp(words[place], word) == 0)
            continue;
        assert_true(count < 64);
        memmove(words[place + 1], words[place], (count - place) * sizeof words[0]);
        memcpy(words[place], word, sizeof word);
        count++;
    }
    target[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        (void)strcat(target, i ? " " : "");
        (void)strcat(target, words[i]);
    }
}

void bench_describe_first(nori_sim *after, char *target)
{
    target[0] = bench_letter_at(after, "wal/a", 0);
    target[1] = '\0';
}

void bench_describe_three_sectors(nori_sim *after, char *target)
{
    for (int i = 0; i < 3; i++)
        target[i] = bench_letter_at(after, "wal/a", (uint64_t)i * NORI_SIM_SECTOR);
    target[3] = '\0';
}

void bench_describe_names(nori_sim *after, char *target)
{
    const char *paths[] = {"wal/a", "wal/b", "wal/c"};

    for (size_t i = 0; i < 3; i++)
        target[i] = bench_letter_at(after, paths[i], 0);
    target[3] = '\0';
}

void bench_assert_outcomes(nori_sim *sim, void (*describe)(nori_sim *after, char *target),
                           const char *expected)
{
    char found[64 * 17];

    outcomes(sim, describe, found);
    assert_string_equal(found, expected);
}
