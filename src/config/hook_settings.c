// SPDX-License-Identifier: MIT
/*
 * hook_settings: see hook_settings.h.
 */
#include "ethercord/hook_settings.h"

#include <stdio.h>

static const struct {
    const char *key, *name;
} EVENTS[] = {
    [HOOK_POST_UP] = {"PostUp", "post-up"},
    [HOOK_PRE_DOWN] = {"PreDown", "pre-down"},
    [HOOK_PEER_UP] = {"OnPeerUp", "peer-up"},
    [HOOK_PEER_DOWN] = {"OnPeerDown", "peer-down"},
};
_Static_assert(sizeof EVENTS / sizeof EVENTS[0] == HOOK_EVENT_COUNT, "each event has its names");

const char *hook_key(enum hook_event event)
{
    return EVENTS[event].key;
}

const char *hook_event_name(enum hook_event event)
{
    return EVENTS[event].name;
}

static size_t count_first(const struct hook_settings *hooks, enum hook_event event, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += hooks->at[i].event == event;
    return found;
}

size_t hooks_count(const struct hook_settings *hooks, enum hook_event event)
{
    return count_first(hooks, event, hooks->n);
}

const char *hook_title(const struct hook_settings *hooks, size_t index, char text[static HOOK_TITLE_CAP])
{
    enum hook_event event = (enum hook_event)hooks->at[index].event;

    if (hooks_count(hooks, event) > 1)
        snprintf(text, HOOK_TITLE_CAP, "%s %zu", hook_key(event), count_first(hooks, event, index) + 1);
    else
        snprintf(text, HOOK_TITLE_CAP, "%s", hook_key(event));
    return text;
}
