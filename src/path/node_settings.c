// SPDX-License-Identifier: MIT
/*
 * node_settings: a running node is configured otherwise. Main changes what is its own, and tells tx and rx the rest in one order each,
 * which waits while a thread is held up: however many reloads come, a ring never runs over, and the last one counts.
 */
#include <string.h>

#include "ethercord/node.h"
#include "handshake_private.h"

#define TELL_AGAIN_NS (20 * NS_PER_MS)

static void change_carrier(struct node *node, bool is_peer_up_wanted)
{
    if (node->is_carrier_peer_up == is_peer_up_wanted)
        return;
    node->is_carrier_peer_up = is_peer_up_wanted;
    node->tap->ops->set_carrier(node->tap, !is_peer_up_wanted || atomic_load_explicit(&node->is_peer_up, memory_order_relaxed));
}

static bool is_same_peer(const struct node *node, const struct node_config *config)
{
    return node->has_peer && config->has_peer &&
           sodium_memcmp(node->secrets->peer.config.public_key, config->peer.public_key, NOISE_KEY_LEN) == 0;
}

// Another public key is another peer. Timestamps go on: for what the old one is told, should it come back, they must not go back.
static void replace_peer(struct node *node, const struct node_config *config, uint64_t now_ns, uint64_t wall_ns)
{
    struct node_secrets *secrets = node->secrets;
    uint8_t sent[WIRE_TIMESTAMP_LEN];

    handshake_end_peer(&node->handshake, now_ns, wall_ns);
    memcpy(sent, secrets->peer.sent_timestamp, sizeof sent);
    peer_deinit(&secrets->peer);
    node->has_peer = config->has_peer;
    if (node->has_peer) {
        peer_init(&secrets->peer, &config->peer, &secrets->self, &secrets->keystore, now_ns);
        node->handshake.peer = &secrets->peer;
    }
    memcpy(secrets->peer.sent_timestamp, sent, sizeof sent);
}

static void change_ciphers(struct node *node, uint16_t ciphers, uint64_t now_ns)
{
    const struct keypair *current = &node->secrets->peer.current;
    bool is_refused = current->is_used && !(ciphers >> current->cipher & 1);

    node->secrets->self.ciphers = ciphers;
    if (is_refused)
        handshake_refresh_peer(&node->handshake, now_ns);
}

static struct node_settings settings_of(const struct node *node, const struct node_config *config)
{
    struct node_settings settings = {
        .has_peer = node->has_peer,
        .is_path_mtu_fixed = config->peer.path_mtu != 0,
        .reassembly_timeout_ns = config->reassembly.timeout_ns,
        .shortcut = {.n_addresses = config->shortcut.n_addresses, .answer = config->shortcut.answer},
    };

    memcpy(settings.shortcut.addresses, config->shortcut.addresses, sizeof settings.shortcut.addresses);
    return settings;
}

void node_reconfigure(struct node *node, const struct node_config *config, bool is_elsewhere, uint64_t now_ns, uint64_t wall_ns)
{
    if (is_same_peer(node, config))
        handshake_change_peer(&node->handshake, &config->peer, is_elsewhere, now_ns);
    else if (node->has_peer || config->has_peer)
        replace_peer(node, config, now_ns, wall_ns);
    change_ciphers(node, config->self.ciphers, now_ns);
    change_carrier(node, config->is_carrier_peer_up && node->has_peer);
    node->settings = settings_of(node, config);
    node->owes_settings_tx = node->owes_settings_rx = true;
}

uint64_t node_tell_settings(struct node *node, uint64_t now_ns)
{
    struct handshake *handshake = &node->handshake;
    struct order order = {.kind = ORDER_SETTINGS, .u.settings = node->settings};

    order.u.settings.is_peer_up = atomic_load_explicit(&node->is_peer_up, memory_order_relaxed);
    if (node->owes_settings_tx && !ring_is_crowded(handshake->orders_tx)) {
        handshake_order_tx(handshake, &order);
        node->owes_settings_tx = false;
    }
    if (node->owes_settings_rx && !ring_is_crowded(handshake->orders_rx)) {
        handshake_order_rx(handshake, &order);
        node->owes_settings_rx = false;
    }
    return node->owes_settings_tx || node->owes_settings_rx ? now_ns + TELL_AGAIN_NS : UINT64_MAX;
}
