/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* none.c: no peers, in the tool that is installed: it needs none of their libraries. */
#include "bench.h"
#include "peers/peers.h"

const struct bench_peer *const bench_peers[] = {NULL};
const size_t bench_peer_count = 0;

void bench_peer_cases(const struct bench_options *options)
{
    (void)options;
}
