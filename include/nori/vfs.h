/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/vfs.h: the seam under the log. UNSTABLE until version 1.0.
 *
 * The library reaches the world through this interface only: files, shared mappings, folders,
 * locks, clock, waits and wakes, threads, randomness, memory. The default is POSIX
 * (nori_vfs_posix); libnori-sim offers a simulated disk with simulated threads; a program may bring
 * its own, or wrap one of these.
 *
 * Results. 0 is success. A failure is negative and made by NORI_VFS_ERROR(code, os_errno): a
 * NORI_E_* code and the operating system's number together. NORI_VFS_CODE and NORI_VFS_ERRNO take
 * it apart. The codes mean:
 *   NORI_E_NOSPACE   ENOSPC, EDQUOT, EFBIG: for want of space; the contents of what was written are
 *   unknown
 *   NORI_E_NOTFOUND  ENOENT
 *   NORI_E_READONLY  EROFS, EACCES, EPERM
 *   NORI_E_LOCKED    somebody else holds the lock
 *   NORI_E_INVALID   the name exists already, or names something that is not a regular file (a
 *   symbolic link, a device)
 *   NORI_E_NOMEM, NORI_E_UNSUPPORTED, NORI_E_TIMEOUT, and NORI_E_IO for everything else
 *
 * Objects are subclassed by embedding: their first member points to a table of operations. A table
 * begins with its size; an operation that is NULL or lies beyond the size is not offered, which is
 * allowed only where it says "optional". Operations of one object may be called by several threads
 * at once unless it says otherwise; none may be called after close. Memory passed in is borrowed
 * until the call returns.
 */
#ifndef NORI_VFS_H
#define NORI_VFS_H

#include <nori/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of what is not negative, 0 or a small number, CODE is the number itself and ERRNO is 0. */
#define NORI_VFS_ERROR(code, os_errno) ((int)(code) - 256 * (int)(os_errno))
#define NORI_VFS_CODE(rc)              ((int)(rc) % 256)
#define NORI_VFS_ERRNO(rc)             (-((int)(rc) / 256))

struct nori_vfs;
struct nori_file;
struct nori_folder;
struct nori_thread; /* opaque, of the implementation */
struct nori_mutex;  /* opaque, of the implementation */
struct nori_cond;   /* opaque, of the implementation */

/* A piece of memory to write. */
struct nori_span {
    const void *data;
    size_t len; /* bytes */
};

/* How a log gets its memory. All three are needed; they must be callable by several threads at
 * once. */
struct nori_allocator {
    size_t size;
    void *context;
    void *(*alloc)(void *context, size_t len); /* NULL if there is none; aligned for any type */
    void *(*realloc)(void *context, void *memory, size_t len);
    void (*free)(void *context, void *memory); /* NULL is a no-op */
};

/* Flags of open_file. */
#define NORI_FILE_WRITE     1u /* else read only */
#define NORI_FILE_CREATE    2u /* create if absent */
#define NORI_FILE_EXCLUSIVE 4u /* with CREATE: fail with NORI_E_INVALID if it exists */
#define NORI_FILE_MAPPED \
    8u /* with CREATE: it will be mapped and stored to; overwrite it in place if possible */

/* Flags of open_folder. */
#define NORI_FOLDER_CREATE 1u /* create if absent; the parent is then synced */

enum nori_lock_kind {
    NORI_LOCK_NONE = 0,
    NORI_LOCK_SHARED = 1,
    NORI_LOCK_EXCLUSIVE = 2
};

struct nori_file_info {
    uint64_t bytes;      /* size of the file */
    uint64_t identity;   /* inode number: tells a file from its copy */
    uint64_t birth_ns;   /* time of creation, ns since 1970; 0 if unknown */
    uint64_t link_count; /* names that this file has */
    uint64_t device;     /* number of the device or file system that it lies on; 0 if unknown */
};

struct nori_file_ops {
    size_t size;

    /* Read up to len bytes at offset. *ret_len < len only at the end of the file. A bad sector
     * is NORI_E_IO. */
    int (*read)(struct nori_file *file, void *target, size_t len, uint64_t offset, size_t *ret_len);

    /* Write all spans, one behind the other, at offset: all or error. After an error any part
     * may be there. */
    int (*write)(struct nori_file *file, const struct nori_span *spans, size_t count,
                 uint64_t offset);

    /* Make everything written, allocated and truncated so far durable (fdatasync: contents and
     * size). */
    int (*sync)(struct nori_file *file);

    /* Reserve space for len bytes at offset, readable as zeros where nothing was written; the
     * file grows to cover it. On failure the size is as before. */
    int (*allocate)(struct nori_file *file, uint64_t offset, uint64_t len);

    /* Set the size. */
    int (*truncate)(struct nori_file *file, uint64_t bytes);

    int (*stat)(struct nori_file *file, struct nori_file_info *ret_info);

    /* Change this handle's lock on the file (enum nori_lock_kind), never waiting: NORI_E_LOCKED.
     * close releases it. */
    int (*lock)(struct nori_file *file, uint32_t kind);

    /* Optional. Map the first len bytes, shared; writable if the file is. Not inherited by a
     * forked child. Where it is NULL or gives NORI_E_UNSUPPORTED, reads are copied, and there
     * are no stores: a writable mapping is refused so where a store into allocated space could
     * raise SIGBUS (copy-on-write or unknown file systems). */
    int (*map)(struct nori_file *file, size_t len, void **ret_data);
    void (*unmap)(struct nori_file *file, void *data, size_t len);

    /* Give the handle back; NULL is not allowed. */
    void (*close)(struct nori_file *file);

