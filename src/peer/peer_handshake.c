// SPDX-License-Identifier: MIT
/*
 * peer_handshake: from messages to keypairs, and from one keypair to the next without losing a frame.
 *
 *   initiator: initiation out -> response verifies -> arriving (rx gets the key) -> current; tx switches and sends at once
 *   responder: initiation verifies -> arriving (rx gets the key) -> response out, next -> first data message under it -> current
 *
 * rx always has the receiving key before anything is sent that lets the peer use it; the sending key is switched last.
 *
 * Both ends may initiate at once (docs/protocol.md#simultaneous-initiation). Each answers the other; the end with the lesser static key
 * forgets its own initiation as it does so. Should both keypairs be completed all the same, the one that the greater end initiated is
 * sent with, and the other one only received with: the greater end ignores what the lesser one began before it is heard under the
 * greater one's keypair, and the lesser end, once it sends with that, does not complete what it had begun.
 */
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "peer_private.h"

void peer_forget_pending(struct peer *peer)
{
    noise_deinit(&peer->pending.noise);
    peer->pending.is_active = false;
}

void peer_drop_keypair(struct peer *peer, struct keypair *keypair, struct peer_acts *acts)
{
    if (!keypair->is_used)
        return;
    if (keypair->recv)
        keystore_put_recv(keypair->recv); // rx never saw it
    else
        peer_act_add(acts, PEER_ACT_DROP_RECV)->u.local_index = keypair->local_index;
    if (keypair->send)
        keystore_put_send(keypair->send); // nor tx
    else if (keypair == &peer->current)
        peer_act_add(acts, PEER_ACT_STOP_SEND);
    memset(keypair, 0, sizeof *keypair);
}

static bool is_index_taken(const struct peer *peer, uint32_t index)
{
    const uint32_t taken[] = {0,
                              peer->previous.local_index,
                              peer->current.local_index,
                              peer->next.local_index,
                              peer->arriving.local_index,
                              peer->pending.local_index};

    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (index == taken[i])
            return true;
    return false;
}

// Not 0, and not one of ours that is in use.
static uint32_t new_index(const struct peer *peer, const struct peer_input *input)
{
    uint32_t index;

    do
        index = random_u32(input->random);
    while (is_index_taken(peer, index));
    return index;
}

// Never the same or an older one within this process, whatever the clock does.
static void next_timestamp(struct peer *peer, uint64_t wall_ns, uint8_t out[static WIRE_TIMESTAMP_LEN])
{
    tai64n_from_wall(out, wall_ns);
    if (memcmp(out, peer->sent_timestamp, WIRE_TIMESTAMP_LEN) <= 0)
        tai64n_from_wall(out, tai64n_to_wall(peer->sent_timestamp) + UINT64_C(0x2000000));
    memcpy(peer->sent_timestamp, out, WIRE_TIMESTAMP_LEN);
}

// How long the greater end waits to be heard under a keypair that it made before it takes one of the lesser end's instead.
static uint64_t crossing_ns(const struct peer *peer)
{
    return peer->config.timing.dead_after_ns / 2;
}

// The lesser end begins nothing new before it knows that it was heard under the greater one's keypair: to that, it would look as if the
// two had crossed.
uint64_t peer_may_initiate_ns(const struct peer *peer)
{
    const struct keypair *current = &peer->current;

    if (peer->is_greater || !current->is_used || current->is_initiator || current->is_answered)
        return peer->retry_ns;
    uint64_t sure_ns = current->heard_ns + crossing_ns(peer);
    return sure_ns > peer->retry_ns ? sure_ns : peer->retry_ns;
}

static void hello_of(struct peer *peer, const struct peer_input *input, uint8_t out[static WIRE_HELLO_LEN])
{
    struct hello hello = {.ciphers = peer->self->ciphers, .tap_mtu = peer->self->tap_mtu, .features = peer->self->features};

    next_timestamp(peer, input->wall_ns, hello.timestamp);
    hello_encode(&hello, out);
}

static void pending_begin(struct peer *peer, const struct peer_input *input, const struct endpoint *target)
{
    struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .is_initiator = true,
        .has_psk = true,
        .prologue = (const uint8_t *)WIRE_PROLOGUE,
        .prologue_len = sizeof WIRE_PROLOGUE - 1,
        .static_private = peer->self->static_private,
        .remote_static = peer->config.public_key,
    };

    peer_forget_pending(peer);
    noise_init(&peer->pending.noise, &params);
    noise_set_psk(&peer->pending.noise, peer->config.psk);
    peer->pending.local_index = new_index(peer, input);
    peer->pending.to = *target;
}

