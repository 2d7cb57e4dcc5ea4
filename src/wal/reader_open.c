/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader_open.c: making readers, and putting them where they begin.
 *
 * What. A position must be the place of a record. So the reader starts from the last mark before
 * it and reads its way there: that proves the place, and counts the records on the way.
 *
 * Failure. There is no reader, and the error says what is wrong with the position.
 */
#include "wal/log.h"
#include "wal/reader.h"
#include "wal/scan.h"

#include <string.h>

static int no_such_place(struct nori_reader *reader, struct nori_position position, const char *why)
{
    return nw_error_set(
        &reader->error, NORI_E_NOTFOUND, 0, position, "no record begins at %llu:%llu: %s",
        (unsigned long long)position.segment_id, (unsigned long long)position.offset, why);
}

/* Count records from a place that is one to `offset`. */
static int walk_to(struct nori_reader *reader, struct nori_position position)
{
    while (reader->cursor.offset < position.offset) {
        struct nw_stored_record record;
        int rc = nw_cursor_next(&reader->cursor, &record);

        if (rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD)
            return no_such_place(reader, position, "it lies behind the end, or in damaged bytes");
        if (rc < 0)
            return nw_io_error(&reader->error, rc, position, "read segment %llu",
                               (unsigned long long)position.segment_id);
        if (nw_record_is_control(&record))
            continue;
        reader->sequence += reader->sequence != 0;
        reader->is_in_batch = nw_record_continues(&record);
    }
    if (reader->cursor.offset > position.offset)
        return no_such_place(reader, position, "it lies inside a record");
    return NORI_OK;
}

static int go_to(struct nori_reader *reader, struct nori_position position)
{
    struct nw_link *link = NULL;
    struct nw_reader_limit limit;
    uint64_t offset;
    uint64_t sequence;
    int rc;

    for (size_t i = reader->chain.first_live; i < reader->chain.count; i++)
        if (reader->chain.links[i].is_live && reader->chain.links[i].id == position.segment_id)
            link = &reader->chain.links[i];
    if (!link)
        return no_such_place(reader, position, "there is no such segment");
    rc = nw_reader_enter(reader, link);
    if (rc < 0)
        return rc;
    limit = nw_reader_find_limit(reader);
    if (position.offset > reader->here.end ||
        (limit.is_known && !nw_reader_shows_durable_only(reader) &&
         position.offset > reader->here.begin && reader->here.start + position.offset > limit.lsn))
        return no_such_place(reader, position, "it lies behind the end");
    if (position.offset <= reader->here.begin)
        return NORI_OK;
    rc = nw_scan_find_mark_before(&reader->here, reader->chain.log_id, reader->file,
                                  reader->env.allocator, position.offset, &offset, &sequence);
    if (rc < 0)
        return nw_io_error(&reader->error, rc, position, "read segment %llu",
                           (unsigned long long)position.segment_id);
    reader->cursor.offset = offset;
    reader->sequence = reader->here.format == 1 ? reader->here.first_sequence : sequence;
    return walk_to(reader, position);
}

static int find_start(struct nori_reader *reader, struct nori_position position)
{
    int rc = nw_reader_load_chain(reader);

    if (rc < 0)
        return rc;
    if (position.segment_id != 0 || position.offset != 0)
        return go_to(reader, position);
    rc = nw_reader_enter_first(reader);
    if (rc == 0 && !reader->control && !reader->chain.has_ids)
        return nw_error_set(&reader->error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                            "there is no log in this folder");
    return rc < 0 ? rc : NORI_OK;
}

static int normalise(const struct nori_reader_config *config, struct nori_reader_config *ret_config,
                     struct nori_error *error)
{
    struct nori_reader_config full = NORI_READER_CONFIG_INIT;
    const char *problem = NULL;

    if (config && config->size < sizeof full.size)
        problem = "config.size is not set: use NORI_READER_CONFIG_INIT";
    else if (config && !nw_env_knows_all(config, config->size, sizeof full))
        problem = "config.size is beyond reason, or fields are set that this version does not know";
    else if (config)
        memcpy(&full, config, config->size < sizeof full ? config->size : sizeof full);
    if (full.visibility > NORI_VISIBLE_DURABLE)
        problem = "visibility is none of NORI_VISIBLE_*";
    if (full.flags & ~NORI_READER_PREAD)
        problem = "unknown bits in flags";
    if (full.max_record_size > NW_RECORD_MAX)
        problem = "max_record_size is over 1 GiB";
    if (problem)
        return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE, "reader: %s", problem);
    full.vfs = full.vfs ? full.vfs : nori_vfs_posix();
    full.allocator = full.allocator ? full.allocator : nori_allocator_malloc();
    *ret_config = full;
    return NORI_OK;
}

static struct nori_reader *new_reader(const struct nori_reader_config *config,
                                      struct nori_folder *folder)
{
    struct nori_reader *reader = nw_alloc_zero(config->allocator, sizeof *reader);

