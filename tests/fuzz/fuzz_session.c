// SPDX-License-Identifier: MIT
/*
 * session: data messages under a key that is known, changed on their way by a script, against a model of what has been seen. A message
 * opens exactly once, only as it was sealed, only within the window, and only while the key is young enough.
 */
#include "ethercord/session.h"

#include <sodium.h>

#include "fuzz.h"

enum { COUNTERS = 3 * REPLAY_WINDOW, PAYLOAD_MAX = 512 };
#define REJECT_AFTER_NS UINT64_C(1000)

struct bench {
    struct send_session send;
    struct recv_session recv;
    uint64_t base, newest, now_ns;
    bool has_newest;
    bool is_seen[COUNTERS];
};

static void begin(struct bench *bench, struct reader *in)
{
    static const uint8_t key[AEAD_KEY_LEN] = {1, 2, 3};
    struct session_limits limits;
    bool is_aes = (reader_u8(in) & 1) && cipher_is_available(CIPHER_AES_256_GCM);
    const struct session_secret secret = {.key = key, .cipher = is_aes ? CIPHER_AES_256_GCM : CIPHER_CHACHA20_POLY1305};

    memset(bench, 0, sizeof *bench);
    session_limits_default(&limits);
    limits.reject_after_ns = REJECT_AFTER_NS;
    send_session_init(&bench->send, &secret, &limits);
    recv_session_init(&bench->recv, &secret, &limits);
    bench->send.remote_index = bench->recv.local_index = 7;
    static const uint64_t bases[] = {0, UINT64_C(1) << 32, UINT64_MAX - COUNTERS, UINT64_C(1) << 63};
    bench->base = bases[reader_u8(in) % 4];
}

static enum drop_reason expected(const struct bench *bench, size_t place)
{
    if (bench->now_ns >= REJECT_AFTER_NS)
        return DROP_KEY_EXPIRED;
    uint64_t counter = bench->base + place;
    bool is_too_old = bench->has_newest && counter < bench->newest && bench->newest - counter >= REPLAY_WINDOW;
    return bench->is_seen[place] || is_too_old ? DROP_REPLAYED : DROP_COUNT;
}

static void note(struct bench *bench, size_t place)
{
    bench->is_seen[place] = true;
    if (!bench->has_newest || bench->base + place > bench->newest)
        bench->newest = bench->base + place;
    bench->has_newest = true;
}

static void exchange(struct bench *bench, struct reader *in)
{
    size_t place = reader_le16(in) % COUNTERS, len = reader_le16(in) % PAYLOAD_MAX;
    uint8_t how = reader_u8(in), flip = reader_u8(in);
    size_t message_len = len + WIRE_DATA_OVERHEAD, cut = how & 2 ? 1 + flip % message_len : 0;
    uint8_t *payload = malloc(len + 1), *message = malloc(message_len), *opened = malloc(len + 1);

    ensure(payload && message && opened);
    memset(payload, (int)place, len);
    session_seal(&bench->send, bench->base + place, payload, len, message);
    uint8_t *arrived = fuzz_copy(message, message_len - cut);
    bool is_forged = (how & 1) && flip != 0 && message_len - cut > 0;
    if (is_forged)
        arrived[reader_le16(in) % (message_len - cut)] ^= flip;
    if (wire_classify(arrived, message_len - cut) == MESSAGE_DATA) {
        struct replay before = bench->recv.replay;
        enum drop_reason verdict = session_open(&bench->recv, arrived, message_len - cut, bench->now_ns, opened);
        if (is_forged || cut > 0) {
            // The index is not looked at here, but it is authenticated.
            ensure(verdict == DROP_AUTH_FAILED || verdict == DROP_KEY_EXPIRED);
            ensure(memcmp(&before, &bench->recv.replay, sizeof before) == 0);
        } else {
            ensure(verdict == expected(bench, place));
            if (verdict == DROP_COUNT) {
                ensure(memcmp(opened, payload, len) == 0);
                note(bench, place);
            }
        }
    }
    free(arrived);
    free(opened);
    free(message);
    free(payload);
}

// The sender's side: what is reserved is never reserved again, and there is an end to it.
static void reserve(struct bench *bench, struct reader *in)
{
    uint64_t first = 0, next = bench->send.next_counter;
    uint32_t n = 1 + reader_u8(in) % 64;

    if (!send_session_reserve(&bench->send, n, reader_le16(in), bench->now_ns, &first)) {
        ensure(bench->send.next_counter == next);
        return;
    }
    ensure(first == next && bench->send.next_counter == next + n && bench->now_ns < REJECT_AFTER_NS);
    (void)send_session_wants_rekey(&bench->send);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    struct reader in = reader_of(data, size);

    begin(&bench, &in);
    while (in.left > 0 && !in.is_short)
        switch (reader_u8(&in) % 8) {
        case 0:
            bench.now_ns += reader_u8(&in);
            break;
        case 1:
            reserve(&bench, &in);
            break;
        case 2:
            bench.send.next_counter = bench.send.limits.reject_after_messages - reader_le16(&in);
            bench.send.n_blocks = bench.send.limits.reject_after_blocks - reader_le16(&in);
            break;
        default:
            exchange(&bench, &in);
        }
    return 0;
}
