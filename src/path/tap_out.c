// SPDX-License-Identifier: MIT
/*
 * tap_out: see the header. A frame that the kernel refuses never holds up the ones behind it.
 */
#include "ethercord/tap_out.h"

#include <errno.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/frame.h"
#include "ethercord/split.h"

enum {
    SMALL_FRAME_LEN = 256, // summing so little costs less than it can spoil
    STRIKES_MAX = 3,
    DHCP_SERVER = 67,
    DHCP_CLIENT = 68,
    DHCP6_CLIENT = 546,
    DHCP6_SERVER = 547
};

void tap_out_init(struct tap_out *out, struct tap *tap, struct counters *counters)
{
    *out = (struct tap_out){.tap = tap, .counters = counters, .level = tap->offload, .has_udp_offload = tap->has_udp_offload};
}

static void count_written(const struct tap_out *out, uint32_t n_frames, size_t n_bytes)
{
    count_traffic(out->counters, COUNT_TAP_WRITTEN_FRAMES, n_frames);
    count_traffic(out->counters, COUNT_TAP_WRITTEN_BYTES, n_bytes);
}

static void count_refused(struct tap_out *out, uint32_t n_frames, int error, uint64_t now_ns)
{
    if (error == -EIO) { // the TAP is down: a state, not an error
        count_add(&out->counters->drops[DROP_TAP_DOWN], n_frames);
        return;
    }
    count_add(&out->counters->drops[DROP_TAP_WRITE_FAILED], n_frames);
    if (error == -EBADFD) // it was deleted: tx finds that out too, and says so
        return;
    log_tell(&(struct log_about){LOG_EVENT_TAP_REFUSES, .limit = &out->refused, .now_ns = now_ns}, "the TAP refuses frames: %s",
             strerror(-error));
}

static int write_one(const struct tap_out *out, const struct tap_frame *frame)
{
    int written = out->tap->ops->write_batch(out->tap, frame, 1);

    return written == 1 ? 0 : written;
}

void tap_out_write(struct tap_out *out, const uint8_t *frame, size_t len, uint64_t now_ns)
{
    int error = write_one(out, &(struct tap_frame){.bytes = frame, .len = len});

    if (error)
        count_refused(out, 1, error, now_ns);
    else
        count_written(out, 1, len);
}

/* ---- undone work ---- */

static enum tap_offload level_of(const struct tap_out *out)
{
    return atomic_load_explicit(&out->level, memory_order_relaxed);
}

static bool is_dhcp(const struct tap_packet *packet)
{
    const uint8_t *udp = packet->headers + packet->packet.l4_offset;
    uint16_t from = load_be16(udp), to = load_be16(udp + 2);

    return packet->packet.protocol == IPPROTO_UDP && (to == DHCP_SERVER || to == DHCP_CLIENT || to == DHCP6_SERVER || to == DHCP6_CLIENT ||
                                                      from == DHCP_SERVER || from == DHCP6_SERVER);
}

static size_t len_of(const struct tap_packet *packet)
{
    return packet->packet.payload_offset + packet->payload_len + packet->trailer_len;
}

static bool is_taken_undone(const struct tap_out *out, const struct tap_packet *packet)
{
    switch (packet->offload.kind) {
    case SUPER_NONE:
        // The kernel would sum what lies behind the packet, too.
        return level_of(out) >= TAP_OFFLOAD_CHECKSUM && packet->trailer_len == 0 && len_of(packet) >= SMALL_FRAME_LEN && !is_dhcp(packet);
    case SUPER_UDP:
        return level_of(out) == TAP_OFFLOAD_FULL && out->has_udp_offload && !is_dhcp(packet);
    case SUPER_TCP4:
    case SUPER_TCP6:
        return level_of(out) == TAP_OFFLOAD_FULL;
    case SUPER_UNKNOWN:
        break;
    }
    return false;
}

// Some kernels refuse what they offered, or a part of it; that is not known before. What is in hand is finished in software.
static void note_refused(struct tap_out *out, const struct offload *offload)
{
    count_traffic(out->counters, COUNT_TAP_OFFLOAD_REFUSED, 1);
    if (++out->strikes[offload->kind] < STRIKES_MAX)
        return;
    if (offload->kind == SUPER_UDP) {
        out->has_udp_offload = false;
        log_tell(&(struct log_about){.event = LOG_EVENT_OFFLOAD_OFF},
                 "TAP offload of UDP super-frames is off: the kernel refuses them; they are cut here, which is slower");
        return;
    }
    enum tap_offload level = offload->kind == SUPER_NONE ? TAP_OFFLOAD_OFF : TAP_OFFLOAD_CHECKSUM;
    atomic_store_explicit(&out->level, level, memory_order_relaxed);
    log_tell(&(struct log_about){.event = LOG_EVENT_OFFLOAD_OFF},
             "TAP offload is down to '%s': the kernel refuses to take more; the rest is done here, which is slower",
             tap_offload_name(level));
}

