// SPDX-License-Identifier: MIT
/*
 * log: puts each line together on the stack and hands it to the kernel by one write(2), so that lines of several threads never mix.
 *
 * Two forms. For the journal (stderr is the very stream that JOURNAL_STREAM names): `<6>name: text`, since the journal adds time and
 * program itself. For anything else: `2026-01-31T12:00:00.000Z ethercord[name]: info: text`.
 * Control characters in a message become '?': what a peer or a file can put into a line must not be able to forge another one.
 * This file and main.c hold the program's only global mutable state.
 */
#include "ethercord/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ethercord/clock.h"

enum {
    LINE_CAP = 1024, // longer lines are cut
    NAME_CAP = 64,
    LIMIT_INTERVAL_S = 10
};

enum stream_kind { STREAM_UNKNOWN, STREAM_JOURNAL, STREAM_PLAIN };

static const struct {
    const char *name;
    int priority; // of syslog(3), which the journal takes over
} LEVELS[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};
_Static_assert(sizeof LEVELS / sizeof LEVELS[0] == LOG_LEVEL_COUNT, "each level has a name");

// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): the log is the process's, like its stderr
static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic int stderr_kind = STREAM_UNKNOWN;
static char instance_name[NAME_CAP];
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

// A line under construction. One byte is kept back for the newline.
struct line {
    char text[LINE_CAP];
    size_t len;
};

// JOURNAL_STREAM is inherited by children whose stderr goes elsewhere, hence the comparison (systemd.exec(5)).
static enum stream_kind find_stderr_kind(void)
{
    const char *variable = getenv("JOURNAL_STREAM");
    struct stat st;
    char expected[64];

    if (!variable || fstat(STDERR_FILENO, &st) != 0)
        return STREAM_PLAIN;
    snprintf(expected, sizeof expected, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(variable, expected) == 0 ? STREAM_JOURNAL : STREAM_PLAIN;
}

static bool is_journal(void)
{
    int kind = atomic_load_explicit(&stderr_kind, memory_order_relaxed);

    if (kind == STREAM_UNKNOWN) {
        kind = (int)find_stderr_kind();
        atomic_store_explicit(&stderr_kind, kind, memory_order_relaxed);
    }
    return kind == STREAM_JOURNAL;
}

__attribute__((format(printf, 2, 0))) static void line_vadd(struct line *line, const char *format, va_list args)
{
    size_t room = LINE_CAP - 1 - line->len;
    int n = vsnprintf(line->text + line->len, room, format, args);

    if (n > 0)
        line->len += (size_t)n < room ? (size_t)n : room - 1;
}

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_vadd(line, format, args);
    va_end(args);
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

struct log_date log_date_of(uint64_t days)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = 1970, month = 0;

    for (; days >= 365U + is_leap(year); year++)
        days -= 365U + is_leap(year);
    for (; days >= lengths[month] + (month == 1 && is_leap(year) ? 1U : 0U); month++)
        days -= lengths[month] + (month == 1 && is_leap(year) ? 1U : 0U);
    return (struct log_date){year, month + 1, (unsigned)days + 1};
}

// By hand: gmtime_r() and strftime() look for the local time zone in files, which the confined process can't see any more.
static void line_add_time(struct line *line)
{
    uint64_t now_ns = now_wall_ns(), second = now_ns / NS_PER_S % 86400;
    struct log_date date = log_date_of(now_ns / NS_PER_S / 86400);

    line_add(line, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ ", date.year, date.month, date.day, (unsigned)(second / 3600),
             (unsigned)(second / 60 % 60), (unsigned)(second % 60), (unsigned)(now_ns % NS_PER_S / NS_PER_MS));
}

static void line_add_prefix(struct line *line, enum log_level level)
{
    if (is_journal()) {
        line_add(line, "<%d>%s%s", LEVELS[level].priority, instance_name, instance_name[0] ? ": " : "");
        return;
    }
    line_add_time(line);
    if (instance_name[0])
        line_add(line, "ethercord[%s]: %s: ", instance_name, LEVELS[level].name);
    else
        line_add(line, "ethercord: %s: ", LEVELS[level].name);
}

static void line_replace_control_characters(struct line *line)
{
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->text[i];
        if (c < ' ' || c == 0x7f)
            line->text[i] = '?';
    }
}

// Where stderr is closed or full the line is lost: there is nobody left to tell.
static void line_write(struct line *line)
{
    ssize_t n;

    line_replace_control_characters(line);
    line->text[line->len] = '\n';
    do {
        n = write(STDERR_FILENO, line->text, line->len + 1);
    } while (n < 0 && errno == EINTR);
}

static bool wants_level(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

__attribute__((format(printf, 2, 0))) static void write_message(enum log_level level, const char *format, va_list args,
                                                                uint64_t n_swallowed)
{
    int saved_errno = errno;
    struct line line = {.len = 0};

    line_add_prefix(&line, level);
    errno = saved_errno; // for %m
    line_vadd(&line, format, args);
    if (n_swallowed > 0)
        line_add(&line, " (%" PRIu64 " like it before were not logged)", n_swallowed);
    line_write(&line);
    errno = saved_errno;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcasecmp(text, LEVELS[i].name) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return LEVELS[level].name;
}

void log_set_name(const char *name)
{
    snprintf(instance_name, sizeof instance_name, "%s", name);
    (void)is_journal(); // while it can still be found out
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list args;

    if (!wants_level(level))
        return;
    va_start(args, format);
    write_message(level, format, args, 0);
    va_end(args);
}

void log_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level, const char *format, ...)
{
    va_list args;

    if (!wants_level(level))
        return;
    if (now_ns < limit->next_ns) {
        limit->n_swallowed++;
        return;
    }
    va_start(args, format);
    write_message(level, format, args, limit->n_swallowed);
    va_end(args);
    limit->next_ns = now_ns + LIMIT_INTERVAL_S * NS_PER_S;
    limit->n_swallowed = 0;
}

void ensure_failed(const char *expr, const char *file, int line)
{
    log_error("impossible state, please report: %s (%s:%d)", expr, file, line);
    abort();
}
