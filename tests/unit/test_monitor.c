// SPDX-License-Identifier: MIT
/*
 * test_monitor: the monitor against a worker in somebody else's hands: each case is a process that says what it likes over the socketpair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "../../src/daemon/ipc.h"
#include "../../src/daemon/monitor.h"
#include "ethercord/clock.h"
#include "ethercord/program.h"

enum { FLOOD = 20000, FLOOD_MS = 1200, STAY_S = 20, READ_PER_S = 1000, LOG_CAP = 32768 };

// What is found by the processes, for the assertions of the test's own.
struct findings {
    int exit_code;
    unsigned n_answers;
    unsigned n_asked;
    uint64_t ran_ms;
    bool was_stopped;
    char log[LOG_CAP];
};

static struct findings *found;

static int set_up(void **state)
{
    (void)state;
    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(found, sizeof *found);
}

/* ---- workers ---- */

static void say(int fd, const void *bytes, size_t len)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

    while (send(fd, bytes, len, MSG_NOSIGNAL) < 0 && errno == EAGAIN)
        (void)poll(&poll_fd, 1, 1000);
}

static void say_kind(int fd, uint32_t kind)
{
    say(fd, &(struct ipc_message){.kind = kind}, sizeof(struct ipc_message));
}

// Does not end, whatever it is told, for longer than a monitor of ours would let it.
static void stay(void)
{
    signal(SIGTERM, SIG_IGN);
    (void)alarm(STAY_S);
    for (;;)
        pause();
}

static void short_message(int fd)
{
    say(fd, "\1\0\0\0", 4);
    stay();
}

static void long_message(int fd)
{
    static const uint8_t bytes[4 * sizeof(struct ipc_message)] = {IPC_RESOLVE};
    say(fd, bytes, sizeof bytes);
    stay();
}

static void unknown_kind(int fd)
{
    say_kind(fd, IPC_KIND_COUNT);
    stay();
}

static void kind_of_the_monitor(int fd)
{
    say_kind(fd, IPC_STOP);
    stay();
}

static void addresses(int fd)
{
    struct ipc_message message = {.kind = IPC_ADDRESSES, .n_addresses = 1};
    message.addresses[0] = (struct addr){.family = AF_INET, .port = 1, .ip = {127, 0, 0, 1}};
    say(fd, &message, sizeof message);
    stay();
}

// What only the monitor says, and right in every field.
static void settings(int fd)
{
    struct ipc_message message = {.kind = IPC_SETTINGS};
    message.settings.live.ciphers = 1U << CIPHER_CHACHA20_POLY1305;
    message.settings.live.peer.is_present = true;
    say(fd, &message, sizeof message);
    stay();
}

static void line(int fd)
{
    struct ipc_message message = {.kind = IPC_LINE, .line.text = "x"};
    say(fd, &message, sizeof message);
    stay();
}

static void reloaded(int fd)
{
    say_kind(fd, IPC_RELOADED);
    stay();
}

static void state_of_two_lines(int fd)
{
    say(fd, &(struct ipc_message){.kind = IPC_STATE, .text = "well\nMAINPID=1"}, sizeof(struct ipc_message));
    stay();
}

static void ready_twice(int fd)
{
    say_kind(fd, IPC_READY);
    say_kind(fd, IPC_READY);
    stay();
}

static void peer_up_twice(int fd)
{
    say_kind(fd, IPC_READY);
    say_kind(fd, IPC_PEER_UP);
    say_kind(fd, IPC_PEER_UP);
    stay();
}

static void noise(int fd)
{
    uint8_t bytes[sizeof(struct ipc_message)];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (int i = 0; i < FLOOD; i++)
        say(fd, bytes, sizeof bytes);
    stay();
}

// For the monitor both look like the end of the worker.
static void nothing_said(int fd)
{
    (void)send(fd, "", 0, MSG_NOSIGNAL);
    stay();
}

static void no_more_to_say(int fd)
{
    close(fd);
    stay();
}

static bool ask_for_addresses(int fd)
{
    return ipc_send(fd, &(struct ipc_message){.kind = IPC_RESOLVE}) == 0;
}

// Asks as often as it can, for a while after the first answer; counts what was taken from it and what it got.
static void lookup_flood(int fd)
{
    uint64_t begin_ns = now_boot_ns(), end_ns = UINT64_MAX;
    struct ipc_message message;

    (void)alarm(STAY_S);
    while (now_boot_ns() < end_ns) {
        found->n_asked += ask_for_addresses(fd);
        while (ipc_receive(fd, &message) == 1)
            if (message.kind == IPC_ADDRESSES && found->n_answers++ == 0)
                end_ns = now_boot_ns() + FLOOD_MS * NS_PER_MS;
    }
    found->ran_ms = (now_boot_ns() - begin_ns) / NS_PER_MS;
    _exit(CODE_DONE);
}

