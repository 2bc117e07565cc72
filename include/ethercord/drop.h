// SPDX-License-Identifier: MIT
/*
 * drop: why a frame or datagram was not delivered, and all other counters.
 *
 * Every frame or datagram that goes nowhere is counted under exactly one reason. Each thread has a `struct counters` of its own
 * and is its only writer; any thread may read (relaxed atomics: values are exact, but not all of one instant).
 */
#ifndef ETHERCORD_DROP_H
#define ETHERCORD_DROP_H

#include <stdatomic.h>
#include <stdint.h>

// name, text in status, one-line meaning
#define DROP_REASONS(X)                                                                                                                    \
    /* frames from the TAP, on their way to the peer */                                                                                    \
    X(TAP_QUEUE_FULL, "tap_queue_full", "frame for which the TAP's queue had no room: more comes than the tunnel carries")                 \
    X(NO_SESSION, "no_session", "frame from the TAP while there is no session with the peer")                                              \
    X(NO_PEER, "no_peer", "frame from the TAP of a node without [Peer]")                                                                   \
    X(NO_ENDPOINT, "no_endpoint", "nothing is known about where the peer is")                                                              \
    X(FRAME_TOO_SHORT, "frame_too_short", "less than an Ethernet header")                                                                  \
    X(FRAME_TOO_LONG, "frame_too_long", "frame is longer than the largest that can be carried")                                            \
    X(BAD_OFFLOAD, "bad_offload", "the kernel left something undone in a frame that the frame has no place for")                           \
    X(LINK_LOCAL_CONTROL, "link_local_control", "PAUSE and MAC control frames never cross")                                                \
    X(SEND_FAILED, "send_failed", "the kernel refused the datagram (see the log)")                                                         \
    X(RING_FULL, "ring_full", "too many records were waiting for the sending thread")                                                      \
    X(COUNTER_EXHAUSTED, "counter_exhausted", "the key has reached its limit and no new one is there yet")                                 \
    X(EXCEEDS_FAR_TAP_MTU, "exceeds_far_tap_mtu", "frame from the TAP that is longer than the MTU of the peer's TAP allows")               \
    /* datagrams from the underlay */                                                                                                      \
    X(RECEIVE_QUEUE_FULL, "receive_queue_full", "datagram for which the UDP socket had no room: more comes than this machine opens")       \
    X(MALFORMED, "malformed", "datagram of no known type or with a wrong length")                                                          \
    X(UNKNOWN_INDEX, "unknown_index", "data message for a session that is not (or no longer) known")                                       \
    X(AUTH_FAILED, "auth_failed", "data message that does not open: forged, damaged or under another key")                                 \
    X(REPLAYED, "replayed", "data message that was seen before or is too old to tell")                                                     \
    X(KEY_EXPIRED, "key_expired", "data message under a key past its age limit")                                                           \
    X(BAD_RECORD, "bad_record", "data message whose records contradict themselves")                                                        \
    X(BAD_FRAGMENT, "bad_fragment", "fragment that contradicts others of its run")                                                         \
    X(FRAGMENT_TIMEOUT, "fragment_timeout", "frame of which some fragments never came")                                                    \
    X(FRAGMENT_NO_ROOM, "fragment_no_room", "unfinished frame given up to make room for another")                                          \
    X(ECN_NOT_CAPABLE, "ecn_not_capable", "congested underlay marked a datagram whose packet does not understand marks (RFC 6040)")        \
    X(EXCEEDS_TAP_MTU, "exceeds_tap_mtu", "frame from the peer that is longer than the TAP's MTU allows")                                  \
    X(TAP_DOWN, "tap_down", "frame from the peer while the TAP is down")                                                                   \
    X(TAP_WRITE_FAILED, "tap_write_failed", "the kernel refused the frame (see the log)")                                                  \
    X(DATAGRAM_TRUNCATED, "datagram_truncated", "datagram longer than any of ours")                                                        \
    /* handshake messages */                                                                                                               \
    X(BAD_MAC1, "bad_mac1", "handshake message that is not meant for this node's key")                                                     \
    X(BAD_MAC2, "bad_mac2", "handshake message without a valid cookie while under load")                                                   \
    X(HANDSHAKE_QUEUE_FULL, "handshake_queue_full", "too many handshake messages at once")                                                 \
    X(HANDSHAKE_LIMIT, "handshake_limit", "more handshake messages than one source, or all of them, may have looked into")                 \
    X(HANDSHAKE_FAILED, "handshake_failed", "handshake message that does not open: wrong key, wrong PSK or damaged")                       \
    X(HANDSHAKE_UNKNOWN_PEER, "handshake_unknown_peer", "initiation from a static key that is no configured peer")                         \
    X(HANDSHAKE_REPLAYED, "handshake_replayed", "initiation with a timestamp that is not newer than the last one")                         \
    X(HANDSHAKE_NO_CIPHER, "handshake_no_cipher", "no data cipher that both ends allow")                                                   \
    X(HANDSHAKE_UNEXPECTED, "handshake_unexpected", "response or cookie reply that nobody asked for")                                      \
    /* the shortcut */                                                                                                                     \
    X(SHORTCUT_SILENT, "shortcut_silent", "asked while the peer is down (Answer = peer-up)")                                               \
    X(SHORTCUT_LIMIT, "shortcut_limit", "more requests than the shortcut's limits")                                                        \
    X(SHORTCUT_BAD, "shortcut_bad", "packet for the shortcut's address that it must not answer (checksum, length, source)")                \
    X(SHORTCUT_UNWANTED, "shortcut_unwanted", "packet for the shortcut's address that is no echo request")                                 \
    X(SHORTCUT_FRAGMENT, "shortcut_fragment", "fragments of a packet for the shortcut that never got whole")

