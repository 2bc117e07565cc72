// SPDX-License-Identifier: MIT
/*
 * shortcut_limit: how much one source, and all together, may make the shortcut send.
 *
 * Token buckets as the generic cell rate algorithm: each bucket is one time, at which it will be full again; a frame moves it on by the
 * frame's share of a second, and is refused when that lies further ahead than the burst allows. Sources sit in a small table, hashed
 * under a secret salt, so that nobody can aim at somebody else's place. A new source takes the place that is longest unused: whoever
 * forges many sources gets many buckets, and runs into the common one.
 */
#include "shortcut_private.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/clock.h"

struct rate {
    uint64_t interval_ns; // per frame
    uint64_t depth_ns;    // of the full bucket
};

#define RATE(per_s, burst)                                                                                                                 \
    {                                                                                                                                      \
        NS_PER_S / (per_s), (NS_PER_S / (per_s)) * (burst)                                                                                 \
    }

static const struct rate source_rates[LIMIT_KIND_COUNT] = {
    [LIMIT_ECHO] = RATE(ECHO_SOURCE_PER_S, ECHO_SOURCE_BURST),
    [LIMIT_NEIGHBOUR] = RATE(NEIGHBOUR_SOURCE_PER_S, NEIGHBOUR_SOURCE_BURST),
};
static const struct rate total_rates[LIMIT_KIND_COUNT] = {
    [LIMIT_ECHO] = RATE(ECHO_TOTAL_PER_S, ECHO_TOTAL_BURST),
    [LIMIT_NEIGHBOUR] = RATE(NEIGHBOUR_TOTAL_PER_S, NEIGHBOUR_TOTAL_BURST),
};

_Static_assert(sizeof((struct shortcut *)0)->seed == crypto_shorthash_KEYBYTES, "the seed is the key of the hash");
_Static_assert(SHORTCUT_SOURCES % LIMIT_WAYS == 0, "whole sets");

static uint64_t fill(uint64_t full_ns, const struct rate *rate, size_t n_frames, uint64_t now_ns)
{
    return (full_ns > now_ns ? full_ns : now_ns) + n_frames * rate->interval_ns;
}

// Echo: by MAC and IP address, so that hosts behind one router don't share a bucket. Neighbour discovery: by MAC address alone.
static uint64_t source_key(const struct shortcut *shortcut, enum limit_kind kind, const struct request *request,
                           const struct ip_packet *packet)
{
    uint8_t name[1 + MAC_ADDRESS_LEN + IPV6_LEN] = {(uint8_t)kind};
    memcpy(name + 1, request->view.src.b, MAC_ADDRESS_LEN);
    if (kind == LIMIT_ECHO)
        memcpy(name + 1 + MAC_ADDRESS_LEN, packet->src, addr_ip_len(packet->family));
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t key;
    crypto_shorthash(hash, name, sizeof(name), shortcut->seed);
    memcpy(&key, hash, sizeof(key));
    return key;
}

static struct bucket *find_bucket(struct limit *limit, uint64_t key)
{
    struct bucket *set = &limit->sources[(key % (SHORTCUT_SOURCES / LIMIT_WAYS)) * LIMIT_WAYS];
    struct bucket *oldest = set;
    for (size_t i = 0; i < LIMIT_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_ns < oldest->full_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.key = key};
    return oldest;
}

bool shortcut_limit_allows(struct shortcut *shortcut, enum limit_kind kind, const struct request *request, const struct ip_packet *packet,
                           size_t n_frames)
{
    struct bucket *source = find_bucket(&shortcut->limit, source_key(shortcut, kind, request, packet));
    uint64_t *total = &shortcut->limit.total_full_ns[kind];
    uint64_t source_ns = fill(source->full_ns, &source_rates[kind], n_frames, request->now_ns);
    uint64_t total_ns = fill(*total, &total_rates[kind], n_frames, request->now_ns);
    if (source_ns - request->now_ns > source_rates[kind].depth_ns || total_ns - request->now_ns > total_rates[kind].depth_ns)
        return false;
    source->full_ns = source_ns;
    *total = total_ns;
    return true;
}
