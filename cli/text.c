/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * text.c: bytes, numbers and times as text.
 *
 * What. Pure helpers. The ones that every record passes through look at eight bytes at a time.
 *
 * Failure. What is not well formed is told by the result; nothing else can fail.
 *
 * Not here. Writing text out: output.c.
 */
#include "text.h"

#include <stdio.h>
#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))
#define HIGH_BITS        EACH_BYTE(0x80)

#define NS_PER_S         UINT64_C(1000000000)
#define MS_PER_S         1000
#define S_PER_DAY        86400
#define DAYS_PER_ERA     146097 /* 400 years */
#define DAYS_TO_1970     719468 /* from 0000-03-01, where the years of the calendar below begin */
#define YEAR_MAX         9999   /* RFC 3339 has four digits */
#define UNIX_S_TO_9999   UINT64_C(253402300799)

static uint64_t load_eight(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Nonzero if a byte of word is a control character, a quote, a backslash or not ASCII. A
 * subtraction carries its high bit into a byte that is not meant only from a byte that is, so the
 * answer for the whole word is exact. */
static uint64_t special_in(uint64_t word)
{
    uint64_t controls = word - EACH_BYTE(0x20);
    uint64_t quotes = (word ^ EACH_BYTE('"')) - EACH_BYTE(1);
    uint64_t backslashes = (word ^ EACH_BYTE('\\')) - EACH_BYTE(1);
    uint64_t deletes = (word ^ EACH_BYTE(0x7f)) - EACH_BYTE(1);

    return (word | controls | quotes | backslashes | deletes) & HIGH_BITS;
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

size_t cli_text_plain_len(const unsigned char *bytes, size_t len)
{
    size_t at = 0;

    while (len - at >= 8 && !special_in(load_eight(bytes + at)))
        at += 8;
    while (at < len && is_plain(bytes[at]))
        at++;
    return at;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t cli_utf8_char_len(const unsigned char *bytes, size_t len)
{
    unsigned char first = bytes[0];

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || len < 2 || !is_continuation(bytes[1]))
        return 0;
    if (first < 0xe0)
        return 2;
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f))
        return 0; /* overlong; a surrogate */
    if (len < 3 || !is_continuation(bytes[2]))
        return 0;
    if (first < 0xf0)
        return 3;
    if ((first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0; /* overlong; above U+10FFFF */
    if (len < 4 || !is_continuation(bytes[3]))
        return 0;
    return 4;
}

bool cli_utf8_is_valid(const unsigned char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t char_len;

        if (len - at >= 8 && !(load_eight(bytes + at) & HIGH_BITS)) {
            at += 8;
            continue;
        }
        char_len = cli_utf8_char_len(bytes + at, len - at);
        if (char_len == 0)
            return false;
        at += char_len;
    }
    return true;
}

/* The value of a hexadecimal digit plus one; 0 for every other character. */
static const unsigned char hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static unsigned hex_digit(char digit)
{
    return hex_digits[(unsigned char)digit];
}

bool cli_hex_is_valid(const char *text, size_t len)
{
    unsigned bad = len % 2 != 0;

    for (size_t i = 0; i < len; i++)
        bad |= hex_digit(text[i]) == 0;
    return !bad;
}

void cli_hex_decode(const char *text, size_t len, unsigned char *target)
{
    for (size_t i = 0; i < len / 2; i++) {
        unsigned high = hex_digit(text[2 * i]) - 1;
        unsigned low = hex_digit(text[2 * i + 1]) - 1;

        target[i] = (unsigned char)(high << 4 | low);
    }
}

const char *cli_text_of_bytes(uint64_t bytes, char target[CLI_TEXT_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(target, CLI_TEXT_SIZE, "%u B", (unsigned)bytes);
        return target;
    }
    while (amount >= 1023.95) { /* which would be printed as 1024.0 */
        amount /= 1024;
        unit++;
    }
    snprintf(target, CLI_TEXT_SIZE, "%.1f %s", amount, units[unit]);
    return target;
}

/* Of a minute or more: the two largest units. */
static const char *text_of_long_time(uint64_t seconds, char target[CLI_TEXT_SIZE])
{
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    uint64_t large = hours >= 24 ? hours / 24 : hours > 0 ? hours : minutes;
    uint64_t small = hours >= 24 ? hours % 24 : hours > 0 ? minutes % 60 : seconds % 60;
    const char *large_unit = hours >= 24 ? "d" : hours > 0 ? "h" : "min";
    const char *small_unit = hours >= 24 ? "h" : hours > 0 ? "min" : "s";

    if (small == 0)
        snprintf(target, CLI_TEXT_SIZE, "%llu %s", (unsigned long long)large, large_unit);
    else
        snprintf(target, CLI_TEXT_SIZE, "%llu %s %u %s", (unsigned long long)large, large_unit,
                 (unsigned)small, small_unit);
    return target;
}

const char *cli_text_of_ns(uint64_t ns, char target[CLI_TEXT_SIZE])
{
    static const char *const units[] = {"us", "ms", "s"};
    double amount = (double)ns / 1000;
    size_t unit = 0;

    if (ns < 1000) {
        snprintf(target, CLI_TEXT_SIZE, "%u ns", (unsigned)ns);
        return target;
    }
    while (unit < 2 && amount >= 999.5) { /* which would be printed as 1000 */
        amount /= 1000;
        unit++;
    }
    if (unit == 2 && amount >= 59.5)
        return text_of_long_time(ns / NS_PER_S + (ns % NS_PER_S >= NS_PER_S / 2), target);
    snprintf(target, CLI_TEXT_SIZE, amount < 9.95 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
    return target;
}

const char *cli_text_of_count(uint64_t count, char target[CLI_TEXT_SIZE])
{
    static const char *const units[] = {"k", "M", "G", "T", "P", "E"};
    double amount = (double)count / 1000;
    size_t unit = 0;

    if (count < 10000) {
        snprintf(target, CLI_TEXT_SIZE, "%u", (unsigned)count);
        return target;
    }
    while (amount >= 999.95) {
        amount /= 1000;
        unit++;
    }
    snprintf(target, CLI_TEXT_SIZE, "%.1f %s", amount, units[unit]);
    return target;
}

uint64_t cli_per_second(uint64_t count, uint64_t elapsed_ns)
{
    double rate = elapsed_ns > 0 ? (double)count / ((double)elapsed_ns / 1e9) : 0;

    return rate < 1e19 ? (uint64_t)rate : UINT64_MAX;
}

const char *cli_text_of_rate(double rate, char target[CLI_TEXT_SIZE])
{
    if (rate > 0 && rate < 9.95)
        snprintf(target, CLI_TEXT_SIZE, "%.1f", rate);
    else
        cli_text_of_count(rate < 1e19 ? (uint64_t)(rate + 0.5) : UINT64_MAX, target);
    return target;
}

/* The civil date of a day since 1970-01-01. Years begin in March, so that the leap day is a year's
 * last. */
static void date_of_day(uint64_t day, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    uint64_t shifted = day + DAYS_TO_1970;
    uint64_t era = shifted / DAYS_PER_ERA;
    uint64_t day_of_era = shifted % DAYS_PER_ERA;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = (unsigned)(400 * era + year_of_era + (month < 10 ? 0 : 1));
}

/* The reverse; the year is at least 1970. */
static uint64_t day_of_date(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t shifted_year = year - (month <= 2 ? 1 : 0);
    uint64_t year_of_era = shifted_year % 400;
    uint64_t shifted_month = month > 2 ? month - 3 : month + 9;
    uint64_t day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    uint64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return shifted_year / 400 * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

/* value in exactly count digits and then the character after. Returns the place behind. */
static char *put_field(char *target, unsigned value, unsigned count, char after)
{
    for (unsigned i = count; i > 0; i--) {
        target[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    target[count] = after;
    return target + count + 1;
}

const char *cli_text_of_time(uint64_t time_ms, bool has_ms, char target[CLI_TEXT_SIZE])
{
    uint64_t time_s = time_ms / MS_PER_S;
    unsigned second_of_day = (unsigned)(time_s % S_PER_DAY);
    unsigned year, month, day;
    char *at = target;

    if (time_s > UNIX_S_TO_9999) {
        snprintf(target, CLI_TEXT_SIZE, "%llums", (unsigned long long)time_ms);
        return target;
    }
    date_of_day(time_s / S_PER_DAY, &year, &month, &day);
    at = put_field(at, year, 4, '-');
    at = put_field(at, month, 2, '-');
    at = put_field(at, day, 2, 'T');
    at = put_field(at, second_of_day / 3600, 2, ':');
    at = put_field(at, second_of_day / 60 % 60, 2, ':');
    at = put_field(at, second_of_day % 60, 2, has_ms ? '.' : 'Z');
    if (has_ms)
        at = put_field(at, (unsigned)(time_ms % MS_PER_S), 3, 'Z');
    *at = '\0';
    return target;
}

bool cli_text_digits(const char **at, uint64_t *ret_value)
{
    const char *digit = *at;
    uint64_t value = 0;

    for (; *digit >= '0' && *digit <= '9'; digit++) {
        unsigned next = (unsigned)(*digit - '0');

        if (value > (UINT64_MAX - next) / 10)
            return false;
        value = value * 10 + next;
    }
    if (digit == *at)
        return false;
    *at = digit;
    *ret_value = value;
    return true;
}

bool cli_text_to_u64(const char *text, uint64_t *ret_value)
{
    uint64_t value;

    if (!cli_text_digits(&text, &value) || *text != '\0')
        return false;
    *ret_value = value;
    return true;
}

/* Exactly count digits and then the character after (NUL: any). */
static bool take_field(const char **at, unsigned count, char after, uint64_t max,
                       uint64_t *ret_value)
{
    const char *end = *at;

    if (!cli_text_digits(&end, ret_value) || end - *at != (int)count)
        return false;
    if (*ret_value > max)
        return false;
    if (after != '\0' && *end++ != after)
        return false;
    *at = end;
    return true;
}

/* ".25" and so on as milliseconds; no fraction is 0. */
static bool take_fraction(const char **at, uint64_t *ret_ms)
{
    uint64_t scale = 100;

    *ret_ms = 0;
    if (**at != '.')
        return true;
    (*at)++;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        *ret_ms += scale * (uint64_t)(**at - '0');
        scale /= 10;
    }
    return true;
}

/* "Z" or "+02:00", in seconds east of Greenwich. */
static bool take_zone(const char **at, int64_t *ret_offset_s)
{
    uint64_t hours, minutes;
    int64_t sign;

    if (**at == 'Z' || **at == 'z') {
        (*at)++;
        *ret_offset_s = 0;
        return true;
    }
    if (**at != '+' && **at != '-')
        return false;
    sign = **at == '+' ? 1 : -1;
    (*at)++;
    if (!take_field(at, 2, ':', 23, &hours) || !take_field(at, 2, '\0', 59, &minutes))
        return false;
    *ret_offset_s = sign * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

static bool rfc3339_to_time(const char *at, uint64_t *ret_time_ms)
{
    uint64_t year, month, day, hour, minute, second, ms;
    unsigned real_year, real_month, real_day;
    int64_t zone_s, time_s;
    uint64_t days;

    if (!take_field(&at, 4, '-', YEAR_MAX, &year) || !take_field(&at, 2, '-', 12, &month) ||
        !take_field(&at, 2, '\0', 31, &day))
        return false;
    if (year < 1970 || month < 1 || day < 1)
        return false;
    if (*at != 'T' && *at != 't' && *at != ' ')
        return false;
    at++;
    if (!take_field(&at, 2, ':', 23, &hour) || !take_field(&at, 2, ':', 59, &minute) ||
        !take_field(&at, 2, '\0', 60, &second) || !take_fraction(&at, &ms) ||
        !take_zone(&at, &zone_s) || *at != '\0')
        return false;

    days = day_of_date(year, month, day);
    date_of_day(days, &real_year, &real_month, &real_day);
    if (real_month != month)
        return false; /* such as February 30 */
    time_s = (int64_t)(days * S_PER_DAY + hour * 3600 + minute * 60 + second) - zone_s;
    if (time_s < 0)
        return false;
    *ret_time_ms = (uint64_t)time_s * MS_PER_S + ms;
    return true;
}

bool cli_text_to_time(const char *text, uint64_t *ret_time_ms)
{
    return cli_text_to_u64(text, ret_time_ms) || rfc3339_to_time(text, ret_time_ms);
}
