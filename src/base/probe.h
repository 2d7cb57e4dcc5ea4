/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe.h: static probes (USDT) for perf, bpftrace and the like; docs/tracing.md has them all.
 *
 * A probe is one `nop` and a note in the library that says where it is and where its arguments are.
 * The semaphore beside it counts those who look: while it is 0 the arguments are not even worked
 * out. In a build without <sys/sdt.h>, or with -Dprobes=disabled, nothing is left of it.
 *
 *     NW_PROBE_HERE(drop)                             once, in the file that has the probe
 *     NW_PROBE(drop, wal->name, segment->id, bytes);  at most five arguments
 */
#ifndef NW_PROBE_H
#define NW_PROBE_H

#ifdef NW_PROBES
#    define _SDT_HAS_SEMAPHORES 1
#    define SDT_USE_VARIADIC    1
#    include <sys/sdt.h>

/* Written by the kernel: hence volatile. The name is what the note refers to. */
#    define NW_PROBE_HERE(name)                    \
        __attribute__((visibility("hidden"), used, \
                       section(".probes"))) volatile unsigned short nori_wal_##name##_semaphore;
#    define NW_PROBE(name, ...)                                        \
        do {                                                           \
            if (__builtin_expect(nori_wal_##name##_semaphore != 0, 0)) \
                STAP_PROBEV(nori_wal, name, __VA_ARGS__);              \
        } while (0)
#else
/* Never called: what is only worked out for a probe counts as used. */
void nw_probe_none(const char *log, ...);

#    define NW_PROBE_HERE(name)
#    define NW_PROBE(name, ...)             \
        do {                                \
            if (0)                          \
                nw_probe_none(__VA_ARGS__); \
        } while (0)
#endif

#endif
