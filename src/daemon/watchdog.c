// SPDX-License-Identifier: MIT
/*
 * watchdog: see watchdog.h.
 */
#include "watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "ethercord/log.h"

static const char *const names[] = {[NODE_MAIN] = "main", [NODE_TX] = "tx", [NODE_RX] = "rx"};
_Static_assert(sizeof names / sizeof names[0] == NODE_THREADS, "a name for each");

int watchdog_init(struct watchdog *watchdog, uint64_t period_ms)
{
    *watchdog = (struct watchdog){.every_ms = period_ms / WATCHDOG_LOOKS};
    if (watchdog->every_ms == 0)
        return 0;
    void *page = mmap(NULL, sizeof *watchdog->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -ENOMEM;
    watchdog->page = page;
    return 0;
}

void watchdog_note(struct watchdog_count *count)
{
    if (count)
        atomic_fetch_add_explicit(&count->n_turns, 1, memory_order_relaxed);
}

static void note_missed(struct watchdog *watchdog, enum node_thread thread)
{
    if (++watchdog->n_missed[thread] == WATCHDOG_MISSES_TOLD)
        log_tell(&(struct log_about){.event = LOG_EVENT_WORKER_STUCK},
                 "thread %s of the worker has not turned for %" PRIu64
                 " ms: the service manager is not told any more that we live, and will "
                 "end this instance; please report this, with what the machine was doing",
                 names[thread], watchdog->every_ms * WATCHDOG_MISSES_TOLD);
}

static bool has_turned(struct watchdog *watchdog, enum node_thread thread)
{
    uint32_t n = atomic_load_explicit(&watchdog->page->threads[thread].n_turns, memory_order_relaxed);

    if (n == watchdog->seen[thread]) {
        note_missed(watchdog, thread);
        return false;
    }
    if (watchdog->n_missed[thread] >= WATCHDOG_MISSES_TOLD)
        log_tell(&(struct log_about){.event = LOG_EVENT_WORKER_TURNS}, "thread %s of the worker turns again", names[thread]);
    watchdog->n_missed[thread] = 0;
    watchdog->seen[thread] = n;
    return true;
}

bool watchdog_look(struct watchdog *watchdog)
{
    if (!has_turned(watchdog, NODE_MAIN)) // who wakes the others
        return false;
    bool has_tx = has_turned(watchdog, NODE_TX), has_rx = has_turned(watchdog, NODE_RX);
    return has_tx && has_rx;
}
