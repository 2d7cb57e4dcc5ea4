/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests of a method that this build lacks are skipped; what it answers instead is tested. */
#define _GNU_SOURCE 1 /* RTLD_NEXT */

#include "format/compress.h"

#include "base/bytes.h"
#include "base/varint.h"

#include <dlfcn.h>
#include <nori/vfs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LZ4   NORI_COMPRESSION_LZ4
#define ZSTD  NORI_COMPRESSION_ZSTD
#define LIMIT (1 << 20)

/* "t", as the Rust crate stores it; the frame does not state its length. */
static const uint8_t rust_lz4[] = {0x01, 0x10, 0x74};
static const uint8_t rust_zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x09, 0x00, 0x00, 0x74};

static void skip_without(uint32_t compression)
{
    if (!nw_compress_is_offered(compression))
        skip();
}

/* ---- an allocator that counts, and fails at the nth request ---- */

struct counter {
    struct nori_allocator allocator;
    size_t requests;
    size_t live;
    size_t fail_nth; /* 0: never */
};

static void *count_alloc(void *context, size_t len)
{
    struct counter *counter = context;

    if (++counter->requests == counter->fail_nth)
        return NULL;
    counter->live++;
    return malloc(len);
}

static void *count_realloc(void *context, void *memory, size_t len)
{
    struct counter *counter = context;

    if (++counter->requests == counter->fail_nth)
        return NULL;
    return realloc(memory, len);
}

static void count_free(void *context, void *memory)
{
    struct counter *counter = context;

    counter->live--;
    free(memory);
}

static void counter_init(struct counter *counter, size_t fail_nth)
{
    *counter = (struct counter){.fail_nth = fail_nth};
    counter->allocator = (struct nori_allocator){.size = sizeof counter->allocator,
                                                 .context = counter,
                                                 .alloc = count_alloc,
                                                 .realloc = count_realloc,
                                                 .free = count_free};
}

/* ---- a compressor with room, for most tests ---- */

struct bench {
    struct nw_compressor *compressor;
    struct nw_buffer target;
};

static void bench_init(struct bench *bench)
{
    bench->compressor = nw_compressor_new(nori_allocator_malloc());
    assert_non_null(bench->compressor);
    nw_buffer_init(&bench->target, nori_allocator_malloc(), 2 * LIMIT);
}

static void bench_done(struct bench *bench)
{
    nw_buffer_done(&bench->target);
    nw_compressor_free(bench->compressor);
}

/* Decompress from memory, and into memory, of exactly the right size, so that a sanitizer sees a
 * step beyond. */
static int decompress_exactly(struct nw_compressor *compressor, uint32_t compression,
                              const void *stored, size_t stored_len, size_t target_len,
                              uint8_t **ret_target, size_t *ret_len)
{
    uint8_t *source = malloc(stored_len > 0 ? stored_len : 1);
    uint8_t *target = malloc(target_len > 0 ? target_len : 1);
    int rc;

    assert_non_null(source);
    assert_non_null(target);
    if (stored_len > 0)
        memcpy(source, stored, stored_len);
    rc = nw_decompress(compressor, compression, source, stored_len, target, target_len, ret_len);
    free(source);
    *ret_target = target;
    return rc;
}

static int decompress(struct bench *bench, uint32_t compression, const void *stored,
                      size_t stored_len, size_t target_len)
{
    uint8_t *target;
    size_t len = SIZE_MAX;
    int rc = decompress_exactly(bench->compressor, compression, stored, stored_len, target_len,
                                &target, &len);

    if (rc == NORI_OK)
        assert_true(len <= target_len);
    free(target);
    return rc;
}

/* A value that gets smaller: words of few letters. */
static void fill_compressible(uint8_t *target, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        target[i] = (uint8_t)('a' + nw_splitmix64(seed + i / 3) % 3);
}

static void fill_random(uint8_t *target, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        target[i] = (uint8_t)nw_splitmix64(seed + i);
}

