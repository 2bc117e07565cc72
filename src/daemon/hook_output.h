// SPDX-License-Identifier: MIT
/*
 * hook_output: what a hook prints, as lines of the log: so many of them per run, and none longer than the log takes.
 */
#ifndef ETHERCORD_DAEMON_HOOK_OUTPUT_H
#define ETHERCORD_DAEMON_HOOK_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

enum { HOOK_LINE_MAX = 400, HOOK_LINES_MAX = 50 };

// Of one run. Starts out zeroed but for `title`.
struct hook_output {
    const char *title;
    char line[HOOK_LINE_MAX + 1];
    size_t len;
    bool is_cut;       // the rest of this line is left out
    size_t n_lines;    // in the log
    size_t n_left_out; // and not
};

void hook_output_take(struct hook_output *output, const char *bytes, size_t len);
// Writes a last line that has no line feed, and says how many were left out.
void hook_output_end(struct hook_output *output);

#endif
