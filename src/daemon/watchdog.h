// SPDX-License-Identifier: MIT
/*
 * watchdog: whether the worker's threads main, tx and rx all turn. Each counts its turns in a page that the monitor sees, too.
 *
 * main wakes the two others three times per watchdog period, so that an idle node, too, has something to count, and the monitor looks as
 * often. Without a watchdog there is no page and nobody is woken. The worker may write anything there: a worker in other hands can make us
 * believe that it is well, which it could anyhow.
 */
#ifndef ETHERCORD_DAEMON_WATCHDOG_H
#define ETHERCORD_DAEMON_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/node.h"

enum { WATCHDOG_LOOKS = 3, WATCHDOG_MISSES_TOLD = 2 }; // per period; misses in a row before it is in the log

// A cache line for each, or the threads would get in each other's way.
struct watchdog_count {
    _Alignas(64) _Atomic uint32_t n_turns;
};
struct watchdog_page {
    struct watchdog_count threads[NODE_THREADS];
};

// Of the monitor.
struct watchdog {
    struct watchdog_page *page; // NULL = no watchdog
    uint64_t every_ms;          // from a look to the next
    uint32_t seen[NODE_THREADS];
    unsigned n_missed[NODE_THREADS];
};

// Before the fork. period_ms 0: none is wanted. Returns 0 or -ENOMEM.
int watchdog_init(struct watchdog *watchdog, uint64_t period_ms) __attribute__((warn_unused_result));
// In the worker, on the thread itself; `count` may be NULL.
void watchdog_note(struct watchdog_count *count);
// In the monitor: true = all of them have turned since the last look. Those that have not for some time are told in the log, once.
bool watchdog_look(struct watchdog *watchdog);

#endif