static void check_round_trip(struct bench *bench, uint32_t compression, const uint8_t *value,
                             size_t len, bool must_shrink)
{
    size_t stored_len = SIZE_MAX, original_len = SIZE_MAX, got = SIZE_MAX;
    uint8_t *target;

    assert_int_equal(
        nw_compress(bench->compressor, compression, value, len, &bench->target, &stored_len),
        NORI_OK);
    if (must_shrink)
        assert_int_not_equal(stored_len, 0);
    if (stored_len == 0)
        return;
    assert_true(stored_len < len);
    assert_int_equal(nw_decompressed_len(compression, bench->target.data + bench->target.len,
                                         stored_len, len, &original_len),
                     NORI_OK);
    assert_int_equal(original_len, len);
    assert_int_equal(nw_decompressed_len(compression, bench->target.data + bench->target.len,
                                         stored_len, len - 1, &original_len),
                     NORI_E_TOOBIG);
    assert_int_equal(decompress_exactly(bench->compressor, compression,
                                        bench->target.data + bench->target.len, stored_len, len,
                                        &target, &got),
                     NORI_OK);
    assert_int_equal(got, len);
    assert_memory_equal(target, value, len);
    free(target);
}

static void round_trips(uint32_t compression)
{
    static uint8_t value[200000];
    struct bench bench;

    skip_without(compression);
    bench_init(&bench);
    for (uint64_t i = 0; i < 300; i++) {
        size_t len = (size_t)(nw_splitmix64(i) % (i % 10 == 0 ? sizeof value : 2000));

        fill_compressible(value, len, i);
        check_round_trip(&bench, compression, value, len, len > 200);
        memset(value, (int)i, len);
        check_round_trip(&bench, compression, value, len, len > 100);
        fill_random(value, len, i);
        check_round_trip(&bench, compression, value, len, false);
    }
    bench_done(&bench);
}

static void lz4_values_come_back(void **state)
{
    (void)state;
    round_trips(LZ4);
}

static void zstd_values_come_back(void **state)
{
    (void)state;
    round_trips(ZSTD);
}

static void what_does_not_get_smaller_is_told_by_zero(void **state)
{
    uint8_t value[1000];
    struct bench bench;

    (void)state;
    bench_init(&bench);
    fill_random(value, sizeof value, 3);
    for (uint32_t compression = 0; compression <= ZSTD; compression++) {
        if (!nw_compress_is_offered(compression))
            continue;
        for (size_t len = 0; len <= sizeof value; len++) {
            size_t stored_len = SIZE_MAX;

            assert_int_equal(
                nw_compress(bench.compressor, compression, value, len, &bench.target, &stored_len),
                NORI_OK);
            assert_int_equal(stored_len, 0);
        }
    }
    bench_done(&bench);
}

/* Of one letter, at every length: as soon as it gets smaller at all it must be right. */
static void values_at_the_border_of_getting_smaller_come_back(void **state)
{
    uint8_t value[300];
    struct bench bench;

    (void)state;
    bench_init(&bench);
    memset(value, 'x', sizeof value);
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        if (!nw_compress_is_offered(compression))
            continue;
        for (size_t len = 0; len <= sizeof value; len++)
            check_round_trip(&bench, compression, value, len, len > 50);
    }
    bench_done(&bench);
}

/* Through all ratios of noise to letters, some of which would come out exactly as long as they
 * are. */
static void a_target_one_byte_shorter_than_the_value_is_always_enough(void **state)
{
    struct nw_compressor *compressor = nw_compressor_new(nori_allocator_malloc());
    uint8_t value[120];

    (void)state;
    assert_non_null(compressor);
    for (size_t noise = 0; noise < 60; noise++) {
        fill_random(value, noise, 8);
        memset(value + noise, 'x', sizeof value - noise);
        for (size_t len = noise + 2; len <= sizeof value; len++) {
            for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
                struct nw_buffer target;
                size_t stored_len = SIZE_MAX;

                if (!nw_compress_is_offered(compression))
                    continue;
                nw_buffer_init(&target, nori_allocator_malloc(), len - 1);
                assert_int_equal(
                    nw_compress(compressor, compression, value, len, &target, &stored_len),
                    NORI_OK);
                assert_true(stored_len < len);
                nw_buffer_done(&target);
            }
        }
    }
    nw_compressor_free(compressor);
}

