// SPDX-License-Identifier: MIT
/*
 * shortcut: frames from either side, with its addresses filled in and their checksums made right where the input says so, for else hardly
 * one would get past them. Whatever it sends is a frame of its own with right checksums, to nobody's group address in answer to a request,
 * and no more of it than has come.
 */
#include "ethercord/shortcut.h"

#include "ethercord/checksum.h"
#include "ethercord/clock.h"
#include "ethercord/packet.h"
#include "fuzz.h"

enum { FRAME_CAP = 4096, MTU = 600 };

static const uint8_t own_v4[4] = {10, 9, 0, 251};
static const uint8_t own_v6[16] = {0xfd, 0, 0, 9, [14] = 0x02, [15] = 0x51};
static const uint8_t own_group[16] = {0xff, 0x02, [11] = 1, 0xff, 0, 0x02, 0x51};
static const uint8_t own_mac[6] = {0x02, 0xec, 0, 0, 0, 1};
static const uint8_t tap_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const struct mac_address group_mac = {{0x33, 0x33, 0xff, 0, 0x02, 0x51}};

struct bench {
    struct shortcut *shortcut;
    struct counters counters;
    uint64_t now_ns;
    bool is_peer_up;
};

static void begin(struct bench *bench, struct reader *in)
{
    static const uint8_t seed[16] = {7};
    uint8_t how = reader_u8(in);
    struct shortcut_config config = {
        .answer = how & 1 ? SHORTCUT_ANSWER_PEER_UP : SHORTCUT_ANSWER_ALWAYS, .has_tap_mac = how & 2, .mtu = MTU};

    memcpy(config.mac.b, own_mac, sizeof own_mac);
    memcpy(config.tap_mac.b, tap_mac, sizeof tap_mac);
    ensure(cidr_parse("10.9.0.251/24", &config.addresses[0]) && cidr_parse("fd00:0:0:9::251/64", &config.addresses[1]));
    memcpy(config.addresses[1].ip, own_v6, sizeof own_v6);
    config.n_addresses = how & 4 ? 0 : 2;
    struct shortcut *shortcut = bench->shortcut ? bench->shortcut : aligned_alloc(16, (shortcut_size() + 15) / 16 * 16);
    ensure(shortcut);
    memset(shortcut, 0, shortcut_size());
    *bench = (struct bench){.shortcut = shortcut, .now_ns = 1000 * NS_PER_S};
    shortcut_init(shortcut, &config, how & 8 ? SHORTCUT_PEER : SHORTCUT_TAP, &bench->counters, seed);
}

static uint16_t icmp_sum(const uint8_t *ip, const uint8_t *icmp, size_t len, bool is_v6)
{
    uint64_t pseudo = is_v6 ? checksum_pseudo_ipv6(ip + IPV6_SOURCE_AT, ip + IPV6_SOURCE_AT + 16, IPPROTO_ICMPV6, (uint32_t)len) : 0;

    return checksum_finish(checksum_add(pseudo, icmp, len));
}

static void repair_ipv4(uint8_t *ip, size_t len)
{
    size_t header_len = (ip[0] & 15U) * 4;

    if (header_len < IPV4_HEADER_MIN || header_len > len)
        return;
    memcpy(ip + IPV4_SOURCE_AT + 4, own_v4, sizeof own_v4);
    if (load_be16(ip + IPV4_LEN_AT) < header_len || load_be16(ip + IPV4_LEN_AT) > len)
        store_be16(ip + IPV4_LEN_AT, (uint16_t)len);
    store_be16(ip + IPV4_CHECKSUM_AT, 0);
    store_be16(ip + IPV4_CHECKSUM_AT, checksum_finish(checksum_add(0, ip, header_len)));
    size_t icmp_len = load_be16(ip + IPV4_LEN_AT) - header_len;
    if (ip[IPV4_PROTOCOL_AT] != IPPROTO_ICMP || icmp_len < 8 || load_be16(ip + IPV4_FRAGMENT_AT) & 0x3fff)
        return;
    store_be16(ip + header_len + 2, 0);
    store_be16(ip + header_len + 2, icmp_sum(ip, ip + header_len, icmp_len, false));
}

static void repair_ipv6(uint8_t *ip, size_t len, uint8_t how)
{
    memcpy(ip + IPV6_SOURCE_AT + 16, how & 1 ? own_group : own_v6, 16);
    if (load_be16(ip + IPV6_LEN_AT) > len - IPV6_HEADER_LEN)
        store_be16(ip + IPV6_LEN_AT, (uint16_t)(len - IPV6_HEADER_LEN));
    uint8_t *icmp = ip + IPV6_HEADER_LEN, next = ip[IPV6_NEXT_AT];
    size_t icmp_len = load_be16(ip + IPV6_LEN_AT);
    if ((next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS) && icmp_len >= 16) {
        next = icmp[0];
        size_t options_len = 8 + 8U * icmp[1];
        if (options_len + 8 > icmp_len)
            return;
        icmp += options_len;
        icmp_len -= options_len;
    }
    if (next != IPPROTO_ICMPV6 || icmp_len < 8)
        return;
    store_be16(icmp + 2, 0);
    store_be16(icmp + 2, icmp_sum(ip, icmp, icmp_len, true));
}

