/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names.h: names of files in a log's folder. */
#ifndef NW_NAMES_H
#define NW_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define NW_NAME_MAX     32 /* room for any name, with its final zero */
#define NW_NAME_SPARE   "spare"
#define NW_NAME_CONTROL "control"

/* "000007.wal": at least six digits. */
void nw_name_format(char target[NW_NAME_MAX], uint64_t segment_id);

/* True, and the id, if name is exactly what nw_name_format writes for some id below UINT64_MAX. */
bool nw_name_parse(const char *name, uint64_t *ret_segment_id);

#endif
