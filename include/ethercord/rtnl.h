// SPDX-License-Identifier: MIT
/*
 * rtnl: network interfaces by rtnetlink, each function one request and its answer.
 *
 * Knows nothing of TAPs, bridges or what ethercord wants of them: that is `link`. Changing anything needs CAP_NET_ADMIN in the
 * network namespace's user namespace; reading needs nothing. One thread per struct. All functions return 0 or negative errno, -ENODEV
 * for an interface that is not there.
 */
#ifndef ETHERCORD_RTNL_H
#define ETHERCORD_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/addr.h"

struct mnl_socket;

enum { RTNL_KIND_CAP = 16 };

struct rtnl {
    struct mnl_socket *socket; // NULL = closed
    void *buffer;              // for requests and answers; from the heap
    uint32_t port_id;
    uint32_t sequence;
};

struct rtnl_link {
    int index;
    char name[IFNAMSIZ];
    int master;     // index of the bridge (or bond, …) that it belongs to; 0 = none
    int lower;      // index of what it lies on (a VLAN on its interface); of a veth, its other end, perhaps elsewhere; 0 = none
    uint32_t flags; // IFF_UP, IFF_LOWER_UP, …
    bool has_carrier;
    uint32_t mtu;
    uint32_t txqueuelen;
    struct mac_address mac_address; // zero where the interface has none of six bytes
    char kind[RTNL_KIND_CAP];       // "tun", "bridge", "veth"; "" for hardware
    uint8_t operstate;              // IF_OPER_UP, …
    bool has_addrgenmode;           // false where IPv6 does not exist on the interface
    uint8_t addrgenmode;            // IN6_ADDR_GEN_MODE_…
    bool has_stp;                   // a bridge with spanning tree
    bool is_bridge_port;
    uint8_t port_state; // of a bridge's port: BR_STATE_…
};

// How a datagram would leave: as a socket would send it that is bound to an interface or an address, or marked.
struct rtnl_route_query {
    struct addr to;
    struct addr from; // AF_UNSPEC = not bound
    int index;        // of the interface, 0 = not bound
    uint32_t mark;
};

struct rtnl_route {
    int index;           // of the interface that it leaves by
    bool is_local;       // `to` is this machine's own
    struct addr gateway; // AF_UNSPEC = `to` is on that link
    struct addr source;  // the kernel's choice
};

// Of the neighbour tables (who has an IP address), or of a bridge's forwarding database (behind which port a MAC address is).
struct rtnl_neighbour {
    int index;  // of the interface, or the port
    int master; // of the forwarding database: the bridge
    struct addr address;
    struct mac_address mac_address;
};

struct rtnl_stats {
    uint64_t rx_dropped;
    uint64_t tx_dropped; // of a TAP: frames for which its ring had no room
};

int rtnl_open(struct rtnl *rtnl) __attribute__((warn_unused_result));
// A zeroed or closed struct is fine.
void rtnl_close(struct rtnl *rtnl);

// For a second struct, which is not asked anything: it becomes readable when something has changed at some interface.
int rtnl_open_watch(struct rtnl *rtnl) __attribute__((warn_unused_result));
int rtnl_fd(const struct rtnl *rtnl);
// Throws away what a watch has to say, so that it becomes readable again at the next change. Notifications that found no room count as
// said: whoever looks afterwards misses nothing.
void rtnl_forget_changes(struct rtnl *rtnl);

int rtnl_get_link(struct rtnl *rtnl, const char *name, struct rtnl_link *link) __attribute__((warn_unused_result));
int rtnl_get_link_at(struct rtnl *rtnl, int index, struct rtnl_link *link) __attribute__((warn_unused_result));
// Calls `visit` for each interface that belongs to `master`. -EINTR: they changed meanwhile, so some may have been left out.
int rtnl_visit_ports(struct rtnl *rtnl, int master, void (*visit)(void *ctx, const struct rtnl_link *port), void *ctx)
    __attribute__((warn_unused_result));
int rtnl_get_stats(struct rtnl *rtnl, int index, struct rtnl_stats *stats) __attribute__((warn_unused_result));

int rtnl_set_link_mtu(struct rtnl *rtnl, int index, uint32_t mtu) __attribute__((warn_unused_result));
int rtnl_set_link_up(struct rtnl *rtnl, int index, bool is_up) __attribute__((warn_unused_result));
// Joins a bridge, leaving the one before; 0 = only leave.
int rtnl_set_link_master(struct rtnl *rtnl, int index, int master) __attribute__((warn_unused_result));
int rtnl_set_txqueuelen(struct rtnl *rtnl, int index, uint32_t n_frames) __attribute__((warn_unused_result));
// IN6_ADDR_GEN_MODE_NONE and its like. -EAFNOSUPPORT: no IPv6 in this kernel, or none on this interface (an MTU below 1280).
int rtnl_set_addrgenmode(struct rtnl *rtnl, int index, uint8_t mode) __attribute__((warn_unused_result));

// -EEXIST when the interface has it already.
int rtnl_add_address(struct rtnl *rtnl, int index, const struct cidr *address) __attribute__((warn_unused_result));
// -EADDRNOTAVAIL when the interface does not have it.
int rtnl_del_address(struct rtnl *rtnl, int index, const struct cidr *address) __attribute__((warn_unused_result));
// Finds one IPv6 link-local address of the interface. -EADDRNOTAVAIL when there is none.
int rtnl_get_link_local(struct rtnl *rtnl, int index, struct cidr *address) __attribute__((warn_unused_result));

// -ENETUNREACH and its like where no route leads there.
int rtnl_get_route(struct rtnl *rtnl, const struct rtnl_route_query *query, struct rtnl_route *route) __attribute__((warn_unused_result));
// AF_INET, AF_INET6; AF_BRIDGE: forwarding databases. Only entries with a MAC address.
int rtnl_visit_neighbours(struct rtnl *rtnl, uint8_t family, void (*visit)(void *ctx, const struct rtnl_neighbour *neighbour), void *ctx)
    __attribute__((warn_unused_result));

#endif
