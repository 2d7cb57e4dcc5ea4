/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/memory.h"

#include <nori/vfs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An allocator that counts, refuses 0 bytes as some do, and fails when told to. */
struct counter {
    struct nori_allocator allocator;
    size_t allocs, reallocs, frees;
    size_t len_last;
    int must_fail;
};

static void *count_alloc(void *context, size_t len)
{
    struct counter *counter = context;
    void *memory;

    counter->allocs++;
    counter->len_last = len;
    if (counter->must_fail || len == 0)
        return NULL;
    memory = malloc(len);
    if (memory)
        memset(memory, 0xa5, len); /* nobody may count on zeros */
    return memory;
}

static void *count_realloc(void *context, void *memory, size_t len)
{
    struct counter *counter = context;

    assert_non_null(memory); /* the contract does not speak of NULL */
    counter->reallocs++;
    counter->len_last = len;
    return counter->must_fail || len == 0 ? NULL : realloc(memory, len);
}

static void count_free(void *context, void *memory)
{
    struct counter *counter = context;

    counter->frees++;
    free(memory);
}

static void counter_init(struct counter *counter)
{
    *counter = (struct counter){.must_fail = 0};
    counter->allocator = (struct nori_allocator){.size = sizeof counter->allocator,
                                                 .context = counter,
                                                 .alloc = count_alloc,
                                                 .realloc = count_realloc,
                                                 .free = count_free};
}

static void malloc_is_a_whole_allocator(void **state)
{
    const struct nori_allocator *allocator = nori_allocator_malloc();
    char *memory;

    (void)state;
    assert_int_equal(allocator->size, sizeof *allocator);
    memory = allocator->alloc(allocator->context, 5);
    assert_non_null(memory);
    memcpy(memory, "nori", 5);
    memory = allocator->realloc(allocator->context, memory, 100000);
    assert_non_null(memory);
    assert_string_equal(memory, "nori");
    allocator->free(allocator->context, memory);
    allocator->free(allocator->context, NULL);
}

static void memory_comes_from_the_given_allocator_and_goes_back(void **state)
{
    struct counter counter;
    void *memory;

    (void)state;
    counter_init(&counter);
    memory = nw_alloc(&counter.allocator, 10);
    assert_non_null(memory);
    memory = nw_realloc(&counter.allocator, memory, 20);
    assert_non_null(memory);
    nw_free(&counter.allocator, memory);
    nw_free(&counter.allocator, NULL);
    assert_int_equal(counter.allocs, 1);
    assert_int_equal(counter.reallocs, 1);
    assert_int_equal(counter.frees, 1);
}

static void no_bytes_are_memory_too(void **state)
{
    struct counter counter;
    void *memory;

    (void)state;
    counter_init(&counter);
    memory = nw_alloc(&counter.allocator, 0);
    assert_non_null(memory);
    memory = nw_realloc(&counter.allocator, memory, 0);
    assert_non_null(memory);
    nw_free(&counter.allocator, memory);
    memory = nw_alloc_zero(&counter.allocator, 0);
    assert_non_null(memory);
    nw_free(&counter.allocator, memory);
}

static void zeroed_memory_is_all_zero(void **state)
{
    static const uint8_t zeros[1000];
    struct counter counter;
    uint8_t *memory;

    (void)state;
    counter_init(&counter);
    memory = nw_alloc_zero(&counter.allocator, sizeof zeros);
    assert_non_null(memory);
    assert_memory_equal(memory, zeros, sizeof zeros);
    nw_free(&counter.allocator, memory);
}

static void growing_nothing_allocates(void **state)
{
    struct counter counter;
    void *memory;

    (void)state;
    counter_init(&counter);
    memory = nw_realloc(&counter.allocator, NULL, 7);
    assert_non_null(memory);
    assert_int_equal(counter.allocs, 1);
    assert_int_equal(counter.reallocs, 0);
    nw_free(&counter.allocator, memory);
}

static void text_is_copied_with_its_end(void **state)
{
    struct counter counter;
    char *copy;

    (void)state;
    counter_init(&counter);
    copy = nw_strdup(&counter.allocator, "000007.wal");
    assert_non_null(copy);
    assert_string_equal(copy, "000007.wal");
    nw_free(&counter.allocator, copy);
    copy = nw_strdup(&counter.allocator, "");
    assert_non_null(copy);
    assert_string_equal(copy, "");
    nw_free(&counter.allocator, copy);
}

static void no_memory_is_told_by_null(void **state)
{
    struct counter counter;

    (void)state;
    counter_init(&counter);
    counter.must_fail = 1;
    assert_null(nw_alloc(&counter.allocator, 1));
    assert_null(nw_alloc_zero(&counter.allocator, 1));
    assert_null(nw_realloc(&counter.allocator, NULL, 1));
    assert_null(nw_strdup(&counter.allocator, "x"));
}

static void a_buffer_allocates_nothing_before_it_must(void **state)
{
    struct counter counter;
    struct nw_buffer buffer;

    (void)state;
    counter_init(&counter);
    nw_buffer_init(&buffer, &counter.allocator, 100);
    assert_int_equal(nw_buffer_reserve(&buffer, 0), NORI_OK);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer.capacity, 0);
    assert_int_equal(buffer.limit, 100);
    assert_int_equal(counter.allocs, 0);
    nw_buffer_done(&buffer);
    nw_buffer_done(NULL);
    assert_int_equal(counter.frees, 0);
}

