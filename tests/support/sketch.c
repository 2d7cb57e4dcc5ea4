/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sketch.c: counting different things in little memory: Flajolet and others, 2007. */
#include "sketch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define INDEX_BITS 16

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void sketch_add(struct sketch *sketch, uint64_t number)
{
    uint64_t hash = mix(number);
    uint8_t *rank = &sketch->ranks[hash >> (64 - INDEX_BITS)];
    uint8_t zeros = 1;

    for (hash <<= INDEX_BITS; zeros <= 64 - INDEX_BITS && !(hash >> 63); hash <<= 1)
        zeros++;
    if (*rank < zeros)
        *rank = zeros;
}

void sketch_merge(struct sketch *target, const struct sketch *source)
{
    for (size_t i = 0; i < SKETCH_LEN; i++)
        if (target->ranks[i] < source->ranks[i])
            target->ranks[i] = source->ranks[i];
}

uint64_t sketch_count(const struct sketch *sketch)
{
    double m = SKETCH_LEN;
    double sum = 0;
    double empty = 0;
    double count;

    for (size_t i = 0; i < SKETCH_LEN; i++) {
        sum += ldexp(1, -sketch->ranks[i]);
        empty += sketch->ranks[i] == 0;
    }
    count = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (count <= 2.5 * m && empty > 0)
        count = m * log(m / empty);
    return (uint64_t)(count + 0.5);
}

void sketch_load(struct sketch *sketch, const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file || fread(sketch, sizeof *sketch, 1, file) != 1)
        memset(sketch, 0, sizeof *sketch);
    if (file)
        (void)fclose(file);
}

void sketch_save(const struct sketch *sketch, const char *path)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(sketch, sizeof *sketch, 1, file) != 1)
        perror(path);
    if (file)
        (void)fclose(file);
}
