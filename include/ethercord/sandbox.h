// SPDX-License-Identifier: MIT
/*
 * sandbox: which system calls each process and thread may make: filters in the kernel (seccomp) that are made from one table, the
 * allow-list in sandbox_calls.c.
 *
 *   worker   common filter before its first thread; then main, tx and rx each put a narrower one on top for themselves
 *   monitor  one filter of its own, after it has started the worker
 *   web      one filter of its own; a call that is not on its list ends it as it would the worker
 *
 * A worker that makes a call which is not on the list is ended (SIGSYS), and the monitor says which call and which thread it was. For the
 * monitor such a call fails with EPERM instead: it loads the modules that look up names, whatever the system has, and a name that can't be
 * found must not end a cord that is up. What a filter is for, and how to add to the list: docs/sandbox.md.
 */
#ifndef ETHERCORD_SANDBOX_H
#define ETHERCORD_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/sandbox_calls.h"

// What monitor and worker tell each other without a message: a page that both see. The worker may write anything into it.
struct sandbox_page {
    _Atomic int32_t threads[SANDBOX_COUNT]; // thread ids of those that have a filter; 0 = none
    _Atomic int32_t refused_call;           // number + 1; 0 = none
    _Atomic int32_t refused_by;             // an enum sandbox_who
    // Of the monitor, for status; and whether the process that serves [Metrics] lives.
    _Atomic uint64_t monitor_capabilities;
    _Atomic uint32_t monitor_uid;
    atomic_bool is_monitor_confined;
    atomic_bool is_monitor_filtered;
    atomic_bool is_web_running;
};

// Of the worker.
struct sandbox {
    bool is_on;
    struct sandbox_page *page;
    void *filters[SANDBOX_COUNT]; // ready to be loaded; each thread takes its own
    _Atomic unsigned n_filters[SANDBOX_COUNT];
};

// Whether this build can have filters: the run-time of a sanitizer makes calls of its own that nobody knows beforehand.
bool sandbox_is_possible(void);
const char *sandbox_who_name(enum sandbox_who who);

// Before the fork. NULL when there is no memory. Lives until the process ends.
struct sandbox_page *sandbox_new_page(void);

// In the worker, once it has no_new_privs and before its first thread: makes all filters and loads the common one. Returns 0 or negative
// errno, with one line in `text`.
int sandbox_start(struct sandbox *sandbox, struct sandbox_page *page, char *text, size_t cap) __attribute__((warn_unused_result));
// On the thread itself: its own filter from now on. Does nothing when the sandbox is off; ends the process where it fails.
void sandbox_enter(struct sandbox *sandbox, enum sandbox_who who);

// In the monitor: its own filter from now on, and no_new_privs. Returns 0 or negative errno.
int sandbox_start_monitor(struct sandbox_page *page) __attribute__((warn_unused_result));
// In the process that serves [Metrics], which has a page of its own: its filter from now on. The same.
int sandbox_start_web(struct sandbox_page *page, char *text, size_t cap) __attribute__((warn_unused_result));
// Makes and loads one filter for this thread. Returns 0 or negative errno.
int sandbox_load(enum sandbox_who who) __attribute__((warn_unused_result));

// In the monitor, after SIGSYS has ended one of its children: what happened and what to do, as one line.
void sandbox_explain(const struct sandbox_page *page, char *text, size_t cap);

#endif
