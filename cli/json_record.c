/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_record.c: a record from a line of JSON.
 *
 * What. The members are those that nori dump --json prints; those that say where a record was
 * (segment, offset, sequence) and all unknown ones are ignored. A member that is null is absent.
 * key_hex wins over key, value_hex over value. The decoded key and value are put where the line
 * was: they are never longer than the text they came from.
 *
 * Failure. The first thing that is wrong is told in words; the record must not be used then.
 *
 * Not here. The fast way for plain lines: json_scan.c. It must agree with this file on every line
 * that it takes.
 */
#include "json_record.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "text.h"

const char *const cli_compression_names[] = {"none", "lz4", "zstd", NULL};

/* An object and the first thing that was found wrong with it. */
struct object {
    const json_t *json;
    bool is_bad;
    char *problem; /* CLI_JSON_PROBLEM_SIZE */
};

__attribute__((format(printf, 2, 3))) static void complain(struct object *object,
                                                           const char *format, ...)
{
    va_list args;

    if (object->is_bad)
        return;
    object->is_bad = true;
    va_start(args, format);
    vsnprintf(object->problem, CLI_JSON_PROBLEM_SIZE, format, args);
    va_end(args);
}

/* The member, or NULL if it is absent or null. */
static const json_t *member(const struct object *object, const char *name)
{
    const json_t *value = json_object_get(object->json, name);

    return json_is_null(value) ? NULL : value;
}

/* True and *ret_value if the member is there. */
static bool take_u64(struct object *object, const char *name, uint64_t *ret_value)
{
    const json_t *value = member(object, name);

    if (!value)
        return false;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        complain(object, "\"%s\" must be a whole number, not negative, or null", name);
        return false;
    }
    *ret_value = (uint64_t)json_integer_value(value);
    return true;
}

static void take_tombstone(struct object *object, struct nori_record *record)
{
    const json_t *value = member(object, "tombstone");

    if (value && !json_is_boolean(value))
        complain(object, "\"tombstone\" must be true, false or null");
    else if (json_is_true(value))
        record->flags |= NORI_RECORD_TOMBSTONE;
    else if (value)
        record->flags &= ~NORI_RECORD_TOMBSTONE;
}

static void take_version(struct object *object, struct nori_record *record)
{
    struct object version = {member(object, "version"), object->is_bad, object->problem};

    if (!version.json)
        return;
    if (json_is_object(version.json) && take_u64(&version, "term", &record->version_term) &&
        take_u64(&version, "index", &record->version_index))
        record->flags |= NORI_RECORD_VERSION;
    else
        complain(&version, "\"version\" must be an object with \"term\" and \"index\", or null");
    object->is_bad = version.is_bad;
}

static void take_compression(struct object *object, struct nori_record *record)
{
    const json_t *value = member(object, "compression");
    const char *name = json_string_value(value);

    if (!value)
        return;
    for (uint32_t i = 0; name && cli_compression_names[i]; i++) {
        if (strcmp(name, cli_compression_names[i]) == 0) {
            record->compression = i;
            return;
        }
    }
    complain(object, "\"compression\" must be \"none\", \"lz4\", \"zstd\" or null");
}

static const json_t *string_member(struct object *object, const char *name)
{
    const json_t *value = member(object, name);

    if (value && !json_is_string(value)) {
        complain(object, "\"%s\" must be a string or null", name);
        return NULL;
    }
    return value;
}

/* Bytes given as text or as hexadecimal are put at target, and *ret_len is how many. False if
 * neither was given. */
static bool take_bytes(struct object *object, const char *name, const char *hex_name, char *target,
                       size_t *ret_len)
{
    const json_t *text = string_member(object, name);
    const json_t *hex = string_member(object, hex_name);
    size_t len = json_string_length(hex ? hex : text);

    if (object->is_bad || (!hex && !text))
        return false;
    if (hex && !cli_hex_is_valid(json_string_value(hex), len)) {
        complain(object, "\"%s\" must be an even number of hexadecimal digits", hex_name);
        return false;
    }
    if (hex)
        cli_hex_decode(json_string_value(hex), len, (unsigned char *)target);
    else
        memcpy(target, json_string_value(text), len);
    *ret_len = hex ? len / 2 : len;
    return true;
}

static void take_members(struct object *object, char *target, struct nori_record *record)
{
    size_t key_len = 0;
    size_t value_len = 0;
    bool has_key, has_value;

    take_tombstone(object, record);
    if (take_u64(object, "ttl_ms", &record->ttl_ms))
        record->flags |= NORI_RECORD_TTL;
    if (take_u64(object, "time_ms", &record->time_ms))
        record->flags |= NORI_RECORD_TIME;
    take_version(object, record);
    take_compression(object, record);

    has_key = take_bytes(object, "key", "key_hex", target, &key_len);
    has_value = take_bytes(object, "value", "value_hex", target + key_len, &value_len);
    if (!has_key && !has_value)
        complain(object, "there is neither a key nor a value");
    record->key = target;
    record->key_len = key_len;
    record->value = target + key_len;
    record->value_len = value_len;
}

bool cli_json_record(char *line, size_t len, struct nori_record *record,
                     char ret_problem[CLI_JSON_PROBLEM_SIZE])
{
    struct object object = {.problem = ret_problem};
    json_error_t error;
    json_t *root;

    if (cli_json_scan(line, len, record))
        return true;
    root = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    object.json = root;
    if (!root)
        complain(&object, "not JSON: %s, at byte %d", error.text, error.position);
    else if (!json_is_object(root))
        complain(&object, "not a JSON object");
    else
        take_members(&object, line, record);
    json_decref(root);
    return !object.is_bad;
}
