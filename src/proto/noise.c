// SPDX-License-Identifier: MIT
/*
 * noise: see the header. Section numbers are those of The Noise Protocol Framework, revision 34.
 *
 *   IK:  <- s                     IKpsk2:  <- s
 *        ...                               ...
 *        -> e, es, s, ss                   -> e, es, s, ss
 *        <- e, ee, se                      <- e, ee, se, psk
 *
 * From the bottom up: HMAC-BLAKE2b and HKDF (libsodium has neither), the SymmetricState's Mix… functions, one helper per token, then the
 * four message functions, which read as the list above. All of them work on a copy and commit it at the end.
 */
#include "ethercord/noise.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/log.h"

enum { HMAC_BLOCK_LEN = 128, NONCE_LEN = 12 };

static const char data_key_label[] = "ethercord 1 data key ";

_Static_assert(crypto_scalarmult_BYTES == NOISE_KEY_LEN, "X25519 keys");
_Static_assert(crypto_generichash_BYTES_MAX == NOISE_HASH_LEN, "BLAKE2b-512");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_LEN && crypto_aead_aes256gcm_NPUBBYTES == NONCE_LEN, "nonces");

// Up to three outputs of HKDF (section 4.3).
struct hkdf_output {
    uint8_t at[3][NOISE_HASH_LEN];
};

static const char *protocol_name(enum noise_cipher cipher, bool has_psk)
{
    static const char *const names[2][2] = {
        [NOISE_CHACHAPOLY] = {"Noise_IK_25519_ChaChaPoly_BLAKE2b", "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"},
        [NOISE_AESGCM] = {"Noise_IK_25519_AESGCM_BLAKE2b", "Noise_IKpsk2_25519_AESGCM_BLAKE2b"},
    };
    return names[cipher][has_psk ? 1 : 0];
}

static void make_nonce(uint8_t nonce[static NONCE_LEN], enum noise_cipher cipher, uint64_t n)
{
    // The two ciphers differ in byte order (section 12).
    memset(nonce, 0, 4);
    if (cipher == NOISE_AESGCM)
        store_be64(nonce + 4, n);
    else
        store_le64(nonce + 4, n);
}

static void hmac_pad(uint8_t pad[static HMAC_BLOCK_LEN], const uint8_t key[static NOISE_HASH_LEN], uint8_t value)
{
    memset(pad, value, HMAC_BLOCK_LEN);
    for (size_t i = 0; i < NOISE_HASH_LEN; i++)
        pad[i] ^= key[i];
}

// One of HMAC's two hashes: H(pad || in || tail).
static void hash_padded(uint8_t out[static NOISE_HASH_LEN], const uint8_t pad[static HMAC_BLOCK_LEN], struct reader in, struct reader tail)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, NOISE_HASH_LEN);
    crypto_generichash_update(&state, pad, HMAC_BLOCK_LEN);
    crypto_generichash_update(&state, in.at, in.left);
    crypto_generichash_update(&state, tail.at, tail.left);
    crypto_generichash_final(&state, out, NOISE_HASH_LEN);
    sodium_memzero(&state, sizeof state);
}

// RFC 2104 over in || tail. All keys here are as long as the hash, shorter than the block, so none needs hashing first.
static void hmac(uint8_t out[static NOISE_HASH_LEN], const uint8_t key[static NOISE_HASH_LEN], struct reader in, struct reader tail)
{
    uint8_t pad[HMAC_BLOCK_LEN];
    uint8_t inner[NOISE_HASH_LEN];
    hmac_pad(pad, key, 0x36);
    hash_padded(inner, pad, in, tail);
    hmac_pad(pad, key, 0x5c);
    hash_padded(out, pad, reader_of(inner, sizeof inner), reader_of(NULL, 0));
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

static void hkdf(struct hkdf_output *out, const uint8_t ck[static NOISE_HASH_LEN], struct reader input, size_t n_outputs)
{
    uint8_t temp[NOISE_HASH_LEN];
    struct reader previous = reader_of(NULL, 0);
    hmac(temp, ck, input, reader_of(NULL, 0));
    for (size_t i = 0; i < n_outputs; i++) {
        uint8_t ordinal = (uint8_t)(i + 1);
        hmac(out->at[i], temp, previous, reader_of(&ordinal, 1));
        previous = reader_of(out->at[i], NOISE_HASH_LEN);
    }
    sodium_memzero(temp, sizeof temp);
}

// The key of a hash's length is cut to the cipher's (section 5.2, MixKey); the nonce starts again.
static void set_cipher_key(struct noise *noise, const uint8_t k[static NOISE_HASH_LEN])
{
    memcpy(noise->k, k, NOISE_KEY_LEN);
    noise->n = 0;
    noise->has_k = true;
}

static void mix_hash(struct noise *noise, const uint8_t *bytes, size_t len)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, NOISE_HASH_LEN);
    crypto_generichash_update(&state, noise->h, NOISE_HASH_LEN);
    crypto_generichash_update(&state, bytes, len);
    crypto_generichash_final(&state, noise->h, NOISE_HASH_LEN);
    sodium_memzero(&state, sizeof state);
}

