// SPDX-License-Identifier: MIT
/*
 * web: see web.h. The stages: make the server, give up what is left of privileges, then turn until the worker is gone.
 */
#include "ethercord/web.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asker.h"
#include "ethercord/confine.h"
#include "ethercord/line.h"
#include "ethercord/log.h"
#include "ethercord/program.h"
#include "server.h"

enum { BACKLOG = 128 };

struct web {
    const struct web_order *order;
    struct asker asker;
    struct server server;
};

static int listen_at(const struct addr *at)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    int on = 1, fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    // Connections of a node that was here before must not keep the next one out; nor IPv6 take IPv4's port.
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int web_listen(const struct addr *at, char *text, size_t cap)
{
    struct line line = {text, cap};
    char address[ADDR_TEXT_CAP];
    int fd = listen_at(at);
    const char *advice = strerror(-fd);

    if (fd >= 0)
        return fd;
    if (fd == -EADDRINUSE)
        advice = "the port is in use; choose another one in [Metrics] Listen, or stop the program that has it (ss -tlpn)";
    else if (fd == -EADDRNOTAVAIL)
        advice = "no interface has that address; see [Metrics] Listen";
    else if (fd == -EACCES)
        advice = "no permission; ports below 1024 need root";
    return line_fail(&line, fd, "can't serve metrics at %s: %s", addr_format(at, address), advice);
}

// Whoever means all of us, by Ctrl-C or by systemctl stop, means the monitor: this process ends with the worker.
static void ignore_signals(void)
{
    static const int numbers[] = {SIGINT, SIGHUP, SIGTERM, SIGPIPE};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        signal(numbers[i], SIG_IGN);
}

// What a container kept us from dropping the worker has said already.
static bool confine(const struct web_order *order)
{
    struct confine_order confine_order = {.user = order->config->user, .hide_below = order->wants_sandbox ? order->run_dir : NULL};
    struct confinement confinement;
    char text[300];

    int error = confine_worker(&confine_order, &confinement, text, sizeof text);
    if (!error && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        error = line_fail(&(struct line){text, sizeof text}, -errno, "can't be confined");
    if (!error && order->wants_sandbox)
        error = sandbox_start_web(order->page, text, sizeof text);
    if (error)
        log_error("metrics are not served: %s", text);
    return !error;
}

static int run(struct web *web)
{
    struct pollfd fds[] = {{.fd = web->order->worker_fd, .events = POLLIN},
                           {.fd = web->order->listen_fd, .events = POLLIN},
                           {.fd = server_fd(&web->server), .events = POLLIN}};
    int error = 0;

    while (!error) {
        int wait_ms = server_turn(&web->server, web->order->listen_fd);
        if (poll(fds, sizeof fds / sizeof fds[0], web->asker.error ? 0 : wait_ms) < 0 && errno != EINTR)
            error = -errno;
        else if (fds[0].revents || web->asker.error)
            error = asker_listen(&web->asker);
    }
    return error;
}

static int start(struct web *web)
{
    int error = asker_init(&web->asker, web->order->worker_fd);

    web->server.asker = &web->asker;
    web->server.host_name = web->order->config->metrics.host_name;
    return error ? error : server_start(&web->server);
}

int web_main(const struct web_order *order)
{
    ignore_signals();
    (void)prctl(PR_SET_NAME, "ethercord-web");
    json_object_seed(randombytes_random() | 1); // left to itself it would look for a file, later
    struct web *web = calloc(1, sizeof *web);
    if (!web)
        return CODE_FAILED;
    web->order = order;
    int error = start(web);
    if (error)
        log_error("metrics are not served: %s", strerror(-error));
    else if (!confine(order))
        error = -EPERM;
    else if ((error = run(web)) == -EBADMSG)
        log_error("metrics are not served any more: the worker said what no worker of ours says");
    server_stop(&web->server);
    asker_deinit(&web->asker);
    free(web);
    return error == -EPIPE ? CODE_DONE : CODE_FAILED;
}
