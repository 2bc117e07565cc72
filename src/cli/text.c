// SPDX-License-Identifier: MIT
/*
 * text: see text.h.
 */
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_SHOWN_MAX = 200 };

struct text_style text_style_of(FILE *out)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

    return (struct text_style){isatty(fileno(out)) && term && strcmp(term, "dumb") != 0 && !(no_color && *no_color)};
}

void text_colour(const struct text_style *style, enum text_colour colour, FILE *out)
{
    static const char *const codes[] = {[TEXT_PLAIN] = "\033[0m",
                                        [TEXT_GOOD] = "\033[1;32m",
                                        [TEXT_BAD] = "\033[1;31m",
                                        [TEXT_DOUBTFUL] = "\033[1;33m",
                                        [TEXT_FAINT] = "\033[2m"};

    if (style->has_colours)
        fputs(codes[colour], out);
}

// Nothing that a node says goes beyond ASCII; what does could be a control character of a terminal (U+0080 to U+009F), or text that runs
// from right to left.
void text_put(FILE *out, const char *text)
{
    for (size_t i = 0; i < TEXT_SHOWN_MAX && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
    }
}

// "  label       text": the beginning of a line.
void text_label(FILE *out, const char *indent, const char *label)
{
    fprintf(out, "%s%-12s", indent, label);
}

// ", words text" if there is a text.
void text_put_more(FILE *out, const char *words, const char *text)
{
    if (*text == '\0')
        return;
    fputs(words, out);
    text_put(out, text);
}

const char *text_duration(double seconds, char text[static TEXT_NUMBER_CAP])
{
    uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;
    if (s < 120)
        snprintf(text, TEXT_NUMBER_CAP, "%u s", (unsigned)s);
    else if (s < 2ULL * 3600)
        snprintf(text, TEXT_NUMBER_CAP, "%u min %u s", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (s < 48ULL * 3600)
        snprintf(text, TEXT_NUMBER_CAP, "%u h %u min", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    else
        snprintf(text, TEXT_NUMBER_CAP, "%llu d %u h", (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24));
    return text;
}

const char *text_bytes(double bytes, char text[static TEXT_NUMBER_CAP])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, TEXT_NUMBER_CAP, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

// Decimal units, as links are sold in.
const char *text_count(double n, char text[static TEXT_NUMBER_CAP])
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;
    while (n >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1000;
        unit++;
    }
    int n_decimals = unit == 0 || n >= 100 ? 0 : n < 10 ? 2 : 1;
    snprintf(text, TEXT_NUMBER_CAP, "%.*f%s", n_decimals, n, units[unit]);
    return text;
}

const char *text_rate(double bits_per_s, char text[static TEXT_NUMBER_CAP])
{
    text_count(bits_per_s, text);
    size_t len = strlen(text);
    bool has_unit = len > 0 && text[len - 1] >= 'A';
    snprintf(text + len, TEXT_NUMBER_CAP - len, has_unit ? "b/s" : " b/s");
    return text;
}
