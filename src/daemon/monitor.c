// SPDX-License-Identifier: MIT
/*
 * monitor: see monitor.h. One libuv loop; names are looked up beside it (lookup.h).
 */
#include "monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "ethercord/lookup.h"
#include "ethercord/program.h"
#include "ipc.h"
#include "loops.h"

void stop_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(how, &set, NULL);
}

enum {
    STOP_MS = 3000,    // how long a worker may take to end
    MESSAGES_MAX = 16, // per turn
    TURN_MS = 20       // between two turns that had more
};

struct monitor {
    const struct config *config;
    pid_t worker;
    int ipc_fd;
    const struct sandbox_page *page;
    struct notify *notify;
    struct watchdog *watchdog;
    struct web_process *web;
    uv_loop_t uv;
    uv_poll_t ipc;
    uv_signal_t signals[4];
    uv_timer_t timer, turn, look;
    struct lookup lookup;
    struct reload *reload;
    struct ipc_guard guard;
    struct hooks *hooks;
    struct hooks_handles hooks_handles;
    bool is_stopping; // PreDown first; then the worker is told
    bool is_told;
    bool has_ended;
    bool has_failed; // whatever the worker says
    int exit_code;
};

static void on_addresses(void *ctx, const struct lookup_answer *answer)
{
    struct monitor *monitor = ctx;
    struct ipc_message message = {.kind = IPC_ADDRESSES, .n_addresses = (uint32_t)answer->n};

    memcpy(message.addresses, answer->addresses, sizeof message.addresses);
    if (!monitor->has_ended)
        ipc_send(monitor->ipc_fd, &message); // a worker that does not read asks again
}

/* ---- the worker ---- */

// Where we may not, we go first: the kernel then sends it SIGTERM (see confine.c).
static void end_worker(struct monitor *monitor)
{
    if (monitor->has_ended) // its number may be somebody else's by now
        return;
    if (kill(monitor->worker, SIGKILL) == 0 || errno == ESRCH)
        return;
    log_error("can't end the worker (process %d): %s; leaving it", (int)monitor->worker, strerror(errno));
    uv_stop(&monitor->uv);
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;

    log_tell(&(struct log_about){.event = LOG_EVENT_WORKER_ENDED}, "the worker does not end: killing it");
    end_worker(monitor);
}

static void stop(struct monitor *monitor, enum hook_reason reason)
{
    if (monitor->is_stopping || monitor->has_ended)
        return;
    monitor->is_stopping = true;
    notify_stopping(monitor->notify);
    hooks_pre_down(monitor->hooks, reason);
}

/* ---- up and down ---- */

static void on_look(uv_timer_t *look)
{
    struct monitor *monitor = look->data;

    if (watchdog_look(monitor->watchdog))
        notify_alive(monitor->notify);
}

// The first look lies half an interval behind the worker's own: where both came at the same moment it would miss now and then.
static void begin(struct monitor *monitor)
{
    const struct config *config = monitor->config;
    uint64_t every_ms = monitor->watchdog->every_ms;
    char state[IPC_TEXT_CAP];

    log_tell(&(struct log_about){.event = LOG_EVENT_RUNNING}, "running as instance '%s' on %s", config->name, config->tap.name);
    snprintf(state, sizeof state, "running on %s", config->tap.name);
    notify_ready(monitor->notify, state);
    if (every_ms > 0)
        uv_timer_start(&monitor->look, on_look, every_ms + every_ms / 2, every_ms);
}

static void on_up(void *ctx, bool is_good)
{
    struct monitor *monitor = ctx;

    if (is_good) {
        begin(monitor);
        return;
    }
    log_error("PostUp failed, so the node stops: mend it, or end it by '|| true' if it may fail; until then take it out of [Node]");
    monitor->has_failed = true;
    stop(monitor, HOOK_REASON_POST_UP_FAILED);
}

