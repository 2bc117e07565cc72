// SPDX-License-Identifier: MIT
/*
 * addr: addresses as values that can be compared, and their text forms.
 *
 * A struct addr has one form per address: an IPv4 address that arrives v4-mapped on an IPv6 socket is stored as IPv4, and the scope is
 * kept only where it means something. So addr_equal() is all that anybody needs to compare.
 */
#include "ethercord/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "ethercord/log.h"

enum { V4_MAPPED_PREFIX_LEN = 12 };

static bool is_v4_mapped(const uint8_t ip[static IPV6_LEN])
{
    static const uint8_t prefix[V4_MAPPED_PREFIX_LEN] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip, prefix, sizeof prefix) == 0;
}

// fe80::/10, and ff02::/16, whose scope is the link as well.
static bool is_link_scoped(const uint8_t ip[static IPV6_LEN])
{
    return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || (ip[0] == 0xff && (ip[1] & 0x0f) == 0x02);
}

static void set_ipv6(struct addr *addr, const uint8_t ip[static IPV6_LEN], uint32_t scope)
{
    if (is_v4_mapped(ip)) {
        addr->family = AF_INET;
        memcpy(addr->ip, ip + V4_MAPPED_PREFIX_LEN, IPV4_LEN);
        return;
    }
    addr->family = AF_INET6;
    addr->scope = is_link_scoped(ip) ? scope : 0;
    memcpy(addr->ip, ip, IPV6_LEN);
}

// Only "0" to the family's full length in plain digits; strtoul would also take signs, blanks and leading zeros.
static bool parse_prefix_len(const char *text, unsigned max, uint8_t *prefix_len)
{
    unsigned value = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 3 || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *prefix_len = (uint8_t)value;
    return value <= max;
}

bool addr_is_unicast(const struct addr *addr)
{
    static const uint8_t unspecified[IPV6_LEN];

    if (addr->family == AF_INET)
        return addr->ip[0] != 0 && addr->ip[0] < 224; // 0.0.0.0/8 is this host; 224.0.0.0/4 multicast; 240.0.0.0/4 reserved
    return addr->family == AF_INET6 && addr->ip[0] != 0xff && memcmp(addr->ip, unspecified, IPV6_LEN) != 0;
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, IPV6_LEN) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_equal_ip(a, b);
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return addr_equal(&a->remote, &b->remote) && addr_equal(&a->source, &b->source) && a->source_ifindex == b->source_ifindex;
}

bool endpoint_matches(const struct endpoint *known, const struct endpoint *seen)
{
    bool is_source_known = known->source.family != AF_UNSPEC;
    return addr_equal(&known->remote, &seen->remote) && (!is_source_known || addr_equal(&known->source, &seen->source));
}

bool addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    *addr = (struct addr){0};
    if (len < (socklen_t)(offsetof(struct sockaddr, sa_family) + sizeof sa->sa_family))
        return false;
    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof v4) {
        memcpy(&v4, sa, sizeof v4);
        addr->family = AF_INET;
        addr->port = ntohs(v4.sin_port);
        memcpy(addr->ip, &v4.sin_addr, IPV4_LEN);
        return true;
    }
    if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof v6) {
        memcpy(&v6, sa, sizeof v6);
        addr->port = ntohs(v6.sin6_port);
        set_ipv6(addr, v6.sin6_addr.s6_addr, v6.sin6_scope_id);
        return true;
    }
    return false;
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *sa)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port), .sin6_scope_id = addr->scope};

    memset(sa, 0, sizeof *sa);
    switch (addr->family) {
    case AF_INET:
        memcpy(&v4.sin_addr, addr->ip, IPV4_LEN);
        memcpy(sa, &v4, sizeof v4);
        return sizeof v4;
    case AF_INET6:
        memcpy(&v6.sin6_addr, addr->ip, IPV6_LEN);
        memcpy(sa, &v6, sizeof v6);
        return sizeof v6;
    default:
        return 0;
    }
}

const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_CAP])
{
    char ip[INET6_ADDRSTRLEN];

    if (addr->family != AF_INET && addr->family != AF_INET6) {
        snprintf(text, ADDR_TEXT_CAP, "unset");
        return text;
    }
    ensure(inet_ntop(addr->family, addr->ip, ip, sizeof ip));
    if (addr->family == AF_INET)
        snprintf(text, ADDR_TEXT_CAP, "%s:%u", ip, (unsigned)addr->port);
    else if (addr->scope != 0)
        snprintf(text, ADDR_TEXT_CAP, "[%s%%%u]:%u", ip, (unsigned)addr->scope, (unsigned)addr->port);
    else
        snprintf(text, ADDR_TEXT_CAP, "[%s]:%u", ip, (unsigned)addr->port);
    return text;
}

const char *addr_format_list(const struct addr *addrs, size_t n, char *text)
{
    char one[ADDR_TEXT_CAP];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, n * ADDR_TEXT_CAP - len, "%s%s", i ? ", " : "", addr_format(&addrs[i], one));
    return text;
}

bool addr_parse_ip(const char *text, struct addr *addr)
{
    uint8_t v6[IPV6_LEN];

    *addr = (struct addr){0};
    if (inet_pton(AF_INET, text, addr->ip) == 1) {
        addr->family = AF_INET;
        return true;
    }
    *addr = (struct addr){0};
    if (inet_pton(AF_INET6, text, v6) != 1)
        return false;
    set_ipv6(addr, v6, 0);
    return true;
}

bool cidr_parse(const char *text, struct cidr *cidr)
{
    char ip[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t ip_len = slash ? (size_t)(slash - text) : strlen(text);

    *cidr = (struct cidr){0};
    if (ip_len >= sizeof ip)
        return false;
    memcpy(ip, text, ip_len);
    ip[ip_len] = '\0';

    // No v4-mapped conversion here: it would change what the prefix length counts.
    uint8_t bytes[IPV6_LEN] = {0};
    uint16_t family = strchr(ip, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, ip, bytes) != 1)
        return false;
    uint8_t prefix_len = (uint8_t)(8 * addr_ip_len(family));
    if (slash && !parse_prefix_len(slash + 1, prefix_len, &prefix_len))
        return false;
    cidr->family = family;
    cidr->prefix_len = prefix_len;
    memcpy(cidr->ip, bytes, IPV6_LEN);
    return true;
}

const char *cidr_format(const struct cidr *cidr, char text[static CIDR_TEXT_CAP])
{
    char ip[INET6_ADDRSTRLEN];

    ensure(inet_ntop(cidr->family, cidr->ip, ip, sizeof ip));
    snprintf(text, CIDR_TEXT_CAP, "%s/%u", ip, (unsigned)cidr->prefix_len);
    return text;
}

const char *mac_format(const struct mac_address *mac, char text[static MAC_TEXT_CAP])
{
    const uint8_t *b = mac->b;

    snprintf(text, MAC_TEXT_CAP, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return text;
}
