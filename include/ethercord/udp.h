// SPDX-License-Identifier: MIT
/*
 * udp: datagrams from and to the underlay, in batches, with their local address. One socket per address family.
 *
 * A const table of functions behind a small struct, as in tap.h. recv and errors are called by one thread (rx) only; send by several.
 * The sockets have DF set (IP_PMTUDISC_PROBE: forged ICMP can't shrink it; outer IP fragments are never made), IP_RECVERR
 * (an ICMP error or ENOBUFS is seen), and IP_PKTINFO (an answer leaves from the address that was asked).
 */
#ifndef ETHERCORD_UDP_H
#define ETHERCORD_UDP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"

enum { UDP_BATCH_MAX = 64 };

struct udp;

struct udp_datagram {
    struct endpoint endpoint; // recv: where from, and our address that it was sent to; send: where to, and from which source
    uint8_t *bytes;
    size_t len;        // recv: in = room, out = bytes
    bool is_truncated; // recv: it was longer than the room
};

// One entry of the socket's error queue (an ICMP error, or a local EMSGSIZE): a hint, never proof. Take them all, always: they lie in the
// receive buffer. One refused datagram may have left several local entries.
struct udp_error {
    int error; // errno: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENOBUFS…
    bool is_local;
    uint32_t mtu; // with EMSGSIZE, else 0
    struct addr remote;
};

struct udp_ops {
    // Returns how many datagrams were received (<= UDP_BATCH_MAX); 0 = would block; negative errno. An ICMP error pending on the socket
    // is taken off and never costs a datagram.
    int (*recv_batch)(struct udp *udp, struct udp_datagram *datagrams, int n);
    // Sends in order. Returns how many were accepted; 0 = would block (nothing accepted); negative errno of the first datagram when it
    // was refused for a reason of its own (EMSGSIZE, ENETUNREACH, ENOBUFS, EPERM, …): skip it and go on. A pending ICMP error
    // (ECONNREFUSED…) is taken off and the datagram tried again. A source address that is no longer ours gives EINVAL (IPv6) or ENETUNREACH
    // (IPv4, the same as for no route), a source_ifindex that is gone ENODEV: clear them in the endpoint and try again.
    int (*send_batch)(struct udp *udp, const struct udp_datagram *datagrams, int n);
    // Takes one entry from the error queue. 1 = got one, 0 = empty, negative errno.
    int (*next_error)(struct udp *udp, struct udp_error *error);
};

struct udp {
    const struct udp_ops *ops;
    uint16_t family; // AF_INET or AF_INET6; AF_UNSPEC = there is no such socket
    int fd;          // for polling; -1 in the simulator
    void *impl;
};

struct udp_options {
    uint16_t family;
    uint16_t port;            // 0 = any
    struct addr source;       // bind to this address only; AF_UNSPEC = all
    char interface[IFNAMSIZ]; // SO_BINDTODEVICE; "" = none
    uint32_t fwmark;          // SO_MARK; 0 = none
};

// Opens a bound, non-blocking, close-on-exec socket with large buffers (SO_RCVBUFFORCE where allowed). Returns 0 or negative errno
// (-EADDRINUSE, -EAFNOSUPPORT: no IPv6 here, …).
int udp_open(struct udp *udp, const struct udp_options *options);
void udp_close(struct udp *udp);
// The port it is bound to, host order; 0 on failure.
uint16_t udp_port(const struct udp *udp);

#endif
