/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inode.c: what is in a simulated file, and what of it a power cut may leave.
 *
 * What. The pieces hold what a program reads. A sector whose medium differs from that, or might,
 * has an entry in dirty: its durable content and its unsynced versions, newest first. A file's
 * sizes are such a list too. Every change carries a stamp, the machine's count of changes, so that
 * a sync that takes time leaves out what came after its begin.
 *
 * Truncating needs no versions: it takes away what lies behind it and was written before it. So
 * each content remembers its stamp, and if a pending size survives, all older contents behind that
 * size are gone. That is why an inode is cut in this order: first the size, then the sectors.
 *
 * Not here. Names: names.c. Mappings: image.c.
 */
#include "inode.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[NW_SIM_SECTOR];

struct nw_sim_inode *nw_sim_inode_new(void)
{
    struct nw_sim_inode *inode = nw_sim_alloc(sizeof *inode);

    inode->refs = 1;
    return inode;
}

struct nw_sim_inode *nw_sim_inode_ref(struct nw_sim_inode *inode)
{
    inode->refs++;
    return inode;
}

static void clear_dirty(struct nw_sim_store *store, struct nw_sim_dirty *dirty)
{
    nw_sim_block_unref(store, dirty->durable);
    nw_sim_version_unref(store, dirty->newest);
}

void nw_sim_inode_unref(struct nw_sim_store *store, struct nw_sim_inode *inode)
{
    if (--inode->refs > 0)
        return;
    for (size_t i = 0; i < inode->piece_count; i++)
        nw_sim_piece_unref(store, inode->pieces[i]);
    for (size_t i = 0; i < inode->dirty_count; i++)
        clear_dirty(store, &inode->dirty[i]);
    free(inode->pieces);
    free(inode->sizes);
    free(inode->dirty);
    free(inode->dirty_index);
    free(inode);
}

/* A copy of what is read, marked durable. */
static struct nw_sim_inode *copy_contents(const struct nw_sim_inode *inode)
{
    struct nw_sim_inode *copy = nw_sim_inode_new();

    copy->bytes = inode->bytes;
    copy->is_in_place = inode->is_in_place;
    copy->durable_bytes = inode->bytes;
    copy->piece_count = inode->piece_count;
    if (inode->piece_count > 0)
        copy->pieces = nw_sim_realloc(NULL, inode->piece_count * sizeof *copy->pieces);
    for (size_t i = 0; i < inode->piece_count; i++) {
        copy->pieces[i] = inode->pieces[i];
        if (copy->pieces[i])
            copy->pieces[i]->refs++;
    }
    return copy;
}

static size_t index_place(const struct nw_sim_inode *inode, uint64_t sector)
{
    return (size_t)(nw_splitmix64(sector) & (inode->dirty_index_len - 1));
}

static void index_add(struct nw_sim_inode *inode, size_t place)
{
    size_t i = index_place(inode, inode->dirty[place].sector);

    while (inode->dirty_index[i] != 0)
        i = (i + 1) & (inode->dirty_index_len - 1);
    inode->dirty_index[i] = (uint32_t)(place + 1);
}

/* Build the index anew, at most half full. */
static void index_build(struct nw_sim_inode *inode)
{
    size_t len = inode->dirty_index_len ? inode->dirty_index_len : 16;

    while (len < inode->dirty_count * 2 + 2)
        len *= 2;
    if (len != inode->dirty_index_len) {
        free(inode->dirty_index);
        inode->dirty_index = nw_sim_alloc(len * sizeof *inode->dirty_index);
        inode->dirty_index_len = len;
    } else {
        memset(inode->dirty_index, 0, len * sizeof *inode->dirty_index);
    }
    for (size_t i = 0; i < inode->dirty_count; i++)
        index_add(inode, i);
}

struct nw_sim_inode *nw_sim_inode_own(struct nw_sim_inode *inode)
{
    struct nw_sim_inode *own;

