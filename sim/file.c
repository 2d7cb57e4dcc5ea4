/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * file.c: a handle of a simulated file: the file operations of nori/vfs.h.
 *
 * What. Each operation begins as all calls do (machine.c), checks what a kernel would check, and
 * works on the inode.
 *
 * Threads. The places where another thread may run are the beginning and the end, and the time that
 * a sync takes.
 *
 * Failure. A write that fails or is hit by a crash may have done a part, if the options say so; a
 * sync that fails may leave phantoms.
 */
#include "fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_file {
    struct nori_file base;
    struct nori_sim *sim;
    uint32_t node;
    bool is_writable;
    uint32_t lock_kind;
    char name[NW_SIM_NAME_LEN]; /* when it was opened; for the trace */
};

static struct sim_file *from_base(struct nori_file *file)
{
    return (struct sim_file *)file; /* the base is its first member */
}

static struct nw_sim_moment next_moment(struct nori_sim *sim)
{
    return (struct nw_sim_moment){.stamp = ++sim->stamp, .versions_max = sim->options.versions_max};
}

static int read_now(struct sim_file *file, void *target, size_t len, uint64_t offset,
                    size_t *ret_len)
{
    struct nori_sim *sim = file->sim;
    int rc = nw_sim_begin_call(sim, NORI_SIM_READ);

    if (rc < 0 && !sim->must_do_part)
        return rc;
    nw_sim_image_absorb(sim, file->node);
    if (rc < 0) { /* some bytes are in the buffer, and nobody is told how many */
        (void)nw_sim_inode_read(sim->nodes[file->node].inode, offset, target,
                                (size_t)nw_sim_choice(sim, len + 1));
        return rc;
    }
    *ret_len = nw_sim_inode_read(sim->nodes[file->node].inode, offset, target, len);
    return 0;
}

static int file_read(struct nori_file *base, void *target, size_t len, uint64_t offset,
                     size_t *ret_len)
{
    struct sim_file *file = from_base(base);
    int rc = read_now(file, target, len, offset, ret_len);

    return nw_sim_end_call(file->sim, rc, "read %s %llu+%zu", file->name,
                           (unsigned long long)offset, len);
}

/* The sum of all lengths; UINT64_MAX if there is no number for the place behind them. */
static uint64_t total_of(const struct nori_span *spans, size_t count, uint64_t offset)
{
    uint64_t total = 0, end;

    for (size_t i = 0; i < count; i++)
        if (nw_add_overflow(total, spans[i].len, &total))
            return UINT64_MAX;
    return nw_add_overflow(offset, total, &end) ? UINT64_MAX : total;
}

/* Write the first len bytes of the spans. */
static void write_part(struct sim_file *file, const struct nori_span *spans, uint64_t offset,
                       uint64_t len)
{
    struct nori_sim *sim = file->sim;
    struct nw_sim_moment moment = next_moment(sim);
    struct nw_sim_inode *inode = nw_sim_node_own_inode(sim, file->node);

    for (; len > 0; spans++) {
        struct nw_sim_write write = {
            .offset = offset, .data = spans->data, .len = (size_t)nw_min_u64(spans->len, len)};

        nw_sim_inode_write(sim->store, inode, &write, &moment);
        nw_sim_image_update(sim, file->node, &write);
        offset += write.len;
        len -= write.len;
    }
}

/* Room for what a write makes the file grow, and on copy-on-write file systems for what it
 * overwrites. */
static bool has_room(struct sim_file *file, uint64_t offset, uint64_t len)
{
    struct nori_sim *sim = file->sim;
    const struct nw_sim_inode *inode = sim->nodes[file->node].inode;
    uint64_t copied = nw_sim_inode_written_sectors(inode, offset, len) * NW_SIM_SECTOR;

    if ((sim->options.flags & NORI_SIM_COPY_ON_WRITE) && sim->options.capacity_bytes > 0 &&
        !inode->is_in_place && sim->used_bytes + copied > sim->options.capacity_bytes)
        return false;
    return nw_sim_node_charge(sim, file->node, nw_max_u64(inode->bytes, offset + len));
}

/* Where a misdirected write goes: within the file, as many whole sectors away as the seed says. */
static uint64_t misdirected(struct sim_file *file, uint64_t offset, uint64_t len)
{
    struct nori_sim *sim = file->sim;
    uint64_t bytes = nw_max_u64(sim->nodes[file->node].inode->bytes, offset + len);
    uint64_t first = offset % NW_SIM_SECTOR;
    uint64_t places = (bytes - len - first) / NW_SIM_SECTOR + 1;
    uint64_t place = (offset - first) / NW_SIM_SECTOR;

    if (places > 1)
        place = (place + 1 + nw_sim_choice(sim, places - 1)) % places;
    return first + place * NW_SIM_SECTOR;
}

