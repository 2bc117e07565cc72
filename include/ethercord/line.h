// SPDX-License-Identifier: MIT
/*
 * line: the one line that says what failed and what to do about it, in a caller's buffer.
 */
#ifndef ETHERCORD_LINE_H
#define ETHERCORD_LINE_H

#include <stddef.h>

struct line {
    char *text;
    size_t cap;
};

// Writes the line (cut where it does not fit) and hands `result` back, so that a rejection is one statement.
int line_fail(const struct line *line, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
