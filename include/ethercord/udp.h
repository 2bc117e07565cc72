// SPDX-License-Identifier: MIT
/*
 * udp: trains of datagrams from and to the underlay, in batches, with their local address. One socket per address family.
 *
 * A const table of functions behind a small struct, as in tap.h. recv and errors are called by one thread (rx) only; send by several,
 * trains of more than one datagram by one (tx) only.
 * The sockets have DF set (IP_PMTUDISC_PROBE: forged ICMP can't shrink it; outer IP fragments are never made), IP_RECVERR
 * (an ICMP error or ENOBUFS is seen), and IP_PKTINFO (an answer leaves from the address that was asked).
 */
#ifndef ETHERCORD_UDP_H
#define ETHERCORD_UDP_H

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/log.h"

enum {
    // Tuning constants: the buffers that a socket asks for.
    UDP_RECV_BUFFER_BYTES = 7 << 20, // a burst of 40 ms at 1.4 Gb/s, while the receiving thread is busy or not scheduled
    // The kernel takes it twice, for its own overhead: some seven trains of 64 KiB. More would only let a queue build up here, behind which
    // every later datagram waits (4 ms at 1 Gb/s).
    UDP_SEND_BUFFER_BYTES = 256 << 10,

    UDP_BATCH_MAX = 64,
    // Specification of the kernel (UDP_MAX_SEGMENTS is 64 where it is least): older ones count headers against the last one.
    UDP_TRAIN_DATAGRAMS_MAX = 63,
    UDP_TRAIN_BYTES_MAX =
        65535 - 18 - 40 - 8, // Ethernet with a tag, IPv6, UDP: the kernel cuts longer ones by itself; of one datagram, too
    UDP_ROOM_MAX = 65535     // bytes that a train received can have
};

struct udp;

// One or more datagrams of the same endpoint and ECN field, one behind the other, all of the same length but the last, which may be
// shorter.
struct udp_train {
    struct endpoint endpoint; // recv: where from, and our address that it was sent to; send: where to, and from which source
    uint8_t *bytes;
    size_t len;          // of all; recv: in = room, out = bytes
    size_t datagram_len; // of each but the last; len for a single one (recv: also 0, for a datagram without a byte)
    uint8_t ecn;         // of the IP header
    bool is_truncated;   // recv: it was longer than the room
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
    // Returns how many trains were received (<= UDP_BATCH_MAX); 0 = would block; negative errno. An ICMP error pending on the socket
    // is taken off and never costs a datagram. Room for UDP_ROOM_MAX bytes holds any train.
    int (*recv_batch)(struct udp *udp, struct udp_train *trains, int n);
    // Sends in order. Returns how many *datagrams* were accepted, from the first of the first train on, perhaps not all of a train;
    // 0 = would block (nothing accepted); negative errno of the first datagram when it was refused for a reason of its own (EMSGSIZE,
    // ENETUNREACH, ENOBUFS, EPERM, …): skip it and go on. A train that the kernel refuses as such goes out one by one, the same bytes. A
    // pending ICMP error (ECONNREFUSED…) is taken off and the datagram tried again. A source address that is no longer ours gives EINVAL
    // (IPv6) or ENETUNREACH (IPv4, the same as for no route), a source_ifindex that is gone ENODEV: clear them in the endpoint and try
    // again.
    int (*send_batch)(struct udp *udp, const struct udp_train *trains, int n);
    // Takes one entry from the error queue. 1 = got one, 0 = empty, negative errno.
    int (*next_error)(struct udp *udp, struct udp_error *error);
};

// Whether a train leaves in one system call (UDP_SEGMENT). Switched off for a path whose kernel or device refuses it.
struct udp_segmentation {
    atomic_bool is_on;          // any thread may look
    _Atomic uint64_t n_refused; // trains that went out one by one instead
    bool is_wanted;             // by the options
    unsigned strikes;           // refusals without a train of comparable length accepted in between
    struct addr refused_to;
    size_t refused_len;         // bytes, of the last one
    struct log_limit off_limit; // each path may be another matter, and a peer may change it often
};

struct udp {
    const struct udp_ops *ops;
    uint16_t family; // AF_INET or AF_INET6; AF_UNSPEC = there is no such socket
    int fd;          // for polling; -1 in the simulator
    void *impl;
    struct udp_segmentation segmentation;
    bool has_gro;               // trains are received as such
    uint32_t recv_buffer_bytes; // that the kernel has granted, without what it adds for its own overhead
    uint32_t send_buffer_bytes;
};

enum udp_offload { UDP_OFFLOAD_ON, UDP_OFFLOAD_OFF }; // off: each datagram goes and comes alone

struct udp_options {
    uint16_t family;
    uint16_t port;            // 0 = any
    struct addr source;       // bind to this address only; AF_UNSPEC = all
    char interface[IFNAMSIZ]; // SO_BINDTODEVICE; "" = none
    uint32_t fwmark;          // SO_MARK; 0 = none
    enum udp_offload offload;
};

// Opens a bound, non-blocking, close-on-exec socket with large buffers (SO_RCVBUFFORCE where allowed). Returns 0 or negative errno
// (-EADDRINUSE, -EAFNOSUPPORT: no IPv6 here, …).
int udp_open(struct udp *udp, const struct udp_options *options);
void udp_close(struct udp *udp);
// Datagrams (a train that was joined on the way counts as one) that came while the receive buffer was full, so far; modulo 2^32.
uint32_t udp_n_dropped(const struct udp *udp);
// What an operator can do about a negative errno of sending, as "; do this", or "".
const char *udp_send_advice(int error);
// The port it is bound to, host order; 0 on failure.
uint16_t udp_port(const struct udp *udp);

#endif
