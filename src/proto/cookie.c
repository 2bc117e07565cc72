// SPDX-License-Identifier: MIT
/*
 * cookie: see the header, and docs/protocol.md#mac1-and-mac2 for what is hashed with what.
 *
 * The order of work for a receiver under load: mac1 (one hash, no state), then mac2 (two hashes), then and only then Diffie-Hellman.
 * Authenticators are compared in constant time.
 */
#include "ethercord/cookie.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"

enum { MACS_LEN = 2 * MAC_LEN, KEY_LEN = 32 };

// A cookie is dropped somewhat earlier here than the secret behind it dies there: the message takes time to travel.
#define COOKIE_MARGIN_NS (UINT64_C(5) * 1000000000)

static const char mac1_label[] = "ethercord 1 mac1";
static const char cookie_label[] = "ethercord 1 cookie";

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == COOKIE_NONCE_LEN, "nonce of a cookie reply");
_Static_assert(COOKIE_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES == COOKIE_SEALED_LEN, "sealed cookie");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == KEY_LEN, "key of a cookie reply");

// BLAKE2b-256(label || public key)
static void derive_key(uint8_t out[static KEY_LEN], const char *label, const uint8_t public_key[static NOISE_KEY_LEN])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, KEY_LEN);
    crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
    crypto_generichash_update(&state, public_key, NOISE_KEY_LEN);
    crypto_generichash_final(&state, out, KEY_LEN);
}

static void make_mac1(uint8_t mac[static MAC_LEN], const uint8_t key[static KEY_LEN], const uint8_t *message, size_t len)
{
    crypto_generichash(mac, MAC_LEN, message, len - MACS_LEN, key, KEY_LEN);
}

static void make_mac2(uint8_t mac[static MAC_LEN], const uint8_t cookie[static COOKIE_LEN], const uint8_t *message, size_t len)
{
    crypto_generichash(mac, MAC_LEN, message, len - MAC_LEN, cookie, COOKIE_LEN);
}

// Bound to address and port: behind one NAT, one sender's cookie is of no use to another.
static void make_cookie(uint8_t cookie[static COOKIE_LEN], const uint8_t secret[static KEY_LEN], const struct addr *from)
{
    uint8_t source[1 + IPV6_LEN + 2];
    size_t ip_len = addr_ip_len(from->family);
    source[0] = from->family == AF_INET6 ? 6 : 4;
    memcpy(source + 1, from->ip, ip_len);
    store_be16(source + 1 + ip_len, from->port);
    crypto_generichash(cookie, COOKIE_LEN, source, 1 + ip_len + 2, secret, KEY_LEN);
}

static void forget_secret(struct cookie_checker *checker)
{
    sodium_memzero(checker->secret, sizeof checker->secret);
    checker->has_secret = false;
}

static void forget_cookie(struct cookie_jar *jar)
{
    sodium_memzero(jar->cookie, sizeof jar->cookie);
    jar->has_cookie = false;
}

// Another thread made it, perhaps after this one looked at the clock: then it is fresh, not ages old.
static bool secret_is_fresh(const struct cookie_checker *checker, uint64_t now_ns)
{
    return checker->has_secret && age_ns(now_ns, checker->secret_born_ns) <= COOKIE_LIFETIME_NS;
}

void cookie_checker_init(struct cookie_checker *checker, const uint8_t own_public_key[static NOISE_KEY_LEN])
{
    memset(checker, 0, sizeof *checker);
    derive_key(checker->mac1_key, mac1_label, own_public_key);
    derive_key(checker->cookie_key, cookie_label, own_public_key);
}

void cookie_checker_deinit(struct cookie_checker *checker)
{
    sodium_memzero(checker, sizeof *checker);
}

void cookie_get_secret(const struct cookie_checker *checker, struct cookie_secret *secret)
{
    memcpy(secret->bytes, checker->secret, KEY_LEN);
    secret->born_ns = checker->secret_born_ns;
}

void cookie_set_secret(struct cookie_checker *checker, const struct cookie_secret *secret)
{
    memcpy(checker->secret, secret->bytes, KEY_LEN);
    checker->secret_born_ns = secret->born_ns;
    checker->has_secret = true;
}

