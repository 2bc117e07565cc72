// SPDX-License-Identifier: MIT
/*
 * test_lookup: what is taken of a resolver's answer, and what is said about it and how often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "ethercord/clock.h"
#include "ethercord/lookup.h"
#include "test_said.h"

enum { ENTRIES_MAX = 1001 };

// A resolver's answer.
struct entries {
    struct addrinfo info[ENTRIES_MAX];
    struct sockaddr_storage sa[ENTRIES_MAX];
    size_t n;
};

static void append(struct entries *entries, const char *ip)
{
    struct addr addr;
    size_t i = entries->n++;

    assert_true(addr_parse_ip(ip, &addr));
    addr.port = 36160;
    entries->info[i] = (struct addrinfo){.ai_addr = (struct sockaddr *)&entries->sa[i]};
    entries->info[i].ai_addrlen = addr_to_sockaddr(&addr, &entries->sa[i]);
    if (i > 0)
        entries->info[i - 1].ai_next = &entries->info[i];
}

static void test_taken(void **state)
{
    static struct entries entries;
    struct lookup_answer answer;
    char ip[16];

    (void)state;
    lookup_take(&answer, NULL);
    assert_true(answer.n == 0 && answer.n_unusable == 0 && answer.n_too_many == 0);

    entries.n = 0;
    append(&entries, "2001:db8::1");
    append(&entries, "192.0.2.1");
    append(&entries, "2001:db8::1"); // once is enough
    lookup_take(&answer, entries.info);
    assert_true(answer.n == 2 && answer.n_unusable == 0 && answer.n_too_many == 0);
    assert_int_equal(answer.addresses[0].family, AF_INET6); // in the resolver's order
    assert_int_equal(answer.addresses[1].family, AF_INET);

    entries.n = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(ip, sizeof ip, "10.0.%d.%d", i / 250, i % 250);
        append(&entries, ip);
    }
    lookup_take(&answer, entries.info);
    assert_true(answer.n == PEER_ADDRESSES_MAX && answer.n_too_many == 1000 - PEER_ADDRESSES_MAX);
}

static void test_unusable(void **state)
{
    static const char *const unusable[] = {"0.0.0.0",         "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1",
                                           "255.255.255.255", "::",      "ff02::1",   "ff0e::1",         "::ffff:224.0.0.1"};
    static struct entries entries;
    struct lookup_answer answer;

    (void)state;
    entries.n = 0;
    for (size_t i = 0; i < sizeof unusable / sizeof *unusable; i++)
        append(&entries, unusable[i]);
    append(&entries, "192.0.2.1");
    lookup_take(&answer, entries.info);
    assert_int_equal(answer.n_unusable, sizeof unusable / sizeof *unusable);
    assert_int_equal(answer.n, 1);

    // What is no IP address at all, or is cut short.
    entries.info[0].ai_addr->sa_family = AF_UNIX;
    entries.info[entries.n - 1].ai_addrlen = 7;
    lookup_take(&answer, entries.info);
    assert_int_equal(answer.n_unusable, sizeof unusable / sizeof *unusable + 1);
    assert_int_equal(answer.n, 0);
}

static struct lookup_answer answer_of(size_t n, const char *const *ips)
{
    static struct entries entries;
    struct lookup_answer answer;

    entries.n = 0;
    for (size_t i = 0; i < n; i++)
        append(&entries, ips[i]);
    lookup_take(&answer, n > 0 ? entries.info : NULL);
    return answer;
}

static void init_lookup(struct lookup *lookup, struct config *config, const char *host)
{
    snprintf(config->peer.endpoint_host, sizeof config->peer.endpoint_host, "%s", host);
    snprintf(config->peer.name, sizeof config->peer.name, "site-b");
    *lookup = (struct lookup){.config = config};
}

// Once, and again when it is another.
static void test_found_is_said(void **state)
{
    static struct config config;
    struct lookup lookup;
    struct said said;
    struct lookup_answer one = answer_of(2, (const char *const[]){"192.0.2.1", "2001:db8::1"});
    struct lookup_answer turned = answer_of(2, (const char *const[]){"2001:db8::1", "192.0.2.1"});
    struct lookup_answer other = answer_of(2, (const char *const[]){"192.0.2.2", "2001:db8::1"});
    uint64_t now_ns = 1000 * NS_PER_S;

    (void)state;
    init_lookup(&lookup, &config, "b.example.net");
    assert_true(said_begin(&said));
    lookup_log(&lookup, &one, 0, now_ns);
    assert_said(&said, "Endpoint 'b.example.net' of peer site-b is 192.0.2.1:36160, [2001:db8::1]:36160");
    lookup_log(&lookup, &turned, 0, now_ns += 15 * NS_PER_S);
    assert_said_nothing(&said);
    lookup_log(&lookup, &other, 0, now_ns += 15 * NS_PER_S);
    assert_said(&said, "is 192.0.2.2:36160, ");
    for (int i = 0; i < 5; i++) // a resolver that says something else each time fills no log
        lookup_log(&lookup, i % 2 ? &other : &one, 0, now_ns += NS_PER_S);
    assert_said_nothing(&said);

    init_lookup(&lookup, &config, "192.0.2.1"); // nobody needs to be told
    lookup_log(&lookup, &one, 0, now_ns);
    assert_said_nothing(&said);
    said_end(&said);
}

// When it begins, each ten minutes, and when it ends.
static void test_failure_is_said(void **state)
{
    static struct config config;
    struct lookup lookup;
    struct said said;
    struct lookup_answer none = answer_of(0, NULL), bad = answer_of(1, (const char *const[]){"224.0.0.1"});
    struct lookup_answer one = answer_of(1, (const char *const[]){"192.0.2.1"});
    uint64_t now_ns = 1000 * NS_PER_S;

    (void)state;
    init_lookup(&lookup, &config, "b.example.net");
    assert_true(said_begin(&said));
    lookup_log(&lookup, &none, UV_EAI_AGAIN, now_ns);
    assert_said(&said, "can't resolve Endpoint 'b.example.net' of peer site-b: temporary failure");
    for (int i = 0; i < 39; i++)
        lookup_log(&lookup, &none, UV_EAI_AGAIN, now_ns += 15 * NS_PER_S);
    assert_said_nothing(&said);
    lookup_log(&lookup, &none, UV_EAI_AGAIN, now_ns += 15 * NS_PER_S);
    assert_said(&said, "41 failures in 600 s");
    lookup_log(&lookup, &one, 0, now_ns);
    const char *all = said_all(&said);
    assert_non_null(strstr(all, "resolves again, after 41 failures"));
    lookup_log(&lookup, &bad, 0, now_ns);
    assert_said(&said, "it has no address that a peer can have");
    lookup_log(&lookup, &one, 0, now_ns); // the same as before
    assert_said(&said, "resolves again, after 1 failures");
    said_end(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_found_is_said),
        cmocka_unit_test(test_failure_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
