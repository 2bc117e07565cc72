// SPDX-License-Identifier: MIT
/*
 * sandbox_calls: the allow-list of system calls as a table: name, who may make it, with which argument, and what for.
 *
 * By name, so that it can be loaded on every machine: libseccomp leaves out what a machine does not have. docs/sandbox.md shows the same
 * table.
 */
#ifndef ETHERCORD_SANDBOX_CALLS_H
#define ETHERCORD_SANDBOX_CALLS_H

#include <seccomp.h>
#include <stddef.h>

// START is what the worker may do until its threads run, on top of what each of them may do later.
enum sandbox_who { SANDBOX_START, SANDBOX_MAIN, SANDBOX_TX, SANDBOX_RX, SANDBOX_MONITOR, SANDBOX_WEB, SANDBOX_COUNT };

enum sandbox_answer {
    ANSWER_ALLOW,
    ANSWER_NO_FILE, // fails with ENOENT: the caller goes on without
    ANSWER_NO_CALL  // fails with ENOSYS: the caller takes an older call, which can be checked
};

struct sandbox_call {
    const char *name;
    unsigned who; // bits 1 << enum sandbox_who
    enum sandbox_answer answer;
    unsigned n_checks; // 0: any arguments; 1: `check`; 2: also, the first argument is the id of the process that loads the filter
    struct scmp_arg_cmp check;
    const char *why;
};

extern const struct sandbox_call sandbox_calls[];
extern const size_t sandbox_n_calls;

#endif
