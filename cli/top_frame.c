/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * top_frame.c: what nori top shows.
 *
 * What. A frame from 15 rows and 60 columns on. With more rows come, in this order, the stages that
 * matter less, a line for each position, empty lines, and higher charts.
 *
 * Failure. The numbers come from another process's memory and may be anything: what is drawn is
 * limited by the width of the screen, never by them.
 *
 * Not here. Characters and colours: canvas.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "item.h"
#include "text.h"
#include "top.h"

#define LABEL_WIDTH   9u  /* what a line is about */
#define RIGHT_WIDTH   18u /* behind bars and charts: what they add up to */
#define LEAST_ROWS    15u
#define GAPS          4u
#define CHART_HEIGHT  12u  /* at most */
#define CHART_COLUMNS 120u /* at most: two for each look */
#define CELL_WIDTH    24u  /* of a rate, at most */
#define SEGMENT_CELLS 8u   /* of one segment in the picture, at most */
#define ENCODE_SAMPLE 256  /* one append in so many is measured */
#define WAIT_NOTICED  0.01 /* the share of time from which waiting is told */
#define SYNC_NOTICED  0.5  /* the same of syncing */

struct layout {
    bool has_all_stages;
    bool has_position_lines;
    unsigned gaps;
    unsigned chart_height; /* 0: no charts */
    bool has_axis;
};

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static struct layout make_layout(unsigned rows, bool is_once)
{
    struct layout layout = {.chart_height = is_once ? 0 : 1};
    unsigned left = rows > LEAST_ROWS ? rows - LEAST_ROWS : 0;

    layout.has_all_stages = left >= 2;
    left -= layout.has_all_stages ? 2 : 0;
    layout.has_position_lines = left >= 3;
    left -= layout.has_position_lines ? 3 : 0;
    layout.gaps = least(left, GAPS);
    left -= layout.gaps;
    layout.has_axis = left >= 4 && !is_once; /* and an empty line between the charts */
    if (layout.has_axis)
        layout.chart_height = least(1 + (left - 2) / 2, CHART_HEIGHT);
    return layout;
}

/* The gap of this number, if there is room for as many. */
static void draw_gap(struct cli_canvas *canvas, const struct layout *layout, unsigned number)
{
    if (number <= layout->gaps)
        cli_canvas_end_line(canvas);
}

static void draw_label(struct cli_canvas *canvas, const char *label)
{
    cli_canvas_ink(canvas, CLI_INK_FAINT);
    cli_canvas_text(canvas, label);
    cli_canvas_ink(canvas, CLI_INK_PLAIN);
    cli_canvas_to(canvas, LABEL_WIDTH);
}

static bool is_active(const struct top_view *view)
{
    return view->state == TOP_LIVE && view->now.is_known;
}

static double seconds_of(const struct top_view *view)
{
    return (double)view->between.elapsed_ns / 1e9;
}

/* The part of the time that was spent so. */
static double share_of(const struct top_view *view, uint64_t ns)
{
    double elapsed_ns = (double)view->between.elapsed_ns;

    return elapsed_ns > 0 ? (double)ns / elapsed_ns : 0;
}

/* ---- who, and what for ---- */

static void draw_title(struct cli_canvas *canvas, const struct top_screen *screen,
                       const struct top_view *view)
{
    static const char name[] = "nori top  ";
    const struct nori_wal_stats *now = &view->now;
    char text[128] = "no log", policy[64] = "", window[CLI_TEXT_SIZE], age[CLI_TEXT_SIZE];
    unsigned taken;

    if (view->state == TOP_NO_WRITER)
        snprintf(text, sizeof text, "no writer");
    else if (view->state == TOP_LIVE && !now->is_known)
        snprintf(text, sizeof text, "open");
    else if (view->state == TOP_LIVE) {
        if (now->fsync_policy == NORI_FSYNC_BATCH)
            snprintf(policy, sizeof policy, "batch %s, ",
                     cli_text_of_ns((uint64_t)now->batch_window_us * 1000, window));
        else
            snprintf(policy, sizeof policy, "%s, ", cli_item_policy_name(now->fsync_policy));
        snprintf(text, sizeof text, "process %" PRIu64 ", %sopen %s", now->process_id,
                 canvas->columns < 72 ? "" : policy, cli_text_of_ns(now->elapsed_ns, age));
    }
    cli_canvas_ink(canvas, CLI_INK_STRONG);
    cli_canvas_text(canvas, name);
    cli_canvas_ink(canvas, CLI_INK_PLAIN);
    taken = (unsigned)(sizeof name - 1 + strlen(text) + 2);
    cli_canvas_name(canvas, screen->dir, canvas->columns > taken ? canvas->columns - taken : 0);
    cli_canvas_right(canvas, text);
    cli_canvas_end_line(canvas);
}

