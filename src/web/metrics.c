// SPDX-License-Identifier: MIT
/*
 * metrics: see metrics.h. Samples of one name stand together, behind its HELP and TYPE, which are left out where there is no sample.
 */
#include "metrics.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/drop.h"

enum { ROOM_FIRST = 16 * 1024, PATH_PART_CAP = 64 };

struct text {
    char *bytes;
    size_t len, cap;
    bool has_failed;
    const char *begun; // the metric whose HELP and TYPE are there
};

static bool make_room(struct text *text, size_t len)
{
    if (text->has_failed || len > METRICS_TEXT_MAX - text->len)
        return false;
    if (text->bytes && text->cap - text->len > len)
        return true;
    size_t cap = text->cap + len + ROOM_FIRST;
    char *bytes = realloc(text->bytes, cap);
    if (!bytes)
        return false;
    text->bytes = bytes;
    text->cap = cap;
    return true;
}

static void add_bytes(struct text *text, const char *bytes, size_t len)
{
    text->has_failed = !make_room(text, len);
    if (text->has_failed)
        return;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof line)
        text->has_failed = true;
    else
        add_bytes(text, line, (size_t)len);
}

// Of what is left out the last character is left out whole: in UTF-8 its further bytes are 10xxxxxx.
static size_t label_len(const char *value)
{
    size_t len = strnlen(value, METRICS_LABEL_MAX + 1);

    if (len <= METRICS_LABEL_MAX)
        return len;
    for (len = METRICS_LABEL_MAX; len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80;)
        len--;
    return len;
}

static void add_label(struct text *text, const char *name, const char *value)
{
    size_t len = label_len(value);

    add(text, "%s=\"", name);
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\n')
            add_bytes(text, "\\n", 2);
        else if (value[i] == '\\' || value[i] == '"')
            add_bytes(text, (const char[]){'\\', value[i]}, 2);
        else
            add_bytes(text, &value[i], 1);
    }
    add_bytes(text, "\"", 1);
}

static void begin(struct text *text, const char *name, enum metric_kind kind, const char *help)
{
    if (text->begun && strcmp(text->begun, name) == 0)
        return;
    text->begun = name;
    add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind == METRIC_COUNTER ? "counter" : "gauge");
}

/* ---- values ---- */

static const json_t *find(const json_t *object, const char *path)
{
    char part[PATH_PART_CAP];

    for (const char *at = path; object; at += strcspn(at, ".") + 1) {
        size_t len = strcspn(at, ".");
        if (len >= sizeof part)
            return NULL;
        memcpy(part, at, len);
        part[len] = '\0';
        object = json_object_get(object, part);
        if (at[len] == '\0')
            break;
    }
    return object;
}

static const char *find_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(find(object, path));
    return text ? text : "";
}

static bool is_value(const json_t *value)
{
    return json_is_number(value) || json_is_boolean(value);
}

// Whole numbers to the last digit.
static void add_value(struct text *text, const json_t *value, double scale)
{
    if (json_is_boolean(value))
        add(text, " %d\n", json_is_true(value));
    else if (json_is_integer(value) && scale == 1)
        add(text, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    else
        add(text, " %.12g\n", json_number_value(value) * scale);
}

/* ---- of the node ---- */

static void add_build_info(struct text *text, const json_t *status)
{
    begin(text, "ethercord_build_info", METRIC_GAUGE, "Always 1; what is running.");
    add(text, "ethercord_build_info{");
    add_label(text, "version", find_text(status, "version"));
    add(text, "} 1\n");
}

static void add_node_info(struct text *text, const json_t *status)
{
    static const char *const labels[][2] = {
        {"node", "name"},         {"public_key", "public_key"},       {"tap", "tap.name"},
        {"bridge", "tap.bridge"}, {"mac_address", "tap.mac_address"}, {"tap_offload", "tap.offload"},
    };

    begin(text, "ethercord_node_info", METRIC_GAUGE, "Always 1; the node and its TAP.");
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        add(text, i ? "," : "ethercord_node_info{");
        add_label(text, labels[i][0], find_text(status, labels[i][1]));
    }
    add(text, "} 1\n");
}

static void add_node(struct text *text, const json_t *status, const struct metric *metric)
{
    const json_t *value = find(status, metric->path);

    if (!is_value(value))
        return;
    begin(text, metric->name, metric->kind, metric->help);
    add(text, "%s", metric->name);
    add_value(text, value, metric->scale);
}

