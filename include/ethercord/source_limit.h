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
#include "ethercord/bucket.h"

// Tuning constants.
enum {
    SOURCE_PER_S = 20, // for one source …
    SOURCE_BURST = 5,
    SOURCES_PER_S = 500, // … and for all together: some 5 to 10 % of one CPU
    SOURCES_BURST = 50,
    SOURCE_PLACES = 1024
};

struct source_limit {
    uint8_t secret[BUCKET_SECRET_LEN]; // nobody can aim at somebody else's place
    uint64_t total_full_ns;
    struct bucket places[SOURCE_PLACES];
};

// `secret`: random.
void source_limit_init(struct source_limit *limit, const uint8_t secret[static BUCKET_SECRET_LEN]);
// Whether `from` may begin one more handshake now; if so it is counted, else nothing changes.
bool source_limit_take(struct source_limit *limit, const struct addr *from, uint64_t now_ns) __attribute__((warn_unused_result));

#endif
