// SPDX-License-Identifier: MIT
/*
 * node_config: see node_config.h.
 */
#include "node_config.h"

#include <string.h>

#include "ethercord/clock.h"

static void fill_peer(struct peer_config *peer, const struct peer_settings *settings)
{
    memcpy(peer->name, settings->name, sizeof peer->name);
    memcpy(peer->public_key, settings->public_key, NOISE_KEY_LEN);
    memcpy(peer->psk, settings->psk, NOISE_KEY_LEN);
    peer->path_mtu = settings->path_mtu;
    peer->has_endpoint_name = settings->has_endpoint;
    timing_default(&peer->timing);
    peer->timing.persistent_keepalive_ns = settings->persistent_keepalive_s * NS_PER_S;
    session_limits_default(&peer->limits);
}

void node_config_fill(struct node_config *node_config, const struct config *config, const struct mac_address *tap_mac)
{
    *node_config = (struct node_config){
        .has_peer = config->peer.is_present,
        .shortcut = config->shortcut,
        .reassembly = {.memory_bytes = (size_t)config->reassembly_memory_kib * 1024,
                       .timeout_ns = config->reassembly_timeout_ms * NS_PER_MS},
        .is_carrier_peer_up = config->tap.carrier == TAP_CARRIER_PEER_UP,
        .self = {.ciphers = config->ciphers, .tap_mtu = config->tap.mtu, .features = FEATURES_ALL},
    };
    memcpy(node_config->self.static_private, config->private_key, NOISE_KEY_LEN);
    memcpy(node_config->self.static_public, config->public_key, NOISE_KEY_LEN);
    node_config->shortcut.has_tap_mac = config->tap.bridge[0] == '\0';
    node_config->shortcut.tap_mac = *tap_mac;
    fill_peer(&node_config->peer, &config->peer);
}
