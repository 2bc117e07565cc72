// SPDX-License-Identifier: MIT
/*
 * peer_settings: a peer that is configured otherwise while there is a session with it. The session stays, and each change takes its way:
 *
 *   name, keepalive   from now on
 *   PSK               a handshake with it begins at once; until the peer has it too, none succeeds, and the keypair lives on to its age
 * limit path MTU          from now on, or looked for anew endpoint's name   looked up, and what it means is called; when the peer answers
 * there the session moves, by a handshake. If it has not after a while it stays where it is, and the new place has its turn when that one
 * falls silent
 */
#include <string.h>

#include "ethercord/clock.h"
#include "peer_private.h"

// Shorter than what is left of a keypair's life when it should have been followed by the next.
#define MOVING_NS (30 * NS_PER_S)

void peer_refresh(struct peer *peer, const struct peer_input *input)
{
    peer_forget_pending(peer); // begun with what was
    peer->fresh_from_ns = input->now_ns + 1;
    peer->n_attempts = peer->next_target = 0;
    peer->retry_ns = input->now_ns;
}

static void set_path_mtu(struct peer *peer, uint16_t path_mtu)
{
    peer->config.path_mtu = path_mtu;
    pmtu_init(&peer->pmtu, path_mtu);
    if (peer->has_endpoint)
        peer_path_restart(peer);
}

// The addresses of another name. The endpoint stays, as the place where it was last.
static void forget_addresses(struct peer *peer, const struct peer_input *input)
{
    peer->n_addresses = 0;
    peer->is_resolving = false;
    peer->resolve_asked_ns = peer->resolve_wait_ns = 0;
    peer->n_attempts = peer->next_target = 0;
    peer->retry_ns = input->now_ns;
    peer->is_moving = peer->is_up && peer->config.has_endpoint_name;
    peer->moving_until_ns = input->now_ns + MOVING_NS;
    if (!peer->is_up && !peer->has_endpoint)
        peer->reason = peer->config.has_endpoint_name ? PEER_REASON_STARTING : PEER_REASON_NO_ENDPOINT;
}

void peer_reconfigure(struct peer *peer, const struct peer_config *config, bool is_elsewhere, const struct peer_input *input)
{
    memcpy(peer->config.name, config->name, sizeof peer->config.name);
    peer->config.timing.persistent_keepalive_ns = config->timing.persistent_keepalive_ns;
    peer->config.has_endpoint_name = config->has_endpoint_name;
    if (sodium_memcmp(peer->config.psk, config->psk, sizeof peer->config.psk) != 0) {
        memcpy(peer->config.psk, config->psk, sizeof peer->config.psk);
        peer_refresh(peer, input);
    }
    if (peer->config.path_mtu != config->path_mtu)
        set_path_mtu(peer, config->path_mtu);
    if (is_elsewhere)
        forget_addresses(peer, input);
}

static bool is_configured(const struct peer *peer, const struct addr *addr)
{
    for (size_t i = 0; i < peer->n_addresses; i++)
        if (addr_equal(&peer->addresses[i], addr))
            return true;
    return false;
}

bool peer_wants_to_move(const struct peer *peer)
{
    return peer->is_moving && peer->is_up && peer->has_endpoint && peer->n_addresses > 0 && !is_configured(peer, &peer->endpoint.remote);
}

void peer_move_on(struct peer *peer, const struct peer_input *input)
{
    bool has_arrived = peer->has_endpoint && is_configured(peer, &peer->endpoint.remote);

    if (!peer->is_up || has_arrived || input->now_ns >= peer->moving_until_ns)
        peer->is_moving = false;
}