static void on_down(void *ctx)
{
    struct monitor *monitor = ctx;

    if (monitor->has_ended) {
        uv_stop(&monitor->uv);
        return;
    }
    monitor->is_told = true;
    if (ipc_send(monitor->ipc_fd, &(struct ipc_message){.kind = IPC_STOP}))
        kill(monitor->worker, SIGTERM);
    uv_timer_start(&monitor->timer, on_stop_timeout, STOP_MS, 0);
}

/* ---- the worker's end ---- */

static void log_end(const struct monitor *monitor, int signal)
{
    const struct log_about about = {.event = LOG_EVENT_WORKER_ENDED};
    char text[300];

    if (signal == SIGSYS) {
        sandbox_explain(monitor->page, text, sizeof text);
        log_tell(&about, "the worker was ended (SIGSYS) %s", text);
    } else {
        log_tell(&about, "the worker was ended by signal %d (%s)", signal, strsignal(signal));
    }
}

static void worker_ended(struct monitor *monitor, int status)
{
    monitor->has_ended = true;
    uv_timer_stop(&monitor->timer);
    if (WIFEXITED(status)) {
        monitor->exit_code = WEXITSTATUS(status);
    } else {
        log_end(monitor, WTERMSIG(status));
        monitor->exit_code = CODE_FAILED;
    }
    if (!monitor->is_stopping && monitor->config->hooks.n > 0)
        notify_stopping(monitor->notify); // PreDown may take longer than a watchdog waits for a sign of life
    hooks_pre_down(monitor->hooks, WIFEXITED(status) ? HOOK_REASON_WORKER_FAILED : HOOK_REASON_WORKER_DIED);
}

static void reap(struct monitor *monitor)
{
    int status;

    if (!monitor->has_ended && waitpid(monitor->worker, &status, WNOHANG) == monitor->worker)
        worker_ended(monitor, status);
}

static void reload(struct monitor *monitor)
{
    notify_reloading(monitor->notify);
    reload_run(monitor->reload);
    notify_ready_again(monitor->notify);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct monitor *monitor = signal->data;

    if (number == SIGCHLD) {
        reap(monitor);
        web_process_reap(monitor->web, monitor->has_ended || monitor->is_told);
    } else if (number == SIGHUP) {
        reload(monitor);
    } else if (monitor->is_stopping) {
        hooks_skip(monitor->hooks);
    } else {
        stop(monitor, HOOK_REASON_STOP);
    }
}

// 1, or -EBADMSG when it is none that a worker sends.
static int take_message(struct monitor *monitor, const struct ipc_message *message)
{
    enum ipc_verdict verdict = ipc_judge(&monitor->guard, message, now_boot_ns());

    if (verdict == IPC_HOSTILE)
        return -EBADMSG;
    if (verdict == IPC_TOO_OFTEN)
        return 1;
    if (message->kind == IPC_RESOLVE)
        lookup_start(&monitor->lookup, &monitor->uv);
    else if (message->kind == IPC_RELOAD)
        reload_answer(monitor->reload, message);
    else if (message->kind == IPC_QUIT)
        stop(monitor, HOOK_REASON_STOP);
    else if (message->kind == IPC_READY)
        hooks_post_up(monitor->hooks);
    else if (message->kind == IPC_STATE && monitor->is_stopping)
        return 1;
    else if (message->kind == IPC_STATE)
        notify_state(monitor->notify, message->text);
    else
        hooks_note_peer(monitor->hooks, message->kind == IPC_PEER_UP, message->reason, message->n_addresses ? message->addresses : NULL);
    return 1;
}

static void on_turn(uv_timer_t *turn);

