// SPDX-License-Identifier: MIT
/*
 * log: puts each line together on the stack and hands it to the kernel by one write(2), so that lines of several threads never mix.
 *
 * Three forms. Where stderr is the very stream that JOURNAL_STREAM names: an entry with fields in the journal's native protocol, or, when
 * its socket can't be had, `<6>name: text`, since the journal adds time and program itself. For anything else:
 * `2026-01-31T12:00:00.000Z ethercord[name]: info: text`.
 * The protocol is written here, since sd_journal_sendv() looks for the socket by its path each time: the worker has no files, and its
 * threads may neither open a socket nor name an address. A socket that was connected before needs nothing but write(2). It does not block:
 * a journal that takes nothing costs lines, which are counted, and never a frame.
 * Control characters in a message become '?': what a peer or a file can put into a line must not be able to forge another one, or a field.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ethercord/bucket.h"
#include "ethercord/clock.h"

enum {
    LINE_CAP = 1024,  // longer lines are cut
    FIELDS_CAP = 512, // what an entry has besides its line
    NAME_CAP = 64,
    PEER_CAP = 64,
    PRIORITY_LEN = 3, // "<6>"
    LIMIT_INTERVAL_S = 10,
    BUDGET_BURST = 20
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
static int journal_fd = -1;
static _Atomic uint64_t n_lost; // entries that the journal did not take
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

// A line under construction, or an entry. One byte is kept back for the newline.
struct line {
    char text[LINE_CAP + FIELDS_CAP];
    size_t len, cap;
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

bool log_is_journal(void)
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
    size_t room = line->cap - 1 - line->len;
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
    if (journal_fd >= 0) {
        line_add(line, "%s%s", instance_name, instance_name[0] ? ": " : "");
        return;
    }
    if (log_is_journal()) {
        line_add(line, "<%d>%s%s", LEVELS[level].priority, instance_name, instance_name[0] ? ": " : "");
        return;
    }
    line_add_time(line);
    if (instance_name[0])
        line_add(line, "ethercord[%s]: %s: ", instance_name, LEVELS[level].name);
    else
        line_add(line, "ethercord: %s: ", LEVELS[level].name);
}

static void line_replace_control_characters(struct line *line, size_t from)
{
    for (size_t i = from; i < line->len; i++) {
        unsigned char c = (unsigned char)line->text[i];
        if (c < ' ' || c == 0x7f)
            line->text[i] = '?';
    }
}

static void line_end(struct line *line, size_t from)
{
    line_replace_control_characters(line, from);
    line->text[line->len++] = '\n';
}

// Returns 0 or negative errno.
static int write_all(int fd, const char *text, size_t len)
{
    ssize_t n;

    do {
        n = write(fd, text, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* ---- the journal ---- */

// `NAME=value`, a line each: the form for values without a line feed, which is a control character.
__attribute__((format(printf, 3, 4))) static void line_add_field(struct line *line, const char *name, const char *format, ...)
{
    va_list args;

    if (line->len + NAME_CAP + PEER_CAP > line->cap) // not half of one
        return;
    line_add(line, "%s=", name);
    size_t from = line->len;
    va_start(args, format);
    line_vadd(line, format, args);
    va_end(args);
    line_end(line, from);
}

static void line_add_fields(struct line *line, enum log_level level, const struct log_about *about)
{
    const struct log_event_entry *event = &log_events[about->event];

    line->cap = sizeof line->text;
    line_add_field(line, "PRIORITY", "%d", LEVELS[level].priority);
    line_add_field(line, "SYSLOG_IDENTIFIER", "ethercord");
    if (instance_name[0])
        line_add_field(line, "ETHERCORD_INSTANCE", "%s", instance_name);
    if (about->event != LOG_EVENT_NONE) {
        line_add_field(line, "MESSAGE_ID", "%s", event->message_id);
        line_add_field(line, "ETHERCORD_EVENT", "%s", event->name);
    }
    if (about->peer)
        line_add_field(line, "ETHERCORD_PEER", "%.*s", PEER_CAP, about->peer);
}