    if (inode->refs == 1) {
        inode->has_clean_digest = false;
        return inode;
    }
    own = copy_contents(inode);
    own->durable_bytes = inode->durable_bytes;
    own->synced_stamp = inode->synced_stamp;
    if (inode->size_count > 0) {
        own->size_count = own->size_capacity = inode->size_count;
        own->sizes = nw_sim_realloc(NULL, inode->size_count * sizeof *own->sizes);
        memcpy(own->sizes, inode->sizes, inode->size_count * sizeof *own->sizes);
    }
    if (inode->dirty_count > 0) {
        own->dirty_count = own->dirty_capacity = inode->dirty_count;
        own->dirty = nw_sim_realloc(NULL, inode->dirty_count * sizeof *own->dirty);
        memcpy(own->dirty, inode->dirty, inode->dirty_count * sizeof *own->dirty);
        for (size_t i = 0; i < own->dirty_count; i++) {
            (void)nw_sim_block_ref(own->dirty[i].durable);
            (void)nw_sim_version_ref(own->dirty[i].newest);
        }
        index_build(own);
    }
    inode->refs--; /* not the last */
    return own;
}

struct nw_sim_block *nw_sim_inode_block(const struct nw_sim_inode *inode, uint64_t sector)
{
    uint64_t piece = sector / NW_SIM_PIECE_COUNT;

    if (piece >= inode->piece_count || !inode->pieces[piece])
        return NULL;
    return inode->pieces[piece]->blocks[sector % NW_SIM_PIECE_COUNT];
}

/* Let block be read there; takes over the reference. */
static void set_block(struct nw_sim_store *store, struct nw_sim_inode *inode, uint64_t sector,
                      struct nw_sim_block *block)
{
    size_t piece = (size_t)(sector / NW_SIM_PIECE_COUNT);
    struct nw_sim_block **place;

    if (piece >= inode->piece_count || !inode->pieces[piece]) {
        if (!block)
            return;
        if (piece >= inode->piece_count) {
            inode->pieces = nw_sim_realloc(inode->pieces, (piece + 1) * sizeof *inode->pieces);
            while (inode->piece_count <= piece)
                inode->pieces[inode->piece_count++] = NULL;
        }
        inode->pieces[piece] = nw_sim_piece_new(store);
    }
    inode->pieces[piece] = nw_sim_piece_own(store, inode->pieces[piece]);
    place = &inode->pieces[piece]->blocks[sector % NW_SIM_PIECE_COUNT];
    nw_sim_block_unref(store, *place);
    *place = block;
}

/* How many sectors from this one on, which has no block, have none; `end` is far enough. */
static uint64_t zeros_until(const struct nw_sim_inode *inode, uint64_t sector, uint64_t end)
{
    uint64_t at = sector + 1;

    while (at < end) {
        uint64_t piece = at / NW_SIM_PIECE_COUNT;

        if (piece >= inode->piece_count)
            return end - sector;
        if (!inode->pieces[piece])
            at = (piece + 1) * NW_SIM_PIECE_COUNT;
        else if (inode->pieces[piece]->blocks[at % NW_SIM_PIECE_COUNT])
            return at - sector;
        else
            at++;
    }
    return at - sector;
}

size_t nw_sim_inode_read(const struct nw_sim_inode *inode, uint64_t offset, void *target,
                         size_t len)
{
    uint8_t *at = target;
    size_t done = 0;

    if (offset >= inode->bytes)
        return 0;
    len = (size_t)nw_min_u64(len, inode->bytes - offset);
    while (done < len) {
        uint64_t sector = (offset + done) / NW_SIM_SECTOR;
        size_t skip = (size_t)((offset + done) % NW_SIM_SECTOR);
        const struct nw_sim_block *block = nw_sim_inode_block(inode, sector);
        size_t part = (size_t)nw_min_u64(NW_SIM_SECTOR - skip, len - done);

        if (block && part == NW_SIM_SECTOR) {
            nw_sim_copy_sector(at + done, block->bytes);
        } else if (block) {
            memcpy(at + done, block->bytes + skip, part);
        } else {
            uint64_t end = (offset + len + NW_SIM_SECTOR - 1) / NW_SIM_SECTOR;

            part = (size_t)nw_min_u64(zeros_until(inode, sector, end) * NW_SIM_SECTOR - skip,
                                      len - done);
            memset(at + done, 0, part);
        }
        done += part;
    }
    return len;
}

