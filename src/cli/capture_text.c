// SPDX-License-Identifier: MIT
/*
 * capture_text: see capture_text.h. Every step takes what the captured bytes hold, and says less where they end too soon.
 */
#include "capture_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ethercord/addr.h"
#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/frame.h"
#include "ethercord/packet.h"

enum {
    EXTENSIONS_MAX = 4,
    ARP_LEN = 28,
    LLC_LEN = 3,
    SNAP_LEN = 8,
    SAP_STP = 0x42,
    SAP_SNAP = 0xaa,
    SAP_IPX = 0xe0,
    SAP_NETBIOS = 0xf0,
    SAP_ISIS = 0xfe,
    IPV4_OFFSET_MASK = 0x1fff,
    IPV6_DST_AT = 24,
    ETHER_TYPE_MIN = 0x0600
};

struct line {
    char *text;
    size_t len, cap;
};

struct name {
    unsigned value;
    const char *text;
};

static const struct name ether_types[] = {
    {0x8137, "IPX"},   {0x809b, "AppleTalk"}, {0x80f3, "AARP"},          {0x8847, "MPLS"},        {0x8863, "PPPoE discovery"},
    {0x8864, "PPPoE"}, {0x888e, "EAPOL"},     {0x88cc, "LLDP"},          {0x8808, "MAC control"}, {0x88e5, "MACsec"},
    {0x88f7, "PTP"},   {0x8902, "CFM"},       {0x9000, "loopback test"}, {0x8100, "VLAN tag"},    {0x88a8, "VLAN tag"},
    {0, NULL}};
static const struct name protocols[] = {
    {IPPROTO_ICMP, "ICMP"}, {2, "IGMP"},  {IPPROTO_TCP, "TCP"}, {IPPROTO_UDP, "UDP"}, {47, "GRE"},   {50, "ESP"}, {51, "AH"},
    {58, "ICMPv6"},         {89, "OSPF"}, {103, "PIM"},         {112, "VRRP"},        {132, "SCTP"}, {0, NULL}};
static const struct name saps[] = {{SAP_STP, "STP"}, {SAP_IPX, "IPX"}, {SAP_NETBIOS, "NetBIOS"}, {SAP_ISIS, "IS-IS"}, {0, NULL}};
static const struct name icmp4[] = {{8, "echo request"},   {3, "unreachable"}, {5, "redirect"}, {9, "router advertisement"},
                                    {11, "time exceeded"}, {12, "bad header"}, {0, NULL}};
static const struct name icmp6[] = {{1, "unreachable"},
                                    {2, "packet too big"},
                                    {3, "time exceeded"},
                                    {4, "bad header"},
                                    {128, "echo request"},
                                    {129, "echo reply"},
                                    {130, "MLD query"},
                                    {131, "MLD report"},
                                    {133, "router solicitation"},
                                    {134, "router advertisement"},
                                    {135, "neighbour solicitation"},
                                    {136, "neighbour advertisement"},
                                    {137, "redirect"},
                                    {143, "MLD report"},
                                    {0, NULL}};
static const struct name tcp_flags[] = {{0x02, " SYN"}, {0x01, " FIN"}, {0x04, " RST"}, {0, NULL}};

static __attribute__((format(printf, 2, 3))) void say(struct line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line->text + line->len, line->cap - line->len, format, args);
    va_end(args);
    if (n > 0)
        line->len = line->len + (size_t)n < line->cap ? line->len + (size_t)n : line->cap - 1;
}

static const char *find_name(const struct name *names, unsigned value)
{
    for (; names->text; names++)
        if (names->value == value)
            return names->text;
    return NULL;
}

static void say_named(struct line *line, const struct name *names, unsigned value, const char *otherwise)
{
    const char *name = find_name(names, value);

    if (name)
        say(line, "%s", name);
    else
        say(line, "%s 0x%02x", otherwise, value);
}

static void say_macs(struct line *line, const struct frame_view *frame)
{
    char src[MAC_TEXT_CAP], dst[MAC_TEXT_CAP];

    say(line, "%s > %s ", mac_format(&frame->src, src), mac_format(&frame->dst, dst));
}

/* ---- IP ---- */

// An IP packet, as far as it goes.
struct ip {
    uint16_t family;
    const uint8_t *src, *dst;
    uint8_t protocol;
    size_t at; // what follows the headers, in the frame
    bool is_later_fragment, is_fragment;
};

