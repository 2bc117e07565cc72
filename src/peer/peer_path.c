// SPDX-License-Identifier: MIT
/*
 * peer_path: the peer's path MTU: what was heard goes to pmtu.h, and what it wants becomes acts.
 *
 * With each probe goes an echo, which is small: so the loss of the one can be told from the loss of the path.
 */
#include "peer_private.h"

void peer_path_restart(struct peer *peer)
{
    pmtu_restart(&peer->pmtu, peer->endpoint.remote.family);
}

static void forget_sent(const struct peer_input *input)
{
    atomic_store_explicit(&input->activity->largest_sent, 0, memory_order_relaxed);
}

static uint32_t largest_sent(const struct peer_input *input)
{
    return atomic_load_explicit(&input->activity->largest_sent, memory_order_relaxed);
}

static void send_probe(struct peer *peer, uint16_t size, const struct peer_input *input, struct peer_acts *acts)
{
    peer_act_control(acts, RECORD_PROBE, peer->pmtu.token)->size = size;
    peer_send_echo(peer, input, acts);
}

static void tell_news(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    switch (pmtu_take_news(&peer->pmtu)) {
    case PMTU_NEWS_NONE:
        break;
    case PMTU_NEWS_FOUND:
        peer_act_add(acts, PEER_ACT_PATH_FOUND);
        break;
    case PMTU_NEWS_BLACK_HOLE:
        peer_act_add(acts, PEER_ACT_BLACK_HOLE);
        forget_sent(input);
        break;
    }
}

uint64_t peer_path_tick(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct pmtu_result result = {.deadline_ns = UINT64_MAX};

    if (peer->current.is_used && peer->is_up && peer->has_endpoint) {
        const struct pmtu_view view = {
            .now_ns = input->now_ns,
            .echoed_ns = peer->echoed_ns,
            .rtt_ns = peer->quality.rtt_last_ns,
            .largest_sent = largest_sent(input),
            .random = input->random,
        };
        result = pmtu_tick(&peer->pmtu, &view);
    }
    if (peer->told_path_mtu != peer->pmtu.size) {
        if (peer->pmtu.size < peer->told_path_mtu)
            forget_sent(input); // what was sent was for another path, or another size
        peer->told_path_mtu = peer->pmtu.size;
        peer_act_add(acts, PEER_ACT_SET_PATH_MTU)->u.path_mtu = peer->pmtu.size;
    }
    if (result.probe)
        send_probe(peer, result.probe, input, acts);
    tell_news(peer, input, acts);
    return result.deadline_ns;
}

void peer_path_answered(struct peer *peer, const uint8_t token[static WIRE_TOKEN_LEN], const struct peer_input *input)
{
    if (pmtu_probe_answered(&peer->pmtu, token))
        forget_sent(input);
}

void peer_path_reported(struct peer *peer, const struct path_report *report, uint32_t local_index, const struct peer_input *input)
{
    uint32_t size = report->largest + (uint32_t)addr_headers_len(&peer->endpoint.remote);

    if (report->has_arrivals)
        quality_told(&peer->quality, &report->arrivals, local_index, local_index == peer->current.local_index);
    if (size <= PATH_MTU_MIN) // that passes everywhere: the report was made for something else
        return;
    if (pmtu_reported(&peer->pmtu, size, largest_sent(input)))
        forget_sent(input);
}

void peer_path_refused(struct peer *peer, uint32_t size, const struct peer_input *input)
{
    if (!pmtu_refused(&peer->pmtu, size))
        return;
    forget_sent(input);
    peer->told_path_mtu = 0; // tx has gone down by itself: say it again, whatever it was told last
}

void peer_path_hinted(struct peer *peer, const struct addr *remote, uint32_t size, const struct peer_input *input)
{
    if (peer->has_endpoint && addr_equal_ip(&peer->endpoint.remote, remote))
        pmtu_hinted(&peer->pmtu, size, input->now_ns);
}
