// SPDX-License-Identifier: MIT
/*
 * hook_runner: the process that runs the operator's own commands. It is there only when the configuration has some.
 *
 * It is forked before the monitor gives anything up, and before the first descriptor of ours is open: it keeps the privileges of who
 * started ethercord, which hooks need, and holds nothing but stdin, stdout, stderr and its end of a socketpair, over which it takes orders
 * (hook_orders.h). It wipes the keys first of all. It ends when the monitor says so or is gone, and ends before it what it runs.
 */
#ifndef ETHERCORD_DAEMON_HOOK_RUNNER_H
#define ETHERCORD_DAEMON_HOOK_RUNNER_H

#include <sys/types.h>

#include "ethercord/config.h"

enum { HOOK_GRACE_MS = 2000 }; // between SIGTERM and SIGKILL

// Forks. Returns the runner's process id, with our end of the socketpair in *fd; or negative errno. stop_signals(SIG_BLOCK) was called.
pid_t hook_runner_start(struct config *config, int *fd);

#endif