void peer_initiate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    uint8_t ephemeral[NOISE_KEY_LEN], hello[WIRE_HELLO_LEN], message[WIRE_INITIATION_LEN];
    struct initiation_msg msg;
    struct endpoint target;

    if (!peer_choose_target(peer, &target))
        return;
    if (!peer->is_greater && peer->next.is_used && age_ns(input->now_ns, peer->next.born_ns) > crossing_ns(peer))
        peer_drop_keypair(peer, &peer->next, acts); // the peer has given it up as well: see is_crossed()
    if (!peer->is_up && peer->n_attempts > 0 && peer->reason != PEER_REASON_CLOCK && peer->reason != PEER_REASON_GOODBYE)
        peer->reason = PEER_REASON_NO_ANSWER;
    peer->retry_ns = input->now_ns + timers_retry_wait(&peer->config.timing, peer_n_rounds(peer), random_u32(input->random));
    peer->n_attempts++;
    pending_begin(peer, input, &target);
    hello_of(peer, input, hello);
    random_fill(input->random, ephemeral, sizeof ephemeral);
    initiation_begin(message, peer->pending.local_index, &msg);
    bool is_made = noise_create_initiation(&peer->pending.noise, ephemeral, hello, sizeof hello, msg.noise);
    sodium_memzero(ephemeral, sizeof ephemeral);
    if (!is_made)
        return; // a low-order static key: `check` refuses those; nothing leaves
    peer->pending.is_active = true;
    cookie_add_macs(&peer->jar, message, sizeof message, input->now_ns);

    struct peer_act *act = peer_act_add(acts, PEER_ACT_SEND_HANDSHAKE);
    memcpy(act->u.handshake.bytes, message, sizeof message);
    act->u.handshake.len = sizeof message;
    act->u.handshake.to = target;
}

// Both halves of `keypair` from a finished handshake. False when the keystore is full.
static bool keypair_derive(struct peer *peer, struct keypair *keypair, const struct noise *noise)
{
    struct noise_keys split;
    uint8_t send_key[NOISE_KEY_LEN], recv_key[NOISE_KEY_LEN];
    const char *name = cipher_name(keypair->cipher);
    bool is_initiator = keypair->is_initiator;

    keypair->send = keystore_get_send(peer->keystore);
    keypair->recv = keystore_get_recv(peer->keystore);
    if (!keypair->send || !keypair->recv) {
        if (keypair->send)
            keystore_put_send(keypair->send);
        if (keypair->recv)
            keystore_put_recv(keypair->recv);
        return false;
    }
    noise_split(noise, &split);
    noise_derive_data_key(send_key, is_initiator ? split.to_responder : split.to_initiator, name);
    noise_derive_data_key(recv_key, is_initiator ? split.to_initiator : split.to_responder, name);
    sodium_memzero(&split, sizeof split);
    send_session_init(keypair->send, &(struct session_secret){send_key, keypair->cipher, keypair->born_ns}, &peer->config.limits);
    recv_session_init(keypair->recv, &(struct session_secret){recv_key, keypair->cipher, keypair->born_ns}, &peer->config.limits);
    sodium_memzero(send_key, sizeof send_key);
    sodium_memzero(recv_key, sizeof recv_key);
    keypair->send->remote_index = keypair->remote_index;
    keypair->send->local_index = keypair->local_index;
    keypair->send->features = keypair->far_features;
    keypair->send->far_tap_mtu = keypair->far_tap_mtu;
    keypair->recv->local_index = keypair->local_index;
    return true;
}

// Hands the receiving half to rx; peer_recv_installed() goes on from there.
static void keypair_arrive(struct peer *peer, const struct keypair *keypair, struct peer_acts *acts)
{
    peer_drop_keypair(peer, &peer->arriving, acts); // an older one that was overtaken
    peer->arriving = *keypair;
    peer->arriving.recv = NULL;
    peer_act_add(acts, PEER_ACT_INSTALL_RECV)->u.recv = keypair->recv;
}

static enum drop_reason check_timestamp(struct peer *peer, const struct hello *hello)
{
    uint64_t ours = tai64n_to_wall(peer->received_timestamp), theirs = tai64n_to_wall(hello->timestamp);