static struct nw_sim_dirty *find_dirty(const struct nw_sim_inode *inode, uint64_t sector)
{
    if (inode->dirty_count == 0)
        return NULL;
    for (size_t i = index_place(inode, sector);; i = (i + 1) & (inode->dirty_index_len - 1)) {
        uint32_t found = inode->dirty_index[i];

        if (found == 0)
            return NULL;
        if (inode->dirty[found - 1].sector == sector)
            return &inode->dirty[found - 1];
    }
}

/* The entry of a sector; a new one says that what is read now is durable. */
static struct nw_sim_dirty *make_dirty(struct nw_sim_inode *inode, uint64_t sector)
{
    struct nw_sim_dirty *dirty = find_dirty(inode, sector);

    if (dirty)
        return dirty;
    inode->dirty =
        nw_sim_grow(inode->dirty, inode->dirty_count, &inode->dirty_capacity, sizeof *dirty);
    dirty = &inode->dirty[inode->dirty_count++];
    memset(dirty, 0, sizeof *dirty);
    dirty->sector = sector;
    dirty->durable = nw_sim_block_ref(nw_sim_inode_block(inode, sector));
    if (inode->dirty_count * 2 > inode->dirty_index_len)
        index_build(inode);
    else
        index_add(inode, inode->dirty_count - 1);
    return dirty;
}

/* The newest count versions of a list, of which it takes over the reference. */
static struct nw_sim_version *keep_newest(struct nw_sim_store *store, struct nw_sim_version *newest,
                                          uint32_t count)
{
    struct nw_sim_version *kept = NULL;
    struct nw_sim_version **link = &kept;

    for (struct nw_sim_version *from = newest; from && count > 0; from = from->older, count--) {
        *link = nw_sim_version_new(store, nw_sim_block_ref(from->block), from->stamp, NULL);
        link = &(*link)->older;
    }
    nw_sim_version_unref(store, newest);
    return kept;
}

static void add_version(struct nw_sim_store *store, struct nw_sim_dirty *dirty,
                        struct nw_sim_block *block, const struct nw_sim_moment *moment)
{
    struct nw_sim_version *older = dirty->newest;

    /* A write of several pieces is one write. */
    if (older && older->stamp == moment->stamp && older->refs == 1) {
        nw_sim_block_unref(store, older->block);
        older->block = nw_sim_block_ref(block);
        return;
    }
    dirty->newest = nw_sim_version_new(store, nw_sim_block_ref(block), moment->stamp, older);
    dirty->version_count++;
    dirty->is_phantom = false;
    if (dirty->version_count > moment->versions_max) {
        dirty->version_count = moment->versions_max;
        dirty->newest = keep_newest(store, dirty->newest, dirty->version_count);
    }
}

static const uint8_t *bytes_of(const struct nw_sim_block *block)
{
    return block ? block->bytes : zeros;
}

/* The part of a write that lies in the sector where its done-th byte goes. */
struct part {
    uint64_t sector;
    size_t skip; /* bytes of the sector before it */
    size_t len;
    const uint8_t *data;
};

static struct part part_of(const struct nw_sim_write *write, size_t done)
{
    uint64_t offset = write->offset + done;
    size_t skip = (size_t)(offset % NW_SIM_SECTOR);

    return (struct part){.sector = offset / NW_SIM_SECTOR,
                         .skip = skip,
                         .len = (size_t)nw_min_u64(NW_SIM_SECTOR - skip, write->len - done),
                         .data = write->data + done};
}

