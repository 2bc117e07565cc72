// SPDX-License-Identifier: MIT
/*
 * doctor_subject: see doctor_subject.h. The status comes from another process: what is missing, or of another type than expected, counts as
 * not configured.
 */
#include "doctor_subject.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "doctor_checks.h"

const char *doctor_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

double doctor_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

const json_t *doctor_peer(const struct doctor *doctor)
{
    return json_array_get(json_object_get(doctor->subject.status, "peers"), 0);
}

const char *doctor_ip(const struct addr *addr, char text[static ADDR_TEXT_CAP])
{
    return inet_ntop(addr->family, addr->ip, text, ADDR_TEXT_CAP) ? text : "unset";
}

static void copy_text(char *to, size_t cap, const json_t *object, const char *key)
{
    const char *text = doctor_text(object, key);
    (void)snprintf(to, cap, "%s", text ? text : "");
}

static uint32_t get_u32(const json_t *object, const char *key)
{
    double number = doctor_number(object, key, 0);
    return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

// As addr_format() writes it: "192.0.2.1:36160", "[fe80::1%3]:36160".
static bool parse_place(const char *text, struct addr *place)
{
    char ip[ADDR_TEXT_CAP];
    const char *colon = text ? strrchr(text, ':') : NULL;
    bool is_bracketed = text && text[0] == '[';
    size_t len = colon ? (size_t)(colon - text) : 0;
    size_t begin = is_bracketed ? 1 : 0;
    if (len < 2 + 2 * begin || len >= sizeof ip)
        return false;
    memcpy(ip, text + begin, len - 2 * begin);
    ip[len - 2 * begin] = '\0';
    char *scope = strchr(ip, '%');
    if (scope)
        *scope++ = '\0';
    if (!addr_parse_ip(ip, place))
        return false;
    place->scope = scope ? (uint32_t)strtoul(scope, NULL, 10) : 0;
    place->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return true;
}

static void add_place(struct doctor_subject *subject, const struct addr *place)
{
    for (size_t i = 0; i < subject->n_places; i++)
        if (addr_equal(&subject->places[i], place))
            return;
    if (subject->n_places < DOCTOR_PLACES_MAX)
        subject->places[subject->n_places++] = *place;
}

static void add_place_text(struct doctor_subject *subject, const char *text)
{
    struct addr place;
    if (parse_place(text, &place))
        add_place(subject, &place);
}

// Where it is, or else every place where it may be.
static void take_peer(struct doctor_subject *subject, const json_t *peer)
{
    const char *state = doctor_text(peer, "state");
    const json_t *addresses = json_object_get(peer, "addresses");
    subject->has_peer = json_is_object(peer);
    subject->is_up = state && strcmp(state, "up") == 0;
    add_place_text(subject, doctor_text(peer, "endpoint"));
    if (subject->is_up)
        return;
    add_place_text(subject, doctor_text(peer, "tried"));
    for (size_t i = 0; i < json_array_size(addresses); i++)
        add_place_text(subject, json_string_value(json_array_get(addresses, i)));
}

void subject_from_status_take(struct doctor_subject *subject, json_t *status)
{
    const json_t *tap = json_object_get(status, "tap"), *underlay = json_object_get(status, "underlay");
    const char *source = doctor_text(underlay, "source_address");
    subject->status = status;
    subject->has_config = true;
    copy_text(subject->name, sizeof subject->name, status, "name");
    copy_text(subject->file, sizeof subject->file, status, "config_file");
    copy_text(subject->public_key, sizeof subject->public_key, status, "public_key");
    copy_text(subject->tap, sizeof subject->tap, tap, "name");
    copy_text(subject->bridge, sizeof subject->bridge, tap, "bridge");
    copy_text(subject->interface, sizeof subject->interface, underlay, "interface");
    subject->tap_mtu = get_u32(tap, "mtu");
    subject->listen_port = (uint16_t)get_u32(status, "listen_port");
    subject->fwmark = get_u32(underlay, "fwmark");
    if (!source || !addr_parse_ip(source, &subject->source))
        subject->source = (struct addr){0};
    take_peer(subject, json_array_get(json_object_get(status, "peers"), 0));
}

static void look_up(struct doctor_subject *subject, const struct peer_settings *peer)
{
    const struct addrinfo hints = {.ai_family = subject->source.family, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    struct addr place;
    if (getaddrinfo(peer->endpoint_host, NULL, &hints, &found) != 0)
        found = NULL;
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        if (!addr_from_sockaddr(&place, at->ai_addr, at->ai_addrlen))
            continue;
        place.port = peer->endpoint_port;
        add_place(subject, &place);
    }
    if (found)
        freeaddrinfo(found);
    if (subject->n_places == 0)
        memcpy(subject->unresolved, peer->endpoint_host, sizeof subject->unresolved);
}

void subject_from_config(struct doctor_subject *subject, const struct config *config)
{
    subject->has_config = true;
    memcpy(subject->name, config->name, sizeof subject->name);
    memcpy(subject->file, config->file, sizeof subject->file);
    key_encode(subject->public_key, config->public_key);
    memcpy(subject->tap, config->tap.name, sizeof subject->tap);
    memcpy(subject->bridge, config->tap.bridge, sizeof subject->bridge);
    memcpy(subject->interface, config->udp.interface, sizeof subject->interface);
    subject->tap_mtu = config->tap.mtu;
    subject->listen_port = config->udp.port;
    subject->fwmark = config->udp.fwmark;
    subject->source = config->udp.source;
    subject->has_peer = config->peer.is_present;
    if (config->peer.is_present && config->peer.has_endpoint)
        look_up(subject, &config->peer);
}

void subject_deinit(struct doctor_subject *subject)
{
    json_decref(subject->status);
    *subject = (struct doctor_subject){0};
}
