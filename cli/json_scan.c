/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_scan.c: a record from a plain line of JSON, without building a tree.
 *
 * What. One pass notes where the members lie and changes nothing; only when all of the line is
 * understood are key and value decoded, in place, and the record filled. Plain means: only the
 * members that nori dump prints, each once, numbers that are whole, names without escapes, and no
 * escapes in a string that is needed. Everything else is left to the full parser in json_record.c,
 * which also finds the words for what is wrong. A line that is taken here means what the full
 * parser would have made of it; that numbers here may reach 2^64 - 1 is the one difference.
 *
 * Failure. There is none, only "not plain".
 */
#include "json_record.h"

#include <stdint.h>
#include <string.h>

#include "text.h"

/* Where a scan stands. Once is_plain is false nothing counts any more. */
struct scan {
    char *at;
    char *end;
    bool is_plain;
};

struct string {
    char *bytes; /* NULL: absent or null */
    size_t len;
    bool has_escapes;
};

struct number {
    bool is_given;
    uint64_t value;
};

enum member {
    MEMBER_SEGMENT,
    MEMBER_OFFSET,
    MEMBER_SEQUENCE,
    MEMBER_TTL,
    MEMBER_TIME,
    MEMBER_NUMBERS, /* how many of these there are */
    MEMBER_KEY = MEMBER_NUMBERS,
    MEMBER_KEY_HEX,
    MEMBER_VALUE,
    MEMBER_VALUE_HEX,
    MEMBER_COMPRESSION,
    MEMBER_STRINGS_END,
    MEMBER_TOMBSTONE = MEMBER_STRINGS_END,
    MEMBER_VERSION,
    MEMBER_COUNT
};

struct name {
    const char *text;
    size_t len;
};

#define NAME(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }

static const struct name names[MEMBER_COUNT] = {
    [MEMBER_SEGMENT] = NAME("segment"),     [MEMBER_OFFSET] = NAME("offset"),
    [MEMBER_SEQUENCE] = NAME("sequence"),   [MEMBER_TTL] = NAME("ttl_ms"),
    [MEMBER_TIME] = NAME("time_ms"),        [MEMBER_KEY] = NAME("key"),
    [MEMBER_KEY_HEX] = NAME("key_hex"),     [MEMBER_VALUE] = NAME("value"),
    [MEMBER_VALUE_HEX] = NAME("value_hex"), [MEMBER_COMPRESSION] = NAME("compression"),
    [MEMBER_TOMBSTONE] = NAME("tombstone"), [MEMBER_VERSION] = NAME("version"),
};

