// SPDX-License-Identifier: MIT
/*
 * line: see line.h.
 */
#include "ethercord/line.h"

#include <stdarg.h>
#include <stdio.h>

int line_fail(const struct line *line, int result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line->text, line->cap, format, arguments);
    va_end(arguments);
    return result;
}
