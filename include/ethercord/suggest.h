// SPDX-License-Identifier: MIT
/*
 * suggest: "did you mean …?" for misspelt words: the nearest of the candidates offered, if it is near enough (edit distance, any case).
 */
#ifndef ETHERCORD_SUGGEST_H
#define ETHERCORD_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_DISTANCE_MAX = 2, SUGGEST_WORD_MAX = 40 };

struct suggestion {
    const char *word;
    const char *best; // NULL = none is near
    size_t distance;  // of `best`
};

// Borrows `word`; the result of the offers is in suggestion->best.
void suggest_init(struct suggestion *suggestion, const char *word);
void suggest_offer(struct suggestion *suggestion, const char *candidate);

#endif
