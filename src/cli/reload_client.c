// SPDX-License-Identifier: MIT
/*
 * reload_client: see reload_client.h.
 */
#include "reload_client.h"

#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/program.h"

enum { SCHEMA = 1, ANSWER_S = 20 }; // longer than the daemon waits for itself

static bool is_reload(const json_t *document)
{
    static const char *const lists[] = {"changed", "needs_restart", "errors", "warnings"};

    if (json_integer_value(json_object_get(document, "schema")) != SCHEMA || !json_is_string(json_object_get(document, "result")))
        return false;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (!json_is_array(json_object_get(document, lists[i])))
            return false;
    return true;
}

json_t *reload_fetch(const char *run_dir, const char *name, bool is_trial, char problem[static CONTROL_PROBLEM_CAP])
{
    struct control_client client;

    if (!control_client_open(&client, run_dir, name, is_trial ? "reload trial" : "reload", problem))
        return NULL;
    json_t *document = control_client_read(&client, now_boot_ns() + ANSWER_S * NS_PER_S, problem);
    if (!document && !problem[0])
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' ended the connection without an answer: it is stopping, or too many ask",
                 client.name);
    if (document && !is_reload(document)) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' answers in a form that this program does not know; restart the older one",
                 client.name);
        json_decref(document);
        document = NULL;
    }
    control_client_close(&client);
    return document;
}

static size_t print_list(const json_t *document, const char *name, const char *title, FILE *out)
{
    const json_t *list = json_object_get(document, name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        fprintf(out, "  %-16s %s\n", title, text ? text : "?");
    }
    return json_array_size(list);
}

int reload_print(const json_t *document, FILE *out, FILE *errors)
{
    const char *result = json_string_value(json_object_get(document, "result"));
    bool is_trial = json_is_true(json_object_get(document, "trial"));

    print_list(document, "warnings", "warning", errors);
    print_list(document, "errors", "wrong", errors);
    if (strcmp(result, "done") != 0) {
        fprintf(errors, "nothing %s\n", is_trial ? "would change" : "has changed");
        return strcmp(result, "invalid") == 0 ? CODE_USAGE : CODE_FAILED;
    }
    size_t n = print_list(document, "changed", is_trial ? "would change" : "changed", out);
    n += print_list(document, "needs_restart", "needs a restart", out);
    if (n == 0)
        fprintf(out, "  nothing %s: the file says what is in force\n", is_trial ? "would change" : "has changed");
    return CODE_DONE;
}
