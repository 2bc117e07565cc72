// SPDX-License-Identifier: MIT
/*
 * ecn: see ecn.h.
 */
#include "ethercord/ecn.h"

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/packet.h"

enum { IPV4_FIRST_MIN = 0x45, IPV4_FIRST_MAX = 0x4f }; // version 4, and a header of 20 to 60 bytes
enum { IPV6_ECN_AT = 1, IPV6_ECN_SHIFT = 4 };          // IPv6: the traffic class lies across two bytes

// By the packet's own first byte, too: whatever else has come under that EtherType crosses as it is.
static bool is_ipv4(const struct frame_view *frame)
{
    const uint8_t *ip = frame->bytes + frame->l3_offset;

    return frame->ether_type == ETHER_TYPE_IPV4 && frame->len - frame->l3_offset >= IPV4_HEADER_MIN && ip[0] >= IPV4_FIRST_MIN &&
           ip[0] <= IPV4_FIRST_MAX;
}

static bool is_ipv6(const struct frame_view *frame)
{
    return frame->ether_type == ETHER_TYPE_IPV6 && frame->len - frame->l3_offset >= IPV6_HEADER_LEN &&
           frame->bytes[frame->l3_offset] >> 4 == 6;
}

enum ecn ecn_of(const struct frame_view *frame)
{
    const uint8_t *ip = frame->bytes + frame->l3_offset;

    if (is_ipv4(frame))
        return (enum ecn)(ip[IPV4_TOS_AT] & ECN_MASK);
    if (is_ipv6(frame))
        return (enum ecn)(ip[IPV6_ECN_AT] >> IPV6_ECN_SHIFT & ECN_MASK);
    return ECN_NOT_ECT;
}

bool ecn_decapsulate(enum ecn *inner, enum ecn outer)
{
    if (outer == ECN_CE) {
        if (*inner == ECN_NOT_ECT)
            return false;
        *inner = ECN_CE;
    } else if (outer == ECN_ECT1 && *inner == ECN_ECT0) {
        *inner = ECN_ECT1;
    }
    return true;
}

void ecn_set(const struct frame_view *frame, uint8_t *bytes, enum ecn ecn)
{
    uint8_t *ip = bytes + frame->l3_offset;

    if (frame->ether_type == ETHER_TYPE_IPV6) {
        ip[IPV6_ECN_AT] = (uint8_t)((ip[IPV6_ECN_AT] & ~((unsigned)ECN_MASK << IPV6_ECN_SHIFT)) | (unsigned)ecn << IPV6_ECN_SHIFT);
        return;
    }
    // The checksum is moved by the difference, not made anew: a wrong one stays wrong.
    uint16_t before = load_be16(ip);
    ip[IPV4_TOS_AT] = (uint8_t)((ip[IPV4_TOS_AT] & ~(unsigned)ECN_MASK) | (unsigned)ecn);
    uint16_t sum = checksum_replace((uint16_t)~load_be16(ip + IPV4_CHECKSUM_AT), before, load_be16(ip));
    store_be16(ip + IPV4_CHECKSUM_AT, (uint16_t)~sum);
}
