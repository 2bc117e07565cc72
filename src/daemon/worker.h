// SPDX-License-Identifier: MIT
/*
 * worker: the process that does the work, without any privilege: three threads around one node.
 */
#ifndef ETHERCORD_DAEMON_WORKER_H
#define ETHERCORD_DAEMON_WORKER_H

#include "ethercord/config.h"
#include "ethercord/sandbox.h"
#include "ethercord/tap.h"
#include "ethercord/udp.h"
#include "watchdog.h"

// What the monitor opened.
struct worker_devices {
    struct tap tap;
    struct udp udp[2]; // IPv4, IPv6
    struct mac_address tap_mac;
    int control_fd;
    int ipc_fd;
    int web_fd; // the process that serves [Metrics] asks here; -1 = there is none
    bool wants_sandbox;
    const char *run_dir;     // to be able to leave it
    const char *config_path; // NULL = none
    struct sandbox_page *page;
    const struct watchdog *watchdog; // how often to turn, and where to count it
    bool wants_state_line;
};

// In the child, right after the fork. Wipes the secrets in `config`. Returns the exit code.
int worker_main(struct config *config, struct worker_devices *devices);

#endif
