/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * quarantine.c: evidence is kept (D7).
 *
 * What. Pieces are named after the segment they come from and the bytes they are of:
 * "000007.wal.4096-8192", or "000007.wal" or "control" for a whole file; ".1", ".2", ... is added
 * where the name is taken. Beside each lies a text file of the same name and ".txt".
 *
 * Order. The note and the copy are durable, names included, before the caller changes the original.
 * A file that is moved is durable in both folders before the next one is touched.
 *
 * Failure. The original is as it was. What was begun is removed, so that who tries again, however
 * often, finds the name free. Who is killed leaves what there is of a piece; the next attempt takes
 * that up, and a piece that is whole, too: a repair that fails behind the copy and is tried again
 * for days does not fill the disk with copies (D9).
 */
#include "wal/quarantine.h"

#include "base/plant.h"

#include <stdio.h>
#include <string.h>

#define NAME_LEN  96
#define COPY_LEN  ((size_t)64 << 10)
#define TRIES_MAX 1000u

void nw_quarantine_init(struct nw_quarantine *quarantine, const struct nw_env *env,
                        uint32_t file_mode)
{
    *quarantine = (struct nw_quarantine){.env = env, .file_mode = file_mode};
}

/* The folder is made when the first piece is set aside. */
static int open_folder(struct nw_quarantine *quarantine, struct nori_error *error)
{
    struct nori_folder *folder = quarantine->env->folder;
    uint32_t mode = quarantine->file_mode | ((quarantine->file_mode & 0444u) >> 2);
    int rc;

    if (quarantine->folder)
        return NORI_OK;
    rc = folder->ops->open_folder(folder, NW_NAME_QUARANTINE, NORI_FOLDER_CREATE, mode,
                                  &quarantine->folder);
    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "open the folder %s", NW_NAME_QUARANTINE)
                  : NORI_OK;
}

void nw_quarantine_done(struct nw_quarantine *quarantine)
{
    if (quarantine->folder)
        quarantine->folder->ops->close(quarantine->folder);
    quarantine->folder = NULL;
}

/* What could not be set aside, and why. */
static int report(const struct nw_quarantine *quarantine, int rc, struct nori_position position,
                  const char *what, struct nori_error *error)
{
    if (rc == NORI_E_NOMEM)
        return nw_no_memory(error);
    if (quarantine->is_name_used_up)
        return nw_error_set(error, NORI_VFS_CODE(rc), 0, position,
                            "set aside %s: the log's folder %s has %u files of that name (move it "
                            "to another place, and open the log again)",
                            what, NW_NAME_QUARANTINE, TRIES_MAX);
    return nw_io_error(error, rc, position, "set aside %s", what);
}

/* The n-th name that a file may get: stem, stem.1, stem.2, ... */
static void number_name(const char *stem, unsigned n, char name[NAME_LEN])
{
    if (n == 0)
        (void)snprintf(name, NAME_LEN, "%s", stem);
    else
        (void)snprintf(name, NAME_LEN, "%.80s.%u", stem, n);
}

/* Create this file if it is not there yet. */
static int create(struct nw_quarantine *quarantine, const char *name, struct nori_file **ret_file)
{
    return quarantine->folder->ops->open_file(
        quarantine->folder, name, NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE,
        quarantine->file_mode, ret_file);
}

static int create_new(struct nw_quarantine *quarantine, const char *stem, char name[NAME_LEN],
                      struct nori_file **ret_file)
{
    for (unsigned n = 0; n < TRIES_MAX; n++) {
        int rc;

        number_name(stem, n, name);
        rc = create(quarantine, name, ret_file);
        if (rc >= 0 || NORI_VFS_CODE(rc) != NORI_E_INVALID)
            return rc;
    }
    quarantine->is_name_used_up = true;
    return NORI_E_INVALID;
}

/* Remove what was begun. Where that fails, too, it stays, without harm. */
static void take_back(const struct nw_quarantine *quarantine, const char *name)
{
    (void)quarantine->folder->ops->remove(quarantine->folder, name);
}

