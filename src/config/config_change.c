// SPDX-License-Identifier: MIT
/*
 * config_change: see config_change.h. Two values are the same when they are shown the same; those that are not shown, when their bytes are.
 */
#include "ethercord/config_change.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include "config_keys.h"
#include "ethercord/aead.h"

__attribute__((format(printf, 3, 4))) static void add(struct config_changes *changes, bool is_live, const char *format, ...)
{
    va_list args;

    changes->is_any_live = changes->is_any_live || is_live;
    if (changes->n == CONFIG_CHANGES_MAX)
        return;
    struct config_change *change = &changes->at[changes->n++];
    change->is_live = is_live;
    va_start(args, format);
    (void)vsnprintf(change->text, sizeof change->text, format, args);
    va_end(args);
}

// The next hook of that event from `*at` on; NULL = none.
static const char *next_command(const struct hook_settings *hooks, unsigned event, uint32_t *at)
{
    while (*at < hooks->n && hooks->at[*at].event != event)
        (*at)++;
    return *at < hooks->n ? hooks->at[(*at)++].command : NULL;
}

static bool are_commands_same(const struct hook_settings *a, const struct hook_settings *b, unsigned event)
{
    uint32_t at_a = 0, at_b = 0;
    const char *command_a, *command_b;

    do {
        command_a = next_command(a, event, &at_a);
        command_b = next_command(b, event, &at_b);
    } while (command_a && command_b && strcmp(command_a, command_b) == 0);
    return !command_a && !command_b;
}

static bool are_bytes_same(const struct config *a, const struct config *b, const struct config_key *key)
{
    if (key->is_command)
        return are_commands_same(&a->hooks, &b->hooks, key->min);
    return memcmp((const char *)a + key->offset, (const char *)b + key->offset, key->size) == 0;
}

static void compare_key(const struct config *running, const struct config *next, enum config_key_id id, struct config_changes *changes)
{
    const struct config_key *key = &config_keys[id];
    const char *section = config_section_names[key->section];
    char before[CONFIG_VALUE_CAP], after[CONFIG_VALUE_CAP];

    if (config_kind(id) == CONFIG_KEY_FILE)
        return;
    if (!config_show(running, id, before) || !config_show(next, id, after)) {
        if (!are_bytes_same(running, next, key))
            add(changes, key->is_live, "[%s] %s: another value", section, key->name);
    } else if (strcmp(before, after) != 0) {
        add(changes, key->is_live, "[%s] %s: %.200s -> %.200s", section, key->name, before, after);
        changes->is_elsewhere = changes->is_elsewhere || id == KEY_PEER_ENDPOINT;
    }
}

static void compare_psk(const struct config *next, bool is_psk_same, size_t n_before, struct config_changes *changes)
{
    if (!is_psk_same && changes->n == n_before && next->peer.has_psk) // else it is said already: there was none, or is none any more
        add(changes, true, "[Peer] PresharedKey: another PSK");
}

static void compare_peer(const struct config *running, const struct config *next, bool is_psk_same, struct config_changes *changes)
{
    const struct peer_settings *before = &running->peer, *after = &next->peer;

    if (before->is_present != after->is_present) {
        add(changes, true, "[Peer %s]: %s", after->is_present ? after->name : before->name, after->is_present ? "added" : "removed");
        changes->is_elsewhere = true;
        return;
    }
    if (!after->is_present)
        return;
    if (strcmp(before->name, after->name) != 0)
        add(changes, true, "[Peer %s]: is called %s now", before->name, after->name);
    for (int id = 0; id < KEY_COUNT; id++) {
        size_t n_before = changes->n;
        if (config_keys[id].section != SECTION_PEER)
            continue;
        compare_key(running, next, (enum config_key_id)id, changes);
        if (id == KEY_PEER_PRESHARED_KEY)
            compare_psk(next, is_psk_same, n_before, changes);
    }
}

void config_compare(const struct config *running, const struct config *next, bool is_psk_same, struct config_changes *changes)
{
    changes->is_any_live = changes->is_elsewhere = false;
    changes->n = 0;
    for (int id = 0; id < KEY_COUNT; id++)
        if (config_keys[id].section != SECTION_PEER)
            compare_key(running, next, (enum config_key_id)id, changes);
    compare_peer(running, next, is_psk_same, changes);
}

/* ---- a PSK that is wiped ---- */

