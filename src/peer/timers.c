// SPDX-License-Identifier: MIT
/*
 * timers: see the header. Each rule is a few lines here: it says whether its moment has come, and else when it will.
 */
#include "ethercord/timers.h"

#include "ethercord/clock.h"

// Main looks at what the other threads wrote down at least this often; all rules are slower than that.
#define LOOK_EVERY_NS NS_PER_S

void timing_default(struct timing *timing)
{
    *timing = (struct timing){
        .rekey_after_ns = 120 * NS_PER_S,
        .rekey_backup_ns = 135 * NS_PER_S,
        .retry_first_ns = 500 * NS_PER_MS,
        .retry_max_ns = 5 * NS_PER_S,
        .retry_jitter_ns = 333 * NS_PER_MS,
        .echo_after_ns = 5 * NS_PER_S,
        .echo_every_ns = NS_PER_S,
        .dead_after_ns = 10 * NS_PER_S,
        .probe_every_ns = 200 * NS_PER_MS,
        .sample_every_ns = 10 * NS_PER_S,
        .watched_every_ns = NS_PER_S,
    };
}

uint64_t timers_retry_wait(const struct timing *timing, unsigned attempt, uint32_t random)
{
    uint64_t wait = timing->retry_first_ns;

    while (attempt-- > 0 && wait < timing->retry_max_ns)
        wait *= 2;
    if (wait > timing->retry_max_ns)
        wait = timing->retry_max_ns;
    return wait + (timing->retry_jitter_ns ? random % timing->retry_jitter_ns : 0);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// Raises `flag` if `moment` has come; else the deadline is not after it.
static void due_at(struct timers_result *result, uint64_t moment, uint64_t now_ns, unsigned flag)
{
    if (now_ns >= moment)
        result->due |= flag;
    else if (moment < result->deadline_ns)
        result->deadline_ns = moment;
}

static void evaluate_session(struct timers_result *result, const struct timing *timing, const struct timers_view *view, uint64_t now_ns)
{
    uint64_t heard = later(view->received_ns, view->born_ns);

    due_at(result, view->born_ns + view->reject_after_ns, now_ns, TIMERS_EXPIRE);
    due_at(result, heard + timing->dead_after_ns, now_ns, TIMERS_PEER_IS_DOWN);
    due_at(result, later(heard + timing->echo_after_ns, view->echo_sent_ns + timing->echo_every_ns), now_ns, TIMERS_ECHO);
    if (view->sample_every_ns)
        due_at(result, view->echo_sent_ns + view->sample_every_ns, now_ns, TIMERS_ECHO);
    if (timing->persistent_keepalive_ns)
        due_at(result, later(view->sent_ns, view->born_ns) + timing->persistent_keepalive_ns, now_ns, TIMERS_KEEPALIVE);
}

// From when on a new handshake is wanted.
static uint64_t initiate_from(const struct timing *timing, const struct timers_view *view, const struct timers_result *so_far)
{
    if (!view->has_session || view->is_handshaking || view->wants_rekey || (so_far->due & (TIMERS_EXPIRE | TIMERS_PEER_IS_DOWN)))
        return view->retry_ns;
    return later(view->retry_ns, view->born_ns + (view->is_initiator ? timing->rekey_after_ns : timing->rekey_backup_ns));
}

struct timers_result timers_evaluate(const struct timing *timing, const struct timers_view *view, uint64_t now_ns)
{
    struct timers_result result = {.due = 0, .deadline_ns = now_ns + LOOK_EVERY_NS};

    if (view->has_session)
        evaluate_session(&result, timing, view, now_ns);
    if (view->can_initiate)
        due_at(&result, initiate_from(timing, view, &result), now_ns, TIMERS_INITIATE);
    return result;
}
