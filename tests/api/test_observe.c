/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_observe.c: what a log tells about itself through its meter, and what it never tells. */
#include "helpers.h"

#include <nori/observe.h>
#include <nori/sim.h>
#include <pthread.h>

/* A meter that keeps everything. */

#define METRICS_MAX 64
#define EVENTS_MAX  4096

struct metric {
    char kind; /* c, g, h */
    char name[64];
    char label[32]; /* the value of the second label, if there is one */
    char log[32];   /* the value of label `log` */
    uint64_t count; /* calls */
    uint64_t sum;   /* of a counter */
    int64_t value;  /* of a gauge */
    double last;    /* of a histogram */
};

struct kept_event {
    struct nori_event event;
    char message[300];
};

struct keeper {
    pthread_mutex_t mutex;
    struct metric metrics[METRICS_MAX];
    size_t metric_count;
    struct kept_event events[EVENTS_MAX];
    size_t event_count;
    bool is_busy; /* has been used: no more handles are to be asked for */
    bool was_asked_late;
};

static struct keeper keeper; /* counters get no context, so there is one for all */

static void *new_metric(char kind, const char *name, const struct nori_label *labels, size_t count)
{
    struct metric *metric = &keeper.metrics[keeper.metric_count];

    keeper.was_asked_late |= keeper.is_busy;
    if (keeper.metric_count == METRICS_MAX)
        return NULL;
    keeper.metric_count++;
    metric->kind = kind;
    (void)snprintf(metric->name, sizeof metric->name, "%s", name);
    for (size_t i = 0; i < count; i++)
        (void)snprintf(strcmp(labels[i].name, "log") == 0 ? metric->log : metric->label, 32, "%s",
                       labels[i].value);
    return metric;
}

static void *new_counter(void *context, const char *name, const struct nori_label *labels,
                         size_t count)
{
    (void)context;
    return new_metric('c', name, labels, count);
}

static void *new_gauge(void *context, const char *name, const struct nori_label *labels,
                       size_t count)
{
    (void)context;
    return new_metric('g', name, labels, count);
}

static void *new_histogram(void *context, const char *name, const double *buckets,
                           size_t bucket_count, const struct nori_label *labels, size_t count)
{
    (void)context;
    for (size_t i = 1; i < bucket_count; i++)
        if (buckets[i] <= buckets[i - 1])
            return NULL; /* then the test misses it */
    return new_metric('h', name, labels, count);
}

static void add(void *handle, uint64_t amount)
{
    struct metric *metric = handle;

    (void)pthread_mutex_lock(&keeper.mutex);
    metric->count++;
    metric->sum += amount;
    (void)pthread_mutex_unlock(&keeper.mutex);
}

static void set(void *handle, int64_t value)
{
    struct metric *metric = handle;

    (void)pthread_mutex_lock(&keeper.mutex);
    metric->count++;
    metric->value = value;
    (void)pthread_mutex_unlock(&keeper.mutex);
}

static void observe(void *handle, double value)
{
    struct metric *metric = handle;

    (void)pthread_mutex_lock(&keeper.mutex);
    metric->count++;
    metric->last = value;
    (void)pthread_mutex_unlock(&keeper.mutex);
}

static void emit(void *context, const struct nori_event *event)
{
    (void)context;
    (void)pthread_mutex_lock(&keeper.mutex);
    if (keeper.event_count < EVENTS_MAX) {
        struct kept_event *kept = &keeper.events[keeper.event_count++];

        kept->event = *event;
        (void)snprintf(kept->message, sizeof kept->message, "%s",
                       event->message ? event->message : "");
        kept->event.message = NULL;
    }
    (void)pthread_mutex_unlock(&keeper.mutex);
}

static struct nori_meter meter = {sizeof(struct nori_meter),
                                  NULL,
                                  new_counter,
                                  new_gauge,
                                  new_histogram,
                                  add,
                                  set,
                                  observe,
                                  emit};

static int setup(void **state)
{
    memset(&keeper, 0, sizeof keeper);
    if (pthread_mutex_init(&keeper.mutex, NULL) != 0)
        return -1;
    return temporary_setup(state);
}

static int teardown(void **state)
{
    (void)pthread_mutex_destroy(&keeper.mutex);
    return temporary_teardown(state);
}

static const struct metric *find(const char *name, const char *label)
{
    for (size_t i = 0; i < keeper.metric_count; i++)
        if (strcmp(keeper.metrics[i].name, name) == 0 &&
            strcmp(keeper.metrics[i].label, label) == 0)
            return &keeper.metrics[i];
    fail_msg("no metric %s %s", name, label);
    return NULL;
}

