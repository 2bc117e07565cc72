// SPDX-License-Identifier: MIT
/*
 * reload_requests: see reload_requests.h.
 *
 *   waiting   until no reload is under way, and the last one is not too recent
 *   asked     the monitor has the request; lines come, then the end; all askers of this kind get one document
 */
#include "reload_requests.h"

#include <stdlib.h>
#include <string.h>

#include "ethercord/bucket.h"
#include "ethercord/clock.h"

static const char *const line_names[IPC_LINE_COUNT] = {"changed", "needs_restart", "errors", "warnings"};
static const char *const result_names[IPC_RESULT_COUNT] = {"done", "invalid", "failed"};

struct reload_asker {
    struct reload_requests *requests;
    struct reload_asker *next;
    struct control_client *client;
    bool is_trial;
    bool is_asked;
};

static void ask_next(struct reload_requests *requests);

static void on_pause_over(uv_timer_t *timer)
{
    ask_next(timer->data);
}

static void unlink_asker(struct reload_asker *asker)
{
    struct reload_asker **at = &asker->requests->first;

    while (*at != asker)
        at = &(*at)->next;
    *at = asker->next;
    free(asker);
}

static void on_gone(void *user)
{
    unlink_asker(user);
}

static json_t *document_of(const struct reload_requests *requests, enum ipc_result result)
{
    json_t *document = json_pack("{s:i, s:s, s:b, s:s?}", "schema", 1, "result", result_names[result], "trial", (int)requests->is_trial,
                                 "file", requests->path);

    for (int i = 0; document && i < IPC_LINE_COUNT; i++)
        json_object_set(document, line_names[i], requests->lines[i]);
    return document;
}

// Each of those whose turn it was gets the document, or else the problem.
static void answer_all(struct reload_requests *requests, enum ipc_result result, const char *problem)
{
    struct reload_asker *next;

    requests->is_asking = false;
    uv_timer_stop(&requests->timer);
    for (struct reload_asker *asker = requests->first; asker; asker = next) {
        next = asker->next;
        if (!asker->is_asked)
            continue;
        struct control_client *client = asker->client;
        unlink_asker(asker);
        if (problem)
            control_refuse(client, problem);
        else
            control_say_take(client, document_of(requests, result));
        control_end(client);
    }
    ask_next(requests);
}

static void on_timeout(uv_timer_t *timer)
{
    answer_all(timer->data, IPC_RESULT_FAILED,
               "the monitor does not answer (perhaps the file is on a file system that does not): see the log for what came of it");
}

static void clear_lines(struct reload_requests *requests)
{
    for (int i = 0; i < IPC_LINE_COUNT; i++) {
        json_decref(requests->lines[i]);
        requests->lines[i] = json_array();
    }
}

static void ask_monitor(struct reload_requests *requests)
{
    struct ipc_message message = {.kind = IPC_RELOAD, .id = ++requests->id, .reload.is_trial = requests->is_trial};

    clear_lines(requests);
    requests->is_asking = true;
    bool is_sent = ipc_send(requests->ipc_fd, &message) == 0;
    uv_timer_start(&requests->timer, on_timeout, is_sent ? RELOAD_TIMEOUT_MS : 0, 0);
}

static void ask_next(struct reload_requests *requests)
{
    if (requests->is_asking || !requests->first)
        return;
    if (!bucket_take(&requests->asked_full_ns, RELOAD_EVERY_MS * NS_PER_MS, RELOADS_BURST, now_boot_ns())) {
        uv_timer_start(&requests->timer, on_pause_over, RELOAD_EVERY_MS, 0);
        return;
    }
    requests->is_trial = requests->first->is_trial;
    for (struct reload_asker *asker = requests->first; asker; asker = asker->next)
        asker->is_asked = asker->is_trial == requests->is_trial;
    ask_monitor(requests);
}

void reload_requests_ask(struct reload_requests *requests, struct control_client *client, const char *arguments)
{
    bool is_trial = strcmp(arguments, "trial") == 0;
    struct reload_asker *asker = is_trial || !*arguments ? calloc(1, sizeof *asker) : NULL;

    if (!asker) {
        control_refuse(client, *arguments && !is_trial ? "reload: expected nothing or 'trial' behind it" : "out of memory");
        control_end(client);
        return;
    }
    *asker = (struct reload_asker){.requests = requests, .next = requests->first, .client = client, .is_trial = is_trial};
    requests->first = asker;
    control_on_gone(client, on_gone, asker);
    ask_next(requests);
}

void reload_requests_take(struct reload_requests *requests, const struct ipc_message *message)
{
    if (!requests->is_asking || message->id != requests->id) // of one that was given up
        return;
    if (message->kind == IPC_LINE)
        json_array_append_new(requests->lines[message->line.what], json_string(message->line.text));
    else
        answer_all(requests, (enum ipc_result)message->result, NULL);
}

int reload_requests_start(struct reload_requests *requests, uv_loop_t *uv)
{
    requests->timer.data = requests;
    return uv_timer_init(uv, &requests->timer);
}

// Who still waits ends with the control socket.
void reload_requests_stop(struct reload_requests *requests)
{
    for (int i = 0; i < IPC_LINE_COUNT; i++)
        json_decref(requests->lines[i]);
}