void cookie_jar_init(struct cookie_jar *jar, const uint8_t peer_public_key[static NOISE_KEY_LEN])
{
    memset(jar, 0, sizeof *jar);
    derive_key(jar->mac1_key, mac1_label, peer_public_key);
    derive_key(jar->cookie_key, cookie_label, peer_public_key);
}

void cookie_jar_deinit(struct cookie_jar *jar)
{
    sodium_memzero(jar, sizeof *jar);
}

void cookie_add_macs(struct cookie_jar *jar, uint8_t *message, size_t len, uint64_t now_ns)
{
    ensure(len >= MACS_LEN);
    uint8_t *mac1 = message + len - MACS_LEN;
    uint8_t *mac2 = message + len - MAC_LEN;
    make_mac1(mac1, jar->mac1_key, message, len);
    memcpy(jar->last_mac1, mac1, MAC_LEN);
    jar->has_last_mac1 = true;

    if (jar->has_cookie && now_ns - jar->cookie_born_ns >= COOKIE_LIFETIME_NS - COOKIE_MARGIN_NS)
        forget_cookie(jar);
    if (jar->has_cookie)
        make_mac2(mac2, jar->cookie, message, len);
    else
        memset(mac2, 0, MAC_LEN);
}

bool cookie_check_mac1(const struct cookie_checker *checker, const uint8_t *message, size_t len)
{
    uint8_t mac1[MAC_LEN];
    if (len < MACS_LEN)
        return false;
    make_mac1(mac1, checker->mac1_key, message, len);
    return sodium_memcmp(mac1, message + len - MACS_LEN, MAC_LEN) == 0;
}

bool cookie_check_mac2(struct cookie_checker *checker, const uint8_t *message, size_t len, const struct addr *from, uint64_t now_ns)
{
    uint8_t cookie[COOKIE_LEN];
    uint8_t mac2[MAC_LEN];
    if (len < MACS_LEN || sodium_is_zero(message + len - MAC_LEN, MAC_LEN)) // without a cookie: nothing to compute
        return false;
    if (!secret_is_fresh(checker, now_ns)) {
        forget_secret(checker);
        return false;
    }
    make_cookie(cookie, checker->secret, from);
    make_mac2(mac2, cookie, message, len);
    sodium_memzero(cookie, sizeof cookie);
    return sodium_memcmp(mac2, message + len - MAC_LEN, MAC_LEN) == 0;
}

void cookie_create_reply(struct cookie_checker *checker, const uint8_t *message, size_t len, const struct addr *from, uint64_t now_ns,
                         const uint8_t random[static 56], struct cookie_sealed *reply)
{
    uint8_t cookie[COOKIE_LEN];
    ensure(len >= MACS_LEN);
    if (!secret_is_fresh(checker, now_ns)) {
        memcpy(checker->secret, random + COOKIE_NONCE_LEN, KEY_LEN);
        checker->secret_born_ns = now_ns;
        checker->has_secret = true;
    }
    make_cookie(cookie, checker->secret, from);
    memcpy(reply->nonce, random, COOKIE_NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(reply->sealed, NULL, cookie, COOKIE_LEN, message + len - MACS_LEN, MAC_LEN, NULL,
                                               reply->nonce, checker->cookie_key);
    sodium_memzero(cookie, sizeof cookie);
}

bool cookie_consume_reply(struct cookie_jar *jar, const struct cookie_sealed *reply, uint64_t now_ns)
{
    uint8_t cookie[COOKIE_LEN];
    if (!jar->has_last_mac1)
        return false;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply->sealed, COOKIE_SEALED_LEN, jar->last_mac1, MAC_LEN,
                                                   reply->nonce, jar->cookie_key) != 0)
        return false;
    memcpy(jar->cookie, cookie, COOKIE_LEN);
    sodium_memzero(cookie, sizeof cookie);
    jar->cookie_born_ns = now_ns;
    jar->has_cookie = true;
    jar->has_last_mac1 = false; // one reply per message: a replayed one must not make the cookie look younger
    return true;
}