static uint64_t total_of(const char *name, const char *label)
{
    return find(name, label)->sum;
}

static int64_t value_of(const char *name)
{
    return find(name, "")->value;
}

static uint64_t observations_of(const char *name)
{
    return find(name, "")->count;
}

/* The last event of a kind; NULL if there was none. *count: how many there were. */
static const struct kept_event *last_event(uint32_t kind, size_t *count)
{
    const struct kept_event *found = NULL;

    *count = 0;
    for (size_t i = 0; i < keeper.event_count; i++)
        if (keeper.events[i].event.kind == kind) {
            found = &keeper.events[i];
            (*count)++;
        }
    return found;
}

/* Until one was told by a thread of the library. */
static void wait_for_event(uint32_t kind)
{
    const uint64_t deadline = now_ms() + PATIENT;
    size_t count = 0;

    while (count == 0) {
        assert_true(now_ms() < deadline);
        (void)pthread_mutex_lock(&keeper.mutex);
        (void)last_event(kind, &count);
        (void)pthread_mutex_unlock(&keeper.mutex);
        sleep_ms(count == 0);
    }
}

static nori_wal *open_metered(void **state, uint32_t policy)
{
    struct nori_wal_config config = config_of(dir_of(state));

    config.fsync_policy = policy;
    config.meter = &meter;
    config.name = "orders";
    config.node_id = 7;
    return open_log(&config);
}

/* ---- handles ---- */

static void handles_are_asked_for_once_at_open_and_have_a_help_text(void **state)
{
    nori_wal *wal = open_metered(state, NORI_FSYNC_BATCH);
    size_t count = keeper.metric_count;

    assert_true(count >= 20);
    keeper.is_busy = true;
    append_range(wal, 1, 3000, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
    close_log(wal);
    assert_false(keeper.was_asked_late);
    for (size_t i = 0; i < count; i++) {
        const struct metric *metric = &keeper.metrics[i];

        assert_non_null(nori_metric_help(metric->name));
        assert_true(strlen(nori_metric_help(metric->name)) > 10);
        assert_string_equal(metric->log, "orders");
        assert_int_equal(strncmp(metric->name, "wal_", 4), 0);
        for (size_t j = 0; j < i; j++)
            assert_true(strcmp(metric->name, keeper.metrics[j].name) != 0 ||
                        strcmp(metric->label, keeper.metrics[j].label) != 0);
    }
    assert_null(nori_metric_help("wal_nonsense"));
    assert_null(nori_metric_help(NULL));
}

/* ---- metrics ---- */

static void appends_are_counted(void **state)
{
    struct nori_record records[3] = {nori_record_put("k", 1, "v", 1), nori_record_delete("k", 1),
                                     nori_record_put("k", 1, "v", 1)};
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);
    struct nori_position begin;

    append_range(wal, 1, 10, 100);
    begin = position_of(wal);
    assert_int_equal(total_of("wal_records_total", "put"), 10);
    assert_int_equal(total_of("wal_records_total", "delete"), 0);
    assert_int_equal(total_of("wal_appends_total", ""), 10);
    assert_int_equal(observations_of("wal_batch_records"), 0);
    assert_int_equal(nori_wal_append_batch(wal, records, 3, NULL), NORI_OK);
    assert_int_equal(total_of("wal_records_total", "put"), 12);
    assert_int_equal(total_of("wal_records_total", "delete"), 1);
    assert_int_equal(total_of("wal_appends_total", ""), 11);
    assert_int_equal(observations_of("wal_batch_records"), 1);
    assert_true(find("wal_batch_records", "")->last == 3.0);
    assert_int_equal(nori_wal_append(wal, &records[1], NULL), NORI_OK);
    assert_int_equal(total_of("wal_records_total", "put"), 12);
    assert_int_equal(total_of("wal_records_total", "delete"), 2);
    assert_true(begin.offset < position_of(wal).offset);
    assert_int_equal(total_of("wal_append_bytes_total", ""), position_of(wal).offset);
    close_log(wal);
}

static void refused_appends_are_counted_and_are_no_records(void **state)
{
    struct nori_record record = nori_record_put(NULL, 1, NULL, 0);
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);

    for (int i = 0; i < 3; i++)
        assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_INVALID);
    assert_int_equal(total_of("wal_errors_total", "refused"), 3);
    assert_int_equal(total_of("wal_errors_total", "io"), 0);
    assert_int_equal(total_of("wal_appends_total", ""), 0);
    close_log(wal);
}

