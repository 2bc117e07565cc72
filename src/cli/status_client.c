// SPDX-License-Identifier: MIT
/*
 * status_client: see status_client.h. A non-blocking socket and poll(), so that one deadline holds for all steps together.
 */
#include "status_client.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ethercord/clock.h"
#include "ethercord/config.h"
#include "status_text.h"

static const char request[] = "status\n";

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

static bool find_only_instance(const char *run_dir, char name[static INSTANCE_NAME_CAP], char problem[static STATUS_PROBLEM_CAP])
{
    char found[INSTANCE_NAME_CAP];
    const struct dirent *entry;
    size_t n = 0;
    DIR *dir = opendir(run_dir);
    if (!dir && errno != ENOENT) {
        snprintf(problem, STATUS_PROBLEM_CAP, "%s can't be read: %s", run_dir, strerror(errno));
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
        snprintf(problem, STATUS_PROBLEM_CAP, "no instance is running: no socket in %s; is the daemon started?", run_dir);
    else if (n > 1)
        snprintf(problem, STATUS_PROBLEM_CAP, "%zu instances have a socket in %s; say which one: 'ethercord status NAME'", n, run_dir);
    return n == 1;
}

static void describe_connect_error(int error, const char *name, const char *path, char problem[static STATUS_PROBLEM_CAP])
{
    if (error == ENOENT)
        snprintf(problem, STATUS_PROBLEM_CAP, "no instance '%s' is running: no socket %s; is the daemon started?", name, path);
    else if (error == ECONNREFUSED)
        snprintf(problem, STATUS_PROBLEM_CAP, "no instance '%s' is running: nobody listens at %s any more; start the daemon again", name,
                 path);
    else if (error == EACCES || error == EPERM)
        snprintf(problem, STATUS_PROBLEM_CAP, "no permission for %s; run this as root", path);
    else if (error == EAGAIN)
        snprintf(problem, STATUS_PROBLEM_CAP, "instance '%s' is busy; try again", name);
    else
        snprintf(problem, STATUS_PROBLEM_CAP, "can't connect to %s: %s", path, strerror(error));
}

// Returns a connected, non-blocking socket, or -1 and the problem.
static int connect_to(const char *run_dir, const char *name, char problem[static STATUS_PROBLEM_CAP])
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s.sock", run_dir, name);
    if (len < 0 || (size_t)len >= sizeof(sun.sun_path)) {
        snprintf(problem, STATUS_PROBLEM_CAP, "the path of the socket is longer than the kernel allows; use a shorter --run-dir");
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
static bool send_request(int fd, uint64_t deadline_ns)
{
    if (!wait_for(fd, POLLOUT, deadline_ns))
        return false;
    return send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof(request) - 1);
}

// Reads until the end of the connection, or until what came is a whole document. Returns NULL with errno ETIMEDOUT, EMSGSIZE, EBADMSG or
// that of recv().
static json_t *receive(int fd, char *reply, uint64_t deadline_ns)
{
    size_t len = 0;
    json_t *document = NULL;
    while (wait_for(fd, POLLIN, deadline_ns)) {
        ssize_t n = recv(fd, reply + len, STATUS_REPLY_MAX - len, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return NULL;
        len += (size_t)n;
        bool may_be_whole = n == 0 || reply[len - 1] == '\n';
        if (may_be_whole)
            document = json_loadb(reply, len, JSON_REJECT_DUPLICATES, NULL);
        if (document)
            return document;
        if (n == 0 || len == STATUS_REPLY_MAX) {
            errno = n == 0 ? EBADMSG : EMSGSIZE;
            return NULL;
        }
    }
    errno = ETIMEDOUT;
    return NULL;
}

static void describe_reply_error(int error, const char *name, char problem[static STATUS_PROBLEM_CAP])
{
    if (error == ETIMEDOUT)
        snprintf(problem, STATUS_PROBLEM_CAP, "instance '%s' does not answer (waited %d s); see its log", name, STATUS_TIMEOUT_MS / 1000);
    else if (error == EMSGSIZE)
        snprintf(problem, STATUS_PROBLEM_CAP, "the reply of instance '%s' is too long; is it another version of ethercord?", name);
    else if (error == EBADMSG)
        snprintf(problem, STATUS_PROBLEM_CAP, "the reply of instance '%s' is no JSON; is it another version of ethercord?", name);
    else
        snprintf(problem, STATUS_PROBLEM_CAP, "instance '%s' ended the connection: %s; see its log", name, strerror(error));
}

static bool is_status(const json_t *document, const char *name, char problem[static STATUS_PROBLEM_CAP])
{
    const json_t *schema = json_object_get(document, "schema");
    if (json_is_integer(schema) && json_integer_value(schema) == STATUS_SCHEMA)
        return true;
    snprintf(problem, STATUS_PROBLEM_CAP, "instance '%s' tells its status in a form that this program does not know; restart the older one",
             name);
    return false;
}

static json_t *exchange(int fd, const char *name, char problem[static STATUS_PROBLEM_CAP])
{
    uint64_t deadline_ns = now_boot_ns() + STATUS_TIMEOUT_MS * NS_PER_MS;
    char *reply = malloc(STATUS_REPLY_MAX);
    json_t *document = NULL;
    errno = ENOMEM;
    if (reply && send_request(fd, deadline_ns))
        document = receive(fd, reply, deadline_ns);
    if (!document)
        describe_reply_error(errno, name, problem);
    free(reply);
    if (document && !is_status(document, name, problem)) {
        json_decref(document);
        document = NULL;
    }
    return document;
}

json_t *status_fetch(const char *run_dir, const char *name, char problem[static STATUS_PROBLEM_CAP])
{
    char found[INSTANCE_NAME_CAP];
    if (!name && !find_only_instance(run_dir, found, problem))
        return NULL;
    if (name && !config_is_instance_name(name)) {
        snprintf(problem, STATUS_PROBLEM_CAP,
                 "that is no name of an instance; expected what the configuration file is called, without .conf");
        return NULL;
    }
    const char *instance = name ? name : found;
    int fd = connect_to(run_dir, instance, problem);
    if (fd < 0)
        return NULL;
    json_t *document = exchange(fd, instance, problem);
    close(fd);
    return document;
}