static void write_sector(struct nw_sim_store *store, struct nw_sim_inode *inode,
                         const struct part *part, const struct nw_sim_moment *moment)
{
    struct nw_sim_block *current = nw_sim_inode_block(inode, part->sector);
    struct nw_sim_dirty *dirty = find_dirty(inode, part->sector);
    struct nw_sim_block *block = NULL;

    /* The same again changes nothing that a power cut could show, if it would be written back
     * anyway. */
    if (memcmp(bytes_of(current) + part->skip, part->data, part->len) == 0 &&
        (!dirty || dirty->newest))
        return;

    if (!dirty)
        dirty = make_dirty(inode, part->sector);
    if (part->len < NW_SIM_SECTOR || memcmp(part->data, zeros, NW_SIM_SECTOR) != 0) {
        block = nw_sim_block_new(store);
        if (part->len < NW_SIM_SECTOR)
            nw_sim_copy_sector(block->bytes, bytes_of(current));
        memcpy(block->bytes + part->skip, part->data, part->len);
    }
    add_version(store, dirty, block, moment);
    set_block(store, inode, part->sector, block);
}

/* A size may be forgotten if no content needs it: it cuts nothing, or the next one cuts as much. */
static bool is_needless(const struct nw_sim_size *size)
{
    return !size->is_cut || (size[1].is_cut && size[1].bytes <= size->bytes);
}

/* Note a size. Beyond the limit the oldest goes that may, but not the newest. */
static void add_size(struct nw_sim_inode *inode, uint64_t bytes, const struct nw_sim_moment *moment)
{
    size_t place = 0;

    if (inode->size_count > 0 && inode->sizes[inode->size_count - 1].stamp == moment->stamp) {
        inode->sizes[inode->size_count - 1].bytes = bytes; /* a write of several pieces is one */
        inode->bytes = bytes;
        return;
    }
    inode->sizes =
        nw_sim_grow(inode->sizes, inode->size_count, &inode->size_capacity, sizeof *inode->sizes);
    inode->sizes[inode->size_count++] = (struct nw_sim_size){
        .stamp = moment->stamp, .bytes = bytes, .is_cut = bytes < inode->bytes};
    inode->bytes = bytes;
    if (inode->size_count <= moment->versions_max)
        return;
    while (place + 1 < inode->size_count && !is_needless(&inode->sizes[place]))
        place++;
    if (place + 1 == inode->size_count)
        return;
    inode->size_count--;
    memmove(&inode->sizes[place], &inode->sizes[place + 1],
            (inode->size_count - place) * sizeof *inode->sizes);
}

void nw_sim_inode_write(struct nw_sim_store *store, struct nw_sim_inode *inode,
                        const struct nw_sim_write *write, const struct nw_sim_moment *moment)
{
    nw_assert(inode->refs == 1);
    nw_assert(write->offset <= NW_SIM_FILE_BYTES_MAX &&
              write->len <= NW_SIM_FILE_BYTES_MAX - write->offset);
    if (write->len > 0 && write->offset + write->len > inode->bytes)
        add_size(inode, write->offset + write->len, moment);
    for (size_t done = 0; done < write->len;) {
        struct part part = part_of(write, done);

        write_sector(store, inode, &part, moment);
        done += part.len;
    }
}

/* A reference to block with all from keep on zeroed. */
static struct nw_sim_block *shortened(struct nw_sim_store *store, struct nw_sim_block *block,
                                      size_t keep)
{
    struct nw_sim_block *copy;

    if (!block || keep == 0)
        return NULL;
    if (keep >= NW_SIM_SECTOR || memcmp(block->bytes + keep, zeros, NW_SIM_SECTOR - keep) == 0)
        return nw_sim_block_ref(block);
    copy = nw_sim_block_new(store);
    memcpy(copy->bytes, block->bytes, keep);
    memset(copy->bytes + keep, 0, NW_SIM_SECTOR - keep);
    return copy;
}