/* What takes too long, by the writer's own word. False: nothing. */
static bool draw_stalls(struct cli_canvas *canvas, const struct nori_wal_stats *now)
{
    static const char *const words[] = {
        [NORI_STALL_RING] = "room in the ring",
        [NORI_STALL_WRITE] = "a write",
        [NORI_STALL_SYNC] = "a sync",
        [NORI_STALL_SEGMENT] = "the next segment",
        [NORI_STALL_SPACE] = "space on the disk",
        [NORI_STALL_LOCK] = "another append",
    };
    bool is_first = true;
    char age[CLI_TEXT_SIZE];

    for (uint32_t i = NORI_STALL_RING; i <= NORI_STALL_LOCK; i++) {
        uint64_t since_ms = now->stalled_since_ms[i];

        if (since_ms == 0 || since_ms > now->sampled_ms)
            continue;
        cli_canvas_ink(canvas, CLI_INK_ALARM);
        cli_canvas_format(canvas, "%s%s, for %s", is_first ? "" : "; ", words[i],
                          cli_text_of_ns((now->sampled_ms - since_ms) * 1000000, age));
        is_first = false;
    }
    return !is_first;
}

static void draw_wait(struct cli_canvas *canvas, const struct top_view *view)
{
    const struct nori_wal_stats *between = &view->between;
    double wait = share_of(view, between->wait.sum_ns);
    double sync = share_of(view, between->sync.sum_ns);

    if (draw_stalls(canvas, &view->now))
        return;
    if (wait >= WAIT_NOTICED) {
        cli_canvas_ink(canvas, CLI_INK_YELLOW);
        cli_canvas_format(canvas, "%s, %.0f %% of the time",
                          between->room_waits >= between->space_waits ? "room in the ring"
                                                                      : "space or the next segment",
                          100 * wait);
    } else if (sync >= SYNC_NOTICED) {
        cli_canvas_format(canvas, "the device, which syncs %.0f %% of the time", 100 * sync);
    } else {
        cli_canvas_text(canvas, "nothing");
    }
}

static void draw_state(struct cli_canvas *canvas, const struct top_view *view)
{
    if (view->state == TOP_NO_LOG) {
        cli_canvas_ink(canvas, CLI_INK_ALARM);
        cli_canvas_name(canvas, view->problem, canvas->columns);
    } else if (view->state == TOP_NO_WRITER) {
        cli_canvas_ink(canvas, CLI_INK_YELLOW);
        cli_canvas_format(canvas, "the last writer %s the log; waiting for the next",
                          view->now.was_closed ? "closed" : "did not close");
    } else if (!view->now.is_known) {
        cli_canvas_ink(canvas, CLI_INK_YELLOW);
        cli_canvas_text(canvas, "its numbers are not shared, or are of another version");
    } else if (view->now.has_failed) {
        cli_canvas_ink(canvas, CLI_INK_ALARM);
        cli_canvas_text(canvas, "FAILED: it acknowledges nothing until it is opened again");
    } else {
        draw_label(canvas, "waits for");
        cli_canvas_text(canvas, " ");
        draw_wait(canvas, view);
    }
    cli_canvas_end_line(canvas);
}

/* ---- rates ---- */

static void draw_cell(struct cli_canvas *canvas, unsigned number, unsigned width, const char *label,
                      const char *value, const char *unit)
{
    cli_canvas_to(canvas, number * width);
    cli_canvas_ink(canvas, CLI_INK_FAINT);
    cli_canvas_text(canvas, label);
    cli_canvas_ink(canvas, CLI_INK_PLAIN);
    cli_canvas_to(canvas, number * width + LABEL_WIDTH);
    cli_canvas_format(canvas, "%s%s", value, unit);
}

