// SPDX-License-Identifier: MIT
/*
 * status_command: status: asks the daemon, and shows the answer to a person or to a script.
 */
#include <jansson.h>
#include <stdio.h>

#include "commands.h"
#include "ethercord/program.h"
#include "status_client.h"
#include "status_text.h"
#include "status_watch.h"

int command_status(const struct command_line *line)
{
    const char *name = line->n_arguments > 0 ? line->arguments[0] : NULL;
    struct text_style style = text_style_of(stdout);
    char problem[CONTROL_PROBLEM_CAP];
    if (line->wants_watch)
        return status_watch(command_run_dir(line), name, line->wants_json);
    json_t *status = status_fetch(command_run_dir(line), name, problem);
    if (!status) {
        command_problem("status", problem);
        return CODE_FAILED;
    }
    if (line->wants_json) {
        (void)json_dumpf(status, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
    } else {
        status_text_print(status, &style, stdout);
    }
    json_decref(status);
    return CODE_DONE;
}
