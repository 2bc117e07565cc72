// SPDX-License-Identifier: MIT
/*
 * control: opening the socket in every state that a folder can be in, and serving through a real loop: good, bad, slow, too many and
 * vanishing clients. The clients are plain sockets of this program; the loop is turned by hand, so nothing waits for the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/daemon/control.h"

enum { TEXT_CAP = 256, ANSWER_CAP = 1 << 20, TURNS_MAX = 2000, GONE = -1, NOTHING_YET = -2 };

struct context {
    char dir[64]; // of this test, removed afterwards
    char path[CONTROL_PATH_CAP];
    char text[TEXT_CAP];
    int fd;
    uv_loop_t loop;
    struct control control;
    int n_built;
    size_t padding; // bytes in the answer to "status"
    bool is_out_of_memory;
    const char *group;
    struct control_client *asker; // of "stream", while it is there
    char arguments[32];
    int n_gone;
};

static int set_up(void **state)
{
    static struct context context;

    context = (struct context){.dir = "/tmp/ethercord-control-XXXXXX", .fd = -1, .group = ""};
    *state = &context;
    return mkdtemp(context.dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct context *context = *state;
    char command[128];

    if (context->fd >= 0)
        close(context->fd);
    snprintf(command, sizeof command, "rm -rf '%s'", context->dir);
    return system(command);
}

static int open_at(struct context *context, const char *dir)
{
    memset(context->text, 0, sizeof context->text);
    struct control_place place = {.run_dir = dir, .name = "site-a", .group = context->group};
    return control_open(&place, context->path, context->text, sizeof context->text);
}

static int connect_to(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* ---- opening ---- */

