// SPDX-License-Identifier: MIT
/*
 * control_client: see control_client.h. A non-blocking socket and poll(), so that one deadline holds for all steps together.
 */
#include "control_client.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ethercord/clock.h"

// The instance's name from "name.sock"; false if it is none.
static bool take_instance_name(const char *file, char name[static INSTANCE_NAME_CAP])
{
    size_t len = strlen(file);
    if (len <= 5 || len - 5 >= INSTANCE_NAME_CAP || strcmp(file + len - 5, ".sock") != 0)
        return false;
    memcpy(name, file, len - 5);
    name[len - 5] = '\0';
    return config_is_instance_name(name);
}

static bool find_only_instance(const char *run_dir, char name[static INSTANCE_NAME_CAP], char problem[static CONTROL_PROBLEM_CAP])
{
    char found[INSTANCE_NAME_CAP];
    const struct dirent *entry;
    size_t n = 0;
    DIR *dir = opendir(run_dir);
    if (!dir && errno != ENOENT) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "%s can't be read: %s", run_dir, strerror(errno));
        return false;
    }
    while (dir && (entry = readdir(dir))) {
        if (!take_instance_name(entry->d_name, found))
            continue;
        n++;
        memcpy(name, found, sizeof(found));
    }
    if (dir)
        closedir(dir);
    if (n == 0)
        snprintf(problem, CONTROL_PROBLEM_CAP, "no instance is running: no socket in %s; is the daemon started?", run_dir);
    else if (n > 1)
        snprintf(problem, CONTROL_PROBLEM_CAP, "%zu instances have a socket in %s; give the NAME of the one you mean", n, run_dir);
    return n == 1;
}

static void describe_permission(const char *path, char problem[static CONTROL_PROBLEM_CAP])
{
    struct stat st;
    const struct group *group = stat(path, &st) == 0 && st.st_gid != 0 ? getgrgid(st.st_gid) : NULL;

    if (group)
        snprintf(problem, CONTROL_PROBLEM_CAP, "no permission for %s; run this as root, or as a member of the group '%s'", path,
                 group->gr_name);
    else
        snprintf(problem, CONTROL_PROBLEM_CAP, "no permission for %s; run this as root", path);
}

static void describe_connect_error(int error, const char *name, const char *path, char problem[static CONTROL_PROBLEM_CAP])
{
    if (error == ENOENT)
        snprintf(problem, CONTROL_PROBLEM_CAP, "no instance '%s' is running: no socket %s; is the daemon started?", name, path);
    else if (error == ECONNREFUSED)
        snprintf(problem, CONTROL_PROBLEM_CAP, "no instance '%s' is running: nobody listens at %s any more; start the daemon again", name,
                 path);
    else if (error == EACCES || error == EPERM)
        describe_permission(path, problem);
    else if (error == EAGAIN)
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' is busy; try again", name);
    else
        snprintf(problem, CONTROL_PROBLEM_CAP, "can't connect to %s: %s", path, strerror(error));
}

// Returns a connected, non-blocking socket, or -1 and the problem.
static int connect_to(const char *run_dir, const char *name, char problem[static CONTROL_PROBLEM_CAP])
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s.sock", run_dir, name);
    if (len < 0 || (size_t)len >= sizeof(sun.sun_path)) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "the path of the socket is longer than the kernel allows; use a shorter --run-dir");
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
        return fd;
    describe_connect_error(errno, name, sun.sun_path, problem);
    if (fd >= 0)
        close(fd);
    return -1;
}

