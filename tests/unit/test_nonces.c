// SPDX-License-Identifier: MIT
/*
 * No counter is ever used for two things: ten million datagrams of the sending pipeline, of frames, trains, fragments and control records,
 * over hundreds of keypairs that take over from each other in mid-flow, to an underlay that takes some of them, none, or refuses.
 *
 * Whatever the pipeline shows to the socket may have been seen by somebody, also when the call then fails. So (key, counter) must name the
 * same bytes each time. A node does it whole, but for what others would tell its tx: a test gives the orders.
 */
#include "test_packets.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../src/path/messages.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "ethercord/node.h"

enum { N_DATAGRAMS = 10 * 1000 * 1000, PER_KEY = 1 << 15, KEYS = 4, KEY_AFTER = 20000, KINDS = 4 };

struct book { // of one key
    uint32_t index;
    uint64_t hashes[PER_KEY]; // by counter; 0 = not used yet
};

struct bench {
    struct node node;
    struct tap tap;
    struct udp udp[2];
    uint32_t random;
    struct book books[KEYS];
    struct packet_bytes packets[KINDS];
    struct offload offloads[KINDS];
    struct send_session sessions[KEYS];
    uint32_t newest; // index of the key that was ordered last
    size_t n_new, n_again, n_of_newest;
    size_t n_returned;
};
static struct bench bench;

static uint32_t below(uint32_t limit)
{
    return next_random(&bench.random) % limit;
}

/* ---- what sees the datagrams ---- */

static uint64_t hash_of(const uint8_t *bytes, size_t len)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES];
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, bytes, len, key);
    return hash | 1;
}

static void see(const uint8_t *bytes, size_t len)
{
    struct data_header header;
    uint64_t hash = hash_of(bytes, len);

    assert_int_equal(wire_classify(bytes, len), MESSAGE_DATA);
    data_header_decode(bytes, &header);
    struct book *book = &bench.books[header.receiver_index % KEYS];
    assert_int_equal(book->index, header.receiver_index);
    assert_true(header.counter < PER_KEY);
    uint64_t *known = &book->hashes[header.counter];
    if (*known == 0) {
        *known = hash;
        bench.n_new++;
        bench.n_of_newest += header.receiver_index == bench.newest;
    } else if (*known == hash) {
        bench.n_again++;
    } else {
        fail_msg("key %u: counter %llu was used twice", header.receiver_index, (unsigned long long)header.counter);
    }
}

// Looks at everything, then takes a part of it.
static int send_batch(struct udp *udp, const struct udp_train *trains, int n)
{
    static const int errors[] = {0, -ENOBUFS, -EPERM, -ENETUNREACH, 0};
    int n_offered = 0;
    (void)udp;

    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < trains[i].len; at += trains[i].datagram_len, n_offered++) {
            size_t left = trains[i].len - at;
            see(trains[i].bytes + at, left < trains[i].datagram_len ? left : trains[i].datagram_len);
        }
    switch (below(8)) {
    case 0:
        return errors[below(N_OF(errors))];
    case 1:
        return 1 + (int)below((uint32_t)n_offered);
    default:
        return n_offered;
    }
}

/* ---- what brings frames ---- */

static int read_batch(struct tap *tap, uint8_t *room, size_t room_len, struct tap_read *reads, int n)
{
    size_t at = 0;
    int taken = 0, wanted = (int)below(12);
    (void)tap;

    for (; taken < n && taken < wanted && room_len - at >= TAP_FRAME_MAX + TAP_TAILROOM; taken++) {
        uint32_t kind = below(KINDS);
        const struct packet_bytes *packet = &bench.packets[kind];
        reads[taken] = (struct tap_read){.bytes = room + at, .len = packet->len, .offload = bench.offloads[kind]};
        memcpy(reads[taken].bytes, packet->b, packet->len);
        reads[taken].bytes[packet->len - 1] = (uint8_t)below(256); // so that two frames are hardly ever the same
        at += packet->len + TAP_TAILROOM;
    }
    return taken;
}

// A small frame, one that needs fragments, and super-frames of TCP and UDP.
static void make_frames(void)
{
    static const struct recipe recipes[KINDS] = {
        {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 40, .is_whole = true},
        {.version = 6, .protocol = IPPROTO_UDP, .payload_len = 1200, .is_whole = true},
        {.version = 4, .protocol = IPPROTO_TCP, .payload_len = 63 * 64},
        {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 50 * 64 + 7},
    };

    for (size_t i = 0; i < KINDS; i++) {
        make_packet(&bench.packets[i], &recipes[i], (uint32_t)i);
        if (!recipes[i].is_whole)
            bench.offloads[i] = super_of(&recipes[i], &bench.packets[i], 64);
    }
}

