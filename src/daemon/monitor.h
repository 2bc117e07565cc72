// SPDX-License-Identifier: MIT
/*
 * monitor: the small privileged parent. It resolves names for the worker, reads the configuration again, passes on the signal to stop, and
 * cleans up after it.
 */
#ifndef ETHERCORD_DAEMON_MONITOR_H
#define ETHERCORD_DAEMON_MONITOR_H

#include <sys/types.h>

#include "ethercord/config.h"
#include "ethercord/sandbox.h"
#include "hooks.h"
#include "notify.h"
#include "reload.h"
#include "watchdog.h"
#include "web_process.h"

// SIG_BLOCK while the stages of the start run, so that what they did is undone whenever the signal comes; SIG_UNBLOCK in either process
// as soon as it handles them.
void stop_signals(int how);

// What it has besides its worker.
struct monitor_tools {
    struct notify notify;
    struct watchdog watchdog;
    struct reload *reload;
    struct hooks hooks; // opened
    struct web_process web;
};

// In the parent, right after the fork, with the parent's end of the ipc pair. Returns when the worker has ended: the exit code.
int monitor_main(const struct config *config, pid_t worker, int ipc_fd, const struct sandbox_page *page, struct monitor_tools *tools);

#endif
