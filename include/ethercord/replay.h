// SPDX-License-Identifier: MIT
/*
 * replay: which counters of one receiving keypair were seen (RFC 6479: a ring of words, moved by whole words).
 *
 * Zeroed = ready. Ask only after the message has been authenticated (RFC 4303, 3.4.3). One thread.
 */
#ifndef ETHERCORD_REPLAY_H
#define ETHERCORD_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REPLAY_WORDS = 129,                     // one word is always partly forgotten
    REPLAY_WINDOW = (REPLAY_WORDS - 1) * 64 // 8192: counters this far behind the newest are still told apart
};

struct replay {
    uint64_t next; // one above the newest counter accepted; 0 = none yet
    uint64_t seen[REPLAY_WORDS];
};

// True exactly once per counter, for counters greater than newest - REPLAY_WINDOW; false for a repeated or too old one. Counter 2^64-1
// is never accepted.
bool replay_accept(struct replay *replay, uint64_t counter) __attribute__((warn_unused_result));

#endif
