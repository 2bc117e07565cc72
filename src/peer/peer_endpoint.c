// SPDX-License-Identifier: MIT
/*
 * peer_endpoint: where a peer is, and how it may move.
 *
 * A new address is a candidate until a probe's token, sent only there, comes back. Until then it gets no more than three times the bytes
 * that came from it, and all of it is sent to the old endpoint too: whoever forwards our peer's datagrams from elsewhere takes nothing
 * away from it, and can't aim much at a victim. First come the probes. What is left, for a second, is for copies of what goes to the old
 * endpoint: a peer that has moved for good misses what was sent before we heard of it, and nothing else.
 */
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/drop.h"
#include "peer_private.h"

enum {
    PROBES_KEPT = 4 // room for so many more of them before anything is shared
};
// An answer that takes longer is not coming. Then the next candidates get nothing but probes for a while.
#define SHARE_NS NS_PER_S
#define SHARE_AGAIN_NS (10 * NS_PER_S)

static void end_sharing(struct peer *peer, struct peer_acts *acts)
{
    if (peer->candidate.is_sharing)
        peer_act_add(acts, PEER_ACT_SHARE)->u.share = (struct peer_share){.n_bytes = 0};
    peer->candidate.is_sharing = false;
}

static void end_candidate(struct peer *peer, struct peer_acts *acts)
{
    end_sharing(peer, acts);
    peer->candidate.is_active = false;
}

void peer_use_endpoint(struct peer *peer, const struct endpoint *endpoint, struct peer_acts *acts)
{
    bool is_known_path = peer->has_endpoint && addr_equal(&peer->endpoint.remote, &endpoint->remote);

    end_candidate(peer, acts);
    peer->is_cut_off = false;
    if (peer->has_endpoint && endpoint_equal(&peer->endpoint, endpoint))
        return;
    peer->has_endpoint = true;
    peer->endpoint = *endpoint;
    if (!is_known_path) {
        peer_path_restart(peer);
        quality_forget_rtt(&peer->quality);
    }
    peer_act_add(acts, PEER_ACT_SET_ENDPOINT)->u.endpoint = *endpoint;
}

const struct addr *peer_target(const struct peer *peer, size_t wanted)
{
    if (peer->has_endpoint && wanted-- == 0)
        return &peer->endpoint.remote;
    for (size_t i = 0; i < peer->n_addresses; i++)
        if (!(peer->has_endpoint && addr_equal(&peer->addresses[i], &peer->endpoint.remote)) && wanted-- == 0)
            return &peer->addresses[i];
    return NULL;
}

size_t peer_n_targets(const struct peer *peer)
{
    size_t n = 0;

    while (peer_target(peer, n))
        n++;
    return n;
}

// While the peer is heard, it is where it is.
static bool is_searching(const struct peer *peer)
{
    return !peer->has_endpoint || !peer->is_up || peer->is_cut_off || peer_wants_to_move(peer);
}

unsigned peer_n_rounds(const struct peer *peer)
{
    return is_searching(peer) ? peer->n_attempts / (unsigned)peer_n_targets(peer) : peer->n_attempts;
}

bool peer_choose_target(struct peer *peer, struct endpoint *target)
{
    size_t n = peer_n_targets(peer);
    if (n == 0)
        return false;

    size_t pick = is_searching(peer) ? peer->next_target++ % n : 0;
    if (pick == 0 && peer_wants_to_move(peer)) // where it is it would answer, and stay
        pick = peer->next_target++ % n;
    if (pick == 0 && peer->has_endpoint && peer->n_attempts == 0)
        *target = peer->endpoint;
    else // without its source: perhaps it is our own address that is no good any more, and the kernel knows a better one
        *target = (struct endpoint){.remote = *peer_target(peer, pick)};
    peer->tried = target->remote;
    return true;
}

void peer_unreachable(struct peer *peer, const struct peer_input *input)
{
    if (!peer->is_up || peer->is_cut_off || peer_n_targets(peer) < 2)
        return;
    peer->is_cut_off = true;
    peer->next_target = 1;
    peer->retry_ns = input->now_ns;
}

// Of the outer packet: what comes and what goes may differ in length, and short ones are mostly headers.
static uint64_t probe_bytes(const struct peer_candidate *candidate)
{
    return WIRE_TOKEN_MESSAGE_LEN + addr_headers_len(&candidate->at.remote);
}

