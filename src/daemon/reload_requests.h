// SPDX-License-Identifier: MIT
/*
 * reload_requests: the worker's part of a reload: takes the request from the control socket, passes it on to the monitor, and gives its
 * answer to whoever asked. Putting the settings into force is worker.c's.
 *
 * One reload at a time. All who ask while one is under way share the next one, which reads the file after the last of them asked. Main
 * thread only.
 */
#ifndef ETHERCORD_DAEMON_RELOAD_REQUESTS_H
#define ETHERCORD_DAEMON_RELOAD_REQUESTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "control.h"
#include "ipc.h"

// Tuning constants.
enum {
    RELOAD_EVERY_MS = 2 * IPC_RELOAD_EVERY_MS, // to the monitor, and …
    RELOADS_BURST = IPC_RELOADS_MAX / 2,       // … so many at once: less than it takes, whatever is held up on the way
    RELOAD_TIMEOUT_MS = 15000                  // then a file system, say, keeps the monitor waiting
};

struct reload_asker;

struct reload_requests {
    const char *path; // of the file; NULL = none
    int ipc_fd;
    uv_timer_t timer;
    struct reload_asker *first; // the newest one
    bool is_asking;             // the monitor
    bool is_trial;              // what it is asked
    uint32_t id;
    uint64_t asked_full_ns;        // bucket
    json_t *lines[IPC_LINE_COUNT]; // lists
};

// `path` and `ipc_fd` are filled in by the caller. Returns 0 or negative errno.
int reload_requests_start(struct reload_requests *requests, uv_loop_t *uv);
void reload_requests_stop(struct reload_requests *requests);
// arguments: "" or "trial".
void reload_requests_ask(struct reload_requests *requests, struct control_client *client, const char *arguments);
// IPC_LINE, IPC_RELOADED.
void reload_requests_take(struct reload_requests *requests, const struct ipc_message *message);

#endif