static void test_open(void **state)
{
    struct context *context = *state;
    struct stat st;
    char expected[CONTROL_PATH_CAP];

    context->fd = open_at(context, context->dir);
    assert_true(context->fd >= 0);
    snprintf(expected, sizeof expected, "%s/site-a.sock", context->dir);
    assert_string_equal(context->path, expected);
    assert_int_equal(stat(context->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(fcntl(context->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(context->fd, F_GETFL) & O_NONBLOCK);
    int client = connect_to(context->path);
    assert_true(client >= 0);
    close(client);
}

// The mode does not depend on the umask, which is the caller's again afterwards.
static void test_open_mode(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    struct context *context = *state;
    struct stat st;

    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        mode_t before = umask(masks[i]);
        int fd = open_at(context, context->dir);
        assert_int_equal(umask(before), masks[i]);
        assert_true(fd >= 0);
        assert_int_equal(stat(context->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0660);
        close(fd);
    }
}

static void test_open_group(void **state)
{
    struct context *context = *state;
    struct stat st;

    context->group = "no-such-group-here";
    assert_int_equal(open_at(context, context->dir), -ENOENT);
    assert_non_null(strstr(context->text, "groupadd --system no-such-group-here"));
    assert_non_null(strstr(context->text, "ControlGroup"));
    assert_int_equal(lstat(context->path, &st), -1); // and nothing is left
    context->group = "daemon";
    if (geteuid() != 0) {
        print_message("not root: a group of others can't be given the socket\n");
        skip();
    }
    context->fd = open_at(context, context->dir);
    assert_true(context->fd >= 0);
    assert_int_equal(stat(context->path, &st), 0);
    assert_int_equal(st.st_gid, getgrnam("daemon")->gr_gid);
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_open_makes_folder(void **state)
{
    struct context *context = *state;
    char dir[96], deep[128], name[128];
    struct stat st;

    snprintf(dir, sizeof dir, "%s/run", context->dir);
    context->fd = open_at(context, dir);
    assert_true(context->fd >= 0);
    assert_int_equal(stat(dir, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 022, 0); // nobody else may put a socket there

    snprintf(deep, sizeof deep, "%s/missing/run", context->dir); // only the last folder is made
    assert_int_equal(open_at(context, deep), -ENOENT);
    assert_non_null(strstr(context->text, deep));
    assert_non_null(strstr(context->text, "--run-dir"));

    snprintf(name, sizeof name, "%s/site-a.sock", dir); // what is there is no folder
    assert_int_equal(open_at(context, name), -ENOTDIR);
    assert_true(context->text[0] != '\0');
}

static void test_open_refuses_served(void **state)
{
    struct context *context = *state;

    context->fd = open_at(context, context->dir);
    assert_true(context->fd >= 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_at(context, context->dir), -EADDRINUSE);
        assert_non_null(strstr(context->text, "site-a"));
        assert_non_null(strstr(context->text, "running already"));
    }
    int client = connect_to(context->path); // and the one that was there is unharmed
    assert_true(client >= 0);
    close(client);
}

// An instance that is there but too busy to take the connection is running all the same; asking must not hang.
static void test_open_refuses_busy(void **state)
{
    struct context *context = *state;
    int waiting[64];
    size_t n = 0;

    context->fd = open_at(context, context->dir);
    assert_true(context->fd >= 0);
    while (n < sizeof waiting / sizeof waiting[0] && (waiting[n] = connect_to(context->path)) >= 0)
        n++;
    assert_true(n > 0 && n < sizeof waiting / sizeof waiting[0]); // its queue is full now
    alarm(10);
    assert_int_equal(open_at(context, context->dir), -EADDRINUSE);
    alarm(0);
    assert_non_null(strstr(context->text, "running already"));
    for (size_t i = 0; i < n; i++)
        close(waiting[i]);
}

static void test_open_replaces_stale(void **state)
{
    struct context *context = *state;

    for (int i = 0; i < 3; i++) {
        int fd = open_at(context, context->dir);
        assert_true(fd >= 0);
        close(fd); // its owner dies; the socket stays
        assert_int_equal(connect_to(context->path), -ECONNREFUSED);
    }
    context->fd = open_at(context, context->dir);
    assert_true(context->fd >= 0);
    int client = connect_to(context->path);
    assert_true(client >= 0);
    close(client);
}

// What is no socket is somebody's file, not ours to remove, and nobody is running.
static void test_open_keeps_other_files(void **state)
{
    struct context *context = *state;
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s/site-a.sock", context->dir);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    int error = open_at(context, context->dir);
    assert_true(error < 0 && error != -EADDRINUSE);
    assert_non_null(strstr(context->text, path));
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    error = open_at(context, context->dir);
    assert_true(error < 0 && error != -EADDRINUSE);
    assert_non_null(strstr(context->text, path));
}

static void test_open_path_length(void **state)
{
    struct context *context = *state;
    const char *end = "/site-a.sock";
    char dir[2 * CONTROL_PATH_CAP];
    struct stat st;

    for (size_t len = CONTROL_PATH_CAP - 3; len < CONTROL_PATH_CAP + 3; len++) { // of the whole path, without its NUL
        memset(dir, 'x', sizeof dir);
        memcpy(dir, context->dir, strlen(context->dir));
        dir[strlen(context->dir)] = '/';
        dir[len - strlen(end)] = '\0';
        int fd = open_at(context, dir);
        if (len < CONTROL_PATH_CAP) {
            assert_true(fd >= 0);
            assert_int_equal(strlen(context->path), len);
            close(fd);
            continue;
        }
        assert_int_equal(fd, -ENAMETOOLONG);
        assert_non_null(strstr(context->text, "--run-dir"));
        assert_int_equal(stat(dir, &st), -1); // nothing was made
    }
}

/* ---- serving ---- */

static json_t *build(void *ctx)
{
    struct context *context = ctx;
    char *padding = calloc(context->padding + 1, 1);

    context->n_built++;
    assert_non_null(padding);
    memset(padding, 'x', context->padding);
    json_t *document = context->is_out_of_memory ? NULL : json_pack("{s:i,s:s}", "answer", 42, "padding", padding);
    free(padding);
    return document;
}

static void answer_status(void *ctx, struct control_client *client, char *arguments)
{
    assert_string_equal(arguments, "");
    control_say_take(client, build(ctx));
    control_end(client);
}

static void on_gone(void *user)
{
    struct context *context = user;

    context->asker = NULL;
    context->n_gone++;
}

// Goes on until somebody ends it.
static void start_stream(void *ctx, struct control_client *client, char *arguments)
{
    struct context *context = ctx;

    snprintf(context->arguments, sizeof context->arguments, "%s", arguments);
    context->asker = client;
    control_on_gone(client, on_gone, context);
}

static const struct control_request requests[] = {{"status", answer_status}, {"stream", start_stream}, {.word = NULL}};

static int set_up_served(void **state)
{
    if (set_up(state))
        return -1;
    struct context *context = *state;
    int fd = open_at(context, context->dir);
    if (fd < 0 || uv_loop_init(&context->loop))
        return -1;
    context->control = (struct control){.requests = requests, .ctx = context};
    return control_start(&context->control, &context->loop, fd);
}

// Stopping ends the service at once and leaves nothing open in the loop.
static int tear_down_served(void **state)
{
    struct context *context = *state;

    control_stop(&context->control);
    control_stop(&context->control);
    if (connect_to(context->path) >= 0)
        return -1;
    for (int i = 0; i < TURNS_MAX && uv_run(&context->loop, UV_RUN_NOWAIT); i++)
        poll(NULL, 0, 1);
    return context->control.n_clients != 0 || uv_loop_close(&context->loop) || tear_down(state);
}

static void turn(struct context *context)
{
    for (int i = 0; i < 5; i++)
        uv_run(&context->loop, UV_RUN_NOWAIT);
}

// Turns the loop until the client count is `n`.
static void turn_until(struct context *context, int n)
{
    for (int i = 0; i < TURNS_MAX && context->control.n_clients != n; i++) {
        uv_run(&context->loop, UV_RUN_NOWAIT);
        poll(NULL, 0, context->control.n_clients == n ? 0 : 1);
    }
    assert_int_equal(context->control.n_clients, n);
}

static int new_client(struct context *context)
{
    int n_before = context->control.n_clients;
    int fd = connect_to(context->path);

    assert_true(fd >= 0);
    turn_until(context, n_before + 1);
    return fd;
}

static void say(struct context *context, int fd, const char *text, size_t len)
{
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
    turn(context);
}

// What the server has to say until it ends the connection: a length (with the text in a static buffer), or GONE when it ended it without
// a word, or NOTHING_YET when it says nothing and goes on listening.
static char heard[ANSWER_CAP];
static int listen_to(struct context *context, int fd)
{
    size_t len = 0;

    for (int i = 0; i < TURNS_MAX; i++) {
        turn(context);
        ssize_t got = recv(fd, heard + len, sizeof heard - 1 - len, MSG_DONTWAIT);
        if (got > 0)
            len += (size_t)got;
        else if (got == 0 || errno == ECONNRESET)
            break;
        else if (len == 0 && i > 20)
            return NOTHING_YET;
    }
    heard[len] = '\0';
    return len ? (int)len : GONE;
}

static void check_answer(struct context *context, int fd, size_t padding)
{
    assert_true(listen_to(context, fd) > 0);
    json_t *document = json_loads(heard, JSON_REJECT_DUPLICATES, NULL); // one whole document and nothing behind it
    assert_non_null(document);
    assert_int_equal(json_integer_value(json_object_get(document, "answer")), 42);
    assert_int_equal(json_string_length(json_object_get(document, "padding")), padding);
    json_decref(document);
    close(fd);
}

static void check_error(struct context *context, int fd)
{
    assert_true(listen_to(context, fd) > 0);
    json_t *document = json_loads(heard, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    assert_non_null(strstr(json_string_value(json_object_get(document, "error")), "status"));
    json_decref(document);
    close(fd);
}

static void check_still_serves(struct context *context)
{
    int fd = new_client(context);

    say(context, fd, "status\n", 7);
    check_answer(context, fd, context->padding);
}

static void test_status(void **state)
{
    struct context *context = *state;

    check_still_serves(context);
    assert_int_equal(context->n_built, 1);
    int fd = new_client(context); // the line may come in pieces
    for (const char *at = "status\n"; *at; at++) {
        assert_int_equal(context->n_built, 1);
        say(context, fd, at, 1);
    }
    check_answer(context, fd, 0);
    fd = new_client(context); // what follows the line does not matter
    say(context, fd, "status\nstatus\nmore", 18);
    check_answer(context, fd, 0);
    fd = new_client(context); // nor whether the client can say more
    say(context, fd, "status\n", 7);
    shutdown(fd, SHUT_WR);
    check_answer(context, fd, 0);
    turn_until(context, 0);
    assert_int_equal(context->n_built, 4);
}

// More than the socket takes at once: the loop goes on when the client has read.
static void test_long_answer(void **state)
{
    struct context *context = *state;

    context->padding = ANSWER_CAP - 100;
    check_still_serves(context);
    turn_until(context, 0);
}

static void test_no_memory(void **state)
{
    struct context *context = *state;

    context->is_out_of_memory = true;
    int fd = new_client(context);
    say(context, fd, "status\n", 7);
    assert_int_equal(listen_to(context, fd), GONE);
    close(fd);
    turn_until(context, 0);
    context->is_out_of_memory = false;
    check_still_serves(context);
}

static void test_unknown_requests(void **state)
{
    static const char *const lines[] = {"\n", "Status\n", "statu\n", " status\n", "status\r\n", "statusstatus\n", "stop\n", "\xff\xfe{}\n"};
    struct context *context = *state;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int fd = new_client(context);
        say(context, fd, lines[i], strlen(lines[i]));
        check_error(context, fd);
    }
    int fd = new_client(context);
    say(context, fd, "\0status\n", 8);
    check_error(context, fd);
    assert_int_equal(context->n_built, 0);
    check_still_serves(context);
}

static void test_long_lines(void **state)
{
    struct context *context = *state;
    static char line[CONTROL_LINE_CAP];
    int fd = new_client(context);

    memset(line, 'x', sizeof line);
    say(context, fd, line, sizeof line);
    assert_int_equal(listen_to(context, fd), GONE);
    close(fd);
    fd = new_client(context); // one less, with its line feed, is a request, though none of ours
    line[sizeof line - 1] = '\n';
    say(context, fd, line, sizeof line);
    check_error(context, fd);
    fd = new_client(context); // a byte at a time it is as long
    for (size_t i = 0; i < sizeof line && context->control.n_clients; i++)
        say(context, fd, line, 1);
    assert_int_equal(listen_to(context, fd), GONE);
    close(fd);
    turn_until(context, 0);
    assert_int_equal(context->n_built, 0);
    check_still_serves(context);
}

static void shorten_timer(uv_handle_t *handle, void *arg)
{
    int *n_timers = arg;

    if (handle->type != UV_TIMER || uv_is_closing(handle))
        return;
    uint64_t left_ms = uv_timer_get_due_in((uv_timer_t *)handle);
    assert_true(left_ms > 3000 && left_ms <= 5000);
    uv_timer_set_repeat((uv_timer_t *)handle, 1);
    assert_int_equal(uv_timer_again((uv_timer_t *)handle), 0);
    ++*n_timers;
}

// The deadline of 5 s is read off the loop's timers, then brought forward.
static void test_slow_clients(void **state)
{
    struct context *context = *state;
    int n_timers = 0, silent = new_client(context), half = new_client(context);

    say(context, half, "stat", 4);
    assert_int_equal(listen_to(context, silent), NOTHING_YET);
    assert_int_equal(listen_to(context, half), NOTHING_YET);
    assert_int_equal(context->control.n_clients, 2);
    uv_walk(&context->loop, shorten_timer, &n_timers);
    assert_int_equal(n_timers, 2);
    turn_until(context, 0);
    assert_int_equal(listen_to(context, silent), GONE);
    assert_int_equal(listen_to(context, half), GONE);
    close(silent);
    close(half);
    assert_int_equal(context->n_built, 0);
    check_still_serves(context);
}

// One that asks and then does not read its answer has the same deadline.
static void test_client_that_does_not_read(void **state)
{
    struct context *context = *state;
    int n_timers = 0, fd = new_client(context);

    context->padding = ANSWER_CAP - 100;
    say(context, fd, "status\n", 7);
    turn(context);
    assert_int_equal(context->control.n_clients, 1);
    uv_walk(&context->loop, shorten_timer, &n_timers);
    assert_int_equal(n_timers, 1);
    turn_until(context, 0);
    close(fd);
    check_still_serves(context);
}

// Who has asked stays; of those who have not, the oldest gives way.
static void test_too_many_clients(void **state)
{
    struct context *context = *state;
    int fds[CONTROL_CLIENTS_MAX], asker = new_client(context);

    say(context, asker, "stream\n", 7);
    for (int i = 1; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = new_client(context);
    for (int i = 1; i < CONTROL_CLIENTS_MAX; i++) {
        int fd = connect_to(context->path);
        assert_true(fd >= 0);
        assert_int_equal(listen_to(context, fds[i]), GONE);
        close(fds[i]);
        turn_until(context, CONTROL_CLIENTS_MAX);
        fds[i] = fd;
    }
    for (int i = 1; i < CONTROL_CLIENTS_MAX; i++) {
        say(context, fds[i], "status\n", 7);
        check_answer(context, fds[i], 0);
    }
    assert_int_equal(context->n_gone, 0);
    close(asker);
    turn_until(context, 0);
    check_still_serves(context);
}

// Where all have asked something that lasts, it is the new one that goes.
static void test_too_many_askers(void **state)
{
    struct context *context = *state;
    int fds[CONTROL_CLIENTS_MAX];

    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = new_client(context);
        say(context, fds[i], "stream\n", 7);
    }
    int fd = connect_to(context->path);
    assert_int_equal(listen_to(context, fd), GONE);
    close(fd);
    assert_int_equal(context->n_gone, 0);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    turn_until(context, 0);
    assert_int_equal(context->n_gone, CONTROL_CLIENTS_MAX);
    check_still_serves(context);
}

/* ---- answers that last ---- */

static void count_timer(uv_handle_t *handle, void *arg)
{
    *(int *)arg += handle->type == UV_TIMER && uv_is_active(handle);
}

static int count_timers(struct context *context)
{
    int n = 0;

    uv_walk(&context->loop, count_timer, &n);
    return n;
}

static void check_document(struct context *context, int fd, const char *expected)
{
    char text[64] = "";

    turn(context);
    assert_true(recv(fd, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(text, expected);
}

static void test_stream(void **state)
{
    struct context *context = *state;
    int fd = new_client(context);

    say(context, fd, "stream a b\n", 11);
    assert_non_null(context->asker);
    assert_string_equal(context->arguments, "a b");
    for (int i = 0; i < 3; i++) {
        control_say_take(context->asker, json_pack("{s:i}", "n", 1));
        check_document(context, fd, "{\"n\":1}\n");
    }
    assert_int_equal(count_timers(context), 0); // it has all the time there is
    control_say_bytes(context->asker, "bytes", 5);
    check_document(context, fd, "bytes");
    control_end(context->asker);
    assert_int_equal(listen_to(context, fd), GONE);
    assert_int_equal(context->n_gone, 0); // it was its own doing
    close(fd);
    turn_until(context, 0);
}

// Whoever goes, says more, or does not read is gone, and that is told once.
static void test_stream_ends(void **state)
{
    static char much[CONTROL_UNSENT_MAX / 4];
    struct context *context = *state;
    int fd = new_client(context);

    say(context, fd, "stream\n", 7);
    close(fd);
    turn_until(context, 0);
    assert_int_equal(context->n_gone, 1);

    fd = new_client(context);
    say(context, fd, "stream\n", 7);
    say(context, fd, "x", 1);
    assert_int_equal(listen_to(context, fd), GONE);
    close(fd);
    assert_int_equal(context->n_gone, 2);

    fd = new_client(context);
    say(context, fd, "stream\n", 7);
    struct control_client *asker = context->asker;
    for (int i = 0; i < 10; i++) // what is said to somebody who is gone is lost, and does no harm
        control_say_bytes(asker, much, sizeof much);
    assert_int_equal(context->n_gone, 2); // not before the loop turns
    turn(context);
    assert_int_equal(context->n_gone, 3);
    close(fd);
    check_still_serves(context);
}

static void test_adopted(void **state)
{
    struct context *context = *state;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(control_adopt(&context->control, fds[0]), 0);
    for (int i = 0; i < 3; i++) {
        say(context, fds[1], "status\n", 7);
        check_document(context, fds[1], "{\"answer\":42,\"padding\":\"\"}\n");
    }
    for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++) // it gives way to nobody
        close(connect_to(context->path));
    turn_until(context, 1);
    say(context, fds[1], "nonsense\n", 9);
    check_document(context, fds[1], "{\"error\":\"unknown request; there is: status stream\"}\n");
    assert_int_equal(count_timers(context), 0);
    say(context, fds[1], "status\n", 7);
    check_document(context, fds[1], "{\"answer\":42,\"padding\":\"\"}\n");
    close(fds[1]);
    turn_until(context, 0);
}

static void test_vanishing_clients(void **state)
{
    static const char *const said[] = {"", "s", "stat", "status\n", "nonsense\n"};
    struct context *context = *state;

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        int fd = new_client(context);
        assert_int_equal(send(fd, said[i], strlen(said[i]), MSG_NOSIGNAL), (ssize_t)strlen(said[i]));
        close(fd);
        turn_until(context, 0);
        fd = connect_to(context->path); // gone before it was even accepted
        assert_true(fd >= 0);
        assert_int_equal(send(fd, said[i], strlen(said[i]), MSG_NOSIGNAL), (ssize_t)strlen(said[i]));
        close(fd);
        turn(context);
        turn_until(context, 0);
    }
    context->padding = ANSWER_CAP - 100; // in the middle of its answer
    int fd = new_client(context);
    say(context, fd, "status\n", 7);
    assert_int_equal(recv(fd, heard, 10, 0), 10);
    close(fd);
    turn_until(context, 0);
    check_still_serves(context);
}

// The end of the daemon does not wait for its clients.
static void test_stop_with_clients(void **state)
{
    struct context *context = *state;
    int idle = new_client(context), asker = new_client(context);

    say(context, asker, "stream\n", 7);
    control_stop(&context->control);
    turn(context);
    assert_true(connect_to(context->path) < 0);
    assert_int_equal(listen_to(context, idle), GONE);
    assert_int_equal(listen_to(context, asker), GONE);
    assert_int_equal(context->n_gone, 1);
    assert_int_equal(context->control.n_clients, 0);
    close(idle);
    close(asker);
}

#define OPENING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define SERVING(test) cmocka_unit_test_setup_teardown(test, set_up_served, tear_down_served)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENING(test_open),
        OPENING(test_open_mode),
        OPENING(test_open_group),
        OPENING(test_open_makes_folder),
        OPENING(test_open_refuses_served),
        OPENING(test_open_refuses_busy),
        OPENING(test_open_replaces_stale),
        OPENING(test_open_keeps_other_files),
        OPENING(test_open_path_length),
        SERVING(test_status),
        SERVING(test_long_answer),
        SERVING(test_no_memory),
        SERVING(test_unknown_requests),
        SERVING(test_long_lines),
        SERVING(test_slow_clients),
        SERVING(test_client_that_does_not_read),
        SERVING(test_too_many_clients),
        SERVING(test_too_many_askers),
        SERVING(test_stream),
        SERVING(test_stream_ends),
        SERVING(test_adopted),
        SERVING(test_vanishing_clients),
        SERVING(test_stop_with_clients),
    };

    signal(SIGPIPE, SIG_IGN); // as the daemon does
    return cmocka_run_group_tests(tests, NULL, NULL);
}