static void what_stood_in_the_target_before_stays(void **state)
{
    uint8_t value[5000];
    struct bench bench;

    (void)state;
    bench_init(&bench);
    memset(value, 'x', sizeof value);
    assert_int_equal(nw_buffer_reserve(&bench.target, 5), NORI_OK);
    memcpy(bench.target.data, "head:", 5);
    bench.target.len = 5;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        if (!nw_compress_is_offered(compression))
            continue;
        check_round_trip(&bench, compression, value, sizeof value, true);
        assert_int_equal(bench.target.len, 5);
        assert_memory_equal(bench.target.data, "head:", 5);
    }
    bench_done(&bench);
}

static void a_target_without_room_is_told(void **state)
{
    uint8_t value[1000];
    struct nw_compressor *compressor = nw_compressor_new(nori_allocator_malloc());

    (void)state;
    assert_non_null(compressor);
    memset(value, 'x', sizeof value);
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        struct nw_buffer target;
        size_t stored_len = 42;

        if (!nw_compress_is_offered(compression))
            continue;
        nw_buffer_init(&target, nori_allocator_malloc(), sizeof value - 2);
        assert_int_equal(
            nw_compress(compressor, compression, value, sizeof value, &target, &stored_len),
            NORI_E_TOOBIG);
        assert_int_equal(stored_len, 42);
        nw_buffer_done(&target);
    }
    nw_compressor_free(compressor);
}

/* ---- what others wrote ---- */

static void check_rust_value(uint32_t compression, const uint8_t *stored, size_t stored_len,
                             size_t expected_len)
{
    struct bench bench;
    size_t original_len = 0, got = 0;
    uint8_t *target;

    bench_init(&bench);
    assert_int_equal(nw_decompressed_len(compression, stored, stored_len, 50, &original_len),
                     NORI_OK);
    assert_int_equal(original_len, expected_len);
    assert_int_equal(decompress_exactly(bench.compressor, compression, stored, stored_len,
                                        original_len, &target, &got),
                     NORI_OK);
    assert_int_equal(got, 1);
    assert_int_equal(target[0], 't');
    free(target);
    bench_done(&bench);
}

static void an_lz4_value_of_the_original_is_read(void **state)
{
    (void)state;
    skip_without(LZ4);
    check_rust_value(LZ4, rust_lz4, sizeof rust_lz4, 1);
}

static void a_zstd_value_of_the_original_is_read(void **state)
{
    (void)state;
    skip_without(ZSTD);
    check_rust_value(ZSTD, rust_zstd, sizeof rust_zstd, 50); /* the limit: it does not say */
}

static void an_empty_lz4_value_is_read(void **state)
{
    static const uint8_t stored[] = {0x00, 0x00};
    struct bench bench;
    size_t len = 42;

    (void)state;
    skip_without(LZ4);
    bench_init(&bench);
    assert_int_equal(nw_decompressed_len(LZ4, stored, sizeof stored, 0, &len), NORI_OK);
    assert_int_equal(len, 0);
    assert_int_equal(nw_decompress(bench.compressor, LZ4, stored, sizeof stored, NULL, 0, &len),
                     NORI_OK);
    assert_int_equal(len, 0);
    bench_done(&bench);
}

/* A frame of one block that says "n times x", without the length of the whole. */
static size_t put_unstated_frame(uint8_t target[10], uint32_t n)
{
    uint32_t block = n << 3 | 1u << 1 | 1u; /* a run of one byte, the last block */

    memcpy(target, rust_zstd, 6);
    for (unsigned i = 0; i < 3; i++)
        target[6 + i] = (uint8_t)(block >> (8 * i));
    target[9] = 'x';
    return 10;
}

