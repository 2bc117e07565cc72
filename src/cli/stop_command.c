// SPDX-License-Identifier: MIT
/*
 * stop_command: stop: asks the daemon to end, as SIGTERM would, and returns when it has: its control socket is removed last.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "commands.h"
#include "control_client.h"
#include "ethercord/clock.h"
#include "ethercord/program.h"

enum {
    STOP_PATH_CAP = 256,
    STOP_S = 60,
    LOOK_NS = 20000000
}; // the daemon ends a worker that does not after 3 s; hooks have their time on top

// False when it can't be asked; else `before` is its socket, or has the inode number 0 when that is gone already.
static bool ask(const char *run_dir, const char *name, char path[static STOP_PATH_CAP], struct stat *before)
{
    char problem[CONTROL_PROBLEM_CAP];
    struct control_client client;

    if (!control_client_open(&client, run_dir, name, "stop", problem)) {
        command_problem("stop", problem);
        return false;
    }
    snprintf(path, STOP_PATH_CAP, "%s/%s.sock", run_dir, client.name);
    if (stat(path, before) < 0)
        *before = (struct stat){.st_ino = 0};
    json_t *answer = control_client_read(&client, now_boot_ns() + CONTROL_TIMEOUT_MS * NS_PER_MS, problem);
    bool is_stopping = answer || problem[0] == '\0'; // it may be gone already
    if (!is_stopping)
        command_problem("stop", problem);
    json_decref(answer);
    control_client_close(&client);
    return is_stopping;
}

// Another instance may have been started in its place: that has another socket.
static bool is_there(const char *path, const struct stat *before)
{
    struct stat now;

    return stat(path, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
           now.st_ctim.tv_sec == before->st_ctim.tv_sec && now.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

static bool wait_until_gone(const char *path, const struct stat *before)
{
    static const struct timespec pause = {.tv_nsec = LOOK_NS};
    uint64_t deadline_ns = now_boot_ns() + STOP_S * NS_PER_S;

    while (is_there(path, before)) {
        if (now_boot_ns() >= deadline_ns)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

int command_stop(const struct command_line *line)
{
    char path[STOP_PATH_CAP];
    struct stat before;

    if (!ask(command_run_dir(line), line->n_arguments > 0 ? line->arguments[0] : NULL, path, &before))
        return CODE_FAILED;
    if (before.st_ino == 0 || wait_until_gone(path, &before))
        return CODE_DONE;
    fprintf(stderr, "ethercord stop: the instance has not ended after %d s, or could not remove %s; see its log\n", STOP_S, path);
    return CODE_FAILED;
}
