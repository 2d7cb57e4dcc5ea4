/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* json_record.h: a record from a line of JSON. */
#ifndef CLI_JSON_RECORD_H
#define CLI_JSON_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include <nori/wal.h>

#define CLI_JSON_PROBLEM_SIZE 200

/*
 * Fill *record from one object; members that it does not have leave *record as it is. Key and value
 * lie in the line, whose bytes are changed. False: *ret_problem says what is wrong.
 */
bool cli_json_record(char *line, size_t len, struct nori_record *record,
                     char ret_problem[CLI_JSON_PROBLEM_SIZE]);

/* The same for the plainest lines, such as nori dump prints, several times as fast. False: this one
 * is not plain (which says nothing about whether it is right), and line and *record are as they
 * were. */
bool cli_json_scan(char *line, size_t len, struct nori_record *record);

/* The names of enum nori_compression, in its order, and NULL. */
extern const char *const cli_compression_names[];

#endif
