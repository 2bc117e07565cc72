// SPDX-License-Identifier: MIT
/*
 * ports: see ports.h.
 */
#include "ethercord/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"

// One look, which is compared with what is known from the one before.
struct look {
    const struct ports *ports;
    struct narrow_port narrow[PORTS_NARROW_MAX];
    size_t n_narrow;
};

static const struct log_about tap_changed = {.event = LOG_EVENT_TAP_CHANGED}, tap_restored = {.event = LOG_EVENT_TAP_RESTORED};

// A device may flap for ever.
static bool may_tell(struct ports *ports)
{
    char what[IFNAMSIZ + 32];

    snprintf(what, sizeof what, "the TAP %s with its bridge", ports->tap.name);
    return log_may_tell(&ports->lines, now_boot_ns(), what);
}

/* ---- the TAP ---- */

static void tell_up(struct ports *ports, const struct rtnl_link *now)
{
    bool is_up = now->flags & IFF_UP;

    if (is_up == !!(ports->tap.flags & IFF_UP) || !may_tell(ports))
        return;
    if (is_up)
        log_tell(&(struct log_about){.event = LOG_EVENT_TAP_UP}, "the TAP %s is up again", now->name);
    else
        log_tell(&(struct log_about){.event = LOG_EVENT_TAP_DOWN},
                 "the TAP %s was taken down: no frame crosses until it is up again (ip link set %s up)", now->name, now->name);
}

static void tell_mtu(struct ports *ports, const struct rtnl_link *now)
{
    if (now->mtu == ports->tap.mtu || !may_tell(ports))
        return;
    if (now->mtu == ports->config.mtu)
        log_tell(&tap_restored, "the TAP %s has MTU %u again, as [Tap] MTU says", now->name, now->mtu);
    else
        log_tell(&tap_changed, "the MTU of the TAP %s was changed to %u: ethercord goes on with the %u of [Tap] MTU; set both to the same",
                 now->name, now->mtu, ports->config.mtu);
}

// before, now: names of bridges, "" = none.
static void tell_bridge(struct ports *ports, const char *before, const char *now)
{
    const char *tap = ports->tap.name, *wanted = ports->config.bridge;

    if (strcmp(before, now) == 0 || !may_tell(ports))
        return;
    if (now[0] == '\0')
        log_tell(&tap_changed, "the TAP %s was taken out of bridge %s: those behind the bridge are cut off (ip link set %s master %s)", tap,
                 before, tap, before);
    else if (wanted[0] != '\0' && strcmp(now, wanted) != 0)
        log_tell(&tap_changed, "the TAP %s was moved to bridge %s; [Tap] Bridge says %s", tap, now, wanted);
    else
        log_tell(&tap_restored, "the TAP %s is in bridge %s", tap, now);
}

/* ---- the ports ---- */

static void find_narrow(void *ctx, const struct rtnl_link *port)
{
    struct look *look = ctx;

    if (port->index == look->ports->tap.index || port->mtu >= look->ports->config.mtu)
        return;
    if (look->n_narrow < PORTS_NARROW_MAX) {
        struct narrow_port *narrow = &look->narrow[look->n_narrow];
        *narrow = (struct narrow_port){.index = port->index, .mtu = port->mtu};
        memcpy(narrow->name, port->name, sizeof narrow->name);
    }
    look->n_narrow++;
}

static size_t n_listed(size_t n)
{
    return n < PORTS_NARROW_MAX ? n : PORTS_NARROW_MAX;
}

static bool is_known(const struct ports *ports, const struct narrow_port *port)
{
    for (size_t i = 0; i < n_listed(ports->n_narrow); i++)
        if (ports->narrow[i].index == port->index && ports->narrow[i].mtu == port->mtu)
            return true;
    return false;
}

static void tell_narrow(struct ports *ports, const struct look *look)
{
    for (size_t i = 0; i < n_listed(look->n_narrow); i++)
        if (!is_known(ports, &look->narrow[i]) && may_tell(ports))
            log_tell(&(struct log_about){.event = LOG_EVENT_PORT_NARROW},
                     "bridge %s: its port %s has MTU %u, the TAP %s has %u: the bridge drops larger frames on their way there without "
                     "telling anybody; set both to the same",
                     ports->bridge_name, look->narrow[i].name, look->narrow[i].mtu, ports->tap.name, ports->config.mtu);
    if (look->n_narrow > PORTS_NARROW_MAX && ports->n_narrow <= PORTS_NARROW_MAX)
        log_tell(&(struct log_about){.event = LOG_EVENT_PORT_NARROW}, "bridge %s: %zu more ports have a smaller MTU than the TAP %s",
                 ports->bridge_name, look->n_narrow - PORTS_NARROW_MAX, ports->tap.name);
    if (look->n_narrow == 0 && ports->n_narrow > 0 && may_tell(ports))
        log_tell(&(struct log_about){.event = LOG_EVENT_PORTS_WIDE}, "bridge %s: no port has a smaller MTU than the TAP %s any more",
                 ports->bridge_name, ports->tap.name);
}