// False when the deadline has passed first.
static bool wait_for(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now_ns = now_boot_ns();
        if (now_ns >= deadline_ns)
            return false;
        int n = poll(&pollfd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

// The request is shorter than any socket buffer: it goes out whole or not at all.
static int send_line(int fd, const char *request)
{
    char line_feed = '\n';
    struct iovec parts[] = {{(char *)(uintptr_t)request, strlen(request)}, {&line_feed, 1}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL);

    return sent < 0 ? -errno : (size_t)sent == parts[0].iov_len + 1 ? 0 : -EMSGSIZE;
}

static void describe_end(const struct control_client *client, int error, char problem[static CONTROL_PROBLEM_CAP])
{
    if (error == ETIMEDOUT)
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' does not answer (waited %d s); see its log", client->name,
                 CONTROL_TIMEOUT_MS / 1000);
    else if (error == EMSGSIZE)
        snprintf(problem, CONTROL_PROBLEM_CAP, "the reply of instance '%s' is too long; is it another version of ethercord?", client->name);
    else if (error == EBADMSG)
        snprintf(problem, CONTROL_PROBLEM_CAP, "the reply of instance '%s' is no JSON; is it another version of ethercord?", client->name);
    else
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' ended the connection: %s; see its log", client->name, strerror(error));
}

bool control_client_open(struct control_client *client, const char *run_dir, const char *name, const char *request,
                         char problem[static CONTROL_PROBLEM_CAP])
{
    *client = (struct control_client){.fd = -1};
    if (!name && !find_only_instance(run_dir, client->name, problem))
        return false;
    if (name && !config_is_instance_name(name)) {
        snprintf(problem, CONTROL_PROBLEM_CAP,
                 "that is no name of an instance; expected what the configuration file is called, without .conf");
        return false;
    }
    if (name)
        memcpy(client->name, name, strlen(name) + 1);
    client->fd = connect_to(run_dir, client->name, problem);
    if (client->fd < 0)
        return false;
    int error = (client->room = malloc(CONTROL_DOCUMENT_MAX)) ? send_line(client->fd, request) : -ENOMEM;
    if (!error)
        return true;
    describe_end(client, -error, problem);
    control_client_close(client);
    return false;
}

void control_client_close(struct control_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->room);
    *client = (struct control_client){.fd = -1};
}

static const char *line_end(const struct control_client *client)
{
    return memchr(client->room + client->begin, '\n', client->end - client->begin);
}

bool control_client_has_document(const struct control_client *client)
{
    return line_end(client) != NULL;
}

// What was taken makes room. 1: more came, 0: the end, else negative errno.
static int receive(struct control_client *client)
{
    memmove(client->room, client->room + client->begin, client->end - client->begin);
    client->end -= client->begin;
    client->begin = 0;
    if (client->end == CONTROL_DOCUMENT_MAX)
        return -EMSGSIZE;
    ssize_t n = recv(client->fd, client->room + client->end, CONTROL_DOCUMENT_MAX - client->end, 0);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    client->end += (size_t)n;
    return n > 0;
}

// The line in hand, of `len` bytes.
static json_t *take_document(struct control_client *client, size_t len, char problem[static CONTROL_PROBLEM_CAP])
{
    json_t *document = json_loadb(client->room + client->begin, len, JSON_REJECT_DUPLICATES, NULL);
    const char *error = json_string_value(json_object_get(document, "error"));

    client->begin += len;
    if (!document)
        describe_end(client, EBADMSG, problem);
    if (!error)
        return document;
    snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' says: %s", client->name, error);
    json_decref(document);
    return NULL;
}

json_t *control_client_read(struct control_client *client, uint64_t deadline_ns, char problem[static CONTROL_PROBLEM_CAP])
{
    int got = 1;

    problem[0] = '\0';
    while (!line_end(client) && (got > 0 || got == -EAGAIN))
        got = wait_for(client->fd, POLLIN, deadline_ns) ? receive(client) : -ETIMEDOUT;
    const char *end = line_end(client);
    if (end)
        return take_document(client, (size_t)(end - client->room) - client->begin + 1, problem);
    if (got == 0 && client->end > client->begin) // an older version does not end its document with a line feed
        return take_document(client, client->end - client->begin, problem);
    if (got < 0)
        describe_end(client, -got, problem);
    return NULL;
}

ssize_t control_client_read_bytes(struct control_client *client, void *bytes, size_t cap)
{
    if (client->begin == client->end) {
        int got = receive(client);
        if (got <= 0)
            return got;
    }
    size_t n = client->end - client->begin < cap ? client->end - client->begin : cap;
    memcpy(bytes, client->room + client->begin, n);
    client->begin += n;
    return (ssize_t)n;
}
