// SPDX-License-Identifier: MIT
/*
 * web_process: the life of the process that serves [Metrics] (ethercord/web.h), as its parent, the monitor, sees it. All of it does nothing
 * without [Metrics].
 *
 *   open    while there are privileges: the listening socket
 *   pair    before the worker is forked, which gets one end of the socketpair (worker_fd)
 *   fork    by the caller, when no key and no device is left in the parent; then main in the child, note in the parent
 *   reap    when a child has ended; end, when the worker has
 */
#ifndef ETHERCORD_DAEMON_WEB_PROCESS_H
#define ETHERCORD_DAEMON_WEB_PROCESS_H

#include <sys/types.h>

#include "ethercord/web.h"

struct web_process {
    struct web_order order; // listen_fd -1 = without [Metrics]
    int worker_fd;          // the worker's end; -1 = none
    pid_t pid;              // 0 = not there, or no longer
    struct sandbox_page *worker_page;
};

// Logs what is wrong.
bool web_process_open(struct web_process *web, const struct config *config, const char *run_dir);
// Returns 0 or negative errno.
int web_process_pair(struct web_process *web, bool wants_sandbox);
bool web_process_is_wanted(const struct web_process *web);
// In the worker: closes what is not its own.
void web_process_leave(const struct web_process *web);
// In the child: its exit code.
int web_process_main(const struct web_process *web);
// In the parent. `worker_page`: where the worker reads whether the process lives.
void web_process_note(struct web_process *web, pid_t pid, struct sandbox_page *worker_page);
// is_expected: the worker ends too, so nobody need be told.
void web_process_reap(struct web_process *web, bool is_expected);
void web_process_end(struct web_process *web);

#endif
