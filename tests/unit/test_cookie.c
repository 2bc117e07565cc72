// SPDX-License-Identifier: MIT
/*
 * cookie: mac1 and mac2 against their definition, every flipped bit, the binding of a cookie to address and port, and all lifetimes to
 * the nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "ethercord/cookie.h"
#include "ethercord/wire.h"

#define SECOND UINT64_C(1000000000)
#define T0 (1000 * SECOND)

enum { KEY_LEN = 32, LEN = WIRE_INITIATION_LEN, MAC1_AT = LEN - 2 * MAC_LEN, MAC2_AT = LEN - MAC_LEN };

static const struct addr from_v4 = {.family = AF_INET, .port = 36160, .ip = {192, 0, 2, 1}};
static const struct addr from_v6 = {.family = AF_INET6, .port = 36160, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};

// A receiver, and a sender that talks to it.
struct pair {
    uint8_t public_key[NOISE_KEY_LEN];
    struct cookie_checker checker;
    struct cookie_jar jar;
    uint8_t message[LEN];
    uint8_t random[56];
};

static void pair_init(struct pair *pair)
{
    for (size_t i = 0; i < NOISE_KEY_LEN; i++)
        pair->public_key[i] = (uint8_t)(i * 3);
    cookie_checker_init(&pair->checker, pair->public_key);
    cookie_jar_init(&pair->jar, pair->public_key);
    for (size_t i = 0; i < LEN; i++)
        pair->message[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof pair->random; i++)
        pair->random[i] = (uint8_t)(200 - i);
}

// Sends one message, gets a cookie for it.
static void give_cookie(struct pair *pair, const struct addr *from, uint64_t now_ns)
{
    struct cookie_sealed reply;
    cookie_add_macs(&pair->jar, pair->message, LEN, now_ns);
    cookie_create_reply(&pair->checker, pair->message, LEN, from, now_ns, pair->random, &reply);
    assert_true(cookie_consume_reply(&pair->jar, &reply, now_ns));
}

static bool mac2_is_zero(const struct pair *pair)
{
    return sodium_is_zero(pair->message + MAC2_AT, MAC_LEN) == 1;
}

static void labelled_key(uint8_t key[KEY_LEN], const char *label, const struct pair *pair)
{
    uint8_t input[64];
    size_t len = strlen(label);
    memcpy(input, label, len);
    memcpy(input + len, pair->public_key, NOISE_KEY_LEN);
    crypto_generichash(key, KEY_LEN, input, len + NOISE_KEY_LEN, NULL, 0);
}

static void test_definitions(void **state)
{
    struct pair pair;
    uint8_t key[KEY_LEN];
    uint8_t mac[MAC_LEN];
    // family, address, port: secret is the second part of the random bytes
    static const uint8_t source[] = {4, 192, 0, 2, 1, 36160 >> 8, 36160 & 0xff};
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    labelled_key(key, "ethercord 1 mac1", &pair);
    assert_memory_equal(pair.jar.mac1_key, key, KEY_LEN);
    assert_memory_equal(pair.checker.mac1_key, key, KEY_LEN);
    crypto_generichash(mac, MAC_LEN, pair.message, MAC1_AT, key, KEY_LEN);
    assert_memory_equal(pair.message + MAC1_AT, mac, MAC_LEN);
    labelled_key(key, "ethercord 1 cookie", &pair);
    assert_memory_equal(pair.jar.cookie_key, key, KEY_LEN);
    assert_memory_equal(pair.checker.cookie_key, key, KEY_LEN);
    crypto_generichash(mac, COOKIE_LEN, source, sizeof source, pair.random + COOKIE_NONCE_LEN, KEY_LEN);
    assert_memory_equal(pair.jar.cookie, mac, COOKIE_LEN);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + SECOND);
    crypto_generichash(mac, MAC_LEN, pair.message, MAC2_AT, pair.jar.cookie, COOKIE_LEN);
    assert_memory_equal(pair.message + MAC2_AT, mac, MAC_LEN);
}

static void test_reply_definition(void **state)
{
    struct pair pair;
    struct cookie_sealed reply;
    uint8_t cookie[COOKIE_LEN];
    uint8_t source[19] = {6};
    uint8_t expected[COOKIE_LEN];
    (void)state;
    pair_init(&pair);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    cookie_create_reply(&pair.checker, pair.message, LEN, &from_v6, T0, pair.random, &reply);
    assert_memory_equal(reply.nonce, pair.random, COOKIE_NONCE_LEN);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply.sealed, COOKIE_SEALED_LEN, pair.message + MAC1_AT,
                                                                MAC_LEN, reply.nonce, pair.checker.cookie_key),
                     0);
    memcpy(source + 1, from_v6.ip, IPV6_LEN);
    source[17] = 36160 >> 8;
    source[18] = 36160 & 0xff;
    crypto_generichash(expected, COOKIE_LEN, source, sizeof source, pair.random + COOKIE_NONCE_LEN, KEY_LEN);
    assert_memory_equal(cookie, expected, COOKIE_LEN);
}

static void test_mac1(void **state)
{
    struct pair pair;
    struct cookie_checker other;
    (void)state;
    pair_init(&pair);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_true(cookie_check_mac1(&pair.checker, pair.message, LEN));
    assert_true(mac2_is_zero(&pair));
    for (size_t bit = 0; bit < LEN * 8; bit++) {
        pair.message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        // mac2 is not part of what mac1 covers
        assert_int_equal(cookie_check_mac1(&pair.checker, pair.message, LEN), bit / 8 >= MAC2_AT);
        pair.message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < LEN; len++)
        assert_false(cookie_check_mac1(&pair.checker, pair.message, len));
    pair.public_key[0] ^= 1;
    cookie_checker_init(&other, pair.public_key);
    assert_false(cookie_check_mac1(&other, pair.message, LEN));
}

static void test_mac2(void **state)
{
    struct pair pair;
    (void)state;
    pair_init(&pair);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0)); // no cookie given out yet
    give_cookie(&pair, &from_v4, T0);
    assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0)); // zeros
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_false(mac2_is_zero(&pair));
    assert_true(cookie_check_mac1(&pair.checker, pair.message, LEN));
    assert_true(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0));
    for (size_t bit = 0; bit < LEN * 8; bit++) {
        pair.message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0));
        pair.message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < LEN; len++)
        assert_false(cookie_check_mac2(&pair.checker, pair.message, len, &from_v4, T0));
}

static void test_cookie_is_bound_to_address_and_port(void **state)
{
    static const struct addr *const sources[] = {&from_v4, &from_v6};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct addr from = *sources[i];
        pair_init(&pair);
        give_cookie(&pair, &from, T0);
        cookie_add_macs(&pair.jar, pair.message, LEN, T0);
        assert_true(cookie_check_mac2(&pair.checker, pair.message, LEN, &from, T0));
        assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, sources[1 - i], T0));
        for (size_t byte = 0; byte < addr_ip_len(from.family); byte++) {
            from.ip[byte] ^= 1;
            assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from, T0));
            from.ip[byte] ^= 1;
        }
        from.port ^= 1;
        assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from, T0));
        from.port ^= 0x101;
        assert_false(cookie_check_mac2(&pair.checker, pair.message, LEN, &from, T0));
    }
}

static void test_sender_lifetime(void **state)
{
    struct pair pair;
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + 115 * SECOND - 1);
    assert_false(mac2_is_zero(&pair));
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + 115 * SECOND);
    assert_true(mac2_is_zero(&pair));
    assert_false(pair.jar.has_cookie);
    assert_true(sodium_is_zero(pair.jar.cookie, COOKIE_LEN));
    // A new one is taken as readily as the first.
    give_cookie(&pair, &from_v4, T0 + 116 * SECOND);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + 116 * SECOND);
    assert_false(mac2_is_zero(&pair));
}

static void test_secret_lifetime(void **state)
{
    struct pair pair;
    uint8_t secret[KEY_LEN];
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    memcpy(secret, pair.checker.secret, KEY_LEN);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_true(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0 + 120 * SECOND));
    // Another reply within the lifetime leaves the secret alone, whatever random bytes come.
    uint8_t first[LEN];
    memcpy(first, pair.message, LEN);
    pair.random[55] ^= 1;
    give_cookie(&pair, &from_v4, T0 + 120 * SECOND);
    assert_memory_equal(pair.checker.secret, secret, KEY_LEN);
    // Just past it: refused, and forgotten even for a clock that lies.
    assert_false(cookie_check_mac2(&pair.checker, first, LEN, &from_v4, T0 + 120 * SECOND + 1));
    assert_true(sodium_is_zero(pair.checker.secret, KEY_LEN));
    assert_false(cookie_check_mac2(&pair.checker, first, LEN, &from_v4, T0));
    give_cookie(&pair, &from_v4, T0 + 121 * SECOND);
    assert_memory_equal(pair.checker.secret, pair.random + COOKIE_NONCE_LEN, KEY_LEN);
    assert_false(cookie_check_mac2(&pair.checker, first, LEN, &from_v4, T0 + 121 * SECOND));
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + 121 * SECOND);
    assert_true(cookie_check_mac2(&pair.checker, pair.message, LEN, &from_v4, T0 + 121 * SECOND));
}

static void test_secret_is_replaced_by_a_reply(void **state)
{
    struct pair pair;
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    pair.random[COOKIE_NONCE_LEN] ^= 1;
    give_cookie(&pair, &from_v4, T0 + 120 * SECOND + 1);
    assert_memory_equal(pair.checker.secret, pair.random + COOKIE_NONCE_LEN, KEY_LEN);
    assert_int_equal(pair.checker.secret_born_ns, T0 + 120 * SECOND + 1);
}

static void test_reply_refused(void **state)
{
    struct pair pair;
    struct cookie_sealed reply;
    (void)state;
    pair_init(&pair);
    memset(&reply, 0, sizeof reply);
    assert_false(cookie_consume_reply(&pair.jar, &reply, T0)); // nothing was sent
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    cookie_create_reply(&pair.checker, pair.message, LEN, &from_v4, T0, pair.random, &reply);
    struct cookie_jar before = pair.jar;
    for (size_t bit = 0; bit < sizeof reply * 8; bit++) {
        struct cookie_sealed bad = reply;
        ((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(cookie_consume_reply(&pair.jar, &bad, T0));
        assert_memory_equal(&pair.jar, &before, sizeof before);
    }
    // A reply to an older message: the associated data is another mac1.
    pair.message[0] ^= 1;
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_false(cookie_consume_reply(&pair.jar, &reply, T0));
    pair.message[0] ^= 1;
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_true(cookie_consume_reply(&pair.jar, &reply, T0));
    // Replayed later, it must not make the cookie look younger.
    assert_false(cookie_consume_reply(&pair.jar, &reply, T0 + 60 * SECOND));
    assert_int_equal(pair.jar.cookie_born_ns, T0);
}

// Another thread looks at what this one has given out; it has the secret for as long.
static void test_shared_secret(void **state)
{
    struct pair pair;
    struct cookie_checker other;
    struct cookie_secret secret;
    (void)state;
    pair_init(&pair);
    cookie_checker_init(&other, pair.public_key);
    give_cookie(&pair, &from_v4, T0);
    cookie_add_macs(&pair.jar, pair.message, LEN, T0);
    assert_false(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0));
    cookie_get_secret(&pair.checker, &secret);
    cookie_set_secret(&other, &secret);
    assert_true(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0));
    assert_true(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0 - 1)); // it looked at the clock before the other one did
    assert_false(cookie_check_mac2(&other, pair.message, LEN, &from_v6, T0));
    assert_true(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0 + 120 * SECOND));
    assert_false(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0 + 120 * SECOND + 1));
    // Once replaced, the old one is worth nothing.
    pair.random[COOKIE_NONCE_LEN] ^= 1;
    give_cookie(&pair, &from_v4, T0 + 121 * SECOND);
    cookie_get_secret(&pair.checker, &secret);
    cookie_set_secret(&other, &secret);
    assert_false(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0 + 121 * SECOND));
    cookie_add_macs(&pair.jar, pair.message, LEN, T0 + 121 * SECOND);
    assert_true(cookie_check_mac2(&other, pair.message, LEN, &from_v4, T0 + 121 * SECOND));
}

static void test_responses_too(void **state)
{
    struct pair pair;
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    cookie_add_macs(&pair.jar, pair.message, WIRE_RESPONSE_LEN, T0);
    assert_true(cookie_check_mac1(&pair.checker, pair.message, WIRE_RESPONSE_LEN));
    assert_true(cookie_check_mac2(&pair.checker, pair.message, WIRE_RESPONSE_LEN, &from_v4, T0));
}

static void test_wiping(void **state)
{
    struct pair pair;
    (void)state;
    pair_init(&pair);
    give_cookie(&pair, &from_v4, T0);
    cookie_checker_deinit(&pair.checker);
    cookie_jar_deinit(&pair.jar);
    assert_true(sodium_is_zero((const uint8_t *)&pair.checker, sizeof pair.checker));
    assert_true(sodium_is_zero((const uint8_t *)&pair.jar, sizeof pair.jar));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_reply_definition),
        cmocka_unit_test(test_mac1),
        cmocka_unit_test(test_mac2),
        cmocka_unit_test(test_cookie_is_bound_to_address_and_port),
        cmocka_unit_test(test_sender_lifetime),
        cmocka_unit_test(test_secret_lifetime),
        cmocka_unit_test(test_secret_is_replaced_by_a_reply),
        cmocka_unit_test(test_reply_refused),
        cmocka_unit_test(test_shared_secret),
        cmocka_unit_test(test_responses_too),
        cmocka_unit_test(test_wiping),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
