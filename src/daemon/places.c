// SPDX-License-Identifier: MIT
/*
 * places: see places.h.
 */
#include "places.h"

#include <stdio.h>

#include "ethercord/clock.h"

enum { TARGETS_MAX = PEER_ADDRESSES_MAX + 1 };

static void note_move(struct places *places, const struct peer *peer, uint64_t now_ns)
{
    char from[ADDR_TEXT_CAP], to[ADDR_TEXT_CAP];

    if (!peer->is_up || !peer->has_endpoint || addr_equal(&places->at, &peer->endpoint.remote))
        return;
    if (places->was_up && places->at.family != AF_UNSPEC) // else its coming up says where it is
        log_tell(&(struct log_about){LOG_EVENT_PEER_MOVED, peer->config.name, &places->moved_limit, now_ns},
                 "peer %s has moved from %s to %s", peer->config.name, addr_format(&places->at, from),
                 addr_format(&peer->endpoint.remote, to));
    places->at = peer->endpoint.remote;
}

// Once per outage, when each place has been tried.
static void note_silence(struct places *places, const struct peer *peer, const struct peer_settings *settings, uint64_t now_ns)
{
    char list[TARGETS_MAX * ADDR_TEXT_CAP], again[HOST_CAP + 40] = "";
    struct addr targets[TARGETS_MAX], literal;
    const struct addr *target;
    size_t n = 0;

    if (peer->is_up)
        places->is_silence_said = false;
    if (peer->is_up || places->is_silence_said)
        return;
    while ((target = peer_target(peer, n)))
        targets[n++] = *target;
    if (n == 0 || peer->n_attempts <= n)
        return;
    places->is_silence_said = true;
    if (settings->has_endpoint && !addr_parse_ip(settings->endpoint_host, &literal))
        snprintf(again, sizeof again, ", and looking '%s' up again each 15 s", settings->endpoint_host);
    log_tell(&(struct log_about){LOG_EVENT_PEER_SILENT, peer->config.name, &places->silence_limit, now_ns},
             "no answer from peer %s at %s%s; trying on%s; is it running, and is UDP let through to it and back?", peer->config.name,
             n > 1 ? "any of " : "", addr_format_list(targets, n, list), again);
}

void places_note(struct places *places, const struct peer *peer, const struct peer_settings *settings, uint64_t now_ns)
{
    note_move(places, peer, now_ns);
    note_silence(places, peer, settings, now_ns);
    places->was_up = peer->is_up;
}

static const char *lookup_state(const struct peer *peer)
{
    if (peer->is_resolving)
        return "asking";
    return peer->n_addresses > 0 ? "found" : "failed";
}

void places_set_status(json_t *object, const struct peer *peer, const struct peer_settings *settings, uint64_t now_ns)
{
    char text[ADDR_TEXT_CAP];
    json_t *addresses = json_array();
    bool was_asked = peer->resolve_asked_ns != 0 && settings->has_endpoint;

    for (size_t i = 0; i < peer->n_addresses; i++)
        json_array_append_new(addresses, json_string(addr_format(&peer->addresses[i], text)));
    json_object_set_new(object, "endpoint_name", settings->has_endpoint ? json_string(settings->endpoint_host) : json_null());
    json_object_set_new(object, "addresses", addresses);
    json_object_set_new(object, "tried", peer->tried.family == AF_UNSPEC ? json_null() : json_string(addr_format(&peer->tried, text)));
    json_object_set_new(object, "lookup", was_asked ? json_string(lookup_state(peer)) : json_null());
    json_object_set_new(object, "lookup_age_s",
                        was_asked ? json_real((double)age_ns(now_ns, peer->lookup_ns) / (double)NS_PER_S) : json_null());
}
