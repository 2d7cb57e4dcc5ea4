/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/wal.h: a write-ahead log.
 *
 * A log is a folder of segment files. One process appends records to it; any number of readers, in
 * this process or others, read them back in order; after any crash, opening the log gives back
 * exactly what it promised. The promises D1-D12 that these comments cite stand in
 * docs/durability.md.
 *
 * Conventions.
 *  1. Functions return NORI_OK (0), a positive answer where documented, or a negative NORI_E_*
 *     code.
 *  2. ret_ parameters come last and are written on success only (a struct nori_error on failure
 *     only; ret_info of nori_wal_open also with NORI_E_CORRUPT). They may be NULL unless the
 *     comment says otherwise.
 *  3. Memory passed in is borrowed until the call returns. Memory handed out says until when it is
 *     good.
 *  4. A nori_wal may be used by any number of threads at once; a nori_reader by one at a time.
 *     Threads of the library block all signals and are named "nori-...". No call is
 *     async-signal-safe. RLIMIT_FSIZE, as it is when the log takes space, is respected before the
 *     kernel enforces it with a signal.
 *  5. After fork() the child can use neither logs nor readers opened before it: every call on them
 *     returns NORI_E_INVALID. It does not hold the parent's lock. Opening anew works.
 *  6. Structs that may grow begin with size and are made by their _INIT macro. Zero means the
 *     default for every field. New fields are added at the end.
 *  7. The library never prints.
 */
#ifndef NORI_WAL_H
#define NORI_WAL_H

#include <nori/error.h>
#include <nori/observe.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nori_vfs;       /* nori/vfs.h */
struct nori_allocator; /* nori/vfs.h */

typedef struct nori_wal nori_wal;
typedef struct nori_reader nori_reader;

/* When an append is durable, that is, survives a power cut (D3). A process crash loses nothing
 * under any policy (D2). */
enum nori_fsync_policy {
    /* at most batch_window_us plus two syncs later, by a thread of the library */
    NORI_FSYNC_BATCH = 0,
    /* before append returns; threads that append at the same time share syncs */
    NORI_FSYNC_ALWAYS = 1,
    NORI_FSYNC_OS = 2 /* after nori_wal_sync(), every 32 MiB, and whenever a segment ends */
};

enum nori_compression {
    NORI_COMPRESSION_NONE = 0,
    NORI_COMPRESSION_LZ4 = 1,
    NORI_COMPRESSION_ZSTD = 2
};

/* What open does about what a crash left, and about damage. docs/recovery.md has the
 * table. */
enum nori_recovery_mode {
    /* a torn tail is left behind; damage refuses to open and says where */
    NORI_RECOVER_TAIL = 0,
    NORI_RECOVER_STRICT = 1, /* a torn tail refuses to open, too */
    /* everything before the first damage is kept; what follows goes to quarantine */
    NORI_RECOVER_PREFIX = 2,
    /* damaged stretches go to quarantine; reading goes on behind them */
    NORI_RECOVER_SALVAGE = 3
};

/* How much open reads. */
enum nori_verify {
    NORI_VERIFY_FULL = 0, /* every record */
    NORI_VERIFY_TAIL = 1  /* what is not known to be durable: the cost does not grow with the log */
};

/* How the log takes space ahead of need (D9). */
enum nori_preallocate {
    /* RESERVE; but ZERO under NORI_FSYNC_ALWAYS where nori_log_advise was told so */
    NORI_PREALLOCATE_AUTO = 0,
    NORI_PREALLOCATE_OFF = 1, /* reserved, too, in steps of 64 KiB, or 4 * buffer_size */
    /* reserved (fallocate) in steps that double from 1 MiB up to max_segment_size; so much for the
     * next segment, too, once this one is half full */
    NORI_PREALLOCATE_RESERVE = 2,
    /* written with zeros in steps of up to 4 MiB: more writing, cheaper syncs on some devices */
    NORI_PREALLOCATE_ZERO = 3
};

/* What a reader shows. */
enum nori_visibility {
    NORI_VISIBLE_APPENDED = 0, /* all that was appended */
    NORI_VISIBLE_DURABLE = 1   /* only what is durable */
};

/* Flags of struct nori_wal_config. */
#define NORI_OPEN_MUST_EXIST  1u /* NORI_E_NOTFOUND if there is no log */
#define NORI_OPEN_MUST_CREATE 2u /* NORI_E_INVALID if there is one */

