// SPDX-License-Identifier: MIT
/*
 * speed: what one core of this CPU does per cipher and frame size, and which cipher `Cipher = auto` takes here.
 *
 * Measures the work on a data message (header, AEAD, replay window), not the system calls around it: an upper bound of what a node does,
 * and the way to compare ciphers and CPUs. Keys are random and made for this. Needs no privileges and no network.
 */
#ifndef ETHERCORD_CLI_SPEED_H
#define ETHERCORD_CLI_SPEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ethercord/aead.h"

enum {
    SPEED_SCHEMA = 1,
    SPEED_SIZES = 9,
    SPEED_FULL_FRAME = 1431, // bytes: the longest frame that is one datagram on an IPv4 path of 1500 bytes
    SPEED_SECONDS_DEFAULT = 2,
    SPEED_SECONDS_MAX = 60,
    SPEED_JSON_FLAGS = JSON_INDENT(2) | JSON_REAL_PRECISION(12) // without the noise of the last digits of a double
};

struct speed_row {
    uint16_t frame_len; // bytes, as the TAP gives it: without the FCS
    double seal_ns;     // per frame, the median of all rounds; more than 0
    double open_ns;
};

struct speed {
    uint16_t ciphers;                                 // set (1 << enum cipher) of those that were measured: the ones that this CPU can do
    struct speed_row rows[CIPHER_COUNT][SPEED_SIZES]; // by ascending length; zeros for a cipher that is not in the set
};

// From the text of --seconds; NULL = the default. False if it is no number from 1 to SPEED_SECONDS_MAX.
bool speed_parse_seconds(const char *text, unsigned *seconds);
// Of `n` >= 1 values; sorts them.
double speed_median(double *values, size_t n);
// Takes about `budget_ns` of CPU time. False when there is no memory.
bool speed_measure(struct speed *speed, uint64_t budget_ns) __attribute__((warn_unused_result));
// What costs the least, sealing plus opening, in full datagrams; the choice of `auto` unless another one is clearly better.
enum cipher speed_fastest(const struct speed *speed);
// The document of docs/configuration.md#speed; NULL when there is no memory.
json_t *speed_document(const struct speed *speed);
void speed_print(const struct speed *speed, FILE *out);

#endif