/* The text beside a piece: durable when this returns, but for its name. */
static int write_note(struct nw_quarantine *quarantine, const char *piece, const char *what,
                      const char *why, char name[NAME_LEN])
{
    const struct nori_vfs *vfs = quarantine->env->vfs;
    struct nori_file *file = NULL;
    char stem[NAME_LEN];
    char text[640];
    struct nori_span span;
    int rc;

    (void)snprintf(stem, sizeof stem, "%.80s.txt", piece);
    rc = create_new(quarantine, stem, name, &file);
    if (rc < 0)
        return rc;
    (void)snprintf(text, sizeof text,
                   "what:  %s\nfrom:  the log's folder, one above this one\nwhen:  %llu ms after "
                   "1970 (UTC)\nwhy:   %s\n",
                   what, (unsigned long long)vfs->realtime_ms(vfs->context), why);
    span = (struct nori_span){text, strlen(text)};
    rc = file->ops->write(file, &span, 1, 0);
    if (rc >= 0)
        rc = file->ops->sync(file);
    file->ops->close(file);
    if (rc < 0)
        take_back(quarantine, name);
    return rc;
}

/* A killed writer may have left in it what only memory has. */
static int sync_whole(struct nori_folder *folder, const char *name, uint64_t *ret_bytes)
{
    struct nori_file_info info = {0};
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(folder, name, 0, 0, &file);

    if (rc < 0)
        return rc;
    rc = file->ops->stat(file, &info);
    if (rc >= 0 && !NW_PLANT("moved-unsynced"))
        rc = file->ops->sync(file);
    file->ops->close(file);
    *ret_bytes = info.bytes;
    return rc;
}

/* Bytes that are copied, and the piece that they become. */
struct copy {
    struct nori_file *source;
    struct nori_file *target;
    uint64_t from, to;
    uint8_t *buffer; /* COPY_LEN bytes */
    char piece[NAME_LEN];
    bool was_begun; /* by an attempt before, and is taken up */
};

/* Has the piece just the first of the bytes, or all? What cannot be read is another piece. */
static bool is_begun(const struct copy *copy)
{
    const size_t half = COPY_LEN / 2;
    struct nori_file_info info = {0};
    uint64_t at = 0;

    if (copy->target->ops->stat(copy->target, &info) < 0 || info.bytes > copy->to - copy->from)
        return false;
    while (at < info.bytes) {
        size_t want = (size_t)nw_min_u64(info.bytes - at, half);
        uint8_t *there = copy->buffer + half;
        size_t len = 0, len_there = 0;

        if (copy->source->ops->read(copy->source, copy->buffer, want, copy->from + at, &len) < 0 ||
            copy->target->ops->read(copy->target, there, want, at, &len_there) < 0 || len != want ||
            len_there != want || memcmp(copy->buffer, there, want) != 0)
            return false;
        at += want;
    }
    return true;
}

/* Create a piece: stem, stem.1, stem.2, ..., or take up one of these. */
static int begin_piece(struct nw_quarantine *quarantine, const char *stem, struct copy *copy)
{
    struct nori_folder *folder = quarantine->folder;

    for (unsigned n = 0; n < TRIES_MAX; n++) {
        int rc;

        number_name(stem, n, copy->piece);
        rc = create(quarantine, copy->piece, &copy->target);
        if (rc >= 0 || NORI_VFS_CODE(rc) != NORI_E_INVALID)
            return rc;
        if (folder->ops->open_file(folder, copy->piece, NORI_FILE_WRITE, 0, &copy->target) < 0)
            continue;
        copy->was_begun = is_begun(copy);
        if (copy->was_begun)
            return NORI_OK;
        copy->target->ops->close(copy->target);
        copy->target = NULL;
    }
    quarantine->is_name_used_up = true;
    return NORI_E_INVALID;
}

