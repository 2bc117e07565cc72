// SPDX-License-Identifier: MIT
/*
 * status_text: see status_text.h. One function per part of the screen, from top to bottom.
 */
#include "status_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ethercord/drop.h"
#include "status_parts.h"

enum { REASON_WIDTH = 22 };

const char *status_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool status_number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return false;
    *out = json_number_value(value);
    return true;
}

void status_put_list(const json_t *list, FILE *out)
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        fputs(i > 0 ? ", " : "", out);
        text_put(out, text ? text : "?");
    }
}

static void print_node(const json_t *status, FILE *out)
{
    char text[TEXT_NUMBER_CAP];
    double number;
    text_put(out, status_member(status, "name"));
    if (status_number(status, "uptime_s", &number))
        fprintf(out, ": running for %s", text_duration(number, text));
    text_put_more(out, ", version ", status_member(status, "version"));
    if (status_number(status, "pid", &number))
        fprintf(out, ", process %.0f", number);
    fputc('\n', out);
}

static void print_address(const json_t *status, FILE *out)
{
    double number;
    text_label(out, "    ", "public key");
    text_put(out, status_member(status, "public_key"));
    fputc('\n', out);
    if (status_number(status, "listen_port", &number) && number > 0) {
        text_label(out, "    ", "listens");
        fprintf(out, "UDP port %.0f\n", number);
    }
}

static void print_narrow_ports(const json_t *ports, FILE *out)
{
    size_t n = json_array_size(ports);
    if (n == 0)
        return;
    text_label(out, "    ", "");
    fputs("ports of the bridge with a smaller MTU, where larger frames are lost: ", out);
    for (size_t i = 0; i < n; i++) {
        const json_t *port = json_array_get(ports, i);
        double mtu;
        fputs(i > 0 ? ", " : "", out);
        text_put(out, status_member(port, "name"));
        if (status_number(port, "mtu", &mtu))
            fprintf(out, " (%.0f)", mtu);
    }
    fputc('\n', out);
}

static void print_tap(const json_t *tap, FILE *out)
{
    double mtu;
    if (!json_is_object(tap))
        return;
    text_label(out, "    ", "TAP");
    text_put(out, status_member(tap, "name"));
    if (json_is_false(json_object_get(tap, "carrier")))
        fputs(", no carrier", out);
    if (status_number(tap, "mtu", &mtu))
        fprintf(out, ", MTU %.0f", mtu);
    text_put_more(out, ", bridge ", status_member(tap, "bridge"));
    if (strcmp(status_member(tap, "carrier_mode"), "peer-up") == 0)
        fputs(", carrier only while the peer is up", out);
    text_put_more(out, ", MAC address ", status_member(tap, "mac_address"));
    text_put_more(out, ", offload ", status_member(tap, "offload"));
    fputc('\n', out);
    print_narrow_ports(json_object_get(tap, "narrow_ports"), out);
}

static void print_underlay(const json_t *underlay, FILE *out)
{
    if (!json_is_object(underlay))
        return;
    text_label(out, "    ", "underlay");
    fprintf(out, "datagrams are sent %s, received %s\n", json_is_true(json_object_get(underlay, "gso")) ? "in trains" : "one by one",
            json_is_true(json_object_get(underlay, "gro")) ? "in trains" : "one by one");
}

static void print_shortcut(const json_t *shortcut, FILE *out)
{
    const json_t *addresses = json_object_get(shortcut, "addresses");
    double conflicts;
    if (json_array_size(addresses) == 0)
        return;
    text_label(out, "    ", "shortcut");
    status_put_list(addresses, out);
    text_put_more(out, ", MAC address ", status_member(shortcut, "mac_address"));
    if (strcmp(status_member(shortcut, "answer"), "peer-up") == 0)
        fputs(", answers only while the peer is up", out);
    fputc('\n', out);
    if (status_number(shortcut, "conflicts", &conflicts) && conflicts > 0) {
        text_label(out, "    ", "");
        fprintf(out, "%.0f conflicts: somebody else claims an address of the shortcut (see the log)\n", conflicts);
    }
}

// Only while frames are unfinished.
static void print_reassembly(const json_t *reassembly, FILE *out)
{
    char used[TEXT_NUMBER_CAP], memory[TEXT_NUMBER_CAP];
    double n, used_bytes, memory_bytes, timeout_ms;
    if (!status_number(reassembly, "unfinished_frames", &n) || n <= 0 || !status_number(reassembly, "used_bytes", &used_bytes) ||
        !status_number(reassembly, "memory_bytes", &memory_bytes) || !status_number(reassembly, "timeout_ms", &timeout_ms))
        return;
    text_label(out, "    ", "reassembly");
    fprintf(out, "%.0f unfinished frame%s in %s of %s, waited for %.0f ms\n", n, n == 1 ? "" : "s", text_bytes(used_bytes, used),
            text_bytes(memory_bytes, memory), timeout_ms);
}

