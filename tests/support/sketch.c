/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sketch.c: counting different things in little memory: Flajolet and others, 2007. */
#define _GNU_SOURCE 1 /* fileno */

#include "sketch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INDEX_BITS 16
#define PATH_LEN   512

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

bool sketch_load(struct sketch *sketch, const char *path)
{
    FILE *file = fopen(path, "rb");
    bool is_good;

    memset(sketch, 0, sizeof *sketch);
    if (!file)
        return errno == ENOENT;
    is_good = fread(sketch, sizeof *sketch, 1, file) == 1 && fgetc(file) == EOF && !ferror(file);
    (void)fclose(file);
    return is_good;
}

/* Hours of counting are in it: neither a kill nor a full disk may cost what was kept before. */
bool sketch_save(const struct sketch *sketch, const char *path)
{
    char new_path[PATH_LEN];
    int len = snprintf(new_path, sizeof new_path, "%s.new", path);
    FILE *file = len > 0 && (size_t)len < sizeof new_path ? fopen(new_path, "wb") : NULL;
    bool is_good = file && fwrite(sketch, sizeof *sketch, 1, file) == 1 && fflush(file) == 0 &&
                   fsync(fileno(file)) == 0;

    if (file)
        is_good = fclose(file) == 0 && is_good;
    return is_good && rename(new_path, path) == 0;
}
