/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_format_dump.c: the worked hex dump in docs/format.md is what the library writes.
 *
 * What. A small log is written by the library, with random bytes and a clock that are fixed. Then
 * it is read by a second implementation, below, that knows nothing but docs/format.md: it checks
 * every checksum and explains every byte. What it says must stand in the document, word for word.
 */
#include "generated.h"

#include <nori/vfs.h>
#include <nori/wal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- writing the log: the machine is fixed, the rest is real ---- */

#define LOG_ID UINT64_C(0x1111111111111111)
#define SALT   UINT64_C(0x0123456789abcdef)
#define TIME   UINT64_C(1700000000000) /* 2023-11-14 22:13:20 UTC */

static uint64_t clock_ms = TIME;
static unsigned random_count;

/* The first random number is the log's id, the second the salt of its first segment. */
static int fixed_random(void *context, void *target, size_t len)
{
    uint64_t number = random_count++ == 0 ? LOG_ID : SALT;

    (void)context;
    assert_int_equal(len, sizeof number);
    memcpy(target, &number, sizeof number);
    return 0;
}

static uint64_t fixed_realtime_ms(void *context)
{
    (void)context;
    return clock_ms;
}

static void write_log(const char *dir)
{
    struct nori_vfs vfs = *nori_vfs_posix();
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_record put = nori_record_put("key", 3, "value", 5);
    struct nori_record gone = nori_record_delete("key", 3);
    struct nori_record session = nori_record_put_with_ttl("k3", 2, "v3", 2, 1500);
    struct nori_record pair[] = {nori_record_put("a", 1, "1", 1), nori_record_put("b", 1, "2", 1)};
    nori_wal *wal = NULL;

    vfs.random = fixed_random;
    vfs.realtime_ms = fixed_realtime_ms;
    config.dir = dir;
    config.vfs = &vfs;
    config.node_id = 42;
    config.fsync_policy = NORI_FSYNC_OS; /* no sync, and so no mark, before the end */
    config.preallocate = NORI_PREALLOCATE_OFF;
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    assert_int_equal(nori_wal_append(wal, &put, NULL), NORI_OK);
    assert_int_equal(nori_wal_append(wal, &gone, NULL), NORI_OK);
    clock_ms += 1000;
    assert_int_equal(nori_wal_append(wal, &session, NULL), NORI_OK);
    clock_ms += 1000;
    assert_int_equal(nori_wal_append_batch(wal, pair, 2, NULL), NORI_OK);
    clock_ms += 1000;
    assert_int_equal(nori_wal_close(wal), NORI_OK);
}

/* ---- reading it: a second implementation ---- */

static uint32_t crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1) ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ~crc;
}

