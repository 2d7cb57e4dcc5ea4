/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_segment.c: bytes as one segment: its header, and the scan of it, which must end where, and
 * count what, a walk over its records in memory says.
 *
 * Input: a folder, as folder.h has it; its first live segment is scanned.
 */
#include "folder.h"
#include "seal.h"

#include "wal/scan.h"

#include <string.h>

/* Whole batches from `begin` on: their end and their records. */
static void walk(const struct nw_link *link, const uint8_t *bytes, size_t len, uint64_t limit,
                 struct nw_segment_scan *ret_scan)
{
    struct nw_record_place place = {link->format, link->header.salt, link->begin};
    struct nw_scan scan = nw_scan_over(bytes + link->begin, len - link->begin);
    struct nw_segment_scan walked = {.end = link->begin};
    struct nw_stored_record record;
    uint64_t pending = 0;

    while (nw_record_decode(&scan, &place, limit, &record) == 0) {
        bool is_control = nw_record_is_control(&record);
        struct nw_mark mark;
        int rc = is_control ? nw_control_decode(&record, place.salt, &mark) : 0;

        if (rc == NW_CONTROL_IS_HOLE)
            walked.hidden = 1; /* what it hides, if any, is left to the other fuzzers */
        if (is_control &&
            (pending > 0 || rc < 0 || walked.hidden > 0 ||
             (rc == NW_CONTROL_IS_MARK && (mark.log_id != link->header.log_id ||
                                           mark.durable_lsn > link->start + place.offset))))
            break; /* a bad place */
        place.offset += record.len;
        pending += !is_control;
        if (nw_record_continues(&record))
            continue;
        walked.records += pending;
        walked.end = place.offset;
        pending = 0;
    }
    *ret_scan = walked;
}

static void check_header(const struct nw_link *link, const uint8_t *bytes)
{
    uint8_t again[NW_HEADER_LEN];

    if (link->header.header_len != NW_HEADER_LEN || (link->header.compat & ~NW_COMPAT_KNOWN) != 0)
        return;
    nw_header_encode(again, &link->header);
    fuzz_check(memcmp(again, bytes, sizeof again) == 0,
               "a header encodes to other bytes than it was decoded from");
}

static void check_scan(const struct nw_env *env, const struct nw_chain *chain,
                       const struct nw_link *link, const uint8_t *bytes, size_t len)
{
    struct nw_segment_scan scan = {.end = link->begin, .next_sequence = link->first_sequence};
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_segment_scan walked;
    struct nw_cursor cursor;
    int rc;

    nw_cursor_begin(&cursor, env->allocator, NULL, 2, 0, 0, 0, false);
    rc = nw_segment_scan(env, chain, link, &cursor, 0, &scan, NULL, NULL, &error);
    nw_cursor_done(&cursor);
    if (link->begin > len)
        return;
    fuzz_check(rc >= 0 || rc == NORI_E_VERSION, "a scan gives %d", rc);
    walk(link, bytes, len, nw_link_record_limit(link, 0), &walked);
    if (rc < 0 || walked.hidden > 0 || link->end != NW_OPEN_END)
        return;
    fuzz_check(scan.end <= len, "a scan of %zu bytes ends at %llu", len,
               (unsigned long long)scan.end);
    fuzz_check(scan.end == walked.end && scan.records == walked.records,
               "a scan ends at %llu with %llu records, a walk at %llu with %llu",
               (unsigned long long)scan.end, (unsigned long long)scan.records,
               (unsigned long long)walked.end, (unsigned long long)walked.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t bytes[(size_t)1 << 19];
    struct fuzz_input input = {data, len};
    bool is_forged;
    nori_sim *sim = folder_new(&input, &is_forged);
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nw_env env = {.vfs = vfs, .allocator = memory_allocator()};
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_chain chain;

    (void)vfs->open_folder(vfs->context, FOLDER_DIR, 0, 0, &env.folder);
    nw_chain_init(&chain, env.allocator);
    if (nw_chain_load(&chain, &env, false, &error) >= 0 && chain.first_live < chain.count) {
        const struct nw_link *link = &chain.links[chain.first_live];
        char path[FOLDER_PATH_LEN] = FOLDER_DIR "/";
        size_t got = 0;

        nw_link_name(link, path + strlen(path));
        (void)nori_sim_file_read(sim, path, 0, bytes, sizeof bytes, &got);
        if (link->format == 2)
            check_header(link, bytes);
        if (got < sizeof bytes)
            check_scan(&env, &chain, link, bytes, got);
    }
    nw_chain_done(&chain);
    env.folder->ops->close(env.folder);
    fuzz_check(memory_blocks() == 0, "memory leaks");
    nori_sim_free(sim);
    return 0;
}
