// SPDX-License-Identifier: MIT
/*
 * status_text: see status_text.h. One function per part of the screen, from top to bottom.
 */
#include "status_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ethercord/drop.h"

enum { NUMBER_TEXT_CAP = 40, TEXT_SHOWN_MAX = 200, REASON_WIDTH = 22 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool get_number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return false;
    *out = json_number_value(value);
    return true;
}

// Nothing that a node says goes beyond ASCII; what does could be a control character of a terminal (U+0080 to U+009F), or text that runs
// from right to left.
static void put_text(FILE *out, const char *text)
{
    for (size_t i = 0; i < TEXT_SHOWN_MAX && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
    }
}

// "  label       text": the beginning of a line.
static void put_label(FILE *out, const char *indent, const char *label)
{
    fprintf(out, "%s%-12s", indent, label);
}

// ", words text" if there is a text.
static void put_more(FILE *out, const char *words, const char *text)
{
    if (*text == '\0')
        return;
    fputs(words, out);
    put_text(out, text);
}

static const char *format_duration(double seconds, char text[static NUMBER_TEXT_CAP])
{
    uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;
    if (s < 120)
        snprintf(text, NUMBER_TEXT_CAP, "%u s", (unsigned)s);
    else if (s < 2ULL * 3600)
        snprintf(text, NUMBER_TEXT_CAP, "%u min %u s", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (s < 48ULL * 3600)
        snprintf(text, NUMBER_TEXT_CAP, "%u h %u min", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    else
        snprintf(text, NUMBER_TEXT_CAP, "%llu d %u h", (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24));
    return text;
}

static const char *format_bytes(double bytes, char text[static NUMBER_TEXT_CAP])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, NUMBER_TEXT_CAP, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

static void print_list(const json_t *list, FILE *out)
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        fputs(i > 0 ? ", " : "", out);
        put_text(out, text ? text : "?");
    }
}

static void print_node(const json_t *status, FILE *out)
{
    char text[NUMBER_TEXT_CAP];
    double number;
    put_text(out, text_of(status, "name"));
    if (get_number(status, "uptime_s", &number))
        fprintf(out, ": running for %s", format_duration(number, text));
    put_more(out, ", version ", text_of(status, "version"));
    if (get_number(status, "pid", &number))
        fprintf(out, ", process %.0f", number);
    fputc('\n', out);
    put_label(out, "  ", "public key");
    put_text(out, text_of(status, "public_key"));
    fputc('\n', out);
    if (get_number(status, "listen_port", &number) && number > 0) {
        put_label(out, "  ", "listens");
        fprintf(out, "UDP port %.0f\n", number);
    }
}

static void print_narrow_ports(const json_t *ports, FILE *out)
{
    size_t n = json_array_size(ports);
    if (n == 0)
        return;
    put_label(out, "  ", "");
    fputs("ports of the bridge with a smaller MTU, where larger frames are lost: ", out);
    for (size_t i = 0; i < n; i++) {
        const json_t *port = json_array_get(ports, i);
        double mtu;
        fputs(i > 0 ? ", " : "", out);
        put_text(out, text_of(port, "name"));
        if (get_number(port, "mtu", &mtu))
            fprintf(out, " (%.0f)", mtu);
    }
    fputc('\n', out);
}

static void print_tap(const json_t *tap, FILE *out)
{
    double mtu;
    if (!json_is_object(tap))
        return;
    put_label(out, "  ", "TAP");
    put_text(out, text_of(tap, "name"));
    if (json_is_false(json_object_get(tap, "carrier")))
        fputs(", no carrier", out);
    if (get_number(tap, "mtu", &mtu))
        fprintf(out, ", MTU %.0f", mtu);
    put_more(out, ", bridge ", text_of(tap, "bridge"));
    if (strcmp(text_of(tap, "carrier_mode"), "peer-up") == 0)
        fputs(", carrier only while the peer is up", out);
    put_more(out, ", MAC address ", text_of(tap, "mac_address"));
    put_more(out, ", offload ", text_of(tap, "offload"));
    fputc('\n', out);
    print_narrow_ports(json_object_get(tap, "narrow_ports"), out);
}

static void print_underlay(const json_t *underlay, FILE *out)
{
    if (!json_is_object(underlay))
        return;
    put_label(out, "  ", "underlay");
    fprintf(out, "datagrams are sent %s, received %s\n", json_is_true(json_object_get(underlay, "gso")) ? "in trains" : "one by one",
            json_is_true(json_object_get(underlay, "gro")) ? "in trains" : "one by one");
}

