/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chain.c: which segment files there are, and which of them are the log.
 *
 * What. The folder is listed and every canonical name's header is read. Then the chain is walked
 * back from the newest format-2 header along prev_salt; each step states where the predecessor
 * ends. What is not reached is dead: left behind by a recovery or truncation that made a newer
 * header. Segments of format 1 have no headers; the first format-2 header names the last of them
 * and its end, and they count from the oldest in order of their ids.
 *
 * Trust. A header counts only with its checksum. A named file whose header is bad is damage, never
 * a torn tail: a file gets its name only after its header is durable. A file of another log, or one
 * that begins a log although older files exist, is refused rather than taken for dead and removed
 * (D12).
 *
 * Not here. Where the newest segment ends: scan.c. What to do about it: verdict.c.
 */
#include "wal/chain.h"

#include "wal/staged.h"

#include "base/plant.h"
#include "format/control_record.h"

#include <stdlib.h>
#include <string.h>

#define CONTROL_RECORD_LIMIT ((uint64_t)NW_HOLE_LEN_MAX)
#define LINKS_MAX            ((size_t)1 << 24)

void nw_chain_init(struct nw_chain *chain, const struct nori_allocator *allocator)
{
    memset(chain, 0, sizeof *chain);
    chain->allocator = allocator;
}

void nw_chain_done(struct nw_chain *chain)
{
    nw_free(chain->allocator, chain->links);
    nw_chain_init(chain, chain->allocator);
}

void nw_link_name(const struct nw_link *link, char target[NW_NAME_MAX])
{
    if (link->is_spare)
        memcpy(target, NW_NAME_SPARE, sizeof NW_NAME_SPARE);
    else
        nw_name_format(target, link->id);
}

uint64_t nw_link_record_limit(const struct nw_link *link, uint64_t configured)
{
    uint64_t stated = link->format == 2 ? link->header.max_record : 0;
    uint64_t limit = nw_max_u64(configured, nw_min_u64(stated, NW_RECORD_MAX));

    /* The log's own control records may be larger than what the application may append. */
    limit = nw_max_u64(limit, CONTROL_RECORD_LIMIT);
    /* A record of format 1 may be larger than its segment, so its file is the only bound there
     * is. */
    if (link->format == 1)
        limit = nw_max_u64(limit, nw_min_u64(link->file_bytes, NW_RECORD_MAX));
    return limit;
}

struct nw_link *nw_chain_last(const struct nw_chain *chain)
{
    for (size_t i = chain->count; i > 0; i--)
        if (chain->links[i - 1].is_live)
            return &chain->links[i - 1];
    return NULL;
}

struct nw_link *nw_chain_next_live(const struct nw_chain *chain, size_t i, size_t *ret_index)
{
    for (i++; i < chain->count; i++) {
        if (chain->links[i].is_live) {
            *ret_index = i;
            return &chain->links[i];
        }
    }
    return NULL;
}

struct nw_link *nw_chain_find_salt(const struct nw_chain *chain, uint64_t salt)
{
    for (size_t i = chain->count; i > 0 && salt != 0; i--) {
        struct nw_link *link = &chain->links[i - 1];

        if (link->is_live && link->format == 2 && link->header.salt == salt)
            return link;
    }
    return NULL;
}

static int add_link(struct nw_chain *chain, const struct nw_link *link)
{
    struct nw_link *links = nw_list_grow(chain->allocator, chain->links, sizeof *links,
                                         chain->count, LINKS_MAX, &chain->capacity);

    if (!links)
        return NORI_E_NOMEM;
    chain->links = links;
    chain->links[chain->count++] = *link;
    return NORI_OK;
}

static int note_name(void *context, const char *name)
{
    struct nw_chain *chain = context;
    struct nw_link link = {.end = NW_OPEN_END};

    if (!nw_name_parse(name, &link.id))
        return 0; /* not ours: left alone */
    if (!chain->has_ids || link.id > chain->id_max)
        chain->id_max = link.id;
    chain->has_ids = true;
    return add_link(chain, &link);
}

