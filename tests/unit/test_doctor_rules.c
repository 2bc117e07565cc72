// SPDX-License-Identifier: MIT
/*
 * test_doctor_rules: what rules do to the tunnel's datagrams, in the words of `nft -j list ruleset` (1.0.6), and that nothing is called
 * certain that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../src/cli/doctor_rules.h"

enum { TEXT_CAP = 16384 };

static const char *const hooks[] = {"input", NULL};
static struct rules_packet packet;

// Rules of chain "c" by the text of their expressions; a text that begins with ">x " is of chain "x".
static struct rules_verdict judge(const char *family, const char *policy, const char *const *rules)
{
    char text[TEXT_CAP];
    int len = snprintf(text, sizeof text,
                       "{\"nftables\":[{\"metainfo\":{}},{\"chain\":{\"family\":\"%s\",\"table\":\"t\",\"name\":\"c\",\"hook\":\"input\","
                       "\"policy\":\"%s\"}}",
                       family, policy);
    for (int i = 0; rules && rules[i]; i++) {
        bool is_other = rules[i][0] == '>';
        len += snprintf(text + len, sizeof text - (size_t)len,
                        ",{\"rule\":{\"family\":\"%s\",\"table\":\"t\",\"chain\":\"%c\",\"handle\":%d,\"expr\":[%s]}}", family,
                        is_other ? rules[i][1] : 'c', i + 1, rules[i] + (is_other ? 3 : 0));
    }
    (void)snprintf(text + len, sizeof text - (size_t)len, "]}");
    json_t *ruleset = json_loads(text, 0, NULL);
    if (!ruleset)
        fail_msg("no JSON: %s", text);
    struct rules_verdict verdict = rules_judge(ruleset, &packet);
    json_decref(ruleset);
    return verdict;
}

#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MATCH(left, op, right) "{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define PAYLOAD(protocol, field) "{\"payload\":{\"protocol\":\"" protocol "\",\"field\":\"" field "\"}}"
#define META(key) "{\"meta\":{\"key\":\"" key "\"}}"
#define DPORT(right) MATCH(PAYLOAD("udp", "dport"), "==", right)
#define CT MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "[\"established\",\"related\"]")
#define DROP ",{\"drop\":null}"
#define ACCEPT ",{\"accept\":null}"

static void begin(void)
{
    packet = (struct rules_packet){.hooks = hooks, .is_udp = true, .family = AF_INET, .in = "eth0"};
    assert_true(addr_parse_ip("192.0.2.2", &packet.from) && addr_parse_ip("192.0.2.1", &packet.to));
    packet.from.port = 36161;
    packet.to.port = 36160;
}

static void assert_outcome(int line, struct rules_verdict verdict, enum rules_outcome wanted)
{
    if (verdict.outcome != wanted)
        fail_msg("line %d: outcome %d (%s), wanted %d", line, (int)verdict.outcome, verdict.where, (int)wanted);
}
#define ONE(wanted, ...) assert_outcome(__LINE__, judge("inet", "accept", RULES(__VA_ARGS__)), wanted)
#define CLOSED(wanted, ...) assert_outcome(__LINE__, judge("inet", "drop", RULES(__VA_ARGS__)), wanted)

static void ports(void **state)
{
    (void)state;
    begin();
    ONE(RULES_DROP, DPORT("36160") DROP);
    ONE(RULES_DROP, DPORT("36160") ",{\"counter\":{\"packets\":0,\"bytes\":0}},{\"log\":null},{\"reject\":{\"type\":\"icmp\"}}");
    ONE(RULES_PASS, DPORT("36161") DROP);
    ONE(RULES_DROP, DPORT("{\"range\":[36000,36160]}") DROP);
    ONE(RULES_PASS, DPORT("{\"range\":[36161,36170]}") DROP);
    ONE(RULES_DROP, DPORT("{\"set\":[53,{\"range\":[36160,36160]}]}") DROP);
    ONE(RULES_PASS, DPORT("{\"set\":[53,80]}") DROP);
    ONE(RULES_PASS, DPORT("\"@blocked\"") DROP); // can't be told
    ONE(RULES_PASS, DPORT("\"domain\"") DROP);
    ONE(RULES_DROP, MATCH(PAYLOAD("udp", "dport"), "!=", "53") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("udp", "dport"), "!=", "36160") DROP);
    ONE(RULES_DROP, MATCH(PAYLOAD("th", "sport"), "==", "36161") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("udp", "dport"), "<", "1024") DROP);
}

static void protocols(void **state)
{
    (void)state;
    begin();
    ONE(RULES_PASS, MATCH(PAYLOAD("tcp", "dport"), "==", "36160") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("tcp", "dport"), "!=", "22") DROP); // no packet of UDP has such a port
    ONE(RULES_DROP, MATCH(META("l4proto"), "==", "\"udp\"") DROP);
    ONE(RULES_DROP, MATCH(META("l4proto"), "==", "17") DROP);
    ONE(RULES_PASS, MATCH(META("l4proto"), "==", "\"tcp\"") DROP);
    ONE(RULES_DROP, MATCH(META("l4proto"), "!=", "\"tcp\"") DROP);
    ONE(RULES_DROP, MATCH(PAYLOAD("ip", "protocol"), "==", "\"udp\"") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("ip6", "nexthdr"), "==", "\"udp\"") DROP);
    ONE(RULES_DROP, MATCH(META("nfproto"), "==", "\"ipv4\"") DROP);
    ONE(RULES_PASS, MATCH(META("nfproto"), "==", "\"ipv6\"") DROP);
}

static void addresses(void **state)
{
    (void)state;
    begin();
    ONE(RULES_DROP, MATCH(PAYLOAD("ip", "saddr"), "==", "\"192.0.2.2\"") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("ip", "saddr"), "==", "\"192.0.2.3\"") DROP);
    ONE(RULES_DROP, MATCH(PAYLOAD("ip", "saddr"), "==", "{\"prefix\":{\"addr\":\"192.0.0.0\",\"len\":22}}") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("ip", "saddr"), "==", "{\"prefix\":{\"addr\":\"192.0.4.0\",\"len\":22}}") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("ip", "saddr"), "==", "{\"prefix\":{\"addr\":\"192.0.2.0\",\"len\":33}}") DROP);
    ONE(RULES_DROP, MATCH(PAYLOAD("ip", "daddr"), "!=", "\"192.0.2.9\"") DROP);
    packet.from = (struct addr){0}; // from anywhere
    ONE(RULES_PASS, MATCH(PAYLOAD("ip", "saddr"), "==", "\"192.0.2.2\"") DROP);
    begin();
    packet.family = AF_INET6;
    assert_true(addr_parse_ip("2001:db8::2", &packet.from));
    ONE(RULES_DROP, MATCH(PAYLOAD("ip6", "saddr"), "==", "{\"prefix\":{\"addr\":\"2001:db8::\",\"len\":32}}") DROP);
    ONE(RULES_PASS, MATCH(PAYLOAD("ip", "saddr"), "!=", "\"192.0.2.2\"") DROP);
    assert_outcome(__LINE__, judge("ip", "drop", NULL), RULES_PASS); // IPv4's
    assert_outcome(__LINE__, judge("ip6", "drop", NULL), RULES_DROP);
}

static void interfaces(void **state)
{
    (void)state;
    begin();
    ONE(RULES_DROP, MATCH(META("iifname"), "==", "\"eth0\"") DROP);
    ONE(RULES_DROP, MATCH(META("iifname"), "==", "\"eth*\"") DROP);
    ONE(RULES_PASS, MATCH(META("iifname"), "==", "\"lo\"") DROP);
    ONE(RULES_PASS, MATCH(META("oifname"), "==", "\"eth0\"") DROP); // not known
}

static void policies(void **state)
{
    (void)state;
    begin();
    assert_outcome(__LINE__, judge("inet", "accept", NULL), RULES_PASS);
    assert_outcome(__LINE__, judge("inet", "drop", NULL), RULES_DROP);
    assert_string_equal(judge("inet", "drop", NULL).where, "the policy of chain c in table inet t");
    assert_outcome(__LINE__, judge("bridge", "drop", NULL), RULES_PASS);
    CLOSED(RULES_PASS, DPORT("36160") ACCEPT);
    CLOSED(RULES_DROP, DPORT("36161") ACCEPT);
    CLOSED(RULES_MAY_DROP, CT ACCEPT);
    CLOSED(RULES_PASS, CT ACCEPT, DPORT("36160") ACCEPT);
    CLOSED(RULES_PASS, MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "\"invalid\"") DROP, DPORT("36160") ACCEPT);
    CLOSED(RULES_MAY_DROP, "{\"vmap\":{\"key\":{\"ct\":{\"key\":\"state\"}},\"data\":{\"set\":[]}}}");
    CLOSED(RULES_MAY_DROP, "{\"xt\":{\"type\":\"match\",\"name\":\"conntrack\"}}" ACCEPT);
    CLOSED(RULES_MAY_DROP, "{\"queue\":{\"num\":1}}");
}

static void conditions_that_cant_be_told(void **state)
{
    (void)state;
    begin();
    ONE(RULES_PASS, CT DROP);
    ONE(RULES_MAY_DROP, DPORT("36160") "," CT DROP); // but the port is ours
    ONE(RULES_MAY_DROP, DPORT("36160") ",{\"limit\":{\"rate\":10,\"per\":\"second\",\"inv\":true}}" DROP);
    ONE(RULES_MAY_DROP, CT ACCEPT, DPORT("36160") DROP);
    ONE(RULES_PASS, MATCH("{\"&\":[{\"meta\":{\"key\":\"mark\"}},1]}", "==", "1") DROP);
    assert_string_equal(judge("inet", "accept", RULES(CT ACCEPT, DPORT("36160") DROP)).where, "rule 2 of chain c in table inet t");
}

#define TO(verdict, chain) "{\"" verdict "\":{\"target\":\"" chain "\"}}"

static void jumps(void **state)
{
    (void)state;
    begin();
    ONE(RULES_DROP, TO("jump", "x"), ">x " DPORT("36160") DROP);
    CLOSED(RULES_PASS, TO("jump", "x"), ">x " DPORT("36160") ACCEPT);
    ONE(RULES_DROP, TO("jump", "x"), DPORT("36160") DROP, ">x " DPORT("36160") ",{\"return\":null}", ">x " DPORT("36160") ACCEPT);
    ONE(RULES_PASS, TO("goto", "x"), DPORT("36160") DROP, ">x " DPORT("53") DROP); // does not come back
    CLOSED(RULES_DROP, TO("goto", "x"), DPORT("36160") ACCEPT, ">x " DPORT("53") DROP);
    ONE(RULES_MAY_DROP, CT "," TO("jump", "x"), DPORT("36160") DROP, ">x " DPORT("36160") ACCEPT);
    ONE(RULES_PASS, CT "," TO("jump", "x"), ">x {\"drop\":null}");
    ONE(RULES_PASS, CT ",{\"return\":null}", "{\"drop\":null}"); // may have returned before
    ONE(RULES_DROP, DPORT("53") ",{\"return\":null}", "{\"drop\":null}");
    CLOSED(RULES_MAY_DROP, TO("jump", "x"), ">x " TO("jump", "x")); // no kernel has such; it ends all the same
}

// Not a datagram but anything that a bridge passes.
static void whatever_it_is(void **state)
{
    (void)state;
    begin();
    packet = (struct rules_packet){.hooks = hooks, .family = AF_INET, .in = "br0", .out = "br0"};
    CLOSED(RULES_DROP, MATCH(META("iifname"), "==", "\"docker0\"") ACCEPT);
    CLOSED(RULES_PASS, MATCH(META("iifname"), "==", "\"br0\"") ACCEPT);
    CLOSED(RULES_MAY_DROP, MATCH(PAYLOAD("tcp", "dport"), "==", "22") ACCEPT);
    ONE(RULES_PASS, MATCH(PAYLOAD("tcp", "dport"), "==", "22") DROP);
    ONE(RULES_DROP, "{\"drop\":null}");
}

static void nonsense(void **state)
{
    static const char *const texts[] = {
        "[]", "{}", "{\"nftables\":{}}", "{\"nftables\":[1,[],{\"chain\":7},{\"chain\":{\"hook\":[]}}]}",
        "{\"nftables\":[{\"chain\":{\"family\":\"inet\",\"hook\":\"input\"}},{\"rule\":{\"expr\":7}},"
        "{\"rule\":{\"family\":\"inet\",\"expr\":[7,{\"match\":7},{\"match\":{\"op\":\"==\"}},{\"jump\":7}]}}]}"};
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *ruleset = json_loads(texts[i], 0, NULL);
        assert_non_null(ruleset);
        assert_int_equal(rules_judge(ruleset, &packet).outcome, RULES_PASS);
        json_decref(ruleset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports),      cmocka_unit_test(protocols),      cmocka_unit_test(addresses),
        cmocka_unit_test(interfaces), cmocka_unit_test(policies),       cmocka_unit_test(conditions_that_cant_be_told),
        cmocka_unit_test(jumps),      cmocka_unit_test(whatever_it_is), cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
