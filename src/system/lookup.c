// SPDX-License-Identifier: MIT
/*
 * lookup: see lookup.h.
 */
#include "ethercord/lookup.h"

#include <stdio.h>
#include <string.h>

#include "ethercord/clock.h"

enum { ADDRESSES_TEXT_CAP = PEER_ADDRESSES_MAX * ADDR_TEXT_CAP, ERROR_TEXT_CAP = 64 };
#define FAILED_AGAIN_NS (600 * NS_PER_S)

static bool is_among(const struct addr *addr, const struct lookup_answer *answer)
{
    for (size_t i = 0; i < answer->n; i++)
        if (addr_equal(addr, &answer->addresses[i]))
            return true;
    return false;
}

void lookup_take(struct lookup_answer *answer, const struct addrinfo *list)
{
    struct addr addr;

    *answer = (struct lookup_answer){.n = 0};
    for (; list; list = list->ai_next) {
        if (!addr_from_sockaddr(&addr, list->ai_addr, list->ai_addrlen) || !addr_is_unicast(&addr) || addr.port == 0)
            answer->n_unusable++;
        else if (is_among(&addr, answer))
            continue;
        else if (answer->n == PEER_ADDRESSES_MAX)
            answer->n_too_many++;
        else
            answer->addresses[answer->n++] = addr;
    }
}

/* ---- what is said about it ---- */

// In another order it is the same: resolvers turn it round with each answer.
static bool is_same(const struct lookup_answer *a, const struct lookup_answer *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!is_among(&a->addresses[i], b))
            return false;
    return true;
}

static bool may_tell(struct lookup *lookup, uint64_t now_ns)
{
    char what[HOST_CAP + 40];

    snprintf(what, sizeof what, "the resolver's answer for '%s'", lookup->config->peer.endpoint_host);
    return log_may_tell(&lookup->lines, now_ns, what);
}

static void log_found(struct lookup *lookup, const struct lookup_answer *answer, uint64_t now_ns)
{
    const struct peer_settings *peer = &lookup->config->peer;
    char addresses[ADDRESSES_TEXT_CAP], more[80] = "";
    struct addr literal;

    if (lookup->n_failed > 0 && may_tell(lookup, now_ns))
        log_tell(&(struct log_about){LOG_EVENT_NAME_FOUND, .peer = peer->name},
                 "Endpoint '%s' of peer %s resolves again, after %u failures", peer->endpoint_host, peer->name, lookup->n_failed);
    lookup->n_failed = 0;
    bool has_changed = !is_same(&lookup->last, answer);
    lookup->last = *answer;
    if (!has_changed || addr_parse_ip(peer->endpoint_host, &literal))
        return;
    if (answer->n_too_many > 0)
        snprintf(more, sizeof more, "; %zu more are left out", answer->n_too_many);
    log_tell(&(struct log_about){LOG_EVENT_NAME_FOUND, peer->name, &lookup->found_limit, now_ns}, "Endpoint '%s' of peer %s is %s%s",
             peer->endpoint_host, peer->name, addr_format_list(answer->addresses, answer->n, addresses), more);
}

// The first time, and then every ten minutes.
static void log_failed(struct lookup *lookup, const struct lookup_answer *answer, int error, uint64_t now_ns)
{
    const struct peer_settings *peer = &lookup->config->peer;
    char reason[ERROR_TEXT_CAP] = "it has no address that a peer can have";
    const char *next = lookup->last.n > 0 ? "going on with the addresses that it had" : "without an address the peer can't be called";
    double took_s = (double)age_ns(now_ns, lookup->asked_ns) / (double)NS_PER_S;

    if (lookup->n_failed++ == 0)
        lookup->failed_ns = now_ns;
    else if (age_ns(now_ns, lookup->said_ns) < FAILED_AGAIN_NS)
        return;
    lookup->said_ns = now_ns;
    if (!may_tell(lookup, now_ns))
        return;
    if (error)
        uv_strerror_r(error, reason, sizeof reason);
    log_tell(&(struct log_about){LOG_EVENT_NAME_FAILED, .peer = peer->name},
             "can't resolve Endpoint '%s' of peer %s: %s (after %.1f s, %zu unusable addresses; %u failures in %.0f s); %s; trying again "
             "while the peer is away; see /etc/resolv.conf and getent ahosts %s",
             peer->endpoint_host, peer->name, reason, took_s, answer->n_unusable, lookup->n_failed,
             (double)age_ns(now_ns, lookup->failed_ns) / (double)NS_PER_S, next, peer->endpoint_host);
}

void lookup_log(struct lookup *lookup, const struct lookup_answer *answer, int error, uint64_t now_ns)
{
    if (answer->n > 0)
        log_found(lookup, answer, now_ns);
    else
        log_failed(lookup, answer, error, now_ns);
}

/* ---- asking ---- */

void lookup_forget(struct lookup *lookup)
{
    lookup->last = (struct lookup_answer){.n = 0};
    lookup->n_failed = 0;
    lookup->is_stale = lookup->is_running;
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *lookup = request->data;
    uv_loop_t *uv = request->loop;
    struct lookup_answer answer;

    lookup->is_running = false;
    lookup_take(&answer, status < 0 ? NULL : list);
    uv_freeaddrinfo(list);
    if (status == UV_ECANCELED)
        return;
    if (lookup->is_stale) {
        lookup->is_stale = false;
        lookup_start(lookup, uv);
        return;
    }
    lookup_log(lookup, &answer, status, now_boot_ns());
    lookup->answered(lookup->ctx, &answer);
}

void lookup_start(struct lookup *lookup, uv_loop_t *uv)
{
    const struct peer_settings *peer = &lookup->config->peer;
    struct addrinfo hints = {.ai_family = lookup->config->udp.family, .ai_socktype = SOCK_DGRAM};
    char port[8];

    if (!peer->has_endpoint || lookup->is_running)
        return;
    snprintf(port, sizeof port, "%u", peer->endpoint_port);
    lookup->request.data = lookup;
    lookup->asked_ns = now_boot_ns();
    lookup->is_running = uv_getaddrinfo(uv, &lookup->request, on_answer, peer->endpoint_host, port, &hints) == 0;
}
