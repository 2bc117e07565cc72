// SPDX-License-Identifier: MIT
/*
 * program: what commands and daemon have to agree on: exit codes, the version, and where running instances are found.
 */
#ifndef ETHERCORD_PROGRAM_H
#define ETHERCORD_PROGRAM_H

#ifndef ETHERCORD_VERSION
#define ETHERCORD_VERSION "0.1.0"
#endif

// Folder of the control sockets: <folder>/<instance>.sock.
#define RUN_DIR_DEFAULT "/run/ethercord"

enum exit_code { CODE_DONE = 0, CODE_FAILED = 1, CODE_USAGE = 2 };

#endif
