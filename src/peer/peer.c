// SPDX-License-Identifier: MIT
/*
 * peer: its life: start, what the timers say, up and down, stop. Keypairs are made in peer_handshake.c, endpoints move in peer_endpoint.c.
 */
#include "ethercord/peer.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "peer_private.h"

enum { RESOLVE_AFTER_ATTEMPTS = 1 };
#define RESOLVE_FIRST_NS NS_PER_S                // while no address is known at all; doubles up to the above
#define TAI64_EPOCH UINT64_C(0x400000000000000a) // 1970 in TAI64, as all users of it count
#define WHITENED_NS UINT64_C(0x1000000)

void tai64n_from_wall(uint8_t out[static WIRE_TIMESTAMP_LEN], uint64_t wall_ns)
{
    store_be64(out, TAI64_EPOCH + wall_ns / NS_PER_S);
    store_be32(out + 8, (uint32_t)(wall_ns % NS_PER_S / WHITENED_NS * WHITENED_NS));
}

uint64_t tai64n_to_wall(const uint8_t in[static WIRE_TIMESTAMP_LEN])
{
    return (load_be64(in) - TAI64_EPOCH) * NS_PER_S + load_be32(in + 8);
}

struct peer_act *peer_act_add(struct peer_acts *acts, enum peer_act_kind kind)
{
    ensure(acts->n < PEER_ACTS_MAX);
    struct peer_act *act = &acts->at[acts->n++];
    act->kind = kind;
    return act;
}

struct peer_control *peer_act_control(struct peer_acts *acts, enum record_type type, const uint8_t *token)
{
    struct peer_control *control = &peer_act_add(acts, PEER_ACT_SEND_CONTROL)->u.control;

    *control = (struct peer_control){.type = type};
    if (token)
        memcpy(control->body, token, WIRE_TOKEN_LEN);
    return control;
}

void peer_init(struct peer *peer, const struct peer_config *config, const struct peer_self *self, struct keystore *keystore,
               uint64_t now_ns)
{
    memset(peer, 0, sizeof *peer);
    peer->config = *config;
    peer->self = self;
    peer->keystore = keystore;
    cookie_jar_init(&peer->jar, config->public_key);
    pmtu_init(&peer->pmtu, config->path_mtu);
    peer->is_greater = memcmp(self->static_public, config->public_key, NOISE_KEY_LEN) > 0;
    peer->retry_ns = now_ns;
    peer->since_ns = now_ns;
    peer->reason = config->has_endpoint_name ? PEER_REASON_STARTING : PEER_REASON_NO_ENDPOINT;
}

void peer_deinit(struct peer *peer)
{
    sodium_memzero(peer, sizeof *peer);
}

void peer_set_up(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    peer->reason = PEER_REASON_UP;
    if (peer->is_up)
        return;
    peer->is_up = true;
    peer->since_ns = input->now_ns;
    pmtu_resume(&peer->pmtu);
    peer_act_add(acts, PEER_ACT_CAME_UP);
}

void peer_set_down(struct peer *peer, enum peer_reason reason, const struct peer_input *input, struct peer_acts *acts)
{
    if (!peer->is_up)
        return;
    peer->is_up = false;
    peer->reason = reason;
    peer->since_ns = input->now_ns;
    quality_forget_rtt(&peer->quality);
    peer_act_add(acts, PEER_ACT_WENT_DOWN);
}

void peer_send_echo(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct peer_echo *echo = &peer->echoes[peer->next_echo++ % PEER_ECHOES];

    random_fill(input->random, echo->id, sizeof echo->id);
    echo->sent_ns = peer->echo_sent_ns = input->now_ns;
    peer_act_control(acts, RECORD_ECHO, echo->id);
}

static struct peer_echo *find_echo(struct peer *peer, const uint8_t id[static WIRE_TOKEN_LEN])
{
    for (size_t i = 0; i < PEER_ECHOES; i++)
        if (peer->echoes[i].sent_ns && memcmp(peer->echoes[i].id, id, WIRE_TOKEN_LEN) == 0)
            return &peer->echoes[i];
    return NULL;
}