static const char *rate_of(const struct top_view *view, uint64_t count, char text[CLI_TEXT_SIZE])
{
    double seconds = seconds_of(view);

    if (!is_active(view) || seconds <= 0) {
        snprintf(text, CLI_TEXT_SIZE, "-");
        return text;
    }
    return cli_text_of_rate((double)count / seconds, text);
}

static void draw_rates(struct cli_canvas *canvas, const struct top_view *view)
{
    const struct nori_wal_stats *between = &view->between;
    const struct nori_wal_stats *now = &view->now;
    unsigned per_line = canvas->columns < 76 ? 3 : 4;
    unsigned width = least(canvas->columns / per_line, CELL_WIDTH);
    double seconds = seconds_of(view);
    const char *per_s = is_active(view) && seconds > 0 ? "/s" : "";
    uint64_t errors = now->errors_io + now->errors_nospace + now->errors_refused;
    char text[CLI_TEXT_SIZE];

    draw_cell(canvas, 0, width, "appends", rate_of(view, between->appends, text), per_s);
    draw_cell(canvas, 1, width, "records", rate_of(view, between->puts + between->deletes, text),
              per_s);
    if (per_s[0] != '\0')
        cli_text_of_bytes(cli_per_second(between->appended_bytes, between->elapsed_ns), text);
    draw_cell(canvas, 2, width, "bytes", per_s[0] != '\0' ? text : "-", per_s);
    if (per_line == 4)
        draw_cell(canvas, 3, width, "segments", rate_of(view, between->rolls, text), per_s);
    cli_canvas_end_line(canvas);

    draw_cell(canvas, 0, width, "syncs", rate_of(view, between->syncs, text), per_s);
    draw_cell(canvas, 1, width, "waits",
              rate_of(view, between->room_waits + between->space_waits, text), per_s);
    draw_cell(canvas, 2, width, "lag",
              now->is_known ? cli_text_of_bytes(now->lag_bytes, text) : "-", "");
    if (per_line == 4) /* of these all count: one is one too many */
        draw_cell(canvas, 3, width, "errors", now->is_known ? cli_text_of_count(errors, text) : "-",
                  "");
    cli_canvas_end_line(canvas);
}

/* ---- charts ---- */

/* The looks, oldest first, squeezed or stretched to so many columns; the largest of those that
 * share one is what is to be seen. */
static uint64_t spread(const struct top_view *view, const uint64_t looks[TOP_LOOKS],
                       uint64_t values[CHART_COLUMNS], unsigned columns)
{
    uint64_t most = 0;

    for (unsigned i = 0; i < columns; i++) {
        unsigned from = i * TOP_LOOKS / columns;
        unsigned to = (i + 1) * TOP_LOOKS / columns;

        values[i] = UINT64_MAX;
        for (unsigned j = from; j < to || j == from; j++) {
            uint64_t age = TOP_LOOKS - 1 - j;
            uint64_t value;

            if (age >= view->looks)
                continue;
            value = looks[(view->looks - 1 - age) % TOP_LOOKS];
            if (value != UINT64_MAX && (values[i] == UINT64_MAX || value > values[i]))
                values[i] = value;
        }
        if (values[i] != UINT64_MAX && values[i] > most)
            most = values[i];
    }
    return most;
}

static unsigned bar_width(const struct cli_canvas *canvas)
{
    unsigned around = LABEL_WIDTH + 2 + RIGHT_WIDTH;

    return canvas->columns > around ? canvas->columns - around : 0;
}

static void draw_chart(struct cli_canvas *canvas, const struct top_view *view, const char *label,
                       const uint64_t looks[TOP_LOOKS], unsigned height, bool is_time)
{
    uint64_t values[CHART_COLUMNS];
    unsigned columns = least(bar_width(canvas) + 2, CHART_COLUMNS);
    uint64_t most = spread(view, looks, values, columns);
    char text[CLI_TEXT_SIZE];

    for (unsigned row = height; row > 0; row--) {
        draw_label(canvas, row == height ? label : "");
        cli_canvas_ink(canvas, is_time ? CLI_INK_YELLOW : CLI_INK_GREEN);
        cli_canvas_chart(canvas, values, columns, most, height, row - 1);
        cli_canvas_ink(canvas, CLI_INK_FAINT);
        if (row == height && most > 0)
            cli_canvas_format(canvas, " max %s%s",
                              is_time ? cli_text_of_ns(most, text) : cli_text_of_bytes(most, text),
                              is_time ? "" : "/s");
        cli_canvas_end_line(canvas);
    }
}