static void add_narrow_ports(struct text *text, const json_t *status)
{
    const json_t *ports = find(status, "tap.narrow_ports");

    if (!json_is_array(ports))
        return;
    begin(text, "ethercord_tap_narrow_ports", METRIC_GAUGE, "Ports of the bridge with a smaller MTU than the TAP's.");
    add(text, "ethercord_tap_narrow_ports %zu\n", json_array_size(ports));
}

static void add_drops(struct text *text, const json_t *status)
{
    const json_t *drops = json_object_get(status, "drops");

    for (int i = 0; i < DROP_COUNT; i++) {
        const char *reason = drop_name((enum drop_reason)i);
        const json_t *value = json_object_get(drops, reason);
        if (!json_is_integer(value))
            continue;
        begin(text, "ethercord_drops_total", METRIC_COUNTER, "Frames and datagrams that went nowhere, by the reason why.");
        add(text, "ethercord_drops_total{reason=\"%s\"}", reason);
        add_value(text, value, 1);
    }
}

/* ---- of peers ---- */

static void begin_peer(struct text *text, const char *name, const json_t *peer)
{
    add(text, "%s{", name);
    add_label(text, "peer", find_text(peer, "name"));
}

static void add_peer_info(struct text *text, const json_t *peer)
{
    static const char *const labels[] = {"public_key", "endpoint", "cipher", "path_mtu_state"};

    begin(text, "ethercord_peer_info", METRIC_GAUGE, "Always 1; who the peer is, where, and by which cipher.");
    begin_peer(text, "ethercord_peer_info", peer);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        add(text, ",");
        add_label(text, labels[i], find_text(peer, labels[i]));
    }
    add(text, "} 1\n");
}

static void add_peer_up(struct text *text, const json_t *peer)
{
    begin(text, "ethercord_peer_up", METRIC_GAUGE, "Whether there is a session with the peer and it was heard lately.");
    begin_peer(text, "ethercord_peer_up", peer);
    add(text, "} %d\n", strcmp(find_text(peer, "state"), "up") == 0);
}

static void add_peer_state(struct text *text, const json_t *peer)
{
    static const char *const states[] = {"up", "handshaking", "down"};

    begin(text, "ethercord_peer_state", METRIC_GAUGE, "1 for the state that the peer is in.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        begin_peer(text, "ethercord_peer_state", peer);
        add(text, ",state=\"%s\"} %d\n", states[i], strcmp(find_text(peer, "state"), states[i]) == 0);
    }
}

// The first row of a name has it, whether it has a value or not.
static const char *help_of(const struct metric *table, const struct metric *metric)
{
    while (metric > table && strcmp(metric[-1].name, metric->name) == 0)
        metric--;
    return metric->help;
}

static void add_peer(struct text *text, const json_t *peer, const struct metric *metric)
{
    const json_t *value = find(peer, metric->path);

    if (!is_value(value))
        return;
    begin(text, metric->name, metric->kind, help_of(metrics_of_peer, metric));
    begin_peer(text, metric->name, peer);
    add(text, "%s%s}", metric->labels[0] ? "," : "", metric->labels);
    add_value(text, value, metric->scale);
}

static size_t n_peers(const json_t *peers)
{
    size_t n = json_array_size(peers);
    return n < METRICS_PEERS_MAX ? n : METRICS_PEERS_MAX;
}

static void add_peers(struct text *text, const json_t *peers)
{
    static void (*const others[])(struct text *, const json_t *) = {add_peer_info, add_peer_up, add_peer_state};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        for (size_t j = 0; j < n_peers(peers); j++)
            others[i](text, json_array_get(peers, j));
    for (const struct metric *metric = metrics_of_peer; metric->path; metric++)
        for (size_t j = 0; j < n_peers(peers); j++)
            add_peer(text, json_array_get(peers, j), metric);
}

char *metrics_format(const json_t *status, double started_s, size_t *len)
{
    struct text text = {.bytes = NULL};

    add_build_info(&text, status);
    add_node_info(&text, status);
    begin(&text, "ethercord_start_time_seconds", METRIC_GAUGE, "When the node was started, in seconds since 1970.");
    add(&text, "ethercord_start_time_seconds %.3f\n", started_s);
    for (const struct metric *metric = metrics_of_node; metric->path; metric++)
        add_node(&text, status, metric);
    add_narrow_ports(&text, status);
    add_drops(&text, status);
    add_peers(&text, json_object_get(status, "peers"));
    if (text.has_failed) {
        free(text.bytes);
        return NULL;
    }
    *len = text.len;
    return text.bytes;
}
