// SPDX-License-Identifier: MIT
/*
 * loops: the tx and rx threads: a libuv loop each, which waits for its descriptors, its deadline, or a word from another thread, and then
 * runs its pipeline. All that is decided here is when.
 */
#ifndef ETHERCORD_DAEMON_LOOPS_H
#define ETHERCORD_DAEMON_LOOPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "ethercord/node.h"
#include "ethercord/sandbox.h"
#include "watchdog.h"

struct loop {
    struct node *node;
    struct sandbox *sandbox;
    uv_loop_t uv;
    uv_thread_t thread;
    uv_async_t wake;
    uv_timer_t timer;
    uv_poll_t tap;    // tx
    uv_poll_t udp[2]; // rx: readable; tx: writable, while it is blocked
    bool has_udp[2];
    bool is_polling_tap; // starting a handle again costs a system call
    int polling_udp;     // tx: which one, -1 = none
    int unfinished_udp;  // rx: which one may have more of what is in hand when a turn ended, -1 = none; it is looked at before time is up
    struct watchdog_count *watchdog; // NULL = none
    atomic_bool is_stopping;
    atomic_bool is_tap_gone; // tx; main looks at it when woken
};

// Prepare on the main thread, then run, confined by `sandbox`; 0 or negative errno. tx_loop_…: TAP to UDP, rx_loop_…: UDP to TAP.
// `watchdog`: NULL, or where each wake-up is counted.
int tx_loop_start(struct loop *loop, struct node *node, struct sandbox *sandbox, struct watchdog_count *watchdog);
int rx_loop_start(struct loop *loop, struct node *node, struct sandbox *sandbox, struct watchdog_count *watchdog);
// What the three loops have in common: a timer's wait in ms (never too short), and the end of all handles.
uint64_t loop_ms_until(uint64_t deadline_ns, uint64_t now_ns);
void loop_close_handles(uv_loop_t *uv);
// From any thread.
void loop_wake(struct loop *loop);
// From main: what was ordered before is still done; returns when the thread has ended.
void loop_stop(struct loop *loop);

#endif