static void mix_key(struct noise *noise, const uint8_t input[static NOISE_KEY_LEN])
{
    struct hkdf_output out;
    hkdf(&out, noise->ck, reader_of(input, NOISE_KEY_LEN), 2);
    memcpy(noise->ck, out.at[0], NOISE_HASH_LEN);
    set_cipher_key(noise, out.at[1]);
    sodium_memzero(&out, sizeof out);
}

static void mix_key_and_hash(struct noise *noise, const uint8_t input[static NOISE_KEY_LEN])
{
    struct hkdf_output out;
    hkdf(&out, noise->ck, reader_of(input, NOISE_KEY_LEN), 3);
    memcpy(noise->ck, out.at[0], NOISE_HASH_LEN);
    mix_hash(noise, out.at[1], NOISE_HASH_LEN);
    set_cipher_key(noise, out.at[2]);
    sodium_memzero(&out, sizeof out);
}

static struct noise_box handshake_box(struct noise *noise)
{
    ensure(noise->has_k);
    return (struct noise_box){.cipher = noise->cipher, .key = noise->k, .nonce = noise->n++, .ad = noise->h, .ad_len = NOISE_HASH_LEN};
}

// Writes len + NOISE_TAG_LEN bytes.
static void encrypt_and_hash(struct noise *noise, const uint8_t *plain, size_t len, uint8_t *out)
{
    struct noise_box box = handshake_box(noise);
    noise_seal(&box, plain, len, out);
    mix_hash(noise, out, len + NOISE_TAG_LEN);
}

// `len` includes the tag.
static bool decrypt_and_hash(struct noise *noise, const uint8_t *sealed, size_t len, uint8_t *plain)
{
    struct noise_box box = handshake_box(noise);
    if (!noise_open(&box, sealed, len, plain))
        return false;
    mix_hash(noise, sealed, len);
    return true;
}

static bool mix_dh(struct noise *noise, const uint8_t private_key[static NOISE_KEY_LEN], const uint8_t public_key[static NOISE_KEY_LEN])
{
    uint8_t shared[NOISE_KEY_LEN];
    // libsodium refuses points of low order, so an attacker can't force a known (all-zero) result.
    bool is_good = crypto_scalarmult_curve25519(shared, private_key, public_key) == 0;
    if (is_good)
        mix_key(noise, shared);
    sodium_memzero(shared, sizeof shared);
    return is_good;
}

// Token e of either end. In a psk handshake it is mixed into the key as well (section 9.2).
static void mix_ephemeral(struct noise *noise, const uint8_t e[static NOISE_KEY_LEN])
{
    mix_hash(noise, e, NOISE_KEY_LEN);
    if (noise->has_psk)
        mix_key(noise, e);
}

static void write_ephemeral(struct noise *noise, const uint8_t private_key[static NOISE_KEY_LEN], uint8_t *out)
{
    memcpy(noise->e_private, private_key, NOISE_KEY_LEN);
    noise_public_key(noise->e_public, private_key);
    memcpy(out, noise->e_public, NOISE_KEY_LEN);
    mix_ephemeral(noise, noise->e_public);
}

static void read_ephemeral(struct noise *noise, const uint8_t *in)
{
    memcpy(noise->re, in, NOISE_KEY_LEN);
    mix_ephemeral(noise, noise->re);
}