/* How much of a sector lies below an offset. */
static size_t part_below(uint64_t sector, uint64_t offset)
{
    uint64_t start = sector * NW_SIM_SECTOR;

    return offset <= start ? 0 : (size_t)nw_min_u64(NW_SIM_SECTOR, offset - start);
}

/* Let zeros be read from bytes on; noting, if may_return, that the medium may still have what was
 * there. */
static void clip(struct nw_sim_store *store, struct nw_sim_inode *inode, uint64_t bytes,
                 bool may_return)
{
    uint64_t first = bytes / NW_SIM_SECTOR;

    for (size_t piece = (size_t)(first / NW_SIM_PIECE_COUNT); piece < inode->piece_count; piece++) {
        if (!inode->pieces[piece])
            continue;
        for (uint64_t i = 0; i < NW_SIM_PIECE_COUNT; i++) {
            uint64_t sector = piece * NW_SIM_PIECE_COUNT + i;
            struct nw_sim_block *block = nw_sim_inode_block(inode, sector);

            if (sector < first || !block)
                continue;
            if (may_return)
                (void)make_dirty(inode, sector);
            set_block(store, inode, sector, shortened(store, block, part_below(sector, bytes)));
        }
    }
}

void nw_sim_inode_resize(struct nw_sim_store *store, struct nw_sim_inode *inode, uint64_t bytes,
                         const struct nw_sim_moment *moment)
{
    nw_assert(inode->refs == 1);
    nw_assert(bytes <= NW_SIM_FILE_BYTES_MAX);
    if (bytes == inode->bytes)
        return;
    if (bytes < inode->bytes)
        clip(store, inode, bytes, true);
    add_size(inode, bytes, moment);
}

/* A reference to what is left of a sector's version (NULL: its durable content) when the first
 * size_count of the pending sizes survive. */
static struct nw_sim_block *truncated(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                                      const struct nw_sim_dirty *dirty,
                                      const struct nw_sim_version *version, size_t size_count)
{
    struct nw_sim_block *block = version ? version->block : dirty->durable;
    uint64_t stamp = version ? version->stamp : 0;
    uint64_t bytes = UINT64_MAX;

    for (size_t i = 0; i < size_count; i++)
        if (inode->sizes[i].stamp > stamp)
            bytes = nw_min_u64(bytes, inode->sizes[i].bytes);
    return shortened(store, block, part_below(dirty->sector, bytes));
}

static bool same_content(const struct nw_sim_block *a, const struct nw_sim_block *b)
{
    return a == b || memcmp(bytes_of(a), bytes_of(b), NW_SIM_SECTOR) == 0;
}

/* A reference to what a sync begun then makes durable in a sector that is dirty now. size_count of
 * the sizes there are now become durable with it. */
static struct nw_sim_block *synced(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                                   const struct nw_sim_inode *then,
                                   const struct nw_sim_dirty *dirty, size_t size_count)
{
    const struct nw_sim_dirty *before = inode == then ? dirty : find_dirty(then, dirty->sector);

    if (!before)
        return nw_sim_block_ref(dirty->durable); /* dirty only since */
    if (before->newest)
        return nw_sim_block_ref(nw_sim_inode_block(then, dirty->sector));
    return truncated(store, inode, dirty, NULL, size_count); /* a phantom stays one */
}

/* Sync one sector; false if nothing of it is open any more. */
static bool sync_sector(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                        struct nw_sim_dirty *dirty, uint64_t stamp, struct nw_sim_block *content)
{
    const struct nw_sim_version *version = dirty->newest;
    uint32_t later = 0;

    while (version && version->stamp > stamp) {
        later++;
        version = version->older;
    }
    if (version) {
        dirty->newest = keep_newest(store, dirty->newest, later);
        dirty->version_count = later;
    }
    nw_sim_block_unref(store, dirty->durable);
    dirty->durable = content;
    return dirty->newest || !same_content(content, nw_sim_inode_block(inode, dirty->sector));
}

