/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_chain.c: which files are the log: the walk over headers, with every rule of it broken
 * once. */
#include "wal/chain.h"

#include "../api/encode.h"
#include "../api/helpers.h"

#include <nori/sim.h>

#define LOG_ID 77u

struct fixture {
    const char *dir;
    struct nw_env env;
    struct nw_chain chain;
    struct nori_error error;
};

static void begin(struct fixture *fixture, void **state)
{
    const struct nori_vfs *vfs = nori_vfs_posix();

    *fixture = (struct fixture){.dir = NULL};
    fixture->dir = dir_of(state);
    make_dir(fixture->dir);
    fixture->env.vfs = vfs;
    fixture->env.allocator = nori_allocator_malloc();
    assert_int_equal(vfs->open_folder(vfs->context, fixture->dir, 0, 0, &fixture->env.folder), 0);
    nw_chain_init(&fixture->chain, fixture->env.allocator);
}

static void end(struct fixture *fixture)
{
    nw_chain_done(&fixture->chain);
    fixture->env.folder->ops->close(fixture->env.folder);
}

static int load(struct fixture *fixture)
{
    fixture->error = (struct nori_error)NORI_ERROR_INIT;
    return nw_chain_load(&fixture->chain, &fixture->env, true, &fixture->error);
}

/* Segment `id` with salt 1000 + id and 300 bytes of records behind its header, continuing
 * `previous`. */
static struct raw_header header_of(uint64_t id, uint64_t previous, uint64_t start)
{
    return (struct raw_header){.segment_id = id,
                               .base_sequence = id + 1,
                               .log_id = LOG_ID,
                               .salt = 1000 + id,
                               .start = start,
                               .prev_salt = previous == RAW_NO_SEGMENT ? 0 : 1000 + previous,
                               .max_record = 65536,
                               .prev_id = previous,
                               .prev_end = previous == RAW_NO_SEGMENT ? 0 : 400};
}

static void store_segment(const struct fixture *fixture, const char *name, struct raw_header header)
{
    struct bytes file = {0};

    put_header(&file, &header);
    put_zeros(&file, 300);
    store_file(fixture->dir, name, file.data, file.len);
    free_bytes(&file);
}

/* Segments 0, 2, 3 and 7, one behind the other. */
static void store_four(const struct fixture *fixture)
{
    static const uint64_t ids[] = {0, 2, 3, 7};

    for (size_t i = 0; i < 4; i++)
        store_segment(fixture, segment_name(ids[i]),
                      header_of(ids[i], i == 0 ? RAW_NO_SEGMENT : ids[i - 1], i * 400));
}

static void poke_segment(nori_sim *sim, uint64_t id, struct raw_header header)
{
    struct bytes file = {0};
    char path[32];

    put_header(&file, &header);
    put_zeros(&file, 300);
    (void)snprintf(path, sizeof path, "wal/%s", segment_name(id));
    assert_int_equal(nori_sim_file_poke(sim, path, 0, file.data, file.len), 0);
    free_bytes(&file);
}

static void expect_live(const struct fixture *fixture, const uint64_t *ids, size_t count)
{
    const struct nw_chain *chain = &fixture->chain;
    size_t found = 0;

    for (size_t i = 0; i < chain->count; i++)
        if (chain->links[i].is_live) {
            assert_true(found < count);
            assert_int_equal(chain->links[i].id, ids[found]);
            assert_int_equal(chain->links[i].end, found + 1 < count ? 400 : NW_OPEN_END);
            found++;
        }
    assert_int_equal(found, count);
}

static void an_empty_folder_is_an_empty_chain(void **state)
{
    struct fixture fixture;

    begin(&fixture, state);
    store_file(fixture.dir, "notes", "x", 1);
    store_file(fixture.dir, "1.wal", "x", 1);
    assert_int_equal(load(&fixture), NORI_OK);
    assert_int_equal(fixture.chain.count, 0);
    assert_false(fixture.chain.has_ids);
    assert_null(nw_chain_last(&fixture.chain));
    end(&fixture);
}

