// SPDX-License-Identifier: MIT
/*
 * doctor_firewall: rules that drop the tunnel's own datagrams, and rules that drop what the bridge passes.
 *
 * Only what is certain is a fault. While there is a session the datagrams do pass, so what may drop them is not told then.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "doctor_checks.h"
#include "doctor_rules.h"

// Tables of the older iptables lie beside those of nftables, and nft does not show them. The file is there once the module is.
static void check_legacy(struct doctor *doctor, const char *file, const char *program)
{
    char text[16];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    if (n > 0)
        doctor_skip(doctor, "there are tables of legacy iptables, whose rules are not looked at: see %s-legacy -S", program);
}

static bool have_rules(struct doctor *doctor, const json_t **rules)
{
    *rules = doctor_rules(doctor);
    if (!*rules)
        doctor_skip(doctor, "%s", doctor->rules_problem);
    return *rules;
}

/* ---- the tunnel's datagrams ---- */

struct direction {
    const char *name;
    const char *const *hooks;
    bool is_in;
};

static void judge_direction(struct doctor *doctor, const json_t *rules, const struct addr *place, const struct direction *direction)
{
    const struct doctor_subject *subject = &doctor->subject;
    struct addr here = subject->source;
    struct rtnl_route route;
    struct rtnl_link link;
    char ip[ADDR_TEXT_CAP];
    bool has_route = doctor_route_to(doctor, place, &route) == 0 && rtnl_get_link_at(&doctor->rtnl, route.index, &link) == 0;
    if (here.family == AF_UNSPEC && has_route)
        here = route.source;
    here.port = subject->listen_port;
    struct rules_packet packet = {.hooks = direction->hooks, .is_udp = true, .family = place->family};
    packet.from = direction->is_in ? *place : here;
    packet.to = direction->is_in ? here : *place;
    packet.in = has_route && direction->is_in ? link.name : NULL;
    packet.out = has_route && !direction->is_in ? link.name : NULL;
    struct rules_verdict verdict = rules_judge(rules, &packet);
    if (verdict.outcome == RULES_PASS || (verdict.outcome == RULES_MAY_DROP && subject->is_up))
        return;
    bool is_sure = verdict.outcome == RULES_DROP;
    doctor_ip(place, ip);
    finding_advise(doctor_find(doctor, is_sure ? FINDING_FIREWALL_DROPS : FINDING_FIREWALL_MAY_DROP, "%s %s UDP %s %s, port %u",
                               verdict.where, is_sure ? "drops" : "may drop", direction->name, ip, packet.to.port),
                   direction->is_in ? "before it: udp dport %u accept; all rules: nft -a list ruleset"
                                    : "before it, in the chain of hook output: udp dport %u accept; all rules: nft -a list ruleset",
                   packet.to.port);
}

void check_firewall(struct doctor *doctor)
{
    static const char *const hooks_in[] = {"prerouting", "input", NULL};
    static const char *const hooks_out[] = {"output", "postrouting", NULL};
    static const struct direction in = {"from the peer at", hooks_in, true}, out = {"to the peer at", hooks_out, false};
    const struct doctor_subject *subject = &doctor->subject;
    const json_t *rules;
    if (!subject->has_peer || !have_rules(doctor, &rules))
        return;
    for (size_t i = 0; i < subject->n_places; i++) {
        judge_direction(doctor, rules, &subject->places[i], &in);
        judge_direction(doctor, rules, &subject->places[i], &out);
    }
    if (subject->n_places == 0) {
        const struct addr anywhere = {.family = AF_INET};
        judge_direction(doctor, rules, &anywhere, &in);
    }
    check_legacy(doctor, "/proc/net/ip_tables_names", "iptables");
    check_legacy(doctor, "/proc/net/ip6_tables_names", "ip6tables");
}

/* ---- what the bridge passes ---- */

static void judge_bridged(struct doctor *doctor, const json_t *rules, const struct rules_packet *packet, const char *what)
{
    struct rules_verdict verdict = rules_judge(rules, packet);
    const char *bridge = doctor->subject.bridge;
    if (verdict.outcome == RULES_DROP)
        finding_advise(doctor_find(doctor, FINDING_BRIDGE_FILTER_DROPS, "%s drops %s that bridge %s passes", verdict.where, what, bridge),
                       packet->is_of_bridge
                           ? "let them through there: nft -a list ruleset"
                           : "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 (and in "
                             "/etc/sysctl.d); or accept what comes in and goes out by the bridge");
    else if (verdict.outcome == RULES_MAY_DROP)
        finding_advise(
            doctor_find(doctor, FINDING_BRIDGE_FILTER_MAY_DROP, "%s may drop %s that bridge %s passes", verdict.where, what, bridge),
            packet->is_of_bridge ? "see nft -a list ruleset"
                                 : "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0, if these "
                                   "rules are not meant for what is bridged");
}

static bool is_on(const char *which)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/proc/sys/net/bridge/bridge-nf-call-%s", which);
    return doctor_proc_number(path, 0) == 1;
}

// Even without a rule of its own it drops what is no proper IP packet.
void check_br_netfilter(struct doctor *doctor)
{
    static const char *const hooks[] = {"prerouting", "forward", "postrouting", NULL};
    const char *bridge = doctor->subject.bridge;
    bool is_on_v4 = is_on("iptables"), is_on_v6 = is_on("ip6tables"), is_on_arp = is_on("arptables");
    size_t before = doctor->n_findings;
    const json_t *rules;
    if (bridge[0] == '\0')
        return;
    if (have_rules(doctor, &rules)) {
        struct rules_packet packet = {.hooks = hooks, .family = AF_INET, .in = bridge, .out = bridge};
        if (is_on_v4)
            judge_bridged(doctor, rules, &packet, "IPv4 packets");
        packet.family = AF_INET6;
        if (is_on_v6)
            judge_bridged(doctor, rules, &packet, "IPv6 packets");
        packet = (struct rules_packet){.hooks = hooks, .is_of_bridge = true, .family = AF_INET};
        judge_bridged(doctor, rules, &packet, "frames");
    }
    if (is_on_v4)
        check_legacy(doctor, "/proc/net/ip_tables_names", "iptables");
    if (doctor->n_findings == before && (is_on_v4 || is_on_v6 || is_on_arp))
        finding_advise(doctor_find(doctor, FINDING_BR_NETFILTER_ON,
                                   "br_netfilter is on (bridge-nf-call-%s=1): what bridge %s passes goes through the firewall, which drops "
                                   "what is no proper IP packet even without a rule",
                                   is_on_v4   ? "iptables"
                                   : is_on_v6 ? "ip6tables"
                                              : "arptables",
                                   bridge),
                       "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 "
                       "net.bridge.bridge-nf-call-arptables=0 (and in /etc/sysctl.d)");
}
