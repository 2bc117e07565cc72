// SPDX-License-Identifier: MIT
/*
 * frame: what an Ethernet frame says about itself: addresses, VLAN tags, EtherType. No more than that: what is unknown is opaque.
 */
#ifndef ETHERCORD_FRAME_H
#define ETHERCORD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"

enum {
    ETHER_HEADER_LEN = 14,
    VLAN_TAG_LEN = 4,
    FRAME_VLAN_TAGS_MAX = 8, // deeper ones are left unparsed (opaque)
    TAP_MTU_MIN = 576,
    TAP_MTU_MAX = 9000,
    TAP_MTU_DEFAULT = 1500,
    // A frame may carry tags beyond its MTU (two of them, as a Linux bridge lets pass: see frame_max_len()).
    FRAME_EXTRA = ETHER_HEADER_LEN + 2 * VLAN_TAG_LEN,
    FRAME_MAX = TAP_MTU_MAX + FRAME_EXTRA
};

enum ether_type {
    ETHER_TYPE_IPV4 = 0x0800,
    ETHER_TYPE_ARP = 0x0806,
    ETHER_TYPE_VLAN = 0x8100,
    ETHER_TYPE_QINQ = 0x88a8,
    ETHER_TYPE_IPV6 = 0x86dd,
    ETHER_TYPE_MAC_CONTROL = 0x8808
};

struct frame_view {
    const uint8_t *bytes;
    size_t len;
    struct mac_address dst;
    struct mac_address src;
    uint16_t ether_type; // behind the tags; a value below 0x0600 is an 802.3 length
    uint8_t n_tags;
    size_t l3_offset; // where what ether_type names begins; <= len
};

// False when there is no whole Ethernet header. Tags that are cut off end the parsing: ether_type is then the tag's own.
bool frame_parse(struct frame_view *view, const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));
// PAUSE (destination 01-80-C2-00-00-01) and MAC control (EtherType 0x8808, first or behind tags): they belong to one link and never cross.
bool frame_is_link_local_control(const struct frame_view *view);
bool mac_is_group(const struct mac_address *mac); // multicast or broadcast
bool mac_is_zero(const struct mac_address *mac);
bool mac_equal(const struct mac_address *a, const struct mac_address *b);
// The shortcut's own address: from the public key, locally administered, never a group address.
void mac_derive(struct mac_address *mac, const uint8_t public_key[static 32]);
// Length of the largest frame that gets through a TAP of this MTU: mtu + 18, and mtu + 22 with one tag or more. A bare TAP takes longer
// ones; the limit is what a Linux bridge passes, which is MTU + 14 + 4 not counting the outermost tag. Measured at MTU 1500: 1518 untagged
// and 1522 with one or two tags pass, 1519 untagged and 1526 with two vanish silently. (A sender that keeps to the MTU makes 1514, or 1518
// with a tag.) The bridge knows 0x8100 and 0x88a8 only: behind another outermost tag it passes MTU + 18.
size_t frame_max_len(uint16_t mtu, uint8_t n_tags);

#endif
