// SPDX-License-Identifier: MIT
/*
 * ping_account: lines and summary from documents that are made up, odd ones too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/ping_account.h"

#define WAY "\"peer\":\"b\",\"state\":\"up\",\"reason\":\"up for 3 s\",\"endpoint\":\"192.0.2.2:36160\",\"path_mtu\":1500,\"bytes\":77"
#define DOWN "\"peer\":\"b\",\"state\":\"down\",\"reason\":\"the peer said goodbye\",\"endpoint\":null,\"path_mtu\":1280,\"bytes\":77"

// What is printed for these documents, up to a NULL, and the summary. To be freed.
static char *printed(struct ping_account *account, const char *const *documents)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    *account = (struct ping_account){0};
    for (; *documents; documents++) {
        json_t *document = json_loads(*documents, JSON_DECODE_ANY, NULL);
        assert_non_null(document);
        ping_take(account, document, out);
        json_decref(document);
    }
    ping_print_summary(account, out);
    fclose(out);
    return text;
}

static void check(const char *const *documents, const char *expected)
{
    struct ping_account account;
    char *text = printed(&account, documents);

    assert_string_equal(text, expected);
    free(text);
}

static void test_answers(void **state)
{
    static const char *const documents[] = {"{\"event\":\"sent\",\"seq\":1," WAY "}",
                                            "{\"event\":\"answered\",\"seq\":1,\"rtt_ms\":1}",
                                            "{\"event\":\"sent\",\"seq\":2," WAY "}",
                                            "{\"event\":\"sent\",\"seq\":3," WAY "}",
                                            "{\"event\":\"answered\",\"seq\":3,\"rtt_ms\":3.0}",
                                            "{\"event\":\"lost\",\"seq\":2}",
                                            "{\"event\":\"end\"}",
                                            NULL};

    (void)state;
    check(documents, "Echoes to peer b at 192.0.2.2:36160, packets of 77 bytes\n"
                     "77 bytes from b: seq=1 time=1.000 ms\n"
                     "77 bytes from b: seq=3 time=3.000 ms\n"
                     "no answer from b: seq=2\n"
                     "--- peer b ---\n"
                     "3 sent, 2 received, 33.33 % lost\n"
                     "round trip min/avg/max/mdev 1.000/2.000/3.000/1.000 ms\n"
                     "endpoint 192.0.2.2:36160, path MTU 1500\n");
}

static void test_no_session(void **state)
{
    static const char *const documents[] = {"{\"event\":\"unsent\",\"seq\":1," DOWN "}", "{\"event\":\"end\"}", NULL};

    (void)state;
    check(documents, "Echoes to peer b at an address that is not known yet, packets of 77 bytes\n"
                     "no session with b: seq=1 is lost: the peer said goodbye\n"
                     "--- peer b ---\n"
                     "1 sent, 0 received, 100 % lost\n"
                     "the peer is down: the peer said goodbye\n"
                     "endpoint not known, path MTU 1280\n");
}

static void test_no_answer(void **state)
{
    static const char *const documents[] = {"{\"event\":\"sent\",\"seq\":1," WAY "}", NULL};

    (void)state;
    check(documents, "Echoes to peer b at 192.0.2.2:36160, packets of 77 bytes\n"
                     "--- peer b ---\n"
                     "1 sent, 0 received, 100 % lost\n"
                     "no answer, though the peer counts as up still (for 10 s after it was last heard)\n"
                     "endpoint 192.0.2.2:36160, path MTU 1500\n");
}

// Another version may say anything; a terminal obeys none of it.
static void test_odd_documents(void **state)
{
    static const char *const documents[] = {
        "1", "null", "[]", "{}", "{\"event\":1}", "{\"event\":\"something new\"}", "{\"event\":\"answered\",\"seq\":1,\"rtt_ms\":\"soon\"}",
        NULL};
    static const char *const hostile[] = {
        "{\"event\":\"sent\",\"peer\":\"\\u001b[2J\\u009b\",\"endpoint\":7,\"path_mtu\":-1,\"bytes\":1e99}", NULL};
    struct ping_account account;

    (void)state;
    check(documents, "");
    char *text = printed(&account, hostile);
    for (size_t i = 0; text[i]; i++)
        assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f));
    assert_int_equal(account.path_mtu, 0);
    assert_int_equal(account.bytes, 0);
    assert_string_equal(account.endpoint, "");
    free(text);
}

// A name as long as it likes has its end.
static void test_long_texts(void **state)
{
    static char document[2000], name[1000];
    const char *const documents[] = {document, NULL};
    struct ping_account account;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    snprintf(document, sizeof document, "{\"event\":\"sent\",\"peer\":\"%s\"}", name);
    free(printed(&account, documents));
    assert_int_equal(strlen(account.peer), sizeof account.peer - 1);
}

static double number(const json_t *summary, const char *key)
{
    assert_true(json_is_number(json_object_get(summary, key)));
    return json_number_value(json_object_get(summary, key));
}

static void test_summary(void **state)
{
    struct ping_account account = {.n_sent = 4, .n_received = 3, .min_ms = 1, .max_ms = 9, .sum_ms = 15, .sum_squares = 107, .peer = "b"};
    json_t *summary = ping_summary(&account);

    (void)state;
    assert_non_null(summary);
    assert_true(number(summary, "schema") == 1 && number(summary, "sent") == 4 && number(summary, "received") == 3);
    assert_true(number(summary, "loss_percent") == 25 && number(summary, "rtt_avg_ms") == 5);
    assert_true(number(summary, "rtt_mdev_ms") > 3.26 && number(summary, "rtt_mdev_ms") < 3.27);
    assert_true(json_is_null(json_object_get(summary, "path_mtu")) && json_is_null(json_object_get(summary, "endpoint")));
    json_decref(summary);
    account = (struct ping_account){0};
    summary = ping_summary(&account);
    assert_true(json_is_null(json_object_get(summary, "loss_percent")) && json_is_null(json_object_get(summary, "rtt_min_ms")));
    assert_true(json_is_null(json_object_get(summary, "peer")));
    json_decref(summary);
    account = (struct ping_account){.n_sent = 1, .n_received = 1, .sum_ms = 1, .sum_squares = 1};
    assert_true(ping_deviation_ms(&account) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_no_session), cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_odd_documents), cmocka_unit_test(test_long_texts), cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
