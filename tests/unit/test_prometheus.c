/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_prometheus.c: what a scrape shows is what was counted, in the form that Prometheus reads,
 * and a page that is not whole is never shown. */
#include "observe/prometheus.h"

#include <arpa/inet.h>
#include <math.h>
#include <nori/sim.h>
#include <nori/wal.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    return nori_prometheus_new((nori_prometheus **)state);
}

static int teardown(void **state)
{
    nori_prometheus_free(*state);
    return 0;
}

/* ---- short words for the meter of a registry ---- */

static void *counter_of(nori_prometheus *registry, const char *name,
                        const struct nori_label *labels, size_t count)
{
    const struct nori_meter *meter = nori_prometheus_meter(registry);

    return meter->counter(meter->context, name, labels, count);
}

static void *gauge_of(nori_prometheus *registry, const char *name)
{
    const struct nori_meter *meter = nori_prometheus_meter(registry);

    return meter->gauge(meter->context, name, NULL, 0);
}

static void *histogram_of(nori_prometheus *registry, const char *name, const double *buckets,
                          size_t count)
{
    const struct nori_meter *meter = nori_prometheus_meter(registry);

    return meter->histogram(meter->context, name, buckets, count, NULL, 0);
}

static void add(nori_prometheus *registry, void *counter, uint64_t amount)
{
    nori_prometheus_meter(registry)->counter_add(counter, amount);
}

static void observe(nori_prometheus *registry, void *histogram, double value)
{
    nori_prometheus_meter(registry)->histogram_observe(histogram, value);
}

static char *page_of(nori_prometheus *registry)
{
    static char page[256 * 1024];

    assert_int_equal(nori_prometheus_render(registry, page, sizeof page, NULL), NORI_OK);
    return page;
}

static void assert_page(nori_prometheus *registry, const char *text)
{
    assert_string_equal(page_of(registry), text);
}

/* A counter x with one label a of this value shows it so. */
static void assert_shown(const char *value, const char *shown)
{
    struct nori_label label = {"a", value};
    nori_prometheus *registry;
    char text[300];

    assert_int_equal(nori_prometheus_new(&registry), NORI_OK);
    assert_non_null(counter_of(registry, "x", &label, 1));
    (void)snprintf(text, sizeof text, "# TYPE x counter\nx{a=\"%s\"} 0\n", shown);
    assert_page(registry, text);
    nori_prometheus_free(registry);
}

/* ---- the page ---- */

static void an_empty_registry_has_an_empty_page(void **state)
{
    assert_page(*state, "");
}

static void each_kind_is_shown_as_prometheus_reads_it(void **state)
{
    const struct nori_label put[] = {{"log", "orders"}, {"op", "put"}};
    const struct nori_label gone[] = {{"log", "orders"}, {"op", "delete"}};
    const double buckets[] = {1e-6, 0.25, 1, 2.5};
    void *histogram = histogram_of(*state, "mine_seconds", buckets, 4);

    add(*state, counter_of(*state, "wal_records_total", put, 2), 41);
    nori_prometheus_meter(*state)->gauge_set(gauge_of(*state, "wal_segments"), -3);
    add(*state, counter_of(*state, "wal_records_total", gone, 2), UINT64_MAX);
    add(*state, counter_of(*state, "wal_records_total", put, 2), 1);
    observe(*state, histogram, 0.25); /* a bound belongs to its bucket */
    observe(*state, histogram, 0.5);
    observe(*state, histogram, 100.125);
    assert_page(*state, "# TYPE mine_seconds histogram\n"
                        "mine_seconds_bucket{le=\"1e-06\"} 0\n"
                        "mine_seconds_bucket{le=\"0.25\"} 1\n"
                        "mine_seconds_bucket{le=\"1\"} 2\n"
                        "mine_seconds_bucket{le=\"2.5\"} 2\n"
                        "mine_seconds_bucket{le=\"+Inf\"} 3\n"
                        "mine_seconds_sum 100.875\n"
                        "mine_seconds_count 3\n"
                        "# HELP wal_records_total Records appended.\n"
                        "# TYPE wal_records_total counter\n"
                        "wal_records_total{log=\"orders\",op=\"put\"} 42\n"
                        "wal_records_total{log=\"orders\",op=\"delete\"} 18446744073709551615\n"
                        "# HELP wal_segments Segments that the log consists of.\n"
                        "# TYPE wal_segments gauge\n"
                        "wal_segments -3\n");
}

