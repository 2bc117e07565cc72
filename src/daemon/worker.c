// SPDX-License-Identifier: MIT
/*
 * worker: the stages, in this order: give up privileges (before the first thread: on Linux they are per thread), make the node, start
 * its threads, run the main loop until the monitor says stop (or is gone), say goodbye, end the threads.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture_request.h"
#include "control.h"
#include "echo.h"
#include "ethercord/clock.h"
#include "ethercord/confine.h"
#include "ethercord/log.h"
#include "ethercord/node.h"
#include "ethercord/ports.h"
#include "ethercord/program.h"
#include "ethercord/too_big.h"
#include "ipc.h"
#include "loops.h"
#include "monitor.h"
#include "node_config.h"
#include "places.h"
#include "reload_requests.h"
#include "state_line.h"
#include "status.h"
#include "status_quality.h"
#include "watch.h"

// Tuning constant: how often the monitor is told, at the most, that the peer has come or gone.
#define TELL_PEER_EVERY_NS (250 * NS_PER_MS)

struct worker {
    struct config *config;
    struct worker_devices *devices;
    struct node node;
    struct loop tx, rx;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t timer, beat;
    uv_poll_t ipc;
    uv_signal_t sigterm;
    struct control control;
    struct reload_requests reloads;
    struct echo echo;
    struct sandbox sandbox;
    struct status_facts facts;
    struct queues queues;
    struct ports ports;
    struct places places;
    struct state_line state_line;
    bool is_stopping;
    bool has_failed;
    struct log_limit conflict_limit, path_limit;
    struct log_budget peer_lines; // see may_log_peer()
    uint16_t noted_far_mtu;       // the last that the peer told; 0 = none yet
    bool is_up_told;              // what the monitor knows of the peer
    uint64_t tell_peer_ns;        // not again before
};

static void main_turn(struct worker *worker);

static void on_echoed(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    struct worker *worker = ctx;

    echo_answered(&worker->echo, id, now_ns);
}

/* ---- hooks of the node ---- */

static void fill_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
}

static void on_wake_node(void *ctx, enum node_thread thread)
{
    struct worker *worker = ctx;

    if (thread == NODE_MAIN)
        uv_async_send(&worker->wake);
    else
        loop_wake(thread == NODE_TX ? &worker->tx : &worker->rx);
}

static struct watchdog_count *count_of(const struct worker *worker, enum node_thread thread)
{
    struct watchdog_page *page = worker->devices->watchdog->page;

    return page ? &page->threads[thread] : NULL;
}

static void tell(struct worker *worker, enum ipc_kind kind)
{
    int error = ipc_send(worker->devices->ipc_fd, &(struct ipc_message){.kind = kind});

    if (error)
        log_debug("can't reach the monitor: %s", strerror(-error));
}

// A peer can come and go, or say something else of itself, some fifty times a second. The log is not its own.
static bool may_log_peer(struct worker *worker, uint64_t now_ns)
{
    char what[PEER_NAME_CAP + 8];

    snprintf(what, sizeof what, "peer %s", node_peer(&worker->node)->config.name);
    return log_may_tell(&worker->peer_lines, now_ns, what);
}

static void log_peer(struct worker *worker)
{
    const struct peer *peer = node_peer(&worker->node);
    uint64_t now_ns = now_boot_ns();
    char endpoint[ADDR_TEXT_CAP], reason[200];

    if (worker->is_stopping || !may_log_peer(worker, now_ns)) // stopping: the goodbye is our own
        return;
    if (peer->is_up)
        log_tell(&(struct log_about){LOG_EVENT_PEER_UP, .peer = peer->config.name}, "peer %s is up: %s, %s", peer->config.name,
                 peer->has_endpoint ? addr_format(&peer->endpoint.remote, endpoint) : "endpoint not known yet",
                 cipher_name(peer->current.cipher));
    else
        log_tell(&(struct log_about){LOG_EVENT_PEER_DOWN, .peer = peer->config.name}, "peer %s is down: %s", peer->config.name,
                 status_reason(peer, now_ns, reason, sizeof reason));
}

static void log_path(struct worker *worker, bool is_found)
{
    const struct peer *peer = node_peer(&worker->node);

    if (is_found && !may_log_peer(worker, now_boot_ns()))
        return;
    if (is_found)
        log_tell(&(struct log_about){LOG_EVENT_PATH_MTU, .peer = peer->config.name}, "path MTU to peer %s: %u bytes", peer->config.name,
                 peer->pmtu.size);
    else
        log_tell(&(struct log_about){LOG_EVENT_BLACK_HOLE, peer->config.name, &worker->path_limit, now_boot_ns()},
                 "packets of %u bytes do not reach peer %s any more: going on with %u while the largest that passes is looked for",
                 peer->pmtu.vanished, peer->config.name, peer->pmtu.size);
}

