// SPDX-License-Identifier: MIT
/*
 * sim_tap: the twin of the TAP, and the books on numbered frames: what comes out of one TAP went into the other, byte for byte, once,
 * and in order unless the network reordered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/frame.h"
#include "sim.h"

// A numbered frame: addresses, an EtherType for experiments, sender, number, length, then bytes that follow from these.
enum { ETHER_TYPE_EXPERIMENT = 0x88b5, AT_SENDER = 14, AT_NUMBER = 15, AT_LEN = 23, AT_FILL = 25 };
_Static_assert((int)AT_FILL < (int)SIM_FRAME_MIN, "the shortest frame has them all");

static void make_frame(uint8_t *frame, int from, uint64_t number, size_t len)
{
    uint8_t header[] = {2, 0, 0, 0, 0, (uint8_t)sim_other(from), 2, 0, 0, 0, 0, (uint8_t)from};
    uint64_t fill = number * 31 + (uint64_t)from * 17 + len;

    memcpy(frame, header, sizeof header);
    store_be16(frame + 12, ETHER_TYPE_EXPERIMENT);
    frame[AT_SENDER] = (uint8_t)from;
    store_be64(frame + AT_NUMBER, number);
    store_be16(frame + AT_LEN, (uint16_t)len);
    for (size_t i = AT_FILL; i < len; i += sizeof fill) {
        fill = fill * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t mixed = fill ^ fill >> 32;
        memcpy(frame + i, &mixed, len - i < sizeof mixed ? len - i : sizeof mixed);
    }
}

void sim_frames_push(struct sim_frames *frames, const uint8_t *bytes, size_t len, const struct offload *offload)
{
    if (frames->n == frames->cap) {
        frames->cap = frames->cap ? 2 * frames->cap : 64;
        frames->at = realloc(frames->at, frames->cap * sizeof *frames->at);
    }
    uint8_t *copy = malloc(len + 1);
    if (!frames->at || !copy)
        abort();
    memcpy(copy, bytes, len);
    frames->at[frames->n++] = (struct sim_frame){.len = len, .bytes = copy, .offload = *offload};
}

void sim_frames_free(struct sim_frames *frames)
{
    for (size_t i = frames->first; i < frames->n; i++)
        free(frames->at[i].bytes);
    free(frames->at);
    *frames = (struct sim_frames){0};
}

/* ---- what tests do ---- */

void sim_send_raw(struct sim *sim, int from, const uint8_t *bytes, size_t len)
{
    sim_send_undone(sim, from, bytes, len, &(struct offload){.kind = SUPER_NONE});
}

void sim_send_undone(struct sim *sim, int from, const uint8_t *bytes, size_t len, const struct offload *offload)
{
    struct sim_node *node = &sim->nodes[from];

    sim_frames_push(&node->to_read, bytes, len, offload);
    if (node->node && node->wait == TX_WAIT_TAP)
        sim_wake(node, NODE_TX);
}

void sim_send_frame(struct sim *sim, int from, size_t len)
{
    struct sim_traffic *traffic = &sim->traffic[from];
    uint8_t frame[FRAME_MAX + 16];

    sim_assert(sim, len >= SIM_FRAME_MIN && len <= sizeof frame);
    if (traffic->n_sent == traffic->cap) {
        traffic->cap = traffic->cap ? 2 * traffic->cap : 256;
        traffic->sent = realloc(traffic->sent, traffic->cap * sizeof *traffic->sent);
        if (!traffic->sent)
            abort();
    }
    make_frame(frame, from, traffic->n_sent, len);
    traffic->sent[traffic->n_sent++] = (struct sim_sent){.len = len};
    sim_send_raw(sim, from, frame, len);
}

void sim_send_frames(struct sim *sim, int from, size_t n, size_t len)
{
    while (n-- > 0)
        sim_send_frame(sim, from, len);
}

void sim_flow(struct sim *sim, int from, uint64_t every_ns, size_t min_len, size_t max_len)
{
    sim->nodes[from].flow = (struct sim_flow){.every_ns = every_ns, .next_ns = sim->now_ns, .min_len = min_len, .max_len = max_len};
}

void sim_feed_flow(struct sim_node *node)
{
    struct sim_flow *flow = &node->flow;

    while (flow->every_ns && flow->next_ns <= node->sim->now_ns) {
        sim_send_frame(node->sim, node->id, flow->min_len + sim_below(node->sim, flow->max_len - flow->min_len + 1));
        flow->next_ns += flow->every_ns;
    }
}

size_t sim_n_sent(const struct sim *sim, int from)
{
    return sim->traffic[from].n_sent;
}