static void syncs_are_measured(void **state)
{
    const struct kept_event *event;
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);
    struct nori_position end;
    uint64_t before;
    size_t count;

    append_range(wal, 1, 10, 100);
    wait_for_event(NORI_EVENT_FSYNC); /* the first segment is synced when it begins */
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    before = observations_of("wal_fsync_seconds");
    append_range(wal, 11, 10, 100);
    end = position_of(wal);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(observations_of("wal_fsync_seconds"), before + 1);
    assert_int_equal(observations_of("wal_fsync_ms"), before + 1);
    assert_true(find("wal_fsync_seconds", "")->last > 0);
    assert_true(find("wal_fsync_ms", "")->last > find("wal_fsync_seconds", "")->last);
    assert_int_equal(find("wal_sync_bytes", "")->last, 10 * 115);
    assert_int_equal(value_of("wal_durable_bytes"), end.offset);
    assert_int_equal(value_of("wal_appended_bytes"), end.offset);
    assert_int_equal(value_of("wal_durable_lag_bytes"), 0);
    event = last_event(NORI_EVENT_FSYNC, &count);
    assert_int_equal(count, before + 1);
    assert_int_equal(event->event.segment_id, 0);
    assert_int_equal(event->event.bytes, 10 * 115);
    assert_int_equal(event->event.code, NORI_OK);
    close_log(wal);
}

static void rolls_and_drops_are_told_with_their_bytes(void **state)
{
    const struct kept_event *event;
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);
    uint64_t number = 1;
    uint64_t deleted = 0;
    uint64_t end = 0;
    size_t count;

    while (position_of(wal).segment_id < 1) {
        end = position_of(wal).offset;
        (void)append_numbered(wal, number++, 1000);
    }
    event = last_event(NORI_EVENT_SEGMENT_ROLL, &count);
    assert_int_equal(count, 1);
    assert_int_equal(event->event.segment_id, 0);
    assert_int_equal(event->event.bytes, end);
    assert_int_equal(event->event.node_id, 7);
    assert_int_equal(event->event.size, sizeof(struct nori_event));
    assert_int_equal(total_of("wal_segment_rolls_total", ""), 1);
    assert_int_equal(observations_of("wal_roll_seconds"), 1);
    assert_int_equal(value_of("wal_segments"), 2);

    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
    assert_int_equal(deleted, 2);
    event = last_event(NORI_EVENT_SEGMENT_GC, &count);
    assert_int_equal(count, 2);
    assert_int_equal(event->event.segment_id, 1);
    for (size_t i = 0; i < keeper.event_count; i++)
        if (keeper.events[i].event.kind == NORI_EVENT_SEGMENT_GC &&
            keeper.events[i].event.segment_id == 0)
            assert_int_equal(keeper.events[i].event.bytes, end);
    assert_int_equal(total_of("wal_segments_dropped_total", ""), 2);
    assert_int_equal(value_of("wal_segments"), 1);
    close_log(wal);
}

static void recovery_is_told(void **state)
{
    const struct kept_event *event;
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);
    struct nori_position last;
    size_t count;

    event = last_event(NORI_EVENT_RECOVERY, &count);
    assert_int_equal(count, 1);
    append_range(wal, 1, 99, 100);
    last = append_numbered(wal, 100, 100);
    close_log(wal);
    wal = open_metered(state, NORI_FSYNC_OS);
    event = last_event(NORI_EVENT_RECOVERY, &count);
    assert_int_equal(count, 2);
    assert_int_equal(event->event.code, NORI_OK);
    assert_int_equal(event->event.severity, NORI_SEVERITY_INFO);
    assert_int_equal(event->event.segment_id, 0);
    assert_int_equal(event->event.offset, last.offset);
    assert_true(event->event.bytes >= 100 * 115);
    assert_true(event->message[0] != '\0');
    close_log(wal);
}

/* D6: a person learns that something was left behind, where, and how much. */
static void a_torn_tail_is_told_with_its_place_and_bytes(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->other);
    const struct kept_event *event;
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);
    struct nori_position end;
    size_t count;

    append_range(wal, 1, 10, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    end = append_numbered(wal, 11, 100);
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    copy_dir(temporary->dir, temporary->other); /* what a power cut could leave now */
    close_log(wal);
    clear_ring(temporary->other); /* it has the record whole */
    cut_file(temporary->other, segment_name(0), end.offset + 60);
    (void)last_event(NORI_EVENT_CORRUPTION_TRUNCATED, &count);
    assert_int_equal(count, 0);
    keeper.metric_count = 0;
    memset(keeper.metrics, 0, sizeof keeper.metrics);
    config.meter = &meter;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    event = last_event(NORI_EVENT_CORRUPTION_TRUNCATED, &count);
    assert_int_equal(count, 1);
    assert_int_equal(event->event.segment_id, 0);
    assert_int_equal(event->event.offset, end.offset);
    assert_int_equal(event->event.bytes, 60);
    assert_int_equal(event->event.severity, NORI_SEVERITY_WARNING);
    assert_true(strstr(event->message, "torn tail") != NULL);
    assert_int_equal(total_of("wal_corruption_truncated_total", ""), 1);
    assert_int_equal(value_of("wal_recovery_truncated_bytes"), 60);
    assert_int_equal(value_of("wal_recovery_records"), 10);
}