// Of both, the smaller one is what crosses.
static void log_mismatch(const struct peer *peer, uint16_t near, uint16_t far)
{
    uint16_t least = near < far ? near : far;

    log_tell(
        &(struct log_about){LOG_EVENT_MTU_DIFFERS, .peer = peer->config.name},
        "the TAP's MTU is %u here and %u at peer %s: larger packets than %u can't cross, and the hosts that send them %s are told so%s;"
        " set [Tap] MTU = %u here, or %u there",
        near, far, peer->config.name, least, near < far ? "there" : "here",
        least < TOO_BIG_IPV6_LEAST_MTU ? " (not with IPv6, which needs 1280)" : "", far, near);
}

// Once per pair of values, however often there is a handshake.
static void note_far_mtu(struct worker *worker)
{
    const struct peer *peer = node_peer(&worker->node);
    uint16_t mtu = worker->config->tap.mtu;

    if (!peer || !peer->current.is_used || peer->current.far_tap_mtu == worker->noted_far_mtu)
        return;
    worker->noted_far_mtu = peer->current.far_tap_mtu;
    if (worker->noted_far_mtu != mtu && may_log_peer(worker, now_boot_ns()))
        log_mismatch(peer, mtu, worker->noted_far_mtu);
}

static bool send_peer(struct worker *worker, const struct peer *peer)
{
    struct ipc_message message = {.kind = peer->is_up ? IPC_PEER_UP : IPC_PEER_DOWN, .reason = peer->reason};

    if (peer->has_endpoint && peer->endpoint.remote.port != 0)
        message.addresses[message.n_addresses++] = peer->endpoint.remote;
    return ipc_send(worker->devices->ipc_fd, &message) == 0;
}

// A state: where it could not be told, or changed too soon again, it is told later. Returns when to look again.
static uint64_t tell_peer(struct worker *worker, uint64_t now_ns)
{
    const struct peer *peer = node_peer(&worker->node);

    if (!peer || peer->is_up == worker->is_up_told)
        return UINT64_MAX;
    if (now_ns < worker->tell_peer_ns)
        return worker->tell_peer_ns;
    worker->tell_peer_ns = now_ns + TELL_PEER_EVERY_NS;
    if (!send_peer(worker, peer))
        return worker->tell_peer_ns;
    worker->is_up_told = peer->is_up;
    return UINT64_MAX;
}

static void log_conflict(struct worker *worker, const struct shortcut_conflict *conflict)
{
    char address[CIDR_TEXT_CAP], mac[MAC_TEXT_CAP];

    worker->facts.n_conflicts++;
    log_tell(&(struct log_about){LOG_EVENT_CONFLICT, .limit = &worker->conflict_limit, .now_ns = now_boot_ns()},
             "address conflict: %s uses the shortcut's address %s too; give one of the two another address",
             mac_format(&conflict->mac, mac), cidr_format(&conflict->address, address));
}

static void on_event(void *ctx, enum handshake_event event, const struct shortcut_conflict *conflict)
{
    struct worker *worker = ctx;

    switch (event) {
    case HANDSHAKE_PEER_UP:
    case HANDSHAKE_PEER_DOWN:
        log_peer(worker);
        break;
    case HANDSHAKE_PATH_FOUND:
    case HANDSHAKE_BLACK_HOLE:
        log_path(worker, event == HANDSHAKE_PATH_FOUND);
        break;
    case HANDSHAKE_RESOLVE:
        tell(worker, IPC_RESOLVE);
        break;
    case HANDSHAKE_CONFLICT:
        log_conflict(worker, conflict);
        break;
    }
}

/* ---- the main loop ---- */

static void stop(struct worker *worker)
{
    if (worker->is_stopping)
        return;
    worker->is_stopping = true;
    uv_stop(&worker->uv);
}

static void on_wake(uv_async_t *wake)
{
    main_turn(wake->data);
}

static void on_timer(uv_timer_t *timer)
{
    main_turn(timer->data);
}

// Of the watchdog: those who have nothing to do turn, too.
static void on_beat(uv_timer_t *beat)
{
    struct worker *worker = beat->data;

    watchdog_note(count_of(worker, NODE_MAIN));
    loop_wake(&worker->tx);
    loop_wake(&worker->rx);
}

