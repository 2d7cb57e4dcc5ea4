/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h: a clock that never goes back. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

#include <stdint.h>

uint64_t cli_now_ns(void);
void cli_sleep_ns(uint64_t ns);

#endif
