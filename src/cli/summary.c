// SPDX-License-Identifier: MIT
/*
 * summary: see summary.h.
 */
#include "summary.h"

#include <stdio.h>
#include <string.h>

#include "ethercord/aead.h"

static void print_cidrs(const struct cidr *list, size_t n)
{
    char text[CIDR_TEXT_CAP];
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i > 0 ? ", " : "", cidr_format(&list[i], text));
}

static void print_node_summary(const struct config *config)
{
    char text[KEY_TEXT_CAP];
    key_encode(text, config->public_key);
    printf("  instance    %s\n  public key  %s\n", config->name, text);
    printf(config->udp.port ? "  listens     UDP port %u\n" : "  listens     any UDP port\n", config->udp.port);
    printf("  ciphers    ");
    for (int i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++) {
        if (config->ciphers >> i & 1)
            printf(" %s", cipher_name((enum cipher)i));
    }
    printf("\n  TAP         %s, MTU %u", config->tap.name, config->tap.mtu);
    if (config->tap.bridge[0])
        printf(", bridge %s", config->tap.bridge);
    if (config->tap.n_addresses > 0)
        printf(", ");
    print_cidrs(config->tap.addresses, config->tap.n_addresses);
    printf("\n");
}

static void print_peer_summary(const struct peer_settings *peer)
{
    char text[KEY_TEXT_CAP];
    const char *psk = peer->has_psk ? ", with a PSK" : "";
    bool is_v6 = strchr(peer->endpoint_host, ':') != NULL;
    key_encode(text, peer->public_key);
    printf("  peer        %s, public key %s\n", peer->name, text);
    if (peer->has_endpoint)
        printf("              endpoint %s%s%s:%u", is_v6 ? "[" : "", peer->endpoint_host, is_v6 ? "]" : "", peer->endpoint_port);
    else
        printf("              no endpoint: waits for the peer");
    if (peer->path_mtu)
        printf(", path MTU %u%s\n", peer->path_mtu, psk);
    else
        printf(", path MTU to be found%s\n", psk);
}

static void print_hooks(const struct hook_settings *hooks)
{
    char title[HOOK_TITLE_CAP];
    for (size_t i = 0; i < hooks->n; i++)
        printf("  %s  %-12s %s\n", i == 0 ? "hooks     " : "          ", hook_title(hooks, i, title), hooks->at[i].command);
    if (hooks->n > 0)
        printf("              each for up to %u s, as who starts the node\n", (unsigned)hooks->timeout_s);
}

void summary_print(const struct config *config)
{
    char text[MAC_TEXT_CAP];
    print_node_summary(config);
    if (config->shortcut.n_addresses > 0) {
        printf("  shortcut    ");
        print_cidrs(config->shortcut.addresses, config->shortcut.n_addresses);
        printf(", MAC address %s\n", mac_format(&config->shortcut.mac, text));
    }
    if (config->peer.is_present)
        print_peer_summary(&config->peer);
    else
        printf("  peer        none: the shortcut alone\n");
    print_hooks(&config->hooks);
}
