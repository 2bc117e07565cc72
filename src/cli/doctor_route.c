// SPDX-License-Identifier: MIT
/*
 * doctor_route: where the node's own datagrams leave, and whether what comes back is let in.
 *
 * The route is asked for as the node's socket would have it: with FwMark, BindInterface and SourceAddress. It leads into the tunnel if its
 * interface is the TAP, or lies on it; or the bridge that the TAP is in, and what is to be reached there (the gateway, or the peer itself)
 * was learned behind the TAP. A bridge with a way out of its own is no fault: that is how one joins the network that one is in.
 */
#include <errno.h>
#include <linux/if_bridge.h>
#include <stdlib.h>
#include <string.h>

#include "doctor_checks.h"

enum { LAYERS_MAX = 8 };

int doctor_route_to(struct doctor *doctor, const struct addr *place, struct rtnl_route *route)
{
    const struct doctor_subject *subject = &doctor->subject;
    struct rtnl_route_query query = {.to = *place, .from = subject->source, .mark = subject->fwmark};
    struct rtnl_link link;
    *route = (struct rtnl_route){0};
    if (subject->interface[0]) {
        int error = rtnl_get_link(&doctor->rtnl, subject->interface, &link);
        if (error)
            return error;
        query.index = link.index;
    }
    return rtnl_get_route(&doctor->rtnl, &query, route);
}

/* ---- into the tunnel ---- */

struct learned {
    int bridge;
    int interface;
    struct addr next;       // whose MAC address is wanted
    struct mac_address mac; // and then, behind which port it is
    bool has_mac;
    int port;
};

static void see_neighbour(void *ctx, const struct rtnl_neighbour *neighbour)
{
    struct learned *learned = ctx;
    if (neighbour->index != learned->interface || !addr_equal_ip(&neighbour->address, &learned->next))
        return;
    learned->mac = neighbour->mac_address;
    learned->has_mac = true;
}

static void see_learned(void *ctx, const struct rtnl_neighbour *entry)
{
    struct learned *learned = ctx;
    if (entry->master == learned->bridge && memcmp(entry->mac_address.b, learned->mac.b, sizeof learned->mac.b) == 0)
        learned->port = entry->index;
}

// Behind which port of the bridge the next hop was learned; 0 = not known.
static int port_of_next(struct doctor *doctor, const struct addr *place, const struct rtnl_route *route, int bridge)
{
    struct learned learned = {.bridge = bridge, .interface = route->index};
    learned.next = route->gateway.family == AF_UNSPEC ? *place : route->gateway;
    if (rtnl_visit_neighbours(&doctor->rtnl, (uint8_t)place->family, see_neighbour, &learned) != 0 || !learned.has_mac)
        return 0;
    return rtnl_visit_neighbours(&doctor->rtnl, AF_BRIDGE, see_learned, &learned) == 0 ? learned.port : 0;
}

struct ways_out {
    const char *tap;
    size_t n;
};

static void see_way_out(void *ctx, const struct rtnl_link *port)
{
    struct ways_out *ways = ctx;
    if (strcmp(port->name, ways->tap) != 0 && port->has_carrier)
        ways->n++;
}

// A bridge with no other port that lives has no other way.
static bool leads_behind_tap(struct doctor *doctor, const struct addr *place, const struct rtnl_route *route, const struct rtnl_link *tap)
{
    struct ways_out ways = {.tap = tap->name};
    if (rtnl_visit_ports(&doctor->rtnl, tap->master, see_way_out, &ways) == 0 && ways.n == 0)
        return true;
    return port_of_next(doctor, place, route, tap->master) == tap->index;
}

// VLANs and the like lie on what is below them.
static bool is_in_tunnel(struct doctor *doctor, const struct addr *place, const struct rtnl_route *route)
{
    struct rtnl_link tap, link;
    int index = route->index;
    if (rtnl_get_link(&doctor->rtnl, doctor->subject.tap, &tap) != 0)
        return false;
    for (int i = 0; i < LAYERS_MAX && index > 0; i++) {
        if (index == tap.index)
            return true;
        if (index == tap.master)
            return leads_behind_tap(doctor, place, route, &tap);
        if (rtnl_get_link_at(&doctor->rtnl, index, &link) != 0 || strcmp(link.kind, "veth") == 0)
            return false;
        index = link.lower;
    }
    return false;
}