static void hash_psk(uint8_t hash[static KEY_LEN], const uint8_t salt[static KEY_LEN], const struct config *config)
{
    (void)crypto_generichash(hash, KEY_LEN, config->peer.psk, KEY_LEN, salt, KEY_LEN);
}

void config_mark_make(struct config_mark *mark, const struct config *config)
{
    randombytes_buf(mark->salt, sizeof mark->salt);
    hash_psk(mark->hash, mark->salt, config);
}

bool config_mark_matches(const struct config_mark *mark, const struct config *config)
{
    uint8_t hash[KEY_LEN];

    hash_psk(hash, mark->salt, config);
    return sodium_memcmp(hash, mark->hash, sizeof hash) == 0;
}

/* ---- what is taken over ---- */

void config_live_get(struct config_live *live, const struct config *config)
{
    memset(live, 0, sizeof *live);
    live->log_level = config->log_level;
    live->ciphers = config->ciphers;
    live->reassembly_timeout_ms = config->reassembly_timeout_ms;
    live->carrier = config->tap.carrier;
    memcpy(live->shortcut.addresses, config->shortcut.addresses, sizeof live->shortcut.addresses);
    live->shortcut.n_addresses = config->shortcut.n_addresses;
    live->shortcut.answer = config->shortcut.answer;
    live->peer = config->peer;
}

void config_live_put(struct config *config, const struct config_live *live)
{
    config->log_level = live->log_level;
    config->ciphers = live->ciphers;
    config->reassembly_timeout_ms = live->reassembly_timeout_ms;
    config->tap.carrier = live->carrier;
    memcpy(config->shortcut.addresses, live->shortcut.addresses, sizeof config->shortcut.addresses);
    config->shortcut.n_addresses = live->shortcut.n_addresses;
    config->shortcut.answer = live->shortcut.answer;
    config->peer = live->peer;
}

bool config_live_clashes(const struct config *running, const struct config *next, char problem[static CONFIG_MESSAGE_CAP])
{
    const struct tap_settings *tap = &running->tap;
    const struct shortcut_config *shortcut = &next->shortcut;
    char text[CIDR_TEXT_CAP];

    if (next->peer.is_present && key_equal(next->peer.public_key, running->public_key)) {
        snprintf(problem, CONFIG_MESSAGE_CAP, "[Peer] PublicKey: it is the key that this node has until it is started anew; restart it");
        return true;
    }
    for (size_t i = 0; i < tap->n_addresses; i++)
        for (size_t j = 0; j < shortcut->n_addresses; j++)
            if (shortcut->addresses[j].family == tap->addresses[i].family &&
                memcmp(shortcut->addresses[j].ip, tap->addresses[i].ip, IPV6_LEN) == 0) {
                snprintf(problem, CONFIG_MESSAGE_CAP,
                         "[Shortcut] Address: %s is the kernel's own on the TAP until this node is started anew; restart it",
                         cidr_format(&shortcut->addresses[j], text));
                return true;
            }
    return false;
}

static bool is_text(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static bool are_addresses_valid(const struct shortcut_addresses *shortcut)
{
    if (shortcut->n_addresses > SHORTCUT_ADDRESSES_MAX || (unsigned)shortcut->answer > SHORTCUT_ANSWER_PEER_UP)
        return false;
    for (size_t i = 0; i < shortcut->n_addresses; i++) {
        const struct cidr *cidr = &shortcut->addresses[i];
        if ((cidr->family != AF_INET && cidr->family != AF_INET6) || cidr->prefix_len > addr_ip_len(cidr->family) * 8)
            return false;
    }
    return true;
}

// A bool that somebody else wrote may hold any byte.
static bool is_bool(const bool *flag)
{
    uint8_t byte;

    memcpy(&byte, flag, sizeof byte);
    return byte <= 1;
}

static bool is_peer_valid(const struct peer_settings *peer)
{
    return is_bool(&peer->is_present) && is_bool(&peer->has_psk) && is_bool(&peer->has_endpoint) &&
           is_text(peer->name, sizeof peer->name) && is_text(peer->endpoint_host, sizeof peer->endpoint_host);
}

bool config_live_is_valid(const struct config_live *live)
{
    return (unsigned)live->log_level < LOG_LEVEL_COUNT && live->ciphers != 0 && (live->ciphers & ~(unsigned)ciphers_available()) == 0 &&
           (unsigned)live->carrier <= TAP_CARRIER_PEER_UP && are_addresses_valid(&live->shortcut) && is_peer_valid(&live->peer) &&
           (live->peer.is_present || live->shortcut.n_addresses > 0);
}