void peer_probe_candidate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_candidate *candidate = &peer->candidate;

    if (!candidate->is_active || !peer->current.is_used)
        return;
    if (candidate->probed_ns && input->now_ns < candidate->probed_ns + peer->config.timing.probe_every_ns)
        return;
    if (candidate->bytes_sent + probe_bytes(candidate) > WIRE_AMPLIFICATION_MAX * candidate->bytes_received)
        return;
    candidate->probed_ns = input->now_ns;
    candidate->bytes_sent += probe_bytes(candidate);

    struct peer_control *control = peer_act_control(acts, RECORD_PROBE, candidate->token);
    control->has_to = true;
    control->to = candidate->at;
}

// What the candidate may get besides probes.
static void share_with_candidate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_candidate *candidate = &peer->candidate;
    uint64_t taken = candidate->bytes_sent + PROBES_KEPT * probe_bytes(candidate);
    uint64_t allowed = WIRE_AMPLIFICATION_MAX * candidate->bytes_received;

    if (allowed <= taken)
        return;
    if (peer->share_from_ns == 0 || age_ns(input->now_ns, peer->share_from_ns) >= SHARE_AGAIN_NS)
        peer->share_from_ns = input->now_ns;
    if (age_ns(input->now_ns, peer->share_from_ns) >= SHARE_NS)
        return;
    candidate->bytes_sent += allowed - taken;
    candidate->is_sharing = true;
    peer_act_add(acts, PEER_ACT_SHARE)->u.share = (struct peer_share){.to = candidate->at, .n_bytes = allowed - taken};
}

void peer_end_sharing_in_time(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    if (age_ns(input->now_ns, peer->share_from_ns) >= SHARE_NS)
        end_sharing(peer, acts);
}

void peer_moved(struct peer *peer, const struct endpoint *from, uint64_t bytes, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_candidate *candidate = &peer->candidate;

    if (peer->has_endpoint && endpoint_matches(&peer->endpoint, from)) {
        end_candidate(peer, acts); // it is back where it was
        return;
    }
    if (!candidate->is_active || !endpoint_equal(&candidate->at, from)) {
        end_candidate(peer, acts);
        *candidate = (struct peer_candidate){.is_active = true, .at = *from};
        random_fill(input->random, candidate->token, sizeof candidate->token);
    }
    candidate->bytes_received += bytes;
    peer_probe_candidate(peer, input, acts);
    share_with_candidate(peer, input, acts);
}

void peer_probe_answered(struct peer *peer, const uint8_t token[static WIRE_TOKEN_LEN], const struct peer_input *input,
                         struct peer_acts *acts)
{
    struct endpoint at = peer->candidate.at;

    if (!peer->candidate.is_active || memcmp(peer->candidate.token, token, WIRE_TOKEN_LEN) != 0) {
        peer_path_answered(peer, token, input);
        return;
    }
    peer->share_from_ns = 0; // it was no lie
    peer_use_endpoint(peer, &at, acts);
}

static bool is_among(const struct addr *addr, const struct addr *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (addr_equal(addr, &addresses[i]))
            return true;
    return false;
}

// The first of the places known that was not known before has the next turn, now.
static void try_new_address(struct peer *peer, const struct addr *before, size_t n_before, const struct peer_input *input)
{
    const struct addr *target;

    for (unsigned i = peer->has_endpoint ? 1 : 0; (target = peer_target(peer, i)); i++)
        if (!is_among(target, before, n_before)) {
            peer->next_target = i;
            peer->retry_ns = input->now_ns;
            return;
        }
}

void peer_set_addresses(struct peer *peer, const struct addr *addresses, size_t n, const struct peer_input *input)
{
    struct addr before[PEER_ADDRESSES_MAX];
    size_t n_before = peer->n_addresses;

    peer->is_resolving = false;
    if (n == 0) {
        if (n_before == 0 && !peer->has_endpoint && !peer->is_up)
            peer->reason = PEER_REASON_UNRESOLVED;
        return; // an old address is better than none
    }
    if (n > PEER_ADDRESSES_MAX)
        n = PEER_ADDRESSES_MAX;
    memcpy(before, peer->addresses, sizeof before);
    memcpy(peer->addresses, addresses, n * sizeof *addresses);
    peer->n_addresses = n;
    peer->resolve_wait_ns = PEER_RESOLVE_EVERY_NS;
    if (!peer->is_up || peer->is_cut_off || peer->is_moving)
        try_new_address(peer, before, n_before, input);
}