// False: it has to go another way, and its priority is in front of it now. `text_at`: where the line itself begins.
static bool write_entry(struct line *line, size_t text_at, enum log_level level, const struct log_about *about)
{
    uint64_t n_before = atomic_exchange(&n_lost, 0);
    char priority[PRIORITY_LEN + 1];
    size_t text_end;

    if (n_before > 0)
        line_add(line, " (%" PRIu64 " lines before this one are lost: the journal did not take them)", n_before);
    text_end = line->len;
    line_end(line, text_at);
    line_add_fields(line, level, about);
    int error = write_all(journal_fd, line->text, line->len);
    if (!error)
        return true;
    if (error == -EAGAIN || error == -ENOBUFS) {
        atomic_fetch_add(&n_lost, n_before + 1);
        return true;
    }
    line->len = text_end;
    snprintf(priority, sizeof priority, "<%d>", LEVELS[level].priority);
    memcpy(line->text + text_at - PRIORITY_LEN, priority, PRIORITY_LEN);
    return false;
}

void log_open_journal(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};

    if (journal_fd >= 0 || !log_is_journal() || strlen(path) >= sizeof sun.sun_path)
        return;
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0)
        journal_fd = fd;
    else if (fd >= 0)
        close(fd);
}

/* ---- lines ---- */

static bool wants_level(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

// Where stderr is closed or full the line is lost: there is nobody left to tell.
__attribute__((format(printf, 3, 0))) static void write_message(enum log_level level, const struct log_about *about, const char *format,
                                                                va_list args, uint64_t n_swallowed)
{
    int saved_errno = errno;
    struct line line = {.len = 0, .cap = LINE_CAP};
    size_t text_at = 0;

    if (journal_fd >= 0) {
        line_add(&line, "MESSAGE="); // longer than a priority
        text_at = line.len;
    }
    line_add_prefix(&line, level);
    errno = saved_errno; // for %m
    line_vadd(&line, format, args);
    if (n_swallowed > 0)
        line_add(&line, " (%" PRIu64 " like it before were not logged)", n_swallowed);
    if (journal_fd < 0 || !write_entry(&line, text_at, level, about)) {
        line.cap = sizeof line.text; // its own end has room
        line_end(&line, text_at);
        size_t begin = text_at > 0 ? text_at - PRIORITY_LEN : 0;
        (void)write_all(STDERR_FILENO, line.text + begin, line.len - begin);
    }
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
    (void)log_is_journal(); // while it can still be found out
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list args;

    if (!wants_level(level))
        return;
    va_start(args, format);
    write_message(level, &(struct log_about){.event = LOG_EVENT_NONE}, format, args, 0);
    va_end(args);
}

// Returns whether the line may be written, and how many like it were not.
static bool limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *n_swallowed)
{
    if (now_ns < limit->next_ns) {
        limit->n_swallowed++;
        return false;
    }
    *n_swallowed = limit->n_swallowed;
    *limit = (struct log_limit){.next_ns = now_ns + LIMIT_INTERVAL_S * NS_PER_S};
    return true;
}

void log_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level, const char *format, ...)
{
    uint64_t n_swallowed;
    va_list args;

    if (!wants_level(level) || !limit_take(limit, now_ns, &n_swallowed))
        return;
    va_start(args, format);
    write_message(level, &(struct log_about){.event = LOG_EVENT_NONE}, format, args, n_swallowed);
    va_end(args);
}

void log_tell(const struct log_about *about, const char *format, ...)
{
    enum log_level level = log_events[about->event].level;
    uint64_t n_swallowed = 0;
    va_list args;

    if (!wants_level(level) || (about->limit && !limit_take(about->limit, about->now_ns, &n_swallowed)))
        return;
    va_start(args, format);
    write_message(level, about, format, args, n_swallowed);
    va_end(args);
}

bool log_may_tell(struct log_budget *budget, uint64_t now_ns, const char *what)
{
    if (bucket_take(&budget->full_ns, LIMIT_INTERVAL_S * NS_PER_S, BUDGET_BURST, now_ns))
        return true;
    log_tell(&(struct log_about){LOG_EVENT_UNSTEADY, .limit = &budget->limit, .now_ns = now_ns},
             "%s comes and goes, or changes, more often than is told here", what);
    return false;
}

void ensure_failed(const char *expr, const char *file, int line)
{
    log_error("impossible state, please report: %s (%s:%d)", expr, file, line);
    abort();
}