/* A write that the medium never gets, or elsewhere (must_lie). */
static void write_as_a_liar(struct sim_file *file, const struct nori_span *spans, uint64_t offset,
                            uint64_t len)
{
    struct nori_sim *sim = file->sim;

    if (sim->options.flags & NORI_SIM_FAIL_MISDIRECTED) {
        write_part(file, spans, misdirected(file, offset, len), len);
    } else {
        write_part(file, spans, offset, len);
        nw_sim_inode_drop_write(sim->store, nw_sim_node_own_inode(sim, file->node), offset, len);
    }
}

static int write_now(struct sim_file *file, const struct nori_span *spans, size_t count,
                     uint64_t offset)
{
    struct nori_sim *sim = file->sim;
    uint64_t len = total_of(spans, count, offset);
    uint64_t part;
    bool must_lie;
    int rc;

    rc = nw_sim_begin_call(sim, NORI_SIM_WRITE);
    must_lie = sim->must_lie;
    if (!file->is_writable)
        return nw_sim_error(EBADF);
    if (len > NW_SIM_FILE_BYTES_MAX || (len > 0 && offset > NW_SIM_FILE_BYTES_MAX - len))
        return nw_sim_error(EFBIG);
    if (len == 0)
        return rc;
    nw_sim_image_absorb(sim, file->node);
    if (rc == 0 && !has_room(file, offset, len)) {
        rc = nw_sim_error(ENOSPC);
        sim->must_do_part = sim->options.flags & NORI_SIM_FAIL_PARTLY;
    }
    if (rc == 0)
        rc = nw_sim_begin_operation(sim);
    if (rc == 0 && must_lie) {
        write_as_a_liar(file, spans, offset, len);
    } else if (rc == 0) {
        write_part(file, spans, offset, len);
    } else if (sim->must_do_part) {
        part = nw_sim_choice(sim, len + 1);
        if (has_room(file, offset, part))
            write_part(file, spans, offset, part);
    }
    return rc;
}

static int file_write(struct nori_file *base, const struct nori_span *spans, size_t count,
                      uint64_t offset)
{
    struct sim_file *file = from_base(base);
    int rc = write_now(file, spans, count, offset);

    return nw_sim_end_call(file->sim, rc, "write %s %llu+%llu", file->name,
                           (unsigned long long)offset,
                           (unsigned long long)total_of(spans, count, offset));
}

static int sync_now(struct sim_file *file)
{
    struct nori_sim *sim = file->sim;
    struct nw_sim_inode *inode;
    uint64_t stamp;
    int rc = nw_sim_begin_call(sim, NORI_SIM_SYNC);

    if (rc < 0) {
        if (!sim->did_crash && (sim->options.flags & NORI_SIM_FAIL_PHANTOM)) {
            nw_sim_image_absorb(sim, file->node);
            nw_sim_inode_drop_dirty(sim->store, nw_sim_node_own_inode(sim, file->node));
        }
        return rc;
    }
    rc = nw_sim_begin_operation(sim);
    if (rc < 0 || (sim->options.flags & NORI_SIM_LYING_SYNC))
        return rc;
    nw_sim_image_absorb(sim, file->node);
    stamp = sim->stamp; /* what comes while we wait is not part of it */
    inode = nw_sim_inode_ref(sim->nodes[file->node].inode);
    if (sim->options.sync_latency_ns > 0) {
        nori_sim_sleep(sim, sim->options.sync_latency_ns);
        if (sim->did_crash)
            rc = nw_sim_error(EIO);
    }
    if (rc == 0 && nw_sim_inode_is_dirty(inode))
        nw_sim_inode_sync(sim->store, nw_sim_node_own_inode(sim, file->node), inode, stamp);
    nw_sim_inode_unref(sim->store, inode);
    return rc;
}

static int file_sync(struct nori_file *base)
{
    struct sim_file *file = from_base(base);

    return nw_sim_end_call(file->sim, sync_now(file), "sync %s", file->name);
}

static void resize(struct sim_file *file, uint64_t bytes)
{
    struct nori_sim *sim = file->sim;
    struct nw_sim_moment moment = next_moment(sim);

    nw_sim_inode_resize(sim->store, nw_sim_node_own_inode(sim, file->node), bytes, &moment);
    nw_sim_image_clip(sim, file->node, bytes);
}

static int resize_now(struct sim_file *file, uint32_t kind, uint64_t bytes)
{
    struct nori_sim *sim = file->sim;
    int rc = nw_sim_begin_call(sim, kind);

    if (rc < 0)
        return rc;
    if (!file->is_writable)
        return nw_sim_error(EBADF);
    if (bytes > NW_SIM_FILE_BYTES_MAX)
        return nw_sim_error(EFBIG);
    nw_sim_image_absorb(sim, file->node);
    if (kind == NORI_SIM_ALLOCATE && bytes <= sim->nodes[file->node].inode->bytes)
        return 0;
    if (!nw_sim_node_charge(sim, file->node, bytes))
        return nw_sim_error(ENOSPC);
    rc = nw_sim_begin_operation(sim);
    if (rc < 0)
        return rc;
    resize(file, bytes);
    return 0;
}

