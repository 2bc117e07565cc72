// SPDX-License-Identifier: MIT
/*
 * reload: see reload.h.
 *
 *   1 read      the file and what it names, as at the start; what is wrong with it ends the reload
 *   2 compare   with what is in force: what changes now, what needs a restart
 *   3 send      what changes, to the worker; when that is not possible, nothing has changed
 *   4 tell      the log, and who asked: a line per change, as fast as the worker reads them
 */
#include "reload.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ethercord/bucket.h"
#include "ethercord/clock.h"
#include "ethercord/config_change.h"
#include "ethercord/log.h"

enum {
    LINES_MAX = CONFIG_CHANGES_MAX + CONFIG_MESSAGES_MAX + 4,
    SEND_AGAIN_MS = 20,
    LOGGED_BURST = 30 // reloads that are told in the log
};
#define LOGGED_EVERY_NS (500 * NS_PER_MS)

struct line {
    enum ipc_line what;
    char text[IPC_LINE_CAP];
};

struct reload {
    struct config *running; // without its secrets
    struct config *next;    // empty but during a reload
    char *path;
    struct config_mark psk;
    struct lookup *lookup;
    int ipc_fd;
    uv_timer_t timer;
    struct config_errors errors;
    struct config_changes changes;
    enum ipc_result result;
    struct line lines[LINES_MAX];
    size_t n_lines;
    bool is_telling; // the worker, and `told` lines of it so far
    uint32_t id;
    size_t told;
    uint64_t logged_full_ns; // bucket
    struct log_limit unlogged_limit;
};

/* ---- lines ---- */

// Whatever a file is called: what is not printable ASCII would be no line for everybody.
static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

__attribute__((format(printf, 3, 4))) static void say(struct reload *reload, enum ipc_line what, const char *format, ...)
{
    va_list args;

    if (reload->n_lines == LINES_MAX)
        return;
    struct line *line = &reload->lines[reload->n_lines++];
    line->what = what;
    va_start(args, format);
    (void)vsnprintf(line->text, sizeof line->text, format, args);
    va_end(args);
    make_printable(line->text);
}

static void fail(struct reload *reload, enum ipc_result result)
{
    reload->result = result;
}

static size_t count(const struct reload *reload, enum ipc_line what)
{
    size_t n = 0;

    for (size_t i = 0; i < reload->n_lines; i++)
        n += reload->lines[i].what == what;
    return n;
}

/* ---- 1 read ---- */

