// SPDX-License-Identifier: MIT
/*
 * source_limit: what one source may do, and that nothing which others do takes anything from it: not the same site's neighbours, not a
 * table that is full, not who uses up his own share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/source_limit.h"

#define T0 (1000 * NS_PER_S)

static const uint8_t secret[16] = "not so secret.";
static struct source_limit limit;

static void reset(void)
{
    source_limit_init(&limit, secret);
}

static struct addr ipv4(uint32_t number)
{
    struct addr addr = {.family = AF_INET, .port = 36160};

    for (int i = 0; i < IPV4_LEN; i++)
        addr.ip[i] = (uint8_t)(number >> (24 - 8 * i));
    return addr;
}

static struct addr ipv6(uint64_t site, uint64_t host)
{
    struct addr addr = {.family = AF_INET6, .port = 36160};

    for (int i = 0; i < 8; i++) {
        addr.ip[i] = (uint8_t)(site >> (56 - 8 * i));
        addr.ip[8 + i] = (uint8_t)(host >> (56 - 8 * i));
    }
    return addr;
}

static unsigned n_taken(const struct addr *from, unsigned n_tries, uint64_t now_ns)
{
    unsigned n = 0;

    while (n_tries-- > 0)
        n += source_limit_take(&limit, from, now_ns);
    return n;
}

static void test_burst_and_rate(void **state)
{
    struct addr from = ipv4(0x0a000001);
    unsigned n = 0;
    (void)state;

    reset();
    assert_int_equal(n_taken(&from, 100, T0), SOURCE_BURST);
    assert_int_equal(n_taken(&from, 100, T0 + NS_PER_S / SOURCE_PER_S - 1), 0);
    assert_int_equal(n_taken(&from, 100, T0 + NS_PER_S / SOURCE_PER_S), 1);
    for (uint64_t ms = 1000; ms < 11000; ms++)
        n += n_taken(&from, 1, T0 + ms * NS_PER_MS);
    assert_in_range(n, 10 * SOURCE_PER_S, 10 * SOURCE_PER_S + SOURCE_BURST);
    assert_int_equal(n_taken(&from, 100, T0 + 100 * NS_PER_S), SOURCE_BURST); // never more than a full one
}

// What a refused one would have cost is not counted: who asks too often still gets his share.
static void test_refusals_cost_nothing(void **state)
{
    struct addr from = ipv4(1);
    (void)state;

    reset();
    assert_int_equal(n_taken(&from, 100000, T0), SOURCE_BURST);
    assert_int_equal(n_taken(&from, 100000, T0 + NS_PER_S), SOURCE_BURST);
}

static void test_ports_share(void **state)
{
    struct addr from = ipv4(1);
    unsigned n = 0;
    (void)state;

    reset();
    for (uint16_t port = 1; port < 1000; port++) {
        from.port = port;
        n += n_taken(&from, 1, T0);
    }
    assert_int_equal(n, SOURCE_BURST);
}

static void test_a_site_shares_and_its_neighbour_does_not(void **state)
{
    unsigned n = 0;
    (void)state;

    reset();
    for (uint64_t host = 0; host < 1000; host++) {
        struct addr from = ipv6(0x20010db800000001, host * UINT64_C(0x0123456789abcdef));
        n += n_taken(&from, 1, T0);
    }
    assert_int_equal(n, SOURCE_BURST);
    struct addr neighbour = ipv6(0x20010db800000002, 1);
    assert_int_equal(n_taken(&neighbour, 10, T0), SOURCE_BURST);
}

// 4 zero bytes behind an IPv4 address do not make it an IPv6 site.
static void test_families_are_apart(void **state)
{
    struct addr four = ipv4(0x20010db8), six = ipv6(0x20010db800000000, 0);
    (void)state;

    reset();
    assert_int_equal(n_taken(&four, 10, T0), SOURCE_BURST);
    assert_int_equal(n_taken(&six, 10, T0), SOURCE_BURST);
}

static void test_one_abuser_takes_nothing_from_others(void **state)
{
    struct addr abuser = ipv4(66), honest = ipv4(67);
    (void)state;

    reset();
    for (uint64_t ms = 0; ms < 10000; ms++) {
        n_taken(&abuser, 100, T0 + ms * NS_PER_MS);
        if (ms % 500 == 0)
            assert_int_equal(n_taken(&honest, 1, T0 + ms * NS_PER_MS), 1);
    }
}

// More sources than there are places, all within the common limit: whoever is new gets in.
static void test_a_full_table_shuts_nobody_out(void **state)
{
    uint64_t now_ns = T0;
    (void)state;

    reset();
    for (uint32_t i = 0; i < 20 * SOURCE_PLACES; i++) {
        struct addr from = ipv4(0x0b000000 + i);
        now_ns += NS_PER_S / SOURCES_PER_S;
        assert_true(source_limit_take(&limit, &from, now_ns));
    }
}

// Abusers with as many addresses as they like can't do more than all may; and one that asks seldom is not refused for its own past.
static void test_all_together(void **state)
{
    unsigned n = 0;
    (void)state;

    reset();
    for (uint32_t i = 0; i < 100000; i++) {
        struct addr from = ipv4(i);
        n += n_taken(&from, 1, T0);
    }
    assert_int_equal(n, SOURCES_BURST);
    struct addr honest = ipv4(0xc0000201);
    assert_int_equal(n_taken(&honest, 10, T0), 0);
    assert_int_equal(n_taken(&honest, 10, T0 + NS_PER_S), SOURCE_BURST); // nothing was taken from its own bucket
}

// Under another secret other sources share a set: what somebody finds out about one node is of no use with another, nor after a restart.
static void test_the_secret_decides_the_places(void **state)
{
    uint8_t other[16] = {1};
    struct source_limit second;
    unsigned n_same = 0;
    (void)state;

    reset();
    source_limit_init(&second, other);
    for (uint32_t i = 0; i < 50; i++) {
        struct addr from = ipv4(i);
        assert_true(source_limit_take(&limit, &from, T0 + i * NS_PER_S));
        assert_true(source_limit_take(&second, &from, T0 + i * NS_PER_S));
    }
    for (size_t i = 0; i < SOURCE_PLACES; i++)
        n_same += limit.places[i].full_ns != 0 && second.places[i].full_ns != 0;
    assert_true(n_same < 25);
}

static void test_bucket(void **state)
{
    uint64_t full_ns = 0;
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_true(bucket_take(&full_ns, 10, 3, 1000));
    assert_false(bucket_take(&full_ns, 10, 3, 1000));
    assert_false(bucket_take(&full_ns, 10, 3, 1009));
    assert_true(bucket_take(&full_ns, 10, 3, 1010));
    assert_false(bucket_take(&full_ns, 10, 3, 1010));
    full_ns = UINT64_MAX - 5; // a clock that went far back refuses rather than overflow
    assert_false(bucket_take(&full_ns, 10, 3, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_rate),
        cmocka_unit_test(test_refusals_cost_nothing),
        cmocka_unit_test(test_ports_share),
        cmocka_unit_test(test_a_site_shares_and_its_neighbour_does_not),
        cmocka_unit_test(test_families_are_apart),
        cmocka_unit_test(test_one_abuser_takes_nothing_from_others),
        cmocka_unit_test(test_a_full_table_shuts_nobody_out),
        cmocka_unit_test(test_all_together),
        cmocka_unit_test(test_the_secret_decides_the_places),
        cmocka_unit_test(test_bucket),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