static void draw_charts(struct cli_canvas *canvas, const struct top_screen *screen,
                        const struct top_view *view, const struct layout *layout)
{
    unsigned columns = least(bar_width(canvas) + 2, CHART_COLUMNS);
    char text[CLI_TEXT_SIZE];

    if (layout->chart_height == 0)
        return;
    draw_chart(canvas, view, "bytes/s", view->bytes_per_s, layout->chart_height, false);
    if (layout->has_axis)
        cli_canvas_end_line(canvas);
    draw_chart(canvas, view, "sync p99", view->sync_p99_ns, layout->chart_height, true);
    if (!layout->has_axis)
        return;
    cli_canvas_to(canvas, LABEL_WIDTH);
    cli_canvas_ink(canvas, CLI_INK_FAINT);
    cli_canvas_format(canvas, "%s ago", cli_text_of_ns(TOP_LOOKS * screen->interval_ns, text));
    cli_canvas_to(canvas, LABEL_WIDTH + columns - 3);
    cli_canvas_text(canvas, "now");
    cli_canvas_end_line(canvas);
}

/* ---- latencies ---- */

static void draw_latency(struct cli_canvas *canvas, const struct top_view *view, const char *name,
                         const struct nori_latency *latency, bool is_sampled)
{
    char rate[CLI_TEXT_SIZE], p50[CLI_TEXT_SIZE], p99[CLI_TEXT_SIZE], p999[CLI_TEXT_SIZE],
        max[CLI_TEXT_SIZE], busy[CLI_TEXT_SIZE] = "-";
    double share = share_of(view, latency->sum_ns) * (is_sampled ? ENCODE_SAMPLE : 1);

    draw_label(canvas, name);
    if (!is_active(view) || latency->count == 0) {
        cli_canvas_format(canvas, "%7s %8s %8s %8s %8s %6s", "-", "-", "-", "-", "-", "-");
        cli_canvas_end_line(canvas);
        return;
    }
    if (share > 0)
        snprintf(busy, sizeof busy, share < 0.01 ? "<1 %%" : "%.0f %%", 100 * share);
    cli_canvas_format(
        canvas, "%7s %8s %8s %8s %8s %6s", is_sampled ? "" : rate_of(view, latency->count, rate),
        cli_text_of_ns(latency->p50_ns, p50), cli_text_of_ns(latency->p99_ns, p99),
        cli_text_of_ns(latency->p999_ns, p999), cli_text_of_ns(latency->max_ns, max), busy);
    cli_canvas_end_line(canvas);
}

static void draw_latencies(struct cli_canvas *canvas, const struct top_view *view,
                           const struct layout *layout)
{
    const struct nori_wal_stats *between = &view->between;
    char text[64], span[CLI_TEXT_SIZE];

    cli_canvas_ink(canvas, CLI_INK_FAINT);
    cli_canvas_format(canvas, "%-9s%7s %8s %8s %8s %8s %6s", "time of", "per s", "p50", "p99",
                      "p99.9", "max", "busy");
    if (is_active(view)) {
        snprintf(text, sizeof text, "   in %s", cli_text_of_ns(between->elapsed_ns, span));
        if (view->is_since_open)
            snprintf(text, sizeof text, "   since open");
        if (canvas->column + strlen(text) <= canvas->columns)
            cli_canvas_text(canvas, text);
    }
    cli_canvas_end_line(canvas);
    if (layout->has_all_stages)
        draw_latency(canvas, view, "encode", &between->encode, true);
    draw_latency(canvas, view, "wait", &between->wait, false);
    draw_latency(canvas, view, "write", &between->write, false);
    draw_latency(canvas, view, "sync", &between->sync, false);
    if (layout->has_all_stages)
        draw_latency(canvas, view, "wake", &between->wake, false);
}

/* ---- bars ---- */

/* How far along a bar a part of the whole comes. */
static unsigned cells_of(uint64_t part, uint64_t whole, unsigned width)
{
    double share = whole > 0 ? (double)part / (double)whole : 0;

    return least((unsigned)((share < 1 ? share : 1) * width + 0.999), width);
}

