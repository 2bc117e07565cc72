// SPDX-License-Identifier: MIT
/*
 * echo: the request "ping" over a real control socket, with a peer that answers as the test wants.
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
#include <unistd.h>

#include "../../src/daemon/echo.h"
#include "ethercord/clock.h"

enum { SENT_MAX = 64, TEXT_CAP = 64 * 1024 };

struct context {
    uv_loop_t loop;
    struct control control;
    struct echo echo;
    bool has_session;
    uint8_t ids[SENT_MAX][WIRE_TOKEN_LEN];
    unsigned n_sent;
};

static bool send_echo(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN])
{
    struct context *context = ctx;

    assert_true(context->n_sent < SENT_MAX);
    memcpy(context->ids[context->n_sent++], id, WIRE_TOKEN_LEN);
    return context->has_session;
}

static json_t *describe(void *ctx)
{
    const struct context *context = ctx;

    return json_pack("{s:s}", "state", context->has_session ? "up" : "down");
}

static void start_ping(void *ctx, struct control_client *client, char *arguments)
{
    struct context *context = ctx;

    echo_start(&context->echo, client, arguments);
}

static const struct control_request requests[] = {{"ping", start_ping}, {.word = NULL}};

static int set_up(void **state)
{
    static struct context context;
    const struct sockaddr unnamed = {.sa_family = AF_UNIX}; // the kernel finds a name that is in no folder

    context = (struct context){.has_session = true};
    *state = &context;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (uv_loop_init(&context.loop) || fd < 0 || bind(fd, &unnamed, sizeof unnamed.sa_family) < 0)
        return -1;
    context.echo.source = (struct echo_source){&context.loop, &context, send_echo, describe};
    context.control = (struct control){.requests = requests, .ctx = &context};
    return control_start(&context.control, &context.loop, fd);
}

static void turn(struct context *context)
{
    for (int i = 0; i < 4; i++)
        uv_run(&context->loop, UV_RUN_NOWAIT);
}

static int tear_down(void **state)
{
    struct context *context = *state;

    control_stop(&context->control);
    turn(context);
    assert_null(context->echo.askers);
    return uv_loop_close(&context->loop); // fails if a timer is left
}

static int ask(struct context *context, const char *request)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(control_adopt(&context->control, fds[0]), 0);
    assert_int_equal(send(fds[1], request, strlen(request), 0), (ssize_t)strlen(request));
    turn(context);
    return fds[1];
}

static void check_hears(struct context *context, int fd, const char *expected)
{
    static char text[TEXT_CAP];

    turn(context);
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, expected);
}

static void answer(struct context *context, unsigned i, uint64_t rtt_ns)
{
    struct echo *echo = &context->echo;
    uint8_t wrong[WIRE_TOKEN_LEN];

    for (unsigned byte = 0; byte < WIRE_TOKEN_LEN; byte++) { // no other id will do
        memcpy(wrong, context->ids[i], sizeof wrong);
        wrong[byte] ^= 0x80;
        echo_answered(echo, wrong, now_boot_ns());
    }
    echo_answered(echo, context->ids[i], now_boot_ns() + rtt_ns);
    echo_answered(echo, context->ids[i], now_boot_ns()); // an answer counts once
}

#define SENT(seq) "{\"state\":\"up\",\"event\":\"sent\",\"seq\":" #seq "}\n"

// Documents have a measured time in them, which is left out here.
static void check_hears_answer(struct context *context, int fd, const char *rest)
{
    static const char begin[] = "{\"rtt_ms\":";
    static char text[TEXT_CAP];
    char *after;

    turn(context);
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, begin, sizeof begin - 1);
    double rtt_ms = strtod(text + sizeof begin - 1, &after);
    assert_true(rtt_ms >= 3000 && rtt_ms < 60000); // as it was made, and what this machine takes besides
    assert_string_equal(after, rest);
}

static void test_one(void **state)
{
    struct context *context = *state;
    int fd = ask(context, "ping 1000 1\n");

    assert_int_equal(context->n_sent, 1);
    check_hears(context, fd, SENT(1));
    answer(context, 0, 3 * NS_PER_S);
    check_hears_answer(context, fd, ",\"event\":\"answered\",\"seq\":1}\n{\"event\":\"end\"}\n");
    assert_null(context->echo.askers);
    close(fd);
}

static void test_no_session(void **state)
{
    struct context *context = *state;

    context->has_session = false;
    int fd = ask(context, "ping 1000 1\n");
    check_hears(context, fd, "{\"state\":\"down\",\"event\":\"unsent\",\"seq\":1}\n{\"event\":\"end\"}\n");
    answer(context, 0, 0); // nobody waits for it
    check_hears(context, fd, "");
    close(fd);
}

// Each hears of its own, in whatever order they are answered.
static void test_several(void **state)
{
    struct context *context = *state;
    int one = ask(context, "ping 60000 2\n"), two = ask(context, "ping 60000\n"), three = ask(context, "ping 60000 1\n");

    assert_int_equal(context->n_sent, 3);
    check_hears(context, one, SENT(1));
    check_hears(context, two, SENT(1));
    check_hears(context, three, SENT(1));
    answer(context, 2, 3 * NS_PER_S);
    check_hears(context, one, "");
    check_hears(context, two, "");
    check_hears_answer(context, three, ",\"event\":\"answered\",\"seq\":1}\n{\"event\":\"end\"}\n");
    answer(context, 0, 3 * NS_PER_S);
    check_hears_answer(context, one, ",\"event\":\"answered\",\"seq\":1}\n");
    close(one); // while it waits for its turn
    turn(context);
    answer(context, 1, 3 * NS_PER_S);
    check_hears_answer(context, two, ",\"event\":\"answered\",\"seq\":1}\n");
    assert_non_null(context->echo.askers); // the one without an end
    close(two);
    close(three);
    turn(context);
}

// They come one after the other, and answers may overtake each other.
static void test_in_turn(void **state)
{
    struct context *context = *state;
    int fd = ask(context, "ping 10 3\n");

    for (int i = 0; context->n_sent < 3 && i < 1000; i++) {
        usleep(1000);
        turn(context);
    }
    check_hears(context, fd, SENT(1) SENT(2) SENT(3));
    answer(context, 2, 3 * NS_PER_S);
    check_hears_answer(context, fd, ",\"event\":\"answered\",\"seq\":3}\n");
    answer(context, 0, 3 * NS_PER_S);
    check_hears_answer(context, fd, ",\"event\":\"answered\",\"seq\":1}\n");
    answer(context, 1, 3 * NS_PER_S);
    check_hears_answer(context, fd, ",\"event\":\"answered\",\"seq\":2}\n{\"event\":\"end\"}\n");
    close(fd);
}

static void test_bad_requests(void **state)
{
    static const char *const bad[] = {"ping\n",       "ping \n",
                                      "ping 9\n",     "ping 3600001\n",
                                      "ping -1\n",    "ping 1000 0\n",
                                      "ping 1000 \n", "ping 1000x\n",
                                      "ping 1e3\n",   "ping 1000 1000000001\n",
                                      "ping  20\n",   "ping 20 5 6\n",
                                      "ping 20 5 \n", "ping 0x20\n",
                                      "ping 20,5\n",  "ping 18446744073709551626\n"};
    struct context *context = *state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = ask(context, bad[i]);
        check_hears(context, fd,
                    "{\"error\":\"ping: expected milliseconds, 10 to 3600000, and perhaps how many echoes, 1 to 1000000000\"}\n");
        close(fd);
    }
    assert_int_equal(context->n_sent, 0);
    assert_null(context->echo.askers);
}

int main(void)
{
#define ECHO_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ECHO_TEST(test_one), ECHO_TEST(test_no_session), ECHO_TEST(test_several), ECHO_TEST(test_in_turn), ECHO_TEST(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
