/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* folder.c: a log's folder on a simulated machine, as an input describes it, and back. */
#include "folder.h"
#include "seal.h"

#include "format/control_record.h"
#include "format/names.h"
#include "wal/control.h"

#include <stdlib.h>
#include <string.h>

#define ZEROS_UNIT ((uint64_t)64)
#define ZEROS_MAX  ((uint64_t)64) /* units: looking through zeros is slow and finds nothing */

static const struct {
    const char *path;
    uint64_t id; /* of a segment */
} names[] = {
    {FOLDER_DIR "/000000.wal", 0},
    {FOLDER_DIR "/000001.wal", 1},
    {FOLDER_DIR "/000002.wal", 2},
    {FOLDER_DIR "/000003.wal", 3},
    {FOLDER_DIR "/000004.wal", 4},
    {FOLDER_DIR "/000005.wal", 5},
    {FOLDER_DIR "/000006.wal", 6},
    {FOLDER_DIR "/000007.wal", 7},
    {FOLDER_DIR "/000011.wal", 11},
    {FOLDER_DIR "/18446744073709551614.wal", UINT64_MAX - 1},
    {FOLDER_DIR "/spare", 12},
    {FOLDER_DIR "/control", 0},
    {FOLDER_DIR "/quarantine/000000.wal.128-200", 0},
    {FOLDER_DIR "/quarantine/000001.wal", 0},
    {FOLDER_DIR "/7.wal", 7},
    {FOLDER_DIR "/notes.txt", 0},
};
#define NAMES        (sizeof names / sizeof names[0])
#define NAME_CONTROL 11u

size_t folder_names(void)
{
    return NAMES;
}

const char *folder_path(size_t name)
{
    return names[name].path;
}

/* What one file of the input leads to. */
struct part {
    size_t name;
    uint64_t fix;
    uint64_t spared;
    uint64_t zeros;
    uint8_t bytes[FOLDER_FILE_MAX];
    size_t len;
};

/* The segment described last. */
struct before {
    bool is_there;
    uint64_t id, salt, start, end, log_id;
};

/* ---- segments ---- */

static void fix_link(struct part *part, const struct before *before)
{
    uint8_t *header = part->bytes;

    nw_put_u64(header + 24, names[part->name].id);
    if (!before->is_there)
        return;
    nw_put_u64(header + 40, before->log_id);
    nw_put_u64(header + 64, before->start + nw_get_u64(header + 96));
    nw_put_u64(header + 72, before->salt);
    nw_put_u64(header + 88, before->id);
}

/* A mark of a key and 40 bytes: those that say where it lies. */
static void fix_mark(uint8_t *record, size_t len, const uint8_t *header)
{
    if (len != NW_MARK_LEN || record[0] != 1 || record[2] != NW_FLAG_CONTROL || record[3] != 1)
        return;
    memcpy(record + 4, header + 48, 8);
    memcpy(record + 12, header + 40, 8);
}

static void fix_records(struct part *part, size_t at, const uint8_t *header)
{
    struct nw_record_place place = {header ? 2 : 1, header ? nw_get_u64(header + 48) : 0, at};

    for (uint64_t number = 0; at < part->len; number++) {
        uint8_t *record = part->bytes + at;
        size_t len = seal_record_len(record, part->len - at, place.format);

        if (len == 0)
            break;
        place.offset = at;
        if (header && part->fix & FOLDER_FIX_RECORDS && part->fix & FOLDER_FIX_MARKS)
            fix_mark(record, len, header);
        if (number != part->spared && part->fix & FOLDER_FIX_RECORDS)
            (void)seal_record(record, len, &place);
        at += len;
    }
}

