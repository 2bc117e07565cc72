// SPDX-License-Identifier: MIT
/*
 * link: see link.h.
 *
 * Order of the steps, which is also the order of `enum change`; the undo goes backwards:
 *   1 MTU and queue length, while nobody uses the interface yet
 *   2 addrgenmode none, before the interface is up: else the kernel says hello on the wire (router solicitations, MLD reports)
 *   3 the bridge
 *   4 addresses
 *   5 up
 */
#include "ethercord/link.h"

#include "ethercord/line.h"
#include <errno.h>
#include <linux/if_link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum change { CHANGE_MTU = 1, CHANGE_TXQUEUELEN = 2, CHANGE_ADDRGENMODE = 4, CHANGE_MASTER = 8, CHANGE_UP = 16 };

static const char *explain(int result)
{
    if (result == -EPERM)
        return "not permitted: run it as root, or with CAP_NET_ADMIN";
    return strerror(-result);
}

static bool wants_bridge(const struct link_settings *settings)
{
    return settings->bridge && settings->bridge[0] != '\0';
}

static int set_sizes(struct link *link, const struct link_settings *settings, const struct line *line)
{
    const struct rtnl_link *before = &link->before;
    if (settings->mtu != 0 && settings->mtu != before->mtu) {
        int result = rtnl_set_link_mtu(&link->rtnl, before->index, settings->mtu);
        if (result == -EINVAL)
            return line_fail(line, result, "'%s' can't have an MTU of %u: change MTU in [Tap]", settings->name, settings->mtu);
        if (result < 0)
            return line_fail(line, result, "cannot set the MTU of '%s' to %u: %s", settings->name, settings->mtu, explain(result));
        link->changes |= CHANGE_MTU;
    }
    if (settings->txqueuelen != 0 && settings->txqueuelen != before->txqueuelen) {
        int result = rtnl_set_txqueuelen(&link->rtnl, before->index, settings->txqueuelen);
        if (result < 0)
            return line_fail(line, result, "cannot set the queue length of '%s' to %u: %s", settings->name, settings->txqueuelen,
                             explain(result));
        link->changes |= CHANGE_TXQUEUELEN;
    }
    return 0;
}

// A persistent TAP that was up got its link-local address when we attached, and would go on talking from it. Each round deletes what it
// found, so the bound is for a kernel that doesn't.
static void remove_link_local(struct link *link)
{
    struct cidr address;
    for (int i = 0; i < LINK_ADDRESSES_MAX; i++) {
        if (rtnl_get_link_local(&link->rtnl, link->before.index, &address) < 0)
            return;
        if (rtnl_del_address(&link->rtnl, link->before.index, &address) < 0)
            return;
    }
}

// A port of a bridge without an address of its own has nothing to say: see docs on transparency.
static int silence(struct link *link, const struct link_settings *settings, const struct line *line)
{
    if (!wants_bridge(settings) || settings->n_addresses > 0)
        return 0;
    if (!link->before.has_addrgenmode || link->before.addrgenmode != IN6_ADDR_GEN_MODE_NONE) {
        int result = rtnl_set_addrgenmode(&link->rtnl, link->before.index, IN6_ADDR_GEN_MODE_NONE);
        // Without IPv6 the interface is silent as it is.
        if (result == -EAFNOSUPPORT || result == -EOPNOTSUPP)
            return 0;
        if (result < 0)
            return line_fail(line, result, "cannot set addrgenmode none on '%s': %s", settings->name, explain(result));
        if (link->before.has_addrgenmode)
            link->changes |= CHANGE_ADDRGENMODE;
    }
    remove_link_local(link);
    return 0;
}

static int join_bridge(struct link *link, const struct link_settings *settings, const struct line *line)
{
    if (!wants_bridge(settings))
        return 0;
    struct rtnl_link bridge;
    int result = rtnl_get_link(&link->rtnl, settings->bridge, &bridge);
    if (result == -ENODEV)
        return line_fail(line, result,
                         "bridge '%s' does not exist: create it first (ip link add %s type bridge) or remove Bridge from [Tap]",
                         settings->bridge, settings->bridge);
    if (result < 0)
        return line_fail(line, result, "cannot look up bridge '%s': %s", settings->bridge, explain(result));
    if (strcmp(bridge.kind, "bridge") != 0)
        return line_fail(line, -EINVAL, "'%s' is no bridge: name a bridge, or remove Bridge from [Tap]", settings->bridge);
    if (!(bridge.flags & IFF_UP))
        (void)line_fail(line, 0, "bridge '%s' is down: nothing passes until it is up (ip link set %s up)", settings->bridge,
                        settings->bridge);
    if (link->before.master == bridge.index)
        return 0;
    result = rtnl_set_link_master(&link->rtnl, link->before.index, bridge.index);
    if (result < 0)
        return line_fail(line, result, "'%s' cannot join bridge '%s': %s", settings->name, settings->bridge, explain(result));
    link->changes |= CHANGE_MASTER;
    return 0;
}