static void draw_ring(struct cli_canvas *canvas, const struct nori_wal_stats *now)
{
    unsigned width = bar_width(canvas);
    unsigned used = cells_of(now->ring_used, now->ring_bytes, width);
    double share = now->ring_bytes > 0 ? (double)now->ring_used / (double)now->ring_bytes : 0;
    char text[CLI_TEXT_SIZE];

    draw_label(canvas, "ring");
    cli_canvas_bar_begin(canvas);
    cli_canvas_fill(canvas, CLI_FILL_APPENDED, used);
    cli_canvas_fill(canvas, CLI_FILL_NONE, width - used);
    cli_canvas_bar_end(canvas);
    if (now->ring_bytes > 0)
        cli_canvas_format(canvas, " %.0f %% of %s", 100 * share,
                          cli_text_of_bytes(now->ring_bytes, text));
    cli_canvas_end_line(canvas);
}

/* Of the segment that is so many before the newest. */
static enum cli_fill fill_of(const struct nori_wal_stats *now, uint64_t age)
{
    uint64_t undurable = now->appended.segment_id - now->durable.segment_id;
    uint64_t unwritten = now->appended.segment_id - now->written.segment_id;

    if (age > undurable || now->lag_bytes == 0)
        return CLI_FILL_DURABLE;
    if (age > unwritten || now->written_lsn == now->appended_lsn)
        return CLI_FILL_WRITTEN;
    return CLI_FILL_APPENDED;
}

/* A segment, or several, and a blank behind it if there is room for one. */
static void draw_segment(struct cli_canvas *canvas, enum cli_fill fill, unsigned cells)
{
    cli_canvas_fill(canvas, fill, cells > 0 ? cells : 1);
    if (cells > 0)
        cli_canvas_text(canvas, " ");
}

/* The whole log, oldest first; what is prepared for the next segment stands behind it. Several
 * segments that share a character look like the newest of them. */
static void draw_segments(struct cli_canvas *canvas, const struct nori_wal_stats *now)
{
    unsigned width = bar_width(canvas);
    unsigned spares = now->spare_bytes > 0 && width > 0 ? 1 : 0;
    uint64_t room = width - spares;
    uint64_t each = room > 0 ? now->segments / room + (now->segments % room > 0) : 1;
    unsigned shown = room > 0 && each > 0 ? (unsigned)((now->segments + each - 1) / each) : 0;
    unsigned cells = shown > 0 ? least(width / (shown + spares) - 1, SEGMENT_CELLS) : 1;
    char text[CLI_TEXT_SIZE];

    draw_label(canvas, "segments");
    cli_canvas_bar_begin(canvas);
    for (unsigned i = shown; i > 0; i--)
        draw_segment(canvas, fill_of(now, (i - 1) * each), cells);
    if (spares > 0)
        draw_segment(canvas, CLI_FILL_TAKEN, cells);
    cli_canvas_to(canvas, LABEL_WIDTH + 1 + width);
    cli_canvas_bar_end(canvas);
    cli_canvas_format(canvas, " %" PRIu64 ", %s", now->segments,
                      cli_text_of_bytes(now->bytes, text));
    cli_canvas_end_line(canvas);
}

/* The newest segment, as it fills. What is there but would be less than a cell gets one. */
static void draw_newest(struct cli_canvas *canvas, const struct nori_wal_stats *now)
{
    unsigned width = bar_width(canvas);
    uint64_t appended = now->appended.offset;
    uint64_t unwritten = now->appended_lsn - now->written_lsn;
    uint64_t undurable = now->lag_bytes;
    uint64_t taken = appended + now->bytes_ahead;
    uint64_t whole = now->segment_size_max > taken ? now->segment_size_max : taken;
    unsigned end = cells_of(appended, whole, width);
    unsigned in_ring = least(cells_of(unwritten, whole, width), end);
    unsigned in_kernel = least(
        undurable > unwritten ? cells_of(undurable - unwritten, whole, width) : 0, end - in_ring);
    unsigned ahead = cells_of(taken, whole, width);
    char text[CLI_TEXT_SIZE];

    draw_label(canvas, "newest");
    cli_canvas_bar_begin(canvas);
    cli_canvas_fill(canvas, CLI_FILL_DURABLE, end - in_ring - in_kernel);
    cli_canvas_fill(canvas, CLI_FILL_WRITTEN, in_kernel);
    cli_canvas_fill(canvas, CLI_FILL_APPENDED, in_ring);
    cli_canvas_fill(canvas, CLI_FILL_TAKEN, ahead > end ? ahead - end : 0);
    cli_canvas_to(canvas, LABEL_WIDTH + 1 + width);
    cli_canvas_bar_end(canvas);
    if (whole > 0)
        cli_canvas_format(canvas, " of %s", cli_text_of_bytes(whole, text));
    cli_canvas_end_line(canvas);
}

