// SPDX-License-Identifier: MIT
/*
 * test_metrics: the status as Prometheus' text format: values and their units, what is left out, and what a worker in somebody else's hands
 * would like to get into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/web/metrics.h"
#include "ethercord/drop.h"

enum { LONG = 400 };

static char *format(json_t *status)
{
    size_t len = 0;
    assert_non_null(status);
    char *text = metrics_format(status, 1700000000.25, &len);
    json_decref(status);
    if (!text)
        return NULL;
    text = realloc(text, len + 1);
    assert_non_null(text);
    text[len] = '\0';
    assert_int_equal(strlen(text), len);
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char whole[512];

    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(text, whole) && strncmp(text, whole + 1, strlen(whole) - 1) != 0)
        fail_msg("no line '%s' in\n%s", line, text);
}

static void assert_none(const char *text, const char *piece)
{
    if (strstr(text, piece))
        fail_msg("'%s' is in\n%s", piece, text);
}

// JSON with ' for ".
static char *format_quoted(const char *status)
{
    char *copy = strdup(status);

    assert_non_null(copy);
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    char *text = format(json_loads(copy, 0, NULL));
    free(copy);
    return text;
}

static void test_values(void **state)
{
    (void)state;
    char *text = format_quoted(
        "{'name': 'a', 'version': '0.1.0', 'tap': {'name': 'cord0', 'mtu': 1500, 'carrier': true, 'bridge': null, 'narrow_ports': [1, 2]},"
        "'underlay': {'gso': false}, 'counters': {'tx_bytes': 9007199254740993}, 'drops': {'malformed': 3},"
        "'peers': [{'name': 'b', 'state': 'down', 'rtt_ms': 12.5, 'loss_tx_percent': 25, 'loss_rx_60s_percent': 0.5, 'rx_frames': 7,"
        "'path_mtu': 1420, 'since_s': 1.5, 'endpoint': '192.0.2.2:36160'}]}");
    assert_line(text, "ethercord_build_info{version=\"0.1.0\"} 1");
    assert_line(text, "ethercord_node_info{node=\"a\",public_key=\"\",tap=\"cord0\",bridge=\"\",mac_address=\"\",tap_offload=\"\"} 1");
    assert_line(text, "ethercord_start_time_seconds 1700000000.250");
    assert_line(text, "# TYPE ethercord_tap_mtu_bytes gauge");
    assert_line(text, "ethercord_tap_mtu_bytes 1500");
    assert_line(text, "ethercord_tap_carrier 1");
    assert_line(text, "ethercord_tap_narrow_ports 2");
    assert_line(text, "ethercord_underlay_gso 0");
    assert_line(text, "# TYPE ethercord_tx_bytes_total counter");
    assert_line(text, "ethercord_tx_bytes_total 9007199254740993"); // more than a double can tell
    assert_line(text, "ethercord_drops_total{reason=\"malformed\"} 3");
    assert_line(text, "ethercord_peer_up{peer=\"b\"} 0");
    assert_line(text, "ethercord_peer_state{peer=\"b\",state=\"down\"} 1");
    assert_line(text, "ethercord_peer_state{peer=\"b\",state=\"up\"} 0");
    assert_line(text, "ethercord_peer_rtt_seconds{peer=\"b\"} 0.0125");
    assert_line(text, "ethercord_peer_loss_ratio{peer=\"b\",direction=\"tx\",window=\"10s\"} 0.25");
    assert_line(text, "ethercord_peer_loss_ratio{peer=\"b\",direction=\"rx\",window=\"60s\"} 0.005");
    assert_line(text, "ethercord_peer_frames_total{peer=\"b\",direction=\"rx\"} 7");
    assert_line(text, "ethercord_peer_state_age_seconds{peer=\"b\"} 1.5");
    // The first row of that name has no value here; its help is there all the same.
    assert_line(text, "# HELP ethercord_peer_loss_ratio Part of the data messages that were lost lately.");
    free(text);
}

// Prometheus refuses a metric whose samples do not stand together.
static void test_samples_stand_together(void **state)
{
    (void)state;
    char *text = format_quoted("{'peers': [{'name': 'b', 'rtt_ms': 1, 'jitter_ms': 1, 'loss_rx_percent': 1, 'loss_tx_percent': 1},"
                               "{'name': 'c', 'rtt_ms': 2, 'jitter_ms': 2, 'loss_rx_percent': 2, 'loss_tx_percent': 2}]}");
    const char *last = strstr(text, "ethercord_peer_loss_ratio{peer=\"c\",direction=\"tx\"");
    const char *type = strstr(text, "# TYPE ethercord_peer_loss_ratio");
    assert_non_null(last);
    assert_non_null(type);
    assert_true(type < last);
    assert_null(strstr(type + 1, "# TYPE ethercord_peer_loss_ratio"));
    const char *next = strstr(type + 1, "# ");
    assert_true(!next || next > last);
    free(text);
}

static void test_what_is_not_known_is_left_out(void **state)
{
    static const char *const statuses[] = {
        "{}",
        "[]",
        "{'peers': 1, 'drops': [], 'counters': null, 'tap': 'x', 'version': 7}",
        "{'peers': [null, 1, []]}",
        "{'peers': [{'name': 1, 'rtt_ms': null, 'rx_frames': '7', 'path_mtu': {}}], 'counters': {'tx_bytes': null}, 'drops': {'malformed': "
        "1.5}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char *text = format_quoted(statuses[i]);
        assert_line(text, "ethercord_build_info{version=\"\"} 1");
        assert_none(text, "rtt_seconds");
        assert_none(text, "path_mtu_bytes");
        assert_none(text, "tx_bytes");
        assert_none(text, "drops");
        assert_none(text, "frames_total");
        free(text);
    }
}

static void test_texts_are_escaped_and_cut(void **state)
{
    char name[LONG + 1], version[METRICS_LABEL_MAX * 2 + 1] = "";
    (void)state;
    char *text = format_quoted("{'version': 'a\\nb\\\\c\\u0022} 1\\nevil 2', 'peers': [{'name': '\\u0022\\n'}]}");
    assert_line(text, "ethercord_build_info{version=\"a\\nb\\\\c\\\"} 1\\nevil 2\"} 1");
    assert_line(text, "ethercord_peer_up{peer=\"\\\"\\n\"} 0");
    free(text);
    memset(name, 'x', LONG);
    name[LONG] = '\0';
    for (int i = 0; i < METRICS_LABEL_MAX - 1; i++)
        strcat(version, "a");            // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
    strcat(version, "\xc3\xa9\xc3\xa9"); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): é is not cut in the middle
    text = format(json_pack("{s:s, s:[{s:s}]}", "version", version, "peers", "name", name));
    version[METRICS_LABEL_MAX - 1] = '\0';
    char line[512];
    snprintf(line, sizeof line, "ethercord_build_info{version=\"%s\"} 1", version);
    assert_line(text, line);
    name[METRICS_LABEL_MAX] = '\0';
    snprintf(line, sizeof line, "ethercord_peer_up{peer=\"%s\"} 0", name);
    assert_line(text, line);
    free(text);
}

static void test_names_are_our_own(void **state)
{
    (void)state;
    char *text = format_quoted("{'drops': {'malformed': 1, 'evil': 2}, 'counters': {'tx_bytes': 1, 'evil': 2}, 'evil': 3, 'peers': []}");
    assert_none(text, "evil");
    free(text);
}

static void test_length_is_bounded(void **state)
{
    json_t *status = json_object(), *peers = json_array();
    char name[METRICS_LABEL_MAX];
    (void)state;
    memset(name, '\n', sizeof name - 1); // twice as long when written
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 10 * METRICS_PEERS_MAX; i++) {
        json_t *peer =
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", name, "public_key", name, "endpoint", name, "cipher", name, "state", "up");
        for (const struct metric *metric = metrics_of_peer; metric->path; metric++)
            json_object_set_new(peer, metric->path, json_integer(1));
        json_array_append_new(peers, peer);
    }
    json_object_set_new(status, "peers", peers);
    assert_null(format(status)); // rather nothing than half of it
}

static void test_every_counter_is_there(void **state)
{
    json_t *counters = json_object();
    char line[128];
    (void)state;
    for (int i = 0; i < COUNT_COUNT; i++)
        json_object_set_new(counters, traffic_name((enum traffic_counter)i), json_integer(i));
    char *text = format(json_pack("{s:o}", "counters", counters));
    for (int i = 0; i < COUNT_COUNT; i++) {
        snprintf(line, sizeof line, "ethercord_%s_total %d", traffic_name((enum traffic_counter)i), i);
        assert_line(text, line);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_samples_stand_together),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_texts_are_escaped_and_cut),
        cmocka_unit_test(test_names_are_our_own),
        cmocka_unit_test(test_length_is_bounded),
        cmocka_unit_test(test_every_counter_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