bool peer_echo_answered(struct peer *peer, const uint8_t id[static WIRE_TOKEN_LEN], const struct peer_input *input)
{
    struct peer_echo *echo = find_echo(peer, id);

    if (!echo)
        return false;
    quality_measured_rtt(&peer->quality, age_ns(input->now_ns, echo->sent_ns));
    echo->sent_ns = 0;                // an answer counts once
    peer->current.is_answered = true; // each keypair begins with an echo of its own
    peer->echoed_ns = input->now_ns;
    return true;
}

void peer_watch(struct peer *peer, uint64_t now_ns)
{
    peer->watched_ns = now_ns;
}

static bool is_watched(const struct peer *peer, const struct peer_input *input)
{
    return peer->watched_ns && age_ns(input->now_ns, peer->watched_ns) < PEER_WATCHED_NS;
}

// A keypair of ours that the peer does not send with, though the echo under it was to make it do so. Handshakes that crossed, or were held
// up, may have left each end with another one; or the peer was started anew just after it answered, and one that it made since has been
// taken for crossed. A new handshake ends that.
static bool is_alone_with_current(const struct peer *peer, const struct peer_input *input)
{
    const struct keypair *current = &peer->current;
    const struct timing *timing = &peer->config.timing;

    if (!current->is_used || !current->is_initiator || current->heard_ns)
        return false;
    if (current->crossed_ns && age_ns(input->now_ns, current->crossed_ns) >= 2 * timing->retry_first_ns)
        return true;
    return age_ns(input->now_ns, current->born_ns) >= timing->dead_after_ns;
}

static struct timers_view view_of(const struct peer *peer, const struct peer_input *input)
{
    return (struct timers_view){
        .has_session = peer->current.is_used,
        .is_initiator = peer->current.is_initiator,
        .wants_rekey = input->wants_rekey || peer->is_cut_off || peer_wants_to_move(peer) || peer->current.born_ns < peer->fresh_from_ns ||
                       is_alone_with_current(peer, input),
        .is_handshaking = peer->pending.is_active,
        .can_initiate = peer_n_targets(peer) > 0,
        .born_ns = peer->current.born_ns,
        .received_ns = activity_last(&input->activity->received_ns),
        .sent_ns = activity_last(&input->activity->sent_ns),
        .echo_sent_ns = peer->echo_sent_ns,
        .sample_every_ns = is_watched(peer, input) ? peer->config.timing.watched_every_ns : peer->config.timing.sample_every_ns,
        .retry_ns = peer_may_initiate_ns(peer),
        .reject_after_ns = peer->config.limits.reject_after_ns,
    };
}

static void expire_old_keypairs(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    struct keypair *old[] = {&peer->previous, &peer->next};

    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (old[i]->is_used && age_ns(input->now_ns, old[i]->born_ns) >= peer->config.limits.reject_after_ns)
            peer_drop_keypair(peer, old[i], acts);
}

// Names go stale: looked up at the start, and while nobody answers.
static void resolve_if_stale(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    bool is_first = peer->resolve_asked_ns == 0;

    if (!peer->config.has_endpoint_name || (peer->is_up && !peer->is_cut_off && !peer->is_moving))
        return;
    if (!is_first && age_ns(input->now_ns, peer->resolve_asked_ns) < peer->resolve_wait_ns)
        return;
    if (!is_first && peer->n_addresses > 0 && peer->n_attempts < RESOLVE_AFTER_ATTEMPTS)
        return;
    bool has_failed = peer->n_addresses == 0 && peer->resolve_wait_ns;
    peer->resolve_wait_ns = peer->n_addresses > 0 ? PEER_RESOLVE_EVERY_NS : has_failed ? 2 * peer->resolve_wait_ns : RESOLVE_FIRST_NS;
    if (peer->resolve_wait_ns > PEER_RESOLVE_EVERY_NS)
        peer->resolve_wait_ns = PEER_RESOLVE_EVERY_NS;
    peer->resolve_asked_ns = peer->lookup_ns = input->now_ns;
    peer->is_resolving = true;
    peer_act_add(acts, PEER_ACT_RESOLVE);
}

