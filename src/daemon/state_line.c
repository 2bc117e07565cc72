// SPDX-License-Identifier: MIT
/*
 * state_line: see state_line.h. The line says since when, not for how long: it stays as it is until something changes.
 */
#include "state_line.h"

#include <stdio.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "ipc.h"
#include "status.h"

#define TELL_EVERY_NS NS_PER_S

enum { TIME_CAP = 80, SECONDS_PER_DAY = 86400 };

static const char *format_time(uint64_t wall_ns, char text[static TIME_CAP])
{
    uint64_t second = wall_ns / NS_PER_S % SECONDS_PER_DAY;
    struct log_date date = log_date_of(wall_ns / NS_PER_S / SECONDS_PER_DAY);

    snprintf(text, TIME_CAP, "%04u-%02u-%02u %02u:%02u:%02uZ", date.year, date.month, date.day, (unsigned)(second / 3600),
             (unsigned)(second / 60 % 60), (unsigned)(second % 60));
    return text;
}

// The monitor takes nothing else, and an interface, say, may be called anything.
static void replace_unprintable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void format_peer(const struct peer *peer, uint64_t now_ns, uint64_t wall_ns, char *text, size_t cap)
{
    char since[TIME_CAP], at[ADDR_TEXT_CAP], reason[200];

    format_time(wall_ns - age_ns(now_ns, peer->since_ns), since);
    if (peer->is_up)
        snprintf(text, cap, "peer %s up since %s at %s, %s, path MTU %u", peer->config.name, since,
                 peer->has_endpoint ? addr_format(&peer->endpoint.remote, at) : "an endpoint not known yet",
                 cipher_name(peer->current.cipher), peer->pmtu.size);
    else if (peer->reason == PEER_REASON_NO_ANSWER) // how many initiations by now, the status says
        snprintf(text, cap, "peer %s down since %s: no answer from %s", peer->config.name, since, addr_format(&peer->tried, at));
    else
        snprintf(text, cap, "peer %s down since %s: %s", peer->config.name, since, status_reason(peer, now_ns, reason, sizeof reason));
}

void state_line_format(const struct peer *peer, uint64_t now_ns, uint64_t wall_ns, char *text, size_t cap)
{
    if (peer)
        format_peer(peer, now_ns, wall_ns, text, cap);
    else
        snprintf(text, cap, "no peer is configured: a shortcut alone");
    replace_unprintable(text);
}

static struct state_line_facts facts_of(const struct peer *peer)
{
    struct state_line_facts facts = {.reason = PEER_REASON_COUNT};

    if (!peer)
        return facts;
    facts.is_up = peer->is_up;
    facts.reason = peer->reason;
    if (peer->is_up) {
        facts.path_mtu = peer->pmtu.size;
        facts.at = peer->endpoint.remote;
    }
    return facts;
}

static bool is_told(const struct state_line *line, const struct state_line_facts *facts)
{
    const struct state_line_facts *told = &line->told;

    return line->has_told && told->is_up == facts->is_up && told->reason == facts->reason && told->path_mtu == facts->path_mtu &&
           addr_equal(&told->at, &facts->at);
}

uint64_t state_line_note(struct state_line *line, const struct peer *peer, int ipc_fd, uint64_t now_ns)
{
    struct ipc_message message = {.kind = IPC_STATE};
    struct state_line_facts facts = facts_of(peer);

    if (!line->is_wanted || is_told(line, &facts))
        return UINT64_MAX;
    if (now_ns < line->next_ns)
        return line->next_ns;
    line->next_ns = now_ns + TELL_EVERY_NS;
    state_line_format(peer, now_ns, now_wall_ns(), message.text, sizeof message.text);
    if (ipc_send(ipc_fd, &message) < 0) // a monitor that does not read
        return line->next_ns;
    line->has_told = true;
    line->told = facts;
    return UINT64_MAX;
}
