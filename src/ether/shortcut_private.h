// SPDX-License-Identifier: MIT
/*
 * shortcut_private: what the shortcut's files share with each other and with nobody else.
 *
 *   shortcut.c            one frame in, dispatch by EtherType; announcements and their deadlines; conflicts
 *   shortcut_settings.c   its addresses, at the start and after a reload
 *   shortcut_arp.c        ARP (RFC 826, RFC 5227)
 *   shortcut_ipv4.c       IPv4: header, options, whom never to answer
 *   shortcut_ipv6.c       IPv6: header, extension headers, whom never to answer
 *   shortcut_ndp.c        neighbour solicitations and advertisements (RFC 4861, RFC 4862)
 *   shortcut_mld.c        multicast listener queries and reports (RFC 3810, RFC 2710)
 *   shortcut_icmp.c       echo, v4 and v6 alike
 *   shortcut_reassembly.c fragments of echo requests
 *   shortcut_reply.c      the reply being written, in IP fragments if need be
 *   shortcut_limit.c      token buckets per source and in all
 *
 * Handlers return a verdict and have counted the frame when that is SHORTCUT_TAKEN (a held fragment is counted later, with its packet).
 */
#ifndef ETHERCORD_SHORTCUT_PRIVATE_H
#define ETHERCORD_SHORTCUT_PRIVATE_H

#include "ethercord/bucket.h"
#include "ethercord/shortcut.h"

// Specification constants.
enum {
    ARP_LEN = 28,
    IPV4_HEADER_LEN = 20,
    IPV6_HEADER_LEN = 40,
    IPV6_FRAGMENT_HEADER_LEN = 8,
    IPV6_MTU_MIN = 1280,
    ICMP_HEADER_LEN = 8,
    FRAGMENT_UNIT = 8,
    NDP_LEN = 24, // solicitation or advertisement without options
    NDP_OPTION_LEN = 8,
    NDP_HOP_LIMIT = 255,
    ICMPV6_ECHO_REQUEST = 128,
    ICMPV6_MLD_QUERY = 130,
    ICMPV6_MLD1_REPORT = 131,
    ICMPV6_NEIGHBOUR_SOLICITATION = 135,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136,
    ICMPV6_MLD2_REPORT = 143,
    ARP_ANNOUNCE_COUNT = 2, // RFC 5227 1.1, used for NA and MLD alike
    ARP_ANNOUNCE_INTERVAL_S = 2,
    ARP_DEFEND_INTERVAL_S = 10
};

// Tuning constants; docs/shortcut.md states them.
enum {
    REASSEMBLY_TIMEOUT_S = 5,
    IPV6_EXTENSIONS_MAX = 8, // headers in a chain; longer chains are refused
    ECHO_SOURCE_PER_S = 50000,
    ECHO_SOURCE_BURST = 10000,
    ECHO_TOTAL_PER_S = 100000,
    ECHO_TOTAL_BURST = 20000,
    NEIGHBOUR_SOURCE_PER_S = 100,
    NEIGHBOUR_SOURCE_BURST = 100,
    NEIGHBOUR_TOTAL_PER_S = 5000,
    NEIGHBOUR_TOTAL_BURST = 1000
};

