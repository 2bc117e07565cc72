// SPDX-License-Identifier: MIT
/*
 * shortcut_settings: which addresses the shortcut has: at the start, and when a reload gives it others while frames come and go.
 *
 * An address that stays keeps what is known of it (when it was defended); limits and random numbers go on. Packets that were being put
 * together for an address that goes are given up.
 */
#include <string.h>

#include "ethercord/log.h"
#include "shortcut_private.h"

enum { LINK_LOCAL_PREFIX_LEN = 64 };

// The link-local address that goes with the MAC address (RFC 4291 appendix A): reports need one as their source.
static void make_link_local(const struct mac_address *mac, struct cidr *cidr)
{
    *cidr = (struct cidr){.family = AF_INET6, .prefix_len = LINK_LOCAL_PREFIX_LEN, .ip = {0xfe, 0x80}};
    memcpy(cidr->ip + 8, mac->b, 3);
    cidr->ip[8] ^= 0x02;
    cidr->ip[11] = 0xff;
    cidr->ip[12] = 0xfe;
    memcpy(cidr->ip + 13, mac->b + 3, 3);
}

static void add_own(struct shortcut *shortcut, const struct cidr *cidr)
{
    if (shortcut_find_own(shortcut, cidr->family, cidr->ip))
        return;
    shortcut->own[shortcut->n_own++] = (struct own_address){.cidr = *cidr};
}

void shortcut_set_own(struct shortcut *shortcut)
{
    const struct shortcut_config *config = &shortcut->config;
    struct cidr link_local;

    shortcut->n_own = 0;
    shortcut->has_link_local = false;
    make_link_local(&config->mac, &link_local);
    for (size_t i = 0; i < config->n_addresses; i++) {
        bool is_ipv6 = config->addresses[i].family == AF_INET6;
        shortcut->has_link_local |= is_ipv6;
        // The link-local one is added last, so that its place is known.
        if (!is_ipv6 || memcmp(config->addresses[i].ip, link_local.ip, IPV6_LEN) != 0)
            add_own(shortcut, &config->addresses[i]);
    }
    if (shortcut->has_link_local)
        add_own(shortcut, &link_local);
}

static bool is_same(const struct shortcut_config *config, const struct shortcut_addresses *wanted)
{
    if (config->answer != wanted->answer || config->n_addresses != wanted->n_addresses)
        return false;
    for (size_t i = 0; i < wanted->n_addresses; i++) {
        const struct cidr *a = &config->addresses[i], *b = &wanted->addresses[i];
        if (a->family != b->family || a->prefix_len != b->prefix_len || memcmp(a->ip, b->ip, IPV6_LEN) != 0)
            return false;
    }
    return true;
}

// What is known of those that stay. Returns whether there are others, too.
static bool carry_over(struct shortcut *shortcut, const struct own_address *before, size_t n_before)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n_before; i++) {
        struct own_address *own = shortcut_find_own(shortcut, before[i].cidr.family, before[i].cidr.ip);
        if (!own)
            continue;
        struct cidr cidr = own->cidr; // its prefix may be another one
        *own = before[i];
        own->cidr = cidr;
        n_kept++;
    }
    return n_kept < shortcut->n_own;
}

void shortcut_reconfigure(struct shortcut *shortcut, const struct shortcut_addresses *wanted, bool may_announce, uint64_t now_ns)
{
    struct own_address before[OWN_MAX];
    size_t n_before = shortcut->n_own;
    bool was_silent = shortcut_is_silent(shortcut);

    if (is_same(&shortcut->config, wanted))
        return;
    ensure(wanted->n_addresses <= SHORTCUT_ADDRESSES_MAX);
    memcpy(before, shortcut->own, sizeof before);
    memcpy(shortcut->config.addresses, wanted->addresses, sizeof shortcut->config.addresses);
    shortcut->config.n_addresses = wanted->n_addresses;
    shortcut->config.answer = wanted->answer;
    shortcut_set_own(shortcut);
    bool is_more = carry_over(shortcut, before, n_before);
    shortcut_reassembly_forget_strange(shortcut);
    if (!shortcut->has_link_local)
        shortcut_mld_init(shortcut); // a query that waited has no answer now
    shortcut_update_deadline(shortcut);
    if (shortcut->n_own == 0 || shortcut_is_silent(shortcut))
        shortcut_fall_silent(shortcut);
    else if (may_announce && (is_more || was_silent))
        shortcut_announce(shortcut, now_ns);
}
