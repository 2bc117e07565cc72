// SPDX-License-Identifier: MIT
/*
 * reload_command: reload: has the daemon read its file again, and says what came of it.
 */
#include "commands.h"
#include "ethercord/program.h"
#include "reload_client.h"

static void print_title(const json_t *document)
{
    const char *file = json_string_value(json_object_get(document, "file"));

    if (file)
        printf("%s:\n", file);
}

int command_reload(const struct command_line *line)
{
    char problem[CONTROL_PROBLEM_CAP];
    const char *name = line->n_arguments > 0 ? line->arguments[0] : NULL;
    json_t *document = reload_fetch(command_run_dir(line), name, line->is_dry_run, problem);

    if (!document) {
        command_problem("reload", problem);
        return CODE_FAILED;
    }
    if (line->wants_json) {
        (void)json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
    } else {
        print_title(document);
    }
    FILE *nothing = line->wants_json ? fopen("/dev/null", "we") : NULL;
    int exit_code = reload_print(document, nothing ? nothing : stdout, nothing ? nothing : stderr);
    if (nothing)
        (void)fclose(nothing);
    json_decref(document);
    return exit_code;
}
