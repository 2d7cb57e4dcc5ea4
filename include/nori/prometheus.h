/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/prometheus.h: a meter (nori/observe.h) whose metrics Prometheus can scrape (library
 * libnori-prometheus, pkg-config nori-prometheus).
 *
 *     nori_prometheus *registry;
 *     struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
 *
 *     nori_prometheus_new(&registry);
 *     nori_prometheus_serve(registry, NULL, 9400, NULL);
 *     config.meter = nori_prometheus_meter(registry);
 *     nori_wal_open(&config, ...); ... nori_wal_close(wal);
 *     nori_prometheus_free(registry);
 *
 * One registry serves any number of logs: the label `log` (the name in struct nori_wal_config)
 * keeps them apart. Who asks for the same name and labels again gets the same handle, so a log
 * that is opened again goes on counting. A program may ask the meter for metrics of its own.
 *
 * Any thread may use a registry; counting takes no lock and no memory. What it shows was counted
 * before the scrape or during it: two metrics of one page may differ by what happened in between.
 */
#ifndef NORI_PROMETHEUS_H
#define NORI_PROMETHEUS_H

#include <nori/observe.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nori_prometheus nori_prometheus;

/* An empty registry. NORI_E_INVALID (ret_registry is NULL), NORI_E_NOMEM. */
NORI_API int nori_prometheus_new(nori_prometheus **ret_registry);

/*
 * The meter to name in struct nori_wal_config; lives as long as the registry. NULL for NULL. It has
 * no emit: who wants events, too, copies the struct and fills in a function of its own, which gets
 * the registry's context.
 *
 * Its counter, gauge and histogram give NULL for what Prometheus would refuse: a name that is not
 * [a-zA-Z_:][a-zA-Z0-9_:]*, a label name that is not [a-zA-Z_][a-zA-Z0-9_]*, begins with "__", is
 * there twice or is `le`, more than 16 labels, a name that is already one of another kind, more
 * than 64 buckets or such that do not ascend. Bytes of a label's value that are not UTF-8 are shown
 * as \xHH. All series of one histogram have the buckets of the first.
 */
NORI_API const struct nori_meter *nori_prometheus_meter(nori_prometheus *registry);

/*
 * Write all metrics to buffer in Prometheus' text format, version 0.0.4, with a zero at the end
 * that *ret_len (may be NULL) does not count. NORI_E_TOOBIG if it takes more than size bytes: then
 * *ret_len says how long it is without the zero, and may grow until the next call; buffer may be
 * NULL if size is 0. NORI_E_NOMEM if there was no memory for a metric when it was asked for: a page
 * that lacks one must not look whole.
 */
NORI_API int nori_prometheus_render(nori_prometheus *registry, char *buffer, size_t size,
                                    size_t *ret_len);

/*
 * Answer GET /metrics, and GET /healthz with 200 as long as the program runs, from a thread of the
 * library. address is a numeric IPv4 or IPv6 address; NULL: 127.0.0.1. There is no password and no
 * encryption: whoever reaches the address can read. port 0: any that is free; ret_port (may be
 * NULL) says which. NORI_E_INVALID: not an address, or the registry already serves. NORI_E_IO: the
 * address cannot be had, most often because another program has it.
 */
NORI_API int nori_prometheus_serve(nori_prometheus *registry, const char *address, uint16_t port,
                                   uint16_t *ret_port);

/* End the server and free all. Every log that uses the meter must be closed by then. NULL is a
 * no-op. */
NORI_API void nori_prometheus_free(nori_prometheus *registry);

#ifdef __cplusplus
}
#endif

#endif
