// SPDX-License-Identifier: MIT
/*
 * Somebody who knows a node's public key and address sends it initiations without end, from wherever he likes, and answers that nobody
 * asked for. Sessions go on and are renewed, newcomers get in, nobody's share is used up by others, and what goes out is never more than
 * what came in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/source_limit.h"
#include "ethercord/wire.h"
#include "sim.h"

struct flood {
    struct cookie_jar jar; // made from the victim's public key
    struct addr victim;
    size_t n, bytes;
    struct addr abuser; // who wants to have cookie replies
    size_t n_cookies;
};

static void flood_init(struct sim *sim, struct flood *flood, int victim)
{
    *flood = (struct flood){.victim = sim->nodes[victim].seen, .abuser = sim_addr(66, 666)};
    cookie_jar_init(&flood->jar, sim->nodes[victim].config.self.static_public);
}

// Right in all that is seen without Diffie-Hellman. receiver_index: of a response.
static void hurl(struct sim *sim, struct flood *flood, const struct addr *from, size_t len, uint32_t receiver_index)
{
    _Alignas(struct sim_datagram) uint8_t room[sizeof(struct sim_datagram) + WIRE_INITIATION_LEN] = {0};
    struct sim_datagram *datagram = (struct sim_datagram *)(void *)room;

    datagram->len = len;
    for (size_t i = 4; i < len; i++)
        datagram->bytes[i] = (uint8_t)sim_random(sim);
    datagram->bytes[0] = len == WIRE_INITIATION_LEN ? MESSAGE_INITIATION
                         : len == WIRE_RESPONSE_LEN ? MESSAGE_RESPONSE
                                                    : MESSAGE_COOKIE_REPLY;
    if (receiver_index)
        store_le32(datagram->bytes + (len == WIRE_RESPONSE_LEN ? 8 : 4), receiver_index);
    if (len != WIRE_COOKIE_REPLY_LEN)
        cookie_add_macs(&flood->jar, datagram->bytes, len, sim->now_ns);
    flood->n++;
    flood->bytes += len;
    sim_inject(sim, datagram, from, &flood->victim);
}

static struct addr anywhere(struct sim *sim)
{
    struct addr from = {.family = AF_INET, .port = (uint16_t)(1 + sim_below(sim, 65535)), .ip = {10}};

    for (size_t i = 1; i < IPV4_LEN; i++)
        from.ip[i] = (uint8_t)sim_random(sim);
    return from;
}

// n initiations in each ms, each from elsewhere.
static void flood_for(struct sim *sim, struct flood *flood, unsigned n_per_ms, uint64_t duration_ns)
{
    for (uint64_t end_ns = sim->now_ns + duration_ns; sim->now_ns < end_ns;) {
        for (unsigned i = 0; i < n_per_ms; i++) {
            struct addr from = anywhere(sim);
            hurl(sim, flood, &from, WIRE_INITIATION_LEN, 0);
        }
        sim_run(sim, NS_PER_MS);
    }
}

static void rekey_each_second(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.timing.rekey_after_ns = sim->nodes[id].config.peer.timing.rekey_backup_ns = NS_PER_S;
}

// Both ways round: the flooded node calls, and is called.
static void session_goes_on(struct sim *sim)
{
    int victim = (int)(sim->seed & 1);
    struct flood flood;

    rekey_each_second(sim);
    sim->slow_us = 500;
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 200 * NS_PER_MS);
    flood_init(sim, &flood, victim);
    sim_flow(sim, SIM_A, 5 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 5 * NS_PER_MS, 60, 1514);
    uint64_t before = sim_counted(sim, victim, COUNT_HANDSHAKES_DONE);
    flood_for(sim, &flood, 5, 10 * NS_PER_S);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 300 * NS_PER_MS);
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_n_received(sim, id) == sim_n_sent(sim, id));
        sim_assert(sim, sim->nodes[id].n_up == 1 && sim->nodes[id].n_down == 0);
    }
    sim_assert(sim, sim_counted(sim, victim, COUNT_HANDSHAKES_DONE) >= before + 6);
    sim_assert(sim, sim_dropped(sim, victim, DROP_HANDSHAKE_FAILED) < 50 + 50 * 11);
    sim_assert(sim, sim_counted(sim, victim, COUNT_COOKIE_REPLIES) > flood.n / 2);
    sim_assert(sim, sim->stray_bytes <= flood.bytes);
    sim_assert(sim, sim->n_stray * WIRE_COOKIE_REPLY_LEN == sim->stray_bytes); // and nothing but cookie replies
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].node->secrets->peer.config.timing.rekey_after_ns = 120 * NS_PER_S;
    sim_heal(sim);
}

static void test_session_goes_on(void **state)
{
    (void)state;
    sim_each_seed("test_session_goes_on", 4, session_goes_on);
}

// The peer was started again; its first call is one among many.
static void newcomer(struct sim *sim)
{
    struct flood flood;

    sim_link(sim, (struct sim_link){.delay_ms = 10});
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim_start_node(sim, SIM_B);
    flood_init(sim, &flood, SIM_B);
    flood_for(sim, &flood, 5, 2 * NS_PER_S);
    sim_start_node(sim, SIM_A);
    flood_for(sim, &flood, 5, 4 * NS_PER_S);
    sim_assert(sim, sim_are_up(sim) && sim_counted(sim, SIM_A, COUNT_COOKIES_TAKEN) > 0);
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_B)->endpoint.remote, &sim->nodes[SIM_A].seen));
    sim_heal(sim);
}

static void test_newcomer(void **state)
{
    (void)state;
    sim_each_seed("test_newcomer", 6, newcomer);
}

// A calls B, which does not hear it for a while; meanwhile others answer.
static void uninvited_answers(struct sim *sim)
{
    struct flood flood;
    bool knows_index = sim->seed & 1;

    sim_start_node(sim, SIM_A);
    flood_init(sim, &flood, SIM_A);
    sim_run(sim, NS_PER_S);
    for (uint64_t ms = 0; ms < 3000; ms++) {
        struct addr from = anywhere(sim);
        uint32_t index = knows_index ? sim_peer(sim, SIM_A)->pending.local_index : 0;
        for (unsigned i = 0; i < 3; i++)
            hurl(sim, &flood, &from, i % 2 ? WIRE_RESPONSE_LEN : WIRE_COOKIE_REPLY_LEN, index);
        sim_run(sim, NS_PER_MS);
    }
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_HANDSHAKE_FAILED) <= (knows_index ? 50 + 50 * 4 : 0));
    sim_assert(sim, sim_dropped(sim, SIM_A, knows_index ? DROP_HANDSHAKE_LIMIT : DROP_HANDSHAKE_UNEXPECTED) > flood.n * 9 / 10);
    sim_assert(sim, sim->n_stray == 0); // nobody is answered
    sim_start_node(sim, SIM_B);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_heal(sim);
}

static void test_uninvited_answers(void **state)
{
    (void)state;
    sim_each_seed("test_uninvited_answers", 4, uninvited_answers);
}

// Somebody sees A's initiation, and answers it with cookie replies without end before B can. That takes no key, and keeps nobody out.
static void cookie_replies_first(struct sim *sim)
{
    struct flood flood;

    sim_link(sim, (struct sim_link){.delay_ms = 10});
    sim_start(sim);
    flood_init(sim, &flood, SIM_A);
    for (uint64_t ms = 0; ms < 2000; ms++) {
        struct addr from = sim->nodes[SIM_B].seen;
        for (unsigned i = 0; i < 20; i++)
            hurl(sim, &flood, &from, WIRE_COOKIE_REPLY_LEN, sim_peer(sim, SIM_A)->pending.local_index);
        sim_run(sim, NS_PER_MS);
    }
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_HANDSHAKE_LIMIT) > 0);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) == 1 && sim_are_up(sim));
}

static void test_cookie_replies_first(void **state)
{
    (void)state;
    sim_each_seed("test_cookie_replies_first", 4, cookie_replies_first);
}

static enum sim_fate take_cookies(struct sim *sim, const struct sim_datagram *datagram)
{
    struct flood *flood = sim->filter_ctx;
    struct cookie_reply_msg msg;

    if (!addr_equal(&datagram->to, &flood->abuser) || datagram->len != WIRE_COOKIE_REPLY_LEN)
        return SIM_PASS;
    cookie_reply_decode(datagram->bytes, &msg);
    flood->n_cookies += cookie_consume_reply(&flood->jar, &msg.cookie, sim->now_ns);
    return SIM_PASS;
}

// Who has a cookie may cause some handshakes, not many, and takes nothing from A, whose calls come from elsewhere.
static void abuser_with_cookie(struct sim *sim)
{
    struct flood flood;

    rekey_each_second(sim);
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    flood_init(sim, &flood, SIM_B);
    sim->filter = take_cookies;
    sim->filter_ctx = &flood;
    uint64_t done = sim_counted(sim, SIM_B, COUNT_HANDSHAKES_DONE);
    for (uint64_t ms = 0; ms < 10000; ms++) {
        hurl(sim, &flood, &flood.abuser, WIRE_INITIATION_LEN, 0);
        sim_run(sim, NS_PER_MS);
    }
    sim_assert(sim, flood.n_cookies == 1 && flood.jar.has_cookie);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_LIMIT) > 9000);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_FAILED) <= 50 + 50 + SOURCE_BURST + SOURCE_PER_S * 10);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_HANDSHAKES_DONE) >= done + 8);
    sim_assert(sim, sim->nodes[SIM_B].n_down == 0);
}

static void test_abuser_with_cookie(void **state)
{
    (void)state;
    sim_each_seed("test_abuser_with_cookie", 4, abuser_with_cookie);
}

// A cookie is good where it was given, and nowhere else.
static void borrowed_cookie(struct sim *sim)
{
    struct flood flood;
    struct addr other;

    sim_start_node(sim, SIM_B);
    flood_init(sim, &flood, SIM_B);
    sim->filter = take_cookies;
    sim->filter_ctx = &flood;
    for (unsigned i = 0; i < 60; i++)
        hurl(sim, &flood, &flood.abuser, WIRE_INITIATION_LEN, 0), sim_run(sim, 100000);
    sim_assert(sim, flood.n_cookies == 1);
    uint64_t refused = sim_dropped(sim, SIM_B, DROP_BAD_MAC2), failed = sim_dropped(sim, SIM_B, DROP_HANDSHAKE_FAILED);
    for (unsigned i = 0; i < 100; i++) {
        other = i % 2 ? anywhere(sim) : flood.abuser;
        other.port ^= i % 2 == 0;
        flood.abuser.port = 1; // no more cookies are taken
        hurl(sim, &flood, &other, WIRE_INITIATION_LEN, 0);
        flood.abuser.port = 666;
        sim_run(sim, 100000);
    }
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_BAD_MAC2) >= refused + 98);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_FAILED) <= failed + 2);
}

static void test_borrowed_cookie(void **state)
{
    (void)state;
    sim_each_seed("test_borrowed_cookie", 2, borrowed_cookie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_goes_on),      cmocka_unit_test(test_newcomer),           cmocka_unit_test(test_uninvited_answers),
        cmocka_unit_test(test_cookie_replies_first), cmocka_unit_test(test_abuser_with_cookie), cmocka_unit_test(test_borrowed_cookie),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
