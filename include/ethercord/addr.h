// SPDX-License-Identifier: MIT
/*
 * addr: underlay addresses, MAC addresses, CIDR prefixes, and their text forms. No name resolution here.
 */
#ifndef ETHERCORD_ADDR_H
#define ETHERCORD_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    MAC_ADDRESS_LEN = 6,
    IPV4_LEN = 4,
    IPV6_LEN = 16,
    ADDR_TEXT_CAP = 80, // "[v6%scope]:port" and its NUL
    CIDR_TEXT_CAP = 64,
    MAC_TEXT_CAP = 18
};

// An IP address with a port. IPv4 takes the first 4 bytes of `ip`, the others are zero. Zeroed = unset (AF_UNSPEC).
struct addr {
    uint16_t family; // AF_UNSPEC, AF_INET or AF_INET6
    uint16_t port;   // host order
    uint32_t scope;  // interface index of a link-local IPv6 address, else 0
    uint8_t ip[IPV6_LEN];
};

// Where a peer is: its address, and the local address that it talks to.
struct endpoint {
    struct addr remote;
    struct addr source;      // our address (port unused); AF_UNSPEC = let the kernel choose
    uint32_t source_ifindex; // of a link-local source; 0 = the routing table decides
};

struct mac_address {
    uint8_t b[MAC_ADDRESS_LEN];
};

// An address of the overlay with its prefix length.
struct cidr {
    uint16_t family; // AF_INET or AF_INET6
    uint8_t prefix_len;
    uint8_t ip[IPV6_LEN]; // IPv4 takes the first 4 bytes
};

// Whether it can be that of one host: not unspecified, multicast, broadcast or reserved.
bool addr_is_unicast(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
// The same, whatever the ports are.
bool addr_equal_ip(const struct addr *a, const struct addr *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
// Whether a datagram that was `seen` came from the place that is `known`; a source that is not known matches any.
bool endpoint_matches(const struct endpoint *known, const struct endpoint *seen);
static inline size_t addr_ip_len(uint16_t family)
{
    return family == AF_INET6 ? IPV6_LEN : IPV4_LEN;
}

// What IP and UDP put around a datagram to there, bytes: a path MTU counts them.
static inline size_t addr_headers_len(const struct addr *to)
{
    return to->family == AF_INET6 ? 40 + 8 : 20 + 8;
}

// A v4-mapped IPv6 address becomes IPv4. False when the family is neither or `len` is too short.
bool addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa, socklen_t len);
// Returns the length of what was written.
socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *sa);
// "192.0.2.1:36160", "[2001:db8::1]:36160", "[fe80::1%3]:36160", "unset".
const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_CAP]);
// Several, with ", " between them; `text` has room for ADDR_TEXT_CAP each, and at least once.
const char *addr_format_list(const struct addr *addrs, size_t n, char *text);

// "192.0.2.1", "2001:db8::1": no port, no name. False when it is not such.
bool addr_parse_ip(const char *text, struct addr *addr);
// "10.9.0.1/24", "fd00::1/64"; without "/n" the full length. False when it is not such (also for a prefix that is too long).
bool cidr_parse(const char *text, struct cidr *cidr);
const char *cidr_format(const struct cidr *cidr, char text[static CIDR_TEXT_CAP]);
const char *mac_format(const struct mac_address *mac, char text[static MAC_TEXT_CAP]);

#endif