// The same with reloads, each of which has the monitor read files.
static void reload_flood(int fd)
{
    uint64_t begin_ns = now_boot_ns();
    struct ipc_message message;

    (void)alarm(STAY_S);
    while (now_boot_ns() < begin_ns + FLOOD_MS * NS_PER_MS) {
        found->n_asked += ipc_send(fd, &(struct ipc_message){.kind = IPC_RELOAD, .id = 7}) == 0;
        while (ipc_receive(fd, &message) == 1)
            found->n_answers += message.kind == IPC_RELOADED && message.id == 7;
    }
    found->ran_ms = (now_boot_ns() - begin_ns) / NS_PER_MS;
    _exit(CODE_DONE);
}

// Asks for a reload that can't be, for there is no file; then to be ended.
static void asker(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct ipc_message message;

    (void)ipc_send(fd, &(struct ipc_message){.kind = IPC_RELOAD, .id = 3});
    while (poll(&poll_fd, 1, 10000) == 1 && ipc_receive(fd, &message) == 1) {
        found->n_asked += message.kind == IPC_LINE && message.id == 3 && message.line.what == IPC_LINE_ERROR;
        if (message.kind == IPC_RELOADED && message.id == 3 && message.result == IPC_RESULT_FAILED) {
            found->n_answers++;
            say_kind(fd, IPC_QUIT);
        } else if (message.kind == IPC_STOP) {
            found->was_stopped = true;
            _exit(CODE_DONE);
        }
    }
    _exit(CODE_FAILED);
}

// How many messages there is room for before anybody reads one.
static unsigned n_queued(void)
{
    unsigned n = 0;
    int fds[2];

    assert_int_equal(ipc_pair(fds), 0);
    while (ask_for_addresses(fds[1]))
        n++;
    close(fds[0]);
    close(fds[1]);
    return n;
}

// An honest one: asks, gets its answer, is told to stop.
static void honest(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct ipc_message message;

    say_kind(fd, IPC_READY);
    say_kind(fd, IPC_RESOLVE);
    while (poll(&poll_fd, 1, 10000) == 1 && ipc_receive(fd, &message) == 1) {
        if (message.kind == IPC_ADDRESSES) {
            found->n_answers += message.n_addresses;
            kill(getppid(), SIGTERM);
        } else if (message.kind == IPC_STOP) {
            found->was_stopped = true;
            _exit(CODE_DONE);
        }
    }
    _exit(CODE_FAILED);
}

/* ---- a monitor around one of them ---- */

static void redirect_log(int fd)
{
    (void)dup2(fd, STDERR_FILENO);
    close(fd);
}

static void run_monitor(void (*work)(int fd))
{
    struct config *config = calloc(1, sizeof *config);
    struct sandbox_page *page = sandbox_new_page();
    int fds[2];

    if (!config || !page || ipc_pair(fds) != 0)
        _exit(99);
    config->peer.is_present = config->peer.has_endpoint = true;
    memcpy(config->peer.endpoint_host, "127.0.0.1", sizeof "127.0.0.1");
    config->peer.endpoint_port = 36160;
    if (sodium_init() < 0)
        _exit(99);
    stop_signals(SIG_BLOCK);
    struct monitor_tools tools = {0};
    notify_init(&tools.notify);
    pid_t worker = fork();
    if (worker == 0) {
        close(fds[0]);
        work(fds[1]);
    }
    close(fds[1]);
    tools.reload = reload_new(config, NULL);
    if (!tools.reload || hooks_open(&tools.hooks, config) != 0)
        _exit(99);
    found->exit_code = monitor_main(config, worker, fds[0], page, &tools);
    reload_free(tools.reload);
    uv_library_shutdown(); // the threads that look names up: valgrind would miss their memory
    _exit(0);
}

static void monitor(void (*work)(int fd))
{
    int log[2];
    size_t len = 0;
    ssize_t n;

    memset(found, 0, sizeof *found);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        redirect_log(log[1]);
        run_monitor(work);
    }
    close(log[1]);
    // Ends when the last of both has ended.
    while ((n = read(log[0], found->log + len, sizeof found->log - 1 - len)) > 0)
        len += (size_t)n;
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(log[0]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void who_says_what_no_worker_says_is_ended(void **state)
{
    static void (*const workers[])(int fd) = {
        short_message, long_message, unknown_kind, kind_of_the_monitor, addresses,    ready_twice, noise,
        settings,      line,         reloaded,     state_of_two_lines,  peer_up_twice};

    (void)state;
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        monitor(workers[i]);
        assert_int_equal(found->exit_code, CODE_FAILED);
        assert_non_null(strstr(found->log, "what no worker of ours says"));
        assert_non_null(strstr(found->log, "signal 9"));
    }
}

