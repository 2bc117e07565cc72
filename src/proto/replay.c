// SPDX-License-Identifier: MIT
/*
 * replay: see the header. One bit per counter, in a ring of words indexed by counter / 64. When the newest counter enters a new word,
 * the words in between are cleared whole; no bit is ever shifted (RFC 6479).
 */
#include "ethercord/replay.h"

#include <string.h>

enum { WORD_BITS = 64 };

// Makes `counter` the newest: forgets the words between the old newest one's and its own.
static void advance(struct replay *replay, uint64_t counter)
{
    uint64_t word = counter / WORD_BITS;
    uint64_t newest_word = replay->next == 0 ? 0 : (replay->next - 1) / WORD_BITS;
    uint64_t n_forget = word - newest_word;
    if (n_forget >= REPLAY_WORDS) {
        memset(replay->seen, 0, sizeof replay->seen);
    } else {
        for (uint64_t i = 1; i <= n_forget; i++)
            replay->seen[(newest_word + i) % REPLAY_WORDS] = 0;
    }
    replay->next = counter + 1;
}

bool replay_accept(struct replay *replay, uint64_t counter)
{
    if (counter == UINT64_MAX) // `next` could not say that it was seen
        return false;
    if (counter >= replay->next)
        advance(replay, counter);
    else if (replay->next - 1 - counter >= REPLAY_WINDOW)
        return false;

    uint64_t *word = &replay->seen[counter / WORD_BITS % REPLAY_WORDS];
    uint64_t bit = UINT64_C(1) << counter % WORD_BITS;
    bool is_new = (*word & bit) == 0;
    *word |= bit;
    return is_new;
}
