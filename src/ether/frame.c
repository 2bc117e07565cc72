// SPDX-License-Identifier: MIT
/*
 * frame: see frame.h.
 *
 * Only the Ethernet header and the VLAN tags behind it are read. A wrong guess here must not lose a frame: whatever can't be parsed
 * further is reported under the type where the parsing stopped, and crosses as it is.
 */
#include "ethercord/frame.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/bytes.h"

enum {
    ETHER_TYPE_OFFSET = 2 * MAC_ADDRESS_LEN,
    ETHER_TYPE_OLD_QINQ = 0x9100, // stacked tags before IEEE 802.1ad
    MAC_GROUP_BIT = 0x01,         // of the first byte
    MAC_LOCAL_BIT = 0x02
};

static const struct mac_address mac_pause = {{0x01, 0x80, 0xc2, 0x00, 0x00, 0x01}};
static const char mac_label[] = "ethercord 1 shortcut";

static bool is_tag(uint16_t ether_type)
{
    return ether_type == ETHER_TYPE_VLAN || ether_type == ETHER_TYPE_QINQ || ether_type == ETHER_TYPE_OLD_QINQ;
}

bool frame_parse(struct frame_view *view, const uint8_t *bytes, size_t len)
{
    if (len < ETHER_HEADER_LEN)
        return false;
    *view = (struct frame_view){.bytes = bytes, .len = len, .l3_offset = ETHER_HEADER_LEN};
    memcpy(view->dst.b, bytes, MAC_ADDRESS_LEN);
    memcpy(view->src.b, bytes + MAC_ADDRESS_LEN, MAC_ADDRESS_LEN);
    view->ether_type = load_be16(bytes + ETHER_TYPE_OFFSET);
    while (is_tag(view->ether_type) && view->n_tags < FRAME_VLAN_TAGS_MAX && len - view->l3_offset >= VLAN_TAG_LEN) {
        view->l3_offset += VLAN_TAG_LEN;
        view->ether_type = load_be16(bytes + view->l3_offset - 2);
        view->n_tags++;
    }
    return true;
}

bool frame_is_link_local_control(const struct frame_view *view)
{
    return mac_equal(&view->dst, &mac_pause) || view->ether_type == ETHER_TYPE_MAC_CONTROL;
}

bool mac_is_group(const struct mac_address *mac)
{
    return (mac->b[0] & MAC_GROUP_BIT) != 0;
}

bool mac_is_zero(const struct mac_address *mac)
{
    static const struct mac_address zero;
    return mac_equal(mac, &zero);
}

bool mac_equal(const struct mac_address *a, const struct mac_address *b)
{
    return memcmp(a->b, b->b, MAC_ADDRESS_LEN) == 0;
}

void mac_derive(struct mac_address *mac, const uint8_t public_key[static 32])
{
    // libsodium hashes to 16 bytes at least; the address is the beginning of the shortest hash.
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)mac_label, sizeof mac_label - 1);
    crypto_generichash_update(&state, public_key, 32);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(mac->b, hash, MAC_ADDRESS_LEN);
    mac->b[0] = (uint8_t)((mac->b[0] | MAC_LOCAL_BIT) & ~MAC_GROUP_BIT);
}

size_t frame_max_len(uint16_t mtu, uint8_t n_tags)
{
    return (size_t)mtu + ETHER_HEADER_LEN + VLAN_TAG_LEN + (n_tags > 0 ? VLAN_TAG_LEN : 0);
}
