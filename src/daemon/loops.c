// SPDX-License-Identifier: MIT
/*
 * loops: see loops.h.
 *
 * Level-triggered polling with a budget per wake-up, so that no descriptor starves another. When an ICMP error waits in a socket's error
 * queue, libuv reports UV_EBADF *and stops the handle*: rx empties the queue and starts the handle again, else the node would be deaf.
 */
#include "loops.h"

#include <errno.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"

// Tuning constants: batches per wake-up, and how often tx tries to get the last datagrams out at the end.
enum { TX_BUDGET = 8, LAST_TURNS = 50 };

uint64_t loop_ms_until(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns <= now_ns ? 0 : (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void set_timer(struct loop *loop, uv_timer_cb callback, uint64_t deadline_ns, uint64_t now_ns)
{
    if (deadline_ns == 0)
        uv_timer_stop(&loop->timer);
    else
        uv_timer_start(&loop->timer, callback, loop_ms_until(deadline_ns, now_ns), 0);
}

static bool is_stopping(struct loop *loop)
{
    return atomic_load_explicit(&loop->is_stopping, memory_order_acquire);
}

/* ---- tx ---- */

static void tx_turn(struct loop *loop, bool is_readable);

static void on_tx_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;

    watchdog_note(loop->watchdog);
    tx_turn(loop, false);
}

static void on_tx_timer(uv_timer_t *timer)
{
    tx_turn(timer->data, false);
}

// An error shows when reading or sending; what matters here is that libuv has stopped the handle for it.
static void on_tap(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = poll->data;

    (void)events;
    if (status < 0)
        loop->is_polling_tap = false;
    tx_turn(loop, true);
}

static void on_udp_writable(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = poll->data;

    (void)events;
    if (status < 0)
        loop->polling_udp = loop->unfinished_udp = -1;
    tx_turn(loop, true);
}

static void poll_tap(struct loop *loop, bool is_wanted)
{
    if (is_wanted == loop->is_polling_tap)
        return;
    loop->is_polling_tap = is_wanted;
    if (is_wanted)
        uv_poll_start(&loop->tap, UV_READABLE, on_tap);
    else
        uv_poll_stop(&loop->tap);
}

// which: -1 = neither.
static void poll_udp(struct loop *loop, int which)
{
    if (which == loop->polling_udp)
        return;
    if (loop->polling_udp >= 0)
        uv_poll_stop(&loop->udp[loop->polling_udp]);
    if (which >= 0)
        uv_poll_start(&loop->udp[which], UV_WRITABLE, on_udp_writable);
    loop->polling_udp = which;
}

static int blocked_udp(const struct loop *loop)
{
    const struct tx *tx = &loop->node->tx;

    return tx->out[tx->first_out].to.remote.family == AF_INET6;
}

static void tx_wait_for(struct loop *loop, enum tx_wait wait, uint64_t now_ns)
{
    poll_tap(loop, wait == TX_WAIT_TAP || wait == TX_WAIT_NOTHING);
    poll_udp(loop, wait == TX_WAIT_UDP ? blocked_udp(loop) : -1);
    switch (wait) {
    case TX_WAIT_TAP:
    case TX_WAIT_UDP:
        break;
    case TX_WAIT_NOTHING: // what the TAP still has shows at the next poll
        if (tx_has_messages(&loop->node->tx))
            uv_async_send(&loop->wake);
        break;
    case TX_WAIT_A_BIT:
        set_timer(loop, on_tx_timer, now_ns + NS_PER_MS, now_ns);
        break;
    case TX_TAP_GONE:
        atomic_store(&loop->is_tap_gone, true);
        loop->node->hooks.wake(loop->node->hooks.ctx, NODE_MAIN);
        break;
    }
}

static void tx_turn(struct loop *loop, bool is_readable)
{
    uint64_t now_ns, deadline_ns;
    enum tx_wait wait = TX_WAIT_NOTHING;

    for (int i = 0; i < TX_BUDGET && wait == TX_WAIT_NOTHING; i++) {
        now_ns = now_boot_ns();
        wait = node_run_tx(loop->node, is_readable, now_ns, &deadline_ns);
    }
    if (is_stopping(loop)) {
        uv_stop(&loop->uv);
        return;
    }
    set_timer(loop, on_tx_timer, deadline_ns, now_ns);
    tx_wait_for(loop, wait, now_ns);
}

// The goodbye that was ordered last should still get out.
static void tx_last_turns(struct loop *loop)
{
    uint64_t deadline_ns;

    for (int i = 0; i < LAST_TURNS; i++) {
        enum tx_wait wait = node_run_tx(loop->node, false, now_boot_ns(), &deadline_ns);
        if (wait == TX_WAIT_TAP || wait == TX_TAP_GONE)
            return;
        uv_sleep(1);
    }
}

/* ---- rx ---- */

static void rx_turn(struct loop *loop, int which);

static void on_rx_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;

    watchdog_note(loop->watchdog);
    rx_turn(loop, loop->unfinished_udp);
}

