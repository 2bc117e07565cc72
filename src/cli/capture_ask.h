// SPDX-License-Identifier: MIT
/*
 * capture_ask: from the words of a command line to the request of a capture (docs/control.md#capture): libpcap compiles the filter here,
 * where it may look up names, and the instance gets the program.
 */
#ifndef ETHERCORD_CLI_CAPTURE_ASK_H
#define ETHERCORD_CLI_CAPTURE_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "control_client.h"
#include "options.h"

enum { CAPTURE_FILTER_CAP = 1024, CAPTURE_REQUEST_CAP = 12 * 1024 };

struct capture_ask {
    char filter[CAPTURE_FILTER_CAP]; // "" = every frame
    char request[CAPTURE_REQUEST_CAP];
};

// False with `problem`, which is the user's to mend.
bool capture_ask_make(struct capture_ask *ask, const struct command_line *line, char problem[static CONTROL_PROBLEM_CAP]);
// The value of an option, 1 to `max`; stays as it is when `text` is NULL.
bool capture_ask_number(const char *option, const char *text, uint64_t max, uint64_t *number, char problem[static CONTROL_PROBLEM_CAP]);

#endif
