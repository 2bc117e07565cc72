// SPDX-License-Identifier: MIT
/*
 * hook_output: see hook_output.h. The log itself replaces control characters.
 */
#include "hook_output.h"

#include "ethercord/log.h"

static void end_line(struct hook_output *output)
{
    output->line[output->len] = '\0';
    if (output->len > 0 && output->n_lines < HOOK_LINES_MAX) {
        log_info("%s: %s%s", output->title, output->line, output->is_cut ? " ..." : "");
        output->n_lines++;
    } else if (output->len > 0) {
        output->n_left_out++;
    }
    output->len = 0;
    output->is_cut = false;
}

void hook_output_take(struct hook_output *output, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            end_line(output);
        else if (output->len < HOOK_LINE_MAX)
            output->line[output->len++] = bytes[i];
        else
            output->is_cut = true;
    }
}

void hook_output_end(struct hook_output *output)
{
    end_line(output);
    if (output->n_left_out > 0)
        log_warning("%s: %zu more lines are left out; let it print less, or send them to a file of its own", output->title,
                    output->n_left_out);
}
