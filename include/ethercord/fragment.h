// SPDX-License-Identifier: MIT
/*
 * fragment: cutting a frame that fits no datagram into equal pieces, and putting the pieces together again.
 *
 * The pieces of a frame go out under consecutive counters of one keypair, so a run is identified by (receiver index, counter - index):
 * no id on the wire. Pieces come from the peer, authenticated, but may be lost, doubled or late; memory and time are bounded by what the
 * caller says. When all places are taken the oldest unfinished frame makes room. Nothing here takes longer when more frames fit.
 */
#ifndef ETHERCORD_FRAGMENT_H
#define ETHERCORD_FRAGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/drop.h"
#include "ethercord/frame.h"

enum {
    FRAGMENTS_MAX = 64, // pieces of one frame (specification constant)
    // Tuning constants. Runs that are over and whose late pieces must not count again: as many counters as a replay window has, so that a
    // run is forgotten when pieces of it would be refused as too old anyway.
    FRAGMENT_ENDED = 8192,
    REASSEMBLY_MEMORY_MIN = 128 * 1024, // half of it for those; seven of the largest frames
    REASSEMBLY_MEMORY_MAX = 65535 * 1024,
    REASSEMBLY_MEMORY_DEFAULT = 1024 * 1024, // 618 frames at an MTU of 1500, 108 at 9000
    REASSEMBLY_TIMEOUT_MS_MIN = 10,
    REASSEMBLY_TIMEOUT_MS_MAX = 60000, // as long as IP waits for its own (RFC 8200 4.5)
    REASSEMBLY_TIMEOUT_MS_DEFAULT = 1000
};

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

struct reassembly_limits {
    size_t memory_bytes; // for all that is kept, REASSEMBLY_MEMORY_MIN or more
    size_t frame_len_max;
    uint64_t timeout_ns;
    uint64_t secret; // random: the peer chooses counters, and must not know which meet in the hash table
};
// For frames up to FRAME_MAX.
void reassembly_limits_default(struct reassembly_limits *limits);

// What is known of an unfinished frame; its bytes lie elsewhere.
struct fragment_run {
    uint64_t first_counter;
    uint64_t born_ns;
    uint64_t have; // bit set of pieces
    uint32_t receiver_index;
    uint32_t next;         // in its bucket, or of the places that are free
    uint32_t older, newer; // by birth
    uint16_t size;
    uint16_t last_len; // of the last piece, 0 = not here yet
    uint8_t count;
    uint8_t ecn; // congestion experienced by one was experienced by the frame (RFC 3168 5.3)
};
// Receiver index and first counter of a run that has ended: what its place in the table does not say of the counter.
struct fragment_ended {
    uint32_t receiver_index;
    uint32_t counter_high;
};
struct reassembly {
    struct reassembly_limits limits;
    struct fragment_run *runs;
    uint32_t *buckets; // first run of each
    struct fragment_ended *ended;
    uint8_t *bytes;
    size_t stride; // from one frame's bytes to the next one's
    uint32_t n_runs;
    unsigned hash_shift;
    uint64_t multiplier;                 // of the hash
    uint32_t free, oldest, newest, last; // places in `runs`; the last is that of the latest piece
    _Atomic uint32_t n_unfinished;       // any thread may read it (relaxed)
};

// Bytes that reassembly_init() wants, limits->memory_bytes at the most; 0 when they are not enough for a single frame.
size_t reassembly_needs(const struct reassembly_limits *limits);
// `memory` has reassembly_needs(limits) bytes, aligned as malloc does it, stays the caller's and has to outlive the reassembly. Nothing
// else is written to. Most of it is not touched before so many frames are unfinished.
void reassembly_init(struct reassembly *reassembly, const struct reassembly_limits *limits, void *memory);
// How many unfinished frames fit.
uint32_t reassembly_cap(const struct reassembly *reassembly);
// How many are unfinished now. Any thread.
uint32_t reassembly_unfinished(const struct reassembly *reassembly);
// Memory that `n` unfinished frames take up.
size_t reassembly_bytes(const struct reassembly *reassembly, uint32_t n);

// A frame that is whole: valid until the next call, and may be written to.
struct reassembled {
    uint8_t *bytes;
    size_t len;
    uint8_t ecn; // of its datagrams
};
// Takes one piece that passed records_decode(). True when it completes a frame, which is in `whole` then. `now_ns` never goes back.
// Frames given up on the way are counted in `counters`, one drop per frame: BAD_FRAGMENT (a piece that contradicts its run ends the whole
// run, as does a whole longer than FRAME_MAX; also index > counter), EXCEEDS_TAP_MTU (a whole that is or will be longer than
// frame_len_max: the far TAP's MTU is larger, and the frame would be dropped under this reason if it came in one piece),
// FRAGMENT_NO_ROOM, FRAGMENT_TIMEOUT. A doubled piece, and one that comes after its run has ended, is ignored and not counted.
bool reassembly_add(struct reassembly *reassembly, const struct fragment *fragment, uint64_t now_ns, struct counters *counters,
                    struct reassembled *whole) __attribute__((warn_unused_result));
// Gives up what is too old; counts. Returns the deadline of the oldest that is left, or 0.
uint64_t reassembly_expire(struct reassembly *reassembly, uint64_t now_ns, struct counters *counters);

#endif
