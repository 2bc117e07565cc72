// SPDX-License-Identifier: MIT
/*
 * source_limit: see the header. What takes places of the table away from others is many sources, each of which has shown that it receives
 * where it is.
 */
#include "ethercord/source_limit.h"

#include <string.h>

#include "ethercord/clock.h"

enum { IPV6_SITE_LEN = 8 };

_Static_assert(SOURCE_PLACES % BUCKET_WAYS == 0, "whole sets");

void source_limit_init(struct source_limit *limit, const uint8_t secret[static BUCKET_SECRET_LEN])
{
    memset(limit, 0, sizeof *limit);
    memcpy(limit->secret, secret, sizeof limit->secret);
}

// Whoever has an IPv6 address has 2^64 of them.
static uint64_t key_of(const struct source_limit *limit, const struct addr *from)
{
    uint8_t source[1 + IPV6_SITE_LEN] = {from->family == AF_INET6 ? 6 : 4};

    memcpy(source + 1, from->ip, from->family == AF_INET6 ? IPV6_SITE_LEN : IPV4_LEN);
    return bucket_key(source, sizeof source, limit->secret);
}

bool source_limit_take(struct source_limit *limit, const struct addr *from, uint64_t now_ns)
{
    struct bucket *bucket = bucket_find(limit->places, SOURCE_PLACES, key_of(limit, from));
    const struct bucket_level source = {&bucket->full_ns, BUCKET_RATE(SOURCE_PER_S, SOURCE_BURST)};
    const struct bucket_level total = {&limit->total_full_ns, BUCKET_RATE(SOURCES_PER_S, SOURCES_BURST)};

    return bucket_take_both(&source, &total, 1, now_ns);
}
