// SPDX-License-Identifier: MIT
/*
 * checksum: see checksum.h.
 *
 * The one's complement sum does not care about byte order (RFC 1071 2 B) nor about the width of the words that are added, as 2^16 is 1
 * modulo 2^16 - 1. So bytes are added as 32-bit words in the machine's own order into 64-bit sums, which take 2^32 of them before they
 * could overflow; folding to 16 bits and swapping into network order come once, at the end.
 */
#include "ethercord/checksum.h"

#include <string.h>

#include "ethercord/bytes.h"

enum { WORD_LEN = 8 };

static uint16_t fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    return (uint16_t)sum;
}

static uint16_t from_native(uint16_t folded)
{
    uint8_t bytes[sizeof folded];
    memcpy(bytes, &folded, sizeof bytes);
    return load_be16(bytes);
}

static uint64_t load_native(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t len)
{
    uint64_t low = 0;
    uint64_t high = 0;
    for (; len >= WORD_LEN; bytes += WORD_LEN, len -= WORD_LEN) {
        uint64_t word = load_native(bytes);
        low += word & UINT32_MAX;
        high += word >> 32;
    }
    if (len > 0) {
        uint8_t tail[WORD_LEN] = {0};
        memcpy(tail, bytes, len);
        uint64_t word = load_native(tail);
        low += word & UINT32_MAX;
        high += word >> 32;
    }
    return sum + from_native(fold(low)) + from_native(fold(high));
}

uint16_t checksum_finish(uint64_t sum)
{
    return (uint16_t)~fold(sum);
}

uint16_t checksum_replace(uint16_t sum, uint16_t old_word, uint16_t new_word)
{
    return fold((uint64_t)sum + (uint16_t)~old_word + new_word);
}

uint64_t checksum_pseudo_ipv4(const uint8_t src[static 4], const uint8_t dst[static 4], uint8_t protocol, uint32_t len)
{
    return checksum_add(checksum_add((uint64_t)protocol + len, src, 4), dst, 4);
}

uint64_t checksum_pseudo_ipv6(const uint8_t src[static 16], const uint8_t dst[static 16], uint8_t protocol, uint32_t len)
{
    return checksum_add(checksum_add((uint64_t)protocol + len, src, 16), dst, 16);
}
