/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * prometheus_http.c: a small web server for the page, on GNU libmicrohttpd.
 *
 * What. GET /metrics renders the page, GET /healthz says ok. Other paths are 404, other methods
 * 405.
 *
 * Threads. libmicrohttpd answers all connections from one thread of its own. That thread has to
 * block all signals, or a handler of the program could run on it; so it is started from a thread of
 * the seam, which blocks them, and inherits that.
 *
 * Failure. A page for which there is no memory, or that would lack a metric, is answered with 500,
 * so that Prometheus sees the target as down. Connections are few and short-lived: limits below.
 */
#include "observe/prometheus.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define CONNECTIONS_MAX    32u
#define CONNECTION_SECONDS 10u
#define SLACK              4096 /* bytes: a page may grow between measuring and rendering it */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
                             const char *text, size_t len)
{
    char *copied = (char *)(uintptr_t)text; /* MHD_RESPMEM_MUST_COPY leaves it as it is */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, copied, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (!response)
        return MHD_NO; /* closes the connection */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_GET);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply_line(struct MHD_Connection *connection, unsigned status,
                                  const char *line)
{
    return reply(connection, status, "text/plain; charset=utf-8", line, strlen(line));
}

/* The page in memory of the registry's allocator. */
static int make_page(nori_prometheus *registry, char **ret_page, size_t *ret_len)
{
    const struct nori_allocator *allocator = registry->allocator;
    size_t len = 0;
    int rc = nori_prometheus_render(registry, NULL, 0, &len);

    while (rc == NORI_E_TOOBIG) {
        size_t size = len + SLACK;
        char *page = allocator->alloc(allocator->context, size);

        if (!page)
            return NORI_E_NOMEM;
        rc = nori_prometheus_render(registry, page, size, &len);
        if (rc == NORI_OK) {
            *ret_page = page;
            *ret_len = len;
            return NORI_OK;
        }
        allocator->free(allocator->context, page);
    }
    return rc;
}

static enum MHD_Result reply_page(struct MHD_Connection *connection, nori_prometheus *registry)
{
    enum MHD_Result result;
    char *page = NULL;
    size_t len = 0;

    if (make_page(registry, &page, &len) < 0)
        return reply_line(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "there was no memory for all metrics\n");
    result = reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", page, len);
    registry->allocator->free(registry->allocator->context, page);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **state)
{
    bool is_metrics = strcmp(path, "/metrics") == 0;

    (void)version;
    (void)body;
    (void)body_len;
    (void)state;
    if (!is_metrics && strcmp(path, "/healthz") != 0)
        return reply_line(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return reply_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (is_metrics)
        return reply_page(connection, context);
    return reply_line(connection, MHD_HTTP_OK, "ok\n");
}

/* ---- starting and ending ---- */

/* What a thread needs to start the server, and what came of it. */
struct start {
    nori_prometheus *registry;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    uint16_t port;
    struct MHD_Daemon *server; /* NULL: it did not start */
};

static bool parse_address(const char *text, uint16_t port, struct start *start)
{
    memset(&start->address, 0, sizeof start->address);
    if (inet_pton(AF_INET, text, &start->address.v4.sin_addr) == 1) {
        start->address.v4.sin_family = AF_INET;
        start->address.v4.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &start->address.v6.sin6_addr) == 1) {
        start->address.v6.sin6_family = AF_INET6;
        start->address.v6.sin6_port = htons(port);
        return true;
    }
    return false;
}

/* Runs in a thread that blocks all signals. */
static void start_server(void *argument)
{
    struct start *start = argument;
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC;
    const union MHD_DaemonInfo *info;

    if (start->address.any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    start->server = MHD_start_daemon(
        flags, start->port, NULL, NULL, answer, start->registry, MHD_OPTION_SOCK_ADDR,
        &start->address.any, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS, MHD_OPTION_END);
    if (!start->server || start->port != 0)
        return;
    info = MHD_get_daemon_info(start->server, MHD_DAEMON_INFO_BIND_PORT);
    start->port = info ? info->port : 0;
}

int nori_prometheus_serve(nori_prometheus *registry, const char *address, uint16_t port,
                          uint16_t *ret_port)
{
    struct start start = {.registry = registry, .port = port};
    struct nori_thread *thread = NULL;
    int rc;

    if (!registry || !parse_address(address ? address : "127.0.0.1", port, &start))
        return NORI_E_INVALID;
    nw_prometheus_lock(registry); /* of two callers, one starts a server */
    if (registry->server) {
        rc = NORI_E_INVALID;
        goto out;
    }
    rc = registry->vfs->thread_start(registry->vfs->context, "nori-http", start_server, &start,
                                     &thread);
    if (rc < 0)
        goto out;
    registry->vfs->thread_join(registry->vfs->context, thread);
    if (!start.server) {
        rc = NORI_E_IO;
        goto out;
    }
    registry->server = start.server;
    if (ret_port)
        *ret_port = start.port;
out:
    nw_prometheus_unlock(registry);
    return rc;
}

void nw_http_stop(void *server)
{
    if (server)
        MHD_stop_daemon(server);
}