static int add_addresses(struct link *link, const struct link_settings *settings, const struct line *line)
{
    for (size_t i = 0; i < settings->n_addresses; i++) {
        const struct cidr *address = &settings->addresses[i];
        int result = rtnl_add_address(&link->rtnl, link->before.index, address);
        if (result == -EEXIST)
            continue; // somebody else's, who keeps it
        char text[CIDR_TEXT_CAP];
        if (result < 0 && result != -EPERM && address->family == AF_INET6)
            return line_fail(line, result, "cannot add %s to '%s': %s: is IPv6 disabled on it?", cidr_format(address, text), settings->name,
                             explain(result));
        if (result < 0)
            return line_fail(line, result, "cannot add %s to '%s': %s", cidr_format(address, text), settings->name, explain(result));
        link->addresses[link->n_addresses++] = *address;
    }
    return 0;
}

static int bring_up(struct link *link, const struct link_settings *settings, const struct line *line)
{
    if (link->before.flags & IFF_UP)
        return 0;
    int result = rtnl_set_link_up(&link->rtnl, link->before.index, true);
    if (result < 0)
        return line_fail(line, result, "cannot bring '%s' up: %s", settings->name, explain(result));
    link->changes |= CHANGE_UP;
    return 0;
}

static int find_interface(struct link *link, const struct link_settings *settings, const struct line *line)
{
    int result = rtnl_open(&link->rtnl);
    if (result < 0)
        return line_fail(line, result, "cannot open a netlink socket: %s", explain(result));
    result = rtnl_get_link(&link->rtnl, settings->name, &link->before);
    if (result == -ENODEV)
        return line_fail(line, result, "interface '%s' does not exist", settings->name);
    if (result < 0)
        return line_fail(line, result, "cannot look up interface '%s': %s", settings->name, explain(result));
    return 0;
}

// The first failure that says something: an interface that is gone needs no undo.
static int keep_first(int first, int result)
{
    return first < 0 || result == -ENODEV ? first : result;
}

static int undo_addresses(struct link *link, int first)
{
    while (link->n_addresses > 0) {
        int result = rtnl_del_address(&link->rtnl, link->before.index, &link->addresses[--link->n_addresses]);
        // Taken away by somebody else, or by the kernel when the interface went down.
        if (result != -EADDRNOTAVAIL)
            first = keep_first(first, result);
    }
    return first;
}

static int undo_change(struct link *link, enum change change)
{
    struct rtnl *rtnl = &link->rtnl;
    const struct rtnl_link *before = &link->before;
    if (!(link->changes & change))
        return 0;
    link->changes &= ~(unsigned)change;
    switch (change) {
    case CHANGE_MTU:
        return rtnl_set_link_mtu(rtnl, before->index, before->mtu);
    case CHANGE_TXQUEUELEN:
        return rtnl_set_txqueuelen(rtnl, before->index, before->txqueuelen);
    case CHANGE_ADDRGENMODE:
        return rtnl_set_addrgenmode(rtnl, before->index, before->addrgenmode);
    case CHANGE_MASTER:
        return rtnl_set_link_master(rtnl, before->index, before->master);
    case CHANGE_UP:
        return rtnl_set_link_up(rtnl, before->index, false);
    }
    return 0;
}

int link_set_up(struct link *link, const struct link_settings *settings, char *text, size_t cap)
{
    static int (*const steps[])(struct link *, const struct link_settings *,
                                const struct line *) = {find_interface, set_sizes, silence, join_bridge, add_addresses, bring_up};

    struct line line = {text, cap};
    *link = (struct link){0};
    (void)line_fail(&line, 0, "%s", "");
    if (settings->n_addresses > LINK_ADDRESSES_MAX)
        return line_fail(&line, -EINVAL, "'%s' can have at most %d addresses: remove some from Address in [Tap]", settings->name,
                         LINK_ADDRESSES_MAX);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int result = steps[i](link, settings, &line);
        if (result < 0) {
            (void)link_undo(link);
            return result;
        }
    }
    return 0;
}

int link_undo(struct link *link)
{
    static const enum change below_addresses[] = {CHANGE_MASTER, CHANGE_ADDRGENMODE, CHANGE_TXQUEUELEN, CHANGE_MTU};

    if (!link->rtnl.socket)
        return 0;
    int first = keep_first(0, undo_change(link, CHANGE_UP));
    first = undo_addresses(link, first);
    for (size_t i = 0; i < sizeof below_addresses / sizeof below_addresses[0]; i++)
        first = keep_first(first, undo_change(link, below_addresses[i]));
    rtnl_close(&link->rtnl);
    return first;
}
