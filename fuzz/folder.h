/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * folder.h: a log's folder on a simulated machine, as an input describes it, and back.
 *
 * An input is a list of files: name u8 (of a table), fix u8, spared u8, len u16, zeros u16, bytes.
 * A file has len bytes and up to 4 KiB of zeros behind them, in units of 64 bytes. Of `control` the
 * first bytes are its words, and the others what the ring holds from the written LSN on.
 */
#ifndef FUZZ_FOLDER_H
#define FUZZ_FOLDER_H

#include "fuzz.h"
#include "memory.h"

#include <nori/sim.h>

#define FOLDER_DIR       "wal"
#define FOLDER_PATH_LEN  64
#define FOLDER_FILE_MAX  ((size_t)1 << 16) /* bytes that an input may give a file */
#define FOLDER_FILES_MAX 16
#define FOLDER_WORDS_LEN ((size_t)320)  /* of `control`: all words and a few bytes more */
#define FOLDER_RING_AT   ((size_t)4096) /* in `control` */
#define FOLDER_RING_LEN  ((size_t)4096) /* that the seeds have */

/* Bits of fix: what is put right before the file is written. `spared` is the number of the record
 * whose checksum stays as it is. */
#define FOLDER_FIX_HEADER  1u  /* the checksum of the header */
#define FOLDER_FIX_RECORDS 2u  /* those of all records, one behind the other */
#define FOLDER_FIX_LINK    4u  /* the header continues the file that was described before */
#define FOLDER_FIX_MARKS   8u  /* with RECORDS: marks name their segment */
#define FOLDER_FIX_PLACE   16u /* control: it was made in this place, and its watermark holds */

/* Make it. Everything is durable. *ret_is_forged: something was put right, so that it may say with
 * a right checksum what no writer says. */
nori_sim *folder_new(struct fuzz_input *input, bool *ret_is_forged);

/* The input that describes the folder as it is, with this fix for every file but `control`, which
 * gets FOLDER_FIX_PLACE, too. Its length. */
size_t folder_describe(nori_sim *sim, uint8_t fix, uint8_t *target, size_t room);

/* How many names the table has, and the path of one. */
size_t folder_names(void);
const char *folder_path(size_t name);

#endif
