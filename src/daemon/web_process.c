// SPDX-License-Identifier: MIT
/*
 * web_process: see web_process.h. The process can't be started again: what it needed the monitor has given up.
 */
#include "web_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "ethercord/log.h"

enum { STEP_MS = 20, STEPS = 50 }; // how long it may take to see the worker's end

static const struct log_about ended = {.event = LOG_EVENT_METRICS_ENDED};

bool web_process_open(struct web_process *web, const struct config *config, const char *run_dir)
{
    char text[300];

    *web = (struct web_process){.order = {.config = config, .listen_fd = -1, .worker_fd = -1, .run_dir = run_dir}, .worker_fd = -1};
    if (config->metrics.listen.family == AF_UNSPEC)
        return true;
    web->order.listen_fd = web_listen(&config->metrics.listen, text, sizeof text);
    if (web->order.listen_fd < 0)
        log_tell(&(struct log_about){.event = LOG_EVENT_START_FAILED}, "%s", text);
    return web->order.listen_fd >= 0;
}

bool web_process_is_wanted(const struct web_process *web)
{
    return web->order.listen_fd >= 0;
}

int web_process_pair(struct web_process *web, bool wants_sandbox)
{
    int fds[2];

    if (!web_process_is_wanted(web))
        return 0;
    web->order.wants_sandbox = wants_sandbox;
    web->order.page = sandbox_new_page();
    if (!web->order.page)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    web->worker_fd = fds[0];
    web->order.worker_fd = fds[1];
    return 0;
}

void web_process_leave(const struct web_process *web)
{
    if (!web_process_is_wanted(web))
        return;
    close(web->order.listen_fd);
    close(web->order.worker_fd);
}

int web_process_main(const struct web_process *web)
{
    close(web->worker_fd);
    return web_main(&web->order);
}

void web_process_note(struct web_process *web, pid_t pid, struct sandbox_page *worker_page)
{
    web_process_leave(web);
    close(web->worker_fd);
    web->pid = pid;
    web->worker_page = worker_page;
    atomic_store(&worker_page->is_web_running, true);
}

static void log_end(const struct web_process *web, int status)
{
    char text[300];

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        sandbox_explain(web->order.page, text, sizeof text);
        log_tell(&ended, "the process that serves [Metrics] was ended (SIGSYS) %s", text);
    } else if (WIFSIGNALED(status)) {
        log_tell(&ended, "the process that serves [Metrics] was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    log_tell(&ended, "[Metrics] is not served any more; the tunnel goes on. To have it again, stop and start this instance");
}

void web_process_reap(struct web_process *web, bool is_expected)
{
    int status;

    if (web->pid == 0 || waitpid(web->pid, &status, WNOHANG) != web->pid)
        return;
    web->pid = 0;
    atomic_store(&web->worker_page->is_web_running, false);
    if (!is_expected)
        log_end(web, status);
}

// It sees the worker's end, and needs a moment for its own.
void web_process_end(struct web_process *web)
{
    for (int i = 0; i < STEPS && web->pid != 0; i++) {
        web_process_reap(web, true);
        if (web->pid != 0)
            uv_sleep(STEP_MS);
    }
    if (web->pid == 0)
        return;
    if (kill(web->pid, SIGKILL) == 0)
        waitpid(web->pid, NULL, 0);
    else
        log_tell(&ended, "can't end the process that serves [Metrics] (process %d): %s; leaving it", (int)web->pid, strerror(errno));
}