/* All of it, also what the piece has: that it can be read is no proof that it is durable (D5). */
static int copy_bytes(const struct copy *copy)
{
    uint64_t from = copy->from;

    while (from < copy->to) {
        size_t want = (size_t)nw_min_u64(copy->to - from, COPY_LEN);
        struct nori_span span = {copy->buffer, 0};
        int rc = copy->source->ops->read(copy->source, copy->buffer, want, from, &span.len);

        if (rc < 0)
            return rc;
        if (span.len == 0)
            break; /* the file ends here: so does the evidence */
        rc = copy->target->ops->write(copy->target, &span, 1, from - copy->from);
        if (rc < 0)
            return rc;
        from += span.len;
    }
    return NW_PLANT("quarantine-not-synced") ? 0 : copy->target->ops->sync(copy->target);
}

/* The note of a piece that was taken up may be there, too. */
static bool has_note(const struct nw_quarantine *quarantine, const struct copy *copy)
{
    char name[NAME_LEN];
    uint64_t bytes;

    (void)snprintf(name, sizeof name, "%.80s.txt", copy->piece);
    return copy->was_begun && sync_whole(quarantine->folder, name, &bytes) >= 0 && bytes > 0;
}

static int make_piece(struct nw_quarantine *quarantine, const char *stem, struct copy *copy,
                      const char *what, const char *why)
{
    char ignored[NAME_LEN];
    int rc = begin_piece(quarantine, stem, copy);

    if (rc < 0)
        return rc;
    rc = copy_bytes(copy);
    if (rc >= 0 && !has_note(quarantine, copy))
        rc = write_note(quarantine, copy->piece, what, why, ignored);
    copy->target->ops->close(copy->target);
    if (rc < 0 && !copy->was_begun)
        take_back(quarantine, copy->piece);
    return rc < 0 ? rc : quarantine->folder->ops->sync(quarantine->folder);
}

static int copy_range(struct nw_quarantine *quarantine, const char *name,
                      struct nori_position position, uint64_t from, uint64_t to, const char *why,
                      struct nori_error *error)
{
    const struct nw_env *env = quarantine->env;
    struct copy copy = {.from = from};
    struct nori_file_info info = {0};
    char stem[NAME_LEN];
    char what[128];
    int rc = open_folder(quarantine, error);

    if (rc < 0)
        return rc;
    copy.buffer = nw_alloc(env->allocator, COPY_LEN);
    if (!copy.buffer)
        return nw_no_memory(error);
    rc = env->folder->ops->open_file(env->folder, name, 0, 0, &copy.source);
    if (rc >= 0)
        rc = copy.source->ops->stat(copy.source, &info);
    copy.to = nw_min_u64(to, info.bytes);
    (void)snprintf(stem, sizeof stem, "%s.%llu-%llu", name, (unsigned long long)from,
                   (unsigned long long)copy.to);
    (void)snprintf(what, sizeof what, "bytes %llu to %llu of %s", (unsigned long long)from,
                   (unsigned long long)copy.to, name);
    if (rc >= 0 && from < copy.to) {
        rc = make_piece(quarantine, stem, &copy, what, why);
        if (rc >= 0)
            quarantine->bytes += copy.to - from;
    }
    if (copy.source)
        copy.source->ops->close(copy.source);
    nw_free(env->allocator, copy.buffer);
    return rc < 0 ? report(quarantine, rc, position, what, error) : NORI_OK;
}

int nw_quarantine_copy(struct nw_quarantine *quarantine, const struct nw_link *link, uint64_t from,
                       uint64_t to, const char *why, struct nori_error *error)
{
    char name[NW_NAME_MAX];

    nw_link_name(link, name);
    return copy_range(quarantine, name, (struct nori_position){link->id, from}, from, to, why,
                      error);
}

int nw_quarantine_copy_file(struct nw_quarantine *quarantine, const char *name, const char *why,
                            struct nori_error *error)
{
    return copy_range(quarantine, name, NW_NOWHERE, 0, UINT64_MAX, why, error);
}