#define DROP_ENUM(name, text, meaning) DROP_##name,
enum drop_reason { DROP_REASONS(DROP_ENUM) DROP_COUNT };
#undef DROP_ENUM

// name, text in status
#define TRAFFIC_COUNTERS(X)                                                                                                                \
    X(TAP_READ_FRAMES, "tap_read_frames") /* frames read from the TAP */                                                                   \
    X(TAP_READ_BYTES, "tap_read_bytes")                                                                                                    \
    X(TAP_WRITTEN_FRAMES, "tap_written_frames") /* frames of the peer, of the shortcut and ICMP answers written to the TAP */              \
    X(TAP_WRITTEN_BYTES, "tap_written_bytes")                                                                                              \
    X(TX_FRAMES, "tx_frames") /* whole frames sent to the peer */                                                                          \
    X(TX_BYTES, "tx_bytes")   /* their bytes, Ethernet header included */                                                                  \
    X(RX_FRAMES, "rx_frames") /* whole frames of the peer that got through all checks */                                                   \
    X(RX_BYTES, "rx_bytes")                                                                                                                \
    X(TX_DATAGRAMS, "tx_datagrams")                                                                                                        \
    X(TX_DATAGRAM_BYTES, "tx_datagram_bytes") /* UDP payload */                                                                            \
    X(TX_COPIES, "tx_copies")                 /* datagrams sent a second time, to where the peer may be now */                             \
    X(RX_DATAGRAMS, "rx_datagrams")                                                                                                        \
    X(RX_MESSAGES, "rx_messages")                   /* data messages of the peer that were accepted */                                     \
    X(RX_MESSAGES_EXPECTED, "rx_messages_expected") /* counters up to the newest of those */                                               \
    X(RX_MESSAGES_LATE, "rx_messages_late")         /* of rx_messages: behind a later one */                                               \
    X(RX_MESSAGES_REPEATED, "rx_messages_repeated") /* of replayed: came again, and could still be told from those too old */              \
    X(RX_DATAGRAM_BYTES, "rx_datagram_bytes")                                                                                              \
    X(TX_TRAINS, "tx_trains") /* trains sent, in one call or not; a single datagram is one, too */                                         \
    X(RX_TRAINS, "rx_trains")                                                                                                              \
    X(TAP_READ_SUPER_FRAMES, "tap_read_super_frames")                                                                                      \
    X(TAP_WRITTEN_SUPER_FRAMES, "tap_written_super_frames")                                                                                \
    X(TX_SEGMENTS, "tx_segments")                   /* of tx_frames: those cut from super-frames */                                        \
    X(RX_SEGMENTS, "rx_segments")                   /* of rx_frames: those that came as segments */                                        \
    X(SEND_OFFLOAD_REFUSED, "send_offload_refused") /* trains that went out one by one because the kernel refused them */                  \
    X(TAP_OFFLOAD_REFUSED, "tap_offload_refused")   /* writes that had to be finished in software because the TAP refused them */          \
    X(TX_FRAGMENTED_FRAMES, "tx_fragmented_frames")                                                                                        \
    X(RX_REASSEMBLED_FRAMES, "rx_reassembled_frames")                                                                                      \
    X(SHORTCUT_TAKEN, "shortcut_taken")         /* frames that were for the shortcut and go nowhere else */                                \
    X(SHORTCUT_SENT, "shortcut_sent")           /* frames that the shortcut made */                                                        \
    X(SHORTCUT_CONFLICTS, "shortcut_conflicts") /* frames of somebody else who claims the shortcut's address */                            \
    X(TOO_BIG_SENT, "too_big_sent")             /* ICMP answers: the packet is too big for the far TAP */                                  \
    X(SEND_BLOCKED, "send_blocked")             /* times that sending had to wait for the underlay */                                      \
    X(ICMP_ERRORS, "icmp_errors")               /* ICMP errors taken from the UDP sockets; no datagram is lost by them */                  \
    X(PATH_PROBES, "path_probes")               /* probes of the path MTU sent */                                                          \
    X(BLACK_HOLES, "black_holes")               /* times that packets of the size in use turned out to vanish on their way */              \
    X(HANDSHAKES_STARTED, "handshakes_started") /* initiations sent */                                                                     \
    X(HANDSHAKES_DONE, "handshakes_done")       /* keypairs that came into use */                                                          \
    X(COOKIE_REPLIES, "cookie_replies")         /* sent, under load */                                                                     \
    X(COOKIES_TAKEN, "cookies_taken")           /* out of cookie replies to our own initiations */

