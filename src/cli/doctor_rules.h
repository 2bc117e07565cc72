// SPDX-License-Identifier: MIT
/*
 * doctor_rules: what a ruleset of nftables, as `nft -j list ruleset` prints it, does to a packet of which not everything is known.
 *
 * Three-valued: what a rule asks may hold, may not, or can't be told from here (connection tracking, sets, limits, extensions of iptables).
 * It is certain that a packet is dropped only if a rule or a policy that applies for sure drops it, and nothing before might have let it
 * through. Looks at no more rules than RULES_STEPS_MAX.
 */
#ifndef ETHERCORD_CLI_DOCTOR_RULES_H
#define ETHERCORD_CLI_DOCTOR_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "ethercord/addr.h"

enum { RULES_STEPS_MAX = 200000, RULES_DEPTH_MAX = 16, RULES_WHERE_CAP = 200 };

struct rules_packet {
    const char *const *hooks; // ended by NULL
    bool is_of_bridge;        // seen by family "bridge"
    bool is_udp;              // false: any packet of that family
    uint16_t family;
    struct addr from, to; // AF_UNSPEC = address not known; port 0 = not known
    const char *in, *out; // interfaces; NULL = not known
};

enum rules_outcome { RULES_PASS, RULES_MAY_DROP, RULES_DROP };

struct rules_verdict {
    enum rules_outcome outcome;
    char where[RULES_WHERE_CAP]; // "rule 7 of chain input in table inet filter", "the policy of chain …"
};

struct rules_verdict rules_judge(const json_t *ruleset, const struct rules_packet *packet);

#endif