/* What was noted. */
struct plain {
    unsigned seen; /* a bit for each member */
    struct number numbers[MEMBER_NUMBERS];
    struct string strings[MEMBER_STRINGS_END - MEMBER_NUMBERS];
    struct number tombstone; /* 0 or 1 */
    struct number term, index;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, const char *word, size_t len)
{
    if (!scan->is_plain || (size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* This character, with space around it, or the line is not plain. */
static void expect(struct scan *scan, char wanted)
{
    skip_space(scan);
    if (!take(scan, &wanted, 1))
        scan->is_plain = false;
    skip_space(scan);
}

/* A simple escape of JSON at the backslash: its length, or 0. Surrogates are not simple. */
static size_t escape_len(const char *at, const char *end)
{
    if (end - at < 2 || at[1] == '\0')
        return 0;
    if (strchr("\"\\/bfnrt", at[1]))
        return 2;
    if (at[1] != 'u' || end - at < 6 || !cli_hex_is_valid(at + 2, 4))
        return 0;
    return at[2] == 'd' || at[2] == 'D' ? 0 : 6;
}

static struct string scan_string(struct scan *scan)
{
    struct string string = {NULL, 0, false};
    unsigned char *at;
    unsigned char *end = (unsigned char *)scan->end;

    if (!take(scan, "\"", 1)) {
        scan->is_plain = false;
        return string;
    }
    string.bytes = scan->at;
    at = (unsigned char *)scan->at;
    while (at < end && *at != '"') {
        size_t len = cli_text_plain_len(at, (size_t)(end - at));

        if (len == 0 && *at == '\\') {
            len = escape_len((char *)at, scan->end);
            string.has_escapes = true;
        } else if (len == 0 && *at >= 0x20) {
            len = cli_utf8_char_len(at, (size_t)(end - at));
        }
        if (len == 0) {
            scan->is_plain = false;
            return string;
        }
        at += len;
    }
    string.len = (size_t)((char *)at - string.bytes);
    scan->at = (char *)at;
    if (!take(scan, "\"", 1))
        scan->is_plain = false;
    return string;
}

static struct number scan_number(struct scan *scan)
{
    struct number number = {true, 0};
    const char *begin = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        unsigned digit = (unsigned)(*scan->at - '0');

        if (number.value > (UINT64_MAX - digit) / 10)
            scan->is_plain = false;
        number.value = number.value * 10 + digit;
        scan->at++;
    }
    if (scan->at == begin || (*begin == '0' && scan->at - begin > 1))
        scan->is_plain = false;
    return number;
}

static void scan_version(struct scan *scan, struct plain *plain)
{
    expect(scan, '{');
    if (!take(scan, "\"term\"", 6))
        scan->is_plain = false;
    expect(scan, ':');
    plain->term = scan_number(scan);
    expect(scan, ',');
    if (!take(scan, "\"index\"", 7))
        scan->is_plain = false;
    expect(scan, ':');
    plain->index = scan_number(scan);
    expect(scan, '}');
}

static enum member scan_name(struct scan *scan)
{
    struct string found = scan_string(scan);

    for (unsigned i = 0; scan->is_plain && i < MEMBER_COUNT; i++) {
        if (names[i].len == found.len && memcmp(names[i].text, found.bytes, found.len) == 0)
            return (enum member)i;
    }
    scan->is_plain = false;
    return MEMBER_COUNT;
}

static void scan_member(struct scan *scan, struct plain *plain)
{
    enum member member = scan_name(scan);

    expect(scan, ':');
    if (!scan->is_plain || (plain->seen & 1u << member)) {
        scan->is_plain = false; /* given twice */
        return;
    }
    plain->seen |= 1u << member;
    if (take(scan, "null", 4))
        return;
    if (member < MEMBER_NUMBERS)
        plain->numbers[member] = scan_number(scan);
    else if (member < MEMBER_STRINGS_END)
        plain->strings[member - MEMBER_NUMBERS] = scan_string(scan);
    else if (member == MEMBER_VERSION)
        scan_version(scan, plain);
    else if (take(scan, "false", 5))
        plain->tombstone = (struct number){true, 0};
    else if (take(scan, "true", 4))
        plain->tombstone = (struct number){true, 1};
    else
        scan->is_plain = false;
}

static struct string *string_of(struct plain *plain, enum member member)
{
    return &plain->strings[member - MEMBER_NUMBERS];
}

static bool compression_of(struct plain *plain, uint32_t *ret_compression)
{
    const struct string *name = string_of(plain, MEMBER_COMPRESSION);

    if (!name->bytes)
        return true;
    for (uint32_t i = 0; cli_compression_names[i]; i++) {
        if (strlen(cli_compression_names[i]) == name->len &&
            memcmp(cli_compression_names[i], name->bytes, name->len) == 0) {
            *ret_compression = i;
            return true;
        }
    }
    return false;
}

/* The one of text and hexadecimal that counts can be used as it lies there. */
static bool is_usable(const struct string *text, const struct string *hex)
{
    if (hex->bytes)
        return cli_hex_is_valid(hex->bytes, hex->len);
    return !text->has_escapes;
}

static const char *decode(const struct string *text, const struct string *hex, size_t *ret_len)
{
    if (hex->bytes) {
        cli_hex_decode(hex->bytes, hex->len, (unsigned char *)hex->bytes);
        *ret_len = hex->len / 2;
        return hex->bytes;
    }
    *ret_len = text->len;
    return text->bytes;
}

static void fill_record(struct plain *plain, uint32_t compression, struct nori_record *record)
{
    const struct number *ttl = &plain->numbers[MEMBER_TTL];
    const struct number *time = &plain->numbers[MEMBER_TIME];

    if (plain->tombstone.is_given)
        record->flags &= ~NORI_RECORD_TOMBSTONE;
    record->flags |= plain->tombstone.value ? NORI_RECORD_TOMBSTONE : 0;
    record->flags |= ttl->is_given ? NORI_RECORD_TTL : 0;
    record->flags |= time->is_given ? NORI_RECORD_TIME : 0;
    record->flags |= plain->term.is_given ? NORI_RECORD_VERSION : 0;
    record->ttl_ms = ttl->value;
    record->time_ms = time->value;
    record->version_term = plain->term.value;
    record->version_index = plain->index.value;
    record->compression = compression;
    record->key =
        decode(string_of(plain, MEMBER_KEY), string_of(plain, MEMBER_KEY_HEX), &record->key_len);
    record->value = decode(string_of(plain, MEMBER_VALUE), string_of(plain, MEMBER_VALUE_HEX),
                           &record->value_len);
}

/* All of the object. True if the line is plain up to its end. */
static bool scan_object(struct scan *scan, struct plain *plain)
{
    expect(scan, '{');
    for (;;) {
        scan_member(scan, plain);
        skip_space(scan);
        if (!take(scan, ",", 1))
            break;
        skip_space(scan);
    }
    expect(scan, '}');
    return scan->is_plain && scan->at == scan->end;
}

bool cli_json_scan(char *line, size_t len, struct nori_record *record)
{
    struct scan scan = {line, line + len, true};
    struct plain plain = {0};
    const struct string *key = string_of(&plain, MEMBER_KEY);
    const struct string *key_hex = string_of(&plain, MEMBER_KEY_HEX);
    const struct string *value = string_of(&plain, MEMBER_VALUE);
    const struct string *value_hex = string_of(&plain, MEMBER_VALUE_HEX);
    uint32_t compression = record->compression;

    if (!scan_object(&scan, &plain) || !compression_of(&plain, &compression))
        return false;
    if (!key->bytes && !key_hex->bytes && !value->bytes && !value_hex->bytes)
        return false;
    if (!is_usable(key, key_hex) || !is_usable(value, value_hex))
        return false;
    fill_record(&plain, compression, record);
    return true;
}
