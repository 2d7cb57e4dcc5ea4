/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * device.h: a block device of bytes in memory that records each write and each flush, in order.
 *
 * What. The bytes are the image. All that changes it goes onto a tape, with the bytes that were
 * there before, so that the image can be taken back to any moment and forward again, and a crash
 * can be made: the image as it was at a flush, and any part of what was written behind it. Tapes
 * are a stack: a story is recorded on tape 0; what mounting and recovery write to one of its crash
 * states on tape 1, and is undone with it.
 *
 * fuse.h serves it to the kernel as a file, from a process of its own, so all of this is memory
 * that is shared with children. The device may fail or delay what it is asked to do.
 *
 * Threads. While it is served, only the server touches image and tapes; the others read the counts.
 * Else only the test does.
 */
#ifndef TESTS_REAL_DEVICE_H
#define TESTS_REAL_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_SECTOR  ((size_t)512)
#define DEVICE_TAPES   ((size_t)3)
#define DEVICE_OPS_MAX ((size_t)1 << 16)
#define DEVICE_ROOM    ((size_t)1 << 30) /* bytes on a tape: addresses, memory only as used */

enum device_op_kind {
    DEVICE_WRITE = 0,
    DEVICE_FLUSH = 1,
    DEVICE_FAILED = 2 /* a write that was refused: it changed nothing */
};

struct device_op {
    uint32_t kind;
    uint32_t len;    /* bytes */
    uint64_t offset; /* on the device */
    size_t at;       /* in the tape's room: the new bytes, and behind them the old ones */
    uint64_t moment; /* what device->moment was when it came */
};

struct device_tape {
    size_t count;
    size_t used; /* bytes of room */
    struct device_op ops[DEVICE_OPS_MAX];
    uint8_t room[DEVICE_ROOM];
};

/* What shall go wrong. Writes are counted from 1 on, from when the fault is set. */
struct device_fault {
    uint64_t first;         /* the first write that fails; 0: none */
    uint64_t count;         /* how many fail */
    bool is_data;           /* only writes that hold values of the log count */
    uint32_t flush_us;      /* a flush takes so long */
    _Atomic uint64_t seen;  /* writes that counted so far */
    _Atomic uint64_t fails; /* of these, refused */
};

struct device {
    size_t bytes;            /* of the image */
    size_t tape;             /* the one that is written */
    _Atomic uint64_t moment; /* the test's clock: each op says when it came */
    struct device_fault fault;
    struct device_tape tapes[DEVICE_TAPES];
    uint8_t image[];
};

struct device *device_new(size_t bytes); /* all zeros; NULL: no memory */
void device_free(struct device *device);

/* Load the image from a file of at most its size. No tape may be in use. */
bool device_load(struct device *device, const char *path);

/* What the kernel, or a test that makes a crash state, does to it. false: refused. */
bool device_write(struct device *device, uint64_t offset, const void *data, size_t len);
void device_flush(struct device *device);

/* Of a tape, the one that is written or a lower one: take the image from where it is after `from`
 * ops to where it is after `to`. */
void device_seek(struct device *device, size_t tape, size_t from, size_t to);

/* Undo the tape that is written, and forget it. */
void device_rewind(struct device *device);

const uint8_t *device_new_bytes(const struct device *device, size_t tape,
                                const struct device_op *op);

/* Is a piece of a value that the oracle made among these bytes? Then they belong to a log. */
bool device_has_values(const uint8_t *data, size_t len);

/* How an op of a tape changes the contents, as a number to be added up: two sums are the same if
 * the contents are, else hardly ever. */
uint64_t device_difference(const struct device *device, size_t tape, const struct device_op *op);

#endif
