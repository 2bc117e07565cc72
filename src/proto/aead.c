// SPDX-License-Identifier: MIT
/*
 * aead: see the header. Both ciphers get the same nonce, so that a counter means the same whatever was negotiated; AES-256-GCM's key
 * schedule is expanded once per key, not once per message.
 */
#include "ethercord/aead.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/log.h"

enum { NONCE_LEN = 12, AD_LEN = 16 };

_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_TAG_LEN && crypto_aead_aes256gcm_ABYTES == AEAD_TAG_LEN, "tags");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == AEAD_KEY_LEN && crypto_aead_aes256gcm_KEYBYTES == AEAD_KEY_LEN, "keys");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_LEN && crypto_aead_aes256gcm_NPUBBYTES == NONCE_LEN, "nonces");

static const char *const cipher_names[] = {
    [CIPHER_NONE] = "none",
    [CIPHER_CHACHA20_POLY1305] = "chacha20-poly1305",
    [CIPHER_AES_256_GCM] = "aes-256-gcm",
};
_Static_assert(sizeof cipher_names / sizeof cipher_names[0] == CIPHER_COUNT, "one name per cipher");

static void make_nonce(uint8_t nonce[static NONCE_LEN], uint64_t counter)
{
    memset(nonce, 0, 4);
    store_le64(nonce + 4, counter);
}

const char *cipher_name(enum cipher cipher)
{
    ensure((unsigned)cipher < CIPHER_COUNT);
    return cipher_names[cipher];
}

bool cipher_parse(const char *name, enum cipher *cipher)
{
    for (unsigned i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++) {
        if (strcmp(name, cipher_names[i]) == 0) {
            *cipher = (enum cipher)i;
            return true;
        }
    }
    return false;
}

bool cipher_is_available(enum cipher cipher)
{
    switch (cipher) {
    case CIPHER_CHACHA20_POLY1305:
        return true;
    case CIPHER_AES_256_GCM:
        return crypto_aead_aes256gcm_is_available() == 1;
    case CIPHER_NONE:
    case CIPHER_COUNT:
        break;
    }
    return false;
}

uint16_t ciphers_available(void)
{
    unsigned set = 0;
    for (unsigned i = 0; i < CIPHER_COUNT; i++) {
        if (cipher_is_available((enum cipher)i))
            set |= 1U << i;
    }
    return (uint16_t)set;
}

enum cipher cipher_choose(uint16_t set)
{
    if (set & 1U << CIPHER_AES_256_GCM)
        return CIPHER_AES_256_GCM;
    if (set & 1U << CIPHER_CHACHA20_POLY1305)
        return CIPHER_CHACHA20_POLY1305;
    return CIPHER_NONE;
}

void aead_key_init(struct aead_key *key, enum cipher cipher, const uint8_t secret[static AEAD_KEY_LEN])
{
    // Without AES-NI libsodium's AES functions execute illegal instructions: never get that far.
    ensure(cipher_is_available(cipher));
    memset(key, 0, sizeof *key);
    key->cipher = cipher;
    if (cipher == CIPHER_AES_256_GCM)
        crypto_aead_aes256gcm_beforenm(&key->u.aes, secret);
    else
        memcpy(key->u.chacha, secret, AEAD_KEY_LEN);
}

void aead_key_deinit(struct aead_key *key)
{
    sodium_memzero(key, sizeof *key);
}

void aead_seal(const struct aead_key *key, uint64_t counter, const uint8_t ad[static 16], const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[NONCE_LEN];
    make_nonce(nonce, counter);
    // A key that was wiped, or never made, must not turn into sealing under zeros.
    ensure(key->cipher != CIPHER_NONE);
    if (key->cipher == CIPHER_AES_256_GCM)
        crypto_aead_aes256gcm_encrypt_afternm(out, NULL, in, len, ad, AD_LEN, NULL, nonce, &key->u.aes);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, AD_LEN, NULL, nonce, key->u.chacha);
}

bool aead_open(const struct aead_key *key, uint64_t counter, const uint8_t ad[static 16], const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[NONCE_LEN];
    if (len < AEAD_TAG_LEN || key->cipher == CIPHER_NONE)
        return false;
    make_nonce(nonce, counter);
    if (key->cipher == CIPHER_AES_256_GCM)
        return crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, in, len, ad, AD_LEN, nonce, &key->u.aes) == 0;
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, AD_LEN, nonce, key->u.chacha) == 0;
}
