// SPDX-License-Identifier: MIT
/*
 * quality: smoothing and jitter by hand, spans of the past, and what a peer may say of what has arrived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ethercord/quality.h"

#define MS NS_PER_MS
#define S NS_PER_S
#define T (1000 * S)
enum { INDEX = 7, OTHER = 8 };

static void test_round_trips(void **state)
{
    struct quality quality = {0};

    (void)state;
    quality_measured_rtt(&quality, 80 * MS);
    assert_true(quality.rtt_ns == 80 * MS && quality.rtt_last_ns == 80 * MS && quality.jitter_ns == 0 && quality.n_rtts == 1);
    quality_measured_rtt(&quality, 96 * MS);
    assert_true(quality.rtt_ns == 82 * MS && quality.rtt_last_ns == 96 * MS && quality.jitter_ns == 16 * MS);
    quality_measured_rtt(&quality, 66 * MS); // 30 less: the mean of 16 and 30
    assert_true(quality.rtt_ns == 80 * MS && quality.jitter_ns == 23 * MS);
    quality_forget_rtt(&quality);
    assert_true(quality.rtt_ns == 0 && quality.rtt_last_ns == 0 && quality.n_rtts == 0);
    quality_measured_rtt(&quality, 5 * MS); // nothing of before is left
    assert_true(quality.rtt_ns == 5 * MS && quality.jitter_ns == 0);
}

// The plain mean of the first sixteen differences, a sixteenth of each from then on.
static void test_jitter_in_the_long_run(void **state)
{
    struct quality quality = {0};

    (void)state;
    for (unsigned i = 0; i < 17; i++)
        quality_measured_rtt(&quality, (i % 2 ? 26 : 10) * MS);
    assert_true(quality.jitter_ns == 16 * MS);
    quality_measured_rtt(&quality, 10 * MS); // as the one before
    assert_true(quality.jitter_ns == 15 * MS);
    for (unsigned i = 0; i < 1000; i++)
        quality_measured_rtt(&quality, i % 2 ? UINT64_MAX : 0); // nothing overflows
    assert_true(quality.jitter_ns > UINT64_MAX / 2);
}

static struct quality_counts counts_at(uint64_t n)
{
    return (struct quality_counts){.rx_frames = n,
                                   .rx_bytes = 100 * n,
                                   .tx_frames = 2 * n,
                                   .tx_bytes = 200 * n,
                                   .rx = {.n_expected = 10 * n, .n_lost = n / 2, .n_late = n / 3, .n_repeated = n / 4}};
}

static struct quality_change look(const struct quality_past *past, const struct quality *quality, uint64_t n, enum quality_span span)
{
    struct quality_counts counts = counts_at(n);
    struct quality_change change;

    quality_look(past, &(struct quality_now){T + n * S, quality, &counts}, span, &change);
    return change;
}

static void test_spans(void **state)
{
    static const uint64_t seconds[QUALITY_SPANS] = {2, 10, 60};
    struct quality_past past;
    struct quality quality = {0};

    (void)state;
    quality_past_init(&past, T);
    for (uint64_t n = 1; n <= 300; n++) {
        struct quality_counts counts = counts_at(n);
        assert_false(quality_wants_sample(&past, T + n * S - 1));
        assert_true(quality_wants_sample(&past, T + n * S));
        for (int span = 0; span < QUALITY_SPANS; span++) {
            uint64_t length = n < seconds[span] ? n : seconds[span];
            struct quality_change change = look(&past, &quality, n, (enum quality_span)span);
            assert_int_equal(change.span_ns, length * S);
            assert_int_equal(change.counts.rx_frames, length);
            assert_int_equal(change.counts.rx_bytes, 100 * length);
            assert_int_equal(change.counts.tx_frames, 2 * length);
            assert_int_equal(change.counts.tx_bytes, 200 * length);
            assert_int_equal(change.counts.rx.n_expected, 10 * length);
            assert_int_equal(change.counts.rx.n_lost, n / 2 - (n - length) / 2);
            assert_int_equal(change.counts.rx.n_late, n / 3 - (n - length) / 3);
            assert_int_equal(change.counts.rx.n_repeated, n / 4 - (n - length) / 4);
            assert_int_equal(change.tx.n_expected, 0);
        }
        quality_sample(&past, &quality, &counts, T + n * S);
    }
}

// More came late than were lost anew.
static void test_lost_ones_come_back(void **state)
{
    struct quality_past past;
    const struct quality quality = {0};
    struct quality_counts counts = {.rx = {.n_expected = 100, .n_lost = 10}};
    struct quality_change change;

    (void)state;
    quality_past_init(&past, T);
    quality_sample(&past, &quality, &counts, T + S);
    counts.rx = (struct arrivals){.n_expected = 110, .n_lost = 2, .n_late = 9};
    quality_look(&past, &(struct quality_now){T + 3 * S, &quality, &counts}, QUALITY_RATE, &change);
    assert_int_equal(change.counts.rx.n_expected, 10);
    assert_int_equal(change.counts.rx.n_lost, 0);
    assert_int_equal(change.counts.rx.n_late, 9);
}

static void tell(struct quality *quality, uint64_t n_expected, uint64_t n_lost, uint32_t index, bool is_current)
{
    quality_told(quality, &(struct arrivals){.n_expected = n_expected, .n_lost = n_lost}, index, is_current);
}

static void test_reports(void **state)
{
    struct quality quality = {0};

    (void)state;
    tell(&quality, 1000, 10, INDEX, true);
    assert_true(quality.has_tx && quality.tx.n_expected == 1000);
    tell(&quality, 990, 9, INDEX, true); // overtaken
    assert_int_equal(quality.tx.n_expected, 1000);
    tell(&quality, 1000, 8, INDEX, true); // came late, after all
    assert_int_equal(quality.tx.n_lost, 8);
    tell(&quality, 1100, 8, OTHER, true);  // a rekey
    tell(&quality, 1050, 8, INDEX, false); // overtaken, under the key before
    assert_true(quality.tx.n_expected == 1100 && quality.tx_index == OTHER && quality.tx_life == 0);
    tell(&quality, 5, 1, INDEX, true); // started anew
    assert_true(quality.tx.n_expected == 5 && quality.tx.n_lost == 1 && quality.tx_life == 1);
}

// The first report says nothing yet of the last seconds; neither do two that a restart lies between.
static void test_reports_over_spans(void **state)
{
    struct quality_past past;
    struct quality quality = {0};
    struct quality_counts counts = {0};

    (void)state;
    quality_past_init(&past, T);
    for (uint64_t n = 1; n < 30; n++) {
        if (n >= 5)
            tell(&quality, (n < 20 ? 1000000 : 10) + 100 * n, n, n < 20 ? INDEX : OTHER, true);
        struct quality_change change = look(&past, &quality, n, QUALITY_SHORT);
        uint64_t from = n < 20 ? 5 : 20, length = n < from ? 0 : n - from < 10 ? n - from : 10;
        assert_int_equal(change.tx.n_expected, 100 * length);
        assert_int_equal(change.tx.n_lost, length);
        quality_sample(&past, &quality, &counts, T + n * S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_jitter_in_the_long_run),
        cmocka_unit_test(test_spans),       cmocka_unit_test(test_lost_ones_come_back),
        cmocka_unit_test(test_reports),     cmocka_unit_test(test_reports_over_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
