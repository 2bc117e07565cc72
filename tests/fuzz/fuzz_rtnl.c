// SPDX-License-Identifier: MIT
/*
 * rtnl: answers of the kernel's rtnetlink as the input gives them, in place of libmnl's socket. Names and kinds end where they have to, and
 * no attribute is read past its end.
 */
#include "ethercord/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "fuzz.h"

enum { ANSWER_MAX = 2048, WAYS_FROM = 16 };

static struct reader answers;
static uint32_t sequence; // of the request
static int dummy;

/* ---- in place of libmnl's ---- */

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
    (void)bus;
    (void)flags;
    return (struct mnl_socket *)(void *)&dummy;
}

struct mnl_socket *mnl_socket_open(int bus)
{
    return mnl_socket_open2(bus, 0);
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
    (void)nl;
    (void)groups;
    (void)pid;
    return 0;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl)
{
    (void)nl;
    return 1;
}

int mnl_socket_get_fd(const struct mnl_socket *nl)
{
    (void)nl;
    return -1;
}

int mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len)
{
    (void)nl;
    (void)type;
    (void)buf;
    (void)len;
    return 0;
}

int mnl_socket_close(struct mnl_socket *nl)
{
    (void)nl;
    return 0;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len)
{
    const struct nlmsghdr *request = buf;
    (void)nl;

    ensure(len == request->nlmsg_len && mnl_nlmsg_ok(request, (int)len));
    sequence = request->nlmsg_seq;
    return (ssize_t)len;
}

// What no kernel sends and libmnl stumbles over: lengths above INT_MAX, which it takes for small ones, and errors that are none.
static void bound_numbers(uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at + sizeof(struct nlmsghdr) <= len;) {
        struct nlmsghdr *header = (struct nlmsghdr *)(void *)(bytes + at);
        header->nlmsg_len &= 0xffff;
        if (header->nlmsg_len < sizeof *header)
            return;
        if (header->nlmsg_type == NLMSG_ERROR && at + sizeof *header + sizeof(struct nlmsgerr) <= len) {
            struct nlmsgerr *error = mnl_nlmsg_get_payload(header);
            error->error = -(int)((unsigned)error->error % 4096U);
        }
        at += NLMSG_ALIGN(header->nlmsg_len);
    }
}

// Headers are made right where the input says so: type, length, sequence number and port.
ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t size)
{
    static const uint16_t types[][4] = {{RTM_NEWLINK, RTM_NEWADDR, NLMSG_ERROR, NLMSG_DONE},
                                        {RTM_NEWROUTE, RTM_NEWNEIGH, NLMSG_ERROR, NLMSG_DONE}};
    uint8_t how = reader_u8(&answers);
    (void)nl;

    if (answers.is_short) {
        errno = ENOBUFS;
        return -1;
    }
    struct fuzz_chunk chunk = fuzz_chunk(&answers, ANSWER_MAX < size ? ANSWER_MAX : size);
    if (chunk.len)
        memcpy(buf, chunk.bytes, chunk.len);
    if (!(how & 8) && chunk.len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr *header = buf;
        header->nlmsg_len = (uint32_t)chunk.len;
        header->nlmsg_type = types[how >> 4 & 1][how & 3];
        header->nlmsg_flags = how & 4 ? NLM_F_MULTI : 0;
        header->nlmsg_seq = sequence;
        header->nlmsg_pid = 1;
    }
    bound_numbers(buf, chunk.len);
    free(chunk.bytes);
    return (ssize_t)chunk.len;
}

/* ---- */

static void check_link(const struct rtnl_link *link)
{
    ensure(memchr(link->name, '\0', sizeof link->name) && memchr(link->kind, '\0', sizeof link->kind));
}

static void visit(void *ctx, const struct rtnl_link *port)
{
    size_t *n = ctx;

    check_link(port);
    ensure(port->index > 0 && port->master == 7);
    (*n)++;
}

static void visit_neighbour(void *ctx, const struct rtnl_neighbour *neighbour)
{
    ensure(neighbour->address.family == AF_UNSPEC || neighbour->address.family == *(const uint8_t *)ctx);
}

static void look_for_ways(struct rtnl *rtnl, uint8_t which)
{
    uint8_t family = which & 1 ? AF_INET : which & 2 ? AF_INET6 : AF_BRIDGE;
    struct rtnl_route_query query = {.mark = 7};
    struct rtnl_route route;

    ensure(addr_parse_ip(which & 1 ? "192.0.2.1" : "2001:db8::1", &query.to));
    if (which & 4)
        (void)!rtnl_visit_neighbours(rtnl, family, visit_neighbour, &family);
    else if (rtnl_get_route(rtnl, &query, &route) == 0)
        ensure(route.gateway.family == AF_UNSPEC || route.gateway.family == query.to.family);
}

static void change(struct rtnl *rtnl, uint8_t which)
{
    struct cidr address;

    ensure(cidr_parse(which & 1 ? "10.9.0.1/24" : "fd00::1/64", &address));
    if (which & 2)
        (void)!rtnl_add_address(rtnl, 3, &address);
    else
        (void)!rtnl_del_address(rtnl, 3, &address);
    (void)!rtnl_set_link_mtu(rtnl, 3, 1500);
    (void)!rtnl_set_link_up(rtnl, 3, which & 4);
    (void)!rtnl_set_link_master(rtnl, 3, 7);
    (void)!rtnl_set_txqueuelen(rtnl, 3, 256);
    (void)!rtnl_set_addrgenmode(rtnl, 3, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rtnl rtnl, watch;
    struct rtnl_link link = {0};
    struct rtnl_stats stats = {0};
    struct cidr address;
    size_t n = 0;

    answers = reader_of(data, size);
    uint8_t which = reader_u8(&answers);
    ensure(rtnl_open(&rtnl) == 0);
    switch (which % 6) {
    case 0:
        if (rtnl_get_link(&rtnl, "cord0", &link) == 0)
            check_link(&link);
        break;
    case 1:
        if (rtnl_get_link_at(&rtnl, 3, &link) == 0)
            check_link(&link);
        break;
    case 2:
        (void)!rtnl_visit_ports(&rtnl, 7, visit, &n);
        break;
    case 3:
        (void)!rtnl_get_stats(&rtnl, 3, &stats);
        break;
    case 4:
        if (rtnl_get_link_local(&rtnl, 3, &address) == 0)
            ensure(address.family == AF_INET6);
        break;
    default:
        if (which / 6 < WAYS_FROM)
            change(&rtnl, which / 6);
        else
            look_for_ways(&rtnl, which / 6 - WAYS_FROM);
    }
    rtnl_close(&rtnl);
    ensure(rtnl_open_watch(&watch) == 0 && rtnl_fd(&watch) < 0);
    rtnl_forget_changes(&watch); // of what is left
    rtnl_close(&watch);
    return 0;
}
