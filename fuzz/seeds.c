/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * seeds.c: write the first inputs of every fuzzer: `fuzz_seeds FOLDER` makes FOLDER/NAME/seed-*.
 * Fuzzers go on from there; what they find that reaches more code is kept beside.
 */
#include "folder.h"
#include "seal.h"

#include "../tests/api/encode.h"

#include <nori/wal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_MAX ((size_t)64 << 10)
#define LINE_LEN 64

static const char *root;

static void write_seed(const char *target, const char *name, const void *data, size_t len)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", root, target);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/seed-%s", root, target, name);
    file = fopen(path, "wb");
    if (!file || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* ---- folders: histories of a log, a letter a step ---- */

static nori_wal *open_log(nori_sim *sim, uint32_t format)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    nori_wal *wal = NULL;

    config.dir = FOLDER_DIR;
    config.max_segment_size = (uint64_t)1 << 20;
    config.buffer_size = FOLDER_RING_LEN;
    config.fsync_policy = NORI_FSYNC_OS;
    config.preallocate = NORI_PREALLOCATE_OFF;
    config.format = format;
    config.vfs = nori_sim_vfs(sim);
    if (nori_wal_open(&config, &wal, NULL, NULL) < 0)
        abort();
    return wal;
}

/* Which format the log has behind step i: '1' begins in format 1, '2' goes over to format 2. */
static uint32_t format_behind(const char *steps, size_t i)
{
    return steps[0] == '1' && (!strchr(steps, '2') || strchr(steps + i, '2')) ? 1 : 2;
}

/* a: a record, t: one with all fields, b: a batch of two, z: a compressed value, s: sync, l: a
 * value over 4 KiB, c: close and open, D: drop all, k: kill (the last step; else it is closed). */
static nori_sim *live(const char *steps)
{
    static char large[5000];
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(&options);
    nori_sim *after;
    nori_wal *wal = open_log(sim, format_behind(steps, 0));

    memset(large, 'v', sizeof large);
    for (size_t i = 0; steps[i]; i++) {
        char step = steps[i];
        struct nori_record records[2] = {nori_record_put("key", 3, "value", 5),
                                         nori_record_delete("gone", 4)};
        struct nori_position position;

        if (step == 't') {
            records[0] = nori_record_put_with_ttl("k", 1, "v", 1, 1000);
            records[0].flags |= NORI_RECORD_VERSION;
            records[0].version_term = 7;
        } else if (step == 'z' || step == 'l') {
            records[0].value = large;
            records[0].value_len = step == 'z' ? 300 : sizeof large;
            records[0].compression = step == 'z' ? NORI_COMPRESSION_LZ4 : NORI_COMPRESSION_NONE;
        }
        if (strchr("atzlb", step))
            (void)nori_wal_append_batch(wal, records, step == 'b' ? 2 : 1, NULL);
        else if (step == 's')
            (void)nori_wal_sync(wal);
        else if (step == 'D' && nori_wal_position(wal, &position) == NORI_OK)
            (void)nori_wal_delete_segments_before(wal, position, NULL);
        else if (step == 'c' && nori_wal_close(wal) == NORI_OK)
            wal = open_log(sim, format_behind(steps, i));
        else if (step == 'k')
            break;
    }
    nori_sim_crash_kill(sim, &after);
    if (strchr(steps, 'k')) {
        (void)nori_wal_close(wal);
        nori_sim_free(sim);
        return after;
    }
    nori_sim_free(after);
    (void)nori_wal_close(wal);
    return sim;
}

/* Flip a byte in the middle of the last record, or of the first segment. */
static void damage(nori_sim *sim, const char *path, uint64_t offset)
{
    uint8_t byte = 0;
    size_t got = 0;

    (void)nori_sim_file_read(sim, path, offset, &byte, 1, &got);
    byte ^= 0x55;
    if (got == 1)
        (void)nori_sim_file_poke(sim, path, offset, &byte, 1);
}

static void write_folder(const char *name, nori_sim *sim, uint8_t fix)
{
    static uint8_t seed[SEED_MAX] = {0, 128, 0}; /* explain 0:128 */
    size_t len = folder_describe(sim, fix, seed + 3, sizeof seed - 3);

    write_seed("recovery", name, seed, len + 3);
    if (fix)
        write_seed("segment", name, seed + 3, len);
}