// After the last message only ck (for Split) and h are of use.
static void forget_inputs(struct noise *noise)
{
    sodium_memzero(noise->e_private, sizeof noise->e_private);
    sodium_memzero(noise->s_private, sizeof noise->s_private);
    sodium_memzero(noise->psk, sizeof noise->psk);
    sodium_memzero(noise->k, sizeof noise->k);
    noise->has_k = false;
}

static void write_initiation_payload(struct noise *noise, const uint8_t *payload, size_t len, uint8_t *out)
{
    encrypt_and_hash(noise, payload, len, out + NOISE_KEY_LEN + NOISE_KEY_LEN + NOISE_TAG_LEN);
}

static bool write_initiation_keys(struct noise *noise, const uint8_t *ephemeral_private, uint8_t *out)
{
    write_ephemeral(noise, ephemeral_private, out);  /* e */
    if (!mix_dh(noise, noise->e_private, noise->rs)) /* es */
        return false;
    encrypt_and_hash(noise, noise->s_public, NOISE_KEY_LEN, out + NOISE_KEY_LEN); /* s */
    return mix_dh(noise, noise->s_private, noise->rs);                            /* ss */
}

static bool read_initiation(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload)
{
    const uint8_t *sealed_static = message + NOISE_KEY_LEN;
    const uint8_t *sealed_payload = sealed_static + NOISE_KEY_LEN + NOISE_TAG_LEN;
    read_ephemeral(noise, message);                  /* e */
    if (!mix_dh(noise, noise->s_private, noise->re)) /* es */
        return false;
    if (!decrypt_and_hash(noise, sealed_static, NOISE_KEY_LEN + NOISE_TAG_LEN, noise->rs)) /* s */
        return false;
    if (!mix_dh(noise, noise->s_private, noise->rs)) /* ss */
        return false;
    return decrypt_and_hash(noise, sealed_payload, len - NOISE_INITIATION_OVERHEAD + NOISE_TAG_LEN, payload);
}

static bool write_response_keys(struct noise *noise, const uint8_t *ephemeral_private, uint8_t *out)
{
    write_ephemeral(noise, ephemeral_private, out);  /* e */
    if (!mix_dh(noise, noise->e_private, noise->re)) /* ee */
        return false;
    if (!mix_dh(noise, noise->e_private, noise->rs)) /* se */
        return false;
    if (noise->has_psk)
        mix_key_and_hash(noise, noise->psk); /* psk */
    return true;
}

static bool read_response(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload)
{
    read_ephemeral(noise, message);                  /* e */
    if (!mix_dh(noise, noise->e_private, noise->re)) /* ee */
        return false;
    if (!mix_dh(noise, noise->s_private, noise->re)) /* se */
        return false;
    if (noise->has_psk)
        mix_key_and_hash(noise, noise->psk); /* psk */
    return decrypt_and_hash(noise, message + NOISE_KEY_LEN, len - NOISE_KEY_LEN, payload);
}

// The copy becomes the handshake if all went well, and is wiped in any case.
static bool commit(struct noise *noise, struct noise *copy, bool is_good)
{
    if (is_good)
        *noise = *copy;
    sodium_memzero(copy, sizeof *copy);
    return is_good;
}

void noise_public_key(uint8_t public_key[static NOISE_KEY_LEN], const uint8_t private_key[static NOISE_KEY_LEN])
{
    crypto_scalarmult_base(public_key, private_key);
}

void noise_init(struct noise *noise, const struct noise_params *params)
{
    const char *name = protocol_name(params->cipher, params->has_psk);
    ensure(noise_cipher_is_available(params->cipher));
    memset(noise, 0, sizeof *noise);
    noise->cipher = params->cipher;
    noise->is_initiator = params->is_initiator;
    noise->has_psk = params->has_psk;
    // All four names are shorter than the hash, so h is the name padded with zeros (section 5.2).
    memcpy(noise->h, name, strlen(name));
    memcpy(noise->ck, noise->h, NOISE_HASH_LEN);
    mix_hash(noise, params->prologue, params->prologue_len);
    memcpy(noise->s_private, params->static_private, NOISE_KEY_LEN);
    noise_public_key(noise->s_public, noise->s_private);
    if (params->is_initiator)
        memcpy(noise->rs, params->remote_static, NOISE_KEY_LEN);
    mix_hash(noise, params->is_initiator ? noise->rs : noise->s_public, NOISE_KEY_LEN); /* pre-message s */
}

