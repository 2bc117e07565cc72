// SPDX-License-Identifier: MIT
/*
 * doctor_rules: see doctor_rules.h. A base chain is walked as the kernel does; each is judged on its own, as a packet has to pass them all.
 */
#include "doctor_rules.h"

#include <stdio.h>
#include <string.h>

// In this order: of several conditions the least one counts.
enum match { NO, MAYBE, YES };
enum end { FELL_OFF, ACCEPTED, DROPPED };

struct chain {
    const char *family, *table, *name;
};

struct walk {
    const json_t *list; // of what `nft` says
    const struct rules_packet *packet;
    unsigned n_steps;
    int depth;            // of jumps
    bool may_be_accepted; // before what drops it for sure
    bool has_named_drop;  // a rule that names our port drops it under a condition that can't be told
    char where[RULES_WHERE_CAP];
    char named[RULES_WHERE_CAP];
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- values ---- */

// What is on the right side of a comparison: one value, a range, a prefix, or a set of these.
struct known {
    bool is_number;
    json_int_t number;
    const char *texts[2]; // else: names for the same thing
    const struct addr *ip;
};

static enum match match_prefix(const json_t *prefix, const struct addr *ip)
{
    struct addr net;
    json_int_t len = json_integer_value(json_object_get(prefix, "len"));
    if (!addr_parse_ip(text_of(prefix, "addr"), &net) || len < 0 || len > 8 * (json_int_t)addr_ip_len(net.family))
        return MAYBE;
    if (net.family != ip->family)
        return NO;
    size_t n_bytes = (size_t)len / 8, n_bits = (size_t)len % 8;
    if (memcmp(net.ip, ip->ip, n_bytes) != 0)
        return NO;
    return n_bits == 0 || (net.ip[n_bytes] ^ ip->ip[n_bytes]) >> (8 - n_bits) == 0 ? YES : NO;
}

static enum match match_text(const char *text, const struct known *known)
{
    struct addr ip;
    size_t len = strlen(text);
    if (text[0] == '@')
        return MAYBE; // a set with a name: not looked into
    if (known->ip)
        return !addr_parse_ip(text, &ip) ? MAYBE : addr_equal_ip(&ip, known->ip) ? YES : NO;
    for (size_t i = 0; i < 2 && known->texts[i]; i++) {
        if (is(text, known->texts[i]))
            return YES;
        if (len > 0 && text[len - 1] == '*' && strncmp(text, known->texts[i], len - 1) == 0)
            return YES;
    }
    return known->is_number ? MAYBE : NO; // a service by its name
}

static enum match match_one(const json_t *right, const struct known *known)
{
    const json_t *range = json_object_get(right, "range"), *prefix = json_object_get(right, "prefix");
    if (json_is_string(right))
        return match_text(json_string_value(right), known);
    if (json_is_integer(right) && known->is_number)
        return json_integer_value(right) == known->number ? YES : NO;
    if (json_array_size(range) == 2 && known->is_number) {
        json_int_t first = json_integer_value(json_array_get(range, 0)), last = json_integer_value(json_array_get(range, 1));
        return first <= known->number && known->number <= last ? YES : NO;
    }
    return prefix && known->ip ? match_prefix(prefix, known->ip) : MAYBE;
}

static enum match match_value(const json_t *right, const struct known *known)
{
    const json_t *set = json_object_get(right, "set");
    if (!json_is_array(set))
        return match_one(right, known);
    enum match best = NO;
    for (size_t i = 0; i < json_array_size(set) && best != YES; i++) {
        const json_t *element = json_array_get(set, i), *inner = json_object_get(json_object_get(element, "elem"), "val");
        enum match match = match_one(inner ? inner : element, known);
        best = match > best ? match : best;
    }
    return best;
}

static enum match match_number(const json_t *right, json_int_t number)
{
    return match_value(right, &(struct known){.is_number = true, .number = number});
}

static enum match match_port(const json_t *right, uint16_t port)
{
    return port ? match_number(right, port) : MAYBE;
}

static enum match match_ip(const json_t *right, const struct addr *ip)
{
    return ip->family == AF_UNSPEC ? MAYBE : match_value(right, &(struct known){.ip = ip});
}

static enum match match_name(const json_t *right, const char *name, const char *other)
{
    return name ? match_value(right, &(struct known){.texts = {name, other}}) : MAYBE;
}

/* ---- what a rule asks ---- */

static enum match match_l4(const struct walk *walk, const json_t *right)
{
    if (!walk->packet->is_udp)
        return MAYBE;
    enum match by_name = match_name(right, "udp", NULL), by_number = match_number(right, 17);
    return by_name == YES || by_number == YES ? YES : by_name < by_number ? by_name : by_number;
}

static enum match match_ip_field(const struct walk *walk, const char *field, const json_t *right)
{
    const struct rules_packet *packet = walk->packet;
    if (is(field, "saddr"))
        return match_ip(right, &packet->from);
    if (is(field, "daddr"))
        return match_ip(right, &packet->to);
    return is(field, "protocol") || is(field, "nexthdr") ? match_l4(walk, right) : MAYBE;
}

// A comparison with a field that the packet does not have never holds, whatever the operator is.
static bool lacks_protocol(const struct rules_packet *packet, const char *protocol)
{
    static const char *const others[] = {"tcp", "icmp", "icmpv6", "igmp", "sctp", "dccp", "udplite", "esp", "ah", "comp", "gre"};
    if (is(protocol, "ip") || is(protocol, "ip6"))
        return packet->family != (is(protocol, "ip") ? AF_INET : AF_INET6);
    for (size_t i = 0; packet->is_udp && i < sizeof others / sizeof others[0]; i++)
        if (is(protocol, others[i]))
            return true;
    return false;
}

static enum match match_payload(const struct walk *walk, const json_t *payload, const json_t *right)
{
    const char *protocol = text_of(payload, "protocol"), *field = text_of(payload, "field");
    const struct rules_packet *packet = walk->packet;
    if (is(protocol, "udp") || is(protocol, "th")) {
        if (!packet->is_udp)
            return MAYBE;
        return is(field, "dport") ? match_port(right, packet->to.port) : is(field, "sport") ? match_port(right, packet->from.port) : MAYBE;
    }
    return is(protocol, "ip") || is(protocol, "ip6") ? match_ip_field(walk, field, right) : MAYBE;
}

static enum match match_meta(const struct walk *walk, const char *key, const json_t *right)
{
    const struct rules_packet *packet = walk->packet;
    bool is_v4 = packet->family == AF_INET;
    if (is(key, "l4proto"))
        return match_l4(walk, right);
    if (is(key, "nfproto"))
        return match_name(right, is_v4 ? "ipv4" : "ipv6", NULL);
    if (is(key, "protocol"))
        return match_name(right, is_v4 ? "ip" : "ip6", NULL);
    if (is(key, "iifname") || is(key, "iif"))
        return match_name(right, packet->in, NULL);
    if (is(key, "oifname") || is(key, "oif"))
        return match_name(right, packet->out, NULL);
    return MAYBE;
}

// names_port: set if it is our port that is asked for.
static enum match match_condition(const struct walk *walk, const json_t *condition, bool *names_port)
{
    const json_t *left = json_object_get(condition, "left"), *right = json_object_get(condition, "right");
    const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta");
    const char *op = text_of(condition, "op");
    bool is_not = is(op, "!=");
    if (!is_not && !is(op, "==") && !is(op, "in"))
        return MAYBE;
    if (payload && lacks_protocol(walk->packet, text_of(payload, "protocol")))
        return NO;
    enum match match = payload ? match_payload(walk, payload, right) : meta ? match_meta(walk, text_of(meta, "key"), right) : MAYBE;
    if (payload && match == YES && !is_not && is(text_of(payload, "field"), "dport"))
        *names_port = true;
    return !is_not || match == MAYBE ? match : match == YES ? NO : YES;
}

static enum match match_rule(const struct walk *walk, const json_t *expressions, bool *names_port)
{
    static const char *const harmless[] = {"counter", "log",    "comment", "notrack", "mangle", "accept",
                                           "drop",    "reject", "jump",    "goto",    "return", "continue"};
    enum match all = YES;
    for (size_t i = 0; i < json_array_size(expressions); i++) {
        json_t *expression = json_array_get(expressions, i);
        const json_t *condition = json_object_get(expression, "match");
        const char *key = json_object_iter_key(json_object_iter(expression));
        enum match match = condition ? match_condition(walk, condition, names_port) : MAYBE;
        for (size_t j = 0; !condition && key && j < sizeof harmless / sizeof harmless[0]; j++)
            if (is(key, harmless[j]))
                match = YES;
        all = match < all ? match : all;
    }
    return all;
}

/* ---- chains ---- */

static const json_t *find_verdict(const json_t *expressions, const char **key)
{
    static const char *const verdicts[] = {"accept", "drop", "reject", "jump", "goto", "return", "queue", "vmap"};
    for (size_t i = 0; i < json_array_size(expressions); i++)
        for (size_t j = 0; j < sizeof verdicts / sizeof verdicts[0]; j++) {
            const json_t *value = json_object_get(json_array_get(expressions, i), verdicts[j]);
            if (!value)
                continue;
            *key = verdicts[j];
            return value;
        }
    *key = "";
    return NULL;
}

static void describe_rule(char where[static RULES_WHERE_CAP], const struct chain *chain, const json_t *rule)
{
    (void)snprintf(where, RULES_WHERE_CAP, "rule %lld of chain %.40s in table %.10s %.40s",
                   (long long)json_integer_value(json_object_get(rule, "handle")), chain->name, chain->family, chain->table);
}

static enum end walk_chain(struct walk *walk, const struct chain *chain, enum match certainty);

// *certainty: of what follows in the chain. True when the chain has ended, with *end.
// NOLINTNEXTLINE(misc-no-recursion): chains jump to chains, RULES_DEPTH_MAX deep at most
static bool take_rule(struct walk *walk, const struct chain *chain, const json_t *rule, enum match *certainty, enum end *end)
{
    const json_t *expressions = json_object_get(rule, "expr");
    bool names_port = false;
    const char *verdict;
    const json_t *value = find_verdict(expressions, &verdict);
    enum match match = match_rule(walk, expressions, &names_port);
    match = match < *certainty ? match : *certainty;
    if (match == NO || !value)
        return false;
    *end = FELL_OFF;
    if (is(verdict, "accept")) {
        *end = ACCEPTED;
        walk->may_be_accepted |= match == MAYBE;
    } else if (is(verdict, "drop") || is(verdict, "reject")) {
        *end = DROPPED;
        if (match == YES) {
            describe_rule(walk->where, chain, rule);
        } else if (names_port) {
            walk->has_named_drop = true;
            describe_rule(walk->named, chain, rule);
        }
    } else if (is(verdict, "jump") || is(verdict, "goto")) {
        struct chain target = {chain->family, chain->table, text_of(value, "target")};
        walk->depth++;
        *end = walk_chain(walk, &target, match);
        walk->depth--;
        if (is(verdict, "jump") && *end == FELL_OFF)
            return false;
    } else if (!is(verdict, "return")) {
        walk->may_be_accepted = true; // queue, vmap: nobody knows
        return false;
    }
    if (match == MAYBE && (is(verdict, "return") || is(verdict, "goto")))
        *certainty = MAYBE;
    return match == YES;
}

// A certainty of MAYBE ends in FELL_OFF always: no verdict in it is sure.
// NOLINTNEXTLINE(misc-no-recursion): as above
static enum end walk_chain(struct walk *walk, const struct chain *chain, enum match certainty)
{
    enum end end;
    if (walk->depth > RULES_DEPTH_MAX) {
        walk->may_be_accepted = true;
        return FELL_OFF;
    }
    for (size_t i = 0; i < json_array_size(walk->list); i++) {
        const json_t *rule = json_object_get(json_array_get(walk->list, i), "rule");
        if (++walk->n_steps > RULES_STEPS_MAX) {
            walk->may_be_accepted = true;
            return FELL_OFF;
        }
        if (!rule || !is(text_of(rule, "chain"), chain->name) || !is(text_of(rule, "table"), chain->table) ||
            !is(text_of(rule, "family"), chain->family))
            continue;
        if (take_rule(walk, chain, rule, &certainty, &end))
            return end;
    }
    return FELL_OFF;
}

// Whether the kernel shows such packets to the chain.
static bool is_concerned(const struct rules_packet *packet, const json_t *chain)
{
    const char *family = text_of(chain, "family"), *hook = text_of(chain, "hook");
    const char *own = packet->is_of_bridge ? "bridge" : packet->family == AF_INET ? "ip" : "ip6";
    bool is_family = is(family, own) || (!packet->is_of_bridge && is(family, "inet"));
    for (size_t i = 0; is_family && hook[0] && packet->hooks[i]; i++)
        if (is(hook, packet->hooks[i]))
            return true;
    return false;
}

static struct rules_verdict judge_chain(const json_t *list, const struct rules_packet *packet, const json_t *base)
{
    struct chain chain = {text_of(base, "family"), text_of(base, "table"), text_of(base, "name")};
    struct walk walk = {.list = list, .packet = packet};
    struct rules_verdict verdict = {.outcome = RULES_PASS};
    enum end end = walk_chain(&walk, &chain, YES);
    if (end == FELL_OFF && is(text_of(base, "policy"), "drop")) {
        end = DROPPED;
        (void)snprintf(walk.where, sizeof walk.where, "the policy of chain %.40s in table %.10s %.40s", chain.name, chain.family,
                       chain.table);
    }
    if (end == DROPPED) {
        verdict.outcome = walk.may_be_accepted ? RULES_MAY_DROP : RULES_DROP;
        memcpy(verdict.where, walk.where, sizeof verdict.where);
    } else if (walk.has_named_drop) {
        verdict.outcome = RULES_MAY_DROP;
        memcpy(verdict.where, walk.named, sizeof verdict.where);
    }
    return verdict;
}

struct rules_verdict rules_judge(const json_t *ruleset, const struct rules_packet *packet)
{
    const json_t *list = json_object_get(ruleset, "nftables");
    struct rules_verdict worst = {.outcome = RULES_PASS};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *chain = json_object_get(json_array_get(list, i), "chain");
        if (!chain || !is_concerned(packet, chain))
            continue;
        struct rules_verdict verdict = judge_chain(list, packet, chain);
        if (verdict.outcome > worst.outcome)
            worst = verdict;
    }
    return worst;
}
