// SPDX-License-Identifier: MIT
/*
 * text: what commands write to a terminal: words from elsewhere made harmless, numbers with units as people read them, and colours.
 */
#ifndef ETHERCORD_CLI_TEXT_H
#define ETHERCORD_CLI_TEXT_H

#include <stdbool.h>
#include <stdio.h>

enum { TEXT_NUMBER_CAP = 40 };

struct text_style {
    bool has_colours;
};
enum text_colour { TEXT_PLAIN, TEXT_GOOD, TEXT_BAD, TEXT_DOUBTFUL, TEXT_FAINT };

// Colours for a terminal that has them, unless NO_COLOR is set (no-color.org).
struct text_style text_style_of(FILE *out);
// Nothing where there are no colours.
void text_colour(const struct text_style *style, enum text_colour colour, FILE *out);

// Text from another process: of bounded length, and what is not printable ASCII becomes '?'.
void text_put(FILE *out, const char *text);
// "words text" if there is a text.
void text_put_more(FILE *out, const char *words, const char *text);
// The beginning of a line: "  label       ".
void text_label(FILE *out, const char *indent, const char *label);

// They return `text`. Any number is something.
const char *text_duration(double seconds, char text[static TEXT_NUMBER_CAP]);
const char *text_bytes(double bytes, char text[static TEXT_NUMBER_CAP]);
const char *text_count(double n, char text[static TEXT_NUMBER_CAP]);         // "12.5 k"
const char *text_rate(double bits_per_s, char text[static TEXT_NUMBER_CAP]); // "1.25 Gb/s"

#endif
