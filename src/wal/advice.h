/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* advice.h: what was measured of the disk, kept in `control`. */
#ifndef NW_ADVICE_H
#define NW_ADVICE_H

#include "wal/control.h"

/* True, and *ret_advice filled, if there is one that was stored whole, in this very file and on
 * this device. */
bool nw_advice_load(const struct nw_control *control, struct nori_log_advice *ret_advice);

/* What `preallocate = auto` means for this log. */
uint32_t nw_advice_preallocate(const struct nw_control *control, uint32_t fsync_policy);

uint64_t nw_advice_check(const struct nori_log_advice *advice, uint64_t device);

#endif
