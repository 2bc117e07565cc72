// SPDX-License-Identifier: MIT
/*
 * peer_rival: what handshakes say about the peer beyond its keys: how its clock goes, and whether somebody else uses its key.
 *
 * A node that moves says so by data messages under the keypair that it has. It begins a handshake only when that keypair is old, or when
 * it has heard nothing for `dead_after`. So an initiation from elsewhere while the peer is still heard at its endpoint, under a young
 * keypair, is either that of a node that was started anew at another address, which happens once; or that of a second node with the same
 * private key. Then the first one hears nothing any more, and takes the session back after `dead_after`, and so on: what counts is how
 * often the session goes back to where it was taken from. Decides nothing: both have the key, and nobody can tell who is the right one.
 */
#include <string.h>

#include "ethercord/clock.h"
#include "peer_private.h"

#define RETURNS_WITHIN_NS (60 * NS_PER_S)

void peer_note_initiation(struct peer *peer, const struct initiation_in *in, const struct peer_input *input)
{
    memcpy(peer->received_timestamp, in->hello.timestamp, WIRE_TIMESTAMP_LEN);
    peer->clock_behind_ns = 0;
    peer->has_clock_skew = true;
    peer->clock_skew_ns = (int64_t)(tai64n_to_wall(in->hello.timestamp) - input->wall_ns);
}

bool peer_is_rival(const struct peer *peer, const struct addr *from, const struct peer_input *input)
{
    const struct keypair *current = &peer->current;
    const struct timing *timing = &peer->config.timing;
    uint64_t silent_ns = age_ns(input->now_ns, activity_last(&input->activity->received_ns));

    return peer->has_endpoint && !addr_equal(&peer->endpoint.remote, from) && current->is_used &&
           age_ns(input->now_ns, current->born_ns) < timing->rekey_after_ns && silent_ns < timing->dead_after_ns / 4 * 3;
}

void peer_note_rival(struct peer *peer, const struct addr *from, const struct peer_input *input)
{
    struct peer_rival *rival = &peer->rival;

    if (rival->taken_ns && age_ns(input->now_ns, rival->taken_ns) < RETURNS_WITHIN_NS && addr_equal(&rival->at, from)) {
        rival->n_returns++;
        rival->returned_ns = input->now_ns;
    }
    rival->at = peer->endpoint.remote;
    rival->taken_ns = input->now_ns;
}