void nw_sim_inode_sync(struct nw_sim_store *store, struct nw_sim_inode *inode,
                       const struct nw_sim_inode *then, uint64_t stamp)
{
    size_t size_count = 0;
    size_t kept = 0;

    nw_assert(inode->refs == 1);
    if (stamp < inode->synced_stamp)
        return; /* a later sync has overtaken this one */
    inode->synced_stamp = stamp;
    while (size_count < inode->size_count && inode->sizes[size_count].stamp <= stamp)
        size_count++;
    for (size_t i = 0; i < inode->dirty_count; i++) {
        struct nw_sim_dirty *dirty = &inode->dirty[i];
        struct nw_sim_block *content = synced(store, inode, then, dirty, size_count);

        if (sync_sector(store, inode, dirty, stamp, content))
            inode->dirty[kept++] = *dirty;
        else
            clear_dirty(store, dirty);
    }
    if (size_count > 0) {
        inode->size_count -= size_count;
        memmove(inode->sizes, inode->sizes + size_count, inode->size_count * sizeof *inode->sizes);
    }
    inode->durable_bytes = then->bytes;
    if (kept != inode->dirty_count) {
        inode->dirty_count = kept;
        index_build(inode);
    }
}

void nw_sim_inode_drop_write(struct nw_sim_store *store, struct nw_sim_inode *inode,
                             uint64_t offset, uint64_t len)
{
    nw_assert(inode->refs == 1);
    for (size_t i = 0; i < inode->dirty_count; i++) {
        struct nw_sim_dirty *dirty = &inode->dirty[i];

        if (!dirty->newest || (dirty->sector + 1) * NW_SIM_SECTOR <= offset ||
            dirty->sector * NW_SIM_SECTOR >= offset + len)
            continue;
        nw_sim_version_unref(store, dirty->newest);
        dirty->newest = NULL;
        dirty->version_count = 0;
        dirty->is_phantom = true;
    }
}

void nw_sim_inode_drop_dirty(struct nw_sim_store *store, struct nw_sim_inode *inode)
{
    nw_sim_inode_drop_write(store, inode, 0, NW_SIM_FILE_BYTES_MAX);
}

/* Let the medium have what is read, whatever was pending. */
static void settle(struct nw_sim_store *store, struct nw_sim_inode *inode,
                   struct nw_sim_dirty *dirty)
{
    clear_dirty(store, dirty);
    dirty->durable = nw_sim_block_ref(nw_sim_inode_block(inode, dirty->sector));
    dirty->newest = NULL;
    dirty->version_count = 0;
    dirty->is_phantom = false;
}

void nw_sim_inode_resize_durably(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                 uint64_t bytes)
{
    nw_assert(inode->refs == 1);
    clip(store, inode, bytes, false);
    inode->bytes = inode->durable_bytes = bytes;
    inode->size_count = 0;
    for (size_t i = 0; i < inode->dirty_count; i++)
        if (part_below(inode->dirty[i].sector, bytes) < NW_SIM_SECTOR)
            settle(store, inode, &inode->dirty[i]);
}

void nw_sim_inode_poke(struct nw_sim_store *store, struct nw_sim_inode *inode,
                       const struct nw_sim_write *write)
{
    if (write->len > 0 && write->offset + write->len > inode->bytes)
        nw_sim_inode_resize_durably(store, inode, write->offset + write->len);
    for (size_t done = 0; done < write->len;) {
        struct part part = part_of(write, done);
        struct nw_sim_block *block = nw_sim_block_new(store);
        struct nw_sim_dirty *dirty = find_dirty(inode, part.sector);

        nw_sim_copy_sector(block->bytes, bytes_of(nw_sim_inode_block(inode, part.sector)));
        memcpy(block->bytes + part.skip, part.data, part.len);
        set_block(store, inode, part.sector, block);
        if (dirty)
            settle(store, inode, dirty);
        done += part.len;
    }
}

