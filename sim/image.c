/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * image.c: files mapped into memory.
 *
 * What. All mappings of a file share one image of it. What is written to the file is copied into
 * the image at once; what the program stores into the image is taken over into the file when
 * somebody looks: a read, a sync, a crash. Only images that were mapped for writing are looked at.
 * If a mapping longer than the image is asked for, a second image is made, and both are kept alike.
 *
 * Not here. Stores after a crash: nobody takes them over.
 */
#include "machine.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_LEN 4096u

static const uint8_t zeros[NW_SIM_SECTOR];

/* Copy what is in the file into a fresh image, which is all zeros. */
static void fill(struct nw_sim_image *image, const struct nw_sim_inode *inode)
{
    uint64_t sector_count = nw_min_u64(image->len, inode->bytes + NW_SIM_SECTOR - 1);

    sector_count /= NW_SIM_SECTOR;
    for (uint64_t sector = 0; sector < sector_count; sector++) {
        const struct nw_sim_block *block;

        if (sector % NW_SIM_PIECE_COUNT == 0 &&
            (sector / NW_SIM_PIECE_COUNT >= inode->piece_count ||
             !inode->pieces[sector / NW_SIM_PIECE_COUNT])) {
            sector += NW_SIM_PIECE_COUNT - 1; /* a whole piece of zeros */
            continue;
        }
        block = nw_sim_inode_block(inode, sector);
        if (!block)
            continue;
        nw_sim_copy_sector(image->bytes + sector * NW_SIM_SECTOR, block->bytes);
        image->filled_len = (size_t)((sector + 1) * NW_SIM_SECTOR);
    }
}

static struct nw_sim_image *image_new(struct nori_sim *sim, struct nw_sim_node *node, size_t len)
{
    struct nw_sim_image *image = nw_sim_alloc(sizeof *image);

    image->len =
        (size_t)((nw_max_u64(len, node->inode->bytes) + PAGE_LEN - 1) / PAGE_LEN) * PAGE_LEN;
    image->bytes = nw_sim_image_memory_new(sim->store, image->len);
    fill(image, node->inode);
    image->next = node->images;
    node->images = image;
    return image;
}

int nw_sim_image_map(struct nori_sim *sim, uint32_t number, size_t len, bool is_writable,
                     void **ret_data)
{
    struct nw_sim_node *node = &sim->nodes[number];
    struct nw_sim_image *image = node->images;

    if (len == 0 || (uint64_t)len > NW_SIM_FILE_BYTES_MAX)
        return nw_sim_error(EINVAL);
    nw_sim_image_absorb(sim, number);
    while (image && image->len < len)
        image = image->next;
    if (!image)
        image = image_new(sim, node, len);
    if (is_writable && !image->is_writable) {
        image->is_writable = true;
        sim->writable_image_count++;
    }
    image->map_count++;
    sim->image_count++;
    *ret_data = image->bytes;
    return 0;
}

static void image_free(struct nori_sim *sim, struct nw_sim_image *image)
{
    memset(image->bytes, 0, image->is_writable ? image->len : image->filled_len);
    nw_sim_image_memory_free(sim->store, image->bytes, image->len);
    sim->writable_image_count -= image->is_writable;
    free(image);
}

void nw_sim_image_unmap(struct nori_sim *sim, uint32_t number, const void *data)
{
    struct nw_sim_image **link = &sim->nodes[number].images;
    struct nw_sim_image *image;

    if (!sim->did_crash)
        nw_sim_image_absorb(sim, number);
    while (*link && (*link)->bytes != data)
        link = &(*link)->next;
    image = *link;
    if (!image)
        nw_sim_give_up(sim, "unmap of what is not mapped");
    sim->image_count--;
    if (--image->map_count > 0)
        return;
    *link = image->next;
    image_free(sim, image);
}

static void copy_into(struct nw_sim_image *image, const struct nw_sim_write *write)
{
    size_t len;

    if (write->len == 0 || write->offset >= image->len)
        return;
    len = (size_t)nw_min_u64(write->len, image->len - write->offset);
    memcpy(image->bytes + write->offset, write->data, len);
    if (image->filled_len < write->offset + len)
        image->filled_len = (size_t)write->offset + len;
}

void nw_sim_image_update(struct nori_sim *sim, uint32_t node, const struct nw_sim_write *write)
{
    for (struct nw_sim_image *image = sim->nodes[node].images; image; image = image->next)
        copy_into(image, write);
}

void nw_sim_image_clip(struct nori_sim *sim, uint32_t node, uint64_t bytes)
{
    for (struct nw_sim_image *image = sim->nodes[node].images; image; image = image->next)
        if (bytes < image->len)
            memset(image->bytes + bytes, 0, image->len - (size_t)bytes);
}

static void absorb(struct nori_sim *sim, uint32_t node, const struct nw_sim_image *image)
{
    const struct nw_sim_moment moment = {.stamp = ++sim->stamp,
                                         .versions_max = sim->options.mapped_versions_max};
    const struct nw_sim_inode *inode = sim->nodes[node].inode;
    uint64_t end = nw_min_u64(image->len, inode->bytes); /* a store behind the end is lost */

    for (uint64_t at = 0; at < end; at += NW_SIM_SECTOR) {
        const struct nw_sim_block *block =
            nw_sim_inode_block(sim->nodes[node].inode, at / NW_SIM_SECTOR);
        size_t len = (size_t)nw_min_u64(NW_SIM_SECTOR, end - at);
        const struct nw_sim_write write = {.offset = at, .data = image->bytes + at, .len = len};

        if (memcmp(image->bytes + at, block ? block->bytes : zeros, len) == 0)
            continue;
        nw_sim_inode_write(sim->store, nw_sim_node_own_inode(sim, node), &write, &moment);
        for (struct nw_sim_image *other = sim->nodes[node].images; other; other = other->next)
            if (other != image)
                copy_into(other, &write);
    }
}

void nw_sim_image_absorb(struct nori_sim *sim, uint32_t node)
{
    if (sim->did_crash)
        return;
    for (struct nw_sim_image *image = sim->nodes[node].images; image; image = image->next)
        if (image->is_writable)
            absorb(sim, node, image);
}

void nw_sim_image_absorb_all(struct nori_sim *sim)
{
    if (sim->writable_image_count == 0)
        return;
    for (uint32_t i = 0; i < sim->node_count; i++)
        nw_sim_image_absorb(sim, i);
}