static int compare_ids(const void *a, const void *b)
{
    const struct nw_link *left = a;
    const struct nw_link *right = b;

    return (left->id > right->id) - (left->id < right->id);
}

bool nw_chain_begins_with_format1(const uint8_t *data, size_t len)
{
    struct nw_record_place place = {.format = 1};
    struct nw_stored_record record;
    struct nw_scan scan;
    int rc;

    len = len < NW_HEADER_LEN ? len : NW_HEADER_LEN;
    scan = nw_scan_over(data, len);
    rc = nw_record_decode(&scan, &place, NW_RECORD_MAX, &record);
    return rc == 0 || rc == NORI_E_VERSION || (rc == NW_DECODE_SHORT && len >= NW_HEADER_LEN);
}

/* What a file holds that begins with neither a header nor a record of format 1. */
struct content {
    bool is_zero;  /* nothing but zeros, or nothing */
    bool has_mark; /* a mark that verifies where it lies: it is of format 2, and lost its header */
};

static int look_through(struct nori_file *file, struct content *content)
{
    uint8_t chunk[8192];
    uint64_t offset = 0;

    *content = (struct content){.is_zero = true};
    for (;;) {
        struct nw_mark mark;
        size_t got = 0;
        int rc = file->ops->read(file, chunk, sizeof chunk, offset, &got);

        if (rc < 0)
            return rc;
        content->is_zero &= nw_nonzero_len(chunk, got) == 0;
        content->has_mark |= nw_mark_find_any(chunk, got, offset, &mark) != NULL;
        if (got < sizeof chunk || content->has_mark)
            return NORI_OK;
        offset += got - (NW_MARK_LEN - 1);
    }
}

static int read_content(const struct nw_env *env, const struct nw_link *link,
                        struct content *ret_content, struct nori_error *error)
{
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = env->folder->ops->open_file(env->folder, name, 0, 0, &file);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s", name);
    rc = look_through(file, ret_content);
    file->ops->close(file);
    return rc < 0 ? nw_io_error(error, rc, NW_NOWHERE, "read %s", name) : NORI_OK;
}

static int damaged_link(struct nori_error *error, const struct nw_link *link, const char *what)
{
    char name[NW_NAME_MAX];

    nw_link_name(link, name);
    return nw_error_set(error, NORI_E_CORRUPT, 0, (struct nori_position){link->id, 0}, "%s: %s",
                        name, what);
}

static int newer_link(struct nori_error *error, const struct nw_link *link, const char *what)
{
    char name[NW_NAME_MAX];

    nw_link_name(link, name);
    return nw_error_set(error, NORI_E_VERSION, 0, (struct nori_position){link->id, 0}, "%s: %s",
                        name, what);
}

/* Numbers that no log reaches, so that the sums of positions cannot overflow. */
static bool is_beyond_reason(const struct nw_header *header)
{
    const uint64_t limit = NW_NUMBER_MAX * 2;

    return header->start > limit || header->prev_end > limit || header->base_sequence > limit ||
           header->segment_id > NW_ID_MAX;
}

int nw_header_check_room(const struct nw_header *header, const char *name, struct nori_error *error)
{
    if (header->start <= NW_NUMBER_MAX && header->base_sequence <= NW_NUMBER_MAX)
        return NORI_OK;
    return nw_error_set(error, NORI_E_UNSUPPORTED, 0, (struct nori_position){header->segment_id, 0},
                        "%s: no positions or sequence numbers are left behind it", name);
}