void noise_deinit(struct noise *noise)
{
    sodium_memzero(noise, sizeof *noise);
}

void noise_set_psk(struct noise *noise, const uint8_t psk[static NOISE_KEY_LEN])
{
    ensure(noise->has_psk);
    memcpy(noise->psk, psk, NOISE_KEY_LEN);
}

bool noise_create_initiation(struct noise *noise, const uint8_t ephemeral_private[static NOISE_KEY_LEN], const uint8_t *payload,
                             size_t payload_len, uint8_t *out)
{
    struct noise copy = *noise;
    bool is_good = write_initiation_keys(&copy, ephemeral_private, out);
    if (is_good)
        write_initiation_payload(&copy, payload, payload_len, out);
    return commit(noise, &copy, is_good);
}

bool noise_consume_initiation(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload)
{
    if (len < NOISE_INITIATION_OVERHEAD)
        return false;
    struct noise copy = *noise;
    bool is_good = read_initiation(&copy, message, len, payload);
    return commit(noise, &copy, is_good);
}

bool noise_create_response(struct noise *noise, const uint8_t ephemeral_private[static NOISE_KEY_LEN], const uint8_t *payload,
                           size_t payload_len, uint8_t *out)
{
    struct noise copy = *noise;
    bool is_good = write_response_keys(&copy, ephemeral_private, out);
    if (is_good) {
        encrypt_and_hash(&copy, payload, payload_len, out + NOISE_KEY_LEN);
        forget_inputs(&copy);
    }
    return commit(noise, &copy, is_good);
}

bool noise_consume_response(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload)
{
    if (len < NOISE_RESPONSE_OVERHEAD)
        return false;
    struct noise copy = *noise;
    bool is_good = read_response(&copy, message, len, payload);
    if (is_good)
        forget_inputs(&copy);
    return commit(noise, &copy, is_good);
}

void noise_split(const struct noise *noise, struct noise_keys *keys)
{
    struct hkdf_output out;
    hkdf(&out, noise->ck, reader_of(NULL, 0), 2);
    memcpy(keys->to_responder, out.at[0], NOISE_KEY_LEN);
    memcpy(keys->to_initiator, out.at[1], NOISE_KEY_LEN);
    sodium_memzero(&out, sizeof out);
}

void noise_derive_data_key(uint8_t out[static NOISE_KEY_LEN], const uint8_t split_key[static NOISE_KEY_LEN], const char *cipher_name)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, split_key, NOISE_KEY_LEN, NOISE_KEY_LEN);
    crypto_generichash_update(&state, (const uint8_t *)data_key_label, sizeof data_key_label - 1);
    crypto_generichash_update(&state, (const uint8_t *)cipher_name, strlen(cipher_name));
    crypto_generichash_final(&state, out, NOISE_KEY_LEN);
    sodium_memzero(&state, sizeof state);
}

void noise_seal(const struct noise_box *box, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[NONCE_LEN];
    make_nonce(nonce, box->cipher, box->nonce);
    if (box->cipher == NOISE_AESGCM)
        crypto_aead_aes256gcm_encrypt(out, NULL, in, len, box->ad, box->ad_len, NULL, nonce, box->key);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, box->ad, box->ad_len, NULL, nonce, box->key);
}

bool noise_open(const struct noise_box *box, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[NONCE_LEN];
    if (len < NOISE_TAG_LEN)
        return false;
    make_nonce(nonce, box->cipher, box->nonce);
    if (box->cipher == NOISE_AESGCM)
        return crypto_aead_aes256gcm_decrypt(out, NULL, NULL, in, len, box->ad, box->ad_len, nonce, box->key) == 0;
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, box->ad, box->ad_len, nonce, box->key) == 0;
}

bool noise_cipher_is_available(enum noise_cipher cipher)
{
    return cipher == NOISE_CHACHAPOLY || crypto_aead_aes256gcm_is_available() == 1;
}
