// SPDX-License-Identifier: MIT
/*
 * sparkline: see sparkline.h.
 */
#include "sparkline.h"

enum { LEVELS = 8 };

void sparkline_add(struct sparkline *line, double value)
{
    line->values[line->next] = value >= 0 ? (float)value : -1; // what is no number is not known either
    line->next = (line->next + 1) % SPARKLINE_VALUES;
    line->n += line->n < SPARKLINE_VALUES;
}

static double value_at(const struct sparkline *line, size_t i)
{
    return line->values[(line->next + SPARKLINE_VALUES - line->n + i) % SPARKLINE_VALUES];
}

double sparkline_max(const struct sparkline *line)
{
    double max = 0;

    for (size_t i = 0; i < line->n; i++)
        max = value_at(line, i) > max ? value_at(line, i) : max;
    return max;
}

void sparkline_put(const struct sparkline *line, bool is_utf8, FILE *out)
{
    static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[LEVELS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    double max = sparkline_max(line);

    for (size_t i = 0; i < line->n; i++) {
        double value = value_at(line, i), share = max > 0 ? value / max : 0;
        size_t level = (size_t)(share * (LEVELS - 1) + 0.5);
        fputs(value < 0 ? " " : (is_utf8 ? blocks : ascii)[level < LEVELS ? level : LEVELS - 1], out);
    }
}
