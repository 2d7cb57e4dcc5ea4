/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * 02_prometheus.c: a log that Prometheus can watch.
 *
 *   cc 02_prometheus.c $(pkg-config --cflags --libs nori-prometheus) && ./a.out FOLDER PORT
 *
 * Appends each line of standard input to the log in FOLDER until the input ends, and meanwhile
 * serves its metrics on 127.0.0.1:PORT (0: any port that is free). Look at them with a browser, or
 * have Prometheus scrape them: docs/observability.md.
 */
#include <nori/prometheus.h>
#include <nori/wal.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call of the library has to succeed here. */
static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, nori_strerror(rc));
    exit(1);
}

static void append_lines(nori_wal *wal)
{
    char line[4096];

    while (fgets(line, sizeof line, stdin)) {
        struct nori_record record = nori_record_put("line", 4, line, strcspn(line, "\n"));

        must(nori_wal_append(wal, &record, NULL), "append");
    }
}

int main(int argc, char **argv)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_prometheus *registry;
    uint16_t port;
    nori_wal *wal;

    if (argc != 3) {
        fprintf(stderr, "usage: %s FOLDER PORT\n", argv[0]);
        return 2;
    }

    /* One registry for the whole program; NULL: on loopback, for nobody else to see. */
    must(nori_prometheus_new(&registry), "registry");
    port = (uint16_t)strtoul(argv[2], NULL, 10);
    must(nori_prometheus_serve(registry, NULL, port, &port), "serve");
    printf("http://127.0.0.1:%u/metrics\n", (unsigned)port);
    fflush(stdout);

    /* Every log that is opened with its meter is on the page, under its name. */
    config.dir = argv[1];
    config.name = "lines";
    config.meter = nori_prometheus_meter(registry);
    if (nori_wal_open(&config, &wal, NULL, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    append_lines(wal);
    must(nori_wal_close(wal), "close");
    nori_prometheus_free(registry); /* after the logs, which count to the end */
    return 0;
}
