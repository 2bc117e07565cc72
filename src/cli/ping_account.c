// SPDX-License-Identifier: MIT
/*
 * ping_account: see ping_account.h. What the instance says is checked here: it may be another version.
 */
#include <string.h>

#include "ping_account.h"

// Nothing beyond ASCII, and nothing that a terminal would obey.
static void take_text(const json_t *document, const char *key, char *text, size_t cap)
{
    const char *from = json_string_value(json_object_get(document, key));
    size_t n = 0;

    for (; from && n + 1 < cap && from[n]; n++) {
        text[n] = from[n];
        if (text[n] < ' ' || text[n] >= 0x7f)
            text[n] = '?';
    }
    text[n] = '\0';
}

static int take_count(const json_t *document, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(document, key));

    return value > 0 && value <= UINT16_MAX ? (int)value : 0;
}

static void take_way(struct ping_account *account, const json_t *document)
{
    take_text(document, "peer", account->peer, sizeof account->peer);
    take_text(document, "endpoint", account->endpoint, sizeof account->endpoint);
    take_text(document, "state", account->state, sizeof account->state);
    take_text(document, "reason", account->reason, sizeof account->reason);
    account->path_mtu = take_count(document, "path_mtu");
    account->bytes = take_count(document, "bytes");
}

static void print_begin(const struct ping_account *account, FILE *out)
{
    fprintf(out, "Echoes to peer %s at %s, packets of %d bytes\n", account->peer,
            account->endpoint[0] ? account->endpoint : "an address that is not known yet", account->bytes);
}

static void take_sent(struct ping_account *account, const json_t *document, FILE *out)
{
    take_way(account, document);
    if (account->n_sent++ == 0 && out)
        print_begin(account, out);
}

static void take_unsent(struct ping_account *account, const json_t *document, long long seq, FILE *out)
{
    take_sent(account, document, out);
    if (out)
        fprintf(out, "no session with %s: seq=%lld is lost: %s\n", account->peer, seq, account->reason);
}

static void take_answered(struct ping_account *account, const json_t *document, long long seq, FILE *out)
{
    double rtt_ms = json_number_value(json_object_get(document, "rtt_ms"));

    if (account->n_received == 0 || rtt_ms < account->min_ms)
        account->min_ms = rtt_ms;
    if (account->n_received == 0 || rtt_ms > account->max_ms)
        account->max_ms = rtt_ms;
    account->sum_ms += rtt_ms;
    account->sum_squares += rtt_ms * rtt_ms;
    account->n_received++;
    if (out)
        fprintf(out, "%d bytes from %s: seq=%lld time=%.3f ms\n", account->bytes, account->peer, seq, rtt_ms);
}

void ping_take(struct ping_account *account, const json_t *document, FILE *out)
{
    const char *event = json_string_value(json_object_get(document, "event"));
    long long seq = json_integer_value(json_object_get(document, "seq"));

    if (!event)
        return;
    if (strcmp(event, "sent") == 0)
        take_sent(account, document, out);
    else if (strcmp(event, "unsent") == 0)
        take_unsent(account, document, seq, out);
    else if (strcmp(event, "answered") == 0 && json_is_number(json_object_get(document, "rtt_ms")))
        take_answered(account, document, seq, out);
    else if (strcmp(event, "lost") == 0 && out)
        fprintf(out, "no answer from %s: seq=%lld\n", account->peer, seq);
    else if (strcmp(event, "end") == 0)
        account->is_ended = true;
}

/* ---- the summary ---- */

double ping_loss_percent(const struct ping_account *account)
{
    if (account->n_sent == 0 || account->n_received >= account->n_sent)
        return 0;
    return 100.0 * (double)(account->n_sent - account->n_received) / (double)account->n_sent;
}

// Newton's way to the root, so that no library is needed for one number.
static double root(double square)
{
    double value = square > 1 ? square : 1;

    for (int i = 0; i < 64 && square > 0; i++)
        value = (value + square / value) / 2;
    return square > 0 ? value : 0;
}

double ping_deviation_ms(const struct ping_account *account)
{
    if (account->n_received == 0)
        return 0;
    double n = (double)account->n_received, mean = account->sum_ms / n;

    return root(account->sum_squares / n - mean * mean);
}

void ping_print_summary(const struct ping_account *account, FILE *out)
{
    if (account->n_sent == 0)
        return;
    fprintf(out, "--- peer %s ---\n%llu sent, %llu received, %.4g %% lost\n", account->peer, (unsigned long long)account->n_sent,
            (unsigned long long)account->n_received, ping_loss_percent(account));
    if (account->n_received > 0)
        fprintf(out, "round trip min/avg/max/mdev %.3f/%.3f/%.3f/%.3f ms\n", account->min_ms, account->sum_ms / (double)account->n_received,
                account->max_ms, ping_deviation_ms(account));
    else if (strcmp(account->state, "up") == 0)
        fprintf(out, "no answer, though the peer counts as up still (for 10 s after it was last heard)\n");
    else
        fprintf(out, "the peer is %s: %s\n", account->state, account->reason);
    fprintf(out, "endpoint %s, path MTU %d\n", account->endpoint[0] ? account->endpoint : "not known", account->path_mtu);
}

static json_t *real_or_null(bool is_known, double value)
{
    return is_known ? json_real(value) : json_null();
}

json_t *ping_summary(const struct ping_account *account)
{
    bool has_any = account->n_received > 0, has_way = account->n_sent > 0;
    double n = has_any ? (double)account->n_received : 1;

    return json_pack("{s:i, s:s?, s:s?, s:s?, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s?, s:o}", "schema", 1, "peer",
                     has_way ? account->peer : NULL, "state", has_way ? account->state : NULL, "reason", has_way ? account->reason : NULL,
                     "sent", (json_int_t)account->n_sent, "received", (json_int_t)account->n_received, "loss_percent",
                     real_or_null(has_way, ping_loss_percent(account)), "rtt_min_ms", real_or_null(has_any, account->min_ms), "rtt_avg_ms",
                     real_or_null(has_any, account->sum_ms / n), "rtt_max_ms", real_or_null(has_any, account->max_ms), "rtt_mdev_ms",
                     real_or_null(has_any, ping_deviation_ms(account)), "endpoint", account->endpoint[0] ? account->endpoint : NULL,
                     "path_mtu", account->path_mtu > 0 ? json_integer(account->path_mtu) : json_null());
}
