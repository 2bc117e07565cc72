// SPDX-License-Identifier: MIT
/*
 * hook_runner: see hook_runner.h. One loop around poll(): orders, the output of the command that runs, the end of children, the clock.
 *
 * A command has a session, and so a process group, of its own: Ctrl-C at the terminal is not for it, and SIGTERM or SIGKILL reach what it
 * has started as well, unless that made itself independent. A command is over when its shell has ended. What it leaves in the background
 * stays; this process is whom it is left to (PR_SET_CHILD_SUBREAPER), so that it leaves no zombie, also where ethercord is the first
 * process.
 */
#include "hook_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ethercord/clock.h"
#include "ethercord/leaks.h"
#include "ethercord/log.h"
#include "hook_environment.h"
#include "hook_orders.h"
#include "hook_output.h"
#include "ipc.h"

enum { READ_CAP = 1024, READS_MAX = 64 }; // per turn

enum stage { STAGE_RUNS, STAGE_TERMINATED, STAGE_KILLED };

struct runner {
    struct config *config;
    int orders;
    int children; // signalfd: SIGCHLD
    int output;   // -1 = nobody's
    struct hook_order run;
    bool is_busy;      // with `run`
    size_t next;       // index of the hook to look at next
    bool is_cancelled; // no further ones
    bool is_ending;    // and no further orders
    unsigned n_failed;
    pid_t pid; // 0 = none runs
    enum stage stage;
    uint64_t deadline_ns;
    char title[HOOK_TITLE_CAP];
    struct hook_output printed;
    struct hook_environment environment;
};

/* ---- one command ---- */

// Returns 0 or an errno, as posix_spawn() does. All signals do what they do by default, and none is blocked.
static int spawn_shell(struct runner *runner, struct hook *hook, int output)
{
    char shell[] = "/bin/sh", option[] = "-c";
    char *const arguments[] = {shell, option, hook->command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int error = posix_spawn_file_actions_init(&files);

    if (error)
        return error;
    if ((error = posix_spawnattr_init(&attributes))) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    sigfillset(&all);
    sigemptyset(&none);
    hook_environment_fill(&runner->environment, runner->config, &runner->run);
    if (!(error = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) &&
        !(error = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO)) &&
        !(error = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO)) &&
        !(error = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1)) &&
        !(error = posix_spawnattr_setsigdefault(&attributes, &all)) && !(error = posix_spawnattr_setsigmask(&attributes, &none)) &&
        !(error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)))
        error = posix_spawn(&runner->pid, shell, &files, &attributes, arguments, runner->environment.list);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int start_command(struct runner *runner, struct hook *hook)
{
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return errno;
    int error = spawn_shell(runner, hook, pipe_fds[1]);
    close(pipe_fds[1]);
    if (error) {
        close(pipe_fds[0]);
        runner->pid = 0;
        return error;
    }
    (void)fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK); // ours alone: the shell's end blocks, as it expects
    runner->output = pipe_fds[0];
    runner->printed = (struct hook_output){.title = runner->title};
    runner->stage = STAGE_RUNS;
    runner->deadline_ns = now_boot_ns() + runner->config->hooks.timeout_s * NS_PER_S;
    return 0;
}

static void signal_group(struct runner *runner, int number)
{
    if (kill(-runner->pid, number) < 0 && errno != ESRCH)
        log_error("can't end %s (process %d): %s; end it by hand", runner->title, (int)runner->pid, strerror(errno));
}

static void terminate(struct runner *runner)
{
    if (runner->pid == 0 || runner->stage != STAGE_RUNS)
        return;
    signal_group(runner, SIGTERM);
    runner->stage = STAGE_TERMINATED;
    runner->deadline_ns = now_boot_ns() + HOOK_GRACE_MS * NS_PER_MS;
}

static void deadline_over(struct runner *runner)
{
    if (runner->stage == STAGE_RUNS) {
        log_warning("%s is not done after %u s: ending it; have what takes longer run in the background, or set HookTimeout in [Node]",
                    runner->title, (unsigned)runner->config->hooks.timeout_s);
        terminate(runner);
    } else {
        log_warning("%s does not end by SIGTERM: killing it", runner->title);
        signal_group(runner, SIGKILL);
        runner->stage = STAGE_KILLED;
        runner->deadline_ns = UINT64_MAX;
    }
}

