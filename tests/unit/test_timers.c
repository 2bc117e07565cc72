// SPDX-License-Identifier: MIT
/*
 * timers: every rule one nanosecond before its moment and at it, as one table of view, now, what is due and when to look again; then the
 * waits between attempts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>

#include "ethercord/clock.h"
#include "ethercord/timers.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define T (1000 * S) // when the session was born
#define LIFE (180 * S)
#define LOOK(now) ((now) + S) // main looks at the other threads' notes at least this often

struct row {
    const char *what;
    struct timers_view view;
    uint64_t now_ns;
    unsigned due;
    uint64_t deadline_ns;
};

// A session of this node's making that was just heard and can't be renewed: nothing but the rule in question is near.
#define SESSION(life) .has_session = true, .born_ns = T, .reject_after_ns = (life)
#define HEARD_BY_RESPONDER(now) SESSION(LIFE), .received_ns = (now), .sent_ns = (now)
#define HEARD(now) HEARD_BY_RESPONDER(now), .is_initiator = true
#define QUIET SESSION(LIFE), .is_initiator = true

static const struct row rows[] = {
    {"nothing to do", {0}, T, 0, LOOK(T)},
    {"no address", {.retry_ns = T - S}, T, 0, LOOK(T)},
    {"first attempt, never tried", {.can_initiate = true}, T, TIMERS_INITIATE, LOOK(T)},
    {"attempt, before", {.can_initiate = true, .retry_ns = T}, T - 1, 0, T},
    {"attempt, at", {.can_initiate = true, .retry_ns = T}, T, TIMERS_INITIATE, LOOK(T)},
    {"attempt, far off", {.can_initiate = true, .retry_ns = T + 2 * S}, T, 0, LOOK(T)},
    {"attempt, exactly one look away", {.can_initiate = true, .retry_ns = T + S}, T, 0, T + S},
    {"next attempt, before", {.can_initiate = true, .is_handshaking = true, .retry_ns = T}, T - 1, 0, T},
    {"next attempt, at", {.can_initiate = true, .is_handshaking = true, .retry_ns = T}, T, TIMERS_INITIATE, LOOK(T)},
    {"no session: its rules don't count", {.born_ns = T, .reject_after_ns = 1, .echo_sent_ns = 1}, T + LIFE, 0, LOOK(T + LIFE)},

    {"rekey, before", {HEARD(T + 120 * S), .can_initiate = true}, T + 120 * S - 1, 0, T + 120 * S},
    {"rekey, at", {HEARD(T + 120 * S), .can_initiate = true}, T + 120 * S, TIMERS_INITIATE, LOOK(T + 120 * S)},
    {"rekey, no address", {HEARD(T + 120 * S)}, T + 120 * S, 0, LOOK(T + 120 * S)},
    {"rekey, not before the retry", {HEARD(T + 121 * S), .can_initiate = true, .retry_ns = T + 121 * S}, T + 121 * S - 1, 0, T + 121 * S},
    {"responder does not rekey at 120 s", {HEARD_BY_RESPONDER(T + 120 * S), .can_initiate = true}, T + 120 * S, 0, LOOK(T + 120 * S)},
    {"responder, before", {HEARD_BY_RESPONDER(T + 135 * S), .can_initiate = true}, T + 135 * S - 1, 0, T + 135 * S},
    {"responder, at", {HEARD_BY_RESPONDER(T + 135 * S), .can_initiate = true}, T + 135 * S, TIMERS_INITIATE, LOOK(T + 135 * S)},
    {"the key is used up", {HEARD(T + S), .can_initiate = true, .wants_rekey = true}, T + S, TIMERS_INITIATE, LOOK(T + S)},
    {"… before the retry", {HEARD(T + S), .can_initiate = true, .wants_rekey = true, .retry_ns = T + S + 1}, T + S, 0, T + S + 1},
    {"rekey goes on, before",
     {HEARD(T + 122 * S), .can_initiate = true, .is_handshaking = true, .retry_ns = T + 122 * S},
     T + 122 * S - 1,
     0,
     T + 122 * S},
    {"an initiation is repeated in a young session too",
     {HEARD(T + S), .can_initiate = true, .is_handshaking = true, .retry_ns = T + S},
     T + S,
     TIMERS_INITIATE,
     LOOK(T + S)},

    {"echo, before", {QUIET}, T + 5 * S - 1, 0, T + 5 * S},
    {"echo, at", {QUIET}, T + 5 * S, TIMERS_ECHO, LOOK(T + 5 * S)},
    {"echo, heard later than born, before", {QUIET, .received_ns = T + S}, T + 6 * S - 1, 0, T + 6 * S},
    {"echo, heard later than born, at", {QUIET, .received_ns = T + S}, T + 6 * S, TIMERS_ECHO, LOOK(T + 6 * S)},
    {"echo, heard before it was born", {QUIET, .received_ns = T - 9 * S}, T + 5 * S - 1, 0, T + 5 * S},
    {"echo, asked in the meantime", {QUIET, .echo_sent_ns = T + 4 * S}, T + 5 * S, TIMERS_ECHO, LOOK(T + 5 * S)},
    {"echo again, before", {QUIET, .echo_sent_ns = T + 5 * S}, T + 6 * S - 1, 0, T + 6 * S},
    {"echo again, at", {QUIET, .echo_sent_ns = T + 5 * S}, T + 6 * S, TIMERS_ECHO, LOOK(T + 6 * S)},
    {"sample, before", {HEARD(T + 10 * S), .sample_every_ns = 9 * S, .echo_sent_ns = T + S}, T + 10 * S - 1, 0, T + 10 * S},
    {"sample, at, though it is heard",
     {HEARD(T + 10 * S), .sample_every_ns = 9 * S, .echo_sent_ns = T + S},
     T + 10 * S,
     TIMERS_ECHO,
     LOOK(T + 10 * S)},
    {"no sample without a session", {.sample_every_ns = S, .echo_sent_ns = T}, T + 9 * S, 0, LOOK(T + 9 * S)},

    {"down, before", {QUIET, .echo_sent_ns = T + 9 * S + 1}, T + 10 * S - 1, 0, T + 10 * S},
    {"down, at", {QUIET, .echo_sent_ns = T + 9 * S + 1}, T + 10 * S, TIMERS_PEER_IS_DOWN, T + 10 * S + 1},
    {"down, for long", {QUIET}, T + 99 * S, TIMERS_PEER_IS_DOWN | TIMERS_ECHO, LOOK(T + 99 * S)},
    {"down: call",
     {QUIET, .can_initiate = true, .echo_sent_ns = T + 10 * S},
     T + 10 * S,
     TIMERS_PEER_IS_DOWN | TIMERS_INITIATE,
     LOOK(T + 10 * S)},
    {"down: call, but not before the retry",
     {QUIET, .can_initiate = true, .echo_sent_ns = T + 10 * S, .retry_ns = T + 10 * S + 9},
     T + 10 * S,
     TIMERS_PEER_IS_DOWN,
     T + 10 * S + 9},

    {"end of life, before", {HEARD(T + LIFE)}, T + LIFE - 1, 0, T + LIFE},
    {"end of life, at", {HEARD(T + LIFE)}, T + LIFE, TIMERS_EXPIRE, LOOK(T + LIFE)},
    {"end of life: call", {HEARD_BY_RESPONDER(T + LIFE), .can_initiate = true}, T + LIFE, TIMERS_EXPIRE | TIMERS_INITIATE, LOOK(T + LIFE)},
    {"a short life: call, however young",
     {SESSION(2 * S), .is_initiator = true, .received_ns = T + 2 * S, .can_initiate = true},
     T + 2 * S,
     TIMERS_EXPIRE | TIMERS_INITIATE,
     LOOK(T + 2 * S)},
    {"the other threads' clock readings may be ahead", {HEARD(T + S)}, T + S - 1, 0, LOOK(T + S - 1)},
    {"now before birth", {QUIET}, T - 1, 0, LOOK(T - 1)},
};

static void check_row(const struct timing *timing, const struct row *row)
{
    struct timers_result result = timers_evaluate(timing, &row->view, row->now_ns);

    if (result.due != row->due)
        fail_msg("%s: due 0x%x instead of 0x%x", row->what, result.due, row->due);
    if (result.deadline_ns != row->deadline_ns)
        fail_msg("%s: deadline %lld ns after now instead of %lld", row->what, (long long)(result.deadline_ns - row->now_ns),
                 (long long)(row->deadline_ns - row->now_ns));
}

static void test_rules(void **state)
{
    struct timing timing;

    (void)state;
    timing_default(&timing);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&timing, &rows[i]);
}

static const struct row keepalive_rows[] = {
    {"keepalive, nothing sent, before", {QUIET}, T + 3 * S - 1, 0, T + 3 * S},
    {"keepalive, nothing sent, at", {QUIET}, T + 3 * S, TIMERS_KEEPALIVE, LOOK(T + 3 * S)},
    {"keepalive, sent under an older key", {QUIET, .sent_ns = T - S}, T + 3 * S - 1, 0, T + 3 * S},
    {"keepalive, before", {QUIET, .sent_ns = T + S}, T + 4 * S - 1, 0, T + 4 * S},
    {"keepalive, at", {QUIET, .sent_ns = T + S}, T + 4 * S, TIMERS_KEEPALIVE, LOOK(T + 4 * S)},
    {"keepalive, though the peer is heard", {QUIET, .received_ns = T + 4 * S}, T + 4 * S, TIMERS_KEEPALIVE, LOOK(T + 4 * S)},
    {"no session", {.sent_ns = T}, T + 9 * S, 0, LOOK(T + 9 * S)},
};

static void test_keepalive(void **state)
{
    struct timing timing;

    (void)state;
    timing_default(&timing);
    assert_int_equal(timing.persistent_keepalive_ns, 0);
    timing.persistent_keepalive_ns = 3 * S;
    for (size_t i = 0; i < sizeof keepalive_rows / sizeof keepalive_rows[0]; i++)
        check_row(&timing, &keepalive_rows[i]);
}

// Whatever is due, the deadline is in the future: a caller that obeys it never spins.
static void test_deadline_is_later(void **state)
{
    struct timing timing;

    (void)state;
    timing_default(&timing);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t step = 0; step < 400; step++) {
            uint64_t now_ns = T - S + step * S / 2;
            struct timers_result result = timers_evaluate(&timing, &rows[i].view, now_ns);
            assert_true(result.deadline_ns > now_ns);
            assert_true(result.deadline_ns <= LOOK(now_ns));
        }
}

struct wait {
    unsigned attempt;
    uint32_t random;
    uint64_t wait_ns;
};
#define JITTER (333 * MS)
static const struct wait waits[] = {
    {0, 0, 500 * MS},
    {0, 1, 500 * MS + 1},
    {0, JITTER - 1, 500 * MS + JITTER - 1}, // the jitter stays below its bound
    {0, JITTER, 500 * MS},
    {0, UINT32_MAX, 500 * MS + UINT32_MAX % JITTER},
    {1, 0, S},
    {2, 0, 2 * S},
    {3, 0, 4 * S},
    {4, 0, 5 * S}, // not 8
    {5, 7, 5 * S + 7},
    {64, 0, 5 * S},
    {UINT_MAX, 0, 5 * S},
};

static void test_retry_waits(void **state)
{
    struct timing timing;

    (void)state;
    timing_default(&timing);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        if (timers_retry_wait(&timing, waits[i].attempt, waits[i].random) != waits[i].wait_ns)
            fail_msg("attempt %u, random %u", waits[i].attempt, waits[i].random);
    timing.retry_jitter_ns = 0;
    assert_int_equal(timers_retry_wait(&timing, 0, UINT32_MAX), 500 * MS);
    timing.retry_first_ns = 6 * S;
    assert_int_equal(timers_retry_wait(&timing, 0, 0), 5 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_deadline_is_later),
        cmocka_unit_test(test_retry_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
