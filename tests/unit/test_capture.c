// SPDX-License-Identifier: MIT
/*
 * capture: what sinks get of frames: all of them, by filter, by direction, by fate, cut at the snaplen, and lost ones counted; that a sink
 * which was removed is not touched any more once it is said to be released, also with two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/capture.h"
#include "ethercord/frame.h"

enum { RING_CAP = 1 << 20, SMALL_RING_CAP = 1024, LONG_LEN = 3000, ROUNDS = 2000 };

struct captor {
    struct capture capture;
    struct capture_filter filter;
    struct capture_sink sink;
    struct capture_header header; // of the message that was taken last
    uint8_t message[CAPTURE_MESSAGE_MAX];
};

static struct captor *new_captor(size_t ring_cap)
{
    struct captor *captor = calloc(1, sizeof *captor);

    assert_non_null(captor);
    captor->filter.snaplen = CAPTURE_FRAME_MAX;
    captor->sink.filter = &captor->filter;
    assert_int_equal(ring_init(&captor->sink.ring, ring_cap), 0);
    assert_true(capture_add(&captor->capture, &captor->sink));
    return captor;
}

static void free_captor(struct captor *captor)
{
    ring_deinit(&captor->sink.ring);
    free(captor);
}

// The verdict of the next message; -1 = there is none.
static int take(struct captor *captor)
{
    size_t len = ring_get(&captor->sink.ring, captor->message, sizeof captor->message);

    if (len == 0)
        return -1;
    assert_true(capture_header_decode(&captor->header, captor->message));
    assert_int_equal(captor->header.len + CAPTURE_HEADER_LEN, len);
    return captor->header.verdict;
}

static const uint8_t bytes[LONG_LEN] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xcc, 1, 2, 3, [LONG_LEN - 1] = 0x77};
static const struct capture_frame short_in = {.direction = CAPTURE_IN, .bytes = bytes, .len = 60};
static const struct capture_frame short_out = {.direction = CAPTURE_OUT, .bytes = bytes, .len = 61, .is_own = true};
static const struct capture_frame long_apart = {
    .direction = CAPTURE_IN, .headers = bytes, .headers_len = 54, .bytes = bytes + 54, .len = LONG_LEN - 54};

static void test_everything(void **state)
{
    struct captor *captor = new_captor(RING_CAP);
    (void)state;

    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    assert_true(capture_begin(&captor->capture, &short_out));
    assert_int_equal(take(captor), CAPTURE_PASSED); // the second one has no verdict yet
    assert_int_equal(captor->header.direction, CAPTURE_IN);
    assert_false(captor->header.is_own);
    assert_int_equal(captor->header.frame_len, 60);
    assert_memory_equal(captor->message + CAPTURE_HEADER_LEN, bytes, 60);
    assert_int_equal(take(captor), -1);
    capture_end(&captor->capture, DROP_NO_SESSION);
    assert_int_equal(take(captor), DROP_NO_SESSION);
    assert_true(captor->header.is_own && captor->header.direction == CAPTURE_OUT && captor->header.wall_ns > 0);
    capture_whole(&captor->capture, &long_apart, CAPTURE_SHORTCUT);
    assert_int_equal(take(captor), CAPTURE_SHORTCUT);
    assert_int_equal(captor->header.len, LONG_LEN);
    assert_memory_equal(captor->message + CAPTURE_HEADER_LEN, bytes, LONG_LEN);
    assert_int_equal(captor->sink.n_matched, 3);
    assert_int_equal(captor->sink.n_lost, 0);
    free_captor(captor);
}

// What is captured is the frame as it was when it was begun.
static void test_copies_at_once(void **state)
{
    struct captor *captor = new_captor(RING_CAP);
    uint8_t frame[60] = {0};
    (void)state;

    assert_true(capture_begin(&captor->capture, &(struct capture_frame){.bytes = frame, .len = sizeof frame}));
    memset(frame, 0xff, sizeof frame);
    capture_end(&captor->capture, CAPTURE_PASSED);
    assert_int_equal(take(captor), CAPTURE_PASSED);
    assert_int_equal(captor->message[CAPTURE_HEADER_LEN], 0);
    free_captor(captor);
}

static void test_nobody_looks(void **state)
{
    struct captor *captor = new_captor(RING_CAP);
    (void)state;

    assert_false(capture_is_on(NULL));
    assert_true(capture_is_on(&captor->capture));
    assert_int_equal(capture_remove(&captor->capture, &captor->sink) % 2, 0);
    assert_false(capture_is_on(&captor->capture));
    assert_false(capture_begin(&captor->capture, &short_in));
    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    assert_int_equal(take(captor), -1);
    free_captor(captor);
}

static void test_choices(void **state)
{
    static const int wanted[CAPTURE_CHOICES] = {
        [CAPTURE_ALL] = 4, [CAPTURE_ONLY_IN] = 3, [CAPTURE_ONLY_OUT] = 1, [CAPTURE_ONLY_DROPPED] = 2};
    (void)state;

    for (int choice = 0; choice < CAPTURE_CHOICES; choice++) {
        struct captor *captor = new_captor(RING_CAP);
        int n = 0;
        captor->filter.choice = (enum capture_choice)choice;
        capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
        capture_whole(&captor->capture, &short_in, DROP_TAP_DOWN);
        capture_whole(&captor->capture, &long_apart, CAPTURE_SHORTCUT);
        capture_whole(&captor->capture, &short_out, DROP_NO_PEER);
        while (take(captor) >= 0)
            n++;
        assert_int_equal(n, wanted[choice]);
        free_captor(captor);
    }
}

static void test_snaplen(void **state)
{
    struct captor *captor = new_captor(RING_CAP);
    (void)state;

    captor->filter.snaplen = 60;
    capture_whole(&captor->capture, &short_out, CAPTURE_PASSED);
    capture_whole(&captor->capture, &long_apart, CAPTURE_PASSED);
    take(captor);
    assert_int_equal(captor->header.len, 60);
    assert_int_equal(captor->header.frame_len, 61);
    take(captor);
    assert_int_equal(captor->header.len, 60);
    assert_int_equal(captor->header.frame_len, LONG_LEN);
    assert_memory_equal(captor->message + CAPTURE_HEADER_LEN, bytes, 60);
    free_captor(captor);
}

// A program that looks at one byte.
static void look_at(struct capture_filter *filter, unsigned at, unsigned value)
{
    filter->program[0] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at);
    filter->program[1] = (struct bpf_insn)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    filter->program[2] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    filter->program[3] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, 0);
    filter->n_instructions = 4;
    filter->is_deep = at >= CAPTURE_REACH;
}

static void test_filter(void **state)
{
    struct captor *captor = new_captor(RING_CAP);
    (void)state;

    look_at(&captor->filter, 16, 3);
    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    capture_whole(&captor->capture, &long_apart, CAPTURE_PASSED);
    assert_int_equal(take(captor), CAPTURE_PASSED);
    assert_int_equal(take(captor), CAPTURE_PASSED);
    assert_memory_equal(captor->message + CAPTURE_HEADER_LEN, bytes, LONG_LEN);
    look_at(&captor->filter, 16, 4);
    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    look_at(&captor->filter, LONG_LEN - 1, 0x77); // behind the end of one, far behind in the other
    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    assert_int_equal(take(captor), -1);
    capture_whole(&captor->capture, &long_apart, CAPTURE_PASSED);
    assert_int_equal(take(captor), CAPTURE_PASSED);
    assert_int_equal(captor->sink.n_matched, 3);
    free_captor(captor);
}

static void test_lost(void **state)
{
    struct captor *captor = new_captor(SMALL_RING_CAP);
    int n = 0;
    (void)state;

    for (int i = 0; i < 100; i++)
        capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    while (take(captor) >= 0)
        n++;
    assert_in_range(n, 1, 99);
    assert_int_equal(captor->sink.n_matched, 100);
    assert_int_equal(captor->sink.n_lost, 100 - n);
    capture_whole(&captor->capture, &short_in, CAPTURE_PASSED);
    assert_int_equal(take(captor), CAPTURE_PASSED);
    capture_whole(&captor->capture, &long_apart, CAPTURE_PASSED); // never fits
    assert_int_equal(captor->sink.n_lost, 101 - n);
    free_captor(captor);
}

// One comes and one goes while a frame is in hand.
static void test_several(void **state)
{
    struct captor *first = new_captor(RING_CAP), *others[CAPTURE_SINKS_MAX];
    struct capture *capture = &first->capture;
    (void)state;

    for (int i = 0; i < CAPTURE_SINKS_MAX; i++) {
        others[i] = new_captor(RING_CAP);
        assert_int_equal(capture_add(capture, &others[i]->sink), i < CAPTURE_SINKS_MAX - 1);
    }
    capture_whole(capture, &short_in, CAPTURE_PASSED);
    assert_int_equal(take(first), CAPTURE_PASSED);
    assert_int_equal(take(others[0]), CAPTURE_PASSED);

    assert_true(capture_begin(capture, &short_in));
    uint64_t removed = capture_remove(capture, &first->sink);
    assert_false(capture_is_released(capture, removed));
    assert_true(capture_add(capture, &others[CAPTURE_SINKS_MAX - 1]->sink)); // in the place that is free
    capture_end(capture, CAPTURE_PASSED);
    assert_true(capture_is_released(capture, removed));
    assert_int_equal(take(first), -1);
    assert_int_equal(take(others[0]), CAPTURE_PASSED);
    assert_int_equal(take(others[CAPTURE_SINKS_MAX - 1]), -1); // it has not seen the beginning
    for (int i = 0; i < CAPTURE_SINKS_MAX; i++)
        free_captor(others[i]);
    free_captor(first);
}

static atomic_bool is_over;

static void *capture_all_the_time(void *arg)
{
    while (!atomic_load(&is_over)) {
        capture_whole(arg, &short_in, CAPTURE_PASSED);
        capture_whole(arg, &long_apart, DROP_TAP_DOWN);
    }
    return NULL;
}

// Sinks come and go; a sanitizer sees when one is freed too early.
static void test_coming_and_going(void **state)
{
    struct capture capture = {0};
    pthread_t thread;
    uint64_t n_seen = 0;
    (void)state;

    assert_int_equal(pthread_create(&thread, NULL, capture_all_the_time, &capture), 0);
    for (int i = 0; i < ROUNDS || n_seen == 0; i++) {
        struct captor *captor = new_captor(SMALL_RING_CAP);
        assert_true(capture_add(&capture, &captor->sink));
        if (i % 16 == 0)
            sched_yield();
        uint64_t removed = capture_remove(&capture, &captor->sink);
        while (!capture_is_released(&capture, removed))
            sched_yield();
        n_seen += captor->sink.n_matched;
        memset(captor, 0xee, sizeof captor->capture);
        free_captor(captor);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    assert_int_equal(capture.n_sinks, 0);
}

static void test_header(void **state)
{
    const struct capture_header good = {.kind = CAPTURE_KIND_FRAME,
                                        .direction = CAPTURE_OUT,
                                        .verdict = 7,
                                        .is_own = true,
                                        .len = 3,
                                        .frame_len = 5,
                                        .wall_ns = 1ULL << 40};
    uint8_t encoded[CAPTURE_HEADER_LEN], again[CAPTURE_HEADER_LEN];
    struct capture_header decoded;
    (void)state;

    capture_header_encode(&good, encoded);
    assert_memory_equal(encoded, "\1\1\7\1\3\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0", CAPTURE_HEADER_LEN);
    assert_true(capture_header_decode(&decoded, encoded));
    capture_header_encode(&decoded, again);
    assert_memory_equal(again, encoded, CAPTURE_HEADER_LEN);
    for (int i = 0; i < 2; i++) { // kind, direction
        encoded[i] += 2;
        assert_false(capture_header_decode(&decoded, encoded));
        encoded[i] -= 2;
    }
    encoded[4] = 6; // more than the frame has
    assert_false(capture_header_decode(&decoded, encoded));
    encoded[6] = encoded[10] = 2; // more than any has
    assert_false(capture_header_decode(&decoded, encoded));
    assert_string_equal(capture_verdict_name(DROP_NO_SESSION), "no_session");
    assert_string_equal(capture_verdict_name(CAPTURE_PASSED), "passed");
    assert_string_equal(capture_verdict_name(capture_of_shortcut(DROP_COUNT)), "shortcut");
    assert_string_equal(capture_verdict_name(capture_of_shortcut(DROP_SHORTCUT_BAD)), "shortcut_bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_copies_at_once), cmocka_unit_test(test_nobody_looks),
        cmocka_unit_test(test_choices),    cmocka_unit_test(test_snaplen),        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_lost),       cmocka_unit_test(test_several),        cmocka_unit_test(test_coming_and_going),
        cmocka_unit_test(test_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
