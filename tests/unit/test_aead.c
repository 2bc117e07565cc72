// SPDX-License-Identifier: MIT
/*
 * aead: both ciphers against libsodium's plain calls and against fixed known answers (those of docs/protocol.md#worked-examples), every
 * flipped bit, and every length that matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/aead.h"
#include "ethercord/bytes.h"

enum { LEN_MAX = 1600, CAP = LEN_MAX + AEAD_TAG_LEN, AD_LEN = 16 };

struct answer {
    enum cipher cipher;
    const char *sealed;
};

// Key 00 01 … 1f, header 04 000000 | index 0x12345678 | counter 0x0102030405060708, plaintext "ethercord".
static const char known_plain[] = "ethercord";
static const uint64_t known_counter = UINT64_C(0x0102030405060708);
static const uint8_t known_ad[AD_LEN] = {4, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1};
static const struct answer known_answers[] = {
    {CIPHER_CHACHA20_POLY1305, "953dc581d95a856a001f0f63e06f3de3c88aa010c0853d786c"},
    {CIPHER_AES_256_GCM, "798c9720104ca73cf186231dc2d8ef847c4357f764ff007a9a"},
};

static bool init_key(struct aead_key *key, enum cipher cipher, uint8_t secret[static AEAD_KEY_LEN])
{
    for (size_t i = 0; i < AEAD_KEY_LEN; i++)
        secret[i] = (uint8_t)i;
    if (!cipher_is_available(cipher)) {
        print_message("%s: skipped, not available on this CPU\n", cipher_name(cipher));
        return false;
    }
    aead_key_init(key, cipher, secret);
    return true;
}

static void fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
}

static void test_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known_answers / sizeof known_answers[0]; i++) {
        struct aead_key key;
        uint8_t secret[AEAD_KEY_LEN];
        uint8_t sealed[64];
        char hex[129];
        size_t len = sizeof known_plain - 1;
        if (!init_key(&key, known_answers[i].cipher, secret))
            continue;
        aead_seal(&key, known_counter, known_ad, (const uint8_t *)known_plain, len, sealed);
        sodium_bin2hex(hex, sizeof hex, sealed, len + AEAD_TAG_LEN);
        assert_string_equal(hex, known_answers[i].sealed);
    }
}

// libsodium's own one-shot calls, with the nonce written out by hand.
static void seal_plainly(enum cipher cipher, uint64_t counter, const uint8_t *ad, const struct reader *in, uint8_t *out)
{
    uint8_t secret[AEAD_KEY_LEN];
    uint8_t nonce[12] = {0};
    for (size_t i = 0; i < AEAD_KEY_LEN; i++)
        secret[i] = (uint8_t)i;
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> 8 * i);
    if (cipher == CIPHER_AES_256_GCM)
        crypto_aead_aes256gcm_encrypt(out, NULL, in->at, in->left, ad, AD_LEN, NULL, nonce, secret);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in->at, in->left, ad, AD_LEN, NULL, nonce, secret);
}

static void check_length(const struct aead_key *key, size_t len)
{
    static uint8_t plain[CAP];
    static uint8_t expected[CAP];
    static uint8_t work[CAP];
    uint64_t counter = UINT64_C(0xfedcba9876543210) + len;
    struct reader in = reader_of(plain, len);
    fill(plain, len);
    seal_plainly(key->cipher, counter, known_ad, &in, expected);
    aead_seal(key, counter, known_ad, plain, len, work);
    assert_memory_equal(work, expected, len + AEAD_TAG_LEN);
    assert_true(aead_open(key, counter, known_ad, work, len + AEAD_TAG_LEN, work)); // in place
    assert_memory_equal(work, plain, len);
    aead_seal(key, counter, known_ad, work, len, work); // in place
    assert_memory_equal(work, expected, len + AEAD_TAG_LEN);
    assert_true(aead_open(key, counter, known_ad, expected, len + AEAD_TAG_LEN, work));
    assert_memory_equal(work, plain, len);
}

static void test_lengths(void **state)
{
    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        struct aead_key key;
        uint8_t secret[AEAD_KEY_LEN];
        if (!init_key(&key, (enum cipher)cipher, secret))
            continue;
        for (size_t len = 0; len <= 300; len++)
            check_length(&key, len);
        for (size_t n = 3; n * 128 + 17 <= LEN_MAX; n++) {
            for (size_t len = n * 128 - 17; len <= n * 128 + 17; len++)
                check_length(&key, len);
        }
        aead_key_deinit(&key);
    }
}

// `bytes` is what one flips bits of; `sealed` and `ad` are what is opened.
static void check_flips(const struct aead_key *key, uint8_t *bytes, size_t n, const uint8_t *ad, const struct reader *sealed)
{
    uint8_t out[256];
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(aead_open(key, known_counter, ad, sealed->at, sealed->left, out));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_true(aead_open(key, known_counter, ad, sealed->at, sealed->left, out));
}

static void test_flipped_bits(void **state)
{
    static const size_t lengths[] = {0, 1, 16, 128, 200};
    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        struct aead_key key;
        uint8_t secret[AEAD_KEY_LEN];
        uint8_t ad[AD_LEN];
        uint8_t sealed[256];
        uint8_t out[256];
        if (!init_key(&key, (enum cipher)cipher, secret))
            continue;
        memcpy(ad, known_ad, sizeof ad);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            fill(out, lengths[i]);
            aead_seal(&key, known_counter, ad, out, lengths[i], sealed);
            struct reader whole = reader_of(sealed, lengths[i] + AEAD_TAG_LEN);
            check_flips(&key, sealed, whole.left, ad, &whole);
            check_flips(&key, ad, sizeof ad, ad, &whole);
            for (unsigned bit = 0; bit < 64; bit++)
                assert_false(aead_open(&key, known_counter ^ UINT64_C(1) << bit, ad, whole.at, whole.left, out));
            for (size_t len = 0; len < whole.left; len++)
                assert_false(aead_open(&key, known_counter, ad, sealed, len, out));
        }
    }
}

static void test_keys_differ(void **state)
{
    struct aead_key key;
    struct aead_key other;
    uint8_t secret[AEAD_KEY_LEN];
    uint8_t sealed[32];
    uint8_t out[32];
    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        if (!init_key(&key, (enum cipher)cipher, secret))
            continue;
        secret[31] ^= 0x80;
        aead_key_init(&other, (enum cipher)cipher, secret);
        aead_seal(&key, 0, known_ad, (const uint8_t *)known_plain, 9, sealed);
        assert_false(aead_open(&other, 0, known_ad, sealed, 25, out));
        aead_key_deinit(&other);
        assert_true(sodium_is_zero((const uint8_t *)&other, sizeof other));
        // A wiped key opens nothing.
        assert_false(aead_open(&other, 0, known_ad, sealed, 25, out));
    }
}

static void test_names(void **state)
{
    enum cipher cipher = CIPHER_NONE;
    static const char *const unknown[] = {"", "none", "auto", "aes-256-gcm ", "AES-256-GCM", "aes-128-gcm", "chacha20"};
    (void)state;
    assert_string_equal(cipher_name(CIPHER_NONE), "none");
    assert_string_equal(cipher_name(CIPHER_AES_256_GCM), "aes-256-gcm");
    assert_string_equal(cipher_name(CIPHER_CHACHA20_POLY1305), "chacha20-poly1305");
    for (unsigned i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++) {
        assert_true(cipher_parse(cipher_name((enum cipher)i), &cipher));
        assert_int_equal(cipher, i);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cipher = CIPHER_AES_256_GCM;
        assert_false(cipher_parse(unknown[i], &cipher));
        assert_int_equal(cipher, CIPHER_AES_256_GCM);
    }
}

static void test_choice(void **state)
{
    const unsigned chacha = 1U << CIPHER_CHACHA20_POLY1305;
    const unsigned aes = 1U << CIPHER_AES_256_GCM;
    (void)state;
    assert_int_equal(cipher_choose(0), CIPHER_NONE);
    assert_int_equal(cipher_choose(1), CIPHER_NONE);
    assert_int_equal(cipher_choose((uint16_t)(0xffffU & ~chacha & ~aes)), CIPHER_NONE);
    assert_int_equal(cipher_choose((uint16_t)chacha), CIPHER_CHACHA20_POLY1305);
    assert_int_equal(cipher_choose((uint16_t)aes), CIPHER_AES_256_GCM);
    assert_int_equal(cipher_choose((uint16_t)(aes | chacha)), CIPHER_AES_256_GCM);
    assert_int_equal(cipher_choose(0xffff), CIPHER_AES_256_GCM);
    assert_false(cipher_is_available(CIPHER_NONE));
    assert_false(cipher_is_available(CIPHER_COUNT));
    assert_true(cipher_is_available(CIPHER_CHACHA20_POLY1305));
    assert_int_equal(ciphers_available(), chacha | (cipher_is_available(CIPHER_AES_256_GCM) ? aes : 0U));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_lengths), cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_keys_differ),   cmocka_unit_test(test_names),   cmocka_unit_test(test_choice),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