static void a_frame_without_a_length_is_read_up_to_the_limit(void **state)
{
    uint8_t stored[10];
    size_t stored_len = put_unstated_frame(stored, 100000);
    struct bench bench;
    size_t len = 0;
    uint8_t *target;

    (void)state;
    skip_without(ZSTD);
    bench_init(&bench);
    assert_int_equal(nw_decompressed_len(ZSTD, stored, stored_len, 123456, &len), NORI_OK);
    assert_int_equal(len, 123456);
    assert_int_equal(
        decompress_exactly(bench.compressor, ZSTD, stored, stored_len, 123456, &target, &len),
        NORI_OK);
    assert_int_equal(len, 100000);
    assert_int_equal(target[99999], 'x');
    free(target);

    assert_int_equal(decompress(&bench, ZSTD, stored, stored_len, 100000), NORI_OK);
    assert_int_equal(decompress(&bench, ZSTD, stored, stored_len, 99999), NORI_E_TOOBIG);
    assert_int_equal(decompress(&bench, ZSTD, stored, stored_len, 0), NORI_E_TOOBIG);
    bench_done(&bench);
}

/* ---- damage and malice ---- */

static void a_length_over_the_limit_is_refused_before_anything_is_allocated(void **state)
{
    uint8_t stored[NW_VARINT_MAX + 1] = {0};
    size_t len = 42;

    (void)state;
    skip_without(LZ4);
    for (unsigned bit = 21; bit < 64; bit++) {
        size_t stated_len = (size_t)(nw_varint_put(stored, UINT64_C(1) << bit) - stored);

        assert_int_equal(nw_decompressed_len(LZ4, stored, stated_len + 1, LIMIT, &len),
                         NORI_E_TOOBIG);
    }
    (void)nw_varint_put(stored, UINT64_MAX);
    assert_int_equal(nw_decompressed_len(LZ4, stored, sizeof stored, LIMIT, &len), NORI_E_TOOBIG);
    assert_int_not_equal(nw_decompressed_len(LZ4, stored, sizeof stored, UINT64_MAX, &len),
                         NORI_OK);
    assert_int_equal(len, 42);
}

static void an_lz4_length_that_its_block_cannot_reach_is_corrupt(void **state)
{
    uint8_t stored[20] = {0};
    size_t len = 42;
    uint8_t *block = nw_varint_put(stored, 255 * 11);

    (void)state;
    skip_without(LZ4);
    assert_int_equal(nw_decompressed_len(LZ4, stored, (size_t)(block - stored) + 11, LIMIT, &len),
                     NORI_OK);
    assert_int_equal(nw_decompressed_len(LZ4, stored, (size_t)(block - stored) + 10, LIMIT, &len),
                     NORI_E_CORRUPT);
}

static void an_lz4_length_that_no_block_can_have_is_corrupt(void **state)
{
    uint8_t stored[20] = {0};
    struct bench bench;
    uint8_t target;
    size_t len = 42;

    (void)state;
    skip_without(LZ4);
    bench_init(&bench);
    (void)nw_varint_put(stored, 0x7e000001); /* one over what LZ4 compresses */
    assert_int_equal(nw_decompressed_len(LZ4, stored, sizeof stored, UINT64_MAX, &len),
                     NORI_E_CORRUPT);
    assert_int_equal(nw_decompress(bench.compressor, LZ4, stored, sizeof stored, &target,
                                   0x7fffffff, &len), /* refused before the target is touched */
                     NORI_E_CORRUPT);
    assert_int_equal(len, 42);
    bench_done(&bench);
}

static void an_lz4_varint_that_no_writer_writes_is_corrupt(void **state)
{
    uint8_t stored[12];
    struct bench bench;
    size_t len;

    (void)state;
    skip_without(LZ4);
    bench_init(&bench);
    memset(stored, 0x80, sizeof stored);
    for (size_t stored_len = 0; stored_len <= sizeof stored; stored_len++) {
        assert_int_equal(nw_decompressed_len(LZ4, stored, stored_len, UINT64_MAX, &len),
                         NORI_E_CORRUPT);
        assert_int_equal(decompress(&bench, LZ4, stored, stored_len, 100), NORI_E_CORRUPT);
    }
    bench_done(&bench);
}