static void check_place(struct doctor *doctor, const struct addr *place)
{
    char ip[ADDR_TEXT_CAP], gateway[ADDR_TEXT_CAP];
    struct rtnl_route route;
    struct rtnl_link out;
    int error = doctor_route_to(doctor, place, &route);
    doctor_ip(place, ip);
    if (error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES || error == -ENODEV || error == -EINVAL) {
        finding_advise(doctor_find(doctor, FINDING_NO_ROUTE, "no way to the peer at %s: %s%s%s", ip, strerror(-error),
                                   doctor->subject.interface[0] ? ", by " : "", doctor->subject.interface),
                       "ip route get %s; then ip route add %s via GATEWAY, or see FwMark, BindInterface and SourceAddress in [Node]", ip,
                       ip);
        return;
    }
    if (error) {
        doctor_skip(doctor, "the route to %s can't be asked for: %s", ip, strerror(-error));
        return;
    }
    if (!is_in_tunnel(doctor, place, &route) || rtnl_get_link_at(&doctor->rtnl, route.index, &out) != 0)
        return;
    bool has_gateway = route.gateway.family != AF_UNSPEC;
    finding_advise(doctor_find(doctor, FINDING_ROUTE_THROUGH_TUNNEL, "the route to the peer at %s goes by %s%s%s: into the tunnel itself",
                               ip, out.name, has_gateway ? " via " : "", has_gateway ? doctor_ip(&route.gateway, gateway) : ""),
                   "ip route add %s via GATEWAY-OF-THE-UNDERLAY dev INTERFACE; or keep the two apart by [Node] BindInterface", ip);
}

void check_route(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->subject.n_places; i++)
        check_place(doctor, &doctor->subject.places[i]);
}

/* ---- what comes back ---- */

static long rp_filter_of(const char *interface)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", interface);
    long own = doctor_proc_number(path, 0), all = doctor_proc_number("/proc/sys/net/ipv4/conf/all/rp_filter", 0);
    return own > all ? own : all; // ip-sysctl: the higher value holds
}

// The kernel looks up the way back to the sender as if it had to answer: without the socket's binding, and without its mark, unless it was
// told to take the mark that is restored on what comes in.
static void check_way_back(struct doctor *doctor, const struct addr *place)
{
    struct rtnl_route out, back;
    struct rtnl_link link, other;
    char ip[ADDR_TEXT_CAP];
    if (place->family != AF_INET || doctor_route_to(doctor, place, &out) != 0 || out.is_local ||
        rtnl_get_link_at(&doctor->rtnl, out.index, &link) != 0)
        return;
    if (rp_filter_of(link.name) != 1)
        return;
    struct rtnl_route_query query = {.to = *place, .from = out.source};
    int error = rtnl_get_route(&doctor->rtnl, &query, &back);
    if (!error && back.index == out.index)
        return;
    const char *name = !error && rtnl_get_link_at(&doctor->rtnl, back.index, &other) == 0 ? other.name : "nowhere";
    finding_advise(
        doctor_find(
            doctor, FINDING_RP_FILTER_DROPS,
            "rp_filter is strict on %s, by which datagrams to %s leave, and without mark and binding the route there is by %s: what "
            "the peer sends back is dropped",
            link.name, doctor_ip(place, ip), name),
        "sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.%s.rp_filter=2", link.name);
}

// The value at the same place as the name.
static double value_of(char *names, char *values, const char *wanted)
{
    char *at_name, *at_value, *name = strtok_r(names, " \n", &at_name), *value = strtok_r(values, " \n", &at_value);
    while (name && value && strcmp(name, wanted) != 0) {
        name = strtok_r(NULL, " \n", &at_name);
        value = strtok_r(NULL, " \n", &at_value);
    }
    return name && value ? strtod(value, NULL) : 0;
}

// "TcpExt: name name …", then "TcpExt: value value …".
static double count_of(const char *wanted)
{
    char *names = NULL, *values = NULL;
    size_t names_cap = 0, values_cap = 0;
    double count = 0;
    FILE *file = fopen("/proc/net/netstat", "re");
    while (file && getline(&names, &names_cap, file) > 0 && getline(&values, &values_cap, file) > 0)
        count += value_of(names, values, wanted);
    if (file)
        (void)fclose(file);
    free(names);
    free(values);
    return count;
}

// That it drops something does not mean that it is the peer's.
void check_rp_filter(struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    size_t before = doctor->n_findings;
    for (size_t i = 0; i < subject->n_places; i++)
        check_way_back(doctor, &subject->places[i]);
    double count = count_of("IPReversePathFilter");
    if (doctor->n_findings == before && subject->status && subject->has_peer && !subject->is_up && count > 0)
        finding_advise(
            doctor_find(doctor, FINDING_RP_FILTER_COUNTS,
                        "rp_filter has dropped %.0f packets here: the peer's may be among them, if they come in by another interface than "
                        "the one that the route to it is by",
                        count),
            "tcpdump -ni any udp port %u; if they do come: sysctl -w net.ipv4.conf.all.rp_filter=2", subject->listen_port);
}
