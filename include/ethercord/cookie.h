// SPDX-License-Identifier: MIT
/*
 * cookie: mac1 and mac2 of handshake messages, and cookie replies (docs/protocol.md#mac1-and-mac2).
 *
 * mac1 shows that the sender knows the receiver's public key, at the cost of one hash. Under load the receiver answers an initiation
 * without a valid mac2 by a cookie reply: a cookie, sealed, that only somebody who receives at that address *and* port can use.
 * The receiver keeps no state per sender. No clock in here: the time is an argument (boot-time ns).
 */
#ifndef ETHERCORD_COOKIE_H
#define ETHERCORD_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/noise.h"

enum {
    MAC_LEN = 16, // of mac1 and mac2
    COOKIE_LEN = 16,
    COOKIE_NONCE_LEN = 24, // XChaCha20-Poly1305
    COOKIE_SEALED_LEN = COOKIE_LEN + 16
};
#define COOKIE_LIFETIME_NS (UINT64_C(120) * 1000000000) // specification constant: a secret, and a cookie received, are used this long

// What a node needs to check what is sent to it.
struct cookie_checker {
    uint8_t mac1_key[32];
    uint8_t cookie_key[32]; // seals cookie replies
    uint8_t secret[32];     // makes cookies; replaced after COOKIE_LIFETIME_NS
    uint64_t secret_born_ns;
    bool has_secret;
};

// What a node needs to send to one peer.
struct cookie_jar {
    uint8_t mac1_key[32];
    uint8_t cookie_key[32];
    uint8_t cookie[COOKIE_LEN];
    uint64_t cookie_born_ns;
    bool has_cookie;
    uint8_t last_mac1[MAC_LEN]; // of the last message sent: the associated data of a cookie reply
    bool has_last_mac1;
};

void cookie_checker_init(struct cookie_checker *checker, const uint8_t own_public_key[static NOISE_KEY_LEN]);
void cookie_checker_deinit(struct cookie_checker *checker);
// What a second checker, in another thread, needs to know the cookies that the first one gives out.
struct cookie_secret {
    uint8_t bytes[32];
    uint64_t born_ns;
};
void cookie_get_secret(const struct cookie_checker *checker, struct cookie_secret *secret);
void cookie_set_secret(struct cookie_checker *checker, const struct cookie_secret *secret);
void cookie_jar_init(struct cookie_jar *jar, const uint8_t peer_public_key[static NOISE_KEY_LEN]);
void cookie_jar_deinit(struct cookie_jar *jar);

// `message` is a whole initiation or response; its last 32 bytes are mac1 and mac2.
// Fills both in (mac2 zero without a fresh cookie) and remembers mac1.
void cookie_add_macs(struct cookie_jar *jar, uint8_t *message, size_t len, uint64_t now_ns);
bool cookie_check_mac1(const struct cookie_checker *checker, const uint8_t *message, size_t len);
// `from`: the source address and port of the datagram. False also while no cookie has been given out.
bool cookie_check_mac2(struct cookie_checker *checker, const uint8_t *message, size_t len, const struct addr *from, uint64_t now_ns);

struct cookie_sealed {
    uint8_t nonce[COOKIE_NONCE_LEN];
    uint8_t sealed[COOKIE_SEALED_LEN];
};
// A reply to a message with a valid mac1. `random`: 56 random bytes: a nonce, then a secret in case the old one must be replaced.
void cookie_create_reply(struct cookie_checker *checker, const uint8_t *message, size_t len, const struct addr *from, uint64_t now_ns,
                         const uint8_t random[static 56], struct cookie_sealed *reply);
// Takes the cookie out of a reply to the last message sent. False when it does not verify or nothing is waiting; no change then.
bool cookie_consume_reply(struct cookie_jar *jar, const struct cookie_sealed *reply, uint64_t now_ns) __attribute__((warn_unused_result));

#endif
