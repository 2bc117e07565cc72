// SPDX-License-Identifier: MIT
/*
 * suggest: see suggest.h. Levenshtein's distance with one row of the matrix at a time.
 */
#include "ethercord/suggest.h"

#include <ctype.h>
#include <string.h>

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t edit_distance(const char *a, const char *b, size_t b_len)
{
    size_t row[SUGGEST_WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t differs = tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]);
            size_t above = row[j + 1];
            row[j + 1] = least(diagonal + differs, above + 1, row[j] + 1);
            diagonal = above;
        }
    }
    return row[b_len];
}

void suggest_init(struct suggestion *suggestion, const char *word)
{
    *suggestion = (struct suggestion){.word = word, .best = NULL, .distance = SUGGEST_DISTANCE_MAX + 1};
}

void suggest_offer(struct suggestion *suggestion, const char *candidate)
{
    size_t len = strlen(candidate);
    if (len > SUGGEST_WORD_MAX || strnlen(suggestion->word, SUGGEST_WORD_MAX + 1) > SUGGEST_WORD_MAX)
        return;
    size_t distance = edit_distance(suggestion->word, candidate, len);
    // Of a short word, half must be right: "ab" is no misspelling of "run".
    if (distance >= suggestion->distance || distance * 2 > len)
        return;
    suggestion->best = candidate;
    suggestion->distance = distance;
}