static int look_at_ports(struct ports *ports)
{
    struct look look = {.ports = ports};

    if (ports->bridge_name[0] != '\0') {
        int error = rtnl_visit_ports(&ports->rtnl, ports->tap.master, find_narrow, &look);
        if (error)
            return error; // changed meanwhile: another notification follows
        tell_narrow(ports, &look);
    }
    memcpy(ports->narrow, look.narrow, sizeof ports->narrow);
    ports->n_narrow = look.n_narrow;
    return 0;
}

/* ---- both ---- */

// A bond or a VRF is a master too, and drops nothing for its length: then the name is empty.
static int find_bridge(struct ports *ports, int master, struct rtnl_link *bridge)
{
    int error = rtnl_get_link_at(&ports->rtnl, master, bridge);

    if (error || strcmp(bridge->kind, "bridge") != 0)
        *bridge = (struct rtnl_link){0};
    return error == -ENODEV ? 0 : error; // there is none, or none any more
}

static int look_at_tap(struct ports *ports)
{
    struct rtnl_link tap, bridge;
    int error = rtnl_get_link_at(&ports->rtnl, ports->tap.index, &tap);

    if (error || (error = find_bridge(ports, tap.master, &bridge)))
        return error;
    tell_up(ports, &tap);
    tell_mtu(ports, &tap);
    ports->tap = tap;
    tell_bridge(ports, ports->bridge_name, bridge.name);
    memcpy(ports->bridge_name, bridge.name, sizeof ports->bridge_name);
    return 0;
}

void ports_look(struct ports *ports)
{
    if (ports->tap.index == 0)
        return;
    int error = look_at_tap(ports);
    if (!error)
        error = look_at_ports(ports);
    if (error == -ENODEV && !ports->is_gone)
        ports->config.on_gone(ports->config.ctx);
    ports->is_gone = error == -ENODEV;
    ports->has_missed = error && !ports->is_gone;
}

/* ---- notifications ---- */

static void on_change(uv_poll_t *changed, int status, int events);

static void on_time(uv_timer_t *timer)
{
    struct ports *ports = timer->data;

    ports->looked_ms = uv_now(timer->loop);
    rtnl_forget_changes(&ports->watch); // first: what changes from now on is said again
    ports_look(ports);
    uv_poll_start(&ports->changed, UV_READABLE, on_change);
    if (ports->has_missed)
        uv_timer_start(timer, on_time, PORTS_EVERY_MS, 0);
}

// Also with an error, which says that notifications were lost. Until the look nothing more of it is wanted.
static void on_change(uv_poll_t *changed, int status, int events)
{
    struct ports *ports = changed->data;
    uint64_t waited_ms = uv_now(changed->loop) - ports->looked_ms;

    (void)status;
    (void)events;
    uv_poll_stop(changed);
    uv_timer_start(&ports->timer, on_time, waited_ms < PORTS_EVERY_MS ? PORTS_EVERY_MS - waited_ms : PORTS_SETTLE_MS, 0);
}

void ports_open(struct ports *ports, const struct ports_config *config)
{
    const char *tap_name = config->tap_name, *bridge = config->bridge;
    int error;

    *ports = (struct ports){.config = *config};
    // The watch comes first: what changes between the two is looked at again.
    if ((error = rtnl_open_watch(&ports->watch)) || (error = rtnl_open(&ports->rtnl)) ||
        (error = rtnl_get_link(&ports->rtnl, tap_name, &ports->tap))) {
        log_warning("can't watch the TAP %s and its bridge: %s; changes there will not be noticed", tap_name, strerror(-error));
        ports->tap = (struct rtnl_link){0};
        return;
    }
    // As the monitor has just set it up. What differs by now is a change.
    ports->tap.flags |= IFF_UP;
    ports->tap.mtu = config->mtu;
    memcpy(ports->bridge_name, bridge, strnlen(bridge, IFNAMSIZ - 1));
    ports_look(ports);
}

int ports_start(struct ports *ports, uv_loop_t *uv)
{
    int error;

    if (ports->tap.index == 0)
        return 0;
    if ((error = uv_timer_init(uv, &ports->timer)) || (error = uv_poll_init(uv, &ports->changed, rtnl_fd(&ports->watch))))
        return error;
    ports->timer.data = ports->changed.data = ports;
    return uv_poll_start(&ports->changed, UV_READABLE, on_change);
}

void ports_close(struct ports *ports)
{
    rtnl_close(&ports->rtnl);
    rtnl_close(&ports->watch);
    ports->tap = (struct rtnl_link){0};
    ports->n_narrow = 0;
}