/* ---- positions ---- */

static const char *text_of_position(struct nori_position position, char text[CLI_TEXT_SIZE])
{
    if (position.segment_id == 0 && position.offset == 0)
        snprintf(text, CLI_TEXT_SIZE, "-");
    else
        snprintf(text, CLI_TEXT_SIZE, "%" PRIu64 ":%" PRIu64, position.segment_id, position.offset);
    return text;
}

static void draw_position(struct cli_canvas *canvas, const char *name, enum cli_fill fill,
                          struct nori_position position, uint64_t lsn, uint64_t before_end)
{
    char text[CLI_TEXT_SIZE], bytes[CLI_TEXT_SIZE];

    draw_label(canvas, name);
    cli_canvas_fill(canvas, fill, 1);
    cli_canvas_format(canvas, " %-18s", text_of_position(position, text));
    cli_canvas_ink(canvas, CLI_INK_FAINT);
    cli_canvas_format(canvas, "LSN %" PRIu64, lsn);
    if (before_end > 0) {
        cli_canvas_to(canvas, 54);
        cli_canvas_format(canvas, "%s before the end", cli_text_of_bytes(before_end, bytes));
    }
    cli_canvas_end_line(canvas);
}

static void draw_positions(struct cli_canvas *canvas, const struct nori_wal_stats *now,
                           const struct layout *layout)
{
    char oldest[CLI_TEXT_SIZE], durable[CLI_TEXT_SIZE], appended[CLI_TEXT_SIZE];

    if (!layout->has_position_lines) {
        cli_canvas_format(
            canvas, "oldest %s, durable %s, appended %s", text_of_position(now->oldest, oldest),
            text_of_position(now->durable, durable), text_of_position(now->appended, appended));
        cli_canvas_end_line(canvas);
        return;
    }
    draw_position(canvas, "oldest", CLI_FILL_NONE, now->oldest, now->oldest_lsn, now->bytes);
    draw_position(canvas, "durable", CLI_FILL_DURABLE, now->durable, now->durable_lsn,
                  now->lag_bytes);
    draw_position(canvas, "written", CLI_FILL_WRITTEN, now->written, now->written_lsn,
                  now->appended_lsn - now->written_lsn);
    draw_position(canvas, "appended", CLI_FILL_APPENDED, now->appended, now->appended_lsn, 0);
}

static void draw_keys(struct cli_canvas *canvas, const struct top_screen *screen)
{
    char text[64], span[CLI_TEXT_SIZE];

    if (screen->is_once)
        return;
    while (canvas->rows > 1) /* they stand in the last row */
        cli_canvas_end_line(canvas);
    snprintf(text, sizeof text, "every %s", cli_text_of_ns(screen->interval_ns, span));
    cli_canvas_ink(canvas, screen->is_paused ? CLI_INK_STRONG : CLI_INK_FAINT);
    cli_canvas_text(canvas, screen->is_paused ? "q quit   p go on   (paused)" : "q quit   p pause");
    cli_canvas_right(canvas, text);
    cli_canvas_end_line(canvas);
}

void top_draw(struct cli_canvas *canvas, const struct top_screen *screen,
              const struct top_view *view)
{
    struct layout layout = make_layout(canvas->rows, screen->is_once);
    const struct nori_wal_stats *now = &view->now;

    draw_title(canvas, screen, view);
    draw_state(canvas, view);
    draw_gap(canvas, &layout, 4);
    draw_rates(canvas, view);
    draw_gap(canvas, &layout, 2);
    draw_charts(canvas, screen, view, &layout);
    if (layout.chart_height > 0)
        draw_gap(canvas, &layout, 1);
    draw_latencies(canvas, view, &layout);
    draw_gap(canvas, &layout, 3);
    draw_ring(canvas, now);
    draw_segments(canvas, now);
    draw_newest(canvas, now);
    draw_positions(canvas, now, &layout);
    draw_keys(canvas, screen);
}