// Makes a frame to the shortcut of it.
static void repair(uint8_t *bytes, size_t len, uint8_t how)
{
    struct frame_view view;

    if (how & 2)
        memcpy(bytes, how & 4 ? tap_mac : how & 1 ? group_mac.b : own_mac, 6);
    if (!frame_parse(&view, bytes, len))
        return;
    uint8_t *l3 = bytes + view.l3_offset;
    size_t left = len - view.l3_offset;
    if (view.ether_type == ETHER_TYPE_IPV4 && left >= IPV4_HEADER_MIN)
        repair_ipv4(l3, left);
    else if (view.ether_type == ETHER_TYPE_IPV6 && left >= IPV6_HEADER_LEN)
        repair_ipv6(l3, left, how);
    else if (view.ether_type == ETHER_TYPE_ARP && left >= 28)
        memcpy(l3 + 24, own_v4, sizeof own_v4);
}

static void check_ipv6(const uint8_t *ip, size_t len)
{
    size_t at = IPV6_HEADER_LEN, end = at + load_be16(ip + IPV6_LEN_AT);
    uint8_t next = ip[IPV6_NEXT_AT];

    ensure(end <= len);
    if (next == IPPROTO_HOPOPTS) { // of MLD
        next = ip[at];
        at += 8 + 8U * ip[at + 1];
    }
    if (next == IPPROTO_ICMPV6)
        ensure(icmp_sum(ip, ip + at, end - at, true) == 0);
    else
        ensure(next == IPPROTO_FRAGMENT);
}

static void check_sent(const uint8_t *bytes, size_t len)
{
    struct frame_view view;

    ensure(frame_parse(&view, bytes, len) && len <= MTU + FRAME_EXTRA + (FRAME_VLAN_TAGS_MAX - 2) * VLAN_TAG_LEN);
    ensure(memcmp(view.src.b, own_mac, 6) == 0 || memcmp(view.src.b, tap_mac, 6) == 0);
    const uint8_t *l3 = bytes + view.l3_offset;
    size_t left = len - view.l3_offset;
    if (view.ether_type == ETHER_TYPE_IPV4) {
        ensure(left >= load_be16(l3 + IPV4_LEN_AT) && memcmp(l3 + IPV4_SOURCE_AT, own_v4, 4) == 0 && !mac_is_group(&view.dst));
        ensure(checksum_finish(checksum_add(0, l3, (l3[0] & 15U) * 4)) == 0);
        if ((load_be16(l3 + IPV4_FRAGMENT_AT) & 0x3fff) == 0)
            ensure(icmp_sum(l3, l3 + (l3[0] & 15U) * 4, load_be16(l3 + IPV4_LEN_AT) - (l3[0] & 15U) * 4, false) == 0);
    } else if (view.ether_type == ETHER_TYPE_IPV6) {
        check_ipv6(l3, left);
    } else {
        ensure(view.ether_type == ETHER_TYPE_ARP && left >= 28 && memcmp(l3 + 14, own_v4, 4) == 0);
    }
}

// Takes all that it has to say.
static size_t listen_to(struct bench *bench)
{
    uint8_t *out = malloc(FRAME_MAX);
    size_t len, n = 0;
    struct shortcut_conflict conflict;

    ensure(out);
    for (; (len = shortcut_next(bench->shortcut, out, FRAME_MAX)) > 0; n++)
        check_sent(out, len);
    (void)shortcut_take_conflict(bench->shortcut, &conflict);
    free(out);
    return n;
}

static void hear(struct bench *bench, struct reader *in)
{
    uint8_t how = reader_u8(in);
    struct fuzz_chunk chunk = fuzz_chunk(in, FRAME_CAP);

    if (how & 0x80 && chunk.len >= ETHER_HEADER_LEN)
        repair(chunk.bytes, chunk.len, how);
    uint8_t *before = fuzz_copy(chunk.bytes, chunk.len);
    uint64_t n_sent = bench->counters.traffic[COUNT_SHORTCUT_SENT];
    enum shortcut_verdict verdict = shortcut_handle(bench->shortcut, chunk.bytes, chunk.len, bench->is_peer_up, bench->now_ns);
    ensure(verdict == SHORTCUT_PASS || verdict == SHORTCUT_TAKEN);
    ensure(memcmp(before, chunk.bytes, chunk.len) == 0);
    (void)n_sent;
    (void)listen_to(bench);
    free(before);
    free(chunk.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    struct reader in = reader_of(data, size);

    begin(&bench, &in);
    while (in.left > 0 && !in.is_short)
        switch (reader_u8(&in) % 8) {
        case 0:
            bench.now_ns += reader_u8(&in) * (50 * NS_PER_MS);
            break;
        case 1:
            shortcut_announce(bench.shortcut, bench.now_ns);
            break;
        case 2:
            (void)shortcut_tick(bench.shortcut, bench.now_ns);
            (void)listen_to(&bench);
            break;
        case 3:
            bench.is_peer_up = !bench.is_peer_up;
            break;
        default:
            hear(&bench, &in);
        }
    return 0;
}