/* One byte more at a time: the memory moves a few times only, and what is in it stays. */
static void a_buffer_grows_by_doubling_and_keeps_its_contents(void **state)
{
    const size_t limit = 100000;
    struct counter counter;
    struct nw_buffer buffer;

    (void)state;
    counter_init(&counter);
    nw_buffer_init(&buffer, &counter.allocator, limit);
    for (size_t len = 1; len <= limit; len++) {
        assert_int_equal(nw_buffer_reserve(&buffer, len), NORI_OK);
        assert_in_range(buffer.capacity, len, limit);
        buffer.data[len - 1] = (uint8_t)(len * 7);
        buffer.len = len;
    }
    for (size_t i = 0; i < limit; i++)
        assert_int_equal(buffer.data[i], (uint8_t)((i + 1) * 7));
    assert_int_equal(buffer.capacity, limit);
    assert_in_range(counter.allocs + counter.reallocs, 5, 20);
    nw_buffer_done(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
    assert_int_equal(counter.frees, 1);
}

static void a_buffer_never_grows_beyond_its_limit(void **state)
{
    static const size_t limits[] = {0, 1, 63, 64, 65, 127, 1000, SIZE_MAX / 2 + 1};
    struct counter counter;

    (void)state;
    counter_init(&counter);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct nw_buffer buffer;

        nw_buffer_init(&buffer, &counter.allocator, limits[i]);
        assert_int_equal(nw_buffer_reserve(&buffer, limits[i] + 1), NORI_E_TOOBIG);
        assert_int_equal(nw_buffer_reserve(&buffer, SIZE_MAX), NORI_E_TOOBIG);
        assert_null(buffer.data);
        if (limits[i] > 0)
            assert_int_equal(nw_buffer_reserve(&buffer, 1), NORI_OK);
        assert_true(buffer.capacity <= limits[i]);
        assert_int_equal(nw_buffer_reserve(&buffer, limits[i] + 1), NORI_E_TOOBIG);
        nw_buffer_done(&buffer);
    }
    assert_int_equal(counter.reallocs, 0);
}

/* Doubling must neither overflow nor overshoot where the limit is enormous. */
static void a_hostile_length_asks_for_no_more_than_the_limit(void **state)
{
    struct counter counter;
    struct nw_buffer buffer;

    (void)state;
    counter_init(&counter);
    counter.must_fail = 1;
    nw_buffer_init(&buffer, &counter.allocator, SIZE_MAX);
    assert_int_equal(nw_buffer_reserve(&buffer, SIZE_MAX), NORI_E_NOMEM);
    assert_int_equal(counter.len_last, SIZE_MAX);
    assert_int_equal(nw_buffer_reserve(&buffer, SIZE_MAX / 2 + 2), NORI_E_NOMEM);
    assert_true(counter.len_last >= SIZE_MAX / 2 + 2);
    nw_buffer_done(&buffer);
}

static void a_buffer_is_as_before_when_there_is_no_memory(void **state)
{
    struct counter counter;
    struct nw_buffer buffer;
    uint8_t *data;
    size_t capacity;

    (void)state;
    counter_init(&counter);
    nw_buffer_init(&buffer, &counter.allocator, 100000);
    assert_int_equal(nw_buffer_reserve(&buffer, 10), NORI_OK);
    memcpy(buffer.data, "0123456789", 10);
    buffer.len = 10;
    data = buffer.data;
    capacity = buffer.capacity;

    counter.must_fail = 1;
    assert_int_equal(nw_buffer_reserve(&buffer, 5000), NORI_E_NOMEM);
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer.capacity, capacity);
    assert_int_equal(buffer.len, 10);
    assert_memory_equal(buffer.data, "0123456789", 10);

    counter.must_fail = 0;
    assert_int_equal(nw_buffer_reserve(&buffer, 5000), NORI_OK);
    assert_memory_equal(buffer.data, "0123456789", 10);
    nw_buffer_done(&buffer);
}

static void a_list_grows_by_doubling_up_to_its_limit(void **state)
{
    struct counter counter;
    uint64_t *items = NULL, *grown;
    size_t capacity = 0;

    (void)state;
    counter_init(&counter);
    for (size_t count = 0; count < 64; count++) {
        grown = nw_list_grow(&counter.allocator, items, sizeof *items, count, 64, &capacity);
        assert_non_null(grown);
        assert_true(count < capacity);
        items = grown;
        items[count] = count;
    }
    assert_int_equal(capacity, 64);
    assert_null(nw_list_grow(&counter.allocator, items, sizeof *items, 64, 64, &capacity));
    counter.must_fail = 1;
    assert_null(nw_list_grow(&counter.allocator, items, sizeof *items, 64, 1000, &capacity));
    assert_int_equal(capacity, 64);
    counter.must_fail = 0; /* a length that would wrap is no small one */
    assert_null(nw_list_grow(&counter.allocator, items, SIZE_MAX / 64, 64, 1000, &capacity));
    assert_int_equal(capacity, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(items[i], i);
    nw_free(&counter.allocator, items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_is_a_whole_allocator),
        cmocka_unit_test(memory_comes_from_the_given_allocator_and_goes_back),
        cmocka_unit_test(no_bytes_are_memory_too),
        cmocka_unit_test(zeroed_memory_is_all_zero),
        cmocka_unit_test(growing_nothing_allocates),
        cmocka_unit_test(text_is_copied_with_its_end),
        cmocka_unit_test(no_memory_is_told_by_null),
        cmocka_unit_test(a_buffer_allocates_nothing_before_it_must),
        cmocka_unit_test(a_buffer_grows_by_doubling_and_keeps_its_contents),
        cmocka_unit_test(a_buffer_never_grows_beyond_its_limit),
        cmocka_unit_test(a_hostile_length_asks_for_no_more_than_the_limit),
        cmocka_unit_test(a_buffer_is_as_before_when_there_is_no_memory),
        cmocka_unit_test(a_list_grows_by_doubling_up_to_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