static void folders(void)
{
    static const struct {
        const char *name;
        const char *steps;
    } histories[] = {
        {"closed", "abtz"},   {"lives", "acbcta"},        {"killed", "asabk"},
        {"marks", "lsalsab"}, {"staged", "ascabtk"},      {"staged-first", "abk"},
        {"dropped", "acaDa"}, {"emptied", "abDk"},        {"format1", "1atca"},
        {"mixed", "1aca2ca"}, {"format1-killed", "1aak"}, {"lives-killed", "asclsacabk"},
        {"new", ""},
    };
    static const uint8_t all =
        FOLDER_FIX_HEADER | FOLDER_FIX_RECORDS | FOLDER_FIX_LINK | FOLDER_FIX_MARKS;

    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++) {
        nori_sim *sim = live(histories[i].steps);
        char name[64];

        write_folder(histories[i].name, sim, 0);
        (void)snprintf(name, sizeof name, "%s-sealed", histories[i].name);
        write_folder(name, sim, all);
        damage(sim, FOLDER_DIR "/000000.wal", 140);
        (void)snprintf(name, sizeof name, "%s-damaged", histories[i].name);
        write_folder(name, sim, 0);
        nori_sim_free(sim);
    }
}

/* ---- records ---- */

static void records(void)
{
    static const uint8_t lz4[] = {8, 0x1f, 'v', 1, 0, 0x20, 'v', 'v'};
    static const struct {
        const char *name;
        struct raw_record record;
    } kinds[] = {
        {"plain", {.key = "key", .key_len = 3, .value = "value", .value_len = 5}},
        {"empty", {0}},
        {"tombstone", {.key = "key", .key_len = 3, .flags = RAW_TOMBSTONE}},
        {"fields",
         {.key = "k",
          .key_len = 1,
          .flags = RAW_TTL | RAW_VERSION | RAW_TIME,
          .ttl_ms = 1500,
          .term = 300,
          .index = UINT64_MAX,
          .time_ms = 1700000000000}},
        {"continues", {.key = "k", .key_len = 1, .flags = RAW_CONTINUES}},
        {"lz4",
         {.key = "k", .key_len = 1, .value = lz4, .value_len = sizeof lz4, .flags = RAW_LZ4}},
        {"zstd",
         {.key = "k",
          .key_len = 1,
          .value = "\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00valuex",
          .value_len = 15,
          .flags = RAW_ZSTD}},
        {"hole",
         {.key = "\3",
          .key_len = 1,
          .value = "\1\0\0\0\0\0\0\0",
          .value_len = 8,
          .flags = RAW_CONTROL}},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (uint8_t choice = 0; choice < 4; choice++) {
            struct bytes seed = {0};
            char name[64];

            put_number(&seed, choice, 1);
            put_number(&seed, UINT64_C(0x0123456789abcdef), 8);
            put_number(&seed, 13, 4); /* where the record lies in the seed, which seals it */
            (void)put_record(&seed, &kinds[i].record,
                             choice & 1u ? UINT64_C(0x0123456789abcdef) : 0);
            (void)snprintf(name, sizeof name, "%s-%u", kinds[i].name, choice);
            write_seed("record", name, seed.data, seed.len);
            free_bytes(&seed);
        }
    }
}

/* ---- lines and calls ---- */

static void lines(void)
{
    static const char *const inputs[] = {
        "\xff{\"key\":\"k\",\"value\":\"v\"}\n{\"key\":\"k\",\"tombstone\":true}\n",
        "\x01{\"segment\":0,\"offset\":128,\"sequence\":1,\"key_hex\":\"6b\",\"value_hex\":\"\"}",
        "\x07{\"key\":\"\\u00e4\\n\",\"value\":null,\"ttl_ms\":1000,\"time_ms\":1}\n",
        "\x20{\"key\":\"k\",\"value\":\"v\",\"compression\":\"lz4\"}\r\n\n",
        "\x40{\"key\":\"k\",\"version\":{\"term\":1,\"index\":18446744073709551615}}\n",
        "\x41{\"key\":\"k\",\"version\":null,\"x\":[1,{\"y\":-1.5e3}],\"tombstone\":false}\n",
    };

    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "%zu", i);
        write_seed("tool", name, inputs[i], strlen(inputs[i]));
    }
}

