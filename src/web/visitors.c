// SPDX-License-Identifier: MIT
/*
 * visitors: see visitors.h. A connection is ended by shutting it down: libmicrohttpd, whose it is, then closes it in its next turn.
 */
#include "visitors.h"

#include <string.h>
#include <sys/socket.h>

#include "ethercord/clock.h"

void visitors_init(struct visitors *visitors)
{
    for (int i = 0; i < VISITORS_MAX; i++)
        visitors->at[i].fd = -1;
}

static struct addr source_of(const struct sockaddr *sa, socklen_t len)
{
    struct addr from;

    (void)addr_from_sockaddr(&from, sa, len);
    if (from.family == AF_INET6)
        memset(from.ip + IPV6_LEN / 2, 0, IPV6_LEN / 2);
    return from;
}

static struct visitor *free_place(struct visitors *visitors)
{
    for (int i = 0; i < VISITORS_MAX; i++)
        if (visitors->at[i].fd < 0)
            return &visitors->at[i];
    return NULL;
}

static struct visitor *begin_visit(struct visitors *visitors, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct visitor *visitor = free_place(visitors);

    if (visitor)
        *visitor = (struct visitor){
            .fd = fd->connect_fd, .from = source_of(from->client_addr, sizeof(struct sockaddr_in6)), .since_ns = now_boot_ns()};
    return visitor;
}

void visitors_note(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = begin_visit(cls, connection);
    else if (*context)
        ((struct visitor *)*context)->fd = -1;
}

static void end_visit(struct visitor *visitor)
{
    visitor->is_ending = true;
    (void)shutdown(visitor->fd, SHUT_RDWR);
}

static unsigned n_from(const struct visitors *visitors, const struct addr *from)
{
    unsigned n = 0;

    for (int i = 0; i < VISITORS_MAX; i++)
        n += visitors->at[i].fd >= 0 && addr_equal_ip(&visitors->at[i].from, from);
    return n;
}

static void make_room(struct visitors *visitors)
{
    struct visitor *chosen = NULL;
    unsigned n_chosen = 0;

    if (free_place(visitors))
        return;
    for (int i = 0; i < VISITORS_MAX; i++) {
        struct visitor *visitor = &visitors->at[i];
        unsigned n = n_from(visitors, &visitor->from);
        if (!chosen || n > n_chosen || (n == n_chosen && visitor->since_ns < chosen->since_ns)) {
            chosen = visitor;
            n_chosen = n;
        }
    }
    end_visit(chosen);
    MHD_run(visitors->daemon);
}

void visitors_accept(struct visitors *visitors, int listen_fd)
{
    for (int i = 0; i < VISITORS_PER_TURN; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        int fd = accept4(listen_fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        make_room(visitors);
        (void)MHD_add_connection(visitors->daemon, fd, (const struct sockaddr *)&sa, len); // which closes what it can't take
    }
}

int visitors_expire(struct visitors *visitors, uint64_t now_ns)
{
    int wait_ms = -1;

    for (int i = 0; i < VISITORS_MAX; i++) {
        struct visitor *visitor = &visitors->at[i];
        uint64_t age_ms = age_ns(now_ns, visitor->since_ns) / NS_PER_MS;
        if (visitor->fd < 0 || visitor->is_ending)
            continue;
        if (age_ms >= VISIT_MS)
            end_visit(visitor);
        else if (wait_ms < 0 || VISIT_MS - (int)age_ms < wait_ms)
            wait_ms = VISIT_MS - (int)age_ms;
    }
    return wait_ms;
}
