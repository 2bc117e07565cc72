// SPDX-License-Identifier: MIT
/*
 * server: see server.h.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ethercord/clock.h"
#include "metrics.h"

enum { MEMORY_PER_VISITOR = 16 * 1024, HOST_MAX = 255 };

static const char text_type[] = "text/plain; charset=utf-8";
static const char quiet_policy[] = "default-src 'none'; frame-ancestors 'none'";

/* ---- answers ---- */

static void add_headers(struct MHD_Response *response, const char *type, const char *policy)
{
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, "Content-Security-Policy", policy);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "X-Frame-Options", "DENY");
    (void)MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    (void)MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

// MHD only copies it: the pointer need not be to what can be written to.
static struct MHD_Response *make(const char *bytes, size_t len, const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);

    if (response)
        add_headers(response, type, quiet_policy);
    return response;
}

// MHD_NO ends the connection without an answer.
static enum MHD_Result say(struct MHD_Connection *connection, unsigned code, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result say_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    struct MHD_Response *response = make(text, strlen(text), text_type);

    if (response && code == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return say(connection, code, response);
}

static enum MHD_Result say_status(struct server *server, struct MHD_Connection *connection)
{
    return say(connection, MHD_HTTP_OK, make(server->asker->bytes, server->asker->len, "application/json"));
}

// The node was started once: what its age makes of a clock that is set meanwhile would be another moment each time.
static double start_time(struct server *server)
{
    if (server->started_s == 0) {
        double age_s = json_number_value(json_object_get(server->asker->status, "uptime_s"));
        server->started_s = (double)now_wall_ns() / (double)NS_PER_S - age_s;
    }
    return server->started_s;
}

static enum MHD_Result say_metrics(struct server *server, struct MHD_Connection *connection)
{
    if (server->metrics_of != server->asker->n_tried) {
        free(server->metrics);
        server->metrics = metrics_format(server->asker->status, start_time(server), &server->metrics_len);
        server->metrics_of = server->asker->n_tried;
    }
    if (!server->metrics)
        return say_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    return say(connection, MHD_HTTP_OK, make(server->metrics, server->metrics_len, "text/plain; version=0.0.4; charset=utf-8"));
}

/* ---- requests ---- */

static bool is_address(const char *host, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    struct addr addr;

    if (len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return addr_parse_ip(text, &addr);
}

static bool is_name(const char *host, size_t len, const char *name)
{
    return strlen(name) == len && len > 0 && strncasecmp(host, name, len) == 0;
}

// Who has no name for us, as HTTP/1.0 allows, is no browser. An address can't be made to mean another one.
static bool is_our_name(const struct server *server, const char *host)
{
    if (!host)
        return true;
    if (strnlen(host, HOST_MAX + 1) > HOST_MAX)
        return false;
    if (host[0] == '[')
        return is_address(host + 1, strcspn(host + 1, "]"));
    size_t len = strcspn(host, ":");
    return is_address(host, len) || is_name(host, len, "localhost") || is_name(host, len, server->host_name);
}

static enum MHD_Result say_path(struct server *server, struct MHD_Connection *connection, const char *path)
{
    bool is_status = strcmp(path, "/status.json") == 0;

    if (strcmp(path, "/") == 0)
        return MHD_queue_response(connection, MHD_HTTP_OK, server->page_response);
    if (!is_status && strcmp(path, "/metrics") != 0)
        return say_text(connection, MHD_HTTP_NOT_FOUND, "there is: / (a page), /metrics, /status.json\n");
    if (!asker_ask(server->asker))
        return say_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the node's worker does not answer: see its log\n");
    return is_status ? say_status(server, connection) : say_metrics(server, connection);
}

// NOLINTNEXTLINE(readability-function-size): its parameters are libmicrohttpd's
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_len, void **context)
{
    struct server *server = cls;

    (void)version;
    (void)upload;
    (void)upload_len;
    (void)context;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return say_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    if (!is_our_name(server, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
        return say_text(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                        "this is not known by that name: ask for its address, or for localhost, or set [Metrics] HostName\n");
    return say_path(server, connection, path);
}

/* ---- all of it ---- */

static bool make_page(struct server *server)
{
    if (page_init(&server->page))
        return false;
    server->page_response = MHD_create_response_from_buffer(server->page.len, server->page.text, MHD_RESPMEM_PERSISTENT);
    if (server->page_response)
        add_headers(server->page_response, "text/html; charset=utf-8", server->page.policy);
    return server->page_response;
}

int server_start(struct server *server)
{
    if (!make_page(server))
        return -ENOMEM;
    visitors_init(&server->visitors);
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, server, MHD_OPTION_NOTIFY_CONNECTION,
                         visitors_note, &server->visitors, MHD_OPTION_CONNECTION_LIMIT, (unsigned)VISITORS_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_VISITOR, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)(VISIT_MS / 1000), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    server->visitors.daemon = server->daemon;
    return server->daemon ? 0 : -ENOMEM;
}

void server_stop(struct server *server)
{
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (server->page_response)
        MHD_destroy_response(server->page_response);
    page_deinit(&server->page);
    free(server->metrics);
}

int server_turn(struct server *server, int listen_fd)
{
    MHD_UNSIGNED_LONG_LONG mhd_ms;

    visitors_accept(&server->visitors, listen_fd);
    int wait_ms = visitors_expire(&server->visitors, now_boot_ns());
    MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &mhd_ms) == MHD_YES && (wait_ms < 0 || mhd_ms < (unsigned)wait_ms))
        wait_ms = (int)mhd_ms;
    return wait_ms;
}

int server_fd(const struct server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}