bool nw_sim_inode_is_dirty(const struct nw_sim_inode *inode)
{
    return inode->dirty_count > 0 || inode->size_count > 0;
}

uint64_t nw_sim_inode_written_sectors(const struct nw_sim_inode *inode, uint64_t offset,
                                      uint64_t len)
{
    uint64_t count = 0;

    if (len == 0)
        return 0;
    for (uint64_t i = offset / NW_SIM_SECTOR; i <= (offset + len - 1) / NW_SIM_SECTOR; i++)
        count += nw_sim_inode_block(inode, i) != NULL;
    return count;
}

size_t nw_sim_inode_atom_count(const struct nw_sim_inode *inode)
{
    size_t count = inode->size_count > 0 ? 1 : 0;

    for (size_t i = 0; i < inode->dirty_count; i++)
        count += inode->dirty[i].newest != NULL;
    return count;
}

void nw_sim_inode_atoms(const struct nw_sim_inode *inode, struct nw_sim_atom *ret_atoms)
{
    size_t count = 0;

    if (inode->size_count > 0)
        ret_atoms[count++] =
            (struct nw_sim_atom){.is_size = true, .ways = (uint32_t)inode->size_count + 1};
    for (size_t i = 0; i < inode->dirty_count; i++)
        if (inode->dirty[i].newest)
            ret_atoms[count++] = (struct nw_sim_atom){.sector = inode->dirty[i].sector,
                                                      .ways = inode->dirty[i].version_count + 1};
}

/* A reference to one way of a sector: 0 is durable, then from the oldest version to the newest. */
static struct nw_sim_block *way_of(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                                   const struct nw_sim_dirty *dirty, uint32_t way,
                                   size_t size_count)
{
    const struct nw_sim_version *version = dirty->newest;

    nw_assert(way <= dirty->version_count);
    if (way == 0)
        return truncated(store, inode, dirty, NULL, size_count);
    for (uint32_t i = dirty->version_count; i > way; i--)
        version = version->older;
    return truncated(store, inode, dirty, version, size_count);
}

/* A reference to what is left of a sector. Now and then its end is that of another of its ways. */
static struct nw_sim_block *cut_sector(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                                       const struct nw_sim_dirty *dirty,
                                       struct nw_sim_chooser *chooser, size_t size_count)
{
    struct nw_sim_block *content, *other, *torn;
    uint32_t ways = dirty->version_count + 1;
    size_t split;

    if (!dirty->newest)
        return way_of(store, inode, dirty, 0, size_count);
    content = way_of(store, inode, dirty, chooser->choose(chooser, ways), size_count);
    if (!chooser->may_tear || nw_sim_random(&chooser->random_state) % 4 != 0)
        return content;

    split = (size_t)(nw_sim_random(&chooser->random_state) % NW_SIM_SECTOR);
    other = way_of(store, inode, dirty, (uint32_t)(nw_sim_random(&chooser->random_state) % ways),
                   size_count);
    torn = nw_sim_block_new(store);
    memcpy(torn->bytes, bytes_of(content), split);
    memcpy(torn->bytes + split, bytes_of(other) + split, NW_SIM_SECTOR - split);
    nw_sim_block_unref(store, content);
    nw_sim_block_unref(store, other);
    return torn;
}

/* Let the chooser say which size is left. Returns how many of the pending sizes survive. */
static size_t cut_size(const struct nw_sim_inode *inode, struct nw_sim_chooser *chooser,
                       uint64_t *ret_bytes)
{
    size_t size_count = 0;

    if (inode->size_count > 0)
        size_count = chooser->choose(chooser, (uint32_t)inode->size_count + 1);
    *ret_bytes = size_count > 0 ? inode->sizes[size_count - 1].bytes : inode->durable_bytes;
    return size_count;
}

