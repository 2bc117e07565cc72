// SPDX-License-Identifier: MIT
/*
 * control: see control.h.
 */
#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// Tuning constants.
enum { CLIENTS_MAX = 16, LINE_CAP = 64, CLIENT_MS = 5000, BACKLOG = 16 };

struct client {
    uv_pipe_t pipe;
    uv_timer_t timer;
    uv_write_t write;
    struct control *control;
    char line[LINE_CAP];
    size_t line_len;
    char *answer;
    int n_open_handles;
};

/* ---- opening ---- */

static bool is_served(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // EAGAIN: somebody listens, but is too busy to take us; a blocking call would wait for that.
    bool is_there = fd >= 0 && (connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN);

    if (fd >= 0)
        close(fd);
    return is_there;
}

// Whatever is no socket is not ours to remove.
static int remove_stale(const struct sockaddr_un *sun)
{
    struct stat st;

    if (lstat(sun->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    return unlink(sun->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0)
        return -errno;
    mode_t mask = umask(0117); // never open to others, not even for a moment
    error = bind(fd, (const struct sockaddr *)sun, sizeof *sun) < 0 ? -errno : 0;
    umask(mask);
    if (!error && listen(fd, BACKLOG) < 0)
        error = -errno;
    if (!error)
        return fd;
    close(fd);
    return error;
}

int control_open(const char *run_dir, const char *name, char path[static CONTROL_PATH_CAP], char *text, size_t cap)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int len = snprintf(sun.sun_path, sizeof sun.sun_path, "%s/%s.sock", run_dir, name);
    int error;

    if (len < 0 || (size_t)len >= sizeof sun.sun_path) {
        snprintf(text, cap, "the path of the control socket is too long: choose a shorter --run-dir");
        return -ENAMETOOLONG;
    }
    if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
        error = -errno;
        snprintf(text, cap, "can't make the folder %s for the control socket: %s; make it, or name another one with --run-dir", run_dir,
                 strerror(-error));
        return error;
    }
    if (is_served(&sun)) {
        snprintf(text, cap, "instance '%s' is running already (%s); stop that one first", name, sun.sun_path);
        return -EADDRINUSE;
    }
    error = remove_stale(&sun);
    if (error) {
        snprintf(text, cap, "can't put the control socket at %s: %s; move away what is there", sun.sun_path, strerror(-error));
        return error;
    }
    int fd = listen_at(&sun);
    if (fd < 0)
        snprintf(text, cap, "can't listen at %s: %s", sun.sun_path, strerror(-fd));
    memcpy(path, sun.sun_path, CONTROL_PATH_CAP);
    return fd;
}

/* ---- serving ---- */

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    if (--client->n_open_handles > 0)
        return;
    client->control->n_clients--;
    free(client->answer);
    free(client);
}

static void client_close(struct client *client)
{
    if (uv_is_closing((uv_handle_t *)&client->pipe))
        return;
    uv_close((uv_handle_t *)&client->pipe, on_client_closed);
    uv_close((uv_handle_t *)&client->timer, on_client_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    client_close(write->data);
}

static void on_timeout(uv_timer_t *timer)
{
    client_close(timer->data);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = handle->data;

    (void)suggested;
    *buf = uv_buf_init(client->line + client->line_len, (unsigned)(sizeof client->line - client->line_len));
}

static json_t *answer_to(struct client *client, const char *line)
{
    if (strcmp(line, "status") == 0)
        return client->control->build(client->control->ctx);
    return json_pack("{s:s}", "error", "unknown request; there is: status");
}

static void answer(struct client *client, const char *line)
{
    json_t *document = answer_to(client, line);

    uv_read_stop((uv_stream_t *)&client->pipe);
    client->answer = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    if (!client->answer) {
        client_close(client);
        return;
    }
    uv_buf_t buf = uv_buf_init(client->answer, (unsigned)strlen(client->answer));
    client->write.data = client;
    if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buf, 1, on_written))
        client_close(client);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;

    (void)buf;
    if (n < 0) {
        client_close(client);
        return;
    }
    client->line_len += (size_t)n;
    char *end = memchr(client->line, '\n', client->line_len);
    if (end) {
        *end = '\0';
        answer(client, client->line);
    } else if (client->line_len == sizeof client->line) {
        client_close(client); // no request of ours is that long
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct control *control = server->data;
    struct client *client = status == 0 ? calloc(1, sizeof *client) : NULL;

    if (!client)
        return;
    client->control = control;
    client->n_open_handles = 2;
    control->n_clients++;
    uv_pipe_init(server->loop, &client->pipe, 0);
    uv_timer_init(server->loop, &client->timer);
    client->pipe.data = client->timer.data = client;
    if (uv_accept(server, (uv_stream_t *)&client->pipe) || control->n_clients > CLIENTS_MAX ||
        uv_timer_start(&client->timer, on_timeout, CLIENT_MS, 0) || uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read))
        client_close(client);
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
}