/* A small value that grows to a megabyte. */
static void a_bomb_is_refused_by_its_stated_length(void **state)
{
    uint8_t *value = calloc(1, LIMIT);
    struct bench bench;

    (void)state;
    assert_non_null(value);
    bench_init(&bench);
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        size_t stored_len = 0, len = 42;

        if (!nw_compress_is_offered(compression))
            continue;
        assert_int_equal(
            nw_compress(bench.compressor, compression, value, LIMIT, &bench.target, &stored_len),
            NORI_OK);
        assert_in_range(stored_len, 1, LIMIT / 100);
        assert_int_equal(
            nw_decompressed_len(compression, bench.target.data, stored_len, LIMIT - 1, &len),
            NORI_E_TOOBIG);
        assert_int_equal(len, 42);
        assert_int_equal(decompress(&bench, compression, bench.target.data, stored_len, LIMIT - 1),
                         NORI_E_CORRUPT); /* who asked for the length does not come here */
        assert_int_equal(decompress(&bench, compression, bench.target.data, stored_len, 0),
                         NORI_E_CORRUPT);
    }
    bench_done(&bench);
    free(value);
}

/* Returns the length of a stored value of 500 bytes, in bench->target.data. */
static size_t store_sample(struct bench *bench, uint32_t compression)
{
    uint8_t value[500];
    size_t stored_len = 0;

    fill_compressible(value, sizeof value, 11);
    assert_int_equal(nw_compress(bench->compressor, compression, value, sizeof value,
                                 &bench->target, &stored_len),
                     NORI_OK);
    assert_in_range(stored_len, 1, 499);
    return stored_len;
}

static void a_value_cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        struct bench bench;
        size_t stored_len;

        if (!nw_compress_is_offered(compression))
            continue;
        bench_init(&bench);
        stored_len = store_sample(&bench, compression);
        for (size_t cut = 0; cut < stored_len; cut++) {
            size_t len;

            assert_int_equal(decompress(&bench, compression, bench.target.data, cut, 500),
                             NORI_E_CORRUPT);
            if (compression == ZSTD)
                assert_int_equal(
                    nw_decompressed_len(compression, bench.target.data, cut, LIMIT, &len),
                    NORI_E_CORRUPT);
        }
        bench_done(&bench);
    }
}

/* The record's checksum is what finds these. Here they must only do no harm, and never give more
 * than there is room for. */
static void a_value_with_any_bit_flipped_does_no_harm(void **state)
{
    (void)state;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        struct bench bench;
        size_t stored_len;

        if (!nw_compress_is_offered(compression))
            continue;
        bench_init(&bench);
        stored_len = store_sample(&bench, compression);
        for (size_t bit = 0; bit < 8 * stored_len; bit++) {
            uint8_t *stored = bench.target.data;
            size_t len = 0;

            stored[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (nw_decompressed_len(compression, stored, stored_len, 600, &len) == NORI_OK) {
                assert_true(len <= 600);
                (void)decompress(&bench, compression, stored, stored_len, len);
            }
            stored[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(decompress(&bench, compression, bench.target.data, stored_len, 500),
                         NORI_OK); /* the compressor works on after all that */
        bench_done(&bench);
    }
}

static void anything_behind_a_value_is_corrupt(void **state)
{
    (void)state;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        struct bench bench;
        size_t stored_len;

        if (!nw_compress_is_offered(compression))
            continue;
        bench_init(&bench);
        stored_len = store_sample(&bench, compression);
        assert_int_equal(nw_buffer_reserve(&bench.target, 2 * stored_len), NORI_OK);
        for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
            bench.target.data[stored_len] = (uint8_t)byte;
            assert_int_equal(
                decompress(&bench, compression, bench.target.data, stored_len + 1, 1500),
                NORI_E_CORRUPT);
        }
        memcpy(bench.target.data + stored_len, bench.target.data, stored_len); /* twice */
        assert_int_equal(decompress(&bench, compression, bench.target.data, 2 * stored_len, 1500),
                         NORI_E_CORRUPT);
        bench_done(&bench);
    }
}

