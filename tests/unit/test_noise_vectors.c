// SPDX-License-Identifier: MIT
/*
 * noise against the published vectors: handshake messages, handshake hash and transport messages, bit for bit, for all four protocol
 * names; and a sweep that flips one bit at every byte of every handshake message, which must be refused and cost nothing.
 *
 * AES vectors are skipped only where the CPU lacks AES.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "ethercord/noise.h"

#ifndef ETHERCORD_VECTORS
#define ETHERCORD_VECTORS "tests/vectors/noise-ik-blake2b.json"
#endif

enum { BYTES_CAP = 160, N_HANDSHAKE_MESSAGES = 2 };

struct bytes {
    uint8_t at[BYTES_CAP];
    size_t len;
};

struct target {
    const char *name;
    enum noise_cipher cipher;
    bool has_psk;
};

static const struct target targets[] = {
    {"Noise_IK_25519_ChaChaPoly_BLAKE2b", NOISE_CHACHAPOLY, false},
    {"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b", NOISE_CHACHAPOLY, true},
    {"Noise_IK_25519_AESGCM_BLAKE2b", NOISE_AESGCM, false},
    {"Noise_IKpsk2_25519_AESGCM_BLAKE2b", NOISE_AESGCM, true},
};

// One vector with both ends set up from it.
struct bench {
    json_t *file;
    json_t *vector;
    struct noise initiator;
    struct noise responder;
    struct bytes init_ephemeral;
    struct bytes resp_ephemeral;
};

static void hex_of(const json_t *value, struct bytes *out)
{
    const char *hex = json_string_value(value);
    assert_non_null(hex);
    assert_int_equal(sodium_hex2bin(out->at, sizeof out->at, hex, strlen(hex), NULL, &out->len, NULL), 0);
}

static void field(const struct bench *bench, const char *key, struct bytes *out)
{
    hex_of(json_object_get(bench->vector, key), out);
}

static void message_field(const struct bench *bench, size_t i, const char *key, struct bytes *out)
{
    hex_of(json_object_get(json_array_get(json_object_get(bench->vector, "messages"), i), key), out);
}

static void set_psk(const struct bench *bench, struct noise *noise, const char *key)
{
    struct bytes psk;
    hex_of(json_array_get(json_object_get(bench->vector, key), 0), &psk);
    assert_int_equal(psk.len, NOISE_KEY_LEN);
    noise_set_psk(noise, psk.at);
}

static void set_up_ends(struct bench *bench, const struct target *target)
{
    struct bytes prologue;
    struct bytes private_key;
    struct bytes remote;
    field(bench, "init_prologue", &prologue);
    field(bench, "init_static", &private_key);
    field(bench, "init_remote_static", &remote);
    struct noise_params params = {
        .cipher = target->cipher,
        .is_initiator = true,
        .has_psk = target->has_psk,
        .prologue = prologue.at,
        .prologue_len = prologue.len,
        .static_private = private_key.at,
        .remote_static = remote.at,
    };
    noise_init(&bench->initiator, &params);
    field(bench, "resp_prologue", &prologue);
    field(bench, "resp_static", &private_key);
    params.is_initiator = false;
    params.remote_static = NULL;
    noise_init(&bench->responder, &params);
    if (target->has_psk) {
        set_psk(bench, &bench->initiator, "init_psks");
        set_psk(bench, &bench->responder, "resp_psks");
    }
    field(bench, "init_ephemeral", &bench->init_ephemeral);
    field(bench, "resp_ephemeral", &bench->resp_ephemeral);
}

static void bench_init(struct bench *bench, const struct target *target)
{
    json_error_t error;
    size_t i;
    json_t *vector;
    if (!noise_cipher_is_available(target->cipher)) {
        print_message("skipped: this CPU has no AES instructions\n");
        skip();
    }
    memset(bench, 0, sizeof *bench);
    bench->file = json_load_file(ETHERCORD_VECTORS, 0, &error);
    assert_non_null(bench->file);
    json_array_foreach(json_object_get(bench->file, "vectors"), i, vector)
    {
        if (strcmp(json_string_value(json_object_get(vector, "protocol_name")), target->name) == 0)
            bench->vector = vector;
    }
    assert_non_null(bench->vector);
    set_up_ends(bench, target);
}

static void bench_deinit(struct bench *bench)
{
    noise_deinit(&bench->initiator);
    noise_deinit(&bench->responder);
    json_decref(bench->file);
}

static void check_initiation(struct bench *bench)
{
    struct bytes payload;
    struct bytes expected;
    uint8_t message[BYTES_CAP];
    uint8_t got[BYTES_CAP];
    message_field(bench, 0, "payload", &payload);
    message_field(bench, 0, "ciphertext", &expected);
    assert_int_equal(payload.len + NOISE_INITIATION_OVERHEAD, expected.len);
    assert_true(noise_create_initiation(&bench->initiator, bench->init_ephemeral.at, payload.at, payload.len, message));
    assert_memory_equal(message, expected.at, expected.len);
    assert_true(noise_consume_initiation(&bench->responder, message, expected.len, got));
    assert_memory_equal(got, payload.at, payload.len);
    assert_memory_equal(bench->responder.rs, bench->initiator.s_public, NOISE_KEY_LEN);
}

static void check_response(struct bench *bench)
{
    struct bytes payload;
    struct bytes expected;
    uint8_t message[BYTES_CAP];
    uint8_t got[BYTES_CAP];
    message_field(bench, 1, "payload", &payload);
    message_field(bench, 1, "ciphertext", &expected);
    assert_int_equal(payload.len + NOISE_RESPONSE_OVERHEAD, expected.len);
    assert_true(noise_create_response(&bench->responder, bench->resp_ephemeral.at, payload.at, payload.len, message));
    assert_memory_equal(message, expected.at, expected.len);
    assert_true(noise_consume_response(&bench->initiator, message, expected.len, got));
    assert_memory_equal(got, payload.at, payload.len);
}

static void check_transport(const struct bench *bench, const struct noise_keys *keys, enum noise_cipher cipher)
{
    size_t n_messages = json_array_size(json_object_get(bench->vector, "messages"));
    assert_true(n_messages > N_HANDSHAKE_MESSAGES);
    for (size_t i = N_HANDSHAKE_MESSAGES; i < n_messages; i++) {
        struct bytes payload;
        struct bytes expected;
        uint8_t out[BYTES_CAP];
        // The ends take turns, so each direction's nonce moves on every second message.
        struct noise_box box = {
            .cipher = cipher,
            .key = i % 2 == 0 ? keys->to_responder : keys->to_initiator,
            .nonce = (i - N_HANDSHAKE_MESSAGES) / 2,
        };
        message_field(bench, i, "payload", &payload);
        message_field(bench, i, "ciphertext", &expected);
        assert_int_equal(payload.len + NOISE_TAG_LEN, expected.len);
        noise_seal(&box, payload.at, payload.len, out);
        assert_memory_equal(out, expected.at, expected.len);
        assert_true(noise_open(&box, expected.at, expected.len, out));
        assert_memory_equal(out, payload.at, payload.len);
    }
}

static void test_vector(void **state)
{
    const struct target *target = *state;
    static struct bench bench;
    struct bytes hash;
    struct noise_keys ours;
    struct noise_keys theirs;
    bench_init(&bench, target);
    check_initiation(&bench);
    check_response(&bench);
    field(&bench, "handshake_hash", &hash);
    assert_int_equal(hash.len, NOISE_HASH_LEN);
    assert_memory_equal(bench.initiator.h, hash.at, NOISE_HASH_LEN);
    assert_memory_equal(bench.responder.h, hash.at, NOISE_HASH_LEN);
    noise_split(&bench.initiator, &ours);
    noise_split(&bench.responder, &theirs);
    assert_memory_equal(&ours, &theirs, sizeof ours);
    check_transport(&bench, &ours, target->cipher);
    bench_deinit(&bench);
}

typedef bool (*consume_function)(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload);

// Flips one bit of each byte in turn, then cuts the message at every length: always refused, and the handshake is as it was.
static void sweep(struct noise *noise, consume_function consume, const struct bytes *message)
{
    struct noise before = *noise;
    uint8_t payload[BYTES_CAP];
    for (size_t i = 0; i < message->len; i++) {
        struct bytes bad = *message;
        bad.at[i] ^= (uint8_t)(1U << i % 8);
        assert_false(consume(noise, bad.at, bad.len, payload));
        assert_memory_equal(noise, &before, sizeof before);
    }
    for (size_t len = 0; len < message->len; len++)
        assert_false(consume(noise, message->at, len, payload));
    assert_memory_equal(noise, &before, sizeof before);
}

static void test_mutations(void **state)
{
    const struct target *target = *state;
    static struct bench bench;
    struct bytes message;
    bench_init(&bench, target);
    message_field(&bench, 0, "ciphertext", &message);
    sweep(&bench.responder, noise_consume_initiation, &message);
    check_initiation(&bench);
    message_field(&bench, 1, "ciphertext", &message);
    sweep(&bench.initiator, noise_consume_response, &message);
    check_response(&bench);
    bench_deinit(&bench);
}

#define TARGET_TEST(function, i)                                                                                                           \
    {                                                                                                                                      \
#function, function, NULL, NULL, (void *)(uintptr_t)&targets[i]                                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TARGET_TEST(test_vector, 0),    TARGET_TEST(test_vector, 1),    TARGET_TEST(test_vector, 2),    TARGET_TEST(test_vector, 3),
        TARGET_TEST(test_mutations, 0), TARGET_TEST(test_mutations, 1), TARGET_TEST(test_mutations, 2), TARGET_TEST(test_mutations, 3),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
