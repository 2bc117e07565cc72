// SPDX-License-Identifier: MIT
/*
 * noise: both messages of a handshake with payloads of the input's, changed on their way at places of its choosing, and messages that are
 * the input's alone. Nothing verifies but what was sent, what does not verify changes nothing, and both ends end with the same keys.
 */
#include "ethercord/noise.h"

#include <sodium.h>

#include "fuzz.h"

enum { PAYLOAD_MAX = 64, MESSAGE_MAX = NOISE_INITIATION_OVERHEAD + PAYLOAD_MAX };

struct bench {
    struct noise initiator, responder;
    uint8_t psk[NOISE_KEY_LEN];
};

static uint8_t keys[4][NOISE_KEY_LEN]; // private: static of both, ephemeral of both
static uint8_t publics[2][NOISE_KEY_LEN];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (sodium_init() < 0)
        return 1;
    for (uint8_t i = 0; i < 4; i++)
        memset(keys[i], i + 1, sizeof keys[i]);
    noise_public_key(publics[0], keys[0]);
    noise_public_key(publics[1], keys[1]);
    return 0;
}

static void begin(struct bench *bench, struct reader *in)
{
    uint8_t how = reader_u8(in);
    bool is_aes = (how & 1) && noise_cipher_is_available(NOISE_AESGCM);
    struct noise_params params = {.cipher = is_aes ? NOISE_AESGCM : NOISE_CHACHAPOLY,
                                  .is_initiator = true,
                                  .has_psk = how & 2,
                                  .prologue = (const uint8_t *)"fuzz",
                                  .prologue_len = 4,
                                  .static_private = keys[0],
                                  .remote_static = publics[1]};

    memset(bench, 0, sizeof *bench);
    noise_init(&bench->initiator, &params);
    params.is_initiator = false;
    params.static_private = keys[1];
    params.remote_static = NULL;
    noise_init(&bench->responder, &params);
    memset(bench->psk, how & 4 ? 9 : 0, sizeof bench->psk);
    if (params.has_psk) {
        noise_set_psk(&bench->initiator, bench->psk);
        noise_set_psk(&bench->responder, bench->psk);
    }
}

typedef bool (*consume)(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload);

// True when it verified; else nothing has changed.
static bool take(struct noise *noise, consume consume, const uint8_t *message, size_t len, size_t overhead, uint8_t *payload)
{
    struct noise before = *noise;
    uint8_t *copy = fuzz_copy(message, len), *room = malloc(len > overhead ? len - overhead : 1);

    ensure(room);
    bool is_right = consume(noise, copy, len, room);
    if (is_right)
        memcpy(payload, room, len - overhead);
    else
        ensure(memcmp(&before, noise, sizeof before) == 0);
    free(room);
    free(copy);
    return is_right;
}

// Changes of the message; true when it is another one then.
static bool change(struct reader *in, uint8_t *message, size_t *len)
{
    uint8_t original[MESSAGE_MAX];
    size_t original_len = *len;

    memcpy(original, message, original_len);
    for (uint8_t n = reader_u8(in) % 4; n > 0; n--) {
        size_t at = reader_u8(in) % original_len;
        uint8_t flip = reader_u8(in);
        if (flip == 0xff)
            *len = at;
        else
            message[at] ^= flip;
    }
    return *len != original_len || memcmp(original, message, original_len) != 0;
}

static void exchange(struct bench *bench, struct reader *in, bool is_first)
{
    uint8_t message[MESSAGE_MAX], payload[PAYLOAD_MAX], opened[MESSAGE_MAX];
    size_t payload_len = reader_u8(in) % (PAYLOAD_MAX + 1), overhead = is_first ? NOISE_INITIATION_OVERHEAD : NOISE_RESPONSE_OVERHEAD;
    size_t len = payload_len + overhead;
    struct noise *to = is_first ? &bench->responder : &bench->initiator;
    consume consume = is_first ? noise_consume_initiation : noise_consume_response;

    reader_copy(in, payload, payload_len);
    if (is_first)
        ensure(noise_create_initiation(&bench->initiator, keys[2], payload, payload_len, message));
    else
        ensure(noise_create_response(&bench->responder, keys[3], payload, payload_len, message));
    uint8_t changed[MESSAGE_MAX];
    memcpy(changed, message, len);
    size_t changed_len = len;
    // The curve does not look at the top bit of a public key, but Noise hashes it.
    if (change(in, changed, &changed_len))
        ensure(!take(to, consume, changed, changed_len, overhead, opened));
    ensure(take(to, consume, message, len, overhead, opened) && memcmp(opened, payload, payload_len) == 0);
}

static void check_raw(struct bench *bench, struct reader *in)
{
    uint8_t opened[4096];
    size_t len = in->left < sizeof opened ? in->left : sizeof opened;

    ensure(!take(&bench->responder, noise_consume_initiation, in->at, len, NOISE_INITIATION_OVERHEAD, opened));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    struct reader in = reader_of(data, size);
    struct noise_keys a, b;

    begin(&bench, &in);
    if (reader_u8(&in) & 1) {
        check_raw(&bench, &in);
    } else {
        exchange(&bench, &in, true);
        exchange(&bench, &in, false);
        noise_split(&bench.initiator, &a);
        noise_split(&bench.responder, &b);
        ensure(memcmp(&a, &b, sizeof a) == 0 && memcmp(bench.initiator.h, bench.responder.h, NOISE_HASH_LEN) == 0);
    }
    noise_deinit(&bench.initiator);
    noise_deinit(&bench.responder);
    return 0;
}