static void a_histogram_with_labels_shows_them_on_every_line(void **state)
{
    const struct nori_meter *meter = nori_prometheus_meter(*state);
    const struct nori_label label = {"log", "a"};
    const double bucket = 2;

    observe(*state, meter->histogram(meter->context, "h", &bucket, 1, &label, 1), 1);
    assert_page(*state, "# TYPE h histogram\n"
                        "h_bucket{log=\"a\",le=\"2\"} 1\n"
                        "h_bucket{log=\"a\",le=\"+Inf\"} 1\n"
                        "h_sum{log=\"a\"} 1\n"
                        "h_count{log=\"a\"} 1\n");
}

static void numbers_that_are_none_are_shown_and_counted(void **state)
{
    const double bucket = 0;
    void *histogram = histogram_of(*state, "h", &bucket, 1);

    observe(*state, histogram, -INFINITY);
    assert_non_null(strstr(page_of(*state), "h_sum -Inf\n"));
    observe(*state, histogram, NAN);
    assert_page(*state, "# TYPE h histogram\n"
                        "h_bucket{le=\"0\"} 1\n"
                        "h_bucket{le=\"+Inf\"} 2\n"
                        "h_sum NaN\n"
                        "h_count 2\n");
}

static void sums_read_back_as_they_were(void **state)
{
    const double values[] = {0.1 + 0.2, 1.0 / 3, 1e-300, 123456789.125, 5e22};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        nori_prometheus *registry;
        const char *sum;

        assert_int_equal(nori_prometheus_new(&registry), NORI_OK);
        observe(registry, histogram_of(registry, "h", NULL, 0), values[i]);
        sum = strstr(page_of(registry), "h_sum ");
        assert_non_null(sum);
        assert_true(strtod(sum + 6, NULL) == values[i]);
        nori_prometheus_free(registry);
    }
    (void)state;
}

