// SPDX-License-Identifier: MIT
/*
 * notify: what a service manager is told, by the protocol of sd_notify(3): that the node runs, is being reloaded, is ending, how it is in
 * a line, and that it lives.
 *
 * Only the monitor tells anything, its worker and hooks are made to forget where to. Without a service manager (no NOTIFY_SOCKET)
 * nothing of this does anything.
 */
#ifndef ETHERCORD_DAEMON_NOTIFY_H
#define ETHERCORD_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/log.h"
#include "ipc.h"

struct notify {
    bool is_on;
    uint64_t watchdog_ms;     // a sign of life is missed when it has not come for so long; 0 = none is wanted
    char state[IPC_TEXT_CAP]; // as it was told last
    struct log_limit failed;
};

// In the process that will tell, while there is one: reads its environment.
void notify_init(struct notify *notify);
// In a child.
void notify_forget(void);

// `state`: one line, how it is.
void notify_ready(struct notify *notify, const char *state);
void notify_state(struct notify *notify, const char *state);
// Until it is ready again (notify_ready_again) or not reloading any more for another reason.
void notify_reloading(struct notify *notify);
void notify_ready_again(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_alive(struct notify *notify);

#endif
