// SPDX-License-Identifier: MIT
/*
 * test_hook_runner: the process that runs hooks, given orders over its socketpair as the monitor would, and some that no monitor gives;
 * what it does is seen in the log and in its answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/daemon/hook_orders.h"
#include "../../src/daemon/hook_output.h"
#include "../../src/daemon/hook_runner.h"
#include "../../src/daemon/monitor.h"
#include "ethercord/peer.h"
#include "test_said.h"

enum { PATIENCE_MS = 20000 };

static struct said said;

struct runner_under_test {
    struct config config;
    pid_t pid;
    int fd;
};

static int set_up(void **state)
{
    static struct runner_under_test runner;
    runner = (struct runner_under_test){.config = {.name = "site", .hooks = {.timeout_s = 10}, .tap = {.name = "cord7", .mtu = 1400}}};
    *state = &runner;
    return said_begin(&said) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    said_end(&said);
    return 0;
}

static void add(struct runner_under_test *runner, enum hook_event event, const char *command)
{
    struct hook *hook = &runner->config.hooks.at[runner->config.hooks.n++];
    hook->event = event;
    snprintf(hook->command, sizeof hook->command, "%s", command);
}

static void start(struct runner_under_test *runner)
{
    stop_signals(SIG_BLOCK);
    runner->pid = hook_runner_start(&runner->config, &runner->fd);
    assert_true(runner->pid > 0);
}

static void give(struct runner_under_test *runner, const struct hook_order *order)
{
    assert_int_equal(hook_order_send(runner->fd, order), 0);
}

static void give_run(struct runner_under_test *runner, enum hook_event event)
{
    give(runner, &(struct hook_order){.kind = HOOK_ORDER_RUN, .event = event});
}

// How many hooks have failed.
static unsigned wait_done(struct runner_under_test *runner)
{
    struct pollfd poll_fd = {.fd = runner->fd, .events = POLLIN};
    struct hook_order order;
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
    assert_int_equal(hook_order_receive(runner->fd, &order), 1);
    assert_int_equal(order.kind, HOOK_ORDER_DONE);
    return order.n_failed;
}

static void wait_end(struct runner_under_test *runner)
{
    struct pollfd poll_fd = {.fd = runner->fd};
    int status;
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
    assert_int_equal(waitpid(runner->pid, &status, 0), runner->pid);
    assert_int_equal(status, 0);
    close(runner->fd);
}

static void finish(struct runner_under_test *runner)
{
    give(runner, &(struct hook_order){.kind = HOOK_ORDER_END});
    wait_end(runner);
}

// The texts, in this order.
static void assert_says(const char *const *texts)
{
    const char *all = said_all(&said), *at = all;
    for (; *texts; texts++) {
        at = strstr(at, *texts);
        if (at)
            continue;
        print_message("'%s' is not said, or too early, in: %s", *texts, all); // stderr is not to be seen here
        fail();
    }
}
#define SAYS(...) assert_says((const char *const[]){__VA_ARGS__, NULL})

static void one_after_the_other(void **state)
{
    struct runner_under_test *runner = *state;
    add(runner, HOOK_PEER_UP, "sleep 0.2; echo one; echo two >&2; exit 3");
    add(runner, HOOK_POST_UP, "echo not me");
    add(runner, HOOK_PEER_UP, "echo three");
    start(runner);
    give_run(runner, HOOK_PEER_UP);
    assert_int_equal(wait_done(runner), 1);
    SAYS("info: OnPeerUp 1: one", "info: OnPeerUp 1: two", "warning: OnPeerUp 1 failed: exit code 3", "info: OnPeerUp 2: three");
    assert_null(strstr(said.text, "not me"));
    finish(runner);
}

static void post_up_ends_with_the_first_that_fails(void **state)
{
    struct runner_under_test *runner = *state;
    add(runner, HOOK_POST_UP, "true");
    add(runner, HOOK_POST_UP, "kill -9 $$");
    add(runner, HOOK_POST_UP, "echo not me");
    add(runner, HOOK_PRE_DOWN, "no-such-command");
    start(runner);
    give_run(runner, HOOK_POST_UP);
    assert_int_equal(wait_done(runner), 1);
    SAYS("warning: PostUp 2 failed: ended by signal 9");
    assert_null(strstr(said.text, "not me"));
    give_run(runner, HOOK_PRE_DOWN);
    assert_int_equal(wait_done(runner), 1);
    SAYS("no-such-command", "exit code 127, no such command; its PATH is in docs/hooks.md");
    give_run(runner, HOOK_PEER_UP); // of which there is none
    assert_int_equal(wait_done(runner), 0);
    finish(runner);
}

// Values come from our own configuration and from an address; a shell does not look into them.
static void environment(void **state)
{
    struct runner_under_test *runner = *state;
    struct hook_order run = {.kind = HOOK_ORDER_RUN, .event = HOOK_PEER_DOWN, .reason = PEER_REASON_GOODBYE};
    setenv("SECRET", "of whoever starts us", 1);
    runner->config.peer.is_present = true;
    snprintf(runner->config.peer.name, sizeof runner->config.peer.name, "%s", "b;echo$(id)");
    snprintf(runner->config.tap.bridge, sizeof runner->config.tap.bridge, "br0");
    memset(runner->config.private_key, 0x55, sizeof runner->config.private_key);
    run.endpoint = (struct addr){.family = AF_INET6, .port = 7, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
    add(runner, HOOK_PEER_DOWN, "env -u PWD | sort | tr '\\n' ' '; id -u >/dev/null; umask; pwd");
    start(runner);
    give(runner, &run);
    assert_int_equal(wait_done(runner), 0);
    SAYS("OnPeerDown: ETHERCORD_BRIDGE=br0 ETHERCORD_ENDPOINT=[2001:db8::1]:7 ETHERCORD_EVENT=peer-down ETHERCORD_INSTANCE=site "
         "ETHERCORD_MTU=1400 ETHERCORD_PEER=b;echo$(id) ETHERCORD_REASON=goodbye ETHERCORD_TAP=cord7 LANG=C.UTF-8 PATH=/usr/local/sbin:",
         " 0022\n", "OnPeerDown: /\n");
    assert_null(strstr(said.text, "SECRET"));
    finish(runner);
}

static void nothing_is_inherited(void **state)
{
    struct runner_under_test *runner = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0); // not close-on-exec
    add(runner, HOOK_POST_UP,
        "echo $(ls /proc/self/fd); sed -n 's/^Sig[BI][a-z]*:.//p' /proc/$$/status |"
        " while read -r mask; do echo mask $((0x$mask & 0x7fffffff)); done"); // the C library keeps 32 and 33 to itself
    add(runner, HOOK_POST_UP, "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && [ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo leads");
    add(runner, HOOK_POST_UP, "readlink /proc/self/fd/0");
    start(runner);
    give_run(runner, HOOK_POST_UP);
    assert_int_equal(wait_done(runner), 0);
    SAYS("PostUp 1: 0 1 2 3\n", "mask 0\n", "mask 0\n", "PostUp 2: leads", "PostUp 3: /dev/null");
    close(fds[0]);
    close(fds[1]);
    finish(runner);
}

static void too_long(void **state)
{
    struct runner_under_test *runner = *state;
    runner->config.hooks.timeout_s = 1;
    add(runner, HOOK_PEER_UP, "sleep 100");
    add(runner, HOOK_PEER_UP, "trap '' TERM; sh -c 'echo $$; sleep 100' & wait; while :; do sleep 100; done");
    start(runner);
    give_run(runner, HOOK_PEER_UP);
    assert_int_equal(wait_done(runner), 2);
    SAYS("OnPeerUp 1 is not done after 1 s: ending it; have what takes longer run in the background, or set HookTimeout in [Node]",
         "OnPeerUp 1 was ended", "OnPeerUp 2: ", "OnPeerUp 2 is not done", "OnPeerUp 2 does not end by SIGTERM: killing it",
         "OnPeerUp 2 was ended");
    const char *at = strstr(said.text, "OnPeerUp 2: ");
    int grandchild = 0;
    assert_int_equal(sscanf(at, "OnPeerUp 2: %d", &grandchild), 1);
    for (int i = 0; i < 100 && kill(grandchild, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(grandchild, 0), -1); // with all its group
    finish(runner);
}

// The hook is over when its shell is, and what it left is nobody's zombie.
static void background(void **state)
{
    struct runner_under_test *runner = *state;
    char command[64];
    add(runner, HOOK_POST_UP, "sleep 0.5 & echo started; sleep 0.1 & sleep 0.1 &");
    start(runner);
    give_run(runner, HOOK_POST_UP);
    assert_int_equal(wait_done(runner), 0);
    SAYS("PostUp: started");
    snprintf(command, sizeof command, "[ -n \"$(ps -o pid= --ppid %d)\" ]", (int)runner->pid);
    assert_int_equal(system(command), 0); // still there
    usleep(900000);
    snprintf(command, sizeof command, "[ -z \"$(ps -o pid= --ppid %d)\" ]", (int)runner->pid);
    assert_int_equal(system(command), 0); // and reaped
    finish(runner);
}

static void much_output(void **state)
{
    struct runner_under_test *runner = *state;
    size_t n_lines = 0;
    add(runner, HOOK_POST_UP, "head -c 10000000 /dev/zero | tr '\\0' x; echo; seq 100000; printf 'a\\033b\\n\\n'");
    start(runner);
    give_run(runner, HOOK_POST_UP);
    assert_int_equal(wait_done(runner), 0);
    // Sized so that all of it fits: HOOK_LINES_MAX lines, of which one is long.
    SAYS("xxxx ...\n", "PostUp: 1\n", "PostUp: 49\n", "PostUp: 99952 more lines are left out");
    for (const char *at = said.text; (at = strchr(at, '\n')); at++)
        n_lines++;
    assert_int_equal(n_lines, HOOK_LINES_MAX + 1);
    finish(runner);
}

static void cancelled(void **state)
{
    struct runner_under_test *runner = *state;
    add(runner, HOOK_PEER_UP, "echo begun; sleep 100");
    add(runner, HOOK_PEER_UP, "echo not me");
    add(runner, HOOK_PRE_DOWN, "echo down");
    start(runner);
    give(runner, &(struct hook_order){.kind = HOOK_ORDER_CANCEL}); // nothing runs: nothing is said
    give_run(runner, HOOK_PEER_UP);
    give(runner, &(struct hook_order){.kind = HOOK_ORDER_CANCEL});
    assert_int_equal(wait_done(runner), 1);
    SAYS("OnPeerUp 1 was ended");
    give_run(runner, HOOK_PRE_DOWN);
    assert_int_equal(wait_done(runner), 0);
    SAYS("PreDown: down");
    assert_null(strstr(said.text, "not me"));
    finish(runner);
}

static void the_monitor_is_gone(void **state)
{
    struct runner_under_test *runner = *state;
    int status;
    add(runner, HOOK_POST_UP, "echo $$; exec sleep 100");
    start(runner);
    give_run(runner, HOOK_POST_UP);
    usleep(300000);
    close(runner->fd);
    assert_int_equal(waitpid(runner->pid, &status, 0), runner->pid);
    assert_int_equal(status, 0);
    SAYS("PostUp: ", "PostUp was ended");
    int pid = 0;
    assert_int_equal(sscanf(strstr(said.text, "PostUp: "), "PostUp: %d", &pid), 1);
    assert_int_equal(kill(pid, 0), -1);
}

// What is meant for the monitor, or for the whole group of a terminal, does not end it.
static void signals(void **state)
{
    struct runner_under_test *runner = *state;
    add(runner, HOOK_PRE_DOWN, "echo down");
    start(runner);
    kill(runner->pid, SIGTERM);
    kill(runner->pid, SIGINT);
    kill(runner->pid, SIGHUP);
    give_run(runner, HOOK_PRE_DOWN);
    assert_int_equal(wait_done(runner), 0);
    SAYS("PreDown: down");
    finish(runner);
}

static void orders_that_no_monitor_gives(void **state)
{
    static const struct hook_order bad[] = {
        {.kind = 0},
        {.kind = HOOK_ORDER_COUNT},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_EVENT_COUNT},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_PRE_DOWN, .reason = HOOK_REASON_COUNT},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_PEER_UP, .reason = PEER_REASON_COUNT},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_POST_UP, .n_failed = 1},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_POST_UP, .endpoint = {.family = AF_INET}},
        {.kind = HOOK_ORDER_RUN, .event = HOOK_POST_UP, .endpoint = {.family = AF_UNIX, .port = 1}},
        {.kind = HOOK_ORDER_DONE, .n_failed = HOOKS_MAX + 1},
    };
    struct runner_under_test *runner = *state;
    add(runner, HOOK_POST_UP, "sleep 0.3; echo once");
    start(runner);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        give(runner, &bad[i]);
    assert_int_equal(send(runner->fd, &bad, sizeof bad, 0), sizeof bad);
    assert_int_equal(send(runner->fd, &bad, 1, 0), 1);
    usleep(200000);
    SAYS(""); // nothing runs
    assert_null(strstr(said.text, "once"));
    give_run(runner, HOOK_POST_UP);
    give_run(runner, HOOK_POST_UP); // while it runs
    give(runner, &(struct hook_order){.kind = HOOK_ORDER_DONE});
    assert_int_equal(wait_done(runner), 0);
    SAYS("an order that it never gives", "an order that it never gives", "PostUp: once");
    finish(runner);
}

#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(one_after_the_other),
        WITH_LOG(post_up_ends_with_the_first_that_fails),
        WITH_LOG(environment),
        WITH_LOG(nothing_is_inherited),
        WITH_LOG(too_long),
        WITH_LOG(background),
        WITH_LOG(much_output),
        WITH_LOG(cancelled),
        WITH_LOG(the_monitor_is_gone),
        WITH_LOG(signals),
        WITH_LOG(orders_that_no_monitor_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
