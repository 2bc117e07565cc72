// SPDX-License-Identifier: MIT
/*
 * capture_request: see capture_request.h.
 *
 *   capturing   a timer empties both rings, in the order of time, while the asker reads
 *   leaving     the asker is gone, the sinks are removed: they are freed when tx and rx have been seen not to look at them
 *
 * The timer is slow while nothing comes, so that a filter that matches nothing costs nothing here either.
 */
#include "capture_request.h"

#include <stdlib.h>
#include <string.h>

#include "capture_filter.h"
#include "ethercord/bytes.h"
#include "ethercord/capture.h"
#include "ethercord/clock.h"

// Tuning constants.
enum {
    RING_CAP = 4 * 1024 * 1024, // of each direction
    EMPTIED_EVERY_MS = 2,       // while frames come
    IDLE_MS = 10,               // … and while none do
    TURN_MAX = 1024 * 1024,     // bytes at a time: main has handshakes to do
    UNSENT_MAX = 1024 * 1024,   // bytes that wait for the asker
    CHUNK_CAP = 256 * 1024,     // of one write
    COUNTS_LEN = 4 * 8
};
_Static_assert(CHUNK_CAP >= (int)CAPTURE_MESSAGE_MAX && UNSENT_MAX + TURN_MAX + CHUNK_CAP <= (int)CONTROL_UNSENT_MAX,
               "room for what is said");
// A frame of the other thread that is older than those in hand may still be on its way.
#define SETTLE_NS NS_PER_MS

// Of one direction.
struct side {
    struct capture *capture;
    struct capture_sink *sink;
    uint64_t removed; // see capture_remove()
    size_t len;       // of the message in hand; 0 = none
    uint64_t n_told;  // of lost ones
    uint8_t message[CAPTURE_MESSAGE_MAX];
};

struct session {
    struct control_client *client; // NULL = gone
    struct capture_filter filter;
    struct side sides[2]; // CAPTURE_IN: of rx; CAPTURE_OUT: of tx
    uv_timer_t timer;
    size_t chunk_len;
    uint8_t chunk[CHUNK_CAP];
};

/* ---- the end ---- */

static void free_session(struct session *session)
{
    for (int i = 0; i < 2; i++)
        if (session->sides[i].sink) {
            ring_deinit(&session->sides[i].sink->ring); // wipes: frames are nobody else's business
            free(session->sides[i].sink);
        }
    free(session);
}

static void on_closed(uv_handle_t *timer)
{
    free_session(timer->data);
}

static void try_to_end(struct session *session)
{
    for (int i = 0; i < 2; i++)
        if (!capture_is_released(session->sides[i].capture, session->sides[i].removed))
            return;
    uv_close((uv_handle_t *)&session->timer, on_closed);
}

static void on_leaving(uv_timer_t *timer)
{
    try_to_end(timer->data);
}

static void on_gone(void *user)
{
    struct session *session = user;

    session->client = NULL;
    for (int i = 0; i < 2; i++)
        session->sides[i].removed = capture_remove(session->sides[i].capture, session->sides[i].sink);
    uv_timer_start(&session->timer, on_leaving, 1, 1);
    try_to_end(session);
}

/* ---- frames ---- */

static void flush(struct session *session)
{
    if (session->chunk_len > 0)
        control_say_bytes(session->client, session->chunk, session->chunk_len);
    session->chunk_len = 0;
}

static void say(struct session *session, const uint8_t *bytes, size_t len)
{
    if (session->chunk_len + len > CHUNK_CAP)
        flush(session);
    memcpy(session->chunk + session->chunk_len, bytes, len);
    session->chunk_len += len;
}

static uint64_t time_of(const struct side *side)
{
    struct capture_header header;

    ensure(capture_header_decode(&header, side->message));
    return header.wall_ns;
}

// The side with the oldest frame in hand; NULL = there is none.
static struct side *oldest(struct session *session)
{
    struct side *found = NULL;

    for (int i = 0; i < 2; i++) {
        struct side *side = &session->sides[i];
        if (side->len == 0)
            side->len = ring_get(&side->sink->ring, side->message, sizeof side->message);
        if (side->len > 0 && (!found || time_of(side) < time_of(found)))
            found = side;
    }
    return found;
}