static void on_sigterm(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data); // the monitor died, or somebody means us
}

// What is in force from now on. The message is a secret, and so is what is made of it.
static void take_settings(struct worker *worker, const struct ipc_message *message)
{
    struct node_config node_config;

    config_live_put(worker->config, &message->settings.live);
    node_config_fill(&node_config, worker->config, &worker->devices->tap_mac);
    node_reconfigure(&worker->node, &node_config, message->settings.is_elsewhere, now_boot_ns(), now_wall_ns());
    sodium_memzero(&node_config, sizeof node_config);
    config_wipe_secrets(worker->config);
    log_set_level(worker->config->log_level);
}

static void take_message(struct worker *worker, const struct ipc_message *message)
{
    switch (message->kind) {
    case IPC_STOP:
        stop(worker);
        break;
    case IPC_ADDRESSES:
        node_set_addresses(&worker->node, message->addresses, message->n_addresses, now_boot_ns());
        break;
    case IPC_SETTINGS:
        take_settings(worker, message);
        break;
    case IPC_LINE:
    case IPC_RELOADED:
        reload_requests_take(&worker->reloads, message);
        break;
    default: // only the worker says that
        break;
    }
}

static void on_ipc(uv_poll_t *poll, int status, int events)
{
    struct worker *worker = poll->data;
    struct ipc_message message;
    int got = status < 0 ? -EPIPE : 1;

    (void)events;
    while (got > 0 && (got = ipc_receive(worker->devices->ipc_fd, &message)) > 0) {
        take_message(worker, &message);
    }
    sodium_memzero(&message, sizeof message);
    if (got < 0 && !worker->is_stopping) {
        log_tell(&(struct log_about){.event = LOG_EVENT_MONITOR_GONE}, "the monitor is gone: stopping");
        worker->has_failed = true;
        stop(worker);
    } else if (got >= 0) {
        main_turn(worker);
    }
}

static void stop_without_tap(struct worker *worker)
{
    if (worker->is_stopping)
        return;
    log_tell(&(struct log_about){.event = LOG_EVENT_TAP_GONE}, "the TAP %s was deleted: stopping; start ethercord again to make a new one",
             worker->config->tap.name);
    worker->has_failed = true;
    stop(worker);
}

// tx sees that by itself when it reads; but it does not while the underlay takes nothing, which may be long.
static void on_tap_gone(void *ctx)
{
    struct worker *worker = ctx;
    struct mac_address mac;

    if (tap_get_mac_address(&worker->devices->tap, &mac) == -EBADFD)
        stop_without_tap(worker);
    else
        log_tell(&(struct log_about){.event = LOG_EVENT_TAP_CHANGED},
                 "the TAP %s was moved to another network namespace: what is done to it there is not noticed", worker->config->tap.name);
}

static void main_turn(struct worker *worker)
{
    uint64_t now_ns = now_boot_ns();
    uint64_t deadline_ns = node_run_main(&worker->node, now_ns, now_wall_ns());

    note_far_mtu(worker);
    if (worker->config->peer.is_present && !worker->is_stopping)
        places_note(&worker->places, node_peer(&worker->node), &worker->config->peer, now_ns);
    if (atomic_load(&worker->tx.is_tap_gone)) {
        stop_without_tap(worker);
        return;
    }
    uint64_t again_ns =
        worker->is_stopping ? UINT64_MAX : state_line_note(&worker->state_line, node_peer(&worker->node), worker->devices->ipc_fd, now_ns);
    uint64_t tell_ns = tell_peer(worker, now_ns);
    again_ns = tell_ns < again_ns ? tell_ns : again_ns;
    uv_timer_start(&worker->timer, on_timer, loop_ms_until(again_ns < deadline_ns ? again_ns : deadline_ns, now_ns), 0);
}

static json_t *build_status(void *ctx)
{
    struct worker *worker = ctx;

    node_watch(&worker->node, now_boot_ns());
    return status_build(&worker->node, &worker->facts, now_boot_ns());
}

static void answer_status(void *ctx, struct control_client *client, char *arguments)
{
    struct worker *worker = ctx;

    watch_start(&(struct watch_source){&worker->uv, build_status, worker}, client, arguments);
}

static bool send_echo(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN])
{
    struct worker *worker = ctx;

    node_watch(&worker->node, now_boot_ns());
    return node_send_echo(&worker->node, id, now_boot_ns());
}

static json_t *describe_way(void *ctx)
{
    const struct worker *worker = ctx;

    return status_way(&worker->node, now_boot_ns());
}