static void segments_are_found_in_order_whatever_ids_are_skipped(void **state)
{
    const uint64_t ids[] = {0, 2, 3, 7};
    struct fixture fixture;
    size_t i;

    begin(&fixture, state);
    store_four(&fixture);
    assert_int_equal(load(&fixture), NORI_OK);
    expect_live(&fixture, ids, 4);
    assert_int_equal(fixture.chain.id_max, 7);
    assert_int_equal(fixture.chain.log_id, LOG_ID);
    assert_int_equal(fixture.chain.first_live, 0);
    assert_int_equal(nw_chain_last(&fixture.chain)->id, 7);
    assert_int_equal(nw_chain_find_salt(&fixture.chain, 1003)->id, 3);
    assert_null(nw_chain_find_salt(&fixture.chain, 0));
    assert_null(nw_chain_find_salt(&fixture.chain, 5));
    assert_int_equal(nw_chain_next_live(&fixture.chain, 1, &i)->id, 3);
    assert_null(nw_chain_next_live(&fixture.chain, 3, &i));
    end(&fixture);
}

/* A newer header whose predecessor is older than others leaves those behind. */
static void what_is_off_the_chain_is_dead(void **state)
{
    const uint64_t ids[] = {0, 2, 8};
    struct fixture fixture;

    begin(&fixture, state);
    store_four(&fixture);
    store_segment(&fixture, segment_name(8), header_of(8, 2, 800));
    assert_int_equal(load(&fixture), NORI_OK);
    expect_live(&fixture, ids, 3);
    assert_int_equal(fixture.chain.count, 5);
    assert_false(fixture.chain.links[2].is_live);
    assert_false(fixture.chain.links[3].is_live);
    end(&fixture);
}

static void expect_damaged(struct fixture *fixture, uint64_t id)
{
    assert_int_equal(load(fixture), NORI_E_CORRUPT);
    assert_int_equal(fixture->error.position.segment_id, id);
    assert_true(strstr(fixture->error.message, segment_name(id)) != NULL);
    /* Put right for the next. */
    store_four(fixture);
    assert_int_equal(load(fixture), NORI_OK);
}

/* D6, D12: each rule of the walk. */
static void a_header_that_breaks_a_rule_is_damage(void **state)
{
    struct raw_header header;
    struct fixture fixture;

    begin(&fixture, state);
    store_four(&fixture);

    header = header_of(4, 2, 800); /* another id than the name */
    store_segment(&fixture, segment_name(3), header);
    expect_damaged(&fixture, 3);

    header = header_of(3, 2, 801); /* it starts behind its predecessor's end */
    store_segment(&fixture, segment_name(3), header);
    expect_damaged(&fixture, 7);

    header = header_of(3, 2, 800); /* its predecessor ends inside its header */
    header.prev_end = 100;
    header.start = 500;
    store_segment(&fixture, segment_name(3), header);
    expect_damaged(&fixture, 7);

    header = header_of(7, 3, 1200); /* another log */
    header.log_id = 78;
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);

    header = header_of(7, 3, 1200); /* a predecessor that is not there */
    header.prev_salt = 5;
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);

    header = header_of(7, 3, 1200); /* salt and id name two predecessors */
    header.prev_id = 2;
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);

    header = header_of(7, RAW_NO_SEGMENT, 0); /* it begins a log, behind another */
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);

    header = header_of(7, 3, (UINT64_C(1) << 62) + 1); /* positions that no log reaches */
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);
    header = header_of(7, 3, 1200);
    header.prev_end = (UINT64_C(1) << 62) + 1;
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);
    header = header_of(7, 3, 1200);
    header.base_sequence = (UINT64_C(1) << 62) + 1;
    store_segment(&fixture, segment_name(7), header);
    expect_damaged(&fixture, 7);

    header = header_of(1, 0, 400); /* off the chain, and of another log: nothing may remove it */
    header.log_id = 78;
    store_segment(&fixture, segment_name(1), header);
    assert_int_equal(load(&fixture), NORI_E_CORRUPT);
    assert_int_equal(fixture.error.position.segment_id, 1);
    end(&fixture);
}

