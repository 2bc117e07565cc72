// SPDX-License-Identifier: MIT
/*
 * hooks: see hooks.h.
 */
#include "hooks.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ethercord/bucket.h"
#include "ethercord/clock.h"
#include "hook_runner.h"

enum {
    AGAIN_MS = 1000,                     // a state of the peer's that has to wait
    CLOSE_MS = 2 * HOOK_GRACE_MS + 1000, // for the runner to end
    SPARE_MS = 5000                      // on top of what PreDown may take
};

static bool has_hooks(const struct hooks *hooks, enum hook_event event)
{
    return hooks->fd >= 0 && hooks_count(&hooks->config->hooks, event) > 0;
}

static void next(struct hooks *hooks);

// The runner, or what it runs, is lost. Nothing of the node waits for it.
static void give_up(struct hooks *hooks, const char *why)
{
    log_error("%s: no hook runs any more; stop and start this instance", why);
    uv_poll_stop(&hooks->handles->orders);
    close(hooks->fd);
    hooks->fd = -1;
    hooks->is_running = false;
    hooks->last.n_failed = 1;
    next(hooks);
}

static void order(struct hooks *hooks, const struct hook_order *order)
{
    int error = hook_order_send(hooks->fd, order);

    if (error && error != -EPIPE) // else its end is read next
        log_error("can't reach the hook runner: %s", strerror(-error));
}

static void run(struct hooks *hooks, const struct hook_order *run)
{
    hooks->last = *run;
    hooks->last.kind = HOOK_ORDER_RUN;
    hooks->is_running = true;
    order(hooks, &hooks->last);
}

static void cancel(struct hooks *hooks)
{
    if (hooks->is_running)
        order(hooks, &(struct hook_order){.kind = HOOK_ORDER_CANCEL});
}

/* ---- what is next, whenever nothing runs ---- */

static void on_timer(uv_timer_t *timer)
{
    struct hooks *hooks = timer->data;

    if (hooks->stage == HOOKS_PRE_DOWN)
        give_up(hooks, "the hook runner does not end PreDown");
    else if (!hooks->is_running)
        next(hooks);
}

static void post_up_done(struct hooks *hooks)
{
    hooks->stage = HOOKS_UP;
    hooks->up(hooks->ctx, hooks->last.n_failed == 0);
}

static void peer_next(struct hooks *hooks)
{
    enum hook_event event = hooks->is_peer_up ? HOOK_PEER_UP : HOOK_PEER_DOWN;
    uint64_t now_ns = now_boot_ns();

    if (hooks->is_peer_up == hooks->is_peer_up_told)
        return;
    if (!has_hooks(hooks, event)) {
        hooks->is_peer_up_told = hooks->is_peer_up;
    } else if (bucket_take(&hooks->runs_full_ns, HOOK_RUN_EVERY_MS * NS_PER_MS, HOOK_RUNS_BURST, now_ns)) {
        hooks->is_peer_up_told = hooks->is_peer_up;
        run(hooks, &hooks->peer);
    } else {
        log_limited(&hooks->limit, now_ns, LOG_LEVEL_WARNING,
                    "peer %s comes and goes more often than hooks are run for it: once each %d s now, for what it does last",
                    hooks->config->peer.name, HOOK_RUN_EVERY_MS / 1000);
        uv_timer_start(&hooks->handles->timer, on_timer, AGAIN_MS, 0);
    }
}

static void pre_down_next(struct hooks *hooks)
{
    bool is_done = hooks->last.kind == HOOK_ORDER_RUN && hooks->last.event == HOOK_PRE_DOWN;

    if (has_hooks(hooks, HOOK_PRE_DOWN) && !is_done) {
        run(hooks, &(struct hook_order){.event = HOOK_PRE_DOWN, .reason = hooks->down_reason, .endpoint = hooks->peer.endpoint});
        return;
    }
    uv_timer_stop(&hooks->handles->timer);
    hooks->stage = HOOKS_OVER;
    hooks->down(hooks->ctx);
}

static void next(struct hooks *hooks)
{
    switch (hooks->stage) {
    case HOOKS_POST_UP:
        post_up_done(hooks);
        break;
    case HOOKS_UP:
        peer_next(hooks);
        break;
    case HOOKS_PRE_DOWN:
        pre_down_next(hooks);
        break;
    case HOOKS_STARTING:
    case HOOKS_OVER:
        break;
    }
}

