// SPDX-License-Identifier: MIT
/*
 * shortcut_limit: how much one source, and all together, may make the shortcut send.
 *
 * A bucket for each source, in a table, and one for all: whoever forges many sources gets many buckets, and runs into the common one.
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/clock.h"

static const struct bucket_rate source_rates[LIMIT_KIND_COUNT] = {
    [LIMIT_ECHO] = {NS_PER_S / ECHO_SOURCE_PER_S, ECHO_SOURCE_BURST},
    [LIMIT_NEIGHBOUR] = {NS_PER_S / NEIGHBOUR_SOURCE_PER_S, NEIGHBOUR_SOURCE_BURST},
};
static const struct bucket_rate total_rates[LIMIT_KIND_COUNT] = {
    [LIMIT_ECHO] = {NS_PER_S / ECHO_TOTAL_PER_S, ECHO_TOTAL_BURST},
    [LIMIT_NEIGHBOUR] = {NS_PER_S / NEIGHBOUR_TOTAL_PER_S, NEIGHBOUR_TOTAL_BURST},
};

_Static_assert(sizeof((struct shortcut *)0)->seed == BUCKET_SECRET_LEN, "the seed is the key of the hash");
_Static_assert(SHORTCUT_SOURCES % BUCKET_WAYS == 0, "whole sets");

// Echo: by MAC and IP address, so that hosts behind one router don't share a bucket. Neighbour discovery: by MAC address alone.
static uint64_t source_key(const struct shortcut *shortcut, enum limit_kind kind, const struct request *request,
                           const struct ip_packet *packet)
{
    uint8_t name[1 + MAC_ADDRESS_LEN + IPV6_LEN] = {(uint8_t)kind};
    memcpy(name + 1, request->view.src.b, MAC_ADDRESS_LEN);
    if (kind == LIMIT_ECHO)
        memcpy(name + 1 + MAC_ADDRESS_LEN, packet->src, addr_ip_len(packet->family));
    return bucket_key(name, sizeof name, shortcut->seed);
}

bool shortcut_limit_allows(struct shortcut *shortcut, enum limit_kind kind, const struct request *request, const struct ip_packet *packet,
                           size_t n_frames)
{
    struct limit *limit = &shortcut->limit;
    struct bucket *bucket = bucket_find(limit->sources, SHORTCUT_SOURCES, source_key(shortcut, kind, request, packet));
    const struct bucket_level source = {&bucket->full_ns, source_rates[kind]};
    const struct bucket_level total = {&limit->total_full_ns[kind], total_rates[kind]};

    return bucket_take_both(&source, &total, n_frames, request->now_ns);
}
