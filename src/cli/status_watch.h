// SPDX-License-Identifier: MIT
/*
 * status_watch: the status screen again and again, in place, with sparklines of throughput and round trip, until Ctrl-C.
 */
#ifndef ETHERCORD_CLI_STATUS_WATCH_H
#define ETHERCORD_CLI_STATUS_WATCH_H

#include <stdbool.h>

// name: NULL = the only instance. wants_json: one document a line. An instance that ends is waited for. Returns the exit code; says on
// stderr what keeps it from beginning.
int status_watch(const char *run_dir, const char *name, bool wants_json);

#endif
