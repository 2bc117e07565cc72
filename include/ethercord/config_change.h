// SPDX-License-Identifier: MIT
/*
 * config_change: what is another in a second configuration of the same node, and the part of it that a running node takes over.
 *
 * Which keys take effect at a reload and which need a restart is a column of the table of keys (config_keys.c). Texts hold no secret.
 */
#ifndef ETHERCORD_CONFIG_CHANGE_H
#define ETHERCORD_CONFIG_CHANGE_H

#include "ethercord/config.h"

enum { CONFIG_CHANGES_MAX = 64, CONFIG_CHANGE_CAP = CONFIG_MESSAGE_CAP };

struct config_change {
    bool is_live;                 // a running node takes it over; else it needs a restart
    char text[CONFIG_CHANGE_CAP]; // "[Section] Key: old -> new"
};

// Large: have it allocated.
struct config_changes {
    bool is_any_live;
    bool is_elsewhere; // Endpoint is another one
    size_t n;
    struct config_change at[CONFIG_CHANGES_MAX];
};

// By what a PSK is known again when it is wiped; says nothing of it to who has not this very mark.
struct config_mark {
    uint8_t salt[KEY_LEN];
    uint8_t hash[KEY_LEN];
};
void config_mark_make(struct config_mark *mark, const struct config *config);
bool config_mark_matches(const struct config_mark *mark, const struct config *config);

// `running` may be without its secrets: `is_psk_same` says whether the two have the same PSK.
void config_compare(const struct config *running, const struct config *next, bool is_psk_same, struct config_changes *changes);

// The keys that need no restart. Holds a secret.
struct config_live {
    enum log_level log_level;
    uint16_t ciphers;
    uint16_t reassembly_timeout_ms;
    enum tap_carrier carrier;
    struct shortcut_addresses shortcut;
    struct peer_settings peer;
};
void config_live_get(struct config_live *live, const struct config *config);
void config_live_put(struct config *config, const struct config_live *live);
// Whether what `next` has to be taken over does not go with what stays of `running` till a restart; then `problem` is one line.
bool config_live_clashes(const struct config *running, const struct config *next, char problem[static CONFIG_MESSAGE_CAP]);
// Whether every field is what a configuration can have.
bool config_live_is_valid(const struct config_live *live);

#endif