static void a_frame_that_is_not_an_ordinary_one_is_corrupt(void **state)
{
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'};
    static const uint8_t old_magic[] = {0x27, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x09, 0x00, 0x00, 0x74};
    uint8_t mixed[sizeof skippable + sizeof rust_zstd];
    struct bench bench;
    size_t len;

    (void)state;
    skip_without(ZSTD);
    bench_init(&bench);
    assert_int_equal(nw_decompressed_len(ZSTD, skippable, sizeof skippable, 50, &len),
                     NORI_E_CORRUPT);
    assert_int_equal(decompress(&bench, ZSTD, skippable, sizeof skippable, 50), NORI_E_CORRUPT);
    assert_int_equal(nw_decompressed_len(ZSTD, old_magic, sizeof old_magic, 50, &len),
                     NORI_E_CORRUPT);
    assert_int_equal(decompress(&bench, ZSTD, old_magic, sizeof old_magic, 50), NORI_E_CORRUPT);
    memcpy(mixed, skippable, sizeof skippable);
    memcpy(mixed + sizeof skippable, rust_zstd, sizeof rust_zstd);
    assert_int_equal(decompress(&bench, ZSTD, mixed, sizeof mixed, 50), NORI_E_CORRUPT);
    memcpy(mixed, rust_zstd, sizeof rust_zstd);
    memcpy(mixed + sizeof rust_zstd, skippable, sizeof skippable);
    assert_int_equal(decompress(&bench, ZSTD, mixed, sizeof mixed, 50), NORI_E_CORRUPT);
    bench_done(&bench);
}

static void random_bytes_do_no_harm(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t compression = i % 2 ? LZ4 : ZSTD;
        uint8_t stored[64];
        size_t stored_len = (size_t)(nw_splitmix64(i) % sizeof stored);
        size_t len;

        if (!nw_compress_is_offered(compression))
            continue;
        fill_random(stored, sizeof stored, 1000 * i);
        if (compression == ZSTD)
            memcpy(stored, rust_zstd, 4);
        if (nw_decompressed_len(compression, stored, stored_len, 10000, &len) == NORI_OK)
            (void)decompress(&bench, compression, stored, stored_len, len);
        (void)decompress(&bench, compression, stored, stored_len, 100);
    }
    bench_done(&bench);
}

/* ---- none, and methods that this build lacks ---- */

static void without_compression_bytes_are_copied(void **state)
{
    struct bench bench;
    char target[5];
    size_t len = 0;

    (void)state;
    bench_init(&bench);
    assert_true(nw_compress_is_offered(NORI_COMPRESSION_NONE));
    assert_int_equal(nw_decompressed_len(NORI_COMPRESSION_NONE, "value", 5, 5, &len), NORI_OK);
    assert_int_equal(len, 5);
    assert_int_equal(nw_decompressed_len(NORI_COMPRESSION_NONE, "value", 5, 4, &len),
                     NORI_E_TOOBIG);
    assert_int_equal(
        nw_decompress(bench.compressor, NORI_COMPRESSION_NONE, "value", 5, target, 5, &len),
        NORI_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(target, "value", 5);
    assert_int_equal(decompress(&bench, NORI_COMPRESSION_NONE, "value", 5, 4), NORI_E_CORRUPT);
    assert_int_equal(nw_decompress(bench.compressor, NORI_COMPRESSION_NONE, NULL, 0, NULL, 0, &len),
                     NORI_OK);
    assert_int_equal(len, 0);
    bench_done(&bench);
}

static void a_method_that_is_not_offered_is_unsupported(void **state)
{
    static const uint32_t methods[] = {LZ4, ZSTD, 3, 4, 255, UINT32_MAX};
    static const uint8_t value[100];
    struct bench bench;

    (void)state;
    bench_init(&bench);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t len = 42;

        if (nw_compress_is_offered(methods[i])) {
            assert_true(methods[i] <= ZSTD);
            continue;
        }
        for (size_t value_len = 0; value_len <= sizeof value; value_len++)
            assert_int_equal(
                nw_compress(bench.compressor, methods[i], value, value_len, &bench.target, &len),
                NORI_E_UNSUPPORTED);
        assert_int_equal(nw_decompressed_len(methods[i], value, sizeof value, LIMIT, &len),
                         NORI_E_UNSUPPORTED);
        assert_int_equal(decompress(&bench, methods[i], value, sizeof value, LIMIT),
                         NORI_E_UNSUPPORTED);
        assert_int_equal(len, 42);
    }
    bench_done(&bench);
}

