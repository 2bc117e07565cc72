// SPDX-License-Identifier: MIT
/*
 * hooks: when the operator's commands run, as the monitor decides it; running them is the hook runner's.
 *
 *   stage     begins when              the runner does
 *   STARTING  the runner is there      nothing
 *   POST_UP   the worker is ready      PostUp
 *   UP        PostUp has succeeded     OnPeerUp, OnPeerDown: one at a time, in order
 *   PRE_DOWN  hooks_pre_down()         ends what runs, then PreDown; not if the node was never ready
 *   OVER      PreDown is done          nothing any more
 *
 * What the peer does is a state, not a queue: when hooks take longer than the peer takes to come and go, or it does so too often, what was
 * in between is left out, and the last state is told. Nothing here waits: traffic, a stop and the peer go on meanwhile.
 * Without a hook in the configuration there is no runner, and both callbacks come at once.
 */
#ifndef ETHERCORD_DAEMON_HOOKS_H
#define ETHERCORD_DAEMON_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "ethercord/config.h"
#include "ethercord/log.h"
#include "hook_orders.h"

enum hooks_stage { HOOKS_STARTING, HOOKS_POST_UP, HOOKS_UP, HOOKS_PRE_DOWN, HOOKS_OVER };

// Tuning constants: of the peer's events, so many at once and one each period.
enum { HOOK_RUNS_BURST = 6, HOOK_RUN_EVERY_MS = 10000 };

// In the monitor's memory, as its loop is.
struct hooks_handles {
    uv_poll_t orders;
    uv_timer_t timer;
};

struct hooks {
    const struct config *config;
    int fd;       // -1 = no hooks
    pid_t runner; // 0 = none
    enum hooks_stage stage;
    bool is_running;        // the runner has not said yet that it is done …
    struct hook_order last; // … with this
    enum hook_reason down_reason;
    bool is_peer_up, is_peer_up_told;
    struct hook_order peer; // of its last state
    uint64_t runs_full_ns;  // bucket
    struct log_limit limit;

    void (*up)(void *ctx, bool is_good); // PostUp is done
    void (*down)(void *ctx);             // PreDown is done
    void *ctx;
    struct hooks_handles *handles;
};

// First of all, before the process has anything to give away. Returns 0 or negative errno.
int hooks_open(struct hooks *hooks, struct config *config);
// In a child that has nothing to do with it: the worker.
void hooks_leave(struct hooks *hooks);
// After everything was undone: ends the runner.
void hooks_close(struct hooks *hooks);

// With up, down and ctx set. Returns 0 or a libuv error.
int hooks_start(struct hooks *hooks, uv_loop_t *loop, struct hooks_handles *handles);
// The worker is ready.
void hooks_post_up(struct hooks *hooks);
void hooks_note_peer(struct hooks *hooks, bool is_up, uint32_t reason, const struct addr *endpoint);
// Before the worker is told to stop, or after it has ended by itself. A second call changes nothing; down() comes once for each.
void hooks_pre_down(struct hooks *hooks, enum hook_reason reason);
// Somebody is impatient: PreDown is ended, and down() comes.
void hooks_skip(struct hooks *hooks);

#endif
