/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader_open.c: making readers, and putting them where they begin.
 *
 * What. A position must be the place of a record. So the reader starts from the last place before
 * it that is known to be one, a mark or what was noted earlier (maps.c), and reads its way there:
 * that proves the position, and counts the records on the way.
 *
 * A reader of a log's own handle begins in what the handle lends, if it can, and then opening makes
 * no call of the seam. Else it loads the chain, which reads all headers.
 *
 * Failure. There is no reader, and the error says what is wrong with the position.
 */
#include "format/control_record.h"
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

/* Those who come this way later need not start as far away. */
static void note_place(const struct nori_reader *reader)
{
    struct nw_waypoint waypoint = {reader->cursor.offset, reader->sequence, reader->is_in_batch};

    if (reader->map)
        nw_map_note(reader->map, &waypoint);
}

/* Count records from a place that is one to `offset`. */
static int walk_to(struct nori_reader *reader, struct nori_position position)
{
    uint64_t looked_again_at = UINT64_MAX;

    while (reader->cursor.offset < position.offset) {
        struct nw_stored_record record;
        int rc = nw_cursor_next(&reader->cursor, &record);

        if (rc == NW_CURSOR_SHORT || rc == NW_CURSOR_BAD) {
            if (!reader->file || reader->cursor.offset == looked_again_at)
                return no_such_place(reader, position,
                                     "it lies behind the end, or in damaged bytes");
            looked_again_at = reader->cursor.offset;
            rc = nw_reader_ask_ring(reader);
            if (rc < 0)
                return rc;
            /* If the ring has nothing, a live writer may just have brought it to the file. */
            nw_cursor_refresh(&reader->cursor);
            continue;
        }
        if (rc < 0)
            return nw_io_error(&reader->error, rc, position, "read segment %llu",
                               (unsigned long long)position.segment_id);
        if (nw_record_is_control(&record)) {
            reader->sequence =
                nw_control_count(&record, reader->here.header.salt, reader->sequence);
        } else {
            reader->sequence += reader->sequence != 0;
            reader->is_in_batch = nw_record_continues(&record);
        }
        note_place(reader);
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
    rc = nw_reader_find_limit(reader, &limit);
    if (rc < 0)
        return rc;
    /* What a writer published that is gone may be older than its segments: a power cut leaves any
     * mix of both. Then only the records lead to the position, also if another writer has come
     * since, and raised `cut`, or made another `control`. */
    if (limit.is_known && !nw_reader_shows_durable_only(reader) &&
        position.offset > reader->here.begin && reader->here.start + position.offset > limit.lsn)
        rc = nw_reader_ask_writer(reader);
    if (rc < 0)
        return rc;
    if (position.offset > reader->here.end ||
        (rc == 1 && nw_reader_current_cut(reader) == reader->cut &&
         !nw_reader_has_lost_control(reader)))
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
    /* Without a segment and without control only the writer tells that there will be a log. */
    if (rc == 0 && !reader->control && !reader->chain.has_ids &&
        reader->env.folder->ops->is_announced(reader->env.folder) != 1)
        return nw_error_set(&reader->error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                            "there is no log in this folder");
    return rc < 0 ? rc : NORI_OK;
}

/* Begin in what the log's handle lends, if it does, and if that leads to the position. */
static bool start_lent(struct nori_reader *reader, nori_wal *wal, struct nori_position position)
{
    struct nw_waypoint waypoint;
    struct nw_loan loan;
    int rc = NORI_OK;

    if ((reader->config.flags & NORI_READER_PREAD) || reader->env.vfs != wal->env.vfs ||
        !nw_maps_lend(wal, position, nw_reader_shows_durable_only(reader), &loan))
        return false;
    nw_reader_enter_lent(reader, &loan);
    if (position.offset > reader->here.begin) {
        waypoint = nw_map_waypoint_before(loan.map, position.offset);
        reader->cursor.offset = waypoint.offset;
        reader->sequence = waypoint.sequence;
        reader->is_in_batch = waypoint.is_in_batch;
        rc = walk_to(reader, position);
    }
    if (rc < 0) { /* damage, maybe: there may be a mark behind it */
        nw_reader_leave(reader);
        reader->has_place = false;
        reader->error = (struct nori_error)NORI_ERROR_INIT;
    }
    return rc >= 0;
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
    reader->env =
        (struct nw_env){.vfs = config->vfs, .allocator = config->allocator, .folder = folder};
    reader->process_generation = config->vfs->process_generation(config->vfs->context);
    reader->error = (struct nori_error)NORI_ERROR_INIT;
    nw_chain_init(&reader->chain, config->allocator);
    reader->staged.allocator = config->allocator;
    nw_buffer_init(&reader->value, config->allocator, (size_t)NW_RECORD_MAX + 1);
    nw_cursor_begin(&reader->cursor, config->allocator, NULL, 2, 0, 0, 0, false);
    return reader;
}

void nw_reader_free(struct nori_reader *reader)
{
    nw_reader_leave(reader);
    nw_cursor_done(&reader->cursor);
    nw_staged_done(&reader->staged);
    nw_chain_done(&reader->chain);
    nw_compressor_free(reader->compressor);
    nw_buffer_done(&reader->value);
    nw_control_unref(reader->control);
    if (reader->shared)
        nw_shared_folder_unref(reader->shared);
    else
        reader->env.folder->ops->close(reader->env.folder);
    nw_free(reader->env.allocator, reader);
}

/* Put a new reader where it begins. wal: its own log, or NULL. Takes it over, also on failure. */
static int start(struct nori_reader *reader, nori_wal *wal, struct nori_position position,
                 struct nori_reader **ret_reader, struct nori_error *error)
{
    int rc = NORI_OK;

    if (!wal || !start_lent(reader, wal, position))
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
    nori_reader *reader;
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
    reader = new_reader(&full, folder);
    if (!reader) {
        folder->ops->close(folder);
        return nw_no_memory(ret_error);
    }
    return start(reader, NULL, position, ret_reader, ret_error);
}

int nori_reader_open(const char *dir, struct nori_position position, nori_reader **ret_reader,
                     struct nori_error *ret_error)
{
    return nori_reader_open_with(dir, NULL, position, ret_reader, ret_error);
}

/* The folder as the log's own readers see it, opened for the first of them. By handle, not by path:
 * the process may have gone to another folder since. */
static int share_folder(nori_wal *wal, struct nw_shared_folder **ret_shared,
                        struct nori_error *error)
{
    struct nw_shared_folder *made = NULL;
    struct nori_folder *folder = NULL;
    int rc;

    nw_lock(wal, wal->mutex);
    *ret_shared = wal->read_folder ? nw_shared_folder_ref(wal->read_folder) : NULL;
    nw_unlock(wal, wal->mutex);
    if (*ret_shared)
        return NORI_OK;
    rc = wal->env.folder->ops->open_folder(wal->env.folder, ".", 0, 0, &folder);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "read %s", wal->config.dir);
    made = nw_shared_folder_new(wal->env.allocator, folder);
    if (!made) {
        folder->ops->close(folder);
        return nw_no_memory(error);
    }
    nw_lock(wal, wal->mutex);
    if (!wal->read_folder) {
        wal->read_folder = made;
        made = NULL;
    }
    *ret_shared = nw_shared_folder_ref(wal->read_folder);
    nw_unlock(wal, wal->mutex);
    nw_shared_folder_unref(made);
    return NORI_OK;
}