#define TRAFFIC_ENUM(name, text) COUNT_##name,
enum traffic_counter { TRAFFIC_COUNTERS(TRAFFIC_ENUM) COUNT_COUNT };
#undef TRAFFIC_ENUM

struct counters {
    _Atomic uint64_t drops[DROP_COUNT];
    _Atomic uint64_t traffic[COUNT_COUNT];
};

// Only the owning thread adds, so a load and a store do; no locked instruction.
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void count_drop(struct counters *counters, enum drop_reason reason)
{
    count_add(&counters->drops[reason], 1);
}

static inline void count_traffic(struct counters *counters, enum traffic_counter counter, uint64_t n)
{
    count_add(&counters->traffic[counter], n);
}

static inline uint64_t traffic_counted(const struct counters *counters, enum traffic_counter counter)
{
    return atomic_load_explicit(&counters->traffic[counter], memory_order_relaxed);
}

// Never NULL for a valid value; an invalid one is our bug and aborts.
const char *drop_name(enum drop_reason reason);
const char *drop_meaning(enum drop_reason reason);
const char *traffic_name(enum traffic_counter counter);
// sum += from, counter by counter. `sum` belongs to the caller; `from` may belong to another thread.
void counters_sum(struct counters *sum, const struct counters *from);

#endif