/* ---- memory ---- */

/* One of each: make, compress, decompress. */
static int use_everything(struct counter *counter, uint32_t compression)
{
    struct nw_compressor *compressor = nw_compressor_new(&counter->allocator);
    struct nw_buffer target;
    uint8_t value[300], back[300];
    size_t stored_len = 0, len = 0;
    int rc;

    if (!compressor)
        return NORI_E_NOMEM;
    nw_buffer_init(&target, &counter->allocator, LIMIT);
    memset(value, 'x', sizeof value);
    rc = nw_compress(compressor, compression, value, sizeof value, &target, &stored_len);
    if (rc == NORI_OK)
        rc = nw_decompress(compressor, compression, target.data, stored_len, back, sizeof back,
                           &len);
    if (rc == NORI_OK)
        assert_memory_equal(back, value, sizeof value);
    nw_buffer_done(&target);
    nw_compressor_free(compressor);
    return rc;
}

static void every_failing_allocation_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        if (!nw_compress_is_offered(compression))
            continue;
        for (size_t nth = 1;; nth++) {
            struct counter counter;
            int rc;

            counter_init(&counter, nth);
            rc = use_everything(&counter, compression);
            assert_int_equal(counter.live, 0);
            if (counter.requests < nth) {
                assert_int_equal(rc, NORI_OK);
                assert_in_range(nth, 3, 10); /* some were tried */
                break;
            }
            assert_int_equal(rc, NORI_E_NOMEM);
        }
    }
}

static void decompressing_alone_tells_of_no_memory(void **state)
{
    (void)state;
    for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
        struct nw_compressor *compressor;
        struct counter counter;
        uint8_t target[50];
        size_t len;

        if (!nw_compress_is_offered(compression))
            continue;
        counter_init(&counter, 2);
        compressor = nw_compressor_new(&counter.allocator);
        assert_non_null(compressor);
        assert_int_equal(
            compression == LZ4
                ? nw_decompress(compressor, LZ4, rust_lz4, sizeof rust_lz4, target, 50, &len)
                : nw_decompress(compressor, ZSTD, rust_zstd, sizeof rust_zstd, target, 50, &len),
            NORI_E_NOMEM);
        nw_compressor_free(compressor);
        assert_int_equal(counter.live, 0);
    }
}

/* ---- Zstandard asks malloc(3) for its own memory: these stand before its functions ---- */

#define ZSTD_NO_MEMORY ((size_t)-64) /* -ZSTD_error_memory_allocation */

static enum {
    NONE,
    WRITER,
    READER,
    COMPRESSING,
    DECOMPRESSING
} what_lacks_memory;

void *ZSTD_createCCtx(void);
void *ZSTD_createDCtx(void);
size_t ZSTD_compressCCtx(void *writer, void *target, size_t target_len, const void *value,
                         size_t len, int level);
size_t ZSTD_decompressDCtx(void *reader, void *target, size_t target_len, const void *stored,
                           size_t len);

/* Of the next library; a pointer to an object is no function in ISO C. */
static void find_next(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);

    assert_non_null(found);
    memcpy(ret_function, &found, sizeof found);
}

void *ZSTD_createCCtx(void)
{
    void *(*next)(void);

    find_next(__func__, &next);
    return what_lacks_memory == WRITER ? NULL : next();
}

void *ZSTD_createDCtx(void)
{
    void *(*next)(void);

    find_next(__func__, &next);
    return what_lacks_memory == READER ? NULL : next();
}

size_t ZSTD_compressCCtx(void *writer, void *target, size_t target_len, const void *value,
                         size_t len, int level)
{
    size_t (*next)(void *, void *, size_t, const void *, size_t, int);

    find_next(__func__, &next);
    return what_lacks_memory == COMPRESSING ? ZSTD_NO_MEMORY
                                            : next(writer, target, target_len, value, len, level);
}

size_t ZSTD_decompressDCtx(void *reader, void *target, size_t target_len, const void *stored,
                           size_t len)
{
    size_t (*next)(void *, void *, size_t, const void *, size_t);

    find_next(__func__, &next);
    return what_lacks_memory == DECOMPRESSING ? ZSTD_NO_MEMORY
                                              : next(reader, target, target_len, stored, len);
}