/* Fill a link from the first bytes of its file. format becomes 0 if they are neither format. */
static int read_link(const struct nw_env *env, struct nw_link *link, bool for_writing,
                     struct nori_error *error)
{
    uint8_t start[NW_HEADER_LEN_MAX];
    size_t len = NW_HEADER_LEN;
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = nw_env_read_start(env, name, start, &len, &link->file_bytes, error);
    if (rc == NORI_E_INVALID)
        return nw_error_set(error, rc, 0, (struct nori_position){link->id, 0},
                            "%s: not a regular file, but a link, folder, pipe or device", name);
    if (rc < 0)
        return rc;
    rc = nw_header_decode(start, len, &link->header);
    /* A later version may have a longer one; which may have lost its magic. */
    if ((rc == NW_HEADER_BAD || rc == NW_HEADER_NONE) && len == NW_HEADER_LEN) {
        len = sizeof start;
        rc = nw_env_read_start(env, name, start, &len, &link->file_bytes, error);
        if (rc < 0)
            return rc;
        rc = nw_header_decode(start, len, &link->header);
    }
    if (rc == NORI_E_VERSION)
        return newer_link(error, link, "written by a newer version of the format");
    if (rc == NW_HEADER_BAD)
        return damaged_link(error, link, "the segment header is damaged");
    if (rc == 0) {
        link->format = 2;
        link->begin = link->header.header_len;
        link->start = link->header.start;
        link->first_sequence = link->header.base_sequence;
        if (is_beyond_reason(&link->header))
            return damaged_link(error, link,
                                "the segment header states numbers that no log reaches");
        if (for_writing && (link->header.compat & ~NW_COMPAT_KNOWN))
            return newer_link(error, link, "has features that this version can read but not write");
        return for_writing ? nw_header_check_room(&link->header, name, error) : NORI_OK;
    }
    nw_assert(rc == NW_HEADER_NONE);
    if (nw_header_lacks_only_magic(start, len))
        return damaged_link(error, link, "the segment header is damaged");
    link->format = nw_chain_begins_with_format1(start, len) ? 1 : 0;
    return NORI_OK;
}

/* Read all headers; files that vanished since the listing (retention, a rename) are left out. */
static int read_links(struct nw_chain *chain, const struct nw_env *env, bool for_writing,
                      struct nori_error *error)
{
    size_t kept = 0;

    for (size_t i = 0; i < chain->count; i++) {
        struct nw_link link = chain->links[i];
        struct nori_error missing = NORI_ERROR_INIT;
        int rc = read_link(env, &link, for_writing, &missing);

        if (rc == NORI_E_NOTFOUND)
            continue;
        if (rc < 0) {
            nw_error_copy(error, &missing);
            return rc;
        }
        if (link.format == 2 && link.header.segment_id != link.id)
            return damaged_link(error, &link, "the segment header has another id than the name");
        chain->links[kept++] = link;
    }
    chain->count = kept;
    return NORI_OK;
}

/* The older link that a header names as its predecessor, as an index, or count. */
static size_t find_predecessor(const struct nw_chain *chain, size_t i)
{
    const struct nw_header *header = &chain->links[i].header;

    for (size_t older = i; older > 0; older--) {
        const struct nw_link *link = &chain->links[older - 1];

        if (header->prev_salt != 0 && link->format == 2 && link->header.salt == header->prev_salt)
            return older - 1;
        if (header->prev_salt == 0 && link->format != 2 && link->id == header->prev_id)
            return older - 1;
    }
    return chain->count;
}

static int check_step(const struct nw_chain *chain, size_t older, size_t newer,
                      struct nori_error *error)
{
    const struct nw_link *link = &chain->links[newer];
    const struct nw_link *previous = &chain->links[older];
    uint64_t end_lsn;

    if (NW_PLANT("skip-chain-check"))
        return NORI_OK;
    if (link->header.prev_id != previous->id)
        return damaged_link(error, link,
                            "the segment header contradicts itself about its predecessor");
    if (previous->format != 2)
        return NORI_OK;
    if (nw_add_overflow(previous->start, link->header.prev_end, &end_lsn) ||
        end_lsn != link->header.start || link->header.prev_end < previous->begin)
        return damaged_link(error, link, "the segment does not start where its predecessor ends");
    if (previous->header.log_id != link->header.log_id)
        return damaged_link(error, link, "the segment belongs to another log than its predecessor");
    return NORI_OK;
}

/* Format-1 segments up to index `last`, whose end is `end` (NW_OPEN_END: not stated), count from
 * the oldest. */
