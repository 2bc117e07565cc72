// SPDX-License-Identifier: MIT
/*
 * control: see control.h.
 *
 *   asking      reads its line; has CONTROL_SILENCE_MS for all of it, and gives way to somebody new when there are too many
 *   answering   a request has it; whatever it says now, the end of the connection included, ends it
 *   ended       what was said leaves, then the connection is closed; one of our own processes goes back to asking
 *
 * A client is freed when both of its handles are closed, which is a turn of the loop later.
 */
#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 16 };
enum state { ASKING, ANSWERING, ENDED, CLOSING };

struct control_client {
    uv_pipe_t pipe;
    uv_timer_t timer;
    struct control *control;
    struct control_client *previous, *next;
    enum state state;
    bool is_own; // a process of ours
    void (*gone)(void *user);
    void *user;
    int n_open_handles;
    size_t line_len;
    char line[CONTROL_LINE_CAP];
};

struct answer {
    uv_write_t write;
    struct control_client *client;
    char bytes[];
};

/* ---- the end of a connection ---- */

static void unlink_client(struct control *control, struct control_client *client)
{
    if (client->previous)
        client->previous->next = client->next;
    else
        control->first = client->next;
    if (client->next)
        client->next->previous = client->previous;
    else
        control->last = client->previous;
}

static void on_closed(uv_handle_t *handle)
{
    struct control_client *client = handle->data;

    if (--client->n_open_handles > 0)
        return;
    unlink_client(client->control, client);
    if (client->gone)
        client->gone(client->user);
    free(client);
}

static void close_client(struct control_client *client)
{
    if (client->state == CLOSING)
        return;
    client->state = CLOSING;
    client->control->n_clients--;
    uv_close((uv_handle_t *)&client->pipe, on_closed);
    uv_close((uv_handle_t *)&client->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer)
{
    close_client(timer->data);
}

static void limit_silence(struct control_client *client)
{
    if (!client->is_own)
        uv_timer_start(&client->timer, on_timeout, CONTROL_SILENCE_MS, 0);
}

/* ---- answering ---- */

static void go_on(struct control_client *client)
{
    if (client->state == ENDED && client->is_own)
        client->state = ASKING;
    else if (client->state == ENDED)
        close_client(client);
    else
        uv_timer_stop(&client->timer); // it has read everything
}

static void on_written(uv_write_t *write, int status)
{
    struct answer *answer = (struct answer *)write;
    struct control_client *client = answer->client;

    free(answer);
    if (client->state == CLOSING)
        return;
    if (status < 0)
        close_client(client);
    else if (control_unsent(client) == 0)
        go_on(client);
    else
        limit_silence(client);
}

size_t control_unsent(const struct control_client *client)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&client->pipe);
}

void control_say_bytes(struct control_client *client, const void *bytes, size_t len)
{
    struct answer *answer = client->state == CLOSING ? NULL : malloc(sizeof *answer + len);

    if (!answer || control_unsent(client) + len > CONTROL_UNSENT_MAX) {
        free(answer);
        close_client(client);
        return;
    }
    answer->client = client;
    memcpy(answer->bytes, bytes, len);
    uv_buf_t buf = uv_buf_init(answer->bytes, (unsigned)len);
    if (uv_write(&answer->write, (uv_stream_t *)&client->pipe, &buf, 1, on_written)) {
        free(answer);
        close_client(client);
    } else if (!uv_is_active((uv_handle_t *)&client->timer)) {
        limit_silence(client);
    }
}

void control_say_take(struct control_client *client, json_t *document)
{
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;

    json_decref(document);
    if (text) {
        size_t len = strlen(text);
        text[len] = '\n'; // in the place of the NUL
        control_say_bytes(client, text, len + 1);
    } else {
        close_client(client);
    }
    free(text);
}

void control_end(struct control_client *client)
{
    client->gone = NULL;
    if (client->state == CLOSING)
        return;
    client->state = ENDED;
    if (!client->is_own)
        uv_read_stop((uv_stream_t *)&client->pipe); // whether it could say more does not matter
    if (control_unsent(client) == 0)
        go_on(client);
}

