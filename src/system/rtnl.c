// SPDX-License-Identifier: MIT
/*
 * rtnl: see rtnl.h.
 *
 * Each request asks for an acknowledgement, so that an answer always ends in one: `rtnl_transact` sends the request, gives what comes back
 * to a callback, and turns the acknowledgement into the return value. What the kernel sends is trusted in meaning, not in length.
 */
#include "ethercord/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "rtnl_private.h"

// An answer about one interface is some 2 KiB; what doesn't fit comes back as -ENOSPC, never cut.
enum {
    BUFFER_CAP = 32768,
    WATCH_BUFFER_BYTES = 16384, // some notifications; what does not fit is no loss
    FORGET_MAX = 256            // others may make new ones as fast as we read
};

struct ports_visit {
    int master;
    void (*visit)(void *ctx, const struct rtnl_link *port);
    void *ctx;
};

struct link_local_search {
    int index;
    bool is_found;
    struct cidr *address;
};

int rtnl_tabulate(const struct nlattr *attribute, void *data)
{
    const struct attribute_table *table = data;
    uint16_t type = mnl_attr_get_type(attribute);
    if (type <= table->max)
        table->attributes[type] = attribute;
    return MNL_CB_OK;
}

uint32_t rtnl_get_u32(const struct nlattr *attribute)
{
    if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_U32) < 0)
        return 0;
    return mnl_attr_get_u32(attribute);
}

static uint8_t get_u8(const struct nlattr *attribute)
{
    if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_U8) < 0)
        return 0;
    return mnl_attr_get_u8(attribute);
}

