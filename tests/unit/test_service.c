// SPDX-License-Identifier: MIT
/*
 * What a service manager is told: the messages themselves, at a socket of our own in the place of its; when there is something to tell of
 * the peer; and which thread does not turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/daemon/notify.h"
#include "../../src/daemon/state_line.h"
#include "../../src/daemon/watchdog.h"
#include "ethercord/clock.h"
#include "test_said.h"

/* ---- notify ---- */

static int manager = -1;

static int open_manager(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char name[64];

    (void)state;
    int len = snprintf(name, sizeof name, "@ethercord-test-notify.%d", (int)getpid()); // abstract
    memcpy(sun.sun_path, name, (size_t)len);
    sun.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (manager < 0 || bind(manager, (const struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) < 0)
        return -1;
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int close_manager(void **state)
{
    (void)state;
    unsetenv("WATCHDOG_USEC");
    unsetenv("NOTIFY_SOCKET");
    return close(manager);
}

static const char *told(void)
{
    static char text[1024];
    ssize_t n = recv(manager, text, sizeof text - 1, 0);

    if (n < 0)
        return "";
    text[n] = '\0';
    return text;
}

static void the_life_of_a_node_is_told(void **state)
{
    struct notify notify;

    (void)state;
    notify_init(&notify);
    assert_true(notify.is_on);
    assert_int_equal(notify.watchdog_ms, 0);
    notify_ready(&notify, "running on cord0");
    assert_string_equal(told(), "READY=1\nSTATUS=running on cord0");
    notify_state(&notify, "peer site-b up");
    assert_string_equal(told(), "STATUS=peer site-b up");
    notify_reloading(&notify);
    const char *text = told();
    assert_ptr_equal(strstr(text, "RELOADING=1\nMONOTONIC_USEC="), text);
    notify_ready_again(&notify);
    assert_string_equal(told(), "READY=1\nSTATUS=peer site-b up");
    notify_alive(&notify);
    assert_string_equal(told(), "WATCHDOG=1");
    notify_stopping(&notify);
    text = told();
    assert_ptr_equal(strstr(text, "STOPPING=1\n"), text);
    assert_string_equal(told(), "");
}

static void the_watchdog_is_for_its_process_alone(void **state)
{
    struct notify notify;
    char pid[16];

    (void)state;
    setenv("WATCHDOG_USEC", "1500000", 1);
    notify_init(&notify);
    assert_int_equal(notify.watchdog_ms, 1500);
    setenv("WATCHDOG_PID", "1", 1);
    notify_init(&notify);
    assert_int_equal(notify.watchdog_ms, 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    notify_init(&notify);
    assert_int_equal(notify.watchdog_ms, 1500);
    notify_forget();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

static void without_a_manager_nothing_is_told(void **state)
{
    struct notify notify;

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1500000", 1);
    notify_init(&notify);
    assert_false(notify.is_on);
    assert_int_equal(notify.watchdog_ms, 0);
    setenv("NOTIFY_SOCKET", "/nonexistent", 1); // even if there came one later
    notify_ready(&notify, "running");
    notify_alive(&notify);
    assert_string_equal(told(), "");
}

static void a_manager_that_is_gone_is_said_once(void **state)
{
    struct notify notify;
    struct said said;

    (void)state;
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    notify_init(&notify);
    assert_true(said_begin(&said));
    notify_alive(&notify);
    notify_alive(&notify);
    assert_said(&said, "can't tell the service manager that WATCHDOG: ");
    said_end(&said);
}

/* ---- the line ---- */

#define SINCE_NS (100 * NS_PER_S)
#define WALL_NS (UINT64_C(1795577145) * NS_PER_S) // 2026-11-25 03:25:45Z

static void set_peer(struct peer *peer)
{
    *peer = (struct peer){.config.name = "site-b", .since_ns = SINCE_NS, .reason = PEER_REASON_STARTING};
    peer->tried = peer->endpoint.remote = (struct addr){.family = AF_INET, .port = 36160, .ip = {203, 0, 113, 5}};
    peer->has_endpoint = true;
}

static void set_up_state(struct peer *peer)
{
    peer->is_up = true;
    peer->reason = PEER_REASON_UP;
    peer->pmtu.size = 1500;
    peer->current.cipher = CIPHER_CHACHA20_POLY1305;
}

static void the_line_says_how_it_is(void **state)
{
    static struct peer peer;
    char text[IPC_TEXT_CAP];

    (void)state;
    set_peer(&peer);
    state_line_format(&peer, SINCE_NS + 45 * NS_PER_S, WALL_NS, text, sizeof text);
    assert_string_equal(text, "peer site-b down since 2026-11-25 03:25:00Z: starting");
    peer.reason = PEER_REASON_NO_ANSWER;
    state_line_format(&peer, SINCE_NS, WALL_NS, text, sizeof text);
    assert_string_equal(text, "peer site-b down since 2026-11-25 03:25:45Z: no answer from 203.0.113.5:36160");
    set_up_state(&peer);
    state_line_format(&peer, SINCE_NS, WALL_NS, text, sizeof text);
    assert_string_equal(text, "peer site-b up since 2026-11-25 03:25:45Z at 203.0.113.5:36160, chacha20-poly1305, path MTU 1500");
    state_line_format(NULL, SINCE_NS, WALL_NS, text, sizeof text);
    assert_string_equal(text, "no peer is configured: a shortcut alone");
    memcpy(peer.config.name, "b\n\xc3\xa4", 5);
    state_line_format(&peer, SINCE_NS, WALL_NS, text, sizeof text);
    assert_ptr_equal(strstr(text, "peer b??? up"), text);
}

static unsigned n_told(int fd)
{
    struct ipc_message message;
    unsigned n = 0;

    while (ipc_receive(fd, &message) == 1)
        n += message.kind == IPC_STATE;
    return n;
}

static void the_line_is_told_when_it_changes(void **state)
{
    static struct peer peer;
    struct state_line line = {.is_wanted = true}, unwanted = {0};
    uint64_t now_ns = SINCE_NS + NS_PER_S;
    int fds[2];

    (void)state;
    set_peer(&peer);
    assert_int_equal(ipc_pair(fds), 0);
    assert_true(state_line_note(&unwanted, &peer, fds[1], now_ns) == UINT64_MAX);
    assert_int_equal(n_told(fds[0]), 0);
    assert_true(state_line_note(&line, &peer, fds[1], now_ns) == UINT64_MAX);
    assert_int_equal(n_told(fds[0]), 1);
    for (int i = 0; i < 100; i++) // nothing new, however often, and nobody is woken for it
        assert_true(state_line_note(&line, &peer, fds[1], now_ns + (uint64_t)i * NS_PER_S) == UINT64_MAX);
    assert_int_equal(n_told(fds[0]), 0);
    set_up_state(&peer);
    assert_true(state_line_note(&line, &peer, fds[1], now_ns + 1) == now_ns + NS_PER_S); // too soon: later
    assert_int_equal(n_told(fds[0]), 0);
    assert_true(state_line_note(&line, &peer, fds[1], now_ns + NS_PER_S) == UINT64_MAX);
    assert_int_equal(n_told(fds[0]), 1);
    peer.pmtu.size = 1400;
    assert_true(state_line_note(&line, &peer, fds[1], now_ns + 3 * NS_PER_S) == UINT64_MAX);
    assert_int_equal(n_told(fds[0]), 1);
    close(fds[0]);
    peer.pmtu.size = 1300;
    assert_true(state_line_note(&line, &peer, fds[1], now_ns + 5 * NS_PER_S) == now_ns + 6 * NS_PER_S); // not told: again
    close(fds[1]);
}

/* ---- the watchdog ---- */

static void all_turn(struct watchdog *watchdog, enum node_thread but)
{
    for (int i = 0; i < NODE_THREADS; i++)
        if (i != (int)but)
            watchdog_note(&watchdog->page->threads[i]);
}

static void a_thread_that_is_stuck_is_noticed(void **state)
{
    static const char *const names[] = {"thread main ", "thread tx ", "thread rx "};
    struct watchdog watchdog;
    struct said said;

    (void)state;
    assert_int_equal(watchdog_init(&watchdog, 3000), 0);
    assert_int_equal(watchdog.every_ms, 1000);
    assert_false(watchdog_look(&watchdog)); // nobody has turned yet
    all_turn(&watchdog, NODE_THREADS);
    assert_true(watchdog_look(&watchdog));
    assert_true(said_begin(&said));
    for (int i = 0; i < NODE_THREADS; i++) {
        all_turn(&watchdog, (enum node_thread)i);
        assert_false(watchdog_look(&watchdog));
        assert_said_nothing(&said); // once may be a busy machine
        all_turn(&watchdog, (enum node_thread)i);
        assert_false(watchdog_look(&watchdog));
        assert_said(&said, names[i]);
        all_turn(&watchdog, (enum node_thread)i);
        assert_false(watchdog_look(&watchdog));
        assert_said_nothing(&said);
        all_turn(&watchdog, NODE_THREADS);
        assert_true(watchdog_look(&watchdog));
        assert_said(&said, "turns again");
    }
    said_end(&said);
}

static void without_a_watchdog_there_is_no_page(void **state)
{
    struct watchdog watchdog;

    (void)state;
    assert_int_equal(watchdog_init(&watchdog, 0), 0);
    assert_null(watchdog.page);
    assert_int_equal(watchdog.every_ms, 0);
    watchdog_note(NULL);
}

#define WITH_MANAGER(test) cmocka_unit_test_setup_teardown(test, open_manager, close_manager)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MANAGER(the_life_of_a_node_is_told),
        WITH_MANAGER(the_watchdog_is_for_its_process_alone),
        WITH_MANAGER(without_a_manager_nothing_is_told),
        WITH_MANAGER(a_manager_that_is_gone_is_said_once),
        cmocka_unit_test(the_line_says_how_it_is),
        cmocka_unit_test(the_line_is_told_when_it_changes),
        cmocka_unit_test(a_thread_that_is_stuck_is_noticed),
        cmocka_unit_test(without_a_watchdog_there_is_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