static void who_is_deaf_and_stays_is_ended(void **state)
{
    static void (*const workers[])(int fd) = {nothing_said, no_more_to_say};

    (void)state;
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        monitor(workers[i]);
        assert_int_equal(found->exit_code, CODE_FAILED);
        assert_non_null(strstr(found->log, "does not end"));
        assert_non_null(strstr(found->log, "signal 9"));
    }
}

static void lookups_are_limited(void **state)
{
    (void)state;
    monitor(lookup_flood);
    assert_int_equal(found->exit_code, CODE_DONE);
    assert_in_range(found->n_answers, 1, IPC_LOOKUPS_MAX + found->ran_ms / IPC_LOOKUP_EVERY_MS + 1);
    // It reads a few, and sleeps; left alone it would read some hundred thousand a second.
    assert_in_range(found->n_asked, 1, n_queued() + READ_PER_S * (found->ran_ms / 1000 + 1));
}

static void reloads_are_limited(void **state)
{
    (void)state;
    monitor(reload_flood);
    assert_int_equal(found->exit_code, CODE_DONE);
    assert_in_range(found->n_answers, 1, IPC_RELOADS_MAX + found->ran_ms / IPC_RELOAD_EVERY_MS + 1);
    assert_in_range(found->n_asked, 1, n_queued() + READ_PER_S * (found->ran_ms / 1000 + 1));
    assert_non_null(strstr(found->log, "can be read again"));
    assert_true(strlen(found->log) < LOG_CAP - 1); // nor does it fill the log
}

static void a_reload_is_answered_and_the_end_is_ordered(void **state)
{
    (void)state;
    monitor(asker);
    assert_int_equal(found->exit_code, CODE_DONE);
    assert_int_equal(found->n_asked, 1);
    assert_int_equal(found->n_answers, 1);
    assert_true(found->was_stopped);
}

static void an_honest_worker_is_served(void **state)
{
    (void)state;
    monitor(honest);
    assert_int_equal(found->exit_code, CODE_DONE);
    assert_int_equal(found->n_answers, 1);
    assert_true(found->was_stopped);
    assert_non_null(strstr(found->log, "running as instance"));
}

/* ---- the limit itself ---- */

static enum ipc_verdict ask(struct ipc_guard *guard, uint64_t now_ms)
{
    return ipc_judge(guard, &(struct ipc_message){.kind = IPC_RESOLVE}, now_ms * NS_PER_MS);
}

static void the_limit_refills(void **state)
{
    struct ipc_guard guard = {0};
    uint64_t now_ms = 123456789;

    (void)state;
    for (int i = 0; i < IPC_LOOKUPS_MAX; i++)
        assert_int_equal(ask(&guard, now_ms), IPC_TAKE);
    assert_int_equal(ask(&guard, now_ms), IPC_TOO_OFTEN);
    assert_int_equal(ask(&guard, now_ms + IPC_LOOKUP_EVERY_MS - 1), IPC_TOO_OFTEN);
    assert_int_equal(ask(&guard, now_ms + IPC_LOOKUP_EVERY_MS), IPC_TAKE);
    assert_int_equal(ask(&guard, now_ms + IPC_LOOKUP_EVERY_MS), IPC_TOO_OFTEN);
    now_ms += 3600000;
    for (int i = 0; i < IPC_LOOKUPS_MAX; i++)
        assert_int_equal(ask(&guard, now_ms), IPC_TAKE);
    assert_int_equal(ask(&guard, now_ms), IPC_TOO_OFTEN);
    for (int i = 0; i < 100; i++) // as often as ours ever does
        assert_int_equal(ask(&guard, now_ms += 15000), IPC_TAKE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_says_what_no_worker_says_is_ended),
        cmocka_unit_test(who_is_deaf_and_stays_is_ended),
        cmocka_unit_test(lookups_are_limited),
        cmocka_unit_test(reloads_are_limited),
        cmocka_unit_test(a_reload_is_answered_and_the_end_is_ordered),
        cmocka_unit_test(an_honest_worker_is_served),
        cmocka_unit_test(the_limit_refills),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
