// SPDX-License-Identifier: MIT
/*
 * source_limit: see the header. Token buckets in a hash table of small sets. The hash is keyed with a secret, so which sources share a set
 * is known to nobody; what takes places away from others is many sources, each of which has shown that it receives where it is.
 */
#include "ethercord/source_limit.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/clock.h"

enum { IPV6_SITE_LEN = 8, N_SETS = SOURCE_PLACES / SOURCE_WAYS };

_Static_assert(SOURCE_PLACES % SOURCE_WAYS == 0, "whole sets");
_Static_assert(sizeof((struct source_limit *)0)->secret == crypto_shorthash_KEYBYTES, "the secret is the key of the hash");

void source_limit_init(struct source_limit *limit, const uint8_t secret[static 16])
{
    memset(limit, 0, sizeof *limit);
    memcpy(limit->secret, secret, sizeof limit->secret);
}

bool bucket_take(uint64_t *full_ns, uint64_t every_ns, uint64_t burst, uint64_t now_ns)
{
    uint64_t from_ns = *full_ns > now_ns ? *full_ns : now_ns;

    if (from_ns - now_ns > (burst - 1) * every_ns)
        return false;
    *full_ns = from_ns + every_ns;
    return true;
}

// Whoever has an IPv6 address has 2^64 of them.
static uint64_t key_of(const struct source_limit *limit, const struct addr *from)
{
    uint8_t source[1 + IPV6_SITE_LEN] = {from->family == AF_INET6 ? 6 : 4};
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t key;

    memcpy(source + 1, from->ip, from->family == AF_INET6 ? IPV6_SITE_LEN : IPV4_LEN);
    crypto_shorthash(hash, source, sizeof source, limit->secret);
    memcpy(&key, hash, sizeof key);
    return key;
}

static struct source_bucket *find_bucket(struct source_limit *limit, uint64_t key)
{
    struct source_bucket *set = &limit->places[key % N_SETS * SOURCE_WAYS], *oldest = set;

    for (size_t i = 0; i < SOURCE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_ns < oldest->full_ns)
            oldest = &set[i];
    }
    *oldest = (struct source_bucket){.key = key};
    return oldest;
}

bool source_limit_take(struct source_limit *limit, const struct addr *from, uint64_t now_ns)
{
    struct source_bucket *bucket = find_bucket(limit, key_of(limit, from));
    uint64_t before_ns = bucket->full_ns;

    if (!bucket_take(&bucket->full_ns, NS_PER_S / SOURCE_PER_S, SOURCE_BURST, now_ns))
        return false;
    if (bucket_take(&limit->total_full_ns, NS_PER_S / SOURCES_PER_S, SOURCES_BURST, now_ns))
        return true;
    bucket->full_ns = before_ns;
    return false;
}