static int take_format1(struct nw_chain *chain, size_t last, uint64_t end, struct nori_error *error)
{
    for (size_t i = 0; i <= last; i++) {
        struct nw_link *link = &chain->links[i];

        if (link->format == 2)
            return damaged_link(error, link, "a segment of format 2 lies before those of format 1");
        link->format = 1; /* empty and zero ones, too */
        link->is_live = true;
        link->end = NW_OPEN_END;
    }
    chain->links[last].end = end;
    chain->first_live = 0;
    return NORI_OK;
}

/* Walk back from link i, the newest of format 2. */
static int walk(struct nw_chain *chain, size_t i, struct nori_error *error)
{
    chain->log_id = chain->links[i].header.log_id;
    for (;;) {
        struct nw_link *link = &chain->links[i];
        size_t older;
        int rc;

        link->is_live = true;
        chain->first_live = i;
        if (link->header.prev_salt == 0 && link->header.prev_id == NW_NO_SEGMENT) {
            if (i > 0)
                return damaged_link(error, link,
                                    "the segment begins a log, although older files exist");
            return NORI_OK;
        }
        older = find_predecessor(chain, i);
        if (older == chain->count) {
            if (i > 0)
                return damaged_link(error, link,
                                    "its predecessor is missing, although older files exist");
            return NORI_OK; /* dropped by retention */
        }
        rc = check_step(chain, older, i, error);
        if (rc < 0)
            return rc;
        if (chain->links[older].format != 2)
            return take_format1(chain, older, link->header.prev_end, error);
        chain->links[older].end = link->header.prev_end;
        i = older;
    }
}

/* Nothing off the chain may be what we cannot explain: it will be removed one day. */
static int check_dead(const struct nw_chain *chain, const struct nw_env *env, size_t newest,
                      struct nori_error *error)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];
        struct content content = {false, false};
        int rc = NORI_OK;

        if (link->is_live)
            continue;
        if (link->format == 1 && i < newest)
            continue; /* above the place where format 2 took over: left behind then */
        if (link->format == 2) {
            if (link->header.log_id != chain->log_id)
                return damaged_link(error, link, "the segment belongs to another log");
            continue;
        }
        if (link->format == 0)
            rc = read_content(env, link, &content, error);
        if (rc < 0)
            return rc;
        if (!content.is_zero || i > newest)
            return damaged_link(error, link, "the segment has no header");
    }
    return NORI_OK;
}

/* A folder without any header: all of format 1, if anything. */
static int take_all_format1(struct nw_chain *chain, const struct nw_env *env,
                            struct nori_error *error)
{
    if (chain->count == 0)
        return NORI_OK;
    for (size_t i = 0; i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];
        struct content content;
        int rc;

        if (link->format == 1)
            continue;
        rc = read_content(env, link, &content, error);
        if (rc < 0)
            return rc;
        if (content.has_mark && !NW_PLANT("zero-header-is-format1"))
            return damaged_link(error, link, "the segment header is damaged");
        /* A first record that was torn away leaves garbage in the newest file, and only there. */
        if (!content.is_zero && i + 1 < chain->count)
            return damaged_link(error, link, "neither a segment header nor a record of format 1");
    }
    return take_format1(chain, chain->count - 1, NW_OPEN_END, error);
}

/* Of format 2 only: no log ends within a segment of format 1 that has a successor. */
static struct nw_link *live_before(const struct nw_chain *chain, const struct nw_link *link)
{
    for (size_t i = (size_t)(link - chain->links); i > 0; i--)
        if (chain->links[i - 1].is_live)
            return chain->links[i - 1].format == 2 ? &chain->links[i - 1] : NULL;
    return NULL;
}

/* Does the header in `spare` continue the chain behind this segment? */
static bool continues(const struct nw_chain *chain, const struct nw_link *last,
                      const struct nw_header *header)
{
    uint64_t end_lsn;

    if (chain->has_ids && header->segment_id <= chain->id_max)
        return false;
    if (!last)
        return header->prev_salt == 0 && header->prev_id == NW_NO_SEGMENT && header->start == 0;
    if (header->prev_id != last->id)
        return false;
    if (last->format == 1)
        return header->prev_salt == 0;
    return header->prev_salt == last->header.salt && header->log_id == last->header.log_id &&
           header->prev_end >= last->begin &&
           !nw_add_overflow(last->start, header->prev_end, &end_lsn) && end_lsn == header->start;
}