    if (memcmp(hello->timestamp, peer->received_timestamp, WIRE_TIMESTAMP_LEN) > 0)
        return DROP_COUNT;
    peer->clock_behind_ns = age_ns(ours, theirs);
    if (!peer->is_up && peer->clock_behind_ns > NS_PER_S)
        peer->reason = PEER_REASON_CLOCK;
    return DROP_HANDSHAKE_REPLAYED;
}

static enum drop_reason respond(struct peer *peer, struct initiation_in *in, struct keypair *keypair, const struct peer_input *input)
{
    uint8_t ephemeral[NOISE_KEY_LEN], payload[WIRE_CHOICE_LEN], response[WIRE_RESPONSE_LEN];
    struct choice choice = {.cipher = keypair->cipher, .tap_mtu = peer->self->tap_mtu, .features = peer->self->features};
    struct response_msg msg;

    noise_set_psk(&in->noise, peer->config.psk);
    choice_encode(&choice, payload);
    response_begin(response, keypair->local_index, keypair->remote_index, &msg);
    random_fill(input->random, ephemeral, sizeof ephemeral);
    bool is_made = noise_create_response(&in->noise, ephemeral, payload, sizeof payload, msg.noise);
    sodium_memzero(ephemeral, sizeof ephemeral);
    if (!is_made)
        return DROP_HANDSHAKE_FAILED;
    if (!keypair_derive(peer, keypair, &in->noise)) // many that waited while we were not scheduled; the newest one is sent again
        return DROP_HANDSHAKE_QUEUE_FULL;
    struct cookie_jar jar = peer->jar; // a copy: nobody sends cookie replies to responses, and the initiation's must still be known
    cookie_add_macs(&jar, response, sizeof response, input->now_ns);
    cookie_jar_deinit(&jar);
    memcpy(peer->held_response, response, sizeof response);
    return DROP_COUNT;
}

enum drop_reason peer_initiation_received(struct peer *peer, struct initiation_in *in, const struct peer_input *input,
                                          struct peer_acts *acts)
{
    struct keypair keypair = {
        .is_used = true,
        .local_index = new_index(peer, input),
        .remote_index = in->sender_index,
        .born_ns = input->now_ns,
        .cipher = cipher_choose(in->hello.ciphers & peer->self->ciphers),
        .far_tap_mtu = in->hello.tap_mtu,
        .far_features = in->hello.features,
        .at = in->from,
    };
    enum drop_reason verdict = check_timestamp(peer, &in->hello);

    if (verdict != DROP_COUNT)
        return verdict;
    if (keypair.cipher == CIPHER_NONE)
        return DROP_HANDSHAKE_NO_CIPHER;
    verdict = respond(peer, in, &keypair, input);
    if (verdict != DROP_COUNT)
        return verdict;
    peer_note_initiation(peer, in, input);
    keypair.is_rival = peer_is_rival(peer, &in->from.remote, input);
    if (!peer->is_greater)
        peer_forget_pending(peer);
    keypair_arrive(peer, &keypair, acts);
    return DROP_COUNT;
}

static bool consume_response(struct peer *peer, const struct response_msg *msg, struct choice *choice)
{
    uint8_t payload[WIRE_CHOICE_LEN];

    return noise_consume_response(&peer->pending.noise, msg->noise, NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN, payload) &&
           choice_decode(choice, payload);
}

enum drop_reason peer_response_received(struct peer *peer, const struct response_msg *msg, const struct peer_input *input,
                                        struct peer_acts *acts)
{
    struct choice choice;

    if (!peer->pending.is_active || msg->receiver_index != peer->pending.local_index)
        return DROP_HANDSHAKE_UNEXPECTED;
    if (!consume_response(peer, msg, &choice))
        return DROP_HANDSHAKE_FAILED;

    struct keypair keypair = {
        .is_used = true,
        .is_initiator = true,
        .local_index = peer->pending.local_index,
        .remote_index = msg->sender_index,
        .born_ns = input->now_ns,
        .cipher = choice.cipher,
        .far_tap_mtu = choice.tap_mtu,
        .far_features = choice.features,
        .at = peer->pending.to,
    };
    bool is_allowed = (peer->self->ciphers & 1U << choice.cipher) != 0;
    bool is_derived = is_allowed && keypair_derive(peer, &keypair, &peer->pending.noise);
    peer_forget_pending(peer); // its response came: nothing else can be made of it
    if (!is_allowed)
        return DROP_HANDSHAKE_NO_CIPHER;
    if (!is_derived)
        return DROP_HANDSHAKE_QUEUE_FULL;
    keypair_arrive(peer, &keypair, acts);
    return DROP_COUNT;
}