static bool parse_ipv4(struct ip *ip, const struct frame_view *frame)
{
    const uint8_t *l3 = frame->bytes + frame->l3_offset;
    size_t left = frame->len - frame->l3_offset;

    if (left < IPV4_HEADER_MIN || l3[0] >> 4 != 4)
        return false;
    uint16_t fragment = load_be16(l3 + IPV4_FRAGMENT_AT);
    *ip = (struct ip){
        .family = AF_INET,
        .src = l3 + IPV4_SOURCE_AT,
        .dst = l3 + IPV4_SOURCE_AT + IPV4_LEN,
        .protocol = l3[IPV4_PROTOCOL_AT],
        .at = frame->l3_offset + (size_t)(l3[0] & 0xf) * 4,
        .is_fragment = fragment & (IPV4_OFFSET_MASK | 0x2000),
        .is_later_fragment = fragment & IPV4_OFFSET_MASK,
    };
    return true;
}

// Past the extension headers that stand in front of most MLD reports, and of fragments.
static void skip_extensions(struct ip *ip, const struct frame_view *frame)
{
    for (int i = 0; i < EXTENSIONS_MAX && ip->at + 8 <= frame->len; i++) {
        const uint8_t *header = frame->bytes + ip->at;
        bool is_fragment = ip->protocol == IPPROTO_FRAGMENT;
        if (!is_fragment && ip->protocol != IPPROTO_HOPOPTS && ip->protocol != IPPROTO_DSTOPTS && ip->protocol != IPPROTO_ROUTING)
            return;
        ip->protocol = header[0];
        ip->at += is_fragment ? 8 : ((size_t)header[1] + 1) * 8;
        ip->is_fragment = ip->is_fragment || is_fragment;
        ip->is_later_fragment = ip->is_later_fragment || (is_fragment && load_be16(header + 2) >> 3 != 0);
    }
}

static bool parse_ipv6(struct ip *ip, const struct frame_view *frame)
{
    const uint8_t *l3 = frame->bytes + frame->l3_offset;

    if (frame->len - frame->l3_offset < IPV6_HEADER_LEN || l3[0] >> 4 != 6)
        return false;
    *ip = (struct ip){
        .family = AF_INET6,
        .src = l3 + IPV6_SOURCE_AT,
        .dst = l3 + IPV6_DST_AT,
        .protocol = l3[IPV6_NEXT_AT],
        .at = frame->l3_offset + IPV6_HEADER_LEN,
    };
    skip_extensions(ip, frame);
    return true;
}

static void say_host(struct line *line, const struct ip *ip, const uint8_t *address)
{
    char text[INET6_ADDRSTRLEN];

    say(line, "%s", inet_ntop(ip->family, address, text, sizeof text));
}

static void say_host_and_port(struct line *line, const struct ip *ip, const uint8_t *address, uint16_t port)
{
    struct addr addr = {.family = ip->family, .port = port};
    char text[ADDR_TEXT_CAP];

    memcpy(addr.ip, address, addr_ip_len(ip->family));
    say(line, "%s", addr_format(&addr, text));
}

static void say_icmp(struct line *line, const struct ip *ip, const struct frame_view *frame)
{
    const uint8_t *icmp = frame->bytes + ip->at;
    bool is_ipv4 = ip->family == AF_INET;

    if (ip->at + 8 > frame->len)
        return;
    say(line, " ");
    if (is_ipv4 && icmp[0] == 0)
        say(line, "echo reply");
    else
        say_named(line, is_ipv4 ? icmp4 : icmp6, icmp[0], "type");
    if (is_ipv4 ? icmp[0] == 0 || icmp[0] == 8 : icmp[0] == 128 || icmp[0] == 129)
        say(line, " id %u seq %u", load_be16(icmp + 4), load_be16(icmp + 6));
    else if (icmp[1])
        say(line, " code %u", icmp[1]);
    if (!is_ipv4 && (icmp[0] == 135 || icmp[0] == 136) && ip->at + 24 <= frame->len) {
        say(line, " of ");
        say_host(line, ip, icmp + 8);
    }
}

static void say_tcp_or_udp(struct line *line, const struct packet_view *packet, const struct frame_view *frame)
{
    const uint8_t *l4 = frame->bytes + packet->l4_offset;

    say(line, packet->protocol == IPPROTO_TCP ? " TCP" : " UDP");
    if (packet->protocol == IPPROTO_TCP)
        for (const struct name *flag = tcp_flags; flag->text; flag++)
            if (l4[TCP_FLAGS_AT] & flag->value)
                say(line, "%s", flag->text);
}