static struct tap_frame frame_of(const struct tap_packet *packet)
{
    return (struct tap_frame){
        .headers = packet->headers,
        .headers_len = packet->packet.payload_offset,
        .bytes = packet->payload,
        .len = packet->payload_len + packet->trailer_len,
    };
}

// -EINVAL: the kernel refuses it undone.
static int write_undone(struct tap_out *out, const struct tap_packet *packet)
{
    struct tap_frame frame = frame_of(packet);

    frame.offload = packet->offload;
    int error = write_one(out, &frame);
    if (error == -EINVAL)
        note_refused(out, &packet->offload);
    else if (!error)
        out->strikes[packet->offload.kind] = 0;
    return error;
}

// A frame, no super-frame.
static int write_plain(struct tap_out *out, const struct tap_packet *packet)
{
    int error = -EINVAL;

    if (is_taken_undone(out, packet))
        error = write_undone(out, packet);
    if (error != -EINVAL)
        return error;
    if (packet->is_piece)
        split_complete(&packet->packet, packet->headers, packet->payload, packet->payload_len);
    else
        packet_complete(&packet->packet, packet->headers, packet->payload, packet->payload_len);
    const struct tap_frame frame = frame_of(packet);
    return write_one(out, &frame);
}

// A super-frame as the kernel would cut it. Returns how many of its frames failed, the first of them with *error: all of them when no piece
// got out (it may have come in more frames than it has pieces, or in fewer).
static uint32_t write_cut(struct tap_out *out, const struct tap_packet *packet, int *error)
{
    const struct super_frame super = {
        .packet = packet->packet,
        .headers = packet->headers,
        .payload = packet->payload,
        .payload_len = packet->payload_len,
        .gso_size = packet->offload.gso_size,
    };
    uint8_t headers[SEGMENT_HEADERS_MAX];
    struct tap_packet piece = {.packet = packet->packet, .headers = headers, .offload = packet_partial(&packet->packet), .is_piece = true};
    uint32_t n_failed = 0, n_pieces = 0;

    for (size_t at = 0; at < super.payload_len; at += super.gso_size, n_pieces++) {
        size_t left = super.payload_len - at;
        piece.payload = super.payload + at;
        piece.payload_len = left < super.gso_size ? left : super.gso_size;
        split_headers(&super, at, piece.payload_len, headers);
        int piece_error = write_plain(out, &piece);
        if (piece_error && n_failed++ == 0)
            *error = piece_error;
    }
    return n_failed == n_pieces || n_failed > packet->n_frames ? packet->n_frames : n_failed;
}

static void write_super(struct tap_out *out, const struct tap_packet *packet, uint64_t now_ns)
{
    int error = -EINVAL;
    uint32_t n_failed = packet->n_frames;

    if (is_taken_undone(out, packet))
        error = write_undone(out, packet);
    if (!error) {
        count_traffic(out->counters, COUNT_TAP_WRITTEN_SUPER_FRAMES, 1);
        n_failed = 0;
    } else if (error == -EINVAL) {
        n_failed = write_cut(out, packet, &error);
    }
    if (n_failed > 0)
        count_refused(out, n_failed, error, now_ns);
    if (n_failed < packet->n_frames)
        count_written(out, packet->n_frames - n_failed, len_of(packet));
}

void tap_out_write_packet(struct tap_out *out, const struct tap_packet *packet, uint64_t now_ns)
{
    if (packet->offload.kind != SUPER_NONE) {
        write_super(out, packet, now_ns);
        return;
    }
    int error = write_plain(out, packet);
    if (error)
        count_refused(out, packet->n_frames, error, now_ns);
    else
        count_written(out, packet->n_frames, len_of(packet));
}

void tap_out_shortcut(struct tap_out *out, struct shortcut *shortcut, uint8_t *room, uint64_t now_ns)
{
    size_t len;

    while ((len = shortcut_next(shortcut, room, FRAME_MAX)) > 0)
        tap_out_write(out, room, len, now_ns);
}
