// SPDX-License-Identifier: MIT
/*
 * fuzz_packets: packets of a shape that the input tells, by the builder of the unit tests, and then damaged at places of its choosing.
 */
#ifndef ETHERCORD_TESTS_FUZZ_PACKETS_H
#define ETHERCORD_TESTS_FUZZ_PACKETS_H

#include "fuzz.h"

#include "../unit/test_packets.h"

static inline void fuzz_recipe(struct reader *in, struct recipe *recipe, size_t payload_max)
{
    uint8_t shape = reader_u8(in);

    *recipe = (struct recipe){
        .version = shape & 1 ? 4 : 6,
        .protocol = shape & 2 ? IPPROTO_UDP : IPPROTO_TCP,
        .n_tags = shape >> 2 & 3,
        .ip_words = shape & 0x10 ? 2 : 0,
        .tcp_words = shape & 0x20 ? 3 : 0,
        .tos = reader_u8(in),
        .flags = reader_u8(in),
        .id = reader_le16(in),
        .sequence = reader_le32(in),
    };
    if (shape & 0x40 && recipe->version == 6)
        recipe->extensions[recipe->n_extensions++] = (struct extension){.type = 60, .blocks = reader_u8(in) % 4};
    recipe->payload_len = reader_le16(in) % payload_max;
}

// Changes up to 7 bytes of the first `len`; false when there was none.
static inline bool fuzz_damage(struct reader *in, uint8_t *bytes, size_t len)
{
    bool has_changed = false;

    for (uint8_t n = reader_u8(in) % 8; n > 0 && len > 0; n--) {
        size_t at = reader_u8(in) % len;
        uint8_t flip = reader_u8(in);
        bytes[at] ^= flip;
        has_changed = has_changed || flip != 0;
    }
    return has_changed;
}

#endif
