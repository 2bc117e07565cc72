// SPDX-License-Identifier: MIT
/*
 * rejoin: merging the segments of one run back into the super-frame that they were cut from, as they arrive.
 *
 * The segments of a run lie under consecutive counters of one keypair, so a run is known by (receiver index, counter - index). A segment
 * joins the open run when it is the next one of it: the next index, the next sequence number, headers that differ in nothing else. A gap,
 * a segment out of its turn, or one shorter than those before it ends the run; what was joined so far is a super-frame of its own, and a
 * run that began with a gap is one too. So a lost datagram costs its segment and no other.
 *
 * A super-frame is sent as several runs where one train does not take it. Each ends at a multiple of gso_size: there the next run goes on,
 * under the next counter, with the next sequence number and IP ID.
 *
 * Segments come from the peer, authenticated but not trusted: each is parsed anew, and what goes to the kernel is built from what was
 * parsed (see docs/protocol.md#records).
 */
#ifndef ETHERCORD_REJOIN_H
#define ETHERCORD_REJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/offload.h"
#include "ethercord/packet.h"
#include "ethercord/split.h"

// One SEGMENT record that records_decode() let pass.
struct segment {
    uint32_t receiver_index;
    uint64_t counter;
    uint8_t index;
    uint8_t outer_ecn;
    uint16_t gso_size;
    uint16_t payload_len;
    uint8_t headers_len;
    const uint8_t *headers;
};

// Zeroed = no run is open. The payload itself lies where the caller has put it, piece behind piece.
struct run {
    bool is_open;
    bool is_complete; // no further segment of this run can join; the next run may, see below
    uint32_t receiver_index;
    uint64_t first_counter; // of index 0 of the last run that joined, whether that segment came or not
    uint8_t next_index;
    uint16_t n_segments; // joined
    uint8_t outer_ecn;
    uint16_t size; // payload of a segment that is not the last
    uint16_t gso_size;
    size_t payload_len; // of all that joined
    struct packet_view packet;
    uint8_t headers[SEGMENT_HEADERS_MAX]; // of the first that joined, with the flags of the last
};

enum rejoin_verdict {
    REJOIN_JOINED, // its payload belongs behind what is there
    REJOIN_FULL,   // the same, but there is no room: take the whole pieces first (rejoin_take_whole()), then add it again
    REJOIN_BEGINS, // it is none of the open run (finish that first, then rejoin_begin())
    REJOIN_BAD     // it contradicts the open run that it belongs to: to be dropped
};
enum rejoin_verdict rejoin_add(struct run *run, const struct segment *segment);
// Begins a new run. False when the headers are not those of a TCP or UDP packet of that length: to be dropped.
bool rejoin_begin(struct run *run, const struct segment *segment) __attribute__((warn_unused_result));
// False when nothing can join the open run any more.
bool rejoin_may_go_on(const struct run *run);

// What is ready to be written: a super-frame, or a plain frame when it is no longer than gso_size. Its payload is the first payload_len
// bytes.
struct rejoined {
    struct packet_view packet;
    struct offload offload; // with a partial L4 checksum
    size_t payload_len;
    uint16_t gso_size;
    uint16_t n_segments;
    uint8_t outer_ecn;
    uint8_t headers[SEGMENT_HEADERS_MAX];
};
// Ends the run.
void rejoin_finish(struct run *run, struct rejoined *whole);
// Takes as many pieces of gso_size as are whole; what is left stays open, and its payload is now to begin where that of the whole began.
// False when there is no whole piece.
bool rejoin_take_whole(struct run *run, struct rejoined *whole) __attribute__((warn_unused_result));

#endif
