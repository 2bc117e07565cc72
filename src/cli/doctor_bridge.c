// SPDX-License-Identifier: MIT
/*
 * doctor_bridge: the TAP, the bridge that it is in or is to join, and the ports of that: up, with carrier, in a state that passes frames,
 * and with MTUs that go together.
 */
#include <errno.h>
#include <linux/if_bridge.h>
#include <string.h>

#include "doctor_checks.h"

/* ---- the TAP ---- */

static bool is_up(const struct rtnl_link *link)
{
    return link->flags & IFF_UP;
}

static void name_of(struct doctor *doctor, int index, char name[static IFNAMSIZ])
{
    struct rtnl_link link;
    (void)snprintf(name, IFNAMSIZ, "%s", rtnl_get_link_at(&doctor->rtnl, index, &link) == 0 ? link.name : "");
}

static void check_membership(struct doctor *doctor, const struct rtnl_link *tap)
{
    const struct doctor_subject *subject = &doctor->subject;
    char master[IFNAMSIZ];
    name_of(doctor, tap->master, master);
    if (subject->bridge[0] == '\0' || strcmp(master, subject->bridge) == 0)
        return;
    if (master[0])
        finding_advise(
            doctor_find(doctor, FINDING_TAP_NOT_IN_BRIDGE, "the TAP %s is in %s; [Tap] Bridge says %s", tap->name, master, subject->bridge),
            "ip link set %s master %s", tap->name, subject->bridge);
    else
        finding_advise(
            doctor_find(doctor, FINDING_TAP_NOT_IN_BRIDGE, "the TAP %s is in no bridge; [Tap] Bridge says %s", tap->name, subject->bridge),
            "ip link set %s master %s", tap->name, subject->bridge);
}

// Before a start there is none, as a rule, and one that was made beforehand is what its owner wants.
void check_tap(struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    const json_t *said = json_object_get(subject->status, "tap");
    struct rtnl_link tap;
    if (!subject->status)
        return;
    int error = rtnl_get_link(&doctor->rtnl, subject->tap, &tap);
    if (error == -ENODEV) {
        finding_advise(doctor_find(doctor, FINDING_TAP_MISSING, "there is no interface %s in this network namespace", subject->tap),
                       "it was renamed, or moved to another namespace (ip netns identify %.0f): start ethercord again",
                       doctor_number(subject->status, "pid", 0));
        return;
    }
    if (error) {
        doctor_skip(doctor, "%s can't be looked at: %s", subject->tap, strerror(-error));
        return;
    }
    check_membership(doctor, &tap);
    if (!is_up(&tap))
        finding_advise(doctor_find(doctor, FINDING_TAP_DOWN, "the TAP %s is down: no frame crosses", tap.name), "ip link set %s up",
                       tap.name);
    else if (!tap.has_carrier && json_is_true(json_object_get(said, "carrier")))
        finding_advise(doctor_find(doctor, FINDING_TAP_NO_CARRIER, "the TAP %s has no carrier, though the node has given it one", tap.name),
                       "ip link set %s carrier on", tap.name);
}

/* ---- the bridge ---- */

struct ports_seen {
    struct doctor *doctor;
    const struct rtnl_link *bridge;
    size_t n_others;
    size_t n_with_carrier;
    char dead[DOCTOR_TEXT_CAP / 2]; // those without carrier
};

static bool is_tap(const struct doctor *doctor, const struct rtnl_link *port)
{
    return strcmp(port->name, doctor->subject.tap) == 0;
}

static void check_port_state(const struct ports_seen *seen, const struct rtnl_link *port)
{
    static const char *const states[] = {[BR_STATE_DISABLED] = "disabled",
                                         [BR_STATE_LISTENING] = "listening",
                                         [BR_STATE_LEARNING] = "learning",
                                         [BR_STATE_FORWARDING] = "forwarding",
                                         [BR_STATE_BLOCKING] = "blocking"};
    bool is_known = port->port_state < sizeof states / sizeof states[0];
    if (!port->is_bridge_port || !is_known || port->port_state == BR_STATE_FORWARDING || !is_up(port) || !port->has_carrier)
        return;
    const char *state = states[port->port_state], *bridge = seen->bridge->name;
    bool is_starting = port->port_state == BR_STATE_LISTENING || port->port_state == BR_STATE_LEARNING;
    if (seen->bridge->has_stp && port->port_state != BR_STATE_DISABLED)
        finding_advise(doctor_find(seen->doctor, FINDING_PORT_SPANNING_TREE, "%s is '%s' in bridge %s: spanning tree holds its frames back",
                                   port->name, state, bridge),
                       is_starting ? "wait for twice the forward delay: ip -d link show %s"
                                   : "it knows another way to the same place, which may be meant so: bridge -d link show dev %s",
                       port->name);
    else
        finding_advise(
            doctor_find(seen->doctor, FINDING_PORT_BLOCKED, "%s is '%s' in bridge %s: it passes no frame", port->name, state, bridge),
            is_starting ? "it passes them after the bridge's forward delay, or at once: bridge link set dev %s state 3"
                        : "bridge link set dev %s state 3",
            port->name);
}