// The rest of `text` is zeroed beforehand.
static void read_text(const struct nlattr *attribute, char *text, size_t cap)
{
    if (attribute && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
        memcpy(text, mnl_attr_get_str(attribute), strnlen(mnl_attr_get_str(attribute), cap - 1));
}

// What a bridge says of itself.
static void read_bridge(const struct nlattr *info, struct rtnl_link *link)
{
    const struct nlattr *attributes[IFLA_BR_STP_STATE + 1] = {0};
    struct attribute_table table = {attributes, IFLA_BR_STP_STATE};
    if (info && mnl_attr_parse_nested(info, rtnl_tabulate, &table) >= 0)
        link->has_stp = rtnl_get_u32(attributes[IFLA_BR_STP_STATE]) != 0;
}

// What a bridge says of its port.
static void read_port_state(const struct nlattr *info, struct rtnl_link *link)
{
    const struct nlattr *attributes[IFLA_BRPORT_STATE + 1] = {0};
    struct attribute_table table = {attributes, IFLA_BRPORT_STATE};
    if (!info || mnl_attr_parse_nested(info, rtnl_tabulate, &table) < 0 || !attributes[IFLA_BRPORT_STATE])
        return;
    link->is_bridge_port = true;
    link->port_state = get_u8(attributes[IFLA_BRPORT_STATE]);
}

static void read_kind(const struct nlattr *info, struct rtnl_link *link)
{
    const struct nlattr *attributes[IFLA_INFO_MAX + 1] = {0};
    struct attribute_table table = {attributes, IFLA_INFO_MAX};
    char master_kind[RTNL_KIND_CAP] = {0};
    if (!info || mnl_attr_parse_nested(info, rtnl_tabulate, &table) < 0)
        return;
    read_text(attributes[IFLA_INFO_KIND], link->kind, sizeof link->kind);
    read_text(attributes[IFLA_INFO_SLAVE_KIND], master_kind, sizeof master_kind);
    if (strcmp(link->kind, "bridge") == 0)
        read_bridge(attributes[IFLA_INFO_DATA], link);
    if (strcmp(master_kind, "bridge") == 0)
        read_port_state(attributes[IFLA_INFO_SLAVE_DATA], link);
}

// IFLA_AF_SPEC holds one attribute per address family, each of which holds the family's own.
static void read_addrgenmode(const struct nlattr *families, struct rtnl_link *link)
{
    const struct nlattr *by_family[AF_INET6 + 1] = {0};
    struct attribute_table families_table = {by_family, AF_INET6};
    if (!families || mnl_attr_parse_nested(families, rtnl_tabulate, &families_table) < 0 || !by_family[AF_INET6])
        return;
    const struct nlattr *attributes[IFLA_INET6_MAX + 1] = {0};
    struct attribute_table table = {attributes, IFLA_INET6_MAX};
    if (mnl_attr_parse_nested(by_family[AF_INET6], rtnl_tabulate, &table) < 0 || !attributes[IFLA_INET6_ADDR_GEN_MODE])
        return;
    link->has_addrgenmode = true;
    link->addrgenmode = get_u8(attributes[IFLA_INET6_ADDR_GEN_MODE]);
}

static int read_link(const struct nlmsghdr *answer, void *data)
{
    struct rtnl_link *link = data;
    if (answer->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(answer) < sizeof(struct ifinfomsg))
        return MNL_CB_OK;
    const struct ifinfomsg *header = mnl_nlmsg_get_payload(answer);
    const struct nlattr *attributes[IFLA_MAX + 1] = {0};
    struct attribute_table table = {attributes, IFLA_MAX};
    if (mnl_attr_parse(answer, sizeof *header, rtnl_tabulate, &table) < 0)
        return MNL_CB_ERROR;
    link->index = header->ifi_index;
    read_text(attributes[IFLA_IFNAME], link->name, sizeof link->name);
    link->flags = header->ifi_flags;
    link->master = (int)rtnl_get_u32(attributes[IFLA_MASTER]);
    link->lower = (int)rtnl_get_u32(attributes[IFLA_LINK]);
    link->mtu = rtnl_get_u32(attributes[IFLA_MTU]);
    link->txqueuelen = rtnl_get_u32(attributes[IFLA_TXQLEN]);
    link->has_carrier = get_u8(attributes[IFLA_CARRIER]) != 0;
    link->operstate = get_u8(attributes[IFLA_OPERSTATE]);
    const struct nlattr *mac_address = attributes[IFLA_ADDRESS];
    if (mac_address && mnl_attr_get_payload_len(mac_address) == sizeof link->mac_address.b)
        memcpy(link->mac_address.b, mnl_attr_get_payload(mac_address), sizeof link->mac_address.b);
    read_kind(attributes[IFLA_LINKINFO], link);
    read_addrgenmode(attributes[IFLA_AF_SPEC], link);
    return MNL_CB_OK;
}

// Kernels before 4.6 do not filter, and say all interfaces there are.
static int read_port(const struct nlmsghdr *answer, void *data)
{
    const struct ports_visit *visit = data;
    struct rtnl_link port = {0};
    int result = read_link(answer, &port);
    if (result == MNL_CB_OK && port.index > 0 && port.master == visit->master)
        visit->visit(visit->ctx, &port);
    return result;
}

static int read_stats(const struct nlmsghdr *answer, void *data)
{
    struct rtnl_stats *stats = data;
    if (answer->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(answer) < sizeof(struct ifinfomsg))
        return MNL_CB_OK;
    const struct nlattr *attributes[IFLA_MAX + 1] = {0};
    struct attribute_table table = {attributes, IFLA_MAX};
    if (mnl_attr_parse(answer, sizeof(struct ifinfomsg), rtnl_tabulate, &table) < 0)
        return MNL_CB_ERROR;
    // Newer kernels append fields: take what we know, refuse what is too short for it.
    size_t known_len = offsetof(struct rtnl_link_stats64, multicast);
    const struct nlattr *counters = attributes[IFLA_STATS64];
    if (!counters || mnl_attr_get_payload_len(counters) < known_len)
        return MNL_CB_OK;
    struct rtnl_link_stats64 values = {0};
    memcpy(&values, mnl_attr_get_payload(counters), known_len); // the attribute is aligned to 4 bytes only
    stats->rx_dropped = values.rx_dropped;
    stats->tx_dropped = values.tx_dropped;
    return MNL_CB_OK;
}

// The dump is of all interfaces: kernels filter by index only for sockets in strict mode.
static int find_link_local(const struct nlmsghdr *answer, void *data)
{
    struct link_local_search *search = data;
    if (answer->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(answer) < sizeof(struct ifaddrmsg))
        return MNL_CB_OK;
    const struct ifaddrmsg *header = mnl_nlmsg_get_payload(answer);
    if ((int)header->ifa_index != search->index || header->ifa_family != AF_INET6 || header->ifa_scope != RT_SCOPE_LINK)
        return MNL_CB_OK;
    const struct nlattr *attributes[IFA_MAX + 1] = {0};
    struct attribute_table table = {attributes, IFA_MAX};
    if (mnl_attr_parse(answer, sizeof *header, rtnl_tabulate, &table) < 0)
        return MNL_CB_ERROR;
    const struct nlattr *ip = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (!ip || mnl_attr_get_payload_len(ip) != IPV6_LEN)
        return MNL_CB_OK;
    *search->address = (struct cidr){.family = AF_INET6, .prefix_len = header->ifa_prefixlen};
    memcpy(search->address->ip, mnl_attr_get_payload(ip), IPV6_LEN);
    search->is_found = true;
    return MNL_CB_OK;
}

struct nlmsghdr *rtnl_begin_request(struct rtnl *rtnl, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(rtnl->buffer);
    request->nlmsg_type = type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    request->nlmsg_seq = ++rtnl->sequence;
    return request;
}

static struct nlmsghdr *begin_link_request(struct rtnl *rtnl, uint16_t type, int index)
{
    struct nlmsghdr *request = rtnl_begin_request(rtnl, type, NLM_F_ACK);
    struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->ifi_family = AF_UNSPEC;
    header->ifi_index = index;
    return request;
}

int rtnl_transact(struct rtnl *rtnl, const struct nlmsghdr *request, mnl_cb_t callback, void *data)
{
    uint32_t sequence = request->nlmsg_seq; // the answer overwrites the request's buffer
    if (mnl_socket_sendto(rtnl->socket, request, request->nlmsg_len) < 0)
        return -errno;
    int result = MNL_CB_OK;
    while (result > MNL_CB_STOP) {
        ssize_t n = mnl_socket_recvfrom(rtnl->socket, rtnl->buffer, BUFFER_CAP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        const struct nlmsghdr *answer = rtnl->buffer;
        if (mnl_nlmsg_ok(answer, (int)n) && answer->nlmsg_seq != sequence)
            continue; // the rest of a dump that was broken off
        result = mnl_cb_run(rtnl->buffer, (size_t)n, sequence, rtnl->port_id, callback, data);
    }
    return result < 0 ? -errno : 0;
}

// IPv4's broadcast address: without it, programs that ask for the interface's get 0.0.0.0. /31 and /32 have none (RFC 3021).
static void put_broadcast(struct nlmsghdr *request, const struct cidr *address)
{
    if (address->family != AF_INET || address->prefix_len > 30)
        return;
    uint32_t ip;
    memcpy(&ip, address->ip, sizeof ip);
    mnl_attr_put_u32(request, IFA_BROADCAST, ip | htonl(UINT32_MAX >> address->prefix_len));
}

static struct nlmsghdr *begin_address_request(struct rtnl *rtnl, uint16_t type, int index, const struct cidr *address)
{
    uint16_t flags = type == RTM_NEWADDR ? NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL : NLM_F_ACK;
    struct nlmsghdr *request = rtnl_begin_request(rtnl, type, flags);
    struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->ifa_family = (uint8_t)address->family;
    header->ifa_prefixlen = address->prefix_len;
    header->ifa_index = (uint32_t)index;
    size_t len = addr_ip_len(address->family);
    mnl_attr_put(request, IFA_LOCAL, len, address->ip);
    mnl_attr_put(request, IFA_ADDRESS, len, address->ip);
    return request;
}

static bool is_valid_address(const struct cidr *address)
{
    return (address->family == AF_INET || address->family == AF_INET6) && address->prefix_len <= 8 * addr_ip_len(address->family);
}

// groups: of notifications, 0 = none.
static int open_socket(struct rtnl *rtnl, int flags, unsigned groups)
{
    *rtnl = (struct rtnl){0};
    rtnl->buffer = calloc(1, BUFFER_CAP);
    if (!rtnl->buffer)
        return -ENOMEM;
    // Close-on-exec: hooks must not inherit it.
    rtnl->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
    if (!rtnl->socket || mnl_socket_bind(rtnl->socket, groups, MNL_SOCKET_AUTOPID) < 0) {
        int result = -errno;
        rtnl_close(rtnl);
        return result;
    }
    rtnl->port_id = mnl_socket_get_portid(rtnl->socket);
    return 0;
}

int rtnl_open(struct rtnl *rtnl)
{
    return open_socket(rtnl, 0, 0);
}

int rtnl_open_watch(struct rtnl *rtnl)
{
    const int bytes = WATCH_BUFFER_BYTES;
    int result = open_socket(rtnl, SOCK_NONBLOCK, RTMGRP_LINK);
    if (result == 0)
        (void)setsockopt(rtnl_fd(rtnl), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return result;
}

int rtnl_fd(const struct rtnl *rtnl)
{
    return mnl_socket_get_fd(rtnl->socket);
}

void rtnl_forget_changes(struct rtnl *rtnl)
{
    for (int i = 0; i < FORGET_MAX; i++)
        if (mnl_socket_recvfrom(rtnl->socket, rtnl->buffer, BUFFER_CAP) < 0 && errno == EAGAIN)
            return;
}

void rtnl_close(struct rtnl *rtnl)
{
    if (rtnl->socket)
        mnl_socket_close(rtnl->socket);
    free(rtnl->buffer);
    *rtnl = (struct rtnl){0};
}

int rtnl_get_link(struct rtnl *rtnl, const char *name, struct rtnl_link *link)
{
    *link = (struct rtnl_link){0};
    size_t len = strlen(name);
    if (len == 0 || len >= IFNAMSIZ)
        return -ENODEV;
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_GETLINK, 0);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    int result = rtnl_transact(rtnl, request, read_link, link);
    if (result < 0)
        return result;
    return link->index > 0 ? 0 : -ENODEV;
}

int rtnl_get_link_at(struct rtnl *rtnl, int index, struct rtnl_link *link)
{
    *link = (struct rtnl_link){0};
    if (index <= 0)
        return -ENODEV;
    return rtnl_transact(rtnl, begin_link_request(rtnl, RTM_GETLINK, index), read_link, link);
}

int rtnl_visit_ports(struct rtnl *rtnl, int master, void (*visit)(void *ctx, const struct rtnl_link *port), void *ctx)
{
    struct nlmsghdr *request = rtnl_begin_request(rtnl, RTM_GETLINK, NLM_F_DUMP);
    struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->ifi_family = AF_UNSPEC;
    mnl_attr_put_u32(request, IFLA_MASTER, (uint32_t)master);
    mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS); // a third of each answer
    struct ports_visit state = {.master = master, .visit = visit, .ctx = ctx};
    return rtnl_transact(rtnl, request, read_port, &state);
}

int rtnl_get_stats(struct rtnl *rtnl, int index, struct rtnl_stats *stats)
{
    *stats = (struct rtnl_stats){0};
    if (index <= 0)
        return -ENODEV;
    return rtnl_transact(rtnl, begin_link_request(rtnl, RTM_GETLINK, index), read_stats, stats);
}

int rtnl_set_link_mtu(struct rtnl *rtnl, int index, uint32_t mtu)
{
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_SETLINK, index);
    mnl_attr_put_u32(request, IFLA_MTU, mtu);
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_set_link_up(struct rtnl *rtnl, int index, bool is_up)
{
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_SETLINK, index);
    struct ifinfomsg *header = mnl_nlmsg_get_payload(request);
    header->ifi_change = IFF_UP;
    header->ifi_flags = is_up ? IFF_UP : 0;
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_set_link_master(struct rtnl *rtnl, int index, int master)
{
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_SETLINK, index);
    mnl_attr_put_u32(request, IFLA_MASTER, (uint32_t)master);
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_set_txqueuelen(struct rtnl *rtnl, int index, uint32_t n_frames)
{
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_SETLINK, index);
    mnl_attr_put_u32(request, IFLA_TXQLEN, n_frames);
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_set_addrgenmode(struct rtnl *rtnl, int index, uint8_t mode)
{
    struct nlmsghdr *request = begin_link_request(rtnl, RTM_SETLINK, index);
    struct nlattr *families = mnl_attr_nest_start(request, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(request, AF_INET6);
    mnl_attr_put_u8(request, IFLA_INET6_ADDR_GEN_MODE, mode);
    mnl_attr_nest_end(request, inet6);
    mnl_attr_nest_end(request, families);
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_add_address(struct rtnl *rtnl, int index, const struct cidr *address)
{
    if (!is_valid_address(address))
        return -EINVAL;
    struct nlmsghdr *request = begin_address_request(rtnl, RTM_NEWADDR, index, address);
    put_broadcast(request, address);
    return rtnl_transact(rtnl, request, NULL, NULL);
}

int rtnl_del_address(struct rtnl *rtnl, int index, const struct cidr *address)
{
    if (!is_valid_address(address))
        return -EINVAL;
    return rtnl_transact(rtnl, begin_address_request(rtnl, RTM_DELADDR, index, address), NULL, NULL);
}

int rtnl_get_link_local(struct rtnl *rtnl, int index, struct cidr *address)
{
    struct nlmsghdr *request = rtnl_begin_request(rtnl, RTM_GETADDR, NLM_F_DUMP);
    struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->ifa_family = AF_INET6;
    struct link_local_search search = {.index = index, .address = address};
    int result = rtnl_transact(rtnl, request, find_link_local, &search);
    if (result < 0)
        return result;
    return search.is_found ? 0 : -EADDRNOTAVAIL;
}
