/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix.h: the parts of the POSIX implementation of nori/vfs.h, for each other only. posix_linux.c
 * and posix_futex_linux.c have portable counterparts, posix_portable.c and posix_futex_poll.c: the
 * build takes one of each.
 */
#ifndef NW_POSIX_H
#define NW_POSIX_H

#include <nori/vfs.h>

#include <stdbool.h>

/* posix.c */

/* The failure that an errno stands for: the one place where the two meet. */
int nw_posix_error(int os_errno);

/* posix_file.c */

/* Open a regular file below an open folder, as open_file of nori/vfs.h. */
int nw_posix_file_open(int folder_fd, const char *name, uint32_t flags, uint32_t mode,
                       struct nori_file **ret_file);

/* Sync a file below an open folder and drop it from the page cache, as forget of nori/vfs.h. */
int nw_posix_file_forget(int folder_fd, const char *name, uint64_t offset);

/* Write len zeros at offset; -1 and errno on failure. */
int nw_posix_write_zeros(int fd, uint64_t offset, uint64_t len);

/* posix_folder.c */

int nw_posix_folder_open(void *context, const char *path, uint32_t flags, uint32_t mode,
                         struct nori_folder **ret_folder);

/* Around fork: while it lasts nobody may change which folders are locked; the child lets go of
 * them all. */
void nw_posix_folders_before_fork(void);
void nw_posix_folders_after_fork(void);
void nw_posix_folders_in_child(void);

/* posix_thread.c */

int nw_posix_thread_start(void *context, const char *name, void (*run)(void *argument),
                          void *argument, struct nori_thread **ret_thread);
void nw_posix_thread_join(void *context, struct nori_thread *thread);
uint64_t nw_posix_thread_id(void *context);
int nw_posix_mutex_new(void *context, struct nori_mutex **ret_mutex);
void nw_posix_mutex_lock(void *context, struct nori_mutex *mutex);
void nw_posix_mutex_unlock(void *context, struct nori_mutex *mutex);
void nw_posix_mutex_free(void *context, struct nori_mutex *mutex);
int nw_posix_cond_new(void *context, struct nori_cond **ret_cond);
int nw_posix_cond_wait(void *context, struct nori_cond *cond, struct nori_mutex *mutex,
                       uint64_t deadline_ns);
void nw_posix_cond_wake_one(void *context, struct nori_cond *cond);
void nw_posix_cond_wake_all(void *context, struct nori_cond *cond);
void nw_posix_cond_free(void *context, struct nori_cond *cond);

/* posix_futex_linux.c or posix_futex_poll.c */

int nw_posix_word_wait(void *context, const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void nw_posix_word_wake(void *context, const uint32_t *word);

/* posix_linux.c or posix_portable.c: what POSIX does not offer. They return 0 or more, or -1 and
 * errno. */

/* Reserve space, growing the file. EOPNOTSUPP if the file system cannot. */
int nw_posix_system_allocate(int fd, uint64_t offset, uint64_t len);

/* fdatasync, or what the system has instead. */
int nw_posix_system_sync(int fd);

/* The same for a file of which earlier syncs may have failed: what is there is durable afterwards,
 * whatever those left undone. */
int nw_posix_system_sync_again(int fd);

/* Rename, EEXIST if target exists. */
int nw_posix_system_rename(int source_fd, const char *source, int target_fd, const char *target);

/* Time of creation in ns since 1970, 0 if unknown. */
uint64_t nw_posix_system_birth_ns(int fd);

/* Fill target from the system's random source. */
int nw_posix_system_random(void *target, size_t len);

/* A lock that other handles can see without taking one: announced by the holder, given up with
 * the descriptor or by conceal. announced returns 1 if another handle holds it, 0 if none does.
 * ENOTSUP where there is no such thing. */
int nw_posix_system_announce(int fd);
int nw_posix_system_conceal(int fd);
int nw_posix_system_announced(int fd);

/* Before the first byte is written: ask a copy-on-write file system to overwrite this file in
 * place. */
void nw_posix_system_make_in_place(int fd);

/* True if storing into a shared mapping of the file cannot fail (SIGBUS) for want of space, as
 * far as anybody knows. */
bool nw_posix_system_is_in_place(int fd);

/* Keep a mapping out of forked children. */
int nw_posix_system_keep_from_child(void *data, size_t len);

/* Name the calling thread. */
void nw_posix_system_name_thread(const char *name);

#endif
