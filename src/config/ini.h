// SPDX-License-Identifier: MIT
/*
 * ini: reads the text of a configuration file, one event at a time: section, entry, or what is wrong with a line.
 *
 * A reader of our own. Debian's inih is built with its defaults, which nobody can change at run time (`#` is part of a value, an indented
 * key continues the value before it, lines are split at 200 bytes and section names cut at 50, an empty section is never told). A reader
 * in front of it would have to do the comments, the indentation, the lengths and the sections itself: all that inih is for.
 *
 * The rules: one entry `Key = value` or one `[section]` per line; `#` and `;` begin a comment at the start of a line or after white space;
 * a value may stand in double quotes (no escapes), and is then taken as it is; indentation means nothing; CRLF is as good as LF.
 * Knows nothing of what sections and keys there are. Lines may hold secrets: the buffer is wiped with each new line and by ini_deinit().
 */
#ifndef ETHERCORD_CONFIG_INI_H
#define ETHERCORD_CONFIG_INI_H

#include <stddef.h>

enum { INI_LINE_MAX = 1024, INI_TEXT_MAX = 1024 * 1024 };

enum ini_kind { INI_END, INI_SECTION, INI_ENTRY, INI_BAD };

struct ini {
    const char *at;
    const char *end;
    unsigned line;
    char text[INI_LINE_MAX + 1];
    const char *line_at; // the current one in the text
};

// The texts live until the next ini_next() and hold no control characters but tabs.
struct ini_event {
    enum ini_kind kind;
    unsigned line;     // from 1
    const char *name;  // SECTION: what stands in the brackets; ENTRY: the key; neither is empty
    const char *value; // ENTRY: may be ""
    // ENTRY: the same with what stands behind # or ;, which mean something to a shell, too. Not ended by a NUL.
    const char *command;
    size_t command_len;
    const char *problem; // BAD: what is wrong and what was expected; quotes nothing of the line
};

// Borrows `text` until ini_deinit(). Texts over INI_TEXT_MAX are the caller's to refuse.
void ini_init(struct ini *ini, const char *text, size_t len);
void ini_deinit(struct ini *ini);
// Goes on after a bad line. Returns event->kind.
enum ini_kind ini_next(struct ini *ini, struct ini_event *event);

#endif