/* ---- who gives orders ---- */

static void order(const struct order *order)
{
    assert_true(ring_put(&bench.node.orders_tx, order, sizeof *order, NULL, 0));
}

static void order_key(void)
{
    struct session_limits limits;
    uint8_t key[AEAD_KEY_LEN];
    uint32_t index = ++bench.newest;
    struct send_session *session = &bench.sessions[index % KEYS];
    enum cipher cipher = index % 2 ? CIPHER_CHACHA20_POLY1305 : cipher_choose(ciphers_available());

    session_limits_default(&limits);
    limits.reject_after_messages = PER_KEY - 8; // this, too, is come to now and then
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)below(256);
    memset(session, 0, sizeof *session);
    send_session_init(session, &(struct session_secret){key, cipher, NS_PER_S}, &limits);
    session->remote_index = session->local_index = index;
    session->features = FEATURES_ALL;
    session->far_tap_mtu = 9000;
    memset(&bench.books[index % KEYS], 0, sizeof bench.books[0]);
    bench.books[index % KEYS].index = index;
    bench.n_of_newest = 0;
    order(&(struct order){.kind = ORDER_KEY, .u.send = session});
}

static void take_reports(void)
{
    struct report report;

    while (ring_get(&bench.node.reports_tx, &report, sizeof report) > 0)
        bench.n_returned += report.kind == REPORT_SEND_RETURNED;
    uint8_t hint[1024];
    while (ring_get(&bench.node.hints_tx, hint, sizeof hint) > 0)
        ;
}

static void fill_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
}

static void on_wake(void *ctx, enum node_thread thread)
{
    (void)ctx;
    (void)thread;
}

static void begin(void)
{
    static const struct tap_ops tap_ops = {.read_batch = read_batch};
    static const struct udp_ops udp_ops = {.send_batch = send_batch};
    struct node_config config = {.has_peer = true, .self = {.tap_mtu = 9000}, .peer = {.path_mtu = 576}};
    struct node_hooks hooks = {.wake = on_wake, .random = {.fill = fill_random}};
    struct order endpoint = {.kind = ORDER_ENDPOINT, .u.endpoint.remote = {.family = AF_INET, .port = 36160, .ip = {192, 0, 2, 1}}};

    bench.random = 5;
    bench.tap = (struct tap){.ops = &tap_ops, .fd = -1, .offload = TAP_OFFLOAD_FULL, .has_udp_offload = true, .has_header = true};
    for (int i = 0; i < 2; i++)
        bench.udp[i] = (struct udp){.ops = &udp_ops, .fd = -1, .family = i ? AF_INET6 : AF_INET};
    reassembly_limits_default(&config.reassembly);
    make_frames();
    assert_int_equal(node_init(&bench.node, &config, &(struct node_devices){&bench.tap, bench.udp}, &hooks, NS_PER_S), 0);
    order(&endpoint);
}

static void test_ten_million(void **state)
{
    const struct counters *counters = &bench.node.counters[NODE_TX];
    uint64_t deadline_ns;
    (void)state;

    begin();
    for (size_t turn = 0; bench.n_new < N_DATAGRAMS; turn++) {
        if (bench.newest == 0 || (bench.n_of_newest > KEY_AFTER && below(400) == 0))
            order_key();
        if (below(10) == 0)
            order(&(struct order){.kind = ORDER_CONTROL, .u.control = {.type = RECORD_ECHO}});
        (void)node_run_tx(&bench.node, true, NS_PER_S + turn * 1000, &deadline_ns);
        take_reports();
    }
    print_message("%zu datagrams under %u keys, %zu of them shown again\n", bench.n_new, bench.newest, bench.n_again);
    assert_true(bench.n_again > N_DATAGRAMS / 100 && bench.newest > 300);
    assert_int_equal(bench.n_returned, bench.newest - 1);
    assert_true(counters->drops[DROP_SEND_FAILED] > 100 && counters->drops[DROP_COUNTER_EXHAUSTED] > 100);
    assert_true(counters->traffic[COUNT_TX_FRAGMENTED_FRAMES] > 1000 && counters->traffic[COUNT_TX_SEGMENTS] > 1000);
    node_deinit(&bench.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_million),
    };

    if (sodium_init() < 0)
        return 1;
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
