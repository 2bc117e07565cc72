// SPDX-License-Identifier: MIT
/*
 * sparkline: the last values of something as a row of small bars, one character each, newest at the right.
 */
#ifndef ETHERCORD_CLI_SPARKLINE_H
#define ETHERCORD_CLI_SPARKLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SPARKLINE_VALUES = 60 };

struct sparkline {
    float values[SPARKLINE_VALUES]; // a ring; negative = not known
    size_t n, next;
};

void sparkline_add(struct sparkline *line, double value);
// The largest value there is; 0 = none.
double sparkline_max(const struct sparkline *line);
// Bars from 0 to the largest value; blank where it is not known. is_utf8: block characters, else ASCII.
void sparkline_put(const struct sparkline *line, bool is_utf8, FILE *out);

#endif