static void on_ipc(uv_poll_t *poll, int status, int events)
{
    struct monitor *monitor = poll->data;
    struct ipc_message message;
    int got = status < 0 ? -EPIPE : 1;

    (void)events;
    for (int i = 0; i < MESSAGES_MAX && got > 0; i++)
        if ((got = ipc_receive(monitor->ipc_fd, &message)) > 0)
            got = take_message(monitor, &message);
    if (got == -EPIPE) { // it is ending, and SIGCHLD follows; or it says so (a message of no bytes looks the same) and stays
        uv_poll_stop(poll);
        if (!monitor->is_told)
            uv_timer_start(&monitor->timer, on_stop_timeout, STOP_MS, 0);
    } else if (got < 0) {
        log_tell(&(struct log_about){.event = LOG_EVENT_WORKER_ENDED},
                 "the worker said what no worker of ours says: it is in somebody else's hands; ending it");
        uv_poll_stop(poll);
        end_worker(monitor);
    } else if (got > 0) { // there is more, and nobody has to be that quick
        uv_poll_stop(poll);
        uv_timer_start(&monitor->turn, on_turn, TURN_MS, 0);
    }
}

static void on_turn(uv_timer_t *turn)
{
    struct monitor *monitor = turn->data;

    uv_poll_start(&monitor->ipc, UV_READABLE, on_ipc);
}

static int start(struct monitor *monitor)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    int error;

    if ((error = uv_loop_init(&monitor->uv)) || (error = uv_timer_init(&monitor->uv, &monitor->timer)) ||
        (error = uv_timer_init(&monitor->uv, &monitor->turn)) || (error = uv_timer_init(&monitor->uv, &monitor->look)) ||
        (error = uv_poll_init(&monitor->uv, &monitor->ipc, monitor->ipc_fd)))
        return error;
    monitor->timer.data = monitor->turn.data = monitor->look.data = monitor->ipc.data = monitor;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if ((error = uv_signal_init(&monitor->uv, &monitor->signals[i])))
            return error;
        monitor->signals[i].data = monitor;
        if ((error = uv_signal_start(&monitor->signals[i], on_signal, numbers[i])))
            return error;
    }
    if ((error = reload_start(monitor->reload, &monitor->uv, monitor->ipc_fd, &monitor->lookup)))
        return error;
    if ((error = hooks_start(monitor->hooks, &monitor->uv, &monitor->hooks_handles)))
        return error;
    return uv_poll_start(&monitor->ipc, UV_READABLE, on_ipc);
}

// The end of the socketpair ends it, too, where it may not be signalled.
static void abandon(pid_t worker, int ipc_fd)
{
    close(ipc_fd);
    kill(worker, SIGTERM);
    waitpid(worker, NULL, 0);
}

static int watch(struct monitor *monitor)
{
    int error = start(monitor);

    if (error) {
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "can't start the monitor: %s", uv_strerror(error));
        abandon(monitor->worker, monitor->ipc_fd);
        web_process_end(monitor->web);
        return CODE_FAILED;
    }
    stop_signals(SIG_UNBLOCK);
    reap(monitor); // it may have ended before the signal handler was there
    if (!monitor->has_ended)
        uv_run(&monitor->uv, UV_RUN_DEFAULT);
    web_process_end(monitor->web);
    if (!monitor->lookup.is_running) { // else the loop would wait for the resolver
        loop_close_handles(&monitor->uv);
        uv_loop_close(&monitor->uv);
    }
    return monitor->has_failed ? CODE_FAILED : monitor->exit_code;
}

int monitor_main(const struct config *config, pid_t worker, int ipc_fd, const struct sandbox_page *page, struct monitor_tools *tools)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);

    if (!monitor) {
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "can't start the monitor: out of memory");
        abandon(worker, ipc_fd);
        return CODE_FAILED;
    }
    *monitor = (struct monitor){.config = config,
                                .worker = worker,
                                .ipc_fd = ipc_fd,
                                .page = page,
                                .notify = &tools->notify,
                                .watchdog = &tools->watchdog,
                                .reload = tools->reload,
                                .web = &tools->web,
                                .hooks = &tools->hooks,
                                .lookup = {.config = config, .answered = on_addresses, .ctx = monitor},
                                .exit_code = CODE_FAILED};
    tools->hooks.up = on_up;
    tools->hooks.down = on_down;
    tools->hooks.ctx = monitor;
    int exit_code = watch(monitor);
    if (!monitor->lookup.is_running) // else a thread of libuv still writes to it, until the process ends
        free(monitor);
    return exit_code;
}