static void answer_ping(void *ctx, struct control_client *client, char *arguments)
{
    struct worker *worker = ctx;

    if (node_peer(&worker->node)) {
        echo_start(&worker->echo, client, arguments);
        return;
    }
    control_refuse(client, "this instance has no [Peer]: there is nobody to send echoes to");
    control_end(client);
}

static void answer_capture(void *ctx, struct control_client *client, char *arguments)
{
    struct worker *worker = ctx;

    capture_request_start(&(struct capture_source){&worker->uv, &worker->node, worker->config->tap.name}, client, arguments);
}

static void answer_reload(void *ctx, struct control_client *client, char *arguments)
{
    struct worker *worker = ctx;

    reload_requests_ask(&worker->reloads, client, arguments);
}

// The monitor is to do it, as on SIGTERM: then it knows that nothing is wrong.
static void answer_stop(void *ctx, struct control_client *client, char *arguments)
{
    struct worker *worker = ctx;

    (void)arguments;
    log_info("asked to stop, over the control socket");
    control_say_take(client, json_pack("{s:b}", "stopping", 1));
    control_end(client);
    if (ipc_send(worker->devices->ipc_fd, &(struct ipc_message){.kind = IPC_QUIT}))
        stop(worker);
}

static const struct control_request requests[] = {
    {"status", answer_status}, {"ping", answer_ping}, {"capture", answer_capture},
    {"reload", answer_reload}, {"stop", answer_stop}, {.word = NULL},
};

/* ---- stages ---- */

static int make_node(struct worker *worker)
{
    struct worker_devices *devices = worker->devices;
    struct node_hooks hooks = {
        .ctx = worker, .wake = on_wake_node, .event = on_event, .echoed = on_echoed, .random = {.fill = fill_random}};
    struct node_config node_config;

    node_config_fill(&node_config, worker->config, &devices->tap_mac);
    int error = node_init(&worker->node, &node_config, &(struct node_devices){&devices->tap, devices->udp}, &hooks, now_boot_ns());
    sodium_memzero(&node_config, sizeof node_config);
    config_wipe_secrets(worker->config);
    if (!error && mlock(worker->node.secrets, sizeof *worker->node.secrets) < 0) // libsodium has tried, and did not say
        worker->facts.is_memory_locked = false;
    if (!worker->facts.is_memory_locked)
        log_tell(&(struct log_about){.event = LOG_EVENT_UNCONFINED},
                 "keys can't be locked in memory and may end up in swap; raise the limit (ulimit -l, LimitMEMLOCK=)");
    return error;
}

static int make_loop(struct worker *worker)
{
    int error;

    if ((error = uv_loop_init(&worker->uv)) || (error = uv_async_init(&worker->uv, &worker->wake, on_wake)) ||
        (error = uv_timer_init(&worker->uv, &worker->timer)) || (error = uv_timer_init(&worker->uv, &worker->beat)) ||
        (error = uv_poll_init(&worker->uv, &worker->ipc, worker->devices->ipc_fd)) ||
        (error = uv_signal_init(&worker->uv, &worker->sigterm)) || (error = ports_start(&worker->ports, &worker->uv)))
        return error;
    worker->wake.data = worker->timer.data = worker->beat.data = worker->ipc.data = worker->sigterm.data = worker;
    worker->reloads.path = worker->devices->config_path;
    worker->reloads.ipc_fd = worker->devices->ipc_fd;
    if ((error = reload_requests_start(&worker->reloads, &worker->uv)))
        return error;
    worker->control.requests = requests;
    worker->control.ctx = worker;
    worker->echo.source = (struct echo_source){.loop = &worker->uv, .ctx = worker, .send = send_echo, .describe = describe_way};
    if ((error = uv_poll_start(&worker->ipc, UV_READABLE, on_ipc)) || (error = uv_signal_start(&worker->sigterm, on_sigterm, SIGTERM)))
        return error;
    stop_signals(SIG_UNBLOCK);
    error = control_start(&worker->control, &worker->uv, worker->devices->control_fd);
    if (!error && worker->devices->web_fd >= 0)
        error = control_adopt(&worker->control, worker->devices->web_fd);
    return error;
}

static int start_threads(struct worker *worker)
{
    node_touch_memory(&worker->node);
    node_start(&worker->node, now_boot_ns()); // while nobody else looks at it
    int error = rx_loop_start(&worker->rx, &worker->node, &worker->sandbox, count_of(worker, NODE_RX));

    if (!error && (error = tx_loop_start(&worker->tx, &worker->node, &worker->sandbox, count_of(worker, NODE_TX))))
        loop_stop(&worker->rx);
    sandbox_enter(&worker->sandbox, SANDBOX_MAIN);
    return error;
}

