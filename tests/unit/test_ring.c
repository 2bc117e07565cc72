// SPDX-License-Identifier: MIT
/*
 * ring: messages of every size at every position around the wrap, refusal when full, and two threads at once.
 */
#include "ethercord/ring.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SMALL_CAP = 64,
    LENGTH_BYTES = 4, // what the ring adds to each message
    STRESS_CAP = 1024,
    STRESS_MESSAGES = 100000,
    STRESS_MAX_LEN = 300
};

static void fill(uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seed * 31 + i * 7);
}

static void assert_filled(const uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], (uint8_t)(seed * 31 + i * 7));
}

static void empty_and_full(void **state)
{
    struct ring ring;
    uint8_t bytes[SMALL_CAP];
    (void)state;

    assert_int_equal(ring_init(&ring, SMALL_CAP), 0);
    assert_true(ring_is_empty(&ring));
    assert_int_equal(ring_get(&ring, bytes, sizeof bytes), 0);
    assert_false(ring_put(&ring, NULL, 0, NULL, 0));
    fill(bytes, sizeof bytes, 1);
    assert_false(ring_put(&ring, bytes, SMALL_CAP - LENGTH_BYTES + 1, NULL, 0));
    assert_false(ring_put(&ring, bytes, SMALL_CAP - LENGTH_BYTES, bytes, 1));
    assert_false(ring_put(&ring, bytes, SIZE_MAX, bytes, 1));
    assert_false(ring_put(&ring, bytes, 1, bytes, SIZE_MAX));
    assert_true(ring_is_empty(&ring));
    assert_true(ring_put(&ring, bytes, SMALL_CAP - LENGTH_BYTES, NULL, 0));
    assert_false(ring_is_empty(&ring));
    assert_false(ring_put(&ring, bytes, 1, NULL, 0));
    assert_int_equal(ring_get(&ring, bytes, sizeof bytes), SMALL_CAP - LENGTH_BYTES);
    assert_filled(bytes, SMALL_CAP - LENGTH_BYTES, 1);
    assert_true(ring_is_empty(&ring));
    ring_deinit(&ring);
    assert_null(ring.mem);
}

static void caps_are_rounded_up_to_a_power_of_two(void **state)
{
    static const struct {
        size_t asked, got;
    } rows[] = {{1, 64}, {64, 64}, {65, 128}, {100000, 131072}};
    struct ring ring;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ring_init(&ring, rows[i].asked), 0);
        assert_int_equal(ring.cap, rows[i].got);
        ring_deinit(&ring);
    }
    assert_int_equal(ring_init(&ring, SIZE_MAX), -ENOMEM);
    ring_deinit(&ring);
}

// Each size, cut in two at each place, at each position of the ring: 64 * 60 * 61 / 2 messages.
static void every_size_and_split_at_every_position(void **state)
{
    struct ring ring;
    uint8_t in[SMALL_CAP];
    uint8_t out[SMALL_CAP];
    (void)state;

    assert_int_equal(ring_init(&ring, SMALL_CAP), 0);
    for (size_t position = 0; position < SMALL_CAP; position++) {
        for (size_t len = 1; len <= SMALL_CAP - LENGTH_BYTES; len++) {
            for (size_t first = 0; first <= len; first++) {
                ring.head = position;
                ring.tail = position;
                fill(in, len, (unsigned)(position + len));
                assert_true(ring_put(&ring, in, first, first < len ? in + first : NULL, len - first));
                memset(out, 0, sizeof out);
                assert_int_equal(ring_get(&ring, out, len), len);
                assert_memory_equal(out, in, len);
                assert_true(ring_is_empty(&ring));
            }
        }
    }
    ring_deinit(&ring);
}

static void positions_may_overflow(void **state)
{
    struct ring ring;
    uint8_t out[8];
    (void)state;

    assert_int_equal(ring_init(&ring, SMALL_CAP), 0);
    ring.head = SIZE_MAX - 2;
    ring.tail = SIZE_MAX - 2;
    for (unsigned i = 0; i < 7; i++)
        assert_true(ring_put(&ring, "abcd", 4, &(uint8_t){(uint8_t)i}, 1)); // 9 bytes each, 63 in all
    assert_false(ring_put(&ring, "a", 1, NULL, 0));
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(ring_get(&ring, out, sizeof out), 5);
        assert_memory_equal(out, "abcd", 4);
        assert_int_equal(out[4], i);
    }
    assert_true(ring_is_empty(&ring));
    ring_deinit(&ring);
}

static void a_message_longer_than_the_buffer_aborts(void **state)
{
    struct ring ring;
    uint8_t out[3];
    (void)state;

    assert_int_equal(ring_init(&ring, SMALL_CAP), 0);
    assert_true(ring_put(&ring, "abcd", 4, NULL, 0));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        ring_get(&ring, out, sizeof out);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ring_deinit(&ring);
}

static size_t stress_len(unsigned i)
{
    return 1 + (i * 2654435761U >> 7) % STRESS_MAX_LEN;
}

static void *put_all(void *arg)
{
    struct ring *ring = arg;
    uint8_t bytes[STRESS_MAX_LEN];

    for (unsigned i = 0; i < STRESS_MESSAGES; i++) {
        size_t len = stress_len(i);
        fill(bytes, len, i);
        while (!ring_put(ring, bytes, len / 3, bytes + len / 3, len - len / 3))
            sched_yield();
    }
    return NULL;
}

static void two_threads(void **state)
{
    struct ring ring;
    pthread_t putter;
    uint8_t out[STRESS_MAX_LEN];
    (void)state;

    assert_int_equal(ring_init(&ring, STRESS_CAP), 0);
    assert_int_equal(pthread_create(&putter, NULL, put_all, &ring), 0);
    for (unsigned i = 0; i < STRESS_MESSAGES; i++) {
        size_t len;
        while ((len = ring_get(&ring, out, sizeof out)) == 0)
            sched_yield();
        assert_int_equal(len, stress_len(i));
        assert_filled(out, len, i);
    }
    assert_int_equal(pthread_join(putter, NULL), 0);
    assert_true(ring_is_empty(&ring));
    ring_deinit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_and_full),
        cmocka_unit_test(caps_are_rounded_up_to_a_power_of_two),
        cmocka_unit_test(every_size_and_split_at_every_position),
        cmocka_unit_test(positions_may_overflow),
        cmocka_unit_test(a_message_longer_than_the_buffer_aborts),
        cmocka_unit_test(two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