static void fix_segment(struct part *part, struct before *before)
{
    uint8_t *header = seal_has_header(part->bytes, part->len) ? part->bytes : NULL;
    size_t begin = header ? nw_get_u16(header + 10) : 0;

    if (header && part->fix & FOLDER_FIX_LINK)
        fix_link(part, before);
    if (header && part->fix & FOLDER_FIX_HEADER)
        seal_header(header, part->len);
    if (!header || begin >= SEAL_HEADER_LEN)
        fix_records(part, begin, header);
    *before = (struct before){.is_there = header != NULL, .id = names[part->name].id};
    if (header) {
        before->salt = nw_get_u64(header + 48);
        before->start = nw_get_u64(header + 64);
        before->log_id = nw_get_u64(header + 40);
    }
}

/* ---- control ---- */

/* The ring's records, from the written LSN on, in the segment described last or in one whose header
 * is among them. */
static void fix_ring(struct part *part, uint64_t written, struct before before)
{
    for (size_t at = FOLDER_WORDS_LEN; at < part->len;) {
        uint8_t *bytes = part->bytes + at;
        uint64_t lsn = written + (at - FOLDER_WORDS_LEN);
        struct nw_record_place place = {2, before.salt, lsn - before.start};
        size_t len = SEAL_HEADER_LEN;

        if (seal_has_header(bytes, part->len - at)) {
            seal_header(bytes, part->len - at);
            before.salt = nw_get_u64(bytes + 48);
            before.start = lsn;
        } else {
            len = seal_record(bytes, part->len - at, &place);
        }
        if (len == 0)
            break;
        at += len;
    }
}

static void put_control(nori_sim *sim, struct part *part, const struct before *before)
{
    static const uint8_t zeros[FOLDER_RING_LEN];
    struct nw_control_words words;
    const char *path = names[NAME_CONTROL].path;
    uint8_t *page = part->bytes;
    uint64_t ring_len, written;

    memset(page + part->len, 0, part->len < FOLDER_WORDS_LEN ? FOLDER_WORDS_LEN - part->len : 0);
    memset(&words, 0, sizeof words);
    memcpy(&words, page, FOLDER_WORDS_LEN);
    ring_len = words.ring_len;
    written = atomic_load(&words.written);
    if (part->fix & FOLDER_FIX_RECORDS)
        fix_ring(part, written, *before);
    (void)nori_sim_file_poke(sim, path, FOLDER_RING_AT, zeros, sizeof zeros);
    if (part->fix & FOLDER_FIX_PLACE) {
        const struct nori_vfs *vfs = nori_sim_vfs(sim);
        struct nori_file_info info = {0};
        struct nori_folder *folder;
        struct nori_file *file = NULL;

        if (vfs->open_folder(vfs->context, FOLDER_DIR, 0, 0, &folder) < 0 ||
            folder->ops->open_file(folder, NW_NAME_CONTROL, 0, 0, &file) < 0)
            abort(); /* it was made just now */
        (void)file->ops->stat(file, &info);
        file->ops->close(file);
        folder->ops->close(folder);
        words.identity = info.identity;
        words.birth_ns = info.birth_ns;
        atomic_store(&words.durable_check, nw_control_check(atomic_load(&words.durable),
                                                            atomic_load(&words.durable_salt)));
    }
    (void)nori_sim_file_poke(sim, path, 0, &words, FOLDER_WORDS_LEN);
    for (size_t at = FOLDER_WORDS_LEN; at < part->len && ring_len <= FOLDER_RING_LEN; at++)
        (void)nori_sim_file_poke(
            sim, path, FOLDER_RING_AT + (written + at - FOLDER_WORDS_LEN) % FOLDER_RING_LEN,
            part->bytes + at, 1);
}

/* ---- all of it ---- */

static void make_folder(nori_sim *sim, const char *path)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder;

    fuzz_check(vfs->open_folder(vfs->context, path, NORI_FOLDER_CREATE, 0700, &folder) >= 0,
               "the folder %s cannot be made", path);
    folder->ops->close(folder);
}