// "user 0 with kill, net_admin" or "user 65534 without capabilities"
static void print_identity(const json_t *process, FILE *out)
{
    const json_t *capabilities = json_object_get(process, "capabilities");
    double uid;
    if (status_number(process, "uid", &uid))
        fprintf(out, "user %.0f ", uid);
    fputs(json_array_size(capabilities) > 0 ? "with " : "without capabilities", out);
    status_put_list(capabilities, out);
}

static const char *filtered_text(const json_t *sandbox)
{
    return json_is_true(json_object_get(sandbox, "on")) ? "system calls filtered" : "system calls NOT filtered";
}

static void print_files(const json_t *sandbox, const json_t *worker, FILE *out)
{
    bool is_root_empty = json_is_true(json_object_get(worker, "empty_root"));
    double landlock;
    bool has_landlock = status_number(worker, "landlock", &landlock) && landlock > 0;
    const char *empty_root = is_root_empty ? "empty root, " : "", *rules = has_landlock ? "Landlock, " : "";
    if (json_is_true(json_object_get(sandbox, "on")))
        fprintf(out, ", no files (%s%sfilter)", empty_root, rules);
    else
        fputs(", files in sight", out);
}

static void print_sandbox(const json_t *sandbox, FILE *out)
{
    const json_t *worker = json_object_get(sandbox, "worker"), *monitor = json_object_get(sandbox, "monitor");
    if (!json_is_object(worker))
        return;
    text_label(out, "    ", "worker");
    print_identity(worker, out);
    fprintf(out, ", %s", filtered_text(sandbox));
    print_files(sandbox, worker, out);
    fprintf(out, ", keys %s\n", json_is_true(json_object_get(worker, "keys_locked")) ? "locked in memory" : "NOT locked in memory");
    if (!json_is_object(monitor))
        return;
    text_label(out, "    ", "monitor");
    print_identity(monitor, out);
    fprintf(out, ", %s\n", filtered_text(sandbox));
}

static void print_metrics(const json_t *metrics, FILE *out)
{
    const char *listen = json_string_value(json_object_get(metrics, "listen"));
    if (!listen)
        return;
    text_label(out, "    ", "metrics");
    fputs(json_is_true(json_object_get(metrics, "running")) ? "http://" : "NOT served any more, see the log: http://", out);
    text_put(out, listen);
    fputs("/\n", out);
}

static const char *meaning_of(const char *name)
{
    for (int i = 0; i < DROP_COUNT; i++) {
        if (strcmp(drop_name((enum drop_reason)i), name) == 0)
            return drop_meaning((enum drop_reason)i);
    }
    return "";
}

static void print_drops(const json_t *drops, const struct text_style *style, FILE *out)
{
    const char *name;
    json_t *value;
    bool has_any = false;
    json_object_foreach((json_t *)(uintptr_t)drops, name, value)
    {
        double n = json_number_value(value);
        if (!json_is_number(value) || n <= 0)
            continue;
        fputs(has_any ? "" : "\ndropped\n", out);
        has_any = true;
        fprintf(out, "%12.0f  ", n);
        text_put(out, name);
        size_t len = strlen(name);
        fprintf(out, "%*s", len < REASON_WIDTH ? (int)(REASON_WIDTH - len) : 0, "");
        text_colour(style, TEXT_FAINT, out);
        fprintf(out, "  %s", meaning_of(name));
        text_colour(style, TEXT_PLAIN, out);
        fputc('\n', out);
    }
    if (!has_any && json_is_object(drops))
        fputs("\ndropped: nothing\n", out);
}

void status_text_print_peers(const json_t *status, const struct text_style *style, FILE *out)
{
    const json_t *peers = json_object_get(status, "peers");
    size_t n = json_array_size(peers);
    print_node(status, out);
    for (size_t i = 0; i < n; i++)
        status_put_peer(json_object_get(status, "tap"), json_array_get(peers, i), style, out);
}

void status_text_print_node(const json_t *status, const struct text_style *style, FILE *out)
{
    fputs("\nhere\n", out);
    print_address(status, out);
    print_tap(json_object_get(status, "tap"), out);
    print_underlay(json_object_get(status, "underlay"), out);
    print_shortcut(json_object_get(status, "shortcut"), out);
    print_reassembly(json_object_get(status, "reassembly"), out);
    print_sandbox(json_object_get(status, "sandbox"), out);
    print_metrics(json_object_get(status, "metrics"), out);
    print_drops(json_object_get(status, "drops"), style, out);
}

void status_text_print(const json_t *status, const struct text_style *style, FILE *out)
{
    status_text_print_peers(status, style, out);
    status_text_print_node(status, style, out);
}