uint64_t peer_tick(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    peer_move_on(peer, input);

    struct timers_view view = view_of(peer, input);
    struct timers_result result = timers_evaluate(&peer->config.timing, &view, input->now_ns);

    expire_old_keypairs(peer, input, acts);
    resolve_if_stale(peer, input, acts);
    if (result.due & TIMERS_EXPIRE) {
        peer_drop_keypair(peer, &peer->current, acts);
        peer_set_down(peer, PEER_REASON_EXPIRED, input, acts);
    } else if (peer->current.is_used) {
        if (result.due & TIMERS_PEER_IS_DOWN)
            peer_set_down(peer, PEER_REASON_SILENT, input, acts);
        else
            peer_set_up(peer, input, acts); // it may be heard again under the same keypair
        if (result.due & TIMERS_ECHO)
            peer_send_echo(peer, input, acts);
        if (result.due & TIMERS_KEEPALIVE)
            peer_act_add(acts, PEER_ACT_SEND_CONTROL)->u.control = (struct peer_control){.is_keepalive = true};
    }
    if (result.due & TIMERS_INITIATE)
        peer_initiate(peer, input, acts);
    peer_probe_candidate(peer, input, acts);
    peer_end_sharing_in_time(peer, input, acts);
    uint64_t path_deadline_ns = peer_path_tick(peer, input, acts);

    view = view_of(peer, input);
    result = timers_evaluate(&peer->config.timing, &view, input->now_ns);
    bool is_waiting_for_tx = (result.due & ~(unsigned)TIMERS_PEER_IS_DOWN) != 0; // e.g. a keepalive that is on its way
    uint64_t deadline_ns = is_waiting_for_tx ? input->now_ns + peer->config.timing.echo_every_ns / 4 : result.deadline_ns;
    return path_deadline_ns < deadline_ns ? path_deadline_ns : deadline_ns;
}

void peer_goodbye_received(struct peer *peer, uint32_t local_index, const struct peer_input *input, struct peer_acts *acts)
{
    if (peer->previous.is_used && peer->previous.local_index == local_index)
        peer_drop_keypair(peer, &peer->previous, acts);
    if (peer->next.is_used && peer->next.local_index == local_index) // its confirmation may be on the way still
        peer_drop_keypair(peer, &peer->next, acts);
    if (!peer->current.is_used || peer->current.local_index != local_index)
        return;
    peer_drop_keypair(peer, &peer->current, acts);
    peer_set_down(peer, PEER_REASON_GOODBYE, input, acts);
    peer->n_attempts = peer->next_target = 0;
    peer->retry_ns = input->now_ns + peer->config.timing.retry_first_ns; // it may be restarting
}

static void end_current(struct peer *peer, enum peer_reason reason, const struct peer_input *input, struct peer_acts *acts)
{
    peer_forget_pending(peer);
    if (peer->current.is_used)
        peer_act_control(acts, RECORD_GOODBYE, NULL);
    peer_drop_keypair(peer, &peer->current, acts);
    peer_set_down(peer, reason, input, acts);
}

void peer_stop(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    end_current(peer, PEER_REASON_GOODBYE, input, acts);
}

void peer_leave(struct peer *peer, const struct peer_input *input, struct peer_acts *acts)
{
    end_current(peer, PEER_REASON_REMOVED, input, acts);
    peer_drop_keypair(peer, &peer->previous, acts);
    peer_drop_keypair(peer, &peer->next, acts);
    peer_drop_keypair(peer, &peer->arriving, acts);
}

enum peer_state peer_state(const struct peer *peer)
{
    if (peer->is_up)
        return PEER_UP;
    return peer->pending.is_active ? PEER_HANDSHAKING : PEER_DOWN;
}

const char *peer_state_name(enum peer_state state)
{
    static const char *const names[] = {[PEER_DOWN] = "down", [PEER_HANDSHAKING] = "handshaking", [PEER_UP] = "up"};

    _Static_assert(sizeof names / sizeof *names == PEER_STATE_COUNT, "a name for each");
    ensure(state < PEER_STATE_COUNT);
    return names[state];
}