enum drop_reason peer_cookie_received(struct peer *peer, const struct cookie_reply_msg *msg, const struct peer_input *input)
{
    bool is_ours = peer->pending.is_active && msg->receiver_index == peer->pending.local_index;

    if (!is_ours || !cookie_consume_reply(&peer->jar, &msg->cookie, input->now_ns))
        return DROP_HANDSHAKE_UNEXPECTED;
    return DROP_COUNT;
}

// `keypair` becomes the one to send with; what was current goes on receiving as previous.
static void make_current(struct peer *peer, struct keypair *keypair, const struct peer_input *input, struct peer_acts *acts)
{
    struct keypair fresh = *keypair;

    memset(keypair, 0, sizeof *keypair);
    peer_drop_keypair(peer, &peer->previous, acts);
    peer->previous = peer->current;
    peer->current = fresh;
    peer->current.send = NULL;
    memset(peer->echoes, 0, sizeof peer->echoes); // the answer to one that was sent before says nothing of this keypair
    peer_act_add(acts, PEER_ACT_SWITCH_SEND)->u.send = fresh.send;
    peer_forget_pending(peer);
    if (!peer->is_greater) // neither may one of ours that is nearly made overtake what the peer sends with already
        peer_drop_keypair(peer, &peer->arriving, acts);
    peer->n_attempts = peer->next_target = 0;
    peer->is_cut_off = false;
    peer->retry_ns = input->now_ns;
    peer_set_up(peer, input, acts);
}

void peer_recv_installed(struct peer *peer, uint32_t local_index, const struct peer_input *input, struct peer_acts *acts)
{
    struct keypair *arriving = &peer->arriving;

    if (!arriving->is_used || arriving->local_index != local_index)
        return;
    if (arriving->is_initiator) {
        struct endpoint at = arriving->at;
        make_current(peer, arriving, input, acts);
        peer_use_endpoint(peer, &at, acts);
        peer_send_echo(peer, input, acts); // the peer may send under the new key from now on
        return;
    }
    peer_drop_keypair(peer, &peer->next, acts);
    peer->next = *arriving;
    memset(arriving, 0, sizeof *arriving);

    struct peer_act *act = peer_act_add(acts, PEER_ACT_SEND_HANDSHAKE);
    memcpy(act->u.handshake.bytes, peer->held_response, WIRE_RESPONSE_LEN);
    act->u.handshake.len = WIRE_RESPONSE_LEN;
    act->u.handshake.to = peer->next.at;
}

static void keep_for_receiving(struct peer *peer, struct keypair *keypair, struct peer_acts *acts)
{
    peer_drop_keypair(peer, &peer->previous, acts);
    peer->previous = *keypair;
    memset(keypair, 0, sizeof *keypair);
    keystore_put_send(peer->previous.send);
    peer->previous.send = NULL;
}

// Whether the peer made `next` before it knew of our current keypair, with which it sends as soon as it does. After a while it is taken
// not to know it at all: it may have been restarted just after it answered. What is heard of in the same turn was heard before: the lesser
// end, once it knows ours, completes no initiation that it has sent before.
static bool is_crossed(const struct peer *peer)
{
    const struct keypair *current = &peer->current;
    uint64_t until_ns = current->born_ns + crossing_ns(peer);

    if (current->heard_ns && current->heard_ns < until_ns)
        until_ns = current->heard_ns;
    return peer->is_greater && current->is_used && current->is_initiator && peer->next.born_ns < until_ns;
}

void peer_confirmed(struct peer *peer, uint32_t local_index, const struct endpoint *from, const struct peer_input *input,
                    struct peer_acts *acts)
{
    struct keypair *next = &peer->next;

    if (peer->current.is_used && peer->current.local_index == local_index)
        peer->current.heard_ns = input->now_ns;
    if (!next->is_used || next->local_index != local_index)
        return;
    if (is_crossed(peer)) {
        keep_for_receiving(peer, next, acts);
        peer->current.crossed_ns = input->now_ns;
        return;
    }
    bool is_validated = endpoint_equal(&next->at, from); // it received message 2 there
    if (next->is_rival)
        peer_note_rival(peer, &next->at.remote, input);
    make_current(peer, next, input, acts);
    peer->current.heard_ns = input->now_ns;
    if (is_validated)
        peer_use_endpoint(peer, from, acts);
    else
        peer_moved(peer, from, WIRE_DATA_OVERHEAD + addr_headers_len(&from->remote), input, acts);
    peer_send_echo(peer, input, acts);
}
