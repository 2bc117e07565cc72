// SPDX-License-Identifier: MIT
/*
 * The worked examples of docs/protocol.md: from the fixed keys there, the code must make the very bytes that the document shows.
 *
 * Each value is looked for in the document as `name =` on a line of its own, followed by lines of hex up to an empty line or the end of
 * the block. `test_protocol_example --print` writes the whole block, to be pasted after an intended change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ethercord/aead.h"
#include "ethercord/bytes.h"
#include "ethercord/cookie.h"
#include "ethercord/noise.h"
#include "ethercord/wire.h"

#ifndef ETHERCORD_PROTOCOL_MD
#define ETHERCORD_PROTOCOL_MD "docs/protocol.md"
#endif

enum { DOCUMENT_CAP = 200000, VALUES_MAX = 32, VALUE_CAP = 256, HEX_PER_LINE = 32 };

static const uint32_t initiator_index = 0x01020304;
static const uint32_t responder_index = 0x05060708;
static const struct addr initiator_address = {.family = AF_INET, .port = 36160, .ip = {192, 0, 2, 1}};

// An ARP request, without padding.
static const uint8_t frame[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0,    0, 0, 0, 1, 8, 6, 0, 1, 8, 0,    6, 4, 0,
    1,    0x02, 0,    0,    0,    0,    1,    0x0a, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0x0a, 9, 0, 2,
};

struct value {
    const char *name;
    size_t len;
    uint8_t bytes[VALUE_CAP];
};

struct example {
    size_t n;
    struct value values[VALUES_MAX];
};

static void add(struct example *example, const char *name, const uint8_t *bytes, size_t len)
{
    assert_true(example->n < VALUES_MAX && len <= VALUE_CAP);
    struct value *value = &example->values[example->n++];
    value->name = name;
    value->len = len;
    memcpy(value->bytes, bytes, len);
}

// 32 bytes counting up from `first`.
static void count_up(uint8_t key[static NOISE_KEY_LEN], uint8_t first)
{
    for (size_t i = 0; i < NOISE_KEY_LEN; i++)
        key[i] = (uint8_t)(first + i);
}

// Everything that both ends know in this example.
struct cast {
    uint8_t init_private[NOISE_KEY_LEN];
    uint8_t init_public[NOISE_KEY_LEN];
    uint8_t resp_private[NOISE_KEY_LEN];
    uint8_t resp_public[NOISE_KEY_LEN];
    struct noise initiator;
    struct noise responder;
    struct cookie_jar to_responder;
    struct cookie_jar to_initiator;
    struct cookie_checker checker; // the responder's
};

static void cast_init(struct cast *cast)
{
    count_up(cast->init_private, 0x00);
    count_up(cast->resp_private, 0x20);
    noise_public_key(cast->init_public, cast->init_private);
    noise_public_key(cast->resp_public, cast->resp_private);
    struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .is_initiator = true,
        .has_psk = true,
        .prologue = (const uint8_t *)WIRE_PROLOGUE,
        .prologue_len = sizeof WIRE_PROLOGUE - 1,
        .static_private = cast->init_private,
        .remote_static = cast->resp_public,
    };
    noise_init(&cast->initiator, &params);
    params.is_initiator = false;
    params.static_private = cast->resp_private;
    params.remote_static = NULL;
    noise_init(&cast->responder, &params);
    cookie_jar_init(&cast->to_responder, cast->resp_public);
    cookie_jar_init(&cast->to_initiator, cast->init_public);
    cookie_checker_init(&cast->checker, cast->resp_public);
}

static void make_keys(struct example *example, const struct cast *cast)
{
    add(example, "initiator public key", cast->init_public, NOISE_KEY_LEN);
    add(example, "responder public key", cast->resp_public, NOISE_KEY_LEN);
    add(example, "mac1 key of the initiator", cast->to_initiator.mac1_key, 32);
    add(example, "mac1 key of the responder", cast->to_responder.mac1_key, 32);
    add(example, "cookie key of the responder", cast->to_responder.cookie_key, 32);
}

static void make_initiation(struct example *example, struct cast *cast, uint8_t message[static WIRE_INITIATION_LEN])
{
    struct hello hello = {.ciphers = 1U << CIPHER_CHACHA20_POLY1305 | 1U << CIPHER_AES_256_GCM, .tap_mtu = 1500};
    struct initiation_msg msg;
    uint8_t payload[WIRE_HELLO_LEN];
    uint8_t ephemeral[NOISE_KEY_LEN];
    store_be64(hello.timestamp, UINT64_C(0x400000006592008a)); // 2024-01-01 00:00:00
    store_be32(hello.timestamp + 8, 0x1d000000);
    hello_encode(&hello, payload);
    count_up(ephemeral, 0x40);
    initiation_begin(message, initiator_index, &msg);
    assert_true(noise_create_initiation(&cast->initiator, ephemeral, payload, sizeof payload, msg.noise));
    cookie_add_macs(&cast->to_responder, message, WIRE_INITIATION_LEN, 0);
    add(example, "payload of message 1", payload, sizeof payload);
    add(example, "initiation", message, WIRE_INITIATION_LEN);
}

// What the responder would answer under load, and the same initiation with the cookie's mac2.
static void make_cookie_reply(struct example *example, struct cast *cast, const uint8_t initiation[static WIRE_INITIATION_LEN])
{
    struct cookie_reply_msg msg = {.receiver_index = initiator_index};
    uint8_t random[56];
    uint8_t reply[WIRE_COOKIE_REPLY_LEN];
    uint8_t again[WIRE_INITIATION_LEN];
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(0xa0 + i);
    cookie_create_reply(&cast->checker, initiation, WIRE_INITIATION_LEN, &initiator_address, 0, random, &msg.cookie);
    cookie_reply_encode(&msg, reply);
    assert_true(cookie_consume_reply(&cast->to_responder, &msg.cookie, 0));
    memcpy(again, initiation, sizeof again);
    cookie_add_macs(&cast->to_responder, again, sizeof again, 0);
    assert_memory_equal(again, initiation, WIRE_INITIATION_LEN - MAC_LEN);
    add(example, "cookie", cast->to_responder.cookie, COOKIE_LEN);
    add(example, "cookie reply", reply, sizeof reply);
    add(example, "mac2 of the initiation with this cookie", again + WIRE_INITIATION_LEN - MAC_LEN, MAC_LEN);
}

static void make_response(struct example *example, struct cast *cast, uint8_t *initiation)
{
    struct choice choice = {.cipher = CIPHER_CHACHA20_POLY1305, .tap_mtu = 1500};
    struct initiation_msg received;
    struct response_msg msg;
    uint8_t ephemeral[NOISE_KEY_LEN];
    uint8_t hello[WIRE_HELLO_LEN];
    uint8_t payload[WIRE_CHOICE_LEN];
    uint8_t message[WIRE_RESPONSE_LEN];
    initiation_decode(initiation, &received);
    assert_true(noise_consume_initiation(&cast->responder, received.noise, NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN, hello));
    choice_encode(&choice, payload);
    count_up(ephemeral, 0x60);
    response_begin(message, responder_index, received.sender_index, &msg);
    assert_true(noise_create_response(&cast->responder, ephemeral, payload, sizeof payload, msg.noise));
    cookie_add_macs(&cast->to_initiator, message, sizeof message, 0);
    assert_true(noise_consume_response(&cast->initiator, msg.noise, NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN, hello));
    assert_memory_equal(cast->initiator.h, cast->responder.h, NOISE_HASH_LEN);
    add(example, "payload of message 2", payload, sizeof payload);
    add(example, "response", message, sizeof message);
    add(example, "handshake hash", cast->initiator.h, NOISE_HASH_LEN);
}

static void make_data_message(struct example *example, const uint8_t data_key[static NOISE_KEY_LEN])
{
    struct data_header header = {.receiver_index = responder_index, .counter = 0};
    struct record record = {.type = RECORD_FRAME, .len = sizeof frame};
    struct aead_key key;
    struct payload payload;
    uint8_t message[VALUE_CAP];
    payload_begin(&payload, message + WIRE_DATA_HEADER_LEN, sizeof message - WIRE_DATA_OVERHEAD);
    memcpy(payload_next(&payload), frame, sizeof frame);
    payload_add(&payload, &record);
    size_t len = payload_finish(&payload);
    add(example, "payload of the data message", message + WIRE_DATA_HEADER_LEN, len);
    data_header_encode(&header, message);
    aead_key_init(&key, CIPHER_CHACHA20_POLY1305, data_key);
    aead_seal(&key, header.counter, message, message + WIRE_DATA_HEADER_LEN, len, message + WIRE_DATA_HEADER_LEN);
    aead_key_deinit(&key);
    add(example, "data message", message, WIRE_DATA_OVERHEAD + len);
}

static void make_data(struct example *example, const struct cast *cast)
{
    struct noise_keys split;
    uint8_t key[NOISE_KEY_LEN];
    noise_split(&cast->initiator, &split);
    add(example, "Split, to the responder", split.to_responder, NOISE_KEY_LEN);
    add(example, "Split, to the initiator", split.to_initiator, NOISE_KEY_LEN);
    noise_derive_data_key(key, split.to_responder, cipher_name(CIPHER_AES_256_GCM));
    add(example, "data key to the responder, aes-256-gcm", key, NOISE_KEY_LEN);
    noise_derive_data_key(key, split.to_initiator, cipher_name(CIPHER_CHACHA20_POLY1305));
    add(example, "data key to the initiator, chacha20-poly1305", key, NOISE_KEY_LEN);
    noise_derive_data_key(key, split.to_responder, cipher_name(CIPHER_CHACHA20_POLY1305));
    add(example, "data key to the responder, chacha20-poly1305", key, NOISE_KEY_LEN);
    make_data_message(example, key);
}

static void make_sealed(struct example *example, enum cipher cipher, const char *name)
{
    static const char plain[] = "ethercord";
    static const struct data_header header = {.receiver_index = 0x12345678, .counter = UINT64_C(0x0102030405060708)};
    struct aead_key key;
    uint8_t secret[AEAD_KEY_LEN];
    uint8_t ad[WIRE_DATA_HEADER_LEN];
    uint8_t sealed[64];
    if (!cipher_is_available(cipher))
        return;
    count_up(secret, 0);
    data_header_encode(&header, ad);
    aead_key_init(&key, cipher, secret);
    aead_seal(&key, header.counter, ad, (const uint8_t *)plain, sizeof plain - 1, sealed);
    add(example, name, sealed, sizeof plain - 1 + AEAD_TAG_LEN);
}

static void make_example(struct example *example)
{
    static struct cast cast;
    uint8_t initiation[WIRE_INITIATION_LEN];
    example->n = 0;
    cast_init(&cast);
    make_keys(example, &cast);
    make_initiation(example, &cast, initiation);
    make_cookie_reply(example, &cast, initiation);
    make_response(example, &cast, initiation);
    make_data(example, &cast);
    make_sealed(example, CIPHER_CHACHA20_POLY1305, "sealed by chacha20-poly1305");
    make_sealed(example, CIPHER_AES_256_GCM, "sealed by aes-256-gcm");
}

static void print_example(const struct example *example)
{
    for (size_t i = 0; i < example->n; i++) {
        const struct value *value = &example->values[i];
        printf("%s =", value->name);
        for (size_t j = 0; j < value->len; j++)
            printf("%s%02x", j % HEX_PER_LINE == 0 ? "\n" : (j % 4 == 0 ? " " : ""), value->bytes[j]);
        printf("\n\n");
    }
}

static void read_document(char *text)
{
    FILE *file = fopen(ETHERCORD_PROTOCOL_MD, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, DOCUMENT_CAP - 1, file);
    fclose(file);
    assert_true(len < DOCUMENT_CAP - 1);
    text[len] = '\0';
}

// The hex that follows "\nname =\n". sodium_hex2bin skips what separates the digits and stops at anything else.
static void find_value(const char *text, const char *name, struct value *found)
{
    char heading[128];
    snprintf(heading, sizeof heading, "\n%s =\n", name);
    const char *at = strstr(text, heading);
    if (!at)
        fail_msg("'%s' is not in the document", name);
    at += strlen(heading);
    const char *end = strstr(at, "\n\n");
    const char *fence = strstr(at, "\n```");
    if (!end || (fence && fence < end))
        end = fence;
    assert_non_null(end);
    assert_int_equal(sodium_hex2bin(found->bytes, VALUE_CAP, at, (size_t)(end - at), " \n", &found->len, NULL), 0);
}

static void test_document_shows_what_the_code_makes(void **state)
{
    static char text[DOCUMENT_CAP];
    static struct example example;
    static struct value found;
    (void)state;
    make_example(&example);
    read_document(text);
    for (size_t i = 0; i < example.n; i++) {
        const struct value *value = &example.values[i];
        find_value(text, value->name, &found);
        if (found.len != value->len || memcmp(found.bytes, value->bytes, value->len) != 0)
            fail_msg("'%s' differs from the document", value->name);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_document_shows_what_the_code_makes)};
    if (sodium_init() < 0)
        return 1;
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        static struct example example;
        make_example(&example);
        print_example(&example);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