static void values_of_labels_are_escaped(void **state)
{
    (void)state;
    assert_shown("plain /var/lib {}=,'#", "plain /var/lib {}=,'#");
    assert_shown("a\\b", "a\\\\b");
    assert_shown("say \"no\"", "say \\\"no\\\"");
    assert_shown("two\nlines", "two\\nlines");
    assert_shown("\xc3\xa9\xe2\x82\xac\xf0\x9f\x8d\xa3", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8d\xa3");
}

/* One path with a byte that is not UTF-8 must not cost the whole scrape. */
static void bytes_that_are_not_utf8_are_spelt_out(void **state)
{
    (void)state;
    assert_shown("\xff", "\\\\xff");
    assert_shown("a\x80z", "a\\\\x80z");
    assert_shown("cut \xe2\x82", "cut \\\\xe2\\\\x82");
    assert_shown("long \xc0\xaf", "long \\\\xc0\\\\xaf");
    assert_shown("long \xe0\x80\x80", "long \\\\xe0\\\\x80\\\\x80");
    assert_shown("\xed\xa0\x80", "\\\\xed\\\\xa0\\\\x80");
    assert_shown("\xf4\x90\x80\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80");
    assert_shown("\xf5", "\\\\xf5");
}

static void help_is_escaped(void **state)
{
    char target[64];
    struct nw_text text = {target, sizeof target, 0};

    (void)state;
    nw_text_help(&text, "one\\two\nthree \"four\"");
    assert_int_equal(text.len, strlen("one\\\\two\\nthree \"four\""));
    assert_memory_equal(target, "one\\\\two\\nthree \"four\"", text.len);
}

static void a_page_that_does_not_fit_says_how_long_it_is(void **state)
{
    const char *whole;
    char buffer[256];
    size_t len = 0;
    size_t needed = 0;

    add(*state, counter_of(*state, "wal_appends_total", NULL, 0), 7);
    assert_int_equal(nori_prometheus_render(*state, NULL, 0, &needed), NORI_E_TOOBIG);
    whole = page_of(*state);
    assert_int_equal(needed, strlen(whole));
    for (size_t size = 0; size <= needed; size++) {
        memset(buffer, '#', sizeof buffer);
        assert_int_equal(nori_prometheus_render(*state, buffer, size, &len), NORI_E_TOOBIG);
        assert_int_equal(len, needed);
        for (size_t i = size; i < sizeof buffer; i++)
            assert_int_equal(buffer[i], '#');
    }
    assert_int_equal(nori_prometheus_render(*state, buffer, needed + 1, &len), NORI_OK);
    assert_int_equal(len, needed);
    assert_string_equal(buffer, whole);
}

/* ---- handles ---- */

static void the_same_name_and_labels_are_the_same_handle(void **state)
{
    const struct nori_label ab[] = {{"a", "1"}, {"b", "2"}};
    const struct nori_label ba[] = {{"b", "2"}, {"a", "1"}};
    const struct nori_label empty[] = {{"b", "2"}, {"c", ""}, {"a", "1"}};
    const struct nori_label other[] = {{"a", "1"}, {"b", "3"}};
    void *handle = counter_of(*state, "x_total", ab, 2);

    assert_non_null(handle);
    assert_ptr_equal(counter_of(*state, "x_total", ab, 2), handle);
    assert_ptr_equal(counter_of(*state, "x_total", ba, 2), handle);
    assert_ptr_equal(counter_of(*state, "x_total", empty, 3), handle); /* to Prometheus, too */
    assert_ptr_not_equal(counter_of(*state, "x_total", other, 2), handle);
    assert_ptr_not_equal(counter_of(*state, "x_total", ab, 1), handle);
    assert_ptr_not_equal(counter_of(*state, "y_total", ab, 2), handle);
    assert_page(*state, "# TYPE x_total counter\n"
                        "x_total{a=\"1\",b=\"2\"} 0\n"
                        "x_total{a=\"1\",b=\"3\"} 0\n"
                        "x_total{a=\"1\"} 0\n"
                        "# TYPE y_total counter\n"
                        "y_total{a=\"1\",b=\"2\"} 0\n");
}

static void what_prometheus_would_refuse_gets_no_handle(void **state)
{
    static const char *const names[] = {"", "1x", "a-b", "a b", "\xc3\xa9", "a\n"};
    static const char *const label_names[] = {"", "1", "a:b", "__name__", "le", "a b"};
    const double nan_buckets[] = {1, NAN};
    const double endless[] = {1, INFINITY};
    const double falling[] = {1, 2, 2};
    const struct nori_label twice[] = {{"a", "1"}, {"b", "1"}, {"a", "2"}};
    struct nori_label many[NW_LABELS_MAX + 1];
    double more[NW_BUCKETS_MAX + 1];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_null(counter_of(*state, names[i], NULL, 0));
    assert_null(counter_of(*state, NULL, NULL, 0));
    for (size_t i = 0; i < sizeof label_names / sizeof label_names[0]; i++)
        assert_null(counter_of(*state, "x", &(struct nori_label){label_names[i], "v"}, 1));
    assert_null(counter_of(*state, "x", &(struct nori_label){NULL, "v"}, 1));
    assert_null(counter_of(*state, "x", &(struct nori_label){"a", NULL}, 1));
    assert_null(counter_of(*state, "x", NULL, 1));
    assert_null(counter_of(*state, "x", twice, 3));
    for (size_t i = 0; i <= NW_LABELS_MAX; i++)
        many[i] = (struct nori_label){&"abcdefghijklmnopqrstuvwxyz"[25 - i], "v"};
    assert_null(counter_of(*state, "x", many, NW_LABELS_MAX + 1));
    for (size_t i = 0; i <= NW_BUCKETS_MAX; i++)
        more[i] = (double)i;
    assert_null(histogram_of(*state, "x", more, NW_BUCKETS_MAX + 1));
    assert_null(histogram_of(*state, "x", nan_buckets, 2));
    assert_null(histogram_of(*state, "x", endless, 2));
    assert_null(histogram_of(*state, "x", falling, 3));
    assert_null(histogram_of(*state, "x", NULL, 1));
    assert_page(*state, ""); /* and none of them left a trace */

    assert_non_null(counter_of(*state, "x", many, NW_LABELS_MAX));
    assert_non_null(histogram_of(*state, "h", more, NW_BUCKETS_MAX));
}

static void a_name_keeps_its_kind(void **state)
{
    assert_non_null(counter_of(*state, "x", NULL, 0));
    assert_null(gauge_of(*state, "x"));
    assert_null(histogram_of(*state, "x", NULL, 0));
    assert_page(*state, "# TYPE x counter\nx 0\n");
}

static void bad_arguments_are_refused(void **state)
{
    char buffer[8];

    assert_int_equal(nori_prometheus_new(NULL), NORI_E_INVALID);
    assert_null(nori_prometheus_meter(NULL));
    assert_int_equal(nori_prometheus_render(NULL, buffer, sizeof buffer, NULL), NORI_E_INVALID);
    assert_int_equal(nori_prometheus_render(*state, NULL, 1, NULL), NORI_E_INVALID);
    assert_int_equal(nori_prometheus_serve(NULL, NULL, 0, NULL), NORI_E_INVALID);
    assert_int_equal(nori_prometheus_serve(*state, "localhost", 0, NULL), NORI_E_INVALID);
    assert_int_equal(nori_prometheus_serve(*state, "", 0, NULL), NORI_E_INVALID);
    nori_prometheus_free(NULL);
}

/* ---- memory ---- */

/* A page that lacks a metric would look as if nothing happened. */
static void a_metric_without_memory_is_told(void **state)
{
    const struct nori_label label = {"log", "a"};
    bool was_reached = true;

    (void)state;
    for (uint64_t nth = 1; was_reached; nth++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_prometheus *registry = NULL;
        nori_sim *sim;
        char page[200];
        int rc;

        options.fail_nth = nth;
        options.fail_mask = NORI_SIM_MEMORY | NORI_SIM_THREAD;
        sim = nori_sim_new(&options);
        rc = nw_prometheus_new(nori_sim_vfs(sim), nori_sim_allocator(sim), &registry);
        if (rc == NORI_OK) {
            void *handle = counter_of(registry, "x", &label, 1);

            rc = nori_prometheus_render(registry, page, sizeof page, NULL);
            assert_int_equal(rc, handle ? NORI_OK : NORI_E_NOMEM);
            nori_prometheus_free(registry);
        }
        was_reached = nori_sim_did_fail(sim) != 0;
        assert_int_equal(rc < 0, was_reached);
        assert_int_equal(nori_sim_memory_blocks(sim), 0);
        nori_sim_free(sim);
        assert_true(nth < 20);
    }
}

/* ---- threads ---- */

#define THREADS 4
#define STEPS   20000

static void *hammer(void *context)
{
    nori_prometheus *registry = context;
    const double bucket = 0.5;

    for (int i = 0; i < STEPS; i++) {
        add(registry, counter_of(registry, "x_total", NULL, 0), 1);
        observe(registry, histogram_of(registry, "h", &bucket, 1), i % 2);
    }
    return NULL;
}

static uint64_t value_on(const char *page, const char *head)
{
    const char *line = strstr(page, head);

    return line ? strtoull(line + strlen(head), NULL, 10) : 0;
}

static void nothing_is_lost_when_threads_count_the_same(void **state)
{
    pthread_t threads[THREADS];
    uint64_t total;
    uint64_t last = 0;
    char *page;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
    do { /* each scrape meanwhile agrees with itself and never goes back */
        page = page_of(*state);
        total = value_on(page, "\nx_total ");
        assert_true(total >= last);
        assert_int_equal(value_on(page, "h_bucket{le=\"+Inf\"} "), value_on(page, "h_count "));
        last = total;
    } while (total < THREADS * STEPS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    page = page_of(*state);
    assert_int_equal(value_on(page, "\nx_total "), THREADS * STEPS);
    assert_int_equal(value_on(page, "h_bucket{le=\"0.5\"} "), THREADS * STEPS / 2);
    assert_int_equal(value_on(page, "h_sum "), THREADS * STEPS / 2);
    assert_int_equal(value_on(page, "h_count "), THREADS * STEPS);
}

/* ---- logs ---- */

static void append_to_log(nori_prometheus *registry, const char *name, int count)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    nori_sim *sim = nori_sim_new(&options);
    nori_wal *wal;

    config.name = name;
    config.vfs = nori_sim_vfs(sim);
    config.meter = nori_prometheus_meter(registry);
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    assert_int_equal(nori_wal_close(wal), NORI_OK);
    nori_sim_free(sim);
}

static void two_logs_keep_apart_and_one_that_is_reopened_goes_on(void **state)
{
    char *page;

    append_to_log(*state, "orders", 3);
    append_to_log(*state, "events", 5);
    append_to_log(*state, "orders", 4);
    page = page_of(*state);
    assert_int_equal(value_on(page, "wal_records_total{log=\"orders\",op=\"put\"} "), 7);
    assert_int_equal(value_on(page, "wal_records_total{log=\"events\",op=\"put\"} "), 5);
    page = strstr(page, "# TYPE wal_records_total ");
    assert_non_null(page);
    assert_null(strstr(page + 1, "# TYPE wal_records_total "));
}

/* ---- the server ---- */

/* Send the request as it is; the answer up to the end of the connection. */
static const char *ask_server(int family, uint16_t port, const char *request)
{
    static char answer[64 * 1024];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int connection = socket(family, SOCK_STREAM, 0);
    size_t len = 0;
    ssize_t got;

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    assert_true(connection >= 0);
    if (family == AF_INET)
        assert_int_equal(connect(connection, (struct sockaddr *)&v4, sizeof v4), 0);
    else
        assert_int_equal(connect(connection, (struct sockaddr *)&v6, sizeof v6), 0);
    assert_int_equal(write(connection, request, strlen(request)), strlen(request));
    while ((got = read(connection, answer + len, sizeof answer - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(connection);
    answer[len] = '\0';
    return answer;
}

static const char *get(uint16_t port, const char *path)
{
    char request[200];

    (void)snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    return ask_server(AF_INET, port, request);
}

static void assert_status(const char *answer, const char *status)
{
    const char *blank = strchr(answer, ' ');

    assert_non_null(blank);
    assert_memory_equal(blank + 1, status, 3);
}

static void the_server_gives_the_page_and_nothing_else(void **state)
{
    uint16_t port = 0;
    const char *answer;

    assert_int_equal(nori_prometheus_serve(*state, NULL, 0, &port), NORI_OK);
    assert_int_not_equal(port, 0);
    add(*state, counter_of(*state, "wal_appends_total", NULL, 0), 7);
    answer = get(port, "/metrics");
    assert_status(answer, "200");
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(answer, "\r\n\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, page_of(*state));
    assert_status(get(port, "/metrics?x=1"), "200");
    answer = get(port, "/healthz");
    assert_status(answer, "200");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nok\n");
    assert_status(get(port, "/"), "404");
    assert_status(get(port, "/metrics/"), "404");
    assert_status(get(port, "/../etc/passwd"), "404");
    answer = ask_server(AF_INET, port, "POST /metrics HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
    assert_status(answer, "405");
    assert_non_null(strstr(answer, "Allow: GET"));
    assert_status(ask_server(AF_INET, port, "DELETE /healthz HTTP/1.0\r\n\r\n"), "405");
    (void)ask_server(AF_INET, port, "nonsense\r\n\r\n");
    assert_status(get(port, "/metrics"), "200"); /* it is still there */
}

static void a_page_larger_than_a_guess_is_given_whole(void **state)
{
    uint16_t port = 0;
    const char *answer;

    for (int i = 0; i < 500; i++) {
        char value[16];

        (void)snprintf(value, sizeof value, "%d", i);
        add(*state, counter_of(*state, "x", &(struct nori_label){"number", value}, 1), 1);
    }
    assert_int_equal(nori_prometheus_serve(*state, NULL, 0, &port), NORI_OK);
    answer = get(port, "/metrics");
    assert_status(answer, "200");
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, page_of(*state));
}

static void an_address_that_is_taken_is_told(void **state)
{
    nori_prometheus *other;
    uint16_t port = 0;

    assert_int_equal(nori_prometheus_serve(*state, "127.0.0.1", 0, &port), NORI_OK);
    assert_int_equal(nori_prometheus_serve(*state, "127.0.0.1", 0, NULL), NORI_E_INVALID);
    assert_int_equal(nori_prometheus_new(&other), NORI_OK);
    assert_int_equal(nori_prometheus_serve(other, "127.0.0.1", port, NULL), NORI_E_IO);
    assert_int_equal(nori_prometheus_serve(other, "127.0.0.1", 0, &port), NORI_OK);
    nori_prometheus_free(other);
    assert_int_equal(nori_prometheus_new(&other), NORI_OK); /* a free port again */
    assert_int_equal(nori_prometheus_serve(other, "127.0.0.1", port, NULL), NORI_OK);
    nori_prometheus_free(other);
}

static void ipv6_is_served(void **state)
{
    uint16_t port = 0;
    int rc = nori_prometheus_serve(*state, "::1", 0, &port);

    if (rc == NORI_E_IO)
        skip(); /* this machine has no IPv6 */
    assert_int_equal(rc, NORI_OK);
    assert_status(ask_server(AF_INET6, port, "GET /healthz HTTP/1.0\r\n\r\n"), "200");
}

static volatile sig_atomic_t was_handled_by_main;
static pthread_t main_thread;

static void handle(int number)
{
    (void)number;
    was_handled_by_main = pthread_equal(pthread_self(), main_thread) ? 1 : 2;
}

/* A handler that runs on a thread it does not know of is a program's worst surprise. */
static void signals_never_reach_the_server_s_thread(void **state)
{
    struct sigaction action = {.sa_handler = handle};
    uint16_t port = 0;
    sigset_t set;

    main_thread = pthread_self();
    assert_int_equal(nori_prometheus_serve(*state, NULL, 0, &port), NORI_OK);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0); /* only another thread could take it now */
    assert_status(get(port, "/healthz"), "200");  /* it was awake since */
    assert_int_equal(was_handled_by_main, 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    assert_int_equal(was_handled_by_main, 1);
}

#define WITH_REGISTRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_REGISTRY(an_empty_registry_has_an_empty_page),
        WITH_REGISTRY(each_kind_is_shown_as_prometheus_reads_it),
        WITH_REGISTRY(a_histogram_with_labels_shows_them_on_every_line),
        WITH_REGISTRY(numbers_that_are_none_are_shown_and_counted),
        cmocka_unit_test(sums_read_back_as_they_were),
        cmocka_unit_test(values_of_labels_are_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_are_spelt_out),
        cmocka_unit_test(help_is_escaped),
        WITH_REGISTRY(a_page_that_does_not_fit_says_how_long_it_is),
        WITH_REGISTRY(the_same_name_and_labels_are_the_same_handle),
        WITH_REGISTRY(what_prometheus_would_refuse_gets_no_handle),
        WITH_REGISTRY(a_name_keeps_its_kind),
        WITH_REGISTRY(bad_arguments_are_refused),
        cmocka_unit_test(a_metric_without_memory_is_told),
        WITH_REGISTRY(nothing_is_lost_when_threads_count_the_same),
        WITH_REGISTRY(two_logs_keep_apart_and_one_that_is_reopened_goes_on),
        WITH_REGISTRY(the_server_gives_the_page_and_nothing_else),
        WITH_REGISTRY(a_page_larger_than_a_guess_is_given_whole),
        WITH_REGISTRY(an_address_that_is_taken_is_told),
        WITH_REGISTRY(ipv6_is_served),
        WITH_REGISTRY(signals_never_reach_the_server_s_thread),
    };

    return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