/*
 * An append that begins a segment may return before the segment has its name: its header and
 * records lie in `spare` then. Such a header is true for ever: once it is written nothing more is
 * written to its predecessor. If the predecessor does not reach the end it states, the scan finds
 * that out and leaves it behind. What has a name and lies behind the predecessor is dead: recovery
 * found that the log ends before it, and this header says so.
 */
static int adopt_spare(struct nw_chain *chain, const struct nw_link *spare)
{
    struct nw_link *previous = nw_chain_last(chain);
    bool is_first = !previous;
    struct nw_link link = *spare;

    if (link.format != 2 || NW_PLANT("ignore-spare"))
        return NORI_OK;
    while (previous && !continues(chain, previous, &link.header))
        previous = live_before(chain, previous);
    if (is_first ? !continues(chain, NULL, &link.header) : !previous)
        return NORI_OK;
    link.id = link.header.segment_id;
    if (previous) {
        for (size_t i = (size_t)(previous - chain->links) + 1; i < chain->count; i++)
            chain->links[i].is_live = false;
        previous->end = link.header.prev_end;
    } else {
        chain->first_live = chain->count;
    }
    chain->log_id = link.header.log_id;
    chain->id_max = link.id;
    chain->has_ids = true;
    return add_link(chain, &link); /* behind all others, by its id */
}

static int find_live(struct nw_chain *chain, const struct nw_env *env, struct nori_error *error)
{
    size_t newest = chain->count;
    int rc;

    chain->first_live = chain->count;
    while (newest > 0 && chain->links[newest - 1].format != 2)
        newest--;
    if (newest == 0)
        return take_all_format1(chain, env, error);
    rc = walk(chain, newest - 1, error);
    if (rc < 0)
        return rc;
    return check_dead(chain, env, newest - 1, error);
}

int nw_chain_list(struct nw_chain *chain, const struct nw_env *env, struct nori_error *error)
{
    int rc;

    nw_chain_done(chain);
    rc = env->folder->ops->list(env->folder, note_name, chain);
    if (rc == NORI_E_NOMEM)
        return nw_no_memory(error);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "list the folder");
    if (chain->count > 0)
        qsort(chain->links, chain->count, sizeof *chain->links, compare_ids);
    return NORI_OK;
}

int nw_chain_load_below(struct nw_chain *chain, const struct nw_env *env, uint64_t segment_id,
                        struct nori_error *error)
{
    int rc = nw_chain_list(chain, env, error);

    while (chain->count > 0 && chain->links[chain->count - 1].id >= segment_id)
        chain->count--;
    if (rc >= 0)
        rc = read_links(chain, env, true, error);
    return rc < 0 ? rc : find_live(chain, env, error);
}

int nw_chain_load(struct nw_chain *chain, const struct nw_env *env, bool for_writing,
                  struct nori_error *error)
{
    struct nw_link spare = {.is_spare = true, .is_live = true, .end = NW_OPEN_END};
    struct nori_error problem = NORI_ERROR_INIT;
    bool has_spare;
    int spare_rc;
    int rc;

    /* First: a live writer may give it its name before the folder is listed, but not after both. */
    spare_rc = read_link(env, &spare, for_writing, &problem);
    rc = nw_chain_list(chain, env, error);
    if (rc >= 0)
        rc = read_links(chain, env, for_writing, error);
    if (rc >= 0)
        rc = find_live(chain, env, error);
    has_spare = spare_rc != NORI_E_NOTFOUND && spare_rc != NORI_E_CORRUPT;
    if (has_spare && spare_rc < 0 &&
        (rc >= 0 || (rc == NORI_E_CORRUPT && (for_writing || spare_rc == NORI_E_VERSION)))) {
        nw_error_copy(error, &problem); /* D12: before any damage is mended */
        return spare_rc;
    }
    if (rc < 0)
        return rc;
    if (!has_spare)
        return NORI_OK; /* none, or its header was torn: nothing in it was ever durable */
    return adopt_spare(chain, &spare) < 0 ? nw_no_memory(error) : NORI_OK;
}