/* A reader of the log's own folder and control. */
static int new_own_reader(nori_wal *wal, const struct nori_reader_config *config,
                          struct nori_reader **ret_reader, struct nori_error *error)
{
    struct nw_shared_folder *shared = NULL;
    struct nori_reader *reader;
    int rc = share_folder(wal, &shared, error);

    if (rc < 0)
        return rc;
    reader = new_reader(config, shared->folder);
    if (!reader) {
        nw_shared_folder_unref(shared);
        return nw_no_memory(error);
    }
    reader->shared = shared;
    reader->control = nw_control_ref(wal->control);
    *ret_reader = reader;
    return NORI_OK;
}

/* The handle lends what is written. What was appended a moment ago is written now, then: to look
 * for it as a reader of another process does would take much longer. */
static void have_written(struct nori_wal *wal, struct nori_position position)
{
    uint64_t written = atomic_load(&wal->written_lsn);
    uint64_t published = atomic_load(&wal->published_lsn);
    struct nori_position end;

    if (written == published)
        return;
    end = nw_log_position_of(wal, &wal->written_lsn);
    if (position.segment_id > end.segment_id ||
        (position.segment_id == end.segment_id && position.offset >= end.offset))
        (void)nw_stage_write_to(wal, published, NULL); /* if it fails, the reader asks the ring */
}

int nori_wal_read_with(nori_wal *wal, const struct nori_reader_config *config,
                       struct nori_position position, nori_reader **ret_reader)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_reader_config full;
    nori_reader *reader = NULL;
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
        rc = new_own_reader(wal, &full, &reader, &error);
    }
    if (rc >= 0) {
        have_written(wal, position);
        rc = start(reader, wal, position, ret_reader, &error);
    }
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
