// SPDX-License-Identifier: MIT
/*
 * shortcut: the local answerer that makes the tunnel endpoint pingable: ARP, ICMP echo, NDP, ICMPv6 echo, MLDv2, for its own addresses
 * and its own MAC address. What is not its own it leaves alone, byte for byte.
 *
 * Deterministic: frames and times come in, replies are taken out one by one with shortcut_next(). There are two instances per node: the tx
 * thread's sees the frames from the TAP, the rx thread's those from the peer. Each answers to the side that asked. No heap.
 *
 * It is not a reflector (docs/shortcut.md): no answer to or from group, zero or own addresses, none to ICMP errors, one reply per
 * request and never larger than it, NDP only with hop limit 255, limits per source and in all.
 */
#ifndef ETHERCORD_SHORTCUT_H
#define ETHERCORD_SHORTCUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/drop.h"
#include "ethercord/frame.h"

enum {
    SHORTCUT_ADDRESSES_MAX = 8,
    SHORTCUT_IP_MAX = 65535,   // largest reassembled IP packet
    SHORTCUT_REASSEMBLIES = 2, // packets being put together at a time, per instance
    SHORTCUT_SOURCES = 256     // table of sources under limit, per instance
};

enum shortcut_side { SHORTCUT_TAP, SHORTCUT_PEER };
enum shortcut_answer { SHORTCUT_ANSWER_ALWAYS, SHORTCUT_ANSWER_PEER_UP };

struct shortcut_config {
    struct cidr addresses[SHORTCUT_ADDRESSES_MAX];
    size_t n_addresses; // 0 = no shortcut: every frame passes
    struct mac_address mac;
    enum shortcut_answer answer;
    bool has_tap_mac;           // the TAP is in no bridge: frames to the TAP's own MAC address are for us too (a NOARP interface
    struct mac_address tap_mac; // sends with its own MAC address as source and destination)
    uint16_t mtu;               // of the TAP: larger replies go out in IP fragments
};

// The part of it that may become another one while frames come and go.
struct shortcut_addresses {
    struct cidr addresses[SHORTCUT_ADDRESSES_MAX];
    size_t n_addresses;
    enum shortcut_answer answer;
};

struct shortcut; // one instance; see shortcut_size()

enum shortcut_verdict {
    SHORTCUT_PASS,  // not ours (or not only ours: a group frame that others must see too): goes its way
    SHORTCUT_TAKEN, // ours: goes nowhere else. Counted as COUNT_SHORTCUT_TAKEN, or as one drop reason if it was refused
};

// The caller allocates (start-up only) shortcut_size() zeroed bytes, 16-byte aligned.
size_t shortcut_size(void);
// `seed` salts the table of sources. `counters`: of the thread that owns this instance; must outlive it.
void shortcut_init(struct shortcut *shortcut, const struct shortcut_config *config, enum shortcut_side side, struct counters *counters,
                   const uint8_t seed[static 16]);

// From now on it has these addresses. Nothing changes for those that it had before; when there are new ones, all are announced if
// `may_announce`.
void shortcut_reconfigure(struct shortcut *shortcut, const struct shortcut_addresses *wanted, bool may_announce, uint64_t now_ns);

// Looks at one frame. `is_peer_up` matters with SHORTCUT_ANSWER_PEER_UP: the tap side is silent (DROP_SHORTCUT_SILENT) while it is false.
// After SHORTCUT_TAKEN *and* after SHORTCUT_PASS call shortcut_next() until it returns 0. The frame is not needed any more then.
enum shortcut_verdict shortcut_handle(struct shortcut *shortcut, const uint8_t *frame, size_t len, bool is_peer_up, uint64_t now_ns);

// Of the frame that was taken last: under which reason it was counted; DROP_COUNT = it was not refused.
enum drop_reason shortcut_refusal(const struct shortcut *shortcut);

// Whether a frame to that address is for the shortcut alone.
bool shortcut_is_own_mac(const struct shortcut *shortcut, const struct mac_address *mac);

// Due announcements (gratuitous ARP, unsolicited NA, MLD reports) become ready for shortcut_next(); returns the next deadline, or 0 = none.
// shortcut_announce() makes them due from now on: at start (tap side), whenever a session comes up (peer side).
void shortcut_announce(struct shortcut *shortcut, uint64_t now_ns);
uint64_t shortcut_tick(struct shortcut *shortcut, uint64_t now_ns);

// Writes the next frame to send to this instance's side; returns its length, 0 = no more. `cap` is at least mtu + FRAME_EXTRA.
size_t shortcut_next(struct shortcut *shortcut, uint8_t *out, size_t cap);

// The last conflict (somebody else uses one of our addresses): false = none since the last call. For the log.
struct shortcut_conflict {
    struct cidr address;
    struct mac_address mac;
};
bool shortcut_take_conflict(struct shortcut *shortcut, struct shortcut_conflict *conflict);

#endif
