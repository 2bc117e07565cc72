// SPDX-License-Identifier: MIT
/*
 * hook_settings: the operator's own commands, as the configuration has them. Plain data, compared byte for byte, and no secret of ours.
 */
#ifndef ETHERCORD_HOOK_SETTINGS_H
#define ETHERCORD_HOOK_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

enum {
    HOOKS_MAX = 16,          // of all events together
    HOOK_COMMAND_CAP = 1024, // a line of the file, with its key
    HOOK_TIMEOUT_S_DEFAULT = 10,
    HOOK_TIMEOUT_S_MAX = 3600,
    HOOK_TITLE_CAP = 24
};

enum hook_event { HOOK_POST_UP, HOOK_PRE_DOWN, HOOK_PEER_UP, HOOK_PEER_DOWN, HOOK_EVENT_COUNT };

struct hook {
    uint32_t event;
    char command[HOOK_COMMAND_CAP]; // for /bin/sh -c; zeros behind it
};

struct hook_settings {
    uint32_t timeout_s; // for each command
    uint32_t n;
    struct hook at[HOOKS_MAX]; // in the order of the file; zeros behind the last
};

// The key in the file ("OnPeerUp"), and the event as a hook is told it ("peer-up").
const char *hook_key(enum hook_event event);
const char *hook_event_name(enum hook_event event);
size_t hooks_count(const struct hook_settings *hooks, enum hook_event event);
// What the log calls at[index]: its key, and if there are several of it, which one ("PostUp 2").
const char *hook_title(const struct hook_settings *hooks, size_t index, char text[static HOOK_TITLE_CAP]);

#endif