enum {
    // The configured addresses and the link-local one that goes with any IPv6 address.
    OWN_MAX = SHORTCUT_ADDRESSES_MAX + 1,
    L2_HEADER_MAX = ETHER_HEADER_LEN + FRAME_VLAN_TAGS_MAX * VLAN_TAG_LEN,
    FRAGMENT_UNITS_MAX = (SHORTCUT_IP_MAX + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT,
    MLD_REPORT_LEN = 8 + OWN_MAX * 20,
    // Hop-by-hop header with the router alert, in front of every MLD message.
    MLD_PACKET_MAX = IPV6_HEADER_LEN + 8 + MLD_REPORT_LEN
};

#define NO_DEADLINE UINT64_MAX
// Stands for "answered" where a drop reason is returned.
#define NOT_DROPPED DROP_COUNT

// Destination and source MAC address, tags, EtherType.
struct l2_header {
    uint8_t bytes[L2_HEADER_MAX];
    size_t len;
};

struct own_address {
    struct cidr cidr;
    bool wants_announcement; // shortcut_next() will write one
    bool was_defended;
    uint64_t defended_ns;
};

// The frame under examination.
struct request {
    struct frame_view view;
    const uint8_t *l3;
    size_t l3_len;
    uint64_t now_ns;
};

// An IP packet that has passed the checks of its header; IPv4 addresses take the first 4 bytes.
struct ip_packet {
    uint16_t family;
    uint8_t src[IPV6_LEN];
    uint8_t dst[IPV6_LEN];
    uint8_t tos; // traffic class
    uint8_t hop_limit;
    uint8_t protocol; // of `payload`
    bool has_df;
    bool has_router_alert;
    bool has_fragment_header; // IPv6: also of a packet that is whole (RFC 6946)
    bool is_fragment;
    bool has_more;
    size_t fragment_offset;
    uint32_t fragment_id;
    size_t largest; // L3 length of the packet, or of its largest fragment
    const uint8_t *payload;
    size_t len;
};

struct reassembly {
    bool is_used;
    bool is_dead; // contradicted itself: swallows what else comes of it until the deadline
    struct l2_header l2;
    struct ip_packet packet; // the first fragment to come; its payload is not looked at
    uint64_t deadline_ns;
    uint64_t n_frames; // held, to be counted with the packet's fate
    size_t n_units;
    size_t end;       // of the furthest byte so far
    size_t total_len; // 0 = the last fragment has not been seen
    uint8_t seen[(FRAGMENT_UNITS_MAX + 7) / 8];
    uint8_t bytes[FRAGMENT_UNITS_MAX * FRAGMENT_UNIT];
};

enum reassembly_result { REASSEMBLY_HELD, REASSEMBLY_WHOLE, REASSEMBLY_REFUSED };

enum reply_kind { REPLY_NONE, REPLY_WHOLE, REPLY_IPV4, REPLY_IPV6 };

// What shortcut_next() is writing. WHOLE: `bytes` are all that follows the Ethernet header. IPV4, IPV6: `bytes` are the IP payload.
struct reply {
    enum reply_kind kind;
    struct l2_header l2;
    uint8_t src[IPV6_LEN];
    uint8_t dst[IPV6_LEN];
    uint8_t tos;
    bool has_df;
    uint32_t id;
    size_t l3_max;
    size_t len;
    size_t offset; // written so far
    uint8_t bytes[SHORTCUT_IP_MAX];
};

enum limit_kind { LIMIT_ECHO, LIMIT_NEIGHBOUR, LIMIT_KIND_COUNT };

struct limit {
    struct bucket sources[SHORTCUT_SOURCES];
    uint64_t total_full_ns[LIMIT_KIND_COUNT];
};

struct mld_state {
    uint64_t due_ns;          // answer to a query; NO_DEADLINE = none
    uint64_t v1_due_ns;       // the same for a querier that speaks MLDv1
    bool wants_join;          // write the report of a join
    bool wants_report;        // write the report that a query asked for
    uint16_t v1_reports_left; // bit per own address
    struct l2_header l2;      // of the last query: its tags go into the report
    struct l2_header v1_l2;
};

struct shortcut {
    struct shortcut_config config;
    enum shortcut_side side;
    struct counters *counters;
    uint8_t seed[16];
    uint64_t n_randoms;
    uint16_t next_ipv4_id;
    bool is_peer_up;
    struct own_address own[OWN_MAX];
    size_t n_own;
    bool has_link_local; // the last of own[]
    uint64_t next_ns;    // earliest of all deadlines
    uint64_t announce_ns;
    unsigned announcements_left;
    struct mld_state mld;
    bool has_conflict;
    struct shortcut_conflict conflict;
    struct limit limit;
    enum drop_reason refusal; // of the frame in hand, or NOT_DROPPED
    struct reply reply;
    struct reassembly reassemblies[SHORTCUT_REASSEMBLIES];
};

// shortcut.c
struct own_address *shortcut_find_own(struct shortcut *shortcut, uint16_t family, const uint8_t *ip);
bool shortcut_is_silent(const struct shortcut *shortcut);
// Is this frame unicast to us: to our own MAC address, or (`is_own_ip`) to that of the unbridged TAP?
bool shortcut_is_to_us(const struct shortcut *shortcut, const struct request *request, bool is_own_ip);
// May a frame from this MAC address be answered at all?
bool shortcut_is_good_mac(const struct shortcut *shortcut, const struct mac_address *mac);
uint64_t shortcut_random(struct shortcut *shortcut);
// Counts `n_frames` as taken (NOT_DROPPED) or under the reason.
enum shortcut_verdict shortcut_settle(struct shortcut *shortcut, enum drop_reason reason, uint64_t n_frames);
// The header of an answer to `request` (its tags, its EtherType), or of a frame without tags.
void shortcut_l2_answer(const struct shortcut *shortcut, const struct request *request, const struct mac_address *dst,
                        struct l2_header *l2);
void shortcut_l2_plain(const struct shortcut *shortcut, const struct mac_address *dst, uint16_t ether_type, struct l2_header *l2);
void shortcut_ipv6_group_mac(const uint8_t group[static IPV6_LEN], struct mac_address *mac);
// `mac` claims one of our addresses: records it; true = defend it now (not silent, not within 10 s of the last time).
bool shortcut_note_conflict(struct shortcut *shortcut, struct own_address *own, const struct mac_address *mac, uint64_t now_ns);
void shortcut_update_deadline(struct shortcut *shortcut);
// Nothing is announced or reported any more.
void shortcut_fall_silent(struct shortcut *shortcut);

// shortcut_settings.c
// Fills own[] from the configuration.
void shortcut_set_own(struct shortcut *shortcut);

// shortcut_arp.c
enum shortcut_verdict shortcut_arp_handle(struct shortcut *shortcut, const struct request *request);
size_t shortcut_arp_announcement(const struct shortcut *shortcut, const struct own_address *own, uint8_t out[static ARP_LEN]);

// shortcut_ipv4.c
enum shortcut_verdict shortcut_ipv4_handle(struct shortcut *shortcut, const struct request *request);
// Multicast, broadcast (also that of our own subnets), loopback, "this network": never answered. Our own are not looked for.
bool shortcut_ipv4_is_bad_source(const struct shortcut *shortcut, const uint8_t ip[static IPV4_LEN]);

// shortcut_ipv6.c
enum shortcut_verdict shortcut_ipv6_handle(struct shortcut *shortcut, const struct request *request);
// Steps over extension headers up to the payload or to a fragment header. False = malformed, or an option forbids to go on.
bool shortcut_ipv6_skip_extensions(struct ip_packet *packet);
bool shortcut_ipv6_is_bad_source(struct shortcut *shortcut, const uint8_t ip[static IPV6_LEN]);
bool shortcut_ipv6_is_checksum_good(const struct ip_packet *packet);
void shortcut_ipv6_header(uint8_t out[static IPV6_HEADER_LEN], size_t payload_len, uint8_t protocol, uint8_t hop_limit);
void shortcut_solicited_group(const uint8_t ip[static IPV6_LEN], uint8_t group[static IPV6_LEN]);

// shortcut_ndp.c
enum shortcut_verdict shortcut_ndp_solicitation(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet);
// True: it was a claim to one of our addresses, which is dealt with; the frame passes.
bool shortcut_ndp_advertisement(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet);
// Writes the unsolicited advertisement of `own` to all nodes: IPv6 header and all.
size_t shortcut_ndp_announcement(const struct shortcut *shortcut, const struct own_address *own,
                                 uint8_t out[static IPV6_HEADER_LEN + NDP_LEN + NDP_OPTION_LEN]);

// shortcut_mld.c
void shortcut_mld_init(struct shortcut *shortcut);
void shortcut_mld_query(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet);
void shortcut_mld_tick(struct shortcut *shortcut, uint64_t now_ns);
// The next report that is due, as a frame; 0 = none.
size_t shortcut_mld_next(struct shortcut *shortcut, uint8_t *out, size_t cap);

// shortcut_icmp.c
// A packet to one of our addresses: an echo request is answered, a fragment kept, all else refused.
enum shortcut_verdict shortcut_icmp_deliver(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet);

// shortcut_reassembly.c
enum reassembly_result shortcut_reassembly_add(struct shortcut *shortcut, const struct l2_header *l2, const struct ip_packet *packet,
                                               uint64_t now_ns, struct reassembly **whole);
// Gives up what is older than the timeout.
void shortcut_reassembly_tick(struct shortcut *shortcut, uint64_t now_ns);
// Gives up what is for an address that is not ours any more.
void shortcut_reassembly_forget_strange(struct shortcut *shortcut);

// shortcut_reply.c
// Makes `packet` (the request, whose payload is not looked at) the frame of reference for a reply with these bytes behind the IP header.
// Returns the number of frames that it will take.
size_t shortcut_reply_prepare(struct shortcut *shortcut, const struct l2_header *l2, const struct ip_packet *packet, size_t len);
void shortcut_reply_whole(struct shortcut *shortcut, const struct l2_header *l2, size_t len);
size_t shortcut_reply_next(struct shortcut *shortcut, uint8_t *out, size_t cap);

// shortcut_limit.c
// Takes `n_frames` out of the bucket of this source (any bytes that name it) and the common one; false = over the limit.
bool shortcut_limit_allows(struct shortcut *shortcut, enum limit_kind kind, const struct request *request, const struct ip_packet *packet,
                           size_t n_frames);

#endif