struct nw_sim_inode *nw_sim_inode_cut(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                      struct nw_sim_chooser *chooser)
{
    struct nw_sim_inode *left;
    size_t size_count; /* that survive */

    if (!nw_sim_inode_is_dirty(inode))
        return nw_sim_inode_ref(inode);
    left = copy_contents(inode);
    size_count = cut_size(inode, chooser, &left->bytes);
    left->durable_bytes = left->bytes;
    for (size_t i = 0; i < inode->dirty_count; i++)
        set_block(store, left, inode->dirty[i].sector,
                  cut_sector(store, inode, &inode->dirty[i], chooser, size_count));
    if (inode->size_count > 0)
        clip(store, left, left->bytes, false); /* data without its size is lost */
    return left;
}

/* ---- digests ---- */

static uint64_t digest_of_block(struct nw_sim_block *block, uint64_t sector)
{
    uint64_t hash = block ? nw_sim_block_hash(block) : 0;

    return hash ? nw_sim_mix(hash, sector) : 0; /* zeros are the same as nothing */
}

/* The digest of the sectors that are not dirty, as far as a size leaves them. */
static uint64_t clean_digest(struct nw_sim_store *store, const struct nw_sim_inode *inode,
                             uint64_t bytes, uint64_t *ret_end)
{
    uint64_t digest = 0;

    *ret_end = 0;
    for (size_t piece = 0; piece < inode->piece_count; piece++) {
        for (uint64_t i = 0; inode->pieces[piece] && i < NW_SIM_PIECE_COUNT; i++) {
            uint64_t sector = piece * NW_SIM_PIECE_COUNT + i;
            struct nw_sim_block *block = inode->pieces[piece]->blocks[i];

            if (!block || find_dirty(inode, sector))
                continue;
            block = shortened(store, block, part_below(sector, bytes));
            digest += digest_of_block(block, sector);
            nw_sim_block_unref(store, block);
            *ret_end = (sector + 1) * NW_SIM_SECTOR;
        }
    }
    return digest;
}

static void note_clean(struct nw_sim_store *store, struct nw_sim_inode *inode)
{
    if (inode->has_clean_digest)
        return;
    inode->clean_digest = clean_digest(store, inode, UINT64_MAX, &inode->clean_end);
    inode->has_clean_digest = true;
}

uint64_t nw_sim_inode_digest(struct nw_sim_store *store, struct nw_sim_inode *inode)
{
    uint64_t digest = nw_sim_mix(0, inode->bytes);

    note_clean(store, inode);
    for (size_t i = 0; i < inode->dirty_count; i++) {
        uint64_t sector = inode->dirty[i].sector;

        digest += digest_of_block(nw_sim_inode_block(inode, sector), sector);
    }
    return digest + inode->clean_digest;
}

uint64_t nw_sim_inode_cut_digest(struct nw_sim_store *store, struct nw_sim_inode *inode,
                                 struct nw_sim_chooser *chooser)
{
    uint64_t bytes, digest, end;
    size_t size_count; /* that survive */

    if (!nw_sim_inode_is_dirty(inode))
        return nw_sim_inode_digest(store, inode);
    note_clean(store, inode);
    size_count = cut_size(inode, chooser, &bytes);
    digest = nw_sim_mix(0, bytes);
    if (inode->size_count > 0 && inode->clean_end > bytes)
        digest += clean_digest(store, inode, bytes, &end);
    else
        digest += inode->clean_digest;
    for (size_t i = 0; i < inode->dirty_count; i++) {
        const struct nw_sim_dirty *dirty = &inode->dirty[i];
        struct nw_sim_block *content = cut_sector(store, inode, dirty, chooser, size_count);
        struct nw_sim_block *clipped = content;

        if (inode->size_count > 0) {
            clipped = shortened(store, content, part_below(dirty->sector, bytes));
            nw_sim_block_unref(store, content);
        }
        digest += digest_of_block(clipped, dirty->sector);
        nw_sim_block_unref(store, clipped);
    }
    return digest;
}
