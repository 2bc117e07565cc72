// SPDX-License-Identifier: MIT
/*
 * log: lines for the operator, and the check for impossible states.
 *
 * One line per event on stderr, with the journal's priority prefix (`<6>`) when stderr is a journal stream. Thread-safe: a line is
 * one write(2). Never per frame or datagram, never a secret. What a peer can cause goes through log_limited().
 */
#ifndef ETHERCORD_LOG_H
#define ETHERCORD_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_COUNT };

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

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
// At most one line per 10 s for this cause; says how many were swallowed before it.
void log_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

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