    /* Optional. Give back what the handle holds of the operating system, such as a descriptor and
     * its lock, but for what is mapped, which stays. Only unmap and close may follow, and nothing
     * at the same time. */
    void (*detach)(struct nori_file *file);
};

struct nori_file {
    const struct nori_file_ops *ops;
};

struct nori_folder_ops {
    size_t size;

    /* Open a regular file in this folder; never follows a symbolic link, never blocks on a
     * device or pipe. mode is for creation, as chmod. */
    int (*open_file)(struct nori_folder *folder, const char *name, uint32_t flags, uint32_t mode,
                     struct nori_file **ret_file);

    /* Call entry for every name but "." and "..", in any order, until it returns non-zero; that
     * is then returned. */
    int (*list)(struct nori_folder *folder, int (*entry)(void *context, const char *name),
                void *context);

    /* Rename within the folder, atomically; NORI_E_INVALID if target exists. */
    int (*rename)(struct nori_folder *folder, const char *source, const char *target);

    /* Remove a file. */
    int (*remove)(struct nori_folder *folder, const char *name);

    /* Make the names in this folder durable. */
    int (*sync)(struct nori_folder *folder);

    /* Take the writer's lock on this folder, never waiting: NORI_E_LOCKED. close releases it; a
     * forked child does not hold it. */
    int (*lock)(struct nori_folder *folder);

    /* Let others know that there is a writer. By who holds the lock, once what it shares with
     * readers is of its own life. Gone with the lock. */
    int (*announce)(struct nori_folder *folder);

    /* 1 if a writer (this or another process, this or another handle) has announced itself, else 0.
     * Takes no lock. Where a lock can be seen only by trying, it counts from lock on. */
    int (*is_announced)(struct nori_folder *folder);

    /* Open a folder within this one, by one name; NORI_FOLDER_* flags. Not followed if it is a
     * symbolic link. The name "." gives another handle on this very folder, wherever its path
     * leads by now. */
    int (*open_folder)(struct nori_folder *folder, const char *name, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder);

    void (*close)(struct nori_folder *folder);

    /* Move a file into another folder of the same file system under a new name, atomically;
     * NORI_E_INVALID if that exists. It is durable once both folders are synced. */
    int (*move)(struct nori_folder *folder, const char *name, struct nori_folder *target_folder,
                const char *target);

    /* Optional. Sync a file, of which earlier syncs may have failed, and let go of what the system
     * keeps in memory of its bytes from offset on, or of more of them, but for what is mapped: from
     * now on they are read from the medium. For where a write failed in the background, after which
     * memory shows what the medium does not have. What can be read then is durable once it is
     * written again and synced, which it need not be without. */
    int (*forget)(struct nori_folder *folder, const char *name, uint64_t offset);
};

struct nori_folder {
    const struct nori_folder_ops *ops;
};

struct nori_vfs {
    size_t size;
    void *context; /* passed to every function below */

    /* Folders. mode is for creation, as chmod. NORI_E_INVALID if path is not a folder. */
    int (*open_folder)(void *context, const char *path, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder);

    /* Clock. */
    uint64_t (*monotonic_ns)(void *context); /* never goes back */
    uint64_t (*realtime_ms)(void *context);  /* Unix time */

    /* Randomness: fill target with unpredictable bytes. */
    int (*random)(void *context, void *target, size_t len);

    /* Threads. They block all signals but those of their own faults (SIGSEGV and the like) and
     * carry the name (at most 15 bytes). */
    int (*thread_start)(void *context, const char *name, void (*run)(void *argument),
                        void *argument, struct nori_thread **ret_thread);
    /* waits for its end, frees it */
    void (*thread_join)(void *context, struct nori_thread *thread);
    uint64_t (*thread_id)(void *context); /* of the caller; not 0 */

    /* Mutual exclusion, not recursive. */
    int (*mutex_new)(void *context, struct nori_mutex **ret_mutex);
    void (*mutex_lock)(void *context, struct nori_mutex *mutex);
    void (*mutex_unlock)(void *context, struct nori_mutex *mutex);
    void (*mutex_free)(void *context, struct nori_mutex *mutex); /* NULL is a no-op */

    /* Conditions. wait releases the mutex and takes it again; 0, or NORI_E_TIMEOUT (without
     * errno) once monotonic_ns has reached deadline_ns (UINT64_MAX: none). May wake without
     * cause. */
    int (*cond_new)(void *context, struct nori_cond **ret_cond);
    int (*cond_wait)(void *context, struct nori_cond *cond, struct nori_mutex *mutex,
                     uint64_t deadline_ns);
    void (*cond_wake_one)(void *context, struct nori_cond *cond);
    void (*cond_wake_all)(void *context, struct nori_cond *cond);
    void (*cond_free)(void *context, struct nori_cond *cond); /* NULL is a no-op */

    /* Waits on a word in shared memory, across processes: returns once woken, or *word !=
     * expected, or timeout_ns is over (NORI_E_TIMEOUT without errno). May return without cause. */
    int (*word_wait)(void *context, const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
    void (*word_wake)(void *context, const uint32_t *word); /* wakes all */

    /* A number that is another one in a forked child: handles remember it and refuse to work
     * there. */
    uint64_t (*process_generation)(void *context);

    /* Optional. The number of this process, for people: as `ps` shows it. */
    uint64_t (*process_id)(void *context);
};

/* The operating system. Static memory, any thread. */
NORI_API const struct nori_vfs *nori_vfs_posix(void);

/* malloc, realloc, free. Static memory, any thread. */
NORI_API const struct nori_allocator *nori_allocator_malloc(void);

#ifdef __cplusplus
}
#endif

#endif