/* Neither "does not get smaller" nor "corrupt" (D6); and with memory again all is well. */
static void that_zstandard_itself_lacks_memory_is_told(void **state)
{
    (void)state;
    skip_without(ZSTD);
    for (int what = WRITER; what <= DECOMPRESSING; what++) {
        struct counter counter;

        counter_init(&counter, 0);
        what_lacks_memory = what;
        assert_int_equal(use_everything(&counter, ZSTD), NORI_E_NOMEM);
        what_lacks_memory = NONE;
        assert_int_equal(use_everything(&counter, ZSTD), NORI_OK);
        assert_int_equal(counter.live, 0);
    }
}

static void in_the_long_run_nothing_is_allocated(void **state)
{
    struct nw_compressor *compressor;
    struct nw_buffer target;
    struct counter counter;
    uint8_t value[3000], back[3000];
    size_t requests = 0;

    (void)state;
    counter_init(&counter, 0);
    compressor = nw_compressor_new(&counter.allocator);
    assert_non_null(compressor);
    nw_buffer_init(&target, &counter.allocator, LIMIT);
    fill_compressible(value, sizeof value, 5);
    for (unsigned round = 0; round < 50; round++) {
        for (uint32_t compression = LZ4; compression <= ZSTD; compression++) {
            size_t stored_len = 0, len = 0;

            if (!nw_compress_is_offered(compression))
                continue;
            assert_int_equal(
                nw_compress(compressor, compression, value, sizeof value, &target, &stored_len),
                NORI_OK);
            assert_int_equal(nw_decompress(compressor, compression, target.data, stored_len, back,
                                           sizeof back, &len),
                             NORI_OK);
        }
        if (round == 0)
            requests = counter.requests;
    }
    assert_int_equal(counter.requests, requests);
    nw_buffer_done(&target);
    nw_compressor_free(compressor);
    nw_compressor_free(NULL);
    assert_int_equal(counter.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lz4_values_come_back),
        cmocka_unit_test(zstd_values_come_back),
        cmocka_unit_test(what_does_not_get_smaller_is_told_by_zero),
        cmocka_unit_test(values_at_the_border_of_getting_smaller_come_back),
        cmocka_unit_test(a_target_one_byte_shorter_than_the_value_is_always_enough),
        cmocka_unit_test(what_stood_in_the_target_before_stays),
        cmocka_unit_test(a_target_without_room_is_told),
        cmocka_unit_test(an_lz4_value_of_the_original_is_read),
        cmocka_unit_test(a_zstd_value_of_the_original_is_read),
        cmocka_unit_test(an_empty_lz4_value_is_read),
        cmocka_unit_test(a_frame_without_a_length_is_read_up_to_the_limit),
        cmocka_unit_test(a_length_over_the_limit_is_refused_before_anything_is_allocated),
        cmocka_unit_test(an_lz4_length_that_its_block_cannot_reach_is_corrupt),
        cmocka_unit_test(an_lz4_length_that_no_block_can_have_is_corrupt),
        cmocka_unit_test(an_lz4_varint_that_no_writer_writes_is_corrupt),
        cmocka_unit_test(a_bomb_is_refused_by_its_stated_length),
        cmocka_unit_test(a_value_cut_anywhere_is_corrupt),
        cmocka_unit_test(a_value_with_any_bit_flipped_does_no_harm),
        cmocka_unit_test(anything_behind_a_value_is_corrupt),
        cmocka_unit_test(a_frame_that_is_not_an_ordinary_one_is_corrupt),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(without_compression_bytes_are_copied),
        cmocka_unit_test(a_method_that_is_not_offered_is_unsupported),
        cmocka_unit_test(every_failing_allocation_is_told_and_leaks_nothing),
        cmocka_unit_test(decompressing_alone_tells_of_no_memory),
        cmocka_unit_test(that_zstandard_itself_lacks_memory_is_told),
        cmocka_unit_test(in_the_long_run_nothing_is_allocated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
