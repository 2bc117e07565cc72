// SPDX-License-Identifier: MIT
/*
 * status_client: see status_client.h.
 */
#include "status_client.h"

#include <stdbool.h>
#include <stdio.h>

#include "ethercord/clock.h"
#include "status_text.h"

static bool is_status(const json_t *document, const char *name, char problem[static CONTROL_PROBLEM_CAP])
{
    const json_t *schema = json_object_get(document, "schema");
    if (json_is_integer(schema) && json_integer_value(schema) == STATUS_SCHEMA)
        return true;
    snprintf(problem, CONTROL_PROBLEM_CAP,
             "instance '%s' tells its status in a form that this program does not know; restart the older one", name);
    return false;
}

json_t *status_read(struct control_client *client, uint64_t deadline_ns, char problem[static CONTROL_PROBLEM_CAP])
{
    json_t *document = control_client_read(client, deadline_ns, problem);

    if (!document && !problem[0])
        snprintf(problem, CONTROL_PROBLEM_CAP,
                 "instance '%s' ended the connection without an answer: it is stopping, or too many ask; try again", client->name);
    if (!document || is_status(document, client->name, problem))
        return document;
    json_decref(document);
    return NULL;
}

json_t *status_fetch(const char *run_dir, const char *name, char problem[static CONTROL_PROBLEM_CAP])
{
    struct control_client client;

    if (!control_client_open(&client, run_dir, name, "status", problem))
        return NULL;
    json_t *document = status_read(&client, now_boot_ns() + CONTROL_TIMEOUT_MS * NS_PER_MS, problem);
    control_client_close(&client);
    return document;
}