/* D8: the first cause, once. */
static void a_failure_is_told_once_with_its_cause(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_wal_config config = config_of("wal");
    nori_sim *sim = nori_sim_new(&options);
    const struct kept_event *event;
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    nori_wal *wal;
    size_t count;

    (void)state;
    config.vfs = nori_sim_vfs(sim);
    config.meter = &meter;
    wal = open_log(&config);
    append_range(wal, 1, 10, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(value_of("wal_failed"), 0);
    append_range(wal, 11, 10, 10);
    nori_sim_sleep(sim, 1000000000);
    options.fail_mask = NORI_SIM_SYNC;
    options.fail_nth = 1;
    nori_sim_set_options(sim, &options);
    assert_int_equal(nori_wal_sync(wal), NORI_E_IO);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_FAILED);
    assert_int_equal(nori_wal_sync(wal), NORI_E_FAILED);
    assert_int_equal(value_of("wal_failed"), 1);
    assert_int_equal(total_of("wal_errors_total", "io"), 3);
    event = last_event(NORI_EVENT_FAILED, &count);
    assert_int_equal(count, 1);
    assert_int_equal(event->event.code, NORI_E_IO);
    assert_int_equal(event->event.severity, NORI_SEVERITY_ERROR);
    assert_true(event->message[0] != '\0');
    event = last_event(NORI_EVENT_FSYNC, &count);
    assert_int_equal(event->event.code, NORI_E_IO);
    assert_int_equal(nori_wal_close(wal), NORI_E_FAILED);
    nori_sim_free(sim);
}

/* ---- what is never told ---- */

static void keys_and_values_never_stand_in_events_or_errors(void **state)
{
    struct nori_record secret = nori_record_put("SECRETkey", 9, "SECRETvalue", 11);
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position position;
    nori_wal *wal = open_metered(state, NORI_FSYNC_OS);

    for (int i = 0; i < 100; i++)
        assert_int_equal(nori_wal_append(wal, &secret, &position), NORI_OK);
    secret.compression = 99;
    assert_int_equal(nori_wal_append(wal, &secret, NULL), NORI_E_INVALID);
    assert_int_equal(nori_wal_last_error(wal, &error), NORI_OK);
    assert_null(strstr(error.message, "SECRET"));
    close_log(wal);
    flip_bit(dir_of(state), segment_name(0), 500, 0);
    config.meter = &meter;
    assert_int_equal(try_open(&config, NULL, &error), NORI_E_CORRUPT);
    assert_null(strstr(error.message, "SECRET"));
    assert_true(keeper.event_count > 0);
    for (size_t i = 0; i < keeper.event_count; i++)
        assert_null(strstr(keeper.events[i].message, "SECRET"));
}

/* A meter may offer less, or want less. */
static void a_meter_with_missing_functions_is_fine(void **state)
{
    for (unsigned missing = 0; missing < 128; missing++) {
        struct nori_meter part = meter;
        struct nori_wal_config config = config_of(dir_of(state));
        nori_wal *wal;

        if (missing & 1)
            part.counter = NULL;
        if (missing & 2)
            part.gauge = NULL;
        if (missing & 4)
            part.histogram = NULL;
        if (missing & 8)
            part.counter_add = NULL;
        if (missing & 16)
            part.gauge_set = NULL;
        if (missing & 32)
            part.histogram_observe = NULL;
        if (missing & 64)
            part.emit = NULL;
        keeper.metric_count = missing % 5 ? 0 : METRICS_MAX; /* then no handle is given */
        config.meter = &part;
        wal = open_log(&config);
        append_range(wal, 1, 10, 10);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
        close_log(wal);
    }
}

#define METERED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METERED(handles_are_asked_for_once_at_open_and_have_a_help_text),
        METERED(appends_are_counted),
        METERED(refused_appends_are_counted_and_are_no_records),
        METERED(syncs_are_measured),
        METERED(rolls_and_drops_are_told_with_their_bytes),
        METERED(recovery_is_told),
        METERED(a_torn_tail_is_told_with_its_place_and_bytes),
        METERED(a_failure_is_told_once_with_its_cause),
        METERED(keys_and_values_never_stand_in_events_or_errors),
        METERED(a_meter_with_missing_functions_is_fine),
    };

    return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
