// SPDX-License-Identifier: MIT
/*
 * peer_endpoint: where a peer is, and how it may move.
 *
 * A new address is a candidate until a probe's token, sent only there, comes back. Until then it gets nothing but probes, and of those
 * no more than three times the bytes that came from it: whoever forwards our peer's datagrams from elsewhere can't aim us at a victim.
 * All other datagrams go on to the old endpoint.
 */
#include <string.h>

#include "ethercord/drop.h"
#include "peer_private.h"

enum {
    AMPLIFICATION_MAX = 3, // specification constant
    PROBE_MESSAGE_LEN = WIRE_DATA_OVERHEAD + WIRE_TOKEN_LEN + WIRE_RECORD_OVERHEAD
};

void peer_use_endpoint(struct peer *peer, const struct endpoint *endpoint, struct peer_acts *acts)
{
    bool is_known_path = peer->has_endpoint && addr_equal(&peer->endpoint.remote, &endpoint->remote);

    peer->candidate.is_active = false;
    if (peer->has_endpoint && endpoint_equal(&peer->endpoint, endpoint))
        return;
    peer->has_endpoint = true;
    peer->endpoint = *endpoint;
    if (!is_known_path)
        peer_path_restart(peer);
    peer_act_add(acts, PEER_ACT_SET_ENDPOINT)->u.endpoint = *endpoint;
}

bool peer_choose_target(const struct peer *peer, unsigned attempt, struct endpoint *target)
{
    size_t n = peer->n_addresses + (peer->has_endpoint ? 1 : 0);
    if (n == 0)
        return false;

    size_t pick = attempt % n;
    if (peer->has_endpoint) {
        if (pick == 0) {
            *target = peer->endpoint;
            if (attempt > 0) { // perhaps it is our own address that is no good any more: let the kernel choose
                target->source = (struct addr){.family = AF_UNSPEC};
                target->source_ifindex = 0;
            }
            return true;
        }
        pick--;
    }
    *target = (struct endpoint){.remote = peer->addresses[pick]};
    return true;
}

void peer_probe_candidate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_candidate *candidate = &peer->candidate;

    if (!candidate->is_active || !peer->current.is_used)
        return;
    if (candidate->probed_ns && input->now_ns < candidate->probed_ns + peer->config.timing.probe_every_ns)
        return;
    if (candidate->bytes_sent + PROBE_MESSAGE_LEN > AMPLIFICATION_MAX * candidate->bytes_received)
        return;
    candidate->probed_ns = input->now_ns;
    candidate->bytes_sent += PROBE_MESSAGE_LEN;

    struct peer_control *control = peer_act_control(acts, RECORD_PROBE, candidate->token);
    control->has_to = true;
    control->to = candidate->at;
}

void peer_moved(struct peer *peer, const struct endpoint *from, uint64_t bytes, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_candidate *candidate = &peer->candidate;

    if (peer->has_endpoint && endpoint_matches(&peer->endpoint, from)) {
        candidate->is_active = false; // it is back where it was
        return;
    }
    if (!candidate->is_active || !endpoint_equal(&candidate->at, from)) {
        *candidate = (struct peer_candidate){.is_active = true, .at = *from};
        random_fill(input->random, candidate->token, sizeof candidate->token);
    }
    candidate->bytes_received += bytes;
    peer_probe_candidate(peer, input, acts);
}

void peer_probe_answered(struct peer *peer, const uint8_t token[static WIRE_TOKEN_LEN], const struct peer_input *input,
                         struct peer_acts *acts)
{
    struct endpoint at = peer->candidate.at;

    if (peer->candidate.is_active && memcmp(peer->candidate.token, token, WIRE_TOKEN_LEN) == 0)
        peer_use_endpoint(peer, &at, acts);
    else
        peer_path_answered(peer, token, input);
}

void peer_set_addresses(struct peer *peer, const struct addr *addresses, size_t n, const struct peer_input *input)
{
    bool had_none = peer->n_addresses == 0;

    if (n == 0) {
        if (had_none && !peer->has_endpoint && !peer->is_up)
            peer->reason = PEER_REASON_UNRESOLVED;
        return; // an old address is better than none
    }
    if (n > PEER_ADDRESSES_MAX)
        n = PEER_ADDRESSES_MAX;
    memcpy(peer->addresses, addresses, n * sizeof *addresses);
    peer->n_addresses = n;
    if (had_none && !peer->pending.is_active)
        peer->retry_ns = input->now_ns;
}