static void on_orders(uv_poll_t *poll, int status, int events)
{
    struct hooks *hooks = poll->data;
    struct hook_order done;
    int got = status < 0 ? -EPIPE : hook_order_receive(hooks->fd, &done);

    (void)events;
    if (got < 0) {
        give_up(hooks, "the hook runner is gone");
    } else if (got > 0 && done.kind == HOOK_ORDER_DONE && hooks->is_running) {
        hooks->is_running = false;
        hooks->last.n_failed = done.n_failed;
        next(hooks);
    }
}

/* ---- for the monitor ---- */

int hooks_start(struct hooks *hooks, uv_loop_t *loop, struct hooks_handles *handles)
{
    int error;

    if (hooks->fd < 0)
        return 0;
    hooks->handles = handles;
    if ((error = uv_timer_init(loop, &hooks->handles->timer)) || (error = uv_poll_init(loop, &hooks->handles->orders, hooks->fd)))
        return error;
    handles->timer.data = handles->orders.data = hooks;
    return uv_poll_start(&hooks->handles->orders, UV_READABLE, on_orders);
}

void hooks_post_up(struct hooks *hooks)
{
    hooks->stage = HOOKS_POST_UP;
    if (has_hooks(hooks, HOOK_POST_UP))
        run(hooks, &(struct hook_order){.event = HOOK_POST_UP});
    else
        post_up_done(hooks);
}

void hooks_note_peer(struct hooks *hooks, bool is_up, uint32_t reason, const struct addr *endpoint)
{
    hooks->is_peer_up = is_up;
    hooks->peer.event = is_up ? HOOK_PEER_UP : HOOK_PEER_DOWN;
    hooks->peer.reason = reason;
    if (endpoint)
        hooks->peer.endpoint = *endpoint;
    if (hooks->stage == HOOKS_UP && !hooks->is_running)
        peer_next(hooks);
}

static uint64_t pre_down_ms(const struct hooks *hooks)
{
    const struct hook_settings *settings = &hooks->config->hooks;

    return HOOK_GRACE_MS + hooks_count(settings, HOOK_PRE_DOWN) * (settings->timeout_s * UINT64_C(1000) + HOOK_GRACE_MS) + SPARE_MS;
}

void hooks_pre_down(struct hooks *hooks, enum hook_reason reason)
{
    bool was_up = hooks->stage == HOOKS_POST_UP || hooks->stage == HOOKS_UP;

    if (hooks->stage == HOOKS_PRE_DOWN) // down() is on its way
        return;
    hooks->stage = was_up && hooks->fd >= 0 ? HOOKS_PRE_DOWN : HOOKS_OVER;
    if (hooks->stage == HOOKS_OVER) {
        hooks->down(hooks->ctx);
        return;
    }
    hooks->down_reason = reason;
    uv_timer_start(&hooks->handles->timer, on_timer, pre_down_ms(hooks), 0);
    if (hooks->is_running)
        cancel(hooks);
    else
        next(hooks);
}

void hooks_skip(struct hooks *hooks)
{
    if (hooks->stage == HOOKS_PRE_DOWN && hooks->is_running && hooks->last.event == HOOK_PRE_DOWN) {
        log_warning("told to stop a second time: ending PreDown");
        cancel(hooks);
    }
}

int hooks_open(struct hooks *hooks, struct config *config)
{
    *hooks = (struct hooks){.config = config, .fd = -1};
    if (config->hooks.n == 0)
        return 0;
    pid_t runner = hook_runner_start(config, &hooks->fd);
    if (runner < 0)
        return (int)runner;
    hooks->runner = runner;
    return 0;
}

void hooks_leave(struct hooks *hooks)
{
    if (hooks->fd >= 0)
        close(hooks->fd);
    hooks->fd = -1;
}

// It ends by itself, and closes its end then. One that hangs on a command that can't be killed is left behind.
void hooks_close(struct hooks *hooks)
{
    if (hooks->runner == 0)
        return;
    if (hooks->fd >= 0 && hook_order_send(hooks->fd, &(struct hook_order){.kind = HOOK_ORDER_END}) == 0) {
        struct pollfd poll_fd = {.fd = hooks->fd}; // POLLHUP is always told
        (void)poll(&poll_fd, 1, CLOSE_MS);
    }
    hooks_leave(hooks);
    (void)kill(hooks->runner, SIGKILL);
    (void)waitpid(hooks->runner, NULL, 0);
    hooks->runner = 0;
}
