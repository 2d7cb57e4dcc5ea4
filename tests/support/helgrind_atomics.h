/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * helgrind_atomics.h: tells helgrind what C11 atomics mean. Included before everything else in the
 * build of tools/torture-threads.sh, and nowhere else; the code it is about stays as it is.
 *
 * What. Helgrind knows the locks of pthreads. To it an atomic word is a race, and what is handed
 * over by one is another. Here each atomic operation says what the memory model says: no two of
 * them race on the word; one that releases happens before those that acquire and come later. What
 * is relaxed orders nothing, so that a relaxed operation where another one is needed is found.
 *
 * gcc only: its <stdatomic.h> is made of these builtins. The macros evaluate the pointer more than
 * once.
 */
#ifndef TESTS_HELGRIND_ATOMICS_H
#define TESTS_HELGRIND_ATOMICS_H

#include <asm/unistd.h>
#include <stdatomic.h>
#include <stddef.h>
#include <valgrind/helgrind.h>

#define HG_UNCHECKED(word) VALGRIND_HG_DISABLE_CHECKING((word), sizeof *(word))

#define HG_RELEASE(word, order)                                           \
    do {                                                                  \
        if ((order) == __ATOMIC_RELEASE || (order) == __ATOMIC_ACQ_REL || \
            (order) == __ATOMIC_SEQ_CST)                                  \
            ANNOTATE_HAPPENS_BEFORE(word);                                \
    } while (0)

#define HG_ACQUIRE(word, order)                                           \
    do {                                                                  \
        if ((order) == __ATOMIC_ACQUIRE || (order) == __ATOMIC_CONSUME || \
            (order) == __ATOMIC_ACQ_REL || (order) == __ATOMIC_SEQ_CST)   \
            ANNOTATE_HAPPENS_AFTER(word);                                 \
    } while (0)

/* An operation without a value, and one with. */
#define HG_DO(word, release, acquire, operation) \
    __extension__({                              \
        HG_UNCHECKED(word);                      \
        HG_RELEASE(word, release);               \
        operation;                               \
        HG_ACQUIRE(word, acquire);               \
    })
#define HG_GET(word, release, acquire, operation) \
    __extension__({                               \
        HG_UNCHECKED(word);                       \
        HG_RELEASE(word, release);                \
        __typeof__(operation) hg_got = operation; \
        HG_ACQUIRE(word, acquire);                \
        hg_got;                                   \
    })
#define HG_SWAP(word, success, failure, operation)           \
    __extension__({                                          \
        HG_UNCHECKED(word);                                  \
        HG_RELEASE(word, success);                           \
        _Bool hg_is_swapped = operation;                     \
        HG_ACQUIRE(word, hg_is_swapped ? success : failure); \
        hg_is_swapped;                                       \
    })

/* clang-format off */
#define __atomic_load(word, target, order) \
    HG_DO(word, __ATOMIC_RELAXED, order, __atomic_load(word, target, order))
#define __atomic_load_n(word, order) \
    HG_GET(word, __ATOMIC_RELAXED, order, __atomic_load_n(word, order))
#define __atomic_store(word, source, order) \
    HG_DO(word, order, __ATOMIC_RELAXED, __atomic_store(word, source, order))
#define __atomic_store_n(word, value, order) \
    HG_DO(word, order, __ATOMIC_RELAXED, __atomic_store_n(word, value, order))
#define __atomic_exchange(word, source, target, order) \
    HG_DO(word, order, order, __atomic_exchange(word, source, target, order))
#define __atomic_fetch_add(word, value, order) \
    HG_GET(word, order, order, __atomic_fetch_add(word, value, order))
#define __atomic_fetch_sub(word, value, order) \
    HG_GET(word, order, order, __atomic_fetch_sub(word, value, order))
#define __atomic_fetch_or(word, value, order) \
    HG_GET(word, order, order, __atomic_fetch_or(word, value, order))
#define __atomic_compare_exchange(word, seen, source, weak, success, failure) \
    HG_SWAP(word, success, failure, \
            __atomic_compare_exchange(word, seen, source, weak, success, failure))
#define __atomic_compare_exchange_n(word, seen, value, weak, success, failure) \
    HG_SWAP(word, success, failure, \
            __atomic_compare_exchange_n(word, seen, value, weak, success, failure))
/* clang-format on */

/* Where readers copy what a writer may overwrite meanwhile (staged.c), the kernel does it: what it
 * reads of a process helgrind does not see. No header that declares it may come before the
 * sources' own choice of what is declared. */
#define NW_COPY_UNSEEN hg_copy_unseen

extern long syscall(long number, ...);

__attribute__((unused)) static void hg_copy_unseen(void *target, const void *source, size_t len)
{
    const void *local[2] = {target, (const void *)len}; /* struct iovec */
    const void *remote[2] = {source, (const void *)len};
    long process = syscall(__NR_getpid);

    if (syscall(__NR_process_vm_readv, process, local, 1, remote, 1, 0) != (long)len)
        __builtin_trap();
}

#endif
