/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* text.h: bytes, numbers and times as text. Pure. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes from the first on are printable ASCII and neither a quote nor a backslash: they
 * stand for themselves in every output format. */
size_t cli_text_plain_len(const unsigned char *bytes, size_t len);

/* The length of the UTF-8 character at bytes, 1 to 4; 0 if there is none. len is at least 1. */
size_t cli_utf8_char_len(const unsigned char *bytes, size_t len);
bool cli_utf8_is_valid(const unsigned char *bytes, size_t len);

/* Hexadecimal, two digits a byte, either case. Decoding may be in place; len counts digits and the
 * text must be valid. */
bool cli_hex_is_valid(const char *text, size_t len);
void cli_hex_decode(const char *text, size_t len, unsigned char *target);

#define CLI_TEXT_SIZE 48 /* room for what the functions below write, NUL included */

/* "123 B", "4.5 MiB". Returns target. */
const char *cli_text_of_bytes(uint64_t bytes, char target[CLI_TEXT_SIZE]);

/* "850 ns", "3.1 ms", "12 s", "3 h 12 min": two or three digits that count. Returns target. */
const char *cli_text_of_ns(uint64_t ns, char target[CLI_TEXT_SIZE]);

/* "1234", "12.3 k", "4.5 M". Returns target. */
const char *cli_text_of_count(uint64_t count, char target[CLI_TEXT_SIZE]);

/* How many in a second; 0 if elapsed_ns is 0, and never too many for a number. */
uint64_t cli_per_second(uint64_t count, uint64_t elapsed_ns);

/* How often something happens: "0.3", "182", "12.3 k". Returns target. */
const char *cli_text_of_rate(double rate, char target[CLI_TEXT_SIZE]);

/* Unix milliseconds as "2024-05-01T12:00:00.250Z" (milliseconds only if asked for). Returns target.
 * */
const char *cli_text_of_time(uint64_t time_ms, bool has_ms, char target[CLI_TEXT_SIZE]);

/* Unix milliseconds ("1714564800000") or RFC 3339 ("2024-05-01T12:00:00.25+02:00"). False if it is
 * neither. */
bool cli_text_to_time(const char *text, uint64_t *ret_time_ms);

/* Digits only, no sign; false also if it does not fit. */
bool cli_text_to_u64(const char *text, uint64_t *ret_value);

/* The digits from *at on, moving it behind them. False if there is none or they do not fit. */
bool cli_text_digits(const char **at, uint64_t *ret_value);

#endif