static void put_part(nori_sim *sim, struct part *part, struct before *before)
{
    const char *path = names[part->name].path;

    if (part->name == NAME_CONTROL) {
        put_control(sim, part, before);
        return;
    }
    if (strstr(path, "/quarantine/"))
        make_folder(sim, FOLDER_DIR "/quarantine");
    else
        fix_segment(part, before);
    (void)nori_sim_file_poke(sim, path, 0, part->bytes, part->len);
    (void)nori_sim_file_resize(sim, path, part->len + part->zeros * ZEROS_UNIT);
}

nori_sim *folder_new(struct fuzz_input *input, bool *ret_is_forged)
{
    static struct part part;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(&options);
    struct before before = {0};

    *ret_is_forged = false;
    make_folder(sim, FOLDER_DIR);
    for (size_t i = 0; i < FOLDER_FILES_MAX && input->left > 0; i++) {
        const uint8_t *bytes;

        part.name = fuzz_number(input, 1) % NAMES;
        part.fix = fuzz_number(input, 1);
        *ret_is_forged = *ret_is_forged || (part.fix & ~FOLDER_FIX_PLACE) != 0;
        part.spared = fuzz_number(input, 1);
        part.len = (size_t)fuzz_number(input, 2);
        part.zeros = fuzz_number(input, 2) % (ZEROS_MAX + 1);
        bytes = fuzz_take(input, part.len, &part.len);
        if (part.len > 0)
            memcpy(part.bytes, bytes, part.len);
        put_part(sim, &part, &before);
    }
    nori_sim_sync_all(sim);
    return sim;
}

/* ---- and back ---- */

static size_t load_part(nori_sim *sim, size_t name, uint8_t *bytes, uint64_t *ret_zeros)
{
    static uint8_t control[FOLDER_RING_AT + FOLDER_RING_LEN];
    uint64_t file_bytes = 0;
    size_t len = 0;

    (void)nori_sim_file_bytes(sim, names[name].path, &file_bytes);
    if (name == NAME_CONTROL) {
        const struct nw_control_words *words = (const void *)control;
        uint64_t written;

        (void)nori_sim_file_read(sim, names[name].path, 0, control, sizeof control, &len);
        written = atomic_load(&words->written);
        memcpy(bytes, control, FOLDER_WORDS_LEN);
        len = (size_t)nw_min_u64(atomic_load(&words->published) - written, FOLDER_RING_LEN);
        for (size_t i = 0; i < len; i++)
            bytes[FOLDER_WORDS_LEN + i] = control[FOLDER_RING_AT + (written + i) % FOLDER_RING_LEN];
        *ret_zeros = 0;
        return FOLDER_WORDS_LEN + len;
    }
    (void)nori_sim_file_read(sim, names[name].path, 0, bytes, FOLDER_FILE_MAX - 1, &len);
    len = nw_nonzero_len(bytes, len);
    *ret_zeros = (file_bytes - len) / ZEROS_UNIT;
    return len;
}

size_t folder_describe(nori_sim *sim, uint8_t fix, uint8_t *target, size_t room)
{
    static uint8_t bytes[FOLDER_FILE_MAX];
    size_t used = 0;

    for (size_t name = 0; name < NAMES; name++) {
        uint8_t *head = target + used;
        uint64_t zeros, file_bytes;
        size_t len;

        if (nori_sim_file_bytes(sim, names[name].path, &file_bytes) < 0)
            continue;
        len = load_part(sim, name, bytes, &zeros);
        fuzz_check(used + 7 + len <= room, "the folder is too large for a seed");
        head[0] = (uint8_t)name;
        head[1] = name == NAME_CONTROL ? fix | FOLDER_FIX_PLACE : fix;
        head[2] = UINT8_MAX;
        nw_put_u16(head + 3, (uint16_t)len);
        nw_put_u16(head + 5, (uint16_t)nw_min_u64(zeros, ZEROS_MAX));
        memcpy(head + 7, bytes, len);
        used += 7 + len;
    }
    return used;
}