static void remove_segment(const struct fixture *fixture, uint64_t id)
{
    assert_int_equal(fixture->env.folder->ops->remove(fixture->env.folder, segment_name(id)), 0);
}

static void a_missing_segment_is_damage_unless_it_was_the_oldest(void **state)
{
    const uint64_t ids[] = {3, 7};
    struct fixture fixture;

    begin(&fixture, state);
    store_four(&fixture);
    remove_segment(&fixture, 3);
    expect_damaged(&fixture, 7);
    remove_segment(&fixture, 0);
    remove_segment(&fixture, 2);
    assert_int_equal(load(&fixture), NORI_OK);
    expect_live(&fixture, ids, 2);
    end(&fixture);
}

/* A segment that had no name yet when its process died. */
static void a_spare_that_continues_the_chain_is_its_newest_link(void **state)
{
    const uint64_t ids[] = {0, 2, 3, 7, 8};
    struct nori_file *file = NULL;
    char name[NW_NAME_MAX];
    struct fixture fixture;
    struct nw_link *last;

    begin(&fixture, state);
    store_four(&fixture);
    store_segment(&fixture, "spare", header_of(8, 7, 1600));
    assert_int_equal(load(&fixture), NORI_OK);
    expect_live(&fixture, ids, 5);
    last = nw_chain_last(&fixture.chain);
    assert_true(last->is_spare);
    nw_link_name(last, name);
    assert_string_equal(name, "spare");
    assert_int_equal(nw_link_open(&fixture.env, last, 0, &file, &fixture.error), NORI_OK);
    file->ops->close(file);
    /* It gets its name meanwhile: still the same file; and another one in its place is not. */
    assert_int_equal(fixture.env.folder->ops->rename(fixture.env.folder, "spare", segment_name(8)),
                     0);
    store_segment(&fixture, "spare", header_of(9, 8, 2000));
    assert_int_equal(nw_link_open(&fixture.env, last, 0, &file, &fixture.error), NORI_OK);
    file->ops->close(file);
    remove_segment(&fixture, 8);
    assert_int_equal(nw_link_open(&fixture.env, last, 0, &file, &fixture.error), NORI_E_NOTFOUND);
    end(&fixture);
}

/* Whatever else lies in `spare` was never part of the log. */
static void a_spare_that_continues_nothing_is_left_alone(void **state)
{
    const uint64_t ids[] = {0, 2, 3, 7};
    struct raw_header header;
    struct fixture fixture;

    begin(&fixture, state);
    store_four(&fixture);
    for (int way = 0; way < 7; way++) {
        header = header_of(8, 7, 1600);
        switch (way) {
        case 0:
            header.prev_salt = 5;
            break;
        case 1:
            header.log_id = 78;
            break;
        case 2:
            header.start = 1601;
            break;
        case 3:
            header = header_of(7, 3, 1200);
            break;
        case 4:
            header.prev_id = 3;
            break;
        case 5: /* its predecessor ends inside its header */
            header.prev_end = 100;
            header.start = 1300;
            break;
        default:
            header = header_of(8, RAW_NO_SEGMENT, 0);
            break;
        }
        store_segment(&fixture, "spare", header);
        assert_int_equal(load(&fixture), NORI_OK);
        expect_live(&fixture, ids, 4);
    }
    store_file(fixture.dir, "spare", "\xffNORIWAL", 8); /* torn */
    assert_int_equal(load(&fixture), NORI_OK);
    store_file(fixture.dir, "spare", "", 0);
    assert_int_equal(load(&fixture), NORI_OK);
    expect_live(&fixture, ids, 4);
    end(&fixture);
}