static void print_shortcut(const json_t *shortcut, FILE *out)
{
    const json_t *addresses = json_object_get(shortcut, "addresses");
    double conflicts;
    if (json_array_size(addresses) == 0)
        return;
    put_label(out, "  ", "shortcut");
    print_list(addresses, out);
    put_more(out, ", MAC address ", text_of(shortcut, "mac_address"));
    if (strcmp(text_of(shortcut, "answer"), "peer-up") == 0)
        fputs(", answers only while the peer is up", out);
    fputc('\n', out);
    if (get_number(shortcut, "conflicts", &conflicts) && conflicts > 0) {
        put_label(out, "  ", "");
        fprintf(out, "%.0f conflicts: somebody else claims an address of the shortcut (see the log)\n", conflicts);
    }
}

// Only while frames are unfinished.
static void print_reassembly(const json_t *reassembly, FILE *out)
{
    char used[NUMBER_TEXT_CAP], memory[NUMBER_TEXT_CAP];
    double n, used_bytes, memory_bytes, timeout_ms;
    if (!get_number(reassembly, "unfinished_frames", &n) || n <= 0 || !get_number(reassembly, "used_bytes", &used_bytes) ||
        !get_number(reassembly, "memory_bytes", &memory_bytes) || !get_number(reassembly, "timeout_ms", &timeout_ms))
        return;
    put_label(out, "  ", "reassembly");
    fprintf(out, "%.0f unfinished frame%s in %s of %s, waited for %.0f ms\n", n, n == 1 ? "" : "s", format_bytes(used_bytes, used),
            format_bytes(memory_bytes, memory), timeout_ms);
}

// "user 0 with kill, net_admin" or "user 65534 without capabilities"
static void print_identity(const json_t *process, FILE *out)
{
    const json_t *capabilities = json_object_get(process, "capabilities");
    double uid;
    if (get_number(process, "uid", &uid))
        fprintf(out, "user %.0f ", uid);
    fputs(json_array_size(capabilities) > 0 ? "with " : "without capabilities", out);
    print_list(capabilities, out);
}

static const char *filtered_text(const json_t *sandbox)
{
    return json_is_true(json_object_get(sandbox, "on")) ? "system calls filtered" : "system calls NOT filtered";
}

static void print_files(const json_t *sandbox, const json_t *worker, FILE *out)
{
    bool is_root_empty = json_is_true(json_object_get(worker, "empty_root"));
    double landlock;
    bool has_landlock = get_number(worker, "landlock", &landlock) && landlock > 0;
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
    put_label(out, "  ", "worker");
    print_identity(worker, out);
    fprintf(out, ", %s", filtered_text(sandbox));
    print_files(sandbox, worker, out);
    fprintf(out, ", keys %s\n", json_is_true(json_object_get(worker, "keys_locked")) ? "locked in memory" : "NOT locked in memory");
    if (!json_is_object(monitor))
        return;
    put_label(out, "  ", "monitor");
    print_identity(monitor, out);
    fprintf(out, ", %s\n", filtered_text(sandbox));
}

static void print_traffic(const json_t *peer, const char *label, const char *frames_key, const char *bytes_key, FILE *out)
{
    char text[NUMBER_TEXT_CAP];
    double frames, bytes;
    if (!get_number(peer, frames_key, &frames) || !get_number(peer, bytes_key, &bytes))
        return;
    put_label(out, "    ", label);
    fprintf(out, "%.0f frames, %s\n", frames, format_bytes(bytes, text));
}

static void print_session(const json_t *peer, FILE *out)
{
    char text[NUMBER_TEXT_CAP];
    double number;
    const char *cipher = text_of(peer, "cipher");
    put_label(out, "    ", "session");
    put_text(out, *cipher ? cipher : "none");
    if (get_number(peer, "last_handshake_age_s", &number))
        fprintf(out, ", last handshake %s ago", format_duration(number, text));
    fputc('\n', out);
    put_label(out, "    ", "path");
    if (get_number(peer, "path_mtu", &number))
        fprintf(out, "MTU %.0f", number);
    if (*text_of(peer, "path_mtu_state")) {
        put_more(out, " (", text_of(peer, "path_mtu_state"));
        fputc(')', out);
    }
    if (get_number(peer, "rtt_ms", &number))
        fprintf(out, ", round trip %.2f ms", number);
    if (get_number(peer, "far_tap_mtu", &number))
        fprintf(out, ", MTU of the far TAP %.0f", number);
    fputc('\n', out);
    if (get_number(peer, "clock_behind_s", &number) && number > 0) {
        put_label(out, "    ", "clock");
        fprintf(out, "the peer's clock went back by %s; its handshakes are refused until it is right again\n",
                format_duration(number, text));
    }
}

