// SPDX-License-Identifier: MIT
/*
 * pmtu: the largest outer packet that gets to the peer, found and watched by Datagram PLPMTUD (RFC 8899).
 *
 * Deterministic, as peer.h: says what to do (send a probe of that size, look again then), does nothing itself. All sizes are whole outer IP
 * packets in bytes, all times boot-time ns. Belongs to the main thread.
 *
 * A probe is a padded record that the peer answers; one size is tried at a time, at most three times, and a try counts as lost only when
 * an echo has been answered meanwhile, which is small: a path that is down, be it in our direction alone, says nothing about sizes. What
 * ICMP says is a hint where to look next, and never more: whoever forges it can make us look, not shrink.
 *
 *   state      size in use                       what happens
 *   FIXED      as configured                     nothing
 *   SEARCHING  the largest that passed, at first PMTU_BASE
 *                                                probes between what passed and what did not (5.3.1, 5.3.2)
 *   FOUND      the same                          one byte more is tried again, after half a minute first, then less and less often (5.1.1)
 *
 * In both, large datagrams that go out and are not seen by the peer (it reports what arrives) are a suspicion, and so is ICMP that names a
 * smaller size. Then that or the base is used at once, for being wrong costs little, while the size that was in use is probed: if it passes
 * it is used again, and if it does not the path has a black hole, and the search begins again from the base (4.3).
 */
#ifndef ETHERCORD_PMTU_H
#define ETHERCORD_PMTU_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/clock.h"
#include "ethercord/random.h"
#include "ethercord/wire.h"

// Tuning constants.
enum {
    PMTU_BASE = 1280, // every path of IPv6 has it (RFC 8200 5), and nearly every one of IPv4
    PMTU_PROBES_MAX = 3,
    PMTU_WRONG_MAX = 6,   // hints that were wrong: each doubles PMTU_HINT_EVERY_NS
    PMTU_NEEDLESS_MAX = 3 // checks that passed while no report came: each doubles PMTU_SUSPECT_NS, for the peer may send none
};
#define PMTU_WAIT_NS (100 * NS_PER_MS)       // for an answer, and twice the round trip; doubled for the last of three
#define PMTU_WAIT_BLIND_NS (300 * NS_PER_MS) // … while that is not known
#define PMTU_SUSPECT_NS (200 * NS_PER_MS)    // without a report on large datagrams, and twice the round trip
#define PMTU_HINT_EVERY_NS NS_PER_S          // hints that begin a check of the size in use; twice as long after each that was wrong
#define PMTU_LOOK_NS (100 * NS_PER_MS)       // whether large datagrams go out, while they do
#define PMTU_BUSY_NS NS_PER_S                // … and for so long after the last
#define PMTU_RAISE_FIRST_NS (30 * NS_PER_S)
#define PMTU_RAISE_MAX_NS (600 * NS_PER_S) // RFC 8899 5.1.1

enum pmtu_state { PMTU_FIXED, PMTU_SEARCHING, PMTU_FOUND, PMTU_STATE_COUNT };
enum pmtu_news { PMTU_NEWS_NONE, PMTU_NEWS_FOUND, PMTU_NEWS_BLACK_HOLE };

struct pmtu {
    enum pmtu_state state;
    uint16_t size;  // in use
    uint16_t floor; // it is never less
    uint16_t low;   // the largest that passed in this search; 0 = none yet
    uint16_t high;  // larger ones are not tried in this search
    uint16_t hint;  // the next to try, if it lies between; what is at `low` says that `low` is all there is. 0 = none
    bool has_tried_top;

    uint16_t probe; // size that is being tried; 0 = none
    bool is_check;  // it is the size that was in use, under suspicion
    bool is_hinted; // the size came from a hint
    bool wants_check;
    uint8_t token[WIRE_TOKEN_LEN];
    unsigned n_probes; // sent, of this size, that count
    unsigned n_silent; // sent, while no echo was answered
    uint64_t probed_ns;

    unsigned n_needless; // checks that passed since the last report
    uint64_t suspect_ns; // since when large datagrams have gone out without a report; 0 = none
    uint64_t busy_ns;    // when they were last seen to
    uint64_t checked_ns; // when a hint last began a check
    unsigned n_wrong;    // of those checks, one after the other, that found the hint wrong
    uint64_t raise_ns;
    uint64_t raise_wait_ns;
    uint16_t vanished; // the size of the last black hole
    uint16_t told;     // last size that was news
    enum pmtu_news news;
};

// fixed: the size to use, ever; 0 = search.
void pmtu_init(struct pmtu *pmtu, uint16_t fixed);
// Another path: to an endpoint of this family (AF_INET, AF_INET6).
void pmtu_restart(struct pmtu *pmtu, uint16_t family);
// The peer was away: what was asked meanwhile has no answer.
void pmtu_resume(struct pmtu *pmtu);

struct pmtu_view {
    uint64_t now_ns;
    uint64_t echoed_ns;    // when an echo was last answered: what is small gets there; 0 = never
    uint64_t rtt_ns;       // 0 = not known
    uint32_t largest_sent; // since the caller last forgot it; 0 = nothing
    const struct random_source *random;
};
struct pmtu_result {
    uint64_t deadline_ns; // of the next call
    uint16_t probe;       // send one of this size, with pmtu->token; 0 = none
};
struct pmtu_result pmtu_tick(struct pmtu *pmtu, const struct pmtu_view *view);

// What happened; call pmtu_tick() afterwards. They return whether the caller may forget what it has sent, as it is accounted for.
bool pmtu_probe_answered(struct pmtu *pmtu, const uint8_t token[static WIRE_TOKEN_LEN]);
// The peer has received a packet of that size since its last report.
bool pmtu_reported(struct pmtu *pmtu, uint32_t largest, uint32_t largest_sent);
// Our own kernel refused a packet of that size: no larger one leaves this machine.
bool pmtu_refused(struct pmtu *pmtu, uint32_t size);
// An ICMP message, or the kernel with its refusal, named this size.
void pmtu_hinted(struct pmtu *pmtu, uint32_t size, uint64_t now_ns);
// What there is to tell, once.
enum pmtu_news pmtu_take_news(struct pmtu *pmtu);

const char *pmtu_state_name(enum pmtu_state state); // "fixed", "searching", "found"

#endif
