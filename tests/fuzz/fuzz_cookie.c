// SPDX-License-Identifier: MIT
/*
 * cookie: mac1, mac2 and cookie replies between an initiator and a responder under load, each message changed by a script on its way. Only
 * what was made for this key, this address and this time passes; a reply is taken once.
 */
#include "ethercord/cookie.h"

#include <sodium.h>

#include "ethercord/wire.h"
#include "fuzz.h"

struct bench {
    struct cookie_jar jar;
    struct cookie_checker checker;
    uint64_t now_ns;
    uint8_t message[WIRE_INITIATION_LEN];
    struct addr from;
    bool has_sent;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0;
}

static void send_message(struct bench *bench, struct reader *in)
{
    reader_copy(in, bench->message, 16);
    cookie_add_macs(&bench->jar, bench->message, sizeof bench->message, bench->now_ns);
    bench->has_sent = true;
    ensure(cookie_check_mac1(&bench->checker, bench->message, sizeof bench->message));
}

static void check_changed(struct bench *bench, struct reader *in)
{
    uint8_t *changed = fuzz_copy(bench->message, sizeof bench->message), flip = reader_u8(in);
    size_t at = reader_u8(in) % sizeof bench->message, len = sizeof bench->message - (reader_u8(in) % 64 == 1 ? at : 0);

    changed[at] ^= flip;
    bool is_in_mac2 = at >= sizeof bench->message - MAC_LEN;
    bool is_same = len == sizeof bench->message && flip == 0;
    if (!is_same && !is_in_mac2)
        ensure(!cookie_check_mac1(&bench->checker, changed, len));
    bool passed = cookie_check_mac2(&bench->checker, bench->message, sizeof bench->message, &bench->from, bench->now_ns);
    if (!is_same)
        ensure(!cookie_check_mac2(&bench->checker, changed, len, &bench->from, bench->now_ns));
    ensure(!passed || bench->jar.has_cookie);
    struct addr elsewhere = bench->from;
    elsewhere.port ^= 1;
    ensure(!cookie_check_mac2(&bench->checker, bench->message, sizeof bench->message, &elsewhere, bench->now_ns));
    free(changed);
}

static void answer(struct bench *bench, struct reader *in)
{
    uint8_t random[56], bytes[WIRE_COOKIE_REPLY_LEN];
    struct cookie_reply_msg msg = {.receiver_index = 7};

    reader_copy(in, random, sizeof random);
    cookie_create_reply(&bench->checker, bench->message, sizeof bench->message, &bench->from, bench->now_ns, random, &msg.cookie);
    cookie_reply_encode(&msg, bytes);
    uint8_t flip = reader_u8(in);
    bytes[8 + reader_u8(in) % (sizeof bytes - 8)] ^= flip;
    cookie_reply_decode(bytes, &msg);
    bool was_waiting = bench->jar.has_last_mac1, is_taken = cookie_consume_reply(&bench->jar, &msg.cookie, bench->now_ns);
    ensure(is_taken == (was_waiting && flip == 0));
    ensure(!cookie_consume_reply(&bench->jar, &msg.cookie, bench->now_ns) || !is_taken);
    if (is_taken) { // and now it opens the door
        cookie_add_macs(&bench->jar, bench->message, sizeof bench->message, bench->now_ns);
        ensure(cookie_check_mac2(&bench->checker, bench->message, sizeof bench->message, &bench->from, bench->now_ns));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t public_key[NOISE_KEY_LEN] = {5};
    static struct bench bench;
    struct reader in = reader_of(data, size);

    memset(&bench, 0, sizeof bench);
    bench.now_ns = COOKIE_LIFETIME_NS;
    bench.from = (struct addr){.family = AF_INET, .port = 1, .ip = {192, 0, 2, 1}};
    cookie_jar_init(&bench.jar, public_key);
    cookie_checker_init(&bench.checker, public_key);
    while (in.left > 0 && !in.is_short) {
        uint8_t op = reader_u8(&in) % 4;
        if (op == 0 || !bench.has_sent)
            send_message(&bench, &in);
        else if (op == 1)
            check_changed(&bench, &in);
        else if (op == 2)
            answer(&bench, &in);
        else
            bench.now_ns += COOKIE_LIFETIME_NS / 256 * reader_u8(&in);
    }
    cookie_jar_deinit(&bench.jar);
    cookie_checker_deinit(&bench.checker);
    return 0;
}