/* The first name that no piece has. */
static int find_name(struct nw_quarantine *quarantine, const char *stem, char name[NAME_LEN])
{
    for (unsigned n = 0; n < TRIES_MAX; n++) {
        struct nori_file *file = NULL;
        int rc;

        number_name(stem, n, name);
        rc = quarantine->folder->ops->open_file(quarantine->folder, name, 0, 0, &file);
        if (rc >= 0)
            file->ops->close(file);
        else if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND)
            return NORI_OK;
        else if (NORI_VFS_CODE(rc) != NORI_E_INVALID) /* not a file, but a name */
            return rc;
    }
    quarantine->is_name_used_up = true;
    return NORI_E_INVALID;
}

int nw_quarantine_move_file(struct nw_quarantine *quarantine, const char *name,
                            struct nori_position position, const char *why,
                            struct nori_error *error)
{
    struct nori_folder *folder = quarantine->env->folder;
    char piece[NAME_LEN];
    char note[NAME_LEN];
    char what[128];
    uint64_t bytes;
    int rc = sync_whole(folder, name, &bytes);

    if (rc < 0)
        return nw_io_error(error, rc, position, "set aside %s", name);
    rc = open_folder(quarantine, error);
    if (rc < 0)
        return rc;
    (void)snprintf(what, sizeof what, "%s, the whole file", name);
    rc = find_name(quarantine, name, piece);
    if (rc >= 0)
        rc = write_note(quarantine, piece, what, why, note);
    if (rc >= 0) {
        rc = folder->ops->move(folder, name, quarantine->folder, piece);
        if (rc < 0)
            take_back(quarantine, note);
    }
    if (rc >= 0)
        rc = quarantine->folder->ops->sync(quarantine->folder);
    if (rc >= 0)
        rc = folder->ops->sync(folder);
    if (rc < 0)
        return report(quarantine, rc, position, name, error);
    quarantine->bytes += bytes;
    return NORI_OK;
}

int nw_quarantine_move(struct nw_quarantine *quarantine, const struct nw_link *link,
                       const char *why, struct nori_error *error)
{
    char segment[NW_NAME_MAX];

    nw_link_name(link, segment);
    return nw_quarantine_move_file(quarantine, segment, (struct nori_position){link->id, 0}, why,
                                   error);
}

struct id_search {
    bool is_found;
    uint64_t id;
};

static int note_id(void *context, const char *name)
{
    struct id_search *search = context;
    char segment[NW_NAME_MAX];
    const char *end = strstr(name, ".wal");
    size_t len = end ? (size_t)(end - name) + 4 : 0;
    uint64_t id;

    if (len == 0 || len >= sizeof segment)
        return 0;
    memcpy(segment, name, len);
    segment[len] = '\0';
    if (!nw_name_parse(segment, &id))
        return 0;
    search->id = search->is_found ? nw_max_u64(search->id, id) : id;
    search->is_found = true;
    return 0;
}

int nw_quarantine_id_max(const struct nw_env *env, uint64_t *ret_id, struct nori_error *error)
{
    struct nori_folder *folder = NULL;
    struct id_search search = {false, 0};
    int rc = env->folder->ops->open_folder(env->folder, NW_NAME_QUARANTINE, 0, 0, &folder);

    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND || NORI_VFS_CODE(rc) == NORI_E_INVALID)
        return 0;
    if (rc >= 0) {
        rc = folder->ops->list(folder, note_id, &search);
        folder->ops->close(folder);
    }
    if (NORI_VFS_CODE(rc) == NORI_E_READONLY) /* made by another user's repair */
        return nw_io_error(error, rc, NW_NOWHERE,
                           "look into %s, whose segment ids are not used again (let this user read "
                           "and write that folder)",
                           NW_NAME_QUARANTINE);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "look into %s", NW_NAME_QUARANTINE);
    *ret_id = search.id;
    return search.is_found;
}
