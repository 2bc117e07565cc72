// SPDX-License-Identifier: MIT
/*
 * status_peer: the part of the screen that is about one peer: its state first, with why and since when.
 */
#include <string.h>

#include "status_parts.h"

struct traffic_keys {
    const char *frames, *bytes, *bits_per_s, *frames_per_s;
};

// What crosses in one direction: in all, and now.
static void print_traffic(const json_t *peer, const char *label, const struct traffic_keys *keys, FILE *out)
{
    char text[TEXT_NUMBER_CAP], per_s[TEXT_NUMBER_CAP];
    double frames, bytes, bits_per_s, frames_per_s;
    if (!status_number(peer, keys->frames, &frames) || !status_number(peer, keys->bytes, &bytes))
        return;
    text_label(out, "    ", label);
    fprintf(out, "%.0f frames, %s", frames, text_bytes(bytes, text));
    if (status_number(peer, keys->bits_per_s, &bits_per_s) && status_number(peer, keys->frames_per_s, &frames_per_s))
        fprintf(out, "; now %s, %s frames/s", text_rate(bits_per_s, text), text_count(frames_per_s, per_s));
    fputc('\n', out);
}

static void put_percent(const json_t *peer, const char *words, const char *key, FILE *out)
{
    double percent;
    if (status_number(peer, key, &percent))
        fprintf(out, ", %s %.*f %%", words, percent > 0 && percent < 1 ? 2 : 1, percent);
}

// How good the way is; only what is known of it.
static void print_quality(const json_t *peer, FILE *out)
{
    double rtt, last, jitter;
    if (!status_number(peer, "rtt_ms", &rtt))
        return;
    text_label(out, "    ", "quality");
    fprintf(out, "round trip %.2f ms", rtt);
    if (status_number(peer, "rtt_last_ms", &last))
        fprintf(out, " (last %.2f)", last);
    if (status_number(peer, "jitter_ms", &jitter))
        fprintf(out, ", jitter %.2f ms", jitter);
    put_percent(peer, "lost of ours", "loss_tx_percent", out);
    put_percent(peer, "of theirs", "loss_rx_percent", out);
    put_percent(peer, "reordered", "reordered_rx_percent", out);
    fputc('\n', out);
}

static void print_session(const json_t *peer, FILE *out)
{
    char text[TEXT_NUMBER_CAP];
    double number;
    const char *cipher = status_member(peer, "cipher");
    text_label(out, "    ", "session");
    text_put(out, *cipher ? cipher : "none");
    if (status_number(peer, "last_handshake_age_s", &number))
        fprintf(out, ", last handshake %s ago", text_duration(number, text));
    fputc('\n', out);
    text_label(out, "    ", "path");
    if (status_number(peer, "path_mtu", &number))
        fprintf(out, "MTU %.0f", number);
    if (*status_member(peer, "path_mtu_state")) {
        text_put_more(out, " (", status_member(peer, "path_mtu_state"));
        fputc(')', out);
    }
    if (status_number(peer, "far_tap_mtu", &number))
        fprintf(out, ", MTU of the far TAP %.0f", number);
    fputc('\n', out);
    if (status_number(peer, "clock_behind_s", &number) && number > 0) {
        text_label(out, "    ", "clock");
        fprintf(out, "the peer's clock went back by %s; its handshakes are refused until it is right again\n", text_duration(number, text));
    }
}

static void print_mismatch(const json_t *tap, const json_t *peer, FILE *out)
{
    double near, far;
    if (!status_number(tap, "mtu", &near) || !status_number(peer, "far_tap_mtu", &far) || near == far)
        return;
    text_label(out, "    ", "mismatch");
    fprintf(out, "the TAP's MTU is %.0f here and %.0f there: larger packets than %.0f can't cross\n", near, far, near < far ? near : far);
}

// What is to be known while the peer is not there, or where there is a choice.
static void print_places(const json_t *peer, FILE *out)
{
    const json_t *addresses = json_object_get(peer, "addresses");
    bool is_up = strcmp(status_member(peer, "state"), "up") == 0;
    double age;
    if (*status_member(peer, "endpoint_name") == '\0' || (is_up && json_array_size(addresses) < 2))
        return;
    text_label(out, "    ", "name");
    text_put(out, status_member(peer, "endpoint_name"));
    fputs(json_array_size(addresses) > 0 ? " is " : " has no address", out);
    status_put_list(addresses, out);
    if (strcmp(status_member(peer, "lookup"), "asking") == 0 && status_number(peer, "lookup_age_s", &age))
        fprintf(out, "; the resolver is being asked, for %.0f s", age);
    if (!is_up)
        text_put_more(out, "; tried last: ", status_member(peer, "tried"));
    fputc('\n', out);
}

static enum text_colour state_colour(const char *state)
{
    return strcmp(state, "up") == 0 ? TEXT_GOOD : strcmp(state, "down") == 0 ? TEXT_BAD : TEXT_DOUBTFUL;
}

// "peer site-b: down 42 s: no answer to 8 initiations, the last to 203.0.113.5:36160"
static void print_peer_state(const json_t *peer, const struct text_style *style, FILE *out)
{
    const char *state = status_member(peer, "state");
    char text[TEXT_NUMBER_CAP];
    double since;
    fputs("\npeer ", out);
    text_put(out, status_member(peer, "name"));
    fputs(": ", out);
    text_colour(style, state_colour(state), out);
    text_put(out, state);
    text_colour(style, TEXT_PLAIN, out);
    if (status_number(peer, "since_s", &since))
        fprintf(out, " %s", text_duration(since, text));
    if (strcmp(state, "up") != 0) // else it would be the same once more
        text_put_more(out, ": ", status_member(peer, "reason"));
    fputc('\n', out);
}

void status_put_peer(const json_t *tap, const json_t *peer, const struct text_style *style, FILE *out)
{
    static const struct traffic_keys sent = {"tx_frames", "tx_bytes", "tx_bits_per_s", "tx_frames_per_s"},
                                     received = {"rx_frames", "rx_bytes", "rx_bits_per_s", "rx_frames_per_s"};
    const char *endpoint = status_member(peer, "endpoint");
    print_peer_state(peer, style, out);
    text_label(out, "    ", "public key");
    text_put(out, status_member(peer, "public_key"));
    fputc('\n', out);
    text_label(out, "    ", "endpoint");
    text_put(out, *endpoint ? endpoint : "not known yet");
    fputc('\n', out);
    print_places(peer, out);
    print_session(peer, out);
    print_quality(peer, out);
    print_mismatch(tap, peer, out);
    print_traffic(peer, "sent", &sent, out);
    print_traffic(peer, "received", &received, out);
}
