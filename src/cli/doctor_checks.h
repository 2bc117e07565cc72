// SPDX-License-Identifier: MIT
/*
 * doctor_checks: the checks, and what several of them ask. Each looks at one thing and reports by doctor_find() and doctor_skip().
 */
#ifndef ETHERCORD_CLI_DOCTOR_CHECKS_H
#define ETHERCORD_CLI_DOCTOR_CHECKS_H

#include "doctor.h"

// doctor_node.c
void check_session(struct doctor *doctor);
void check_clock(struct doctor *doctor);
void check_offload(struct doctor *doctor);
void check_buffers(struct doctor *doctor);
// doctor_key.c
void check_key(struct doctor *doctor);
// doctor_machine.c
void check_tun(struct doctor *doctor);
void check_capability(struct doctor *doctor);
// doctor_bridge.c
void check_tap(struct doctor *doctor);
void check_bridge(struct doctor *doctor);
void check_mtu(struct doctor *doctor);
// doctor_route.c
void check_route(struct doctor *doctor);
void check_rp_filter(struct doctor *doctor);
// doctor_firewall.c
void check_br_netfilter(struct doctor *doctor);
void check_firewall(struct doctor *doctor);

// Of the status: a member of an object, and of the peer. NULL, false or 0 where it is not there or of another type.
const char *doctor_text(const json_t *object, const char *key);
double doctor_number(const json_t *object, const char *key, double otherwise);
const json_t *doctor_peer(const struct doctor *doctor);
// An address without its port.
const char *doctor_ip(const struct addr *addr, char text[static ADDR_TEXT_CAP]);
// How many instances have a socket in the folder.
size_t doctor_n_instances(const char *run_dir);
// A number in a file of /proc; `otherwise` where there is none.
long doctor_proc_number(const char *path, long otherwise);
// How the node's own datagrams to `place` would leave. 0 or negative errno.
int doctor_route_to(struct doctor *doctor, const struct addr *place, struct rtnl_route *route);
// The rules of nftables as `nft -j list ruleset` says them; borrowed. NULL, and why, in doctor->rules_problem.
const json_t *doctor_rules(struct doctor *doctor);

#endif
