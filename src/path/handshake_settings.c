// SPDX-License-Identifier: MIT
/*
 * handshake_settings: the peer is configured otherwise, is replaced or goes, while its session is in use.
 */
#include "handshake_private.h"

void handshake_end_peer(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    if (!handshake->peer)
        return;
    struct peer_input input = handshake_input(handshake, now_ns, wall_ns);
    peer_leave(handshake->peer, &input, &handshake->acts);
    handshake_carry_out(handshake, now_ns);
    handshake->peer = NULL;
}

void handshake_change_peer(struct handshake *handshake, const struct peer_config *config, bool is_elsewhere, uint64_t now_ns)
{
    struct peer_input input = handshake_input(handshake, now_ns, 0);

    peer_reconfigure(handshake->peer, config, is_elsewhere, &input);
    handshake_carry_out(handshake, now_ns); // nothing, but rx hears when an initiation is not waited for any more
}

void handshake_refresh_peer(struct handshake *handshake, uint64_t now_ns)
{
    struct peer_input input = handshake_input(handshake, now_ns, 0);

    if (handshake->peer)
        peer_refresh(handshake->peer, &input);
    handshake_carry_out(handshake, now_ns);
}