static int file_allocate(struct nori_file *base, uint64_t offset, uint64_t len)
{
    struct sim_file *file = from_base(base);
    uint64_t end;
    int rc;

    if (nw_add_overflow(offset, len, &end))
        end = UINT64_MAX;
    rc = resize_now(file, NORI_SIM_ALLOCATE, len ? end : 0);
    return nw_sim_end_call(file->sim, rc, "allocate %s %llu+%llu", file->name,
                           (unsigned long long)offset, (unsigned long long)len);
}

static int file_truncate(struct nori_file *base, uint64_t bytes)
{
    struct sim_file *file = from_base(base);
    int rc = resize_now(file, NORI_SIM_TRUNCATE, bytes);

    return nw_sim_end_call(file->sim, rc, "truncate %s %llu", file->name,
                           (unsigned long long)bytes);
}

static int file_stat(struct nori_file *base, struct nori_file_info *ret_info)
{
    struct sim_file *file = from_base(base);
    const struct nw_sim_node *node;
    int rc = nw_sim_begin_call(file->sim, NORI_SIM_STAT);

    if (rc == 0) {
        node = &file->sim->nodes[file->node];
        ret_info->bytes = node->inode->bytes;
        ret_info->identity = node->identity;
        ret_info->birth_ns = node->birth_ns;
        ret_info->link_count = node->link_count;
        ret_info->device = 1; /* a machine has one disk */
    }
    return nw_sim_end_call(file->sim, rc, "stat %s", file->name);
}

static void unlock(struct sim_file *file)
{
    struct nw_sim_node *node = &file->sim->nodes[file->node];

    if (file->lock_kind == NORI_LOCK_EXCLUSIVE)
        node->has_exclusive = false;
    if (file->lock_kind == NORI_LOCK_SHARED)
        node->shared_count--;
    file->lock_kind = NORI_LOCK_NONE;
}

static int lock_now(struct sim_file *file, uint32_t kind)
{
    struct nw_sim_node *node;
    uint32_t before = file->lock_kind;
    int rc;

    if (kind > NORI_LOCK_EXCLUSIVE)
        return nw_sim_error(EINVAL);
    if (kind == NORI_LOCK_NONE) {
        unlock(file);
        return 0;
    }
    rc = nw_sim_begin_call(file->sim, NORI_SIM_LOCK);
    if (rc < 0)
        return rc;
    unlock(file);
    node = &file->sim->nodes[file->node];
    if (node->has_exclusive || (kind == NORI_LOCK_EXCLUSIVE && node->shared_count > 0)) {
        node->shared_count += before == NORI_LOCK_SHARED; /* as it was */
        file->lock_kind = before;
        return nw_sim_error(EAGAIN);
    }
    file->lock_kind = kind;
    if (kind == NORI_LOCK_EXCLUSIVE)
        node->has_exclusive = true;
    else
        node->shared_count++;
    return 0;
}

static int file_lock(struct nori_file *base, uint32_t kind)
{
    struct sim_file *file = from_base(base);

    return nw_sim_end_call(file->sim, lock_now(file, kind), "lock %s %u", file->name, kind);
}

static int file_map(struct nori_file *base, size_t len, void **ret_data)
{
    struct sim_file *file = from_base(base);
    int rc = nw_sim_begin_call(file->sim, NORI_SIM_MAP);

    if (rc == 0 && (file->sim->options.flags & NORI_SIM_NO_MAP))
        rc = nw_sim_error(EOPNOTSUPP);
    if (rc == 0)
        rc = nw_sim_image_map(file->sim, file->node, len, file->is_writable, ret_data);
    return nw_sim_end_call(file->sim, rc, "map %s %zu", file->name, len);
}

static void file_unmap(struct nori_file *base, void *data, size_t len)
{
    struct sim_file *file = from_base(base);

    (void)len;
    nw_sim_image_unmap(file->sim, file->node, data);
}

static void file_close(struct nori_file *base)
{
    struct sim_file *file = from_base(base);

    unlock(file);
    nw_sim_node_close(file->sim, file->node);
    free(file);
}

static const struct nori_file_ops file_ops = {
    .size = sizeof(struct nori_file_ops),
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .allocate = file_allocate,
    .truncate = file_truncate,
    .stat = file_stat,
    .lock = file_lock,
    .map = file_map,
    .unmap = file_unmap,
    .close = file_close,
};

struct nori_file *nw_sim_file_new(struct nori_sim *sim, uint32_t node, bool is_writable,
                                  const char *name)
{
    struct sim_file *file = nw_sim_alloc(sizeof *file);

    file->base.ops = &file_ops;
    file->sim = sim;
    file->node = node;
    file->is_writable = is_writable;
    nw_sim_name_set(file->name, name);
    nw_sim_node_open(sim, node);
    return &file->base;
}
