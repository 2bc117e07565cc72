// SPDX-License-Identifier: MIT
/*
 * sim_addr: who is at which address: addresses that move, and NATs. And what damage is.
 *
 * A NAT has one address and few ports for all who are behind it, so that the address of a mapping that has ended is soon another node's. It
 * lets in only what comes from an address and port that something was sent to lately (RFC 4787: address-and-port-dependent filtering). What
 * comes in keeps no mapping alive.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { NAT_FIRST_PORT = 40000, EXTRA_MAX = 200, FLIPS_MAX = 8 };

struct addr sim_addr(unsigned last_byte, uint16_t port)
{
    return (struct addr){.family = AF_INET, .port = port, .ip = {192, 0, 2, (uint8_t)last_byte}};
}

void sim_move(struct sim *sim, int id, struct addr to, bool is_own)
{
    sim->nodes[id].seen = to;
    if (is_own)
        sim->nodes[id].own = to;
}

/* ---- NATs ---- */

static bool is_mapped(const struct sim_node *node)
{
    return node->nat.lifetime_ns == 0 || node->nat.until_ns > node->sim->now_ns;
}

struct sim_node *sim_who_is_at(struct sim *sim, const struct addr *addr)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        if (is_mapped(&sim->nodes[id]) && addr_equal(&sim->nodes[id].seen, addr))
            return &sim->nodes[id];
    return NULL;
}

void sim_nat_put(struct sim *sim, int id, unsigned last_byte, uint64_t lifetime_ns)
{
    sim->nodes[id].nat = (struct sim_nat){.lifetime_ns = lifetime_ns, .last_byte = last_byte};
}

// Any port but the one it had, from one that the PRNG picks on, that is nobody's.
static void map_anew(struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint64_t first = sim_below(sim, SIM_NAT_PORTS);
    struct addr had = node->seen;

    for (uint64_t i = 0; i < SIM_NAT_PORTS; i++) {
        struct addr other = sim_addr(node->nat.last_byte, (uint16_t)(NAT_FIRST_PORT + (first + i) % SIM_NAT_PORTS));
        if (addr_equal(&other, &had) || sim_who_is_at(sim, &other))
            continue;
        node->seen = other;
        break;
    }
    memset(node->nat.asked_ns, 0, sizeof node->nat.asked_ns);
}

void sim_nat_out(struct sim_node *node, const struct addr *to)
{
    struct sim_nat *nat = &node->nat;
    size_t oldest = 0;

    if (nat->lifetime_ns == 0)
        return;
    if (!is_mapped(node))
        map_anew(node);
    nat->until_ns = node->sim->now_ns + nat->lifetime_ns;
    for (size_t i = 0; i < SIM_NAT_ASKED; i++) {
        if (nat->asked_ns[i] && addr_equal(&nat->asked[i], to)) {
            nat->asked_ns[i] = node->sim->now_ns;
            return;
        }
        if (nat->asked_ns[i] < nat->asked_ns[oldest])
            oldest = i;
    }
    nat->asked[oldest] = *to;
    nat->asked_ns[oldest] = node->sim->now_ns;
}

bool sim_nat_lets_in(const struct sim_node *node, const struct addr *from)
{
    const struct sim_nat *nat = &node->nat;

    if (nat->lifetime_ns == 0)
        return true;
    for (size_t i = 0; i < SIM_NAT_ASKED; i++)
        if (nat->asked_ns[i] && addr_equal(&nat->asked[i], from))
            return node->sim->now_ns - nat->asked_ns[i] < nat->lifetime_ns;
    return false;
}

/* ---- damage ---- */

static void flip(struct sim *sim, struct sim_datagram *datagram)
{
    for (uint64_t n = 1 + sim_below(sim, FLIPS_MAX); n-- > 0 && datagram->len > 0;)
        datagram->bytes[sim_below(sim, datagram->len)] ^= (uint8_t)(1U << sim_below(sim, 8));
}

static void cut_off(struct sim *sim, struct sim_datagram *datagram)
{
    datagram->len = (size_t)sim_below(sim, datagram->len);
}

static void lengthen(struct sim *sim, struct sim_datagram *datagram)
{
    for (uint64_t n = 1 + sim_below(sim, EXTRA_MAX); n-- > 0 && datagram->len < SIM_DATAGRAM_CAP;)
        datagram->bytes[datagram->len++] = (uint8_t)sim_random(sim);
}

// Its beginning, then the end of another one.
static void splice(struct sim *sim, struct sim_datagram *datagram)
{
    const struct sim_datagram *other = sim->recorded.n ? sim->recorded.at[sim_below(sim, sim->recorded.n)] : NULL;

    sim->has_reordered = true; // it may be all of the other one
    if (!other || other->len == 0) {
        cut_off(sim, datagram);
        return;
    }
    size_t at = (size_t)sim_below(sim, datagram->len), from = at < other->len ? at : (size_t)sim_below(sim, other->len);
    size_t len = other->len - from < SIM_DATAGRAM_CAP - at ? other->len - from : SIM_DATAGRAM_CAP - at;
    memcpy(datagram->bytes + at, other->bytes + from, len);
    datagram->len = at + len;
}

struct sim_datagram *sim_damaged(struct sim *sim, const struct sim_datagram *datagram)
{
    static void (*const kinds[])(struct sim *, struct sim_datagram *) = {flip, flip, cut_off, lengthen, splice};
    struct sim_datagram *copy = malloc(sizeof *copy + SIM_DATAGRAM_CAP);

    if (!copy)
        abort();
    memcpy(copy, datagram, sizeof *copy + datagram->len);
    if (copy->len > 0)
        kinds[sim_below(sim, sizeof kinds / sizeof *kinds)](sim, copy);
    sim->n_damaged++;
    return copy;
}
