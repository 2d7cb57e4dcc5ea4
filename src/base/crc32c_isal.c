/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crc32c_isal.c: CRC-32C by ISA-L, which picks the processor's best instructions at run time.
 *
 * What. ISA-L works on three stretches at once and folds them, which pays from a few hundred bytes
 * on. A small record is done sooner by one chain of the processor's own CRC instruction. So that is
 * used below SHORT_LEN, where there is one. It also copies on the way: summing what was stored just
 * before, in pieces that begin anywhere, would wait for each of these stores.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <string.h>

#define PIECE_LEN ((size_t)1 << 30) /* ISA-L counts bytes in an int */
#define SHORT_LEN ((size_t)256)     /* from here on ISA-L is faster (docs/performance.md) */

static uint32_t sum_by_isal(uint32_t crc, const void *data, size_t len)
{
    /* ISA-L only reads, but its parameter is not const. */
    unsigned char *at = (unsigned char *)(uintptr_t)data;
    uint32_t state = ~crc; /* it neither presets nor inverts: both are ours to do */

    for (; len > PIECE_LEN; len -= PIECE_LEN, at += PIECE_LEN)
        state = crc32_iscsi(at, (int)PIECE_LEN, state);
    return ~crc32_iscsi(at, (int)len, state);
}

#if defined(__x86_64__)

#    include <nmmintrin.h>

/* What was read once is what is stored and summed, whatever another thread does to the source. */
#    define KEEP(word) __asm__ volatile("" : "+r"(word))

/* Sum, and copy on the way if there is a target. Unaligned words are read as they lie: the
 * instruction wants the lowest byte first, as they are stored here. */
__attribute__((target("sse4.2"), always_inline)) static inline uint32_t
run_short(uint32_t crc, uint8_t *target, const uint8_t *at, size_t len)
{
    uint64_t wide = ~crc;
    uint32_t state;

    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof word);
        KEEP(word);
        wide = _mm_crc32_u64(wide, word);
        if (target) {
            memcpy(target, &word, sizeof word);
            target += sizeof word;
        }
    }
    state = (uint32_t)wide;
    if (len & 4) {
        uint32_t word;

        memcpy(&word, at, sizeof word);
        KEEP(word);
        state = _mm_crc32_u32(state, word);
        if (target) {
            memcpy(target, &word, sizeof word);
            target += sizeof word;
        }
        at += sizeof word;
    }
    for (len &= 3; len > 0; len--) {
        uint8_t byte = *at++;

        KEEP(byte);
        state = _mm_crc32_u8(state, byte);
        if (target)
            *target++ = byte;
    }
    return ~state;
}

__attribute__((target("sse4.2"))) static uint32_t sum_short(uint32_t crc, const void *data,
                                                            size_t len)
{
    return run_short(crc, NULL, data, len);
}

__attribute__((target("sse4.2"))) static uint32_t copy_short(uint32_t crc, void *target,
                                                             const void *source, size_t len)
{
    return run_short(crc, target, source, len);
}

static inline int has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#else

static uint32_t sum_short(uint32_t crc, const void *data, size_t len)
{
    return sum_by_isal(crc, data, len);
}

static uint32_t copy_short(uint32_t crc, void *target, const void *source, size_t len)
{
    memcpy(target, source, len);
    return sum_by_isal(crc, target, len);
}

static inline int has_instruction(void)
{
    return 0;
}

#endif

uint32_t nw_crc32c(uint32_t crc, const void *data, size_t len)
{
    if (len < SHORT_LEN && has_instruction())
        return sum_short(crc, data, len);
    return sum_by_isal(crc, data, len);
}

uint32_t nw_crc32c_copy(uint32_t crc, void *target, const void *source, size_t len)
{
    if (len < SHORT_LEN && has_instruction())
        return copy_short(crc, target, source, len);
    if (len > 0)
        memcpy(target, source, len);
    return sum_by_isal(crc, target, len);
}

const char *nw_crc32c_implementation(void)
{
    return "isa-l";
}