uint64_t nw_chain_watermark(const struct nw_chain *chain)
{
    uint64_t watermark = 0;

    for (size_t i = chain->first_live; i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];

        if (link->is_live && link->format == 2)
            watermark = nw_max_u64(watermark, link->header.durable_lsn);
    }
    return watermark;
}

/* Is this open file the one that the link describes? */
static int is_same_file(struct nori_file *file, const struct nw_link *link)
{
    uint8_t start[NW_HEADER_LEN_MAX];
    struct nw_header header;
    size_t got = 0;
    int rc;

    if (link->format != 2)
        return 1;
    rc = file->ops->read(file, start, (size_t)link->begin, 0, &got);
    if (rc < 0)
        return rc;
    return nw_header_decode(start, got, &header) == 0 && header.salt == link->header.salt;
}

int nw_link_open(const struct nw_env *env, const struct nw_link *link, uint32_t flags,
                 struct nori_file **ret_file, struct nori_error *error)
{
    struct nw_link named = *link;
    char name[NW_NAME_MAX];
    int rc = NORI_VFS_ERROR(NORI_E_NOTFOUND, 0);

    /* A live writer may rename `spare` between our look at it and this open, and prepare another
     * one. */
    for (int attempt = 0; attempt < 2 && NORI_VFS_CODE(rc) == NORI_E_NOTFOUND;
         attempt++, named.is_spare = false) {
        struct nori_file *file = NULL;
        int is_same;

        nw_link_name(&named, name);
        rc = env->folder->ops->open_file(env->folder, name, flags, 0, &file);
        if (rc < 0)
            continue;
        is_same = is_same_file(file, link);
        if (is_same == 1) {
            rc = env->staged ? nw_staged_wrap(env->staged, link->header.salt, false, &file)
                             : NORI_OK;
            if (rc >= 0)
                *ret_file = file;
            else
                file->ops->close(file);
            return rc < 0 ? nw_no_memory(error) : NORI_OK;
        }
        file->ops->close(file);
        rc = is_same < 0 ? is_same : NORI_VFS_ERROR(NORI_E_NOTFOUND, 0);
    }
    return nw_io_error(error, rc, (struct nori_position){link->id, 0}, "open %s", name);
}

/* The successor in format 1, if it holds a record already. */
static int extend_format1(struct nw_chain *chain, const struct nw_env *env, struct nw_link *link)
{
    struct nori_error ignored = NORI_ERROR_INIT;

    if (read_link(env, link, false, &ignored) < 0 || link->format != 1 || add_link(chain, link) < 0)
        return 0;
    chain->id_max = link->id;
    return 1;
}

int nw_chain_extend(struct nw_chain *chain, const struct nw_env *env)
{
    struct nori_error ignored = NORI_ERROR_INIT;
    struct nw_link *last = nw_chain_last(chain);
    struct nw_link link = {.is_live = true, .end = NW_OPEN_END};

    if (!last || last->id == UINT64_MAX)
        return 0;
    link.id = last->id + 1;
    if (last->format == 1)
        return extend_format1(chain, env, &link);
    for (int attempt = 0; attempt < 2; attempt++, link.is_spare = true) {
        if (read_link(env, &link, false, &ignored) < 0 || link.format != 2)
            continue;
        if (link.header.segment_id != last->id + 1 || link.header.prev_salt != last->header.salt ||
            link.header.prev_id != last->id || link.header.log_id != last->header.log_id ||
            link.header.prev_end < last->begin ||
            link.header.start - last->start != link.header.prev_end)
            continue;
        if (add_link(chain, &link) < 0)
            return 0;
        last = &chain->links[chain->count - 2]; /* the list may have moved */
        last->end = link.header.prev_end;
        chain->id_max = link.id;
        return 1;
    }
    return 0;
}
