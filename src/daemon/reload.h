// SPDX-License-Identifier: MIT
/*
 * reload: the monitor's part of a reload (docs/reload.md): reads the configuration file again, compares it with what is in force, and sends
 * the worker what changes, in one message: all of it is put into force, or nothing. What has changed, what needs a restart and what is
 * wrong goes to the log, and to whoever asked through the worker.
 *
 * The monitor keeps no secret of what is in force; it knows a PSK again by a keyed hash.
 */
#ifndef ETHERCORD_DAEMON_RELOAD_H
#define ETHERCORD_DAEMON_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "ethercord/config.h"
#include "ethercord/lookup.h"
#include "ipc.h"

struct reload;

// At the start, while memory can be locked: `running` still has its secrets, and must outlive this. `path`: absolute; NULL = there is no
// file that can be read again. NULL when memory is short.
struct reload *reload_new(struct config *running, const char *path);
void reload_free(struct reload *reload);

// In the monitor. `lookup` hears when the name in Endpoint changes. Returns 0 or negative errno.
int reload_start(struct reload *reload, uv_loop_t *uv, int ipc_fd, struct lookup *lookup);

// On SIGHUP.
void reload_run(struct reload *reload);
// For the worker, which gets the answer; one at a time: another one meanwhile has none.
void reload_answer(struct reload *reload, const struct ipc_message *request);

#endif
