// SPDX-License-Identifier: MIT
/*
 * hook_environment: see hook_environment.h.
 */
#include "hook_environment.h"

#include <stdio.h>

#include "ethercord/log.h"

void hook_environment_fill(struct hook_environment *environment, const struct config *config, const struct hook_order *run)
{
    enum hook_event event = (enum hook_event)run->event;
    char endpoint[ADDR_TEXT_CAP] = "", mtu[8];
    const char *const variables[HOOK_VARIABLES][2] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"LANG", "C.UTF-8"},
        {"ETHERCORD_EVENT", hook_event_name(event)},
        {"ETHERCORD_INSTANCE", config->name},
        {"ETHERCORD_TAP", config->tap.name},
        {"ETHERCORD_MTU", mtu},
        {"ETHERCORD_BRIDGE", config->tap.bridge},
        {"ETHERCORD_PEER", config->peer.is_present ? config->peer.name : ""},
        {"ETHERCORD_ENDPOINT", endpoint},
        {"ETHERCORD_REASON", hook_reason_name(event, run->reason)},
    };

    snprintf(mtu, sizeof mtu, "%u", config->tap.mtu);
    if (run->endpoint.family != AF_UNSPEC)
        addr_format(&run->endpoint, endpoint);
    for (size_t i = 0; i < HOOK_VARIABLES; i++) {
        int len = snprintf(environment->texts[i], HOOK_VARIABLE_CAP, "%s=%s", variables[i][0], variables[i][1]);
        ensure(len > 0 && len < HOOK_VARIABLE_CAP);
        environment->list[i] = environment->texts[i];
    }
    environment->list[HOOK_VARIABLES] = NULL;
}