static void print_mismatch(const json_t *tap, const json_t *peer, FILE *out)
{
    double near, far;
    if (!get_number(tap, "mtu", &near) || !get_number(peer, "far_tap_mtu", &far) || near == far)
        return;
    put_label(out, "    ", "mismatch");
    fprintf(out, "the TAP's MTU is %.0f here and %.0f there: larger packets than %.0f can't cross\n", near, far, near < far ? near : far);
}

// What is to be known while the peer is not there, or where there is a choice.
static void print_places(const json_t *peer, FILE *out)
{
    const json_t *addresses = json_object_get(peer, "addresses");
    bool is_up = strcmp(text_of(peer, "state"), "up") == 0;
    double age;
    if (*text_of(peer, "endpoint_name") == '\0' || (is_up && json_array_size(addresses) < 2))
        return;
    put_label(out, "    ", "name");
    put_text(out, text_of(peer, "endpoint_name"));
    fputs(json_array_size(addresses) > 0 ? " is " : " has no address", out);
    print_list(addresses, out);
    if (strcmp(text_of(peer, "lookup"), "asking") == 0 && get_number(peer, "lookup_age_s", &age))
        fprintf(out, "; the resolver is being asked, for %.0f s", age);
    if (!is_up)
        put_more(out, "; tried last: ", text_of(peer, "tried"));
    fputc('\n', out);
}

static void print_peer(const json_t *tap, const json_t *peer, FILE *out)
{
    char text[NUMBER_TEXT_CAP];
    double since;
    const char *endpoint = text_of(peer, "endpoint");
    fputs("\npeer ", out);
    put_text(out, text_of(peer, "name"));
    put_more(out, ": ", text_of(peer, "state"));
    if (get_number(peer, "since_s", &since))
        fprintf(out, " for %s", format_duration(since, text));
    put_more(out, " (", text_of(peer, "reason"));
    fputs(*text_of(peer, "reason") ? ")\n" : "\n", out);
    put_label(out, "    ", "public key");
    put_text(out, text_of(peer, "public_key"));
    fputc('\n', out);
    put_label(out, "    ", "endpoint");
    put_text(out, *endpoint ? endpoint : "not known yet");
    fputc('\n', out);
    print_places(peer, out);
    print_session(peer, out);
    print_mismatch(tap, peer, out);
    print_traffic(peer, "sent", "tx_frames", "tx_bytes", out);
    print_traffic(peer, "received", "rx_frames", "rx_bytes", out);
}

static const char *meaning_of(const char *name)
{
    for (int i = 0; i < DROP_COUNT; i++) {
        if (strcmp(drop_name((enum drop_reason)i), name) == 0)
            return drop_meaning((enum drop_reason)i);
    }
    return "";
}

static void print_drops(const json_t *drops, FILE *out)
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
        put_text(out, name);
        size_t len = strlen(name);
        fprintf(out, "%*s", len < REASON_WIDTH ? (int)(REASON_WIDTH - len) : 0, "");
        fprintf(out, "  %s\n", meaning_of(name));
    }
    if (!has_any && json_is_object(drops))
        fputs("\ndropped: nothing\n", out);
}

void status_text_print(const json_t *status, FILE *out)
{
    const json_t *peers = json_object_get(status, "peers");
    size_t n = json_array_size(peers);
    print_node(status, out);
    print_tap(json_object_get(status, "tap"), out);
    print_underlay(json_object_get(status, "underlay"), out);
    print_shortcut(json_object_get(status, "shortcut"), out);
    print_reassembly(json_object_get(status, "reassembly"), out);
    print_sandbox(json_object_get(status, "sandbox"), out);
    for (size_t i = 0; i < n; i++)
        print_peer(json_object_get(status, "tap"), json_array_get(peers, i), out);
    print_drops(json_object_get(status, "drops"), out);
}
