// SPDX-License-Identifier: MIT
/*
 * config_show: the value of a key as text, for what a reload says. Never a secret: of the node's own key its public half, of a PSK that
 * there is one.
 */
#include <string.h>

#include "config_keys.h"
#include "ethercord/aead.h"

_Static_assert(CONFIG_VALUE_CAP > TAP_ADDRESSES_MAX * (CIDR_TEXT_CAP + 2) && CONFIG_VALUE_CAP > HOST_CAP + 10, "room for all");
_Static_assert((int)TAP_ADDRESSES_MAX >= (int)SHORTCUT_ADDRESSES_MAX, "the longest list");

static const void *field_of(const struct config *config, size_t offset)
{
    return (const char *)config + offset;
}

static void show_cidrs(const struct cidr *list, size_t n, char text[static CONFIG_VALUE_CAP])
{
    char one[CIDR_TEXT_CAP];
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, CONFIG_VALUE_CAP - len, "%s%s", i > 0 ? ", " : "", cidr_format(&list[i], one));
}

static void show_ciphers(uint16_t ciphers, char text[static CONFIG_VALUE_CAP])
{
    const char *name = "auto";

    for (int i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++)
        if (ciphers == 1U << i && ciphers != ciphers_available())
            name = cipher_name((enum cipher)i);
    snprintf(text, CONFIG_VALUE_CAP, "%s", name);
}

static void show_endpoint(const struct peer_settings *peer, char text[static CONFIG_VALUE_CAP])
{
    bool is_v6 = strchr(peer->endpoint_host, ':') != NULL;

    if (peer->has_endpoint)
        snprintf(text, CONFIG_VALUE_CAP, "%s%s%s:%u", is_v6 ? "[" : "", peer->endpoint_host, is_v6 ? "]" : "", peer->endpoint_port);
}

// Of an address its port is nothing, of this key.
static void show_source(const struct addr *addr, char text[static CONFIG_VALUE_CAP])
{
    struct cidr cidr = {.family = addr->family, .prefix_len = (uint8_t)(addr_ip_len(addr->family) * 8)};
    char with_prefix[CIDR_TEXT_CAP];

    if (addr->family == AF_UNSPEC)
        return;
    memcpy(cidr.ip, addr->ip, sizeof cidr.ip);
    cidr_format(&cidr, with_prefix);
    snprintf(text, CONFIG_VALUE_CAP, "%.*s", (int)strcspn(with_prefix, "/"), with_prefix);
}

static void show_key(const struct config *config, enum config_key_id id, char text[static CONFIG_VALUE_CAP])
{
    char key[KEY_TEXT_CAP];

    if (id == KEY_PEER_PRESHARED_KEY) {
        snprintf(text, CONFIG_VALUE_CAP, "%s", config->peer.has_psk ? "a PSK" : "none");
        return;
    }
    key_encode(key, id == KEY_PRIVATE_KEY ? config->public_key : config->peer.public_key);
    snprintf(text, CONFIG_VALUE_CAP, "%s%s", id == KEY_PRIVATE_KEY ? "that of public key " : "", key);
}

static void show_number(unsigned number, const char *zero, char text[static CONFIG_VALUE_CAP])
{
    if (number == 0 && zero)
        snprintf(text, CONFIG_VALUE_CAP, "%s", zero);
    else
        snprintf(text, CONFIG_VALUE_CAP, "%u", number);
}

const char *config_show(const struct config *config, enum config_key_id id, char text[static CONFIG_VALUE_CAP])
{
    const struct config_key *key = &config_keys[id];
    const void *field = field_of(config, key->offset);

    text[0] = '\0';
    switch (config_kind(id)) {
    case CONFIG_OTHER:
    case CONFIG_KEY_FILE: // the key itself says it
        return NULL;
    case CONFIG_KEY:
        show_key(config, id, text);
        break;
    case CONFIG_NUMBER:
        show_number(*(const uint16_t *)field, NULL, text);
        break;
    case CONFIG_OR_OFF:
        show_number(*(const uint16_t *)field, "off", text);
        break;
    case CONFIG_OR_AUTO:
        show_number(*(const uint16_t *)field, "auto", text);
        break;
    case CONFIG_MARK:
        show_number(*(const uint32_t *)field, NULL, text);
        break;
    case CONFIG_TEXT:
        snprintf(text, CONFIG_VALUE_CAP, "%.*s", (int)key->size, (const char *)field);
        break;
    case CONFIG_CHOICE:
        snprintf(text, CONFIG_VALUE_CAP, "%s", key->choices[*(const unsigned *)field]);
        break;
    case CONFIG_CIDRS:
        show_cidrs(field, *(const size_t *)field_of(config, key->count_offset), text);
        break;
    case CONFIG_CIPHERS:
        show_ciphers(*(const uint16_t *)field, text);
        break;
    case CONFIG_ADDRESS:
        show_source(field, text);
        break;
    case CONFIG_ADDRESS_AND_PORT:
        if (((const struct addr *)field)->family != AF_UNSPEC)
            addr_format(field, text);
        break;
    case CONFIG_LOG_LEVEL:
        snprintf(text, CONFIG_VALUE_CAP, "%s", log_level_name(*(const enum log_level *)field));
        break;
    case CONFIG_ENDPOINT:
        show_endpoint(&config->peer, text);
        break;
    }
    if (!text[0])
        memcpy(text, "none", sizeof "none");
    return text;
}
