// SPDX-License-Identifier: MIT
/*
 * ini: see ini.h. Each line is copied into the reader's own buffer, checked for length and bytes once, and then cut up in place.
 */
#include "ini.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool begins_comment(const char *text, const char *at)
{
    return (*at == '#' || *at == ';') && (at == text || is_blank(at[-1]));
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

static size_t len_without_trailing_blanks(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    return len;
}

static void cut_trailing_blanks(char *text)
{
    text[len_without_trailing_blanks(text)] = '\0';
}

// `value` is behind the `=` that became a NUL, so there always is a character before it.
static void cut_comment(char *value)
{
    for (char *at = value; *at; at++) {
        if (begins_comment(value - 1, at)) {
            *at = '\0';
            return;
        }
    }
}

// Whether nothing but a comment follows. `at` is behind a closing bracket or quote.
static bool is_rest_empty(char *at)
{
    char *next = skip_blanks(at);
    return *next == '\0' || (next > at && (*next == '#' || *next == ';'));
}

static bool has_control_characters(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

// Copies the next line, without its end. Returns what is wrong with it, or NULL.
static const char *take_line(struct ini *ini)
{
    const char *start = ini->at;
    size_t len = (size_t)(ini->end - start);
    const char *newline = memchr(start, '\n', len);
    if (newline)
        len = (size_t)(newline - start);
    ini->at = newline ? newline + 1 : ini->end;
    ini->line++;
    sodium_memzero(ini->text, sizeof(ini->text));

    if (len > 0 && start[len - 1] == '\r')
        len--;
    if (len > INI_LINE_MAX)
        return "the line is too long; expected at most 1024 bytes";
    if (memchr(start, '\0', len))
        return "the line holds a NUL byte; expected text";
    if (has_control_characters(start, len))
        return "the line holds a control character; expected text";
    memcpy(ini->text, start, len);
    ini->line_at = start;
    return NULL;
}

static const char *cut_section(char *text, struct ini_event *event)
{
    char *close = strchr(text, ']');
    if (!close)
        return "the closing bracket is missing; expected [Section]";
    if (!is_rest_empty(close + 1))
        return "something follows the closing bracket; expected a line of its own";
    *close = '\0';
    event->name = skip_blanks(text + 1);
    cut_trailing_blanks(text + 1);
    if (*event->name == '\0')
        return "the section has no name; expected [Section]";
    event->kind = INI_SECTION;
    return NULL;
}

static const char *cut_value(struct ini *ini, char *text, struct ini_event *event)
{
    char *value = skip_blanks(text);
    event->value = value;
    if (*value != '"') {
        event->command = ini->line_at + (value - ini->text);
        event->command_len = len_without_trailing_blanks(value);
        cut_comment(value);
        cut_trailing_blanks(value);
        return NULL;
    }
    event->value = event->command = value + 1;
    char *close = strchr(value + 1, '"');
    if (!close)
        return "the closing quote is missing; expected \"value\"";
    if (!is_rest_empty(close + 1))
        return "something follows the closing quote; expected only a comment, after white space";
    *close = '\0';
    event->command_len = strlen(event->command);
    return NULL;
}

static const char *cut_entry(struct ini *ini, char *text, struct ini_event *event)
{
    char *equals = text;
    while (*equals && *equals != '=' && !begins_comment(text, equals))
        equals++;
    if (*equals != '=')
        return "expected Key = value";
    *equals = '\0';
    event->name = text;
    cut_trailing_blanks(text);
    if (*text == '\0')
        return "the key is missing; expected Key = value";
    const char *problem = cut_value(ini, equals + 1, event);
    if (!problem)
        event->kind = INI_ENTRY;
    return problem;
}

void ini_init(struct ini *ini, const char *text, size_t len)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    memset(ini, 0, sizeof(*ini));
    ini->at = text;
    ini->end = text + len;
    // Some editors put it there unseen; without this the first section would be an unknown one.
    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0)
        ini->at += 3;
}

void ini_deinit(struct ini *ini)
{
    sodium_memzero(ini, sizeof(*ini));
}

enum ini_kind ini_next(struct ini *ini, struct ini_event *event)
{
    while (ini->at < ini->end) {
        const char *problem = take_line(ini);
        *event = (struct ini_event){.kind = INI_BAD, .line = ini->line};
        char *text = skip_blanks(ini->text);
        if (!problem && (*text == '\0' || *text == '#' || *text == ';'))
            continue;
        if (!problem)
            problem = *text == '[' ? cut_section(text, event) : cut_entry(ini, text, event);
        event->problem = problem;
        if (problem)
            event->kind = INI_BAD;
        return event->kind;
    }
    *event = (struct ini_event){.kind = INI_END, .line = ini->line};
    return INI_END;
}