static void see_port(void *ctx, const struct rtnl_link *port)
{
    struct ports_seen *seen = ctx;
    size_t len = strlen(seen->dead);
    if (is_tap(seen->doctor, port)) {
        check_port_state(seen, port);
        return;
    }
    seen->n_others++;
    if (is_up(port) && port->has_carrier) {
        seen->n_with_carrier++;
        check_port_state(seen, port);
        return;
    }
    (void)snprintf(seen->dead + len, sizeof seen->dead - len, "%s%s (%s)", len ? ", " : "", port->name,
                   is_up(port) ? "no carrier" : "down");
}

// The bridge that the TAP is in, or that it is to join. False with what is wrong told, if `is_telling`.
static bool find_bridge(struct doctor *doctor, struct rtnl_link *bridge, bool is_telling)
{
    const char *name = doctor->subject.bridge;
    struct rtnl_link tap;
    int error;
    if (name[0] == '\0' && rtnl_get_link(&doctor->rtnl, doctor->subject.tap, &tap) == 0 && tap.master > 0)
        return rtnl_get_link_at(&doctor->rtnl, tap.master, bridge) == 0 && strcmp(bridge->kind, "bridge") == 0;
    if (name[0] == '\0')
        return false;
    error = rtnl_get_link(&doctor->rtnl, name, bridge);
    if (error == 0 && strcmp(bridge->kind, "bridge") == 0)
        return true;
    if (is_telling && error == -ENODEV)
        finding_advise(doctor_find(doctor, FINDING_BRIDGE_MISSING, "there is no bridge %s", name),
                       "ip link add %s type bridge && ip link set %s up; or take Bridge out of [Tap]", name, name);
    else if (is_telling && error == 0)
        finding_advise(doctor_find(doctor, FINDING_BRIDGE_MISSING, "%s is no bridge", name),
                       "name one in [Tap] Bridge: ip link show type bridge");
    else if (is_telling)
        doctor_skip(doctor, "bridge %s can't be looked at: %s", name, strerror(-error));
    return false;
}

void check_bridge(struct doctor *doctor)
{
    struct rtnl_link bridge;
    struct ports_seen seen = {.doctor = doctor, .bridge = &bridge};
    if (!find_bridge(doctor, &bridge, true))
        return;
    if (!is_up(&bridge))
        finding_advise(doctor_find(doctor, FINDING_BRIDGE_DOWN, "bridge %s is down: nothing passes it", bridge.name), "ip link set %s up",
                       bridge.name);
    int error = rtnl_visit_ports(&doctor->rtnl, bridge.index, see_port, &seen);
    if (error)
        doctor_skip(doctor, "the ports of %s can't be looked at: %s", bridge.name, strerror(-error));
    else if (seen.n_others > 0 && seen.n_with_carrier == 0)
        finding_advise(
            doctor_find(doctor, FINDING_BRIDGE_NO_CARRIER, "no port of bridge %s but the TAP has a carrier: %s", bridge.name, seen.dead),
            "plug the cable in, or: ip link set PORT up");
}

/* ---- sizes ---- */

static void compare_port(void *ctx, const struct rtnl_link *port)
{
    const struct ports_seen *seen = ctx;
    const struct doctor_subject *subject = &seen->doctor->subject;
    if (is_tap(seen->doctor, port) || port->mtu == subject->tap_mtu)
        return;
    if (port->mtu < subject->tap_mtu)
        finding_advise(doctor_find(seen->doctor, FINDING_MTU_PORT_SMALLER,
                                   "%s has MTU %u and the TAP %s %u: bridge %s drops larger frames for %s, and tells nobody", port->name,
                                   port->mtu, subject->tap, subject->tap_mtu, seen->bridge->name, port->name),
                       "ip link set %s mtu %u, or [Tap] MTU = %u", port->name, subject->tap_mtu, port->mtu);
    else
        finding_advise(doctor_find(seen->doctor, FINDING_MTU_PORT_LARGER,
                                   "%s has MTU %u and the TAP %s %u: bridge %s drops larger frames from there, and tells nobody",
                                   port->name, port->mtu, subject->tap, subject->tap_mtu, seen->bridge->name),
                       "if hosts there send larger frames: [Tap] MTU = %u at both ends; else ip link set %s mtu %u", port->mtu, port->name,
                       subject->tap_mtu);
}

void check_mtu(struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    struct rtnl_link tap, bridge;
    struct ports_seen seen = {.doctor = doctor, .bridge = &bridge};
    double far = doctor_number(doctor_peer(doctor), "far_tap_mtu", 0);
    if (subject->status && rtnl_get_link(&doctor->rtnl, subject->tap, &tap) == 0 && tap.mtu != subject->tap_mtu)
        finding_advise(
            doctor_find(doctor, FINDING_MTU_TAP, "the TAP %s has MTU %u; [Tap] MTU says %u", subject->tap, tap.mtu, subject->tap_mtu),
            "ip link set %s mtu %u, or write the other one into the file at both ends", subject->tap, subject->tap_mtu);
    if (find_bridge(doctor, &bridge, false)) {
        int error = rtnl_visit_ports(&doctor->rtnl, bridge.index, compare_port, &seen);
        if (error)
            doctor_skip(doctor, "the ports of %s can't be looked at: %s", bridge.name, strerror(-error));
    }
    if (far > 0 && far != subject->tap_mtu)
        finding_advise(doctor_find(doctor, FINDING_MTU_FAR, "the TAP's MTU is %u here and %.0f at the far end: larger packets don't cross",
                                   subject->tap_mtu, far),
                       "[Tap] MTU = %.0f at both ends", far < subject->tap_mtu ? far : (double)subject->tap_mtu);
}
