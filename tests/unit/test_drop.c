// SPDX-License-Identifier: MIT
/*
 * drop: names that scripts can rely on, and sums.
 */
#include "ethercord/drop.h"

#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_is_identifier(const char *name)
{
    assert_true(strlen(name) > 0);
    for (const char *p = name; *p; p++)
        assert_true(islower((unsigned char)*p) || *p == '_' || isdigit((unsigned char)*p));
}

static void every_reason_has_its_own_name_and_a_meaning(void **state)
{
    (void)state;

    for (unsigned i = 0; i < DROP_COUNT; i++) {
        assert_is_identifier(drop_name((enum drop_reason)i));
        assert_true(strlen(drop_meaning((enum drop_reason)i)) > 10);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(drop_name((enum drop_reason)i), drop_name((enum drop_reason)k));
    }
    assert_string_equal(drop_name(DROP_NO_SESSION), "no_session");
    assert_string_equal(drop_name(DROP_COUNT - 1), "shortcut_fragment");
}

static void every_traffic_counter_has_its_own_name(void **state)
{
    (void)state;

    for (unsigned i = 0; i < COUNT_COUNT; i++) {
        assert_is_identifier(traffic_name((enum traffic_counter)i));
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(traffic_name((enum traffic_counter)i), traffic_name((enum traffic_counter)k));
    }
    assert_string_equal(traffic_name(COUNT_HANDSHAKES_DONE), "handshakes_done");
}

static void counting_and_summing(void **state)
{
    struct counters a = {0};
    struct counters b = {0};
    (void)state;

    for (unsigned i = 0; i < DROP_COUNT; i++)
        for (unsigned k = 0; k <= i; k++)
            count_drop(&a, (enum drop_reason)i);
    for (unsigned i = 0; i < COUNT_COUNT; i++)
        count_traffic(&a, (enum traffic_counter)i, UINT64_C(1) << 40 | i);
    counters_sum(&b, &a);
    counters_sum(&b, &a);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        assert_true(b.drops[i] == 2 * (i + 1));
    for (unsigned i = 0; i < COUNT_COUNT; i++)
        assert_true(b.traffic[i] == 2 * (UINT64_C(1) << 40 | i));
}

static void call_out_of_range(int which)
{
    switch (which) {
    case 0:
        drop_name(DROP_COUNT);
        break;
    case 1:
        drop_meaning(DROP_COUNT);
        break;
    default:
        traffic_name(COUNT_COUNT);
        break;
    }
}

static void values_out_of_range_abort(void **state)
{
    (void)state;

    for (int which = 0; which < 3; which++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO);
            call_out_of_range(which);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_its_own_name_and_a_meaning),
        cmocka_unit_test(every_traffic_counter_has_its_own_name),
        cmocka_unit_test(counting_and_summing),
        cmocka_unit_test(values_out_of_range_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
