// SPDX-License-Identifier: MIT
/*
 * noise beyond the published vectors: payload lengths, wrong keys and PSKs, points of low order, wiping, and the data keys.
 *
 * Low-order points are offered by a forger with a Noise of its own (`struct forger`), who knows the all-zero Diffie-Hellman result and
 * so makes tags that verify: only the check of the result itself stands in the way. The same forger with an honest key is accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "ethercord/noise.h"

enum { MESSAGE_CAP = 1200 };

static const uint8_t prologue[] = "test";
static const uint8_t zero_key[NOISE_KEY_LEN];

struct ends {
    uint8_t init_private[NOISE_KEY_LEN];
    uint8_t resp_private[NOISE_KEY_LEN];
    uint8_t resp_public[NOISE_KEY_LEN];
    struct noise initiator;
    struct noise responder;
};

static void fill(uint8_t *key, uint8_t seed)
{
    for (size_t i = 0; i < NOISE_KEY_LEN; i++)
        key[i] = (uint8_t)(seed + i);
}

static void ends_init(struct ends *ends, bool has_psk)
{
    fill(ends->init_private, 1);
    fill(ends->resp_private, 101);
    noise_public_key(ends->resp_public, ends->resp_private);
    struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .is_initiator = true,
        .has_psk = has_psk,
        .prologue = prologue,
        .prologue_len = sizeof prologue,
        .static_private = ends->init_private,
        .remote_static = ends->resp_public,
    };
    noise_init(&ends->initiator, &params);
    params.is_initiator = false;
    params.static_private = ends->resp_private;
    params.remote_static = NULL;
    noise_init(&ends->responder, &params);
}

static size_t initiate(struct ends *ends, size_t payload_len, uint8_t *message)
{
    uint8_t ephemeral[NOISE_KEY_LEN];
    static uint8_t payload[MESSAGE_CAP];
    fill(ephemeral, 33);
    memset(payload, 0xa5, sizeof payload);
    assert_true(noise_create_initiation(&ends->initiator, ephemeral, payload, payload_len, message));
    return payload_len + NOISE_INITIATION_OVERHEAD;
}

static size_t respond(struct ends *ends, size_t payload_len, uint8_t *message)
{
    uint8_t ephemeral[NOISE_KEY_LEN];
    static uint8_t payload[MESSAGE_CAP];
    fill(ephemeral, 77);
    memset(payload, 0x5a, sizeof payload);
    assert_true(noise_create_response(&ends->responder, ephemeral, payload, payload_len, message));
    return payload_len + NOISE_RESPONSE_OVERHEAD;
}

static void test_payload_lengths(void **state)
{
    static const size_t lengths[] = {0, 1, 20, 63, 64, 65, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        static struct ends ends;
        struct noise_keys a;
        struct noise_keys b;
        static uint8_t message[MESSAGE_CAP];
        static uint8_t payload[MESSAGE_CAP];
        ends_init(&ends, true);
        size_t len = initiate(&ends, lengths[i], message);
        assert_true(noise_consume_initiation(&ends.responder, message, len, payload));
        len = respond(&ends, lengths[i], message);
        assert_true(noise_consume_response(&ends.initiator, message, len, payload));
        noise_split(&ends.initiator, &a);
        noise_split(&ends.responder, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_not_equal(a.to_initiator, a.to_responder, NOISE_KEY_LEN);
        assert_memory_equal(ends.initiator.h, ends.responder.h, NOISE_HASH_LEN);
    }
}

// A PSK that is never set is 32 zero bytes, which is what a node without one uses.
static void test_zero_psk_is_the_default(void **state)
{
    static struct ends ends;
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    (void)state;
    ends_init(&ends, true);
    noise_set_psk(&ends.responder, zero_key);
    assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
    assert_true(noise_consume_response(&ends.initiator, message, respond(&ends, 8, message), payload));
}

static void test_wrong_psk(void **state)
{
    static struct ends ends;
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    uint8_t psk[NOISE_KEY_LEN];
    (void)state;
    ends_init(&ends, true);
    fill(psk, 9);
    noise_set_psk(&ends.initiator, psk);
    psk[31] ^= 1;
    noise_set_psk(&ends.responder, psk);
    // The PSK comes in with message 2: the responder can look it up by the static key of message 1.
    assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
    struct noise before = ends.responder;
    size_t len = respond(&ends, 8, message);
    assert_false(noise_consume_response(&ends.initiator, message, len, payload));
    psk[31] ^= 1;
    noise_set_psk(&before, psk);
    ends.responder = before;
    len = respond(&ends, 8, message);
    assert_true(noise_consume_response(&ends.initiator, message, len, payload));
}

static void test_wrong_ends(void **state)
{
    static struct ends ends;
    static struct ends other;
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    (void)state;
    ends_init(&ends, true);
    ends_init(&other, false); // IK is not IKpsk2
    size_t len = initiate(&ends, 20, message);
    assert_false(noise_consume_initiation(&other.responder, message, len, payload));

    struct noise_params params = {.cipher = NOISE_CHACHAPOLY,
                                  .has_psk = true,
                                  .prologue = prologue,
                                  .prologue_len = sizeof prologue,
                                  .static_private = ends.init_private};
    noise_init(&other.responder, &params); // another static key
    assert_false(noise_consume_initiation(&other.responder, message, len, payload));
    params.static_private = ends.resp_private;
    params.prologue_len--; // another prologue
    noise_init(&other.responder, &params);
    assert_false(noise_consume_initiation(&other.responder, message, len, payload));
    params.prologue_len++;
    noise_init(&other.responder, &params);
    assert_true(noise_consume_initiation(&other.responder, message, len, payload));
}

// A second initiation by the same initiator must not accept the first one's response.
static void test_stale_response(void **state)
{
    static struct ends ends;
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    (void)state;
    ends_init(&ends, true);
    struct noise fresh = ends.initiator;
    assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
    size_t len = respond(&ends, 8, message);
    struct noise first = ends.initiator;
    uint8_t ephemeral[NOISE_KEY_LEN];
    static uint8_t initiation[MESSAGE_CAP];
    fill(ephemeral, 34);
    assert_true(noise_create_initiation(&fresh, ephemeral, payload, 20, initiation));
    assert_false(noise_consume_response(&fresh, message, len, payload));
    assert_true(noise_consume_response(&first, message, len, payload));
    // And none twice: the ephemeral key is gone.
    assert_false(noise_consume_response(&first, message, len, payload));
}

static void test_wiping(void **state)
{
    static struct ends ends;
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    uint8_t psk[NOISE_KEY_LEN];
    (void)state;
    ends_init(&ends, true);
    fill(psk, 9);
    noise_set_psk(&ends.initiator, psk);
    noise_set_psk(&ends.responder, psk);
    assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
    assert_true(noise_consume_response(&ends.initiator, message, respond(&ends, 8, message), payload));
    struct noise *both[] = {&ends.initiator, &ends.responder};
    for (size_t i = 0; i < 2; i++) {
        struct noise *noise = both[i];
        assert_memory_equal(noise->e_private, zero_key, NOISE_KEY_LEN);
        assert_memory_equal(noise->s_private, zero_key, NOISE_KEY_LEN);
        assert_memory_equal(noise->psk, zero_key, NOISE_KEY_LEN);
        assert_memory_equal(noise->k, zero_key, NOISE_KEY_LEN);
        assert_false(sodium_is_zero(noise->ck, sizeof noise->ck));
        noise_deinit(noise);
        assert_true(sodium_is_zero((const uint8_t *)noise, sizeof *noise));
    }
}

static const char *const low_order_points[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
enum { N_LOW_ORDER = sizeof low_order_points / sizeof low_order_points[0] };

static void low_order_point(uint8_t point[static NOISE_KEY_LEN], size_t i)
{
    size_t len;
    assert_int_equal(sodium_hex2bin(point, NOISE_KEY_LEN, low_order_points[i], 64, NULL, &len, NULL), 0);
    assert_int_equal(len, NOISE_KEY_LEN);
}

static void test_low_order_remote_static(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LOW_ORDER; i++) {
        static struct ends ends;
        static uint8_t message[MESSAGE_CAP];
        uint8_t ephemeral[NOISE_KEY_LEN];
        ends_init(&ends, true);
        low_order_point(ends.initiator.rs, i);
        fill(ephemeral, 33);
        const struct noise before = ends.initiator;
        assert_false(noise_create_initiation(&ends.initiator, ephemeral, NULL, 0, message));
        assert_memory_equal(&ends.initiator, &before, sizeof before);
    }
}

// The responder learns rs and re from message 1; should they be of low order, no message 2 may leave either.
static void test_low_order_response(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * N_LOW_ORDER; i++) {
        static struct ends ends;
        static uint8_t message[MESSAGE_CAP];
        static uint8_t payload[MESSAGE_CAP];
        uint8_t ephemeral[NOISE_KEY_LEN];
        ends_init(&ends, true);
        assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
        low_order_point(i % 2 == 0 ? ends.responder.rs : ends.responder.re, i / 2);
        fill(ephemeral, 77);
        const struct noise before = ends.responder;
        assert_false(noise_create_response(&ends.responder, ephemeral, payload, 8, message));
        assert_memory_equal(&ends.responder, &before, sizeof before);
    }
}

// A second, independent SymmetricState: IK with ChaChaPoly only.
struct forger {
    uint8_t ck[64];
    uint8_t h[64];
    uint8_t k[32];
};

static void forger_hash(uint8_t out[64], const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    uint8_t both[1024];
    assert_true(a_len + b_len <= sizeof both);
    memcpy(both, a, a_len);
    if (b_len > 0)
        memcpy(both + a_len, b, b_len);
    crypto_generichash(out, 64, both, a_len + b_len, NULL, 0);
}

static void forger_hmac(uint8_t out[64], const uint8_t key[64], const uint8_t *in, size_t len)
{
    uint8_t pad[128];
    uint8_t inner[64];
    for (size_t i = 0; i < 128; i++)
        pad[i] = (uint8_t)((i < 64 ? key[i] : 0) ^ 0x36);
    forger_hash(inner, pad, 128, in, len);
    for (size_t i = 0; i < 128; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    forger_hash(out, pad, 128, inner, 64);
}

static void forger_mix_key(struct forger *forger, const uint8_t dh[32])
{
    uint8_t temp[64];
    uint8_t input[65];
    forger_hmac(temp, forger->ck, dh, 32);
    input[0] = 1;
    forger_hmac(forger->ck, temp, input, 1);
    memcpy(input, forger->ck, 64);
    input[64] = 2;
    uint8_t out[64];
    forger_hmac(out, temp, input, 65);
    memcpy(forger->k, out, 32);
}

// Each key seals once only before the next MixKey, so the nonce is always zero.
static void forger_seal(struct forger *forger, const uint8_t *in, size_t len, uint8_t *out)
{
    static const uint8_t nonce[12];
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, forger->h, 64, NULL, nonce, forger->k);
    forger_hash(forger->h, forger->h, 64, out, len + 16);
}

struct forgery {
    uint8_t e[32];
    uint8_t es[32];
    uint8_t s[32];
    uint8_t ss[32];
};

static size_t forge_initiation(const struct forgery *forgery, const uint8_t rs[32], uint8_t *message)
{
    static const char name[64] = "Noise_IK_25519_ChaChaPoly_BLAKE2b";
    struct forger forger;
    memcpy(forger.h, name, 64);
    memcpy(forger.ck, name, 64);
    forger_hash(forger.h, forger.h, 64, prologue, sizeof prologue);
    forger_hash(forger.h, forger.h, 64, rs, 32);
    memcpy(message, forgery->e, 32);
    forger_hash(forger.h, forger.h, 64, forgery->e, 32);
    forger_mix_key(&forger, forgery->es);
    forger_seal(&forger, forgery->s, 32, message + 32);
    forger_mix_key(&forger, forgery->ss);
    forger_seal(&forger, NULL, 0, message + 80);
    return 96;
}

static void test_forged_low_order_initiation(void **state)
{
    static struct ends ends;
    struct forgery honest;
    uint8_t e_private[32];
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    (void)state;
    ends_init(&ends, false);
    fill(e_private, 55);
    noise_public_key(honest.e, e_private);
    noise_public_key(honest.s, ends.init_private);
    assert_int_equal(crypto_scalarmult(honest.es, e_private, ends.resp_public), 0);
    assert_int_equal(crypto_scalarmult(honest.ss, ends.init_private, ends.resp_public), 0);
    const struct noise before = ends.responder;
    for (size_t i = 0; i < N_LOW_ORDER; i++) {
        struct forgery forgery = honest;
        low_order_point(forgery.e, i);
        memset(forgery.es, 0, sizeof forgery.es);
        assert_false(noise_consume_initiation(&ends.responder, message, forge_initiation(&forgery, ends.resp_public, message), payload));
        forgery = honest;
        low_order_point(forgery.s, i);
        memset(forgery.ss, 0, sizeof forgery.ss);
        assert_false(noise_consume_initiation(&ends.responder, message, forge_initiation(&forgery, ends.resp_public, message), payload));
    }
    assert_memory_equal(&ends.responder, &before, sizeof before);
    assert_true(noise_consume_initiation(&ends.responder, message, forge_initiation(&honest, ends.resp_public, message), payload));
}

// Goes on from an honest responder's state after message 1.
static size_t forge_response(const struct noise *responder, const struct forgery *forgery, uint8_t *message)
{
    struct forger forger;
    memcpy(forger.h, responder->h, 64);
    memcpy(forger.ck, responder->ck, 64);
    memcpy(message, forgery->e, 32);
    forger_hash(forger.h, forger.h, 64, forgery->e, 32);
    forger_mix_key(&forger, forgery->es); // here: ee
    forger_mix_key(&forger, forgery->ss); // here: se
    forger_seal(&forger, NULL, 0, message + 32);
    return 48;
}

static void test_forged_low_order_response(void **state)
{
    static struct ends ends;
    struct forgery forgery = {{0}, {0}, {0}, {0}};
    uint8_t e_private[32];
    static uint8_t message[MESSAGE_CAP];
    static uint8_t payload[MESSAGE_CAP];
    (void)state;
    ends_init(&ends, false);
    assert_true(noise_consume_initiation(&ends.responder, message, initiate(&ends, 20, message), payload));
    const struct noise before = ends.initiator;
    for (size_t i = 0; i < N_LOW_ORDER; i++) {
        low_order_point(forgery.e, i);
        size_t len = forge_response(&ends.responder, &forgery, message);
        assert_false(noise_consume_response(&ends.initiator, message, len, payload));
    }
    assert_memory_equal(&ends.initiator, &before, sizeof before);
    fill(e_private, 55);
    noise_public_key(forgery.e, e_private);
    assert_int_equal(crypto_scalarmult(forgery.es, e_private, ends.responder.re), 0);
    assert_int_equal(crypto_scalarmult(forgery.ss, e_private, ends.responder.rs), 0);
    size_t len = forge_response(&ends.responder, &forgery, message);
    assert_true(noise_consume_response(&ends.initiator, message, len, payload));
}

static void test_data_keys(void **state)
{
    static const char label[] = "ethercord 1 data key aes-256-gcm";
    uint8_t split_key[NOISE_KEY_LEN];
    uint8_t aes[NOISE_KEY_LEN];
    uint8_t chacha[NOISE_KEY_LEN];
    uint8_t expected[NOISE_KEY_LEN];
    (void)state;
    fill(split_key, 3);
    noise_derive_data_key(aes, split_key, "aes-256-gcm");
    noise_derive_data_key(chacha, split_key, "chacha20-poly1305");
    crypto_generichash(expected, sizeof expected, (const uint8_t *)label, sizeof label - 1, split_key, sizeof split_key);
    assert_memory_equal(aes, expected, sizeof expected);
    assert_memory_not_equal(aes, chacha, sizeof aes);
    assert_memory_not_equal(aes, split_key, sizeof aes);
}

// The responder's pair in the published vectors.
static void test_public_key(void **state)
{
    static const char hex_private[] = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
    uint8_t private_key[NOISE_KEY_LEN];
    uint8_t public_key[NOISE_KEY_LEN];
    char hex[2 * NOISE_KEY_LEN + 1];
    (void)state;
    sodium_hex2bin(private_key, sizeof private_key, hex_private, sizeof hex_private - 1, NULL, NULL, NULL);
    noise_public_key(public_key, private_key);
    sodium_bin2hex(hex, sizeof hex, public_key, sizeof public_key);
    assert_string_equal(hex, "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");
}

static void test_open_refuses_short(void **state)
{
    uint8_t key[NOISE_KEY_LEN];
    uint8_t sealed[NOISE_TAG_LEN];
    uint8_t out[1];
    (void)state;
    fill(key, 1);
    struct noise_box box = {.cipher = NOISE_CHACHAPOLY, .key = key, .nonce = UINT64_MAX};
    noise_seal(&box, NULL, 0, sealed);
    for (size_t len = 0; len < NOISE_TAG_LEN; len++)
        assert_false(noise_open(&box, sealed, len, out));
    assert_true(noise_open(&box, sealed, NOISE_TAG_LEN, out));
    assert_true(noise_cipher_is_available(NOISE_CHACHAPOLY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_lengths),
        cmocka_unit_test(test_zero_psk_is_the_default),
        cmocka_unit_test(test_wrong_psk),
        cmocka_unit_test(test_wrong_ends),
        cmocka_unit_test(test_stale_response),
        cmocka_unit_test(test_wiping),
        cmocka_unit_test(test_low_order_remote_static),
        cmocka_unit_test(test_low_order_response),
        cmocka_unit_test(test_forged_low_order_initiation),
        cmocka_unit_test(test_forged_low_order_response),
        cmocka_unit_test(test_data_keys),
        cmocka_unit_test(test_public_key),
        cmocka_unit_test(test_open_refuses_short),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