size_t sim_n_received(const struct sim *sim, int from)
{
    return sim->traffic[from].n_received;
}

/* ---- the TAP ---- */

static bool is_numbered(const struct tap_frame *frame)
{
    return frame->len >= SIM_FRAME_MIN && load_be16(frame->bytes + 12) == ETHER_TYPE_EXPERIMENT;
}

static void receive(struct sim *sim, int at, const struct tap_frame *frame)
{
    int from = frame->bytes[AT_SENDER];
    uint64_t number = load_be64(frame->bytes + AT_NUMBER);
    uint8_t expected[FRAME_MAX + 16];

    sim_assert(sim, from == sim_other(at)); // not back to where it came from
    struct sim_traffic *traffic = &sim->traffic[from];
    sim_assert(sim, number < traffic->n_sent);
    sim_assert(sim, frame->len == traffic->sent[number].len);
    make_frame(expected, from, number, frame->len);
    sim_assert(sim, memcmp(expected, frame->bytes, frame->len) == 0);
    sim_assert(sim, !traffic->sent[number].is_received);
    traffic->sent[number].is_received = true;
    traffic->n_received++;
    if (number < traffic->next) {
        sim_assert(sim, sim->has_reordered);
        traffic->n_late++;
    } else {
        traffic->next = number + 1;
    }
}

static int read_batch(struct tap *tap, uint8_t *room, size_t room_len, struct tap_read *reads, int n)
{
    struct sim_node *node = tap->impl;
    struct sim_frames *queue = &node->to_read;
    size_t at = 0;
    int taken = 0;

    for (; taken < n && queue->first < queue->n && room_len - at >= TAP_FRAME_MAX + TAP_TAILROOM; taken++) {
        struct sim_frame *frame = &queue->at[queue->first++];
        sim_assert(node->sim, frame->len <= TAP_FRAME_MAX);
        node->books.n_read += frame->offload.kind == SUPER_NONE;
        node->books.n_super_read += frame->offload.kind != SUPER_NONE;
        reads[taken] = (struct tap_read){.bytes = room + at, .len = frame->len, .offload = frame->offload};
        memcpy(reads[taken].bytes, frame->bytes, frame->len);
        at += frame->len + TAP_TAILROOM;
        free(frame->bytes);
    }
    if (taken > 0)
        node->read_ns = node->sim->now_ns;
    if (queue->first == queue->n)
        queue->first = queue->n = 0;
    return taken;
}

// What the kernel looks at before it takes a frame with something undone.
static bool is_takeable(const struct sim_node *node, const struct offload *offload, size_t len)
{
    if (!offload->is_partial)
        return offload->kind == SUPER_NONE;
    enum tap_offload needed = offload->kind == SUPER_NONE ? TAP_OFFLOAD_CHECKSUM : TAP_OFFLOAD_FULL;
    return node->tap_offload >= needed && offload_is_valid(offload, len);
}

static int write_one(struct sim_node *node, const struct tap_frame *frame)
{
    static uint8_t bytes[TAP_FRAME_MAX];
    size_t len = frame->headers_len + frame->len;

    sim_assert(node->sim, len <= sizeof bytes);
    if (node->is_tap_down)
        return -EIO;
    if (len < ETHER_HEADER_LEN || !is_takeable(node, &frame->offload, len))
        return -EINVAL;
    if (frame->headers_len)
        memcpy(bytes, frame->headers, frame->headers_len);
    memcpy(bytes + frame->headers_len, frame->bytes, frame->len);
    const struct tap_frame whole = {.bytes = bytes, .len = len};
    if (is_numbered(&whole))
        receive(node->sim, node->id, &whole);
    else
        sim_frames_push(&node->written, bytes, len, &frame->offload);
    return 0;
}

static int write_batch(struct tap *tap, const struct tap_frame *frames, int n)
{
    for (int i = 0; i < n; i++) {
        int error = write_one(tap->impl, &frames[i]);
        if (error)
            return i > 0 ? i : error;
    }
    return n;
}

static int set_carrier(struct tap *tap, bool is_on)
{
    struct sim_node *node = tap->impl;

    node->has_carrier = is_on;
    return 0;
}

void sim_tap_open(struct sim_node *node)
{
    static const struct tap_ops ops = {read_batch, write_batch, set_carrier};

    node->tap = (struct tap){.ops = &ops,
                             .fd = -1,
                             .impl = node,
                             .offload = node->tap_offload,
                             .has_udp_offload = node->tap_offload == TAP_OFFLOAD_FULL,
                             .has_header = true};
}
