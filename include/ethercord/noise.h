// SPDX-License-Identifier: MIT
/*
 * noise: the two-message handshake Noise_IK and Noise_IKpsk2 (The Noise Protocol Framework, revision 34), with 25519, BLAKE2b and
 * either ChaChaPoly or AESGCM as the handshake cipher.
 *
 * Knows nothing of peers, sockets, clocks or randomness: the ephemeral private key is an argument. ethercord itself always uses
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b with a zero PSK where none is configured; the other three exist so that the published vectors
 * of all four can be checked.
 *
 * A consume function works on a copy and changes the handshake only after everything has verified: a forged message costs nothing.
 */
#ifndef ETHERCORD_NOISE_H
#define ETHERCORD_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NOISE_KEY_LEN = 32,  // public, private, symmetric keys and the PSK
    NOISE_HASH_LEN = 64, // BLAKE2b-512
    NOISE_TAG_LEN = 16,
    // What the handshake adds to the payloads of message 1 (e, s, tag) and message 2 (e, tag).
    NOISE_INITIATION_OVERHEAD = NOISE_KEY_LEN + NOISE_KEY_LEN + NOISE_TAG_LEN + NOISE_TAG_LEN,
    NOISE_RESPONSE_OVERHEAD = NOISE_KEY_LEN + NOISE_TAG_LEN
};

enum noise_cipher { NOISE_CHACHAPOLY, NOISE_AESGCM };

struct noise_params {
    enum noise_cipher cipher;
    bool is_initiator;
    bool has_psk; // IKpsk2; else IK
    const uint8_t *prologue;
    size_t prologue_len;
    const uint8_t *static_private; // 32 bytes
    const uint8_t *remote_static;  // 32 bytes; the initiator's only
};

// A handshake in progress. Secret: wipe with noise_deinit().
struct noise {
    uint8_t ck[NOISE_HASH_LEN];
    uint8_t h[NOISE_HASH_LEN]; // after the last message: the handshake hash
    uint8_t k[NOISE_KEY_LEN];
    uint64_t n;
    bool has_k;
    enum noise_cipher cipher;
    bool is_initiator;
    bool has_psk;
    uint8_t s_private[NOISE_KEY_LEN];
    uint8_t s_public[NOISE_KEY_LEN];
    uint8_t e_private[NOISE_KEY_LEN];
    uint8_t e_public[NOISE_KEY_LEN];
    uint8_t rs[NOISE_KEY_LEN]; // the other end's static public key; the responder learns it from message 1
    uint8_t re[NOISE_KEY_LEN];
    uint8_t psk[NOISE_KEY_LEN];
};

// The result, one key per direction. Secret.
struct noise_keys {
    uint8_t to_responder[NOISE_KEY_LEN];
    uint8_t to_initiator[NOISE_KEY_LEN];
};

// Private keys are used as they come (X25519 clamps).
void noise_public_key(uint8_t public_key[static NOISE_KEY_LEN], const uint8_t private_key[static NOISE_KEY_LEN]);

void noise_init(struct noise *noise, const struct noise_params *params);
void noise_deinit(struct noise *noise);
// Before message 2: the responder learns from message 1 whose PSK it is. Only with has_psk.
void noise_set_psk(struct noise *noise, const uint8_t psk[static NOISE_KEY_LEN]);

// All four return false when a Diffie-Hellman result is all zeros (a low-order public key) or, when consuming, something does not
// verify or is too short; nothing has changed then. `out` of create takes payload_len + overhead bytes; `payload` of consume takes
// len - overhead bytes.
bool noise_create_initiation(struct noise *noise, const uint8_t ephemeral_private[static NOISE_KEY_LEN], const uint8_t *payload,
                             size_t payload_len, uint8_t *out) __attribute__((warn_unused_result));
bool noise_consume_initiation(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload)
    __attribute__((warn_unused_result));
bool noise_create_response(struct noise *noise, const uint8_t ephemeral_private[static NOISE_KEY_LEN], const uint8_t *payload,
                           size_t payload_len, uint8_t *out) __attribute__((warn_unused_result));
bool noise_consume_response(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload) __attribute__((warn_unused_result));

// Split() after message 2.
void noise_split(const struct noise *noise, struct noise_keys *keys);
// A data key from a key of Split, with the data cipher's name mixed in: BLAKE2b-256 keyed with it over a label (docs/protocol.md).
void noise_derive_data_key(uint8_t out[static NOISE_KEY_LEN], const uint8_t split_key[static NOISE_KEY_LEN], const char *cipher_name);

// Noise's ENCRYPT and DECRYPT, with its nonces; the published vectors' transport messages need them on their own.
struct noise_box {
    enum noise_cipher cipher;
    const uint8_t *key; // 32 bytes
    uint64_t nonce;
    const uint8_t *ad;
    size_t ad_len;
};
void noise_seal(const struct noise_box *box, const uint8_t *in, size_t len, uint8_t *out);
bool noise_open(const struct noise_box *box, const uint8_t *in, size_t len, uint8_t *out) __attribute__((warn_unused_result));
// Whether AESGCM works on this CPU.
bool noise_cipher_is_available(enum noise_cipher cipher);

#endif
