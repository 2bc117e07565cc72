// SPDX-License-Identifier: MIT
/*
 * checksum: the Internet checksum (RFC 1071) and its pseudo-headers (RFC 9293 3.1, RFC 8200 8.1).
 */
#ifndef ETHERCORD_CHECKSUM_H
#define ETHERCORD_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// One's complement sum of big-endian 16-bit words on top of `sum`; an odd last byte counts as the high one. Only the last piece of a
// message may have an odd length.
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t len);
// Folds and complements. Over bytes that contain a right checksum the result is 0.
uint16_t checksum_finish(uint64_t sum);
// A sum (not complemented) in which one 16-bit word changes (RFC 1624).
uint16_t checksum_replace(uint16_t sum, uint16_t old_word, uint16_t new_word);
// The pseudo-header of IPv4 (4-byte addresses) or IPv6 (16-byte addresses).
uint64_t checksum_pseudo_ipv4(const uint8_t src[static 4], const uint8_t dst[static 4], uint8_t protocol, uint32_t len);
uint64_t checksum_pseudo_ipv6(const uint8_t src[static 16], const uint8_t dst[static 16], uint8_t protocol, uint32_t len);

#endif
