// SPDX-License-Identifier: MIT
/*
 * capture: copies of inner frames, with what became of them, for an operator who looks (docs/capture.md). Each of tx and rx has one, with
 * places for several sinks: a sink is one captor's filter, and a ring to main.
 *
 * While nobody looks a frame costs one relaxed load. While somebody does, a frame that his filter refuses is not copied; one for which his
 * ring has no room is counted there as lost to him. Frames never wait for it.
 *
 * Main owns the sinks. The thread says while it looks at them (`holds` is odd), so that main knows when it does not any more.
 */
#ifndef ETHERCORD_CAPTURE_H
#define ETHERCORD_CAPTURE_H

#include <pcap/pcap.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/drop.h"
#include "ethercord/ring.h"
#include "ethercord/split.h"

// Of what main, and then the command, get (specification constants; docs/control.md#capture).
enum { CAPTURE_HEADER_LEN = 24, CAPTURE_FRAME_MAX = SUPER_FRAME_MAX, CAPTURE_MESSAGE_MAX = CAPTURE_HEADER_LEN + CAPTURE_FRAME_MAX };
enum capture_kind { CAPTURE_KIND_FRAME = 1, CAPTURE_KIND_COUNTS };
// Tuning constants.
enum {
    CAPTURE_SINKS_MAX = 4,
    CAPTURE_PROGRAM_MAX = 1024, // instructions of a filter
    CAPTURE_REACH = 512         // bytes that nearly all filters look at, at the most
};

enum capture_direction { CAPTURE_IN, CAPTURE_OUT }; // from the peer to the TAP; from the TAP to the peer
enum capture_choice { CAPTURE_ALL, CAPTURE_ONLY_IN, CAPTURE_ONLY_OUT, CAPTURE_ONLY_DROPPED, CAPTURE_CHOICES };

// What became of a frame: a drop reason, or one of these.
enum { CAPTURE_PASSED = DROP_COUNT, CAPTURE_SHORTCUT, CAPTURE_VERDICTS };
_Static_assert((int)CAPTURE_VERDICTS <= UINT8_MAX, "a verdict is one byte");

struct capture_frame {
    enum capture_direction direction;
    bool is_own;            // made by this node: an answer of the shortcut, an ICMP error
    const uint8_t *headers; // the beginning of the frame, when it does not lie in front of `bytes`
    size_t headers_len;     // 0 = none
    const uint8_t *bytes;
    size_t len;
};

struct capture_filter {
    enum capture_choice choice;
    uint32_t snaplen;
    bool is_deep;                                 // it may look at more than the first CAPTURE_REACH bytes
    uint16_t n_instructions;                      // 0 = every frame
    struct bpf_insn program[CAPTURE_PROGRAM_MAX]; // looked at by whoever made it: see daemon/capture_filter.h
};

struct capture_sink {
    const struct capture_filter *filter;
    struct ring ring;
    _Atomic uint64_t n_matched, n_lost; // frames; the lost ones are among the matched ones
    size_t staged_len;                  // of the frame in hand; 0 = not wanted
    uint8_t staged[CAPTURE_MESSAGE_MAX];
};

// Zeroed = nobody looks.
struct capture {
    _Atomic unsigned n_sinks;
    _Atomic(struct capture_sink *) sinks[CAPTURE_SINKS_MAX];
    _Atomic uint64_t holds;
    bool is_holding; // the thread's own
};

// Main. False when there is no place.
bool capture_add(struct capture *capture, struct capture_sink *sink) __attribute__((warn_unused_result));
// Returns what capture_is_released() wants to know.
uint64_t capture_remove(struct capture *capture, const struct capture_sink *sink);
// Whether the thread does not look at what was removed any more. It soon doesn't.
bool capture_is_released(const struct capture *capture, uint64_t removed);

// The owning thread. capture may be NULL: nobody looks.
static inline bool capture_is_on(const struct capture *capture)
{
    return capture && atomic_load_explicit(&capture->n_sinks, memory_order_relaxed) > 0;
}
// A frame as it is now, which will have its verdict later: call capture_end() if it returns true. One at a time.
bool capture_begin(struct capture *capture, const struct capture_frame *frame) __attribute__((warn_unused_result));
// Of that frame.
void capture_end(struct capture *capture, unsigned verdict);
// Both at once.
void capture_whole(struct capture *capture, const struct capture_frame *frame, unsigned verdict);

// The verdict on a frame that was the shortcut's: DROP_COUNT = it was not refused.
static inline unsigned capture_of_shortcut(enum drop_reason refusal)
{
    return refusal == DROP_COUNT ? (unsigned)CAPTURE_SHORTCUT : (unsigned)refusal;
}

// In front of each message on the ring and on the control socket.
struct capture_header {
    uint8_t kind; // enum capture_kind
    uint8_t direction;
    uint8_t verdict;
    bool is_own;
    uint32_t len;       // bytes that follow
    uint32_t frame_len; // those of the whole frame
    uint64_t wall_ns;
};
void capture_header_encode(const struct capture_header *header, uint8_t out[static CAPTURE_HEADER_LEN]);
// False for what no version of ours has said.
bool capture_header_decode(struct capture_header *header, const uint8_t bytes[static CAPTURE_HEADER_LEN])
    __attribute__((warn_unused_result));
// "passed", "shortcut", or the name of the drop reason.
const char *capture_verdict_name(unsigned verdict);

#endif
