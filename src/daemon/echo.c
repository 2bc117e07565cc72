// SPDX-License-Identifier: MIT
/*
 * echo: see echo.h. One timer per asker, for whatever comes next: an echo to be sent, or one to be given up. When all that were wanted
 * are sent, and answered or given up, a last document says so and the connection ends.
 *
 * An id is where to look (the asker's serial number, the place among those that wait) and 32 random bits. An asker is freed when its timer
 * is closed.
 */
#include "echo.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"

struct waiting {
    bool is_waiting;
    uint64_t sent_ns;
    uint8_t id[WIRE_TOKEN_LEN];
};

struct echo_asker {
    struct echo *echo;
    struct echo_asker *next;
    struct control_client *client;
    uv_timer_t timer;
    uint16_t serial;
    uint64_t every_ns, next_ns;
    uint64_t count;             // UINT64_MAX = without an end
    uint64_t n_sent, n_settled; // sequence numbers below n_settled wait no more
    struct waiting waiting[ECHO_WAITING_MAX];
};

/* ---- the end of an asker ---- */

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void forget(struct echo_asker *asker)
{
    struct echo_asker **place = &asker->echo->askers;

    while (*place != asker)
        place = &(*place)->next;
    *place = asker->next;
    uv_close((uv_handle_t *)&asker->timer, on_closed);
}

static void on_gone(void *user)
{
    forget(user);
}

/* ---- echoes ---- */

static struct waiting *place_of(struct echo_asker *asker, uint64_t seq)
{
    return &asker->waiting[seq % ECHO_WAITING_MAX];
}

// The first echo is number 1, as people count.
static void say(struct echo_asker *asker, const char *event, uint64_t seq, json_t *document)
{
    if (document) {
        json_object_set_new(document, "event", json_string(event));
        json_object_set_new(document, "seq", json_integer((json_int_t)seq + 1));
    }
    control_say_take(asker->client, document);
}

static void send_next(struct echo_asker *asker)
{
    struct echo *echo = asker->echo;
    uint64_t seq = asker->n_sent++;
    struct waiting *waiting = place_of(asker, seq);

    store_le16(waiting->id, asker->serial);
    store_le16(waiting->id + 2, (uint16_t)(seq % ECHO_WAITING_MAX));
    randombytes_buf(waiting->id + 4, sizeof waiting->id - 4);
    waiting->sent_ns = now_boot_ns();
    waiting->is_waiting = echo->source.send(echo->source.ctx, waiting->id);
    say(asker, waiting->is_waiting ? "sent" : "unsent", seq, echo->source.describe(echo->source.ctx));
}

static uint64_t give_up_ns(struct echo_asker *asker)
{
    return place_of(asker, asker->n_settled)->sent_ns + ECHO_WAIT_MS * NS_PER_MS;
}

// Those that were answered in the meantime wait no more.
static void settle(struct echo_asker *asker, uint64_t now_ns)
{
    for (; asker->n_settled < asker->n_sent; asker->n_settled++) {
        struct waiting *waiting = place_of(asker, asker->n_settled);
        if (waiting->is_waiting && now_ns < give_up_ns(asker))
            return;
        if (waiting->is_waiting)
            say(asker, "lost", asker->n_settled, json_object());
        waiting->is_waiting = false;
    }
}

static void finish(struct echo_asker *asker)
{
    control_say_take(asker->client, json_pack("{s:s}", "event", "end"));
    control_end(asker->client);
    forget(asker);
}

static void go_on(struct echo_asker *asker);

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void wait_until(struct echo_asker *asker, uint64_t moment_ns, uint64_t now_ns)
{
    uint64_t wait_ns = moment_ns > now_ns ? moment_ns - now_ns : 0;

    uv_update_time(asker->timer.loop); // else it would count from the beginning of this turn
    uv_timer_start(&asker->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

// Does what is due, and sees to it that it is called again. Late ones are not made up for.
static void go_on(struct echo_asker *asker)
{
    uint64_t now_ns = now_boot_ns();

    settle(asker, now_ns);
    if (asker->n_sent < asker->count && now_ns >= asker->next_ns) {
        bool has_room = asker->n_sent - asker->n_settled < ECHO_WAITING_MAX;
        if (has_room && control_unsent(asker->client) <= ECHO_UNREAD_MAX)
            send_next(asker);
        asker->next_ns = now_ns < asker->next_ns + asker->every_ns ? asker->next_ns + asker->every_ns : now_ns + asker->every_ns;
        settle(asker, now_ns);
    }
    if (asker->n_sent == asker->count && asker->n_settled == asker->n_sent)
        finish(asker);
    else if (asker->n_sent == asker->count || (asker->n_settled < asker->n_sent && give_up_ns(asker) < asker->next_ns))
        wait_until(asker, give_up_ns(asker), now_ns);
    else
        wait_until(asker, asker->next_ns, now_ns);
}

static void take_answer(struct echo_asker *asker, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    struct waiting *waiting = &asker->waiting[load_le16(id + 2)];

    if (!waiting->is_waiting || memcmp(waiting->id, id, WIRE_TOKEN_LEN) != 0)
        return;
    uint64_t seq = asker->n_settled;
    while (place_of(asker, seq) != waiting)
        seq++;
    waiting->is_waiting = false;
    say(asker, "answered", seq, json_pack("{s:f}", "rtt_ms", (double)age_ns(now_ns, waiting->sent_ns) / (double)NS_PER_MS));
    go_on(asker); // it may have been the last
}

void echo_answered(struct echo *echo, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    if (load_le16(id + 2) >= ECHO_WAITING_MAX)
        return;
    for (struct echo_asker *asker = echo->askers; asker; asker = asker->next)
        if (asker->serial == load_le16(id)) {
            take_answer(asker, id, now_ns);
            return;
        }
}

/* ---- the request ---- */

// A number at the beginning of `text`, and what follows it; NULL = there is none in that range.
static const char *take_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    const char *digit = text;

    for (; *digit >= '0' && *digit <= '9' && value <= max; digit++)
        value = 10 * value + (uint64_t)(*digit - '0');
    *out = value;
    return digit > text && value >= min && value <= max ? digit : NULL;
}

static bool parse(const char *arguments, uint64_t *every_ms, uint64_t *count)
{
    const char *rest = take_number(arguments, ECHO_MS_MIN, ECHO_MS_MAX, every_ms);

    *count = UINT64_MAX;
    if (rest && *rest == ' ')
        rest = take_number(rest + 1, 1, ECHO_COUNT_MAX, count);
    return rest && *rest == '\0';
}

void echo_start(struct echo *echo, struct control_client *client, const char *arguments)
{
    uint64_t every_ms, count;

    if (!parse(arguments, &every_ms, &count)) {
        control_refuse(client, "ping: expected milliseconds, 10 to 3600000, and perhaps how many echoes, 1 to 1000000000");
        control_end(client);
        return;
    }
    struct echo_asker *asker = calloc(1, sizeof *asker);
    if (!asker) {
        control_end(client);
        return;
    }
    asker->echo = echo;
    asker->client = client;
    asker->serial = echo->next_serial++;
    asker->every_ns = every_ms * NS_PER_MS;
    asker->count = count;
    asker->next_ns = now_boot_ns();
    asker->next = echo->askers;
    echo->askers = asker;
    uv_timer_init(echo->source.loop, &asker->timer);
    asker->timer.data = asker;
    control_on_gone(client, on_gone, asker);
    go_on(asker);
}