void control_on_gone(struct control_client *client, void (*gone)(void *user), void *user)
{
    client->gone = gone;
    client->user = user;
}

/* ---- asking ---- */

void control_refuse(struct control_client *client, const char *text)
{
    control_say_take(client, json_pack("{s:s}", "error", text));
}

static void refuse_unknown(struct control_client *client)
{
    char text[256];
    int len = snprintf(text, sizeof text, "unknown request; there is:");

    for (const struct control_request *request = client->control->requests; request->word && len > 0 && (size_t)len < sizeof text;
         request++)
        len += snprintf(text + len, sizeof text - (size_t)len, " %s", request->word);
    control_refuse(client, text);
    control_end(client);
}

static void start_request(struct control_client *client)
{
    char *arguments = client->line + strcspn(client->line, " ");

    if (*arguments)
        *arguments++ = '\0';
    for (const struct control_request *request = client->control->requests; request->word; request++) {
        if (strcmp(request->word, client->line) == 0) {
            request->start(client->control->ctx, client, arguments);
            return;
        }
    }
    refuse_unknown(client);
}

static void take_text(struct control_client *client)
{
    char *end = memchr(client->line, '\n', client->line_len);

    if (!end) {
        if (client->line_len == sizeof client->line)
            close_client(client); // no request of ours is that long
        return;
    }
    *end = '\0';
    client->line_len = 0;
    client->state = ANSWERING;
    uv_timer_stop(&client->timer);
    start_request(client);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct control_client *client = handle->data;

    (void)suggested;
    *buf = uv_buf_init(client->line + client->line_len, (unsigned)(sizeof client->line - client->line_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct control_client *client = stream->data;

    (void)buf;
    if (n == 0)
        return;
    if (n < 0 || client->state != ASKING) {
        close_client(client);
        return;
    }
    client->line_len += (size_t)n;
    take_text(client);
}

/* ---- connections ---- */

static struct control_client *new_client(struct control *control, uv_loop_t *loop)
{
    struct control_client *client = calloc(1, sizeof *client);

    if (!client)
        return NULL;
    client->control = control;
    client->n_open_handles = 2;
    uv_pipe_init(loop, &client->pipe, 0);
    uv_timer_init(loop, &client->timer);
    client->pipe.data = client->timer.data = client;
    client->previous = control->last;
    if (control->last)
        control->last->next = client;
    else
        control->first = client;
    control->last = client;
    control->n_clients++;
    return client;
}

// Where there are too many, who has been there longest without having asked anything gives way to somebody new.
static void make_room(struct control *control)
{
    struct control_client *client = control->first;

    if (control->n_clients <= CONTROL_CLIENTS_MAX)
        return;
    while (client->state != ASKING || client->is_own)
        client = client->next; // the new one itself at the latest
    close_client(client);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct control *control = server->data;
    struct control_client *client = status == 0 ? new_client(control, server->loop) : NULL;

    if (!client)
        return;
    limit_silence(client);
    if (uv_accept(server, (uv_stream_t *)&client->pipe) || uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read))
        close_client(client);
    else
        make_room(control);
}

int control_adopt(struct control *control, int fd)
{
    struct control_client *client = new_client(control, control->server.loop);

    if (!client)
        return -ENOMEM;
    client->is_own = true;
    int error = uv_pipe_open(&client->pipe, fd);
    if (error || (error = uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read)))
        close_client(client);
    return error;
}

int control_start(struct control *control, uv_loop_t *loop, int fd)
{
    int error = uv_pipe_init(loop, &control->server, 0);

    control->server.data = control;
    if (error || (error = uv_pipe_open(&control->server, fd)))
        return error;
    return uv_listen((uv_stream_t *)&control->server, BACKLOG, on_connection);
}

void control_stop(struct control *control)
{
    if (!uv_is_closing((uv_handle_t *)&control->server))
        uv_close((uv_handle_t *)&control->server, NULL);
    for (struct control_client *client = control->first; client; client = client->next)
        close_client(client);
}
