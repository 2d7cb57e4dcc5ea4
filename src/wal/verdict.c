/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verdict.c: what the place where a scan stopped means.
 *
 * A table, read from the top: the first row that matches wins. A test goes through every
 * combination of facts, and sees that each is decided and that no row is out of reach.
 * docs/recovery.md explains the rows to users.
 *
 * A valid record behind a bad one is no fact here: unsynced sectors reach the medium in any order,
 * so it proves nothing. What proves that a byte was durable is a watermark: the durable LSN in a
 * mark, in a header, or in `control`.
 */
#include "wal/verdict.h"

#define ANY  (-1)
#define YES  1
#define NO   0
#define LAST NW_PLACE_NEWEST
#define MID  NW_PLACE_ENDED
#define END  NW_STOP_AT_END
#define ZERO NW_STOP_CLEAN
#define CUT  NW_STOP_SHORT
#define BAD  NW_STOP_BAD

struct rule {
    int format;
    int place;
    int stop;
    int is_below_watermark;
    int is_strict;
    struct nw_verdict verdict;
};

/* clang-format off */
static const struct rule rules[] = {
/*  format place  stop  below  strict   decision */
  { ANY,   MID,   END,  ANY,   ANY,    { NW_DECIDE_SOUND,
      "the segment is whole up to its stated end" } },
  { ANY,   LAST,  END,  NO,    ANY,    { NW_DECIDE_SOUND,
      "the segment is whole up to its stated end" } },
  { ANY,   LAST,  ZERO, NO,    ANY,    { NW_DECIDE_SOUND,
      "a clean tail: nothing but unused space behind the last record" } },
  { ANY,   ANY,   END,  YES,   ANY,    { NW_DECIDE_CORRUPT,
      "durable records behind the end are missing: a device that lied about a sync, an "
      "older copy of the log, or a copy made while it was written" } },
  { ANY,   ANY,   ZERO, YES,   ANY,    { NW_DECIDE_CORRUPT,
      "durable records are missing: a device that lied about a sync, an older copy of the "
      "log, or a copy made while it was written" } },
  { ANY,   ANY,   ANY,  YES,   ANY,    { NW_DECIDE_CORRUPT,
      "these bytes were durable once and are damaged now" } },
  { 1,     MID,   ANY,  NO,    ANY,    { NW_DECIDE_CORRUPT,
      "a segment of format 1 that has a successor was complete once and is damaged now" } },
  { ANY,   ANY,   ANY,  NO,    YES,    { NW_DECIDE_REFUSE,
      "a torn tail: the process or machine stopped before it was durable; recovery mode "
      "strict allows none" } },
  { ANY,   LAST,  CUT,  NO,    NO,     { NW_DECIDE_LEAVE,
      "a torn tail: the last record or batch was cut off before it was durable" } },
  { ANY,   LAST,  BAD,  NO,    NO,     { NW_DECIDE_LEAVE,
      "a torn tail: the process or machine stopped before these bytes were durable" } },
  { 2,     MID,   ANY,  NO,    NO,     { NW_DECIDE_LEAVE,
      "a torn tail over several segments: the machine stopped before this one or any "
      "behind it was durable" } },
};
/* clang-format on */

static bool matches(int column, int fact)
{
    return column == ANY || column == fact;
}

size_t nw_verdict_count(void)
{
    return sizeof rules / sizeof rules[0];
}

size_t nw_verdict_index(const struct nw_verdict *verdict)
{
    for (size_t i = 0; i < nw_verdict_count(); i++)
        if (verdict == &rules[i].verdict)
            return i;
    return nw_verdict_count();
}

static bool is_for(const struct rule *rule, const struct nw_facts *facts)
{
    return matches(rule->format, (int)facts->format) && matches(rule->place, (int)facts->place) &&
           matches(rule->stop, (int)facts->stop) &&
           matches(rule->is_below_watermark, facts->is_below_watermark) &&
           matches(rule->is_strict, facts->is_strict);
}

const struct nw_verdict *nw_verdict_of(const struct nw_facts *facts)
{
    size_t i = 0;

    while (!is_for(&rules[i], facts)) {
        i++;
        nw_assert(i < nw_verdict_count()); /* every combination has a row */
    }
    return &rules[i].verdict;
}