static void read_output(struct runner *runner)
{
    char bytes[READ_CAP];
    ssize_t n = 1;

    for (int i = 0; i < READS_MAX && runner->output >= 0 && n > 0; i++) {
        n = read(runner->output, bytes, sizeof bytes);
        if (n > 0)
            hook_output_take(&runner->printed, bytes, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(runner->output);
        runner->output = -1;
    }
}

static bool note_end(struct runner *runner, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && runner->stage == STAGE_RUNS)
        log_debug("%s is done", runner->title);
    else if (runner->stage != STAGE_RUNS)
        log_warning("%s was ended", runner->title);
    else if (WIFEXITED(status))
        log_warning("%s failed: exit code %d%s", runner->title, WEXITSTATUS(status),
                    WEXITSTATUS(status) == 127   ? ", no such command; its PATH is in docs/hooks.md"
                    : WEXITSTATUS(status) == 126 ? ", that file can't be run; is it executable?"
                                                 : "");
    else
        log_warning("%s failed: ended by signal %d (%s)", runner->title, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && runner->stage == STAGE_RUNS;
}

/* ---- all of an event ---- */

static void finish(struct runner *runner)
{
    runner->is_busy = false;
    (void)hook_order_send(runner->orders, &(struct hook_order){.kind = HOOK_ORDER_DONE, .n_failed = runner->n_failed});
}

// Of PostUp the first that fails is the last, of all others each has its turn.
static void start_next(struct runner *runner)
{
    struct hook_settings *hooks = &runner->config->hooks;

    while (runner->next < hooks->n && !runner->is_cancelled && !(runner->run.event == HOOK_POST_UP && runner->n_failed)) {
        size_t index = runner->next++;
        if (hooks->at[index].event != runner->run.event)
            continue;
        hook_title(hooks, index, runner->title);
        int error = start_command(runner, &hooks->at[index]);
        if (!error)
            return;
        log_error("can't run %s: %s", runner->title, strerror(error));
        runner->n_failed++;
    }
    finish(runner);
}

static void command_ended(struct runner *runner, int status)
{
    read_output(runner);
    if (runner->output >= 0)
        close(runner->output);
    runner->output = -1;
    hook_output_end(&runner->printed);
    runner->n_failed += !note_end(runner, status);
    runner->pid = 0;
    start_next(runner);
}

// As long as the shell is not reaped its number is nobody else's group. One that had to be ended takes all of its group with it.
static void reap(struct runner *runner)
{
    struct signalfd_siginfo info;
    siginfo_t ended = {0};
    int status;

    while (read(runner->children, &info, sizeof info) > 0)
        ;
    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid > 0) {
        pid_t pid = ended.si_pid;
        bool is_ours = pid == runner->pid;
        if (is_ours && runner->stage != STAGE_RUNS)
            signal_group(runner, SIGKILL);
        if (waitpid(pid, &status, 0) == pid && is_ours)
            command_ended(runner, status);
        ended.si_pid = 0;
    }
}

/* ---- orders ---- */

static void cancel(struct runner *runner)
{
    runner->is_cancelled = true;
    terminate(runner);
}

static void take_order(struct runner *runner, const struct hook_order *order)
{
    if (order->kind == HOOK_ORDER_RUN && !runner->is_busy) {
        runner->run = *order;
        runner->is_busy = true;
        runner->is_cancelled = false;
        runner->next = 0;
        runner->n_failed = 0;
        start_next(runner);
    } else if (order->kind == HOOK_ORDER_CANCEL || order->kind == HOOK_ORDER_END) {
        runner->is_ending = order->kind == HOOK_ORDER_END;
        cancel(runner);
    } else {
        log_error("the monitor gave an order that it never gives: no hook runs for it");
    }
}

static void take_orders(struct runner *runner)
{
    struct hook_order order;
    int got = 1;

    while (!runner->is_ending && (got = hook_order_receive(runner->orders, &order)) != 0) {
        if (got > 0) {
            take_order(runner, &order);
        } else if (got != -EBADMSG) { // the monitor is gone
            runner->is_ending = true;
            cancel(runner);
        }
    }
}

static int ms_left(const struct runner *runner)
{
    uint64_t now_ns = now_boot_ns();

    if (runner->pid == 0 || runner->deadline_ns == UINT64_MAX)
        return -1;
    return now_ns >= runner->deadline_ns ? 0 : (int)((runner->deadline_ns - now_ns) / NS_PER_MS + 1);
}

static void run(struct runner *runner)
{
    while (!runner->is_ending || runner->pid != 0) {
        struct pollfd fds[] = {
            {.fd = runner->is_ending ? -1 : runner->orders, .events = POLLIN},
            {.fd = runner->children, .events = POLLIN},
            {.fd = runner->output, .events = POLLIN},
        };
        (void)poll(fds, sizeof fds / sizeof fds[0], ms_left(runner));
        if (fds[2].revents)
            read_output(runner);
        if (fds[1].revents)
            reap(runner);
        if (fds[0].revents)
            take_orders(runner);
        if (ms_left(runner) == 0)
            deadline_over(runner);
    }
}

static void run_as_child(struct config *config, int orders)
{
    sigset_t children;

    config_wipe_secrets(config);
    struct runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return;
    *runner = (struct runner){.config = config, .orders = orders, .output = -1};
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    (void)prctl(PR_SET_NAME, "ethercord-hooks");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    umask(S_IWGRP | S_IWOTH);
    runner->children = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
    if (runner->children < 0 || chdir("/") < 0)
        log_error("can't start the hook runner: %s", strerror(errno));
    else
        run(runner);
    free(runner);
}

pid_t hook_runner_start(struct config *config, int *fd)
{
    int fds[2];
    int error = ipc_pair(fds);

    if (error)
        return error;
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run_as_child(config, fds[1]);
        leaks_look();
        _exit(0);
    }
    error = -errno;
    close(fds[1]);
    *fd = fds[0];
    if (pid < 0)
        close(fds[0]);
    return pid < 0 ? error : pid;
}
