// SPDX-License-Identifier: MIT
/*
 * run: the daemon from start to end, as a list of stages: open everything that needs privileges, fork, let the worker work and the
 * monitor watch, and undo what was done to the system.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "ethercord/confine.h"
#include "ethercord/leaks.h"
#include "ethercord/link.h"
#include "ethercord/log.h"
#include "ethercord/program.h"
#include "ethercord/run.h"
#include "hooks.h"
#include "ipc.h"
#include "monitor.h"
#include "worker.h"

enum { PORT_TRIES = 32 };

static const struct log_about start_failed = {.event = LOG_EVENT_START_FAILED};

struct stages {
    struct config *config;
    const char *run_dir;
    struct worker_devices devices;
    struct link link;
    char control_path[CONTROL_PATH_CAP];
    struct monitor_tools tools;
};

static const char *tap_advice(int error)
{
    switch (error) {
    case -EBUSY:
        return "it exists already and somebody else uses it; choose another [Tap] Name, or stop that program";
    case -EACCES:
        return "no permission for /dev/net/tun; run ethercord as root, or give it the mode that udev gives it (chmod 666 /dev/net/tun) and "
               "make the "
               "TAP beforehand for this user (ip tuntap add mode tap user NAME)";
    case -EPERM:
        return "no permission; run ethercord as root, or make the TAP beforehand for this user (ip tuntap add mode tap user NAME)";
    case -ENOENT:
    case -ENODEV:
        return "there is no /dev/net/tun; load the module (modprobe tun), or give the container --device /dev/net/tun";
    case -EINVAL:
        return "an interface of that name exists and is no TAP; choose another [Tap] Name";
    default:
        return strerror(-error);
    }
}

static bool open_tap(struct stages *stages)
{
    struct tap_settings *settings = &stages->config->tap;
    int error = tap_open(&stages->devices.tap, settings->name, settings->offload);

    if (!error)
        error = tap_get_mac_address(&stages->devices.tap, &stages->devices.tap_mac);
    if (error)
        log_tell(&start_failed, "can't open the TAP %s: %s", settings->name, tap_advice(error));
    else if (settings->carrier == TAP_CARRIER_PEER_UP && stages->config->peer.is_present)
        stages->devices.tap.ops->set_carrier(&stages->devices.tap, false); // before it is up: no pulse for spanning tree to see
    return !error;
}

static bool report_udp(const struct udp_options *options, int error)
{
    const char *advice = strerror(-error);

    if (error == -EADDRINUSE)
        advice = "the port is in use; choose another ListenPort, or stop the program that has it (ss -ulpn)";
    else if (error == -EADDRNOTAVAIL)
        advice = "no interface has the address in SourceAddress";
    else if (error == -ENODEV)
        advice = "there is no such interface; see BindInterface";
    else if (error == -EPERM)
        advice = "no permission; FwMark and BindInterface need root";
    log_tell(&start_failed, "can't listen on UDP port %u: %s", options->port, advice);
    return false;
}

// One per IP version, on the same port. Returns 0 or negative errno, and leaves in `options` what was tried last.
static int open_sockets(struct stages *stages, struct udp_options *options)
{
    uint16_t wanted = stages->config->udp.family;

    *options = stages->config->udp;
    for (int i = 0; i < 2; i++) {
        struct udp *udp = &stages->devices.udp[i];
        options->family = i ? AF_INET6 : AF_INET;
        *udp = (struct udp){.family = AF_UNSPEC, .fd = -1};
        if (wanted != AF_UNSPEC && wanted != options->family)
            continue;
        int error = udp_open(udp, options);
        if (error == -EAFNOSUPPORT && i && wanted == AF_UNSPEC) { // a kernel without IPv6
            *udp = (struct udp){.family = AF_UNSPEC, .fd = -1};
            continue;
        }
        if (error)
            return error;
        options->port = udp_port(udp);
    }
    return 0;
}

static bool open_udp(struct stages *stages)
{
    struct udp_options options;
    int error = open_sockets(stages, &options);

    // ListenPort = 0: what the kernel chose for IPv4 somebody may have for IPv6.
    for (int i = 0; i < PORT_TRIES && error == -EADDRINUSE && stages->config->udp.port == 0; i++) {
        udp_close(&stages->devices.udp[0]);
        error = open_sockets(stages, &options);
    }
    return error ? report_udp(&options, error) : true;
}

static bool open_control(struct stages *stages)
{
    struct control_place place = {.run_dir = stages->run_dir, .name = stages->config->name, .group = stages->config->control_group};
    char text[300];

    stages->devices.control_fd = control_open(&place, stages->control_path, text, sizeof text);
    if (stages->devices.control_fd < 0)
        log_tell(&start_failed, "%s", text);
    return stages->devices.control_fd >= 0;
}

// Root without CAP_DAC_OVERRIDE, which the monitor gave up, may not do that in a folder of somebody else.
static void remove_control(const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT)
        log_warning("can't remove the control socket %s: %s; the next start will: give its folder to the user who starts ethercord", path,
                    strerror(errno));
}

static bool set_link_up(struct stages *stages)
{
    const struct tap_settings *tap = &stages->config->tap;
    struct link_settings settings = {
        .name = tap->name,
        .mtu = tap->mtu,
        .txqueuelen = tap->queue_len,
        .bridge = tap->bridge,
        .addresses = tap->addresses,
        .n_addresses = tap->n_addresses,
    };
    char text[300];

    if (link_set_up(&stages->link, &settings, text, sizeof text) < 0) {
        log_tell(&start_failed, "%s", text);
        return false;
    }
    if (text[0])
        log_warning("%s", text);
    return true;
}

// What whoever started us forgot to close is nothing that the worker should hold: a folder, say, is a way to all files. Not before the
// configuration was read, which a shell may hand over as a descriptor. On Linux before 5.9 there is no such call, and no harm done.
static void close_inherited(void)
{
    (void)syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, 0U);
}

// The monitor itself, now that the worker has what it needs.
static bool confine_rest(struct stages *stages)
{
    struct sandbox_page *page = stages->devices.page;
    uint64_t kept;
    int error = confine_monitor(&kept);

    if (error) {
        log_tell(&start_failed, "can't take the monitor's capabilities away: %s", strerror(-error));
        return false;
    }
    if (stages->devices.wants_sandbox && (error = sandbox_start_monitor(page))) {
        log_tell(&start_failed, "can't filter the monitor's system calls: %s; without: ethercord run --no-sandbox", strerror(-error));
        return false;
    }
    page->monitor_capabilities = kept;
    page->monitor_uid = geteuid();
    page->is_monitor_confined = true;
    return true;
}

// Sanitizers make calls of their own, and a debugger wants to see files.
static void choose_sandbox(struct stages *stages, bool is_wanted)
{
    stages->devices.wants_sandbox = is_wanted && sandbox_is_possible();
    if (!is_wanted)
        log_tell(&(struct log_about){.event = LOG_EVENT_UNCONFINED},
                 "--no-sandbox: system calls are NOT filtered and files stay in sight; for looking for errors only");
    else if (!sandbox_is_possible())
        log_tell(&(struct log_about){.event = LOG_EVENT_UNCONFINED},
                 "built with a sanitizer: system calls are NOT filtered and files stay in sight");
}

// In a child: closes what is the monitor's own.
static void leave(struct stages *stages, int ipc_fd)
{
    close(ipc_fd);
    notify_forget();
    rtnl_close(&stages->link.rtnl);
    hooks_leave(&stages->tools.hooks);
}

// In the monitor: forgets what only the worker needs.
static void close_devices(struct stages *stages)
{
    close(stages->devices.control_fd);
    config_wipe_secrets(stages->config);
    tap_close(&stages->devices.tap);
    for (int i = 0; i < 2; i++)
        if (stages->devices.udp[i].family != AF_UNSPEC)
            udp_close(&stages->devices.udp[i]);
}

// Not before no key and no device is left here.
static bool start_web(struct stages *stages, int ipc_fd)
{
    if (!web_process_is_wanted(&stages->tools.web))
        return true;
    pid_t pid = fork();
    if (pid == 0) {
        leave(stages, ipc_fd);
        int code = web_process_main(&stages->tools.web);
        leaks_look();
        _exit(code);
    }
    if (pid < 0)
        log_tell(&start_failed, "can't start the process that serves [Metrics]: %s", strerror(errno));
    else
        web_process_note(&stages->tools.web, pid, stages->devices.page);
    return pid > 0;
}

// Forks. Returns the exit code in all processes.
static int run_both(struct stages *stages)
{
    int fds[2];
    bool has_memory =
        (stages->devices.page = sandbox_new_page()) && (stages->tools.reload = reload_new(stages->config, stages->devices.config_path));
    int error = has_memory ? ipc_pair(fds) : -ENOMEM;
    if (!error)
        error = watchdog_init(&stages->tools.watchdog, stages->tools.notify.watchdog_ms);
    if (!error)
        error = web_process_pair(&stages->tools.web, stages->devices.wants_sandbox);
    pid_t worker = error ? -1 : fork();

    if (worker < 0) {
        log_tell(&start_failed, "can't start the worker: %s", strerror(error ? -error : errno));
        return CODE_FAILED;
    }
    if (worker == 0) {
        leave(stages, fds[0]);
        web_process_leave(&stages->tools.web);
        stages->devices.ipc_fd = fds[1];
        stages->devices.web_fd = stages->tools.web.worker_fd;
        int code = worker_main(stages->config, &stages->devices);
        reload_free(stages->tools.reload);
        leaks_look();
        _exit(code);
    }
    close(fds[1]);
    close_devices(stages);
    if (!start_web(stages, fds[0]) || !confine_rest(stages)) {
        close(fds[0]); // the worker ends when it sees that, and whom it answers to when that does
        waitpid(worker, NULL, 0);
        return CODE_FAILED;
    }
    return monitor_main(stages->config, worker, fds[0], stages->devices.page, &stages->tools);
}

// Before anything is open that it would inherit.
static bool open_hooks(struct stages *stages)
{
    int error = hooks_open(&stages->tools.hooks, stages->config);

    if (error)
        log_error("can't start the hook runner: %s", strerror(-error));
    return !error;
}

int run_node(struct config *config, const char *config_path, const char *run_dir, bool wants_sandbox)
{
    struct stages stages = {.config = config, .run_dir = run_dir, .devices = {.run_dir = run_dir, .config_path = config_path}};
    int code = CODE_FAILED;

    close_inherited();
    stop_signals(SIG_BLOCK);
    signal(SIGPIPE, SIG_IGN); // whoever read our log may be gone
    notify_init(&stages.tools.notify);
    stages.devices.watchdog = &stages.tools.watchdog;
    stages.devices.wants_state_line = stages.tools.notify.is_on;
    log_set_level(config->log_level);
    log_set_name(config->name);
    log_open_journal(LOG_JOURNAL_SOCKET);
    if (confine_dumps() < 0)
        log_tell(&(struct log_about){.event = LOG_EVENT_UNCONFINED},
                 "core dumps can't be switched off: keys may end up in one, if this process dies");
    choose_sandbox(&stages, wants_sandbox);
    if (open_hooks(&stages) && open_control(&stages)) {
        if (web_process_open(&stages.tools.web, config, run_dir) && open_tap(&stages) && open_udp(&stages) && set_link_up(&stages)) {
            code = run_both(&stages);
            reload_free(stages.tools.reload);
            int error = link_undo(&stages.link);
            if (error)
                log_warning("can't put %s back as it was: %s", config->tap.name, strerror(-error));
        }
        remove_control(stages.control_path);
    }
    hooks_close(&stages.tools.hooks);
    if (code == CODE_DONE)
        log_tell(&(struct log_about){.event = LOG_EVENT_STOPPED}, "stopped");
    return code;
}
