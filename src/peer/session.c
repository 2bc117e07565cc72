// SPDX-License-Identifier: MIT
/*
 * session: see the header. The limits:
 *
 *   ChaCha20-Poly1305: 2^60 messages before a rekey; the counter's end, less a replay window, is never reached.
 *   AES-256-GCM: counted in 16-byte blocks (payload, associated data and length block), rekey at 2^32, refuse at 2^33.
 *   Both: an age of 180 s.
 */
#include "ethercord/session.h"

#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"

enum { BLOCK_LEN = 16 };

void session_limits_default(struct session_limits *limits)
{
    *limits = (struct session_limits){
        .rekey_after_messages = UINT64_C(1) << 60,
        .reject_after_messages = UINT64_MAX - REPLAY_WINDOW,
        .rekey_after_blocks = UINT64_C(1) << 32,
        .reject_after_blocks = UINT64_C(1) << 33,
        .reject_after_ns = 180 * NS_PER_S,
    };
}

struct send_session *keystore_get_send(struct keystore *keystore)
{
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        if (!keystore->send[i].is_taken) {
            keystore->send[i].is_taken = true;
            return &keystore->send[i];
        }
    return NULL;
}

struct recv_session *keystore_get_recv(struct keystore *keystore)
{
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        if (!keystore->recv[i].is_taken) {
            keystore->recv[i].is_taken = true;
            return &keystore->recv[i];
        }
    return NULL;
}

void keystore_put_send(struct send_session *session)
{
    ensure(session->is_taken);
    sodium_memzero(session, sizeof *session);
}

void keystore_put_recv(struct recv_session *session)
{
    ensure(session->is_taken);
    sodium_memzero(session, sizeof *session);
}

void send_session_init(struct send_session *session, const struct session_secret *secret, const struct session_limits *limits)
{
    aead_key_init(&session->key, secret->cipher, secret->key);
    session->born_ns = secret->born_ns;
    session->limits = *limits;
}

void recv_session_init(struct recv_session *session, const struct session_secret *secret, const struct session_limits *limits)
{
    aead_key_init(&session->key, secret->cipher, secret->key);
    session->born_ns = secret->born_ns;
    session->reject_after_ns = limits->reject_after_ns;
}

// What GHASH and the cipher work through for one message: the payload, the header as associated data, and the block of lengths.
static uint64_t blocks_of(size_t payload_len)
{
    return (payload_len + BLOCK_LEN - 1) / BLOCK_LEN + 2;
}

static bool is_aes(const struct send_session *session)
{
    return session->key.cipher == CIPHER_AES_256_GCM;
}

bool send_session_reserve(struct send_session *session, uint32_t n, size_t payload_len, uint64_t now_ns, uint64_t *first)
{
    const struct session_limits *limits = &session->limits;
    uint64_t n_blocks = n * blocks_of(payload_len);

    if (age_ns(now_ns, session->born_ns) >= limits->reject_after_ns)
        return false;
    if (n > limits->reject_after_messages - session->next_counter)
        return false;
    if (is_aes(session) && n_blocks > limits->reject_after_blocks - session->n_blocks)
        return false;
    *first = session->next_counter;
    session->next_counter += n;
    session->n_blocks += n_blocks;
    return true;
}

bool send_session_wants_rekey(const struct send_session *session)
{
    const struct session_limits *limits = &session->limits;
    return session->next_counter >= limits->rekey_after_messages || (is_aes(session) && session->n_blocks >= limits->rekey_after_blocks);
}

void session_seal(const struct send_session *session, uint64_t counter, const uint8_t *payload, size_t payload_len, uint8_t *message)
{
    struct data_header header = {.receiver_index = session->remote_index, .counter = counter};

    data_header_encode(&header, message);
    aead_seal(&session->key, counter, message, payload, payload_len, message + WIRE_DATA_HEADER_LEN);
}

enum drop_reason session_open(struct recv_session *session, const uint8_t *message, size_t len, uint64_t now_ns, uint8_t *payload)
{
    struct data_header header;

    if (age_ns(now_ns, session->born_ns) >= session->reject_after_ns)
        return DROP_KEY_EXPIRED;
    data_header_decode(message, &header);
    const uint8_t *sealed = message + WIRE_DATA_HEADER_LEN;
    if (!aead_open(&session->key, header.counter, message, sealed, len - WIRE_DATA_HEADER_LEN, payload))
        return DROP_AUTH_FAILED;
    if (!replay_accept(&session->replay, header.counter))
        return DROP_REPLAYED;
    session->n_accepted++;
    return DROP_COUNT;
}

// Probes are among those that are told, whether they arrive or not. Never more than are missing: the peer can say anything.
int64_t recv_session_excuse(struct recv_session *session, uint64_t told)
{
    uint64_t n_missing = session->replay.next - session->n_accepted, before = session->n_excused;

    if (told > session->told_excused)
        session->told_excused = told;
    session->n_excused = session->told_excused > session->n_probes ? session->told_excused - session->n_probes : 0;
    if (session->n_excused > n_missing)
        session->n_excused = n_missing;
    return (int64_t)(session->n_excused - before);
}
