// SPDX-License-Identifier: MIT
/*
 * test_asker: what is asked of the worker and how often, and workers that answer late, for ever, or what nobody asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../src/web/asker.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"

enum { QUESTION_LEN = 7, PART = 64 * 1024 };

static struct asker asker;
static int worker = -1;

static int set_up(void **state)
{
    int fds[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    worker = fds[1];
    return asker_init(&asker, fds[0]);
}

static int tear_down(void **state)
{
    (void)state;
    asker_deinit(&asker);
    if (worker >= 0)
        close(worker);
    worker = -1;
    return 0;
}

static void say(const char *text)
{
    assert_int_equal(send(worker, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// What the asker has said by now.
static size_t n_questions(void)
{
    char text[256];
    ssize_t n = recv(worker, text, sizeof text, MSG_DONTWAIT);

    if (n <= 0)
        return 0;
    for (ssize_t i = 0; i < n; i += QUESTION_LEN)
        assert_memory_equal(text + i, "status\n", QUESTION_LEN);
    return (size_t)n / QUESTION_LEN;
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

// Answers as soon as it is asked, on a thread of its own; the text.
static void *answer(void *text)
{
    struct pollfd poll_fd = {.fd = worker, .events = POLLIN};

    ensure(poll(&poll_fd, 1, 5000) == 1);
    for (const char *at = text; *at;) {
        size_t len = strlen(at) < PART ? strlen(at) : PART;
        ssize_t n = send(worker, at, len, MSG_NOSIGNAL);
        if (n < 0)
            return NULL;
        at += n;
    }
    return NULL;
}

static bool ask_answered(char *text)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, answer, text), 0);
    bool is_good = asker_ask(&asker);
    if (!is_good && asker.error) { // so that it need not wait for us
        shutdown(worker, SHUT_RDWR);
    }
    pthread_join(thread, NULL);
    return is_good;
}

static void test_many_questions_are_one(void **state)
{
    char status[] = "{\"peers\": [], \"uptime_s\": 5}\n";
    (void)state;
    assert_true(ask_answered(status));
    assert_int_equal(asker.len, strlen(status) - 1);
    assert_memory_equal(asker.bytes, status, asker.len);
    unsigned n_tried = asker.n_tried;
    for (int i = 0; i < 1000; i++)
        assert_true(asker_ask(&asker));
    assert_int_equal(n_questions(), 1);
    assert_int_equal(asker.n_tried, n_tried);
    sleep_ms(ASKER_KEEP_MS + 10);
    char other[] = "{\"peers\": [], \"uptime_s\": 6}\n";
    assert_true(ask_answered(other));
    assert_int_equal(n_questions(), 1);
    assert_int_equal(json_integer_value(json_object_get(asker.status, "uptime_s")), 6);
    assert_int_not_equal(asker.n_tried, n_tried);
}

static void test_what_is_no_status(void **state)
{
    char *const texts[] = {"{\"error\": \"no\"}\n",    "[]\n", "\n", "{\n", "{\"peers\": 1}\n", "{\"peers\": [], \"peers\": []}\n",
                           "{\"peers\": [\"\xff\"]}\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(ask_answered(texts[i]));
        assert_int_equal(asker.error, 0);
        assert_null(asker.status);
        sleep_ms(ASKER_KEEP_MS + 10);
    }
}

// A silent worker costs each quarter of a second one wait, and what it says at last is not taken for the answer to another question.
static void test_late_answers_are_thrown_away(void **state)
{
    (void)state;
    uint64_t began_ns = now_boot_ns();
    assert_false(asker_ask(&asker));
    assert_true(now_boot_ns() - began_ns >= ASKER_WAIT_MS * NS_PER_MS);
    for (int i = 0; i < 1000; i++)
        assert_false(asker_ask(&asker));
    assert_int_equal(n_questions(), 1);
    assert_int_equal(asker.error, 0);
    sleep_ms(ASKER_KEEP_MS + 10);
    assert_false(asker_ask(&asker)); // it has not answered the first
    assert_int_equal(n_questions(), 0);
    say("{\"peers\": [], \"uptime_s\": 1}\n");
    assert_int_equal(asker_listen(&asker), 0);
    sleep_ms(ASKER_KEEP_MS + 10);
    char status[] = "{\"peers\": [], \"uptime_s\": 2}\n";
    assert_true(ask_answered(status));
    assert_int_equal(json_integer_value(json_object_get(asker.status, "uptime_s")), 2);
}

static void test_what_nobody_asked(void **state)
{
    (void)state;
    say("x");
    assert_int_equal(asker_listen(&asker), -EBADMSG);
}

static void test_more_than_was_asked(void **state)
{
    char two[] = "{\"peers\": []}\n{\"peers\": []}\n";
    (void)state;
    assert_false(ask_answered(two));
    assert_int_equal(asker_listen(&asker), -EBADMSG);
}

static void test_an_answer_without_end(void **state)
{
    char *text = malloc(2 * ASKER_ANSWER_CAP);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 2 * ASKER_ANSWER_CAP - 1);
    text[2 * ASKER_ANSWER_CAP - 1] = '\0';
    assert_false(ask_answered(text));
    assert_int_equal(asker_listen(&asker), -EBADMSG);
    assert_false(asker_ask(&asker));
    free(text);
}

static void test_the_worker_ends(void **state)
{
    (void)state;
    close(worker);
    worker = -1;
    assert_int_equal(asker_listen(&asker), -EPIPE);
    assert_false(asker_ask(&asker));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_questions_are_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_answers_are_thrown_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_nobody_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_was_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_worker_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
