// SPDX-License-Identifier: MIT
/*
 * ipc: what one end sends the other gets, and nothing that the worker could make up gets past ipc_receive().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/daemon/ipc.h"
#include "ethercord/clock.h"

struct pair {
    int fds[2];
};

static int set_up(void **state)
{
    static struct pair pair;

    *state = &pair;
    return ipc_pair(pair.fds);
}

static int tear_down(void **state)
{
    struct pair *pair = *state;

    for (int i = 0; i < 2; i++)
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    return 0;
}

// With `n` addresses, IPv4 and IPv6 in turn.
static struct ipc_message addresses(uint32_t n)
{
    struct ipc_message message = {.kind = IPC_ADDRESSES, .n_addresses = n};

    for (uint32_t i = 0; i < PEER_ADDRESSES_MAX && i < n; i++)
        message.addresses[i] = (struct addr){
            .family = i % 2 ? AF_INET6 : AF_INET, .port = (uint16_t)(i == 0 ? 1 : UINT16_MAX - i), .ip = {192, 0, 2, (uint8_t)i}};
    return message;
}

static void test_pair(void **state)
{
    struct pair *pair = *state;

    for (int i = 0; i < 2; i++) {
        struct ipc_message message;
        assert_true(fcntl(pair->fds[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(pair->fds[i], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(ipc_receive(pair->fds[i], &message), 0);
    }
}

static void check_round_trip(struct pair *pair, const struct ipc_message *message)
{
    for (int i = 0; i < 2; i++) {
        struct ipc_message got;
        memset(&got, 0xa5, sizeof got);
        assert_int_equal(ipc_send(pair->fds[i], message), 0);
        assert_int_equal(ipc_receive(pair->fds[!i], &got), 1);
        assert_memory_equal(&got, message, sizeof got);
        assert_int_equal(ipc_receive(pair->fds[!i], &got), 0);
    }
}

// One of that kind that is right.
static struct ipc_message good(uint32_t kind)
{
    struct ipc_message message = {.kind = kind};

    if (kind == IPC_SETTINGS) {
        message.settings.live.ciphers = 1U << CIPHER_CHACHA20_POLY1305;
        message.settings.live.peer.is_present = true;
    } else if (kind == IPC_STATE) {
        memcpy(message.text, "peer site-b up ~", sizeof "peer site-b up ~");
    } else if (kind == IPC_LINE) {
        memset(message.line.text, '~', IPC_LINE_CAP - 1);
    }
    return message;
}

static void test_round_trip(void **state)
{
    for (uint32_t kind = 1; kind < IPC_KIND_COUNT; kind++) {
        struct ipc_message message = good(kind);
        check_round_trip(*state, &message);
    }
    for (uint32_t n = 0; n <= PEER_ADDRESSES_MAX; n++) {
        struct ipc_message message = addresses(n);
        check_round_trip(*state, &message);
    }
}

static void test_order(void **state)
{
    struct pair *pair = *state;
    struct ipc_message message;

    for (uint32_t n = 0; n <= PEER_ADDRESSES_MAX; n++) {
        message = addresses(n);
        assert_int_equal(ipc_send(pair->fds[0], &message), 0);
    }
    for (uint32_t n = 0; n <= PEER_ADDRESSES_MAX; n++) {
        assert_int_equal(ipc_receive(pair->fds[1], &message), 1);
        assert_int_equal(message.n_addresses, n);
    }
}

// Sends any bytes, then a good message: the bad one is refused, and only that one.
static void check_refused(struct pair *pair, const void *bytes, size_t len, const char *what)
{
    struct ipc_message got, good = {.kind = IPC_RESOLVE};

    assert_int_equal(send(pair->fds[0], bytes, len, 0), (ssize_t)len);
    assert_int_equal(ipc_send(pair->fds[0], &good), 0);
    if (ipc_receive(pair->fds[1], &got) != -EBADMSG)
        fail_msg("%s was not refused", what);
    assert_int_equal(ipc_receive(pair->fds[1], &got), 1);
    assert_int_equal(got.kind, IPC_RESOLVE);
    assert_int_equal(ipc_receive(pair->fds[1], &got), 0);
}

static void test_lengths(void **state)
{
    struct {
        struct ipc_message message;
        uint8_t more[300];
    } longer = {.message = addresses(2)};

    for (size_t len = 1; len < sizeof longer.message; len++)
        check_refused(*state, &longer, len, "a short message");
    check_refused(*state, &longer, sizeof longer.message + 1, "a message with a byte too many");
    check_refused(*state, &longer, sizeof longer, "a long message");
}

static void test_kinds(void **state)
{
    static const uint32_t kinds[] = {0, IPC_KIND_COUNT, IPC_KIND_COUNT + 1, 256 + IPC_READY, UINT32_C(1) << 31, UINT32_MAX};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        check_refused(*state, &(struct ipc_message){.kind = kinds[i]}, sizeof(struct ipc_message), "an unknown kind");
    for (uint32_t kind = 1; kind < IPC_KIND_COUNT; kind++) {
        struct ipc_message message = good(kind);
        message.n_addresses = 1;
        message.addresses[0] = addresses(1).addresses[0];
        if (kind == IPC_PEER_UP || kind == IPC_PEER_DOWN)
            check_round_trip(*state, &message);
        else if (kind != IPC_ADDRESSES)
            check_refused(*state, &message, sizeof message, "a kind with addresses that has none");
    }
}

static void test_lines(void **state)
{
    struct ipc_message message = good(IPC_LINE);

    message.line.what = IPC_LINE_COUNT;
    check_refused(*state, &message, sizeof message, "a line of no kind");
    message = good(IPC_LINE);
    message.line.text[IPC_LINE_CAP - 1] = '~';
    check_refused(*state, &message, sizeof message, "a line without an end");
    message = good(IPC_LINE);
    message.line.text[0] = '\0';
    check_refused(*state, &message, sizeof message, "an empty line");
    for (int c = 1; c < 256; c++) {
        if (c >= ' ' && c <= '~')
            continue;
        message = good(IPC_LINE);
        message.line.text[7] = (char)c;
        check_refused(*state, &message, sizeof message, "a character that is not printable");
    }
}

// Of a message that is right else, one byte at that place is `value`.
static void check_byte(struct pair *pair, uint32_t kind, size_t at, uint8_t value)
{
    struct ipc_message message = good(kind);

    ((uint8_t *)&message)[at] = value;
    check_refused(pair, &message, sizeof message, "a wrong field");
}

#define AT(field) offsetof(struct ipc_message, field)

static void test_settings(void **state)
{
    struct pair *pair = *state;
    struct ipc_message message = good(IPC_SETTINGS);

    check_byte(pair, IPC_RELOAD, AT(reload.is_trial), 2);
    check_byte(pair, IPC_RELOADED, AT(result), IPC_RESULT_COUNT);
    check_byte(pair, IPC_SETTINGS, AT(settings.is_elsewhere), 2);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.log_level), LOG_LEVEL_COUNT);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.ciphers), 0);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.ciphers), 0xff);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.carrier), 2);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.shortcut.answer), 2);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.shortcut.n_addresses), SHORTCUT_ADDRESSES_MAX + 1);
    check_byte(pair, IPC_SETTINGS, AT(settings.live.shortcut.n_addresses), 1); // of no family
    message.settings.live.shortcut.n_addresses = 1;
    message.settings.live.shortcut.addresses[0] = (struct cidr){.family = AF_INET, .prefix_len = 33};
    check_refused(pair, &message, sizeof message, "a prefix that is too long");
    check_byte(pair, IPC_SETTINGS, AT(settings.live.peer.is_present), 0); // and no shortcut: nothing to do
    check_byte(pair, IPC_SETTINGS, AT(settings.live.peer.has_psk), 3);
    message = good(IPC_SETTINGS);
    memset(message.settings.live.peer.name, 'x', sizeof message.settings.live.peer.name);
    check_refused(pair, &message, sizeof message, "a name without an end");
    message = good(IPC_SETTINGS);
    memset(message.settings.live.peer.endpoint_host, 'x', sizeof message.settings.live.peer.endpoint_host);
    check_refused(pair, &message, sizeof message, "a host without an end");
}

static void test_reasons(void **state)
{
    for (uint32_t kind = 1; kind < IPC_KIND_COUNT; kind++) {
        struct ipc_message message = {.kind = kind, .reason = PEER_REASON_COUNT - 1};
        if (kind != IPC_PEER_UP && kind != IPC_PEER_DOWN) {
            check_refused(*state, &message, sizeof message, "a kind with a reason that has none");
            continue;
        }
        check_round_trip(*state, &message);
        message.reason = PEER_REASON_COUNT;
        check_refused(*state, &message, sizeof message, "a reason that there is not");
        message = addresses(2);
        message.kind = kind;
        check_refused(*state, &message, sizeof message, "a peer with two endpoints");
        message = addresses(1);
        message.kind = kind;
        message.addresses[0].port = 0;
        check_refused(*state, &message, sizeof message, "an endpoint with port 0");
    }
}

static void test_peer_is_judged(void **state)
{
    const struct ipc_message up = {.kind = IPC_PEER_UP}, down = {.kind = IPC_PEER_DOWN}, ready = {.kind = IPC_READY};
    struct ipc_guard guard = {0};

    (void)state;
    assert_int_equal(ipc_judge(&guard, &up, 1), IPC_HOSTILE); // not before it is ready
    assert_int_equal(ipc_judge(&guard, &ready, 1), IPC_TAKE);
    assert_int_equal(ipc_judge(&guard, &down, 1), IPC_HOSTILE); // it is that anyway
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ipc_judge(&guard, &up, 1), IPC_TAKE);
        assert_int_equal(ipc_judge(&guard, &up, 1), IPC_HOSTILE);
        assert_int_equal(ipc_judge(&guard, &down, 1), IPC_TAKE);
    }
}

static void test_counts(void **state)
{
    static const uint32_t counts[] = {PEER_ADDRESSES_MAX + 1, 256, UINT32_C(1) << 31, UINT32_MAX};

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct ipc_message message = addresses(PEER_ADDRESSES_MAX);
        message.n_addresses = counts[i];
        check_refused(*state, &message, sizeof message, "too many addresses");
    }
}

static void test_addresses(void **state)
{
    static const uint16_t families[] = {AF_UNSPEC, AF_UNIX, AF_INET + 1, AF_INET6 - 1, AF_INET6 + 1, 0x0200, UINT16_MAX};

    for (uint32_t at = 0; at < PEER_ADDRESSES_MAX; at++) {
        struct ipc_message message = addresses(PEER_ADDRESSES_MAX);
        for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
            message.addresses[at].family = families[i];
            check_refused(*state, &message, sizeof message, "a bad family");
        }
        message = addresses(PEER_ADDRESSES_MAX);
        message.addresses[at].port = 0;
        check_refused(*state, &message, sizeof message, "port 0");

        // Behind the last address nothing is looked at.
        message.n_addresses = at;
        check_round_trip(*state, &message);
    }
}

static void test_states(void **state)
{
    static const char *const refused[] = {"", "a\nMAINPID=1", "\x1b[31m", "\x7f", "\xc3\xa4"};
    struct ipc_message message = {.kind = IPC_STATE};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(message.text, sizeof message.text, "%s", refused[i]);
        check_refused(*state, &message, sizeof message, "a state that is no line");
    }
    memset(message.text, 'x', sizeof message.text);
    check_refused(*state, &message, sizeof message, "a state without an end");
    message.text[sizeof message.text - 1] = '\0';
    check_round_trip(*state, &message);
}

static void test_states_are_limited(void **state)
{
    struct ipc_guard guard = {0};
    struct ipc_message message = {.kind = IPC_STATE, .text = "well"};
    uint64_t now_ns = 1000 * NS_PER_S;

    (void)state;
    for (int i = 0; i < IPC_STATES_MAX; i++)
        assert_int_equal(ipc_judge(&guard, &message, now_ns), IPC_TAKE);
    assert_int_equal(ipc_judge(&guard, &message, now_ns), IPC_TOO_OFTEN);
    for (int i = 0; i < 100; i++) // as often as ours ever does
        assert_int_equal(ipc_judge(&guard, &message, now_ns += NS_PER_S), IPC_TAKE);
}

static void test_other_end_gone(void **state)
{
    struct pair *pair = *state;
    struct ipc_message message = {.kind = IPC_STOP};

    assert_int_equal(ipc_send(pair->fds[0], &message), 0);
    close(pair->fds[0]);
    pair->fds[0] = -1;
    assert_int_equal(ipc_receive(pair->fds[1], &message), 1); // what was said before is still heard
    assert_int_equal(message.kind, IPC_STOP);
    assert_int_equal(ipc_receive(pair->fds[1], &message), -EPIPE);
    assert_int_equal(ipc_receive(pair->fds[1], &message), -EPIPE);
    assert_int_equal(ipc_send(pair->fds[1], &message), -EPIPE); // and no SIGPIPE
}

static void test_gone_without_reading(void **state)
{
    struct pair *pair = *state;
    struct ipc_message message = {.kind = IPC_READY};

    assert_int_equal(ipc_send(pair->fds[1], &message), 0);
    close(pair->fds[0]);
    pair->fds[0] = -1;
    assert_int_equal(ipc_receive(pair->fds[1], &message), -EPIPE);
}

static void test_nobody_reads(void **state)
{
    struct pair *pair = *state;
    struct ipc_message message = addresses(PEER_ADDRESSES_MAX);
    size_t n_sent = 0, n_received = 0;
    int error;

    while ((error = ipc_send(pair->fds[0], &message)) == 0)
        n_sent++;
    assert_int_equal(error, -EAGAIN);
    while (ipc_receive(pair->fds[1], &message) == 1)
        n_received++;
    assert_true(n_sent > 0);
    assert_int_equal(n_received, n_sent);
    assert_int_equal(ipc_send(pair->fds[0], &message), 0);
}

static void test_bad_descriptor(void **state)
{
    struct ipc_message message = {.kind = IPC_READY};

    (void)state;
    assert_int_equal(ipc_send(-1, &message), -EBADF);
    assert_int_equal(ipc_receive(-1, &message), -EBADF);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_pair),
        WITH_PAIR(test_round_trip),
        WITH_PAIR(test_order),
        WITH_PAIR(test_lengths),
        WITH_PAIR(test_kinds),
        WITH_PAIR(test_lines),
        WITH_PAIR(test_settings),
        WITH_PAIR(test_counts),
        WITH_PAIR(test_reasons),
        cmocka_unit_test(test_peer_is_judged),
        WITH_PAIR(test_addresses),
        WITH_PAIR(test_states),
        cmocka_unit_test(test_states_are_limited),
        WITH_PAIR(test_other_end_gone),
        WITH_PAIR(test_gone_without_reading),
        WITH_PAIR(test_nobody_reads),
        cmocka_unit_test(test_bad_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