// False when nothing was there.
static bool pass_on(struct session *session)
{
    uint64_t now_ns = now_wall_ns();
    size_t passed = 0;
    struct side *side;

    while (passed < TURN_MAX && control_unsent(session->client) <= UNSENT_MAX && (side = oldest(session))) {
        uint64_t at_ns = time_of(side);
        if (at_ns <= now_ns && at_ns + SETTLE_NS > now_ns) // not when the clock was set back
            return true;
        say(session, side->message, side->len);
        passed += side->len;
        side->len = 0;
    }
    return passed > 0 || session->sides[0].len > 0 || session->sides[1].len > 0;
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// How many frames there were and how many of them are lost, of each direction, when that has changed.
static void say_counts(struct session *session)
{
    const struct capture_header header = {
        .kind = CAPTURE_KIND_COUNTS, .len = COUNTS_LEN, .frame_len = COUNTS_LEN, .wall_ns = now_wall_ns()};
    uint8_t message[CAPTURE_HEADER_LEN + COUNTS_LEN];
    bool has_changed = false;

    capture_header_encode(&header, message);
    for (size_t i = 0; i < 2; i++) {
        struct side *side = &session->sides[i];
        uint64_t n_lost = counted(&side->sink->n_lost);
        store_le64(message + CAPTURE_HEADER_LEN + 16 * i, counted(&side->sink->n_matched));
        store_le64(message + CAPTURE_HEADER_LEN + 16 * i + 8, n_lost);
        has_changed = has_changed || n_lost != side->n_told;
        side->n_told = n_lost;
    }
    if (has_changed)
        say(session, message, sizeof message);
}

static void on_timer(uv_timer_t *timer)
{
    struct session *session = timer->data;
    bool is_busy = pass_on(session);

    if (control_unsent(session->client) <= UNSENT_MAX)
        say_counts(session);
    flush(session);
    uv_timer_start(timer, on_timer, is_busy ? EMPTIED_EVERY_MS : IDLE_MS, 0);
}

/* ---- the beginning ---- */

static json_t *describe(const struct capture_source *source, const struct session *session)
{
    json_t *verdicts = json_array();

    for (unsigned i = 0; i < CAPTURE_VERDICTS; i++)
        json_array_append_new(verdicts, json_string(capture_verdict_name(i)));
    return json_pack("{s:i, s:s, s:i, s:o}", "capture", 1, "tap", source->tap_name, "snaplen", (int)session->filter.snaplen, "verdicts",
                     verdicts);
}

static bool make_sink(struct session *session, enum capture_direction direction, struct capture *capture)
{
    struct side *side = &session->sides[direction];

    side->capture = capture;
    side->sink = calloc(1, sizeof *side->sink);
    if (!side->sink)
        return false;
    side->sink->filter = &session->filter;
    return ring_init(&side->sink->ring, RING_CAP) == 0;
}

// Both or none.
static bool add_sinks(struct session *session)
{
    struct side *in = &session->sides[CAPTURE_IN], *out = &session->sides[CAPTURE_OUT];

    if (!capture_add(out->capture, out->sink))
        return false;
    return capture_add(in->capture, in->sink); // there is a place: they always come and go together
}

static const char *begin(const struct capture_source *source, struct session *session, const char *arguments)
{
    const char *problem = capture_filter_parse(&session->filter, arguments);

    if (problem)
        return problem;
    if (!make_sink(session, CAPTURE_IN, &source->node->rx.capture) || !make_sink(session, CAPTURE_OUT, &source->node->tx.capture))
        return "capture: the node is out of memory";
    return add_sinks(session) ? NULL : "capture: four captures are running already; end one of them first";
}

void capture_request_start(const struct capture_source *source, struct control_client *client, const char *arguments)
{
    struct session *session = calloc(1, sizeof *session);
    const char *problem = session ? begin(source, session, arguments) : "capture: the node is out of memory";

    if (problem) {
        control_refuse(client, problem);
        control_end(client);
        if (session)
            free_session(session);
        return;
    }
    session->client = client;
    uv_timer_init(source->loop, &session->timer);
    session->timer.data = session;
    control_on_gone(client, on_gone, session);
    control_say_take(client, describe(source, session));
    uv_timer_start(&session->timer, on_timer, IDLE_MS, 0);
}