    if (!reader)
        return NULL;
    reader->config = *config;
    reader->env = (struct nw_env){config->vfs, config->allocator, folder};
    reader->process_generation = config->vfs->process_generation(config->vfs->context);
    reader->error = (struct nori_error)NORI_ERROR_INIT;
    nw_chain_init(&reader->chain, config->allocator);
    nw_buffer_init(&reader->value, config->allocator, (size_t)NW_RECORD_MAX + 1);
    nw_cursor_begin(&reader->cursor, config->allocator, NULL, 2, 0, 0, 0, false);
    return reader;
}

void nw_reader_free(struct nori_reader *reader)
{
    nw_reader_leave_file(reader);
    nw_cursor_done(&reader->cursor);
    nw_chain_done(&reader->chain);
    nw_compressor_free(reader->compressor);
    nw_buffer_done(&reader->value);
    nw_control_unref(reader->control);
    reader->env.folder->ops->close(reader->env.folder);
    nw_free(reader->env.allocator, reader);
}

/* Takes over folder and control, also on failure. */
static int open_reader(const struct nori_reader_config *config, struct nori_folder *folder,
                       struct nw_control *control, struct nori_position position,
                       struct nori_reader **ret_reader, struct nori_error *error)
{
    struct nori_reader *reader = new_reader(config, folder);
    int rc;

    if (!reader) {
        folder->ops->close(folder);
        nw_control_unref(control);
        return nw_no_memory(error);
    }
    reader->control = control;
    rc = find_start(reader, position);
    if (rc < 0) {
        nw_error_copy(error, &reader->error);
        nw_reader_free(reader);
        return rc;
    }
    *ret_reader = reader;
    return NORI_OK;
}

int nori_reader_open_with(const char *dir, const struct nori_reader_config *config,
                          struct nori_position position, nori_reader **ret_reader,
                          struct nori_error *ret_error)
{
    struct nori_reader_config full;
    struct nori_folder *folder = NULL;
    int rc;

    if (!dir || !ret_reader)
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "reader: dir or ret_reader is NULL");
    rc = normalise(config, &full, ret_error);
    if (rc < 0)
        return rc;
    rc = full.vfs->open_folder(full.vfs->context, dir, 0, 0, &folder);
    if (rc < 0)
        return nw_io_error(ret_error, rc, NW_NOWHERE, "open %s", dir);
    return open_reader(&full, folder, NULL, position, ret_reader, ret_error);
}

int nori_reader_open(const char *dir, struct nori_position position, nori_reader **ret_reader,
                     struct nori_error *ret_error)
{
    return nori_reader_open_with(dir, NULL, position, ret_reader, ret_error);
}

int nori_wal_read_with(nori_wal *wal, const struct nori_reader_config *config,
                       struct nori_position position, nori_reader **ret_reader)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_reader_config full;
    struct nori_folder *folder = NULL;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (!ret_reader)
        return nw_log_leave(wal, NORI_E_INVALID, &error);
    rc = normalise(config, &full, &error);
    if (rc >= 0) {
        if (!config || !NW_HAS_MEMBER(config, vfs) || !config->vfs)
            full.vfs = wal->env.vfs;
        if (!config || !NW_HAS_MEMBER(config, allocator) || !config->allocator)
            full.allocator = wal->env.allocator;
        full.max_record_size = nw_max_u64(full.max_record_size, wal->config.max_record_size);
        /* By handle, not by path: the process may have gone to another folder since. */
        rc = wal->env.folder->ops->open_folder(wal->env.folder, ".", 0, 0, &folder);
        if (rc < 0)
            rc = nw_io_error(&error, rc, NW_NOWHERE, "read %s", wal->config.dir);
    }
    if (rc >= 0)
        rc = open_reader(&full, folder, nw_control_ref(wal->control), position, ret_reader, &error);
    return nw_log_leave(wal, rc, &error);
}

int nori_wal_read_from(nori_wal *wal, struct nori_position position, nori_reader **ret_reader)
{
    return nori_wal_read_with(wal, NULL, position, ret_reader);
}

int nori_wal_first_position(nori_wal *wal, struct nori_position *ret_position)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_reader *reader = NULL;
    struct nori_record record;
    struct nori_position position;
    int rc = ret_position ? NORI_OK : NORI_E_INVALID;

    if (rc >= 0)
        rc = nori_wal_read_from(wal, (struct nori_position){0, 0}, &reader);
    if (rc < 0)
        return rc;
    rc = nw_reader_read(reader, &record, &position);
    if (rc == NORI_OK)
        *ret_position = position;
    if (rc == NORI_END)
        rc = nw_error_set(&error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "the log holds no record");
    else if (rc < 0)
        nw_error_copy(&error, &reader->error);
    nw_reader_free(reader);
    if (rc < 0 && nw_log_enter(wal) == NORI_OK)
        (void)nw_log_leave(wal, rc, &error);
    return rc;
}
