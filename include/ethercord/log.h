// SPDX-License-Identifier: MIT
/*
 * log: lines for the operator, and the check for impossible states.
 *
 * One line per event: to the journal with fields when stderr is a journal stream, else to stderr. Thread-safe: a line is one write(2).
 * Never per frame or datagram, never a secret. What a stranger, a peer or a device can cause again and again has a limit: one line per
 * cause in 10 s (struct log_limit), or a budget where each line says what holds from now on (struct log_budget). docs/service.md tells
 * the operator about all of it.
 */
#ifndef ETHERCORD_LOG_H
#define ETHERCORD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/log_events.h"

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket" // systemd-journald.service(8)

// One rate limit per cause, owned by the caller and by one thread; starts out zeroed.
struct log_limit {
    uint64_t next_ns;     // boot-time clock; a line before this is swallowed
    uint64_t n_swallowed; // said in the next line that gets out
};

void log_set_level(enum log_level level);
// From "error", "warning", "info" or "debug", any case. Returns false for anything else.
bool log_level_parse(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);
// Written before each message, e.g. the instance's name; at most 63 bytes are kept. Call before the first thread.
void log_set_name(const char *name);
// From now on lines go to the journal as entries with fields, if stderr is a journal stream and the socket at `path` can be had; else all
// stays as it is. Call before the first thread, and while there still are files; the descriptor stays open.
void log_open_journal(const char *path);
// Whether stderr is a journal stream.
bool log_is_journal(void);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
// At most one line per 10 s for this cause; says how many were swallowed before it.
void log_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// What a line is about, for who looks for it by field: journalctl ETHERCORD_EVENT=peer-down ETHERCORD_PEER=site-b.
struct log_about {
    enum log_event event;    // its level is in the table
    const char *peer;        // NULL = none
    struct log_limit *limit; // NULL = none
    uint64_t now_ns;         // with a limit
};
void log_tell(const struct log_about *about, const char *format, ...) __attribute__((format(printf, 2, 3)));

// For what changes to and fro: each line is needed to know what holds, so a number of them is written at once, and then one per 10 s.
struct log_budget {
    uint64_t full_ns; // bucket
    struct log_limit limit;
};
// Returns whether the line may be written. Where not, one line in 10 s says that `what` changes more often than is told.
bool log_may_tell(struct log_budget *budget, uint64_t now_ns, const char *what);

// The date of the day `days` after 1970-01-01; month and day count from 1.
struct log_date {
    unsigned year, month, day;
};
struct log_date log_date_of(uint64_t days);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

// Impossible states, our own bugs: always compiled in, logs and aborts. Never for anything that comes from outside.
#define ensure(expr) ((expr) ? (void)0 : ensure_failed(#expr, __FILE__, __LINE__))
_Noreturn void ensure_failed(const char *expr, const char *file, int line);

#endif