static uint64_t splitmix64(uint64_t x)
{
    uint64_t z = x + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t mask_of(uint64_t salt, uint64_t offset)
{
    uint32_t mask = (uint32_t)splitmix64(salt + offset);

    return mask == UINT32_C(0x6064a37a) ? mask ^ 1 : mask;
}

/* A file in memory, and how far it is explained. */
struct file {
    const uint8_t *data;
    size_t len;
    size_t at;
    struct text text;
};

/* One line: the next len bytes and what they are. */
__attribute__((format(printf, 3, 4))) static void explain(struct file *file, size_t len,
                                                          const char *format, ...)
{
    char meaning[160];
    va_list arguments;

    assert_true(len <= file->len - file->at && len <= 12);
    va_start(arguments, format);
    (void)vsnprintf(meaning, sizeof meaning, format, arguments);
    va_end(arguments);
    text_add(&file->text, "%6zu ", file->at);
    for (size_t i = 0; i < len; i++)
        text_add(&file->text, " %02x", file->data[file->at + i]);
    text_add(&file->text, "%*s  %s\n", (int)(3 * (12 - len)), "", meaning);
    file->at += len;
}

static uint64_t number_at(const struct file *file, size_t offset, size_t len)
{
    uint64_t number = 0;

    assert_true(offset + len <= file->len);
    for (size_t i = len; i > 0; i--)
        number = number << 8 | file->data[offset + i - 1];
    return number;
}

static void explain_number(struct file *file, size_t len, const char *name)
{
    explain(file, len, "%s: %llu", name, (unsigned long long)number_at(file, file->at, len));
}

static void explain_hex(struct file *file, size_t len, const char *name)
{
    explain(file, len, "%s: %0*llx", name, (int)(2 * len),
            (unsigned long long)number_at(file, file->at, len));
}

static void explain_header(struct file *file)
{
    static const uint8_t magic[] = {0xff, 'N', 'O', 'R', 'I', 'W', 'A', 'L'};

    text_add(&file->text, "-- segment header\n");
    assert_memory_equal(file->data, magic, sizeof magic);
    explain(file, 8, "magic");
    explain_number(file, 2, "version");
    explain_number(file, 2, "header_len");
    explain(file, 4, "incompat: none");
    explain(file, 4, "compat: none");
    explain_number(file, 4, "node_id");
    explain_number(file, 8, "segment_id");
    explain_number(file, 8, "base_sequence");
    explain_hex(file, 8, "log_id");
    explain_hex(file, 8, "salt");
    explain_number(file, 8, "created_ms");
    explain_number(file, 8, "start");
    explain(file, 8, "prev_salt: no predecessor");
    explain_number(file, 8, "max_record");
    explain(file, 8, "prev_id: no predecessor");
    explain(file, 8, "prev_end: no predecessor");
    explain_number(file, 8, "durable_lsn");
    explain(file, 12, "reserved");
    assert_int_equal(number_at(file, 124, 4), crc32c(file->data, 124));
    explain_hex(file, 4, "crc32c of the bytes before it");
}

static uint64_t explain_varint(struct file *file, const char *name)
{
    uint64_t value = 0;
    size_t len = 0;
    uint8_t byte;

    do {
        byte = file->data[file->at + len];
        value |= (uint64_t)(byte & 0x7f) << (7 * len++);
    } while (byte & 0x80);
    explain(file, len, "%s: %llu", name, (unsigned long long)value);
    return value;
}

static const char *name_of_flags(uint8_t flags)
{
    switch (flags) {
    case 0x00:
        return "flags: none, a put";
    case 0x01:
        return "flags: tombstone";
    case 0x22:
        return "flags: ttl, time";
    case 0x40:
        return "flags: the batch goes on";
    case 0x80:
        return "flags: control record";
    default:
        fail_msg("flags %02x do not stand in the sample", flags);
        return "";
    }
}

static void explain_mark(struct file *file, uint64_t value_len)
{
    assert_int_equal(value_len, 40);
    assert_int_equal(file->data[file->at], 1);
    explain(file, 1, "key: type 1, a mark");
    assert_int_equal(number_at(file, file->at, 8), SALT);
    explain_hex(file, 8, "value: salt");
    assert_int_equal(number_at(file, file->at, 8), LOG_ID);
    explain_hex(file, 8, "       log_id");
    explain_number(file, 8, "       next_sequence");
    explain_number(file, 8, "       durable_lsn");
    explain_number(file, 8, "       time_ms");
}

/* The next record; false at the first byte that is none. */
static bool explain_record(struct file *file, unsigned *sequence)
{
    size_t begin = file->at;
    uint64_t key_len;
    uint64_t value_len;
    uint32_t crc;
    uint32_t mask;
    uint8_t flags;

    if (number_at(file, begin, 7) == 0)
        return false;
    flags = file->data[begin + 2]; /* both lengths of the sample have one byte */
    if (flags & 0x80)
        text_add(&file->text, "-- control record\n");
    else
        text_add(&file->text, "-- record %u\n", ++*sequence);
    key_len = explain_varint(file, "klen");
    value_len = explain_varint(file, "vlen");
    explain(file, 1, "%s", name_of_flags(flags));
    if (flags & 0x02)
        (void)explain_varint(file, "ttl_ms");
    if (flags & 0x20)
        (void)explain_varint(file, "time_ms");
    if (flags & 0x80) {
        explain_mark(file, value_len);
    } else {
        explain(file, key_len, "key: \"%.*s\"", (int)key_len, file->data + file->at);
        if (value_len > 0)
            explain(file, value_len, "value: \"%.*s\"", (int)value_len, file->data + file->at);
    }
    crc = crc32c(file->data + begin, file->at - begin);
    mask = mask_of(SALT, begin);
    assert_int_equal(number_at(file, file->at, 4), crc ^ mask);
    explain(file, 4, "crc: crc32c %08x xor mask %08x", crc, mask);
    return true;
}

static size_t read_file(const char *dir, const char *name, uint8_t *data, size_t capacity)
{
    char path[512];
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(data, 1, capacity, file);
    (void)fclose(file);
    return len;
}

static void remove_log(const char *dir)
{
    static const char *const names[] = {"000000.wal", "spare", "control"};
    char path[512];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void the_hex_dump_is_what_the_library_writes(void **state)
{
    static uint8_t data[1 << 17];
    char dir[] = "/tmp/nori-docs-XXXXXX";
    struct file file = {.data = data};
    unsigned sequence = 0;
    int rc;

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_log(dir);
    file.len = read_file(dir, "000000.wal", data, sizeof data);
    remove_log(dir);

    text_add(&file.text, "```\n");
    explain_header(&file);
    while (explain_record(&file, &sequence))
        ;
    assert_int_equal(sequence, 5);
    for (size_t i = file.at; i < file.len; i++)
        assert_int_equal(data[i], 0);
    text_add(&file.text, "-- unused space\n%6zu  00 ...                                ", file.at);
    text_add(&file.text, "  zeros up to the end of the file, %zu\n```\n", file.len);
    rc = generated_block("docs/format.md", "hex-dump", file.text.data);
    text_free(&file.text);
    assert_int_equal(rc, 0);
}

/* ---- values to check one's own functions with ---- */

static void add_format1(struct text *text, const char *what, const char *bytes, size_t len)
{
    const uint8_t *data = (const uint8_t *)bytes;
    uint32_t crc = crc32c(data, len - 4);

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(data[len - 4 + i], (uint8_t)(crc >> (8 * i)));
    text_add(text, "%-34s", what);
    for (size_t i = 0; i < len; i++)
        text_add(text, " %02x", data[i]);
    text_add(text, "\n");
}

static void the_check_values_hold(void **state)
{
    static const uint8_t put[] = {1, 1, 0, 'k', 'v'};
    struct text text = {0};
    uint32_t crc = crc32c(put, sizeof put);
    uint32_t mask = mask_of(SALT, 96);
    int rc;

    (void)state;
    text_add(&text, "```\n");
    text_add(&text, "crc32c(\"123456789\")                 %08x\n",
             crc32c((const uint8_t *)"123456789", 9));
    text_add(&text, "crc32c(00 00 00)                    %08x\n", crc32c((const uint8_t[3]){0}, 3));
    text_add(&text, "splitmix64(0)                       %016llx\n",
             (unsigned long long)splitmix64(0));
    text_add(&text, "format 2, salt 0123456789abcdef, put \"k\" -> \"v\" at offset 96\n");
    text_add(&text, "  crc32c(01 01 00 6b 76)            %08x\n", crc);
    text_add(&text, "  mask                              %08x\n", mask);
    text_add(&text, "  record                            01 01 00 6b 76");
    for (unsigned i = 0; i < 4; i++)
        text_add(&text, " %02x", (uint8_t)((crc ^ mask) >> (8 * i)));
    text_add(&text, "\nformat 1\n");
#define FORMAT1(what, bytes) add_format1(&text, "  " what, bytes, sizeof bytes - 1)
    FORMAT1("put \"key\" -> \"value\"", "\x03\x05\x00"
                                        "keyvalue\xa6\xed\xbc\x9a");
    FORMAT1("delete \"key\"", "\x03\x00\x01"
                              "key\xff\xcb\x13\x9e");
    FORMAT1("put \"k3\" -> \"v3\", TTL 1500 ms", "\x02\x02\x02\xdc\x0bk3v3\xbc\x81\xa5\xff");
    FORMAT1("put \"\" -> \"\"", "\x00\x00\x00\x7a\xa3\x64\x60");
    FORMAT1("put \"l1\" -> \"t\", LZ4", "\x02\x03\x04l1\x01\x10t\xd0\xcf\xf9\xd2");
    FORMAT1("put \"z1\" -> \"t\", Zstandard",
            "\x02\x0a\x08z1\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00t\x89\xaf\xa4\x7d");
#undef FORMAT1
    text_add(&text, "```\n");
    rc = generated_block("docs/format.md", "check-values", text.data);
    text_free(&text);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hex_dump_is_what_the_library_writes),
        cmocka_unit_test(the_check_values_hold),
    };

    return cmocka_run_group_tests_name("format dump", tests, NULL, NULL);
}