struct nori_wal_config {
    size_t size; /* set by NORI_WAL_CONFIG_INIT */
    /* the log's folder; NULL: "wal"; created if absent (its parent is not) */
    const char *dir;
    /* bytes; 0: 128 MiB; at least 1 MiB. A larger record or batch gets a segment of its own */
    uint64_t max_segment_size;
    uint32_t fsync_policy;    /* enum nori_fsync_policy */
    uint32_t batch_window_us; /* for NORI_FSYNC_BATCH; 0: 5000; at most 1000000 */
    uint32_t node_id;         /* appears in events and segment headers */
    /* 0 or 2: the current one. 1: as the Rust crate writes it, which has no times and no atomic
     * batches; appends that begin a segment wait for syncs. docs/format.md, "Format 1" */
    uint32_t format;
    uint32_t preallocate;   /* enum nori_preallocate */
    uint32_t recovery_mode; /* enum nori_recovery_mode */
    uint32_t verify;        /* enum nori_verify */
    uint32_t flags;         /* NORI_OPEN_* */
    /* permissions of files; 0: 0600. The folder gets the matching x bits */
    uint32_t file_mode;
    uint32_t reserved; /* zero */
    /* bytes, key plus value, of a record or a whole batch; 0: 64 MiB; at most 1 GiB */
    uint64_t max_record_size;
    /* bytes of the staging ring in `control`, up to a power of two; 0: 4 MiB; 4 KiB to 1 GiB. What
     * is larger than a quarter of it is written before it returns */
    size_t buffer_size;
    const char *name;                       /* label `log` of metrics; NULL: dir */
    const struct nori_meter *meter;         /* NULL: none; must outlive the log */
    const struct nori_vfs *vfs;             /* NULL: POSIX; must outlive the log */
    const struct nori_allocator *allocator; /* NULL: malloc; must outlive the log */
    /* what an append or a sync waits for so long is told, while it waits, as NORI_EVENT_STALL;
     * milliseconds; 0: 1000; at most 3600000 */
    uint64_t stall_threshold_ms;
};
/* clang-format off */
#define NORI_WAL_CONFIG_INIT \
    {sizeof(struct nori_wal_config), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/* clang-format on */

/* Flags of struct nori_record. */
#define NORI_RECORD_TOMBSTONE 1u /* a delete */
#define NORI_RECORD_TTL       2u /* ttl_ms counts */
#define NORI_RECORD_TIME      4u /* time_ms counts */
#define NORI_RECORD_VERSION   8u /* version_term and version_index count */
/* set by readers: the next record belongs to the same atomic batch */
#define NORI_RECORD_BATCH_CONTINUES 16u

/*
 * A record. Key and value may be empty. A record with a TTL and no time gets the time of its
 * append, so that a reader can tell when it expires: at time_ms + ttl_ms. (Format-1 logs have no
 * time.)
 */
struct nori_record {
    const void *key;
    size_t key_len; /* bytes */
    const void *value;
    size_t value_len;       /* bytes */
    uint64_t ttl_ms;        /* milliseconds to live, with NORI_RECORD_TTL */
    uint64_t time_ms;       /* Unix time in milliseconds, with NORI_RECORD_TIME */
    uint64_t version_term;  /* Raft, with NORI_RECORD_VERSION */
    uint64_t version_index; /* Raft, with NORI_RECORD_VERSION */
    uint64_t sequence; /* set by readers: counts the log's records from 1; 0: damage hides it */
    uint32_t flags;    /* NORI_RECORD_* */
    /* enum nori_compression: how to store the value; a reader tells how it is stored */
    uint32_t compression;
    uint64_t reserved[4]; /* zero */
};

/* Make a record that borrows key and value. */
NORI_API struct nori_record nori_record_put(const void *key, size_t key_len, const void *value,
                                            size_t value_len);
NORI_API struct nori_record nori_record_put_with_ttl(const void *key, size_t key_len,
                                                     const void *value, size_t value_len,
                                                     uint64_t ttl_ms);
NORI_API struct nori_record nori_record_delete(const void *key, size_t key_len);
NORI_API struct nori_record nori_record_with_compression(struct nori_record record,
                                                         enum nori_compression compression);

/* 1 if this build of the library can read and write values compressed so (enum
 * nori_compression). */
NORI_API int nori_compression_is_offered(uint32_t compression);

/* 1 if the record has a TTL and a time and both together lie at or before now_ms (Unix time),
 * else 0. */
NORI_API int nori_record_is_expired(const struct nori_record *record, uint64_t now_ms);

/* What open found and did. */
struct nori_recovery_info {
    size_t size;
    /* application records intact (verify = tail: from the headers' sequence numbers) */
    uint64_t valid_records;
    uint64_t segments_scanned;                /* segment files read, whole or in part */
    uint64_t bytes_truncated;                 /* torn bytes left behind; never zero fill */
    struct nori_position last_valid_position; /* of the last record; {0, 0} if there is none */
    /* 1: damage, mended or not. A torn tail alone sets only bytes_truncated */
    uint32_t corruption_detected;
    uint32_t was_clean; /* 1: the last writer closed it; also for a new log */
    /* rescued from the staging ring after a process crash */
    uint64_t bytes_from_staging;
    /* set aside as evidence: damage, or a `control` of another log */
    uint64_t bytes_quarantined;
    uint64_t elapsed_us;
    uint64_t bytes_scanned; /* bytes of records read and verified */
    /* bytes above the watermark made durable again (D5) */
    uint64_t bytes_rewritten;
    char message[256]; /* what happened, in a sentence */
};
/* clang-format off */
#define NORI_RECOVERY_INFO_INIT \
    {sizeof(struct nori_recovery_info), 0, 0, 0, {0, 0}, 0, 0, 0, 0, 0, 0, 0, {0}}
/* clang-format on */

/*
 * Open a log for appending, recovering it first. config may be NULL: all defaults. ret_wal is
 * needed. On return everything recovered is durable (D5). Nothing is created in the folder but
 * `control` until the first append; or, if something is set aside, `quarantine`, and a segment that
 * says where the log ends.
 *
 * NORI_E_INVALID      a field out of range, a folder that is a file, or a segment or `spare` that
 *                     is none (a link, folder, pipe or device)
 * NORI_E_NOTFOUND     no such folder, or no log in it (NORI_OPEN_MUST_EXIST)
 * NORI_E_LOCKED       another writer has it open (D10)
 * NORI_E_CORRUPT      damage: ret_info and ret_error say where; nothing was changed (D6)
 * NORI_E_VERSION      a newer format (D12)
 * NORI_E_READONLY     the folder or a file may not be written
 * NORI_E_NOSPACE      no room to make what was recovered durable (copy-on-write file systems)
 * NORI_E_UNSUPPORTED  format 1 was asked for, but the log has segments of format 2; or `control`
 *                     has records of a killed writer and cannot be mapped here any more: nothing
 *                     was changed
 * NORI_E_IO, NORI_E_NOMEM
 * After an error there is no handle.
 */
NORI_API int nori_wal_open(const struct nori_wal_config *config, nori_wal **ret_wal,
                           struct nori_recovery_info *ret_info, struct nori_error *ret_error);

/*
 * Append one record. On return it survives the death of this process (D2), and power loss as the
 * policy says (D3). ret_position: where it lies. Any thread. The first append after an open waits
 * for the two syncs that name its segment, under every policy.
 *
 * NORI_E_INVALID      an argument is not allowed
 * NORI_E_TOOBIG       over max_record_size
 * NORI_E_NOSPACE      no space (D9); works again once there is room
 * NORI_E_UNSUPPORTED  a compression that this build lacks; a time in format 1
 * NORI_E_NOMEM        no memory
 * NORI_E_CLOSED       the log is being closed
 *     After these the record is not in the log, which stays as it was.
 *
 * NORI_E_IO, NORI_E_FAILED
 *     The log failed (D8); the record may or may not be there after reopening. If nori_wal_failure
 *     says that it did not fail, space could not be taken for another reason than want of it (so
 *     with NORI_E_READONLY and NORI_E_NOTFOUND): the record is not there.
 */
NORI_API int nori_wal_append(nori_wal *wal, const struct nori_record *record,
                             struct nori_position *ret_position);

/*
 * Append count records, at least one, as one: after any crash they are there all or none, and
 * readers show all or none (D4). ret_positions has room for count. max_record_size limits the sum
 * of keys and values. In format 1, which cannot say what belongs together, they are written
 * together, and a crash may leave the first of them only. Errors as nori_wal_append.
 */
NORI_API int nori_wal_append_batch(nori_wal *wal, const struct nori_record *records, size_t count,
                                   struct nori_position *ret_positions);

/*
 * Hand all that was appended before the call to the kernel, so that whoever reads the segment files
 * themselves, as a backup does, finds it there. Readers of this library see it anyway, and no
 * promise needs it. NORI_E_FAILED, NORI_E_CLOSED, NORI_E_INVALID.
 */
NORI_API int nori_wal_flush(nori_wal *wal);

/* All appended before the call is durable on return. NORI_E_IO, NORI_E_FAILED: the log failed
 * (D8). */
NORI_API int nori_wal_sync(nori_wal *wal);

/*
 * Wait until the record that starts at position is durable; at the current end: until everything
 * before it is. timeout_ms: -1 no limit. Under NORI_FSYNC_OS it starts a sync. NORI_E_TIMEOUT;
 * NORI_E_NOTFOUND a position behind the end or before the oldest segment; NORI_E_IO, NORI_E_FAILED
 * the log failed; NORI_E_CLOSED.
 */
NORI_API int nori_wal_wait_durable(nori_wal *wal, struct nori_position position,
                                   int64_t timeout_ms);

/* Everything appended so far lies before it. In a log that never held a record it is {0, 0}.
 * ret_position is needed. */
NORI_API int nori_wal_position(nori_wal *wal, struct nori_position *ret_position);

/* Everything before it is durable. ret_position is needed. */
NORI_API int nori_wal_durable_position(nori_wal *wal, struct nori_position *ret_position);

/* The oldest record there is; NORI_E_NOTFOUND if there is none. ret_position is needed. */
NORI_API int nori_wal_first_position(nori_wal *wal, struct nori_position *ret_position);

/*
 * Read from position on ({0, 0}: the oldest record), as nori_reader_open in the log's own folder.
 * Close it, too, after the log is closed. A point read is this, one nori_reader_next and
 * nori_reader_close: about a microsecond where records were read before, in a log of any length.
 * For that the log keeps files mapped that were read: addresses, and a word for each 4 KiB.
 */
NORI_API int nori_wal_read_from(nori_wal *wal, struct nori_position position,
                                nori_reader **ret_reader);

/*
 * Drop the segments all of whose records lie before position, oldest first, durably. At
 * nori_wal_position() everything is dropped: a new segment is begun if the current one holds
 * records. ret_deleted: how many files went. NORI_E_NOTFOUND position behind the end;
 * NORI_E_NOSPACE no room for a new segment (others were dropped);
 * NORI_E_IO, NORI_E_FAILED the log failed (D8), or a file could not be removed (also
 * NORI_E_READONLY); NORI_E_NOMEM.
 */
NORI_API int nori_wal_delete_segments_before(nori_wal *wal, struct nori_position position,
                                             uint64_t *ret_deleted);

/* This thread's last failure on this log; NORI_END if it had none. ret_error is needed. */
NORI_API int nori_wal_last_error(nori_wal *wal, struct nori_error *ret_error);

/* The first cause of NORI_E_FAILED; NORI_END if the log has not failed. ret_error is needed. */
NORI_API int nori_wal_failure(nori_wal *wal, struct nori_error *ret_error);

/*
 * Sync and close. The handle is gone whatever it returns; NULL is a no-op. Calls that other threads
 * wait in return NORI_E_CLOSED, but an append that waits for its sync gets that first; no call may
 * be begun after it. NORI_E_IO, NORI_E_FAILED: not all is durable.
 */
NORI_API int nori_wal_close(nori_wal *wal);

/* Flags of struct nori_reader_config. */
#define NORI_READER_PREAD 1u /* copy instead of mapping: a bad sector is an error, not SIGBUS */

struct nori_reader_config {
    size_t size;
    /* enum nori_visibility; beside no live writer nothing more becomes durable */
    uint32_t visibility;
    uint32_t flags;                         /* NORI_READER_PREAD */
    uint64_t max_record_size;               /* bytes; 0: as the segment header says */
    const struct nori_vfs *vfs;             /* NULL: POSIX; must outlive the reader */
    const struct nori_allocator *allocator; /* NULL: malloc; must outlive the reader */
};
/* clang-format off */
#define NORI_READER_CONFIG_INIT \
    {sizeof(struct nori_reader_config), 0, 0, 0, 0, 0}
/* clang-format on */

/*
 * Open a reader on a folder, beside a live writer or none; it takes no writer's lock and changes
 * nothing. position: the place of a record; of a header, a control record or a segment's end: the
 * first record after it; {0, 0}: the oldest. NORI_E_NOTFOUND no log, or a position inside a record,
 * before the oldest or behind the end; NORI_E_INVALID as nori_wal_open; NORI_E_CORRUPT,
 * NORI_E_VERSION, NORI_E_IO, NORI_E_READONLY (no permission), NORI_E_NOMEM.
 */
NORI_API int nori_reader_open(const char *dir, struct nori_position position,
                              nori_reader **ret_reader, struct nori_error *ret_error);
NORI_API int nori_reader_open_with(const char *dir, const struct nori_reader_config *config,
                                   struct nori_position position, nori_reader **ret_reader,
                                   struct nori_error *ret_error);
NORI_API int nori_wal_read_with(nori_wal *wal, const struct nori_reader_config *config,
                                struct nori_position position, nori_reader **ret_reader);

/*
 * The next record (D11: each once, in order, across segments, only if its checksum holds). NORI_OK;
 * NORI_END at the end: the same reader goes on when more was appended; NORI_E_TRUNCATED what came
 * next was removed; NORI_E_CORRUPT damage; NORI_E_VERSION; NORI_E_IO; NORI_E_NOMEM. After an error
 * the reader stays where it is; only at a hole that a repair left, and at a value that does not
 * decompress although its checksum holds, it says NORI_E_CORRUPT once, and the next call goes on
 * behind it. The record's memory is good until the next call on this reader.
 * ret_record is needed.
 */
NORI_API int nori_reader_next(nori_reader *reader, struct nori_record *ret_record,
                              struct nori_position *ret_position);

/* Wait until there is more to read. timeout_ms: -1 no limit. NORI_OK there is more (or an error
 * to be had from nori_reader_next); NORI_E_TIMEOUT. */
NORI_API int nori_reader_wait(nori_reader *reader, int64_t timeout_ms);

/* The last failure of this reader; NORI_END if it had none. ret_error is needed. */
NORI_API int nori_reader_last_error(nori_reader *reader, struct nori_error *ret_error);

/* NULL is a no-op. */
NORI_API void nori_reader_close(nori_reader *reader);

/* ---- Offline operations on a folder; read-only, also usable beside a live writer ---- */

enum nori_log_item_kind {
    NORI_LOG_SEGMENT = 1,    /* one for each file of the log */
    NORI_LOG_FINDING = 2,    /* something a person should know: severity, message, advice */
    NORI_LOG_PROGRESS = 3,   /* bytes of bytes_total are done */
    NORI_LOG_SUMMARY = 4,    /* the last one */
    NORI_LOG_EXPLANATION = 5 /* sentences about a place, maybe with its bytes */
};

enum nori_log_state {
    NORI_LOG_STATE_LIVE = 0,   /* ended, part of the log */
    NORI_LOG_STATE_NEWEST = 1, /* the last segment of the log */
    /* left behind by recovery or truncation; the next append removes it */
    NORI_LOG_STATE_DEAD = 2,
    NORI_LOG_STATE_BAD = 3 /* damaged, or missing its place in the log */
};

/* What the operations report. Which fields count depends on kind. Strings are good until the
 * callback returns. */
struct nori_log_item {
    size_t size;
    uint32_t kind;                 /* enum nori_log_item_kind */
    uint32_t severity;             /* FINDING, SUMMARY: enum nori_severity */
    int32_t code;                  /* FINDING, SUMMARY: NORI_OK or NORI_E_* */
    uint32_t state;                /* SEGMENT: enum nori_log_state */
    uint32_t format;               /* SEGMENT: 1 or 2; SUMMARY: of the newest segment; 0: none */
    uint32_t node_id;              /* SEGMENT */
    uint32_t is_writer_alive;      /* SUMMARY: 1 if a writer is there; not yet while it recovers */
    uint32_t was_clean;            /* SUMMARY: 1 if the last writer closed it */
    const char *file;              /* SEGMENT, FINDING: name within the folder, or NULL */
    struct nori_position position; /* FINDING: where; SEGMENT: {id, length}; SUMMARY: the end */
    /* FINDING: affected; SEGMENT: up to its end; PROGRESS: done; SUMMARY: all segments up to
     * their ends */
    uint64_t bytes;
    /* PROGRESS: to do, 0: unknown; SEGMENT, SUMMARY: file sizes, space taken ahead included */
    uint64_t bytes_total;
    /* SEGMENT, SUMMARY: application records (stat: from the sequence numbers where they tell) */
    uint64_t records;
    uint64_t first_sequence; /* SEGMENT, SUMMARY: of the first record; 0: unknown */
    uint64_t created_ms;     /* SEGMENT: Unix time; 0: unknown */
    uint64_t start_lsn;      /* SEGMENT; SUMMARY: of the oldest segment */
    uint64_t end_lsn;        /* SEGMENT; SUMMARY: of the log */
    uint64_t durable_lsn;    /* SUMMARY: known to be durable */
    uint64_t segments;       /* SUMMARY: live ones */
    uint64_t log_id;         /* SUMMARY: 0 for format 1 only */
    const char *message;     /* FINDING, SUMMARY, EXPLANATION: a sentence */
    const char *advice;      /* FINDING: what to do, or NULL; nori_log_repair: what is done */
    const void *data;        /* EXPLANATION: the bytes to show, or NULL */
    size_t data_len;         /* bytes */
    /* SUMMARY of nori_log_repair: bytes newly in quarantine; of a dry run 0 */
    uint64_t bytes_quarantined;
    uint64_t records_lost; /* SUMMARY of nori_log_repair: as far as headers and marks tell */
};

/* Return 0 to go on; anything else ends the operation, which returns it. */
typedef int (*nori_log_report)(void *context, const struct nori_log_item *item);

struct nori_log_options {
    size_t size;
    uint32_t flags;                         /* NORI_LOG_*, of nori_log_repair only */
    uint32_t reserved;                      /* zero */
    const struct nori_vfs *vfs;             /* NULL: POSIX */
    const struct nori_allocator *allocator; /* NULL: malloc */
    struct nori_position position;          /* nori_log_explain: where; {0, 0}: an overview */
};
/* clang-format off */
#define NORI_LOG_OPTIONS_INIT \
    {sizeof(struct nori_log_options), 0, 0, 0, 0, {0, 0}}
/* clang-format on */

/*
 * Check every byte of a log, independently of how readers and recovery do. Reports PROGRESS, a
 * SEGMENT each, a FINDING for every damage (NORI_SEVERITY_ERROR: file, offset, the bytes up to
 * where the log can be trusted again, how many records are at risk, what to do), every hole that a
 * repair left (NORI_SEVERITY_WARNING) and a torn tail (NORI_SEVERITY_INFO), and a SUMMARY. options
 * may be NULL. Takes no lock and changes nothing; beside a live writer damage is told only if it is
 * found twice.
 *
 * NORI_OK the log is sound (torn tails and holes are no damage); NORI_E_CORRUPT it is not, and
 * ret_error has the first damage; NORI_E_VERSION; NORI_E_NOTFOUND no log; NORI_E_IO; NORI_E_NOMEM;
 * NORI_E_INVALID; what report returned.
 */
NORI_API int nori_log_verify(const char *dir, const struct nori_log_options *options,
                             nori_log_report report, void *context, struct nori_error *ret_error);

/* Describe a log from its headers, without reading the records of ended format-2 segments:
 * SEGMENT items and a SUMMARY. Results as nori_log_verify. */
NORI_API int nori_log_stat(const char *dir, const struct nori_log_options *options,
                           nori_log_report report, void *context, struct nori_error *ret_error);

/* Flags of nori_log_repair. */
#define NORI_LOG_DRY_RUN 1u /* say what would be done and change nothing */
#define NORI_LOG_SALVAGE 2u /* NORI_RECOVER_SALVAGE; else NORI_RECOVER_PREFIX */

/*
 * Mend a damaged log, as opening it with recovery mode prefix or salvage does. Reports what
 * nori_log_verify finds (FINDING), each with what is done about it as advice; then, unless it is a
 * dry run, a FINDING of NORI_SEVERITY_INFO for every piece that is newly in quarantine (file: its
 * name there, with "quarantine/" before it); and a SUMMARY: records (kept), records_lost,
 * bytes_quarantined, the log's end, message. A dry run takes no lock and may be made beside a live
 * writer. options may be NULL. Any thread.
 *
 * NORI_OK        the log is sound now; of a dry run: it was
 * NORI_E_CORRUPT of a dry run: there is damage
 * NORI_E_LOCKED  a writer has the log open
 * NORI_E_VERSION something in it is of a newer version: nothing was changed (D12)
 * NORI_E_NOTFOUND no log; NORI_E_INVALID; NORI_E_IO; NORI_E_NOSPACE; NORI_E_READONLY;
 * NORI_E_NOMEM; what report returned.
 * After an error the log is damaged as before, or less; nothing that was removed from it is missing
 * in quarantine (D7), and the repair can be made again. A report that ends the operation before the
 * first piece in quarantine is reported leaves the log unchanged.
 */
NORI_API int nori_log_repair(const char *dir, const struct nori_log_options *options,
                             nori_log_report report, void *context, struct nori_error *ret_error);

/*
 * Say what lies at options->position: header, record, mark, hole, damaged or unused bytes, or bytes
 * that the log does not reach; which watermarks cover the place, and how recovery judges it.
 * Reports EXPLANATION items: sentences, one of them with the bytes themselves (at most 64 KiB of
 * them). Without a position: an overview of control, segments, watermarks, `spare` and quarantine.
 * The header of segment 0 is explained at any of its bytes but the first. Takes no lock and
 * changes nothing. Any thread.
 *
 * NORI_OK; NORI_E_NOTFOUND no log, or no such segment; NORI_E_VERSION; NORI_E_INVALID; NORI_E_IO;
 * NORI_E_NOMEM; what report returned. Damage is an answer here, not an error.
 */
NORI_API int nori_log_explain(const char *dir, const struct nori_log_options *options,
                              nori_log_report report, void *context, struct nori_error *ret_error);

/* ---- Numbers: what a log holds, what its writer does, and how long that takes ---- */

#define NORI_LATENCY_BUCKETS 28

/*
 * How often something was done and how long it took. Percentiles are estimated from the buckets,
 * each of which is twice as wide as the one before: the true value lies in the same bucket.
 */
struct nori_latency {
    uint64_t count;   /* how often it was measured */
    uint64_t sum_ns;  /* in all */
    uint64_t p50_ns;  /* half of them took at most so long */
    uint64_t p99_ns;  /* 99 of 100 */
    uint64_t p999_ns; /* 999 of 1000 */
    uint64_t max_ns;  /* the longest one */
    /* the first counts what took less than 128 ns; the one with index i what took less than
     * 128 << i, and not less than half of that; the last one also all that took longer */
    uint64_t buckets[NORI_LATENCY_BUCKETS];
};
#define NORI_LATENCY_INIT \
    {                     \
        0, 0, 0, 0, 0, 0, \
        {                 \
            0             \
        }                 \
    }

#define NORI_STALLS_MAX 8 /* more than there are in enum nori_stall_cause */

/*
 * A log's numbers. Counts and latencies cover the time since its writer opened it, or, made by
 * nori_wal_stats_between, the time between two looks. Each number is true on its own; together
 * they are not of one instant.
 */
struct nori_wal_stats {
    size_t size; /* set by NORI_WAL_STATS_INIT */

    /* The writer. */
    /* 1: a writer is there, and has recovered the log; 0: the rest is of the last one */
    uint32_t is_writer_alive;
    /* 1: the numbers are known. 0: only is_writer_alive, segments, spare_bytes and sampled_*; the
     * writer has no file to share its numbers in, is of another version, or left none */
    uint32_t is_known;
    uint32_t was_closed;      /* 1: no writer is alive, and the last one closed the log */
    uint32_t has_failed;      /* 1: it met an error that is final (D8) */
    uint32_t format;          /* of the segments it writes: 1 or 2 */
    uint32_t fsync_policy;    /* enum nori_fsync_policy */
    uint32_t batch_window_us; /* of NORI_FSYNC_BATCH */
    uint32_t reserved;        /* zero */
    uint64_t process_id;
    uint64_t opened_ms;  /* Unix time */
    uint64_t sampled_ms; /* Unix time of this look */
    uint64_t sampled_ns; /* the same by the monotonic clock, to be compared within one machine */
    /* what counts and latencies cover; 0: unknown, since no writer is alive */
    uint64_t elapsed_ns;

    /* Sizes. */
    uint64_t segments;         /* files that the log consists of */
    uint64_t bytes;            /* from the oldest segment's first byte to the end of the log */
    uint64_t bytes_ahead;      /* space taken ahead of need, in the newest segment */
    uint64_t spare_bytes;      /* space taken for the next segment, in the file `spare` */
    uint64_t segment_size_max; /* bytes at which the next segment is begun */

    /* Places. {0, 0}: unknown, or there is no record. As LSNs: bytes since the log began. */
    struct nori_position oldest;   /* the oldest record */
    struct nori_position durable;  /* everything before it is on the medium */
    struct nori_position written;  /* everything before it is in the kernel */
    struct nori_position appended; /* the end */
    uint64_t oldest_lsn;           /* of the oldest segment's first byte */
    uint64_t durable_lsn;
    uint64_t written_lsn;
    uint64_t appended_lsn;
    uint64_t lag_bytes; /* appended and not durable */

    /* Counts. */
    uint64_t appends;        /* calls that succeeded; a batch is one */
    uint64_t batches;        /* of these, of several records */
    uint64_t puts;           /* records */
    uint64_t deletes;        /* records */
    uint64_t appended_bytes; /* records, and marks and headers between them */
    uint64_t room_waits;     /* appends that waited for room in the staging ring */
    uint64_t space_waits;    /* appends that waited for space, or for the next segment */
    uint64_t syncs;
    uint64_t rolls;          /* segments ended because another one was begun */
    uint64_t drops;          /* segments removed by retention */
    uint64_t errors_io;      /* calls that failed: NORI_E_IO, NORI_E_FAILED */
    uint64_t errors_nospace; /* NORI_E_NOSPACE */
    uint64_t errors_refused; /* other codes: the caller's mistakes */

    /* Latencies. */
    struct nori_latency encode; /* encoding and copying an append; one in 256 is measured */
    struct nori_latency wait;   /* an append waits for room, for space or for the next segment */
    struct nori_latency write;  /* a piece of the ring, or of a large append, into the kernel */
    struct nori_latency sync;   /* a sync, once all it covers is written */
    struct nori_latency wake;   /* from the end of a sync until who waited for it goes on */

    /* The staging ring. */
    uint64_t ring_bytes; /* its size */
    uint64_t ring_used;  /* appended and not written */

    /* What takes longer than stall_threshold_ms, at the index of its enum nori_stall_cause. */
    uint64_t stalled_since_ms[NORI_STALLS_MAX]; /* Unix time; 0: it does not, just now */
    uint64_t stalls[NORI_STALLS_MAX];           /* how often it did */
};
/* clang-format off */
#define NORI_WAL_STATS_INIT \
    {sizeof(struct nori_wal_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0, 0}, \
     {0, 0}, {0, 0}, {0, 0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
     NORI_LATENCY_INIT, \
     NORI_LATENCY_INIT, NORI_LATENCY_INIT, NORI_LATENCY_INIT, NORI_LATENCY_INIT, 0, 0, {0}, {0}}
/* clang-format on */

/*
 * The numbers of an open log, since it was opened. Costs less than a microsecond, holds nobody up,
 * and works after a failure (D8), too. ret_stats is needed. Any thread. NORI_E_INVALID,
 * NORI_E_CLOSED.
 */
NORI_API int nori_wal_stats(nori_wal *wal, struct nori_wal_stats *ret_stats);

/*
 * The same of a log in a folder, from any process: what its writer publishes in shared memory, the
 * folder's listing, and the headers of at most a few segments. No lock is taken, no record read and
 * nobody is held up, so it may be called every second. Without a live writer the numbers are those
 * the last one left behind. What the files say is believed for show only. options may be NULL.
 * ret_stats is needed. Any thread.
 *
 * NORI_OK, also where is_known is 0; NORI_E_NOTFOUND no such folder, or no log in it;
 * NORI_E_INVALID; NORI_E_READONLY no permission; NORI_E_IO; NORI_E_NOMEM.
 */
NORI_API int nori_log_live_stats(const char *dir, const struct nori_log_options *options,
                                 struct nori_wal_stats *ret_stats, struct nori_error *ret_error);

/*
 * What happened between two looks at one log: counts and latencies of the time between, all else as
 * in `after`. If another writer opened the log meanwhile they cover the time since then.
 * ret_between is needed; it may be one of the others. Any thread. NORI_E_INVALID.
 */
NORI_API int nori_wal_stats_between(const struct nori_wal_stats *before,
                                    const struct nori_wal_stats *after,
                                    struct nori_wal_stats *ret_between);

/* What was measured of the disk below a log, as `nori doctor` does, and what follows from it. */
struct nori_log_advice {
    size_t size;
    /* enum nori_preallocate, RESERVE or ZERO: what NORI_PREALLOCATE_AUTO means under
     * NORI_FSYNC_ALWAYS. Under other policies no append waits for a sync, and it means RESERVE. */
    uint32_t preallocate;
    uint32_t reserved;    /* zero */
    uint64_t measured_ms; /* Unix time; given as 0: now */
    /* Medians, in nanoseconds, of writing a block of 4 KiB and syncing it; 0: not measured. */
    uint64_t growing_ns;  /* at the end of a file that grows */
    uint64_t reserved_ns; /* into reserved space, as with NORI_PREALLOCATE_RESERVE */
    uint64_t zeroed_ns;   /* over zeros, as with NORI_PREALLOCATE_ZERO */
};
#define NORI_LOG_ADVICE_INIT                             \
    {                                                    \
        sizeof(struct nori_log_advice), 0, 0, 0, 0, 0, 0 \
    }

/*
 * Keep an advice in the log's `control`, for opens to come. It is believed only there and on this
 * device: a copy of the log elsewhere, or a device that got another number, is to be measured
 * anew. May be called beside a live writer. In a folder without a log `control` is made, with
 * permissions 0600, and the first open keeps it. It costs speed at most: nothing else depends on
 * it. options may be NULL. Any thread.
 *
 * NORI_OK; NORI_E_INVALID; NORI_E_NOTFOUND no such folder, or a log that has no `control` of its
 * own: the next open makes one; NORI_E_LOCKED a writer that has none in a file; NORI_E_UNSUPPORTED
 * there can be none on this file system; NORI_E_READONLY; NORI_E_IO; NORI_E_NOMEM.
 */
NORI_API int nori_log_advise(const char *dir, const struct nori_log_options *options,
                             const struct nori_log_advice *advice, struct nori_error *ret_error);

/* The advice that a log has, if it is believed. NORI_E_NOTFOUND: there is none. Takes no lock and
 * changes nothing. Else as nori_log_advise. ret_advice is needed, its size set. */
NORI_API int nori_log_advice(const char *dir, const struct nori_log_options *options,
                             struct nori_log_advice *ret_advice, struct nori_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
