// SPDX-License-Identifier: MIT
/*
 * rtnl_routes: where a datagram would go: routes, neighbours, and what bridges have learned. Reads only.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "rtnl_private.h"

struct route_search {
    uint16_t family;
    struct rtnl_route *route;
    bool is_found;
};

struct neighbours_visit {
    uint8_t family;
    void (*visit)(void *ctx, const struct rtnl_neighbour *neighbour);
    void *ctx;
};

static void read_address(const struct nlattr *attribute, uint16_t family, struct addr *address)
{
    if (!attribute || mnl_attr_get_payload_len(attribute) != addr_ip_len(family))
        return;
    address->family = family;
    memcpy(address->ip, mnl_attr_get_payload(attribute), addr_ip_len(family));
}

static int read_route(const struct nlmsghdr *answer, void *data)
{
    struct route_search *search = data;
    if (answer->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(answer) < sizeof(struct rtmsg))
        return MNL_CB_OK;
    const struct rtmsg *header = mnl_nlmsg_get_payload(answer);
    const struct nlattr *attributes[RTA_MAX + 1] = {0};
    struct attribute_table table = {attributes, RTA_MAX};
    if (mnl_attr_parse(answer, sizeof *header, rtnl_tabulate, &table) < 0)
        return MNL_CB_ERROR;
    search->is_found = true;
    search->route->index = (int)rtnl_get_u32(attributes[RTA_OIF]);
    search->route->is_local = header->rtm_type == RTN_LOCAL;
    read_address(attributes[RTA_GATEWAY], search->family, &search->route->gateway);
    read_address(attributes[RTA_PREFSRC], search->family, &search->route->source);
    return MNL_CB_OK;
}

static int read_neighbour(const struct nlmsghdr *answer, void *data)
{
    const struct neighbours_visit *visit = data;
    struct rtnl_neighbour neighbour = {0};
    if (answer->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(answer) < sizeof(struct ndmsg))
        return MNL_CB_OK;
    const struct ndmsg *header = mnl_nlmsg_get_payload(answer);
    const struct nlattr *attributes[NDA_MAX + 1] = {0};
    struct attribute_table table = {attributes, NDA_MAX};
    if (mnl_attr_parse(answer, sizeof *header, rtnl_tabulate, &table) < 0)
        return MNL_CB_ERROR;
    const struct nlattr *mac_address = attributes[NDA_LLADDR];
    if (header->ndm_family != visit->family || !mac_address || mnl_attr_get_payload_len(mac_address) != sizeof neighbour.mac_address.b)
        return MNL_CB_OK;
    neighbour.index = header->ndm_ifindex;
    neighbour.master = (int)rtnl_get_u32(attributes[NDA_MASTER]);
    memcpy(neighbour.mac_address.b, mnl_attr_get_payload(mac_address), sizeof neighbour.mac_address.b);
    if (visit->family != AF_BRIDGE)
        read_address(attributes[NDA_DST], visit->family, &neighbour.address);
    visit->visit(visit->ctx, &neighbour);
    return MNL_CB_OK;
}

int rtnl_get_route(struct rtnl *rtnl, const struct rtnl_route_query *query, struct rtnl_route *route)
{
    const struct addr *to = &query->to, *from = &query->from;
    *route = (struct rtnl_route){0};
    if (to->family != AF_INET && to->family != AF_INET6)
        return -EINVAL;
    size_t len = addr_ip_len(to->family);
    struct nlmsghdr *request = rtnl_begin_request(rtnl, RTM_GETROUTE, NLM_F_ACK);
    struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->rtm_family = (uint8_t)to->family;
    header->rtm_dst_len = (uint8_t)(8 * len);
    mnl_attr_put(request, RTA_DST, len, to->ip);
    if (from->family == to->family) {
        header->rtm_src_len = (uint8_t)(8 * len);
        mnl_attr_put(request, RTA_SRC, len, from->ip);
    }
    if (query->index > 0 || to->scope > 0)
        mnl_attr_put_u32(request, RTA_OIF, query->index > 0 ? (uint32_t)query->index : to->scope);
    if (query->mark)
        mnl_attr_put_u32(request, RTA_MARK, query->mark);
    struct route_search search = {.family = to->family, .route = route};
    int result = rtnl_transact(rtnl, request, read_route, &search);
    if (result < 0)
        return result;
    return search.is_found ? 0 : -ENETUNREACH;
}

int rtnl_visit_neighbours(struct rtnl *rtnl, uint8_t family, void (*visit)(void *ctx, const struct rtnl_neighbour *neighbour), void *ctx)
{
    struct nlmsghdr *request = rtnl_begin_request(rtnl, RTM_GETNEIGH, NLM_F_DUMP);
    struct ndmsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->ndm_family = family;
    struct neighbours_visit state = {.family = family, .visit = visit, .ctx = ctx};
    return rtnl_transact(rtnl, request, read_neighbour, &state);
}
