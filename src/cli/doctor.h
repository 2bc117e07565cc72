// SPDX-License-Identifier: MIT
/*
 * doctor: looks at what goes wrong in practice, and says what to do about it: docs/doctor.md.
 *
 * One table of checks, and one of what they can find. A finding has values in its text, and the command that helps. A check that can't look
 * says so. Nothing is changed. What belongs to somebody else (a status, rules, names of interfaces) is taken as it is and never trusted.
 */
#ifndef ETHERCORD_CLI_DOCTOR_H
#define ETHERCORD_CLI_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ethercord/addr.h"
#include "ethercord/config.h"
#include "ethercord/rtnl.h"

enum { DOCTOR_SCHEMA = 1, DOCTOR_FINDINGS_MAX = 64, DOCTOR_TEXT_CAP = 512, DOCTOR_PLACES_MAX = 8, DOCTOR_NAME_CAP = 64 };

// A fault is in the way of frames. A hint may be meant so, or costs only speed. Skipped: a check could not look, or not everywhere.
enum finding_severity { SEVERITY_FAULT, SEVERITY_HINT, SEVERITY_SKIPPED, SEVERITY_COUNT };

enum finding_kind {
    FINDING_NOT_RUNNING,
    FINDING_SESSION_DOWN,
    FINDING_ENDPOINT_UNRESOLVED,
    FINDING_NO_TUN,
    FINDING_NO_CAPABILITY,
    FINDING_TAP_MISSING,
    FINDING_TAP_DOWN,
    FINDING_TAP_NO_CARRIER,
    FINDING_TAP_NOT_IN_BRIDGE,
    FINDING_BRIDGE_MISSING,
    FINDING_BRIDGE_DOWN,
    FINDING_BRIDGE_NO_CARRIER,
    FINDING_PORT_BLOCKED,
    FINDING_PORT_SPANNING_TREE,
    FINDING_MTU_TAP,
    FINDING_MTU_PORT_SMALLER,
    FINDING_MTU_PORT_LARGER,
    FINDING_MTU_FAR,
    FINDING_BRIDGE_FILTER_DROPS,
    FINDING_BRIDGE_FILTER_MAY_DROP,
    FINDING_BR_NETFILTER_ON,
    FINDING_NO_ROUTE,
    FINDING_ROUTE_THROUGH_TUNNEL,
    FINDING_FIREWALL_DROPS,
    FINDING_FIREWALL_MAY_DROP,
    FINDING_RP_FILTER_DROPS,
    FINDING_RP_FILTER_COUNTS,
    FINDING_BUFFERS_SMALL,
    FINDING_CLOCK_BEHIND,
    FINDING_CLOCK_SKEW,
    FINDING_OFFLOAD_REFUSED,
    FINDING_OFFLOAD_OFF,
    FINDING_KEY_TWICE_HERE,
    FINDING_KEY_ELSEWHERE,
    FINDING_SKIPPED,
    FINDING_COUNT
};

struct finding_row {
    const char *name;
    enum finding_severity severity;
};

struct finding {
    enum finding_kind kind;
    const char *check;
    char what[DOCTOR_TEXT_CAP];   // one line, with the values seen
    char advice[DOCTOR_TEXT_CAP]; // one line
};

// The instance that is looked at, by its own status, or before a start by its configuration.
struct doctor_subject {
    const char *run_dir;
    json_t *status;  // NULL = it does not run
    bool has_config; // what follows is known
    char name[INSTANCE_NAME_CAP];
    char file[CONFIG_FILE_CAP];
    char public_key[KEY_TEXT_CAP];
    char tap[IFNAMSIZ];
    char bridge[IFNAMSIZ]; // "" = none
    uint32_t tap_mtu;
    bool has_peer;
    bool is_up; // there is a session
    uint16_t listen_port;
    uint32_t fwmark;
    char interface[IFNAMSIZ];              // that the underlay is bound to, "" = none
    struct addr source;                    // the same; AF_UNSPEC = none
    struct addr places[DOCTOR_PLACES_MAX]; // where the peer is, or may be
    size_t n_places;
    char unresolved[HOST_CAP]; // the name in Endpoint, if it has no address
};

struct doctor {
    struct doctor_subject subject;
    struct rtnl rtnl;      // open while checks run
    const char *cant_look; // NULL = the network is in sight; else why not
    json_t *rules;         // of the firewall, once they were asked for; NULL = not, or not to be had
    bool has_asked_rules;
    char rules_problem[DOCTOR_TEXT_CAP];
    const struct doctor_check *check; // that runs now
    struct finding findings[DOCTOR_FINDINGS_MAX];
    size_t n_findings;
    size_t n_untold; // for which there was no room
};

enum {
    CHECK_NETWORK = 1, // looks at the network that the instance is in: skipped where that is not in sight
    CHECK_MACHINE = 2  // needs to know nothing of the instance
};

struct doctor_check {
    const char *name;
    const char *looks_at;
    unsigned traits;
    void (*look)(struct doctor *doctor);
};

// Both in the order of their tables; NULL past the last.
const struct doctor_check *doctor_check_at(size_t i);
const struct finding_row *finding_row_of(enum finding_kind kind);
size_t doctor_count(const struct doctor *doctor, enum finding_severity severity);

// Runs all checks.
void doctor_look(struct doctor *doctor);
void doctor_print(const struct doctor *doctor, FILE *out);
// NULL when there is no memory.
json_t *doctor_document(const struct doctor *doctor);

// For checks. What is found, with the values seen; what to do is said next, by finding_advise().
struct finding *doctor_find(struct doctor *doctor, enum finding_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void finding_advise(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
// This check could not look, or not at all of it.
void doctor_skip(struct doctor *doctor, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