/* Lines just beside what the fast parser takes: a mistake there need not reach other code. */
static void lines_beside(void)
{
    static const char with_nul[] = "\xff{\"key\":\"\\\0\",\"key_hex\":\"6b\"}\n";
    static const char *const inputs[] = {
        "{\"key\":\"k\",\"value\":\"v\",\"key\":\"l\"}",
        "{\"key\":\"k\",\"ttl_ms\":null,\"ttl_ms\":1}",
        "{\"key\":\"k\",\"ttl_ms\":01}",
        "{\"key\":\"k\",\"ttl_ms\":0}",
        "{\"key\":\"k\",\"ttl_ms\":}",
        "{\"key\":\"k\",\"ttl_ms\":1.0}",
        "{\"key\":\"k\",\"ttl_ms\":-1}",
        "{\"key\":\"k\",\"ttl_ms\":9223372036854775807}",
        "{\"key\":\"k\",\"ttl_ms\":18446744073709551616}",
        "{\"key\":\"k\",\"value\":\"\\n\"}",
        "{\"key\":\"k\",\"value\":\"\\u0041\"}",
        "{\"key\":\"\\n\",\"key_hex\":\"6b\"}",
        "{\"key\":\"\\ud83d\\ude00\",\"key_hex\":\"6b\"}",
        "{\"key\":\"\\ud800\",\"key_hex\":\"6b\"}",
        "{\"key\":\"\\uDC00\",\"key_hex\":\"6b\"}",
        "{\"key\":\"k\",\"key_hex\":\"\"}",
        "{\"key_hex\":\"6b6\"}",
        "{\"key_hex\":\"6g\"}",
        "{\"key_hex\":\"6B\",\"value_hex\":\"00ffFF\"}",
        "{\"key\":\"k\",\"tombstone\":true}x",
        "{\"key\":\"k\",\"tombstone\":tru}",
        "{\"key\":\"k\"},",
        "{\"key\":\"k\",\"version\":{\"term\":1}}",
        "{\"key\":\"k\",\"version\":{\"term\":1,\"index\":2}}",
        "{\"key\":\"k\",\"version\":{\"index\":2,\"term\":1}}",
        "{\"key\":null,\"value\":null}",
        "{\"key\":\"k\\u0000\"}",
        "{\"key\":\"k\",\"compression\":\"lz4 \"}",
        "{\"key\":\"k\",\"compression\":\"\"}",
        "{\"key\":\"k\x01\"}",
        "{\"key\":\"\xc0\x80\"}",
        "{\"key\":\"\xed\xa0\x80\"}",
    };

    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char name[16];
        char input[LINE_LEN];
        int len = snprintf(input, sizeof input, "\xff%s\n", inputs[i]);

        (void)snprintf(name, sizeof name, "beside-%zu", i);
        write_seed("tool", name, input, (size_t)len);
    }
    write_seed("tool", "beside-nul", with_nul, sizeof with_nul - 1);
}

static void calls(void)
{
    static const uint8_t crashes[] = {3, 4, 5, 6};

    for (uint8_t policy = 0; policy < 3; policy++) {
        for (size_t i = 0; i < sizeof crashes; i++) {
            const uint8_t seed[] = {policy,     (uint8_t)(i + 4u * policy),
                                    20,         policy,
                                    13,         3,
                                    15,         4,
                                    13,         10,
                                    0,          0,
                                    13,         2,
                                    10,         7,
                                    15,         8,
                                    crashes[i], 9,
                                    13,         9,
                                    10,         7,
                                    12,         0,
                                    7,          200,
                                    13,         10,
                                    13,         10,
                                    13,         10,
                                    13,         10,
                                    9,          1,
                                    2,          1,
                                    crashes[i], 3,
                                    8,          0,
                                    10,         1,
                                    13,         1,
                                    11,         0};
            char name[16];

            (void)snprintf(name, sizeof name, "%u-%zu", policy, i);
            write_seed("api", name, seed, sizeof seed);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fputs("usage: fuzz_seeds FOLDER\n", stderr);
        return 2;
    }
    root = argv[1];
    (void)mkdir(root, 0777);
    folders();
    records();
    lines();
    lines_beside();
    calls();
    return 0;
}