static void say_ip(struct line *line, const struct ip *ip, const struct frame_view *frame)
{
    struct packet_view packet;

    if (packet_parse(&packet, frame)) {
        const uint8_t *l4 = frame->bytes + packet.l4_offset;
        say_host_and_port(line, ip, ip->src, load_be16(l4));
        say(line, " > ");
        say_host_and_port(line, ip, ip->dst, load_be16(l4 + 2));
        say_tcp_or_udp(line, &packet, frame);
        return;
    }
    say_host(line, ip, ip->src);
    say(line, " > ");
    say_host(line, ip, ip->dst);
    say(line, " ");
    say_named(line, protocols, ip->protocol, "IP protocol");
    if ((ip->protocol == IPPROTO_ICMP || ip->protocol == IPPROTO_ICMPV6) && !ip->is_later_fragment)
        say_icmp(line, ip, frame);
    if (ip->is_fragment)
        say(line, " fragment");
}

/* ---- what is not IP ---- */

static void say_arp(struct line *line, const struct frame_view *frame)
{
    const uint8_t *arp = frame->bytes + frame->l3_offset;
    const struct ip ip = {.family = AF_INET};
    struct mac_address sender;
    char mac[MAC_TEXT_CAP];

    say_macs(line, frame);
    say(line, "ARP");
    // Ethernet and IPv4.
    if (frame->len - frame->l3_offset < ARP_LEN || load_be32(arp) != 0x00010800 || load_be16(arp + 4) != 0x0604)
        return;
    memcpy(sender.b, arp + 8, sizeof sender.b);
    say(line, load_be16(arp + 6) == 1 ? " who has " : load_be16(arp + 6) == 2 ? " answer " : " other ");
    say_host(line, &ip, load_be16(arp + 6) == 1 ? arp + 24 : arp + 14);
    if (load_be16(arp + 6) == 1) {
        say(line, ", asks ");
        say_host(line, &ip, arp + 14);
    } else {
        say(line, " is at %s", mac_format(&sender, mac));
    }
}

static void say_llc(struct line *line, const struct frame_view *frame)
{
    const uint8_t *llc = frame->bytes + frame->l3_offset;
    size_t left = frame->len - frame->l3_offset;

    say_macs(line, frame);
    if (left >= SNAP_LEN && llc[0] == SAP_SNAP)
        say_named(line, ether_types, load_be16(llc + 6), "SNAP");
    else if (left >= LLC_LEN)
        say_named(line, saps, llc[0], "LLC");
    else
        say(line, "802.3");
}

static void say_frame(struct line *line, const struct frame_view *frame)
{
    struct ip ip;

    if ((frame->ether_type == ETHER_TYPE_IPV4 && parse_ipv4(&ip, frame)) ||
        (frame->ether_type == ETHER_TYPE_IPV6 && parse_ipv6(&ip, frame))) {
        say_ip(line, &ip, frame);
    } else if (frame->ether_type == ETHER_TYPE_ARP) {
        say_arp(line, frame);
    } else if (frame->ether_type < ETHER_TYPE_MIN) {
        say_llc(line, frame);
    } else {
        say_macs(line, frame);
        say_named(line, ether_types, frame->ether_type, "EtherType");
    }
}

static void say_tags(struct line *line, const struct frame_view *frame)
{
    for (size_t i = 0; i < frame->n_tags; i++)
        say(line, "%s%u", i == 0 ? ", VLAN " : ".", load_be16(frame->bytes + ETHER_HEADER_LEN + i * VLAN_TAG_LEN) & 0xfff);
}

static void say_time(struct line *line, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm tm;
    char text[16];

    if (localtime_r(&seconds, &tm) && strftime(text, sizeof text, "%H:%M:%S", &tm) > 0)
        say(line, "%s.%06u ", text, (unsigned)(wall_ns % NS_PER_S / 1000));
}

void capture_text_format(const struct captured *captured, char text[static CAPTURE_TEXT_CAP])
{
    struct line line = {.text = text, .cap = CAPTURE_TEXT_CAP};
    struct frame_view frame;

    text[0] = '\0';
    say_time(&line, captured->wall_ns);
    say(&line, "%-3s ", captured->is_inbound ? "in" : "out");
    if (frame_parse(&frame, captured->bytes, captured->len)) {
        say_frame(&line, &frame);
        say_tags(&line, &frame);
    } else {
        say(&line, "less than an Ethernet header");
    }
    say(&line, ", %u bytes", captured->frame_len);
    if (captured->is_own)
        say(&line, ", made by this node");
    if (captured->fate)
        say(&line, ", %s", captured->fate);
}