static void the_successor_is_found_without_walking(void **state)
{
    const uint64_t ids[] = {0, 2, 3, 7, 8, 9};
    struct fixture fixture;

    begin(&fixture, state);
    store_four(&fixture);
    assert_int_equal(load(&fixture), NORI_OK);
    assert_int_equal(nw_chain_extend(&fixture.chain, &fixture.env), 0);
    for (int way = 0; way < 5; way++) {
        struct raw_header header = header_of(8, 7, 1600);

        header.segment_id += way == 0;
        header.prev_salt += way == 1;
        header.prev_id -= way == 2;
        header.log_id += way == 3;
        if (way == 4)
            header.prev_end = header.start = 100;
        store_segment(&fixture, segment_name(8), header); /* it is not the successor */
        assert_int_equal(nw_chain_extend(&fixture.chain, &fixture.env), 0);
    }
    store_segment(&fixture, segment_name(8), header_of(8, 7, 1600));
    assert_int_equal(nw_chain_extend(&fixture.chain, &fixture.env), 1);
    store_segment(&fixture, "spare", header_of(9, 8, 2001)); /* it does not fit */
    assert_int_equal(nw_chain_extend(&fixture.chain, &fixture.env), 0);
    store_segment(&fixture, "spare", header_of(9, 8, 2000));
    assert_int_equal(nw_chain_extend(&fixture.chain, &fixture.env), 1);
    expect_live(&fixture, ids, 6);
    end(&fixture);
}

/* A reader that goes on in the successor is told later, not wrongly: the chain stays as it was. */
static void whatever_call_fails_the_successor_is_found_or_not_yet(void **state)
{
    bool did_fail = true;

    for (uint64_t nth = 1; did_fail; nth++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = nori_sim_new(NULL);
        const struct nori_vfs *vfs = nori_sim_vfs(sim);
        struct fixture fixture = {.env = {.vfs = vfs, .allocator = nori_sim_allocator(sim)}};
        struct nori_file *file = NULL;
        int rc, extended;

        (void)state;
        assert_int_equal(
            vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &fixture.env.folder),
            0);
        poke_segment(sim, 0, header_of(0, RAW_NO_SEGMENT, 0));
        nw_chain_init(&fixture.chain, fixture.env.allocator);
        assert_int_equal(load(&fixture), NORI_OK);
        poke_segment(sim, 1, header_of(1, 0, 400));
        options.fail_nth = nth;
        nori_sim_set_options(sim, &options);
        extended = nw_chain_extend(&fixture.chain, &fixture.env);
        rc = nw_link_open(&fixture.env, nw_chain_last(&fixture.chain), 0, &file, &fixture.error);
        did_fail = nori_sim_did_fail(sim);
        assert_int_equal(fixture.chain.count, 1 + (size_t)extended);
        assert_true(rc == NORI_OK || rc == NORI_E_IO);
        assert_true(did_fail || (extended && rc == NORI_OK));
        if (rc == NORI_OK)
            file->ops->close(file);
        end(&fixture);
        assert_int_equal(nori_sim_memory_blocks(sim), 0);
        nori_sim_free(sim);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(an_empty_folder_is_an_empty_chain),
        IN_FOLDER(segments_are_found_in_order_whatever_ids_are_skipped),
        IN_FOLDER(what_is_off_the_chain_is_dead),
        IN_FOLDER(a_header_that_breaks_a_rule_is_damage),
        IN_FOLDER(a_missing_segment_is_damage_unless_it_was_the_oldest),
        IN_FOLDER(a_spare_that_continues_the_chain_is_its_newest_link),
        IN_FOLDER(a_spare_that_continues_nothing_is_left_alone),
        IN_FOLDER(the_successor_is_found_without_walking),
        cmocka_unit_test(whatever_call_fails_the_successor_is_found_or_not_yet),
    };

    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