static void on_rx_timer(uv_timer_t *timer)
{
    struct loop *loop = timer->data;

    rx_turn(loop, loop->unfinished_udp);
}

static void on_udp_readable(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = poll->data;
    int which = poll == &loop->udp[1];

    (void)events;
    if (status < 0) {
        rx_take_errors(&loop->node->rx, which, now_boot_ns());
        uv_poll_start(poll, UV_READABLE, on_udp_readable);
    }
    rx_turn(loop, which);
}

static void rx_turn(struct loop *loop, int which)
{
    uint64_t now_ns = now_boot_ns(), deadline_ns;
    bool is_empty = node_run_rx(loop->node, which, now_ns, &deadline_ns);

    loop->unfinished_udp = is_empty && !loop->node->rx.run.is_open ? -1 : which;
    if (!is_empty)
        uv_async_send(&loop->wake); // after what else is waiting; polling alone would not say that nothing came any more
    if (is_stopping(loop))
        uv_stop(&loop->uv);
    else
        set_timer(loop, on_rx_timer, deadline_ns, now_ns);
}

/* ---- start and stop ---- */

static int loop_init(struct loop *loop, struct node *node, struct sandbox *sandbox, uv_async_cb on_wake)
{
    int error;

    memset(loop, 0, sizeof *loop);
    loop->node = node;
    loop->sandbox = sandbox;
    loop->polling_udp = loop->unfinished_udp = -1;
    if ((error = uv_loop_init(&loop->uv)))
        return error;
    if ((error = uv_async_init(&loop->uv, &loop->wake, on_wake)) || (error = uv_timer_init(&loop->uv, &loop->timer)))
        return error;
    loop->wake.data = loop->timer.data = loop;
    for (int i = 0; i < 2; i++) {
        const struct udp *udp = &node->rx.udp[i];
        if (udp->family == AF_UNSPEC)
            continue;
        if ((error = uv_poll_init(&loop->uv, &loop->udp[i], udp->fd)))
            return error;
        loop->udp[i].data = loop;
        loop->has_udp[i] = true;
    }
    return 0;
}

void loop_close_handles(uv_loop_t *uv)
{
    uv_walk(uv, close_handle, NULL);
    uv_run(uv, UV_RUN_DEFAULT);
}

static void finish(struct loop *loop)
{
    loop_close_handles(&loop->uv);
    ensure(uv_loop_close(&loop->uv) == 0);
}

static void tx_thread(void *arg)
{
    struct loop *loop = arg;

    sandbox_enter(loop->sandbox, SANDBOX_TX);
    tx_turn(loop, true);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    tx_last_turns(loop);
    finish(loop);
}

static void rx_thread(void *arg)
{
    struct loop *loop = arg;

    sandbox_enter(loop->sandbox, SANDBOX_RX);
    rx_turn(loop, -1);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    finish(loop);
}

int tx_loop_start(struct loop *loop, struct node *node, struct sandbox *sandbox, struct watchdog_count *watchdog)
{
    int error = loop_init(loop, node, sandbox, on_tx_wake);

    loop->watchdog = watchdog;
    if (error || (error = uv_poll_init(&loop->uv, &loop->tap, node->tap->fd)))
        return error;
    loop->tap.data = loop;
    return uv_thread_create(&loop->thread, tx_thread, loop);
}

int rx_loop_start(struct loop *loop, struct node *node, struct sandbox *sandbox, struct watchdog_count *watchdog)
{
    int error = loop_init(loop, node, sandbox, on_rx_wake);

    loop->watchdog = watchdog;
    for (int i = 0; i < 2 && !error; i++)
        if (loop->has_udp[i])
            error = uv_poll_start(&loop->udp[i], UV_READABLE, on_udp_readable);
    return error ? error : uv_thread_create(&loop->thread, rx_thread, loop);
}

void loop_wake(struct loop *loop)
{
    uv_async_send(&loop->wake);
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
    loop_wake(loop);
    uv_thread_join(&loop->thread);
}