// Opening anything but a file might wait for ever for somebody to write into it.
static bool is_file(struct reload *reload)
{
    struct stat st;

    if (!reload->path) {
        say(reload, IPC_LINE_ERROR,
            "this instance was not started from a file that can be read again (a pipe, or 'ethercord answer'); stop it and start it anew");
    } else if (stat(reload->path, &st) < 0) {
        say(reload, IPC_LINE_ERROR, "%.300s: can't be read: %s", reload->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        say(reload, IPC_LINE_ERROR, "%.300s: is no regular file; put the configuration there again", reload->path);
    } else {
        return true;
    }
    fail(reload, IPC_RESULT_FAILED);
    return false;
}

static void say_messages(struct reload *reload)
{
    const struct config_errors *errors = &reload->errors;
    size_t n_more = errors->n_errors + errors->n_warnings - errors->n_messages;

    for (size_t i = 0; i < errors->n_messages; i++)
        say(reload, errors->messages[i].is_warning ? IPC_LINE_WARNING : IPC_LINE_ERROR, "%s", errors->messages[i].text);
    if (n_more > 0)
        say(reload, IPC_LINE_ERROR, "... and %zu more", n_more);
}

static bool read_file(struct reload *reload)
{
    if (!is_file(reload))
        return false;
    bool is_good = config_parse_file(reload->path, reload->next, &reload->errors);
    say_messages(reload);
    if (!is_good)
        fail(reload, IPC_RESULT_INVALID);
    return is_good;
}

/* ---- 2 compare ---- */

static bool compare(struct reload *reload)
{
    struct config_changes *changes = &reload->changes;
    char problem[CONFIG_MESSAGE_CAP];

    config_compare(reload->running, reload->next, config_mark_matches(&reload->psk, reload->next), changes);
    if (config_live_clashes(reload->running, reload->next, problem)) {
        say(reload, IPC_LINE_ERROR, "%s", problem);
        fail(reload, IPC_RESULT_FAILED);
        return false;
    }
    for (size_t i = 0; i < changes->n; i++)
        say(reload, changes->at[i].is_live ? IPC_LINE_CHANGED : IPC_LINE_NEEDS_RESTART, "%s", changes->at[i].text);
    return true;
}

/* ---- 3 send ---- */

static void put_into_force(struct reload *reload)
{
    struct ipc_message message;
    struct config_live *live = &message.settings.live;

    memset(&message, 0, sizeof message);
    message.kind = IPC_SETTINGS;
    message.settings.is_elsewhere = reload->changes.is_elsewhere;
    config_live_get(live, reload->next);
    int error = ipc_send(reload->ipc_fd, &message);
    if (!error) {
        config_live_put(reload->running, live);
        config_mark_make(&reload->psk, reload->next);
        config_wipe_secrets(reload->running);
    }
    sodium_memzero(&message, sizeof message);
    if (error) {
        reload->n_lines = 0;
        say(reload, IPC_LINE_ERROR, "the worker does not take it: %s; nothing has changed; try again", strerror(-error));
        fail(reload, IPC_RESULT_FAILED);
        return;
    }
    if (reload->changes.is_elsewhere)
        lookup_forget(reload->lookup);
}

/* ---- 4 tell ---- */

static void log_line(const struct line *line)
{
    switch (line->what) {
    case IPC_LINE_CHANGED:
        log_tell(&(struct log_about){.event = LOG_EVENT_RELOAD}, "reload: %s", line->text);
        break;
    case IPC_LINE_NEEDS_RESTART:
        log_tell(&(struct log_about){.event = LOG_EVENT_NEEDS_RESTART}, "reload: %s: needs a restart", line->text);
        break;
    case IPC_LINE_ERROR:
        log_tell(&(struct log_about){.event = LOG_EVENT_RELOAD_FAILED}, "reload: %s", line->text);
        break;
    case IPC_LINE_WARNING:
        log_warning("reload: %s", line->text);
        break;
    case IPC_LINE_COUNT:
        break;
    }
}

// What is asked for over the control socket may be asked for all the time.
static bool may_log(struct reload *reload, uint64_t now_ns)
{
    if (bucket_take(&reload->logged_full_ns, LOGGED_EVERY_NS, LOGGED_BURST, now_ns))
        return true;
    log_limited(&reload->unlogged_limit, now_ns, LOG_LEVEL_WARNING, "reloads come more often than is told here");
    return false;
}

static void log_all(struct reload *reload)
{
    const struct log_about about = {.event = LOG_EVENT_RELOAD};
    size_t n_changed = count(reload, IPC_LINE_CHANGED), n_waiting = count(reload, IPC_LINE_NEEDS_RESTART);

    for (size_t i = 0; i < reload->n_lines; i++)
        log_line(&reload->lines[i]);
    if (reload->result != IPC_RESULT_DONE)
        log_tell(&(struct log_about){.event = LOG_EVENT_RELOAD_FAILED}, "reload: nothing has changed");
    else if (n_changed + n_waiting == 0)
        log_tell(&about, "reloaded %s: it says what is in force already", reload->path);
    else
        log_tell(&about, "reloaded %s: changes in force: %zu, changes that need a restart: %zu", reload->path, n_changed, n_waiting);
}

static void on_timer(uv_timer_t *timer);

// Whatever the worker does not take now it gets later.
static void tell(struct reload *reload)
{
    struct ipc_message message;
    int error = 0;

    while (!error && reload->told <= reload->n_lines) {
        memset(&message, 0, sizeof message);
        message.id = reload->id;
        if (reload->told < reload->n_lines) {
            const struct line *line = &reload->lines[reload->told];
            message.kind = IPC_LINE;
            message.line.what = line->what;
            memcpy(message.line.text, line->text, sizeof line->text);
        } else {
            message.kind = IPC_RELOADED;
            message.result = reload->result;
        }
        error = ipc_send(reload->ipc_fd, &message);
        reload->told += !error;
    }
    reload->is_telling = error == -EAGAIN; // a worker that is gone is not told
    if (reload->is_telling)
        uv_timer_start(&reload->timer, on_timer, SEND_AGAIN_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    tell(timer->data);
}

/* ---- the whole ---- */

// A change of the level itself is told under the one of both that tells more.
static void log_under(struct reload *reload, enum log_level before)
{
    enum log_level after = reload->running->log_level;

    log_set_level(after > before ? after : before);
    log_all(reload);
}

static void run(struct reload *reload, bool is_trial, bool is_logged)
{
    enum log_level before = reload->running->log_level;

    reload->n_lines = 0;
    reload->result = IPC_RESULT_DONE;
    if (read_file(reload) && compare(reload) && !is_trial && reload->changes.is_any_live)
        put_into_force(reload);
    config_deinit(reload->next);
    if (is_logged)
        log_under(reload, before);
    log_set_level(reload->running->log_level);
}

void reload_run(struct reload *reload)
{
    if (reload->is_telling) { // the lines are still needed
        log_warning("reload: the last one is not over yet; try again");
        return;
    }
    run(reload, false, true);
}

void reload_answer(struct reload *reload, const struct ipc_message *request)
{
    if (reload->is_telling)
        return;
    bool is_trial = request->reload.is_trial;
    run(reload, is_trial, !is_trial && may_log(reload, now_boot_ns()));
    reload->id = request->id;
    reload->told = 0;
    tell(reload);
}

int reload_start(struct reload *reload, uv_loop_t *uv, int ipc_fd, struct lookup *lookup)
{
    reload->ipc_fd = ipc_fd;
    reload->lookup = lookup;
    reload->timer.data = reload;
    return uv_timer_init(uv, &reload->timer);
}

struct reload *reload_new(struct config *running, const char *path)
{
    struct reload *reload = calloc(1, sizeof *reload);

    if (!reload)
        return NULL;
    reload->running = running;
    reload->next = config_new();
    reload->path = path ? strdup(path) : NULL;
    if (!reload->next || (path && !reload->path)) {
        reload_free(reload);
        return NULL;
    }
    config_mark_make(&reload->psk, running);
    return reload;
}

void reload_free(struct reload *reload)
{
    if (!reload)
        return;
    config_free(reload->next);
    free(reload->path);
    sodium_memzero(reload, sizeof *reload);
    free(reload);
}