static void run(struct worker *worker)
{
    uint64_t every_ms = worker->devices->watchdog->every_ms;

    tell(worker, IPC_READY);
    if (every_ms > 0)
        uv_timer_start(&worker->beat, on_beat, 0, every_ms);
    main_turn(worker);
    if (!worker->is_stopping)
        uv_run(&worker->uv, UV_RUN_DEFAULT);

    node_stop(&worker->node, now_boot_ns(), now_wall_ns());
    loop_stop(&worker->rx); // first: it wakes tx, and a loop that has ended can't be woken
    loop_stop(&worker->tx); // carries out what it was ordered: the goodbye
}

static void tear_down(struct worker *worker)
{
    control_stop(&worker->control);
    uv_run(&worker->uv, UV_RUN_NOWAIT); // clients that are being served
    loop_close_handles(&worker->uv);
    uv_loop_close(&worker->uv);
    reload_requests_stop(&worker->reloads);
    node_deinit(&worker->node);
    tap_close(&worker->devices->tap);
    for (int i = 0; i < 2; i++)
        if (worker->devices->udp[i].family != AF_UNSPEC)
            udp_close(&worker->devices->udp[i]);
}

static struct status_facts facts_of(const struct config *config, const struct worker_devices *devices)
{
    const struct udp *udp = &devices->udp[devices->udp[0].family == AF_UNSPEC];

    return (struct status_facts){
        .config = config,
        .tap_mac = devices->tap_mac,
        .listen_port = udp_port(udp),
        .started_ns = now_boot_ns(),
        .pid = getpid(),
    };
}

// Locks are not inherited: the copy of the keys that came with the fork is not locked yet.
static bool confine(struct worker *worker)
{
    struct worker_devices *devices = worker->devices;
    struct confine_order order = {.user = worker->config->user, .hide_below = devices->wants_sandbox ? devices->run_dir : NULL};
    char text[300];

    json_object_seed(randombytes_random() | 1); // left to itself it would look for a file, later
    worker->facts.is_memory_locked = sodium_mlock(worker->config, sizeof *worker->config) == 0;
    int error = confine_worker(&order, &worker->facts.confinement, text, sizeof text);
    if (text[0])
        log_tell(&(struct log_about){.event = error ? LOG_EVENT_START_FAILED : LOG_EVENT_UNCONFINED}, "%s", text);
    if (error || !devices->wants_sandbox)
        return !error;
    error = sandbox_start(&worker->sandbox, devices->page, text, sizeof text);
    if (error)
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "%s", text);
    return !error;
}

static bool start(struct worker *worker)
{
    int error;

    if ((error = make_node(worker)) || (error = make_loop(worker)) || (error = start_threads(worker)))
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "can't start the worker: %s%s", strerror(-error),
                 error == -EPERM ? "; keys need locked memory: see ulimit -l" : "");
    return !error;
}

static void watch_ports(struct worker *worker)
{
    const struct tap_settings *tap = &worker->config->tap;

    ports_open(&worker->ports, &(struct ports_config){
                                   .tap_name = tap->name,
                                   .mtu = tap->mtu,
                                   .bridge = tap->bridge,
                                   .on_gone = on_tap_gone,
                                   .ctx = worker,
                               });
}

int worker_main(struct config *config, struct worker_devices *devices)
{
    signal(SIGINT, SIG_IGN); // Ctrl-C goes to the whole group; the monitor says when to stop
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);

    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "can't start the worker: out of memory");
        return CODE_FAILED;
    }
    worker->config = config;
    worker->devices = devices;
    worker->state_line.is_wanted = devices->wants_state_line;
    worker->facts = facts_of(config, devices);
    if (!confine(worker)) {
        free(worker);
        return CODE_FAILED;
    }
    worker->facts.sandbox = &worker->sandbox;
    worker->facts.page = devices->page;
    queues_open(&worker->queues, config->tap.name);
    watch_ports(worker);
    worker->facts.queues = &worker->queues;
    worker->facts.ports = &worker->ports;
    worker->has_failed = !start(worker);
    if (!worker->has_failed) {
        run(worker);
        tear_down(worker);
    }
    bool has_failed = worker->has_failed;
    queues_close(&worker->queues);
    ports_close(&worker->ports);
    free(worker);
    return has_failed ? CODE_FAILED : CODE_DONE;
}
