// SPDX-License-Identifier: MIT
/*
 * aead: seal and open data messages with one of the two data ciphers.
 *
 * A thin layer on libsodium. The nonce of both ciphers is 4 zero bytes and the 64-bit counter, little-endian (docs/protocol.md).
 * That a counter is used once per key is the caller's duty.
 */
#ifndef ETHERCORD_AEAD_H
#define ETHERCORD_AEAD_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Wire values (docs/protocol.md#ciphers): also bit numbers in the set of supported ciphers.
enum cipher { CIPHER_NONE = 0, CIPHER_CHACHA20_POLY1305 = 1, CIPHER_AES_256_GCM = 2, CIPHER_COUNT };

enum { AEAD_KEY_LEN = 32, AEAD_TAG_LEN = 16 };

// An expanded key for one direction. Is itself a secret: keep in locked memory, wipe with aead_key_deinit().
struct aead_key {
    union {
        crypto_aead_aes256gcm_state aes; // 16-byte aligned
        uint8_t chacha[AEAD_KEY_LEN];
    } u;
    enum cipher cipher;
};

// "aes-256-gcm", "chacha20-poly1305"; "none" for CIPHER_NONE.
const char *cipher_name(enum cipher cipher);
// False when the name is not known ("auto" is the configuration's business).
bool cipher_parse(const char *name, enum cipher *cipher);
// Whether this CPU can do it: AES-256-GCM needs AES-NI and PCLMUL.
bool cipher_is_available(enum cipher cipher);
// Bit set (1 << cipher) of all that are available here.
uint16_t ciphers_available(void);
// The best of a set: AES-256-GCM before ChaCha20-Poly1305; CIPHER_NONE for an empty set. Unknown bits are ignored.
enum cipher cipher_choose(uint16_t set);

void aead_key_init(struct aead_key *key, enum cipher cipher, const uint8_t secret[static AEAD_KEY_LEN]);
void aead_key_deinit(struct aead_key *key);

// Seals `len` bytes at `in` to len + AEAD_TAG_LEN bytes at `out`; `out` may be `in`, else they must not overlap.
void aead_seal(const struct aead_key *key, uint64_t counter, const uint8_t ad[static 16], const uint8_t *in, size_t len, uint8_t *out);
// Opens `len` bytes (tag included) at `in` to len - AEAD_TAG_LEN bytes at `out`; `out` may be `in`. False when it does not verify or
// is shorter than a tag; what `out` holds then is not plaintext.
bool aead_open(const struct aead_key *key, uint64_t counter, const uint8_t ad[static 16], const uint8_t *in, size_t len, uint8_t *out)
    __attribute__((warn_unused_result));

#endif
