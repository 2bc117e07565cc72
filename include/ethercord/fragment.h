// SPDX-License-Identifier: MIT
/*
 * fragment: cutting a frame that fits no datagram into equal pieces, and putting the pieces together again.
 *
 * The pieces of a frame go out under consecutive counters of one keypair, so a run is identified by (receiver index, counter - index):
 * no id on the wire. Pieces come from the peer, authenticated, but may be lost, doubled or late; memory and time are bounded:
 * FRAGMENT_RUNS unfinished frames of at most FRAME_MAX bytes, FRAGMENT_TIMEOUT_NS old at most. When all places are taken the oldest
 * unfinished frame makes room.
 */
#ifndef ETHERCORD_FRAGMENT_H
#define ETHERCORD_FRAGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/drop.h"
#include "ethercord/frame.h"

enum {
    FRAGMENTS_MAX = 64, // pieces of one frame (specification constant)
    // tuning constants
    FRAGMENT_RUNS = 32,  // unfinished frames at a time
    FRAGMENT_ENDED = 128 // runs that are over and whose late pieces must not count again
};
#define FRAGMENT_TIMEOUT_NS (UINT64_C(1) * 1000000000)

// How to cut: `count` pieces, all `size` bytes but the last, which has 1 to `size`. As equal as can be: size = ceil(len / count).
struct fragment_plan {
    uint16_t size;
    uint8_t count;
};
// For a frame of `len` bytes and room for `room` bytes of body in a datagram. A frame that fits gives one piece. False when it would take
// more than FRAGMENTS_MAX pieces, for a frame that nobody could put together (empty, or longer than FRAME_MAX), and without room.
bool fragment_plan(struct fragment_plan *plan, size_t len, size_t room) __attribute__((warn_unused_result));

struct fragment {
    uint32_t receiver_index;
    uint64_t counter; // of the data message that carried it
    uint16_t size;
    uint8_t index;
    uint8_t count;
    uint8_t ecn; // of the datagram that carried it
    const uint8_t *body;
    uint16_t len;
};

struct fragment_run {
    bool is_used;
    uint32_t receiver_index;
    uint64_t first_counter;
    uint64_t born_ns;
    uint64_t have; // bit set of pieces
    uint16_t size;
    uint8_t count;
    uint16_t last_len; // of the last piece, 0 = not here yet
    uint8_t ecn;       // congestion experienced by one was experienced by the frame (RFC 3168 5.3)
    uint8_t bytes[FRAME_MAX];
};
struct fragment_run_id {
    uint32_t receiver_index;
    uint64_t first_counter;
};
// Zeroed = ready. Large (some 300 KB): not on a stack.
struct reassembly {
    struct fragment_run runs[FRAGMENT_RUNS];
    struct fragment_run_id ended[FRAGMENT_ENDED]; // the last runs that were completed or given up, as a ring
    uint64_t n_ended;                             // ever
};

// A frame that is whole: valid until the next call, and may be written to.
struct reassembled {
    uint8_t *bytes;
    size_t len;
    uint8_t ecn; // of its datagrams
};
// Takes one piece that passed records_decode(). True when it completes a frame, which is in `whole` then. Frames given up on the way are
// counted in `counters`, one drop per frame: BAD_FRAGMENT (a piece that contradicts its run ends the whole run, as does a whole longer than
// FRAME_MAX; also index > counter), FRAGMENT_NO_ROOM, FRAGMENT_TIMEOUT. A doubled piece, and one that comes after its run has ended, is
// ignored and not counted.
bool reassembly_add(struct reassembly *reassembly, const struct fragment *fragment, uint64_t now_ns, struct counters *counters,
                    struct reassembled *whole) __attribute__((warn_unused_result));
// Gives up what is too old; counts. Returns the deadline of the oldest that is left, or 0.
uint64_t reassembly_expire(struct reassembly *reassembly, uint64_t now_ns, struct counters *counters);

#endif
