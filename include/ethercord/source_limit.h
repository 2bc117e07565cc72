// SPDX-License-Identifier: MIT
/*
 * source_limit: how many handshakes one source may begin, and all sources together. For sources that have shown by a cookie that they
 * receive at their address; of others an address says nothing, and a limit would only be a way to shut somebody out in his own name.
 *
 * Fixed memory. A source is an IPv4 address or an IPv6 /64, whatever the port. Nobody is ever refused because the table is full: a new
 * source takes the place of one that has been silent for longer. No clock: the time is an argument (boot-time ns).
 */
#ifndef ETHERCORD_SOURCE_LIMIT_H
#define ETHERCORD_SOURCE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"

// Tuning constants.
enum {
    SOURCE_PER_S = 20, // for one source …
    SOURCE_BURST = 5,
    SOURCES_PER_S = 500, // … and for all together: some 5 to 10 % of one CPU
    SOURCES_BURST = 50,
    SOURCE_PLACES = 1024, // with WAYS in a set
    SOURCE_WAYS = 4
};

struct source_bucket {
    uint64_t key;     // hash of the source; 0 with full_ns 0 = free
    uint64_t full_ns; // when it will be full again
};
struct source_limit {
    uint8_t secret[16]; // nobody can aim at somebody else's place
    uint64_t total_full_ns;
    struct source_bucket places[SOURCE_PLACES];
};

// `secret`: random.
void source_limit_init(struct source_limit *limit, const uint8_t secret[static 16]);
// Whether `from` may begin one more handshake now; if so it is counted, else nothing changes.
bool source_limit_take(struct source_limit *limit, const struct addr *from, uint64_t now_ns) __attribute__((warn_unused_result));

// A token bucket as a moment, the time when it will be full again. Takes a token, of which one comes back each `every_ns`, if there
// were no more than `burst` taken lately.
bool bucket_take(uint64_t *full_ns, uint64_t every_ns, uint64_t burst, uint64_t now_ns) __attribute__((warn_unused_result));

#endif
